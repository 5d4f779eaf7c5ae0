"""How much of the answer is opinion: prior sets, powers of priors and rows, and the answer without one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from valuation import plots
from valuation.sections import words
from valuation.sections.parts import (
    Column,
    Html,
    Section,
    columns,
    details,
    figure,
    get,
    join,
    paragraph,
    section,
    table,
)

Results = Mapping[str, Any]

BARS = 10  # of a figure; its data has them all
SHOWN = 6  # rows of a table before the rest is folded away
SIDES = {"prior": "priors", "likelihood": "rows"}


def opinion(results: Results) -> Section:
    """What the answer owes to opinion, from whole sets of priors down to single priors and rows."""
    said = get(results, "opinion")
    sets, reading = _sets(results, said)
    bn = words.bn(results)
    folds: list[tuple[str, Results, Html]] = [("All sets as one", said["pooled"], Html(""))]
    if not said["elsewhere"]:
        shifted, target = said["break_even_priors"], float(said["target"])
        folds += [
            ("The priors alone", said["prior_only"], _prior_only(said["prior_only"], bn)),
            ("Priors or rows weighed differently", said["scaling"], _scaling(said["scaling"])),
            ("What one prior would have to be", shifted, _break_even(shifted, target)),
            ("Without one row", said["influence"], _influence(said["influence"], bn)),
        ]
    parts: list[str] = [paragraph(words.sentence(said["sentence"])), sets]
    for name, part, body in folds:
        told, rest = words.first_sentence(words.sentence(part["sentence"]))
        parts.append(details(name, *([paragraph(rest)] if rest else []), body, finding=told))
    if said["elsewhere"]:
        parts.append(paragraph(words.sentence(said["elsewhere"])))
    return section("opinion", "How much of this is opinion", *parts, summary=reading)


def _sets(results: Results, said: Mapping[str, Any]) -> tuple[Html, str]:
    """The prior sets side by side, and all of them as one."""
    bn = words.bn(results)
    rows, pool = list(get(results, "prior_sets")), said["pooled"]
    chances = [float(row["probability"]) for row in rows]
    texts = [words.percent(row["probability"], row["mcse"]) for row in rows]
    used = results["scenario"]["prior_set"]
    names = [row["prior_set"] for row in rows]
    reading = (
        f"The same evidence under {len(rows)} sets of priors gives {words.percent(min(chances))} "
        "to "
        f"{words.percent(max(chances))}, a range of {round(100 * (max(chances) - min(chances)))} "
        "points."
    )
    pooled = words.percent(pool["probability"], pool["mcse"])
    weights = pool["weights"]
    drawing = figure(
        "figure-opinion",
        lambda ax: plots.chance_bars(
            ax,
            [*(row["label"] for row in rows), "All sets pooled"],
            [*chances, float(pool["probability"])],
            [*texts, pooled],
            highlight=names.index(used) if used in names else -1,
        ),
        title="Chance of paying off by prior set",
        reading=f"Pooled by weight, the {len(rows)} sets give {pooled}.",
        alt=f"{reading} Pooled by weight they give {pooled}.",
        heads=columns(
            "Prior set",
            "Weight",
            "Chance",
            "Simulation error",
            f"Mean NPV, {bn}",
            "Effective draws",
            "Pareto k",
            "How",
            numeric=[1, 2, 3, 4, 5, 6],
        ),
        rows=[
            *(
                (
                    row["label"],
                    words.percent(weights.get(row["prior_set"], 0.0)),
                    text,
                    words.points(row["mcse"]),
                    words.fixed(row["npv_mean"], 1),
                    words.compact(row.get("effective_draws")),
                    words.compact(row.get("khat"), figures=2),
                    str(row["method"]),
                )
                for row, text in zip(rows, texts, strict=True)
            ),
            (
                "All sets pooled",
                "100%",
                pooled,
                words.points(pool["mcse"]),
                words.fixed(pool["npv_mean"], 1),
                "–",
                "–",
                "mixed",
            ),
        ],
        height=60 + plots.row_height(False) * (len(rows) + 1),
        narrow_height=60 + plots.row_height(True) * (len(rows) + 1),
    )
    return drawing, reading


def _prior_only(said: Mapping[str, Any], bn: str) -> Html:
    def row(name: str, told: Mapping[str, Any]) -> tuple[str, ...]:
        digits = words.decimals(told["npv_mcse"], most=1)
        return (
            name,
            words.percent(told["probability"], told["mcse"]),
            words.points(told["mcse"]),
            words.fixed(told["npv_mean"], digits),
            words.fixed(told["npv_median"], digits),
            f"{words.fixed(told['npv_lower'], digits)} to {words.fixed(told['npv_upper'], digits)}",
        )

    return table(
        "The priors alone, and with the evidence",
        columns(
            "From",
            "Chance",
            "Simulation error",
            f"Mean NPV, {bn}",
            "Median NPV",
            "90% interval",
            numeric=[1, 2, 3, 4, 5],
        ),
        [row("Priors alone", said["prior"]), row("With evidence", said["posterior"])],
        hidden_caption=True,
        stack=True,
    )


def _label(model: str, side: str) -> str:
    return f"All {side}" if model == "all" else f"{words.upper_first(model)}: {side}"


def _scaling(said: Mapping[str, Any]) -> Html:
    """Bars of what a power of each sub-model's priors or rows moves."""
    moved = [
        (_label(model["model"], name), model[side])
        for model in said["models"]
        for side, name in SIDES.items()
        if model[side] is not None and not model[side]["why"]
    ]
    moved.sort(key=lambda pair: -abs(pair[1]["change"]))
    shown = moved[:BARS]
    low, high = (float(a) for a in said["alphas"])
    labels = [label for label, _ in shown]
    texts = [words.moved(part["change"], part["change_mcse"]) for _, part in shown]
    reading = (
        f"What each does to the chance when it counts {words.compact(low)} or {words.compact(high)} times as much, "
        f"whichever moves it more. Most: {words.lower_first(labels[0])}, {texts[0]}."
        if moved
        else "No weights of the stored draws reach that far."
    )
    bars = Html("")
    if moved:
        bars = figure(
            "figure-scaling",
            lambda ax: plots.share_bars(
                ax,
                labels,
                [100 * part["change"] for _, part in shown],
                [100 * part["change_mcse"] for _, part in shown],
                texts,
                x_label="Change of the chance, points",
            ),
            title="What weaker or stronger priors and rows do to the chance",
            reading=f"{reading} A line on a bar is two errors each way.",
            alt=reading,
            heads=columns(
                "What",
                f"× {words.compact(low)}, points",
                f"× {words.compact(high)}, points",
                "Error, points",
                "Sensitivity of NPV",
                "Pareto k",
                numeric=[1, 2, 3, 4, 5],
            ),
            rows=[
                (
                    label,
                    words.signed(100 * part["weaker"], 1),
                    words.signed(100 * part["stronger"], 1),
                    words.fixed(100 * part["change_mcse"], 1),
                    words.compact(part["npv"], figures=2),
                    words.compact(part["khat"], figures=2),
                )
                for label, part in moved
            ],
            height=64 + plots.row_height(False) * len(shown),
            narrow_height=60 + 62 * len(shown),
        )
    unsure = [
        words.lower_first(_label(model["model"], name))
        for model in said["models"]
        for side, name in SIDES.items()
        if model[side] is not None and model[side]["why"]
    ]
    lost = (
        [paragraph(f"Not to be told from these draws: {words.listed(unsure)}.")] if unsure else []
    )
    flagged = [p for p in said["parameters"] if p["diagnosis"]]
    every = table(
        "Sensitivity of each parameter to its prior and to its rows",
        columns("Parameter", "Sub-model", "To the prior", "To the rows", "So", numeric=[2, 3]),
        [
            (
                p["label"],
                p["model"],
                words.compact(p["prior"], figures=2),
                words.compact(p["likelihood"], figures=2),
                p["diagnosis"],
            )
            for p in flagged
        ],
    )
    told = (
        f"{len(flagged)} of {len(said['parameters'])} parameters with a sensitivity to their prior of "
        f"{words.compact(said['limit'])} or more"
    )
    folded = [details(told, every)] if flagged else []
    return join([bars, *lost, *folded])


def _break_even(said: Mapping[str, Any], target: float) -> Html:
    def row(told: Mapping[str, Any]) -> tuple[str, ...]:
        reached = told["shift"] is not None
        at = told["shift"] if reached else told["reach"]
        if reached:
            needed = f"{words.signed(at, 1)} SD"
        elif told["unreachable"]:
            needed = f"no shift within {words.compact(said['furthest'])} SD"
        else:
            needed = f"the draws end at {words.signed(at, 1)} SD"
        return (
            told["label"],
            needed,
            words.percent(told["probability"], 0.001),
            words.quantity(told["median"], told["unit"]),
            words.quantity(told["median_there"], told["unit"]),
            words.compact(told["khat"], figures=2),
        )

    heads = columns(
        "Prior",
        f"Shift to {words.percent(target)}",
        "Chance there",
        "Its median now",
        "Its median there",
        "Pareto k",
        numeric=[2, 3, 4, 5],
    )
    return _folded(said, "Priors", heads, row)


def _influence(said: Mapping[str, Any], bn: str) -> Html:
    def row(told: Mapping[str, Any]) -> tuple[str, ...]:
        sound = not told["why"]
        return (
            told["id"],
            told["claim"],
            words.moved(told["change"], told["mcse"]) if sound else told["why"],
            words.points(told["mcse"]) if sound else "–",
            words.signed(told["npv_change"], words.decimals(told["npv_mcse"])) if sound else "–",
            words.compact(told["khat"], figures=2),
        )

    heads = columns(
        "Row",
        "Claim",
        "Change of the chance",
        "Simulation error",
        f"Change of mean NPV, {bn}",
        "Pareto k",
        numeric=[2, 3, 4, 5],
    )
    return _folded(said, "Rows", heads, row)


def _folded(
    said: Mapping[str, Any],
    name: str,
    heads: Sequence[Column],
    row: Callable[[Mapping[str, Any]], tuple[str, ...]],
) -> Html:
    """A table of the first rows, and the rest on demand."""
    rows = [row(told) for told in said["rows"]]
    parts = [
        table(
            f"{name} by what they could do to the chance",
            heads,
            rows[:SHOWN],
            hidden_caption=True,
            stack=True,
        ),
    ]
    if rest := rows[SHOWN:]:
        more = table(f"{name} that matter less", heads, rest)
        parts.append(details(f"{len(rest)} more", more))
    return join(parts)
