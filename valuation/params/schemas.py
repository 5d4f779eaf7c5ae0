"""JSON Schema of every file of ``params/``, so that editors complete and check keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from valuation.currency import spelled
from valuation.params.deals import AMOUNT, MONEY, Deal
from valuation.params.priors import PriorsFile
from valuation.params.reading import Record
from valuation.params.scenarios import Scenario
from valuation.params.settings import Credibility, Gate

SCHEMAS: dict[str, type[Record]] = {
    "deal": Deal,
    "scenario": Scenario,
    "priors": PriorsFile,
    "credibility": Credibility,
    "gate": Gate,
}


def json_schema(name: str) -> str:
    """The schema of one kind of file, as the text of its ``.json``."""
    schema = _with_currencies(SCHEMAS[name].model_json_schema())
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _with_currencies(node: Any) -> Any:
    """The schema with keys of money as files spell them: completed in USD, allowed in every currency.

    That a key is missing is left to the reader of files, who knows the deal's currency.
    """
    if isinstance(node, list):
        return [_with_currencies(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _with_currencies(value) for key, value in node.items()}
    inside: dict[str, Any] = found.get("properties") or {}
    money = [name for name in inside if name in MONEY]
    if money:
        found["properties"] = {spelled(n, "USD") if n in money else n: v for n, v in inside.items()}
        found["patternProperties"] = {
            f"^{n.replace('_bn', '_[a-z]{3}_bn')}$": inside[n] for n in money
        }
        found["required"] = [n for n in found.get("required", ()) if n not in money]
    if AMOUNT in found.get("enum", ()):
        return {"anyOf": [found, {"pattern": "^[a-z]{3}_bn$", "type": "string"}]}
    return found


def write_json_schemas(folder: str | Path) -> list[Path]:
    """Write ``NAME.json`` for each of :data:`SCHEMAS`; return the paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for name in SCHEMAS:
        path = target / f"{name}.json"
        path.write_text(json_schema(name), encoding="utf-8", newline="\n")
        paths.append(path)
    return paths
