"""What every sub-model is made of: a context, curves, and one log-likelihood per evidence row.

A sub-model is a :class:`SubModel`: the names of its priors, its innovations, its curves and the
likelihood of each evidence kind. Formulas take ``(parameters, curves, ops)`` and serve sampling and
updating alike (see :mod:`valuation.ops`). Nothing here imports PyMC.

**Credibility.** A row whose claim is true with probability *c* contributes
``log(c p(y | theta) + (1 - c) p0(y))``, where ``p0`` is the prior-predictive probability of the
observation: a false claim carries no information, and a row with c = 0 moves nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from valuation.errors import LedgerError, ModelError
from valuation.models.memory import content
from valuation.ops import Array, Ops, numpy_ops
from valuation.schema import Kind, months_between

MONTHS_BEFORE = 24  # the monthly grid starts this long before the close, to meet earlier accounts
HALF_YEAR = 6  # months between the knots of the slow random walks
# Floors under what is taken the log of: double precision ends at 5e-324, whose log is -744.4.
LEAST_LOG, LEAST_MASS, LEAST_SHARE = -745.0, 1e-300, 1e-12

Parameters = Mapping[str, Array]
Curves = dict[str, Array]


@dataclass(frozen=True)
class Context:
    """Everything fixed that a sub-model may read: the deal, the priors and the rosters.

    Attributes
    ----------
    deal
        A :class:`valuation.params.Deal`.
    priors
        Prior by name, of one named set.
    people, customers, vendors, entities
        Rosters, one row a subject.
    credibility
        Grade → probability that a claim of that grade is true.
    reach
        Cut the curves after this many months, a multiple of six: sampling needs them only as far as
        evidence goes, and what lies beyond follows its prior exactly. None: the whole horizon.
    """

    deal: Any
    priors: Mapping[str, Any]
    people: pd.DataFrame
    customers: pd.DataFrame
    vendors: pd.DataFrame
    entities: pd.DataFrame
    credibility: Mapping[str, float]
    reach: int | None = None

    @cached_property
    def content(self) -> str:
        """Digest of all that is fixed here but the priors, of which each model reads its own."""
        rosters = (self.people, self.customers, self.vendors, self.entities)
        return content(self.deal, *rosters, sorted(self.credibility.items()), self.reach)

    @property
    def horizon(self) -> int:
        """Months from the close to the end of the grid: the deal's horizon, or ``reach`` if that is less."""
        full = round(self.deal.horizon_years * 12)
        return full if self.reach is None else min(full, self.reach)

    @property
    def months(self) -> np.ndarray:
        """The monthly grid, ``0 … horizon``, months since the close."""
        return np.arange(self.horizon + 1)

    @property
    def grid(self) -> np.ndarray:
        """The monthly grid that also reaches back before the close."""
        return np.arange(-MONTHS_BEFORE, self.horizon + 1)

    @property
    def knots(self) -> np.ndarray:
        """Half-yearly knots ``0, 6, … horizon`` of the slow random walks."""
        return np.arange(0, self.horizon + HALF_YEAR, HALF_YEAR)

    def month(self, date: dt.date) -> float:
        """Months from the close to ``date``."""
        return months_between(self.deal.closed, date)

    def prior(self, name: str) -> Any:
        """The prior of that name; :class:`ModelError` names the known ones."""
        try:
            return self.priors[name]
        except KeyError:
            raise ModelError(
                f"no prior named {name!r}; add it to the priors file. "
                f"Known: {', '.join(sorted(self.priors))}"
            ) from None

    @cached_property
    def starts(self) -> Mapping[str, float]:
        """Months from the close to the start of each person's clock: the later of the close and the entry."""
        return {
            subject: max(self.month(entry), 0.0)
            for subject, entry in zip(self.people["subject"], self.people["entry"], strict=True)
        }

    def subjects(self, roster: str) -> list[str]:
        """Subjects of a roster in its canonical (alphabetical) order."""
        column = "entity" if roster == "entities" else "subject"
        return sorted(getattr(self, roster)[column])

    def probability_true(self, row: pd.Series) -> float:
        """Probability that the claim of an evidence row is true."""
        return float(self.credibility[row["credibility"]])

    def truth(self, rows: pd.DataFrame) -> np.ndarray:
        """:meth:`probability_true` of each row, shape ``(rows,)``."""
        return np.array([self.probability_true(row) for _, row in rows.iterrows()])


class Term(Protocol):
    """Rows that are evaluated together."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Row ids in the order of the last axis."""

    def bind(self, parameters: Parameters, curves: Curves) -> Bound:
        """Fix ``p0`` from prior draws; returns what evaluates log-likelihoods.

        Raises
        ------
        LedgerError
            If no draw can bring a row about: its mixture would be void, and with it every row that it meets.
        """

    def given(self, log_p0: np.ndarray) -> Bound:
        """The same with log ``p0`` known, shape ``(rows,)``."""


class Bound(Protocol):
    """A term with its credibility mixture fixed."""

    @property
    def log_p0(self) -> np.ndarray:
        """Prior-predictive log probability of each row."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Row ids in the order of the last axis."""

    def log_likelihood(self, parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        """One log-likelihood per row, shape ``(..., rows)``."""

    def replicate(
        self, parameters: Parameters, curves: Curves, rng: np.random.Generator
    ) -> np.ndarray:
        """Replicated observations ``(draw, rows)`` for predictive checks."""


RowLogp = Callable[[Parameters, Curves, Ops], Array]
Replicate = Callable[[Parameters, Curves, np.random.Generator], np.ndarray]


def log_mean_exp(x: np.ndarray) -> np.ndarray:
    """log of the mean of exp(x) over the first axis, without overflow."""
    top = x.max(axis=0)
    return top + np.log(np.mean(np.exp(x - top), axis=0))


def _refuse_impossible(ids: Sequence[str], log_p0: np.ndarray) -> None:
    """Refuse rows that no prior draw can bring about, or for which ``p0`` is no number."""
    if bad := [row for row, p0 in zip(ids, log_p0, strict=True) if not np.isfinite(p0)]:
        raise LedgerError(
            f"row {row}: no state of the world that its model knows can bring it about; correct its "
            "event_date, subject or value, or clear kind, value, sd and unit to keep it as context"
            for row in bad
        )


def _irreconcilable(names: Iterable[str]) -> LedgerError:
    return LedgerError(
        f"rows {', '.join(names)} cannot all be true and none may be doubted; "
        "supersede one of them or lower its credibility"
    )


@dataclass(frozen=True)
class Independent:
    """Rows that are independent given the curves.

    Attributes
    ----------
    ids
        Row ids, in the order of the last axis of ``logp``.
    truth
        Probability that each row's claim is true, shape ``(rows,)``.
    logp
        Log-density of the rows if true, shape ``(..., rows)``.
    simulate
        Draws new observations, ``(draw, rows)``.
    """

    ids: tuple[str, ...]
    truth: np.ndarray
    logp: RowLogp
    simulate: Replicate

    def bind(self, parameters: Parameters, curves: Curves) -> BoundIndependent:
        plain = np.asarray(self.logp(parameters, curves, numpy_ops()), dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_p0 = log_mean_exp(plain)
        _refuse_impossible(self.ids, log_p0)
        return self.given(log_p0)

    def given(self, log_p0: np.ndarray) -> BoundIndependent:
        return BoundIndependent(self, log_p0)


@dataclass(frozen=True)
class BoundIndependent:
    """:class:`Independent` rows with their prior-predictive log-density ``log_p0``."""

    term: Independent
    log_p0: np.ndarray

    @property
    def ids(self) -> tuple[str, ...]:
        return self.term.ids

    def log_likelihood(self, parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        plain = self.term.logp(parameters, curves, ops)
        with np.errstate(divide="ignore"):
            log_true, log_false = np.log(self.term.truth), np.log1p(-self.term.truth)
        mixed = ops.logaddexp(
            np.maximum(log_true, LEAST_LOG) + plain, np.maximum(log_false, LEAST_LOG) + self.log_p0
        )
        # Exact ends: certain rows are the plain likelihood, incredible ones a constant.
        return ops.where(
            self.term.truth >= 1.0, plain, ops.where(self.term.truth <= 0.0, self.log_p0, mixed)
        )

    def replicate(
        self, parameters: Parameters, curves: Curves, rng: np.random.Generator
    ) -> np.ndarray:
        return self.term.simulate(parameters, curves, rng)


# --- life courses: sightings and exits of one subject telescope -----------------------------------


@dataclass(frozen=True)
class Observation:
    """One row about a subject's life course.

    ``exit`` says the subject left within ``(lower, upper]``, at exactly ``upper`` if ``lower`` is None;
    otherwise it was seen in place at ``upper``. Times are on the subject's own clock, in months.
    """

    id: str
    subject: int
    exit: bool
    upper: float
    lower: float | None
    truth: float


@dataclass(frozen=True)
class LifeProcess:
    """Where a life course gets its hazard.

    ``log_survival(parameters, curves, subject, t, ops)`` and ``log_hazard(...)`` return ``(..., n)``
    for arrays ``subject`` and ``t`` of length n. ``log_no_return(parameters, elapsed, ops)`` is the log
    probability of not having come back ``elapsed`` months after leaving; None if nobody comes back.
    """

    log_survival: Callable[[Parameters, Curves, np.ndarray, np.ndarray, Ops], Array]
    log_hazard: Callable[[Parameters, Curves, np.ndarray, np.ndarray, Ops], Array]
    log_no_return: Callable[[Parameters, np.ndarray, Ops], Array] | None = None


class State(NamedTuple):
    """What is so of a subject if some of its rows are true; months on its own clock.

    Attributes
    ----------
    lower, upper
        It left within ``(lower, upper]``, at exactly ``upper`` if ``lower`` is None; both None while it is in place.
    seen
        When it was last seen in place before that.
    returned
        When it was first seen in place after having left; None if it was not.
    """

    lower: float | None = None
    upper: float | None = None
    seen: float = 0.0
    returned: float | None = None


UNKNOWN = State()  # of a subject without rows


@dataclass(frozen=True)
class LifeCourse:
    """Rows about subjects whose sightings and exits telescope.

    The likelihood of a subject's rows is the sum over which of them are true: with sightings at
    ``t1 < t2`` both true it is ``S(t2)``, so the second row contributes ``S(t2)/S(t1)``; an exit after a
    sighting contributes ``f(t)/S(t1)``; false rows contribute their prior-predictive probability. Every
    state's weight is a constant, so the whole is a linear form in survival probabilities. The order in
    which rows arrived plays no part: they are taken by their time on the subject's clock.
    """

    observations: tuple[Observation, ...]
    process: LifeProcess

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(o.id for o in self.observations)

    def bind(self, parameters: Parameters, curves: Curves) -> BoundLifeCourse:
        ops = numpy_ops()
        states = [_exit_state(o, 0.0) if o.exit else State(seen=o.upper) for o in self.observations]
        marginal = _state_probability(
            self.process, [o.subject for o in self.observations], states, parameters, curves, ops
        )
        p0 = np.asarray(marginal, dtype=float).mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_p0 = np.log(p0)
        _refuse_impossible(self.ids, log_p0)
        bound = self.given(log_p0)
        # Each row may be possible and all of them together not: then no draw leaves any state a mass.
        mass = np.asarray(bound.probabilities(parameters, curves, ops)) @ bound.current.T
        void = {
            row.subject
            for row, reached in zip(self.observations, (mass > 0.0).any(axis=0), strict=True)
            if not reached
        }
        if void:
            raise _irreconcilable(o.id for o in self.observations if o.subject == min(void))
        return bound

    def given(self, log_p0: np.ndarray) -> BoundLifeCourse:
        p0 = np.exp(log_p0)
        return BoundLifeCourse(self, p0, *_walk(self.observations, p0, self.process))


def _exit_state(row: Observation, seen: float) -> State | None:
    """The state after an exit of a subject last seen at ``seen``; None if impossible."""
    if row.lower is None:
        return None if seen > row.upper else State(None, row.upper, seen)
    lower = max(row.lower, seen)
    return None if lower >= row.upper else State(lower, row.upper, seen)


def _walk(
    observations: Sequence[Observation], p0: np.ndarray, process: LifeProcess
) -> tuple[tuple[tuple[int, State], ...], np.ndarray, np.ndarray, dict[int, dict[State, float]]]:
    """Weights of the states before and after each row.

    Returns the distinct ``(subject, state)`` pairs, the weights after and before each row, shapes
    ``(rows, states)``, and each subject's final weights by state.
    """
    order = sorted(
        range(len(observations)),
        key=lambda i: (observations[i].subject, observations[i].upper, observations[i].id),
    )
    index: dict[tuple[int, State], int] = {}
    before: list[dict[int, float]] = [{} for _ in observations]
    after: list[dict[int, float]] = [{} for _ in observations]
    final: dict[int, dict[State, float]] = {}

    def position(subject: int, state: State) -> int:
        return index.setdefault((subject, state), len(index))

    for i in order:
        row = observations[i]
        weights = final.get(row.subject, {UNKNOWN: 1.0})
        before[i] = {position(row.subject, s): w for s, w in weights.items()}
        updated: dict[State, float] = {}
        for state, weight in weights.items():
            if row.truth < 1.0:
                updated[state] = updated.get(state, 0.0) + weight * (1.0 - row.truth) * p0[i]
            if row.truth > 0.0:
                for new in _after_true_row(state, row, process):
                    updated[new] = updated.get(new, 0.0) + weight * row.truth
        total = sum(updated.values())
        if not total > 0.0:
            raise _irreconcilable(o.id for o in observations if o.subject == row.subject)
        final[row.subject] = updated
        after[i] = {position(row.subject, s): w for s, w in updated.items()}
    current, previous = (np.zeros((len(observations), len(index))) for _ in range(2))
    for i in range(len(observations)):
        for j, w in after[i].items():
            current[i, j] = w
        for j, w in before[i].items():
            previous[i, j] = w
    return tuple(index), current, previous, final


def _after_true_row(state: State, row: Observation, process: LifeProcess) -> list[State]:
    """The states that a row leads to if it is true; none if it cannot be."""
    if state.upper is None:  # still in place so far
        if row.exit:
            new = _exit_state(row, state.seen)
            return [] if new is None else [new]
        return [State(seen=max(state.seen, row.upper))]
    if row.exit:  # a second report of an exit: the first date stands, nothing new is claimed
        return [state]
    if process.log_no_return is None:
        return []  # seen in place after having left: both cannot be true
    return [state if state.returned is not None else state._replace(returned=row.upper)]


def _state_probability(
    process: LifeProcess,
    subjects: Sequence[int],
    states: Sequence[State | None],
    parameters: Parameters,
    curves: Curves,
    ops: Ops,
) -> Array:
    """Probability (or density) of each state given its subject's hazard, shape ``(..., states)``."""
    who = np.asarray(subjects, dtype=int)
    possible = np.array([s is not None for s in states])
    told = [UNKNOWN if s is None else s for s in states]
    left = np.array([s.upper is not None for s in told])
    dated = np.array([s.lower is None for s in told])
    alive, exact, window = possible & ~left, possible & left & dated, possible & left & ~dated
    last = np.array([s.upper or 0.0 for s in told])
    first = np.array(
        [s.seen if s.upper is None else s.upper if s.lower is None else s.lower for s in told]
    )
    s_first = ops.exp(process.log_survival(parameters, curves, who, first, ops))
    s_last = ops.exp(process.log_survival(parameters, curves, who, last, ops))
    hazard = ops.exp(process.log_hazard(parameters, curves, who, last, ops))
    # (alive) S(seen); (exact) h(t) S(t); (window) S(lower) - S(upper)
    value = alive * s_first + exact * hazard * s_last + window * (s_first - s_last)
    if process.log_no_return is not None:
        returned = np.array([s.returned is not None for s in told])
        elapsed = np.array([max((s.returned or 0.0) - (s.upper or 0.0), 0.0) for s in told])
        elapsed = np.where(returned, elapsed, 0.0)
        back = -ops.expm1(process.log_no_return(parameters, elapsed, ops))
        value = value * ops.where(returned, back, 1.0)
    return value


@dataclass(frozen=True)
class BoundLifeCourse:
    """A :class:`LifeCourse` whose state weights are fixed."""

    term: LifeCourse
    p0: np.ndarray
    states: tuple[tuple[int, State], ...]
    current: np.ndarray
    previous: np.ndarray
    final: dict[int, dict[State, float]] = field(repr=False)

    @property
    def log_p0(self) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(self.p0)

    @property
    def ids(self) -> tuple[str, ...]:
        return self.term.ids

    def probabilities(self, parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        """Probability of every state, shape ``(..., states)``."""
        return _state_probability(
            self.term.process,
            [subject for subject, _ in self.states],
            [state for _, state in self.states],
            parameters,
            curves,
            ops,
        )

    def log_likelihood(self, parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        value = self.probabilities(parameters, curves, ops)
        now, before = (ops.dot(value, mass.T) for mass in (self.current, self.previous))
        return ops.log(now + LEAST_MASS) - ops.log(before + LEAST_MASS)

    def replicate(
        self, parameters: Parameters, curves: Curves, rng: np.random.Generator
    ) -> np.ndarray:
        """Probability of each row's event by its date, before any row about its subject is seen."""
        del rng
        rows = self.term.observations
        who = np.array([o.subject for o in rows])
        upper = np.array([o.upper for o in rows])
        survival = np.exp(
            self.term.process.log_survival(parameters, curves, who, upper, numpy_ops())
        )
        return np.where(np.array([o.exit for o in rows]), 1.0 - survival, survival)

    def weights(
        self, parameters: Parameters, curves: Curves
    ) -> dict[int, tuple[list[State], np.ndarray]]:
        """Posterior probability of each subject's states, ``{subject: (states, (draw, states))}``."""
        value = np.asarray(self.probabilities(parameters, curves, numpy_ops()))
        out: dict[int, tuple[list[State], np.ndarray]] = {}
        position = {pair: j for j, pair in enumerate(self.states)}
        for subject, weights in self.final.items():
            states = list(weights)
            columns = [position[(subject, s)] for s in states]
            mass = value[:, columns] * np.array([weights[s] for s in states])
            total = mass.sum(axis=1, keepdims=True)
            if not (total > 0.0).any():
                raise _irreconcilable(o.id for o in self.term.observations if o.subject == subject)
            # Where a draw's mass underflows, its rows weigh exp(-690): any share will do, but no NaN.
            even = np.full_like(mass, 1.0 / len(states))
            out[subject] = (states, np.divide(mass, total, out=even, where=total > 0.0))
        return out

    def occupancy(
        self, parameters: Parameters, curves: Curves, subject: int, times: np.ndarray, ops: Ops
    ) -> Array:
        """:func:`occupancy` of one subject, shape ``(..., times)``."""
        return occupancy(
            self.term.process, self, parameters, curves, [subject], np.asarray(times)[None], ops
        )[..., 0, :]


def occupancy(
    process: LifeProcess,
    life: BoundLifeCourse | None,
    parameters: Parameters,
    curves: Curves,
    subjects: Sequence[int],
    times: np.ndarray,
    ops: Ops,
) -> Array:
    """P(each subject in place at each of its ``times`` | its rows), shape ``(..., subject, time)``.

    Before a sighting a subject is in place; one that came back counts from its return; one without rows follows its
    survival. ``times`` has shape ``(subject, time)``, on the subjects' own clocks. For the sampler all subjects are
    evaluated together, one pass per rank of their states, so that its graph stays small.
    """
    size, length = times.shape
    if ops.name == "numpy" and size > 1:
        # Draws in front make the arrays large: subject by subject they stay in the processor's cache.
        each = [
            occupancy(process, life, parameters, curves, [subject], times[[i]], ops)[..., 0, :]
            for i, subject in enumerate(subjects)
        ]
        return np.stack(each, axis=-2)
    known = {} if life is None else life.final
    weighted = [list(known.get(s, {UNKNOWN: 1.0}).items()) for s in subjects]
    who = np.repeat(np.asarray(subjects, dtype=int), length)
    log_s = ops.unflatten(
        process.log_survival(parameters, curves, who, times.reshape(-1), ops), (size, length)
    )
    if all(states == [(UNKNOWN, 1.0)] for states in weighted):
        return ops.exp(log_s)  # nothing is known of anybody
    # Mass of every (subject, state), and each subject's total.
    pairs = [(i, state, w) for i, states in enumerate(weighted) for state, w in states]
    owner = np.array([i for i, _, _ in pairs])
    value = _state_probability(
        process, [subjects[i] for i in owner], [s for _, s, _ in pairs], parameters, curves, ops
    )
    mass = value * np.array([w for _, _, w in pairs])
    total = ops.dot(mass, (owner[:, None] == np.arange(size)).astype(float))
    share = mass / total[..., owner]
    ranks = [(i, r) for i, states in enumerate(weighted) for r in range(len(states))]
    place = {pair: n for n, pair in enumerate(ranks)}
    result: Array = 0.0
    for rank in range(max(len(states) for states in weighted)):
        present = np.array([rank < len(states) for states in weighted]).astype(float)
        here = [states[rank][0] if rank < len(states) else UNKNOWN for states in weighted]
        column = np.array([place.get((i, rank), 0) for i in range(size)])
        inside = _in_place(process, parameters, curves, subjects, here, log_s, times, ops)
        result = result + (share[..., column] * present)[..., None] * inside
    return result


def _in_place(
    process: LifeProcess,
    parameters: Parameters,
    curves: Curves,
    subjects: Sequence[int],
    states: Sequence[State],
    log_s: Array,
    times: np.ndarray,
    ops: Ops,
) -> Array:
    """P(in place at ``times`` | state), one state a subject, shape ``(..., subject, time)``."""

    def column(values: list[float]) -> np.ndarray:
        return np.array(values, dtype=float)[:, None]

    def log_at(values: list[float]) -> Array:
        at = process.log_survival(parameters, curves, np.asarray(subjects), np.array(values), ops)
        return at[..., None]

    # Survival falls, so S(max(t, a)) is the lesser of S(t) and S(a): one pass over the times serves all.
    at_seen = log_at([s.seen for s in states])
    inside = ops.exp(ops.minimum(log_s, at_seen) - at_seen)
    left = np.array([s.upper is not None for s in states])[:, None]
    if not left.any():
        return inside
    upper = [s.upper or 0.0 for s in states]
    lower = [up if s.lower is None else s.lower for up, s in zip(upper, states, strict=True)]
    exact = np.array([s.lower is None for s in states])[:, None]
    # Within the window the exit time is spread in proportion to the hazard.
    a, b = ops.exp(log_at(lower)), ops.exp(log_at(upper))
    gone = (ops.minimum(ops.maximum(ops.exp(log_s), b), a) - b) / ops.maximum(a - b, LEAST_SHARE)
    if exact.any():
        gone = ops.where(exact, 1.0 * (times < column(upper)), gone)
    if process.log_no_return is not None:
        # Back by the day it was seen again; otherwise at the return rate since it left.
        elapsed = np.maximum(times - column(upper), 0.0)
        kept = process.log_no_return(parameters, elapsed.reshape(-1), ops)
        back = -ops.expm1(ops.unflatten(kept, elapsed.shape)) * (elapsed > 0.0)
        again = column([np.inf if s.returned is None else s.returned for s in states])
        later = gone + (1.0 - gone) * back
        if np.isfinite(again).any():
            met = ops.where(times >= again, 1.0, gone)
            later = ops.where(np.isinf(again), later, met)
        gone = later
    return ops.where(left, gone, inside)


# --- the record that registers a sub-model --------------------------------------------------------


@dataclass(frozen=True)
class SubModel:
    """A sub-model: what it declares, what it derives and what evidence it reads.

    Attributes
    ----------
    scalars
        ``context -> names`` of the priors it uses.
    innovations
        ``context -> {name: (dim, labels)}`` of its standard-normal vectors (non-centred throughout).
    curves
        ``(context, parameters, curves so far, bound terms so far, ops) -> new curves``.
    terms
        ``(context, scored rows of its kinds) -> terms``.
    last
        ``(context, scored rows of its kinds) -> months`` that its rows look to, where that may be later than their
        dates.
    conditions
        Whether curves condition on the model's own rows. With None for the bound terms, it gives those that do not,
        which are all that its terms may read.
    """

    name: str
    title: str
    equation: tuple[str, ...]
    requires: tuple[str, ...]
    kinds: tuple[Kind, ...]
    scalars: Callable[[Context], list[str]]
    innovations: Callable[[Context], dict[str, tuple[str, list[Any]]]]
    curves: Callable[[Context, Parameters, Curves, Any, Ops], Curves]
    terms: Callable[[Context, pd.DataFrame], list[tuple[str, Term]]]
    conditions: bool = False
    last: Callable[[Context, pd.DataFrame], float] | None = None


def graded_logp(
    grade: np.ndarray, latent: Array, informativeness: Array, cut: Array, width: Array, ops: Ops
) -> Array:
    """Ordered logit of reports graded -1, 0, +1 on one latent quantity, shape ``(..., rows)``.

    ``P(-1) = sigmoid(cut - b x)``, ``P(+1) = sigmoid(b x - cut - width)``: ``cut`` > 0 says that the
    press dwells on trouble, ``b`` how much a report reveals.
    """
    score = (informativeness * latent)[..., None]
    low = ops.log_sigmoid(cut[..., None] - score + 0.0 * grade)
    high = ops.log_sigmoid(score - cut[..., None] - width[..., None] + 0.0 * grade)
    middle = ops.log(ops.maximum(1.0 - ops.exp(low) - ops.exp(high), LEAST_SHARE))
    return ops.where(grade < 0, low, ops.where(grade > 0, high, middle))


def graded_draws(
    n: int,
    latent: np.ndarray,
    informativeness: np.ndarray,
    cut: np.ndarray,
    width: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Replicated grades, shape ``(draw, n)``."""
    ops = numpy_ops()
    low = np.exp(graded_logp(np.full(1, -1.0), latent, informativeness, cut, width, ops))
    high = np.exp(graded_logp(np.full(1, 1.0), latent, informativeness, cut, width, ops))
    u = rng.random((latent.shape[0], n))
    return np.where(u < low, -1.0, np.where(u > 1.0 - high, 1.0, 0.0))


def graded_reports(
    context: Context, rows: pd.DataFrame, latent: str, informativeness: str
) -> Independent:
    """Rows that are graded reports on the parameter ``latent``; all kinds of them share how the press grades."""
    grade = rows["value"].to_numpy(float)
    names = (latent, informativeness, "report_cut", "report_width")

    def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        x, b, cut, width = (parameters[name] for name in names)
        return graded_logp(grade, x, b, cut, width, ops)

    def simulate(parameters: Parameters, curves: Curves, rng: np.random.Generator) -> np.ndarray:
        x, b, cut, width = (parameters[name] for name in names)
        return graded_draws(len(grade), x, b, cut, width, rng)

    return Independent(tuple(rows["id"]), context.truth(rows), logp, simulate)


def need_grade(value: float | None, sd: float | None) -> str | None:
    if value is None:
        return "value is missing; give -1, 0 or 1, the report's grade"
    if value not in (-1.0, 0.0, 1.0):
        return "value must be -1, 0 or 1; write the report's grade"
    return None if sd is None else "a graded report takes no sd; leave it blank"


def need_indicator(value: float | None, sd: float | None) -> str | None:
    if value is None:
        return "value is missing; give 0 or 1"
    if value not in (0.0, 1.0):
        return "value must be 0 or 1"
    return None if sd is None else "an indicator takes no sd; leave it blank"


def need_nothing(value: float | None, sd: float | None) -> str | None:
    if value is not None or sd is not None:
        return "this kind takes neither value nor sd; leave both blank"
    return None


def need_window(value: float | None, sd: float | None) -> str | None:
    if value is not None and not 0.0 < value <= 120.0:
        return (
            "value is the width of the window in months, above 0 and at most 120 (blank: exact day)"
        )
    return None if sd is None else "this kind takes no sd; leave it blank"


def need_count(value: float | None, sd: float | None) -> str | None:
    if value is None:
        return "value is missing; give a whole number, 0 or more"
    if value < 0 or value != int(value):
        return "value must be a whole number, 0 or more"
    return None if sd is None else "a count takes no sd; leave it blank"


@dataclass(frozen=True)
class NeedPositive:
    """The check of a figure above 0 and at most ``most``, its error a fraction of it."""

    most: float
    sd_least: float
    sd_most: float

    def __call__(self, value: float | None, sd: float | None) -> str | None:
        if value is None:
            return f"value is missing; give the figure, above 0 and at most {self.most:.10g}"
        if not 0.0 < value <= self.most:
            return f"value must be above 0 and at most {self.most:.10g}; check the unit"
        if sd is None or not self.sd_least <= sd <= self.sd_most:
            what = "sd is missing; it" if sd is None else "sd"
            return (
                f"{what} must be between {self.sd_least:g} and {self.sd_most:g}; state the error of the figure as a "
                "fraction of it, 0.05 for 5 per cent"
            )
        return None

    def times(self, scale: float) -> NeedPositive:
        """The same for figures whose unit is smaller by so much."""
        return replace(self, most=self.most * scale)
