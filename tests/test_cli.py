"""The command: what it says, where it says it, and the code it ends with."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from example_results import conditional_results, example_results
from tiny_notebooks import notebook

from valuation import cli, clock, publish
from valuation.cli.options import explain
from valuation.errors import (
    ArtifactError,
    GateError,
    LedgerError,
    ModelError,
    ParameterError,
    RunError,
)
from valuation.models import KINDS
from valuation.report import Outcome, Task, runs
from valuation.report.summary import WIDTH, summary

SCENARIO_PARAMETERS = """deal: str = 'meta_scale'
scenario: str = 'base'
title: str = ''
story: str = ''
conditions: list = []
sets: list = []
prior_set: str = ''
terms: dict = {}
as_of: str = ''
random_seed: int = 1
override: str = ''
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, project: Path) -> Run:
    """Run the command in a copy of the project; returns exit code, stdout, stderr."""
    monkeypatch.setenv("VALUATION_HOME", str(project))
    notebook(project / "notebooks", name="scenario_report", parameters=SCENARIO_PARAMETERS)
    return command


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs publish invented results instead of starting kernels."""

    def run_tasks(tasks: list[Task], **options: Any) -> list[Outcome]:
        outcomes = []
        for task in tasks:
            results = conditional_results() if task.name != "base" else example_results()
            results["scenario"] = {**results["scenario"], "scenario": task.name}
            files = {"results.json": json.dumps(results).encode(), "index.html": b"<p>page</p>"}
            inputs = runs.inputs_digest(task)
            publish.publish(task.folder, files, inputs=inputs, about=runs._about(task))
            outcomes.append(Outcome(task, "made", 1.0))
        return outcomes

    monkeypatch.setattr("valuation.report.run_tasks", run_tasks)


def refusing(error: Exception) -> Callable[..., list[Outcome]]:
    """A run in which every task fails with ``error``."""

    def run_tasks(tasks: list[Task], **options: Any) -> list[Outcome]:
        for task in tasks:
            publish.write_failure(task.folder, task.title, [str(error)])
        return [Outcome(task, "failed", 1.0, error) for task in tasks]  # type: ignore[arg-type]

    return run_tasks


# Help.


def commands() -> Mapping[str, click.Command]:
    return cli.cli.commands


@pytest.mark.parametrize("name", [None, *commands()])
def test_every_command_explains_itself_in_eighty_columns(run: Run, name: str | None) -> None:
    code, out, err = run(*([name] if name else []), "--help")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 80
    assert len(out.split("Usage:")[1].splitlines()[2].strip()) > 15
    for line in out.split("Options:")[1].split("Commands:")[0].splitlines():
        if line.strip().startswith("-"):
            assert len(line.split()) > 2, f"no help: {line}"


def test_help_documents_every_exit_code(run: Run) -> None:
    _, out, _ = run("report", "--help")
    for code in (cli.OK, cli.FAILED, cli.USAGE, cli.REFUSED, cli.INTERRUPTED):
        assert f"\n    {code:<4} " in out


def test_every_command_is_in_the_readme(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert [name for name in commands() if f"valuation {name}" not in readme] == []


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from valuation.cli import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pymc', 'pytensor', 'papermill', 'matplotlib', 'pandas', 'xarray', 'arviz',\n"
        "         'nbconvert', 'nbclient', 'rich', 'pydantic', 'numpy'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(cli.__file__).parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_check_and_evidence_load_no_sampler_and_no_notebook_runner(root: Path) -> None:
    code = (
        "import sys\n"
        "from valuation.cli import main\n"
        "for words in (['check'], ['evidence'], ['scenarios', '--json']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "heavy = {'pymc', 'pytensor', 'papermill', 'matplotlib.pyplot', 'nbconvert', 'nbclient'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr


# Exit codes and errors.


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ParameterError("a"), 2),
        (click.UsageError("a"), 2),
        (GateError("a"), 3),
        (LedgerError("a"), 3),
        (RunError("a"), 3),
        (ModelError("a"), 1),
        (ArtifactError("a"), 1),
        (OSError("disk full"), 1),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
    ],
)
def test_an_exit_code_says_whose_turn_it_is(error: BaseException, code: int) -> None:
    assert cli.exit_code(error) == code


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain(PermissionError(13, "Permission denied", str(tmp_path / ".tmp-k3f")))
    assert capsys.readouterr().err == (
        f"error: {tmp_path}: .tmp-k3f cannot be read or written there (Permission denied); check the "
        "permissions of that folder and the space on its disk, then run it again\n"
    )


def test_a_watcher_is_told_that_a_fit_has_begun(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from valuation import study

    def opened(*given: Any, told: Callable[[str], None], **options: Any) -> Any:
        told("the stored draws do not reach far enough")
        raise KeyboardInterrupt

    monkeypatch.setattr(study, "open_change", opened)
    code, out, err = run("watch")
    assert (code, out) == (130, "")
    assert "Fitting again, since the stored draws do not reach far enough; a fit takes" in err
    code, out, err = run("watch", "-q")
    assert (code, out, err.strip()) == (130, "", "interrupted; nothing was half-written")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["report", "nope"], "unknown scenario 'nope'; available: acqui_kill, base"),
        (["report", "../base"], "not a scenario file; give a .yaml file or a name"),
        (["report", "base", "--deal", "nope"], "unknown deal 'nope'"),
        (["report", "base", "--as-of", "1 September"], "is not a date; write YYYY-MM-DD"),
        (["report", "base", "--as-of", "2999-01-01"], "is in the future"),
        (["report", "base", "--override", " "], "needs a reason in words"),
        (["report", "base", "--all"], "give scenarios or --all, not both"),
        (["report", "base", "--jobs", "0"], "0 is not in the range"),
        (["report", "--frobnicate"], "No such option"),
        (
            ["update", "--since", "2999-01-01"],
            "2999-01-01 is in the future; nothing is known as of",
        ),
        (["update", "--since", "soon"], "'soon' is not a date; write YYYY-MM-DD"),
        (["watch", "--every", "-1"], "-1 is no time to wait; give 0.05 to 3600 seconds"),
        (["watch", "--every", "nan"], "nan is no time to wait; give 0.05 to 3600 seconds"),
        (["model", "nope"], "no notebook 'nope'; notebooks/ holds scenario_report"),
        (["model", "scenario_report"], "is run by another command: `valuation report NAME`"),
        (["model", "news_update"], "is run by another command: `valuation update`"),
        (["evidence", "--kind", "nope"], "no kind 'nope'; there are"),
        (["frobnicate"], "No such command"),
    ],
)
def test_a_slip_is_one_line_that_says_what_to_do(run: Run, words: list[str], said: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said.lower() in err.lower()
    assert len(err.splitlines()) == 1


def test_an_unknown_scenario_lists_the_known_ones(run: Run, root: Path) -> None:
    _, _, err = run("report", "nope")
    for path in (root / "params" / "scenarios").glob("*.yaml"):
        assert path.stem in err


def test_a_slip_writes_nothing(run: Run, project: Path) -> None:
    run("report", "nope")
    run("report", "base", "--deal", "nope")
    assert list((project / "reports").iterdir()) == []


def test_debug_shows_where_an_error_came_from(run: Run) -> None:
    _, _, err = run("report", "nope", "--debug")
    assert "Traceback" in err
    assert "Traceback" not in run("report", "nope")[2]


def test_a_fault_that_nobody_foresaw_is_one_line_and_code_1(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("valuation.report.run_tasks", broken)
    code, out, err = run("report", "base")
    assert (code, out) == (1, "")
    assert err == "error: ZeroDivisionError: oh; run it with --debug to see where\n"


def test_ctrl_c_is_code_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("valuation.report.run_tasks", stopped)
    code, _, err = run("report", "base")
    assert (code, err.strip()) == (130, "interrupted; nothing was half-written")


def test_a_refused_report_is_code_3_and_says_which_check_and_where(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = GateError("R-hat: 1.2 of mu, at most 1.01; sample longer")
    monkeypatch.setattr("valuation.report.run_tasks", refusing(error))
    code, out, err = run("report", "base")
    assert (code, out) == (3, "")
    assert "error: base: R-hat: 1.2 of mu, at most 1.01; sample longer" in err
    assert "reports/scenarios/base/FAILED.html" in err
    assert "Open" not in err
    assert run("report", "base", "--json")[1] == ""


# What a run prints.


def test_json_is_all_that_goes_to_stdout(run: Run, published: None) -> None:
    code, out, _ = run("report", "base", "--json")
    assert code == 0
    assert json.loads(out)["scenario"]["scenario"] == "base"
    _, out, _ = run("report", "base", "founder_leaves", "--json")
    assert [r["scenario"]["scenario"] for r in json.loads(out)] == ["base", "founder_leaves"]


def test_a_run_answers_the_question_in_eighty_columns_and_says_where_to_look(
    run: Run, published: None
) -> None:
    code, out, err = run("report", "base", "founder_leaves")
    assert code == 0
    assert out.startswith("Does Meta's USD 14.3 bn")
    assert "16 in 100" in out or "16 of 100" in out
    assert "\n  founder_leaves" in out
    assert "reports/index.html" in err
    assert max(map(len, out.splitlines())) <= WIDTH


def test_a_long_scenario_name_does_not_widen_the_summary() -> None:
    results = example_results()
    results["scenario"] = {**results["scenario"], "scenario": "a" * 60, "title": "b " * 80}
    assert max(map(len, summary([results, results]).splitlines())) <= WIDTH


def test_quiet_says_nothing_when_all_is_well(run: Run, published: None) -> None:
    assert run("report", "base", "--quiet") == (0, "", "")


def test_an_as_of_report_leaves_the_current_one_alone(
    run: Run, published: None, project: Path
) -> None:
    run("report", "base")
    current = (project / "reports" / "index.html").read_bytes()
    run("report", "base", "--as-of", "2025-09-01")
    assert (project / "reports" / "as-of-2025-09-01" / "scenarios" / "base").is_dir()
    assert (project / "reports" / "index.html").read_bytes() == current


def test_without_names_every_scenario_runs_and_every_other_notebook(
    run: Run, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    notebook(project / "notebooks", name="retention", parameters="deal: str = 'meta_scale'")
    seen: list[tuple[str, str]] = []

    def run_tasks(tasks: list[Task], **options: Any) -> list[Outcome]:
        seen.extend(task.key for task in tasks)
        return refusing(RunError("x"))(tasks)

    monkeypatch.setattr("valuation.report.run_tasks", run_tasks)
    run("report")
    names = sorted(path.stem for path in (project / "params" / "scenarios").glob("*.yaml"))
    assert sorted(name for group, name in seen if group == "scenarios") == names
    assert [name for group, name in seen if group == "models"] == ["retention"]


def test_every_key_of_a_scenario_file_reaches_the_notebook_as_it_stands(
    run: Run, project: Path
) -> None:
    task = runs.scenario_task(project, "founder_leaves", as_of="2025-09-01", seed=7)
    assert task.values["conditions"] == [{"event": "founder_exit", "before": "2027-06-12"}]
    assert (task.values["as_of"], task.values["random_seed"]) == ("2025-09-01", 7)


# Lists and checks.


def test_lists_are_data_on_stdout(run: Run) -> None:
    for name in ("scenarios", "deals", "evidence"):
        code, out, err = run(name)
        assert (code, err) == (0, ""), name
        assert out.strip()
        assert json.loads(run(name, "--json")[1])


def test_evidence_as_of_a_date_shows_nothing_published_later(run: Run) -> None:
    everything = json.loads(run("evidence", "--json")[1])
    early = json.loads(run("evidence", "--as-of", "2025-09-01", "--json")[1])
    assert {row["id"] for row in early} == {
        row["id"] for row in everything if row["published"] <= "2025-09-01"
    }
    assert 0 < len(early) < len(everything)


def test_kinds_are_listed_with_roster_unit_and_meaning(run: Run) -> None:
    code, out, _ = run("evidence", "--kinds")
    assert code == 0
    rows = json.loads(run("evidence", "--kinds", "--json")[1])
    assert [line.split()[0] for line in out.splitlines()] == ["kind", *KINDS]
    assert [row["kind"] for row in rows] == list(KINDS)
    assert all(row["meaning"] in out and row["roster"] for row in rows)


def _block(root: Path, label: str) -> str:
    text = (root / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{re.escape(label)}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_rows_and_the_scenario_of_the_readme_work_when_pasted(
    run: Run, root: Path, project: Path
) -> None:
    _shipped_notebook(root, project)
    for name in ("seeds/sources.csv", "seeds/evidence.csv"):
        with (project / name).open("a", encoding="utf-8", newline="") as file:
            file.write(_block(root, f"csv {name}"))
    path = project / "params" / "scenarios" / "dear_money.yaml"
    path.write_text(_block(root, "yaml scenario"), encoding="utf-8")
    code, out, _ = run("check")
    assert code == 0, out
    assert "dear_money" in out
    assert "Z001" in run("evidence", "--kind", "departure")[1]


def test_check_names_every_check_and_passes_on_the_shipped_project(
    run: Run, monkeypatch: pytest.MonkeyPatch, root: Path
) -> None:
    monkeypatch.setenv("VALUATION_HOME", str(root))
    rows = json.loads(run("check", "--json")[1])
    # Reports are not shipped: those that lie here may be of any age.
    failed = [r for r in rows if not r["passed"] and not r["name"].startswith("reports")]
    assert failed == []
    names = " ".join(row["name"] for row in rows)
    for name in ("params/priors.yaml", "params/gate.yaml", "seeds/evidence.csv", "notebooks/"):
        assert name in names


def _shipped_notebook(root: Path, project: Path) -> None:
    name = "notebooks/scenario_report.ipynb"
    (project / name).write_bytes((root / name).read_bytes())


def test_check_passes_where_nothing_has_been_published(run: Run, root: Path, project: Path) -> None:
    _shipped_notebook(root, project)
    code, out, err = run("check")
    assert "pass  published reports: none yet" in out
    assert "reports: current" not in out
    assert (code, "checks pass" in err) == (0, True), out


def test_check_warns_of_old_evidence_and_of_questions_that_wait_and_passes(
    run: Run, root: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _shipped_notebook(root, project)
    monkeypatch.setattr(clock, "today", lambda: dt.date(2028, 1, 1))
    code, out, err = run("check")
    assert (code, "checks pass" in err) == (0, True), out
    assert "warn  freshness: the newest evidence is of 2026-02-28, 672 days old" in out
    assert "at most 400 allowed; add news with `valuation news add`" in out
    assert "overdue questions: Q02 (568 days)" in out
    (row,) = [r for r in json.loads(run("check", "--json")[1]) if r["warning"]]
    assert (row["name"], row["passed"]) == ("freshness", True)
    monkeypatch.setattr(clock, "today", lambda: dt.date(2026, 3, 1))
    out = run("check")[1]
    assert "pass  freshness: the newest evidence is of 2026-02-28, 1 day old" in out
    assert "warn" not in out


def test_news_makes_reports_old_until_they_are_made_again(
    run: Run, published: None, project: Path
) -> None:
    run("report", "base", "founder_leaves", "sceptic_priors")
    assert "pass  reports: current: 3 made" in run("check")[1]
    with (project / "seeds" / "evidence.csv").open("a", encoding="utf-8") as file:
        file.write("Z1,2026-02-20,2026-02-21,Something was said.,s0,said,C,,,,,,,\n")
    code, out, _ = run("check")
    assert code == 3
    assert re.search(r"FAIL  reports: current: 3 made before.*scenarios/base.*`make report`", out)
    out = run("report", "base", "founder_leaves")[1]
    assert "1 of 3 scenarios is from older" in out
    page = (project / "reports" / "index.html").read_text(encoding="utf-8")
    assert page.count("Not compared above.") == 1
    assert "This answer is from older" not in page
    assert "valuation report sceptic_priors" in " ".join(out.split())
    rows = json.loads((project / "reports" / "scenarios.json").read_text())["scenarios"]
    marks = {row["scenario"]["scenario"]: bool(row["older"]) for row in rows}
    assert marks == {"base": False, "founder_leaves": False, "sceptic_priors": True}
    assert all(row["as_of"] for row in rows)
    assert "older" not in run("report", "sceptic_priors")[1]
    assert "pass  reports: current: 3 made" in run("check")[1]


def test_a_deleted_scenario_leaves_the_index_and_is_named_by_check(
    run: Run, published: None, project: Path
) -> None:
    own = project / "mine.yaml"
    source = project / "params" / "scenarios" / "founder_leaves.yaml"
    own.write_text(source.read_text().replace("scenario: founder_leaves", "scenario: mine"))
    run("report", "base", "founder_leaves", str(own))
    source.unlink()
    run("report", "base")
    page = (project / "reports" / "index.html").read_text()
    assert "scenarios/founder_leaves" not in page
    assert "scenarios/mine" in page
    out = run("check")[1]
    assert "FAIL  reports: none left over" in out
    assert "rm -r reports/scenarios/founder_leaves" in out
    assert "pass  reports/scenarios/mine" in out


def test_a_prior_whose_source_is_nowhere_fails_one_check(run: Run, project: Path) -> None:
    before = run("check")[1]
    assert "pass  every prior names a source that is there" in before
    path = project / "params" / "priors.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("source: C62", "source: C999", 1), encoding="utf-8")
    code, out, err = run("check")
    assert code == 3
    assert "checks failed: every prior names a source that is there" in err
    assert "FAIL  every prior names a source that is there" in out
    assert "exit_multiple: source 'C999' is no row of base_rates.csv" in out
    assert out.count("FAIL  ") == before.count("FAIL  ") + 1


def test_a_broken_scenario_fails_one_check(
    run: Run, published: None, root: Path, project: Path
) -> None:
    _shipped_notebook(root, project)
    run("report", "base", "founder_leaves")
    (project / "params" / "scenarios" / "founder_leaves.yaml").write_text("scenario: [\n")
    rows = json.loads(run("check", "--json")[1])
    assert [row["name"] for row in rows if not row["passed"]] == ["params/scenarios"]


def test_each_column_of_the_summary_has_as_many_decimals_throughout() -> None:
    sure, vague = example_results(), example_results()
    for shown, error in ((sure, 0.001), (vague, 0.02)):
        shown["headline"] |= {"mcse": error, "npv_median": -10.0, "npv_lower": -12.3}
        shown["headline"] |= {
            f"npv_{key}_mcse": 100 * error for key in ("median", "lower", "upper")
        }
    shares = {"conditions": ["x"], "probability": 0.0804}
    sure["scenario"] |= shares | {"probability_mcse": 0.001}
    vague["scenario"] |= shares | {"probability_mcse": 0.02}

    def cells(*results: Any) -> list[list[str]]:
        lines = summary(results).splitlines()
        name = sure["scenario"]["scenario"]
        return [line.split()[1:5] for line in lines if line.split()[:1] == [name]]

    chance = sure["headline"]["probability"]
    assert cells(sure, sure)[0] == ["8.0%", f"{chance:.1%}", "−10.0", "−12.3"]
    assert cells(sure, vague) == [["8%", f"{chance:.0%}", "−10", "−12"]] * 2


def test_changed_terms_are_said_in_the_summary() -> None:
    base, other = example_results(), example_results()
    other["scenario"] = {
        **other["scenario"],
        "scenario": "dear",
        "terms": ["discount, strategic_per_year: 0.12 instead of 0.088."],
    }
    for shown in ([other], [base, other]):
        text = summary(shown)
        assert "terms changed: discount, strategic_per_year: 0.12 instead" in " ".join(
            text.lower().split()
        )
        assert all(len(line) <= WIDTH for line in text.splitlines())


def test_check_tells_a_bad_setting_from_a_bad_ledger(run: Run, project: Path) -> None:
    gate = project / "params" / "gate.yaml"
    good = gate.read_text()
    gate.write_text(good + "rhat_mx: 1\n")
    code, out, _ = run("check")
    assert code == 2
    assert "FAIL  params/gate.yaml" in out
    assert "rhat_mx" in out
    gate.write_text(good)
    with (project / "seeds" / "evidence.csv").open("a", encoding="utf-8") as file:
        file.write("broken\n")
    code, out, _ = run("check")
    assert code == 3
    assert "FAIL  seeds/evidence.csv" in out
    rows = {row["name"]: row["passed"] for row in json.loads(run("check", "--json")[1])}
    assert rows["seeds/evidence.csv"] is False


def test_check_finds_a_damaged_report(run: Run, published: None, project: Path) -> None:
    run("report", "base")
    folder = project / "reports" / "scenarios" / "base"
    (folder / "results.json").write_text("{}")
    _, out, _ = run("check")
    assert "FAIL  reports/scenarios/base" in out
    assert "missing or damaged" in out


def test_check_finds_a_notebook_with_outputs(run: Run, project: Path) -> None:
    path = project / "notebooks" / "scenario_report.ipynb"
    content = json.loads(path.read_text())
    content["cells"][0]["execution_count"] = 3
    path.write_text(json.dumps(content))
    assert "holds outputs; clear them" in run("check")[1]


def test_lab_starts_jupyterlab_on_this_interpreter_in_the_notebooks_folder(
    run: Run, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    called: list[Any] = []
    monkeypatch.setattr(subprocess, "call", lambda *words, **options: called.append(words) or 0)
    assert run("lab", "--no-browser", "--port", "8890")[0] == 0
    (command,) = called[0]
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[3] == str(project / "notebooks")
    assert command[-3:] == ["--no-browser", "--port", "8890"]
    assert "--LabApp.news_url=None" in command


def test_lab_neither_asks_for_news_nor_for_extensions_unless_its_user_chose_to(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyterlab.labapp import LabApp
    from jupyterlab_server.config import ConfigManager

    found: list[Any] = []

    def call(command: list[str], env: Mapping[str, str]) -> int:
        monkeypatch.setenv("JUPYTER_CONFIG_PATH", env["JUPYTER_CONFIG_PATH"])
        # As JupyterLab reads the defaults of its settings; what a user has set is not among them.
        found.append(ConfigManager(config_dir_name="labconfig").get("default_setting_overrides"))
        found.append(command)
        return 0

    monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/nowhere/of/mine")
    monkeypatch.setattr(subprocess, "call", call)
    assert run("lab")[0] == 0
    settings, command = found
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert os.environ["JUPYTER_CONFIG_PATH"].endswith(f"{os.pathsep}/nowhere/of/mine")
    assert "--LabApp.extension_manager=readonly" in command
    assert not Path(os.environ["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]).exists()  # cleared away
    for option in command[4:]:
        if option.startswith("--LabApp."):
            assert option.removeprefix("--LabApp.").split("=")[0] in LabApp.class_trait_names()


@pytest.mark.parametrize(("words", "kept"), [(("fit",), True), (("fit", "--refit"), False)])
def test_a_stored_fit_is_sampled_again_only_when_asked(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], kept: bool
) -> None:
    from valuation import gate, study

    found: list[bool] = []

    def check(self: study.Study) -> gate.Verdict:
        found.append((self.posteriors / f"{self.posterior_key()}.json").exists())
        return gate.gate([gate.Check("R-hat", 1.0, 1.01, True, "R-hat is 1.")])

    monkeypatch.setenv("VALUATION_CACHE", str(project / "cache"))
    monkeypatch.setattr("valuation.study.case.Study.gate", check)
    opened = study.open_study(root=project)
    opened.posteriors.mkdir(parents=True)
    (opened.posteriors / f"{opened.posterior_key()}.json").write_text("{}", encoding="utf-8")
    code, _, err = run(*words)
    assert (code, found) == (0, [kept]), err


def test_progress_says_what_is_left_once_it_can_tell(monkeypatch, capsys):
    from valuation.cli import update

    now = [100.0]
    monkeypatch.setattr(update.time, "monotonic", lambda: now[0])
    told = update.Counted()
    for second, done in ((50, 0), (52, 10), (56, 30), (70, 600), (250, 900), (1250, 1000)):
        now[0] = 100.0 + second
        told(done, 2600)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Sharing the change out: 0 of 2,600 combinations of items ...",
        "Sharing the change out: 30 of 2,600 combinations of items ...",
        # Twenty seconds for 600, so 67 for 2,000.
        "Sharing the change out: 600 of 2,600 combinations of items, about 67 s left ...",
        "Sharing the change out: 900 of 2,600 combinations of items, about 6 min left ...",
        "Sharing the change out: 1,000 of 2,600 combinations of items, about 32 min left ...",
    ]
