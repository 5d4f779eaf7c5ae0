"""Revenue of the target, and whether the acquirer writes its stake down.

Run rate in bn of the deal's currency per year, t in months since the close:

    before:   R(t) = B exp(g0 (t - t_mid)/12),   B the revenue of the last calendar year before the close
    after:    R(t) = retained + new + purchases
    retained: R(0) (1 - a) Σ_i w_i A_i(t) G(t),  A_i = P(customer i buys at t | its rows), w its share at the close
    new:      ν s (1 - exp(-h t))/h · G(t),      ν customers a month of s bn a year each, leaving at h
    G:        growth of what is kept, from rate g that fades to the long-run rate

``a`` is the acquirer's share of revenue before the close, whose purchases the adoption model
carries on. Reported revenue, run rates and lower bounds observe the logarithm with their own
relative error; a restated figure replaces the one it supersedes. The stake is worth ``fraction ×
multiple(t) × R(t)``, the multiple gliding from the one paid to the exit multiple; at each year
end a stake below the threshold of its carrying value is written down with probability r (a
softened step), so "not written down" is evidence on revenue and multiple. A write-down in accounts
of a day within a year is that of its end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from valuation.currency import BN, BN_PER_YEAR, spelled
from valuation.errors import LedgerError
from valuation.models.base import (
    MONTHS_BEFORE,
    Bound,
    Context,
    Curves,
    Independent,
    LifeCourse,
    LifeProcess,
    NeedPositive,
    Observation,
    Parameters,
    SubModel,
    Term,
    need_indicator,
)
from valuation.ops import Array, Ops, numpy_ops
from valuation.schema import DAYS_PER_MONTH, Kind

GROWTH_FADE_MONTHS = 36.0
MULTIPLE_FADE_MONTHS = 24.0
_SAME_DAY = 1e-6  # months: what rounding may put between two spellings of one day

_FIGURE = NeedPositive(1000.0, 0.01, 2.0)
REVENUE = Kind(
    name="revenue",
    model="revenue",
    roster="entities",
    about="target",
    unit=BN,
    meaning="value = revenue of the year that ends at event_date, the last day of a month; sd relative",
    check=_FIGURE,
    measured=True,
    density=True,
)
RUN_RATE = Kind(
    name="run_rate",
    model="revenue",
    roster="entities",
    about="target",
    unit=BN_PER_YEAR,
    meaning="value = annualized revenue at event_date; sd relative",
    check=_FIGURE,
    measured=True,
    density=True,
)
REVENUE_BOUND = Kind(
    name="revenue_bound",
    model="revenue",
    roster="entities",
    about="target",
    unit=BN,
    meaning="revenue of the year that ends at event_date was at least value; sd relative",
    check=_FIGURE,
    measured=True,
)
IMPAIRMENT = Kind(
    name="impairment",
    model="revenue",
    roster="entities",
    about="target",
    unit="indicator",
    meaning="value 1 if the stake was written down in accounts as of event_date, else 0",
    check=need_indicator,
    stands=lambda value: value == 0.0,
)


def _customer_size(context: Context) -> str:
    """The prior of what a new customer spends in a year, named in the deal's currency."""
    return spelled("new_customer_size_bn", context.deal.currency)


def _scalars(context: Context) -> list[str]:
    return [
        "revenue_before",
        "growth_to_close",
        "acquirer_share_before",
        "growth_retained",
        "growth_long_run",
        _customer_size(context),
        "churn_hazard_enterprise",  # new customers leave like enterprises
        "exit_multiple",
        "liquidity_discount",
        "impairment_recognition",
        "impairment_spread",
    ]


def growth_years(months: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Years of initial and of long-run growth in the growth factor: ``log G = g x + g_long y``."""
    early = GROWTH_FADE_MONTHS / 12.0 * -np.expm1(-months / GROWTH_FADE_MONTHS)
    return early, months / 12.0 - early


def middle_of_year_before(context: Context) -> float:
    """Months from the close to the middle of the last full calendar year before it (negative)."""
    return context.month(dt.date(context.deal.closed.year - 1, 7, 1))


def _curves(
    context: Context, parameters: Parameters, curves: Curves, bound: Mapping[str, Bound], ops: Ops
) -> Curves:
    months = context.months.astype(float)
    roster = context.customers.set_index("subject").loc[context.subjects("customers")]
    at_close = revenue_at_close(context, parameters, ops)
    kept = ops.dot(roster["revenue_share"].to_numpy(float), curves["customer_active"])
    factor = growth_factor(parameters, months, ops)
    retained = (at_close * (1.0 - parameters["acquirer_share_before"]))[..., None] * kept * factor
    new = new_revenue(context, parameters, curves, months, ops)
    total = retained + new + curves["purchases"]
    before = np.arange(-MONTHS_BEFORE, 0).astype(float)
    past = parameters["revenue_before"][..., None] * ops.exp(
        parameters["growth_to_close"][..., None] * (before - middle_of_year_before(context)) / 12.0
    )
    multiple = exit_multiple_path(context, parameters, at_close, months, ops)
    stake = (
        context.deal.stake.fraction
        * multiple
        * total
        * (1.0 - parameters["liquidity_discount"])[..., None]
    )
    return {
        "revenue_at_close": at_close,
        "revenue_retained": retained,
        "revenue_new": new,
        "revenue": total,
        "revenue_grid": ops.concatenate([past, total]),
        "multiple": multiple,
        "stake_value": stake,
        "log_spared": log_spared(context, parameters, stake, ops),
    }


def revenue_at_close(context: Context, parameters: Parameters, ops: Ops) -> Array:
    """Run rate on the day of the close, bn per year."""
    return parameters["revenue_before"] * ops.exp(
        parameters["growth_to_close"] * (-middle_of_year_before(context) / 12.0)
    )


def growth_factor(parameters: Parameters, months: np.ndarray, ops: Ops) -> Array:
    """G(t) on the given months, shape ``(..., month)``."""
    early, late = growth_years(months)
    return ops.exp(
        parameters["growth_retained"][..., None] * early
        + parameters["growth_long_run"][..., None] * late
    )


def new_revenue(
    context: Context, parameters: Parameters, curves: Curves, months: np.ndarray, ops: Ops
) -> Array:
    """Run rate of customers won after the close, bn per year, shape ``(..., month)``."""
    leave = ops.exp(
        ops.log(parameters["churn_hazard_enterprise"])
        - parameters["loading_churn"] * parameters["integration"]
    )[..., None]
    won = (parameters["new_customer_rate"] * parameters[_customer_size(context)])[..., None]
    return won * -ops.expm1(-leave * months) / leave * growth_factor(parameters, months, ops)


def exit_multiple_path(
    context: Context, parameters: Parameters, at_close: Array, months: np.ndarray, ops: Ops
) -> Array:
    """Enterprise value over run rate, gliding from the multiple paid to the exit multiple."""
    paid = ops.log(context.deal.stake.entry_value_bn / at_close)
    fade = np.exp(-months / MULTIPLE_FADE_MONTHS)
    leaving = ops.log(parameters["exit_multiple"])
    return ops.exp(leaving[..., None] + (paid - leaving)[..., None] * fade)


def year_ends(context: Context) -> np.ndarray:
    """Months from the close to each calendar year's end within the horizon."""
    first, years = context.deal.closed.year, int(context.deal.horizon_years) + 1
    ends = [context.month(dt.date(first + k, 12, 31)) for k in range(years)]
    return np.array([m for m in ends if 0.0 < m <= context.horizon])


def log_spared(context: Context, parameters: Parameters, stake: Array, ops: Ops) -> Array:
    """log P(no write-down) at each year's end given none before, shape ``(..., year end)``.

    Accounts look at the stake before the discount for illiquidity: the measurement alternative carries
    a price that was paid for the same kind of shares.
    """
    place = np.clip(np.round(year_ends(context)).astype(int), 0, context.horizon)
    terms = context.deal.impairment
    value = stake[..., place] / (1.0 - parameters["liquidity_discount"])[..., None]
    short = (np.log(terms.threshold * terms.carrying_bn) - ops.log(value)) / parameters[
        "impairment_spread"
    ][..., None]
    return ops.log1p(-parameters["impairment_recognition"][..., None] * ops.norm_cdf(short))


def impairment_process(context: Context) -> LifeProcess:
    """The stake survives the year ends passed so far."""
    ends = year_ends(context)

    def log_survival(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        # Accounts dated on the year's last day include that year's test.
        passed = (ends[:, None] <= t + _SAME_DAY).astype(float)
        return ops.dot(curves["log_spared"], passed)

    def log_hazard(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        return 0.0 * log_survival(parameters, curves, who, t, ops)  # exits come in windows only

    return LifeProcess(log_survival, log_hazard)


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    terms: list[tuple[str, Term]] = []
    for kind in (REVENUE, RUN_RATE, REVENUE_BOUND):
        part = rows[rows["kind"] == kind.name]
        if not part.empty:
            terms.append((kind.name, _figures(context, part, kind)))
    observations = []
    marks = rows[rows["kind"] == IMPAIRMENT.name].sort_values(["event_date", "id"])
    for _, row in marks.iterrows():
        t = context.month(row["event_date"])
        if t < 0.0:
            raise LedgerError(
                f"row {row['id']}: impairment on {row['event_date']} is before the close on "
                f"{context.deal.closed}, when there was no stake to write down; correct event_date, or "
                "clear kind, value and unit to keep it as context"
            )
        written = float(row["value"]) > 0.5
        if written:
            t = _tested(context, row, t)
        # At any year end so far; clean accounts before it narrow that by as much as they are believed.
        lower = 0.0 if written else None
        observations.append(
            Observation(row["id"], 0, written, t, lower, context.probability_true(row))
        )
    if observations:
        terms.append(("impairment", LifeCourse(tuple(observations), impairment_process(context))))
    return terms


def _tested(context: Context, row: pd.Series, t: float) -> float:
    """Months from the close to the year end at which a write-down dated ``t`` counts."""
    ends = year_ends(replace(context, reach=None))
    later = ends[ends >= t - _SAME_DAY]
    if not later.size:
        raise LedgerError(
            f"row {row['id']}: impairment on {row['event_date']} comes after the last year end within the "
            "deal's horizon; correct event_date, or clear kind, value and unit to keep it as context"
        )
    return float(later[0])


def _last(context: Context, rows: pd.DataFrame) -> float:
    """Months that rows look to: a write-down to the end of its year."""
    marks = rows[(rows["kind"] == IMPAIRMENT.name) & (rows["value"] > 0.5)]
    days = [context.month(dt.date(day.year, 12, 31)) for day in marks["event_date"]]
    return max(days, default=0.0)


def _figures(context: Context, rows: pd.DataFrame, kind: Kind) -> Independent:
    """Reported figures against the latent path: a year's mean, or the rate on a day."""
    grid = context.grid.astype(float)
    weights = np.zeros((len(grid), len(rows)))
    for j, (_, row) in enumerate(rows.iterrows()):
        end = context.month(row["event_date"])
        # A day, or the twelve mid-months of the year that ends then.
        year = end - 365.25 / DAYS_PER_MONTH * (np.arange(12) + 0.5) / 12.0
        points = np.array([end]) if kind is RUN_RATE else year
        if kind is REVENUE and (row["event_date"] + dt.timedelta(days=1)).day != 1:
            raise LedgerError(
                f"row {row['id']}: revenue of a year that ends on {row['event_date']}, and years of accounts end "
                "with a month; write the last day of the nearest month, or use run_rate for the rate on a day"
            )
        if points.min() < grid[0] or points.max() > grid[-1]:
            raise LedgerError(
                f"row {row['id']}: {kind.name} at {row['event_date']} lies outside the model's months "
                f"{grid[0]:g} to {grid[-1]:g} since the close; leave kind empty to keep it as context"
            )
        left = np.clip(np.floor(points - grid[0]).astype(int), 0, len(grid) - 2)
        part = points - grid[0] - left
        for a, p in zip(left, part, strict=True):
            weights[a, j] += (1.0 - p) / len(points)
            weights[a + 1, j] += p / len(points)
    value, sd = rows["value"].to_numpy(float), rows["sd"].to_numpy(float)
    at_least = kind is REVENUE_BOUND

    def latent(curves: Curves, ops: Ops) -> Array:
        return ops.log(ops.dot(curves["revenue_grid"], weights))

    def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        gap = (np.log(value) - latent(curves, ops)) / sd
        if at_least:
            return ops.log_norm_cdf(-gap)
        return -0.5 * gap**2 - np.log(sd * np.sqrt(2 * np.pi))

    def simulate(parameters: Parameters, curves: Curves, rng: np.random.Generator) -> np.ndarray:
        centre = latent(curves, numpy_ops())
        return np.exp(centre + sd * rng.standard_normal(centre.shape))

    truth = context.truth(rows)
    return Independent(tuple(rows["id"]), truth, logp, simulate)


MODEL = SubModel(
    name="revenue",
    title="What does the target earn, and is the stake written down?",
    equation=(
        "R(t) = R(0)(1 − a) Σ w_i A_i(t) G(t) + ν s (1 − e^(−ht))/h · G(t) + purchases(t)",
        "log reported ~ Normal(log R, error);  at least v: Φ((log R − log v)/error)",
        "P(written down at a year's end) = r · Φ((log(threshold × carrying) − log stake)/s)",
    ),
    requires=("integration", "adoption", "churn"),
    kinds=(REVENUE, RUN_RATE, REVENUE_BOUND, IMPAIRMENT),
    scalars=_scalars,
    innovations=lambda context: {},
    curves=_curves,
    terms=_terms,
    last=_last,
)
