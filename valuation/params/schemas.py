"""JSON Schema of every file of ``params/``, so that editors complete and check keys."""

from __future__ import annotations

import json
from pathlib import Path

from valuation.params.deals import Deal
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
    schema = SCHEMAS[name].model_json_schema()
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


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
