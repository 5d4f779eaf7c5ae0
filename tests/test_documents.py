"""Every command in the documents is run on a copy of the project: the quick ones at once, those that sample as slow."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from valuation import cli
from valuation.params import cache_folder

PROJECT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# Cannot be run as they stand, each with the reason.
ELSEWHERE = {
    "make report": "installs an environment; CI runs it on a fresh clone, and `valuation report` is run here",
    "make test": "would run this test; CI runs it",
    ". .venv/bin/activate": "needs the environment that make sets up",
    "valuation lab": "never ends; tests/test_lab.py runs it in a browser",
    "valuation watch": "never ends; tests/test_cli.py and tests/test_news.py run its loop",
    "valuation compare RUN RUN": "RUN stands for an id; run below with two ids",
}
# Those that sample, run notebooks or need what such a command has left.
SLOW = (
    "valuation report",
    "valuation fit",
    "valuation model",
    "valuation update",
    "valuation replay",
    "valuation score",
    "valuation runs",
    "valuation check",
    "papermill",
)
# Run at once by the quick test. Left out where others sample: what they change would be fitted anew by each of those.
ALONE = ("valuation prior set", "valuation news add --from", "valuation resolve")


def documents() -> dict[str, str]:
    """Markdown of the documents, and of the notebooks that hold commands."""
    found = {name: (PROJECT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md")}
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        if "```" in text:
            found[path.name] = text
    return found


def commands(text: str) -> Iterator[str]:
    """Commands of the fenced blocks that are a shell's; comments are cut, continued lines joined."""
    for label, _, body in FENCE.findall(text):
        if label not in ("", "console", "bash", "sh"):
            continue
        for line in re.sub(r"\\\n\s*", "", body).splitlines():
            words = line.split("  # ")[0].split(" # ")[0].strip()
            # Of a drawing nothing starts like a command.
            if re.match(r"(valuation|make|papermill|uv|\.) ", words):
                yield words


EVERY = [(name, line) for name, text in documents().items() for line in commands(text)]


def elsewhere(line: str) -> bool:
    return any(line == known or line.startswith(f"{known} ") for known in ELSEWHERE)


def is_slow(line: str) -> bool:
    return line.startswith(SLOW) and "--dry-run" not in line


QUICK = [line for _, line in EVERY if not elsewhere(line) and not is_slow(line)]
LATER = [line for _, line in EVERY if not elsewhere(line) and is_slow(line)]


def copy(home: Path) -> Path:
    for name in ("seeds", "params", "notebooks"):
        shutil.copytree(PROJECT / name, home / name)
    (home / "reports").mkdir()
    (home / "rows.csv").write_text(
        "event_date,published,claim,source,credibility\n"
        "2026-02-20,2026-02-21,An invented example,Example Wire,B\n",
        encoding="utf-8",
    )
    return home


def run(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """The command on a copy of the project, with this interpreter; fits are shared with the project."""
    program, *words = shlex.split(line)
    start = [sys.executable, "-m", program]
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    environment = os.environ | {
        "VALUATION_HOME": str(home),
        "VALUATION_CACHE": str(cache_folder(PROJECT)),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    return subprocess.run(
        [*start, *words],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy(tmp_path_factory.mktemp("documents") / "project")


def test_the_documents_hold_commands_and_each_is_run_somewhere():
    assert len(QUICK) > 10
    assert len(LATER) > 10
    known = {line for _, line in EVERY}
    for reason in ELSEWHERE:
        assert any(line == reason or line.startswith(f"{reason} ") for line in known), reason
    for name in ("README.md", "guide.ipynb", "tutorial.ipynb"):
        assert any(where == name for where, _ in EVERY), name


def test_every_quick_command_runs_in_the_order_of_the_documents(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One after another on one copy, in this process: what one command adds, the next may take back."""
    monkeypatch.setenv("VALUATION_HOME", str(home))
    monkeypatch.chdir(home)
    for line in dict.fromkeys(QUICK):
        program, *words = shlex.split(line)
        assert program == "valuation", line
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        out, err = capfd.readouterr()
        assert ended.value.code == 0, f"{line}\n{out[-500:]}\n{err[-1500:]}"


@pytest.mark.slow
def test_every_command_runs_in_the_order_of_the_documents(tmp_path: Path) -> None:
    """As somebody who reads along would: those that sample need what quick ones add.

    Fits are kept in the project's cache; of the scenarios those are run that a document or a new deal names; of other
    deals the base case, since tests/test_init.py makes all pages of a new deal.
    """
    home = copy(tmp_path / "project")
    allowed = {"valuation check": (0, 3)}  # reports of the copy become older than their inputs
    scenario = re.search(r"^```yaml scenario\n(.*?)^```$", documents()["README.md"], re.M | re.S)
    assert scenario
    every = [line for _, line in EVERY if not elsewhere(line) and not line.startswith(ALONE)]
    named = {word for line in every for word in re.split(r"\W+", line)} | {
        "sceptic_priors",
        "enthusiast_priors",  # a new deal names both
    }
    for path in (home / "params" / "scenarios").iterdir():
        if path.stem not in named:
            path.unlink()
    (home / "params" / "scenarios" / "dear_money.yaml").write_text(scenario.group(1))
    for line in dict.fromkeys(every):
        done = run(f"{line} base" if line.startswith("valuation report --deal") else line, home)
        codes = next((c for known, c in allowed.items() if line.startswith(known)), (0,))
        assert done.returncode in codes, f"{line}\n{done.stdout[-500:]}\n{done.stderr[-1500:]}"
    listed = json.loads(run("valuation runs --json", home).stdout)
    first, last = listed[0]["id"], listed[-1]["id"]
    assert run(f"valuation compare {first} {last} --json", home).returncode == 0


# The examples in Python.


def python_block(name: str, first: str) -> str:
    blocks = [body for label, _, body in FENCE.findall(documents()[name]) if label == "python"]
    (found,) = [body for body in blocks if body.startswith(first)]
    return found


@pytest.mark.slow
def test_the_readmes_example_on_other_data_runs():
    exec(python_block("README.md", "import pandas"), {})


def test_the_guides_model_has_the_likelihood_that_its_equation_says():
    names: dict[str, object] = {"__name__": "morale"}
    exec(python_block("guide.ipynb", '"""Morale'), names)
    model, kind = names["MODEL"], names["STAFF_SURVEY"]

    class Context:
        def truth(self, rows: pd.DataFrame) -> np.ndarray:
            return np.full(len(rows), 0.9)

    rows = pd.DataFrame({"id": ["S1", "S2"], "value": [0.7, 0.6], "sd": [0.05, 0.1]})
    ((name, term),) = model.terms(Context(), rows)
    morale = np.array([0.5, 0.65, 0.8])
    found = term.logp({"morale": morale}, {}, np)
    expected = stats.norm.logpdf(rows["value"], morale[:, None], rows["sd"])
    assert name == kind.name
    np.testing.assert_allclose(found, expected)
    drawn = term.simulate({"morale": np.full(4000, 0.7)}, {}, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.std(axis=0), rows["sd"], rtol=0.1)
    assert "fraction" in kind.check(1.5, 0.1)
    assert "error" in kind.check(0.5, None)
    assert kind.check(0.5, 0.1) is None


def test_the_guides_prior_is_one_that_a_book_can_hold(home: Path, tmp_path: Path) -> None:
    from valuation.params import load_priors

    (body,) = [b for label, _, b in FENCE.findall(documents()["guide.ipynb"]) if label == "yaml"]
    book = tmp_path / "priors.yaml"
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    book.write_text((PROJECT / "params" / "priors.yaml").read_text("utf-8") + "\n" + indented)
    prior = load_priors(book).get()["morale"]
    assert prior.ppf(0.5) == pytest.approx(0.75, abs=0.02)
