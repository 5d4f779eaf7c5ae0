"""The few errors a caller branches on. Each names the culprit and the remedy.

Every error is a :class:`ValuationError` and also the built-in that a newcomer would catch.
"""

from __future__ import annotations

from collections.abc import Iterable


class ValuationError(Exception):
    """Base of every error that this package raises on purpose."""


class _Listed(ValuationError):
    """An error made of one or more sentences, kept apart in ``problems``."""

    def __init__(self, problems: str | Iterable[str]):
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        super().__init__("\n".join(self.problems))


class LedgerError(_Listed, ValueError):
    """A file of ``seeds/`` cannot be used; each problem reads ``file:line: what; remedy``."""


class ParameterError(_Listed, ValueError):
    """A setting, prior, deal, scenario or notebook parameter is not usable."""


class DataError(_Listed, ValueError):
    """A table that was handed in cannot be used; each problem names the column, the rows and the remedy."""


class ModelError(_Listed, ValueError):
    """A model was asked for something it cannot give."""


class OutOfReach(ModelError):
    """No stored draw is possible at a state: it must be sampled."""


class ArtifactError(_Listed, OSError):
    """A stored artifact is missing, damaged or of another version."""


class GateError(_Listed, RuntimeError):
    """A check refused the result; each problem says which check, its value and what to do."""


class RunError(_Listed, RuntimeError):
    """A notebook or a report could not be produced."""
