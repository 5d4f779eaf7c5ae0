"""Worlds that the models describe, simulated one at a time, and the ledgers that they would write.

The equations of every sub-model are spelled here a second time, for one draw, with plain arithmetic and a generator:
what a likelihood gets wrong, this gets right or wrong on its own. A ledger has the design of a given one: the same
kinds, subjects, dates, stated errors and credibilities. What its rows say is drawn:

    a row is true with probability c and tells of the world at hand; else it tells of a world of its own,
    drawn from the prior,

which is the mixture ``c p(y | theta) + (1 - c) p0(y)`` of :mod:`valuation.models.base`.

Somebody with rows about their life course is watched up to each row's date: "in place", or else the window in which
they left. With one row the window is as narrow as that row's kind tells it; with several, each row says only whether
they had left. Three quantities are not simulated a second time, because a later model reads them as expectations given
the rows of an earlier one: the talent retained, each customer's chance of buying, and the purchases.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from valuation.errors import ModelError
from valuation.models import closure, joint
from valuation.models.base import Context
from valuation.schema import DAYS_PER_MONTH

Draw = Mapping[str, Any]  # parameters of one draw: a float or a vector each
Pool = Mapping[str, np.ndarray]
Row = Mapping[str, Any]  # a line of the design

LIFE_PEOPLE = ("departure", "sighting")
LIFE_CUSTOMERS = ("customer_ended", "customer_active")
PIECES = (0.0, 6.0, 12.0, 24.0, 48.0)  # months at which hazards of leaving may step
NOTICE_MONTHS = 1.0  # no report dates the end of a customer's business better


@dataclass(frozen=True)
class World:
    """One simulated truth and the rows that it wrote.

    Attributes
    ----------
    index
        Place of the true parameters in the pool.
    rows
        Scored rows as :func:`valuation.models.joint.bind` takes them.
    exits
        Months from the close to each named person's exit.
    ends, returns
        Months from the close to the end of each customer's business, and to its return; ``inf``: never.
    """

    index: int
    rows: pd.DataFrame
    exits: Mapping[str, float]
    ends: Mapping[str, float]
    returns: Mapping[str, float]


@dataclass(frozen=True)
class Cast:
    """The fixed inputs of all worlds: the context, its rosters by subject, and the design of the ledger."""

    context: Context
    design: pd.DataFrame
    people: Mapping[str, Row] = field(init=False, repr=False)
    customers: Mapping[str, Row] = field(init=False, repr=False)
    rows: tuple[Row, ...] = field(init=False, repr=False)
    truth: np.ndarray = field(init=False, repr=False)
    watches: Mapping[tuple[str, str], int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        people = self.context.people.set_index("subject").to_dict("index")
        customers = self.context.customers.set_index("subject").sort_index().to_dict("index")
        rows = tuple(self.design.to_dict("records"))
        for name, value in (
            ("people", people),
            ("customers", customers),
            ("rows", rows),
            ("truth", self.context.truth(self.design)),
            ("watches", Counter((_followed(r["kind"]), r["subject"]) for r in rows)),
        ):
            object.__setattr__(self, name, value)

    def several(self, row: Row) -> bool:
        """Whether more than one row follows the life course that this one follows."""
        return self.watches[_followed(row["kind"]), row["subject"]] > 1


def _followed(kind: str) -> str:
    """One name for the two kinds that follow a life course."""
    for kinds in (LIFE_PEOPLE, LIFE_CUSTOMERS):
        if kind in kinds:
            return kinds[0]
    return kind


@dataclass(frozen=True)
class _Scene:
    """What the rows of one source may tell of: a draw, and what earlier rows make of it."""

    cast: Cast
    draw: Draw
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def context(self) -> Context:
        return self.cast.context


def cast(context: Context, design: pd.DataFrame, models: tuple[str, ...] | None = None) -> Cast:
    """The rows of a design that the models read, with the rosters they speak of."""
    names = closure(models)
    known = [kind for kind, model in joint.MODELS_BY_KIND.items() if model in names]
    return Cast(context, design[design["kind"].isin(known)].reset_index(drop=True))


def simulate(
    cast: Cast, pool: Pool, *, models: tuple[str, ...] | None = None, rng: np.random.Generator
) -> World:
    """Draw a world from the pool and let it write a ledger of the cast's design.

    Of each row only what it says is drawn anew: the kind of outcome, its value, the dating of an exit. A lower bound is
    reported only where it is met; a world whose bound is not met is drawn again, which leaves the posterior given the
    rows as it is.

    Parameters
    ----------
    pool
        Prior draws ``{name: (draw, …)}``; the true draw and those behind false rows are picked from it.

    Raises
    ------
    ModelError
        If no world in :data:`ATTEMPTS` meets the lower bounds.
    """
    for _ in range(ATTEMPTS):
        world = _attempt(cast, pool, closure(models), rng)
        if world is not None:
            return world
    raise ModelError(
        "no simulated world meets the lower bounds of the design; check the rows of kind revenue_bound"
    )


ATTEMPTS = 50
LATE = ("revenue", "capability")  # they read what earlier rows make of people and customers


def _attempt(
    cast: Cast, pool: Pool, names: tuple[str, ...], rng: np.random.Generator
) -> World | None:
    context, draws = cast.context, len(next(iter(pool.values())))
    picked = rng.integers(draws, size=1 + len(cast.rows))  # the truth, then one stranger a row
    batch = {name: values[picked] for name, values in pool.items()}
    singles = [{name: values[j] for name, values in batch.items()} for j in range(len(picked))]
    false = rng.random(len(cast.rows)) >= cast.truth
    truth = _Scene(cast, singles[0])
    exits: dict[str, float] = {}
    ends: dict[str, float] = {}
    returns: dict[str, float] = {}
    if "retention" in names:
        named = [s for s, person in cast.people.items() if person["size"] == 1]
        exits = {s: context.starts[s] + person_exit(truth, s, rng) for s in named}
    if "churn" in names:
        away = 1.0 / singles[0]["return_rate"]
        ends = {s: customer_end(truth, s, rng) for s in cast.customers}
        returns = {s: t + rng.exponential(away) for s, t in ends.items()}

    written: list[dict[str, Any]] = []
    columns = list(cast.design.columns)
    for late in (False, True):
        part = {m for m in names if (m in LATE) == late}
        curves: list[Mapping[str, np.ndarray]] = [{} for _ in picked]
        if late and part:
            before = tuple(m for m in names if m not in LATE)
            given = joint.bind(
                context, pd.DataFrame(written, columns=columns), models=before, draws=draws
            )
            found = joint.near(given, batch).curves()
            curves = [{n: v[j] for n, v in found.items()} for j in range(len(picked))]
        for place, row in enumerate(cast.rows):
            if joint.MODELS_BY_KIND[row["kind"]] not in part:
                continue
            who = 1 + place if false[place] else 0
            scene, subject = _Scene(cast, singles[who], curves[who]), row["subject"]
            told: dict[str, Any] | None
            if row["kind"] in LIFE_PEOPLE:
                start = context.starts[subject]
                left = person_exit(scene, subject, rng) if who else exits[subject] - start
                told = _watched(cast, row, LIFE_PEOPLE, left, start)
            elif row["kind"] in LIFE_CUSTOMERS:
                left = customer_end(scene, subject, rng) if who else ends[subject]
                told = _watched(cast, row, LIFE_CUSTOMERS, left, 0.0)
            else:
                told = OUTCOMES[row["kind"]](scene, row, rng)
            if told is None:
                return None
            written.append(dict(row) | told)
    rows = pd.DataFrame(written, columns=columns).sort_values("id").reset_index(drop=True)
    return World(int(picked[0]), rows, exits, ends, returns)


def date_of(closed: dt.date, months: float) -> dt.date:
    """The day so many months after the close."""
    return closed + dt.timedelta(days=round(months * DAYS_PER_MONTH))


# --- life courses ---------------------------------------------------------------------------------


def person_exit(scene: _Scene, subject: str, rng: np.random.Generator) -> float:
    """Months on the subject's own clock until it leaves of its own will."""
    d = scene.draw
    level = np.log(d[f"exit_hazard_{scene.cast.people[subject]['cohort']}"])
    level += d["exit_hazard_shift"] - d["loading_retention"] * d["integration"]
    wait = rng.exponential()
    for start, end, log_hazard in zip(PIECES, (*PIECES[1:], np.inf), _steps(level, d), strict=True):
        rate = float(np.exp(log_hazard))
        if wait < rate * (end - start):
            return start + wait / rate
        wait -= rate * (end - start)
    raise AssertionError("the last piece has no end")


def _steps(level: float, d: Draw) -> list[float]:
    """log hazard by piece: a random walk from the first one."""
    out = [float(level)]
    for step in d["exit_hazard_steps"]:
        out.append(out[-1] + float(d["exit_hazard_drift"] * step))
    return out


def customer_end(scene: _Scene, subject: str, rng: np.random.Generator) -> float:
    """Months from the close until a customer ends its business."""
    d, context = scene.draw, scene.context
    row, order = scene.cast.customers[subject], list(scene.cast.customers).index(subject)
    own = 0.0 if row["pooled"] else d["churn_heterogeneity"] * d["customer_effect"][order]
    rate = d[f"churn_hazard_{row['segment']}"] * np.exp(own - d["loading_churn"] * d["integration"])
    begin = max(context.month(row["start"]), 0.0)
    minds = row["rival"] and rng.random() < d["conflict_share"]
    surge = np.expm1(d["conflict_effect"]) if minds else 0.0
    tau, wait = d["conflict_decay_months"], rng.exponential()

    def used(t: float) -> float:
        """Cumulative hazard from the beginning to ``t``."""
        faded = np.exp(-begin / tau) - np.exp(-t / tau)
        return float(rate * (t - begin + surge * tau * faded))

    low, high = begin, begin + float(wait / rate)  # the surge only hastens the end
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if used(middle) < wait else (low, middle)
    return high


def _watched(
    cast: Cast, row: Row, kinds: tuple[str, str], left: float, start: float
) -> dict[str, Any]:
    """What a row says of somebody watched until its date: in place, or the window in which they left.

    Windows are counted back from that date; the first one takes what is over at the beginning. Times are whole days.
    """
    gone, here = kinds
    customer = kinds == LIFE_CUSTOMERS
    first = date_of(cast.context.deal.closed, start)
    days = (row["event_date"] - first).days
    least = round(NOTICE_MONTHS * DAYS_PER_MONTH)
    horizon = max(days, least) if customer else days
    day = max(int(np.ceil(left * DAYS_PER_MONTH)), 1)
    if day > horizon:
        return {"kind": here, "value": np.nan, "event_date": first + dt.timedelta(days=horizon)}
    if cast.several(row):
        return {"kind": gone, "value": max(horizon, 1) / DAYS_PER_MONTH}
    stated = row["value"] if row["kind"] == gone else np.nan
    if customer:
        stated = NOTICE_MONTHS if pd.isna(stated) else max(float(stated), NOTICE_MONTHS)
    if pd.isna(stated):
        return {"kind": gone, "value": np.nan, "event_date": first + dt.timedelta(days=day)}
    width = max(round(float(stated) * DAYS_PER_MONTH), 1)
    whole = max(horizon // width, 1)
    back = min((horizon - day) // width, whole - 1)
    upper = horizon - back * width
    wide = upper if back == whole - 1 else width
    date = row["event_date"] if upper == horizon else first + dt.timedelta(days=upper)
    return {"kind": gone, "value": wide / DAYS_PER_MONTH, "event_date": date}


# --- what each other kind of row says -------------------------------------------------------------


def _sigmoid(x: float) -> float:
    return float(1.0 / (1.0 + np.exp(-x)))


def _grade(d: Draw, latent: float, reveals: float, rng: np.random.Generator) -> dict[str, Any]:
    """An ordered logit with the press's tilt and the width of the neutral grade."""
    bad = _sigmoid(d["report_cut"] - reveals * latent)
    good = _sigmoid(reveals * latent - d["report_cut"] - d["report_width"])
    u = rng.random()
    return {"value": -1.0 if u < bad else 1.0 if u > 1.0 - good else 0.0}


def _integration_report(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    d = s.draw
    return _grade(d, d["integration"], d["integration_informativeness"], rng)


def _quality_report(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    return _grade(s.draw, s.draw["data_quality"], s.draw["quality_informativeness"], rng)


def adoption_logit(d: Draw, month: float) -> float:
    """logit of the target's share of data spending, straight between half-yearly knots."""

    def at(knot: int) -> float:
        ramp = 1.0 - np.exp(-6.0 * knot / 12.0)
        pull = d["loading_adoption"] * d["integration"] + d["quality_effect"] * d["data_quality"]
        shocks = d["adoption_volatility"] * np.sum(d["adoption_steps"][:knot])
        return float(d["adoption_level"] + ramp * pull + d["adoption_drift"] * knot + shocks)

    place = max(month, 0.0) / 6.0
    low = int(place)
    return at(low) + (place - low) * (at(low + 1) - at(low)) if place > low else at(low)


def _vendor_in_use(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    share = _sigmoid(adoption_logit(s.draw, s.context.month(row["event_date"])))
    return {"value": float(rng.random() > share)}


def _vendor_share(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    centre = adoption_logit(s.draw, s.context.month(row["event_date"]))
    return {"value": _sigmoid(centre + row["sd"] * rng.standard_normal())}


def _group_exits(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    """How many of a group have left and were reported."""
    group = s.cast.people[row["subject"]]
    cohort, size = group["cohort"], int(group["size"])
    until = s.context.month(row["event_date"]) - s.context.starts[row["subject"]]
    d = s.draw
    level = np.log(d[f"exit_hazard_{cohort}"]) + d["exit_hazard_shift"]
    level -= d["loading_retention"] * d["integration"]
    spans = zip(PIECES, (*PIECES[1:], np.inf), _steps(level, d), strict=True)
    used = sum(np.exp(h) * max(min(until, end) - start, 0.0) for start, end, h in spans)
    left = rng.binomial(size, 1.0 - np.exp(-used))
    return {"value": float(rng.binomial(left, d[f"reporting_rate_{cohort}"]))}


def _layoff(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    d = s.draw
    until = s.context.month(row["event_date"]) - s.context.starts[row["subject"]]
    middle = 1.0 - np.exp(-d["layoff_hazard"] * until)
    weight = float(d["layoff_concentration"])
    share = rng.beta(middle * weight, (1.0 - middle) * weight)
    return {"value": float(rng.binomial(int(s.cast.people[row["subject"]]["size"]), share))}


def _new_customers(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    months = s.context.month(row["event_date"])
    won = rng.poisson(s.draw["new_customer_rate"] * months)
    return {"value": float(rng.binomial(won, s.draw["new_customer_reporting"]))}


def _gap(s: _Scene, month: float) -> float:
    """Gap to the frontier, straight between half-yearly knots; before the close that of the close."""
    d = s.draw
    gap = [float(d["gap_at_close"])]
    talent = s.curves["talent_retained"]
    for knot in range(1, len(talent) // 6 + 1):
        share = _sigmoid(adoption_logit(d, 6.0 * knot))
        push = d["talent_effect"] * talent[6 * knot]
        push += d["data_effect"] * d["data_quality"] * share
        pulled = d["gap_long_run"] + d["gap_persistence"] * (gap[-1] - d["gap_long_run"])
        gap.append(float(pulled - push + d["gap_volatility"] * d["gap_steps"][knot - 1]))
    return float(np.interp(month, 6.0 * np.arange(len(gap)), gap))


def _lab_rank(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    behind = max(_gap(s, s.context.month(row["event_date"])), 0.0)
    places = 1.0 + behind / s.draw["rank_spacing"]
    return {"value": float(places * np.exp(row["sd"] * rng.standard_normal()))}


def _index_gap(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    gap = _gap(s, s.context.month(row["event_date"]))
    return {"value": gap + float(row["sd"] * rng.standard_normal())}


def _milestone(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    d = s.draw
    met = _sigmoid(d["milestone_level"] + d["milestone_effect"] * d["integration"])
    return {"value": float(rng.random() < met)}


def _growth(d: Draw, t: float) -> float:
    """Growth of business kept since the close: a rate that fades to the long-run one over three years."""
    early = 36.0 / 12.0 * (1.0 - np.exp(-t / 36.0))
    late = t / 12.0 - early
    return float(np.exp(d["growth_retained"] * early + d["growth_long_run"] * late))


def run_rate(s: _Scene, month: float) -> float:
    """Annualized revenue at whole months, straight between them, bn."""
    low = int(np.floor(month))
    return float(np.interp(month, [low, low + 1], [_rate(s, low), _rate(s, low + 1)]))


def _rate(s: _Scene, t: int) -> float:
    d, context = s.draw, s.context
    middle = context.month(dt.date(context.deal.closed.year - 1, 7, 1))
    if t < 0:
        return float(d["revenue_before"] * np.exp(d["growth_to_close"] * (t - middle) / 12.0))
    at_close = d["revenue_before"] * np.exp(-d["growth_to_close"] * middle / 12.0)
    t = min(t, s.curves["customer_active"].shape[-1] - 1)
    weights = np.array([float(row["revenue_share"]) for row in s.cast.customers.values()])
    buying = float(weights @ s.curves["customer_active"][:, t])
    kept = at_close * (1.0 - d["acquirer_share_before"]) * buying * _growth(d, t)
    leave = d["churn_hazard_enterprise"] * np.exp(-d["loading_churn"] * d["integration"])
    stock = d["new_customer_rate"] * (1.0 - np.exp(-leave * t)) / leave
    size = d[f"new_customer_size_{context.deal.currency.lower()}_bn"]
    new = stock * size * _growth(d, t)
    return float(kept + new + s.curves["purchases"][t])


def _year_mean(s: _Scene, date: dt.date) -> float:
    """Mean rate over the middles of the twelve months up to a date."""
    month, step = s.context.month(date), 365.25 / DAYS_PER_MONTH / 12.0
    return float(np.mean([run_rate(s, month - step * (k + 0.5)) for k in range(12)]))


def _reported(value: float, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    return {"value": float(value * np.exp(row["sd"] * rng.standard_normal()))}


def _revenue(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    return _reported(_year_mean(s, row["event_date"]), row, rng)


def _run_rate(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    return _reported(run_rate(s, s.context.month(row["event_date"])), row, rng)


def _revenue_bound(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any] | None:
    seen = _reported(_year_mean(s, row["event_date"]), row, rng)["value"]
    return {"value": row["value"]} if seen >= row["value"] else None


def _impairment(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    """Whether the stake was written down at a year's end up to a date."""
    d, deal = s.draw, s.context.deal
    middle = s.context.month(dt.date(deal.closed.year - 1, 7, 1))
    at_close = d["revenue_before"] * np.exp(-d["growth_to_close"] * middle / 12.0)
    written, tested = False, row["event_date"]
    for year in range(deal.closed.year, row["event_date"].year + 1):
        end = dt.date(year, 12, 31)
        if end > row["event_date"]:
            break
        tested, month = end, round(s.context.month(end))
        paid = deal.stake.entry_value_bn / at_close
        weight = np.exp(-month / 24.0)  # the multiple glides from the one paid to the exit's
        multiple = paid**weight * d["exit_multiple"] ** (1.0 - weight)
        worth = deal.stake.fraction * multiple * _rate(s, month)
        limit = deal.impairment.threshold * deal.impairment.carrying_bn
        noise = rng.standard_normal()
        short = np.log(limit / worth) / d["impairment_spread"] > noise
        written |= bool(short and rng.random() < d["impairment_recognition"])
    if not written:
        return {"value": 0.0}
    return {
        "value": 1.0,
        "event_date": tested,
    }  # accounts of a later day would tell of a later test


def _regulatory_action(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    days = int(np.ceil(rng.exponential(1.0 / s.draw["action_hazard"]) * DAYS_PER_MONTH))
    date = s.context.deal.closed + dt.timedelta(days=min(days, 10**6))
    if date > row["event_date"]:
        return {"value": 0.0}
    return {"value": 1.0, "event_date": date}


def _regulatory_signal(s: _Scene, row: Row, rng: np.random.Generator) -> dict[str, Any]:
    centre = float(s.context.prior("action_hazard").ppf(0.5))
    slope = s.draw["regulatory_informativeness"]
    up = _sigmoid(slope * np.log(s.draw["action_hazard"] / centre))
    return {"value": 1.0 if rng.random() < up else -1.0}


OUTCOMES: dict[str, Callable[[_Scene, pd.Series, np.random.Generator], dict[str, Any] | None]] = {
    "integration_report": _integration_report,
    "quality_report": _quality_report,
    "vendor_in_use": _vendor_in_use,
    "vendor_share": _vendor_share,
    "group_exits": _group_exits,
    "layoff": _layoff,
    "new_customers": _new_customers,
    "lab_rank": _lab_rank,
    "index_gap": _index_gap,
    "milestone": _milestone,
    "revenue": _revenue,
    "run_rate": _run_rate,
    "revenue_bound": _revenue_bound,
    "impairment": _impairment,
    "regulatory_action": _regulatory_action,
    "regulatory_signal": _regulatory_signal,
}
