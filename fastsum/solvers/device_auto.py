"""solver="auto" for rows on a device: Newton steps on samples of the rows, then on all of them.

Where an l1 part or bounds meet coupled outputs or a Hessian that is too large, the registry takes
"fista".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certifier
from fastsum.prepare import Prepared, unprepared
from fastsum.problem import Problem
from fastsum.solvers.auto import Auto
from fastsum.solvers.phases._phase import FloatArray, Phase
from fastsum.solvers.phases.device_newton import (
    ProductNewton,
    ProductSamples,
    StoredNewton,
    StoredSamples,
)


class DeviceAuto(Auto):
    """Two phases."""

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int, seed: int):
        self.problem = problem
        stored = StoredNewton.serves(problem)
        newton, samples = (
            (StoredNewton, StoredSamples) if stored else (ProductNewton, ProductSamples)
        )
        self._newton: Phase = newton(problem, certifier, n_threads)
        self._first: Phase | None = None
        if samples.serves(problem):
            self._first = samples(problem, certifier, n_threads)

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether one of Newton's phases does."""
        return StoredNewton.serves(problem) or ProductNewton.serves(problem)

    @staticmethod
    def prepare(problem: Problem, n_threads: int, seed: int) -> Prepared:
        """The problem as it is."""
        return unprepared(problem)

    def use(self, problem: Problem) -> None:
        """Goes on under another penalty."""
        self.problem = problem
        self._newton.use(problem)
        self._first = None

    def next(self) -> Phase:
        """Samples once, then all rows."""
        first, self._first = self._first, None
        return first or self._newton

    def saw(
        self,
        phase: Phase,
        gain: float,
        value: float,
        worse: npt.NDArray[np.bool_],
        target: FloatArray,
    ) -> None:
        """Takes note of a round."""
        if worse.any():
            phase.failed(worse)

    def settle(self) -> bool:
        """No job runs on a device."""
        return False
