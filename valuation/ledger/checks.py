"""Named checks of ``seeds/`` for a person to read; nothing here raises for a bad ledger."""

from __future__ import annotations

import csv
import datetime as dt
import io
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from valuation.ledger.book import assemble
from valuation.ledger.chain import AUTOMATIC, CHAIN_FILE, NOTE, check_chain, contents, read_chain
from valuation.ledger.reading import Row, at, read_rows, read_text
from valuation.ledger.rules import read_folder
from valuation.ledger.tables import TABLES, column
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
            line,
            f"published {published}, after today {today}; correct the date or wait",
        )
        for name in ("evidence", "financials", "base_rates")
        for line, published in zip(
            column(tables[name], "line"), column(tables[name], "published"), strict=True
        )
        if published and published > today
    ]
    checks.append(
        Check("no row from the future", not future, "\n".join(future) or f"none after {today}")
    )
    checks.append(_check_append_only(folder))
    checks.append(_check_history(folder))
    checks.append(check_seals(folder))
    if not problems:
        ledger = assemble(tables, kinds=kinds)
        scored, dropped = ledger.scored(), ledger.dropped()
        pairs = ledger.contradictions()
        # Allowed, since a doubted row may be contradicted; told, since nobody may have meant it.
        checks.append(
            Check(
                "rows that contradict each other",
                True,
                "\n".join([f"{len(pairs)} pairs", *(p.sentence for p in pairs)])
                if pairs
                else "none",
            )
        )
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
    committed = git_says(folder, "show", "HEAD:./evidence.csv")
    try:
        present = (folder / "evidence.csv").read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        committed = None
    if committed is None:
        return Check(name, True, "not compared: no committed evidence.csv at hand")
    try:
        if present.startswith(committed) and committed.endswith("\n"):
            return Check(name, True, f"{_count(committed)} committed rows unchanged")
        before, after = _by_id(committed), _by_id(present)
    except (csv.Error, KeyError, TypeError):
        return Check(name, False, "evidence.csv:1: cannot be compared with git; repair it first")
    content = {_content(cells) for _, cells in after.values()}
    problems = []
    for row_id, (_, cells) in before.items():
        problems += _difference(row_id, cells, after, content, "the last commit")
    return Check(
        name, not problems, "\n".join(problems) or f"{len(before)} committed rows unchanged"
    )


def _check_history(folder: Path) -> Check:
    """Every row of every commit since the one that added the chain must be there, unchanged.

    The last commit is compared elsewhere. Only lines that commits added are looked at, on every side of
    a merge, so the cost is that of the ledger's growth and not of its length times its commits.
    """
    name = "no evidence row of an earlier commit lost"
    begun = git_says(
        folder, "log", "--full-history", "--diff-filter=A", "--format=%H", "--", f"./{CHAIN_FILE}"
    )
    first = (begun or "").split()
    if not first:
        return Check(name, True, f"not compared: no commit holds {CHAIN_FILE} yet")
    old = git_says(folder, "show", f"{first[-1]}:./evidence.csv")
    grown = git_says(
        folder,
        *("log", "--full-history", "-m", "-p", "-U0", "--no-color", "--no-ext-diff"),
        *("--no-textconv", "--no-renames", "--format=commit %h", f"{first[-1]}..HEAD"),
        *("--", "./evidence.csv"),
    )
    last = git_says(folder, "show", "HEAD:./evidence.csv")
    if old is None or grown is None or last is None:
        return Check(name, True, "not compared: git does not hold the whole history")
    try:
        text = (folder / "evidence.csv").read_bytes().decode("utf-8")
        present = set(text.splitlines())
        lost = _lost(old, grown, present | set(last.splitlines()), first[-1][:7])
        header = next(csv.reader([old.removeprefix("\ufeff")[: old.index("\n")]]))
        after = _by_id(text) if lost else {}
        content = {_content(cells) for _, cells in after.values()}
        problems = []
        for line, commit in lost.items():
            cells = dict(zip(header, next(csv.reader([line], strict=True)), strict=True))
            problems += _difference(cells["id"], cells, after, content, f"commit {commit}")
    except (OSError, csv.Error, KeyError, TypeError, ValueError, StopIteration):
        return Check(name, False, "evidence.csv:1: cannot be compared with git; repair it first")
    return Check(
        name,
        not problems,
        "\n".join(problems) or f"none since commit {first[-1][:7]} began the chain",
    )


def _lost(old: str, grown: str, kept: set[str], first: str) -> dict[str, str]:
    """Lines of ``evidence.csv`` that some commit held and that are not kept, with that commit."""
    lost = {line: first for line in old.splitlines()[1:] if line not in kept}
    commit = ""
    for line in grown.split("\n"):
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
        elif line.startswith("+") and not line.startswith("+++"):
            row = line[1:].rstrip("\r")
            if row and row not in kept and not row.removeprefix("\ufeff").startswith("id,"):
                lost[row] = commit
    return lost


def check_seals(folder: str | Path) -> Check:
    """Every sealed row is there, unchanged and in its place; the others are counted."""
    folder, name = Path(folder), "sealed rows unchanged"
    # The chain first: a row is written before its seal, so a row added meanwhile is only unsealed.
    seals, problems = read_chain(folder)
    in_git = git_says(folder, "ls-tree", "--name-only", "HEAD", f"./{CHAIN_FILE}")
    if in_git and in_git.strip() and not (folder / CHAIN_FILE).is_file():
        problems = [
            at(CHAIN_FILE, 1, f"is in git and is gone; restore it: `git checkout -- {CHAIN_FILE}`")
        ]
    header, rows = _rows(folder)
    if not rows:
        return Check(name, not problems, "\n".join(problems) or "not checked: evidence.csv first")
    found = check_chain(header, rows, seals)
    problems += found.problems
    said = f"{found.sealed} of {len(rows)}"
    if found.unsealed:
        few = ", ".join(sorted(found.unsealed)[:5]) + (", ..." if len(found.unsealed) > 5 else "")
        said += f"; {len(found.unsealed)} not sealed ({few}): `valuation news seal` does it"
    if (folder / NOTE).is_file():
        said += "; an addition was cut off, which `valuation news seal` completes"
    return Check(name, not problems, "\n".join(problems) or said)


def _rows(folder: Path) -> tuple[list[str], list[Row]]:
    text, _ = read_text(folder / "evidence.csv")
    header, rows, _ = read_rows(TABLES["evidence"], text) if text else ([], [], [])
    return header, rows


def git_says(folder: Path, *words: str) -> str | None:
    """What git says in that folder; None if it cannot say, or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, timeout=60, check=True
        )
        return done.stdout.decode("utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None


Rows = Mapping[str, tuple[int, dict[str, str]]]


def _difference(
    row_id: str, cells: Mapping[str, str], after: Rows, content: set[str], when: str
) -> list[str]:
    """How a row of git's differs from that of the file; nothing if it only was given another id."""
    if row_id not in after:
        return [
            at(
                "evidence.csv",
                1,
                f"row {row_id!r} of {when} is gone; restore it, then supersede it",
            )
        ]
    line, now = after[row_id]
    changed = [c for c in cells if c in now and cells[c] != now[c]]
    # Two branches gave one id, and one of the rows was given another since (`news seal`).
    if not changed or (AUTOMATIC.fullmatch(row_id) and _content(cells) in content):
        return []
    return [
        at(
            "evidence.csv",
            line,
            f"row {row_id!r} differs from {when} in {', '.join(changed)}; "
            "restore it and add a row that supersedes it",
        )
    ]


def _content(cells: Mapping[str, str]) -> str:
    return contents(list(cells), [(0, list(cells.values()))])[0]


def _count(text: str) -> int:
    return sum(1 for cells in csv.reader(io.StringIO(text, newline=""), strict=True) if cells) - 1


def _by_id(text: str) -> dict[str, tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    header = next(reader, [])
    own = header.index("id") if "id" in header else -1
    found = {}
    for cells in reader:
        if own < 0 or len(cells) <= own:
            raise KeyError("id")
        found[cells[own]] = (reader.line_num, dict(zip(header, cells, strict=False)))
    return found
