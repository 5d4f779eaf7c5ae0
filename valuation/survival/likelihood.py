"""The likelihood of a table of life courses: that of the deal's people and customers, row by row.

Each row is a subject of :class:`valuation.models.base.LifeCourse` whose claims are certain: seen in
place at ``entry``, then gone within its window, on its day, or not by its last sighting. What the
rows contribute is the deal's own telescoping, mixture and numerics; only the roster is another.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from valuation.errors import DataError
from valuation.models.base import Bound, Curves, LifeCourse, Observation, Parameters
from valuation.ops import Array, Ops
from valuation.survival.hazards import Hazards, of_rows
from valuation.survival.reading import Lives

# The telescoping is a table of rows by states: in blocks its size grows with the rows, not their square.
BLOCK = 256


@dataclass(frozen=True)
class Likelihood:
    """Terms with how many subjects each of their rows stands for."""

    hazards: Hazards
    terms: tuple[tuple[Bound, np.ndarray], ...]

    def log_likelihood(self, parameters: Parameters, ops: Ops) -> Array:
        """Sum over all subjects, shape ``(...)``; parameters as :attr:`Hazards.declared` names them."""
        known = {**self.hazards.constants, **parameters}
        curves: Curves = self.hazards.curves(known, ops)
        total: Array = 0.0
        for term, count in self.terms:
            total = total + ops.dot(term.log_likelihood(known, curves, ops), count)
        return total


def windows(lives: Lives, *, discrete: bool) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of each row's window, in the table's unit.

    Where events come at whole times only, an event at n came after n - 1 and by n.
    """
    lower, upper = lives.lower, lives.upper
    if (lives.exact & (upper == 0.0)).any():
        raise DataError(
            "an event at time 0 has no density; count from the day before, or give a window"
            " (columns lower and upper)"
        )
    if not discrete:
        return lower, upper
    bounds = np.concatenate([lives.entry, lower, upper[np.isfinite(upper)]])
    broken = np.unique(bounds[bounds != np.round(bounds)])
    if broken.size:
        listed = ", ".join(f"{value:g}" for value in broken[:5])
        raise DataError(
            f"times must be whole {lives.unit} for a family of discrete time, got {listed}; round up"
            " events and round down sightings, or choose a continuous family"
        )
    return np.where(lives.exact, lower - 1.0, lower), upper


def likelihood(made: Hazards, lives: Lives) -> Likelihood:
    """The likelihood of a table under a family bound to it."""
    lower, upper = windows(lives, discrete=made.discrete)
    process = of_rows(made, made.profile_of(lives), lives.design)
    terms: list[tuple[Bound, np.ndarray]] = []
    for first in range(0, len(lower), BLOCK):
        observations: list[Observation] = []
        count: list[float] = []
        for i in range(first, min(first + BLOCK, len(lower))):
            if lives.entry[i] > 0.0:  # given that it got there, so this row itself counts nothing
                seen = Observation(f"{i} entry", i, False, float(lives.entry[i]), None, 1.0)
                observations.append(seen)
                count.append(0.0)
            gone = bool(np.isfinite(upper[i]))
            day = gone and lower[i] == upper[i]
            observations.append(
                Observation(
                    f"{i} last",
                    i,
                    gone,
                    float(upper[i] if gone else lower[i]),
                    None if day or not gone else float(lower[i]),
                    1.0,
                )
            )
            count.append(float(lives.count[i]))
        term = LifeCourse(tuple(observations), process)
        # Certain rows never fall back on what they would say if false.
        terms.append((term.given(np.zeros(len(observations))), np.array(count)))
    return Likelihood(made, tuple(terms))
