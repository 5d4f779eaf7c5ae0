"""The results of a study as plain values: what ``results.json`` holds and every sentence quotes."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import clock, decision, value
from valuation.currency import BN, spelled, unit_in
from valuation.forecast import DRIVERS
from valuation.params import HOUSE
from valuation.schema import CI_PROB, TAIL, date_after
from valuation.study.opinion import opinion_of
from valuation.study.waiting import waiting

if TYPE_CHECKING:
    import xarray as xr

    from valuation.gate import Check
    from valuation.params import Deal
    from valuation.questions import Answer, Question
    from valuation.study.case import Study

SCHEMA = 1
PRICES = tuple(np.linspace(0.0, 2.0, 21))  # multiples of the outlay
RATES = tuple(np.linspace(0.0, 0.30, 31))
TORNADO_BARS = 10
NARROWED = 0.10  # share of the prior variance that evidence must have removed
LEADING = 10  # of the quantities left as wide, those that go with the NPV most
CURVE_STEP_MONTHS = 2
CURVE_MONTHS = 60  # beyond, nothing has been seen of anybody, and the marks would crowd at the left


def results_of(study: Study) -> dict[str, Any]:
    """All results of a study with every sub-model; keys as documented in CONTRIBUTING."""
    from valuation.study.live import live_of

    values, drivers, deal = study.values, study.drivers, study.deal
    weight = drivers["weight"].to_numpy()
    npv = values["npv"].to_numpy()
    noise = decision.inflation_of(npv, weight)
    scalars = decision.driver_scalars(drivers, deal)
    sets = _prior_sets(study)
    headline = _headline(study, noise, sets)
    bars = decision.tornado(scalars, npv, weight)
    return {
        **about(study),
        "scenario": _scenario(study),
        "notes": notes_of(study),
        "headline": headline,
        "definitions": _definitions(values, deal, weight, noise),
        "npv_quantiles": {
            f"{q:g}": float(decision.quantiles(npv, q, weight))
            for q in (0.05, 0.25, 0.5, 0.75, 0.95)
        },
        "npv_dots": _rounded(decision.quantile_dots(npv, weight), 4),
        "components": _components(values, deal, weight),
        "cash": _band(
            study.flows.sum("component").cumsum("quarter"),
            weight,
            [str(date_after(deal.closed, 3 * int(q))) for q in study.flows["quarter"].to_numpy()],
            "Cumulative cash",
            unit_in(BN, deal.currency),
        ),
        "payback": _payback(values, weight),
        "price": _price(study, noise),
        "hurdle": _hurdle(study, weight, noise),
        "tornado": _tornado(bars),
        "break_even": _break_even(scalars, bars, values, deal, weight),
        "break_even_values": _break_even_values(scalars, bars, npv, weight),
        "prior_sets": sets,
        "opinion": _opinion(study, sets, npv, weight) | opinion_of(study, noise),
        "drivers": driver_bands(drivers, weight),
        "quantities": _quantities(study, weight, noise),
        "people": _people(study, weight),
        "survival": _survival(study, weight),
        "customers": _customers(study, weight),
        "evidence": _evidence(study),
        "evidence_counts": _counts(study),
        "shrinkage": shrinkage(study),
        "outside_view": outside_view(study),
        "questions": open_questions(study, noise),
        "live": live_of(study),
        **waiting(study, noise),
    }


def told_deal(deal: Deal) -> dict[str, Any]:
    """The deal's terms in short, as every page names them."""
    return {
        "name": deal.name,
        "title": deal.title,
        "author": deal.author,
        "currency": deal.currency,
        "acquirer": deal.acquirer,
        "target": deal.target,
        spelled("outlay_bn", deal.currency): deal.outlay.total_bn,
        "stake": deal.stake.fraction,
        "closed": str(deal.closed),
        "discount_per_year": deal.discount.strategic_per_year,
        "stake_discount_per_year": deal.discount.stake_per_year,
        "hurdle_per_year": deal.hurdle.irr_per_year,
        "horizon_years": deal.horizon_years,
        # How a deal that is seen blind went. No number is made from it.
        "ending": None if deal.ending is None else deal.ending.model_dump(mode="json"),
    }


def about(study: Study) -> dict[str, Any]:
    """What every page's results begin with: the deal, the day, every check, and where the numbers come from."""
    return {
        "schema": SCHEMA,
        "deal": told_deal(study.deal),
        "as_of": str(study.as_of),
        "diagnostics": told_checks(study.gate().checks),
        "run": run_of(study),
    }


def run_of(study: Study) -> dict[str, Any]:
    """Provenance: seed, time, digests, versions, sampler and any override."""
    from valuation.posterior import versions

    return {
        "seed": study.random_seed,
        "created": clock.moment(),
        "digests": study.digests,
        "versions": versions(),
        "sampler": str(study.posterior.attrs["sampler"]),
        "posterior": study.posterior_key(),
        "override": study.override if not study.gate().passed else "",
    }


def told_checks(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Every check of the gate, one row each."""
    return [
        {
            "check": c.name,
            "value": c.value,
            "limit": c.limit,
            "passed": c.passed,
            "sentence": c.sentence,
        }
        for c in checks
    ]


def _headline(study: Study, noise: float, sets: list[dict[str, Any]]) -> dict[str, Any]:
    values, weight = study.values, study.drivers["weight"].to_numpy()
    npv, name = values["npv"].to_numpy(), study.deal.headline
    chance = decision.probability(
        values["pays_off"].sel(definition=name).to_numpy(), weight, inflation=noise
    )
    lower, upper = decision.interval(npv, weight)
    spread = decision.mean(npv, weight, inflation=noise)
    return {
        "definition": name,
        "label": definition_label(name, study.deal),
        "probability": chance.value,
        "mcse": chance.mcse,
        "natural": decision.natural_frequency(chance.value),
        "npv_mean": spread.value,
        "npv_mcse": spread.mcse,
        "npv_median": float(decision.quantiles(npv, 0.5, weight)),
        "npv_lower": lower,
        "npv_upper": upper,
        "ci_prob": CI_PROB,
        "opinion_low": min(s["probability"] for s in sets),
        "opinion_high": max(s["probability"] for s in sets),
    }


def _scenario(study: Study) -> dict[str, Any]:
    scenario = study.scenario
    meets = study.drivers["weight"].to_numpy() > 0
    before = study.unconditioned["weight"].to_numpy()
    chance = (
        decision.probability(meets, before) if scenario.conditions else decision.Estimate(1.0, 0.0)
    )
    return {
        "scenario": scenario.scenario,
        "title": scenario.title,
        "story": scenario.story,
        "probability": chance.value,
        "probability_mcse": chance.mcse,
        "conditions": [c.describe(study.deal.currency) for c in scenario.conditions],
        "sets": [s.describe(study.deal.currency) for s in scenario.sets],
        "prior_set": study.prior_set,
        "prior_set_label": study.book.labels[study.prior_set],
        "terms": changed_terms(study),
        "past": list(study.reaches_back),
    }


def definition_label(name: str, deal: Any) -> str:
    """What a definition of paying off means in this deal, with its date or rate."""
    told = {
        "moic": f"Money back by {told_day(deal.hurdle.moic_by)}, undiscounted",
        "irr": f"A return of at least {100 * deal.hurdle.irr_per_year:g}% a year",
        "no_impairment": (
            f"Not written down by {told_day(deal.impairment.by)} "
            f"(worth {100 * deal.impairment.threshold:g}% of book or more)"
        ),
    }
    return told.get(name, value.LABELS[name])


def told_day(date: dt.date) -> str:
    return f"{date.day} {date:%B %Y}"


def changed_terms(study: Study) -> list[str]:
    """A sentence for each term of the deal that the scenario changes."""

    def flat(tree: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
        if not isinstance(tree, dict):
            return {path: tree}
        return {k: v for key, sub in tree.items() for k, v in flat(sub, (*path, key)).items()}

    old = flat(study.base_deal.model_dump(mode="json"))
    new = flat(study.deal.model_dump(mode="json"))
    return [
        f"{spelled(' '.join(path), study.deal.currency).replace('_', ' ')}: {new[path]} instead of "
        f"{old.get(path, 'nothing')}"
        for path in sorted(new)
        if new[path] != old.get(path) and path != ("prior_set",)
    ]


def notes_of(study: Study) -> list[str]:
    """What a reader should know about the reach and the hindsight of the inputs."""
    notes = []
    ending = study.base_deal.ending
    if not any(day > study.deal.closed for day in study.ledger.scored()["event_date"]):
        notes.append(
            "No evidence has been entered of anything that happened after the close on "
            f"{told_day(study.deal.closed)}: this is what the priors say by themselves. "
            f"`valuation news add --deal {study.deal.name}` enters what is known."
        )
    if ending is not None:
        notes.append(
            f"A blind replay: nothing published after {told_day(study.as_of)} is read. The terms and the priors were "
            "written later, by people who knew the ending; what happened stands below and enters no number."
        )
    elif study.as_of_given:
        notes.append(
            f"A replay: evidence, rosters and comparable deals are those of {told_day(study.as_of)}; "
            "the terms of the deal and the priors are as written today."
        )
    return [*notes, *study.reaches_back]


def _definitions(
    values: xr.Dataset, deal: Any, weight: np.ndarray, noise: float
) -> list[dict[str, Any]]:
    out = []
    for name in values["definition"].to_numpy():
        chance = decision.probability(
            values["pays_off"].sel(definition=name).to_numpy(), weight, inflation=noise
        )
        out.append(
            {
                "definition": str(name),
                "label": definition_label(str(name), deal),
                "probability": chance.value,
                "mcse": chance.mcse,
            }
        )
    return out


def _components(values: xr.Dataset, deal: Any, weight: np.ndarray) -> list[dict[str, Any]]:
    bars = decision.waterfall(values["present_value"], weight)
    return [
        {
            "component": str(name),
            "label": value.COMPONENT_LABELS[str(name)],
            "strategic": str(name) in deal.strategic,
            "mean": float(bars["mean"].sel(component=name)),
            "lower": float(bars["lower"].sel(component=name)),
            "upper": float(bars["upper"].sel(component=name)),
        }
        for name in bars["component"].to_numpy()
    ]


def _payback(values: xr.Dataset, weight: np.ndarray) -> dict[str, Any]:
    years = values["payback_years"].to_numpy()
    median = float(decision.quantiles(years, 0.5, weight))
    never = float(weight[~np.isfinite(years)].sum() / weight.sum())
    returns = values["irr"].to_numpy()
    known = np.isfinite(returns)
    middle = decision.quantiles(returns[known], 0.5, weight[known]) if weight[known].sum() else None
    return {
        "median_years": median if math.isfinite(median) else None,
        "never": never,
        "irr_median": None if middle is None else float(middle),
        "irr_undefined": float(weight[~known].sum() / weight.sum()),
        "moic_median": float(decision.quantiles(values["moic"].to_numpy(), 0.5, weight)),
    }


def _price(study: Study, noise: float) -> list[dict[str, Any]]:
    if "outlay" not in study.flows["component"]:
        return []
    prices = [float(p) * study.deal.outlay.total_bn for p in PRICES]
    curve = decision.by_price(study.drivers, study.flows, study.deal, prices, inflation=noise)
    at = spelled("price_bn", study.deal.currency)
    return [
        {at: p, "probability": float(y), "mcse": float(e)}
        for p, y, e in zip(prices, curve["probability"], curve["mcse"], strict=True)
    ]


def _hurdle(study: Study, weight: np.ndarray, noise: float) -> list[dict[str, Any]]:
    curve = decision.by_hurdle(study.flows, study.deal, RATES, weight, inflation=noise)
    columns = ("probability", "mcse", "npv_mean", "expected_loss", "evpi")
    return [
        {"rate": float(rate)} | {c: float(curve[c].isel(rate=i)) for c in columns}
        for i, rate in enumerate(RATES)
    ]


def _tornado(bars: xr.Dataset) -> list[dict[str, Any]]:
    out = []
    for i in range(min(TORNADO_BARS, bars.sizes["driver"])):
        bar = bars.isel(driver=i)
        out.append(
            {
                "driver": str(bar["driver"].item()),
                "label": str(bar["label"].item()),
                "unit": str(bar["unit"].item()),
            }
            | {
                key: float(bar[key])
                for key in (
                    "low_value",
                    "high_value",
                    "npv_low",
                    "npv_high",
                    "npv_low_mcse",
                    "npv_high_mcse",
                )
            }
        )
    return out


def _break_even(
    scalars: xr.Dataset, bars: xr.Dataset, values: xr.Dataset, deal: Any, weight: np.ndarray
) -> dict[str, Any]:
    """P(pays off) over the two drivers that move the NPV most."""
    x, y = (str(n) for n in bars["driver"].to_numpy()[:2])
    event = values["pays_off"].sel(definition=deal.headline).to_numpy()
    cells = decision.break_even_map(scalars[x], scalars[y], event, weight)

    def named(key: str) -> str:
        attrs = scalars[key].attrs
        unit = attrs.get("units", "")
        return f"{attrs.get('label', key)}{f' ({unit})' if unit else ''}"

    return {
        "x_driver": x,
        "y_driver": y,
        "x_label": named(x),
        "y_label": named(y),
        "x": [float(v) for v in cells["x"].to_numpy()],
        "y": [float(v) for v in cells["y"].to_numpy()],
        "probability": [
            [None if math.isnan(p) else float(p) for p in row]
            for row in cells["probability"].to_numpy()
        ],
    }


def _break_even_values(
    scalars: xr.Dataset, bars: xr.Dataset, npv: np.ndarray, weight: np.ndarray
) -> list[dict[str, Any]]:
    """For each leading driver, where the mean NPV reaches zero, and how likely the driver gets there."""
    out = []
    for i in range(min(TORNADO_BARS, bars.sizes["driver"])):
        name = str(bars["driver"].to_numpy()[i])
        x = scalars[name].to_numpy()
        point = decision.break_even_value(x, npv, weight)
        rises = float(bars["npv_high"].isel(driver=i)) >= float(bars["npv_low"].isel(driver=i))
        beyond = None
        if point is not None:
            there = x >= point if rises else x <= point
            beyond = float(weight[there].sum() / weight.sum())
        out.append(
            {
                "driver": name,
                "label": str(bars["label"].to_numpy()[i]),
                "unit": str(bars["unit"].to_numpy()[i]),
                "value": point,
                "at_least": rises,
                "probability": beyond,
            }
        )
    return out


def _prior_sets(study: Study) -> list[dict[str, Any]]:
    valued = {name: values for name, (_, values) in study.other_sets.items()}
    table = decision.compare_sets(valued, definition=study.deal.headline)
    out = []
    for name, (believed, _) in study.other_sets.items():
        row = table.sel(prior_set=name)
        out.append(
            {
                "prior_set": name,
                "label": study.book.labels[name],
                "probability": float(row["probability"]),
                "mcse": float(row["mcse"]),
                "npv_mean": float(row["npv_mean"]),
                "khat": believed.khat,
                "effective_draws": float(row["effective_draws"]),
                "method": believed.method,
            }
        )
    return out


def _opinion(
    study: Study, sets: list[dict[str, Any]], npv: np.ndarray, weight: np.ndarray
) -> dict[str, Any]:
    """How much of the answer is opinion, by prior sets and by the spread of the NPV.

    ``share``: of the spread that goes with the leading quantities that evidence has not narrowed, of which
    ``share_untouched`` goes with those that no row reads at all.
    """
    from valuation.study.case import stacked

    draws = study.beliefs.parameters
    sampled = stacked(study.posterior)
    loose = _unnarrowed(study, npv, weight)
    unread = [n for n in draws if draws[n].ndim == 1 and n not in sampled and np.ptp(draws[n]) > 0]
    chances = {s["prior_set"]: s["probability"] for s in sets}
    untouched = decision.variance_share(npv, {n: draws[n] for n in unread}, weight)
    share = decision.variance_share(npv, {n: draws[n] for n in loose}, weight)
    low, high = min(chances.values()), max(chances.values())
    return {
        "low": low,
        "high": high,
        "range": high - low,
        "share": share,
        "share_untouched": untouched,
        "sentence": (
            f"Across the prior sets the probability goes from {100 * low:.0f}% to {100 * high:.0f}%. About "
            f"{100 * share:.0f}% of the spread of NPV (its variance) goes with {len(loose)} leading quantities that "
            f"the evidence has not narrowed, {100 * untouched:.0f}% with quantities that no evidence reads at all."
        ),
        "parameters": [study.book.get(study.prior_set)[n].label for n in loose],
    }


def _unnarrowed(study: Study, npv: np.ndarray, weight: np.ndarray) -> list[str]:
    """Scalars as wide as their prior, those whose ranks go most with the NPV's."""
    from scipy.stats import rankdata

    narrowed = {r["parameter"] for r in shrinkage(study) if r["contraction"] > NARROWED}
    keep = weight > 0
    share = weight[keep] / weight[keep].sum()

    def score(x: np.ndarray) -> np.ndarray:
        rank = rankdata(x[keep])
        centred = rank - share @ rank
        return centred / np.sqrt(share @ centred**2)

    outcome = score(npv)
    strength = {
        name: abs(float(share @ (score(values) * outcome)))
        for name, values in study.beliefs.parameters.items()
        if values.ndim == 1 and name not in narrowed and np.ptp(values[keep]) > 0
    }
    return sorted(strength, key=lambda n: (-strength[n], n))[:LEADING]


def _quantities(study: Study, weight: np.ndarray, noise: float) -> list[dict[str, Any]]:
    """Every number that an update is split for, as it is published here."""
    from valuation.study.pool import quantities_of

    told, values = quantities_of(study.drivers, study)
    out = []
    for quantity, draws in zip(told, values, strict=True):
        estimate = decision.mean(draws, weight, inflation=noise)
        out.append({**vars(quantity), "value": estimate.value, "mcse": estimate.mcse})
    return out


def open_questions(study: Study, noise: float = 1.0) -> list[dict[str, Any]]:
    """Every open question with its probability from the study's draws."""
    from valuation import questions

    register = questions.questions_of(study.ledger.questions)
    drivers = study.asked
    weight = study.drivers["weight"].to_numpy()
    return [
        told_question(q, questions.answer(drivers, weight, q, inflation=noise))
        for q in register
        if q.is_open
    ]


def told_question(question: Question, answer: Answer) -> dict[str, Any]:
    """A question and its answer as plain values; of a quantity with its median and its central 90%."""
    from valuation.questions import spread

    lower, median, upper = spread(answer.quantiles) if answer.quantiles else (None, None, None)
    return {
        "id": question.id,
        "question": question.question,
        "opens": str(question.opens),
        "closes": str(question.closes),
        "driver": question.driver,
        "resolution_source": question.resolution_source or "",
        "fine_print": question.fine_print or "",
        "base_rate": question.base_rate,
        "base_rate_source": question.base_rate_source or "",
        "base_value": question.base_value,
        "unit": question.unit or "",
        "median": median,
        "lower": lower,
        "upper": upper,
        "quantiles": list(answer.quantiles),
        "probability": answer.probability,
        "mcse": answer.mcse,
        "by": answer.by,
        "why": answer.why,
    }


def _band(
    paths: xr.DataArray, weight: np.ndarray, dates: list[str], label: str, units: str
) -> dict[str, Any]:
    data = paths.transpose("draw", ...).to_numpy()
    levels = np.array([TAIL, 0.25, 0.5, 0.75, 1.0 - TAIL])
    bands = np.array([decision.quantiles(column, levels, weight) for column in data.T])
    lower, lower50, median, upper50, upper = bands.T
    return {
        "label": label,
        "units": units,
        "dates": dates,
        "lower": _rounded(lower),
        "lower50": _rounded(lower50),
        "median": _rounded(median),
        "upper50": _rounded(upper50),
        "upper": _rounded(upper),
        "mean": _rounded(weight @ data / weight.sum()),
    }


def _rounded(values: Any, digits: int = 5) -> list[float]:
    return [round(float(v), digits) for v in values]


def driver_bands(drivers: xr.Dataset, weight: np.ndarray) -> dict[str, Any]:
    """Bands of every monthly driver, every third month."""
    out = {}
    for name in DRIVERS:
        if name in drivers and decision.moves(drivers[name]):
            path = drivers[name].isel(month=slice(None, None, 3))
            dates = [str(d)[:10] for d in path["date"].to_numpy()]
            out[name] = _band(path, weight, dates, path.attrs["label"], path.attrs["units"])
    return out


def horizon_dates(study: Study) -> list[dt.date]:
    """The as-of date and the first, second, third and fifth anniversaries that lie after it."""
    late = [date_after(study.deal.closed, 12 * y) for y in (1, 2, 3, 5)]
    last = date_after(study.deal.closed, 12 * study.deal.horizon_years)
    return [study.as_of] + [d for d in late if study.as_of < d <= last]


def _chance(hit: np.ndarray, weight: np.ndarray) -> float:
    return float((hit * weight).sum() / weight.sum())


def _people(study: Study, weight: np.ndarray) -> list[dict[str, Any]]:
    from valuation.models import retention

    context, curves = study.evidence.context, study.curves
    names = retention.cohorts(context)
    exits = study.drivers["person_exit"]
    rows = study.evidence.rows
    cut = set(rows.loc[rows["kind"] == "layoff", "subject"])
    out = []
    for _, person in context.people.sort_values("subject").iterrows():
        subject, shown = person["subject"], {}
        for date in horizon_dates(study):
            month = context.month(date)
            if subject in exits["person"].to_numpy():
                here = exits.sel(person=subject).to_numpy() > month
            else:
                hazard = np.exp(curves["log_exit_hazard"][:, names.index(person["cohort"]), :])
                age = np.array([max(month - context.starts[subject], 0.0)])
                here = np.exp(-hazard @ retention.exposure(age).T)[:, 0]
                if subject in cut:  # jobs cut are another way out
                    here = here * np.exp(-study.beliefs.parameters["layoff_hazard"] * age[0])
            shown[str(date)] = _chance(here, weight)
        out.append(
            {
                "subject": subject,
                "cohort": person["cohort"],
                "size": int(person["size"]),
                "talent": bool(person["talent"]),
                "probability_in_post": shown,
            }
        )
    return out


def _survival(study: Study, weight: np.ndarray) -> list[dict[str, Any]]:
    """The chance of being in post by months in post, by cohort, with what was seen of its named people."""
    from valuation.models import retention

    curves = study.curves["cohort_survival"]
    months = np.arange(0, min(CURVE_MONTHS + 1, curves.shape[2]), CURVE_STEP_MONTHS)
    out = []
    for place, cohort in enumerate(retention.cohorts(study.evidence.context)):
        levels = [
            decision.quantiles(curves[:, place, month], [TAIL, 0.5, 1.0 - TAIL], weight)
            for month in months
        ]
        lower, median, upper = (_rounded(np.array(line), 5) for line in zip(*levels, strict=True))
        out.append(
            {
                "cohort": cohort,
                "months": [int(month) for month in months],
                "lower": lower,
                "median": median,
                "upper": upper,
                "marks": seen_of(study, cohort),
            }
        )
    return out


def seen_of(study: Study, cohort: str) -> list[dict[str, Any]]:
    """Exits and last sightings of a cohort's named people, on their own clocks."""
    from valuation.models import retention

    context = study.evidence.context
    roster = context.people.set_index("subject")
    marks = []
    for _, row in study.evidence.rows.iterrows():
        if row["kind"] not in ("departure", "sighting"):
            continue
        if roster.loc[row["subject"], "cohort"] != cohort:
            continue
        marks.append(
            {
                "month": float(retention.clock(context, row["subject"], row)),
                "label": row["subject"],
                "status": "exit" if row["kind"] == "departure" else "seen",
            }
        )
    return marks


def _customers(study: Study, weight: np.ndarray) -> list[dict[str, Any]]:
    context, curves = study.evidence.context, study.curves
    subjects = context.subjects("customers")
    roster = context.customers.set_index("subject")
    ends, returns = study.drivers["customer_end"], study.drivers["customer_return"]
    out = []
    for i, subject in enumerate(subjects):
        row, shown = roster.loc[subject], {}
        for date in horizon_dates(study):
            month = context.month(date)
            if row["start"] > date:
                continue
            if row["pooled"]:
                place = min(round(month), context.horizon)
                here = curves["customer_active"][:, i, place]
            else:
                end, back = ends.sel(customer=subject), returns.sel(customer=subject)
                here = (month < end.to_numpy()) | (month >= back.to_numpy())
            shown[str(date)] = _chance(here, weight)
        out.append(
            {
                "subject": subject,
                "segment": row["segment"],
                "rival": int(row["rival"]),
                "revenue_share": float(row["revenue_share"]),
                "probability_active": shown,
            }
        )
    return out


def _evidence(study: Study) -> list[dict[str, Any]]:
    ledger = study.ledger
    scored = set(ledger.scored()["id"])
    reason = dict(zip(*(ledger.dropped()[c] for c in ("id", "reason")), strict=True))
    sources = ledger.sources.set_index("source")
    out = []
    for _, row in ledger.evidence.iterrows():
        source = sources.loc[row["source"]]
        shown = {
            key: _text(row[key])
            for key in ("id", "published", "event_date", "claim", "source", "root", "credibility")
        }
        out.append(
            shown
            | {
                "publisher": _text(source["publisher"]),
                "address": _text(source["address"]),
                "c": float(study.credibility[row["credibility"]]),
                "kind": _text(row["kind"]),
                "subject": _text(row["subject"]),
                "value": _text(row["value"]),
                "scored": row["id"] in scored,
                "note": reason.get(row["id"], ""),
            }
        )
    return out


def _text(item: Any) -> str:
    if item is None or (isinstance(item, float) and math.isnan(item)):
        return ""
    return f"{item:g}" if isinstance(item, float) else str(item)


def _counts(study: Study) -> dict[str, int]:
    rows = study.ledger.evidence
    typed = int((rows["kind"].fillna("") != "").sum())
    return {
        "total": len(rows),
        "typed": typed,
        "scored": len(study.ledger.scored()),
        "context": len(rows) - typed,
    }


def shrinkage(study: Study) -> list[dict[str, Any]]:
    """How far each prior was narrowed, for the parameters that some row touches."""
    from valuation.study.case import stacked

    book, out = study.book.get(HOUSE), []
    for name, draws in stacked(study.posterior).items():
        if draws.ndim > 1:
            continue
        prior = book[name]
        out.append(
            {
                "parameter": name,
                "label": prior.label,
                "prior_mean": float(prior.mean),
                "prior_sd": float(prior.sd),
                "mean": float(draws.mean()),
                "sd": float(draws.std(ddof=1)),
                "contraction": float(1.0 - draws.var(ddof=1) / prior.sd**2),
            }
        )
    return sorted(out, key=lambda r: (-r["contraction"], r["parameter"]))


def outside_view(study: Study) -> dict[str, Any]:
    """How often comparable deals paid off: Jeffreys interval on those whose outcome is known."""
    from scipy.stats import beta

    deals = study.ledger.reference_deals
    seen = deals["outcome_date"].map(lambda d: isinstance(d, dt.date) and d <= study.as_of)
    known = deals[deals["outcome"].isin(["success", "mixed", "failure"]) & seen]
    n, wins = len(known), int((known["outcome"] == "success").sum())
    low, high = beta.ppf([TAIL, 1.0 - TAIL], wins + 0.5, n - wins + 0.5)
    return {
        "successes": wins,
        "n": n,
        "rate": wins / n if n else None,
        "lower": float(low),
        "upper": float(high),
        "mixed": int((known["outcome"] == "mixed").sum()),
        "left_out": int(len(deals) - n),
    }
