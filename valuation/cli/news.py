"""Commands that keep the ledger: add, list, show, supersede, check and seal evidence rows."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from valuation import clock
from valuation.archive import for_deal
from valuation.cli.options import (
    EXIT_CODES,
    OK,
    REFUSED,
    any_day,
    day,
    deal_option,
    debug_option,
    json_option,
    kinds_of,
    ledger_of,
    print_checks,
    print_json,
    project_root,
    quiet_option,
    seeds_of,
    short_path,
    talk,
    with_options,
)
from valuation.process import brief

if TYPE_CHECKING:
    from valuation.ledger import Ledger
    from valuation.ledger.keeping import Addition, Validate
    from valuation.schema import Kind

UNHEARD_OF = 1e-6  # chance by the priors, below which a row is more likely a slip than news
REQUIRED = ("event_date", "published", "claim", "source", "credibility")


@click.group(epilog=EXIT_CODES)
def news() -> None:
    """Add news to the ledger, look at it, take it back.

    A row is never edited: a new row supersedes it. What is added is checked first against rosters,
    kinds and models, and written whole or not at all.

    \b
    Examples:
      valuation news add                    asks for one field after the other
      valuation news add --from rows.yaml   many at once
      valuation news list --driver retention --since 2026-01-01
      valuation news show B020
      valuation news supersede N0001 --withdraw --reason "the outlet took it back"
      valuation update                      what it changes
    """
    click.get_current_context().with_resource(brief())


# Options.


def _past(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return day(context, parameter, value) or None


def _number(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a number; write it as 0.87") from None
    return value


def _upper(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return value.strip().upper() if value else None


_field_options = (
    click.option("--kind", metavar="KIND", help="As in `valuation evidence --kinds`; without it, context."),
    click.option("--subject", metavar="NAME", help="Who or what it is about, as in the roster."),
    click.option("--event-date", callback=any_day, metavar="DATE", help="When it happened."),
    click.option("--published", callback=_past, metavar="DATE", help="When it became public."),
    click.option("--claim", metavar="TEXT", help="What is claimed, in a sentence."),
    click.option("--source", metavar="NAME", help="An id of sources.csv, or a publisher."),
    click.option("--source-title", metavar="TEXT", help="Title of the story, for a new source."),
    click.option("--source-address", metavar="URL", help="Its address."),
    click.option("--source-kind", metavar="TEXT", help="Sort of source; press by default."),
    click.option("--root", metavar="ID", help="The original report; rows of one root count once."),
    click.option(
        "--credibility",
        callback=_upper,
        metavar="A|B|C|D",
        help="A a filing, B a major outlet, C one unnamed source, D a rumour.",
    ),
    click.option("--value", metavar="NUMBER", help="What the kind counts or measures."),
    click.option("--sd", metavar="NUMBER", help="Its error, where the kind has one."),
    click.option("--unit", metavar="UNIT", help="The kind's unit, if there is a value."),
    click.option("--note", metavar="TEXT", help="Anything a reader should know."),
    click.option("--id", "row_id", metavar="ID", help="The next of N0001, N0002, ... by default."),
)  # fmt: skip
_dry_run_option = click.option("--dry-run", is_flag=True, help="Check it and write nothing.")


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given, by column."""
    names = {"row_id": "id"}
    return {names.get(k, k): v for k, v in fields.items() if v is not None}


# add


@news.command(epilog=EXIT_CODES)
@with_options(*_field_options)
@click.option("--supersedes", metavar="ID", help="The row that it replaces.")
@click.option(
    "--from",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rows from a YAML, CSV or JSON file; options fill blanks.",
)
@click.option("--why-duplicate", metavar="REASON", help="Add it although it repeats a row.")
@with_options(_dry_run_option, deal_option, json_option, quiet_option, debug_option)
def add(
    file: Path | None,
    why_duplicate: str | None,
    dry_run: bool,
    deal: str,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **fields: Any,
) -> int:
    """Add a row of evidence, or many, all or none.

    Without an option it asks for each field. The ids of the new rows go to stdout.

    \b
    Examples:
      valuation news add --kind departure --subject "Nat Friedman" \\
          --event-date 2026-02-20 --published 2026-02-21 --credibility B \\
          --source "Example Wire" --claim "Invented: he leaves"
      valuation news add --from rows.csv --dry-run
    """
    from valuation.ledger.keeping import add_rows

    options = _given(fields)
    if file is not None:
        name, rows = short_path(file), [
            options | {k: v for k, v in row.items() if v not in (None, "")} for row in _rows_of(file)
        ]  # fmt: skip
    elif options:
        missing = [f"--{name.replace('_', '-')}" for name in REQUIRED if name not in options]
        if missing:
            raise click.UsageError(
                f"missing {', '.join(missing)}; give {'it' if len(missing) == 1 else 'them'}, or run "
                "`valuation news add` alone on a terminal to be asked"
            )
        name, rows = "news add", [options]
    elif _on_a_terminal():
        name, rows = "news add", [_ask(deal)]
    else:
        raise click.UsageError(
            "no field is given and there is no terminal to ask on; give --claim, --source, "
            "--event-date, --published and --credibility, or --from FILE"
        )
    folder = seeds_of(deal)
    added = add_rows(
        folder,
        rows,
        kinds=kinds_of(deal),
        today=clock.today(),
        validate=_models_accept(deal),
        why_duplicate=(why_duplicate or "").strip(),
        dry_run=dry_run,
        file=name,
    )
    return _conclude(added, folder, deal=deal, dry_run=dry_run, as_json=as_json, quiet=quiet)


def _conclude(
    added: Addition,
    folder: Path,
    *,
    deal: str,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    withdraws: str = "",
) -> int:
    """Print what was added: ids as data, the rest as talk."""
    if as_json:
        print_json([dict(row) for row in added.rows])
    else:
        for row in added.rows:
            click.echo(row["id"])
    for warning in added.warnings:
        talk(f"warning: {warning}", fg="yellow")
    if quiet:
        return OK
    for remark in added.remarks:
        talk(remark)
    place = short_path(folder / "evidence.csv")
    verb = "would be added" if dry_run else "added"
    if len(added.rows) == 1:
        row = added.rows[0]
        about = f" of {row['subject']}" if row["subject"] else ""
        what = f"{row['kind'] or 'context'}{about}"
        if withdraws:
            what = f"withdraws {withdraws}"
        elif row["kind"] and row["event_date"] > row["published"]:
            what = f"{what}, announced for {row['event_date']}"
        talk(f"{row['id']} {verb} to {place}: {what}, {row['credibility']}, {row['published']}")
    else:
        talk(f"{len(added.rows)} rows {verb} to {place}")
    if not dry_run:
        talk(f"See what changes: valuation update{for_deal(deal)}", bold=True)
    return OK


def _models_accept(deal: str) -> Validate:
    """Refuse what an update would refuse: the rows are bound to the models as there, and nothing is sampled.

    What the priors hold for next to impossible is let pass and told: it may be true, or a slip of the unit.
    """

    def accept(ledger: Ledger, kinds: Collection[str]) -> Mapping[str, str]:
        from valuation.models import joint
        from valuation.params import load_credibility, load_deal, load_priors

        root = project_root()
        terms = load_deal(deal, root)
        grades = load_credibility(root / "params" / "credibility.yaml")
        priors = load_priors(root / terms.priors, terms.currency).get()
        found = joint.bind(joint.context_of(ledger, terms, priors, grades), ledger.scored())
        return {
            row: f"{row}: the priors give what it says less than one chance in a million; check value, sd and date"
            for term in found.short[0].bound.values()
            for row, told in zip(term.ids, term.log_p0, strict=True)
            if told < math.log(UNHEARD_OF)
        }

    return accept


# Rows from a file.


def _rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of a YAML, CSV or JSON file, with the line on which each begins."""
    if file.suffix not in READERS:
        raise click.BadParameter(
            f"{file.name}: a file of {', '.join(READERS)} is wanted", param_hint="--from"
        )
    rows = READERS[file.suffix](file)
    return [{str(k).replace("-", "_"): v for k, v in row.items()} for row in rows]


def _refuse(file: Path, line: int, what: str) -> Any:
    from valuation.errors import LedgerError

    raise LedgerError(f"{short_path(file)}:{line}: {what}")


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return str(_refuse(file, 1, "not UTF-8; save the file as UTF-8"))


def _from_yaml(file: Path) -> list[dict[str, Any]]:
    from valuation.params import read_yaml

    document = read_yaml(file)
    found = document.data
    if not isinstance(found, list):
        _refuse(file, 1, "is not a list of rows; begin each row with `- claim: ...`")
    rows = []
    for number, row in enumerate(found):
        line = document.values.get((number,), (number + 1, 1))[0]
        rows.append(_mapping(file, line, row) | {"line": line})
    return rows


def _from_csv(file: Path) -> list[dict[str, Any]]:
    import csv
    import io

    from valuation.errors import LedgerError
    from valuation.ledger.keeping import FIELDS

    reader = csv.DictReader(io.StringIO(_text_of(file), newline=""), strict=True)
    rows: list[dict[str, Any]] = []
    try:
        given = [name.replace("-", "_") for name in reader.fieldnames or ()]
        wrong = [
            f"column {name!r} stands {given.count(name)} times; keep one"
            if name in FIELDS
            else f"unknown field {name!r}; {_close(name, FIELDS)}known: {', '.join(FIELDS)}"
            for name in dict.fromkeys(given)
            if name not in FIELDS or given.count(name) > 1
        ]
        if wrong:
            raise LedgerError([f"{short_path(file)}:1: {what}" for what in wrong])
        for row in reader:
            if None in row or None in row.values():
                _refuse(file, reader.line_num, "has not as many cells as the header; quote commas")
            rows.append({**row, "line": reader.line_num})
    except csv.Error as error:
        _refuse(file, reader.line_num, f"broken quoting ({error}); close the quotes")
    return rows


def _from_json(file: Path) -> list[dict[str, Any]]:
    import json

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) < len(found):
            raise ValueError("a field is given twice")
        return dict(found)

    text = _text_of(file)
    decoder = json.JSONDecoder(object_pairs_hook=pairs)
    rows: list[dict[str, Any]] = []
    at = text.find("[") + 1
    if not at or text[: at - 1].strip():
        _refuse(file, 1, "is not a list of rows; write [{...}, {...}]")
    line = 1
    try:
        while True:
            at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
            line = text.count("\n", 0, at) + 1
            if text[at : at + 1] == "]":
                break
            row, at = decoder.raw_decode(text, at)
            rows.append(_mapping(file, line, row) | {"line": line})
    except json.JSONDecodeError as error:
        what = f"not valid JSON at column {error.colno} ({error.msg}); correct it near here"
        _refuse(file, error.lineno, what)
    except (ValueError, RecursionError) as error:
        _refuse(file, line, f"not valid JSON ({error}); correct it near here")
    if text[at + 1 :].strip():
        _refuse(file, line, "something follows the list; remove it")
    return rows


def _close(given: str, known: Collection[str]) -> str:
    """``did you mean 'x'? ``, whatever the case, or nothing if no known name is near."""
    from difflib import get_close_matches

    folded = {name.casefold(): name for name in known}
    near = get_close_matches(given.casefold(), list(folded), n=1)
    return f"did you mean {folded[near[0]]!r}? " if near else ""


def _mapping(file: Path, line: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or any(isinstance(v, dict | list) for v in row.values()):
        _refuse(file, line, "is not a row of plain fields; write `claim: ...`, `source: ...`")
    return dict(row)


READERS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".yaml": _from_yaml,
    ".yml": _from_yaml,
    ".csv": _from_csv,
    ".json": _from_json,
}


# Asking.


def _on_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(deal: str) -> dict[str, Any]:
    """Every field, one after the other; what cannot be right is asked again."""
    from valuation.params import GRADES, load_grades

    (_, ledger), kinds = ledger_of(deal), kinds_of(deal)
    row: dict[str, Any] = {}
    talk("Kinds that bear on a driver (leave blank for context, which is shown and not scored):")
    for kind in kinds.values():
        talk(f"  {kind.name:<20} {kind.model:<12} {kind.meaning}")
    row["kind"] = _answer("Kind", choices=kinds, blank=True)
    if row["kind"]:
        kind = kinds[row["kind"]]
        roster = getattr(ledger, kind.roster)
        roster = roster[roster["role"] == kind.about] if kind.about else roster
        names = sorted(roster["entity" if "entity" in roster else "subject"])
        talk(f"Subjects of {kind.roster}.csv:")
        for name in names:
            talk(f"  {name}")
        row["subject"] = _answer("Subject", choices=names)
    row["event_date"] = _answer("Event date (YYYY-MM-DD)", read=any_day)
    row["published"] = _answer("Published", read=_past, default=clock.today().isoformat())
    if row["kind"] and kinds[row["kind"]].unit:
        kind = kinds[row["kind"]]
        talk(f"Value in {kind.unit}: {kind.meaning}")
        row |= _measured(kind)
    row["claim"] = _answer("Claim")
    row["source"] = _answer("Source (an id of sources.csv, or a publisher)")
    if row["source"] not in set(ledger.sources["source"]):
        row["source_title"] = _answer(
            "Title of the story (blank: its reports in general)", blank=True
        )
        row["source_address"] = _answer("Its address", blank=True)
    for name, grade in load_grades(project_root() / "params" / "credibility.yaml"):
        talk(f"  {name}  true with probability {grade.probability:g}: {grade.rationale}")
    row["credibility"] = _answer("Credibility", choices=GRADES, read=_upper)
    row["root"] = _answer("Root (the original report; blank: a report of its own)", blank=True)
    row["note"] = _answer("Note", blank=True)
    if not click.confirm("Add it?", default=True, err=True):
        raise click.Abort
    return {name: value for name, value in row.items() if value}


def _measured(kind: Kind) -> dict[str, str]:
    """Value of a kind, and error if it has one, asked for until the kind can take them."""
    while True:
        value = _answer("Value", read=_number, blank=True)
        sd = _answer("Error (sd)", read=_number, blank=True) if kind.measured else ""
        found = {"value": value, "sd": sd}
        wrong = kind.check(*(float(text) if text else None for text in found.values()))
        if wrong is None:
            return found
        talk(f"Error: {wrong}")


def _answer(
    what: str,
    *,
    choices: Sequence[str] | Mapping[str, Any] | None = None,
    read: Callable[..., str | None] | None = None,
    default: str | None = None,
    blank: bool = False,
) -> str:
    def take(text: str) -> str:
        value = text.strip()
        if not value and not blank:
            raise click.BadParameter("it cannot be left blank")
        if value and read is not None:
            value = read(click.get_current_context(), None, value) or ""
        if value and choices is not None and value not in choices:
            from difflib import get_close_matches

            part = [name for name in choices if value.casefold() in name.casefold()]
            close = part or get_close_matches(value, list(choices), n=1)
            hint = f"did you mean {close[0]!r}?" if close else "choose one of those shown"
            raise click.BadParameter(f"{value!r} is not among them; {hint}")
        return value

    shown = default if default is not None else ("" if blank else None)
    return str(
        click.prompt(what, default=shown, show_default=bool(shown), value_proc=take, err=True)
    )


# list, show


def _plain_rows(ledger: Ledger) -> list[dict[str, Any]]:
    """Rows as plain data, with ``model``, ``scored`` and ``why_not``."""
    from valuation.models import KINDS

    dropped = ledger.dropped()
    reasons = dict(zip(dropped["id"], dropped["reason"], strict=True))
    newer = {
        old: new
        for new, old in zip(ledger.evidence["id"], ledger.evidence["supersedes"], strict=True)
        if old is not None
    }
    columns = {name: ledger.evidence[name].tolist() for name in ledger.evidence.columns}
    rows = []
    for values in zip(*columns.values(), strict=True):
        row = {k: _plain(v) for k, v in zip(columns, values, strict=True)}
        kind = row["kind"]
        row["model"] = KINDS[kind].model if kind else None
        why = reasons.get(row["id"])
        if kind is None:
            why = f"superseded by {newer[row['id']]}" if row["id"] in newer else "context"
        rows.append(row | {"scored": why is None, "why_not": why})
    return rows


def _plain(value: Any) -> Any:
    if value is None or value != value:
        return None
    return value.isoformat() if isinstance(value, dt.date) else value


@news.command("list")
@click.option("--driver", metavar="MODEL", help="Only rows that bear on this model.")
@click.option("--kind", metavar="KIND", help="Only rows of this kind; 'context' for the others.")
@click.option("--subject", metavar="TEXT", help="Only rows about a subject with this in its name.")
@click.option("--since", callback=any_day, metavar="DATE", help="Published on this day or later.")
@click.option("--until", callback=any_day, metavar="DATE", help="Published by this day.")
@click.option("--credibility", callback=_upper, metavar="GRADES", help="Only these, as in AB.")
@with_options(deal_option, json_option, debug_option)
def list_(
    driver: str | None,
    kind: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
    credibility: str | None,
    deal: str,
    as_json: bool,
    debug: bool,
) -> None:
    """List evidence rows, the oldest first: when published, id, grade, kind, what became of it.

    \b
    Examples:
      valuation news list --driver churn
      valuation news list --subject Wang --since 2026-01-01 --json
    """
    from valuation.models import KINDS, MODELS
    from valuation.params import GRADES

    _among("driver", driver, list(MODELS))
    _among("kind", kind, [*KINDS, "context"])
    unknown = [g for g in (credibility or "").replace(",", "") if g not in GRADES]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no grade; there are {', '.join(GRADES)}")
    _, ledger = ledger_of(deal)
    found = [
        row
        for row in _plain_rows(ledger)
        if (driver is None or row["model"] == driver)
        and (kind is None or (row["kind"] or "context") == kind)
        and (subject is None or subject.casefold() in (row["subject"] or "").casefold())
        and (since is None or row["published"] >= since)
        and (until is None or row["published"] <= until)
        and (credibility is None or row["credibility"] in credibility)
    ]
    found.sort(key=lambda row: (row["published"], row["id"]))
    if subject is not None and not found:
        _say_unknown(subject, ledger)
    if as_json:
        print_json(found)
        return
    for row in found:
        state = "" if row["scored"] or row["why_not"] == "context" else f" [{row['why_not']}]"
        about = f"{row['subject']}: " if row["subject"] else ""
        click.echo(
            f"{row['published']}  {row['id']:<7} {row['credibility']}  "
            f"{row['kind'] or 'context':<18} {about}{row['claim']}{state}"
        )
    talk(f"{len(found)} of {len(ledger.evidence)} rows, {sum(r['scored'] for r in found)} scored")


def _say_unknown(subject: str, ledger: Ledger) -> None:
    """Say that no subject is called so, if none is: an empty list looks like one of whom nothing is known."""
    from valuation.ledger.tables import SUBJECT

    names = {
        name for table, key in SUBJECT.items() for name in getattr(ledger, table)[key].tolist()
    }
    if not any(subject.casefold() in name.casefold() for name in names):
        talk(f"no subject has {subject!r} in its name; {_close(subject, names)}".rstrip("; "))


def _among(what: str, value: str | None, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise click.BadParameter(f"no {what} {value!r}; there are {', '.join(known)}")


@news.command()
@click.argument("row_id", metavar="ID")
@with_options(deal_option, json_option, debug_option)
def show(row_id: str, deal: str, as_json: bool, debug: bool) -> None:
    """Show a row: all its fields, its source, what replaced it, whether it is scored."""
    from valuation.ledger.chain import read_chain

    folder, ledger = ledger_of(deal)
    rows = {row["id"]: row for row in _plain_rows(ledger)}
    row = _row(rows, row_id)
    sources = ledger.sources.set_index("source")
    source = {k: _plain(v) for k, v in sources.loc[row["source"]].items()}
    seals, _ = read_chain(folder)
    found = row | {
        "source_details": source,
        "superseded_by": [r["id"] for r in rows.values() if r["supersedes"] == row_id],
        "same_root": [
            {k: r[k] for k in ("id", "kind", "subject", "scored", "why_not")}
            for r in rows.values()
            if r["root"] == row["root"] and r["id"] != row_id
        ],
        "sealed": any(seal.id == row_id for seal in seals),
    }
    if as_json:
        print_json(found)
        return
    for name in ("id", "event_date", "published", "claim", "credibility", "kind", "subject"):
        click.echo(f"{name:<14} {_shown(row[name])}")
    for name in ("value", "sd", "unit", "root", "supersedes", "note"):
        if row[name] is not None:
            click.echo(f"{name:<14} {_shown(row[name])}")
    where = f" {source['address']}" if source["address"] else ""
    click.echo(f"{'source':<14} {row['source']}: {source['publisher']}, {source['title']}{where}")
    if found["superseded_by"]:
        click.echo(f"{'superseded by':<14} {', '.join(found['superseded_by'])}")
    by = f"yes, by the {row['model']} model" if row["scored"] else f"no: {row['why_not']}"
    click.echo(f"{'scored':<14} {by}")
    for other in found["same_root"]:
        said = "scored" if other["scored"] else other["why_not"]
        what = " ".join(filter(None, (other["kind"], other["subject"])))
        click.echo(f"{'same root':<14} {other['id']}{': ' + what if what else ''} ({said})")
    place = short_path(folder / "evidence.csv")
    sealed = "sealed" if found["sealed"] else "not sealed"
    click.echo(f"{'place':<14} {place}:{row['line']}, {sealed}")


def _row(rows: Mapping[str, dict[str, Any]], row_id: str) -> dict[str, Any]:
    if row_id not in rows:
        from difflib import get_close_matches

        close = get_close_matches(row_id, list(rows), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see `valuation news list`"
        raise click.BadParameter(f"no evidence row {row_id!r}; {hint}")
    return rows[row_id]


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


# supersede


@news.command(epilog=EXIT_CODES)
@click.argument("old", metavar="ID")
@with_options(*_field_options)
@click.option("--withdraw", is_flag=True, help="Take the row back: nothing of it is scored.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the new row.")
@with_options(_dry_run_option, deal_option, json_option, quiet_option, debug_option)
def supersede(
    old: str,
    withdraw: bool,
    reason: str | None,
    dry_run: bool,
    deal: str,
    as_json: bool,
    quiet: bool,
    debug: bool,
    **fields: Any,
) -> int:
    """Replace the row ID by a new one, the same but for the options given.

    The old row stays and is not scored any more. The new one counts as published on the same day,
    as for a slip of our own; give --published if the correction became public later.

    \b
    Examples:
      valuation news supersede N0001 --withdraw --reason "invented for a test"
      valuation news supersede B034 --credibility D --reason "the firm denies it"
    """
    from valuation.ledger import keeping

    changes, said = _given(fields), (reason or "").strip()
    if withdraw and not said:
        raise click.UsageError("--withdraw needs --reason, which is kept in the new row")
    if set(changes) == {"credibility"} and not said:
        raise click.UsageError("a new grade needs --reason, which is kept in the new row")
    if not changes and not withdraw:
        raise click.UsageError("nothing is changed; give a field, or --withdraw with --reason")
    if withdraw and set(changes) & {"kind", "value", "sd", "unit"}:
        raise click.UsageError("a withdrawn row has no kind, value, sd or unit; leave them out")
    folder = seeds_of(deal)
    added = keeping.supersede(
        folder,
        old,
        changes,
        kinds=kinds_of(deal),
        today=clock.today(),
        reason=said,
        withdraw=withdraw,
        validate=_models_accept(deal),
        dry_run=dry_run,
        file="news supersede",
    )
    return _conclude(
        added,
        folder,
        deal=deal,
        dry_run=dry_run,
        as_json=as_json,
        quiet=quiet,
        withdraws=old if withdraw else "",
    )


# check, seal


@news.command(epilog=EXIT_CODES)
@with_options(deal_option, json_option, debug_option)
def check(deal: str, as_json: bool, debug: bool) -> int:
    """Check the ledger: its files, its rows, that no row was changed or removed."""
    from valuation.ledger import check_ledger

    found = check_ledger(seeds_of(deal), kinds=kinds_of(deal), today=clock.today())
    if as_json:
        print_json([vars(result) for result in found])
    else:
        print_checks([(c.name, c.passed, c.detail) for c in found])
    failed = sum(not c.passed for c in found)
    if failed:
        talk(f"{failed} of {len(found)} checks failed", fg="red")
    return REFUSED if failed else OK


@news.command(epilog=EXIT_CODES)
@with_options(deal_option, debug_option)
def seal(deal: str, debug: bool) -> int:
    """Seal rows that were typed into evidence.csv by hand.

    From then on a change of them is noticed. Rows that two people added under one automatic id, and
    that a merge brought together, are told apart first.
    """
    from valuation.ledger.sealing import seal as seal_rows

    done = seal_rows(seeds_of(deal), kinds=kinds_of(deal))
    for old, new in done.renamed:
        talk(f"{old} stood twice; the later one is {new} now")
    for row_id in done.sealed:
        click.echo(row_id)
    talk(f"{len(done.sealed)} rows sealed" if done.sealed else "every row is sealed already")
    return OK
