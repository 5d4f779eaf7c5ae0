"""What changed since the last report: this study against the newest kept run of another state.

Both ends keep the numbers that they published; what lies between is valued on the draws of both fits, so nothing is
sampled for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from valuation import archive
from valuation.models import MODELS

if TYPE_CHECKING:
    from valuation.archive import Run
    from valuation.study.case import Study

MOST_ITEMS = 6  # above, sharing the change out takes longer than a report should wait
KEPT = ("was", "is", "headline", "items", "buckets", "attribution")


def since_of(study: Study, results: Mapping[str, Any]) -> dict[str, Any] | None:
    """The change of the headline since the newest run of another state, as an update tells it; None without one.

    ``shared`` says whether it could be split into causes without a new fit and in short time; if not, ``items`` and
    ``buckets`` are empty, and ``valuation compare`` splits it.
    """
    run = run_before(study)
    if run is None:
        return None
    from valuation.study.change import said_by

    name = results["headline"]["definition"]
    now = {q["name"]: q for q in results["quantities"]}
    was = said_by(run)
    if name not in was or name not in now:
        return None
    answer = _answer(study, run, {n: float(q["value"]) for n, q in now.items()})
    if answer is not None:
        row = next(q for q in answer["quantities"] if q["name"] == name)
        return {k: answer[k] for k in KEPT} | {"quantities": [row], "shared": True}
    before, error = was[name]
    value, mcse = float(now[name]["value"]), float(now[name]["mcse"])
    return {
        "was": {"run": run.id, "label": run.label, "as_of": run.as_of},
        "headline": name,
        "items": [],
        "buckets": [],
        "quantities": [
            {
                **{key: now[name][key] for key in ("name", "label", "unit", "group")},
                "was": before,
                "is": value,
                "change": value - before,
                "mcse": (error**2 + mcse**2) ** 0.5,
                "mcse_is": mcse,
            }
        ],
        "shared": False,
    }


def run_before(study: Study) -> Run | None:
    """The newest sound run of the scenario whose inputs, but for the code, are not those of the study."""
    if study.as_of_given or study.models != tuple(MODELS):
        return None
    scenario = study.scenario.scenario
    here = {k: v for k, v in study.digests.items() if k != "code"}
    for run in reversed(
        archive.list_runs(study.root, deal=study.base_deal.name, scenario=scenario)
    ):
        there = {k: v for k, v in run.digests.items() if k != "code"}
        if not run.problem and run.as_of_given is False and there != here:
            return run
    return None


def _answer(study: Study, run: Run, published: Mapping[str, float]) -> dict[str, Any] | None:
    """The change on the draws of both ends; None where that would need a fit, or has many items."""
    from valuation.study.change import between

    change = between(run, study, published)
    if len(change.items) > MOST_ITEMS or not change.ready:
        return None
    return change.answer
