"""The PROMISE methods in NumPy, from Frangella, Rathore, Zhao, Udell (2024), with dense matrices.

The unknowns are (w, b / c), those of the row (x_i, c). Rows S and S' are m each, spread over the
pass; the test matrix and the first vector of the powers come from seed 0.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.losses import curvature


class Sketched:
    """Eq. (36), and the gradients of eq. (37)."""

    def __init__(self, problem, sampling, start):
        self.problem, self.a = problem, arrays_of(problem)
        a, t = self.a, steps_of(self.a, sampling)
        self.n = int((a.s > 0).sum())
        self.c, self.q = np.sqrt(t.c2), t.q  # q_i = s_i / (S p_i)
        self.X = np.hstack([a.X, np.full((len(a.X), 1), self.c)])
        self.b = max(1, min(256, self.n // 8))
        self.m = max(int(np.sqrt(self.n)), min(self.n, 50))
        D, K = self.X.shape[1], a.B
        self.rho = np.maximum(a.mu, 1e-3 * (a.s @ (a.X**2).sum(axis=1) / a.S + t.c2))
        self.test = np.random.default_rng(0).standard_normal((D, min(10, D)))
        self.ridge = np.vstack([a.factor * a.l2, np.zeros(K)])
        self.start = start.astype(float)
        self.w = self.scaled(self.start)

    def scaled(self, W):
        return np.vstack([W[:-1], W[-1:] / self.c if self.c > 0 else 0 * W[-1:]])

    def plain(self, w):
        return np.vstack([w[:-1], self.c * w[-1:]])

    def derivatives(self, rows, w):
        return self.a.derivatives(rows, self.X[rows] @ w)

    def mean(self, u):
        return self.X.T @ (self.a.s[:, None] * u) / self.a.S

    def hessian(self, rows, k, w):
        z = self.X[rows] @ w[:, k] + self.a.offset[rows, k]
        loss, y = self.problem.loss, self.a.Y[rows, k]
        if loss.name == "logistic":
            second = [loss.second(z_i, y_i)[0, 0] for z_i, y_i in zip(z, y, strict=True)]
        else:
            second = curvature(loss)  # parabolas and straight pieces
        return self.X[rows].T @ (self.q[rows] * second * self.X[rows].T).T / len(rows)

    def refresh(self, rows):
        """P and L_P of each problem from the pass over `rows`."""
        if hasattr(self, "P") and self.problem.loss.name != "logistic":
            return
        apart = len(rows) // self.m
        S, other = rows[::apart][: self.m], rows[apart // 2 :: apart][: self.m]
        self.P, self.L = [], []
        for k, rho in enumerate(self.rho):
            H, test = self.hessian(S, k, self.w), self.test
            if not self.problem.rows.sparse:
                core = np.linalg.pinv(test.T @ H @ test, rcond=1e-10, hermitian=True)
                H = H @ test @ core @ test.T @ H
            P = H + rho * np.eye(len(H))
            full = self.hessian(other, k, self.w) + np.diag(self.ridge[:, k])
            v, found = test[:, 0], 0.0
            for _ in range(10):
                found = max(found, v @ full @ v / (v @ P @ v))
                v = np.linalg.solve(P, full @ v)
            single = [self.hessian(np.array([i]), k, self.w) for i in other]
            longest = max(single, key=np.trace)
            found += np.trace(np.linalg.solve(P, longest)) / self.b
            self.P.append(P)
            self.L.append(found)
        self.L = np.array(self.L)

    def eta(self):
        return 1 / (3 * self.L)

    def solve(self, g):
        return np.column_stack([np.linalg.solve(P, g[:, k]) for k, P in enumerate(self.P)])

    def batches(self, order):
        """(first of a pass, rows of the batch), the metric refreshed at the first."""
        for begin in range(0, len(order), self.n):
            rows = np.asarray(order[begin : begin + self.n])
            self.refresh(rows)
            for at in range(0, self.n, self.b):
                yield at == 0, rows[at : at + self.b]

    def estimate(self, batch, change):
        """(1/b) sum_i q_i change_i x_i."""
        return self.X[batch].T @ (self.q[batch, None] * change) / len(batch)
