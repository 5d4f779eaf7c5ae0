"""Results kept on disk by content, so that a comparison does not compute again what a report has."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from valuation import publish

if TYPE_CHECKING:
    import xarray as xr


def load_or_make(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The results stored at ``path`` if they are whole, else those of ``make``, stored for the next caller.

    The digest covers the file's name, which is the key, so results copied to another key are not taken for it. A file
    whose digest does not match is replaced, with a sentence on stderr. Refusals raised by
    ``make`` pass through and store nothing.
    """
    if path.exists():
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if stored["sha256"] == _digest([path.stem, stored["results"]]):
                return dict(stored["results"])
        except (ValueError, KeyError, TypeError, RecursionError):
            pass  # said below
        print(f"{path.name}: stored results are damaged; computing them again", file=sys.stderr)
    results = json.loads(json.dumps(make(), allow_nan=False))
    content = json.dumps(
        {"sha256": _digest([path.stem, results]), "results": results}, allow_nan=False
    )
    publish.write_file(path, content.encode())
    return dict(results)


def draws_digest(tree: xr.DataTree) -> str:
    """SHA-256 of every group, name and value of a tree of draws."""
    told = hashlib.sha256()
    for group in sorted(tree.children):
        for name, values in sorted(tree[group].data_vars.items(), key=lambda pair: str(pair[0])):
            data = np.ascontiguousarray(values.to_numpy())
            told.update(f"{group} {name} {values.dims} {data.shape} {data.dtype}".encode())
            told.update(data.tobytes())
    return told.hexdigest()


@cache
def package_digest() -> str:
    """SHA-256 of the package's source: any change of code may change a result."""
    folder, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(folder.rglob("*.py"), key=lambda p: p.relative_to(folder).as_posix()):
        text = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(folder).as_posix()}:{len(text)}:".encode() + text)
    return digest.hexdigest()


def _digest(results: Any) -> str:
    text = json.dumps(results, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
