"""How large the terms of a margin are before they cancel, from a few rows.

Where a column lies far from 0 its terms x_ij w_j and the intercept cancel: margins then have the
rounding of what cancelled, and an intercept can be far from where the loss alone would have it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum.data import Rows

FloatArray = npt.NDArray[np.float64]
ROWS = 8


class MarginSize:
    """|x_ij| of some rows, evenly spaced.

    Attributes
    ----------
    largest : float
        Of all |x_ij|.
    norm : float
        The largest norm of a row.
    """

    def __init__(self, rows: Rows):
        sample = abs(rows.every(max(1, rows.n_rows // ROWS)).matrix())
        self._columns: Any = slice(None, -1)
        if sp.issparse(sample):
            self._columns = np.unique(sample.indices)
            sample = sample[:, self._columns]
        self._sample: Any = sample
        self.largest = float(sample.max()) if sample.size else 0.0
        squares = sample.multiply(sample) if sp.issparse(sample) else sample * sample
        self.norm = float(np.sqrt(squares.sum(axis=1).max(initial=0.0)))

    def terms(self, W: npt.NDArray[Any]) -> FloatArray:
        """The largest sum_j |x_ij w_jk| of a row, (K,), for W (d + 1, K)."""
        w = np.abs(W[self._columns].astype(np.float64, copy=False))
        largest: FloatArray = np.asarray(self._sample @ w).max(axis=0, initial=0.0)
        return largest
