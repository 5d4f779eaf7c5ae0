"""The answer over time: what it would have been on each date, and what moved it.

Reads a replay (``kind`` is ``replay``). Titles come from the ledger and are only ever escaped.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.archive import BASE, for_deal
from valuation.sections import words
from valuation.sections.change import (
    as_share,
    level,
    quoted,
    shift,
    size,
    whole,
    within_error,
)
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    columns,
    details,
    esc,
    figure,
    join,
    paragraph,
    section,
    tag,
)

Results = Mapping[str, Any]

NOTES = 6  # dates that get a number and a text


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
    found = [
        (point, clear[0]) for point in replay["points"] if (clear := clear_items(replay, point))
    ]
    found.sort(key=lambda pair: -abs(float(pair[1]["change"])))
    return sorted(found[:NOTES], key=lambda pair: str(pair[0]["as_of"]))


def clear_items(replay: Results, point: Results) -> list[Results]:
    """The items of a point that moved the headline by more than two errors, largest first."""
    level = float(point["mcse"].get(replay["headline"], 0.0))
    return [
        item
        for item in point["moved"]
        if not within_error(float(item["change"]), float(item.get("mcse", level)))
    ]


def past(results: Results) -> Section | None:
    """The answer on past dates, if the scenario was replayed; None, which a notebook does not show, if not."""
    replay = results.get("history")
    return None if not replay else history(replay, drivers=False, stale=older(replay, results))


def older(replay: Results, results: Results) -> bool:
    """Whether a history is of another state than results, or than what was published after them: then its end is not
    what is answered now.
    """
    newest = results.get("newer") or {}
    here, there = (
        (told.get("run") or {}).get("digests") or {}
        for told in ({"run": newest} if "digests" in newest else results, replay)
    )
    return any(here[name] != there[name] for name in here.keys() & there.keys())


def glance(results: Results) -> Html:
    """The history as a small line and the sentence that reads it, for the first screen; empty without two dates.

    The chart with its table stands in the section of the history, to which the line leads.
    """
    replay = results.get("history")
    if not replay:
        return Html("")
    row = _replay_row(replay)
    dates, values, _ = _replayed(replay, row["name"])
    if len(dates) < 2:
        return Html("")
    first, last = (words.about(words.in_hundred(value)) for value in (values[0], values[-1]))
    # Of a report that something has changed since, nothing is told as what is thought now.
    then = older(replay, results) or bool(results.get("older"))
    when = f"on {words.long_date(dates[-1])} as last replayed" if then else "now"
    reading = f"{words.upper_first(first)} on {words.long_date(dates[0])}, {last} {when}"
    moved = [point for point in replay["points"] if clear_items(replay, point)]
    if moved:
        point, item = moved[-1], clear_items(replay, moved[-1])[0]
        error = float(point["mcse"].get(row["name"], 0.0))
        change = shift(float(item["change"]), row["unit"], error)
        reading += f"; last moved clearly by {quoted(item['title'], 120)}, {change}"
    line = _spark(dates, values, stepped=replay["every"] == "news", title=reading)
    all_dates = tag("a", "All dates", href="#history")
    return tag("p", join([line, f"{reading}.", all_dates], " "), class_="vl-glance")


SPARK = (150, 30)  # pixels, wide and high


def fits_sentence(replay: Results) -> str:
    """At how many dates the model was fitted, and what a step to one of them may be."""
    points = [point for point in replay["points"] if not point.get("own")]
    if not points:
        return ""
    fitted = sum(point["method"] == "fitted" for point in points)
    said = f"The model was fitted at {fitted} of {words.counted(len(points), 'date', 'dates')}"
    if fitted < len(points):
        said += "; in between, draws are weighed"
    if fitted > 1:
        said += ". Draws of another fit are others: what a step to its date has beyond its items is chance"
    return f"{said}."


def _sentences(told: Sequence[str]) -> str:
    return " ".join(filter(None, told))


def _own(replay: Results, name: str) -> bool:
    """Whether the last value of a quantity is an update's own, put after what was replayed."""
    last = next(point for point in reversed(replay["points"]) if name in point["values"])
    return bool(last.get("own"))


def own_sentence(replay: Results) -> str:
    """That a history ends in a point of the update that shows it; empty where it does not."""
    last = replay["points"][-1]
    if not last.get("own"):
        return ""
    how = "from a fit made for it" if last["method"] == "fitted" else "weighed now"
    return f"The last point, a ring, is this update's own, {how}."


def _spark(dates: Sequence[str], values: Sequence[float], *, stepped: bool, title: str) -> Html:
    """A line without axes: from the first date to the last, from zero to a little above the highest value."""
    days = [dt.date.fromisoformat(date).toordinal() for date in dates]
    wide, high = SPARK
    span, top = max(days[-1] - days[0], 1), max(*values, 0.01) * 1.1
    places = [
        (
            round(3 + (wide - 6) * (day - days[0]) / span, 1),
            round(high - 2 - (high - 5) * value / top, 1),
        )
        for day, value in zip(days, values, strict=True)
    ]
    path = f"M{places[0][0]:g} {places[0][1]:g}"
    for x, y in places[1:]:
        path += f"H{x:g}V{y:g}" if stepped else f"L{x:g} {y:g}"
    x, y = places[-1]
    return Html(
        f'<svg class="vl-spark" viewBox="0 0 {wide} {high}" role="img" aria-label="{esc(title)}">'
        f'<path d="M3 {high - 2}H{wide - 3}"/><path d="{path}"/>'
        f'<path d="M{x:g} {y:g}h0"/></svg>'
    )


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
            for item in clear_items(replay, point)
        ]
        lines.append(
            (
                str(point["as_of"]),
                level(float(point["values"][name]), unit, error),
                size(error, unit),
                str(point["rows"]),
                f"{point['method']}, this update" if point.get("own") else str(point["method"]),
                "–" if point["khat"] is None else words.fixed(point["khat"], 2),
                whole(float(point["effective_draws"])),
                "; ".join(moved) or "–",
            )
        )
    return lines


def _history_figure(replay: Results) -> tuple[Html, str, str]:
    """The drawing, all that it says, and the sentence on where it began and ends."""
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
    reading = _sentences([f"{reading}.", own_sentence(replay)])
    span = reading
    if notes:
        point, item = max(notes, key=lambda pair: abs(float(pair[1]["change"])))
        error = float(point["mcse"].get(row["name"], 0.0))
        reading += (
            f" The largest step by one item, {shift(float(item['change']), unit, error)}, came by "
            f"{words.long_date(point['as_of'])}: {quoted(item['title'], 90)}. {words.EXPECTED}"
        )
    drawing = figure(
        "figure-history",
        lambda ax: plots.history(
            ax,
            dates,
            values,
            errors,
            label="Chance that it pays off",
            stepped=replay["every"] == "news",
            own=_own(replay, row["name"]),
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
        reading=_sentences(
            [reading, "The band is two simulation errors each way.", fits_sentence(replay)]
        ),
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
    return drawing, reading, span


def _history_key(replay: Results) -> list[str]:
    """What the numbers in the picture stand for."""
    notes, row = _notes(replay), _replay_row(replay)
    if not notes:
        return []
    lines = []
    for index, (point, item) in enumerate(notes, 1):
        error = float(point["mcse"].get(row["name"], 0.0))
        moved = shift(float(item["change"]), row["unit"], error)
        when = tag("strong", f"{index}, {words.long_date(point['as_of'])}:")
        said = f"{moved}. {words.sentence(plots.short(item['title'], 160))}"
        lines.append(
            tag("li", join([when, said, tag("span", str(item["item"]), class_="vl-id")], " "))
        )
    return [
        tag("h3", "The numbers in the picture"),
        tag("ul", join(lines), class_="vl-list"),
    ]


def _panel(replay: Results, row: Results) -> Html:
    unit = row["unit"]
    dates, values, errors = _replayed(replay, row["name"])
    share = as_share(unit)
    error = max(errors, default=0.0)
    first, last = (level(value, unit, error) for value in (values[0], values[-1]))
    percent = share == "fraction"
    name = words.spell_dates(str(row["label"]))
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
            own=_own(replay, row["name"]),
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


def history(
    replay: Results | None, *, drivers: bool = True, renew: str = "", stale: bool = False
) -> Section:
    """The answer as it would have been on each date, with what moved it; then the drivers.

    ``drivers`` adds the other quantities; ``renew`` is the command that makes the replay again; ``stale`` says that
    something has changed since it was made.
    """
    title = "The answer over time"
    if not replay or not replay.get("points"):
        said = "No history has been made yet."
        how = join([said, "Make it with", tag("code", renew or "valuation replay")], " ")
        return section("history", title, paragraph(how), summary=said)
    renew = renew or _renewal(replay)
    own = replay.get("own")
    stale = stale or (own is not None and not own["current"])
    drawing, reading, span = _history_figure(replay)
    every = {"news": "each date on which news came", "month": "the end of each month"}
    by = "the priors, terms and code of that time" if stale else "today's priors, terms and code"
    before = ", before the last change of what it reads" if stale else ""
    if own is not None and own["rows_before"] < own["rows"]:
        before = f", before this news: it knew {own['rows_before']:,} of the {own['rows']:,} rows that count now"
    said = (
        f"On each date only what was public by then is used, with {by}; "
        f"computed for {every.get(replay['every'], str(replay['every']))}. The replay was made on "
        f"{words.long_date(replay['made'])}{before}; renew with"
    )
    made = paragraph(join([said, tag("code", renew)], " "), "vl-meta")
    parts: list[str] = [drawing, *_history_key(replay), made]
    if drivers:
        parts += _panels(replay)
    return section("history", title, *parts, summary=reading, finding=span)


def _renewal(replay: Results) -> str:
    """The command that makes a history again."""
    scenario = "" if replay["scenario"] == BASE else f" --scenario {replay['scenario']}"
    return f"valuation replay --every {replay['every']}{scenario}{for_deal(replay['deal'])}"


def _panels(replay: Results) -> list[str]:
    """The other quantities that moved beyond their error, and the names of those that did not."""
    order = ("value", "driver", "event", "definition")
    rows = [
        row
        for row in replay["quantities"]
        if row["name"] != replay["headline"] and _replayed(replay, row["name"])[0]
    ]
    rows.sort(key=lambda row: order.index(row["group"]) if row["group"] in order else len(order))
    moved: list[Results] = []
    still: list[Results] = []
    for row in rows:
        _, values, errors = _replayed(replay, row["name"])
        told = within_error(max(values) - min(values), max(errors))
        (still if told else moved).append(row)
    if not rows:
        return []
    parts: list[str] = []
    if moved:
        parts.append(tag("div", *(_panel(replay, row) for row in moved), class_="vl-grid"))
    if still:
        names = words.listed([words.lower_first(str(row["label"])) for row in still])
        parts.append(
            paragraph(f"Not moved by more than two simulation errors: {names}.", "vl-meta")
        )
    finding = (
        f"Of {len(rows)} other quantities {len(moved)} moved by more than two simulation errors."
    )
    return [details("What lies behind it, over the same time", *parts, finding=finding)]
