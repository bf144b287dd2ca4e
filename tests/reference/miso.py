"""Prox-MISO in NumPy, from Lin, Mairal, Harchaoui (2015), Algorithm 2: one point z_i a row.

(w, b / c) is one vector, that of the row (x_i, c). The terms are l_i + mu / 2 ||w - w_c||^2; w_c is
0 for the coefficients under an l2 penalty, mu = l2, and else the centre of a proximal point.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, d = a.X.shape
    active = a.s > 0
    n_active, K = int(active.sum()), a.B * a.C
    c = np.sqrt(t.c2)
    X = np.hstack([a.X, np.full((n, 1), c)])
    least_p, L = t.p[active].min(), 1 / (3 * t.gamma)  # L = max q_i L_i
    ridge = a.mu > 0
    mu = np.where(ridge, a.mu, 2 * L * least_p)
    theta = np.minimum(least_p, mu / (2 * L))
    z = np.zeros((n, d + 1, K))  # without the centre
    share = (a.s / a.S)[:, None, None]

    def scaled(W):
        return np.vstack([W[:-1], W[-1:] / c if c > 0 else 0 * W[-1:]])

    def point(z, centre):
        y = (share * z).sum(axis=0) + centre
        y[:-1] = a.prox(y[:-1], 1 / mu, less=a.mu)
        return y

    y = scaled(start.astype(float))
    free = np.ones((d + 1, K))
    free[:-1] = ~ridge
    centre, path = free * y, [start.astype(float)]
    for step, i in enumerate(order):
        if step % n_active == 0:
            centre = centre + free * (y - centre) / 2
            y = point(z, centre)
        u = a.derivatives([i], X[[i]] @ y)
        delta = theta / t.p[i]
        # z_i <- (1 - delta) z_i + delta (y - grad f_i(y) / mu)
        z[i] = (1 - delta) * z[i] + delta * (y - centre - (X[[i]].T @ u / mu + (y - centre)))
        y = point(z, centre)
        path.append(np.vstack([y[:-1], c * y[-1:]]))
    return np.array(path)
