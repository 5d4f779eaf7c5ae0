"""An executed notebook as one HTML file: own skeleton, nothing asked of any network.

A page whose reader may move terms or sort tables carries one script, ours, named by its digest; no other runs.

Inputs are left out unless asked for. Outputs of :mod:`valuation.sections` appear as they are; any
other output appears as escaped text, or as a picture if it is one. Markdown passes with its raw
HTML escaped and its links held to web addresses. A content security policy forbids all else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from valuation.errors import RunError
from valuation.sections import words
from valuation.sections.live import DATA_ID
from valuation.sections.parts import (
    FOLD,
    SECTION_MIME,
    Html,
    Section,
    anchor,
    esc,
    notebook_style,
    section_style,
)
from valuation.sections.world import GLOSSARY

FOLDER = Path(__file__).resolve().parent
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
# What in a page asks for a script, and which.
SCRIPTS = {
    f'id="{DATA_ID}"': FOLDER / "live.js",
    " data-sortable=": FOLDER / "tables.js",
    FOLD: FOLDER / "fold.js",
}
HOME = "../../index.html"  # seen from a report in reports/scenarios/NAME or reports/models/NAME
_PICTURES = ("image/png", "image/jpeg")


@dataclass(frozen=True)
class Part:
    """Prose under a heading of its own, which gathers the sections that follow."""

    id: str
    title: str
    html: Html


@dataclass(frozen=True)
class Entry:
    """A line of the page's contents, and the lines under it."""

    id: str
    title: str
    under: tuple[Entry, ...] = ()


def contents(blocks: Sequence[Section | Part | Html]) -> list[Entry]:
    """The lines of the contents: each part with its sections, those before any part by themselves."""
    lines: list[Entry] = []
    parted = False
    for block in blocks:
        if isinstance(block, Part):
            lines.append(Entry(block.id, block.title))
            parted = True
        elif isinstance(block, Section):
            line = Entry(block.id, block.title)
            if parted:
                lines[-1] = replace(lines[-1], under=(*lines[-1].under, line))
            else:
                lines.append(line)
    return lines


def document(
    *,
    title: str,
    blocks: Sequence[Section | Part | Html],
    heading: str = "",
    kicker: str = "",
    description: str = "",
    author: str = "",
    footer: str = "",
    home: str = "",
) -> str:
    """A whole page from sections and other markup of this package; strings are escaped.

    ``home`` is the relative address of the page that links all reports; empty: no such link.
    """
    import jinja2

    # Autoescape is on; only what this package made is marked as safe.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((FOLDER / "page.html.j2").read_text(encoding="utf-8"))
    style = section_style() + (FOLDER / "page.css").read_text("utf-8")
    shown = [esc(block) if isinstance(block, str) else block.html for block in blocks]
    if any(isinstance(block, Section) and block.id == "glossary" for block in blocks):
        shown = [with_terms(markup) for markup in shown]
    script = script_of(shown)
    return template.render(
        title=title,
        heading=heading or title,
        kicker=kicker,
        description=description,
        author=author,
        home=home,
        footer=footer or "Made by valuation. No part of this page asks anything of a network.",
        policy=_policy(script),
        script=_safe(script),
        style=_safe(style),
        entries=contents(blocks),
        blocks=[_safe(block) for block in shown],
    )


_TERMS = {name.lower(): term.id for term in GLOSSARY for name in term.names}
_ANY_TERM = re.compile(
    rf"(?<![\w-])({'|'.join(map(re.escape, sorted(_TERMS, key=len, reverse=True)))})(?![\w-])", re.I
)
_PIECE = re.compile(r"(<[^>]*>)")
_PROSE = {"p", "figcaption", "li"}
_APART = {"a", "svg", "table", "script", "button", "code", "label", "nav", "dl"}


def with_terms(markup: str) -> str:
    """Markup in which the first use of a glossary's word in running text is a link to its meaning.

    Attributes, figures, tables, links and whatever a script fills are left as they are.
    """
    prose = apart = 0
    met: set[str] = set()

    def linked(match: re.Match[str]) -> str:
        id = _TERMS[match.group().lower()]
        if id in met:
            return match.group()
        met.add(id)
        return f'<a class="vl-term" href="#{id}">{match.group()}</a>'

    out = []
    for piece in _PIECE.split(markup):
        if not piece.startswith("<"):
            out.append(_ANY_TERM.sub(linked, piece) if prose and not apart else piece)
            continue
        closing = piece.startswith("</")
        name = re.split(r"[\s>/]", piece[2 if closing else 1 :], maxsplit=1)[0]
        step = -1 if closing else 1
        if name in _APART:
            apart += step
        elif name in _PROSE:
            prose += step
        out.append(piece)
    return "".join(out)


def script_of(shown: Sequence[str]) -> str:
    """The scripts that the markup asks for, as one; text from a ledger is escaped and cannot ask."""
    asked = (file for mark, file in SCRIPTS.items() if any(mark in markup for markup in shown))
    return "".join(file.read_text(encoding="utf-8") for file in asked)


def _policy(script: str) -> str:
    """The content security policy: with a script, that one and no other may run."""
    if not script:
        return POLICY
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"{POLICY}; script-src 'sha256-{digest}'"


def _safe(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


def to_html(
    notebook: Mapping[str, Any],
    results: Mapping[str, Any],
    *,
    title: str = "",
    show_code: bool = False,
    home: str = HOME,
) -> str:
    """The page of an executed notebook.

    Parameters
    ----------
    notebook
        An executed notebook in format 4, as nbformat reads it.
    results
        What the notebook's last cell gave; heads the page. May lack any key.
    title
        Of the browser tab; the notebook's own title if empty.
    home
        Relative address of the page that links all reports; empty for no link.

    Raises
    ------
    RunError
        If a cell failed, or the notebook shows no section.
    """
    heading, blocks = "", []
    for block in _blocks(notebook, show_code=show_code):
        if isinstance(block, _Heading):
            heading = heading or block.text
        else:
            blocks.append(block)
    shown = [block for block in blocks if isinstance(block, Section)]
    if not shown:
        raise RunError("the notebook shows no section; was it executed to its end?")
    repeated = {s.id for s in shown if [t.id for t in shown].count(s.id) > 1}
    if repeated:
        raise RunError(f"the notebook shows these sections twice: {', '.join(sorted(repeated))}")
    return document(
        title=title or heading or shown[0].title,
        heading=heading or title,
        kicker=kicker(results),
        description=shown[0].summary,
        author=str(results.get("deal", {}).get("author") or ""),
        blocks=blocks,
        home=home,
    )


def kicker(results: Mapping[str, Any]) -> str:
    """The line above the title: which deal, which scenario, what was known."""
    parts = []
    if "deal" in results:
        parts.append(str(results["deal"]["title"]))
        if author := results["deal"].get("author"):
            parts.append(f"By {author}")
    if "scenario" in results:
        parts.append(f"Scenario: {results['scenario']['title']}")
        if terms := [words.spell_dates(str(t)) for t in results["scenario"].get("terms", ())]:
            parts.append(f"Changed terms: {words.listed(terms)}")
    if "as_of" in results:
        parts.append(f"Public by {words.long_date(results['as_of'])}")
    return " · ".join(parts)


def sections_of(notebook: Mapping[str, Any]) -> list[Section]:
    """The sections that an executed notebook shows, in order."""
    return [b for b in _blocks(notebook, show_code=False) if isinstance(b, Section)]


@dataclass(frozen=True)
class _Heading:
    text: str


def _blocks(
    notebook: Mapping[str, Any], *, show_code: bool
) -> Iterator[Section | Part | Html | _Heading]:
    for cell in notebook["cells"]:
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            yield from _prose(source)
        elif cell["cell_type"] == "code":
            if show_code and source.strip():
                yield Html(f'<pre class="code"><code>{_escape_lines(source)}</code></pre>')
            for output in cell.get("outputs", ()):
                yield from _output(output)


def _joined(source: str | Sequence[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _escape_lines(text: str) -> str:
    import html

    return html.escape(text, quote=True)


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def _output(output: Mapping[str, Any]) -> Iterator[Section | Html]:
    kind = output["output_type"]
    if kind == "error":
        raise RunError(f"a cell failed: {output['ename']}: {output['evalue']}")
    if kind == "stream":
        # What a library says while it works is for the terminal, not for the reader.
        return
    data: Mapping[str, Any] = output.get("data", {})
    mark = data.get(SECTION_MIME)
    if mark is not None:
        markup = _joined(data["text/html"]).removeprefix(notebook_style())
        said = _joined(data.get("text/plain", "")).removeprefix(f"{mark['title']}: ")
        yield Section(
            mark["id"], mark["title"], markup, said, "vl-half" in markup[:60], mark["figures"]
        )
        return
    if any(key.startswith("application/vnd.valuation.") for key in data):
        return
    for mime in _PICTURES:
        if mime in data:
            code = re.sub(r"[^A-Za-z0-9+/=]", "", _joined(data[mime]))
            said = esc(_joined(data.get("text/plain", "picture")))
            yield Html(f'<p><img alt="{said}" src="data:{mime};base64,{code}"></p>')
            return
    text = _COLOURS.sub("", _joined(data.get("text/plain", "")))
    if text.strip():
        yield Html(f'<pre class="plain">{_escape_lines(text)}</pre>')


def _prose(source: str) -> Iterator[Part | Html | _Heading]:
    """Markdown with raw HTML escaped; a first-level heading is the page's title, a second-level one begins a part."""
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("# "):
        yield _Heading(first[2:].strip())
        source = rest
    if first.startswith("## ") and (id := anchor(first[3:])):
        title = esc(first[3:].strip())
        inner = f'<h2 id="part-{id}">{title}</h2>{_markdown(rest)}'
        yield Part(f"part-{id}", first[3:].strip(), Html(f'<div class="prose part">{inner}</div>'))
    elif source.strip():
        yield Html(f'<div class="prose">{_markdown(source)}</div>')


def _markdown(source: str) -> str:
    import mistune

    class Renderer(mistune.HTMLRenderer):
        """Headings below the page's own; no pictures from elsewhere; web links only."""

        def heading(self, text: str, level: int, **attrs: Any) -> str:
            return super().heading(text, min(max(level, 2), 4), **attrs)

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return str(esc(text))

        def link(self, text: str, url: str, title: str | None = None) -> str:
            if url.startswith(("https://", "http://", "#")):
                return f'<a href="{esc(url)}" rel="noopener noreferrer">{text}</a>'
            return text

    return str(mistune.create_markdown(renderer=Renderer(escape=True), plugins=["table"])(source))
