"""The Frank-Wolfe (conditional gradient) method for norm-penalised problems.

Problem   min_w f(w) + l1 ||w||_1, f the mean loss at the best intercept and l2 / 2 ||w||^2
Step      v = -sign(g_j) e_j of the largest |g_j|, g = grad f(w): where the norm ball of radius D
          ends in the direction of -g; w <- alpha D v + beta w with the best alpha, beta >= 0,
          alpha + beta <= 1, for f + l1 (alpha D + beta ||w||_1), eq. (58). D = F(null) / l1 bounds
          ||w*||_1. One coefficient of each problem joins a step
Rate      O(L D^2 / t); it reaches some digits
Cost      one gradient of all rows; the best alpha and beta need margins only
Memory    n K margins
Source    Harchaoui, Juditsky, Nemirovski, Math. Programming 152, 2015, section 3, (17)
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from fastsum.problem import Problem
from fastsum.solvers._full_pass import FloatArray
from fastsum.solvers._method import State, Weights
from fastsum.solvers.full_gradient._method import FullGradientMethod

LOOKS = 30  # Newton steps in the triangle
EXACT = 1e-13  # of a share
HALVES, ROUNDING = 20, 1e-14


class FrankWolfe(FullGradientMethod):
    """Conditional gradient steps; the file's head says how."""

    name: ClassVar[str] = "frank-wolfe"
    reaches = 1e-3
    takes_step = False

    @staticmethod
    def missing(problem: Problem) -> str:
        """A norm in the penalty."""
        if problem.penalty.own is not None:
            return (
                "its features have factors or bounds, and the steps go to corners of one norm ball"
            )
        return "" if problem.l1.all() else "it has no l1 penalty, whose norm makes the steps"

    def start(self, W: Weights, rng: np.random.Generator) -> State:
        """Nothing but W."""
        return {**super().start(W, rng), "radius": np.zeros(self.problem.columns.n_problems)}

    def advance(self, state: State, n_passes: int) -> None:
        """A step a pass; the first one looks for D."""
        for _ in range(n_passes):
            if state["unseen"]:
                here = np.zeros((self.problem.rows.n_rows, self.problem.K))
                null, _, _ = self.full.best_losses(here, np.zeros(self.problem.K))
                norms = self.full.each(np.abs(state["weights"][:-1]).sum(axis=0))
                state["radius"] = np.maximum(null / self.problem.penalty.l1, norms)
                state["unseen"] = 0
            else:
                self._step(state)

    def _step(self, state: State) -> None:
        problem, full, W = self.problem, self.full, state["weights"].astype(np.float64)
        z = full.margins(W)
        g = full.gradient(self.look(W, z)) + problem.l2 * W[:-1]
        C = problem.columns.n_outputs
        V = np.zeros_like(W)
        for b in range(problem.columns.n_problems):
            part = g[:, b * C : (b + 1) * C]
            j, c = np.unravel_index(np.argmax(np.abs(part)), part.shape)
            V[j, b * C + c] = -np.sign(part[j, c]) * state["radius"][b]
        ends = [(V[:-1], full.margins(V)), (W[:-1], z)]
        shares = full.spread(self._shares(ends, W[-1]))
        W[:-1] = sum(share * w for share, (w, _) in zip(shares, ends, strict=True))
        self.look(W, sum(share * z_e for share, (_, z_e) in zip(shares, ends, strict=True)))
        state["weights"][...] = W

    def _shares(self, ends: list[tuple[FloatArray, FloatArray]], b: FloatArray) -> FloatArray:
        """The best shares (2, B) of two points, each with its margins, in the triangle."""
        full, problem = self.full, self.problem
        norms = [full.each((problem.l1 * np.abs(w)).sum(axis=0)) for w, _ in ends]
        inner = [[full.each((problem.l2 * v * w).sum(axis=0)) for w, _ in ends] for v, _ in ends]
        Z = np.array([z for _, z in ends])

        def model(x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
            """Value (B,), gradient (2, B) and Hessian (2, 2, B) at shares x (2, B)."""
            shares = full.spread(x)
            at = (shares[:, None] * Z).sum(axis=0)
            value, u, best = full.best_losses(at, b)
            G = np.array([full.mean(z, u) for z in Z])
            H = self._hessian(Z, full.curvature(at, best))
            quadratic = np.einsum("efb,fb->eb", inner, x)
            value = value + 0.5 * (quadratic * x).sum(axis=0) + (np.array(norms) * x).sum(axis=0)
            return value, G + quadratic + norms, H + np.array(inner)

        x = np.array([np.zeros_like(norms[0]), np.ones_like(norms[0])])
        value, G, H = model(x)
        for _ in range(LOOKS):
            target = np.array([best_in_triangle(*case) for case in zip(x.T, G.T, H.T, strict=True)])
            move = target.T - x
            if np.abs(move).max() <= EXACT:
                break
            length = np.ones_like(value)
            for _ in range(HALVES):
                trial = x + length * move
                new = model(trial)
                worse = new[0] > value + ROUNDING * np.abs(value)
                if not worse.any():
                    break
                length = np.where(worse, 0.5 * length, length)
            x, (value, G, H) = trial, new
        return x

    def _hessian(self, Z: FloatArray, h: FloatArray) -> FloatArray:
        """Of the mean loss at the best intercept in shares of margins Z (2, n, K): (2, 2, B)."""
        n, B, C, _ = h.shape
        parts = Z.reshape(2, n, B, C)
        bent = np.einsum("nbij,enbj->enbi", h, parts)
        H = np.einsum("enbi,fnbi->efb", parts, bent)
        if not self.problem.fit_intercept:
            return H
        cross = bent.sum(axis=1)
        for b, curvature in enumerate(h.sum(axis=0)):
            H[:, :, b] -= cross[:, b] @ np.linalg.pinv(curvature, hermitian=True) @ cross[:, b].T
        return H


def best_in_triangle(x: FloatArray, g: FloatArray, H: FloatArray) -> FloatArray:
    """argmin over y >= 0, y_0 + y_1 <= 1 of g'(y - x) + (y - x)' H (y - x) / 2."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = list(corners)
    for start, end in ((0, 1), (0, 2), (1, 2)):
        way, from_x = corners[end] - corners[start], corners[start] - x
        bend = way @ H @ way
        if bend > 0:
            share = -(g @ way + way @ H @ from_x) / bend
            found.append(corners[start] + np.clip(share, 0.0, 1.0) * way)
    if np.linalg.det(H) > 0:
        inside = x - np.linalg.solve(H, g)
        if (inside >= 0).all() and inside.sum() <= 1:
            found.append(inside)
    values = [g @ (y - x) + 0.5 * (y - x) @ H @ (y - x) for y in found]
    best: FloatArray = found[int(np.argmin(values))]
    return best
