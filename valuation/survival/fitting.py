"""Fits of a table of life courses: posterior draws, the posterior by quadrature, or maximum likelihood.

All use :mod:`valuation.survival.likelihood`, hence the likelihood code of the deal's models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from valuation.errors import DataError, ModelError, ParameterError
from valuation.models.base import Parameters
from valuation.ops import numpy_ops
from valuation.params import Prior, load_gate
from valuation.posterior import POSTERIOR, Diagnosis, Thresholds, diagnose
from valuation.posterior import fit as sample
from valuation.schema import CHAIN, CHAINS, CI_PROB, DRAW, DRAWS, FRACTION, TARGET_ACCEPT, TUNE
from valuation.survival.hazards import (
    CHURN,
    COVARIATE,
    GROUP,
    LOG_HAZARD_RATIO,
    RETENTION,
    Hazards,
    family_of,
    hazards,
    of_rows,
)
from valuation.survival.likelihood import likelihood
from valuation.survival.reading import Columns, Lives, as_lives

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NODE = "node"
TIME = "time"
CONFLICT = "conflict"
STEP = 1e-4  # of numerical derivatives, on the unbounded scale
FAR = 7.0  # on that scale: a parameter a thousand times its start runs away, or covariates separate
STARTS = (0.0, 0.7, -0.7)
SLOPE = 1e-3  # what may be left of the score at a maximum, per event


@dataclass(frozen=True)
class Posterior:
    """Draws of a family's parameters given a table.

    Attributes
    ----------
    tree
        Group ``posterior`` with dims ``(chain, draw)``, and ``group`` where the table names groups;
        ``sample_stats``; attrs say family, unit, seed and sampler.
    diagnosis
        Every check of the draws; they have passed, or a reason was given to override.
    lives
        The table as it was read.
    family
        Name of the family.
    """

    tree: xr.DataTree
    diagnosis: Diagnosis
    lives: Lives
    family: str

    @property
    def parameters(self) -> xr.Dataset:
        """Draws by parameter, in the unit of the family (see :data:`valuation.survival.FAMILIES`)."""
        return self.tree[POSTERIOR].to_dataset()


@dataclass(frozen=True)
class Integral:
    """A posterior by quadrature: no draws, hence no Monte Carlo error.

    Attributes
    ----------
    parameters
        Their values at the nodes, dims ``(node)``.
    weight
        Posterior probability of each node; they sum to 1.
    mean, sd
        Of each parameter.
    log_evidence
        Log of the integral of likelihood times prior, in nats; for comparing families.
    lives, family
        As of :class:`Posterior`.
    """

    parameters: xr.Dataset
    weight: xr.DataArray
    mean: xr.Dataset
    sd: xr.Dataset
    log_evidence: float
    lives: Lives
    family: str


@dataclass(frozen=True)
class MaximumLikelihood:
    """Parameters at which the likelihood of a table is largest.

    Attributes
    ----------
    parameters, standard_errors
        By parameter; dims ``(group)`` where the table names groups, ``(covariate)`` for
        ``log_hazard_ratio``. Errors by the delta method from the observed information.
    log_likelihood
        At the maximum, in nats: the density of exact times (in the table's unit), the probability
        of windows and sightings; no binomial coefficients.
    aic
        ``2 k - 2 log_likelihood`` with k parameters (Akaike 1974).
    lives, family
        As of :class:`Posterior`.
    """

    parameters: xr.Dataset
    standard_errors: xr.Dataset
    log_likelihood: float
    aic: float
    lives: Lives
    family: str
    estimate: NDArray  # on the unbounded scale
    covariance: NDArray


def fit_retention(
    data: pd.DataFrame | Lives,
    *,
    random_seed: int,
    family: str = RETENTION,
    priors: Mapping[str, Prior] | None = None,
    chains: int = CHAINS,
    draws: int = DRAWS,
    tune: int = TUNE,
    gate: Thresholds | None = None,
    override: str = "",
    **columns: Unpack[Columns],
) -> Posterior:
    """The retention model's posterior for a table of who stayed how long.

    Parameters
    ----------
    data
        A table, with its columns named as for :func:`valuation.survival.lives`, or what that has read.
    family
        ``piecewise`` is the deal's model (:mod:`valuation.models.retention`) without integration: each
        group is a cohort, hazards are per month with breaks at 6, 12, 24 and 48 months. Textbook
        families are in :data:`valuation.survival.FAMILIES`.
    priors
        Replace the wide defaults by name: ``{"alpha": prior("halfnormal", sigma=10)}``.
    gate, override
        Limits of the checks (None: the project's ``params/gate.yaml``), and a reason to keep draws
        that fail one.

    Returns
    -------
    Posterior
        See :func:`survival` for survival probabilities with their intervals.

    Raises
    ------
    DataError
        The table cannot be read as meant.
    GateError
        The draws fail a check.
    """
    sampling = Sampling(random_seed, chains, draws, tune, gate, override)
    return _posterior(data, family, priors, sampling, columns)


def fit_churn(
    data: pd.DataFrame | Lives,
    *,
    random_seed: int,
    family: str = CHURN,
    priors: Mapping[str, Prior] | None = None,
    chains: int = CHAINS,
    draws: int = DRAWS,
    tune: int = TUNE,
    gate: Thresholds | None = None,
    override: str = "",
    **columns: Unpack[Columns],
) -> Posterior:
    """The churn model's posterior for a table of how long customers stayed.

    ``conflict`` is the deal's model (:mod:`valuation.models.churn`) without integration: each group is
    a segment whose customers are alike, with a monthly hazard that is multiplied, for those with a
    conflict who mind, by a surge that fades. Without a conflict column it is a constant hazard a
    segment. ``sbg`` lets customers differ in how loose they are. All else as :func:`fit_retention`.
    """
    sampling = Sampling(random_seed, chains, draws, tune, gate, override)
    return _posterior(data, family, priors, sampling, columns)


@dataclass(frozen=True)
class Sampling:
    """How draws are made and judged; see :func:`fit_retention`."""

    random_seed: int
    chains: int
    draws: int
    tune: int
    gate: Thresholds | None
    override: str


def _stated(made: Hazards, priors: Mapping[str, Prior] | None) -> dict[str, Prior]:
    """The prior of every parameter."""
    given = dict(priors or {})
    unknown = sorted(set(given) - set(made.declared))
    if unknown:
        raise ParameterError(
            f"{made.name} has no parameter {', '.join(unknown)}; it has {', '.join(made.declared)}"
        )
    return {name: given.get(name, default) for name, (_, default) in made.declared.items()}


def _posterior(
    data: pd.DataFrame | Lives,
    family: str,
    priors: Mapping[str, Prior] | None,
    sampling: Sampling,
    columns: Columns,
) -> Posterior:
    import pymc as pm

    from valuation.ops import pytensor_ops

    lives = as_lives(data, columns)
    made = hazards(family, lives)
    stated = _stated(made, priors)
    gate = sampling.gate or load_gate()  # before the work, should there be none
    rows = likelihood(made, lives)
    with pm.Model(coords=dict(made.labels)) as model:
        parameters: dict[str, Any] = {}
        for name, (dim, _) in made.declared.items():
            # One group needs no axis; the formulas see it as one of one.
            alone = dim == GROUP and not lives.grouped
            variable = stated[name].rv(name, dims=None if alone else dim)
            parameters[name] = variable[None] if alone else variable
        pm.Potential("evidence", rows.log_likelihood(parameters, pytensor_ops()))
    tree = sample(
        model,
        random_seed=sampling.random_seed,
        chains=sampling.chains,
        draws=sampling.draws,
        tune=sampling.tune,
        target_accept=TARGET_ACCEPT,
        attrs={"family": family, "unit": lives.unit, "subjects": float(lives.count.sum())},
    )
    diagnosis = diagnose(tree, gate)
    diagnosis.raise_if_failed(sampling.override)
    return Posterior(tree, diagnosis, lives, family)


# --- quadrature -----------------------------------------------------------------------------------

POINTS = 81  # a dimension, midpoints a fifth of a standard deviation apart: converged for smooth densities
REACH, WIDEST = 8.0, 64.0  # standard deviations to either side, and at most
EDGE = 1e-9  # posterior mass that may lie on the rim
PORTION = 4096  # nodes at once


def integrate(
    data: pd.DataFrame | Lives,
    *,
    family: str,
    priors: Mapping[str, Prior] | None = None,
    **columns: Unpack[Columns],
) -> Integral:
    """The posterior of a textbook family by quadrature: what sampling would give, in a second.

    One group at a time and no covariates, hence two parameters at most. Midpoint rule on the unbounded
    scale around the mode, in units of the curvature there; it widens until nothing is left outside.

    Parameters
    ----------
    data, family, priors
        As for :func:`fit_retention`.

    Raises
    ------
    ModelError
        The posterior has no mode, or mass far beyond it.
    """
    from scipy.optimize import minimize

    kind = family_of(family)
    lives = as_lives(data, columns)
    if lives.covariates or len(lives.groups) > 1:
        raise DataError("quadrature takes one group without covariates; fit_retention takes more")
    made = hazards(family, lives)
    stated = _stated(made, priors)
    rows, ops = likelihood(made, lives), numpy_ops()
    names = list(kind.parameters)
    ways = [_SCALES[kind.parameters[name]] for name in names]

    def back(theta: NDArray) -> dict[str, NDArray]:
        pairs = zip(names, ways, strict=True)
        return {name: way.back(theta[:, i]) for i, (name, way) in enumerate(pairs)}

    def log_density(theta: NDArray) -> NDArray:
        natural = back(theta)
        with np.errstate(all="ignore"):
            total = rows.log_likelihood({n: x[:, None] for n, x in natural.items()}, ops)
            for i, (name, way) in enumerate(zip(names, ways, strict=True)):
                total = total + stated[name].logpdf(natural[name]) + np.log(way.slope(theta[:, i]))
        return np.where(np.isfinite(total), total, -1e300)

    def loss(theta: NDArray) -> float:
        return -float(log_density(np.clip(theta, -700, 700)[None])[0])

    rate = max(lives.events, 0.5) / _time_at_risk(lives)[0]
    first = kind.start(rate)
    start = np.array([float(w.onto(first[n])) for n, w in zip(names, ways, strict=True)])
    mode = min((minimize(loss, start + s, jac="3-point") for s in STARTS), key=lambda f: f.fun).x
    _, curvature = _derivatives(loss, mode)
    if not _positive_definite(curvature):
        raise ModelError(f"the posterior of {family} has no mode; state narrower priors")
    root = np.linalg.cholesky(np.linalg.inv(curvature))
    theta, mass, top, step = _nodes(log_density, mode, root, family)
    weight = mass / mass.sum()
    keep = weight > 0.0
    values = xr.Dataset({name: (NODE, x) for name, x in back(theta[keep]).items()})
    share = xr.DataArray(weight[keep], dims=NODE)
    mean = (values * share).sum(NODE)
    return Integral(
        parameters=values,
        weight=share,
        mean=mean,
        sd=((values - mean) ** 2 * share).sum(NODE) ** 0.5,
        log_evidence=float(top + np.log(mass.sum() * step)),
        lives=lives,
        family=family,
    )


def _nodes(
    log_density: Callable[[NDArray], NDArray], mode: NDArray, root: NDArray, family: str
) -> tuple[NDArray, NDArray, float, float]:
    """Nodes ``(node, parameter)`` around the mode, densities over the highest, its log, and the space of a node."""
    reach, size = REACH, len(mode)
    while reach <= WIDEST:
        points = round(POINTS * reach / REACH)
        axis = (np.arange(points) + 0.5) / points * 2.0 * reach - reach
        grid = np.stack(np.meshgrid(*[axis] * size, indexing="ij"), axis=-1)
        theta = mode + grid.reshape(-1, size) @ root.T
        parts = [log_density(theta[i : i + PORTION]) for i in range(0, len(theta), PORTION)]
        log_p = np.concatenate(parts)
        top = log_p.max()
        mass = np.exp(log_p - top)
        rim = (np.abs(grid).max(axis=-1) > reach * (1.0 - 1.5 / points)).reshape(-1)
        if mass[rim].sum() <= EDGE * mass.sum():
            step = (axis[1] - axis[0]) ** size * abs(np.linalg.det(root))
            return theta, mass, float(top), float(step)
        reach *= 2.0
    raise ModelError(
        f"the posterior of {family} reaches beyond {WIDEST:g} standard deviations of its mode;"
        " state narrower priors"
    )


# --- survival -------------------------------------------------------------------------------------


def survival(
    fit: Posterior | Integral | MaximumLikelihood,
    times: ArrayLike,
    *,
    given: float = 0.0,
    at: Mapping[str, float] | None = None,
    ci_prob: float = CI_PROB,
) -> xr.Dataset:
    """Probability of no event by each time, for a subject of each group.

    Parameters
    ----------
    times
        In the table's unit.
    given
        For a subject that got this far: ``S(t)/S(given)``; times may not be before it.
    at
        Value of each covariate; their means if not given.
    ci_prob
        Mass of the central interval.

    Returns
    -------
    Dataset
        ``survival`` (a posterior's mean), ``sd``, ``lower`` and ``upper``; dims ``(time)``, with
        ``group`` and ``conflict`` where the table has them. The interval is one of the parameters'
        uncertainty: of posterior draws, or of log(-log S) by the delta method.
    """
    t = np.atleast_1d(np.asarray(times, dtype=float))
    if t.ndim != 1 or not np.isfinite(t).all() or (t < given).any() or given < 0.0:
        raise ParameterError(f"times must be finite and not before {given:g} {fit.lives.unit}")
    if not 0.0 < ci_prob < 1.0:
        raise ParameterError(f"ci_prob lies between 0 and 1, got {ci_prob:g}; 90% is 0.9")
    made = hazards(fit.family, fit.lives)
    curve = _log_curve(made, fit.lives, t, given, at)
    mean: NDArray
    if isinstance(fit, Posterior):
        flat = fit.parameters.stack(sample=(CHAIN, DRAW)).transpose("sample", ...)
        drawn = {
            name: flat[name].to_numpy()[:, None]
            if dim == GROUP and not fit.lives.grouped
            else flat[name].to_numpy()
            for name, (dim, _) in made.declared.items()
        }
        values = np.exp(curve(drawn))
        tail = (1.0 - ci_prob) / 2.0
        lower, upper = np.quantile(values, [tail, 1.0 - tail], axis=0)
        mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1)
    elif isinstance(fit, Integral):
        nodes = {str(k): v.to_numpy()[:, None] for k, v in fit.parameters.items()}
        mean, sd, lower, upper = _weighted(np.exp(curve(nodes)), fit.weight.to_numpy(), ci_prob)
    else:
        mean, sd, lower, upper = _delta(fit, curve, ci_prob)
    return _labelled(made, fit.lives, t, given, survival=mean, sd=sd, lower=lower, upper=upper)


def _weighted(
    values: NDArray, weight: NDArray, ci_prob: float
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Mean, deviation and central interval over the first axis, of nodes that carry weights."""
    mean = np.tensordot(weight, values, 1)
    sd = np.sqrt(np.tensordot(weight, (values - mean) ** 2, 1))
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(weight[order], axis=0)
    ends = []
    for level in ((1.0 - ci_prob) / 2.0, (1.0 + ci_prob) / 2.0):
        place = (below < level * below[-1:]).sum(axis=0)[None]
        ends.append(np.take_along_axis(ordered, np.minimum(place, len(values) - 1), axis=0)[0])
    return mean, sd, ends[0], ends[1]


def _log_curve(
    made: Hazards, lives: Lives, t: NDArray, given: float, at: Mapping[str, float] | None
) -> Callable[[Parameters], NDArray]:
    """``parameters -> log S(t | given)``, shape ``(..., profile, time)``."""
    mean = (lives.count @ lives.design / lives.count.sum()).tolist()
    where = dict(zip(lives.covariates, mean, strict=True))
    unknown = sorted(set(at or {}) - set(where))
    if unknown:
        raise ParameterError(
            f"no covariate {', '.join(unknown)}; the fit has {', '.join(where) or 'none'}"
        )
    where |= dict(at or {})
    profiles = np.arange(len(made.profiles))
    design = np.tile([where[c] for c in lives.covariates], (len(profiles), 1))
    process = of_rows(made, profiles, design.reshape(len(profiles), -1))
    who = np.repeat(profiles, len(t))
    clock = np.tile(t, len(profiles))

    def curve(parameters: Parameters) -> NDArray:
        ops = numpy_ops()
        known = {**made.constants, **parameters}
        curves = made.curves(known, ops)
        log_s = process.log_survival(known, curves, who, clock, ops)
        start = process.log_survival(known, curves, who, np.full(len(who), given), ops)
        shape = (*np.shape(log_s)[:-1], len(profiles), len(t))
        return np.asarray(np.reshape(log_s - start, shape))

    return curve


def _labelled(
    made: Hazards, lives: Lives, t: NDArray, given: float, **values: NDArray
) -> xr.Dataset:
    coords: dict[str, Any] = {TIME: (TIME, t, {"units": lives.unit})}
    dims: list[str] = [TIME]
    if lives.grouped or len(made.profiles) > 1:
        dims = ["profile", TIME]
        coords |= {
            GROUP: ("profile", [lives.groups[g] for g, _ in made.profiles]),
            CONFLICT: ("profile", [int(c) for _, c in made.profiles]),
        }
    else:
        values = {name: array[0] for name, array in values.items()}
    made_of = {name: (dims, array, {"units": FRACTION}) for name, array in values.items()}
    found = xr.Dataset(made_of, coords=coords, attrs={"unit": lives.unit, "given": given})
    if "profile" not in dims:
        return found
    if not any(c for _, c in made.profiles):
        return found.swap_dims(profile=GROUP).drop_vars(CONFLICT)
    return found


# --- maximum likelihood ---------------------------------------------------------------------------


class _Scale(NamedTuple):
    """A scale on which a parameter is unbounded: the way onto it, the way back, and the derivative of that."""

    onto: Callable[..., Any]
    back: Callable[..., Any]
    slope: Callable[..., Any]


_SCALES: dict[str, _Scale] = {
    "log": _Scale(np.log, np.exp, np.exp),
    "real": _Scale(lambda x: x, lambda x: x, np.ones_like),
    "logit": _Scale(
        lambda x: np.log(x) - np.log1p(-x),
        lambda x: 1.0 / (1.0 + np.exp(-x)),
        lambda x: np.exp(-np.abs(x)) / (1.0 + np.exp(-np.abs(x))) ** 2,
    ),
}


def maximum_likelihood(
    data: pd.DataFrame | Lives, *, family: str, **columns: Unpack[Columns]
) -> MaximumLikelihood:
    """The maximum of a textbook family's likelihood for a table of life courses.

    Parameters
    ----------
    data
        A table, with its columns named as for :func:`valuation.survival.lives`, or what that has read.
    family
        One of :data:`valuation.survival.FAMILIES`. Each group has its own parameters; covariates
        multiply the hazard by ``exp(log_hazard_ratio)`` a unit.

    Raises
    ------
    DataError
        There is no event, or none in some group.
    ModelError
        The likelihood has no finite maximum, or none was found.
    """
    from scipy.optimize import minimize

    kind = family_of(family)
    lives = as_lives(data, columns)
    made = hazards(family, lives)
    rows = likelihood(made, lives)
    time_at_risk = _time_at_risk(lives)
    seen = [
        float(lives.count[(lives.group == g) & ~lives.censored].sum())
        for g in range(len(lives.groups))
    ]
    silent = [name for name, n in zip(lives.groups, seen, strict=True) if n == 0.0]
    if silent:
        raise DataError(
            f"no event in {', '.join(silent)}; the likelihood is largest where none ever comes, so give"
            " a prior (fit_retention, fit_churn)"
        )
    guess = [kind.start(n / risk) for n, risk in zip(seen, time_at_risk, strict=True)]
    scales = [s for s in kind.parameters.values() for _ in lives.groups]
    start = [
        float(_SCALES[scale].onto(g[name]))
        for name, scale in kind.parameters.items()
        for g in guess
    ]
    # A covariate's ratio is looked for on its own scale, so that ages and shares are searched alike.
    spread = np.std(lives.design, axis=0) if lives.covariates else np.ones(0)
    if (spread == 0.0).any():
        flat = [c for c, s in zip(lives.covariates, spread, strict=True) if s == 0.0]
        raise DataError(f"covariate {', '.join(flat)} never varies; leave it out")
    scales += ["real"] * len(spread)
    start += [0.0] * len(spread)
    origin = np.array(start)
    groups = len(lives.groups)

    def unpack(theta: NDArray) -> dict[str, NDArray]:
        natural = np.array([_SCALES[s].back(x) for s, x in zip(scales, theta, strict=True)])
        named = {
            name: natural[i * groups : (i + 1) * groups] for i, name in enumerate(kind.parameters)
        }
        if len(spread):
            named[LOG_HAZARD_RATIO] = natural[len(kind.parameters) * groups :] / spread
        return named

    ops = numpy_ops()

    def loss(theta: NDArray) -> float:
        with np.errstate(all="ignore"):
            value = -float(rows.log_likelihood(unpack(np.clip(theta, -700, 700)), ops))
        return value if math.isfinite(value) else 1e300

    shape = np.array([0.0 if i < groups else 1.0 for i in range(len(origin))])
    if len(spread):
        shape[-len(spread) :] = 0.0
    names = ", ".join([*kind.parameters, *lives.covariates])
    for shift in STARTS:
        with np.errstate(all="ignore"):  # a search that runs away is told below
            theta = np.asarray(minimize(loss, origin + shift * shape, method="BFGS").x, dtype=float)
        theta, gradient, hessian = _polished(loss, theta)
        bounded = bool((np.abs(theta - origin) <= FAR).all() and _positive_definite(hessian))
        steep = float(np.abs(gradient).max())
        if bounded and steep <= SLOPE * lives.events:
            break
    else:
        if bounded:
            raise ModelError(
                f"no maximum of the likelihood of {family} was found (slope {steep:.3g} left);"
                " check the data for times far apart, or give a prior"
            )
        raise ModelError(
            f"the likelihood of {family} has no finite maximum ({names} run away); the data fit a"
            " simpler family, or give a prior (fit_retention, fit_churn)"
        )
    covariance = np.linalg.inv(hessian)
    natural = unpack(theta)
    slope = np.array([float(_SCALES[s].slope(x)) for s, x in zip(scales, theta, strict=True)])
    if len(spread):
        slope[-len(spread) :] /= spread
    errors = np.sqrt(np.diag(covariance)) * slope
    maximum = -loss(theta)
    values, deviations = {}, {}
    for i, (name, array) in enumerate(natural.items()):
        place = slice(i * groups, i * groups + len(array))
        values[name] = _named(name, array, lives)
        deviations[name] = _named(name, errors[place], lives)
    return MaximumLikelihood(
        parameters=xr.Dataset(values),
        standard_errors=xr.Dataset(deviations),
        log_likelihood=maximum,
        aic=2.0 * len(theta) - 2.0 * maximum,
        lives=lives,
        family=family,
        estimate=np.concatenate(list(natural.values())),
        covariance=covariance * np.outer(slope, slope),
    )


def _named(name: str, array: NDArray, lives: Lives) -> xr.DataArray:
    if name == LOG_HAZARD_RATIO:
        return xr.DataArray(array, dims=COVARIATE, coords={COVARIATE: list(lives.covariates)})
    if not lives.grouped:
        return xr.DataArray(array[0])
    return xr.DataArray(array, dims=GROUP, coords={GROUP: list(lives.groups)})


def _time_at_risk(lives: Lives) -> list[float]:
    """Per group; an event in a window counts to its middle."""
    end = np.where(
        lives.censored,
        lives.lower,
        (lives.lower + np.where(lives.censored, 0.0, lives.upper)) / 2.0,
    )
    spent = np.maximum(end - lives.entry, 0.0) * lives.count
    return [max(float(spent[lives.group == g].sum()), 1e-9) for g in range(len(lives.groups))]


def _derivatives(function: Callable[[NDArray], float], at: NDArray) -> tuple[NDArray, NDArray]:
    """Gradient and Hessian by central differences."""
    n = len(at)
    steps = STEP * np.maximum(np.abs(at), 1.0) * np.eye(n)
    here = function(at)
    plus = np.array([function(at + s) for s in steps])
    minus = np.array([function(at - s) for s in steps])
    size = np.diag(steps)
    gradient = (plus - minus) / (2.0 * size)
    hessian = np.diag((plus - 2.0 * here + minus) / size**2)
    for i in range(n):
        for j in range(i):
            corners = [
                a * b * function(at + a * steps[i] + b * steps[j]) for a in (1, -1) for b in (1, -1)
            ]
            hessian[i, j] = hessian[j, i] = sum(corners) / (4.0 * size[i] * size[j])
    return gradient, hessian


def _polished(
    function: Callable[[NDArray], float], theta: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """A minimum after Newton's steps, which remove what a search by differences leaves; its derivatives."""
    gradient, hessian = _derivatives(function, theta)
    for _ in range(4):
        if not _positive_definite(hessian):
            break
        move = np.linalg.solve(hessian, gradient)
        if function(theta - move) > function(theta):
            break
        theta = theta - move
        gradient, hessian = _derivatives(function, theta)
        if np.abs(move).max() < 1e-9:
            break
    return theta, gradient, hessian


def _positive_definite(matrix: NDArray) -> bool:
    return bool(np.isfinite(matrix).all() and (np.linalg.eigvalsh(matrix) > 0.0).all())


def _delta(
    fit: MaximumLikelihood, curve: Callable[[Parameters], NDArray], ci_prob: float
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Survival at the estimate, its error, and the interval of log(-log S)."""
    from scipy.special import ndtri

    def log_s(theta: NDArray) -> NDArray:
        named: dict[str, NDArray] = {}
        first = 0
        for name in fit.parameters.data_vars:
            length = max(fit.parameters[name].size, 1)
            named[str(name)] = theta[first : first + length]
            first += length
        return curve(named)

    here = log_s(fit.estimate)
    steps = STEP * np.maximum(np.abs(fit.estimate), 1e-3)
    moved = np.eye(len(steps)) * steps
    slope = np.array(
        [
            (log_s(fit.estimate + m) - log_s(fit.estimate - m)) / (2.0 * s)
            for m, s in zip(moved, steps, strict=True)
        ]
    )
    variance = np.einsum("i...,ij,j...->...", slope, fit.covariance, slope)
    value = np.exp(here)
    sd = value * np.sqrt(np.maximum(variance, 0.0))
    z = float(ndtri(0.5 + ci_prob / 2.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(here < 0.0, np.sqrt(np.maximum(variance, 0.0)) / -here, 0.0)
    lower = np.exp(here * np.exp(z * relative))
    upper = np.exp(here * np.exp(-z * relative))
    return value, sd, lower, upper
