"""The curvature of Newton steps, raised while plain ones gain nothing.

Losses made of pieces have rows of no curvature and a slope: a plain Newton step does not see them
and goes nowhere, or too far. With max(l'', |l'| / R) no row would move further than R on its own;
at R = max |l'| / L it is near the L that makes every step descend. R grows with each gain.

A logistic row on the wrong side has nearly such a piece: after a step that gained less than half of
what its model promised R is 1 (imdb_counts, C = 1: 155 products in place of 176).
Softmax has such rows too, where the probability of the own class is near 0: there it is raised to
(1 - p_y) / R from the start, and R doubles with each gain. Steps far from the optimum are then
about as long as F allows (sector.scale, 105 classes: 5 Newton steps in place of 20).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.certificate import Certificate, Certifier
from fastsum.problem import Problem
from fastsum.solvers.phases._phase import FloatArray

GROWTH = 4.0
RADIUS, WIDER = 4.0, 2.0  # R of labels after a failure, or of softmax, and its growth
DECEIVED = 0.5  # of the gain that the model of a step promised: less, and it was too long
SMALL = 1e-9  # of the objective: a gain or a gap of rounding, almost


class RaisedCurvature:
    """`Certifier.weighted_curvature` for one Newton step after the other."""

    def __init__(self, problem: Problem, certifier: Certifier):
        self.problem, self.certifier = problem, certifier
        first = RADIUS / WIDER if problem.loss.coupled else np.inf
        self._radius = np.full(problem.columns.n_problems, first)
        self._before = np.full(problem.columns.n_problems, np.inf)
        # What the last step's model promised to gain, (B,); set by whoever solved it.
        self.predicted: FloatArray | None = None

    def memory(self) -> dict[str, Any]:
        """What later steps depend on."""
        promised = np.empty(0) if self.predicted is None else self.predicted
        return {"radius": self._radius, "before": self._before, "predicted": promised}

    def recall(self, memory: dict[str, Any]) -> None:
        """Takes over what `memory` told."""
        self._radius, self._before = memory["radius"], memory["before"]
        self.predicted = memory["predicted"] if memory["predicted"].size else None

    def shorten(self, worse: npt.NDArray[np.bool_]) -> None:
        """Steps of the problems `worse` (B,) were too long: rows of labels move by about R next."""
        loss = self.problem.loss
        if loss.domain == "sign" or not loss.smooth:
            self._radius[worse] = np.minimum(self._radius[worse], RADIUS) / GROWTH

    def __call__(self, certificate: Certificate) -> FloatArray:
        """The curvature (n, K) at the point last certified."""
        problem, c = self.problem, self.certifier.weighted_curvature()
        F, L = certificate.objective, problem.loss.curvature
        gained = F < self._before - SMALL * np.abs(F)
        if self.predicted is not None:
            told = self.predicted > SMALL * np.abs(F)
            self.shorten(told & (self._before - F < DECEIVED * self.predicted))
        self.predicted = None
        stuck = ~gained & (certificate.gap > SMALL * np.abs(F))
        self._before = F
        if problem.loss.coupled:
            self._radius = np.where(stuck, RADIUS, WIDER * self._radius)
            raise_own_class(problem, c, self.certifier.derivatives, self._radius)
            return c
        first = RADIUS
        if stuck.any() and problem.loss.smooth:
            first = np.abs(self.certifier.derivatives).max(axis=0) / L
        shorter = np.minimum(self._radius / GROWTH, np.maximum(first, 1e-300))
        with np.errstate(over="ignore"):  # inf is no bound
            self._radius = np.where(stuck, np.maximum(shorter, 1e-300), GROWTH * self._radius)
        if not np.isfinite(self._radius).any():
            return c
        slope = np.abs(self.certifier.derivatives) / self._radius
        np.minimum(slope, L, out=slope)
        s = problem.weight_columns
        slope *= 1.0 / problem.total_weight if s is None else s / problem.total_weight
        return np.maximum(c, slope, out=c)


def raise_own_class(
    problem: Problem, c: FloatArray, derivatives: FloatArray, radius: FloatArray
) -> FloatArray:
    """Raises the own class of each row in c (n, K) for R (B,); 1 - p_y, (n, B)."""
    n, B = len(c), len(radius)
    own = np.arange(n)[:, None], np.arange(B), problem.y.astype(np.intp)[:, None]
    s = problem.sample_weight
    weight = (1.0 if s is None else s[:, None]) / problem.total_weight
    c, missing = c.reshape(n, B, -1), -derivatives.reshape(n, B, -1)[own]
    c[own] = np.maximum(c[own], weight * missing / radius)
    return missing
