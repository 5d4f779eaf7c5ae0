"""Pictures: arrays in, marks on an ``Axes`` out. Nothing here computes a result.

Every function takes the ``Axes`` to draw on, then plain arrays, and returns the ``Axes``. Each
looks at the width of its figure: a narrow one (a phone) puts row labels above their bars instead of
beside them. Matplotlib is imported when a figure is made, never its ``pyplot``, and no setting of
it is left changed.

:func:`to_svg` turns a figure into an SVG for a page: text stays text, ids carry a prefix, nothing
depends on the clock, and each colour of :data:`PALETTE` becomes a CSS variable, so that a page can
show the same drawing on a dark ground. What its marks look like is said by short classes, whose rules
are :func:`style`: a page of fifty drawings holds them once.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# Each colour stands for a role and is used for nothing else: :func:`to_svg` finds a role by its
# colour. Blue and orange differ for every common kind of colour blindness and in grey print.
PALETTE: Mapping[str, str] = {
    "ink": "#1b1e23",
    "muted": "#565d68",
    "rule": "#b9bfc9",
    "grid": "#e6e8ec",
    "gain": "#0b62a4",
    "loss": "#b4500b",
    "neutral": "#68707d",
    "ground": "#fefefe",
}
CSS_PREFIX = "--vl-"

WIDE = 820
NARROW = 360
TEXT = 12.5
SMALL = 11.5

Marks = Sequence[tuple[float, str, Literal["exit", "seen", "reported"]]]


# Figures and their conversion.


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure of ``width`` × ``height`` CSS pixels and its one ``Axes``."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.04)
    figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout=layout)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    return figure, axes


def to_svg(figure: Figure, id: str, title: str, desc: str) -> str:
    """The figure as one ``<svg>`` element, the same bytes for the same marks.

    ``title`` and ``desc`` are what a screen reader says; ``id`` prefixes every id inside.
    """
    import io

    import matplotlib

    sheet = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": id, "path.simplify": True}
    with matplotlib.rc_context(settings):
        figure.savefig(sheet, format="svg", metadata={"Date": None, "Creator": None})
    return _adapt(ElementTree.fromstring(sheet.getvalue()), id, title, desc)


_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_LONG_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_NO_TURN = re.compile(r"rotate\(-?0(?:\.0*)? [^)]*\)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def plain(text: object) -> str:
    """One line of text without control characters, as SVG and HTML both accept it."""
    return " ".join(_CONTROL.sub("", str(text)).split())


def short(text: object, room: int) -> str:
    """:func:`plain` text cut between words to at most ``room`` characters."""
    words = plain(text)
    return words if len(words) <= room else f"{words[: room - 2].rsplit(' ', 1)[0]} …"


def _declared() -> dict[str, str]:
    """Class of each declaration that drawings repeat."""
    letters = dict(zip(PALETTE, "imrdglno", strict=True))
    found = {"fill:none": "f0"}
    for role, letter in letters.items():
        for prop in ("fill", "stroke"):
            found[f"{prop}:var({CSS_PREFIX}{role})"] = f"{prop[0]}{letter}"
    sizes = (SMALL, TEXT, TEXT + 1, SMALL - 0.5)
    found |= {f"font-size:{size:g}px": f"t{rank}" for rank, size in enumerate(sizes)}
    found |= {f"text-anchor:{side}": f"a{side[0]}" for side in ("middle", "end")}
    found["font-weight:700"] = "b"
    found |= {f"stroke-linecap:{end}": f"c{end[0]}" for end in ("square", "round")}
    for rank, width in enumerate(("1.2", "1.4", "1.6", "1.8", "2", "2.2", "3", "3.5", "5")):
        found[f"stroke-width:{width}"] = f"w{rank}"
    found |= {f"opacity:{share}": f"o{share[2:]}" for share in ("0.2", "0.45", "0.55")}
    return found


# What a browser takes anyway, and so need not be said.
_BY_DEFAULT = {"text-anchor:start", "stroke-dashoffset:0", "font-weight:400", "stroke-width:1"}
CLASSES: Mapping[str, str] = _declared()


def style() -> str:
    """The style sheet of the classes that :func:`to_svg` gives to marks."""
    rules = [".vl-svg{stroke-linejoin:round}"]
    rules += [f".vl-svg .{name}{{{said}}}" for said, name in CLASSES.items()]
    return "".join(rules)


def _round(match: re.Match[str]) -> str:
    return _tenths(round(10 * float(match.group())))


def _tenths(count: int) -> str:
    """A number of tenths as SVG writes it shortest: ``-.3``, ``12``, ``4.5``."""
    whole, rest = divmod(abs(count), 10)
    text = f"{whole or ''}.{rest}" if rest else str(whole)
    return f"-{text}" if count < 0 else text


_STEP = re.compile(r"([MLHVCQZz])([^MLHVCQZz]*)")
_RELATIVE = {"L": "l", "C": "c", "Q": "q"}


def _path(text: str) -> str:
    """The same path in steps from place to place, to a tenth of a pixel, in few characters.

    Places are rounded before they are told apart, so that no error adds up along a line.
    """
    out: list[str] = []
    here = start = (0, 0)
    last = ""
    for command, numbers in _STEP.findall(text):
        values = [round(10 * float(value)) for value in numbers.split()]
        if command in "Zz":
            out.append("z")
            here, last = start, "z"
            continue
        points = list(zip(values[::2], values[1::2], strict=True))
        if command == "M":
            # A pair after a move is a line, so one right behind another move needs no letter.
            out.append("M" + _numbers(values))
            here = start = points[-1]
            last = "M"
            continue
        moved = [step for x, y in points for step in (x - here[0], y - here[1])]
        name = _RELATIVE[command]
        if name == "l" and not any(moved) and last in "lhvc":
            continue
        if name == "l" and 0 in moved:
            name, moved = ("h", moved[:1]) if moved[1] == 0 else ("v", moved[1:])
        told = _numbers(moved)
        if name == last:
            out.append(told if told.startswith("-") else f" {told}")
        else:
            out.append(name + told)
        here, last = points[-1], name
    return "".join(out)


def _numbers(values: Sequence[int]) -> str:
    told = [_tenths(value) for value in values]
    return "".join(
        text if first or text.startswith("-") else f" {text}"
        for first, text in zip([True, *[False] * len(told)], told, strict=False)
    )


def _adapt(root: ElementTree.Element, id: str, title: str, desc: str) -> str:
    roles = {colour: f"var({CSS_PREFIX}{role})" for role, colour in PALETTE.items()}
    sentinel = re.compile("|".join(map(re.escape, roles)), re.IGNORECASE)
    used: set[str] = set()
    for element in root.iter():
        for value in element.attrib.values():
            used.update(re.findall(r"url\(#([^)]+)\)", value))
        if _XLINK in element.attrib:
            used.add(element.attrib[_XLINK].removeprefix("#"))
    known = [e.attrib["id"] for e in root.iter() if e.attrib.get("id") in used]
    named = {name: f"{id}-{rank}" for rank, name in enumerate(known)}

    def inside(value: str) -> str:
        return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{named[m.group(1)]})", value)

    def looks(value: str) -> dict[str, str]:
        """A style as classes, and as a style what has none."""
        classes, rest = [], []
        for declaration in filter(None, inside(value).split(";")):
            prop, _, said = declaration.partition(":")
            prop, said = prop.strip(), said.strip()
            if prop in ("font-family", "stroke-linejoin", "stroke-miterlimit"):
                continue
            told = f"{prop}:{sentinel.sub(lambda m: roles[m.group().lower()], said)}"
            if told in CLASSES:
                classes.append(CLASSES[told])
            elif told not in _BY_DEFAULT:
                rest.append(told)
        return {"class": " ".join(classes), "style": ";".join(rest)}

    def attributes(element: ElementTree.Element) -> dict[str, str]:
        kept: dict[str, str] = {}
        for key, value in element.attrib.items():
            if key == "id":
                kept["id"] = named.get(value, "")
            elif key == _XLINK:
                kept["href"] = f"#{named[value.removeprefix('#')]}"
            elif key == "style":
                kept |= looks(value)
            elif key == "clip-path":
                kept[key] = inside(value)
            elif key == "transform":
                kept[key] = _LONG_NUMBER.sub(_round, _NO_TURN.sub("", value)).strip()
            elif key == "d":
                kept[key] = _path(value)
            elif key in ("x", "y", "width", "height", "points", "viewBox"):
                kept[key] = _LONG_NUMBER.sub(_round, value).replace("\n", "").strip()
        return {key: value for key, value in kept.items() if value}

    def copy(element: ElementTree.Element) -> list[ElementTree.Element]:
        name = element.tag.removeprefix(_SVG)
        if name in ("style", "title", "desc", "script", "metadata") or "}" in name:
            return []
        clone = ElementTree.Element(name, attributes(element))
        if name == "text":
            clone.text = plain("".join(element.itertext()))
            return [clone]
        for child in element:
            clone.extend(copy(child))
        if name in ("g", "defs") and len(clone) == 0:
            return []
        if name == "g" and not clone.attrib:
            return list(clone)
        clone[:] = _clipped_once(list(clone))
        return [clone]

    (svg,) = copy(root)
    box = svg.attrib["viewBox"]
    svg.attrib.clear()
    svg.attrib.update(
        {
            "class": "vl-svg",
            "viewBox": box,
            "role": "img",
            "aria-labelledby": f"{id}-title {id}-desc",
        }
    )
    for position, (name, text) in enumerate((("title", title), ("desc", desc))):
        label = ElementTree.Element(name, {"id": f"{id}-{name}"})
        label.text = plain(text)
        svg.insert(position, label)
    return ElementTree.tostring(svg, encoding="unicode")


def _clipped_once(marks: list[ElementTree.Element]) -> list[ElementTree.Element]:
    """Neighbours that are clipped alike in one group that says so once."""
    out: list[ElementTree.Element] = []
    for clip, run in itertools.groupby(marks, lambda mark: mark.attrib.get("clip-path")):
        held = list(run)
        if clip is None or len(held) == 1:
            out += held
            continue
        group = ElementTree.Element("g", {"clip-path": clip})
        for mark in held:
            del mark.attrib["clip-path"]
            if mark.tag == "g" and not mark.attrib:
                group.extend(list(mark))
            else:
                group.append(mark)
        out.append(group)
    return out


# Shared dress.


def size_of(ax: Axes) -> tuple[float, float]:
    """Width and height of the figure in pixels."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("these axes have left their figure; make them with new_figure()")
    width, height = figure.get_size_inches()
    return 72 * float(width), 72 * float(height)


def is_narrow(ax: Axes) -> bool:
    """Whether the figure is meant for a phone."""
    return size_of(ax)[0] < 500


def _text(ax: Axes, x: float, y: float, text: str, **style: Any) -> Any:
    style = {"color": PALETTE["ink"], "fontsize": TEXT, "parse_math": False, **style}
    return ax.text(x, y, plain(text), **style)


def _dress(
    ax: Axes,
    *,
    x_label: str = "",
    y_label: str = "",
    x_grid: bool = False,
    y_grid: bool = False,
    left: bool = False,
) -> None:
    """One look: no box, thin rules, the y label above the axis where it can be read."""
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
            short(y_label, room),
            loc="left",
            color=PALETTE["muted"],
            fontsize=TEXT,
            pad=8,
            parse_math=False,
        )


def _ticks(ax: Axes, axis: Literal["x", "y"], count: int) -> None:
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


def _percent_axis(ax: Axes, axis: Literal["x", "y"], end: int = 100) -> None:
    """Probabilities run from 0 to 100%; only a history may end lower, and says so (:func:`_ended`)."""
    places = [end * quarter / 4 for quarter in range(5)]
    labels = [f"{number(place)}%" for place in places]
    if axis == "y":
        ax.set_ylim(0, 1.03 * end)
        ax.set_yticks(places, labels)
    else:
        ax.set_xlim(0, 1.03 * end)
        ax.set_xticks(places, labels)


def _chance_end(highest: float) -> int:
    """Where the axis of a history of a chance ends, %: moves are what it is read for, so they must be seen.

    It starts at 0 all the same, so that heights compare.
    """
    return next(
        (end for end in (4, 8, 12, 16, 20, 24, 32, 40, 60, 80) if 1.15 * highest <= end), 100
    )


def _ended(label: str, end: int) -> str:
    return f"{label}; axis to {end}%" if 0 < end < 100 else label


def row_height(narrow: bool) -> float:
    """Pixels that one row of a row chart wants."""
    return 50.0 if narrow else 34.0


def _rows(
    ax: Axes, labels: Sequence[str], *, bold: Sequence[bool] = (), lift: float = 0.0
) -> float:
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
    """A long label beside a bar on two lines; cut only if even these do not hold it."""
    import textwrap

    words = short(text, 2 * room - 8)
    if len(words) <= room:
        return words
    # The narrowest wrapping that needs two lines leaves no single word on the second.
    for width in range(len(words) // 2, room + 1):
        lines = textwrap.wrap(words, width)
        if len(lines) <= 2:
            return "\n".join(lines)
    return short(words, room)


def _zero_line(ax: Axes, value: float = 0.0) -> None:
    ax.axvline(value, color=PALETTE["ink"], linewidth=1, zorder=3)


def _year(date: str | dt.date) -> float:
    day = dt.date.fromisoformat(date) if isinstance(date, str) else date
    start = dt.date(day.year, 1, 1)
    return day.year + (day - start).days / ((dt.date(day.year + 1, 1, 1) - start).days)


def _year_axis(ax: Axes, first: float, last: float) -> None:
    wanted = 5 if is_narrow(ax) else 9
    step = max(1, math.ceil((last - first) / wanted))
    years = list(range(math.ceil(first), math.floor(last) + 1, step))
    ax.set_xticks(years, [str(year) for year in years])
    ax.set_xlim(first, last)


def _flag(ax: Axes, x: float, text: str, *, at: float = 1.0) -> None:
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


# One picture each.


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
    figure_width = size_of(ax)[0]
    narrow = is_narrow(ax)
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
    _dress(ax, x_label=f"Net present value, {unit}")
    _ticks(ax, "x", 6 if narrow else 9)
    _zero_line(ax, threshold)
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
    height = _rows(ax, labels, bold=list(totals))
    running = 0.0
    edges: list[float] = [0.0]
    for row, (mean, total) in enumerate(zip(means, totals, strict=True)):
        start = 0.0 if total else running
        end = mean if total else running + mean
        role = "neutral" if total else ("gain" if mean >= 0 else "loss")
        ax.barh(row, end - start, left=start, height=height, color=PALETTE[role], zorder=4)
        edges += [start, end]
        if row + 1 < len(labels) and not is_narrow(ax):
            link = (row + height / 2, row + 1 - height / 2)
            ax.plot([end, end], link, color=PALETTE["muted"], linewidth=1, zorder=3)
        right = max(start, end)
        ax.annotate(
            signed(mean),
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
    ax.set_xlim(low - 0.03 * pad, high + (0.17 if is_narrow(ax) else 0.10) * pad)
    _dress(ax, x_label=f"{unit}, present value", x_grid=True)
    _ticks(ax, "x", 5 if is_narrow(ax) else 8)
    _zero_line(ax)
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
    years = np.array([_year(date) for date in dates])
    low, mid, high = (scale * np.asarray(curve, float) for curve in (lower, median, upper))
    blue = PALETTE["gain"]
    ax.fill_between(years, low, high, color=blue, alpha=0.20, linewidth=0)
    names = [(high[-1], f"{mass:.0%}"), (low[-1], f"{mass:.0%}")]
    if inner_lower is not None and inner_upper is not None:
        in_low, in_high = (scale * np.asarray(c, float) for c in (inner_lower, inner_upper))
        ax.fill_between(years, in_low, in_high, color=blue, alpha=0.34, linewidth=0)
        names += [(in_high[-1], f"{inner_mass:.0%}"), (in_low[-1], f"{inner_mass:.0%}")]
    ax.plot(years, mid, color=blue, linewidth=2, solid_capstyle="round")
    _dress(ax, y_label=label, y_grid=True)
    if percent and float(high.max()) <= 100:
        _percent_axis(ax, "y")
    else:
        bottom, top = float(low.min()), float(high.max())
        pad = (top - bottom) * 0.06 or 0.5
        ax.set_ylim(0 if 0 <= bottom < 0.5 * top else bottom - pad, top + pad)
        _ticks(ax, "y", 6)
    _year_axis(ax, float(years[0]), float(years[-1]))
    if zero:
        ax.axhline(0, color=PALETTE["ink"], linewidth=1, zorder=3)
    if today:
        _flag(ax, _year(today), today)
    if (high > low).any():
        _end_labels(ax, float(years[-1]), [(float(mid[-1]), "median"), *names])
    return ax


def _end_labels(ax: Axes, x: float, labels: Sequence[tuple[float, str]]) -> None:
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
    height = _rows(ax, labels)
    narrow = is_narrow(ax)
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
    _dress(ax, x_label=f"Mean net present value, {unit}", x_grid=True)
    _ticks(ax, "x", 5 if narrow else 8)
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
    _dress(ax, x_label=x_label, y_label=y_label, left=True)
    _ticks(ax, "x", 5 if is_narrow(ax) else 8)
    _ticks(ax, "y", 6)
    lowest, highest = float(grid.min()), float(grid.max())
    for level, line in ((25, 1.0), (50, 2.2), (75, 1.0)):
        if not lowest < level < highest:
            continue
        drawn = ax.contour(x, y, grid, levels=[level], colors=[PALETTE["ink"]], linewidths=[line])
        pieces = [piece for piece in drawn.allsegs[0] if len(piece) > 1]
        place = _inner_place(ax, pieces)
        if place is not None:
            _text(
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
    if room[best] < (0.16 if is_narrow(ax) else 0.08):
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
    _dress(ax, x_label=x_label, y_label=y_label, y_grid=True)
    _percent_axis(ax, "y")
    ax.set_xlim(float(places.min()), float(places.max()))
    _ticks(ax, "x", 5 if is_narrow(ax) else 8)
    for value, text in marks:
        at = scale * value
        here = float(np.interp(at, places, chance))
        _flag(ax, at, text)
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
    height = _rows(ax, labels, bold=[row == highlight for row in range(len(labels))])
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
        room = size_of(ax)[0] * (0.92 if is_narrow(ax) else 0.55)
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
    _dress(ax, x_label=x_label)
    _percent_axis(ax, "x")
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
    _rows(ax, labels, bold=[row == highlight for row in range(len(labels))], lift=lift)
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
    _dress(ax, x_label=x_label, x_grid=True)
    _ticks(ax, "x", 5 if is_narrow(ax) else 8)
    if zero:
        _zero_line(ax)
    for row, note in enumerate(notes):
        narrow = is_narrow(ax)
        _text(
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
    _dress(ax, x_label=x_label, y_label=short(name, 50))
    _ticks(ax, "x", 5)
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
    _dress(ax, x_label=x_label, y_label=label, y_grid=True)
    if percent and highest <= 100:
        _percent_axis(ax, "y")
    else:
        _ticks(ax, "y", 6)
    ax.set_xlim(float(place[0]), float(place[-1]))
    _ticks(ax, "x", 6 if is_narrow(ax) else 10)
    if prior is None:
        last = [scale * float(posterior[key][-1]) for key in ("median", "upper", "lower")]
        _end_labels(ax, float(place[-1]), list(zip(last, ("median", "90%", "90%"), strict=True)))
    else:
        _name_before_and_after(ax, float(place[-1]), scale, prior, posterior)
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


def _name_before_and_after(
    ax: Axes,
    x: float,
    scale: float,
    prior: Mapping[str, Sequence[float]],
    posterior: Mapping[str, Sequence[float]],
) -> None:
    """The names of two medians at their right ends."""
    bottom, top = ax.get_ylim()
    pixel = (top - bottom) / (size_of(ax)[1] * 0.7)
    ends = sorted(
        [
            (scale * float(prior["median"][-1]), "prior"),
            (scale * float(posterior["median"][-1]), "posterior"),
        ]
    )
    # Names clear each other and the ticks below them.
    lower_end = max(ends[0][0], bottom + 7 * pixel)
    if ends[1][0] - lower_end < 14 * pixel:
        lower_end = max(bottom + 7 * pixel, (ends[0][0] + ends[1][0]) / 2 - 7 * pixel)
    ends = [(lower_end, ends[0][1]), (max(ends[1][0], lower_end + 14 * pixel), ends[1][1])]
    for y, name in ends:
        ax.annotate(
            name,
            (x, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            color=PALETTE["gain" if name == "posterior" else "muted"],
            fontsize=SMALL,
            fontweight="bold",
            annotation_clip=False,
        )


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
    _rows(ax, labels)
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
    _dress(ax, x_label=x_label, x_grid=True)
    if observed is None:
        _percent_axis(ax, "x")
        return ax
    _ticks(ax, "x", 5 if is_narrow(ax) else 8)
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
    _rows(ax, labels)
    for row, (now, later) in enumerate(zip(first, second, strict=True)):
        ends = [100 * now, 100 * later]
        ax.plot(ends, [row, row], color=PALETTE["rule"], linewidth=3, zorder=3)
        ring: dict[str, Any] = {"markeredgecolor": PALETTE["gain"], "markeredgewidth": 2}
        dots: dict[str, Any] = {"clip_on": False, "zorder": 5}
        ax.plot(ends[:1], [row], "o", color=PALETTE["ground"], markersize=8, **ring, **dots)
        ax.plot(ends[1:], [row], "o", color=PALETTE["gain"], markersize=9, **dots)
    # A line above the rows: beside a mark a date would print over a name or a neighbour.
    legend = f"ring: {first_name}, dot: {second_name}" if first_name != second_name else ""
    _dress(ax, y_label=legend, x_grid=True)
    _percent_axis(ax, "x")
    return ax


def counts(
    ax: Axes, labels: Sequence[str], counted: Sequence[int], others: Sequence[int], *, x_label: str
) -> Axes:
    """How many of each kind count (blue), and how many do not (grey) after them."""
    height = _rows(ax, labels)
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
    _dress(ax, x_label=x_label, x_grid=True)
    _ticks(ax, "x", 6)
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
    height = _rows(ax, labels)
    ends = []
    for row, (value, error, text) in enumerate(zip(worth, errors, texts, strict=True)):
        ax.barh(row, value, height=height, color=PALETTE["gain"], zorder=4)
        if error > 0:
            _error_line(ax, max(0.0, value - 2 * error), value + 2 * error, row)
        ends.append(value + 2 * error)
        _beside(ax, ends[-1], row, text, bold=value > 2 * error)
    longest = max((len(short(text, 24)) for text in texts), default=0)
    room = min(0.4, (7.4 * longest + 10) / (size_of(ax)[0] * (0.94 if is_narrow(ax) else 0.6)))
    ax.set_xlim(0, (max(ends, default=0.0) or 1.0) / (1 - room))
    _dress(ax, x_label=x_label, x_grid=True)
    _ticks(ax, "x", 5 if is_narrow(ax) else 7)
    return ax


# What changed.


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
    _dress(
        ax,
        x_label="Posterior probability of less than the truth",
        y_label=label,
        y_grid=True,
    )
    _percent_axis(ax, "x")
    _ticks(ax, "y", 6)
    reach = 1.1 * max(float(np.abs(closed(v)).max()) for v in (*every, *lines))
    ax.set_ylim(-reach, reach)
    return ax


def _beside(
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


def _error_line(ax: Axes, low: float, high: float, row: float) -> None:
    ax.plot([low, high], [row, row], color=PALETTE["ink"], linewidth=1.4, zorder=5)


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
    height = _rows(ax, rows, bold=[True, *(False for _ in labels), True])
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
    narrow = is_narrow(ax)
    for row, (level, text) in ((0, (before, before_text)), (len(rows) - 1, (now, now_text))):
        if cut:
            ax.plot([level], [row], "o", color=PALETTE["neutral"], markersize=9, zorder=5)
        else:
            ax.barh(row, level, height=height, color=PALETTE["neutral"], zorder=4)
        _beside(ax, max(level, 0.0) if not cut else level, row, text, bold=True)
    for row, (change, error, text) in enumerate(zip(changes, errors, texts, strict=True), 1):
        start, end = levels[row - 1], levels[row]
        role = "gain" if change >= 0 else "loss"
        ax.barh(row, change, left=start, height=height, color=PALETTE[role], zorder=4)
        if error > 0:
            _error_line(ax, end - 2 * error, end + 2 * error, row)
        _beside(ax, max(start, end, end + 2 * error), row, text)
    if not narrow:
        for row, level in enumerate(levels):
            link = (row + height / 2, row + 1 - height / 2)
            ax.plot([level, level], link, color=PALETTE["muted"], linewidth=1, zorder=3)
    low, high = (min(ends), max(ends)) if cut else (min(*ends, 0.0), max(*ends, 0.0))
    pad = (high - low) or 1.0
    # Room for the longest value beside the longest bar.
    longest = max((len(short(text, 24)) for text in (*texts, before_text, now_text)), default=0)
    share = min(0.45, (7.0 * longest + 10) / (size_of(ax)[0] * (0.94 if narrow else 0.66)))
    left_pad = 0.04 * pad if cut or low < 0 else 0.0
    ax.set_xlim(low - left_pad, high + pad * share / (1 - share))
    _dress(ax, x_label=f"{x_label}; does not start at zero" if cut else x_label, x_grid=True)
    _ticks(ax, "x", 5 if narrow else 8)
    if not cut:
        _zero_line(ax)
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
    height = _rows(ax, labels)
    narrow = is_narrow(ax)
    ends = [0.0]
    for row, (share, error, text) in enumerate(zip(shares, errors, texts, strict=True)):
        role = "gain" if share >= 0 else "loss"
        ax.barh(row, share, height=height, color=PALETTE[role], zorder=4)
        if error > 0:
            _error_line(ax, share - 2 * error, share + 2 * error, row)
        far = [share - 2 * error, share + 2 * error, 0.0]
        ends += far
        down = share < 0
        _beside(ax, min(far) if down else max(far), row, text, left=down)
    low, high = min(ends), max(ends)
    span = (high - low) or 1.0
    longest = max((len(short(text, 24)) for text in texts), default=0)
    share = min(0.4, (7.0 * longest + 10) / (size_of(ax)[0] * (0.94 if narrow else 0.62)))
    sides = [any(s < 0 for s in shares), any(s >= 0 for s in shares)]
    room = span * share / max(0.2, 1 - share * sum(sides))
    ax.set_xlim(
        low - (room if sides[0] else 0.04 * span), high + (room if sides[1] else 0.04 * span)
    )
    _dress(ax, x_label=x_label, x_grid=True)
    _ticks(ax, "x", 5 if narrow else 8)
    _zero_line(ax)
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
    years = np.array([_year(date) for date in dates])
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
    _dress(ax, y_label=label, y_grid=True)
    if percent and max(highs) <= 100:
        _percent_axis(ax, "y")
    else:
        bottom, top = min(lows), max(highs)
        pad = (top - bottom) * 0.06 or 0.5
        ax.set_ylim(0 if 0 <= bottom < 0.5 * top else bottom - pad, top + pad)
        _ticks(ax, "y", 6)
    _time_axis(ax, float(years[0]), float(years[-1]))
    if today:
        _flag(ax, _year(today), today)
    _two_ends(ax, float(years[-1]), ends, {"before": "muted", "now": "gain"})
    return ax


def _two_ends(
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


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _time_axis(ax: Axes, first: float, last: float) -> None:
    """Years, or months where there are too few years to find one's way by."""
    if last - first > 3:
        _year_axis(ax, first, last)
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
    places = [_year(dt.date(month // 12, month % 12 + 1, 1)) for month in shown]
    ax.set_xticks(places, texts)
    ax.set_xlim(first, last)


def history(
    ax: Axes,
    dates: Sequence[str | dt.date],
    values: Sequence[float],
    errors: Sequence[float],
    *,
    label: str,
    percent: bool = True,
    stepped: bool = False,
    notes: Sequence[tuple[str | dt.date, str]] = (),
) -> Axes:
    """What was thought on each date, with a band of two errors each way.

    ``stepped`` holds a value until the next date. Each of ``notes``, a date and a short text, gets a
    number at its place on the line, which also opens its text; a narrow figure shows the number
    alone, for a list beside it to explain. Notes that find no free place are numbers too.
    """
    scale = 100.0 if percent else 1.0
    years = np.array([_year(date) for date in dates])
    middle = scale * np.asarray(values, float)
    error = 2 * scale * np.asarray(errors, float)
    low, high = middle - error, middle + error
    if percent:
        low, high = np.clip(low, 0, 100), np.clip(high, 0, 100)
    blue = PALETTE["gain"]
    step: Any = {"step": "post"} if stepped else {}
    ax.fill_between(years, low, high, color=blue, alpha=0.24, linewidth=0, **step)
    style: Any = {"drawstyle": "steps-post"} if stepped else {}
    ax.plot(years, middle, color=blue, linewidth=2, solid_capstyle="round", zorder=4, **style)
    ax.plot(years[-1:], middle[-1:], "o", color=blue, markersize=7, zorder=5, clip_on=False)
    end = _chance_end(float(high.max())) if percent else 0
    _dress(ax, y_label=_ended(label, end), y_grid=True)
    if percent:
        _percent_axis(ax, "y", end)
    else:
        bottom, top = float(low.min()), float(high.max())
        pad = (top - bottom) * 0.12 or abs(top) * 0.1 or 0.5
        ax.set_ylim(0 if 0 <= bottom < 0.5 * top else bottom - pad, top + pad)
        _ticks(ax, "y", 6)
    _time_axis(ax, float(years[0]), float(years[-1]))
    left, right = ax.get_xlim()
    ax.set_xlim(left, right + (0.03 if is_narrow(ax) else 0.015) * (right - left))
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
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ValueError("these axes have left their figure; make them with new_figure()")
    figure.draw_without_rendering()  # fixes the layout, so that pixels can be counted
    box = ax.get_window_extent()
    line = 17.0  # pixels from one text to the next
    wide = not is_narrow(ax)

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
        x = _year(date)
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


Draw = Callable[["Axes"], Any]


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
    width = 13.0 if is_narrow(ax) else 7.0  # per cent that a dot with its label takes
    levels: dict[float, list[float]] = {1.0: [], 0.0: []}
    for x, came, name in sorted(zip(probability, outcome, labels, strict=True)):
        taken = levels[came]
        place = next((i for i, last in enumerate(taken) if 100 * x - last >= width), len(taken))
        taken[place : place + 1] = [100 * x]
        y = 106 + 7 * place if came else -6 - 7 * place
        colour = blue if came else orange
        ax.plot([100 * x], [y], "o", color=colour, markersize=7, zorder=6, clip_on=False)
        _text(
            ax, 100 * x + 0.26 * width, y, name, va="center_baseline", fontsize=SMALL, color=colour
        )
    _dress(ax, x_label="Chance that was given", y_label="Share that came true", y_grid=True)
    _percent_axis(ax, "x")
    _percent_axis(ax, "y")
    ax.set_xlim(-2, 106)
    ax.set_ylim(-9 - 7 * max(len(levels[0.0]) - 1, 0), 109 + 7 * max(len(levels[1.0]) - 1, 0))
    return ax


def draw_svg(draw: Draw, id: str, title: str, desc: str, *, width: float, height: float) -> str:
    """Make a figure of the given size, let ``draw`` fill its ``Axes``, and return the SVG."""
    import warnings

    figure, axes = new_figure(width, height)
    draw(axes)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("error", message="constrained_layout not applied")
        return to_svg(figure, id, title, desc)
