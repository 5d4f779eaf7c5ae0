"""One deal, one scenario, one as-of date, one seed: from the ledger to the results that a page shows.

``open_study`` joins the layers below; everything it returns is computed once and on demand. Notebooks, the
runner and the command line call nothing else.
"""

from __future__ import annotations

from valuation.study.case import Study, open_study
from valuation.study.change import Change, compare_runs, open_change
from valuation.study.contrast import compare
from valuation.study.teaching import model_results

__all__ = [
    "Change",
    "Study",
    "compare",
    "compare_runs",
    "model_results",
    "open_change",
    "open_study",
]
