"""What moved the answer: causes add up, each lands in its bucket, and closed forms are met.

The draws behind the states come from priors or from exact conjugate posteriors, not from a sampler. Claims of
chance are made at fixed seeds: three standard errors, so that one in 370 would fail for another seed.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import example_update
import numpy as np
import pytest
import small_world as world
import xarray as xr
from scipy import stats

from valuation import archive, decision, posterior, value
from valuation.archive import Run
from valuation.errors import LedgerError, ModelError, ParameterError, ValuationError
from valuation.models import joint
from valuation.params import Prior, cache_folder
from valuation.schema import CHAINS
from valuation.study import Study, open_study, stored
from valuation.study import change as changes
from valuation.study import pool as pools
from valuation.study.case import log_target
from valuation.study.change import BUCKETS, Change, open_change
from valuation.study.items import items_of, mixed
from valuation.study.pool import Memory, Pool, Quantity, read_source

PER_CHAIN = 500
DRAWS = CHAINS * PER_CHAIN
SHAPE, RATE = (
    0.5,
    100.0,
)  # of the gamma prior of the monthly hazard of an action, where closed forms need one
MEMORY = Memory()  # every test goes on from what others have simulated, as a session does


def few_quantities(drivers: xr.Dataset, study: Study) -> tuple[tuple[Quantity, ...], np.ndarray]:
    """Events, drivers and a definition that are quick: money has tests of its own."""
    paid = study.deal.outlay.total_bn
    worth = drivers["stake_value"].isel(month=-1).to_numpy()
    found = [
        (Quantity("npv", "Stake repays", "probability", "definition"), worth > paid),
        (Quantity(pools.EXPECTED_NPV, "Gain", "USD bn", "value"), worth - paid),
    ]
    for group, data in (
        ("event", decision.driver_events(drivers, study.deal)),
        ("driver", decision.driver_scalars(drivers, study.deal, fixed=True)),
    ):
        found += [
            (Quantity(str(n), str(n), "", group), np.asarray(v, dtype=float))
            for n, v in data.data_vars.items()
        ]
    return tuple(q for q, _ in found), np.array([np.asarray(v, dtype=float) for _, v in found])


ALL_QUANTITIES = pools.quantities_of


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Few quantities, few prior draws behind p0, the code's digest read once, and no sampling."""

    def refuse(study: Study, prior_set: str) -> xr.DataTree:
        raise AssertionError(f"a test asked for a fit under {prior_set}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "quantities_of", few_quantities)
        patch.setattr(joint, "bind", partial(joint.bind, draws=500))
        patch.setattr(Study, "fitted", refuse)
        for owner, name in (
            (stored, "package_digest"), (changes, "package_digest"), (posterior, "code_digest"),
        ):  # fmt: skip
            patch.setattr(owner, name, partial(str, getattr(owner, name)()))
        yield
    MEMORY.simulations.clear()
    joint.MEMORY.clear()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The small world; tests give it ledgers of their own."""
    home = tmp_path_factory.mktemp("change")
    study = open_study("test_deal", root=world.project(home / "project"), cache=home / "cache")
    return replace(study, credibility=world.DOUBTED)


# --- states ---------------------------------------------------------------------------------------

CLOSE = {"id": "E01", "event_date": "2025-06-12", "published": "2025-06-12"}
ADA = {
    "id": "E02", "kind": "sighting", "subject": world.FOUNDER, "root": "ada1",
    "event_date": "2025-08-01", "published": "2025-08-02",
}  # fmt: skip
MOVED = {
    "id": "E08", "kind": "group_exits", "subject": "Movers", "value": 1, "root": "group1",
    "event_date": "2025-09-30", "published": "2025-10-01",
}  # fmt: skip
POOR = {
    "id": "E20", "kind": "quality_report", "subject": "Maker", "value": -1, "root": "quality1",
    "event_date": "2025-10-01", "published": "2025-10-02", "credibility": "C",
}  # fmt: skip
GAP = {
    "id": "E51", "kind": "index_gap", "subject": "Buyer", "value": 15, "sd": 5, "root": "gap1",
    "event_date": "2025-12-10", "published": "2025-12-11", "credibility": "C",
}  # fmt: skip
KNOWN = (CLOSE, ADA, MOVED, POOR, GAP)
DAY = {"event_date": "2026-01-15", "published": "2026-01-16"}
LEFT = DAY | {"id": "N1", "kind": "departure", "subject": world.FOUNDER, "root": "ada2"}
GOOD = DAY | {"id": "N2", "kind": "quality_report", "subject": "Maker", "value": 1, "root": "q2"}
NEAR = DAY | {
    "id": "N3",
    "kind": "index_gap",
    "subject": "Buyer",
    "value": 4,
    "sd": 4,
    "root": "g2",
}
CASE = DAY | {
    "id": "N4",
    "kind": "regulatory_signal",
    "subject": "Authority",
    "value": 1,
    "root": "c",
}


def state(base: Study, rows: Sequence[Mapping[str, Any]], **changed: Any) -> Study:
    """The small world knowing these rows."""
    return replace(base, ledger=world.ledger_of(rows), **changed)


def with_priors(study: Study, **priors: Mapping[str, float]) -> Study:
    """The study with other numbers in priors, by family: ``name={"gamma": {...}}``."""
    sets = {}
    for label in study.book.sets():
        known = study.book.get(label)
        for name, stated in priors.items():
            ((family, parameters),) = stated.items()
            known[name] = replace(
                known[name], family=family, parameters=parameters, quantiles=None, fit=()
            )
        sets[label] = known
    return replace(study, book=replace(study.book, _priors=sets))


def with_deal(study: Study, **terms: Any) -> Study:
    deal = study.base_deal.model_copy(update=terms)
    return replace(study, base_deal=deal, deal=study.scenario.resolve(deal))


def stored_draws(
    study: Study,
    *,
    seed: int = 99,
    per_chain: int = PER_CHAIN,
    prior_set: str = "house",
    **exact: np.ndarray,
) -> xr.DataTree:
    """Draws from the priors with the log density that they were made under, as a sampler would leave them.

    ``exact`` replaces parameters by draws from their exact posterior given the study's rows; the density is then
    that of the posterior.
    """
    evidence = study.under(prior_set)
    short = replace(evidence.context, reach=joint.reach_of(evidence.context, evidence.rows))
    size = CHAINS * per_chain
    drawn = joint.prior_draws(short, evidence.models, random_seed=seed, draws=size) | exact
    labels = joint.innovations(short, evidence.models)
    data: dict[str, Any] = {}
    for name, values in drawn.items():
        if values.ndim == 1 and np.ptp(values) > 0.0:
            data[name] = (("chain", "draw"), values.reshape(CHAINS, per_chain))
        elif values.ndim == 2:
            shaped = values.reshape(CHAINS, per_chain, -1)
            data[name] = (("chain", "draw", labels[name][0]), shaped)
    coords = dict(labels.values())
    sampled = xr.Dataset(data, coords=coords | {"chain": range(CHAINS), "draw": range(per_chain)})
    calm = {
        "diverging": np.zeros((CHAINS, per_chain), dtype=bool),
        "energy": np.random.default_rng(seed).normal(size=(CHAINS, per_chain)),
        "tree_depth": np.full((CHAINS, per_chain), 3),
        "reached_max_treedepth": np.zeros((CHAINS, per_chain), dtype=bool),
    }
    tree = posterior.tree_of(
        sampled,
        xr.Dataset({name: (("chain", "draw"), v) for name, v in calm.items()}),
        attrs={"sampler": "exact", "seed": seed},
    )
    flat = {n: drawn[n] for n in data}
    if exact:
        density = log_target(evidence, flat, seed=study.random_seed)
    else:
        density = np.sum(
            [evidence.context.prior(n).logpdf(v) for n, v in flat.items() if v.ndim == 1], axis=0
        )
    return posterior.with_density(tree, density)


def keep(study: Study, **options: Any) -> str:
    """Store draws under the study's own posterior key."""
    key = study.posterior_key()
    if not (study.posteriors / f"{key}.json").is_file():
        posterior.save(stored_draws(study, **options), study.posteriors, key)
    return key


def moved(old: Study, new: Study, **options: Any) -> Change:
    """The change between two states on draws stored for the old one."""
    options = {"memory": MEMORY} | options
    return Change(old, new, None, {}, ((keep(old), old),), **options)


@pytest.fixture(scope="module")
def old(base: Study) -> Study:
    return state(base, KNOWN)


@pytest.fixture(scope="module")
def milder(old: Study) -> Study:
    """The old state with a sceptic who differs in one prior only, so that draws reach both."""
    sets = {name: dict(old.book.get()) for name in old.book.sets()}
    lower = replace(
        sets["house"]["talent_pool_usd_bn"],
        parameters={"mu": 1.0, "sigma": 0.3},
        quantiles=None,
        fit=(),
    )
    sets["sceptic"]["talent_pool_usd_bn"] = lower
    return replace(old, book=replace(old.book, _priors=sets))


def split(old: Study, new: Study, turned: bool) -> dict[str, Any]:
    """The change between two states on draws stored for the old one, told there or, ``turned``, back."""
    ends = (new, old) if turned else (old, new)
    return Change(*ends, None, {}, ((keep(old), old),), memory=MEMORY).answer


def same_shares(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """The same items, worth the same in both views."""
    for one, other in zip(ours["items"], theirs["items"], strict=True):
        assert one["item"] == other["item"]
        for view in ("shapley", "arrival"):
            assert one[view] == pytest.approx(other[view], abs=1e-12), one["item"]


def table(answer: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Quantities by name."""
    return {q["name"]: q for q in answer["quantities"]}


def bucket(answer: Mapping[str, Any], name: str) -> dict[str, float]:
    (found,) = [b for b in answer["buckets"] if b["bucket"] == name]
    return dict(found["change"])


def add_up(answer: Mapping[str, Any]) -> None:
    """Buckets sum to the change, items to their bucket, for every quantity to 1e-9; all is finite."""
    json.dumps(answer, allow_nan=False)
    assert [b["bucket"] for b in answer["buckets"]] == list(BUCKETS)
    for q in answer["quantities"]:
        name = q["name"]
        assert q["is"] - q["was"] == pytest.approx(q["change"], abs=1e-9)
        total = math.fsum(b["change"][name] for b in answer["buckets"])
        assert total == pytest.approx(q["change"], abs=1e-9), name
        for b in answer["buckets"]:
            shares = [i["shapley"][name] for i in answer["items"] if i["bucket"] == b["bucket"]]
            assert [i["item"] for i in answer["items"] if i["bucket"] == b["bucket"]] == b["items"]
            if b["bucket"] in ("news", "prior_edits", "deal_terms", "scenario"):
                assert math.fsum(shares) == pytest.approx(b["change"][name], abs=1e-9)


def still(answer: Mapping[str, Any], *names: str, but: Sequence[str] = ()) -> None:
    """Nothing in these buckets (default: in none but some)."""
    for b in answer["buckets"]:
        if b["bucket"] in names or (not names and b["bucket"] not in but):
            worst = max(abs(x) for x in b["change"].values())
            assert worst < 1e-9, (b["bucket"], worst)


# --- nothing moves where nothing differs ----------------------------------------------------------


def test_an_unchanged_state_changes_nothing_anywhere(old):
    answer = moved(old, old).answer
    add_up(answer)
    still(answer)
    assert answer["items"] == []
    assert answer["is"]["method"] == "unchanged"
    assert {q["change"] for q in answer["quantities"]} == {0.0}
    assert all(x == 0.0 for b in answer["buckets"] for x in b["mcse"].values())


def test_shuffling_the_ledger_changes_nothing(base, old):
    turned = state(base, KNOWN[::-1])
    answer = moved(old, turned).answer
    assert answer["items"] == []
    assert {q["change"] for q in answer["quantities"]} == {0.0}


def test_the_order_in_which_news_stands_in_the_ledger_changes_no_number(base, old):
    first = moved(old, state(base, (*KNOWN, LEFT, NEAR))).answer
    other = moved(old, state(base, (NEAR, *KNOWN[::-1], LEFT)), memory=Memory()).answer
    assert other["quantities"] == first["quantities"]
    assert other["buckets"] == first["buckets"]
    assert other["items"] == first["items"]


def test_a_marked_duplicate_moves_nothing(base, old):
    again = DAY | ADA | {"id": "N9", "published": "2026-01-16"}  # same root, subject and kind
    answer = moved(old, state(base, (*KNOWN, again))).answer
    add_up(answer)
    still(answer, but=("time",))
    (item,) = answer["items"]
    assert set(item["shapley"].values()) == {0.0}
    assert item["probability"] is item["bits"] is None  # it says nothing that was not known
    assert item["moved"] == []


def test_a_row_that_nobody_believes_moves_nothing(base, old):
    disbelieved = replace(old, credibility=world.DOUBTED | {"D": 0.0})
    # Within the time that evidence reaches already: a later day moves the seam of the gap's forecast.
    rows = (*KNOWN, NEAR | {"credibility": "D", "event_date": "2025-12-01"})
    answer = moved(disbelieved, state(disbelieved, rows)).answer
    add_up(answer)
    still(answer, but=("time",))


def test_context_is_counted_and_moves_nothing(base, old):
    answer = moved(old, state(base, (*KNOWN, DAY | {"id": "N8"}))).answer
    assert (answer["items"], answer["context_rows"]) == ([], 1)
    still(answer, but=("time",))


# --- causes add up --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mix(base: Study, old: Study) -> dict[str, Any]:
    """News, a revision, a prior and a term at once, in every published quantity."""
    rows = (
        *KNOWN, LEFT,
        DAY | MOVED | {"id": "R1", "value": 2, "supersedes": "E08", "published": "2026-01-16"},
    )  # fmt: skip
    new = with_priors(state(base, rows), exit_multiple={"lognormal": {"mu": 2.0, "sigma": 0.4}})
    new = with_deal(new, outlay=new.base_deal.outlay.model_copy(update={"equity_bn": 7.0}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pools, "quantities_of", ALL_QUANTITIES)
        return moved(old, new, memory=Memory()).answer


def test_buckets_sum_to_the_change_in_every_published_quantity(mix):
    answer = mix
    add_up(answer)
    assert {q["group"] for q in answer["quantities"]} == {"definition", "value", "event", "driver"}
    names = [q["name"] for q in answer["quantities"]]
    assert len(set(names)) == len(names)
    assert answer["headline"] in names
    assert {(i["item"], i["bucket"]) for i in answer["items"]} == {
        ("N1", "news"), ("R1", "revisions"), ("prior exit_multiple", "prior_edits"),
        ("term outlay", "deal_terms"),
    }  # fmt: skip
    still(answer, "scenario", "code", "noise")


def test_arrival_shares_sum_to_the_items_too(mix):
    answer = mix
    for name in table(answer):
        shapley, arrival = (
            math.fsum(i[key][name] for i in answer["items"]) for key in ("shapley", "arrival")
        )
        assert arrival == pytest.approx(shapley, abs=1e-9)


def test_a_cheaper_outlay_is_worth_what_it_saves(mix):
    (item,) = [i for i in mix["items"] if i["item"] == "term outlay"]
    assert item["shapley"][pools.EXPECTED_NPV] == pytest.approx(2.5, abs=1e-9)
    assert item["shapley"]["npv"] >= 0.0
    assert all(
        abs(item["shapley"][n]) < 1e-12 for n in ("talent_retained", "revenue", "near_frontier")
    )


def test_exact_shares_are_those_of_all_orders_by_hand(base, old):
    change = moved(old, state(base, (*KNOWN, LEFT, GOOD, NEAR)))
    answer = change.answer

    def worth(chosen: frozenset[int]) -> np.ndarray:
        return change._coalition(chosen).values

    orders = list(itertools.permutations(range(3)))
    for i, item in enumerate(answer["items"]):
        steps = [
            worth(frozenset(o[: o.index(i) + 1])) - worth(frozenset(o[: o.index(i)]))
            for o in orders
        ]
        assert list(item["shapley"].values()) == pytest.approx(np.mean(steps, axis=0), abs=1e-12)
    assert answer["attribution"]["method"] == "exact"
    assert answer["attribution"]["orders"] == 6


def test_items_that_say_the_same_get_equal_shares(base, old):
    twin = [NEAR | {"id": "N5"}, NEAR | {"id": "N6"}]  # one root: only one of them counts
    answer = moved(old, state(base, (*KNOWN, GOOD, *twin))).answer
    add_up(answer)
    share = {i["item"]: list(i["shapley"].values()) for i in answer["items"]}
    assert share["N5"] == pytest.approx(share["N6"], abs=1e-12)
    assert max(map(abs, share["N5"])) > 0.0


def test_more_than_ten_items_are_sampled_with_a_printed_error_and_still_add_up(
    base, old, monkeypatch
):
    monkeypatch.setattr("valuation.study.change.shapley_coefficients", partial(
        changes.shapley_coefficients, exact_to=2, pairs=6
    ))  # fmt: skip
    twin = [NEAR | {"id": "N5"}, NEAR | {"id": "N6"}]
    answer = moved(old, state(base, (*KNOWN, GOOD, CASE, *twin))).answer
    add_up(answer)
    assert answer["attribution"]["method"] == "sampled"
    assert answer["attribution"]["orders"] == 12
    share = {i["item"]: list(i["shapley"].values()) for i in answer["items"]}
    assert share["N5"] == pytest.approx(share["N6"], abs=1e-12)
    assert any(s > 0.0 for i in answer["items"] for s in i["sampling_se"].values())


def test_no_number_depends_on_what_a_session_has_simulated_before(base, old):
    new = with_priors(
        state(base, (*KNOWN, NEAR)), exit_multiple={"lognormal": {"mu": 2.0, "sigma": 0.4}}
    )
    assert moved(old, new).answer == moved(old, new, memory=Memory()).answer


def test_a_session_that_saw_rows_come_answers_exactly_as_a_process_that_sees_them_at_once(
    base, old
):
    """Each row moves another model; what one process remembers is forgotten before the other begins."""
    rows = (LEFT, GOOD, NEAR)
    session = Memory()
    for count in range(len(rows) + 1):
        last = moved(old, state(base, (*KNOWN, *rows[:count])), memory=session).answer
    joint.MEMORY.clear()
    value.FLOWS.clear()
    fresh = moved(old, state(base, (*rows[::-1], *KNOWN)), memory=Memory()).answer
    assert last == fresh


@pytest.fixture
def forecasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states that were simulated, as a list that grows."""
    made: list[str] = []
    plain = pools._forecast

    def counted(study: Study, *rest: Any) -> xr.Dataset:
        made.append(" ".join(study.ledger.scored()["id"]))
        return plain(study, *rest)

    monkeypatch.setattr(pools, "_forecast", counted)
    return made


@pytest.mark.parametrize(("row", "times"), [(LEFT, 1), (NEAR, 0)], ids=["a path", "weights alone"])
def test_a_row_added_in_a_session_costs_one_forecast_if_it_moves_a_path_and_else_none(
    base, old, forecasts, row, times
):
    memory = Memory()
    assert moved(old, state(base, (*KNOWN, GOOD)), memory=memory).answer
    forecasts.clear()
    assert moved(old, state(base, (*KNOWN, GOOD, row)), memory=memory).answer
    assert len(forecasts) == times


def test_a_game_simulates_only_the_coalitions_whose_paths_differ(base, old, forecasts):
    new = state(base, (*KNOWN, LEFT, GOOD, NEAR))
    answer = moved(old, new, memory=Memory()).answer
    assert answer["attribution"]["evaluations"] == 8
    # Nothing new; something of January, be it only weights; the founder gone.
    assert len(forecasts) == 3


def test_rows_that_nobody_believes_do_not_share_a_forecast_with_rows_that_all_believe(base, old):
    """The month up to which something is known is that of the last row with any credibility."""
    grades = {**world.DOUBTED, "D": 0.0}
    late = NEAR | {"event_date": "2026-05-20", "published": "2026-05-21"}
    believed, doubted = (
        replace(state(base, (*KNOWN, late | {"credibility": grade})), credibility=grades)
        for grade in ("A", "D")
    )
    one, other = (pools.State.of(study) for study in (believed, doubted))
    assert one.fixed != other.fixed


# --- each cause in its bucket ---------------------------------------------------------------------


def test_a_revised_old_row_lands_in_revisions(base, old):
    revised = DAY | GAP | {"id": "R1", "value": 6, "supersedes": "E51", "published": "2026-01-16"}
    answer = moved(old, state(base, (*KNOWN, revised))).answer
    add_up(answer)
    still(answer, but=("revisions", "time"))
    assert bucket(answer, "revisions")["capability_gap"] < 0.0
    assert [(i["item"], i["what"]) for i in answer["items"]] == [("R1", "revised")]


def test_a_regraded_row_moves_the_answer_towards_where_it_was_without_it(base, old):
    sure = NEAR | {"credibility": "A"}
    doubted = sure | {"id": "R1", "supersedes": "N3", "credibility": "D"}
    without, with_it = state(base, KNOWN), state(base, (*KNOWN, sure))
    later = replace(without, ledger=replace(without.ledger, as_of=with_it.as_of))
    pool = moved(old, with_it).pool
    before, believed, after = (
        pool.at(s).values for s in (later, with_it, state(base, (*KNOWN, sure, doubted)))
    )
    place = [q.name for q in pool.at(old).quantities].index("capability_gap")
    assert abs(after[place] - before[place]) < 0.5 * abs(believed[place] - before[place])
    # and as a change of its own, from draws of the old state
    keep(with_it)
    answer = moved(with_it, state(base, (*KNOWN, sure, doubted))).answer
    add_up(answer)
    (item,) = answer["items"]
    assert (item["bucket"], item["what"]) == ("revisions", "regraded")
    assert item["shapley"]["capability_gap"] * (believed[place] - before[place]) < 0.0


def test_withdrawing_news_brings_the_former_answer_back(base, old):
    gone = {"id": "R1", "supersedes": "N3"} | DAY
    answer = moved(old, state(base, (*KNOWN, NEAR, gone))).answer
    add_up(answer)
    for name, q in table(answer).items():
        assert q["change"] == pytest.approx(bucket(answer, "time")[name], abs=1e-9)
    (item,) = answer["items"]
    assert (item["item"], item["what"], item["bucket"]) == ("N3", "cancelled", "news")
    assert item["title"].startswith("Added and withdrawn, no net effect: ")
    assert list(item["shapley"].values()) == pytest.approx([0.0] * len(item["shapley"]), abs=1e-9)


def test_deal_terms_need_no_reweighting(old):
    dearer = with_deal(old, talent=old.base_deal.talent.model_copy(update={"value_months": 24}))
    change = moved(old, dearer)
    answer = change.answer
    add_up(answer)
    still(answer, but=("deal_terms",))
    assert bucket(answer, "deal_terms")["talent_retained"] > 0.0  # counted over fewer months
    (item,) = answer["items"]
    assert (item["khat"], item["effective_draws"]) == (
        change.was.weights.khat, change.was.weights.effective_draws,
    )  # fmt: skip


def test_on_its_own_draws_a_deal_term_has_no_k_hat_and_loses_no_draw(base):
    """The draws are the old state's exact posterior, so no weight but an equal one is right."""
    sure = gamma_world(base)
    old, rows = state(sure, (CLOSE, quiet(6))), (CLOSE, quiet(6))
    keep_exact(old, [6])
    dearer = with_deal(
        state(sure, rows), talent=old.base_deal.talent.model_copy(update={"value_months": 24})
    )
    answer = Change(old, dearer, None, {}, ((old.posterior_key(), old),), memory=MEMORY).answer
    assert (answer["is"]["khat"], answer["is"]["effective_draws"]) == (0.0, DRAWS)
    assert answer["is"]["method"] == "revalued"
    still(answer, but=("deal_terms",))


def test_a_prior_that_no_evidence_touches_has_its_exact_effect(old):
    prior = old.book.get()["talent_pool_usd_bn"]
    other = Prior(
        prior.name, prior.label, prior.unit, "lognormal", {"mu": 1.0, "sigma": 0.3}, "test", "test",
        dt.date(2026, 1, 1),
    )  # fmt: skip
    new = with_priors(old, talent_pool_usd_bn={"lognormal": {"mu": 1.0, "sigma": 0.3}})
    tree = stored_draws(old).drop_nodes("prior", errors="ignore")
    kept = tree["posterior"].to_dataset().drop_vars("talent_pool_usd_bn")
    source = read_source(old, keep(old), first=True, owner=old)
    scalars = {n: v for n, v in source.scalars.items() if n in kept}
    density = source.log_density - prior.logpdf(source.scalars[prior.name])
    untouched = replace(source, key="untouched", scalars=scalars, log_density=density)
    pool = Pool([untouched], new)
    was, now = pool.at(old), pool.at(new)
    assert now.weights.effective_draws == pytest.approx(was.weights.effective_draws, rel=1e-9)
    place = [q.name for q in pool.at(old).quantities].index(prior.name)
    # Common random numbers: each draw keeps its rank, so each weighted mean is that of its own prior.
    uniform = joint.keyed_rng(untouched.seed, prior.name).random(DRAWS)
    weight = now.weights.weight
    assert was.values[place] == pytest.approx(weight @ prior.ppf(uniform), rel=1e-9)
    assert now.values[place] == pytest.approx(weight @ other.ppf(uniform), rel=1e-9)


def test_a_prior_edit_lands_in_prior_edits(old):
    new = with_priors(old, talent_pool_usd_bn={"lognormal": {"mu": 1.0, "sigma": 0.3}})
    answer = moved(old, new).answer
    add_up(answer)
    still(answer, but=("prior_edits",))
    found = table(answer)["talent_pool_usd_bn"]
    assert abs(found["is"] - math.exp(1.0 + 0.045)) < 3.0 * found["mcse_is"]


def test_another_prior_set_of_the_deal_is_an_item(milder):
    answer = moved(milder, with_deal(milder, prior_set="sceptic")).answer
    add_up(answer)
    still(answer, but=("prior_edits",))
    assert [(i["item"], i["bucket"]) for i in answer["items"]] == [
        ("term prior_set", "prior_edits")
    ]
    found = table(answer)["talent_pool_usd_bn"]
    assert abs(found["is"] - math.exp(1.0 + 0.045)) < 3.0 * found["mcse_is"]


def test_a_set_of_priors_that_one_state_alone_has_splits_the_change_as_if_both_had_it(base, milder):
    old = with_deal(milder, prior_set="sceptic")
    kept = replace(milder, ledger=world.ledger_of((*KNOWN, GOOD)))
    house = {name: milder.book.get(name) for name in milder.book.sets() if name != "sceptic"}
    gone = replace(kept, book=replace(milder.book, _priors=house))
    for turned in (False, True):
        plain, bare = (split(old, new, turned) for new in (kept, gone))
        add_up(bare)
        same_shares(bare, plain)
        assert abs(bucket(bare, "prior_edits")["npv"]) > 1e-6


def test_a_grade_lands_in_prior_edits(old):
    answer = moved(old, replace(old, credibility=world.DOUBTED | {"C": 0.0})).answer
    add_up(answer)
    still(answer, but=("prior_edits",))
    assert bucket(answer, "prior_edits")["capability_gap"] != 0.0


def test_a_scenario_lands_in_its_own_bucket(milder):
    old, base_case = milder, milder.scenario
    other = base_case.model_copy(
        update={"scenario": "other", "title": "Other", "prior_set": "sceptic"}
    )
    answer = moved(old, replace(old, scenario=other, deal=other.resolve(old.base_deal))).answer
    add_up(answer)
    still(answer, but=("scenario",))
    assert [i["item"] for i in answer["items"]] == ["scenario"]


def conditioned(study: Study, **condition: Any) -> Study:
    """The study under one condition on its future."""
    blank = {"conditions": [], "sets": [], "prior_set": "", "terms": {}}
    told = {"scenario": "given", "title": "Given", "story": "Of a test."}
    scenario = type(study.scenario).model_validate(told | blank | {"conditions": [condition]})
    return replace(study, scenario=scenario, deal=scenario.resolve(study.base_deal))


def test_a_condition_of_the_scenario_holds_in_every_draw_of_both_ends(base, old):
    new = state(base, (*KNOWN, NEAR))
    ends = [conditioned(s, event="founder_exit", before="2028-06-12") for s in (old, new)]
    keep(old)
    answer = Change(*ends, None, {}, ((old.posterior_key(), old),), memory=MEMORY).answer
    add_up(answer)
    still(answer, but=("news", "time"))
    # Gone within three years of the four that count: never in post after that.
    found = table(answer)
    assert max(found["founder_stays"][end] for end in ("was", "is")) == 0.0
    assert max(found["founder_in_post"][end] for end in ("was", "is")) < 0.75


def test_a_condition_that_few_draws_meet_is_refused(old):
    ends = [conditioned(s, driver="exit_multiple", at="2032-06-12", above=40.0) for s in (old, old)]
    change = Change(*ends, None, {}, ((keep(old), old),), memory=MEMORY)
    assert 1 < change.now.weight.astype(bool).sum() < 100
    with pytest.raises(ValuationError, match="conditions are too rare"):
        change.answer


def test_time_without_rows_is_passing_time(old):
    later = replace(old, ledger=replace(old.ledger, as_of=dt.date(2026, 3, 1)))
    answer = moved(old, later).answer
    add_up(answer)
    still(answer, but=("time",))


def test_who_joins_as_time_passes_counts_as_passing_time(base):
    rows = (CLOSE, ADA, GAP)
    plain = state(base, rows)
    people = plain.ledger.people
    late = people["entry"].where(people["subject"] != "Movers", dt.date(2025, 11, 20))
    old = replace(plain, ledger=replace(plain.ledger, people=people.assign(entry=late)))
    early = replace(old, ledger=replace(old.ledger, as_of=dt.date(2025, 11, 1)))
    answer = moved(early, old).answer
    add_up(answer)
    still(answer, but=("time",))
    assert bucket(answer, "time")["talent_retained"] != 0.0


def test_states_are_compared_in_what_both_publish(base, old):
    """Before any star was hired there is no share of stars kept."""
    early_rows = (CLOSE, ADA | {"event_date": "2025-06-20", "published": "2025-06-21"})
    early = state(base, early_rows)
    answer = moved(early, state(base, (*early_rows, GAP))).answer
    add_up(answer)
    assert "stars_retained" not in table(answer)
    assert "stars_retained" in table(moved(old, old).answer)


def published(study: Study, values: Mapping[str, float], code: str) -> Run:
    return Run(
        id="20260101t000000z-base-00000000", folder=Path("nowhere"), kind="report",
        created=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), deal="test_deal", scenario="base",
        digests={"code": code}, posterior=study.posterior_key(),
    )  # fmt: skip


@pytest.mark.parametrize(("same", "place"), [(True, "noise"), (False, "code")])
def test_what_was_published_and_is_not_found_again_is_noise_or_code(old, same, place):
    pool = moved(old, old).pool
    found = pool.at(old).values
    said = {q.name: float(v) + 0.25 for q, v in zip(pool.at(old).quantities, found, strict=True)}
    run = published(old, said, changes.package_digest() if same else "other")
    answer = Change(old, old, run, said, ((keep(old), old),), memory=MEMORY).answer
    add_up(answer)
    still(answer, but=(place,))
    assert list(bucket(answer, place).values()) == pytest.approx([-0.25] * len(said))
    assert answer["was"]["run"] == run.id
    # Told from other draws than these, it has their error twice: once as published, once as found again.
    errors = next(b["mcse"] for b in answer["buckets"] if b["bucket"] == place)
    for name, row in table(answer).items():
        assert errors[name] == pytest.approx(math.sqrt(2.0) * row["mcse_is"])
        assert row["mcse"] == pytest.approx(errors[name])


def test_each_end_is_told_with_its_own_error(base, old):
    change = moved(old, state(base, (*KNOWN, LEFT)))
    for j, row in enumerate(change.answer["quantities"]):
        assert row["mcse_was"] == change.was.error[j]
        assert row["mcse_is"] == change.now.error[j]
    assert any(q["mcse_was"] != q["mcse_is"] for q in change.answer["quantities"])


def test_noise_is_zero_where_nothing_but_news_differs(base, old):
    pool = moved(old, old).pool
    said = {
        q.name: float(v) for q, v in zip(pool.at(old).quantities, pool.at(old).values, strict=True)
    }
    run = published(old, said, "other")
    new = state(base, (*KNOWN, NEAR))
    answer = Change(old, new, run, said, ((keep(old), old),), memory=MEMORY).answer
    add_up(answer)
    still(answer, "noise", "code")


def test_what_is_no_item_is_not_kept_quiet(milder, monkeypatch):
    """Were a cause forgotten, it would be shown, not lost: sums hold all the same."""
    monkeypatch.setattr(changes, "items_of", lambda before, after: ())
    answer = moved(milder, with_deal(milder, prior_set="sceptic")).answer
    add_up(answer)
    assert bucket(answer, "noise")["talent_pool_usd_bn"] != 0.0


def test_what_other_draws_explain_is_not_laid_to_the_code(base, old):
    """A comment was edited, and the draws are others: what is within their errors is noise."""
    pool = moved(old, old).pool
    found, errors = pool.at(old).values, pool.at(old).error
    names = [q.name for q in pool.at(old).quantities]
    said = {n: float(v + e) for n, v, e in zip(names, found, errors, strict=True)}
    run = replace(published(old, said, "other"), posterior="drawn-elsewhere")
    answer = Change(old, old, run, said, ((keep(old), old),), memory=MEMORY).answer
    add_up(answer)
    still(answer, "code")
    far = {n: float(v + 4.0 * e + 1e-6) for n, v, e in zip(names, found, errors, strict=True)}
    answer = Change(old, old, run, far, ((keep(old), old),), memory=MEMORY).answer
    add_up(answer)
    still(answer, "noise")
    # On the very same draws nothing but the code can have done it.
    same = replace(run, posterior=keep(old))
    answer = Change(old, old, same, said, ((keep(old), old),), memory=MEMORY).answer
    add_up(answer)
    still(answer, "noise")


# --- items that cannot stand alone ----------------------------------------------------------------

MORE = MOVED | {"id": "E09", "value": 3, "event_date": "2025-12-31", "published": "2026-01-01",
                "root": "group2"}  # fmt: skip


def test_two_counts_restated_together_are_attributed_though_one_alone_cannot_stand(base):
    base = replace(base, credibility=world.DOUBTED | {"B": 0.3})
    old = state(base, (*KNOWN, MORE))
    restated = [
        DAY | MOVED | {"id": "R1", "value": 4, "supersedes": "E08", "published": "2026-01-16"},
        DAY | MORE | {"id": "R2", "value": 6, "supersedes": "E09", "published": "2026-01-16"},
    ]
    with pytest.raises(LedgerError, match="counts of one group are cumulative"):
        state(base, (*KNOWN, MORE, restated[0])).evidence
    answer = moved(old, state(base, (*KNOWN, MORE, *restated))).answer
    add_up(answer)
    assert [i["item"] for i in answer["items"]] == ["R1", "R2"]
    assert bucket(answer, "revisions")["talent_retained"] < 0.0
    # Of nothing, either and both, one alone is worth what stands of it.
    assert (answer["attribution"]["combinations"], answer["attribution"]["partial"]) == (4, 1)


def test_terms_that_must_agree_are_attributed_though_one_alone_cannot_stand(old):
    """A longer horizon, and integration over all of it: that alone goes beyond the shorter horizon."""
    years = old.base_deal.horizon_years + 1
    longer = old.base_deal.integration.model_copy(update={"years": years})
    new = with_deal(old, horizon_years=years, integration=longer)
    alone = [i for i, item in enumerate(items_of(old, new)) if item.id == "term integration"]
    with pytest.raises(ParameterError):
        mixed(old, new, items_of(old, new), alone)
    answer = moved(old, new).answer
    add_up(answer)
    assert {i["item"] for i in answer["items"]} == {"term horizon_years", "term integration"}


def test_a_disclosure_that_only_the_new_horizon_reaches_spoils_no_combination(base, old):
    restated = state(
        base, (*KNOWN, DAY | MOVED | {"id": "R1", "value": 2, "supersedes": "E08"}, GOOD)
    )
    plain = with_deal(restated, horizon_years=old.base_deal.horizon_years + 1)
    news = dict(old.base_deal.disclosures)
    far = news["price"].data[0].model_copy(update={"day": plain.base_deal.ends})
    news["price"] = news["price"].model_copy(
        update={"data": (far,), "latest": plain.base_deal.ends}
    )
    told = with_deal(plain, disclosures=news)
    for turned in (False, True):
        here, there = (split(old, new, turned) for new in (plain, told))
        assert {i["item"] for i in there["items"]} == {"R1", "N2", "term horizon_years"}
        same_shares(there, here)
        for ours, theirs in zip(there["items"], here["items"], strict=True):
            assert ours["probability"] == theirs["probability"]


def test_a_driver_that_stands_still_in_some_combination_only_is_told_all_the_same(base, old):
    """Once the founder has certainly left, whether they are there is no longer open in any draw."""
    sure = {**world.DOUBTED, "A": 1.0}
    left = LEFT | {"credibility": "A", "event_date": "2025-09-01", "published": "2025-09-02"}
    back = DAY | {
        "id": "N9",
        "kind": "sighting",
        "subject": world.FOUNDER,
        "root": "ada9",
        "credibility": "C",
    }
    before, after = (
        replace(state(base, rows), credibility=sure) for rows in (KNOWN, (*KNOWN, left, back, GOOD))
    )
    answer = moved(before, after).answer
    add_up(answer)
    assert "founder_in_post" in table(answer)


def test_progress_is_told_for_every_combination(base, old):
    seen: list[tuple[int, int]] = []
    new = state(base, (*KNOWN, GOOD, CASE))
    moved(old, new, step=lambda done, of: seen.append((done, of))).answer
    assert seen == [(i, 4) for i in range(4)]


# --- runs that were kept --------------------------------------------------------------------------


def kept(study: Study, kind: str, posterior: str, **told: Any) -> Run:
    """A run of the study as it stands."""
    return archive.keep_run(
        study.root, deal="test_deal", scenario="base", kind=kind, files={"index.html": b"<p></p>"},
        results={"as_of": str(study.as_of), "run": {"posterior": posterior} | told},
        inputs=archive.keep_inputs(study.root, "test_deal", "base"),
    )  # fmt: skip


@pytest.fixture
def home(base, tmp_path) -> Study:
    """The small world as files of its own, with few rows."""
    few = ("E01,", "E02,", "E20,")
    header, *rows = (line.strip() for line in world.SEEDS["evidence"].strip().splitlines())
    table = "\n".join([header, *(row for row in rows if row.startswith(few))])
    root = world.project(tmp_path / "project", evidence=table)
    return open_study("test_deal", root=root, cache=cache_folder(root))


def test_a_run_owns_the_fits_that_it_says_it_made(home):
    report = kept(home, "report", "first")
    update = kept(home, "update", "first second", owners={"first": report.id, "second": ""})
    found, owners = changes._keys_of(update, home.root, home.cache)
    assert owners == {"first": report.id, "second": update.id}
    assert [key for key, _ in found] == ["first", "second"]
    roots = [state.root for _, state in found]
    assert roots == [report.inputs, update.inputs]
    # The next update knows both again from what this one tells.
    later = kept(home, "update", "first second", owners=owners)
    assert changes._keys_of(later, home.root, home.cache)[1] == owners


def test_fits_of_a_run_that_does_not_say_whose_they_are_are_looked_for_among_reports(home):
    report = kept(home, "report", "first")
    update = kept(home, "update", "first lost")
    found, owners = changes._keys_of(update, home.root, home.cache)
    assert owners == {"first": report.id}
    assert [state is None for _, state in found] == [False, True]


def test_after_a_new_fit_the_next_update_goes_on_from_both(home, monkeypatch):
    """Once fitted, always fitted again, was a fault: owners of fits were looked for among reports only."""
    key = keep(home)
    report = kept(home, "report", key)
    fitted = refit_by(monkeypatch, {key: {"seed": 3}})
    change = open_change("test_deal", root=home.root)
    assert change.pool.sources[0].key == key
    assert change._owners == {key: report.id} | {k: "" for k, _ in changes._fits_of(change.new)}
    posterior.save(stored_draws(home, seed=5), home.posteriors, "second")
    update = kept(home, "update", f"{key} second", owners={key: report.id, "second": ""})
    change = open_change("test_deal", root=home.root)
    assert [s.key for s in change.pool.sources] == [key, "second"]
    assert change.method == "unchanged"
    # A session that goes on from a change knows what it knew.
    again = open_change("test_deal", root=home.root, like=change)
    assert again.run == change.run == update
    assert (again.keys, again.owners) == (change.keys, change.owners)
    assert fitted == []


def test_two_runs_of_one_day_compare_backwards_as_forwards_and_both_are_named(home, monkeypatch):
    """What was typed between them is news on the way there, and news taken back on the way back."""
    key = keep(home)
    first = kept(home, "report", key)
    rows = home.root / home.base_deal.seeds / "evidence.csv"
    more = "N1,2025-10-01,2025-10-02,Poorer yet.,paper,poorer,C,quality_report,Maker,-1,,grade,,\n"
    rows.write_text(rows.read_text(encoding="utf-8") + more, encoding="utf-8")
    present = open_study("test_deal", root=home.root)
    second = kept(present, "report", keep(present, seed=3))
    there, back = (
        changes.compare_runs(a.id, b.id, deal="test_deal", root=home.root)
        for a, b in ((first, second), (second, first))
    )
    assert [(i.bucket, i.what) for i in there.items] == [("news", "added")]
    assert [(i.bucket, i.what) for i in back.items] == [("news", "unrecorded")]
    one, other = there.answer, back.answer
    add_up(one)
    add_up(other)
    moved_by = bucket(one, "news")["npv"]
    assert moved_by != 0.0
    assert bucket(other, "news")["npv"] == pytest.approx(-moved_by, abs=1e-12)
    assert [k for k, _ in there.keys] == [k for k, _ in back.keys] == [key, second.posterior]
    assert [s.seed for s in there.pool.sources] == [s.seed for s in back.pool.sources]
    assert other["was"]["label"].endswith(f"as of 2 October 2025 ({second.short})")
    assert other["was"]["effective_draws"] == one["is"]["effective_draws"] < 2 * DRAWS
    assert other["is"]["effective_draws"] == one["was"]["effective_draws"] < 2 * DRAWS
    assert other["is"]["label"].endswith(f"as of 2 October 2025 ({first.short})")


def test_a_figure_revised_twice_counts_once_in_every_combination(base, old):
    first = DAY | MOVED | {"id": "R1", "value": 2, "supersedes": "E08", "published": "2026-01-16"}
    second = first | {"id": "R2", "value": 3, "supersedes": "R1"}
    change = moved(old, state(base, (*KNOWN, first, second)))
    answer = change.answer
    add_up(answer)
    assert [(i["item"], i["what"]) for i in answer["items"]] == [
        ("R1", "revised"),
        ("R2", "revised"),
    ]
    # the last word alone is worth as much as all
    assert change._coalition(frozenset({1})).values == pytest.approx(change.now.values, abs=1e-12)


def renamed(study: Study, who: str, name: str) -> Study:
    """The state in whose files somebody has another name."""
    ledger = study.ledger
    changed = {n: getattr(ledger, n).replace({who: name}) for n in ("people", "evidence")}
    deal = study.base_deal.model_copy(update={"founder": name})
    study = replace(study, ledger=replace(ledger, **changed))
    return replace(study, base_deal=deal, deal=study.scenario.resolve(deal))


def test_somebody_whom_the_other_files_do_not_know_is_no_obstacle(base, old):
    new = renamed(state(base, (*KNOWN, NEAR)), world.FOUNDER, "Ada Foundress")
    answer = moved(old, new).answer
    add_up(answer)
    assert {i["item"]: i["what"] for i in answer["items"]} == {
        "E02": "edited", "N3": "added", "term founder": "term",
    }  # fmt: skip
    assert answer["rosters"] == "people: 1 rows new or changed, 1 gone or changed"
    assert bucket(answer, "news")["near_frontier"] > 0.0
    # In between both of them are there, and that comes out again: a name brings other dice and nothing else.
    plain = table(moved(old, renamed(old, world.FOUNDER, "Ada Foundress")).answer)
    for name in ("talent_retained", "revenue", pools.EXPECTED_NPV):
        assert abs(plain[name]["change"]) <= 3.0 * plain[name]["mcse"], name


# --- the way back ---------------------------------------------------------------------------------


def joined(study: Study, who: str, day: dt.date) -> Study:
    """The state in which somebody comes on this day."""
    people = study.ledger.people
    entry = people["entry"].where(people["subject"] != who, day)
    return replace(study, ledger=replace(study.ledger, people=people.assign(entry=entry)))


@pytest.fixture(scope="module")
def there_and_back(base: Study) -> tuple[Change, Change]:
    """Between two days somebody joins and is seen, others leave, a figure is restated, a prior and a term edited."""
    old = joined(state(base, KNOWN), world.STAR, dt.date(2026, 1, 5))
    seen = DAY | {"id": "N5", "kind": "sighting", "subject": world.STAR, "root": "cat1"}
    rows = (
        *KNOWN, LEFT, seen,
        DAY | MOVED | {"id": "R1", "value": 2, "supersedes": "E08", "published": "2026-01-16"},
    )  # fmt: skip
    new = joined(state(base, rows), world.STAR, dt.date(2026, 1, 5))
    new = with_priors(new, exit_multiple={"lognormal": {"mu": 2.0, "sigma": 0.4}})
    new = with_deal(new, outlay=new.base_deal.outlay.model_copy(update={"equity_bn": 7.0}))
    people = new.ledger.people
    crowd = people["size"].where(people["subject"] != "Movers", 12)
    new = replace(new, ledger=replace(new.ledger, people=people.assign(size=crowd)))
    draws = ((keep(old), old),)
    there, back = (
        Change(*ends, None, {}, draws, memory=Memory()) for ends in ((old, new), (new, old))
    )
    return there, back


def test_a_row_about_somebody_who_joined_in_between_can_be_taken_back(there_and_back):
    _, back = there_and_back
    add_up(back.answer)
    assert {i["item"]: (i["bucket"], i["what"]) for i in back.answer["items"]} == {
        "N1": ("news", "unpublished"), "N5": ("news", "unpublished"),
        "R1": ("revisions", "unpublished"), "prior exit_multiple": ("prior_edits", "prior"),
        "term outlay": ("deal_terms", "term"),
    }  # fmt: skip
    # What was taken back was no news on that day.
    assert {i["probability"] for i in back.answer["items"]} == {None}
    for name in ("time", "revisions"):
        assert any(abs(x) > 1e-6 for x in bucket(back.answer, name).values())
    still(back.answer, "scenario", "code", "noise")


def test_told_backwards_every_cause_has_moved_as_much_the_other_way(there_and_back):
    there, back = (change.answer for change in there_and_back)
    assert table(there).keys() == table(back).keys()
    for name, row in table(there).items():
        assert table(back)[name]["change"] == pytest.approx(-row["change"], abs=1e-12)
        assert table(back)[name]["mcse"] == pytest.approx(row["mcse"], abs=1e-12)
    for cause in BUCKETS:
        turned = [-x for x in bucket(there, cause).values()]
        assert list(bucket(back, cause).values()) == pytest.approx(turned, abs=1e-12), cause
    other = {i["item"]: i for i in back["items"]}
    for item in there["items"]:
        for view in ("shapley", "arrival"):
            turned = [-x for x in item[view].values()]
            found = list(other[item["item"]][view].values())
            assert found == pytest.approx(turned, abs=1e-12), (item["item"], view)
        assert other[item["item"]]["moved"] == item["moved"]


def test_a_prior_that_came_later_does_not_stop_the_old_state(old):
    from valuation.study.items import completed

    poorer = {
        label: {n: p for n, p in old.book.get(label).items() if n != "exit_multiple"}
        for label in old.book.sets()
    }
    before = replace(old, book=replace(old.book, _priors=poorer))
    with pytest.raises(ModelError, match="no prior named 'exit_multiple'"):
        before.evidence
    whole = completed(before, old)
    assert {s: whole.book.digest(s) for s in whole.book.sets()} == {
        s: old.book.digest(s) for s in old.book.sets()
    }
    assert completed(old, old) is old


# --- closed forms ---------------------------------------------------------------------------------


def gamma_world(base: Study) -> Study:
    """Nobody is doubted, and the hazard of a formal action is gamma before any evidence."""
    sure = replace(base, credibility=world.CERTAIN)
    return with_priors(sure, action_hazard={"gamma": {"alpha": SHAPE, "beta": RATE}})


def quiet(months: int, **more: Any) -> dict[str, Any]:
    """No action was opened by this many months after the close."""
    day = dt.date(2025, 6, 12) + dt.timedelta(days=round(months * 365.25 / 12))
    return {
        "id": f"Q{months:02d}", "kind": "regulatory_action", "subject": "Authority", "value": 0,
        "event_date": str(day), "published": str(day), "root": f"quiet{months}",
    } | more  # fmt: skip


def months_of(row: Mapping[str, Any]) -> float:
    return (dt.date.fromisoformat(row["event_date"]) - dt.date(2025, 6, 12)).days / (365.25 / 12)


def keep_exact(study: Study, seen: Sequence[int], *, events: int = 0, seed: int = 5) -> str:
    """Draws of the exact posterior of a study whose only rows are about the hazard of an action."""
    exposure = max((months_of(quiet(m)) for m in seen), default=0.0)
    law = stats.gamma(SHAPE + events, scale=1.0 / (RATE + exposure))
    hazard = law.rvs(DRAWS, random_state=np.random.default_rng(seed))
    return keep(study, seed=seed, action_hazard=hazard)


def opened(study: Study, shape: float, rate: float, since: float) -> float:
    """P(an action is opened by the horizon), none having been by ``since``, with a gamma hazard."""
    left = 12 * study.deal.horizon_years - since
    return 1.0 - (rate / (rate + left)) ** shape


def test_quiet_months_lower_the_chance_of_an_action_as_the_closed_form_says(base):
    sure = gamma_world(base)
    old = state(sure, (CLOSE,))
    answer = moved(old, state(sure, (CLOSE, quiet(18)))).answer
    add_up(answer)
    last = months_of(quiet(18))
    found = table(answer)["action_opened"]
    for key, error, expected in (
        ("was", math.hypot(found["mcse_is"], found["mcse"]), opened(old, SHAPE, RATE, 0.0)),
        ("is", found["mcse_is"], opened(old, SHAPE, RATE + last, last)),
    ):
        assert abs(found[key] - expected) < 3.0 * error, (key, found[key], expected)


def test_up_to_ten_rows_meet_the_closed_form(base):
    sure = gamma_world(base)
    old = state(sure, (CLOSE,))
    rows = [quiet(m) for m in range(2, 22, 2)]
    pool = moved(old, old).pool
    for n in (1, 4, 7, 10):
        row = rows[n - 1]
        found, last = pool.at(state(sure, (CLOSE, *rows[:n]))), months_of(row)
        place = [q.name for q in found.quantities].index("action_opened")
        error = pools.error_of(found.scatter[place])
        assert abs(found.values[place] - opened(old, SHAPE, RATE + last, last)) < 3.0 * error


def test_the_probability_given_to_a_row_beforehand_is_the_closed_form(base):
    sure = gamma_world(base)
    old = state(sure, (CLOSE, quiet(6)))
    keep_exact(old, [6])
    row = quiet(18)
    (item,) = moved(old, state(sure, (CLOSE, quiet(6), row))).answer["items"]
    first, last = months_of(quiet(6)), months_of(row)
    # S(18) / S(6), averaged over gamma(SHAPE, RATE + 6)
    expected = ((RATE + first) / (RATE + last)) ** SHAPE
    law = stats.gamma(SHAPE, scale=1.0 / (RATE + first))
    spread = math.sqrt(law.expect(lambda h: np.exp(-2.0 * h * (last - first))) - expected**2)
    assert abs(item["probability"] - expected) < 3.0 * spread / math.sqrt(DRAWS)
    assert item["bits"] == pytest.approx(-math.log2(item["probability"]))


def test_what_follows_from_what_is_known_is_no_surprise(base):
    sure = gamma_world(base)
    old = state(sure, (CLOSE, quiet(18)))
    keep_exact(old, [18])
    between = quiet(9, published="2026-12-31")
    (item,) = moved(old, state(sure, (CLOSE, quiet(18), between))).answer["items"]
    assert item["probability"] == pytest.approx(1.0, abs=1e-9)
    assert item["bits"] == pytest.approx(0.0, abs=1e-9)
    assert max(abs(x) for x in item["shapley"].values()) < 1e-9


def test_a_doubted_row_is_as_probable_as_its_mixture(base):
    sure = gamma_world(base)
    half = replace(sure, credibility=world.CERTAIN | {"C": 0.5})
    old = state(half, (CLOSE,))
    row = quiet(24, credibility="C")
    (item,) = moved(old, state(half, (CLOSE, row))).answer["items"]
    # Before any evidence p and p0 are one number, up to the draws behind each.
    expected = (RATE / (RATE + months_of(row))) ** SHAPE
    assert item["probability"] == pytest.approx(expected, abs=0.02)


# --- what was not to be expected ------------------------------------------------------------------

SEEN = {"id": "N7", "kind": "sighting", "subject": world.FOUNDER, "root": "ada3",
        "event_date": "2026-02-10", "published": "2026-02-11"}  # fmt: skip


def test_a_contradictory_pair_is_answered_with_its_k_hat(base, old):
    answer = moved(old, state(base, (*KNOWN, LEFT, SEEN))).answer
    add_up(answer)
    for item in answer["items"]:
        assert math.isfinite(item["khat"])
        assert 0.0 < item["probability"] <= 1.0
    left, seen = answer["items"]
    name = "founder_in_post"
    assert left["shapley"][name] < 0.0 < seen["shapley"][name]


def test_a_contradiction_that_nobody_may_doubt_is_a_clear_error(base, old):
    sure = replace(base, credibility=world.CERTAIN)
    before, after = state(sure, KNOWN), state(sure, (*KNOWN, LEFT, SEEN))
    with pytest.raises(LedgerError, match="rows E02, N1, N7 cannot all be true and none may be"):
        moved(before, after).answer


def refit_by(monkeypatch: pytest.MonkeyPatch, draws: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Replace the sampler: a fit stores exact draws under the study's key. Returns the keys fitted."""
    fitted: list[str] = []

    def fit(study: Study, prior_set: str) -> xr.DataTree:
        key = study.posterior_key(prior_set)
        fitted.append(key)
        tree = stored_draws(study, **draws[key])
        posterior.save(tree, study.posteriors, key)
        return tree

    monkeypatch.setattr(Study, "fitted", fit)
    return fitted


def surprise(base: Study) -> tuple[Study, Study, dict[str, Any]]:
    """An action is opened that the old state gave little chance; and the exact posterior after it."""
    limits = base.limits.model_copy(update={"ess_min": 1000})
    sure = replace(gamma_world(base), limits=limits)
    row = quiet(12, id="A1", value=1)
    law = stats.gamma(SHAPE + 1.0, scale=1.0 / (RATE + months_of(row)))
    hazard = law.rvs(DRAWS, random_state=np.random.default_rng(8))
    return state(sure, (CLOSE,)), state(sure, (CLOSE, row)), {"seed": 8, "action_hazard": hazard}


def test_a_surprise_beyond_the_stored_draws_is_fitted_and_said(base, monkeypatch):
    old, new, exact = surprise(base)
    fitted = refit_by(monkeypatch, {new.posterior_key(): exact})
    said: list[str] = []
    change = moved(old, new, told=said.append)
    answer = change.answer
    add_up(answer)
    assert fitted == [new.posterior_key()]
    assert answer["is"]["method"] == "refitted"
    assert answer["is"]["draws"] == 2 * DRAWS
    assert answer["is"]["effective_draws"] > 1000
    assert "worth only" in answer["is"]["why"]
    assert said == [answer["is"]["why"]]
    found = table(answer)["action_opened"]
    assert found["is"] == pytest.approx(1.0, abs=1e-9)
    # Both fits serve the old state, and its closed form is met.
    expected = opened(old, SHAPE, RATE, 0.0)
    assert abs(found["was"] - expected) < 3.0 * math.hypot(found["mcse"], found["mcse_is"])
    assert change.pool.overlap > 0.03
    assert not answer["attribution"]["rough"]


def test_a_fit_that_fails_is_an_error_and_no_number(base, monkeypatch):
    old, new, _ = surprise(base)
    (new.posteriors / f"{new.posterior_key()}.json").unlink(missing_ok=True)

    def fail(study: Study, prior_set: str) -> xr.DataTree:
        raise ModelError("the sampler failed")

    monkeypatch.setattr(Study, "fitted", fail)
    with pytest.raises(ModelError, match="the sampler failed"):
        moved(old, new).answer


def test_weights_that_stay_bad_are_refused(base, old):
    strict = replace(old, limits=old.limits.model_copy(update={"scenario_draws_min": 10**6}))
    change = moved(old, replace(strict, ledger=state(base, (*KNOWN, NEAR)).ledger))
    change.__dict__["_pooled"] = (
        Pool([read_source(old, keep(old), first=True, owner=old)], old),
        "",
    )
    with pytest.raises(ValuationError, match="effective draws"):
        change.answer


def test_a_state_under_another_prior_set_is_fitted_under_that_set(base, monkeypatch):
    """A fit under the house priors would be as far from the sceptic as the draws at hand."""
    sure = gamma_world(base)
    sets = {name: dict(sure.book.get()) for name in sure.book.sets()}
    sets["sceptic"]["talent_pool_usd_bn"] = replace(
        sets["house"]["talent_pool_usd_bn"], family="lognormal", parameters={"mu": 2.0, "sigma": 0.1},
        quantiles=None, fit=(),
    )  # fmt: skip
    sure = replace(sure, book=replace(sure.book, _priors=sets))
    old, new = state(sure, (CLOSE,)), with_deal(state(sure, (CLOSE,)), prior_set="sceptic")
    worth = np.exp(np.random.default_rng(9).normal(2.0, 0.1, DRAWS))
    exact = {"seed": 9, "talent_pool_usd_bn": worth, "prior_set": "sceptic"}
    fitted = refit_by(monkeypatch, {new.posterior_key("sceptic"): exact})
    change = moved(old, new)
    answer = change.answer
    add_up(answer)
    assert fitted == [new.posterior_key("sceptic")]
    assert "do not reach far enough" in answer["is"]["why"]
    assert 0.03 < change.pool.overlap < 0.2  # the two hardly meet
    found = table(answer)["talent_pool_usd_bn"]
    assert abs(found["is"] - math.exp(2.0 + 0.005)) < 3.0 * found["mcse_is"]
    prior = sets["house"]["talent_pool_usd_bn"]
    assert abs(found["was"] - prior.mean) < 3.0 * math.hypot(found["mcse"], found["mcse_is"])


def test_draws_that_are_stored_no_more_are_made_again(base, monkeypatch):
    sure = gamma_world(base)
    old, new = state(sure, (CLOSE, quiet(5))), state(sure, (CLOSE, quiet(5), quiet(8)))
    law = stats.gamma(SHAPE, scale=1.0 / (RATE + months_of(quiet(8))))
    exact = {"seed": 3, "action_hazard": law.rvs(DRAWS, random_state=np.random.default_rng(3))}
    fitted = refit_by(monkeypatch, {new.posterior_key(): exact})
    answer = Change(old, new, None, {}, ((old.posterior_key(), old),), memory=MEMORY).answer
    add_up(answer)
    assert fitted == [new.posterior_key()]
    assert answer["is"]["why"] == "no draws of the old state are stored"


def test_against_a_date_it_is_the_present_that_was_never_fitted(base, monkeypatch):
    sure = gamma_world(base)
    old, new = state(sure, (CLOSE, quiet(5))), state(sure, (CLOSE, quiet(5), quiet(9)))
    law = stats.gamma(SHAPE, scale=1.0 / (RATE + months_of(quiet(9))))
    exact = {"seed": 3, "action_hazard": law.rvs(DRAWS, random_state=np.random.default_rng(4))}
    key = new.posterior_key()
    assert refit_by(monkeypatch, {key: exact}) == []
    answer = Change(old, new, None, {}, ((key, new),), memory=MEMORY).answer
    assert answer["is"]["why"] == "no draws of the present state are stored"


def test_draws_of_an_unknown_state_are_never_pooled(base, old):
    new = state(base, (*KNOWN, NEAR))
    keep(new, seed=4)
    change = Change(
        old, new, None, {}, ((keep(old), None), (new.posterior_key(), new)), memory=MEMORY
    )
    answer = change.answer
    add_up(answer)
    assert len(change.pool.sources) == 1
    first = read_source(old, keep(old), first=True, owner=None)
    second = read_source(new, new.posterior_key(), first=False, owner=new)
    with pytest.raises(ModelError, match=r"the state behind the fit .* is not known"):
        Pool([first, second], new).at(new)


def test_draws_that_are_damaged_are_made_again_and_that_is_said(base, monkeypatch):
    study = state(gamma_world(base), (CLOSE, quiet(4)))
    key = keep(study)
    path = study.posteriors / f"{key}.npz"
    path.write_bytes(path.read_bytes()[:-7])
    said: list[str] = []
    law = stats.gamma(SHAPE, scale=1.0 / (RATE + months_of(quiet(4))))
    exact = {"seed": 3, "action_hazard": law.rvs(DRAWS, random_state=np.random.default_rng(3))}
    fitted = refit_by(monkeypatch, {key: exact})
    answer = Change(study, study, None, {}, ((key, study),), told=said.append).answer
    assert fitted == [key]
    assert "does not match its checksum" in said[0]
    assert answer["is"]["method"] == "refitted"
    assert answer["is"]["draws"] == DRAWS


def test_a_prior_beyond_the_stored_draws_is_fitted(base, monkeypatch):
    """No stored draw is possible any more: that is a reason to sample, not an error."""
    sure = gamma_world(base)
    old, rows = state(sure, (CLOSE, quiet(6))), (CLOSE, quiet(6))
    keep_exact(old, [6])
    prior = sure.book.get()["talent_pool_usd_bn"]
    worth = np.exp(np.random.default_rng(4).normal(prior.parameters["mu"], 0.1, DRAWS)) + 500.0
    bounds = {"lower": 400.0, "upper": 10_000.0}
    new = with_priors(state(sure, rows), talent_pool_usd_bn={"uniform": bounds})
    exact = {"seed": 4, "talent_pool_usd_bn": worth}
    fitted = refit_by(monkeypatch, {new.posterior_key(): exact})
    answer = moved(old, new).answer
    add_up(answer)
    assert fitted == [new.posterior_key()]
    assert "no stored draw is possible" in answer["is"]["why"]
    assert table(answer)["talent_pool_usd_bn"]["is"] > 400.0


def test_what_lies_in_the_cache_changes_no_answer(base, old, monkeypatch):
    """A fit of the new state, made by a report meanwhile, is used where the draws behind the run do not reach only."""
    new = state(base, (*KNOWN, GOOD, CASE))
    before = moved(old, new, memory=Memory()).answer
    keep(new, seed=12)
    assert moved(old, new, memory=Memory()).answer == before


# --- several fits ---------------------------------------------------------------------------------


def test_two_fits_agree_with_one_and_use_dice_of_their_own(base):
    sure = gamma_world(base)
    old, new = state(sure, (CLOSE, quiet(6))), state(sure, (CLOSE, quiet(6), quiet(20)))
    keys = keep_exact(old, [6]), keep_exact(new, [20], seed=6)
    one = Change(old, new, None, {}, ((keys[0], old),), memory=MEMORY).answer
    both = Change(old, new, None, {}, ((keys[0], old), (keys[1], new)), memory=MEMORY)
    two = both.answer
    add_up(two)
    seeds = {s.seed for s in both.pool.sources}
    assert len(seeds) == 2
    last = months_of(quiet(20))
    for name, q in table(two).items():
        other = table(one)[name]
        error = math.hypot(q["mcse_is"], other["mcse_is"])
        assert abs(q["is"] - other["is"]) <= 4.0 * error, name
    found = table(two)["action_opened"]
    assert abs(found["is"] - opened(new, SHAPE, RATE + last, last)) < 3.0 * found["mcse_is"]
    assert found["mcse_is"] < table(one)["action_opened"]["mcse_is"]


def lacking(example: Any, found: Any, where: str = "results") -> list[str]:
    """Keys that the example has and the other lacks, at any depth but by quantity; lists by their first item."""
    by_quantity = ("change", "mcse", "shapley", "sampling_se", "arrival", "digests", "versions")
    if isinstance(example, dict) and isinstance(found, dict):
        gaps = [f"{where}.{key}" for key in example if key not in found]
        for key in set(example) & set(found) - set(by_quantity):
            gaps += lacking(example[key], found[key], f"{where}.{key}")
        return gaps
    if isinstance(example, list) and example and isinstance(found, list) and found:
        return lacking(example[0], found[0], f"{where}[0]")
    return []


def test_results_have_every_key_that_pages_are_tested_with(base):
    sure = gamma_world(base)
    limits = base.limits.model_copy(update={"evidence_age_days_max": 10**5})
    old = state(sure, (CLOSE, quiet(6)))
    new = replace(state(sure, (CLOSE, quiet(6), quiet(20))), limits=limits)
    fits = ((keep_exact(old, [6]), old), (keep_exact(new, [20], seed=6), new))
    change = Change(old, new, None, {}, fits, memory=MEMORY)
    results = change.results
    json.dumps(results, allow_nan=False)
    example = example_update.example_update() | {"history": None}
    assert lacking(example, results) == []
    assert {k: results[k] for k in change.answer} == json.loads(json.dumps(change.answer))
    for driver in results["drivers"]:
        for end in ("was", "is"):
            low, mean, high = (driver[end][k] for k in ("lower", "mean", "upper"))
            assert len(low) == len(mean) == len(high) == len(driver["dates"])
            assert all(a <= b + 1e-9 for a, b in zip(low, high, strict=True))


def test_a_parameter_that_only_one_fit_sampled_is_filled_in_from_its_prior(base):
    sure = gamma_world(base)
    old, new = state(sure, (CLOSE,)), state(sure, (CLOSE, quiet(20)))
    full = read_source(old, keep(old), first=True, owner=old)
    scalars = {n: v for n, v in full.scalars.items() if n != "action_hazard"}
    density = full.log_density - old.book.get()["action_hazard"].logpdf(
        full.scalars["action_hazard"]
    )
    bare = replace(full, key="bare", scalars=scalars, log_density=density)
    other = read_source(new, keep_exact(new, [20], seed=6), first=False, owner=new)
    pool = Pool([bare, other], new, MEMORY)
    place = None
    for study, rate, since in (
        (old, RATE, 0.0),
        (new, RATE + months_of(quiet(20)), months_of(quiet(20))),
    ):
        found = pool.at(study)
        place = [q.name for q in pool.at(old).quantities].index("action_opened")
        error = pools.error_of(found.scatter[place])
        assert abs(found.values[place] - opened(old, SHAPE, rate, since)) < 3.0 * error


def test_what_was_filled_in_is_not_taken_for_what_was_not(base):
    """A pool of one and a pool of two share a memory: the same draws were completed in one of them only."""
    sure = gamma_world(base)
    old = state(sure, (CLOSE,))
    new = with_priors(
        state(sure, (CLOSE, quiet(20))), action_hazard={"gamma": {"alpha": 2.0, "beta": RATE}}
    )
    full = read_source(old, keep(old), first=True, owner=old)
    scalars = {n: v for n, v in full.scalars.items() if n != "action_hazard"}
    density = full.log_density - old.book.get()["action_hazard"].logpdf(
        full.scalars["action_hazard"]
    )
    bare = replace(full, key="bare2", scalars=scalars, log_density=density)
    law = stats.gamma(2.0, scale=1.0 / (RATE + months_of(quiet(20))))
    hazard = law.rvs(DRAWS, random_state=np.random.default_rng(2))
    key = keep(new, seed=2, action_hazard=hazard)
    other = read_source(new, key, first=False, owner=new)
    memory = Memory()
    Pool([bare], new, memory).at(old)
    shared = Pool([bare, other], new, memory).at(old)
    alone = Pool([bare, other], new, Memory()).at(old)
    assert shared.values == pytest.approx(alone.values, abs=1e-12)
