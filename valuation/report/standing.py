"""Where each published report stands: made from the present inputs, older, left over or damaged.

Digests only: no report is computed and nothing heavy is imported, but where an older report is told what is newer.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation import archive, publish
from valuation.errors import ArtifactError, ValuationError
from valuation.report import runs

CURRENT, OLDER, LEFT_OVER, DAMAGED, UNREADABLE = (
    "current", "older", "left over", "damaged", "unreadable",
)  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """One folder of a report.

    Attributes
    ----------
    state
        ``current``; ``older`` (something it reads has changed since); ``left over`` (what it was
        made from is gone); ``damaged`` (files do not fit the manifest, or only a failure is there);
        ``unreadable`` (its scenario cannot be read now, so nothing can be said).
    word
        How ``valuation report`` or ``valuation model`` is told to make it again.
    """

    group: str
    name: str
    folder: Path
    state: str
    word: str


def standings(root: Path, *, deal: str, as_of: str = "") -> list[Standing]:
    """Every report of a deal and date, ``base`` first."""
    base = runs.report_base(root, deal=deal, as_of=as_of)
    found = []
    for group in ("scenarios", "models"):
        folders = (base / group).iterdir() if (base / group).is_dir() else ()
        for folder in sorted(folders, key=lambda path: (path.name != "base", path.name)):
            if any((folder / file).is_file() for file in (publish.MANIFEST, publish.FAILURE)):
                found.append(_standing(root, group, folder, deal, as_of))
    return found


def _standing(root: Path, group: str, folder: Path, deal: str, as_of: str) -> Standing:
    name = folder.name
    manifest = publish.read_manifest(folder) or {}
    given = manifest.get("parameters") or {}
    settings: dict[str, Any] = {
        "deal": deal,
        "as_of": as_of,
        "seed": given.get("random_seed"),
        "override": given.get("override", ""),
    }
    if group == "scenarios":
        usual = f"params/scenarios/{name}.yaml"
        source = root / str(manifest.get("source") or usual)
        word = name if source == root / usual else os.path.relpath(source)
        there = source.is_file()
    else:
        word, there = name, name in runs.notebooks(root)
    if not there:
        return Standing(group, name, folder, LEFT_OVER, word)
    if not manifest:
        return Standing(group, name, folder, DAMAGED, word)
    try:
        if group == "scenarios":
            task = runs.scenario_task(root, source, **settings)
        else:
            task = runs.model_task(root, name, **settings)
        same = manifest.get("inputs") == runs.inputs_digest(task)
    except ValuationError:
        return Standing(group, name, folder, UNREADABLE, word)
    return Standing(group, name, folder, CURRENT if same else OLDER, word)


def older(found: Iterable[Standing], group: str = "") -> list[Standing]:
    """Those that were made from something that has changed since."""
    return [s for s in found if s.state in (OLDER, UNREADABLE) and group in ("", s.group)]


def renewal(found: Sequence[Standing], *, deal: str, as_of: str = "") -> str:
    """The command that makes older scenario reports again."""
    words = [s.word for s in older(found, "scenarios")]
    shown = [s for s in found if s.group == "scenarios" and s.state != LEFT_OVER]
    if len(words) == len(shown) and not any(word.endswith(".yaml") for word in words):
        words = []  # all of them: `valuation report` makes the other reports again too
    options = [f"--deal {deal}"] if deal != runs.DEFAULT_DEAL else []
    options += [f"--as-of {as_of}"] if as_of else []
    return " ".join(["valuation report", *words, *options])


def labels(found: Iterable[Standing], results: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By name of an older scenario: what is older about it.

    It is the evidence unless a current report has seen the same ledger.
    """
    state = {s.name: s.state for s in found if s.group == "scenarios"}
    seen = {_ledger(r) for name, r in results.items() if state.get(name, CURRENT) == CURRENT}
    return {
        name: "older evidence" if _ledger(results[name]) not in seen else "older settings or code"
        for name, what in state.items()
        if what in (OLDER, UNREADABLE) and name in results
    }


def newest(
    root: Path, results: Mapping[str, Any], *, deal: str, made: str
) -> dict[str, Any] | None:
    """What the newest run of a scenario says, where it was published after a report and is of another state.

    Parameters
    ----------
    results
        Those of the report in place.
    made
        When that was made, ISO.

    Returns
    -------
    dict or None
        ``run``, its ``label``, ``as_of``, ``page`` below the folder of the deal's reports, ``probability`` and ``mcse``
        of the deal's headline from its results, the ``digests`` of its state; or only ``problem``, if it is damaged.
    """
    from valuation.study.change import said_by

    name = str(results["scenario"]["scenario"])
    try:
        run = archive.latest_run(root, deal=deal, scenario=name)
        if run is None or not run.headline:
            return None
        before = results.get("run", {}).get("digests", {})
        other = any(run.digests[key] != before[key] for key in run.digests.keys() & before.keys())
        if not other or (made and run.created < dt.datetime.fromisoformat(made)):
            return None
        said = said_by(run).get(str(run.headline["definition"]))
        if said is None:
            return None
    except ArtifactError as error:
        return {"problem": str(error)}
    return {
        "run": run.id,
        "label": run.label,
        "as_of": run.as_of,
        "page": run.page.relative_to(archive.deal_base(root, deal)).as_posix(),
        "probability": said[0],
        "mcse": said[1],
        "digests": dict(run.digests),
    }


def _ledger(results: Mapping[str, Any]) -> str:
    return str(results.get("run", {}).get("digests", {}).get("ledger", ""))
