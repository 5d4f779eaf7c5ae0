"""The joint model: each row counts once, in no order, as much as it is believed, in both array libraries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_world as world

from valuation.errors import LedgerError
from valuation.ledger import Ledger, load_ledger
from valuation.models import KINDS, MODELS, joint
from valuation.models.base import BoundIndependent, log_mean_exp
from valuation.models.joint import Evidence
from valuation.ops import numpy_ops, pytensor_ops
from valuation.params import load_credibility, load_deal

OPS = numpy_ops()


@pytest.fixture(scope="module")
def shipped_ledger() -> Ledger:
    return load_ledger(world.PROJECT / "seeds", kinds=KINDS)


@pytest.fixture(scope="module")
def shipped(shipped_ledger: Ledger) -> Evidence:
    """The project's own ledger, deal and grades."""
    context = joint.context_of(
        shipped_ledger,
        load_deal("meta_scale", world.PROJECT),
        world.book().get("house"),
        load_credibility(world.PROJECT / "params" / "credibility.yaml"),
    )
    return joint.bind(context, shipped_ledger.scored())


@pytest.fixture(scope="module")
def doubted() -> Evidence:
    return world.bound(credibility=world.DOUBTED)


def compiled(evidence: Evidence) -> Any:
    """The rows' log-likelihoods as a function of parameters, in PyTensor."""
    import pytensor
    import pytensor.tensor as pt

    given: dict[str, Any] = {
        name: pt.dscalar(name) for name in joint.scalars(evidence.context, evidence.models)
    }
    for name, (_, labels) in joint.innovations(evidence.context, evidence.models).items():
        given[name] = pt.tensor(name, dtype="float64", shape=(len(labels),))
    ops = pytensor_ops()
    rows = joint.log_likelihood(evidence, given, joint.curves(evidence, given, ops), ops)
    function = pytensor.function(
        list(given.values()), rows, mode="FAST_COMPILE", on_unused_input="ignore"
    )
    return lambda parameters: function(*(parameters[name] for name in given))


def one(draws: dict[str, np.ndarray], i: int) -> dict[str, np.ndarray]:
    return {name: values[i] for name, values in draws.items()}


# --- every row once -------------------------------------------------------------------------------


def test_every_scored_row_of_the_shipped_ledger_reaches_exactly_one_term(shipped, shipped_ledger):
    typed = shipped_ledger.scored()
    assert sorted(shipped.ids) == sorted(typed["id"])
    assert len(set(shipped.ids)) == len(shipped.ids)
    owners = [[k for k, term in shipped.bound.items() if i in term.ids] for i in typed["id"]]
    assert [len(o) for o in owners] == [1] * len(typed)


def test_every_kind_has_a_row_in_the_small_world_and_a_finite_likelihood():
    evidence = world.bound()
    assert set(evidence.rows["kind"]) == set(KINDS)
    assert sorted(evidence.ids) == sorted(world.ledger().scored()["id"])
    for name, values in world.loglik(evidence, world.prior_draws(evidence)).items():
        assert np.isfinite(values).all(), name


def test_every_row_of_the_shipped_ledger_is_finite_over_the_prior(shipped):
    for name, values in world.loglik(shipped, world.prior_draws(shipped, draws=500)).items():
        assert np.isfinite(values).all(), name


def test_kinds_belong_to_one_model_each_and_are_known_by_their_names():
    owned = [kind.name for model in MODELS.values() for kind in model.kinds]
    assert sorted(owned) == sorted(KINDS)
    assert len(owned) == len(set(owned))


# --- order and duplicates -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_and_of_rosters_changes_no_rows_likelihood(seed, doubted):
    known = world.ledger()

    def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.sample(frac=1.0, random_state=seed).reset_index(drop=True)

    context = replace(
        doubted.context,
        **{name: shuffled(getattr(known, name)) for name in ("people", "customers", "entities")},
    )
    mixed = joint.bind(context, shuffled(known.scored()), draws=400)
    draws = world.prior_draws(doubted)
    expected = world.loglik(doubted, draws)
    found = world.loglik(mixed, draws)
    assert set(found) == set(expected)
    for name, values in found.items():
        assert values == pytest.approx(expected[name], rel=1e-10, abs=1e-12)


def test_a_repeat_of_a_report_moves_nothing(doubted):
    known = world.ledger()
    (row,) = known.evidence[known.evidence["id"] == "E05"].drop(columns="line").to_dict("records")
    repeated = known.adding([row | {"id": "E05-2", "credibility": "C"}])
    assert list(repeated.scored()["id"]) == list(known.scored()["id"])
    draws = world.prior_draws(doubted)
    twice = world.loglik(world.bound(repeated, credibility=world.DOUBTED), draws)
    for name, values in world.loglik(doubted, draws).items():
        assert twice[name] == pytest.approx(values, rel=1e-12)


def test_a_second_independent_report_does_move(doubted):
    known = world.ledger()
    more = known.adding(
        [world.ROW | {"id": "N1", "root": "new", "kind": "sighting", "subject": world.FOUNDER}]
    )
    draws = world.prior_draws(doubted)
    rows = world.loglik(world.bound(more, credibility=world.DOUBTED), draws)
    assert np.ptp(rows["N1"]) > 0.0


# --- how much a row is believed -------------------------------------------------------------------


def graded(disbelieved: str) -> pd.DataFrame:
    """The scored rows, all certain but those of one kind, which nobody believes."""
    rows = world.ledger().scored()
    return rows.assign(credibility=np.where(rows["kind"] == disbelieved, "D", "A"))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rows_that_nobody_believes_are_constants_and_leave_the_others_alone(kind):
    rows = graded(kind)
    context = world.context(credibility=world.CERTAIN | {"D": 0.0})
    ignored = joint.bind(context, rows, draws=200)
    absent = joint.bind(context, rows[rows["kind"] != kind], draws=200)
    draws = world.prior_draws(ignored)
    found, without = world.loglik(ignored, draws), world.loglik(absent, draws)
    for name, values in found.items():
        if name not in without:
            assert np.ptp(values) == pytest.approx(0.0, abs=1e-9), name
            continue
        assert np.ptp(values - without[name]) == pytest.approx(0.0, abs=1e-9), name


def test_if_nobody_believes_anything_the_posterior_is_the_prior():
    evidence = world.bound(credibility=world.IGNORED)
    total = sum(world.loglik(evidence, world.prior_draws(evidence)).values())
    assert np.ptp(total) == pytest.approx(0.0, abs=1e-9)


def _independent(evidence: Evidence) -> dict[str, BoundIndependent]:
    return {k: t for k, t in evidence.bound.items() if isinstance(t, BoundIndependent)}


def test_a_doubted_row_mixes_its_likelihood_with_its_prior_predictive_probability(doubted):
    draws = world.prior_draws(doubted)
    curves = joint.curves(doubted, draws, OPS)
    terms = _independent(doubted)
    assert len(terms) >= 10
    for term in terms.values():
        plain = term.term.logp(draws, curves, OPS)
        truth = term.term.truth
        expected = np.log(truth * np.exp(plain) + (1.0 - truth) * np.exp(term.log_p0))
        assert term.log_likelihood(draws, curves, OPS) == pytest.approx(expected, rel=1e-8)


def test_a_certain_row_is_its_plain_likelihood():
    evidence = world.bound()
    draws = world.prior_draws(evidence)
    curves = joint.curves(evidence, draws, OPS)
    for term in _independent(evidence).values():
        plain = term.term.logp(draws, curves, OPS)
        assert (term.log_likelihood(draws, curves, OPS) == plain).all()


def test_the_prior_predictive_probability_is_the_mean_likelihood_over_the_prior(doubted):
    draws = joint.prior_draws(
        doubted.context, doubted.models, random_seed=joint.REFERENCE_SEED, draws=400
    )
    curves = joint.curves(doubted, draws, OPS)
    for key, term in _independent(doubted).items():
        plain = term.term.logp(draws, curves, OPS)
        assert term.log_p0 == pytest.approx(log_mean_exp(plain), rel=1e-9), key
        assert np.exp(term.log_p0) == pytest.approx(np.exp(plain).mean(axis=0), rel=1e-9), key


def test_belief_between_none_and_full_moves_draws_between_none_and_full():
    draws = world.prior_draws(world.bound())

    def spread(truth: float) -> float:
        evidence = world.bound(credibility=dict.fromkeys("ABCD", truth), models=("regulation",))
        return float(np.ptp(world.loglik(evidence, draws)["E61"]))

    assert spread(0.0) == pytest.approx(0.0, abs=1e-12)
    assert 0.0 < spread(0.3) < spread(0.8) < spread(1.0)


CONTRADICTION = [
    {"kind": "departure", "subject": world.MOVER, "event_date": "2025-09-12", "value": 1},
    {"kind": "sighting", "subject": world.MOVER, "event_date": "2025-12-12"},
]


def test_a_person_seen_after_having_left_is_a_matter_of_doubt():
    evidence = world.bound(world.ledger_of(CONTRADICTION), credibility=world.DOUBTED)
    draws = world.prior_draws(evidence)
    for values in world.loglik(evidence, draws).values():
        assert np.isfinite(values).all()
    there = joint.curves(evidence, draws, OPS)["talent_retained"]
    assert (there >= 0.0).all()
    assert (there <= 1.0 + 1e-12).all()


def test_a_person_certainly_seen_after_having_certainly_left_is_refused_by_row():
    with pytest.raises(LedgerError, match="rows R01, R02 cannot all be true"):
        world.bound(world.ledger_of(CONTRADICTION))


# --- one formula, two libraries -------------------------------------------------------------------


def test_both_libraries_agree_on_every_row_of_the_shipped_ledger(shipped):
    short = joint.bind(
        replace(shipped.context, reach=joint.reach_of(shipped.context, shipped.rows)),
        shipped.rows,
        draws=500,
    )
    draws = world.prior_draws(short, draws=15)
    ours = np.stack(list(world.loglik(short, draws).values()), axis=-1)
    theirs = compiled(short)
    for i in range(15):
        assert theirs(one(draws, i)) == pytest.approx(ours[i], rel=1e-9, abs=1e-9)


def test_both_libraries_agree_on_every_kind_of_row():
    evidence = world.bound(credibility=world.DOUBTED, reach=12, draws=100)
    draws = world.prior_draws(evidence, draws=10)
    ours = np.stack(list(world.loglik(evidence, draws).values()), axis=-1)
    theirs = compiled(evidence)
    for i in range(10):
        assert theirs(one(draws, i)) == pytest.approx(ours[i], rel=1e-9, abs=1e-9)


def test_the_sampled_model_has_the_likelihood_of_the_whole_horizon(shipped):
    import pytensor

    model = joint.build(shipped)
    names = [v.name for v in model.free_RVs]
    (potential,) = model.potentials
    function = pytensor.function(model.free_RVs, potential, mode="FAST_COMPILE")
    draws = world.prior_draws(shipped, draws=5)
    whole = sum(world.loglik(shipped, draws).values())
    dims = model.named_vars_to_dims
    widths = {n: len(model.coords[dims[n][0]]) for n in names if n in dims}
    for i in range(5):
        point = one(draws, i)
        given = [point[n][: widths[n]] if n in widths else point[n] for n in names]
        assert function(*given) == pytest.approx(whole[i], rel=1e-8, abs=1e-8)


def test_cutting_the_curves_at_the_last_evidence_changes_no_row(shipped):
    reach = joint.reach_of(shipped.context, shipped.rows)
    assert reach < shipped.context.horizon
    short = joint.bind(
        replace(shipped.context, reach=reach), shipped.rows, reference=shipped.reference
    )
    draws = world.prior_draws(shipped, draws=30)
    cut = {
        name: draws[name][..., : values.shape[-1]] if values.ndim > 1 else draws[name]
        for name, values in world.prior_draws(short, draws=30).items()
    }
    for name, values in world.loglik(short, cut).items():
        whole = world.loglik(shipped, draws)[name]
        assert values == pytest.approx(whole, rel=1e-8, abs=1e-9), name


# --- sub-models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(m for m in MODELS if MODELS[m].kinds))
def test_a_model_alone_says_of_its_rows_what_the_joint_model_says(name, doubted):
    alone = world.bound(credibility=world.DOUBTED, models=(name,))
    draws = world.prior_draws(doubted)
    together = world.loglik(doubted, draws)
    own = world.loglik(alone, draws)
    assert {i for i, k in zip(*_columns(alone), strict=True) if KINDS[k].model == name}
    for row, values in own.items():
        assert values == pytest.approx(together[row], rel=1e-9, abs=1e-12), row


def _columns(evidence: Evidence) -> tuple[list[str], list[str]]:
    return list(evidence.rows["id"]), list(evidence.rows["kind"])


def test_prior_draws_of_a_parameter_do_not_depend_on_the_company_it_keeps():
    context = world.context()
    alone = joint.prior_draws(context, ("regulation",), random_seed=3, draws=20)
    together = joint.prior_draws(context, joint.closure(None), random_seed=3, draws=20)
    for name, values in alone.items():
        assert (values == together[name]).all()


def test_prior_draws_keep_their_beginning_when_the_horizon_grows():
    short = joint.prior_draws(world.context(), ("adoption",), random_seed=3, draws=20)
    grown = world.context(horizon_years=10)
    long = joint.prior_draws(grown, ("adoption",), random_seed=3, draws=20)
    width = short["adoption_steps"].shape[1]
    assert long["adoption_steps"].shape[1] > width
    assert (long["adoption_steps"][:, :width] == short["adoption_steps"]).all()


def test_two_prior_sets_share_their_random_numbers():
    house = joint.prior_draws(world.context(), ("worth",), random_seed=3, draws=50)
    other = joint.prior_draws(
        world.context(prior_set="enthusiast"), ("worth",), random_seed=3, draws=50
    )
    assert (other["uplift_at_frontier"] > house["uplift_at_frontier"]).all()
    assert (other["talent_pool_usd_bn"] == house["talent_pool_usd_bn"]).all()


def test_prior_draws_follow_their_prior():
    context = world.context()
    draws = joint.prior_draws(context, joint.closure(None), random_seed=3, draws=4000)
    for name in joint.scalars(context, joint.closure(None)):
        prior = context.prior(name)
        error = 4.0 * prior.sd / np.sqrt(4000.0)
        assert draws[name].mean() == pytest.approx(prior.mean, abs=error + 1e-12), name


def test_what_a_false_row_would_look_like_belongs_to_the_evidence_not_to_a_prior_set():
    known = world.ledger()
    house = world.context(credibility=world.DOUBTED)
    other = world.context(credibility=world.DOUBTED, prior_set="sceptic")
    bound = joint.bind(other, known.scored(), reference=house, draws=400)
    draws = world.prior_draws(bound)
    plain = world.loglik(world.bound(credibility=world.DOUBTED), draws)
    for name, values in world.loglik(bound, draws).items():
        assert values == pytest.approx(plain[name], rel=1e-9), name


# --- what is sampled ------------------------------------------------------------------------------


def test_only_what_some_row_touches_is_sampled(shipped):
    seen = joint.touched(shipped)
    assert not seen & set(MODELS["worth"].scalars(shipped.context))
    assert {"integration", "exit_hazard_founder", "conflict_effect", "revenue_before"} <= seen


def test_a_ledger_of_one_subject_touches_only_its_model():
    row = {"kind": "regulatory_action", "subject": "Authority", "value": 0}
    evidence = world.bound(world.ledger_of([row]), draws=50, reach=12)
    assert joint.touched(evidence) == {"action_hazard"}


def test_a_ledger_without_typed_rows_gives_a_model_without_a_likelihood():
    evidence = world.bound(world.ledger_of([{}]), draws=50)
    assert evidence.ids == ()
    assert joint.touched(evidence) == set()
    model = joint.build(evidence)
    assert (model.free_RVs, model.potentials) == ([], [])


def test_parameters_that_were_not_sampled_follow_their_prior(doubted):
    sampled = {
        "integration": np.linspace(-1.0, 1.0, 30),
        "adoption_steps": np.full((30, 2), 0.5),
    }
    full = joint.extend(doubted, sampled, random_seed=5)
    again = joint.extend(doubted, sampled, random_seed=5)
    prior = joint.prior_draws(doubted.context, doubted.models, random_seed=5, draws=30)
    assert set(full) == set(prior)
    assert (full["integration"] == sampled["integration"]).all()
    assert (full["adoption_steps"][:, :2] == 0.5).all()
    assert (full["adoption_steps"][:, 2:] == prior["adoption_steps"][:, 2:]).all()
    assert (full["exit_multiple"] == prior["exit_multiple"]).all()
    assert all((full[name] == again[name]).all() for name in full)


def test_replicated_rows_are_finite_and_cover_every_row(shipped):
    draws = world.prior_draws(shipped, draws=200)
    made = joint.replicate(shipped, draws, random_seed=4)
    assert set(made) == set(shipped.ids)
    for name, values in made.items():
        assert values.shape == (200,)
        assert np.isfinite(values).all(), name


def test_replicated_rows_take_the_values_that_their_kind_may_take(shipped):
    draws = world.prior_draws(shipped, draws=200)
    made = joint.replicate(shipped, draws, random_seed=4)
    allowed = {
        "integration_report": {-1.0, 0.0, 1.0},
        "quality_report": {-1.0, 0.0, 1.0},
        "vendor_in_use": {0.0, 1.0},
        "milestone": {0.0, 1.0},
        "regulatory_signal": {-1.0, 1.0},
    }
    for _, row in shipped.rows.iterrows():
        if row["kind"] in allowed:
            assert set(made[row["id"]]) <= allowed[row["kind"]]
        if row["kind"] in ("group_exits", "layoff", "new_customers"):
            assert (made[row["id"]] == np.round(made[row["id"]])).all()
