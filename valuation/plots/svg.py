"""From marks to an SVG for a page: text stays text, colours become CSS variables, the same marks the same bytes.

Each colour of :data:`PALETTE` becomes a variable, so that a page can show the same drawing on a dark ground. What
marks look like is said by short classes, whose rules are :func:`style`: a page of fifty drawings holds them once.
"""

from __future__ import annotations

import io
import itertools
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
Draw = Callable[["Axes"], Any]


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


def draw_svg(draw: Draw, id: str, title: str, desc: str, *, width: float, height: float) -> str:
    """Make a figure of the given size, let ``draw`` fill its ``Axes``, and return the SVG."""
    figure, axes = new_figure(width, height)
    draw(axes)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="constrained_layout not applied")
        return to_svg(figure, id, title, desc)
