"""What makes a better point: local solves, then Newton steps of all workers together."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastsum.certificate import Certificate
from fastsum.distributed._certifier import MODEL, RemoteCertifier
from fastsum.distributed._communicator import Communicator
from fastsum.problem import Problem
from fastsum.solvers.phases._curvature import RaisedCurvature
from fastsum.solvers.phases._newton_step import HALVINGS
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._preconditioner import SMALLEST, BlockPreconditioner
from fastsum.solvers.phases.newton_cg import NewtonCG

EPOCHS = 6  # of a local solve
# Columns of the block of the preconditioner; its values, of all outputs, that each worker sends;
# and the share of the rows that it is made from where they are many.
MOST_BLOCK, MOST_VALUES, SHARE_OF_ROWS, ROWS_A_COLUMN = 2048, 1 << 22, 0.2, 4
MOST_STEPS = 100  # conjugate gradient steps: a solve that takes them all asks for a better block


class LocalSolves(Phase):
    """One DANE step a call: each worker solves its own corrected problem, and a weighted mean.

    Worker k, with the share a_k of S and the curvature H_kj of its own problem in column j, goes
    to w_k. The mean has the weights a_k H_kj: where Hessians are diagonal it is the Newton step
    (docs/maths.md eq. (84)). A worker without column j has H_kj = l2 and goes to -g_j / l2, which
    needs no message.
    """

    name = "local solves"

    def __init__(self, problem: Problem, certifier: RemoteCertifier, communicator: Communicator):
        super().__init__(problem, certifier, 1)
        self._communicator, self._epochs = communicator, EPOCHS

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The mean of the local solutions."""
        l2, g = float(self.problem.l2[0]), self.certifier.gradient
        self._communicator.broadcast({"gradient": g}, epochs=self._epochs)
        intercept, columns = self._communicator.allreduce("local_solve")
        assert columns is not None
        top, weight = columns.T
        absent = 1.0 - self._communicator.present
        moved = W.astype(np.float64)
        moved[:-1, 0] = (top - absent * g[:, 0]) / (weight + absent * l2)
        if intercept[1] > SMALLEST:
            moved[-1] = intercept[0] / intercept[1]
        return np.ascontiguousarray(moved, dtype=self.problem.dtype), 2 * self._epochs - 1


class RemoteCurvature(RaisedCurvature):
    """The same, with the curvature on the workers: what is handed about here is its radius."""

    def __init__(self, problem: Problem, certifier: RemoteCertifier):
        super().__init__(problem, certifier)
        self.radius = np.full_like(self._radius, np.inf)

    def __call__(self, certificate: Certificate) -> Any:
        """A new object for each curvature; `radius` is what rows are raised by."""
        if self.problem.loss.coupled:
            return object()
        F = certificate.objective
        gained = F < self._before
        if self.predicted is not None and np.isfinite(self._before).all():
            self.shorten(self._before - F < 0.5 * self.predicted)
        self.predicted = None
        self._before = F
        self._radius = np.where(gained, 4.0 * self._radius, self._radius)
        self.radius = self._radius.copy()
        return object()


class RemotePreconditioner(BlockPreconditioner):
    """`BlockPreconditioner` of a Hessian whose parts the workers hold."""

    def __init__(self, problem: Problem, communicator: Communicator, n_rows: int):
        self.problem, self.coupled, self.n_threads = problem, False, 1
        K, C, d = problem.K, problem.columns.n_outputs, problem.rows.n_cols
        p = min(d, MOST_BLOCK, max(16, int((MOST_VALUES / K) ** 0.5)))
        self.hot, self.diagonal = np.arange(d), np.ones((d, K))
        if p < d:
            squares = communicator.allreduce("diagonal")[1]
            assert squares is not None
            self.diagonal = np.maximum(squares + problem.l2_each, SMALLEST)
            self.hot = np.sort(np.argpartition(-self.diagonal.max(axis=1), p - 1)[:p])
        self.block = np.append(self.hot, d) if problem.fit_intercept else self.hot
        self.whole, self.complete = p == d, True
        self.exact = self.definite = p == d and C == 1
        least = n_rows if p == d else max(ROWS_A_COLUMN * p, SHARE_OF_ROWS * n_rows)
        step = max(1, int(n_rows / least))
        dtype = np.dtype(np.float64 if self.exact else np.float32)
        place = np.zeros((d, 1), dtype=np.int32)
        place[self.hot, 0] = np.arange(1, p + 1)
        communicator.broadcast({"hot": place}, size=p, step=step, dtype=dtype)
        H = communicator.allreduce("block")[0].astype(np.float64)
        size = len(self.block)
        for k in range(K):
            H[k][np.diag_indices(p)] += self._ridge(k)
        self.factors = [self._factor(H[k, :size, :size].copy()) for k in range(K)]


class RemoteNewton(NewtonCG):
    """`NewtonCG`, whose products with the Hessian are sums over the workers."""

    def __init__(
        self, problem: Problem, certifier: RemoteCertifier, communicator: Communicator, n_rows: int
    ):
        super().__init__(problem, certifier, 1)
        self._curvature = RemoteCurvature(problem, certifier)
        self._communicator, self._n_rows = communicator, n_rows
        self._kept = False

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """W + delta; after a failure W + t delta for the best t."""
        self._target = target
        return super().improve(W, certificate, target, budget)

    def _preconditioned_by(self, c: Any) -> BlockPreconditioner:
        """The last one; a new one where that is exact, for there it leaves no products, or weak."""
        assert isinstance(self._curvature, RemoteCurvature)
        self._communicator.broadcast(radius=self._curvature.radius)  # with whatever comes next
        M = self._preconditioner
        if M is None or M.exact or self._products >= MOST_STEPS:
            M = self._preconditioner = None
            M = RemotePreconditioner(self.problem, self._communicator, self._n_rows)
            self._preconditioner, self._made_at, self._products = M, c, 0
        return M

    def _scales_without_preconditioner(self, c: Any, M: BlockPreconditioner) -> None:
        return None  # there is an l2 part

    def _full(self, start: FloatArray, delta: FloatArray, c: Any) -> Weights:
        self._start, self._delta, self._shortened = start, delta, False
        separate = self.problem.columns.n_outputs == 1
        self._kept = separate and bool((self.problem.penalty.mu > 0).all())
        return self._along(np.ones(delta.shape[1]))

    def dual(self) -> Any:
        """The model's dual point, which the workers hold."""
        gained = self._curvature.predicted
        last = gained is None or self.last_step(gained, self._target).all()
        if self._shortened or not self._kept or not last:
            return None
        return MODEL, self._residual / (2.0 * self.problem.penalty.mu)

    def _product(self, p: FloatArray, c: Any, work: FloatArray) -> FloatArray:
        self._communicator.broadcast({"p": p})
        last, columns = self._communicator.allreduce("hessian_product")
        assert columns is not None
        return self._masked(np.vstack([columns, last]))

    def _best_length(self) -> FloatArray:
        """The best of 1/2, 1/4, ... for each problem, from one round, (K,)."""
        certifier = self.certifier
        assert isinstance(certifier, RemoteCertifier)
        lengths: FloatArray = np.float64(0.5) ** np.arange(1, HALVINGS + 1)
        loss = certifier.losses_along(self._delta, lengths)
        at = (self._start + t * self._delta for t in lengths)
        value = loss + np.array([self.problem.penalty_value(point) for point in at])
        value = np.where(np.isfinite(value), value, np.inf)
        best: FloatArray = lengths[np.argmin(value, axis=0)]
        return best[self._group]
