"""What is assumed: deals, priors, scenarios, credibility and limits, read from ``params/``."""

from valuation.params.deals import Deal, load_deal, load_deals
from valuation.params.families import FAMILIES
from valuation.params.places import cache_folder, find_root
from valuation.params.priors import HOUSE, FitRow, Prior, PriorBook, load_priors
from valuation.params.reading import Document, parse_yaml, read_yaml
from valuation.params.scenarios import (
    DRIVERS,
    EVENTS,
    DriverCondition,
    EventCondition,
    Intervention,
    Scenario,
    load_scenario,
    load_scenarios,
    scenarios_of,
)
from valuation.params.schemas import SCHEMAS, write_json_schemas
from valuation.params.settings import (
    GRADES,
    Credibility,
    Gate,
    load_credibility,
    load_gate,
    load_grades,
)

__all__ = [
    "DRIVERS",
    "EVENTS",
    "FAMILIES",
    "GRADES",
    "HOUSE",
    "SCHEMAS",
    "Credibility",
    "Deal",
    "Document",
    "DriverCondition",
    "EventCondition",
    "FitRow",
    "Gate",
    "Intervention",
    "Prior",
    "PriorBook",
    "Scenario",
    "cache_folder",
    "find_root",
    "load_credibility",
    "load_deal",
    "load_deals",
    "load_gate",
    "load_grades",
    "load_priors",
    "load_scenario",
    "load_scenarios",
    "parse_yaml",
    "read_yaml",
    "scenarios_of",
    "write_json_schemas",
]
