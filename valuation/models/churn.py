"""Churn: which of the target's customers stay, leave or come back.

Customer i of a segment has, in months since the close,

    S_i(t) = exp(-b_i t) · (1 - π c_i + π c_i exp(-b_i (e^β - 1) τ (1 - e^(-t/τ))))
    b_i = exp(log m_seg + σ u_i - λ_C z)

the survival function, with ``m_seg`` the ordinary monthly hazard of the segment, ``u_i ~ N(0,
1)`` and z integration. ``c_i`` = 1 for a customer that competes with the acquirer. Such a
customer minds the new owner with probability π; one that does has its hazard multiplied by
``e^β`` on the day of the deal, a surge that fades with τ. The share π keeps a few quick exits
from proving that every rival must go (a mixture cure model: Farewell 1982, Biometrics 38). A
customer that left comes back at a constant rate ω. Pooled rows of the roster ("Other …") are
populations: no ``u_i``, and their survival is the share that stays.

Evidence: endings (within a window of at least a month) and sightings telescope; a report of an
unconfirmed cut enters through its credibility. New customers named in public are ``Poisson(ν ρ
t)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from valuation.errors import LedgerError
from valuation.models.base import (
    Bound,
    BoundLifeCourse,
    Context,
    Curves,
    Independent,
    LifeCourse,
    LifeProcess,
    Observation,
    Parameters,
    SubModel,
    Term,
    need_count,
    need_nothing,
    need_window,
    occupancy,
)
from valuation.ops import Array, Ops, numpy_ops
from valuation.schema import Kind

# A customer may come back, also where nobody told of it: neither a sighting after an ending nor a second ending
# contradicts the first. As long as the first is believed, a second one says nothing new (``models.base``).
CUSTOMER_ENDED = Kind(
    name="customer_ended",
    model="churn",
    roster="customers",
    unit="months",
    meaning="stopped buying in the window of `value` months (at least one) that ends on event_date",
    check=need_window,
    ahead=True,
)
CUSTOMER_ACTIVE = Kind(
    name="customer_active",
    model="churn",
    roster="customers",
    unit="",
    meaning="buying on event_date",
    check=need_nothing,
)
# Deciding to leave and ceasing to pay lie about a notice period apart, so no report dates an ending to better than
# a month: an exact day would claim that the hazard on that day, not in that month, was high.
RESOLUTION_MONTHS = 1.0

NEW_CUSTOMERS = Kind(
    name="new_customers",
    model="churn",
    roster="entities",
    about="target",
    unit="count",
    meaning="value = new customers named in public from the close to event_date",
    check=need_count,
)


def segments(context: Context) -> list[str]:
    """Segments in alphabetical order."""
    return sorted(set(context.customers["segment"]))


def _scalars(context: Context) -> list[str]:
    return [
        *(f"churn_hazard_{s}" for s in segments(context)),
        "churn_heterogeneity",
        "loading_churn",
        "conflict_share",
        "conflict_effect",
        "conflict_decay_months",
        "return_rate",
        "new_customer_rate",
        "new_customer_reporting",
    ]


def _innovations(context: Context) -> dict[str, tuple[str, list[Any]]]:
    return {"customer_effect": ("customer", context.subjects("customers"))}


def _curves(
    context: Context,
    parameters: Parameters,
    curves: Curves,
    bound: Mapping[str, Bound] | None,
    ops: Ops,
) -> Curves:
    names = segments(context)
    roster = context.customers.set_index("subject").loc[context.subjects("customers")]
    segment = np.array([names.index(s) for s in roster["segment"]])
    own = 1.0 - roster["pooled"].to_numpy(float)
    level = ops.stack([ops.log(parameters[f"churn_hazard_{s}"]) for s in names])
    base = (
        level[..., segment]
        + parameters["churn_heterogeneity"][..., None] * parameters["customer_effect"] * own
        - (parameters["loading_churn"] * parameters["integration"])[..., None]
    )
    new: Curves = {"log_churn_hazard": base}
    if bound is None:
        return new
    months = context.months.astype(float)
    life = bound.get("life_customers")
    active = occupancy(
        process(context),
        life if isinstance(life, BoundLifeCourse) else None,
        parameters,
        new,
        list(range(len(roster))),
        np.tile(months, (len(roster), 1)),
        ops,
    )
    new["customer_active"] = active  # (..., customer, month)
    rival = roster["rival"].to_numpy(float) * roster["revenue_share"].to_numpy(float)
    if rival.sum() > 0:
        new["rivals_active"] = ops.dot(rival / rival.sum(), active)
    else:  # nobody to lose
        new["rivals_active"] = 0.0 * active[..., 0, :] + 1.0
    return new


def process(context: Context) -> LifeProcess:
    """The hazard of each customer in months since the close."""
    roster = context.customers.set_index("subject").loc[context.subjects("customers")]
    conflict = roster["rival"].to_numpy(float)
    since = np.array([max(context.month(d), 0.0) for d in roster["start"]])  # won after the close

    def surge(parameters: Parameters, who: np.ndarray, start: Array, t: Array, ops: Ops) -> Array:
        """Months of ordinary hazard that the conflict adds between ``start`` and ``t``."""
        tau = parameters["conflict_decay_months"][..., None]
        faded = ops.exp(-start / tau) - ops.exp(-t / tau)
        return ops.expm1(parameters["conflict_effect"])[..., None] * conflict[who] * tau * faded

    def log_survival(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        base = ops.exp(curves["log_churn_hazard"][..., who])
        begin, end = since[who], np.maximum(t, since[who])
        if not conflict[who].any():
            return -base * (end - begin)
        minds = parameters["conflict_share"][..., None]
        gone = -ops.expm1(-base * surge(parameters, who, begin, end, ops))
        return -base * (end - begin) + ops.log1p(-minds * gone)

    def log_hazard(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        base = ops.exp(curves["log_churn_hazard"][..., who])
        tau = parameters["conflict_decay_months"][..., None]
        minds = parameters["conflict_share"][..., None]
        begin, end = since[who], np.maximum(t, since[who])
        left = ops.exp(-base * surge(parameters, who, begin, end, ops))
        rate = ops.expm1(parameters["conflict_effect"])[..., None] * conflict[who]
        still = minds * left / (1.0 - minds + minds * left)  # P(minds | still a customer)
        return ops.log(base) + ops.log1p(rate * ops.exp(-end / tau) * still)

    def log_no_return(parameters: Parameters, elapsed: np.ndarray, ops: Ops) -> Array:
        return -parameters["return_rate"][..., None] * elapsed

    return LifeProcess(log_survival, log_hazard, log_no_return)


def due_to_conflict(
    process: LifeProcess,
    parameters: Parameters,
    curves: Curves,
    who: np.ndarray,
    t: Array,
    ops: Ops,
) -> Array:
    """Probability that an ending at ``t`` came of the conflict, not of the ordinary hazard, shape ``(..., n)``.

    Of two causes that compete, the one behind an event at ``t`` is drawn in proportion to their hazards then.
    """
    total = process.log_hazard(parameters, curves, who, t, ops)
    return -ops.expm1(curves["log_churn_hazard"][..., who] - total)


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    terms: list[tuple[str, Term]] = []
    subjects = context.subjects("customers")
    won = dict(zip(context.customers["subject"], context.customers["start"], strict=True))
    observations = []
    for _, row in rows[rows["kind"].isin([CUSTOMER_ENDED.name, CUSTOMER_ACTIVE.name])].iterrows():
        t = context.month(row["event_date"])
        ending = row["kind"] == CUSTOMER_ENDED.name
        if t < 0.0 or (ending and t == 0.0):
            raise LedgerError(
                f"row {row['id']}: {row['kind']} of {row['subject']!r} on {row['event_date']} is not after the "
                f"close on {context.deal.closed}; correct event_date or leave kind empty"
            )
        width = RESOLUTION_MONTHS if pd.isna(row["value"]) else float(row["value"])
        lower = None
        if ending:  # one that ends within days of its start fills its first month
            since = max(context.month(won[row["subject"]]), 0.0)
            t = max(t, since + RESOLUTION_MONTHS)
            lower = max(t - max(width, RESOLUTION_MONTHS), since)
        observations.append(
            Observation(
                row["id"],
                subjects.index(row["subject"]),
                ending,
                t,
                lower,
                context.probability_true(row),
            )
        )
    if observations:
        terms.append(("life_customers", LifeCourse(tuple(observations), process(context))))

    counts = rows[rows["kind"] == NEW_CUSTOMERS.name].sort_values(["event_date", "id"])
    if not counts.empty:
        end = np.array([context.month(d) for d in counts["event_date"]])
        total = counts["value"].to_numpy(float)
        if end[0] <= 0.0:
            first = counts.iloc[0]
            raise LedgerError(
                f"row {first['id']}: new customers are counted from the close on {context.deal.closed}, and "
                f"{first['event_date']} is not after it; correct event_date, or clear kind, value and unit to "
                "keep it as context"
            )
        start, earlier = np.append(0.0, end[:-1]), np.append(0.0, total[:-1])
        new = total - earlier
        if (end <= start).any() or (new < 0).any():
            raise LedgerError(
                f"rows {', '.join(counts['id'])}: new customers are counted from the close, so dates and counts "
                "must rise; supersede the row that does not"
            )

        def rate(parameters: Parameters, ops: Ops) -> Array:
            seen = parameters["new_customer_rate"] * parameters["new_customer_reporting"]
            return seen[..., None] * (end - start)

        def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            expected = rate(parameters, ops)
            return new * ops.log(expected) - expected - ops.gammaln(new + 1.0)

        def simulate(
            parameters: Parameters, curves: Curves, rng: np.random.Generator
        ) -> np.ndarray:
            return earlier + rng.poisson(rate(parameters, numpy_ops()))

        truth = context.truth(counts)
        terms.append(("new_customers", Independent(tuple(counts["id"]), truth, logp, simulate)))
    return terms


MODEL = SubModel(
    name="churn",
    title="Do the target's customers stay when a rival owns half of it?",
    equation=(
        "S_i(t) = e^(−b_i t) · (1 − π c_i + π c_i exp(−b_i (e^β − 1) τ (1 − e^(−t/τ))))",
        "b_i = exp(log m_seg + σ u_i − λ_C z)",
        "comes back after leaving at rate ω;  new customers named ~ Poisson(ν ρ t)",
    ),
    requires=("integration",),
    kinds=(CUSTOMER_ENDED, CUSTOMER_ACTIVE, NEW_CUSTOMERS),
    scalars=_scalars,
    innovations=_innovations,
    curves=_curves,
    terms=_terms,
    conditions=True,
)
