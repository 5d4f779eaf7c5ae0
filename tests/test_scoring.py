"""Scores as mathematics: closed forms, other people's numbers, propriety, and sums that must come out."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import integrate, stats

from valuation import scoring
from valuation.errors import ValuationError

GRID = np.arange(101) / 100  # of probabilities that a forecaster might state
FRACTION = st.floats(0, 1)
VALUE = st.floats(-1e3, 1e3).map(lambda x: round(x, 6))  # a gap below 1e-6 squares to nothing
DRAWS = st.lists(VALUE, min_size=2, max_size=12)
RECORD = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def sr() -> ModuleType:
    """Other people's scores; imported here, since that compiles for seconds in every process that collects tests."""
    import scoringrules

    return scoringrules


def record(pairs) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities in twentieths and outcomes, from hypothesis' pairs."""
    p, o = zip(*pairs, strict=True)
    return np.array(p) / 20, np.array(o, dtype=float)


# Probabilities


@pytest.mark.parametrize(
    ("probability", "outcome", "brier", "log"),
    [
        (0.5, 1, 0.25, math.log(2)),
        (0.5, 0, 0.25, math.log(2)),
        (0.8, 1, 0.04, -math.log(0.8)),
        (0.8, 0, 0.64, -math.log(0.2)),
        (1.0, 1, 0.0, 0.0),
        (0.0, 0, 0.0, 0.0),
        (1e-20, 0, 1e-40, 1e-20),  # 1 - p alone would lose it
        (1.0, 0, 1.0, np.inf),
        (0.0, 1, 1.0, np.inf),
    ],
)
def test_scores_of_one_probability_are_their_formulas(probability, outcome, brier, log):
    assert scoring.brier(probability, outcome) == pytest.approx(brier, rel=1e-12, abs=0)
    assert scoring.log_score(probability, outcome) == pytest.approx(log, rel=1e-12, abs=0)


def test_a_certain_and_right_forecast_scores_plain_zero_and_warns_of_nothing(recwarn):
    found = scoring.log_score([0.0, 1.0], [0, 1])
    assert not np.signbit(found).any()
    assert not recwarn


@given(RECORD)
def test_brier_and_log_score_are_those_of_scoringrules(sr, pairs):
    p, o = record(pairs)
    np.testing.assert_allclose(scoring.brier(p, o), sr.brier_score(o, p), atol=1e-15)
    inner = np.clip(p, 0.05, 0.95)
    np.testing.assert_allclose(scoring.log_score(inner, o), sr.log_score(o, inner), rtol=1e-12)


@pytest.mark.parametrize("rule", sorted(scoring.RULES))
@given(truth=st.integers(0, 100))
def test_stating_the_truth_minimizes_the_expected_score(rule, truth):
    # Strictly proper: every other statement of the grid does worse.
    score, p = scoring.RULES[rule], GRID[truth]
    with np.errstate(invalid="ignore"):
        yes, no = (np.where(w > 0, w * score(GRID, o), 0.0) for w, o in ((p, 1), (1 - p, 0)))
    expected = yes + no
    assert expected.argmin() == truth
    assert (np.delete(expected, truth) > expected[truth]).all()


@given(st.lists(st.integers(1, 10), min_size=2, max_size=5), st.data())
def test_categories_are_scored_best_at_the_truth(counts, data):
    truth = np.array(counts) / sum(counts)
    others = data.draw(st.lists(st.integers(0, 10), min_size=len(counts), max_size=len(counts)))
    assume(sum(others))
    other = np.array(others) / sum(others)
    assume(np.abs(other - truth).max() > 1e-6)
    every = np.arange(len(truth))
    for rule in (scoring.brier_categories, scoring.log_score_categories):
        stated = [rule(np.tile(q, (len(truth), 1)), every) for q in (truth, other)]
        assert truth @ stated[0] < truth @ stated[1]


def test_categories_follow_their_formulas():
    p = [[0.5, 0.3, 0.2], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(scoring.brier_categories(p, [0, 0]), [0.38, 2.0])
    np.testing.assert_allclose(scoring.log_score_categories(p, [1, 1]), [-math.log(0.3), 0.0])
    assert scoring.log_score_categories(p, [2, 0])[1] == np.inf


@given(RECORD)
def test_two_categories_score_as_yes_and_no(pairs):
    p, o = record(pairs)
    both = np.stack([1 - p, p], axis=-1)
    np.testing.assert_allclose(scoring.brier_categories(both, o), 2 * scoring.brier(p, o))
    np.testing.assert_allclose(scoring.log_score_categories(both, o), scoring.log_score(p, o))


@given(RECORD)
def test_swapping_yes_for_no_changes_no_score(pairs):
    p, o = record(pairs)
    for rule in scoring.RULES.values():
        np.testing.assert_allclose(rule(p, o), rule(1 - p, 1 - o), rtol=1e-12)


def test_a_single_number_stands_for_all_questions():
    np.testing.assert_allclose(scoring.brier(0.3, [0, 1, 1]), [0.09, 0.49, 0.49])
    assert scoring.brier(np.full((2, 3), 0.1), np.zeros((2, 3))).shape == (2, 3)


# Quantities


def test_the_published_figures_of_the_continuous_score_come_out():
    assert scoring.crps_normal(0, 1, 0) == pytest.approx(0.2336950, abs=5e-8)
    assert scoring.crps_ensemble([1, 2, 4, 8], 3) == pytest.approx(0.8125, abs=1e-12)
    assert scoring.crps_ensemble([1, 2, 4, 8], 3, fair=True) == pytest.approx(1 / 3, abs=1e-12)


@given(DRAWS, VALUE)
@example([1.0, 1.0, 2.0], 1.0)
@example([5.0, 5.0], 5.0)
def test_the_score_of_draws_is_that_of_scoringrules_and_of_the_definition(sr, draws, outcome):
    x = np.array(draws)
    near, apart = np.abs(x - outcome).mean(), np.abs(x[:, None] - x).sum()
    plain, fair = (scoring.crps_ensemble(x, outcome, fair=f) for f in (False, True))
    m = len(x)
    assert plain == pytest.approx(near - apart / (2 * m * m), abs=1e-9)
    assert fair == pytest.approx(near - apart / (2 * m * (m - 1)), abs=1e-9)
    assert plain == pytest.approx(sr.crps_ensemble(outcome, x, estimator="nrg"), abs=1e-9)
    assert fair == pytest.approx(sr.crps_ensemble(outcome, x, estimator="fair"), abs=1e-9)
    assert plain >= 0


@given(st.lists(st.tuples(VALUE, st.floats(0.01, 5)), min_size=2, max_size=10), VALUE)
def test_weighted_draws_follow_the_definition(pairs, outcome):
    x, w = (np.array(part) for part in zip(*pairs, strict=True))
    share = w / w.sum()
    near, apart = share @ np.abs(x - outcome), share @ np.abs(x[:, None] - x) @ share
    assert scoring.crps_ensemble(x, outcome, weight=w) == pytest.approx(near - apart / 2, abs=1e-9)
    fair = near - apart / 2 / (1 - share @ share)
    found = scoring.crps_ensemble(x, outcome, weight=w, fair=True)
    assert found == pytest.approx(fair, rel=1e-9, abs=1e-6)


@given(st.lists(st.tuples(VALUE, st.integers(0, 4)), min_size=2, max_size=10), VALUE)
def test_whole_weights_are_copies_of_draws(pairs, outcome):
    x, w = (np.array(part) for part in zip(*pairs, strict=True))
    assume(w.sum())
    copies = scoring.crps_ensemble(np.repeat(x, w), outcome)
    assert scoring.crps_ensemble(x, outcome, weight=w) == pytest.approx(copies, abs=1e-9)


@given(DRAWS, VALUE, st.floats(1e-3, 1e300))
@example([1.0, 2.0, 4.0], 3.0, 1.7e308)  # whose sum is infinite
def test_equal_weights_of_any_size_and_draws_of_weight_zero_change_nothing(draws, outcome, size):
    for fair in (False, True):
        plain = scoring.crps_ensemble(draws, outcome, fair=fair)
        weight = np.r_[np.full(len(draws), size), 0.0]
        found = scoring.crps_ensemble([*draws, 77.0], outcome, weight=weight, fair=fair)
        assert found == pytest.approx(plain, abs=1e-8)


@given(DRAWS, VALUE, VALUE, st.floats(0.01, 100), st.randoms())
def test_the_score_moves_with_its_unit_and_not_with_its_origin_or_order(
    draws, outcome, shift, scale, random
):
    score = scoring.crps_ensemble(draws, outcome)
    moved = scale * np.array(draws) + shift
    assert scoring.crps_ensemble(moved, scale * outcome + shift) == pytest.approx(
        scale * score, rel=1e-9, abs=1e-9
    )
    mixed = random.sample(draws, len(draws))
    assert scoring.crps_ensemble(mixed, outcome) == pytest.approx(score, abs=1e-10)


def test_many_questions_are_scored_as_one_by_one():
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=(3, 2, 50)), rng.normal(size=(3, 2)), rng.random((3, 2, 50))
    for fair in (False, True):
        found = scoring.crps_ensemble(x, y, weight=w, fair=fair)
        assert found.shape == (3, 2)
        one = scoring.crps_ensemble(x[2, 1], y[2, 1], weight=w[2, 1], fair=fair)
        assert found[2, 1] == pytest.approx(one, abs=1e-14)
        shared = scoring.crps_ensemble(x, y, weight=w[2, 1], fair=fair)
        assert shared[2, 1] == pytest.approx(one, abs=1e-14)


@given(st.floats(-5, 5), st.floats(0.05, 10), st.floats(-20, 20))
def test_the_normal_score_is_the_integral_of_its_definition(sr, mean, sd, outcome):
    found = scoring.crps_normal(mean, sd, outcome)
    assert found == pytest.approx(float(sr.crps_normal(outcome, mean, sd)), rel=1e-9, abs=1e-12)
    low = integrate.quad(lambda x: stats.norm.cdf(x) ** 2, -40, (outcome - mean) / sd, limit=200)
    high = integrate.quad(lambda x: stats.norm.sf(x) ** 2, (outcome - mean) / sd, 40, limit=200)
    if abs(outcome - mean) / sd < 30:
        assert found == pytest.approx(sd * (low[0] + high[0]), rel=1e-4)


def test_a_normal_without_spread_scores_its_absolute_error(recwarn):
    np.testing.assert_allclose(scoring.crps_normal(2, [0, 1e-320], [5, 5]), [3, 3])
    assert scoring.crps_normal(2, 0, 2) == 0
    assert not recwarn


def test_the_fair_score_of_few_draws_is_on_average_that_of_their_distribution():
    # 40,000 ensembles of three; the mean's standard error is 0.0025. Within four of those.
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(40_000, 3)), np.array([1.0, 2.0, 3.0])
    truth = float(scoring.crps_normal(0, 1, 0.7))
    for weight in (None, w):
        fair = scoring.crps_ensemble(x, 0.7, weight=weight, fair=True)
        assert abs(fair.mean() - truth) < 4 * fair.std() / 200
        plain = scoring.crps_ensemble(x, 0.7, weight=weight)
        assert plain.mean() - truth > 20 * plain.std() / 200


@given(st.integers(-30, 30), st.integers(1, 30))
def test_the_normal_that_is_true_has_the_least_expected_score(shift, stretch):
    # E of the score of N(m, s) under N(0, 1), in closed form from E|X - Y| of two normals.
    def absolute(mean: float, sd: float) -> float:
        return sd * math.sqrt(2 / math.pi) * math.exp(-((mean / sd) ** 2) / 2) + mean * math.erf(
            mean / sd / math.sqrt(2)
        )

    m, s = shift / 10, stretch / 10
    expected = absolute(m, math.hypot(s, 1)) - s / math.sqrt(math.pi)
    best = 1 / math.sqrt(math.pi)
    assert expected >= best - 1e-12
    assert (expected == pytest.approx(best, abs=1e-12)) == ((m, s) == (0, 1))
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    ours = scoring.crps_normal(m, s, nodes) @ weights / weights.sum()
    assert ours == pytest.approx(expected, abs=0.01)


@given(VALUE, st.floats(0, 100), VALUE, st.sampled_from([0.5, 0.8, 0.9, 0.99]))
def test_interval_and_quantile_scores_are_those_of_scoringrules(sr, low, width, outcome, mass):
    high, alpha = low + width, 1 - mass
    found = scoring.interval_score(low, high, outcome, ci_prob=mass)
    assert found == pytest.approx(float(sr.interval_score(outcome, low, high, alpha)), rel=1e-9)
    ends = [
        float(scoring.quantile_score(end, outcome, level=level))
        for end, level in ((low, alpha / 2), (high, 1 - alpha / 2))
    ]
    assert ends[0] == pytest.approx(float(sr.quantile_score(outcome, low, alpha / 2)), abs=1e-9)
    assert sum(ends) == pytest.approx(alpha / 2 * float(found), rel=1e-9, abs=1e-9)


def test_an_interval_pays_its_width_and_twenty_for_each_unit_missed_at_ninety_per_cent():
    found = scoring.interval_score(1, 4, [0.5, 1, 2, 4, 4.5], ci_prob=0.9)
    np.testing.assert_allclose(found, [13, 3, 3, 3, 13])


@given(DRAWS, VALUE)
def test_twice_the_quantile_score_over_all_levels_is_the_continuous_score(draws, outcome):
    # The quantile function of m draws is constant over each m-th part; the loss is linear in the level.
    x, m = np.sort(draws), len(draws)
    level = (np.arange(m) + 0.5) / m
    total = 2 * scoring.quantile_score(x, np.full(m, outcome), level=level).mean()
    assert total == pytest.approx(float(scoring.crps_ensemble(x, outcome)), abs=1e-9)


@given(st.integers(1, 19))
def test_the_true_quantile_has_the_least_expected_pinball_loss(level):
    outcomes = np.arange(20.0)  # equally likely
    loss = [
        scoring.quantile_score(q, outcomes, level=level / 20).mean() for q in np.arange(-1, 21, 0.5)
    ]
    best = np.arange(-1, 21, 0.5)[np.isclose(loss, min(loss))]
    assert best.min() <= level - 0.5 <= best.max()
    assert best.max() - best.min() <= 1


def test_the_true_interval_has_the_least_expected_score():
    outcomes = stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    ends = np.arange(0.5, 3, 0.05)
    score = [scoring.interval_score(-e, e, outcomes, ci_prob=0.9).mean() for e in ends]
    assert ends[np.argmin(score)] == pytest.approx(1.645, abs=0.05)


# Over the life of a question


def test_each_forecast_counts_for_the_time_it_stood():
    score = scoring.brier([0.5, 0.8, 0.9], 1)  # .25, .04, .01
    found = scoring.time_weighted([2, 5, 9], score, opened=0, resolved=10)
    assert found.score == pytest.approx((3 * 0.25 + 4 * 0.04 + 1 * 0.01) / 8)
    assert (found.covered, found.scored) == (pytest.approx(0.8), 8)


def test_the_base_rate_stands_until_the_first_forecast_if_it_is_given():
    found = scoring.time_weighted([2, 5], [0.25, 0.04], opened=0, resolved=10, before=1.0)
    assert found.score == pytest.approx((2 * 1.0 + 3 * 0.25 + 5 * 0.04) / 10)
    assert (found.covered, found.scored) == (pytest.approx(0.8), 10)


def test_without_any_forecast_the_base_rate_stands_throughout():
    found = scoring.time_weighted([], [], opened=3, resolved=10, before=0.3)
    assert dataclasses.astuple(found) == (0.3, 0.0, 7.0)


def test_what_was_said_before_the_opening_stands_from_it():
    found = scoring.time_weighted([-5, -1, 6], [0.9, 0.2, 0.1], opened=0, resolved=10, before=1.0)
    assert found.score == pytest.approx(0.6 * 0.2 + 0.4 * 0.1)
    assert found.covered == 1.0


@given(
    st.lists(st.tuples(st.integers(-5, 30), FRACTION), max_size=8, unique_by=lambda p: p[0]),
    st.one_of(st.none(), FRACTION),
    st.randoms(),
)
def test_a_life_is_the_mean_of_its_days(forecasts, before, random):
    opened, resolved = 4, 30
    daily = []
    for day in range(opened, resolved):
        said = [score for time, score in sorted(forecasts) if time <= day]
        daily += said[-1:] if said else [before] * (before is not None)
    assume(daily)
    mixed = random.sample(forecasts, len(forecasts))
    t, s = [p[0] for p in mixed], [p[1] for p in mixed]
    found = scoring.time_weighted(t, s, opened=opened, resolved=resolved, before=before)
    assert found.score == pytest.approx(np.mean(daily), abs=1e-12)
    assert found.scored == len(daily)
    stood = sum(any(time <= day for time in t) for day in range(opened, resolved))
    assert found.covered == pytest.approx(stood / 26)
    # A forecast that repeats the one before it, or another unit of time, changes nothing.
    unit = scoring.time_weighted(np.array(t) * 24.0, s, opened=96, resolved=720, before=before)
    assert unit.score == pytest.approx(found.score, abs=1e-12)
    assert unit.covered == pytest.approx(found.covered)


def test_repeating_a_forecast_changes_nothing_and_an_infinite_score_counts_only_if_it_stood():
    once = scoring.time_weighted([1], [0.4], opened=0, resolved=10, before=0.2)
    again = scoring.time_weighted([1, 1, 7], [0.4] * 3, opened=0, resolved=10, before=0.2)
    assert again.score == pytest.approx(once.score)
    stood = scoring.time_weighted([0, 5], [np.inf, 0.1], opened=0, resolved=10)
    assert stood.score == np.inf
    at_the_end = scoring.time_weighted([0, 10], [0.1, np.inf], opened=0, resolved=10)
    assert at_the_end.score == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("times", "scores", "kwargs", "words"),
    [
        ([11], [0.1], {}, r"times\[0\] is 11; the outcome was known at 10; leave late"),
        ([1, 1], [0.1, 0.2], {}, "two forecasts were made at 1 and differ; keep the one"),
        ([], [], {}, "no forecast stood .* give the base rate"),
        ([10], [0.1], {}, "no forecast stood"),
        ([1, 2], [0.1], {}, r"times has shape \(2,\) and scores \(1,\)"),
        ([1], [0.1], {"opened": 10}, "opened at 10 and resolved at 10; it must be open"),
        ([1], [np.nan], {}, r"scores\[0\] is nan"),
        ([1], [0.1], {"before": np.nan}, "before is nan"),
        ([1], [0.1], {"before": [0.1, 0.2]}, r"before has shape \(2,\); give a single"),
        ([np.inf], [0.1], {}, r"times\[0\] is inf"),
        (pd.to_datetime(["2026-01-01"]), [0.1], {}, "times holds datetime64.* give numbers"),
    ],
)
def test_a_life_that_cannot_be_scored_is_refused(times, scores, kwargs, words):
    with pytest.raises(ValuationError, match=words):
        scoring.time_weighted(times, scores, **({"opened": 0, "resolved": 10} | kwargs))


# Over questions


@given(st.lists(FRACTION, min_size=2, max_size=30))
def test_a_mean_of_independent_scores_has_the_usual_standard_error(scores):
    found = scoring.mean_score(scores)
    assert found.mean == pytest.approx(np.mean(scores))
    assert found.standard_error == pytest.approx(stats.sem(scores), abs=1e-12)
    assert (found.n, found.clusters, found.infinite) == (len(scores), len(scores), 0)


@given(st.lists(FRACTION, min_size=2, max_size=10), st.integers(1, 5))
def test_asking_everything_several_times_makes_no_mean_more_exact(scores, copies):
    names = [f"driver {i}" for i in range(len(scores))] * copies
    found = scoring.mean_score(scores * copies, names)
    assert found.standard_error == pytest.approx(stats.sem(scores), abs=1e-12)
    assert (found.n, found.clusters) == (len(scores) * copies, len(scores))


def test_an_error_that_cannot_be_told_is_infinite():
    assert scoring.mean_score([0.2]).standard_error == np.inf
    assert scoring.mean_score([0.2, 0.3], ["a", "a"]).standard_error == np.inf
    found = scoring.mean_score([0.2, np.inf, 0.3])
    assert (found.mean, found.standard_error, found.infinite) == (np.inf, np.inf, 1)


@pytest.mark.parametrize(
    ("scores", "reference", "expected"),
    [
        ([0.0, 0.0], [0.3, 0.1], 1.0),
        ([0.3, 0.1], [0.3, 0.1], 0.0),
        ([0.2, 0.0], [0.3, 0.1], 0.5),
        ([0.8], [0.4], -1.0),
        ([0.1, 0.3], 0.25, 0.2),  # one base rate's score for all
        ([0.1, np.inf], [0.3, 0.1], -np.inf),
    ],
)
def test_skill_is_the_share_of_the_base_rates_error_that_is_gone(scores, reference, expected):
    assert scoring.skill(scores, reference) == pytest.approx(expected)


@given(RECORD.filter(lambda pairs: len({o for _, o in pairs}) == 2))
def test_the_climatology_of_a_record_has_skill_resolution_less_reliability(pairs):
    p, o = record(pairs)
    parts = scoring.murphy(p, o)
    found = scoring.skill(scoring.brier(p, o), scoring.brier(o.mean(), o))
    assert found == pytest.approx((parts.resolution - parts.reliability) / parts.uncertainty)


def dependent_record(rng: np.random.Generator, clusters: int, copies: int):
    """A calibrated record whose questions of a cluster all turn out alike; names of the clusters."""
    p = rng.choice([0.1, 0.3, 0.5, 0.7, 0.9], clusters)
    o = (rng.random(clusters) < p).astype(float)
    names = np.repeat([f"driver {i:03}" for i in range(clusters)], copies)
    return np.repeat(p, copies), np.repeat(o, copies), names.tolist()


def test_the_interval_of_a_skill_covers_the_truth_if_clusters_are_named_and_not_if_they_are_not():
    # Against a base rate of one half the expected skill is 1 - E p(1-p) / .25 = .32. Over 300 records a coverage of 90%
    # has a standard error of 1.7%: within four of those passes 99.99% of correct code.
    inside = {"named": 0, "ignored": 0}
    rng = np.random.default_rng(8)
    for seed in range(300):
        p, o, names = dependent_record(rng, clusters=30, copies=4)
        scores, base = scoring.brier(p, o), scoring.brier(0.5, o)
        for how, given_names in (("named", names), ("ignored", None)):
            found = scoring.resampled_skill(
                scores, base, given_names, random_seed=seed, resamples=400
            )
            inside[how] += found.lower <= 0.32 <= found.upper
    assert abs(inside["named"] / 300 - 0.9) < 0.07
    assert inside["ignored"] / 300 < 0.75


@pytest.mark.parametrize("clusters", [5, 200])
def test_the_error_of_a_skill_is_that_of_the_ratio_in_closed_form(clusters):
    # By the delta method: the standard error of the mean of (skill part of each cluster), over the reference's mean.
    p, o, names = dependent_record(np.random.default_rng(4), clusters, copies=3)
    scores, base = scoring.brier(p, o), np.full(3 * clusters, 0.2)
    found = scoring.resampled_skill(scores, base, names, random_seed=1, resamples=4000)
    delta = scoring.mean_score(scores, names).standard_error / 0.2
    # The bootstrap's own error is 1/sqrt(2 * 4000) = 1.1%; four of those.
    assert found.standard_error == pytest.approx(delta, rel=0.045)
    assert (found.n, found.clusters) == (3 * clusters, clusters)
    assert found.skill == scoring.skill(scores, base)
    assert found.lower < found.skill < found.upper


@pytest.mark.parametrize("mass", [0.5, 0.9])
def test_the_interval_of_a_skill_with_few_clusters_is_that_of_students_t(mass):
    # Evenly spread scores have a nearly normal mean. The ends' own error is below 3% of the error; three of those.
    scores = np.linspace(0.05, 0.35, 10)
    found = scoring.resampled_skill(scores, 0.4, random_seed=1, resamples=4000, ci_prob=mass)
    reach = stats.t.ppf((1 + mass) / 2, 9) * stats.sem(scores) / 0.4
    assert found.upper - found.skill == pytest.approx(reach, rel=0.08)
    assert found.skill - found.lower == pytest.approx(reach, rel=0.08)


def test_the_same_seed_gives_the_same_error_in_any_order_of_questions():
    p, o, names = dependent_record(np.random.default_rng(2), clusters=7, copies=3)
    rng = np.random.default_rng(3)
    scores, base = scoring.brier(p, o) + rng.random(21) / 10, scoring.brier(0.4, o)
    first = scoring.resampled_skill(scores, base, names, random_seed=5)
    order = rng.permutation(21)
    mixed = scoring.resampled_skill(
        scores[order], base[order], [names[i] for i in order], random_seed=5
    )
    assert mixed == first
    assert scoring.resampled_skill(scores, base, names, random_seed=6) != first


def test_copies_of_questions_add_nothing_to_what_is_known_of_a_skill():
    p, o, names = dependent_record(np.random.default_rng(6), clusters=12, copies=1)
    once = scoring.resampled_skill(scoring.brier(p, o), scoring.brier(0.5, o), names, random_seed=1)
    p, o = np.tile(p, 5), np.tile(o, 5)
    often = scoring.resampled_skill(
        scoring.brier(p, o), scoring.brier(0.5, o), names * 5, random_seed=1
    )
    assert often.standard_error == pytest.approx(once.standard_error)
    assert (often.lower, often.upper) == pytest.approx((once.lower, once.upper))


def test_one_cluster_says_nothing_of_the_error_of_a_skill():
    found = scoring.resampled_skill([0.1, 0.2], 0.25, ["a", "a"], random_seed=0)
    assert found.skill == pytest.approx(0.4)
    assert (found.standard_error, found.lower, found.upper) == (np.inf, -np.inf, 1.0)


def test_an_infinite_score_makes_the_skill_and_its_error_infinite(recwarn):
    found = scoring.resampled_skill([0.1, np.inf, 0.2, 0.1], 0.6, random_seed=0)
    assert (found.skill, found.standard_error, found.lower) == (-np.inf, np.inf, -np.inf)
    assert found.upper <= 1.0
    assert not recwarn


def test_a_resample_in_which_the_base_rate_made_no_error_has_no_better():
    found = scoring.resampled_skill([0.0, 0.1], [0.0, 0.2], random_seed=0)
    assert np.isfinite(found.standard_error)
    worse = scoring.resampled_skill([0.1, 0.1], [0.0, 0.2], random_seed=0)
    assert worse.lower == -np.inf


def test_independent_outcomes_are_the_clusters_if_these_are_of_one_size():
    names = ["talent"] * 4 + ["customers"] * 4 + ["terms"] * 4
    assert dataclasses.astuple(scoring.independent_outcomes(names)) == (12, 3, pytest.approx(3))
    assert scoring.independent_outcomes(names, correlation=0).effective == pytest.approx(12)
    half = scoring.independent_outcomes(names, correlation=0.5).effective
    assert half == pytest.approx(12 / 2.5)  # the design effect 1 + (4 - 1)/2


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=30), FRACTION)
def test_independent_outcomes_lie_between_one_and_the_questions(names, correlation):
    found = scoring.independent_outcomes(names, correlation=correlation)
    cautious = scoring.independent_outcomes(names).effective
    assert 1 - 1e-12 <= cautious <= min(found.effective, found.clusters) + 1e-9
    assert found.effective <= found.n + 1e-9


def test_one_large_cluster_leaves_little_more_than_one_outcome():
    assert scoring.independent_outcomes(["a"] * 40 + ["b"]).effective == pytest.approx(41**2 / 1601)


@pytest.mark.parametrize(
    "build", [list, tuple, np.array, pd.Series], ids=["list", "tuple", "array", "series"]
)
def test_clusters_may_be_any_sequence_of_names(build):
    assert scoring.independent_outcomes(build(["b", "a", "b"])).clusters == 2
    assert scoring.mean_score([0.1, 0.2, 0.3], build([3, 1, 3])).clusters == 2


# Calibration


@pytest.mark.parametrize(
    ("events", "trials", "expected"),
    [
        (0, 0, (0.0, 1.0)),
        (0, 10, (0.0, stats.beta.ppf(0.95, 0.5, 10.5))),
        (10, 10, (stats.beta.ppf(0.05, 10.5, 0.5), 1.0)),
        (7, 20, tuple(stats.beta.ppf([0.05, 0.95], 7.5, 13.5))),
        (1.5, 2.5, tuple(stats.beta.ppf([0.05, 0.95], 2.0, 1.5))),
    ],
)
def test_the_interval_of_a_frequency_is_jeffreys(events, trials, expected):
    assert scoring.jeffreys_interval(events, trials) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [5, 20, 100])
@pytest.mark.parametrize("mass", [0.5, 0.9])
def test_intervals_of_frequencies_cover_as_stated_over_all_truths(n, mass):
    # Exact, without simulation: over frequencies drawn from Jeffreys' prior the coverage of the plain interval is its
    # mass; reaching 0 and 1 at the ends adds half of what is outside there, with the chance of an end.
    events = np.arange(n + 1)
    ends = np.array([scoring.jeffreys_interval(x, n, ci_prob=mass) for x in events])
    posterior = stats.beta(events + 0.5, n - events + 0.5)
    chance = stats.betabinom(n, 0.5, 0.5).pmf(events)
    coverage = chance @ (posterior.cdf(ends[:, 1]) - posterior.cdf(ends[:, 0]))
    at_ends = chance[0] + chance[-1]
    assert coverage == pytest.approx(mass + at_ends * (1 - mass) / 2, abs=1e-9)
    # And at any single frequency it is not far below.
    truth = np.linspace(0, 1, 201)[:, None]
    covers = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    single = (stats.binom.pmf(events, n, truth) * covers).sum(axis=1)
    assert single.mean() == pytest.approx(mass, abs=0.06 if n == 5 else 0.025)
    if mass == 0.9:
        assert single.min() > 0.8


def test_bins_hold_the_forecasts_of_their_tenth():
    p = [0.0, 0.05, 0.1, 0.3, 0.7, 0.95, 1.0]
    bins = scoring.calibration(p, [0, 1, 0, 1, 1, 1, 1])
    assert [b.n for b in bins] == [2, 1, 0, 1, 0, 0, 0, 1, 0, 2]
    assert bins[0].frequency == 0.5
    assert bins[0].forecast == pytest.approx(0.025)
    assert (bins[9].frequency, bins[9].upper) == (1.0, 1.0)
    assert (bins[3].start, bins[3].stop) == (0.3, 0.4)
    empty = bins[2]
    assert (empty.forecast, empty.frequency, empty.lower, empty.upper) == (None, None, 0.0, 1.0)
    assert {b.verdict for b in bins} == {"too few"}


@pytest.mark.parametrize(
    ("events", "n", "verdict"),
    [
        (5, 19, "too few"),
        (5, 20, "in line"),
        (0, 100, "happened less often"),
        (60, 100, "happened more often"),
    ],
)
def test_a_bin_judges_only_with_twenty_outcomes(events, n, verdict):
    (found,) = scoring.calibration(
        np.full(n, 0.25), np.arange(n) < events, edges=[0, 1], ci_prob=0.9
    )
    assert found.verdict == verdict
    assert found.too_few == (n < 20)
    assert (found.lower, found.upper) == pytest.approx(scoring.jeffreys_interval(events, n))


def test_questions_of_one_cluster_count_as_one_outcome_of_a_bin():
    names = [f"driver {i % 5}" for i in range(100)]
    outcome = np.arange(100) % 5 == 0  # one driver of five, twenty questions each
    (found,) = scoring.calibration(np.full(100, 0.6), outcome, names, edges=[0, 1])
    assert (found.n, found.independent, found.verdict) == (100, pytest.approx(5), "too few")
    assert (found.lower, found.upper) == pytest.approx(scoring.jeffreys_interval(1, 5))


def test_a_calibrated_forecaster_is_found_in_line_as_often_as_stated():
    # 60 records of 500 give 300 bins at coverage 90%: more than 52 misses have a chance below 1e-4 (30 expected), and
    # fewer than 12 as well. A forecaster who is 15 points too sure is told so in most bins.
    rng = np.random.default_rng(7)
    missed = told = 0
    for _ in range(60):
        p = rng.choice([0.1, 0.3, 0.5, 0.7, 0.9], 500)
        happened = rng.random(500) < p
        missed += sum(b.verdict != "in line" for b in scoring.calibration(p, happened) if b.n)
        sure = np.clip(p + np.where(p < 0.5, -0.15, 0.15) * (p != 0.5), 0.01, 0.99)
        told += sum(b.verdict != "in line" for b in scoring.calibration(sure, happened) if b.n)
    assert 12 <= missed <= 52
    assert told > 150


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_counts_of_independent_questions_are_those_of_all_their_outcomes(chances):
    expected = np.zeros(len(chances) + 1)
    for came in itertools.product((0, 1), repeat=len(chances)):
        expected[sum(came)] += math.prod(
            p if o else 1 - p for p, o in zip(chances, came, strict=True)
        )
    np.testing.assert_allclose(scoring.count_if_right(chances), expected, atol=1e-12)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2)), min_size=1, max_size=9))
def test_counts_add_up_whatever_hangs_together(pairs):
    chances, clusters = zip(*pairs, strict=True)
    found = scoring.count_if_right(chances, [str(c) for c in clusters])
    assert found.min() > -1e-12
    assert found.sum() == pytest.approx(1.0)
    assert np.arange(len(found)) @ found == pytest.approx(sum(chances), abs=1e-9)


def test_questions_of_one_cluster_come_true_together_and_widen_the_range():
    chances = [0.5] * 12
    assert scoring.range_if_right(chances) == (3, 9)
    assert scoring.range_if_right(chances, ["a"] * 12) == (0, 12)
    np.testing.assert_allclose(
        scoring.count_if_right([0.7, 0.2], ["a", "a"]), [0.3, 0.5, 0.2], atol=1e-12
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.sampled_from([0.5, 0.8, 0.9]))
def test_right_chances_leave_their_range_no_more_often_than_stated(chances, mass):
    low, high = scoring.range_if_right(chances, ci_prob=mass)
    found = scoring.count_if_right(chances)
    assert found[:low].sum() <= (1 - mass) / 2 + 1e-9
    assert found[high + 1 :].sum() <= (1 - mass) / 2 + 1e-9


@given(RECORD)
def test_reliability_less_resolution_plus_uncertainty_is_the_brier_score(pairs):
    p, o = record(pairs)
    found = scoring.murphy(p, o)
    assert found.score == pytest.approx(scoring.brier(p, o).mean(), abs=1e-12)
    assert found.reliability - found.resolution + found.uncertainty == pytest.approx(
        found.score, abs=1e-12
    )
    assert found.within == 0.0
    assert found.groups == len(set(p.tolist()))
    assert min(found.reliability, found.resolution, found.uncertainty) >= 0
    assert found.resolution <= found.uncertainty + 1e-12


@given(
    st.lists(st.tuples(FRACTION, st.booleans()), min_size=1, max_size=40),
    st.sampled_from([[0, 1], [0, 0.5, 1], [0, 0.1, 0.35, 1], list(scoring.TENTHS)]),
)
def test_bins_add_what_lies_within_them_and_the_sum_still_holds(pairs, edges):
    p, o = (np.array(part, dtype=float) for part in zip(*pairs, strict=True))
    found = scoring.murphy(p, o, edges=edges)
    total = found.reliability - found.resolution + found.uncertainty + found.within
    assert total == pytest.approx(scoring.brier(p, o).mean(), abs=1e-12)


def test_the_parts_of_known_forecasters():
    o = np.array([1, 1, 0, 0, 0, 0, 0, 0])
    base = scoring.murphy(np.full(8, 0.25), o)
    assert (base.reliability, base.resolution, base.uncertainty) == (0, 0, 0.1875)
    seer = scoring.murphy(o, o)
    assert (seer.score, seer.reliability, seer.resolution) == (0, 0, 0.1875)
    fool = scoring.murphy(1 - o, o)
    assert (fool.score, fool.reliability, fool.resolution) == (1, 1, 0.1875)


# What is refused


@pytest.mark.parametrize("score", [scoring.brier, scoring.log_score, scoring.calibration])
@pytest.mark.parametrize(
    ("probability", "outcome", "words"),
    [
        ([0.2, 62], [0, 1], r"probability\[1\] is 62; it lies between 0 and 1; divide per cent"),
        ([-0.1], [0], r"probability\[0\] is -0.1"),
        ([0.2, np.nan], [0, 1], r"probability\[1\] is nan; .* leave it out"),
        ([0.2, np.inf], [0, 1], r"probability\[1\] is inf"),
        ([0.2, 0.3], [1, 2], r"outcome\[1\] is 2; write 1 for what happened and 0"),
        ([0.2, 0.3], [1, 0.5], r"outcome\[1\] is 0.5"),
        ([0.2, 0.3], [1, np.nan], r"outcome\[1\] is nan"),
        ([0.2, 0.3], [1, None], "outcome holds object values; give numbers"),
        ([0.2, 0.3], ["yes", "no"], "outcome holds <U3 values; give numbers"),
        (["0.2", "0.3"], [0, 1], "probability holds <U3 values"),
        ([0.2, 0.3], [1], r"shapes differ: probability \(2,\) and outcome \(1,\)"),
        ([[0.2, 0.3]], [1, 0], "shapes differ"),
        ([], [], "probability is empty; there is nothing to score"),
        ([[0.2], [0.3, 0.4]], [1, 0], "probability has rows of unequal length"),
    ],
)
def test_questions_that_cannot_be_scored_are_refused_by_name(score, probability, outcome, words):
    with pytest.raises(ValuationError, match=words) as caught:
        score(probability, outcome)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: scoring.brier_categories([[0.5, 0.4]], [0]), r"sum of probability\[0\] is 0.9"),
        (lambda: scoring.brier_categories([[0.5, 0.5]], [2]), r"category\[0\] is 2; .* 0 to 1"),
        (lambda: scoring.log_score_categories([[0.5, 0.5]], [0.5]), r"category\[0\] is 0.5"),
        (lambda: scoring.brier_categories([0.5, 0.5], [0, 1]), r"category \(2,\); the categories"),
        (lambda: scoring.brier_categories(0.5, 0), "last axis"),
        (lambda: scoring.crps_ensemble(3, 3), "draws is a single number"),
        (lambda: scoring.crps_ensemble([1, 2], [1, 2]), r"need outcomes of shape \(\), got \(2,\)"),
        (lambda: scoring.crps_ensemble([1, np.nan], 1), r"draws\[1\] is nan"),
        (lambda: scoring.crps_ensemble([[1, 2], [1, np.inf]], [1, 1]), r"draws\[1, 1\] is inf"),
        (lambda: scoring.crps_ensemble([1, 2], np.nan), "outcome is nan"),
        (lambda: scoring.crps_ensemble([], 1), "draws is empty"),
        (lambda: scoring.crps_ensemble([1], 1, fair=True), "fair score needs at least two draws"),
        (
            lambda: scoring.crps_ensemble([1, 2], 1, weight=[1, 0], fair=True),
            "needs at least two draws with weight; give more draws or fair=False",
        ),
        (lambda: scoring.crps_ensemble([1, 2], 1, weight=[1, -1]), r"weight\[1\] is -1"),
        (lambda: scoring.crps_ensemble([1, 2], 1, weight=[0, 0]), "weight is 0 for every draw"),
        (lambda: scoring.crps_ensemble([1, 2], 1, weight=[1]), r"weights for each draw, got \(1,"),
        (lambda: scoring.crps_normal(0, -1, 0), "sd is -1; a standard deviation is not negative"),
        (lambda: scoring.crps_normal([0, 1], [1, 1, 1], 0), "shapes differ: mean .* sd .* outcome"),
        (lambda: scoring.interval_score(2, 1, 0, ci_prob=0.9), "lower is 2; .* swap the two"),
        (lambda: scoring.interval_score(1, 2, 0, ci_prob=90), "ci_prob is 90; .* 90% is 0.9"),
        (lambda: scoring.interval_score(1, 2, 0, ci_prob=1), "ci_prob is 1"),
        (lambda: scoring.quantile_score(1, 2, level=0), "level is 0; it lies between 0 and 1"),
        (lambda: scoring.quantile_score([1, 2], [1], level=0.5), "shapes differ"),
        (lambda: scoring.mean_score([]), "scores is empty"),
        (lambda: scoring.mean_score(0.3), r"scores has shape \(\); give one value for every"),
        (lambda: scoring.mean_score([0.1, np.nan]), r"scores\[1\] is nan; .* not resolved"),
        (lambda: scoring.mean_score([0.1, -np.inf]), r"scores\[1\] is -inf"),
        (lambda: scoring.mean_score([0.1, 0.2], ["a"]), "clusters names 1 of 2 questions"),
        (lambda: scoring.mean_score([0.1, 0.2], "ab"), "clusters names 1 of 2 questions"),
        (lambda: scoring.mean_score([0.1, 0.2], ["a", None]), r"clusters\[1\] is missing; name"),
        (lambda: scoring.mean_score([0.1, 0.2], ["a", " "]), r"clusters\[1\] is missing"),
        (lambda: scoring.mean_score([0.1, 0.2], ["a", np.nan]), r"clusters\[1\] is missing"),
        (lambda: scoring.mean_score([0.1, 0.2], ["a", pd.NA]), r"clusters\[1\] is missing"),
        (lambda: scoring.skill([0.1, 0.2], [0.1]), "shapes differ: scores .* reference"),
        (lambda: scoring.skill([0.1], [0.0]), "reference made no error on any question"),
        (lambda: scoring.skill([0.1], [np.inf]), r"reference\[0\] is inf"),
        (lambda: scoring.skill([-0.1], [0.2]), r"scores\[0\] is -0.1; a skill compares"),
        (lambda: scoring.resampled_skill([1], [1], random_seed=None), "random_seed is None; give"),
        (lambda: scoring.resampled_skill([1], [1], random_seed=True), "random_seed is True; give"),
        (lambda: scoring.resampled_skill([1], [1], random_seed=-1), "random_seed is -1"),
        (lambda: scoring.resampled_skill([1], [1], random_seed=1, resamples=9), "resamples is 9;"),
        (lambda: scoring.resampled_skill([1], [1], random_seed=1, ci_prob=[0.5, 0.9]), "ci_prob"),
        (lambda: scoring.independent_outcomes([]), "clusters is empty"),
        (lambda: scoring.independent_outcomes(["a"], correlation=2), "correlation is 2"),
        (lambda: scoring.jeffreys_interval(3, 2), "events is 3 of 2 trials"),
        (lambda: scoring.jeffreys_interval(-1, 2), "events is -1 of 2 trials"),
        (lambda: scoring.calibration([0.1], [0], edges=[0, 0.5]), "edges must run from 0 to 1"),
        (lambda: scoring.calibration([0.1], [0], edges=[0, 0.5, 0.5, 1]), "edges must rise"),
        (lambda: scoring.calibration(0.1, 1), r"probability has shape \(\)"),
        (lambda: scoring.murphy([0.1], [0], edges=[0.1, 1]), "edges must run from 0 to 1"),
        (lambda: scoring.murphy([0.1], [3]), r"outcome\[0\] is 3"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line_with_a_remedy(call, words):
    with pytest.raises(ValuationError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_importing_the_scores_loads_numpy_and_neither_pandas_nor_scipy(root):
    code = (
        "import sys, valuation.scoring\n"
        "sys.exit(', '.join(sorted({'pandas', 'scipy', 'xarray'} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Further distributions


@given(st.floats(-2, 2), st.floats(0.05, 1.5), st.floats(-3, 30))
def test_the_score_of_a_lognormal_is_the_integral_of_its_definition(sr, mu, sigma, outcome):
    law = stats.lognorm(sigma, scale=math.exp(mu))
    found = float(scoring.crps_lognormal(mu, sigma, outcome))
    by_parts = scoring.crps_distribution(law.cdf, outcome, support=(0.0, np.inf))
    assert found == pytest.approx(by_parts, rel=1e-5, abs=1e-6)
    if outcome > 0:
        assert found == pytest.approx(float(sr.crps_lognormal(outcome, mu, sigma)), abs=1e-9)


@given(VALUE, st.floats(0.1, 10), st.floats(-4, 4))
def test_the_score_of_any_distribution_is_that_of_a_normal_where_it_is_one(mean, sd, z):
    y = mean + sd * z
    found = scoring.crps_distribution(
        stats.norm(mean, sd).cdf, y, support=(mean - 40 * sd, mean + 40 * sd)
    )
    assert found == pytest.approx(float(scoring.crps_normal(mean, sd, y)), rel=1e-6)


def test_an_outcome_outside_the_support_costs_its_distance():
    uniform = stats.uniform(0, 1).cdf
    inside = scoring.crps_distribution(uniform, 1.0, support=(0.0, 1.0))
    assert inside == pytest.approx(1 / 3)
    assert scoring.crps_distribution(uniform, 4.0, support=(0.0, 1.0)) == pytest.approx(3 + 1 / 3)
    assert scoring.crps_distribution(uniform, -2.0, support=(0.0, 1.0)) == pytest.approx(2 + 1 / 3)
    with pytest.raises(ValuationError, match="give the lower end first"):
        scoring.crps_distribution(uniform, 0.5, support=(1.0, 0.0))


def test_the_log_score_of_a_normal_is_its_density():
    found = scoring.log_score_normal([1.0, 2.0], 3.0, [4.0, -1.0])
    np.testing.assert_allclose(found, -stats.norm([1.0, 2.0], 3.0).logpdf([4.0, -1.0]), rtol=1e-12)


@pytest.mark.parametrize("score", [scoring.crps_lognormal, scoring.log_score_normal])
def test_a_density_without_spread_is_refused(score):
    with pytest.raises(ValuationError, match="above 0"):
        score(0.0, 0.0, 1.0)
