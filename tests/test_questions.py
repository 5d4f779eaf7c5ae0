"""Dated questions are answered by the share of draws in which they come true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import small_world as world
import xarray as xr

from valuation import sections
from valuation.errors import LedgerError, ModelError
from valuation.forecast import asked, forecast
from valuation.ledger import load_ledger
from valuation.models import KINDS, joint
from valuation.models.joint import Evidence
from valuation.params import load_gate
from valuation.questions import (
    DRIVER_OF,
    EVENTS,
    LEVELS,
    NUMBERED,
    QUANTITIES,
    Question,
    amounts,
    answer,
    happens,
    questions_of,
    revenue_year,
    spread,
    year_revenue,
)
from valuation.schema import months_between
from valuation.study import Study, open_study
from valuation.study.answers import open_questions
from valuation.study.case import log_target, stacked
from valuation.study.pool import Pool, Source

ROOT = Path(__file__).parents[1]
SEED, DRAWS = 5, 3000


def of(evidence: Evidence, *, draws: int = DRAWS) -> xr.Dataset:
    parameters = world.prior_draws(evidence, draws=draws)
    drivers = forecast(evidence, parameters, random_seed=SEED)
    return asked(drivers, evidence, parameters, random_seed=SEED)


@pytest.fixture(scope="module")
def certain() -> xr.Dataset:
    """A world in which every row is true."""
    return of(world.bound())


@pytest.fixture(scope="module")
def doubted() -> xr.Dataset:
    return of(world.bound(credibility=world.DOUBTED))


def ask(event: str | None, subject: str = "", threshold: str = "", **changes: Any) -> Question:
    given = Question(
        "Q1",
        "An invented question?",
        dt.date(2025, 6, 12),
        dt.date(2027, 12, 31),
        event,
        subject or None,
        threshold or None,
    )
    return replace(given, **changes)


# One question of each event that neither has happened nor is excluded.
OPEN: dict[str, Question] = {
    "in_post": ask("in_post", world.FOUNDER),
    "person_exit": ask("person_exit", world.FOUNDER),
    "exits_at_least": ask("exits_at_least", "movers", "6"),
    "customer_end": ask("customer_end", world.MINISTRY),
    "customer_return": ask("customer_return", world.LAB),
    "customer_active": ask("customer_active", world.MINISTRY),
    "revenue_at_least": ask("revenue_at_least", "Maker", "1.0"),
    "purchases_at_least": ask("purchases_at_least", "Maker", "0.6"),
    "lab_rank_at_most": ask("lab_rank_at_most", "Buyer", "4"),
    "index_gap_at_most": ask("index_gap_at_most", "Buyer", "0"),
    "milestone": ask("milestone", "Buyer"),
    "impairment": ask("impairment", "Maker"),
    "regulatory_action": ask("regulatory_action", "Authority"),
}


# One question of each quantity, and the event that compares it with a number.
MEASURES: dict[str, tuple[Question, str]] = {
    "exits": (ask("exits", "movers", unit="people"), "exits_at_least"),
    "revenue": (ask("revenue", "Maker", unit="USD bn"), "revenue_at_least"),
    "index_gap": (ask("index_gap", "Buyer", unit="index points"), "index_gap_at_most"),
}


def share(drivers: xr.Dataset, question: Question) -> float:
    return float(happens(drivers, question).mean())


# --- quantities -----------------------------------------------------------------------------------

each_quantity = pytest.mark.parametrize("name", sorted(MEASURES))


@each_quantity
def test_a_quantity_is_answered_by_equally_likely_values(name, doubted):
    question, _ = MEASURES[name]
    values = amounts(doubted, question)
    assert values.shape == (DRAWS,)
    assert (values >= 0.0).all()
    weight = np.random.default_rng(5).random(DRAWS)
    told = answer(doubted, weight, question)
    assert (told.by, told.probability, told.mcse) == ("model", None, None)
    assert len(told.quantiles) == len(LEVELS) == 20
    assert list(told.quantiles) == sorted(told.quantiles)
    share = [float(weight @ (values <= q) / weight.sum()) for q in told.quantiles]
    assert all(s >= level - 1e-9 for s, level in zip(share, LEVELS, strict=True))
    assert spread(told.quantiles) == (told.quantiles[0], told.quantiles[9], told.quantiles[18])


@pytest.mark.parametrize(("name", "bar"), [("exits", 6.0), ("revenue", 1.0)])
def test_a_quantity_and_its_event_are_of_the_same_draws(name, bar, doubted):
    question, event = MEASURES[name]
    whether = replace(question, event=event, unit=None, threshold=str(bar))
    assert (happens(doubted, whether) == (amounts(doubted, question) >= bar)).all()


def test_whether_and_how_much_are_never_mixed_up(doubted):
    for question, event in MEASURES.values():
        with pytest.raises(ModelError, match="asks how much, not whether"):
            happens(doubted, question)
        with pytest.raises(LedgerError, match=f"unknown quantity in .* {event!r}"):
            amounts(doubted, replace(question, event=event))
        with pytest.raises(LedgerError, match=f"unknown event {question.event!r}"):
            happens(doubted, replace(question, unit=None))
    with pytest.raises(ModelError, match="asks whether, not how much"):
        amounts(doubted, OPEN["in_post"])


# --- the registry ---------------------------------------------------------------------------------


def test_every_event_is_tried_here_and_hangs_on_a_driver():
    assert set(OPEN) == set(EVENTS)
    assert set(MEASURES) == set(QUANTITIES)
    assert set(EVENTS) | set(QUANTITIES) == set(DRIVER_OF)
    assert set(EVENTS) >= NUMBERED


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_is_true_or_false_in_each_draw_and_says_how_sure_it_is(name, doubted):
    held = happens(doubted, OPEN[name])
    assert (held.dtype, held.shape) == (bool, (DRAWS,))
    told = answer(doubted, doubted["weight"].to_numpy(), OPEN[name])
    assert told.by == "model"
    assert told.probability == pytest.approx(held.mean())
    assert 0.0 < told.probability < 1.0
    assert 0.0 < told.mcse < 0.02


@pytest.mark.parametrize("name", sorted(set(EVENTS) - {"in_post", "customer_active", "milestone"}))
def test_what_may_happen_by_a_day_may_happen_by_a_later_one(name, doubted):
    later = replace(OPEN[name], closes=dt.date(2028, 12, 31))
    if name in ("revenue_at_least", "lab_rank_at_most"):
        return  # asked of one year, or of one day
    early, late = happens(doubted, OPEN[name]), happens(doubted, later)
    assert (late >= early).all()
    assert late.sum() > early.sum()


@pytest.mark.parametrize("name", sorted(NUMBERED))
def test_a_bar_that_is_harder_to_reach_is_reached_in_no_further_draw(name, doubted):
    question = OPEN[name]
    harder = question.number + (1 if name.endswith("least") else -1)
    more = replace(question, threshold=str(harder))
    assert (happens(doubted, more) <= happens(doubted, question)).all()


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_weights_decide_which_draws_count(name, doubted):
    held = happens(doubted, OPEN[name])
    told = answer(doubted, held / held.sum(), OPEN[name])
    assert told.probability == 1.0
    assert told.mcse > 0.0


def test_an_unknown_event_lists_the_known_ones(doubted):
    with pytest.raises(LedgerError, match="unknown event 'moon_landing'") as caught:
        happens(doubted, ask("moon_landing"))
    assert all(name in str(caught.value) for name in EVENTS)


@pytest.mark.parametrize("name", sorted(NUMBERED))
def test_an_event_with_a_bar_needs_a_number(name, doubted):
    with pytest.raises(LedgerError, match="needs a number as its threshold, not '125-145'"):
        happens(doubted, replace(OPEN[name], threshold="125-145"))


@pytest.mark.parametrize(
    "name", [n for n in sorted(EVENTS) if n.startswith(("in_", "person", "exits", "customer"))]
)
def test_a_subject_that_nobody_knows_is_told_with_those_there_are(name, doubted):
    question = replace(OPEN[name], subject="Nobody")
    with pytest.raises(ModelError, match=r"Q1.*Nobody"):
        happens(doubted, question)
    told = answer(doubted, doubted["weight"].to_numpy(), question)
    assert (told.probability, told.by) == (None, "")
    assert "Nobody" in told.why


def test_a_question_beyond_the_horizon_is_refused(doubted):
    with pytest.raises(ModelError, match="after the forecast's 96 months; lengthen"):
        happens(doubted, ask("impairment", closes=dt.date(2040, 1, 1)))


# --- what is known --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        (ask("person_exit", world.STAR), 1.0),
        (ask("person_exit", world.STAR, closes=dt.date(2025, 10, 20)), 1.0),  # on that very day
        (ask("person_exit", world.STAR, closes=dt.date(2025, 10, 19)), 0.0),
        (ask("in_post", world.STAR), 0.0),
        (ask("in_post", world.STAR, closes=dt.date(2025, 10, 19)), 1.0),
        (ask("in_post", world.FOUNDER, closes=dt.date(2025, 12, 1)), 1.0),  # seen then
        (ask("person_exit", world.FOUNDER, closes=dt.date(2025, 12, 1)), 0.0),
        (ask("exits_at_least", "stars", "1"), 1.0),
        (ask("exits_at_least", "movers", "4"), 1.0),  # Ben, and three of the group
        (ask("exits_at_least", "Movers", "3"), 1.0),
        (ask("exits_at_least", "Movers", "1", closes=dt.date(2025, 9, 29)), None),
        (ask("exits_at_least", "Movers", "2", closes=dt.date(2025, 9, 30)), 0.0),
        (ask("customer_end", world.LAB), 1.0),
        (ask("customer_end", world.LAB, closes=dt.date(2025, 10, 1)), None),  # a window of a month
        (ask("customer_end", world.LAB, closes=dt.date(2025, 9, 11)), 0.0),
        (ask("customer_return", world.RIVAL, closes=dt.date(2026, 2, 1)), 1.0),
        (ask("customer_active", world.RIVAL, closes=dt.date(2026, 2, 1)), 1.0),
        (ask("customer_active", world.LAB, closes=dt.date(2025, 9, 11)), 1.0),
        (ask("impairment", closes=dt.date(2025, 12, 31)), 0.0),
        (ask("regulatory_action", closes=dt.date(2026, 2, 9)), 0.0),
        (ask("milestone", "Buyer", closes=dt.date(2025, 12, 31)), 0.0),
        (ask("milestone", "Buyer", closes=dt.date(2026, 2, 20)), 1.0),
    ],
)
def test_what_has_happened_is_certain_and_what_is_excluded_impossible(question, outcome, certain):
    told = share(certain, question)
    if outcome is None:
        assert 0.0 < told < 1.0
    else:
        assert told == outcome


def test_a_doubted_report_leaves_as_much_doubt_as_its_grade(doubted):
    known = share(doubted, ask("person_exit", world.STAR, closes=dt.date(2025, 10, 20)))
    assert 0.95 < known < 1.0


def test_in_post_and_gone_share_the_draws_between_them(doubted):
    stays = happens(doubted, OPEN["in_post"])
    assert (stays != happens(doubted, OPEN["person_exit"])).all()


def test_of_several_subjects_one_suffices_to_leave_and_all_must_stay(doubted):
    both = f"{world.FOUNDER}; {world.LEGACY}"
    one, other = (happens(doubted, ask("person_exit", s)) for s in both.split("; "))
    assert (happens(doubted, ask("person_exit", both)) == (one | other)).all()
    assert (happens(doubted, ask("in_post", both)) == ~(one | other)).all()


def test_exits_of_a_cohort_are_those_of_its_people_and_groups(doubted):
    cohort = happens(doubted, ask("exits_at_least", "movers", "6"))
    parts = happens(doubted, ask("exits_at_least", f"{world.MOVER}; Movers", "6"))
    assert (cohort == parts).all()
    assert happens(doubted, ask("exits_at_least", "Movers", "6")).sum() < cohort.sum()


def test_a_part_of_a_group_leaves_in_its_share_of_the_exits(doubted):
    whole = amounts(doubted, ask("exits", "Movers", unit="count"))
    some = amounts(doubted, ask("exits", "4 of Movers", unit="count"))
    assert (some <= whole).all()
    error = 2.0 * np.sqrt(DRAWS)  # an exit more or less in each draw, independent of the others
    assert abs(some.sum() - 0.4 * whole.sum()) < 3 * error
    everybody = ask("exits", f"10 of Movers; {world.FOUNDER}", unit="count")
    together = ask("exits", f"Movers; {world.FOUNDER}", unit="count")
    assert (amounts(doubted, everybody) == amounts(doubted, together)).all()
    for wrong in ("11 of Movers", "2 of Nobody", "0 of Movers"):
        with pytest.raises(ModelError, match="2 of GROUP"):
            amounts(doubted, ask("exits", wrong, unit="count"))


def test_a_group_has_no_more_reported_exits_than_members_and_fewer_than_real_ones(certain):
    group = certain["member_group"] == "Stars"
    reported = (certain["reported_exit"].isel(member=group.to_numpy()) < 90.0).sum("member")
    assert int(group.sum()) == 20
    assert int(reported.max()) <= 20
    assert float(reported.mean()) < 20.0 * (1.0 - float(certain["stars_retained"][:, 90].mean()))


def test_the_dice_of_a_forecast_are_not_touched_by_what_is_asked():
    evidence = world.bound(draws=100)
    parameters = world.prior_draws(evidence, draws=50)
    drivers = forecast(evidence, parameters, random_seed=SEED)
    more = asked(drivers, evidence, parameters, random_seed=SEED)
    new = [name for name in more.coords if name not in drivers.coords]
    plain = more[list(drivers.data_vars)].drop_vars(new, errors="ignore")
    xr.testing.assert_identical(plain, drivers)
    again = asked(drivers, evidence, parameters, random_seed=SEED)
    xr.testing.assert_identical(more, again)


# --- arithmetic on known paths --------------------------------------------------------------------


def test_revenue_is_asked_of_the_last_year_that_is_over_and_is_its_mean_rate(certain):
    question = ask("revenue_at_least", "Maker", "1.5", closes=dt.date(2027, 4, 30))
    assert revenue_year(question) == 2026
    flat = certain.copy()
    flat["revenue"] = xr.full_like(certain["revenue"], 1.5)
    flat["revenue_past"] = xr.full_like(certain["revenue_past"], 0.1)
    assert share(flat, question) == 1.0
    assert share(flat, replace(question, threshold="1.501")) == 0.0
    # In 2025 the rate was 0.1 up to the close in June and 1.5 after it; months are joined by straight lines.
    mixed = replace(question, closes=dt.date(2026, 12, 31))
    closed = months_between(dt.date(2025, 6, 12), dt.date(2026, 1, 1)) / 12.0
    expected = 1.5 * closed + 0.1 * (1.0 - closed)
    assert share(flat, replace(mixed, threshold=str(expected - 0.08))) == 1.0
    assert share(flat, replace(mixed, threshold=str(expected + 0.08))) == 0.0


@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_revenue_of_a_year_is_the_rate_at_its_middle_where_the_rate_is_straight(year, certain):
    told = certain.copy()
    told["revenue"] = xr.zeros_like(certain["revenue"]) + certain["month"]
    told["revenue_past"] = xr.zeros_like(certain["revenue_past"]) + certain["past_month"]
    middle = months_between(dt.date(2025, 6, 12), dt.date(year, 1, 1)) + 6.0
    np.testing.assert_allclose(year_revenue(told, year), middle)


def test_purchases_are_those_of_any_twelve_months(certain):
    path = certain["purchases"].copy()
    path[:] = 0.2
    path[:, 6:18] = 0.5
    told = certain.assign(purchases=path)
    question = ask("purchases_at_least", "Maker", "0.5")
    assert share(told, question) == 1.0
    assert share(told, replace(question, threshold="0.51")) == 0.0
    assert share(told, replace(question, closes=dt.date(2026, 10, 1))) == 0.0  # a month too early
    assert share(told, replace(question, closes=dt.date(2026, 1, 1))) == 0.0  # no year is over


def test_accounts_of_the_closing_day_count_and_later_ones_do_not(certain):
    times = certain["event_month"].copy()
    day = dt.date(2026, 12, 31)
    times.loc[{"event": "impairment"}] = months_between(dt.date(2025, 6, 12), day)
    told = certain.assign(event_month=times)
    question = ask("impairment", "Maker", closes=day)
    assert share(told, question) == 1.0
    for earlier in (dt.date(2026, 12, 30), dt.date(2026, 12, 13), dt.date(2026, 11, 30)):
        assert share(told, replace(question, closes=earlier)) == 0.0


def test_the_gap_is_looked_at_from_the_opening_on_and_the_rank_on_the_closing_day(certain):
    path = certain["capability_gap"].copy()
    path[:] = 10.0
    path[:, 12] = -1.0
    told = certain.assign(capability_gap=path)
    question = ask("index_gap_at_most", "Buyer", "0", closes=dt.date(2026, 12, 31))
    assert share(told, question) == 1.0
    assert share(told, replace(question, opens=dt.date(2026, 8, 1))) == 0.0
    rank = 1.0 + 10.0 / told["rank_spacing"].to_numpy()
    asked_rank = ask("lab_rank_at_most", "Buyer", "3", closes=dt.date(2026, 12, 31))
    assert share(told, asked_rank) == pytest.approx((rank < 3.5).mean())


# --- the register ---------------------------------------------------------------------------------


def test_a_question_without_an_event_has_a_persons_probability_or_none(doubted):
    weight = doubted["weight"].to_numpy()
    told = answer(doubted, weight, ask(None))
    assert (told.probability, told.mcse, told.by) == (None, None, "")
    said = answer(doubted, weight, ask(None, person="Ann Example", person_probability=0.3))
    assert (said.probability, said.mcse, said.by) == (0.3, None, "Ann Example")


def test_every_question_of_the_project_can_be_asked(root):
    found = questions_of(load_ledger(root / "seeds", kinds=KINDS).questions)
    assert len(found) >= 30
    assert sum(q.event is not None for q in found) >= 20


def test_a_register_with_an_unknown_event_is_refused_with_the_question_named():
    frame = pd.DataFrame([vars(ask("in_post", "A")), vars(ask("jump", id="Q2"))])
    with pytest.raises(LedgerError, match="Q2: unknown event 'jump'"):
        questions_of(frame)


def test_a_register_from_before_persons_could_answer_is_read_all_the_same(tmp_path):
    table = world.SEEDS["questions"] + (
        "\nQ1,Does Ada stay?,2025-06-12,2026-06-12,press,Any report.,,,,in_post,Ada Founder,,0.7,,"
    )
    (found,) = questions_of(
        load_ledger(world.write_seeds(tmp_path, questions=table), kinds=KINDS).questions
    )
    assert (found.person, found.person_probability, found.base_rate) == (None, None, 0.7)


def test_a_person_without_a_probability_is_a_fault_of_the_register(tmp_path):
    header = world.SEEDS["questions"] + ",outcome_source,person,person_probability"
    row = "Q1,Does it rain?,2025-06-12,2026-06-12,press,Any report.,,,,,,,,,,,Ann Example,"
    folder = world.write_seeds(tmp_path, questions=f"{header}\n{row}")
    with pytest.raises(LedgerError, match="person and person_probability go together"):
        load_ledger(folder, kinds=KINDS)


def test_a_question_may_be_annulled_or_ambiguous_and_an_outcome_is_one_of_four(tmp_path):
    def outcome(cell: str) -> str | None:
        row = f"Q1,Does it rain?,2025-06-12,2026-06-12,p,Any.,{cell},2025-07-01,,,,,,,"
        table = f"{world.SEEDS['questions']}\n{row}"
        folder = world.write_seeds(tmp_path / cell, questions=table)
        return questions_of(load_ledger(folder, kinds=KINDS).questions)[0].outcome

    told = {cell: outcome(cell) for cell in ("1", "0", "annulled", "ambiguous")}
    assert list(told.values()) == ["yes", "no", "annulled", "ambiguous"]
    with pytest.raises(LedgerError, match="'perhaps' is no outcome"):
        outcome("perhaps")


# --- in a study -----------------------------------------------------------------------------------

REGISTER = (
    world.SEEDS["questions"]
    + """
    Q1,Does Ada stay?,2025-06-12,2026-12-31,press,Any report.,,,,in_post,Ada Founder,,0.7,,
    Q2,Did Cat leave?,2025-06-12,2025-12-31,press,Any report.,1,2025-10-21,E06,person_exit,Cat Star,,,,
    Q3,Does it rain?,2025-06-12,2026-12-31,press,Any report.,,,,,,,,,
    Q4,Do ten leave?,2025-06-12,2026-12-31,press,Any report.,,,,exits_at_least,movers,10,,,
    Q5,Does it open?,2026-03-15,2026-12-31,press,Any report.,,,,regulatory_action,,,,,
    Q6,Does it snow?,2025-06-12,2026-12-31,press,Any report.,,,,,,,0.2,Snow on one day in five,
"""
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """A study of the small world on a stand-in for its posterior."""
    home = world.project(tmp_path_factory.mktemp("asked") / "project", questions=REGISTER)
    fits: dict[Any, Any] = {}

    def fitted(study: Study, prior_set: str) -> Any:
        key = (prior_set, study.as_of)  # who is in the rosters depends on the day
        if key not in fits:
            fits[key] = world.stand_in(study.under(prior_set), random_seed=study.random_seed)
        return fits[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "fitted", fitted)
        patch.setattr(joint, "bind", partial(joint.bind, draws=300))
        yield open_study("test_deal", root=home, cache=home / "cache")


def test_a_study_answers_the_questions_that_are_open_on_its_date(study):
    told = {row["id"]: row for row in open_questions(study)}
    assert list(told) == ["Q1", "Q3", "Q4", "Q5", "Q6"]  # Q2 is resolved
    then = replace(study, ledger=study.ledger.cut(study.as_of))
    assert [row["id"] for row in open_questions(then)] == ["Q1", "Q3", "Q4", "Q6"]  # Q5 opens later
    assert told["Q1"]["by"] == "model"
    assert 0.0 < told["Q1"]["probability"] < 1.0
    assert (told["Q3"]["probability"], told["Q3"]["why"]) == (None, "no model answers it")
    assert (told["Q1"]["driver"], told["Q3"]["driver"]) == ("people", "no model")


def test_seen_from_a_past_day_a_question_that_closed_later_is_open_and_the_next_to_close(study):
    then = replace(study, ledger=study.ledger.cut("2025-09-01"), as_of_given=True)
    asked = open_questions(then)
    assert "Q2" in {row["id"] for row in asked}  # its outcome came in October
    results = {
        "questions": asked,
        "as_of": str(then.as_of),
        "freshness": then.freshness(),
        "run": {"created": "2026-11-22T08:00:00+00:00"},
    }
    told = sections.questions(results)
    assert told.summary.endswith("The next to close is Q2, on 31 December 2025.")
    assert ">closed<" not in told.html
    waits = {**results, "as_of": "2026-01-15"}
    told = sections.questions(waits)
    assert told.summary.endswith(
        "1 had closed by 15 January 2026, without an outcome that was public by then."
    )
    assert told.html.count(">closed<") == 1
    here = sections.questions({**waits, "freshness": study.freshness()})
    assert "1 had closed when this page was made" in here.summary


def test_where_neither_a_model_nor_a_person_answers_the_base_rate_does_and_is_named(study):
    told = {row["id"]: row for row in open_questions(study)}
    assert (told["Q6"]["probability"], told["Q6"]["mcse"], told["Q6"]["by"]) == (
        0.2, None, "base rate",
    )  # fmt: skip
    asked = {q.id: q for q in questions_of(study.ledger.questions)}
    assert {name for name, q in asked.items() if q.rests_on_base_rate} == {"Q6"}
    signed = replace(asked["Q6"], person="Ann Example", person_probability=0.4)
    spoken = answer(study.drivers, np.ones(1), signed)
    assert (spoken.probability, spoken.by) == (0.4, "Ann Example")


def test_every_shipped_question_that_is_open_is_answered_by_somebody():
    register = load_ledger(ROOT / "seeds", kinds=KINDS).questions
    open_ones = [q for q in questions_of(register) if q.is_open]
    assert len(open_ones) >= 30
    assert [
        q.id
        for q in open_ones
        if q.event is None and q.person_probability is None and not q.rests_on_base_rate
    ] == []


def test_asking_or_resolving_a_question_needs_no_new_fit(study):
    fewer = study.ledger.questions.iloc[1:].reset_index(drop=True)
    other = replace(study, ledger=replace(study.ledger, questions=fewer))
    assert other.ledger.digest != study.ledger.digest
    assert other.posterior_key() == study.posterior_key()


def test_a_pool_of_the_same_draws_answers_alike(study):
    fit = stacked(study.posterior)
    density = log_target(study.evidence, fit, seed=study.random_seed)
    labels = joint.innovations(study.evidence.context, study.models)
    source = Source(
        "fit",
        {name: values for name, values in fit.items() if values.ndim == 1},
        {
            name: {
                str(label): values[:, j]
                for j, label in enumerate(labels[name][1][: values.shape[1]])
            }
            for name, values in fit.items()
            if values.ndim == 2
        },
        density,
        study.random_seed,
        owner=study,
    )
    alone = {row["id"]: row for row in open_questions(study)}
    pooled = {row["id"]: row for row in Pool([source], study).answers(study)}
    assert list(pooled) == list(alone)
    for name in ("Q1", "Q4"):
        assert pooled[name]["probability"] == pytest.approx(alone[name]["probability"], abs=1e-9)
        assert pooled[name]["mcse"] > 0.0
    twice = Pool([source, replace(source, key="other", seed=source.seed + 1)], study)
    both = {row["id"]: row for row in twice.answers(study)}
    assert both["Q1"]["probability"] == pytest.approx(pooled["Q1"]["probability"], abs=0.05)


def test_a_report_of_the_present_is_refused_while_a_question_waits_too_long(study):
    limits = study.limits.model_copy(update={"overdue_days_max": 30})
    late = replace(study, limits=limits, ledger=replace(study.ledger, as_of=dt.date(2027, 1, 31)))
    (check,) = late.overdue()
    assert not check.passed
    assert "Q1 (31 days)" in check.sentence
    assert check in late.gate().checks
    assert not late.gate().publish
    # A day earlier it may still wait; a replay cannot be told what was not known then.
    (check,) = replace(late, ledger=replace(late.ledger, as_of=dt.date(2027, 1, 30))).overdue()
    assert check.passed
    assert replace(late, as_of_given=True).overdue() == []


def test_the_limit_of_the_project_is_in_its_gate_and_kept_runs_from_before_it_had_none(root):
    limits = load_gate(root / "params" / "gate.yaml")
    assert 30 <= limits.overdue_days_max <= 366
    old = limits.model_dump(exclude={"overdue_days_max"})
    assert type(limits).model_validate(old).overdue_days_max > 10_000
