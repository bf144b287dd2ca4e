"""SGD with an Armijo line search: Vaswani et al. (2019), Algorithm 1, c = 1/2, option 0."""

import numpy as np
from reference.arrays import arrays_of, steps_of
from reference.intercept import best_intercept
from reference.losses import curvature
from reference.sgd import suffix_means


def iterates(problem, order, *, sampling="blocks", start=None):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; means at the ends of passes."""
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    n, L = int((a.s > 0).sum()), curvature(a.kind)
    null = best_intercept(a, np.zeros((len(a.X), a.B * a.C)))
    w, b = start[:-1].astype(float), start[-1].astype(float)
    eta, gathered, path = np.full(a.B, 30 * t.gamma), np.zeros(a.B), [np.vstack([w, b])]
    for step, i in enumerate(order):
        if step % n == 0:
            factor = np.ones(a.B)
            for k, z in enumerate(a.per_problem(null + a.offset)):
                value = a.s @ a.loss.value(a.Y[:, k], z) / a.S
                factor[k] = 1 / max(1.0, gathered[k] / (n * value))
        J = np.flatnonzero(a.held[i])
        norm = (a.X[i] ** 2).sum() + t.c2
        z = a.X[i] @ w + b
        u = a.derivatives([i], z[None])[0]
        w, b = w.copy(), b.copy()
        for k in range(a.B):
            c = slice(k * a.C, (k + 1) * a.C)

            def value(at, k=k):
                return a.loss.value(a.Y[[i], k], (at + a.offset[i, c])[None])[0]  # noqa: B023

            square = (u[c] ** 2).sum()
            while eta[k] * factor[k] * t.q[i] * norm * L > 1:
                part = eta[k] * factor[k] * t.q[i] * norm
                if value(z[c] - part * u[c]) <= value(z[c]) - part * square / 2:
                    break
                eta[k] /= 2
            length = eta[k] * factor[k]
            gathered[k] += length * norm * square * t.q[i] ** 2
            moved = w[J, c] - length * t.q[i] * np.outer(a.X[i, J], u[c])
            w[J, c] = a.prox(moved, length * t.D[J][:, None], J, c)
            b[c] -= length * t.c2 * t.q[i] * u[c]
        path.append(np.vstack([w, b]))
    return suffix_means(np.array(path), n)
