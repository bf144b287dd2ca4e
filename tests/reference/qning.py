"""QNing in NumPy, from Lin, Mairal, Harchaoui (2019), Algorithm 1, around MISO as in catalyst.py.

H is a matrix. The rows are those of MISO's passes, two for each trial x.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.intercept import best_intercept
from reference.lbfgs import inverse_hessian

BUDGET, MEMORY = 2, 20


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, K = len(a.X), a.B * a.C
    active = a.s > 0
    n_active = int(active.sum())
    L, least_p = 1 / (3 * t.gamma), t.p[active].min()
    kappa = np.maximum(L / (n_active + 1) - a.mu, 0)
    mu = a.mu + kappa
    theta = np.minimum(least_p, mu / (2 * L))
    blocks = [slice(b * a.C, (b + 1) * a.C) for b in range(a.B)]
    w, centre, v = start[:-1].astype(float), start[-1].astype(float), np.zeros((n, K))
    b, x, path = centre, w, [start.astype(float)]
    known = [None] * a.B  # (x_k, g_k, F_k)
    pairs = [[] for _ in blocks]

    def minimiser():
        pull = kappa * x - a.X.T @ (a.s[:, None] * v / a.S)
        slope = -(a.s @ v) / a.S
        return a.prox(pull / mu, 1 / mu, less=a.mu), centre + t.c2 / mu * slope

    def envelope(w, x):
        z = a.X @ w
        z = z + best_intercept(a, z)
        h = a.factor * (a.l1 * np.abs(w) + a.l2 / 2 * w**2) + kappa / 2 * (x - w) ** 2
        loss = [
            a.s @ a.loss.value(a.Y[:, j], part) / a.S for j, part in enumerate(a.per_problem(z))
        ]
        return [loss[j] + h[:, k].sum() for j, k in enumerate(blocks)]

    def next_trial(j, k, value):
        """x_k+1 or x_k, and the trial that follows."""
        here, g, c = x[:, k].ravel(), (kappa * (x - w))[:, k].ravel(), kappa[k][0]
        old, per_c = known[j], 1 / c if c > 0 else 0.0  # MISO alone for kappa = 0
        if old is None or value <= old[2] - old[1] @ old[1] * per_c / 4:
            pair = None if old is None else (here - old[0], g - old[1])
            if pair is not None:
                s, y = pair
                strong = a.mu[k][0] / (1 + a.mu[k][0] * per_c)
                good = c > 0 and s @ y >= max(strong * (s @ s), per_c * (y @ y))
                pair = pair if good else None
            pairs[j].append(pair)
            known[j] = (here, g, value)
            kept = [p for p in pairs[j][-MEMORY:] if p is not None]
            step = inverse_hessian(kept, per_c * np.eye(len(g))) @ g
        else:
            pairs[j].append(None)
            here, g, _ = old
            step = per_c * g
        return (known[j][0] - step).reshape(-1, a.C)

    for step, i in enumerate(order):
        if step % n_active == 0:
            centre = centre + (b - centre) / 2
            w, b = minimiser()
        delta = theta / t.p[i]
        v[i] = (1 - delta) * v[i] + delta * a.derivatives([i], (a.X[i] @ w + b)[None, :])[0]
        w, b = minimiser()
        path.append(np.vstack([w, b]))
        if (step + 1) % (BUDGET * n_active) == 0:
            values = envelope(w, x)
            x = np.hstack([next_trial(j, k, values[j]) for j, k in enumerate(blocks)])
    return np.array(path)
