"""A rehearsal of news on a copy of the project: one invented row, the update, and the row taken back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valuation import clock
from valuation.ledger import load_ledger
from valuation.models import kinds_in
from valuation.study.change import Change
from valuation.study.moves import explored, levers

if TYPE_CHECKING:
    from valuation.study.case import Study


def rehearsed(study: Study, *, kind: str, subject: str, credibility: str) -> dict[str, Any]:
    """What one invented row, on the study's last day, would do to the answer. The project itself stays as it is.

    Parameters
    ----------
    kind, subject
        Of the row; an empty subject is the founder of the deal.
    credibility
        Grade of its source.

    Returns
    -------
    dict
        What an update gives (``study.change``), and ``explored`` with ``levers`` (the answer before), ``row`` as it
        was written, ``command`` that writes such a row, ``back`` (the answer once the row is withdrawn).

    Raises
    ------
    LedgerError
        If the row cannot stand beside the others; says why.
    """
    from valuation.ledger.keeping import add_rows, supersede
    from valuation.models import joint

    who = subject or study.deal.founder
    wanted = {
        "event_date": str(study.as_of),
        "published": str(study.as_of),
        "claim": f"An invented example: {kind.replace('_', ' ')} of {who}",
        "source": "Example Wire",
        "credibility": credibility,
        "kind": kind,
        "subject": who,
    }
    today = clock.today()
    kinds = kinds_in(study.base_deal.currency)
    with tempfile.TemporaryDirectory(prefix="valuation-lesson-") as folder:
        home = Path(folder)
        for name in ("seeds", "params"):
            shutil.copytree(study.root / name, home / name)
        seeds = home / study.base_deal.seeds

        def opened() -> Study:
            ledger = load_ledger(seeds, kinds=kinds, as_of=study.as_of)
            there = replace(study, root=home, ledger=ledger)
            joint.bind(  # what an update would refuse is refused before anything is told
                joint.context_of(ledger, study.base_deal, study.book.get(), study.credibility),
                ledger.scored(),
            )
            return there

        (row,) = add_rows(seeds, [wanted], kinds=kinds, today=today).rows
        change = Change(
            replace(study, root=home), opened(), None, {}, ((study.posterior_key(), study),)
        )
        results = change.results
        supersede(
            seeds, row["id"], {}, kinds=kinds, today=today, withdraw=True, reason="It was invented"
        )
        back = explored(opened())
    return {
        **results,
        "explored": explored(study),
        "levers": levers(study),
        "row": {k: v for k, v in _told(row).items() if v},
        "command": _command(wanted),
        "back": back,
    }


def _told(row: Mapping[str, Any]) -> dict[str, str]:
    """Cells as the file spells them; blank ones are empty."""
    from valuation.ledger.book import spell

    return {name: spell(value) for name, value in row.items() if name != "line"}


def _command(row: dict[str, str]) -> str:
    """The row as somebody would type it."""
    import shlex

    words = [f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in row.items()]
    return " \\\n    ".join(["valuation news add", *words])


__all__ = ["rehearsed"]
