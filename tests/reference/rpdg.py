"""RPDG in NumPy, all vectors in full: Lan, Zhou (2018), Algorithm 3; docs/maths.md eq. (54)."""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.sdca import nesterov

LESS, INNER_PASSES = 0.1, 3


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`, after a full pass at the start."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, K = int((a.s > 0).sum()), a.B * a.C
    X = np.hstack([a.X, np.full((len(a.X), 1), np.sqrt(t.c2))])  # the constant column
    top = 1 / (3 * t.gamma)
    kappa = np.where(a.mu > 0, 0.0, LESS * top / n)
    mu, m = a.mu + kappa, 1 / t.p[t.p > 0].min()
    C = 4 * top / mu
    root = np.sqrt((m - 1) ** 2 + 4 * m * C)
    tau, eta = (root - (m - 1)) / (2 * m), mu * (root + m - 1) / 2
    alpha = eta / (eta + mu)
    unit = np.sqrt(t.c2) if a.fit_intercept else 1.0

    x = np.zeros((X.shape[1], K)) if start is None else start.astype(float)
    path, x = [x], np.vstack([x[:-1], x[-1:] / unit])
    center = old = before = x
    theta = np.ones(a.B)
    z = X @ x
    u = a.derivatives(slice(None), z)
    for step, i in enumerate(order):
        if step > 0 and step % (INNER_PASSES * n) == 0:
            scale = np.append(np.ones(X.shape[1] - 1), unit)[:, None]
            beta, theta = nesterov(a, center * scale, x * scale, old * scale, theta)
            center, old = x + np.where(a.mu > 0, 0.0, beta) * (x - old), x
        g = X.T @ (a.s[:, None] * u) / a.S
        ahead = x + alpha * (x - before)
        z[i] = (X[i] @ ahead + tau * z[i]) / (1 + tau)
        new = a.derivatives([i], z[i][None, :])[0]
        g = g + t.q[i] * np.outer(X[i], new - u[i])
        u[i] = new
        # argmin h(x) + kappa / 2 ||x - c||^2 + g' x + eta / 2 ||x - x_old||^2
        v = (eta * x - g + kappa * center) / (eta + kappa)
        w = a.prox(v[:-1], 1 / (eta + kappa))
        b = (eta * x[-1:] - g[-1:] + mu * center[-1:]) / (eta + mu)
        before, x = x, np.vstack([w, b if a.fit_intercept else x[-1:]])
        path.append(np.vstack([x[:-1], unit * x[-1:]]))
    return np.array(path)
