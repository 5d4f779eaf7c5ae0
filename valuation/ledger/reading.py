"""One CSV file of ``seeds/``, read strictly: its rows with their lines, and every problem in it."""

from __future__ import annotations

import csv
import difflib
import io
import operator
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from valuation.ledger.tables import (
    FORMULA,
    Cell,
    Column,
    Record,
    Records,
    Table,
    by_column,
    column,
    read_identifier,
)
from valuation.ledger.tables import read_text as read_text_cell

MOST_BYTES = 200_000_000  # about a million rows of evidence
MOST_CHARACTERS = 2_000  # of one cell

Row = tuple[int, list[str]]  # a line number and the cells of the row that begins there


def at(file: str, line: int, problem: str) -> str:
    """``file:line: what; remedy``, on one line whatever the cell held."""
    return f"{file}:{line}: " + " ".join(problem.split())


def read_text(path: Path) -> tuple[str, list[str]]:
    """The file's text and its problems; an unreadable file gives no text."""
    file = path.name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return "", [at(file, 1, f"no such file in {path.parent}; add it with its header line")]
    except OSError as error:
        return "", [at(file, 1, f"cannot be read ({error.strerror}); check the permissions")]
    if len(data) > MOST_BYTES:
        return "", [
            at(file, 1, f"larger than {MOST_BYTES:,} bytes; split off what is not evidence")
        ]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return "", [at(file, line, "not UTF-8; save the file as CSV with encoding UTF-8")]
    if not text.strip():
        return "", [at(file, 1, "the file is empty; add its header line and rows")]
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        return "", [
            at(file, line, "holds a NUL character; restore the file from its last good copy")
        ]
    problems = []
    if not text.endswith("\n"):
        line = text.count("\n") + 1
        problems.append(
            at(
                file,
                line,
                "the last line is cut short (no line end); check it and end it with a line break",
            )
        )
    return text, problems


def _read_header(table: Table, header: Sequence[str]) -> list[str]:
    problems = []
    for name, count in Counter(header).items():
        if count > 1:
            problems.append(at(table.file, 1, f"column {name!r} appears {count} times; keep one"))
        if name not in table.header:
            close = difflib.get_close_matches(name, table.header, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "remove it"
            problems.append(
                at(
                    table.file,
                    1,
                    f"unknown column {name!r}; {hint} Known: {', '.join(table.header)}",
                )
            )
    missing = [c.name for c in table.columns if c.name not in header and not c.later]
    if missing:
        problems.append(
            at(
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
    if not cell.isprintable():  # one call clears all but a few of a hundred thousand cells
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


def read_record(
    table: Table, cells: Mapping[str, str], line: int, file: str
) -> tuple[Record, list[str]]:
    record: Record = {}
    problems: list[str] = []
    for kept in table.columns:
        try:
            record[kept.name] = _read_cell(kept, cells[kept.name])
        except ValueError as error:
            record[kept.name] = None
            problems.append(at(file, line, str(error)))
    record["line"] = line
    return record, problems


def read_rows(table: Table, text: str) -> tuple[list[str], list[Row], list[str]]:
    """The header, the rows as cells with their lines, and what is wrong with the file's shape.

    A header that is not the table's gives no rows; after broken quoting the rows before it are kept.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    problems: list[str] = []
    header: list[str] = []
    absent: list[str] = []  # columns that this file is older than
    before = 0
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not header:
                header = cells
                problems += _read_header(table, header)
                absent = [c.name for c in table.columns if c.later and c.name not in header]
                if sorted([*header, *absent]) != sorted(table.header):
                    return header, [], problems
            elif not any(cells):
                problems.append(at(table.file, line, "a blank line; delete it"))
            elif len(cells) != len(header):
                problems.append(
                    at(
                        table.file,
                        line,
                        f"{len(cells)} cells where the header has {len(header)}; "
                        "quote text that holds a comma, and keep every column",
                    )
                )
            else:
                rows.append((line, cells + [""] * len(absent)))
    except csv.Error as error:
        problems.append(
            at(
                table.file,
                before + 1,
                f"broken quoting from here on ({error}); close the quotes, double inner ones",
            )
        )
    return [*header, *absent], rows, problems


def read_table(table: Table, folder: Path) -> tuple[Records, list[str]]:
    """Every record of a file with its line, and every problem found in it."""
    text, problems = read_text(folder / table.file)
    if not text:
        return by_column(table, ()), problems
    header, rows, wrong = read_rows(table, text)
    problems += wrong
    records, wrong = _read_records(table, header, rows)
    problems += wrong
    return records, problems + _duplicates(table, records)


def _read_records(
    table: Table, header: Sequence[str], rows: Sequence[Row]
) -> tuple[Records, list[str]]:
    """The rows as records, a column at a time: most cells repeat one that was read already."""
    if not rows:
        return by_column(table, ()), []
    cells = dict(zip(header, zip(*(cells for _, cells in rows), strict=True), strict=True))
    columns: dict[str, list[Any]] = {}
    try:
        for kept in table.columns:
            texts = cells[kept.name]
            if not _plainly_right(kept, texts):
                known = _read_cells(kept, set(texts))
                columns[kept.name] = [known[cell] for cell in texts]
            else:
                columns[kept.name] = list(texts)
    except ValueError:
        return _read_records_singly(table, header, rows)
    return Records({**columns, "line": [line for line, _ in rows]}), []


# With what no cell of a column that is kept as text may begin, and what it may not hold; a closer look says more.
_NOT_FIRST = {read_text_cell: {" ", *FORMULA}, read_identifier: {".", "-", "_"}}
_FOREIGN = {read_identifier: re.compile(r"[^A-Za-z0-9._\-\n]")}


def _plainly_right(column: Column, cells: Sequence[str]) -> bool:
    """Whether every cell of a column of text is sound and not blank, by few passes over all of them."""
    if column.read not in _NOT_FIRST or "" in cells or max(map(len, cells)) > MOST_CHARACTERS:
        return False
    if not all(map(str.isprintable, cells)) or " " in {cell[-1] for cell in cells}:
        return False
    foreign = _FOREIGN.get(column.read)
    return not _NOT_FIRST[column.read] & {cell[0] for cell in cells} and (
        foreign is None or foreign.search("\n".join(cells)) is None
    )


def _read_cells(column: Column, cells: set[str]) -> dict[str, Cell]:
    """The values of distinct cells; ValueError if one may be wrong, and then :func:`_read_cell` tells."""
    known: dict[str, Cell] = {}
    if "" in cells and not column.required:
        known[""] = None
        cells = cells - {""}
    plain = (
        "" not in cells
        and all(map(str.isprintable, cells))
        and max(map(len, cells), default=0) <= MOST_CHARACTERS
        and all(map(operator.eq, map(str.strip, cells), cells))
    )
    if plain:
        known.update(zip(cells, map(column.read, cells), strict=True))
    else:
        known.update((cell, _read_cell(column, cell)) for cell in cells)
    return known


def _read_records_singly(
    table: Table, header: Sequence[str], rows: Sequence[Row]
) -> tuple[Records, list[str]]:
    """As :func:`_read_records`, a row at a time: some cell is wrong, and every one is to be named."""
    records: list[Record] = []
    problems: list[str] = []
    for line, cells in rows:
        record, wrong = read_record(table, dict(zip(header, cells, strict=True)), line, table.file)
        records.append(record)
        problems += wrong
    return by_column(table, records), problems


def _duplicates(table: Table, records: Sequence[Record]) -> list[str]:
    problems: list[str] = []
    keys = zip(*(column(records, name) for name in table.key), strict=True)
    if len(set(keys)) == len(records):
        return problems
    first: dict[tuple[Cell, ...], int] = {}
    for record in records:
        key = tuple(record[name] for name in table.key)
        if None in key:
            continue
        if key in first:
            shown = ", ".join(map(str, key))
            problems.append(
                at(
                    table.file,
                    record["line"],
                    f"{'/'.join(table.key)} {shown!r} is already on line {first[key]}; "
                    "give the row its own or delete it",
                )
            )
        first.setdefault(key, record["line"])
    return problems
