"""One sub-model explained: prior, posterior, predictive checks and curves, as plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.currency import BN_PER_YEAR, unit_in
from valuation.errors import ModelError
from valuation.models import MODELS, joint, retention
from valuation.ops import numpy_ops
from valuation.schema import TAIL, date_after
from valuation.study.answers import _evidence, about, seen_of
from valuation.study.case import stacked

if TYPE_CHECKING:
    from valuation.study.case import Study

GRID = 80
STEP_MONTHS = 3
LIFE_KINDS = (
    "departure",
    "sighting",
    "customer_ended",
    "customer_active",
    "impairment",
    "regulatory_action",
)

# model: the monthly curves it shows, as (curve, label, unit)
SHOWN: dict[str, tuple[tuple[str, str, str], ...]] = {
    "adoption": (
        ("adoption_share", "Target's share of the acquirer's data spending", "fraction"),
        ("purchases", "Acquirer's purchases from the target", BN_PER_YEAR),
    ),
    "churn": (("rivals_active", "Rivals' business still with the target", "fraction"),),
    "revenue": (
        ("revenue", "Revenue of the target", BN_PER_YEAR),
        ("revenue_retained", "Revenue of customers kept", BN_PER_YEAR),
        ("revenue_new", "Revenue of new customers", BN_PER_YEAR),
    ),
    "capability": (("capability_gap", "Gap to the frontier", "index points"),),
}


def model_results(study: Study, model: str) -> dict[str, Any]:
    """What a model's notebook shows.

    Returns
    -------
    dict
        ``densities`` of prior and posterior by parameter, ``checks`` (prior and posterior predictive of every row
        against what was seen), ``curves`` with bands and marks, ``rows`` of the ledger, ``summary`` by parameter
        with convergence, ``diagnostics`` and provenance.

    Raises
    ------
    ModelError
        For a model that the study does not run; lists those it does.
    """
    if model not in study.models:
        raise ModelError(f"no model named {model!r} here; available: {', '.join(study.models)}")
    sub = MODELS[model]
    evidence = study.evidence
    sampled = stacked(study.posterior)
    after = joint.extend(evidence, sampled, random_seed=study.random_seed)
    before = joint.prior_draws(evidence.context, study.models, random_seed=study.random_seed)
    kinds = {k.name for k in sub.kinds}
    names = [n for n in sub.scalars(evidence.context) if n in sampled]
    return {
        **about(study),
        "model": model,
        "title": sub.title,
        "equation": list(sub.equation),
        "reads": [
            {"kind": k.name, "meaning": k.meaning, "unit": unit_in(k.unit, study.deal.currency)}
            for k in sub.kinds
        ],
        "densities": [_density(study, n, before[n], sampled[n]) for n in names],
        "checks": _checks(study, kinds, before, after),
        "curves": _curves(study, model, before, after),
        "rows": [r for r in _evidence(study) if r["kind"] in kinds],
        "summary": _summary(
            study, sub.scalars(evidence.context), sub.innovations(evidence.context)
        ),
    }


def _density(study: Study, name: str, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    from scipy.stats import gaussian_kde

    prior = study.evidence.context.prior(name)
    low, high = np.quantile(np.concatenate([before, after]), [0.004, 0.99])
    grid = np.linspace(low, high, GRID)
    prior_density = np.exp(np.asarray(prior.logpdf(grid), dtype=float))
    # Keep an integrable spike at a bound from flattening the picture.
    top = 1.5 * np.quantile(prior_density[np.isfinite(prior_density)], 0.97)
    return {
        "name": name,
        "label": prior.label,
        "unit": prior.unit,
        "grid": [float(v) for v in grid],
        "prior": [float(v) for v in np.minimum(prior_density, top)],
        "posterior": [float(v) for v in gaussian_kde(after)(grid)],
        "prior_mean": float(prior.mean),
        "prior_sd": float(prior.sd),
        "mean": float(after.mean()),
        "sd": float(after.std(ddof=1)),
        "describe": prior.describe(),
        "source": prior.source,
        "rationale": prior.rationale,
    }


def _checks(
    study: Study, kinds: set[str], before: dict[str, np.ndarray], after: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    evidence = study.evidence
    prior = joint.replicate(evidence, before, random_seed=study.random_seed)
    posterior = joint.replicate(evidence, after, random_seed=study.random_seed)
    out = []
    for _, row in evidence.rows.iterrows():
        if row["kind"] not in kinds:
            continue
        life = row["kind"] in LIFE_KINDS
        shown: dict[str, Any] = {
            "id": row["id"],
            "kind": row["kind"],
            "subject": row["subject"],
            "label": f"{row['subject']}: {row['kind'].replace('_', ' ')}, {row['event_date']}",
            "observed": 1.0 if life else float(row["value"]),
            "unit": "probability of what was reported" if life else (row["unit"] or ""),
        }
        for name, draws in (("prior", prior), ("posterior", posterior)):
            low, middle, high = np.quantile(draws[row["id"]], [TAIL, 0.5, 1.0 - TAIL])
            shown |= {
                f"{name}_lower": float(low),
                f"{name}_median": float(middle),
                f"{name}_upper": float(high),
            }
        out.append(shown)
    return out


def _curves(
    study: Study, model: str, before: dict[str, np.ndarray], after: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    evidence = study.evidence
    context = evidence.context
    silent = replace(evidence, bound={}, rows=evidence.rows.iloc[:0])
    ops = numpy_ops()
    prior, posterior = joint.curves(silent, before, ops), joint.curves(evidence, after, ops)
    out = []
    if model == "retention":
        for g, cohort in enumerate(retention.cohorts(context)):
            out.append(
                _curve(
                    study,
                    f"survival_{cohort}",
                    f"Chance of being in post: {cohort}",
                    "fraction",
                    prior["cohort_survival"][:, g, :],
                    posterior["cohort_survival"][:, g, :],
                    seen_of(study, cohort),
                )
            )
        out.append(
            _curve(
                study,
                "talent_retained",
                "Acquired talent still there",
                "fraction",
                prior["talent_retained"],
                posterior["talent_retained"],
                [],
            )
        )
    if model == "regulation":
        months = context.months

        def quiet(draws: dict[str, np.ndarray]) -> np.ndarray:
            return np.exp(-draws["action_hazard"][:, None] * months)

        out.append(
            _curve(
                study,
                "no_action",
                "Chance that no formal action has been opened",
                "fraction",
                quiet(before),
                quiet(after),
                [],
            )
        )
    for name, label, unit in SHOWN.get(model, ()):
        out.append(
            _curve(
                study,
                name,
                label,
                unit_in(unit, study.deal.currency),
                prior[name],
                posterior[name],
                [],
            )
        )
    return out


def _curve(
    study: Study,
    name: str,
    label: str,
    units: str,
    prior: np.ndarray,
    posterior: np.ndarray,
    marks: list[dict[str, Any]],
) -> dict[str, Any]:
    months = np.arange(0, prior.shape[1], STEP_MONTHS)

    def band(paths: np.ndarray) -> dict[str, list[float]]:
        levels = np.quantile(paths[:, months], [TAIL, 0.5, 1.0 - TAIL], axis=0)
        return {
            key: [round(float(v), 5) for v in line]
            for key, line in zip(("lower", "median", "upper"), levels, strict=True)
        }

    return {
        "name": name,
        "label": label,
        "units": units,
        "months": [int(m) for m in months],
        "dates": [str(date_after(study.deal.closed, int(m))) for m in months],
        "prior": band(prior),
        "posterior": band(posterior),
        "marks": marks,
    }


def _summary(study: Study, scalars: list[str], vectors: dict[str, Any]) -> list[dict[str, Any]]:
    book = study.evidence.context.priors
    out = []
    for row in study.diagnosis.scalars:
        stem = row["name"].split("[")[0]
        if stem in scalars or stem in vectors:
            label = book[stem].label if stem in book else row["name"].replace("_", " ")
            out.append(dict(row) | {"label": label})
    return out
