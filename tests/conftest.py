"""What every test shares: the project's folder, a throw-away copy, reproducible examples."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Set before anything draws or compiles; kernels and commands that tests start inherit it.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
for name in ("VALUATION_HOME", "VALUATION_CACHE", "NO_COLOR", "FORCE_COLOR"):
    os.environ.pop(name, None)

settings.register_profile("project", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("project")

PROJECT = Path(__file__).resolve().parents[1]

# Files that look at the same pages run in one process, which draws each page once.
TOGETHER = dict.fromkeys(
    ("test_sections", "test_news_sections", "test_page", "test_accessibility"), "pages"
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile`` a file's tests run in one process, and so do those of files that share pages."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(Path(file).stem, file)

    return Together(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder; tests read it and never write to it."""
    return PROJECT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what a project is made of (seeds, params, no notebooks), free to be spoiled."""
    home = tmp_path / "project"
    for name in ("seeds", "params"):
        shutil.copytree(PROJECT / name, home / name)
    (home / "notebooks").mkdir()
    (home / "reports").mkdir()
    return home


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The ``valuation`` command in this process: exit code, stdout, stderr."""
    from valuation import cli

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main(words)
        out, err = capfd.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, out, err

    return run
