"""What a method is to the driver, and the part all per-sample methods share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels, _registry
from fastsum.problem import Problem
from fastsum.sampling import Sampler, rng_from_state, rng_state

State = dict[str, Any]
Weights = npt.NDArray[Any]
_SOLVER_IDS = _registry.solver_registry()

# c^2 of eq. (15) in units of the mean squared row norm: a tenth keeps L within 10 % of what it is
# without an intercept and conditions b like the other coefficients.
INTERCEPT_SHARE = 0.1
SMALLEST = 1e-300  # a smoothness below is that of data without any size
# Tables of this many bytes are allocated without a look at the free memory.
SMALL_TABLE = 1 << 24


class Method(ABC):
    """One method of solving a problem; `solvers/__init__.py` holds the registry.

    The state is a flat dict of named arrays, scalars and RNG state and always holds "weights",
    the current (d + 1, K) iterate with the intercept in its last row.

    Parameters
    ----------
    problem : Problem
    sampling : str
        A kind of `fastsum.sampling`.
    step_size : float or None
        None takes the step of theory.
    n_threads : int
    """

    name: ClassVar[str]
    cycle: ClassVar[int] = 1  # passes of one round of the method

    @abstractmethod
    def __init__(
        self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int
    ): ...

    @staticmethod
    def missing(problem: Problem) -> str:
        """What the problem lacks for this method, or an empty string."""
        return ""

    def dual(self, state: State) -> npt.NDArray[np.float64] | None:
        """A dual point (n, K) that suits the state better than the derivatives there, or None.

        For losses with kinks, where a derivative does not tell the slope that is optimal.
        """
        return None

    @abstractmethod
    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """A fresh state at weights W."""

    @abstractmethod
    def advance(self, state: State, n_passes: int) -> None:
        """Makes n_passes passes over the data."""

    @abstractmethod
    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Takes over derivatives u (n, K) and the gradient (d, K) of the loss at new weights.

        The weights of `columns` (K,) have been moved to where these were computed.
        """

    def slow_down(self, factor: float) -> None:  # noqa: B027 (a method may have no step)
        """Takes steps of `factor` times the theory's, after those made the objective rise."""

    def refresh(self, state: State) -> None:  # noqa: B027 (most methods accumulate nothing)
        """Removes rounding error from accumulated quantities; called at certificates."""


class PerSampleMethod(Method):
    """Methods whose step reads one row: a sampler, a step size and a kernel of solvers.def.

    Class attributes `vectors` and `tables` name the state arrays in the order of the kernel's
    header: (d + 1, K) and (n, K).
    """

    vectors: ClassVar[tuple[str, ...]]
    tables: ClassVar[tuple[str, ...]]

    @staticmethod
    def missing(problem: Problem) -> str:
        """A finite curvature, which the step size of theory needs."""
        return "" if problem.loss.smooth else no_curvature(problem)

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        self.problem, self.n_threads = problem, n_threads
        rows, dtype = problem.rows, problem.dtype
        norms = rows.squared_norms(n_threads)
        s = problem.sample_weight
        self.intercept_curvature = 0.0
        if problem.fit_intercept:
            mean = float(np.average(norms, weights=s))
            self.intercept_curvature = INTERCEPT_SHARE * mean if mean > 0 else 1.0
        # L_i = s_i L_loss (||x_i||^2 + c^2), eq. (15)
        lipschitz = problem.loss.curvature * (norms + self.intercept_curvature)
        if s is not None:
            lipschitz = lipschitz * s
        self.sampler = Sampler(rows, s, lipschitz, sampling)
        # gamma = 1 / (3 max_i L_i / (S p_i)), eq. (15)
        top = self.sampler.inverse_probability(lipschitz).max() / problem.total_weight
        self.gamma = (
            step_size if step_size is not None else (1 / (3 * top) if top > SMALLEST else 1.0)
        )
        most = float(np.finfo(dtype).max)  # float32 holds less than a strength may be
        self.step = np.full(problem.K, min(self.gamma, most), dtype=dtype)
        self.l1 = np.minimum(problem.l1, most).astype(dtype)
        self.l2 = np.minimum(problem.l2, most).astype(dtype)
        self.density = self._density(dtype) if rows.sparse else None
        self._work = np.empty(5 * problem.K)
        self._rng_mark: npt.NDArray[np.uint64] | None = None

    def _density(self, dtype: np.dtype[Any]) -> Weights:
        """D_j = 1 / sum of p_i over the rows that hold column j, eq. (11); 0 for empty columns."""
        mass = self.problem.rows.column_mass(self.sampler.p)
        if self.sampler.p is None:
            mass /= self.sampler.n_active
        return np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0).astype(dtype)

    def slow_down(self, factor: float) -> None:
        """Shorter steps, and no runs of neighbouring rows."""
        self.step[...] = min(self.gamma * factor, float(np.finfo(self.step.dtype).max))
        self.sampler.block_rows = 1

    def sweep(self, state: State, n_passes: int) -> None:
        """Steps of the kernel along freshly drawn passes."""
        rng = self._rng_of(state)
        problem, rows = self.problem, self.problem.rows
        for block, order in self.sampler.draw(rng, n_passes):
            _kernels.steps(
                _SOLVER_IDS[self.name],
                rows.blocks[block],
                problem.task,
                rows.starts[block],
                order,
                problem.total_weight,
                self.sampler.q,
                self.sampler.q_uniform,
                self.density,
                None,
                self.intercept_curvature,
                self.step,
                self.l1,
                self.l2,
                tuple(state.get(name) for name in self.vectors),
                tuple(state.get(name) for name in self.tables),
                self._work,
            )
        state["rng"] = self._rng_mark = rng_state(rng)

    def _rng_of(self, state: State) -> np.random.Generator:
        """The generator of the state: the last sweep's if the state is as that left it."""
        if state["rng"] is not self._rng_mark:
            self._rng = rng_from_state(state["rng"])
        return self._rng

    def gradient_rows(
        self, derivatives: npt.NDArray[np.float64], gradient: npt.NDArray[np.float64]
    ) -> Weights:
        """The gradient (d, K) with the intercept's, (1/S) sum_i s_i u_i, as its last row."""
        s, S = self.problem.sample_weight, self.problem.total_weight
        last = derivatives.sum(axis=0) if s is None else s @ derivatives
        return np.vstack([gradient, last / S]).astype(self.problem.dtype)

    def new_vector(self) -> Weights:
        """A (d + 1, K) state array of zeros."""
        return np.zeros((self.problem.rows.n_cols + 1, self.problem.K), dtype=self.problem.dtype)

    def average(self, derivatives: npt.NDArray[Any]) -> Weights:
        """(1/S) sum_i s_i u_i (x_i, 1) for derivatives u (n, K): (d + 1, K)."""
        problem = self.problem
        u = np.ascontiguousarray(derivatives, dtype=np.float64)
        r = u if problem.sample_weight is None else u * problem.sample_weight[:, None]
        gradient = problem.rows.transposed(r, self.n_threads) / problem.total_weight
        return self.gradient_rows(u, gradient)


def no_curvature(problem: Problem) -> str:
    """Says that the loss lacks the finite curvature that step sizes are made of."""
    return f"loss={problem.loss.name!r} has no finite curvature, and its steps are made of that"


def table_bytes(problem: Problem) -> int:
    """Size of one stored scalar a row and column, n K."""
    return problem.rows.n_rows * problem.K * problem.dtype.itemsize


def fits(n_bytes: int, share: float) -> bool:
    """Whether n_bytes are less than a share of the free memory; a small table always fits."""
    return n_bytes <= SMALL_TABLE or n_bytes < share * available_memory()


def available_memory() -> float:
    """Bytes that can be used without swapping; inf where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * int(line.split()[1])
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))
    except (OSError, ValueError):
        return float("inf")
