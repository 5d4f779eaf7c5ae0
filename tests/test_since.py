"""What changed since the last report: found without a fit, told with its error, split where that is quick."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import small_world as world
import test_change
from example_results import example_results
from test_change import keep, quick  # noqa: F401  # few quantities, and no sampling in this module either

from valuation import archive, sections
from valuation.params import cache_folder
from valuation.study import Study, open_study, since
from valuation.study.since import run_before, since_of

HEAD, *ROWS = (line.strip() for line in world.SEEDS["evidence"].strip().splitlines())
FIRST = tuple(row for row in ROWS if row.startswith(("E01,", "E02,", "E20,")))


def opened(root: Path, rows: tuple[str, ...] = FIRST) -> Study:
    """The small world as files, with these rows."""
    if not root.exists():
        world.project(root)
    world.write_seeds(root / "seeds", evidence="\n".join([HEAD, *rows]))
    return open_study("test_deal", root=root, cache=cache_folder(root))


def quantities(study: Study) -> list[dict[str, Any]]:
    position = test_change.moved(study, study).now
    names = test_change.moved(study, study).quantities
    return [
        {"name": q.name, "label": q.label, "unit": q.unit, "group": q.group, "value": float(v), "mcse": 0.01}
        for q, v in zip(names, position.values, strict=True)
    ]  # fmt: skip


def published(study: Study, **about: Any) -> archive.Run:
    return archive.keep_run(
        study.root, deal="test_deal", scenario="base", kind="report",
        files={"index.html": b"<p></p>"}, inputs=archive.keep_inputs(study.root, "test_deal", "base"),
        results={
            "as_of": str(study.as_of), "quantities": quantities(study),
            "run": {"posterior": keep(study), "digests": study.digests, "seed": study.random_seed},
        }, **about,
    )  # fmt: skip


def told(study: Study) -> dict[str, Any]:
    return {"headline": {"definition": "npv"}, "quantities": quantities(study)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project"


def test_without_an_earlier_run_nothing_is_said(root):
    study = opened(root)
    assert since_of(study, told(study)) is None


def test_a_run_of_the_same_state_is_none_to_compare_with(root):
    study = opened(root)
    published(study)
    assert run_before(study) is None


def test_the_newest_run_of_another_state_is_compared_with(root):
    first = published(opened(root))
    second = published(
        opened(
            root,
            (
                *FIRST,
                "N1,2025-11-01,2025-11-02,Poor data.,paper,n1,C,quality_report,Maker,-1,,grade,,",
            ),
        )
    )
    there = opened(root)
    assert run_before(there).id == second.id
    published(there, as_of_given=True)
    here = opened(
        root,
        (*FIRST, "N2,2025-11-01,2025-11-02,Good data.,paper,n2,C,quality_report,Maker,1,,grade,,"),
    )
    assert run_before(here).id == second.id
    assert first.id != second.id


def test_a_new_row_is_named_with_its_share_and_nothing_is_fitted(root):
    published(opened(root))
    row = "N1,2025-11-01,2025-11-02,Poor data.,paper,n1,C,quality_report,Maker,-1,,grade,,"
    new = opened(root, (*FIRST, row))
    keep(new, seed=3)
    results = told(new)
    found = since_of(new, results)
    assert found["shared"]
    assert [item["item"] for item in found["items"]] == ["N1"]
    (quantity,) = found["quantities"]
    assert quantity["is"] == results["quantities"][0]["value"]
    assert math.fsum(b["change"]["npv"] for b in found["buckets"]) == pytest.approx(
        quantity["change"], abs=1e-9
    )
    json.dumps(found, allow_nan=False)
    html = sections.headline(example_results() | {"since": found}).html
    assert "Since the report of" in html


def test_many_items_are_told_as_a_difference_and_the_command_that_splits_it(root, monkeypatch):
    run = published(opened(root))
    monkeypatch.setattr(since, "MOST_ITEMS", 0)
    new = opened(
        root, (*FIRST, "N1,2025-11-01,2025-11-02,Poor.,paper,n1,C,quality_report,Maker,-1,,grade,,")
    )
    keep(new, seed=3)
    results = told(new)
    found = since_of(new, results)
    assert not found["shared"]
    (quantity,) = found["quantities"]
    assert quantity["change"] == quantity["is"] - quantity["was"]
    assert quantity["mcse"] == pytest.approx(math.hypot(0.01, 0.01))
    html = sections.headline(example_results() | {"since": found}).html
    assert f"valuation compare {run.short} latest" in html


def test_draws_that_have_gone_are_no_reason_to_fit(root):
    old = opened(root)
    published(old)
    new = opened(
        root, (*FIRST, "N1,2025-11-01,2025-11-02,Poor.,paper,n1,C,quality_report,Maker,-1,,grade,,")
    )
    keep(new, seed=3)
    results = told(new)
    for ending in (".npz", ".json"):
        (old.posteriors / f"{old.posterior_key()}{ending}").write_bytes(b"torn")
    assert not since_of(new, results)["shared"]


def test_an_as_of_date_looks_back_at_nothing(root):
    published(opened(root))
    new = opened(
        root, (*FIRST, "N1,2025-11-01,2025-11-02,Poor.,paper,n1,C,quality_report,Maker,-1,,grade,,")
    )
    past = open_study("test_deal", root=root, as_of="2025-11-02", cache=new.cache)
    assert run_before(new) is not None
    assert run_before(past) is None
