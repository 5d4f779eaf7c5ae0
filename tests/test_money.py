"""One sequence of flows: identities of finance, and the spreadsheet's own examples."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest
import pyxirr
from hypothesis import given
from hypothesis import strategies as st

from valuation import money, outside
from valuation.errors import ParameterError, ValuationError

FLOWS, DATES = list(outside.DATED_FLOWS), list(outside.DATES)
RATE = st.floats(-0.5, 1.0)
AMOUNTS = st.lists(st.floats(-100, 100), min_size=1, max_size=8)


@given(AMOUNTS, RATE)
def test_a_present_value_is_the_sum_of_discounted_flows(flows, rate):
    expected = math.fsum(f / (1 + rate) ** i for i, f in enumerate(flows))
    assert money.npv(flows, rate) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    later = money.npv(flows, rate, first=1) * (1 + rate)
    assert later == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(RATE)
def test_dated_flows_are_worth_what_the_oracle_says(rate):
    ours = money.xnpv(FLOWS, DATES, rate)
    assert ours == pytest.approx(pyxirr.xnpv(rate, DATES, FLOWS), rel=1e-10)


def test_a_rate_of_return_makes_the_present_value_nothing():
    assert money.npv(FLOWS, money.irr(FLOWS)) == pytest.approx(0.0, abs=1e-8)
    assert money.xnpv(FLOWS, DATES, money.xirr(FLOWS, DATES)) == pytest.approx(0.0, abs=1e-8)
    assert money.xirr(FLOWS, DATES) == pytest.approx(pyxirr.xirr(DATES, FLOWS), abs=1e-9)
    assert money.irr([-70000, 12000, 15000, 18000, 21000, 26000]) == pytest.approx(
        0.0866309, abs=5e-8
    )


def test_several_rates_of_return_are_listed_and_none_is_returned():
    assert money.irr_roots([-1600, 10000, -10000]) == pytest.approx([0.25, 4.0])
    for flows in ([-1600, 10000, -10000], [-1000, 3600, -4310, 1716]):
        with pytest.raises(ValuationError, match="internal rates of return: "):
            money.irr(flows)
    assert money.irr_roots([-1000, 3600, -4310, 1716]) == pytest.approx([0.1, 0.2, 0.3])
    assert money.irr_roots([100, 10]) == []
    days = [dt.date(2020, 1, 1), dt.date(2020, 12, 31), dt.date(2021, 12, 31)]
    assert money.xirr_roots([-1600, 10000, -10000], days) == pytest.approx([0.25, 4.0])
    with pytest.raises(ValuationError, match=r"2 internal rates of return: 0\.25, 4"):
        money.xirr([-1600, 10000, -10000], days)


def test_dates_may_be_of_any_library_and_in_any_order_after_the_first():
    for dates in (pd.to_datetime(DATES), np.array(DATES, dtype="datetime64[D]")):
        assert money.xirr(FLOWS, list(dates)) == money.xirr(FLOWS, DATES)
    order = [0, 3, 1, 4, 2]
    mixed = money.xnpv([FLOWS[i] for i in order], [DATES[i] for i in order], 0.09)
    assert mixed == pytest.approx(money.xnpv(FLOWS, DATES, 0.09), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: money.npv([1, math.nan], 0.1), r"flow 1 \(counted from 0\) is nan"),
        (lambda: money.npv(["x"], 0.1), "flows must be numbers"),
        (lambda: money.npv([1], -1.0), "a fraction above -1"),
        (lambda: money.xnpv(FLOWS, DATES[:-1], 0.1), "5 flows, but 4 dates"),
        (lambda: money.xirr(FLOWS, [*DATES[:-1], "2009-04-01"]), "'2009-04-01' is not a date"),
        (lambda: money.xirr(FLOWS, [*DATES[:-1], pd.NaT]), "NaT is not a date"),
        (lambda: money.irr([-100]), "at least two flows"),
        (lambda: money.npv([[1, 2]], 0.1), "give one sequence"),
        (lambda: money.mirr([1, 2], finance_rate=0.1, reinvest_rate=0.1), "nothing was paid out"),
        (lambda: money.annuity_present_value(1, 0.02, math.inf, growth=0.02), "above its growth"),
        (lambda: money.annuity_payment(100, 0.1, 0), "at least one"),
        (lambda: money.annuity_present_value(1, 0.1, -1), "0 or more"),
        (lambda: money.effective_rate(0.1, 0), "above 0"),
    ],
)
def test_what_cannot_be_valued_is_refused(call, words):
    with pytest.raises(ValuationError, match=words):
        call()


def test_a_modified_rate_reinvests_what_comes_in_and_finances_what_goes_out():
    """A spreadsheet's documented example, and by hand."""
    flows = [-120_000, 39_000, 30_000, 21_000, 37_000, 46_000]
    found = money.mirr(flows, finance_rate=0.10, reinvest_rate=0.12)
    assert found == pytest.approx(0.126094, abs=1e-6)
    ends = 50 * 1.1 + 70
    assert money.mirr([-100, 50, 70], finance_rate=0.2, reinvest_rate=0.1) == pytest.approx(
        math.sqrt(ends / 100) - 1
    )
    later = money.mirr([-100, -24, 150], finance_rate=0.2, reinvest_rate=0.1)
    assert later == pytest.approx(math.sqrt(150 / (100 + 24 / 1.2)) - 1)


def test_a_payback_time_is_when_the_sum_comes_back():
    assert money.payback([-100, 50, 50, 50]) == 2.0
    assert money.payback([-100, 40, 40, 40]) == 2.5
    assert money.payback([-100, 40, 40, 40], interpolate=False) == 3.0
    assert money.payback([-100, 40, 40]) == math.inf
    assert money.payback([5]) == 0.0
    discounted = money.payback([-100, 60, 60, 60], rate=0.1)
    left = 100 - 60 / 1.1
    assert discounted == pytest.approx(1 + left / (60 / 1.21))


@given(st.floats(-0.3, 0.5), st.integers(1, 60), st.booleans())
def test_an_annuity_is_the_sum_of_its_payments(rate, periods, due):
    flows = np.ones(periods)
    expected = money.npv(flows, rate, first=0 if due else 1)
    found = money.annuity_present_value(1.0, rate, periods, due=due)
    assert found == pytest.approx(expected, rel=1e-8)
    assert money.annuity_payment(found, rate, periods, due=due) == pytest.approx(1.0, rel=1e-9)
    end = money.annuity_future_value(1.0, rate, periods, due=due)
    assert end == pytest.approx(expected * (1 + rate) ** periods, rel=1e-8)


@given(st.floats(0.0, 0.3), st.floats(-0.1, 0.3), st.integers(1, 40))
def test_payments_that_grow_are_summed_as_such(rate, growth, periods):
    flows = (1 + growth) ** np.arange(periods)
    found = money.annuity_present_value(1.0, rate, periods, growth=growth)
    assert found == pytest.approx(money.npv(flows, rate, first=1), rel=1e-8)


def test_an_endless_annuity_is_the_perpetuity():
    assert money.annuity_present_value(5.0, 0.04, math.inf) == pytest.approx(125.0)
    assert money.annuity_present_value(5.0, 0.07, math.inf, growth=0.02) == pytest.approx(100.0)
    with pytest.raises(ParameterError, match="no last period"):
        money.annuity_future_value(5.0, 0.04, math.inf)


def test_a_nominal_rate_compounds():
    assert money.effective_rate(0.0525, 4) == pytest.approx(0.0535427, abs=5e-8)
    assert money.effective_rate(0.05, math.inf) == pytest.approx(math.expm1(0.05))


def test_the_published_flows_with_two_roots_are_refused_with_both():
    with pytest.raises(ValuationError, match=r"2 internal rates of return: 0\.25, 4;"):
        money.irr([-1600, 10000, -10000])


def test_irr_of_even_flows_takes_their_spacing():
    assert money.irr([-100, 110]) == pytest.approx(0.1)
    assert money.irr([-100, 110], periods_per_year=4) == pytest.approx(1.1**4 - 1)


def test_flows_that_bring_nothing_back_lose_everything():
    assert money.irr([-100, 0, -5]) == -1.0
    with pytest.raises(ValuationError, match="no internal rate"):
        money.irr([100, 10])
    with pytest.raises(ValuationError, match="finite"):
        money.irr([-100, np.nan])
    with pytest.raises(ValuationError, match="at least two flows"):
        money.irr([-100])
