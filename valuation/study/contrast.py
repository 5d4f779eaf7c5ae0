"""Every scenario of a deal side by side, on one fit and the same random numbers."""

from __future__ import annotations

from typing import Any

from valuation.archive import DEFAULT_DEAL
from valuation.params import scenarios_of
from valuation.study.case import RANDOM_SEED, open_study

SHOWN = ("scenario", "headline", "definitions", "npv_quantiles", "components")


def compare(
    deal: str = DEFAULT_DEAL,
    *,
    as_of: str = "",
    random_seed: int = RANDOM_SEED,
    override: str = "",
    root: Any = None,
) -> dict[str, Any]:
    """Results of every scenario of the deal, cut to what a comparison shows.

    Returns
    -------
    dict
        ``scenarios``: for each that its own checks let pass, the keys of :data:`SHOWN`; ``refused``: the others, with
        the checks that failed; ``deal``, ``as_of``, ``run`` and
        ``diagnostics`` of the base.
    """
    base = open_study(deal, as_of=as_of, random_seed=random_seed, override=override, root=root)
    rows, refused = [], []
    for name in scenarios_of(base.base_deal, base.root):
        study = open_study(
            deal, name, as_of=as_of, random_seed=random_seed, override=override, root=base.root
        )
        failed = [d["sentence"] for d in study.results["diagnostics"] if not d["passed"]]
        if failed and not override.strip():
            refused.append({"scenario": name, "title": study.scenario.title, "failed": failed})
            continue
        rows.append({key: study.results[key] for key in SHOWN})
    return {
        "schema": 1,
        "deal": base.results["deal"],
        "as_of": str(base.as_of),
        "run": base.results["run"],
        "scenarios": rows,
        "refused": refused,
        "diagnostics": base.results["diagnostics"],
    }
