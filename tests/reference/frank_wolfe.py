"""Norm-penalised Frank-Wolfe: Harchaoui, Juditsky, Nemirovski (2015), (17); maths.md eq. (58)."""

import numpy as np
import scipy.optimize
from reference.arrays import arrays_of
from reference.intercept import best_intercept


def golden(f, low, high):
    """The slope's root of a convex function on an interval, by its slope."""
    if f(low) >= 0:
        return low
    if f(high) <= 0:
        return high
    return scipy.optimize.brentq(f, low, high, xtol=1e-15, rtol=1e-15)


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) after each pass; the first one only looks."""
    a = arrays_of(problem)

    def slopes(w):
        z = a.X @ w
        u = a.derivatives(slice(None), z + best_intercept(a, z))
        return a.X.T @ (a.s[:, None] * u) / a.S + a.l2 * w

    null = best_intercept(a, np.zeros((len(a.X), a.B * a.C)))
    w, path = start[:-1].astype(float), [start, start]
    parts = [slice(b * a.C, (b + 1) * a.C) for b in range(a.B)]
    radius = []
    for b, k in enumerate(parts):
        z = null[k] + a.offset[:, k]
        size = a.s @ a.loss.value(a.Y[:, b], z) / a.S / a.l1[k][0]
        radius.append(max(size, np.abs(w[:, k]).sum()))
    for _ in order[1:]:
        g, new = slopes(w), w.copy()
        for b, k in enumerate(parts):
            j = np.unravel_index(np.abs(g[:, k]).argmax(), g[:, k].shape)
            v = np.zeros_like(w)
            v[:, k][j] = -np.sign(g[:, k][j]) * radius[b]
            old = np.zeros_like(w)
            old[:, k] = w[:, k]
            l1, norm = a.l1[k][0], np.abs(old).sum()
            rest = w - old

            def slope_of(x, end, size, v=v, old=old, rest=rest, l1=l1):
                return (slopes(rest + x[0] * v + x[1] * old) * end).sum() + l1 * size

            def best_beta(x_0, old=old, norm=norm, slope_of=slope_of):
                return golden(lambda t: slope_of((x_0, t), old, norm), 0.0, 1.0 - x_0)

            def along(x_0, b=b, v=v, old=old, norm=norm, slope_of=slope_of, best_beta=best_beta):
                t = best_beta(x_0)
                slope = slope_of((x_0, t), v, radius[b])
                # on the edge alpha + beta = 1 beta falls as alpha rises
                return slope - (slope_of((x_0, t), old, norm) if t == 1.0 - x_0 else 0.0)

            x_0 = golden(along, 0.0, 1.0)
            new[:, k] = (x_0 * v + best_beta(x_0) * old)[:, k]
        w = new
        path.append(np.vstack([w, best_intercept(a, a.X @ w)]))
    return np.array(path)
