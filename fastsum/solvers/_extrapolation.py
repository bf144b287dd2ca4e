"""Nonlinear acceleration of the iterates of a linearly convergent method.

Late in a fit the error lies in a few slow directions, and equally spaced iterates x_0, ..., x_m
show what they converge to: with residuals r_k = x_{k+1} - x_k, the weights c that minimise
||sum_k c_k r_k||^2 + lambda ||c||^2 subject to sum c = 1 give the point sum_k c_k x_{k+1}
(Scieur, d'Aspremont, Bach, NIPS 2016, Algorithm 1; for SAGA and SVRG: Scieur, Bach, d'Aspremont,
NIPS 2017). The driver takes it only if its certificate is better, so nothing is risked but a read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.columns import Columns

DEPTH = 5  # m: residuals
REGULARISATION = 1e-14  # lambda relative to the norm of the residuals' Gram matrix


def extrapolate(history: npt.NDArray[Any], columns: Columns) -> npt.NDArray[Any]:
    """The extrapolated weights, one combination a problem.

    Parameters
    ----------
    history : (m + 1, d + 1, K) array
        Equally spaced iterates, oldest first.
    columns : Columns

    Returns
    -------
    (d + 1, K) array of the same dtype
    """
    m = len(history) - 1
    points = history.reshape(*history.shape[:2], columns.n_problems, columns.n_outputs)
    residuals = np.diff(points.astype(np.float64), axis=0)
    gram = np.einsum("kjbc,ljbc->bkl", residuals, residuals)
    size = np.trace(gram, axis1=1, axis2=2)[:, None, None]
    size = np.where(size > 0, size, 1.0)  # no movement: any combination is the same point
    z = np.linalg.solve(gram / size + REGULARISATION * np.eye(m), np.ones((len(gram), m, 1)))
    c = (z / z.sum(axis=1, keepdims=True))[:, :, 0]
    combined = np.einsum("bk,kjbc->jbc", c, points[1:].astype(np.float64))
    return np.ascontiguousarray(combined.reshape(history.shape[1:]), dtype=history.dtype)


def marks(last: int, check: int, cycle: int) -> list[int]:
    """Total pass numbers whose iterates are kept for the extrapolation at pass `check`.

    `last` is the check before; `cycle` passes are one round of the method. Empty if there is no
    room for DEPTH equal steps.
    """
    spacing = (check - last) // DEPTH // cycle * cycle
    if not spacing:
        return []
    return [check - k * spacing for k in range(DEPTH, -1, -1)]


def check_points(passes: int, every: int, growth: float) -> Iterator[tuple[int, int]]:
    """(previous check, check) for the checks that come after `passes`; the same for all fits."""
    last = 0
    while True:
        check = max(last + every, int(growth * last))
        if check > passes:
            yield last, check
        last = check
