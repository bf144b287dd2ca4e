"""What the PROMISE methods share: mini-batches in the metric of a sketched Hessian.

Problem   eq. (1) with an l2 penalty or none, outputs that no loss couples
Step      w <- w - eta P^-1 g, with g a variance-reduced gradient of b rows          eq. (37)
Metric    P = H_S + rho I, eq. (36), of m = sqrt(n) rows (50 at least) at the newest point: once a
          pass over the rows, and once a fit for the squared loss. Losses made of parabolas and
          straight pieces, which the paper leaves out, have the curvature L of their parabola
          everywhere: of few rows all may lie on straight pieces. Of rank 10 by Nystrom on dense
          rows, the whole H_S on sparse ones, whose sketch would be dense. rho = max(l2, 1e-3 mean
          ||x_i||^2), which is the paper's 1e-3 for rows of norm 1
Step size eta = 1 / (3 L_P), the smaller of the paper's two (small batches do not bear 1 / (2 (n l2
          + L_P))), L_P the largest eigenvalue of the Hessian of m other rows in that metric, by 10
          powers, and, for batches that are small beside m, 1 / b of that of their longest row
          alone: about the expected smoothness of a batch (Gazagnadou, Gower, Salmon, ICML 2019)
Cost      a pass is n gradients; the metric and L_P are counted as the gradients that are as much
          work, products of rows with vectors; O(d) a step, for P^-1 is dense
Source    Frangella, Rathore, Zhao, Udell, PROMISE, JMLR 25, 2024
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from fastsum._core import _kernels
from fastsum.data import Rows
from fastsum.problem import Problem
from fastsum.sampling import rng_state
from fastsum.solvers._method import PerSampleMethod, State, Weights
from fastsum.solvers.preconditioned._metric import (
    FloatArray,
    Metric,
    Nystrom,
    Subsampled,
    largest_eigenvalue,
)
from fastsum.threads import blas_threads

MOST_BATCH, LEAST_STEPS = 256, 8  # rows of a batch; steps that a pass has at least
RANK, POWERS = 10, 10
LEAST_SKETCHED = 50  # rows of H_S
RHO = 1e-3  # of mean ||x_i||^2
WIDE = 10_000  # columns from which sparse rows are much cheaper than what a step does


class Sketchy(PerSampleMethod):
    """State and bookkeeping of the three methods; see the head of the file."""

    vectors = ()
    tables = ()

    def __init__(self, problem: Problem, *, step_size: float | None, **options: Any):
        super().__init__(problem, step_size=step_size, **options)
        rows = problem.rows
        if rows.sparse and rows.n_cols > WIDE:
            warnings.warn(
                f"{self.name} works on all {rows.n_cols:,} columns at every step, whatever a row "
                "holds: on wide sparse data solver='auto' or 'saga' is faster",
                UserWarning,
                stacklevel=2,
            )
        n = self.sampler.n_active
        self._batch = max(1, min(MOST_BATCH, n // LEAST_STEPS))
        self._m = max(int(n**0.5), min(n, LEAST_SKETCHED))
        s = np.ones(rows.n_rows) if problem.sample_weight is None else problem.sample_weight
        self._share = s / problem.total_weight
        q = self.sampler.q_uniform if self.sampler.q is None else self.sampler.q
        self._correction = self._share * q
        self._c = float(np.sqrt(self.intercept_curvature))
        norms = rows.squared_norms(self.n_threads)
        scale = RHO * (float(self._share @ norms) + self.intercept_curvature)
        self._rho = np.maximum(problem.mu, scale if scale > 0 else 1.0)
        draw = np.random.Generator(np.random.PCG64(0))
        D = rows.n_cols + 1
        self._test = draw.standard_normal((D, min(RANK, D)))
        self._ridge = np.ones(D)  # of the l2 penalty, which leaves the intercept out
        if problem.penalty.own is not None:
            self._ridge[:-1] = problem.penalty.own.factor
        self._ridge[-1] = 0.0
        self._by_hand, self._factor = step_size, 1.0
        self._metrics: tuple[Any, list[Metric]] | None = None

    @staticmethod
    def missing(problem: Problem) -> str:
        """An l1 penalty, or outputs in one loss."""
        if problem.penalty.bounded:
            return "its coefficients have bounds, a prox that in a Hessian's metric has no formula"
        if problem.l1.any():
            return "its penalty has an l1 part, whose prox in a Hessian's metric has no formula"
        if problem.loss.coupled:
            return f"loss={problem.loss.name!r} couples outputs, sketched Hessians are of one"
        return ""

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Nothing sketched, derivatives and gradient at 0."""
        K, n, D = self.problem.K, self.problem.rows.n_rows, self.problem.rows.n_cols + 1
        return {
            "weights": W,
            "derivatives": np.zeros((n, K)),
            "gradient": np.zeros((D, K)),
            "sketched_at": np.zeros((D, K)),
            "sketched_rows": np.zeros(0, dtype=np.int64),
            "smoothness": np.ones(K),
            "ready": False,
            "ahead": 0,
            "credit": 0,
            "rng": rng_state(rng),
        }

    def advance(self, state: State, n_passes: int) -> None:
        """n_passes times n gradients; what does not move the point may be counted ahead."""
        state["credit"] += n_passes * self.sampler.n_active
        with blas_threads(1, np.inf):  # its products are too small for more
            self._spend(state)

    def _spend(self, state: State) -> None:
        """Steps and preparations while there are gradients left for them."""
        while state["credit"] > 0:
            if not state["ready"]:
                self._begin_pass(state)
                state["ready"] = True
                continue
            self.drawn(state)
            b = min(self._batch, state["ahead"])
            if state["credit"] < b:
                break
            starts = self.problem.rows.starts
            ids = np.concatenate([rows + starts[k] for k, rows in self.upcoming(state, b)])
            ids.sort()
            self._step(state, ids, self.problem.rows.take(ids))
            state["credit"] -= b
            state["ready"] = state["ahead"] > 0

    def slow_down(self, factor: float) -> None:
        """Shorter steps, and no runs of neighbouring rows."""
        super().slow_down(factor)
        self._factor = factor

    def relocate(
        self,
        state: State,
        derivatives: npt.NDArray[np.float64],
        gradient: npt.NDArray[np.float64],
        columns: npt.NDArray[np.bool_],
    ) -> None:
        """Derivatives and gradient of the new point."""
        state["derivatives"][:, columns] = derivatives[:, columns]
        full = self._full_gradient(derivatives)
        state["gradient"][:, columns] = full[:, columns]

    def _begin_pass(self, state: State) -> None:
        """What is done before the first row of a pass: the metric."""
        if state["sketched_rows"].size and self.problem.loss.piecewise_quadratic:
            return
        starts, m = self.problem.rows.starts, self._m
        order = np.concatenate([rows + starts[block] for block, rows in self.drawn(state)])
        apart = len(order) // m
        state["sketched_rows"] = order[::apart][:m]
        state["sketched_at"][...] = state["weights"]
        A = self._hessian_rows(state["sketched_at"], order[apart // 2 :: apart][:m])
        for k, metric in enumerate(self._metrics_of(state)):
            held, ridge = A(k), self.problem.l2[k] * self._ridge
            found = largest_eigenvalue(metric, held, ridge, self._test[:, 0], POWERS)
            longest = self._longest(held)
            found += float(longest @ metric.solve(longest)) * m / self._batch
            state["smoothness"][k] = found if found > 0 else 1.0
        kind = Subsampled if self.problem.rows.sparse else Nystrom
        state["credit"] -= kind.cost(m, self._test.shape[1]) + POWERS * m

    @staticmethod
    def _longest(A: Any) -> FloatArray:
        """The row of A of the largest norm."""
        if sp.issparse(A):
            at = int(np.argmax(np.asarray(A.multiply(A).sum(axis=1)).ravel()))
            return np.asarray(A[[at]].toarray()[0])
        return np.asarray(A[np.argmax((A**2).sum(axis=1))])

    def _metrics_of(self, state: State) -> list[Metric]:
        """The metric of each column, made again where a fit was resumed."""
        if self._metrics is None or self._metrics[0] is not state["sketched_rows"]:
            A = self._hessian_rows(state["sketched_at"], state["sketched_rows"])
            made: list[Metric] = []
            for k, rho in enumerate(self._rho.tolist()):
                if self.problem.rows.sparse:
                    made.append(Subsampled(A(k), rho))
                else:
                    made.append(Nystrom(A(k), rho, self._test))
            self._metrics = (state["sketched_rows"], made)
        return self._metrics[1]

    def _hessian_rows(self, W: FloatArray, ids: npt.NDArray[np.int64]) -> Any:
        """Function of k: A (m, d + 1) with A' A the mean Hessian of the rows `ids`."""
        ids, K, loss = np.sort(ids), self.problem.K, self.problem.loss
        part, curvature = self.problem.rows.take(ids), np.empty((len(ids), K, 1))
        if loss.piecewise_quadratic:
            curvature[...] = loss.curvature
        else:
            z = part.margins(W, 1, np.empty((len(ids), K)))
            _kernels.loss_curvature(self._task(ids), z, np.zeros(K), curvature, np.empty(K), 1)
        root = np.sqrt(curvature[:, :, 0] * (self._correction[ids] / len(ids))[:, None])
        X = part.matrix()

        def rows(k: int) -> Any:
            r, last = root[:, [k]], self._c * root[:, [k]]
            if sp.issparse(X):
                return sp.hstack([sp.diags_array(r[:, 0]) @ X, sp.csr_array(last)], format="csr")
            return np.hstack([r * X, last])

        return rows

    def _task(self, ids: npt.NDArray[np.int64]) -> _kernels.Task:
        """Loss, labels and offset of the rows `ids`, without weights."""
        problem, columns = self.problem, self.problem.columns
        return _kernels.Task(
            problem.loss.core_id,
            problem.loss.core_param,
            columns.n_problems,
            columns.n_outputs,
            columns.targets,
            np.ascontiguousarray(problem.y[ids]),
            None,
            None if problem.offset is None else np.ascontiguousarray(problem.offset[ids]),
        )

    def _slopes(self, ids: npt.NDArray[np.int64], batch: Rows, W: Weights) -> FloatArray:
        """l'(x_i' w + b) of the rows `ids`, (b, K)."""
        K = self.problem.K
        u = batch.margins(W, 1, np.empty((len(ids), K)))
        sums, work = np.zeros((1, 3 * K)), np.empty(3 * K)
        _kernels.loss_terms(self._task(ids), u, np.zeros(K), u, False, sums, work, 1)
        return u

    def _sum(self, batch: Rows, r: FloatArray, out: FloatArray) -> FloatArray:
        """out + sum_i r_i (x_i, c), (d + 1, K)."""
        g = np.empty_like(out)
        np.add(out[:-1], batch.transposed(r, 1), out=g[:-1])
        g[-1] = out[-1] + self._c * r.sum(axis=0)
        return g

    def _full_gradient(self, u: FloatArray) -> FloatArray:
        """(1/S) sum_i s_i u_i (x_i, c), (d + 1, K)."""
        gradient = self.average(u).astype(np.float64)
        gradient[-1] *= self._c
        return gradient

    def _snapshot(self, state: State, W: Weights) -> None:
        """Derivatives and gradient at W, a pass."""
        state["derivatives"][...] = self.derivatives(W)
        state["gradient"][...] = self._full_gradient(state["derivatives"])
        state["credit"] -= self.sampler.n_active

    def _step_sizes(self, state: State) -> FloatArray:
        """Eta of each column, (K,)."""
        if self._by_hand is not None:
            return np.full(self.problem.K, self._by_hand)
        return np.asarray(self._factor / (3 * state["smoothness"]))

    def _direction(self, state: State, W: Weights, g: FloatArray) -> FloatArray:
        """P^-1 (g + l2 w), (d + 1, K) in units of (w, b); g is used up."""
        g[:-1] += self.problem.l2_each * W[:-1]
        for k, metric in enumerate(self._metrics_of(state)):
            g[:, k] = metric.solve(g[:, k])
        g[-1] *= self._c
        return g

    @abstractmethod
    def _step(self, state: State, ids: npt.NDArray[np.int64], batch: Rows) -> None:
        """One step on the rows `ids`, ascending, and their copy `batch`."""
