"""Made-up deals and drivers for tests: small, fast, and free of the real deal's numbers in code.

``deal()`` is a round-numbered deal with the shape of a deal file; ``drivers()`` draws plausible
random drivers for it; ``flat_drivers()`` holds every driver at a constant, for closed forms.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from valuation.params import Deal
from valuation.schema import (
    CUSTOMER,
    DRAW,
    FRACTION,
    INDEX_POINTS,
    INDICATOR,
    MONTH,
    MONTHS,
    MULTIPLE,
    PERSON,
)
from valuation.value import date_after

USD_BN, USD_BN_PER_YEAR = "USD bn", "USD bn per year"

DEAL: dict[str, Any] = {
    "name": "test_deal",
    "title": "Buyer's USD 10 bn for 40% of Maker",
    "acquirer": "Buyer",
    "target": "Maker",
    "founder": "Ada Founder",
    "closed": dt.date(2025, 6, 12),
    "horizon_years": 10,
    "seeds": "seeds",
    "priors": "params/priors.yaml",
    "prior_set": "house",
    "currency": "USD",
    "outlay": {"equity_bn": 9.5, "other_bn": 0.5},
    "stake": {"fraction": 0.4, "entry_value_bn": 24.0, "exit_years": 7},
    "services": {
        "floor_bn_per_year": 0.4,
        "floor_share_of_spend": 0.5,
        "contract_years": 5,
        "prepaid_bn": 0.5,
    },
    "acquirer_revenue": {
        "base_bn_per_year": 200.0,
        "base_date": dt.date(2025, 12, 31),
        "growth_per_year": 0.10,
        "growth_after_5_years": 0.05,
        "operating_margin": 0.4,
        "tax_rate": 0.2,
    },
    "talent": {"value_months": 48},
    "frontier": {"near_points": 5.0},
    "denial": {"years": 3.0},
    "integration": {"years": 2.0},
    "impairment": {"carrying_bn": 9.5, "by": dt.date(2027, 12, 31), "threshold": 0.7},
    "discount": {"strategic_per_year": 0.09, "stake_per_year": 0.12},
    "hurdle": {"irr_per_year": 0.10, "moic": 1.0, "moic_by": dt.date(2032, 6, 12)},
    "components": {
        "outlay": True,
        "stake": True,
        "data_services": True,
        "talent": True,
        "capability": True,
        "denial": True,
        "retention_pay": True,
        "integration_cost": True,
        "regulation_cost": True,
    },
    "strategic": ["talent", "capability", "denial"],
    "headline": "npv",
    "options": {},
}

# name: (units, label, constant for flat_drivers)
MONTHLY: dict[str, tuple[str, str, float]] = {
    "talent_retained": (FRACTION, "Talent retained", 1.0),
    "stars_retained": (FRACTION, "Star hires retained", 1.0),
    "founder_in_post": (INDICATOR, "Founder in post", 1.0),
    "adoption_share": (FRACTION, "Share of spending with the target", 0.5),
    "acquirer_spend": (USD_BN_PER_YEAR, "Acquirer's spending on expert data", 1.0),
    "purchases": (USD_BN_PER_YEAR, "Acquirer's purchases", 0.5),
    "revenue_retained": (USD_BN_PER_YEAR, "Revenue of customers kept", 0.5),
    "revenue_new": (USD_BN_PER_YEAR, "Revenue of new customers", 0.5),
    "revenue": (USD_BN_PER_YEAR, "Revenue of the target", 1.5),
    "rivals_active": (FRACTION, "Rivals' business still active", 0.5),
    "rivals_anyway": (FRACTION, "Rivals' business without the deal", 1.0),
    "capability_gap": (INDEX_POINTS, "Gap to the frontier", 5.0),
    "exit_multiple": (MULTIPLE, "Exit multiple", 5.0),
    "stake_value": (USD_BN, "Worth of the stake", 3.0),
    "regulatory_action": (INDICATOR, "Formal action opened", 0.0),
    "impairment": (INDICATOR, "Written down", 0.0),
}
SCALARS: dict[str, tuple[str, str, float]] = {
    "uplift_at_frontier": (FRACTION, "Uplift at the frontier", 0.02),
    "share_due_to_deal": (FRACTION, "Share due to the deal", 0.1),
    "talent_pool_usd_bn": (USD_BN, "Worth of the talent", 2.0),
    "denial_usd_bn": (USD_BN, "Harm to rivals", 1.0),
    "liquidity_discount": (FRACTION, "Liquidity discount", 0.2),
    "price_discount": (FRACTION, "Price discount", 0.1),
    "regulation_cost_usd_bn": (USD_BN, "Cost of a formal action", 0.3),
    "integration_cost_usd_bn": (USD_BN, "Integration cost", 0.6),
    "retention_pay_usd_bn": (USD_BN, "Retention pay", 0.8),
}


def merged(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` itself, changed: mappings key by key, anything else replaced."""
    for key, item in changes.items():
        if isinstance(item, Mapping) and isinstance(base.get(key), dict):
            merged(base[key], item)
        else:
            base[key] = item
    return base


def deal(**changes: Any) -> Deal:
    """The test deal; nested changes by key, as in ``deal(discount={"stake_per_year": 0.0})``."""
    return Deal.model_validate(merged(copy.deepcopy(DEAL), changes))


def only(*components: str, **changes: Any) -> Deal:
    """The test deal with only these components switched on."""
    return deal(components={name: name in components for name in DEAL["components"]}, **changes)


def undiscounted(**changes: Any) -> Deal:
    """The test deal at discount rates of nothing."""
    return deal(discount={"strategic_per_year": 0.0, "stake_per_year": 0.0}, **changes)


def _dataset(
    monthly: Mapping[str, np.ndarray], scalars: Mapping[str, np.ndarray], terms: Deal
) -> xr.Dataset:
    draws, months = next(iter(monthly.values())).shape
    made = xr.Dataset(coords={DRAW: np.arange(draws), MONTH: np.arange(months)})
    dates = [date_after(terms.closed, m) for m in range(months)]
    made = made.assign_coords(date=(MONTH, np.array(dates, dtype="datetime64[ns]")))
    for name, values in monthly.items():
        units, label, _ = MONTHLY[name]
        made[name] = ((DRAW, MONTH), values, {"units": units, "label": label})
    for name, values in scalars.items():
        units, label, _ = SCALARS[name]
        made[name] = (DRAW, values, {"units": units, "label": label})
    never = np.full((draws, 2), np.inf)
    made = made.assign_coords(
        {PERSON: ["Ada Founder", "Ben Mover"], CUSTOMER: ["Rival Lab", "Ministry"]}
    )
    made["person_exit"] = ((DRAW, PERSON), never, {"units": MONTHS, "label": "Exit"})
    made["customer_end"] = ((DRAW, CUSTOMER), never, {"units": MONTHS, "label": "End"})
    made["customer_return"] = ((DRAW, CUSTOMER), never, {"units": MONTHS, "label": "Return"})
    weight = np.full(draws, 1 / draws)
    made["weight"] = (DRAW, weight, {"units": FRACTION, "label": "Weight of the draw"})
    return made


def flat_drivers(terms: Deal | None = None, *, draws: int = 3, **levels: Any) -> xr.Dataset:
    """Every driver constant over months and draws; ``levels`` replaces constants by name.

    A level may be a number, or an array of one value a draw.
    """
    terms = deal() if terms is None else terms
    months = 12 * terms.horizon_years + 1
    unknown = set(levels) - set(MONTHLY) - set(SCALARS)
    assert not unknown, unknown

    def level(name: str, constant: float) -> np.ndarray:
        return np.broadcast_to(np.asarray(levels.get(name, constant), dtype=float), (draws,))

    monthly = {
        name: np.repeat(level(name, constant)[:, None], months, axis=1)
        for name, (_, _, constant) in MONTHLY.items()
    }
    scalars = {name: level(name, constant).copy() for name, (_, _, constant) in SCALARS.items()}
    return _dataset(monthly, scalars, terms)


def drivers(terms: Deal | None = None, *, draws: int = 400, random_seed: int = 1) -> xr.Dataset:
    """Random drivers of plausible size and shape; NPV is about as often above 0 as below."""
    terms = deal() if terms is None else terms
    rng = np.random.default_rng(random_seed)
    month = np.arange(12 * terms.horizon_years + 1)
    years = month / 12

    def each(values: np.ndarray) -> np.ndarray:
        return values[:, None] * np.ones(month.size)

    hazard = rng.gamma(4.0, 0.05, draws)
    talent = np.exp(-hazard[:, None] * years)
    founder_exit = rng.exponential(60.0, draws)
    share = 1 / (1 + np.exp(-(rng.normal(0.0, 1.0, draws)[:, None] + 0.05 * years)))
    spend = 1.0 * np.exp(rng.normal(0.15, 0.05, draws)[:, None] * years)
    floor = np.minimum(
        terms.services.floor_bn_per_year, terms.services.floor_share_of_spend * spend
    )
    contract = month <= 12 * terms.services.contract_years
    purchases = np.maximum(share * spend, np.where(contract, floor, 0.0))
    rivals = np.exp(-rng.gamma(2.0, 0.6, draws)[:, None] * years)
    kept = 0.6 * (0.4 + 0.6 * rivals)
    new = rng.gamma(2.0, 0.1, draws)[:, None] * years
    revenue = kept + new + purchases
    steps = rng.normal(0.0, 0.8, (draws, month.size))
    steps[:, 0] = rng.normal(8.0, 2.0, draws)
    gap = np.cumsum(steps, axis=1) - 0.4 * years
    multiple = np.exp(rng.normal(np.log(6.0), 0.5, draws))
    discount = rng.beta(4.0, 12.0, draws)
    action = month >= rng.exponential(240.0, draws)[:, None]
    stake = terms.stake.fraction * each(multiple) * revenue * (1 - discount[:, None])
    written = np.maximum.accumulate(
        (stake < terms.impairment.threshold * terms.impairment.carrying_bn)
        & (month >= 18)
        & (rng.random(draws)[:, None] < 0.5),
        axis=1,
    )
    monthly = {
        "talent_retained": talent,
        "stars_retained": talent**1.5,
        "founder_in_post": (month < founder_exit[:, None]).astype(float),
        "adoption_share": share,
        "acquirer_spend": spend,
        "purchases": purchases,
        "revenue_retained": kept,
        "revenue_new": new,
        "revenue": revenue,
        "rivals_active": rivals,
        "rivals_anyway": np.sqrt(rivals),
        "capability_gap": gap,
        "exit_multiple": each(multiple),
        "stake_value": stake,
        "regulatory_action": action.astype(float),
        "impairment": written.astype(float),
    }
    scalars = {
        "uplift_at_frontier": rng.gamma(2.0, 0.02, draws),
        "share_due_to_deal": rng.beta(2.0, 8.0, draws),
        "talent_pool_usd_bn": rng.gamma(4.0, 0.8, draws),
        "denial_usd_bn": rng.gamma(2.0, 0.8, draws),
        "liquidity_discount": discount,
        "price_discount": rng.beta(2.0, 18.0, draws),
        "regulation_cost_usd_bn": rng.gamma(2.0, 0.2, draws),
        "integration_cost_usd_bn": rng.gamma(3.0, 0.2, draws),
        "retention_pay_usd_bn": rng.gamma(4.0, 0.25, draws),
    }
    return _dataset(monthly, scalars, terms)
