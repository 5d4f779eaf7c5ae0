"""Every notebook by hand: Run All in JupyterLab, in a real browser, and plain papermill from any folder."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from valuation.params import cache_folder
from valuation.sections import RESULTS_MIME

PROJECT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in (PROJECT / "notebooks").glob("*.ipynb"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_SECONDS = 600

pytestmark = pytest.mark.slow


def environment(home: Path) -> dict[str, str]:
    """For commands on a copy of the project; fits are shared with the project itself."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    return os.environ | {
        "VALUATION_HOME": str(home),
        "VALUATION_CACHE": str(cache_folder(PROJECT)),
        "PYTHONPATH": os.pathsep.join(paths),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with one published run, to compare news with."""
    home = tmp_path_factory.mktemp("lab") / "project"
    for name in ("seeds", "params", "notebooks"):
        shutil.copytree(PROJECT / name, home / name)
    (home / "reports").mkdir()
    command = [sys.executable, "-m", "valuation", "report", "base", "--quiet"]
    subprocess.run(command, check=True, env=environment(home), cwd=home)
    return home


def faults(notebook: dict[str, Any]) -> list[str]:
    """What is wrong with an executed notebook."""
    cells = [c for c in notebook["cells"] if c["cell_type"] == "code" and "".join(c["source"])]
    found = [
        f"{''.join(c['source'])!r}: {o['ename']}: {o['evalue']}"
        for c in cells
        for o in c["outputs"]
        if o["output_type"] == "error"
    ]
    found += [f"not run: {''.join(c['source'])!r}" for c in cells if not c["execution_count"]]
    if not any(RESULTS_MIME in o.get("data", {}) for o in cells[-1]["outputs"]):
        found.append("the last cell showed no results")
    return found


# One of each sort; `valuation report` makes all but the first from another folder, in tests/test_documents.py.
BY_PAPERMILL = ("explore", "scenario_report", "news_update", "retention", "methods", "tutorial")


@pytest.mark.parametrize("name", BY_PAPERMILL)
def test_papermill_alone_runs_a_notebook_from_a_folder_that_is_not_the_projects(
    home: Path, tmp_path: Path, name: str
) -> None:
    command = [Path(sys.executable).parent / "papermill", home / "notebooks" / f"{name}.ipynb"]
    done = subprocess.run(
        [*map(str, command), "out.ipynb", "--no-progress-bar"],
        cwd=tmp_path,
        env=environment(home),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert faults(json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))) == []


# In a browser.


@pytest.fixture(scope="module")
def lab(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """`valuation lab`, with settings of its own: its address and its token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token, scratch = secrets.token_hex(8), tmp_path_factory.mktemp("jupyter")
    own = {
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTERLAB_WORKSPACES_DIR": str(scratch / "workspaces"),
        "IPYTHONDIR": str(scratch / "ipython"),
    }
    words = ["lab", "--no-browser", "--port", str(port), "--ServerApp.port_retries=0"]
    with (scratch / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "valuation", *words, f"--IdentityProvider.token={token}"],
            env=environment(home) | own,
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that JupyterLab ends with the command that started it
        )
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                try:
                    asked(f"{address}/api/kernels", token)
                    break
                except OSError:
                    assert server.poll() is None, (scratch / "log").read_text()[-2000:]
                    time.sleep(0.2)
            yield address, token
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def asked(address: str, token: str, method: str = "GET") -> Any:
    request = urllib.request.Request(
        address, headers={"Authorization": f"token {token}"}, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        text = reply.read()
    return json.loads(text) if text else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "the browser tests need Chromium; install it"
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Any, lab: tuple[str, str], name: str) -> Any:
    """A notebook in JupyterLab, run to its end by Run All Cells."""
    from playwright.sync_api import TimeoutError

    address, token = lab
    view = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    view.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb?token={token}")
    view.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
    # The kernel starts by itself; what is run before it is there would ask for one.
    view.locator(".jp-Toolbar-kernelName", has_text="Python 3").wait_for(timeout=120_000)
    view.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=120_000)
    begun = view.locator(".jp-InputPrompt", has_text=re.compile(r"\[(\*|1)\]")).first
    for attempt in range(
        3
    ):  # asked for before all is in place, Run All does nothing and says nothing
        view.get_by_role("menuitem", name="Run", exact=True).click()
        view.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        try:
            begun.wait_for(timeout=20_000)
            break
        except TimeoutError:
            assert attempt < 2, f"{name} does not run"
    assert view.locator(".jp-Dialog").count() == 0
    return view


def finished(view: Any, home: Path, name: str) -> dict[str, Any]:
    """The notebook as JupyterLab saves it, once its last cell has ended: only then it is counted."""
    path = home / "notebooks" / f"{name}.ipynb"
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        view.keyboard.press("Control+s")
        view.wait_for_timeout(1000)
        try:
            notebook = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            continue  # JupyterLab is writing it
        cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
        failed = any(o["output_type"] == "error" for c in cells for o in c["outputs"])
        if failed or (cells[-1]["execution_count"] and cells[-1]["outputs"]):
            return notebook
    raise AssertionError(f"{name} had not ended after {PATIENCE_SECONDS} s")


def closed(view: Any, lab: tuple[str, str]) -> None:
    view.context.close()
    address, token = lab
    for kernel in asked(f"{address}/api/kernels", token):
        asked(f"{address}/api/kernels/{kernel['id']}", token, "DELETE")


@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_run_all_in_jupyterlab_ends_without_an_error_or_a_question(
    browser: Any, lab: tuple[str, str], home: Path, name: str
) -> None:
    view = opened(browser, lab, name)
    try:
        assert faults(finished(view, home, name)) == []
    finally:
        closed(view, lab)


@pytest.mark.browser
def test_a_control_of_the_explore_notebook_moves_the_answer(
    browser: Any, lab: tuple[str, str], home: Path
) -> None:
    view = opened(browser, lab, "explore")
    try:
        finished(view, home, "explore")
        view.wait_for_selector(".widget-box", timeout=60_000)
        view.locator(".widget-slider .noUi-handle").first.scroll_into_view_if_needed()
        assert view.get_by_text("Nothing is moved.").count() == 1
        handle = view.locator(".widget-slider .noUi-handle").first
        handle.focus()
        handle.press("ArrowRight")
        view.get_by_text("is moved up by 0.1 of its standard deviations.").wait_for()
        view.get_by_role("button", name="Back to how it stands").click()
        view.get_by_text("Nothing is moved.").wait_for()
    finally:
        closed(view, lab)
