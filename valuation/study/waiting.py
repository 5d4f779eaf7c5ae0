"""What could be done about a deal, and which news is worth waiting for before doing it.

Everything is arithmetic on the draws of a study: nothing is fitted or sampled again. An option is
worth the mean of its pay-off (:mod:`valuation.options`); news is worth what choosing after it
brings more than choosing now (:mod:`valuation.information`). What is worth nothing is told as 0.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import decision, information, options
from valuation.currency import spelled
from valuation.disclosures import Said, said
from valuation.errors import ModelError
from valuation.schema import INDICATOR, MONTH

if TYPE_CHECKING:
    import xarray as xr

    from valuation.study.case import Study

# Which sub-model a driver comes from; what no evidence reads (the model "worth") goes with the
# driver whose worth it is. A driver that is not listed is a group of its own. Money has no currency here.
GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "retention": (
        "People",
        (
            "talent_retained",
            "stars_retained",
            "founder_in_post",
            "talent_pool_bn",
            "retention_pay_bn",
        ),
    ),
    "adoption": ("Data services", ("adoption_share", "acquirer_spend", "price_discount")),
    "churn": ("Rivals and customers", ("rivals_active", "denial_bn")),
    "capability": (
        "Better models",
        ("capability_gap", "uplift_at_frontier", "share_due_to_deal"),
    ),
    "revenue": ("Worth of the target", ("revenue", "exit_multiple", "liquidity_discount")),
    "regulation": ("Regulation", ("regulation_cost_bn",)),
    "integration": ("Integration", ("integration_cost_bn",)),
}
# These move the price of a trade, so to know such a driver is to know it on the day of the choice too.
PRICED = ("revenue", "exit_multiple")
# Columns of one regression: richer ones find no more in these draws and take several times as long.
COLUMNS = 64
# A figure is read at its ends: the lowest and the highest fifth of the draws.
END = 0.2


# What is said of the choice as a whole; nothing where there is none.
_CHOICE = ("decided_on", "best", "runner_up", "margin", "margin_mcse")


def waiting(study: Study, noise: float = 1.0) -> dict[str, Any]:
    """``options`` and ``information`` of a study's results, as documented in CONTRIBUTING.

    ``noise`` is draws over effective draws of the chain.
    """
    why = _nothing_to_choose(study, noise)
    if why:
        return {
            "options": {"why": why, "choices": []} | dict.fromkeys(_CHOICE),
            "information": {"why": why, "evpi": None, "evpi_mcse": None}
            | {key: [] for key in ("drivers", "groups", "disclosures", "left_out")},
        }
    day = decision_day(study)
    payoff = options.payoffs(study.drivers, study.flows, study.deal, day=day)
    return {
        "options": _options(study, payoff, day, noise),
        "information": _information(study, payoff, day, noise),
    }


def decision_day(study: Study) -> dt.date:
    """The first day on which one can choose: the deal's, but not before what is known now."""
    stated = study.deal.decision_date
    return study.as_of if stated is None else max(stated, study.as_of)


def _nothing_to_choose(study: Study, noise: float) -> str:
    """Why there is no choice to make, in words; empty if there is."""
    from valuation.value import date_of_exit

    deal = study.deal
    if not deal.options:
        return "The deal file lists no options, so there is nothing to choose between."
    day, sold = decision_day(study), date_of_exit(deal)
    if "stake" in study.flows["component"] and day >= sold:
        return f"The stake is sold on {sold}, before a choice on {day}: no option is left."
    count = decision.effective_draws(study.drivers["weight"].to_numpy()) / noise
    if count < information.ENOUGH_DRAWS:
        return (
            f"Only {count:.0f} effective draws meet the scenario's conditions, too few to tell what "
            "an option or a piece of news is worth."
        )
    return ""


# --- options --------------------------------------------------------------------------------------


def _options(study: Study, payoff: xr.DataArray, day: dt.date, noise: float) -> dict[str, Any]:
    weight = study.drivers["weight"].to_numpy()
    best = information.best_option(payoff, weight, inflation=noise)
    short = information.regret(payoff, weight, inflation=noise)
    risk = information.expected_loss(payoff, weight, inflation=noise)
    terms = options.terms_of(study.drivers, study.flows, study.deal, weight, day=day)
    leader = payoff.sel(option=best.option).to_numpy()
    choices, currency = [], study.deal.currency
    for name, option in study.deal.options.items():
        draws = payoff.sel(option=name).to_numpy()
        own = decision.mean(draws, weight, inflation=noise)
        behind = decision.mean(leader - draws, weight, inflation=noise)
        lower, upper = decision.interval(draws, weight)
        after = study.deal.stake.fraction if option.stake_after is None else option.stake_after
        choices.append(
            {
                "option": name,
                "title": option.title,
                "source": option.source,
                "dated": str(option.dated),
                "reason": option.reason,
                "stake_after": after,
                "sells": after < study.deal.stake.fraction,
                spelled("price_bn", currency): terms[name].price,
                spelled("indifferent_bn", currency): terms[name].indifferent,
                spelled("cost_bn", currency): option.cost_bn,
                "mean": own.value,
                "mcse": own.mcse,
                "lower": lower,
                "upper": upper,
                "behind": behind.value,
                "behind_mcse": behind.mcse,
                "chance_best": float(short["chance_best"].sel(option=name)),
                "chance_best_mcse": float(short["chance_best_mcse"].sel(option=name)),
                "chance_loss": float(risk["chance"].sel(option=name)),
                "expected_loss": float(risk["expected_loss"].sel(option=name)),
            }
        )
    return {
        "why": "",
        "decided_on": str(day),
        "choices": choices,
        "best": best.option,
        "runner_up": best.runner_up,
        "margin": best.margin.value,
        "margin_mcse": best.margin.mcse,
    }


# --- information ----------------------------------------------------------------------------------


def _drivers(study: Study, day: dt.date) -> tuple[dict[str, dict[str, np.ndarray]], xr.Dataset]:
    """Draws of what there is to know of each driver, by name, and the drivers' labels."""
    scalars = decision.driver_scalars(study.drivers, study.deal)
    news: dict[str, dict[str, np.ndarray]] = {}
    for key, values in scalars.items():
        name = str(key)
        news[name] = {name: values.to_numpy()}
        if name in PRICED and MONTH in study.drivers[name].dims:
            on_day = options.on_day(study.drivers[name], study.deal, day)
            news[name][f"{name} on the day"] = on_day
    return news, scalars


def _information(study: Study, payoff: xr.DataArray, day: dt.date, noise: float) -> dict[str, Any]:
    weight = study.drivers["weight"].to_numpy()
    known, scalars = _drivers(study, day)
    currency = study.deal.currency
    groups = {
        name: [d for d in (spelled(m, currency) for m in members) if d in known]
        for name, (_, members) in GROUPS.items()
    }
    groups = {name: members for name, members in groups.items() if members}
    grouped = {d: name for name, members in groups.items() for d in members}
    told, left_out = _told(study)

    news: dict[str, Mapping[str, Any]] = {f"driver {n}": draws for n, draws in known.items()}
    for name, members in groups.items():
        news[f"group {name}"] = {k: v for d in members for k, v in known[d].items()}
    found = information.ranked(payoff, news, weight, inflation=noise, most=COLUMNS)
    return {
        "why": "",
        "evpi": found.attrs["evpi"],
        "evpi_mcse": found.attrs["evpi_mcse"],
        "drivers": _sorted(
            {
                "driver": name,
                "label": str(scalars[name].attrs.get("label", name)),
                "unit": str(scalars[name].attrs.get("units", "")),
                "group": grouped.get(name),
            }
            | _worth(found, f"driver {name}")
            for name in known
        ),
        "groups": _sorted(
            {"group": name, "label": GROUPS[name][0], "drivers": members}
            | _worth(found, f"group {name}")
            for name, members in groups.items()
        ),
        "disclosures": _sorted(
            _disclosure(study, payoff, day, noise, name, data) for name, data in told.items()
        ),
        "left_out": left_out,
    }


def _worth(found: xr.Dataset, name: str) -> dict[str, float]:
    row = found.sel(news=name)
    return {key: float(row[key]) for key in ("value", "mcse", "changes")}


def _sorted(rows: Any) -> list[dict[str, Any]]:
    """The most valuable first; names decide between equals."""
    return sorted(rows, key=lambda row: (-row["value"], str(next(iter(row.values())))))


def _told(study: Study) -> tuple[dict[str, tuple[Said, ...]], list[dict[str, str]]]:
    """What each coming disclosure will say, by name, and which ones cannot be asked, with the reason."""

    told: dict[str, tuple[Said, ...]] = {}
    left_out: list[dict[str, str]] = []
    coming = {}
    for name, news in study.deal.disclosures.items():
        if news.latest > study.as_of:
            coming[name] = news
        else:
            why = f"It was due by {news.latest}, which is not after {study.as_of}."
            left_out.append({"disclosure": name, "title": news.title, "why": why})
    if not coming:
        return told, left_out
    drivers = study.asked
    weight = study.drivers["weight"].to_numpy()
    for name, news in coming.items():
        truth = float(study.credibility[news.credibility])
        try:
            told[name] = said(
                name, news, drivers, study.deal, weight, truth=truth, random_seed=study.random_seed
            )
        except ModelError as error:  # about somebody or a day that this date or scenario lacks
            left_out.append({"disclosure": name, "title": news.title, "why": str(error)})
    return told, left_out


def _disclosure(
    study: Study,
    payoff: xr.DataArray,
    day: dt.date,
    noise: float,
    name: str,
    data: Sequence[Said],
) -> dict[str, Any]:
    """A disclosure's terms, what it is worth, what waiting for it costs, and what its ends advise.

    Who waits for it chooses on its day, at that day's prices: what the news does to them is in its worth.
    """
    news = study.deal.disclosures[name]
    weight = study.drivers["weight"].to_numpy()
    then = payoff
    if news.latest > day:
        then = options.payoffs(study.drivers, study.flows, study.deal, day=news.latest, since=day)
    without = information.best_option(then, weight).option
    at_once = payoff.sel(option=information.best_option(payoff, weight).option)
    loss = decision.mean(
        at_once.to_numpy() - then.sel(option=without).to_numpy(), weight, inflation=noise
    )
    found = information.ranked(
        then,
        {
            "told": {str(i): datum.told for i, datum in enumerate(data)},
            "exact": {str(i): datum.exact for i, datum in enumerate(data)},
        },
        weight,
        inflation=noise,
        most=COLUMNS,
        follows={"exact": "told"},
    )
    # Where it does not come nothing is learned, and one chooses as without it.
    told = {key: news.chance * number for key, number in _worth(found, "told").items()}
    exact = _worth(found, "exact")
    balance = told["value"] - loss.value - news.cost_bn
    return {
        "disclosure": name,
        "title": news.title,
        "source": news.source,
        "dated": str(news.dated),
        "reason": news.reason,
        "earliest": str(news.earliest),
        "latest": str(news.latest),
        "credibility": news.credibility,
        "chance": news.chance,
        "chance_true": float(study.credibility[news.credibility]),
        spelled("cost_bn", study.deal.currency): news.cost_bn,
        spelled("waiting_bn", study.deal.currency): loss.value,
        "waiting_mcse": loss.mcse,
        "balance": balance,
        "balance_mcse": math.hypot(told["mcse"], loss.mcse),
        "without": without,
        **told,
        "evppi": exact["value"],
        "evppi_mcse": exact["mcse"],
        "evpi": found.attrs["evpi"],
        "evpi_mcse": found.attrs["evpi_mcse"],
        "data": [
            {
                "about": datum.about,
                "day": str(datum.day),
                "subject": datum.subject,
                "threshold": datum.threshold,
                "sd": datum.sd,
                "label": shown.label,
                "unit": shown.unit,
                "readings": _readings(then, shown, weight, noise),
            }
            for datum, shown in zip(news.data, data, strict=True)
        ],
    }


def _readings(
    payoff: xr.DataArray, shown: Said, weight: np.ndarray, noise: float
) -> list[dict[str, Any]]:
    """Which option each end of a datum speaks for, and by how much over the choice made without it."""
    first = information.best_option(payoff, weight).option
    cases: list[tuple[str, np.ndarray, float | None]]
    if shown.unit == INDICATOR:
        cases = [("no", shown.told < 0.5, None), ("yes", shown.told >= 0.5, None)]
    else:
        low, high = (float(q) for q in decision.quantiles(shown.told, [END, 1 - END], weight))
        cases = [("at most", shown.told <= low, low), ("at least", shown.told >= high, high)]
    out = []
    for case, there, level in cases:
        if decision.effective_draws(weight * there) < information.ENOUGH_DRAWS:
            continue
        part = np.where(there, weight, 0.0)
        best = information.best_option(payoff, part).option
        lead = (payoff.sel(option=best) - payoff.sel(option=first)).to_numpy()
        told = decision.mean(lead, part, inflation=noise)
        out.append(
            {
                "reading": case,
                "level": level,
                "chance": float(part.sum() / weight.sum()),
                "best": best,
                "lead": told.value,
                "lead_mcse": told.mcse,
            }
        )
    return out
