"""SketchyKatyusha in NumPy, from Frangella, Rathore, Zhao, Udell (2024), Algorithm 5."""

import numpy as np
from reference.sketchy import Sketched


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row.

    The coins come from a generator of their own, seeded by the first number of the fit's.
    """
    p = Sketched(problem, sampling, start)
    coins = np.random.Generator(np.random.PCG64(int(np.random.default_rng(1).integers(1 << 63))))
    z, left, path = p.w, 0, [p.start]
    for _, batch in p.batches(order):
        if left == 0:
            y, snapshot = p.w, p.derivatives(slice(None), p.w)
            left = int(coins.geometric(min(1.0, p.b / p.n)))
        left -= 1
        sigma = p.a.mu / p.rho / p.L
        theta1, theta2 = np.minimum(np.sqrt(2 / 3 * sigma * p.n / p.b), 0.5), 0.5
        eta = theta2 / ((1 + theta2) * theta1)
        x = theta1 * z + theta2 * y + (1 - theta1 - theta2) * p.w
        g = p.estimate(batch, p.derivatives(batch, x) - snapshot[batch]) + p.mean(snapshot)
        moved = eta * sigma * x + z - eta / p.L * p.solve(g + p.ridge * x)
        moved = moved / (1 + eta * sigma)
        p.w, z = x + theta1 * (moved - z), moved
        path += [p.plain(p.w)] * len(batch)
    return np.array(path)
