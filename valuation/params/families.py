"""Families of prior distributions: densities, quantiles and moments in NumPy and scipy.special.

One :class:`Family` a name, in :data:`FAMILIES`. Every function takes the parameters by name first,
then an array of values inside the support. ``scipy.stats`` is not used, because it takes half a
second to import and an update of stored draws has a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Parameters = Mapping[str, float]

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Family:
    """A distribution on the real line.

    Attributes
    ----------
    parameters
        Names, in the order in which they are written.
    positive
        Those of them that must be above zero.
    support
        Open interval of the values; quantiles must lie inside.
    scale
        Maps a quantile to the scale on which a fit measures a miss: the log for positive values,
        the logit for fractions, so that a miss by a tenth counts the same at both ends.
    start
        ``(probabilities, values) -> parameters`` from which a fit sets out.
    pymc
        Name of PyMC's class; empty for a constant.
    pymc_names
        PyMC's name of each parameter where it differs.
    """

    name: str
    parameters: tuple[str, ...]
    positive: tuple[str, ...]
    support: tuple[float, float]
    logpdf: Callable[[Parameters, Array], Array]
    ppf: Callable[[Parameters, Array], Array]
    cdf: Callable[[Parameters, Array], Array]
    moments: Callable[[Parameters], tuple[float, float]]
    scale: Callable[[Array], Array]
    start: Callable[[Array, Array], Parameters] | None
    pymc: str
    pymc_names: Mapping[str, str]


def _special() -> Any:
    from scipy import special  # deferred: not every command that reads settings needs it

    return special


def _identity(x: Array) -> Array:
    return x


def _log(x: Array) -> Array:
    return np.log(x)


def _logit(x: Array) -> Array:
    return np.log(x) - np.log1p(-x)


def _line(q: Array, y: Array) -> tuple[float, float]:
    """Location and scale of the normal whose quantiles at ``q`` come nearest to ``y``."""
    sigma, mu = np.polyfit(_special().ndtri(q), y, 1)
    return float(mu), float(max(sigma, 1e-12))


# Each density is written for the inside of the support; Prior masks the rest.


def _normal_logpdf(p: Parameters, x: Array) -> Array:
    return -0.5 * ((x - p["mu"]) / p["sigma"]) ** 2 - math.log(p["sigma"]) - 0.5 * _LOG_2PI


def _normal_ppf(p: Parameters, q: Array) -> Array:
    return p["mu"] + p["sigma"] * _special().ndtri(q)


def _normal_cdf(p: Parameters, x: Array) -> Array:
    return _special().ndtr((x - p["mu"]) / p["sigma"])


def _normal_start(q: Array, x: Array) -> Parameters:
    mu, sigma = _line(q, x)
    return {"mu": mu, "sigma": sigma}


def _lognormal_moments(p: Parameters) -> tuple[float, float]:
    variance = p["sigma"] ** 2
    mean = math.exp(p["mu"] + variance / 2)
    return mean, mean * math.sqrt(math.expm1(variance))


def _halfnormal_logpdf(p: Parameters, x: Array) -> Array:
    return math.log(2) + _normal_logpdf({"mu": 0.0, "sigma": p["sigma"]}, x)


def _halfnormal_ppf(p: Parameters, q: Array) -> Array:
    return p["sigma"] * math.sqrt(2) * _special().erfinv(q)


def _halfnormal_start(q: Array, x: Array) -> Parameters:
    unit = _halfnormal_ppf({"sigma": 1.0}, q)
    return {"sigma": float(np.exp(np.mean(np.log(x / unit))))}


def _gamma_logpdf(p: Parameters, x: Array) -> Array:
    a, b = p["alpha"], p["beta"]
    return a * math.log(b) - math.lgamma(a) + _special().xlogy(a - 1, x) - b * x


def _gamma_start(q: Array, x: Array) -> Parameters:
    _, sigma = _line(q, np.log(x))
    alpha = 1 / max(math.expm1(min(sigma, 5.0) ** 2), 1e-6)
    return {"alpha": alpha, "beta": alpha / float(np.exp(np.mean(np.log(x))))}


def _beta_logpdf(p: Parameters, x: Array) -> Array:
    a, b = p["alpha"], p["beta"]
    constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return constant + _special().xlogy(a - 1, x) + _special().xlog1py(b - 1, -x)


def _beta_moments(p: Parameters) -> tuple[float, float]:
    a, b = p["alpha"], p["beta"]
    return a / (a + b), math.sqrt(a * b / (a + b + 1)) / (a + b)


def _beta_start(q: Array, x: Array) -> Parameters:
    mu, sigma = _line(q, _logit(x))
    center = 1 / (1 + math.exp(-mu))
    size = max(1 / max(sigma**2 * center * (1 - center), 1e-6), 0.5)
    return {"alpha": center * size, "beta": (1 - center) * size}


def _exponential_start(q: Array, x: Array) -> Parameters:
    return {"rate": float(np.exp(np.mean(np.log(-np.log1p(-q) / x))))}


def _logitnormal_logpdf(p: Parameters, x: Array) -> Array:
    return _normal_logpdf(p, _logit(x)) - np.log(x) - np.log1p(-x)


def _logitnormal_moments(p: Parameters) -> tuple[float, float]:
    # No closed form. The trapezium rule on the normal's scale converges exponentially.
    z = np.linspace(-12, 12, 4801)
    weight = np.exp(-0.5 * z**2)
    weight /= weight.sum()
    x = _special().expit(p["mu"] + p["sigma"] * z)
    mean = float(weight @ x)
    return mean, math.sqrt(float(weight @ (x - mean) ** 2))


def _uniform_start(q: Array, x: Array) -> Parameters:
    slope, lower = np.polyfit(q, x, 1)
    return {"lower": float(lower), "upper": float(lower + slope)}


def _family(
    name: str, parameters: str, positive: str, support: tuple[float, float], **rest: Any
) -> Family:
    return Family(name, tuple(parameters.split()), tuple(positive.split()), support, **rest)


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _family(
            "normal", "mu sigma", "sigma", (-math.inf, math.inf),
            logpdf=_normal_logpdf, ppf=_normal_ppf, cdf=_normal_cdf,
            moments=lambda p: (p["mu"], p["sigma"]),
            scale=_identity, start=_normal_start, pymc="Normal", pymc_names={},
        ),
        _family(
            "lognormal", "mu sigma", "sigma", (0.0, math.inf),
            logpdf=lambda p, x: _normal_logpdf(p, np.log(x)) - np.log(x),
            ppf=lambda p, q: np.exp(_normal_ppf(p, q)),
            cdf=lambda p, x: _normal_cdf(p, np.log(x)),
            moments=_lognormal_moments,
            scale=_log, start=lambda q, x: _normal_start(q, np.log(x)),
            pymc="LogNormal", pymc_names={},
        ),
        _family(
            "halfnormal", "sigma", "sigma", (0.0, math.inf),
            logpdf=_halfnormal_logpdf, ppf=_halfnormal_ppf,
            cdf=lambda p, x: _special().erf(x / (p["sigma"] * math.sqrt(2))),
            moments=lambda p: (
                p["sigma"] * math.sqrt(2 / math.pi), p["sigma"] * math.sqrt(1 - 2 / math.pi)
            ),
            scale=_log, start=_halfnormal_start, pymc="HalfNormal", pymc_names={},
        ),
        _family(
            "gamma", "alpha beta", "alpha beta", (0.0, math.inf),
            logpdf=_gamma_logpdf,
            ppf=lambda p, q: _special().gammaincinv(p["alpha"], q) / p["beta"],
            cdf=lambda p, x: _special().gammainc(p["alpha"], p["beta"] * x),
            moments=lambda p: (p["alpha"] / p["beta"], math.sqrt(p["alpha"]) / p["beta"]),
            scale=_log, start=_gamma_start, pymc="Gamma", pymc_names={},
        ),
        _family(
            "beta", "alpha beta", "alpha beta", (0.0, 1.0),
            logpdf=_beta_logpdf,
            ppf=lambda p, q: _special().betaincinv(p["alpha"], p["beta"], q),
            cdf=lambda p, x: _special().betainc(p["alpha"], p["beta"], x),
            moments=_beta_moments,
            scale=_logit, start=_beta_start, pymc="Beta", pymc_names={},
        ),
        _family(
            "exponential", "rate", "rate", (0.0, math.inf),
            logpdf=lambda p, x: math.log(p["rate"]) - p["rate"] * x,
            ppf=lambda p, q: -np.log1p(-q) / p["rate"],
            cdf=lambda p, x: -np.expm1(-p["rate"] * x),
            moments=lambda p: (1 / p["rate"], 1 / p["rate"]),
            scale=_log, start=_exponential_start, pymc="Exponential", pymc_names={"rate": "lam"},
        ),
        _family(
            "logitnormal", "mu sigma", "sigma", (0.0, 1.0),
            logpdf=_logitnormal_logpdf,
            ppf=lambda p, q: _special().expit(_normal_ppf(p, q)),
            cdf=lambda p, x: _normal_cdf(p, _logit(x)),
            moments=_logitnormal_moments,
            scale=_logit, start=lambda q, x: _normal_start(q, _logit(x)),
            pymc="LogitNormal", pymc_names={},
        ),
        _family(
            "uniform", "lower upper", "", (-math.inf, math.inf),
            logpdf=lambda p, x: np.where(
                (x >= p["lower"]) & (x <= p["upper"]), -math.log(p["upper"] - p["lower"]), -np.inf
            ),
            ppf=lambda p, q: p["lower"] + (p["upper"] - p["lower"]) * q,
            cdf=lambda p, x: np.clip((x - p["lower"]) / (p["upper"] - p["lower"]), 0, 1),
            moments=lambda p: (
                (p["lower"] + p["upper"]) / 2, (p["upper"] - p["lower"]) / math.sqrt(12)
            ),
            scale=_identity, start=_uniform_start, pymc="Uniform", pymc_names={},
        ),
        _family(
            "fixed", "value", "", (-math.inf, math.inf),
            logpdf=lambda p, x: np.where(x == p["value"], 0.0, -np.inf),
            ppf=lambda p, q: np.full_like(q, p["value"]),
            cdf=lambda p, x: (x >= p["value"]).astype(float),
            moments=lambda p: (p["value"], 0.0),
            scale=_identity, start=None, pymc="", pymc_names={},
        ),
    )
}  # fmt: skip


def faults(family: Family, parameters: Parameters) -> list[str]:
    """What is wrong with a set of parameters, each ``what; remedy``; empty if nothing is."""
    found = [
        f"{name} is {parameters[name]:g}; it must be above 0"
        for name in family.positive
        if not parameters[name] > 0
    ]
    if family.name == "uniform" and not parameters["lower"] < parameters["upper"]:
        found.append("lower is not below upper; swap them")
    return found


def fit_quantiles(family: Family, quantiles: Mapping[float, float]) -> dict[str, float]:
    """Parameters whose quantiles come nearest, by least squares on the family's ``scale``.

    With as many quantiles as parameters the fit is exact where the family can reach them. A normal on its scale
    is a straight line in normal scores, so its fit has a closed form; others are searched for, once a process.
    """
    return dict(
        _fitted(family.name, tuple(sorted((float(p), float(x)) for p, x in quantiles.items())))
    )


@lru_cache(maxsize=1024)
def _fitted(name: str, stated: tuple[tuple[float, float], ...]) -> Mapping[str, float]:
    family, quantiles = FAMILIES[name], dict(stated)
    q = np.array(sorted(quantiles))
    x = np.array([quantiles[p] for p in sorted(quantiles)], dtype=float)
    if family.start is None:
        raise ValueError(f"{family.name} has no quantiles to fit")
    wanted = family.scale(x)
    start = family.start(q, x)
    if family.parameters == ("mu", "sigma"):
        return start
    from scipy.optimize import least_squares

    spread = float(np.ptp(wanted)) or 1.0

    def unpack(theta: Array) -> dict[str, float]:
        return {
            name: float(np.exp(value) if name in family.positive else value * spread)
            for name, value in zip(family.parameters, theta, strict=True)
        }

    def miss(theta: Array) -> Array:
        with np.errstate(all="ignore"):
            gap = (family.scale(family.ppf(unpack(theta), q)) - wanted) / spread
        return np.nan_to_num(gap, nan=1e3, posinf=1e3, neginf=-1e3)

    theta = [
        math.log(start[name]) if name in family.positive else start[name] / spread
        for name in family.parameters
    ]
    return unpack(least_squares(miss, theta, xtol=1e-14, ftol=1e-14, gtol=1e-14).x)
