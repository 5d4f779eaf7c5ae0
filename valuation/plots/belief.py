"""Pictures of what is believed, before and after the evidence, and of whether such beliefs come true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from valuation.plots import dress
from valuation.plots.svg import PALETTE, SMALL, TEXT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Marks = Sequence[tuple[float, str, Literal["exit", "seen", "reported"]]]


def prior_posterior(
    ax: Axes,
    grid: Sequence[float],
    prior: Sequence[float],
    posterior: Sequence[float],
    *,
    name: str,
    x_label: str = "",
) -> Axes:
    """What was believed before the evidence (grey) and after it (blue)."""
    place = np.asarray(grid, float)
    for density, role in ((prior, "neutral"), (posterior, "gain")):
        height = np.asarray(density, float)
        ax.fill_between(place, 0, height, color=PALETTE[role], alpha=0.25, linewidth=0)
        ax.plot(place, height, color=PALETTE[role], linewidth=1.8)
    heights = [np.asarray(density, float) for density in (prior, posterior)]
    tops = [float(np.nanmax(height)) for height in heights]
    peaks = [int(np.nanargmax(height)) for height in heights]
    low, high = float(place[0]), float(place[-1])
    ax.set_xlim(low, high)
    ax.set_ylim(0, 1.08 * max(tops) or 1.0)
    # Each name stands on the flank that looks away from the other curve. Where a curve leaves no
    # room there both stand on one side, the prior's lower down.
    leans_right = bool(place[peaks[1]] >= place[peaks[0]])
    wanted = (not leans_right, leans_right)
    shares = [(place[peak] - low) / (high - low) for peak in peaks]
    sides = [
        want if 0.3 < share < 0.7 else bool(share <= 0.3)
        for want, share in zip(wanted, shares, strict=True)
    ]
    levels = (0.35, 0.8) if sides[0] == sides[1] else (0.7, 0.7)
    for curve, role, height, peak, outward, level in (
        ("prior", "muted", heights[0], peaks[0], sides[0], levels[0]),
        ("posterior", "gain", heights[1], peaks[1], sides[1], levels[1]),
    ):
        flank = np.arange(peak, len(place)) if outward else np.arange(peak, -1, -1)
        at = next((k for k in flank if height[k] <= level * height[peak]), flank[-1])
        ax.annotate(
            curve,
            (float(place[at]), float(height[at])),
            xytext=(5 if outward else -5, 2),
            textcoords="offset points",
            ha="left" if outward else "right",
            va="bottom",
            color=PALETTE[role],
            fontsize=SMALL,
            fontweight="bold",
        )
    ax.set_yticks([])
    dress.axes(ax, x_label=x_label, y_label=short(name, 50))
    dress.ticks(ax, "x", 5)
    return ax


def curves(
    ax: Axes,
    months: Sequence[float],
    prior: Mapping[str, Sequence[float]] | None,
    posterior: Mapping[str, Sequence[float]],
    *,
    label: str,
    percent: bool = False,
    marks: Marks = (),
    x_label: str = "Months since the deal closed",
) -> Axes:
    """A curve over months since close before (grey) and after (blue) the evidence.

    ``prior``, unless it is None, and ``posterior`` hold ``lower``, ``median``, ``upper``. A mark is ``(month, label,
    status)``: a diamond left the post, a ring was still seen, a square was counted in a report.
    """
    scale = 100.0 if percent else 1.0
    place = np.asarray(months, float)
    highest = 0.0
    for band, role, dash in ((prior, "neutral", (0, (4, 3))), (posterior, "gain", "-")):
        if band is None:
            continue
        low, mid, high = (scale * np.asarray(band[k], float) for k in ("lower", "median", "upper"))
        ax.fill_between(place, low, high, color=PALETTE[role], alpha=0.20, linewidth=0)
        ax.plot(place, mid, color=PALETTE[role], linewidth=2, linestyle=dash)
        highest = max(highest, float(high.max()))
    dress.axes(ax, x_label=x_label, y_label=label, y_grid=True)
    if percent and highest <= 100:
        dress.percent_axis(ax, "y")
    else:
        dress.ticks(ax, "y", 6)
    ax.set_xlim(float(place[0]), float(place[-1]))
    dress.ticks(ax, "x", 6 if dress.is_narrow(ax) else 10)
    if prior is None:
        last = [scale * float(posterior[key][-1]) for key in ("median", "upper", "lower")]
        dress.end_labels(
            ax, float(place[-1]), list(zip(last, ("median", "90%", "90%"), strict=True))
        )
    else:
        named = (("prior", prior), ("posterior", posterior))
        ends = [(scale * float(band["median"][-1]), name) for name, band in named]
        dress.two_ends(ax, float(place[-1]), ends, {"prior": "muted", "posterior": "gain"})
    shapes = {"exit": ("D", "loss"), "seen": ("o", "ground"), "reported": ("s", "ink")}
    for month, _, status in marks:
        shape, role = shapes[status]
        y = scale * float(np.interp(month, place, np.asarray(posterior["median"], float)))
        ax.plot(
            [month],
            [y],
            shape,
            color=PALETTE[role],
            markeredgecolor=PALETTE["ink" if status == "seen" else role],
            markeredgewidth=1.4,
            markersize=7 if status == "seen" else 6.5,
            zorder=6,
        )
    return ax


def predictive(
    ax: Axes,
    labels: Sequence[str],
    observed: Sequence[float] | None,
    prior: Sequence[tuple[float, float]],
    posterior: Sequence[tuple[float, float, float]],
    *,
    x_label: str,
) -> Axes:
    """What was observed (dot) against what the model expected before and after seeing it.

    Without ``observed`` the intervals are chances, 0 to 1, of what was reported.
    """
    dress.rows(ax, labels)
    scale = 100.0 if observed is None else 1.0
    for row, ((prior_low, prior_high), (low, mid, high)) in enumerate(
        zip(prior, posterior, strict=True)
    ):
        line: dict[str, Any] = {"linewidth": 3.5, "solid_capstyle": "round"}
        before, after = [scale * prior_low, scale * prior_high], [scale * low, scale * high]
        ax.plot(before, [row - 0.09] * 2, color=PALETTE["neutral"], alpha=0.55, zorder=3, **line)
        ax.plot(after, [row + 0.11] * 2, color=PALETTE["gain"], zorder=4, **line)
        middle = [scale * mid] * 2
        ax.plot(middle, [row, row + 0.22], color=PALETTE["gain"], linewidth=2, zorder=4)
        if observed is not None:
            ax.plot(
                [observed[row]],
                [row + 0.01],
                "o",
                color=PALETTE["ink"],
                markeredgecolor=PALETTE["ground"],
                markeredgewidth=1.2,
                markersize=9,
                zorder=6,
            )
    dress.axes(ax, x_label=x_label, x_grid=True)
    if observed is None:
        dress.percent_axis(ax, "x")
        return ax
    dress.ticks(ax, "x", 5 if dress.is_narrow(ax) else 8)
    low_end, high_end = ax.get_xlim()
    pad = 0.02 * (high_end - low_end)
    ax.set_xlim(low_end - pad, high_end + pad)
    return ax


def movement(
    ax: Axes,
    labels: Sequence[str],
    first: Sequence[float],
    second: Sequence[float],
    *,
    first_name: str,
    second_name: str,
) -> Axes:
    """Two probabilities a row: a ring where it stands first, a dot where it stands later."""
    dress.rows(ax, labels)
    for row, (now, later) in enumerate(zip(first, second, strict=True)):
        ends = [100 * now, 100 * later]
        ax.plot(ends, [row, row], color=PALETTE["rule"], linewidth=3, zorder=3)
        ring: dict[str, Any] = {"markeredgecolor": PALETTE["gain"], "markeredgewidth": 2}
        dots: dict[str, Any] = {"clip_on": False, "zorder": 5}
        ax.plot(ends[:1], [row], "o", color=PALETTE["ground"], markersize=8, **ring, **dots)
        ax.plot(ends[1:], [row], "o", color=PALETTE["gain"], markersize=9, **dots)
    # A line above the rows: beside a mark a date would print over a name or a neighbour.
    legend = f"ring: {first_name}, dot: {second_name}" if first_name != second_name else ""
    dress.axes(ax, y_label=legend, x_grid=True)
    dress.percent_axis(ax, "x")
    return ax


def counts(
    ax: Axes, labels: Sequence[str], counted: Sequence[int], others: Sequence[int], *, x_label: str
) -> Axes:
    """How many of each kind count (blue), and how many do not (grey) after them."""
    height = dress.rows(ax, labels)
    for row, (first, second) in enumerate(zip(counted, others, strict=True)):
        ax.barh(row, first, height=height, color=PALETTE["gain"], zorder=4)
        ax.barh(row, second, left=first, height=height, color=PALETTE["rule"], zorder=4)
        ax.annotate(
            f"{first} of {first + second}",
            (first + second, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=TEXT,
            color=PALETTE["ink"],
        )
    most = max((a + b for a, b in zip(counted, others, strict=True)), default=1)
    ax.set_xlim(0, most * 1.18)
    dress.axes(ax, x_label=x_label, x_grid=True)
    dress.ticks(ax, "x", 6)
    return ax


def rank_strays(
    ax: Axes,
    points: Sequence[float],
    lines: Sequence[Sequence[float]],
    one: tuple[Sequence[float], Sequence[float]],
    every: tuple[Sequence[float], Sequence[float]],
    *,
    label: str,
) -> Axes:
    """How far shares of truths lie from what is expected, a line a quantity, all as fractions.

    ``one`` and ``every`` are the lower and upper ends of two bands: of one quantity alone, and of all together.
    """
    place = 100 * np.asarray(points, float)

    def closed(values: Sequence[float]) -> np.ndarray:
        return 100 * np.concatenate([[0.0], np.asarray(values, float), [0.0]])

    x = np.concatenate([[0.0], place, [100.0]])
    for (low, high), alpha in ((every, 0.16), (one, 0.26)):
        ax.fill_between(
            x, closed(low), closed(high), color=PALETTE["neutral"], alpha=alpha, linewidth=0
        )
    ax.axhline(0.0, color=PALETTE["ink"], linewidth=1, zorder=3)
    for line in lines:
        ax.plot(x, closed(line), color=PALETTE["gain"], linewidth=1.4, alpha=0.75, zorder=4)
    dress.axes(
        ax,
        x_label="Posterior probability of less than the truth",
        y_label=label,
        y_grid=True,
    )
    dress.percent_axis(ax, "x")
    dress.ticks(ax, "y", 6)
    reach = 1.1 * max(float(np.abs(closed(v)).max()) for v in (*every, *lines))
    ax.set_ylim(-reach, reach)
    return ax


def calibration(
    ax: Axes,
    probability: Sequence[float],
    outcome: Sequence[float],
    labels: Sequence[str],
    *,
    forecast: Sequence[float],
    frequency: Sequence[float],
    lower: Sequence[float],
    upper: Sequence[float],
    inner: Sequence[tuple[float, float]],
) -> Axes:
    """Outcomes over what was said of them: a dot for each question, at the top if it came true.

    For each group, at its mean ``forecast``: a bar from ``lower`` to ``upper``, where its share would lie if the
    forecasts were right (``inner``, darker: if no two questions hung together), and a diamond at its
    ``frequency``. Dots of nearly one place stand one above the other.
    """
    ink, blue, orange = PALETTE["ink"], PALETTE["gain"], PALETTE["loss"]
    ax.plot([0, 100], [0, 100], color=PALETTE["rule"], linewidth=1.2, linestyle=(0, (4, 3)))
    bar: Any = {"color": PALETTE["neutral"], "linewidth": 11, "solid_capstyle": "butt", "zorder": 2}
    for x, low, high, (least, most) in zip(forecast, lower, upper, inner, strict=True):
        ax.plot([100 * x] * 2, [100 * low, 100 * high], alpha=0.3, **bar)
        ax.plot([100 * x] * 2, [100 * least, 100 * most], alpha=0.5, **bar)
    ax.plot(
        100 * np.asarray(forecast, float), 100 * np.asarray(frequency, float), "D", color=ink,
        markersize=7, zorder=5, clip_on=False,
    )  # fmt: skip
    width = 13.0 if dress.is_narrow(ax) else 7.0  # per cent that a dot with its label takes
    levels: dict[float, list[float]] = {1.0: [], 0.0: []}
    for x, came, name in sorted(zip(probability, outcome, labels, strict=True)):
        taken = levels[came]
        place = next((i for i, last in enumerate(taken) if 100 * x - last >= width), len(taken))
        taken[place : place + 1] = [100 * x]
        y = 106 + 7 * place if came else -6 - 7 * place
        colour = blue if came else orange
        ax.plot([100 * x], [y], "o", color=colour, markersize=7, zorder=6, clip_on=False)
        dress.text(
            ax, 100 * x + 0.26 * width, y, name, va="center_baseline", fontsize=SMALL, color=colour
        )
    dress.axes(ax, x_label="Chance that was given", y_label="Share that came true", y_grid=True)
    dress.percent_axis(ax, "x")
    dress.percent_axis(ax, "y")
    ax.set_xlim(-2, 106)
    ax.set_ylim(-9 - 7 * max(len(levels[0.0]) - 1, 0), 109 + 7 * max(len(levels[1.0]) - 1, 0))
    return ax
