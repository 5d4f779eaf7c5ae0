"""The ledger: what was known on a day, which of it is scored, and what-ifs on it."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from valuation.errors import LedgerError
from valuation.ledger.reading import at, read_record
from valuation.ledger.rules import check_evidence, read_folder, subjects_of
from valuation.ledger.tables import (
    SUBJECT,
    TABLES,
    Record,
    Records,
    Table,
    by_column,
    column,
    read_date,
    read_flag,
    read_fraction,
    read_not_negative,
    read_number,
    read_whole,
)
from valuation.schema import Kind, Kinds, months_between


def _frame(name: str, records: Sequence[Record], *, lines: bool = False) -> pd.DataFrame:
    """Records as a frame: numbers as float, texts and dates as objects, blanks NaN or None."""
    columns: dict[str, pd.Series] = {}
    for kept in TABLES[name].columns:
        values = column(records, kept.name)
        if kept.read in (read_flag, read_whole) and kept.required:
            columns[kept.name] = pd.Series(values, dtype="int64")
        elif kept.read in (read_number, read_not_negative, read_fraction, read_flag, read_whole):
            columns[kept.name] = pd.Series(values, dtype="float64")
        else:
            columns[kept.name] = pd.Series(values, dtype=object)
    if lines:
        columns["line"] = pd.Series(column(records, "line"), dtype="int64")
    return pd.DataFrame(columns)


def _records(frame: pd.DataFrame) -> list[Record]:
    columns = [_plain(frame[name]) for name in frame.columns]
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(column: pd.Series) -> list[Any]:
    """The values of a column, blanks None."""
    # A whole column at once: a test of each cell by pandas takes seconds for 100,000 rows.
    return [None if value is None or value != value else value for value in column.tolist()]


def _canonical(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    # One spelling for a number, so that 1 and 1.0 are the same cell.
    return value if isinstance(value, str) else float(value)


def _digest(tables: Mapping[str, pd.DataFrame]) -> str:
    """SHA-256 of every cell of every table; the order of rows plays no part."""
    content = {}
    for name, frame in tables.items():
        columns = [
            [v if v is None or type(v) is str else _canonical(v) for v in frame[column].tolist()]
            for column in TABLES[name].header
        ]
        rows = zip(*columns, strict=True)
        content[name] = sorted(json.dumps(row, ensure_ascii=True) for row in rows)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Contradiction:
    """The ids of two rows that cannot both be true, first the one that tells of the (earlier) end, and a sentence."""

    rows: tuple[str, str]
    sentence: str


@dataclass(frozen=True, eq=False)
class Ledger:
    """What was known on ``as_of``: evidence, rosters, reference classes and questions.

    Attributes
    ----------
    evidence
        Rows sorted by id; columns of ``evidence.csv`` and ``line``. Dates are ``datetime.date``,
        blank texts None, blank numbers NaN.
    people, customers, vendors, entities
        Rosters. They name who and what the evidence is about and are not cut by date.
    financials, base_rates, reference_deals, questions, sources
        As in ``seeds/``. Of questions, an outcome that was not known on ``as_of`` is blank.
    as_of
        Only rows published by this day are here.
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
    kinds: Kinds = field(repr=False)
    hidden: int = 0

    def __repr__(self) -> str:
        return (
            f"Ledger(as_of={self.as_of}, rows={len(self.evidence)}, scored={len(self.scored())}, "
            f"digest={self.digest[:12]})"
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content; equal content in another order has the same digest."""
        return _digest({name: getattr(self, name) for name in TABLES})

    def cut(self, as_of: dt.date | str) -> Ledger:
        """What was visible on ``as_of``: rows published, questions opened and resolved by then.

        Raises
        ------
        LedgerError
            If no row was published by then, or if this ledger has already hidden rows that the
            later date should see.
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
        return replace(
            self,
            evidence=evidence,
            financials=financials,
            questions=_cut_questions(self.questions, day, set(evidence["id"])),
            as_of=day,
            hidden=hidden,
        )

    @property
    def newest(self) -> dt.date:
        """Day on which the newest row was published that stands.

        A row that was withdrawn has told nothing, and neither has its withdrawal: with both the answer is as old as
        without them.
        """
        rows = self.evidence
        places = dict(zip(rows["id"], rows["supersedes"], strict=True))
        typed = set(rows["id"][rows["kind"].notna()])
        gone: set[str] = set()
        for place in rows["id"][rows["kind"].isna() & rows["supersedes"].isin(typed)]:
            while place in places and place not in gone:
                gone.add(place)
                place = places[place]
        stand = rows["published"][~rows["id"].isin(gone)]
        newest: dt.date = max(stand if len(stand) else rows["published"])
        return newest

    def scored(self) -> pd.DataFrame:
        """Rows that enter a likelihood, sorted by id.

        A typed row is scored unless a visible row supersedes it, or another row of the same root,
        subject and kind is more credible (ties: the smaller id).
        """
        typed = self.evidence["kind"].notna()
        return self.evidence[typed & self._reasons().isna()].reset_index(drop=True)

    def dropped(self) -> pd.DataFrame:
        """Typed rows that are shown but not scored, with the ``reason``, sorted by id."""
        reasons = self._reasons()
        return self.evidence.assign(reason=reasons)[reasons.notna()].reset_index(drop=True)

    def contradictions(self) -> tuple[Contradiction, ...]:
        """Pairs of scored rows that cannot both be true.

        One says that something has ended, and one that it stood later, or on the same day in a row of the same kind.
        Or both say that what ends only once ended, and nothing of one row's window lies in the other's.
        """
        ended: dict[tuple[str, str], list[Record]] = {}
        stood: dict[tuple[str, str], list[Record]] = {}
        for row in _records(self.scored()):
            kind = self.kinds[row["kind"]]
            if kind.stands is not None:
                side = stood if kind.stands(row["value"]) else ended
                side.setdefault((kind.model, row["subject"]), []).append(row)
        found: list[Contradiction] = []
        for about, rows in sorted(ended.items()):
            found += [
                _contradiction(
                    gone,
                    there,
                    f"{_why(there, gone)}. Both count as far as they are believed; {_REMEDY}",
                )
                for gone in rows
                for there in stood.get(about, ())
                if _denies(there, gone)
            ]
            once = [row for row in rows if self.kinds[row["kind"]].within is not None]
            once.sort(key=lambda row: (row["event_date"], row["id"]))
            found += [
                _contradiction(first, second, _TWICE)
                for first, second in itertools.combinations(once, 2)
                if _apart(first, second, self.kinds[second["kind"]])
            ]
        return tuple(found)

    def _reasons(self) -> pd.Series:
        """Why each typed row is not scored; None for scored rows and for context rows."""
        row_id, kind, older, grade, root, subject = (
            _plain(self.evidence[name])
            for name in ("id", "kind", "supersedes", "credibility", "root", "subject")
        )
        newer: dict[str, str] = {}
        for i, target in enumerate(older):
            if target is not None:
                newer.setdefault(target, row_id[i])
        reasons: list[str | None] = [None] * len(row_id)
        candidates: list[tuple[str, str, int]] = []  # the best comes first
        for i, name in enumerate(kind):
            if name is None:
                continue
            if row_id[i] in newer:
                reasons[i] = f"superseded by {newer[row_id[i]]}"
            else:
                candidates.append((grade[i], row_id[i], i))
        counted: dict[tuple[str, str, str], str] = {}
        for _, name, i in sorted(candidates):
            key = (root[i], subject[i], kind[i])
            if key in counted:
                reasons[i] = f"same root as {counted[key]}"
            else:
                counted[key] = name
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
        return replace(self, evidence=kept)

    def adding(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Ledger:
        """The ledger with further evidence rows, checked like those of the file.

        Optional columns may be left out. The as-of date moves forward to the last row added, unless
        this ledger hides rows that the later date should see.

        Raises
        ------
        LedgerError
            Listing every problem; ``added:n`` is the n-th row given.
        """
        given: list[Mapping[Any, Any]] = (
            list(rows.to_dict(orient="records")) if isinstance(rows, pd.DataFrame) else list(rows)
        )
        table = TABLES["evidence"]
        added: list[Record] = []
        problems: list[str] = []
        for line, row in enumerate(given, start=1):
            unknown = [k for k in row if k not in table.header and k != "line"]
            problems += [
                at("added", line, f"unknown column {k!r}; known: {', '.join(table.header)}")
                for k in unknown
            ]
            cells = {name: spell(row.get(name)) for name in table.header}
            record, wrong = read_record(table, cells, line, "added")
            added.append(record)
            problems += wrong
        old = _records(self.evidence)
        taken = {r["id"] for r in old}
        for r in added:
            if r["id"] in taken:
                problems.append(
                    at("added", r["line"], f"id {r['id']!r} is already taken; give the row its own")
                )
            taken.add(r["id"])
            if r["published"] and self.hidden and r["published"] > self.as_of:
                problems.append(
                    at(
                        "added",
                        r["line"],
                        f"published {r['published']}, after the cut at {self.as_of}; "
                        "load the ledger as of a later date or date the row earlier",
                    )
                )
        problems += check_evidence(
            added,
            known=old + added,
            sources=set(self.sources["source"]),
            rosters=subjects_of({name: _records(getattr(self, name)) for name in SUBJECT}),
            kinds=self.kinds,
            file="added",
        )
        if problems:
            raise LedgerError(problems)
        evidence = _evidence_frame(old + added)
        return replace(
            self, evidence=evidence, as_of=max([self.as_of, *(r["published"] for r in added)])
        )


_REMEDY = "supersede the one that is wrong (`valuation news supersede`)"
_TWICE = (
    "what ends once cannot end twice. The earlier end counts as far as it is believed, the later one as far as the "
    f"earlier is not; {_REMEDY}, or if both tell of one end, let their windows meet (`--event-date`, `--value`) or "
    "give them one `--root`"
)


def _contradiction(gone: Record, other: Record, why: str) -> Contradiction:
    """What is to be said of a row that tells of an end and of an ``other`` that cannot be true with it."""
    told = (
        f"{row['id']} ({row['kind']}, {row['event_date']}, {row['credibility']})"
        for row in (other, gone)
    )
    sentence = f"{' and '.join(told)} contradict each other about {gone['subject']!r}: {why}"
    return Contradiction((gone["id"], other["id"]), sentence)


def _apart(first: Record, second: Record, kind: Kind) -> bool:
    """Whether nothing of the windows of two ends is common; the ``second``, of this kind, is of no earlier a day."""
    months = 0.0 if kind.within is None else kind.within(second["value"])
    return months_between(first["event_date"], second["event_date"]) > months


def _denies(there: Record, gone: Record) -> bool:
    """Whether what stood on one row's day cannot have ended on the other's: two values of one kind tell of a day
    as a whole, while a person may be seen on the day on which they leave."""
    same = there["kind"] == gone["kind"] and there["event_date"] == gone["event_date"]
    return same or there["event_date"] > gone["event_date"]


def _why(there: Record, gone: Record) -> str:
    if there["event_date"] == gone["event_date"]:
        return "on one day it cannot be both"
    return "what has ended is not there later"


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {close[0]!r}?" if close else "see the ids in evidence.csv"


def spell(value: Any) -> str:
    """A cell's text for a value given by a caller."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _day(as_of: dt.date | str) -> dt.date:
    if isinstance(as_of, dt.datetime):
        return as_of.date()
    if isinstance(as_of, dt.date):
        return as_of
    try:
        return read_date(as_of)
    except ValueError as error:
        raise LedgerError(f"as-of date: {error}") from None


def _evidence_frame(records: Sequence[Record]) -> pd.DataFrame:
    rows = records if isinstance(records, Records) else by_column(TABLES["evidence"], records)
    ids = rows.columns["id"]
    return _frame("evidence", rows.at(sorted(range(len(rows)), key=ids.__getitem__)), lines=True)


def _cut_questions(questions: pd.DataFrame, day: dt.date, visible: set[str]) -> pd.DataFrame:
    """Questions open by ``day``, with outcomes only where date and evidence were known."""
    records = []
    for r in _records(questions):
        if r["opens"] > day:
            continue
        row_unknown = r["resolution_row"] is not None and r["resolution_row"] not in visible
        if r["resolved"] is None or r["resolved"] > day or row_unknown:
            r |= dict.fromkeys(("outcome", "resolved", "resolution_row", "outcome_source", "value"))
        records.append(r)
    return _frame("questions", records)


def load_ledger(folder: str | Path, *, kinds: Kinds, as_of: dt.date | str | None = None) -> Ledger:
    """Read ``seeds/`` strictly and cut it at ``as_of``.

    Every row is checked, also those published later than ``as_of``.

    Parameters
    ----------
    folder
        Holds the CSV files.
    kinds
        Evidence kinds by name, with what their rows must look like.
    as_of
        Only rows published by this day are kept. Default (None or empty): the latest ``published``
        in the file, never today's date; the questions are then as they are in the file.

    Raises
    ------
    LedgerError
        Listing every problem as ``file:line: what; remedy``.
    """
    tables, problems = read_folder(Path(folder), kinds)
    if problems:
        raise LedgerError(problems)
    return assemble(tables, kinds=kinds, as_of=as_of)


def assemble(
    tables: Mapping[str, Sequence[Record]], *, kinds: Kinds, as_of: dt.date | str | None = None
) -> Ledger:
    """The ledger of records that were read and found sound, cut as by :func:`load_ledger`."""
    frames: dict[str, Any] = {
        name: _frame(name, _in_order(TABLES[name], records))
        for name, records in tables.items()
        if name != "evidence"
    }
    evidence = _evidence_frame(tables["evidence"])
    latest = max(evidence["published"])
    whole = Ledger(evidence=evidence, **frames, as_of=latest, kinds=kinds)
    if as_of:
        return whole.cut(as_of)
    # The present: a question may be resolved after the newest row, and is not open any more then.
    return replace(whole.cut(latest), questions=frames["questions"])


def _in_order(table: Table, records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: tuple(str(record[name]) for name in table.key))
