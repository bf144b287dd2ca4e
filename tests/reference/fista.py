"""FISTA in NumPy: Beck, Teboulle (2009); docs/maths.md eq. (55), (56). gd.py is it at rest."""

import numpy as np
from reference.arrays import arrays_of, prox, steps_of
from reference.losses import curvature


def iterates(problem, order, *, sampling="blocks", start=None, momentum=True):
    """Weights (len(order) + 1, d + 1, K) after each pass; the first pass only looks."""
    a = arrays_of(problem)
    t = steps_of(a, "blocks")
    unit = np.sqrt(t.c2)  # the constant column, and b / unit its coefficient
    X = np.hstack([a.X, np.full((len(a.X), 1), unit)])
    top = curvature(a.kind) * (a.s @ (X**2).sum(axis=1)) / a.S
    scale = np.append(np.ones(a.X.shape[1]), unit if unit else 1.0)[:, None]
    w = start / scale
    if not unit:
        w[-1] = 0

    def gradient(v, k):
        return X.T @ (a.s[:, None] * a.derivatives(slice(None), X @ v))[:, k] / a.S

    parts = [slice(b * a.C, (b + 1) * a.C) for b in range(a.B)]
    y, L, theta = w.copy(), np.full(a.B, 0.01 * top), np.ones(a.B)
    path = [start, start]
    for _ in order[1:]:
        new_w, new_y = w.copy(), y.copy()
        for b, k in enumerate(parts):
            g = gradient(y, k)
            step = y[:, k] - g / L[b]
            step[:-1] = prox(step[:-1], 1 / L[b], a.l1[k], a.l2[k])
            trial = y.copy()
            trial[:, k] = step
            d = step - y[:, k]
            bend = (d * (gradient(trial, k) - g)).sum() / (d**2).sum()
            if bend > L[b] and L[b] < top:
                L[b] = min(max(2 * L[b], 1.05 * bend), top)
                continue
            q, l2 = a.l2[k][0] / (L[b] + a.l2[k][0]), a.l2[k][0]
            if (((y[:, k] - step) * (step - w[:, k])) * scale**2).sum() > 0:
                theta[b] = 1
            following = (1 + np.sqrt(1 + 4 * theta[b] ** 2)) / 2
            beta = (1 - np.sqrt(q)) / (1 + np.sqrt(q)) if l2 > 0 else (theta[b] - 1) / following
            theta[b] = following
            new_y[:, k] = step + (beta if momentum else 0.0) * (step - w[:, k])
            new_w[:, k] = step
        w, y = new_w, new_y
        path.append(w * scale)
    return np.array(path)
