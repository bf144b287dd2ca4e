"""Just-in-time updates of columns; the steps are in src_cpp/solvers/lazy.hpp."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.problem import Problem
from fastsum.solvers._method import PerSampleMethod, State

SHORT = 256  # stretches that are tabulated one by one; longer ones by multiples of it
LARGEST = 1e300


class LazySteps(PerSampleMethod):
    """Methods that move every column at every step, at a slope that is constant between visits.

    On sparse rows a kernel makes the steps of a column when it meets a row that holds it, and
    leaves all columns up to date: a sweep makes n steps at most, as far as `decay` is tabulated.
    """

    sequences: ClassVar[tuple[str, ...]] = ("decay",)

    def __init__(self, problem: Problem, **options: Any):
        super().__init__(problem, **options)
        self._tabulate()

    def slow_down(self, factor: float) -> None:
        """Shorter steps, and their powers."""
        super().slow_down(factor)
        self._tabulate()

    def clock(self) -> State:
        """The part of a fresh state that lazy updates keep."""
        if not self.problem.rows.sparse:
            return {}
        return {"time": 0, "visits": np.zeros(self.problem.rows.n_cols, dtype=np.int64)}

    def _tabulate(self) -> None:
        """P_m and S_m of eq. (31), (256 + n / 256 + 1, K, 2)."""
        self.decay: npt.NDArray[np.float64] | None = None
        if not self.problem.rows.sparse:
            return
        long = np.arange(0, self.sampler.n_active + SHORT, SHORT)
        m = np.concatenate([np.arange(SHORT), long])[:, None].astype(np.float64)
        rate = np.minimum(self.step.astype(np.float64) * self.l2, LARGEST)
        shrunk = -m * np.log1p(rate)
        total = np.divide(-np.expm1(shrunk), rate, out=m + 0 * rate, where=rate > 0)
        self.decay = np.stack([np.exp(shrunk), total], axis=2)
