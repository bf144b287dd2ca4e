"""SVRG in NumPy, written from docs/maths.md eq. (11), (12), (14), (15)."""

import numpy as np
from reference.arrays import arrays_of, steps_of

INNER_PASSES = 2


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row.

    A snapshot is taken before the first step and after every INNER_PASSES passes of steps.
    """
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    (_, d), K = a.X.shape, a.B * a.C
    w, b = np.zeros((d, K)), np.zeros(K)
    if start is not None:
        w, b = start[:-1].astype(float), start[-1].astype(float)
    inner = INNER_PASSES * int((a.s > 0).sum())
    path = [np.vstack([w, b])]
    for step, i in enumerate(order):
        if step % inner == 0:  # (14)
            stored = a.derivatives(slice(None), a.X @ w + b)
            weighted = a.s[:, None] * stored / a.S
            full, full_b = a.X.T @ weighted, weighted.sum(axis=0)
        x = a.X[i]
        change = a.derivatives([i], (x @ w + b)[None, :])[0] - stored[i]
        J = np.flatnonzero(a.held[i])
        D = t.D[J][:, None]
        direction = t.q[i] * np.outer(x[J], change) + D * full[J]  # (11)
        w = w.copy()
        w[J] = a.prox(w[J] - t.gamma * direction, t.gamma * D, J)  # (12)
        b = b - t.gamma * t.c2 * (t.q[i] * change + full_b)
        path.append(np.vstack([w, b]))
    return np.array(path)
