"""One spelling of a formula must mean the same in NumPy and in PyTensor, also far out in the tails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from valuation.ops import Ops, numpy_ops, pytensor_ops

WIDE = np.array([-745.0, -40.0, -8.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 8.0, 40.0, 700.0])
POSITIVE = np.array([1e-300, 1e-9, 0.5, 1.0, 7.0, 1e9])

# function of Ops: the arguments it is tried on
UNARY: dict[str, np.ndarray] = {
    "exp": WIDE,
    "log": POSITIVE,
    "expm1": WIDE,
    "log1p": np.array([-0.999999, -1e-9, 0.0, 1e-9, 1.0, 1e9]),
    "gammaln": POSITIVE,
    "sigmoid": WIDE,
    "norm_cdf": np.array([-30.0, -8.0, -1.0, 0.0, 1.0, 8.0, 30.0]),
    "log_norm_cdf": np.array([-300.0, -37.0, -8.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 8.0, 30.0]),
}


def evaluate(formula: Callable[..., Any], *values: np.ndarray) -> np.ndarray:
    """A formula of :func:`pytensor_ops`, compiled and run."""
    import pytensor
    import pytensor.tensor as pt

    symbols = [pt.tensor(f"x{i}", dtype="float64", shape=v.shape) for i, v in enumerate(values)]
    result = formula(pytensor_ops(), *symbols)
    return np.asarray(pytensor.function(symbols, result, mode="FAST_COMPILE")(*values))


def both(formula: Callable[..., Any], *values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(formula(numpy_ops(), *values)), evaluate(formula, *values)


@pytest.mark.parametrize("name", sorted(UNARY))
def test_a_function_of_one_argument_is_the_same_in_both_libraries(name):
    ours, theirs = both(lambda ops, x: getattr(ops, name)(x), UNARY[name])
    assert theirs == pytest.approx(ours, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("name", ["maximum", "minimum", "logaddexp"])
def test_a_function_of_two_arguments_is_the_same_in_both_libraries(name):
    ours, theirs = both(lambda ops, x, y: getattr(ops, name)(x, y), WIDE, WIDE[::-1].copy())
    assert theirs == pytest.approx(ours, rel=1e-12, abs=1e-300)


def test_a_log_of_a_sum_takes_an_impossible_part():
    formula = lambda ops, x: ops.logaddexp(x, np.array([-np.inf, 0.0]))  # noqa: E731
    ours, theirs = both(formula, np.array([-3.0, -3.0]))
    assert ours == pytest.approx([-3.0, np.log1p(np.exp(-3.0))], rel=1e-12)
    assert theirs == pytest.approx(ours, rel=1e-12)


def test_choosing_products_stacks_and_joins_are_the_same_in_both_libraries():
    x, y = np.arange(6.0).reshape(2, 3), np.ones((2, 3))

    def formula(ops: Ops, a: Any, b: Any) -> Any:
        chosen = ops.where(a > 2.0, a, b)
        product = ops.dot(chosen, np.ones((3, 2)))
        return ops.concatenate([product, ops.stack([a[..., 0], b[..., 1]])])

    ours, theirs = both(formula, x, y)
    assert ours.shape == (2, 4)
    assert theirs == pytest.approx(ours, rel=1e-15)


def test_stacking_adds_a_last_axis_and_joins_scalars_with_vectors():
    assert numpy_ops().stack([np.zeros((5, 2)), np.ones((5, 2))]).shape == (5, 2, 2)
    assert numpy_ops().stack([np.float64(1.0), np.ones(5)]).shape == (5, 2)


def test_the_log_of_the_normal_distribution_function_is_scipys_in_both_tails():
    x = UNARY["log_norm_cdf"]
    for found in both(lambda ops, x: ops.log_norm_cdf(x), x):
        assert found == pytest.approx(stats.norm.logcdf(x), rel=1e-9)


def test_the_log_of_a_probability_does_not_overflow():
    for found in both(lambda ops, x: ops.log_sigmoid(x), WIDE):
        assert found == pytest.approx(special.log_expit(WIDE), rel=1e-10, abs=1e-15)
        assert np.isfinite(found).all()


def test_every_function_is_bound_in_both_libraries():
    for ops in (numpy_ops(), pytensor_ops()):
        assert [f.name for f in fields(Ops) if getattr(ops, f.name) is None] == []
    assert (numpy_ops().name, pytensor_ops().name) == ("numpy", "pytensor")


def test_gradients_of_the_tail_are_finite_where_sampling_may_start():
    import pytensor
    import pytensor.tensor as pt

    x = pt.dvector("x")
    slope = pytensor.function(
        [x], pytensor.grad(pytensor_ops().log_norm_cdf(x).sum(), x), mode="FAST_COMPILE"
    )
    at = np.array([-30.0, -5.0, -1e-9, 1e-9, 5.0, 30.0])
    exact = np.exp(stats.norm.logpdf(at) - stats.norm.logcdf(at))
    assert slope(at) == pytest.approx(exact, rel=1e-7, abs=1e-12)
