"""The shipped ledger, sampled: the gate passes whatever the seed, and news moves the answer the way that it should.

That known truths come back from simulated ledgers is shown in ``test_calibration``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import nutpie
import pandas as pd
import pytest
import small_world as world
import xarray as xr

from valuation import decision
from valuation.forecast import forecast
from valuation.ledger import Ledger
from valuation.models import joint
from valuation.ops import numpy_ops
from valuation.params.scenarios import Intervention
from valuation.study import Study, open_study
from valuation.update import Weights, importance_weights
from valuation.value import value

OPS = numpy_ops()


@cache
def shipped(as_of: str = "", random_seed: int = 20250612) -> Study:
    return open_study(root=world.PROJECT, as_of=as_of, random_seed=random_seed)


@pytest.mark.slow
def test_the_shipped_posterior_passes_the_gate():
    assert shipped().gate().failures == ()


@pytest.mark.slow
def test_the_gate_passes_whatever_the_seed(monkeypatch):
    """At ten seeds. Their model is one and the same, so it is built and compiled once: that is most of a fit."""
    built, compiled = joint.build, nutpie.compile_pymc_model
    model = built(shipped().evidence)
    known = shipped().evidence.rows
    programs: dict[str, Any] = {}

    def build(evidence):
        pd.testing.assert_frame_equal(evidence.rows, known)
        return model

    def compile_pymc_model(one, **options):
        assert one is model
        if repr(options) not in programs:
            programs[repr(options)] = compiled(one, **options)
        return programs[repr(options)]

    monkeypatch.setattr(joint, "build", build)
    monkeypatch.setattr(nutpie, "compile_pymc_model", compile_pymc_model)
    failed = {}
    for seed in range(1, 11):
        study = open_study(root=world.PROJECT, random_seed=seed)
        failed[seed] = study.gate().failures
    assert failed == dict.fromkeys(range(1, 11), ())
    assert len(programs) <= 1  # none, if all ten were kept from before


@pytest.mark.slow
def test_two_seeds_agree_within_their_monte_carlo_errors():
    first, second = (shipped(random_seed=s).results["headline"] for s in (1, 2))
    for name, error in (("npv_mean", "npv_mcse"), ("probability", "mcse")):
        assert abs(first[name] - second[name]) < 4.0 * np.hypot(first[error], second[error])


@pytest.mark.slow
def test_three_dates_give_three_answers():
    found = [shipped(as_of=d) for d in ("2025-06-20", "2025-09-01", "2026-02-28")]
    assert [s.gate().failures for s in found] == [(), (), ()]
    rows = [len(s.evidence.ids) for s in found]
    assert rows == sorted(set(rows))
    assert len({s.results["headline"]["npv_mean"] for s in found}) == 3


@dataclass(frozen=True)
class Moved:
    """What a change of the ledger does to an answer, draw for draw, and whether weights can carry it."""

    npv: decision.Estimate
    chance: decision.Estimate
    financial: decision.Estimate
    drivers: xr.Dataset
    weights: Weights

    def driver(self, name: str, month: int) -> decision.Estimate:
        """Change of a driver's mean in a month."""
        new, old = (d[name].isel(month=month).to_numpy() for d in (self.drivers, shipped().drivers))
        return decision.difference(new, old, self.weights.weight)


def moved(ledger: Ledger) -> Moved:
    """The shipped study's stored draws reweighted to a changed ledger: nothing differs but the change."""
    base = shipped()
    other = replace(base, ledger=ledger)
    parameters = base.beliefs.parameters
    curves = joint.curves(other.evidence, parameters, OPS)
    new = joint.log_likelihood(other.evidence, parameters, curves, OPS).sum(axis=-1)
    before = joint.curves(base.evidence, parameters, OPS)
    old = joint.log_likelihood(base.evidence, parameters, before, OPS).sum(axis=-1)
    weights = importance_weights(new - old)
    drivers = forecast(other.evidence, parameters, random_seed=base.random_seed)
    new_values = value(drivers, base.deal)
    x, y = (v["npv"].to_numpy() for v in (new_values, base.values))
    worth, before_worth = (v["npv_financial"].to_numpy() for v in (new_values, base.values))
    return Moved(
        decision.difference(x, y, weights.weight),
        decision.difference(x > 0, y > 0, weights.weight),
        decision.difference(worth, before_worth, weights.weight),
        drivers,
        weights,
    )


def news(kind: str, subject: str, amount: float | None = None, **cells: Any) -> Ledger:
    """The shipped ledger with one more certain-looking row, of the day before its end."""
    known = shipped().ledger
    unit = known.kinds[kind].unit if amount is not None else None
    line = world.ROW | {"event_date": "2026-02-20", "published": "2026-02-25", "credibility": "A"}
    line |= {"id": "N1", "root": "news", "source": known.evidence["source"].iloc[0]}
    return known.adding(
        [line | {"kind": kind, "subject": subject, "value": amount, "unit": unit} | cells]
    )


@pytest.mark.slow
def test_a_founder_who_leaves_lowers_the_answer():
    gone = moved(news("departure", shipped().deal.founder, 1.0))
    print(f"founder leaves: NPV {gone.npv}, P(pays off) {gone.chance}")
    assert gone.weights.khat < 0.7
    assert gone.npv.value < -2.0 * gone.npv.mcse
    assert gone.chance.value < -2.0 * gone.chance.mcse
    talent = gone.driver("talent_retained", 12)
    assert talent.value < -2.0 * talent.mcse


# news: the way that it moves the expected NPV
NEWS: list[tuple[str, dict[str, Any], int]] = [
    ("sighting", {"subject": "Alexandr Wang"}, +1),
    ("vendor_share", {"subject": "Scale AI", "amount": 0.55, "sd": 0.5}, +1),
    ("run_rate", {"subject": "Scale AI", "amount": 2.2, "sd": 0.35}, +1),
    ("run_rate", {"subject": "Scale AI", "amount": 0.9, "sd": 0.3}, -1),
    ("impairment", {"subject": "Scale AI", "amount": 1.0}, -1),
    ("regulatory_action", {"subject": "US regulators", "amount": 1.0}, -1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "cells", "sign"), NEWS)
def test_news_moves_the_expected_npv_its_way(kind, cells, sign):
    change = moved(news(kind, **cells))
    print(f"{kind} {cells}: NPV {change.npv}, P(pays off) {change.chance}")
    assert change.weights.effective_draws > 400.0
    assert sign * change.npv.value > 2.0 * change.npv.mcse


BOTH = ("Google", "OpenAI")


@pytest.mark.slow
def test_had_google_and_openai_not_left_the_target_would_keep_more_revenue():
    # To unlearn that they went is not to know that they stayed: their going was half expected, is counted as denied
    # to them, and the revenue reported since stands. So the value moves within its error, which is printed; what
    # their business is worth is the next test.
    rows = shipped().ledger.evidence
    ends = rows[(rows["kind"] == "customer_ended") & rows["subject"].isin(BOTH)]
    stayed = moved(shipped().ledger.without(*ends["id"]))
    print(
        f"no endings of Google and OpenAI: NPV {stayed.npv}, without strategic value "
        f"{stayed.financial}, P(pays off) {stayed.chance}"
    )
    assert stayed.weights.khat < 0.7
    for name in ("rivals_active", "revenue_retained"):
        for month in (12, 24):
            change = stayed.driver(name, month)
            assert change.value > 2.0 * change.mcse, (name, month)


@pytest.mark.slow
def test_google_and_openai_as_customers_raise_the_value_by_every_definition():
    # By intervention, on the same draws, so that nothing differs but the business of these two.
    base = shipped()
    roster = base.ledger.customers.set_index("subject")
    rivals = roster.loc[roster["rival"] == 1, "revenue_share"]
    share = float(rivals[list(BOTH)].sum() / rivals.sum())
    without, both = (
        value(
            forecast(
                base.evidence,
                base.beliefs.parameters,
                random_seed=base.random_seed,
                sets=[
                    Intervention(
                        driver="rivals_active",
                        operation="set",
                        value=kept,
                        start=base.deal.closed,
                    )
                ],
            ),
            base.deal,
        )
        for kept in (0.0, share)
    )
    weight = base.beliefs.weight
    for name in ("npv", "npv_financial"):
        change = decision.difference(both[name].to_numpy(), without[name].to_numpy(), weight)
        print(f"Google and OpenAI kept: {name} {change}")
        assert change.value > 3.0 * change.mcse, name
    denied = [v["present_value"].sel(component="denial").to_numpy() for v in (both, without)]
    lost = decision.difference(denied[0], denied[1], weight)
    print(f"Google and OpenAI kept: denial {lost}")
    assert (
        lost.value < -3.0 * lost.mcse
    )  # that is what their going brings, and it is the lesser part
    for name in both["definition"].to_numpy():
        pays = [v["pays_off"].sel(definition=name).to_numpy() for v in (both, without)]
        change = decision.difference(pays[0], pays[1], weight)
        print(f"Google and OpenAI kept: P by {name} {change}")
        assert change.value > 3.0 * change.mcse, name
