"""The files of ``seeds/``: their columns, and how the text of one cell becomes a value."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

GRADES = ("A", "B", "C", "D")

Cell = str | float | int | dt.date | None
Record = dict[str, Any]

# --- cells ----------------------------------------------------------------------------------------
# Each reader takes the text of a cell that is not blank and returns its value, or raises ValueError
# with "what; remedy".

_NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FORMULA = ("=", "+", "@", "-")


def read_text(cell: str) -> str:
    if cell.startswith(FORMULA):
        raise ValueError(
            f"text starts with {cell[0]!r}, which a spreadsheet runs as a formula; "
            "begin with a word"
        )
    return cell


def read_identifier(cell: str) -> str:
    if not _IDENTIFIER.fullmatch(cell):
        raise ValueError(
            f"{cell!r} is not an identifier; use letters, digits, dot, dash and underscore only"
        )
    return cell


def read_date(cell: str) -> dt.date:
    if _DATE.fullmatch(cell):
        try:
            return dt.date.fromisoformat(cell)
        except ValueError:
            pass
    raise ValueError(f"{cell!r} is not a date; write it as YYYY-MM-DD")


def read_number(cell: str) -> float:
    if not _NUMBER.fullmatch(cell):
        raise ValueError(
            f"{cell!r} is not a finite number; use digits 0 to 9 and a point, no thousands mark, "
            "or leave it blank"
        )
    number = float(cell)
    if not math.isfinite(number):
        raise ValueError(f"{cell!r} is too large to be a number; check its size and unit")
    return number


def read_not_negative(cell: str) -> float:
    number = read_number(cell)
    if number < 0:
        raise ValueError(f"{cell} is negative; state it as 0 or more")
    return number


def read_fraction(cell: str) -> float:
    number = read_number(cell)
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{cell} is not a fraction; write 0.17 for 17 per cent")
    return number


def read_whole(cell: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", cell):
        raise ValueError(f"{cell!r} is not a whole number; write digits 0 to 9 only")
    return int(cell)


def read_address(cell: str) -> str:
    if not re.fullmatch(r"https?://[^\s<>\"]+", cell):
        raise ValueError(f"{cell!r} is not a web address; begin with https:// or leave it blank")
    return cell


def read_choice(*options: str) -> Callable[[str], str]:
    def read(cell: str) -> str:
        if cell not in options:
            raise ValueError(f"{cell!r} is not one of {', '.join(options)}; use one of these")
        return cell

    return read


MEASURED = "measured"  # the outcome of a question about a quantity, which has a value
OUTCOMES = ("yes", "no", "annulled", "ambiguous", MEASURED)


def read_outcome(cell: str) -> str:
    """How a question was resolved; 1 and 0 stand for yes and no."""
    told = {"1": "yes", "0": "no"}.get(cell, cell)
    if told not in OUTCOMES:
        raise ValueError(f"{cell!r} is no outcome; write 1, 0, {' or '.join(OUTCOMES[2:])}")
    return told


def read_flag(cell: str) -> int:
    if cell not in ("0", "1"):
        raise ValueError(f"{cell!r} is neither 0 nor 1; write 1 for yes, 0 for no")
    return int(cell)


# --- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column: its name, how a cell is read, and whether a blank is refused.

    A ``later`` column was added to the table when files without it were kept: there its cells are blank.
    """

    name: str
    read: Callable[[str], Cell]
    required: bool = True
    later: bool = False


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


@dataclass(frozen=True)
class Records(Sequence[Record]):
    """The rows of a table, kept by column: of a long ledger most is asked of a column, little of a row.

    A record is made when it is asked for; to change it changes nothing here.
    """

    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(self.columns["line"])

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Records: ...
    def __getitem__(self, place: int | slice) -> Record | Records:
        found = {name: cells[place] for name, cells in self.columns.items()}
        return Records(found) if isinstance(place, slice) else found

    def __iter__(self) -> Iterator[Record]:
        rows = zip(*self.columns.values(), strict=True)
        return (dict(zip(self.columns, cells, strict=True)) for cells in rows)

    def __add__(self, more: Sequence[Record]) -> Records:
        return Records({n: [*cells, *column(more, n)] for n, cells in self.columns.items()})

    def at(self, places: Sequence[int]) -> Records:
        """The rows at these places, in this order."""
        return Records({n: [cells[i] for i in places] for n, cells in self.columns.items()})


def column(records: Sequence[Record], name: str) -> list[Any]:
    """What every record holds under that name."""
    return records.columns[name] if isinstance(records, Records) else [r[name] for r in records]


def by_column(table: Table, records: Iterable[Record]) -> Records:
    """Records of a table, with their lines, kept by column."""
    rows = list(records)
    return Records({name: [r[name] for r in rows] for name in (*table.header, "line")})


LATER = "later"


def _table(name: str, key: Sequence[str], /, **columns: Callable[[str], Cell] | tuple) -> Table:
    """A table; a reader in a tuple marks a column that may be blank, with ``LATER`` one that may be absent."""
    return Table(
        name,
        tuple(
            Column(column, read[0], required=False, later=LATER in read)
            if isinstance(read, tuple)
            else Column(column, read)
            for column, read in columns.items()
        ),
        tuple(key),
    )


_GRADE = read_choice(*GRADES)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "sources",
            ["source"],
            source=read_identifier,
            publisher=read_text,
            title=read_text,
            address=(read_address,),
            kind=read_text,
        ),
        _table(
            "people",
            ["subject"],
            subject=read_text,
            cohort=read_identifier,
            entry=read_date,
            size=read_whole,
            weight=(read_fraction,),
            talent=read_flag,
            note=(read_text,),
        ),
        _table(
            "customers",
            ["subject"],
            subject=read_text,
            segment=read_choice("rival_lab", "technology", "government", "enterprise"),
            rival=read_flag,
            revenue_share=read_fraction,
            start=read_date,
            new=read_flag,
            pooled=read_flag,
            note=(read_text,),
        ),
        _table(
            "vendors",
            ["subject"],
            subject=read_text,
            role=read_choice("target", "rival"),
            note=(read_text,),
        ),
        _table(
            "entities",
            ["entity"],
            entity=read_text,
            role=read_choice("acquirer", "target", "regulator"),
            note=(read_text,),
        ),
        _table(
            "evidence",
            ["id"],
            id=read_identifier,
            event_date=read_date,
            published=read_date,
            claim=read_text,
            source=read_identifier,
            root=read_identifier,
            credibility=_GRADE,
            kind=(read_text,),
            subject=(read_text,),
            value=(read_number,),
            sd=(read_not_negative,),
            unit=(read_text,),
            supersedes=(read_identifier,),
            note=(read_text,),
        ),
        _table(
            "financials",
            ["entity", "period_start", "period_end", "item", "source"],
            entity=read_text,
            period_start=read_date,
            period_end=read_date,
            item=read_text,
            value=read_number,
            unit=read_text,
            sd=(read_not_negative,),
            source=read_identifier,
            published=read_date,
            credibility=_GRADE,
            note=(read_text,),
        ),
        _table(
            "base_rates",
            ["id", "measure"],
            id=read_identifier,
            reference_class=read_text,
            name=read_text,
            measure=read_text,
            value=(read_number,),
            unit=(read_text,),
            source=read_identifier,
            published=read_date,
            credibility=_GRADE,
            use=(read_text,),
        ),
        _table(
            "reference_deals",
            ["id"],
            id=read_identifier,
            acquirer=read_text,
            target=read_text,
            year=read_whole,
            price_usd_bn=read_not_negative,
            stake_pct=(read_not_negative,),
            structure=read_text,
            outcome=read_choice("success", "mixed", "failure", "pending", "blocked"),
            writedown_usd_bn=(read_not_negative,),
            outcome_date=(read_date,),
            recovered_fraction=(read_fraction,),
            value_multiple_rough=(read_not_negative,),
            note=(read_text,),
            source=read_identifier,
            credibility=_GRADE,
        ),
        _table(
            "questions",
            ["id"],
            id=read_identifier,
            question=read_text,
            opens=read_date,
            closes=read_date,
            resolution_source=read_text,
            fine_print=read_text,
            outcome=(read_outcome,),
            resolved=(read_date,),
            resolution_row=(read_identifier,),
            event=(read_text,),
            subject=(read_text,),
            threshold=(read_text,),
            base_rate=(read_fraction,),
            base_rate_source=(read_text,),
            note=(read_text,),
            outcome_source=(read_text, LATER),
            person=(read_text, LATER),
            person_probability=(read_fraction, LATER),
            unit=(read_text, LATER),
            value=(read_number, LATER),
            base_value=(read_number, LATER),
        ),
    )
}

# The column of each roster that evidence subjects refer to, and the column that starts its clock.
SUBJECT = {"people": "subject", "customers": "subject", "vendors": "subject", "entities": "entity"}
CLOCK = {"people": "entry", "customers": "start"}
