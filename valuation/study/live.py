"""What a reader can move in the page: joint draws, thinned and packed, that give the answer at other terms.

Each draw is told by what its cash flows are worth at a few discount rates; a polynomial through them gives any rate
between. Rates, the multiple at which the stake is sold, strategic value and the prior sets can then be moved without
the model. At the shipped terms it comes to what ``results.json`` says.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from valuation.schema import DRAW, MONTH

if TYPE_CHECKING:
    import xarray as xr

    from valuation.params import Deal
    from valuation.study.case import Study

RATE_MAX = 0.25
NODES = 6  # Chebyshev points: present values of 40 quarters to 2e-4 of their size between 0 and 25% a year
DRAWS_OTHER = 1000  # of a prior set that is not in use
STEPS = 2**16 - 1


def rate_nodes(count: int = NODES, top: float = RATE_MAX) -> NDArray[np.float64]:
    """Annual discount rates, shape ``(node,)``: the Chebyshev points of ``0 … top``."""
    k = np.arange(count)
    return np.asarray(top / 2 * (1.0 - np.cos(np.pi * (2 * k + 1) / (2 * count))))


def live_of(study: Study) -> dict[str, Any] | None:
    """The draws of every prior set as a page embeds them; keys as documented in CONTRIBUTING.

    None where a rate of the deal lies beyond those between which the page can tell values.
    """
    from valuation.forecast import conditioned

    deal, own = study.deal, study.prior_set
    rates = (
        deal.discount.strategic_per_year, deal.discount.stake_per_year, deal.hurdle.irr_per_year,
    )  # fmt: skip
    if not all(0.0 <= rate <= RATE_MAX for rate in rates):
        return None
    drawn = {own: study.drivers}
    for name in study.book.sets():
        if name != own:
            drawn[name], _ = conditioned(
                study.simulated(study.believed(name), name),
                study.scenario,
                least=study.limits.scenario_draws_min,
            )
    fixed = {item.driver for item in study.scenario.sets}
    month = exit_month(deal)
    multiple = None
    if deal.components.get("stake") and month and not fixed & {"stake_value", "exit_multiple"}:
        from valuation import decision

        path = study.drivers["exit_multiple"].isel({MONTH: month}).to_numpy()
        multiple = float(decision.quantiles(path, 0.5, study.drivers["weight"].to_numpy()))
    return packed(drawn, deal, own=own, multiple=multiple)


def packed(
    drawn: Mapping[str, xr.Dataset], deal: Deal, *, own: str, multiple: float | None
) -> dict[str, Any]:
    """Drivers of prior sets, by name, as a page embeds them; of the set in use, ``own``, every draw.

    ``multiple`` is the median of the multiple at which the stake is sold; None where nobody may move it.
    """
    return {
        "nodes": rate_nodes().tolist(),
        "rate": deal.discount.strategic_per_year,
        "stake_rate": deal.discount.stake_per_year,
        "hurdle": deal.hurdle.irr_per_year,
        "exit_years": exit_month(deal) / 12.0,
        "multiple": multiple,
        "stake_strategic": "stake" in deal.strategic,
        "own": own,
        "sets": {
            name: _packed(drivers, deal, None if name == own else DRAWS_OTHER)
            for name, drivers in drawn.items()
        },
    }


def exit_month(deal: Deal) -> int:
    """Month, at a quarter's end, at which the stake is sold; 0 without a stake."""
    from valuation.value import sale_month

    return sale_month(deal) if deal.components.get("stake") else 0


def columns_of(
    drivers: xr.Dataset, deal: Deal
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Columns by name, each ``(draw,)`` in bn, and the mean flows by component.

    ``stake`` is what its sale brings, undiscounted; ``plain 0 …`` and ``strategic 0 …`` are present values at the nodes
    of all other flows.
    """
    from valuation.value import COMPONENT, PER_YEAR, QUARTER, cash_flows

    flows = cash_flows(drivers, deal)
    names = [str(name) for name in flows[COMPONENT].to_numpy()]
    amounts = flows.transpose(DRAW, QUARTER, COMPONENT).to_numpy()
    years = flows[QUARTER].to_numpy() / PER_YEAR
    weight = drivers["weight"].to_numpy()
    weight = weight / weight.sum()
    found: dict[str, NDArray[np.float64]] = {"stake": np.zeros(len(amounts))}
    if "stake" in names:
        found["stake"] = amounts[:, :, names.index("stake")].sum(axis=1)
    discount = (1.0 + rate_nodes()[:, None]) ** -years
    for group, held in (
        ("plain", [n for n in names if n != "stake" and n not in deal.strategic]),
        ("strategic", [n for n in names if n != "stake" and n in deal.strategic]),
    ):
        total = amounts[:, :, [names.index(n) for n in held]].sum(axis=2)
        for node, values in enumerate((total @ discount.T).T):
            found[f"{group} {node}"] = values
    mean = np.einsum("d,dqc->cq", weight, amounts)
    worth = {n: [float(x) for x in discount @ mean[j]] for j, n in enumerate(names) if n != "stake"}
    return found, {"weight": weight, "components": worth}


def worth_of(
    columns: Mapping[str, NDArray[np.float64]], deal: Deal, *, rate: float | None = None
) -> NDArray[np.float64]:
    """Net present value of each draw from its columns, ``(draw,)``, bn: at the deal's rates, or at one for all.

    Between the nodes by the polynomial through them, as the page does it.
    """
    years = exit_month(deal) / 12.0
    of_stake = deal.discount.stake_per_year if rate is None else rate
    others = deal.discount.strategic_per_year if rate is None else rate
    total = columns["stake"] * (1.0 + of_stake) ** -years
    for node, share in enumerate(lagrange(others)):
        total = total + share * (columns[f"plain {node}"] + columns[f"strategic {node}"])
    return np.asarray(total)


def lagrange(rate: float) -> NDArray[np.float64]:
    """Weights of the nodes at a rate, shape ``(node,)``, summing to 1."""
    nodes = rate_nodes()
    apart = nodes[:, None] - nodes
    np.fill_diagonal(apart, 1.0)
    away = np.where(np.eye(len(nodes), dtype=bool), 1.0, rate - nodes)
    return np.asarray((away / apart).prod(axis=1))


def _packed(drivers: xr.Dataset, deal: Deal, most: int | None) -> dict[str, Any]:
    columns, about = columns_of(drivers, deal)
    weight = about["weight"]
    stake = float(weight @ columns["stake"])
    chosen = np.flatnonzero(weight > 0.0)
    equal = bool(np.ptp(weight[chosen]) < 1e-12)
    if most is not None and len(chosen) > most:
        # Systematic resampling: as many of each draw as its weight asks for, up to one.
        places = (np.arange(most) + 0.5) / most
        chosen = np.searchsorted(np.cumsum(weight), places).clip(max=len(weight) - 1)
        equal = True
    kept = {name: values[chosen] for name, values in columns.items()}
    if not equal:
        kept["weight"] = weight[chosen] / weight[chosen].max()
    npv = worth_of(columns, deal)
    return {
        "draws": len(chosen),
        # Of all draws: what is left to the thinned ones is the difference that other terms make.
        "chance": float(weight @ (npv > 0.0)),
        "reached": float(weight @ (worth_of(columns, deal, rate=deal.hurdle.irr_per_year) >= 0.0)),
        "columns": {name: _coded(values) for name, values in kept.items()},
        "stake": stake,
        "components": about["components"],
    }


def _coded(values: NDArray[np.float64]) -> dict[str, Any]:
    """Sixteen bits a value, little-endian, between the least and the greatest; base64."""
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-12:
        return {"low": low, "high": low, "data": ""}
    steps = np.round((values - low) / (high - low) * STEPS).astype("<u2")
    return {"low": low, "high": high, "data": base64.b64encode(steps.tobytes()).decode("ascii")}


def decoded(column: Mapping[str, Any], draws: int) -> NDArray[np.float64]:
    """The values of a packed column, ``(draw,)``."""
    if not column["data"]:
        return np.full(draws, float(column["low"]))
    steps = np.frombuffer(base64.b64decode(column["data"]), dtype="<u2").astype(float)
    low, high = float(column["low"]), float(column["high"])
    return np.asarray(low + (high - low) * steps / STEPS)


__all__ = [
    "columns_of",
    "decoded",
    "exit_month",
    "lagrange",
    "live_of",
    "packed",
    "rate_nodes",
    "worth_of",
]
