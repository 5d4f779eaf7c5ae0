"""What all pictures share: the look of axes, rows with labels, ticks of money, chances and dates, marks beside bars."""

from __future__ import annotations

import datetime as dt
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from valuation.plots.svg import PALETTE, SMALL, TEXT, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def figure_of(ax: Axes) -> Figure:
    """The figure that the axes are part of."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("these axes have left their figure; make them with new_figure()")
    return figure


def size_of(ax: Axes) -> tuple[float, float]:
    """Width and height of the figure in pixels."""
    width, height = figure_of(ax).get_size_inches()
    return 72 * float(width), 72 * float(height)


def is_narrow(ax: Axes) -> bool:
    """Whether the figure is meant for a phone."""
    return size_of(ax)[0] < 500


def text(ax: Axes, x: float, y: float, text: str, **style: Any) -> Any:
    style = {"color": PALETTE["ink"], "fontsize": TEXT, "parse_math": False, **style}
    return ax.text(x, y, plain(text), **style)


def axes(
    ax: Axes,
    *,
    x_label: str = "",
    y_label: str = "",
    x_grid: bool = False,
    y_grid: bool = False,
    left: bool = False,
) -> None:
    """One look: no box, thin rules, the y label above the axis where it can be read, with its unit at its end."""
    room = 52 if is_narrow(ax) else 110
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(left and side == "left")
    for side in ("bottom", "left"):
        ax.spines[side].set_color(PALETTE["rule"])
        ax.spines[side].set_linewidth(1)
    ax.tick_params(
        colors=PALETTE["rule"],
        labelcolor=PALETTE["muted"],
        labelsize=TEXT if not is_narrow(ax) else SMALL,
        length=3,
        width=1,
    )
    if not left:
        ax.tick_params(axis="y", length=0)
    ax.set_axisbelow(True)
    if x_grid:
        ax.grid(True, axis="x", color=PALETTE["grid"], linewidth=1)
    if y_grid:
        ax.grid(True, axis="y", color=PALETTE["grid"], linewidth=1)
    if x_label:
        ax.set_xlabel(
            short(x_label, room),
            color=PALETTE["muted"],
            fontsize=TEXT,
            labelpad=5,
            parse_math=False,
        )
    if y_label:
        ax.set_title(
            _two_lines(y_label, 46) if is_narrow(ax) else short(y_label, room),
            loc="left",
            color=PALETTE["muted"],
            fontsize=TEXT,
            pad=8,
            parse_math=False,
        )


def ticks(ax: Axes, axis: Literal["x", "y"], count: int) -> None:
    from matplotlib.ticker import MaxNLocator

    target = ax.xaxis if axis == "x" else ax.yaxis
    target.set_major_locator(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]))
    target.set_major_formatter(lambda value, _: number(value))


def number(value: float) -> str:
    """A tick: a true minus, no trailing zeros."""
    rounded = round(float(value), 6)
    text = f"{abs(rounded):,.0f}" if abs(rounded) >= 1000 else f"{abs(rounded):g}"
    return f"−{text}" if rounded < 0 else text


def signed(value: float, digits: int = 1) -> str:
    """A change with its sign, a true minus, and no signed zero."""
    text = f"{abs(value):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return f"−{text}" if value < 0 else f"+{text}"


def percent_axis(ax: Axes, axis: Literal["x", "y"], end: int = 100) -> None:
    """Probabilities run from 0 to 100%; only a history may end lower, and says so (:func:`ended`)."""
    places = [end * quarter / 4 for quarter in range(5)]
    labels = [f"{number(place)}%" for place in places]
    if axis == "y":
        ax.set_ylim(0, 1.03 * end)
        ax.set_yticks(places, labels)
    else:
        ax.set_xlim(0, 1.03 * end)
        ax.set_xticks(places, labels)


def chance_end(highest: float) -> int:
    """Where the axis of a history of a chance ends, %: moves are what it is read for, so they must be seen.

    It starts at 0 all the same, so that heights compare.
    """
    return next(
        (end for end in (4, 8, 12, 16, 20, 24, 32, 40, 60, 80) if 1.15 * highest <= end), 100
    )


def ended(label: str, end: int) -> str:
    return f"{label}; axis to {end}%" if 0 < end < 100 else label


def row_height(narrow: bool) -> float:
    """Pixels that one row of a row chart wants."""
    return 50.0 if narrow else 34.0


def rows(ax: Axes, labels: Sequence[str], *, bold: Sequence[bool] = (), lift: float = 0.0) -> float:
    """Lay out labelled rows from the top; returns the bar height in row units.

    On a narrow figure ``lift`` raises the labels by so many pixels, to leave a line below them.
    """
    count = len(labels)
    tall = is_narrow(ax) and (lift > 0 or len(plain(labels[0] if count else "")) > 46)
    ax.set_ylim(count - 0.45, -0.90 if tall else -0.62)
    weights = ["bold" if index < len(bold) and bold[index] else "normal" for index in range(count)]
    if is_narrow(ax):
        ax.set_yticks([])
        for row, (label, weight) in enumerate(zip(labels, weights, strict=True)):
            room = 46 if weight == "bold" else 52
            shown = _two_lines(label, room)
            ax.annotate(
                shown,
                (0, row - 0.24),
                xycoords=ax.get_yaxis_transform(),
                xytext=(0, lift),
                textcoords="offset points",
                va="bottom",
                color=PALETTE["ink"],
                fontsize=SMALL,
                fontweight=weight,
                bbox={"facecolor": PALETTE["ground"], "edgecolor": "none", "pad": 0.6},
                zorder=5.5,
                parse_math=False,
                annotation_clip=False,
                in_layout=False,
            )
        return 0.36
    shown_labels = [_two_lines(label) for label in labels]
    ax.set_yticks(range(count), shown_labels, parse_math=False)
    for tick, weight in zip(ax.get_yticklabels(), weights, strict=True):
        tick.set_color(PALETTE["ink"])
        tick.set_fontweight(weight)
    return 0.56


def _two_lines(text: object, room: int = 42) -> str:
    """A long label on two lines; cut only if even these do not hold it."""
    words = short(text, 2 * room - 8)
    if len(words) <= room:
        return words
    # The narrowest wrapping that needs two lines leaves no single word on the second.
    for width in range(len(words) // 2, room + 1):
        lines = textwrap.wrap(words, width)
        if len(lines) <= 2:
            return "\n".join(lines)
    return short(words, room)


def zero_line(ax: Axes, value: float = 0.0) -> None:
    ax.axvline(value, color=PALETTE["ink"], linewidth=1, zorder=3)


def year_of(date: str | dt.date) -> float:
    day = dt.date.fromisoformat(date) if isinstance(date, str) else date
    start = dt.date(day.year, 1, 1)
    return day.year + (day - start).days / ((dt.date(day.year + 1, 1, 1) - start).days)


def year_axis(ax: Axes, first: float, last: float) -> None:
    wanted = 5 if is_narrow(ax) else 9
    step = max(1, math.ceil((last - first) / wanted))
    years = list(range(math.ceil(first), math.floor(last) + 1, step))
    ax.set_xticks(years, [str(year) for year in years])
    ax.set_xlim(first, last)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def time_axis(ax: Axes, first: float, last: float) -> None:
    """Years, or months where there are too few years to find one's way by."""
    if last - first > 3:
        year_axis(ax, first, last)
        return
    if last - first < 1 / 12:
        middle = (first + last) / 2
        first, last = middle - 1 / 24, middle + 1 / 24
    wanted = 4 if is_narrow(ax) else 8
    count = 12 * (last - first)
    step = next((s for s in (1, 2, 3, 6, 12) if count / s <= wanted), 12)
    months = range(math.ceil(12 * first - 0.02), math.floor(12 * last + 0.02) + 1)
    shown = [month for month in months if month % step == 0] or list(months)[:1]
    texts = []
    for position, month in enumerate(shown):
        year, index = divmod(month, 12)
        named = position == 0 or year != shown[position - 1] // 12
        texts.append(f"{_MONTHS[index]} {year}" if named else _MONTHS[index])
    places = [year_of(dt.date(month // 12, month % 12 + 1, 1)) for month in shown]
    ax.set_xticks(places, texts)
    ax.set_xlim(first, last)


def flag(ax: Axes, x: float, text: str, *, at: float = 1.0) -> None:
    """A dotted vertical line with its label beside it, inside the axes."""
    low, high = ax.get_xlim()
    left_side = (x - low) / (high - low) > 0.62
    ax.axvline(x, color=PALETTE["muted"], linewidth=1.2, linestyle=(0, (2, 2)), zorder=3)
    ax.annotate(
        short(text, 22),
        (x, at),
        xycoords=ax.get_xaxis_transform(),
        xytext=(-5 if left_side else 5, -15),
        textcoords="offset points",
        ha="right" if left_side else "left",
        va="top",
        color=PALETTE["muted"],
        fontsize=SMALL,
        parse_math=False,
    )


def end_labels(ax: Axes, x: float, labels: Sequence[tuple[float, str]]) -> None:
    """Name lines at their right ends; the earlier label wins where two would touch."""
    bottom, top = ax.get_ylim()
    height = size_of(ax)[1] * 0.72
    gap = abs(top - bottom) * 13.0 / height
    taken: list[float] = []
    for y, text in labels:
        if any(abs(y - other) < gap for other in taken):
            continue
        taken.append(y)
        ax.annotate(
            plain(text),
            (x, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            color=PALETTE["gain"] if text == "median" else PALETTE["muted"],
            fontsize=SMALL,
            annotation_clip=False,
            parse_math=False,
        )


def two_ends(
    ax: Axes, x: float, ends: Sequence[tuple[float, str]], roles: Mapping[str, str]
) -> None:
    """Name two lines at their right ends, apart even where the lines meet."""
    bottom, top = ax.get_ylim()
    pixel = (top - bottom) / (size_of(ax)[1] * 0.7)
    (low, under), (high, over) = sorted(ends)
    low = max(low, bottom + 7 * pixel)
    if high - low < 14 * pixel:
        middle = max((low + high) / 2, bottom + 14 * pixel)
        low, high = middle - 7 * pixel, middle + 7 * pixel
    for y, name in ((low, under), (high, over)):
        ax.annotate(
            name,
            (x, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            color=PALETTE[roles[name]],
            fontsize=SMALL,
            fontweight="bold",
            annotation_clip=False,
        )


def beside(
    ax: Axes, x: float, row: float, text: str, *, bold: bool = False, left: bool = False
) -> None:
    """A value right of the end of a bar, or left of it."""
    ax.annotate(
        short(text, 24),
        (x, row),
        xytext=(-6 if left else 6, 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center_baseline",
        fontsize=TEXT,
        color=PALETTE["ink"],
        fontweight="bold" if bold else "normal",
        zorder=6,
        parse_math=False,
    )


def error_line(ax: Axes, low: float, high: float, row: float) -> None:
    ax.plot([low, high], [row, row], color=PALETTE["ink"], linewidth=1.4, zorder=5)
