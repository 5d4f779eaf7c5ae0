"""Pictures of an answer: its value, its chance, what it hangs on, what could be done."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from valuation.plots import dress
from valuation.plots.svg import PALETTE, SMALL, TEXT, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


def quantile_dots(ax: Axes, values: Sequence[float], *, unit: str, threshold: float = 0.0) -> Axes:
    """100 equally likely outcomes as dots, blue above ``threshold``, orange below.

    The few that lie far out on either side are stacked at the edge and counted there, so that a
    long tail does not flatten the rest.
    """
    ordered = np.sort(np.asarray(values, float))
    q10, q50, q90 = np.quantile(ordered, [0.10, 0.50, 0.90])
    low = max(float(ordered[0]), q50 - 2.6 * (q50 - q10 or 1.0))
    high = min(float(ordered[-1]), q50 + 2.6 * (q90 - q50 or 1.0))
    low, high = min(low, threshold), max(high, threshold)
    if high <= low:
        low, high = low - 1, high + 1
    figure_width = dress.size_of(ax)[0]
    narrow = dress.is_narrow(ax)
    bins = 27 if narrow else 41
    width = (high - low) / bins
    size = 0.80 * (figure_width - 26) / (bins + 3)
    heights: dict[int, int] = {}
    sides: dict[str, list[tuple[float, float]]] = {"gain": [], "loss": []}
    for value in ordered:
        clipped = min(max(float(value), low), high)
        column = math.floor((clipped - threshold) / width)
        level = heights.get(column, 0)
        heights[column] = level + 1
        place = threshold + (column + 0.5) * width
        sides["gain" if value > threshold else "loss"].append((place, level + 0.62))
    for role, dots in sides.items():
        if dots:
            x, y = zip(*dots, strict=True)
            ax.plot(x, y, "o", color=PALETTE[role], markersize=size, markeredgewidth=0, zorder=4)
    top = max(heights.values())
    ax.set_xlim(low - 1.5 * width, high + 1.8 * width)
    ax.set_ylim(0, top + 2.1)
    ax.set_yticks([])
    dress.axes(ax, x_label=f"Net present value, {unit}")
    dress.ticks(ax, "x", 6 if narrow else 9)
    dress.zero_line(ax, threshold)
    gains, losses = len(sides["gain"]), len(sides["loss"])
    for role, count, word, side in (
        ("loss", losses, "below zero", -1),
        ("gain", gains, "above zero", 1),
    ):
        ax.annotate(
            f"{count} of {len(ordered)} {word}",
            (threshold, top + 1.95),
            xytext=(7 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="top",
            color=PALETTE[role],
            fontsize=TEXT if narrow else TEXT + 1,
            fontweight="bold",
        )
    for far, edge, side in ((ordered > high, high, 1), (ordered < low, low, -1)):
        if far.any():
            furthest = ordered[-1] if side > 0 else ordered[0]
            column = math.floor((edge - threshold) / width)
            ax.annotate(
                f"{int(far.sum())} beyond, to {furthest:.0f}".replace("-", "−"),
                (threshold + (column + 0.5) * width, heights.get(column, 0) + 0.3),
                xytext=(size / 2, 5),
                textcoords="offset points",
                ha="right" if side > 0 else "left",
                va="bottom",
                color=PALETTE["muted"],
                fontsize=SMALL,
            )
    return ax


def waterfall(
    ax: Axes,
    labels: Sequence[str],
    means: Sequence[float],
    *,
    unit: str,
    totals: Sequence[bool],
) -> Axes:
    """Mean contributions that add up from the top; rows in ``totals`` restart from zero.

    ``means`` of a total row is the running sum to show there.
    """
    height = dress.rows(ax, labels, bold=list(totals))
    running = 0.0
    edges: list[float] = [0.0]
    for row, (mean, total) in enumerate(zip(means, totals, strict=True)):
        start = 0.0 if total else running
        end = mean if total else running + mean
        role = "neutral" if total else ("gain" if mean >= 0 else "loss")
        ax.barh(row, end - start, left=start, height=height, color=PALETTE[role], zorder=4)
        edges += [start, end]
        if row + 1 < len(labels) and not dress.is_narrow(ax):
            link = (row + height / 2, row + 1 - height / 2)
            ax.plot([end, end], link, color=PALETTE["muted"], linewidth=1, zorder=3)
        right = max(start, end)
        ax.annotate(
            dress.signed(mean),
            (right, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=TEXT,
            color=PALETTE["ink"],
            fontweight="bold" if total else "normal",
        )
        running = end
    low, high = min(edges), max(edges)
    pad = (high - low) or 1.0
    ax.set_xlim(low - 0.03 * pad, high + (0.17 if dress.is_narrow(ax) else 0.10) * pad)
    dress.axes(ax, x_label=f"{unit}, present value", x_grid=True)
    dress.ticks(ax, "x", 5 if dress.is_narrow(ax) else 8)
    dress.zero_line(ax)
    return ax


def fan(
    ax: Axes,
    dates: Sequence[str | dt.date],
    lower: Sequence[float],
    median: Sequence[float],
    upper: Sequence[float],
    *,
    label: str,
    inner_lower: Sequence[float] | None = None,
    inner_upper: Sequence[float] | None = None,
    mass: float = 0.90,
    inner_mass: float = 0.50,
    percent: bool = False,
    today: str = "",
    zero: bool = False,
) -> Axes:
    """A median with an outer and, if given, an inner interval over calendar time."""
    scale = 100.0 if percent else 1.0
    years = np.array([dress.year_of(date) for date in dates])
    low, mid, high = (scale * np.asarray(curve, float) for curve in (lower, median, upper))
    blue = PALETTE["gain"]
    ax.fill_between(years, low, high, color=blue, alpha=0.20, linewidth=0)
    names = [(high[-1], f"{mass:.0%}"), (low[-1], f"{mass:.0%}")]
    if inner_lower is not None and inner_upper is not None:
        in_low, in_high = (scale * np.asarray(c, float) for c in (inner_lower, inner_upper))
        ax.fill_between(years, in_low, in_high, color=blue, alpha=0.34, linewidth=0)
        names += [(in_high[-1], f"{inner_mass:.0%}"), (in_low[-1], f"{inner_mass:.0%}")]
    ax.plot(years, mid, color=blue, linewidth=2, solid_capstyle="round")
    dress.axes(ax, y_label=label, y_grid=True)
    if percent and float(high.max()) <= 100:
        dress.percent_axis(ax, "y")
    else:
        bottom, top = float(low.min()), float(high.max())
        pad = (top - bottom) * 0.06 or 0.5
        ax.set_ylim(0 if 0 <= bottom < 0.5 * top else bottom - pad, top + pad)
        dress.ticks(ax, "y", 6)
    dress.year_axis(ax, float(years[0]), float(years[-1]))
    if zero:
        ax.axhline(0, color=PALETTE["ink"], linewidth=1, zorder=3)
    if today:
        dress.flag(ax, dress.year_of(today), today)
    if (high > low).any():
        dress.end_labels(ax, float(years[-1]), [(float(mid[-1]), "median"), *names])
    return ax


def tornado(
    ax: Axes,
    labels: Sequence[str],
    low: Sequence[float],
    high: Sequence[float],
    *,
    centre: float,
    unit: str,
    low_notes: Sequence[str] = (),
    high_notes: Sequence[str] = (),
) -> Axes:
    """Mean value where each driver is low (orange) or high (blue): 1 in 10 futures beyond."""
    height = dress.rows(ax, labels)
    narrow = dress.is_narrow(ax)
    ends = [*low, *high, centre]
    span = (max(ends) - min(ends)) or 1.0
    for row, (at_low, at_high) in enumerate(zip(low, high, strict=True)):
        for value, role in ((at_low, "loss"), (at_high, "gain")):
            ax.barh(row, value - centre, left=centre, height=height, color=PALETTE[role], zorder=4)
        same_side = (at_low - centre) * (at_high - centre) > 0
        for value, notes in ((at_low, low_notes), (at_high, high_notes)):
            if not notes or same_side:
                continue
            right = value >= centre
            ax.annotate(
                short(notes[row], 18),
                (value, row),
                xytext=(5 if right else -5, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center_baseline",
                fontsize=SMALL,
                color=PALETTE["muted"],
                parse_math=False,
            )
    pad = (0.34 if narrow else 0.17) * span
    ax.set_xlim(min(ends) - pad, max(ends) + pad)
    dress.axes(ax, x_label=f"Mean net present value, {unit}", x_grid=True)
    dress.ticks(ax, "x", 5 if narrow else 8)
    ax.axvline(centre, color=PALETTE["ink"], linewidth=1, zorder=4.5)
    for role, text, side in (("loss", "driver low", -1), ("gain", "driver high", 1)):
        ax.annotate(
            text,
            (centre, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(8 * side, 6),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="bottom",
            color=PALETTE[role],
            fontsize=SMALL if narrow else TEXT,
            fontweight="bold",
            annotation_clip=False,
        )
    return ax


def break_even(
    ax: Axes,
    x: Sequence[float],
    y: Sequence[float],
    probability: ArrayLike,
    *,
    x_label: str,
    y_label: str,
) -> Axes:
    """Where the chance of paying off is below (orange) and above (blue) one half.

    ``probability[i][j]`` belongs to ``y[i]`` and ``x[j]``; NaN where nothing is known.
    """
    from matplotlib.colors import to_rgba

    grid = 100 * np.ma.masked_invalid(np.asarray(probability, float))
    levels = [0, 10, 25, 40, 50, 60, 75, 90, 100.001]
    strengths = [0.78, 0.56, 0.34, 0.14, 0.14, 0.34, 0.56, 0.78]
    colours = [
        to_rgba(PALETTE["loss" if upper <= 50 else "gain"], strength)
        for upper, strength in zip(levels[1:], strengths, strict=True)
    ]
    ax.contourf(x, y, grid, levels=levels, colors=colours, antialiased=False)
    dress.axes(ax, x_label=x_label, y_label=y_label, left=True)
    dress.ticks(ax, "x", 5 if dress.is_narrow(ax) else 8)
    dress.ticks(ax, "y", 6)
    lowest, highest = float(grid.min()), float(grid.max())
    for level, line in ((25, 1.0), (50, 2.2), (75, 1.0)):
        if not lowest < level < highest:
            continue
        drawn = ax.contour(x, y, grid, levels=[level], colors=[PALETTE["ink"]], linewidths=[line])
        pieces = [piece for piece in drawn.allsegs[0] if len(piece) > 1]
        place = _inner_place(ax, pieces)
        if place is not None:
            dress.text(
                ax,
                *place,
                f"{level} in 100",
                ha="center",
                va="center_baseline",
                fontsize=SMALL,
                fontweight="bold" if level == 50 else "normal",
                bbox={"facecolor": PALETTE["ground"], "edgecolor": "none", "pad": 1.6},
                zorder=6,
                clip_on=True,
            )
    return ax


def _inner_place(ax: Axes, pieces: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """The place along a contour where a label has most room inside the axes, if there is any."""
    if not pieces:
        return None
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    steps = np.linspace(0, 1, 9)[:, None]
    along = np.concatenate(
        [
            start + steps * (end - start)
            for piece in pieces
            for start, end in itertools.pairwise(piece)
        ]
    )
    share_x = (along[:, 0] - left) / (right - left)
    share_y = (along[:, 1] - bottom) / (top - bottom)
    room = np.minimum.reduce(
        [share_x, 1 - share_x, 3 * share_y, 3 * (1 - share_y)]  # a label is wide and low
    )
    best = int(np.argmax(room))
    if room[best] < (0.16 if dress.is_narrow(ax) else 0.08):
        return None
    return float(along[best, 0]), float(along[best, 1])


def chance_curve(
    ax: Axes,
    x: ArrayLike,
    probability: ArrayLike,
    *,
    x_label: str,
    y_label: str = "Chance that it pays off",
    x_percent: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> Axes:
    """A probability against something one could choose; each mark is a place worth reading."""
    scale = 100.0 if x_percent else 1.0
    places = scale * np.asarray(x, float)
    chance = 100 * np.asarray(probability, float)
    ax.plot(places, chance, color=PALETTE["gain"], linewidth=2.2, zorder=4)
    dress.axes(ax, x_label=x_label, y_label=y_label, y_grid=True)
    dress.percent_axis(ax, "y")
    ax.set_xlim(float(places.min()), float(places.max()))
    dress.ticks(ax, "x", 5 if dress.is_narrow(ax) else 8)
    for value, text in marks:
        at = scale * value
        here = float(np.interp(at, places, chance))
        dress.flag(ax, at, text)
        ax.plot([at], [here], "o", color=PALETTE["gain"], markersize=7, zorder=5)
    return ax


def chance_bars(
    ax: Axes,
    labels: Sequence[str],
    probability: Sequence[float],
    texts: Sequence[str],
    *,
    highlight: int = -1,
    x_label: str = "Chance that it pays off",
    lower: Sequence[float] | None = None,
    upper: Sequence[float] | None = None,
) -> Axes:
    """One probability a row on 0 to 100%; the highlighted row is the headline's."""
    height = dress.rows(ax, labels, bold=[row == highlight for row in range(len(labels))])
    chance = 100 * np.asarray(probability, float)
    for row, value in enumerate(chance):
        role = "gain" if row == highlight or highlight < 0 else "neutral"
        ax.barh(row, 100, height=height, color=PALETTE["grid"], zorder=2)
        ax.barh(row, value, height=height, color=PALETTE[role], zorder=4)
        right = value
        if lower is not None and upper is not None:
            ends = [100 * lower[row], 100 * upper[row]]
            ax.plot(ends, [row, row], color=PALETTE["ink"], linewidth=1.6, zorder=5)
            right = max(right, ends[1])
        # A label goes inside its bar where none is left beside it.
        room = dress.size_of(ax)[0] * (0.92 if dress.is_narrow(ax) else 0.55)
        needed = 100 * (7.4 * len(short(texts[row], 24)) + 8) / room
        inside = right > 80 or (lower is None and right > needed and right + needed > 102)
        ax.annotate(
            short(texts[row], 24),
            (right, row),
            xytext=(-6 if inside else 6, 0),
            textcoords="offset points",
            ha="right" if inside else "left",
            va="center_baseline",
            color=PALETTE["ground"] if inside else PALETTE["ink"],
            fontsize=TEXT,
            fontweight="bold",
            zorder=6,
            parse_math=False,
        )
    dress.axes(ax, x_label=x_label)
    dress.percent_axis(ax, "x")
    return ax


def intervals(
    ax: Axes,
    labels: Sequence[str],
    lower: Sequence[float],
    middle: Sequence[float],
    upper: Sequence[float],
    *,
    x_label: str,
    notes: Sequence[str] = (),
    highlight: int = -1,
    zero: bool = True,
) -> Axes:
    """A dot and an interval a row; its note at the right edge, or on a line of its own if narrow."""
    lift = 15.0 if notes else 0.0
    dress.rows(ax, labels, bold=[row == highlight for row in range(len(labels))], lift=lift)
    for row, (low, mid, high) in enumerate(zip(lower, middle, upper, strict=True)):
        role = "gain" if mid > 0 or not zero else "loss"
        ax.plot(
            [low, high],
            [row, row],
            color=PALETTE[role],
            alpha=0.45,
            linewidth=5,
            solid_capstyle="round",
            zorder=4,
        )
        ax.plot([mid], [row], "o", color=PALETTE[role], markersize=9, zorder=5)
    ends = [*lower, *upper, 0.0] if zero else [*lower, *upper]
    span = (max(ends) - min(ends)) or 1.0
    ax.set_xlim(min(ends) - 0.04 * span, max(ends) + 0.04 * span)
    dress.axes(ax, x_label=x_label, x_grid=True)
    dress.ticks(ax, "x", 5 if dress.is_narrow(ax) else 8)
    if zero:
        dress.zero_line(ax)
    for row, note in enumerate(notes):
        narrow = dress.is_narrow(ax)
        dress.text(
            ax,
            0.0 if narrow else 1.015,
            row - 0.24 if narrow else row,
            short(note, 32),
            transform=ax.get_yaxis_transform(),
            ha="left",
            va="bottom" if narrow else "center",
            fontsize=SMALL if narrow else TEXT,
            fontweight="bold",
        )
    return ax


def worth_bars(
    ax: Axes,
    labels: Sequence[str],
    worth: Sequence[float],
    errors: Sequence[float],
    texts: Sequence[str],
    *,
    x_label: str,
) -> Axes:
    """What each row is worth, from nothing up; a line is two errors each way, down to nothing."""
    height = dress.rows(ax, labels)
    ends = []
    for row, (value, error, text) in enumerate(zip(worth, errors, texts, strict=True)):
        ax.barh(row, value, height=height, color=PALETTE["gain"], zorder=4)
        if error > 0:
            dress.error_line(ax, max(0.0, value - 2 * error), value + 2 * error, row)
        ends.append(value + 2 * error)
        dress.beside(ax, ends[-1], row, text, bold=value > 2 * error)
    longest = max((len(short(text, 24)) for text in texts), default=0)
    room = min(
        0.4, (7.4 * longest + 10) / (dress.size_of(ax)[0] * (0.94 if dress.is_narrow(ax) else 0.6))
    )
    ax.set_xlim(0, (max(ends, default=0.0) or 1.0) / (1 - room))
    dress.axes(ax, x_label=x_label, x_grid=True)
    dress.ticks(ax, "x", 5 if dress.is_narrow(ax) else 7)
    return ax
