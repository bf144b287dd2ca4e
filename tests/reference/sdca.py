"""Prox-SDCA in NumPy, from docs/maths.md eq. (50), (51) and Shalev-Shwartz, Zhang (2013, 2016)."""

import numpy as np
import scipy.optimize
from reference.arrays import arrays_of, steps_of
from reference.dual_epoch import root
from reference.losses import curvature


def block_root(loss, z, y, u, q):
    """l'(t) at the root of t - z + q (l'(t) - u), all (C,)."""

    def off(t):
        return t - z + q * (loss.derivative(t, y) - u)

    def slope(t):
        return np.eye(len(z)) + q * loss.second(t, y)

    t = scipy.optimize.root(off, z, jac=slope, method="lm", options={"xtol": 1e-15}).x
    for _ in range(3):
        t = t - np.linalg.solve(slope(t), off(t))
    return loss.derivative(t, y)


def best_dual(a, i, z, u, q):
    """The new u_i (K,) of row i for its margins z, old u and q, all (K,)."""
    out, z = [], z + a.offset[i]
    for b in range(a.B):
        k = slice(b * a.C, (b + 1) * a.C)
        if a.C > 1:
            out.append(block_root(a.kind, z[k], a.Y[i, b], u[k], q[k][0]))
        else:
            out.append([root(a.kind, z[b], a.Y[i, b], u[b], q[b])])
    return np.concatenate(out)


def nesterov(a, y, x, old, theta):
    """beta (K,) of the centre x + beta (x - old) and the next theta (B,), with restarts."""
    turned = np.array([part.sum() > 0 for part in a.per_problem((y - x) * (x - old))])
    theta = np.where(turned, 1.0, theta)
    following = (1 + np.sqrt(1 + 4 * theta**2)) / 2
    return np.repeat((theta - 1) / following, a.C), following


def rounds(kappa, l2):
    """Passes for a centre that runs ahead: one more whenever kappa / l2 passes a power of 300."""
    pairs = [(k, mu) for k, mu in zip(kappa, l2, strict=True) if mu > 0]
    return max([next(m for m in range(1, 120) if k <= mu * 300.0**m) for k, mu in pairs] or [1])


class Subproblem:
    """(50): F + kappa / 2 ||w - c||^2 + rho / 2 (b - b_0)^2."""

    def __init__(self, problem, sampling, accelerated=False, less=1.0):
        a = self.a = arrays_of(problem)
        steps, n = steps_of(a, sampling), (a.s > 0).sum()
        even = less / (3 * steps.gamma) / n
        self.kappa = np.where(a.mu > 0, 0.0, even)
        if accelerated:
            self.kappa = np.maximum(even - a.mu, 0.0)
        self.sigma = a.mu + self.kappa
        c2 = steps.c2 if a.fit_intercept else 1.0
        self.rho = np.minimum(self.sigma / c2, curvature(a.kind) / n)

    def q(self, i):
        """q_i (K,)."""
        a = self.a
        q = (a.X[i] ** 2).sum() / self.sigma + (1 / self.rho if a.fit_intercept else 0.0)
        return a.s[i] / a.S * q

    def weights(self, u, center):
        """(w, b) (d + 1, K) of the dual point u."""
        a = self.a
        v = -a.X.T @ (a.s[:, None] * u) / a.S
        w = a.prox((v + self.kappa * center[:-1]) / self.sigma, 1 / self.sigma, less=a.mu)
        b = center[-1] - (a.s @ u / a.S / self.rho if a.fit_intercept else 0.0)
        return np.vstack([w, b])


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; u starts at 0."""
    sub = Subproblem(problem, sampling)
    a = sub.a
    n, K = int((a.s > 0).sum()), a.B * a.C
    center = np.zeros((a.X.shape[1] + 1, K)) if start is None else start.astype(float)
    u = np.zeros((len(a.X), K))
    path = [center]
    for t, i in enumerate(order):
        if t > 0 and t % n == 0:
            center = path[-1]
        now = sub.weights(u, center)
        z = a.X[i] @ now[:-1] + now[-1]
        u[i] = best_dual(a, i, z, u[i], sub.q(i))
        path.append(sub.weights(u, center))
    return np.array(path)
