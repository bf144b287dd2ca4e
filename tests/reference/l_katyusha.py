"""L-Katyusha in NumPy, from Kovalev, Horvath, Richtarik (2020), Algorithm 2, l2 in the prox."""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.katyusha import restarted
from reference.l_svrg import coins


def iterates(problem, order, *, sampling="blocks", start=None):
    """y_k along the rows `order`, (len(order) + 1, d + 1, K); the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    (n, d), K = a.X.shape, a.B * a.C
    A = np.hstack([a.X, np.ones((n, 1))])
    metric = np.append(np.ones(d), t.c2)[:, None]
    L, active = 1 / (3 * t.gamma), int((a.s > 0).sum())
    y = z = before = candidate = start.astype(float)
    stage, tails, left = np.zeros(K), coins(active), 0
    path = [y]
    for step, i in enumerate(order):
        if left == 0:
            left, w = next(tails), candidate
            stored = a.derivatives(slice(None), A @ w)
            full = A.T @ (a.s[:, None] * stored / a.S)
            if step > 0:
                z, y, stage = restarted(a, (z, y, stage), w, before, full, 1 / L)
                path[-1] = y
            before = w
            sigma = a.mu / L
            theta1 = np.where(
                sigma > 0, np.minimum(np.sqrt(2 * sigma * active / 3), 0.5), 2 / (stage + 4)
            )
            theta2 = 0.5
            eta = theta2 / ((1 + theta2) * theta1)
        left -= 1
        candidate = y
        x = theta1 * z + theta2 * w + (1 - theta1 - theta2) * y
        change = a.derivatives([i], (A[i] @ x)[None, :])[0] - stored[i]
        g = full + t.q[i] * np.outer(A[i], change)
        last, z = z, a.prox_but_last(z - eta / L * metric * g, eta / L)
        y = x + theta1 * (z - last)
        path.append(y)
    return np.array(path)
