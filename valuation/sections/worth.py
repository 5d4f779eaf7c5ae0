"""What could be done, and what it is worth to know more before doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.schema import INDICATOR
from valuation.sections import words
from valuation.sections.parts import (
    Section,
    bullets,
    columns,
    details,
    figure,
    get,
    paragraph,
    section,
    table,
)

Results = Mapping[str, Any]

SURE = 2.0  # errors by which a difference must exceed nothing before it is called one
SHOWN = 8  # drivers drawn; the table has all

WHAT_IS_AN_OPTION = (
    "An option is something that the owner can still do. It is worth what is still to come under it, "
    "as present value at closing: what has been paid is the same under each and is left out."
)
WHAT_NEWS_IS_WORTH = (
    "News is worth what choosing after it brings more, on average, than choosing without it: "
    "nothing, if every reading of it leads to the same choice. It is no gain to hear good news, "
    "only to act on it."
)


def _by_name(results: Results) -> dict[str, Results]:
    return {row["option"]: row for row in get(results, "options")["choices"]}


def _sure(value: float, error: float) -> bool:
    return value > SURE * error and value > 0


def _digits(*errors: float) -> int:
    return words.decimals(max(errors), most=2)


def _millions(value: float, error: float) -> str:
    """Millions without a unit, rounded as its error allows; never less than nothing shown as more."""
    step = next((s for s in (100, 50, 10, 5) if 1000 * error >= 2 * s), 1)
    return words.fixed(step * round(1000 * value / step), 0)


def _with_error(value: float, error: float) -> str:
    """``530 ± 60``; a nothing that is exact is only 0."""
    size = _millions(error, error)
    return _millions(value, error) if size == "0" else f"{_millions(value, error)} ± {size}"


def _bars(labels: Sequence[str], rows: Sequence[Results], x_label: str) -> plots.Draw:
    """A picture of what each row is worth, in millions."""
    worth, errors = ([1000 * float(row[key]) for row in rows] for key in ("value", "mcse"))
    texts = [_with_error(row["value"], row["mcse"]) for row in rows]
    return lambda ax: plots.worth_bars(ax, labels, worth, errors, texts, x_label=x_label)


def _named(title: str) -> str:
    return f"“{title}”"


def _futures(chance: float) -> str:
    """A chance as ``75 of 100``, for sentences that already say *in*."""
    return words.in_hundred(chance).replace(" in 100", " of 100")


# --- options --------------------------------------------------------------------------------------


def options(results: Results) -> Section:
    """What each option brings, which is best, and at which price that would change."""
    found = get(results, "options")
    title = "What could be done now"
    if found["why"]:
        return section("options", title, paragraph(found["why"]), summary=found["why"])
    bn = words.bn(results)
    rows = sorted(found["choices"], key=lambda row: row["behind"])
    reading = _options_reading(found, _by_name(results), results)
    labels = [row["title"] for row in rows]
    notes = [f"best in {_futures(row['chance_best'])}" for row in rows]
    drawing = figure(
        "figure-options",
        lambda ax: plots.intervals(
            ax,
            labels,
            [float(row["lower"]) for row in rows],
            [float(row["mean"]) for row in rows],
            [float(row["upper"]) for row in rows],
            x_label=f"Still to come, {bn}: mean and 90% interval",
            notes=notes,
            highlight=0,
        ),
        title="What each option brings",
        reading=reading,
        heads=columns(
            "Option",
            f"Mean, {bn}",
            "5%",
            "95%",
            f"Less than the best, {bn}",
            "Best in",
            "Less than nothing in",
            numeric=[1, 2, 3, 4],
        ),
        rows=[
            (
                row["title"],
                words.fixed(row["mean"], _digits(row["mcse"])),
                words.fixed(row["lower"], 1),
                words.fixed(row["upper"], 1),
                words.fixed(row["behind"], _digits(row["behind_mcse"] or row["mcse"])),
                words.in_hundred(row["chance_best"]),
                words.in_hundred(row["chance_loss"]),
            )
            for row in rows
        ],
        height=90 + 44 * len(rows),
        narrow_height=80 + 66 * len(rows),
    )
    return section(
        "options",
        title,
        paragraph(WHAT_IS_AN_OPTION),
        drawing,
        _prices(rows, results),
        details(
            "Where the options come from",
            bullets(f"{row['title']}: {_origin(row)}" for row in rows),
        ),
        summary=reading,
    )


def _origin(row: Results) -> str:
    reason = words.sentence(" ".join(str(row["reason"]).split()))
    return f"{reason} Source: {row['source']}, {words.long_date(row['dated'])}."


def _options_reading(found: Results, by_name: Mapping[str, Results], results: Results) -> str:
    bn = words.bn(results)
    best, second = by_name[found["best"]], by_name[found["runner_up"]]
    margin, error = float(found["margin"]), float(found["margin_mcse"])
    day = words.long_date(found["decided_on"])
    if _sure(margin, error):
        said = (
            f"Of what can be chosen on {day}, “{best['title']}” brings most on average: "
            f"{words.money(bn, best['mean'], _digits(best['mcse']))} of what is still to come, "
            f"{words.money(bn, margin, _digits(error))} more than “{second['title']}”."
        )
    else:
        said = (
            f"Of what can be chosen on {day}, “{best['title']}” and “{second['title']}” bring as "
            f"much on average, {words.money(bn, best['mean'], _digits(best['mcse']))} of what is still "
            f"to come: their difference, {words.money(bn, margin, _digits(error))}, is no more than "
            f"the simulation's error, {words.money(bn, error, _digits(error))}."
        )
    often = max(by_name.values(), key=lambda row: row["chance_best"])
    said += (
        f" With hindsight {_named(best['title'])} would be the best choice in "
        f"{_futures(best['chance_best'])} futures"
    )
    if often is not best:
        said += f", “{often['title']}” in {_futures(often['chance_best'])}"
    said += "."
    price, tips = (words.amount(best, name) for name in ("price_bn", "indifferent_bn"))
    if price is not None and tips is not None:
        said += (
            f" What {_named(best['title'])} brings rests on a price of {words.money(bn, price)} for the whole "
            f"target: {'at less' if best['sells'] else 'at more'} than "
            f"{words.money(bn, tips)} it would be worse than doing nothing."
        )
    return said


def _prices(rows: Sequence[Results], results: Results) -> str:
    """At what price of the whole target each trade would not matter."""
    bn = words.bn(results)
    traded = [row for row in rows if words.amount(row, "price_bn") is not None]
    if not traded:
        return ""
    body = table(
        "At which price of the whole target each trade is better than doing nothing",
        columns("Option", f"Price assumed, {bn}", "Better than doing nothing", numeric=[1]),
        [
            (row["title"], words.fixed(words.amount(row, "price_bn"), 1), _tipping(row, results))
            for row in traded
        ],
    )
    told = "; ".join(f"{row['title']}: {_tipping(row, results)}" for row in traded)
    return details("At which price a trade is better than doing nothing", body, finding=f"{told}.")


def _tipping(row: Results, results: Results) -> str:
    price = words.amount(row, "indifferent_bn")
    if price is None:
        return "at any price" if row["sells"] else "at no price"
    return f"{'above' if row['sells'] else 'below'} {words.money(words.bn(results), price)}"


# --- news -----------------------------------------------------------------------------------------


def waiting(results: Results) -> Section:
    """Coming disclosures by what they are worth to whoever must choose."""
    found, title = get(results, "information"), "Which news is worth waiting for"
    if found["why"]:
        return section("waiting", title, paragraph(found["why"]), summary=found["why"])
    m = words.millions(results)
    rows = found["disclosures"]
    if not rows:
        why = "No disclosure is awaited that these draws could speak of."
        return section("waiting", title, paragraph(why), _left_out(found), summary=why)
    reading = _waiting_reading(results)
    labels = [f"{row['title']} ({_window(row)})" for row in rows]
    drawing = figure(
        "figure-waiting",
        _bars(labels, rows, f"Worth, {m} (line: two errors)"),
        title="What coming news is worth",
        reading=reading,
        heads=columns(
            "News",
            "Expected",
            f"Worth, {m}",
            f"If it were exact, {m}",
            f"Whole future then, {m}",
            "Changes the choice in",
            numeric=[2, 3, 4],
        ),
        rows=[
            (
                row["title"],
                _window(row),
                _with_error(row["value"], row["mcse"]),
                _with_error(row["evppi"], row["evppi_mcse"]),
                _with_error(row["evpi"], row["evpi_mcse"]),
                words.in_hundred(row["changes"]) if _sure(row["value"], row["mcse"]) else "–",
            )
            for row in rows
        ],
        height=80 + 46 * len(rows),
        narrow_height=70 + 66 * len(rows),
    )
    return section(
        "waiting",
        title,
        paragraph(WHAT_NEWS_IS_WORTH),
        drawing,
        _balance(rows, results),
        _advice(results),
        _left_out(found),
        details(
            "Where the expected news comes from",
            bullets(
                f"{row['title']}: {_origin(row)} Comes with a chance of "
                f"{words.percent(row['chance'])} and is then true with one of "
                f"{words.percent(row['chance_true'])} (grade {row['credibility']})."
                for row in rows
            ),
        ),
        summary=reading,
        finding=_waiting_finding(rows, words.currency(results)),
    )


def _window(row: Results) -> str:
    first, last = str(row["earliest"]), str(row["latest"])
    a, b = words.long_date(first), words.long_date(last)
    if first[:7] == last[:7]:
        return b.split(" ", 1)[1]
    if first[:4] == last[:4]:
        return f"{a.split(' ')[1]} to {b.split(' ', 1)[1]}"
    return f"{a.split(' ', 1)[1]} to {b.split(' ', 1)[1]}"


def _if_it_comes(row: Results) -> str:
    chance = float(row["chance"])
    return f" if it comes at all ({words.percent(chance)})" if chance < 1 else ""


def _waiting_reading(results: Results) -> str:
    bn = words.bn(results)
    currency = words.currency(results)
    found, by_name = get(results, "information"), _by_name(results)
    best = by_name[get(results, "options")["best"]]
    rows = found["disclosures"]
    some = [row for row in rows if _sure(row["value"], row["mcse"])]
    whole = words.money(bn, found["evpi"], _digits(found["evpi_mcse"]))
    if not some:
        return (
            f"None of the {len(rows)} pieces of news on the list is worth waiting for: whatever they "
            f"say, “{best['title']}” stays the choice, as far as these draws can tell. To see the "
            f"whole future before choosing would be worth {whole}."
        )
    top = some[0]
    said = (
        f"{_waits(rows)} Worth most is {_named(top['title'])}, expected {_window(top)}{_if_it_comes(top)}: "
        f"{currency} {_with_error(top['value'], top['mcse'])} m, where seeing the whole future would be worth "
        f"{whole}. In {_futures(top['changes'])} futures one would then do something else than without it."
    )
    lost = sum(float(words.amount(top, name)) for name in ("waiting_bn", "cost_bn"))
    if lost and abs(lost) > SURE * float(top["waiting_mcse"]):
        amount = _with_error(abs(lost), top["waiting_mcse"])
        said += (
            f" To wait until {words.long_date(top['latest'])} instead of choosing at once "
            f"{'costs' if lost > 0 else 'gains'} {currency} {amount} m by itself"
        )
        net, error = float(top["balance"]), float(top["balance_mcse"])
        if _sure(net, error):
            said += f", so that waiting for it brings {currency} {_with_error(net, error)} m on balance."
        elif _sure(-net, error):
            said += ", more than the news is worth: choose without it."
        else:
            said += ", so that on balance it makes no difference that these draws can show."
    else:
        said += " Waiting for it costs nothing that these draws can show."
    idle = [row for row in rows if row not in some]
    if idle:
        named = words.listed([_named(row["title"]) for row in idle])
        said += (
            f" Nothing that these draws can show is gained from {named}: however interesting, "
            f"{'it does' if len(idle) == 1 else 'they do'} not change what is best to do."
        )
    return said


def _waits(rows: Sequence[Results]) -> str:
    """Which news the rows show to be worth the wait."""
    waits = [_named(row["title"]) for row in rows if _verdict(row) == WAIT]
    if not waits:
        return "No news on the list is shown to be worth the wait."
    return f"Worth waiting for: {words.listed(waits)}."


def _waiting_finding(rows: Sequence[Results], currency: str) -> str:
    """The verdict on all news, and what it is worth; empty where none matters, which the reading says."""
    some = [row for row in rows if _sure(row["value"], row["mcse"])]
    if not some:
        return ""
    return (
        f"{_waits(rows)} Worth most is {_named(some[0]['title'])}: {currency} "
        f"{_with_error(some[0]['value'], some[0]['mcse'])} m."
    )


WAIT = "Wait for it"


def _verdict(row: Results) -> str:
    net, error = float(row["balance"]), float(row["balance_mcse"])
    if not _sure(row["value"], row["mcse"]):
        return "Changes nothing"
    if _sure(net, error):
        return WAIT
    return "Choose without it" if _sure(-net, error) else "No difference shown"


def _balance(rows: Sequence[Results], results: Results) -> str:
    """For each piece of news, whether it is worth the wait."""
    m = words.millions(results)
    lines = []
    for row in rows:
        lines.append(
            (
                row["title"],
                words.long_date(row["latest"]),
                _with_error(row["value"], row["mcse"]),
                _with_error(
                    words.amount(row, "waiting_bn") + words.amount(row, "cost_bn"),
                    row["waiting_mcse"],
                ),
                _verdict(row),
            )
        )
    return table(
        "Is it worth the wait? Waiting costs what choosing later, without the news, brings less",
        columns("News", "Wait until", f"Worth, {m}", f"Waiting costs, {m}", "So", numeric=[2, 3]),
        lines,
        stack=True,
    )


def _advice(results: Results) -> str:
    """What each reading of the news that matters would advise."""
    by_name = _by_name(results)
    lines = []
    for row in get(results, "information")["disclosures"]:
        if not _sure(row["value"], row["mcse"]):
            continue
        for datum in row["data"]:
            for reading in datum["readings"]:
                clear = float(reading["lead"]) > SURE * float(reading["lead_mcse"])
                advice = by_name[reading["best"] if clear else row["without"]]["title"]
                lines.append(
                    (
                        row["title"],
                        _case(datum, reading),
                        words.in_hundred(reading["chance"]),
                        advice if clear else f"{advice}, as without it",
                    )
                )
    if not lines:
        return ""
    return details(
        "What each reading would advise",
        table(
            "For yes or no, or where a figure is in its lowest or highest fifth",
            columns("News", "If it says", "Chance", "Then"),
            lines,
            stack=True,
        ),
    )


def _case(datum: Results, reading: Results) -> str:
    what = f"{datum['label']}, {datum['subject']}" if datum["subject"] else str(datum["label"])
    if datum["unit"] == INDICATOR:
        return f"{words.upper_first(what)}: {reading['reading']}"
    return f"{what}: {reading['reading']} {words.quantity(reading['level'], datum['unit'])}"


def _left_out(found: Results) -> str:
    if not found.get("left_out"):
        return ""
    items = (f"{row['title']}: {words.spell_dates(row['why'])}" for row in found["left_out"])
    return details("Not asked on this date", bullets(items))


# --- knowing for certain --------------------------------------------------------------------------


def knowing(results: Results) -> Section:
    """What it would be worth to know each driver for certain, alone and by groups."""
    found, title = get(results, "information"), "What would be worth knowing for certain"
    if found["why"]:
        return section("knowing", title, paragraph(found["why"]), summary=found["why"])
    bn = words.bn(results)
    m = words.millions(results)
    currency = words.currency(results)
    drivers, groups = found["drivers"], found["groups"]
    whole = words.money(bn, found["evpi"], _digits(found["evpi_mcse"]))
    best = drivers[0] if drivers else None
    finding = ""
    if best is None or not _sure(best["value"], best["mcse"]):
        reading = (
            f"To know any one driver for certain would change nothing that these draws can show; "
            f"to see the whole future would be worth {whole}."
        )
    else:
        reading = (
            f"To know {_named(best['label'])} for certain before choosing would be worth {currency} "
            f"{_with_error(best['value'], best['mcse'])} m"
        )
        if (
            groups
            and len(groups[0]["drivers"]) > 1
            and _sure(groups[0]["value"], groups[0]["mcse"])
        ):
            reading += (
                f"; all that goes under {_named(groups[0]['label'])} together, {currency} "
                f"{_with_error(groups[0]['value'], groups[0]['mcse'])} m"
            )
        finding = f"{reading}."
        reading += (
            f". The whole future would be worth {whole}. No news is worth more than what it is "
            "about, and worths do not add up: two drivers may matter only together."
        )
    shown = [row for row in drivers if _sure(row["value"], row["mcse"])][:SHOWN] or drivers[:3]
    rows = [("Group", row) for row in groups] + [("Driver", row) for row in drivers]
    labels = [f"{row['label']} (all)" for row in groups[:1]] + [row["label"] for row in shown]
    drawing = figure(
        "figure-knowing",
        _bars(labels, [*groups[:1], *shown], f"Worth of knowing it for certain, {m}"),
        title="What knowing a driver for certain is worth",
        reading=reading,
        heads=columns("What", "Kind", f"Worth, {m}", numeric=[2]),
        rows=[(row["label"], kind, _with_error(row["value"], row["mcse"])) for kind, row in rows],
        height=80 + 40 * (len(shown) + 1),
        narrow_height=70 + 62 * (len(shown) + 1),
    )
    return section("knowing", title, drawing, summary=reading, finding=finding)
