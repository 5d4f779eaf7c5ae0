"""Where each published report stands: made from the present inputs, older, left over or damaged.

Digests only: no report is computed and nothing heavy is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation import publish
from valuation.errors import ValuationError
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


def _ledger(results: Mapping[str, Any]) -> str:
    return str(results.get("run", {}).get("digests", {}).get("ledger", ""))
