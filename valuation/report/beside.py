"""What a report makes beside its notebooks, in a process of its own: the scorecard's backtest, and the history.

Both walk the ledger and share their fits, which are kept; so are the results, which notebooks then find.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from valuation import archive
from valuation.params import find_root

if TYPE_CHECKING:
    from valuation.study.case import Study
    from valuation.study.replay import Fit


def main(words: Sequence[str] | None = None) -> None:
    """Walk a deal's ledger: ``--deal NAME`` and, for another seed than the usual one, ``--seed NUMBER``.

    With ``--attended`` it ends with its standard input: one whose report was killed works for nobody.
    """
    from valuation.study import open_study

    reader = argparse.ArgumentParser(prog="python -m valuation.report.beside")
    reader.add_argument("--deal", default=archive.DEFAULT_DEAL)
    reader.add_argument("--seed", type=int)
    reader.add_argument("--attended", action="store_true")
    asked = reader.parse_args(words)
    if asked.attended:
        threading.Thread(target=_until_left, daemon=True).start()
    seeded: dict[str, Any] = {} if asked.seed is None else {"random_seed": asked.seed}
    walk(open_study(asked.deal, root=find_root(), **seeded))


def _until_left() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def walk(study: Study, fit: Fit | None = None) -> None:
    """The backtest of a study and, if the one in place is of another state, the history.

    Without a question nothing is asked of the past, and a history alone is not worth its fits: `valuation replay`
    makes it.
    """
    from valuation.study.backtest import backtest
    from valuation.study.replay import fit_at, is_current, read_history, replay, write_history

    if study.ledger.questions.empty:
        return
    backtest(study, fit=fit or fit_at)
    known = read_history(study.root, study.base_deal.name)
    if known is None or not is_current(known, study):
        write_history(study.root, replay(study, fit=fit or fit_at))


if __name__ == "__main__":
    main()
