"""Where a life course of a table gets its hazard: the deal's two models, and the textbook families.

The deal's models are not rewritten here. ``piecewise`` is :mod:`valuation.models.retention` and
``conflict`` is :mod:`valuation.models.churn`, called through the rosters that they read: each group
is a cohort or a segment, integration is left out. Their time is months and their parameters carry
the deal's names.

The textbook families are written against :class:`valuation.ops.Ops` as all likelihoods are, in the
table's own unit t. All of a family's parameters are separate for each group.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd

from valuation.errors import DataError, ParameterError
from valuation.models import churn, retention
from valuation.models.base import Context, Curves, LifeProcess, Parameters
from valuation.ops import Array, Ops
from valuation.params import Prior
from valuation.survival.reading import Lives

GROUP = "group"
COVARIATE = "covariate"
LOG_HAZARD_RATIO = "log_hazard_ratio"
TODAY = dt.date(1, 1, 1)  # a stated prior of a method has no date of its own


def prior(family: str, **parameters: float) -> Prior:
    """A prior for :func:`fit_retention` or :func:`fit_churn`, as ``prior("halfnormal", sigma=10)``.

    Families and their parameters are those of ``params/priors.yaml``.
    """
    return Prior("", "", "", family, parameters, "stated", "stated by the caller", TODAY)


@dataclass(frozen=True)
class Family:
    """A parametric distribution of the time to an event.

    Attributes
    ----------
    equation
        Its survival function, with the source.
    parameters
        Name → scale on which it is unbounded: ``log``, ``logit`` or ``real``.
    discrete
        Whether the event comes at whole times only: at n it came after n - 1 and by n.
    log_survival, log_hazard
        ``(parameters, t, ops)``, each parameter already that of the row's group, shape ``(..., n)``.
    start
        ``rate -> parameters``: where a search sets out, from events per unit of time at risk.
    priors
        ``months per unit -> priors``, wide ones.
    """

    name: str
    equation: str
    parameters: Mapping[str, str]
    discrete: bool
    log_survival: Callable[[Parameters, np.ndarray, Ops], Array]
    log_hazard: Callable[[Parameters, np.ndarray, Ops], Array]
    start: Callable[[float], Mapping[str, float]]
    priors: Callable[[float], Mapping[str, Prior]]


def _positive(t: np.ndarray) -> np.ndarray:
    """``t``, and 1 where it is 0: what is evaluated there is not used, but must be finite."""
    return np.where(t > 0.0, t, 1.0)


def _log_beta_ratio(alpha: Array, beta: Array, t: np.ndarray, ops: Ops) -> Array:
    """log of B(α, β + t)/B(α, β)."""
    return (
        ops.gammaln(beta + t)
        - ops.gammaln(beta)
        + ops.gammaln(alpha + beta)
        - ops.gammaln(alpha + beta + t)
    )


def _lognormal_score(p: Parameters, t: np.ndarray, ops: Ops) -> Array:
    return (np.log(_positive(t)) - p["mu"]) / p["sigma"]


def _lognormal_log_survival(p: Parameters, t: np.ndarray, ops: Ops) -> Array:
    return ops.where(t > 0.0, ops.log_norm_cdf(-_lognormal_score(p, t, ops)), 0.0)


def _lognormal_log_hazard(p: Parameters, t: np.ndarray, ops: Ops) -> Array:
    z = _lognormal_score(p, t, ops)
    density = -0.5 * z * z - ops.log(p["sigma"]) - 0.5 * math.log(2 * math.pi)
    return density - np.log(_positive(t)) - ops.log_norm_cdf(-z)


def _log_odds(p: Parameters, t: np.ndarray, ops: Ops) -> Array:
    return p["shape"] * (np.log(_positive(t)) - ops.log(p["scale"]))


# Wide by design: a lifetime between a couple of months and a couple of decades.
_LIFETIME_MONTHS, _LIFETIME_SPREAD = 36.0, 1.5


def _scale_and_shape(months: float) -> Mapping[str, Prior]:
    return {
        "scale": prior("lognormal", mu=math.log(_LIFETIME_MONTHS / months), sigma=_LIFETIME_SPREAD),
        "shape": prior("lognormal", mu=0.0, sigma=0.5),
    }


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "exponential",
            "S(t) = exp(-rate t)",
            {"rate": "log"},
            False,
            lambda p, t, ops: -p["rate"] * t,
            lambda p, t, ops: ops.log(p["rate"]) + 0.0 * t,
            lambda rate: {"rate": rate},
            lambda months: {
                "rate": prior(
                    "lognormal", mu=-math.log(_LIFETIME_MONTHS / months), sigma=_LIFETIME_SPREAD
                )
            },
        ),
        Family(
            "weibull",
            "S(t) = exp(-(t/scale)^shape)",
            {"scale": "log", "shape": "log"},
            False,
            lambda p, t, ops: -ops.where(t > 0.0, ops.exp(_log_odds(p, t, ops)), 0.0),
            lambda p, t, ops: ops.log(p["shape"]) + _log_odds(p, t, ops) - np.log(_positive(t)),
            lambda rate: {"scale": 1.0 / rate, "shape": 1.0},
            _scale_and_shape,
        ),
        Family(
            "lognormal",
            "S(t) = Φ((mu - log t)/sigma)",
            {"mu": "real", "sigma": "log"},
            False,
            _lognormal_log_survival,
            _lognormal_log_hazard,
            lambda rate: {"mu": -math.log(rate), "sigma": 1.0},
            lambda months: {
                "mu": prior("normal", mu=math.log(_LIFETIME_MONTHS / months), sigma=1.5),
                "sigma": prior("halfnormal", sigma=1.5),
            },
        ),
        Family(
            "log_logistic",
            "S(t) = 1/(1 + (t/scale)^shape)",
            {"scale": "log", "shape": "log"},
            False,
            lambda p, t, ops: ops.where(t > 0.0, ops.log_sigmoid(-_log_odds(p, t, ops)), 0.0),
            lambda p, t, ops: (
                ops.log(p["shape"]) + ops.log_sigmoid(_log_odds(p, t, ops)) - np.log(_positive(t))
            ),
            lambda rate: {"scale": 1.0 / rate, "shape": 1.5},
            _scale_and_shape,
        ),
        Family(
            "geometric",
            "S(n) = (1 - theta)^n",
            {"theta": "logit"},
            True,
            lambda p, t, ops: ops.log1p(-p["theta"]) * t,
            lambda p, t, ops: ops.log(p["theta"]) + 0.0 * t,
            lambda rate: {"theta": min(rate, 0.5)},
            lambda months: {"theta": prior("beta", alpha=1.0, beta=1.0)},
        ),
        Family(
            "sbg",
            "S(n) = B(alpha, beta + n)/B(alpha, beta), shifted beta-geometric"
            " (Fader and Hardie 2007, Journal of Interactive Marketing 21, 76-90)",
            {"alpha": "log", "beta": "log"},
            True,
            lambda p, t, ops: _log_beta_ratio(p["alpha"], p["beta"], t, ops),
            lambda p, t, ops: (
                ops.log(p["alpha"]) - ops.log(p["alpha"] + p["beta"] + np.maximum(t, 1.0) - 1.0)
            ),
            lambda rate: {"alpha": 1.0, "beta": max(1.0 / min(rate, 0.5) - 1.0, 1.0)},
            lambda months: {
                "alpha": prior("halfnormal", sigma=10.0),
                "beta": prior("halfnormal", sigma=10.0),
            },
        ),
    )
}

RETENTION, CHURN = "piecewise", "conflict"  # the deal's own
KNOWN = (RETENTION, CHURN, *FAMILIES)


def family_of(name: str) -> Family:
    """A textbook family by name; :class:`ParameterError` lists them."""
    if name not in FAMILIES:
        raise ParameterError(f"no family named {name!r} here; give one of {', '.join(FAMILIES)}")
    return FAMILIES[name]


# --- hazards of a table ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Hazards:
    """A family bound to the groups of a table.

    Attributes
    ----------
    name
        Of the family.
    declared
        Parameter → (dim or None, prior), each a prior of its own or of each label along the dim.
    labels
        Dim → labels.
    constants
        Parameters that the formulas read and a table does not have.
    curves
        ``(parameters, ops) -> curves`` that the process reads.
    process
        Its ``subject`` is a profile: see :attr:`profiles`.
    profiles
        Groups, or groups by conflict: ``(group, conflict)`` of each.
    scale
        The process's time is the table's times this.
    discrete
        Whether the event comes at whole times only.
    """

    name: str
    declared: Mapping[str, tuple[str | None, Prior]]
    labels: Mapping[str, list[str]]
    constants: Mapping[str, Array]
    curves: Callable[[Parameters, Ops], Curves]
    process: LifeProcess
    profiles: tuple[tuple[int, float], ...]
    scale: float
    discrete: bool

    def profile_of(self, lives: Lives) -> np.ndarray:
        """Each row's place in :attr:`profiles`."""
        place = {pair: i for i, pair in enumerate(self.profiles)}
        pairs = zip(lives.group.tolist(), lives.conflict.tolist(), strict=True)
        return np.array([place[pair] for pair in pairs], dtype=int)


def hazards(name: str, lives: Lives) -> Hazards:
    """The family of that name for the groups of a table."""
    if name not in KNOWN:
        raise ParameterError(f"no family named {name!r}; give one of {', '.join(KNOWN)}")
    if name != CHURN and lives.conflict.any():
        raise DataError(f"a conflict is read by the family {CHURN!r} only; leave the column out")
    made = _deal_retention(lives) if name == RETENTION else None
    made = _deal_churn(lives) if name == CHURN else made
    made = _textbook(FAMILIES[name], lives) if made is None else made
    if not lives.covariates:
        return made
    # Doubling or halving for one unit of a covariate is ordinary.
    ratio = {LOG_HAZARD_RATIO: (COVARIATE, prior("normal", mu=0.0, sigma=1.0))}
    labels = {COVARIATE: list(lives.covariates)}
    return Hazards(
        **{
            **made.__dict__,
            "declared": {**made.declared, **ratio},
            "labels": {**made.labels, **labels},
        }
    )


def _textbook(family: Family, lives: Lives) -> Hazards:
    def own(parameters: Parameters, who: np.ndarray) -> dict[str, Array]:
        return {name: parameters[name][..., who] for name in family.parameters}

    def log_survival(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        # A time between two whole ones is that of the last event that can have come.
        at = np.floor(t + 1e-9) if family.discrete else t
        return family.log_survival(own(parameters, who), at, ops)

    def log_hazard(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        return family.log_hazard(own(parameters, who), t, ops)

    return Hazards(
        family.name,
        {name: (GROUP, p) for name, p in family.priors(lives.months_per_unit).items()},
        {GROUP: list(lives.groups)},
        {},
        lambda parameters, ops: {},
        LifeProcess(log_survival, log_hazard),
        tuple((g, 0.0) for g in range(len(lives.groups))),
        1.0,
        family.discrete,
    )


def _context(people: pd.DataFrame, customers: pd.DataFrame) -> Context:
    """What the deal's models ask of a deal: rosters, and a day on which all clocks start."""
    none = pd.DataFrame({"subject": [], "entity": []})
    return Context(SimpleNamespace(closed=TODAY), {}, people, customers, none, none, {})


def _deal_retention(lives: Lives) -> Hazards:
    roster = pd.DataFrame({"subject": lives.groups, "cohort": lives.groups})
    context = _context(roster, pd.DataFrame({"subject": []}))
    steps = retention.MODEL.innovations(context)
    declared: dict[str, tuple[str | None, Prior]] = {
        **{
            f"exit_hazard_{c}": (None, prior("lognormal", mu=math.log(0.02), sigma=1.0))
            for c in retention.cohorts(context)
        },
        "exit_hazard_shift": (None, prior("normal", mu=0.0, sigma=0.3)),
        "exit_hazard_drift": (None, prior("halfnormal", sigma=0.5)),
        **{name: (dim, prior("normal", mu=0.0, sigma=1.0)) for name, (dim, _) in steps.items()},
    }
    return Hazards(
        RETENTION,
        declared,
        {dim: [str(label) for label in labels] for dim, labels in steps.values()},
        {"loading_retention": np.float64(0.0), "integration": np.float64(0.0)},
        lambda parameters, ops: retention.MODEL.curves(context, parameters, {}, None, ops),
        retention.process(context),
        tuple((g, 0.0) for g in range(len(lives.groups))),
        lives.months_per_unit,
        False,
    )


def _deal_churn(lives: Lives) -> Hazards:
    pairs = sorted({(int(g), float(c)) for g, c in zip(lives.group, lives.conflict, strict=True)})
    # Subjects of a roster are taken in the order of their names.
    roster = pd.DataFrame(
        {
            "subject": [f"{i:09d}" for i in range(len(pairs))],
            "segment": [lives.groups[g] for g, _ in pairs],
            "rival": [c for _, c in pairs],
            "pooled": True,
            "start": TODAY,
        }
    )
    context = _context(pd.DataFrame({"subject": []}), roster)
    declared: dict[str, tuple[str | None, Prior]] = {
        f"churn_hazard_{s}": (None, prior("lognormal", mu=math.log(0.02), sigma=1.0))
        for s in churn.segments(context)
    }
    constants: dict[str, Array] = {
        name: np.float64(0.0)
        for name in ("loading_churn", "integration", "churn_heterogeneity", "return_rate")
    }
    constants["customer_effect"] = np.zeros(len(pairs))
    conflict = {
        "conflict_share": prior("beta", alpha=1.0, beta=1.0),
        "conflict_effect": prior("halfnormal", sigma=2.0),
        "conflict_decay_months": prior("lognormal", mu=math.log(6.0), sigma=1.0),
    }
    if lives.conflict.any():
        declared |= {name: (None, p) for name, p in conflict.items()}
    else:
        constants |= {name: np.float64(0.5) for name in conflict}  # multiplied by no conflict
    return Hazards(
        CHURN,
        declared,
        {},
        constants,
        lambda parameters, ops: churn.MODEL.curves(context, parameters, {}, None, ops),
        churn.process(context),
        tuple(pairs),
        lives.months_per_unit,
        False,
    )


def of_rows(made: Hazards, profile: np.ndarray, design: np.ndarray) -> LifeProcess:
    """The process of rows: each has a profile and its covariates, which multiply the hazard.

    ``log h = log h0 + x'b``, hence ``log S = exp(x'b) log S0`` (proportional hazards: Cox 1972).
    """

    def effect(parameters: Parameters, who: np.ndarray, ops: Ops) -> Array:
        return ops.dot(parameters[LOG_HAZARD_RATIO], design[who].T)

    def log_survival(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        base = made.process.log_survival(parameters, curves, profile[who], made.scale * t, ops)
        return base * ops.exp(effect(parameters, who, ops)) if design.shape[1] else base

    def log_hazard(
        parameters: Parameters, curves: Curves, who: np.ndarray, t: np.ndarray, ops: Ops
    ) -> Array:
        base = made.process.log_hazard(parameters, curves, profile[who], made.scale * t, ops)
        base = base + math.log(made.scale)  # per unit of the table
        return base + effect(parameters, who, ops) if design.shape[1] else base

    return LifeProcess(log_survival, log_hazard)
