"""Capability: how far the acquirer's best model is behind the frontier.

Gap D in points of a public index (negative: ahead), on half-yearly knots since the close:

    D[j] = m + φ (D[j-1] - m) - κ_T T[j] - κ_Q q s[j] + σ ε_j,   D[0] ~ prior,  ε ~ N(0, 1)

T is the retained share of the acquired talent, m the gap the acquirer tends to without it, q the
quality of the target's data and s the share of the acquirer's spending that buys it: talent and
data move the gap, at rates to be learned. Reported gaps observe D, ranks observe ``1 + max(D,
0)/spacing`` on the log scale, and whether an announced model date is met depends on integration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from valuation.models.adoption import interpolation
from valuation.models.base import (
    Bound,
    Context,
    Curves,
    Independent,
    NeedPositive,
    Parameters,
    SubModel,
    Term,
    need_indicator,
)
from valuation.ops import Array, Ops, numpy_ops
from valuation.schema import Kind


def _need_gap(value: float | None, sd: float | None) -> str | None:
    if value is None:
        return "value is missing; give a gap in index points between -100 and 100"
    if not -100.0 <= value <= 100.0:
        return "value is a gap in index points between -100 and 100"
    if sd is None or not 0.1 <= sd <= 50.0:
        return "sd is in index points, between 0.1 and 50"
    return None


def _need_rank(value: float | None, sd: float | None) -> str | None:
    if value is not None and value < 1.0:
        return "a rank is 1, the best, or more; correct value"
    return _RANK(value, sd)


_RANK = NeedPositive(100.0, 0.05, 3.0)
LAB_RANK = Kind(
    name="lab_rank",
    model="capability",
    roster="entities",
    about="acquirer",
    unit="rank",
    meaning="value = rank of the acquirer's lab among labs, 1 the best; sd on the log scale",
    check=_need_rank,
    measured=True,
    density=True,
)
INDEX_GAP = Kind(
    name="index_gap",
    model="capability",
    roster="entities",
    about="acquirer",
    unit="index points",
    meaning="value = points of a public index behind the frontier (negative: ahead)",
    check=_need_gap,
    measured=True,
    density=True,
)
MILESTONE = Kind(
    name="milestone",
    model="capability",
    roster="entities",
    about="acquirer",
    unit="indicator",
    meaning="value 1 if an announced model date was met, 0 if it was missed",
    check=need_indicator,
)


def _scalars(context: Context) -> list[str]:
    return [
        "gap_at_close",
        "gap_long_run",
        "gap_persistence",
        "gap_volatility",
        "talent_effect",
        "data_effect",
        "rank_spacing",
        "milestone_level",
        "milestone_effect",
    ]


def _innovations(context: Context) -> dict[str, tuple[str, list[Any]]]:
    return {"gap_steps": ("half_year", [int(k) for k in context.knots[1:]])}


def gap_path(
    context: Context, parameters: Parameters, talent: Array, share: Array, ops: Ops
) -> Array:
    """D on the knots, shape ``(..., knot)``, from monthly talent and share paths."""
    place = np.minimum(context.knots, context.horizon)
    push = (
        parameters["talent_effect"][..., None] * talent[..., place]
        + (parameters["data_effect"] * parameters["data_quality"])[..., None] * share[..., place]
    )
    gap = [parameters["gap_at_close"]]
    keep, middle = parameters["gap_persistence"], parameters["gap_long_run"]
    shock = parameters["gap_volatility"][..., None] * parameters["gap_steps"]
    for j in range(1, len(context.knots)):  # a loop over 20 knots, never over draws
        gap.append(middle + keep * (gap[-1] - middle) - push[..., j] + shock[..., j - 1])
    return ops.stack(gap)


def _curves(
    context: Context, parameters: Parameters, curves: Curves, bound: Mapping[str, Bound], ops: Ops
) -> Curves:
    knots = gap_path(context, parameters, curves["talent_retained"], curves["adoption_share"], ops)
    weights = interpolation(context.knots.astype(float), context.months.astype(float))
    return {"gap_knots": knots, "capability_gap": ops.dot(knots, weights)}


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    terms: list[tuple[str, Term]] = []
    knots = context.knots.astype(float)

    def take(kind: Kind) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, tuple[str, ...]]:
        part = rows[rows["kind"] == kind.name]
        truth = context.truth(part)
        # Before the close the gap is the one at the close: the path starts there.
        weights = interpolation(knots, np.array([context.month(d) for d in part["event_date"]]))
        return part, weights, truth, tuple(part["id"])

    ranked, rank_weights, rank_truth, rank_ids = take(LAB_RANK)
    if rank_ids:
        rank, rank_sd = ranked["value"].to_numpy(float), ranked["sd"].to_numpy(float)

        def centre(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            gap = ops.dot(curves["gap_knots"], rank_weights)
            return ops.log1p(ops.maximum(gap, 0.0) / parameters["rank_spacing"][..., None])

        def ranks(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            off = (np.log(rank) - centre(parameters, curves, ops)) / rank_sd
            return -0.5 * off**2 - np.log(rank_sd * np.sqrt(2 * np.pi))

        def draw_ranks(
            parameters: Parameters, curves: Curves, rng: np.random.Generator
        ) -> np.ndarray:
            middle = centre(parameters, curves, numpy_ops())
            return np.exp(middle + rank_sd * rng.standard_normal(middle.shape))

        terms.append(("lab_rank", Independent(rank_ids, rank_truth, ranks, draw_ranks)))

    gaps, gap_weights, gap_truth, gap_ids = take(INDEX_GAP)
    if gap_ids:
        points, gap_sd = gaps["value"].to_numpy(float), gaps["sd"].to_numpy(float)

        def behind(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            off = (points - ops.dot(curves["gap_knots"], gap_weights)) / gap_sd
            return -0.5 * off**2 - np.log(gap_sd * np.sqrt(2 * np.pi))

        def draw_gaps(
            parameters: Parameters, curves: Curves, rng: np.random.Generator
        ) -> np.ndarray:
            middle = np.asarray(curves["gap_knots"]) @ gap_weights
            return middle + gap_sd * rng.standard_normal(middle.shape)

        terms.append(("index_gap", Independent(gap_ids, gap_truth, behind, draw_gaps)))

    met_rows, _, met_truth, met_ids = take(MILESTONE)
    if met_ids:
        met = met_rows["value"].to_numpy(float)

        def chance(parameters: Parameters) -> Array:
            return (
                parameters["milestone_level"]
                + parameters["milestone_effect"] * parameters["integration"]
            )[..., None] + 0.0 * met

        def milestones(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            logit = chance(parameters)
            return ops.where(met > 0.5, ops.log_sigmoid(logit), ops.log_sigmoid(-logit))

        def draw_milestones(
            parameters: Parameters, curves: Curves, rng: np.random.Generator
        ) -> np.ndarray:
            p = numpy_ops().sigmoid(chance(parameters))
            return (rng.random(p.shape) < p).astype(float)

        terms.append(("milestone", Independent(met_ids, met_truth, milestones, draw_milestones)))
    return terms


MODEL = SubModel(
    name="capability",
    title="Does the acquirer reach the frontier?",
    equation=(
        "D[j] = m + φ (D[j−1] − m) − κ_T T[j] − κ_Q q s[j] + σ ε",
        "index gap ~ Normal(D, error);  log rank ~ Normal(log(1 + max(D, 0)/spacing), error)",
        "P(a model date is met) = logit⁻¹(a + b z)",
    ),
    requires=("integration", "retention", "adoption"),
    kinds=(LAB_RANK, INDEX_GAP, MILESTONE),
    scalars=_scalars,
    innovations=_innovations,
    curves=_curves,
    terms=_terms,
)
