"""A run is whole or it is refused, and what was published before it stays."""

from __future__ import annotations

import datetime as dt
import html
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from example_results import conditional_results, example_results
from example_update import example_replay, example_update
from tiny_notebooks import FINISH, cell, notebook

from valuation import archive, clock, publish
from valuation.cli import cli
from valuation.errors import ArtifactError, GateError, LedgerError, ParameterError, RunError
from valuation.report import (
    Outcome,
    Silent,
    Task,
    checked,
    declared,
    index,
    inputs_digest,
    is_current,
    read_manifest,
    read_results,
    run_folder,
    run_notebook,
    run_tasks,
    runs,
    standing,
)
from valuation.report.news import publish_update
from valuation.report.progress import OnePage
from valuation.study.replay import write_history

REAL_RENDER = runs._render


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is not what is tested here: it shows the results as text."""
    monkeypatch.setattr(runs, "_render", lambda notebook, results: f"<p>{results}</p>")


@pytest.fixture
def run(project: Path) -> Callable[..., Path]:
    """Run the project's tiny notebook into ``out``."""

    def run(values: dict[str, Any] | None = None, **options: Any) -> Path:
        return run_notebook("tiny", values or {}, out_dir=project / "out", root=project, **options)

    return run


# What a notebook may be told.


def test_declared_parameters_agree_with_papermills(project: Path) -> None:
    import papermill

    path = notebook(project / "notebooks")
    theirs = papermill.inspect_notebook(str(path))
    ours = declared(path)
    assert list(ours) == list(theirs)
    assert {n: d.type.__name__ for n, d in ours.items()} == {
        n: p["inferred_type_name"] for n, p in theirs.items()
    }


def test_a_parameter_that_the_notebook_does_not_declare_is_refused(
    project: Path, run: Callable[..., Path]
) -> None:
    notebook(project / "notebooks")
    with pytest.raises(ParameterError, match=r"no parameter 'rte'; it declares name, rate"):
        run({"rte": 0.2})
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    "name", ["rate; import os; os.mkdir('owned') #", "Rate", "rate ", "räte", "", "rate\n"]
)
def test_code_or_a_slip_in_a_parameters_name_is_refused(
    project: Path, run: Callable[..., Path], name: str
) -> None:
    notebook(project / "notebooks")
    with pytest.raises(ParameterError, match="is not a parameter name"):
        run({name: 0.2})
    assert not (project / "notebooks" / "owned").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate": "0.2"}, r"'rate' is a float, got '0.2' \(str\)"),
        ({"rate": True}, r"'rate' is a float, got True \(bool\)"),
        ({"name": 7}, r"'name' is a str, got 7 \(int\)"),
        ({"rate": float("nan")}, "'rate' is not a finite number"),
        ({"rate": None}, "'rate' is a float, got None"),
    ],
)
def test_a_value_of_another_type_is_refused(
    project: Path, values: dict[str, Any], words: str
) -> None:
    path = notebook(project / "notebooks")
    with pytest.raises(ParameterError, match=words):
        checked(path, values)


def test_a_whole_number_is_taken_for_a_float_and_becomes_one(project: Path) -> None:
    value = checked(notebook(project / "notebooks"), {"rate": 1})["rate"]
    assert (value, type(value)) == (1.0, float)


def test_a_list_that_holds_anything_but_plain_data_is_refused(project: Path) -> None:
    path = notebook(project / "notebooks", parameters="sets: list[dict] = []")
    assert checked(path, {"sets": [{"a": [1, 2.5, None, "x"]}]})
    with pytest.raises(ParameterError, match="is a object, not plain data"):
        checked(path, {"sets": [{"a": object()}]})
    with pytest.raises(ParameterError, match="has a key that is not text"):
        checked(path, {"sets": [{1: "a"}]})


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ((), "0 cells have the tag 'parameters'"),
        (("Parameters",), "tag 'Parameters' would be ignored"),
        (("parameter",), "tag 'parameter' would be ignored"),
        (("parameters", "parameters"), "2 cells have the tag"),
    ],
)
def test_anything_but_one_parameters_tag_is_refused(
    project: Path, tags: tuple[str, ...], words: str
) -> None:
    with pytest.raises(RunError, match=words):
        declared(notebook(project / "notebooks", tags=tags))


def test_two_parameters_cells_are_refused(project: Path) -> None:
    path = notebook(project / "notebooks")
    content = json.loads(path.read_text())
    content["cells"].insert(1, cell("rate: float = 0.3", "parameters"))
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="2 cells have the tag 'parameters'"):
        declared(path)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("rate: float = 0.1\ntwice: float = 2 * rate", "'twice' is computed"),
        ("rate: float = 0.1\nrate: float = 0.2", "'rate' is given twice"),
        ("import os", "is not `name: type = literal`"),
        ("rate: float", "is not `name: type = literal`"),
        ("rate: complex = 1.0", "'rate' needs one of the types"),
        ("rate = (", "is not Python"),
    ],
)
def test_a_parameters_cell_holds_literals_only(project: Path, source: str, words: str) -> None:
    with pytest.raises(RunError, match=words):
        declared(notebook(project / "notebooks", parameters=source))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"nbformat": 3}', "\ufeff{"])
def test_a_file_that_is_no_notebook_is_refused(project: Path, content: str) -> None:
    path = project / "notebooks" / "tiny.ipynb"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"tiny\.ipynb: not a notebook"):
        declared(path)


# Where a run may go.


@pytest.mark.parametrize(
    "name",
    ["../../x", "/tmp/x", "a/b", "", ".", "..", ".hidden", "A", "a" * 65, "a\n", "a\\b", "-x", "ä"],
)
def test_a_run_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError, match="cannot name a run"):
        run_folder(tmp_path, name)


def test_a_run_folder_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "run").symlink_to(tmp_path)
    with pytest.raises(ParameterError, match="lies outside"):
        run_folder(tmp_path / "base", "run")


def test_a_run_never_writes_among_the_notebooks(project: Path) -> None:
    path = notebook(project / "notebooks")
    before = path.read_bytes()
    with pytest.raises(RunError, match="may not be written among the notebooks"):
        run_notebook("tiny", {}, out_dir=project / "notebooks", root=project)
    assert path.read_bytes() == before


# What a finished run leaves.


def test_a_run_publishes_what_the_last_cell_showed_for_the_values_given(
    project: Path, run: Callable[..., Path]
) -> None:
    notebook(
        project / "notebooks",
        "import os, pathlib\n"
        "assert pathlib.Path.cwd().name == 'notebooks'\n"
        "assert not os.listdir(os.environ['IPYTHONDIR'] + '/profile_default/startup') or "
        "os.listdir(os.environ['IPYTHONDIR'] + '/profile_default/startup') == ['README']",
    )
    text = 'a "b" \\ {x} ü\n$1'
    page = run({"rate": 0.25, "name": text})
    published = read_results(page.parent)
    assert (published["rate"], published["name"]) == (0.25, text)
    assert page.read_text().startswith("<p>")
    manifest = read_manifest(page.parent)
    assert manifest is not None
    assert manifest["parameters"] == {"rate": 0.25, "name": text}
    assert sorted(p.name for p in page.parent.iterdir()) == [
        "index.html",
        "manifest.json",
        "notebook.ipynb",
        "results.json",
    ]
    executed = json.loads((page.parent / "notebook.ipynb").read_text())
    assert str(project) not in json.dumps(executed["metadata"])


def test_a_notebook_runs_on_this_interpreter_whatever_kernels_a_home_folder_holds(
    project: Path, run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = project / "jupyter" / "kernels" / "python3"
    stale.mkdir(parents=True)
    (stale / "kernel.json").write_text(
        json.dumps({"argv": ["/nowhere/python"], "display_name": "old", "language": "python"})
    )
    startup = project / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("import builtins; builtins.float = lambda x: 666")
    monkeypatch.setenv("JUPYTER_PATH", str(project / "jupyter"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    monkeypatch.setenv("IPYTHONDIR", str(project / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "00.py"))
    notebook(
        project / "notebooks",
        f"import sys\nassert sys.executable == {sys.executable!r}, sys.executable\n"
        "assert float('1') == 1.0",
    )
    assert run().is_file()


# What a run that did not finish leaves.

KILLED = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
GATED = (
    "from valuation.errors import GateError\nraise GateError(['R-hat is 1.2; sample longer', 'b'])"
)


@pytest.mark.parametrize(
    ("sources", "options", "error", "words"),
    [
        (["1 / 0"], {}, RunError, "code cell 3 stopped with ZeroDivisionError: division by zero"),
        (["raise SystemExit(0)"], {}, RunError, "code cell"),
        (["import os\nos._exit(0)"], {}, RunError, "kernel was killed in code cell 3"),
        ([KILLED], {}, RunError, "kernel was killed in code cell 3"),
        ([GATED], {}, GateError, "R-hat is 1.2; sample longer"),
        (["rate = 0.9"], {}, RunError, "'rate' was given 0.25 and ended as 0.9"),
        ([], {"finish": ""}, GateError, "its last cell, and no other, must show them"),
        ([FINISH], {}, GateError, "its last cell, and no other, must show them"),
        ([], {"finish": FINISH + "\nresults"}, None, ""),
        ([], {"finish": FINISH.replace('"rate": rate,', '"rate": rate, "x": float("nan"),')},
         RunError, "results"),
        ([], {"finish": FINISH.replace("sha256(text", "sha256(b'x' + text").replace(
            "b'x' + text.encode()", "b'x' + text.encode()")}, RunError, "do not fit their digest"),
    ],
    ids=[
        "error", "SystemExit(0)", "os._exit(0)", "kill -9", "gate", "reassigned", "no sentinel",
        "two sentinels", "whole", "not finite", "wrong digest",
    ],
)  # fmt: skip
def test_only_a_whole_run_replaces_the_last_good_report(
    project: Path,
    run: Callable[..., Path],
    sources: list[str],
    options: dict[str, str],
    error: type[Exception] | None,
    words: str,
) -> None:
    folder = project / "out" / "tiny"
    good = {"results.json": b'{"good": true}', "index.html": b"<p>good</p>"}
    publish.publish(folder, good, inputs="earlier", about={})
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    notebook(project / "notebooks", *sources, **options)
    if error is None:
        run({"rate": 0.25})
        assert read_results(folder)["rate"] == 0.25
        return
    with pytest.raises(error, match=words):
        run({"rate": 0.25})
    failure = folder / "FAILED.html"
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p != failure} == before
    assert "last good report</a> is unchanged" in failure.read_text()


def test_a_cell_that_asks_to_be_skipped_or_forgiven_does_not_count_as_run(
    project: Path, run: Callable[..., Path]
) -> None:
    path = notebook(project / "notebooks", "1 / 0")
    content = json.loads(path.read_text())
    content["cells"][1]["metadata"]["tags"] = ["raises-exception"]
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match="ZeroDivisionError"):
        run()
    content["cells"][1]["metadata"]["tags"] = ["skip-execution"]
    path.write_text(json.dumps(content))
    with pytest.raises(GateError, match="code cell 2 of 3 was not run"):
        run()


def test_text_in_a_failure_page_is_escaped_and_may_load_nothing(tmp_path: Path) -> None:
    page = publish.write_failure(tmp_path / "x", "<b>t</b>", ["<script>alert(1)</script>"])
    text = page.read_text()
    assert "<script>" not in text
    assert "<b>" not in text
    assert "default-src 'none'" in text
    assert "There is no earlier report." in text


# What is kept, and what is found out.


def _task(project: Path, **values: Any) -> Task:
    return Task(
        group="models",
        name="tiny",
        title="tiny",
        notebook=notebook(project / "notebooks"),
        values=values,
        folder=project / "reports" / "models" / "tiny",
        root=project,
        reads=(project / "seeds", project / "params" / "scenarios" / "base.yaml"),
    )


def _published(task: Task) -> None:
    files = {"results.json": b"{}", "index.html": b"<p></p>"}
    publish.publish(task.folder, files, inputs=inputs_digest(task), about={})


def test_a_report_is_current_until_something_that_it_reads_changes(project: Path) -> None:
    task = _task(project, rate=0.1)
    assert not is_current(task)
    _published(task)
    assert is_current(task)
    (project / "params" / "scenarios" / "other.yaml").write_text("x: 1\n")
    (project / "seeds" / ".~lock").write_text("an editor's")
    assert is_current(task)
    assert not is_current(_task(project, rate=0.2))
    (project / "seeds" / "extra.csv").write_text("id\n")
    assert not is_current(task)


def test_a_current_report_is_kept_without_a_fit_or_a_kernel(project: Path) -> None:
    task = _task(project)
    _published(task)

    def fit(task: Task) -> bool:
        raise AssertionError("nothing is stale")

    (outcome,) = run_tasks([task], fit=fit)
    assert outcome.status == "kept"


def test_what_reads_the_record_runs_after_what_adds_to_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = project / "seeds" / publish.RECORD
    base = replace(_task(project), group="scenarios", name="base", folder=project / "reports" / "b")
    scores = replace(_task(project), name="scorecard", record=record)
    ran: list[str] = []

    async def attempt(task: Task, inputs: Mapping[str, str], progress: object) -> runs.Outcome:
        ran.append(task.name)
        assert inputs == runs.inputs_of(task)
        _published(task)
        if task is base:
            record.write_text(f"{record.read_text() if record.exists() else ''}a forecast\n")
        return runs.Outcome(task, "made", 0.0)

    monkeypatch.setattr(runs, "_attempt", attempt)

    def again() -> list[str]:
        ran.clear()
        run_tasks([scores, base], fit=None)
        return list(ran)

    assert again() == ["base", "scorecard"]
    assert is_current(scores)
    assert again() == []
    # A base that is about to speak makes the scorecard run, also if that is current as yet.
    (base.folder / "index.html").write_text("cut sho")
    assert is_current(scores)
    assert again() == ["base", "scorecard"]
    assert is_current(scores)
    record.write_text("another past\n")
    assert again() == ["scorecard"]


def test_a_report_is_made_again_for_another_history_and_is_no_older_for_it(project: Path) -> None:
    history = archive.history_path(project, "meta_scale")
    task = replace(_task(project), history=history)
    _published(task)
    assert is_current(task)
    inputs = inputs_digest(task)
    history.write_text("{}")
    assert not is_current(task)
    assert inputs_digest(task) == inputs  # by which the index tells older reports
    shown = publish.sha256(b"{}")
    files = {"results.json": b"{}", "index.html": b"<p></p>"}
    publish.publish(task.folder, files, inputs=inputs, about={"history": shown})
    assert is_current(task)
    history.unlink()
    assert not is_current(task)


def test_the_backtests_fits_are_made_beside_the_others_and_waited_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"deal": "meta_scale", "as_of": "", "random_seed": 7}
    scores = replace(
        _task(project), name="scorecard", values=values, record=project / "seeds" / publish.RECORD
    )
    other = replace(_task(project), name="other", folder=project / "reports" / "o")
    did: list[str] = []
    arrives: list[str] = []  # with the walk
    ends = [0]  # how the walk ends: its exit code

    class Beside:
        """A process that was begun."""

        def __init__(self, command: list[str], **options: Any) -> None:
            did.append(" ".join(command[1:]))
            assert options["env"]["VALUATION_HOME"] == str(project)
            assert options["stdin"] == subprocess.PIPE  # which ends with this process
            self.code: int | None = None

        def __enter__(self) -> Beside:
            return self

        def __exit__(self, *failure: object) -> None:
            if self.code is None:
                self.wait()

        def wait(self) -> None:
            did.append("waited")
            self.code = ends[0]
            for text in arrives:
                history.write_text(text)

        def poll(self) -> int | None:
            return self.code

        def terminate(self) -> None:
            did.append("stopped")

    async def attempt(task: Task, inputs: Mapping[str, str], progress: object) -> runs.Outcome:
        did.append(task.name)
        return runs.Outcome(task, "made", 0.0)

    def fit(task: Task) -> bool:
        did.append("fit")
        return True

    monkeypatch.setattr(runs.subprocess, "Popen", Beside)
    monkeypatch.setattr(runs, "_attempt", attempt)
    asked = "-m valuation.report.beside --deal meta_scale --seed 7 --attended"
    history = project / "reports" / archive.HISTORY
    base = replace(other, name="base", folder=project / "reports" / "b", history=history)

    class Heard(Silent):
        def walking(self) -> None:
            did.append("waits")

        def walked(self) -> None:
            did.append("goes on")

    run_tasks([scores, base, other], fit=fit, progress=Heard())
    assert did == [asked, "fit", "other", "waits", "waited", "goes on", "base", "scorecard"]
    did.clear()
    shown = {"results.json": b"{}", "index.html": b"<p></p>"}
    publish.publish(base.folder, shown, inputs=inputs_digest(base), about={})
    assert is_current(base)
    run_tasks([scores, base, other], fit=fit)  # whose history is the one that it shows
    assert "base" not in did
    did.clear()
    arrives.append("{}")
    outcomes = run_tasks([scores, base, other], fit=fit)
    assert did == [asked, "fit", "other", "waited", "base", "scorecard"]
    assert {o.task.name: o.status for o in outcomes}["base"] == "made"
    arrives.clear()
    assert capsys.readouterr().err == ""
    ends[0] = 1
    outcomes = run_tasks([scores, base, other], fit=fit)
    assert "no history was made; `valuation replay` makes it, or says" in capsys.readouterr().err
    assert {o.status for o in outcomes} == {"made"}
    ends[0] = 0
    did.clear()
    run_tasks([base, other], fit=fit)  # nothing is walked, and nothing waited for
    assert did == ["fit", "base", "other"]
    did.clear()
    run_tasks([scores], fit=fit)  # alone it makes its own
    run_tasks([replace(scores, values=values | {"as_of": "2025-12-31"}), other], fit=fit)
    assert asked not in did
    did.clear()

    async def broken(*asked: object) -> list[runs.Outcome]:
        raise OSError("the disk is full")

    monkeypatch.setattr(runs, "_attempt_all", broken)
    with pytest.raises(OSError, match="the disk is full"):
        run_tasks([scores, other], fit=fit)
    assert did == [asked, "fit", "stopped", "waited"]


@pytest.mark.parametrize("name", ["index.html", "results.json", "manifest.json"])
def test_a_damaged_or_missing_file_is_found_and_made_again(project: Path, name: str) -> None:
    task = _task(project)
    _published(task)
    path = task.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_current(task)
    with pytest.raises(ArtifactError, match="missing or damaged; run it again"):
        read_results(task.folder)
    path.unlink()
    assert not is_current(task)


def test_a_fit_that_is_refused_fails_every_task_and_starts_no_kernel(project: Path) -> None:
    task = _task(project)
    seen: list[str] = []

    class Watch(Silent):
        def finished(self, outcome: Outcome) -> None:
            seen.append(outcome.status)

    def fit(task: Task) -> bool:
        raise LedgerError("evidence.csv:7: no source; name one")

    (outcome,) = run_tasks([task], fit=fit, progress=Watch())
    assert (outcome.status, seen) == ("failed", ["failed"])
    assert "evidence.csv:7" in (task.folder / "FAILED.html").read_text()


def test_one_failed_task_does_not_stop_the_others(project: Path) -> None:
    good = _task(project)
    bad_path = notebook(project / "notebooks", "1 / 0", name="bad")
    bad = Task(
        "models", "bad", "bad", bad_path, {}, project / "reports" / "models" / "bad", project
    )
    outcomes = run_tasks([bad, good], fit=None, jobs=2)
    assert [o.status for o in outcomes] == ["failed", "made"]
    assert (good.folder / "index.html").is_file()


def test_a_run_that_is_killed_leaves_the_last_good_report_and_no_kernel(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project / "out" / "tiny"
    publish.publish(folder, {"results.json": b"{}"}, inputs="earlier", about={})
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    mark = project / "kernel.pid"
    notebook(
        project / "notebooks",
        f"import os, pathlib, time\npathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)",
    )
    code = (
        "import sys, pathlib; from valuation.report import run_notebook\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "run_notebook('tiny', {}, out_dir=root / 'out', root=root)"
    )
    monkeypatch.setenv("TMPDIR", str(project))  # a killed run cannot tidy up after itself
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(project)], cwd=Path(__file__).parents[1]
    )
    try:
        deadline = time.monotonic() + 60
        while not mark.is_file() or not mark.read_text():
            assert time.monotonic() < deadline, "the notebook never started"
            assert runner.poll() is None
            time.sleep(0.05)
        runner.send_signal(signal.SIGKILL)
    finally:
        runner.kill()
        runner.wait()
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    kernel = int(mark.read_text())
    deadline = time.monotonic() + 20
    while _alive(kernel):
        assert time.monotonic() < deadline, "the kernel outlived its runner"
        time.sleep(0.1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.is_file() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")


# The page and the index.


def _reporting(project: Path) -> Task:
    """A notebook that shows two sections of invented results."""
    folder = project / "notebooks"
    task = _task(project)
    (folder / "results.json").write_text(json.dumps(example_results()), encoding="utf-8")
    path = notebook(
        folder,
        "import json, pathlib\nfrom valuation import sections\n"
        "results = json.loads(pathlib.Path('results.json').read_text())",
        "sections.headline(results)",
        "sections.waterfall(results)",
        name="reporting",
        finish="sections.finish(results)",
    )
    return replace(task, notebook=path)


def test_a_notebook_of_sections_becomes_a_page_with_its_figures_and_its_results(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_render", REAL_RENDER)
    task = _reporting(project)
    (outcome,) = run_tasks([task], fit=None)
    assert outcome.error is None
    page = task.page.read_text(encoding="utf-8")
    assert page.count("<svg") >= 1
    assert "default-src 'none'" in html.unescape(page)
    assert read_results(task.folder) == json.loads(json.dumps(example_results()))


def test_a_page_that_lost_a_figure_is_refused_and_the_last_good_one_stays(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from valuation import page

    whole = page.to_html

    def without_figures(*args: Any, **options: Any) -> str:
        return re.sub(r"<svg.*?</svg>", "", whole(*args, **options), flags=re.DOTALL)

    monkeypatch.setattr(page, "to_html", without_figures)
    monkeypatch.setattr(runs, "_render", REAL_RENDER)
    task = _reporting(project)
    _published(task)
    before = task.page.read_bytes()
    (outcome,) = run_tasks([task], fit=None, force=True)
    assert isinstance(outcome.error, GateError)
    assert re.search(r"page: components: 0 of \d figures", str(outcome.error))
    assert task.page.read_bytes() == before


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    base = tmp_path / "reports"
    other = conditional_results()
    other["scenario"] = {**other["scenario"], "scenario": "leaves", "title": "<script>x</script>"}
    for name, results in (("base", example_results()), ("leaves", other)):
        files = {"results.json": json.dumps(results).encode(), "index.html": b"<p></p>"}
        publish.publish(base / "scenarios" / name, files, inputs="x", about={})
    publish.publish(base / "models" / "churn", {"index.html": b"<p></p>"}, inputs="x", about={})
    return base


def test_the_index_opens_with_the_answer_and_links_every_report(reports: Path) -> None:
    page = index.write(reports).read_text(encoding="utf-8")
    assert "16 in 100" in page or "16 of 100" in page
    for address in re.findall(r'href="([^"#]+)"', page):
        if not address.startswith(("data:", "http")):
            assert (reports / address).is_file(), address
    for name in ("scenarios/base", "scenarios/leaves", "models/churn"):
        assert f'href="{name}/index.html"' in page
    assert page.count("<svg") >= 1


def _kept_update(project: Path, chance: float, **options: Any) -> archive.Run:
    """An update of the base case that was published, of a later ledger unless told otherwise."""
    results = example_update() | {"as_of": "2026-05-12"}
    row = next(q for q in results["quantities"] if q["name"] == results["headline"])
    row |= {"is": chance, "mcse_is": 0.003}
    digests = example_results()["run"]["digests"] | {"ledger": "later"}
    results["run"] = results["run"] | {"digests": options.pop("digests", digests)}
    return archive.keep_run(
        project,
        deal="meta_scale",
        scenario="base",
        kind="update",
        files={"index.html": b"<p></p>", "notebook.ipynb": b"{}"},
        results=results,
        inputs=archive.keep_inputs(project, "meta_scale", "base"),
        **options,
    )


def _index_of(project: Path, state: str = standing.OLDER) -> tuple[str, dict[str, Any]]:
    """The index over the base case alone, and its row of data."""
    base, folder = project / "reports", project / "reports" / "scenarios" / "base"
    found = [standing.Standing("scenarios", "base", folder, state, "base")]
    index.write(base, index.shelf(base, found, root=project))
    (row,) = json.loads((base / "scenarios.json").read_text())["scenarios"]
    return html.unescape((base / "index.html").read_text(encoding="utf-8")), row


def test_the_index_over_an_older_report_tells_the_newest_published_answer(project: Path) -> None:
    """An update moves the answer without making the report again: the first screen must not hide that."""
    results = example_results()
    replay = example_replay() | {"run": {"digests": results["run"]["digests"]}}
    write_history(project, replay)
    files = {"results.json": json.dumps(results).encode(), "index.html": b"<p></p>"}
    publish.publish(project / "reports" / "scenarios" / "base", files, inputs="x", about={})
    page, row = _index_of(project)
    assert row["newer"] is None
    assert "not the newest answer" not in page
    assert "8 in 100 now" not in page
    _kept_update(project, 0.5, as_of_given=True)
    assert _index_of(project)[1]["newer"] is None
    _kept_update(project, 0.25, digests=results["run"]["digests"])  # of the report's own state
    assert _index_of(project)[1]["newer"] is None

    run = _kept_update(project, 0.041)
    page, row = _index_of(project)
    told = row["newer"]
    assert (told["run"], told["probability"], told["mcse"]) == (run.id, 0.041, 0.003)
    assert "This is not the newest answer." in page
    said = f"by {run.label}, is about 4 in 100 (4%, simulation error 0.3 points)"
    assert f"The newest published answer, {said} on what was public by 12 May 2026." in (
        re.sub(r"<[^>]+>", "", page)
    )
    assert f'href="runs/{run.id}/index.html"' in page
    assert (project / "reports" / told["page"]).is_file()
    assert "about 8 in 100 on 28 February 2026 as last replayed" in page
    assert " in 100 now" not in page
    assert "before the last change of what it reads" in page
    assert _index_of(project, standing.CURRENT)[1]["newer"] is None

    write_history(project, replay | {"run": {"digests": dict(run.digests)}})
    page, _ = _index_of(project)
    assert "before the last change of what it reads" not in page
    (run.folder / "results.json").write_text("{}")
    page, row = _index_of(project)
    assert "damaged" in row["newer"]["problem"]
    assert "What was published after this cannot be read: reports/runs/" in page


def test_a_run_from_before_the_report_is_not_newer_than_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clock.now() - dt.timedelta(hours=1)
    with monkeypatch.context() as past:
        past.setattr(clock, "now", lambda: before)
        _kept_update(project, 0.041)
    files = {"results.json": json.dumps(example_results()).encode(), "index.html": b"<p></p>"}
    publish.publish(project / "reports" / "scenarios" / "base", files, inputs="x", about={})
    page, row = _index_of(project)
    assert (row["older"], row["newer"]) == ("older evidence", None)
    assert "This answer is from older evidence" in page


def test_text_of_a_scenario_reaches_the_index_only_escaped(reports: Path) -> None:
    assert "<script>" not in index.build(reports)


def test_the_index_leaves_out_a_damaged_report_and_names_a_refused_one(reports: Path) -> None:
    (reports / "scenarios" / "leaves" / "results.json").write_text("{}")
    publish.write_failure(reports / "models" / "churn", "churn", ["R-hat"])
    page = index.build(reports)
    assert "scenarios/leaves" not in page
    assert "changed or cut short: leaves; renew with <code>valuation report</code>." in page
    assert 'href="models/churn/FAILED.html"' in page


def test_the_index_does_not_link_a_report_of_a_model_that_was_cut_short(reports: Path) -> None:
    folder = reports / "models" / "churn"
    publish.publish(folder, {"index.html": b"<p>whole</p>"}, inputs="x", about={})
    assert 'href="models/churn/index.html"' in index.build(reports)
    (folder / "index.html").write_bytes(b"<p>wh")
    page = index.build(reports, index.shelf(reports, deal="other", as_of="2025-09-01"))
    assert 'href="models/churn/index.html"' not in page
    renew = "<code>valuation report --deal other --as-of 2025-09-01</code>"
    assert f"changed or cut short: churn; renew with {renew}." in page


def test_the_index_dates_every_row_and_compares_only_current_ones(reports: Path) -> None:
    folder = reports / "scenarios" / "leaves"
    found = [
        standing.Standing("scenarios", "base", folder.parent / "base", standing.CURRENT, "base"),
        standing.Standing("scenarios", "leaves", folder, standing.OLDER, "leaves"),
    ]
    results = read_results(folder)
    results["run"] = {**results["run"], "digests": {**results["run"]["digests"], "ledger": "old"}}
    results["scenario"] |= {"title": "He leaves", "terms": ["exit in 9 years instead of 7."]}
    files = {"results.json": json.dumps(results).encode(), "index.html": b"<p></p>"}
    publish.publish(folder, files, inputs="x", about={})
    index.write(reports, index.shelf(reports, found))
    page = (reports / "index.html").read_text(encoding="utf-8")
    assert page.count("He leaves (older evidence)") == 2  # the table and the list of links
    assert page.count("He leaves") == 2
    assert page.count("As of ") >= 2
    assert "Terms: exit in 9 years" in page
    assert "valuation report leaves" in page
    rows = json.loads((reports / "scenarios.json").read_text())["scenarios"]
    assert [row["older"] for row in rows] == ["", "older evidence"]


def test_an_index_without_reports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no scenario has been published"):
        index.build(tmp_path)


# Progress, and two commands at once.


def test_two_commands_do_not_write_the_same_reports_at_once(project: Path) -> None:
    task = _task(project)
    _published(task)
    waited = threading.Event()

    class Watch(Silent):
        def waiting(self) -> None:
            waited.set()

    done: list[list[Outcome]] = []
    with runs._exclusive([task], Silent()):
        second = threading.Thread(target=lambda: done.append(run_tasks([task], progress=Watch())))
        second.start()
        assert waited.wait(10)
        assert done == []
    second.join(10)
    assert done[0][0].status == "kept"


def test_progress_goes_to_stderr_only_and_says_where_the_seconds_went(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from valuation.report.progress import Bars, Lines

    task = _task(project)
    for progress in (Lines(), Bars()):
        progress.waiting()
        progress.begin([task, task])
        progress.fitting()
        progress.fitted()
        progress.walking()
        progress.walked()
        progress.cell(task, 1, 2)
        progress.finished(Outcome(task, "made", 1.0))
        progress.finished(Outcome(task, "failed", 1.0, RunError("x")))
        progress.end()
        out, err = capsys.readouterr()
        assert out == ""
        assert re.search(r"sampling \d+\.\d s, notebooks \d+\.\d s", err)
        assert "tiny: REFUSED in 1.0 s" in err


def test_progress_tells_a_posterior_that_was_loaded_from_one_that_was_sampled(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from valuation.report.progress import Lines

    said = []
    for sampled in (True, False):
        progress = Lines()
        progress.begin([_task(project)])
        progress.fitting()
        progress.fitted(sampled)
        progress.end()
        said.append(capsys.readouterr().err)
    assert "posterior sampled in" in said[0]
    assert "posterior loaded in" in said[1]
    assert "sampl" not in said[1]


@pytest.mark.parametrize(
    ("finish", "words"),
    [
        (FINISH.replace(', "diagnostics": checks', ""), "carry no checks"),
        (FINISH.replace('"passed": True', '"passed": False'), "tiny: fine"),
        (FINISH.replace('"passed": True', '"passed": 1'), "tiny: fine"),
    ],
)
def test_results_whose_own_checks_failed_are_refused_whatever_the_cells_made_of_them(
    project: Path, run: Callable[..., Path], finish: str, words: str
) -> None:
    notebook(project / "notebooks", finish=finish)
    with pytest.raises(GateError, match=words):
        run({})
    assert not (project / "reports" / "tiny" / "results.json").exists()


# What is kept of the reports that are replaced.

SCENARIO = "deal: str = 'meta_scale'\nas_of: str = ''\nrate: float = 0.1\nname: str = ''\n"


def _scenario(project: Path, *sources: str, group: str = "scenarios", **values: Any) -> Task:
    """A scenario's report, from a notebook that is run for real."""
    source = project / "params" / "scenarios" / "base.yaml"
    return Task(
        group=group,
        name="base",
        title="base",
        notebook=notebook(project / "notebooks", *sources, parameters=SCENARIO, name="asks"),
        values={"deal": "meta_scale", **values},
        folder=project / "reports" / group / "base",
        root=project,
        reads=(project / "seeds", source),
        source=source,
    )


def test_every_published_scenario_is_kept_with_what_it_read(project: Path) -> None:
    seeds = (project / "seeds" / "evidence.csv").read_bytes()
    task = _scenario(project, rate=0.2)
    (outcome,) = run_tasks([task], fit=None)
    assert (outcome.status, outcome.note) == ("made", "")
    (run,) = archive.list_runs(project)
    assert (run.kind, run.scenario, run.as_of_given) == ("report", "base", False)
    assert archive.examined(run).problem == ""
    assert run.results == read_results(task.folder)
    assert (run.inputs / "seeds" / "evidence.csv").read_bytes() == seeds
    for name in ("index.html", "notebook.ipynb", "results.json"):
        assert os.path.samefile(run.folder / name, task.folder / name)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """Notebooks answer at once, without a kernel; what the list holds is done while they run."""
    actions: list[Callable[[], object]] = []
    check = {"check": "tiny", "value": 0, "limit": 1, "passed": True, "sentence": "tiny: fine."}

    async def execute(notebook: Any, values: dict[str, Any], **options: Any) -> dict[str, Any]:
        for action in actions:
            action()
        return {"rate": values.get("rate", 0.1), "diagnostics": [check]}

    monkeypatch.setattr(runs.kernel, "execute", execute)
    return actions


def _statuses(*tasks: Task, **options: Any) -> list[str]:
    return [outcome.status for outcome in run_tasks(tasks, fit=None, **options)]


@pytest.mark.usefixtures("meanwhile")
def test_only_another_answer_or_other_inputs_make_another_run(project: Path) -> None:
    def kept() -> int:
        return len(archive.list_runs(project))

    assert _statuses(_scenario(project)) == ["made"]
    assert _statuses(_scenario(project)) == ["kept"]
    assert _statuses(_scenario(project), force=True) == ["made"]
    assert kept() == 1
    assert _statuses(_scenario(project, rate=0.2)) == ["made"]
    assert kept() == 2
    (project / "seeds" / "extra.csv").write_text("id\n")
    assert _statuses(_scenario(project, rate=0.2)) == ["made"]
    assert kept() == 3
    assert _statuses(_scenario(project, as_of="2025-09-01")) == ["made"]
    assert [run.as_of_given for run in archive.list_runs(project)] == [False] * 3 + [True]


def test_other_notebooks_and_refused_scenarios_are_not_kept(
    project: Path, meanwhile: list[Callable[[], object]]
) -> None:
    assert _statuses(_scenario(project, group="models")) == ["made"]
    meanwhile.append(lambda: 1 / 0)
    assert _statuses(_scenario(project)) == ["failed"]
    assert archive.list_runs(project) == []


def test_a_run_whose_inputs_changed_meanwhile_is_neither_published_nor_kept(
    project: Path, meanwhile: list[Callable[[], object]]
) -> None:
    meanwhile.append(lambda: (project / "seeds" / "extra.csv").write_text("id\n"))
    (outcome,) = run_tasks([_scenario(project)], fit=None)
    assert "base: seeds/extra.csv changed while it ran; run it again, and let" in str(outcome.error)
    assert archive.list_runs(project) == []


def test_a_run_whose_settings_and_ledger_changed_meanwhile_names_the_first_and_counts_the_rest(
    project: Path, meanwhile: list[Callable[[], object]]
) -> None:
    def change() -> None:
        for place in ("params/scenarios/base.yaml", *(f"seeds/extra{n}.csv" for n in range(6))):
            with (project / place).open("a") as file:
                file.write("\n")

    meanwhile.append(change)
    (outcome,) = run_tasks([_scenario(project)], fit=None)
    assert "base: params/scenarios/base.yaml, seeds/extra0.csv" in str(outcome.error)
    assert "seeds/extra3.csv and 2 more changed while it ran" in str(outcome.error)


def test_a_run_that_did_not_read_what_was_kept_is_published_and_not_archived(
    project: Path,
    meanwhile: list[Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        runs, "inputs_of", lambda task: {"all": "the same"}
    )  # changed, and back again
    meanwhile.append(lambda: (project / "seeds" / "extra.csv").write_text("id\n"))
    assert _statuses(task := _scenario(project)) == ["made"]
    assert task.page.is_file()
    assert archive.list_runs(project) == []
    said = capsys.readouterr().err
    assert "base: not kept among the runs: seeds/extra.csv changed while it ran; run it" in said


@pytest.mark.usefixtures("meanwhile")
@pytest.mark.parametrize("step", ["keep_inputs", "keep_run"])
def test_an_archive_that_cannot_be_written_does_not_hold_back_the_report(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    step: str,
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(archive, step, full)
    assert _statuses(task := _scenario(project)) == ["made"]
    assert is_current(task)
    assert "base: not kept among the runs: No space left" in capsys.readouterr().err


def _update(project: Path, results: dict[str, Any]) -> tuple[Any, str]:
    """A change that answered these results, and the inputs that it was opened on."""
    study = SimpleNamespace(
        base_deal=SimpleNamespace(name="meta_scale"),
        scenario=SimpleNamespace(scenario="base", title="Base"),
        as_of="2026-02-28",
        random_seed=1,
        override="",
    )
    change = SimpleNamespace(results=results, new=study, old=study, run=None)
    return change, archive.keep_inputs(project, "meta_scale", "base")


NEWS = (
    "deal: str = 'meta_scale'\nscenario: str = 'base'\nagainst: str = ''\nsince: str = ''\n"
    "random_seed: int = 1\noverride: str = ''\n"
)


@pytest.mark.usefixtures("meanwhile")
def test_an_update_told_at_another_moment_than_its_page_is_the_same_answer(project: Path) -> None:
    """The hour of an answer and the day's words on its evidence are no part of it; a number is."""
    notebook(project / "notebooks", parameters=NEWS, name=runs.NEWS_NOTEBOOK)
    check = {"check": "tiny", "value": 0, "limit": 1, "passed": True, "sentence": "tiny: fine."}
    shown = {"rate": 0.1, "diagnostics": [check]}
    change, inputs = _update(project, shown | {"freshness": {"day": "2026-03-01", "days": 1}})
    page, _ = publish_update(change, root=project, inputs=inputs)
    assert page.is_file()
    told, later = (
        {**shown, "run": {"seed": 1, "created": f"2026-03-01T10:00:0{second}+00:00"}}
        for second in (1, 5)
    )
    assert archive.without_the_hour(told) == archive.without_the_hour(later)
    assert archive.without_the_hour(told) != archive.without_the_hour(later | {"rate": 0.2})


@pytest.mark.usefixtures("meanwhile")
def test_an_update_says_that_it_makes_its_page_and_that_it_waits_for_another_command(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook(project / "notebooks", parameters=NEWS, name=runs.NEWS_NOTEBOOK)
    check = {"check": "tiny", "value": 0, "limit": 1, "passed": True, "sentence": "tiny: fine."}
    change, _ = _update(project, {"rate": 0.1, "diagnostics": [check]})
    change.answer = {}
    monkeypatch.setattr("valuation.study.open_change", lambda *given, **options: change)
    monkeypatch.setenv("VALUATION_HOME", str(project))

    lock, waited = threading.Event(), threading.Event()
    task = SimpleNamespace(root=project)

    def other_command() -> None:
        with runs._exclusive([task], runs.Silent()):  # type: ignore[list-item]
            lock.set()
            waited.wait(5.0)

    holder = threading.Thread(target=other_command)
    holder.start()
    lock.wait(5.0)
    monkeypatch.setattr(OnePage, "cell", lambda *given: None)
    was = OnePage.waiting
    monkeypatch.setattr(OnePage, "waiting", lambda self: (was(self), waited.set()))
    cli(["update", "--json"], standalone_mode=False)
    holder.join()
    told = capsys.readouterr()
    assert json.loads(told.out) == {}
    making, waiting, done = told.err.splitlines()
    assert making.startswith("Making the page")
    assert waiting == "another run is writing these reports; waiting for it ..."
    assert done.startswith("Open ")
    cli(["update", "--json", "--quiet"], standalone_mode=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", ["other inputs", "another answer"])
def test_an_update_that_is_refused_leaves_no_page(
    project: Path, meanwhile: list[Callable[[], object]], fault: str
) -> None:
    notebook(project / "notebooks", parameters=NEWS, name=runs.NEWS_NOTEBOOK)
    check = {"check": "tiny", "value": 0, "limit": 1, "passed": True, "sentence": "tiny: fine."}
    shown = {"rate": 0.1, "diagnostics": [check]}
    change, inputs = _update(project, shown)
    page, run = publish_update(change, root=project, inputs=inputs)
    folder = project / "reports" / "news" / "base"
    good = {name: (folder / name).read_bytes() for name in publish.read_manifest(folder)["files"]}
    assert (page.is_file(), len(archive.list_runs(project))) == (True, 1)

    if fault == "other inputs":
        meanwhile.append(lambda: (project / "seeds" / "extra.csv").write_text("id\n"))
        words = r"seeds/extra.csv changed while the update ran; run `valuation update` again"
    else:
        change.results = shown | {"rate": 0.2}
        words = "the notebook came to another result than the command"
    with pytest.raises(RunError, match=words):
        publish_update(change, root=project, inputs=inputs)
    assert {name: (folder / name).read_bytes() for name in good} == good
    assert (folder / publish.FAILURE).is_file()
    assert [kept.id for kept in archive.list_runs(project)] == [run]


@pytest.mark.usefixtures("meanwhile")
def test_a_report_that_was_archived_and_then_did_not_reach_its_place_is_not_kept_twice(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any, **options: Any) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(publish, "publish", stopped)
        assert _statuses(_scenario(project)) == ["failed"]
    assert _statuses(_scenario(project)) == ["made"]
    assert len(archive.list_runs(project)) == 1
