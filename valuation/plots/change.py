"""Pictures of what changed: from one answer to the next, and over many dates."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.plots import dress
from valuation.plots.svg import PALETTE, SMALL, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def change_waterfall(
    ax: Axes,
    labels: Sequence[str],
    changes: Sequence[float],
    errors: Sequence[float],
    *,
    before: float,
    now: float,
    before_text: str,
    now_text: str,
    texts: Sequence[str],
    x_label: str,
    names: tuple[str, str] = ("Before", "Now"),
) -> Axes:
    """From ``before`` by ``changes`` to ``now``, top down; a line is two errors each way.

    The bars before and now start from zero. Where that would make the changes too short to see, the
    axis is cut, both ends become dots, whose length nobody can misread, and the axis says so.
    """
    rows = [names[0], *labels, names[1]]
    height = dress.rows(ax, rows, bold=[True, *(False for _ in labels), True])
    levels = [before]
    for change in changes:
        levels.append(levels[-1] + change)
    reach = [
        end
        for start, change, error in zip(levels, changes, errors, strict=False)
        for end in (start, start + change, start + change - 2 * error, start + change + 2 * error)
    ]
    ends = [before, now, *reach]
    span = max(ends) - min(ends)
    whole = max(*ends, 0.0) - min(*ends, 0.0)
    cut = span < 0.12 * whole
    narrow = dress.is_narrow(ax)
    for row, (level, text) in ((0, (before, before_text)), (len(rows) - 1, (now, now_text))):
        if cut:
            ax.plot([level], [row], "o", color=PALETTE["neutral"], markersize=9, zorder=5)
        else:
            ax.barh(row, level, height=height, color=PALETTE["neutral"], zorder=4)
        dress.beside(ax, max(level, 0.0) if not cut else level, row, text, bold=True)
    for row, (change, error, text) in enumerate(zip(changes, errors, texts, strict=True), 1):
        start, end = levels[row - 1], levels[row]
        role = "gain" if change >= 0 else "loss"
        ax.barh(row, change, left=start, height=height, color=PALETTE[role], zorder=4)
        if error > 0:
            dress.error_line(ax, end - 2 * error, end + 2 * error, row)
        dress.beside(ax, max(start, end, end + 2 * error), row, text)
    if not narrow:
        for row, level in enumerate(levels):
            link = (row + height / 2, row + 1 - height / 2)
            ax.plot([level, level], link, color=PALETTE["muted"], linewidth=1, zorder=3)
    low, high = (min(ends), max(ends)) if cut else (min(*ends, 0.0), max(*ends, 0.0))
    pad = (high - low) or 1.0
    # Room for the longest value beside the longest bar.
    longest = max((len(short(text, 24)) for text in (*texts, before_text, now_text)), default=0)
    share = min(0.45, (7.0 * longest + 10) / (dress.size_of(ax)[0] * (0.94 if narrow else 0.66)))
    left_pad = 0.04 * pad if cut or low < 0 else 0.0
    ax.set_xlim(low - left_pad, high + pad * share / (1 - share))
    dress.axes(ax, x_label=f"{x_label}; does not start at zero" if cut else x_label, x_grid=True)
    dress.ticks(ax, "x", 5 if narrow else 8)
    if not cut:
        dress.zero_line(ax)
    return ax


def share_bars(
    ax: Axes,
    labels: Sequence[str],
    shares: Sequence[float],
    errors: Sequence[float],
    texts: Sequence[str],
    *,
    x_label: str,
) -> Axes:
    """What each row moved, up (blue) or down (orange) from zero; a line is two errors each way."""
    height = dress.rows(ax, labels)
    narrow = dress.is_narrow(ax)
    ends = [0.0]
    for row, (share, error, text) in enumerate(zip(shares, errors, texts, strict=True)):
        role = "gain" if share >= 0 else "loss"
        ax.barh(row, share, height=height, color=PALETTE[role], zorder=4)
        if error > 0:
            dress.error_line(ax, share - 2 * error, share + 2 * error, row)
        far = [share - 2 * error, share + 2 * error, 0.0]
        ends += far
        down = share < 0
        dress.beside(ax, min(far) if down else max(far), row, text, left=down)
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    longest = max((len(short(text, 24)) for text in texts), default=0)
    share = min(0.4, (7.0 * longest + 10) / (dress.size_of(ax)[0] * (0.94 if narrow else 0.62)))
    sides = [any(s < 0 for s in shares), any(s >= 0 for s in shares)]
    room = span * share / max(0.2, 1 - share * sum(sides))
    ax.set_xlim(
        low - (room if sides[0] else 0.04 * span), high + (room if sides[1] else 0.04 * span)
    )
    dress.axes(ax, x_label=x_label, x_grid=True)
    dress.ticks(ax, "x", 5 if narrow else 8)
    dress.zero_line(ax)
    return ax


def before_after(
    ax: Axes,
    dates: Sequence[str | dt.date],
    was: Mapping[str, Sequence[float]],
    now: Mapping[str, Sequence[float]],
    *,
    label: str,
    percent: bool = False,
    today: str = "",
) -> Axes:
    """A mean over calendar time as it was (grey, dashed) and as it is (blue), each with its band.

    ``was`` and ``now`` hold ``mean`` and may hold ``lower`` and ``upper``.
    """
    scale = 100.0 if percent else 1.0
    years = np.array([dress.year_of(date) for date in dates])
    lows, highs, ends = [], [], []
    for path, role, dash, name in (
        (was, "neutral", (0, (4, 3)), "before"),
        (now, "gain", "-", "now"),
    ):
        mean = scale * np.asarray(path["mean"], float)
        low, high = (
            scale * np.asarray(path.get(k, path["mean"]), float) for k in ("lower", "upper")
        )
        ax.fill_between(years, low, high, color=PALETTE[role], alpha=0.20, linewidth=0)
        ax.plot(years, mean, color=PALETTE[role], linewidth=2, linestyle=dash, zorder=4)
        lows.append(float(np.minimum(low, mean).min()))
        highs.append(float(np.maximum(high, mean).max()))
        ends.append((float(mean[-1]), name))
    dress.axes(ax, y_label=label, y_grid=True)
    if percent and max(highs) <= 100:
        dress.percent_axis(ax, "y")
    else:
        bottom, top = min(lows), max(highs)
        pad = (top - bottom) * 0.06 or 0.5
        ax.set_ylim(0 if 0 <= bottom < 0.5 * top else bottom - pad, top + pad)
        dress.ticks(ax, "y", 6)
    dress.time_axis(ax, float(years[0]), float(years[-1]))
    if today:
        dress.flag(ax, dress.year_of(today), today)
    dress.two_ends(ax, float(years[-1]), ends, {"before": "muted", "now": "gain"})
    return ax


def history(
    ax: Axes,
    dates: Sequence[str | dt.date],
    values: Sequence[float],
    errors: Sequence[float],
    *,
    label: str,
    percent: bool = True,
    stepped: bool = False,
    own: bool = False,
    notes: Sequence[tuple[str | dt.date, str]] = (),
) -> Axes:
    """What was thought on each date, with a band of two errors each way.

    ``stepped`` holds a value until the next date. ``own`` marks the last value, a ring, as of another making than the
    others: a dotted line leads to it. Each of ``notes``, a date and a short text, gets a
    number at its place on the line, which also opens its text; a narrow figure shows the number
    alone, for a list beside it to explain. Notes that find no free place are numbers too.
    """
    scale = 100.0 if percent else 1.0
    years = np.array([dress.year_of(date) for date in dates])
    middle = scale * np.asarray(values, float)
    error = 2 * scale * np.asarray(errors, float)
    low, high = middle - error, middle + error
    if percent:
        low, high = np.clip(low, 0, 100), np.clip(high, 0, 100)
    blue = PALETTE["gain"]
    step: Any = {"step": "post"} if stepped else {}
    ax.fill_between(years, low, high, color=blue, alpha=0.24, linewidth=0, **step)
    style: Any = {"drawstyle": "steps-post"} if stepped else {}
    last = len(years) - 1 if own else len(years)
    ax.plot(
        years[:last], middle[:last], color=blue, linewidth=2, solid_capstyle="round", zorder=4,
        **style,
    )  # fmt: skip
    if own:
        ax.plot(years[-2:], middle[-2:], color=blue, linewidth=1.4, dashes=(1, 2), zorder=4)
    ring: Any = {"markerfacecolor": PALETTE["ground"], "markeredgewidth": 2} if own else {}
    ax.plot(years[-1:], middle[-1:], "o", color=blue, markersize=7, zorder=5, clip_on=False, **ring)
    end = dress.chance_end(float(high.max())) if percent else 0
    dress.axes(ax, y_label=dress.ended(label, end), y_grid=True)
    if percent:
        dress.percent_axis(ax, "y", end)
    else:
        bottom, top = float(low.min()), float(high.max())
        pad = (top - bottom) * 0.12 or abs(top) * 0.1 or 0.5
        ax.set_ylim(0 if 0 <= bottom < 0.5 * top else bottom - pad, top + pad)
        dress.ticks(ax, "y", 6)
    dress.time_axis(ax, float(years[0]), float(years[-1]))
    left, right = ax.get_xlim()
    ax.set_xlim(left, right + (0.03 if dress.is_narrow(ax) else 0.015) * (right - left))
    if notes:
        _place_notes(ax, years, low, high, middle, notes)
    return ax


def _place_notes(
    ax: Axes,
    years: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    middle: np.ndarray,
    notes: Sequence[tuple[str | dt.date, str]],
) -> None:
    """Numbers on a line and texts in the free space above or below it, none over another."""
    dress.figure_of(ax).draw_without_rendering()  # fixes the layout, so that pixels can be counted
    box = ax.get_window_extent()
    line = 17.0  # pixels from one text to the next
    wide = not dress.is_narrow(ax)

    def pixel(x: float, y: float) -> tuple[float, float]:
        across, up = ax.transData.transform((x, y))
        return float(across) - box.x0, float(up) - box.y0

    # The band as boxes, one for each stretch between two dates.
    corners = [(*pixel(x, lo), pixel(x, hi)[1]) for x, lo, hi in zip(years, low, high, strict=True)]
    taken: list[Box] = [
        (a[0], min(a[1], b[1]) - 4, b[0], max(a[2], b[2]) + 4)
        for a, b in itertools.pairwise(corners)
    ]
    spots = []
    for index, (date, text) in enumerate(notes, 1):
        x = dress.year_of(date)
        y = float(np.interp(x, years, middle))
        across, up = pixel(x, y)
        spots.append((index, x, y, across, up, short(text, 34)))
    discs: list[tuple[float, float]] = []
    for index, x, y, across, up, _ in spots:
        # Discs of neighbouring dates stand above one another, on a stalk.
        rise = up + 16
        while any(abs(across - a) < 19 and abs(rise - u) < 19 for a, u in discs):
            rise += 19
        discs.append((across, rise))
        taken.append((across - 10, up - 2, across + 10, rise + 10))
        _disc(ax, (x, y), rise - up, str(index))
    if not wide:
        return
    # From the right, so that a text never stands in the way of a stalk further left.
    for index, x, y, across, up, text in sorted(spots, key=lambda spot: -spot[3]):
        stalk = discs[index - 1][1]
        others = [a for position, (a, _) in enumerate(discs, 1) if position != index]
        spot = (across, up, stalk)
        place = _free_place(spot, 6.4 * len(text), line, (box.width, box.height), taken, others)
        if place is None:
            continue
        left, level = place
        taken.append((left, level - line / 2, left + 6.4 * len(text), level + line / 2))
        ax.annotate(
            text,
            (left / box.width, level / box.height),
            xycoords="axes fraction",
            ha="left",
            va="center",
            fontsize=SMALL,
            color=PALETTE["ink"],
            zorder=6,
            parse_math=False,
            annotation_clip=False,
            in_layout=False,
        )
        if not up < level <= stalk + line / 2:
            taken.append((across - 2, min(up, level), across + 2, max(up, level)))
            ax.annotate(
                "",
                (x, y),
                xytext=(0, level - up + (0.4 if level < up else -0.4) * line),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": PALETTE["rule"], "linewidth": 1},
                zorder=3,
                in_layout=False,
            )


def _disc(ax: Axes, at: tuple[float, float], rise: float, text: str) -> None:
    """A small numbered disc above a place on a line, joined to it by a stalk."""
    ax.annotate(
        text,
        at,
        xytext=(0, rise),
        textcoords="offset points",
        ha="center",
        va="center_baseline",
        fontsize=SMALL - 0.5,
        fontweight="bold",
        color=PALETTE["ground"],
        bbox={"boxstyle": "circle,pad=0.22", "facecolor": PALETTE["ink"], "edgecolor": "none"},
        arrowprops={"arrowstyle": "-", "color": PALETTE["ink"], "linewidth": 1, "shrinkA": 0},
        zorder=7,
        parse_math=False,
        annotation_clip=False,
        in_layout=False,
    )


Box = tuple[float, float, float, float]  # left, bottom, right, top, pixels


def _free_place(
    spot: tuple[float, float, float],
    length: float,
    line: float,
    room: tuple[float, float],
    taken: Sequence[Box],
    others: Sequence[float],
) -> tuple[float, float] | None:
    """Left edge and middle height of a text that touches nothing: beside its disc, above, or below.

    ``spot`` is a place along the axis, its height on the line and that of its disc; ``others`` are
    the places along the axis of the other discs, whose stalks may go up from there.
    """
    across, up, stalk = spot
    width, height = room

    def free(left: float, bottom: float, right: float, top: float) -> bool:
        return not any(
            left < b[2] + 3 and b[0] - 3 < right and bottom < b[3] and b[1] < top for b in taken
        )

    def fits(left: float, level: float) -> bool:
        right = left + length
        high = line / 2 + 4 <= level <= height - line / 2
        inside = high and left >= 2 and right <= width - 2
        return inside and free(left, level - line / 2, right, level + line / 2)

    if fits(across + 14, stalk):
        return across + 14, stalk
    left = across - 14 - length
    if fits(left, stalk) and not any(left <= other <= across for other in others):
        return left, stalk
    left = max(2.0, min(across - 4, width - 2 - length))
    for step in range(1, int(height / line)):
        level = stalk + 8 + line * step
        if fits(left, level) and free(across - 1, stalk + 12, across + 1, level - line / 2):
            return left, level
    for step in range(1, int(height / line)):
        level = up - 8 - line * step
        if fits(left, level) and free(across - 1, level + line / 2, across + 1, up - 8):
            return left, level
    return None
