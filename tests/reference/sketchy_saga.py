"""SketchySAGA in NumPy, from Frangella, Rathore, Zhao, Udell (2024), Algorithm 4."""

import numpy as np
from reference.sketchy import Sketched


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    p = Sketched(problem, sampling, start)
    table = np.zeros((len(p.X), p.a.B))
    path = [p.start]
    for _, batch in p.batches(order):
        u = p.derivatives(batch, p.w)
        g = p.estimate(batch, u - table[batch]) + p.mean(table)
        p.w = p.w - p.eta() * p.solve(g + p.ridge * p.w)
        table[batch] = u
        path += [p.plain(p.w)] * len(batch)
    return np.array(path)
