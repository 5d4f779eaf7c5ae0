"""Decisions from weighted draws: closed forms, sums that must add up, and indifference to order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from builders import deal, drivers, only
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from valuation import decision, value
from valuation.errors import ParameterError, ValuationError
from valuation.schema import COMPONENT, DRAW

SMALL = settings(max_examples=25, deadline=None)
DRAWS = arrays(float, st.integers(2, 60), elements=st.floats(-1e3, 1e3))
MANY = 100_000


@pytest.fixture(scope="module")
def made():
    return drivers(draws=1000)


@pytest.fixture(scope="module")
def flows(made):
    return value.cash_flows(made, deal())


@pytest.fixture(scope="module")
def values(made):
    return value.value(made, deal())


@pytest.fixture(scope="module")
def uneven():
    return np.random.default_rng(7).exponential(size=1000)


def linear_payoff(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Options of nothing and of p1 - p2, p1 ~ N(1, 1) and p2 ~ N(0, 2): known to the last digit."""
    rng = np.random.default_rng(seed)
    p1, p2 = rng.normal(1.0, 1.0, MANY), rng.normal(0.0, 2.0, MANY)
    return np.column_stack([np.zeros(MANY), p1 - p2]), p1, p2


def expected_gain(mean: float, sd: float) -> float:
    """E max(0, X) - max(0, E X) for X ~ N(mean, sd)."""
    return mean * norm.cdf(mean / sd) + sd * norm.pdf(mean / sd) - max(mean, 0.0)


# Weighted draws


@SMALL
@given(DRAWS)
def test_equal_weights_give_the_unweighted_answer(x):
    same = np.full(x.size, 3.0)
    q = [0.05, 0.5, 0.95]
    assert decision.mean(x, same).value == pytest.approx(x.mean(), abs=1e-9)
    assert decision.mean(x, same).mcse == pytest.approx(x.std() / np.sqrt(x.size), abs=1e-9)
    assert decision.probability(x > 0, same).value == pytest.approx((x > 0).mean())
    np.testing.assert_array_equal(
        decision.quantiles(x, q, same), np.quantile(x, q, method="inverted_cdf")
    )


@SMALL
@given(DRAWS, st.randoms(use_true_random=False))
def test_draws_of_no_weight_and_the_order_of_draws_change_nothing(x, random):
    weight = np.array([random.random() + 0.01 for _ in x])
    order = np.array(random.sample(range(x.size + 3), x.size + 3))
    padded = np.concatenate([x, [1e6, -1e6, 0.0]])[order]
    padded_weight = np.concatenate([weight, [0.0, 0.0, 0.0]])[order]
    for function in (decision.mean, lambda v, w: decision.probability(v > 0, w)):
        plain, other = function(x, weight), function(padded, padded_weight)
        assert other.value == pytest.approx(plain.value, abs=1e-9)
        assert other.mcse == pytest.approx(plain.mcse, abs=1e-9)
    q = np.linspace(0, 1, 7)
    np.testing.assert_allclose(
        decision.quantiles(padded, q, padded_weight), decision.quantiles(x, q, weight)
    )


@SMALL
@given(DRAWS)
def test_a_draw_weighed_twice_is_a_draw_that_occurs_twice(x):
    weight = 1.0 + (np.arange(x.size) % 2)
    repeated = np.repeat(x, 1 + (np.arange(x.size) % 2))
    q = np.linspace(0.03, 0.97, 9)
    np.testing.assert_allclose(decision.quantiles(x, q, weight), decision.quantiles(repeated, q))
    assert decision.mean(x, weight).value == pytest.approx(repeated.mean(), abs=1e-9)


def test_the_error_of_a_probability_is_the_binomial_one():
    event = np.arange(400) < 100
    found = decision.probability(event)
    assert found.value == 0.25
    assert found.mcse == pytest.approx(np.sqrt(0.25 * 0.75 / 400))
    assert decision.probability(event, inflation=4.0).mcse == pytest.approx(2 * found.mcse)


def test_the_error_of_a_weighted_mean_covers_repeated_samples():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        x = rng.normal(size=500)
        # weights turn N(0, 1) into N(0.5, 1)
        found.append(decision.mean(x, np.exp(0.5 * x)))
    means = np.array([e.value for e in found])
    assert means.std() == pytest.approx(np.mean([e.mcse for e in found]), rel=0.15)
    assert means.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("outcome", [True, False])
def test_a_probability_on_which_all_draws_agree_still_has_an_error(outcome):
    found = decision.probability(np.full(98, outcome))
    assert found.value == float(outcome)
    assert found.mcse == pytest.approx(np.sqrt(0.01 * 0.99 / 98))


def test_effective_draws_count_what_the_weights_leave():
    assert decision.effective_draws([2.0] * 50) == pytest.approx(50)
    assert decision.effective_draws([1.0, 0, 0, 0]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: decision.mean([1.0, np.nan]), "values: 1 of 2 values are not finite"),
        (lambda: decision.mean([[1.0]]), "one value a draw"),
        (lambda: decision.mean([]), "no draws"),
        (lambda: decision.mean([1.0], [1.0, 2.0]), "1 draws need 1 weights"),
        (lambda: decision.mean([1.0, 2.0], [-1.0, 2.0]), "must not be negative"),
        (lambda: decision.mean([1.0, 2.0], [0.0, 0.0]), "not all be 0"),
        (lambda: decision.mean([1.0, 2.0], [np.nan, 1.0]), "weight: 1 of 2"),
        (lambda: decision.mean([1.0, 2.0], inflation=0.0), "above 0"),
        (lambda: decision.probability([1.0, 2.0]), "true or false"),
        (lambda: decision.quantiles([1.0], 1.5), "between 0 and 1"),
        (lambda: decision.natural_frequency(np.nan), "between 0 and 1"),
        (lambda: decision.evpi(np.zeros((5, 1))), "two options or more"),
        (lambda: decision.evpi([[0.0, np.inf], [0.0, 1.0]]), "1 of 4 values"),
        (lambda: decision.compare_sets({}, definition="npv"), "no prior set"),
    ],
)
def test_nonsense_is_refused_in_words(call, words):
    with pytest.raises(ValuationError, match=words):
        call()


def test_quantiles_of_payback_times_may_be_infinite():
    assert decision.quantiles([2.0, np.inf, 5.0], [0.5, 0.9]).tolist() == [5.0, np.inf]


def test_the_interval_holds_its_mass_between_equal_tails():
    x = np.arange(1, 1001) / 1000
    assert decision.interval(x) == pytest.approx((0.05, 0.95))
    assert decision.interval(x, ci_prob=0.5) == pytest.approx((0.25, 0.75))


def test_dots_below_zero_number_the_chances_of_a_loss():
    x = np.random.default_rng(0).normal(0.3, 1.0, 5000)
    dots = decision.quantile_dots(x)
    assert dots.size == 100
    assert (np.diff(dots) >= 0).all()
    assert abs((dots < 0).sum() - 100 * (x < 0).mean()) <= 1


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        (0.0, "fewer than 1 in 100"),
        (0.004, "fewer than 1 in 100"),
        (0.005, "1 in 100"),
        (0.17, "17 in 100"),
        (0.175, "18 in 100"),
        (0.994, "99 in 100"),
        (0.996, "more than 99 in 100"),
        (1.0, "more than 99 in 100"),
    ],
)
def test_a_probability_is_said_as_people_count(chance, words):
    assert decision.natural_frequency(chance) == words


def test_a_paired_difference_forgets_what_the_draws_share():
    rng = np.random.default_rng(12)
    x = rng.normal(0, 100, 1000)
    shift = rng.normal(1, 0.1, 1000)
    found = decision.difference(x + shift, x)
    assert found.value == pytest.approx(shift.mean())
    assert found.mcse == pytest.approx(shift.std() / np.sqrt(1000))
    same = decision.difference(x, x, shift, shift)
    assert (same.value, same.mcse) == (0.0, 0.0)
    with pytest.raises(ValuationError, match="1000 draws cannot be paired with 9"):
        decision.difference(x, x[:9])


def test_the_error_of_a_reweighted_difference_covers_repeated_samples():
    rng = np.random.default_rng(13)
    found = []
    for _ in range(400):
        x = rng.normal(size=500)
        found.append(decision.difference(x > 0, x > 0, np.exp(0.5 * x), None))
    differences = np.array([e.value for e in found])
    assert differences.std() == pytest.approx(np.mean([e.mcse for e in found]), rel=0.15)
    assert differences.mean() == pytest.approx(norm.cdf(0.5) - 0.5, abs=0.01)


# Price and hurdle


@pytest.mark.parametrize("definition", ["npv", "npv_financial", "stake_alone", "moic", "irr"])
def test_a_higher_price_never_makes_the_deal_pay_off_more_often(made, flows, definition):
    found = decision.by_price(made, flows, deal(), [0, 4, 8, 10, 12, 20], definition=definition)
    assert (found["probability"].diff("price_bn") <= 0).all()
    assert found["probability"][0] > found["probability"][-1]


def test_the_price_paid_gives_the_answer_given(made, flows, values):
    found = decision.by_price(made, flows, deal(), [10.0])
    expected = decision.probability(values["npv"] > 0, values["weight"])
    assert found["probability"].item() == pytest.approx(expected.value)
    assert found["mcse"].item() == pytest.approx(expected.mcse)
    assert found.attrs["definition"] == "npv"


def test_the_price_does_not_write_the_stake_down(made, flows):
    found = decision.by_price(made, flows, deal(), [0, 20], definition="no_impairment")
    assert found["probability"][0] == found["probability"][1]


def test_a_price_needs_an_outlay_and_is_not_negative(made, flows):
    terms = only("stake")
    with pytest.raises(ParameterError, match="outlay is switched off"):
        decision.by_price(made, value.cash_flows(made, terms), terms, [1.0])
    with pytest.raises(ParameterError, match="must not be negative"):
        decision.by_price(made, flows, deal(), [-1.0])


def test_each_hurdle_rate_is_the_npv_at_that_rate(flows, uneven):
    found = decision.by_hurdle(flows, deal(), [0.0, 0.1], uneven)
    for rate in (0.0, 0.1):
        npv = value.npv(flows, deal(), rate=rate)
        at = found.sel(rate=rate)
        assert at["npv_mean"].item() == pytest.approx(np.average(npv, weights=uneven))
        assert at["probability"].item() == pytest.approx(np.average(npv > 0, weights=uneven))


def test_knowing_is_worth_the_lesser_of_expected_loss_and_expected_gain(flows, uneven):
    found = decision.by_hurdle(flows, deal(), [0.0, 0.05, 0.1, 0.2], uneven)
    loss, mean = found["expected_loss"], found["npv_mean"]
    np.testing.assert_allclose(found["evpi"], np.minimum(loss, loss + mean), atol=1e-12)


# What the number is made of


def test_the_waterfall_adds_up_to_the_mean_npv(values, uneven):
    found = decision.waterfall(values["present_value"], uneven)
    expected = np.average(values["npv"], weights=uneven)
    assert found["mean"].sum().item() == pytest.approx(expected, abs=1e-9)
    assert found["end"][-1].item() == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(found["start"][1:], found["end"][:-1], atol=1e-12)
    assert found[COMPONENT].values.tolist() == values[COMPONENT].values.tolist()


def test_the_tornado_finds_the_driver_that_matters_and_its_deciles():
    rng = np.random.default_rng(5)
    strong, weak = rng.normal(size=MANY), rng.normal(size=MANY)
    found = decision.tornado({"weak": weak, "strong": strong}, 3 * strong - weak)
    assert found["driver"].values.tolist() == ["strong", "weak"]
    tail = norm.pdf(norm.ppf(0.9)) / 0.1  # mean of the upper decile of N(0, 1)
    at = found.sel(driver="strong")
    assert at["npv_high"].item() == pytest.approx(3 * tail, abs=0.05)
    assert at["npv_low"].item() == pytest.approx(-3 * tail, abs=0.05)
    assert at["high_value"].item() == pytest.approx(norm.ppf(0.9), abs=0.02)
    assert found.sel(driver="weak")["npv_high"].item() == pytest.approx(-tail, abs=0.05)


def test_the_tornado_of_yes_and_no_compares_the_two():
    x = np.arange(100) < 30
    found = decision.tornado({"founder": x}, np.where(x, 5.0, -1.0)).isel(driver=0)
    assert (found["npv_low"].item(), found["npv_high"].item()) == pytest.approx((-1.0, 5.0))
    still = decision.tornado({"fixed": np.ones(100)}, np.arange(100.0)).isel(driver=0)
    assert still["npv_low"].item() == still["npv_high"].item() == pytest.approx(49.5)


def test_the_tornado_ignores_draws_of_no_weight_and_the_order_of_draws(made, values):
    scalars = decision.driver_scalars(made, deal())
    weight = np.where(np.arange(1000) < 500, 1.0, 0.0)
    plain = decision.tornado(scalars, values["npv"], weight)
    half = decision.tornado(scalars.isel({DRAW: slice(0, 500)}), values["npv"][:500])
    xr.testing.assert_allclose(plain, half)
    order = np.random.default_rng(0).permutation(1000)
    other = decision.tornado(
        scalars.isel({DRAW: order}), values["npv"].isel({DRAW: order}), weight[order]
    )
    xr.testing.assert_allclose(plain, other)


def test_every_driver_becomes_one_labelled_number_a_draw(made):
    scalars = decision.driver_scalars(made, deal())
    assert {"talent_retained", "capability_gap", "exit_multiple", "price_discount"} <= set(scalars)
    assert "weight" not in scalars
    for name, x in scalars.data_vars.items():
        assert x.dims == (DRAW,), name
        assert x.attrs["units"], name
        assert x.attrs["label"], name
    exit_revenue = made["revenue"].sel(month=84)
    np.testing.assert_allclose(scalars["revenue"], exit_revenue)
    assert "at exit" in scalars["revenue"].attrs["label"]


# What would have to be true


def test_the_break_even_map_recovers_a_known_boundary():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(size=20_000), rng.uniform(size=20_000)
    found = decision.break_even_map(x, y, x + y > 1, bins=5)
    assert found["probability"].dims == ("y", "x")
    assert found["probability"][0, 0] == 0
    assert found["probability"][4, 4] == 1
    assert found["probability"].sel(x=0.5, y=0.5, method="nearest").item() == pytest.approx(
        0.5, abs=0.05
    )
    np.testing.assert_allclose(found["x"], [0.1, 0.3, 0.5, 0.7, 0.9], atol=0.02)
    assert (found["probability"].diff("x") >= 0).all()


def test_the_cells_of_the_map_average_to_the_whole(values, made, uneven):
    scalars = decision.driver_scalars(made, deal())
    event = values["npv"].values > 0
    found = decision.break_even_map(
        scalars["capability_gap"], scalars["exit_multiple"], event, bins=3, minimum=0
    )
    share = found["effective_draws"] / found["effective_draws"].sum()
    assert (found["probability"] * share).sum().item() == pytest.approx(event.mean())


def test_a_cell_of_few_draws_stays_empty():
    def cells(many: int, few: int) -> list[float]:
        x = np.repeat([0.0, 1.0], [many, few])
        found = decision.break_even_map(x, np.zeros(x.size), x > 0, bins=2)
        return found["probability"].isel(y=0).values.tolist()

    assert cells(100, 20) == [0.0, 1.0]
    assert np.isnan(cells(100, 19)).tolist() == [False, True]


def test_weights_of_nothing_leave_cells_empty():
    x = np.repeat([0.0, 1.0], 100)
    weight = np.where(np.arange(200) < 110, 1.0, 0.0)
    found = decision.break_even_map(x, np.zeros(200), x > 0, weight, bins=20)
    assert found["effective_draws"].values.tolist() == [[pytest.approx(100), pytest.approx(10)]]
    assert found["probability"][0, 0] == 0
    assert np.isnan(found["probability"][0, 1])


@pytest.mark.parametrize("slope", [2.0, -2.0])
def test_the_break_even_value_is_where_the_mean_npv_is_nothing(slope):
    rng = np.random.default_rng(4)
    x = rng.normal(size=20_000)
    npv = slope * (x - 0.4) + rng.normal(0, 2.0, x.size)
    assert decision.break_even_value(x, npv) == pytest.approx(0.4, abs=0.1)
    order = rng.permutation(x.size)
    assert decision.break_even_value(x[order], npv[order]) == pytest.approx(
        decision.break_even_value(x, npv)
    )


def test_without_a_crossing_there_is_no_break_even_value():
    x = np.linspace(0, 1, 1000)
    assert decision.break_even_value(x, x + 1) is None
    assert decision.break_even_value(x, -x - 1) is None
    assert decision.break_even_value(np.ones(1000), x - 0.5) is None
    assert decision.break_even_value(x, np.zeros(1000)) is None


# Whose opinion it is


def test_prior_sets_stand_side_by_side_with_their_errors(values, uneven):
    sets = {"house": values, "sceptic": values.assign(weight=(DRAW, uneven))}
    found = decision.compare_sets(sets, definition="npv")
    assert found["prior_set"].values.tolist() == ["house", "sceptic"]
    event = values["npv"] > 0
    for name, weight in (("house", None), ("sceptic", uneven)):
        expected = decision.probability(event, weight)
        assert found["probability"].sel(prior_set=name).item() == pytest.approx(expected.value)
        assert found["mcse"].sel(prior_set=name).item() == pytest.approx(expected.mcse)
    assert found["effective_draws"][0].item() == pytest.approx(1000)
    with pytest.raises(ParameterError, match=r"'profit'.*npv"):
        decision.compare_sets(sets, definition="profit")


def test_the_share_of_variance_is_that_of_a_known_sum():
    rng = np.random.default_rng(8)
    a, b, rest = rng.normal(size=(3, 20_000))
    npv = 2 * a + b**2 + a * b + 3 * rest  # variances 4 + 2 + 1 + 9
    assert decision.variance_share(npv, {"a": a, "b": b}) == pytest.approx(7 / 16, abs=0.02)
    assert decision.variance_share(npv, {"a": a}) == pytest.approx(4 / 16, abs=0.02)
    assert decision.variance_share(npv, {"rest": rest}) == pytest.approx(9 / 16, abs=0.02)
    assert decision.variance_share(npv, {}) == 0.0
    assert decision.variance_share(np.ones(50), {"a": a[:50]}) == 0.0


def test_many_quantities_that_explain_nothing_get_no_share():
    rng = np.random.default_rng(9)
    noise = {f"x{i}": rng.normal(size=1000) for i in range(8)}
    assert decision.variance_share(rng.normal(size=1000), noise) < 0.05


def test_a_share_needs_more_draws_than_terms():
    x = np.random.default_rng(0).normal(size=(9, 20))
    with pytest.raises(ValuationError, match="effective draws cannot tell"):
        decision.variance_share(x[0], {str(i): row for i, row in enumerate(x[1:])})


# Value of information


def test_perfect_information_is_worth_its_closed_form():
    payoff, _, _ = linear_payoff()
    found = decision.evpi(payoff)
    exact = expected_gain(1.0, np.sqrt(5.0))
    assert exact == pytest.approx(0.479811, abs=5e-7)
    assert abs(found.value - exact) < 3 * found.mcse
    assert found.mcse < 0.01


def test_draws_of_no_weight_teach_nothing(uneven):
    rng = np.random.default_rng(6)
    x = rng.normal(size=1000)
    outcome = x + rng.normal(size=1000)
    weight = np.where(np.arange(1000) < 700, uneven, 0.0)
    kept, all_draws = slice(0, 700), slice(None)
    shares = [
        decision.variance_share(outcome[s], {"x": x[s]}, weight[s]) for s in (kept, all_draws)
    ]
    assert shares[0] == pytest.approx(shares[1])


def test_raising_the_rate_or_the_price_lowers_the_mean(flows):
    terms = only("outlay", "stake", "talent", "capability")
    found = decision.by_hurdle(
        flows.sel({COMPONENT: ["outlay", "stake", "talent", "capability"]}), terms, [0, 0.1, 0.3]
    )
    for low, high in itertools.pairwise(found["npv_mean"].values):
        assert high < low


def _chains(rng: np.random.Generator, rho: float, length: int = 1000) -> np.ndarray:
    """Stationary first-order autoregressions of unit variance, four chains one after another."""
    noise = rng.standard_normal((4, length)) * np.sqrt(1 - rho**2)
    noise[:, 0] /= np.sqrt(1 - rho**2)
    for step in range(1, length):
        noise[:, step] += rho * noise[:, step - 1]
    return noise.ravel()


def test_repetition_within_chains_widens_the_error_as_theory_says():
    rng = np.random.default_rng(5)
    found = [decision.inflation_of(_chains(rng, 0.6)) for _ in range(20)]
    assert np.mean(found) == pytest.approx((1 + 0.6) / (1 - 0.6), rel=0.1)
    assert decision.inflation_of(rng.standard_normal(4000)) < 1.25
    assert decision.inflation_of(np.ones(4000)) == 1.0


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8, 9, 30, 31, 250, 1000])
def test_repetition_is_that_of_arviz(length):
    rng = np.random.default_rng(length)
    for rho in (-0.9, -0.3, 0.0, 0.5, 0.9, 0.99):
        x = _chains(rng, rho, length)
        pull = x - x.mean()
        size = array_stats.ess(pull.reshape(4, -1), chain_axis=0, draw_axis=1, method="mean")
        used = 4 * 2 * (length // 2)  # of an odd number the middle draw is in neither half
        assert decision.repetition(pull) == pytest.approx(max(1.0, used / size), rel=1e-9)


def test_equal_weights_are_no_weights_and_parts_are_judged_apart():
    x = _chains(np.random.default_rng(6), 0.5)
    assert decision.inflation_of(x, np.full(4000, 7.0)) == pytest.approx(decision.inflation_of(x))
    # The same fit twice, side by side: each repeats itself as often as before.
    again = decision.inflation_of(np.concatenate([x, x]), parts=(4000, 4000))
    assert again == pytest.approx(decision.inflation_of(x))


def test_the_error_of_a_weighted_mean_of_chains_covers_repeated_samples():
    """Draws that repeat each other and weigh unequally: N(0, 1) tilted to a mean of one half."""
    rng = np.random.default_rng(7)
    far = []
    for _ in range(200):
        x = _chains(rng, 0.7, length=250)
        weight = np.exp(0.5 * x)
        noise = decision.inflation_of(x, weight)
        told = decision.mean(x, weight, inflation=noise)
        far.append((told.value - 0.5) / told.mcse)
    assert np.std(far) == pytest.approx(1.0, abs=0.15)
