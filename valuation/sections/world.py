"""People, customers and the evidence: what is known of the world behind the money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.parts import (
    Html,
    Section,
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
            [row["subject"] for row in ranked],
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
            *(words.long_date(date) for date in dates),
            numeric=range(2, 2 + len(dates)),
        ),
        rows=[
            (
                row["subject"],
                _group(row),
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
    return section(id, heading, drawing, summary=reading)


def _group(row: Results) -> str:
    if "cohort" in row:
        return str(row["cohort"]).replace("_", " ")
    rival = ", rival" if row.get("rival") else ""
    return f"{str(row['segment']).replace('_', ' ')}{rival}"


def people(results: Results) -> Section:
    """Who is likely to be in post on coming dates."""
    return _chances(
        "people",
        "Who is still there",
        get(results, "people"),
        "probability_in_post",
        group="Cohort",
        what="be in post",
    )


def customers(results: Results) -> Section:
    """Which customers are likely to be buying on coming dates."""
    return _chances(
        "customers",
        "Who still buys",
        get(results, "customers"),
        "probability_active",
        group="Segment",
        what="be buying",
    )


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


def _claims(caption: str, rows: Sequence[Results]) -> Html:
    heads = columns(*EVIDENCE_COLUMNS)
    return table(caption, heads, _claim_rows(rows), stack=True, sortable="Claims with the words")


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
    parts = [intro, _claims("Claims that count, newest first", used)]
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


GLOSSARY: Mapping[str, str] = {
    "As-of date": "Only what was published by this day is used.",
    "Condition": (
        "Something supposed to happen. Futures in which it does not are left out; the chance that "
        "it happens is the model's own."
    ),
    "Draw or future": "One complete simulated course of events, consistent with the evidence.",
    "Grade": (
        "How believable a claim is, A to D, each grade standing for a chance that it is true."
    ),
    "Hurdle rate": "The yearly return that the money is asked to earn.",
    "Interval": (
        "The range that holds the stated share of the futures, with equal shares left out below "
        "and above."
    ),
    "Net present value": "All later money discounted to the day the deal closed, less the outlay.",
    "Prior and posterior": "What was believed before the evidence, and after it.",
    "Set by assumption": (
        "A quantity fixed by hand, whatever the evidence says. It is a what-if, not a forecast."
    ),
    "Simulation error": "How much the number would move if the same simulation were run again.",
    "Strategic value": "Value that no market prices, such as talent kept or rivals held back.",
    "Words for chances": words.likely_words(),
}


def glossary() -> Section:
    """The words of the page."""
    items = join(
        [join([tag("dt", term), tag("dd", meaning)]) for term, meaning in sorted(GLOSSARY.items())]
    )
    return section(
        "glossary", "Words", tag("dl", items, class_="vl-words"), summary="What the words mean."
    )
