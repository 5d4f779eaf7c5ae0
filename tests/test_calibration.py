"""The machine knows what it does not know: simulated truths lie in their posteriors as often as those say.

Truths are drawn from a pool of prior draws and write ledgers by equations that are spelled apart from the likelihood
(:mod:`valuation.calibration.worlds`). The pool weighted by the likelihood is then the exact posterior of a discrete
prior, so that places of truths are uniform without any error of sampling (the module says why). That the sampler finds
the posterior that such weights give is tested here too.

Error rates, stated: each family of quantities is refused with probability 0.001 if all is right, by an exact test of
the whole empirical distribution and Bonferroni's bound over quantities. What a test with so many simulations can see
is computed, not guessed: 100 simulations find a centre off by 0.6 posterior standard deviations four times in five,
and hardly ever one off by a tenth, which is why every likelihood is also held to SciPy elsewhere. The last part
plants errors and sees them caught.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_world as world
from scipy import stats

from valuation import calibration
from valuation.calibration import Calibration, Fit, worlds
from valuation.calibration.ranks import interval_width
from valuation.calibration.runs import normalized
from valuation.errors import ModelError
from valuation.ledger import load_ledger
from valuation.models import KINDS, MODELS, joint
from valuation.models.base import Context
from valuation.params import load_credibility, load_deal, load_priors
from valuation.scaffold import Answers, create

ERROR_RATE = 0.001
SIMULATIONS = 100
POOL = 2000
SEED = 41
READING = [name for name, model in MODELS.items() if model.kinds]


# --- places and their test ------------------------------------------------------------------------


def test_a_place_is_the_weight_below_the_truth():
    rng = np.random.default_rng(1)
    assert calibration.place([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4], 2, rng) >= 0.3
    assert calibration.place([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4], 2, rng) <= 0.6
    assert calibration.place([1.0, 2.0, 3.0], [0.5, 0.5, 0.0], 2, rng) == 1.0
    ties = [calibration.place([5.0, 5.0, 5.0], [1.0, 1.0, 1.0], 0, rng) for _ in range(400)]
    assert stats.kstest(ties, "uniform").pvalue > ERROR_RATE


def test_places_in_a_pool_of_five_are_uniform_already():
    """The claim that everything rests on: exact for any pool, however uneven the weights."""
    rng = np.random.default_rng(2)
    places, outside = [], []
    for _ in range(3000):
        pool = rng.normal(size=5)
        truth = int(rng.integers(5))
        seen = pool[truth] + 0.3 * rng.standard_normal()
        weight = normalized(-0.5 * ((seen - pool) / 0.3) ** 2)
        places.append(calibration.place(pool, weight, truth, rng))
        others = np.where(np.arange(5) == truth, 0.0, weight)
        outside.append(calibration.place(pool, others, truth, rng))
    assert stats.kstest(places, "uniform").pvalue > ERROR_RATE
    # Left out of its pool, the truth lies outside too often.
    assert stats.kstest(outside, "uniform").pvalue < ERROR_RATE


@pytest.mark.parametrize("simulations", [30, 100])
def test_the_test_of_places_errs_as_often_as_it_says(simulations):
    rng = np.random.default_rng(3)
    p = np.array([calibration.uniformity(rng.random(simulations)) for _ in range(1500)])
    for level in (0.01, 0.05, 0.2):
        # The counts are whole, so the test errs at most as often, and not much less.
        assert stats.binomtest(int((p <= level).sum()), len(p), level, "greater").pvalue > 1e-4
    assert (p <= 0.2).mean() > 0.1


def test_the_band_is_the_set_that_the_test_accepts():
    band = calibration.band(60, level=0.95)
    rng = np.random.default_rng(4)
    for power in (0.5, 0.8, 1.0, 1.25):
        for _ in range(50):
            places = rng.random(60) ** power
            off = calibration.strays(places)
            inside = bool(((off >= band.lower - 1e-12) & (off <= band.upper + 1e-12)).all())
            assert inside == (calibration.uniformity(places) > 0.05)


def test_what_a_test_can_see_is_what_it_sees():
    """The computed power against simulated power: a biased and an overconfident normal posterior."""
    level = 1.0 - ERROR_RATE
    least = calibration.detectable(100, level=level)
    rng = np.random.default_rng(5)
    for bias, scale in ((least.bias, 1.0), (0.0, least.narrow), (0.0, least.wide)):
        found = [
            calibration.uniformity(stats.norm.cdf(rng.standard_normal(100) / scale - bias))
            <= ERROR_RATE
            for _ in range(300)
        ]
        assert abs(np.mean(found) - least.power) < 0.1
    fewer = calibration.detectable(60, level=level)
    assert least.bias < fewer.bias
    assert fewer.narrow < least.narrow < 1.0 < least.wide < fewer.wide


def test_an_interval_of_weighted_values_is_as_wide_as_that_of_their_distribution():
    values = np.random.default_rng(5).permutation(np.linspace(-8.0, 8.0, 16_001))
    for level in (0.5, 0.9):
        wanted = 2.0 * stats.norm.ppf(0.5 + level / 2.0)
        found = interval_width(values, stats.norm.pdf(values), level)
        assert found == pytest.approx(wanted, abs=5e-3)


def test_intervals_are_counted_with_their_binomial_band():
    rng = np.random.default_rng(6)
    good = calibration.covered(rng.random(200), 0.9, band_level=0.999)
    assert good.kept
    assert good.lower < 0.9 < good.upper
    sure = calibration.covered(0.5 + 3.0 * (rng.random(200) - 0.5), 0.9, band_level=0.999)
    assert not sure.kept
    assert sure.share < sure.lower


# --- worlds ---------------------------------------------------------------------------------------


@cache
def shipped() -> tuple[Context, pd.DataFrame]:
    """The context and the scored rows of the shipped ledger."""
    deal = load_deal("meta_scale", world.PROJECT)
    ledger = load_ledger(world.PROJECT / deal.seeds, kinds=KINDS)
    credibility = load_credibility(world.PROJECT / "params" / "credibility.yaml")
    context = joint.context_of(ledger, deal, world.book().get("house"), credibility)
    return context, ledger.scored().sort_values("id").reset_index(drop=True)


@cache
def some_worlds(count: int = 20) -> list[worlds.World]:
    context, design = shipped()
    stage = worlds.cast(context, design)
    pool = joint.prior_draws(context, joint.closure(None), random_seed=1, draws=300)
    rng = np.random.default_rng(7)
    return [worlds.simulate(stage, pool, rng=rng) for _ in range(count)]


def test_a_simulated_ledger_has_the_design_of_the_shipped_one():
    _, design = shipped()
    follow = dict.fromkeys(worlds.LIFE_PEOPLE, worlds.LIFE_PEOPLE)
    follow |= dict.fromkeys(worlds.LIFE_CUSTOMERS, worlds.LIFE_CUSTOMERS)
    for simulated in some_worlds():
        rows = simulated.rows
        assert list(rows["id"]) == list(design["id"])
        for name in ("subject", "credibility"):
            assert list(rows[name]) == list(design[name])
        for made, meant in zip(rows["kind"], design["kind"], strict=True):
            assert made == meant or made in follow[meant]
        for _, row in rows.iterrows():
            told = None if pd.isna(row["value"]) else float(row["value"])
            if not KINDS[row["kind"]].density:
                sd = None if pd.isna(row["sd"]) else float(row["sd"])
                assert KINDS[row["kind"]].check(told, sd) is None


def test_simulated_ledgers_differ_and_follow_their_generator():
    first, second = some_worlds()[:2]
    assert not first.rows["value"].equals(second.rows["value"])
    context, design = shipped()
    stage = worlds.cast(context, design)
    pool = joint.prior_draws(context, joint.closure(None), random_seed=1, draws=300)
    again = worlds.simulate(stage, pool, rng=np.random.default_rng(7))
    pd.testing.assert_frame_equal(again.rows, first.rows)


def test_every_kind_of_evidence_can_be_simulated():
    assert set(worlds.OUTCOMES) == set(KINDS) - {*worlds.LIFE_PEOPLE, *worlds.LIFE_CUSTOMERS}


def test_a_bound_that_no_world_meets_is_refused():
    context, design = shipped()
    (bound,) = np.flatnonzero(design["kind"] == "revenue_bound")
    high = design.iloc[[bound]].assign(value=900.0, credibility="A")
    stage = worlds.cast(replace(context, credibility=world.CERTAIN), high, ("revenue",))
    pool = joint.prior_draws(context, joint.closure(("revenue",)), random_seed=1, draws=50)
    with pytest.raises(ModelError, match="lower bounds"):
        worlds.simulate(stage, pool, models=("revenue",), rng=np.random.default_rng(1))


# --- the machine ----------------------------------------------------------------------------------


@cache
def run(
    model: str | None,
    *,
    simulations: int = SIMULATIONS,
    pool: int = POOL,
    fit: Fit | None = None,
    doubt: bool = False,
) -> Calibration:
    """Calibration of a sub-model with what it requires, or of everything with its futures."""
    context, design = shipped()
    if doubt:
        design = design.assign(credibility="C")
    return calibration.calibrate(
        context,
        design,
        models=None if model is None else (model,),
        simulations=simulations,
        pool_draws=pool,
        random_seed=SEED,
        futures=model is None,
        fit=fit,
    )


def refused(found: Calibration) -> bool:
    return calibration.family_wise(found.places)[1] < ERROR_RATE


@pytest.mark.parametrize("model", ["integration", "adoption", "regulation"])
def test_few_simulations_find_a_quick_model_calibrated(model):
    assert not refused(run(model, simulations=40, pool=800))


@pytest.mark.parametrize("model", list(calibration.OBSERVED))
def test_few_simulations_find_few_observations_calibrated(model):
    found = calibration.coverage(
        shipped()[0], model, 8, simulations=40, pool_draws=400, random_seed=SEED
    )
    assert calibration.uniformity(found.places) > ERROR_RATE
    assert found.width < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("model", READING)
def test_every_parameter_of_a_model_is_calibrated(model):
    found = run(model)
    worst, error = calibration.family_wise(found.places)
    print(f"{model}: {len(found.places)} quantities, {worst} strays most, p {error:.2g} of all")
    assert error > ERROR_RATE, worst
    assert np.median(found.effective) > 30.0
    context, _ = shipped()
    drawn = {n for n in MODELS[model].scalars(context) if context.prior(n).family != "fixed"}
    assert drawn <= set(found.places)


@pytest.mark.slow
def test_the_answer_and_its_drivers_are_calibrated():
    """NPV, paying off, people, rivals, adoption and the gap, with every parameter of the joint model."""
    found = run(None, pool=3000)
    answers = {calibration.NPV, calibration.PAYS_OFF, *calibration.DRIVERS}
    assert answers <= set(found.places)
    for name in sorted(answers):
        print(f"{name}: p {calibration.uniformity(found.places[name]):.2g}")
    worst, error = calibration.family_wise(found.places)
    assert error > ERROR_RATE, worst
    # Averaged over ledgers, the posterior probability of paying off is how often it paid off.
    assert abs(found.off()) < stats.norm.isf(ERROR_RATE / 2.0)
    assert 0.0 < found.outcome.mean() < 1.0
    assert found.chance.std() > 0.03  # ledgers tell the answer apart


# --- coverage -------------------------------------------------------------------------------------

CELLS = len(calibration.OBSERVED) * 3 * 2


@cache
def cell(model: str, observations: int) -> calibration.Coverage:
    return calibration.coverage(
        shipped()[0],
        model,
        observations,
        simulations=200,
        pool_draws=600,
        random_seed=SEED,
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", list(calibration.OBSERVED))
def test_intervals_hold_their_truth_whatever_the_number_of_observations(model):
    widths = []
    for observations in (3, 8, 20):
        found = cell(model, observations)
        widths.append(found.width)
        for level in (0.5, 0.9):
            held = calibration.covered(found.places, level, band_level=1.0 - ERROR_RATE / CELLS)
            print(
                f"{model}, {observations} observations: {level:.0%} interval held {held.share:.1%}"
            )
            assert held.kept, (observations, level)
    # ... and more observations teach more, so that this is no empty promise of the prior.
    assert widths[2] < widths[1] < widths[0] < 1.0


@cache
def new_deal() -> tuple[Context, pd.DataFrame]:
    """A deal as `valuation init` makes it: no cohort of movers, no rivals, nothing bought from the target."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        for name in ("seeds", "params"):
            shutil.copytree(world.PROJECT / name, project / name)
        given = Answers("young", "Big Co", "Rocket", 2.0, dt.date(2025, 3, 31))
        made = create(given, project)
        deal = load_deal("young", project)
        ledger = load_ledger(made.seeds, kinds=KINDS)
        priors = load_priors(made.priors, deal.currency).get("house")
        credibility = load_credibility(project / "params" / "credibility.yaml")
        context = joint.context_of(ledger, deal, priors, credibility)
        return context, ledger.scored()


def test_what_is_watched_are_the_people_and_customers_that_the_deal_has():
    context, _ = shipped()
    assert [calibration.watch(context, m).quantity for m in calibration.OBSERVED] == [
        "Hazard of leaving in the first half year, cohort movers",
        "Rivals that end their business within half a year, segment rival lab",
        "Share of data spending after a year",
    ]
    young, _ = new_deal()
    assert calibration.watch(young, "retention").quantity.endswith("cohort staff")
    assert calibration.watch(young, "churn").quantity == (
        "Customers that end their business within half a year, segment enterprise"
    )
    assert "every prior behind it is fixed" in calibration.watch(young, "adoption")


@pytest.mark.parametrize("model", ["retention", "churn"])
def test_few_observations_of_a_new_deal_are_calibrated_and_teach(model):
    found = calibration.coverage(
        new_deal()[0], model, 20, simulations=40, pool_draws=400, random_seed=SEED
    )
    assert calibration.uniformity(found.places) > ERROR_RATE
    assert found.width < 0.95


@pytest.mark.parametrize(
    ("model", "roster", "why"),
    [
        ("retention", "people", "no people"),
        ("churn", "customers", "no customers"),
        ("adoption", "vendors", "no vendor is the target"),
    ],
)
def test_what_a_deal_does_not_have_is_left_out_with_the_reason(model, roster, why):
    context, _ = shipped()
    empty = replace(context, **{roster: getattr(context, roster).iloc[:0]})
    assert why in calibration.watch(empty, model)
    with pytest.raises(ModelError, match=f"coverage of {model}: .*{why}; leave it out"):
        calibration.coverage(empty, model, 3, simulations=2, pool_draws=20, random_seed=1)


def test_a_driver_that_never_moves_is_not_called_miscalibrated():
    """Two spellings of one constant differ by rounding, which puts every truth at the same end."""
    found = calibration.calibrate(
        *new_deal(), simulations=30, pool_draws=200, random_seed=SEED, futures=True
    )
    assert {"adoption share", "rivals active", "capability gap"}.isdisjoint(found.places)
    assert {calibration.NPV, calibration.PAYS_OFF, "people in post"} <= set(found.places)
    assert not refused(found)


# --- errors that are planted and caught -----------------------------------------------------------


def twice(evidence: joint.Evidence, pool: calibration.Pool) -> np.ndarray:
    """Evidence counted twice."""
    return 2.0 * calibration.plain_fit(evidence, pool)


def ignored(evidence: joint.Evidence, pool: calibration.Pool) -> np.ndarray:
    """Evidence not counted at all."""
    return 0.0 * calibration.plain_fit(evidence, pool)


def flipped(name: str) -> Fit:
    """The sign of a parameter's effect turned round."""

    def fit(evidence: joint.Evidence, pool: calibration.Pool) -> np.ndarray:
        return calibration.plain_fit(evidence, {**pool, name: -pool[name]})

    return fit


def scaled(name: str, factor: float) -> Fit:
    """A parameter's effect made larger."""

    def fit(evidence: joint.Evidence, pool: calibration.Pool) -> np.ndarray:
        return calibration.plain_fit(evidence, {**pool, name: factor * pool[name]})

    return fit


def believed(evidence: joint.Evidence, pool: calibration.Pool) -> np.ndarray:
    """Credibility ignored: what is told is taken for true."""
    sure = dict.fromkeys(evidence.context.credibility, 0.999)
    context = replace(evidence.context, credibility=sure)
    again = joint.bind(context, evidence.rows, models=evidence.models, draws=POOL)
    return calibration.plain_fit(again, pool)


PLANTED: dict[str, tuple[str, Fit, bool]] = {
    "evidence counted twice": ("adoption", twice, False),
    "evidence on people counted twice": ("retention", twice, False),
    "evidence ignored": ("adoption", ignored, False),
    "integration the wrong way round": ("adoption", flipped("integration"), False),
    "quality of the data the wrong way round": ("adoption", flipped("data_quality"), False),
    "level of adoption the wrong way round": ("adoption", flipped("adoption_level"), False),
    "hazards of leaving thrice as high": ("retention", scaled("exit_hazard_legacy", 3.0), False),
    "credibility ignored": ("churn", believed, True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PLANTED))
def test_a_planted_error_is_caught(name):
    model, fit, doubt = PLANTED[name]
    simulations = 300 if model == "adoption" else SIMULATIONS  # quick, and told little by its rows
    assert not refused(run(model, simulations=simulations, doubt=doubt))
    wrong = run(model, simulations=simulations, fit=fit, doubt=doubt)
    print(f"{name}: {calibration.family_wise(wrong.places)}")
    assert refused(wrong)


# --- the sampler ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", ["adoption", "churn"])
def test_the_sampler_finds_the_posterior_that_weights_give(model):
    """On a simulated ledger: means within four errors and a tenth of a standard deviation, widths within a tenth."""
    from valuation.posterior import fit
    from valuation.study.case import stacked

    context, design = shipped()
    names = joint.closure((model,))
    pool = joint.prior_draws(context, names, random_seed=joint.REFERENCE_SEED, draws=POOL)
    simulated = worlds.simulate(
        worlds.cast(context, design, names), pool, models=names, rng=np.random.default_rng(8)
    )
    evidence = joint.bind(context, simulated.rows, models=names)
    sampled = stacked(fit(joint.build(evidence), random_seed=9, cores=1))
    many = joint.prior_draws(context, names, random_seed=10, draws=60_000)
    weight = normalized(joint.row_log_likelihood(evidence, many).sum(axis=-1))
    effective = 1.0 / (weight**2).sum()
    assert effective > 1500.0
    checked = 0
    for name, draws in sampled.items():
        if draws.ndim > 1:
            continue
        mean = float(weight @ many[name])
        sd = float(np.sqrt(weight @ (many[name] - mean) ** 2))
        error = sd * np.sqrt(1.0 / effective + 1.0 / 400.0)
        assert abs(draws.mean() - mean) < 4.0 * error + 0.1 * sd, name
        assert abs(draws.std() / sd - 1.0) < 0.2, name
        checked += 1
    assert checked >= 8


def test_functions_that_fit_are_told_apart_by_what_they_do():
    """The planted errors change the weights: none of them is the right likelihood by another name."""
    evidence = world.bound(credibility=world.DOUBTED)
    pool = world.prior_draws(evidence)
    right = calibration.plain_fit(evidence, pool)
    fits: list[Callable[..., np.ndarray]] = [fit for _, fit, _ in PLANTED.values()]
    for fit in fits:
        assert not np.allclose(fit(evidence, pool), right)
