"""What a terminal shows after a run: the answer first, then what is behind it, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 80
Results = Mapping[str, Any]


def summary(results: Sequence[Results], notice: str = "", freshness: Results | None = None) -> str:
    """The answer of the first result, a line for each where there are several, the evidence's age and a notice.

    ``freshness`` is that of today: a report that was kept tells that of the day on which it was made.
    """
    from valuation.sections import words

    first = results[0]
    lines = [*_answer(first)]
    if len(results) > 1:
        lines += ["", *_table(results)]
        lines += _terms(results)
    for told in words.ages(freshness):
        lines += ["", *_wrapped(told)]
    if notice:
        lines += ["", *_wrapped(notice)]
    return "\n".join(lines)


def _answer(results: Results) -> list[str]:
    from valuation import sections
    from valuation.sections import words

    head, scenario, bn = results["headline"], results["scenario"], words.bn(results)
    said = sections.headline(results).summary
    mass = f"{head['ci_prob']:.0%}"
    low, high = head.get("opinion_low"), head.get("opinion_high")
    lines = [
        f"Does {results['deal']['title']} pay off?",
        "",
        *_wrapped(said),
        *_wrapped(f"That is: {words.lower_first(head['label'])}."),
        *_wrapped(
            f"Net present value: {words.npv_money(head, 'npv_median', bn)} in the middle, "
            f"{mass} between {words.npv_money(head, 'npv_lower', bn)} and "
            f"{words.npv_money(head, 'npv_upper', bn)}; "
            f"mean {words.npv_money(head, 'npv_mean', bn)}."
        ),
    ]
    if low is not None and high is not None:
        lines += _wrapped(f"By other people's priors the chance runs from {low:.0%} to {high:.0%}.")
    if scenario["scenario"] != "base":
        lines += _wrapped(f"Under the scenario: {scenario['title']}.")
    for sentence in scenario.get("terms") or []:
        lines += _wrapped(f"Terms changed: {sentence}")
    for sentence in scenario.get("past") or []:
        lines += _wrapped(f"Careful: {sentence}.")
    if override := results.get("run", {}).get("override"):
        lines += _wrapped(f"Published in spite of a failed check, because: {override}")
    return lines


def _terms(results: Sequence[Results]) -> list[str]:
    """The terms that scenarios after the first change; the answer tells those of the first."""
    lines = []
    for each in results[1:]:
        scenario = each["scenario"]
        for sentence in scenario.get("terms") or []:
            lines += _wrapped(f"{scenario['scenario']}, terms changed: {sentence}")
    return ["", *lines] if lines else []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _is_likely(results: Results) -> bool:
    """Whether the scenario keeps some of the futures, and says how many."""
    return bool(results["scenario"].get("conditions"))


def _table(results: Sequence[Results]) -> list[str]:
    from valuation.sections import words

    # A column has as many decimals as its least certain number supports.
    heads = [each["headline"] for each in results]
    likely_error = max(
        (each["scenario"]["probability_mcse"] for each in results if _is_likely(each)), default=0
    )
    error = max(head["mcse"] for head in heads)
    middle, ends = (
        min(words.npv_digits(head, key) for head in heads for key in keys)
        for keys in (("npv_median",), ("npv_lower", "npv_upper"))
    )
    bn = words.bn(results[0])
    rows = [("scenario", "likely", "pays off", "median NPV", f"5% to 95%, {bn}")]
    for each in results:
        scenario, head = each["scenario"], each["headline"]
        likely = words.percent(scenario["probability"], likely_error) if _is_likely(each) else ""
        if scenario.get("sets"):
            likely = likely or "set"
        if scenario.get("terms"):
            likely = likely or "terms"
        low, high = (words.fixed(head[key], ends) for key in ("npv_lower", "npv_upper"))
        rows.append(
            (
                scenario["scenario"][:26],
                likely,
                words.percent(head["probability"], error),
                words.fixed(head["npv_median"], middle),
                f"{low} to {high}",
            )
        )
    first = max(len(row[0]) for row in rows)
    return [
        f"  {row[0]:<{first}}  {row[1]:>6}  {row[2]:>8}  {row[3]:>10}  {row[4]:>19}".rstrip()
        for row in rows
    ]


ITEMS = 15  # items that a terminal lists
MOVERS, MOVED = 5, 2  # items whose drivers it names, and how many of each


def update_summary(results: Results) -> str:
    """What moved the answer, in 80 columns: was and is, the causes, the items, how it was made.

    ``results`` are those of a change, with or without what only a page shows.
    """
    from valuation.sections import change

    lines = [
        f"What moved {results['deal']['title']}?",
        "",
        *_wrapped(change.change_sentence(results)),
        *_wrapped(change.ends_sentence(results)),
        "",
        *_quantities(results),
        "  Each figure is rounded by itself.",
    ]
    if not change.nothing_changed(results):
        lines += ["", *_buckets(results)]
    if results["items"]:
        lines += ["", *_items(results)]
    lines += ["", *_wrapped(change.method_sentence(results))]
    if results["items"]:
        lines += _wrapped(change.attribution_sentence(results))
    for note in change.notes_of(results):
        lines += _wrapped(note)
    return "\n".join(_harmless(line) for line in lines)


def _harmless(line: str) -> str:
    """Without the marks by which a title could command a terminal or turn its text around."""
    return "".join(mark for mark in line if mark.isprintable())


def _quantities(results: Results) -> list[str]:
    """The headline, the expected value, then the other definitions."""
    from valuation.sections.change import PERCENT, level, shift, size
    from valuation.sections.words import spell_dates

    told = [row for row in results["quantities"] if row["group"] in ("definition", "value")]
    told.sort(key=lambda row: (row["name"] != results["headline"], row["group"] != "value"))
    rows = [("", "was", "is", "change", "error")]
    for row in told:
        unit, error = row["unit"], float(row["mcse"])
        name = spell_dates(str(row["label"])) + ("" if unit in PERCENT else f", {unit}")
        rows.append(
            (
                _cut(name, 44),
                level(float(row["was"]), unit, error, named=False),
                level(float(row["is"]), unit, error, named=False),
                shift(float(row["change"]), unit, error, named=False),
                size(error, unit),
            )
        )
    first = max(len(row[0]) for row in rows)
    return [
        f"  {row[0]:<{first}}  {row[1]:>7}  {row[2]:>7}  {row[3]:>7}  {row[4]:>6}".rstrip()
        for row in rows
    ]


def _buckets(results: Results) -> list[str]:
    """What each cause moved of the headline, in points; noise even where it is none."""
    from valuation.sections.change import headline_quantity, shift, size

    row, name = headline_quantity(results), results["headline"]
    rows = [("cause", "points", "error", "items")]
    for bucket in results["buckets"]:
        moved = float(bucket["change"][name])
        if not bucket["items"] and abs(moved) <= 1e-12 and bucket["bucket"] != "noise":
            continue
        rows.append(
            (
                str(bucket["label"]),
                shift(moved, row["unit"], float(row["mcse"]), named=False),
                size(float(bucket["mcse"][name]), row["unit"]),
                str(len(bucket["items"]) or ""),
            )
        )
    first = max(len(row[0]) for row in rows)
    return [f"  {row[0]:<{first}}  {row[1]:>7}  {row[2]:>6}  {row[3]:>5}".rstrip() for row in rows]


def _items(results: Results) -> list[str]:
    """The items, largest share first: numbers before words, so that these may be cut."""
    from valuation.sections.change import (
        bits,
        error_of,
        finest,
        headline_quantity,
        ranked,
        shift,
        size,
    )
    from valuation.sections.words import fixed

    unit, name = headline_quantity(results)["unit"], results["headline"]
    items, least = ranked(results), finest(results)
    lines = [f"  {'share':>7}  {'error':>6}  {'bits':>5}  {'k-hat':>5}  item"]
    for place, item in enumerate(items[:ITEMS]):
        error = error_of(item, name)
        share = shift(float(item["shapley"][name]), unit, least, named=False)
        khat = "–" if item["khat"] is None else fixed(float(item["khat"]), 2)
        start = f"  {share:>7}  {size(error, unit, like=least):>6}  {bits(item['bits']):>5}  {khat:>5}  "
        lines.append(start + _cut(_called(item), WIDTH - len(start)))
        if place < MOVERS:
            lines += _drivers(results, item)
    if len(items) > ITEMS:
        lines.append(f"  and {len(items) - ITEMS} more with smaller shares")
    lines += _wrapped(
        "Bits: surprise; 1 is a coin toss, 10 are about one in a thousand. "
        "k-hat: whether the new weights can be trusted, good below 0.7."
    )
    return lines


def _drivers(results: Results, item: Results) -> list[str]:
    """The drivers that an item moved furthest beyond their errors, without the span they are counted over."""
    from valuation.sections.change import error_of, shift
    from valuation.sections.words import spell_dates

    told = {row["name"]: row for row in results["quantities"] if row["name"] in item["moved"]}
    errors = {name: error_of(item, name) for name in told}
    clear = sorted(told, key=lambda name: -abs(float(item["shapley"][name])) / (errors[name] or 1))
    said = [
        f"{spell_dates(str(told[name]['label']).split(',')[0])} "
        f"{shift(float(item['shapley'][name]), told[name]['unit'], errors[name])}"
        for name in clear[:MOVED]
    ]
    if not said:
        return []
    more = f", {len(clear) - MOVED} more" if len(clear) > MOVED else ""
    text = f"moves {', '.join(said)}{more}"
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 13)


def _called(item: Results) -> str:
    """An item's id and title; of a grade, a term or the scenario the title says it all."""
    alone = item["what"] in ("credibility", "term", "scenario")
    return str(item["title"] if alone else f"{item['item']}: {item['title']}")


def _cut(text: str, room: int) -> str:
    """One line of at most ``room`` characters."""
    from valuation.plots import short

    return short(text, room)[:room]
