"""The forecaster's report as plain values: the record, the backtest, and what is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from valuation import gate as gates
from valuation import record
from valuation.questions import questions_of, spread
from valuation.record import PAYS_OFF, Forecast
from valuation.scorecard import card
from valuation.study.answers import told_checks
from valuation.study.backtest import backtest
from valuation.study.replay import Fit, fit_at

if TYPE_CHECKING:
    from valuation.study.case import Study

SCHEMA = 1
FOREVER = "9999-12-31"  # what has no closing day is never late


def score_results(study: Study, *, fit: Fit = fit_at) -> dict[str, Any]:
    """What the scorecard's notebook shows.

    Returns
    -------
    dict
        ``record`` and ``backtest`` with the keys of :func:`valuation.scorecard.card`; the record also has ``runs``,
        ``forecasts``, ``first`` and ``last`` (moments), and ``frozen``, what was said first and last of whatever is
        open; the backtest also has ``dates`` and ``paths``, each question's chance by date. ``questions`` are the open
        ones as a report has them. With an as-of date nothing counts that was said later.

    Raises
    ------
    LedgerError
        If the record cannot be read.
    GateError
        If a fit of the backtest is refused; names the day.
    """
    results, folder = study.results, study.root / study.base_deal.seeds
    made = [
        f
        for f in record.read(folder)
        if f.deal == study.base_deal.name
        and not (study.as_of_given and f.made.date() > study.as_of)
    ]
    replayed = backtest(study, fit=fit)
    said = replayed.pop("forecasts")
    return {
        "schema": SCHEMA,
        "deal": results["deal"],
        "as_of": results["as_of"],
        "run": results["run"],
        "freshness": study.freshness(),
        # Scores of a past that was changed are refused like any number that fails its checks.
        "diagnostics": [
            *results["diagnostics"],
            *told_checks(gates.ledger_lint(record.check_record(folder))),
        ],
        "questions": results["questions"],
        "record": {
            **card(questions_of(study.ledger.questions), made),
            "runs": len({f.run for f in made}),
            "forecasts": len(made),
            "first": min((f.made.isoformat() for f in made), default=""),
            "last": max((f.made.isoformat() for f in made), default=""),
            "frozen": _frozen(results, made),
        },
        "backtest": {
            **replayed,
            "paths": {
                row["id"]: [
                    [f["as_of"], f["probability"]]
                    for f in said
                    if f["question"] == row["id"] and f["as_of"] <= row["resolved"]
                ]
                for row in replayed["questions"]
            },
        },
    }


def _frozen(results: dict[str, Any], made: Sequence[Forecast]) -> list[dict[str, Any]]:
    """First and last word on each definition of paying off and on each open question, on record."""
    labels = {PAYS_OFF + row["definition"]: row["label"] for row in results["definitions"]}
    labels |= {row["id"]: row["question"] for row in results["questions"]}
    closes = {row["id"]: row["closes"] for row in results["questions"]}
    found = []
    for name, label in labels.items():
        mine = sorted((f for f in made if f.question == name), key=lambda f: (f.made, f.run))
        if mine:
            found.append(
                {
                    "question": name,
                    "label": label,
                    "forecasts": len(mine),
                    "first": _word(mine[0]),
                    "last": _word(mine[-1]),
                    "late": mine[-1].made.date().isoformat() > closes.get(name, FOREVER),
                }
            )
    return found


def _word(forecast: Forecast) -> dict[str, Any]:
    median = spread(forecast.quantiles)[1] if forecast.quantiles else None
    return {
        "made": forecast.made.date().isoformat(),
        "probability": forecast.probability,
        "mcse": forecast.mcse,
        "median": median,
    }
