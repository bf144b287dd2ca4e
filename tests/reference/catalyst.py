"""Catalyst in NumPy, from Lin, Mairal, Harchaoui (JMLR 18, 2018), Algorithm 2, around MISO.

MISO of eq. (34) and (35) as a table of slopes v_i: the average of its parabolas, kappa / 2 ||w -
y||^2 and the penalty have their minimum at soft(kappa y - average of v_i x_i, l1) / (mu + kappa).
"""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.sdca import rounds


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row.

    A subproblem ends with a pass, or with several.
    """
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, K = len(a.X), a.B * a.C
    active = a.s > 0
    n_active = int(active.sum())
    L, least_p = 1 / (3 * t.gamma), t.p[active].min()
    kappa = np.maximum(L / (n_active + 1) - a.mu, 0)
    mu = a.mu + kappa
    theta = np.minimum(least_p, mu / (2 * L))
    q = a.mu / mu
    alpha = first = np.where(a.mu > 0, np.sqrt(q), (np.sqrt(5) - 1) / 2)
    w, b = start[:-1].astype(float), start[-1].astype(float)
    y, last, centre, v = w, w, b, np.zeros((n, K))
    path = [np.vstack([w, b])]

    def minimiser():
        pull = kappa * y - a.X.T @ (a.s[:, None] * v / a.S)
        slope = -(a.s @ v) / a.S
        return a.prox(pull / mu, 1 / mu, less=a.mu), centre + t.c2 / mu * slope

    for step, i in enumerate(order):
        if step % n_active == 0:
            centre = centre + (b - centre) / 2
            w, b = minimiser()
        delta = theta / t.p[i]
        v[i] = (1 - delta) * v[i] + delta * a.derivatives([i], (a.X[i] @ w + b)[None, :])[0]
        w, b = minimiser()
        path.append(np.vstack([w, b]))
        if (step + 1) % (n_active * rounds(kappa, a.mu)) == 0:
            # alpha_k^2 = (1 - alpha_k) alpha_{k-1}^2 + q alpha_k
            ahead = np.array(
                [np.roots([1, s2 - q_k, -s2]).max() for s2, q_k in zip(alpha**2, q, strict=True)]
            )
            beta = alpha * (1 - alpha) / (alpha**2 + ahead)
            product = (kappa * (y - w) * (w - last)).sum(axis=0)
            uphill = np.repeat([p.sum() > 0 for p in a.per_problem(product)], a.C) & (a.mu == 0)
            alpha, beta = np.where(uphill, first, ahead), np.where(uphill, 0, beta)
            y, last = w + beta * (w - last), w
    return np.array(path)
