"""What is done faster gives the same numbers: short curves, remembered results, values on demand, few imports."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import builders
import numpy as np
import pytest
import small_world as world
import xarray as xr

from valuation import value
from valuation.errors import ParameterError
from valuation.forecast import _grid, _invert, forecast
from valuation.ledger import load_ledger
from valuation.models import KINDS, MODELS, churn, joint, regulation, retention, revenue
from valuation.models.base import BoundLifeCourse, LifeProcess, occupancy
from valuation.models.joint import Evidence
from valuation.models.memory import Memory, content
from valuation.ops import numpy_ops, pytensor_ops
from valuation.params import load_credibility, load_deal, load_priors, reading

ROOT = Path(__file__).resolve().parents[1]
OPS = numpy_ops()
SEED = 11


@pytest.fixture(scope="module")
def shipped() -> Evidence:
    """The shipped ledger bound to every model."""
    deal = load_deal("meta_scale", ROOT)
    ledger = load_ledger(ROOT / deal.seeds, kinds=KINDS)
    context = joint.context_of(
        ledger,
        deal,
        load_priors(ROOT / deal.priors).get("house"),
        load_credibility(ROOT / "params" / "credibility.yaml"),
    )
    return joint.bind(context, ledger.scored(), draws=400)


@pytest.fixture(scope="module")
def draws(shipped: Evidence) -> dict[str, np.ndarray]:
    return world.prior_draws(shipped, draws=200)


def whole_horizon(evidence: Evidence, draws: dict[str, np.ndarray]) -> np.ndarray:
    """Log-likelihoods by the curves of every month."""
    return np.asarray(
        joint.log_likelihood(evidence, draws, joint.curves(evidence, draws, OPS), OPS)
    )


# --- rows at the months that they reach -----------------------------------------------------------


def test_rows_read_at_their_reach_are_worth_what_the_whole_horizon_says(shipped, draws):
    np.testing.assert_allclose(
        joint.row_log_likelihood(shipped, draws),
        whole_horizon(shipped, draws),
        rtol=1e-10,
        atol=1e-10,
    )


@pytest.mark.parametrize("credibility", [world.CERTAIN, world.DOUBTED], ids=["certain", "doubted"])
def test_rows_of_every_kind_are_worth_what_the_whole_horizon_says(credibility):
    evidence = world.bound(credibility=credibility)
    draws = world.prior_draws(evidence, draws=50)
    np.testing.assert_allclose(
        joint.row_log_likelihood(evidence, draws),
        whole_horizon(evidence, draws),
        rtol=1e-10,
        atol=1e-10,
    )


def test_rows_under_another_prior_set_keep_the_likelihood_that_they_were_bound_with(shipped, draws):
    sceptic = load_priors(ROOT / "params" / "priors.yaml").get("sceptic")
    other = replace(shipped, context=replace(shipped.context, priors=sceptic))
    np.testing.assert_allclose(
        joint.row_log_likelihood(other, draws), whole_horizon(other, draws), rtol=1e-10, atol=1e-10
    )
    again = joint.bind(other.context, shipped.rows, reference=shipped.reference, draws=400)
    np.testing.assert_allclose(
        whole_horizon(again, draws), whole_horizon(other, draws), rtol=1e-10, atol=1e-10
    )


def test_evidence_that_is_cut_already_is_taken_as_it_is():
    evidence = world.bound(reach=12)
    draws = world.prior_draws(evidence, draws=20)
    near = joint.near(evidence, draws)
    assert near.evidence.context.horizon == 12
    np.testing.assert_allclose(
        near.row_log_likelihood(), whole_horizon(evidence, draws), rtol=1e-10, atol=1e-10
    )


def test_without_scored_rows_there_is_nothing_to_add_up():
    evidence = world.bound(world.ledger_of([{}]))
    draws = world.prior_draws(evidence, draws=5)
    assert joint.row_log_likelihood(evidence, draws).shape == (5, 0)


def test_all_parameters_are_the_sampled_ones_and_else_the_priors(shipped):
    full = joint.prior_draws(shipped.context, shipped.models, random_seed=SEED, draws=30)
    other = joint.prior_draws(shipped.context, shipped.models, random_seed=5, draws=30)
    sampled = {
        "integration": other["integration"],
        "adoption_steps": other["adoption_steps"][:, :3],
    }
    made = joint.extend(shipped, sampled, random_seed=SEED)
    assert list(made) == list(full)
    for name, values in made.items():
        expected = full[name].copy()
        if name in sampled:
            expected[..., : sampled[name].shape[-1]] = sampled[name]
        np.testing.assert_array_equal(values, expected, err_msg=name)


# --- memory ---------------------------------------------------------------------------------------


def test_content_tells_values_shapes_types_and_tables_apart():
    x = np.arange(6.0)
    table = world.ledger().people
    changed = table.assign(note="other")
    different = [
        content(x),
        content(x.reshape(2, 3)),
        content(x.astype(int)),
        content(x, x),
        content("x"),
        content(["x"]),
        content(table),
        content(changed),
        content(np.zeros((0, 3))),
        content(np.zeros((3, 0))),
    ]
    assert len(set(different)) == len(different)
    assert content(x.reshape(2, 3)) == content(np.asfortranarray(x.reshape(2, 3)))
    assert content(table) == content(table.copy())


def test_a_memory_is_bounded_in_bytes_and_in_entries_and_forgets_the_oldest():
    memory = Memory(limit_bytes=3 * 80)
    asked: list[str] = []

    def recall(key: str) -> np.ndarray:
        def make() -> np.ndarray:
            asked.append(key)
            return np.zeros(10)

        return memory.recall(key, make)

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        recall(key)
    assert asked == ["a", "b", "c", "d", "b"]
    assert memory.bytes == 240
    few = Memory(limit_bytes=10**9, limit_entries=2)
    for key in "xyz":
        few.recall(key, dict)
    assert len(few) == 2


def test_what_is_remembered_cannot_be_written_to():
    made = Memory(1000).recall("key", lambda: {"x": (np.zeros(2), [np.ones(2)])})
    for array in (made["x"][0], made["x"][1][0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_prior_draws_belong_to_their_caller():
    first = joint.prior_draws(world.context(), ("adoption",), random_seed=1, draws=5)
    kept = {name: values.copy() for name, values in first.items()}
    for values in first.values():
        values += 1.0
    again = joint.prior_draws(world.context(), ("adoption",), random_seed=1, draws=5)
    for name, values in again.items():
        np.testing.assert_array_equal(values, kept[name])


def test_a_row_less_gives_the_same_whether_or_not_the_process_has_a_memory(shipped, draws):
    for kind in ("departure", "customer_ended", "revenue", "integration_report", "impairment"):
        first = shipped.rows["id"][shipped.rows["kind"] == kind].iloc[0]
        rows = shipped.rows[shipped.rows["id"] != first]
        warm = joint.bind(shipped.context, rows, draws=400)
        warm_rows = joint.row_log_likelihood(warm, draws)
        warm_forecast = forecast(warm, draws, random_seed=SEED)
        joint.MEMORY.clear()
        cold = joint.bind(shipped.context, rows, draws=400)
        for name, term in cold.bound.items():
            np.testing.assert_array_equal(term.log_p0, warm.bound[name].log_p0, err_msg=kind)
        np.testing.assert_array_equal(joint.row_log_likelihood(cold, draws), warm_rows)
        xr.testing.assert_identical(forecast(cold, draws, random_seed=SEED), warm_forecast)


def test_no_parameter_is_missed_by_what_is_remembered(shipped, draws):
    few = {name: values[:12] for name, values in draws.items()}
    forecast(shipped, few, random_seed=SEED)
    for name in few:
        moved = few | {name: few[name] * 1.01 + 1e-3}
        warm = forecast(shipped, moved, random_seed=SEED)
        rows = joint.row_log_likelihood(shipped, moved)
        joint.MEMORY.clear()
        cold = forecast(shipped, moved, random_seed=SEED)
        np.testing.assert_array_equal(joint.row_log_likelihood(shipped, moved), rows, err_msg=name)
        for driver in cold.data_vars:
            np.testing.assert_array_equal(cold[driver], warm[driver], err_msg=f"{name} {driver}")


@pytest.mark.parametrize(
    "changes",
    [
        {"stake": {"fraction": 0.3}},
        {"services": {"floor_bn_per_year": 0.9}},
        {"services": {"contract_years": 2}},
        {"horizon_years": 8},
        {"impairment": {"threshold": 0.95}},
    ],
    ids=str,
)
def test_no_term_of_the_deal_is_missed_by_what_is_remembered(changes):
    base = world.bound()
    forecast(base, world.prior_draws(base, draws=40), random_seed=SEED)
    evidence = world.bound(**changes)
    draws = world.prior_draws(evidence, draws=40)
    warm = forecast(evidence, draws, random_seed=SEED)
    joint.MEMORY.clear()
    cold = forecast(world.bound(**changes), draws, random_seed=SEED)
    xr.testing.assert_identical(warm, cold)


def test_no_prior_is_missed_by_what_is_remembered():
    base = world.context()
    scored = world.ledger().scored()
    joint.bind(base, scored, draws=60)
    for name in ("exit_hazard_movers", "action_hazard", "integration", "conflict_share"):
        prior = base.prior(name)
        other = {k: v * 1.2 + 0.05 for k, v in prior.parameters.items()}
        context = replace(base, priors={**base.priors, name: replace(prior, parameters=other)})
        warm = joint.bind(context, scored, draws=60)
        joint.MEMORY.clear()
        cold = joint.bind(context, scored, draws=60)
        before = joint.bind(base, scored, draws=60)
        for key, term in cold.bound.items():
            np.testing.assert_array_equal(term.log_p0, warm.bound[key].log_p0)
        # "integration" has its scale fixed and still enters: some row sees each of the four.
        assert any(
            not np.array_equal(term.log_p0, before.bound[key].log_p0)
            for key, term in cold.bound.items()
        ), name


def test_curves_of_a_model_read_no_rows_unless_it_says_so(shipped, draws):
    """What a row of one model says to another is told apart by the models that condition on their rows."""
    derived: dict[str, np.ndarray] = {}
    for name in shipped.models:
        model = MODELS[name]
        plain = model.curves(shipped.context, draws, derived, {}, OPS)
        found = model.curves(shipped.context, draws, derived, shipped.bound, OPS)
        same = all(np.array_equal(plain[curve], found[curve]) for curve in found)
        assert same is not model.conditions, name
        derived |= found


def test_what_a_memory_made_is_told_by_its_key_and_anything_else_by_its_values():
    memory, other = Memory(1000), Memory(1000)
    made = memory.recall("key", lambda: {"x": np.ones(2), "y": np.ones(2)})
    assert content(made["x"]) == content(memory.recall("key", dict)["x"])
    assert content(made["x"]) != content(made["y"])
    assert content(made["x"]) != content(other.recall("key", lambda: np.ones(2)))
    assert content(made["x"].copy()) == content(np.ones(2))


# --- occupancy and events -------------------------------------------------------------------------


def test_occupancy_by_subject_is_that_of_all_subjects_together(shipped, draws):
    pytensor = pytest.importorskip("pytensor")
    context = shipped.context
    derived = joint.curves(shipped, draws, OPS)
    subjects = list(range(len(context.subjects("customers"))))
    times = np.tile(np.array([0.0, 3.0, 9.5, 60.0]), (len(subjects), 1))
    life = shipped.bound["life_customers"]
    assert isinstance(life, BoundLifeCourse)
    process = churn.process(context)
    ours = occupancy(process, life, draws, derived, subjects, times, OPS)
    one = {name: values[0] for name, values in draws.items()}
    theirs = occupancy(
        process,
        life,
        one,
        {"log_churn_hazard": pytensor.tensor.constant(derived["log_churn_hazard"][0])},
        subjects,
        times,
        pytensor_ops(),
    )
    np.testing.assert_allclose(ours[0], theirs.eval(), rtol=1e-10, atol=1e-12)


def exits_one_by_one(
    process: LifeProcess,
    parameters: dict[str, np.ndarray],
    derived: dict[str, np.ndarray],
    subject: int,
    *,
    start: float,
    uniform: np.ndarray,
    last: float,
) -> np.ndarray:
    """Exit times of one subject by looking through every month."""
    grid = _grid(start, last)
    if len(grid) < 2:
        return np.full(len(uniform), np.inf)
    log_s = process.log_survival(parameters, derived, np.full(len(grid), subject), grid, OPS)
    used = log_s[:, :1] - log_s
    target = -np.log1p(-uniform)
    right = (used < target[:, None]).sum(axis=1)
    inside = right < len(grid)
    right = np.clip(right, 1, len(grid) - 1)
    rows = np.arange(len(uniform))
    low, high = used[rows, right - 1], used[rows, right]
    part = (target - low) / np.maximum(high - low, 1e-12)
    times = grid[right - 1] + part * (grid[right] - grid[right - 1])
    return np.where(inside, times, np.inf)


@pytest.mark.parametrize("of", [churn, retention, regulation], ids=lambda m: m.__name__)
@pytest.mark.parametrize(
    ("start", "last"), [(0.0, 120.0), (3.7, 117.2), (11.9, 12.0), (119.5, 120.0), (5.0, 4.0)]
)
def test_halving_finds_the_exits_that_looking_through_every_month_finds(
    of, start, last, shipped, draws
):
    process = of.process(shipped.context)
    derived = joint.near(shipped, draws).curves()
    uniform = np.random.default_rng(3).random((200, 2))
    uniform[:3, 0] = [0.0, 1e-15, 1.0 - 1e-15]
    who = np.array([0, 0 if of is regulation else 1])
    found = _invert(
        lambda t: process.log_survival(draws, derived, who, t, OPS),
        [_grid(start, last), _grid(0.0, 60.0)],
        np.tile([0, 1], (200, 1)),
        uniform,
    )
    for j, (first, end) in enumerate([(start, last), (0.0, 60.0)]):
        slow = exits_one_by_one(
            process, draws, derived, int(who[j]), start=first, uniform=uniform[:, j], last=end
        )
        np.testing.assert_array_equal(np.isfinite(found[:, j]), np.isfinite(slow))
        np.testing.assert_allclose(found[:, j], slow, rtol=1e-9, atol=1e-9)


def test_a_groups_share_is_the_count_of_its_members(shipped, draws):
    found = forecast(shipped, draws, random_seed=SEED)
    context, months = shipped.context, shipped.context.months
    hazard = np.exp(joint.near(shipped, draws).curves()["log_exit_hazard"])
    roster = context.people[context.people["cohort"] == "stars"].sort_values("subject")
    total = np.zeros((200, len(months)))
    for _, row in roster.iterrows():
        if row["size"] == 1:
            total += months < found["person_exit"].sel(person=row["subject"]).to_numpy()[:, None]
            continue
        survival = np.exp(
            -hazard[:, retention.cohorts(context).index("stars"), :]
            @ retention.exposure(np.maximum(months - context.starts[row["subject"]], 0.0)).T
        )
        uniform = joint.keyed_rng(SEED, f"group {row['subject']}").random((200, int(row["size"])))
        total += (uniform[:, None, :] < survival[:, :, None]).sum(axis=-1)
    np.testing.assert_allclose(found["stars_retained"], total / roster["size"].sum(), atol=1e-12)


def test_a_forecast_rests_on_the_curves_of_the_whole_horizon(shipped, draws):
    found = forecast(shipped, draws, random_seed=SEED)
    curves = joint.curves(shipped, draws, OPS)
    for driver, curve in {
        "adoption_share": "adoption_share",
        "acquirer_spend": "acquirer_spend",
        "purchases": "purchases",
        "revenue_new": "revenue_new",
        "exit_multiple": "multiple",
    }.items():
        np.testing.assert_allclose(found[driver], curves[curve], rtol=1e-12, atol=1e-12)
    context = shipped.context
    roster = context.customers.set_index("subject").loc[context.subjects("customers")]
    share = roster["revenue_share"].to_numpy(float)
    active = curves["customer_active"].copy()
    for i, name in enumerate(roster.index):
        if not roster["pooled"].iloc[i]:
            end = found["customer_end"].sel(customer=name).to_numpy()[:, None]
            back = found["customer_return"].sel(customer=name).to_numpy()[:, None]
            active[:, i, :] = (context.months < end) | (context.months >= back)
    kept = np.einsum("c,dcm->dm", share, active)
    base = curves["revenue_at_close"] * (1.0 - draws["acquirer_share_before"])
    growth = revenue.growth_factor(draws, context.months.astype(float), OPS)
    np.testing.assert_allclose(
        found["revenue_retained"], base[:, None] * kept * growth, rtol=1e-11, atol=1e-12
    )


# --- values on demand -----------------------------------------------------------------------------


def test_some_values_are_the_same_as_among_all():
    drivers, deal = builders.drivers(draws=300), builders.deal()
    every = value.value(drivers, deal)
    assert set(every.data_vars) == {*value.VALUES, "weight"}
    for name in value.VALUES:
        some = value.value(drivers, deal, only=(name,))
        assert set(some.data_vars) == {name, "weight"}
        xr.testing.assert_identical(some[name], every[name])


def test_an_unknown_value_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match=r"'profit' is no value; there are npv, "):
        value.value(builders.drivers(draws=3), builders.deal(), only=("npv", "profit"))


# --- imports --------------------------------------------------------------------------------------


def loaded(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("name", ["open_study", "open_change"])
def test_opening_a_study_loads_no_sampler_and_no_page(name):
    heavy = {"pymc", "pytensor", "nutpie", "numba", "arviz", "matplotlib", "nbclient", "scipy"}
    assert not loaded(f"from valuation.study import {name}") & heavy


@pytest.mark.parametrize("path", sorted((ROOT / "params").rglob("*.yaml")), ids=lambda p: p.stem)
def test_both_parsers_read_the_settings_alike_to_the_column(path):
    yaml = pytest.importorskip("yaml")
    text = (
        path.read_text(encoding="utf-8") + "\n# é\nzz: {é: [1, 2.5, ~, 'q', \"–\"], f: two words}\n"
    )
    slow = reading._Composer("x").compose(text, yaml.SafeLoader)
    fast = reading._Composer("x").compose(text, reading.FAST_LOADER)
    assert (fast.data, fast.keys, fast.values) == (slow.data, slow.keys, slow.values)


def test_the_time_to_exit_is_where_the_survival_meets_the_uniform():
    rng = np.random.default_rng(5)
    hazard = np.exp(rng.normal(-3.5, 1.0, (40, len(retention.BREAKS))))
    uniform = rng.random((40, 7))
    uniform[0, :2] = [0.0, 1.0 - 1e-16]
    found = retention.time_to_exit(hazard, uniform)
    assert np.isfinite(found).all()
    survival = np.exp(-(hazard[:, None, :] * retention.exposure(found)).sum(axis=-1))
    np.testing.assert_allclose(survival[1:], uniform[1:], rtol=1e-10)
    assert found[0, 0] > 500.0
    assert found[0, 1] == pytest.approx(0.0, abs=1e-12)
