"""The parts of a report: results in, one :class:`Section` of escaped HTML out.

The same functions serve the notebook, where a cell is one call, and the page. Every number in their
prose comes from the results they are given; every text from a ledger is escaped; every figure has a
sentence that reads it and the numbers behind it.
"""

from valuation.sections.answer import (
    definitions,
    headline,
    npv,
    outside_view,
    provenance,
    scenario_banner,
)
from valuation.sections.belief import opinion
from valuation.sections.contrast import (
    components_table,
    definitions_table,
    scenario_figure,
    scenario_table,
)
from valuation.sections.guide import (
    guide_kinds,
    guide_models,
    lesson_back,
    lesson_row,
    limits_evidence,
    limits_outside,
    reference,
)
from valuation.sections.learning import (
    curves,
    model_header,
    model_rows,
    model_summary,
    predictive,
    prior_posterior,
)
from valuation.sections.live import live
from valuation.sections.methods import (
    method_calibration,
    method_coverage,
    method_evidence,
    method_models,
    method_money,
    method_sources,
    method_update,
    method_worth,
)
from valuation.sections.money import (
    break_even,
    cash,
    drivers,
    hurdle,
    price,
    tornado,
    waterfall,
)
from valuation.sections.moves import exploration
from valuation.sections.news import (
    news_drivers,
    news_headline,
    news_items,
    news_method,
    news_quantities,
    news_rows,
)
from valuation.sections.parts import SECTION_MIME, Section, folded
from valuation.sections.past import history, past
from valuation.sections.questions import questions
from valuation.sections.scorecard import score_backtest, score_calibration, score_record
from valuation.sections.sentinel import RESULTS_MIME, Sentinel, digest_of, finish
from valuation.sections.world import (
    assumptions,
    customers,
    diagnostics,
    evidence,
    evidence_overview,
    glossary,
    people,
    shrinkage,
)
from valuation.sections.worth import knowing, options, waiting

__all__ = [
    "RESULTS_MIME",
    "SECTION_MIME",
    "Section",
    "Sentinel",
    "assumptions",
    "break_even",
    "cash",
    "components_table",
    "curves",
    "customers",
    "definitions",
    "definitions_table",
    "diagnostics",
    "digest_of",
    "drivers",
    "evidence",
    "evidence_overview",
    "exploration",
    "finish",
    "folded",
    "glossary",
    "guide_kinds",
    "guide_models",
    "headline",
    "history",
    "hurdle",
    "knowing",
    "lesson_back",
    "lesson_row",
    "limits_evidence",
    "limits_outside",
    "live",
    "method_calibration",
    "method_coverage",
    "method_evidence",
    "method_models",
    "method_money",
    "method_sources",
    "method_update",
    "method_worth",
    "model_header",
    "model_rows",
    "model_summary",
    "news_drivers",
    "news_headline",
    "news_items",
    "news_method",
    "news_quantities",
    "news_rows",
    "npv",
    "opinion",
    "options",
    "outside_view",
    "past",
    "people",
    "predictive",
    "price",
    "prior_posterior",
    "provenance",
    "questions",
    "reference",
    "scenario_banner",
    "scenario_figure",
    "scenario_table",
    "score_backtest",
    "score_calibration",
    "score_record",
    "shrinkage",
    "tornado",
    "waiting",
    "waterfall",
]
