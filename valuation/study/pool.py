"""Stored draws weighed for any state of knowledge near the ones they were sampled under.

A pool holds the draws of one or more fits. For a state it gives Pareto-smoothed weights, and the published quantities
simulated again with common random numbers, so that two states differ because of what differs between them. Nothing is
sampled here and no sampler is imported.
"""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import decision
from valuation import gate as gates
from valuation.currency import BN, unit_in
from valuation.errors import ModelError, OutOfReach
from valuation.models import MODELS, closure, joint
from valuation.models.joint import keyed_rng
from valuation.models.memory import content
from valuation.params import HOUSE
from valuation.params.reading import digest_of
from valuation.posterior.sampling import POSTERIOR
from valuation.study.case import READ
from valuation.update import (
    IMPOSSIBLE,
    Weights,
    importance_weights,
    mixture_log_density,
    overlap,
)

if TYPE_CHECKING:
    import xarray as xr

    from valuation.models.base import Context
    from valuation.models.joint import Evidence
    from valuation.params import Gate
    from valuation.study.case import Study

BATCH = 50  # neighbouring draws summed before an error is taken, so that autocorrelation counts
# Kept in memory, oldest out first: simulations, rows of draws that they share, parts of likelihoods, answers.
SIMULATIONS_KEPT, PARTS_KEPT, POSITIONS_KEPT = 512, 2048, 256
STUDIES_KEPT = 64
EXPECTED_NPV = "npv_mean"  # `npv` is the definition: NPV above 0


@dataclass(frozen=True)
class Quantity:
    """A published number that a change is split for.

    Attributes
    ----------
    name, label, unit
        ``unit`` is ``probability`` for the definitions of paying off and for events.
    group
        ``definition``, ``value``, ``driver`` or ``event``.
    """

    name: str
    label: str
    unit: str
    group: str


@dataclass(frozen=True)
class Source:
    """The draws of one fit.

    Attributes
    ----------
    key
        Name of the stored posterior.
    scalars
        ``{name: (draw,)}`` as sampled.
    vectors
        ``{name: {label: (draw,)}}`` as sampled.
    log_density
        ``(draw,)``: under what the draws were made, unnormalized.
    seed
        Of what is simulated from them.
    owner
        The state that they were sampled under; needed where several fits are pooled.
    filled
        Digest of the priors that draws were added from; empty if all of them were sampled.
    """

    key: str
    scalars: Mapping[str, np.ndarray] = field(repr=False)
    vectors: Mapping[str, Mapping[str, np.ndarray]] = field(repr=False)
    log_density: np.ndarray = field(repr=False)
    seed: int
    owner: Study | None = field(default=None, repr=False)
    filled: str = ""

    @property
    def draws(self) -> int:
        return len(self.log_density)

    @cached_property
    def name(self) -> str:
        """Digest of what tells these draws from others."""
        return content(self.key, self.seed, self.filled, self.log_density)


@dataclass(frozen=True)
class Position:
    """The answer at one state.

    Attributes
    ----------
    weights
        Importance weights of the pool's draws, before any condition of the scenario.
    weight
        Shape ``(draw,)``: the same given the conditions, summing to 1.
    values
        Shape ``(quantity,)``.
    scatter
        Shape ``(quantity, batch)``: each batch of draws' pull on the value. Errors of differences between positions
        of one pool come from it, since there what both states share cancels draw by draw.
    spread
        Shape ``(quantity,)``: the sum of squares of the draws' pulls, the variance of the value if no draw repeated
        another.
    lead, parts
        Pulls of the net present value, ``(draw,)``, and the draws of each fit, by which repetition is judged for all
        quantities alike, as in a report.
    quantities
        What the values are of. States differ in them: before any star was hired there is no share of stars kept.
    """

    weights: Weights
    weight: np.ndarray = field(repr=False)
    values: np.ndarray
    scatter: np.ndarray = field(repr=False)
    spread: np.ndarray = field(repr=False)
    lead: np.ndarray = field(repr=False)
    parts: tuple[int, ...] = field(repr=False)
    quantities: tuple[Quantity, ...] = field(repr=False)

    @cached_property
    def inflation(self) -> float:
        """Draws over effective draws, at least 1: what a report of the same draws multiplies variances by."""
        return decision.repetition(self.lead, self.parts)

    @property
    def error(self) -> np.ndarray:
        """Monte Carlo standard error of each value, ``(quantity,)``: that which a report tells of the same draws."""
        return np.sqrt(self.spread * self.inflation)

    def of(self, quantities: Sequence[Quantity]) -> Position:
        """The same of these quantities alone, in their order."""
        place = {q.name: j for j, q in enumerate(self.quantities)}
        chosen = [place[q.name] for q in quantities]
        return replace(
            self,
            values=self.values[chosen],
            scatter=self.scatter[chosen],
            spread=self.spread[chosen],
            quantities=tuple(quantities),
        )


def error_of(scatter: np.ndarray) -> np.ndarray:
    """Monte Carlo standard error of a difference from pulls ``(..., batch)``: batch means (Flegal, Jones 2010)."""
    batches = scatter.shape[-1]
    centred = scatter - scatter.mean(axis=-1, keepdims=True)
    return np.asarray(np.sqrt((centred**2).sum(axis=-1) * batches / (batches - 1)))


def trouble(weights: Weights, limits: Gate) -> str | None:
    """Why weights of stored draws cannot be trusted, in words; None if they can."""
    checks = gates.reweighting(
        weights.khat, len(weights.weight), weights.effective_draws, limits, name="stored draws"
    )
    if not all(c.passed for c in checks):
        return f"the stored draws do not reach far enough (Pareto k {weights.khat:.2f})"
    if weights.effective_draws < limits.ess_min:
        return f"the stored draws were worth only {weights.effective_draws:.0f} effective ones"
    return None


def read_source(
    study: Study, key: str, *, first: bool, owner: Study | None, memory: Memory | None = None
) -> Source | None:
    """The stored draws under ``key``; None if they are not stored any more. Read and verified once a memory."""
    from valuation.posterior.storage import DENSITY, read_groups

    seed = study.random_seed
    if not first:  # other dice than the first source's: pooled draws must not repeat them
        seed = int(keyed_rng(study.random_seed, f"pool {key}").integers(2**31))
    files = [study.posteriors / f"{key}{ending}" for ending in (".json", ".npz")]
    if not files[0].is_file():
        return None
    stamp = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
    place: tuple[str | int, ...] = (str(files[0]), seed, *stamp)  # written again, it is read again
    known = None if memory is None else memory.sources.get(place)
    if known is not None:
        return replace(known, owner=owner)
    groups = read_groups(study.posteriors, key)
    drawn = groups[POSTERIOR]
    scalars = {n: v.values for n, v in drawn.items() if v.values.ndim == 1}
    vectors = {
        n: {label: v.values[:, j] for j, label in enumerate(v.labels)}
        for n, v in drawn.items()
        if v.values.ndim == 2
    }
    density = groups[DENSITY]["log_density"].values
    found = Source(key, scalars, vectors, density, seed, owner)
    if memory is not None:
        memory.sources[place] = found
    return found


@dataclass(frozen=True)
class Simulated:
    """What one source's draws give at one state: ``(draw,)`` values by quantity, and which draws meet the conditions.

    Arrays that two states share are one array: a row about a person leaves most quantities alone.
    """

    quantities: tuple[Quantity, ...]
    values: tuple[np.ndarray, ...]
    meets: np.ndarray


@dataclass(frozen=True)
class Part:
    """What one model's rows say at one state.

    Attributes
    ----------
    log_likelihood
        ``(draw,)``: summed over the model's rows.
    known
        What is known of its life courses, in words that differ where that differs.
    ids
        Rows that are scored.
    """

    log_likelihood: np.ndarray = field(repr=False)
    known: str
    ids: tuple[str, ...]


@dataclass
class Memory:
    """Pure results of pools by digest of their inputs, oldest out first."""

    simulations: OrderedDict[str, Simulated] = field(default_factory=OrderedDict)
    parts: OrderedDict[str, Part] = field(default_factory=OrderedDict)
    priors: OrderedDict[str, np.ndarray] = field(default_factory=OrderedDict)
    positions: OrderedDict[str, Position] = field(default_factory=OrderedDict)
    sources: dict[tuple[str | int, ...], Source] = field(default_factory=dict)
    _rows: dict[bytes, weakref.ref[np.ndarray]] = field(default_factory=dict)

    def shared(self, values: np.ndarray) -> np.ndarray:
        """One array for equal values, as long as somebody keeps it."""
        key = hashlib.sha1(values.tobytes(), usedforsecurity=False).digest()
        known = self._rows.get(key)
        found = None if known is None else known()
        if found is None:
            found = values.copy()
            found.flags.writeable = False
            self._rows[key] = weakref.ref(found, lambda _: self._rows.pop(key, None))
        return found


@dataclass(frozen=True)
class State:
    """What of a study decides numbers, by digest: made from tables alone, before any model is bound.

    Attributes
    ----------
    fixed
        Of all but rows: rosters, terms, priors, scenario, and how many months the rows reach and tell of.
    priors
        The numbers of the priors in use and of those behind ``p0``.
    parts
        Model → digest of all that decides what its rows say of a draw.
    content
        Of everything: states with one digest have one answer.
    """

    fixed: str
    priors: str
    parts: Mapping[str, str]
    content: str

    @classmethod
    def of(cls, study: Study) -> State:
        from valuation.forecast import months_known

        sets = (study.book.get(study.prior_set), study.book.get(HOUSE))
        priors = _told(
            "priors",
            tuple(prior for chosen in sets for prior in chosen.values()),
            lambda: content(*([(n, p.content()) for n, p in chosen.items()] for chosen in sets)),
        )
        ledger = study.ledger
        tables = (ledger.people, ledger.customers, ledger.vendors, ledger.entities)
        bare, rosters = _told("rosters", (*tables, ledger.as_of), lambda: _rosters(study))
        deals = _told(
            "deals",
            (study.deal, study.base_deal),
            lambda: (repr(study.deal), repr(study.base_deal)),
        )
        fixed = content(deals, rosters, priors, sorted(study.credibility.items()), study.models)
        told: dict[str, list[tuple[Any, ...]]] = {name: [] for name in study.models}
        scored = ledger.scored()
        lines = list(zip(*(scored[name].tolist() for name in READ), strict=True))
        models = [joint.MODELS_BY_KIND[line[_KIND]] for line in lines]
        if not told.keys() >= set(models):
            own = [model in told for model in models]
            scored = scored[own]
            lines = [line for line, mine in zip(lines, own, strict=True) if mine]
            models = [model for model in models if model in told]
        for model, line in zip(models, lines, strict=True):
            told[model].append(line)
        rows = {name: content(mine) for name, mine in told.items()}
        bare = replace(bare, deal=study.base_deal)
        reach = 0
        for name in study.models:
            key = (rosters, str(study.base_deal.closed), name, rows[name])
            if key not in _REACH:
                own = scored[np.array([model == name for model in models], dtype=bool)]
                far = joint.reach_of(bare, own)
                _remember(_REACH, key, far, PARTS_KEPT)
            reach = max(reach, _REACH[key])
        months = months_known(
            study.deal,
            [
                (line[_DAY], told_on)
                for line, told_on in zip(lines, scored["published"], strict=True)
                if study.credibility[line[_GRADE]] > 0.0
            ],
        )
        scenario = study.scenario
        what_if = _told(
            "scenario", (scenario,), lambda: content(scenario.sets, scenario.conditions)
        )
        parts = {}
        for name in study.models:
            # Rows of the models that one requires count where their curves condition on them.
            before = [rows[m] for m in closure((name,))[:-1] if MODELS[m].conditions]
            parts[name] = content(fixed, reach, name, rows[name], before)
        whole = content(fixed, list(rows.items()), reach, months, what_if)
        return cls(f"{fixed} {reach} {months} {what_if}", priors, parts, whole)


_KIND, _DAY, _GRADE = (READ.index(name) for name in ("kind", "event_date", "credibility"))


def _rosters(study: Study) -> tuple[Context, str]:
    found = joint.context_of(study.ledger, study.base_deal, {}, {})
    return found, content(found.people, found.customers, found.vendors, found.entities)


# Months that the rows of a model reach, by what they say.
_REACH: OrderedDict[tuple[str, ...], int] = OrderedDict()
# What was made of objects that do not change, by identity; they are kept, so that nothing takes their place.
_TOLD: OrderedDict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = OrderedDict()


def _told[T](what: str, objects: tuple[Any, ...], make: Callable[[], T]) -> T:
    key = (what, *map(id, objects))
    if key not in _TOLD:
        _remember(_TOLD, key, (objects, make()), STUDIES_KEPT)
    found: T = _TOLD[key][1]
    return found


# Drivers of a state to quantities and their draws, ``(quantity, draw)``.
Measure = Callable[["xr.Dataset", "Study"], tuple[tuple[Quantity, ...], np.ndarray]]


class Pool:
    """Draws of one or more fits; :meth:`at` weighs them for a state. Remembers what it has simulated.

    Parameters
    ----------
    sources
        At least one; with several, each needs its owner.
    reference
        The state whose priors complete what a source did not sample while another did.
    memory
        Where results are kept; another pool's, to go on from it. Pools that measure other things share none.
    measure
        What a position tells of the drivers of a state; default: every published quantity.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        reference: Study,
        memory: Memory | None = None,
        *,
        measure: Measure | None = None,
    ):
        if not sources:
            raise ModelError("no stored draws to weigh; run `valuation report` first")
        sampled = {name for source in sources for name in source.scalars}
        self.sources = tuple(_completed(s, sampled, reference) for s in sources)
        self.memory = Memory() if memory is None else memory
        self._measure = quantities_of if measure is None else measure
        self._states: OrderedDict[int, tuple[Study, State]] = OrderedDict()
        self._asked: set[str] = set()

    @property
    def evaluations(self) -> int:
        """States that were asked for, each counted once, whether or not their answer was remembered."""
        return len(self._asked)

    def _state(self, study: Study) -> State:
        known = self._states.get(id(study))
        if known is None:  # holding the study keeps its id its own
            known = study, State.of(study)
            _remember(self._states, id(study), known, STUDIES_KEPT)
        return known[1]

    @cached_property
    def _content(self) -> str:
        """Digest of the draws and of what they were made under."""
        owners = [None if s.owner is None else self._state(s.owner).content for s in self.sources]
        several = len(self.sources) > 1  # one fit is weighed whatever it was sampled under
        return content([s.name for s in self.sources], owners if several else None)

    @property
    def draws(self) -> int:
        return sum(s.draws for s in self.sources)

    @property
    def _log_density(self) -> np.ndarray:
        return self._mixture[0]

    @property
    def overlap(self) -> float:
        """How far the fits cover each other (:func:`valuation.update.overlap`); 1 for one fit."""
        return self._mixture[1]

    @cached_property
    def _mixture(self) -> tuple[np.ndarray, float]:
        if len(self.sources) == 1:
            return self.sources[0].log_density, 1.0
        rows = []
        for owner in self.sources:
            if owner.owner is None:
                raise ModelError(
                    f"the state behind the fit {owner.key} is not known; pool it alone"
                )
            rows.append(
                np.concatenate(
                    [
                        s.log_density if s is owner else self._log_target(owner.owner, s)
                        for s in self.sources
                    ]
                )
            )
        counts = [s.draws for s in self.sources]
        mixture = mixture_log_density(np.array(rows), counts)
        return mixture, overlap(np.array(rows), counts, mixture)

    def at(self, study: Study) -> Position:
        """The answer at a state.

        Raises
        ------
        LedgerError, ModelError
            If the state's rows cannot stand together, or no draw is possible under it.
        """
        state = self._state(study)
        self._asked.add(state.content)
        key = content(self._content, state.content)
        known = self.memory.positions.get(key)
        if known is not None:
            return known
        target = np.concatenate([self._log_target(study, s) for s in self.sources])
        weights = importance_weights(target - self._log_density)
        parts = [self._simulated(study, s) for s in self.sources]
        values = np.array(
            [np.concatenate(rows) for rows in zip(*(p.values for p in parts), strict=True)]
        )
        meets = np.concatenate([p.meets for p in parts])
        weight = weights.weight * meets
        if not weight.sum() > 0.0:
            raise ModelError("no draw meets the scenario's conditions; relax one of them")
        weight = weight / weight.sum()
        mean = values @ weight
        pull = values - mean[:, None]
        pull *= weight
        starts = np.arange(0, pull.shape[1], BATCH)
        scatter = np.add.reduceat(pull, starts, axis=1)
        told = parts[0].quantities
        # Where no value is asked for, the first quantity stands in for it.
        leads = next((j for j, q in enumerate(told) if q.group == "value"), 0)
        found = Position(
            weights,
            weight,
            mean,
            scatter,
            np.einsum("qd,qd->q", pull, pull),
            pull[leads],
            tuple(s.draws for s in self.sources),
            told,
        )
        _remember(self.memory.positions, key, found, POSITIONS_KEPT)
        return found

    def fault(self, study: Study) -> str | None:
        """Why the draws cannot be weighed for a state, in words; None if they can."""
        try:
            return trouble(self.at(study).weights, study.limits)
        except OutOfReach:
            return IMPOSSIBLE
        except ModelError:
            if not study.scenario.conditions:
                raise
        # That no draw meets the conditions says nothing about the weights.
        free = study.scenario.model_copy(update={"conditions": ()})
        return self.fault(replace(study, scenario=free))

    def stands(self, study: Study) -> None:
        """Raise what binding a state's rows raises; where each model's rows have been bound before, they stand."""
        self._parts(study, self.sources[0])

    def row_probability(self, before: Study, after: Study, row: str) -> float:
        """How probable ``before`` made what a row of ``after`` says; at most 1.

        A figure with a stated error counts as the band of one error to either side, an exact day as a month. NaN
        where the row is not scored, or takes the place of another. All rows count, not only this one: what is
        known of a later day makes an earlier one more or less likely.
        """
        known, told = (
            {i for part in self._parts(study, self.sources[0]).values() for i in part.ids}
            for study in (before, after)
        )
        if told - known != {row} or known - told:
            return float("nan")
        ratio = np.concatenate(
            [self._log_likelihood(after, s) - self._log_likelihood(before, s) for s in self.sources]
        )
        weight = self.at(before).weights.weight
        rows = after.ledger.evidence
        stated = rows.loc[rows["id"] == row].iloc[0]
        kind = next(k for m in MODELS.values() for k in m.kinds if k.name == stated["kind"])
        width = 2.0 * float(stated["sd"]) if kind.density else 1.0
        return min(1.0, width * float(weight @ np.exp(ratio)))

    def drivers(self, study: Study) -> tuple[xr.Dataset, np.ndarray]:
        """Every driver of the pool's draws at a state, dims ``(draw, month)``, and the weights."""
        import xarray as xr

        evidence = evidence_of(study)
        parts = [_forecast(study, evidence, s) for s in self.sources]
        together = parts[0] if len(parts) == 1 else xr.concat(parts, dim="draw")
        return together, self.at(study).weight

    def answers(self, study: Study) -> list[dict[str, Any]]:
        """The open questions of a state with their probabilities, as :func:`answers.open_questions` tells them."""
        import xarray as xr

        from valuation import questions
        from valuation.forecast import asked
        from valuation.study.answers import told_question

        evidence = evidence_of(study)
        parts = [
            asked(
                _forecast(study, evidence, s),
                evidence,
                parameters_of(s, evidence),
                random_seed=s.seed,
            )
            for s in self.sources
        ]
        # What has no draws is the same in each part.
        together = (
            parts[0]
            if len(parts) == 1
            else xr.concat(parts, dim="draw", data_vars="minimal", coords="minimal")
        )
        here = self.at(study)
        return [
            told_question(q, questions.answer(together, here.weight, q, inflation=here.inflation))
            for q in questions.questions_of(study.ledger.questions)
            if q.is_open
        ]

    def _log_target(self, study: Study, source: Source) -> np.ndarray:
        """Unnormalized log density of a source's draws at a state, ``(draw,)``."""
        state = self._state(study)
        key = f"{source.name} {state.priors} {study.prior_set}"
        if key not in self.memory.priors:
            priors = study.book.get(study.prior_set)
            # Names that the state's models no longer have follow no prior there.
            told = [priors[n].logpdf(x) for n, x in source.scalars.items() if n in priors]
            _remember(self.memory.priors, key, np.asarray(np.sum(told, axis=0)), PARTS_KEPT)
        return np.asarray(self.memory.priors[key] + self._log_likelihood(study, source))

    def _log_likelihood(self, study: Study, source: Source) -> np.ndarray:
        """Of all rows of a state, ``(draw,)``."""
        total = np.zeros(source.draws)
        for part in self._parts(study, source).values():
            total += part.log_likelihood
        return total

    def _parts(self, study: Study, source: Source) -> dict[str, Part]:
        """What each model's rows say, remembered apart, since news of one leaves most others alone."""
        state, memory = self._state(study), self.memory.parts
        keys = {model: f"{source.name} {key}" for model, key in state.parts.items()}
        found = {model: memory[key] for model, key in keys.items() if key in memory}
        if len(found) < len(keys):
            made = _parts_of(study, source)
            for model, key in keys.items():
                if model not in found:
                    _remember(memory, key, made[model], PARTS_KEPT)
            found = {model: found.get(model, made[model]) for model in keys}
        return found

    def _simulated(self, study: Study, source: Source) -> Simulated:
        state, memory = self._state(study), self.memory.simulations
        known = [(model, part.known) for model, part in self._parts(study, source).items()]
        key = content(source.name, state.fixed, known)
        if key not in memory:
            drivers = _forecast(study, evidence_of(study), source)
            quantities, values = self._measure(drivers, study)
            meets = np.ones(source.draws, dtype=bool)
            for condition in study.scenario.conditions:
                from valuation.forecast import holds

                meets &= holds(drivers, condition)
            rows = tuple(self.memory.shared(row) for row in values)
            _remember(memory, key, Simulated(quantities, rows, meets), SIMULATIONS_KEPT)
        return memory[key]


def _parts_of(study: Study, source: Source) -> dict[str, Part]:
    evidence = evidence_of(study)
    rows = np.asarray(joint.row_log_likelihood(evidence, parameters_of(source, evidence)))
    owner = dict(
        zip(evidence.rows["id"], evidence.rows["kind"].map(joint.MODELS_BY_KIND), strict=True)
    )
    models = np.array([owner[i] for i in evidence.ids], dtype=str)
    known: dict[str, dict[str, str]] = {name: {} for name in study.models}
    for name, term in evidence.short[0].bound.items():
        if hasattr(term, "final"):
            states = sorted((s, sorted(w.items(), key=repr)) for s, w in term.final.items())
            known[owner[term.ids[0]]][name] = repr(states)
    return {
        name: Part(
            rows[:, models == name].sum(axis=1),
            repr(sorted(known[name].items())),
            tuple(i for i in evidence.ids if owner[i] == name),
        )
        for name in study.models
    }


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    memory[key] = value
    while len(memory) > most:
        memory.popitem(last=False)


def evidence_of(study: Study) -> Evidence:
    """The evidence under the study's own prior set and terms."""
    return study.under(study.prior_set, study.deal)


def parameters_of(source: Source, evidence: Evidence) -> dict[str, np.ndarray]:
    """All parameters of a state's models for a source's draws; what was not sampled follows the state's priors.

    Labels of vectors are matched by name, so that a roster that has grown keeps each subject's own draws.
    """
    context = evidence.context
    labels = joint.innovations(context, evidence.models)
    drawn = [*source.scalars.values(), *(v for c in source.vectors.values() for v in c.values())]
    for values in drawn:
        values.flags.writeable = False  # so that what they hold has to be told once only
    unsampled = set(joint.scalars(context, evidence.models)) - set(source.scalars)
    key = content(
        "parameters",
        source.seed,
        [(name, list(columns)) for name, columns in source.vectors.items()],
        list(source.scalars),
        labels,
        evidence.models,
        [joint.stated(context, name) for name in sorted(unsampled)],
        *drawn,
    )
    return joint.MEMORY.recall(key, lambda: _parameters(source, evidence, labels))


def _parameters(
    source: Source, evidence: Evidence, labels: Mapping[str, tuple[str, list[Any]]]
) -> dict[str, np.ndarray]:
    full = joint.prior_draws(
        evidence.context, evidence.models, random_seed=source.seed, draws=source.draws
    )
    for name, values in source.scalars.items():
        if name in full:
            full[name] = values.copy()
    for name, columns in source.vectors.items():
        if name not in full:
            continue
        now = [str(label) for label in labels[name][1]]
        grown = list(columns) == now[: len(columns)]  # a longer grid continues as it always does
        for j, label in enumerate(now):
            if label in columns:
                full[name][:, j] = columns[label]
            elif not grown:
                full[name][:, j] = keyed_rng(source.seed, f"{name} {label}").standard_normal(
                    source.draws
                )
    return full


def _completed(source: Source, sampled: set[str], reference: Study) -> Source:
    """The source with draws of what only another one sampled, from the reference's prior."""
    missing = sorted(sampled - set(source.scalars))
    if not missing:
        return source
    priors = reference.book.get(reference.prior_set)
    scalars, density = dict(source.scalars), source.log_density
    for name in missing:
        uniform = keyed_rng(source.seed, name).random(source.draws)
        scalars[name] = np.asarray(priors[name].ppf(uniform), dtype=float)
        density = density + priors[name].logpdf(scalars[name])
    filled = digest_of({name: priors[name].content() for name in missing})
    return replace(source, scalars=scalars, log_density=density, filled=filled)


def _forecast(study: Study, evidence: Evidence, source: Source) -> xr.Dataset:
    from valuation.forecast import forecast

    return forecast(
        evidence,
        parameters_of(source, evidence),
        random_seed=source.seed,
        sets=study.scenario.sets,
    )


def quantities_of(drivers: xr.Dataset, study: Study) -> tuple[tuple[Quantity, ...], np.ndarray]:
    """The published quantities and their draws, ``(quantity, draw)``."""
    from valuation.study.answers import definition_label
    from valuation.value import value

    deal = study.deal
    values = value(drivers, deal, only=("npv", "pays_off"))
    found: list[tuple[Quantity, np.ndarray]] = [
        (
            Quantity(str(name), definition_label(str(name), deal), "probability", "definition"),
            values["pays_off"].sel(definition=name).to_numpy(),
        )
        for name in values["definition"].to_numpy()
    ]
    found.append(
        (
            Quantity(
                EXPECTED_NPV, "Expected net present value", unit_in(BN, deal.currency), "value"
            ),
            values["npv"].to_numpy(),
        )
    )
    for group, data in (
        ("event", decision.driver_events(drivers, deal)),
        # A driver that is the same in every draw of one state may differ in the next.
        ("driver", decision.driver_scalars(drivers, deal, fixed=True)),
    ):
        for name, draws in data.data_vars.items():
            unit = "probability" if group == "event" else str(draws.attrs.get("units", ""))
            label = str(draws.attrs.get("label", name))
            found.append((Quantity(str(name), label, unit, group), draws.to_numpy()))
    return tuple(q for q, _ in found), np.array([np.asarray(x, dtype=float) for _, x in found])
