"""What the record is worth: forecasts held against outcomes and base rates, question by question.

A pure function of forecasts and questions. A forecast made on the day on which the outcome was public or later, or
after the question closed, is late: it is listed and not scored. A question's last timely forecast is scored, and the
mean over the time that each of its forecasts stood. Quantities are scored apart, each in its own unit. Questions
about one driver are taken to have one outcome between them, so that errors and skill do not mistake many questions for
much evidence.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from valuation import scoring
from valuation.questions import Question, spread
from valuation.record import Forecast
from valuation.schema import CI_PROB, finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

HAPPENED: Mapping[str, float] = {"yes": 1.0, "no": 0.0}
SEED = 20250612
ONLY_LATE = "only late forecasts"  # why a question that was forecast has no score
THIRDS = (0.0, 1 / 3, 2 / 3, 1.0)  # few groups, since there are few questions


@dataclass(frozen=True)
class Scored:
    """One question with its scores; smaller is better.

    Attributes
    ----------
    outcome
        1 if it came true, else 0.
    forecasts
        How many were timely.
    made, probability
        Of the last timely one.
    brier, log
        Of that one; ``log`` in nats, infinite if it was called impossible.
    standing
        Brier score over the time that forecasts stood.
    covered
        Fraction of the question's life in which one did.
    base_rate, base_brier, base_log
        None where there is no base rate; the scores too where the forecast is the base rate, which has no skill by it.
    """

    id: str
    question: str
    driver: str
    outcome: float
    resolved: dt.date
    forecasts: int
    made: dt.datetime
    probability: float
    brier: float
    log: float
    standing: float
    covered: float
    base_rate: float | None
    base_brier: float | None
    base_log: float | None


@dataclass(frozen=True)
class Measured:
    """One quantity with its scores, in its unit; smaller is better.

    Attributes
    ----------
    value
        What it came to.
    median, lower, upper
        Of the last timely forecast; ``lower`` and ``upper`` hold its central 90%.
    crps
        Continuous ranked probability score of that one.
    standing, covered
        As of :class:`Scored`, of the continuous score.
    base_value, base_crps
        A single value, whose score is its error; None where there is none.
    """

    id: str
    question: str
    driver: str
    unit: str
    value: float
    resolved: dt.date
    forecasts: int
    made: dt.datetime
    median: float
    lower: float
    upper: float
    crps: float
    standing: float
    covered: float
    base_value: float | None
    base_crps: float | None


@dataclass(frozen=True)
class Late:
    """A forecast that came too late to count, and why; of a quantity without a probability."""

    question: str
    run: str
    made: dt.datetime
    probability: float | None
    why: str


@dataclass(frozen=True)
class Held:
    """Forecasts held against outcomes: what was scored, what was late, and what could not be scored."""

    scored: tuple[Scored, ...]
    late: tuple[Late, ...]
    left_out: tuple[tuple[str, str], ...]
    measured: tuple[Measured, ...] = ()


def too_late(forecast: Forecast, question: Question) -> str:
    """Why a forecast of a resolved question does not count, in words; empty if it does."""
    day = forecast.made.date()
    if question.resolved is not None and day >= question.resolved:
        return f"the outcome was public on {question.resolved}"
    return f"the question closed on {question.closes}" if day > question.closes else ""


def hold(questions: Iterable[Question], forecasts: Iterable[Forecast]) -> Held:
    """Each resolved question with the forecasts that were made of it; the order of forecasts changes nothing."""
    said: dict[str, list[Forecast]] = {}
    for forecast in forecasts:
        said.setdefault(forecast.question, []).append(forecast)
    scored, measured, late, left_out = [], [], [], []
    for question in sorted(questions, key=lambda q: q.id):
        if question.outcome is None or question.resolved is None:
            continue
        mine = sorted(said.get(question.id, ()), key=lambda f: (f.made, f.run))
        timely = {f.made: f for f in mine if not too_late(f, question)}
        late += [
            Late(question.id, f.run, f.made, f.probability, why)
            for f in mine
            if (why := too_late(f, question))
        ]
        if question.outcome not in HAPPENED and question.value is None:
            left_out.append((question.id, question.outcome))
        elif not mine:
            left_out.append((question.id, "never forecast"))
        elif not timely:
            left_out.append((question.id, ONLY_LATE))
        elif any((f.probability is None) != question.is_quantity for f in timely.values()):
            left_out.append((question.id, "forecast as another kind of question"))
        elif question.is_quantity:
            measured.append(_measured(question, list(timely.values())))
        else:
            scored.append(_scored(question, list(timely.values())))
    return Held(tuple(scored), tuple(late), tuple(left_out), tuple(measured))


def _scored(question: Question, timely: Sequence[Forecast]) -> Scored:
    assert question.resolved is not None and question.outcome is not None  # noqa: PT018
    outcome, base = HAPPENED[question.outcome], question.base_rate
    # Also where a model answers by now, but nobody asked it in time: what it says carries an error.
    unasked = question.event is not None and timely[-1].mcse is None
    beside = None if question.rests_on_base_rate or unasked else base
    chances = [float(f.probability) for f in timely if f.probability is not None]
    standing = _over_time(question, timely, scoring.brier(chances, [outcome] * len(chances)))
    probability = chances[-1]
    return Scored(
        id=question.id,
        question=question.question,
        driver=question.driver,
        outcome=outcome,
        resolved=question.resolved,
        forecasts=len(timely),
        made=timely[-1].made,
        probability=probability,
        brier=float(scoring.brier(probability, outcome)),
        log=float(scoring.log_score(probability, outcome)),
        standing=standing.score,
        covered=standing.covered,
        base_rate=base,
        base_brier=None if beside is None else float(scoring.brier(beside, outcome)),
        base_log=None if beside is None else float(scoring.log_score(beside, outcome)),
    )


def _measured(question: Question, timely: Sequence[Forecast]) -> Measured:
    assert question.resolved is not None and question.value is not None  # noqa: PT018
    value, base = question.value, question.base_value
    scores = [float(scoring.crps_ensemble(f.quantiles, value)) for f in timely]
    standing = _over_time(question, timely, scores)
    last = timely[-1]
    lower, median, upper = spread(last.quantiles)
    return Measured(
        id=question.id,
        question=question.question,
        driver=question.driver,
        unit=question.unit or "",
        value=value,
        resolved=question.resolved,
        forecasts=len(timely),
        made=last.made,
        median=median,
        lower=lower,
        upper=upper,
        crps=scores[-1],
        standing=standing.score,
        covered=standing.covered,
        base_value=base,
        base_crps=None if base is None else abs(base - value),
    )


def _over_time(
    question: Question, timely: Sequence[Forecast], scores: ArrayLike
) -> scoring.TimeWeighted:
    assert question.resolved is not None
    return scoring.time_weighted(
        [_days(f.made) for f in timely],
        scores,
        opened=question.opens.toordinal(),
        resolved=min(question.resolved, question.closes).toordinal() + 1,  # the end of that day
    )


def _days(moment: dt.datetime) -> float:
    midnight = dt.datetime(moment.year, moment.month, moment.day, tzinfo=moment.tzinfo)
    return moment.toordinal() + (moment - midnight) / dt.timedelta(days=1)


# --- over questions -------------------------------------------------------------------------------


def card(
    questions: Iterable[Question], forecasts: Iterable[Forecast], *, random_seed: int = SEED
) -> dict[str, Any]:
    """The scorecard as plain values that JSON can hold; None stands for what is infinite or cannot be told.

    Keys: ``questions`` (one for each that was scored), ``n``, ``clusters``, ``independent``, ``brier``, ``log`` and
    ``standing`` (mean, standard error), ``base`` (the same questions where there is a base rate, with ``skill`` by each
    rule), ``by_driver``, ``calibration`` (by thirds of the chance, and ``all``: how many ``happened``, and from
    ``least`` to ``most`` if every probability is right and a driver's questions go together, or each stands ``alone``),
    ``quantities`` (one for each that was measured), ``late``, ``left_out`` and ``statement``.
    """
    held = hold(questions, forecasts)
    rows = held.scored
    found: dict[str, Any] = {
        "questions": [_plain(asdict(row)) for row in rows],
        "quantities": [_plain(asdict(row)) for row in held.measured],
        "late": [_plain(asdict(item)) for item in held.late],
        "left_out": [{"id": name, "why": why} for name, why in held.left_out],
        "n": len(rows),
        "clusters": len({row.driver for row in rows}),
        "independent": 0.0,
        "statement": statement(held),
    }
    if not rows:
        return found | {
            **dict.fromkeys(("brier", "log", "standing", "base", "all")),
            "by_driver": [], "calibration": [],
        }  # fmt: skip
    drivers = [row.driver for row in rows]
    found["independent"] = scoring.independent_outcomes(drivers).effective
    for rule in ("brier", "log", "standing"):
        found[rule] = _mean([getattr(row, rule) for row in rows], drivers)
    found["base"] = _against_base(rows, random_seed)
    found["by_driver"] = [
        {
            "driver": driver,
            "n": len(mine),
            **{
                rule: finite(sum(getattr(row, rule) for row in mine) / len(mine))
                for rule in ("brier", "log", "standing")
            },
        }
        for driver in sorted(set(drivers))
        if (mine := [row for row in rows if row.driver == driver])
    ]
    found["calibration"] = _calibration(rows, THIRDS)
    found["all"] = _calibration(rows, (0.0, 1.0))[0]
    return found


def _calibration(rows: Sequence[Scored], edges: Sequence[float]) -> list[dict[str, Any]]:
    """Groups of like probability that hold a question: what happened, and what to expect if all are right."""
    chances = [row.probability for row in rows]
    bins = scoring.calibration(
        chances, [row.outcome for row in rows], [row.driver for row in rows], edges=edges
    )
    found = []
    for b in bins:
        mine = [
            row
            for row in rows
            if b.start <= row.probability < b.stop or b.stop == row.probability == 1.0
        ]
        if not mine:
            continue
        chances = [row.probability for row in mine]
        least, most = scoring.range_if_right(chances, [row.driver for row in mine])
        least_alone, most_alone = scoring.range_if_right(chances)
        told = {
            "happened": int(sum(row.outcome for row in mine)),
            "expected": sum(chances),
            "least": least,
            "most": most,
            "least_alone": least_alone,
            "most_alone": most_alone,
            "too_few": b.too_few,
            "verdict": b.verdict,
        }
        found.append(asdict(b) | told)
    return found


def _against_base(rows: Sequence[Scored], random_seed: int) -> dict[str, Any] | None:
    """The questions that have a base rate, by each rule; None if there is none, or it was never wrong."""
    rated = [row for row in rows if row.base_brier is not None and row.base_log is not None]
    if not rated or not sum(row.base_brier or 0.0 for row in rated) > 0.0:
        return None
    drivers = [row.driver for row in rated]
    found: dict[str, Any] = {
        "n": len(rated),
        "clusters": len(set(drivers)),
        "ci_prob": CI_PROB,
        "brier": _mean([float(row.base_brier or 0.0) for row in rated], drivers),
        "log": _mean([float(row.base_log or 0.0) for row in rated], drivers),
    }
    skills: dict[str, Any] = {}
    for rule, base in (("brier", "base_brier"), ("log", "base_log"), ("standing", "base_brier")):
        reference = [getattr(row, base) for row in rated]
        if not all(map(math.isfinite, reference)):
            skills[rule] = None
            continue
        told = scoring.resampled_skill(
            [getattr(row, rule) for row in rated], reference, drivers, random_seed=random_seed
        )
        skills[rule] = _plain(asdict(told))
    return found | {"skill": skills}


def _mean(scores: Sequence[float], clusters: Sequence[str]) -> dict[str, Any]:
    told = scoring.mean_score(scores, clusters)
    return {
        "mean": finite(told.mean),
        "standard_error": finite(told.standard_error),
        "infinite": told.infinite,
    }


def statement(held: Held) -> str:
    """How much, or how little, the scores can say; where no yes or no was scored, why."""
    rows = held.scored
    if not rows:
        return _nothing_scored(held)
    clusters = len({row.driver for row in rows})
    noun = "question" if len(rows) == 1 else "questions"
    drivers = "1 driver" if clusters == 1 else f"{clusters} drivers"
    told = f"{len(rows)} {noun} on {drivers}: at most {clusters} independent "
    told += "outcome. " if clusters == 1 else "outcomes. "
    if clusters < scoring.TOO_FEW:
        told += (
            f"Fewer than {scoring.TOO_FEW} show neither skill nor the lack of it; read the scores as a "
            "list of what happened."
        )
    else:
        told += "Errors and intervals count drivers, not questions."
    return told


def _nothing_scored(held: Held) -> str:
    """Why no yes or no has been scored: what was forecast came late, or there is nothing yet."""
    told = f"No {'yes-or-no ' if held.measured else ''}question has been scored: "
    only_late = {name for name, why in held.left_out if why == ONLY_LATE}
    if held.measured:
        only_late &= {item.question for item in held.late if item.probability is not None}
    if not only_late:
        return told + (
            "one counts once it is resolved as yes or no and was forecast before the day on which its outcome "
            "was public, and no later than on the day when it closed."
        )
    return told + (
        f"every forecast of {', '.join(sorted(only_late))} was made after the question had closed or when its "
        "outcome was public, and counts as late."
    )


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold: dates as text, what is infinite as None."""
    return {
        name: value.isoformat()
        if isinstance(value, dt.date)
        else finite(value)
        if isinstance(value, float)
        else value
        for name, value in values.items()
    }
