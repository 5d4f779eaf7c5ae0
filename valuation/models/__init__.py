"""The sub-models and the kinds of evidence they read, by name.

``MODELS`` is in dependency order: a model's curves may use those of the models before it.
"""

from __future__ import annotations

from valuation.errors import ModelError
from valuation.models import (
    adoption,
    capability,
    churn,
    integration,
    regulation,
    retention,
    revenue,
    worth,
)
from valuation.models.base import SubModel
from valuation.schema import Kind

MODELS: dict[str, SubModel] = {
    m.MODEL.name: m.MODEL
    for m in (
        integration,
        retention,
        adoption,
        churn,
        revenue,
        capability,
        regulation,
        worth,
    )
}

KINDS: dict[str, Kind] = {kind.name: kind for model in MODELS.values() for kind in model.kinds}


def closure(names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The named models and all they require, in dependency order; None means every model.

    Raises
    ------
    ModelError
        For an unknown name; lists the known ones.
    """
    if names is None:
        return tuple(MODELS)
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in MODELS:
            raise ModelError(f"no model named {name!r}; available: {', '.join(MODELS)}")
        if name not in wanted:
            wanted.add(name)
            pending.extend(MODELS[name].requires)
    return tuple(name for name in MODELS if name in wanted)


__all__ = ["KINDS", "MODELS", "closure"]
