"""Integration: how well the two organizations mesh.

One latent quantity ``z ~ N(0, 1)`` that retention, adoption, churn and punctuality share. Its unit fixes
the scale of the non-negative loadings, which are priors of the models that load on it. Reports graded
-1, 0 or +1 observe it through an ordered logit whose informativeness is estimated.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from valuation.models.base import (
    Bound,
    Context,
    Curves,
    Independent,
    Parameters,
    SubModel,
    Term,
    graded_draws,
    graded_logp,
    need_grade,
)
from valuation.ops import Array, Ops
from valuation.schema import Kind

INTEGRATION_REPORT = Kind(
    name="integration_report",
    model="integration",
    roster="entities",
    about="acquirer",
    unit="grade",
    meaning="value -1, 0 or +1: a report that the organizations mesh badly, so-so or well",
    check=need_grade,
)


def _scalars(context: Context) -> list[str]:
    return ["integration", "integration_informativeness", "report_cut", "report_width"]


def _curves(
    context: Context, parameters: Parameters, curves: Curves, bound: Mapping[str, Bound], ops: Ops
) -> Curves:
    return {}


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    reports = rows[rows["kind"] == INTEGRATION_REPORT.name]
    if reports.empty:
        return []
    grade = reports["value"].to_numpy(float)

    def logp(parameters: Parameters, curves: Curves, ops: Ops) -> Array:
        return graded_logp(
            grade,
            parameters["integration"],
            parameters["integration_informativeness"],
            parameters["report_cut"],
            parameters["report_width"],
            ops,
        )

    def simulate(parameters: Parameters, curves: Curves, rng: np.random.Generator) -> np.ndarray:
        return graded_draws(
            len(grade),
            parameters["integration"],
            parameters["integration_informativeness"],
            parameters["report_cut"],
            parameters["report_width"],
            rng,
        )

    truth = context.truth(reports)
    return [("integration_report", Independent(tuple(reports["id"]), truth, logp, simulate))]


MODEL = SubModel(
    name="integration",
    title="How well do the two organizations mesh?",
    equation=(
        "z ~ Normal(0, 1)",
        "P(report = -1) = logit⁻¹(c − b z),  P(report = +1) = logit⁻¹(b z − c − w)",
    ),
    requires=(),
    kinds=(INTEGRATION_REPORT,),
    scalars=_scalars,
    innovations=lambda context: {},
    curves=_curves,
    terms=_terms,
)
