"""Priors: densities against scipy and PyMC, quantile fits, prior sets and their mixture."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

from valuation.currency import unit_in
from valuation.errors import ParameterError
from valuation.params import FAMILIES, Prior, PriorBook, load_priors
from valuation.params.priors import (
    BY_NAME,
    BY_UNIT,
    NOT_NEGATIVE,
    POSITIVE,
    PROPORTION,
    checked_prior,
)

# Each family at a representative setting, and scipy's name for it.
CASES: dict[str, tuple[dict[str, float], stats.rv_continuous]] = {
    "normal": ({"mu": -1.0, "sigma": 2.0}, stats.norm(-1, 2)),
    "lognormal": ({"mu": 0.5, "sigma": 0.8}, stats.lognorm(0.8, scale=np.exp(0.5))),
    "halfnormal": ({"sigma": 1.5}, stats.halfnorm(scale=1.5)),
    "gamma": ({"alpha": 2.5, "beta": 4.0}, stats.gamma(2.5, scale=0.25)),
    "beta": ({"alpha": 2.0, "beta": 5.0}, stats.beta(2, 5)),
    "exponential": ({"rate": 3.0}, stats.expon(scale=1 / 3)),
    "uniform": ({"lower": -1.0, "upper": 4.0}, stats.uniform(-1, 5)),
}
QUANTILES = np.array([1e-6, 0.01, 0.05, 0.3, 0.5, 0.77, 0.95, 0.999])


def prior(family: str, parameters: dict[str, float], name: str = "x") -> Prior:
    return Prior(
        name, "A number", "points", family, parameters, "C10", "a reason", dt.date(2026, 2, 28)
    )


def logitnormal() -> Prior:
    return prior("logitnormal", {"mu": -1.0, "sigma": 0.7})


def write(folder: Path, priors: str, sets: str = "") -> Path:
    path = folder / "priors.yaml"
    path.write_text(
        "sets:\n  house: {label: House view, describe: Ours.}\n" + sets + "priors:\n" + priors,
        encoding="utf-8",
    )
    return path


def entry(name: str, body: str) -> str:
    tail = 'label: L, unit: points, source: C10, rationale: "why", date: 2026-02-28'
    return f"  {name}: {{{body}, {tail}}}\n"


def one(folder: Path, body: str) -> Prior:
    return load_priors(write(folder, entry("x", body))).get()["x"]


# -- distributions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CASES)
def test_a_family_agrees_with_scipy(family):
    parameters, oracle = CASES[family]
    ours = prior(family, parameters)
    points = oracle.ppf(QUANTILES)
    np.testing.assert_allclose(ours.ppf(QUANTILES), points, rtol=1e-10)
    np.testing.assert_allclose(ours.logpdf(points), oracle.logpdf(points), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.cdf(points), oracle.cdf(points), rtol=1e-8, atol=1e-12)
    assert ours.mean == pytest.approx(oracle.mean(), abs=1e-12)
    assert ours.sd == pytest.approx(oracle.std())


@pytest.mark.parametrize("family", CASES)
def test_outside_the_support_a_density_is_zero_and_a_nan_stays_one(family):
    parameters, oracle = CASES[family]
    points = np.array([-7.0, 0.0, 1.0, 5.0])
    np.testing.assert_allclose(prior(family, parameters).logpdf(points), oracle.logpdf(points))
    assert prior(family, parameters).logpdf([np.inf, -np.inf]).tolist() == [-np.inf, -np.inf]
    assert np.isnan(prior(family, parameters).logpdf(np.nan))
    assert np.isnan(prior(family, parameters).cdf(np.nan))


def test_a_logitnormal_is_a_normal_on_the_logit():
    ours, normal = logitnormal(), stats.norm(-1, 0.7)
    x = ours.ppf(QUANTILES)
    logit = np.log(x / (1 - x))
    np.testing.assert_allclose(logit, normal.ppf(QUANTILES), rtol=1e-8)
    np.testing.assert_allclose(ours.logpdf(x), normal.logpdf(logit) - np.log(x * (1 - x)))
    np.testing.assert_allclose(ours.cdf(x), QUANTILES, rtol=1e-8)
    assert ours.mean == pytest.approx(normal.expect(special.expit), abs=1e-8)
    square = normal.expect(lambda z: (special.expit(z) - ours.mean) ** 2)
    assert ours.sd == pytest.approx(np.sqrt(square), abs=1e-8)
    assert ours.logpdf(np.array([-0.1, 0.0, 1.0, 1.1])).tolist() == [-np.inf] * 4


def test_a_fixed_prior_has_one_value_and_no_spread():
    ours = prior("fixed", {"value": 2.0})
    assert ours.logpdf([1.9, 2.0]).tolist() == [-np.inf, 0.0]
    assert ours.ppf([0.1, 0.9]).tolist() == [2.0, 2.0]
    assert ours.cdf([1.9, 2.0]).tolist() == [0.0, 1.0]
    assert (ours.mean, ours.sd) == (2.0, 0.0)


def test_every_family_is_tested_here():
    assert set(FAMILIES) == {*CASES, "logitnormal", "fixed"}


@pytest.mark.parametrize("family", [*CASES, "logitnormal", "fixed"])
def test_a_prior_declared_in_pymc_has_the_same_density(family):
    import pymc as pm

    parameters = {**{name: case[0] for name, case in CASES.items()}, "fixed": {"value": 2.0}}
    ours = logitnormal() if family == "logitnormal" else prior(family, parameters[family])
    with pm.Model(coords={"group": ["a", "b", "c"]}):
        variable = ours.rv("x")
        grouped = ours.rv("y", dims="group")
    assert variable.name == "x"
    assert grouped.type.ndim == 1
    if family == "fixed":
        assert variable.eval() == 2.0
        assert grouped.eval().tolist() == [2.0, 2.0, 2.0]
        return
    points = ours.ppf(np.array([0.02, 0.5, 0.9]))
    np.testing.assert_allclose(
        pm.logp(grouped, points).eval(), ours.logpdf(points), rtol=1e-8, atol=1e-8
    )


def test_draws_follow_the_distribution_and_pair_under_one_seed():
    ours = prior("gamma", {"alpha": 2.5, "beta": 4.0})
    draws = ours.sample(np.random.default_rng(1), 4000)
    assert stats.kstest(draws, CASES["gamma"][1].cdf).pvalue > 0.01
    wider = prior("gamma", {"alpha": 2.5, "beta": 2.0})
    np.testing.assert_allclose(wider.sample(np.random.default_rng(1), 4000), 2 * draws)
    assert ours.sample(np.random.default_rng(1), (3, 2)).shape == (3, 2)


def test_a_prior_survives_copies_and_worker_processes():
    ours = logitnormal()
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert copy.deepcopy(ours) == ours


def test_a_prior_cannot_be_changed_after_birth():
    ours = logitnormal()
    with pytest.raises(TypeError):
        ours.parameters["mu"] = 3.0


@pytest.mark.parametrize(
    ("family", "parameters", "words"),
    [
        ("normall", {"mu": 0.0, "sigma": 1.0}, "unknown family 'normall'; did you mean 'normal'"),
        ("normal", {"mu": 0.0}, "normal takes mu, sigma, got mu; give exactly those"),
        ("normal", {"mu": 0.0, "sigma": 0.0}, "sigma is 0; it must be above 0"),
        ("normal", {"mu": np.nan, "sigma": 1.0}, "mu is not finite; give a number"),
        ("uniform", {"lower": 2.0, "upper": 1.0}, "lower is not below upper; swap them"),
    ],
)
def test_a_prior_that_makes_no_sense_is_refused_at_birth(family, parameters, words):
    with pytest.raises(ParameterError, match=words):
        prior(family, parameters)


# -- quantiles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [*CASES, "logitnormal"])
def test_quantiles_of_a_family_give_back_its_parameters(tmp_path, family):
    parameters = {"mu": -1.0, "sigma": 0.7} if family == "logitnormal" else CASES[family][0]
    true = prior(family, parameters)
    stated = ", ".join(f"{q}: {float(true.ppf(q))!r}" for q in (0.05, 0.5, 0.95))
    fitted = one(tmp_path, f"family: {family}, quantiles: {{{stated}}}")
    assert dict(fitted.parameters) == pytest.approx(dict(true.parameters), rel=1e-5)
    assert fitted.misfit < 1e-6


def test_quantiles_that_no_member_has_are_met_as_nearly_as_can_be_and_the_miss_is_shown(tmp_path):
    fitted = one(tmp_path, "family: lognormal, quantiles: {0.05: 1, 0.5: 4, 0.95: 9}")
    logs, z = np.log([1, 4, 9]), stats.norm.ppf([0.05, 0.5, 0.95])
    sigma, mu = np.polyfit(z, logs, 1)  # least squares on the log, which is a straight line
    assert dict(fitted.parameters) == pytest.approx({"mu": mu, "sigma": sigma}, rel=1e-6)
    assert [row.stated for row in fitted.fit] == [1, 4, 9]
    assert [row.fitted for row in fitted.fit] == pytest.approx(np.exp(mu + sigma * z))
    assert 0.10 < fitted.misfit < 0.15
    assert "from quantiles 0.05: 1 (fitted 1.1" in fitted.describe()
    assert "source C10; 2026-02-28; why" in fitted.describe()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "family: normal, quantiles: {0.05: 1, 0.5: 1.1, 0.95: 30}",
            r"priors\.yaml:4:\d+: priors\.x\.quantiles: no normal has these; the nearest has .*"
            "; change them or the family",
        ),
        ("family: normal, quantiles: {0.05: 3, 0.95: 1}", "do not increase .*; order them"),
        (
            "family: normal, quantiles: {5: 3, 95: 9}",
            r"quantiles\.5: not a probability; write 0\.05",
        ),
        (
            "family: beta, quantiles: {0.05: 0.2, 0.95: 20}",
            "20 is outside 0 to 1; choose another family",
        ),
        ("family: gamma, quantiles: {0.5: 2}", "1 given; gamma needs at least 2"),
        ("family: fixed, quantiles: {0.5: 2}", "a fixed value has no quantiles"),
        ("family: normal", "has no parameters or quantiles; give normal either its parameters"),
        (
            "family: normal, parameters: {mu: 0, sigma: 1}, quantiles: {0.05: 0, 0.95: 1}",
            "has both parameters and quantiles; give normal either",
        ),
        (
            "family: normal, parameters: {mu: 0, sigm: 1}",
            r"parameters\.sigm: not a parameter of normal; did you mean 'sigma'",
        ),
        ("family: normal, parameters: {mu: 0}", "has no sigma; normal takes mu, sigma"),
        (
            "family: normal, parameters: {mu: 0, sigma: -1}",
            r"priors\.yaml:4:\d+: priors\.x\.parameters\.sigma: sigma is -1; it must be above 0",
        ),
        ("family: normal, parameters: {mu: .nan, sigma: 1}", "needs a finite number"),
        (
            "family: norml, parameters: {mu: 0, sigma: 1}",
            "the text 'norml' is not a choice; did you mean 'normal'",
        ),
    ],
)
def test_a_prior_in_a_file_is_refused_with_its_line_and_the_remedy(tmp_path, body, words):
    with pytest.raises(ParameterError, match=words):
        one(tmp_path, body)


@pytest.mark.parametrize("key", ["source", "rationale", "date", "label", "unit"])
def test_a_prior_says_who_why_when_and_in_what_unit(tmp_path, key):
    body = entry("x", "family: normal, parameters: {mu: 0, sigma: 1}")
    dropped = re.sub(rf", {key}: [^,}}]+", "", body)
    with pytest.raises(ParameterError, match=rf"yaml:4:3: priors\.x\.{key}: is missing; add it"):
        load_priors(write(tmp_path, dropped))


# -- what was said before --------------------------------------------------------------------------

PAST = "family: normal, quantiles: {0.05: -3, 0.95: 1}, source: C9, rationale: w, date: 2025-01-01"
NOW = "family: normal, parameters: {mu: 0, sigma: 1}"


def test_a_prior_may_say_who_changed_it_and_what_it_was(tmp_path):
    now = one(tmp_path, f"{NOW}, by: Ann, history: [{{{PAST}, by: Bea, until: 2026-02-28}}]")
    assert now.by == "Ann"
    (past,) = now.history
    assert (past.source, past.rationale, past.by) == ("C9", "w", "Bea")
    assert (past.date, past.until) == (dt.date(2025, 1, 1), dt.date(2026, 2, 28))
    old = past.prior(now)
    assert (old.name, old.label, old.unit, old.by) == ("x", "L", "points", "Bea")
    assert old.mean == pytest.approx(-1)
    assert [row.stated for row in old.fit] == [-3, 1]
    assert pickle.loads(pickle.dumps(now)) == now
    plain = one(tmp_path, NOW)
    assert (plain.by, plain.history) == ("", ())
    assert plain.content() == now.content()


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (f"{{{PAST}}}", r"priors\.x\.history\[0\]\.until: is missing; add it"),
        (f"{{{PAST}, until: 2024-01-01}}", "until: 2024-01-01 is before its date, 2025-01-01"),
        (
            f"{{{PAST}, until: 2026-03-01}}",
            "until: 2026-03-01 is after 2026-02-28, when the next value began; correct one",
        ),
        (
            f"{{{PAST}, until: 2026-01-01}}, {{{PAST}, until: 2026-02-28}}",
            r"history\[0\]\.until: 2026-01-01 is after 2025-01-01, when the next value began",
        ),
        (
            f"{{{PAST}, until: 2026-02-28}}".replace("-3", "3"),
            r"history\[0\]\.quantiles: do not increase with their probabilities; order them",
        ),
        (f"{{{PAST}, until: 2026-02-28, lable: L}}", r"history\[0\]\.lable: not a known key"),
        (f"{{{PAST}, until: 2026-02-28, history: []}}", r"history\[0\]\.history: not a known key"),
        ("1", "needs keys and values, found the number 1"),
    ],
)
def test_a_history_is_checked_like_what_holds_today(tmp_path, history, words):
    with pytest.raises(ParameterError, match=words):
        one(tmp_path, f"{NOW}, history: [{history}]")


# -- prior sets ------------------------------------------------------------------------------------

SETS = """\
  sceptic:
    label: Sceptic
    describe: Doubts.
    overrides:
      x: {family: normal, parameters: {mu: -1, sigma: 1}, source: S, rationale: r, date: 2026-02-28}
"""


@pytest.fixture
def book(tmp_path: Path) -> PriorBook:
    priors = entry("x", "family: normal, parameters: {mu: 0, sigma: 1}")
    priors += entry("y", "family: exponential, parameters: {rate: 2}")
    return load_priors(write(tmp_path, priors, SETS))


def test_a_set_is_the_house_with_some_priors_replaced(book):
    assert book.sets() == ("house", "sceptic")
    assert book.labels["sceptic"] == "Sceptic"
    assert book.changed("sceptic") == ("x",)
    house, sceptic = book.get("house"), book.get("sceptic")
    assert sceptic["x"].parameters["mu"] == -1
    assert (sceptic["x"].label, sceptic["x"].unit) == ("L", "points")
    assert (sceptic["x"].source, house["x"].source) == ("S", "C10")
    assert sceptic["y"] is house["y"]


def test_the_digest_follows_numbers_and_not_words(tmp_path, book):
    before = book.digest("house")
    assert before != book.digest("sceptic")
    priors = entry("y", "family: exponential, parameters: {rate: 2.0}")
    priors += entry("x", "family: normal, parameters: {sigma: 1, mu: 0}").replace("why", "since")
    assert load_priors(write(tmp_path, priors, SETS)).digest() == before
    moved = priors.replace("mu: 0", "mu: 0.001")
    assert load_priors(write(tmp_path, moved, SETS)).digest() != before


def test_an_unknown_set_is_refused_with_the_nearest_name(book):
    with pytest.raises(ParameterError, match="unknown prior set 'septic'; did you mean 'sceptic'"):
        book.get("septic")


def test_an_override_of_an_unknown_prior_is_refused_with_its_line(tmp_path):
    priors = entry("exit_rate", "family: normal, parameters: {mu: 0, sigma: 1}")
    sets = SETS.replace("      x:", "      exit_rat:")
    words = r"priors\.yaml:7:7: sets\.sceptic\.overrides\.exit_rat: overrides an unknown prior; "
    with pytest.raises(ParameterError, match=words + "did you mean 'exit_rate'"):
        load_priors(write(tmp_path, priors, sets))


def test_a_file_without_a_house_set_is_refused(tmp_path):
    path = tmp_path / "priors.yaml"
    body = entry("x", "family: normal, parameters: {mu: 0, sigma: 1}")
    path.write_text("sets:\n  other: {label: O, describe: o}\npriors:\n" + body, encoding="utf-8")
    with pytest.raises(ParameterError, match="sets: has no 'house'; add it"):
        load_priors(path)


def test_all_problems_of_a_file_come_at_once(tmp_path):
    priors = entry("x", "family: normal, parameters: {mu: 0, sigma: -1}")
    priors += entry("y", "family: beta, quantiles: {0.5: 2, 0.9: 3}")
    with pytest.raises(ParameterError) as caught:
        load_priors(write(tmp_path, priors))
    assert len(caught.value.problems) == 3


# -- where a number can lie ------------------------------------------------------------------------

DOMAINS = [
    (
        "fraction",
        "x",
        "normal",
        {"mu": 0.3, "sigma": 0.5},
        "between 0 and 1; families that fit: beta",
    ),
    ("fraction", "x", "lognormal", {"mu": -1.0, "sigma": 1.0}, "between 0 and 1"),
    ("fraction", "x", "uniform", {"lower": -0.1, "upper": 0.5}, "lies within -0.1 to 0.5"),
    ("fraction", "x", "fixed", {"value": 1.2}, "lies within 1.2 to 1.2"),
    (
        "per month",
        "x",
        "normal",
        {"mu": 0.1, "sigma": 0.1},
        "above 0; families that fit: lognormal",
    ),
    ("per month", "x", "fixed", {"value": 0.0}, "above 0"),
    ("USD bn", "x", "normal", {"mu": 1.0, "sigma": 1.0}, "0 or more"),
    ("x revenue", "x", "normal", {"mu": 9.0, "sigma": 1.0}, "above 0"),
    ("index points", "gap_volatility", "normal", {"mu": 1.0, "sigma": 1.0}, "0 or more"),
    ("index points", "rank_spacing", "fixed", {"value": 0.0}, "above 0"),
]
INSIDE = [
    ("fraction", "x", "logitnormal", {"mu": 0.0, "sigma": 1.0}),
    ("fraction", "x", "uniform", {"lower": 0.0, "upper": 1.0}),
    ("fraction", "x", "fixed", {"value": 0.0}),
    ("fraction", "price_discount", "normal", {"mu": 0.05, "sigma": 0.06}),
    ("fraction", "uplift_at_frontier", "lognormal", {"mu": -4.0, "sigma": 1.0}),
    ("per month", "x", "uniform", {"lower": 0.0, "upper": 1.0}),
    ("USD bn", "x", "fixed", {"value": 0.0}),
    ("log per unit", "loading_churn", "normal", {"mu": 0.3, "sigma": 0.5}),
]


def stated(unit: str, name: str, family: str, parameters: dict[str, float]) -> Prior:
    given = {"family": family, "parameters": parameters, "source": "C10", "rationale": "why"}
    return checked_prior(name, given | {"date": "2026-02-28"}, "L", unit)


@pytest.mark.parametrize(("unit", "name", "family", "parameters", "said"), DOMAINS)
def test_a_family_that_leaves_the_domain_of_its_number_is_refused_with_those_that_fit(
    unit, name, family, parameters, said, tmp_path
):
    with pytest.raises(ParameterError, match="families that fit: ") as refused:
        stated(unit, name, family, parameters)
    assert said in str(refused.value)
    body = (
        f"family: {family}, parameters: {{{', '.join(f'{k}: {v}' for k, v in parameters.items())}}}"
    )
    path = write(tmp_path, entry(name, body).replace("unit: points", f"unit: {unit}"))
    with pytest.raises(ParameterError, match=rf"priors.yaml:4:.*a {family} of {name} lies"):
        load_priors(path)


@pytest.mark.parametrize(("unit", "name", "family", "parameters"), INSIDE)
def test_a_family_within_the_domain_of_its_number_is_taken(unit, name, family, parameters):
    assert stated(unit, name, family, parameters).family == family


@pytest.mark.parametrize("domain", [PROPORTION, NOT_NEGATIVE, POSITIVE])
def test_every_family_named_as_fitting_draws_inside_the_domain(domain):
    fits = [f for f in CASES if domain.low <= FAMILIES[f].support[0]]
    fits = [f for f in fits if FAMILIES[f].support[1] <= domain.high]
    assert fits
    for family in fits:
        draws = prior(family, CASES[family][0]).ppf(np.array([1e-6, 0.5, 1 - 1e-6]))
        assert ((draws >= domain.low) & (draws <= domain.high)).all(), family


def test_a_name_with_a_domain_of_its_own_is_a_prior_of_the_shipped_file():
    shipped = load_priors(Path(__file__).resolve().parents[1] / "params" / "priors.yaml").get()
    assert set(BY_NAME) <= set(shipped)
    assert {unit_in(unit, "USD") for unit in BY_UNIT} <= {p.unit for p in shipped.values()}
