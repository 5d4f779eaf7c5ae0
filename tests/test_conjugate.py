"""Closed-form updates against scipy's distributions and against integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from valuation import conjugate
from valuation.errors import ValuationError


def test_a_rate_is_updated_by_events_and_exposure():
    known = conjugate.gamma_poisson(2, 10, events=5, exposure=91)
    assert known == conjugate.Gamma(7.0, 101.0)
    law = stats.gamma(7, scale=1 / 101)
    assert (known.mean, known.sd) == pytest.approx((law.mean(), law.std()), rel=1e-12)
    assert known.interval(0.95) == pytest.approx(law.interval(0.95), rel=1e-9)
    assert conjugate.gamma_poisson(2, 10, events=0, exposure=0) == conjugate.Gamma(2, 10)


def test_lifetimes_update_a_rate_as_their_events_and_their_sum_do():
    found = conjugate.gamma_exponential(2, 10, durations=[50.0, 30.0, 11.0], events=[1, 0, 1])
    assert found == conjugate.gamma_poisson(2, 10, events=2, exposure=91)


def test_survival_and_counts_are_means_over_the_rate():
    known = conjugate.Gamma(7.0, 101.0)
    law = stats.gamma(7, scale=1 / 101)
    for t in (0.0, 12.0):
        expected = integrate.quad(lambda h, t=t: math.exp(-h * t) * law.pdf(h), 0, 1)[0]
        assert float(known.survival(t)) == pytest.approx(expected, rel=1e-8)
    counts = known.count_probability(np.arange(200), 30.0)
    assert counts.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(counts, stats.nbinom(7, 101 / 131).pmf(np.arange(200)), rtol=1e-9)


def test_a_probability_is_updated_by_successes_and_failures():
    known = conjugate.beta_binomial(1, 1, successes=7, trials=10)
    law = stats.beta(8, 4)
    assert (known.mean, known.sd) == pytest.approx((law.mean(), law.std()), rel=1e-12)
    assert known.interval() == pytest.approx(law.interval(0.9), rel=1e-9)
    found = known.count_probability(np.arange(6), 5)
    np.testing.assert_allclose(found, stats.betabinom(5, 8, 4).pmf(np.arange(6)), rtol=1e-9)


def test_shares_are_updated_by_counts():
    known = conjugate.dirichlet_multinomial([1, 1, 1, 1], [12, 30, 5, 3])
    law = stats.dirichlet([13, 31, 6, 4])
    np.testing.assert_allclose(known.mean, law.mean(), rtol=1e-12)
    np.testing.assert_allclose(known.sd**2, law.var(), rtol=1e-12)
    assert known.share(1) == conjugate.Beta(31.0, 23.0)
    further = known.count_probability([1, 2, 0, 1])
    theirs = stats.dirichlet_multinomial.pmf([1, 2, 0, 1], [13, 31, 6, 4], 4)
    assert further == pytest.approx(float(theirs), rel=1e-9)


def test_precisions_of_a_quantity_add():
    found = conjugate.normal_normal(1.0, 2.0, observed=[3.0, 5.0], error=[1.0, 2.0])
    precision = 1 / 4 + 1 + 1 / 4
    assert found.sd == pytest.approx(precision**-0.5)
    assert found.mean == pytest.approx((1 / 4 + 3 + 5 / 4) / precision)
    assert found.interval(0.9) == pytest.approx(stats.norm(found.mean, found.sd).interval(0.9))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: conjugate.gamma_poisson(0, 10, events=1, exposure=1), "alpha must be above 0"),
        (lambda: conjugate.gamma_poisson(1, 1, events=1.5, exposure=1), "whole number"),
        (lambda: conjugate.gamma_poisson(1, 1, events=1, exposure=0), "in no time"),
        (lambda: conjugate.gamma_poisson(1, 1, events=1, exposure=math.nan), "exposure must be"),
        (lambda: conjugate.gamma_exponential(1, 1, durations=[1, 2], events=[1, 2]), r"events\[1\] is 2"),
        (lambda: conjugate.gamma_exponential(1, 1, durations=[1, math.nan], events=[1, 0]), r"durations\[1\]"),
        (lambda: conjugate.gamma_exponential(1, 1, durations=[-1.0], events=[1]), r"durations\[0\] is -1"),
        (lambda: conjugate.gamma_exponential(1, 1, durations=[1.0], events=[1, 0]), "give pairs"),
        (lambda: conjugate.beta_binomial(1, 1, successes=4, trials=3), "4 successes in 3 trials"),
        (lambda: conjugate.Beta(1, 1).count_probability([4], 3), "4 successes in 3 trials"),
        (lambda: conjugate.dirichlet_multinomial([1, 1], [1, 2, 3]), "3 counts for 2 categories"),
        (lambda: conjugate.dirichlet_multinomial([1, 1], [1, -2]), "whole numbers"),
        (lambda: conjugate.Dirichlet((1.0,)), "two categories"),
        (lambda: conjugate.Dirichlet((1.0, 1.0)).share(2), "from 0 to 1"),
        (lambda: conjugate.normal_normal(0, 1, observed=[math.nan], error=1), r"observed\[0\]"),
        (lambda: conjugate.normal_normal(0, 1, observed=[1.0], error=0), "above 0"),
        (lambda: conjugate.Gamma(1, 1).interval(90), "90% is 0.9"),
        (lambda: conjugate.Gamma(1, 1).quantile(1.1), "between 0 and 1"),
        (lambda: conjugate.Gamma(1, 1).survival(-1.0), "0 or more"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_observation_or_a_belief_is_refused(call, words):
    with pytest.raises(ValuationError, match=words):
        call()
