"""Penalties: names, formulas and sources. The arithmetic is in src_cpp/prox.hpp.

A penalty of the objective (1) is alpha [l1_ratio ||w||_1 + (1 - l1_ratio) / 2 ||w||_2^2]: the
kernels see two strengths a column, l1 = alpha l1_ratio and l2 = alpha (1 - l1_ratio), and the
names below are values of them. Features may have a factor of these strengths and bounds of their
own, eq. (65).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum._core import _registry

FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


def shrink(v: Array, tau: Array | float, l1: Array, l2: Array) -> Array:
    """prox_{tau h}(v) = soft(v, tau l1) / (1 + tau l2) of arrays, eq. (4)."""
    most = tau * l1
    out: Array = (v - np.clip(v, -most, most)) / (1.0 + tau * l2)
    return out


def row_norms(W: Array, C: int) -> Array:
    """||w_j||_2 over the C outputs of each problem: (d, K) -> (d, B)."""
    parts = W.astype(np.float64, copy=False).reshape(len(W), -1, C)
    out: Array = np.sqrt((parts**2).sum(axis=2))
    return out


def shrink_rows(v: Array, tau: Array | float, l1: Array, l2: Array, C: int) -> Array:
    """prox_{tau h}(v) of rows of C coefficients, eq. (77); tau, l1 and l2 are (K,)."""
    norms = np.repeat(row_norms(v, C), C, axis=1)
    kept = np.maximum(1.0 - tau * l1 / np.where(norms > 0, norms, np.inf), 0.0)
    out: Array = v * np.where(norms > 0, kept, 0.0) / (1.0 + tau * l2)
    return out


@dataclass(frozen=True)
class Own:
    """What the penalties of the features have of their own (docs/maths.md eq. 65).

    h_j(w) = factor_j (l1 |w| + l2 / 2 w^2) on lower_j <= w <= upper_j, infinite elsewhere.

    Attributes
    ----------
    factor, lower, upper : (d,) arrays
        factor >= 0, lower <= 0 <= upper.
    """

    factor: FloatArray
    lower: FloatArray
    upper: FloatArray

    @cached_property
    def bounded(self) -> bool:
        """Whether any bound is finite."""
        return bool((np.isfinite(self.lower) | np.isfinite(self.upper)).any())

    @cached_property
    def scaled(self) -> bool:
        """Whether any factor is not 1."""
        return bool((self.factor != 1).any())

    @cached_property
    def loose(self) -> npt.NDArray[np.bool_]:
        """Features without a penalty that some direction leads to infinity, (d,)."""
        free: npt.NDArray[np.bool_] = self.factor == 0
        return free & ~(np.isfinite(self.lower) & np.isfinite(self.upper))

    @cached_property
    def packed(self) -> FloatArray:
        """(d, 3): factor, lower and upper, as the kernels take them."""
        return np.column_stack([self.factor, self.lower, self.upper])

    def packed_as(self, dtype: np.dtype[Any]) -> Array:
        """The same in a dtype; bounds rounded towards 0 stay within what was given."""
        out: Array = self.packed.astype(dtype)
        for k in (1, 2):
            outside = np.abs(out[:, k].astype(np.float64)) > np.abs(self.packed[:, k])
            out[outside, k] = np.nextafter(out[outside, k], dtype.type(0))
        return out

    def take(self, columns: npt.NDArray[np.int64]) -> Own:
        """Those of some features."""
        return Own(self.factor[columns], self.lower[columns], self.upper[columns])

    def clip(self, W: Array) -> Array:
        """Coefficients (d, K) moved into the bounds, in their dtype."""
        if not self.bounded:
            return W
        _, lower, upper = self.packed_as(W.dtype).T
        out: Array = np.clip(W, lower[:, None], upper[:, None])
        return out

    def fingerprint(self) -> int:
        """Checksum: equal for equal factors and bounds."""
        return zlib.crc32(self.packed.tobytes())


@dataclass(frozen=True)
class Penalty:
    """h(w) = l1 ||w||_1 + l2 / 2 ||w||_2^2 of each problem (docs/maths.md eq. 4).

    Attributes
    ----------
    alpha, l1_ratio : (B,) arrays
        Strength >= 0 and share of the l1 norm in [0, 1], one of each a problem.
    own : Own or None
        Factors and bounds of the features; None where there are none.
    ridge : (B,) array or None
        Beside `own`: more of l2, that no factor scales. Methods that add a proximal term have it.
    rows : bool
        Whether the l1 norm is that of ||w_j||_2, the norms of rows over the outputs of a problem
        (docs/maths.md eq. 77); without `own`.
    """

    alpha: FloatArray
    l1_ratio: FloatArray
    own: Own | None = None
    ridge: FloatArray | None = None
    rows: bool = False

    name: ClassVar[str] = "penalty"
    formula: ClassVar[str] = ""

    @cached_property
    def l1(self) -> FloatArray:
        """alpha l1_ratio, (B,)."""
        return self.alpha * self.l1_ratio

    @cached_property
    def l2(self) -> FloatArray:
        """alpha (1 - l1_ratio), (B,)."""
        return self.alpha * (1.0 - self.l1_ratio)

    @cached_property
    def mu(self) -> FloatArray:
        """Strong convexity, l2 times the least factor, (B,)."""
        if self.own is None:
            return self.l2
        mu: FloatArray = self.l2 * (self.own.factor.min() if self.own.factor.size else 1.0)
        return mu if self.ridge is None else mu + self.ridge

    @property
    def bounded(self) -> bool:
        """Whether coefficients have bounds."""
        return self.own is not None and self.own.bounded

    def with_own(self, own: Own | None) -> Penalty:
        """The same strengths with other factors and bounds."""
        return replace(self, own=own)

    def value(self, w: float, problem: int = 0, feature: int = 0) -> float:
        """h(w) of one coefficient, +inf outside its bounds."""
        return self._point(0, w, problem, feature, 0.0)

    def conjugate(self, v: float, problem: int = 0, feature: int = 0) -> float:
        """h*(v) of one coefficient, +inf outside its domain."""
        return self._point(1, v, problem, feature, 0.0)

    def prox(self, v: float, step: float, problem: int = 0, feature: int = 0) -> float:
        """argmin_w step h(w) + (w - v)^2 / 2, eq. (4) and (66)."""
        return self._point(2, v, problem, feature, step)

    def _point(self, what: int, x: float, problem: int, feature: int, step: float) -> float:
        own = None if self.own is None else self.own.packed[feature]
        l1, l2 = self.l1[problem], self.l2[problem]
        return float(_registry.penalty_point(what, x, l1, l2, own, step))


class NoPenalty(Penalty):
    """h = 0 (alpha = 0): no certificate without strong convexity, see eq. (10)."""

    name = "none"
    formula = "0"


class L2(Penalty):
    """h(w) = alpha / 2 ||w||^2,  h*(v) = ||v||^2 / (2 alpha)  (Hoerl, Kennard 1970)."""

    name = "l2"
    formula = "alpha / 2 ||w||_2^2"


class L1(Penalty):
    """h(w) = alpha ||w||_1,  h* = indicator of ||v||_inf <= alpha  (Tibshirani 1996)."""

    name = "l1"
    formula = "alpha ||w||_1"


class ElasticNet(Penalty):
    """Both, h*(v) = ||soft(v, l1)||^2 / (2 l2)  (Zou, Hastie 2005)."""

    name = "elasticnet"
    formula = "alpha [l1_ratio ||w||_1 + (1 - l1_ratio) / 2 ||w||_2^2]"


PENALTIES: dict[str, type[Penalty]] = {p.name: p for p in (NoPenalty, L2, L1, ElasticNet)}


def make_own(
    penalty_factor: npt.ArrayLike | None,
    lower: npt.ArrayLike | None,
    upper: npt.ArrayLike | None,
    n_features: int,
    held: npt.NDArray[np.int64] | None = None,
) -> Own | None:
    """Factors and bounds of d features; None where they are 1, -inf and inf.

    Parameters
    ----------
    penalty_factor : (d,) array-like or None
        f_j >= 0, finite; None is 1.
    lower, upper : float, (d,) array-like or None
        lower <= 0 <= upper: the null model, w = 0, is what every fit starts from and what its
        tolerance is relative to. None is -inf and inf.
    n_features : int
        d.
    held : (d',) array, default=None
        The features that the rows hold, in their order; None: all of them.

    Raises
    ------
    ValueError
        If a value is out of its range or there are not d of them.
    """
    given = {"penalty_factor": penalty_factor, "lower": lower, "upper": upper}
    defaults = {"penalty_factor": 1.0, "lower": -np.inf, "upper": np.inf}
    arrays: dict[str, FloatArray] = {}
    for name, value in given.items():
        try:
            values = np.asarray(defaults[name] if value is None else value, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{name} must hold numbers, got {value!r}") from None
        scalar = values.ndim == 0 and (value is None or name != "penalty_factor")
        if not scalar and values.shape != (n_features,):
            raise ValueError(
                f"{name} has shape {values.shape} for {n_features} features; give one value each"
            )
        values = values if scalar or held is None else values[held]
        n = n_features if held is None else len(held)
        arrays[name] = np.ascontiguousarray(np.broadcast_to(values, n))
    factor, low, high = arrays.values()
    if not (np.isfinite(factor).all() and (factor >= 0).all()):
        raise ValueError("penalty_factor must be finite and >= 0")
    if not ((low <= 0).all() and (high >= 0).all()):  # not for NaN either
        raise ValueError(
            "lower must be <= 0 and upper >= 0: the null model, all coefficients 0, must be within "
            "the bounds, for accuracy is measured against it; shift the target instead"
        )
    own = Own(factor, low, high)
    return own if own.scaled or own.bounded else None


def make_penalty(alpha: npt.ArrayLike, l1_ratio: npt.ArrayLike, n_problems: int = 1) -> Penalty:
    """The penalty of B problems.

    Parameters
    ----------
    alpha : float or (B,) array, >= 0
    l1_ratio : float or (B,) array, in [0, 1]
    n_problems : int
        B.

    Raises
    ------
    ValueError
        If a strength is out of its range, not finite, or of the wrong length.
    """
    strengths = []
    for name, given, top in (("alpha", alpha, np.inf), ("l1_ratio", l1_ratio, 1.0)):
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"{name} must be a number or an array of them, got {given!r}"
            ) from None
        if values.ndim > 1 or values.size not in (1, n_problems):
            raise ValueError(f"{name} must be a number or have {n_problems} values, got {given!r}")
        if not (np.isfinite(values).all() and (values >= 0).all() and (values <= top).all()):
            interval = "[0, inf)" if top == np.inf else "[0, 1]"
            raise ValueError(f"{name} must be finite and in {interval}, got {given!r}")
        strengths.append(np.ascontiguousarray(np.broadcast_to(values.ravel(), n_problems)))
    alphas, ratios = strengths
    if (alphas == 0).all():
        kind: type[Penalty] = NoPenalty
    elif (ratios == 0).all():
        kind = L2
    elif (ratios == 1).all():
        kind = L1
    else:
        kind = ElasticNet
    return kind(alphas, ratios)
