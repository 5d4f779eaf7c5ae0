"""Adoption: the share of the acquirer's expert-data spending that goes to the target.

On half-yearly knots j since the close, linear in between:

    logit share[j] = η0 + (1 - exp(-t_j/12)) (λ_A z + κ q) + δ j + σ Σ_{i<=j} ε_i,   ε ~ N(0, 1)

z is integration, q ~ N(0, 1) the latent quality of the target's data against its rivals'; both
take about a year to show. Graded quality reports observe q through an ordered logit; a rival
vendor in use has probability ``1 - share``; a reported share observes the logit with its own
error. The contract floor enters spending, not quality. Spending on expert data starts at a level
and grows at a rate that fades.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from valuation.models.base import (
    HALF_YEAR,
    Bound,
    Context,
    Curves,
    Independent,
    Parameters,
    SubModel,
    Term,
    graded_reports,
    need_grade,
    need_indicator,
)
from valuation.ops import Array, Ops, numpy_ops
from valuation.schema import Kind

RAMP_MONTHS = 12.0
SPEND_FADE_MONTHS = 48.0


def _need_share(value: float | None, sd: float | None) -> str | None:
    if value is None:
        return "value is missing; give a fraction strictly between 0 and 1: 0.40 is forty per cent"
    if not 0.0 < value < 1.0:
        return "value must be a fraction strictly between 0 and 1: 0.40 is forty per cent"
    if sd is None or not 0.05 <= sd <= 3.0:
        return "sd is on the logit scale, between 0.05 and 3"
    return None


QUALITY_REPORT = Kind(
    name="quality_report",
    model="adoption",
    roster="vendors",
    about="target",
    unit="grade",
    meaning="value -1, 0 or +1: a view of the target's data against its rivals'",
    check=need_grade,
)
VENDOR_IN_USE = Kind(
    name="vendor_in_use",
    model="adoption",
    roster="vendors",
    about="rival",
    unit="indicator",
    meaning="value 1 if the acquirer uses that rival vendor on event_date, else 0",
    check=need_indicator,
)
VENDOR_SHARE = Kind(
    name="vendor_share",
    model="adoption",
    roster="vendors",
    about="target",
    unit="fraction",
    meaning="value = share of the acquirer's expert-data spending, sd on the logit scale",
    check=_need_share,
    measured=True,
    density=True,
)


def _scalars(context: Context) -> list[str]:
    return [
        "adoption_level",
        "adoption_drift",
        "adoption_volatility",
        "data_quality",
        "quality_effect",
        "loading_adoption",
        "quality_informativeness",
        "report_cut",
        "report_width",
        "data_spend",
        "data_spend_growth",
    ]


def _innovations(context: Context) -> dict[str, tuple[str, list[Any]]]:
    return {"adoption_steps": ("half_year", [int(k) for k in context.knots[1:]])}


def interpolation(knots: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Weights ``(knots, times)`` that interpolate linearly, flat beyond the ends."""
    place = np.clip((np.asarray(times, float) - knots[0]) / HALF_YEAR, 0.0, len(knots) - 1.0)
    left = np.minimum(place.astype(int), len(knots) - 2)
    weights = np.zeros((len(knots), len(place)))
    columns = np.arange(len(place))
    weights[left, columns] += 1.0 - (place - left)
    weights[left + 1, columns] += place - left
    return weights


def _curves(
    context: Context, parameters: Parameters, curves: Curves, bound: Mapping[str, Bound], ops: Ops
) -> Curves:
    knots = context.knots.astype(float)
    steps = len(knots) - 1
    ramp = -np.expm1(-knots / RAMP_MONTHS)
    pull = (
        parameters["loading_adoption"] * parameters["integration"]
        + parameters["quality_effect"] * parameters["data_quality"]
    )
    walk = ops.dot(parameters["adoption_steps"], np.tril(np.ones((steps + 1, steps)), -1).T)
    logit = (
        parameters["adoption_level"][..., None]
        + pull[..., None] * ramp
        + parameters["adoption_drift"][..., None] * np.arange(steps + 1.0)
        + parameters["adoption_volatility"][..., None] * walk
    )
    months = context.months.astype(float)
    share = ops.sigmoid(ops.dot(logit, interpolation(knots, months)))
    # log spend = level + growth that fades: the integral of g exp(-t/fade)
    growth = SPEND_FADE_MONTHS / 12.0 * -np.expm1(-months / SPEND_FADE_MONTHS)
    spend = parameters["data_spend"][..., None] * ops.exp(
        parameters["data_spend_growth"][..., None] * growth
    )
    terms = context.deal.services
    floor = np.where(months <= terms.contract_years * 12, terms.floor_bn_per_year, 0.0)
    promised = ops.minimum(floor + 0.0 * spend, terms.floor_share_of_spend * spend)
    return {
        "adoption_logit": logit,
        "adoption_share": share,
        "acquirer_spend": spend,
        "purchases": ops.maximum(share * spend, promised),
    }


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    terms: list[tuple[str, Term]] = []

    def take(kind: Kind) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, tuple[str, ...]]:
        part = rows[rows["kind"] == kind.name]
        truth = context.truth(part)
        return part, part["value"].to_numpy(float), truth, tuple(part["id"])

    reports, *_ = take(QUALITY_REPORT)
    if not reports.empty:
        told = graded_reports(context, reports, "data_quality", "quality_informativeness")
        terms.append(("quality_report", told))

    used_part, used, used_truth, used_ids = take(VENDOR_IN_USE)
    if used_ids:
        used_logit = _logit_at(context, used_part)

        def in_use(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            logit = used_logit(curves, ops)
            return ops.where(used > 0.5, ops.log_sigmoid(-logit), ops.log_sigmoid(logit))

        def use(parameters: Parameters, curves: Curves, rng: np.random.Generator) -> np.ndarray:
            rival = 1.0 - numpy_ops().sigmoid(used_logit(curves, numpy_ops()))
            return (rng.random(rival.shape) < rival).astype(float)

        terms.append(("vendor_in_use", Independent(used_ids, used_truth, in_use, use)))

    share_part, share, share_truth, share_ids = take(VENDOR_SHARE)
    if share_ids:
        share_logit = _logit_at(context, share_part)
        sd = share_part["sd"].to_numpy(float)
        seen = np.log(share) - np.log1p(-share)

        def shares(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            return -0.5 * ((seen - share_logit(curves, ops)) / sd) ** 2 - np.log(
                sd * np.sqrt(2 * np.pi)
            )

        def draw_shares(
            parameters: Parameters, curves: Curves, rng: np.random.Generator
        ) -> np.ndarray:
            centre = share_logit(curves, numpy_ops())
            return numpy_ops().sigmoid(centre + sd * rng.standard_normal(centre.shape))

        terms.append(("vendor_share", Independent(share_ids, share_truth, shares, draw_shares)))
    return terms


def _logit_at(context: Context, rows: pd.DataFrame) -> Any:
    weights = interpolation(
        context.knots.astype(float), np.array([context.month(d) for d in rows["event_date"]])
    )

    def logit(curves: Curves, ops: Ops) -> Array:
        return ops.dot(curves["adoption_logit"], weights)

    return logit


MODEL = SubModel(
    name="adoption",
    title="Does the acquirer come to rely on the target's data?",
    equation=(
        "logit share[j] = η0 + (1 − e^(−t/12)) (λ_A z + κ q) + δ j + σ Σ ε",
        "P(quality report = −1) = logit⁻¹(c − b q);  P(a rival vendor is used) = 1 − share",
        "purchases = max(share × spend, min(floor, half of spend) while the contract runs)",
    ),
    requires=("integration",),
    kinds=(QUALITY_REPORT, VENDOR_IN_USE, VENDOR_SHARE),
    scalars=_scalars,
    innovations=_innovations,
    curves=_curves,
    terms=_terms,
)
