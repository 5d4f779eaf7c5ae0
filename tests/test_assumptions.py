"""What is taken as given is listed whole, with what the files say of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_world as world
from pydantic import BaseModel

from valuation.currency import spelled
from valuation.params import find_root, load_deal, load_deals
from valuation.params.deals import Deal, notes_of
from valuation.study import Study, open_study
from valuation.study.assumptions import PART_OF, TERMS, assumptions

ROOT = find_root(Path(__file__).parent)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder around the small world; tests do not write to it."""
    return world.project(tmp_path_factory.mktemp("given") / "project")


def opened(home: Path, **terms: Any) -> Study:
    scenario = {
        "scenario": "test", "title": "Test", "story": "Of a test.", "conditions": [], "sets": [],
        "prior_set": "", "terms": terms,
    }  # fmt: skip
    return open_study("test_deal", scenario, root=home)


def numbers_of(record: type[BaseModel], start: str = "") -> Iterator[str]:
    """Dotted keys of the numbers and days of a record of settings."""
    for name, field in record.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from numbers_of(kind, f"{start}{name}.")
        elif kind in (float, int) or getattr(kind, "__name__", "") == "date":
            yield f"{start}{name}"


def test_every_number_of_a_deals_file_that_a_valuation_reads_is_a_term() -> None:
    assert set(numbers_of(Deal)) == set(TERMS)
    assert set(PART_OF.values()) <= set(load_deal("meta_scale", ROOT).components)


def test_every_term_of_the_shipped_deal_says_where_it_is_from() -> None:
    told = notes_of("meta_scale", ROOT)
    assert [key for key in TERMS if not told.get(spelled(key, "USD"))] == []
    assert told["outlay.equity_usd_bn"] == "B002: booked as non-marketable equity"


@pytest.mark.parametrize(
    ("line", "note"),
    [
        ("outlay: {equity_usd_bn: 1.0}", None),
        ("horizon_years: 10 # judgement: long enough", "judgement: long enough"),
        ('horizon_years: "a # b" # c # d', "c # d"),
        ("horizon_years: 'a # b'", None),
        ("horizon_years: 10#no comment", None),
    ],
)
def test_a_note_is_what_stands_behind_a_hash_after_the_value(
    line: str, note: str | None, tmp_path: Path
) -> None:
    (tmp_path / "params" / "deals").mkdir(parents=True)
    (tmp_path / "params" / "deals" / "d.yaml").write_text(f"{line}\n", encoding="utf-8")
    assert notes_of("d", tmp_path).get("horizon_years") == note
    assert notes_of("e", tmp_path) == {}


def test_what_a_scenario_changes_is_marked_and_shown_as_it_has_it(home: Path) -> None:
    plain = {row["key"]: row for row in assumptions(opened(home))["terms"]}
    assert not any(row["changed"] for row in plain.values())
    study = opened(home, stake={"exit_years": 3.0})
    told = {row["key"]: row for row in assumptions(study)["terms"]}
    assert (told["stake.exit_years"]["value"], told["stake.exit_years"]["changed"]) == (3.0, True)
    assert [row["key"] for row in told.values() if row["changed"]] == ["stake.exit_years"]


def test_terms_of_a_component_that_is_off_are_not_listed(home: Path) -> None:
    study = opened(home, components={"denial": False})
    told = {row["key"]: row for row in assumptions(study)["terms"]}
    assert "denial.years" not in told
    assert "stake.exit_years" in told
    assert (told["components"]["value"], told["components"]["changed"]) == ("denial", True)


def test_every_prior_that_varies_is_listed_with_source_and_reason(home: Path) -> None:
    study = opened(home)
    book = study.book.get(study.prior_set)
    told = assumptions(study)["priors"]
    assert [row["name"] for row in told] == [n for n, p in book.items() if p.family != "fixed"]
    for row in told:
        assert row["lower"] < row["median"] < row["upper"], row["name"]
        assert row["source"], row["name"]
        assert row["rationale"], row["name"]
        assert float(book[row["name"]].cdf(row["upper"])) == pytest.approx(0.95)


def test_each_shipped_deal_tells_its_terms() -> None:
    for name, deal in load_deals(ROOT).items():
        study = open_study(name, root=ROOT)
        listed = {row["key"] for row in assumptions(study)["terms"]}
        left = {key for key in TERMS if spelled(key, deal.currency) not in listed}
        assert {PART_OF[key.split(".")[0]] for key in left} <= {
            part for part, on in deal.components.items() if not on
        }
