"""A bounded memory of pure results within one process: by content, oldest out first.

An update asks for the same curves, the same prior draws and the same events again and again, for states that differ
in one row. What is remembered here is a function of its key alone, so remembering changes no number. Arrays are
handed out read-only, because every caller gets the same ones.
"""

from __future__ import annotations

import hashlib
import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd


def content(*parts: Any) -> str:
    """Digest of what the parts hold: arrays and tables by their values, all else by its ``repr``."""
    # Four times as fast as SHA-256, and nobody forges draws.
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        if isinstance(part, np.ndarray):
            kind, data = f"{part.dtype.str}{part.shape}", _array_digest(part)
        elif isinstance(part, pd.DataFrame):
            kind, data = "table", repr([(name, part[name].tolist()) for name in part]).encode()
        else:
            kind, data = type(part).__name__, repr(part).encode()
        digest.update(f"{kind} {len(data)} ".encode())
        digest.update(data)
    return digest.hexdigest()


# Digests of arrays that cannot change any more, by identity, dropped with the array. What a memory made is told by the
# key that it was made under, which costs nothing; any other array by its values.
_FIXED: dict[int, tuple[weakref.ref[np.ndarray], bytes]] = {}


def _array_digest(array: np.ndarray) -> bytes:
    if array.flags.writeable or array.base is not None:
        return hashlib.sha1(array.tobytes(), usedforsecurity=False).digest()
    place = id(array)
    known = _FIXED.get(place)
    if known is not None and known[0]() is array:
        return known[1]
    return _fixed(array, hashlib.sha1(array.tobytes(), usedforsecurity=False).digest())


def _fixed(array: np.ndarray, digest: bytes) -> bytes:
    place = id(array)
    _FIXED[place] = (weakref.ref(array, lambda _: _FIXED.pop(place, None)), digest)
    return digest


_NAMES = itertools.count()


class Memory:
    """Results by key, up to a number of bytes of arrays; the one asked for longest ago goes first."""

    def __init__(self, limit_bytes: int, *, limit_entries: int = 2000) -> None:
        self.limit_bytes, self.limit_entries = limit_bytes, limit_entries
        self.bytes = 0
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._name = f"memory {next(_NAMES)}"

    def recall[T](self, key: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, from memory if this key was asked for before."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        made = make()
        size = _sealed(made, f"{self._name} {key}")
        self._kept[key] = (made, size)
        self.bytes += size
        while len(self._kept) > 1 and (
            self.bytes > self.limit_bytes or len(self._kept) > self.limit_entries
        ):
            self.bytes -= self._kept.popitem(last=False)[1][1]
        return made

    def get(self, key: str) -> Any:
        """What is remembered under a key; None if nothing is."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)


def _sealed(value: Any, name: str) -> int:
    """Make the arrays in a result read-only and tell each by its place in it; returns their bytes."""
    if isinstance(value, np.ndarray):
        if value.flags.writeable and value.base is None:  # else told already, or part of another
            _fixed(value, hashlib.sha1(name.encode(), usedforsecurity=False).digest())
        value.flags.writeable = False
        return int(value.nbytes)
    if isinstance(value, Mapping):
        return sum(_sealed(item, f"{name} {key}") for key, item in value.items())
    if isinstance(value, tuple | list):
        return sum(_sealed(item, f"{name} {i}") for i, item in enumerate(value))
    return 0
