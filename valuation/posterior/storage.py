"""Draws on disk: plain arrays with a description and a checksum, written whole or not at all.

An artifact is ``<key>.npz`` (arrays named ``group/variable``) and ``<key>.json`` (dims, labels,
attributes, schema version, SHA-256 of both). The JSON is the commit mark. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation.errors import ArtifactError
from valuation.posterior.sampling import POSTERIOR
from valuation.publish import flush_folder, staged
from valuation.schema import CHAIN, DRAW

if TYPE_CHECKING:
    import xarray as xr

Array = np.ndarray[Any, Any]

SCHEMA = 1
DENSITY = "density"  # the group that says under what density the draws were made
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_NUMBERS = "fiub"  # dtype kinds that np.save writes without pickle


def save(tree: xr.DataTree, folder: str | os.PathLike[str], key: str) -> Path:
    """Store a tree as ``<key>.npz`` and ``<key>.json`` in ``folder``.

    The arrays go first and the JSON last: an artifact without its JSON does not exist. What was
    there before is withdrawn before anything replaces it, so a run that dies leaves the old
    artifact, the new one, or none. The bytes depend on the content alone. Processes that may race
    for one key use :func:`load_or_fit`.

    Returns
    -------
    Path
        Of the JSON.

    Raises
    ------
    ArtifactError
        If a value is not finite, a variable is not numeric, or the disk refuses.
    """
    array_path, meta_path = _paths(folder, key)
    arrays, body = _described(tree)
    bad = [name for name, values in arrays.items() if not _finite(values)]
    if bad:
        raise ArtifactError(
            f"{meta_path.name} was not written: {bad[0]} holds values that are not finite; "
            "diagnose() the draws instead of storing them"
        )
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    body["array_sha256"] = hashlib.sha256(content).hexdigest()
    text = _canonical({"body": body, "sha256": _digest(body)})

    try:
        meta_path.parent.mkdir(parents=True, exist_ok=True)
        with _staged(array_path, content) as new_arrays, _staged(meta_path, text) as new_meta:
            meta_path.unlink(missing_ok=True)
            os.replace(new_arrays, array_path)
            os.replace(new_meta, meta_path)
        flush_folder(meta_path.parent)
    except OSError as error:
        raise ArtifactError(
            f"{meta_path}: cannot be written ({error}); free disk space or set VALUATION_CACHE "
            "to a folder you can write to"
        ) from error
    return meta_path


def load(folder: str | os.PathLike[str], key: str) -> xr.DataTree | None:
    """The tree stored under ``key``, or None if there is none.

    Raises
    ------
    ArtifactError
        If anything differs from what was written: names the file and the remedy.
    """
    import xarray as xr

    stored = _read(folder, key)
    if stored is None:
        return None
    arrays, body = stored
    groups: dict[str, xr.Dataset] = {"/": xr.Dataset(attrs=body["attrs"])}
    for group, described in body["groups"].items():
        variables = {
            name: (entry["dims"], arrays[f"{group}/{name}"], entry["attrs"])
            for name, entry in described["variables"].items()
        }
        labels = {
            dim: np.asarray(entry["values"], dtype=entry["dtype"])
            for dim, entry in described["coords"].items()
        }
        groups[group] = xr.Dataset(variables, coords=labels, attrs=described["attrs"])
    return xr.DataTree.from_dict(groups)


def read_draws(
    folder: str | os.PathLike[str], key: str, *, group: str = POSTERIOR
) -> dict[str, Array]:
    """Stored draws with NumPy alone: name to array with dims ``(chain*draw, ...)``, chain by chain.

    Raises
    ------
    ArtifactError
        If the artifact is absent or damaged, or has no such group.
    """
    return {
        name: variable.values for name, variable in read_variables(folder, key, group=group).items()
    }


@dataclass(frozen=True)
class Variable:
    """Stored draws of one variable, ``(chain*draw, ...)``, and the labels of its last dimension."""

    values: Array
    labels: tuple[str, ...]


def read_variables(
    folder: str | os.PathLike[str], key: str, *, group: str = POSTERIOR
) -> dict[str, Variable]:
    """:func:`read_draws` with each vector's labels, spelled as text; none for a scalar."""
    groups = read_groups(folder, key)
    if group not in groups:
        raise ArtifactError(
            f"{_paths(folder, key)[1]}: has no group {group!r}; it has {', '.join(sorted(groups))}"
        )
    return groups[group]


def read_groups(folder: str | os.PathLike[str], key: str) -> dict[str, dict[str, Variable]]:
    """Every group of an artifact as :func:`read_variables` gives one, read and verified once.

    Raises
    ------
    ArtifactError
        If the artifact is absent or damaged.
    """
    stored = _read(folder, key)
    if stored is None:
        raise ArtifactError(
            f"{_paths(folder, key)[1]}: no such artifact; run `valuation report` once to make it"
        )
    arrays, body = stored
    found: dict[str, dict[str, Variable]] = {}
    for group, described in body["groups"].items():
        found[group] = {}
        for name, entry in described["variables"].items():
            values = arrays[f"{group}/{name}"]
            last = entry["dims"][-1] if len(entry["dims"]) > 2 else None
            known = described["coords"].get(last)
            labels = tuple(str(v) for v in known["values"]) if known else ()
            flat = values if values.ndim < 2 else values.reshape(-1, *values.shape[2:])
            found[group][name] = Variable(flat, labels)
    return found


def with_density(tree: xr.DataTree, log_density: Any) -> xr.DataTree:
    """The tree with the log density under which its draws were made, ``(chain*draw,)``, chain by chain."""
    import xarray as xr

    posterior = tree[POSTERIOR]
    shape = (posterior.sizes[CHAIN], posterior.sizes[DRAW])
    values = np.reshape(np.asarray(log_density, dtype=float), shape)
    kept = tree.copy()
    kept[DENSITY] = xr.DataTree(xr.Dataset({"log_density": ((CHAIN, DRAW), values)}))
    return kept


def load_or_fit(
    folder: str | os.PathLike[str], key: str, make: Callable[[], xr.DataTree]
) -> xr.DataTree:
    """The stored tree, or else the one that ``make`` builds, stored for the next caller.

    Two processes that ask for one key make it once: the second waits and loads. A damaged artifact
    is replaced, with a sentence on stderr. Draws that are not finite are handed back without being
    stored: it is :func:`diagnose` that refuses them, by name.
    """
    import filelock

    try:
        found = load(folder, key)
    except ArtifactError:
        found = None  # said below, once, by whoever holds the lock
    if found is not None:
        return found
    _, meta_path = _paths(folder, key)
    try:
        meta_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"{meta_path.parent}: cannot be made ({error}); set VALUATION_CACHE to a folder you "
            "can write to"
        ) from error
    lock = filelock.FileLock(meta_path.with_name(f"{key}.lock"))
    with _held(lock, key):
        try:
            found = load(folder, key)
        except ArtifactError as error:
            print(f"{error.problems[0]}; fitting again", file=sys.stderr)
            found = None
        if found is not None:
            return found
        for leftover in meta_path.parent.glob(f".{key}.*.tmp"):
            leftover.unlink(missing_ok=True)
        tree = make()
        if all(_finite(values) for values in _described(tree)[0].values()):
            save(tree, folder, key)
        else:
            print(f"{meta_path.name}: not stored, some draws are not finite", file=sys.stderr)
        return tree


def forget(folder: str | os.PathLike[str], key: str) -> None:
    """Withdraw what is stored under ``key``, if anything is; whoever asks next makes it again."""
    import filelock

    array_path, meta_path = _paths(folder, key)
    if not meta_path.parent.is_dir():
        return
    with _held(filelock.FileLock(meta_path.with_name(f"{key}.lock")), key):
        meta_path.unlink(missing_ok=True)  # the commit mark first
        array_path.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(lock: Any, key: str) -> Iterator[None]:
    """Hold a lock; say so on stderr if another process makes us wait."""
    import filelock

    try:
        lock.acquire(timeout=1.0)
    except filelock.Timeout:
        print(f"waiting for another process that is fitting {key}", file=sys.stderr)
        lock.acquire()  # released by the system if its holder dies
    try:
        yield
    finally:
        lock.release()


def _paths(folder: str | os.PathLike[str], key: str) -> tuple[Path, Path]:
    if not _KEY.fullmatch(key):
        raise ArtifactError(
            f"{key!r} does not name an artifact; use lower-case letters, digits and . _ -"
        )
    return Path(folder) / f"{key}.npz", Path(folder) / f"{key}.json"


def _described(tree: xr.DataTree) -> tuple[dict[str, Array], dict[str, Any]]:
    """A tree as flat arrays named ``group/variable`` and everything else as JSON-able values."""
    arrays: dict[str, Array] = {}
    groups: dict[str, Any] = {}
    for group, node in tree.children.items():
        data = node.to_dataset(inherit=False)
        for name, variable in data.data_vars.items():
            values = np.ascontiguousarray(variable.values)
            if values.dtype.kind not in _NUMBERS:
                raise ArtifactError(
                    f"{group}/{name} has dtype {values.dtype}, which is not a number; drop it first"
                )
            arrays[f"{group}/{name}"] = values
        groups[group] = {
            "attrs": _jsonable(data.attrs, group),
            "coords": {
                str(dim): {"dtype": labels.dtype.str, "values": _labels(labels.values)}
                for dim, labels in data.coords.items()
            },
            "variables": {
                str(name): {
                    "dims": list(variable.dims),
                    "shape": list(variable.shape),
                    "dtype": variable.dtype.str,
                    "attrs": _jsonable(variable.attrs, f"{group}/{name}"),
                }
                for name, variable in data.data_vars.items()
            },
        }
    return arrays, {"schema": SCHEMA, "attrs": _jsonable(tree.attrs, "the root"), "groups": groups}


def _labels(values: Array) -> list[Any]:
    return [str(value) for value in values] if values.dtype.kind == "M" else values.tolist()


def _jsonable(attrs: Mapping[Any, Any], owner: str) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(
            json.dumps(
                dict(attrs),
                allow_nan=False,
                default=lambda x: x.item() if np.ndim(x) == 0 else x.tolist(),
            )
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"an attribute of {owner} cannot be stored ({error}); use text, numbers or lists"
        ) from error
    return plain


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()


def _finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


def _staged(target: Path, content: bytes) -> contextlib.AbstractContextManager[Path]:
    return staged(target, content, prefix=f".{target.stem}.", suffix=f"{target.suffix}.tmp")


def _read(
    folder: str | os.PathLike[str], key: str
) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """Arrays and description as they were written, or None; every byte is checked."""
    array_path, meta_path = _paths(folder, key)
    remedy = f"delete {meta_path} (it is only a cache) and run again"
    try:
        text = meta_path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{meta_path}: cannot be read ({error}); {remedy}") from error
    try:
        described = json.loads(text)
        body, digest = described["body"], described["sha256"]
        version = body["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{meta_path}: is not the JSON that was written; {remedy}") from error
    if version != SCHEMA:
        raise ArtifactError(
            f"{meta_path}: has schema {version}, this version reads {SCHEMA}; {remedy}"
        )
    if _digest(body) != digest:
        raise ArtifactError(f"{meta_path}: does not match its own checksum; {remedy}")
    try:
        content = array_path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{array_path}: cannot be read ({error}); {remedy}") from error
    if hashlib.sha256(content).hexdigest() != body["array_sha256"]:
        raise ArtifactError(
            f"{array_path}: does not match its checksum, a bit flipped or the end is missing; "
            f"{remedy}"
        )
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{array_path}: cannot be decoded ({error}); {remedy}") from error
    expected = {
        f"{group}/{name}": (entry["shape"], entry["dtype"])
        for group, one in body["groups"].items()
        for name, entry in one["variables"].items()
    }
    found = {name: (list(values.shape), values.dtype.str) for name, values in arrays.items()}
    if found != expected:
        odd = sorted(set(map(str, expected.items())) ^ set(map(str, found.items())))[0]
        raise ArtifactError(f"{array_path}: holds other arrays than described, see {odd}; {remedy}")
    for name, values in arrays.items():
        if not _finite(values):
            raise ArtifactError(f"{array_path}: {name} holds values that are not finite; {remedy}")
    return arrays, body
