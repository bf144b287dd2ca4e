"""One epoch of dual coordinate ascent in NumPy, from docs/maths.md eq. (20)."""

import numpy as np
from reference.arrays import arrays_of


def root(loss, z, y, u, q):
    """l'(t) at about the root of t - z + q (l'(t) - u): Newton steps, halves out of a bracket."""
    t, v = z, loss.derivative(z, y)[0]
    low, high = sorted((z - 1.01 * q * (v - u), z))
    for _ in range(8):
        off = t - z + q * (v - u)
        if abs(off) <= 0.01 * abs(t - z):
            break
        low, high = (low, t) if off > 0 else (t, high)
        t -= off / (1 + q * loss.second(t, y)[0, 0])
        if not low < t < high:
            t = (low + high) / 2
        v = loss.derivative(t, y)[0]
    return v


def epoch(problem, order, u, rho, start):
    """u (n,), (w, b) (d + 1,) after ascent on the rows `order`; start holds (w, b) of u."""
    a = arrays_of(problem)
    X = np.hstack([a.X, np.ones((len(a.X), 1))])
    per = np.append(np.full(X.shape[1] - 1, 1 / a.l2[0]), 1 / rho if rho else 0.0) / a.S
    u, w = u.copy(), start.copy()
    for i in order:
        q = a.s[i] * (X[i] ** 2 @ per)
        new = root(problem.loss, X[i] @ w + a.offset[i, 0], a.Y[i, 0], u[i], q)
        w -= per * a.s[i] * (new - u[i]) * X[i]
        u[i] = new
    return u, w
