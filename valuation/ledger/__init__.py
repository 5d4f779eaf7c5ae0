"""What is known and since when: the CSV files of ``seeds/``, read strictly and cut at a date.

The ledger is the state of the product; every result is a function of it. A row is never edited or
deleted, only superseded. ``published`` decides what an as-of run sees, ``root`` names the original
report that several rows repeat, and rows of one root about one subject and kind count once.

``tables`` says what a file looks like, ``reading`` reads one, ``rules`` holds across them, ``book``
cuts and counts, ``chain`` seals rows, ``checks`` reports; ``keeping`` adds rows, ``writing`` puts files in place, and
``sealing`` seals what was typed by hand. None knows a likelihood: which evidence kinds exist, and what
their values must look like, comes in as ``kinds``.
"""

from valuation.ledger.book import Ledger, load_ledger
from valuation.ledger.checks import Check, check_ledger, check_seals
from valuation.ledger.tables import GRADES, TABLES, Column, Table

__all__ = [
    "GRADES",
    "TABLES",
    "Check",
    "Column",
    "Ledger",
    "Table",
    "check_ledger",
    "check_seals",
    "load_ledger",
]
