"""SGD in NumPy with every iterate kept: Robbins-Monro steps, suffix means; maths.md eq. (59)."""

import numpy as np
from reference.arrays import arrays_of, steps_of

POWERS = {"constant": 0.0, "sqrt": 0.5, "inverse": 1.0, "auto": 0.75}


def suffix_means(path, n):
    """Means over the stretch of a step and the one before; they end at 1, 2, 4, ... passes."""
    ends = [0, n]
    while ends[-1] < len(path):
        ends.append(2 * ends[-1])
    out = [path[0]]
    for t in range(1, len(path)):
        stretch = max(k for k, end in enumerate(ends) if end < t)
        out.append(np.mean(path[ends[max(stretch - 1, 0)] + 1 : t + 1], axis=0))
    return np.array(out)


def iterates(
    problem, order, *, sampling="blocks", start=None, schedule="auto", batch=1, momentum=0.0
):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; means at the ends of passes."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n = int((a.s > 0).sum())
    rate, power = 1 / n, POWERS[schedule]
    if schedule == "auto":
        rate = np.where(a.mu > 0, t.gamma * a.mu / 4, 10 / n)
        power = np.where(a.mu > 0, 1.0, 0.75)
    elif schedule == "inverse":
        rate = t.gamma * a.mu
    w, b = start[:-1].astype(float), start[-1].astype(float)
    v, v_b = np.zeros_like(w), np.zeros_like(b)
    path = [np.vstack([w, b])]
    for begin in range(0, len(order), n):
        for first in range(begin, begin + n, batch):
            rows = order[first : min(first + batch, begin + n)]
            eta = t.gamma * (1 + rate * first) ** -power / len(rows)
            u = a.derivatives(rows, a.X[rows] @ w + b)
            for i, u_i in zip(rows, u, strict=True):
                J = np.flatnonzero(a.held[i])
                v[J] = momentum * v[J] + eta * t.q[i] * np.outer(a.X[i, J], u_i)
                v_b = momentum * v_b + eta * t.c2 * t.q[i] * u_i
                w = w.copy()
                w[J] = a.prox(w[J] - v[J], eta * t.D[J][:, None], J)
                b = b - v_b
                path.append(np.vstack([w, b]))
    return suffix_means(np.array(path), n)
