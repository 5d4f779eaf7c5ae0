"""What a forecast was worth once the outcome is known: arithmetic on arrays, no records, no files.

Every score counts errors: 0 is perfect, smaller is better, and its expectation is smallest for whoever states what
they believe (proper: Gneiting and Raftery 2007, JASA 102, 359-378). Scores come back one for each question; means,
skill and calibration are taken from those. A score of a probability has no unit (log: nats); one of a quantity has
the quantity's unit.

Two arrays that belong together have equal shapes; a single number stands for all questions, as a base rate does.
Nothing is skipped: a value that is missing, not finite or out of range is a :class:`ValuationError` that names it. Only
the log score is infinite where something happened that was called impossible, and stays so in a mean.

Questions that share a driver are not independent. ``clusters`` names each question's driver; outcomes of a cluster are
taken to go together, so that forty questions about one departure count as little more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from valuation.errors import ValuationError
from valuation.schema import CI_PROB

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = NDArray[np.float64]

TOO_FEW = 20  # independent outcomes below which a bin of forecasts shows nothing
RESAMPLES = 2000  # an interval's end then has a Monte Carlo error of about 0.06 standard errors
TENTHS: tuple[float, ...] = tuple(i / 10 for i in range(11))  # i * 0.1 would put 0.3 a bin too low
ROUNDING = 1e-12  # of a chance: what is below it is none
MISSING = frozenset({"", "none", "nan", "nat", "<na>"})  # how a missing label reads as text
SUM_TOLERANCE = 1e-6  # of the probabilities of categories; single precision is off by 1e-7


# Probabilities


def brier(probability: ArrayLike, outcome: ArrayLike) -> Array:
    """Squared error of a probability, ``(p - o)²``: 0 to 1, and 0.25 for a coin's forecast.

    Parameters
    ----------
    probability
        Of the event, as a fraction. Shape ``(...)``.
    outcome
        1 where it happened, 0 where not. Shape ``(...)``.

    Notes
    -----
    Brier (1950, Monthly Weather Review 78, 1-3), in the form for two categories that is usual now: half of
    :func:`brier_categories`.
    """
    p, o = _paired(probability=_probability("probability", probability), outcome=_binary(outcome))
    return (p - o) ** 2


def log_score(probability: ArrayLike, outcome: ArrayLike) -> Array:
    """Surprise in nats, ``-log`` of the probability given to what happened.

    It is ``inf`` where that was 0: nothing is clipped, since whoever calls a thing impossible has said so.

    Parameters
    ----------
    probability
        Of the event, as a fraction. Shape ``(...)``.
    outcome
        1 where it happened, 0 where not. Shape ``(...)``.

    Notes
    -----
    Good (1952, Journal of the Royal Statistical Society B 14, 107-114).
    """
    p, o = _paired(probability=_probability("probability", probability), outcome=_binary(outcome))
    with np.errstate(divide="ignore"):  # log1p keeps the digits of a small chance of the event
        return 0.0 - np.where(o == 1.0, np.log(p), np.log1p(-p))


def brier_categories(probability: ArrayLike, category: ArrayLike) -> Array:
    """Squared errors summed over categories: 0 to 2; with two categories twice :func:`brier`.

    Parameters
    ----------
    probability
        One for each category, summing to 1. Shape ``(..., category)``.
    category
        Position, from 0, of the category that came true. Shape ``(...)``.

    Notes
    -----
    Brier (1950), in its original form.
    """
    p, hit = _categories(probability, category)
    return ((p - hit) ** 2).sum(axis=-1)


def log_score_categories(probability: ArrayLike, category: ArrayLike) -> Array:
    """``-log`` of the probability given to the category that came true, in nats; ``inf`` where that was 0.

    Shapes as in :func:`brier_categories`.
    """
    p, hit = _categories(probability, category)
    with np.errstate(divide="ignore"):
        return 0.0 - np.log((p * hit).sum(axis=-1))


# A rule for yes and no, by name; each takes ``(probability, outcome)``.
RULES: Mapping[str, Callable[[ArrayLike, ArrayLike], Array]] = {"brier": brier, "log": log_score}


# Quantities


def crps_ensemble(
    draws: ArrayLike, outcome: ArrayLike, *, weight: ArrayLike | None = None, fair: bool = False
) -> Array:
    """Continuous ranked probability score of draws: the integral of ``(F(x) - 1{x >= outcome})²``.

    It has the quantity's unit and is the absolute error where all draws are alike. Equal to
    ``E|X - y| - E|X - X'|/2`` (Gneiting and Raftery 2007, equation 21), summed here between sorted draws as by Hersbach
    (2000, Weather and Forecasting 15, 559-570), which costs a sort and cannot turn out negative.

    Parameters
    ----------
    draws
        Simulated values. Shape ``(..., draw)``.
    outcome
        What it came to, in the draws' unit. Shape ``(...)``.
    weight
        Of each draw, not negative, of any sum. Shape ``(draw,)`` or that of ``draws``; None: all alike. A whole
        number k does what k copies of the draw do.
    fair
        Whether to judge the distribution behind the draws instead of the draws themselves, so that many draws have
        no advantage over few (Ferro 2014, QJRMS 140, 1917-1923). Weighted draws are then independent draws
        with weights, not copies: ``E|X - X'|`` is divided by the chance ``1 - sum w²`` that two differ. It may be
        negative.
    """
    x, y = _number("draws", draws), _number("outcome", outcome)
    if x.ndim == 0:
        raise ValuationError("draws is a single number; give an array whose last axis is the draws")
    if y.shape not in ((), x.shape[:-1]):
        raise ValuationError(
            f"draws of shape {x.shape} need outcomes of shape {x.shape[:-1]}, got {y.shape};"
            " the draws are the last axis"
        )
    w = _weights(weight, x.shape)
    y = np.broadcast_to(y, x.shape[:-1])[..., None]
    # The outcome joins the draws with weight 0; between neighbours both steps are then constant.
    points = np.concatenate([x, y], axis=-1)
    order = np.argsort(points, axis=-1, kind="stable")
    points = np.take_along_axis(points, order, axis=-1)
    mass = np.take_along_axis(np.concatenate([w, np.zeros_like(y)], axis=-1), order, axis=-1)
    below = np.cumsum(mass, axis=-1)[..., :-1]
    reached = np.cumsum(order == x.shape[-1], axis=-1)[..., :-1]
    gap = np.diff(points, axis=-1)
    score = ((below - reached) ** 2 * gap).sum(axis=-1)
    if fair:
        alike = (w**2).sum(axis=-1)
        if (1.0 - alike < ROUNDING).any():
            raise ValuationError(
                "the fair score needs at least two draws with weight; give more draws or fair=False"
            )
        score = score - (below * (1.0 - below) * gap).sum(axis=-1) * alike / (1.0 - alike)
    return score


def crps_normal(mean: ArrayLike, sd: ArrayLike, outcome: ArrayLike) -> Array:
    """Continuous ranked probability score of a normal distribution, in closed form.

    ``sd (z (2Φ(z) - 1) + 2φ(z) - 1/√π)`` with ``z = (outcome - mean)/sd`` (Gneiting, Raftery, Westveld and Goldman
    2005, Monthly Weather Review 133, 1098-1118). All in one unit, shapes ``(...)``; an ``sd`` of 0 gives the absolute
    error.
    """
    from scipy.special import erf

    m, s, y = _paired(
        mean=_number("mean", mean), sd=_number("sd", sd), outcome=_number("outcome", outcome)
    )
    _refuse("sd", s, s < 0.0, "a standard deviation is not negative; give its size")
    error = np.abs(y - m)
    with np.errstate(over="ignore"):  # a forecast so narrow that z is infinite is a point
        z = np.divide(error, s, out=np.full_like(error, np.inf), where=s > 0.0)
        density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return error * erf(z / np.sqrt(2.0)) + s * (2.0 * density - 1.0 / np.sqrt(np.pi))


def crps_lognormal(mu: ArrayLike, sigma: ArrayLike, outcome: ArrayLike) -> Array:
    """Continuous ranked probability score of a lognormal distribution, in closed form.

    ``y (2Φ(z) - 1) - 2 exp(mu + sigma²/2) (Φ(z - sigma) + Φ(sigma/√2) - 1)`` with ``z = (log y - mu)/sigma`` (Baran
    and Lerch 2015, QJRMS 141, 2289-2299). ``mu`` and ``sigma`` (above 0) are of the logarithm; the score has the
    outcome's unit. An outcome of 0 or below is a miss like any other.
    """
    from scipy.special import ndtr

    m, s, y = _paired(
        mu=_number("mu", mu), sigma=_number("sigma", sigma), outcome=_number("outcome", outcome)
    )
    _refuse("sigma", s, s <= 0.0, "it must be above 0; score a single value by its error")
    with np.errstate(divide="ignore"):
        z = (np.log(np.maximum(y, 0.0)) - m) / s
    mean = np.exp(m + 0.5 * s * s)
    return y * (2.0 * ndtr(z) - 1.0) - 2.0 * mean * (ndtr(z - s) - ndtr(-s / np.sqrt(2.0)))


def crps_distribution(
    cdf: Callable[[float], float],
    outcome: float,
    *,
    support: tuple[float, float] = (-np.inf, np.inf),
) -> float:
    """Continuous ranked probability score of any distribution, by quadrature over its distribution function.

    ``∫ (F(x) - 1{x >= outcome})² dx``, to about 1e-8 where F is smooth.

    Parameters
    ----------
    cdf
        ``x -> P(X <= x)``.
    outcome
        What it came to.
    support
        Where F rises from 0 to 1. An outcome outside is scored too.
    """
    from scipy.integrate import quad

    y = _single("outcome", outcome)
    low, high = support
    if not low < high:
        raise ValuationError(f"support runs from {low} to {high}; give the lower end first")
    # Beyond its support F is 0 or 1, and the integrand 1 up to the outcome.
    score = max(low - y, 0.0) + max(y - high, 0.0)
    if y > low:
        score += quad(lambda x: float(cdf(x)) ** 2, low, min(y, high), limit=500)[0]
    if y < high:
        score += quad(lambda x: (1.0 - float(cdf(x))) ** 2, max(y, low), high, limit=500)[0]
    return float(score)


def log_score_normal(mean: ArrayLike, sd: ArrayLike, outcome: ArrayLike) -> Array:
    """``-log`` of a normal density at the outcome, in nats; it depends on the unit. ``sd`` is above 0."""
    m, s, y = _paired(
        mean=_number("mean", mean), sd=_number("sd", sd), outcome=_number("outcome", outcome)
    )
    _refuse("sd", s, s <= 0.0, "a density needs a spread above 0")
    return 0.5 * ((y - m) / s) ** 2 + np.log(s) + 0.5 * np.log(2.0 * np.pi)


def interval_score(
    lower: ArrayLike, upper: ArrayLike, outcome: ArrayLike, *, ci_prob: float
) -> Array:
    """Width of a central interval, and ``2/(1 - ci_prob)`` for each unit by which the outcome lies outside.

    Parameters
    ----------
    lower, upper
        Ends of the interval, which belongs to the quantiles ``(1 ± ci_prob)/2``. Shape ``(...)``.
    outcome
        What it came to, in the same unit. Shape ``(...)``.
    ci_prob
        Mass of the interval, as a fraction between 0 and 1.

    Notes
    -----
    Winkler (1972, JASA 67, 187-191); Gneiting and Raftery (2007), section 6.2.
    """
    low, high, y = _paired(
        lower=_number("lower", lower),
        upper=_number("upper", upper),
        outcome=_number("outcome", outcome),
    )
    outside = 1.0 - _mass(ci_prob)
    _refuse("lower", low, low > high, "it is above its upper end; swap the two")
    missed = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
    return (high - low) + 2.0 / outside * missed


def quantile_score(value: ArrayLike, outcome: ArrayLike, *, level: ArrayLike) -> Array:
    """Pinball loss of a quantile: ``level`` for each unit it is too low, ``1 - level`` for each too high.

    Twice its integral over levels is the continuous ranked probability score; the two ends of a central interval give
    ``(1 - ci_prob)/2`` of :func:`interval_score`.

    Parameters
    ----------
    value
        The quantile that was stated. Shape ``(...)``.
    outcome
        What it came to, in the same unit. Shape ``(...)``.
    level
        Which quantile, as a fraction between 0 and 1. Shape ``(...)``.

    Notes
    -----
    Koenker and Bassett (1978, Econometrica 46, 33-50); Gneiting and Raftery (2007), section 6.1.
    """
    q, y, a = _paired(
        value=_number("value", value),
        outcome=_number("outcome", outcome),
        level=_inside("level", level),
    )
    return a * np.maximum(y - q, 0.0) + (1.0 - a) * np.maximum(q - y, 0.0)


# Over the life of a question


@dataclass(frozen=True)
class TimeWeighted:
    """The score of a forecast that was updated while its question was open.

    Attributes
    ----------
    score
        Mean over the time scored, in the unit of the scores.
    covered
        Fraction of the question's life in which a forecast stood.
    scored
        Time that the mean is taken over, in the unit of the times.
    """

    score: float
    covered: float
    scored: float


def time_weighted(
    times: ArrayLike,
    scores: ArrayLike,
    *,
    opened: float,
    resolved: float,
    before: float | None = None,
) -> TimeWeighted:
    """Mean score over a question's life: a forecast counts for as long as it stood.

    A forecast stands from its time until the next one, the last until the question resolves; what was said before the
    question opened stands from its opening. The order of the forecasts changes nothing.

    Parameters
    ----------
    times
        When each forecast was made, in one unit (days, as of ``date.toordinal``). Shape ``(forecast,)``, may be empty.
    scores
        Score of each, by any rule. Shape ``(forecast,)``.
    opened, resolved
        When the question opened, and when its outcome became known. Same unit.
    before
        Score of the base rate, which stood until the first forecast; None leaves that time out.
    """
    t, s = _number("times", times, empty=True), _score("scores", scores, empty=True)
    if before is not None:
        before = float(_lone("before", _score("before", before)))
    if t.ndim != 1 or t.shape != s.shape:
        raise ValuationError(
            f"times has shape {t.shape} and scores {s.shape}; give one of each for every forecast"
        )
    start, end = _single("opened", opened), _single("resolved", resolved)
    if not start < end:
        raise ValuationError(
            f"the question opened at {start:g} and resolved at {end:g}; it must be open for a while"
        )
    _refuse("times", t, t > end, f"the outcome was known at {end:g}; leave late forecasts out")
    order = np.argsort(t, kind="stable")
    t, s = t[order], s[order]
    twice = (t[1:] == t[:-1]) & (s[1:] != s[:-1])
    if twice.any():
        raise ValuationError(
            f"two forecasts were made at {t[1:][twice][0]:g} and differ; keep the one that stood"
        )
    since = np.maximum(t, start)
    stood = np.diff(since, append=end)
    covered = float(stood.sum() / (end - start))
    if before is not None:
        first = since[0] if len(since) else end
        stood = np.append(stood, first - start)
        s = np.append(s, before)
    scored = float(stood.sum())
    if not scored > 0.0:
        raise ValuationError(
            "no forecast stood while the question was open; give the base rate's score as before"
        )
    counts = stood > 0.0  # an infinite score that stood for no time counts for nothing
    return TimeWeighted(float(s[counts] @ stood[counts]) / scored, covered, scored)


# Over questions


@dataclass(frozen=True)
class MeanScore:
    """A mean over questions and how far chance may have moved it.

    Attributes
    ----------
    mean
        In the unit of the scores; ``inf`` if one of them is.
    standard_error
        ``inf`` where it cannot be told: one cluster, or a mean that is infinite.
    n
        Questions.
    clusters
        Clusters they fall into; as many as questions if all are independent.
    infinite
        Questions with an infinite score.
    """

    mean: float
    standard_error: float
    n: int
    clusters: int
    infinite: int


def mean_score(scores: ArrayLike, clusters: Sequence[Any] | None = None) -> MeanScore:
    """Mean of scores with its standard error, which takes the questions of a cluster together.

    Parameters
    ----------
    scores
        One for each question. Shape ``(question,)``.
    clusters
        What each question hangs on, such as its driver; None: each on its own. Shape ``(question,)``.

    Notes
    -----
    The error is ``sqrt(G/(G-1) sum_g (sum_{i in g} (s_i - mean))²)/n`` over G clusters (Liang and Zeger 1986,
    Biometrika 73, 13-22), which for independent questions is the deviation of the sample over ``√n``.
    """
    s = _each("scores", _score("scores", scores))
    group, count = _groups(clusters, len(s))
    infinite = int(np.isinf(s).sum())
    mean = float(s.mean())
    error = np.inf
    if count > 1 and not infinite:
        pull = np.bincount(group, weights=s - mean, minlength=count)
        error = float(np.sqrt(count / (count - 1) * (pull @ pull))) / len(s)
    return MeanScore(mean, error, len(s), count, infinite)


def skill(scores: ArrayLike, reference: ArrayLike) -> float:
    """``1 - mean score / mean score of the reference``: 1 is perfect, 0 no better, below 0 worse.

    Parameters
    ----------
    scores, reference
        Scores of the forecasts and of what they are held against (base rates) on the same questions, not negative.
        Shape ``(question,)``. A forecast may have an infinite score, and its skill is ``-inf``; the reference may not.
    """
    s, r = _against(scores, reference)
    return 1.0 - float(s.sum() / r.sum())


@dataclass(frozen=True)
class Skill:
    """Skill with the error that comes of which clusters happened to be asked about.

    Attributes
    ----------
    skill
        As by :func:`skill`.
    standard_error
        Of the skill; ``inf`` where it cannot be told (one cluster, or an infinite score).
    lower, upper
        Ends of the interval; with one cluster everything that a skill can be, ``-inf`` to 1.
    n, clusters
        Questions, and the clusters they fall into.
    """

    skill: float
    standard_error: float
    lower: float
    upper: float
    n: int
    clusters: int


def resampled_skill(
    scores: ArrayLike,
    reference: ArrayLike,
    clusters: Sequence[Any] | None = None,
    *,
    random_seed: int,
    resamples: int = RESAMPLES,
    ci_prob: float = CI_PROB,
) -> Skill:
    """Skill, with its error by drawing whole clusters again with replacement.

    The order of the questions changes nothing. With few clusters a bootstrap's spread is too narrow: the error is
    widened by ``sqrt(G/(G-1))`` and the percentiles are moved out to those of Student's t with G - 1 degrees of freedom
    (Hesterberg 2015, The American Statistician 69, 371-386). Even so an interval of 90% covers about 65% with three
    clusters of yes or no, and 83% with five to ten; from twenty on it covers about what it says.

    Parameters
    ----------
    scores, reference
        As in :func:`skill`. Shape ``(question,)``.
    clusters
        What each question hangs on, such as its driver; None: each on its own. Shape ``(question,)``.
    random_seed
        A whole number; the same one gives the same answer.
    resamples
        How often to draw.
    ci_prob
        Mass of the interval, as a fraction between 0 and 1.
    """
    from scipy.special import ndtr, stdtrit

    if isinstance(random_seed, bool) or not isinstance(random_seed, int | np.integer):
        raise ValuationError(f"random_seed is {random_seed!r}; give a whole number")
    if random_seed < 0:
        raise ValuationError(f"random_seed is {random_seed}; give one that is not negative")
    if not isinstance(resamples, int | np.integer) or resamples < 100:
        raise ValuationError(f"resamples is {resamples!r}; give a whole number, at least 100")
    mass = _mass(ci_prob)
    s, r = _against(scores, reference)
    group, count = _groups(clusters, len(s))
    order = np.lexsort((r, s, group))  # so that sums round alike whatever the order of questions
    s, r, group = s[order], r[order], group[order]
    whole = skill(s, r)
    if count < 2:
        return Skill(whole, np.inf, -np.inf, 1.0, len(s), count)
    drawn = np.random.default_rng(random_seed).integers(count, size=(resamples, count))
    ours, theirs = (
        np.bincount(group, weights=part, minlength=count)[drawn].sum(axis=-1) for part in (s, r)
    )
    # Where the reference made no error at all there is no better; without error of ours, no worse.
    ratio = np.where(ours > 0.0, np.inf, 1.0)
    again = 1.0 - np.divide(ours, theirs, out=ratio, where=theirs > 0.0)
    widen = np.sqrt(count / (count - 1.0))
    tail = float(ndtr(widen * stdtrit(count - 1, (1.0 - mass) / 2.0)))
    # Of sorted values, never between two: an end may be infinite.
    low, high = np.quantile(again, [tail, 1.0 - tail], method="inverted_cdf")
    error = float(widen * again.std(ddof=1)) if np.isfinite(again).all() else np.inf
    return Skill(whole, error, float(low), float(high), len(s), count)


@dataclass(frozen=True)
class Independence:
    """How many independent outcomes a record has.

    Attributes
    ----------
    n
        Questions.
    clusters
        Things they hang on.
    effective
        Independent questions that would give a mean as exact as these do.
    """

    n: int
    clusters: int
    effective: float


def independent_outcomes(clusters: Sequence[Any], *, correlation: float = 1.0) -> Independence:
    """The number of independent outcomes behind questions that share what they hang on.

    ``n²/sum_g n_g (1 + (n_g - 1) correlation)`` for clusters of n_g questions (Kish 1965, Survey Sampling, chapter 5):
    n without correlation; with full correlation, the cautious default, at most the number of clusters, and less
    where one of them has most of the questions.

    Parameters
    ----------
    clusters
        What each question hangs on, such as its driver. Shape ``(question,)``.
    correlation
        Between outcomes of a cluster, 0 to 1.
    """
    rho = float(_lone("correlation", _probability("correlation", correlation)))
    size = len(clusters)
    if not size:
        raise ValuationError("clusters is empty; there is no outcome to count")
    group, count = _groups(clusters, size)
    each = np.bincount(group, minlength=count)
    return Independence(size, count, float(size**2 / (each * (1.0 + (each - 1) * rho)).sum()))


# Calibration


@dataclass(frozen=True)
class Bin:
    """Forecasts of about one probability, and how often the event then happened.

    Attributes
    ----------
    start, stop
        Probabilities from ``start`` to below ``stop``; the last bin has its ``stop`` too.
    n
        Questions.
    independent
        Independent outcomes among them: n, or fewer where questions share a cluster.
    forecast
        Mean probability; None in an empty bin.
    frequency
        Share that happened; None in an empty bin.
    lower, upper
        Jeffreys interval of the frequency; 0 to 1 in an empty bin.
    """

    start: float
    stop: float
    n: int
    independent: float
    forecast: float | None
    frequency: float | None
    lower: float
    upper: float

    @property
    def too_few(self) -> bool:
        """Whether there are fewer than 20 independent outcomes."""
        return self.independent < TOO_FEW

    @property
    def verdict(self) -> str:
        """``too few``, ``in line``, or which way the frequency left the forecast."""
        if self.too_few or self.forecast is None:
            return "too few"
        if self.lower <= self.forecast <= self.upper:
            return "in line"
        return "happened more often" if self.lower > self.forecast else "happened less often"


def jeffreys_interval(
    events: float, trials: float, *, ci_prob: float = CI_PROB
) -> tuple[float, float]:
    """Central interval of a frequency: quantiles of ``Beta(events + 1/2, trials - events + 1/2)``.

    It reaches 0 where nothing happened and 1 where everything did (Brown, Cai and DasGupta 2001, Statistical
    Science 16, 101-133); without trials it is 0 to 1. Counts need not be whole.
    """
    from scipy.special import betaincinv

    x, n = _single("events", events), _single("trials", trials)
    if not 0.0 <= x <= n:
        raise ValuationError(f"events is {x:g} of {n:g} trials; give between 0 and all of them")
    tail = (1.0 - _mass(ci_prob)) / 2.0
    low = 0.0 if x == 0.0 else float(betaincinv(x + 0.5, n - x + 0.5, tail))
    high = 1.0 if x == n else float(betaincinv(x + 0.5, n - x + 0.5, 1.0 - tail))
    return low, high


def calibration(
    probability: ArrayLike,
    outcome: ArrayLike,
    clusters: Sequence[Any] | None = None,
    *,
    edges: Sequence[float] = TENTHS,
    ci_prob: float = CI_PROB,
) -> tuple[Bin, ...]:
    """How often things happened that were given about the same probability.

    Parameters
    ----------
    probability, outcome
        As in :func:`brier`. Shape ``(question,)``.
    clusters
        What each question hangs on; the interval then counts the independent outcomes of the bin
        (:func:`independent_outcomes`, full correlation) in place of its questions. None: each on its own.
    edges
        Limits of the bins, rising from 0 to 1.
    ci_prob
        Mass of the interval, as a fraction between 0 and 1.

    Returns
    -------
    tuple
        A :class:`Bin` between each two edges, empty ones too.

    Notes
    -----
    The reliability diagram of Murphy and Winkler (1977, Journal of the Royal Statistical Society C 26, 41-47).
    """
    p, o = _questions(probability, outcome)
    group, _ = _groups(clusters, len(p))
    limits = _edges(edges)
    place = _binned(p, limits)
    found = []
    for i, (start, stop) in enumerate(pairwise(limits.tolist())):
        here = place == i
        n = int(here.sum())
        independent = independent_outcomes(group[here].tolist()).effective if n else 0.0
        mean, share = (float(p[here].mean()), float(o[here].mean())) if n else (None, None)
        low, high = jeffreys_interval((share or 0.0) * independent, independent, ci_prob=ci_prob)
        found.append(Bin(start, stop, n, independent, mean, share, low, high))
    return tuple(found)


def count_if_right(
    probability: ArrayLike, clusters: Sequence[Any] | None = None
) -> NDArray[np.float64]:
    """How likely each count of events is if every probability is right: 0, 1, ... n events; shape ``(n + 1,)``.

    Exact, by convolution over clusters. Outcomes of a cluster go together as far as their probabilities let them: they
    share one uniform number, and what has the probability p happens where that number is below p.

    Parameters
    ----------
    probability
        As in :func:`brier`. Shape ``(question,)``.
    clusters
        What each question hangs on, such as its driver; None: each on its own (the Poisson binomial distribution).
    """
    p = _each("probability", _probability("probability", probability))
    group, count = _groups(clusters, len(p))
    total = np.ones(1)
    for g in range(count):
        # At least k of a cluster happen with the k-th largest of its probabilities.
        reached = np.concatenate([[1.0], np.sort(p[group == g])[::-1], [0.0]])
        total = np.convolve(total, -np.diff(reached))
    return total


def range_if_right(
    probability: ArrayLike, clusters: Sequence[Any] | None = None, *, ci_prob: float = CI_PROB
) -> tuple[int, int]:
    """Central range of the count of events if every probability is right: of mass ``ci_prob`` at least.

    A calibrated forecaster is found outside it no more often than ``1 - ci_prob``. The consistency bars of Bröcker and
    Smith (2007, Weather and Forecasting 22, 651-661), exact instead of by resampling.
    """
    below = np.cumsum(count_if_right(probability, clusters))
    tail = (1.0 - _mass(ci_prob)) / 2.0
    low = int(np.searchsorted(below, tail + ROUNDING))
    return low, int(np.searchsorted(below, 1.0 - tail - ROUNDING))


@dataclass(frozen=True)
class Murphy:
    """The Brier score in parts: ``score = reliability - resolution + uncertainty + within``.

    Attributes
    ----------
    score
        Mean Brier score.
    reliability
        Squared distance of forecasts from the frequency in their group; 0 is best.
    resolution
        Variance of the groups' frequencies; large is good.
    uncertainty
        Variance of the outcomes, which no forecaster chooses.
    within
        What differences between forecasts of one group add; 0 for groups of equal forecasts.
    groups
        Groups that have a question.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float
    groups: int


def murphy(
    probability: ArrayLike, outcome: ArrayLike, *, edges: Sequence[float] | None = None
) -> Murphy:
    """Take the Brier score apart into reliability, resolution and uncertainty.

    With few questions in a group its frequency follows chance, and reliability and resolution both come out too large
    by about the same amount: compare them only where groups are large.

    Parameters
    ----------
    probability, outcome
        As in :func:`brier`. Shape ``(question,)``.
    edges
        Limits of groups, rising from 0 to 1; None: questions of equal probability are a group.

    Notes
    -----
    Murphy (1973, Journal of Applied Meteorology 12, 595-600); for bins the two terms within them of Stephenson,
    Coelho and Jolliffe (2008, Weather and Forecasting 23, 752-757), joined here in ``within``.
    """
    p, o = _questions(probability, outcome)
    values, group = np.unique(
        p if edges is None else _binned(p, _edges(edges)), return_inverse=True
    )
    n = np.bincount(group)
    # Equal forecasts are their own mean, without the rounding of a sum.
    forecast = values if edges is None else np.bincount(group, weights=p) / n
    frequency = np.bincount(group, weights=o) / n
    spread = p - forecast[group]
    base, share = o.mean(), n / len(p)
    return Murphy(
        score=float(((p - o) ** 2).mean()),
        reliability=float(share @ (forecast - frequency) ** 2),
        resolution=float(share @ (frequency - base) ** 2),
        uncertainty=float(base * (1.0 - base)),
        within=float((spread**2 - 2.0 * spread * (o - frequency[group])).mean()),
        groups=len(n),
    )


# What goes in


def _number(name: str, values: ArrayLike, *, empty: bool = False) -> Array:
    """Finite numbers; text, dates and missing values are refused, never read as numbers."""
    array = _numeric(name, values, empty=empty)
    _refuse(name, array, ~np.isfinite(array), "only finite numbers are scored; leave it out")
    return array


def _numeric(name: str, values: ArrayLike, *, empty: bool) -> Array:
    try:
        array = np.asarray(values)
    except ValueError as err:
        raise ValuationError(f"{name} has rows of unequal length; give a full array") from err
    if array.dtype.kind not in "biuf":
        raise ValuationError(
            f"{name} holds {array.dtype} values; give numbers, and leave missing ones out"
        )
    if not array.size and not empty:
        raise ValuationError(f"{name} is empty; there is nothing to score")
    return np.asarray(array, dtype=np.float64)


def _score(name: str, values: ArrayLike, *, empty: bool = False) -> Array:
    """Scores: numbers, or infinity where a log score is."""
    array = _numeric(name, values, empty=empty)
    bad = np.isnan(array) | np.isneginf(array)
    _refuse(name, array, bad, "a score is a number, or infinity; leave out what is not resolved")
    return array


def _probability(name: str, values: ArrayLike) -> Array:
    array = _number(name, values)
    bad = (array < 0.0) | (array > 1.0)
    _refuse(name, array, bad, "it lies between 0 and 1; divide per cent by 100")
    return array


def _inside(name: str, values: ArrayLike) -> Array:
    array = _number(name, values)
    bad = (array <= 0.0) | (array >= 1.0)
    _refuse(name, array, bad, "it lies between 0 and 1, without the ends; 90% is 0.9")
    return array


def _lone(name: str, array: Array) -> Array:
    if array.ndim:
        raise ValuationError(f"{name} has shape {array.shape}; give a single number")
    return array


def _single(name: str, value: ArrayLike) -> float:
    return float(_lone(name, _number(name, value)))


def _mass(ci_prob: ArrayLike) -> float:
    return float(_lone("ci_prob", _inside("ci_prob", ci_prob)))


def _binary(values: ArrayLike) -> Array:
    array = _number("outcome", values)
    bad = (array != 0.0) & (array != 1.0)
    _refuse("outcome", array, bad, "write 1 for what happened and 0 for what did not")
    return array


def _refuse(name: str, array: Array, bad: NDArray[np.bool_], remedy: str) -> None:
    """Raise for the first bad value, by its place."""
    if not bad.any():
        return
    where = np.argwhere(bad)[0]
    place = f"[{', '.join(str(i) for i in where)}]" if len(where) else ""
    raise ValuationError(f"{name}{place} is {array[tuple(where)]:g}; {remedy}")


def _paired(**arrays: Array) -> tuple[Array, ...]:
    """The arrays in one shape; only a single number is spread, so that no two lengths can cross."""
    shapes = {array.shape for array in arrays.values() if array.ndim}
    if len(shapes) > 1:
        told = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValuationError(f"shapes differ: {told}; give one value for every question")
    shape = shapes.pop() if shapes else ()
    return tuple(np.broadcast_to(array, shape) for array in arrays.values())


def _each(name: str, array: Array) -> Array:
    if array.ndim != 1:
        raise ValuationError(f"{name} has shape {array.shape}; give one value for every question")
    return array


def _questions(probability: ArrayLike, outcome: ArrayLike) -> tuple[Array, Array]:
    """Probabilities and outcomes of questions in a row; a single probability is a base rate for all."""
    p, o = _paired(probability=_probability("probability", probability), outcome=_binary(outcome))
    return _each("probability", p), _each("outcome", o)


def _against(scores: ArrayLike, reference: ArrayLike) -> tuple[Array, Array]:
    s, r = _score("scores", scores), _number("reference", reference)
    s, r = _paired(scores=s, reference=r)
    s, r = np.atleast_1d(s), np.atleast_1d(r)
    for name, array in (("scores", s), ("reference", r)):
        _each(name, array)
        _refuse(name, array, array < 0.0, "a skill compares scores that count errors from 0 up")
    if not r.sum() > 0.0:
        raise ValuationError(
            "reference made no error on any question, so there is no skill against it;"
            " ask more questions, or give base rates between 0 and 1"
        )
    return s, r


def _categories(probability: ArrayLike, category: ArrayLike) -> tuple[Array, Array]:
    """Probabilities ``(..., category)`` and ones of that shape where a category came true."""
    p, c = _probability("probability", probability), _number("category", category)
    if p.ndim == 0 or c.shape != p.shape[:-1]:
        raise ValuationError(
            f"probability has shape {p.shape} and category {c.shape};"
            " the categories are probability's last axis, and each question has one outcome"
        )
    total = p.sum(axis=-1)
    bad = np.abs(total - 1.0) > SUM_TOLERANCE
    _refuse("sum of probability", total, bad, "the categories of a question sum to 1; add the rest")
    known = np.arange(p.shape[-1])
    bad = ~np.isin(c, known)
    _refuse("category", c, bad, f"give its position, a whole number from 0 to {known[-1]}")
    return p, (c[..., None] == known).astype(np.float64)


def _weights(weight: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Weights of that shape which sum to 1 over the last axis."""
    if weight is None:
        return np.full(shape, 1.0 / shape[-1])
    w = _number("weight", weight)
    if w.shape not in (shape, shape[-1:]):
        raise ValuationError(f"draws of shape {shape} need weights for each draw, got {w.shape}")
    _refuse("weight", w, w < 0.0, "a weight is not negative; 0 leaves a draw out")
    largest = w.max(axis=-1, keepdims=True)
    if not (largest > 0.0).all():
        raise ValuationError("weight is 0 for every draw; give at least one draw a weight")
    w = w / largest  # first, so that no sum of large weights is infinite
    return np.broadcast_to(w / w.sum(axis=-1, keepdims=True), shape)


def _groups(clusters: Sequence[Any] | None, size: int) -> tuple[NDArray[np.intp], int]:
    """Each question's cluster as a number, in the order of names, and how many clusters there are."""
    if clusters is None:
        return np.arange(size), size
    if isinstance(clusters, str) or len(clusters) != size:
        raise ValuationError(
            f"clusters names {1 if isinstance(clusters, str) else len(clusters)} of {size}"
            " questions; name what each one hangs on"
        )
    names = []
    for i, label in enumerate(clusters):
        if str(label).strip().lower() in MISSING:
            raise ValuationError(
                f"clusters[{i}] is missing; name what the question hangs on, or give it its own name"
            )
        names.append(str(label))
    found, group = np.unique(np.array(names), return_inverse=True)
    return group, len(found)


def _edges(edges: Sequence[float]) -> Array:
    limits = _number("edges", edges)
    if limits.ndim != 1 or len(limits) < 2 or limits[0] != 0.0 or limits[-1] != 1.0:
        raise ValuationError("edges must run from 0 to 1; give at least these two")
    if not (np.diff(limits) > 0.0).all():
        raise ValuationError("edges must rise; sort them and drop repeated ones")
    return limits


def _binned(p: Array, limits: Array) -> NDArray[np.intp]:
    """Position of each probability's bin; a probability of 1 belongs to the last one."""
    return np.minimum(np.searchsorted(limits, p, side="right") - 1, len(limits) - 2)
