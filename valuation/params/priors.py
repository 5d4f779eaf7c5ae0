"""Priors as data: a distribution or quantiles, with source, reason and date; named sets of them.

A model says what a quantity means and asks for it by name; its number lives in
``params/priors.yaml``. A prior set is the ``house`` priors with some of them replaced.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from valuation.currency import BN, BN_PER_YEAR, named_in, neutral, spelled, unit_in, without
from valuation.errors import ParameterError
from valuation.params.families import FAMILIES, Array, Family, faults, fit_quantiles
from valuation.params.reading import (
    Date,
    Document,
    KeyPath,
    Listed,
    Name,
    Record,
    Text,
    Within,
    digest_of,
    read_yaml,
    suggestion,
    validate,
)

HOUSE = "house"

# A fit that puts a stated quantile further than this from its stated probability is not what the
# author asked for, so it is refused; smaller misses are kept in ``Prior.fit`` and shown.
MISFIT_MAX = 0.15

FamilyName = Literal[
    "normal",
    "lognormal",
    "halfnormal",
    "gamma",
    "beta",
    "exponential",
    "logitnormal",
    "uniform",
    "fixed",
]
Finite = Annotated[float, Within(-1e12, 1e12, "a plain finite number")]


@dataclass(frozen=True)
class Domain:
    """Where a number must lie for formulas to mean anything: from ``low`` to ``high``, not all of it at ``above``."""

    low: float
    high: float
    words: str
    above: float = -math.inf


REAL = Domain(-math.inf, math.inf, "a number")
PROPORTION = Domain(0.0, 1.0, "between 0 and 1")
NOT_NEGATIVE = Domain(0.0, math.inf, "0 or more")
POSITIVE = Domain(0.0, math.inf, "above 0", above=0.0)

BY_UNIT: Mapping[str, Domain] = {
    "fraction": PROPORTION,
    **dict.fromkeys(
        ("per month", "customers per month", "months", "people", "x revenue"), POSITIVE
    ),
    **dict.fromkeys((BN, BN_PER_YEAR), NOT_NEGATIVE),
}
# What the unit does not tell: scales and spreads on a line, a fraction without a bound.
BY_NAME: Mapping[str, Domain] = {
    "uplift_at_frontier": NOT_NEGATIVE,  # revenue may more than double
    "price_discount": REAL,  # below 0 is a premium
    **dict.fromkeys(("report_width", "impairment_spread", "rank_spacing", "revenue_before"), POSITIVE),
    **dict.fromkeys(
        (
            "integration_informativeness", "quality_informativeness", "regulatory_informativeness",
            "exit_hazard_drift", "churn_heterogeneity", "adoption_volatility", "gap_volatility",
            "conflict_effect",
        ),
        NOT_NEGATIVE,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FitRow:
    """One stated quantile against the fitted distribution.

    Attributes
    ----------
    probability
        As stated, in (0, 1).
    stated, fitted
        The quantile as stated and as fitted, in the prior's unit.
    """

    probability: float
    stated: float
    fitted: float


@dataclass(frozen=True)
class PastPrior:
    """What was stated before, as the file keeps it; it moves nothing any more.

    Attributes
    ----------
    family, parameters, quantiles
        As of :class:`Prior`; one of the last two is None.
    source, rationale, date, by
        As of :class:`Prior`.
    until
        The day from which the next value held.
    """

    family: str
    parameters: Mapping[str, float] | None
    quantiles: Mapping[float, float] | None
    source: str
    rationale: str
    date: dt.date
    by: str
    until: dt.date

    def prior(self, now: Prior) -> Prior:
        """The distribution that was stated, under the name, label and unit of ``now``."""
        parameters = self.parameters
        if self.quantiles is not None:
            parameters = fit_quantiles(FAMILIES[self.family], self.quantiles)
        prior = Prior(
            now.name, now.label, now.unit, self.family, parameters or {}, self.source,
            self.rationale, self.date, self.quantiles, by=self.by,
        )  # fmt: skip
        return prior if self.quantiles is None else _with_fit(prior, self.quantiles)


@dataclass(frozen=True)
class Prior:
    """What was believed about one number before any evidence.

    Attributes
    ----------
    name
        By which models ask for it.
    label, unit
        As reports show them.
    family
        A key of :data:`valuation.params.FAMILIES`.
    parameters
        normal(mu, sigma), lognormal(mu, sigma) of the log, halfnormal(sigma), gamma(alpha, beta)
        with beta a rate, beta(alpha, beta), exponential(rate), logitnormal(mu, sigma) of the logit,
        uniform(lower, upper), fixed(value).
    quantiles
        The quantiles that were stated instead of parameters, if they were.
    fit
        Stated against fitted quantiles; empty if parameters were stated.
    source, rationale, date
        A base-rate id or a named judgement; why; since when.
    by
        Who changed it last; empty for a value that was never changed by name.
    history
        What the same set stated before, oldest first. Words, like ``rationale``: it moves nothing.
    """

    name: str
    label: str
    unit: str
    family: str
    parameters: Mapping[str, float]
    source: str
    rationale: str
    date: dt.date
    quantiles: Mapping[float, float] | None = None
    fit: tuple[FitRow, ...] = ()
    by: str = ""
    history: tuple[PastPrior, ...] = ()

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ParameterError(
                f"{self.name}: unknown family {self.family!r}; {suggestion(self.family, FAMILIES)}"
            )
        names = FAMILIES[self.family].parameters
        if set(self.parameters) != set(names):
            raise ParameterError(
                f"{self.name}: {self.family} takes {', '.join(names)}, "
                f"got {', '.join(self.parameters) or 'nothing'}; give exactly those"
            )
        wrong = [
            f"{name} is not finite; give a number"
            for name, value in self.parameters.items()
            if not math.isfinite(value)
        ] or faults(FAMILIES[self.family], self.parameters)
        if wrong:
            raise ParameterError([f"{self.name}: {sentence}" for sentence in wrong])
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        if self.quantiles is not None:
            object.__setattr__(self, "quantiles", MappingProxyType(dict(self.quantiles)))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy does not pickle, and worker processes are handed priors.
        quantiles = None if self.quantiles is None else dict(self.quantiles)
        given = (self.name, self.label, self.unit, self.family, dict(self.parameters))
        words = (self.source, self.rationale, self.date)
        return Prior, (*given, *words, quantiles, self.fit, self.by, self.history)

    @property
    def _family(self) -> Family:
        return FAMILIES[self.family]

    def logpdf(self, x: npt.ArrayLike) -> Array:
        """Log density at ``x``, same shape; ``-inf`` outside the support, NaN at NaN."""
        values = np.asarray(x, dtype=float)
        low, high = self._family.support
        inside = (values >= low) & (values <= high)
        with np.errstate(all="ignore"):
            density = self._family.logpdf(self.parameters, np.where(inside, values, 0.5))
        # At an end of the support some formulas read infinity less infinity: no density there.
        result = np.where(inside & ~np.isnan(density), density, -np.inf)
        return np.where(np.isnan(values), np.nan, result)

    def cdf(self, x: npt.ArrayLike) -> Array:
        """Probability of at most ``x``, same shape."""
        values = np.asarray(x, dtype=float)
        low, high = self._family.support
        inside = (values > low) & (values < high)
        with np.errstate(all="ignore"):
            below = self._family.cdf(self.parameters, np.where(inside, values, 0.5))
        result = np.where(inside, below, np.where(values >= high, 1.0, 0.0))
        return np.where(np.isnan(values), np.nan, result)

    def ppf(self, q: npt.ArrayLike) -> Array:
        """Quantile at probability ``q``, same shape; NaN outside [0, 1]."""
        probability = np.asarray(q, dtype=float)
        with np.errstate(all="ignore"):
            result = self._family.ppf(self.parameters, probability)
        return np.where((probability >= 0) & (probability <= 1), result, np.nan)

    @property
    def mean(self) -> float:
        """Expected value, in the prior's unit."""
        return float(self._family.moments(self.parameters)[0])

    @property
    def sd(self) -> float:
        """Standard deviation, in the prior's unit."""
        return float(self._family.moments(self.parameters)[1])

    @property
    def misfit(self) -> float:
        """The largest gap, in probability, between a stated quantile and the fit."""
        return max(
            (abs(float(self.cdf(row.stated)) - row.probability) for row in self.fit), default=0.0
        )

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Draws by inversion, one uniform each: two priors under one seed give paired draws."""
        tiny = np.finfo(float).tiny
        return np.asarray(self.ppf(np.maximum(rng.random(size), tiny)))

    def rv(self, name: str | None = None, dims: Any = None) -> Any:
        """Declare it in the current PyMC model and return the variable.

        ``name`` defaults to the prior's own; ``dims`` as PyMC takes them. ``fixed`` is registered
        as a deterministic constant, so that a posterior always has a variable of this name.
        """
        import pymc as pm  # deferred: reading settings must not cost a second

        label = self.name if name is None else name
        if self.family != "fixed":
            renamed = self._family.pymc_names
            # As float64: PyTensor makes a bare 4.0 a float32 and loses half of the digits.
            values = {
                renamed.get(key, key): np.float64(value) for key, value in self.parameters.items()
            }
            return getattr(pm, self._family.pymc)(label, **values, dims=dims)
        import pytensor.tensor as pt

        value: Any = pt.as_tensor_variable(np.float64(self.parameters["value"]))
        if dims is not None:
            model = pm.modelcontext(None)
            axes = (dims,) if isinstance(dims, str) else tuple(dims)
            value = pt.broadcast_to(value, tuple(model.dim_lengths[axis] for axis in axes))
        return pm.Deterministic(label, value, dims=dims)

    def describe(self) -> str:
        """One line: the distribution, how well stated quantiles are met, and where it is from."""
        inside = ", ".join(f"{key} {value:.4g}" for key, value in self.parameters.items())
        text = f"{self.family}({inside})"
        if self.fit:
            rows = (
                f"{row.probability:.4g}: {row.stated:.4g} (fitted {row.fitted:.4g})"
                for row in self.fit
            )
            text += f", from quantiles {', '.join(rows)}"
        return f"{text}; source {self.source}; {self.date}; {self.rationale}"

    def content(self) -> dict[str, Any]:
        """What decides its numbers: family, and parameters or quantiles as stated."""
        if self.quantiles is not None:
            return {
                "family": self.family,
                "quantiles": {repr(float(q)): float(x) for q, x in self.quantiles.items()},
            }
        return {
            "family": self.family,
            "parameters": {k: float(v) for k, v in self.parameters.items()},
        }


# -- the file --------------------------------------------------------------------------------------


class Stated(Record):
    """A distribution, and who says so, why and since when."""

    family: FamilyName
    parameters: dict[str, Finite] | None = None
    quantiles: dict[float, Finite] | None = None
    source: Text
    rationale: Text
    date: Date
    by: Text | None = None


class Past(Stated):
    """A value that no longer holds; ``until`` is the day from which the next one did."""

    until: Date


class Belief(Stated):
    """What an override states, and what it stated before, oldest first."""

    history: Annotated[tuple[Past, ...], Listed] = ()


class PriorEntry(Belief):
    """A prior of the house set: a belief with a label and a unit."""

    label: Text
    unit: Text


class PriorSetEntry(Record):
    """A named prior set; ``weight`` is its share, up to scale, of the mixture of all sets."""

    label: Text
    describe: Text
    weight: Annotated[float, Within(0, 1e6, "a weight in the mixture of prior sets")] = 1.0
    overrides: dict[str, Belief] = Field(default_factory=dict)


class PriorsFile(Record):
    """``params/priors.yaml``."""

    sets: dict[Name, PriorSetEntry]
    priors: dict[str, PriorEntry]


@dataclass(frozen=True)
class PriorBook:
    """Every prior set of one file.

    Attributes
    ----------
    labels, descriptions
        By set name, in the order of the file.
    weights
        By set name: share in the mixture of sets; sums to 1.
    """

    labels: Mapping[str, str]
    descriptions: Mapping[str, str]
    weights: Mapping[str, float]
    _priors: Mapping[str, Mapping[str, Prior]]

    def sets(self) -> tuple[str, ...]:
        """Names of the sets, house first."""
        return tuple(self._priors)

    def get(self, prior_set: str = HOUSE) -> dict[str, Prior]:
        """Every prior of a set, by name; raise :class:`ParameterError` for an unknown set."""
        if prior_set not in self._priors:
            raise ParameterError(
                f"unknown prior set {prior_set!r}; {suggestion(prior_set, self._priors)}"
            )
        return dict(self._priors[prior_set])

    def changed(self, prior_set: str, base: str = HOUSE) -> tuple[str, ...]:
        """Names of the priors whose numbers differ between two sets."""
        before, after = self.get(base), self.get(prior_set)
        return tuple(name for name in before if before[name].content() != after[name].content())

    def digest(self, prior_set: str = HOUSE) -> str:
        """SHA-256 of the numbers of a set; wording does not enter, as it moves nothing."""
        return digest_of({name: prior.content() for name, prior in self.get(prior_set).items()})


def load_priors(path: str | Path, currency: str | None = None) -> PriorBook:
    """Read a priors file; raise :class:`ParameterError` naming every problem with its line.

    ``currency`` is that of the deal it is for: a prior in another one is refused, as nothing is converted.
    """
    document = read_yaml(Path(path))
    entries, book = priors_of(document)
    if currency is not None and (
        problems := [document.at(where, what) for where, what in _foreign(entries, currency)]
    ):
        raise ParameterError(problems)
    return book


def priors_of(document: Document) -> tuple[PriorsFile, PriorBook]:
    """As :func:`load_priors`, of a document already read; also what it says word for word."""
    entries = validate(PriorsFile, document)
    return entries, _book(entries, document)


def _foreign(entries: PriorsFile, currency: str) -> Iterator[tuple[KeyPath, str]]:
    """Priors whose name or unit is in another currency than the deal's."""
    for name, entry in entries.priors.items():
        plain, code = neutral(name)
        if code not in (None, currency):
            yield (
                ("priors", name),
                f"is in {code}, and the deal is in {currency}; write {spelled(plain, currency)}, "
                f"in {currency}: no exchange rate is made up",
            )
        read = [unit_in(unit, currency) for unit in (BN, BN_PER_YEAR)]
        code, bare = named_in(entry.unit), entry.unit in (BN, BN_PER_YEAR)
        if entry.unit in read or (code is None and not bare):
            continue
        own = unit_in(without(entry.unit), currency)
        right = repr(own) if own in read else " or ".join(map(repr, read))
        what = "not the deal's currency" if code != currency else "no unit of a model"
        yield (
            ("priors", name, "unit"),
            f"{entry.unit!r} is {'without a currency' if bare else what}; write {right}, and the numbers in it",
        )


def checked_prior(name: str, stated: Mapping[str, Any], label: str, unit: str) -> Prior:
    """The prior that the keys of one entry state; raise :class:`ParameterError` as a file would."""
    document = Document(name, dict(stated))
    problems: list[str] = []
    belief = validate(Belief, document)
    prior = _prior(name, belief, label, unit, document, (), problems)
    if prior is None:
        raise ParameterError(problems)
    return prior


def _book(entries: PriorsFile, document: Document) -> PriorBook:
    problems: list[str] = []
    if HOUSE not in entries.sets:
        problems.append(
            document.at(("sets",), f"has no {HOUSE!r}; add it, the set all others change")
        )
    elif entries.sets[HOUSE].overrides:
        problems.append(
            document.at(
                ("sets", HOUSE, "overrides"),
                "house overrides itself; edit the priors below instead",
            )
        )
    if not any(entry.weight > 0 for entry in entries.sets.values()):
        problems.append(document.at(("sets",), "every weight is 0; give one set a weight above 0"))
    house: dict[str, Prior] = {}
    for name, entry in entries.priors.items():
        where: KeyPath = ("priors", name)
        if not name.isidentifier():
            problems.append(document.at(where, "not a name; use letters, digits and '_'"))
            continue
        prior = _prior(name, entry, entry.label, entry.unit, document, where, problems)
        if prior is not None:
            house[name] = prior
    sets: dict[str, dict[str, Prior]] = {HOUSE: house}
    for set_name, chosen in entries.sets.items():
        changed = dict(house)
        for name, belief in chosen.overrides.items():
            where = ("sets", set_name, "overrides", name)
            if name not in entries.priors:
                known = suggestion(name, entries.priors, "priors")
                problems.append(document.at(where, f"overrides an unknown prior; {known}"))
                continue
            told = entries.priors[name]
            prior = _prior(name, belief, told.label, told.unit, document, where, problems)
            if prior is not None:
                changed[name] = prior
        sets[set_name] = changed
    if problems:
        raise ParameterError(problems)
    total = sum(entry.weight for entry in entries.sets.values())
    return PriorBook(
        labels={name: entries.sets[name].label for name in sets},
        descriptions={name: entries.sets[name].describe for name in sets},
        weights={name: entries.sets[name].weight / total for name in sets},
        _priors=sets,
    )


def _prior(
    name: str, belief: Belief, label: str, unit: str, document: Document, where: KeyPath,
    problems: list[str],
) -> Prior | None:  # fmt: skip
    found = [*_faults_of(belief), *_history_faults(belief)]
    if not found:
        family = FAMILIES[belief.family]
        parameters = belief.parameters or {}
        if belief.quantiles is not None:
            parameters = fit_quantiles(family, belief.quantiles)
        try:
            prior = Prior(
                name, label, unit, belief.family, parameters,
                belief.source, belief.rationale, belief.date, belief.quantiles,
                by=belief.by or "", history=tuple(_past(past) for past in belief.history),
            )  # fmt: skip
        except ParameterError as error:
            found = [(("quantiles",), f"cannot be fitted: {error}; widen them")]
        else:
            if belief.quantiles is not None:
                prior = _with_fit(prior, belief.quantiles)
            if outside := _domain_fault(prior):
                problems.append(document.at((*where, "family"), outside))
                return None
            if prior.misfit <= MISFIT_MAX:
                return prior
            rows = ", ".join(f"{row.probability:g}: {row.fitted:.4g}" for row in prior.fit)
            found = [
                (
                    ("quantiles",),
                    f"no {belief.family} has these; the nearest has {rows}; "
                    "change them or the family",
                )
            ]
    problems.extend(document.at((*where, *key), sentence) for key, sentence in found)
    return None


def _domain_fault(prior: Prior) -> str | None:
    """What is wrong with where a prior's values can lie; a uniform or a constant is judged by its ends."""
    domain = BY_NAME.get(prior.name) or BY_UNIT.get(without(prior.unit)) or REAL
    ends: Mapping[str, tuple[float, float]] = {
        "uniform": (prior.parameters.get("lower", 0.0), prior.parameters.get("upper", 0.0)),
        "fixed": (prior.parameters.get("value", 0.0),) * 2,
    }
    low, high = ends.get(prior.family, FAMILIES[prior.family].support)
    if domain.low <= low and high <= domain.high and high > domain.above:
        return None
    fits = [
        family.name
        for family in FAMILIES.values()
        if domain.low <= family.support[0] and family.support[1] <= domain.high
    ]
    return (
        f"a {prior.family} of {prior.name} lies within {low:g} to {high:g}, and it must be {domain.words}; "
        f"families that fit: {', '.join(fits)}, or a uniform or a fixed value inside"
    )


def _past(past: Past) -> PastPrior:
    return PastPrior(
        past.family, past.parameters, past.quantiles, past.source, past.rationale, past.date,
        past.by or "", past.until,
    )  # fmt: skip


def _history_faults(belief: Belief) -> Iterator[tuple[KeyPath, str]]:
    # Not fitted here: an old value moves nothing, and every command would pay for the fits.
    starts = [*(past.date for past in belief.history), belief.date][1:]
    for index, (past, next_start) in enumerate(zip(belief.history, starts, strict=True)):
        where: KeyPath = ("history", index)
        for key, sentence in _faults_of(past):
            yield (*where, *key), sentence
        if past.until < past.date:
            yield (*where, "until"), f"{past.until} is before its date, {past.date}; swap them"
        elif past.until > next_start:
            yield (
                (*where, "until"),
                f"{past.until} is after {next_start}, when the next value began; correct one",
            )


def _with_fit(prior: Prior, quantiles: Mapping[float, float]) -> Prior:
    rows = (FitRow(q, quantiles[q], float(prior.ppf(q))) for q in sorted(quantiles))
    return replace(prior, fit=tuple(rows))


def _faults_of(belief: Stated) -> Iterator[tuple[KeyPath, str]]:
    family = FAMILIES[belief.family]
    names = ", ".join(family.parameters)
    if (belief.parameters is None) == (belief.quantiles is None):
        both = (
            "both parameters and quantiles" if belief.parameters else "no parameters or quantiles"
        )
        yield (), f"has {both}; give {belief.family} either its parameters ({names}) or quantiles"
    elif belief.parameters is not None:
        given = belief.parameters
        for key in given:
            if key not in family.parameters:
                known = suggestion(key, family.parameters, f"{belief.family} takes")
                yield ("parameters", key), f"not a parameter of {belief.family}; {known}"
        for key in family.parameters:
            if key not in given:
                yield ("parameters",), f"has no {key}; {belief.family} takes {names}"
        if set(given) == set(family.parameters):
            for sentence in faults(family, given):
                yield ("parameters", sentence.split()[0]), sentence
    elif belief.quantiles is not None:
        yield from _quantile_faults(family, belief.quantiles)


def _quantile_faults(
    family: Family, quantiles: Mapping[float, float]
) -> Iterator[tuple[KeyPath, str]]:
    if family.start is None:
        yield ("quantiles",), "a fixed value has no quantiles; give parameters: {value: ...}"
        return
    needed = len(family.parameters)
    if len(quantiles) < needed:
        yield ("quantiles",), f"{len(quantiles)} given; {family.name} needs at least {needed}"
        return
    low, high = family.support
    inside = True
    for q, value in quantiles.items():
        if not 0 < q < 1:
            inside = False
            yield ("quantiles", q), "not a probability; write 0.05 for the 5% quantile"
        if not low < value < high:
            inside = False
            yield (
                ("quantiles", q),
                f"{value:g} is outside {low:g} to {high:g}; choose another family",
            )
    ordered = [quantiles[q] for q in sorted(quantiles)]
    if inside and any(b <= a for a, b in pairwise(ordered)):
        yield ("quantiles",), "do not increase with their probabilities; order them"
