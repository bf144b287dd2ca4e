"""What a method is to the driver, and the part all per-sample methods share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels, _registry
from fastsum.penalties import shrink
from fastsum.problem import Problem
from fastsum.sampling import Order, Sampler, rng_from_state, rng_state

State = dict[str, Any]
Weights = npt.NDArray[Any]
_SOLVER_IDS = _registry.solver_registry()

# c^2 of eq. (15) in units of the mean squared row norm: a tenth keeps L within 10 % of what it is
# without an intercept and conditions b like the other coefficients.
INTERCEPT_SHARE = 0.1
SMALLEST = 1e-300  # a smoothness below is that of data without any size


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
    cycle: ClassVar[int] = 1  # passes of one round of the method; a pass is n sample gradients
    reaches: ClassVar[float] = 1e-10  # a relative gap that it reaches without a long wait
    takes_step: ClassVar[bool] = True  # whether step_size means something to it
    draws_rows: ClassVar[bool] = True  # whether sampling does
    own_weights: ClassVar[bool] = False  # whether problems side by side may have weights each
    options: ClassVar[Mapping[str, object]] = {}  # settings of its own and their defaults

    serves_rows: ClassVar[bool] = False  # whether its own steps serve a penalty of rows
    serves_device: ClassVar[bool] = False  # and rows on a device; neither is inherited

    @classmethod
    def lacking(cls, problem: Problem) -> str:
        """`missing`, and what every method that does not say otherwise lacks."""
        if problem.penalty.rows and not vars(cls).get("serves_rows", False):
            return "its penalty is of rows of coefficients (group='rows')"
        if problem.on_device and not vars(cls).get("serves_device", False):
            return "its steps are made by the CPU, and the rows lie on a CUDA device"
        return cls.missing(problem)

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

    Class attributes name what the kernel's header lists, in its order: state arrays `vectors`
    (d + 1, K) and `tables` (n, K) of the problem's dtype; and, float64, from the state or else
    from the method itself, `parameters` (K,), `sequences` of any shape and `per_row` (n,). A kernel
    with lazy updates has its clock in state["time"], the steps made, and state["visits"] (d,),
    int64.
    """

    kernel: ClassVar[str] = ""  # of solvers.def; "" is that of the method's own name

    vectors: ClassVar[tuple[str, ...]]
    tables: ClassVar[tuple[str, ...]]
    parameters: ClassVar[tuple[str, ...]] = ()
    sequences: ClassVar[tuple[str, ...]] = ()
    per_row: ClassVar[tuple[str, ...]] = ()
    step_share: ClassVar[float] = 1 / 3  # gamma max_i q_i L_i
    gradient: ClassVar[tuple[str, float]]  # the state array of the average gradient, and its sign
    tilt: Weights | None = None  # (d + 1, K), added to every average gradient
    threaded: ClassVar[bool] = False  # whether the kernel makes its steps by n_threads

    @staticmethod
    def missing(problem: Problem) -> str:
        """A finite curvature, which the step size of theory needs."""
        return "" if problem.loss.smooth else no_curvature(problem)

    def __init__(self, problem: Problem, *, sampling: str, step_size: float | None, n_threads: int):
        self.problem, self.n_threads = problem, n_threads
        rows, dtype = problem.rows, problem.dtype
        norms = rows.squared_norms(n_threads)
        s = problem.largest_weight
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
        self.theory = self.step_share / top if top > SMALLEST else 1.0
        self.gamma = self.theory if step_size is None else step_size
        most = float(np.finfo(dtype).max)  # float32 holds less than a strength may be
        self.step = np.full(problem.K, min(self.gamma, most), dtype=dtype)
        self.l1 = np.minimum(problem.l1, most).astype(dtype)
        self.l2 = np.minimum(problem.l2, most).astype(dtype)
        own = problem.penalty.own
        self.own = None if own is None else own.packed_as(dtype)
        self.row_l1 = self.row_l2 = None  # of a penalty of rows, beside which l1 and l2 are 0
        if problem.penalty.rows:
            self.row_l1, self.row_l2 = self.l1, self.l2
            self.l1, self.l2 = np.zeros_like(self.l1), np.zeros_like(self.l2)
        extra = problem.penalty.ridge
        self.ridge = np.zeros(problem.K, dtype=dtype)  # of all features, beside their own l2
        if extra is not None:
            self.ridge += np.repeat(extra, problem.columns.n_outputs).astype(dtype)
        self.mu = np.minimum(problem.mu, most).astype(dtype)  # strong convexity of the penalty
        self.density = self._density(dtype) if rows.sparse else None
        self._work = np.empty(10 * problem.K * (n_threads if self.threaded else 1))
        self._rng_mark: npt.NDArray[np.uint64] | None = None
        self._pass: tuple[Any, list[tuple[int, Order]], Any] | None = None

    def _density(self, dtype: np.dtype[Any]) -> Weights:
        """D_j = 1 / sum of p_i over the rows that hold column j, eq. (11); 0 for empty columns."""
        mass = self.problem.rows.column_mass(self.sampler.p)
        if self.sampler.p is None:
            mass /= self.sampler.n_active
        return np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0).astype(dtype)

    def take_out_mu(self) -> None:
        """Leaves what all features share of the l2 penalty to the method itself."""
        if self.own is None:
            self.l2[...] = 0.0
        else:
            self.ridge[...] -= self.mu

    def shrink(self, v: Weights, tau: npt.NDArray[Any]) -> Weights:
        """prox_{tau h}(v) of coefficients v (d, K), less what was taken out; tau (K,)."""
        return self.problem.within(shrink(v, tau, *self._strengths()))

    def best(self, v: Weights, rho: npt.NDArray[Any]) -> Weights:
        """argmin_w h(w) + rho / 2 w^2 - v w of v (d, K), rho (K,)."""
        l1, l2 = self._strengths()
        return self.problem.within(shrink(v, 1.0, l1, 0 * l2) / (l2 + rho))

    def _strengths(self) -> tuple[Weights, Weights]:
        """The l1 and l2 of each coefficient, less what was taken out: (d, K), or (K,)."""
        if self.own is None:
            return self.l1, self.l2
        factor = self.own[:, :1]
        return factor * self.l1, factor * self.l2 + self.ridge

    def slow_down(self, factor: float) -> None:
        """Shorter steps, and no runs of neighbouring rows."""
        self.step[...] = min(self.gamma * factor, float(np.finfo(self.step.dtype).max))
        self.sampler.block_rows = 1

    def sweep(self, state: State, n_passes: int) -> None:
        """Steps of the kernel along freshly drawn passes."""
        rng = self._rng_of(state)
        for block, order in self.sampler.draw(rng, n_passes):
            self._steps(state, block, order)
        state["rng"] = self._rng_mark = rng_state(rng)

    def drawn(self, state: State) -> list[tuple[int, Order]]:
        """The pass under way, for methods whose own passes or rounds end within one.

        state["ahead"] counts its rows that are still to be visited; until none is, state["rng"] is
        as before the draw, and a resumed fit draws the pass again.
        """
        if self._pass is None or self._pass[0] is not state["rng"]:
            rng = rng_from_state(state["rng"])
            self._pass = (state["rng"], self.sampler.draw(rng, 1), rng_state(rng))
        if state["ahead"] == 0:
            state["ahead"] = self.sampler.n_active
        return self._pass[1]

    def upcoming(self, state: State, n_rows: int) -> Iterator[tuple[int, Order]]:
        """The next n_rows rows to visit, by block."""
        n = self.sampler.n_active
        while n_rows > 0:
            parts = self.drawn(state)
            begin, first = n - state["ahead"], 0
            end = min(n, begin + n_rows)
            for block, order in parts:
                mine = order[max(0, begin - first) : max(0, end - first)]
                if mine.size:
                    yield block, mine
                first += len(order)
            n_rows -= end - begin
            state["ahead"] = n - end
            if end == n and self._pass is not None:
                state["rng"] = self._pass[2]

    def stretch(self, state: State, n_steps: int) -> None:
        """The next n_steps steps of the kernel."""
        for block, order in self.upcoming(state, n_steps):
            self._steps(state, block, order)

    def _steps(self, state: State, block: int, order: Order) -> None:
        """One step of the kernel for each of the rows `order` of a block."""
        problem, rows = self.problem, self.problem.rows
        _kernels.steps(
            _SOLVER_IDS[self.kernel or self.name.replace("-", "_")],
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
            self.own,
            self.ridge,
            self.row_l1,
            self.row_l2,
            tuple(state.get(name) for name in self.vectors),
            tuple(state.get(name) for name in self.tables),
            self._work,
            self._numbers(state, self.parameters),
            self._numbers(state, self.sequences),
            state.get("visits"),
            state.get("time", 0),
            self.n_threads if self.threaded else 1,
            self._numbers(state, self.per_row),
        )
        if "time" in state:
            state["time"] += len(order)

    def _numbers(self, state: State, names: tuple[str, ...]) -> tuple[Any, ...]:
        """Float64 arrays by name: the state's, or else this method's own."""
        return tuple(state[name] if name in state else getattr(self, name) for name in names)

    def _rng_of(self, state: State) -> np.random.Generator:
        """The generator of the state: the last sweep's if the state is as that left it."""
        if state["rng"] is not self._rng_mark:
            self._rng = rng_from_state(state["rng"])
        return self._rng

    def gradient_rows(
        self, derivatives: npt.NDArray[np.float64], gradient: npt.NDArray[np.float64]
    ) -> Weights:
        """The gradient (d, K) with the intercept's, (1/S) sum_i s_i u_i, as its last row."""
        last = self.problem.weighted_sum(derivatives) / self.problem.total_weight
        rows: Weights = np.vstack([gradient, last]).astype(self.problem.dtype)
        return rows if self.tilt is None else rows + self.tilt

    def tilt_by(self, state: State, change: Weights) -> None:
        """Adds the gradient `change` of a linear function to that of the loss."""
        name, sign = self.gradient
        state[name] += sign * change
        if self.tilt is not None:
            self.tilt += change

    def new_vector(self) -> Weights:
        """A (d + 1, K) state array of zeros."""
        return np.zeros((self.problem.rows.n_cols + 1, self.problem.K), dtype=self.problem.dtype)

    def derivatives(self, W: Weights) -> npt.NDArray[np.float64]:
        """l'(x_i' w + b) of all rows, (n, K)."""
        problem, K, columns = self.problem, self.problem.K, self.problem.columns
        u = np.empty((problem.rows.n_rows, K))
        problem.rows.margins(W, self.n_threads, u)
        _kernels.loss_terms(
            problem.task,
            u,
            np.zeros(K),
            u,
            False,
            np.zeros((self.n_threads, columns.n_problems + K * (1 + columns.n_outputs))),
            np.empty(self.n_threads * (2 * K + columns.n_outputs**2)),
            self.n_threads,
        )
        return u

    def average(self, derivatives: npt.NDArray[Any]) -> Weights:
        """(1/S) sum_i s_i u_i (x_i, 1) for derivatives u (n, K): (d + 1, K)."""
        problem = self.problem
        u = np.ascontiguousarray(derivatives, dtype=np.float64)
        s = problem.weight_columns
        r = u if s is None else u * s
        gradient = problem.rows.transposed(r, self.n_threads) / problem.total_weight
        return self.gradient_rows(u, gradient)


def no_curvature(problem: Problem) -> str:
    """Says that the loss lacks the finite curvature that step sizes are made of."""
    return f"loss={problem.loss.name!r} has no finite curvature, and its steps are made of that"
