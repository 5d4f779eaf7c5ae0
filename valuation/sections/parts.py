"""What every section is made of: escaped text, tables, figures with words and data behind them."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from valuation import plots

SECTION_MIME = "application/vnd.valuation.section+json"
STYLE_FILE = Path(__file__).resolve().parent.parent / "page" / "section.css"


class Html(str):
    """Markup that this package made; any other string is escaped before it is shown."""

    __slots__ = ()


def esc(text: object) -> Html:
    """Text as HTML shows it literally; markup from :class:`Html` passes."""
    if isinstance(text, Html):
        return text
    return Html(html.escape(plots.plain(text), quote=True))


def join(parts: Sequence[str], between: str = "") -> Html:
    """Escaped parts put together."""
    return Html(between.join(esc(part) for part in parts))


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element. In an attribute's name a trailing underscore is dropped, others are hyphens."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(plots.plain(value), quote=True)}"'
        for key, value in attributes.items()
        if value
    )
    return Html(f"<{name}{shown}>{join(children)}</{name}>")


def link(address: str, text: str) -> Html:
    """A link, if the address is a plain web address; the bare text if it is anything else."""
    cleaned = str(address or "").strip()
    try:
        parts = urlsplit(cleaned)
        safe = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        safe = False
    if not safe or not cleaned.isprintable() or " " in cleaned:
        return esc(text)
    return tag("a", text, href=cleaned, rel="noopener noreferrer")


@cache
def notebook_style() -> str:
    """The rules a section needs where no page surrounds it."""
    return f"<style>{section_style()}</style>"


def section_style() -> str:
    """The rules of sections and of the drawings in them."""
    return STYLE_FILE.read_text(encoding="utf-8") + plots.style()


@dataclass(frozen=True)
class Section:
    """One part of a report: shown by a notebook cell and, as it is, by the page.

    Attributes
    ----------
    id
        Anchor in the page, ``[a-z-]+``.
    title
        Its heading, as text.
    html
        The whole ``<section>``.
    summary
        One sentence of plain text: what the section says.
    half
        Whether two such sections may stand side by side.
    figures
        How many figures it holds.
    finding
        What stands beside the heading while the section is folded; the summary if empty.
    """

    id: str
    title: str
    html: str
    summary: str = ""
    half: bool = False
    figures: int = field(default=0)
    finding: str = ""

    def _repr_html_(self) -> str:
        return notebook_style() + self.html

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {
            "text/plain": f"{self.title}: {self.summary}" if self.summary else self.title,
            "text/html": self._repr_html_(),
            SECTION_MIME: {"id": self.id, "title": self.title, "figures": self.figures},
        }


def anchor(name: object) -> str:
    """A name as a part of an id: lower case, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")


def section(
    id: str,
    title: str,
    *body: str,
    summary: str = "",
    half: bool = False,
    kind: str = "",
    finding: str = "",
) -> Section:
    """Put a heading over ``body``; ``finding`` is a shorter summary for where only a line is free."""
    inner = join(body)
    classes = " ".join(name for name in ("vl", "vl-half" if half else "", kind) if name)
    heading = tag("h2", title, id=f"{id}-heading")
    markup = (
        f'<section class="{classes}" id="{id}" aria-labelledby="{id}-heading">'
        f"{heading}{inner}</section>"
    )
    return Section(id, title, markup, summary, half, inner.count("<figure"), finding)


FOLD = '<details class="vl vl-fold">'  # how a folded section begins
_OPEN = re.compile(r'<section class="([^"]*)" (id="[^"]*" aria-labelledby="[^"]*")>(<h2 .*?</h2>)')


def folded(shown: Section | None) -> Section | None:
    """The section folded away under its heading and its finding; None stays None.

    It opens without a script, by a link to anything in it, and on paper. The anchor lies inside, so that browsers
    open it themselves when a link leads there.
    """
    if shown is None:
        return None
    begun = _OPEN.match(shown.html)
    if begun is None:
        raise ValueError(f"section {shown.id!r} is folded already, or not made by section()")
    classes, names, heading = begun.groups()
    kind = " ".join(name for name in classes.split() if name not in ("vl", "vl-half"))
    said = tag("span", shown.finding or shown.summary, class_="vl-finding")
    inner = shown.html[begun.end() :].removesuffix("</section>")
    opened = f'<section class="{kind}" {names}>' if kind else f"<section {names}>"
    markup = f"{FOLD}<summary>{heading}{said}</summary>{opened}{inner}</section></details>"
    return replace(shown, html=markup, half=False)


def bullets(items: Iterable[str], kind: str = "") -> Html:
    """A list of texts."""
    return tag("ul", *(tag("li", prose(item)) for item in items), class_=kind)


def paragraph(text: str, kind: str = "") -> Html:
    """A paragraph of generated prose."""
    return tag("p", prose(text), class_=kind)


def prose(text: str) -> Html:
    """Text for a page: what stands between backticks, as a command does, is set as code. Markup stays as it is."""
    return text if isinstance(text, Html) else Html(_COMMAND.sub(r"<code>\1</code>", esc(text)))


_COMMAND = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Column:
    """A table column: its head, and whether it holds numbers or names its row."""

    name: str
    numeric: bool = False
    head: bool = False


def columns(*names: str, numeric: Sequence[int] = ()) -> list[Column]:
    """Columns by name; the first names the row, those in ``numeric`` align right."""
    return [Column(name, index in numeric, index == 0) for index, name in enumerate(names)]


def table(
    caption: str,
    heads: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    stack: bool = False,
    hidden_caption: bool = False,
    sortable: str = "",
) -> Html:
    """An accessible table; ``stack`` turns rows into cards on a phone instead of scrolling.

    ``sortable`` is the label of a field by which a reader with scripts may narrow it; its columns then sort, too.
    """
    head = join(
        [Html(f'<th scope="col"{_numeric(column)}>{esc(column.name)}</th>') for column in heads]
    )
    lines = []
    for row in rows:
        cells = []
        for column, cell in zip(heads, row, strict=True):
            name = "th" if column.head else "td"
            scope = ' scope="row"' if column.head else ""
            cells.append(f"<{name}{scope}{_numeric(column)}>{esc(cell)}</{name}>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
    kind = f' class="vl-stack" style="{_labels(heads)}"' if stack else ""
    quiet = ' class="vl-quiet"' if hidden_caption else ""
    inner = (
        f"<table{kind}><caption{quiet}>{esc(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )
    asks = f' data-sortable="{esc(sortable)}"' if sortable else ""
    return Html(
        f'<div class="vl-scroll" role="group" tabindex="0" aria-label="{esc(caption)}"{asks}>'
        f"{inner}</div>"
    )


def _labels(heads: Sequence[Column]) -> Html:
    """What a card on a phone writes before each cell: said once for the table, read by its style sheet."""
    told = []
    for place, column in enumerate(heads, 1):
        name = plots.plain(column.name).replace("\\", "\\\\").replace('"', '\\"')
        told.append(f'--vl-{place}:"{name}"')
    return esc(";".join(told))


def _numeric(column: Column) -> str:
    return ' class="vl-number"' if column.numeric else ""


def details(summary: str, *body: str, finding: str = "") -> Html:
    """Something folded away that opens without a script.

    With a ``finding``, which stays beside its name, it is part of the argument and is printed; the rest of a long
    table is not.
    """
    if not finding:
        return Html(f"<details><summary>{esc(summary)}</summary>{join(body)}</details>")
    said = join([tag("strong", f"{summary}."), tag("span", finding)], " ")
    return Html(f'<details class="vl-told"><summary>{said}</summary>{join(body)}</details>')


def figure(
    id: str,
    draw: plots.Draw,
    *,
    title: str,
    reading: str,
    heads: Sequence[Column],
    rows: Sequence[Sequence[str]],
    height: float,
    narrow_height: float | None = None,
    width: float = plots.WIDE,
    half: bool = False,
    alt: str = "",
    more: str = "",
) -> Html:
    """A drawing, one sentence that reads it, and the numbers behind it.

    Two drawings are made, for wide and for narrow screens, and the page shows the one that fits; a
    ``half`` figure is always drawn narrow. ``alt`` is the text alternative, the reading if empty;
    ``more`` joins the data.
    """
    text = alt or reading
    narrow = plots.draw_svg(
        draw,
        f"{id}-narrow",
        title,
        text,
        width=plots.NARROW,
        height=narrow_height or height,
    )
    if half:
        drawings = f'<div class="vl-any">{narrow}</div>'
    else:
        wide = plots.draw_svg(draw, f"{id}-wide", title, text, width=width, height=height)
        drawings = f'<div class="vl-wide">{wide}</div><div class="vl-narrow">{narrow}</div>'
    data = table(f"{title}: data", heads, rows, hidden_caption=True)
    return Html(
        f'<figure id="{id}">{drawings}'
        f"<figcaption>{esc(reading)}</figcaption>"
        f"{details('Data behind this figure', data, Html(more))}</figure>"
    )


def get(results: Mapping[str, Any], key: str) -> Any:
    """``results[key]``, or an error that says which section lacks what."""
    from valuation.errors import RunError

    if key not in results:
        raise RunError(
            f"results have no {key!r}, so this section cannot be shown; "
            f"they have: {', '.join(sorted(results))}"
        )
    return results[key]
