"""SAGA in NumPy, written from docs/maths.md eq. (11)-(13), (15) and Defazio et al. (NIPS 2014)."""

import numpy as np
from reference.arrays import arrays_of, steps_of


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row.

    The table starts at 0.
    """
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    (n, d), K = a.X.shape, a.B * a.C
    w, b = np.zeros((d, K)), np.zeros(K)
    if start is not None:
        w, b = start[:-1].astype(float), start[-1].astype(float)
    table = np.zeros((n, K))
    g, g_b = np.zeros((d, K)), np.zeros(K)  # the average gradient and its intercept
    path = [np.vstack([w, b])]
    for i in order:
        x = a.X[i]
        u = a.derivatives([i], (x @ w + b)[None, :])[0]
        change = u - table[i]
        J = np.flatnonzero(a.held[i])
        D = t.D[J][:, None]
        direction = t.q[i] * np.outer(x[J], change) + D * g[J]  # (11)
        w = w.copy()
        w[J] = a.prox(w[J] - t.gamma * direction, t.gamma * D, J)  # (12)
        b = b - t.gamma * t.c2 * (t.q[i] * change + g_b)
        g = g + a.s[i] / a.S * np.outer(x, change)  # (13)
        g_b = g_b + a.s[i] / a.S * change
        table[i] = u
        path.append(np.vstack([w, b]))
    return np.array(path)
