"""What would have been said of each question at the end of each month, with what was public by then.

The ledger is cut at the date, and the question register with it; priors, terms and code are as they are now, so a
backtest is not free of hindsight: whoever wrote the priors knew some of the outcomes.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from valuation.params.reading import digest_of
from valuation.questions import questions_of
from valuation.record import Forecast
from valuation.scorecard import card
from valuation.study.case import Study
from valuation.study.replay import Fit, Told, digests_of, fit_at, month_ends, pools
from valuation.study.stored import load_or_make

RUN = "backtest"
EVENING = dt.time(23, 59, 59)  # what was published on a day is known at its end


def asked_then(
    study: Study, *, told: Told = lambda text: None, fit: Fit = fit_at
) -> tuple[Forecast, ...]:
    """The forecasts of every question that was open at the close and at each month's end since."""
    found: list[Forecast] = []
    if study.ledger.questions.empty:
        return ()  # without a question, no fit
    for day, state, pool in pools(study, month_ends(study), told=told, fit=fit):
        for row in pool.answers(state):
            if row["by"] != "model" or dt.date.fromisoformat(row["closes"]) < day:
                continue
            found.append(
                Forecast(
                    made=dt.datetime.combine(day, EVENING, dt.UTC),
                    run=RUN,
                    deal=study.base_deal.name,
                    scenario=study.scenario.scenario,
                    as_of=day,
                    question=row["id"],
                    probability=row["probability"],
                    mcse=row["mcse"],
                    quantiles=tuple(row["quantiles"]),
                )
            )
    return tuple(found)


def backtest(study: Study, *, told: Told = lambda text: None, fit: Fit = fit_at) -> dict[str, Any]:
    """The scorecard of the replayed forecasts against outcomes known on the study's date; stored by content.

    Keys as of :func:`valuation.scorecard.card`, and ``as_of``, ``dates`` and every ``forecasts``.
    """
    key = digest_of({"backtest": digests_of(study), "seed": study.random_seed})

    def make() -> dict[str, Any]:
        forecasts = asked_then(study, told=told, fit=fit)
        return {
            **card(questions_of(study.ledger.questions), forecasts),
            "as_of": str(study.as_of),
            "dates": sorted({str(f.as_of) for f in forecasts}),
            "forecasts": [
                {
                    "as_of": str(f.as_of),
                    "question": f.question,
                    "probability": f.probability,
                    "mcse": f.mcse,
                    "quantiles": list(f.quantiles),
                }
                for f in forecasts
            ],
        }

    return load_or_make(study.cache / "results" / f"backtest-{key[:16]}.json", make)
