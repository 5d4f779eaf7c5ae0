"""Retention: who of the people that came with the deal is still in post.

Each cohort g (data: the ``cohort`` column of the people roster) has a piecewise-constant monthly
hazard of voluntary exit on the person's own clock, which starts at the later of the close and the
person's start:

    log h[g, k] = log m[g] + s + w[k] - λ_R z,     breaks at 6, 12, 24 and 48 months

``m[g]`` is the cohort's first-half-year hazard (prior from base rates), ``s`` a shift that the
cohorts of one deal share (partial pooling), ``w`` a random walk over the pieces that starts at 0
with standard deviation τ, z integration. Cut jobs are another event with their own constant
hazard.

Evidence: named exits and sightings telescope (:class:`valuation.models.base.LifeCourse`): silence
is not a sighting, so nobody counts as in post after the last time somebody saw them there. Groups
enter as counts with under-reporting, ``k ~ Binomial(n, ρ_g F_g(t))``, because the press misses
quiet exits; further counts of one group telescope too. Layoffs come in lumps, hence
beta-binomial.
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

BREAKS = np.array([0.0, 6.0, 12.0, 24.0, 48.0])  # months; the last piece is open

DEPARTURE = Kind(
    name="departure",
    model="retention",
    roster="people",
    unit="months",
    meaning="left of their own will on event_date, or in the window of `value` months that ends then",
    check=need_window,
    ahead=True,
    stands=lambda value: False,
    within=lambda value: value or 0.0,
)
SIGHTING = Kind(
    name="sighting",
    model="retention",
    roster="people",
    unit="",
    meaning="seen in post on event_date",
    check=need_nothing,
    stands=lambda value: True,
)
GROUP_EXITS = Kind(
    name="group_exits",
    model="retention",
    roster="people",
    unit="count",
    meaning="value = voluntary exits of a group that were reported by event_date",
    check=need_count,
)
LAYOFF = Kind(
    name="layoff",
    model="retention",
    roster="people",
    unit="count",
    meaning="value = people of a group whose jobs were cut by event_date",
    check=need_count,
)


def cohorts(context: Context) -> list[str]:
    """Cohorts in alphabetical order."""
    return sorted(set(context.people["cohort"]))


def _scalars(context: Context) -> list[str]:
    named = [f"exit_hazard_{c}" for c in cohorts(context)]
    grouped = sorted(set(context.people.loc[context.people["size"] > 1, "cohort"]))
    return [
        *named,
        *(f"reporting_rate_{c}" for c in grouped),
        "exit_hazard_shift",
        "exit_hazard_drift",
        "loading_retention",
        "layoff_hazard",
        "layoff_concentration",
    ]


def _innovations(context: Context) -> dict[str, tuple[str, list[Any]]]:
    return {"exit_hazard_steps": ("piece", [f"from month {b:g}" for b in BREAKS[1:]])}


def exposure(durations: np.ndarray) -> np.ndarray:
    """Months spent in each piece by the given durations, shape ``(..., pieces)``."""
    upper = np.append(BREAKS[1:], np.inf)
    return np.clip(np.asarray(durations, float)[..., None] - BREAKS, 0.0, upper - BREAKS)


def time_to_exit(hazard: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Months until the survival has fallen to ``uniform``, shape ``(draw, n)``; ``hazard`` is ``(draw, piece)``."""
    passed = np.cumsum(hazard[:, :-1] * np.diff(BREAKS), axis=1)
    passed = np.concatenate([np.zeros((len(hazard), 1)), passed], axis=1)  # by each piece's start
    due = -np.log(np.maximum(uniform, np.finfo(float).tiny))
    piece = np.zeros(due.shape, dtype=int)
    for k in range(1, len(BREAKS)):
        piece += due > passed[:, [k]]
    left = due - np.take_along_axis(passed, piece, 1)
    return np.asarray(BREAKS[piece] + left / np.take_along_axis(hazard, piece, 1))


def _curves(
    context: Context,
    parameters: Parameters,
    curves: Curves,
    bound: Mapping[str, Bound] | None,
    ops: Ops,
) -> Curves:
    level = ops.stack([ops.log(parameters[f"exit_hazard_{c}"]) for c in cohorts(context)])
    shift = parameters["exit_hazard_shift"] - (
        parameters["loading_retention"] * parameters["integration"]
    )
    steps = parameters["exit_hazard_drift"][..., None] * parameters["exit_hazard_steps"]
    pieces = len(BREAKS)
    # w = cumulative sum of the steps, starting at 0: a product with a fixed triangle
    walk = ops.dot(steps, np.tril(np.ones((pieces, pieces - 1)), -1).T)
    log_hazard = level[..., :, None] + shift[..., None, None] + walk[..., None, :]
    new: Curves = {"log_exit_hazard": log_hazard}
    if bound is None:
        return new
    months = context.months.astype(float)
    new["cohort_survival"] = ops.exp(-ops.dot(ops.exp(log_hazard), exposure(months).T))
    new["talent_retained"] = _talent(context, parameters, new | dict(curves), bound, ops)
    return new


def _talent(
    context: Context, parameters: Parameters, curves: Curves, bound: Mapping[str, Bound], ops: Ops
) -> Array:
    """Expected retained share of the talent's value on the monthly grid, given what is known of each person."""
    subjects = context.subjects("people")
    roster = context.people.set_index("subject")
    bought = [i for i, s in enumerate(subjects) if roster.loc[s, "talent"]]
    if not bought:
        return 0.0 * parameters["exit_hazard_shift"][..., None] + np.zeros(len(context.months))
    starts = np.array([context.starts[subjects[i]] for i in bought])
    clocks = np.maximum(context.months - starts[:, None], 0.0)
    weights = np.array([float(roster.loc[subjects[i], "weight"]) for i in bought])
    life = bound.get("life_people")
    here = occupancy(
        process(context),
        life if isinstance(life, BoundLifeCourse) else None,
        parameters,
        curves,
        bought,
        clocks,
        ops,
    )
    return ops.dot(weights, here)


def process(context: Context) -> LifeProcess:
    """The hazard of each named subject on its own clock."""
    names = cohorts(context)
    cohort = dict(zip(context.people["subject"], context.people["cohort"], strict=True))
    cohort_of = np.array([names.index(cohort[s]) for s in context.subjects("people")])

    def log_survival(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        if t.ndim == 1 and len(set(who)) == 1:  # one subject: a product instead of a gather
            hazard = ops.exp(curves["log_exit_hazard"][..., cohort_of[who[0]], :])
            return -ops.dot(hazard, exposure(t).T)
        hazard = ops.exp(curves["log_exit_hazard"][..., cohort_of[who], :])
        return -(hazard * exposure(t)).sum(axis=-1)

    def log_hazard(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        piece = np.searchsorted(BREAKS, t, side="right") - 1
        return curves["log_exit_hazard"][..., cohort_of[who], np.maximum(piece, 0)]

    return LifeProcess(log_survival, log_hazard)


def clock(context: Context, subject: str, row: pd.Series) -> float:
    """Months on the subject's own clock at the row's event date."""
    return context.month(row["event_date"]) - context.starts[subject]


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    terms: list[tuple[str, Term]] = []
    subjects = context.subjects("people")
    roster = context.people.set_index("subject")
    life = rows[rows["kind"].isin([DEPARTURE.name, SIGHTING.name])]
    observations = []
    for _, row in life.iterrows():
        t = clock(context, row["subject"], row)
        leaving = row["kind"] == DEPARTURE.name
        if t < 0.0 or (leaving and t == 0.0):
            raise LedgerError(
                f"row {row['id']}: {row['kind']} of {row['subject']!r} on {row['event_date']} is not after the "
                "start of their clock; correct event_date or the roster's entry"
            )
        width = row["value"]
        lower = max(t - float(width), 0.0) if leaving and not pd.isna(width) else None
        observations.append(
            Observation(
                row["id"],
                subjects.index(row["subject"]),
                leaving,
                t,
                lower,
                context.probability_true(row),
            )
        )
    if observations:
        terms.append(("life_people", LifeCourse(tuple(observations), process(context))))
    for kind, build in ((GROUP_EXITS.name, _group_exits), (LAYOFF.name, _layoffs)):
        counted = rows[rows["kind"] == kind].sort_values(["subject", "event_date", "id"])
        if not counted.empty:
            terms.append((kind, build(context, counted, roster)))
    return terms


def _increments(
    context: Context, rows: pd.DataFrame, roster: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per row: start and end of its window on the group's clock, new exits, and people still at risk."""
    spans: list[tuple[float, float, float, float]] = []
    last: dict[str, tuple[float, float]] = {}
    for _, row in rows.iterrows():
        subject, k = row["subject"], float(row["value"])
        t, size = clock(context, subject, row), float(roster.loc[subject, "size"])
        if t <= 0.0:
            raise LedgerError(
                f"row {row['id']}: {row['kind']} of {subject!r} by {row['event_date']} is not after the start of "
                "their clock; correct event_date or the roster's entry"
            )
        t0, k0 = last.get(subject, (0.0, 0.0))
        if t <= t0 or k < k0 or k > size:
            raise LedgerError(
                f"row {row['id']}: {k:g} of {size:g} by {row['event_date']} does not follow {k0:g} before it; "
                "counts of one group are cumulative, so correct or supersede a row"
            )
        spans.append((t0, t, k - k0, size - k0))
        last[subject] = (t, k)
    start, end, new, risk = np.array(spans).T
    return start, end, new, risk


def _group_exits(context: Context, rows: pd.DataFrame, roster: pd.DataFrame) -> Independent:
    start, end, new, risk = _increments(context, rows, roster)
    names = cohorts(context)
    of = [roster.loc[s, "cohort"] for s in rows["subject"]]
    cohort = np.array([names.index(c) for c in of])

    def chance(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        hazard = ops.exp(curves["log_exit_hazard"][..., cohort, :])
        left = -ops.expm1(-(hazard * (exposure(end) - exposure(start))).sum(axis=-1))
        reported = ops.stack([parameters[f"reporting_rate_{c}"] for c in of])
        return ops.minimum(ops.maximum(reported * left, 1e-12), 1.0 - 1e-12)

    def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        p = chance(parameters, curves, ops)
        return _log_choose(risk, new, ops) + new * ops.log(p) + (risk - new) * ops.log1p(-p)

    def simulate(parameters: Parameters, curves: Curves, rng: np.random.Generator) -> np.ndarray:
        p = chance(parameters, curves, numpy_ops())
        return rng.binomial(risk.astype(int), p).astype(float)

    truth = context.truth(rows)
    return Independent(tuple(rows["id"]), truth, logp, simulate)


def _layoffs(context: Context, rows: pd.DataFrame, roster: pd.DataFrame) -> Independent:
    start, end, new, risk = _increments(context, rows, roster)

    def shapes(parameters: Parameters, ops: Ops) -> tuple[Array, Array]:
        p = -ops.expm1(-parameters["layoff_hazard"][..., None] * (end - start))
        p = ops.minimum(ops.maximum(p, 1e-9), 1.0 - 1e-9)
        weight = parameters["layoff_concentration"][..., None]
        return p * weight, (1.0 - p) * weight

    def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        a, b = shapes(parameters, ops)
        return (
            _log_choose(risk, new, ops)
            + _log_beta(new + a, risk - new + b, ops)
            - _log_beta(a, b, ops)
        )

    def simulate(parameters: Parameters, curves: Curves, rng: np.random.Generator) -> np.ndarray:
        a, b = shapes(parameters, numpy_ops())
        return rng.binomial(risk.astype(int), rng.beta(a, b)).astype(float)

    truth = context.truth(rows)
    return Independent(tuple(rows["id"]), truth, logp, simulate)


def _log_choose(n: Array, k: Array, ops: Ops) -> Array:
    return ops.gammaln(n + 1.0) - ops.gammaln(k + 1.0) - ops.gammaln(n - k + 1.0)


def _log_beta(a: Array, b: Array, ops: Ops) -> Array:
    return ops.gammaln(a) + ops.gammaln(b) - ops.gammaln(a + b)


MODEL = SubModel(
    name="retention",
    title="Will the talent stay?",
    equation=(
        "log h[g,k] = log m[g] + s + w[k] − λ_R z   (months 0, 6, 12, 24, 48)",
        "named people: S(t) if last seen at t, f(t)/S(last seen) if they left at t",
        "groups: k ~ Binomial(n, ρ_g · (1 − S_g(t)));  layoffs: k ~ BetaBinomial(n, 1 − exp(−h_L t), κ)",
    ),
    requires=("integration",),
    kinds=(DEPARTURE, SIGHTING, GROUP_EXITS, LAYOFF),
    scalars=_scalars,
    innovations=_innovations,
    curves=_curves,
    terms=_terms,
    conditions=True,
)
