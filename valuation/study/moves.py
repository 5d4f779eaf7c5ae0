"""Moving priors, conditions and terms by hand: the answer follows from the stored draws, within a second.

A prior is moved by s of its standard deviations: its normal scores, N(0, 1), become N(s, 1). Where a row of the
ledger reads the parameter, stored draws are weighed by the ratio of the two densities, and where that does not reach,
they are moved and weighed by what their rows say after and before. Where no row reads it, the draws are moved and
weigh what they weighed. Then everything after the draws is done again with the same dice. Nothing is sampled; where
the draws do not reach, that is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import decision, sensitivity
from valuation import value as values
from valuation.errors import ParameterError
from valuation.models import joint
from valuation.params import Scenario, load_scenario
from valuation.schema import finite
from valuation.study.opinion import varying
from valuation.study.pool import trouble

if TYPE_CHECKING:
    from valuation.models.joint import Evidence
    from valuation.study.case import Believed, Study
    from valuation.update import Weights

FURTHEST = 2.0  # standard deviations to either side that a control offers


@dataclass(frozen=True)
class Moves:
    """What is moved, beside a study as it is.

    Attributes
    ----------
    scenario
        Conditions, sets, prior set and terms, as in a file of ``params/scenarios``; None: the study's own.
    shifts
        Prior → how far it is moved, in its own standard deviations.
    """

    scenario: Scenario | None = None
    shifts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, scenario: Mapping[str, Any], shifts: Mapping[str, float] | None = None) -> Moves:
        """From a scenario as its file would spell it; title and story may be left out.

        Raises :class:`ParameterError` for a key or a value that a scenario cannot have.
        """
        full = {"scenario": "explored", "title": "As moved", "story": "Moved by hand."}
        return cls(load_scenario(full | dict(scenario)), dict(shifts or {}))


def explored(study: Study, moves: Moves | None = None) -> dict[str, Any]:
    """The answer after some moves; takes well under a second once the study's draws are there.

    Returns
    -------
    dict
        ``probability`` by the deal's headline definition with ``mcse``; ``npv_mean`` with ``npv_mcse``,
        ``npv_median``, ``npv_lower`` and ``npv_upper`` (the central 90%), bn; ``condition``, the probability of
        the scenario's conditions; ``effective_draws``, ``khat`` (None where nothing was weighed); ``moved``, what
        was moved, in sentences; ``why`` the numbers are None where the draws do not reach.

    Raises
    ------
    ParameterError
        For a prior that the study does not have.
    """
    from valuation.forecast import conditioned, forecast
    from valuation.study.answers import changed_terms

    asked = Moves() if moves is None else moves
    there = _opened(study, asked.scenario)
    believed = there.believed(there.prior_set)
    evidence = there.under(there.prior_set, there.deal)
    priors = there.book.get(there.prior_set)
    shifts = {name: shift for name, shift in asked.shifts.items() if shift}
    if unknown := sorted(set(shifts) - set(priors)):
        raise ParameterError(f"no prior named {', '.join(unknown)}; see `valuation prior list`")
    parameters, weights = _shifted(there, believed, evidence, shifts)
    weight = believed.weight if weights is None else weights.weight
    told: dict[str, Any] = {
        "definition": there.deal.headline,
        "moved": [
            *(_told_shift(priors[n].label, s) for n, s in shifts.items()),
            *there.scenario.describe(there.deal.currency),
            *changed_terms(there),
        ],
        "khat": believed.khat if weights is None else finite(weights.khat),
    }
    why = None if weights is None else trouble(weights, there.limits)
    drivers = forecast(
        evidence, parameters, random_seed=there.random_seed, sets=there.scenario.sets
    )
    drivers["weight"] = ("draw", weight, drivers["weight"].attrs)
    try:
        drivers, meets = conditioned(drivers, there.scenario, least=there.limits.scenario_draws_min)
    except ParameterError as error:
        why, meets = why or str(error), np.zeros(len(weight), dtype=bool)
    told["condition"] = float(weight[meets].sum()) if there.scenario.conditions else 1.0
    told["effective_draws"] = float(decision.effective_draws(drivers["weight"].to_numpy()))
    told["why"] = why or ""
    return told | (dict.fromkeys(_NUMBERS) if why else _answer(drivers, there))


def _shifted(
    study: Study, believed: Believed, evidence: Evidence, shifts: Mapping[str, float]
) -> tuple[dict[str, np.ndarray], Weights | None]:
    """Parameters and weights after the shifts; no weights where every draw still counts as it did."""
    from valuation.update import importance_weights

    priors = study.book.get(study.prior_set)
    read = set(study.posterior["posterior"].data_vars) & set(shifts)
    own = {
        name: sensitivity.shifted(priors[name], believed.parameters[name], shift)
        for name, shift in shifts.items()
    }
    moved = believed.parameters | {n: x for n, x in own.items() if n not in read}
    if not read:
        return moved, None
    before = np.log(believed.weight)
    scores = [
        shifts[n] * sensitivity.normal_score(priors[n], believed.parameters[n])
        for n in sorted(read)
    ]
    weights = importance_weights(before + np.sum(scores, axis=0))
    if trouble(weights, study.limits) is None:
        return moved, weights
    # Moved by s in its score, a draw has under the moved prior the density that it had under the old one.
    after = moved | own
    rows = [joint.row_log_likelihood(evidence, p).sum(axis=1) for p in (after, moved)]
    again = importance_weights(before + np.asarray(rows[0] - rows[1]))
    return (after, again) if trouble(again, study.limits) is None else (moved, weights)


_NUMBERS = (
    "probability", "mcse", "npv_mean", "npv_mcse", "npv_median", "npv_lower", "npv_upper",
)  # fmt: skip


def _answer(drivers: Any, study: Study) -> dict[str, Any]:
    found = values.value(drivers, study.deal, only=("npv", "pays_off"))
    weight, npv = drivers["weight"].to_numpy(), found["npv"].to_numpy()
    event = found["pays_off"].sel(definition=study.deal.headline).to_numpy()
    noise = decision.inflation_of(npv, weight)
    chance = decision.probability(event, weight, inflation=noise)
    mean = decision.mean(npv, weight, inflation=noise)
    lower, upper = decision.interval(npv, weight)
    median = float(decision.quantiles(npv, 0.5, weight))
    numbers = (chance.value, chance.mcse, mean.value, mean.mcse, median, lower, upper)
    return dict(zip(_NUMBERS, map(float, numbers), strict=True))


def _opened(study: Study, scenario: Scenario | None) -> Study:
    """The study under another scenario, on the same draws."""
    if scenario is None:
        return study
    there = replace(study, scenario=scenario, deal=scenario.resolve(study.base_deal))
    # The posterior is that of the deal as its file has it, whatever the scenario; it need not be read again.
    there.__dict__["posterior"] = study.posterior
    return there


def _told_shift(label: str, shift: float) -> str:
    way = "up" if shift > 0 else "down"
    return f"“{label}” is moved {way} by {abs(shift):g} of its standard deviations."


def levers(study: Study) -> dict[str, str]:
    """Every prior that can be moved, ``{name: label}``: those that the value of the deal hangs on most come first."""
    priors = study.book.get(study.prior_set)
    npv, weight = study.values["npv"].to_numpy(), study.drivers["weight"].to_numpy()
    low = npv - npv @ weight / weight.sum()

    def pull(name: str, draws: np.ndarray) -> float:
        score = sensitivity.normal_score(priors[name], draws)
        return abs(float((weight * (score - score.mean())) @ low))

    found = {name: pull(name, draws) for name, draws in varying(study).items()}
    return {name: priors[name].label for name in sorted(found, key=lambda n: -found[n])}


def explore_results(study: Study) -> dict[str, Any]:
    """The answer as it stands, its levers and checks and where it comes from: what the notebook shows unmoved."""
    from valuation.study.answers import about

    return about(study) | {"explored": explored(study), "levers": levers(study)}


__all__ = ["FURTHEST", "Moves", "explore_results", "explored", "levers"]
