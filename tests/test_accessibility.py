"""Every kind of page in a browser: what axe-core finds, what it asks of a network, how it opens and prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from example_results import example_results
from example_update import example_replay
from playwright.sync_api import Browser, Page, sync_playwright
from test_notebooks_static import NOTEBOOKS
from test_page import CHROMIUM, page_of_notebook, rendered

from valuation.report import index
from valuation.study.replay import write_history

PROJECT = Path(__file__).resolve().parents[1]
SHIPPED = PROJECT / "reports" / "example" / "index.html"  # made from the real ledger
LIMIT_BYTES = 1_000_000
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
KINDS = ["index", "shipped", *(path.stem for path in NOTEBOOKS)]
# What a reader opens first; all the others are looked at in the long tests.
FIRST = {"index", "scenario_report", "news_update"}
EACH_KIND = [k if k in FIRST else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]


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
    return page_of_notebook(path)


@dataclass(frozen=True)
class Opened:
    """A page in the browser, its file, and every address it has asked for."""

    view: Page
    file: Path
    asked: list[str]


def opened(browser: Browser, file: Path) -> Opened:
    view = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    asked: list[str] = []
    view.on("request", lambda request: asked.append(request.url))
    view.goto(file.as_uri())
    return Opened(view, file, asked)


@pytest.fixture(scope="module", params=EACH_KIND)
def shown(
    request: pytest.FixtureRequest, browser: Browser, page_of: Callable[[str], Path]
) -> Iterator[Opened]:
    """A page of each kind, opened once for all that is asked of it."""
    page = opened(browser, page_of(request.param))
    yield page
    page.view.context.close()


def violations(view: Page) -> tuple[list[tuple[str, str, str]], int]:
    """What axe-core finds wrong, as rule, element and reason, and the number of rules that are kept."""
    found = view.evaluate("axe.run({resultTypes: ['violations']})")
    wrong = [
        (rule["id"], node["html"][:120], node["failureSummary"])
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
    return wrong, len(found["passes"])


@pytest.mark.browser
def test_a_page_is_there_at_once_and_asks_nothing_of_a_network(shown: Opened) -> None:
    """Counts that bound how long it takes, whatever else the machine does; `make bench` has the seconds."""
    assert shown.file.stat().st_size < LIMIT_BYTES
    outside = [address for address in shown.asked if not address.startswith("data:")]
    assert outside == [shown.file.as_uri()]
    loaded = shown.view.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    assert shown.view.evaluate("document.getElementsByTagName('*').length") < 20_000
    assert shown.view.evaluate("document.scripts.length") <= 2


@pytest.mark.browser
def test_axe_core_finds_nothing_wrong_light_or_dark_on_a_phone_or_a_desk(shown: Opened) -> None:
    from axe_playwright_python.sync_playwright import Axe

    shown.view.evaluate(Axe().axe_script)
    for width in (390, 1440):
        shown.view.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            shown.view.emulate_media(color_scheme=scheme)
            wrong, kept = violations(shown.view)
            assert wrong == [], (width, scheme)
            assert kept > 15  # it did look
    outside = {address for address in shown.asked if not address.startswith("data:")}
    assert outside == {shown.file.as_uri()}


@pytest.mark.browser
def test_axe_core_does_find_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    file = tmp_path / "page.html"
    text = rendered("model").replace('<html lang="en">', "<html>").replace("<h1>", "<h3>")
    file.write_text(text.replace("--vl-ink: #1b1e23", "--vl-ink: #aab0bb"), encoding="utf-8")
    view = opened(browser, file).view
    view.evaluate(Axe().axe_script)
    wrong, _ = violations(view)
    assert {"html-has-lang", "color-contrast"} <= {rule for rule, *_ in wrong}
    view.context.close()


@pytest.mark.browser
@pytest.mark.parametrize("kind", ["shipped", "scenario_report"])
def test_a_report_is_no_longer_than_ten_screens_of_a_desk(
    browser: Browser, page_of: Callable[[str], Path], kind: str
) -> None:
    view = opened(browser, page_of(kind)).view
    view.set_viewport_size({"width": 1440, "height": 900})
    assert view.evaluate("document.documentElement.scrollHeight") <= 10 * 900
    view.context.close()


@pytest.mark.browser
def test_a_printed_page_has_no_control_and_cuts_no_figure_or_row(shown: Opened) -> None:
    view = shown.view
    view.set_viewport_size({"width": 720, "height": 1020})
    view.emulate_media(media="print", color_scheme="dark")
    controls = view.evaluate(
        """() => [...document.querySelectorAll('button:not(.vl-sort), input, nav, .skip, .vl-live, .vl-filter')]
            .filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert controls == []
    cut = view.evaluate(
        """() => [...document.querySelectorAll('.vl figure, .vl tr, .vl .vl-cards')]
            .filter(e => e.checkVisibility() && getComputedStyle(e).breakInside !== 'avoid')
            .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert cut == []
    ink = view.evaluate("getComputedStyle(document.body).color")
    assert re.findall(r"\d+", ink)[:3] == ["0", "0", "0"]  # black on white, whatever the screen
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    view.emulate_media(media="screen", color_scheme="light")
