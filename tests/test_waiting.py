"""What could be done, and which news is worth waiting for, on the small world."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_world as world
import xarray as xr
from test_study import opened, stand_ins

from valuation import sections, value
from valuation.disclosures import Said
from valuation.schema import INDICATOR, months_between
from valuation.study import Study
from valuation.study.waiting import _readings, waiting


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Studies take stand-ins for posteriors."""
    with stand_ins():
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.project(tmp_path_factory.mktemp("waiting") / "project")


@pytest.fixture(scope="module")
def base(home: Path) -> Study:
    return opened(home)


@pytest.fixture(scope="module")
def results(base: Study) -> dict[str, Any]:
    return waiting(base, 1.0)


def changed(study: Study, **terms: Any) -> Study:
    """The study of a deal with other options or news."""
    return replace(study, deal=study.deal.model_copy(update=terms))


def test_the_best_option_is_ahead_of_every_other(results):
    told = results["options"]
    rows = {row["option"]: row for row in told["choices"]}
    assert set(rows) == {"hold", "sell"}
    assert rows[told["best"]]["mean"] == max(row["mean"] for row in rows.values())
    assert rows[told["best"]]["behind"] == 0
    assert rows[told["runner_up"]]["behind"] == pytest.approx(told["margin"])
    assert sum(row["chance_best"] for row in rows.values()) == pytest.approx(1)
    assert told["margin"] >= 0
    assert told["decided_on"] == "2026-03-31"


def test_doing_nothing_is_worth_the_npv_less_what_has_been_paid(base, results):
    hold = next(row for row in results["options"]["choices"] if row["option"] == "hold")
    early = base.flows["date"].to_numpy() <= np.datetime64("2026-03-31")
    paid = float(value.npv(base.flows.isel(quarter=early), base.deal).mean())
    assert hold["mean"] + paid == pytest.approx(float(base.values["npv"].mean()))


def test_no_news_is_worth_less_than_nothing_nor_more_than_what_it_is_about(results):
    told = results["information"]
    assert {row["disclosure"] for row in told["disclosures"]} == {"price", "founder", "accounts"}
    assert told["evpi"] > 0
    for row in told["disclosures"]:
        assert 0 <= row["value"] <= row["evppi"] <= row["evpi"] + 1e-12
        assert row["balance"] == pytest.approx(row["value"] - row["waiting_usd_bn"])
        chances = [r["chance"] for datum in row["data"] for r in datum["readings"]]
        assert all(0 < chance < 1 for chance in chances)
    assert max(row["value"] for row in told["disclosures"]) > 0
    drivers = {row["driver"]: row["value"] for row in told["drivers"]}
    for group in told["groups"]:
        parts = [drivers[name] for name in group["drivers"]]
        assert 0 <= max(parts) <= group["value"] <= told["evpi"] + 1e-12
    grouped = {name for group in told["groups"] for name in group["drivers"]}
    assert grouped == set(drivers)


def test_news_is_listed_from_the_most_to_the_least_valuable(results):
    for key in ("drivers", "groups", "disclosures"):
        worth = [row["value"] for row in results["information"][key]]
        assert worth == sorted(worth, reverse=True)


def test_news_that_comes_half_the_time_is_worth_half(base, results):
    news = {n: d.model_copy(update={"chance": 0.5}) for n, d in base.deal.disclosures.items()}
    halved = waiting(changed(base, disclosures=news), 1.0)["information"]["disclosures"]
    whole = waiting(base, 1.0)["information"]["disclosures"]
    for one, other in zip(halved, whole, strict=True):
        assert one["value"] == pytest.approx(0.5 * other["value"])
        assert one["evppi"] == other["evppi"]


def test_an_unbelievable_report_is_worth_next_to_nothing(base):
    doubted = replace(base, credibility=dict.fromkeys("ABCD", 0.0))
    vars(doubted).update({k: v for k, v in vars(base).items() if k in ("posterior", "drivers")})
    told = {r["disclosure"]: r for r in waiting(doubted, 1.0)["information"]["disclosures"]}
    believed = {r["disclosure"]: r for r in waiting(base, 1.0)["information"]["disclosures"]}
    assert told["price"]["value"] < 0.2 * believed["price"]["value"]
    assert told["price"]["evppi"] > 0.5 * believed["price"]["evppi"]


def test_waiting_costs_nothing_where_nothing_is_done_either_way(base):
    dear = base.deal.options["sell"].model_copy(update={"cost_bn": 500.0})
    told = waiting(changed(base, options=base.deal.options | {"sell": dear}), 1.0)
    assert told["options"]["best"] == "hold"
    assert told["information"]["evpi"] == 0
    for row in told["information"]["disclosures"]:
        assert row["value"] == row["evppi"] == 0
        assert row["waiting_usd_bn"] == pytest.approx(0, abs=1e-12)


def test_who_waits_with_a_sale_gets_the_same_price_later_and_loses_its_interest(base):
    """A price that beats holding in every future: news is worth nothing, and waiting costs what it discounts away."""
    price = base.deal.options["sell"].price.model_copy(
        update={"basis": "amount", "times": 1000.0, "premium": 0.0}
    )
    dear = base.deal.options["sell"].model_copy(update={"price": price})
    news = {n: d.model_copy(update={"cost_bn": 0.5}) for n, d in base.deal.disclosures.items()}
    study = changed(base, options=base.deal.options | {"sell": dear}, disclosures=news)
    told = waiting(study, 1.0)
    assert told["options"]["best"] == "sell"
    now, then = (
        (1 + base.deal.discount.stake_per_year) ** (-months_between(base.deal.closed, day) / 12)
        for day in (base.deal.decision_date, dt.date(2026, 12, 31))
    )
    lost = (base.deal.stake.fraction - 0.1) * 1000.0 * (now - then)
    assert lost > 1.0
    for row in told["information"]["disclosures"]:
        assert row["value"] == 0
        assert row["waiting_usd_bn"] == pytest.approx(lost)
        assert row["balance"] == pytest.approx(-lost - 0.5)


def test_what_waiting_costs_is_as_unsure_as_the_price_that_is_put_off(base):
    """A sale for many times the revenue of the day: the best in every future, at a price that futures differ in."""
    price = base.deal.options["sell"].price.model_copy(
        update={"basis": "revenue", "times": 1000.0, "premium": 0.0}
    )
    dear = base.deal.options["sell"].model_copy(update={"price": price})
    told = waiting(changed(base, options=base.deal.options | {"sell": dear}), 1.0)
    for row in told["information"]["disclosures"]:
        assert (row["value"], row["mcse"]) == (0, 0)
        assert row["balance_mcse"] == row["waiting_mcse"] > 0


def test_each_end_of_what_is_told_advises_what_is_best_there():
    """By hand: something sure against an even spread that is three times as dense above nothing as below."""
    x = np.linspace(-1.0, 1.0, 4001)
    weight = np.where(x < 0.0, 1.0, 3.0)
    payoff = xr.DataArray(
        np.stack([np.full(x.size, 0.3), x], axis=1),
        dims=("draw", "option"),
        coords={"option": ["sure", "spread"]},
    )
    low, high = _readings(payoff, Said(x, x, "USD bn", "Figure"), weight, 1.0)
    assert (low["reading"], low["best"], low["lead"]) == ("at most", "sure", 0.0)
    assert (low["chance"], low["level"]) == pytest.approx((0.2, -0.2), abs=2e-3)
    assert (high["reading"], high["best"]) == ("at least", "spread")
    assert (high["chance"], high["level"]) == pytest.approx((0.2, 1 - 0.2 / 0.75), abs=2e-3)
    assert high["lead"] == pytest.approx(1 - 0.1 / 0.75 - 0.3, abs=2e-3)
    event = Said(x, (x >= 0.0).astype(float), INDICATOR, "Event")
    no, yes = _readings(payoff, event, weight, 1.0)
    assert (no["reading"], no["best"], no["level"]) == ("no", "sure", None)
    assert (yes["reading"], yes["best"]) == ("yes", "spread")
    assert (no["chance"], yes["chance"]) == pytest.approx((0.25, 0.75), abs=2e-3)
    assert yes["lead"] == pytest.approx(0.2, abs=2e-3)


def test_news_that_is_out_or_of_somebody_unknown_is_left_out_with_the_reason(base):
    news = base.deal.disclosures
    late = news["price"].model_copy(update={"latest": dt.date(2025, 12, 31)})
    who = news["founder"].data[0].model_copy(update={"subject": "Nobody"})
    lost = news["founder"].model_copy(update={"data": (who,)})
    told = waiting(changed(base, disclosures=news | {"price": late, "founder": lost}), 1.0)
    assert [row["disclosure"] for row in told["information"]["disclosures"]] == ["accounts"]
    why = {row["disclosure"]: row["why"] for row in told["information"]["left_out"]}
    assert "due by 2025-12-31" in why["price"]
    assert "'Nobody'" in why["founder"]


def test_where_there_is_nothing_to_choose_the_reason_is_given_and_sections_say_it(base):
    for study, words in (
        (changed(base, options={}, disclosures={}), "lists no options"),
        (changed(base, decision_date=dt.date(2032, 12, 31)), "sold on 2032-06-12, before"),
    ):
        told = waiting(study, 1.0)
        for show in (sections.options, sections.waiting, sections.knowing):
            assert words in show(told).summary
    assert words in waiting(study, 1.0)["options"]["why"]
    assert "too few to tell" in waiting(base, 1e6)["information"]["why"]


def test_the_choice_is_not_made_before_what_is_known(base):
    early = changed(base, decision_date=dt.date(2025, 7, 1))
    assert waiting(early, 1.0)["options"]["decided_on"] == str(base.as_of)


def test_options_and_news_change_no_probability_and_ask_for_no_update(base, home, tmp_path):
    from valuation.study.items import items_of

    other = replace(
        base, base_deal=base.base_deal.model_copy(update={"options": {}, "disclosures": {}})
    )
    assert items_of(base, other) == ()
    assert base.posterior_key() == other.posterior_key()
