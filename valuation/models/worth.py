"""Worth: what a unit of each driver is worth to the acquirer.

No market prices these quantities and no public evidence observes them yet, so their posterior is
their prior: they sit in the joint model so that draws stay paired, prior sets reweight them like
everything else, and the share of the answer that is opinion can be computed instead of confessed.
"""

from __future__ import annotations

from valuation.models.base import SubModel

NAMES = (
    "uplift_at_frontier",
    "share_due_to_deal",
    "talent_pool_usd_bn",
    "denial_usd_bn",
    "price_discount",
    "regulation_cost_usd_bn",
    "integration_cost_usd_bn",
    "retention_pay_usd_bn",
)

MODEL = SubModel(
    name="worth",
    title="What is each driver worth?",
    equation=("each quantity ~ its prior; no evidence observes it",),
    requires=(),
    kinds=(),
    scalars=lambda context: list(NAMES),
    innovations=lambda context: {},
    curves=lambda context, parameters, curves, bound, ops: {},
    terms=lambda context, rows: [],
)
