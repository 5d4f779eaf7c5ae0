"""Pages about the tool: a rehearsal of news, what is added where, what can be called, what cannot be known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from valuation.sections import words
from valuation.sections.parts import (
    Html,
    Section,
    anchor,
    bullets,
    columns,
    details,
    esc,
    get,
    join,
    paragraph,
    section,
    table,
    tag,
)

Results = Mapping[str, Any]


def code(text: str) -> Html:
    """Something to type or to read as it stands."""
    return Html(f'<pre class="vl-code"><code>{esc(text)}</code></pre>')


# The tutorial.


def lesson_row(results: Results) -> Section:
    """The invented row: how it is typed, and what the ledger then holds."""
    row = get(results, "row")
    summary = (
        f"One invented row, {row['id']}, says that on {words.long_date(row['event_date'])} there was a "
        f"{row['kind'].replace('_', ' ')} of {row['subject']}, from a source of grade {row['credibility']}."
    )
    rows = [(name.replace("_", " "), value) for name, value in row.items()]
    body = [
        paragraph(summary, "vl-lead"),
        paragraph("It is written by this command; here it was given to a copy of the project."),
        code(str(get(results, "command"))),
        table("The row in the ledger", columns("Column", "Cell"), rows),
    ]
    return section("lesson-row", "A piece of news", *body, summary=summary)


def lesson_back(results: Results) -> Section:
    """The row withdrawn: the answer is what it was."""
    before, back = get(results, "explored"), get(results, "back")
    error = before["mcse"]
    same = abs(back["probability"] - before["probability"]) <= error
    told = [words.percent(x["probability"], error) for x in (before, back)]
    summary = f"Once the row is withdrawn the deal pays off in {told[1]} of futures, " + (
        "as before." if same else f"where it was {told[0]} before."
    )
    body = [
        paragraph(summary, "vl-lead"),
        code(
            f'valuation news supersede {results["row"]["id"]} --withdraw --reason "It was invented"'
        ),
        paragraph(
            "A row is never edited or deleted: a new row takes its place, and both stay in the file. So every "
            "answer that was ever published can be made again."
        ),
    ]
    return section("lesson-back", "Taking it back", *body, summary=summary)


# How to add.


def guide_kinds(results: Results) -> Section:
    """Every kind of evidence, the model that reads it, and how many rows there are."""
    kinds = get(results, "kinds")
    used = [k for k in kinds if k["rows"]]
    summary = f"There are {len(kinds)} kinds of evidence; the ledger has rows of {len(used)}."
    rows = [
        (
            k["kind"],
            k["model"],
            f"{k['roster']}.csv",
            k["unit"] or "–",
            k["meaning"],
            str(k["rows"]),
        )
        for k in kinds
    ]
    heads = columns(
        "Kind", "Model", "Subject in", "Unit", "What value and sd say", "Rows", numeric=(5,)
    )
    return section(
        "kinds",
        "The kinds that there are",
        paragraph(summary),
        table("Kinds of evidence", heads, rows, stack=True, hidden_caption=True),
        summary=summary,
    )


def guide_models(results: Results) -> Section:
    """Every model with its file, what it needs and what it reads."""
    models = get(results, "models")
    summary = f"There are {len(models)} models, each in a file of its own."
    rows = [
        (
            m["model"],
            m["title"],
            m["file"],
            words.listed(m["requires"]) or "–",
            words.listed(m["kinds"]) or "–",
            str(len(m["priors"])),
        )
        for m in models
    ]
    heads = columns("Model", "Asks", "File", "Needs", "Reads", "Priors", numeric=(5,))
    return section(
        "models",
        "The models that there are",
        paragraph(summary),
        table("Models", heads, rows, stack=True, hidden_caption=True),
        summary=summary,
    )


# What can be called.


def reference(results: Results) -> Section:
    """Every public module, function and record, in the words of its docstring."""
    modules = get(results, "modules")
    count = sum(len(m["entries"]) for m in modules)
    summary = f"{len(modules)} modules offer {count} functions and records."
    return section(
        "reference",
        "Modules",
        paragraph(
            f"{summary} Each opens on a click; what is not listed may change without notice."
        ),
        *(_reference_of(module) for module in modules),
        summary=summary,
    )


def _reference_of(module: Results) -> Html:
    name, *rest = str(module["doc"]).split("\n", 1)
    entries = [
        details(entry["name"], code(entry["call"]), code(entry["doc"]))
        for entry in module["entries"]
    ]
    more = code(rest[0].strip()) if rest and rest[0].strip() else Html("")
    heading = tag("h3", module["module"], id=f"module-{anchor(module['module'])}")
    return join([heading, paragraph(name), more, *entries])


# What the number cannot know.


def limits_evidence(results: Results) -> Section:
    """How few rows speak, how old they are, and how much stays opinion."""
    counts, opinion, head = (get(results, k) for k in ("evidence_counts", "opinion", "headline"))
    share = 100 * opinion["share"]
    summary = (
        f"{counts['scored']} of {counts['total']} rows bear on the number, and about {words.fixed(share, 0)}% of "
        "the spread of its value is judgement that no row has narrowed."
    )
    rows = [
        ("Rows in the ledger", str(counts["total"])),
        ("Rows that are scored", str(counts["scored"])),
        ("Rows that are shown and count for nothing", str(counts["context"])),
        ("Share of the spread that is judgement", f"{words.fixed(share, 0)}%"),
        (
            f"Chance by other priors ({words.listed(results['sets'])})",
            f"{words.percent(opinion['low'])} to {words.percent(opinion['high'])}",
        ),
        ("Simulation error of the chance", f"{words.fixed(100 * head['mcse'], 1)} points"),
    ]
    said = [*opinion["sentences"], *results["notes"], *words.ages(results.get("freshness"))]
    return section(
        "limits-evidence",
        "How little has been seen",
        paragraph(summary, "vl-lead"),
        table("What the number rests on", columns("What", "How much", numeric=(1,)), rows),
        bullets(words.spell_dates(text) for text in said),
        summary=summary,
    )


def limits_outside(results: Results) -> Section:
    """How small the class of comparable deals is."""
    view = get(results, "outside_view")
    lower, upper = (words.percent(view[k]) for k in ("lower", "upper"))
    summary = (
        f"Of {view['n']} comparable deals with a known ending {view['successes']} paid off, which leaves a base "
        f"rate anywhere from {lower} to {upper} plausible."
    )
    return section(
        "limits-outside",
        "How few deals are like it",
        paragraph(summary, "vl-lead"),
        paragraph(
            f"{words.counted(view['mixed'], 'deal', 'deals')} with a mixed ending, and "
            f"{words.counted(view['left_out'], 'deal', 'deals')} that could not be judged, are left out. Which deals "
            "count as comparable is itself a judgement, and deals that ended well are written about more."
        ),
        summary=summary,
    )


__all__ = [
    "code",
    "guide_kinds",
    "guide_models",
    "lesson_back",
    "lesson_row",
    "limits_evidence",
    "limits_outside",
    "reference",
]
