"""Faults that the libraries below let through, and what becomes of them here.

Each test first shows the fault passing where nobody looks for it, then that it does not pass here.
What the first half shows is a fact about a library; if a newer one catches the fault by itself,
delete that half and keep the second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from test_posterior import LIMITS, draws_of, good, put, with_draws

from valuation.errors import ArtifactError, GateError
from valuation.posterior import diagnose, fit, load, save, tree_of


def raw_rhat(tree: xr.DataTree, name: str) -> float:
    from arviz_stats.base import array_stats

    with np.errstate(all="ignore"):
        return float(array_stats.rhat(tree["posterior"][name].values))


@pytest.mark.parametrize(
    "build",
    [
        lambda: with_draws(put((1, 5), np.nan)),
        lambda: good(chains=1),
        lambda: good(draws=2),
        lambda: with_draws(put(slice(None), 2.5)),
    ],
    ids=["a NaN draw", "one chain", "two draws", "a constant"],
)
def test_an_rhat_of_nan_is_not_above_any_limit_yet_is_refused(build: Any) -> None:
    tree = build()
    assert not raw_rhat(tree, "mu") > LIMITS.rhat_max, "the naive test refuses it by itself"
    with pytest.raises(GateError, match="R-hat: not computable"):
        diagnose(tree, LIMITS).raise_if_failed()


def test_a_constant_has_a_full_effective_sample_yet_is_refused() -> None:
    from arviz_stats.base import array_stats

    tree = with_draws(put(slice(None), 2.5))
    assert array_stats.ess(tree["posterior"]["mu"].values, method="bulk") == 4000
    failed = diagnose(tree, LIMITS)
    assert any(sentence.startswith("constants: mu never moves") for sentence in failed.failures)
    assert any(sentence.startswith("bulk ESS: not computable") for sentence in failed.failures)


def test_chains_that_are_copies_agree_perfectly_yet_are_refused() -> None:
    drawn, stats = draws_of()
    same = drawn.isel(chain=[0, 0, 0, 0]).assign_coords(chain=np.arange(4))
    tree = tree_of(same, stats, constant=["start"])
    assert raw_rhat(tree, "mu") < LIMITS.rhat_max
    failures = diagnose(tree, LIMITS).failures
    assert any(
        "chains 0 and 1 share 100% of mu; give every chain its own random numbers" in sentence
        for sentence in failures
    )


def test_values_without_a_mean_pass_rhat_and_ess_yet_are_refused() -> None:
    from arviz_stats.base import array_stats

    values = np.random.default_rng(5).standard_cauchy((4, 1000))
    assert array_stats.rhat(values) < LIMITS.rhat_max
    assert array_stats.ess(values, method="bulk") > LIMITS.ess_min
    assert array_stats.ess(values, method="tail", prob=(0.05, 0.95)) > LIMITS.ess_min
    with pytest.raises(GateError, match=r"npv: Pareto k: .*its mean may not exist"):
        diagnose(good(), LIMITS, {"npv": values}).raise_if_failed()


def test_a_mean_that_skips_nan_looks_sound_yet_is_refused() -> None:
    values = np.random.default_rng(5).normal(1, 1, size=(4, 1000))
    values[values > 2] = np.nan
    labelled = xr.DataArray(values, dims=("chain", "draw"))
    assert 0 < float(labelled.mean()) < 1, "a sixth of the draws is gone and nobody says so"
    with pytest.raises(GateError, match=r"npv: 1\d\.\d+% of its values are not finite"):
        diagnose(good(), LIMITS, {"npv": labelled}).raise_if_failed()


def test_a_flipped_bit_reads_as_another_number_yet_is_found(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=1000)
    raw = tmp_path / "raw.npy"
    np.save(raw, values)
    content = bytearray(raw.read_bytes())
    content[-1] ^= 0x40  # an exponent bit of the last draw
    raw.write_bytes(content)
    assert not np.array_equal(np.load(raw, allow_pickle=False), values), "no error, another number"

    save(good(), tmp_path, "k")
    file = tmp_path / "k.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="does not match its checksum"):
        load(tmp_path, "k")


def test_a_label_swapped_by_hand_is_found(tmp_path: Path) -> None:
    save(good(), tmp_path, "k")
    file = tmp_path / "k.json"
    swapped = file.read_text().replace('"founder", "stars"', '"stars", "founder"')
    assert swapped != file.read_text()
    file.write_text(swapped)
    with pytest.raises(ArtifactError, match="does not match its own checksum"):
        load(tmp_path, "k")


def eight_schools(centred: bool) -> Any:
    """The classic funnel: eight effects whose spread the data hardly know."""
    import pymc as pm

    effects = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    errors = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        if centred:
            theta = pm.Normal("theta", mu, tau, shape=8)
        else:
            offset = pm.Normal("offset", 0, 1, shape=8)
            theta = pm.Deterministic("theta", mu + tau * offset)
        pm.Normal("effect", theta, errors, observed=effects)
    return model


@pytest.mark.slow
def test_a_sampler_in_trouble_says_nothing_yet_is_refused(
    recwarn: pytest.WarningsRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = fit(eight_schools(centred=True), random_seed=1, target_accept=0.8)
    spoken = [str(w.message) for w in recwarn if "diverg" in str(w.message).lower()]
    assert spoken == []
    assert "diverg" not in capsys.readouterr().err.lower()
    with pytest.raises(GateError) as refusal:
        diagnose(tree, LIMITS).raise_if_failed()
    assert any(sentence.startswith("divergences") for sentence in refusal.value.problems)
    assert any(sentence.startswith(("R-hat", "bulk ESS")) for sentence in refusal.value.problems)


@pytest.mark.slow
def test_the_same_model_told_another_way_passes_and_is_right() -> None:
    diagnosis = diagnose(fit(eight_schools(centred=False), random_seed=1), LIMITS)
    assert diagnosis.failures == ()
    found = {row["name"]: row for row in diagnosis.scalars}
    for name, mean in {"mu": 4.41, "tau": 3.60, "theta[0]": 6.15}.items():
        row = found[name]
        assert abs(row["mean"] - mean) < 0.1 * row["sd"] + 4 * row["mcse"], name
