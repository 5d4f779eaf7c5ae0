"""The joint model: every sub-model over one set of draws, one log-likelihood per evidence row.

``bind`` fixes what the likelihood needs besides the draws (state weights, prior-predictive
probabilities); ``curves`` and ``log_likelihood`` then evaluate it for NumPy draws or PyTensor variables, and
``build`` wraps it in a PyMC model. Evidence on one driver informs the others through integration and through
the curves that later models read.
"""

from __future__ import annotations

import hashlib
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from valuation.errors import LedgerError
from valuation.ledger.reading import at
from valuation.models import KINDS, MODELS, closure
from valuation.models.base import HALF_YEAR, Bound, Context, Curves, Parameters
from valuation.models.memory import Memory, content
from valuation.ops import Array, Ops, numpy_ops

PRIOR_DRAWS = 4000
# Of the prior draws behind p0: p0 belongs to the evidence, not to a run's seed.
REFERENCE_SEED = 20250612
# What a firm did longer before its deal says nothing of it, and no model has a path so far back.
YEARS_BEFORE = 5
# Months: the same day some years later may be most of a day off in months of one length.
A_DAY = 0.05
MODELS_BY_KIND = {kind.name: model.name for model in MODELS.values() for kind in model.kinds}
# Curves of this process, prior and posterior: about ten states of the shipped deal at 4,000 draws.
MEMORY = Memory(limit_bytes=256 * 2**20)


class Whole(Mapping[str, Bound]):
    """Terms bound to the whole horizon, made when one is first asked for: an update needs only ``near`` ones.

    Attributes
    ----------
    near
        The same terms bound to the months that rows reach.
    context
        Digest of the context that ``near`` is bound to.
    """

    def __init__(
        self, near: Mapping[str, Bound], context: str, make: Callable[[], Mapping[str, Bound]]
    ) -> None:
        self.near, self.context, self._make = near, context, make

    @cached_property
    def _terms(self) -> Mapping[str, Bound]:
        return self._make()

    def __getitem__(self, key: str) -> Bound:
        return self._terms[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.near)

    def __len__(self) -> int:
        return len(self.near)


@dataclass(frozen=True)
class Evidence:
    """Scored rows bound to a context: all that a log-likelihood needs besides parameters.

    Attributes
    ----------
    context
        What the rows are bound to.
    models
        Sub-models in dependency order.
    rows
        The scored ledger rows that these models read, sorted by id.
    bound
        Bound terms by name, in model order.
    reference
        The context whose priors give ``p0``.
    """

    context: Context
    models: tuple[str, ...]
    rows: pd.DataFrame
    bound: Mapping[str, Bound]
    reference: Context

    @property
    def ids(self) -> tuple[str, ...]:
        """Row ids in the order of the log-likelihood's last axis."""
        terms = self.bound.near if isinstance(self.bound, Whole) else self.bound
        return tuple(i for term in terms.values() for i in term.ids)

    @cached_property
    def short(self) -> tuple[Evidence, dict[str, str]]:
        """The same evidence with curves as far as a row reaches, and by model a digest of what is fixed in it."""
        context, bound = self.context, self.bound
        if context.reach is None:
            context = replace(context, reach=reach_of(context, self.rows))
            known = bound.near if isinstance(bound, Whole) else bound
            if isinstance(bound, Whole) and bound.context == context.content:
                bound = known
            else:
                log_p0 = {key: term.log_p0 for key, term in known.items()}
                bound = _given(context, self.rows, self.models, self.reference, log_p0)
        cut = replace(self, context=context, bound=bound)
        terms = _by_model(cut)
        return cut, {
            name: content(
                context.content,
                name,
                split(self.rows)[name].content,
                [stated(self.reference, n) for n in MODELS[name].scalars(context)],
                *(part for key, term in terms[name].items() for part in (key, term.log_p0)),
            )
            for name in self.models
        }


def context_of(ledger: Any, deal: Any, priors: Mapping[str, Any], credibility: Any) -> Context:
    """The fixed inputs of a model from a ledger, a deal, one prior set and the credibility grades.

    Rosters are cut at the ledger's as-of date: who joined later, or was won as a customer later, was not known then.
    The weights of the talent known by then are scaled to sum to 1.

    Raises
    ------
    LedgerError
        If the rosters give a part of the deal to somebody whom the deal file does not name.
    """
    _refuse_other_parties(ledger, deal)
    people = ledger.people[ledger.people["entry"] <= ledger.as_of].reset_index(drop=True)
    bought = people["talent"] == 1
    if bought.any():
        people["weight"] = people["weight"].where(
            ~bought, people["weight"] / people["weight"][bought].sum()
        )
    customers = ledger.customers[ledger.customers["start"] <= ledger.as_of].reset_index(drop=True)
    return Context(
        deal=deal,
        priors=priors,
        people=people,
        customers=customers,
        vendors=ledger.vendors,
        entities=ledger.entities,
        credibility=credibility,
    )


def _refuse_other_parties(ledger: Any, deal: Any) -> None:
    """Rows are bound by the roles of the rosters, terms by the names of the deal file: they must agree."""
    problems = [
        at(
            f"{roster}.csv",
            1,
            f"{who!r} has the role {role!r}, which the deal file {deal.name}.yaml gives to {named!r}; write one "
            "name in both",
        )
        for roster, column in (("entities", "entity"), ("vendors", "subject"))
        for who, role in zip(
            getattr(ledger, roster)[column], getattr(ledger, roster)["role"], strict=True
        )
        if role in ("acquirer", "target") and who != (named := getattr(deal, role))
    ]
    if problems:
        raise LedgerError(problems)


def scalars(context: Context, models: tuple[str, ...]) -> list[str]:
    """Names of the priors that the models use, each once, in order."""
    return list(dict.fromkeys(n for m in models for n in MODELS[m].scalars(context)))


def innovations(context: Context, models: tuple[str, ...]) -> dict[str, tuple[str, list[Any]]]:
    """The standard-normal vectors of the models: name → (dim, labels)."""
    return {k: v for m in models for k, v in MODELS[m].innovations(context).items()}


def keyed_rng(random_seed: int, key: str) -> np.random.Generator:
    """A generator that depends on the seed and on a name alone: common random numbers by construction."""
    word = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence([random_seed, word]))


def prior_draws(
    context: Context, models: tuple[str, ...], *, random_seed: int, draws: int = PRIOR_DRAWS
) -> dict[str, np.ndarray]:
    """Draws from the prior, ``{name: (draw, …)}``; a name's draws do not depend on the other models."""
    out: dict[str, np.ndarray] = {}
    for name in scalars(context, models):
        out[name] = _prior_scalar(context, name, random_seed, draws)
    for name, (_, labels) in innovations(context, models).items():
        out[name] = _innovation(name, len(labels), random_seed, draws)
    return out


def _prior_scalar(context: Context, name: str, random_seed: int, draws: int) -> np.ndarray:
    def make() -> np.ndarray:
        uniform = keyed_rng(random_seed, name).random(draws)
        return np.asarray(context.prior(name).ppf(uniform), dtype=float) + np.zeros(draws)

    key = content("prior", stated(context, name), random_seed, draws)
    return MEMORY.recall(key, make).copy()


def _innovation(name: str, length: int, random_seed: int, draws: int) -> np.ndarray:
    def make() -> np.ndarray:
        # One row a label: the first ones do not change when the grid grows.
        return keyed_rng(random_seed, name).standard_normal((length, draws)).T

    return MEMORY.recall(content("innovation", name, length, random_seed, draws), make).copy()


def bind(
    context: Context,
    scored: pd.DataFrame,
    *,
    models: tuple[str, ...] | None = None,
    reference: Context | None = None,
    draws: int = PRIOR_DRAWS,
) -> Evidence:
    """Bind the scored rows to the models.

    ``reference`` gives the priors behind ``p0`` (default: the context's own). With the house priors as the
    reference, the likelihood of the evidence is the same under every prior set, and sets compare by
    reweighting alone.

    Raises
    ------
    LedgerError
        If the models cannot be given a row, or no state of the world can bring the rows about; problems read
        ``evidence.csv:line: what; remedy``.
    """
    names = closure(models)
    known = {kind.name for m in names for kind in MODELS[m].kinds}
    rows = scored[scored["kind"].isin(known)].sort_values("id").reset_index(drop=True)
    basis = reference or context
    try:
        _refuse_strangers(context, rows)
        _refuse_far(context, rows)
        return _bind(context, rows, names, basis, draws)
    except LedgerError as error:
        raise LedgerError(_placed(problem, rows) for problem in error.problems) from None


def _refuse_strangers(context: Context, rows: pd.DataFrame) -> None:
    """Rosters are cut at the as-of date, so a subject may be there and not be known yet."""
    subjects = {kind.roster: set(context.subjects(kind.roster)) for kind in KINDS.values()}
    strangers = [
        f"row {row}: {kind} is about {subject!r}, who is in {KINDS[kind].roster}.csv from a later day "
        "on; correct event_date and published, or the day in the roster"
        for row, kind, subject in zip(rows["id"], rows["kind"], rows["subject"], strict=True)
        if subject not in subjects[KINDS[kind].roster]
    ]
    if strangers:
        raise LedgerError(strangers)


def _refuse_far(context: Context, rows: pd.DataFrame) -> None:
    """Days that no news of the deal can have; paths are flat there, so that a slip of the pen would count."""
    deal = context.deal
    first, last = -12 * YEARS_BEFORE, 12 * deal.horizon_years + A_DAY
    far = [
        f"row {row}: {kind} on {day} is more than {YEARS_BEFORE} years before the close on {deal.closed}, or after "
        f"the {deal.horizon_years} years that the deal is followed; correct event_date, or leave kind blank to "
        "keep it as context"
        for row, kind, day in zip(rows["id"], rows["kind"], rows["event_date"], strict=True)
        if not first <= context.month(day) <= last
    ]
    if far:
        raise LedgerError(far)


def _placed(problem: str, rows: pd.DataFrame) -> str:
    """A model's problem with the file and line of the row that it names first."""
    named = re.search(r"\brows? ([\w.-]+)", problem)
    found = rows[rows["id"] == named[1]] if named else rows[:0]
    return at("evidence.csv", int(found["line"].iloc[0]), problem) if len(found) else problem


def _bind(
    context: Context, rows: pd.DataFrame, names: tuple[str, ...], basis: Context, draws: int
) -> Evidence:
    if context.reach is None:
        # p0 needs the curves only as far as the evidence reaches.
        near_context = replace(context, reach=reach_of(context, rows))
        near_terms = _bound(near_context, rows, names, basis, draws)
        log_p0 = {key: term.log_p0 for key, term in near_terms.items()}
        whole = Whole(
            near_terms, near_context.content, lambda: _given(context, rows, names, basis, log_p0)
        )
        return Evidence(context, names, rows, whole, basis)
    return Evidence(context, names, rows, _bound(context, rows, names, basis, draws), basis)


def _bound(
    context: Context, rows: pd.DataFrame, names: Sequence[str], basis: Context, draws: int
) -> dict[str, Bound]:
    """The terms of all models with ``p0`` from prior draws; models that see nothing new are remembered."""
    fixed = content(context.content, draws, REFERENCE_SEED)
    bound: dict[str, Bound] = {}
    derived: dict[str, Curves] = {}  # of each model, given its rows
    keys: dict[str, str] = {}
    ops = numpy_ops()
    for name in names:
        model, own, before = MODELS[name], split(rows)[name], closure((name,))[:-1]
        priors = [stated(basis, n) for n in model.scalars(context)]
        keys[name] = content("bound", fixed, name, own.content, priors, [keys[m] for m in before])

        def make(
            name: str = name, own: Own = own, before: Sequence[str] = before
        ) -> tuple[dict[str, Bound], Curves]:
            model = MODELS[name]
            parameters = prior_draws(
                replace(context, priors=basis.priors),
                (*before, name),
                random_seed=REFERENCE_SEED,
                draws=draws,
            )
            known = {k: v for m in before for k, v in derived[m].items()}
            # Terms are bound before the curves that condition on who has left already.
            plain = model.curves(context, parameters, known, None if model.conditions else {}, ops)
            mine = {
                key: term.bind(parameters, known | plain)
                for key, term in _terms(context, own, name, basis)
            }
            if model.conditions:
                return mine, model.curves(context, parameters, known, mine, ops)
            return mine, plain

        mine, derived[name] = MEMORY.recall(keys[name], make)
        bound |= mine
    return bound


def _given(
    context: Context,
    rows: pd.DataFrame,
    names: Sequence[str],
    basis: Context,
    log_p0: Mapping[str, np.ndarray],
) -> dict[str, Bound]:
    """The terms of all models with a known ``p0``."""
    bound: dict[str, Bound] = {}
    for name in names:
        for key, term in _terms(context, split(rows)[name], name, basis):
            if key in log_p0:
                bound[key] = term.given(log_p0[key])
    return bound


def _terms(context: Context, own: Own, name: str, basis: Context) -> list[Any]:
    """A model's terms. What they take from priors is the reference's, as ``p0`` is."""
    model = MODELS[name]
    if own.rows.empty:
        return []
    priors = [stated(basis, n) for n in model.scalars(context)]
    return MEMORY.recall(
        content("terms", context.content, name, own.content, priors),
        lambda: model.terms(replace(context, priors=basis.priors), own.rows),
    )


@dataclass(frozen=True)
class Own:
    """The rows that one model reads, and a digest of what they say."""

    rows: pd.DataFrame
    content: str


# Tables split lately: an update asks for the same table's parts a dozen times.
_SPLIT: dict[int, tuple[weakref.ref[pd.DataFrame], dict[str, Own]]] = {}
SPLITS_KEPT = 64


def split(rows: pd.DataFrame) -> dict[str, Own]:
    """Scored rows by the model that reads them; every model has its entry."""
    known = _SPLIT.get(id(rows))
    if known is not None and known[0]() is rows:
        return known[1]
    owner = [MODELS_BY_KIND[kind] for kind in rows["kind"]]
    columns = [rows[name].tolist() for name in rows]
    lines = [repr(cells) for cells in zip(*columns, strict=True)]
    head = content(list(rows.columns))
    found = {
        name: Own(
            rows[[o == name for o in owner]],
            content(head, [line for o, line in zip(owner, lines, strict=True) if o == name]),
        )
        for name in MODELS
    }
    while len(_SPLIT) >= SPLITS_KEPT:
        _SPLIT.pop(next(iter(_SPLIT)))
    _SPLIT[id(rows)] = (weakref.ref(rows), found)
    return found


def stated(context: Context, name: str) -> tuple[str, str, str]:
    """A prior by what enters numbers; its reasons may be reworded."""
    prior = context.prior(name)
    return name, prior.family, repr(sorted(prior.parameters.items()))


def curves(evidence: Evidence, parameters: Parameters, ops: Ops) -> Curves:
    """All curves of the models, in dependency order."""
    derived: Curves = {}
    for name in evidence.models:
        derived |= MODELS[name].curves(evidence.context, parameters, derived, evidence.bound, ops)
    return derived


def log_likelihood(evidence: Evidence, parameters: Parameters, derived: Curves, ops: Ops) -> Array:
    """One log-likelihood per row, shape ``(..., row)``, rows as in ``evidence.ids``."""
    parts = [t.log_likelihood(parameters, derived, ops) for t in evidence.bound.values()]
    return ops.concatenate(parts)


@dataclass(frozen=True)
class Near:
    """Evidence and draws cut at the last month that a row reaches, which is all that likelihoods need.

    Attributes
    ----------
    evidence
        With curves that end at its reach; terms and ``p0`` are those of the whole horizon.
    parameters
        Draws, vectors on the grid cut to the reach.
    keys
        Model → digest of all that its curves and rows depend on. Equal digests mean equal numbers.
    draws
        Model → digest of its parameters and of those of the models it requires alone, whatever the rows say.
    """

    evidence: Evidence
    parameters: Mapping[str, np.ndarray]
    keys: Mapping[str, str]
    draws: Mapping[str, str]

    def curves(self, models: Sequence[str] | None = None) -> Curves:
        """Curves of these models (default: all) up to the reach, remembered by content."""
        derived: Curves = {}
        for name in self.evidence.models if models is None else models:
            derived |= MEMORY.recall(
                content("curves", self.keys[name]),
                lambda name=name: MODELS[name].curves(  # type: ignore[misc]
                    self.evidence.context,
                    self.parameters,
                    self.curves(closure((name,))[:-1]),
                    self.evidence.bound,
                    numpy_ops(),
                ),
            )
        return derived

    def row_log_likelihood(self) -> np.ndarray:
        """One log-likelihood per draw and row, rows as in ``evidence.ids``, remembered by content."""
        terms = _by_model(self.evidence)
        parts = [
            MEMORY.recall(
                content("rows", self.keys[name]),
                lambda name=name: log_likelihood(  # type: ignore[misc]
                    replace(self.evidence, bound=terms[name]),
                    self.parameters,
                    self.curves(closure((name,))),
                    numpy_ops(),
                ),
            )
            for name in self.evidence.models
            if terms[name]
        ]
        draws = len(next(iter(self.parameters.values())))
        return np.concatenate(parts, axis=-1) if parts else np.zeros((draws, 0))


def near(evidence: Evidence, parameters: Mapping[str, np.ndarray]) -> Near:
    """Cut the evidence and draws of its parameters at the last month that a row reaches."""
    short, fixed = evidence.short
    context = short.context
    cut: dict[str, np.ndarray] = {}
    keys: dict[str, str] = {}
    draws: dict[str, str] = {}
    for name in short.models:
        model = MODELS[name]
        own = {n: parameters[n] for n in model.scalars(context)} | {
            n: _first(parameters[n], len(labels))
            for n, (_, labels) in model.innovations(context).items()
        }
        before = closure((name,))[:-1]
        draws[name] = content([draws[m] for m in before], *own.values())
        keys[name] = content(fixed[name], [keys[m] for m in before], draws[name])
        cut |= own
    return Near(short, cut, keys, draws)


def _first(values: np.ndarray, count: int) -> np.ndarray:
    """The first labels of a vector; the vector itself if that is all."""
    return values if values.shape[-1] == count else values[..., :count]


def _by_model(evidence: Evidence) -> dict[str, dict[str, Bound]]:
    """Bound terms by the model that reads their rows, in the evidence's order."""
    owner = {
        row: MODELS_BY_KIND[kind]
        for row, kind in zip(evidence.rows["id"], evidence.rows["kind"], strict=True)
    }
    out: dict[str, dict[str, Bound]] = {name: {} for name in evidence.models}
    for key, term in evidence.bound.items():
        out[owner[term.ids[0]]][key] = term
    return out


def row_log_likelihood(evidence: Evidence, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
    """One log-likelihood per draw and row, shape ``(draw, row)``, rows as in ``evidence.ids``.

    As :func:`curves` and :func:`log_likelihood` over the whole horizon, at the cost of the months that rows reach;
    models of which nothing has changed since the last call are not computed again.
    """
    return near(evidence, parameters).row_log_likelihood()


def replicate(
    evidence: Evidence, parameters: Parameters, *, random_seed: int
) -> dict[str, np.ndarray]:
    """Replicated observations by row id, ``{id: (draw,)}``, for predictive checks."""
    derived = curves(evidence, parameters, numpy_ops())
    out: dict[str, np.ndarray] = {}
    for key, term in evidence.bound.items():
        drawn = term.replicate(parameters, derived, keyed_rng(random_seed, f"replicate {key}"))
        out |= {row: drawn[:, j] for j, row in enumerate(term.ids)}
    return out


def reach_of(context: Context, rows: pd.DataFrame) -> int:
    """Months from the close that scored rows reach, rounded up to whole half years, at least a year."""
    looks = [context.month(d) for d in rows["event_date"]]
    for model in MODELS.values():
        if model.last is not None:
            own = rows["kind"].isin([kind.name for kind in model.kinds])
            looks.append(model.last(context, rows[own]))
    last = max(looks, default=0.0)
    return max(2 * HALF_YEAR, HALF_YEAR * int(np.ceil(last / HALF_YEAR)))


def touched(evidence: Evidence) -> set[str]:
    """Names of the parameters that some scored row depends on, read off the likelihood's own graph."""
    import pytensor.tensor as pt
    from pytensor.graph.traversal import ancestors

    from valuation.ops import pytensor_ops

    if not evidence.bound:
        return set()
    context, ops = evidence.context, pytensor_ops()
    stand_in: dict[str, Any] = {}
    for name in scalars(context, evidence.models):
        stand_in[name] = pt.dscalar(name)
    for name, (_, labels) in innovations(context, evidence.models).items():
        stand_in[name] = pt.tensor(name, dtype="float64", shape=(len(labels),))
    rows = log_likelihood(evidence, stand_in, curves(evidence, stand_in, ops), ops)
    return {v.name for v in ancestors([rows]) if v.name in stand_in}


def build(evidence: Evidence) -> Any:
    """The PyMC model: priors, standard-normal innovations and the evidence as one potential.

    Only what some row touches is declared, and curves run only as far as the evidence reaches; parameters
    that no row touches follow their prior exactly, so :func:`extend` draws them instead of the sampler.

    Returns
    -------
    pymc.Model
        Its potential ``evidence`` is the sum of the rows' log-likelihoods.
    """
    import pymc as pm

    from valuation.ops import pytensor_ops

    short = bind(
        replace(evidence.context, reach=reach_of(evidence.context, evidence.rows)),
        evidence.rows,
        models=evidence.models,
        reference=evidence.reference,
    )
    context, models, seen = short.context, short.models, touched(short)
    vectors = {k: v for k, v in innovations(context, models).items() if k in seen}
    with pm.Model(coords=dict(vectors.values())) as model:
        parameters: dict[str, Any] = {}
        for name in scalars(context, models):
            prior = context.prior(name)
            if name not in seen or prior.family == "fixed":
                # Not in the graph, or a constant of it.
                parameters[name] = np.float64(prior.ppf(0.5))
            else:
                parameters[name] = prior.rv(name)
        for name, (_, labels) in innovations(context, models).items():
            parameters[name] = np.zeros(len(labels))
        for name, (dim, _) in vectors.items():
            parameters[name] = pm.Normal(name, 0.0, 1.0, dims=dim)
        if short.bound:
            ops = pytensor_ops()
            rows = log_likelihood(short, parameters, curves(short, parameters, ops), ops)
            pm.Potential("evidence", rows.sum())
    return model


def extend(
    evidence: Evidence, sampled: Mapping[str, np.ndarray], *, random_seed: int
) -> dict[str, np.ndarray]:
    """All parameters of the models from the sampled ones, ``{name: (draw, …)}``.

    What no evidence touches is drawn from its prior with numbers keyed by its name, which is its exact
    posterior; a vector sampled only as far as the evidence reaches is continued the same way.
    """
    draws = len(next(iter(sampled.values())))
    context, models = evidence.context, evidence.models
    full: dict[str, np.ndarray] = {}
    for name in scalars(context, models):
        if name in sampled:
            full[name] = sampled[name]
        else:
            full[name] = _prior_scalar(context, name, random_seed, draws)
    for name, (_, labels) in innovations(context, models).items():
        known = sampled.get(name)
        if known is not None and known.shape[1] == len(labels):
            full[name] = known
            continue
        full[name] = _innovation(name, len(labels), random_seed, draws)
        if known is not None:
            full[name][:, : known.shape[1]] = known
    return full | {name: values for name, values in sampled.items() if name not in full}
