"""Power scaling, tilts and pools against closed forms, and against ArviZ where the method is the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from valuation import sensitivity
from valuation.errors import ParameterError, ValuationError
from valuation.params.priors import load_priors
from valuation.sensitivity import ALPHAS

DRAWS = 40_000
PRIOR_SD, DATA_SD, SEEN = 1.5, 0.8, 2.0


def posterior_of(
    prior_power: float = 1.0, data_power: float = 1.0, *, mean: float = 0.0
) -> tuple[float, float]:
    """Mean and sd of a normal mean seen once, its prior and its likelihood raised to powers."""
    precision = prior_power / PRIOR_SD**2 + data_power / DATA_SD**2
    middle = (mean * prior_power / PRIOR_SD**2 + data_power * SEEN / DATA_SD**2) / precision
    return middle, precision**-0.5


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    """Draws of the posterior, at its quantiles: no luck in them."""
    return stats.norm(*posterior_of()).ppf((np.arange(DRAWS) + 0.5) / DRAWS)


def log_prior(x: np.ndarray) -> np.ndarray:
    return stats.norm(0.0, PRIOR_SD).logpdf(x)


def log_likelihood(x: np.ndarray) -> np.ndarray:
    return stats.norm(x, DATA_SD).logpdf(SEEN)


class Normal:
    """A prior as settings have it."""

    cdf = staticmethod(stats.norm(0.0, PRIOR_SD).cdf)
    ppf = staticmethod(stats.norm(0.0, PRIOR_SD).ppf)


# Power scaling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("part", ["prior", "likelihood"])
def test_a_power_scaled_normal_posterior_is_the_normal_of_the_closed_form(draws, alpha, part):
    component = log_prior(draws) if part == "prior" else log_likelihood(draws)
    weights = sensitivity.power_scaled(component, alpha)
    powers = (alpha, 1.0) if part == "prior" else (1.0, alpha)
    mean, sd = posterior_of(*powers)
    found = float(weights.weight @ draws)
    assert found == pytest.approx(mean, abs=0.003)
    spread = math.sqrt(weights.weight @ (draws - found) ** 2)
    assert spread == pytest.approx(sd, rel=0.005)
    assert weights.khat < 0.7


def test_a_weaker_prior_lets_the_answer_go_to_the_data(draws):
    weaker = sensitivity.power_scaled(log_prior(draws), 0.8)
    stronger = sensitivity.power_scaled(log_prior(draws), 1.25)
    middle = posterior_of()[0]
    assert weaker.weight @ draws > middle > stronger.weight @ draws


def test_a_power_of_one_changes_nothing_and_none_below_zero_is_taken(draws):
    weights = sensitivity.power_scaled(log_prior(draws), 1.0)
    np.testing.assert_allclose(weights.weight, 1.0 / DRAWS)
    assert sensitivity.cumulative_distance(draws, weights.weight) == pytest.approx(0.0, abs=1e-6)
    for alpha in (0.0, -1.0, math.nan):
        with pytest.raises(ParameterError, match="a power is a number above 0"):
            sensitivity.power_scaled(log_prior(draws), alpha)


def test_sensitivity_is_that_of_arviz_under_the_same_weights():
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(3)
    for values in (rng.normal(size=2000), rng.gamma(0.7, size=2000), np.exp(rng.normal(size=2000))):
        component = -0.5 * (values - 0.4) ** 2
        lower, upper = (sensitivity.power_scaled(component, a).weight for a in ALPHAS)
        one_chain = (part[None, :] for part in (values, lower, upper))
        theirs = array_stats.power_scale_sense(*one_chain, *ALPHAS)
        ours = sensitivity.sensitivity(values, lower, upper)
        assert ours == pytest.approx(float(theirs), rel=1e-9)


def test_sensitivity_is_that_of_arviz_psense_on_the_same_draws():
    import arviz_stats
    import xarray as xr

    rng = np.random.default_rng(5)
    x = rng.normal(*posterior_of(), size=(4, 1000))
    chains = ("chain", "draw")
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"x": (chains, x)}),
            "log_prior": xr.Dataset({"x": (chains, log_prior(x))}),
            "log_likelihood": xr.Dataset({"y": ((*chains, "row"), log_likelihood(x)[..., None])}),
        }
    )
    for group, component in (("prior", log_prior(x)), ("likelihood", log_likelihood(x))):
        theirs = arviz_stats.psense(tree, group=group, alphas=ALPHAS, sample_dims=list(chains))
        weights = [sensitivity.power_scaled(component.ravel(), a).weight for a in ALPHAS]
        ours = sensitivity.sensitivity(x.ravel(), *weights)
        assert ours == pytest.approx(float(theirs["x"]), rel=0.05), group  # tails smoothed apart


def test_the_distance_is_that_of_the_integral_over_normal_distribution_functions():
    x = stats.norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS)
    weight = np.exp(0.5 * x)
    at = np.linspace(-9, 9, 200_001)

    def distance(p, q):
        middle = (p + q) / 2

        def against(own, other):
            bits = own * np.log2(own / middle) + 0.5 / math.log(2) * (other - own)
            return np.trapezoid(bits, at)

        return math.sqrt((against(p, q) + against(q, p)) / np.trapezoid(p + q, at))

    # Only up to the largest draw: beyond it both are 1 and would make the bound larger.
    at = at[at <= x[-1]]
    p, q = stats.norm.cdf(at), stats.norm(0.5, 1).cdf(at)
    exact = max(distance(p, q), distance(stats.norm.sf(-at), stats.norm(0.5, 1).sf(-at)))
    assert sensitivity.cumulative_distance(x, weight) == pytest.approx(exact, rel=0.01)


def test_distance_does_not_depend_on_unit_sign_or_order():
    rng = np.random.default_rng(8)
    x, weight = rng.normal(size=500), rng.random(500)
    plain = sensitivity.cumulative_distance(x, weight)
    shuffled = rng.permutation(500)
    assert sensitivity.cumulative_distance(1000.0 * x + 7.0, weight) == pytest.approx(plain)
    assert sensitivity.cumulative_distance(-x, weight) == pytest.approx(plain)
    assert sensitivity.cumulative_distance(x[shuffled], weight[shuffled]) == pytest.approx(plain)
    assert sensitivity.cumulative_distance(np.ones(500), weight) == 0.0
    with pytest.raises(ValuationError, match="not all of them are finite"):
        sensitivity.cumulative_distance(np.append(x[1:], np.inf), weight)


@pytest.mark.parametrize(
    ("prior", "likelihood", "said"),
    [
        (0.01, 0.30, ""),
        (0.10, 0.02, sensitivity.LEANS),
        (0.10, None, sensitivity.LEANS),
        (0.10, 0.30, sensitivity.CONFLICT),
        (0.05, 0.05, sensitivity.CONFLICT),
    ],
)
def test_two_sensitivities_say_together_whether_prior_and_data_disagree(prior, likelihood, said):
    assert sensitivity.diagnosis(prior, likelihood, 0.05) == said


def test_a_prior_far_from_the_data_is_flagged_and_one_that_agrees_is_not():
    def said(prior_mean: float) -> str:
        place = (np.arange(4000) + 0.5) / 4000
        precision = 1 / 1.0 + 1 / 1.0
        x = stats.norm((prior_mean + SEEN) / precision, precision**-0.5).ppf(place)
        found = []
        for component in (stats.norm(prior_mean, 1.0).logpdf(x), stats.norm(x, 1.0).logpdf(SEEN)):
            weights = [sensitivity.power_scaled(component, a).weight for a in ALPHAS]
            found.append(sensitivity.sensitivity(x, *weights))
        return sensitivity.diagnosis(*found, 0.05)

    assert said(SEEN - 4.0) == sensitivity.CONFLICT
    wide = stats.norm(SEEN, 0.1).ppf((np.arange(4000) + 0.5) / 4000)
    flat = stats.norm(SEEN, 50.0).logpdf(wide)
    weights = [sensitivity.power_scaled(flat, a).weight for a in ALPHAS]
    assert sensitivity.diagnosis(sensitivity.sensitivity(wide, *weights), 0.3, 0.05) == ""


# Tilts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-1.0, 0.5, 2.0])
def test_a_tilted_normal_prior_is_the_prior_so_many_standard_deviations_on(draws, shift):
    weights = sensitivity.tilted(sensitivity.normal_score(Normal, draws), shift)
    mean, sd = posterior_of(mean=shift * PRIOR_SD)
    found = float(weights.weight @ draws)
    assert found == pytest.approx(mean, abs=0.01)
    assert math.sqrt(weights.weight @ (draws - found) ** 2) == pytest.approx(sd, rel=0.02)


def test_draws_of_a_prior_shift_to_draws_of_the_tilted_prior():
    prior = load_priors("params/priors.yaml").get()["uplift_at_frontier"]
    place = (np.arange(20_000) + 0.5) / 20_000
    x = prior.ppf(place)
    np.testing.assert_allclose(sensitivity.shifted(prior, x, 0.0), x, rtol=1e-9)
    moved = sensitivity.shifted(prior, x, 1.0)
    np.testing.assert_allclose(np.log(moved) - np.log(x), prior.parameters["sigma"], rtol=1e-6)
    weights = sensitivity.tilted(sensitivity.normal_score(prior, x), 1.0)
    assert weights.weight @ np.log(x) == pytest.approx(np.log(moved).mean(), rel=0.01)


def test_values_at_the_ends_of_a_prior_keep_a_finite_score():
    prior = load_priors("params/priors.yaml").get()["share_due_to_deal"]
    score = sensitivity.normal_score(prior, np.array([0.0, 1e-300, 1.0]))
    assert np.isfinite(score).all()
    assert np.isfinite(sensitivity.shifted(prior, np.array([1e-300, 0.9999]), 3.0)).all()


def test_the_shift_that_reaches_even_odds_is_that_of_the_closed_form(draws):
    score = sensitivity.normal_score(Normal, draws)
    cut = posterior_of()[0] + 0.5
    event = draws > cut

    def chance(shift: float) -> tuple[float, float | None]:
        weights = sensitivity.tilted(score, shift)
        return float(weights.weight @ event), weights.khat

    found = sensitivity.shift_to(chance, target=0.5, direction=1.0)
    gain = PRIOR_SD * (1 / PRIOR_SD**2) / (1 / PRIOR_SD**2 + 1 / DATA_SD**2)
    assert found.shift == pytest.approx(0.5 / gain, abs=0.02)
    assert found.probability == pytest.approx(0.5, abs=0.01)
    assert found.khat is not None
    assert found.khat < 0.7
    away = sensitivity.shift_to(chance, target=0.5, direction=-1.0)
    assert away.shift is None
    assert away.reach == -3.0
    assert away.probability < event.mean()


def test_a_search_ends_where_the_weights_are_not_to_be_trusted():
    def chance(shift: float) -> tuple[float, float | None] | None:
        return (0.1 + 0.1 * shift, 0.3) if shift <= 1.6 else None

    found = sensitivity.shift_to(chance, target=0.5, direction=1.0)
    assert found.shift is None
    assert found.reach == 1.5
    assert found.probability == pytest.approx(0.25)
    assert sensitivity.shift_to(chance, target=0.1, direction=1.0).shift == 0.0
    assert sensitivity.shift_to(chance, target=0.2, direction=1.0).shift == pytest.approx(1.0)
    with pytest.raises(ValuationError, match="without any shift"):
        sensitivity.shift_to(lambda shift: None, target=0.5, direction=1.0)


# Pools --------------------------------------------------------------------------------------------


def test_a_pool_has_the_mean_and_the_variance_of_the_mixture():
    rng = np.random.default_rng(11)
    parts = {"low": rng.normal(-3.0, 1.0, 4000), "high": rng.normal(5.0, 2.0, 4000)}
    even = {name: np.full(4000, 1 / 4000) for name in parts}
    found = sensitivity.pooled(parts, even, {"low": 3.0, "high": 1.0})
    mixture = np.concatenate([np.tile(parts["low"], 3), parts["high"]])
    assert found.estimate.value == pytest.approx(mixture.mean())
    assert found.within + found.between == pytest.approx(mixture.var())
    assert found.between_share == pytest.approx(0.75 * 0.25 * 64 / mixture.var(), rel=0.05)
    apart = math.sqrt((0.75 * 1.0) ** 2 / 4000 + (0.25 * 2.0) ** 2 / 4000)
    assert found.estimate.mcse == pytest.approx(apart, rel=0.1)


def test_a_pool_is_no_average_of_parameters():
    """Two sure sets that disagree make an even chance, with all of its variance between them."""
    sure = {"no": np.zeros(100), "yes": np.ones(100)}
    even = {name: np.ones(100) for name in sure}
    found = sensitivity.pooled(sure, even, {"no": 1.0, "yes": 1.0})
    assert found.estimate.value == pytest.approx(0.5)
    assert found.between_share == pytest.approx(1.0)
    assert found.estimate.mcse == pytest.approx(0.0, abs=1e-12)


def test_noise_that_parts_share_counts_once():
    x = np.random.default_rng(2).normal(size=4000)
    even = np.ones(4000)
    shares = {"a": 0.5, "b": 0.5}
    same = sensitivity.pooled({"a": x, "b": x}, {"a": even, "b": even}, shares)
    opposite = sensitivity.pooled({"a": x, "b": -x}, {"a": even, "b": even}, shares)
    assert same.estimate.mcse == pytest.approx(x.std() / math.sqrt(4000))
    assert opposite.estimate.mcse == pytest.approx(0.0, abs=1e-12)
    longer = sensitivity.pooled(
        {"a": x, "b": np.tile(x, 2)}, {"a": even, "b": np.ones(8000)}, shares
    )
    assert longer.estimate.mcse == pytest.approx(x.std() / math.sqrt(4000) * math.sqrt(3 / 8))
    with pytest.raises(ParameterError, match="draws, weights and a share"):
        sensitivity.pooled({"a": x}, {"a": even}, shares)


def test_evidence_moves_belief_between_sets_by_their_marginal_likelihoods(draws):
    def marginal(mean: float) -> float:
        return float(stats.norm(mean, math.hypot(PRIOR_SD, DATA_SD)).pdf(SEEN))

    ratio = {
        "house": np.zeros(DRAWS),
        "other": stats.norm(1.0, PRIOR_SD).logpdf(draws) - log_prior(draws),
    }
    found = sensitivity.shares_after(ratio, {"house": 0.5, "other": 0.5})
    worth = {"house": marginal(0.0), "other": marginal(1.0)}
    assert found["other"] == pytest.approx(worth["other"] / sum(worth.values()), abs=0.002)
    assert sum(found.values()) == pytest.approx(1.0)
