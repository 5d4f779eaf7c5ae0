"""Small notebooks, each for one edge of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

PARAMETERS = "rate: float = 0.1  # per year, a fraction\nname: str = 'base'  # of the scenario\n"

# What a report notebook's last cell does, spelled out so that it needs no section.
FINISH = """
import hashlib, json
from IPython.display import display
checks = [{"check": "tiny", "value": 0, "limit": 1, "passed": True, "sentence": "tiny: fine."}]
results = {"rate": rate, "name": name, "diagnostics": checks}
text = json.dumps(results, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
display(
    {"application/vnd.valuation.results+json":
        {"results": results, "digest": hashlib.sha256(text.encode()).hexdigest()},
     "text/plain": "done"},
    raw=True,
)
"""


def cell(source: str, *tags: str) -> dict[str, object]:
    """A code cell."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": list(tags)} if tags else {},
        "outputs": [],
        "source": source,
    }


def notebook(
    folder: Path,
    *sources: str,
    parameters: str = PARAMETERS,
    tags: Sequence[str] = ("parameters",),
    finish: str = FINISH,
    name: str = "tiny",
) -> Path:
    """Write ``folder/name.ipynb``: a parameters cell, one cell for each source, and the finish."""
    cells = [cell(parameters, *tags), *map(cell, sources), *([cell(finish)] if finish else [])]
    for number, one in enumerate(cells):
        one["id"] = f"cell-{number}"
    content = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
