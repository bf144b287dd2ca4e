"""Accelerated SGD in NumPy, from Vaswani, Bach, Schmidt (AISTATS 2019), (2)-(4) and Theorem 1.

(w, b / c) is one vector, that of the row (x_i, c). Every column moves at every step.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.intercept import best_intercept
from reference.losses import curvature


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, K = int((a.s > 0).sum()), a.B * a.C
    c = np.sqrt(t.c2)
    X = np.hstack([a.X, np.full((len(a.X), 1), c)])
    hardest = 1 / (3 * t.gamma)
    mu = np.where(a.l2 > 0, a.l2, hardest / (10 * n))
    ridge = np.vstack([np.tile(a.l2, (a.X.shape[1], 1)), np.zeros((1, K))])
    # five products of the power method
    moments, direction = X.T @ (a.s[:, None] / a.S * X), np.cos(np.arange(1, X.shape[1] + 1))
    for _ in range(5):
        direction = moments @ (direction / np.linalg.norm(direction))
    L = curvature(a.kind) * np.linalg.norm(direction) + a.l2
    rho_L = hardest + a.l2
    rho = np.maximum(1, rho_L / L)
    L = rho_L / rho
    z0 = np.tile(best_intercept(a, np.zeros((len(X), K))), (len(X), 1))
    parts = [a.s @ a.loss.value(a.Y[:, k], z) / a.S for k, z in enumerate(a.per_problem(z0))]
    null = np.repeat(parts, a.C)
    w = start.astype(float)
    w[-1] = w[-1] / c if c > 0 else 0
    v, gathered = w, np.zeros(K)
    path = [start.astype(float)]
    for step, i in enumerate(order):
        if step % n == 0:
            grown = rho * np.maximum(1, gathered / (10 * n * null))
            eta = 1 / (grown * L)
            rate = np.minimum(np.sqrt(mu * eta / grown), 0.5)
            gamma = 1 / np.sqrt(mu * eta * grown)
        alpha, beta = rate / (1 + rate), 1 - rate
        zeta = alpha * v + (1 - alpha) * w
        g = t.q[i] * np.outer(X[i], a.derivatives([i], X[[i]] @ zeta)[0])
        gathered = gathered + (g**2).sum(axis=0) / rho_L
        g = g + ridge * zeta
        w = zeta - eta * g
        v = beta * v + (1 - beta) * zeta - gamma * eta * g
        path.append(np.vstack([w[:-1], c * w[-1:]]))
    return np.array(path)
