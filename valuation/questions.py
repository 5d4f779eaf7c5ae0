"""Dated questions put to a forecast: the share of draws in which what is asked comes true, or how much it comes to.

``seeds/questions.csv`` gives a question's event, subject, threshold and dates; :data:`EVENTS` holds a function for
each event, :data:`QUANTITIES` one for each quantity (a question with a unit), which is answered by equally likely
values. What is known is part of the draws, so what has happened comes out as 1 and what cannot happen any more
as 0, as far as the evidence is believed. A question counts what happens up to and on the day it closes.
One that no model answers has the probability of the person who signed one, and else its base rate: every yes-or-no
question is on record, and says whose word it is.

Probabilities are of a forecast without interventions: ``sets`` overrule drivers, not people and customers.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import decision, gate
from valuation.errors import LedgerError, ModelError
from valuation.forecast import MOMENT, happened
from valuation.models.joint import keyed_rng
from valuation.schema import CUSTOMER, DRAW, MONTH, PERSON, TAIL, date_after, months_between

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from valuation.gate import Ages
    from valuation.ledger import Ledger
    from valuation.params import Deal

MODEL = "model"
BASE_RATE = "base rate"  # who answers, beside people by name
SEVERAL = ";"  # between subjects of which any one suffices
SOME_OF = re.compile(r"(\d+) of (.+)")  # a part of a group
# Of the values that answer a quantity.
LEVELS: tuple[float, ...] = tuple((i + 0.5) / 20 for i in range(20))


@dataclass(frozen=True)
class Question:
    """One row of ``questions.csv``, blanks None.

    Attributes
    ----------
    outcome
        ``yes``, ``no``, ``annulled``, ``ambiguous`` or, of a quantity, ``measured``; None while it is open.
    person, person_probability
        Who said how likely it is, for a question that no model answers.
    unit
        Of a quantity; None where the answer is yes or no.
    value
        What a quantity came to, in its unit.
    base_value
        What would be said of a quantity without a model, in its unit.
    """

    id: str
    question: str
    opens: dt.date
    closes: dt.date
    event: str | None = None
    subject: str | None = None
    threshold: str | None = None
    base_rate: float | None = None
    outcome: str | None = None
    resolved: dt.date | None = None
    person: str | None = None
    person_probability: float | None = None
    unit: str | None = None
    value: float | None = None
    base_value: float | None = None
    resolution_source: str | None = None
    fine_print: str | None = None
    base_rate_source: str | None = None

    @property
    def is_quantity(self) -> bool:
        """Whether it asks how much, and not whether."""
        return self.unit is not None

    @property
    def is_open(self) -> bool:
        return self.outcome is None

    @property
    def driver(self) -> str:
        """What it hangs on: questions about one driver are not independent."""
        return DRIVER_OF.get(self.event or "", "no model")

    @property
    def rests_on_base_rate(self) -> bool:
        """Whether neither a model nor a person answers it, so that its base rate does."""
        nobody = self.event is None and self.person_probability is None
        return nobody and self.base_rate is not None and not self.is_quantity

    @property
    def number(self) -> float:
        """The threshold; :class:`LedgerError` if it is not a number."""
        try:
            return float(self.threshold or "")
        except ValueError:
            raise LedgerError(
                f"questions.csv: {self.id}: {self.event} needs a number as its threshold, not "
                f"{self.threshold!r}; write digits"
            ) from None


_FIELDS = tuple(Question.__dataclass_fields__)


def questions_of(frame: pd.DataFrame) -> tuple[Question, ...]:
    """The questions of a ledger, in the order of their ids.

    Raises
    ------
    LedgerError
        If an event is not among :data:`EVENTS`, or a threshold that it needs is no number.
    """
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    found = tuple(Question(**{name: row.get(name) for name in _FIELDS}) for row in rows)
    problems = [problem for q in found if (problem := problem_of(q))]
    if problems:
        raise LedgerError(problems)
    return tuple(sorted(found, key=lambda q: q.id))


def waiting(frame: pd.DataFrame, day: dt.date) -> dict[str, float]:
    """Days from the close of each question without an outcome to ``day``, by id; negative while it is open."""
    return {q.id: float((day - q.closes).days) for q in questions_of(frame) if q.is_open}


def freshness(
    ledger: Ledger, deal: Deal, limits: Ages, *, day: dt.date, option: str = ""
) -> dict[str, Any] | None:
    """How old the evidence and the unanswered questions are on a day, as :func:`valuation.gate.freshness` tells it.

    None of a deal whose ending is known: it is seen blind, from the past, on purpose.
    """
    if deal.ending is not None:
        return None
    late = waiting(ledger.questions, day)
    return gate.freshness(ledger.newest, late, limits, day=day, option=option)


def problem_of(question: Question) -> str:
    """Why a model cannot be asked a question that names an event, in words; empty if it can."""
    event = question.event
    if event is None:
        return ""
    known = QUANTITIES if question.is_quantity else EVENTS
    if event not in known:
        kind = f"quantity in {question.unit}" if question.is_quantity else "event"
        return (
            f"questions.csv: {question.id}: unknown {kind} {event!r}; leave it blank or use one of "
            f"{', '.join(known)}"
        )
    if event in NUMBERED:
        try:
            question.number  # noqa: B018
        except LedgerError as error:
            return str(error)
    return ""


# --- what each event asks -------------------------------------------------------------------------
# Each function takes drivers as of :func:`valuation.forecast.asked` and the question, and returns whether it comes
# true in each draw, or how much it comes to, shape ``(draw,)``.

Event = Callable[["xr.Dataset", Question], "NDArray[Any]"]


def _end_of(drivers: xr.Dataset, day: dt.date) -> float:
    """Months from the close to a day, with what is dated that very day before it."""
    closed = dt.date.fromisoformat(str(drivers.attrs["closed"]))
    return months_between(closed, day) + MOMENT


def _within(drivers: xr.Dataset, question: Question) -> float:
    """The closing day; :class:`ModelError` if the forecast does not reach it."""
    month = _end_of(drivers, question.closes)
    last = float(drivers[MONTH][-1])
    if month > last + 1.0:
        raise ModelError(
            f"question {question.id} closes on {question.closes}, after the forecast's {last:g} months; "
            "lengthen the deal's horizon or close it earlier"
        )
    return month


def _subjects(drivers: xr.Dataset, question: Question, dim: str) -> list[str]:
    """The subjects asked about; :class:`ModelError` lists those there are."""
    named = [s.strip() for s in (question.subject or "").split(SEVERAL) if s.strip()]
    known = [str(s) for s in drivers[dim].to_numpy()]
    missing = [s for s in named if s not in known]
    if missing or not named:
        told = ", ".join(map(repr, missing)) or "no subject"
        raise ModelError(
            f"question {question.id}: {told} among those of this date; {dim}s: {', '.join(known)}"
        )
    return named


def _times(drivers: xr.Dataset, question: Question, name: str, dim: str) -> NDArray[Any]:
    """Event times of the subjects asked about, months since the close, ``(draw, subject)``."""
    subjects = _subjects(drivers, question, dim)
    return drivers[name].sel({dim: subjects}).transpose(DRAW, dim).to_numpy()


def _person_exit(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    times = _times(drivers, question, "person_exit", PERSON)
    return (times < _within(drivers, question)).any(axis=1)


def _in_post(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    times = _times(drivers, question, "person_exit", PERSON)
    return (times >= _within(drivers, question)).all(axis=1)


def _exits(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """Exits of a cohort, or of people and groups by name: those named, and those reported of groups.

    ``10 of GROUP`` are ten of its members that nobody tells from the others.
    """
    until = _within(drivers, question)
    named = [s.strip() for s in (question.subject or "").split(SEVERAL)]
    parts = {m[2]: int(m[1]) for m in map(SOME_OF.fullmatch, named) if m}
    named = [s for s in named if not SOME_OF.fullmatch(s)]
    people = drivers["person_cohort"].isin(named) | drivers[PERSON].isin(named)
    members = drivers["member_cohort"].isin(named) | drivers["member_group"].isin(named)
    groups = drivers["member_group"].to_numpy()
    known_parts = all(0 < k <= (groups == group).sum() for group, k in parts.items())
    if not known_parts or not (parts or people.any() or members.any()):
        known = sorted({str(c) for c in drivers["person_cohort"].to_numpy()})
        raise ModelError(
            f"question {question.id}: nobody of {question.subject!r} is known on this date; "
            f"name a cohort ({', '.join(known)}), or people and groups with {SEVERAL!r} between; a part of a group "
            "reads `2 of GROUP`"
        )
    out = (drivers["person_exit"].isel({PERSON: people.to_numpy()}) < until).sum(PERSON)
    out = out + (drivers["reported_exit"].isel(member=members.to_numpy()) < until).sum("member")
    total = out.to_numpy()
    for group, count in parts.items():
        times = drivers["reported_exit"].isel(member=groups == group).transpose(DRAW, "member")
        rng = keyed_rng(int(drivers.attrs["random_seed"]), f"{question.id} some of {group}")
        some = rng.random(times.shape).argsort(axis=1)[:, :count]  # members stand in order of exits
        total = total + (np.take_along_axis(times.to_numpy(), some, axis=1) < until).sum(axis=1)
    return np.asarray(total)


def _exits_at_least(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    return _exits(drivers, question) >= question.number


def _customer_end(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    times = _times(drivers, question, "customer_end", CUSTOMER)
    return (times < _within(drivers, question)).any(axis=1)


def _customer_return(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    times = _times(drivers, question, "customer_return", CUSTOMER)
    return (times < _within(drivers, question)).any(axis=1)


def _customer_active(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    until = _within(drivers, question)
    ends = _times(drivers, question, "customer_end", CUSTOMER)
    returns = _times(drivers, question, "customer_return", CUSTOMER)
    return ((ends >= until) | (returns < until)).all(axis=1)


def _path(drivers: xr.Dataset, name: str) -> NDArray[Any]:
    return drivers[name].transpose(DRAW, MONTH).to_numpy()


def revenue_year(question: Question) -> int:
    """The calendar year whose revenue is asked for: the last that is over before the day it closes."""
    return question.closes.year - 1


def year_revenue(drivers: xr.Dataset, year: int) -> NDArray[Any]:
    """Revenue of a calendar year, bn, ``(draw,)``: the mean run rate of its twelve mid-months.

    Raises :class:`ModelError` if the year begins before the model's months or ends after them.
    """
    closed = dt.date.fromisoformat(str(drivers.attrs["closed"]))
    points = months_between(closed, dt.date(year, 1, 1)) + np.arange(12) + 0.5
    grid = np.concatenate([drivers["past_month"].to_numpy(), drivers[MONTH].to_numpy()])
    if points[0] < grid[0] or points[-1] > grid[-1]:
        raise ModelError(
            f"revenue of {year} is asked for, but the model's months go from "
            f"{date_after(closed, int(grid[0]))} to {date_after(closed, int(grid[-1]))}; ask for "
            "a year that lies within them"
        )
    past = drivers["revenue_past"].transpose(DRAW, "past_month").to_numpy()
    rate = np.concatenate([past, _path(drivers, "revenue")], axis=1)
    left = np.clip(np.floor(points - grid[0]).astype(int), 0, len(grid) - 2)
    part = np.minimum(points - grid[left], 1.0)
    return np.asarray((rate[:, left] * (1.0 - part) + rate[:, left + 1] * part).mean(axis=1))


def _revenue(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    _within(drivers, question)
    try:
        return year_revenue(drivers, revenue_year(question))
    except ModelError as error:
        raise ModelError(f"question {question.id}: {error}; or close it in another year") from None


def _revenue_at_least(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    return np.asarray(_revenue(drivers, question) >= question.number)


def _purchases_at_least(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """In any twelve months of the contract that are over when it closes; bn."""
    last = int(_within(drivers, question))
    spent = _path(drivers, "purchases")[:, : last + 1]
    if spent.shape[1] < 12:
        return np.zeros(len(spent), dtype=bool)
    total = np.cumsum(np.pad(spent, ((0, 0), (1, 0))), axis=1)
    return np.asarray((total[:, 12:] - total[:, :-12]).max(axis=1) / 12.0 >= question.number)


def _gap_at(drivers: xr.Dataset, month: float) -> NDArray[Any]:
    """The gap to the frontier on a day, index points, ``(draw,)``."""
    path = _path(drivers, "capability_gap")
    left = int(np.clip(np.floor(month), 0, path.shape[1] - 2))
    part = float(np.clip(month - left, 0.0, 1.0))
    return np.asarray(path[:, left] * (1.0 - part) + path[:, left + 1] * part)


def lab_rank(drivers: xr.Dataset, gap: NDArray[Any]) -> NDArray[Any]:
    """The rank among labs that a gap to the frontier implies, 1 the best, ``(draw,)``."""
    return np.asarray(1.0 + np.maximum(gap, 0.0) / drivers["rank_spacing"].to_numpy())


def _lab_rank_at_most(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """The rank that the gap implies on the day it closes, to the nearest whole."""
    rank = lab_rank(drivers, _gap_at(drivers, _within(drivers, question)))
    return np.asarray(rank < question.number + 0.5)


def _index_gap(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """How far behind the leader on the day it closes; whoever leads is not behind."""
    return np.maximum(_gap_at(drivers, _within(drivers, question)), 0.0)


def _index_gap_at_most(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """On some day from its opening on."""
    start, end = _end_of(drivers, question.opens), _within(drivers, question)
    inner = np.arange(np.ceil(max(start, 0.0)), np.floor(end) + 1.0).astype(int)
    gap = np.stack([_gap_at(drivers, max(start, 0.0)), _gap_at(drivers, end)], axis=1)
    inner = inner[inner < drivers.sizes[MONTH]]
    whole = _path(drivers, "capability_gap")[:, inner]
    least = np.concatenate([gap, whole], axis=1).min(axis=1)
    return np.asarray(least <= question.number)


def _milestone(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """A model date is met; what was reported of the day it closes stands as far as it is believed."""
    draws = drivers.sizes[DRAW]
    rng = keyed_rng(int(drivers.attrs["random_seed"]), f"milestone {question.id}")
    met = rng.random(draws) < drivers["milestone_chance"].to_numpy()
    days = drivers["announced"].to_numpy().astype("datetime64[D]")
    for i in np.flatnonzero(days == np.datetime64(question.closes)):
        believed = rng.random(draws) < float(drivers["truth"][i])
        met = np.where(believed, float(drivers["milestone_met"][i]) > 0.5, met)
    return np.asarray(met)


def _impairment(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """In accounts of a day up to its closing; accounts are tested at year ends."""
    _within(drivers, question)
    return happened(drivers, "impairment", question.closes)


def _regulatory_action(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    return np.asarray(drivers["action_opened"].to_numpy() < _within(drivers, question))


EVENTS: Mapping[str, Event] = {
    "in_post": _in_post,
    "person_exit": _person_exit,
    "exits_at_least": _exits_at_least,
    "customer_end": _customer_end,
    "customer_return": _customer_return,
    "customer_active": _customer_active,
    "revenue_at_least": _revenue_at_least,
    "purchases_at_least": _purchases_at_least,
    "lab_rank_at_most": _lab_rank_at_most,
    "index_gap_at_most": _index_gap_at_most,
    "milestone": _milestone,
    "impairment": _impairment,
    "regulatory_action": _regulatory_action,
}

# How much: in the units that the drivers have.
QUANTITIES: Mapping[str, Event] = {
    "exits": _exits,
    "revenue": _revenue,
    "index_gap": _index_gap,
}

# Events that compare with a number.
NUMBERED = frozenset(name for name in EVENTS if name.endswith(("_at_least", "_at_most")))

DRIVER_OF: Mapping[str, str] = {
    "in_post": "people",
    "person_exit": "people",
    "exits_at_least": "people",
    "customer_end": "customers",
    "customer_return": "customers",
    "customer_active": "customers",
    "revenue_at_least": "revenue",
    "purchases_at_least": "purchases",
    "lab_rank_at_most": "capability",
    "index_gap_at_most": "capability",
    "milestone": "capability",
    "impairment": "stake",
    "regulatory_action": "regulation",
    "exits": "people",
    "revenue": "revenue",
    "index_gap": "capability",
}


# --- asking ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """How likely a question is, or how much.

    Attributes
    ----------
    probability
        None if nobody says, and of a quantity.
    mcse
        Monte Carlo error; None where no draws said it.
    by
        :data:`MODEL`, a person's name, :data:`BASE_RATE`, or empty.
    why
        Why there is no answer; else empty.
    quantiles
        Of a quantity, at :data:`LEVELS`: equally likely values; else empty.
    """

    id: str
    probability: float | None
    mcse: float | None
    by: str
    why: str = ""
    quantiles: tuple[float, ...] = ()


def happens(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """Whether the question's event comes true in each draw, bool, shape ``(draw,)``.

    Raises
    ------
    LedgerError
        If its event is not known; lists the known ones.
    ModelError
        If the forecast does not reach its closing day, or lacks its subject, or it asks how much.
    """
    if question.is_quantity:
        raise ModelError(f"question {question.id} asks how much, not whether")
    return np.asarray(_asked(drivers, question, EVENTS), dtype=bool)


def amounts(drivers: xr.Dataset, question: Question) -> NDArray[Any]:
    """How much the question's quantity comes to in each draw, in its unit, shape ``(draw,)``; errors as above."""
    if not question.is_quantity:
        raise ModelError(f"question {question.id} asks whether, not how much")
    return np.asarray(_asked(drivers, question, QUANTITIES), dtype=float)


def _asked(drivers: xr.Dataset, question: Question, known: Mapping[str, Event]) -> NDArray[Any]:
    if question.event is None:
        raise ModelError(f"question {question.id} names no event; no model answers it")
    if problem := problem_of(question):
        raise LedgerError(problem)
    return known[question.event](drivers, question)


def answer(
    drivers: xr.Dataset,
    weight: NDArray[Any],
    question: Question,
    *,
    inflation: float = 1.0,
) -> Answer:
    """The probability of a question from drivers (see :func:`valuation.forecast.asked`) and weights ``(draw,)``.

    ``inflation`` is draws over effective draws (:func:`valuation.decision.inflation_of`). A question that is about
    somebody or something that was not there yet has no probability, and ``why`` says so.
    """
    if question.event is None:
        if question.person_probability is not None:
            return Answer(question.id, question.person_probability, None, question.person or "")
        if question.rests_on_base_rate:
            return Answer(question.id, question.base_rate, None, BASE_RATE)
        return Answer(question.id, None, None, "", "no model answers it")
    try:
        if question.is_quantity:
            values = decision.quantiles(amounts(drivers, question), np.array(LEVELS), weight)
            return Answer(question.id, None, None, MODEL, quantiles=tuple(float(v) for v in values))
        event = happens(drivers, question)
    except ModelError as error:
        return Answer(question.id, None, None, "", str(error))
    told = decision.probability(event, weight, inflation=inflation)
    return Answer(question.id, told.value, told.mcse, MODEL)


def spread(quantiles: Sequence[float]) -> tuple[float, float, float]:
    """Lower end of the central 90%, median and upper end of equally likely values."""
    low, middle, high = decision.quantiles(quantiles, [TAIL, 0.5, 1.0 - TAIL])
    return float(low), float(middle), float(high)
