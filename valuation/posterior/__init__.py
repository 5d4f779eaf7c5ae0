"""Sample the joint model once, keep the draws with a checksum, and say whether they can be trusted.

Three jobs, apart from one another:

- :func:`fit` turns a PyMC model into draws, the same draws for the same seed;
- :func:`save`, :func:`load`, :func:`load_or_fit` and :func:`read_draws` keep them on disk: one
  ``.npz`` of plain arrays and one ``.json`` that says what they are and carries their SHA-256;
- :func:`diagnose` decides whether they may be published. What cannot be shown to be good is
  refused.

Nothing here knows the deal. PyMC is imported by :func:`fit` alone, xarray by what builds or loads a
tree; :func:`read_draws` needs NumPy only.

The tree has the groups ``posterior`` (chain, draw, ...), ``sample_stats`` (chain, draw),
``log_likelihood`` (chain, draw, row) where the model has one, and ``prior`` (chain=1, draw, ...)
where the caller gave one, and ``density`` where it is known under what log density the draws were made.
"""

from __future__ import annotations

from valuation.posterior.diagnosis import Diagnosis, Thresholds, diagnose, judged, pareto_k
from valuation.posterior.sampling import (
    LOG_LIKELIHOOD,
    POSTERIOR,
    PRIOR,
    SAMPLE_STATS,
    code_digest,
    fit,
    key_of,
    tree_of,
    versions,
)
from valuation.posterior.storage import (
    DENSITY,
    Variable,
    forget,
    load,
    load_or_fit,
    read_draws,
    read_variables,
    save,
    with_density,
)

__all__ = [
    "DENSITY",
    "LOG_LIKELIHOOD",
    "POSTERIOR",
    "PRIOR",
    "SAMPLE_STATS",
    "Diagnosis",
    "Thresholds",
    "Variable",
    "code_digest",
    "diagnose",
    "fit",
    "forget",
    "judged",
    "key_of",
    "load",
    "load_or_fit",
    "pareto_k",
    "read_draws",
    "read_variables",
    "save",
    "tree_of",
    "versions",
    "with_density",
]
