"""How the answer is computed, and whether the machine knows what it does not know, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.currency import unit_in
from valuation.models import MODELS
from valuation.params.reading import digest_of
from valuation.study.answers import about
from valuation.study.stored import load_or_make, package_digest

if TYPE_CHECKING:
    from valuation.calibration import Calibration, Coverage
    from valuation.study.case import Study

# Chance that a calibrated machine is called miscalibrated, over all quantities.
FAMILY_ERROR = 0.001
ONE_LEVEL = 0.95  # of the band that one quantity alone stays in
OBSERVATIONS = (3, 8, 20)
LEVELS = (0.5, 0.9)
FUTURE_LABELS = {"NPV": "Net present value", "pays off": "Whether it pays off"}


def method_results(
    study: Study,
    *,
    simulations: int = 100,
    pool_draws: int = 2000,
    coverage_simulations: int = 100,
    coverage_pool_draws: int = 400,
) -> dict[str, Any]:
    """What the notebook on methods shows; calibration is computed once for the same code and inputs.

    Parameters
    ----------
    simulations, pool_draws
        Simulated ledgers, and prior draws that stand for each posterior.
    coverage_simulations, coverage_pool_draws
        The same for each cell of the table of coverage.

    Returns
    -------
    dict
        ``models`` with equations, kinds read and priors with sources; ``credibility`` by grade; ``calibration``
        (strays of every quantity, bands, the test and what it can see), ``coverage`` by number of observations, and
        ``uncovered``: the models it leaves out with ``why``.
    """
    sizes = {
        "simulations": simulations,
        "pool_draws": pool_draws,
        "coverage_simulations": coverage_simulations,
        "coverage_pool_draws": coverage_pool_draws,
    }
    key = digest_of(
        {
            "what": "calibration",
            "code": package_digest(),
            "posterior": study.posterior_key(),
            "deal": study.base_deal.digest(),
            "sizes": sizes,
        }
    )
    measured = load_or_make(
        study.cache / "results" / f"{key[:16]}.json", lambda: _measured(study, **sizes)
    )
    return {
        **about(study),
        "models": [_model(study, name) for name in study.models],
        "credibility": {k: float(v) for k, v in sorted(study.credibility.items())},
        **measured,
    }


def _model(study: Study, name: str) -> dict[str, Any]:
    sub, context = MODELS[name], study.evidence.context
    kinds = {kind.name for kind in sub.kinds}
    return {
        "model": name,
        "title": sub.title,
        "equation": list(sub.equation),
        "reads": [
            {"kind": k.name, "meaning": k.meaning, "unit": unit_in(k.unit, study.deal.currency)}
            for k in sub.kinds
        ],
        "rows": int(study.evidence.rows["kind"].isin(kinds).sum()),
        "priors": [
            {
                "name": prior.name,
                "label": prior.label,
                "describe": prior.describe(),
                "source": prior.source,
            }
            for prior in map(context.prior, sub.scalars(context))
        ],
    }


def _measured(
    study: Study,
    *,
    simulations: int,
    pool_draws: int,
    coverage_simulations: int,
    coverage_pool_draws: int,
) -> dict[str, Any]:
    from valuation.calibration import OBSERVED, calibrate, coverage, watch

    context = study.evidence.context
    found = calibrate(
        context,
        study.evidence.rows,
        models=study.models,
        simulations=simulations,
        pool_draws=pool_draws,
        random_seed=study.random_seed,
        futures=study.models == tuple(MODELS),
    )
    watched = {model: watch(context, model) for model in OBSERVED if model in study.models}
    cells = [
        coverage(
            context,
            model,
            size,
            simulations=coverage_simulations,
            pool_draws=coverage_pool_draws,
            random_seed=study.random_seed,
        )
        for model, seen in watched.items()
        if not isinstance(seen, str)
        for size in OBSERVATIONS
    ]
    return {
        "calibration": _calibration(study, found, pool_draws),
        "coverage": [_covered(cell, level) for cell in cells for level in LEVELS],
        "uncovered": [
            {"model": model, "why": seen}
            for model, seen in watched.items()
            if isinstance(seen, str)
        ],
    }


def _calibration(study: Study, found: Calibration, pool_draws: int) -> dict[str, Any]:
    from valuation.calibration import (
        DRIVERS,
        PAYS_OFF,
        band,
        detectable,
        family_wise,
        strays,
        uniformity,
    )

    worst, error = family_wise(found.places)
    level = 1.0 - FAMILY_ERROR / len(found.places)
    least = detectable(found.simulations, level=level)
    one, every = (band(found.simulations, level=v) for v in (ONE_LEVEL, level))
    priors = study.evidence.context.priors

    def label(name: str) -> str:
        if name in priors:
            return str(priors[name].label)
        if name.startswith("fit of "):
            return f"How well the rows of {name.removeprefix('fit of ')} fit"
        return {**DRIVERS, **FUTURE_LABELS}.get(name, name.replace("_", " "))

    return {
        "simulations": found.simulations,
        "pool_draws": pool_draws,
        "effective_median": float(np.median(found.effective)),
        "points": _listed(one.points),
        "one": {"level": ONE_LEVEL, "lower": _listed(one.lower), "upper": _listed(one.upper)},
        "every": {"level": level, "lower": _listed(every.lower), "upper": _listed(every.upper)},
        "family_error": FAMILY_ERROR,
        "quantities": [
            {
                "name": name,
                "label": label(name),
                "group": found.group[name],
                "strays": _listed(strays(places)),
                "p": uniformity(places),
            }
            for name, places in found.places.items()
        ],
        "worst": {"name": worst, "label": label(worst), "p_family": error},
        "passed": error > FAMILY_ERROR,
        "detectable": {
            "bias_sd": least.bias,
            "narrow": least.narrow,
            "wide": least.wide,
            "power": least.power,
        },
        "pays_off": None
        if PAYS_OFF not in found.places
        else {
            "said": float(found.chance.mean()),
            "happened": float(found.outcome.mean()),
            "off_sd": found.off(),
        },
    }


def _covered(cell: Coverage, level: float) -> dict[str, Any]:
    from valuation.calibration import covered

    found = covered(cell.places, level, band_level=1.0 - FAMILY_ERROR)
    return {
        "model": cell.model,
        "quantity": cell.quantity,
        "observations": cell.observations,
        "level": level,
        "share": found.share,
        "lower": found.lower,
        "upper": found.upper,
        "kept": found.kept,
        "simulations": found.simulations,
        "band_level": 1.0 - FAMILY_ERROR,
        "width": cell.width,
    }


def _listed(values: np.ndarray) -> list[float]:
    return [round(float(v), 5) for v in values]
