"""The register of questions, ``seeds/questions.csv``: resolving one of them."""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from valuation.currency import BN, BN_PER_YEAR, without
from valuation.errors import LedgerError, ParameterError
from valuation.ledger.keeping import sound
from valuation.ledger.reading import read_record
from valuation.ledger.tables import FORMULA, MEASURED, OUTCOMES, TABLES, Record
from valuation.ledger.writing import Style, put, style_of, writing
from valuation.schema import FRACTION, MULTIPLE, Kinds

FILE = TABLES["questions"].file
ON_THE_DAY = (
    "in_post",
    "customer_active",
)  # of events: a state that may still end before the close
TAKEN_AT_CLOSE = ("exits", "index_gap")  # of quantities: read on the day of the close
NEVER_NEGATIVE = (BN, BN_PER_YEAR, FRACTION, MULTIPLE)
_CELLS = {"yes": "1", "no": "0"}


@dataclass(frozen=True)
class Resolution:
    """What was written of a question; ``was`` is the outcome that it corrects, else empty."""

    id: str
    question: str
    outcome: str
    date: dt.date
    was: str = ""


def resolve(
    folder: str | Path,
    question: str,
    *,
    outcome: str,
    source: str,
    kinds: Kinds,
    today: dt.date,
    value: float | None = None,
    date: dt.date | None = None,
    note: str = "",
    correct: str = "",
) -> Resolution:
    """Write the outcome of a question, in one step; every other row stays as it is.

    Parameters
    ----------
    outcome
        ``yes``, ``no``, ``annulled`` or ``ambiguous``; of a quantity ``measured`` in place of yes and no.
    value
        What a quantity that was measured came to, in its unit.
    source
        Who reported it, or the id of the evidence row that does.
    date
        The day on which the outcome was public: forecasts made on it or later are late. Default: the day on which
        the evidence row that ``source`` names was published (or the close, where only that settles it), else today.
    correct
        Why an outcome that was written before is replaced; the old one stays in the note.

    Raises
    ------
    ParameterError
        For an unknown question or outcome, a blank source, a date before it opened, in the future or after the
        evidence row that is named was public, or what cannot be so: a state known before its day, an amount
        below 0, a part of a person.
    LedgerError
        If it is resolved and no reason to correct that is given, or the ledger cannot be read or written.
    """
    folder, source = Path(folder), source.strip()
    if outcome not in OUTCOMES:
        raise ParameterError(f"{outcome!r} is no outcome; it is {', '.join(OUTCOMES)}")
    if (outcome == MEASURED) != (value is not None):
        raise ParameterError(
            f"the outcome {MEASURED} and a value go together: give both of a quantity, else neither"
        )
    if not source:
        raise ParameterError("the source is blank; say who reported it, or give an evidence id")
    with writing(folder):
        tables = sound(folder, kinds)
        old = _found(tables["questions"], question)
        rows = {row["id"]: row for row in tables["evidence"]}
        reported = rows[source]["published"] if source in rows else None
        day = _public(old, outcome, reported, today) if date is None else date
        if day > today:
            raise ParameterError(f"{day} is in the future; a question resolves when it is known")
        if day < old["opens"]:
            raise ParameterError(
                f"{question} opened on {old['opens']}; it cannot have been resolved on {day}"
            )
        if old["outcome"] is not None and not correct.strip():
            raise LedgerError(
                f"{FILE}:{old['line']}: {question} was resolved as {old['outcome']} on "
                f"{old['resolved']}; give --correct and a reason to replace that"
            )
        if old["outcome"] is None and correct.strip():
            raise ParameterError(f"{question} is open: there is nothing to correct; leave it out")
        if old["unit"] is None and value is not None:
            raise ParameterError(f"{question} asks whether, not how much; give yes or no")
        if old["unit"] is not None and outcome in _CELLS:
            raise ParameterError(
                f"{question} asks how much, in {old['unit']}; give the value, not {outcome}"
            )
        if problem := _impossible(old, outcome, value, day):
            raise ParameterError(f"{question} {problem}")
        if reported is not None and day > max(reported, _settled(old, outcome) or reported):
            raise ParameterError(
                f"{source} was published on {reported}, so that the outcome was public before {day}; leave the date "
                "out, or name the source that first reported it"
            )
        was = old["outcome"] or ""
        notes = [old["note"] or "", _safe(note.strip())]
        if was:
            before = was if old["value"] is None else f"{old['value']:g}"
            notes.append(
                f"Corrected on {today} from {before} of {old['resolved']}: {correct.strip()}"
            )
        cells = {
            "outcome": _CELLS.get(outcome, outcome),
            "resolved": day.isoformat(),
            "resolution_row": source if source in rows else "",
            "outcome_source": _safe(source),
            "value": "" if value is None else f"{value:.10g}",
            "note": "; ".join(part.removesuffix(".") for part in notes if part),
        }
        put(folder, {FILE: _rewritten(folder, question, cells)})
    return Resolution(question, str(old["question"]), outcome, day, was)


def _public(asked: Record, outcome: str, reported: dt.date | None, today: dt.date) -> dt.date:
    """The day on which an outcome was public, by the row that reports it; today if none does."""
    if reported is None:
        return today
    if _at_close(asked, outcome):
        return min(max(reported, asked["closes"]), today)
    return reported


def _settled(asked: Record, outcome: str) -> dt.date | None:
    """The close, where it may be what settles the question, whatever was reported before; else None."""
    nothing_came = outcome == "no" and asked["event"] not in ON_THE_DAY
    return asked["closes"] if nothing_came or _at_close(asked, outcome) else None


def _at_close(asked: Record, outcome: str) -> bool:
    """Whether an outcome cannot be known before the close: that a state lasts, a count of that day."""
    lasts = outcome == "yes" and asked["event"] in ON_THE_DAY
    return lasts or (outcome == MEASURED and asked["event"] in TAKEN_AT_CLOSE)


def _impossible(asked: Record, outcome: str, value: float | None, day: dt.date) -> str:
    """Why a question cannot have come to that, known on that day; empty if it can."""
    closes = asked["closes"]
    if outcome == "yes" and asked["event"] in ON_THE_DAY and day < closes:
        return (
            f"asks what is so on {closes}, and a yes cannot be known on {day}; resolve it on that day or later, or "
            "with no if it has ended"
        )
    if value is None:
        return ""
    if not math.isfinite(value):
        return f"asks how much, and {value} is no number; give what was reported"
    if asked["event"] in TAKEN_AT_CLOSE and day < closes:
        return f"asks how much it is on {closes}, which cannot be known on {day}; resolve it on that day or later"
    if asked["unit"] == "count" and (value < 0 or value != int(value)):
        return f"asks for a count, and {value:g} is none; give a whole number, 0 or more"
    if without(asked["unit"] or "") in NEVER_NEGATIVE and value < 0:
        return f"asks for an amount in {asked['unit']}, and {value:g} is below 0; check the sign"
    return ""


def _found(records: Sequence[Record], question: str) -> Record:
    for record in records:
        if record["id"] == question:
            return record
    known = [str(record["id"]) for record in records]
    close = difflib.get_close_matches(question, known, n=3)
    hint = f"close: {', '.join(close)}" if close else "see `valuation questions --all`"
    raise ParameterError(f"no question {question!r}; {hint}")


def _safe(text: str) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _rewritten(folder: Path, question: str, cells: dict[str, str]) -> str:
    """The file's text with other cells in one row; :class:`LedgerError` if one of them cannot be read."""
    table, style = TABLES["questions"], style_of(folder, "questions")
    text = (folder / FILE).read_bytes().decode("utf-8-sig")
    header = [*style.header, *(name for name in table.header if name not in style.header)]
    rows = []
    for line, row in enumerate(csv.DictReader(io.StringIO(text, newline="")), start=2):
        whole = {name: row.get(name) or "" for name in header}
        if whole["id"] == question:
            whole |= cells
            _, problems = read_record(table, whole, line, FILE)
            if problems:
                raise LedgerError(problems)
        rows.append(whole)
    style = Style(tuple(header), style.newline, style.quoting)
    return style.lines([{name: name for name in header}, *rows])
