"""A study joins the layers: complete, plain, consistent numbers that see nothing from after their date."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import example_results
import numpy as np
import pytest
import small_world as world

from valuation import clock, posterior
from valuation.errors import LedgerError, ModelError, ParameterError
from valuation.models import MODELS, joint
from valuation.study import Study, compare, model_results, open_study, stored
from valuation.study.answers import notes_of
from valuation.study.case import _FORECASTS

_STAND_INS: dict[str, Any] = {}
REAL_FIT, KEEP = Study.fitted, stored.load_or_make


def stand_in(study: Study, prior_set: str) -> Any:
    """The stand-in for a posterior, made once for what it depends on."""
    key = study.posterior_key(prior_set)
    if key not in _STAND_INS:
        _STAND_INS[key] = world.stand_in(study.under(prior_set), random_seed=study.random_seed)
    return _STAND_INS[key]


@contextmanager
def stand_ins() -> Iterator[pytest.MonkeyPatch]:
    """Studies take stand-ins for posteriors; nothing that was simulated from another module's is met here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Study, "fitted", stand_in)
        patch.setattr(posterior, "code_digest", partial(str, posterior.code_digest()))  # read once
        for name in ("bind", "prior_draws"):  # fewer prior draws where the number is not at issue
            patch.setattr(joint, name, partial(getattr(joint, name), draws=500))
        _FORECASTS.clear()
        joint.MEMORY.clear()
        yield patch
    _FORECASTS.clear()
    joint.MEMORY.clear()


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies of this file take stand-ins for posteriors, and keep no results."""
    with stand_ins() as patch:
        patch.setattr(stored, "load_or_make", lambda path, make: make())
        patch.setattr(stored, "package_digest", partial(str, stored.package_digest()))
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder around the small world; tests do not write to it."""
    return world.project(tmp_path_factory.mktemp("small") / "project")


def opened(home: Path, scenario: Any = "base", **options: Any) -> Study:
    return open_study("test_deal", scenario, root=home, **options)


def what_if(**parts: Any) -> dict[str, Any]:
    blank = {"conditions": [], "sets": [], "prior_set": "", "terms": {}}
    return {"scenario": "test", "title": "Test", "story": "Of a test."} | blank | parts


@pytest.fixture(scope="module")
def base(home: Path) -> Study:
    return opened(home)


@pytest.fixture(scope="module")
def results(base: Study) -> dict[str, Any]:
    return base.results


# --- complete and plain ---------------------------------------------------------------------------

FREE = {"digests", "versions", "npv_quantiles", "probability_in_post", "probability_active"}


def missing(example: Any, found: Any, where: str = "results") -> list[str]:
    """Keys that the example has and the other lacks, at any depth; lists by their first item."""
    if isinstance(example, dict):
        if not isinstance(found, dict):
            return [where]
        gaps = [f"{where}.{key}" for key in example if key not in found]
        for key in example:
            if key in found and key not in FREE:
                gaps += missing(example[key], found[key], f"{where}.{key}")
        return gaps
    if isinstance(example, list) and example and isinstance(found, list) and found:
        return missing(example[0], found[0], f"{where}[0]")
    return []


def test_results_have_every_key_that_pages_are_tested_with(results):
    assert missing(example_results.example_results(), results) == []


def test_results_are_plain_values_that_json_can_hold(results):
    text = json.dumps(results, allow_nan=False)
    assert json.loads(text) == results


def test_every_driver_has_its_bands(results, base):
    assert set(results["drivers"]) == {
        str(n) for n, v in base.drivers.data_vars.items() if v.dims == ("draw", "month")
    } - {"rivals_anyway"}  # what would have been is no driver: nothing can be set or observed of it
    for band in results["drivers"].values():
        assert len(band["dates"]) == len(band["mean"]) == 33
        lines = [band[key] for key in ("lower", "lower50", "median", "upper50", "upper")]
        assert (np.diff(np.array(lines), axis=0) >= -1e-9).all()


def test_results_are_computed_once(base):
    assert base.results is base.results


def test_the_stand_in_posterior_passes_the_gate(base):
    assert base.gate().failures == ()


# --- consistent -----------------------------------------------------------------------------------


def probabilities(part: Any, where: str = "results") -> Iterator[tuple[str, float]]:
    """Every number whose name says that it is a probability."""
    names = ("probability", "opinion_low", "opinion_high", "never", "irr_undefined", "share")
    if isinstance(part, dict):
        for key, item in part.items():
            if key in FREE and key.startswith("probability"):
                yield from ((f"{where}.{key}.{date}", p) for date, p in item.items())
            elif key in names and isinstance(item, float):
                yield f"{where}.{key}", item
            else:
                yield from probabilities(item, f"{where}.{key}")
    elif isinstance(part, list):
        for i, item in enumerate(part):
            yield from probabilities(item, f"{where}[{i}]")


def test_every_probability_lies_between_0_and_1(results):
    found = dict(probabilities(results))
    assert len(found) > 50
    assert {k: p for k, p in found.items() if not 0.0 <= p <= 1.0} == {}


def test_components_sum_to_the_npv(results):
    total = sum(c["mean"] for c in results["components"])
    assert total == pytest.approx(results["headline"]["npv_mean"], abs=1e-9)


def test_the_headline_is_its_definition(results):
    (own,) = [d for d in results["definitions"] if d["definition"] == "npv"]
    head = results["headline"]
    assert (own["probability"], own["mcse"]) == (head["probability"], head["mcse"])
    assert head["npv_lower"] <= head["npv_median"] <= head["npv_upper"]
    assert head["opinion_low"] <= head["probability"] <= head["opinion_high"]


def test_the_price_curve_passes_through_the_headline_at_the_price_paid(results, base):
    paid = base.deal.outlay.total_bn
    (here,) = [p for p in results["price"] if p["price_usd_bn"] == pytest.approx(paid)]
    assert here["probability"] == pytest.approx(results["headline"]["probability"], abs=1e-12)
    chances = [p["probability"] for p in results["price"]]
    assert chances == sorted(chances, reverse=True)


def test_dots_are_quantiles_of_the_same_draws(results):
    dots = np.array(results["npv_dots"])
    assert len(dots) == 100
    assert (dots > 0).mean() == pytest.approx(results["headline"]["probability"], abs=0.011)


def test_counts_of_evidence_add_up(results, base):
    counts = results["evidence_counts"]
    assert counts["total"] == len(results["evidence"]) == 37
    assert counts["typed"] + counts["context"] == counts["total"]
    assert counts["scored"] == sum(r["scored"] for r in results["evidence"])
    assert counts["scored"] == len(base.evidence.ids)


def test_a_persons_chance_of_being_in_post_falls_with_time(results):
    for person in results["people"]:
        chances = [p for _, p in sorted(person["probability_in_post"].items())]
        assert chances == sorted(chances, reverse=True), person["subject"]


def test_one_who_is_known_to_have_left_is_hardly_in_post(results, base):
    by_name = {p["subject"]: p["probability_in_post"] for p in results["people"]}
    today = str(base.as_of)
    assert by_name[world.STAR][today] < 0.1  # a confirmed departure
    assert by_name[world.FOUNDER][today] > 0.8  # seen shortly before


def test_contraction_is_what_evidence_removed_of_the_variance(results):
    for row in results["shrinkage"]:
        assert row["contraction"] == pytest.approx(1.0 - (row["sd"] / row["prior_sd"]) ** 2)


def test_the_scenario_of_no_condition_is_certain(results):
    assert (results["scenario"]["probability"], results["scenario"]["probability_mcse"]) == (1.0, 0)
    assert results["scenario"]["conditions"] == results["scenario"]["sets"] == []


DATE = "2028-06-12"


def test_a_condition_and_its_opposite_average_to_the_whole(home, base):
    whole = base.values["npv"].to_numpy()
    chance, npv, pays = [], [], []
    for side in ("before", "not_before"):
        study = opened(home, what_if(conditions=[{"event": "founder_exit", side: DATE}]))
        weight = study.drivers["weight"].to_numpy()
        chance.append((weight > 0).mean())
        npv.append(weight @ study.values["npv"].to_numpy())
        pays.append(weight @ study.values["pays_off"].sel(definition="npv").to_numpy())
    assert sum(chance) == pytest.approx(1.0, abs=1e-12)
    assert np.dot(chance, npv) == pytest.approx(whole.mean(), abs=1e-9)
    assert np.dot(chance, pays) == pytest.approx((whole > 0).mean(), abs=1e-9)


def test_a_condition_holds_in_every_draw_that_counts(home):
    study = opened(home, what_if(conditions=[{"event": "founder_exit", "before": DATE}]))
    shown = study.results["scenario"]
    assert shown["conditions"] == ["The founder leaves before 12 June 2028."]
    assert shown["probability"] == pytest.approx(study.drivers["weight"].astype(bool).mean())
    exits = study.drivers["person_exit"].sel(person=world.FOUNDER).to_numpy()
    weight = study.drivers["weight"].to_numpy()
    assert (exits[weight > 0] < 36.0).all()
    assert weight.sum() == pytest.approx(1.0, rel=1e-12)
    assert 0 < (weight > 0).sum() < weight.size


def test_a_condition_too_rare_to_answer_is_refused_with_its_probability(home):
    rare = what_if(conditions=[{"driver": "exit_multiple", "at": "2032-06-12", "above": 80.0}])
    with pytest.raises(ParameterError, match=r"its conditions hold in .*% of draws"):
        opened(home, rare).values


def test_a_set_moves_the_answer_its_way_and_is_called_an_intervention(home, base):
    part = {"driver": "revenue", "operation": "multiply", "value": 0.1, "start": "2026-06-12"}
    worse = opened(home, what_if(sets=[part]))
    assert (worse.values["npv"] <= base.values["npv"]).all()
    assert float(worse.values["npv"].mean()) < float(base.values["npv"].mean())
    assert "(set, not predicted)" in worse.scenario.sets[0].describe("USD")
    assert worse.posterior_key() == base.posterior_key()


@pytest.mark.parametrize("years", [7, 9])
def test_a_scenario_may_look_less_far_or_further(years, home, base):
    study = opened(home, what_if(terms={"horizon_years": years}))
    assert study.drivers.sizes["month"] == 12 * years + 1
    months = slice(0, 85)
    for name in ("adoption_share", "talent_retained", "capability_gap", "impairment"):
        mine, whole = study.drivers[name], base.drivers[name]
        assert mine.isel(month=months).to_numpy() == pytest.approx(
            whole.isel(month=months).to_numpy(), rel=1e-9, abs=1e-9
        ), name


def test_terms_change_money_and_not_beliefs(home, base):
    cheap = opened(home, what_if(terms={"outlay": {"equity_usd_bn": 4.5, "other_usd_bn": 0.5}}))
    saved = cheap.values["npv"].to_numpy() - base.values["npv"].to_numpy()
    assert saved == pytest.approx(np.full(saved.size, 5.0), abs=1e-9)
    assert (cheap.drivers["person_exit"] == base.drivers["person_exit"]).all()
    assert cheap.posterior_key() == base.posterior_key()


# --- prior sets -----------------------------------------------------------------------------------


def test_prior_sets_span_from_sceptic_to_enthusiast(results):
    by_name = {s["prior_set"]: s for s in results["prior_sets"]}
    assert (
        by_name["sceptic"]["probability"]
        < by_name["house"]["probability"]
        < by_name["enthusiast"]["probability"]
    )
    assert by_name["house"]["method"] == "sampled"
    assert {by_name[n]["method"] for n in ("sceptic", "enthusiast")} <= {"reweighted", "refitted"}


def test_a_scenario_of_another_prior_set_is_that_row_of_the_base_case(home, results):
    (row,) = [s for s in results["prior_sets"] if s["prior_set"] == "sceptic"]
    own = opened(home, "sceptic_priors").results
    assert own["headline"]["probability"] == pytest.approx(row["probability"], abs=1e-12)
    assert own["headline"]["npv_mean"] == pytest.approx(row["npv_mean"], abs=1e-9)
    assert own["scenario"]["prior_set"] == "sceptic"


def test_reweighting_to_a_prior_set_agrees_with_fitting_it(base):
    strict = replace(
        base, limits=base.limits.model_copy(update={"khat_max": -9.0, "rhat_max": 1.05})
    )
    for name in ("sceptic", "enthusiast"):
        moved, fitted = base.believed(name), strict.believed(name)
        assert (moved.method, fitted.method) == ("reweighted", "refitted")
        for parameter in ("exit_multiple", "revenue_before", "integration", "uplift_at_frontier"):
            x, y = (
                np.log(moved.parameters["exit_multiple"]),
                np.log(fitted.parameters["exit_multiple"]),
            )
            mean = moved.weight @ x
            error = math.hypot(
                np.sqrt((moved.weight**2 * (x - mean) ** 2).sum()), y.std() / math.sqrt(y.size)
            )
            assert abs(mean - y.mean()) < 4.0 * error, (name, parameter)
        house, both = np.log(base.beliefs.parameters["exit_multiple"]).mean(), []
        for believed in (moved, fitted):
            both.append(believed.weight @ np.log(believed.parameters["exit_multiple"]) - house)
        assert both[0] * both[1] > 0.0


def test_untouched_priors_of_a_set_are_drawn_from_it_with_the_same_dice(base):
    house, other = base.believed("house"), base.believed("enthusiast")
    uplift = "uplift_at_frontier"
    assert uplift not in base.posterior["posterior"]
    assert (other.parameters[uplift] > house.parameters[uplift]).all()
    assert (other.parameters["talent_pool_usd_bn"] == house.parameters["talent_pool_usd_bn"]).all()


# --- time -----------------------------------------------------------------------------------------


def test_each_date_sees_its_own_rows_of_the_shipped_ledger(root):
    seen = [
        set(open_study(as_of=date, root=root).ledger.scored()["id"])
        for date in ("2025-06-20", "2025-09-01", "2026-02-28")
    ]
    assert len(seen[0]) < len(seen[1]) < len(seen[2])
    assert {"B030", "B032"} <= seen[0]
    assert "B020" in seen[1] - seen[0]
    assert "B046" in seen[2] - seen[1]


def test_no_row_published_later_is_scored_or_shown(home):
    study = opened(home, as_of="2025-12-05")
    cut = dt.date(2025, 12, 5)
    assert study.as_of == cut
    assert (study.ledger.evidence["published"] <= cut).all()
    rows = study.ledger.evidence.set_index("id")
    assert all(rows.loc[i, "published"] <= cut for i in study.evidence.ids)


def test_dates_give_answers_of_their_own(home):
    answers = {
        date: float(opened(home, as_of=date).values["npv"].mean())
        for date in ("2025-09-03", "2025-12-05", "2026-02-21")
    }
    assert len({round(v, 9) for v in answers.values()}) == 3


PLANTED = (
    "Z1,2026-02-21,2026-02-22,A boom.,paper,boom,A,run_rate,Maker,500,0.05,USD bn per year,,",
    "Z2,2026-02-21,2026-02-22,All left.,paper,all,A,group_exits,Movers,10,,count,,",
    "Z3,2025-12-02,2026-02-22,Ada left long ago.,paper,ada9,A,departure,Ada Founder,,,months,,",
    "Z4,2025-09-12,2026-02-22,It was not so.,paper,rival9,A,,,,,,E30,",
)


def turned(home: Path, place: Path, *more: str) -> Path:
    """A copy of the project whose tables list their rows the other way round, after ``more`` rows of evidence."""
    shutil.copytree(home, place)
    for name in ("evidence", "people", "customers"):
        path = place / "seeds" / f"{name}.csv"
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        added = more if name == "evidence" else ()
        path.write_text("\n".join([header, *added, *rows[::-1]]) + "\n", encoding="utf-8")
    return place


def test_neither_the_order_of_rows_nor_a_later_row_of_huge_effect_changes_a_number(
    home, base, results, tmp_path
):
    spoiled = turned(home, tmp_path / "project", *PLANTED)
    planted = replace(opened(spoiled, as_of=str(base.as_of)), as_of_given=False)  # as on that day
    assert planted.posterior_key() == base.posterior_key()
    _STAND_INS.clear()  # nothing may be shared between the two
    _FORECASTS.clear()
    joint.MEMORY.clear()
    first, second = copy.deepcopy(results), copy.deepcopy(planted.results)
    for answer in (first, second):
        answer["run"].pop("created")
        # The checks of the files read every row, as they must: a bad row is bad today.
        answer["diagnostics"] = [
            c for c in answer["diagnostics"] if not c["check"].startswith("ledger:")
        ]
    assert first == second
    assert {r["published"] for r in first["evidence"]} <= {
        str(d) for d in base.ledger.evidence["published"]
    }
    # and with the later date it does change the answer
    late = opened(spoiled, as_of="2026-02-22")
    assert "Z1" in late.evidence.ids
    assert "E30" not in late.evidence.ids


def test_a_date_before_all_evidence_is_refused(home):
    with pytest.raises(LedgerError, match=r"no row of evidence\.csv was published by 2025-06-11"):
        opened(home, as_of="2025-06-11")


def test_a_date_before_the_close_is_refused_though_evidence_was_out(home, tmp_path):
    early = tmp_path / "project"
    shutil.copytree(home, early)
    ledger = early / "seeds" / "evidence.csv"
    known = ledger.read_text(encoding="utf-8")
    row = "Z1,2025-05-01,2025-06-01,The target is courted.,paper,early,A,,,,,,,\n"
    ledger.write_text(known + row, encoding="utf-8")
    said = (
        r"as of 2025-06-11 nothing can be said of a deal that closed on 2025-06-12; choose that day"
    )
    with pytest.raises(LedgerError, match=said):
        opened(early, as_of="2025-06-11")
    assert opened(early, as_of="2025-06-12").evidence is not None
    ledger.write_text(known.splitlines(keepends=True)[0] + row, encoding="utf-8")
    with pytest.raises(LedgerError, match=r"as of 2025-06-01 .* add what was published since"):
        opened(early)


def test_a_date_with_nothing_to_learn_from_is_refused_before_sampling(home, monkeypatch):
    monkeypatch.setattr(Study, "fitted", REAL_FIT)
    study = opened(home, as_of="2025-06-12", models=("churn",))
    with pytest.raises(ModelError, match=r"nothing that integration, churn can learn from was"):
        study.posterior


# --- what an answer depends on --------------------------------------------------------------------


def test_a_posterior_is_known_by_its_ledger_its_priors_and_its_seed(home, base, tmp_path):
    key = base.posterior_key()
    assert opened(home).posterior_key() == key
    assert opened(home, random_seed=1).posterior_key() != key
    assert opened(home, as_of="2025-12-05").posterior_key() != key
    assert opened(home, models=("churn",)).posterior_key() != key
    assert replace(base, ledger=base.ledger.without("E41")).posterior_key() != key
    assert replace(base, credibility=world.CERTAIN).posterior_key() != key
    assert base.posterior_key("sceptic") != key
    other = tmp_path / "project"
    shutil.copytree(home, other)
    path = other / "params" / "priors.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("{mu: 0.3, sigma: 0.4}", "{mu: 0.2, sigma: 0.4}"), "utf-8")
    assert path.read_text(encoding="utf-8") != text
    assert opened(other).posterior_key() != key


def test_a_posterior_is_not_known_by_what_only_money_depends_on(home, base):
    terms: list[dict[str, Any]] = [
        {"discount": {"strategic_per_year": 0.2, "stake_per_year": 0.3}},
        {"hurdle": {"irr_per_year": 0.2}},
        {"components": {"talent": False}},
        {"talent": {"value_months": 12}},
    ]
    for change in terms:
        assert opened(home, what_if(terms=change)).posterior_key() == base.posterior_key()
    assert opened(home, "founder_leaves").posterior_key() == base.posterior_key()
    assert opened(home, "sceptic_priors").posterior_key() == base.posterior_key()


def test_a_new_discount_rate_in_the_deals_file_needs_no_new_posterior(home, base, tmp_path):
    other = tmp_path / "project"
    shutil.copytree(home, other)
    path = other / "params" / "deals" / "test_deal.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("strategic_per_year: 0.09", "strategic_per_year: 0.15"), "utf-8")
    study = opened(other)
    assert study.deal.discount.strategic_per_year == 0.15
    assert study.posterior_key() == base.posterior_key()
    assert study.digests["deal"] != base.digests["deal"]


def test_the_order_of_rows_in_files_is_no_part_of_what_was_read(home, base, tmp_path):
    assert opened(turned(home, tmp_path / "project")).digests == base.digests


def test_another_seed_gives_other_draws_and_about_the_same_answer(home, base):
    first, other = (s.values["npv"].to_numpy() for s in (base, opened(home, random_seed=5)))
    assert first.mean() != other.mean()
    error = math.hypot(*(x.std() / math.sqrt(x.size) for x in (first, other)))
    # Four errors for the events, and as much again since the stand-in redraws its posterior.
    assert abs(first.mean() - other.mean()) < 8.0 * error


def test_results_are_kept_by_what_they_depend_on(home, results, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "load_or_make", KEEP)
    monkeypatch.setenv("VALUATION_CACHE", str(tmp_path))
    monkeypatch.setattr(clock, "moment", lambda: "2026-03-01T12:00:00+00:00")  # told, not kept
    other = what_if(terms={"hurdle": {"irr_per_year": 0.2}})  # less to compute than the base case
    first = opened(home, other).results
    every = list((tmp_path / "results").glob("*.json"))
    kept = [path for path in every if not path.name.startswith("diagnosis-")]
    assert (len(kept), len(every)) == (1, 2)
    assert first["headline"] == results["headline"]
    made = kept[0].stat().st_mtime_ns
    monkeypatch.setattr(Study, "values", property(lambda self: pytest.fail("computed again")))
    assert opened(home, other).results == first
    assert kept[0].stat().st_mtime_ns == made


def test_two_dates_that_see_the_same_rows_keep_results_of_their_own(home, tmp_path, monkeypatch):
    paths: list[Path] = []
    bare: dict[str, Any] = {"run": {}}
    monkeypatch.setattr(stored, "load_or_make", lambda path, make: paths.append(path) or bare)
    for date in ("2026-02-21", "2026-02-21", "2026-03-21"):
        opened(home, as_of=date).results
    assert paths[0] == paths[1] != paths[2]


def on(monkeypatch: pytest.MonkeyPatch, day: dt.date) -> None:
    monkeypatch.setattr(clock, "today", lambda: day)


def test_the_answer_of_the_present_is_the_same_on_any_day_and_says_how_old_it_is(
    home, base, results, monkeypatch
):
    newest = max(base.ledger.evidence["published"])
    late = newest + dt.timedelta(days=base.limits.evidence_age_days_max + 1)
    paths: set[Path] = set()
    answers = {}
    for day in (newest, late):
        on(monkeypatch, day)
        study = opened(home)
        assert study.gate().publish
        with monkeypatch.context() as patch:
            patch.setattr(
                stored, "load_or_make", lambda path, make: paths.add(path) or copy.deepcopy(results)
            )
            answers[day] = study.results
        fresh = answers[day].pop("freshness")
        assert (fresh["day"], fresh["newest"]) == (day.isoformat(), newest.isoformat())
        assert fresh["days"] == (day - newest).days
        assert any("evidence age" in told for told in fresh["warnings"]) == (day == late)
        assert answers[day]["run"].pop("created")
    assert answers[newest] == answers[late]
    assert len(paths) == 1


def test_a_given_date_is_refused_if_its_evidence_was_old_and_is_not_held_to_today(
    home, base, monkeypatch
):
    newest = max(base.ledger.evidence["published"])
    limit = base.limits.evidence_age_days_max
    on(monkeypatch, newest + dt.timedelta(days=10 * limit))
    for days, refused in ((limit, False), (limit + 1, True)):
        study = opened(home, as_of=str(newest + dt.timedelta(days=days)))
        told = {c.name: c.passed for c in study.ledger_checks()}
        assert told["evidence age"] is not refused
        assert study.freshness() is None
    assert "evidence age" not in {c.name for c in opened(home).ledger_checks()}


def test_a_row_that_is_dated_ahead_of_the_day_makes_results_of_its_own(home, base, monkeypatch):
    paths: list[Path] = []
    bare: dict[str, Any] = {"run": {}}
    monkeypatch.setattr(stored, "load_or_make", lambda path, make: paths.append(path) or bare)
    newest = max(base.ledger.evidence["published"])
    for day in (newest - dt.timedelta(days=1), newest, newest + dt.timedelta(days=1)):
        on(monkeypatch, day)
        opened(home).results
    assert paths[0] != paths[1] == paths[2]


def test_kept_results_that_are_damaged_are_made_again(tmp_path, capsys):
    path = tmp_path / "results.json"
    assert KEEP(path, lambda: {"answer": 1}) == {"answer": 1}
    path.write_text(path.read_text("utf-8").replace("1", "2"), "utf-8")
    assert KEEP(path, lambda: {"answer": 1}) == {"answer": 1}
    assert "stored results are damaged; computing them again" in capsys.readouterr().err
    path.write_text("{", "utf-8")
    assert KEEP(path, lambda: {"answer": 3}) == {"answer": 3}
    assert KEEP(path, lambda: {"answer": 4}) == {"answer": 3}


def test_a_refusal_keeps_nothing(tmp_path):
    def refuse() -> dict[str, Any]:
        raise ModelError("no")

    with pytest.raises(ModelError):
        KEEP(tmp_path / "results.json", refuse)
    with pytest.raises(ValueError):
        KEEP(tmp_path / "results.json", lambda: {"answer": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_refused_before_anything_is_computed(home):
    with pytest.raises(ParameterError, match="nothing"):
        opened(home, what_if(prior_set="nothing"))
    with pytest.raises(ModelError, match="no model named 'talent'"):
        opened(home, models=("talent",))


def test_what_memory_keeps_of_a_forecast_is_never_written_to(home, base):
    before = base.unconditioned["weight"].to_numpy().copy()
    opened(home, what_if(conditions=[{"event": "founder_exit", "before": DATE}])).drivers
    again = opened(home).unconditioned
    assert (again["weight"].to_numpy() == before).all()


# --- one model, and all scenarios -----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(m for m in MODELS if MODELS[m].kinds))
def test_a_model_explains_itself_with_plain_values(name, base):
    shown = model_results(base, name)
    example = example_results.example_model_results()
    assert missing({k: v for k, v in example.items() if k != "deal"}, shown) == []
    json.dumps(shown, allow_nan=False)
    kinds = {k.name for k in MODELS[name].kinds}
    assert {r["kind"] for r in shown["reads"]} == kinds
    assert {c["kind"] for c in shown["checks"]} == kinds
    assert {r["kind"] for r in shown["rows"]} == kinds
    for check in shown["checks"]:
        assert check["prior_lower"] <= check["prior_median"] <= check["prior_upper"]
        assert check["posterior_lower"] <= check["posterior_median"] <= check["posterior_upper"]
    for density in shown["densities"]:
        assert len(density["grid"]) == len(density["prior"]) == len(density["posterior"])
        assert min(density["prior"]) >= 0.0
        assert min(density["posterior"]) >= 0.0


def test_a_model_can_be_studied_without_the_others(home):
    study = opened(home, models=("regulation",))
    shown = model_results(study, "regulation")
    assert {d["name"] for d in shown["densities"]} == {
        "action_hazard",
        "regulatory_informativeness",
    }
    with pytest.raises(ModelError, match="no model named 'churn' here; available: regulation"):
        model_results(study, "churn")


@pytest.mark.slow
def test_scenarios_are_compared_on_one_fit(home, results, tmp_path):
    few = tmp_path / "project"
    shutil.copytree(home, few)
    for path in (few / "params" / "scenarios").glob("*.yaml"):
        if path.stem not in ("base", "sceptic_priors"):
            path.unlink()
    shown = compare("test_deal", root=few)
    assert [r["scenario"]["scenario"] for r in shown["scenarios"]] == ["base", "sceptic_priors"]
    assert shown["scenarios"][0]["headline"] == results["headline"]
    json.dumps(shown, allow_nan=False)


def test_a_report_and_an_update_tell_one_error_of_the_same_draws(base, results):
    from valuation.study.opinion import own_source
    from valuation.study.pool import Pool

    position = Pool([own_source(base)], base).at(base)
    told = {q.name: e for q, e in zip(position.quantities, position.error, strict=True)}
    assert told == pytest.approx({r["name"]: r["mcse"] for r in results["quantities"]}, rel=1e-9)
    assert told[base.deal.headline] == pytest.approx(results["headline"]["mcse"], rel=1e-9)
    assert told["npv_mean"] == pytest.approx(results["headline"]["npv_mcse"], rel=1e-9)


def test_a_set_on_what_was_observed_is_told_beside_the_answer(home, base):
    part = {"driver": "adoption_share", "operation": "set", "value": 0.0, "start": "2025-12-01"}
    notes = notes_of(opened(home, what_if(sets=[part])))
    assert notes[:-1] == notes_of(base)
    assert notes[-1].startswith("scenario 'test': sets[0].start: 1 December 2025 is before")
    assert "what was observed in between is overruled" in notes[-1]
