"""Pages about the tool: a rehearsal leaves the project alone, the reference is whole, the limits are the results'."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_world as world
from example_results import example_results
from test_study import opened, stand_ins

from valuation import PUBLIC, sections
from valuation.models import KINDS, MODELS
from valuation.report import runs
from valuation.study import Study, guide
from valuation.study.lesson import _command


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies take stand-ins for posteriors."""
    with stand_ins():
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return opened(world.project(tmp_path_factory.mktemp("guide") / "project"))


@pytest.fixture(scope="module")
def reference(base: Study) -> dict[str, Any]:
    return guide.reference_results(base)


def test_the_guide_names_every_kind_and_every_model_with_a_file_that_is_there(base, root: Path):
    told = guide.guide_results(base)
    assert [k["kind"] for k in told["kinds"]] == list(KINDS)
    assert [m["model"] for m in told["models"]] == list(MODELS)
    assert all((root / m["file"]).is_file() for m in told["models"])
    scored = base.ledger.evidence["kind"].notna().sum()
    assert sum(k["rows"] for k in told["kinds"]) == scored
    for shown in (sections.guide_kinds(told), sections.guide_models(told)):
        assert shown.summary in shown.html


def test_every_public_module_is_in_the_reference_and_every_public_name_is_documented(reference):
    names = [m["module"] for m in reference["modules"]]
    assert {f"valuation.{name}" for name in PUBLIC} <= set(names)
    assert "valuation.study" in names
    (check,) = [c for c in reference["diagnostics"] if c["check"].startswith("public names")]
    assert check["passed"], check["sentence"]
    assert all(entry["doc"] for m in reference["modules"] for entry in m["entries"])


def test_the_reference_holds_no_address_of_an_object_and_shows_every_name(reference):
    calls = [entry["call"] for m in reference["modules"] for entry in m["entries"]]
    assert not [call for call in calls if "0x" in call]
    html = sections.reference(reference).html
    for module in reference["modules"]:
        assert module["entries"], module["module"]
        for entry in module["entries"]:
            assert f"<summary>{entry['name']}</summary>" in html


def test_a_public_name_without_a_docstring_fails_the_reference(base, monkeypatch):
    from valuation import money

    monkeypatch.setattr(money.npv, "__doc__", None)
    (check,) = [
        c
        for c in guide.reference_results(base)["diagnostics"]
        if c["check"].startswith("public names")
    ]
    assert not check["passed"]
    assert "valuation.money.npv" in check["sentence"]


def test_a_record_without_a_docstring_of_its_own_is_not_taken_for_documented():
    from dataclasses import make_dataclass

    assert guide._doc(make_dataclass("Bare", ["x"])) == ""


def test_the_limits_are_told_from_the_results(monkeypatch, base):
    results = example_results() | {"notes": ["The newest evidence is old."]}
    monkeypatch.setattr(Study, "results", results)
    told = guide.limits_results(base)
    shown = sections.limits_evidence(told)
    assert str(results["evidence_counts"]["scored"]) in shown.summary
    assert results["opinion"]["prior_only"]["sentence"][:40] in shown.html
    outside = sections.limits_outside(told)
    assert str(results["outside_view"]["n"]) in outside.summary


def test_the_command_of_the_tutorial_says_what_its_row_says():
    row = {"event_date": "2026-02-28", "subject": "Ann O'Neil", "claim": "It's invented"}
    words = shlex.split(_command(row).replace("\\\n", " "))
    assert words[:3] == ["valuation", "news", "add"]
    said = dict(zip(words[3::2], words[4::2], strict=True))
    assert said == {f"--{key.replace('_', '-')}": value for key, value in row.items()}


def test_a_lesson_says_whether_the_answer_came_back():
    stands = {"probability": 0.08, "mcse": 0.004}
    row = {"id": "N0001"}
    same = sections.lesson_back({"explored": stands, "back": dict(stands), "row": row})
    assert "as before" in same.summary
    other = {"probability": 0.18, "mcse": 0.004}
    moved = sections.lesson_back({"explored": stands, "back": other, "row": row})
    assert "where it was 8% before" in moved.summary


def test_pages_about_the_tool_are_made_once_and_not_for_every_deal_or_day(root: Path):
    names = runs.told_notebooks(root)
    assert set(runs.GUIDES) | {"limits"} <= set(names)
    assert "explore" not in names
    assert not set(runs.GUIDES) & set(runs.told_notebooks(root, as_of="2025-09-01"))
    assert not set(runs.GUIDES) & set(runs.told_notebooks(root, deal="hp_autonomy"))
