"""Newton in the space of the rows, for few rows of many columns and an l2 penalty.

Problem   min_w F(w) of eq. (1), smooth separate outputs, l2 > 0; n small beside d
Idea      the minimiser is w = X' beta; margins X w + b = K beta + b, with K = X X' made once, are
          all that Newton's method needs, so X is read for K and for w at the end only
Step      with g = s l' / S and the curvatures c = s l'' / S at the margins z the model's minimiser
          is beta+ = -(g + c (z+ - z)) / l2 for its own margins z+ = K beta+ + b+. By
          beta+ = -g / l2 + R eta, R = diag(sqrt(c)):
          (l2 I + R K R) eta = R (z + K g / l2 - b+),  and sum beta+ = 0 gives a free b+
Length    1, or the first of 1/2, 1/4, ... that lowers F enough; curvature raised after that
Cost      n^2 d once; n^3 / 3 a step
Rate      quadratic near the optimum; exact in one step for the squared loss
Dual      the slopes of the last model, -l2 S beta+ / s: nothing of them is left in the penalty
Source    the dual of ridge regression: Saunders, Gammerman, Vovk, ICML 1998; Newton in it:
          Chapelle, Neural Computation 2007, section 3
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._curvature import DECEIVED, GROWTH, RADIUS
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._separate import SeparateLoss
from fastsum.threads import blas_threads

# Steps of this method against conjugate gradients, in passes; a flop of BLAS in stored values.
NEWTON_STEPS, PASSES, FLOP = 6, 60.0, 0.05
STEPS, HALVINGS = 30, 30  # of a call; of a step
ENOUGH = 1e-4  # of what the model promised, for a step to be taken
PART = 0.1  # of the gap wanted: a step that gains less was the last


@dataclass
class _Point:
    """w = kept * start + X' beta and its intercept."""

    beta: FloatArray
    kept: float
    b: float
    z: FloatArray  # its margins
    square: float  # |w|^2


class RowSpaceNewton(Phase):
    """Newton steps to the target in one call."""

    name = "row newton"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        with blas_threads(n_threads, problem.rows.nnz):
            X = problem.rows.matrix()
            K = X @ X.T
        self._K: FloatArray = K.toarray() if sp.issparse(K) else K
        s, S = problem.sample_weight, problem.total_weight
        self._weight = np.full(len(self._K), 1.0 / S) if s is None else s / S
        self._slopes: FloatArray = np.empty(0)

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether this is cheaper than conjugate gradients for the problem."""
        rows, n = problem.rows, problem.rows.n_rows
        plain = problem.penalty.own is None and (problem.l2 > 0).all()
        if problem.columns.n_outputs > 1 or problem.l1.any() or not plain:
            return False
        steps = 1 if problem.loss.name == "squared" else NEWTON_STEPS
        solves = steps * problem.columns.n_problems * n**3 / 3.0
        return n < rows.n_cols and FLOP * (float(n) * rows.nnz + solves) <= PASSES * rows.nnz

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """The minimiser of each problem that is not done."""
        problem, z = self.problem, self.certifier.margins
        moved, beta, kept = W.astype(np.float64), np.zeros_like(z), np.ones(problem.K)
        self._slopes = self.certifier.derivatives.copy()
        # the target is a share of F(null) - D, and D far from the optimum is low
        scale = np.maximum(self.certifier.tolerance_scale(), 1e-300)
        with blas_threads(self.n_threads, len(z) ** 2):
            for k, goal in enumerate(np.broadcast_to(target, certificate.gap.shape)):
                if certificate.gap[k] <= goal and problem.K > 1:
                    continue
                w, b = moved[:-1, k], float(certificate.intercept[k])
                start = _Point(beta[:, k], 1.0, b, z[:, k].copy(), float(w @ w))
                end = self._descend(k, start, float(goal / scale[k]))
                beta[:, k], kept[k], moved[-1, k] = end.beta, end.kept, end.b
        moved[:-1] = kept * moved[:-1] + problem.rows.transposed(beta, self.n_threads)
        return np.ascontiguousarray(moved, dtype=problem.dtype), min(2, budget)

    def dual(self) -> tuple[FloatArray, FloatArray]:
        """The slopes of the models whose minimisers were taken."""
        return self._slopes, np.zeros(self.problem.K)

    def _descend(self, k: int, at: _Point, tol: float) -> _Point:
        """Newton steps from a point until one was the last."""
        null = float(self.certifier.null.objective[k])
        loss, l2 = SeparateLoss(self.problem, k, self.n_threads), float(self.problem.l2[k])
        value, radius = loss.value(at.z) + 0.5 * l2 * at.square, np.inf
        for _ in range(STEPS):
            c = self._weight * loss.curvature(at.z, radius)
            g = self._weight * loss.u
            end = self._model(g, c, l2, at.z)
            dz, cross = end.z - at.z, float((at.z - at.b) @ end.beta)
            promised = -0.5 * (float(g @ dz) + l2 * (cross - at.square))
            rounding = self.certifier.rounding * abs(value)
            u, length = loss.u.copy(), 1.0
            for _ in range(HALVINGS):
                trial = _between(at, end, cross, length)
                there = loss.value(trial.z) + 0.5 * l2 * trial.square
                if there <= value - ENOUGH * length * promised + rounding:
                    break
                length *= 0.5
            else:
                loss.value(at.z)
                length, trial, there = 0.0, at, value
            gain, at, value = value - there, trial, there
            if length == 1.0:
                scale = np.divide(c, self._weight, out=np.zeros_like(c), where=self._weight > 0)
                self._slopes[:, k] = u + scale * dz
            if length < 1.0 or gain < DECEIVED * promised - rounding:
                radius = min(radius, RADIUS) / GROWTH
                continue
            enough = max(PART * tol * (null - value), rounding)
            if promised <= enough or self.problem.loss.name == "squared":
                break
            radius *= GROWTH
        return at

    def _model(self, g: FloatArray, c: FloatArray, l2: float, z: FloatArray) -> _Point:
        """The minimiser of the model with slopes g and curvatures c at margins z."""
        K, root = self._K, np.sqrt(c)
        M = root[:, None] * K * root
        M[np.diag_indices(len(M))] += l2
        right = np.stack([root * (z + K @ g / l2), root], axis=1)
        _, solved, info = scipy.linalg.lapack.dposv(M, right, lower=1)
        if info != 0:  # rounding of a large K beside a tiny l2
            solved = scipy.linalg.lstsq(M, right, check_finite=False)[0]
        b, eta = 0.0, solved[:, 0]
        if self.problem.fit_intercept:
            b = (float(root @ eta) - float(g.sum()) / l2) / max(float(root @ solved[:, 1]), 1e-300)
            eta = eta - b * solved[:, 1]
        beta = root * eta - g / l2
        Xw = K @ beta
        return _Point(beta, 0.0, b, Xw + b, float(Xw @ beta))


def _between(a: _Point, b: _Point, cross: float, t: float) -> _Point:
    """a + t (b - a), for the inner product `cross` of their w."""
    square = (1 - t) ** 2 * a.square + 2 * t * (1 - t) * cross + t**2 * b.square
    return _Point(
        a.beta + t * (b.beta - a.beta),
        (1 - t) * a.kept,
        a.b + t * (b.b - a.b),
        a.z + t * (b.z - a.z),
        square,
    )
