"""Every kind of page in a browser: what axe-core finds, what it asks of a network, how it opens and prints."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from example_results import example_results
from example_update import example_replay
from playwright.sync_api import Browser, Page, sync_playwright
from test_notebooks_static import NOTEBOOKS
from test_page import CHROMIUM, example_module, executed, rendered

from valuation import page, sections
from valuation.report import index
from valuation.study.replay import write_history

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = PROJECT / "reports" / "example" / "index.html"  # made from the real ledger
LIMIT_BYTES = 1_000_000
KINDS = ["index", "shipped", *(path.stem for path in NOTEBOOKS)]
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a page of each kind; made once."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def made(kind: str) -> Path:
        if kind == "shipped":
            return SHIPPED
        file = folder / f"{kind}.html"
        file.write_text(_markup(kind, folder), encoding="utf-8")
        return file

    return made


def _markup(kind: str, folder: Path) -> str:
    if kind == "index":
        base = write_history(folder, example_replay()).parent
        return index.build(base, index.Shelf(scenarios={"base": example_results()}))
    (path,) = (path for path in NOTEBOOKS if path.stem == kind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "valuation.study", example_module())
        book = executed(path)
    return page.to_html(book, book.cells[-1].outputs[0]["data"][sections.RESULTS_MIME]["results"])


def opened(browser: Browser, file: Path, **context: Any) -> tuple[Page, list[str]]:
    """A page opened from its file, and every address it asked for."""
    view = browser.new_context(**context).new_page()
    asked: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.goto(file.as_uri())
    return view, asked


@pytest.mark.browser
@each_kind
def test_axe_core_finds_nothing_wrong_light_or_dark_on_a_phone_or_a_desk(
    browser: Browser, page_of: Callable[[str], Path], kind: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    view, asked = opened(browser, page_of(kind))
    for width in (390, 1440):
        view.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            view.emulate_media(color_scheme=scheme)
            found = Axe().run(view).response
            said = [
                (rule["id"], node["html"][:120], node["failureSummary"])
                for rule in found["violations"]
                for node in rule["nodes"]
            ]
            assert said == [], (width, scheme)
            assert len(found["passes"]) > 15  # it did look
    assert {address for address in asked if not address.startswith("data:")} == {
        page_of(kind).as_uri()
    }
    view.context.close()


@pytest.mark.browser
def test_axe_core_does_find_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    file = tmp_path / "page.html"
    text = rendered("model").replace('<html lang="en">', "<html>").replace("<h1>", "<h3>")
    file.write_text(text.replace("--vl-ink: #1b1e23", "--vl-ink: #aab0bb"), encoding="utf-8")
    view, _ = opened(browser, file)
    found = {rule["id"] for rule in Axe().run(view).response["violations"]}
    assert {"html-has-lang", "color-contrast"} <= found
    view.context.close()


@pytest.mark.browser
@each_kind
def test_a_page_is_there_at_once_and_asks_nothing_of_a_network(
    browser: Browser, page_of: Callable[[str], Path], kind: str
) -> None:
    """Counts that bound how long it takes, whatever else the machine does; `make bench` has the seconds."""
    file = page_of(kind)
    assert file.stat().st_size < LIMIT_BYTES
    view, asked = opened(browser, file)
    assert [address for address in asked if not address.startswith("data:")] == [file.as_uri()]
    loaded = view.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    assert view.evaluate("document.getElementsByTagName('*').length") < 20_000
    assert view.evaluate("document.scripts.length") <= 2
    view.context.close()


@pytest.mark.browser
@each_kind
def test_a_printed_page_has_no_control_and_cuts_no_figure_or_row(
    browser: Browser, page_of: Callable[[str], Path], kind: str
) -> None:
    view, _ = opened(browser, page_of(kind), viewport={"width": 720, "height": 1020})
    view.emulate_media(media="print", color_scheme="dark")
    shown = view.evaluate(
        """() => [...document.querySelectorAll('button:not(.vl-sort), input, nav, .skip, .vl-live, .vl-filter')]
            .filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert shown == []
    cut = view.evaluate(
        """() => [...document.querySelectorAll('.vl figure, .vl tr, .vl .vl-cards')]
            .filter(e => e.checkVisibility() && getComputedStyle(e).breakInside !== 'avoid')
            .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    ink = view.evaluate("getComputedStyle(document.body).color")
    assert re.findall(r"\d+", ink)[:3] == ["0", "0", "0"]  # black on white, whatever the screen
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    view.context.close()
