"""Importance weights move stored draws the right way, match closed forms, and say when not to trust them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from valuation.errors import ModelError
from valuation.update import Weights, importance_weights

DRAWS = 8000


def error(values: np.ndarray, weights: Weights) -> float:
    """Monte Carlo standard error of a weighted mean."""
    mean = weights.weight @ values
    return float(np.sqrt((weights.weight**2 * (values - mean) ** 2).sum()))


def near(values: np.ndarray, weights: Weights, expected: float, *, errors: float = 4.0) -> None:
    found = float(weights.weight @ values)
    assert abs(found - expected) <= errors * error(values, weights)


def prior(distribution: stats.rv_continuous, seed: int = 1) -> np.ndarray:
    return distribution.ppf(np.random.default_rng(seed).random(DRAWS))


# --- conjugate truths -----------------------------------------------------------------------------


def test_a_hazard_with_a_gamma_prior_has_a_gamma_posterior():
    hazard = prior(stats.gamma(2.0, scale=1.0 / 40.0))
    exits, exposure = 5, 91.0
    weights = importance_weights(exits * np.log(hazard) - hazard * exposure)
    posterior = stats.gamma(2.0 + exits, scale=1.0 / (40.0 + exposure))
    assert weights.khat < 0.7
    near(hazard, weights, posterior.mean())
    near(hazard**2, weights, posterior.moment(2))
    near(hazard < posterior.ppf(0.05), weights, 0.05)
    near(hazard < posterior.ppf(0.95), weights, 0.95)
    near(np.exp(-12.0 * hazard), weights, (131.0 / 143.0) ** 7)  # E S(12), closed form


def test_the_published_figures_of_a_gamma_hazard_are_met():
    # Gamma(2, 10), 5 events in 91 months: mean 0.0693069, E S(12) 0.455723.
    posterior = stats.gamma(7.0, scale=1.0 / 101.0)
    assert posterior.mean() == pytest.approx(0.0693069, abs=1e-7)
    hazard = prior(stats.gamma(2.0, scale=1.0 / 10.0), seed=2)
    weights = importance_weights(5 * np.log(hazard) - hazard * 91.0)
    near(hazard, weights, 0.0693069)
    near(np.exp(-12.0 * hazard), weights, 0.455723)


def test_a_share_with_a_beta_prior_has_a_beta_posterior():
    share = prior(stats.beta(3.0, 2.0))
    weights = importance_weights(stats.binom.logpmf(4, 20, share))
    posterior = stats.beta(7.0, 18.0)
    near(share, weights, posterior.mean())
    near(share**2, weights, posterior.moment(2))
    near(share < posterior.ppf(0.5), weights, 0.5)


def test_a_normal_mean_moves_towards_what_was_seen():
    mean = prior(stats.norm(0.0, 1.0))
    for seen in (-1.0, 1.5):
        weights = importance_weights(stats.norm.logpdf(seen, mean, 1.0))
        near(mean, weights, seen / 2.0)
        assert np.sign(weights.weight @ mean) == np.sign(seen)


def test_a_likelier_parameter_weighs_more():
    ratio = np.log(np.linspace(0.1, 1.0, 500))
    weights = importance_weights(ratio)
    assert (np.diff(weights.weight) >= -1e-15).all()
    assert weights.weight[-1] > weights.weight[0]


def test_changing_a_prior_and_changing_it_back_is_no_change():
    draws = prior(stats.norm(0.0, 1.0))
    there = stats.norm.logpdf(draws, 0.3, 1.0) - stats.norm.logpdf(draws, 0.0, 1.0)
    weights = importance_weights(there - there)
    assert weights.weight == pytest.approx(np.full(DRAWS, 1.0 / DRAWS), rel=1e-12)


def test_a_new_prior_gives_its_own_mean():
    draws = prior(stats.norm(0.0, 1.0))
    weights = importance_weights(
        stats.norm.logpdf(draws, 0.4, 0.9) - stats.norm.logpdf(draws, 0.0, 1.0)
    )
    near(draws, weights, 0.4)
    near((draws - 0.4) ** 2, weights, 0.81)


# --- what weights are -----------------------------------------------------------------------------


def test_weights_are_positive_sum_to_one_and_do_not_mind_a_constant():
    ratio = np.random.default_rng(3).normal(0.0, 1.0, 1000)
    first, moved = importance_weights(ratio), importance_weights(ratio + 400.0)
    assert (first.weight > 0.0).all()
    assert first.weight.sum() == pytest.approx(1.0, rel=1e-12)
    assert moved.weight == pytest.approx(first.weight, rel=1e-9)
    assert moved.khat == pytest.approx(first.khat, abs=1e-6)


def test_weights_follow_their_draws():
    ratio = np.random.default_rng(4).normal(0.0, 1.0, 400)
    order = np.random.default_rng(5).permutation(400)
    straight = importance_weights(ratio).weight
    assert importance_weights(ratio[order]).weight == pytest.approx(straight[order], rel=1e-9)


def test_most_weights_are_the_plain_ratios():
    ratio = np.random.default_rng(6).normal(0.0, 0.5, 2000)
    weights = importance_weights(ratio)
    plain = special.softmax(ratio)
    body = ratio < np.quantile(ratio, 0.8)  # smoothing touches the largest only
    assert weights.weight[body] / plain[body] == pytest.approx(
        np.full(body.sum(), weights.weight[body][0] / plain[body][0]), rel=1e-9
    )


def test_equal_ratios_are_equal_weights_and_need_no_smoothing():
    weights = importance_weights(np.full(250, -7.0))
    assert (weights.weight == 1.0 / 250.0).all()
    assert (weights.khat, weights.effective_draws) == (0.0, 250.0)


def test_effective_draws_fall_as_the_change_grows():
    draws = prior(stats.norm(0.0, 1.0))
    effective = [
        importance_weights(
            stats.norm.logpdf(draws, m, 1.0) - stats.norm.logpdf(draws)
        ).effective_draws
        for m in (0.0, 0.3, 1.0)
    ]
    assert effective[0] == pytest.approx(DRAWS)
    assert effective[0] > effective[1] > effective[2] > 1.0
    # the closed form for a shift of a normal: n exp(-m^2)
    assert effective[1] == pytest.approx(DRAWS * np.exp(-0.09), rel=0.05)


# --- what is refused or reported ------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_ratio_that_is_not_a_number_is_refused(bad):
    ratio = np.zeros(100)
    ratio[3] = bad
    with pytest.raises(ModelError, match="one finite number a draw; check the likelihoods and"):
        importance_weights(ratio)


def test_ratios_by_chain_are_refused():
    with pytest.raises(ModelError, match="one finite number a draw"):
        importance_weights(np.zeros((4, 100)))


def test_a_change_that_no_draw_survives_asks_for_a_fit():
    with pytest.raises(ModelError, match="no stored draw is possible under the change; fit again"):
        importance_weights(np.full(100, -np.inf))


def test_an_impossible_draw_weighs_nothing():
    ratio = np.random.default_rng(7).normal(0.0, 0.3, 400)
    ratio[:100] = -np.inf
    weights = importance_weights(ratio)
    assert (weights.weight[:100] == 0.0).all()
    assert weights.weight.sum() == pytest.approx(1.0)


def test_k_hat_warns_when_draws_miss_where_the_change_leads():
    draws = prior(stats.norm(0.0, 1.0))
    far = importance_weights(stats.norm.logpdf(draws, 4.0, 0.3) - stats.norm.logpdf(draws))
    near_by = importance_weights(stats.norm.logpdf(draws, 0.2, 1.0) - stats.norm.logpdf(draws))
    assert far.khat > 0.7
    assert far.effective_draws < 100.0
    assert near_by.khat < 0.5


def test_k_hat_is_the_tail_of_the_ratios():
    # Ratios with a Pareto tail of shape 0.5 and 1: k-hat estimates the shape.
    rng = np.random.default_rng(8)
    for shape in (0.3, 1.0):
        ratio = np.log(stats.genpareto.rvs(shape, size=20000, random_state=rng) + 1.0)
        assert importance_weights(ratio).khat == pytest.approx(shape, abs=0.2)
