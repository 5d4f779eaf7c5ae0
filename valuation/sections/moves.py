"""What an answer becomes when priors, conditions and terms are moved: beside the answer as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from valuation.sections import words
from valuation.sections.parts import (
    Html,
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


def exploration(results: Results) -> Section:
    """The answer as it stands, and what can be moved, most telling first."""
    stands, names = get(results, "explored"), get(results, "levers")
    first = words.listed([f"“{label}”" for label in list(names.values())[:3]])
    summary = (
        f"As it stands, the deal pays off in {words.percent(stands['probability'], stands['mcse'])} of futures. Of "
        f"{len(names)} priors that can be moved, the value hangs most on {first}."
    )
    rows = [(label, name) for name, label in names.items()]
    every = table(
        "Priors, those that the value hangs on most first", columns("Prior", "Name"), rows
    )
    body = [
        paragraph(summary, "vl-lead"),
        answer_table(stands, unit=words.bn(results)),
        details("Every prior", every),
    ]
    return section("exploration", "Where it stands", *body, summary=summary)


def moved_answer(now: Results, stands: Results, *, unit: str) -> Html:
    """The answer after some moves in words and numbers, against the one as it stands; money in ``unit``."""
    moved = [tag("li", words.sentence(words.spell_dates(told))) for told in now["moved"]]
    what = tag("ul", *moved, class_="vl-notes") if moved else paragraph("Nothing is moved.")
    if now["why"]:
        lead = paragraph(
            f"No answer: {now['why']}. Move less, or write it into the settings and sample again.",
            "vl-warning",
        )
        return join([lead, what, answer_table(stands, unit=unit)])
    said = f"Pays off in {words.percent(now['probability'], now['mcse'])} of futures"
    change = now["probability"] - stands["probability"]
    # Both answers share their draws, so that this error is an upper bound.
    decided = abs(change) > now["mcse"] + stands["mcse"]
    way = "more" if change > 0 else "fewer"
    said += (
        f", {words.fixed(100 * abs(change), words.decimals(100 * now['mcse']))} in 100 {way} than as it stands."
        if decided
        else ", as far as the simulation can tell the same as it stands."
    )
    if now["condition"] < 1.0:
        said += f" What is asked for happens in {words.percent(now['condition'])} of all futures."
    return join([paragraph(said, "vl-lead"), what, answer_table(stands, now, unit=unit)])


def answer_table(stands: Results, now: Results | None = None, *, unit: str) -> Html:
    """Chance and value as they stand and, if given, as moved; money in ``unit``, as ``EUR bn``."""

    def money(told: Results, key: str) -> str:
        return words.signed(told[key], words.decimals(told["npv_mcse"]))

    def row(name: str, show: Any) -> tuple[str, ...]:
        return (name, show(stands), *(() if now is None else (show(now),)))

    rows = [
        row("Pays off, of all futures", lambda a: words.percent(a["probability"], a["mcse"])),
        row(f"Net present value, mean, {unit}", lambda a: money(a, "npv_mean")),
        row(f"Net present value, median, {unit}", lambda a: money(a, "npv_median")),
        row(
            f"Central 90% of futures, {unit}",
            lambda a: f"{money(a, 'npv_lower')} to {money(a, 'npv_upper')}",
        ),
        row("Draws that it rests on", lambda a: words.fixed(a["effective_draws"], 0)),
    ]
    heads = ("What", "As it stands", *(() if now is None else ("As moved",)))
    return table(
        "The answer", columns(*heads, numeric=range(1, len(heads))), rows, hidden_caption=True
    )


__all__ = ["answer_table", "exploration", "moved_answer"]
