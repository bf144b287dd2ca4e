"""SVRG-BB in NumPy, from Tan, Ma, Dai, Qian (2016), Algorithm 1, with the steps (11), (12)."""

import numpy as np
from reference.arrays import arrays_of, steps_of

PASSES = 2  # m / n


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    w, b = start[:-1].astype(float), start[-1].astype(float)
    eta = np.full(w.shape[1], t.gamma)
    m = PASSES * int((a.s > 0).sum())
    path, last = [np.vstack([w, b])], None
    for step, i in enumerate(order):
        if step % m == 0:
            stored = a.derivatives(slice(None), a.X @ w + b)
            weighted = a.s[:, None] * stored / a.S
            full, full_b = a.X.T @ weighted, weighted.sum(axis=0)
            # the smooth part of F in the coordinates (w, b / c)
            c = np.sqrt(t.c2) if t.c2 > 0 else 1.0
            point = np.vstack([w, b / c])
            gradient = np.vstack([full + a.factor * a.l2 * w, c * full_b * a.fit_intercept])
            if last is not None:
                s, y = point - last[0], gradient - last[1]
                for k in range(a.B):
                    part = slice(k * a.C, (k + 1) * a.C)
                    step_k = (s[:, part] ** 2).sum() / (s[:, part] * y[:, part]).sum() / m
                    eta[part] = min(step_k, 3 * t.gamma)
            last = point, gradient
        x, J = a.X[i], np.flatnonzero(a.held[i])
        change = a.derivatives([i], (x @ w + b)[None, :])[0] - stored[i]
        D = t.D[J][:, None]
        direction = t.q[i] * np.outer(x[J], change) + D * full[J]
        w = w.copy()
        w[J] = a.prox(w[J] - eta * direction, eta * D, J)
        b = b - eta * t.c2 * (t.q[i] * change + full_b)
        path.append(np.vstack([w, b]))
    return np.array(path)
