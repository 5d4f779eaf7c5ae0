"""Named checks of ``seeds/`` for a person to read; nothing here raises for a bad ledger."""

from __future__ import annotations

import csv
import datetime as dt
import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

from valuation.ledger.book import load_ledger
from valuation.ledger.reading import at
from valuation.ledger.rules import read_folder
from valuation.ledger.tables import TABLES
from valuation.schema import Kinds


@dataclass(frozen=True)
class Check:
    """One named check: whether it passed, and what it found or what to do."""

    name: str
    passed: bool
    detail: str


def check_ledger(folder: str | Path, *, kinds: Kinds, today: dt.date) -> list[Check]:
    """Every check of ``seeds/``, by name; nothing is raised for a bad ledger.

    Parameters
    ----------
    today
        Rows published later are refused.
    """
    folder = Path(folder)
    tables, problems = read_folder(folder, kinds)
    checks = []
    for name, table in TABLES.items():
        mine = [p for p in problems if p.startswith(f"{table.file}:")]
        checks.append(
            Check(
                f"seeds/{table.file}",
                not mine,
                "\n".join(mine) if mine else f"{len(tables[name])} rows",
            )
        )
    future = [
        at(
            f"{name}.csv",
            r["line"],
            f"published {r['published']}, after today {today}; correct the date or wait",
        )
        for name in ("evidence", "financials", "base_rates")
        for r in tables[name]
        if r["published"] and r["published"] > today
    ]
    checks.append(
        Check("no row from the future", not future, "\n".join(future) or f"none after {today}")
    )
    checks.append(_check_append_only(folder))
    if not problems:
        ledger = load_ledger(folder, kinds=kinds)
        scored, dropped = ledger.scored(), ledger.dropped()
        checks.append(
            Check(
                "some evidence is scored",
                bool(len(scored)),
                f"{len(scored)} scored, {len(dropped)} typed but counted elsewhere, "
                f"{int(ledger.evidence['kind'].isna().sum())} context rows"
                if len(scored)
                else "no row enters a likelihood; give rows a kind",
            )
        )
    return checks


def _check_append_only(folder: Path) -> Check:
    """Compare ``evidence.csv`` with the last commit: rows may be added, not changed or removed."""
    name = "no evidence row edited or deleted"
    try:
        committed = subprocess.run(
            ["git", "-C", str(folder), "show", "HEAD:./evidence.csv"],
            capture_output=True,
            timeout=20,
            check=True,
        ).stdout.decode("utf-8")
        present = (folder / "evidence.csv").read_text(encoding="utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return Check(name, True, "not compared: no committed evidence.csv at hand")
    try:
        before, after = _by_id(committed), _by_id(present)
    except (csv.Error, KeyError, TypeError):
        return Check(name, False, "evidence.csv:1: cannot be compared with git; repair it first")
    problems = []
    for row_id, (_, cells) in before.items():
        if row_id not in after:
            problems.append(
                at(
                    "evidence.csv",
                    1,
                    f"row {row_id!r} of the last commit is gone; restore it, then supersede it",
                )
            )
            continue
        line, now = after[row_id]
        changed = [c for c in cells if c in now and cells[c] != now[c]]
        if changed:
            problems.append(
                at(
                    "evidence.csv",
                    line,
                    f"row {row_id!r} differs from the last commit in {', '.join(changed)}; "
                    "restore it and add a row that supersedes it",
                )
            )
    return Check(
        name, not problems, "\n".join(problems) or f"{len(before)} committed rows unchanged"
    )


def _by_id(text: str) -> dict[str, tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return {row["id"]: (reader.line_num, row) for row in reader}
