"""Draws: the same for the same seed, kept whole or not at all, refused unless shown to be good."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from valuation import posterior
from valuation.errors import ArtifactError, GateError
from valuation.posterior import (
    diagnose,
    forget,
    load,
    load_or_fit,
    pareto_k,
    read_draws,
    save,
    tree_of,
)

LIMITS = SimpleNamespace(
    rhat_max=1.01,
    ess_min=400,
    divergences_max=0,
    ebfmi_min=0.3,
    treedepth_fraction_max=0.01,
    mcse_to_sd_max=0.05,
    khat_max=0.7,
    chains_min=4,
    scenario_draws_min=100,
)
ROOT = Path(__file__).parents[1]


def draws_of(seed: int = 1, chains: int = 4, draws: int = 1000) -> tuple[xr.Dataset, xr.Dataset]:
    """A posterior and the sampler's statistics as a faultless sampler would leave them."""
    rng = np.random.default_rng(seed)
    shape = (chains, draws)
    drawn = xr.Dataset(
        {
            "mu": (("chain", "draw"), rng.normal(size=shape)),
            "rate": (("chain", "draw", "cohort"), rng.gamma(2, 1, size=(*shape, 2))),
            "start": (("chain", "draw"), np.ones(shape)),
        },
        coords={
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            "cohort": ["founder", "stars"],
        },
    )
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.zeros(shape, dtype=bool)),
            "energy": (("chain", "draw"), rng.normal(size=shape)),
            "depth": (("chain", "draw"), np.full(shape, 3)),
            "maxdepth_reached": (("chain", "draw"), np.zeros(shape, dtype=bool)),
        }
    )
    return drawn, stats


def good(**options: Any) -> xr.DataTree:
    return tree_of(
        *draws_of(**options), constant=["start"], attrs={"as_of": "2026-02-28", "seed": 7}
    )


def with_draws(change: Callable[[np.ndarray], Any], name: str = "mu") -> xr.DataTree:
    """The good posterior after ``change`` has edited the draws of one variable in place."""
    drawn, stats = draws_of()
    values = drawn[name].values.copy()
    edited = change(values)
    drawn[name] = (drawn[name].dims, values if edited is None else edited)
    return tree_of(drawn, stats, constant=["start"])


def with_statistic(name: str, change: Callable[[np.ndarray], Any]) -> xr.DataTree:
    drawn, stats = draws_of()
    values = stats[name].values.copy()
    edited = change(values)
    stats[name] = (stats[name].dims, values if edited is None else edited)
    return tree_of(drawn, stats, constant=["start"])


def put(where: Any, what: Any) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[where] = what

    return change


def add(where: Any, what: float) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[where] += what

    return change


def random_walk(values: np.ndarray, correlation: float = 0.97) -> np.ndarray:
    steps = np.random.default_rng(3).normal(size=values.shape)
    walk = np.empty_like(steps)
    walk[:, 0] = steps[:, 0] / np.sqrt(1 - correlation**2)
    for i in range(1, steps.shape[1]):
        walk[:, i] = correlation * walk[:, i - 1] + steps[:, i]
    return walk


def all_chains_like_the_first() -> xr.DataTree:
    drawn, stats = draws_of()
    same = drawn.isel(chain=[0, 0, 0, 0]).assign_coords(chain=np.arange(4))
    return tree_of(same, stats, constant=["start"])


def last_chain_shifted_copy(values: np.ndarray) -> None:
    values[3] = np.roll(values[0], 17)


def stuck_for_a_while() -> xr.DataTree:
    drawn, stats = draws_of()
    for name in ("mu", "rate"):
        drawn[name].values[2, 400:460] = drawn[name].values[2, 400]
    return tree_of(drawn, stats, constant=["start"])


def without_statistics() -> xr.DataTree:
    tree = good()
    del tree["sample_stats"]
    return tree


def without_reparameterizing(values: np.ndarray) -> np.ndarray:
    return np.cumsum(values, axis=1)


# What is wrong, the tree, and the check that must say so.
BAD: dict[str, tuple[Callable[[], xr.DataTree], str]] = {
    "a draw is NaN": (lambda: with_draws(put((1, 5), np.nan)), "finite draws"),
    "a draw is infinite": (lambda: with_draws(put((1, 5, 0), np.inf), "rate"), "finite draws"),
    "one chain": (lambda: good(chains=1), "chains"),
    "three chains": (lambda: good(chains=3), "chains"),
    "two draws": (lambda: good(draws=2), "draws"),
    "a variable never moves": (lambda: with_draws(put(slice(None), 2.5)), "constants"),
    "a marked constant moves": (
        lambda: with_draws(put((0, 0), 1.5), "start"),
        "constants",
    ),
    "a chain is frozen": (lambda: with_draws(put(2, 0.1)), "no frozen chain"),
    "a chain sits still for 60 draws": (stuck_for_a_while, "no stuck chain"),
    "the chains are copies": (all_chains_like_the_first, "no copied chain"),
    "a chain is a shifted copy": (
        lambda: with_draws(last_chain_shifted_copy),
        "no copied chain",
    ),
    "a half of a chain is a copy": (
        lambda: with_draws(lambda v: put((1, slice(0, 500)), v[0, 500:])(v)),
        "no copied chain",
    ),
    "energies are copies": (
        lambda: with_statistic("energy", lambda v: put(1, v[0])(v)),
        "no copied chain",
    ),
    "three divergences": (
        lambda: with_statistic("diverging", put((0, slice(3)), True)),
        "divergences",
    ),
    "the energy creeps": (lambda: with_statistic("energy", without_reparameterizing), "E-BFMI"),
    "the energy of one chain creeps": (
        lambda: with_statistic("energy", lambda v: put(3, np.cumsum(v[3]))(v)),
        "E-BFMI",
    ),
    "the energy is frozen": (lambda: with_statistic("energy", put(0, 1.0)), "E-BFMI"),
    "the energy is NaN": (lambda: with_statistic("energy", put((0, 0), np.nan)), "E-BFMI"),
    "trees hit their limit": (
        lambda: with_statistic("maxdepth_reached", put((slice(None), slice(15)), True)),
        "tree depth",
    ),
    "draws creep": (lambda: with_draws(random_walk), "bulk ESS"),
    "chains disagree in the mean": (lambda: with_draws(add(3, 0.5)), "R-hat"),
    "chains disagree in the spread": (
        lambda: with_draws(lambda v: v * [[3], [1], [1], [1]]),
        "R-hat",
    ),
    "no statistics of the sampler": (without_statistics, "divergences"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_posterior_is_refused_by_the_check_that_names_its_fault(fault: str) -> None:
    build, check = BAD[fault]
    diagnosis = diagnose(build(), LIMITS)
    failed = {row["check"]: row for row in diagnosis.table if not row["passed"]}
    assert check in failed
    assert failed[check]["sentence"].startswith(f"{check}: ")
    assert ";" in failed[check]["sentence"], "the sentence must say what to do"
    with pytest.raises(GateError, match=check):
        diagnosis.raise_if_failed()
    json.dumps(diagnosis.table, allow_nan=False)
    json.dumps(diagnosis.scalars, allow_nan=False)


def test_a_good_posterior_passes_every_check() -> None:
    diagnosis = diagnose(good(), LIMITS)
    assert diagnosis.failures == ()
    assert diagnosis.passed
    diagnosis.raise_if_failed()
    assert {row["check"] for row in diagnosis.table} >= {
        *("chains", "draws", "finite draws", "constants", "no frozen chain", "no stuck chain"),
        *("no copied chain", "R-hat", "bulk ESS", "tail ESS", "MCSE / SD", "divergences"),
        *("tree depth", "E-BFMI"),
    }
    names = [row["name"] for row in diagnosis.scalars]
    assert names == ["mu", "rate[founder]", "rate[stars]", "start"]
    assert diagnosis.scalars[3]["constant"]
    assert diagnosis.scalars[3]["rhat"] is None


def test_the_shipped_limits_are_those_of_these_tests() -> None:
    from valuation.params import load_gate

    shipped = load_gate(ROOT / "params" / "gate.yaml")
    assert {name: getattr(shipped, name) for name in vars(LIMITS)} == vars(LIMITS)


def test_pymc_spelling_of_the_tree_depth_statistic_is_read_too() -> None:
    drawn, stats = draws_of()
    stats = stats.rename(depth="tree_depth", maxdepth_reached="reached_max_treedepth")
    assert diagnose(tree_of(drawn, stats, constant=["start"]), LIMITS).passed
    stats["reached_max_treedepth"][:] = True
    failures = diagnose(tree_of(drawn, stats, constant=["start"]), LIMITS).failures
    assert [sentence.split(":")[0] for sentence in failures] == ["tree depth"]


def test_one_scalar_of_a_vector_can_be_marked_constant() -> None:
    drawn, stats = draws_of()
    drawn["rate"][..., 0] = 1.0
    assert not diagnose(tree_of(drawn, stats, constant=["start"]), LIMITS).passed
    marked = tree_of(drawn, stats, constant=["start", "rate[founder]"])
    assert diagnose(marked, LIMITS).failures == ()


def test_an_empty_posterior_is_refused_with_words() -> None:
    drawn, stats = draws_of()
    for tree in (
        xr.DataTree(),
        tree_of(drawn[[]], stats),
        tree_of(drawn.isel(draw=slice(0)), stats),
    ):
        with pytest.raises(GateError, match="no draws; fit the model"):
            diagnose(tree, LIMITS).raise_if_failed()


def test_an_impossible_row_of_evidence_is_refused() -> None:
    drawn, stats = draws_of()
    drawn["log_likelihood"] = (("chain", "draw", "row"), np.full((4, 1000, 2), -np.inf))
    failures = diagnose(tree_of(drawn, stats, constant=["start"]), LIMITS).failures
    assert [sentence.split(":")[0] for sentence in failures] == ["finite log-likelihood"]


def test_an_override_needs_a_reason() -> None:
    diagnosis = diagnose(good(chains=1), LIMITS)
    with pytest.raises(GateError):
        diagnosis.raise_if_failed(override="  ")
    diagnosis.raise_if_failed(override="a demonstration of one chain")
    assert not diagnosis.passed


# Headline values ----------------------------------------------------------------------------------


def headline(values: Any, **options: Any) -> dict[str, bool]:
    """Verdicts of the checks of one headline on an otherwise good posterior."""
    diagnosis = diagnose(good(), LIMITS, {"npv": values}, **options)
    json.dumps(diagnosis.table, allow_nan=False)
    return {
        row["check"].removeprefix("npv: "): row["passed"]
        for row in diagnosis.table
        if row["check"].startswith("npv")
    }


def test_a_headline_without_a_finite_mean_is_refused() -> None:
    values = np.random.default_rng(5).standard_cauchy((4, 1000))
    assert headline(values) == {"R-hat": True, "ESS": True, "MCSE / SD": True, "Pareto k": False}


def test_a_lognormal_headline_with_sd_one_passes() -> None:
    values = np.exp(np.random.default_rng(5).normal(size=(4, 1000)))
    assert all(headline(values).values())
    assert all(headline(-values).values())


def test_a_headline_with_a_nan_or_an_infinity_is_refused() -> None:
    values = np.random.default_rng(5).normal(size=(4, 1000))
    for odd in (np.nan, np.inf):
        values[2, 3] = odd
        assert headline(values) == {"finite": False}


def test_a_headline_that_is_not_one_number_a_draw_is_refused() -> None:
    for odd in (np.zeros((4, 999)), np.zeros((2, 4, 500)), np.zeros(0), np.full((4, 1000), "1")):
        assert headline(odd) == {"draws": False}


def test_a_headline_whose_chains_disagree_is_refused() -> None:
    values = np.random.default_rng(5).normal(size=(4, 1000))
    values[0] += 1
    assert not headline(values)["R-hat"]
    assert not headline(random_walk(values))["ESS"]
    assert not headline(random_walk(values))["MCSE / SD"]


def test_a_headline_may_be_stacked_or_labelled() -> None:
    values = np.random.default_rng(5).normal(size=(4, 1000))
    labelled = xr.DataArray(values.T, dims=("draw", "chain"))
    shifted = values + np.array([[2], [0], [0], [0]])
    for same in (values, values.ravel(), labelled):
        assert all(headline(same).values())
    assert not headline(shifted.ravel())["R-hat"]


def test_an_event_is_judged_as_an_event() -> None:
    rng = np.random.default_rng(5)
    event = rng.random((4, 1000)) < 0.3
    assert headline(event) == {"R-hat": True, "ESS": True, "MCSE / SD": True}
    assert headline(event.astype(float)) == headline(event)
    rare = rng.random((4, 1000)) < 0.002
    assert all(headline(rare).values())
    event[0] |= rng.random(1000) < 0.5
    assert not headline(event)["R-hat"]


def test_an_event_that_never_or_always_happens_needs_leave() -> None:
    for always in (False, True):
        event = np.full((4, 1000), always)
        assert headline(event) == {"varies": False}
        assert headline(event, degenerate_ok=["npv"]) == {"varies": True}
        allowed = diagnose(good(), LIMITS, {"npv": event}, degenerate_ok=["npv"]).table[-1]
        assert ("above 99.92%" if always else "below 0.07%") in allowed["sentence"]


def test_leave_for_an_event_is_none_for_an_amount() -> None:
    assert headline(np.full((4, 1000), -14.3), degenerate_ok=["npv"]) == {"varies": False}


def test_a_headline_that_stops_at_a_floor_passes() -> None:
    """A written-off stake is worth nothing in many draws: an atom is no heavy tail."""
    values = np.random.default_rng(5).normal(size=(4, 1000))
    assert all(headline(np.maximum(values, 0.5)).values())
    assert all(headline(np.clip(values, -0.5, 0.5)).values())


def test_pareto_k_agrees_with_arviz() -> None:
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(8)
    for values in (
        rng.normal(size=(4, 500)),
        rng.standard_t(2, size=(4, 500)),
        rng.random((4, 500)),
    ):
        for efficiency in (1.0, 0.4):
            expected = array_stats.pareto_khat(values, r_eff=efficiency, tail="both")
            found = pareto_k(values, relative_efficiency=efficiency)
            assert found == pytest.approx(float(expected), abs=1e-9)


def test_pareto_k_of_too_little_or_unusable_is_nan() -> None:
    few = np.zeros(4000)
    few[:3] = [1.0, 2.0, 1e6]
    for values in (np.arange(10.0), np.full(4000, np.nan), few):
        assert np.isnan(pareto_k(values))


def test_the_checks_have_the_power_that_the_docstring_states() -> None:
    rng = np.random.default_rng(11)

    def refused(values: np.ndarray) -> bool:
        drawn, stats = draws_of()
        drawn["mu"] = (("chain", "draw"), values)
        return not diagnose(tree_of(drawn, stats, constant=["start"]), LIMITS).passed

    off = np.array([[1.0], [0], [0], [0]])
    n = 30
    assert sum(refused(rng.normal(size=(4, 1000)) + 0.4 * off) for _ in range(n)) >= n - 2
    assert sum(refused(rng.normal(size=(4, 1000)) + 0.2 * off) for _ in range(n)) <= 3
    tails = [pareto_k(rng.standard_cauchy(4000)) for _ in range(100)]
    assert np.mean(np.array(tails) > LIMITS.khat_max) >= 0.97
    tails = [pareto_k(np.exp(rng.normal(size=4000))) for _ in range(100)]
    assert np.mean(np.array(tails) > LIMITS.khat_max) <= 0.02
    tails = [pareto_k(rng.standard_t(2, 4000)) for _ in range(200)]
    assert np.mean(np.array(tails) > LIMITS.khat_max) <= 0.12


def test_a_hundred_and_fifty_scalars_are_judged() -> None:
    rng = np.random.default_rng(1)
    drawn, stats = draws_of()
    drawn["many"] = (("chain", "draw", "k"), rng.normal(size=(4, 1000, 150)))
    tree = tree_of(drawn, stats, constant=["start"])
    assert diagnose(tree, LIMITS).passed


# Storage ------------------------------------------------------------------------------------------


def stored(tmp_path: Path) -> tuple[Path, Path]:
    save(good(), tmp_path, "k")
    return tmp_path / "k.npz", tmp_path / "k.json"


def test_a_stored_tree_comes_back_exactly(tmp_path: Path) -> None:
    drawn, stats = draws_of()
    drawn["log_likelihood"] = (
        ("chain", "draw", "row"),
        np.random.default_rng(2).normal(size=(4, 1000, 2)),
    )
    drawn = drawn.assign_coords(row=["B041", "B041-2"])
    tree = tree_of(
        drawn,
        stats,
        constant=["start"],
        prior={"mu": np.random.default_rng(4).normal(size=50), "rate": np.ones((50, 2))},
        attrs={"as_of": "2026-02-28", "seed": 7, "note": "Größe, 49%"},
    )
    path = save(tree, tmp_path / "new" / "folder", "a1")
    back = load(path.parent, "a1")
    assert back is not None
    xr.testing.assert_identical(tree, back)
    assert list(back.children) == list(tree.children)
    assert back["posterior"]["mu"].dtype == np.float64
    assert back["sample_stats"]["diverging"].dtype == bool
    assert back["posterior"]["start"].attrs["constant"] == ["start"]
    assert back["prior"]["rate"].dims == ("chain", "draw", "cohort")
    assert list(back["log_likelihood"]["row"].values) == ["B041", "B041-2"]
    assert diagnose(back, LIMITS).scalars == diagnose(tree, LIMITS).scalars


def test_an_absent_artifact_is_none(tmp_path: Path) -> None:
    assert load(tmp_path, "k") is None
    assert load(tmp_path / "nowhere", "k") is None
    with pytest.raises(ArtifactError, match=r"k\.json: no such artifact; run `valuation report`"):
        read_draws(tmp_path, "k")


def test_the_same_tree_is_stored_as_the_same_bytes(tmp_path: Path) -> None:
    arrays, meta = stored(tmp_path)
    first = arrays.read_bytes(), meta.read_bytes()
    save(good(), tmp_path, "k")
    assert (arrays.read_bytes(), meta.read_bytes()) == first


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    for file in stored(tmp_path):
        content = file.read_bytes()
        for place in np.linspace(0, len(content) - 1, 12).astype(int):
            flipped = bytearray(content)
            flipped[place] ^= 4
            file.write_bytes(flipped)
            with pytest.raises(ArtifactError, match=rf"{file.name}: .*; delete .*run again"):
                load(tmp_path, "k")
        file.write_bytes(content)
    assert load(tmp_path, "k") is not None


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    for file in stored(tmp_path):
        content = file.read_bytes()
        for length in (0, 1, len(content) // 2, len(content) - 1):
            file.write_bytes(content[:length])
            with pytest.raises(ArtifactError, match=file.name):
                load(tmp_path, "k")
        file.write_bytes(content)


def test_missing_arrays_are_found(tmp_path: Path) -> None:
    arrays, _ = stored(tmp_path)
    arrays.unlink()
    with pytest.raises(ArtifactError, match=r"k\.npz: cannot be read"):
        load(tmp_path, "k")


def rewrite(meta: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the description and make its checksum fit, as a hand or another version would."""
    body = json.loads(meta.read_text())["body"]
    change(body)
    text = json.dumps(body, ensure_ascii=False)
    digest = hashlib.sha256(text.encode()).hexdigest()
    meta.write_text(json.dumps({"body": body, "sha256": digest}, ensure_ascii=False))


def test_another_schema_is_refused(tmp_path: Path) -> None:
    _, meta = stored(tmp_path)
    rewrite(meta, lambda body: body.update(schema=99))
    with pytest.raises(ArtifactError, match="has schema 99"):
        load(tmp_path, "k")


def test_arrays_that_are_not_as_described_are_refused(tmp_path: Path) -> None:
    _, meta = stored(tmp_path)
    rewrite(meta, lambda body: body["groups"]["posterior"]["variables"].pop("mu"))
    with pytest.raises(ArtifactError, match="holds other arrays than described"):
        load(tmp_path, "k")


def replace_arrays(arrays: Path, meta: Path, content: bytes) -> None:
    arrays.write_bytes(content)
    rewrite(meta, lambda b: b.update(array_sha256=hashlib.sha256(content).hexdigest()))


def test_draws_that_are_not_finite_are_refused_even_with_a_fitting_checksum(tmp_path: Path) -> None:
    arrays, meta = stored(tmp_path)
    with np.load(arrays, allow_pickle=False) as content:
        values = dict(content)
    values["posterior/mu"][0, 0] = np.nan
    np.savez(arrays, **values)
    replace_arrays(arrays, meta, arrays.read_bytes())
    with pytest.raises(ArtifactError, match="posterior/mu holds values that are not finite"):
        load(tmp_path, "k")


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    arrays, meta = stored(tmp_path)
    with np.load(arrays, allow_pickle=False) as content:
        values = dict(content)
    values["posterior/mu"] = np.array([print], dtype=object)
    np.savez(arrays, **values)
    replace_arrays(arrays, meta, arrays.read_bytes())
    with pytest.raises(ArtifactError, match="cannot be decoded"):
        load(tmp_path, "k")


def test_what_is_not_finite_or_not_a_number_is_not_stored(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="posterior/mu holds values that are not finite"):
        save(with_draws(put((0, 0), np.nan)), tmp_path, "k")
    tree = good()
    tree["posterior"]["word"] = ("cohort", np.array(["a", "b"]))
    with pytest.raises(ArtifactError, match="posterior/word has dtype"):
        save(tree, tmp_path, "k")
    odd = good()
    odd.attrs["made"] = object()
    with pytest.raises(ArtifactError, match="an attribute of the root cannot be stored"):
        save(odd, tmp_path, "k")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "../k", "/etc/k", "K", "k/k", ".k", "k" * 65, "k\n"])
def test_a_key_cannot_lead_out_of_its_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ArtifactError, match="does not name an artifact"):
        load(tmp_path, key)


def test_a_folder_that_cannot_be_written_is_said_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="VALUATION_CACHE"):
        save(good(), tmp_path / "file", "k")
    with pytest.raises(ArtifactError, match="VALUATION_CACHE"):
        load_or_fit(tmp_path / "file", "k", good)


KILLED = """
import os, sys
from test_posterior import good
from valuation.posterior import save, storage
step = int(sys.argv[2])
count = 0
real = os.replace
def replace(source, target):
    global count
    count += 1
    if count == step:
        os._exit(9)  # as a kill: nothing is cleaned up
    real(source, target)
storage.os.replace = replace
save(good(seed=2), sys.argv[1], "k")
os._exit(0 if step == 3 else 1)
"""


def python(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Another process with this interpreter, where the package and these tests can be imported."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("step", "code"), [(1, 9), (2, 9), (3, 0)])
def test_a_run_killed_while_writing_leaves_the_old_the_new_or_nothing(
    tmp_path: Path, step: int, code: int
) -> None:
    save(good(seed=1), tmp_path, "k")
    run = python(KILLED, str(tmp_path), str(step))
    _, errors = run.communicate(timeout=60)
    assert run.returncode == code, errors
    found = load(tmp_path, "k")
    if found is not None:
        expected = good(seed=2 if step == 3 else 1)
        xr.testing.assert_identical(found, expected)
    again = load_or_fit(tmp_path, "k", lambda: good(seed=2))
    xr.testing.assert_identical(again, good(seed=2))
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [
        "k.json",
        "k.npz",
    ]


def test_a_write_that_fails_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("valuation.posterior.storage.os.fsync", full)
    with pytest.raises(ArtifactError, match="No space left"):
        save(good(), tmp_path, "k")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(good(seed=1), tmp_path, "k")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("valuation.posterior.storage.os.fsync", full)
        with pytest.raises(ArtifactError, match="No space left"):
            save(good(seed=2), tmp_path, "k")
    found = load(tmp_path, "k")
    assert found is not None
    xr.testing.assert_identical(found, good(seed=1))


def test_a_cached_posterior_is_not_fitted_again(tmp_path: Path) -> None:
    calls = []

    def make() -> xr.DataTree:
        calls.append(1)
        return good()

    first = load_or_fit(tmp_path, "k", make)
    second = load_or_fit(tmp_path, "k", make)
    xr.testing.assert_identical(first, second)
    assert len(calls) == 1


def test_what_was_forgotten_is_fitted_again(tmp_path: Path) -> None:
    forget(tmp_path / "nowhere", "k")
    load_or_fit(tmp_path, "k", lambda: good(seed=1))
    forget(tmp_path, "other")
    assert load(tmp_path, "k") is not None
    forget(tmp_path, "k")
    assert load(tmp_path, "k") is None
    again = load_or_fit(tmp_path, "k", lambda: good(seed=2))
    xr.testing.assert_identical(again, good(seed=2))


def test_a_damaged_cache_is_said_in_one_sentence_and_fitted_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays, _ = stored(tmp_path)
    arrays.write_bytes(arrays.read_bytes()[:-100])
    tree = load_or_fit(tmp_path, "k", good)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "k.npz: does not match its checksum" in said.err
    assert said.err.endswith("fitting again\n")
    found = load(tmp_path, "k")
    assert found is not None
    xr.testing.assert_identical(tree, found)


def test_bad_draws_are_handed_to_the_gate_not_to_the_cache(tmp_path: Path) -> None:
    tree = load_or_fit(tmp_path, "k", lambda: with_draws(put((0, 0), np.nan)))
    assert not diagnose(tree, LIMITS).passed
    assert load(tmp_path, "k") is None


def test_a_fit_that_fails_releases_the_lock(tmp_path: Path) -> None:
    def broken() -> xr.DataTree:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        load_or_fit(tmp_path, "k", broken)
    assert load_or_fit(tmp_path, "k", good) is not None


FITS_ONCE = """
import sys, time
from pathlib import Path
from test_posterior import good
from valuation.posterior import load_or_fit
folder = Path(sys.argv[1])
def make():
    with open(folder / "fits.txt", "a") as file:
        file.write("fit\\n")
    time.sleep(3)
    return good()
print(float(load_or_fit(folder, "k", make)["posterior"]["mu"].sum()))
"""


def test_two_processes_that_want_one_posterior_fit_it_once(tmp_path: Path) -> None:
    runs = [python(FITS_ONCE, str(tmp_path)) for _ in range(2)]
    said = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert (tmp_path / "fits.txt").read_text() == "fit\n"
    assert said[0][0] == said[1][0] != ""


def test_draws_are_read_with_numpy_alone(tmp_path: Path) -> None:
    save(good(), tmp_path, "k")
    code = (
        "import sys; from valuation.posterior import read_draws; d = read_draws(sys.argv[1], 'k');"
        "print({n: v.shape for n, v in d.items()});"
        "heavy = {'xarray', 'pandas', 'scipy', 'pymc', 'arviz', 'arviz_stats', 'filelock'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out, errors = python(code, str(tmp_path)).communicate(timeout=60)
    assert out.splitlines() == ["{'mu': (4000,), 'rate': (4000, 2), 'start': (4000,)}", "[]"], (
        errors
    )
    draws = read_draws(tmp_path, "k")
    np.testing.assert_array_equal(draws["mu"], good()["posterior"]["mu"].values.ravel())
    with pytest.raises(ArtifactError, match="has no group 'prior'; it has posterior, sample_stats"):
        read_draws(tmp_path, "k", group="prior")


def test_loading_needs_neither_pymc_nor_arviz(tmp_path: Path) -> None:
    save(good(), tmp_path, "k")
    code = (
        "import sys; from valuation.posterior import load, load_or_fit;"
        "assert load(sys.argv[1], 'k') is not None and load_or_fit(sys.argv[1], 'k', None);"
        "print(sorted({'pymc', 'arviz', 'arviz_stats', 'nutpie', 'scipy'} & set(sys.modules)))"
    )
    out, errors = python(code, str(tmp_path)).communicate(timeout=60)
    assert out == "[]\n", errors


def test_no_source_of_the_package_pickles() -> None:
    for file in (ROOT / "valuation").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for word in (
            "import pickle",
            "import dill",
            "import joblib",
            "allow_pickle=True",
            "to_pickle",
        ):
            assert word not in text, f"{file} uses {word}"
        if "np.load(" in text:
            assert text.count("np.load(") == text.count("allow_pickle=False)"), file


# Names of artifacts -------------------------------------------------------------------------------


def test_a_key_depends_on_every_part_and_not_on_their_order() -> None:
    key = posterior.key_of({"ledger": "a", "seed": "1"})
    assert key == posterior.key_of({"seed": "1", "ledger": "a"})
    assert (
        len({key, posterior.key_of({"ledger": "a", "seed": "2"}), posterior.key_of({"a": "1"})})
        == 3
    )
    assert len(key) == 16
    assert int(key, 16) >= 0


def test_the_code_digest_sees_the_models_and_not_the_pages(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "churn.py").write_text("a = 1\n")
    (tmp_path / "schema.py").write_text("b = 1\n")
    (tmp_path / "plots.py").write_text("c = 1\n")
    digest = posterior.code_digest(tmp_path)
    (tmp_path / "plots.py").write_text("c = 2\n")
    (tmp_path / "schema.py").write_bytes(b"b = 1\r\n")
    assert posterior.code_digest(tmp_path) == digest
    (tmp_path / "models" / "churn.py").write_text("a = 2\n")
    assert posterior.code_digest(tmp_path) != digest
    assert posterior.code_digest() == posterior.code_digest(ROOT / "valuation")


def test_every_module_that_the_posterior_depends_on_exists() -> None:
    from valuation.posterior.sampling import SOURCES

    for name in SOURCES:
        module = ROOT / "valuation" / name
        assert module.is_dir() or module.with_suffix(".py").is_file(), name


def test_versions_are_read_without_importing() -> None:
    code = (
        "import sys; from valuation.posterior import versions; v = versions(); print(sorted(v));"
        "print(sorted({'pymc', 'nutpie', 'arviz', 'pytensor'} & set(sys.modules)))"
    )
    out, errors = python(code).communicate(timeout=60)
    names = ["arviz", "numba", "numpy", "nutpie", "pymc", "pytensor", "python", "valuation"]
    assert out.splitlines() == [str(names), "[]"], errors


# Sampling -----------------------------------------------------------------------------------------


def conjugate() -> Any:
    """Beta-binomial and normal-normal: both posteriors are known in closed form."""
    import pymc as pm

    with pm.Model(coords={"arm": ["a", "b"]}) as model:
        p = pm.Beta("p", 2, 3, dims="arm")
        mu = pm.Normal("mu", 1.0, 2.0)
        fixed = pm.Data("fixed", 3.0)
        pm.Deterministic("scale", fixed * 1.0)
        pm.Deterministic("odds", p / (1 - p), dims="arm")
        pm.Binomial("k", 10, p, observed=[3, 7], dims="arm")
        pm.Normal("y", mu, 1.5, observed=[2.0, 3.5, 2.5, 4.0])
        pm.Deterministic(
            "log_likelihood", pm.logp(pm.Binomial.dist(10, p), np.array([3, 7])), dims="arm"
        )
    return model


@pytest.fixture(scope="module")
def fitted() -> xr.DataTree:
    return posterior.fit(
        conjugate(),
        random_seed=20250612,
        prior={"mu": np.random.default_rng(1).normal(1, 2, 500)},
        attrs={"as_of": "2026-02-28"},
    )


def test_a_fit_of_conjugate_models_matches_the_closed_form(fitted: xr.DataTree) -> None:
    diagnosis = diagnose(fitted, LIMITS)
    assert diagnosis.failures == ()
    scalars = {row["name"]: row for row in diagnosis.scalars}
    precision = 1 / 2.0**2 + 4 / 1.5**2
    exact = {
        "p[a]": (5 / 15, np.sqrt(5 * 10 / (15**2 * 16))),
        "p[b]": (9 / 15, np.sqrt(9 * 6 / (15**2 * 16))),
        "mu": ((1.0 / 2.0**2 + 12.0 / 1.5**2) / precision, precision**-0.5),
    }
    for name, (mean, sd) in exact.items():
        found = scalars[name]
        assert abs(found["mean"] - mean) < 4 * found["mcse"], name
        assert found["sd"] == pytest.approx(sd, rel=0.1), name


def test_a_fit_has_the_groups_names_and_attributes_promised(fitted: xr.DataTree) -> None:
    assert list(fitted.children) == ["posterior", "sample_stats", "log_likelihood", "prior"]
    drawn = fitted["posterior"]
    assert set(drawn.data_vars) == {"p", "mu", "scale", "odds"}
    assert drawn["p"].dims == ("chain", "draw", "arm")
    assert list(drawn["arm"].values) == ["a", "b"]
    assert (drawn.sizes["chain"], drawn.sizes["draw"]) == (4, 1000)
    assert drawn["scale"].attrs["constant"] == ["scale"]
    assert fitted["log_likelihood"]["log_likelihood"].dims == ("chain", "draw", "arm")
    assert fitted["prior"]["mu"].dims == ("chain", "draw")
    assert {"diverging", "energy", "reached_max_treedepth"} <= set(fitted["sample_stats"].data_vars)
    assert fitted.attrs["as_of"] == "2026-02-28"
    assert fitted.attrs["seed"] == 20250612
    assert fitted.attrs["sampler"].startswith("nutpie ")
    assert set(json.loads(fitted.attrs["versions"])) >= {"python", "pymc", "nutpie"}
    assert fitted.attrs["digest_code"] == posterior.code_digest()


def digest(tree: xr.DataTree) -> str:
    parts = [tree["posterior"][name].values.tobytes() for name in ("p", "mu", "odds")]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_the_same_seed_gives_the_same_bits_whatever_the_cores(fitted: xr.DataTree) -> None:
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    again = posterior.fit(conjugate(), random_seed=20250612, cores=1)
    assert digest(again) == digest(fitted)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002
    other = posterior.fit(conjugate(), random_seed=20250613, cores=2)
    assert digest(other) != digest(fitted)


def test_a_fitted_tree_comes_back_exactly(fitted: xr.DataTree, tmp_path: Path) -> None:
    save(fitted, tmp_path, "fit")
    back = load(tmp_path, "fit")
    assert back is not None
    xr.testing.assert_identical(fitted, back)


FIT = """
from test_posterior import conjugate, digest
from valuation import posterior
print(digest(posterior.fit(conjugate(), random_seed=20250612)))
"""


@pytest.mark.slow
def test_a_cold_and_a_warm_compiler_cache_give_the_same_bits(
    fitted: xr.DataTree, tmp_path: Path
) -> None:
    flags = f"base_compiledir={tmp_path}"
    found = []
    for _ in range(2):  # the first compiles, the second reads what it left
        out, errors = python(FIT, PYTENSOR_FLAGS=flags, PYTHONHASHSEED="5").communicate(timeout=300)
        assert out, errors
        found.append(out.strip())
    assert found == [digest(fitted)] * 2


@pytest.mark.slow
def test_a_fit_shows_its_progress_on_stderr_only() -> None:
    code = FIT.replace("20250612", "20250612, draws=100, tune=100, progress=True")
    out, errors = python(code).communicate(timeout=300)
    assert len(out.split()) == 1, "stdout is for data"
    assert "Progress" in errors
