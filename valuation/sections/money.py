"""The money: where the value comes from, when the cash falls, and what would change the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from valuation import plots
from valuation.currency import BN, BN_PER_YEAR, without
from valuation.errors import RunError
from valuation.schema import INDICATOR
from valuation.sections import words
from valuation.sections.parts import (
    Section,
    anchor,
    columns,
    details,
    figure,
    get,
    join,
    paragraph,
    section,
    table,
    tag,
)

Results = Mapping[str, Any]


def waterfall(results: Results) -> Section:
    """Mean present value by component; financial parts first, then what no market prices."""
    bn = words.bn(results)
    parts = list(get(results, "components"))
    head = get(results, "headline")
    hard = [part for part in parts if not part["strategic"]]
    soft = [part for part in parts if part["strategic"]]
    hard_sum = sum(float(part["mean"]) for part in hard)
    total = hard_sum + sum(float(part["mean"]) for part in soft)
    if abs(total - float(head["npv_mean"])) > 0.01 + 1e-3 * abs(total):
        raise RunError(
            f"components sum to {total:.3f} {bn} but the mean net present value is "
            f"{head['npv_mean']:.3f}; they must come from the same draws"
        )
    labels = [part["label"] for part in hard]
    means = [float(part["mean"]) for part in hard]
    totals = [False] * len(hard)
    if soft and hard:
        labels.append("Financial parts only")
        means.append(hard_sum)
        totals.append(True)
    labels += [f"{part['label']} (strategic)" for part in soft]
    means += [float(part["mean"]) for part in soft]
    labels.append("Mean net present value")
    means.append(total)
    totals += [False] * len(soft) + [True]
    digits = words.npv_digits(head, "npv_mean")
    best = max(parts, key=lambda part: part["mean"])
    reading = (
        "Means add up, medians do not. Financial parts alone come to "
        f"{words.money(bn, hard_sum, digits)}; "
        f"with strategic value the mean is {words.money(bn, total, digits)}. The largest gain is "
        f"{words.lower_first(best['label'])}, {words.money(bn, best['mean'])}."
    )
    drawing = figure(
        "figure-waterfall",
        lambda ax: plots.waterfall(ax, labels, means, unit=bn, totals=totals),
        title="Mean present value by component",
        reading=reading,
        heads=columns("Component", "Kind", f"Mean, {bn}", "5%", "95%", numeric=[2, 3, 4]),
        rows=[
            (
                part["label"],
                "strategic" if part["strategic"] else "financial",
                *(words.fixed(part[key], 1) for key in ("mean", "lower", "upper")),
            )
            for part in parts
        ],
        height=64 + plots.row_height(False) * len(labels),
        narrow_height=56 + 46 * len(labels),
    )
    return section("components", "Where the value comes from", drawing, summary=reading)


def _fan_figure(
    id: str, name: str, fan: Results, *, today: str, zero: bool = False
) -> tuple[str, str]:
    if fan["units"] == INDICATOR:
        return _chance_figure(id, name, fan, today=today)
    percent = fan["units"] == "fraction"
    label = fan["label"] if percent else f"{fan['label']}, {fan['units']}"
    last = len(fan["dates"]) - 1
    low, mid, high = (
        words.quantity(float(fan[key][last]), fan["units"]) for key in ("lower", "median", "upper")
    )
    known = fan["lower"][0] == fan["upper"][0]
    first = words.quantity(float(fan["median"][0]), fan["units"], figures=3 if known else 2)
    reading = (
        f"{name}: the median goes from {first} to {mid} by {words.long_date(fan['dates'][last])}; "
        f"the 90% interval is then {low} to {high}."
    )
    turn = _turn([float(value) for value in fan["median"]], fan["dates"], fan["units"])
    if turn:
        reading += f" In between the median {turn}."
    step = max(1, len(fan["dates"]) // 10)
    picked = list(range(0, len(fan["dates"]), step))
    drawing = figure(
        id,
        lambda ax: plots.fan(
            ax,
            fan["dates"],
            fan["lower"],
            fan["median"],
            fan["upper"],
            inner_lower=fan.get("lower50"),
            inner_upper=fan.get("upper50"),
            label=label,
            percent=percent,
            today=today if fan["dates"][0] < today < fan["dates"][last] else "",
            zero=zero,
        ),
        title=f"{name} over time",
        reading=reading,
        heads=columns("Date", "5%", "Median", "95%", numeric=[1, 2, 3]),
        rows=[
            (
                fan["dates"][index],
                *(
                    words.quantity(float(fan[key][index]), fan["units"], figures=3)
                    for key in ("lower", "median", "upper")
                ),
            )
            for index in picked
        ],
        height=250,
        half=True,
    )
    return drawing, reading


def _turn(path: Sequence[float], dates: Sequence[str], unit: str) -> str:
    """Where a path leaves the range of its two ends, if it does by a tenth of its whole range."""
    first, last = path[0], path[-1]
    low, high = min(path), max(path)
    slack = 0.1 * (high - low)
    said = []
    for verb, extreme, beyond in (
        ("falls to", low, low < min(first, last) - slack),
        ("rises to", high, high > max(first, last) + slack),
    ):
        if beyond:
            when = words.long_date(dates[path.index(extreme)])
            said.append(f"{verb} {words.quantity(extreme, unit)} ({when})")
    return words.listed(said)


def _chance_figure(id: str, name: str, fan: Results, *, today: str) -> tuple[str, str]:
    """A thing that is so or not: its chance over time is the mean."""
    chance = [float(value) for value in fan["mean"]]
    dates = fan["dates"]
    reading = (
        f"{name}: {words.percent(chance[0])} at first, {words.percent(chance[-1])} by "
        f"{words.long_date(dates[-1])}."
    )
    turn = _turn(chance, dates, "fraction")
    if turn:
        reading += f" In between it {turn}."
    step = max(1, len(dates) // 10)
    drawing = figure(
        id,
        lambda ax: plots.fan(
            ax,
            dates,
            chance,
            chance,
            chance,
            label=f"{fan['label']}: chance",
            percent=True,
            today=today if dates[0] < today < dates[-1] else "",
        ),
        title=f"{name}, chance over time",
        reading=reading,
        heads=columns("Date", "Chance", numeric=[1]),
        rows=[(dates[i], words.percent(chance[i])) for i in range(0, len(dates), step)],
        height=250,
        half=True,
    )
    return drawing, reading


def cash(results: Results) -> Section:
    """Cumulative cash over the horizon."""
    fan = get(results, "cash")
    drawing, reading = _fan_figure(
        "figure-cash", fan["label"], fan, today=results["as_of"], zero=True
    )
    title = "When the money comes back"
    return section("cash", title, drawing, *_payback(results), summary=reading, half=True)


def _payback(results: Results) -> list[str]:
    told = results.get("payback")
    if not told:
        return []
    never = float(told["never"])
    said = (
        "Undiscounted, and counting strategic value as if it were cash, the outlay never comes back "
        f"in {words.about(words.in_hundred(never))} futures"
    )
    if told["median_years"] is None:
        said += ", so that there is no median time to wait."
    else:
        years = words.compact(told["median_years"], figures=2)
        said += f"; the median time until it has is {years} years."
    return [paragraph(said)]


# What most readers ask about first; every other driver is folded away below these.
LEADING = (
    "talent_retained",
    "adoption_share",
    "revenue",
    "rivals_active",
    "capability_gap",
    "stake_value",
)


def drivers(results: Results) -> Section:
    """What drives the money, over time, one small picture each."""
    fans: Mapping[str, Results] = get(results, "drivers")
    drawn = {
        name: _fan_figure(
            f"figure-driver-{anchor(name)}", fan["label"], fan, today=results["as_of"]
        )
        for name, fan in fans.items()
    }
    first = [name for name in LEADING if name in fans]
    rest = [name for name in fans if name not in first]
    intro = paragraph(
        "Simulated futures: the line is the median, the dark band holds half of the futures and "
        "the light band nine in ten; where something can only be so or not, the line is "
        "its chance. The dotted line is "
        f"{words.long_date(results['as_of'])}: to its right nothing is known."
    )
    parts = [tag("div", join([drawn[name][0] for name in first]), class_="vl-grid")]
    if rest:
        folded = tag("div", join([drawn[name][0] for name in rest]), class_="vl-grid")
        parts.append(details(f"{len(rest)} more drivers", folded))
    return section(
        "drivers",
        "What drives it, over time",
        intro,
        *parts,
        summary=" ".join(drawn[name][1] for name in first or rest),
        finding=f"{len(fans)} drivers. {drawn[(first or rest)[0]][1]}" if fans else "",
    )


def _crossing(x: Sequence[float], chance: Sequence[float], level: float = 0.5) -> float | None:
    """Where a curve first crosses ``level``, by straight lines between its points."""
    for left, right, before, after in zip(x, x[1:], chance, chance[1:], strict=False):
        if (before - level) * (after - level) <= 0 and before != after:
            return left + (right - left) * (level - before) / (after - before)
    return None


def price(results: Results) -> Section:
    """The chance against the price that might have been paid."""
    bn = words.bn(results)
    rows = list(get(results, "price"))
    deal, head = results["deal"], get(results, "headline")
    paid = float(words.amount(deal, "outlay_bn"))
    at = [float(words.amount(row, "price_bn")) for row in rows]
    chance = [float(row["probability"]) for row in rows]
    even = _crossing(at, chance)
    here = words.percent(float(np.interp(paid, at, chance)), head["mcse"])
    reading = f"At the price paid, {words.money(bn, paid)}, the chance is {here}. " + (
        f"It would be even at about {words.money(bn, even, 0 if even > 10 else 1)}."
        if even is not None
        else "No price shown here makes it even."
    )
    drawing = figure(
        "figure-price",
        lambda ax: plots.chance_curve(
            ax,
            at,
            chance,
            x_label=f"Total outlay, {bn}",
            marks=[(paid, "paid")] if at[0] <= paid <= at[-1] else [],
        ),
        title="Chance of paying off against the price",
        reading=reading,
        heads=columns(f"Outlay, {bn}", "Chance", numeric=[0, 1]),
        rows=[(words.fixed(p, 1), words.percent(c)) for p, c in zip(at, chance, strict=True)],
        height=250,
        half=True,
    )
    return section("price", "At another price", drawing, summary=reading, half=True)


def hurdle(results: Results) -> Section:
    """The chance against the rate that money is asked to earn."""
    bn = words.bn(results)
    rows = list(get(results, "hurdle"))
    deal, head = results["deal"], get(results, "headline")
    rates = [float(row["rate"]) for row in rows]
    chance = [float(row["probability"]) for row in rows]
    asked, stake = (deal.get(key) for key in ("discount_per_year", "stake_discount_per_year"))
    one_rate = asked is not None and stake in (None, asked)
    first = f"With no discounting at all the chance is {words.percent(chance[0], head['mcse'])}"
    if rates[0] > 0:
        first = (
            f"At {words.quantity(rates[0], 'fraction')} a year the chance is "
            f"{words.percent(chance[0], head['mcse'])}"
        )
    reading = (
        f"{first}; at {words.quantity(rates[-1], 'fraction')} a year it is "
        f"{words.percent(chance[-1], head['mcse'])}."
    )
    if asked is not None and not one_rate:
        reading += (
            f" Here one rate serves all flows; the headline discounts the stake at "
            f"{words.quantity(stake, 'fraction')} and all else at "
            f"{words.quantity(asked, 'fraction')}."
        )
    drawing = figure(
        "figure-hurdle",
        lambda ax: plots.chance_curve(
            ax,
            rates,
            chance,
            x_percent=True,
            x_label="Discount rate, % a year",
            marks=[(float(asked), "used here")] if one_rate else [],
        ),
        title="Chance of paying off against the discount rate",
        reading=reading,
        heads=columns("Rate a year", "Chance", f"Mean NPV, {bn}", numeric=[0, 1, 2]),
        rows=[
            (
                words.quantity(row["rate"], "fraction"),
                words.percent(row["probability"]),
                words.fixed(row["npv_mean"], 1),
            )
            for row in rows
        ],
        height=250,
        half=True,
    )
    return section("hurdle", "At another discount rate", drawing, summary=reading, half=True)


def tornado(results: Results) -> Section:
    """How far the mean moves when each driver is low or high, from the existing draws."""
    bn = words.bn(results)
    rows = list(get(results, "tornado"))
    head = get(results, "headline")
    rows.sort(key=lambda row: -abs(row["npv_high"] - row["npv_low"]))
    top = rows[0]
    digits = words.bar_digits(top, head)
    reading = (
        f"“{words.upper_first(top['label'])}” moves the mean most: "
        f"{words.money(bn, top['npv_low'], digits)} where it is "
        f"low ({words.quantity(top['low_value'], top['unit'])}), "
        f"{words.money(bn, top['npv_high'], digits)} where "
        f"it is high ({words.quantity(top['high_value'], top['unit'])}). Low: 1 in 10 futures have "
        "the driver below that value; high: 1 in 10 above. The centre line is the mean "
        f"over all futures, {words.npv_money(head, 'npv_mean', bn)}."
    )
    labels = [row["label"] for row in rows]
    drawing = figure(
        "figure-tornado",
        lambda ax: plots.tornado(
            ax,
            labels,
            [float(row["npv_low"]) for row in rows],
            [float(row["npv_high"]) for row in rows],
            centre=float(head["npv_mean"]),
            unit=bn,
            low_notes=[_short(row["low_value"], row["unit"]) for row in rows],
            high_notes=[_short(row["high_value"], row["unit"]) for row in rows],
        ),
        title="Mean net present value where each driver is low or high",
        reading=reading,
        heads=columns(
            "Driver",
            "Low (1 in 10 below)",
            "High (1 in 10 above)",
            f"Mean NPV at low, {bn}",
            f"Mean NPV at high, {bn}",
            numeric=[1, 2, 3, 4],
        ),
        rows=[
            (
                row["label"],
                words.quantity(row["low_value"], row["unit"]),
                words.quantity(row["high_value"], row["unit"]),
                words.fixed(row["npv_low"], 1),
                words.fixed(row["npv_high"], 1),
            )
            for row in rows
        ],
        height=96 + plots.row_height(False) * len(rows),
        narrow_height=90 + (60 if any(len(label) > 46 for label in labels) else 46) * len(rows),
    )
    return section("tornado", "What it depends on", drawing, summary=reading)


_UNITS = {
    BN_PER_YEAR: "bn/yr",
    BN: "bn",
    "x revenue": "× rev.",
    "index points": "pts",
}


def _short(value: float, unit: str) -> str:
    """A driver's value as it fits beside a bar, its unit abbreviated."""
    short = _UNITS.get(without(unit))
    return f"{words.quantity(value, '')} {short}" if short else words.quantity(value, unit)


def break_even(results: Results) -> Section:
    """What would have to be true: the chance over two drivers at once."""
    grid = get(results, "break_even")
    x, y = ([float(v) for v in grid[key]] for key in ("x", "y"))
    chance = np.array(
        [[np.nan if v is None else float(v) for v in row] for row in grid["probability"]], float
    )
    known = np.isfinite(chance)
    x_name, y_name = str(grid["x_label"]), str(grid["y_label"])
    if known.any():
        row, column = np.unravel_index(int(np.nanargmax(chance)), chance.shape)
        best = (
            f"the best, {words.in_hundred(float(chance[row, column]))}, is where "
            f"“{x_name}” is {words.compact(x[column])} and “{y_name}” is {words.compact(y[row])}"
        )
        reading = (
            f"Of the combinations shown {best}."
            if float(chance[row, column]) >= 0.5
            else f"No combination shown reaches even odds; {best}."
        )
    else:
        reading = "No combination holds enough futures to say."
    picked = [int(i) for i in np.linspace(0, len(x) - 1, min(6, len(x)))]
    drawing = figure(
        "figure-break-even",
        lambda ax: plots.break_even(ax, x, y, chance, x_label=x_name, y_label=y_name),
        title="Chance of paying off over two drivers",
        reading=f"Blue: more likely to pay off than not; orange: less. {reading}",
        alt=reading,
        heads=columns(
            f"{y_name} ↓, {x_name} →",
            *(words.compact(x[i]) for i in picked),
            numeric=range(len(picked) + 1),
        ),
        rows=[
            (
                words.compact(y[row]),
                *(words.percent(float(chance[row, i])) for i in picked),
            )
            for row in reversed(range(len(y)))
        ],
        width=560,
        height=330,
        narrow_height=340,
    )
    alone = _one_by_one(results)
    beside = tag("div", drawing, tag("div", *alone), class_="vl-split") if alone else drawing
    return section("break-even", "What would have to be true", beside, summary=reading)


def _one_by_one(results: Results) -> list[str]:
    """For each leading driver alone, the value at which the mean is zero and its chance."""
    rows = list(results.get("break_even_values") or ())
    if not rows:
        return []
    reachable = [row for row in rows if row["value"] is not None]
    rest = len(rows) - len(reachable)
    if rest == len(rows):
        return [
            paragraph(
                f"None of the {rest} leading drivers makes the mean net present value zero by "
                "itself, whatever value it takes within its range; the map sets two at once."
            )
        ]
    lines = []
    for row in reachable:
        side = "at least" if row["at_least"] else "at most"
        needed = f"{side} {words.quantity(row['value'], row['unit'])}"
        chance = "–" if row["probability"] is None else words.percent(row["probability"])
        lines.append((row["label"], needed, chance))
    body = table(
        "One driver at a time: where the mean net present value reaches zero",
        columns("Driver", "Needed", "Chance of that", numeric=[2]),
        lines,
    )
    if not rest:
        return [body]
    return [
        body,
        paragraph(
            f"None of the other {rest} leading drivers is enough by itself, whatever value it takes "
            "within its range; the map sets two at once."
        ),
    ]
