"""Open questions with their chances: what could be checked, when, and against what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from valuation.questions import BASE_RATE, MODEL
from valuation.sections import words
from valuation.sections.parts import (
    Section,
    columns,
    details,
    get,
    join,
    paragraph,
    section,
    table,
    tag,
)

Results = Mapping[str, Any]

NEXT = 8  # questions shown; the others are folded away


def questions(results: Results) -> Section:
    """The open questions by closing date: chance, base rate, and who will tell the outcome."""
    rows = sorted(get(results, "questions"), key=lambda row: (row["closes"], row["id"]))
    title = "What can be checked"
    if not rows:
        said = "No question is open."
        return section("questions", title, paragraph(said), summary=said)
    day, past = _seen_on(results)
    told = [_count(rows, day, past), *filter(None, (_apart(rows), _spoken(rows)))]
    parts: list[str] = [paragraph(told[0])]
    if told[1:]:
        parts.append(paragraph(" ".join(told[1:])))
    parts.append(_table("By closing date", rows[:NEXT], day))
    if len(rows) > NEXT:
        rest = _table("Those that close later", rows[NEXT:], day)
        parts.append(details(f"{len(rows) - NEXT} more, up to {_until(rows)}", rest))
    parts.append(
        paragraph(
            "Each published run of the base scenario freezes these answers; they are scored once the outcome "
            "is known. A base rate is what one would say without the model.",
            "vl-meta",
        )
    )
    return section("questions", title, *parts, summary=told[0])


def _until(rows: Sequence[Results]) -> str:
    return words.long_date(rows[-1]["closes"])


def _seen_on(results: Results) -> tuple[str, bool]:
    """The day from which the questions are seen, and whether that is a day of the past and not the page's own."""
    if get(results, "freshness") is None:
        return str(get(results, "as_of")), True
    return str(get(results, "run")["created"])[:10], False


def _count(rows: Sequence[Results], day: str, past: bool) -> str:
    model = sum(1 for row in rows if row["by"] == MODEL)
    people = sum(1 for row in rows if _is_of_a_person(row))
    rated = sum(1 for row in rows if row["by"] == BASE_RATE)
    nobody = len(rows) - model - people - rated
    answered = [f"the model answers {model}"]
    if people:
        answered.append(f"named people answer {people}")
    if rated:
        answered.append(f"base rates stand in for {rated} that no model answers")
    if nobody:
        answered.append(f"nobody answers {nobody}")
    told = f"{words.counted(len(rows), 'question is', 'questions are')} open: {words.listed(answered)}."
    ahead = [row for row in rows if row["closes"] >= day]
    if ahead:
        told += f" The next to close is {ahead[0]['id']}, on {words.long_date(ahead[0]['closes'])}."
    if closed := len(rows) - len(ahead):
        told += f" {words.counted(closed, 'had', 'had')} closed "
        told += (
            f"by {words.long_date(day)}, without an outcome that was public by then."
            if past
            else "when this page was made, without an outcome that it knows."
        )
    return told


def _is_of_a_person(row: Results) -> bool:
    return row["by"] not in ("", MODEL, BASE_RATE) and row["probability"] is not None


def _apart(rows: Sequence[Results]) -> str:
    """Where the model is furthest from the base rate, beyond the error of its simulation."""
    rated = [
        row
        for row in rows
        if row["by"] == MODEL and row["probability"] is not None and row["base_rate"] is not None
    ]
    if not rated:
        return ""
    row = max(rated, key=lambda row: (abs(row["probability"] - row["base_rate"]), row["id"]))
    gap = row["probability"] - row["base_rate"]
    if abs(gap) <= 2 * (row["mcse"] or 0.0):
        return (
            "No answer of the model differs from its base rate beyond the error of the simulation."
        )
    side = "above" if gap > 0 else "below"
    origin = f" ({_origin(row)})" if row["base_rate_source"] else ""
    return (
        f"The model is furthest from the base rate in {row['id']}, “{row['question']}”: "
        f"{words.percent(row['probability'], row['mcse'])}, "
        f"{words.fixed(100 * abs(gap), 0)} points {side} the base rate of "
        f"{words.percent(row['base_rate'])}{origin}."
    )


def _origin(row: Results) -> str:
    return words.clause(str(row["base_rate_source"]))


def _spoken(rows: Sequence[Results]) -> str:
    """Who answers where the model cannot."""
    said = [row for row in rows if _is_of_a_person(row)]
    told = [f"{row['by']} on {row['id']} ({words.percent(row['probability'])})" for row in said]
    return f"Where no model answers, people do: {words.listed(told)}." if told else ""


def _chance(row: Results) -> str:
    if row["median"] is not None:
        low, high = (words.compact(row[key], figures=2) for key in ("lower", "upper"))
        return f"{words.quantity(row['median'], row['unit'])} ({low} to {high})"
    if row["probability"] is None:
        return "–"
    return words.percent(row["probability"], row["mcse"])


def _base(row: Results) -> str:
    if row["base_value"] is not None:
        told = words.quantity(row["base_value"], row["unit"])
    elif row["base_rate"] is not None:
        told = words.percent(row["base_rate"])
    else:
        return "–"
    return _with_small(told, str(row["base_rate_source"]))


def _with_small(text: str, more: str) -> str:
    return join([text, tag("span", more, class_="vl-small")], " ") if more else text


def _who(row: Results) -> str:
    if row["by"]:
        return str(row["by"])
    why = str(row["why"])
    return "nobody" if why == "no model answers it" else f"nobody: {why}"


def _table(caption: str, rows: Sequence[Results], day: str) -> str:
    lines = [
        (
            _with_small(
                tag("time", words.long_date(row["closes"])),
                "closed" if row["closes"] < day else "",
            ),
            _with_small(
                join([row["question"], tag("span", row["id"], class_="vl-id")], " "),
                " ".join(filter(None, (row["fine_print"], _settles(row)))),
            ),
            _chance(row),
            _base(row),
            _who(row),
        )
        for row in rows
    ]
    heads = columns("Closes", "Question", "Answer", "Base rate", "By", numeric=[2])
    return table(caption, heads, lines, stack=True)


def _settles(row: Results) -> str:
    source = str(row["resolution_source"])
    return f"Settled by: {source}." if source else ""
