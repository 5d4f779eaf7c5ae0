"""The terminal: every command keeps to its promises, whatever it is for."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from example_results import conditional_results, example_results

from valuation import cli
from valuation.cli.options import patience
from valuation.report.progress import Lines
from valuation.report.runs import Task
from valuation.report.summary import WIDTH, summary

COMMANDS = dict(cli.commands())
each_command = pytest.mark.parametrize("name", sorted(COMMANDS))
# What each needs to get as far as its work.
GIVEN = {
    "compare": ["latest", "latest"],
    "init": ["demo"],
    "model": ["retention"],
    "news show": ["B001"],
    "news supersede": ["B001"],
    "prior set": ["z", "--quantiles", "0.5=1", "--reason", "r", "--by", "b"],
    "prior show": ["z"],
    "resolve": ["Q01", "--outcome", "yes", "--source", "s"],
}
ESCAPE = "\x1b["

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, project: Path) -> Run:
    """The command in a copy of the project: exit code, stdout, stderr."""
    monkeypatch.setenv("VALUATION_HOME", str(project))
    return command


@each_command
def test_help_fits_a_terminal_and_says_how_to_be_quiet_and_where_errors_come_from(
    run: Run, name: str
) -> None:
    code, out, err = run(*name.split(), "--help")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= WIDTH
    assert ESCAPE not in out
    if name == "lab":  # its options are JupyterLab's
        return
    assert "--debug" in out
    if name != "init":  # it asks
        assert "-q, --quiet" in out


@each_command
def test_an_error_is_one_line_and_its_origin_is_shown_only_when_asked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def broken(context: click.Context) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(COMMANDS[name], "invoke", broken)
    words = [*name.split(), *GIVEN.get(name, [])]
    code, out, err = run(*words)
    assert (code, out) == (cli.FAILED, "")
    assert err == "error: RuntimeError: boom; run it with --debug to see where\n"
    code, out, err = run(*words, "--debug")
    assert code == cli.FAILED
    assert err.startswith("Traceback (most recent call last)")
    assert err.endswith("error: RuntimeError: boom; run it with --debug to see where\n")


@each_command
def test_a_slip_of_the_hand_is_told_in_one_line_with_where_to_look(run: Run, name: str) -> None:
    if name == "lab":
        return
    code, out, err = run(*name.split(), *GIVEN.get(name, []), "--no-such-option")
    assert (code, out) == (cli.USAGE, "")
    assert re.fullmatch(
        rf"error: No such option '?--no-such-option'?\.?.* \(see `valuation {name} --help`\)\n", err
    )


@each_command
def test_no_option_is_taken_twice(name: str) -> None:
    taken = [word for param in COMMANDS[name].params for word in param.opts]
    assert len(set(taken)) == len(taken)


def typed(*words: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    shown = b""

    def read() -> None:
        nonlocal shown
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while piece := os.read(ours, 65536):
                shown += piece

    reader = threading.Thread(target=read)  # a terminal that nobody reads from is full soon
    reader.start()
    with (
        open(theirs, "w", encoding="utf-8") as terminal,
        contextlib.redirect_stdout(terminal),
        contextlib.redirect_stderr(terminal),
        pytest.raises(SystemExit),
    ):
        cli.main(words)
    reader.join()
    os.close(ours)
    return shown.decode()


def test_colours_are_for_a_terminal_and_no_color_turns_them_off(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "params" / "credibility.yaml").write_text("nonsense: 1\n", encoding="utf-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert ESCAPE in typed("check")
    _, out, err = run("check")
    assert "FAIL" in out
    assert ESCAPE not in out + err
    monkeypatch.setenv("NO_COLOR", "1")
    plain = typed("check")
    assert "FAIL" in plain
    assert ESCAPE not in plain


def test_a_command_that_takes_longer_says_so_and_more_and_more_rarely() -> None:
    said: list[str] = []
    with patience("valuation check", after=(0.05, 0.2, 60.0), say=said.append):
        time.sleep(0.6)
    assert said == [
        "valuation check: at work for 0.05 s ...",
        "valuation check: at work for 0.2 s ...",
    ]
    time.sleep(0.1)
    assert len(said) == 2
    quick: list[str] = []
    with patience("valuation check", after=(5.0,), say=quick.append):
        pass
    assert quick == []


@each_command
def test_progress_is_for_people_and_off_when_it_is_to_be_quiet(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from contextlib import nullcontext

    words = [*name.split(), *GIVEN.get(name, [])]
    assert isinstance(cli.progress(words), nullcontext)  # no terminal here
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    own = name in ("report", "model", "lab", "watch", "init")
    assert isinstance(cli.progress(words), nullcontext) == own
    assert isinstance(cli.progress([*words, "--quiet"]), nullcontext)
    assert isinstance(cli.progress([*words, "-q"]), nullcontext)


def test_a_log_hears_of_a_long_step_more_and_more_rarely_until_it_is_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valuation.report.progress.EVERY", 0.2)
    for what, begin, finish in (
        ("posterior of the joint model", "fitting", "fitted"),
        ("history and backtest", "walking", "walked"),
        ("posterior of the joint model", "fitting", "end"),  # it failed
    ):
        lines = Lines()
        getattr(lines, begin)()
        time.sleep(1.2)
        getattr(lines, finish)()
        heard = [line for line in capsys.readouterr().err.splitlines() if line.startswith(what)]
        assert heard == [
            f"{what} ...",
            *(f"{what}: at work for {seconds} s ..." for seconds in ("0.2", "0.4", "0.8")),
        ]
        time.sleep(0.6)
        assert "at work" not in capsys.readouterr().err


def test_a_long_notebook_says_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = [100.0]
    monkeypatch.setattr("valuation.report.progress.time.monotonic", lambda: now[0])
    lines = Lines()
    task = Task("scenarios", "base", "base", tmp_path, {}, tmp_path, tmp_path)
    for done in range(5):
        now[0] += 4.0
        lines.cell(task, done, 5)
    assert capsys.readouterr().err == "base: 2 of 5 cells ...\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "valuation"],
        capture_output=True,
        text=True,
        env=os.environ | {"_VALUATION_COMPLETE": f"{shell}_source"},
        check=False,
    )
    assert told.returncode == 0
    assert f"_VALUATION_COMPLETE={shell}_complete" in told.stdout
    assert "valuation" in told.stdout


@pytest.mark.parametrize(
    ("typed_so_far", "offered"),
    [
        ("valuation rep", {"report", "replay"}),
        ("valuation report fo", {"founder_leaves"}),
        ("valuation report --deal m", {"meta_scale", "microsoft_linkedin"}),
        ("valuation news s", {"seal", "show", "supersede"}),
    ],
)
def test_commands_scenarios_and_deals_complete(typed_so_far: str, offered: set[str]) -> None:
    words = typed_so_far.split(" ")
    told = subprocess.run(
        [sys.executable, "-m", "valuation"],
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "_VALUATION_COMPLETE": "bash_complete",
            "COMP_WORDS": typed_so_far,
            "COMP_CWORD": str(len(words) - 1),
        },
        cwd=Path(__file__).resolve().parents[1],
        check=False,
    )
    assert {line.split(",", 1)[1] for line in told.stdout.splitlines()} == offered


def test_outside_of_a_project_there_is_nothing_to_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from valuation.cli.options import names_in

    monkeypatch.setenv("VALUATION_HOME", str(tmp_path))
    context = click.Context(cli.cli)
    option = click.Option(["--deal"])
    assert names_in("params/deals", ".yaml")(context, option, "m") == []


def test_the_summary_answers_the_question_in_eighty_columns() -> None:
    text = summary([example_results(), conditional_results()], "A notice. " * 30)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.startswith("Does ")
    assert "pay off" in text.splitlines()[0]
    assert "in about 16 of 100 simulated futures" in " ".join(text.split())
    assert ESCAPE not in text


def test_the_summary_tells_the_age_of_the_evidence_today_whenever_the_report_was_made() -> None:
    fresh = {
        "day": "2027-06-01", "newest": "2026-02-28", "days": 458,
        "warnings": ["evidence age: the newest evidence is 458 days old, at most 400 allowed."],
    }  # fmt: skip
    text = summary([example_results()], freshness=fresh)
    assert max(map(len, text.splitlines())) <= WIDTH
    told = " ".join(text.split())
    assert "of 28 February 2026, 458 days before this was made on 1 June 2027" in told
    assert "Careful: evidence age: the newest evidence is 458 days old" in told
    assert "newest evidence" not in summary([example_results()])
