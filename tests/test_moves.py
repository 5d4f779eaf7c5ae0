"""Moving priors, conditions and terms by hand, on the small world: what must come out the same, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_world as world
from test_study import opened, stand_ins

from valuation import sensitivity
from valuation.errors import ParameterError
from valuation.models import joint
from valuation.sections import exploration
from valuation.sections.moves import moved_answer
from valuation.study import Study, explore, moves
from valuation.study.controls import WIDGET, Controls
from valuation.study.moves import Moves, explore_results, explored, levers


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies take stand-ins for posteriors."""
    with stand_ins():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.project(tmp_path_factory.mktemp("moves") / "project")


@pytest.fixture(scope="module")
def base(home: Path) -> Study:
    found = opened(home)
    # A stand-in has few draws; what it reaches is not the question here.
    return replace(found, limits=found.limits.model_copy(update={"ess_min": 20.0}))


@pytest.fixture(scope="module")
def controls(base: Study) -> Controls:
    return explore(base)


def unread(study: Study) -> str:
    """A prior that no row reads."""
    return next(n for n in levers(study) if n not in study.posterior["posterior"].data_vars)


@pytest.mark.parametrize("reached", [True, False])
def test_a_shift_gives_the_posterior_of_the_shifted_prior_weighed_or_moved(reached, monkeypatch):
    """In closed form: a normal mean seen once; draws of its prior that are weighed by what was seen."""
    from scipy import stats

    class Prior:
        cdf, ppf = staticmethod(stats.norm.cdf), staticmethod(stats.norm.ppf)

    def rows(evidence: Any, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        return stats.norm(parameters["mean"], 1).logpdf(1.0)[:, None]

    x = stats.norm.ppf((np.arange(40_000) + 0.5) / 40_000)
    seen = stats.norm(x, 1).pdf(1.0)
    study: Any = SimpleNamespace(
        prior_set="house", book=SimpleNamespace(get=lambda name: {"mean": Prior}), limits=None,
        posterior={"posterior": SimpleNamespace(data_vars={"mean": x})},
    )  # fmt: skip
    believed: Any = SimpleNamespace(parameters={"mean": x}, weight=seen / seen.sum())
    verdicts = iter([None] if reached else ["too far for weights alone", None])
    monkeypatch.setattr(moves, "trouble", lambda weights, limits: next(verdicts))
    monkeypatch.setattr(joint, "row_log_likelihood", rows)
    evidence: Any = None
    parameters, weights = moves._shifted(study, believed, evidence, {"mean": 0.5})
    assert weights is not None
    there = parameters["mean"]
    np.testing.assert_allclose(there, x if reached else x + 0.5, atol=1e-6)
    mean = float(weights.weight @ there)
    assert mean == pytest.approx(0.75, abs=0.005)  # prior N(1/2, 1), seen 1: N(3/4, 1/2)
    assert weights.weight @ (there - mean) ** 2 == pytest.approx(0.5, rel=0.01)


def test_nothing_moved_is_the_published_answer(base):
    told = explored(base)
    event = base.values["pays_off"].sel(definition=base.deal.headline).to_numpy()
    assert told["probability"] == pytest.approx(event.mean(), abs=1e-12)
    assert told["npv_mean"] == pytest.approx(float(base.values["npv"].mean()), rel=1e-9)
    assert (told["why"], told["moved"], told["condition"]) == ("", [], 1.0)
    zero = explored(base, Moves(shifts=dict.fromkeys(levers(base), 0.0)))
    assert zero["npv_mean"] == told["npv_mean"]


def test_a_moved_prior_that_no_row_reads_moves_its_draws_and_keeps_every_weight(base):
    name = unread(base)
    told = explored(base, Moves(shifts={name: 1.0}))
    assert told["khat"] is None
    assert told["effective_draws"] == pytest.approx(len(base.beliefs.weight))
    assert told["npv_mean"] != explored(base)["npv_mean"]


def test_a_small_move_of_a_prior_that_rows_read_tilts_the_draws_by_its_score(base):
    draws = base.beliefs.parameters
    name = next(n for n in levers(base) if n in base.posterior["posterior"].data_vars)
    prior = base.book.get(base.prior_set)[name]
    weight = sensitivity.tilted(sensitivity.normal_score(prior, draws[name]), 0.2).weight
    told = explored(base, Moves(shifts={name: 0.2}))
    assert told["why"] == ""
    assert told["npv_mean"] == pytest.approx(
        float(weight @ base.values["npv"].to_numpy()), rel=1e-9
    )


def test_moving_up_and_down_moves_the_answer_to_either_side(base):
    name = unread(base)
    low, middle, high = (explored(base, Moves(shifts={name: s}))["npv_mean"] for s in (-1, 0, 1))
    assert (middle - low) * (high - middle) > 0


def test_a_condition_and_its_opposite_make_up_the_answer(base):
    day = "2027-06-12"
    there, not_there = (
        explored(base, Moves.of({"conditions": [{"event": "founder_exit", when: day}]}))
        for when in ("before", "not_before")
    )
    assert there["condition"] + not_there["condition"] == pytest.approx(1.0)
    whole = sum(t["condition"] * t["npv_mean"] for t in (there, not_there))
    assert whole == pytest.approx(explored(base)["npv_mean"], rel=1e-9)
    assert there["moved"] == ["The founder leaves before 12 June 2027."]


def test_a_term_moves_the_value_as_a_scenario_with_that_term_does(base):
    terms = {"discount": {"strategic_per_year": 0.2, "stake_per_year": 0.2}}
    told = explored(base, Moves.of({"terms": terms}))
    there = Moves.of({"terms": terms}).scenario
    study = replace(base, scenario=there, deal=there.resolve(base.base_deal))
    assert told["npv_mean"] == pytest.approx(float(study.values["npv"].mean()), rel=1e-9)
    assert any("0.2 instead of" in sentence for sentence in told["moved"])


def test_where_no_future_meets_the_condition_there_is_no_number(base):
    condition = {"driver": "capability_gap", "at": "2027-12-31", "below": -900}
    told = explored(base, Moves.of({"conditions": [condition]}))
    assert told["probability"] is None
    assert "relax a condition" in told["why"]
    assert "No answer" in moved_answer(told, explored(base), unit="USD bn")


def test_an_unknown_prior_and_an_unknown_key_are_refused_by_name(base):
    with pytest.raises(ParameterError, match="no prior named colour_of_the_sky"):
        explored(base, Moves(shifts={"colour_of_the_sky": 1.0}))
    with pytest.raises(ParameterError, match="condtions"):
        Moves.of({"condtions": []})


def test_levers_start_with_what_the_value_hangs_on_most(base):
    npv = base.values["npv"].to_numpy()
    priors, draws = base.book.get(base.prior_set), base.beliefs.parameters

    def pull(name: str) -> float:
        score = sensitivity.normal_score(priors[name], draws[name])
        return abs(float(np.mean((score - score.mean()) * (npv - npv.mean()))))

    pulls = [pull(name) for name in levers(base)]
    assert pulls == sorted(pulls, reverse=True)
    assert pulls[0] > 0


def test_the_section_says_where_the_answer_stands(base):
    results = explore_results(base)
    shown = exploration(results)
    first = next(iter(results["levers"].values()))
    assert first in shown.summary
    assert set(results) >= {"explored", "levers", "diagnostics", "run"}


# The controls, without a front end.


def test_without_a_front_end_the_answer_as_it_stands_is_shown(controls):
    shown = controls._repr_mimebundle_()
    assert "Nothing is moved." in shown["text/html"]
    assert shown[WIDGET]["model_id"] == controls.widget.model_id


def test_each_kind_of_control_moves_the_answer_and_one_puts_all_back(controls):
    at, stood = controls.by_name, controls.answer.value
    slider = next(name for name in at if name.startswith("shift "))
    for name, value in (
        (slider, 0.5),
        ("other_shift", -0.5),
        ("stake_rate", 21.0),
        ("event", "founder_exit"),
        ("prior_set", at["prior_set"].options[-1][1]),
    ):
        before = controls.answer.value
        at[name].value = value
        assert controls.answer.value != before, name
    at["reset"].click()
    assert controls.answer.value == stood


def test_a_driver_offers_the_levels_that_its_draws_reach(controls, base):
    at = controls.by_name
    at["driver"].value = "adoption_share"
    values = [value for _, value in at["level"].options]
    assert 0.0 <= values[0] < values[-1] <= 1.0
    assert "adoption" in controls.answer.value or "expert-data" in controls.answer.value
    at["reset"].click()


def test_a_move_costs_less_than_a_second_of_one_core(base):
    explored(base, Moves(shifts={unread(base): 0.1}))
    start = time.process_time()
    explored(base, Moves(shifts={unread(base): 0.3}))
    assert time.process_time() - start < 1.0
