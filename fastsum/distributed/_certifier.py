"""The certificate of docs/maths.md eq. (5), with its sums over the rows made by the workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import EPS, MAX_BALANCE, TINY, Certificate, Certifier
from fastsum.distributed._communicator import Communicator
from fastsum.intercept import best_shift_of_coupled, best_shift_of_each
from fastsum.problem import Problem

FloatArray = npt.NDArray[np.float64]
# Dual points live on the workers; here they have names.
POINT, MODEL = "point", "model"
# Of the loss, relative to tol^2: what an intercept may leave to gain. A slope that is left is part
# of the gap, eq. (7a), and each Newton step in b is a round.
SLOPE = 1e-7
NEAR, FAR = 0.05, 1.0  # shifts of b at which slopes are asked for at once; a Newton step at most
MOST_SEARCHES = 3


class RemoteCertifier(Certifier):
    """Certificates of the rows of all workers.

    The dual point is separable over rows: each worker makes its own part of it, and what the gap
    needs of it are sums.

    Parameters
    ----------
    problem : Problem
        On a few rows of every worker, with the weight of all.
    communicator : Communicator
    n_rows : int
        Of all workers.
    mean_label : float or (B,) array
    start : (K,) array
        About the intercept of the null model.
    tol : float
    """

    def __init__(
        self,
        problem: Problem,
        communicator: Communicator,
        n_rows: int,
        mean_label: Any,
        start: FloatArray,
        tol: float,
    ):
        self._communicator, self._mean, self._start = communicator, mean_label, start
        self._known_gradient: FloatArray | None = None
        n_samples = max(1, problem.rows.n_rows)
        rounding = 4 * EPS * float(n_rows) ** 0.5
        self._enough = max(rounding**2, SLOPE * tol**2)
        self._model_gap: FloatArray = np.empty(0)
        super().__init__(problem, 1)
        self.rounding *= float(n_rows / n_samples) ** 0.5

    def __call__(self, W: npt.NDArray[Any], margins: FloatArray | None = None) -> Certificate:
        """Certificate of weights W (d + 1, K) with the intercept in the last row."""
        self.at_intercept = W[-1].copy()
        self._communicator.broadcast({"W": W})
        return self._certify(W, W[-1].astype(np.float64), self.problem.fit_intercept)

    def restore(self, W: npt.NDArray[Any]) -> None:
        """Puts the workers back to a point that was certified before."""
        self(W)

    def losses_along(self, delta: FloatArray, lengths: FloatArray) -> FloatArray:
        """Mean loss at lengths of a step from the last point, (m, B)."""
        self._communicator.broadcast({"delta": delta}, lengths=lengths)
        sums: FloatArray = self._communicator.allreduce("along")[0]
        return sums / self.problem.total_weight

    # ---- the sums

    def _mean_of_labels(self) -> Any:
        return self._mean

    def _certify(self, W: npt.NDArray[Any], b: FloatArray, free_intercept: bool) -> Certificate:
        if W is self._zeros:  # the null model, from an intercept that is nearly its own
            b = self._start if free_intercept else b
            W = np.vstack([W[:-1], b[None].astype(W.dtype)])
            b = W[-1].astype(np.float64)
            self._communicator.broadcast({"W": W})
        self._known_gradient = None
        certificate = super()._certify(W, b, free_intercept)
        self.derivatives = POINT
        return certificate

    def _loss_terms(
        self, shift: FloatArray, final: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        value, g, h = self._loss_terms_at(shift[None], final, False)
        return value[0], g[0], h[0]

    def _loss_terms_at(
        self, shifts: FloatArray, final: bool, gradient: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Loss sums at several shifts (m, K): (m, B), (m, B, C) and (m, B, C, C), in one round."""
        B, C, K = self._B, self._C, self._K
        self._communicator.broadcast(shifts=shifts, curved=not final, gradient=gradient)
        total, self._known_gradient = self._communicator.allreduce("loss_terms")
        g, h = total[:, B : B + K], total[:, B + K :]
        return total[:, :B], g.reshape(-1, B, C), h.reshape(-1, B, C, C)

    def _best_shift(self, free: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
        if not free:
            value = self._loss_terms_at(np.zeros((1, self._K)), True, True)[0][0]
            return value, np.zeros(self._K), np.zeros(self._B)
        L = self.problem.loss.curvature * self.problem.total_weight
        if self._C > 1:
            terms, invariant = self._loss_terms, self.problem.loss.shift_invariant
            return best_shift_of_coupled(terms, self._B, self._C, L, self._enough, invariant)
        # rounds for the slope near a point, and one for the gradient at its root
        at, nodes = np.zeros(self._K), NEAR * np.array([-1.0, 1.0, 0.0])
        for _ in range(MOST_SEARCHES):
            _, g, h = self._loss_terms_at(at + np.tile(nodes[:, None], self._K), False, False)
            shift = root_of_slope(nodes, g[:, :, 0], h[:, :, 0, 0])
            if np.isfinite(shift).all():
                at = at + shift
                value, g, h = (part[0] for part in self._loss_terms_at(at[None], False, True))
                left, curved = g[:, 0] ** 2, np.maximum(h[:, 0, 0], TINY)
                if (left <= self._enough * np.abs(value) * curved).all():
                    return value, at, np.abs(g[:, 0])
                break
            newton = -g[-1, :, 0] / np.maximum(h[-1, :, 0, 0], TINY)
            at = at + np.where(np.isfinite(shift), shift, np.clip(newton, -FAR, FAR))
        value, shift, slope = best_shift_of_each(self._loss_terms, self._B, 1, L, self._enough)
        self._known_gradient = None
        return value, shift, slope

    def _gradient(self, u: Any) -> FloatArray:
        total = None if u is MODEL else self._known_gradient
        if total is None:
            self._communicator.broadcast(dual=MODEL if u is MODEL else POINT)
            total = self._communicator.allreduce("gradient")[1]
        assert total is not None
        return total / self.problem.total_weight

    def _loss_gap(self, shift: FloatArray, scale: FloatArray, u: Any) -> FloatArray:
        if u is MODEL and (scale == 1).all():
            return self._model_gap
        self._communicator.broadcast(dual=MODEL if u is MODEL else POINT, scale=scale)
        return self._communicator.allreduce("loss_gap")[0]

    def _balanced(self, u: Any) -> tuple[Any, FloatArray]:
        """The model's dual point, moved until its sum is 0 (the workers hold it)."""
        move = np.zeros(self._B)
        for _ in range(MAX_BALANCE):
            self._communicator.broadcast(move=move)
            slope, free, size, gap = self._communicator.allreduce("model_dual")[0]
            self._model_gap = gap
            small = np.abs(slope) <= 64 * EPS * size
            if not self.problem.fit_intercept or small.all():
                break
            move = move + slope / np.maximum(free, TINY)
        if not self.problem.fit_intercept:
            return MODEL, np.zeros(self._B)
        return MODEL, np.where(small, np.abs(slope), np.inf)


def root_of_slope(nodes: FloatArray, g: FloatArray, h: FloatArray) -> FloatArray:
    """Where slopes are 0, (B,), from slopes g and curvatures h (m, B) at m nodes, the last one 0.

    Newton's method on the polynomial that has them: its error is that of a power 2 m of the
    distance to the nodes. Infinite where that does not lead to a root near the nodes.
    """
    m, out = len(nodes), np.full(g.shape[1], np.inf)
    powers = np.arange(2 * m)
    x = nodes / np.abs(nodes).max()
    size = np.abs(nodes).max()
    A = np.vstack([x[:, None] ** powers, powers * x[:, None] ** np.maximum(powers - 1, 0)])
    for b, (slope, curvature) in enumerate(zip(g.T, h.T, strict=True)):
        polynomial = np.polynomial.Polynomial(
            np.linalg.solve(A, np.concatenate([slope, size * curvature]))
        )
        derivative, t = polynomial.deriv(), 0.0
        for _ in range(20):
            d = derivative(t)
            if not d > 0:
                break
            step = polynomial(t) / d
            t -= step
            if abs(t) > 2.0 or abs(step) <= 4 * EPS:
                break
        out[b] = size * t if d > 0 and abs(t) <= 2.0 else np.inf
    return out
