"""One spelling of a formula for stored draws (NumPy) and for sampling (PyTensor).

A likelihood or a curve is written once against an :class:`Ops`. Arrays of parameters carry the draws
in front: with NumPy a scalar parameter has shape ``(draw,)`` and a vector ``(draw, n)``; with PyTensor
the same code sees ``()`` and ``(n,)``. Formulas therefore index from the right (``x[..., None]``) and
reduce over the last axis only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

Array = Any  # a NumPy array or a PyTensor variable: the point of this module


@dataclass(frozen=True)
class Ops:
    """The functions that a formula may use, bound to one array library."""

    name: str
    exp: Callable[..., Array]
    log: Callable[..., Array]
    expm1: Callable[..., Array]
    log1p: Callable[..., Array]
    maximum: Callable[..., Array]
    minimum: Callable[..., Array]
    where: Callable[..., Array]
    logaddexp: Callable[..., Array]
    gammaln: Callable[..., Array]
    sigmoid: Callable[..., Array]
    norm_cdf: Callable[..., Array]
    log_norm_cdf: Callable[..., Array]
    dot: Callable[..., Array]
    stack: Callable[..., Array]  # of arrays, along a new last axis
    concatenate: Callable[..., Array]  # of arrays, along the last axis
    unflatten: Callable[..., Array]  # the last axis into the given shape

    def log_sigmoid(self, x: Array) -> Array:
        """log(1/(1+exp(-x))) without overflow."""
        return -self.logaddexp(0.0, -x)


@cache
def numpy_ops() -> Ops:
    """The formulas' functions in NumPy and SciPy."""
    import numpy as np
    from scipy import special

    def sigmoid(x: Array) -> Array:
        small = np.exp(-np.abs(x))  # never overflows, and NumPy's exp is faster than SciPy's expit
        return np.where(np.asarray(x) >= 0.0, 1.0, small) / (1.0 + small)

    return Ops(
        name="numpy",
        exp=np.exp,
        log=np.log,
        expm1=np.expm1,
        log1p=np.log1p,
        maximum=np.maximum,
        minimum=np.minimum,
        where=np.where,
        logaddexp=np.logaddexp,
        gammaln=special.gammaln,
        sigmoid=sigmoid,
        norm_cdf=special.ndtr,
        log_norm_cdf=special.log_ndtr,
        dot=np.matmul,
        stack=lambda arrays: np.stack(np.broadcast_arrays(*arrays), axis=-1),
        concatenate=lambda arrays: np.concatenate(arrays, axis=-1),
        unflatten=lambda x, shape: np.reshape(x, (*np.shape(x)[:-1], *shape)),
    )


@cache
def pytensor_ops() -> Ops:
    """The same functions in PyTensor."""
    import numpy as np
    import pytensor.tensor as pt

    def log_norm_cdf(x: Array) -> Array:
        # erfc underflows far in the left tail; erfcx carries it (Abramowitz and Stegun 7.1).
        left = pt.log(0.5 * pt.erfcx(-pt.minimum(x, 0.0) / np.sqrt(2.0))) - 0.5 * pt.sqr(
            pt.minimum(x, 0.0)
        )
        right = pt.log1p(-0.5 * pt.erfc(pt.maximum(x, 0.0) / np.sqrt(2.0)))
        return pt.switch(x < 0.0, left, right)

    return Ops(
        name="pytensor",
        exp=pt.exp,
        log=pt.log,
        expm1=pt.expm1,
        log1p=pt.log1p,
        maximum=pt.maximum,
        minimum=pt.minimum,
        where=pt.switch,
        logaddexp=lambda a, b: pt.logaddexp(a, b),
        gammaln=pt.gammaln,
        sigmoid=pt.sigmoid,
        norm_cdf=lambda x: 0.5 * pt.erfc(-x / np.sqrt(2.0)),
        log_norm_cdf=log_norm_cdf,
        dot=pt.dot,
        stack=lambda arrays: pt.stack(arrays, axis=-1),
        concatenate=lambda arrays: pt.concatenate(arrays, axis=-1),
        unflatten=lambda x, shape: x.reshape(shape),
    )
