"""Does a big, uncertain deal pay off, and what moved that answer?

Importing this package defines names only; models, notebooks and plots load when they are used. The modules
below serve other data too, and load when first named: ``valuation.survival.fit_retention(frame, ...)``.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Of use without a deal, a ledger or a project's folder.
PUBLIC = (
    "conjugate",
    "decision",
    "information",
    "money",
    "outside",
    "posterior",
    "scoring",
    "survival",
)


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return import_module(f"valuation.{name}")
    raise AttributeError(f"module 'valuation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
