"""What a credibility grade is worth, and the limits that a published number must meet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import model_validator

from valuation.params.places import find_root
from valuation.params.reading import (
    Fraction,
    KeyPath,
    Record,
    Text,
    Within,
    problems_error,
    read_yaml,
    validate,
)

GRADES = ("A", "B", "C", "D")


class Grade(Record):
    """Probability that a claim of this grade is true, and why."""

    probability: Fraction
    rationale: Text


class Credibility(Record):
    """``params/credibility.yaml``: the four grades, best first."""

    A: Grade
    B: Grade
    C: Grade
    D: Grade

    @model_validator(mode="after")
    def _never_rises(self) -> Credibility:
        if problems := list(self._rises()):
            raise problems_error(problems)
        return self

    def _rises(self) -> Iterator[tuple[KeyPath, str]]:
        chances = self.probabilities()
        for better, worse in pairwise(GRADES):
            if chances[worse] > chances[better]:
                yield (
                    (worse, "probability"),
                    f"{chances[worse]:g} is above the {chances[better]:g} of grade {better}; "
                    "a worse grade cannot be more credible",
                )

    def probabilities(self) -> dict[str, float]:
        """Probability by grade."""
        return {name: getattr(self, name).probability for name in GRADES}


class Range(Record):
    """Limits of a driver, in its own unit."""

    low: Annotated[float, Within(-1e12, 1e12, "in the driver's unit")]
    high: Annotated[float, Within(-1e12, 1e12, "in the driver's unit")]

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise problems_error([(("low",), f"{self.low:g} is not below high; swap them")])
        return self


class Gate(Record):
    """``params/gate.yaml``: limits of every check; what is not provably inside them fails.

    Attributes
    ----------
    rhat_max, ess_min, divergences_max, ebfmi_min, treedepth_fraction_max, chains_min
        Convergence of the sampler; ``ess_min`` holds for bulk and for tail.
    mcse_to_sd_max
        Monte Carlo error of each headline over its standard deviation.
    khat_max
        Pareto shape of importance weights and of simulated values.
    scenario_draws_min
        Effective draws, (sum w)^2 / sum w^2, that a scenario's conditions must leave.
    prior_range
        By driver: where the central 90% of the prior predictive must lie, in every month.
    evidence_age_days_max
        Days from the newest evidence to an as-of date that was given; without one, to today: then a warning.
    overdue_days_max
        Days that a closed question may wait for its outcome, up to the newest evidence; up to today: a warning.
    psense_flag
        Power-scaling sensitivity from which a prior or a likelihood counts as mattering; said, never refused.
    """

    rhat_max: Annotated[float, Within(1, 1.1, "R-hat: 1.01 is usual", open_low=True)]
    ess_min: Annotated[float, Within(100, 1e6, "effective draws: 400 is usual")]
    divergences_max: Annotated[int, Within(0, 1000, "a count; 0 is usual", whole=True)]
    ebfmi_min: Annotated[float, Within(0.1, 1, "E-BFMI: 0.3 is usual")]
    treedepth_fraction_max: Fraction
    mcse_to_sd_max: Annotated[float, Within(0, 0.5, "a fraction: 0.05 is 5%", open_low=True)]
    khat_max: Annotated[float, Within(0, 1, "Pareto k-hat: 0.7 is usual", open_low=True)]
    chains_min: Annotated[int, Within(2, 64, "chains: 4 is usual", whole=True)]
    scenario_draws_min: Annotated[float, Within(1, 1e6, "effective draws: 100 is usual")]
    prior_range: dict[str, Range]
    evidence_age_days_max: Annotated[int, Within(1, 36_500, "days: 400 is usual", whole=True)]
    # Kept runs are read with the settings they had, and the first had no such limit.
    overdue_days_max: Annotated[int, Within(0, 36_500, "days: 180 is usual", whole=True)] = 36_500
    psense_flag: Annotated[float, Within(0, 1, "a sensitivity: 0.05 is usual", open_low=True)] = (
        0.05
    )


def load_credibility(path: str | Path | None = None) -> dict[str, float]:
    """Probability by grade, from ``params/credibility.yaml`` or ``path``."""
    return load_grades(path).probabilities()


def load_grades(path: str | Path | None = None) -> Credibility:
    """As :func:`load_credibility`, with the rationale of each grade."""
    return validate(Credibility, read_yaml(_path(path, "credibility.yaml")))


def load_gate(path: str | Path | None = None) -> Gate:
    """The limits of every check, from ``params/gate.yaml`` or ``path``."""
    return validate(Gate, read_yaml(_path(path, "gate.yaml")))


def _path(path: str | Path | None, name: str) -> Path:
    return find_root() / "params" / name if path is None else Path(path)
