"""Simulation-based calibration of the whole machine, from the prior to the dollar.

Each simulation draws a truth from a pool of prior draws, lets it write a ledger of a given design
(:mod:`valuation.calibration.worlds`), weighs the pool by the likelihood that the answer uses, and finds the place
of the truth. The truth is one of the pool, and so are the strangers behind false rows: the weighted pool is the exact
posterior of a discrete prior. Places are then uniform without any error of sampling, whatever the effective draws;
few of those cost power, not validity, which is why no Pareto smoothing is needed, and why hundreds of posteriors take
a minute instead of a night of NUTS. What this leaves open, whether the sampler finds the same posterior, a test
settles by holding both against each other on one simulated ledger.

Futures (NPV, drivers) come from a few hundred draws resampled from the weighted pool, the truth among them: its rank is
uniform as exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from valuation.calibration import worlds
from valuation.calibration.ranks import interval_width, place
from valuation.errors import ModelError
from valuation.forecast import forecast
from valuation.models import MODELS, closure, joint
from valuation.models.base import Context
from valuation.models.joint import Evidence
from valuation.schema import CI_PROB, CUSTOMER, PERSON
from valuation.value import cash_flows, npv, pays_off

Pool = Mapping[str, np.ndarray]
# (evidence, pool) -> log-likelihood of every row, (draw, row), rows as in ``evidence.ids``
Fit = Callable[[Evidence, Pool], np.ndarray]

FUTURES = 200  # draws of each posterior whose futures are simulated
AHEAD = 24  # months from the close at which drivers are compared
ROUNDING = 1e-9  # of a driver's size: less is no difference between draws, but between two spellings of a formula
NPV, PAYS_OFF = "NPV", "pays off"
DRIVERS = {
    "people in post": "Named people in post",
    "rivals active": "Rivals' business kept",
    "adoption share": "Target's share of data spending",
    "capability gap": "Gap to the frontier",
}


@dataclass(frozen=True)
class Calibration:
    """Places of the truths over simulations, and what goes with them.

    Attributes
    ----------
    places
        Quantity → ``(simulation,)``; without what is the same in every draw of every simulation, such as the rivals of
        a deal that has none.
    group
        Quantity → the sub-model it belongs to, or ``answer``.
    effective
        Effective draws of each weighted pool, ``(simulation,)``.
    chance, outcome
        Posterior probability of paying off and whether the truth did, ``(simulation,)``; empty without futures.
    """

    places: dict[str, np.ndarray]
    group: dict[str, str]
    effective: np.ndarray
    chance: np.ndarray
    outcome: np.ndarray

    @property
    def simulations(self) -> int:
        return len(self.effective)

    def off(self) -> float:
        """Standard deviations by which the truths paid off more often than their posteriors said."""
        spread = np.sqrt((self.chance * (1.0 - self.chance)).sum() * (1.0 + 1.0 / FUTURES))
        return float((self.outcome - self.chance).sum() / spread)


def plain_fit(evidence: Evidence, pool: Pool) -> np.ndarray:
    """The log-likelihood of rows that the answer uses."""
    return joint.row_log_likelihood(evidence, pool)


def calibrate(
    context: Context,
    design: pd.DataFrame,
    *,
    models: tuple[str, ...] | None = None,
    simulations: int,
    pool_draws: int,
    random_seed: int,
    futures: bool = True,
    fit: Fit | None = None,
) -> Calibration:
    """Simulate ledgers, fit each, and place the truth in every posterior.

    Parameters
    ----------
    design
        Scored rows of which kinds, subjects, dates, errors and credibilities are kept.
    models
        Sub-models, with what they require; default: all.
    futures
        Whether to simulate NPV and drivers, too; needs every sub-model.
    fit
        Another likelihood of the rows to weigh the pool with; tests plant errors here.
    """
    names = closure(models)
    stage = worlds.cast(context, design, names)
    pool = joint.prior_draws(context, names, random_seed=joint.REFERENCE_SEED, draws=pool_draws)
    quantities = dict(_parameters(context, names, pool, design))
    group = {name: model for name, (model, _) in quantities.items()}
    places: dict[str, list[float]] = {}
    effective, chance, outcome = [], [], []
    moved: set[str] = set()
    for i in range(simulations):
        rng = np.random.default_rng([random_seed, i])
        world = worlds.simulate(stage, pool, models=names, rng=rng)
        evidence = joint.bind(context, world.rows, models=names, draws=pool_draws)
        rows = plain_fit(evidence, pool)
        weight = normalized(fit(evidence, pool).sum(axis=-1) if fit else rows.sum(axis=-1))
        effective.append(1.0 / float((weight**2).sum()))
        for name, (_, values) in quantities.items():
            places.setdefault(name, []).append(place(values, weight, world.index, rng))
        kinds = dict(zip(world.rows["id"], world.rows["kind"], strict=True))
        owner = np.array([joint.MODELS_BY_KIND[kinds[row]] for row in evidence.ids])
        for model in dict.fromkeys(owner):
            told = f"fit of {model}"
            group[told] = model
            values = rows[:, owner == model].sum(axis=-1)
            places.setdefault(told, []).append(place(values, weight, world.index, rng))
        if futures:
            ahead = _futures(stage, world, evidence, pool, weight, rng)
            equal = np.ones(FUTURES + 1)
            for name, draws in ahead.items():
                group[name] = "answer"
                places.setdefault(name, []).append(place(draws, equal, 0, rng))
                if np.ptp(draws) > ROUNDING * np.abs(draws).max():
                    moved.add(name)
            chance.append(float(ahead[PAYS_OFF][1:].mean()))
            outcome.append(float(ahead[PAYS_OFF][0]))
    return Calibration(
        {
            name: np.array(values)
            for name, values in places.items()
            if group[name] != "answer" or name in moved
        },
        group,
        np.array(effective),
        np.array(chance),
        np.array(outcome),
    )


def normalized(log_weight: np.ndarray) -> np.ndarray:
    """Weights in proportion to ``exp(log_weight)``, summing to 1."""
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def _parameters(
    context: Context, names: tuple[str, ...], pool: Pool, design: pd.DataFrame
) -> Iterator[tuple[str, tuple[str, np.ndarray]]]:
    """Parameters that vary, of the models that read evidence, vectors only as far as rows reach."""
    last = max(context.month(d) for d in design["event_date"])
    near = replace(context, reach=max(12, 6 * int(np.ceil(last / 6.0))))
    for model in names:
        sub = MODELS[model]
        if not sub.kinds:
            continue
        for name in sub.scalars(context):
            if np.ptp(pool[name]) > 0.0:
                yield name, (model, pool[name])
        for name, (_, labels) in sub.innovations(near).items():
            for j, label in enumerate(labels):
                yield f"{name}[{label}]", (model, pool[name][:, j])


def _futures(
    stage: worlds.Cast,
    world: worlds.World,
    evidence: Evidence,
    pool: Pool,
    weight: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """NPV, paying off and the drivers, ``(draw,)``: the truth first, then draws of its posterior.

    People and customers follow the world's own events, which the forecast has never seen; what has no event of its own
    (NPV, the gap) takes its truth from the forecast of the true parameters.
    """
    context = stage.context
    chosen = np.append(world.index, rng.choice(len(weight), size=FUTURES, p=weight))
    drivers = forecast(
        evidence,
        {name: values[chosen] for name, values in pool.items()},
        random_seed=int(rng.integers(2**31)),
    )
    flows = cash_flows(drivers, context.deal)
    exits = drivers["person_exit"].to_numpy().copy()
    exits[0] = [world.exits[str(s)] for s in drivers[PERSON].to_numpy()]
    ends, returns = (drivers[n].to_numpy().copy() for n in ("customer_end", "customer_return"))
    subjects = [str(s) for s in drivers[CUSTOMER].to_numpy()]
    ends[0] = [world.ends[s] for s in subjects]
    returns[0] = [world.returns[s] for s in subjects]
    rival = np.array(
        [
            float(row["revenue_share"]) * float(row["rival"]) * (1.0 - float(row["pooled"]))
            for row in (stage.customers[s] for s in subjects)
        ]
    )
    share = drivers["adoption_share"].sel(month=AHEAD).to_numpy().copy()
    truth = {name: found[world.index] for name, found in pool.items()}
    share[0] = 1.0 / (1.0 + np.exp(-worlds.adoption_logit(truth, float(AHEAD))))
    headline = (
        pays_off(drivers, flows, context.deal, context.deal.headline).to_numpy().astype(float)
    )
    return {
        NPV: npv(flows, context.deal).to_numpy(),
        PAYS_OFF: headline,
        "people in post": (exits > AHEAD).sum(axis=1),
        "rivals active": ((ends > AHEAD) | (returns <= AHEAD)) @ rival,
        "adoption share": share,
        "capability gap": drivers["capability_gap"].sel(month=AHEAD).to_numpy(),
    }


# --- coverage by the number of observations -------------------------------------------------------

WATCHED = 9.0  # months that each person or customer is watched
SHARE_SD = 0.4  # error of a reported share, on the logit scale


@dataclass(frozen=True)
class Coverage:
    """Places of one quantity over simulations, by the number of observations.

    ``width`` is the mean width of the central interval relative to that of the prior.
    """

    model: str
    quantity: str
    observations: int
    places: np.ndarray
    width: float


@dataclass(frozen=True)
class Watch:
    """What is watched of a sub-model to count how often its intervals hold.

    Attributes
    ----------
    quantity
        What is asked about, in words.
    design
        From a number of observations to a context whose roster has so many alike, and the rows about them.
    read
        The quantity in each draw of a pool, ``(draw,)``.
    """

    quantity: str
    design: Callable[[int], tuple[Context, pd.DataFrame]]
    read: Callable[[Pool], np.ndarray]


def watch(context: Context, model: str) -> Watch | str:
    """What can be watched of one of :data:`OBSERVED` in this deal; in words why nothing can.

    Retention: people of the cohort that most of those who came with the deal belong to; churn: customers of the segment
    that brings the most revenue, of rivals if there are any; adoption: shares of the target's.
    """
    found = OBSERVED[model](context)
    if isinstance(found, str):
        return found
    near, _ = found.design(1)
    few = joint.prior_draws(near, closure((model,)), random_seed=joint.REFERENCE_SEED, draws=16)
    values = found.read(few)
    if np.ptp(values) <= ROUNDING * np.abs(values).max():
        return "every prior behind it is fixed, so that there is nothing to learn"
    return found


def coverage(
    context: Context,
    model: str,
    observations: int,
    *,
    simulations: int,
    pool_draws: int,
    random_seed: int,
) -> Coverage:
    """How often a posterior of so many observations holds the truth, for one of :data:`OBSERVED`.

    Retention: people watched for nine months; churn: customers watched as long; adoption: shares reported over the
    first year. Rows have grade B, so that some are false.

    Raises
    ------
    ModelError
        If :func:`watch` finds nothing to watch.
    """
    seen = watch(context, model)
    if isinstance(seen, str):
        raise ModelError(f"coverage of {model}: {seen}; leave it out")
    near, design = seen.design(observations)
    names = closure((model,))
    stage = worlds.cast(near, design, names)
    pool = joint.prior_draws(near, names, random_seed=joint.REFERENCE_SEED, draws=pool_draws)
    values = seen.read(pool)
    flat = np.full(pool_draws, 1.0 / pool_draws)
    places, widths = [], []
    for i in range(simulations):
        rng = np.random.default_rng([random_seed, observations, i])
        world = worlds.simulate(stage, pool, models=names, rng=rng)
        evidence = joint.bind(near, world.rows, models=names, draws=pool_draws)
        weight = normalized(joint.row_log_likelihood(evidence, pool).sum(axis=-1))
        places.append(place(values, weight, world.index, rng))
        widths.append(interval_width(values, weight, CI_PROB))
    before = interval_width(values, flat, CI_PROB)
    width = float(np.mean(widths) / before)
    return Coverage(model, seen.quantity, observations, np.array(places), width)


def _rows(kind: str, subjects: list[str], dates: list[Any], sd: float = np.nan) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"S{j:03d}" for j in range(len(subjects))],
            "kind": kind,
            "subject": subjects,
            "event_date": dates,
            "value": 1.0 if kind == "departure" else np.nan,
            "sd": sd,
            "credibility": "B",
        }
    )


def _watched(
    context: Context, size: int, roster: str, word: str, kind: str, told: Mapping[str, Any]
) -> tuple[Context, pd.DataFrame]:
    """A roster of so many who are alike, each watched for as long; ``told`` are its columns but the names."""
    names = [f"{word} {j:03d}" for j in range(size)]
    table = pd.DataFrame({"subject": names, **told})
    until = [worlds.date_of(context.deal.closed, WATCHED)] * size
    return replace(context, **{roster: table}, reach=12), _rows(kind, names, until)


def _team(context: Context) -> Watch | str:
    people = context.people
    bought = people[people["talent"] == 1]
    heads = (bought if len(bought) else people).groupby("cohort")["size"].sum()
    if heads.empty:
        return "the deal has no people"
    cohort = str(heads.idxmax())  # the first in the alphabet of equals

    def design(size: int) -> tuple[Context, pd.DataFrame]:
        told = {
            "cohort": cohort,
            "entry": context.deal.closed,
            "size": 1,
            "weight": np.nan,
            "talent": 0,
        }
        return _watched(context, size, "people", "Person", "departure", told)

    def leaving(pool: Pool) -> np.ndarray:
        """log hazard of leaving in the first half year."""
        shift = pool["exit_hazard_shift"] - pool["loading_retention"] * pool["integration"]
        return np.asarray(np.log(pool[f"exit_hazard_{cohort}"]) + shift)

    said = f"Hazard of leaving in the first half year, cohort {cohort.replace('_', ' ')}"
    return Watch(said, design, leaving)


def _buyers(context: Context) -> Watch | str:
    customers = context.customers
    rivals = customers[customers["rival"] == 1]
    revenue = (rivals if len(rivals) else customers).groupby("segment")["revenue_share"].sum()
    if revenue.empty:
        return "the deal has no customers"
    segment, rival = str(revenue.idxmax()), int(len(rivals) > 0)

    def design(size: int) -> tuple[Context, pd.DataFrame]:
        told = {
            "segment": segment,
            "rival": rival,
            "revenue_share": 1.0 / size,
            "start": context.deal.closed,
            "new": 0,
            "pooled": 0,
        }
        return _watched(context, size, "customers", "Customer", "customer_ended", told)

    def lost(pool: Pool) -> np.ndarray:
        """Share of those at the middle of their segment that end their business within half a year."""
        slower = np.exp(-pool["loading_churn"] * pool["integration"])
        base = pool[f"churn_hazard_{segment}"] * slower
        tau, minds = pool["conflict_decay_months"], pool["conflict_share"] * rival
        surge = np.expm1(pool["conflict_effect"]) * tau * (1.0 - np.exp(-6.0 / tau))
        kept = 1.0 - minds + minds * np.exp(-base * surge)
        return np.asarray(1.0 - np.exp(-6.0 * base) * kept)

    who = "Rivals" if rival else "Customers"
    said = f"{who} that end their business within half a year, segment {segment.replace('_', ' ')}"
    return Watch(said, design, lost)


def _spending(context: Context) -> Watch | str:
    targets = context.vendors.loc[context.vendors["role"] == "target", "subject"]
    if targets.empty:
        return "no vendor is the target"
    target = str(targets.iloc[0])

    def design(size: int) -> tuple[Context, pd.DataFrame]:
        times = np.linspace(1.0, 12.0, size)
        dates = [worlds.date_of(context.deal.closed, float(t)) for t in times]
        return replace(context, reach=12), _rows("vendor_share", [target] * size, dates, SHARE_SD)

    return Watch("Share of data spending after a year", design, _share)


def _share(pool: Pool) -> np.ndarray:
    """Share of data spending a year after the close, logit."""
    pull = pool["loading_adoption"] * pool["integration"]
    pull = pull + pool["quality_effect"] * pool["data_quality"]
    shocks = pool["adoption_volatility"] * pool["adoption_steps"][:, :2].sum(axis=1)
    level = pool["adoption_level"] + 2.0 * pool["adoption_drift"] + shocks
    return np.asarray(level + (1.0 - np.exp(-1.0)) * pull)


OBSERVED: dict[str, Callable[[Context], Watch | str]] = {
    "retention": _team,
    "churn": _buyers,
    "adoption": _spending,
}
