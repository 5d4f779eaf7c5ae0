"""The terms that a reader may move, and what they give at once: controls for a script, the shipped answer without."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from valuation.sections import words
from valuation.sections.parts import Html, Section, esc, get, join, paragraph, section, tag

Results = Mapping[str, Any]
DATA_ID = "live-data"


def live(results: Results) -> Section:
    """Discount rates, hurdle, exit multiple, strategic value and the weight of prior sets, moved in the page."""
    bn = words.bn(results)
    data, head = get(results, "live"), get(results, "headline")
    if data is None:
        said = "The deal's rates lie beyond those between which a page can tell values: change its file."
        return section("live", "Move the terms", paragraph(said), summary=said)
    chance = next(d for d in get(results, "definitions") if d["definition"] == "npv")
    told = {
        "data": data,
        "currency": words.currency(results),
        "names": {part["component"]: part["label"] for part in get(results, "components")},
        "strategic": [p["component"] for p in results["components"] if p["strategic"]],
        "shipped": {
            "chance": chance["probability"],
            "mean": head["npv_mean"],
            "median": head["npv_median"],
            "lower": head["npv_lower"],
            "upper": head["npv_upper"],
        },
    }
    summary = (
        f"At the shipped terms the net present value is above 0 in "
        f"{words.percent(float(chance['probability']), float(chance['mcse']))} of draws, with a median of "
        f"{words.money(bn, float(head['npv_median']), 1)}."
    )
    body = [
        paragraph(
            "Argue with the terms. The page holds the draws behind the answer; move a term and the chance, "
            "the value and its parts follow at once, without the model being run again. Nothing leaves this page."
        ),
        Html(
            '<noscript><p class="vl-meta">To move the terms, open this page with scripts allowed; '
            "all else on it is complete without.</p></noscript>"
        ),
        tag(
            "div",
            _controls(data, results),
            tag("p", summary, id="live-answer", role="status", aria_live="polite"),
            _bars(results),
            class_="vl-bench",
        ),
        _embedded(told),
    ]
    return section("live", "Move the terms", *body, summary=summary)


def _embedded(told: Mapping[str, Any]) -> Html:
    text = json.dumps(told, separators=(",", ":"), sort_keys=True, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Html(f'<script type="application/json" id="{DATA_ID}">{text}</script>')


def _slider(
    name: str, label: str, value: float, low: float, high: float, step: float, unit: str
) -> Html:
    return Html(
        f'<p class="vl-control"><label for="live-{name}">{esc(label)}</label>'
        f'<input type="range" id="live-{name}" min="{low:g}" max="{high:g}" step="{step:g}" '
        f'value="{value:g}" data-unit="{esc(unit)}">'
        f'<output for="live-{name}" id="live-{name}-said"></output></p>'
    )


def _controls(data: Mapping[str, Any], results: Results) -> Html:
    top = 100 * max(data["nodes"])
    top = float(int(top))
    held = [
        _slider(
            "rate", "Discount rate, all but the stake", 100 * data["rate"], 0, top, 0.1, "% a year"
        ),
        _slider(
            "stake", "Discount rate, the stake", 100 * data["stake_rate"], 0, top, 0.1, "% a year"
        ),
        _slider("hurdle", "Hurdle rate", 100 * data["hurdle"], 0, top, 0.1, "% a year"),
    ]
    if data["multiple"]:
        middle = float(data["multiple"])
        held.append(
            _slider(
                "multiple", "Exit multiple, median", round(middle, 1), 0, round(4 * middle), 0.1,
                "x revenue",
            )
        )  # fmt: skip
    if any(part["strategic"] for part in results["components"]):
        held.append(
            Html(
                '<p class="vl-control"><label for="live-strategic">Count strategic value</label>'
                '<input type="checkbox" id="live-strategic" checked></p>'
            )
        )
    labels = {row["prior_set"]: row["label"] for row in get(results, "prior_sets")}
    sets = (
        [
            _slider(
                f"set-{name}",
                f"Weight: {labels.get(name, name)}",
                100.0 * (name == data["own"]),
                0,
                100,
                1,
                "parts",
            )
            for name in data["sets"]
        ]
        if len(data["sets"]) > 1
        else []
    )
    groups = [_group("Terms", held)]
    if sets:
        groups.append(_group("Whose priors", sets))
    reset = Html('<p><button type="button" id="live-reset">Back to the shipped terms</button></p>')
    return Html(f'<div class="vl-live" id="live-controls" hidden>{join([*groups, reset])}</div>')


def _group(legend: str, held: Sequence[Html]) -> Html:
    return Html(f"<fieldset><legend>{esc(legend)}</legend>{join(held)}</fieldset>")


def _bars(results: Results) -> Html:
    """Mean present value by component, a row each; the script moves numbers and bars."""
    bn = words.bn(results)
    parts = list(get(results, "components"))
    rows = [
        (
            part["component"],
            part["label"] + (" (strategic)" if part["strategic"] else ""),
            float(part["mean"]),
        )
        for part in (
            *(p for p in parts if not p["strategic"]),
            *(p for p in parts if p["strategic"]),
        )
    ]
    rows.append(("", "Mean net present value", float(get(results, "headline")["npv_mean"])))
    lines = [
        f'<tr data-part="{esc(name)}"><th scope="row">{esc(label)}</th>'
        f'<td class="vl-number">{esc(words.signed(mean, 1))}</td>'
        '<td class="vl-barcell" aria-hidden="true"><span class="vl-bar"></span></td></tr>'
        for name, label, mean in rows
    ]
    return Html(
        f'<table class="vl-livetable" id="live-parts"><caption>Mean present value by component, {esc(bn)}</caption>'
        f'<thead><tr><th scope="col">Component</th><th scope="col" class="vl-number">{esc(bn)}</th>'
        '<th scope="col" class="vl-barcell" aria-hidden="true"></th></tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
