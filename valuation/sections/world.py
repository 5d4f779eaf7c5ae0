"""People, customers and the evidence: what is known of the world behind the money."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    columns,
    details,
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


def _chances(
    id: str,
    heading: str,
    rows: Sequence[Results],
    key: str,
    *,
    group: str,
    what: str,
    name: Callable[[Results], str] = lambda row: str(row["subject"]),
    more: Sequence[str] = (),
    told: Callable[[Results], Sequence[str]] = lambda row: (),
    after: Sequence[Html] = (),
    before: str = "",
    finding: str = "",
) -> Section:
    dates = sorted({date for row in rows for date in row[key]})
    first, last = dates[0], dates[-1]
    later = [row for row in rows if row[key].get(last) is not None]
    ranked = sorted(later, key=lambda row: -row[key][last])
    reading = (
        f"By {words.long_date(last)}: {ranked[0]['subject']} is the most likely to {what} "
        f"({words.percent(ranked[0][key][last])}), {ranked[-1]['subject']} the least "
        f"({words.percent(ranked[-1][key][last])})."
        if ranked
        else "No chances are given."
    )
    drawing = figure(
        f"figure-{id}",
        lambda ax: plots.movement(
            ax,
            [name(row) for row in ranked],
            [float(row[key].get(first, row[key][last])) for row in ranked],
            [float(row[key][last]) for row in ranked],
            first_name=words.long_date(first),
            second_name=words.long_date(last),
        ),
        title=heading,
        reading=(
            f"Ring: {words.long_date(first)}. Dot: {words.long_date(last)}. {reading}"
            if first != last
            else reading
        ),
        heads=columns(
            "Name",
            group,
            *more,
            *(words.long_date(date) for date in dates),
            numeric=range(2, 2 + len(more) + len(dates)),
        ),
        rows=[
            (
                row["subject"],
                _group(row),
                *told(row),
                *(
                    words.percent(row[key][date]) if row[key].get(date) is not None else "–"
                    for date in dates
                ),
            )
            for row in ranked
        ],
        height=84 + 28 * len(ranked),
        narrow_height=74 + 42 * len(ranked),
    )
    body = [paragraph(before)] if before else []
    summary = f"{before} {reading}".strip()
    return section(id, heading, *body, drawing, *after, summary=summary, finding=finding)


def _group(row: Results) -> str:
    if "cohort" in row:
        return str(row["cohort"]).replace("_", " ")
    rival = ", rival" if row.get("rival") else ""
    return f"{str(row['segment']).replace('_', ' ')}{rival}"


def people(results: Results) -> Section:
    """Who is likely to be in post on coming dates, and the curves behind it with what was seen."""
    curves = [_survival(row) for row in get(results, "survival") if row["marks"]]
    return _chances(
        "people",
        "Who is still there",
        get(results, "people"),
        "probability_in_post",
        group="Cohort",
        what="be in post",
        after=[
            tag("h3", "By months in post, with what was seen"),
            tag("div", join(curves), class_="vl-grid"),
        ]
        if curves
        else [],
    )


_STATUS = {"exit": "left", "seen": "still there when last seen"}


def _survival(row: Results) -> Html:
    """One cohort's curve; a diamond is an exit, a ring a last sighting, from where on nothing is known."""
    cohort = str(row["cohort"]).replace("_", " ")
    marks = sorted(row["marks"], key=lambda mark: (mark["month"], mark["label"]))
    named = {str(mark["label"]) for mark in marks}
    gone = {str(mark["label"]) for mark in marks if mark["status"] == "exit"}
    year = next((at for at, month in enumerate(row["months"]) if month >= 24), -1)
    reading = (
        f"{words.upper_first(cohort)}: after {row['months'][year]} months in post "
        f"{words.percent(row['median'][year])} are expected to be still there, 90% interval "
        f"{words.percent(row['lower'][year])} to {words.percent(row['upper'][year])}. Of "
        f"{words.counted(len(named), 'person', 'people')} followed by name {len(gone)} left (diamonds) and "
        f"{words.counted(len(named - gone), 'was', 'were')} still there when last seen (rings)."
    )
    step = max(1, len(row["months"]) // 10)
    return figure(
        f"figure-survival-{anchor(cohort)}",
        lambda ax: plots.curves(
            ax,
            row["months"],
            None,
            row,
            label=f"Still in post: {cohort}",
            percent=True,
            marks=[(float(m["month"]), str(m["label"]), m["status"]) for m in marks],
            x_label="Months since the deal closed, or since joining",
        ),
        title=f"{words.upper_first(cohort)}: chance of being in post",
        reading=reading,
        heads=columns("Months", "5%", "Median", "95%", numeric=[0, 1, 2, 3]),
        rows=[
            (
                str(row["months"][at]),
                *(words.percent(row[key][at]) for key in ("lower", "median", "upper")),
            )
            for at in range(0, len(row["months"]), step)
        ],
        height=270,
        half=True,
        more=table(
            f"{words.upper_first(cohort)}: what was seen",
            columns("Who", "Month", "Status", numeric=[1]),
            [
                (str(m["label"]), words.compact(float(m["month"])), _STATUS[m["status"]])
                for m in marks
            ],
        ),
    )


def customers(results: Results) -> Section:
    """Which customers are likely to be buying on coming dates, and how much of the revenue that is."""
    rows = list(get(results, "customers"))

    def share(row: Results) -> float:
        return float(row.get("revenue_share") or 0.0)

    before, finding = _revenue_kept(rows, share)
    return _chances(
        "customers",
        "Who still buys",
        rows,
        "probability_active",
        group="Segment",
        what="be buying",
        name=lambda row: (
            f"{row['subject']} ({words.percent(share(row))})" if share(row) else str(row["subject"])
        ),
        more=["Share of revenue at close"],
        told=lambda row: [words.percent(share(row)) if share(row) else "–"],
        before=before,
        finding=finding,
    )


def _revenue_kept(rows: Sequence[Results], share: Callable[[Results], float]) -> tuple[str, str]:
    """Chances weighted by the revenue that each customer stood for at close: all of it, and in short."""
    weighed = [row for row in rows if share(row) > 0]
    if not weighed:
        return "", ""
    dates = sorted(set.intersection(*(set(row["probability_active"]) for row in weighed)))
    whole = sum(share(row) for row in weighed)

    def kept(date: str) -> float:
        return sum(share(row) * float(row["probability_active"][date]) for row in weighed) / whole

    told = [f"{words.percent(kept(date))} by {words.long_date(date)}" for date in dates]
    said = (
        f"The customers whose weight is known stood for {words.percent(whole)} of revenue at close (in "
        f"brackets: each one's share). Weighted by it, the share expected to be buying is {words.listed(told)}."
    )
    return said, f"Weighted by revenue at close, {told[-1]} is expected to be still buying."


def counted(row: Results) -> str:
    """Whether a claim bears on the answer, and if not why."""
    if row["scored"]:
        return "Counted"
    if not row["kind"]:
        return "Background: shown, not counted"
    return "Not counted: repeats or is replaced by another row"


def _claim_rows(rows: Sequence[Results]) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for row in rows:
        reading = join(
            [
                part
                for part in (
                    str(row["kind"]).replace("_", " ") if row["kind"] else "",
                    str(row["subject"] or ""),
                    _value(row.get("value")),
                )
                if part
            ],
            " · ",
        )
        note = str(row.get("note") or "")
        about = join(
            [
                tag("span", counted(row), class_="vl-yes" if row["scored"] else "vl-no"),
                tag("span", reading, class_="vl-small") if reading else "",
                tag("span", note, class_="vl-small") if note and not row["scored"] else "",
            ]
        )
        credible = Html(
            f"{esc(row['credibility'])} "
            f"<span class='vl-small'>{words.percent(float(row['c']))} true</span>"
        )
        lines.append(
            (
                Html(f'<time datetime="{esc(row["published"])}">{esc(row["published"])}</time>'),
                Html(f"{esc(row['claim'])} <span class='vl-id'>{esc(row['id'])}</span>"),
                link(row["address"], row["publisher"] or row["source"]),
                credible,
                about,
            )
        )
    return lines


def _value(value: object) -> str:
    """A ledger value, without the trailing zeros of a float."""
    if value is None or value == "" or value != value:
        return ""
    text = words.compact(value, figures=4) if isinstance(value, float) else str(value)
    return f"value {text.replace('-', words.MINUS)}"


EVIDENCE_COLUMNS = ("Published", "Claim", "Source", "Grade", "Use")


def _claims(
    caption: str, rows: Sequence[Results], effects: Mapping[str, str] | None = None
) -> Html:
    """A table of claims; with ``effects``, by id, what each does to the chance of paying off."""
    heads, lines = columns(*EVIDENCE_COLUMNS), _claim_rows(rows)
    if effects:
        last = len(EVIDENCE_COLUMNS)
        heads = columns(*EVIDENCE_COLUMNS, "Effect on the chance", numeric=[last])
        lines = [
            (*line, effects.get(row["id"], "–")) for line, row in zip(lines, rows, strict=True)
        ]
    return table(caption, heads, lines, stack=True, sortable="Claims with the words")


def _effects(results: Results) -> dict[str, str]:
    """What each row that counts does to the chance: with it, less without it. Empty where no page has asked that."""
    said = (results.get("opinion") or {}).get("influence") or {}
    return {
        told["id"]: "not known" if told["why"] else words.moved(-told["change"], told["mcse"])
        for told in said.get("rows", ())
    }


def evidence_overview(results: Results) -> Section:
    """How much evidence of each kind there is, and how much of it counts."""
    rows = list(get(results, "evidence"))
    kinds = sorted({str(row["kind"]) for row in rows if row["kind"]})
    used = {kind: sum(1 for r in rows if r["kind"] == kind and r["scored"]) for kind in kinds}
    rest = {kind: sum(1 for r in rows if r["kind"] == kind and not r["scored"]) for kind in kinds}
    kinds.sort(key=lambda kind: (-used[kind], kind))
    roots = {row["root"] for row in rows if row["scored"]}
    reading = (
        f"{sum(used.values())} rows of {len(kinds)} kinds count; they go back to {len(roots)} "
        "original "
        f"reports. {sum(rest.values())} rows repeat one of these or are replaced."
    )
    labels = [words.upper_first(kind.replace("_", " ")) for kind in kinds]
    drawing = figure(
        "figure-kinds",
        lambda ax: plots.counts(
            ax,
            labels,
            [used[kind] for kind in kinds],
            [rest[kind] for kind in kinds],
            x_label="Rows of the ledger: those that count in blue",
        ),
        title="Evidence by kind",
        reading=reading,
        heads=columns("Kind", "Count", "Do not count", numeric=[1, 2]),
        rows=[
            (label, str(used[kind]), str(rest[kind]))
            for label, kind in zip(labels, kinds, strict=True)
        ],
        height=60 + 28 * len(kinds),
        narrow_height=56 + 44 * len(kinds),
    )
    return section("kinds", "What kinds of evidence there are", drawing, summary=reading)


def evidence(results: Results) -> Section:
    """Every claim with its source and grade: first those that count, then the others."""
    rows = sorted(
        get(results, "evidence"), key=lambda row: (row["published"], row["id"]), reverse=True
    )
    counts = get(results, "evidence_counts")
    used = [row for row in rows if row["scored"]]
    repeats = [row for row in rows if row["kind"] and not row["scored"]]
    background = [row for row in rows if not row["kind"]]
    summary = (
        f"{counts['total']} dated claims: {counts['scored']} bear on the answer, "
        f"{counts['typed'] - counts['scored']} repeat or are replaced by another, and "
        f"{counts['context']} are background."
    )
    intro = paragraph(
        f"{summary} Grades run from A (filing or on-record act) to D (rumour); each stands for a "
        "chance that the claim is true, and a claim that may be false moves the answer less. "
        "Stories "
        "that go back to one report count once."
    )
    effects = _effects(results)
    parts = [intro, _claims("Claims that count, newest first", used, effects)]
    if effects:
        told = (
            "The effect is the chance of paying off with the row, less the chance without it. Where "
            "another row says the same, little goes with one of them."
        )
        parts.insert(1, paragraph(told, "vl-meta"))
    if repeats:
        parts.append(
            details(
                f"{len(repeats)} claims that repeat or are replaced",
                _claims("Claims not counted, newest first", repeats),
            )
        )
    if background:
        parts.append(
            details(
                f"{len(background)} background claims",
                _claims("Background claims, newest first", background),
            )
        )
    return section("evidence", "The evidence", *parts, summary=summary)


def assumptions(results: Results) -> Section:
    """What is taken as given, and where each number is from: terms of the deal, and priors."""
    said = get(results, "assumptions")
    terms, priors = said["terms"], said["priors"]
    ours, believed_by_us = _judged(terms, "note"), _judged(priors, "source")
    scenario = get(results, "scenario")
    label = str(scenario.get("prior_set_label") or scenario["prior_set"])
    summary = (
        f"The answer takes {words.counted(len(terms), 'term', 'terms')} from the deal's file and "
        f"{words.counted(len(priors), 'prior', 'priors')} ({words.lower_first(label)}); "
        f"{ours} of the terms and {believed_by_us} of the priors are called judgement."
    )
    changed = [row["label"] for row in terms if row["changed"]]
    told = [paragraph(summary)]
    if changed:
        told.append(
            paragraph(f"This scenario has other terms than the file: {words.listed(changed)}.")
        )
    body = table(
        "Terms of the deal, with what its file says of them",
        columns("Term", "Value", "Origin"),
        [
            (
                row["label"],
                _given(row["value"], row["unit"]),
                "changed by the scenario" if row["changed"] else row["note"] or "–",
            )
            for row in terms
        ],
        stack=True,
    )
    believed = table(
        "Priors with their sources and reasons",
        columns("Quantity", "Median", "90% interval", "Origin"),
        [
            (
                row["label"],
                words.quantity(row["median"], row["unit"]),
                f"{words.compact(row['lower'], figures=2)} to {words.compact(row['upper'], figures=2)}",
                _because(row),
            )
            for row in priors
        ],
        stack=True,
    )
    return section(
        "assumptions",
        "What is taken as given",
        *told,
        details(words.counted(len(terms), "term of the deal", "terms of the deal"), body),
        details(words.counted(len(priors), "prior", "priors"), believed),
        summary=summary,
    )


def _judged(rows: Sequence[Results], key: str) -> int:
    """How many say of themselves that they are judgement, alone or beside a source."""
    return sum("judgement" in str(row[key]).lower() for row in rows)


def _given(value: object, unit: str) -> str:
    if isinstance(value, str):
        return words.long_date(value) if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else value
    return words.quantity(float(str(value)), unit, figures=4)


def _because(row: Results) -> Html:
    """Source, reason, date and who changed it last."""
    signed = f", {row['by']}" if row["by"] else ""
    origin = f"Source: {row['source']}, {words.long_date(row['date'])}{signed}."
    return join(
        [words.sentence(str(row["rationale"])), tag("span", origin, class_="vl-small")], " "
    )


def _shift(row: Results) -> str:
    return f"{words.signed(words.shift(row))} sd"


def shrinkage(results: Results, count: int = 12) -> Section:
    """How far the evidence narrowed and shifted each prior."""
    rows = sorted(
        get(results, "shrinkage"),
        key=lambda row: (
            -max(words.narrowed(row) / words.NARROWED, abs(words.shift(row)) / words.SHIFTED)
        ),
    )
    summary = words.taught(rows)
    shown = rows[:count]
    drawing = figure(
        "figure-shrinkage",
        lambda ax: plots.chance_bars(
            ax,
            [row["label"] for row in shown],
            [min(1.0, max(0.0, words.narrowed(row))) for row in shown],
            [f"{words.width_change(row)}, {_shift(row)}" for row in shown],
            x_label="Share of the prior sd that the evidence removes",
        ),
        title="What the evidence taught",
        reading=(
            f"{summary} The bar is the narrowing; the signed number is the shift of the mean in "
            "prior sds."
        ),
        heads=columns(
            "Quantity",
            "Prior mean",
            "Prior sd",
            "Mean",
            "Sd",
            "Width",
            "Shift, prior sds",
            numeric=[1, 2, 3, 4, 5, 6],
        ),
        rows=[
            (
                row["label"],
                *(words.compact(row[key]) for key in ("prior_mean", "prior_sd", "mean", "sd")),
                words.width_change(row),
                words.signed(words.shift(row)),
            )
            for row in rows
        ],
        height=60 + 30 * len(shown),
        narrow_height=50 + 44 * len(shown),
    )
    return section("shrinkage", "What the evidence taught", drawing, summary=summary)


FOLDED = 15  # rows of checks that pass, from which on the table is folded away


def diagnostics(results: Results) -> Section:
    """The checks that had to pass before this page could be made."""
    rows = list(get(results, "diagnostics"))
    failed = [row for row in rows if not row["passed"]]
    summary = (
        f"All {len(rows)} checks pass."
        if not failed
        else f"{len(failed)} of {len(rows)} checks fail."
    )
    body: str = table(
        "Checks of the sampler and the model",
        columns("Check", "Value", "Limit", "Result", numeric=[1, 2]),
        [
            (
                words.sentence(row["sentence"]),
                words.compact(row["value"], figures=4),
                words.compact(row["limit"], figures=4),
                tag(
                    "span",
                    "pass" if row["passed"] else "FAIL",
                    class_="vl-yes" if row["passed"] else "vl-fail",
                ),
            )
            for row in rows
        ],
        stack=True,
    )
    if len(rows) > FOLDED and not failed:
        body = details(f"All {len(rows)} checks, one by one", body)
    return section(
        "diagnostics",
        "Can the numbers be trusted",
        paragraph(f"{summary} A page whose checks fail is not published."),
        body,
        summary=summary,
    )


@dataclass(frozen=True)
class Term:
    """A word that a reader may not know: how pages write it, first its heading, and what it means."""

    names: tuple[str, ...]
    meaning: str

    @property
    def id(self) -> str:
        """Where its meaning stands on a page."""
        return f"word-{anchor(self.names[0])}"


def _term(meaning: str, *names: str) -> Term:
    return Term(names, meaning)


GLOSSARY: Sequence[Term] = (
    _term("Only what was published by this day is used.", "As-of date"),
    _term(
        "How surprising news was, in tosses of a coin: 1 bit is as likely as heads, 10 bits about one in a thousand.",
        "Bits",
    ),
    _term(
        "Something supposed to happen. Futures in which it does not are left out; the chance that "
        "it happens is the model's own.",
        "Condition",
    ),
    _term(
        "One complete simulated course of events, consistent with the evidence.",
        "Draw or future", "draws", "futures",
    ),
    _term("A quantity that the value depends on, such as who stays or what is sold.", "Driver", "drivers"),
    _term(
        "How many independent futures the simulated ones are worth; the error follows from them.",
        "Effective draws", "effective sample",
    ),
    _term(
        "What it would be worth, at most, to know all that is uncertain before choosing: the mean gain from "
        "choosing right in every future. No study is worth more.",
        "EVPI", "value of perfect information",
    ),
    _term("The same for one driver or group of drivers only.", "EVPPI"),
    _term("What a piece of news yet to come is worth, with the errors that such news has.", "EVSI"),
    _term(
        "How believable a claim is, A to D, each grade standing for a chance that it is true.", "Grade", "grades"
    ),
    _term("The yearly return that the money is asked to earn.", "Hurdle rate", "hurdle"),
    _term(
        "The range that holds the stated share of the futures, with equal shares left out below "
        "and above.",
        "Interval", "90% interval",
    ),
    _term(
        "Internal rate of return: the yearly rate at which what comes back is worth what was paid.", "IRR"
    ),
    _term(
        "A check of updating by weights: above 0.7 a few draws carry too much, and the model is fitted again.",
        "k-hat",
    ),
    _term("Multiple of invested capital: money that comes back over money paid; 1 is all of it, once.", "MOIC"),
    _term(
        "NPV: all later money discounted to the day the deal closed, less the outlay.",
        "Net present value", "NPV",
    ),
    _term(
        "What was believed before the evidence (prior) and after it (posterior).",
        "Prior and posterior", "prior", "priors", "posterior",
    ),
    _term(
        "One way of believing before the evidence: the house's, a sceptic's, an enthusiast's. The same evidence "
        "is read by each.",
        "Prior set", "prior sets",
    ),
    _term(
        "A quantity fixed by hand, whatever the evidence says. It is a what-if, not a forecast.",
        "Set by assumption",
    ),
    _term(
        "An item's part of a change, averaged over every order in which the items could have come, so that none "
        "is favoured by coming first. The parts add up to the change.",
        "Shapley share", "Shapley shares", "Shapley",
    ),
    _term(
        "How much the number would move if the same simulation were run again; also Monte Carlo error.",
        "Simulation error", "Monte Carlo error",
    ),
    _term(
        "Value that no market prices: talent kept, better models, rivals held back.", "Strategic value"
    ),
    _term(words.likely_words(), "Words for chances"),
)  # fmt: skip


def glossary() -> Section:
    """The words of the page; a page links to them where it uses them."""
    terms = sorted(GLOSSARY, key=lambda term: term.names[0].lower())
    items = join(
        [join([tag("dt", term.names[0], id=term.id), tag("dd", term.meaning)]) for term in terms]
    )
    summary = f"What {len(terms)} terms mean, from “{terms[0].names[0]}” to “{terms[-1].names[0]}”."
    return section("glossary", "Words", tag("dl", items, class_="vl-words"), summary=summary)
