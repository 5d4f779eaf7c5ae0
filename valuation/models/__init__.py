"""The sub-models and the kinds of evidence they read, by name.

``MODELS`` is in dependency order: a model's curves may use those of the models before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType

from valuation.currency import currency_of, scale, unit_in
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
from valuation.models.base import NeedPositive, SubModel
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


@cache
def kinds_in(currency: str) -> Mapping[str, Kind]:
    """The kinds as rows of a deal in this currency state them: amounts of money in it and in no other."""
    return MappingProxyType({name: _stated_in(kind, currency) for name, kind in KINDS.items()})


def _stated_in(kind: Kind, currency: str) -> Kind:
    unit, check = unit_in(kind.unit, currency), kind.check
    if currency_of(unit) and isinstance(check, NeedPositive):
        check = check.times(scale(currency))
    return replace(kind, unit=unit, check=check)


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


__all__ = ["KINDS", "MODELS", "closure", "kinds_in"]
