"""A replay walks the dates, sees nothing from after each, and says what moved the answer; its history is kept."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_world as world
from example_update import example_replay

from valuation import archive, cli, posterior, publish
from valuation.errors import GateError, ModelError, ParameterError
from valuation.models import joint
from valuation.report import beside
from valuation.report.checks import check_project
from valuation.sections import words
from valuation.study import Study, open_study, stored
from valuation.study import replay as replays
from valuation.study.case import log_target
from valuation.study.pool import Pool, Source, evidence_of
from valuation.study.replay import (
    ended_now,
    is_current,
    month_ends,
    news_days,
    read_history,
    replay,
    state_at,
    write_history,
)

DRAWS = 2000
HEAD = "id,event_date,published,claim,source,root,credibility,kind,subject,value,sd,unit,supersedes,note"
ROWS = """
    E01,2025-06-12,2025-06-12,The deal closes.,paper,close,A,,,,,,,
    E40,2024-12-31,2025-06-12,Revenue of the year.,paper,revenue,B,revenue,Maker,0.9,0.3,USD bn,,
    E02,2025-08-01,2025-08-02,Ada is at work.,paper,ada1,A,sighting,Ada Founder,,,,,
    E20,2025-08-19,2025-08-20,The data are poor.,paper,quality1,C,quality_report,Maker,-1,,grade,,
    E21,2025-08-01,2025-09-05,Ada is at work says the same man.,paper,ada1,D,sighting,Ada Founder,,,,,
    E03,2025-10-01,2025-10-10,A party is held.,paper,party,B,,,,,,,
    E34,2025-11-12,2025-11-13,Two new customers.,paper,new1,B,new_customers,Maker,2,,count,,
    E22,2026-01-15,2026-01-20,That the data were poor is taken back.,paper,quality2,B,,,,,,E20,
    E04,2026-02-01,2026-02-10,A second party.,paper,party2,B,,,,,,,
"""
MONTHS = [
    "2025-06-12", "2025-06-30", "2025-07-31", "2025-08-31", "2025-09-30", "2025-10-31", "2025-11-30",
    "2025-12-31", "2026-01-31", "2026-02-10",
]  # fmt: skip
NEWS = ["2025-06-12", "2025-08-02", "2025-08-20", "2025-11-13", "2026-01-20", "2026-02-10"]


def table(*more: str) -> str:
    return "\n".join([HEAD, *textwrap.dedent(ROWS).strip().splitlines(), *more])


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Few prior draws behind p0, and the code's digest read once: neither is at issue here."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((stored, "package_digest"), (posterior, "code_digest")):
            patch.setattr(owner, name, partial(str, getattr(owner, name)()))
        for name in ("bind", "prior_draws"):
            patch.setattr(joint, name, partial(getattr(joint, name), draws=500))
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.project(tmp_path_factory.mktemp("replay") / "project", evidence=table())


@pytest.fixture(scope="module")
def study(home: Path) -> Study:
    return open_study("test_deal", root=home)


@pytest.fixture(scope="module")
def history(study: Study) -> dict[str, Any]:
    return replay(study, fit=from_prior)


def drawn(study: Study, draws: int) -> dict[str, np.ndarray]:
    """Prior draws of all that is not a constant."""
    context = evidence_of(study).context
    found = joint.prior_draws(
        context, study.models, random_seed=study.random_seed, draws=draws
    ).items()
    return {name: values for name, values in found if values.ndim > 1 or np.ptp(values) > 0.0}


def columns(study: Study, parameters: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    labels = joint.innovations(evidence_of(study).context, study.models)
    return {
        name: {str(label): parameters[name][:, j] for j, label in enumerate(labels[name][1])}
        for name in labels
        if name in parameters
    }


@pytest.fixture(scope="module")
def refitted(study: Study) -> tuple[dict[str, Any], list[str]]:
    """The history with a fit at each date, and what was said meanwhile."""
    said: list[str] = []
    return replay(study, refit_at_each=True, told=said.append, fit=resampled), said


def from_prior(study: Study) -> Source:
    """Draws of the prior in the place of a fit: no sampler, and nothing of any row in them."""
    parameters = drawn(study, DRAWS)
    scalars = {name: values for name, values in parameters.items() if values.ndim == 1}
    priors = evidence_of(study).context.priors
    density = np.sum([priors[name].logpdf(values) for name, values in scalars.items()], axis=0)
    return Source("prior", scalars, {}, density, study.random_seed)


def resampled(study: Study) -> Source:
    """Draws of a state in the place of a fit: prior draws resampled by their likelihood."""
    evidence, parameters = evidence_of(study), drawn(study, 5 * DRAWS)
    weight = np.exp(joint.row_log_likelihood(evidence, full(study, parameters)).sum(axis=1))
    rng = np.random.default_rng(study.ledger.as_of.toordinal())
    chosen = rng.choice(len(weight), DRAWS, p=weight / weight.sum())
    picked = {name: values[chosen] for name, values in parameters.items()}
    scalars = {name: values for name, values in picked.items() if values.ndim == 1}
    density = log_target(evidence, picked, seed=study.random_seed)
    key = f"resampled-{study.as_of}"
    return Source(key, scalars, columns(study, picked), density, study.random_seed, study)


def full(study: Study, parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return joint.extend(evidence_of(study), parameters, random_seed=study.random_seed)


def dates(history: dict[str, Any]) -> list[str]:
    return [point["as_of"] for point in history["points"]]


def at(history: dict[str, Any], day: str) -> dict[str, Any]:
    (point,) = [point for point in history["points"] if point["as_of"] == day]
    return dict(point)


# --- dates ----------------------------------------------------------------------------------------


def test_a_replay_by_month_begins_at_the_close_and_ends_on_the_day_of_the_newest_row(study):
    assert [str(day) for day in month_ends(study)] == MONTHS


def test_a_replay_by_news_stops_where_the_rows_that_count_became_others(study):
    # Neither a context row, nor a second report of the same root, is news; that a row is taken back is.
    assert [str(day) for day in news_days(study)] == NEWS


def test_a_month_whose_last_day_is_that_of_the_newest_row_is_not_walked_twice(study):
    short = state_at(study, dt.date(2025, 8, 31))
    whole = replace(
        short,
        ledger=replace(
            short.ledger,
            evidence=short.ledger.evidence.assign(
                published=short.ledger.evidence["published"].where(
                    short.ledger.evidence["id"] != "E20", dt.date(2025, 8, 31)
                )
            ),
        ),
    )
    assert [str(day) for day in month_ends(whole)] == MONTHS[:4]


def test_a_ledger_that_ends_before_the_close_has_no_history(study):
    late = replace(study, deal=study.deal.model_copy(update={"closed": dt.date(2027, 1, 1)}))
    with pytest.raises(ModelError, match="before the deal closed on 2027-01-01"):
        month_ends(late)


def test_an_unknown_rhythm_is_refused_with_those_there_are(study):
    with pytest.raises(ParameterError, match="by month or news, not by 'week'"):
        replay(study, every="week", fit=from_prior)


def test_the_state_on_a_day_is_what_opening_the_study_as_of_that_day_gives(home, study):
    for day in ("2025-06-30", "2025-12-31"):
        opened = open_study("test_deal", as_of=day, root=home)
        walked = state_at(study, dt.date.fromisoformat(day))
        assert walked.as_of == opened.as_of
        assert walked.as_of_given
        assert walked.ledger.digest == opened.ledger.digest
        assert walked.posterior_key() == opened.posterior_key()


# --- the walk -------------------------------------------------------------------------------------


def test_every_date_has_one_point_and_dates_only_go_forward(history):
    assert dates(history) == MONTHS == sorted(set(MONTHS))


def test_a_point_counts_the_rows_that_counted_on_its_day(history):
    assert [point["rows"] for point in history["points"]] == [1, 1, 1, 3, 3, 3, 4, 4, 3, 3]


def test_a_history_has_every_key_that_pages_are_tested_with(history):
    example = example_replay()
    assert set(example) <= set(history)
    assert set(example["quantities"][0]) == set(history["quantities"][0])
    assert set(example["points"][1]) == set(history["points"][1])
    (step,) = [p["moved"][0] for p in history["points"] if p["as_of"] == "2025-11-30"]
    assert {"item", "title", "change"} <= set(step)
    names = [q["name"] for q in history["quantities"]]
    assert len(names) == len(set(names))
    assert history["headline"] in names
    for point in history["points"]:
        assert set(point["values"]) == set(point["mcse"]) <= set(names)


def test_a_history_is_plain_finite_values(history):
    assert json.loads(json.dumps(history, allow_nan=False)) == history


def test_a_point_is_the_answer_of_its_state_on_the_draws_of_the_last_fit(study, history):
    state = state_at(study, dt.date(2025, 11, 30))
    position = Pool([from_prior(state_at(study, study.deal.closed))], state).at(state)
    point = at(history, "2025-11-30")
    assert list(point["values"].values()) == pytest.approx(list(position.values), rel=1e-12)
    assert list(point["mcse"].values()) == pytest.approx(list(position.error), rel=1e-9)
    assert point["effective_draws"] == pytest.approx(position.weights.effective_draws)
    assert (point["method"], at(history, "2025-06-12")["method"]) == ("reweighted", "fitted")


def told_of(study: Study, history: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """What an update of the study's state answers, invented but for its names."""
    name = history["headline"]

    def item(id: str, bucket: str, arrival: float) -> dict[str, Any]:
        about = {"item": id, "bucket": bucket, "title": f"{id} happens"}
        return about | {"arrival": {name: arrival}, "mcse": {name: 0.001}}

    return {
        "headline": name,
        "was": {"run": "20260101t000000z-base-00000000"},
        "is": {"method": "reweighted", "khat": 0.4, "effective_draws": 900.0},
        "quantities": [{"name": name, "is": 0.07, "mcse_is": 0.004}],
        "items": [item("N1", "news", 0.0), item("N2", "news", -0.01), item("T1", "terms", 0.2)],
    } | changed


def test_a_history_ends_in_the_point_of_the_update_that_shows_it(study, history):
    """The replay may be older than the news: without its own point a page would end where the answer was before."""
    name, rows = history["headline"], len(study.ledger.scored())
    before = history | {
        "points": [*history["points"][:-1], history["points"][-1] | {"rows": rows - 1}],
        "run": history["run"] | {"digests": {**history["run"]["digests"], "ledger": "before"}},
    }
    ended = ended_now(before, study, told_of(study, history))
    assert ended["own"] == {"current": False, "rows_before": rows - 1, "rows": rows}
    assert ended["points"][:-1] == before["points"]
    own = ended["points"][-1]
    assert set(own) == {*before["points"][-1], "own"}
    assert (own["as_of"], own["rows"], own["own"]) == (str(study.as_of), rows, True)
    assert (own["values"], own["mcse"]) == ({name: 0.07}, {name: 0.004})
    assert (own["method"], own["khat"], own["effective_draws"]) == ("reweighted", 0.4, 900.0)
    assert [(step["item"], step["change"]) for step in own["moved"]] == [("N2", -0.01)]
    fresh = {"method": "refitted", "khat": 0.1, "effective_draws": 900.0}
    ended = ended_now(before, study, told_of(study, history, **{"is": fresh, "was": {"run": None}}))
    own = ended["points"][-1]
    assert (own["method"], own["khat"], own["moved"]) == ("fitted", None, [])
    assert ended_now(None, study, told_of(study, history)) is None


def test_the_point_of_an_update_takes_the_place_of_a_replay_of_the_same_state(study, history):
    ended = ended_now(history, study, told_of(study, history))
    assert ended["own"]["current"]
    assert ended["own"]["rows_before"] == ended["own"]["rows"]
    assert dates(ended) == dates(history)
    assert ended["points"][-1]["values"] == {history["headline"]: 0.07}
    assert ended["points"][-1]["moved"] == history["points"][-1]["moved"]
    earlier = state_at(study, dt.date(2025, 11, 30))
    assert dates(ended_now(history, earlier, told_of(earlier, history))) == [
        *(day for day in MONTHS if day <= "2025-11-30"),
        "2025-11-30",
    ]


def test_where_nothing_came_the_point_stands_again_and_was_not_moved(history):
    before, after = at(history, "2025-09-30"), at(history, "2025-10-31")
    assert after["method"] == "reweighted"
    assert after["moved"] == []
    changed = {"as_of", "method", "khat", "moved"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }


def test_a_date_that_repeats_a_fitted_one_is_called_reweighted(history):
    first, second = history["points"][:2]
    assert (first["method"], first["khat"]) == ("fitted", None)
    assert second["method"] == "reweighted"
    assert second["values"] == first["values"]


def test_who_joins_changes_what_is_published_and_moves_nothing(history):
    # The stars join on 12 July: before, there is no share of them that stays.
    assert "stars_retained" not in at(history, "2025-06-30")["values"]
    assert "stars_retained" in at(history, "2025-07-31")["values"]
    assert at(history, "2025-07-31")["moved"] == []


def test_what_was_published_later_changes_no_point_before_it(history, tmp_path):
    row = "E99,2025-12-01,2026-01-05,Ada left.,paper,ada9,A,departure,Ada Founder,,,,,"
    home = world.project(tmp_path / "project", evidence=table(row))
    other = replay(open_study("test_deal", root=home), fit=from_prior)
    assert dates(other) == dates(history)
    early = [p for p in history["points"] if p["as_of"] < "2026-01-05"]
    assert other["points"][: len(early)] == early
    assert at(other, "2026-01-31")["values"] != at(history, "2026-01-31")["values"]
    assert "E99" in [step["item"] for step in at(other, "2026-01-31")["moved"]]


def test_dates_before_any_row_counts_are_left_out(tmp_path):
    rows = [line for line in table().splitlines() if not line.startswith("E40")]
    home = world.project(tmp_path / "project", evidence="\n".join(rows))
    found = replay(open_study("test_deal", root=home), fit=from_prior)
    assert dates(found) == MONTHS[3:]
    assert found["points"][0]["method"] == "fitted"


def test_without_a_row_that_counts_there_is_no_history(tmp_path):
    rows = [line for line in table().splitlines() if ",,,,,,," in line or line == HEAD]
    home = world.project(tmp_path / "project", evidence="\n".join(rows))
    with pytest.raises(ModelError, match="no date from the deal's close on can be valued"):
        replay(open_study("test_deal", root=home), fit=from_prior)


# --- what moved it --------------------------------------------------------------------------------


def test_only_what_is_new_since_the_point_before_is_named(history):
    named = {p["as_of"]: {step["item"] for step in p["moved"]} for p in history["points"]}
    new = {
        "2025-08-31": {"E02", "E20"}, "2025-11-30": {"E34"}, "2026-01-31": {"E22"},
    }  # fmt: skip
    assert named == {day: new.get(day, set()) for day in MONTHS}


def test_changes_by_order_of_arrival_add_up_to_the_step_of_the_headline(history):
    before, after = at(history, "2025-07-31"), at(history, "2025-08-31")
    name = history["headline"]
    told = sum(step["change"] for step in after["moved"])
    assert told == pytest.approx(after["values"][name] - before["values"][name], abs=1e-12)


def test_the_largest_change_comes_first_and_at_most_three_are_named(study, monkeypatch):
    days = (dt.date(2025, 12, 31), dt.date(2026, 1, 31))
    monkeypatch.setitem(replays.EVERY, "month", lambda s: (s.deal.closed, *days))
    (_, point, _) = replay(study, fit=from_prior)["points"]
    sizes = [abs(step["change"]) for step in point["moved"]]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)
    assert all(step["mcse"] >= 0.0 for step in point["moved"])


def test_a_row_that_is_taken_back_undoes_what_it_did(history):
    name = history["headline"]
    (taken,) = at(history, "2026-01-31")["moved"]
    assert taken["title"] == "Withdrawn: The data are poor."
    (poor,) = [s for s in at(history, "2025-08-31")["moved"] if s["item"] == "E20"]
    assert taken["change"] * poor["change"] <= 0.0
    assert math.isclose(
        at(history, "2026-01-31")["values"][name] - at(history, "2025-12-31")["values"][name],
        taken["change"],
        abs_tol=1e-12,
    )


# --- fits -----------------------------------------------------------------------------------------


def test_every_state_is_fitted_where_that_is_asked_for_and_no_state_twice(refitted):
    found, said = refitted
    fitted = [p["as_of"] for p in found["points"] if p["method"] == "fitted"]
    assert fitted == [
        "2025-06-12", "2025-07-31", "2025-08-31", "2025-11-30", "2025-12-31", "2026-01-31",
    ]  # fmt: skip
    assert found["run"]["posterior"].split() == [f"resampled-{day}" for day in fitted]
    assert len(said) == len(fitted)
    assert all("a fit was asked for" in text for text in said[1:])


def test_items_at_a_fitted_date_are_compared_on_the_draws_of_both_fits(refitted, history):
    """Four errors: 3 comparisons, so that a sound build fails in one of 5,000."""
    compared = 0
    for point, other in zip(refitted[0]["points"], history["points"], strict=True):
        weighed = {step["item"]: step for step in other["moved"]}
        for step in point["moved"]:
            if step["item"] not in weighed:
                continue
            mate = weighed[step["item"]]
            error = math.hypot(step["mcse"], mate["mcse"])
            assert abs(step["change"] - mate["change"]) < 4.0 * error + 1e-9
            compared += 1
    assert compared >= 3


def test_no_item_is_named_for_a_difference_between_two_runs_alone(refitted):
    """In July and December somebody joins and no row comes; two fits differ there by chance alone."""
    found, _ = refitted
    for day in ("2025-07-31", "2025-12-31"):
        assert at(found, day)["method"] == "fitted"
        assert at(found, day)["moved"] == []


def test_where_the_draws_do_not_reach_the_state_is_fitted_and_the_reason_is_said(study):
    first = state_at(study, study.deal.closed)
    then = state_at(study, dt.date(2025, 8, 31))
    left = Pool([resampled(first)], then).at(then).weights.effective_draws
    assert 500 < left < 1990
    strict = replace(study, limits=study.limits.model_copy(update={"ess_min": math.ceil(left) + 1}))
    said: list[str] = []
    found = replay(strict, told=said.append, fit=resampled)
    assert [p["method"] for p in found["points"][:4]] == [
        "fitted", "reweighted", "reweighted", "fitted",
    ]  # fmt: skip
    assert said[0].startswith("As of 2025-06-12: the first date with rows that count; fitting")
    assert said[1] == (
        f"As of 2025-08-31: the stored draws were worth only {left:.0f} effective ones; "
        "fitting, which takes about a minute."
    )
    assert at(found, "2025-08-31")["khat"] is None
    assert at(found, "2025-08-31")["effective_draws"] == pytest.approx(DRAWS)


def test_a_fit_that_does_not_serve_its_own_date_is_refused(study):
    strict = replace(study, limits=study.limits.model_copy(update={"ess_min": DRAWS}))
    with pytest.raises(GateError, match=r"as of 2025-06-12: .* although the model was fitted"):
        replay(strict, fit=from_prior)


def test_a_fit_that_did_not_converge_is_refused_with_its_date(study):
    def refused(state: Study) -> Source:
        raise GateError("rhat: 1.2 above 1.01")

    with pytest.raises(GateError, match="as of 2025-06-12: rhat") as caught:
        replay(study, fit=refused)
    assert caught.value.problems[-1] == "another --seed may sample better"


def test_a_date_on_which_a_scenarios_conditions_are_too_rare_is_left_out(home, monkeypatch):
    what_if = {
        "scenario": "leaves",
        "title": "Leaves",
        "story": "Leaves at once.",
        "conditions": [{"event": "founder_exit", "before": "2025-08-01"}],
        "sets": [],
        "prior_set": "",
        "terms": {},
    }
    said: list[str] = []
    study = open_study("test_deal", what_if, root=home)
    monkeypatch.setitem(
        replays.EVERY,
        "month",
        lambda s: (s.deal.closed, *state_dates("2025-08-31", "2025-09-30")),
    )
    with pytest.raises(ModelError, match="replay another scenario"):
        replay(study, told=said.append, fit=from_prior)
    assert any("left out" in text for text in said)
    # Conditions say nothing about how far draws reach: but for the newest date one fit was enough.
    fitted = [text for text in said if "fitting" in text]
    assert [text[:16] for text in fitted] == ["As of 2025-06-12", "As of 2025-09-30"]


def state_dates(*days: str) -> list[dt.date]:
    return [dt.date.fromisoformat(day) for day in days]


# --- kept -----------------------------------------------------------------------------------------


def test_a_history_is_read_back_as_it_was_written(history, tmp_path):
    path = write_history(tmp_path, history)
    assert path == tmp_path / "reports" / "deals" / "test_deal" / "history.json"
    assert read_history(tmp_path, "test_deal") == history
    assert [file.name for file in path.parent.iterdir()] == ["history.json"]


def test_a_history_that_says_nothing_new_is_left_as_it_is_and_makes_no_report_older(
    history, tmp_path
):
    path = write_history(tmp_path, history)
    before = path.read_bytes()
    write_history(tmp_path, history | {"made": "2031-01-01T00:00:00+00:00"})
    assert path.read_bytes() == before
    write_history(tmp_path, history | {"every": "news"})
    assert path.read_bytes() != before


def test_the_walk_beside_a_report_makes_the_history_once_for_a_state(
    history, study, tmp_path, monkeypatch
):
    did: list[str] = []
    monkeypatch.setattr("valuation.study.backtest.backtest", lambda *a, **k: did.append("backtest"))
    monkeypatch.setattr(replays, "replay", lambda *a, **k: did.append("replay") or history)
    monkeypatch.setattr(replays, "is_current", lambda h, s: s.random_seed == study.random_seed)
    register = study.ledger.questions.reindex([0])
    asked = replace(study, root=tmp_path, ledger=replace(study.ledger, questions=register))
    beside.walk(asked)
    assert read_history(tmp_path, "test_deal") == history
    beside.walk(asked)
    assert did == ["backtest", "replay", "backtest"]  # the one in place is of this state
    beside.walk(replace(asked, random_seed=1))
    assert did[3:] == ["backtest", "replay"]
    beside.walk(replace(study, root=tmp_path, random_seed=2))
    assert did[5:] == []  # nothing was asked of the past


def test_the_walk_ends_with_the_report_that_waits_for_it_and_else_at_its_own_end():
    program = (
        "import sys, time, types\n"
        "from valuation.report import beside\n"
        "study = types.SimpleNamespace(open_study=lambda *a, **k: None)\n"
        "sys.modules['valuation.study'] = study\n"
        "beside.walk = lambda study: time.sleep(float(sys.argv[1]))\n"
        "beside.main(sys.argv[2:])\n"
    )

    def begun(*words):
        return subprocess.Popen([sys.executable, "-c", program, *words], stdin=subprocess.PIPE)

    with begun("600", "--attended") as left, begun("0", "--attended") as waited_for:
        left.stdin.close()  # as when what holds it is killed
        assert left.wait(60) == 1
        assert waited_for.wait(60) == 0
    with begun("0") as alone:
        alone.stdin.close()
        assert alone.wait(60) == 0


def test_check_says_whether_the_history_is_as_it_was_made(history, tmp_path):
    def found():
        told = check_project(tmp_path, deal="test_deal", today=dt.date(2026, 3, 1))
        return next(result for result in told if result.name == "reports: history intact")

    assert (found().passed, found().detail) == (True, "none yet; `valuation report` makes it")
    path = write_history(tmp_path, history)
    assert (found().passed, found().detail) == (True, f"made {history['made']}")
    path.write_bytes(path.read_bytes()[:500])
    assert not found().passed
    told = "reports/deals/test_deal/history.json: damaged: not the JSON that was written; make it again with"
    assert found().detail == f"{told} `valuation replay --deal test_deal`"


def test_the_history_of_the_first_deal_stands_beside_the_index(tmp_path):
    assert write_history(tmp_path, example_replay()) == tmp_path / "reports" / "history.json"


def test_another_scenario_does_not_take_the_place_of_the_base_case(history, tmp_path):
    write_history(tmp_path, history)
    other = history | {"scenario": "founder_leaves"}
    assert write_history(tmp_path, other).name == "history-founder_leaves.json"
    assert read_history(tmp_path, "test_deal") == history
    assert read_history(tmp_path, "test_deal", "founder_leaves") == other


def test_where_there_is_no_history_nothing_is_said(tmp_path, capsys):
    assert read_history(tmp_path, "test_deal") is None
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[: len(text) // 2], "damaged: not the JSON that was written"),
        (lambda text: "", "damaged"),
        (lambda text: "[]", "damaged"),
        (lambda text: text.replace('"rows": 3', '"rows": 8', 1), "damaged: not what was written"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "of another version"),
        (lambda text: text.replace('"kind": "replay"', '"kind": "update"'), "of another version"),
    ],
)
def test_a_damaged_history_is_none_with_a_sentence_on_stderr(
    history, tmp_path, capsys, spoil, said
):
    path = write_history(tmp_path, history)
    text = path.read_text(encoding="utf-8")
    assert spoil(text) != text
    path.write_text(spoil(text), encoding="utf-8")
    assert read_history(tmp_path, "test_deal") is None
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "valuation replay" in err


def test_the_history_of_another_deal_is_not_taken_for_this_ones(history, tmp_path, capsys):
    place = archive.history_path(tmp_path, "test_deal")
    write_history(tmp_path, history | {"deal": "other_deal"}).parent.rename(place.parent)
    assert read_history(tmp_path, "test_deal") is None
    assert "the history of other_deal" in capsys.readouterr().err


def test_a_write_that_fails_leaves_the_history_before(history, tmp_path, monkeypatch):
    write_history(tmp_path, history)

    def full_disk(path: Path, content: bytes) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(publish, "_write_synced", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_history(tmp_path, history | {"every": "news"})
    assert read_history(tmp_path, "test_deal") == history


def test_a_history_is_current_until_what_it_was_made_from_changes(history, study, tmp_path):
    assert is_current(history, study)
    assert not is_current(history, replace(study, random_seed=1))
    row = "E99,2026-02-09,2026-02-10,Ada is at work.,paper,ada9,A,sighting,Ada Founder,,,,,"
    home = world.project(tmp_path / "project", evidence=table(row))
    assert not is_current(history, open_study("test_deal", root=home))
    looser = study.limits.model_copy(update={"khat_max": 0.6})
    assert not is_current(history, replace(study, limits=looser))
    assert not is_current({}, study)


# --- the command ----------------------------------------------------------------------------------


def command(
    capfd: pytest.CaptureFixture[str], project: Path, monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, str, str, list[dict[str, Any]]]:
    """Run ``valuation replay`` with an invented history; exit code, stdout, stderr, what was asked."""
    asked: list[dict[str, Any]] = []

    def walked(study: Study, *, told: Any, **options: Any) -> dict[str, Any]:
        asked.append({"scenario": study.scenario.scenario, "seed": study.random_seed, **options})
        told("As of 2025-06-12: the first date with rows that count; fitting.")
        return example_replay(options["every"]) | {"scenario": study.scenario.scenario}

    monkeypatch.setenv("VALUATION_HOME", str(project))
    monkeypatch.setattr(replays, "replay", walked)
    capfd.readouterr()
    with pytest.raises(SystemExit) as stopped:
        cli.main(["replay", *words])
    out, err = capfd.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, out, err, asked


def test_the_command_shows_a_line_a_date_in_eighty_columns(capfd, project, monkeypatch):
    code, out, err, _ = command(capfd, project, monkeypatch)
    assert code == 0
    lines = out.splitlines()
    assert max(len(line) for line in lines) <= 80
    for point in example_replay()["points"]:
        (line,) = [line for line in lines if line.startswith(point["as_of"])]
        assert f"{point['values']['npv']:.1%} ± " in line
        assert f"{words.fixed(point['values']['npv_mean'], 2)} ± " in line
        assert ("fitted" in line) == (point["method"] == "fitted")
        if abs(point["moved"][0]["change"] if point["moved"] else 0.0) > 2 * point["mcse"]["npv"]:
            below = lines[lines.index(line) + 1]
            assert point["moved"][0]["item"] in below
            assert words.signed(100 * point["moved"][0]["change"]) in below
    assert "  −5.57 ± " in out, "a true minus, as everywhere"
    assert "As of 2025-06-12" in err
    assert "reports/history.json" in err
    assert (project / "reports" / "history.json").is_file()


def test_the_command_prints_json_and_nothing_else_on_stdout(capfd, project, monkeypatch):
    code, out, _, asked = command(
        capfd, project, monkeypatch, "--every", "news", "--seed", "7", "--refit-at-each", "--json"
    )
    assert code == 0
    assert json.loads(out) == example_replay("news")
    assert asked == [{"scenario": "base", "seed": 7, "every": "news", "refit_at_each": True}]


def test_the_command_says_nothing_when_it_is_asked_to(capfd, project, monkeypatch):
    code, out, err, _ = command(capfd, project, monkeypatch, "--quiet")
    assert (code, out, err) == (0, "", "")
    assert read_history(project, "meta_scale") == example_replay()


def test_the_index_gets_the_chart_of_the_base_case_only(capfd, project, monkeypatch):
    from valuation.report import index

    written: list[Path] = []
    monkeypatch.setattr(index, "shelf", lambda *a, **k: index.Shelf({"base": {}}))

    def write(base: Path, held: Any) -> Path:
        assert (base / "history.json").is_file()
        written.append(base)
        return base / "index.html"

    monkeypatch.setattr(index, "write", write)
    command(capfd, project, monkeypatch, "--scenario", "founder_leaves", "--quiet")
    assert written == []
    command(capfd, project, monkeypatch, "--quiet")
    assert written == [project / "reports"]


# --- against fits ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_weighing_forward_agrees_with_a_fit_of_each_date(root, monkeypatch):
    """Chance and NPV at three dates, within four errors: a sound build fails in one of 2,600 such tests.

    Fits are kept in the project's cache, where the backtest finds three of the five.
    """
    for name in ("bind", "prior_draws"):  # all of them: here numbers are at issue
        monkeypatch.setattr(joint, name, getattr(joint, name).func)
    # The newest date is fitted either way.
    days = state_dates("2025-06-30", "2025-08-31", "2025-10-31", "2025-12-31", "2026-01-31")
    monkeypatch.setitem(replays.EVERY, "month", lambda study: tuple(days))
    study = open_study(root=root)
    weighed = replay(study)
    fitted = replay(study, refit_at_each=True)
    assert [p["method"] for p in weighed["points"]] == ["fitted", *["reweighted"] * 3, "fitted"]
    assert [p["method"] for p in fitted["points"]] == ["fitted"] * 5
    (money,) = [q["name"] for q in weighed["quantities"] if q["group"] == "value"]
    for one, other in zip(weighed["points"][1:-1], fitted["points"][1:-1], strict=True):
        for name in (weighed["headline"], money):
            error = math.hypot(one["mcse"][name], other["mcse"][name])
            apart = (one["values"][name] - other["values"][name]) / error
            print(
                f"{one['as_of']} {name}: weighed {one['values'][name]:.4f} ± {one['mcse'][name]:.4f} "
                f"(k {one['khat']:.2f}, {one['effective_draws']:.0f} draws), "
                f"fitted {other['values'][name]:.4f} ± {other['mcse'][name]:.4f}: {apart:+.2f} errors"
            )
            assert abs(apart) < 4.0
