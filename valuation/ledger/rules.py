"""What the rows of one file must satisfy given the others; every problem is a sentence."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from valuation.currency import currency_of, named_in, without
from valuation.ledger.reading import at, read_table
from valuation.ledger.tables import CLOCK, MEASURED, SUBJECT, TABLES, Record, Records, column
from valuation.process import collector_at_rest
from valuation.schema import Kinds, months_between

# An ending is announced by a notice or a contract that runs out; a later day is a slip of the pen.
YEARS_AHEAD = 3
SHARE_TOLERANCE = 1e-6  # on weights and shares that must sum to 1

Tables = Mapping[str, Sequence[Record]]


def _check_people(records: Sequence[Record]) -> list[str]:
    problems = []
    for r in records:
        if r["size"] == 0:
            problems.append(at("people.csv", r["line"], "size is 0; write 1 for a named person"))
        if r["talent"] == 1 and r["weight"] is None:
            problems.append(
                at("people.csv", r["line"], "talent is 1 but weight is blank; state its share")
            )
        if r["talent"] == 0 and r["weight"] is not None:
            problems.append(
                at("people.csv", r["line"], "talent is 0, so weight must be blank; clear it")
            )
    total = sum(r["weight"] or 0.0 for r in records if r["talent"] == 1)
    if records and not problems and abs(total - 1.0) > SHARE_TOLERANCE:
        problems.append(
            at(
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
                at(
                    "customers.csv",
                    r["line"],
                    "a customer won after the close has revenue_share 0; set it, or set new to 0",
                )
            )
    total = sum(r["revenue_share"] or 0.0 for r in records if r["new"] == 0)
    if records and not problems and abs(total - 1.0) > SHARE_TOLERANCE:
        problems.append(
            at(
                "customers.csv",
                records[0]["line"],
                f"revenue_share where new is 0 sums to {total:.6g}, not 1; adjust the pooled rows",
            )
        )
    return problems


def _check_roles(file: str, records: Sequence[Record], once: Sequence[str]) -> list[str]:
    counts = Counter(r["role"] for r in records)
    return [
        at(file, 1, f"{counts[role]} rows with role {role!r}; there must be exactly one")
        for role in once
        if records and counts[role] != 1
    ]


def _check_periods(records: Sequence[Record]) -> list[str]:
    return [
        at("financials.csv", r["line"], "period_start is after period_end; swap or correct them")
        for r in records
        if r["period_start"] and r["period_end"] and r["period_start"] > r["period_end"]
    ]


def _check_currency(file: str, records: Sequence[Record], kinds: Kinds) -> list[str]:
    """Amounts in another currency than that of the deal, which the units of its kinds state."""
    own = {currency_of(kind.unit) for kind in kinds.values()} - {None}
    return [
        at(
            file,
            r["line"],
            f"unit {r['unit']!r} in a deal in {' or '.join(sorted(map(str, own)))}: no exchange rate is made up; "
            "give the amount in the deal's currency",
        )
        for r in records
        if own and named_in(r["unit"]) not in (None, *own)
    ]


def _check_questions(records: Sequence[Record], evidence: set[str] | None) -> list[str]:
    problems = []
    for r in records:
        line = r["line"]
        if r["opens"] and r["closes"] and r["opens"] > r["closes"]:
            problems.append(at("questions.csv", line, "opens after it closes; correct the dates"))
        if (r["outcome"] is None) != (r["resolved"] is None):
            problems.append(
                at("questions.csv", line, "outcome and resolved go together; fill both or neither")
            )
        if (r["person"] is None) != (r["person_probability"] is None):
            problems.append(
                at(
                    "questions.csv",
                    line,
                    "person and person_probability go together; fill both or neither",
                )
            )
        if (r["outcome"] == MEASURED) != (r["value"] is not None):
            problems.append(
                at("questions.csv", line, f"the outcome {MEASURED} and a value go together")
            )
        if r["unit"] is None and (r["value"] is not None or r["base_value"] is not None):
            problems.append(at("questions.csv", line, "a value needs the unit that it is in"))
        if r["unit"] is not None and r["outcome"] in ("yes", "no"):
            problems.append(
                at(
                    "questions.csv",
                    line,
                    f"a quantity in {r['unit']} has no yes or no; its outcome is {MEASURED}, with a value",
                )
            )
        row = r["resolution_row"]
        if row is not None and evidence is not None and row not in evidence:
            problems.append(
                at(
                    "questions.csv",
                    line,
                    f"resolution_row {row!r} is not in evidence.csv; add the row or correct the id",
                )
            )
    return problems


def _check_sources(name: str, records: Sequence[Record], known: set[str], file: str) -> list[str]:
    problems: list[str] = []
    if known.issuperset(column(records, "source")):
        return problems
    for r in records:
        source = r["source"]
        if source is not None and source not in known:
            close = difflib.get_close_matches(source, sorted(known), n=1)
            hint = f"did you mean {close[0]!r}? Else " if close else ""
            hint += _new_row("sources")
            if name == "evidence":
                hint += ", or add the news by `valuation news add`, which does it"
            problems.append(at(file, r["line"], f"source {source!r} is not in sources.csv; {hint}"))
    return problems


def _new_row(name: str) -> str:
    """The remedy for what a table lacks: its file, and the columns to give."""
    table = TABLES[name]
    given = ", ".join(c.name for c in table.columns if c.required)
    blank = " and ".join(c.name for c in table.columns if not c.required)
    return f"add a row to {table.file} ({given}; {blank} may be blank)"


_TYPED = ("kind", "subject", "value", "sd", "unit")


def _check_typed(
    record: Record, kinds: Kinds, rosters: Mapping[str, Mapping[str, Record]]
) -> list[str]:
    """What is wrong with the typed part of one evidence row, each "what; remedy"."""
    name, subject, value, sd, unit = (record[k] for k in _TYPED)
    if name is None:
        stated = [k for k in ("value", "sd", "unit") if record[k] is not None]
        problems = []
        if stated:
            problems.append(
                f"a context row (kind blank) states {', '.join(stated)}; "
                "clear them, or name the evidence kind"
            )
        if subject is not None and rosters and not any(subject in r for r in rosters.values()):
            files = " or ".join(f"{name}.csv" for name in SUBJECT)
            problems.append(f"subject {subject!r} is in no roster; add it to {files}, or clear it")
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
    # A kind that is not told whose currency it is read in (``bn``) takes any.
    bare = without(unit) if unit and currency_of(kind.unit) is None else unit
    if bare != (kind.unit or None) and not (unit is None and value is None):
        found = "no unit" if unit is None else f"unit {unit!r}"
        remedy = f"write {kind.unit!r}" if kind.unit else "leave it blank"
        given, own = currency_of(unit), currency_of(kind.unit)
        if given is not None and own is not None and given != own:
            remedy = f"the deal is in {own} and no exchange rate is made up: give the amount in {kind.unit!r}"
        problems.append(f"{name} with {found}; {remedy}")
    happened, published = record["event_date"], record["published"]
    if happened and published and happened > published and not kind.ahead:
        problems.append(
            f"event_date {happened} is after the row was published on {published}, and {name} tells what has "
            "happened; date it by the day that was reported on, or wait until then"
        )
    ahead = months_between(published, happened) if happened and published else 0.0
    if kind.ahead and ahead > 12 * YEARS_AHEAD:
        problems.append(
            f"event_date {happened} is more than {YEARS_AHEAD} years after the row was published on {published}; "
            "no ending is announced so long before: correct the year, or leave kind blank to keep it as context"
        )
    if kind.roster not in rosters:
        return problems
    roster = rosters[kind.roster]
    if subject is None:
        return [*problems, f"{name} needs a subject; name one of {kind.roster}.csv"]
    if subject not in roster:
        close = difflib.get_close_matches(subject, list(roster), n=1)
        hint = f"did you mean {close[0]!r}? Else " if close else ""
        hint += _new_row(kind.roster)
        return [*problems, f"subject {subject!r} is not in {kind.roster}.csv; {hint}"]
    entry = roster[subject]
    if kind.about and entry["role"] != kind.about:
        meant = [repr(who) for who, r in roster.items() if r["role"] == kind.about]
        remedy = (
            f"name {' or '.join(meant)}, or leave kind blank to keep it as context"
            if meant
            else f"first add the {kind.about} to {kind.roster}.csv"
        )
        problems.append(
            f"{name} is about whoever has the role {kind.about!r} in {kind.roster}.csv, and {subject!r} has "
            f"{entry['role']!r}; {remedy}"
        )
    clock = entry.get(CLOCK.get(kind.roster, ""))
    if clock and record["event_date"] and record["event_date"] < clock:
        problems.append(
            f"event_date {record['event_date']} is before {subject!r} starts on {clock}; "
            f"correct either, in {kind.roster}.csv or here"
        )
    if clock and published and published < clock <= (happened or clock):
        problems.append(
            f"published {published}, before {subject!r} starts on {clock}; nothing can be said of them yet: "
            f"correct published, or the day in {kind.roster}.csv"
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
    """Problems of the ``supersedes`` column of ``records``, which are among the ``known`` rows."""
    targets = column(records, "supersedes")
    replacing = [place for place, target in enumerate(targets) if target is not None]
    problems: list[str] = []
    if not replacing:
        return problems
    by_id = {i: place for place, i in enumerate(column(known, "id")) if i is not None}
    older_of = column(known, "supersedes")
    for r in map(records.__getitem__, replacing):
        target = r["supersedes"]
        if target == r["id"]:
            problems.append(at(file, r["line"], "the row supersedes itself; name the older row"))
        elif target not in by_id:
            problems.append(
                at(file, r["line"], f"supersedes {target!r}, which is no row; correct the id")
            )
        else:
            older = known[by_id[target]]
            if r["published"] and older["published"] and older["published"] > r["published"]:
                problems.append(
                    at(
                        file,
                        r["line"],
                        f"supersedes {target!r}, which was published later; swap the two",
                    )
                )
            seen, step = {r["id"]}, target
            while step in by_id and step not in seen:
                seen.add(step)
                step = older_of[by_id[step]]
            if step is not None and step == r["id"]:
                problems.append(
                    at(
                        file,
                        r["line"],
                        f"{r['id']!r} and {target!r} supersede each other; break the circle",
                    )
                )
    return problems


def check_evidence(
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
    typed, plain = [column(records, name) for name in _TYPED], (None,) * len(_TYPED)
    for place, cells in enumerate(zip(*typed, strict=True)):
        if cells == plain:
            continue  # plain context, as are most rows of a large ledger
        record = records[place]
        problems += [
            at(file, record["line"], what) for what in _check_typed(record, kinds, rosters)
        ]
    return problems + _check_supersedes(records, known, file)


def subjects_of(tables: Tables) -> dict[str, dict[str, Record]]:
    """Rosters that could be read, as subject → row."""
    return {
        name: {r[column]: r for r in tables[name] if r[column] is not None}
        for name, column in SUBJECT.items()
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
    for name in ("financials", "questions"):
        problems += _check_currency(f"{name}.csv", tables[name], kinds)
    ids = set(column(tables["evidence"], "id")) if tables["evidence"] else None
    problems += _check_questions(tables["questions"], ids)
    sources = set(column(tables["sources"], "source")) - {None} if tables["sources"] else None
    if sources is not None:
        for name in ("financials", "base_rates", "reference_deals"):
            problems += _check_sources(name, tables[name], sources, f"{name}.csv")
    problems += check_evidence(
        tables["evidence"],
        known=tables["evidence"],
        sources=sources,
        rosters=subjects_of(tables),
        kinds=kinds,
        file="evidence.csv",
    )
    return problems


_MAY_BE_EMPTY = ("financials", "base_rates", "reference_deals", "questions")


def read_folder(folder: Path, kinds: Kinds) -> tuple[dict[str, Records], list[str]]:
    """Every file's records by table, and every problem within and across the files."""
    with collector_at_rest():  # records hold no cycles
        return _read_folder(folder, kinds)


def _read_folder(folder: Path, kinds: Kinds) -> tuple[dict[str, Records], list[str]]:
    # Sources last: a row that is added while this reads comes after its source.
    read = {name: read_table(TABLES[name], folder) for name in reversed(TABLES)}
    tables, problems = {}, []
    for name, table in TABLES.items():
        records, wrong = read[name]
        tables[name] = records
        if not records and not wrong and name not in _MAY_BE_EMPTY:
            remedy = (
                "add at least one row of evidence"
                if name == "evidence"
                else "add the rows that the evidence refers to"
            )
            wrong = [at(table.file, 1, f"no row below the header; {remedy}")]
        problems += wrong
    return tables, problems + _check_tables(tables, kinds)
