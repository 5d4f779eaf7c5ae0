"""Forecasts are held against outcomes: late ones do not count, and few outcomes are said to be few."""

from __future__ import annotations

import csv
import datetime as dt
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_world as world
from example_results import example_results
from scipy import stats

from valuation import cli, publish, record, sections
from valuation.cli.questions import table
from valuation.errors import LedgerError, ParameterError
from valuation.ledger import load_ledger
from valuation.models import KINDS, joint
from valuation.questions import LEVELS, Question, questions_of, waiting
from valuation.record import Forecast
from valuation.register import FILE, resolve
from valuation.scorecard import card, hold, too_late
from valuation.study import Study, open_study, score_results
from valuation.study.backtest import asked_then, backtest
from valuation.study.case import log_target, stacked
from valuation.study.pool import Source

OPENS, CLOSES, KNOWN = dt.date(2025, 7, 1), dt.date(2025, 12, 31), dt.date(2025, 10, 9)


def question(name: str = "Q1", outcome: str | None = "yes", **changes: Any) -> Question:
    given = Question(
        name, "An invented question?", OPENS, CLOSES, "in_post", "Ada Founder", None, 0.5,
        outcome, KNOWN if outcome else None,
    )  # fmt: skip
    return replace(given, **changes)


def said(
    day: str, probability: float, name: str = "Q1", *, run: str = "run", hour: int = 0
) -> Forecast:
    made = dt.datetime.fromisoformat(day).replace(hour=hour, tzinfo=dt.UTC)
    return Forecast(made, run, "d", "base", made.date(), name, probability, 0.01)


# --- which forecasts count ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "late"),
    [
        ("2025-06-01", False),
        ("2025-10-08", False),
        ("2025-10-09", True),
        ("2025-10-10", True),
        ("2026-02-01", True),
    ],
)
def test_a_forecast_made_on_the_day_of_the_outcome_or_after_is_late(day, late):
    why = too_late(said(day, 0.5), question())
    assert bool(why) == late
    assert ("the outcome was public on 2025-10-09" in why) == late


def test_a_forecast_made_after_the_question_closed_is_late_however_late_it_resolves():
    slow = question(resolved=dt.date(2026, 3, 1))
    assert too_late(said("2025-12-31", 0.5), slow) == ""
    assert too_late(said("2026-01-01", 0.5), slow) == "the question closed on 2025-12-31"


def test_late_forecasts_are_listed_and_change_no_score():
    timely = [said("2025-07-01", 0.6), said("2025-09-01", 0.8)]
    late = said("2025-11-01", 1.0, run="late")
    before, after = hold([question()], timely), hold([question()], [*timely, late])
    assert after.scored == before.scored
    assert [(item.run, item.probability) for item in after.late] == [("late", 1.0)]
    only = hold([question()], [late])
    assert (only.scored, only.left_out) == ((), (("Q1", "only late forecasts"),))


@pytest.mark.parametrize("outcome", ["annulled", "ambiguous"])
def test_an_annulled_or_ambiguous_question_is_not_scored(outcome):
    found = hold([question(outcome=outcome)], [said("2025-07-01", 0.6)])
    assert (found.scored, found.left_out) == ((), (("Q1", outcome),))


def test_an_open_question_is_not_scored_and_not_missed():
    found = hold([question(outcome=None)], [said("2025-07-01", 0.6)])
    assert (found.scored, found.late, found.left_out) == ((), (), ())


def test_a_resolved_question_that_nobody_forecast_is_named():
    assert hold([question()], []).left_out == (("Q1", "never forecast"),)


# --- scores ---------------------------------------------------------------------------------------


def test_the_last_timely_forecast_is_scored_and_the_mean_over_time():
    (row,) = hold([question()], [said("2025-07-01", 0.6), said("2025-09-01", 0.8)]).scored
    assert (row.probability, row.forecasts) == (0.8, 2)
    assert row.brier == pytest.approx(0.04)
    assert row.log == pytest.approx(-math.log(0.8))
    # 62 days at 0.6, then 39 at 0.8 up to the end of the day of the outcome.
    assert row.standing == pytest.approx((62 * 0.16 + 39 * 0.04) / 101)
    assert row.covered == pytest.approx(1.0)
    assert (row.base_brier, row.base_log) == (pytest.approx(0.25), pytest.approx(math.log(2)))


def test_a_question_resolved_on_the_day_it_opened_is_scored():
    (row,) = hold([question(resolved=OPENS)], [said("2025-06-30", 0.6)]).scored
    assert row.standing == pytest.approx(0.16)


def test_of_two_forecasts_at_one_moment_one_stands():
    twice = [said("2025-07-01", 0.6, run="a"), said("2025-07-01", 0.7, run="b")]
    assert hold([question()], twice).scored == hold([question()], twice[::-1]).scored


def test_the_order_of_rows_changes_nothing():
    names = [f"Q{i}" for i in range(6)]
    asked = [question(n, "yes" if i % 2 else "no") for i, n in enumerate(names)]
    made = [
        said(f"2025-0{7 + i}-01", 0.1 + 0.1 * j, n) for i in range(3) for j, n in enumerate(names)
    ]
    told = card(asked, made)
    random.Random(3).shuffle(asked)
    random.Random(4).shuffle(made)
    assert card(asked, made) == told


def test_a_card_is_plain_values_that_json_can_hold_even_where_a_score_is_infinite():
    told = card([question()], [said("2025-07-01", 0.0)])
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["log"] == {"mean": None, "standard_error": None, "infinite": 1}
    assert told["questions"][0]["log"] is None
    assert any("inf (1 called impossible what happened)" in line for line in table(told))


def test_skill_is_against_the_base_rates_of_the_questions_that_have_one():
    asked = [question("Q1"), question("Q2", event="impairment"), question("Q3", base_rate=None)]
    made = [said("2025-07-01", p, n) for p, n in ((0.9, "Q1"), (0.7, "Q2"), (0.1, "Q3"))]
    base = card(asked, made)["base"]
    assert (base["n"], base["clusters"]) == (2, 2)
    assert base["brier"]["mean"] == pytest.approx(0.25)
    assert base["skill"]["brier"]["skill"] == pytest.approx(1 - (0.01 + 0.09) / 0.5)
    assert base["skill"]["log"]["skill"] == pytest.approx(
        1 + (math.log(0.9) + math.log(0.7)) / (2 * math.log(2))
    )


def test_a_forecast_that_is_the_base_rate_has_no_skill_by_it_and_dilutes_none():
    rated = question("Q2", event=None, base_rate=0.3)
    asked, made = [question("Q1"), rated], [said("2025-07-01", 0.9), said("2025-07-01", 0.3, "Q2")]
    told = card(asked, made)
    assert {row["id"]: row["brier"] for row in told["questions"]}["Q2"] == pytest.approx(0.49)
    assert told["base"]["n"] == 1
    assert told["base"]["skill"]["brier"]["skill"] == pytest.approx(1 - 0.01 / 0.25)


def test_a_base_rate_is_no_skill_of_a_model_that_came_later_and_was_never_asked():
    unasked = replace(said("2025-07-01", 0.3), mcse=None)
    later = question(
        base_rate=0.5, outcome="no"
    )  # since then an event was named, and the rate revised
    told = card([later], [unasked])
    assert told["questions"][0]["brier"] == pytest.approx(0.09)
    assert told["base"] is None
    assert card([later], [said("2025-07-01", 0.3)])["base"]["skill"]["brier"]["skill"] > 0.5


def measured(day: str, values: tuple[float, ...]) -> Forecast:
    return replace(said(day, 0.5), probability=None, mcse=None, quantiles=values)


AMOUNT: dict[str, Any] = {
    "event": "revenue", "unit": "USD bn", "value": 2.0, "base_rate": None, "base_value": 1.5,
}  # fmt: skip


def test_a_quantity_is_scored_by_its_continuous_score_in_its_own_unit():
    asked = question(outcome="measured", **AMOUNT)
    found = hold([asked], [measured("2025-07-01", (1.0,)), measured("2025-09-01", (1.0, 3.0))])
    assert found.scored == ()
    (row,) = found.measured
    assert (row.value, row.forecasts, row.median) == (2.0, 2, 1.0)
    # Of two values the mean error less half their mean difference; of one its error.
    assert row.crps == pytest.approx(1.0 - 0.5)
    assert row.standing == pytest.approx((62 * 1.0 + 39 * 0.5) / 101)
    assert row.base_crps == pytest.approx(0.5)
    told = card([asked], [measured("2025-07-01", (1.0, 3.0))])
    assert (told["n"], told["brier"]) == (0, None)
    assert json.loads(json.dumps(told["quantities"], allow_nan=False)) == told["quantities"]
    assert any("CRPS 0.5" in line for line in table(told))


def test_late_values_do_not_count_and_a_chance_is_no_answer_to_how_much():
    asked = question(outcome="measured", **AMOUNT)
    late = hold([asked], [measured("2025-11-01", (2.0,))])
    assert (late.measured, late.left_out) == ((), (("Q1", "only late forecasts"),))
    assert late.late[0].probability is None
    mixed = hold([asked], [said("2025-07-01", 0.5)])
    assert mixed.left_out == (("Q1", "forecast as another kind of question"),)
    other = hold([question()], [measured("2025-07-01", (2.0,))])
    assert (other.scored, other.left_out) == ((), mixed.left_out)


@pytest.mark.parametrize("outcome", ["annulled", "ambiguous"])
def test_a_quantity_that_was_never_measured_is_not_scored(outcome):
    asked = question(outcome=outcome, **AMOUNT | {"value": None})
    found = hold([asked], [measured("2025-07-01", (2.0,))])
    assert (found.measured, found.left_out) == ((), (("Q1", outcome),))


def test_stating_what_one_believes_costs_least_on_average():
    # Twenty values at the record's levels against any shift or stretch of them, over the whole belief.
    truth = stats.norm(3.0, 1.0)
    outcomes = truth.ppf((np.arange(400) + 0.5) / 400)

    def cost(shift: float, scale: float) -> float:
        values = tuple(truth.mean() + shift + scale * (truth.ppf(LEVELS) - truth.mean()))
        rows = [
            hold(
                [question(outcome="measured", **AMOUNT | {"value": float(y)})],
                [measured("2025-07-01", values)],
            ).measured[0].crps
            for y in outcomes
        ]  # fmt: skip
        return float(np.mean(rows))

    honest = cost(0.0, 1.0)
    assert all(
        cost(shift, scale) > honest
        for shift, scale in [(0.3, 1.0), (-0.3, 1.0), (0.0, 0.6), (0.0, 1.5)]
    )


def test_the_card_says_what_right_chances_would_have_led_to():
    asked = [
        question("Q1"),
        question("Q2", event="impairment"),
        question("Q3", "no", event="milestone"),
    ]
    made = [said("2025-07-01", p, n) for p, n in ((0.9, "Q1"), (0.8, "Q2"), (0.2, "Q3"))]
    told = card(asked, made)
    assert told["all"]["happened"] == 2
    assert told["all"]["expected"] == pytest.approx(1.9)
    assert (told["all"]["least"], told["all"]["most"]) == (1, 3)
    assert [(g["n"], g["happened"]) for g in told["calibration"]] == [(1, 0), (2, 2)]


def test_without_base_rates_there_is_no_skill():
    assert card([question(base_rate=None)], [said("2025-07-01", 0.5)])["base"] is None
    # Nor against one that was never wrong.
    assert card([question(base_rate=1.0)], [said("2025-07-01", 0.5)])["base"] is None


def test_scores_by_driver_are_of_its_questions():
    asked = [question("Q1"), question("Q2"), question("Q3", event="impairment")]
    made = [said("2025-07-01", p, n) for p, n in ((0.9, "Q1"), (0.7, "Q2"), (0.6, "Q3"))]
    told = {row["driver"]: row for row in card(asked, made)["by_driver"]}
    assert (told["people"]["n"], told["stake"]["n"]) == (2, 1)
    assert told["people"]["brier"] == pytest.approx(0.05)
    assert told["stake"]["brier"] == pytest.approx(0.16)


def test_many_questions_about_one_driver_are_one_outcome_and_the_card_says_so():
    names = [f"Q{i}" for i in range(30)]
    told = card([question(n) for n in names], [said("2025-07-01", 0.6, n) for n in names])
    assert (told["n"], told["clusters"], told["independent"]) == (30, 1, pytest.approx(1.0))
    assert told["brier"]["standard_error"] is None
    assert told["statement"].startswith("30 questions on 1 driver: at most 1 independent outcome.")
    assert "neither skill nor the lack of it" in told["statement"]
    assert all(b["too_few"] for b in told["calibration"])


def test_an_empty_record_says_what_it_waits_for():
    told = card([question()], [])
    assert (told["n"], told["brier"]) == (0, None)
    assert any("No question has been scored" in line for line in table(told))
    assert "forecast before the day on which its outcome was public" in told["statement"]


@pytest.mark.parametrize(
    ("outcome", "made"), [({}, "2025-11-01"), ({"resolved": dt.date(2026, 2, 1)}, "2026-01-05")]
)
def test_where_every_forecast_was_late_the_card_says_so_and_why(outcome, made):
    told = card(
        [question(**outcome), question("Q2", None)], [said(made, 0.5), said(made, 0.5, "Q2")]
    )
    assert told["statement"] == (
        "No question has been scored: every forecast of Q1 was made after the question had closed or when "
        "its outcome was public, and counts as late."
    )
    assert "Late and not scored: 1 of Q1." in table(told)


def test_a_quantity_that_was_scored_is_not_called_no_question():
    amount = question("Q9", "measured", **AMOUNT)
    timely = replace(measured("2025-07-01", (1.0, 3.0)), question="Q9")
    told = card([amount], [timely])
    assert told["statement"].startswith("No yes-or-no question has been scored: one counts once")
    told = card([amount, question()], [timely, said("2025-11-01", 0.5)])
    assert "No yes-or-no question has been scored: every forecast of Q1 was" in told["statement"]
    late = replace(timely, question="Q8", made=said("2025-11-01", 0.5).made)
    told = card([amount, replace(amount, id="Q8")], [timely, late])
    assert "Q8" not in told["statement"]
    assert sections.score_calibration({"record": told, "backtest": told}).summary.startswith(
        "No yes-or-no question has been scored"
    )
    shown = sections.score_backtest(
        {"backtest": told | {"dates": ["2025-07-01"]}, "as_of": "2026-01-01"}
    )
    assert shown.summary.count("No yes-or-no question") == 1


def test_a_table_has_eighty_columns_and_names_what_was_left_out():
    asked = [
        question(f"Q{i}", event=e) for i, e in enumerate(("in_post", "milestone", "impairment"))
    ]
    made = [said("2025-07-01", 0.3 + 0.2 * i, f"Q{i}") for i in range(3)]
    made.append(said("2025-11-01", 1.0, "Q0"))
    lines = table(card([*asked, question("Q9", "annulled")], made))
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "3 questions on 3 drivers: at most 3 independent outcomes." in text
    assert "Late and not scored: 1 of Q0." in text
    assert "annulled Q9" in text
    assert "Independent outcomes   3.0 of 3" in text


def test_an_honest_forecaster_has_no_skill_against_their_own_base_rate():
    names = [f"Q{i}" for i in range(40)]
    events = ["in_post", "impairment", "milestone", "customer_end"]
    asked = [
        question(n, "yes" if i % 2 else "no", event=events[i % 4]) for i, n in enumerate(names)
    ]
    told = card(asked, [said("2025-07-01", 0.5, n) for n in names])
    assert told["base"]["skill"]["brier"]["skill"] == pytest.approx(0.0)


# --- resolving ------------------------------------------------------------------------------------

TODAY = dt.date(2026, 3, 1)
REGISTER = (
    world.SEEDS["questions"]
    + """
    Q1,"Does Ada stay, all year?",2025-06-12,2025-11-30,press,Any report.,,,,in_post,Ada Founder,,0.7,,A note
    Q2,Does Cat leave?,2025-06-12,2025-12-31,press,Any report.,1,2025-10-21,E06,person_exit,Cat Star,,0.4,,
    Q3,Does it open?,2025-08-15,2026-12-31,press,Any report.,,,,regulatory_action,,,,,
    Q4,Does the lab go?,2025-06-12,2026-06-30,press,Any.,1,2025-10-13,E32,customer_end,Second Lab,,0.3,,
    Q5,Do ten leave?,2026-02-01,2026-12-31,press,Any.,,,,exits_at_least,movers,10,,,
"""
)


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    return world.write_seeds(tmp_path / "seeds", questions=REGISTER)


def written(seeds: Path, name: str = "Q1", **given: Any) -> Any:
    options = {"outcome": "no", "source": "The Paper", "kinds": KINDS, "today": TODAY} | given
    return resolve(seeds, name, **options)


def register(seeds: Path) -> dict[str, Question]:
    return {q.id: q for q in questions_of(load_ledger(seeds, kinds=KINDS).questions)}


@pytest.mark.parametrize("outcome", ["yes", "no", "annulled", "ambiguous"])
def test_an_outcome_is_written_with_its_day_and_source(seeds, outcome):
    before = (seeds / FILE).read_text().splitlines()
    told = written(seeds, outcome=outcome, date=dt.date(2025, 12, 1), note="By mail")
    assert (told.id, told.outcome, told.was) == ("Q1", outcome, "")
    assert (register(seeds)["Q1"].outcome, register(seeds)["Q1"].resolved) == (outcome, told.date)
    row = load_ledger(seeds, kinds=KINDS).questions.set_index("id").loc["Q1"]
    assert (row["outcome_source"], row["note"]) == ("The Paper", "A note; By mail")
    # No other row says anything else.
    after = (seeds / FILE).read_text().splitlines()
    assert [a for a in after if a.startswith(("Q2", "Q3"))] == [
        f"{b},,,,,," for b in before if b.startswith(("Q2", "Q3"))
    ]
    assert len(after) == len(before)


def test_todays_date_stands_where_none_is_given(seeds):
    assert written(seeds).date == TODAY


def test_an_evidence_row_as_the_source_is_the_row_that_resolves(seeds):
    written(seeds, source="E03")
    row = load_ledger(seeds, kinds=KINDS).questions.set_index("id").loc["Q1"]
    assert (row["resolution_row"], row["outcome_source"]) == ("E03", "E03")


def test_an_outcome_was_public_when_its_row_was_published_and_what_was_said_since_is_not_scored(
    seeds,
):
    published = dt.date(2025, 12, 2)
    assert written(seeds, source="E03").date == published < TODAY
    asked = register(seeds)["Q1"]
    found = hold([asked], [said(str(TODAY), 0.0)])
    assert (found.scored, [late.question for late in found.late]) == ((), ["Q1"])
    # Somebody else may have said so before.
    earlier = published - dt.timedelta(days=1)
    assert written(seeds, source="E03", date=earlier, correct="Seen").date == earlier


def test_a_day_after_the_row_that_reports_the_outcome_is_refused_with_what_to_do(seeds):
    before = (seeds / FILE).read_bytes()
    with pytest.raises(
        ParameterError, match=r"E03 was published on 2025-12-02, .* leave the date out"
    ):
        written(seeds, source="E03", date=TODAY)
    assert (seeds / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "outcome", "row", "given", "day"),
    [
        (
            "Q1",
            "yes",
            "E32",
            None,
            "2025-11-30",
        ),  # she was there at the close, whatever came before
        ("Q1", "no", "E32", None, "2025-10-13"),  # she had gone: that was known at once
        ("Q7", "no", "E32", "2025-12-31", "2025-12-31"),  # nothing had come by then
    ],
)
def test_what_only_the_close_settles_is_public_then_though_its_row_was_before(
    tmp_path, name, outcome, row, given, day
):
    asked = "    Q7,Is it cut?,2025-06-12,2025-12-31,press,Any.,,,,impairment,Maker,,,,\n"
    seeds = world.write_seeds(tmp_path / "seeds", questions=REGISTER + asked)
    date = given and dt.date.fromisoformat(given)
    told = written(seeds, name, outcome=outcome, source=row, date=date)
    assert str(told.date) == day


def test_a_resolution_after_the_newest_row_of_evidence_is_seen_at_once(seeds):
    assert max(load_ledger(seeds, kinds=KINDS).evidence["published"]) < TODAY
    written(seeds)
    assert not register(seeds)["Q1"].is_open
    # A replay to a day before it does not know it.
    then = load_ledger(seeds, kinds=KINDS, as_of="2026-02-20")
    assert {q.id: q for q in questions_of(then.questions)}["Q1"].is_open


@pytest.mark.parametrize(
    ("name", "given", "problem", "kind"),
    [
        ("Q11", {}, "no question 'Q11'; close: Q1", ParameterError),
        ("Z", {}, "see `valuation questions --all`", ParameterError),
        ("Q1", {"date": dt.date(2026, 3, 2)}, "in the future", ParameterError),
        ("Q1", {"date": dt.date(2025, 6, 11)}, "opened on 2025-06-12", ParameterError),
        ("Q1", {"source": "  "}, "the source is blank", ParameterError),
        ("Q1", {"outcome": "maybe"}, "is no outcome; it is yes, no", ParameterError),
        ("Q1", {"correct": "Typo"}, "nothing to correct", ParameterError),
        ("Q2", {}, "was resolved as yes on 2025-10-21; give --correct", LedgerError),
    ],
)
def test_what_cannot_be_resolved_is_refused_and_nothing_is_written(
    seeds, name, given, problem, kind
):
    before = (seeds / FILE).read_bytes()
    with pytest.raises(kind, match=problem):
        written(seeds, name, **given)
    assert (seeds / FILE).read_bytes() == before


def test_a_correction_says_what_stood_there_and_why_it_went(seeds):
    told = written(seeds, "Q2", correct="She came back", date=dt.date(2026, 1, 5))
    assert told.was == "yes"
    row = load_ledger(seeds, kinds=KINDS).questions.set_index("id").loc["Q2"]
    assert (row["outcome"], row["resolved"]) == ("no", dt.date(2026, 1, 5))
    assert row["note"] == "Corrected on 2026-03-01 from yes of 2025-10-21: She came back"


HEADER, *ROWS = REGISTER.strip().splitlines()
AMOUNTS = "\n".join(
    [
        f"{HEADER},unit",
        *(f"{line}," for line in ROWS),
        'Q6,"How much in 2025?",2026-01-01,2026-12-31,press,Any.,,,,revenue,Maker,,,,,USD bn',
    ]
)


def test_a_quantity_is_resolved_by_its_value_and_by_nothing_else(tmp_path):
    seeds = world.write_seeds(tmp_path / "seeds", questions=AMOUNTS)
    for words, given in (
        ("go together", {"outcome": "measured"}),
        ("go together", {"outcome": "yes", "value": 1.0}),
        ("asks how much, in USD bn", {"outcome": "yes"}),
    ):
        with pytest.raises(ParameterError, match=words):
            written(seeds, "Q6", **given)
    with pytest.raises(ParameterError, match="asks whether, not how much"):
        written(seeds, "Q1", outcome="measured", value=1.0)
    assert register(seeds)["Q6"].is_open
    written(seeds, "Q6", outcome="measured", value=0.91)
    assert (register(seeds)["Q6"].outcome, register(seeds)["Q6"].value) == ("measured", 0.91)
    written(seeds, "Q6", outcome="measured", value=0.93, correct="Restated")
    row = load_ledger(seeds, kinds=KINDS).questions.set_index("id").loc["Q6"]
    assert (row["value"], row["note"]) == (
        0.93,
        "Corrected on 2026-03-01 from 0.91 of 2026-03-01: Restated",
    )
    # Whoever looks back does not know it.
    then = load_ledger(seeds, kinds=KINDS, as_of="2026-02-20")
    assert {q.id: q for q in questions_of(then.questions)}["Q6"].value is None


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (
            {"outcome": "measured", "resolved": "2026-02-01"},
            "outcome measured and a value go together",
        ),
        ({"value": "1"}, "outcome measured and a value go together"),
        ({"outcome": "1", "resolved": "2026-02-01"}, "has no yes or no"),
        ({"unit": "", "base_value": "1"}, "a value needs the unit"),
    ],
)
def test_a_register_that_mixes_amounts_with_yes_and_no_is_refused(tmp_path, cells, words):
    seeds = world.write_seeds(tmp_path / "seeds", questions=AMOUNTS)
    with (seeds / FILE).open(newline="") as file:
        lines = list(csv.DictReader(file))
    header = [*lines[0], *(name for name in cells if name not in lines[0])]
    lines[-1] |= cells
    with (seeds / FILE).open("w", newline="") as file:
        writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    with pytest.raises(LedgerError, match=words):
        load_ledger(seeds, kinds=KINDS)


def test_text_that_a_spreadsheet_would_run_is_written_as_text(seeds):
    written(seeds, source="=HYPERLINK()", note="+1")
    assert ",'=HYPERLINK()" in (seeds / FILE).read_text()
    assert not register(seeds)["Q1"].is_open


COUNTED = "\n".join(
    [
        AMOUNTS,
        'Q7,"How many go in 2025?",2025-06-12,2025-12-31,press,Any.,,,,exits,movers,,,,,count',
        'Q8,"How far behind in 2025?",2025-06-12,2025-12-31,press,Any.,,,,index_gap,Buyer,,,,,index points',
    ]
)


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        (
            "Q1",
            {"outcome": "yes", "date": dt.date(2025, 11, 29)},
            "a yes cannot be known on 2025-11-29",
        ),
        ("Q6", {"value": -0.9}, "an amount in USD bn, and -0.9 is below 0"),
        ("Q6", {"value": float("nan")}, "nan is no number"),
        ("Q7", {"value": 2.5}, "asks for a count, and 2.5 is none"),
        ("Q7", {"value": -1.0}, "asks for a count, and -1 is none"),
        (
            "Q7",
            {"value": 2.0, "date": dt.date(2025, 12, 30)},
            "on 2025-12-31, which cannot be known on",
        ),
    ],
)
def test_an_outcome_that_cannot_be_so_is_refused_with_the_reason(tmp_path, name, given, problem):
    seeds = world.write_seeds(tmp_path / "seeds", questions=COUNTED)
    before = (seeds / FILE).read_bytes()
    with pytest.raises(ParameterError, match=problem):
        written(seeds, name, **({"outcome": "measured"} | given))
    assert (seeds / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Q1", {"outcome": "yes", "date": dt.date(2025, 11, 30)}),
        ("Q1", {"outcome": "no", "date": dt.date(2025, 8, 1)}),  # who has left is not there later
        ("Q4", {"outcome": "yes", "date": dt.date(2025, 10, 13), "correct": "Again"}),
        ("Q6", {"outcome": "measured", "value": 0.0}),
        ("Q7", {"outcome": "measured", "value": 3.0}),
        ("Q8", {"outcome": "measured", "value": -2.5}),
    ],
)
def test_an_outcome_that_can_be_so_is_written(tmp_path, name, given):
    seeds = world.write_seeds(tmp_path / "seeds", questions=COUNTED)
    written(seeds, name, **given)
    assert register(seeds)[name].outcome == given["outcome"]


def test_a_line_break_in_a_source_is_refused(seeds):
    before = (seeds / FILE).read_bytes()
    with pytest.raises(LedgerError, match="line break"):
        written(seeds, source="The\nPaper")
    assert (seeds / FILE).read_bytes() == before


def test_two_who_resolve_at_once_both_are_kept(seeds, root):
    code = (
        "import sys, datetime as dt\nfrom valuation.register import resolve\n"
        "from valuation.models import KINDS\n"
        "resolve(sys.argv[1], sys.argv[2], outcome='yes', source='x', kinds=KINDS,\n"
        "        today=dt.date(2026, 3, 1))\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(seeds), name], cwd=root)
        for name in ("Q1", "Q3")
    ]
    assert [p.wait(timeout=120) for p in both] == [0, 0]
    assert {q.id for q in register(seeds).values() if q.is_open} == {"Q5"}


def test_a_question_waits_from_its_close_to_its_outcome(seeds):
    frame = load_ledger(seeds, kinds=KINDS).questions
    assert waiting(frame, dt.date(2025, 12, 31)) == {"Q1": 31.0, "Q3": -365.0, "Q5": -365.0}


# --- the command ----------------------------------------------------------------------------------

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A command about the small world's deal: exit code, stdout, stderr."""
    home = world.project(tmp_path / "project", questions=REGISTER)
    monkeypatch.setenv("VALUATION_HOME", str(home))
    return lambda name, *words: command(name, "--deal", "test_deal", *words)


def test_open_questions_are_listed_by_closing_day_with_their_base_rate(run):
    code, out, err = run("questions")
    assert code == cli.OK
    assert [line.split()[0] for line in out.splitlines() if line[0] == "Q"] == ["Q1", "Q3", "Q5"]
    assert "70%" in out
    assert "no run yet" in err
    assert "Columns: id, day of the close, the base rate, the question." in err
    assert run("questions", "--open")[1] == out
    assert max(map(len, out.splitlines())) <= 80


def test_all_questions_are_listed_with_their_outcomes(run):
    told = json.loads(run("questions", "--all", "--json")[1])
    assert {row["id"]: row["outcome"] for row in told} == {
        "Q1": None, "Q2": "yes", "Q3": None, "Q4": "yes", "Q5": None,
    }  # fmt: skip
    assert {"closes", "base_rate", "probability", "driver", "closed"} <= set(told[0])
    assert run("questions", "--all", "--open")[0] == cli.USAGE


def test_the_last_run_says_how_likely_each_is(run, monkeypatch):
    class Kept:
        id = "run-a"
        results: dict[str, Any] = {  # noqa: RUF012
            "questions": [
                {"id": "Q3", "probability": 0.031, "mcse": 0.002, "by": "model", "why": ""}
            ]
        }

    monkeypatch.setattr("valuation.archive.latest_run", lambda root, deal: Kept())
    _, out, err = run("questions")
    assert next(line for line in out.splitlines() if line.startswith("Q3")).split()[2] == "3%"
    assert "as of run run-a" in err


def test_a_question_that_only_its_base_rate_answers_shows_a_dash_and_a_legend(run, monkeypatch):
    class Kept:
        id = "run-a"
        results: dict[str, Any] = {"questions": []}  # noqa: RUF012

    def answered(by: str) -> None:
        row = {"id": "Q1", "probability": 0.7, "mcse": None, "by": by, "why": ""}
        Kept.results = {"questions": [row]}

    legend = "–: no model answers it; its base rate is on record."
    monkeypatch.setattr("valuation.archive.latest_run", lambda root, deal: Kept())
    answered("base rate")
    _, out, err = run("questions")
    assert out.splitlines()[0].split()[2:4] == ["–", "70%"]
    assert legend in err
    assert json.loads(run("questions", "--json")[1])[0]["by"] == "base rate"
    answered("Ann Example")
    _, out, err = run("questions")
    assert out.splitlines()[0].split()[2:4] == ["70%", "70%"]
    assert legend not in err


def test_resolving_without_a_day_says_which_day_was_taken_and_how_to_set_another(run, monkeypatch):
    monkeypatch.setattr("valuation.clock.today", lambda: TODAY)
    words = ("resolve", "Q1", "--outcome", "no", "--source", "The Paper")
    _, _, err = run(*words)
    assert f"Taken as public today, {TODAY}, since no --date was given" in err
    # As it says, another day is set by --date with --correct.
    code, out, err = run(*words, "--date", "2025-12-05", "--correct", "Was known earlier")
    assert (code, "public on 2025-12-05" in out) == (cli.OK, True)
    assert "Taken as public" not in err
    _, _, err = run("resolve", "Q3", "--outcome", "no", "--source", "E03")
    assert "Taken as public on 2025-12-02, by E03" in err


def test_resolving_and_scoring_from_the_command(run, tmp_path):
    folder = tmp_path / "project" / "seeds"
    record.freeze(
        folder, run="run-a", deal="test_deal", scenario="base", as_of="2025-09-01",
        said={"Q1": (0.8, 0.004), "Q2": (0.3, 0.004), "pays_off:npv": (0.2, 0.01)},
        now=dt.datetime(2025, 9, 1, 12, tzinfo=dt.UTC),
    )  # fmt: skip
    words = ("resolve", "Q1", "--outcome", "yes", "--source", "The Paper", "--date", "2025-12-05")
    code, out, _ = run(*words)
    assert code == cli.OK
    assert "yes, public on 2025-12-05" in out
    code, _, err = run(*words)
    assert code == cli.REFUSED
    assert "give --correct" in err
    assert run(*words, "--correct", "Misread", "--json")[0] == cli.OK
    code, out, _ = run("score")
    assert code == cli.OK
    assert "2 questions on 1 driver" in out
    assert "never forecast Q4" in out
    told = json.loads(run("score", "--json")[1])
    assert {q["id"]: q["brier"] for q in told["questions"]} == {
        "Q1": pytest.approx(0.04), "Q2": pytest.approx(0.49),
    }  # fmt: skip


def test_a_record_whose_past_was_changed_is_not_scored(run, tmp_path):
    folder = tmp_path / "project" / "seeds"
    record.freeze(
        folder, run="run-a", deal="test_deal", scenario="base", as_of="2025-09-01",
        said={"Q1": (0.8, 0.004), "Q2": (0.3, 0.004)}, now=dt.datetime(2025, 9, 1, 12, tzinfo=dt.UTC),
    )  # fmt: skip
    assert run("score")[0] == cli.OK
    place = folder / publish.RECORD
    place.write_text(place.read_text().replace(",0.3,", ",0.03,"))
    code, out, err = run("score")
    assert (code, out) == (cli.REFUSED, "")
    assert "the forecast of Q2 by run-a is not as it was made" in err


def test_a_question_that_is_not_there_is_a_usage_error(run):
    code, _, err = run("resolve", "Q7", "--outcome", "yes", "--source", "x")
    assert code == cli.USAGE
    assert "no question 'Q7'" in err
    assert run("resolve", "Q1", "--outcome", "perhaps", "--source", "x")[0] == cli.USAGE
    assert run("resolve", "Q1", "--outcome", "yes")[0] == cli.USAGE
    assert run("resolve", "Q1", "--source", "x")[0] == cli.USAGE
    assert run("resolve", "Q1", "--value", "1", "--source", "x")[0] == cli.USAGE
    assert run("resolve", "Q1", "--value", "1", "--outcome", "yes", "--source", "x")[0] == cli.USAGE


# --- the backtest ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    home = world.project(tmp_path_factory.mktemp("backtest") / "project", questions=REGISTER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joint, "bind", partial(joint.bind, draws=300))
        yield open_study("test_deal", root=home, cache=home / "cache")


def fitted(study: Study) -> Source:
    """Stand-ins for draws; their density is taken to be that of the state."""
    tree = world.stand_in(study.evidence, random_seed=study.random_seed, draws=150)
    fit = stacked(tree)
    labels = joint.innovations(study.evidence.context, study.models)
    vectors = {
        name: {str(w): v[:, j] for j, w in enumerate(labels[name][1][: v.shape[1]])}
        for name, v in fit.items()
        if v.ndim == 2
    }
    density = log_target(study.evidence, fit, seed=study.random_seed)
    scalars = {name: v for name, v in fit.items() if v.ndim == 1}
    return Source(f"fit {study.as_of}", scalars, vectors, density, study.random_seed, owner=study)


@pytest.fixture(scope="module")
def then(study: Study) -> tuple[Forecast, ...]:
    return asked_then(study, fit=fitted)


def test_a_backtest_asks_at_each_months_end_what_was_open_then(then):
    days = {f.as_of for f in then}
    assert {dt.date(2025, 7, 31), dt.date(2025, 9, 30), dt.date(2026, 1, 31)} <= days
    asked = {
        name: [f.as_of for f in then if f.question == name] for name in ("Q1", "Q2", "Q3", "Q5")
    }
    assert max(asked["Q2"]) == dt.date(2025, 9, 30)  # resolved in October
    assert min(asked["Q3"]) == dt.date(2025, 8, 31)  # opened in August
    assert max(asked["Q1"]) == dt.date(2025, 11, 30)  # closed, though not resolved
    assert min(asked["Q5"]) > dt.date(2026, 2, 1)


def test_a_backtest_knows_nothing_from_after_its_day(then):
    before = [f.probability for f in then if f.question == "Q2"]
    assert np.max(before) < 0.9  # Cat left on 20 October
    assert all(f.made.date() == f.as_of for f in then)


def test_a_backtest_of_no_questions_fits_nothing(study):
    nothing = replace(study.ledger, questions=study.ledger.questions.iloc[:0])

    def refuse(study: Study) -> Source:
        raise AssertionError("nobody asked")

    assert asked_then(replace(study, ledger=nothing), fit=refuse) == ()


def test_a_backtest_scores_what_is_known_by_now_and_is_kept(study, then):
    told = backtest(study, fit=fitted)
    assert {q["id"] for q in told["questions"]} == {"Q2", "Q4"}
    assert len(told["forecasts"]) == len(then)
    assert told["dates"] == sorted({str(f.as_of) for f in then})

    def refuse(study: Study) -> Source:
        raise AssertionError("it is stored")

    assert backtest(study, fit=refuse) == told


@pytest.fixture
def published(study: Study) -> Iterator[Study]:
    """The study with results of its present, and a record of one run in September and one of today."""
    for day, name in (("2025-09-01", "run-a"), ("2026-03-01", "run-b")):
        record.freeze(
            study.root / study.base_deal.seeds, run=name, deal="test_deal", scenario="base",
            as_of=day, said={"Q1": (0.8, 0.004), "Q2": (0.3, 0.004), "pays_off:npv": (0.2, 0.01)},
            quantities={"Q9": (1.0, 2.0)}, now=dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC),
        )  # fmt: skip
    now = replace(study)
    keys = ("deal", "as_of", "run", "diagnostics", "definitions", "questions")
    now.__dict__["results"] = {key: example_results()[key] for key in keys}
    asked = {"id": "Q1", "question": "Does Ada stay?", "closes": "2025-11-30"}
    now.results["questions"].append(now.results["questions"][0] | asked)
    yield now
    (study.root / study.base_deal.seeds / publish.RECORD).unlink()


def test_the_published_scorecard_joins_record_backtest_and_open_questions(published):
    told = score_results(published, fit=fitted)
    kept = told["record"]
    assert (kept["runs"], kept["forecasts"], kept["first"][:10]) == (2, 8, "2025-09-01")
    assert {q["id"]: q["probability"] for q in kept["questions"]} == {"Q2": 0.3}
    assert [(item["question"], item["run"]) for item in kept["late"]] == [("Q2", "run-b")]
    (word,) = [row for row in kept["frozen"] if row["question"] == "pays_off:npv"]
    assert not word["late"]
    assert all(row["late"] == (row["question"] == "Q1") for row in kept["frozen"])
    assert (word["forecasts"], word["first"]["made"], word["last"]["made"]) == (
        2, "2025-09-01", "2026-03-01",
    )  # fmt: skip
    replayed = told["backtest"]
    assert {q["id"] for q in replayed["questions"]} == {"Q2", "Q4"}
    assert "forecasts" not in replayed
    path = replayed["paths"]["Q2"]
    assert path == sorted(path)
    assert path[-1][1] == pytest.approx(
        next(q["probability"] for q in replayed["questions"] if q["id"] == "Q2")
    )
    assert told["questions"] == published.results["questions"]
    for part in (sections.score_record, sections.score_backtest, sections.score_calibration):
        assert part(told).summary
    assert sections.finish(told).digest


def test_a_scorecard_of_a_changed_past_fails_its_checks(published):
    def failed() -> list[str]:
        told = score_results(published, fit=fitted)["diagnostics"]
        return [row["check"] for row in told if not row["passed"]]

    assert failed() == []
    place = published.root / published.base_deal.seeds / publish.RECORD
    text = place.read_text()
    place.write_text(text.replace(",0.3,", ",0.03,", 1))
    assert failed() == ["ledger: forecasts: none changed"]
    place.write_text("".join(text.splitlines(keepends=True)[:-1]).replace("run-a", "run-c"))
    assert "ledger: forecasts: none changed" in failed()


def test_a_scorecard_as_of_a_date_counts_nothing_that_was_said_later(published):
    then = replace(published, ledger=published.ledger.cut("2025-11-30"), as_of_given=True)
    then.__dict__["results"] = published.results
    kept = score_results(then, fit=fitted)["record"]
    assert (kept["runs"], kept["forecasts"], kept["late"]) == (1, 4, [])
