"""The surface: what importing costs, what is exported, and what the tree must not name."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from example_results import example_results

import valuation

MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(valuation.__path__, "valuation.")
    if not m.name.endswith("__main__")
)


def tracked(root: Path) -> list[Path]:
    """Files that belong to the project: all below it but environments, caches and output."""
    skip = {
        ".git",
        ".venv",
        ".tools",
        ".cache",
        "__pycache__",
        "reports",
        "build",
        "dist",
        ".hypothesis",
    }
    return [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not skip & set(path.relative_to(root).parts)
        and not any(part.endswith((".egg-info", "_cache")) for part in path.relative_to(root).parts)
        and path.suffix not in {".png", ".pyc"}
    ]


def test_importing_the_package_loads_nothing_heavy(root: Path) -> None:
    code = (
        "import sys, valuation\n"
        "heavy = {'pymc', 'pytensor', 'nutpie', 'papermill', 'matplotlib', 'pandas', 'numpy'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_exports_exists_and_is_listed_once(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert len(exported) == len(set(exported))
    assert [e for e in exported if not hasattr(module, e)] == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert (importlib.import_module(name).__doc__ or "").strip()


def test_the_version_is_the_changelogs_first(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert versions[0] == valuation.__version__


def test_the_calendar_is_read_in_one_place(root: Path) -> None:
    readers = {
        path.relative_to(root).as_posix()
        for path in (root / "valuation").rglob("*.py")
        if "date.today(" in path.read_text(encoding="utf-8")
    }
    assert readers == {"valuation/clock.py"}


def test_every_key_of_the_results_is_documented(root: Path) -> None:
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## `results.json`")[1]
    documented = set(re.findall(r"`([a-z_]+)`", text.split("## ")[0]))
    assert set(example_results()) - {"schema"} - documented == set()


def test_every_requirement_is_imported_and_every_import_is_a_requirement(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    required = {
        re.split(r"[<>=\[; ]", line)[0].replace("-", "_")
        for line in settings["project"]["dependencies"]
    }
    imported = set()
    for path in root.glob("valuation/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).split(".")[0])
    ours = {"valuation"} | set(sys.stdlib_module_names)
    # Named differently, or used as a program rather than imported.
    alias = {"yaml": "pyyaml", "ipykernel": "ipykernel", "jupyterlab": "jupyterlab"}
    found = {alias.get(name, name) for name in imported - ours}
    programs = {"ipykernel", "jupyterlab", "nutpie", "numba"}
    rides_along = {"markupsafe", "mistune", "pydantic_core", "traitlets"}
    assert required - found - programs == set()
    assert found - required - rides_along == set()


# Spelled in pieces, so that this file does not name them.
FORBIDDEN = [
    "/work" + "/",
    "/ro" + "ot/",
    "/ho" + "me/",
    "py" + "pi.org",
    "python" + "hosted",
    "local" + "host:",
    "registry." + "npm",
]


def test_no_file_names_a_package_host_or_a_place_on_somebodys_machine(root: Path) -> None:
    found = []
    for path in tracked(root):
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.relative_to(root)}: {word}" for word in FORBIDDEN if word in text]
    assert found == []


def test_nothing_is_left_for_later(root: Path) -> None:
    marks = re.compile(
        r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b|pytest\.(skip|xf" + r"ail)"
    )
    found = [
        f"{path.relative_to(root)}: {match.group()}"
        for path in tracked(root)
        if path.suffix in {".py", ".ipynb", ".md", ".yaml", ".toml", ".j2", ".css", ""}
        for match in marks.finditer(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []


def test_layers_hold(root: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert done.returncode == 0, done.stdout + done.stderr
