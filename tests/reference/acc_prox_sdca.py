"""Accelerated prox-SDCA in NumPy, from docs/maths.md eq. (50)-(52) and the paper's figure 1."""

import numpy as np
from reference.sdca import Subproblem, best_dual, nesterov, rounds


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; u starts at 0."""
    sub = Subproblem(problem, sampling, accelerated=True)
    a = sub.a
    n, K = int((a.s > 0).sum()), a.B * a.C
    y = np.zeros((a.X.shape[1] + 1, K)) if start is None else start.astype(float)
    u, path, old, theta = np.zeros((len(a.X), K)), [y], y, np.ones(a.B)
    for t, i in enumerate(order):
        if t > 0 and t % (n * rounds(sub.kappa, a.l2)) == 0:
            x = path[-1]
            eta = np.sqrt(a.mu / 2 / (a.mu / 2 + sub.kappa))
            beta, theta = nesterov(a, y, x, old, theta)
            beta = np.where(a.mu > 0, (1 - eta) / (1 + eta), beta)
            y, old = x + beta * (x - old), x
        now = sub.weights(u, y)
        u[i] = best_dual(a, i, a.X[i] @ now[:-1] + now[-1], u[i], sub.q(i))
        path.append(sub.weights(u, y))
    return np.array(path)
