"""Point-SAGA in NumPy, written from Defazio (NIPS 2016), Algorithm 1.

Every proximal step is found as the minimiser of its dual by scipy, to the last digits: no linear
model of it, no formula of one loss.
"""

import numpy as np
import scipy.optimize
from reference.arrays import arrays_of, steps_of


def gammas(a, L, n):
    mu = np.where(a.mu > 0, a.mu, 0.01 * L / n)
    return np.sqrt((n - 1) ** 2 + 4 * n * L / mu) / (2 * L * n) - (1 - 1 / n) / (2 * L)


def slopes(a, i, margins, start):
    """The u (K,) that are the slopes of the loss at margins(u): one output by a bracket."""
    u = start.copy()
    for b in range(a.B):
        part = slice(b * a.C, (b + 1) * a.C)

        def off(v, part=part, b=b):
            full = u.copy()
            full[part] = v
            return v - a.loss.derivative(a.Y[[i], b], (margins(full) + a.offset[i])[None, part])[0]

        if a.C > 1:
            u[part] = scipy.optimize.root(off, u[part], method="hybr", options={"xtol": 1e-15}).x
            continue
        low = high = u[b]
        wide = 1e-3
        while off(np.array([low]))[0] > 0 or off(np.array([high]))[0] < 0:
            low, high, wide = u[b] - wide, u[b] + wide, 2 * wide
        if low < high:
            u[b] = scipy.optimize.brentq(
                lambda v: off(np.array([v]))[0], low, high, xtol=1e-15, rtol=1e-15
            )
    return u


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    (n, d), K = a.X.shape, a.B * a.C
    A = np.hstack([a.X, np.ones((n, 1))])
    metric = np.append(np.ones(d), t.c2)[:, None]
    gamma = gammas(a, 1 / (3 * t.gamma), int((a.s > 0).sum()))
    x, table, mean = start.astype(float), np.zeros((n, K)), np.zeros((d + 1, K))
    path = [x]
    for j in order:
        z = x + gamma * metric * (t.q[j] * np.outer(A[j], table[j]) - mean)

        def after(u, z=z, j=j):
            return a.prox_but_last(z - gamma * metric * t.q[j] * np.outer(A[j], u), gamma)

        u = slopes(a, j, lambda u: A[j] @ after(u), table[j])  # noqa: B023
        x = after(u)
        mean = mean + a.s[j] / a.S * np.outer(A[j], u - table[j])
        table[j] = u
        path.append(x)
    return np.array(path)
