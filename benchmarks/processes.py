"""Run a command as a process of its own and take its time; make a project that may be spoiled."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from valuation.archive import DEFAULT_DEAL

PROJECT = Path(__file__).resolve().parents[1]


class CommandFailed(RuntimeError):
    """A measured command did not end as it should: its words and what it said."""


@dataclass(frozen=True)
class Spent:
    """Seconds of one process: by the clock, and of processor time over all its threads."""

    wall: float
    cpu: float


@dataclass
class Times:
    """What one command took, run after run."""

    name: str
    runs: list[Spent] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """Median seconds by the clock."""
        return _median([run.wall for run in self.runs])

    @property
    def cpu(self) -> float:
        """Median seconds of processor time."""
        return _median([run.cpu for run in self.runs])


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True)
class Project:
    """A copy of the project's files with a cache of its own.

    Attributes
    ----------
    root
        Holds ``seeds/`` and ``params/``.
    cache
        Where fits are kept.
    """

    root: Path
    cache: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "VALUATION_HOME": str(self.root),
            "VALUATION_CACHE": str(self.cache),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(PROJECT), os.environ.get("PYTHONPATH", "")])
            ),
        }

    def timed(self, *words: str, codes: Sequence[int] = (0,)) -> Spent:
        """Run ``valuation`` with these words from start to end."""
        return self.timed_python("-m", "valuation", *words, codes=codes)[0]

    def timed_python(self, *words: str, codes: Sequence[int] = (0,)) -> tuple[Spent, str]:
        """Run this interpreter with these words; its time and its stdout."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            said = out.read().decode()
            if process.returncode not in codes:
                raise CommandFailed(
                    f"{' '.join(words)} ended with {process.returncode}:\n{err.read().decode()}"
                )
        return Spent(wall, used.ru_utime + used.ru_stime), said

    def told(self, *words: str) -> Any:
        """What ``valuation`` says in JSON, untimed."""
        return json.loads(self.timed_python("-m", "valuation", *words, "--json")[1])


def copied(folder: Path, name: str, cache: Path) -> Project:
    """A fresh copy of the project's seeds, settings and notebooks below ``folder``."""
    root = folder / name
    for part in ("seeds", "params", "notebooks"):
        shutil.copytree(PROJECT / part, root / part)
    (root / "reports").mkdir()
    return Project(root, cache)


def published(folder: Path, name: str, cache: Path) -> Project:
    """A copy whose base scenario is published, so that an update has a run to start from."""
    project = copied(folder, name, cache)
    project.timed("report", "base", "--quiet")
    return project


def shared_fits(folder: Path) -> Path:
    """A cache that starts with the fits that the project has stored, so that none is made twice."""
    cache = folder / "cache"
    stored = Path(os.environ.get("VALUATION_CACHE") or PROJECT / ".cache") / "posteriors"
    (cache / "posteriors").mkdir(parents=True)
    for path in stored.glob("*"):
        if path.suffix in (".json", ".npz"):
            shutil.copy2(path, cache / "posteriors" / path.name)
    return cache


@dataclass(frozen=True)
class Latest:
    """What invented news goes on from: the newest row's day and source, and the deal's founder."""

    day: dt.date
    source: str
    founder: str


def latest(project: Project) -> Latest:
    """Of the deal that commands are about if none is named."""
    row = max(project.told("evidence"), key=lambda row: row["published"])
    founder = next(d["founder"] for d in project.told("deals") if d["name"] == DEFAULT_DEAL)
    return Latest(dt.date.fromisoformat(row["published"]), row["source"], founder)


def news(last: Latest, number: int) -> list[str]:
    """Words of ``news add`` for an invented sighting of the founder, ``number`` days after the newest row.

    Its source is a known one: a new source would change the ledger before that day too.
    """
    after = str(last.day + dt.timedelta(days=number))
    return [
        "news", "add", "--kind", "sighting", "--subject", last.founder, "--credibility", "B",
        "--event-date", after, "--published", after, "--source", last.source,
        "--root", f"benchmark-{number}", "--claim", f"Invented for a benchmark: still there ({number}).",
        "--quiet",
    ]  # fmt: skip


# Ten invented rows about subjects of the shipped deal, of as many drivers as rows can be about: kind, subject, value,
# unit, error. Some move a path, some only weights; together they are mild enough that the stored draws reach, since it
# is the sharing out that is timed and not a fit.
TEN: tuple[tuple[str, str, str, str, str], ...] = (
    ("sighting", "Alexandr Wang", "", "", ""),
    ("departure", "Shengjia Zhao", "1", "months", ""),
    ("customer_active", "Anthropic", "", "", ""),
    ("integration_report", "Meta", "-1", "grade", ""),
    ("index_gap", "Meta", "5", "index points", "4"),
    ("run_rate", "Scale AI", "1.2", "USD bn per year", "0.2"),
    ("quality_report", "Scale AI", "1", "grade", ""),
    ("group_exits", "SEAL researchers", "2", "count", ""),
    ("customer_ended", "US Department of Defense", "2", "months", ""),
    ("sighting", "Daniel Gross", "", "", ""),
)


def ten_rows(last: Latest) -> list[list[str]]:
    """Words of ``news add`` for each of :data:`TEN`, one a day after the newest row."""
    words = []
    for number, (kind, subject, value, unit, error) in enumerate(TEN, start=1):
        more = [("--value", value), ("--unit", unit), ("--sd", error)]
        plain = news(replace(last, founder=subject), number)
        plain[plain.index("--kind") + 1] = kind
        words.append([*plain, *(word for pair in more if pair[1] for word in pair)])
    return words


def context_rows(project: Project, count: int) -> None:
    """Append rows that no model reads to the ledger, and seal them."""
    path = project.root / "seeds" / "evidence.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        header, rows = list(reader.fieldnames or ()), list(reader)
    newest: Mapping[str, str] = max(rows, key=lambda row: row["published"])
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
        for number in range(count):
            writer.writerow(
                {
                    "id": f"X{number:06d}",
                    "event_date": newest["event_date"],
                    "published": newest["published"],
                    "claim": f"Context row {number} of a benchmark, which no model reads.",
                    "source": newest["source"],
                    "root": f"benchmark-context-{number}",
                    "credibility": "C",
                }
            )
    project.timed("news", "seal")
