"""What a phase of `solver="auto"` is to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]
Weights = npt.NDArray[Any]


class Phase(ABC):
    """A map from a certified point to a better one.

    Attributes
    ----------
    margins : (n, K) array or None
        Those of the point last returned, where the phase knows them: its certificate takes half
        a pass less.
    """

    name: ClassVar[str]
    # Attributes that later rounds depend on: arrays, scalars or None. None instead of a tuple: what
    # they depend on cannot be written down, and a job makes the phase anew from time to time.
    remembers: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        self.problem, self.certifier, self.n_threads = problem, certifier, n_threads
        self.margins: FloatArray | None = None

    def use(self, problem: Problem) -> None:
        """Goes on with the same data under another penalty."""
        self.problem = problem

    def memory(self) -> dict[str, Any] | None:
        """What a checkpoint must hold of the phase, by name; None if that cannot be told."""
        if self.remembers is None:
            return None
        return {name: getattr(self, name) for name in self.remembers}

    def recall(self, memory: dict[str, Any]) -> None:
        """Takes over what `memory` told in another process."""
        for name in self.remembers or ():
            setattr(self, name, memory[name])

    @abstractmethod
    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """A new (d + 1, K) point from the one last certified, and the passes it cost.

        W is of the problem's dtype; the passes are an int in [1, budget]; target (B,) is the gap
        wanted.
        """

    def dual(self) -> tuple[FloatArray, FloatArray] | None:
        """A dual point (n, K) that suits the point last returned, just certified, or None.

        With it the gap (B,) that it leaves in the penalty, as `Certifier.with_dual` takes it.
        """
        return None

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:  # noqa: B027 (most only improve)
        """The last point was worse for the problems `worse` (B,), which are back at the one before.

        A safer step should be next.
        """
