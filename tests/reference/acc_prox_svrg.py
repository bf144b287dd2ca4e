"""Acc-Prox-SVRG in NumPy, from Nitanda (NIPS 2014), Figure 1, with docs/maths.md eq. (48)."""

import numpy as np
from reference.arrays import arrays_of, steps_of


def iterates(problem, order, *, sampling="blocks", start=None):
    """x_k along the rows `order`, (len(order) + 1, d + 1, K); the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, d = a.X.shape
    A = np.hstack([a.X, np.ones((n, 1))])
    metric = np.append(np.ones(d), t.c2)[:, None]
    L, active = 1 / (3 * t.gamma), int((a.s > 0).sum())
    eta = 1 / (2 * L)
    kappa = (L / np.where(a.mu > 0, a.mu, 0.1 * L / active)).max()
    b = active * np.sqrt(kappa) / (active + np.sqrt(kappa))
    if problem.rows.sparse:
        b = max(b, n * d / a.held.sum())
    b = min(active, int(np.ceil(b)))
    stage = active * int(np.ceil(2 * np.sqrt(2 * kappa) * b / active))
    x = start.astype(float)
    path = [x]
    for step, i in enumerate(order):
        if step % stage == 0:
            y, k, batch = x, 1, []
            stored = a.derivatives(slice(None), A @ x)
            full = A.T @ (a.s[:, None] * stored / a.S)
        batch.append(i)
        if len(batch) == b:
            u = a.derivatives(batch, A[batch] @ y) - stored[batch]
            v = full + A[batch].T @ (t.q[batch][:, None] * u) / b
            last, x = x, a.prox_but_last(y - eta * metric * v, eta)
            root = np.sqrt(np.minimum(a.mu * eta, 1))
            beta = np.where(a.mu > 0, (1 - root) / (1 + root), (k - 1) / (k + 2))
            y, k, batch = x + beta * (x - last), k + 1, []
        path.append(x)
    return np.array(path)
