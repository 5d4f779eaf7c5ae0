"""The list of planted bugs is one that can be planted: it runs with ``make mutants``, which takes long."""

from __future__ import annotations

import ast
from pathlib import Path

import mutants
import pytest

PACKAGE = mutants.PROJECT / "valuation"


def test_there_are_enough_of_them_and_each_has_its_own_name():
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(names) >= 40
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_planted_in_one_place_and_is_still_a_program(mutant):
    text = (PACKAGE / mutant.file).read_text(encoding="utf-8")
    broken = mutants.planted(mutant, text)
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(text))
    assert mutant.tests
    for name in mutant.tests:
        assert (mutants.PROJECT / "tests" / f"test_{name}.py").is_file()


def test_a_place_that_is_not_there_once_is_an_error():
    mutant = mutants.Mutant("m", "f.py", "x", "y", ("value",))
    for text in ("", "x x"):
        with pytest.raises(ValueError, match=r"places in f\.py"):
            mutants.planted(mutant, text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one line with a test of it."""
    home = tmp_path / "home"
    for name, text in (
        ("valuation/__init__.py", ""),
        ("valuation/sums.py", "def twice(x):\n    return 2 * x\n"),
        ("tests/test_sums.py", "from valuation.sums import twice\n\n\ndef test_it():\n    assert twice(3) == 6\n"),
        ("tests/test_idle.py", "def test_nothing():\n    assert True\n"),
        ("pyproject.toml", "[tool.pytest.ini_options]\nmarkers = ['slow: s', 'browser: b']\n"),
    ):  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    return home


def test_what_a_test_sees_is_caught_and_what_none_sees_survives(project, capsys):
    seen = mutants.Mutant("thrice", "sums.py", "2 * x", "3 * x", ("idle",))
    unseen = mutants.Mutant("turned", "sums.py", "2 * x", "x * 2", ("sums",))
    assert mutants.run([seen, unseen], project) == 1
    told = capsys.readouterr().out
    assert "thrice (sums.py): FAILED tests/test_sums.py::test_it" in told
    assert "1 of 2 caught (50%" in told
    assert "survivor: turned (sums.py)" in told
    assert "2 * x" in (project / "valuation" / "sums.py").read_text(encoding="utf-8")


def test_of_named_tests_alone_a_survivor_is_one_that_they_miss(project, capsys):
    unseen = mutants.Mutant("thrice", "sums.py", "2 * x", "3 * x", ("idle",))
    assert mutants.run([unseen], project, named_only=True) == 1
    assert "thrice (sums.py): SURVIVED" in capsys.readouterr().out
