"""What m steps of a column that no row touches multiply; used in src_cpp/solvers/katyusha.hpp."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SHORT = 256  # stretches that are tabulated one by one; longer ones by multiples of it
FloatArray = npt.NDArray[np.float64]


class Lags:
    """The sums of eq. (43) for up to n_steps steps of K columns.

    Parameters
    ----------
    rate : (K,) array
        alpha l2: z is divided by 1 + rate at each step.
    n_steps : int
    """

    def __init__(self, rate: FloatArray, n_steps: int):
        self._steps = np.concatenate([np.arange(SHORT), np.arange(0, n_steps + SHORT, SHORT)])
        m, log = self._steps[:, None].astype(np.float64), np.log1p(rate)
        self._power = np.exp(-m * log)
        part = 1.0 - 1.0 / (1.0 + rate)
        self._sum = np.divide(-np.expm1(-m * log), part, out=m + 0 * rate, where=part > 0)
        self._sums = self._sums_of_sums()

    def _sums_of_sums(self) -> FloatArray:
        """E_m = sum_{i < m} (i + 1) r^i, from sums of positive terms alone."""
        out = np.zeros_like(self._power)
        terms = np.arange(1, SHORT + 1)[:, None] * self._power[:SHORT]
        short = np.cumsum(terms, axis=0)
        out[1:SHORT] = short[:-1]
        if len(out) > SHORT + 1:  # E_{m + k} = r^k E_m + E_k + A_m k r^k
            power, total = self._power[SHORT + 1], short[-1]
            for row in range(SHORT + 1, len(out)):
                before = self._sum[row - 1] * SHORT * power
                out[row] = power * out[row - 1] + total + before
        return out

    def table(self, rho: FloatArray) -> FloatArray:
        """(SHORT + n_steps / SHORT + 1, 4, K) for the share rho (K,) of y in x."""
        rows = (self._power, self._sum, self._sums, rho ** self._steps[:, None].astype(np.float64))
        return np.ascontiguousarray(np.stack(rows, axis=1))
