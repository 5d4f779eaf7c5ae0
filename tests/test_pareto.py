"""Pareto smoothing: ArviZ's numbers, known tails, and no trust where there is too little to judge by."""

from __future__ import annotations

import numpy as np
import pytest
from arviz_stats.base import array_stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from valuation import pareto


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    draws=st.sampled_from([30, 100, 400, 1000, 4000]),
    scale=st.sampled_from([0.1, 0.3, 1.0, 3.0]),
    kind=st.sampled_from(["normal", "student", "exponential"]),
)
def test_weights_and_shape_are_those_of_arviz(seed, draws, scale, kind):
    rng = np.random.default_rng(seed)
    ratio = scale * {
        "normal": rng.standard_normal,
        "student": lambda n: rng.standard_t(3, n),
        "exponential": rng.standard_exponential,
    }[kind](draws)
    tail = np.sort(ratio)[-pareto.tail_length(draws) - 1 :]
    assume(np.ptp(tail) > np.log1p(pareto.FLAT))  # of a flat one ArviZ judges the rounding
    weight, k = pareto.smoothed(ratio)
    theirs, their_k = array_stats.psislw(-ratio, axis=-1)
    assert k == pytest.approx(float(their_k), abs=1e-9)
    np.testing.assert_allclose(weight, theirs, atol=1e-9)


@pytest.mark.parametrize("k", [-0.3, 0.1, 0.5, 0.9])
def test_the_shape_of_a_pareto_tail_is_found(k):
    # Standard error about (1 + k)/sqrt(n) = 0.02; the prior on k moves it by less. Four of those.
    rng = np.random.default_rng(3)
    uniform = np.sort(rng.random(8000))
    found, scale = pareto.fit_tail(np.expm1(-k * np.log1p(-uniform)) / k)
    assert found == pytest.approx(k, abs=0.09)
    assert scale == pytest.approx(1.0, abs=0.1)


def test_weights_sum_to_one_and_keep_their_order():
    ratio = np.random.default_rng(1).standard_t(2, 4000)
    weight, _ = pareto.smoothed(ratio)
    assert np.exp(weight).sum() == pytest.approx(1.0, abs=1e-12)
    assert (np.diff(weight[np.argsort(ratio)]) >= -1e-12).all()


def test_adding_a_constant_changes_nothing():
    ratio = np.random.default_rng(2).standard_normal(1000)
    first, second = pareto.smoothed(ratio), pareto.smoothed(ratio + 500.0)
    assert first[1] == pytest.approx(second[1], abs=1e-9)
    np.testing.assert_allclose(first[0], second[0], atol=1e-9)


def test_too_few_draws_cannot_be_judged():
    assert pareto.smoothed(np.arange(20.0))[1] == np.inf


def test_a_bounded_tail_of_equal_ratios_is_harmless():
    ratio = np.r_[np.full(900, -1.0), np.zeros(100)]
    ratio[:100] = -np.linspace(1, 2, 100)
    assert pareto.smoothed(np.r_[ratio, np.zeros(400)])[1] == 0.0


def test_impossible_draws_get_no_weight():
    ratio = np.random.default_rng(4).standard_normal(1000)
    ratio[:300] = -np.inf
    weight, k = pareto.smoothed(ratio)
    assert np.isneginf(weight[:300]).all()
    assert np.isfinite(k)


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-6, 5e-3])
def test_a_tail_that_is_flat_is_bounded_whatever_rounding_makes_of_it(spread):
    """Weights that saturate, as those of a claim that most draws explain equally well."""
    rng = np.random.default_rng(3)
    ratio = np.concatenate([rng.normal(-5.0, 1.0, 2000), -spread * rng.random(2000) ** 3])
    ratio[2000:2500] = 0.0  # ties at the bound
    weight, k = pareto.smoothed(ratio)
    assert k == 0.0
    assert np.exp(weight).sum() == pytest.approx(1.0)
    assert weight == pytest.approx(ratio - np.log(np.exp(ratio).sum()), abs=1e-12)


def test_a_tail_that_stands_out_by_more_than_a_hundredth_is_judged():
    ratio = np.random.default_rng(4).normal(0.0, 0.02, 4000)
    assert pareto.smoothed(ratio)[1] != 0.0
