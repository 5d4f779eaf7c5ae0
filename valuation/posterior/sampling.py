"""From a PyMC model to draws in the package's shape, and digests that name what they came from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
import sys
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.errors import ArtifactError
from valuation.schema import CHAIN, CHAINS, DRAW, DRAWS, TARGET_ACCEPT, TUNE

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

POSTERIOR = "posterior"
PRIOR = "prior"
SAMPLE_STATS = "sample_stats"
LOG_LIKELIHOOD = "log_likelihood"

# One name for each statistic of the sampler; PyMC and nutpie spell them differently.
STATISTICS: dict[str, tuple[str, ...]] = {
    "diverging": ("diverging",),
    "energy": ("energy",),
    "tree_depth": ("tree_depth", "depth"),
    "reached_max_treedepth": ("reached_max_treedepth", "maxdepth_reached"),
    "lp": ("lp", "logp"),
    "step_size": ("step_size",),
    "n_steps": ("n_steps",),
    "acceptance_rate": ("acceptance_rate", "mean_tree_accept"),
}


def fit(
    model: pm.Model,
    *,
    random_seed: int,
    chains: int = CHAINS,
    draws: int = DRAWS,
    tune: int = TUNE,
    target_accept: float = TARGET_ACCEPT,
    prior: Mapping[str, Any] | None = None,
    constant: Collection[str] = (),
    attrs: Mapping[str, Any] | None = None,
    cores: int | None = None,
    progress: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of ``model`` with nutpie.

    The same seed gives the same bits on one machine: chains are counted, not guessed from the
    cores; BLAS runs on one thread; and numba compiles without fast-math, since with it a function
    compiled just now and the same function read back from numba's cache round differently.

    Parameters
    ----------
    model
        A PyMC model. A deterministic named ``log_likelihood`` moves to the group of that name.
    random_seed
        Everything random follows from it.
    prior
        Draws of the prior by variable name, dims ``(draw, ...)`` in the order of the posterior's.
    constant
        Scalars that are fixed by design though drawn variables enter them (a survival of 1 at month
        0), as ``name`` or ``name[label, label]``. Deterministics that depend on no drawn variable
        are found by themselves.
    attrs
        Attributes of the root, added to what is known here: seed, sampler, versions, code digest.
    cores
        How many chains run at once; has no influence on the draws.
    progress
        Show PyMC's progress bar, on stderr.

    Returns
    -------
    DataTree
        As described at the top of the module.
    """
    import pymc
    import pytensor
    import threadpoolctl  # type: ignore[import-untyped]

    # PyMC's bar goes to stdout, which belongs to data.
    talk = contextlib.redirect_stdout(sys.stderr) if progress else contextlib.nullcontext()
    with (
        pytensor.config.change_flags(numba__fastmath=False),
        threadpoolctl.threadpool_limits(limits=1),
        talk,
    ):
        raw = pymc.sample(
            model=model,
            nuts_sampler="nutpie",
            random_seed=int(random_seed),
            chains=chains,
            draws=draws,
            tune=tune,
            target_accept=target_accept,
            cores=cores or chains,
            blas_cores=None,
            progressbar=progress,
            quiet=not progress,
            compute_convergence_checks=False,  # diagnose() does more, and decides
        )
    known = {
        "seed": int(random_seed),
        "sampler": f"nutpie {metadata.version('nutpie')}",
        "chains": chains,
        "draws": draws,
        "tune": tune,
        "target_accept": target_accept,
        "versions": json.dumps(versions(), sort_keys=True),
        "digest_code": code_digest(),
    }
    names = {variable.name for variable in [*model.free_RVs, *model.deterministics]}
    return tree_of(
        raw[POSTERIOR].to_dataset()[[name for name in raw[POSTERIOR].data_vars if name in names]],
        raw[SAMPLE_STATS].to_dataset(),
        prior=prior,
        constant={*constant, *_fixed_by_the_model(model)},
        attrs={**known, **(attrs or {})},
    )


def _fixed_by_the_model(model: pm.Model) -> set[str]:
    """Names of the deterministics that no drawn variable enters."""
    from pytensor.graph.traversal import ancestors

    drawn = set(model.free_RVs)
    return {
        str(variable.name)
        for variable in model.deterministics
        if drawn.isdisjoint(ancestors([variable]))
    }


def tree_of(
    posterior: xr.Dataset,
    sample_stats: xr.Dataset,
    *,
    prior: Mapping[str, Any] | None = None,
    constant: Collection[str] = (),
    attrs: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Put draws of any sampler into the shape that the rest of the package reads.

    Statistics of the sampler get one spelling; labels become plain strings or numbers; a variable
    ``log_likelihood`` moves to its own group; variables named in ``constant`` are marked so.
    """
    import xarray as xr

    drawn = _plain(posterior)
    for name in drawn.data_vars:
        marks = [entry for entry in sorted(constant) if re.sub(r"\[.*", "", entry) == name]
        if marks:
            drawn[name].attrs["constant"] = marks
    groups = {
        POSTERIOR: drawn.drop_vars(LOG_LIKELIHOOD, errors="ignore"),
        SAMPLE_STATS: _plain(unified(sample_stats)),
    }
    if LOG_LIKELIHOOD in drawn:
        groups[LOG_LIKELIHOOD] = _plain(drawn[[LOG_LIKELIHOOD]])
        unused = [dim for dim in groups[POSTERIOR].coords if dim not in groups[POSTERIOR].dims]
        groups[POSTERIOR] = groups[POSTERIOR].drop_vars(unused)
    if prior:
        groups[PRIOR] = _prior_dataset(prior, drawn)
    root = xr.Dataset(attrs=dict(attrs or {}))
    return xr.DataTree.from_dict({"/": root, **groups})


def unified(sample_stats: xr.Dataset) -> xr.Dataset:
    """The sampler's statistics under the names of :data:`STATISTICS`, dims ``(chain, draw)``."""
    import xarray as xr

    found = {
        name: sample_stats[spelling].transpose(CHAIN, DRAW)
        for name, spellings in STATISTICS.items()
        for spelling in spellings[::-1]
        if spelling in sample_stats
    }
    return xr.Dataset(found)


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """A copy without attributes of its makers and without labels of dtype object."""
    clean = dataset.drop_attrs(deep=False)
    for dim in clean.coords:
        if clean[dim].dtype.kind in "OUT":
            texts = np.asarray([str(label) for label in clean[dim].values], dtype=np.str_)
            clean = clean.assign_coords({dim: texts})
    return clean.transpose(CHAIN, DRAW, ..., missing_dims="ignore")


def _prior_dataset(prior: Mapping[str, Any], posterior: xr.Dataset) -> xr.Dataset:
    """Prior draws with one chain in front, under the posterior's dims and labels."""
    import xarray as xr

    variables: dict[str, Any] = {}
    for name, values in prior.items():
        array = np.asarray(values)
        known = posterior[name].dims[2:] if name in posterior else ()
        own = [str(dim) for dim in known]
        if len(own) != array.ndim - 1:
            own = [f"{name}_dim_{i}" for i in range(array.ndim - 1)]
        variables[name] = ((CHAIN, DRAW, *own), array[None])
    dims = {dim for dims, _ in variables.values() for dim in dims} - {CHAIN, DRAW}
    labels = {dim: posterior[dim].values for dim in dims if dim in posterior.coords}
    count = {len(values) for values in prior.values()}
    if len(count) != 1:
        raise ArtifactError(
            f"the prior's variables have {sorted(count)} draws; give every one the same number"
        )
    return xr.Dataset(variables, coords={CHAIN: [0], DRAW: np.arange(count.pop()), **labels})


# --------------------------------------------------------------------------------------------------
# Where draws come from: digests that name them

# Modules that a posterior depends on, each a file or a folder. Storage and diagnosis are not among
# them: a better sentence in a check must not cost a refit.
SOURCES = ("currency", "schema", "ops", "ledger", "params", "models", "posterior/sampling")
DISTRIBUTIONS = ("pymc", "nutpie", "pytensor", "numba", "arviz", "numpy")


def key_of(parts: Mapping[str, str]) -> str:
    """Sixteen hex digits that name an artifact made from these parts; their order is nothing."""
    text = json.dumps({str(k): str(v) for k, v in parts.items()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_digest(package: Path | None = None) -> str:
    """SHA-256 over the source files that determine a posterior; line endings do not count."""
    folder = package or Path(__file__).parents[1]
    patterns = [f"{name}{ending}" for name in SOURCES for ending in (".py", "/**/*.py")]
    files = {path for pattern in patterns for path in folder.glob(pattern)}
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        name = path.relative_to(folder).as_posix().encode()
        digest.update(b"%d:%s%d:%s" % (len(name), name, len(text), text))
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of what draws are made with, read without importing any of it."""
    from valuation import __version__

    found = {"python": platform.python_version(), "valuation": __version__}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
