"""Preconditioned proximal SVRG: one epoch from the certificate as its snapshot.

Problem   min_w F(w) of eq. (1), any loss and penalty
Step      w_j <- prox_{eta P_j D_j h}(w_j - eta P_j ((s_i q_i / S)(u_i - u~_i) x_ij + D_j g~_j)) on the
          columns of a sampled row i; u~, g~: derivatives and gradient at the snapshot, which the
          certificate has just computed; P_j = 1 / (H_jj + (1 + c) l2), H the Hessian there
Rate      linear in epochs in the metric of P: the ratio of L to mu is that of the scaled data
Source    Johnson, Zhang, NIPS 2013; prox: Xiao, Zhang, SIAM J. Optim. 2014; sparse steps: Leblond,
          Pedregosa, Lacoste-Julien, AISTATS 2017; a fixed diagonal metric is a change of variables
Safety    a snapshot whose objective rose is rolled back by the engine; the step is then halved
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels, _registry
from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.sampling import Sampler
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._preconditioner import SMALLEST, own_curvature

SHIFT = 6.0  # c: how much of l2 more than its own the metric holds
STEP = 2.0  # eta in units of 1 / (3 L); the safeguard halves it
_SVRG = _registry.solver_registry()["svrg"]


class Epochs(Phase):
    """One epoch of preconditioned SVRG a call."""

    name = "svrg epoch"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int, seed: int = 0):
        super().__init__(problem, certifier, n_threads)
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self._slower = 1.0
        rows = problem.rows
        # data of ones have no dtype of their own: float32 weights fill half the cache
        narrow = rows.storage == "ones"
        self.dtype = np.dtype(np.float32) if narrow else problem.dtype
        self._blocks = [self._as_narrow(block) if narrow else block for block in rows.blocks]

    @staticmethod
    def _as_narrow(block: _kernels.Block) -> _kernels.Block:
        return _kernels.Block(
            "ones",
            block.n_rows,
            block.n_cols,
            False,
            indices=block.indices,
            indptr=block.indptr,
        )

    def improve(
        self, W: Weights, certificate: Certificate, target: FloatArray, budget: int
    ) -> tuple[Weights, int]:
        """An epoch of steps from W."""
        problem, dtype = self.problem, self.dtype
        own = own_curvature(self.certifier.weighted_curvature(), problem.columns.n_outputs)
        h = problem.rows.weighted_squares(own, self.n_threads)
        h = h.mean(axis=1) + (1.0 + SHIFT) * problem.l2.mean()
        P = 1.0 / np.maximum(h, max(1e-9 * float(h.max(initial=0.0)), SMALLEST))
        self._sampler, gamma = self._sampling(P)
        gamma *= self._slower
        density, scale = self._density(P), P.astype(dtype)
        w, G = W.astype(dtype), np.zeros(W.shape, dtype)
        G[:-1] = self.certifier.gradient
        u = self.certifier.derivatives.astype(dtype)
        step, l1, l2 = (v.astype(dtype) for v in (np.full(problem.K, gamma), problem.l1, problem.l2))
        curvature_b = float(own.sum(axis=0).mean()) if problem.fit_intercept else 0.0
        P_b = 1.0 / max(curvature_b, SMALLEST) if curvature_b > 0 else 0.0
        work = np.empty(5 * problem.K)
        for block, order in self._sampler.draw(self.rng, 1):
            _kernels.steps(
                _SVRG, self._blocks[block], problem.task, problem.rows.starts[block], order,
                problem.total_weight, self._sampler.q, self._sampler.q_uniform, density, scale,
                P_b, step, l1, l2, (w, G, None), (u,), work,
            )  # fmt: skip
        return w.astype(problem.dtype), 1

    def failed(self) -> None:
        """The step was too long."""
        self._slower *= 0.5

    def _sampling(self, P: FloatArray) -> tuple[Sampler, float]:
        """Rows of a pass, and eta = STEP / (3 max_i L_i / (S p_i)) for L_i in the metric of P."""
        problem = self.problem
        squares = problem.rows.squared_norms_in(P, self.n_threads)
        L = problem.loss.curvature * squares
        if problem.sample_weight is not None:
            L = L * problem.sample_weight
        sampler = Sampler(problem.rows, problem.sample_weight, L, "auto")
        top = float(sampler.inverse_probability(L).max()) / problem.total_weight
        return sampler, STEP / (3.0 * top) if top > SMALLEST else 1.0

    def _density(self, P: FloatArray) -> npt.NDArray[np.floating] | None:
        """P_j D_j, eq. (11)."""
        rows, sampler = self.problem.rows, self._sampler
        if not rows.sparse:
            return P.astype(self.dtype)
        mass = rows.column_mass(sampler.p)
        if sampler.p is None:
            mass /= sampler.n_active
        return np.divide(P, mass, out=np.zeros_like(P), where=mass > 0).astype(self.dtype)
