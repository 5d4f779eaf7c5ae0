"""The answer: the first screen, what it assumes, how it is defined, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from valuation import plots
from valuation.sections import change, past, words
from valuation.sections.parts import (
    Html,
    Section,
    bullets,
    columns,
    esc,
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


def pays_off_sentence(results: Results) -> str:
    """The answer in one sentence, as a count of 100 futures."""
    head, deal = get(results, "headline"), get(results, "deal")
    lead = (
        f"On what was public by {words.long_date(results['as_of'])}, {deal['title']} is "
        f"{words.likely(head['probability'])} to pay off: it does in "
        f"{words.about(head['natural'].replace(' in ', ' of '))} simulated futures."
    )
    given = _givens(results["scenario"])
    return f"{given}, {words.clause(lead)}." if given else lead


_BY_HAND = " (set, not predicted)"


def _givens(scenario: Results) -> str:
    """What the scenario supposes, short enough to begin a sentence; its name if it is long."""
    held = [words.clause(text) for text in scenario.get("conditions", ())]
    made = list(scenario.get("sets", ()))
    terms = [words.clause(text) for text in scenario.get("terms", ())]
    if not held and not made and not terms:
        return ""
    supposed = words.listed(held)
    if terms:
        changed = f"On changed terms ({words.listed(terms)})"
        if not held and not made and len(changed) <= 130:
            return changed
        supposes = " and supposes more" if held or made else ""
        return f"In the scenario “{scenario['title']}”, which changes the terms{supposes}"
    if made or len(supposed) > 110:
        note = ", which is partly set by assumption and not predicted" if held and made else ""
        note = ", which is set by assumption and not predicted" if made and not held else note
        return f"In the scenario “{scenario['title']}”{note}"
    return f"If {supposed}"


def _card(name: str, value: str, note: str) -> Html:
    return tag(
        "li",
        tag("span", name, class_="vl-card-name"),
        tag("span", value, class_="vl-card-value"),
        tag("span", note, class_="vl-card-note"),
    )


def _with_range(lead: str, head: Results) -> str:
    """The answer with the range that other priors give it."""
    low, high = (words.percent(head[key]) for key in ("opinion_low", "opinion_high"))
    return lead if low == high else f"{lead.removesuffix('.')} ({low} to {high} by other priors)."


def _cards(results: Results) -> Html:
    bn = words.bn(results)
    head = results["headline"]
    chance, error = head["probability"], head["mcse"]
    low, high = head["opinion_low"], head["opinion_high"]
    digits = max(words.npv_digits(head, "npv_lower"), words.npv_digits(head, "npv_upper"))
    ends = [words.fixed(head[key], digits) for key in ("npv_lower", "npv_upper")]
    return tag(
        "ul",
        _card(
            "Chance that it pays off",
            words.percent(chance, error),
            f"simulation error {words.points(error)}",
        ),
        _card(
            "With other priors",
            f"{words.percent(low)} to {words.percent(high)}",
            "same evidence, lowest and highest set",
        ),
        _card(
            "Median net present value",
            words.npv_money(head, "npv_median", bn),
            "half of the futures are worse",
        ),
        _card(
            f"{head['ci_prob']:.0%} interval, {bn}",
            f"{ends[0]} to {ends[1]}",
            f"{(1 - head['ci_prob']) / 2:.0%} lie below, {(1 - head['ci_prob']) / 2:.0%} above",
        ),
        class_="vl-cards",
    )


def _override(results: Results) -> Html:
    reason = str(results.get("run", {}).get("override") or "")
    failed = [check for check in results.get("diagnostics", ()) if not check["passed"]]
    if not reason and not failed:
        return Html("")
    said = (
        f"Published although checks failed. Reason given: {words.sentence(reason)}"
        if reason
        else "Checks failed."
    )
    return tag(
        "div",
        paragraph(f"{said} {' '.join(words.sentence(check['sentence']) for check in failed)}"),
        class_="vl-warning",
        role="note",
    )


def _supposed(what: str, items: Sequence[str]) -> Html:
    return tag("div", tag("p", tag("strong", what)), bullets(items, "vl-list"), class_="vl-do")


def _notes(results: Results) -> Html:
    """What a reader should know before trusting the cards, such as the age of the evidence."""
    told = [*results.get("notes", ()), *words.ages(results.get("freshness"))]
    said = [words.sentence(words.spell_dates(str(text))) for text in told]
    return bullets(said, "vl-notes") if said else Html("")


def ending_sentence(results: Results) -> str:
    """What happened, beside the answer that was given blind; empty for a deal whose end is open."""
    ending = results["deal"].get("ending")
    if not ending:
        return ""
    chance = words.about(results["headline"]["natural"])
    outcome = "paid off" if ending["paid_off"] else "did not pay off"
    return (
        f"Seen blind on {words.long_date(results['as_of'])} the chance was {chance}; the deal {outcome}: "
        f"{words.spell_dates(ending['told'].rstrip('.'))} ({ending['publisher']}, "
        f"{words.long_date(ending['date'])})."
    )


def _ending(results: Results) -> Html:
    said = ending_sentence(results)
    if not said:
        return Html("")
    source = link(results["deal"]["ending"]["address"], "Source")
    return tag(
        "div",
        tag("p", join([tag("strong", "What happened."), said, source], " ")),
        class_="vl-do",
        role="note",
    )


def _dots_figure(results: Results) -> Html:
    bn = words.bn(results)
    dots = get(results, "npv_dots")
    head = results["headline"]
    above = sum(1 for value in dots if value > 0)
    quantiles = np.quantile(np.asarray(dots, float), np.arange(0.05, 1.0, 0.10))
    reading = f"Each dot is one of {len(dots)} equally likely futures."
    alt = (
        f"{reading} {above} end above zero. Half end below {words.npv_money(head, 'npv_median', bn)}; "
        f"{head['ci_prob']:.0%} lie from {words.npv_range(head, bn)}."
    )
    rows = [
        (f"{share:.0%}", words.fixed(float(value), 1))
        for share, value in zip(np.arange(0.05, 1.0, 0.10), quantiles, strict=True)
    ]
    return figure(
        "figure-dots",
        lambda ax: plots.quantile_dots(ax, dots, unit=bn),
        title="100 equally likely futures by net present value",
        reading=reading,
        alt=alt,
        heads=columns("Share of futures below", f"Net present value, {bn}", numeric=[1]),
        rows=rows,
        width=560,
        height=330,
        narrow_height=310,
    )


def main_drivers(results: Results, count: int = 3) -> list[str]:
    """One sentence for each of the drivers that move the mean most."""
    bn = words.bn(results)
    said = []
    for row in list(get(results, "tornado"))[:count]:
        digits = words.bar_digits(row, results["headline"])
        low, high = (words.quantity(row[key], row["unit"]) for key in ("low_value", "high_value"))
        said.append(
            f"{row['label']}: mean NPV {words.money(bn, row['npv_low'], digits)} where it is low "
            f"({low}), "
            f"{words.money(bn, row['npv_high'], digits)} where it is high ({high})."
        )
    return said


def _drivers_list(results: Results) -> Html:
    items = []
    for text in main_drivers(results):
        name, _, rest = text.partition(": ")
        items.append(tag("li", tag("strong", name), f": {rest}"))
    counts = get(results, "evidence_counts")
    repeats = counts["total"] - counts["scored"] - counts["context"]
    evidence = (
        f"{counts['scored']} of {counts['total']} dated claims "
        f"{'bears' if counts['scored'] == 1 else 'bear'} on the answer; "
        f"{words.counted(counts['context'], 'is', 'are')} shown as background"
        f"{' and the rest repeat a counted one or were replaced' if repeats else ''}."
    )
    items.append(tag("li", tag("strong", "Evidence"), f": {evidence}"))
    opinion = (
        f"about {words.percent(get(results, 'opinion')['share'])} of the spread of outcomes goes with "
        "quantities that the evidence has not narrowed."
    )
    items.append(tag("li", tag("strong", "Opinion"), f": {opinion}"))
    return tag(
        "div",
        tag("h3", "What the answer rests on most"),
        tag("ul", join(items), class_="vl-list"),
        class_="vl-drivers",
    )


def headline(results: Results) -> Section:
    """The first screen: the answer, its interval, the definition used, what it rests on."""
    head = get(results, "headline")
    title = words.upper_first(words.about(head["natural"]))
    lead = pays_off_sentence(results)
    meaning = f"“Pays off” means here: {words.lower_first(words.sentence(head['label']))}"
    if "NPV" in meaning:
        meaning += " NPV (net present value) discounts later money to the day of closing."
    body = join(
        [
            _override(results),
            paragraph(_with_range(lead, head), "vl-lead"),
            paragraph(meaning, "vl-meta"),
            _newer(results),
            _since(results),
            past.glance(results),
            _cards(results),
            _notes(results),
            _ending(results),
            tag("div", _dots_figure(results), _drivers_list(results), class_="vl-split"),
        ]
    )
    return section("answer", title, body, summary=lead, kind="vl-answer")


def newer_sentence(newer: Results) -> str:
    """What was published after a report and from another state, by number and day."""
    if "problem" in newer:
        return words.sentence(f"What was published after this cannot be read: {newer['problem']}")
    chance, error = float(newer["probability"]), float(newer["mcse"])
    return (
        f"The newest published answer, by {newer['label']}, is {words.about(words.in_hundred(chance))} "
        f"({words.percent(chance, error)}, simulation error {words.points(error)}) on what was public by "
        f"{words.long_date(newer['as_of'])}."
    )


def _newer(results: Results) -> Html:
    """A box with the newest answer, where the page shows one from before it."""
    newer = results.get("newer")
    if not newer:
        return Html("")
    page = tag("a", "Its page", href=newer["page"]) if "page" in newer else Html("")
    said = [tag("strong", "This is not the newest answer."), newer_sentence(newer), page]
    return tag("div", tag("p", join(said, " ")), class_="vl-do", role="note")


def _since(results: Results) -> Html:
    """What changed since the last report of another state, and why."""
    since = results.get("since")
    if not since:
        return Html("")
    told = change.change_sentence({**since, "deal": {**results["deal"], "title": "it"}})
    if not since["shared"]:
        told += f" What moved it: valuation compare {since['was']['run'][-8:]} latest."
    return paragraph(f"Since {since['was']['label']}: {words.lower_first(told)}", "vl-since")


def scenario_banner(results: Results) -> Section:
    """What this scenario supposes, and how likely the model itself thinks it."""
    scenario = get(results, "scenario")
    lines: list[Html] = []
    label = scenario.get("prior_set_label") or scenario["prior_set"]
    believed = tag("span", f"Prior set: {words.lower_first(label)}.", class_="vl-meta")
    if scenario.get("story"):
        told = words.sentence(words.spell_dates(scenario["story"]))
        lines.append(tag("p", join([told, believed], " ")))
    held = [words.sentence(words.spell_dates(text)) for text in scenario.get("conditions", ())]
    made = [
        words.sentence(words.spell_dates(text).replace(_BY_HAND, ""))
        for text in scenario.get("sets", ())
    ]
    summary = "Nothing is supposed beyond the evidence and the priors."
    if held:
        chance, error = scenario["probability"], scenario["probability_mcse"]
        summary = (
            f"The condition has a chance of {words.percent(chance, error)} in the model itself "
            f"({words.about(words.in_hundred(chance))}, simulation error {words.points(error)})."
        )
        lines += [
            paragraph("Condition:"),
            bullets(held, "vl-list"),
            paragraph(
                f"{summary} Futures in which it does not hold are left out; nothing is refitted."
            ),
        ]
    if made:
        said = "Set by assumption, not predicted:"
        lines.append(_supposed(said, made))
        summary = f"{summary} {said} {' '.join(made)}" if held else f"{said} {' '.join(made)}"
    terms = [words.sentence(words.spell_dates(text)) for text in scenario.get("terms", ())]
    if terms:
        said = "Changed terms of the deal:"
        lines.append(_supposed(said, terms))
        told = f"{said} {' '.join(terms)}"
        summary = f"{summary} {told}" if held or made else told
    if not scenario.get("story"):
        lines.append(tag("p", believed if lines else join([summary, believed], " ")))
    return section("scenario", f"Scenario: {scenario['title']}", *lines, summary=summary)


def definitions(results: Results) -> Section:
    """The same futures under each definition of paying off."""
    rows = list(get(results, "definitions"))
    names = [row["definition"] for row in rows]
    head = results["headline"]["definition"]
    chances = [float(row["probability"]) for row in rows]
    texts = [words.percent(row["probability"], row["mcse"]) for row in rows]
    best, worst = int(np.argmax(chances)), int(np.argmin(chances))
    reading = (
        f"From {texts[worst]} ({words.lower_first(rows[worst]['label'])}) to {texts[best]} "
        f"({words.lower_first(rows[best]['label'])}). The headline's definition is in bold."
    )
    labels = [row["label"] for row in rows]
    drawing = figure(
        "figure-definitions",
        lambda ax: plots.chance_bars(
            ax, labels, chances, texts, highlight=names.index(head) if head in names else -1
        ),
        title="Chance of paying off by definition",
        reading=reading,
        heads=columns("Definition", "Chance", "Simulation error", numeric=[1, 2]),
        rows=[
            (row["label"], text, words.points(row["mcse"]))
            for row, text in zip(rows, texts, strict=True)
        ],
        height=60 + plots.row_height(False) * len(rows),
        narrow_height=60 + plots.row_height(True) * len(rows),
    )
    intro = paragraph(
        "What counts as paying off is a choice, and it moves the answer more than most evidence "
        "does."
        if max(chances) - min(chances) > 0.2
        else "What counts as paying off is a choice; here the definitions lie close together."
    )
    return section(
        "definitions", "By each definition of paying off", intro, drawing, summary=reading
    )


def npv(results: Results) -> Section:
    """The whole distribution of net present value."""
    bn = words.bn(results)
    head = get(results, "headline")
    dots = np.sort(np.asarray(get(results, "npv_dots"), float))
    count = len(dots)
    reach = 1 - (np.arange(count) + 0.5) / count
    low, high = float(np.quantile(dots, 0.01)), float(np.quantile(dots, 0.97))
    at = np.linspace(low, high, 60)
    chance = np.interp(at, dots, reach)
    quantiles = {float(q): float(v) for q, v in get(results, "npv_quantiles").items()}
    skewed = head["npv_mean"] > head["npv_median"] + 0.1 * (head["npv_upper"] - head["npv_lower"])
    reading = (
        "The chance of ending at least this well. The mean is "
        f"{words.npv_money(head, 'npv_mean', bn)}, "
        f"the median {words.npv_money(head, 'npv_median', bn)}"
        + (": a few very good futures pull the mean up." if skewed else ".")
    )
    digits = words.npv_digits(head, "npv_lower")
    drawing = figure(
        "figure-npv",
        lambda ax: plots.chance_curve(
            ax,
            at,
            chance,
            x_label=f"Net present value, {bn}",
            y_label="Chance of at least this much",
            marks=[(0.0, "breaks even")] if low < 0 < high else [],
        ),
        title="Chance of at least a given net present value",
        reading=reading,
        heads=columns("Share of futures below", f"Net present value, {bn}", numeric=[1]),
        rows=[(f"{q:.0%}", words.fixed(v, digits)) for q, v in sorted(quantiles.items())],
        height=250,
        half=True,
    )
    return section("npv", "How good, how bad", drawing, summary=reading, half=True)


def outside_view(results: Results) -> Section:
    """How often deals of this kind did well, beside this answer."""
    view, head = get(results, "outside_view"), get(results, "headline")
    title = "The outside view"
    if not view["n"]:
        said = "No comparable deal has a known outcome yet."
        return section("outside-view", title, paragraph(said), summary=said)
    chances = [float(head["probability"]), float(view["rate"])]
    lows = [float(head["opinion_low"]), float(view["lower"])]
    highs = [float(head["opinion_high"]), float(view["upper"])]
    shown = [words.percent(chances[0], head["mcse"]), words.percent(chances[1])]
    spans = [f"{words.percent(a)} to {words.percent(b)}" for a, b in zip(lows, highs, strict=True)]
    gap = 100 * (chances[0] - chances[1])
    side = "about the same as" if abs(gap) < 3 else ("below" if gap < 0 else "above")
    reading = (
        f"Of {view['n']} comparable deals whose outcome is known, {view['successes']} did well: "
        f"{shown[1]} (90% interval {spans[1]}). This answer, {shown[0]}, is {side} that record; its "
        "own range is that of the prior sets."
    )
    rest = [
        f"{view[key]} {what}"
        for key, what in (("mixed", "had a mixed outcome"), ("left_out", "are still open"))
        if view.get(key)
    ]
    labels = ["This answer", "Comparable deals"]
    drawing = figure(
        "figure-outside",
        lambda ax: plots.chance_bars(
            ax,
            labels,
            chances,
            [f"{value} ({span})" for value, span in zip(shown, spans, strict=True)],
            highlight=0,
            lower=lows,
            upper=highs,
            x_label="Chance, with its range",
        ),
        title="This answer beside the record of comparable deals",
        reading=reading,
        heads=columns("Which", "Chance", "Range", numeric=[1, 2]),
        rows=list(zip(labels, shown, spans, strict=True)),
        width=560,
        height=130,
        narrow_height=160,
    )
    more = [paragraph(f"Of all comparable deals listed, {words.listed(rest)}.")] if rest else []
    meaning = paragraph(
        "“Did well” means that the sources let the deal be coded a success: the price was clearly "
        "earned back. “Pays off” on this page is another measure, "
        f"{words.lower_first(words.sentence(head['label']))} The two bars answer different "
        "questions; a large gap calls for an explanation, a small one proves nothing."
    )
    beside = tag("div", drawing, tag("div", meaning, *more), class_="vl-split")
    return section("outside-view", title, beside, summary=reading)


def provenance(results: Results) -> Section:
    """Which inputs, code and seed made this page."""
    run = get(results, "run")
    deal = results.get("deal", {})
    rows: list[Sequence[str]] = [
        *([("Author of the settings", str(deal["author"]))] if deal.get("author") else []),
        *([("Currency", f"{deal['currency']}, in billions (bn)")] if deal.get("currency") else []),
        ("Information up to", words.long_date(results["as_of"])),
        ("Made", str(run["created"])[:19].replace("T", " ") + " UTC"),
        ("Random seed", str(run["seed"])),
        ("Sampler", str(run["sampler"])),
    ]
    rows += [
        (
            f"Digest of the {name.replace('_', ' ')}",
            Html(f'<code title="{esc(digest)}">{esc(str(digest)[:12])}</code>'),
        )
        for name, digest in run["digests"].items()
    ]
    rows.append(
        ("Versions", ", ".join(f"{name} {version}" for name, version in run["versions"].items()))
    )
    if run.get("override"):
        rows.append(("Gate overridden because", str(run["override"])))
    said = "The same inputs, seed and versions give the same numbers on the same machine."
    finding = (
        f"Made on {words.long_date(str(run['created'])[:10])} from what was public by "
        f"{words.long_date(results['as_of'])}, with seed {run['seed']}."
    )
    return section(
        "provenance",
        "Where this page comes from",
        paragraph(said),
        table("Provenance", columns("Item", "Value"), rows, hidden_caption=True),
        paragraph(
            "Every number in the prose is in results.json beside this page. This is an estimate "
            "from "
            "public reports, not investment advice.",
            "vl-meta",
        ),
        summary=said,
        finding=finding,
    )
