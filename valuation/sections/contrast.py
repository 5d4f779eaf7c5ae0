"""Scenarios side by side."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.parts import (
    Section,
    columns,
    figure,
    get,
    join,
    link,
    paragraph,
    section,
    table,
    tag,
)

Comparison = Mapping[str, Any]


def _nature(scenario: Mapping[str, Any], usual: str) -> str:
    """What kind of what-if it is, with the chance of a condition; ``usual`` priors go unsaid."""
    held, made = scenario.get("conditions"), scenario.get("sets")
    kinds = []
    if held:
        chance = words.percent(scenario["probability"], scenario["probability_mcse"])
        kinds.append(f"condition, {chance} likely")
    if made:
        kinds.append("part set by assumption" if held else "set by assumption, not predicted")
    if scenario.get("terms"):
        kinds.append("changed terms")
    if scenario["prior_set"] != usual:
        label = scenario.get("prior_set_label") or scenario["prior_set"]
        kinds.append(f"other priors: {words.lower_first(label)}")
    return "; ".join(kinds) or "as the evidence stands"


ALIKE = "not distinguishable from base"


def _alike(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a scenario's chance lies within two simulation errors of the base's."""
    base = next((other for other in rows if other["scenario"]["scenario"] == "base"), None)
    if base is None or row is base:
        return False
    here, there = row["headline"], base["headline"]
    error = math.hypot(float(here["mcse"]), float(there["mcse"]))
    return abs(float(here["probability"]) - float(there["probability"])) <= 2 * error


def scenario_figure(comparison: Comparison) -> Section:
    """Median, interval and chance of each scenario."""
    bn = words.bn(comparison)
    rows = list(get(comparison, "scenarios"))
    heads = [row["headline"] for row in rows]
    ranked = sorted(rows, key=lambda row: -row["headline"]["probability"])
    best, worst = ranked[0], ranked[-1]
    reading = (
        f"“{best['scenario']['title']}” is the best for the deal: {best['headline']['natural']} "
        f"pay off. “{worst['scenario']['title']}” is the worst: {worst['headline']['natural']}."
        if len(rows) > 1
        else f"“{best['scenario']['title']}” alone is current: {best['headline']['natural']} pay off."
    )
    titles = [row["scenario"]["title"] for row in rows]
    mass = f"{heads[0]['ci_prob']:.0%}"
    drawing = figure(
        "figure-scenarios",
        lambda ax: plots.intervals(
            ax,
            titles,
            [float(head["npv_lower"]) for head in heads],
            [float(head["npv_median"]) for head in heads],
            [float(head["npv_upper"]) for head in heads],
            notes=[f"{head['natural']} pay off" for head in heads],
            x_label=f"Net present value, {bn}: median and {mass} interval",
        ),
        title="Net present value by scenario",
        reading=reading,
        heads=columns("Scenario", "Chance", f"Median, {bn}", "5%", "95%", numeric=[1, 2, 3, 4]),
        rows=[
            (
                title,
                words.percent(head["probability"], head["mcse"]),
                *(
                    words.fixed(head[key], words.npv_digits(head, key))
                    for key in ("npv_median", "npv_lower", "npv_upper")
                ),
            )
            for title, head in zip(titles, heads, strict=True)
        ],
        height=64 + plots.row_height(False) * len(rows),
        narrow_height=64 + 66 * len(rows),
    )
    return section("scenarios", "Scenarios side by side", drawing, summary=reading)


def scenario_table(
    comparison: Comparison, *, addresses: Mapping[str, str] | None = None
) -> Section:
    """What each scenario supposes, how likely that is, and what follows.

    ``addresses`` links scenarios to their pages, by name; relative file names are allowed.
    """
    bn = words.bn(comparison)
    rows = list(get(comparison, "scenarios"))
    supposed = [row for row in rows if row["scenario"].get("conditions")]
    summary = (
        f"{len(rows)} scenarios, {len(supposed)} of them conditions whose own chance is reported."
    )
    alike = sum(1 for row in rows if _alike(row, rows))
    if alike:
        summary += (
            f" {alike} of them {'lies' if alike == 1 else 'lie'} within two simulation errors of "
            f"the base, and {'is' if alike == 1 else 'are'} marked as {ALIKE}."
        )
    lines = []
    for row in rows:
        scenario, head = row["scenario"], row["headline"]
        lines.append(
            (
                _titled(scenario, (addresses or {}).get(scenario["scenario"], "")),
                _nature(scenario, rows[0]["scenario"]["prior_set"]),
                join(
                    [head["natural"], tag("span", ALIKE, class_="vl-small")]
                    if _alike(row, rows)
                    else [head["natural"]]
                ),
                words.points(head["mcse"]),
                words.npv_money(head, "npv_median", bn),
                words.npv_money(head, "npv_mean", bn),
            )
        )
    body = table(
        "Scenarios",
        columns(
            "Scenario",
            "What it is",
            "Pays off",
            "Simulation error",
            "Median NPV",
            "Mean NPV",
            numeric=[2, 3, 4, 5],
        ),
        lines,
        stack=True,
    )
    return section(
        "table", "What each scenario supposes", paragraph(summary), body, summary=summary
    )


# A page beside this one: no scheme, no way out of the folder.
RELATIVE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


def _titled(scenario: Mapping[str, Any], address: str) -> str:
    from valuation.sections.parts import Html, esc

    title: str = esc(scenario["title"])
    if address.startswith(("https://", "http://")):
        title = link(address, scenario["title"])
    elif RELATIVE.fullmatch(address) and ".." not in address:
        title = Html(f'<a href="{esc(address)}">{esc(scenario["title"])}</a>')
    story = words.spell_dates(str(scenario.get("story") or ""))
    terms = [words.spell_dates(str(text)) for text in scenario.get("terms", ())]
    changed = f"Changed terms: {words.listed(terms)}" if terms else ""
    return join(
        [title, *(tag("span", text, class_="vl-small") for text in (story, changed) if text)]
    )


def definitions_table(comparison: Comparison) -> Section:
    """Every definition of paying off under every scenario."""
    rows = list(get(comparison, "scenarios"))
    names = {d["definition"]: d["label"] for row in rows for d in row["definitions"]}
    lines = []
    for row in rows:
        chances = {d["definition"]: d for d in row["definitions"]}
        lines.append(
            (
                row["scenario"]["title"],
                *(
                    words.percent(chances[name]["probability"], chances[name]["mcse"])
                    if name in chances
                    else "–"
                    for name in names
                ),
            )
        )
    summary = f"{len(names)} definitions under {len(rows)} scenarios."
    body = table(
        "Chance of paying off by scenario and definition",
        columns("Scenario", *names.values(), numeric=range(1, 1 + len(names))),
        lines,
    )
    return section("by-definition", "By definition", body, summary=summary)


def components_table(comparison: Comparison) -> Section:
    """Mean present value by component under every scenario."""
    bn = words.bn(comparison)
    rows = list(get(comparison, "scenarios"))
    names = {c["component"]: c["label"] for row in rows for c in row["components"]}
    lines = []
    for row in rows:
        means = {c["component"]: float(c["mean"]) for c in row["components"]}
        lines.append(
            (
                row["scenario"]["title"],
                *(words.fixed(means[name], 1) if name in means else "–" for name in names),
                words.fixed(sum(means.values()), 1),
            )
        )
    summary = f"Mean present value of {len(names)} components, {bn}."
    body = table(
        f"Mean present value by scenario and component, {bn}",
        columns("Scenario", *names.values(), "Sum", numeric=range(1, 2 + len(names))),
        lines,
    )
    return section("by-component", "By component", body, summary=summary)
