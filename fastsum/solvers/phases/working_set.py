"""Working sets for l1 and elastic net problems whose outputs are not coupled.

The working set S of a problem holds its support and the columns that violate |gradient_j| <= l1 the
most; it doubles until no violator is left outside. On it the quadratic model of the loss at w,

    min over x    g' x + (x - w)' H (x - w) / 2 + l1 ||x||_1 + l2 / 2 ||x||^2,
    H = (1/S) A' diag(s l''(z)) A,  A = X_S centred by what a free intercept takes,

is minimised by `_quadratic.py`: once for the squared loss, whose H is exact, kept and grown by the
new columns only; several times with a line search for the others (prox-Newton; Yuan, Ho, Lin 2012).
Columns that cannot be in the support of a minimiser are dropped for good, by the gap-safe sphere test
(Ndiaye, Fercoq, Gramfort, Salmon 2017): c |v_j| + N_j sqrt(2 L gap) < l1, where N_j is the weighted
deviation of column j.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.certificate import EPS, Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._quadratic import minimise_on_columns, minimise_on_gram
from fastsum.solvers.phases._submatrix import Submatrix

Ids = npt.NDArray[np.int64]
LEAST = 128  # columns of a first working set
SHARE = 0.2  # of the current gap: the accuracy of a subproblem
GRAM_BYTES = 1 << 26  # a Gram matrix may take this or as much as X
NEWTON_STEPS = 10
SWEEPS = 60  # of coordinate descent on columns, one model
FLAT = 1e-3  # of the largest curvature: least curvature of a row with a slope
HALVINGS = 30


@dataclass
class _State:
    """What a problem keeps from one call to the next."""

    ids: Ids = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    alive: Ids | None = None  # columns not proven zero; None for all
    columns: Submatrix | None = None  # those of ids
    screened: float = np.inf  # gap of the last screening


class WorkingSet(Phase):
    """Growing working sets; see the module."""

    name = "working set"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self._states = [_State() for _ in range(problem.columns.n_problems)]
        self._tasks: dict[int, _kernels.Task] = {}
        self._deviation: FloatArray | None = None
        self._mean: FloatArray | None = None
        self._gram = _Gram()
        s = problem.sample_weight
        n, S = problem.rows.n_rows, problem.total_weight
        self._weight = np.full(n, 1.0 / S) if s is None else s / S

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether each problem has an l1 part and one output."""
        return problem.columns.n_outputs == 1 and bool((problem.penalty.l1 > 0).all())

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser on each open problem's working set, grown from the last gradient."""
        moved, cost = W.copy(), 0.0
        gradient = np.ascontiguousarray(self.certifier.gradient.T)
        for b, goal in enumerate(np.broadcast_to(target, certificate.gap.shape)):
            if certificate.gap[b] > goal or len(self._states) == 1:
                gap = float(certificate.own_gap[b])
                intercept = float(certificate.intercept[b])
                cost += self._improve_one(b, moved, gradient[b], gap, intercept, float(goal))
        return moved, max(1, min(budget, int(np.ceil(cost))))

    def _improve_one(
        self, b: int, W: Weights, gradient: FloatArray, gap: float, intercept: float, target: float
    ) -> float:
        """Moves column b of W to the minimiser on its working set; the passes that took."""
        state, l1 = self._states[b], float(self.problem.penalty.l1[b])
        score = np.abs(gradient)
        self._screen(state, score, b, gap)
        complete = self._grow(state, score, W[:-1, b], l1)
        accuracy = min(0.3 * target, SHARE * gap) if complete else SHARE * gap
        x = W[state.ids, b].astype(np.float64)
        if self.problem.loss.name == "squared" and self._fits(len(state.ids)):
            shift = self._squared(b, state, x, gradient[state.ids], accuracy)
            intercept += shift
        else:
            intercept = self._newton(b, state, x, intercept, accuracy)
        W[state.ids, b] = x
        W[-1, b] = intercept if self.problem.fit_intercept else 0.0
        return 1.0

    # ---- which columns

    def _grow(self, state: _State, score: FloatArray, w: npt.NDArray[Any], l1: float) -> bool:
        """Adds the support and the worst violators to the working set; whether none is left out."""
        support = np.flatnonzero(w)
        inside = np.zeros(len(w), dtype=bool)
        inside[state.ids] = True
        new = support[~inside[support]]
        inside[new] = True
        size = max(LEAST, 2 * len(support), len(state.ids) + len(new))
        if state.alive is None:
            candidates = np.flatnonzero(score > l1)
            out = candidates[~inside[candidates]]
        else:
            out = state.alive[~inside[state.alive]]
            if len(state.ids) + len(new) + len(out) > size:
                out = out[score[out] > l1]
        room = max(size - len(state.ids) - len(new), len(state.ids) // 4)
        complete = len(out) <= room
        if not complete:
            out = np.sort(out[np.argpartition(-score[out], room - 1)[:room]])
        if len(new) or len(out):
            state.ids = np.concatenate([state.ids, new, out])
            state.columns = None
        return complete

    def _screen(self, state: _State, score: FloatArray, b: int, gap: float) -> None:
        """Drops columns that are zero in every minimiser."""
        if not (np.isfinite(gap) and gap < 0.25 * state.screened):
            return
        state.screened = gap
        problem = self.problem
        l1, l2 = float(problem.penalty.l1[b]), float(problem.penalty.l2[b])
        top = float(score.max(initial=0.0))
        c = min(1.0, l1 / top) if l2 == 0 and top > 0 else 1.0
        if self._deviation is None:
            self._measure_columns()
        assert self._deviation is not None and self._mean is not None
        slope = abs(float(self._weight @ self.certifier.derivatives[:, b]))
        radius = np.sqrt(2.0 * problem.loss.curvature * gap)
        alive = slice(None) if state.alive is None else state.alive
        bound = c * score[alive] + (radius * (1 + 1e-9)) * self._deviation[alive]
        if problem.fit_intercept and slope > 0:
            bound += slope * np.abs(self._mean[alive])
        kept = np.flatnonzero(bound >= l1 * (1 - 1e-9))
        if len(kept) < 0.5 * len(bound):
            state.alive = kept if state.alive is None else state.alive[kept]

    def _measure_columns(self) -> None:
        """Weighted means and deviations of the columns; plain norms without an intercept."""
        rows, weight = self.problem.rows, self._weight[:, None]
        squares = rows.weighted_squares(weight, self.n_threads)[:, 0]
        if self.problem.fit_intercept:
            self._mean = rows.transposed(weight, self.n_threads)[:, 0]
            # the rounding of both sums stays inside the norm
            squares -= self._mean**2 * (1 - 1e-9)
            np.maximum(squares, 0.0, out=squares)
        else:
            self._mean = np.zeros(rows.n_cols)
        self._deviation = np.sqrt(squares, out=squares)

    def _fits(self, p: int) -> bool:
        rows = self.problem.rows
        held = rows.nnz * (4 if rows.storage == "ones" else rows.dtype.itemsize)
        return 8 * p * p <= max(GRAM_BYTES, held)

    # ---- the squared loss

    def _squared(
        self, b: int, state: _State, x: FloatArray, q: FloatArray, accuracy: float
    ) -> float:
        """Moves x to the minimiser on the working set; the change of the intercept."""
        penalty, u = self.problem.penalty, self.certifier.derivatives[:, b]
        self._gram.grow(self.problem, state.ids, self._weight, self.n_threads)
        H, mean = self._gram.of(state.ids)
        start = x.copy()
        size = float(self._weight @ (u * u))
        minimise_on_gram(H, q, x, float(penalty.l1[b]), float(penalty.l2[b]), size, accuracy)
        return float(mean @ (start - x))

    # ---- other losses

    def _task(self, b: int) -> _kernels.Task:
        """Loss, labels and weights of one problem."""
        if b not in self._tasks:
            problem, y = self.problem, self.problem.y
            if problem.columns.targets == "one_vs_rest":
                y = np.where(y == b, 1.0, -1.0)
            elif problem.columns.targets == "multi":
                y = np.ascontiguousarray(y[:, b])
            s = problem.sample_weight
            self._tasks[b] = _kernels.Task(
                problem.loss.core_id, problem.loss.core_param, 1, 1, "shared", y, s)
        return self._tasks[b]

    def _newton(
        self, b: int, state: _State, x: FloatArray, intercept: float, accuracy: float
    ) -> float:
        """Moves x by prox-Newton steps on the working set; the intercept."""
        if state.columns is None:
            state.columns = Submatrix(self.problem.rows, state.ids, self.n_threads)
        A, model = state.columns, _Local(self, b, state.columns)
        z = A.margins(x, intercept)
        value = model.evaluate(z, x)
        for _ in range(NEWTON_STEPS):
            x_new, intercept_step = model.step(z, x, 0.3 * accuracy)
            delta = x_new - x
            if not delta.any() and intercept_step == 0:
                break
            z_step = A.margins(delta, intercept_step)
            predicted = model.predicted(x, x_new, z_step)
            if predicted >= 0:
                break
            length = 1.0
            for _ in range(HALVINGS):
                trial = x + length * delta if length < 1 else x_new
                z_new = z + length * z_step
                new_value = model.evaluate(z_new, trial)
                if new_value <= value + 1e-4 * length * predicted + 4 * EPS * abs(value):
                    break
                length *= 0.5
            else:
                break
            x[...], z, value = trial, z_new, new_value
            intercept += length * intercept_step
            if -predicted <= accuracy and length == 1.0:
                break
        return intercept


class _Gram:
    """(1/S) A' diag(s) A, centred, of all columns that a working set has held."""

    def __init__(self) -> None:
        self.ids: Ids = np.empty(0, dtype=np.int64)
        self.H: FloatArray = np.empty((0, 0))
        self.mean: FloatArray = np.empty(0)

    def grow(self, problem: Problem, ids: Ids, weight: FloatArray, n_threads: int) -> None:
        """Adds the columns of `ids` that are not there yet."""
        if len(ids) == len(self.ids) and (ids == self.ids).all():
            return
        new = np.setdiff1d(ids, self.ids, assume_unique=True)
        if not len(new):
            return
        old = len(self.ids)
        self.ids = np.concatenate([self.ids, new])
        A = Submatrix(problem.rows, self.ids, n_threads)
        mean = A.transposed(weight) if problem.fit_intercept else None
        H = np.empty((len(self.ids), len(self.ids)))
        H[:old, :old] = self.H
        A.gram(weight, H, old, mean)
        self.H, self.mean = H, np.zeros(len(self.ids)) if mean is None else mean

    def of(self, ids: Ids) -> tuple[FloatArray, FloatArray]:
        """Gram matrix and means of `ids`, all held."""
        if len(ids) == len(self.ids) and (ids == self.ids).all():
            return self.H, self.mean
        order = np.argsort(self.ids)
        at = order[np.searchsorted(self.ids, ids, sorter=order)]
        return self.H[np.ix_(at, at)], self.mean[at]


class _Local:
    """The objective of one problem on a working set, and its quadratic models."""

    def __init__(self, phase: WorkingSet, b: int, A: Submatrix):
        problem = phase.problem
        self.A, self.weight, self.n_threads = A, phase._weight, phase.n_threads
        self.task, self.S = phase._task(b), problem.total_weight
        self.l1, self.l2 = float(problem.penalty.l1[b]), float(problem.penalty.l2[b])
        self.curvature, self.free = problem.loss.curvature, problem.fit_intercept
        self.stored = phase._fits(A.rows.n_cols)
        n = problem.rows.n_rows
        self.u = np.empty((n, 1))
        self.g = np.empty(0)
        self.slope = 0.0

    def evaluate(self, z: FloatArray, x: FloatArray) -> float:
        """F at margins z (n,) and coefficients x; keeps the derivatives."""
        sums = np.zeros((self.n_threads, 3))
        work = np.empty(self.n_threads * 3)
        _kernels.loss_terms(
            self.task, z, np.zeros(1), self.u, False, sums, work, self.n_threads
        )
        value, slope, _ = sums.sum(axis=0)
        self.slope = float(slope) / self.S if self.free else 0.0
        return float(value) / self.S + self._penalty(x)

    def _penalty(self, x: FloatArray) -> float:
        return float(self.l1 * np.abs(x).sum() + 0.5 * self.l2 * (x @ x))

    def step(self, z: FloatArray, x: FloatArray, accuracy: float) -> tuple[FloatArray, float]:
        """The minimiser of the model at margins z, and the step of the intercept."""
        u, h = self.u[:, 0], np.empty(len(z))
        work = np.empty(self.n_threads)
        _kernels.loss_curvature(self.task, z, np.zeros(1), h, work, self.n_threads)
        least = FLAT * self.curvature
        np.maximum(h, np.where(u != 0, least, 0.0), out=h)
        self.omega = omega = h * self.weight
        total = float(omega.sum())
        self.g = self.A.transposed(u * self.weight)
        size = float(self.weight @ np.divide(u * u, h, out=np.zeros_like(u), where=h > 0))
        mean, q = None, self.g.copy()
        if self.free and total > 0:
            mean = self.A.transposed(omega) / total
            q -= mean * self.slope
            size -= self.slope**2 / total
        x_new = x.copy()
        if self.stored:
            H = np.empty((len(x), len(x)))
            self.A.gram(omega, H, 0, mean)
            minimise_on_gram(H, q, x_new, self.l1, self.l2, size, accuracy)
        else:
            diagonal = self.A.squares(omega)
            if mean is not None:
                diagonal -= total * mean**2
            minimise_on_columns(
                self.A.by_columns, omega, mean, diagonal, q, x_new, self.l1, self.l2, size,
                accuracy, SWEEPS,
            )  # fmt: skip
        change = 0.0
        if mean is not None:
            change = float(-self.slope / total - mean @ (x_new - x))
        self.intercept_step = change
        return x_new, change

    def predicted(self, x: FloatArray, x_new: FloatArray, z_step: FloatArray) -> float:
        """What the model says F gains from x to x_new, negative."""
        linear = float(self.g @ (x_new - x)) + self.slope * self.intercept_step
        quadratic = 0.5 * float(self.omega @ (z_step * z_step))
        return linear + quadratic + self._penalty(x_new) - self._penalty(x)
