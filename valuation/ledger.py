"""What is known and since when: the CSV files of ``seeds/``, read strictly and cut at a date.

The ledger is the state of the product; every result is a function of it. A row is never edited or
deleted, only superseded. ``published`` decides what an as-of run sees, ``root`` names the original
report that several rows repeat, and rows of one root about one subject and kind count once.

This module reads, checks, cuts and counts. It knows no likelihood: which evidence kinds exist and what
their values must look like comes in as ``kinds``.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import hashlib
import io
import json
import math
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from valuation.errors import LedgerError
from valuation.schema import Kinds

GRADES = ("A", "B", "C", "D")
MOST_BYTES = 20_000_000
MOST_CHARACTERS = 2_000  # of one cell
SHARE_TOLERANCE = 1e-6  # on weights and shares that must sum to 1

Cell = str | float | int | dt.date | None
Record = dict[str, Any]

# --- cells ----------------------------------------------------------------------------------------
# Each reader takes the text of a cell that is not blank and returns its value, or raises ValueError
# with "what; remedy".

_NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FORMULA = ("=", "+", "@", "-")


def _text(cell: str) -> str:
    if cell.startswith(_FORMULA):
        raise ValueError(
            f"text starts with {cell[0]!r}, which a spreadsheet runs as a formula; begin with a word"
        )
    return cell


def _identifier(cell: str) -> str:
    if not _IDENTIFIER.fullmatch(cell):
        raise ValueError(
            f"{cell!r} is not an identifier; use letters, digits, dot, dash and underscore only"
        )
    return cell


def _date(cell: str) -> dt.date:
    if _DATE.fullmatch(cell):
        try:
            return dt.date.fromisoformat(cell)
        except ValueError:
            pass
    raise ValueError(f"{cell!r} is not a date; write it as YYYY-MM-DD")


def _number(cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(
            f"{cell!r} is not a finite number; use digits and a point, no thousands mark, or leave it blank"
        )
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"{cell!r} is too large to be a number; check its size and unit")
    return number


def _not_negative(cell: str) -> float:
    number = _number(cell)
    if number < 0:
        raise ValueError(f"{cell} is negative; state it as 0 or more")
    return number


def _fraction(cell: str) -> float:
    number = _number(cell)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{cell} is not a fraction; write 0.17 for 17 per cent")
    return number


def _whole(cell: str) -> int:
    if not re.fullmatch(r"\d{1,9}", cell):
        raise ValueError(f"{cell!r} is not a whole number; write digits only")
    return int(cell)


def _address(cell: str) -> str:
    if not re.fullmatch(r"https?://[^\s<>\"]+", cell):
        raise ValueError(f"{cell!r} is not a web address; begin with https:// or leave it blank")
    return cell


def _choice(*options: str) -> Callable[[str], str]:
    def read(cell: str) -> str:
        if cell not in options:
            raise ValueError(f"{cell!r} is not one of {', '.join(options)}; use one of these")
        return cell

    return read


def _flag(cell: str) -> int:
    if cell not in ("0", "1"):
        raise ValueError(f"{cell!r} is neither 0 nor 1; write 1 for yes, 0 for no")
    return int(cell)


# --- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column: its name, how a cell is read, and whether a blank is refused."""

    name: str
    read: Callable[[str], Cell]
    required: bool = True


@dataclass(frozen=True)
class Table:
    """A file of ``seeds/``: its columns and the columns whose values identify a row."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def file(self) -> str:
        return f"{self.name}.csv"

    @property
    def header(self) -> list[str]:
        return [column.name for column in self.columns]


def _table(
    name: str, key: Sequence[str], /, **columns: Callable[[str], Cell] | tuple
) -> Table:
    """A table; a reader in a one-tuple marks a column that may be blank."""
    return Table(
        name,
        tuple(
            Column(column, read[0], required=False) if isinstance(read, tuple) else Column(column, read)
            for column, read in columns.items()
        ),
        tuple(key),
    )


_GRADE = _choice(*GRADES)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "sources",
            ["source"],
            source=_identifier,
            publisher=_text,
            title=_text,
            address=(_address,),
            kind=_text,
        ),
        _table(
            "people",
            ["subject"],
            subject=_text,
            cohort=_identifier,
            entry=_date,
            size=_whole,
            weight=(_fraction,),
            talent=_flag,
            note=(_text,),
        ),
        _table(
            "customers",
            ["subject"],
            subject=_text,
            segment=_choice("rival_lab", "technology", "government", "enterprise"),
            rival=_flag,
            revenue_share=_fraction,
            start=_date,
            new=_flag,
            note=(_text,),
        ),
        _table(
            "vendors",
            ["subject"],
            subject=_text,
            role=_choice("target", "rival"),
            note=(_text,),
        ),
        _table(
            "entities",
            ["entity"],
            entity=_text,
            role=_choice("acquirer", "target", "regulator"),
            note=(_text,),
        ),
        _table(
            "evidence",
            ["id"],
            id=_identifier,
            event_date=_date,
            published=_date,
            claim=_text,
            source=_identifier,
            root=_identifier,
            credibility=_GRADE,
            kind=(_text,),
            subject=(_text,),
            value=(_number,),
            sd=(_not_negative,),
            unit=(_text,),
            supersedes=(_identifier,),
            note=(_text,),
        ),
        _table(
            "financials",
            ["entity", "period_start", "period_end", "item", "source"],
            entity=_text,
            period_start=_date,
            period_end=_date,
            item=_text,
            value=_number,
            unit=_text,
            sd=(_not_negative,),
            source=_identifier,
            published=_date,
            credibility=_GRADE,
            note=(_text,),
        ),
        _table(
            "base_rates",
            ["id", "measure"],
            id=_identifier,
            reference_class=_text,
            name=_text,
            measure=_text,
            value=(_number,),
            unit=(_text,),
            source=_identifier,
            published=_date,
            credibility=_GRADE,
            use=(_text,),
        ),
        _table(
            "reference_deals",
            ["id"],
            id=_identifier,
            acquirer=_text,
            target=_text,
            year=_whole,
            price_usd_bn=_not_negative,
            stake_pct=(_not_negative,),
            structure=_text,
            outcome=_choice("success", "mixed", "failure", "pending", "blocked"),
            writedown_usd_bn=(_not_negative,),
            outcome_date=(_date,),
            recovered_fraction=(_fraction,),
            value_multiple_rough=(_not_negative,),
            note=(_text,),
            source=_identifier,
            credibility=_GRADE,
        ),
        _table(
            "questions",
            ["id"],
            id=_identifier,
            question=_text,
            opens=_date,
            closes=_date,
            resolution_source=_text,
            fine_print=_text,
            outcome=(_flag,),
            resolved=(_date,),
            resolution_row=(_identifier,),
            event=(_text,),
            subject=(_text,),
            threshold=(_text,),
            base_rate=(_fraction,),
            base_rate_source=(_text,),
            note=(_text,),
        ),
    )
}

# The column of each roster that evidence subjects refer to, and the column that starts its clock.
_SUBJECT = {"people": "subject", "customers": "subject", "vendors": "subject", "entities": "entity"}
_CLOCK = {"people": "entry", "customers": "start"}


# --- reading one file -----------------------------------------------------------------------------


def _at(file: str, line: int, problem: str) -> str:
    """``file:line: what; remedy``, on one line whatever the cell held."""
    return f"{file}:{line}: " + " ".join(problem.split())


def _read_text(path: Path) -> tuple[str, list[str]]:
    """The file's text and its problems; an unreadable file gives no text."""
    file = path.name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return "", [_at(file, 1, f"no such file in {path.parent}; add it with its header line")]
    except OSError as error:
        return "", [_at(file, 1, f"cannot be read ({error.strerror}); check the permissions")]
    if len(data) > MOST_BYTES:
        return "", [_at(file, 1, f"larger than {MOST_BYTES:,} bytes; split off what is not evidence")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return "", [_at(file, line, "not UTF-8; save the file as CSV with encoding UTF-8")]
    if not text.strip():
        return "", [_at(file, 1, "the file is empty; add its header line and rows")]
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return "", [_at(file, line, "holds a NUL character; restore the file from its last good copy")]
    problems = []
    if not text.endswith("\n"):
        line = text.count("\n") + 1
        problems.append(
            _at(
                file,
                line,
                "the last line is cut short (no line end); check the row and end it with a line break",
            )
        )
    return text, problems


def _read_header(table: Table, header: Sequence[str]) -> list[str]:
    problems = []
    for name, count in Counter(header).items():
        if count > 1:
            problems.append(_at(table.file, 1, f"column {name!r} appears {count} times; keep one"))
        if name not in table.header:
            close = difflib.get_close_matches(name, table.header, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "remove it"
            problems.append(
                _at(
                    table.file,
                    1,
                    f"unknown column {name!r}; {hint} Known: {', '.join(table.header)}",
                )
            )
    missing = [name for name in table.header if name not in header]
    if missing:
        problems.append(
            _at(
                table.file,
                1,
                f"missing column {', '.join(map(repr, missing))}; add it, blank cells are allowed "
                "where a column is optional",
            )
        )
    return problems


def _read_cell(column: Column, cell: str) -> Cell:
    """The cell's value, None if blank; ValueError with "what; remedy"."""
    if cell == "":
        if column.required:
            raise ValueError(f"{column.name} is blank; fill it in")
        return None
    if len(cell) > MOST_CHARACTERS:
        raise ValueError(f"{column.name} is longer than {MOST_CHARACTERS:,} characters; shorten it")
    if "\n" in cell or "\r" in cell:
        raise ValueError(f"{column.name} holds a line break; one row is one line, remove it")
    if any(unicodedata.category(character) in ("Cc", "Cf") for character in cell):
        raise ValueError(f"{column.name} holds an invisible control character; type it again")
    if cell != cell.strip():
        raise ValueError(f"{column.name} has space around {cell.strip()!r}; remove it")
    try:
        return column.read(cell)
    except ValueError as error:
        raise ValueError(f"{column.name}: {error}") from None


def _read_record(
    table: Table, cells: Mapping[str, str], line: int, file: str
) -> tuple[Record, list[str]]:
    record: Record = {}
    problems: list[str] = []
    for column in table.columns:
        try:
            record[column.name] = _read_cell(column, cells[column.name])
        except ValueError as error:
            record[column.name] = None
            problems.append(_at(file, line, str(error)))
    record["line"] = line
    return record, problems


def _read_table(table: Table, folder: Path) -> tuple[list[Record], list[str]]:
    """Every record of a file with its line, and every problem found in it."""
    text, problems = _read_text(folder / table.file)
    if not text:
        return [], problems
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[Record] = []
    header: list[str] = []
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not header:
                header = cells
                problems += _read_header(table, header)
                if sorted(header) != sorted(table.header):
                    return [], problems
                continue
            if not any(cells):
                problems.append(_at(table.file, line, "a blank line; delete it"))
                continue
            if len(cells) != len(header):
                problems.append(
                    _at(
                        table.file,
                        line,
                        f"{len(cells)} cells where the header has {len(header)}; "
                        "quote text that holds a comma, and keep every column",
                    )
                )
                continue
            record, wrong = _read_record(table, dict(zip(header, cells, strict=True)), line, table.file)
            records.append(record)
            problems += wrong
    except csv.Error as error:
        problems.append(
            _at(
                table.file,
                before + 1,
                f"broken quoting from here on ({error}); close the quotes and double those inside a text",
            )
        )
        return records, problems
    problems += _duplicates(table, records)
    return records, problems


def _duplicates(table: Table, records: Sequence[Record]) -> list[str]:
    problems, first = [], {}
    for record in records:
        key = tuple(record[name] for name in table.key)
        if None in key:
            continue
        if key in first:
            shown = ", ".join(map(str, key))
            problems.append(
                _at(
                    table.file,
                    record["line"],
                    f"{'/'.join(table.key)} {shown!r} is already on line {first[key]}; "
                    "give the row its own or delete it",
                )
            )
        first.setdefault(key, record["line"])
    return problems


# --- checks across files --------------------------------------------------------------------------

Tables = Mapping[str, list[Record]]


def _check_people(records: Sequence[Record]) -> list[str]:
    problems = []
    for r in records:
        if r["size"] == 0:
            problems.append(_at("people.csv", r["line"], "size is 0; write 1 for a named person"))
        if r["talent"] == 1 and r["weight"] is None:
            problems.append(
                _at("people.csv", r["line"], "talent is 1 but weight is blank; state its share")
            )
        if r["talent"] == 0 and r["weight"] is not None:
            problems.append(
                _at("people.csv", r["line"], "talent is 0, so weight must be blank; clear it")
            )
    total = sum(r["weight"] or 0.0 for r in records if r["talent"] == 1)
    if records and not problems and abs(total - 1.0) > SHARE_TOLERANCE:
        problems.append(
            _at(
                "people.csv",
                records[0]["line"],
                f"weights of the rows with talent 1 sum to {total:.6g}, not 1; adjust them",
            )
        )
    return problems


def _check_customers(records: Sequence[Record]) -> list[str]:
    problems = []
    for r in records:
        if r["new"] == 1 and r["revenue_share"]:
            problems.append(
                _at(
                    "customers.csv",
                    r["line"],
                    "a customer won after the close has revenue_share 0; set it, or set new to 0",
                )
            )
    total = sum(r["revenue_share"] or 0.0 for r in records if r["new"] == 0)
    if records and not problems and abs(total - 1.0) > SHARE_TOLERANCE:
        problems.append(
            _at(
                "customers.csv",
                records[0]["line"],
                f"revenue_share of the rows with new 0 sums to {total:.6g}, not 1; adjust the pooled rows",
            )
        )
    return problems


def _check_roles(file: str, records: Sequence[Record], once: Sequence[str]) -> list[str]:
    counts = Counter(r["role"] for r in records)
    return [
        _at(file, 1, f"{counts[role]} rows with role {role!r}; there must be exactly one")
        for role in once
        if records and counts[role] != 1
    ]


def _check_periods(records: Sequence[Record]) -> list[str]:
    return [
        _at("financials.csv", r["line"], "period_start is after period_end; swap or correct them")
        for r in records
        if r["period_start"] and r["period_end"] and r["period_start"] > r["period_end"]
    ]


def _check_questions(records: Sequence[Record], evidence: set[str] | None) -> list[str]:
    problems = []
    for r in records:
        line = r["line"]
        if r["opens"] and r["closes"] and r["opens"] > r["closes"]:
            problems.append(_at("questions.csv", line, "opens after it closes; correct the dates"))
        if (r["outcome"] is None) != (r["resolved"] is None):
            problems.append(
                _at("questions.csv", line, "outcome and resolved go together; fill both or neither")
            )
        row = r["resolution_row"]
        if row is not None and evidence is not None and row not in evidence:
            problems.append(
                _at(
                    "questions.csv",
                    line,
                    f"resolution_row {row!r} is not in evidence.csv; add the row or correct the id",
                )
            )
    return problems


def _check_sources(name: str, records: Sequence[Record], known: set[str], file: str) -> list[str]:
    problems = []
    for r in records:
        source = r["source"]
        if source is not None and source not in known:
            close = difflib.get_close_matches(source, sorted(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else "add it there first"
            problems.append(
                _at(file, r["line"], f"source {source!r} is not in sources.csv; {hint}")
            )
    return problems


def _check_typed(
    record: Record, kinds: Kinds, rosters: Mapping[str, Mapping[str, Record]]
) -> list[str]:
    """What is wrong with the typed part of one evidence row, each "what; remedy"."""
    name, subject, value, sd, unit = (
        record[k] for k in ("kind", "subject", "value", "sd", "unit")
    )
    everyone = {s for roster in rosters.values() for s in roster}
    if name is None:
        stated = [k for k in ("value", "sd", "unit") if record[k] is not None]
        problems = []
        if stated:
            problems.append(
                f"a context row (kind blank) states {', '.join(stated)}; "
                "clear them, or name the evidence kind"
            )
        if subject is not None and rosters and subject not in everyone:
            problems.append(f"subject {subject!r} is in no roster; add it there or clear it")
        return problems
    kind = kinds.get(name)
    if kind is None:
        close = difflib.get_close_matches(name, list(kinds), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "use a known one."
        return [f"unknown kind {name!r}; {hint} Known: {', '.join(sorted(kinds))}"]
    problems = []
    wrong = kind.check(value, sd)
    if wrong:
        problems.append(f"{name}: {wrong}" if ";" in wrong else f"{name}: {wrong}; {kind.meaning}")
    if unit != (kind.unit or None) and not (unit is None and value is None):
        stated = "no unit" if unit is None else f"unit {unit!r}"
        remedy = f"write {kind.unit!r}" if kind.unit else "leave it blank"
        problems.append(f"{name} with {stated}; {remedy}")
    if kind.roster not in rosters:
        return problems
    roster = rosters[kind.roster]
    if subject is None:
        return [*problems, f"{name} needs a subject; name one of {kind.roster}.csv"]
    if subject not in roster:
        close = difflib.get_close_matches(subject, list(roster), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "add it there first"
        return [*problems, f"subject {subject!r} is not in {kind.roster}.csv; {hint}"]
    entry = roster[subject]
    clock = entry.get(_CLOCK.get(kind.roster, ""))
    if clock and record["event_date"] and record["event_date"] < clock:
        problems.append(
            f"event_date {record['event_date']} is before {subject!r} starts on {clock}; "
            f"correct either, in {kind.roster}.csv or here"
        )
    if kind.roster == "people" and entry["size"]:
        group = entry["size"] > 1
        if group != (kind.unit == "count"):
            what = "a group" if group else "one person"
            other = "a kind counted in people" if group else "departure or sighting"
            problems.append(f"{name} about {subject!r}, which is {what}; use {other}")
        elif group and value is not None and value > entry["size"]:
            problems.append(
                f"{value:g} of {subject!r}, whose size is {entry['size']}; correct one of them"
            )
    return problems


def _check_supersedes(records: Sequence[Record], known: Sequence[Record], file: str) -> list[str]:
    """Problems of the ``supersedes`` column of ``records``, among ``known`` rows (which include them)."""
    by_id = {r["id"]: r for r in known if r["id"] is not None}
    problems = []
    for r in records:
        target = r["supersedes"]
        if target is None:
            continue
        if target == r["id"]:
            problems.append(_at(file, r["line"], "the row supersedes itself; name the older row"))
        elif target not in by_id:
            problems.append(
                _at(file, r["line"], f"supersedes {target!r}, which is no row; correct the id")
            )
        else:
            older = by_id[target]
            if r["published"] and older["published"] and older["published"] > r["published"]:
                problems.append(
                    _at(
                        file,
                        r["line"],
                        f"supersedes {target!r}, which was published later; swap the two",
                    )
                )
            seen, at = {r["id"]}, target
            while at in by_id and at not in seen:
                seen.add(at)
                at = by_id[at]["supersedes"]
            if at is not None and at == r["id"]:
                problems.append(
                    _at(
                        file,
                        r["line"],
                        f"{r['id']!r} and {target!r} supersede each other; break the circle",
                    )
                )
    return problems


def _check_evidence(
    records: Sequence[Record],
    *,
    known: Sequence[Record],
    sources: set[str] | None,
    rosters: Mapping[str, Mapping[str, Record]],
    kinds: Kinds,
    file: str,
) -> list[str]:
    problems = []
    if sources is not None:
        problems += _check_sources("evidence", records, sources, file)
    for record in records:
        problems += [
            _at(file, record["line"], what) for what in _check_typed(record, kinds, rosters)
        ]
    return problems + _check_supersedes(records, known, file)


def _rosters(tables: Tables) -> dict[str, dict[str, Record]]:
    """Rosters that could be read, as subject → row."""
    return {
        name: {r[column]: r for r in tables[name] if r[column] is not None}
        for name, column in _SUBJECT.items()
        if tables[name]
    }


def _check_tables(tables: Tables, kinds: Kinds) -> list[str]:
    """Everything that one file's rows must satisfy given the others."""
    problems = []
    problems += _check_people(tables["people"])
    problems += _check_customers(tables["customers"])
    problems += _check_roles("vendors.csv", tables["vendors"], ["target"])
    problems += _check_roles("entities.csv", tables["entities"], ["acquirer", "target"])
    problems += _check_periods(tables["financials"])
    ids = {r["id"] for r in tables["evidence"]} if tables["evidence"] else None
    problems += _check_questions(tables["questions"], ids)
    sources = {r["source"] for r in tables["sources"]} if tables["sources"] else None
    if sources is not None:
        for name in ("financials", "base_rates", "reference_deals"):
            problems += _check_sources(name, tables[name], sources, f"{name}.csv")
    problems += _check_evidence(
        tables["evidence"],
        known=tables["evidence"],
        sources=sources,
        rosters=_rosters(tables),
        kinds=kinds,
        file="evidence.csv",
    )
    return problems


_MAY_BE_EMPTY = ("financials", "base_rates", "reference_deals", "questions")


def _read_folder(folder: Path, kinds: Kinds) -> tuple[dict[str, list[Record]], list[str]]:
    tables, problems = {}, []
    for name, table in TABLES.items():
        records, wrong = _read_table(table, folder)
        tables[name] = records
        if not records and not wrong and name not in _MAY_BE_EMPTY:
            remedy = (
                "add at least one row of evidence"
                if name == "evidence"
                else "add the rows that the evidence refers to"
            )
            wrong = [_at(table.file, 1, f"no row below the header; {remedy}")]
        problems += wrong
    return tables, problems + _check_tables(tables, kinds)


# --- the ledger -----------------------------------------------------------------------------------


def _frame(name: str, records: Sequence[Record], *, lines: bool = False) -> pd.DataFrame:
    """Records as a frame: numbers as float, texts and dates as objects, blanks NaN or None."""
    columns: dict[str, pd.Series] = {}
    for column in TABLES[name].columns:
        values = [r[column.name] for r in records]
        if column.read in (_flag, _whole) and column.required:
            columns[column.name] = pd.Series(values, dtype="int64")
        elif column.read in (_number, _not_negative, _fraction, _flag, _whole):
            columns[column.name] = pd.Series(values, dtype="float64")
        else:
            columns[column.name] = pd.Series(values, dtype=object)
    if lines:
        columns["line"] = pd.Series([r["line"] for r in records], dtype="int64")
    return pd.DataFrame(columns)


def _records(frame: pd.DataFrame) -> list[Record]:
    return [
        {k: None if pd.isna(v) else v for k, v in row.items()}
        for row in frame.to_dict(orient="records")
    ]


def _canonical(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    # One spelling for a number, so that 1 and 1.0 are the same cell.
    return value if isinstance(value, str) else float(value)


def _digest(tables: Mapping[str, pd.DataFrame]) -> str:
    """SHA-256 of every cell of every table; the order of rows plays no part."""
    content = {
        name: sorted(
            json.dumps([_canonical(row[c]) for c in TABLES[name].header], ensure_ascii=True)
            for row in frame.to_dict(orient="records")
        )
        for name, frame in tables.items()
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Ledger:
    """What was known on ``as_of``: evidence, rosters, reference classes and questions.

    Attributes
    ----------
    evidence
        Rows sorted by id; columns of ``evidence.csv`` and ``line``. Dates are ``datetime.date``, blank
        texts None, blank numbers NaN.
    people, customers, vendors, entities
        Rosters. They name who and what the evidence is about and are not cut by date.
    financials, base_rates, reference_deals, questions, sources
        As in ``seeds/``. Of questions, an outcome that was not known on ``as_of`` is blank.
    as_of
        Only rows published by this day are here.
    digest
        SHA-256 of the content; equal content in another order has the same digest.
    kinds
        The evidence kinds that rows were checked against.
    hidden
        Number of evidence rows that were cut off as published later.
    """

    evidence: pd.DataFrame
    people: pd.DataFrame
    customers: pd.DataFrame
    vendors: pd.DataFrame
    entities: pd.DataFrame
    financials: pd.DataFrame
    base_rates: pd.DataFrame
    reference_deals: pd.DataFrame
    questions: pd.DataFrame
    sources: pd.DataFrame
    as_of: dt.date
    digest: str
    kinds: Kinds = field(repr=False)
    hidden: int = 0

    def __repr__(self) -> str:
        return (
            f"Ledger(as_of={self.as_of}, rows={len(self.evidence)}, scored={len(self.scored())}, "
            f"digest={self.digest[:12]})"
        )

    def cut(self, as_of: dt.date | str) -> Ledger:
        """What was visible on ``as_of``: rows published by then, questions open and resolved by then.

        Raises
        ------
        LedgerError
            If no row was published by then, or if this ledger has already hidden rows that the later
            date should see.
        """
        day = _day(as_of)
        if day > self.as_of and self.hidden:
            raise LedgerError(
                f"the ledger is already cut at {self.as_of} and cannot be cut at the later {day}; "
                "load it again as of that date"
            )
        published = self.evidence["published"]
        if not (published <= day).any():
            raise LedgerError(
                f"no row of evidence.csv was published by {day}; the first is of {min(published)}: "
                "choose an as-of date on or after it"
            )
        evidence = self.evidence[published <= day].reset_index(drop=True)
        hidden = self.hidden + len(self.evidence) - len(evidence)
        financials = self.financials
        if len(financials):
            financials = financials[financials["published"] <= day].reset_index(drop=True)
        return _assemble(
            replace(
                self,
                evidence=evidence,
                financials=financials,
                questions=_cut_questions(self.questions, day, set(evidence["id"])),
                as_of=day,
                hidden=hidden,
            )
        )

    def scored(self) -> pd.DataFrame:
        """Rows that enter a likelihood, sorted by id.

        A typed row is scored unless a visible row supersedes it or another row of the same root, subject
        and kind is more credible (ties: the smaller id).
        """
        typed = self.evidence["kind"].notna()
        return self.evidence[typed & self._reasons().isna()].reset_index(drop=True)

    def dropped(self) -> pd.DataFrame:
        """Typed rows that are shown but not scored, with the ``reason``, sorted by id."""
        reasons = self._reasons()
        return self.evidence.assign(reason=reasons)[reasons.notna()].reset_index(drop=True)

    def _reasons(self) -> pd.Series:
        """Why each typed row is not scored; None for scored rows and for context rows."""
        by = {}
        for row in self.evidence.itertuples():
            if row.supersedes is not None:
                by.setdefault(row.supersedes, row.id)
        reasons: list[str | None] = [None] * len(self.evidence)
        first: dict[tuple[str, str, str], tuple[str, str]] = {}
        candidates = []
        for i, row in enumerate(self.evidence.itertuples()):
            if row.kind is None:
                continue
            if row.id in by:
                reasons[i] = f"superseded by {by[row.id]}"
            else:
                candidates.append((row.credibility, row.id, i, (row.root, row.subject, row.kind)))
        for credibility, row_id, i, key in sorted(candidates):
            if key in first:
                reasons[i] = f"same root as {first[key][1]}"
            else:
                first[key] = (credibility, row_id)
        return pd.Series(reasons, dtype=object, index=self.evidence.index)

    def without(self, *ids: str) -> Ledger:
        """The ledger as if these evidence rows had never been seen, for what-ifs.

        Raises
        ------
        LedgerError
            If an id is not among the visible rows, or no row would be left.
        """
        known = set(self.evidence["id"])
        unknown = [i for i in ids if i not in known]
        if unknown:
            raise LedgerError(
                [
                    f"evidence row {i!r} is not visible on {self.as_of}; {_suggest(i, known)}"
                    for i in unknown
                ]
            )
        kept = self.evidence[~self.evidence["id"].isin(ids)].reset_index(drop=True)
        if kept.empty:
            raise LedgerError("no evidence row would be left; keep at least one")
        return _assemble(replace(self, evidence=kept))

    def adding(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Ledger:
        """The ledger with further evidence rows, checked like those of the file.

        Optional columns may be left out. The as-of date moves forward to the last row added, unless
        this ledger hides rows that the later date should see.

        Raises
        ------
        LedgerError
            Listing every problem; ``added:n`` is the n-th row given.
        """
        given = rows.to_dict(orient="records") if isinstance(rows, pd.DataFrame) else list(rows)
        table = TABLES["evidence"]
        added: list[Record] = []
        problems: list[str] = []
        for line, row in enumerate(given, start=1):
            unknown = [k for k in row if k not in table.header and k != "line"]
            problems += [
                _at("added", line, f"unknown column {k!r}; known: {', '.join(table.header)}")
                for k in unknown
            ]
            cells = {name: _spell(row.get(name)) for name in table.header}
            record, wrong = _read_record(table, cells, line, "added")
            added.append(record)
            problems += wrong
        old = _records(self.evidence)
        taken = {r["id"] for r in old}
        for r in added:
            if r["id"] in taken:
                problems.append(
                    _at("added", r["line"], f"id {r['id']!r} is already taken; give the row its own")
                )
            taken.add(r["id"])
            if r["published"] and self.hidden and r["published"] > self.as_of:
                problems.append(
                    _at(
                        "added",
                        r["line"],
                        f"published {r['published']}, after the cut at {self.as_of}; "
                        "load the ledger as of a later date or date the row earlier",
                    )
                )
        problems += _check_evidence(
            added,
            known=old + added,
            sources=set(self.sources["source"]),
            rosters=_rosters({name: _records(getattr(self, name)) for name in _SUBJECT}),
            kinds=self.kinds,
            file="added",
        )
        if problems:
            raise LedgerError(problems)
        evidence = _evidence_frame(old + added)
        return _assemble(
            replace(
                self, evidence=evidence, as_of=max([self.as_of, *(r["published"] for r in added)])
            )
        )


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {close[0]!r}?" if close else "see the ids in evidence.csv"


def _spell(value: Any) -> str:
    """A cell's text for a value given by a caller."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _day(as_of: dt.date | str) -> dt.date:
    if isinstance(as_of, dt.datetime):
        return as_of.date()
    if isinstance(as_of, dt.date):
        return as_of
    try:
        return _date(as_of)
    except ValueError as error:
        raise LedgerError(f"as-of date: {error}") from None


def _evidence_frame(records: Sequence[Record]) -> pd.DataFrame:
    return _frame("evidence", sorted(records, key=lambda r: r["id"]), lines=True)


def _cut_questions(questions: pd.DataFrame, day: dt.date, visible: set[str]) -> pd.DataFrame:
    """Questions open by ``day``, with outcomes only where date and evidence were known."""
    records = []
    for r in _records(questions):
        if r["opens"] > day:
            continue
        row_unknown = r["resolution_row"] is not None and r["resolution_row"] not in visible
        if r["resolved"] is None or r["resolved"] > day or row_unknown:
            r = {**r, "outcome": None, "resolved": None, "resolution_row": None}
        records.append(r)
    return _frame("questions", records)


def _assemble(ledger: Ledger) -> Ledger:
    """The same ledger with the digest of its content."""
    return replace(ledger, digest=_digest({name: getattr(ledger, name) for name in TABLES}))


def load_ledger(
    folder: str | Path, *, kinds: Kinds, as_of: dt.date | str | None = None
) -> Ledger:
    """Read ``seeds/`` strictly and cut it at ``as_of``.

    Every row is checked, also those published later than ``as_of``.

    Parameters
    ----------
    folder
        Holds the CSV files.
    kinds
        Evidence kinds by name, with what their rows must look like.
    as_of
        Only rows published by this day are kept. Default (None or empty): the latest ``published`` in
        the file, never today's date.

    Raises
    ------
    LedgerError
        Listing every problem as ``file:line: what; remedy``.
    """
    folder = Path(folder)
    tables, problems = _read_folder(folder, kinds)
    if problems:
        raise LedgerError(problems)
    frames = {
        name: _evidence_frame(records)
        if name == "evidence"
        else _frame(name, sorted(records, key=lambda r, t=TABLES[name]: _sort_key(t, r)))
        for name, records in tables.items()
    }
    latest = max(frames["evidence"]["published"])
    whole = _assemble(Ledger(**frames, as_of=latest, digest="", kinds=kinds))
    return whole.cut(as_of if as_of else latest)


def _sort_key(table: Table, record: Record) -> tuple[str, ...]:
    return tuple(str(record[name]) for name in table.key)


# --- checks for people ----------------------------------------------------------------------------


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
    tables, problems = _read_folder(folder, kinds)
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
        _at(
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
    """Compare ``evidence.csv`` with the last commit: rows may be added, never changed or removed."""
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
                _at(
                    "evidence.csv",
                    1,
                    f"row {row_id!r} of the last commit is gone; restore it and supersede it instead",
                )
            )
            continue
        line, now = after[row_id]
        changed = [c for c in cells if c in now and cells[c] != now[c]]
        if changed:
            problems.append(
                _at(
                    "evidence.csv",
                    line,
                    f"row {row_id!r} differs from the last commit in {', '.join(changed)}; "
                    "restore it and add a row that supersedes it",
                )
            )
    return Check(name, not problems, "\n".join(problems) or f"{len(before)} committed rows unchanged")


def _by_id(text: str) -> dict[str, tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return {row["id"]: (reader.line_num, row) for row in reader}
