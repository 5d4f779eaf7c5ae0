"""One deal, one scenario, one as-of date, one seed: from the ledger to the results that a page shows.

``open_study`` joins the layers below; everything it returns is computed once and on demand. Notebooks, the
runner and the command line call nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from valuation.study.case import Study, open_study
    from valuation.study.change import Change, compare_runs, open_change
    from valuation.study.contrast import compare
    from valuation.study.controls import explore
    from valuation.study.guide import guide_results, limits_results, reference_results
    from valuation.study.lesson import rehearsed
    from valuation.study.methods import method_results
    from valuation.study.moves import explore_results
    from valuation.study.scores import score_results
    from valuation.study.teaching import model_results

# Where each name lives: an update needs few of these, and what it does not import it does not wait for.
_HOMES = {
    "Change": "change",
    "Study": "case",
    "compare": "contrast",
    "compare_runs": "change",
    "explore": "controls",
    "explore_results": "moves",
    "guide_results": "guide",
    "limits_results": "guide",
    "method_results": "methods",
    "model_results": "teaching",
    "open_change": "change",
    "open_study": "case",
    "reference_results": "guide",
    "rehearsed": "lesson",
    "score_results": "scores",
}

__all__ = [
    "Change",
    "Study",
    "compare",
    "compare_runs",
    "explore",
    "explore_results",
    "guide_results",
    "limits_results",
    "method_results",
    "model_results",
    "open_change",
    "open_study",
    "reference_results",
    "rehearsed",
    "score_results",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
