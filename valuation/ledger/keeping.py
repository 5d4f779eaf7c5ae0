"""Adding to the ledger: all of it is checked before anything is written.

A row is only ever added, by itself or in place of one that it supersedes. All that the ledger's own checks
refuse is refused first; so is what ``validate`` refuses, through which a caller adds the checks of layers above.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from valuation.errors import LedgerError
from valuation.ledger.book import Ledger, assemble, spell
from valuation.ledger.chain import AUTOMATIC, CHAIN_FILE, Seal, last_sealed, new_seals
from valuation.ledger.reading import at, read_record
from valuation.ledger.rules import check_evidence, read_folder, subjects_of
from valuation.ledger.tables import FORMULA, TABLES, Record, Records, column
from valuation.ledger.writing import Style, commit, seal_lines, style_of, writing
from valuation.schema import Kinds

NEAR_DAYS = 31  # within which two reports of one matter may well be one
SOURCE_FIELDS = ("source_title", "source_address", "source_kind")
FIELDS = (*TABLES["evidence"].header, *SOURCE_FIELDS)

Validate = Callable[[Ledger, Collection[str]], Mapping[str, str]]
Tables = dict[str, Records]


@dataclass(frozen=True)
class Addition:
    """What was added, or would be.

    Attributes
    ----------
    rows
        The new evidence rows as text by column, in order.
    sources
        The sources that were registered for them.
    remarks
        Sentences about what a person should know.
    warnings
        Sentences about rows of the ledger that the new ones contradict, and about what is hardly possible.
    """

    rows: tuple[Mapping[str, str], ...]
    sources: tuple[Mapping[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(row["id"] for row in self.rows)


def add_rows(
    folder: str | Path,
    rows: Sequence[Mapping[str, Any]],
    *,
    kinds: Kinds,
    today: dt.date,
    validate: Validate | None = None,
    why_duplicate: str = "",
    dry_run: bool = False,
    file: str = "news",
) -> Addition:
    """Add evidence rows, all of them or none.

    Parameters
    ----------
    folder
        Holds the CSV files.
    rows
        Values by column. Without ``id`` a row gets the next free one, without ``root`` its own id, and
        without ``unit`` that of its kind if it has a value. ``source`` is an id of ``sources.csv`` or the name of a
        publisher; an unknown one is registered, with ``source_title``, ``source_address`` and ``source_kind`` if given.
        A key ``line`` says where the row stands in ``file``.
    today
        Rows published later are refused.
    validate
        Called, if rows bear on a likelihood, with the ledger as it would be and the kinds of these rows; raises
        :class:`LedgerError`, or returns warnings by id.
    why_duplicate
        Why a row that repeats another one is to be added all the same; kept in its ``note``.
    dry_run
        Check and return what would be added; write nothing.
    file
        What errors call the place that the rows come from.

    Raises
    ------
    LedgerError
        Listing every problem as ``file:line: what; remedy``. Nothing has been written then.
    """
    folder = Path(folder)
    with writing(folder):
        tables = sound(folder, kinds)
        plan = _Plan(tables, kinds, today, file)
        plan.take(rows)
        plan.refuse_duplicates(why_duplicate)
        return _finish(folder, plan, validate, dry_run)


def supersede(
    folder: str | Path,
    row_id: str,
    changes: Mapping[str, Any],
    *,
    kinds: Kinds,
    today: dt.date,
    reason: str = "",
    withdraw: bool = False,
    validate: Validate | None = None,
    dry_run: bool = False,
    file: str = "news",
) -> Addition:
    """Add a row that replaces ``row_id``: the same but for ``changes``, or a retraction.

    A retraction (``withdraw``) is a context row, so nothing of the old row is scored any more. The new row
    keeps the old one's root and, unless ``changes`` says otherwise, the day on which it was published.

    Raises
    ------
    LedgerError
        As :func:`add_rows`; also if there is no such row, if it is superseded already, or if nothing changes.
    """
    folder = Path(folder)
    with writing(folder):
        tables = sound(folder, kinds)
        ids, older = (column(tables["evidence"], name) for name in ("id", "supersedes"))
        if row_id not in ids:
            raise LedgerError(f"no evidence row {row_id!r}; `valuation news list` shows the ids")
        old = tables["evidence"][ids.index(row_id)]
        newer = [i for i, target in zip(ids, older, strict=True) if target == row_id]
        if newer:
            raise LedgerError(
                at(
                    "evidence.csv",
                    old["line"],
                    f"row {row_id!r} is superseded by {newer[-1]!r} already; supersede that one",
                )
            )
        given = {k: v for k, v in changes.items() if v is not None}
        row: dict[str, Any] = {k: v for k, v in old.items() if k not in ("id", "line")} | given
        if withdraw:
            row |= dict.fromkeys(("kind", "value", "sd", "unit"))
            row["claim"] = given.get("claim") or f"Withdrawn ({row_id}): {reason or old['claim']}"
        elif all(spell(row[k]) == spell(old[k]) for k in given if k in old):
            raise LedgerError(
                at(
                    "evidence.csv",
                    old["line"],
                    f"nothing would differ from {row_id!r}; change a field or withdraw the row",
                )
            )
        elif "kind" in given and "unit" not in given:
            row["unit"] = None  # that of the new kind, if there is a value
        because = f"Replaces {row_id}: {reason}" if reason else f"Replaces {row_id}"
        if withdraw:
            because = f"Withdraws {row_id}"
        row["note"] = _joined(row["note"], because)
        row["supersedes"] = row_id
        plan = _Plan(tables, kinds, today, file)
        plan.take([row])
        return _finish(folder, plan, validate, dry_run)


def sound(folder: Path, kinds: Kinds) -> Tables:
    """The records of a folder without fault; :class:`LedgerError` lists the faults there are."""
    tables, problems = read_folder(folder, kinds)
    if problems:
        raise LedgerError([*problems, "the ledger cannot be used as it is; nothing was written"])
    return tables


def _joined(*parts: str | None) -> str:
    return "; ".join(part.removesuffix(".") for part in parts if part)


def next_id(taken: set[str]) -> str:
    """The first free id after all of the form N0001."""
    numbers = (int(row_id[1:]) for row_id in taken if AUTOMATIC.fullmatch(row_id))
    return f"N{max(numbers, default=0) + 1:04d}"


class _Plan:
    """Rows on their way into the ledger, with the sources that they need and what is wrong with them."""

    def __init__(self, tables: Tables, kinds: Kinds, today: dt.date, file: str) -> None:
        self.tables, self.kinds, self.today, self.file = tables, kinds, today, file
        self.cells: list[dict[str, str]] = []
        self.records: list[Record] = []
        self.sources: list[dict[str, str]] = []
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self._taken = set(column(tables["evidence"], "id"))
        self._fresh = ""

    def take(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Read rows given by a caller; what is wrong with them is kept in ``problems``."""
        for number, given in enumerate(rows, start=1):
            self._take_one(given, int(given.get("line", number)))
        known = [*column(self.tables["sources"], "source"), *(s["source"] for s in self.sources)]
        self.problems += check_evidence(
            self.records,
            known=self.tables["evidence"] + self.records,
            sources=set(known),
            rosters=subjects_of(self.tables),
            kinds=self.kinds,
            file=self.file,
        )

    def _say(self, line: int, what: str) -> None:
        self.problems.append(at(self.file, line, what))

    def _take_one(self, given: Mapping[str, Any], line: int) -> None:
        for name in given:
            if name not in FIELDS and name != "line":
                self._say(line, f"unknown field {name!r}; known: {', '.join(FIELDS)}")
        text = {name: self._safe(name, spell(given.get(name)).strip()) for name in FIELDS}
        cells = {name: text[name] for name in TABLES["evidence"].header}
        row_id = cells["id"] = cells["id"] or self._next_id()
        if row_id in self._taken:
            self._say(line, f"id {row_id!r} is already taken; leave it out and one is given")
        self._taken.add(row_id)
        cells["root"] = cells["root"] or row_id
        kind = self.kinds.get(cells["kind"])
        if kind is not None and cells["value"] and not cells["unit"]:
            cells["unit"] = kind.unit
        if cells["source"]:
            cells["source"] = self._source(cells["source"], text, line)
        record, wrong = read_record(TABLES["evidence"], cells, line, self.file)
        self.problems += wrong
        if record["published"] and record["published"] > self.today:
            self._say(
                line,
                f"published {record['published']}, after today {self.today}; correct the date or wait",
            )
        self.cells.append(cells)
        self.records.append(record)

    def _safe(self, name: str, text: str) -> str:
        """Free text that a spreadsheet would run as a formula gets an apostrophe before it."""
        if name in ("claim", "note", "source_title") and text.startswith(FORMULA):
            self.remarks.append(
                f"{name}: starts with {text[0]!r}, which a spreadsheet runs as a formula; "
                "an apostrophe was put before it"
            )
            return f"'{text}"
        return text

    def _next_id(self) -> str:
        number = int(self._fresh[1:]) + 1 if self._fresh else int(next_id(self._taken)[1:])
        while f"N{number:04d}" in self._taken:
            number += 1
        self._fresh = f"N{number:04d}"
        return self._fresh

    # sources

    def _source(self, name: str, text: Mapping[str, str], line: int) -> str:
        """The id of the source that a caller names; a new source is registered."""
        known = [*self.tables["sources"], *self.sources]
        if any(s["source"] == name for s in known):
            return name
        title, address = text["source_title"], text["source_address"]
        publisher = f"'{name}" if name.startswith(FORMULA) else name
        wanted = {"publisher": publisher, "title": title or _general(publisher), "address": address}
        for s in known:
            same = all((s[k] or "").casefold() == v.casefold() for k, v in wanted.items() if v)
            if same:
                return str(s["source"])
        # With its title, so that two people who cite two stories of one publisher do not choose one id.
        taken = {s["source"] for s in known}
        cells = {"source": _slug(f"{name} {title}", taken), **wanted}
        cells["kind"] = text["source_kind"] or "press"
        _, wrong = read_record(TABLES["sources"], cells, line, self.file)
        self.problems += wrong
        self.sources.append(cells)
        others = [s["source"] for s in known if s["publisher"].casefold() == publisher.casefold()]
        also = f"; of the same publisher: {', '.join(others)}" if others else ""
        self.remarks.append(
            f"source {cells['source']!r} ({publisher}) is new and gets a row in sources.csv{also}"
        )
        return cells["source"]

    # duplicates

    def refuse_duplicates(self, why: str) -> None:
        """Refuse rows that repeat a report that is in the ledger, or note ``why`` they are added."""
        everything = self.tables["evidence"] + self.records
        ids, older, root, claim = (
            column(everything, name) for name in ("id", "supersedes", "root", "claim")
        )
        replaced = set(older) - {None}
        by_report: dict[tuple[Any, ...], list[str]] = {}
        by_claim: dict[tuple[Any, ...], list[str]] = {}
        roots = {r["root"] for r in self.records}
        claims = {r["claim"] for r in self.records}
        lines = {r["id"]: r["line"] for r in self.records}
        for place, row_id in enumerate(ids):
            if (root[place] not in roots and claim[place] not in claims) or row_id in replaced:
                continue
            r = everything[place]
            if r["kind"] is not None:
                by_report.setdefault(_report(r), []).append(r["id"])
            by_claim.setdefault(_claim(r), []).append(r["id"])
        for cells, record in zip(self.cells, self.records, strict=True):
            row_id = record["id"]
            if any(record[name] is None for name in ("id", "claim", "source", "root")):
                continue  # refused for that already
            report = by_report.get(_report(record), []) if record["kind"] is not None else []
            same_report = _before(row_id, report)
            same_claim = _before(row_id, by_claim.get(_claim(record), []))
            twins = sorted({*same_report, *same_claim})
            if not twins:
                continue
            # A row that is not written yet is known by its line.
            named = [f"line {lines[i]}" if i in lines else i for i in twins]
            what = (
                f"root {record['root']!r}, subject {record['subject']!r} and kind {record['kind']!r}"
                if same_report
                else "claim, source and event date"
            )
            if not why:
                self._say(
                    record["line"],
                    f"repeats {', '.join(named)}: the same {what}; leave it out, supersede that row, "
                    "or say why it is added all the same (--why-duplicate)",
                )
                continue
            reason = f"Repeats {', '.join(twins)} on purpose: {why}"
            cells["note"] = _joined(cells["note"], reason)
            record["note"] = cells["note"]
            _, wrong = read_record(TABLES["evidence"], cells, record["line"], self.file)
            self.problems += [p for p in wrong if p not in self.problems]


def _report(record: Record) -> tuple[Any, ...]:
    return record["root"], record["subject"], record["kind"]


def _claim(record: Record) -> tuple[Any, ...]:
    return record["claim"], record["source"], record["event_date"]


def _before(row_id: str | None, ids: Sequence[str]) -> list[str]:
    """The ids that stand before ``row_id``, each of which it repeats."""
    return list(ids[: ids.index(row_id)]) if row_id in ids else []


def _general(publisher: str) -> str:
    """Title of a source that stands for all a publisher reports."""
    return f"Reports of {publisher.removeprefix(chr(39))}"


def _slug(name: str, taken: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "source"
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base}-{number}"
    return slug


def _finish(folder: Path, plan: _Plan, validate: Validate | None, dry_run: bool) -> Addition:
    """Write what was planned, unless something is wrong with it."""
    if plan.problems:
        raise LedgerError(list(dict.fromkeys(plan.problems)))
    if not plan.records:
        raise LedgerError(f"{plan.file}: no row to add; give at least one")
    remarks, warnings = _weigh(plan, validate)
    addition = Addition(
        tuple(plan.cells), tuple(plan.sources), (*plan.remarks, *remarks), tuple(warnings)
    )
    if dry_run:
        return addition
    style = style_of(folder, "evidence")
    lines = style.lines(plan.cells)
    commit(
        folder,
        {
            "sources.csv": style_of(folder, "sources").lines(plan.sources) if plan.sources else "",
            "evidence.csv": lines,
            CHAIN_FILE: seal_lines(folder, _seals_below(folder, plan, style)),
        },
    )
    return addition


def _seals_below(folder: Path, plan: _Plan, style: Style) -> list[Seal]:
    """Seals of the planned rows, the first after the last sealed row of the file."""
    above = last_sealed(folder, column(plan.tables["evidence"], "id"))
    header = list(style.header)
    rows = [(0, [cells[name] for name in header]) for cells in plan.cells]
    if above is None:
        return new_seals(header, rows, [])
    # Only the id and the hash of the row above enter; its cells do not.
    stand_in = [above.id if name == "id" else "" for name in header]
    return new_seals(header, [(0, stand_in), *rows], [above])


def _weigh(plan: _Plan, validate: Validate | None) -> tuple[list[str], list[str]]:
    """Ask the layers above, if a likelihood is touched; remarks about what is scored, and contradictions."""
    targets = {r["supersedes"] for r in plan.records} - {None}
    everything = plan.tables["evidence"] + plan.records
    places = [i for i, row_id in enumerate(column(everything, "id")) if row_id in targets]
    touched = [r for r in everything.at(places) if r["kind"] is not None]
    if not touched and all(r["kind"] is None for r in plan.records):
        return [], []
    new_sources = [{name: cell or None for name, cell in s.items()} for s in plan.sources]
    tables = {**plan.tables, "sources": [*plan.tables["sources"], *new_sources]}
    after = _bearing(tables, everything, plan.kinds)
    doubts: Mapping[str, str] = {}
    if validate is not None:
        kinds = {r["kind"] for r in (*touched, *plan.records)} - {None}
        doubts = _ask(plan, lambda: validate(after, kinds))
    dropped = dict(zip(after.dropped()["id"], after.dropped()["reason"], strict=True))
    mine = {r["id"] for r in plan.records}
    woken: list[str] = []
    if touched:
        before = _bearing(plan.tables, plan.tables["evidence"], plan.kinds)
        woken = sorted(set(after.scored()["id"]) - set(before.scored()["id"]) - mine)
    remarks = [f"{i} is not scored: {dropped[i]}" for i in sorted(mine & set(dropped))]
    remarks += _alike(after, plan)
    if woken:
        remarks.append(
            f"{', '.join(woken)} tells of the same report and is scored now; supersede it as well "
            "if it is as wrong"
        )
    new = mine | set(woken)
    warnings = [c.sentence for c in after.contradictions() if set(c.rows) & new]
    return remarks, warnings + [doubts[r["id"]] for r in plan.records if r["id"] in doubts]


def _alike(after: Ledger, plan: _Plan) -> list[str]:
    """Scored rows that may repeat a report under another root, each counted on its own: only a person can tell."""
    kinds, subjects = ({r[name] for r in plan.records} for name in ("kind", "subject"))
    scored = after.scored()
    near = scored[scored["kind"].isin(kinds) & scored["subject"].isin(subjects)]
    rows = near[["id", "kind", "subject", "root", "event_date"]].to_dict(orient="records")
    given = {r["id"]: place for place, r in enumerate(plan.records)}
    told = []
    for row in sorted((r for r in rows if r["id"] in given), key=lambda r: given[r["id"]]):
        others = [
            (abs((r["event_date"] - row["event_date"]).days), r["id"], r["root"])
            for r in rows
            if (r["kind"], r["subject"]) == (row["kind"], row["subject"])
            and r["root"] != row["root"]
            and given.get(r["id"], -1) < given[row["id"]]
        ]
        days, other, root = min(others, default=(NEAR_DAYS + 1, "", ""))
        if days <= NEAR_DAYS:
            told.append(
                f"{other} says {row['kind']} of {row['subject']!r} too, from another root, so both count; if they "
                f"go back to one report, give {row['id']} --root {root} (`valuation news supersede` can)"
            )
    return told


def _bearing(tables: Mapping[str, Sequence[Record]], rows: Records, kinds: Kinds) -> Ledger:
    """The ledger without plain context: what is scored is the same, in a fraction of the time."""
    bears = zip(column(rows, "kind"), column(rows, "supersedes"), strict=True)
    kept = [
        place for place, (kind, older) in enumerate(bears) if kind is not None or older is not None
    ]
    latest = max(column(rows, "published"))
    return assemble({**tables, "evidence": rows.at(kept)}, kinds=kinds, as_of=latest)


def _ask(plan: _Plan, validate: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
    """Call ``validate``; its problems are placed at the row they name."""
    try:
        return validate()
    except LedgerError as error:
        lines = {r["id"]: r["line"] for r in plan.records}
        placed = []
        for problem in error.problems:
            named = [i for i in lines if re.search(rf"(?<![\w.-]){re.escape(i)}(?![\w-])", problem)]
            first = next(iter(lines.values()))
            # A row that is not written yet has no line there.
            said = re.sub(r"^evidence\.csv:\d+: ", "", problem) if named else problem
            placed.append(at(plan.file, lines[named[0]] if named else first, said))
        raise LedgerError(placed) from None
