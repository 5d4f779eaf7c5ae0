"""Scenarios: the shipped ones, their sentences, terms on a deal, and what is refused."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from valuation.errors import ParameterError
from valuation.params import (
    DRIVERS,
    EVENTS,
    DriverCondition,
    EventCondition,
    Intervention,
    Scenario,
    load_deal,
    load_priors,
    load_scenario,
    load_scenarios,
)
from valuation.params.scenarios import DriverName, EventName, over

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = sorted((ROOT / "params" / "scenarios").glob("*.yaml"))
KEYS = ["scenario", "title", "story", "conditions", "sets", "prior_set", "terms"]

GOOD: dict[str, Any] = {
    "scenario": "bear",
    "title": "It goes badly",
    "story": "In plain words.",
    "conditions": [{"event": "founder_exit", "before": "2027-06-12"}],
    "sets": [{"driver": "adoption_share", "operation": "set", "value": 0.8, "start": "2026-06-12"}],
    "prior_set": "",
    "terms": {"discount": {"strategic_per_year": 0.10}},
}


def scenario(**changes: Any) -> Scenario:
    return load_scenario({**GOOD, **changes})


def write(folder: Path, text: str, name: str = "bear") -> Path:
    path = folder / "params" / "scenarios" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# -- the shipped scenarios -------------------------------------------------------------------------


def test_the_shipped_scenarios_cover_the_question():
    assert next(iter(load_scenarios(ROOT))) == "base"
    assert {
        "base",
        "founder_leaves",
        "talent_exodus",
        "data_renaissance",
        "rivals_return",
        "rivals_gone",
        "frontier_reached",
        "acqui_kill",
        "regulatory_action",
        "sceptic_priors",
        "enthusiast_priors",
    } <= set(load_scenarios(ROOT))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_resolves_on_the_shipped_deal(path):
    deal = load_deal("meta_scale", ROOT)
    read = load_scenario(path.stem, ROOT)
    resolved = read.resolve(deal)
    assert resolved.prior_set in load_priors(ROOT / deal.priors).sets()
    assert len(read.story) > 60
    assert all(sentence.endswith(".") for sentence in read.describe("USD"))
    assert all(part.date > deal.closed for part in read.conditions)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_file_handed_to_papermill_gives_the_same_scenario(path):
    # papermill reads with YAML 1.1, where an unquoted date is no text and 14.3e9 no number.
    parameters = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(parameters) == KEYS
    assert load_scenario(parameters) == load_scenario(path.stem, ROOT)
    assert not _dates(parameters)


def _dates(value: Any) -> list[dt.date]:
    if isinstance(value, dict):
        return [date for item in value.values() for date in _dates(item)]
    if isinstance(value, list):
        return [date for item in value for date in _dates(item)]
    return [value] if isinstance(value, dt.date) else []


def test_the_base_case_assumes_nothing():
    base = load_scenario("base", ROOT)
    deal = load_deal("meta_scale", ROOT)
    assert base.describe("USD") == []
    assert base.resolve(deal) == deal


def test_the_frontier_of_the_scenario_is_the_frontier_of_the_deal():
    condition = load_scenario("frontier_reached", ROOT).conditions[0]
    assert condition.below == load_deal("meta_scale", ROOT).frontier.near_points


# -- sentences -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (
            {"event": "founder_exit", "before": "2027-06-12"},
            "The founder leaves before 12 June 2027.",
        ),
        (
            {"event": "regulatory_action", "not_before": "2028-01-01"},
            "No regulator opens a formal action before 1 January 2028.",
        ),
        (
            {"event": "customer_return", "subject": "Google", "before": "2027-12-31"},
            "Google comes back as a customer before 31 December 2027.",
        ),
        (
            {"event": "person_exit", "subject": "Ruben Mayer", "not_before": "2026-01-01"},
            "Ruben Mayer does not leave before 1 January 2026.",
        ),
        (
            {"driver": "adoption_share", "at": "2027-12-31", "above": 0.5},
            "The target's share of the acquirer's expert-data spending is above 50% on "
            "31 December 2027.",
        ),
        (
            {"driver": "capability_gap", "at": "2027-12-31", "below": 5},
            "The gap of the acquirer's best model to the frontier is below 5 index points on "
            "31 December 2027.",
        ),
    ],
)
def test_a_condition_describes_itself(part, sentence):
    assert scenario(conditions=[part]).conditions[0].describe("USD") == sentence


@pytest.mark.parametrize(
    ("operation", "value", "words"),
    [
        ("set", 2.5, "is set to 2.5 USD bn per year"),
        ("multiply", 0.4, "is multiplied by 0.4"),
        ("add", -1, "is shifted by -1 USD bn per year"),
    ],
)
def test_a_set_says_that_it_is_no_prediction(operation, value, words):
    part = {"driver": "revenue", "operation": operation, "value": value, "start": "2026-03-01"}
    sentence = scenario(sets=[part]).sets[0].describe("USD")
    assert sentence == f"From 1 March 2026 the target's revenue {words} (set, not predicted)."


def test_conditions_and_sets_are_typed():
    parts = scenario(
        conditions=[
            {"event": "founder_exit", "before": "2027-06-12"},
            {"driver": "revenue", "at": "2027-06-12", "above": 1},
        ]
    )
    event, driver = parts.conditions
    assert isinstance(event, EventCondition)
    assert isinstance(driver, DriverCondition)
    assert isinstance(parts.sets[0], Intervention)
    assert event.date == driver.date == dt.date(2027, 6, 12)
    assert len(parts.describe("USD")) == 3


def test_every_name_that_is_accepted_can_be_described():
    assert set(DriverName.__args__) == set(DRIVERS)
    assert set(EventName.__args__) == set(EVENTS)


# -- terms -----------------------------------------------------------------------------------------


def test_terms_replace_only_what_they_name():
    deal = load_deal("meta_scale", ROOT)
    terms = {"discount": {"strategic_per_year": 0.10}, "components": {"denial": False}}
    resolved = scenario(terms=terms, prior_set="sceptic").resolve(deal)
    assert resolved.discount.strategic_per_year == 0.10
    assert resolved.discount.stake_per_year == deal.discount.stake_per_year
    assert resolved.components == {**deal.components, "denial": False}
    assert resolved.prior_set == "sceptic"
    assert deal.discount.strategic_per_year == 0.088


def test_a_scenario_without_terms_leaves_the_deal_and_its_digest_alone():
    deal = load_deal("meta_scale", ROOT)
    assert scenario(terms={}).resolve(deal).digest() == deal.digest()


def test_dates_in_terms_may_be_text():
    deal = load_deal("meta_scale", ROOT)
    resolved = scenario(terms={"hurdle": {"moic_by": "2031-01-01"}}).resolve(deal)
    assert resolved.hurdle.moic_by == dt.date(2031, 1, 1)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"components": {"tallent": False}},
         r"scenario 'bear': terms\.components\.tallent: not a component of this deal; did"),
        ({"hurdle": {"moic_by": "2039-01-01"}},
         r"scenario 'bear' on deal 'meta_scale': hurdle\.moic_by: 2039-01-01 is not between"),
        ({"horizon_years": 3}, r"services\.contract_years: 5 is beyond the horizon of 3 years"),
    ],
)  # fmt: skip
def test_terms_that_clash_with_the_deal_are_refused_when_they_meet(terms, words):
    with pytest.raises(ParameterError, match=words):
        scenario(terms=terms).resolve(load_deal("meta_scale", ROOT))


# -- what is refused -------------------------------------------------------------------------------

BAD = [
    ({"conditons": []}, "conditons: not a known key; did you mean 'conditions'"),
    ({"scenario": "../../x"}, r"scenario: the text '\.\./\.\./x' is not a valid name; use a-z"),
    ({"story": ""}, "story: is empty; write at least one character"),
    ({"prior_set": "a b"}, "prior_set: the text 'a b' is not a valid name"),
    ({"prior_set": None}, "prior_set: needs text, found nothing; write it in quotes"),
    ({"conditions": "founder_exit"}, r"conditions: needs a list, found the text 'founder_exit'"),
    ({"conditions": ["founder_exit"]}, r"conditions\[0\]: needs keys and values; write {event:"),
    ({"conditions": [{"evnt": "founder_exit"}]},
     r"conditions\[0\]: names neither an event nor a driver; did you mean 'event'"),
    ({"conditions": [{"event": "founder_exit", "driver": "revenue"}]},
     r"conditions\[0\]: has both event and driver; make it two conditions"),
    ({"conditions": [{"event": "founder_exit"}]},
     r"conditions\[0\]: event founder_exit needs exactly one of before and not_before"),
    ({"conditions": [{"event": "impairment", "before": "2027-01-01", "not_before": "2028-01-01"}]},
     "needs exactly one of before and not_before; give a date"),
    ({"conditions": [{"event": "founder_leaves", "before": "2027-01-01"}]},
     r"conditions\[0\]\.event: the text 'founder_leaves' is not a choice; .*founder_exit"),
    ({"conditions": [{"event": "founder_exit", "befor": "2027-01-01"}]},
     r"conditions\[0\]\.befor: not a known key; did you mean 'before'"),
    ({"conditions": [{"event": "customer_end", "before": "2027-01-01"}]},
     r"event customer_end needs a subject; add the name used in the roster"),
    ({"conditions": [{"event": "founder_exit", "subject": "X", "before": "2027-01-01"}]},
     r"conditions\[0\]\.subject: event founder_exit takes no subject; remove it"),
    ({"conditions": [{"event": "founder_exit", "before": "June 2027"}]},
     r"conditions\[0\]\.before: needs a date, found the text 'June 2027'; write it as YYYY-MM-DD"),
    ({"conditions": [{"driver": "adoption_shares", "at": "2027-01-01", "above": 0.5}]},
     r"conditions\[0\]\.driver: the text 'adoption_shares' is not a choice; did you mean 'adopt"),
    ({"conditions": [{"driver": "adoption_share", "at": "2027-01-01", "above": 50}]},
     r"conditions\[0\]\.above: 50 is outside 0 to 1; adoption_share is a fraction: 0\.5 is 50"),
    ({"conditions": [{"driver": "adoption_share", "at": "2027-01-01"}]},
     r"driver adoption_share needs exactly one of above and below; give a level"),
    ({"sets": [{"driver": "revenue", "operation": "times", "value": 1, "start": "2027-01-01"}]},
     r"sets\[0\]\.operation: the text 'times' is not a choice; available: add, multiply, set"),
    ({"sets": [{"driver": "revenue", "operation": "multiply", "value": -1, "start": "2027-01-01"}]},
     r"sets\[0\]\.value: -1 is a negative factor; give 0 or more"),
    ({"sets": [{"driver": "revenue", "operation": "set", "value": "1", "start": "2027-01-01"}]},
     r"sets\[0\]\.value: needs a number, found the text '1'"),
    ({"sets": [{"driver": "adoption_share", "operation": "set", "value": 8,
                "start": "2027-01-01"}]},
     r"sets\[0\]\.value: 8 is outside 0 to 1; adoption_share is a fraction"),
    ({"sets": [{"driver": "revenue", "operation": "set", "value": float("nan"),
                "start": "2027-01-01"}]}, r"sets\[0\]\.value: needs a finite number"),
    ({"sets": [{"driver": "revenue", "operation": "set", "value": 1}]},
     r"sets\[0\]\.start: is missing; add it"),
    ({"terms": {"discount_rate": 0.1}},
     r"terms\.discount_rate: not a known term; did you mean 'discount'\? known terms: acq"),
    ({"terms": {"discount": {"strategic": 0.1}}},
     r"terms\.discount\.strategic: not a known term; .*known terms: stake_per_year, strategic_per"),
    ({"terms": {"discount": {"strategic_per_year": 10}}},
     r"terms\.discount\.strategic_per_year: 10 is not between -0\.5 and 1; a fraction: 0\.10"),
    ({"terms": {"outlay": 20}},
     r"terms\.outlay: needs keys and values, not 20; known terms: equity_usd_bn, other_usd_bn"),
    ({"terms": {"closed": "2025-01-01"}}, r"terms\.closed: a scenario cannot change it; known"),
    ({"terms": {"prior_set": "house"}}, r"terms\.prior_set: a scenario cannot change it"),
    ({"terms": {"headline": "profit"}}, r"terms\.headline: the text 'profit' is not a choice"),
    ({"terms": {"components": {"denial": "no"}}},
     r"terms\.components\.denial: needs true or false, found the text 'no'"),
    ({"terms": {"options": {"a": float("inf")}}}, "terms: has a number that is not finite inside"),
    ({"terms": []}, "terms: needs keys and values, found a list"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_bad_notebook_parameters_are_refused_in_one_sentence(changes, words):
    with pytest.raises(ParameterError, match=words) as caught:
        scenario(**changes)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("scenario parameters: ")


def test_in_a_file_the_sentence_has_the_line(tmp_path):
    text = (
        "scenario: bear\ntitle: T\nstory: S\nconditions:\n"
        '  - {event: founder_exit, before: "2027-06-12"}\n'
        "  - {driver: adoption_share, at: 2027-12-31, above: 50}\n"
        "terms:\n  discount:\n    strategic_per_yaer: 0.1\n"
    )
    path = write(tmp_path, text)
    with pytest.raises(ParameterError) as caught:
        load_scenario("bear", tmp_path)
    place = re.escape(path.as_posix())
    assert re.match(rf"{place}:6:46: conditions\[1\]\.above: 50 is outside", str(caught.value))
    write(tmp_path, text.replace("above: 50", "above: 0.5"))
    words = rf"{place}:9:5: terms\.discount\.strategic_per_yaer: not a known term; did you mean"
    with pytest.raises(ParameterError, match=words):
        load_scenario("bear", tmp_path)


def test_a_scenario_file_is_named_for_its_scenario(tmp_path):
    write(tmp_path, "scenario: bull\ntitle: T\nstory: S\n")
    words = r"bear\.yaml:1:1: scenario: is 'bull' in a file named bear\.yaml; make them the same"
    with pytest.raises(ParameterError, match=words):
        load_scenario("bear", tmp_path)


def test_an_unknown_scenario_names_the_known_ones():
    with pytest.raises(ParameterError, match="unknown scenario 'bas'; did you mean 'base'"):
        load_scenario("bas", ROOT)


def test_all_bad_scenarios_of_a_folder_come_at_once(tmp_path):
    write(tmp_path, "scenario: a\ntitle: T\n", "a")
    write(tmp_path, "scenario: b\nstory: S\n", "b")
    with pytest.raises(ParameterError) as caught:
        load_scenarios(tmp_path)
    assert len(caught.value.problems) == 2


def test_optional_keys_may_be_left_out():
    short = load_scenario({"scenario": "s", "title": "T", "story": "S"})
    assert (short.conditions, short.sets, short.prior_set, short.terms) == ((), (), "", {})


FULL = """scenario: bear
title: T
story: S
conditions:
  - {event: founder_exit, before: "2026-06-12"}
sets:
  - driver: adoption_share
    operation: set
    value: 0.0
    start: "2026-01-01"
"""


def test_a_set_that_begins_before_the_close_is_refused_with_file_line_and_remedy(tmp_path):
    write(tmp_path, FULL.replace("2026-01-01", "2025-06-11"))
    words = (
        r"params/scenarios/bear\.yaml:10:5: sets\[0\]\.start: 2025-06-11 is before the close on 2025-06-12, "
        r"when every path begins; give the day of the close or a later one"
    )
    with pytest.raises(ParameterError, match=words):
        load_scenario("bear", tmp_path).resolve(load_deal("meta_scale", ROOT), tmp_path)


@pytest.mark.parametrize(
    ("conditions", "sets", "place"),
    [
        ([{"event": "founder_exit", "not_before": "2040-01-01"}], [], "conditions[0].not_before"),
        ([{"event": "impairment", "before": "2035-06-13"}], [], "conditions[0].before"),
        ([{"driver": "revenue", "at": "2036-01-01", "above": 1.0}], [], "conditions[0].at"),
        (
            [],
            [{"driver": "revenue", "operation": "set", "value": 5.0, "start": "2036-06-12"}],
            "sets[0].start",
        ),
    ],
)
def test_what_lies_after_the_end_of_the_forecast_is_refused_and_the_last_day_is_not(
    conditions, sets, place
):
    late = scenario(conditions=conditions, sets=sets)
    deal = load_deal("meta_scale", ROOT)
    with pytest.raises(ParameterError, match=re.escape(place)) as caught:
        late.resolve(deal)
    assert "is after 2035-06-12, where the forecast ends; give an earlier day" in str(caught.value)
    longer = deal.model_copy(update={"horizon_years": 20})
    assert late.resolve(longer).horizon_years == 20
    last = scenario(conditions=[{"event": "founder_exit", "before": "2035-06-12"}], sets=[])
    assert last.resolve(deal).horizon_years == 10


def test_a_condition_on_a_day_before_the_close_is_refused():
    part = {"event": "founder_exit", "before": "2025-01-01"}
    with pytest.raises(
        ParameterError, match=r"conditions\[0\]\.before: 2025-01-01 is before the close"
    ):
        scenario(conditions=[part], sets=[]).resolve(load_deal("meta_scale", ROOT))


def test_what_reaches_into_what_was_observed_is_told_with_file_line_and_remedy(tmp_path):
    write(tmp_path, FULL)
    told = load_scenario("bear", tmp_path)
    assert over(told, dt.date(2026, 1, 1), tmp_path) == []
    (late,) = over(told, dt.date(2026, 2, 28), tmp_path)
    assert late == (
        "params/scenarios/bear.yaml:10:5: sets[0].start: 1 January 2026 is before 28 February 2026, up to which the "
        "evidence reaches: what was observed in between is overruled. To leave the past as it was, begin on the "
        "later day"
    )
    asked, _ = over(told, dt.date(2026, 6, 12), tmp_path)
    assert asked.startswith(
        "params/scenarios/bear.yaml:5:27: conditions[0].before: 12 June 2026 is not after"
    )
    assert asked.endswith("To ask about the future, give a later day")
    # Parameters that no file states are told by their key.
    other = load_scenario({**told.model_dump(mode="json"), "story": "Another."})
    assert over(other, dt.date(2026, 2, 28), tmp_path)[0].startswith(
        "scenario 'bear': sets[0].start"
    )
