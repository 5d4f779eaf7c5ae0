"""How much of an answer is opinion: what its priors, each row and each set of priors have to do with it.

Everything here reweighs the study's own draws, or simulates them again with the same dice. Power scaling changes no
path of a known person or customer, only how far each draw is believed, so there reweighting is right as it is; a row
that is left out may change what is known of somebody, so there the paths are simulated again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import decision, sensitivity, value
from valuation.currency import BN, unit_in
from valuation.errors import LedgerError, OutOfReach
from valuation.models import MODELS, joint
from valuation.params import HOUSE
from valuation.schema import finite
from valuation.sensitivity import ALPHAS
from valuation.study.pool import Pool, Quantity, Source, error_of, trouble

if TYPE_CHECKING:
    import xarray as xr

    from valuation.params.priors import Prior
    from valuation.study.case import Study
    from valuation.update import Weights

EVEN = 0.5  # the probability at which an answer flips
MAIN_DRIVERS = 6
MOVED = 4  # priors whose draws are moved where reweighting ends: each costs some forecasts
ALL = "all"
# Values that this module asks of a study's drivers.
EVENT, NPV = "event", "npv"


def plain_case(study: Study) -> bool:
    """Whether the draws are those of the posterior as they are: nothing conditioned, set, reweighted or re-priced.

    Other scenarios share its priors and its evidence, so what is opinion is told here once.
    """
    scenario = study.scenario
    return (
        study.models == tuple(MODELS)
        and not scenario.conditions
        and not scenario.sets
        and study.deal == study.base_deal
        and study.beliefs.method == "sampled"
    )


def opinion_of(study: Study, noise: float) -> dict[str, Any]:
    """What ``results.json`` holds under ``opinion`` beside the spread over prior sets.

    Parameters
    ----------
    noise
        Draws over effective draws of the chains, at least 1.
    """
    told: dict[str, Any] = {"target": EVEN, "pooled": pooled(study, noise)}
    if not plain_case(study):
        nothing = dict.fromkeys(("scaling", "prior_only", "break_even_priors", "influence"))
        why = (
            "How far the answer hangs on each prior and on each row is told in the base case, whose priors and "
            "evidence these are."
        )
        return told | nothing | {"elsewhere": why}
    return told | {
        "scaling": study.scaling,
        "prior_only": prior_only(study, noise),
        "break_even_priors": break_even_priors(study),
        "influence": influence(study),
        "elsewhere": "",
    }


def _answer(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Draws of paying off by the headline's definition, and of NPV."""
    event = study.values["pays_off"].sel(definition=study.deal.headline).to_numpy()
    return event.astype(float), study.values["npv"].to_numpy()


def varying(study: Study) -> dict[str, np.ndarray]:
    """Draws of every scalar that has a prior and is not fixed."""
    priors = study.book.get(study.prior_set)
    return {
        name: draws
        for name, draws in study.beliefs.parameters.items()
        if draws.ndim == 1 and name in priors and np.ptp(draws) > 0
    }


def owners(study: Study) -> dict[str, str]:
    """The sub-model that each prior belongs to: the first that asks for it."""
    context = study.evidence.context
    found: dict[str, str] = {}
    for model in study.models:
        for name in MODELS[model].scalars(context):
            found.setdefault(name, model)
    return found


# --- power scaling --------------------------------------------------------------------------------


def scaling(study: Study, noise: float = 1.0) -> dict[str, Any]:
    """Power-scaling sensitivity of the answer and of each parameter, by sub-model.

    A sub-model's prior is that of its scalars; standard-normal innovations belong to the structure, as the levels of
    a hierarchy do, and stay. Its likelihood is that of the rows that it reads. ``all`` scales every prior, or every
    row, at once.
    """
    evidence = study.under(study.prior_set, study.deal)
    draws, owner = varying(study), owners(study)
    density = {name: evidence.context.prior(name).logpdf(x) for name, x in draws.items()}
    rows = joint.row_log_likelihood(evidence, study.beliefs.parameters)
    kind = dict(zip(evidence.rows["id"], evidence.rows["kind"], strict=True))
    reader = np.array([joint.MODELS_BY_KIND[kind[i]] for i in evidence.ids])
    event, npv = _answer(study)
    scalars = decision.driver_scalars(study.drivers, study.deal)
    bars = decision.tornado(scalars, npv)
    main = [str(n) for n in bars["driver"].to_numpy()[:MAIN_DRIVERS]]
    limit = study.limits.psense_flag
    models, parameters = [], []
    for model in (*study.models, ALL):
        mine = [n for n in density if model in (ALL, owner[n])]
        read = np.ones(len(reader), dtype=bool) if model == ALL else reader == model
        sides: dict[str, dict[str, Any] | None] = {"prior": None, "likelihood": None}
        weighed: dict[str, tuple[Weights, Weights]] = {}
        if mine:
            weighed["prior"] = _both(np.sum([density[n] for n in mine], axis=0))
        if read.any():
            weighed["likelihood"] = _both(rows[:, read].sum(axis=1))
        for side, weights in weighed.items():
            sides[side] = _moved(study, weights, event, npv, scalars, main, noise)
        row: dict[str, Any] = {
            "model": model,
            "title": "Every sub-model at once" if model == ALL else MODELS[model].title,
            "parameters": len(mine),
            "rows": int(read.sum()),
            **sides,
        }
        prior, data = sides["prior"], sides["likelihood"]
        row["diagnosis"] = (
            sensitivity.diagnosis(prior["npv"], None if data is None else data["npv"], limit)
            if prior is not None
            else ""
        )
        models.append(row)
        if model != ALL:
            parameters += [_parameter(study, n, model, draws[n], weighed, limit) for n in mine]
    parameters.sort(key=lambda p: (p["diagnosis"] != sensitivity.CONFLICT, -p["prior"]))
    found: dict[str, Any] = {
        "alphas": list(ALPHAS),
        "limit": limit,
        "models": models,
        "parameters": parameters,
        "drivers": {n: str(scalars[n].attrs.get("label", n)) for n in main},
    }
    return found | {"sentence": _scaling_sentence(found)}


def _both(component: np.ndarray) -> tuple[Weights, Weights]:
    low, high = ALPHAS
    return (
        sensitivity.power_scaled(component, low),
        sensitivity.power_scaled(component, high),
    )


def _moved(
    study: Study,
    weights: tuple[Weights, Weights],
    event: np.ndarray,
    npv: np.ndarray,
    scalars: xr.Dataset,
    main: Sequence[str],
    noise: float,
) -> dict[str, Any]:
    """What two powers of one part do to the answer."""
    low, high = weights

    def change(x: np.ndarray, w: Weights) -> tuple[float, float]:
        found = decision.difference(x, x, w.weight, inflation=noise)
        return found.value, found.mcse

    def sensed(x: np.ndarray) -> float:
        return sensitivity.sensitivity(x, low.weight, high.weight)

    (less, less_mcse), (more, more_mcse) = change(event, low), change(event, high)
    (npv_less, npv_less_mcse), (npv_more, npv_more_mcse) = change(npv, low), change(npv, high)
    problems = [t for t in (trouble(w, study.limits) for w in weights) if t]
    most = max((less, less_mcse), (more, more_mcse), key=lambda pair: abs(pair[0]))
    return {
        "change": most[0],
        "change_mcse": most[1],
        "weaker": less,
        "weaker_mcse": less_mcse,
        "stronger": more,
        "stronger_mcse": more_mcse,
        "npv_weaker": npv_less,
        "npv_weaker_mcse": npv_less_mcse,
        "npv_stronger": npv_more,
        "npv_stronger_mcse": npv_more_mcse,
        "npv": sensed(npv),
        "drivers": {n: sensed(scalars[n].to_numpy()) for n in main},
        "khat": finite(max(w.khat for w in weights)),
        "effective_draws": min(w.effective_draws for w in weights),
        "why": problems[0] if problems else "",
    }


def _parameter(
    study: Study,
    name: str,
    model: str,
    draws: np.ndarray,
    weighed: Mapping[str, tuple[Weights, Weights]],
    limit: float,
) -> dict[str, Any]:
    sense = {
        side: sensitivity.sensitivity(draws, low.weight, high.weight)
        for side, (low, high) in weighed.items()
    }
    told = sensitivity.diagnosis(sense["prior"], sense.get("likelihood"), limit)
    return {
        "parameter": name,
        "label": study.book.get(study.prior_set)[name].label,
        "model": model,
        "prior": sense["prior"],
        "likelihood": sense.get("likelihood"),
        "diagnosis": told,
    }


def _scaling_sentence(found: Mapping[str, Any]) -> str:
    single = [m for m in found["models"] if m["model"] != ALL]
    moves = [
        (abs(m[side]["change"]), m[side]["change_mcse"], m["model"], side)
        for m in single
        for side in ("prior", "likelihood")
        if m[side] is not None and not m[side]["why"]
    ]
    if not moves:
        return "The draws cannot tell what weaker or stronger priors and rows would do."
    change, error, model, side = max(moves)
    flagged = [p["label"] for p in found["parameters"] if p["diagnosis"] == sensitivity.CONFLICT]
    what = "priors" if side == "prior" else "rows"
    low, high = found["alphas"]
    told = (
        f"Taking the {what} of {model} {100 * (1 - low):.0f}% less or {100 * (high - 1):.0f}% more seriously moves "
        f"the probability by up to {100 * change:.1f} points (simulation error {100 * error:.1f}), more than "
        "any other sub-model's priors or rows."
    )
    if not flagged:
        return f"{told} No prior stands against its evidence."
    verb = "stands" if len(flagged) == 1 else "stand"
    few = ", ".join(f"“{label}”" for label in flagged[:4])
    rest = f" and {len(flagged) - 4} more" if len(flagged) > 4 else ""
    return (
        f"{told} {len(flagged)} of {len(found['parameters'])} priors {verb} against evidence that pulls elsewhere: "
        f"{few}{rest}."
    )


# --- before any evidence --------------------------------------------------------------------------


def prior_only(study: Study, noise: float = 1.0) -> dict[str, Any]:
    """The answer of the priors alone, by the same code: the rosters are known, and no row of the ledger."""
    from valuation.forecast import forecast

    evidence = study.under(study.prior_set, study.deal)
    blank = replace(evidence, bound={}, rows=evidence.rows.iloc[:0])
    parameters = joint.prior_draws(blank.context, study.models, random_seed=study.random_seed)
    drivers = forecast(blank, parameters, random_seed=study.random_seed)
    before = value.value(drivers, study.deal, only=("npv", "pays_off"))
    name = study.deal.headline

    def told(values: xr.Dataset, inflation: float) -> dict[str, Any]:
        npv = values["npv"].to_numpy()
        event = values["pays_off"].sel(definition=name).to_numpy()
        chance = decision.probability(event, inflation=inflation)
        mean = decision.mean(npv, inflation=inflation)
        lower, upper = decision.interval(npv)
        return {
            "probability": chance.value,
            "mcse": chance.mcse,
            "npv_mean": mean.value,
            "npv_mcse": mean.mcse,
            "npv_median": float(decision.quantiles(npv, 0.5)),
            "npv_lower": lower,
            "npv_upper": upper,
        }

    prior, posterior = told(before, 1.0), told(study.values, noise)
    change = posterior["probability"] - prior["probability"]
    error = math.hypot(posterior["mcse"], prior["mcse"])
    way = "raised" if change > 0 else "lowered"
    moved = (
        f"{way} the probability by {100 * abs(change):.1f} points"
        if abs(change) > 2 * error
        else "left the probability where it was, as far as the simulation can tell"
    )
    narrowed = 1 - (posterior["npv_upper"] - posterior["npv_lower"]) / (
        prior["npv_upper"] - prior["npv_lower"]
    )
    width = (
        f"narrowed the 90% interval of NPV by {100 * narrowed:.0f}%"
        if narrowed > 0
        else f"widened the 90% interval of NPV by {-100 * narrowed:.0f}%"
    )
    return {
        "prior": prior,
        "posterior": posterior,
        "change": change,
        "change_mcse": error,
        "sentence": (
            f"The priors alone, valued by the same code, give {100 * prior['probability']:.1f}%; "
            f"{len(evidence.ids)} scored rows have {moved} and {width}."
        ),
    }


# --- what one prior would have to be --------------------------------------------------------------


def break_even_priors(study: Study) -> dict[str, Any]:
    """How far each prior, alone, would have to move for the probability to reach even odds.

    A prior that some row reads is first tilted by reweighting. Where that ends before even odds, the nearest few go
    on by moving the draws themselves, which leaves the weights to the rows alone; draws of what no row reads are
    moved from the start and weigh as before.
    """
    priors, owner = study.book.get(study.prior_set), owners(study)
    sampled = set(study.posterior["posterior"].data_vars)
    event, _ = _answer(study)
    found: dict[str, tuple[sensitivity.Shift, str]] = {}
    directions: dict[str, float] = {}
    for name, draws in varying(study).items():
        score = sensitivity.normal_score(priors[name], draws)
        pull = float(np.mean((score - score.mean()) * (event - event.mean())))
        directions[name] = pull if event.mean() < EVEN else -pull
        if name in sampled:
            there = sensitivity.shift_to(
                _by_weight(study, score, event), target=EVEN, direction=directions[name]
            )
            found[name] = there, "reweighted"
        else:
            there = sensitivity.shift_to(
                _by_move(study, priors[name]), target=EVEN, direction=directions[name], steps=1
            )
            found[name] = there, "moved"
    short = [n for n, (there, _) in found.items() if there.shift is None and not _went_far(there)]
    for name in sorted(short, key=lambda n: abs(found[n][0].probability - EVEN))[:MOVED]:
        there = sensitivity.shift_to(
            _by_move(study, priors[name], rows=True),
            target=EVEN,
            direction=directions[name],
            steps=1,
        )
        if there.shift is not None or _went_far(there):
            found[name] = there, "moved and reweighted"
    rows: list[dict[str, Any]] = []
    for name, (there, method) in found.items():
        prior = priors[name]
        at = there.reach if there.shift is None else there.shift
        rows.append(
            {
                "prior": name,
                "label": prior.label,
                "unit": prior.unit,
                "model": owner[name],
                "shift": there.shift,
                "reach": there.reach,
                "unreachable": there.shift is None and _went_far(there),
                "probability": there.probability,
                "khat": None if there.khat is None else finite(there.khat),
                "method": method,
                "median": float(prior.ppf(0.5)),
                "median_there": float(sensitivity.shifted(prior, [prior.ppf(0.5)], at)[0]),
            }
        )
    rows.sort(
        key=lambda r: (
            math.inf if r["shift"] is None else abs(r["shift"]),
            abs(r["probability"] - EVEN),
        )
    )
    return {"furthest": sensitivity.FURTHEST, "rows": rows, "sentence": _shift_sentence(rows)}


def _went_far(there: sensitivity.Shift) -> bool:
    return abs(there.reach) > sensitivity.FURTHEST - 1e-9


def _by_weight(study: Study, score: np.ndarray, event: np.ndarray) -> sensitivity.Chance:
    def chance(shift: float) -> tuple[float, float | None] | None:
        weights = sensitivity.tilted(score, shift)
        if trouble(weights, study.limits) is not None:
            return None
        return float(weights.weight @ event), weights.khat

    return chance


def _by_move(study: Study, prior: Prior, *, rows: bool = False) -> sensitivity.Chance:
    """The probability with every draw of one parameter moved, and valued again with the same dice.

    Moved by s in its normal score, a draw has under the tilted prior the density that it had under the old one, so
    its weight is the ratio of its rows' likelihoods after and before: 1 if no row reads the parameter.
    """
    from valuation.forecast import forecast
    from valuation.update import importance_weights

    name, evidence = prior.name, study.under(study.prior_set, study.deal)
    parameters, drivers = study.beliefs.parameters, study.drivers

    def likelihood(values: Mapping[str, np.ndarray]) -> np.ndarray:
        return np.asarray(joint.row_log_likelihood(evidence, values).sum(axis=1))

    def chance(shift: float) -> tuple[float, float | None] | None:
        moved = sensitivity.shifted(prior, parameters[name], shift)
        there = parameters | {name: moved}
        weight, khat = study.beliefs.weight, None
        if rows:
            weights = importance_weights(likelihood(there) - likelihood(parameters))
            if trouble(weights, study.limits) is not None:
                return None
            weight, khat = weights.weight, weights.khat
        if name in drivers and drivers[name].dims == ("draw",) and not rows:
            paths = drivers.assign({name: drivers[name].copy(data=moved)})
        else:
            paths = forecast(evidence, there, random_seed=study.random_seed)
        return float(weight @ measured(paths, study)[1][0]), khat

    return chance


def _shift_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    reached = [r for r in rows if r["shift"] is not None]
    furthest = sensitivity.FURTHEST
    short = [r for r in rows if r["shift"] is None and not r["unreachable"]]
    beyond = (
        f" For {len(short)} of the {len(rows)} priors the draws do not reach as far as that."
        if short
        else ""
    )
    if not reached:
        best = min(rows, key=lambda r: abs(r["probability"] - EVEN))
        return (
            f"No prior, moved alone by up to {furthest:g} of its standard deviations, brings the answer to even "
            f"odds; “{best['label']}” comes nearest, with {100 * best['probability']:.0f}% at "
            f"{abs(best['reach']):.1f}.{beyond}"
        )
    first = reached[0]
    return (
        f"Of {len(rows)} priors {len(reached)} could bring the answer to even odds alone; “{first['label']}” would "
        f"have to move least, by {abs(first['shift']):.1f} of its standard deviations.{beyond}"
    )


# --- without one row ------------------------------------------------------------------------------


def measured(drivers: xr.Dataset, study: Study) -> tuple[tuple[Quantity, ...], np.ndarray]:
    """Draws of the headline's event and of NPV alone, ``(quantity, draw)``: a fraction of what all values cost."""
    flows = value.cash_flows(drivers, study.deal)
    event = value.pays_off(drivers, flows, study.deal, study.deal.headline).to_numpy()
    npv = value.npv(flows, study.deal).to_numpy()
    told = (
        Quantity(EVENT, "Pays off", "probability", "definition"),
        Quantity(NPV, "Net present value", unit_in(BN, study.deal.currency), "value"),
    )
    return told, np.array([event.astype(float), npv])


def own_source(study: Study) -> Source:
    """The study's own posterior as draws that a pool weighs."""
    from valuation.study.case import log_target, stacked

    evidence = study.under(study.prior_set, study.deal)
    drawn = stacked(study.posterior)
    labels = {n: at for n, (_, at) in joint.innovations(evidence.context, study.models).items()}
    vectors = {
        n: {str(label): v[:, j] for j, label in enumerate(labels[n][: v.shape[1]])}
        for n, v in drawn.items()
        if v.ndim == 2
    }
    return Source(
        study.posterior_key(),
        {n: v for n, v in drawn.items() if v.ndim == 1},
        vectors,
        log_target(evidence, drawn, seed=study.random_seed),
        study.random_seed,
    )


def without(study: Study, row: str) -> Study:
    """The study as if one row had never been published: what it had replaced or crowded out holds again."""
    evidence = study.ledger.evidence
    kept = evidence[evidence["id"] != row].reset_index(drop=True)
    return replace(study, ledger=replace(study.ledger, evidence=kept))


def influence(study: Study) -> dict[str, Any]:
    """What the answer would be without each scored row, largest effect first; unreliable ones last, without numbers."""
    pool = Pool([own_source(study)], study, measure=measured)
    here, known = pool.at(study), set(study.evidence.ids)
    found: list[dict[str, Any]] = []
    rows = study.evidence.rows.set_index("id")
    claims = study.ledger.evidence.set_index("id")["claim"]
    for row in study.evidence.ids:
        told: list[float | None] = [None, None, None, None]
        khat = effective = None
        returns: list[str] = []
        try:
            other = without(study, row)
            there = pool.at(other)
        except (LedgerError, OutOfReach) as error:  # the other rows need it
            why = str(error)
        else:
            why = trouble(there.weights, study.limits) or ""
            khat, effective = finite(there.weights.khat), there.weights.effective_draws
            returns = sorted(set(other.evidence.ids) - known)
            if not why:
                change, wrong = there.values - here.values, error_of(there.scatter - here.scatter)
                told = [float(v) for pair in zip(change, wrong, strict=True) for v in pair]
        found.append(
            {
                "id": row,
                "claim": str(claims[row]),
                "kind": str(rows.loc[row, "kind"]),
                "subject": str(rows.loc[row, "subject"]),
                **dict(zip(("change", "mcse", "npv_change", "npv_mcse"), told, strict=True)),
                "khat": khat,
                "effective_draws": effective,
                "returns": returns,
                "why": why,
            }
        )
    found.sort(key=lambda r: (bool(r["why"]), -abs(r["change"] or 0.0), r["id"]))
    return {"rows": found, "sentence": _influence_sentence(found)}


def _influence_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    sound = [r for r in rows if not r["why"]]
    clear = [r for r in sound if abs(r["change"]) > 2 * r["mcse"]]
    lost = len(rows) - len(sound)
    unsure = (
        f" The effect of {lost} of the {len(rows)} rows cannot be told from these draws: fit again without them."
        if lost
        else ""
    )
    if not clear:
        return f"No single row of {len(rows)} moves the probability by more than its simulation error.{unsure}"
    top = clear[0]
    way = "higher" if top["change"] > 0 else "lower"
    return (
        f"Without {top['id']} (“{top['claim'].rstrip('.')}”) the probability would be "
        f"{100 * abs(top['change']):.1f} points {way}; {len(clear)} of {len(rows)} rows move it by more than "
        f"twice their simulation error.{unsure}"
    )


# --- prior sets as one ----------------------------------------------------------------------------


def pooled(study: Study, noise: float = 1.0) -> dict[str, Any]:
    """The linear pool of the prior sets: futures of each in proportion to its weight in ``params/priors.yaml``.

    ``shares_after`` says how far the evidence itself moves belief between the sets, which is the mixture of priors
    made a posterior; None where a condition would have to be counted too.
    """
    sets = study.other_sets
    shares = {name: share for name, share in study.book.weights.items() if share > 0}
    weight = {n: sets[n][1]["weight"].to_numpy() for n in shares}
    npv = {n: sets[n][1]["npv"].to_numpy() for n in shares}
    name = study.deal.headline
    event = {
        n: sets[n][1]["pays_off"].sel(definition=name).to_numpy().astype(float) for n in shares
    }
    chance = sensitivity.pooled(event, weight, shares, inflation=noise)
    money = sensitivity.pooled(npv, weight, shares, inflation=noise)
    together = np.concatenate([npv[n] for n in shares])
    mass = np.concatenate([shares[n] * weight[n] / weight[n].sum() for n in shares])
    lower, upper = decision.interval(together, mass)
    each = {n: float(decision.mean(event[n], weight[n]).value) for n in shares}
    low, high = min(each.values()), max(each.values())
    after = _shares_after(study, shares)
    told: dict[str, Any] = {
        "weights": shares,
        "probability": chance.estimate.value,
        "mcse": chance.estimate.mcse,
        "npv_mean": money.estimate.value,
        "npv_mcse": money.estimate.mcse,
        "npv_lower": lower,
        "npv_upper": upper,
        "low": low,
        "high": high,
        "between": chance.between_share,
        "npv_between": money.between_share,
        "shares_after": after,
        "probability_after": None,
        "probability_after_mcse": None,
    }
    updated = ""
    if after is not None:
        later = sensitivity.pooled(event, weight, after, inflation=noise)
        told |= {
            "probability_after": later.estimate.value,
            "probability_after_mcse": later.estimate.mcse,
        }
        best = max(after, key=lambda n: after[n] / shares[n])
        updated = (
            f" The evidence itself favours {study.book.labels[best]} most, from {100 * shares[best]:.0f}% to "
            f"{100 * after[best]:.0f}% of belief; so weighted the pool says {100 * later.estimate.value:.1f}%."
        )
    told["sentence"] = (
        f"Futures of all {len(shares)} prior sets in proportion to their weights give "
        f"{100 * chance.estimate.value:.1f}%, where single sets give {100 * low:.0f}% to {100 * high:.0f}%; "
        f"{100 * money.between_share:.0f}% of the pooled variance of NPV is disagreement between sets, the rest is "
        f"uncertainty within each.{updated}"
    )
    return told


def _shares_after(study: Study, shares: Mapping[str, float]) -> dict[str, float] | None:
    """Belief in each set once the evidence is in; None where it cannot be had from the house's draws."""
    from valuation.study.case import stacked
    from valuation.update import importance_weights

    if study.scenario.conditions:
        return None
    drawn, house = stacked(study.posterior), study.book.get(HOUSE)
    ratio = {}
    for name in shares:
        other = study.book.get(name)
        changed = [n for n in study.book.changed(name) if n in drawn]
        parts = [other[n].logpdf(drawn[n]) - house[n].logpdf(drawn[n]) for n in changed]
        draws = len(next(iter(drawn.values())))
        ratio[name] = np.sum(parts, axis=0) if parts else np.zeros(draws)
        if trouble(importance_weights(ratio[name]), study.limits) is not None:
            return None
    return sensitivity.shares_after(ratio, shares)
