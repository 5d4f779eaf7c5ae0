"""Worth: what a unit of each driver is worth to the acquirer.

No market prices these quantities and no public evidence observes them yet, so their posterior is
their prior: they sit in the joint model so that draws stay paired, prior sets reweight them like
everything else, and the share of the answer that is opinion can be computed instead of confessed.
"""

from __future__ import annotations

from valuation.currency import spelled
from valuation.models.base import SubModel

# Money without its currency: a deal in EUR has the prior talent_pool_eur_bn.
NAMES = (
    "uplift_at_frontier",
    "share_due_to_deal",
    "talent_pool_bn",
    "denial_bn",
    "price_discount",
    "regulation_cost_bn",
    "integration_cost_bn",
    "retention_pay_bn",
)


def names(currency: str) -> list[str]:
    """The quantities as a deal in this currency names them."""
    return [spelled(name, currency) for name in NAMES]


MODEL = SubModel(
    name="worth",
    title="What is each driver worth?",
    equation=("each quantity ~ its prior; no evidence observes it",),
    requires=(),
    kinds=(),
    scalars=lambda context: names(context.deal.currency),
    innovations=lambda context: {},
    curves=lambda context, parameters, curves, bound, ops: {},
    terms=lambda context, rows: [],
)
