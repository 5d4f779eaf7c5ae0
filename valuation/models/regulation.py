"""Regulation: does an authority open a formal action against the deal?

A constant monthly hazard. "None opened by this date" contributes its survival, an action its
density; rows telescope. Signs that action has become more (+1) or less (-1) likely observe the
logarithm of the hazard against its prior median through a logit whose informativeness is
estimated.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from valuation.errors import LedgerError
from valuation.models.base import (
    Context,
    Curves,
    Independent,
    LifeCourse,
    LifeProcess,
    Observation,
    Parameters,
    SubModel,
    Term,
    need_indicator,
)
from valuation.ops import Array, Ops, numpy_ops
from valuation.schema import Kind


def _need_sign(value: float | None, sd: float | None) -> str | None:
    if value is None:
        return "value is missing; give -1 (less likely) or 1 (more likely)"
    if value not in (-1.0, 1.0):
        return "value must be -1 (less likely) or 1 (more likely)"
    return None if sd is None else "a sign takes no sd; leave it blank"


REGULATORY_ACTION = Kind(
    name="regulatory_action",
    model="regulation",
    roster="entities",
    about="regulator",
    unit="indicator",
    meaning="value 1: a formal action opened on event_date; 0: none opened by then",
    check=need_indicator,
    stands=lambda value: value == 0.0,
)
REGULATORY_SIGNAL = Kind(
    name="regulatory_signal",
    model="regulation",
    roster="entities",
    about="regulator",
    unit="grade",
    meaning="value +1 or -1: a sign that action has become more or less likely",
    check=_need_sign,
)


def process(context: Context) -> LifeProcess:
    """One subject with a constant hazard."""

    def log_survival(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        return -parameters["action_hazard"][..., None] * t

    def log_hazard(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        return ops.log(parameters["action_hazard"])[..., None] + 0.0 * t

    return LifeProcess(log_survival, log_hazard)


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    terms: list[tuple[str, Term]] = []
    observations = []
    for _, row in rows[rows["kind"] == REGULATORY_ACTION.name].iterrows():
        t, opened = context.month(row["event_date"]), float(row["value"]) > 0.5
        if t < 0.0:
            raise LedgerError(
                f"row {row['id']}: {row['event_date']} is before the close on {context.deal.closed}; "
                "leave kind empty to keep it as context"
            )
        observations.append(
            Observation(row["id"], 0, opened, t, None, context.probability_true(row))
        )
    if observations:
        terms.append(("regulatory_action", LifeCourse(tuple(observations), process(context))))

    signs = rows[rows["kind"] == REGULATORY_SIGNAL.name]
    if not signs.empty:
        sign = signs["value"].to_numpy(float)
        centre = float(np.log(context.prior("action_hazard").ppf(0.5)))

        def logit(parameters: Parameters, ops: Ops) -> Array:
            return (
                parameters["regulatory_informativeness"]
                * (ops.log(parameters["action_hazard"]) - centre)
            )[..., None]

        def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
            return ops.log_sigmoid(sign * logit(parameters, ops))

        def simulate(
            parameters: Parameters, curves: Curves, rng: np.random.Generator
        ) -> np.ndarray:
            p = numpy_ops().sigmoid(logit(parameters, numpy_ops()) + 0.0 * sign)
            return np.where(rng.random(p.shape) < p, 1.0, -1.0)

        truth = context.truth(signs)
        terms.append(("regulatory_signal", Independent(tuple(signs["id"]), truth, logp, simulate)))
    return terms


MODEL = SubModel(
    name="regulation",
    title="Does an authority act against the deal?",
    equation=(
        "T ~ Exponential(λ);  none by t: e^(−λt);  opened at t: λ e^(−λt)",
        "P(sign = +1) = logit⁻¹(b (log λ − log λ₀))",
    ),
    requires=(),
    kinds=(REGULATORY_ACTION, REGULATORY_SIGNAL),
    scalars=lambda context: ["action_hazard", "regulatory_informativeness"],
    innovations=lambda context: {},
    curves=lambda context, parameters, curves, bound, ops: {},
    terms=_terms,
)
