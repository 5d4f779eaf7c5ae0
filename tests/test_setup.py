"""What a fresh machine runs: the lock is pinned by hash, and each obstacle is a plain sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

LOCKS = ["requirements.lock", ".ci/tools.lock"]


def entries(text: str) -> list[str]:
    """Requirements of a lock, each with its continuation lines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [entry for entry in re.split(r"\n(?=\S)", "\n".join(lines)) if entry.strip()]


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_is_pinned_by_version_and_hash(root: Path, name: str) -> None:
    found = entries((root / name).read_text(encoding="utf-8"))
    assert found
    for entry in found:
        assert re.match(r"[a-z0-9][a-z0-9._-]*==[0-9]", entry), entry[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:60]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_host_and_no_file(root: Path, name: str) -> None:
    text = (root / name).read_text(encoding="utf-8")
    assert not re.search(r"://|file:|--index|--find-links|\bgit\+| @ ", text)


def test_the_lock_holds_every_requirement_of_the_project(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    locked = {
        re.match(r"[a-z0-9._-]+", entry).group()  # type: ignore[union-attr]
        for entry in entries((root / "requirements.lock").read_text(encoding="utf-8"))
    }
    names = {re.split(r"[<>=\[; ]", line)[0] for line in wanted}
    assert names - locked == set()


def test_make_help_lists_every_target_that_a_person_calls(root: Path) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0
    for target in ("report", "test", "check", "test-slow", "example", "lab", "clean"):
        assert re.search(rf"^make {target}\s+\w", done.stdout, re.MULTILINE), target


def test_every_target_of_the_makefile_is_phony_and_explained(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split())  # type: ignore[union-attr]
    assert set(re.findall(r"^([a-z-]+):", text, re.MULTILINE)) == phony
    assert set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)) == phony


# The set-up script, where something is missing. A copy runs, so that this environment stays.


@pytest.fixture
def fresh(root: Path, tmp_path: Path) -> Path:
    home = tmp_path / "clone"
    (home / ".ci").mkdir(parents=True)
    for name in ("pyproject.toml", *LOCKS, ".ci/setup"):
        shutil.copy(root / name, home / name)
    (home / "bin").mkdir()
    for tool in ("awk", "basename", "cat", "df", "dirname", "rm", "mkdir", "sh", "ln"):
        (home / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return home


def setup(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up with nothing on the path but a few tools."""
    return subprocess.run(
        ["sh", ".ci/setup"],
        cwd=home,
        env={"PATH": str(home / "bin"), "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def command(home: Path, name: str, script: str) -> None:
    path = home / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_machine_without_a_new_python_is_told_which_one_to_install(fresh: Path) -> None:
    command(fresh, "python3", 'case "$*" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    done = setup(fresh)
    if "no Python >= 3.12" not in done.stderr:  # one stands in a place that is always looked at
        assert re.search(r"Setting up|pip", done.stderr)
        return
    assert done.returncode == 1
    assert "no Python >= 3.12 found (python3 here: Python 3.9.2)" in done.stderr
    assert "make report PYTHON=/path/to/python3.12" in done.stderr


def test_an_old_python_that_was_asked_for_is_refused_by_name(fresh: Path) -> None:
    command(fresh, "old", "exit 1")
    done = setup(fresh, PYTHON=str(fresh / "bin" / "old"))
    assert done.returncode == 1
    assert "is not a Python >= 3.12." in done.stderr


def test_too_little_disk_is_said_before_anything_is_fetched(fresh: Path) -> None:
    command(fresh, "df", "printf 'h\\nd 1 1 287 1%% /\\n'")
    done = setup(fresh, PYTHON=sys.executable)
    assert done.returncode == 1
    assert "only 287 MB free here" in done.stderr
    assert not (fresh / ".venv").exists()


def test_a_machine_without_a_network_is_told_so_and_keeps_no_half_environment(fresh: Path) -> None:
    done = setup(
        fresh,
        PYTHON=sys._base_executable,  # type: ignore[attr-defined]
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert done.returncode == 1
    assert "Check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (fresh / ".venv").exists()


def test_an_environment_that_fits_the_lock_is_left_alone(fresh: Path) -> None:
    command(fresh, "python3.13", f'exec "{sys._base_executable}" "$@"')  # type: ignore[attr-defined]
    python = sys._base_executable  # type: ignore[attr-defined]
    code = re.search(r"<<'PY'\n(.*?)\nPY\n", (fresh / ".ci/setup").read_text(), re.DOTALL)
    assert code is not None
    stamp = subprocess.run(
        [python, "-"], input=code.group(1), capture_output=True, text=True, cwd=fresh, check=True
    ).stdout
    (fresh / ".venv" / "bin").mkdir(parents=True)
    command(fresh, "../.venv/bin/valuation", "exit 0")
    (fresh / ".venv" / ".ready").write_text(stamp)
    done = setup(fresh, PYTHON=python)
    assert (done.returncode, done.stderr) == (0, "")
