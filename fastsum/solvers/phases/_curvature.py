"""The curvature of Newton steps, raised while plain ones gain nothing.

Losses made of pieces have rows of no curvature and a slope: a plain Newton step does not see them
and goes nowhere, or too far. With max(l'', |l'| / R) no row would move further than R on its own;
at R = max |l'| / L it is near the L that makes every step descend. R grows with each gain.
"""

from __future__ import annotations

import numpy as np

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray

GROWTH = 4.0
SMALL = 1e-9  # of the objective: a gain or a gap of rounding, almost


class RaisedCurvature:
    """`Certifier.weighted_curvature` for one Newton step after the other."""

    def __init__(self, problem: Problem, certifier: Certifier):
        self.problem, self.certifier = problem, certifier
        self._radius = np.full(problem.columns.n_problems, np.inf)
        self._before = np.full(problem.columns.n_problems, np.inf)

    def __call__(self, certificate: Certificate) -> FloatArray:
        """The curvature (n, K) at the point last certified."""
        problem, c = self.problem, self.certifier.weighted_curvature()
        if problem.loss.coupled:
            return c
        F, L = certificate.objective, problem.loss.curvature
        gained = F < self._before - SMALL * np.abs(F)
        stuck = ~gained & (certificate.gap > SMALL * np.abs(F))
        self._before = F
        slope = np.abs(self.certifier.derivatives)
        first = slope.max(axis=0) / L
        shorter = np.minimum(self._radius / GROWTH, np.maximum(first, 1e-300))
        self._radius = np.where(stuck, shorter, GROWTH * self._radius)
        if not np.isfinite(self._radius).any():
            return c
        slope /= self._radius
        np.minimum(slope, L, out=slope)
        s = problem.sample_weight
        slope *= 1.0 / problem.total_weight if s is None else (s / problem.total_weight)[:, None]
        return np.maximum(c, slope, out=c)
