"""Working sets for l1 and elastic net problems whose outputs are coupled (softmax).

Problem   min_w F(w) of eq. (1) with an l1 part and one value of the loss for all outputs
Step      on the coefficients (column, output) that are not 0 and those that violate
          |gradient| <= l1 the most, w + t delta for the minimiser delta, to a part of its gap, of
          the quadratic model with the Hessian D_i = diag(p) - p p' of each row
          (`_coupled_model.py`); t = 1, 1/2, ... by the margins along delta
Far off   a row whose own class has p_y near 0 has a slope of 1 and no curvature: p_y is raised to
          (1 - p_y) / R there, so that no such row wants to move by more than R; R doubles with each
          full step. While the model does not predict what F gains it is minimised roughly.
Source    Yuan, Ho, Lin, JMLR 2012 (prox-Newton); Friedman, Hastie, Tibshirani, J. Stat. Softw. 2010
          (descent on softmax); Byrd, Chin, Nocedal, Oztoprak, Math. Programming 2016 (inexactness)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._coupled_model import Coefficients, CoupledQuadratic, Ids
from fastsum.solvers.phases._curvature import RADIUS, WIDER, raise_own_class
from fastsum.solvers.phases._face import ROUNDS
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._quadratic import quadratic_gap
from fastsum.solvers.phases._submatrix import Submatrix
from fastsum.threads import blas_threads

LEAST, LEAST_OF_OUTPUT = 512, 16  # coefficients of a set, for each output
GROWTH, NEAR = 2, 0.95  # times the support; of l1: what may violate soon
SHARP, ROUGH = 0.1, 0.6  # of the gap at the start of a step: that of its model at the end
TRUSTED = 0.1  # error of a prediction from which models are minimised sharply
PART = 0.3  # of the gap wanted: accuracy of a model that needs no more
HALVINGS = 30


class CoupledSet(Phase):
    """One prox-Newton step a call."""

    name = "coupled set"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        s = problem.sample_weight
        n, S = problem.rows.n_rows, problem.total_weight
        self._weight = np.full(n, 1.0 / S) if s is None else s / S
        self._own = problem.y.astype(np.intp), np.arange(n)
        self._radius, self._trusted, self._tighter = RADIUS, False, 1.0
        self._flat = False
        self._ids: Ids = np.empty(0, dtype=np.int64)
        self._block: _kernels.Block | None = None
        self._expected: tuple[float, float] | None = None  # F before a full step, what it gains

    def use(self, problem: Problem) -> None:
        """The copy of the columns stays."""
        super().use(problem)
        self._expected, self._tighter = None, 1.0

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether it is one problem with an l1 part and coupled outputs."""
        columns = problem.columns
        coupled = columns.n_problems == 1 and columns.n_outputs > 1 and problem.loss.coupled
        same = problem.penalty.own is None
        return coupled and same and bool((problem.penalty.l1 > 0).all())

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """W + t delta."""
        problem = self.problem
        g, w, F = self.certifier.gradient.T, W[:-1].T, float(certificate.objective[0])
        if self._expected is not None:
            self._judge(self._expected[0] - F, self._expected[1], F)
        output, column = self._choose(w, g)
        with blas_threads(self.n_threads, problem.rows.nnz):
            block = self._columns(column)
            place = np.searchsorted(self._ids, column)
            A = Coefficients(block, place, output, problem.K)
            c, size = self._curvature()
            l1, l2 = float(problem.l1[0]), float(problem.l2[0])
            model = CoupledQuadratic(A, c, problem.fit_intercept, l1, l2, self._flat)
            x, q = w[output, column].astype(np.float64), g[output, column]
            gap = quadratic_gap(x, q, l1, l2, size)
            accuracy = max(PART * float(target.min()), (SHARP if self._trusted else ROUGH) * gap)
            end = x.copy()
            model.minimise(q, end, size, self._tighter * accuracy, ROUNDS if self._trusted else 1)
            self._flat = model.flat
            moved = self._search(W, F, model, q, x, end)
        passes = 1.0 + model.products * A.stored / max(1, problem.rows.nnz * problem.K)
        return moved, int(np.clip(np.ceil(passes), 1, budget))

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:
        """Short steps again."""
        self._radius, self._trusted, self._expected = RADIUS, False, None

    def _choose(self, w: Weights, g: FloatArray) -> tuple[Ids, Ids]:
        """Outputs and columns of the working set for w and the gradient g (C, d), by output."""
        crowded = 2 * np.count_nonzero(w, axis=0) > len(w)  # a common change may gain there
        score = np.where((w != 0) | crowded, np.inf, np.abs(g)).ravel()
        inside = np.flatnonzero(score > NEAR * float(self.problem.l1[0]))
        support = int(np.count_nonzero(w))
        most = max(LEAST, LEAST_OF_OUTPUT * len(w), GROWTH * support)
        if len(inside) > most:
            worst = np.argpartition(-score[inside], most - 1)[:most]
            inside = np.sort(inside[worst])
        output, column = np.divmod(inside, w.shape[1])
        return output, column

    def _columns(self, column: Ids) -> _kernels.Block:
        """Columns of X that hold those of the set, `_ids`, as rows."""
        ids = np.unique(column)
        if self._block is None or not np.isin(ids, self._ids).all():
            self._ids, self._block = ids, None  # not two copies
            self._block = Submatrix(self.problem.rows, ids, self.n_threads).by_columns
        return self._block

    def _curvature(self) -> tuple[FloatArray, float]:
        """c (C, n) of the model, and the mean square of the residuals behind it."""
        c = self.certifier.weighted_curvature()
        R = np.array([self._radius])
        missing = raise_own_class(self.problem, c, self.certifier.derivatives, R)[:, 0]
        c = np.ascontiguousarray(c.T)
        squares = missing**2 * self._weight
        np.divide(squares, c[self._own], out=squares, where=c[self._own] > 0)
        return c, float(self._weight @ (missing + squares))

    def _search(
        self,
        W: Weights,
        F: float,
        model: CoupledQuadratic,
        q: FloatArray,
        x: FloatArray,
        end: FloatArray,
    ) -> Weights:
        """The minimiser `end` of a trusted model; else where F has fallen enough on the way."""
        A, delta = model.coefficients, end - x
        at = self._ids[A.column], A.output
        z, r, b = model.move(delta)
        predicted = -float(q @ delta) - 0.5 * float(np.vdot(z, r))
        predicted -= model.l1 * float(np.abs(end).sum() - np.abs(x).sum())
        predicted -= 0.5 * model.l2 * float(end @ end - x @ x)
        point, length = W.astype(np.float64), 1.0
        slope = None if self._trusted else np.ascontiguousarray(z.T)
        for _ in range(HALVINGS):
            point[at] = x + length * delta
            point[-1] = W[-1] + length * b
            if slope is None:
                break  # the certificate tells
            gain = F - float(self.certifier.value_along(slope, length, point)[0])
            if gain >= 1e-4 * length * predicted - self.certifier.rounding * abs(F):
                break
            length *= 0.5
        self._expected = (F, predicted) if length == 1.0 else None
        if length < 1.0:
            self._radius = RADIUS
        return np.ascontiguousarray(point, dtype=W.dtype)

    def _judge(self, gain: float, predicted: float, F: float) -> None:
        """What a full step says of the next model."""
        self._radius *= WIDER
        rounding = self.certifier.rounding * abs(F)
        self._trusted = abs(gain - predicted) <= TRUSTED * predicted + rounding
        # the gap of a model is not the certificate's
        self._tighter = 1.0 if gain > rounding else 0.1 * self._tighter
