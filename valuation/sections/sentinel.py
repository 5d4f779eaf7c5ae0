"""The last cell of a report: proof that the notebook ran to its end, and the numbers it showed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from valuation.errors import RunError

RESULTS_MIME = "application/vnd.valuation.results+json"


def canonical(results: Mapping[str, Any]) -> str:
    """The one spelling of ``results`` as JSON: sorted keys, no spaces, finite numbers only."""
    culprit = _not_finite(results, "results")
    if culprit:
        raise RunError(f"{culprit} is not a finite number; a result with a hole is not published")
    return json.dumps(
        results, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _not_finite(value: object, path: str) -> str:
    if isinstance(value, float):
        return "" if math.isfinite(value) else path
    pairs: Any = ()
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list | tuple):
        pairs = enumerate(value)
    return next(filter(None, (_not_finite(child, f"{path}.{key}") for key, child in pairs)), "")


def digest_of(results: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical spelling."""
    return hashlib.sha256(canonical(results).encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class Sentinel:
    """What :func:`finish` shows: the results and their digest, as data."""

    results: Mapping[str, Any]
    digest: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {
            "text/plain": f"complete; results {self.digest[:12]}",
            RESULTS_MIME: {"results": json.loads(canonical(self.results)), "digest": self.digest},
        }


def finish(results: Mapping[str, Any], **more: Mapping[str, Any]) -> Sentinel:
    """Close a notebook. A notebook without this output is taken for a failed run.

    ``more`` adds what a second model gave, under its name.
    """
    whole = {**results, **more}
    return Sentinel(whole, digest_of(whole))
