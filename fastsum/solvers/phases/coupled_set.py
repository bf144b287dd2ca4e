"""Working sets for l1 and elastic net problems whose outputs are coupled (softmax)."""

from __future__ import annotations

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases import _coupled_model as cm
from fastsum.solvers.phases._phase import FloatArray, Phase, Weights
from fastsum.solvers.phases._quadratic import quadratic_gap

import os
LEAST, GROWTH, NEAR = 512, 2, 0.95
FORCING = float(os.environ.get('FO','0.1'))
VERBOSE = 0
R0=float(os.environ.get('R0','4')); GR=float(os.environ.get('GR','4'))


class CoupledSet(Phase):
    name = "coupled set"

    def __init__(self, problem: Problem, certifier: Certifier, n_threads: int):
        super().__init__(problem, certifier, n_threads)
        self.radius = R0

    def improve(self, W, certificate, target, budget):
        import time
        t0 = time.process_time()
        problem, C = self.problem, self.problem.K
        n = problem.rows.n_rows
        g = self.certifier.gradient.T
        w = W[:-1].astype(np.float64).T
        output, column = self._choose(w, g)
        c = self.certifier.weighted_curvature()
        s = problem.sample_weight
        weight = np.full(n, 1 / problem.total_weight) if s is None else s / problem.total_weight
        at = np.arange(n), problem.y.astype(np.intp)
        v = -self.certifier.derivatives[at]
        c[at] = np.maximum(c[at], v * weight / self.radius)
        size = float(weight @ (v + v * v * weight / np.maximum(c[at], 1e-300)))
        A = cm.Coefficients(problem.rows, column, output, C, self.n_threads)
        t1 = time.process_time()
        model = cm.CoupledQuadratic(A, np.ascontiguousarray(c.T), problem.fit_intercept, float(problem.l1[0]), float(problem.l2[0]))
        t2 = time.process_time()
        x, q = w[output, column], g[output, column]
        gap = quadratic_gap(x, q, model.l1, model.l2, size)
        x_new = x.copy()
        model.minimise(q, x_new, size, max(0.3 * float(target[0]), FORCING * gap))
        t3 = time.process_time()
        delta = x_new - x
        z, r, b = model.move(delta)
        quad = 0.5 * float((z * r).sum())
        predicted = float(q @ delta) + quad + model.l1 * float(np.abs(x_new).sum() - np.abs(x).sum()) + 0.5 * model.l2 * float(x_new @ x_new - x @ x)
        point = W.astype(np.float64)
        F0 = float(certificate.objective[0])
        length = 1.0
        z = np.ascontiguousarray(z.T)
        for _ in range(30):
            point[column, output] = x + length * delta
            point[-1] = W[-1] + length * b
            F = float(self.certifier.value_along(z, length, point)[0])
            if F <= F0 + 1e-4 * length * predicted + 1e-15 * abs(F0):
                break
            length *= 0.5
        t4 = time.process_time()
        self.radius = GR * self.radius if length == 1 else R0
        if VERBOSE: print("  p %d: setup %.3f model %.3f minimise %.3f (%d products) search %.3f t=%g pred %.2e got %.2e" % (len(x), t1 - t0, t2 - t1, t3 - t2, model.products, t4 - t3, length, predicted, F - F0))
        return np.ascontiguousarray(point, dtype=W.dtype), 1 + model.products

    def _choose(self, w, g):
        l1 = float(self.problem.l1[0])
        score = np.abs(g)
        inside = w != 0
        support = int(inside.sum())
        out = np.flatnonzero((score > NEAR * l1) & ~inside)
        room = max(LEAST, 16 * self.problem.K, GROWTH * support) - support
        if len(out) > room:
            out = out[np.argpartition(-score.ravel()[out], room)[:room]]
        mask = inside.ravel()
        mask = mask.copy()
        mask[out] = True
        return np.nonzero(mask.reshape(w.shape))
