"""What a model's notebook shows: its equation, its priors before and after, and its checks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
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
    paragraph,
    section,
    table,
    tag,
)
from valuation.sections.world import EVIDENCE_COLUMNS, _claim_rows

Model = Mapping[str, Any]


def _id(model: Model, part: str) -> str:
    """An anchor that two models on one page do not share."""
    return f"{anchor(get(model, 'model'))}-{part}"


def _title(model: Model, part: str) -> str:
    """A heading that tells two models on one page apart."""
    return f"{words.upper_first(str(model['model']).replace('_', ' '))}: {part}"


_BRACKETED = re.compile(r"(.*?)\[(.*)\]")


def _label(row: Model) -> str:
    """A parameter's label as prose: ``exit hazard steps[from month 6]`` becomes words."""
    found = _BRACKETED.fullmatch(str(row["label"]))
    if not found:
        return str(row["label"])
    return words.upper_first(f"{found[1].strip().replace('_', ' ')}, {found[2]}")


def _short(value: float) -> str:
    return words.compact(value, figures=2)


def model_header(model: Model) -> Section:
    """The equation and the kinds of evidence that the model reads."""
    kinds = list(get(model, "reads"))
    rows = list(get(model, "rows"))
    names = [str(kind["kind"]).replace("_", " ") for kind in kinds]
    counted = sum(1 for row in rows if row["scored"])
    summary = (
        f"The model reads {words.counted(len(kinds), 'kind', 'kinds')} of evidence "
        f"({words.listed(names)}); {words.counted(len(rows), 'row is', 'rows are')} of "
        f"{'this kind' if len(kinds) == 1 else 'these kinds'} and {counted} of them "
        f"{'counts' if counted == 1 else 'count'}."
    )
    equations = Html("\n".join(esc(line) for line in get(model, "equation")))
    meanings = table(
        "What a row of each kind says",
        columns("Kind", "Meaning", "Unit"),
        [
            (name, words.sentence(words.upper_first(kind["meaning"])), kind["unit"] or "–")
            for name, kind in zip(names, kinds, strict=True)
        ],
        stack=True,
    )
    return section(
        _id(model, "model"),
        _title(model, words.lower_first(str(get(model, "title")))),
        tag("pre", tag("code", equations), class_="vl-equation"),
        paragraph(summary),
        details("What the kinds mean", meanings),
        summary=summary,
    )


def prior_posterior(model: Model) -> Section:
    """Each parameter before and after the evidence."""
    rows = list(get(model, "densities"))
    drawings = []
    for row in rows:
        reading = (
            f"{row['label']}: {_short(row['prior_mean'])} (sd {_short(row['prior_sd'])}) before, "
            f"{_short(row['mean'])} (sd {_short(row['sd'])}) after."
        )
        step = max(1, len(row["grid"]) // 12)
        drawings.append(
            figure(
                f"figure-{_id(model, 'density')}-{anchor(row['name'])}",
                partial(
                    plots.prior_posterior,
                    grid=row["grid"],
                    prior=row["prior"],
                    posterior=row["posterior"],
                    name=str(row["label"]),
                    x_label=str(row["unit"]),
                ),
                title=f"{row['label']} before and after the evidence",
                reading=reading,
                heads=columns("Value", "Prior density", "Posterior density", numeric=[0, 1, 2]),
                rows=[
                    (
                        words.compact(row["grid"][index]),
                        words.compact(row["prior"][index]),
                        words.compact(row["posterior"][index]),
                    )
                    for index in range(0, len(row["grid"]), step)
                ],
                height=190,
                half=True,
            )
        )
    summary = f"{words.taught(rows)} Where grey and blue coincide the answer is the prior."
    return section(
        _id(model, "prior-posterior"),
        _title(model, "before and after the evidence"),
        paragraph(summary),
        tag("div", join(drawings), class_="vl-grid"),
        _prior_table(rows),
        summary=summary,
    )


def _prior_table(rows: Sequence[Model]) -> Html:
    """Each prior with its source and reason, folded away."""
    told = [row for row in rows if row.get("describe")]
    if not told:
        return Html("")
    body = table(
        "Priors with their sources and reasons",
        columns("Parameter", "Prior", "Source", "Why"),
        [
            (
                str(row["label"]),
                str(row["describe"]),
                str(row.get("source") or "–"),
                str(row.get("rationale") or "–"),
            )
            for row in told
        ],
        stack=True,
    )
    return details("Where these priors come from", body)


def predictive(model: Model) -> Section:
    """What was observed against what the model expected, one figure a kind of evidence.

    An event has no value to compare: there the figure shows the chance the model gives to it.
    """
    rows = list(get(model, "checks"))
    groups: dict[tuple[str, str], list[Model]] = defaultdict(list)
    for row in rows:
        groups[(str(row["kind"]), str(row["unit"]))].append(row)
    measured = [row for row in rows if not _is_event(row)]
    drawings = []
    for number, members in enumerate(groups.values()):
        draw = _event_figure if _is_event(members[0]) else _value_figure
        drawings.append(draw(model, number, members))
    inside = sum(1 for row in measured if _inside(row, "posterior"))
    before = sum(1 for row in measured if _inside(row, "prior"))
    summary = "No row of this model counts, so there is nothing to compare with."
    if measured:
        summary = (
            f"{inside} of {len(measured)} observed values lie inside the model's 90% interval after "
            f"seeing the evidence, {before} did before. About nine in ten are expected."
        )
    elif rows:
        summary = (
            f"{len(rows)} reported events; for each, the chance that the model gives to it before "
            "and after the evidence."
        )
    key = paragraph(
        "Blue: the fitted model. Grey: the prior, before any evidence. Lines span 90%. A dot is what "
        "was observed; an event has none, and its line is the chance of what was reported."
    )
    return section(
        _id(model, "checks"),
        _title(model, "what it expected"),
        paragraph(summary),
        *([key, *drawings] if drawings else []),
        summary=summary,
    )


def _is_event(row: Model) -> bool:
    return str(row["unit"]).startswith("probability")


def _value_figure(model: Model, number: int, members: Sequence[Model]) -> Html:
    kind, unit = str(members[0]["kind"]), str(members[0]["unit"])
    name = kind.replace("_", " ")
    within = sum(1 for row in members if _inside(row, "posterior"))
    reading = (
        f"{words.upper_first(name)}: {within} of {len(members)} observed values lie inside the "
        "posterior's 90% predictive interval."
    )
    return _check_figure(
        model,
        number,
        members,
        name=name,
        reading=reading,
        x_label=f"Observed value{', ' + unit if unit else ''}",
    )


def _event_figure(model: Model, number: int, members: Sequence[Model]) -> Html:
    name = str(members[0]["kind"]).replace("_", " ")
    raised = sum(1 for row in members if row["posterior_median"] > row["prior_median"])
    reading = (
        f"{words.upper_first(name)}: the evidence makes {raised} of {len(members)} reports likelier "
        "than the prior alone did."
    )
    return _check_figure(
        model,
        number,
        members,
        name=name,
        reading=reading,
        x_label="Chance of what was reported",
        event=True,
    )


def _check_figure(
    model: Model,
    number: int,
    members: Sequence[Model],
    *,
    name: str,
    reading: str,
    x_label: str,
    event: bool = False,
) -> Html:
    return figure(
        f"figure-{_id(model, 'check')}-{anchor(name)}-{number}",
        partial(
            plots.predictive,
            labels=[str(row["label"]) for row in members],
            observed=None if event else [float(row["observed"]) for row in members],
            prior=[(float(row["prior_lower"]), float(row["prior_upper"])) for row in members],
            posterior=[
                (
                    float(row["posterior_lower"]),
                    float(row["posterior_median"]),
                    float(row["posterior_upper"]),
                )
                for row in members
            ],
            x_label=x_label,
        ),
        title=f"Observed and expected: {name}",
        reading=reading,
        heads=columns("What", "Row", "Observed", "Prior 90%", "Posterior 90%", numeric=[2, 3, 4]),
        rows=[
            (
                str(row["label"]),
                str(row["id"]),
                "yes" if event else words.compact(row["observed"]),
                _range(row, "prior"),
                _range(row, "posterior"),
            )
            for row in members
        ],
        height=64 + 36 * len(members),
        narrow_height=64 + 50 * len(members),
    )


def _inside(row: Model, which: str) -> bool:
    return bool(row[f"{which}_lower"] <= row["observed"] <= row[f"{which}_upper"])


def _range(row: Model, which: str) -> str:
    low, high = (words.compact(row[f"{which}_{end}"]) for end in ("lower", "upper"))
    return f"{low} to {high}"


# Models of rates: their curves are chances and means. A path of the others holds its own shocks.
_RATES = ("retention", "churn", "revenue", "regulation")
_EXPECTED_INTRO = (
    "Expected, by the fitted rates: chances and means, not single futures. The scenario report's "
    "forecast, under “What drives it, over time”, adds the luck of each simulated future, so that "
    "its bands are wider. "
)


def curves(model: Model) -> Section:
    """The model's curves over time, before and after the evidence, with what was seen."""
    if not get(model, "curves"):
        said = "This model has no curve of its own; it speaks through the others."
        return section(
            _id(model, "curves"),
            _title(model, "what it says over time"),
            paragraph(said),
            summary=said,
        )
    expected = model["model"] in _RATES
    drawings = []
    readings = []
    for row in get(model, "curves"):
        units = str(row["units"])
        last = len(row["months"]) - 1
        name = f"{row['label']}, expected:" if expected else f"{row['label']}:"
        mid, low, high = (
            words.quantity(float(row["posterior"][key][last]), units)
            for key in ("median", "lower", "upper")
        )
        reading = (
            f"{name} after {words.compact(float(row['months'][last]))} months the "
            "median is "
            f"{mid}, the 90% interval {low} to {high}."
        )
        marks = [(float(m["month"]), str(m["label"]), m["status"]) for m in row["marks"]]
        seen = {status for _, _, status in marks}
        legend = [
            text
            for status, text in (
                ("exit", "diamond: left"),
                ("seen", "ring: still there when last seen"),
                ("reported", "square: counted in a report"),
            )
            if status in seen
        ]
        full = f"{reading} {words.upper_first(words.listed(legend))}." if legend else reading
        step = max(1, len(row["months"]) // 12)
        label = row["label"] if units == "fraction" else f"{row['label']}, {units}"
        label = f"{label} (expected)" if expected else label
        drawings.append(
            figure(
                f"figure-{_id(model, 'curve')}-{anchor(row['name'])}",
                partial(
                    plots.curves,
                    months=row["months"],
                    prior=row["prior"],
                    posterior=row["posterior"],
                    label=label,
                    percent=units == "fraction",
                    marks=marks,
                ),
                title=f"{name.rstrip(':')}, before and after the evidence",
                reading=full,
                heads=columns(
                    "Months", "Date", "Prior median", "5%", "Median", "95%", numeric=[0, 2, 3, 4, 5]
                ),
                rows=[
                    (
                        words.compact(float(row["months"][index])),
                        str(row["dates"][index]),
                        words.quantity(float(row["prior"]["median"][index]), units),
                        *(
                            words.quantity(float(row["posterior"][key][index]), units)
                            for key in ("lower", "median", "upper")
                        ),
                    )
                    for index in range(0, len(row["months"]), step)
                ],
                height=270,
                half=True,
                more=_marks_table(str(row["label"]), row["marks"]),
            )
        )
        readings.append(reading)
    return section(
        _id(model, "curves"),
        _title(model, "what it says over time"),
        paragraph(
            f"{_EXPECTED_INTRO if expected else ''}Blue: after the evidence. Grey, dashed: before. "
            "Bands hold nine in ten of the fitted draws."
        ),
        tag("div", join(drawings), class_="vl-grid"),
        summary=" ".join(readings),
    )


_STATUS = {"exit": "left", "seen": "still there", "reported": "counted in a report"}


def _marks_table(label: str, marks: Sequence[Model]) -> Html:
    if not marks:
        return Html("")
    return table(
        f"{label}: what was seen",
        columns("Who or what", "Month", "Status", numeric=[1]),
        [
            (str(mark["label"]), words.compact(float(mark["month"])), _STATUS[mark["status"]])
            for mark in sorted(marks, key=lambda mark: mark["month"])
        ],
    )


def model_rows(model: Model) -> Section:
    """The ledger rows of the model's kinds."""
    rows = sorted(get(model, "rows"), key=lambda row: (row["published"], row["id"]), reverse=True)
    counted = sum(1 for row in rows if row["scored"])
    summary = f"{counted} of {len(rows)} rows count; the others repeat or are replaced."
    body = table(
        "Evidence that this model reads, newest first",
        columns(*EVIDENCE_COLUMNS),
        _claim_rows(rows),
        stack=True,
    )
    return section(
        _id(model, "rows"),
        _title(model, "what it was told"),
        paragraph(summary),
        body,
        summary=summary,
    )


def model_summary(model: Model) -> Section:
    """The parameters in numbers, with how well they were sampled."""
    rows: Sequence[Model] = list(get(model, "summary"))
    worst = max((float(row["rhat"]) for row in rows), default=float("nan"))
    least = min((float(row["ess_bulk"]) for row in rows), default=float("nan"))
    summary = (
        f"{len(rows)} parameters; the largest R-hat is {words.fixed(worst, 3)} and the smallest "
        f"effective sample {words.fixed(least, 0)}."
    )
    body = table(
        "Posterior of each parameter",
        columns(
            "Parameter",
            "Mean",
            "Sd",
            "5%",
            "95%",
            "R-hat",
            "Bulk draws",
            "Tail draws",
            numeric=range(1, 8),
        ),
        [
            (
                _label(row),
                *(words.compact(row[key]) for key in ("mean", "sd", "lower", "upper")),
                words.fixed(row["rhat"], 3),
                words.fixed(row["ess_bulk"], 0),
                words.fixed(row["ess_tail"], 0),
            )
            for row in rows
        ],
    )
    return section(
        _id(model, "parameters"),
        _title(model, "its parameters"),
        paragraph(summary),
        body,
        summary=summary,
    )
