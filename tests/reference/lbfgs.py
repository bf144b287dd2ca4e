"""L-BFGS in NumPy with H as a matrix, Liu and Nocedal (1989), (2.1)-(2.2); maths.md eq. (57)."""

import numpy as np
from reference.arrays import arrays_of
from reference.intercept import best_intercept
from reference.losses import curvature

MEMORY = 10


def inverse_hessian(pairs, H):
    """H of the pairs (s, y), oldest first, from the H before them."""
    for s, y in pairs:
        V = np.eye(len(s)) - np.outer(y, s) / (y @ s)
        H = V.T @ H @ V + np.outer(s, s) / (y @ s)
    return H


def length(slope):
    """A step at which the slope is a tenth of that at 0: growth, then parts of a bracket."""
    first, a, low, high = slope(0.0), 1.0, 0.0, np.inf
    at_low, at_high = first, np.inf
    for _ in range(20):
        here = slope(a)
        if abs(here) <= 0.1 * abs(first):
            break
        if here > 0:
            high, at_high = a, here
        else:
            low, at_low = a, here
        if np.isfinite(high):
            part = -at_low / (at_high - at_low)
            a = low + min(max(part, 0.1), 0.9) * (high - low)
        else:
            a *= min(max(first / (first - here), 2.0), 10.0) if here != first else 10.0
    return a


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) after each pass; the first one only looks."""
    a = arrays_of(problem)
    mean = a.s @ a.X / a.S if a.fit_intercept else 0.0
    top = curvature(a.kind) * (a.s @ ((a.X - mean) ** 2).sum(axis=1)) / a.S

    def gradient(w):
        z = a.X @ w
        u = a.derivatives(slice(None), z + best_intercept(a, z))
        return a.X.T @ (a.s[:, None] * u) / a.S + a.factor * a.l2 * w

    w = start[:-1].astype(float)
    pairs, path = [[] for _ in range(a.B)], [start, start]
    for _ in order[1:]:
        new, g = w.copy(), gradient(w)
        for b in range(a.B):
            k = slice(b * a.C, (b + 1) * a.C)
            p = np.zeros_like(w)
            first = 1 / top
            if pairs[b]:
                s, y = pairs[b][-1]
                first = (s @ y) / (y @ y)
            H = inverse_hessian(pairs[b][-MEMORY:], first * np.eye(w[:, k].size))
            p[:, k] = -(H @ g[:, k].ravel()).reshape(-1, a.C)
            step = length(lambda t, w=w, p=p: (gradient(w + t * p) * p).sum())
            new[:, k] += step * p[:, k]
        change = gradient(new) - g
        for b in range(a.B):
            k = slice(b * a.C, (b + 1) * a.C)
            pairs[b].append(((new - w)[:, k].ravel(), change[:, k].ravel()))
        w = new
        path.append(np.vstack([w, best_intercept(a, a.X @ w)]))
    return np.array(path)
