"""Integration: how well the two organizations mesh.

One latent quantity ``z ~ N(0, 1)`` that retention, adoption, churn and punctuality share. Its unit fixes
the scale of the non-negative loadings, which are priors of the models that load on it. Reports graded
-1, 0 or +1 observe it through an ordered logit whose informativeness is estimated.
"""

from __future__ import annotations

import pandas as pd

from valuation.models.base import (
    Context,
    SubModel,
    Term,
    graded_reports,
    need_grade,
)
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


def _terms(context: Context, rows: pd.DataFrame) -> list[tuple[str, Term]]:
    reports = rows[rows["kind"] == INTEGRATION_REPORT.name]
    if reports.empty:
        return []
    told = graded_reports(context, reports, "integration", "integration_informativeness")
    return [("integration_report", told)]


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
    curves=lambda context, parameters, curves, bound, ops: {},
    terms=_terms,
)
