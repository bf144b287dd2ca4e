"""Grids of penalties: given ones are checked, others made down from alpha_max."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_scalar

from fastsum.problem import FloatArray

ROUNDING = float(np.finfo(np.float64).resolution)  # alphas below it are none


def checked_grid(
    name: str,
    values: Any,
    *,
    zero: bool = True,
    top: float | None = None,
    infinite: bool = False,
) -> FloatArray:
    """The values of a parameter, a number or several, as an array (n_values,).

    Parameters
    ----------
    name : str
        Of the parameter, for the messages.
    values : float or array-like of shape (n_values,)
    zero : bool, default=True
        Whether 0 is allowed; less never is.
    top : float, default=None
        The largest value allowed.
    infinite : bool, default=False
        Whether infinity is allowed.
    """
    given = [values] if np.ndim(values) == 0 else list(values)
    if not given:
        raise ValueError(f"{name} is empty; give at least one value")
    bounds = "neither" if not zero else "left" if top is None else "both"
    for k, value in enumerate(given):
        label = f"{name}[{k}]" if len(given) > 1 else name
        check_scalar(value, label, Real, min_val=0.0, max_val=top, include_boundaries=bounds)
        if math.isnan(value) or (math.isinf(value) and not infinite):
            raise ValueError(
                f"{label} == {value}, must be {'a' if infinite else 'a finite'} number"
            )
    return np.asarray(given, dtype=np.float64)


def made_grid(tops: npt.ArrayLike, eps: float, n_values: int) -> FloatArray:
    """Geometric grids from each of the tops to eps times it, (n_tops, n_values).

    Where nothing but the intercept explains y, whose top is rounding, all values are `ROUNDING`.
    """
    top = np.atleast_1d(np.asarray(tops, dtype=np.float64))
    if top.min() <= ROUNDING:
        return np.full((len(top), n_values), ROUNDING)
    return np.ascontiguousarray(np.geomspace(top, top * eps, n_values).T)
