"""Worth of information: closed forms, what must hold between any two pieces of news, and refusals.

Estimates are held to four of their own standard errors, and the errors to a size that would show a
wrong formula. The errors themselves are tested over many tables of draws.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from valuation import decision, information
from valuation.errors import ParameterError, ValuationError
from valuation.schema import DRAW

N = 4000


def gain(mean: float, spread: float) -> float:
    """E max(0, g) - max(0, E g) for g ~ N(mean, spread)."""
    return spread * norm.pdf(mean / spread) - abs(mean) * norm.cdf(-abs(mean) / spread)


def against_nothing(benefit: np.ndarray) -> np.ndarray:
    return np.column_stack([np.zeros_like(benefit), benefit])


def linear(seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p1, p2 = rng.normal(1, 1, n), rng.normal(0, 2, n)
    return against_nothing(p1 - p2), p1, p2


def close(found, exact: float, widest: float) -> None:
    assert abs(found.value - exact) < 4 * found.mcse
    assert found.mcse < widest


# Known answers


def test_what_two_normal_parameters_are_worth_is_their_closed_form():
    payoff, p1, p2 = linear(1, 20_000)
    assert gain(1, np.sqrt(5)) == pytest.approx(0.479811, abs=5e-7)
    assert gain(1, 1) == pytest.approx(0.083315, abs=5e-7)
    assert gain(1, 2) == pytest.approx(0.395593, abs=5e-7)
    close(information.evpi(payoff), 0.479811, 0.01)
    close(information.evppi(payoff, p1), 0.083315, 0.008)
    close(information.evppi(payoff, p2), 0.395593, 0.01)
    both = information.evppi(payoff, np.column_stack([p1, p2]))
    close(both, 0.479811, 0.01)
    # Both together leave nothing unknown: within the fit, the draw itself.
    assert both.value == pytest.approx(both.ceiling, rel=1e-3)


@pytest.mark.parametrize("n", [1000, 4000, 20_000])
def test_a_parameter_that_acts_through_its_square_is_worth_knowing(n):
    rng = np.random.default_rng(n)
    x = rng.normal(size=n)
    payoff = against_nothing(x**2 - 1 + rng.normal(size=n))
    close(information.evppi(payoff, x), 2 * norm.pdf(1.0), 1.4 / np.sqrt(n))


def test_a_choice_by_hand_is_worth_what_the_hand_finds():
    sign = np.array([1.0, -1.0] * 500)
    payoff = against_nothing(sign)
    assert information.evppi(payoff, sign).value == pytest.approx(0.5)
    weight = np.where(sign > 0, 1.0, 3.0)
    assert information.evppi(payoff, sign, weight).value == pytest.approx(0.25)
    # Four states as likely as each other; to know the tens is to choose 6 in half of them, not 4.
    state = np.tile([0, 1, 10, 11], 250)
    payoff = np.column_stack([np.full(1000, 4.0), np.tile([1.0, 3.0, 3.0, 9.0], 250)])
    assert information.evppi(payoff, state // 10).value == pytest.approx(1.0)
    assert information.evppi(payoff, state % 10).value == pytest.approx(1.0)
    assert information.evppi(payoff, state).value == pytest.approx(1.25)
    assert information.evpi(payoff).value == pytest.approx(1.25)


def test_what_acts_only_through_a_product_is_worth_nothing_alone_and_much_together():
    rng = np.random.default_rng(4)
    a, b, noise = rng.normal(size=(3, N))
    payoff = against_nothing(a * b + noise)
    close(information.evppi(payoff, np.column_stack([a, b])), 1 / np.pi, 0.02)
    alone = information.evppi(payoff, a)
    assert alone.value < 4 * alone.mcse < 0.08


def test_eight_quantities_at_once_are_told_from_noise():
    rng = np.random.default_rng(5)
    x, noise = rng.normal(size=(N, 8)), rng.normal(size=N)
    payoff = against_nothing(x[:, 0] * x[:, 1] + noise)
    close(information.evppi(payoff, x), 1 / np.pi, 0.025)
    idle = information.evppi(against_nothing(noise), x)
    assert idle.value < 0.02
    assert idle.value < 4 * idle.mcse


def test_a_step_in_the_payoff_is_found():
    rng = np.random.default_rng(6)
    x = rng.normal(size=20_000)
    payoff = against_nothing(np.where(x > 0.5, 1.0, -0.5) + rng.normal(size=x.size))
    close(information.evppi(payoff, x), norm.sf(0.5), 0.008)


def test_among_three_options_the_closed_form_is_that_of_the_largest_of_three():
    rng = np.random.default_rng(7)
    a, b, c = rng.normal(size=(3, 20_000))
    payoff = np.column_stack([a, b, c])
    close(information.evpi(payoff), 1.5 / np.sqrt(np.pi), 0.01)
    close(information.evppi(payoff, payoff), 1.5 / np.sqrt(np.pi), 0.012)
    # The third is 0 to who knows two: E max(0, a, b) by parts.
    exact = 1 / np.sqrt(2 * np.pi) + 0.5 / np.sqrt(np.pi)
    close(information.evppi(payoff, payoff[:, :2]), exact, 0.012)


def test_a_proxy_is_worth_what_the_thing_it_determines_is_worth():
    payoff, p1, _ = linear(8)
    own = information.evppi(payoff, p1)
    assert information.evppi(payoff, np.exp(3 * p1)).value == pytest.approx(own.value, abs=1e-9)
    # Who has the thing gains nothing from a copy of it in other words.
    both = information.evppi(payoff, np.column_stack([p1, p1**3]))
    assert own.value - 1e-12 <= both.value < own.value + own.mcse


def test_a_correlated_parameter_is_worth_what_it_tells_of_the_other():
    rng = np.random.default_rng(9)
    x, other, noise = rng.normal(size=(3, 20_000))
    proxy = 0.8 * x + 0.6 * other
    payoff = against_nothing(0.3 + x + 0.2 * noise)
    close(information.evppi(payoff, proxy), gain(0.3, 0.8), 0.008)
    close(information.evppi(payoff, x), gain(0.3, 1.0), 0.008)


def test_who_knows_which_is_never_told_a_date_that_never_comes():
    rng = np.random.default_rng(10)
    never = rng.random(N) < 0.3
    date = np.where(never, np.inf, rng.exponential(size=N))
    payoff = against_nothing(np.where(never, 1.0, -1.0) + rng.normal(size=N))
    close(information.evppi(payoff, date), 0.3, 0.02)


# Noise is worth nothing


@pytest.mark.parametrize("seed", range(5))
def test_a_parameter_that_says_nothing_is_worth_nothing(seed):
    payoff, _, _ = linear(seed)
    idle = np.random.default_rng(100 + seed).normal(size=N)
    assert information.evppi(payoff, idle).value < 1e-3
    # Also where the two options are as good as each other, and any whim changes the choice.
    rng = np.random.default_rng(seed)
    found = information.evppi(against_nothing(rng.normal(size=N)), rng.normal(size=N))
    assert found.value < 4 * found.mcse < 0.1


def test_what_a_fit_promises_on_its_own_draws_is_not_what_counts():
    rng = np.random.default_rng(12)
    payoff = against_nothing(3 * rng.normal(size=400))
    found = information.evppi(payoff, rng.normal(size=(400, 6)))
    assert found.value < 2 * found.mcse
    assert found.earned <= found.value


def test_the_standard_error_is_that_of_many_repeats():
    scores = []
    for seed in range(60):
        payoff, p1, _ = linear(1000 + seed, 1000)
        found = information.evppi(payoff, p1)
        scores.append((found.value - gain(1, 1)) / found.mcse)
    assert abs(np.mean(scores)) < 0.6
    assert 0.6 < np.std(scores) < 1.3


def test_chains_that_repeat_themselves_have_a_larger_error():
    payoff, p1, _ = linear(13)
    plain = information.evppi(payoff, p1)
    slow = information.evppi(payoff, p1, inflation=4.0)
    assert slow.mcse == pytest.approx(2 * plain.mcse, rel=0.1)


# What must hold between any two


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000))
def test_more_knowledge_is_never_worth_less_nor_more_than_all(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(150, 500))
    x, weight = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)), rng.exponential(size=n)
    payoff = np.column_stack([np.zeros(n), x @ rng.normal(size=3) + rng.normal(size=n), -x[:, 0]])
    worth = {
        group: information.evppi(payoff, x[:, list(group)], weight).value
        for size in (1, 2, 3)
        for group in itertools.combinations(range(3), size)
    }
    most = information.evpi(payoff, weight).value
    for part, whole in itertools.product(worth, worth):
        if set(part) <= set(whole):
            assert 0 <= worth[part] <= worth[whole] <= most + 1e-9


def test_listed_groups_are_worth_at_least_their_parts_however_large():
    rng = np.random.default_rng(14)
    x = rng.normal(size=(600, 6))
    payoff = against_nothing(x[:, 0] + 0.1 * x[:, 1] + 3 * rng.normal(size=600))
    news = {str(k): x[:, :k] for k in range(1, 7)}
    found = information.ranked(payoff, news)
    values = [float(found["value"].sel(news=str(k))) for k in range(1, 7)]
    assert values == sorted(values)
    assert values[0] >= 0
    assert values[-1] <= found.attrs["evpi"] + 1e-12


def test_news_is_ranked_by_worth_with_its_share():
    payoff, p1, p2 = linear(15)
    payoff = xr.DataArray(
        payoff,
        dims=(DRAW, "option"),
        coords={"option": ["sell", "hold"]},
        attrs={"units": "USD bn"},
    )
    idle = np.random.default_rng(0).normal(size=N)
    found = information.ranked(
        payoff, {"idle": idle, "p1": p1, "p2": p2, "both": {"p1": p1, "p2": p2}}
    )
    assert found["news"].values.tolist() == ["both", "p2", "p1", "idle"]
    assert found["value"].attrs["units"] == "USD bn"
    assert float(found["share"][0]) == pytest.approx(1, rel=0.02)
    for name, draws in (("p1", p1), ("p2", p2)):
        alone = information.evppi(payoff, draws)
        assert float(found["value"].sel(news=name)) == pytest.approx(alone.value, abs=alone.mcse)


def test_the_order_of_draws_options_and_names_changes_nothing():
    rng = np.random.default_rng(16)
    x, weight = rng.normal(size=(800, 2)), rng.exponential(size=800)
    payoff = np.column_stack([np.zeros(800), x.sum(axis=1) + rng.normal(size=800), -x[:, 0]])
    plain = information.evppi(payoff, x, weight).value
    order = rng.permutation(800)
    shuffled = information.evppi(payoff[order], x[order], weight[order]).value
    labelled = xr.DataArray(payoff.T, dims=("option", DRAW))
    assert shuffled == pytest.approx(plain)
    assert information.evppi(payoff[:, ::-1], x, weight).value == pytest.approx(plain)
    assert information.evppi(labelled, x, weight).value == pytest.approx(plain)
    by_name = xr.Dataset({"b": (DRAW, x[:, 1]), "a": (DRAW, x[:, 0])})
    assert information.evppi(payoff, by_name, weight).value == pytest.approx(plain)
    # What each option brings in common, and its currency, do not matter either.
    shared = 100 * rng.normal(size=(800, 1))
    assert information.evppi(payoff + shared, x, weight).value == pytest.approx(plain)
    assert information.evppi(1e6 * payoff, x, weight).value == pytest.approx(1e6 * plain)


def test_weights_count_as_copies_of_draws_do():
    payoff, p1, _ = linear(17, 1500)
    times = np.random.default_rng(17).integers(0, 4, 1500)
    weighted = information.evppi(payoff, p1, times)
    copied = information.evppi(np.repeat(payoff, times, axis=0), np.repeat(p1, times))
    assert weighted.value == pytest.approx(copied.value, abs=0.5 * weighted.mcse)
    # The copies know no more: their number must not shrink a chance pattern into a finding.
    rng = np.random.default_rng(18)
    noise, idle = np.repeat(rng.normal(size=(2, 100)), 20, axis=1)
    assert information.evppi(against_nothing(noise), idle).value < 0.1


def test_draws_of_no_weight_teach_nothing():
    payoff, p1, _ = linear(19, 1000)
    weight = np.where(np.arange(1000) < 700, 1.0, 0.0)
    kept = information.evppi(payoff[:700], p1[:700])
    assert information.evppi(payoff, p1, weight) == kept


def test_weights_move_the_answer_to_that_of_the_weighted_distribution():
    rng = np.random.default_rng(20)
    x, noise = rng.normal(size=(2, 20_000))
    weight = np.exp(0.5 * x)  # turns N(0, 1) into N(0.5, 1)
    close(information.evppi(against_nothing(x + noise), x, weight), gain(0.5, 1), 0.012)


# Samples and disclosures


@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_normal_sample_of_a_normal_mean_is_worth_its_closed_form(size):
    rng = np.random.default_rng(21)
    mean, noise = rng.normal(0.5, 1, 20_000), rng.normal(size=20_000)
    payoff = against_nothing(mean + 0.5 * noise)
    figure = mean + 2 / np.sqrt(size) * rng.normal(size=20_000)
    close(information.evsi(payoff, figure), gain(0.5, 1 / np.sqrt(1 + 4 / size)), 0.01)


def test_a_larger_sample_is_worth_more_up_to_what_the_parameter_is_worth():
    rng = np.random.default_rng(22)
    mean = rng.normal(0.5, 1, 10_000)
    payoff = against_nothing(mean + 0.5 * rng.normal(size=mean.size))
    sizes = [0.25, 1, 4, 16, 64, 1e6]
    found = information.evsi_by_size(payoff, mean, 2.0, sizes[::-1], random_seed=1)
    assert found["size"].values.tolist() == sizes
    values = found["value"].values.tolist()
    assert values[0] >= 0
    assert values == sorted(values)
    assert values[-1] <= found.attrs["evppi"] <= found.attrs["evpi"]
    assert values[-1] == pytest.approx(found.attrs["evppi"], abs=0.002)
    for size, value, error in zip(sizes, values, found["mcse"].values, strict=True):
        assert abs(value - gain(0.5, 1 / np.sqrt(1 + 4 / size))) < 4 * error < 0.06


def test_a_sample_of_two_figures_is_worth_as_much_as_their_mean():
    rng = np.random.default_rng(23)
    mean = rng.normal(0.5, 1, N)
    payoff = against_nothing(mean)
    figures = mean[:, None] + rng.normal(size=(N, 2))
    two, one = information.evsi(payoff, figures), information.evsi(payoff, figures.mean(axis=1))
    assert two.value == pytest.approx(one.value, abs=one.mcse)
    close(two, gain(0.5, 1 / np.sqrt(1.5)), 0.02)


def test_a_report_of_yes_or_no_is_worth_what_bayes_says():
    rng = np.random.default_rng(24)
    good = rng.random(20_000) < 0.4
    # Seen in 80% of good cases, in 30% of bad ones.
    report = rng.random(20_000) < np.where(good, 0.8, 0.3)
    payoff = against_nothing(np.where(good, 1.0, -1.0))
    # Yes: 0.32 good, 0.18 bad, so buy and gain 0.14; no: 0.08 and 0.42, so do not.
    close(information.evsi(payoff, report), 0.14, 0.01)


def test_measurements_are_nested_and_as_wide_as_they_should_be():
    x = np.random.default_rng(25).normal(size=50_000)
    made = information.measured(x, 3.0, [9, 1, np.inf], random_seed=2)
    error = made - x[:, None]
    assert np.std(error[:, 1]) == pytest.approx(3, rel=0.02)
    assert np.std(error[:, 0]) == pytest.approx(1, rel=0.02)
    # The first of nine is a ninth of their sum.
    assert np.cov(error[:, 0], error[:, 1])[0, 1] == pytest.approx(1, rel=0.05)
    assert (made[:, 2] == x).all()
    again = information.measured(x, np.full(x.size, 3.0), [9, 1, np.inf], random_seed=2)
    assert (again == made).all()


# Options


def test_the_best_option_leads_by_the_mean_of_the_difference():
    rng = np.random.default_rng(26)
    shared = 50 * rng.normal(size=N)
    payoff = xr.DataArray(
        np.column_stack([shared, shared + 1 + rng.normal(size=N), shared - 5]),
        dims=(DRAW, "option"),
        coords={"option": ["hold", "buy", "sell"]},
    )
    found = information.best_option(payoff)
    assert (found.option, found.runner_up) == ("buy", "hold")
    close(found.margin, 1.0, 0.02)
    assert found.payoff.mcse > 0.7
    assert information.best_option(payoff.values).option == 1


def test_the_least_regret_is_perfect_information_and_belongs_to_the_best():
    payoff, _, _ = linear(27)
    weight = np.random.default_rng(27).exponential(size=N)
    found = information.regret(payoff, weight)
    whole = information.evpi(payoff, weight)
    best = information.best_option(payoff, weight)
    assert float(found["regret"].min()) == pytest.approx(whole.value)
    assert float(found["mcse"].sel(option=best.option)) == pytest.approx(whole.mcse)
    assert int(found["regret"].values.argmin()) == best.option == 1
    assert abs(float(found["chance_best"][1]) - norm.cdf(1 / np.sqrt(5))) < 0.04
    assert float(found["chance_best"].sum()) == pytest.approx(1)


def test_expected_loss_is_the_mean_shortfall_below_nothing():
    payoff, _, _ = linear(28, 20_000)
    found = information.expected_loss(payoff)
    assert found["expected_loss"].values[0] == found["chance"].values[0] == 0
    assert found["mcse"].values[0] == 0 < found["chance_mcse"].values[0]
    assert abs(found["expected_loss"].values[1] - gain(1, np.sqrt(5))) < 4 * found["mcse"].values[1]
    assert found["chance"].values[1] == pytest.approx(norm.cdf(-1 / np.sqrt(5)), abs=0.015)


# Edges and refusals


def test_what_never_varies_or_never_matters_is_no_news():
    payoff, p1, _ = linear(29, 500)
    assert information.evppi(payoff, np.ones(500)).value == 0
    assert information.evppi(against_nothing(np.ones(500)), p1).value == 0
    both = information.evppi(payoff, np.column_stack([p1, np.ones(500)]))
    assert both == information.evppi(payoff, p1)


def test_many_quantities_are_fitted_with_fewer_terms_each():
    rng = np.random.default_rng(30)
    x = rng.normal(size=(300, 40))
    payoff = against_nothing(x[:, :2].sum(axis=1))
    found = information.evppi(payoff, x)
    assert 0.3 < found.value <= found.ceiling == pytest.approx(decision.evpi(payoff).value)


TABLE = np.column_stack([np.zeros(60), np.linspace(-1, 1, 60)])
X = np.linspace(0, 1, 60)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: information.evppi(TABLE[:, :1], X), "two options or more"),
        (lambda: information.evppi(TABLE, X[:-1]), "60 rows of payoffs, but shape"),
        (lambda: information.evppi(TABLE, np.where(X > 0.5, np.nan, X)), "30 of 60 values are NaN"),
        (lambda: information.evppi(TABLE, {"churn": X[:-1]}), "churn: 60 rows"),
        (lambda: information.evppi(TABLE, {}), "0 quantities; give at least one"),
        (lambda: information.evppi(TABLE, np.zeros((60, 2, 2))), "one quantity or a table"),
        (lambda: information.evppi(TABLE[:20], X[:20]), "20 effective draws.*use more draws"),
        (lambda: information.evppi(TABLE, X, inflation=2.0), "30 effective draws"),
        (lambda: information.evppi(TABLE, X, -X), "must not be negative"),
        (lambda: information.evppi(TABLE, X, inflation=0.0), "above 0"),
        (lambda: information.evsi(TABLE, X[:-1]), "statistics: 60 rows"),
        (lambda: information.ranked(TABLE, {}), "no news to rank"),
        (lambda: information.measured(X, 1.0, [0], random_seed=0), "sizes must be numbers above 0"),
        (lambda: information.measured(X, -1.0, [1], random_seed=0), "not negative"),
        (lambda: information.measured(X, X[:-1], [1], random_seed=0), "one number or one a draw"),
        (lambda: information.regret(TABLE * np.inf), "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_nonsense_is_refused_in_one_line_with_a_remedy(call, words):
    with pytest.raises(ValuationError, match=words) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_bad_settings_are_parameter_errors():
    with pytest.raises(ParameterError, match="no news"):
        information.ranked(TABLE, {})


# Closed forms


@given(st.floats(-3, 3), st.floats(0.01, 5))
def test_the_normal_loss_is_the_gain_of_choosing_in_sight(mean, sd):
    assert information.evpi_normal(mean, sd) == pytest.approx(gain(mean, sd), rel=1e-9, abs=1e-12)
    assert information.evpi_normal(-mean, sd) == information.evpi_normal(mean, sd)


@given(st.floats(-2, 2), st.floats(0.1, 3), st.floats(0.1, 5))
def test_a_normal_sample_is_worth_more_the_larger_up_to_knowing(mean, sd, error):
    worth = [information.evsi_normal(mean, sd, error=error, size=n) for n in (1, 4, 100, np.inf)]
    assert (np.diff(worth) >= -1e-12).all()
    assert worth[-1] == pytest.approx(information.evpi_normal(mean, sd), rel=1e-12)
    spread = sd**2 / np.sqrt(sd**2 + error**2 / 4)
    assert worth[1] == pytest.approx(gain(mean, spread), rel=1e-9, abs=1e-12)
    assert information.evpi_normal(mean, 0.0) == information.evsi_normal(mean, 0.0, error=1) == 0.0


WELL = np.array([[-70.0, 0.0, 5.0], [50.0, 0.0, 5.0], [200.0, 0.0, 5.0]])
CHANCE = np.array([0.5, 0.3, 0.2])


def test_a_report_that_names_the_state_is_worth_perfect_information():
    known = information.evsi_table(WELL, CHANCE, np.eye(3))
    assert known == pytest.approx(decision.evpi(WELL, CHANCE).value, rel=1e-12)


def test_a_report_that_says_nothing_is_worth_nothing_and_a_blurred_one_less():
    assert information.evsi_table(WELL, CHANCE, np.full((3, 2), 0.5)) == pytest.approx(0, abs=1e-12)
    sharp = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    blur = sharp @ np.array([[0.7, 0.3, 0.0], [0.0, 0.7, 0.3], [0.3, 0.0, 0.7]])
    worth = [information.evsi_table(WELL, CHANCE, m) for m in (blur, sharp, np.eye(3))]
    assert worth == sorted(worth)
    assert worth[0] < worth[1] < worth[2]


def test_tables_and_numbers_that_cannot_be_are_refused():
    with pytest.raises(ValuationError, match="3 states need as many"):
        information.evsi_table(WELL, CHANCE[:2], np.eye(3))
    with pytest.raises(ValuationError, match="likelihood must be fractions that sum to 1"):
        information.evsi_table(WELL, CHANCE, np.ones((3, 2)))
    with pytest.raises(ValuationError, match="probability must be fractions"):
        information.evsi_table(WELL, [50, 30, 20], np.eye(3))
    with pytest.raises(ParameterError, match="sd not negative"):
        information.evpi_normal(0.0, -1.0)
    with pytest.raises(ParameterError, match="size above 0"):
        information.evsi_normal(0.0, 1.0, error=1.0, size=0)


# --- rules and their shares -----------------------------------------------------------------------


def test_an_option_that_another_one_always_beats_changes_nothing():
    rng = np.random.default_rng(8)
    x, noise = rng.normal(size=(2, 2000))
    payoff = np.column_stack([np.zeros(2000), x + noise])
    worse = np.column_stack([payoff, payoff[:, 1] - rng.exponential(size=2000)])
    # The same option twice is one option.
    double = np.column_stack([payoff, payoff])
    plain = information.evppi(payoff, x)
    assert information.evppi(worse, x).value == pytest.approx(plain.value)
    assert information.evppi(double, x).value == pytest.approx(plain.value)
    assert information.evppi(worse[:, 1:], x) == information.Worth(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_how_often_news_leads_to_another_choice():
    rng = np.random.default_rng(8)
    x = rng.normal(size=N)
    payoff = against_nothing(x - 0.5)
    assert information.evppi(payoff, x).changes == pytest.approx(norm.sf(0.5), abs=0.01)
    assert information.evppi(against_nothing(x - 50), x).changes == 0
    found = information.ranked(payoff, {"x": x})
    assert float(found["changes"][0]) == information.evppi(payoff, x).changes


def test_who_knows_more_may_follow_the_rule_of_who_knows_less():
    rng = np.random.default_rng(8)
    x = rng.normal(size=400)
    news = {"idle": rng.normal(size=400), "x": x}
    payoff = against_nothing(x + rng.normal(size=400))
    plain = information.ranked(payoff, news)
    # As if the idle one told at least as much as x.
    led = information.ranked(payoff, news, follows={"idle": "x"})
    assert float(led["value"].sel(news="idle")) == float(plain["value"].sel(news="x")) > 0
    assert float(led["earned"].sel(news="idle")) == float(plain["earned"].sel(news="idle"))
    with pytest.raises(ParameterError, match="'idle' cannot follow 'y': the news are"):
        information.ranked(payoff, news, follows={"idle": "y"})


def test_a_smaller_regression_finds_what_is_smooth():
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, 4000))
    payoff = against_nothing(a + b)
    small, large = (
        information.ranked(payoff, {"both": np.column_stack([a, b])}, most=most)
        for most in (48, 450)
    )
    assert float(small["value"][0]) == pytest.approx(float(large["value"][0]), rel=0.02)
