"""APCG in NumPy: Lin, Lu, Xiao (2015), Algorithm 2 with all vectors in full; maths.md eq. (53)."""

import numpy as np
from reference.arrays import steps_of
from reference.losses import curvature
from reference.sdca import Subproblem, best_dual, nesterov

LESS, INNER_PASSES = 0.1, 3


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; x and z start at 0."""
    sub = Subproblem(problem, sampling, less=LESS)
    a = sub.a
    n, K, gamma = int((a.s > 0).sum()), a.B * a.C, 1 / curvature(a.kind)
    p = steps_of(a, sampling).p
    q = np.array([sub.q(i) for i in range(len(a.X))])
    active = p > 0
    alpha = np.minimum((p[active, None] / np.sqrt(1 + q[active] / gamma)).min(axis=0), 0.9)
    center = old = np.zeros((a.X.shape[1] + 1, K)) if start is None else start.astype(float)
    x, z, theta, path = np.zeros((len(a.X), K)), np.zeros((len(a.X), K)), np.ones(a.B), [center]
    for t, i in enumerate(order):
        if t > 0 and t % (INNER_PASSES * n) == 0:
            now = path[-1]
            beta, theta = nesterov(a, center, now, old, theta)
            center, old = now + np.where(a.mu > 0, 0.0, beta) * (now - old), now
        y = (x + alpha * z) / (1 + alpha)
        w = sub.weights(y, center)
        # argmin over the block i of (alpha / p_i) L_i / 2 ||. - z~||^2 + <grad_i f(y), .> + Psi_i
        z_to = (1 - alpha) * z + alpha * y
        margin = a.X[i] @ w[:-1] + w[-1]
        c = gamma * (p[i] / alpha - 1)
        new = z_to.copy()
        new[i] = best_dual(a, i, margin + gamma * (z_to[i] - y[i]), z_to[i], c)
        x = y + alpha / p[i] * (new - z_to)
        z = new
        path.append(sub.weights(x, center))
    return np.array(path)
