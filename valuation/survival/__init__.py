"""Retention and churn of any table: the deal's likelihood code on data it was not written for.

A table of life courses (:func:`lives`) is fitted by :func:`fit_retention` and :func:`fit_churn`, which give
posterior draws, by :func:`integrate`, which gives the posterior by quadrature, or by
:func:`maximum_likelihood`; :func:`survival` gives survival probabilities with intervals from any of them.
:func:`kaplan_meier` needs no family. Input is read strictly: the unit of time must be stated, events are
0 or 1, and whatever is missing is named by its row.

    table = pd.DataFrame({"weeks": [6, 6, 9, 10], "relapse": [1, 0, 0, 1]})
    fit = fit_retention(table, unit="weeks", duration="weeks", event="relapse", random_seed=1)
    survival(fit, [4, 8])
"""

from __future__ import annotations

from valuation.survival.fitting import (
    Integral,
    MaximumLikelihood,
    Posterior,
    fit_churn,
    fit_retention,
    integrate,
    maximum_likelihood,
    survival,
)
from valuation.survival.hazards import FAMILIES, Family, prior
from valuation.survival.product_limit import (
    kaplan_meier,
    logrank,
    median_time,
    quantile_time,
    survival_at,
)
from valuation.survival.reading import Columns, Lives, lives

__all__ = [
    "FAMILIES",
    "Columns",
    "Family",
    "Integral",
    "Lives",
    "MaximumLikelihood",
    "Posterior",
    "fit_churn",
    "fit_retention",
    "integrate",
    "kaplan_meier",
    "lives",
    "logrank",
    "maximum_likelihood",
    "median_time",
    "prior",
    "quantile_time",
    "survival",
    "survival_at",
]
