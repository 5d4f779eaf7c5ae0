"""What an answer owes to each prior, to each row and to each set of priors, on the small world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_world as world
from test_study import opened, stand_ins, what_if

from valuation import sensitivity
from valuation.models import MODELS, joint
from valuation.params.priors import PriorBook
from valuation.study import Study, opinion
from valuation.study.pool import Pool
from valuation.update import importance_weights


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies take stand-ins for posteriors."""
    with stand_ins():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.project(tmp_path_factory.mktemp("opinion") / "project")


@pytest.fixture(scope="module")
def base(home: Path) -> Study:
    return opened(home)


@pytest.fixture(scope="module")
def told(base: Study) -> dict[str, Any]:
    return opinion.opinion_of(base, 1.0)


# --- powers ---------------------------------------------------------------------------------------


def test_every_prior_and_every_row_is_scaled_with_one_sub_model(base, told):
    models = {m["model"]: m for m in told["scaling"]["models"]}
    assert list(models) == [*MODELS, "all"]
    for what in ("parameters", "rows"):
        assert sum(m[what] for n, m in models.items() if n != "all") == models["all"][what]
    assert models["all"]["rows"] == len(base.evidence.ids)
    names = [p["parameter"] for p in told["scaling"]["parameters"]]
    assert len(names) == len(set(names)) == models["all"]["parameters"]


def test_what_no_row_reads_has_no_likelihood_to_scale(told):
    worth = next(m for m in told["scaling"]["models"] if m["model"] == "worth")
    assert worth["rows"] == 0
    assert worth["likelihood"] is None
    assert worth["prior"]["effective_draws"] > 0


def test_a_power_of_a_models_rows_is_that_of_the_sum_of_their_log_likelihoods(base, told):
    rows = joint.row_log_likelihood(base.evidence, base.beliefs.parameters)
    mine = [i.startswith("E2") for i in base.evidence.ids]  # adoption's, by how they are numbered
    event = base.values["pays_off"].sel(definition=base.deal.headline).to_numpy()
    weight = importance_weights(-0.2 * rows[:, mine].sum(axis=1)).weight
    found = next(m for m in told["scaling"]["models"] if m["model"] == "adoption")
    assert found["rows"] == sum(mine) == 6
    assert found["likelihood"]["weaker"] == pytest.approx(weight @ event - event.mean())


def test_powers_that_the_draws_do_not_reach_are_said(base):
    strict = replace(base, limits=base.limits.model_copy(update={"ess_min": 990.0}))
    scaled = opinion.scaling(strict)
    everything = next(m for m in scaled["models"] if m["model"] == "all")
    assert "effective ones" in everything["prior"]["why"]
    assert "all" not in scaled["sentence"].split("moves")[0]


# --- before any evidence --------------------------------------------------------------------------


def test_the_priors_alone_see_no_row(base, told):
    some = opinion.without(opinion.without(base, "E43"), "E05")
    assert len(some.evidence.ids) < len(base.evidence.ids)
    assert opinion.prior_only(some)["prior"] == told["prior_only"]["prior"]


def test_the_posterior_beside_it_is_the_answer_itself(base, told):
    said = told["prior_only"]
    event = base.values["pays_off"].sel(definition=base.deal.headline).to_numpy()
    assert said["posterior"]["probability"] == pytest.approx(event.mean())
    change = said["posterior"]["probability"] - said["prior"]["probability"]
    assert said["change"] == pytest.approx(change)
    assert said["change_mcse"] > said["posterior"]["mcse"]


# --- what one prior would have to be --------------------------------------------------------------


def test_every_prior_that_varies_has_its_row_the_nearest_first(base, told):
    rows = told["break_even_priors"]["rows"]
    assert len(rows) == len(told["scaling"]["parameters"])
    shifts = [abs(r["shift"]) for r in rows if r["shift"] is not None]
    assert shifts == sorted(shifts)
    assert [r["shift"] is None for r in rows] == sorted(r["shift"] is None for r in rows)
    for row in rows:
        assert abs(row["reach"]) <= sensitivity.FURTHEST
        assert row["unreachable"] == (row["shift"] is None and abs(row["reach"]) == 3.0)
        if row["shift"] is not None:
            assert row["probability"] == pytest.approx(0.5, abs=0.05)


def test_a_moved_prior_is_the_same_as_one_stated_there(base, told):
    """Three standard deviations of a lognormal's log: the study with that prior gives the same."""
    name = "talent_pool_usd_bn"
    row = next(r for r in told["break_even_priors"]["rows"] if r["prior"] == name)
    prior = base.book.get()[name]
    sigma = prior.parameters["sigma"]
    chance = opinion._by_move(base, prior)
    shift = 1.5
    further = replace(
        prior,
        parameters={"mu": prior.parameters["mu"] + shift * sigma, "sigma": sigma},
        quantiles=None,
        fit=(),
    )
    sets = {n: base.book.get(n) | {name: further} for n in base.book.sets()}
    book: PriorBook = replace(base.book, _priors=sets)
    other = replace(base, book=book)
    vars(other)["posterior"] = base.posterior  # no row reads it, so the fit is the same
    event = other.values["pays_off"].sel(definition=other.deal.headline).to_numpy()
    assert chance(shift) == (pytest.approx(event.mean(), abs=1e-9), None)
    assert row["method"] == "moved"


def test_draws_moved_with_their_rows_weigh_as_the_tilted_prior_would(base, monkeypatch):
    """In closed form: a normal mean seen once, its prior moved by one standard deviation."""
    from scipy import stats

    class Prior:
        name = "mean"
        cdf, ppf = staticmethod(stats.norm.cdf), staticmethod(stats.norm.ppf)

    place = (np.arange(40_000) + 0.5) / 40_000
    x = stats.norm(0.5, np.sqrt(0.5)).ppf(place)  # prior N(0, 1), seen 1 with an error of 1
    beliefs = SimpleNamespace(parameters={"mean": x}, weight=np.full(x.size, 1.0 / x.size))
    study: Any = SimpleNamespace(
        prior_set="house", deal=None, under=lambda prior_set, deal: None, beliefs=beliefs,
        drivers={}, limits=base.limits, random_seed=1,
    )  # fmt: skip

    def seen_once(evidence: Any, values: Mapping[str, np.ndarray]) -> np.ndarray:
        return stats.norm(values["mean"], 1).logpdf(1.0)[:, None]

    def mean_of(power: int, *, rows: bool) -> float:
        """Of a power of the parameter, in the place of a forecast's events."""
        patch.setattr(opinion, "measured", lambda paths, study: ((), [paths["mean"] ** power]))
        found = opinion._by_move(study, Prior(), rows=rows)(1.0)
        assert found is not None
        return found[0]

    with monkeypatch.context() as patch:
        patch.setattr(joint, "row_log_likelihood", seen_once)
        patch.setattr("valuation.forecast.forecast", lambda evidence, there, **_: there)
        assert mean_of(1, rows=False) == pytest.approx(1.5)  # as if no row had been read
        mean = mean_of(1, rows=True)
        assert mean == pytest.approx(1.0, abs=0.005)  # prior N(1, 1): the posterior is N(1, 1/2)
        assert mean_of(2, rows=True) - mean**2 == pytest.approx(0.5, rel=0.01)


def test_rows_count_when_draws_that_they_read_are_moved(base):
    prior = base.book.get()["exit_multiple"]
    plain, weighed = (opinion._by_move(base, prior, rows=r)(0.3) for r in (False, True))
    assert plain is not None
    assert weighed is not None
    assert plain[1] is None
    assert weighed[1] is not None
    unmoved = opinion._by_move(base, prior, rows=True)(0.0)
    event = base.values["pays_off"].sel(definition=base.deal.headline).to_numpy()
    assert unmoved == (pytest.approx(event.mean()), 0.0)


def test_no_shift_within_three_standard_deviations_is_said_in_words():
    row = {"shift": None, "reach": 3.0, "unreachable": True, "probability": 0.2, "label": "A"}
    said = opinion._shift_sentence([row, row | {"probability": 0.3, "label": "B"}])
    assert "No prior, moved alone by up to 3 of its standard deviations" in said
    assert "“B” comes nearest, with 30%" in said
    short = row | {"reach": 1.5, "unreachable": False}
    assert "For 1 of the 2 priors the draws do not reach" in opinion._shift_sentence([row, short])
    found = row | {"shift": -2.1, "unreachable": False}
    assert "by 2.1 of its standard deviations" in opinion._shift_sentence([found, row])


# --- without one row ------------------------------------------------------------------------------


def test_every_scored_row_is_left_out_once_the_largest_effect_first(base, told):
    rows = told["influence"]["rows"]
    assert sorted(r["id"] for r in rows) == sorted(base.evidence.ids)
    changes = [abs(r["change"]) for r in rows if not r["why"]]
    assert changes == sorted(changes, reverse=True)
    assert all(r["mcse"] >= 0 for r in rows if not r["why"])


def test_an_effect_is_the_difference_of_two_states_with_the_paths_simulated_again(base, told):
    """The founder's last sighting: without it the path of that person is another."""
    pool = Pool([opinion.own_source(base)], base)
    here, there = pool.at(base), pool.at(opinion.without(base, "E03"))
    place = [q.name for q in here.quantities]
    found = next(r for r in told["influence"]["rows"] if r["id"] == "E03")
    for name, key in ((base.deal.headline, "change"), ("npv_mean", "npv_change")):
        at = place.index(name)
        assert found[key] == pytest.approx(there.values[at] - here.values[at], abs=1e-9)
    kept = place.index("founder_in_post")
    assert there.values[kept] != pytest.approx(here.values[kept], abs=1e-6)


def test_a_row_that_nobody_believes_has_no_influence(base):
    doubted = replace(base, credibility=dict(base.credibility) | {"D": 0.0})
    ignored = set(doubted.evidence.rows.loc[doubted.evidence.rows["credibility"] == "D", "id"])
    assert ignored
    for row in opinion.influence(doubted)["rows"]:
        if row["id"] in ignored:
            assert row["change"] == pytest.approx(0.0, abs=1e-9)
            # Both states have the same noise, so their difference has none.
            assert row["mcse"] == pytest.approx(0.0, abs=1e-9)


def test_an_effect_that_the_draws_cannot_tell_is_said_and_not_shown(base):
    strict = replace(base, limits=base.limits.model_copy(update={"khat_max": 1e-9}))
    found = opinion.influence(strict)
    lost = [r for r in found["rows"] if r["why"]]
    assert lost
    assert all(r["change"] is None and r["mcse"] is None for r in lost)
    assert all("Pareto k" in r["why"] for r in lost)
    assert found["rows"][-len(lost) :] == lost
    assert (
        f"The effect of {len(lost)} of the {len(found['rows'])} rows cannot be told"
        in found["sentence"]
    )


def test_what_a_row_had_replaced_holds_again_without_it(base):
    rows = base.ledger.evidence
    newer = dict(rows[rows["id"] == "E40"].iloc[0]) | {
        "id": "E41X", "supersedes": "E40", "value": 1.4, "root": "revenue2",
    }  # fmt: skip
    grown = type(rows)([*rows.to_dict("records"), newer])
    study = replace(base, ledger=replace(base.ledger, evidence=grown))
    vars(study)["posterior"] = base.posterior
    assert "E40" not in study.evidence.ids
    row = next(r for r in opinion.influence(study)["rows"] if r["id"] == "E41X")
    assert row["returns"] == ["E40"]


# --- sets as one ----------------------------------------------------------------------------------


def test_the_pool_is_the_mean_of_the_sets_in_proportion_to_their_weights(base, told):
    from valuation.study.answers import _prior_sets

    chances = {s["prior_set"]: s["probability"] for s in _prior_sets(base)}
    pooled = told["pooled"]
    assert pooled["weights"] == dict(base.book.weights)
    mean = sum(share * chances[n] for n, share in pooled["weights"].items())
    assert pooled["probability"] == pytest.approx(mean)
    assert pooled["low"] == pytest.approx(min(chances.values()))
    assert pooled["high"] == pytest.approx(max(chances.values()))
    assert 0.0 < pooled["npv_between"] < 1.0
    assert pooled["npv_lower"] < pooled["npv_mean"] < pooled["npv_upper"]


def test_a_twentieth_of_the_pooled_futures_lies_beyond_each_end_of_its_interval(base):
    shares = {"house": 0.1, "sceptic": 0.2, "enthusiast": 0.7}
    study = replace(base, book=replace(base.book, weights=shares))
    vars(study).update(posterior=base.posterior, other_sets=base.other_sets)
    said = opinion.pooled(study)
    for end, beyond in (("npv_lower", np.less), ("npv_upper", np.greater)):
        mass = 0.0
        for name, share in shares.items():
            values = base.other_sets[name][1]
            out = beyond(values["npv"].to_numpy(), said[end])
            mass += share * np.average(out, weights=values["weight"].to_numpy())
        assert mass == pytest.approx(0.05, abs=3e-3)


def test_a_set_without_weight_is_no_part_of_the_pool(base):
    only = replace(base.book, weights={"house": 1.0, "sceptic": 0.0, "enthusiast": 0.0})
    found = opinion.pooled(replace(base, book=only))
    event = base.values["pays_off"].sel(definition=base.deal.headline).to_numpy()
    assert found["probability"] == pytest.approx(event.mean())
    assert found["npv_between"] == 0.0
    assert found["shares_after"] == {"house": 1.0}


def test_belief_after_the_evidence_is_shared_among_the_sets(base, told):
    after = told["pooled"]["shares_after"]
    assert after is not None
    assert sum(after.values()) == pytest.approx(1.0)
    house = base.book.get()
    drawn = base.beliefs.parameters
    other = base.book.get("sceptic")
    changed = [n for n in base.book.changed("sceptic") if n in base.posterior["posterior"]]
    ratio = np.exp(sum(other[n].logpdf(drawn[n]) - house[n].logpdf(drawn[n]) for n in changed))
    assert after["sceptic"] / after["house"] == pytest.approx(ratio.mean())


# --- who tells it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario",
    [
        what_if(conditions=[{"event": "founder_exit", "before": "2030-01-01"}]),
        what_if(terms={"hurdle": {"irr_per_year": 0.2}}),
        "sceptic_priors",
    ],
)
def test_other_scenarios_leave_it_to_the_base_case_and_say_so(scenario, home):
    study = opened(home, scenario)
    assert not opinion.plain_case(study)
    assert study.scaling is None
    told = opinion.opinion_of(study, 1.0)
    assert "told in the base case" in told["elsewhere"]
    assert told["scaling"] is told["influence"] is told["prior_only"] is None
    assert told["break_even_priors"] is None
    assert 0.0 <= told["pooled"]["probability"] <= 1.0


def test_the_gate_says_what_power_scaling_flags_and_lets_it_pass(base):
    (check,) = [c for c in base.gate().checks if c.name == "power scaling"]
    flagged = [p for p in base.scaling["parameters"] if p["diagnosis"]]
    assert check.passed
    assert check.value == len(flagged) > 0
    names = {c.name for c in base.gate().checks}
    assert {"Pareto k of weights: sceptic", "effective draws: enthusiast"} <= names
