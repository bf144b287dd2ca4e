"""Preconditioned SVRG: one epoch with the certificate as its snapshot, for separate l2 problems.

Problem   min_w F(w) of eq. (1), one smooth uncoupled problem, sparse rows
Step      w_j <- prox_{eta P_j D_j h}(w_j - eta P_j (c_i (u_i - u~_i) x_ij + D_j g~_j)) on the
          columns of row i; u~, g~: derivatives and gradient at the snapshot, which the certificate
          has just computed; P_j = 1 / (H_jj + (1 + c) l2), H the Hessian of the loss there
          (src_cpp/solvers/svrg_epoch.hpp, also for what several threads do); then the best point
          of the plane of this epoch's step and the one before (_plane.py)
Rate      linear in epochs, in the metric of P: the ratio of L to mu is that of the scaled data
Source    Johnson, Zhang, NIPS 2013; sparse steps: Leblond, Pedregosa, Lacoste-Julien, AISTATS 2017;
          a fixed diagonal metric is a change of variables
Safety    a row with L_i > 1 / eta is taken with c_i smaller, so that no step overshoots; a snapshot
          whose objective rose is rolled back by the engine and the step halved
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels, _phases
from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.sampling import Sampler, rng_from_state, rng_state
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._plane import Plane
from fastsum.solvers.phases._preconditioner import SMALLEST

SHIFT = 6.0  # c: what the metric holds of l2 beyond its own
STEP = 0.4  # eta in units of 1 / (mean L): 1.2 times the theory's 1 / 3 for rows of equal L
FRESH = 2  # epochs that take their own curvature; later it changes little
# Stored values from which epochs come first, and from which they do if mean_i L_i > HARD n l2: the
# first Newton steps from zero take few products else.
LARGE, LEAST, HARD = 1 << 21, 1 << 17, 2.0
MERGES = 8  # additions an epoch of each of two threads; more threads add more often


class Epochs(Phase):
    """One epoch of preconditioned SVRG a call."""

    name = "svrg epoch"
    remembers = ("_slower", "_epochs", "_metric", "_norms")

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int, seed: int = 0):
        super().__init__(problem, certifier, n_threads)
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._slower, self._epochs = 1.0, 0
        self._metric, self._norms = np.empty(0), np.empty(0)
        self._plane = Plane(n_threads)
        self._blocks, self._dtype = blocks_for_steps(problem)
        n, s = problem.rows.n_rows, problem.sample_weight
        self._sampler = Sampler(problem.rows, s, np.ones(n), "blocks")
        self._mass = problem.rows.column_mass(self._sampler.p)
        if self._sampler.p is None:
            self._mass /= n

    @staticmethod
    def serves(problem: Problem) -> bool:
        """Whether the problem is one separate l2 problem on sparse rows."""
        rows = problem.rows
        smooth = problem.K == 1 and not problem.l1.any() and bool((problem.l2 > 0).all())
        smooth &= problem.penalty.own is None
        smooth = smooth and problem.loss.smooth
        return smooth and rows.storage in ("ones", "csr")

    @staticmethod
    def pays(problem: Problem, n_threads: int) -> bool:
        """Whether epochs gain more than the Newton steps they replace."""
        rows, n = problem.rows, problem.rows.n_rows
        if not Epochs.serves(problem) or rows.nnz < min(LEAST, LARGE):
            return False
        if rows.nnz >= LARGE:
            return True
        L = problem.loss.curvature * float(rows.squared_norms(n_threads).mean())
        return L > HARD * n * float(problem.l2[0])

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """An epoch of steps from W, and the best point of the plane it opens."""
        self.margins = None
        return self._along_the_plane(W, self.epoch(W)), 1

    def epoch(self, W: Weights) -> FloatArray:
        """Where an epoch of steps from W ends, (d + 1,)."""
        problem, d = self.problem, self.problem.rows.n_cols
        l2, c = float(problem.l2[0]), self.certifier.weighted_curvature()
        if self._epochs < FRESH:
            h = problem.rows.weighted_squares(c, self.n_threads)[:, 0]
            self._metric = 1.0 / (h + (1.0 + SHIFT) * l2)
            self._norms = problem.rows.squared_norms(self.n_threads, self._metric)
        self._epochs += 1
        P = self._metric
        eta, correction = self._step()
        packed = np.empty((self.n_threads, d + 1, 4), dtype=self._dtype)
        one = packed[0]
        one[:, 0] = W[:, 0]
        one[:-1, 1] = eta * P
        tau = eta * np.divide(P, self._mass, out=np.zeros_like(P), where=self._mass > 0)
        one[:-1, 2] = tau * self.certifier.gradient[:, 0]
        one[:-1, 3] = 1.0 / (1.0 + tau * l2)
        curvature_b = float(c.sum()) if problem.fit_intercept else 0.0
        one[-1, 1] = eta / curvature_b if curvature_b > SMALLEST else 0.0
        one[-1, 2:] = 0.0, 1.0
        packed[1:] = one
        base = one[:, 0].copy()
        parts = self._sampler.draw(self._rng, 1)
        n_steps = sum(len(order) for _, order in parts)
        merges = MERGES * max(1, self.n_threads // 2)
        damping = self._damping(eta, n_steps, merges)
        snapshot = self.certifier.derivatives[:, 0].astype(self._dtype)
        for number, order in parts:  # a block of the rows after the other
            part = self._blocks[number]
            _phases.svrg_epoch(
                part.block,
                part.task,
                order,
                correction[part.rows],
                snapshot[part.rows],
                packed,
                base,
                damping,
                max(1, round(merges * len(order) / n_steps)),
                self.n_threads,
            )
        return one[:, 0].astype(np.float64)

    def _along_the_plane(self, W: Weights, end: FloatArray) -> Weights:
        """The best point near the end of an epoch from W; its margins are kept."""
        problem, w = self.problem, W[:, 0].astype(np.float64)
        step = end - w
        slope = np.empty((problem.rows.n_rows, 1))
        problem.rows.margins(step[:, None], self.n_threads, slope)  # no difference: it cancels
        if not np.isfinite(slope).all():  # the engine takes it back
            return end[:, None].astype(problem.dtype)
        start = self.certifier.margins[:, 0]
        w, margins = self._plane.best(problem, w, start, step, slope[:, 0])
        self.margins = margins[:, None] if problem.dtype == np.float64 else None
        return w[:, None].astype(problem.dtype)

    def memory(self) -> dict[str, Any]:
        """With the state of the order of rows, and the last step."""
        plane = {"last": self._plane.last, "slope": self._plane.slope}
        return {**(super().memory() or {}), **plane, "rng": rng_state(self._rng)}

    def recall(self, memory: dict[str, Any]) -> None:
        """Takes over what `memory` told."""
        super().recall(memory)
        self._plane.last, self._plane.slope = memory["last"], memory["slope"]
        self._rng = rng_from_state(memory["rng"])

    def failed(self, worse: npt.NDArray[np.bool_]) -> None:
        """The step was too long."""
        self._slower *= 0.5
        self._plane.forget()

    def _step(self) -> tuple[float, FloatArray]:
        """eta and c_i = s_i n / S, cut where one step would go past the minimum of its row."""
        problem, n = self.problem, self._sampler.n_active
        L = problem.loss.curvature * self._norms
        s = problem.sample_weight
        c = np.full(len(L), n / problem.total_weight)
        if s is not None:
            c *= s
        L *= c
        mean = float(L.sum()) / n
        eta = self._slower * STEP / max(mean, SMALLEST)
        return eta, c * np.minimum(1.0, 1.0 / np.maximum(eta * L, SMALLEST))

    def _damping(self, eta: float, n_steps: int, merges: int) -> Weights:
        """f = (1 - (1 - r)^T) / (T r), r = 1 - exp(-eta m), where m steps see a column twice."""
        T, m = self.n_threads, n_steps / (merges * self.n_threads)
        r = -np.expm1(-min(eta * m, 50.0))
        factor = (1.0 - (1.0 - r) ** T) / (T * r)
        damping = np.ones(len(self._mass) + 1, dtype=self._dtype)
        damping[:-1][self._mass * m > 1.0] = factor
        damping[-1] = factor
        return damping


@dataclass(frozen=True)
class StepBlock:
    """One block of rows as the steps take it: in their dtype, with its own labels and weights."""

    rows: slice
    block: _kernels.Block
    task: _kernels.Task


def blocks_for_steps(problem: Problem) -> tuple[list[StepBlock], np.dtype[Any]]:
    """The sparse blocks of the rows in the dtype of their steps.

    Data of ones have no dtype of their own: float32 weights fill half the cache.
    """
    rows, loss, columns = problem.rows, problem.loss, problem.columns
    dtype = np.dtype(np.float32) if rows.storage == "ones" else problem.dtype
    parts = []
    for start, block in zip(rows.starts, rows.blocks, strict=True):
        mine = slice(start, start + block.n_rows)
        same: dict[str, Any] = {
            "values": block.values,
            "indices": block.indices,
            "indptr": block.indptr,
        }
        wide, s = dtype.itemsize == 8, problem.sample_weight
        task = _kernels.Task(
            loss.core_id,
            loss.core_param,
            columns.n_problems,
            columns.n_outputs,
            columns.targets,
            problem.y[mine],
            None if s is None else s[mine],
        )
        mine_ = _kernels.Block(block.storage, block.n_rows, block.n_cols, wide, **same)
        parts.append(StepBlock(mine, mine_, task))
    return parts, dtype
