"""SARAH in NumPy, from Nguyen et al. (2017), Algorithm 1, with a prox and rows weighted by q_i.

Every step moves every coefficient: there is nothing lazy here. A round is n steps.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    gamma = 3 / 2 * t.gamma
    m = int((a.s > 0).sum())
    w, b = start[:-1].astype(float), start[-1].astype(float)
    path = [np.vstack([w, b])]
    for step in range(len(order)):
        if step % m == 0:
            weighted = a.s[:, None] * a.derivatives(slice(None), a.X @ w + b) / a.S
            v, v_b = a.X.T @ weighted, weighted.sum(axis=0)
        else:
            before = order[step - 1]  # drawn for the gradient at this point
            x, last = a.X[[before]], path[-2]
            difference = a.derivatives([before], x @ w + b)
            difference = difference - a.derivatives([before], x @ last[:-1] + last[-1])
            v = v + t.q[before] * x.T @ difference
            v_b = v_b + t.q[before] * difference[0]
        w = a.prox(w - gamma * v, gamma)
        b = b - gamma * t.c2 * v_b
        path.append(np.vstack([w, b]))
    return np.array(path)
