"""What moved the answer: was and is, the causes that add up, each item's share, the history.

Reads the results of a change (``kind`` is ``update``) and of a replay (``kind`` is ``replay``). Titles
and claims come from the ledger and are only ever escaped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.answer import _card, _override
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    columns,
    details,
    figure,
    get,
    join,
    link,
    paragraph,
    section,
    table,
    tag,
)

Results = Mapping[str, Any]

FIRST = 4  # items named on the first screen
BARS = 12  # items drawn; the others are one bar together
PANELS = 6  # small pictures shown; the others are folded away
NOTES = 6  # dates of a history that get a number and a text


# Numbers with their units: a level, and a change of it.

_PERCENT = ("probability", "fraction", "0 or 1")


def digits_for(error: float, unit: str) -> int:
    """Decimals of a change and of its levels: those of the first figure of its error."""
    scaled = _scale(unit) * error
    return 1 if scaled <= 0 else min(3, max(1, -math.floor(math.log10(scaled))))


def _scale(unit: str) -> float:
    return 100.0 if unit in _PERCENT else 1.0


def level(value: float, unit: str, error: float) -> str:
    """A quantity as it stands, with the decimals that a change with this error is given in."""
    digits = digits_for(error, unit)
    if unit in _PERCENT:
        return f"{words.fixed(100 * value, digits)}%"
    if unit.startswith("USD bn"):
        return f"{words.money(value, digits)}{unit.removeprefix('USD bn')}"
    return f"{words.fixed(value, digits)} {unit}".strip()


def shift(change: float, unit: str, error: float, *, named: bool = True) -> str:
    """A change with its sign; ``named`` adds the unit, percentage points where it is a chance."""
    text = words.signed(_scale(unit) * change, digits_for(error, unit))
    return f"{text} {_unit(unit)}".strip() if named else text


def size(error: float, unit: str, *, named: bool = False) -> str:
    """An error, in points where the quantity is a chance."""
    text = "0" if error <= 0 else words.fixed(_scale(unit) * error, digits_for(error, unit))
    if error > 0 and float(text) == 0:
        text = "under 0.001"
    return f"{text} {_unit(unit)}".strip() if named else text


def _unit(unit: str) -> str:
    return "points" if unit in _PERCENT else unit


def error_of(item: Results, quantity: str) -> float:
    """Error of an item's share: of the simulation, and of the orders that were sampled."""
    return math.hypot(float(item["mcse"][quantity]), float(item["sampling_se"][quantity]))


def odds(probability: float | None) -> str:
    """A chance from certain to tiny: per cent, or one in so many."""
    if probability is None:
        return "–"
    if probability >= 0.1:
        return f"{words.fixed(100 * probability, 0)}%"
    if probability >= 0.01:
        return f"{words.fixed(100 * probability, 1)}%"
    if probability <= 0:
        return "never"
    times = 1 / probability
    if times >= 1e6:
        return "under 1 in a million"
    step = 10 ** (math.floor(math.log10(times)) - 1)
    return f"1 in {words.fixed(round(times / step) * step, 0)}"


def bits(value: float | None) -> str:
    """Surprise as a table shows it."""
    return "–" if value is None else words.fixed(value, 1)


# The sentence.


def headline_quantity(results: Results) -> Results:
    """The quantity that a change is told by."""
    name = get(results, "headline")
    return next(row for row in get(results, "quantities") if row["name"] == name)


def expected_value(results: Results) -> Results | None:
    """The mean net present value among the quantities, if it is there."""
    return next((row for row in get(results, "quantities") if row["group"] == "value"), None)


def ranked(results: Results) -> list[Results]:
    """The items, the one that moved the headline most first."""
    name = get(results, "headline")
    return sorted(
        get(results, "items"), key=lambda item: (-abs(item["shapley"][name]), item["item"])
    )


def within_error(change: float, error: float) -> bool:
    """Whether a change lies within two of its simulation errors."""
    return abs(change) <= 2 * error


def nothing_changed(results: Results) -> bool:
    """Whether the two states are the same in all that was asked."""
    name = get(results, "headline")
    moved = any(abs(bucket["change"][name]) > 1e-12 for bucket in get(results, "buckets"))
    return not get(results, "items") and not moved


def _quoted(title: object, room: int = 64) -> str:
    return f"“{plots.short(title, room)}”"


# What a cause without items is called inside a sentence.
_CAUSES = {
    "scenario": "a changed scenario",
    "code": "changed code",
    "time": "the passage of time",
    "noise": "simulation noise",
}


def _causes(results: Results) -> list[tuple[str, float]]:
    """What moved the headline, in words, and by how much; largest first."""
    name = get(results, "headline")
    found = [(_quoted(item["title"]), float(item["shapley"][name])) for item in ranked(results)]
    found += [
        (_CAUSES.get(bucket["bucket"], str(bucket["label"])), float(bucket["change"][name]))
        for bucket in get(results, "buckets")
        if not bucket["items"]
    ]
    return sorted(found, key=lambda cause: -abs(cause[1]))


def _because(results: Results) -> str:
    """The clause that names the one or two causes that make most of the change."""
    row = headline_quantity(results)
    change, error, unit = float(row["change"]), float(row["mcse"]), row["unit"]
    causes = _causes(results)
    along = [(text, part) for text, part in causes if part * change > 0]
    against = [(text, part) for text, part in causes if part * change < 0]

    def told(cause: tuple[str, float]) -> str:
        return f"{cause[0]} ({shift(cause[1], unit, error, named=False)})"

    if not along:
        return ""
    said = ""
    if abs(along[0][1]) >= 0.5 * abs(change):
        said = f", mostly because of {told(along[0])}"
    elif len(along) > 1 and abs(along[0][1] + along[1][1]) >= 0.5 * abs(change):
        said = f", mostly because of {told(along[0])} and {told(along[1])}"
    else:
        said = f", through many causes, the largest being {told(along[0])}"
    if against and abs(against[0][1]) >= 0.5 * abs(change):
        said += f", against {told(against[0])}"
    return said


def change_sentence(results: Results) -> str:
    """Was and is in one sentence of plain text, with what made most of the difference."""
    row = headline_quantity(results)
    was, now = float(row["was"]), float(row["is"])
    change, error, unit = float(row["change"]), float(row["mcse"]), row["unit"]
    before, after = words.in_hundred(was), words.in_hundred(now)
    what = f"the chance that {get(results, 'deal')['title']} pays off"
    if nothing_changed(results):
        return f"Nothing has changed: {what} is {words.about(after)}, as before."
    counts = f"{words.upper_first(words.about(before))} before, {words.about(after)} now"
    if before == after:
        counts = f"{words.upper_first(words.about(after))}, as before"
    if within_error(change, error):
        moved = shift(change, unit, error)
        return (
            f"{counts}: {what} moved by {moved}, which is within its simulation error "
            f"({size(error, unit)}) and cannot be told from no change{_cancelling(results)}."
        )
    verb = "rose" if change > 0 else "fell"
    amount = shift(change, unit, error).lstrip(f"+{words.MINUS}")
    return f"{counts}: {what} {verb} by {amount} (error {size(error, unit)}){_because(results)}."


def _cancelling(results: Results) -> str:
    """The two largest items, where each is beyond its error and they pull apart."""
    row, name = headline_quantity(results), get(results, "headline")
    sure = [
        item
        for item in ranked(results)
        if not within_error(item["shapley"][name], error_of(item, name))
    ]
    up = next((item for item in sure if item["shapley"][name] > 0), None)
    down = next((item for item in sure if item["shapley"][name] < 0), None)
    if up is None or down is None:
        return ""
    told = [
        f"{_quoted(item['title'], 48)} "
        f"({shift(item['shapley'][name], row['unit'], error_of(item, name), named=False)})"
        for item in (up, down)
    ]
    return f", since {words.listed(told)} pull against each other"


def _title(results: Results) -> str:
    """The largest words of the page."""
    row = headline_quantity(results)
    before, after = words.in_hundred(float(row["was"])), words.in_hundred(float(row["is"]))
    if nothing_changed(results) or (
        before == after and within_error(float(row["change"]), float(row["mcse"]))
    ):
        return f"Still {words.about(after)}"
    if before == after:
        unit, change = row["unit"], float(row["change"])
        amount = shift(change, unit, float(row["mcse"])).lstrip(f"+{words.MINUS}")
        way = "up" if change > 0 else "down"
        return f"{words.upper_first(words.about(after))}, {way} {amount}"
    if before.endswith(" in 100") and before[0].isdigit() and after[0].isdigit():
        return f"From about {before.removesuffix(' in 100')} to {after}"
    return f"From {words.about(before)} to {words.about(after)}"


METHODS: Mapping[str, str] = {
    "unchanged": "Same draws",
    "reweighted": "Reweighted",
    "refitted": "Refitted",
}


def method_sentence(results: Results) -> str:
    """How the present answer was made from the former one, for someone who never met k-hat."""
    made = get(results, "is")
    draws, effective = int(made["draws"]), float(made["effective_draws"])
    why = f" {words.sentence(words.upper_first(str(made['why'])))}" if made.get("why") else ""
    if made["method"] == "refitted":
        said = (
            f"The model was fitted again, with {draws:,} draws worth {_draws(effective)} for this."
        )
        return f"{said}{why}"
    if made["method"] == "unchanged":
        return (
            f"The {draws:,} stored draws stand as they were, since nothing changed that they "
            f"depend on; only what follows from them was computed again.{why}"
        )
    khat = "" if made.get("khat") is None else f", k-hat {words.fixed(made['khat'], 2)}"
    return (
        f"The {draws:,} stored draws got new weights instead of a new fit; so weighted they are "
        f"worth {_draws(effective)} equal ones{khat}.{why}"
    )


def _draws(effective: float) -> str:
    return words.fixed(math.floor(effective), 0)


def _arrow(before: str, after: str) -> str:
    return f"{before} → {after}"


def _cards(results: Results) -> Html:
    row, value, made = headline_quantity(results), expected_value(results), get(results, "is")

    def moved(quantity: Results) -> str:
        told = shift(float(quantity["change"]), quantity["unit"], float(quantity["mcse"]))
        return f"{told}, error {size(float(quantity['mcse']), quantity['unit'])}"

    def levels(quantity: Results) -> list[str]:
        digits = digits_for(float(quantity["mcse"]), quantity["unit"])
        return [words.fixed(float(quantity[key]), digits) for key in ("was", "is")]

    error = float(row["mcse_is"])
    shown = [words.percent(float(row[key]), error) for key in ("was", "is")]
    cards = [_card("Chance that it pays off", _arrow(*shown), moved(row))]
    if value is not None:
        cards.append(_card("Expected NPV, USD bn", _arrow(*levels(value)), moved(value)))
    khat = made.get("khat")
    cards.append(
        _card(
            "How it was computed",
            METHODS.get(made["method"], str(made["method"])),
            {
                "unchanged": "what they depend on is the same",
                "reweighted": "new weights on stored draws, no new fit",
                "refitted": "too large a change for new weights",
            }.get(made["method"], ""),
        )
    )
    cards.append(
        _card(
            "Effective draws",
            _draws(float(made["effective_draws"])),
            f"of {int(made['draws']):,}"
            + ("" if khat is None else f"; k-hat {words.fixed(khat, 2)}, good below 0.7"),
        )
    )
    return tag("ul", join(cards), class_="vl-cards")


def _shown_buckets(results: Results) -> list[Results]:
    """The buckets that hold an item or moved the headline."""
    name = get(results, "headline")
    return [
        bucket
        for bucket in get(results, "buckets")
        if bucket["items"] or abs(bucket["change"][name]) > 1e-12
    ]


def _noise(results: Results) -> str:
    row, name = headline_quantity(results), get(results, "headline")
    noise = next((b for b in get(results, "buckets") if b["bucket"] == "noise"), None)
    moved = 0.0 if noise is None else float(noise["change"][name])
    return f"Simulation noise between the two: {shift(moved, row['unit'], float(row['mcse']))}."


def _waterfall_figure(results: Results) -> Html:
    row, name = headline_quantity(results), get(results, "headline")
    unit, error = row["unit"], float(row["mcse"])
    buckets = _shown_buckets(results)
    was, now = (level(float(row[key]), unit, error) for key in ("was", "is"))
    parts = [float(bucket["change"][name]) for bucket in buckets]
    errors = [float(bucket["mcse"][name]) for bucket in buckets]
    texts = [shift(part, unit, error, named=False) for part in parts]
    told = [
        f"{words.lower_first(str(bucket['label']))} {text}"
        for bucket, text in zip(buckets, texts, strict=True)
        if bucket["bucket"] != "noise"
    ]
    reading = (
        f"From {was} to {now}, in points: {words.listed(told)}. "
        if told
        else f"From {was} to {now}: no cause moved it. "
    ) + _noise(results)
    count = len(buckets) + 2
    return figure(
        "figure-change",
        lambda ax: plots.change_waterfall(
            ax,
            [str(bucket["label"]) for bucket in buckets],
            [100 * part for part in parts],
            [100 * each for each in errors],
            before=100 * float(row["was"]),
            now=100 * float(row["is"]),
            before_text=was,
            now_text=now,
            texts=texts,
            x_label="Chance that it pays off, %",
        ),
        title="From the chance before to the chance now, by cause",
        reading=f"{reading} A line on a bar is two simulation errors each way.",
        alt=reading,
        heads=columns("Cause", "Change, points", "Simulation error", "Items", numeric=[1, 2, 3]),
        rows=[
            ("Before", was, size(float(row["mcse_is"]), unit), ""),
            *(
                (
                    str(bucket["label"]),
                    shift(float(bucket["change"][name]), unit, error, named=False),
                    size(float(bucket["mcse"][name]), unit),
                    str(len(bucket["items"])),
                )
                for bucket in get(results, "buckets")
            ),
            ("Now", now, size(float(row["mcse_is"]), unit), ""),
        ],
        width=560,
        height=64 + plots.row_height(False) * count,
        narrow_height=60 + plots.row_height(True) * count,
    )


def _first_items(results: Results) -> Html:
    row, name = headline_quantity(results), get(results, "headline")
    items = ranked(results)
    lines = []
    for item in items[:FIRST]:
        moved = shift(item["shapley"][name], row["unit"], error_of(item, name))
        error = size(error_of(item, name), row["unit"])
        said = f"(error {error}): {plots.short(item['title'], 120)}"
        lines.append(tag("li", join([tag("strong", moved), said, _id(item)], " ")))
    if len(items) > FIRST:
        lines.append(tag("li", f"{len(items) - FIRST} more below."))
    if not lines:
        lines.append(tag("li", "No row, prior, grade or term of the deal differs."))
    value = expected_value(results)
    if value is not None and not nothing_changed(results):
        lines.append(tag("li", tag("strong", "Expected net present value"), f": {_value(value)}"))
    return tag(
        "div",
        tag("h3", "What moved it"),
        tag("ul", join(lines), class_="vl-list"),
        class_="vl-drivers",
    )


def _value(row: Results) -> str:
    change, error, unit = float(row["change"]), float(row["mcse"]), row["unit"]
    was, now = (level(float(row[key]), unit, error) for key in ("was", "is"))
    if within_error(change, error):
        return f"{was} before, {now} now, no more than the simulation error ({size(error, unit)})."
    return f"{was} before, {now} now (error of the change {size(error, unit)})."


def news_headline(results: Results) -> Section:
    """The first screen: was and is in one sentence, the causes as a waterfall, how it was made."""
    lead = change_sentence(results)
    row, was, now = headline_quantity(results), get(results, "was"), get(results, "is")
    meaning = words.lower_first(words.sentence(str(row["label"])))
    since = f"Compared with {words.spell_dates(str(was['label']))}"
    known = (
        f"both on what was public by {words.long_date(now['as_of'])}"
        if was["as_of"] == now["as_of"]
        else f"then on what was public by {words.long_date(was['as_of'])}, now by "
        f"{words.long_date(now['as_of'])}"
    )
    scenario = get(results, "scenario")
    supposed = (
        ""
        if scenario["scenario"] == "base"
        else f" Scenario: {words.sentence(str(scenario['title']))}"
    )
    body = join(
        [
            _override(results),
            paragraph(lead, "vl-lead"),
            paragraph(
                f"{since}; {known}. “Pays off” means here: {meaning}{supposed}",
                "vl-meta",
            ),
            _cards(results),
            tag("div", _waterfall_figure(results), _first_items(results), class_="vl-split"),
        ]
    )
    return section("change", _title(results), body, summary=lead, kind="vl-answer")


# The items.

WHAT: Mapping[str, str] = {
    "added": "new row",
    "revised": "revised row",
    "superseded": "superseded row",
    "withdrawn": "withdrawn row",
    "regraded": "new grade",
    "prior": "prior edited",
    "credibility": "meaning of a grade edited",
    "term": "term of the deal edited",
}


def _id(item: Results) -> Html:
    return tag("span", str(item["item"]), class_="vl-id")


def _what(item: Results) -> str:
    return WHAT.get(item["what"], str(item["what"]).replace("_", " "))


def _moved(item: Results, labels: Mapping[str, str]) -> str:
    names = [labels.get(name, name.replace("_", " ")) for name in item["moved"]]
    return "; ".join(names) if names else "none beyond its error"


def _item_rows(results: Results, items: Sequence[Results]) -> list[Sequence[str]]:
    row, name = headline_quantity(results), get(results, "headline")
    labels = {row["name"]: str(row["label"]) for row in results["quantities"]}
    unit = row["unit"]
    lines: list[Sequence[str]] = []
    for item in items:
        error = error_of(item, name)
        told = join([plots.short(item["title"], 240), _id(item)], " ")
        about = join([told, tag("span", _what(item), class_="vl-small")])
        lines.append(
            (
                about,
                shift(item["shapley"][name], unit, error, named=False),
                size(error, unit),
                shift(item["arrival"][name], unit, error, named=False),
                odds(item["probability"]),
                bits(item["bits"]),
                "–" if item["khat"] is None else words.fixed(item["khat"], 2),
                _moved(item, labels),
            )
        )
    return lines


def _item_bars(results: Results, items: Sequence[Results]) -> tuple[Html, str]:
    row, name = headline_quantity(results), get(results, "headline")
    unit = row["unit"]
    shown, rest = list(items[:BARS]), list(items[BARS:])
    if len(rest) == 1:
        shown, rest = list(items), []
    labels = [f"{plots.short(item['title'], 66)} ({item['item']})" for item in shown]
    shares = [float(item["shapley"][name]) for item in shown]
    errors = [error_of(item, name) for item in shown]
    if rest:
        labels.append(f"{len(rest)} other items together")
        shares.append(sum(float(item["shapley"][name]) for item in rest))
        # Errors of shares move together to an unknown degree; their sum is the worst case.
        errors.append(sum(error_of(item, name) for item in rest))
    texts = [
        f"{shift(share, unit, error, named=False)} ± {size(error, unit)}"
        for share, error in zip(shares, errors, strict=True)
    ]
    top = items[0]
    clear = [
        item for item in items if not within_error(item["shapley"][name], error_of(item, name))
    ]
    reading = (
        f"{words.upper_first(_quoted(top['title'], 90))} has the largest share, "
        f"{shift(top['shapley'][name], unit, error_of(top, name))} (error "
        f"{size(error_of(top, name), unit)}). "
        + (
            f"{len(clear)} of {len(items)} items moved the chance by more than two errors."
            if len(items) > 1
            else ""
        )
    ).strip()
    drawing = figure(
        "figure-items",
        lambda ax: plots.share_bars(
            ax,
            labels,
            [100 * share for share in shares],
            [100 * error for error in errors],
            texts,
            x_label="Share of the change of the chance, points",
        ),
        title="Share of each item in the change",
        reading=f"{reading} A line on a bar is two errors each way.",
        alt=reading,
        heads=columns("Item", "Share, points", "Error", numeric=[1, 2]),
        rows=[
            (label, shift(share, unit, error, named=False), size(error, unit))
            for label, share, error in zip(labels, shares, errors, strict=True)
        ],
        height=64 + plots.row_height(False) * len(labels),
        narrow_height=60 + 62 * len(labels),
    )
    return drawing, reading


def news_items(results: Results) -> Section:
    """Each item with its share of the change, its surprise, and the drivers it moved."""
    items, title = ranked(results), "What moved it, item by item"
    if not items:
        said = "No row, prior, grade or term of the deal differs between the two states."
        return section("items", title, paragraph(said), summary=said)
    drawing, reading = _item_bars(results, items)
    body = table(
        "Items by share of the change, points",
        columns(
            "Item",
            "Share",
            "Error",
            "On arrival",
            "Chance beforehand",
            "Surprise, bits",
            "k-hat",
            "Drivers moved",
            numeric=[1, 2, 3, 4, 5, 6],
        ),
        _item_rows(results, items),
        stack=True,
    )
    terms = [
        (
            "Share",
            "what the item adds, averaged over every order in which the items could have come "
            "(Shapley); shares add up to the change, but for what time, scenario, code and noise did.",
        ),
        ("On arrival", "what it moved when the items are taken in the order of their dates."),
        (
            "Surprise",
            "how improbable the model thought the item beforehand: 1 bit is a coin toss, each "
            "further bit halves the chance, so that 10 bits are about one in a thousand.",
        ),
        (
            "k-hat",
            "how much weighing the draws by this item alone rests on a few of them; above about "
            "0.7 only a new fit can be trusted.",
        ),
    ]
    meaning = tag(
        "ul",
        join([tag("li", tag("strong", term), f": {said}") for term, said in terms]),
        class_="vl-list",
    )
    return section("items", title, drawing, body, meaning, summary=reading)


# All quantities.


def _quantity_table(
    results: Results, caption: str, rows: Sequence[Results], buckets: Sequence[Results]
) -> Html:
    names = [str(bucket["label"]) for bucket in buckets]
    heads = ("Quantity", "Was", "Is", "Change", "Error", *names)
    lines = []
    for row in rows:
        unit, error = row["unit"], float(row["mcse"])
        lines.append(
            (
                str(row["label"]),
                level(float(row["was"]), unit, error),
                level(float(row["is"]), unit, error),
                shift(float(row["change"]), unit, error, named=False),
                size(error, unit),
                *(
                    shift(float(bucket["change"][row["name"]]), unit, error, named=False)
                    for bucket in buckets
                ),
            )
        )
    return table(caption, columns(*heads, numeric=range(1, len(heads))), lines, stack=True)


def news_quantities(results: Results) -> Section:
    """Every definition of paying off, the expected value and each driver: was, is, by cause."""
    rows = list(get(results, "quantities"))
    names = {row["name"] for row in rows}
    buckets = [
        bucket
        for bucket in get(results, "buckets")
        if bucket["items"] or any(abs(bucket["change"][name]) > 1e-12 for name in names)
    ]
    first = [row for row in rows if row["group"] in ("definition", "value")]
    rest = [row for row in rows if row["group"] not in ("definition", "value")]
    moved = [row for row in rows if not within_error(float(row["change"]), float(row["mcse"]))]
    summary = (
        f"{len(moved)} of {len(rows)} quantities moved by more than two simulation errors."
        if moved
        else f"None of {len(rows)} quantities moved by more than two simulation errors."
    )
    left = [str(b["label"]) for b in get(results, "buckets") if b not in buckets]
    note = (
        f" Causes that moved nothing are left out: {words.listed([words.lower_first(n) for n in left])}."
        if left
        else ""
    )
    parts: list[str] = [
        paragraph(
            f"{summary} Changes of chances and shares are in percentage points, others in the "
            f"unit of their quantity; the causes of a row add up to its change.{note}"
        ),
        _quantity_table(results, "Chances and value, by cause of the change", first, buckets),
    ]
    if rest:
        parts.append(
            details(
                f"{len(rest)} drivers",
                _quantity_table(results, "Drivers, by cause of the change", rest, buckets),
            )
        )
    return section("quantities", "Every number, was and is", *parts, summary=summary)


# Drivers before and after.


def _gap(driver: Results) -> float:
    """The largest distance between the two means, as a share of the widest band."""
    was, now = driver["was"], driver["is"]
    apart = [abs(a - b) for a, b in zip(was["mean"], now["mean"], strict=True)]
    spread = [
        high - low
        for path in (was, now)
        for low, high in zip(path["lower"], path["upper"], strict=True)
    ]
    widest = max([*spread, *(abs(value) for value in was["mean"]), 1e-12])
    return max(apart, default=0.0) / widest


def _driver_moved(driver: Results, quantities: Mapping[str, Results]) -> bool:
    row = quantities.get(driver["driver"])
    if row is None:
        return _gap(driver) > 0.02
    return not within_error(float(row["change"]), float(row["mcse"]))


def _driver_figure(driver: Results, today: str) -> tuple[Html, str]:
    dates, unit = [str(date) for date in driver["dates"]], driver["unit"]
    was, now = driver["was"], driver["is"]
    at = max(range(len(dates)), key=lambda i: abs(was["mean"][i] - now["mean"][i]))
    digits = _apart(was["mean"][at], now["mean"][at], unit)
    before, after = (
        words.quantity(float(path["mean"][at]), _as_share(unit), figures=digits)
        for path in (was, now)
    )
    reading = (
        f"{driver['label']}: the means lie furthest apart on {words.long_date(dates[at])}, "
        f"{before} before and {after} now."
    )
    percent = unit in _PERCENT
    label = str(driver["label"]) + ("" if percent else f", {unit}")
    # Of a thing that is so or not, the mean is the chance, and a band says nothing.
    keys = ("mean",) if unit == "0 or 1" else ("mean", "lower", "upper")
    step = max(1, len(dates) // 10)
    drawing = figure(
        f"figure-changed-{anchor(driver['driver'])}",
        lambda ax: plots.before_after(
            ax,
            dates,
            {key: was[key] for key in keys},
            {key: now[key] for key in keys},
            label=label + (": chance" if unit == "0 or 1" else ""),
            percent=percent,
            today=today if dates[0] < today < dates[-1] else "",
        ),
        title=f"{driver['label']}, before and now",
        reading=reading,
        heads=columns("Date", "Mean before", "Mean now", "90% now", numeric=[1, 2, 3]),
        rows=[
            (
                dates[i],
                words.quantity(float(was["mean"][i]), _as_share(unit), figures=3),
                words.quantity(float(now["mean"][i]), _as_share(unit), figures=3),
                "–"
                if unit == "0 or 1"
                else " to ".join(
                    words.quantity(float(now[key][i]), unit, figures=3)
                    for key in ("lower", "upper")
                ),
            )
            for i in range(0, len(dates), step)
        ],
        height=250,
        half=True,
    )
    return drawing, reading


def _as_share(unit: str) -> str:
    return "fraction" if unit in _PERCENT else unit


def _apart(first: float, second: float, unit: str) -> int:
    """How many figures it takes to tell two levels apart, two to four."""
    for figures in (2, 3):
        if words.quantity(first, _as_share(unit), figures=figures) != words.quantity(
            second, _as_share(unit), figures=figures
        ):
            return figures
    return 4


def news_drivers(results: Results) -> Section:
    """The drivers that moved, as they were and as they are; the others by name."""
    drivers = list(get(results, "drivers"))
    quantities = {row["name"]: row for row in get(results, "quantities")}
    moved = sorted((d for d in drivers if _driver_moved(d, quantities)), key=lambda d: -_gap(d))
    still = [words.lower_first(str(d["label"])) for d in drivers if d not in moved]
    title = "The drivers, before and now"
    told = f"Not moved beyond the simulation error: {words.listed(still)}." if still else ""
    if not moved:
        said = "No driver moved by more than two simulation errors."
        return section("moved", title, paragraph(f"{said} {told}".strip()), summary=said)
    drawn = [_driver_figure(driver, str(get(results, "is")["as_of"])) for driver in moved]
    intro = paragraph(
        "Dashed and grey: as it was. Blue: as it is. The line is the mean, the band holds nine in "
        "ten futures; where something can only be so or not, the line is its chance. Drivers are "
        "in the order of how far they moved."
    )
    parts = [tag("div", join([drawing for drawing, _ in drawn[:PANELS]]), class_="vl-grid")]
    if len(drawn) > PANELS:
        folded = tag("div", join([drawing for drawing, _ in drawn[PANELS:]]), class_="vl-grid")
        parts.append(details(f"{len(drawn) - PANELS} more drivers that moved", folded))
    if told:
        parts.append(paragraph(told, "vl-meta"))
    summary = f"{len(moved)} of {len(drivers)} drivers moved. {drawn[0][1]}"
    return section("moved", title, intro, *parts, summary=summary)


# The history.


def _replayed(replay: Results, name: str) -> tuple[list[str], list[float], list[float]]:
    """Dates, values and errors of a quantity, where it was computed."""
    points = [point for point in replay["points"] if name in point["values"]]
    return (
        [str(point["as_of"]) for point in points],
        [float(point["values"][name]) for point in points],
        [float(point["mcse"].get(name, 0.0)) for point in points],
    )


def _notes(replay: Results) -> list[tuple[Results, Results]]:
    """The points that moved most beyond their error with their largest item, by date."""
    name = replay["headline"]
    found = [
        (point, point["moved"][0])
        for point in replay["points"]
        if point["moved"]
        and not within_error(
            float(point["moved"][0]["change"]), float(point["mcse"].get(name, 0.0))
        )
    ]
    found.sort(key=lambda pair: -abs(float(pair[1]["change"])))
    return sorted(found[:NOTES], key=lambda pair: str(pair[0]["as_of"]))


def _replay_row(replay: Results) -> Results:
    return next(row for row in replay["quantities"] if row["name"] == replay["headline"])


def _point_rows(replay: Results, row: Results) -> list[Sequence[str]]:
    name, unit = row["name"], row["unit"]
    lines: list[Sequence[str]] = []
    for point in replay["points"]:
        error = float(point["mcse"].get(name, 0.0))
        moved = [
            f"{plots.short(item['title'], 90)} ({item['item']}, "
            f"{shift(float(item['change']), unit, error, named=False)})"
            for item in point["moved"]
        ]
        lines.append(
            (
                str(point["as_of"]),
                level(float(point["values"][name]), unit, error),
                size(error, unit),
                str(point["rows"]),
                str(point["method"]),
                "–" if point["khat"] is None else words.fixed(point["khat"], 2),
                _draws(float(point["effective_draws"])),
                "; ".join(moved) or "–",
            )
        )
    return lines


def _history_figure(replay: Results) -> tuple[Html, str]:
    row = _replay_row(replay)
    unit = row["unit"]
    dates, values, errors = _replayed(replay, row["name"])
    notes = _notes(replay)
    low, high = min(values), max(values)

    def told(index: int) -> str:
        return f"{words.about(words.in_hundred(values[index]))} on {words.long_date(dates[index])}"

    reading = (
        f"From {told(0)} to {told(-1)}"
        if len(dates) > 1
        else f"{words.upper_first(told(0))}; one date so far"
    )
    if len(dates) > 2:
        reading += (
            f"; between {words.percent(low, max(errors))} and {words.percent(high, max(errors))} "
            "in all that time"
        )
    reading += "."
    if notes:
        point, item = max(notes, key=lambda pair: abs(float(pair[1]["change"])))
        error = float(point["mcse"].get(row["name"], 0.0))
        reading += (
            f" The largest step by one item, {shift(float(item['change']), unit, error)}, came by "
            f"{words.long_date(point['as_of'])}: {_quoted(item['title'], 90)}."
        )
    drawing = figure(
        "figure-history",
        lambda ax: plots.history(
            ax,
            dates,
            values,
            errors,
            label="Chance that it pays off, by what was public on each date",
            stepped=replay["every"] == "news",
            notes=[
                (
                    str(point["as_of"]),
                    f"{shift(float(item['change']), unit, 0.01, named=False)} "
                    f"{plots.short(item['title'], 28)}",
                )
                for point, item in notes
            ],
        ),
        title="The chance of paying off over time",
        reading=f"{reading} The band is two simulation errors each way.",
        alt=reading,
        heads=columns(
            "Date",
            "Chance",
            "Simulation error",
            "Rows that count",
            "How",
            "k-hat",
            "Effective draws",
            "New items that moved it most",
            numeric=[1, 2, 3, 5, 6],
        ),
        rows=_point_rows(replay, row),
        height=330,
        narrow_height=290,
    )
    return drawing, reading


def _history_key(replay: Results) -> list[str]:
    """What the numbers in the picture stand for."""
    notes, row = _notes(replay), _replay_row(replay)
    if not notes:
        return []
    lines = [
        (
            f"{index}. {words.long_date(point['as_of'])}",
            join([plots.short(item["title"], 160), _id(item)], " "),
            shift(
                float(item["change"]),
                row["unit"],
                float(point["mcse"].get(row["name"], 0.0)),
            ),
        )
        for index, (point, item) in enumerate(notes, 1)
    ]
    return [
        table(
            "What moved it most: the numbers in the picture",
            columns("Date", "Item", "Change", numeric=[2]),
            lines,
            stack=True,
        )
    ]


def _panel(replay: Results, row: Results) -> Html:
    unit = row["unit"]
    dates, values, errors = _replayed(replay, row["name"])
    share = _as_share(unit)
    error = max(errors, default=0.0)
    first, last = (level(value, unit, error) for value in (values[0], values[-1]))
    percent = share == "fraction"
    name = str(row["label"])
    return figure(
        f"figure-history-{anchor(row['name'])}",
        lambda ax: plots.history(
            ax,
            dates,
            values,
            errors,
            label=name if percent or not unit else f"{name}, {unit}",
            percent=percent,
            stepped=replay["every"] == "news",
        ),
        title=f"{name}, by what was public on each date",
        reading=f"{name}: {first} on {words.long_date(dates[0])}, {last} on "
        f"{words.long_date(dates[-1])}.",
        heads=columns("Date", "Value", "Simulation error", numeric=[1, 2]),
        rows=[
            (date, level(value, unit, each), size(each, unit))
            for date, value, each in zip(dates, values, errors, strict=True)
        ],
        height=230,
        half=True,
    )


def history(replay: Results | None, *, drivers: bool = True, renew: str = "") -> Section:
    """The answer as it would have been on each date, with what moved it; then the drivers.

    ``drivers`` adds the other quantities; ``renew`` is the command that makes the replay again.
    """
    title, renew = "The answer over time", renew or "valuation replay"
    if not replay or not replay.get("points"):
        said = "No history has been made yet."
        note = paragraph(join([said, "Make it with", tag("code", renew)], " "))
        return section("history", title, note, summary=said)
    drawing, reading = _history_figure(replay)
    every = {"news": "each date on which news came", "month": "the end of each month"}
    said = (
        "On each date only what was public by then is used, with today's priors, terms and code; "
        f"computed for {every.get(replay['every'], str(replay['every']))}. Made "
        f"{words.long_date(replay['made'])}; renew with"
    )
    made = paragraph(join([said, tag("code", renew)], " "), "vl-meta")
    parts: list[str] = [drawing, *_history_key(replay), made]
    if drivers:
        parts += _panels(replay)
    return section("history", title, *parts, summary=reading)


def _panels(replay: Results) -> list[str]:
    order = ("value", "driver", "definition")
    rows = [
        row
        for row in replay["quantities"]
        if row["name"] != replay["headline"] and _replayed(replay, row["name"])[0]
    ]
    rows.sort(key=lambda row: order.index(row["group"]) if row["group"] in order else len(order))
    if not rows:
        return []
    drawn = [_panel(replay, row) for row in rows]
    parts: list[str] = [
        tag("h3", "What lies behind it, over the same time"),
        tag("div", join(drawn[:PANELS]), class_="vl-grid"),
    ]
    if len(drawn) > PANELS:
        folded = tag("div", join(drawn[PANELS:]), class_="vl-grid")
        parts.append(details(f"{len(drawn) - PANELS} more", folded))
    return parts


# Rows and method.


def news_rows(results: Results) -> Section:
    """What the items say in the ledger and in the settings, with source and grade."""
    items, title = ranked(results), "The rows and edits behind it"
    rows = [item for item in items if item["published"] is not None]
    edits = [item for item in items if item["published"] is None]
    summary = (
        f"{words.counted(len(rows), 'row', 'rows')} of the ledger and "
        f"{words.counted(len(edits), 'edit', 'edits')} of priors, grades or terms differ."
    )
    parts: list[str] = [paragraph(summary)]
    if rows:
        rows.sort(key=lambda item: (str(item["published"]), str(item["item"])), reverse=True)
        parts.append(
            table(
                "Rows of the ledger, newest first",
                columns("Published", "Claim", "Source", "Grade", "About"),
                [_ledger_row(item) for item in rows],
                stack=True,
            )
        )
    if edits:
        parts.append(
            table(
                "Edits of what is assumed",
                columns("Edit", "What"),
                [
                    (
                        join([item["title"], _id(item)], " "),
                        _what(item),
                    )
                    for item in edits
                ],
                stack=True,
            )
        )
    return section("rows", title, *parts, summary=summary)


def _ledger_row(item: Results) -> Sequence[str]:
    published = str(item["published"])
    about = [str(item[key] or "").replace("_", " ") for key in ("kind", "model")]
    reading = " · ".join(part for part in (about[0], str(item["subject"] or "")) if part)
    model = f"read by the {about[1]} model" if about[1] else ""
    root = f"goes back to {item['root']}" if item.get("root") else ""
    return (
        tag("time", published, datetime=published),
        join([item["title"], _id(item)], " "),
        link(str(item["address"] or ""), str(item["publisher"] or item["source"] or "–")),
        str(item["credibility"] or "–"),
        join(
            [
                tag("span", words.upper_first(_what(item)), class_="vl-yes"),
                *(tag("span", text, class_="vl-small") for text in (reading, model, root) if text),
            ]
        ),
    )


def attribution_sentence(results: Results) -> str:
    """Exact or sampled, over how many orders, at what cost."""
    made, count = get(results, "attribution"), len(get(results, "items"))
    if not count:
        return "There was nothing to share out."
    evaluations = f"{int(made['evaluations']):,} evaluations of the answer on the same draws"
    if made["method"] == "exact":
        return (
            f"Shares are exact: every combination of the {words.counted(count, 'item', 'items')} was "
            f"computed, {evaluations}."
        )
    return (
        f"Shares are averages over {int(made['orders']):,} random orders of the {count} items, "
        f"{evaluations}; the error printed beside each includes that of the sampling."
    )


def news_method(results: Results) -> Section:
    """How the two states were compared, and how far the numbers go."""
    made, name = get(results, "is"), get(results, "headline")
    row = headline_quantity(results)
    said, shared = method_sentence(results), attribution_sentence(results)
    worst = max(
        (float(item["khat"]) for item in get(results, "items") if item["khat"] is not None),
        default=None,
    )
    sampled = max((float(i["sampling_se"][name]) for i in results["items"]), default=0.0)
    unit = row["unit"]
    rows = [
        ("How the present draws were made", METHODS.get(made["method"], str(made["method"]))),
        ("Stored draws", f"{int(made['draws']):,}"),
        ("Equal draws they are worth now", _draws(float(made["effective_draws"]))),
        ("k-hat of the whole change", _khat(made.get("khat"))),
        ("Largest k-hat of one item", _khat(worst)),
        ("Simulation error of the chance now", size(float(row["mcse_is"]), unit, named=True)),
        ("Simulation error of its change", size(float(row["mcse"]), unit, named=True)),
        ("Largest error of a share from sampled orders", size(sampled, unit, named=True)),
        ("Evaluations", f"{int(get(results, 'attribution')['evaluations']):,}"),
    ]
    if made.get("why"):
        rows.insert(1, ("Why fitted again", words.sentence(str(made["why"]))))
    return section(
        "method",
        "How it was computed",
        paragraph(said),
        paragraph(
            f"{shared} Both states use the same random numbers, so that the change is known better "
            "than either level."
        ),
        table("How the change was computed", columns("What", "Value"), rows, hidden_caption=True),
        summary=f"{said} {shared}",
    )


def _khat(value: float | None) -> str:
    return "none needed" if value is None else words.fixed(float(value), 2)
