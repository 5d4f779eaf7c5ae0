"""Whether draws may be published. What cannot be shown to be good is refused."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from valuation.errors import GateError
from valuation.pareto import fit_tail
from valuation.posterior.sampling import (
    LOG_LIKELIHOOD,
    POSTERIOR,
    SAMPLE_STATS,
    STATISTICS,
    unified,
)
from valuation.schema import CHAIN, CI_PROB, DRAW

if TYPE_CHECKING:
    import xarray as xr

Array = np.ndarray[Any, Any]
Row = dict[str, Any]

# A chain may repeat its last position for this share of its draws before it counts as stuck. NUTS
# repeats itself a few draws in a row at worst.
STUCK_SHARE = 0.02
# Chains are independent, so two of them share next to no value of a continuous scalar.
COPIED_SHARE = 0.01


class Thresholds(Protocol):
    """What :func:`diagnose` compares with; ``params/gate.yaml`` as loaded has these and more."""

    @property
    def rhat_max(self) -> float: ...
    @property
    def ess_min(self) -> float: ...
    @property
    def divergences_max(self) -> int: ...
    @property
    def ebfmi_min(self) -> float: ...
    @property
    def treedepth_fraction_max(self) -> float: ...
    @property
    def mcse_to_sd_max(self) -> float: ...
    @property
    def khat_max(self) -> float: ...
    @property
    def chains_min(self) -> int: ...


@dataclass(frozen=True)
class Diagnosis:
    """What was checked, and what it showed.

    Attributes
    ----------
    table
        One row a check: ``check``, ``value`` (a number, or None where it could not be computed),
        ``limit``, ``passed``, ``sentence``. Plain values that JSON can hold.
    scalars
        One row a scalar of the posterior: ``name``, ``mean``, ``sd``, ``lower``, ``upper`` (the
        central interval of ``schema.CI_PROB``), ``rhat``, ``ess_bulk``, ``ess_tail``, ``mcse``,
        ``constant``.
    """

    table: list[Row]
    scalars: list[Row]

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence for each check that failed: which, its value, its limit, what to do."""
        return tuple(row["sentence"] for row in self.table if not row["passed"])

    @property
    def passed(self) -> bool:
        """True if there were checks and none failed."""
        return bool(self.table) and not self.failures

    def raise_if_failed(self, override: str = "") -> None:
        """Raise :class:`GateError` with every failure, unless ``override`` states a reason."""
        if not self.passed and not override.strip():
            raise GateError(self.failures or ("nothing was checked; give diagnose() a posterior",))


def diagnose(
    tree: xr.DataTree,
    gate: Thresholds,
    headline: Mapping[str, Any] | None = None,
    *,
    degenerate_ok: Collection[str] = (),
) -> Diagnosis:
    """Decide whether draws may be published: what cannot be shown to be good fails.

    Every scalar of the posterior is checked: finite; moving, in every chain; rank-normalised split
    R-hat; bulk and tail effective sample size (ESS); Monte Carlo error of its mean (MCSE). So are
    the chains: enough of them, long enough, not stuck, not copies of one another; divergences, tree
    depth, and the energy's E-BFMI chain by chain. A statistic that comes out as NaN is a failure.

    Parameters
    ----------
    tree
        As made by :func:`fit` or :func:`load`.
    gate
        The limits.
    headline
        Numbers to be published, by name: arrays ``(chain, draw)``, or ``(chain*draw,)`` chain by
        chain. They must be finite; they get R-hat, ESS, MCSE and the Pareto k of both tails, which
        finds values without a finite mean. Arrays of booleans, or of zeros and ones, are events:
        their mean is a probability, R-hat and ESS are the event's own, and they have no tails.
    degenerate_ok
        Headline events that may have happened in all draws or in none. Without that leave such a
        probability is refused: 4,000 draws cannot tell 0 from 1 in 2,000, R-hat and ESS are
        undefined, and an event that never happens is more often a coding error than a finding.
        Where the caller expects it (a definition out of reach in a bear scenario), the row passes
        and its sentence gives the bound to print.

    Notes
    -----
    Power, at 4 chains of 1,000 draws and the shipped limits (the tests measure it). Of independent
    draws, one chain off by 0.4 SD is refused and one off by 0.2 SD is not. Autocorrelated draws
    (AR(1)) are refused at correlation 0.9 (ESS 210), pass at 0.6 (ESS 1,000) and go either way at
    0.8. Of headline values Cauchy draws are refused and lognormal ones with sd 1 pass; Pareto k has
    noise of 0.1, so tails with a true k of 0.6 to 0.8 go either way, and a Student t with 2 degrees
    of freedom (k 0.5, no variance) passes 19 times in 20. A bias common to all chains, or a mode
    that none has visited, no check of this kind can see.

    The whole takes about 4 ms a scalar.
    """
    # Unusable input must be refused with words, not break with a traceback.
    posterior = tree[POSTERIOR].to_dataset() if POSTERIOR in tree.children else None
    empty = posterior is None or not posterior.data_vars
    if (
        posterior is None
        or empty
        or 0 in (posterior.sizes.get(CHAIN, 0), posterior.sizes.get(DRAW, 0))
    ):
        return Diagnosis(
            [_row("posterior", None, None, False, "posterior: there are no draws; fit the model")],
            [],
        )
    labels, draws, constant = _scalars(posterior)
    chains, length = draws.shape[1:]
    moving = ~constant
    names = [label for label, moves in zip(labels, moving, strict=True) if moves]
    values = draws[moving]
    statistics = _convergence(values)

    table = [
        _compared(
            "chains",
            chains,
            gate.chains_min,
            "at least",
            "a mode that one chain misses stays unseen; sample more chains",
        ),
        _compared(
            "draws",
            length,
            math.ceil(gate.ess_min / max(gate.chains_min, 1)),
            "at least",
            "each chain is too short to be judged; draw more",
        ),
        _of_scalars(
            "finite draws",
            names,
            np.isfinite(values).mean(axis=(1, 2)),
            1.0,
            "at least",
            "a NaN or an infinity spreads to every result; look for log(0), 0/0 or an overflow",
        ),
        _constants(labels, draws, constant),
        _of_scalars(
            "no frozen chain",
            names,
            (np.ptp(values, axis=2) > _resolution(values)).mean(axis=1),
            1.0,
            "at least",
            "it does not move in one chain or more; mark it constant if that is meant, else "
            "reparameterize",
        ),
        _stuck(values),
        _copied(names, values, tree),
        _of_scalars(
            "R-hat",
            names,
            statistics["rhat"],
            gate.rhat_max,
            "at most",
            "the chains disagree; tune longer or reparameterize",
        ),
        _of_scalars(
            "bulk ESS",
            names,
            statistics["ess_bulk"],
            gate.ess_min,
            "at least",
            "too few effective draws; draw more or reparameterize",
        ),
        _of_scalars(
            "tail ESS",
            names,
            statistics["ess_tail"],
            gate.ess_min,
            "at least",
            "too few effective draws for its intervals; draw more or reparameterize",
        ),
        _of_scalars(
            "MCSE / SD",
            names,
            statistics["mcse"] / _sd(values),
            gate.mcse_to_sd_max,
            "at most",
            "the error of its mean is too large; draw more",
        ),
        *_sampler_rows(tree, gate, (chains, length)),
    ]
    if LOG_LIKELIHOOD in tree.children:
        shares = {
            str(name): float(np.isfinite(variable.values).mean())
            for name, variable in tree[LOG_LIKELIHOOD].data_vars.items()
        }
        table.append(
            _of_scalars(
                "finite log-likelihood",
                list(shares),
                np.array(list(shares.values())),
                1.0,
                "at least",
                "a row of evidence is impossible under some draws; look for log(0)",
            )
        )
    table += judged(headline or {}, gate, (chains, length), degenerate_ok=degenerate_ok)
    return Diagnosis(table, _summary(labels, draws, constant, statistics))


def judged(
    headline: Mapping[str, Any],
    gate: Thresholds,
    shape: tuple[int, int],
    *,
    degenerate_ok: Collection[str] = (),
) -> list[Row]:
    """The rows of :func:`diagnose` on numbers to be published, of draws of ``shape`` ``(chains, draws a chain)``."""
    return [
        row
        for name, given in headline.items()
        for row in _headline_rows(name, given, gate, shape, name in degenerate_ok)
    ]


def pareto_k(values: Array, *, relative_efficiency: float = 1.0) -> float:
    """Shape of the heavier tail of ``values``: 0.5 has no variance, 1 has no mean.

    Each tail is fitted by :func:`valuation.pareto.fit_tail`, as in ArviZ; unlike there, ties in a tail
    (a value that stops at a floor) are no error. A tail that ends in an atom is bounded: its shape is
    minus infinity.

    Parameters
    ----------
    values
        Finite numbers; chains are pooled.
    relative_efficiency
        Effective over actual number of draws.
    """
    pooled = np.sort(np.ravel(values).astype(float))
    n = pooled.size
    if n < 25 or not _finite(pooled) or not relative_efficiency > 0:
        return math.nan
    tail = 3 * math.sqrt(n / relative_efficiency) if n * relative_efficiency > 225 else n / 5
    size = int(min(tail, n // 2))
    return max(_tail_shape(pooled, size), _tail_shape(-pooled[::-1], size))


def _tail_shape(ordered: Array, size: int) -> float:
    """Shape of the right tail of sorted values, from about the ``size`` largest."""
    cutoff = ordered[-size - 1]
    excess = ordered[ordered > cutoff] - cutoff
    if excess.size == 0:
        return -math.inf
    if excess.size < 5 or excess[int(excess.size / 4 + 0.5) - 1] <= excess[0]:
        # The cutoff or the start of the tail is an atom. Above an atom too few values are left to
        # judge by, unless they are an atom themselves.
        above = excess[excess > excess[0]]
        if above.size == 0:
            return -math.inf
        if above.size < 5:
            return math.nan
        excess = above - excess[0]
        if excess[int(excess.size / 4 + 0.5) - 1] <= excess[0]:
            return math.nan
    return fit_tail(excess)[0]


def _finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


def _scalars(posterior: xr.Dataset) -> tuple[list[str], Array, Array]:
    """Names and marks of constants ``(scalar,)``, and draws ``(scalar, chain, draw)``."""
    labels: list[str] = []
    draws: list[Array] = []
    constant: list[bool] = []
    for name, variable in posterior.data_vars.items():
        ordered = variable.transpose(..., CHAIN, DRAW)
        coords = [
            variable[dim].values if dim in variable.coords else np.arange(variable.sizes[dim])
            for dim in ordered.dims[:-2]
        ]
        marked = variable.attrs.get("constant", [])
        marks = {str(name)} if marked is True else set(marked or [])
        for index in np.ndindex(*ordered.shape[:-2]):
            where = ", ".join(str(coord[i]) for coord, i in zip(coords, index, strict=True))
            labels.append(f"{name}[{where}]" if index else str(name))
            constant.append(bool(marks & {str(name), labels[-1]}))
        draws.append(ordered.values.reshape(-1, *ordered.shape[-2:]))
    return labels, np.concatenate(draws).astype(float), np.array(constant, dtype=bool)


def _convergence(values: Array) -> dict[str, Array]:
    """R-hat, ESS and MCSE of ``(scalar, chain, draw)``; NaN where they have no meaning."""
    names = ("rhat", "ess_bulk", "ess_tail", "mcse")
    found = {name: np.full(len(values), np.nan) for name in names}
    if values.shape[2] < 4:
        return found
    # ArviZ reports an ESS for constants; they have none. And it cannot take values that are not
    # finite.
    sound = np.isfinite(values).all(axis=(1, 2)) & (np.ptp(values, axis=(1, 2)) > 0)
    if not sound.any():
        return found
    from arviz_stats.base import array_stats

    usable = values[sound]
    with np.errstate(all="ignore"):
        if values.shape[1] > 1:
            found["rhat"][sound] = array_stats.rhat(usable, method="rank")
        found["ess_bulk"][sound] = array_stats.ess(usable, method="bulk")
        found["ess_tail"][sound] = array_stats.ess(usable, method="tail", prob=(0.05, 0.95))
        found["mcse"][sound] = array_stats.mcse(usable, method="mean")
    return found


def _sd(values: Array) -> Array:
    """Standard deviation of ``(scalar, chain, draw)``; NaN where it has no meaning."""
    if values.shape[1] * values.shape[2] < 2:
        return np.full(len(values), np.nan)
    with np.errstate(all="ignore"):
        return np.asarray(values.std(axis=(1, 2), ddof=1))


def _resolution(values: Array) -> Array:
    """Range below which ``(scalar, chain, draw)`` counts as still, dims ``(scalar, 1)``."""
    with np.errstate(invalid="ignore"):
        return 1e-12 * np.abs(values).max(axis=(1, 2), initial=0.0)[:, None]


def _number(value: float | None) -> float | None:
    """A number that JSON can hold, else None."""
    return None if value is None or not math.isfinite(value) else float(value)


def _text(value: float) -> str:
    if not math.isfinite(value):
        return "not computable" if math.isnan(value) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.4g}"


def _row(check: str, value: float | None, limit: float | None, passed: bool, sentence: str) -> Row:
    return {
        "check": check,
        "value": _number(value),
        "limit": _number(limit),
        "passed": bool(passed),
        "sentence": sentence,
    }


def _compared(check: str, value: float, limit: float, sense: str, remedy: str) -> Row:
    """One number against its limit; NaN fails in either sense."""
    passed = value <= limit if sense == "at most" else value >= limit
    sentence = f"{check}: {_text(value)}, {sense} {_text(limit)} needed"
    return _row(check, value, limit, passed, f"{sentence}." if passed else f"{sentence}; {remedy}.")


def _of_scalars(
    check: str, names: Sequence[str], values: Array, limit: float, sense: str, remedy: str
) -> Row:
    """One row for a statistic of many scalars: the worst one; NaN is worse than any."""
    if len(names) == 0:
        return _row(
            check,
            None,
            limit,
            False,
            f"{check}: nothing to check; the posterior has no free scalar.",
        )
    values = np.asarray(values, dtype=float)
    badness = np.where(np.isnan(values), np.inf, values if sense == "at most" else -values)
    order = np.argsort(-badness, kind="stable")
    good = values <= limit if sense == "at most" else values >= limit  # False for NaN
    worst, failed = int(order[0]), int((~good).sum())
    extent = f"{check}: {_text(values[worst])} for {names[worst]}, {sense} {_text(limit)} needed"
    if failed == 0:
        return _row(check, values[worst], limit, True, f"{extent}, worst of {len(names)}.")
    others = [names[i] for i in order[1:failed]]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        extent += f" (also {', '.join(others[:3])}{more})"
    return _row(check, values[worst], limit, False, f"{extent}; {remedy}.")


def _constants(labels: Sequence[str], draws: Array, constant: Array) -> Row:
    """Scalars move unless marked; marked ones must not, or the mark would hide a fault."""
    still = np.array([not np.ptp(values) > _resolution(values[None])[0, 0] for values in draws])
    frozen = [label for label, odd in zip(labels, still & ~constant, strict=True) if odd]
    loose = [label for label, odd in zip(labels, ~still & constant, strict=True) if odd]
    if not frozen and not loose:
        sentence = f"constants: {len(labels) - int(constant.sum())} scalars move"
        if constant.any():
            sentence += f", {int(constant.sum())} are fixed by design"
        return _row("constants", 0, 0, True, f"{sentence}.")
    parts = []
    if frozen:
        parts.append(
            f"{', '.join(frozen[:4])} never moves ({len(frozen)} in all); mark it constant in the "
            "model if that is meant, else find out why it is not sampled"
        )
    if loose:
        parts.append(f"{', '.join(loose[:4])} is marked constant but moves; remove the mark")
    return _row("constants", len(frozen) + len(loose), 0, False, f"constants: {'; '.join(parts)}.")


def _stuck(values: Array) -> Row:
    """The longest stay of a chain at one point, as a share of its draws."""
    length = values.shape[2]
    if len(values) == 0 or length < 2:
        return _row(
            "no stuck chain", None, STUCK_SHARE, False, "no stuck chain: too few draws; draw more."
        )
    still = (values[:, :, 1:] == values[:, :, :-1]).all(axis=0)
    longest = []
    for chain in still:
        ends = np.flatnonzero(~np.concatenate([[False], chain, [False]]))
        longest.append(int(np.diff(ends).max()) - 1)
    worst = int(np.argmax(longest))
    share = longest[worst] / length
    passed = share <= STUCK_SHARE or longest[worst] < 5
    sentence = f"no stuck chain: the longest stay is {longest[worst]} of {length:,} draws"
    if not passed:
        sentence += f", in chain {worst}; tune longer, raise target_accept, or reparameterize"
    return _row("no stuck chain", share, STUCK_SHARE, passed, f"{sentence}.")


def _copied(names: Sequence[str], values: Array, tree: xr.DataTree) -> Row:
    """The largest share of values that two chains have in common, where values hardly repeat."""
    series = dict(zip(names, values, strict=True))
    if SAMPLE_STATS in tree.children and "energy" in tree[SAMPLE_STATS].data_vars:
        series["energy"] = tree[SAMPLE_STATS]["energy"].transpose(CHAIN, DRAW).values
    worst, where, judged = 0.0, "", False
    for name, chains in series.items():
        distinct = [np.unique(chain) for chain in chains]
        if min(map(len, distinct)) <= chains.shape[1] / 2:
            continue  # few values, as in a count: sharing them proves nothing
        judged = True
        merged = np.sort(np.concatenate(distinct))
        repeats = int((merged[1:] == merged[:-1]).sum())
        if repeats == 0:
            continue  # the usual case, and one sort is enough to see it
        for i, one in enumerate(distinct):
            for j in range(i + 1, len(distinct)):
                shared = np.intersect1d(one, distinct[j], assume_unique=True).size
                share = shared / min(len(one), len(distinct[j]))
                if share > worst:
                    worst, where = share, f"chains {i} and {j} share {share:.0%} of {name}"
    if not judged:
        return _row(
            "no copied chain",
            None,
            COPIED_SHARE,
            False,
            "no copied chain: no scalar takes enough values to tell chains apart; draw more.",
        )
    if worst <= COPIED_SHARE:
        return _row(
            "no copied chain", worst, COPIED_SHARE, True, "no copied chain: chains share no values."
        )
    return _row(
        "no copied chain",
        worst,
        COPIED_SHARE,
        False,
        f"no copied chain: {where}; give every chain its own random numbers and sample again.",
    )


def _sampler_rows(tree: xr.DataTree, gate: Thresholds, shape: tuple[int, int]) -> list[Row]:
    """Divergences, tree depth and E-BFMI; a statistic that is absent or of another shape fails."""
    stats: dict[str, Array] = {}
    if SAMPLE_STATS in tree.children:
        node = tree[SAMPLE_STATS].to_dataset()
        if {CHAIN, DRAW} <= set(node.dims):
            known = [
                name
                for name in node.data_vars
                if any(name in spellings for spellings in STATISTICS.values())
                and {CHAIN, DRAW} == set(node[name].dims)
            ]
            stats = {str(k): v.values for k, v in unified(node[known]).data_vars.items()}

    def get(name: str) -> Array | None:
        values = stats.get(name)
        if values is None or values.shape != shape or not _finite(values.astype(float)):
            return None
        return values.astype(float)

    missing = "the sampler's statistic is missing or not finite; sample again with fit()"
    rows: list[Row] = []

    diverging = get("diverging")
    limit = float(gate.divergences_max)
    if diverging is None:
        rows.append(_row("divergences", None, limit, False, f"divergences: {missing}."))
    else:
        count = int((diverging != 0).sum())
        passed = count <= limit
        sentence = f"divergences: {count}, at most {_text(limit)} allowed"
        remedy = (
            "" if passed else "; raise target_accept or reparameterize, else the tails are biased"
        )
        rows.append(_row("divergences", count, limit, passed, f"{sentence}{remedy}."))

    depth = get("reached_max_treedepth")
    limit = gate.treedepth_fraction_max
    if depth is None:
        rows.append(_row("tree depth", None, limit, False, f"tree depth: {missing}."))
    else:
        share = float((depth != 0).mean())
        passed = share <= limit
        sentence = f"tree depth: {share:.1%} of draws hit the limit, at most {limit:.1%} allowed"
        remedy = "" if passed else "; the sampler does not get far enough, reparameterize"
        rows.append(_row("tree depth", share, limit, passed, f"{sentence}{remedy}."))

    energy = get("energy")
    if energy is None or energy.shape[1] < 4:
        rows.append(_row("E-BFMI", None, gate.ebfmi_min, False, f"E-BFMI: {missing}."))
    else:
        with np.errstate(all="ignore"):
            ebfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1)
        rows.append(
            _of_scalars(
                "E-BFMI",
                [f"chain {i}" for i in range(len(ebfmi))],
                ebfmi,
                gate.ebfmi_min,
                "at least",
                "the sampler crosses the tails too slowly; reparameterize",
            )
        )
    return rows


def _headline_rows(
    name: str, given: Any, gate: Thresholds, shape: tuple[int, int], degenerate_ok: bool
) -> list[Row]:
    """The checks of one number to be published."""
    if hasattr(given, "dims") and {CHAIN, DRAW} == set(given.dims):
        given = given.transpose(CHAIN, DRAW)
    raw = np.asarray(given)
    if raw.size != shape[0] * shape[1] or raw.ndim not in (1, 2) or raw.dtype.kind not in "fiub":
        return [
            _row(
                f"{name}: draws",
                raw.size,
                shape[0] * shape[1],
                False,
                f"{name}: has {raw.size:,} values of type {raw.dtype} where the posterior has "
                f"{shape[0]} x {shape[1]} draws; give one number a draw, paired with its draw.",
            )
        ]
    values = raw.astype(float).reshape(shape)
    share = float(np.isfinite(values).mean())
    if share < 1:
        return [
            _row(
                f"{name}: finite",
                share,
                1.0,
                False,
                f"{name}: {1 - share:.2%} of its values are not finite; a mean over the rest would "
                "mislead, so find the draws that break it.",
            )
        ]
    event = raw.dtype.kind == "b" or bool(np.isin(values, (0.0, 1.0)).all())
    if np.ptp(values) == 0:
        bound = 3 / values.size  # "rule of three": 95% upper limit after no event in n draws
        seen = f"{name}: the same value in all {values.size:,} draws"
        if event:
            seen = (
                f"{name}: happens in {'all' if values[0, 0] else 'none'} of {values.size:,} draws"
            )
        if event and degenerate_ok:
            edge = f"above {1 - bound:.2%}" if values[0, 0] else f"below {bound:.2%}"
            return [
                _row(f"{name}: varies", values[0, 0], None, True, f"{seen}; print it as {edge}.")
            ]
        return [
            _row(
                f"{name}: varies",
                values[0, 0],
                None,
                False,
                f"{seen}, so its error cannot be stated; check its definition, or list it in "
                "degenerate_ok if that is expected.",
            )
        ]
    found = {k: float(v[0]) for k, v in _convergence(values[None]).items()}
    found["mcse"] /= float(values.std(ddof=1))
    ess = found["ess_bulk"] if event else float(np.minimum(found["ess_bulk"], found["ess_tail"]))

    rows = [
        _compared(f"{name}: R-hat", found["rhat"], gate.rhat_max, "at most", "the chains disagree"),
        _compared(
            f"{name}: ESS", ess, gate.ess_min, "at least", "too few effective draws; draw more"
        ),
        _compared(
            f"{name}: MCSE / SD",
            found["mcse"],
            gate.mcse_to_sd_max,
            "at most",
            "its Monte Carlo error is too large; draw more",
        ),
    ]
    if not event:
        with np.errstate(all="ignore"):
            k = pareto_k(values, relative_efficiency=min(found["ess_tail"] / values.size, 1.0))
        # A bounded tail has shape minus infinity, which is good but not a number to show.
        k = max(k, -1.0) if not math.isnan(k) else k
        rows.append(
            _compared(
                f"{name}: Pareto k",
                k,
                gate.khat_max,
                "at most",
                "its tails are so heavy that its mean may not exist; bound the driver behind them",
            )
        )
    return rows


def _summary(
    labels: Sequence[str], draws: Array, constant: Array, statistics: Mapping[str, Array]
) -> list[Row]:
    """One row a scalar, in the order of the posterior; None where a statistic has no meaning."""
    edges = ((1 - CI_PROB) / 2, (1 + CI_PROB) / 2)
    with np.errstate(all="ignore"):
        lower, upper = np.quantile(draws, edges, axis=(1, 2))
        mean, sd = draws.mean(axis=(1, 2)), _sd(draws)
    place = np.cumsum(~constant) - 1
    return [
        {
            "name": label,
            "mean": _number(mean[i]),
            "sd": _number(sd[i]),
            "lower": _number(lower[i]),
            "upper": _number(upper[i]),
            **{
                name: None if constant[i] else _number(values[place[i]])
                for name, values in statistics.items()
            },
            "constant": bool(constant[i]),
        }
        for i, label in enumerate(labels)
    ]
