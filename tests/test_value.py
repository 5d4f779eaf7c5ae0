"""Values as identities of finance: annuities, perpetuities, roots, and sums that must add up."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pytest
import pyxirr
import xarray as xr
from builders import DEAL, deal, drivers, flat_drivers, only, undiscounted
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from valuation import money, value
from valuation.errors import ParameterError, ValuationError
from valuation.schema import COMPONENT, DEFINITION, DRAW, MONTH, QUARTER

SMALL = settings(max_examples=25, deadline=None)
RATE = st.floats(0.001, 0.5)


def flows_of(*rows: list[float], component: str = "talent") -> xr.DataArray:
    """Quarterly flows of one component, a row a draw."""
    return xr.DataArray(
        np.array(rows, dtype=float)[..., None],
        dims=(DRAW, QUARTER, COMPONENT),
        coords={QUARTER: np.arange(len(rows[0])), COMPONENT: [component]},
    )


def annuity(rate: float, quarters: int) -> float:
    """Worth at close of 1 at the end of each quarter, at an annual effective rate."""
    quarterly = (1 + rate) ** 0.25 - 1
    return (1 - (1 + quarterly) ** -quarters) / quarterly


@pytest.fixture(scope="module")
def random_drivers():
    return drivers(draws=400)


@pytest.fixture(scope="module")
def random_flows(random_drivers):
    return value.cash_flows(random_drivers, deal())


# Present value


@SMALL
@given(RATE)
def test_level_quarterly_flows_are_worth_the_annuity_formula(rate):
    flows = flows_of([0.0] + [2.5] * 40)
    assert value.npv(flows, deal(), rate=rate).item() == pytest.approx(2.5 * annuity(rate, 40))


def test_a_long_stream_tends_to_the_perpetuity():
    flows = flows_of([0.0] + [1.0] * 4000)
    quarterly = 1.08**0.25 - 1
    assert value.npv(flows, deal(), rate=0.08).item() == pytest.approx(1 / quarterly, rel=1e-9)


def test_at_a_rate_of_nothing_the_value_is_the_plain_sum(random_flows):
    worth = value.npv(random_flows, deal(), rate=0.0)
    np.testing.assert_allclose(worth, random_flows.sum([QUARTER, COMPONENT]), atol=1e-12)
    terms = undiscounted()
    np.testing.assert_allclose(value.npv(random_flows, terms), worth, atol=1e-12)


def test_a_flow_one_year_after_close_is_divided_by_one_plus_the_rate():
    flows = flows_of([0, 0, 0, 0, 109.0])
    assert value.npv(flows, deal(), rate=0.09).item() == pytest.approx(100.0)


def test_each_draw_may_have_a_rate_of_its_own(random_flows):
    rates = xr.DataArray(np.linspace(0.0, 0.3, random_flows.sizes[DRAW]), dims=DRAW)
    worth = value.npv(random_flows, deal(), rate=rates)
    for draw in (0, 7, 399):
        alone = value.npv(random_flows.isel({DRAW: [draw]}), deal(), rate=float(rates[draw]))
        np.testing.assert_allclose(worth[draw], alone.item())


def test_the_stake_and_the_rest_have_their_own_rates():
    terms = deal(discount={"strategic_per_year": 0.09, "stake_per_year": 0.12})
    later = [0, 0, 0, 0, 1.0]
    stake = value.npv(flows_of(later, component="stake"), terms).item()
    services = value.npv(flows_of(later, component="data_services"), terms).item()
    assert (stake, services) == pytest.approx((1 / 1.12, 1 / 1.09))


def test_npv_is_the_sum_of_the_components(random_flows):
    parts = value.present_values(random_flows, deal())
    np.testing.assert_allclose(
        value.npv(random_flows, deal()), parts.sum(COMPONENT), rtol=0, atol=1e-12
    )


def test_npv_of_components_valued_apart_adds_up_to_the_whole(random_drivers):
    apart = [
        value.npv(value.cash_flows(random_drivers, only(name)), only(name)) for name in value.TERMS
    ]
    whole = value.npv(value.cash_flows(random_drivers, deal()), deal())
    np.testing.assert_allclose(sum(apart), whole, rtol=0, atol=1e-10)


@SMALL
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_npv_is_linear_in_the_flows(a, b):
    first = flows_of([-1.0, 2.0, 0.5, 3.0])
    second = flows_of([4.0, -2.0, 0.25, 1.0])
    together = value.npv(a * first + b * second, deal())
    apart = a * value.npv(first, deal()) + b * value.npv(second, deal())
    assert together.item() == pytest.approx(apart.item(), abs=1e-12)


def test_returns_after_an_outlay_are_worth_less_at_a_higher_rate(random_drivers):
    terms = only("outlay", "stake", "talent", "capability")
    flows = value.cash_flows(random_drivers, terms)
    worth = [value.npv(flows, terms, rate=rate) for rate in (0.0, 0.05, 0.1, 0.2)]
    for low, high in itertools.pairwise(worth):
        assert (high <= low).all()


def test_a_rate_of_minus_one_is_refused():
    with pytest.raises(ParameterError, match="above -1"):
        value.npv(flows_of([1.0, 1.0]), deal(), rate=-1.0)


# Time


def test_a_driver_that_moves_in_a_straight_line_is_averaged_exactly():
    terms = deal()
    months = xr.DataArray(np.arange(121.0), dims=MONTH, coords={MONTH: np.arange(121)})
    level = value.by_quarter(2.0 + 0.5 * months, terms)
    middle = 3 * np.arange(41) - 1.5
    np.testing.assert_allclose(level[1:], (2.0 + 0.5 * middle)[1:])
    assert level[0] == 0


@SMALL
@given(st.floats(0.5, 120))
def test_an_amount_spread_within_the_horizon_is_paid_in_full(months):
    parts = value.spread(deal(), months=months)
    assert parts.sum().item() == pytest.approx(1.0)
    assert (parts >= 0).all()


def test_spreading_over_no_time_is_refused():
    with pytest.raises(ParameterError, match="more than 0 months"):
        value.spread(deal(), months=0)


def test_quarters_are_dated_by_calendar_months():
    flows = value.cash_flows(flat_drivers(), deal())
    dates = flows["date"].values.astype("datetime64[D]").tolist()
    assert dates[0] == dt.date(2025, 6, 12)
    assert dates[28] == dt.date(2032, 6, 12)
    assert value.date_after(dt.date(2025, 11, 30), 3) == dt.date(2026, 2, 28)


# Components


def worth_of(name: str, made: xr.Dataset, **changes) -> float:
    terms = only(name, discount={"strategic_per_year": 0.0, "stake_per_year": 0.0}, **changes)
    return value.npv(value.cash_flows(made, terms), terms)[0].item()


def test_the_outlay_is_paid_at_close_and_not_discounted():
    terms = only("outlay")
    flows = value.cash_flows(flat_drivers(), terms)
    assert (flows.isel({QUARTER: 0}) == -10.0).all()
    assert (flows.isel({QUARTER: slice(1, None)}) == 0).all()
    assert (value.npv(flows, terms) == -10.0).all()


def test_the_stake_is_sold_at_its_exit_date_and_discounted_at_its_own_rate():
    terms = only("stake")
    flows = value.cash_flows(flat_drivers(stake_value=7.0), terms)
    assert flows.sel({QUARTER: 28}).values.ravel().tolist() == [7.0] * 3
    assert value.npv(flows, terms)[0].item() == pytest.approx(7.0 / 1.12**7)


def test_a_stake_is_never_worth_less_than_nothing():
    assert worth_of("stake", flat_drivers(stake_value=-3.0)) == 0.0


def test_retained_talent_is_an_annuity_over_the_counted_months():
    terms = only("talent")
    flows = value.cash_flows(flat_drivers(talent_retained=0.5, talent_pool_usd_bn=4.0), terms)
    expected = 0.5 * 4.0 / 16 * annuity(0.09, 16)
    assert value.npv(flows, terms)[0].item() == pytest.approx(expected)


def test_needed_services_bring_the_discount_and_all_that_was_prepaid():
    made = flat_drivers(adoption_share=0.5, acquirer_spend=1.0, purchases=0.5, price_discount=0.1)
    # need 0.5 above the floor of 0.4: saves 0.05 a year for 5 years, and 0.5 prepaid is all of use
    assert worth_of("data_services", made) == pytest.approx(5 * 0.05 + 0.5)


def test_purchases_forced_by_the_floor_are_wasted_beyond_the_need():
    made = flat_drivers(adoption_share=0.2, acquirer_spend=1.0, purchases=0.4, price_discount=0.1)
    # need 0.2, floor min(0.4, 0.5): saves 0.02, wastes 0.2 a year; half of the prepaid is of use
    assert worth_of("data_services", made) == pytest.approx(5 * (0.02 - 0.2) + 0.5 * 0.5)


def test_a_small_spender_is_held_to_its_share_of_spending_only():
    made = flat_drivers(adoption_share=0.25, acquirer_spend=0.4, purchases=0.2, price_discount=0.0)
    # floor min(0.4, 0.5 * 0.4) = 0.2, need 0.1
    assert worth_of("data_services", made) == pytest.approx(5 * -0.1 + 0.5 * 0.5)


def test_the_contract_is_worth_nothing_after_it_ends():
    terms = only("data_services")
    flows = value.cash_flows(flat_drivers(), terms)
    assert (flows.sel({QUARTER: slice(1, 20)}) != 0).all()
    assert (flows.sel({QUARTER: slice(21, None)}) == 0).all()


def test_capability_is_half_of_the_frontier_uplift_at_the_near_distance():
    made = flat_drivers(capability_gap=5.0, uplift_at_frontier=0.02, share_due_to_deal=0.1)
    level = {"growth_per_year": 0.0, "growth_after_5_years": 0.0}
    expected = 10 * 200.0 * 0.02 * 0.1 * 0.5 * 0.4 * 0.8
    assert worth_of("capability", made, acquirer_revenue=level) == pytest.approx(expected)


def test_the_acquirers_revenue_grows_from_its_date_and_slows_after_five_years():
    terms = deal(acquirer_revenue={"base_date": dt.date(2025, 6, 12)})
    months = xr.DataArray([0.0, 12.0, 60.0, 84.0], dims=MONTH)
    expected = [200.0, 200 * 1.1, 200 * 1.1**5, 200 * 1.1**5 * 1.05**2]
    np.testing.assert_allclose(value.acquirer_revenue(terms, months), expected)


@SMALL
@given(st.floats(-100, 100), st.floats(-100, 100))
def test_nearer_the_frontier_is_never_worth_less(one, other):
    near, far = sorted([one, other])
    curve = value.proximity(xr.DataArray([near, far]), near_points=5.0)
    assert 1 >= curve[0] >= curve[1] >= 0


def test_proximity_is_the_logistic_curve_of_half_the_near_distance():
    gap = xr.DataArray([-20.0, 0.0, 5.0, 10.0, 300.0])
    expected = 1 / (1 + np.exp((gap - 5.0) / 2.5))
    np.testing.assert_allclose(value.proximity(gap, near_points=5.0), expected, atol=1e-15)


def test_denial_is_the_harm_that_the_deal_did_to_rivals():
    made = flat_drivers(denial_usd_bn=2.0, rivals_active=0.25)
    assert worth_of("denial", made) == pytest.approx(1.5)
    assert worth_of("denial", flat_drivers(rivals_active=1.0)) == pytest.approx(0.0)
    # What would have been lost without the deal, too, denies them nothing; nor does a rival that stays longer with it.
    made = flat_drivers(denial_usd_bn=2.0, rivals_active=0.25, rivals_anyway=0.5)
    assert worth_of("denial", made) == pytest.approx(0.5)
    assert worth_of("denial", flat_drivers(rivals_active=0.8, rivals_anyway=0.7)) == 0.0


def test_retention_pay_goes_to_those_who_stay():
    made = flat_drivers(retention_pay_usd_bn=0.8, talent_retained=0.75)
    assert worth_of("retention_pay", made) == pytest.approx(-0.6)


def test_integration_is_paid_in_full_over_its_years():
    flows = value.cash_flows(flat_drivers(integration_cost_usd_bn=0.8), only("integration_cost"))
    np.testing.assert_allclose(flows.sel({QUARTER: slice(1, 8)}), -0.1)
    assert (flows.sel({QUARTER: slice(9, None)}) == 0).all()


@pytest.mark.parametrize(("month", "quarter"), [(0, 0), (1, 1), (12, 4), (13, 5), (120, 40)])
def test_a_formal_action_costs_once_in_the_quarter_it_opens(month, quarter):
    made = flat_drivers()
    made["regulatory_action"] = (made["regulatory_action"] + (made[MONTH] >= month)).clip(max=1)
    flows = value.cash_flows(made, only("regulation_cost")).isel({DRAW: 0, COMPONENT: 0})
    assert np.flatnonzero(flows).tolist() == [quarter]
    assert flows[quarter].item() == pytest.approx(-0.3)


def test_an_action_that_was_closed_again_is_not_paid_twice():
    made = flat_drivers()
    on_and_off = (made[MONTH] % 24 == 6).astype(float)
    made["regulatory_action"] = made["regulatory_action"] + on_and_off
    assert worth_of("regulation_cost", made) == pytest.approx(-0.3)


@pytest.mark.parametrize("name", list(value.TERMS))
def test_every_component_can_be_switched_off(name, random_drivers):
    kept = [other for other in value.TERMS if other != name]
    terms = only(*kept)
    assert value.cash_flows(random_drivers, terms)[COMPONENT].values.tolist() == kept
    made = value.value(random_drivers, terms)
    assert made["present_value"].sizes[COMPONENT] == len(kept)


@pytest.mark.parametrize("name", list(value.TERMS))
def test_every_term_gives_one_flow_a_draw_and_quarter(name, random_drivers):
    flow = value.TERMS[name](random_drivers, deal())
    assert set(flow.dims) == {DRAW, QUARTER}
    assert flow.sizes == {DRAW: 400, QUARTER: 41}
    assert name in value.COMPONENT_LABELS


@pytest.mark.parametrize("name", list(value.TERMS))
def test_a_term_reads_no_driver_but_those_it_was_seen_to_read(name, random_drivers):
    """What it was seen to read is what its remembered flows are told apart by."""
    terms = deal()
    whole = value._made(name, random_drivers, terms, repr(terms))
    seen = value._ASKED[value.TERMS[name], repr(terms)]
    few = random_drivers[list(seen)].assign_coords(random_drivers.coords)
    xr.testing.assert_identical(value.TERMS[name](few, terms), whole)


def test_a_component_is_made_anew_if_a_driver_that_it_reads_changes(random_drivers):
    terms, fixed = deal(), random_drivers.copy(deep=True)
    for variable in fixed.data_vars.values():
        variable.data.flags.writeable = False
    before = value.cash_flows(fixed, terms)
    assert value.cash_flows(fixed, terms).equals(before)
    for name in fixed.data_vars:
        other = fixed.assign({name: fixed[name] * 0.9})
        warm = value.cash_flows(other, terms)
        value.FLOWS.clear()
        xr.testing.assert_identical(warm, value.cash_flows(other, terms))


def test_an_unknown_component_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"'synergy'.*outlay, stake, data_services"):
        value.cash_flows(flat_drivers(), deal(components={"synergy": True}))


def test_an_exit_beyond_the_horizon_is_refused():
    terms = deal()
    late = terms.model_copy(update={"stake": terms.stake.model_copy(update={"exit_years": 11.0})})
    with pytest.raises(ParameterError, match=r"exit_years is 11.*at most"):
        value.cash_flows(flat_drivers(), late)


# Nothing that is not a number gets through


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("driver", "component"),
    [
        ("stake_value", "stake"),
        ("talent_retained", "talent"),
        ("capability_gap", "capability"),
        ("denial_usd_bn", "denial"),
        ("purchases", "data_services"),
        ("regulation_cost_usd_bn", "regulation_cost"),
    ],
)
def test_a_value_that_is_not_finite_is_an_error_that_names_its_component(driver, component, bad):
    made = flat_drivers(draws=5)
    values = made[driver].values.copy()
    if driver == "capability_gap" and np.isinf(bad):
        bad = np.nan  # an infinite gap is worth exactly nothing, which is finite
    values[3] = bad
    made[driver] = made[driver].copy(data=values)
    with pytest.raises(ValuationError, match=rf"component '{component}': \d+ of 205 values"):
        value.value(made, deal())


def test_a_missing_driver_is_named():
    with pytest.raises(ValuationError, match="lack 'talent_retained'"):
        value.cash_flows(flat_drivers().drop_vars("talent_retained"), deal())


def test_drivers_of_another_horizon_are_refused():
    short = flat_drivers().isel({MONTH: slice(0, 61)})
    with pytest.raises(ValuationError, match="every month from 0 to 120"):
        value.cash_flows(short, deal())


@pytest.mark.parametrize("weight", [[-1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [np.nan, 1.0, 1.0]])
def test_weights_that_are_no_weights_are_refused(weight):
    with pytest.raises(ValuationError, match="weight"):
        value.value(flat_drivers().assign(weight=(DRAW, weight)), deal())


# Multiple and payback


def test_moic_counts_what_has_come_back_by_the_date():
    flows = xr.concat(
        [flows_of([-10.0, 0, 0, 0, 0], component="outlay"), flows_of([0.0, 2, 3, 4, 5])],
        dim=COMPONENT,
    )
    terms = deal()
    assert value.moic(flows, terms, dt.date(2025, 6, 12)).item() == 0.0
    assert value.moic(flows, terms, dt.date(2025, 12, 11)).item() == pytest.approx(0.2)
    assert value.moic(flows, terms, dt.date(2025, 12, 12)).item() == pytest.approx(0.5)
    assert value.moic(flows, terms, dt.date(2099, 1, 1)).item() == pytest.approx(1.4)
    with pytest.raises(ParameterError, match="closed on 2025-06-12"):
        value.moic(flows, terms, dt.date(2020, 1, 1))


def test_moic_of_a_stake_alone_is_its_proceeds_over_the_outlay():
    terms = only("outlay", "stake")
    flows = value.cash_flows(flat_drivers(stake_value=25.0), terms)
    assert value.moic(flows, terms)[0].item() == pytest.approx(2.5)
    assert value.moic(flows, terms, dt.date(2032, 6, 11))[0].item() == 0.0


def test_payback_is_the_first_quarter_at_which_the_outlay_is_back():
    flows = flows_of([-10.0, 4, 4, 4, 4], [-10.0, 1, 1, 1, 1], [0.0, 0, 0, 0, 0])
    assert value.payback_years(flows).values.tolist() == [0.75, np.inf, 0.0]


# Internal rate of return


@SMALL
@given(st.floats(0.1, 100), st.floats(0.1, 100), st.integers(4, 40))
def test_irr_of_two_flows_has_its_closed_form(paid, received, quarters):
    flows = flows_of([-paid] + [0.0] * (quarters - 1) + [received])
    expected = (received / paid) ** (4 / quarters) - 1
    assume(min(abs(expected - money.LOWEST_RATE), abs(expected - money.HIGHEST_RATE)) > 1e-6)
    found = value.irr(flows).item()
    if expected < money.LOWEST_RATE:
        assert found == -1.0
    elif expected > money.HIGHEST_RATE:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-10)


def test_npv_at_the_internal_rate_of_return_is_nothing(random_flows):
    rates = value.irr(random_flows)
    known = np.isfinite(rates) & (rates > -1)
    assert known.mean() > 0.9
    worth = value.npv(random_flows[known], deal(), rate=rates[known])
    np.testing.assert_allclose(worth, 0.0, atol=1e-8)


def test_irr_agrees_with_pyxirr_on_an_outlay_and_its_returns(random_drivers):
    terms = only("outlay", "stake", "talent", "capability")
    flows = value.cash_flows(random_drivers, terms).isel({DRAW: slice(0, 50)})
    total = flows.sum(COMPONENT).values
    quarterly = np.array([pyxirr.irr(row) for row in total])
    np.testing.assert_allclose(value.irr(flows), (1 + quarterly) ** 4 - 1, atol=1e-8)


def test_flows_with_several_roots_have_no_irr_and_are_counted():
    # quarterly flows whose annual roots are (1 + q)^4 - 1 for q = 0.1 and q = 0.3
    several = [-1.0, 2.4, -1.43]
    rates = value.irr(flows_of(several, [-1.0, 0.5, 0.6], [-1.0, 0.0, -0.5], [1.0, 0.0, 1.0]))
    assert np.isnan(rates[0])
    assert rates[1].item() > 0
    assert rates[2].item() == -1.0
    assert np.isnan(rates[3])
    assert rates.attrs["several_roots"] == 1
    assert rates.attrs["total_loss"] == 1
    assert rates.attrs["no_root"] == 1


def test_two_roots_closer_than_the_grid_are_both_found():
    near, nearer = 1.1000, 1.1001
    flows = [-1.0, near + nearer, -near * nearer]
    with pytest.raises(ValuationError, match=r"2 internal rates of return: 0\.1, 0\.1001"):
        money.irr(flows)
    assert value.irr(flows_of(flows)).attrs["several_roots"] == 1


# What "pays off" means


def test_every_definition_is_labelled_and_decides_every_draw(random_drivers, random_flows):
    assert list(value.LABELS) == list(value.PAYS_OFF)
    for name in value.PAYS_OFF:
        verdict = value.pays_off(random_drivers, random_flows, deal(), name)
        assert verdict.dims == (DRAW,)
        assert verdict.dtype == bool


def test_an_unknown_definition_is_refused_with_the_known_ones(random_drivers, random_flows):
    with pytest.raises(ParameterError, match=r"'profit'.*npv, npv_financial, stake_alone"):
        value.pays_off(random_drivers, random_flows, deal(), "profit")


def test_reaching_the_hurdle_rate_is_having_an_irr_above_it(random_drivers):
    terms = only("outlay", "stake", "talent", "capability")
    flows = value.cash_flows(random_drivers, terms)
    verdict = value.pays_off(random_drivers, flows, terms, "irr")
    np.testing.assert_array_equal(verdict, value.irr(flows) >= terms.hurdle.irr_per_year)
    assert 0 < verdict.mean() < 1


def test_each_definition_agrees_with_the_number_it_speaks_of(random_drivers):
    terms = deal()
    made = value.value(random_drivers, terms)
    says = {str(name): made["pays_off"].sel({DEFINITION: name}) for name in made[DEFINITION].values}
    np.testing.assert_array_equal(says["npv"], made["npv"] > 0)
    np.testing.assert_array_equal(says["npv_financial"], made["npv_financial"] > 0)
    np.testing.assert_array_equal(says["moic"], made["moic"] >= 1)
    stake = made["present_value"].sel({COMPONENT: "stake"})
    np.testing.assert_array_equal(says["stake_alone"], stake >= 10.0)


def test_a_stake_that_is_switched_off_does_not_recover_the_outlay(random_drivers):
    made = value.value(random_drivers, only("outlay", "capability"))
    assert not made["pays_off"].sel({DEFINITION: "stake_alone"}).any()


def test_only_a_write_down_up_to_the_date_counts(random_drivers):
    made = flat_drivers(draws=3)
    first = xr.DataArray([30, 31, 500], dims=DRAW, coords={DRAW: made[DRAW]})
    # month 30 is 2027-12-12, month 31 is 2028-01-12; the deal asks for 2027-12-31
    made["impairment"] = (made[MONTH] >= first).astype(float).transpose(DRAW, MONTH)
    flows = value.cash_flows(made, deal())
    verdict = value.pays_off(made, flows, deal(), "no_impairment")
    assert verdict.values.tolist() == [False, True, True]


# The whole


def test_the_values_have_the_promised_names_dims_and_units(random_drivers):
    made = value.value(random_drivers, deal())
    promised = {
        "npv": ((DRAW,), "USD bn"),
        "npv_financial": ((DRAW,), "USD bn"),
        "moic": ((DRAW,), "x outlay"),
        "irr": ((DRAW,), "fraction per year"),
        "payback_years": ((DRAW,), "years"),
        "present_value": ((DRAW, COMPONENT), "USD bn"),
        "pays_off": ((DEFINITION, DRAW), "0 or 1"),
        "weight": ((DRAW,), "fraction"),
    }
    assert {name: (v.dims, v.attrs["units"]) for name, v in made.data_vars.items()} == promised
    assert all(v.attrs["label"] for v in made.data_vars.values())
    assert made[COMPONENT].values.tolist() == list(DEAL["components"])
    assert made[DEFINITION].values.tolist() == list(value.PAYS_OFF)
    assert made["weight"].sum().item() == pytest.approx(1.0)


def test_the_order_of_draws_changes_no_draw(random_drivers):
    order = np.random.default_rng(3).permutation(random_drivers.sizes[DRAW])
    plain = value.value(random_drivers, deal()).isel({DRAW: order})
    shuffled = value.value(random_drivers.isel({DRAW: order}), deal())
    xr.testing.assert_allclose(shuffled, plain, rtol=1e-10)


def test_drivers_without_weights_weigh_alike(random_drivers):
    made = value.value(random_drivers.drop_vars("weight"), deal())
    np.testing.assert_allclose(made["weight"], 1 / 400)


def test_the_financial_value_leaves_the_strategic_components_out(random_drivers):
    terms = deal()
    made = value.value(random_drivers, terms)
    strategic = made["present_value"].sel({COMPONENT: list(terms.strategic)}).sum(COMPONENT)
    np.testing.assert_allclose(made["npv"] - strategic, made["npv_financial"], atol=1e-12)
