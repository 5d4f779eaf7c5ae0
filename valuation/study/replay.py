"""History."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_history(root: Path, deal: str) -> dict[str, Any] | None:
    path = root / "reports" / "history.json"
    return json.loads(path.read_text()) if path.is_file() else None
