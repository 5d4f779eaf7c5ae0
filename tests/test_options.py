"""Options: what is still to come under each, by hand; and coming news, told as its kind tells it."""

from __future__ import annotations

import copy
import datetime as dt
import re
from pathlib import Path
from typing import Any

import builders
import numpy as np
import pytest

from valuation import disclosures, options, questions, value
from valuation.errors import ModelError, ParameterError, ValuationError
from valuation.params import Deal
from valuation.params.deals import Disclosure
from valuation.params.reading import Document, validate
from valuation.schema import COMPONENT, DRAW, date_after, months_between

DAY = dt.date(2026, 6, 30)
TOLD = {"title": "T", "source": "judgement", "dated": dt.date(2026, 2, 28), "reason": "R"}
HOLD: dict[str, Any] = {**TOLD}
SELL = {**TOLD, "stake_after": 0.1, "price": {"basis": "amount", "times": 20.0}}
BUY = {
    **TOLD,
    "stake_after": 1.0,
    "control": True,
    "price": {"basis": "market", "times": 1.0, "premium": 0.25},
    "cost_bn": 0.2,
    "keep": {"denial": 0.5, "regulation_cost": 2.0},
}

OPTIONS = {"hold": HOLD, "sell": SELL, "buy": BUY}


def deal(**changes: Any) -> Deal:
    """The test deal with three options; nested changes by key. Errors read as those of a file."""
    data = builders.merged(copy.deepcopy(builders.DEAL), {"options": copy.deepcopy(OPTIONS)})
    return validate(Deal, Document("deal", builders.merged(data, changes)))


def paid(terms: Deal, drivers: Any = None, **asked: Any) -> Any:
    drivers = builders.drivers(terms) if drivers is None else drivers
    flows = value.cash_flows(drivers, terms)
    return options.payoffs(drivers, flows, terms, **({"day": DAY} | asked))


# --- pay-offs -------------------------------------------------------------------------------------


def test_doing_nothing_brings_the_npv_less_what_has_been_paid():
    terms = deal()
    drivers = builders.drivers(terms)
    flows = value.cash_flows(drivers, terms)
    early = flows["date"].to_numpy() <= np.datetime64(DAY)
    assert 0 < early.sum() < early.size
    sunk = value.npv(flows.isel(quarter=early), terms)
    hold = options.payoffs(drivers, flows, terms, day=DAY).sel(option="hold")
    np.testing.assert_allclose(hold + sunk, value.npv(flows, terms))


def test_what_falls_due_on_the_day_of_the_choice_is_past_and_the_day_before_still_to_come():
    terms = deal()
    flows = value.cash_flows(builders.drivers(terms), terms)
    due = flows["date"].to_numpy()[4].astype("datetime64[D]").item()
    for day, first in ((due, 5), (due - dt.timedelta(days=1), 4)):
        ahead = options.still_to_come(flows, terms, day).sum(COMPONENT)
        rest = value.npv(flows.isel(quarter=slice(first, None)), terms)
        np.testing.assert_allclose(ahead, rest)


def test_what_was_paid_before_the_choice_moves_no_option():
    cheap = deal(outlay={"equity_bn": 1.0, "other_bn": 0.5})
    np.testing.assert_array_equal(paid(deal()), paid(cheap))


def test_a_sale_by_hand():
    terms = deal()
    drivers = builders.flat_drivers(terms)
    found = paid(terms, drivers)
    ahead = options.still_to_come(value.cash_flows(drivers, terms), terms, DAY)
    years = months_between(terms.closed, DAY) / 12
    # 30 of the 40 hundredths go, at 20 bn for the whole, discounted at the rate of the stake.
    expected = ahead.sum(COMPONENT) - 0.75 * ahead.sel(component="stake") + 0.3 * 20 / 1.12**years
    np.testing.assert_allclose(found.sel(option="sell"), expected)
    assert found.attrs["units"] == "USD bn"


def test_a_purchase_by_hand():
    terms = deal()
    drivers = builders.flat_drivers(terms, liquidity_discount=0.2, rivals_active=0.4)
    found = paid(terms, drivers).sel(option="buy")
    ahead = options.still_to_come(value.cash_flows(drivers, terms), terms, DAY)
    part = {name: ahead.sel(component=name) for name in ahead[COMPONENT].to_numpy()}
    years = months_between(terms.closed, DAY) / 12
    price = 1.25 * 1.5 * 5.0  # premium, revenue, multiple
    expected = (
        ahead.sum(COMPONENT)
        + part["stake"] * (1 / 0.4 / 0.8 - 1)
        - 0.5 * part["denial"]
        + part["regulation_cost"]
        - 0.6 * price / 1.12**years
        - 0.2 / 1.09**years
    )
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("basis", "whole"),
    [("amount", 3.0), ("revenue", 4.5), ("market", 22.5), ("holding", 18.0), ("book", 71.25)],
)
def test_each_basis_prices_the_whole_target(basis: str, whole: float):
    terms = deal(options={"sell": {"price": {"basis": basis, "times": 3.0}}})
    drivers = builders.flat_drivers(terms)
    price = terms.options["sell"].price
    assert price is not None
    np.testing.assert_allclose(options.whole_price(price, drivers, terms, DAY), whole)
    dearer = price.model_copy(update={"premium": -0.5})
    np.testing.assert_allclose(options.whole_price(dearer, drivers, terms, DAY), whole / 2)
    assert set(options.BASES) == {"amount", "revenue", "market", "holding", "book"}


@pytest.mark.parametrize("name", ["sell", "buy"])
def test_at_the_indifferent_price_a_trade_is_as_good_as_doing_nothing(name: str):
    terms = deal()
    drivers = builders.drivers(terms)
    flows = value.cash_flows(drivers, terms)
    weight = np.random.default_rng(3).exponential(size=drivers.sizes[DRAW])
    found = options.terms_of(drivers, flows, terms, weight, day=DAY)
    assert found["hold"] == options.Terms(None, None)
    old = terms.options[name]
    assert old.price is not None
    told = found[name]
    assert told.price is not None
    assert told.indifferent is not None
    times = old.price.times * told.indifferent / told.price
    new = old.model_copy(update={"price": old.price.model_copy(update={"times": times})})
    even = terms.model_copy(update={"options": terms.options | {name: new}})
    payoff = options.payoffs(drivers, flows, even, day=DAY)
    mean = (payoff * xr_weight(payoff, weight)).sum(DRAW)
    assert float(mean.sel(option=name)) == pytest.approx(float(mean.sel(option="hold")))
    again = options.terms_of(drivers, flows, even, weight, day=DAY)[name]
    assert again.price == pytest.approx(again.indifferent)


def xr_weight(payoff: Any, weight: np.ndarray) -> Any:
    return payoff.isel(option=0, drop=True).copy(data=weight / weight.sum())


def test_a_trade_that_nothing_but_a_gift_would_make_even_has_no_such_price():
    terms = deal(options={"buy": {"cost_bn": 500.0}})
    drivers = builders.drivers(terms)
    flows = value.cash_flows(drivers, terms)
    assert options.terms_of(drivers, flows, terms, day=DAY)["buy"].indifferent is None


def test_what_goes_at_its_book_value_has_no_price_to_trade_at():
    terms = deal(options={"sell": {"price": {"basis": "book", "times": 0.1}}})
    drivers = builders.drivers(terms)
    flows = value.cash_flows(drivers, terms)
    found = options.terms_of(drivers, flows, terms, day=DAY)
    assert found["sell"] == options.Terms(None, None)
    assert found["buy"].price is not None
    # It is paid all the same: without a price the option would bring less.
    free = deal(options={"sell": {"price": {"basis": "book", "times": 0.0}}})
    brought = paid(terms, drivers) - paid(free, drivers)
    assert float(brought.sel(option="sell").mean()) > 0.0


def test_until_a_later_choice_all_goes_on_as_it_is():
    terms, later = deal(), dt.date(2027, 9, 1)
    now, then = paid(terms, since=DAY), paid(terms, day=later, since=DAY)
    np.testing.assert_allclose(now.sel(option="hold"), then.sel(option="hold"))
    np.testing.assert_allclose(now, paid(terms))
    assert float(abs(now - then).sel(option="sell").min()) > 0


def test_a_stake_that_is_not_counted_is_not_traded():
    terms = deal(components={"stake": False})
    found = paid(terms)
    np.testing.assert_allclose(found.sel(option="sell"), found.sel(option="hold"))


def test_a_component_that_is_not_kept_is_gone():
    terms = deal(options={"hold": {"keep": {"capability": 0.0}}})
    without = deal(components={"capability": False})
    np.testing.assert_allclose(
        paid(terms).sel(option="hold"), paid(without).sel(option="hold"), atol=1e-12
    )


@pytest.mark.parametrize(
    ("changes", "asked", "words"),
    [
        (
            {"stake": {"exit_years": 1}},
            {},
            "options.sell trades the stake on 2026-06-30, but it is",
        ),
        ({}, {"since": dt.date(2027, 1, 1)}, "after the decision on 2026-06-30"),
        ({}, {"day": dt.date(2036, 1, 1)}, "but it is sold on 2032-06-12"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(changes, asked, words):
    with pytest.raises((ParameterError, ValuationError), match=re.escape(words)):
        paid(deal(**changes), **asked)


def test_a_deal_without_options_has_no_pay_offs():
    with pytest.raises(ParameterError, match="has 0 options; a choice needs two or more"):
        paid(builders.deal())


def test_a_day_beyond_the_forecast_is_refused():
    terms = deal()
    with pytest.raises(ValuationError, match="not within the 120 months"):
        options.on_day(builders.drivers(terms)["revenue"], terms, dt.date(2040, 1, 1))


def test_between_its_months_a_path_is_straight():
    terms = deal()
    made = builders.flat_drivers(terms)
    squares = made["revenue"] * 0.0 + made["month"] ** 2
    part = months_between(terms.closed, DAY) - 12
    assert 0.5 < part < 0.7
    found = options.on_day(squares, terms, DAY)
    np.testing.assert_allclose(found, 144 + part * (169 - 144))


# --- what a deal file may say ---------------------------------------------------------------------

NEWS: dict[str, Any] = {
    **TOLD,
    "earliest": dt.date(2026, 6, 1),
    "latest": dt.date(2026, 12, 31),
    "credibility": "A",
    "data": [{"about": "impairment", "day": dt.date(2026, 12, 31)}],
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"sell": {"price": None}}}, "from 0.4 to 0.1 without a price; add price"),
        ({"options": {"sell": {"stake_after": 0.4}}}, "has nothing to price: the stake stays"),
        ({"options": {"sell": {"stake_after": 1.5}}}, "1.5 is not between 0 and 1"),
        (
            {"options": {"sell": {"price": {"basis": "gold"}}}},
            "'gold' is not a choice; available: amount, book, holding",
        ),
        ({"options": {"sell": {"price": {"premium": -2.0}}}}, "a discount of 20%"),
        (
            {"options": {"hold": {"keep": {"outlay": 0.0}}}},
            "which no option can undo; leave it out",
        ),
        ({"options": {"hold": {"keep": {"talnt": 0.0}}}}, "is not a component; did you mean"),
        ({"options": {"hold": {"keep": {"talent": -1.0}}}}, "-1 is not between 0 and 10"),
        (
            {"options": {"hold": {"cost": 1.0}}},
            "options.hold.cost: not a known key; did you mean 'cost_bn'? known keys: control, cost_bn",
        ),
        ({"stake": {"fraction": 0.0}, "components": {"stake": False}}, "and stake.fraction is 0"),
        ({"decision_date": dt.date(2050, 1, 1)}, "2050-01-01 is not between closing"),
        ({"disclosures": {"n": {**NEWS, "latest": dt.date(2026, 1, 1)}}}, "swap them"),
        ({"disclosures": {"n": {**NEWS, "data": []}}}, "say what the disclosure will report"),
        (
            {"disclosures": {"n": {**NEWS, "credibility": "E"}}},
            "credibility: the text 'E' is not a choice",
        ),
        ({"disclosures": {"n": {**NEWS, "chance": 1.2}}}, "1.2 is not between 0 and 1"),
        (
            {"disclosures": {"n": {**NEWS, "data": [{"about": "x", "day": dt.date(2027, 1, 1)}]}}},
            "is after 2026-12-31, when it will be known",
        ),
        (
            {"disclosures": {"n": {**NEWS, "data": [{"about": "x", "day": dt.date(2020, 1, 1)}]}}},
            "2020-01-01 is not between closing",
        ),
    ],
)
def test_options_and_news_that_make_no_sense_are_refused_in_words(changes, words):
    with pytest.raises(ParameterError, match=re.escape(words)):
        deal(**changes)


@pytest.mark.parametrize(
    ("lone", "words"),
    [
        ({"options": {"hold": HOLD}}, "'hold' is the only one, which leaves nothing to choose"),
        ({"disclosures": {"n": NEWS}}, "news is worth something only where it can change a choice"),
    ],
)
def test_one_option_is_no_choice_and_news_without_a_choice_is_worth_nothing(lone, words):
    with pytest.raises(ParameterError, match=re.escape(words)):
        validate(
            Deal,
            Document("deal", builders.merged(copy.deepcopy(builders.DEAL), copy.deepcopy(lone))),
        )


# --- disclosures ----------------------------------------------------------------------------------

MANY = 4000


def asked() -> Any:
    """Drivers with what questions ask for besides them."""
    made = builders.drivers(deal(), draws=MANY)
    past = np.arange(-24, 0).astype(float)
    made = made.assign_coords(past_month=past)
    made["revenue_past"] = ((DRAW, "past_month"), np.full((MANY, past.size), 1.0))
    made["rank_spacing"] = (DRAW, np.full(MANY, 4.0))
    made.attrs["closed"] = "2025-06-12"
    return made


def news(*data: dict[str, Any]) -> Disclosure:
    return Disclosure.model_validate({**NEWS, "data": data})


def told(*data: dict[str, Any], truth: float = 1.0, weight: Any = None, seed: int = 1) -> Any:
    weight = np.ones(MANY) if weight is None else weight
    return disclosures.said(
        "n", news(*data), asked(), deal(), weight, truth=truth, random_seed=seed
    )


WRITTEN_DOWN = {"about": "impairment", "day": dt.date(2026, 12, 31)}
REVENUE = {"about": "revenue", "day": dt.date(2026, 12, 31), "sd": 0.1}


def test_a_true_report_of_an_event_says_what_the_question_would_count():
    (found,) = told(WRITTEN_DOWN)
    question = questions.Question("q", "?", deal().closed, DAY, "impairment", "Maker")
    question = questions.Question(**(vars(question) | {"closes": dt.date(2026, 12, 31)}))
    np.testing.assert_array_equal(found.told, questions.happens(asked(), question))
    np.testing.assert_array_equal(found.told, found.exact)
    assert 0.05 < found.told.mean() < 0.95


def test_an_untrue_report_says_as_often_yes_and_tells_nothing():
    (found,) = told(WRITTEN_DOWN, truth=0.0)
    assert found.told.mean() == pytest.approx(found.exact.mean(), abs=0.04)
    assert abs(np.corrcoef(found.told, found.exact)[0, 1]) < 0.05


def test_an_untrue_report_comes_from_no_draw_without_weight():
    exact = told(WRITTEN_DOWN)[0].exact
    (found,) = told(WRITTEN_DOWN, truth=0.0, weight=1.0 - exact)
    assert found.told.max() == 0.0


@pytest.mark.parametrize(
    ("about", "day", "sd", "there"),
    [
        ("revenue", dt.date(2026, 12, 31), 0.1, np.log),
        ("run_rate", DAY, 0.2, np.log),
        ("index_gap", DAY, 2.0, lambda x: x),
        ("lab_rank", DAY, 0.3, np.log),
        ("vendor_share", DAY, 0.5, lambda x: np.log(x / (1 - x))),
        ("purchases", DAY, 0.2, np.log),
        ("whole_value", DAY, 0.25, np.log),
    ],
)
def test_a_figure_has_a_normal_error_on_the_scale_of_its_kind(about, day, sd, there):
    (found,) = told({"about": about, "day": day, "sd": sd})
    error = there(found.told) - there(found.exact)
    assert error.std() == pytest.approx(sd, rel=0.05)
    assert abs(error.mean()) < 4 * sd / np.sqrt(MANY)
    assert abs(np.corrcoef(error, found.exact)[0, 1]) < 0.06


def test_every_figure_is_tried_above():
    tried = {"revenue", "run_rate", "index_gap", "lab_rank", "vendor_share"}
    assert set(disclosures.FIGURES) == tried | {"purchases", "whole_value"}


def test_revenue_of_a_year_is_its_mean_and_the_rank_follows_from_the_gap():
    (found,) = told(REVENUE)
    path = asked()["revenue"].to_numpy()
    # The year is months 6.6 to 18.6 after closing.
    rough = path[:, 7:19].mean(axis=1)
    np.testing.assert_allclose(found.exact, rough, rtol=0.05)
    gap, rank = (
        told({"about": a, "day": DAY, "sd": 0.2})[0].exact for a in ("index_gap", "lab_rank")
    )
    np.testing.assert_allclose(rank, 1 + np.maximum(gap, 0) / 4)


@pytest.mark.parametrize(("months", "mean"), [(24, 18.5), (11, 5.5), (3, 1.5)])
def test_purchases_are_the_mean_of_twelve_months_or_of_those_there_have_been(months, mean):
    """A rate that rises by one a month, from 0 at the close."""
    made = asked()
    made["purchases"] = made["purchases"] * 0.0 + made["month"]
    day = date_after(deal().closed, months) + dt.timedelta(days=9)
    found = disclosures.FIGURES["purchases"].truth(made, deal(), day)
    np.testing.assert_allclose(found, mean)


def test_all_data_of_one_report_are_true_or_none():
    first, second = told(WRITTEN_DOWN, {**REVENUE, "sd": 0.05}, truth=0.5, seed=4)
    close = np.abs(np.log(second.told / second.exact)) < 0.2
    far = ~close
    assert 0.1 < far.mean() < 0.5
    # Where the revenue is that of another future, so is the other datum.
    assert np.corrcoef(first.told[far], first.exact[far])[0, 1] < 0.25
    assert np.corrcoef(first.told[close], first.exact[close])[0, 1] > 0.6


def test_the_same_seed_tells_the_same_and_another_one_not():
    one, again, other = (told(REVENUE, seed=seed)[0].told for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ("datum", "error", "words"),
    [
        ({"about": "gossip", "day": DAY}, ParameterError, "'gossip' is neither an event (in_post"),
        ({"about": "index_gap", "day": DAY}, ParameterError, "sd: a figure has an error"),
        ({**WRITTEN_DOWN, "sd": 1.0}, ParameterError, "an event is told as yes or no"),
        (
            {"about": "index_gap", "day": DAY, "sd": 0.01},
            ParameterError,
            "disclosures.n.data[0].sd: 0.01: sd is in index points",
        ),
        ({"about": "revenue", "day": DAY, "sd": 0.1}, ModelError, "is not the end of one"),
        ({"about": "in_post", "day": DAY, "subject": "Nobody"}, ModelError, "'Nobody'"),
    ],
)
def test_a_datum_that_cannot_be_told_is_refused_with_its_key(datum, error, words):
    with pytest.raises(error, match=re.escape(words)):
        told(datum)


def test_a_chance_of_truth_is_between_0_and_1():
    with pytest.raises(ParameterError, match=r"is 0 to 1, got 1\.5"):
        told(WRITTEN_DOWN, truth=1.5)


def test_the_shipped_deal_rests_its_options_and_news_on_rows_that_exist():
    import pandas as pd

    from valuation.params import load_deal

    root = Path(__file__).resolve().parents[1]
    shipped = load_deal("meta_scale", root)
    assert set(shipped.options) == {"hold", "buy_rest", "sell_down", "write_off"}
    assert len(shipped.disclosures) >= 6
    known = {"judgement"}
    for name in ("evidence", "questions", "base_rates"):
        known |= set(pd.read_csv(root / shipped.seeds / f"{name}.csv", dtype=str)["id"])
    for item in (*shipped.options.values(), *shipped.disclosures.values()):
        assert {source.strip() for source in item.source.split(",")} <= known
