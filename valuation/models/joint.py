"""The joint model: every sub-model over one set of draws, one log-likelihood per evidence row.

``bind`` fixes what the likelihood needs besides the draws (state weights, prior-predictive
probabilities); ``curves`` and ``log_likelihood`` then evaluate it for NumPy draws or PyTensor variables, and
``build`` wraps it in a PyMC model. Evidence on one driver informs the others through integration and through
the curves that later models read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from valuation.models import MODELS, closure
from valuation.models.base import HALF_YEAR, Bound, Context, Curves, Parameters
from valuation.ops import Array, Ops, numpy_ops

PRIOR_DRAWS = 4000
REFERENCE_SEED = (
    20250612  # of the prior draws behind p0: p0 belongs to the evidence, not to a run's seed
)


@dataclass(frozen=True)
class Evidence:
    """Scored rows bound to a context: all that a log-likelihood needs besides parameters.

    Attributes
    ----------
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
        return tuple(i for term in self.bound.values() for i in term.ids)


def context_of(ledger: Any, deal: Any, priors: Mapping[str, Any], credibility: Any) -> Context:
    """The fixed inputs of a model from a ledger, a deal, one prior set and the credibility grades.

    Rosters are cut at the ledger's as-of date: who joined later, or was won as a customer later, was not known then.
    The weights of the talent known by then are scaled to sum to 1.
    """
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
        uniform = keyed_rng(random_seed, name).random(draws)
        out[name] = np.asarray(context.prior(name).ppf(uniform), dtype=float) + np.zeros(draws)
    for name, (_, labels) in innovations(context, models).items():
        # One row a label: the first ones do not change when the grid grows.
        out[name] = keyed_rng(random_seed, name).standard_normal((len(labels), draws)).T
    return out


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
    """
    names = closure(models)
    known = {kind.name for m in names for kind in MODELS[m].kinds}
    rows = scored[scored["kind"].isin(known)].sort_values("id").reset_index(drop=True)
    basis = reference or context
    bound: dict[str, Bound] = {}
    if context.reach is None:
        # p0 needs the curves only as far as the evidence reaches.
        near = replace(context, reach=_reach(context, rows))
        known_p0 = bind(near, rows, models=names, reference=basis, draws=draws).bound
        for name in names:
            own = rows[rows["kind"].isin([k.name for k in MODELS[name].kinds])]
            for key, term in MODELS[name].terms(context, own):
                bound[key] = term.given(known_p0[key].log_p0)
        return Evidence(context, names, rows, bound, basis)
    parameters = prior_draws(
        replace(basis, reach=context.reach), names, random_seed=REFERENCE_SEED, draws=draws
    )
    derived: Curves = {}
    for name in names:
        model = MODELS[name]
        own = rows[rows["kind"].isin([k.name for k in model.kinds])]
        # Bound before the model's own curves, which condition on who has left already.
        plain = model.curves(context, parameters, derived, {}, numpy_ops())
        for key, term in model.terms(context, own):
            bound[key] = term.bind(parameters, derived | plain)
        derived |= model.curves(context, parameters, derived, bound, numpy_ops())
    return Evidence(context, names, rows, bound, basis)


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


def _reach(context: Context, rows: pd.DataFrame) -> int:
    """Months that the rows reach, rounded up to whole half years, at least a year."""
    last = max((context.month(d) for d in rows["event_date"]), default=0.0)
    return max(2 * HALF_YEAR, HALF_YEAR * int(np.ceil(last / HALF_YEAR)))


def reach_of(evidence: Evidence) -> int:
    """Months that the evidence reaches, a multiple of six."""
    return _reach(evidence.context, evidence.rows)


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
        replace(evidence.context, reach=reach_of(evidence)),
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
                parameters[name] = np.float64(
                    prior.ppf(0.5)
                )  # not in the graph, or a constant of it
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
    full = prior_draws(evidence.context, evidence.models, random_seed=random_seed, draws=draws)
    for name, values in sampled.items():
        if values.ndim == 1:
            full[name] = values
        else:
            full[name][:, : values.shape[1]] = values
    return full
