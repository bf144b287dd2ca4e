"""SAG in NumPy, written from Schmidt, Le Roux, Bach (2017), Algorithm 1, with a prox.

Every step moves every coefficient: there is nothing lazy here.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row.

    y_i = 0 at the start; the step is 1 / L.
    """
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    gamma = 3 * t.gamma
    (n, d), K = a.X.shape, a.B * a.C
    w, b = np.zeros((d, K)), np.zeros(K)
    if start is not None:
        w, b = start[:-1].astype(float), start[-1].astype(float)
    y = np.zeros((n, K))
    path = [np.vstack([w, b])]
    for i in order:
        y[i] = a.derivatives([i], (a.X[i] @ w + b)[None, :])[0]
        weighted = a.s[:, None] * y / a.S
        w = a.prox(w - gamma * (a.X.T @ weighted), gamma)
        b = b - gamma * t.c2 * weighted.sum(axis=0)
        path.append(np.vstack([w, b]))
    return np.array(path)
