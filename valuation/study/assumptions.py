"""What the answer takes as given: the terms of the deal's file and the priors, each with where it is from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from valuation.currency import BN, BN_PER_YEAR, spelled, unit_in
from valuation.params.deals import notes_of
from valuation.schema import TAIL

if TYPE_CHECKING:
    from valuation.params import Deal
    from valuation.study.case import Study

# Terms that a valuation reads, by key of the deal's file without its currency: label and unit.
TERMS: Mapping[str, tuple[str, str]] = {
    "closed": ("Day of closing", ""),
    "horizon_years": ("Years looked ahead", "years"),
    "outlay.equity_bn": ("Paid in equity", BN),
    "outlay.other_bn": ("Paid otherwise", BN),
    "stake.fraction": ("Share of the target bought", "fraction"),
    "stake.entry_value_bn": ("Whole target at that price", BN),
    "stake.exit_years": ("Stake is sold after", "years"),
    "services.floor_bn_per_year": ("Purchases promised", BN_PER_YEAR),
    "services.floor_share_of_spend": ("or, if less, of all such spending", "fraction"),
    "services.contract_years": ("Contract to buy", "years"),
    "services.prepaid_bn": ("Purchases paid in advance", BN),
    "acquirer_revenue.base_bn_per_year": ("Acquirer's revenue", BN_PER_YEAR),
    "acquirer_revenue.base_date": ("Year of that revenue ends", ""),
    "acquirer_revenue.growth_per_year": ("Its growth a year, five years", "fraction"),
    "acquirer_revenue.growth_after_5_years": ("Its growth a year, later", "fraction"),
    "acquirer_revenue.operating_margin": ("Operating margin on it", "fraction"),
    "acquirer_revenue.tax_rate": ("Tax on that", "fraction"),
    "talent.value_months": ("Worth of a kept person is counted", "months"),
    "denial.years": ("Harm to rivals is counted", "years"),
    "integration.years": ("Cost of integrating is spread over", "years"),
    "frontier.near_points": ("At the frontier is within", "index points"),
    "impairment.carrying_bn": ("Book value of the stake", BN),
    "impairment.by": ("Written down or not by", ""),
    "impairment.threshold": ("Written down below, of book value", "fraction"),
    "discount.strategic_per_year": ("Discount rate a year, all but the stake", "fraction"),
    "discount.stake_per_year": ("Discount rate a year, the stake", "fraction"),
    "hurdle.irr_per_year": ("Hurdle rate a year", "fraction"),
    "hurdle.moic": ("Money back, times the outlay", ""),
    "hurdle.moic_by": ("Money back by", ""),
}

# Whose part of a deal file says nothing where the component is switched off.
PART_OF: Mapping[str, str] = {
    "services": "data_services",
    "acquirer_revenue": "capability",
    "frontier": "capability",
    "talent": "talent",
    "denial": "denial",
    "integration": "integration_cost",
}


def assumptions(study: Study) -> dict[str, Any]:
    """Terms and priors as plain values: the same for every scenario but for what it changes.

    Returns
    -------
    dict
        ``terms``: ``key``, ``label``, ``value`` (a number in ``unit``, an ISO date or words), ``note`` (as it stands
        beside the number in the file) and ``changed`` (whether the scenario has another value than the file);
        ``priors`` of the set in use, without those that are fixed: ``name``, ``label``, ``unit``, ``lower``,
        ``median``, ``upper`` (its central 90%), ``source``, ``rationale``, ``date`` and ``by``.
    """
    priors = []
    for name, prior in study.book.get(study.prior_set).items():
        if prior.family == "fixed":
            continue
        lower, median, upper = (float(x) for x in prior.ppf([TAIL, 0.5, 1.0 - TAIL]))
        priors.append(
            {
                "name": name,
                "label": prior.label,
                "unit": prior.unit,
                "lower": lower,
                "median": median,
                "upper": upper,
                "source": prior.source,
                "rationale": prior.rationale,
                "date": str(prior.date),
                "by": prior.by,
            }
        )
    return {"terms": _terms(study), "priors": priors}


def _terms(study: Study) -> list[dict[str, Any]]:
    notes = notes_of(study.base_deal.name, study.root)
    found, currency = [], study.deal.currency
    for key, (label, unit) in TERMS.items():
        part = PART_OF.get(key.split(".")[0])
        if part is not None and not study.deal.components.get(part, False):
            continue
        value, stated = (_value(deal, key) for deal in (study.deal, study.base_deal))
        found.append(
            {
                "key": spelled(key, currency),
                "label": label,
                "unit": unit_in(unit, currency),
                "value": value,
                "note": notes.get(spelled(key, currency), ""),
                "changed": value != stated,
            }
        )
    off, stated_off = (
        ", ".join(name.replace("_", " ") for name, on in deal.components.items() if not on)
        for deal in (study.deal, study.base_deal)
    )
    if off or stated_off:
        found.append(
            {
                "key": "components",
                "label": "Parts that are not counted",
                "unit": "",
                "value": off or "none",
                "note": "",
                "changed": off != stated_off,
            }
        )
    return found


def _value(deal: Deal, key: str) -> float | str:
    value: Any = deal
    for name in key.split("."):
        value = getattr(value, name)
    return value.isoformat() if isinstance(value, dt.date) else float(value)
