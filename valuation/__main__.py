"""``python -m valuation``."""

from valuation.cli import main

main()
