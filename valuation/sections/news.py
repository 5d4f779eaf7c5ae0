"""What moved the answer: was and is, the causes that add up, each item's share, how it was made.

Reads the results of a change (``kind`` is ``update``). Titles and claims come from the ledger and
are only ever escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.answer import _card, _override
from valuation.sections.change import (
    METHODS,
    PERCENT,
    as_share,
    attribution_sentence,
    big_words,
    bits,
    change_sentence,
    digits_for,
    error_of,
    expected_value,
    finest,
    headline_quantity,
    level,
    method_sentence,
    notes_of,
    nothing_changed,
    odds,
    quoted,
    ranked,
    shift,
    size,
    whole,
    within_error,
)
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    bullets,
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


# The first screen.


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
        cards.append(_card(f"Expected NPV, {value['unit']}", _arrow(*levels(value)), moved(value)))
    khat = made.get("khat") if made["method"] == "reweighted" else None
    cards.append(
        _card(
            "How it was computed",
            METHODS.get(made["method"], str(made["method"])),
            {
                **dict.fromkeys(("unchanged", "revalued"), "what they depend on is the same"),
                "reweighted": "new weights on stored draws, no new fit",
                "refitted": plots.short(words.upper_first(str(made["why"])), 70),
            }.get(made["method"], ""),
        )
    )
    cards.append(
        _card(
            "Effective draws",
            whole(float(made["effective_draws"])),
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
        f"{bucket['label']} {text}"
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
            ("Before", was, size(float(row["mcse_was"]), unit), ""),
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
    items, least = ranked(results), finest(results)
    lines = []
    for item in items[:FIRST]:
        moved = shift(item["shapley"][name], row["unit"], least)
        error = size(error_of(item, name), row["unit"], like=least)
        said = f"(error {error}): {plots.short(item['title'], 120)}"
        lines.append(tag("li", join([tag("strong", moved), said, item_id(item)], " ")))
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
        return f"{was} before, {now} now, within two simulation errors ({size(error, unit)} each)."
    return f"{was} before, {now} now (error of the change {size(error, unit)})."


def _notes(results: Results) -> Html:
    said = notes_of(results)
    return bullets(said, "vl-notes") if said else Html("")


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
            _notes(results),
            tag("div", _waterfall_figure(results), _first_items(results), class_="vl-split"),
        ]
    )
    return section("change", big_words(results), body, summary=lead, kind="vl-answer")


# The items.

WHAT: Mapping[str, str] = {
    "added": "new row",
    "revised": "revised row",
    "superseded": "superseded row",
    "withdrawn": "withdrawn row",
    "cancelled": "added and withdrawn",
    "regraded": "new grade",
    "edited": "row edited in place",
    "removed": "row that has gone",
    "unpublished": "row not public by then",
    "unrecorded": "row not in the ledger yet",
    "kept": "row removed since",
    "prior": "prior edited",
    "credibility": "meaning of a grade edited",
    "term": "term of the deal edited",
    "scenario": "scenario changed",
}


def item_id(item: Results) -> Html:
    return tag("span", str(item["item"]), class_="vl-id")


def _what(item: Results) -> str:
    return WHAT.get(item["what"], str(item["what"]).replace("_", " "))


def _moved(item: Results, labels: Mapping[str, str]) -> str:
    names = [words.spell_dates(labels.get(name, name)) for name in item["moved"]]
    return "; ".join(names) if names else "none beyond its error"


def _item_rows(results: Results, items: Sequence[Results]) -> list[Sequence[str]]:
    row, name = headline_quantity(results), get(results, "headline")
    labels = {row["name"]: str(row["label"]) for row in results["quantities"]}
    unit, least = row["unit"], finest(results)
    lines: list[Sequence[str]] = []
    for item in items:
        error = error_of(item, name)
        told = join([plots.short(item["title"], 240), item_id(item)], " ")
        about = join([told, tag("span", _what(item), class_="vl-small")])
        lines.append(
            (
                about,
                shift(item["shapley"][name], unit, least, named=False),
                size(error, unit, like=least),
                shift(item["arrival"][name], unit, least, named=False),
                odds(item["probability"]),
                bits(item["bits"]),
                "–" if item["khat"] is None else words.fixed(item["khat"], 2),
                _moved(item, labels),
            )
        )
    return lines


def _item_table(caption: str, results: Results, items: Sequence[Results]) -> Html:
    heads = columns(
        "Item",
        "Share",
        "Error",
        "On arrival",
        "Chance beforehand",
        "Surprise, bits",
        "k-hat",
        "Drivers moved",
        numeric=range(1, 7),
    )
    return table(caption, heads, _item_rows(results, items), stack=True)


def _item_bars(results: Results, items: Sequence[Results]) -> tuple[Html, str]:
    row, name = headline_quantity(results), get(results, "headline")
    unit, least = row["unit"], finest(results)
    shown, rest = list(items[:BARS]), list(items[BARS:])
    if len(rest) == 1:
        shown, rest = list(items), []
    labels = [f"{plots.short(item['title'], 66)} ({item['item']})" for item in shown]
    shares = [float(item["shapley"][name]) for item in shown]
    errors = [error_of(item, name) for item in shown]
    if rest:
        labels.append(f"{len(rest)} other items together")
        shares.append(sum(float(item["shapley"][name]) for item in rest))
        # Errors of shares move together to an unknown degree, so that the sum has none to show.
        errors.append(0.0)
    texts = [
        shift(share, unit, least, named=False)
        + (f" ± {size(error, unit, like=least)}" if error > 0 else "")
        for share, error in zip(shares, errors, strict=True)
    ]
    top = items[0]
    clear = [
        item for item in items if not within_error(item["shapley"][name], error_of(item, name))
    ]
    reading = (
        f"{words.upper_first(quoted(top['title'], 90))} has the largest share, "
        f"{shift(top['shapley'][name], unit, least)} (error "
        f"{size(error_of(top, name), unit, like=least)}). "
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
            (label, shift(share, unit, least, named=False), size(error, unit, like=least))
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
    parts = [_item_table("Items by share of the change, points", results, items[:BARS])]
    if rest := items[BARS:]:
        folded = _item_table("Items with smaller shares, points", results, rest)
        parts.append(details(f"{len(rest)} more items", folded))
    terms = [
        (
            "Share",
            "what the item adds, averaged over every order in which the items could have come "
            "(Shapley); shares add up to the change, but for what time, scenario, code and noise did.",
        ),
        (
            "On arrival",
            "what it moved when the items are taken in the order of their dates, or back in the reverse.",
        ),
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
    return section("items", title, drawing, *parts, meaning, summary=reading)


# All quantities.


def _quantity_table(caption: str, rows: Sequence[Results], buckets: Sequence[Results]) -> Html:
    names = [str(bucket["label"]) for bucket in buckets]
    heads = ("Quantity", "Was", "Is", "Change", "Error", *names)
    lines = []
    for row in rows:
        unit, error = row["unit"], float(row["mcse"])
        lines.append(
            (
                words.spell_dates(str(row["label"]))
                + ("" if unit in PERCENT or not unit else f", {unit}"),
                level(float(row["was"]), unit, error, named=False),
                level(float(row["is"]), unit, error, named=False),
                shift(float(row["change"]), unit, error, named=False),
                size(error, unit),
                *(
                    shift(float(bucket["change"][row["name"]]), unit, error, named=False)
                    for bucket in buckets
                ),
            )
        )
    return table(caption, columns(*heads, numeric=range(1, len(heads))), lines)


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
    note = f" Causes that moved nothing are left out: {words.listed(left)}." if left else ""
    parts: list[str] = [
        paragraph(
            f"{summary} Changes of chances and shares are in percentage points, others in the "
            f"unit of their quantity. The causes of a row add up to its change, but for rounding.{note}"
        ),
        _quantity_table("Chances and value, by cause of the change", first, buckets),
    ]
    if rest:
        parts.append(
            details(
                f"{len(rest)} drivers and events",
                _quantity_table("Drivers and events, by cause", rest, buckets),
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
        words.quantity(float(path["mean"][at]), as_share(unit), figures=digits)
        for path in (was, now)
    )
    reading = (
        f"{driver['label']}: the means lie furthest apart on {words.long_date(dates[at])}, "
        f"{before} before and {after} now."
    )
    percent = unit in PERCENT
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
                words.quantity(float(was["mean"][i]), as_share(unit), figures=3),
                words.quantity(float(now["mean"][i]), as_share(unit), figures=3),
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


def _apart(first: float, second: float, unit: str) -> int:
    """How many figures it takes to tell two levels apart, two to four."""
    for figures in (2, 3):
        if words.quantity(first, as_share(unit), figures=figures) != words.quantity(
            second, as_share(unit), figures=figures
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
                        join([item["title"], item_id(item)], " "),
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
    former = f"replaces {item['supersedes']}" if item.get("supersedes") else ""
    return (
        tag("time", published, datetime=published),
        join([item["title"], item_id(item)], " "),
        link(str(item["address"] or ""), str(item["publisher"] or item["source"] or "–")),
        str(item["credibility"] or "–"),
        join(
            [
                tag("span", words.upper_first(_what(item)), class_="vl-yes"),
                *(
                    tag("span", text, class_="vl-small")
                    for text in (reading, model, former, root)
                    if text
                ),
            ]
        ),
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
        ("Equal draws they are worth now", whole(float(made["effective_draws"]))),
        ("k-hat of the whole change", _khat(made.get("khat"))),
        ("Largest k-hat of one item", _khat(worst)),
        ("Simulation error of the chance now", size(float(row["mcse_is"]), unit, named=True)),
        ("Simulation error of its change", size(float(row["mcse"]), unit, named=True)),
        ("Evaluations", f"{int(get(results, 'attribution')['evaluations']):,}"),
    ]
    if sampled > 0:
        rows.append(
            ("Largest error of a share from sampled orders", size(sampled, unit, named=True))
        )
    if made.get("why"):
        rows.insert(1, ("Why fitted again", words.sentence(words.upper_first(str(made["why"])))))
    return section(
        "method",
        "How it was computed",
        paragraph(said),
        paragraph(
            f"{shared} Both states are valued on the same draws with the same random numbers, so "
            "that only what differs between them moves a number."
        ),
        table("How the change was computed", columns("What", "Value"), rows, hidden_caption=True),
        summary=f"{said} {shared}",
    )


def _khat(value: float | None) -> str:
    return "none needed" if value is None else words.fixed(float(value), 2)
