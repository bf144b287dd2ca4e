"""FISTA in NumPy: Beck, Teboulle (2009); docs/maths.md eq. (55), (56). gd.py is it at rest."""

import numpy as np
from reference.arrays import arrays_of
from reference.intercept import best_intercept
from reference.losses import curvature


def iterates(problem, order, *, sampling="blocks", start=None, momentum=True):
    """Weights (len(order) + 1, d + 1, K) after each pass; the first one only looks."""
    a = arrays_of(problem)
    mean = a.s @ a.X / a.S if a.fit_intercept else 0.0
    top = curvature(a.kind) * (a.s @ ((a.X - mean) ** 2).sum(axis=1)) / a.S

    def gradient(v):
        z = a.X @ v
        return a.X.T @ (a.s[:, None] * a.derivatives(slice(None), z + best_intercept(a, z))) / a.S

    parts = [slice(b * a.C, (b + 1) * a.C) for b in range(a.B)]
    w = start[:-1].astype(float)
    y, L, theta = w.copy(), np.full(a.B, 0.01 * top), np.ones(a.B)
    path = [start]
    for step, _ in enumerate(order):
        new_w, new_y = w.copy(), y.copy()
        for b, k in enumerate(parts if step > 0 else []):
            g, l2 = gradient(y)[:, k], a.mu[k][0]
            trial = y.copy()
            trial[:, k] = a.prox(y[:, k] - g / L[b], 1 / L[b], columns=k)
            d = (trial - y)[:, k]
            bend = (d * (gradient(trial)[:, k] - g)).sum() / (d**2).sum()
            if bend > L[b] and L[b] < top:
                L[b] = min(max(2 * L[b], 1.05 * bend), top)
                continue
            if (-d * (trial - w)[:, k]).sum() > 0:  # restart
                theta[b] = 1
            following = (1 + np.sqrt(1 + 4 * theta[b] ** 2)) / 2
            root = np.sqrt(l2 / (L[b] + l2))
            beta = (1 - root) / (1 + root) if l2 > 0 else (theta[b] - 1) / following
            theta[b] = following
            new_y[:, k] = (trial + (beta if momentum else 0.0) * (trial - w))[:, k]
            new_w[:, k] = trial[:, k]
        w, y = new_w, new_y
        path.append(np.vstack([w, best_intercept(a, a.X @ w)]))
    return np.array(path)
