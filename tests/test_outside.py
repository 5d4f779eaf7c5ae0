"""Figures that others published, by the parts of the package that do such jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import valuation
from valuation import outside, posterior
from valuation.outside import Figure
from valuation.params import load_gate

ROSSI = Path(__file__).parent / "data" / "rossi.csv"


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return outside.figures(pd.read_csv(ROSSI))


def test_every_published_figure_is_reproduced(figures):
    off = [
        f"{f.problem}, {f.quantity}: {f.ours} for {f.published}"
        for f in figures
        if not f.reproduced
    ]
    assert off == []


def test_the_list_holds_every_kind_of_figure(figures):
    assert {f.by.split(".")[0] for f in figures} == {
        "conjugate", "decision", "information", "money", "scoring", "survival",
    }  # fmt: skip
    assert len(figures) >= 50
    assert len({(f.problem, f.quantity) for f in figures}) == len(figures)


def test_a_figure_beyond_its_tolerance_or_missing_is_not_reproduced():
    assert Figure("p", "q", "s", "b", 1.0, 1.0009, 1e-3).reproduced
    assert not Figure("p", "q", "s", "b", 1.0, 1.002, 1e-3).reproduced
    assert not Figure("p", "q", "s", "b", 1.0, float("nan"), 1e-3).reproduced


def test_every_function_named_is_there_to_be_called(figures):
    for name in {f.by for f in figures}:
        module, function = name.split(".")
        assert callable(getattr(getattr(valuation, module), function))


def test_without_the_table_its_figures_are_left_out(figures):
    assert len(outside.figures()) < len(figures)


def test_a_name_that_the_package_has_not_is_an_attribute_error():
    assert {"survival", "money", "outside"} <= set(dir(valuation))
    assert valuation.outside is outside
    with pytest.raises(AttributeError, match="has no attribute 'retentoin'"):
        _ = valuation.retentoin


@pytest.mark.slow
def test_eight_schools_are_sampled_as_published():
    """Rubin (1981), non-centred, mu ~ N(0, 5), tau ~ HalfCauchy(5)."""
    import pymc as pm

    effect = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    error = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    with pm.Model(coords={"school": range(8)}) as model:
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
        offset = pm.Normal("offset", 0.0, 1.0, dims="school")
        theta = pm.Deterministic("theta", mu + tau * offset, dims="school")
        pm.Normal("effect", theta, error, observed=effect, dims="school")
    tree = posterior.fit(model, random_seed=15, draws=2500)
    posterior.diagnose(tree, load_gate()).raise_if_failed()
    drawn = tree["posterior"].to_dataset()
    school = drawn["theta"].isel(school=0)
    for draws, published in ((drawn["mu"], 4.41), (drawn["tau"], 3.60), (school, 6.15)):
        assert float(draws.mean()) == pytest.approx(published, abs=0.10 * float(draws.std()))
