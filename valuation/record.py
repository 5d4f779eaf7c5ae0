"""What was said, and when: ``seeds/forecasts.csv``, to which every published run adds and nothing is ever changed.

::

    made,run,deal,scenario,as_of,question,probability,mcse,quantiles,digest
    2026-03-01T12:00:00Z,20260301t115958z-base-0123abcd,meta_scale,base,2026-02-28,Q02,0.798,0.0064,,<SHA-256>

A run's rows are one block: a row for each open question, and one for each definition of paying off
(``pays_off:NAME``). A blank ``mcse`` is no forecast of the model: a person's probability, or a base rate. A quantity
has no probability but ``quantiles``: equally likely values, rising, with semicolons between. ``digest`` is the
SHA-256 of the digest above and of the row, so a row vouches for all before it; a block follows the last row that its
writer saw, so that the records of two people merge by keeping the lines of both. Git's clock says what was late in
earnest: a row that git has seen must stay.

No forecast reads this file (:data:`valuation.publish.RECORD`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation import clock
from valuation.errors import LedgerError
from valuation.ledger.checks import Check, git_says
from valuation.ledger.reading import at, read_record, read_rows, read_text
from valuation.ledger.tables import (
    Column,
    Table,
    read_date,
    read_fraction,
    read_identifier,
    read_not_negative,
)
from valuation.ledger.writing import Style, commit, writing
from valuation.publish import RECORD

START = "start"  # stands for the digest above where there is none
PAYS_OFF = "pays_off:"
BETWEEN = ";"  # between quantiles
DIGITS = 6
MOMENT = "%Y-%m-%dT%H:%M:%SZ"

_QUESTION = re.compile(rf"({re.escape(PAYS_OFF)})?[A-Za-z0-9][A-Za-z0-9._-]*")
_RESTORE = f"restore it, as by `git checkout -- {RECORD}` in its folder"


def _read_moment(cell: str) -> str:
    try:
        dt.datetime.strptime(cell, MOMENT)
    except ValueError:
        raise ValueError(f"{cell!r} is no time in UTC; it reads 2026-03-01T12:00:00Z") from None
    return cell


def _read_question(cell: str) -> str:
    if not _QUESTION.fullmatch(cell):
        raise ValueError(f"{cell!r} is neither a question's id nor {PAYS_OFF}NAME; {_RESTORE}")
    return cell


def _read_quantiles(cell: str) -> str:
    try:
        values = _values(cell)
    except ValueError:
        raise ValueError(f"{cell[:30]!r} are no numbers; {_RESTORE}") from None
    if not all(map(math.isfinite, values)) or list(values) != sorted(values):
        raise ValueError(f"{cell[:30]!r} are no rising numbers; {_RESTORE}")
    return cell


def _values(cell: str) -> tuple[float, ...]:
    return tuple(float(part) for part in cell.split(BETWEEN))


def _read_digest(cell: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", cell):
        raise ValueError(f"not a SHA-256 in 64 digits; {_RESTORE}")
    return cell


TABLE = Table(
    RECORD.removesuffix(".csv"),
    (
        Column("made", _read_moment),
        Column("run", read_identifier),
        Column("deal", read_identifier),
        Column("scenario", read_identifier),
        Column("as_of", read_date),
        Column("question", _read_question),
        Column("probability", read_fraction, required=False),
        Column("mcse", read_not_negative, required=False),
        Column("quantiles", _read_quantiles, required=False),
        Column("digest", _read_digest),
    ),
    ("run", "question"),
)
_STYLE = Style(tuple(TABLE.header), "\n", 0)  # csv.QUOTE_MINIMAL


@dataclass(frozen=True)
class Forecast:
    """One row of the record.

    Attributes
    ----------
    made
        When it was put on record, UTC.
    run
        Id of the published run that said it.
    as_of
        What was public by then was known to it.
    question
        Id of a question, or ``pays_off:NAME``.
    probability, mcse
        As a fraction, with its Monte Carlo error; that is None if the model did not say it, and both are of a quantity.
    quantiles
        Equally likely values of a quantity, in its unit; else empty.
    """

    made: dt.datetime
    run: str
    deal: str
    scenario: str
    as_of: dt.date
    question: str
    probability: float | None
    mcse: float | None
    quantiles: tuple[float, ...] = ()


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    number: int
    cells: tuple[str, ...]

    @property
    def run(self) -> str:
        return self.cells[1]

    @property
    def digest(self) -> str:
        return self.cells[-1]

    @property
    def content(self) -> str:
        return "\x1f".join(self.cells[:-1])


def _lines(folder: Path) -> tuple[list[_Line], list[str]]:
    """The lines of the file in order, one that stands twice once, and what is wrong with the file."""
    if not (folder / RECORD).exists():
        return [], []
    text, problems = read_text(folder / RECORD)
    if not text:
        return [], problems
    header, rows, wrong = read_rows(TABLE, text)
    problems += wrong
    if header != TABLE.header and not wrong:
        problems.append(at(RECORD, 1, f"its columns are in another order; {_RESTORE}"))
        return [], problems
    seen: dict[tuple[str, ...], _Line] = {}
    for number, cells in rows:
        seen.setdefault(tuple(cells), _Line(number, tuple(cells)))
    return list(seen.values()), problems


def read(folder: str | Path) -> tuple[Forecast, ...]:
    """The record of a folder in the order of its lines; empty if there is none.

    Raises
    ------
    LedgerError
        With file, line and remedy, if it cannot be read. Whether it was changed is for :func:`check_record`.
    """
    lines, problems = _lines(Path(folder))
    found = []
    for line in lines:
        cells = dict(zip(TABLE.header, line.cells, strict=True))
        row, wrong = read_record(TABLE, cells, line.number, RECORD)
        problems += wrong
        if wrong:
            continue
        if (row["probability"] is None) == (row["quantiles"] is None):
            told = f"{row['question']} needs a probability or quantiles, and not both; {_RESTORE}"
            problems.append(at(RECORD, line.number, told))
            continue
        row["quantiles"] = _values(str(row["quantiles"])) if row["quantiles"] else ()
        made = dt.datetime.strptime(row["made"], MOMENT).replace(tzinfo=dt.UTC)
        rest = {name: row[name] for name in Forecast.__dataclass_fields__ if name != "made"}
        found.append(Forecast(made=made, **rest))
    if problems:
        raise LedgerError(problems)
    return tuple(found)


# --- adding ---------------------------------------------------------------------------------------

Said = Mapping[str, tuple[float, float | None]]


def said_of(results: Mapping[str, Any]) -> dict[str, tuple[float, float | None]]:
    """What the results of a report or an update said: probability and error by question.

    Questions that nobody answers are left out.
    """
    said: dict[str, tuple[float, float | None]] = {}
    if isinstance(results.get("headline"), Mapping):
        for row in results.get("definitions") or ():
            said[PAYS_OFF + row["definition"]] = (row["probability"], row["mcse"])
    else:
        for row in results.get("quantities") or ():
            if row["group"] == "definition":
                said[PAYS_OFF + row["name"]] = (row["is"], row["mcse_is"])
    for row in results.get("questions") or ():
        if row["probability"] is not None:
            said[row["id"]] = (row["probability"], row["mcse"])
    return said


def quantities_of(results: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Equally likely values of every quantity that results answer, by question."""
    rows = results.get("questions") or ()
    return {row["id"]: tuple(row["quantiles"]) for row in rows if row.get("quantiles")}


def freeze(
    folder: str | Path,
    *,
    run: str,
    deal: str,
    scenario: str,
    as_of: dt.date | str,
    said: Said,
    quantities: Mapping[str, Sequence[float]] | None = None,
    now: dt.datetime | None = None,
) -> int:
    """Add what a run said; the number of rows, 0 if the run is on record already or said nothing.

    Parameters
    ----------
    folder
        Holds the ledger.
    said
        Probability and Monte Carlo error by question.
    quantities
        Equally likely values by question about a quantity, in its unit.
    now
        The time to state; default: the present.

    Raises
    ------
    LedgerError
        If the record cannot be read or written, or a number is no probability; nothing is written then.
    """
    folder = Path(folder)
    amounts = quantities or {}
    if not said and not amounts:
        return 0
    bad = [q for q, (p, _) in said.items() if not 0.0 <= p <= 1.0]
    if bad:
        raise LedgerError(f"{bad[0]}: {said[bad[0]][0]} is no probability; nothing was recorded")
    for question, values in amounts.items():
        if question in said or not values or not all(map(math.isfinite, values)):
            raise LedgerError(f"{question}: its values are no numbers; nothing was recorded")
    with writing(folder):
        lines, problems = _lines(folder)
        if problems:
            raise LedgerError(problems)
        if any(line.run == run for line in lines):
            return 0
        # Under the lock, so that rows stand in the order of their times.
        made = (now or clock.now()).astimezone(dt.UTC).strftime(MOMENT)
        above = lines[-1].digest if lines else START
        rows = []
        for question in sorted({*said, *amounts}):
            probability, error, spread = "", "", ""
            if question in said:
                chance, mcse = said[question]
                probability = _number(chance)
                error = "" if mcse is None else _number(mcse, up=True)
            else:
                spread = BETWEEN.join(_number(value) for value in sorted(amounts[question]))
            cells = [made, run, deal, scenario, str(as_of), question, probability, error, spread]
            above = _seal(above, "\x1f".join(cells))
            rows.append(dict(zip(TABLE.header, [*cells, above], strict=True)))
        header = "" if lines or (folder / RECORD).exists() else ",".join(TABLE.header) + "\n"
        commit(folder, {RECORD: header + _STYLE.lines(rows)})
    return len(rows)


def _number(value: float, *, up: bool = False) -> str:
    scale = 10.0**DIGITS
    value = math.ceil(value * scale) / scale if up else value
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")


def _seal(above: str, content: str) -> str:
    return hashlib.sha256(f"{above}\n{content}".encode()).hexdigest()


# --- checking -------------------------------------------------------------------------------------


def check_record(folder: str | Path) -> list[Check]:
    """Named checks of a folder's record; nothing is raised for a bad one."""
    folder = Path(folder)
    lines, problems = _lines(folder)
    if not problems:
        try:
            read(folder)
        except LedgerError as error:
            problems = list(error.problems)
    runs = len({line.run for line in lines})
    counted = f"{len(lines)} forecasts of {runs} runs" if lines else "none yet; runs add them"
    changed = _changed(lines)
    return [
        Check(f"seeds/{RECORD}", not problems, "\n".join(problems) or counted),
        Check("forecasts: none changed", not changed, "\n".join(changed) or counted),
        _still_there(folder),
    ]


def _changed(lines: Sequence[_Line]) -> list[str]:
    """Rows that are not as they were written, or do not follow the row that they were written after."""
    # A block may follow any other: records that were kept apart for a while were merged.
    ends = {
        line.digest
        for i, line in enumerate(lines)
        if i + 1 == len(lines) or lines[i + 1].run != line.run
    }
    problems = []
    times: dict[tuple[str, str], int] = {}
    for i, line in enumerate(lines):
        before = lines[i - 1].digest if i else START
        first = i == 0 or lines[i - 1].run != line.run
        if _seal(before, line.content) != line.digest and not (
            first and any(_seal(end, line.content) == line.digest for end in (START, *ends))
        ):
            problems.append(
                at(
                    RECORD,
                    line.number,
                    f"the forecast of {line.cells[5]} by {line.run} is not as it was made, or the row "
                    f"above it was changed or removed; {_RESTORE}",
                )
            )
        twin = times.setdefault((line.run, line.cells[5]), line.number)
        if twin != line.number:
            problems.append(
                at(
                    RECORD,
                    line.number,
                    f"run {line.run} speaks of {line.cells[5]} twice, first on line {twin}; {_RESTORE}",
                )
            )
    return problems


def _still_there(folder: Path) -> Check:
    """Every forecast that a commit held must be there: the last rows could be taken away unseen otherwise."""
    name = "forecasts: none of git's lost"
    grown = git_says(
        folder,
        *("log", "--full-history", "-m", "-p", "-U0", "--no-color", "--no-ext-diff"),
        *("--no-textconv", "--no-renames", "--format=commit %h", "HEAD", "--", f"./{RECORD}"),
    )
    if not grown:
        return Check(name, True, f"not compared: no commit holds {RECORD} yet")
    try:
        present = set((folder / RECORD).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return Check(name, False, f"{RECORD}:1: is in git and is gone; {_RESTORE}")
    except (OSError, UnicodeDecodeError) as error:
        return Check(name, False, f"{RECORD}:1: cannot be read ({error}); {_RESTORE}")
    lost: dict[str, str] = {}
    kept: set[str] = set()
    moment = ""
    for line in grown.splitlines():
        if line.startswith("commit "):
            moment = line.removeprefix("commit ")
        elif line.startswith("+") and not line.startswith(("+++", f"+{TABLE.header[0]},")):
            row = line[1:].rstrip("\r")
            if row in present:
                kept.add(row)
            elif row:
                lost[row] = moment
    told = [
        at(RECORD, 1, f"a forecast of commit {when} is gone or changed: {row[:90]}...; {_RESTORE}")
        for row, when in lost.items()
    ]
    return Check(name, not told, "\n".join(told) or f"{len(kept)} rows of commits, all there")


def unrecorded(forecasts: Sequence[Forecast], runs: Mapping[str, dt.datetime]) -> list[str]:
    """Ids of published runs, by when they were kept, that are missing although the record had begun."""
    if not forecasts:
        return []
    begun, known = min(f.made for f in forecasts), {f.run for f in forecasts}
    return [run for run, kept in runs.items() if kept > begun and run not in known]
