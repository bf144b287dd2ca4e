"""SketchySVRG in NumPy, from Frangella, Rathore, Zhao, Udell (2024), Algorithm 3."""

import numpy as np
from reference.sketchy import Sketched


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    p = Sketched(problem, sampling, start)
    path = [p.start]
    for first, batch in p.batches(order):
        if first:
            snapshot = p.derivatives(slice(None), p.w)
        g = p.estimate(batch, p.derivatives(batch, p.w) - snapshot[batch]) + p.mean(snapshot)
        p.w = p.w - p.eta() * p.solve(g + p.ridge * p.w)
        path += [p.plain(p.w)] * len(batch)
    return np.array(path)
