"""Pages: whole, offline, escaped, readable on a phone and on a desk, light and dark."""

from __future__ import annotations

import ast
import base64
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import types
from functools import cache
from html.parser import HTMLParser
from unittest import mock

import nbformat
import nbformat.v4 as v4
import pytest
import small_world
from example_results import (
    conditional_results,
    example_comparison,
    example_method_results,
    example_model_results,
    example_results,
    example_scores,
)
from example_update import example_replay, example_update
from test_notebooks_static import NOTEBOOKS
from test_sections import COMPARISON, MODEL, PAYLOADS, REPORT, show, shown

from valuation import page, sections
from valuation.errors import RunError
from valuation.sections import words
from valuation.sections.parts import STYLE_FILE
from valuation.study import answers, guide

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def output(shown):
    return v4.new_output("execute_result", data=shown._repr_mimebundle_(), execution_count=None)


def notebook(*shown, title="Does the outlay pay off?"):
    """An executed notebook that shows sections; a string is a cell of prose."""
    cells = [v4.new_markdown_cell(f"# {title}")]
    for item in shown:
        if isinstance(item, str):
            cells.append(v4.new_markdown_cell(item))
        else:
            cells.append(v4.new_code_cell("secret = 1", outputs=[output(item)]))
    return v4.new_notebook(cells=cells)


PAGES = {
    "report": (REPORT, example_results),
    "conditional": (REPORT, conditional_results),
    "model": (MODEL, example_model_results),
    "comparison": (COMPARISON, example_comparison),
}
PROSE = "Some *prose* with `code` and [a link](https://example.org/a)."


FOLDED = ("waiting", "people", "customers")  # of the example of a report


def shown_by(names, results, draw=show):
    parts = [draw(name, results) for name in names]
    parts = [
        sections.folded(part) if name in FOLDED else part
        for name, part in zip(names, parts, strict=True)
    ]
    return [*parts, sections.glossary(), sections.finish(results)]


def laid_out(name, *first, again=False):
    """A page of every section, each drawn once for all tests unless it is to be drawn again."""
    names, builder = PAGES[name]
    results = builder()
    parts = shown_by(names, results, show if again else lambda part, _: shown(part, builder))
    return page.to_html(notebook(*first, *parts), results)


@cache
def rendered(name):
    return laid_out(name, PROSE)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.headings, self.attributes, self.tags = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))


def parse(html):
    reader = Reader()
    reader.feed(html)
    return reader


each_page = pytest.mark.parametrize("name", sorted(PAGES))


@each_page
def test_a_page_forbids_everything_but_its_own_styles_and_embedded_pictures(name):
    html = rendered(name)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    assert f'http-equiv="Content-Security-Policy" content="{policy}' in html.replace("&#39;", "'")
    assert html.index("Content-Security-Policy") < html.index("<style")
    (said,) = re.findall(r'Security-Policy" content="([^"]*)"', html)
    assert ("script-src" in said) == (name in ("report", "conditional"))


@pytest.mark.parametrize("name", ["report", "conditional"])
def test_the_only_script_of_a_page_is_ours_and_the_policy_names_it(name):
    html = rendered(name)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    data, code = scripts
    assert data[0] == ' type="application/json" id="live-data"'
    assert not set(data[1]) & set("<>&")
    assert json.loads(data[1])["data"]["own"] == "house"
    files = [file.read_text(encoding="utf-8") for file in page.SCRIPTS.values()]
    assert code == ("", "".join(files))
    digest = base64.b64encode(hashlib.sha256(code[1].encode()).digest()).decode()
    assert html.replace("&#39;", "'").count(f"; script-src 'sha256-{digest}'\"") == 1
    banned = ("fetch(", "XMLHttp", "import", "eval(", "innerHTML", "document.write", "http")
    assert not [word for word in banned if word in code[1]]


@each_page
def test_a_page_loads_nothing_and_runs_nothing_but_that(name):
    reader = parse(rendered(name))
    assert reader.tags.count("script") == (2 if name in ("report", "conditional") else 0)
    banned = {"iframe", "object", "embed", "base", "form", "audio", "video", "source"}
    assert not set(reader.tags) & banned
    for tag, key, value in reader.attributes:
        assert not key.startswith("on")
        if key in ("src", "srcset", "poster", "data", "action"):
            assert value.startswith("data:")
        if key == "href" and tag != "a":
            assert value.startswith(("#", "data:"))
        if key == "style":
            assert "url(http" not in value
    styles = "".join(re.findall(r"<style>(.*?)</style>", rendered(name), re.DOTALL))
    assert "@import" not in styles
    assert "url(" not in styles


@each_page
def test_a_page_is_one_small_whole_file(name):
    html = rendered(name)
    assert html.startswith('<!doctype html>\n<html lang="en">')
    assert html.rstrip().endswith("</html>")
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in html
    assert len(html.encode()) < 1_000_000
    assert html.count("<style>") == 1


@each_page
def test_headings_go_down_one_level_at_a_time(name):
    levels = parse(rendered(name)).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))


@each_page
def test_every_id_is_unique_and_every_inner_link_arrives(name):
    reader = parse(rendered(name))
    ids = [value for _, key, value in reader.attributes if key == "id"]
    assert len(set(ids)) == len(ids)
    inner = [v[1:] for _, key, v in reader.attributes if key == "href" and v.startswith("#")]
    assert set(inner) <= set(ids)
    named = [v for _, key, v in reader.attributes if key in ("aria-labelledby", "aria-describedby")]
    assert {part for value in named for part in value.split()} <= set(ids)


@each_page
def test_the_same_notebook_gives_the_same_page(name):
    assert laid_out(name, PROSE, again=True) == rendered(name)


def test_the_first_thing_after_the_question_is_the_answer():
    html = rendered("report")
    assert "<h1>Does the outlay pay off?</h1>" in html
    body = html[html.index("<main") :]
    assert "About 16 in 100" in body[:400] or 'class="prose"' in body[:200]
    assert "Meta&#39;s USD 14.3 bn for 49% of Scale AI" in html
    assert "Public by 28 February 2026" in html


def test_code_is_hidden_unless_asked_for():
    results = example_results()
    book = notebook(sections.diagnostics(results))
    assert "secret = 1" not in page.to_html(book, results)
    assert "secret = 1" in page.to_html(book, results, show_code=True)


def test_the_notebook_carries_styles_and_the_page_does_not_repeat_them():
    results = example_results()
    shown = sections.diagnostics(results)
    assert shown._repr_html_().startswith("<style>")
    assert page.to_html(notebook(shown), results).count(".vl-stack {") <= 1


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_prose_and_output_are_shown_and_never_obeyed(payload):
    results = example_results()
    book = notebook(payload, sections.diagnostics(results), title=payload.replace("\n", " "))
    book.cells.append(
        v4.new_code_cell(
            payload,
            outputs=[
                v4.new_output("display_data", data={"text/plain": payload, "text/html": payload}),
                v4.new_output("stream", name="stdout", text=payload),
            ],
        )
    )
    results["deal"]["title"] = payload
    html = page.to_html(book, results, title=payload, show_code=True)
    reader = parse(html)
    assert not set(reader.tags) & {"script", "iframe", "img", "object", "embed"}
    assert reader.tags.count("style") == 1
    for _, key, value in reader.attributes:
        assert not key.startswith("on")
        assert "javascript:" not in value or key in ("content", "aria-label")
    assert parse(html).tags.count("title") >= 1


@pytest.mark.parametrize(
    "markdown",
    [
        "![pixel](https://evil.example/p.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html,y)",
        "<img src='https://evil.example/p.png'>",
    ],
)
def test_prose_brings_in_nothing_from_elsewhere(markdown):
    results = example_results()
    html = page.to_html(notebook(markdown, sections.diagnostics(results)), results)
    reader = parse(html)
    assert "img" not in reader.tags
    assert not [
        v for t, k, v in reader.attributes if k == "href" and v.startswith(("java", "data:t"))
    ]


def test_a_picture_of_an_output_is_embedded():
    results = example_results()
    pixel = base64.b64encode(b"\x89PNG not really").decode()
    book = notebook(sections.diagnostics(results))
    data = {"image/png": pixel, "text/plain": "a <picture>"}
    book.cells.append(v4.new_code_cell("x", outputs=[v4.new_output("display_data", data=data)]))
    html = page.to_html(book, results)
    assert f'<img alt="a &lt;picture&gt;" src="data:image/png;base64,{pixel}">' in html


def test_a_failed_cell_gives_no_page():
    book = notebook(sections.diagnostics(example_results()))
    failure = v4.new_output("error", ename="GateError", evalue="R-hat is 1.2", traceback=[])
    book.cells.append(v4.new_code_cell("x", outputs=[failure]))
    with pytest.raises(RunError, match=r"a cell failed: GateError: R-hat is 1\.2"):
        page.to_html(book, {})


def test_a_notebook_that_shows_nothing_gives_no_page():
    with pytest.raises(RunError, match="shows no section"):
        page.to_html(notebook("words"), {})


def test_a_section_shown_twice_is_refused():
    shown = sections.diagnostics(example_results())
    with pytest.raises(RunError, match="these sections twice: diagnostics"):
        page.to_html(notebook(shown, shown), {})


def test_the_sections_of_a_notebook_are_listed_with_their_figures():
    results = example_results()
    book = notebook(sections.headline(results), sections.drivers(results))
    assert [(s.id, s.figures) for s in page.sections_of(book)] == [("answer", 1), ("drivers", 6)]


def test_nbconvert_makes_the_same_page():
    from valuation.page.exporter import PageExporter

    results = example_results()
    book = notebook(sections.diagnostics(results), sections.finish(results))
    html, resources = PageExporter().from_notebook_node(book)
    assert html == page.to_html(book, results, home="")  # it may be written anywhere
    assert resources["output_extension"] == ".html"


def test_importing_the_page_loads_neither_nbconvert_nor_matplotlib():
    code = (
        "import sys, valuation.page;"
        "sys.exit(bool({'nbconvert', 'matplotlib', 'papermill', 'pymc'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The shipped notebooks, cell by cell, on invented results.


class ExampleStudy:
    """Answers as a study does, without a model."""

    results = example_results()

    def gate(self):
        return self

    def raise_if_refused(self):
        return None


class Controls:
    """What a page can show of controls that need a front end: their words."""

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": "controls"}


def example_exploration():
    """What the notebook of moves shows before anything is moved."""
    results = example_results()
    head = results["headline"]
    return {
        "schema": 1,
        **{key: results[key] for key in ("deal", "as_of", "run", "diagnostics")},
        "explored": {
            "moved": [],
            "why": "",
            "condition": 1.0,
            "npv_mcse": 0.1,
            "effective_draws": 4000.0,
            **head,
        },
        "levers": {"z": "How well the two mesh", "beta": "Conflict effect on rivals"},
    }


@cache
def example_guides():
    """What pages about the tool show: the code's own names, kinds and docstrings beside invented numbers."""
    about = {key: example_results()[key] for key in ("deal", "as_of", "run", "diagnostics")}
    study = types.SimpleNamespace(
        deal=small_world.deal(),
        ledger=small_world.ledger(),
        evidence=types.SimpleNamespace(context=small_world.context()),
        results={"notes": [], **example_results()},
    )
    with mock.patch.object(answers, "about", return_value={"schema": 1, **about}):
        return {
            name: getattr(guide, name)(study)
            for name in ("guide_results", "limits_results", "reference_results")
        }


def example_lesson():
    """An update by one invented row, and the row taken back."""
    moves = example_exploration()
    row = {
        "id": "N0001", "event_date": "2026-02-28", "published": "2026-02-28", "kind": "departure",
        "subject": "Alexandr Wang", "credibility": "B", "claim": "An invented example",
    }  # fmt: skip
    return example_update() | {
        "explored": moves["explored"], "levers": moves["levers"], "row": row,
        "command": "valuation news add --kind departure", "back": moves["explored"],
    }  # fmt: skip


def example_module():
    module = types.ModuleType("valuation.study")
    for name, told in example_guides().items():
        setattr(module, name, lambda study, told=told: told)
    module.rehearsed = lambda study, **asked: example_lesson()
    module.open_study = lambda **asked: ExampleStudy()
    module.model_results = lambda study, name: example_model_results() | {"model": name}
    module.method_results = lambda study: (
        {key: example_results()[key] for key in ("deal", "as_of", "run", "diagnostics")}
        | example_method_results()
    )
    module.explore_results = lambda study: example_exploration()
    module.explore = lambda study: Controls()
    module.compare = lambda **asked: example_comparison()
    module.score_results = lambda study: example_scores()
    module.open_change = lambda **asked: types.SimpleNamespace(results=example_update())
    return module


def executed(path):
    """The notebook with the outputs that its cells would show."""
    book = nbformat.read(path, as_version=4)
    names = {}
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        *body, last = ast.parse(cell.source).body
        exec(compile(ast.Module(body, []), path.name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), path.name, "eval"), names)
            cell.outputs = [output(value)] if value is not None else []
        else:
            exec(compile(ast.Module([last], []), path.name, "exec"), names)
    return book


@cache
def page_of_notebook(path):
    """The page of a shipped notebook on invented results; made once for the tests that look at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "valuation.study", example_module())
        book = executed(path)
    held = book.cells[-1].outputs[0]["data"][sections.RESULTS_MIME]
    return page.to_html(book, held["results"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_shipped_notebook_runs_to_its_end_and_gives_a_whole_page(path):
    html = page_of_notebook(path)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(set(ids)) == len(ids)
    assert html.rstrip().endswith("</html>")
    assert "28 February 2026" in html
    levels = parse(html).headings
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert len(html.encode()) < 1_000_000


# Colours.


def themes():
    css = STYLE_FILE.read_text(encoding="utf-8")
    found = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return {
        name: dict(re.findall(r"--vl-([a-z]+): (#[0-9a-f]{6})", block))
        for name, block in zip(("light", "dark", "print"), found, strict=True)
    }


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_stands_out_from_its_ground(theme):
    colours = themes()[theme]
    for ground in ("ground", "card"):
        for text in ("ink", "muted", "link", "gain", "loss"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)
    for bar in ("gain", "neutral"):  # a label may lie inside a bar
        assert contrast(colours["ground"], colours[bar]) >= 4.5, (theme, bar)
    assert contrast(colours["ink"], colours["warn"]) >= 7


def test_every_role_of_the_pictures_has_a_colour_in_every_theme():
    from valuation.plots import PALETTE

    for colours in themes().values():
        assert set(PALETTE) <= set(colours)


# In a browser.


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def opened(browser, folder, html, **context):
    """Open ``html`` from a file; what it asked of the network and said on the console."""
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    view = browser.new_context(**context).new_page()
    asked, said = [], []
    view.on("request", lambda request: asked.append(request.url))
    view.on("console", lambda message: said.append(message.text))
    view.on("pageerror", lambda error: said.append(str(error)))
    view.goto(file.as_uri())
    outside = [u for u in asked if u != file.as_uri() and not u.startswith("data:")]
    return view, outside, said


@pytest.mark.browser
@pytest.mark.parametrize("widths", [(360, 768), (1920, 1440)], ids=["phone", "desk"])
@each_page
def test_a_page_opens_offline_without_errors_or_sideways_scrolling(browser, tmp_path, name, widths):
    """At the first width it opens; to the second its window is drawn."""
    view, outside, said = opened(
        browser, tmp_path, rendered(name), viewport={"width": widths[0], "height": 800}
    )
    for width in widths:
        view.set_viewport_size({"width": width, "height": 800})
        view.emulate_media(color_scheme="dark" if width == 768 else "light")
        assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert outside == []
    assert said == []
    view.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1440])
def test_no_text_of_a_figure_is_cut_off_or_too_small(browser, tmp_path, width):
    view, _, _ = opened(
        browser, tmp_path, rendered("report"), viewport={"width": width, "height": 800}
    )
    faults = view.evaluate(
        """() => [...document.querySelectorAll('svg.vl-svg')].flatMap(svg => {
            const box = svg.getBoundingClientRect();
            if (!box.width) return [];
            return [...svg.querySelectorAll('text')].flatMap(text => {
                const own = text.getBoundingClientRect();
                const size = own.height;
                const out = own.left < box.left - 3 || own.right > box.right + 3
                    || own.top < box.top - 3 || own.bottom > box.bottom + 3;
                return out || size < 10 ? [`${text.textContent}: ${out} ${size}`] : [];
            });
        })"""
    )
    assert faults == []
    view.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_follow_the_colour_scheme(browser, tmp_path, scheme):
    view, _, _ = opened(browser, tmp_path, rendered("report"), color_scheme=scheme)
    fill = view.evaluate("getComputedStyle(document.querySelector('svg.vl-svg text')).fill")
    muted = themes()[scheme]["muted"]
    assert fill == f"rgb({', '.join(str(int(muted[i : i + 2], 16)) for i in (1, 3, 5))})"
    view.context.close()


@pytest.mark.browser
def test_the_answer_its_interval_and_its_drivers_are_on_the_first_screen(browser, tmp_path):
    names, builder = PAGES["report"]
    results = builder() | {"history": example_replay()}
    head = show("headline", results)  # nothing else reads the history
    parts = shown_by(names, results, lambda p, _: head if p == "headline" else shown(p, builder))
    html = page.to_html(notebook(*parts), results)
    view, _, _ = opened(browser, tmp_path, html, viewport={"width": 1440, "height": 900})
    first = ("#answer h2", ".vl-spark", ".vl-cards li:last-child", "#figure-dots svg")
    for selector in (*first, ".vl-drivers h3"):
        box = view.locator(selector).first.bounding_box()
        assert box is not None
        assert box["y"] + min(box["height"], 380) <= 900, selector
    view.context.close()


def with_past(results):
    """The same results after an earlier report and a replay."""
    change = example_update()
    kept = ("was", "is", "headline", "items", "buckets", "attribution", "quantities")
    since = {key: change[key] for key in kept} | {"shared": True}
    return results | {"since": since, "history": example_replay()}


FOLDED_PAGE = (
    "figure-survival-star-hire",
    "people",
)  # something in a folded section, and the section


def folded_page():
    """Long sections that are shut, with a link into one of them and one to its heading."""
    results = example_results()
    links = " ".join(f"[to {id}](#{id})" for id in FOLDED_PAGE)
    parts = [sections.headline(results), *(getattr(sections, name)(results) for name in FOLDED)]
    shut = [sections.folded(part) for part in (*parts[1:], sections.glossary())]
    return page.to_html(notebook(parts[0], f"## The rest\n\n{links}", *shut), results)


@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("id", FOLDED_PAGE)
def test_a_link_into_a_folded_section_opens_it_and_leads_there(browser, tmp_path, id, scripts):
    view, outside, said = opened(
        browser, tmp_path, folded_page(), java_script_enabled=scripts,
        viewport={"width": 1440, "height": 900}, reduced_motion="reduce",  # it is there at once
    )  # fmt: skip
    target = view.locator(f"#{id}")
    assert not target.is_visible()
    view.get_by_role("link", name=f"to {id}", exact=True).click()
    assert target.is_visible()
    assert 0 <= target.bounding_box()["y"] < 900
    if id == "people":
        assert 0 <= view.locator("#people-heading").bounding_box()["y"] < 900
    assert not view.locator("#customers").is_visible()  # the others stay as they were
    view.get_by_role("navigation").get_by_role("link", name="Who still buys").click()
    assert view.locator("#customers").is_visible()
    assert (outside, said) == ([], [])
    view.context.close()


@pytest.mark.browser
def test_a_word_of_the_glossary_is_found_though_the_glossary_is_folded(browser, tmp_path):
    view, _, _ = opened(browser, tmp_path, folded_page(), java_script_enabled=False)
    word = view.locator("#answer a.vl-term").first
    meaning = view.locator(word.get_attribute("href"))
    assert not meaning.is_visible()
    word.click()
    assert meaning.is_visible()
    view.context.close()


@pytest.mark.browser
def test_a_folded_section_opens_by_keyboard_and_its_finding_gives_way_to_it(browser, tmp_path):
    view, _, _ = opened(browser, tmp_path, folded_page(), java_script_enabled=False)
    fold = view.locator("details.vl-fold", has=view.locator("#customers"))
    finding = fold.locator(".vl-finding")
    assert re.search(r"\d+%", finding.inner_text())
    fold.locator("summary").first.focus()
    view.keyboard.press("Enter")
    assert view.locator("#customers").is_visible()
    assert not finding.is_visible()
    view.keyboard.press("Space")
    assert not view.locator("#customers").is_visible()
    assert finding.is_visible()
    view.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_folded_is_printed(browser, tmp_path, scripts):
    view, _, _ = opened(browser, tmp_path, folded_page(), java_script_enabled=scripts)
    table = view.locator("#waiting table").first
    assert not table.is_visible()
    view.emulate_media(media="print")
    shown = (
        "e => e.checkVisibility({contentVisibilityAuto: true}) && e.getBoundingClientRect().height"
    )
    for id in (*FOLDED, "glossary"):
        assert view.locator(f"#{id}").evaluate(shown) > 100, id
    assert not view.locator(".vl-finding").first.is_visible()
    assert not view.locator("#waiting figure details").first.is_visible()  # the figure is there
    view.context.close()


def test_a_fold_keeps_all_of_its_section_under_its_heading_and_its_finding():
    results = example_results()
    whole = sections.customers(results)
    shut = sections.folded(whole)
    assert (shut.id, shut.title, shut.figures) == (whole.id, whole.title, whole.figures)
    assert shut.html.startswith('<details class="vl vl-fold"><summary><h2 id="customers-heading">')
    inner = whole.html.partition("</h2>")[2].removesuffix("</section>")
    assert shut.html.endswith(f"{inner}</section></details>")
    assert re.search(r'class="vl-finding">Weighted by revenue at close, \d+% by', shut.html)
    assert 'id="customers" aria-labelledby="customers-heading"' in shut.html
    assert sections.folded(None) is None  # as a section that has nothing to show
    with pytest.raises(ValueError, match="'customers' is folded already"):
        sections.folded(shut)


def test_contents_gather_sections_under_the_heading_of_their_part():
    results = example_results()
    blocks = [
        sections.headline(results), page.Html("<p>prose</p>"), page.Part("part-a", "A", page.Html("")),
        sections.npv(results), sections.folded(sections.glossary()), page.Part("part-b", "B", page.Html("")),
    ]  # fmt: skip
    lines = page.contents(blocks)
    assert [line.id for line in lines] == ["answer", "part-a", "part-b"]
    assert [[under.id for under in line.under] for line in lines] == [[], ["npv", "glossary"], []]
    html = page.to_html(notebook(*blocks[:1], "## What <b> & next\n\nSome prose."), results)
    assert '<h2 id="part-what-b-next">What &lt;b&gt; &amp; next</h2>' in html
    assert '<a href="#part-what-b-next">What &lt;b&gt; &amp; next</a>' in html


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1440])
def test_the_first_screen_says_the_range_what_changed_and_how_it_went(browser, tmp_path, width):
    results = with_past(example_results())
    html = page.to_html(notebook(sections.headline(results), sections.past(results)), results)
    view, _, _ = opened(browser, tmp_path, html, viewport={"width": width, "height": 900})
    head = results["headline"]
    lead = view.locator("#answer .vl-lead").inner_text()
    low, high = (words.percent(head[key]) for key in ("opinion_low", "opinion_high"))
    assert f"({low} to {high} by other priors)" in lead
    for selector in (
        "#answer .vl-lead",
        "#answer .vl-meta",
        "#answer .vl-since",
        "#answer .vl-glance svg",
    ):
        box = view.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] <= 900, selector
    view.context.close()


@pytest.mark.browser
def test_evidence_is_sorted_by_any_column_and_narrowed_by_words(browser, tmp_path):
    view, _, said = opened(browser, tmp_path, rendered("report"))
    region = view.locator("#evidence [data-sortable]").first
    dates = region.locator("tbody time")
    shipped = dates.all_inner_texts()
    assert shipped == sorted(shipped, reverse=True)
    head = region.locator("thead th").first
    head.get_by_role("button").press("Enter")
    assert dates.all_inner_texts() == sorted(shipped)
    assert head.get_attribute("aria-sort") == "ascending"
    head.get_by_role("button").click()
    assert dates.all_inner_texts() == shipped
    claim = region.locator("tbody tr").nth(1).locator(".vl-id").first.inner_text()
    field = view.locator("#evidence .vl-filter input").first
    field.fill(claim.upper())
    assert [row for row in region.locator("tbody tr").all() if row.is_visible()]
    assert all(
        claim in row.inner_text() for row in region.locator("tbody tr").all() if row.is_visible()
    )
    field.fill("no such words at all")
    assert view.locator("#evidence .vl-filter [role=status]").first.inner_text().startswith("0 of")
    field.fill("")
    assert len([r for r in region.locator("tbody tr").all() if r.is_visible()]) == len(shipped)
    assert said == []
    view.context.close()


@pytest.mark.browser
def test_a_page_says_everything_without_scripts_and_prints(browser, tmp_path):
    view, _, _ = opened(browser, tmp_path, rendered("report"), java_script_enabled=False)
    assert view.locator("svg.vl-svg").count() > 20
    assert len(view.pdf(format="A4")) > 50_000
    view.context.close()


def test_a_report_links_to_all_reports_and_their_page_does_not_link_to_itself():
    results = example_results()
    part = sections.glossary()
    assert '<a href="../../index.html">All reports</a>' in page.to_html(notebook(part), results)
    assert "All reports" not in page.to_html(notebook(part), results, home="")
    assert "All reports" not in page.document(title="Reports", blocks=[part])


# The words of the page.


def test_the_first_use_of_a_word_in_running_text_is_a_link_to_its_meaning():
    told = page.with_terms(
        '<section><h2>NPV</h2><p>The NPV of <a href="#x">priors</a>, the npv again, and MOIC.</p>'
        '<figure><svg><text>IRR</text></svg><figcaption title="IRR">By IRR.</figcaption></figure>'
        "<table><tr><td>EVPI</td></tr></table><p>unhurdled hurdle-like hurdle</p></section>"
    )
    word = '<a class="vl-term" href="#word-'
    assert f'<p>The {word}net-present-value">NPV</a> of <a href="#x">priors</a>, the npv' in told
    assert f'{word}moic">MOIC</a>.' in told
    assert f'<figcaption title="IRR">By {word}irr">IRR</a>.' in told
    assert "<text>IRR</text>" in told
    assert "<td>EVPI</td>" in told
    assert f'<p>unhurdled hurdle-like {word}hurdle-rate">hurdle</a></p>' in told
    assert "<h2>NPV</h2>" in told
    assert told.count(word) == 4


def test_words_that_a_board_does_not_use_are_explained_on_the_page_that_uses_them():
    html = rendered("report")
    glossary = html[html.index('id="glossary"') :]
    for word in (
        "k-hat", "Effective draws", "Prior and posterior", "Net present value", "IRR", "MOIC", "Hurdle rate",
        "Shapley share", "Bits", "EVPI", "EVPPI", "EVSI", "Simulation error",
    ):  # fmt: skip
        assert re.search(rf'<dt id="word-[a-z-]+">{word}</dt><dd>[^<]{{30,}}</dd>', glossary), word
    linked = set(re.findall(r'<a class="vl-term" href="#(word-[a-z-]+)">', html))
    assert {"word-net-present-value", "word-strategic-value", "word-simulation-error"} <= linked


def test_a_page_without_a_glossary_links_to_none():
    results = example_results()
    assert 'class="vl-term"' in page.to_html(
        notebook(sections.npv(results), sections.glossary()), results
    )
    assert 'class="vl-term"' not in page.to_html(notebook(sections.npv(results)), results)


def test_title_author_and_currency_of_the_deal_file_head_the_page():
    results = example_results()
    shown = [sections.definitions(results), sections.provenance(results)]
    assert 'name="author"' not in page.to_html(notebook(*shown), results)
    results["deal"] |= {"title": "A <deal>", "author": 'The "desk" & co', "currency": "USD"}
    shown = [sections.definitions(results), sections.provenance(results)]
    html = page.to_html(notebook(*shown), results, title="For the board")
    assert "<title>For the board</title>" in html
    assert '<meta name="author" content="The &#34;desk&#34; &amp; co">' in html
    assert "A &lt;deal&gt; · By The &#34;desk&#34; &amp; co ·" in html
    assert "USD, in billions (bn)" in html
