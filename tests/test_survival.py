"""Life courses of any table: read strictly, and given the likelihood that the deal's own rows get."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from valuation import conjugate, survival
from valuation.errors import DataError, GateError, ModelError, ParameterError, ValuationError
from valuation.ops import numpy_ops, pytensor_ops
from valuation.schema import DAYS_PER_MONTH
from valuation.survival.hazards import hazards
from valuation.survival.likelihood import BLOCK, likelihood

OPS = numpy_ops()
DATED = survival.Columns(unit="months", duration="t", event="gone")

# Parameters to evaluate at, and the distribution they mean.
CONTINUOUS = {
    "exponential": ({"rate": 0.07}, stats.expon(scale=1 / 0.07)),
    "weibull": ({"scale": 14.0, "shape": 1.3}, stats.weibull_min(1.3, scale=14.0)),
    "lognormal": ({"mu": 2.4, "sigma": 0.8}, stats.lognorm(0.8, scale=math.exp(2.4))),
    "log_logistic": ({"scale": 11.0, "shape": 1.7}, stats.fisk(1.7, scale=11.0)),
}
DISCRETE = {
    "geometric": ({"theta": 0.2}, lambda n: 0.8**n),
    "sbg": (
        {"alpha": 0.9, "beta": 3.1},
        lambda n: np.exp(special.betaln(0.9, 3.1 + n) - special.betaln(0.9, 3.1)),
    ),
}


def table(*rows: tuple[float, float, float]) -> pd.DataFrame:
    """Rows of entry, lower and upper."""
    return pd.DataFrame(rows, columns=["start", "lower", "upper"])


MIXED = table(
    (0, 3.5, 3.5), (0, 8, np.inf), (0, 2, 6), (0, 0, 4), (2, 5, 5), (3, 9, np.inf), (1, 4, 7)
)
WINDOWS = survival.Columns(unit="months", lower="lower", upper="upper", entry="start")


def log_likelihood(
    data: pd.DataFrame, family: str, parameters: dict[str, float], **columns
) -> float:
    read = survival.lives(data, **columns)
    rows = likelihood(hazards(family, read), read)
    given = {name: np.atleast_1d(np.float64(x)) for name, x in parameters.items()}
    return float(np.squeeze(rows.log_likelihood(given, OPS)))


def by_definition(data: pd.DataFrame, sf, pdf) -> float:
    total = 0.0
    for start, low, high in data.itertuples(index=False):
        chance = pdf(low) if low == high else sf(low) - (0.0 if np.isinf(high) else sf(high))
        total += math.log(chance / sf(start))
    return total


# --- the likelihood -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(CONTINUOUS))
def test_days_windows_sightings_and_late_entries_count_as_scipy_says(family):
    parameters, law = CONTINUOUS[family]
    found = log_likelihood(MIXED, family, parameters, **WINDOWS)
    assert found == pytest.approx(by_definition(MIXED, law.sf, law.pdf), rel=1e-10)


@pytest.mark.parametrize("family", sorted(DISCRETE))
def test_an_event_in_whole_time_is_a_fall_of_survival(family):
    parameters, sf = DISCRETE[family]
    data = table((0, 3, 3), (0, 8, np.inf), (0, 2, 6), (2, 5, 5), (0, 1, 1))
    found = log_likelihood(data, family, parameters, **WINDOWS)
    expected = by_definition(data, sf, lambda n: sf(n - 1) - sf(n))
    assert found == pytest.approx(expected, rel=1e-10)


def test_the_deals_retention_model_reads_a_table_as_its_equation_says():
    names = {"exit_hazard_a": 0.03, "exit_hazard_b": 0.01, "exit_hazard_shift": 0.2}
    steps = np.array([0.4, -0.3, 0.2, -0.6])
    given = {name: np.float64(x) for name, x in names.items()}
    given |= {"exit_hazard_drift": np.float64(0.5), "exit_hazard_steps": steps}
    data = pd.concat([MIXED.assign(g="a"), (MIXED * 9).assign(g="b")], ignore_index=True)
    read = survival.lives(data, group="g", **WINDOWS)
    found = float(likelihood(hazards("piecewise", read), read).log_likelihood(given, OPS))

    walk = np.append(0.0, np.cumsum(0.5 * steps))
    breaks = np.array([0, 6, 12, 24, 48, np.inf])
    expected = 0.0
    for group, level in (("a", 0.03), ("b", 0.01)):
        h = level * np.exp(0.2 + walk)
        sf = lambda t, h=h: math.exp(-sum(h * np.clip(t - breaks[:-1], 0, np.diff(breaks))))  # noqa: E731
        pdf = lambda t, h=h, sf=sf: h[np.searchsorted(breaks, t, "right") - 1] * sf(t)  # noqa: E731
        part = data.loc[data["g"] == group, ["start", "lower", "upper"]]
        expected += by_definition(part, sf, pdf)
    assert found == pytest.approx(expected, rel=1e-10)


def test_the_deals_churn_model_reads_a_table_as_its_equation_says():
    b, share, effect, decay = 0.02, 0.6, 2.0, 5.0
    given = {
        "churn_hazard_all": np.float64(b),
        "conflict_share": np.float64(share),
        "conflict_effect": np.float64(effect),
        "conflict_decay_months": np.float64(decay),
    }
    data = pd.concat([MIXED.assign(rival=0), MIXED.assign(rival=1)], ignore_index=True)
    read = survival.lives(data, conflict="rival", **WINDOWS)
    found = float(likelihood(hazards("conflict", read), read).log_likelihood(given, OPS))

    def sf(t, c):
        surge = math.exp(-b * math.expm1(effect) * decay * -math.expm1(-t / decay))
        return math.exp(-b * t) * (1 - share * c + share * c * surge)

    expected = 0.0
    for c in (0, 1):
        slope = lambda t, c=c: (sf(t - 1e-5, c) - sf(t + 1e-5, c)) / 2e-5  # noqa: E731
        expected += by_definition(MIXED, lambda t, c=c: sf(t, c), slope)
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("family", ["piecewise", "conflict", *CONTINUOUS])
def test_a_table_in_weeks_says_the_same_as_in_months(family):
    """But for the unit of a density: a factor for each event whose day is known."""
    month = 7.0 / DAYS_PER_MONTH  # of a week
    read = [
        survival.lives(frame, unit=unit, lower="lower", upper="upper", entry="start")
        for frame, unit in ((MIXED, "weeks"), (MIXED * month, "months"))
    ]
    found = []
    for lives in read:
        made = hazards(family, lives)
        scale = lives.months_per_unit
        deals = {n: np.float64(p.ppf(0.4)) for n, (dim, p) in made.declared.items() if dim is None}
        deals |= {n: np.zeros(4) for n, (dim, _) in made.declared.items() if dim == "piece"}
        own = {
            "rate": 0.07 * scale, "scale": 14.0 / scale, "shape": 1.3, "sigma": 0.8,
            "mu": 2.4 - math.log(scale),
        }  # fmt: skip
        group = {n: np.array([own[n]]) for n, (dim, _) in made.declared.items() if dim == "group"}
        found.append(float(np.squeeze(likelihood(made, lives).log_likelihood(deals | group, OPS))))
    exact = (MIXED["lower"] == MIXED["upper"]).sum()
    assert found[0] == pytest.approx(found[1] + exact * math.log(month), rel=1e-9)


@pytest.mark.parametrize("family", ["piecewise", "conflict", *CONTINUOUS, *DISCRETE])
def test_sampling_and_updating_see_one_likelihood(family):
    import pytensor

    data = table((0, 3, 3), (0, 8, np.inf), (0, 2, 6), (2, 5, 5)).assign(x=[0.0, 1.0, 2.0, 0.5])
    read = survival.lives(data, covariates=["x"], **WINDOWS)
    made = hazards(family, read)
    rows = likelihood(made, read)
    given = {}
    for name, (dim, prior) in made.declared.items():
        length = {None: (), "group": (1,), "piece": (4,), "covariate": (1,)}[dim]
        given[name] = np.full(length, float(prior.ppf(0.6)))
    symbols = {name: pytensor.shared(value) for name, value in given.items()}
    graph = rows.log_likelihood(symbols, pytensor_ops())
    found = pytensor.function([], graph, mode="FAST_COMPILE")()
    assert float(np.squeeze(found)) == pytest.approx(
        float(np.squeeze(rows.log_likelihood(given, OPS))), rel=1e-10
    )


def test_draws_in_front_give_one_likelihood_each():
    read = survival.lives(MIXED, **WINDOWS)
    rows = likelihood(hazards("weibull", read), read)
    scale, shape = np.array([[10.0], [14.0], [20.0]]), np.array([[1.0], [1.3], [0.7]])
    found = rows.log_likelihood({"scale": scale, "shape": shape}, OPS)
    one = [
        log_likelihood(MIXED, "weibull", {"scale": a, "shape": b}, **WINDOWS)
        for a, b in zip(scale[:, 0], shape[:, 0], strict=True)
    ]
    np.testing.assert_allclose(found, one, rtol=1e-12)


def test_a_table_of_many_different_rows_is_the_sum_of_its_rows():
    t = np.linspace(0.1, 30.0, 2 * BLOCK + 7)
    data = pd.DataFrame({"t": t, "gone": 1})
    found = log_likelihood(data, "weibull", {"scale": 14.0, "shape": 1.3}, **DATED)
    assert found == pytest.approx(CONTINUOUS["weibull"][1].logpdf(t).sum(), rel=1e-10)


def test_a_count_is_that_many_rows_in_any_order():
    data = pd.DataFrame({"t": [3.0, 5.0, 8.0], "gone": [1, 0, 1], "n": [4, 1, 2]})
    long = data.loc[data.index.repeat(data["n"])].sample(frac=1, random_state=1)
    parameters = {"scale": 9.0, "shape": 0.8}
    counted = log_likelihood(data, "weibull", parameters, count="n", **DATED)
    assert counted == pytest.approx(log_likelihood(long, "weibull", parameters, **DATED), rel=1e-12)


def test_a_covariate_multiplies_the_hazard():
    data = pd.DataFrame({"t": [3.0, 7.0], "gone": [1, 0], "x": [2.0, -1.0]})
    given = {"rate": 0.1, "log_hazard_ratio": 0.4}
    found = log_likelihood(data, "exponential", given, covariates=["x"], **DATED)
    rate = 0.1 * np.exp(0.4 * data["x"])
    expected = (data["gone"] * np.log(rate) - rate * data["t"]).sum()
    assert found == pytest.approx(expected, rel=1e-12)


# --- reading --------------------------------------------------------------------------------------

GOOD = pd.DataFrame({"t": [1.0, 2.0, 3.0, 4.0], "gone": [1, 0, 1, 0], "who": list("abcd")})


def replaced(column: str, row: int, value: object) -> pd.DataFrame:
    values = GOOD[column].tolist()
    values[row] = value
    return GOOD.assign(**{column: values})


@pytest.mark.parametrize(
    ("frame", "changes", "words"),
    [
        (GOOD.assign(gone=[1, 2, 1, 2]), {}, r"'gone', rows 1, 3 .*neither 0 nor 1.*frame\['gone'\] == 2"),
        (replaced("gone", 2, np.nan), {}, r"'gone', row 2 .*is missing"),
        (replaced("t", 1, np.nan), {}, r"'t', row 1 .*is missing"),
        (replaced("t", 3, -0.5), {}, r"'t', row 3 .*is negative"),
        (replaced("t", 0, np.inf), {}, r"'t', row 0 .*is infinite"),
        (replaced("t", 0, "soon"), {}, r"'t', row 0 .*is not a number"),
        (replaced("gone", 0, None), {}, r"'gone', row 0 .*is missing"),
        (replaced("t", 2, 36_500.0), {}, r"'t', row 2 .*beyond 1,200 months, a hundred years"),
        (GOOD, {"unit": "fortnights"}, "'fortnights' is not known; give one of hours, days, weeks, months"),
        (GOOD.rename(columns={"t": "tenure_days"}), {"duration": "tenure_days"}, "says days, but unit='months'"),
        (GOOD.assign(t=pd.to_timedelta([1, 2, 3, 4], "D")), {}, "divide time spans by pd.Timedelta"),
        (GOOD.assign(t=[True, True, False, True]), {}, "True and False; give times in months"),
        (GOOD.drop(columns="t"), {}, "no single column named 't'; the table has 'gone', 'who'"),
        (GOOD.iloc[:0], {}, "has no rows"),
        (replaced("who", 1, "a"), {"entity": "who"}, r"'who', rows 0, 1 .*occurs more than once"),
        (replaced("who", 1, None), {"group": "who"}, r"'who', row 1 .*is missing; name the group"),
        (GOOD.assign(n=[1, 1, 0.5, 2]), {"count": "n"}, r"'n', row 2 .*whole number"),
        (GOOD.assign(s=[0, 0, 3, 0]), {"entry": "s"}, r"'s', row 2 .*not before the end"),
        (GOOD.assign(x=[1, 2, np.nan, 4]), {"covariates": ["x"]}, r"'x', row 2 .*is missing"),
        (GOOD, {"covariates": "t"}, r"write \['t'\]"),
        (GOOD.assign(c=[0, 1, 2, 0]), {"conflict": "c"}, r"'c', row 2 .*neither 0 nor 1"),
        (GOOD.assign(n=[0, 0, 0, 0]), {"count": "n"}, "every count is 0"),
        (GOOD, {"lower": "t"}, "duration and event, or lower and upper"),
        ([1, 2], {}, "expected a DataFrame, got list"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_meant_is_refused_by_its_row(frame, changes, words):
    with pytest.raises(DataError, match=words) as caught:
        survival.lives(frame, **{**DATED, **changes})
    assert isinstance(caught.value, ValuationError)
    assert isinstance(caught.value, ValueError)


def test_every_problem_of_a_table_is_told_at_once():
    frame = GOOD.assign(t=[1.0, np.nan, -3.0, 4.0], gone=[1, 2, 0, 1])
    with pytest.raises(DataError) as caught:
        survival.lives(frame, **DATED)
    assert len(caught.value.problems) == 3


def test_many_bad_rows_are_counted_not_listed():
    frame = pd.DataFrame({"t": np.arange(40.0) - 30.0, "gone": 1})
    with pytest.raises(DataError, match=r"rows 0, 1, 2, 3, 4 and 25 more \(counted from 0\)"):
        survival.lives(frame, **DATED)


@pytest.mark.parametrize(
    ("left", "years", "words"),
    [
        ([100, 80, 85], [0, 1, 2], "rises from 80 to 85 in row 2"),
        ([100, 80], [1, 2], "starts at 1 .*add the row of time 0"),
        ([100, 80, 70], [0, 1, 1], "two rows of cohort 'all' at 1"),
        ([1.0, 0.8], [0, 1], "whole number, 0 or more; give counts, not shares"),
    ],
)
def test_a_cohort_that_cannot_be_counted_is_refused(left, years, words):
    frame = pd.DataFrame({"year": years, "left": left})
    with pytest.raises(DataError, match=words):
        survival.lives(frame, unit="years", duration="year", survivors="left")


def test_survivors_of_cohorts_are_windows_and_sightings():
    frame = pd.DataFrame(
        {"year": [0, 1, 3, 0, 2], "left": [10, 7, 7, 5, 1], "cohort": ["a", "a", "a", "b", "b"]}
    )
    read = survival.lives(frame, unit="years", duration="year", survivors="left", group="cohort")
    rows = set(zip(read.group, read.lower, read.upper, read.count, strict=True))
    assert rows == {(0, 0, 1, 3), (0, 3, np.inf, 7), (1, 0, 2, 4), (1, 2, np.inf, 1)}


def test_the_unit_is_required():
    with pytest.raises(DataError, match="unit is required; give one of hours"):
        survival.maximum_likelihood(GOOD, family="weibull", duration="t", event="gone")


def test_a_table_is_read_once():
    read = survival.lives(GOOD, **DATED)
    with pytest.raises(DataError, match="leave out duration, event, unit"):
        survival.kaplan_meier(read, **DATED)
    assert survival.kaplan_meier(read).equals(survival.kaplan_meier(GOOD, **DATED))


def test_an_event_on_the_first_day_has_no_density():
    with pytest.raises(DataError, match="event at time 0 has no density"):
        survival.maximum_likelihood(replaced("t", 0, 0.0), family="weibull", **DATED)


def test_whole_times_are_required_where_time_is_discrete():
    with pytest.raises(DataError, match=r"whole months for a family of discrete time, got 2\.5"):
        survival.maximum_likelihood(replaced("t", 1, 2.5), family="sbg", **DATED)


def test_a_conflict_is_refused_where_nothing_reads_it():
    with pytest.raises(DataError, match="read by the family 'conflict' only"):
        survival.maximum_likelihood(
            GOOD.assign(c=[0, 1, 0, 1]), family="weibull", conflict="c", **DATED
        )


# --- maximum likelihood ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def censored() -> tuple[pd.DataFrame, stats.CensoredData]:
    """Windows, exact days, sightings, and events before a first look."""
    rng = np.random.default_rng(3)
    life = rng.weibull(1.6, 300) * 12.0
    low, high = np.floor(life), np.floor(life) + 1.0
    low[:80], high[:80] = life[:80], life[:80]
    late = life > 15.0
    low[late], high[late] = 15.0, np.inf
    data = stats.CensoredData(interval=np.column_stack([low, high]))
    return pd.DataFrame({"lower": low, "upper": high}), data


@pytest.mark.parametrize(
    ("family", "law", "read"),
    [
        ("weibull", stats.weibull_min, lambda c, s: {"scale": s, "shape": c}),
        ("lognormal", stats.lognorm, lambda c, s: {"mu": math.log(s), "sigma": c}),
        ("log_logistic", stats.fisk, lambda c, s: {"scale": s, "shape": c}),
    ],
)
def test_the_maximum_is_that_of_scipy_with_every_kind_of_censoring(censored, family, law, read):
    frame, data = censored
    fit = survival.maximum_likelihood(
        frame, family=family, unit="days", lower="lower", upper="upper"
    )
    shape, _, scale = law.fit(data, floc=0)
    for name, value in read(shape, scale).items():
        assert float(fit.parameters[name]) == pytest.approx(value, rel=1e-3)
    columns = survival.Columns(unit="days", lower="lower", upper="upper")
    theirs = log_likelihood(frame, family, read(shape, scale), **columns)
    assert theirs - 1e-9 <= fit.log_likelihood <= theirs + 1e-3


def test_a_constant_hazard_is_events_by_time_at_risk():
    frame = pd.DataFrame(
        {"t": [2.0, 3.0, 7.0, 9.0], "gone": [1, 0, 1, 1], "s": [0.0, 0.0, 4.0, 1.0]}
    )
    fit = survival.maximum_likelihood(frame, family="exponential", entry="s", **DATED)
    assert float(fit.parameters["rate"]) == pytest.approx(3 / (2 + 3 + 3 + 8), rel=1e-6)
    assert float(fit.standard_errors["rate"]) == pytest.approx(math.sqrt(3) / 16, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(3 * math.log(3 / 16) - 3, rel=1e-9)
    assert fit.aic == pytest.approx(2 - 2 * fit.log_likelihood)


def test_a_constant_chance_of_leaving_is_departures_by_periods():
    frame = pd.DataFrame({"year": [0, 1, 2, 3], "left": [100, 80, 70, 49]})
    fit = survival.maximum_likelihood(
        frame, family="geometric", unit="years", duration="year", survivors="left"
    )
    assert float(fit.parameters["theta"]) == pytest.approx(51 / 250, rel=1e-6)


def test_groups_are_fitted_each_by_itself():
    frame = GOOD.assign(g=["x", "y", "y", "x"], gone=[1, 1, 1, 0])
    both = survival.maximum_likelihood(frame, family="exponential", group="g", **DATED)
    for name in "xy":
        alone = survival.maximum_likelihood(
            frame[frame["g"] == name], family="exponential", **DATED
        )
        assert float(both.parameters["rate"].sel(group=name)) == pytest.approx(
            float(alone.parameters["rate"]), rel=1e-6
        )


def test_a_likelihood_without_a_maximum_is_refused():
    constant = pd.DataFrame({"year": [0, 1, 2, 3], "left": [1000, 700, 490, 343]})
    with pytest.raises(ModelError, match=r"no finite maximum .*simpler family"):
        survival.maximum_likelihood(
            constant, family="sbg", unit="years", duration="year", survivors="left"
        )
    frame = GOOD.assign(gone=0)
    with pytest.raises(DataError, match="no event in all"):
        survival.maximum_likelihood(frame, family="weibull", **DATED)
    with pytest.raises(DataError, match="covariate x never varies"):
        survival.maximum_likelihood(GOOD.assign(x=2), family="weibull", covariates=["x"], **DATED)


@pytest.mark.parametrize("name", ["gompertz", "piecewise"])
def test_an_unknown_family_is_answered_with_the_known_ones(name):
    with pytest.raises(ParameterError, match="give one of exponential, weibull, lognormal"):
        survival.maximum_likelihood(GOOD, family=name, **DATED)
    with pytest.raises(ParameterError, match="give one of piecewise, conflict, exponential"):
        survival.fit_retention(GOOD, family="gompertz", random_seed=1, **DATED)


@pytest.mark.slow
def test_an_interval_of_survival_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(8)
    truth, hits = math.exp(-((6.0 / 10.0) ** 1.5)), 0
    for _ in range(200):
        life = rng.weibull(1.5, 60) * 10.0
        frame = pd.DataFrame({"t": np.minimum(life, 12.0), "gone": life <= 12.0})
        fit = survival.maximum_likelihood(frame, family="weibull", **DATED)
        found = survival.survival(fit, 6.0)
        hits += bool(found["lower"].item() <= truth <= found["upper"].item())
    assert abs(hits - 180) <= 4 * math.sqrt(18)  # four errors of a count out of 200


def test_survival_given_survival_is_a_ratio():
    fit = survival.maximum_likelihood(GOOD, family="weibull", **DATED)
    plain = survival.survival(fit, [2.0, 5.0])["survival"].to_numpy()
    later = survival.survival(fit, 5.0, given=2.0)["survival"].item()
    assert later == pytest.approx(plain[1] / plain[0], rel=1e-12)


def test_survival_is_asked_of_times_and_covariates_that_there_are():
    fit = survival.maximum_likelihood(
        GOOD.assign(x=[1.0, 2.0, 2.0, 1.0]), family="exponential", covariates=["x"], **DATED
    )
    low, high = (survival.survival(fit, 3.0, at={"x": x})["survival"].item() for x in (1.0, 2.0))
    ratio = float(fit.parameters["log_hazard_ratio"].item())
    assert math.log(high) / math.log(low) == pytest.approx(math.exp(ratio), rel=1e-9)
    with pytest.raises(ParameterError, match="no covariate y; the fit has x"):
        survival.survival(fit, 3.0, at={"y": 1.0})
    for times in (np.nan, -1.0):
        with pytest.raises(ParameterError, match="times must be finite"):
            survival.survival(fit, times)


# --- quadrature -----------------------------------------------------------------------------------


def test_quadrature_of_a_constant_hazard_is_the_conjugate_posterior():
    known = conjugate.gamma_exponential(2.0, 10.0, durations=GOOD["t"], events=GOOD["gone"])
    prior = survival.prior("gamma", alpha=2.0, beta=10.0)
    fit = survival.integrate(GOOD, family="exponential", priors={"rate": prior}, **DATED)
    assert float(fit.mean["rate"]) == pytest.approx(known.mean, rel=1e-9)
    assert float(fit.sd["rate"]) == pytest.approx(known.sd, rel=1e-9)
    found = survival.survival(fit, [1.0, 12.0])
    np.testing.assert_allclose(found["survival"], known.survival([1.0, 12.0]), rtol=1e-9)
    evidence = 2 * math.log(10) - 4 * math.log(20) + math.lgamma(4) - math.lgamma(2)
    assert fit.log_evidence == pytest.approx(evidence, rel=1e-9)


def test_quadrature_of_a_constant_chance_is_the_conjugate_posterior():
    frame = pd.DataFrame({"year": [0, 1, 2], "left": [10, 7, 6]})
    fit = survival.integrate(
        frame, family="geometric", unit="years", duration="year", survivors="left"
    )
    known = conjugate.beta_binomial(1, 1, successes=4, trials=17)
    assert float(fit.mean["theta"]) == pytest.approx(known.mean, rel=1e-9)
    assert float(fit.sd["theta"]) == pytest.approx(known.sd, rel=1e-9)


def test_the_interval_of_a_quadrature_is_that_of_the_posterior():
    prior = survival.prior("gamma", alpha=2.0, beta=10.0)
    fit = survival.integrate(GOOD, family="exponential", priors={"rate": prior}, **DATED)
    found = survival.survival(fit, 5.0)
    low, high = conjugate.Gamma(4.0, 20.0).interval()
    assert found["lower"].item() == pytest.approx(math.exp(-5 * high), rel=0.05)
    assert found["upper"].item() == pytest.approx(math.exp(-5 * low), rel=0.05)


def test_quadrature_takes_one_group_and_known_parameters():
    with pytest.raises(DataError, match="one group without covariates"):
        survival.integrate(GOOD, family="weibull", group="who", **DATED)
    with pytest.raises(ParameterError, match="weibull has no parameter rate; it has scale, shape"):
        survival.integrate(
            GOOD, family="weibull", priors={"rate": survival.prior("halfnormal", sigma=1)}, **DATED
        )


# --- without a family -----------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=2, max_size=25).filter(
        lambda rows: any(gone for _, gone in rows)
    )
)
def test_the_product_limit_is_that_of_scipy_with_ties(rows):
    frame = pd.DataFrame(rows, columns=["t", "gone"])
    found = survival.kaplan_meier(frame, **DATED)
    data = stats.CensoredData.right_censored(frame["t"], ~frame["gone"])
    theirs = stats.ecdf(data).sf
    at = np.arange(0.0, frame["t"].max() + 1.0)
    ours = survival.survival_at(found, at).to_numpy()
    np.testing.assert_allclose(ours, theirs.evaluate(at), atol=1e-12)
    middle = found["survival"].sel(time=theirs.quantiles).to_numpy()
    sure = (middle > 0.0) & (middle < 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where survival is 0 or 1
        band = theirs.confidence_interval(0.9, method="log-log")
    lower = found["lower"].sel(time=theirs.quantiles).to_numpy()
    np.testing.assert_allclose(lower[sure], band.low.probabilities[sure], atol=1e-9)


def test_the_product_limit_counts_who_is_there():
    frame = pd.DataFrame(
        {
            "t": [3, 3, 5, 5, 8],
            "gone": [1, 0, 1, 1, 0],
            "start": [0, 0, 3, 0, 4],
            "n": [2, 1, 1, 1, 1],
        }
    )
    found = survival.kaplan_meier(frame, entry="start", count="n", **DATED)
    assert found["time"].to_numpy().tolist() == [0, 3, 5, 8]
    assert found["at_risk"].to_numpy().tolist() == [4, 4, 3, 1]
    assert found["events"].to_numpy().tolist() == [0, 2, 2, 0]
    assert found["censored"].to_numpy().tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(found["survival"], [1, 1 / 2, 1 / 6, 1 / 6])
    np.testing.assert_allclose(found["sd"][1], 0.5 * math.sqrt(2 / (4 * 2)))


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans(), st.integers(1, 3)),
        min_size=1,
        max_size=15,
    )
)
def test_who_is_at_risk_came_before_and_is_not_yet_gone(rows):
    frame = pd.DataFrame(rows, columns=["start", "more", "gone", "n"])
    frame["t"] = frame["start"] + frame["more"]
    frame = frame[~(frame["gone"] & (frame["more"] == 0))]
    if frame.empty:
        return
    found = survival.kaplan_meier(frame, entry="start", count="n", **DATED)
    for time, risk in zip(found["time"].to_numpy(), found["at_risk"].to_numpy(), strict=True):
        came = (frame["start"] < time) | ((frame["start"] == 0) & (time == 0))
        assert risk == frame.loc[came & (frame["t"] >= time), "n"].sum()


def test_a_median_is_the_first_time_that_half_are_gone():
    median = lambda gone: float(  # noqa: E731
        survival.median_time(survival.kaplan_meier(GOOD.assign(gone=gone), **DATED))
    )
    assert median([1, 1, 1, 1]) == 2.0
    assert median([0, 1, 1, 1]) == 3.0
    assert median([1, 0, 0, 0]) == math.inf


@pytest.mark.parametrize(
    ("q", "time"), [(0.2, 1.0), (0.25, 1.0), (0.26, 2.0), (0.75, 3.0), (0.8, 4.0)]
)
def test_a_quantile_is_the_first_time_by_which_that_share_are_gone(q, time):
    found = survival.kaplan_meier(GOOD.assign(gone=1), **DATED)  # one of four in each month
    assert float(survival.quantile_time(found, q)) == time


def test_nothing_is_said_beyond_the_last_sighting():
    found = survival.kaplan_meier(GOOD, **DATED)
    with pytest.raises(ParameterError, match="nobody was observed beyond 4 months"):
        survival.survival_at(found, 5.0)
    ended = survival.kaplan_meier(replaced("gone", 3, 1), **DATED)
    assert survival.survival_at(ended, 5.0).item() == 0.0


def test_windows_have_no_product_limit():
    with pytest.raises(DataError, match="events in windows"):
        survival.kaplan_meier(MIXED, **WINDOWS)


def test_the_comparison_of_two_groups_is_that_of_scipy():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {"t": rng.integers(1, 12, 60), "gone": rng.random(60) < 0.7, "g": rng.integers(0, 2, 60)}
    )
    value, p = survival.logrank(frame, group="g", **DATED)
    parts = [
        stats.CensoredData.right_censored(part["t"], ~part["gone"])
        for _, part in frame.groupby("g")
    ]
    theirs = stats.logrank(*parts)
    assert value == pytest.approx(theirs.statistic**2, rel=1e-9)
    assert p == pytest.approx(theirs.pvalue, rel=1e-9)
    with pytest.raises(DataError, match="two groups or more"):
        survival.logrank(GOOD, **DATED)


# --- sampled --------------------------------------------------------------------------------------

COHORT = pd.DataFrame({"year": range(8), "left": [1000, 869, 743, 653, 593, 551, 517, 491]})


@pytest.mark.slow
def test_draws_of_the_shifted_beta_geometric_are_the_published_posterior():
    columns = survival.Columns(unit="years", duration="year", survivors="left")
    wide = {name: survival.prior("halfnormal", sigma=10) for name in ("alpha", "beta")}
    fit = survival.fit_churn(COHORT, family="sbg", priors=wide, random_seed=11, **columns)
    assert fit.diagnosis.passed
    for name, mean, sd in (("alpha", 0.7338, 0.1313), ("beta", 4.328, 1.023)):
        assert float(fit.parameters[name].mean()) == pytest.approx(mean, abs=0.10 * sd)
    found = survival.survival(fit, 12)
    assert found["survival"].item() == pytest.approx(0.37254, abs=0.10 * 0.01976)
    assert found["sd"].item() == pytest.approx(0.01976, rel=0.1)
    assert set(fit.tree.children) == {"posterior", "sample_stats"}
    assert (fit.tree.attrs["family"], fit.tree.attrs["unit"]) == ("sbg", "years")


@pytest.mark.slow
def test_the_deals_retention_model_finds_the_survival_of_released_prisoners(root):
    rossi = pd.read_csv(root / "tests/data/rossi.csv")
    columns = survival.Columns(unit="weeks", duration="week", event="arrest", group="fin")
    fit = survival.fit_retention(rossi, random_seed=12, **columns)
    estimate = survival.kaplan_meier(rossi, **columns)
    found = survival.survival(fit, [26, 52])
    off = found["survival"] - survival.survival_at(estimate, [26, 52])
    error = estimate["sd"].sel(time=[26, 52], method="ffill").to_numpy()
    assert (abs(off.to_numpy()) < 2.0 * error).all()
    assert found["survival"].dims == ("group", "time")


@pytest.mark.slow
def test_the_deals_churn_model_finds_the_hazards_of_released_prisoners(root):
    """Without a conflict its posterior is known: a gamma's, but for the lognormal prior."""
    rossi = pd.read_csv(root / "tests/data/rossi.csv")
    columns = survival.Columns(unit="weeks", duration="week", event="arrest")
    prior = survival.prior("gamma", alpha=1.0, beta=50.0)  # per month
    fit = survival.fit_churn(rossi, priors={"churn_hazard_all": prior}, random_seed=13, **columns)
    month = 7.0 / DAYS_PER_MONTH
    known = conjugate.gamma_exponential(
        1.0, 50.0, durations=rossi["week"] * month, events=rossi["arrest"]
    )
    draws = fit.parameters["churn_hazard_all"]
    assert float(draws.mean()) == pytest.approx(known.mean, abs=0.10 * known.sd)
    assert float(draws.std()) == pytest.approx(known.sd, rel=0.1)
    s = survival.survival(fit, 52)["survival"].item()
    assert s == pytest.approx(float(known.survival(52 * month)), abs=0.002)


@pytest.mark.slow
def test_the_deals_churn_model_tells_rivals_from_others_in_a_table():
    rng = np.random.default_rng(4)
    hazard, share, effect, decay = 0.015, 0.7, 2.5, 6.0
    grid = np.linspace(0.0, 36.0, 3601)
    surge = np.exp(-hazard * math.expm1(effect) * decay * -np.expm1(-grid / decay))
    truth = [np.exp(-hazard * grid) * (1 - share * c + share * c * surge) for c in (0, 1)]
    rival = rng.integers(0, 2, 600)
    draws = zip(rng.random(600), rival, strict=True)
    left = np.array([np.interp(-u, -truth[c], grid, right=np.inf) for u, c in draws])
    # Each is asked once a month, for thirty months.
    low = np.where(left < 30.0, np.floor(left), 30.0)
    frame = pd.DataFrame(
        {"low": low, "high": np.where(left < 30.0, low + 1.0, np.inf), "rival": rival}
    )
    columns = survival.Columns(unit="months", lower="low", upper="high", conflict="rival")
    fit = survival.fit_churn(frame, random_seed=3, **columns)
    found = survival.survival(fit, [6, 12, 24])
    off = found["survival"].to_numpy() - np.array(truth)[:, [600, 1200, 2400]]
    assert (np.abs(off) < 3.0 * found["sd"].to_numpy()).all()
    assert found["conflict"].to_numpy().tolist() == [0, 1]
    assert float(fit.parameters["conflict_effect"].mean()) == pytest.approx(effect, abs=0.9)


@pytest.mark.slow
def test_draws_that_fail_a_check_are_refused_unless_a_reason_is_given():
    columns = survival.Columns(unit="months", duration="t", event="gone")
    short = {"random_seed": 14, "family": "exponential", "draws": 30, "tune": 100}
    with pytest.raises(GateError, match="bulk ESS"):
        survival.fit_retention(GOOD, **short, **columns)
    kept = survival.fit_retention(GOOD, override="a test of the override", **short, **columns)
    assert not kept.diagnosis.passed
