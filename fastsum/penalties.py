"""Penalties: names, formulas and sources. The arithmetic is in src_cpp/prox.hpp.

A penalty of the objective (1) is alpha [l1_ratio ||w||_1 + (1 - l1_ratio) / 2 ||w||_2^2]: the
kernels see two strengths a column, l1 = alpha l1_ratio and l2 = alpha (1 - l1_ratio), and the
names below are values of them.
"""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Penalty:
    """h(w) = l1 ||w||_1 + l2 / 2 ||w||_2^2 of each problem (docs/maths.md eq. 4).

    Attributes
    ----------
    alpha, l1_ratio : (B,) arrays
        Strength >= 0 and share of the l1 norm in [0, 1], one of each a problem.
    """

    alpha: FloatArray
    l1_ratio: FloatArray

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

    def value(self, w: float, problem: int = 0) -> float:
        """h(w) of one coefficient."""
        return self._point(0, w, problem, 0.0)

    def conjugate(self, v: float, problem: int = 0) -> float:
        """h*(v) of one coefficient, +inf outside its domain."""
        return self._point(1, v, problem, 0.0)

    def prox(self, v: float, step: float, problem: int = 0) -> float:
        """argmin_w step h(w) + (w - v)^2 / 2 = soft(v, step l1) / (1 + step l2)."""
        return self._point(2, v, problem, step)

    def _point(self, what: int, x: float, problem: int, step: float) -> float:
        return float(_registry.penalty_point(what, x, self.l1[problem], self.l2[problem], step))


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
