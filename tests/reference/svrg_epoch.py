"""One epoch of preconditioned SVRG in NumPy, from docs/maths.md eq. (11), (12), (14).

Threads are told one after the other: each steps through its share of the rows on its own copy of
the weights; after each of `n_merges` stretches the changes of all copies are added, damped.
"""

import numpy as np
from reference.arrays import arrays_of


def shares(begin, end, n_parts):
    """[begin, end) in n_parts consecutive parts."""
    size = end - begin
    return [
        (begin + size * t // n_parts, begin + size * (t + 1) // n_parts) for t in range(n_parts)
    ]


def epoch(problem, order, start, *, P, eta, correction, damping, n_merges, n_threads):
    """Weights (d + 1,) after steps on the rows `order` from `start`, which is the snapshot.

    P (d + 1,): the metric, the intercept's last; correction (n,): c_i, 1 / p_i times s_i / S.
    """
    a = arrays_of(problem)
    w = np.asarray(start, dtype=float).copy()
    held = np.hstack([a.held, np.ones((len(a.held), 1), dtype=bool)])
    X = np.hstack([a.X, np.ones((len(a.X), 1))])
    snapshot = a.derivatives(slice(None), (X @ w)[:, None])[:, 0]
    full = X.T @ (a.s * snapshot) / a.S
    visited = (a.s > 0).sum()
    mass = held[a.s > 0].sum(axis=0) / visited  # how often a step meets the column
    D = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
    l2 = np.append(np.full(len(w) - 1, a.l2[0]), 0.0)
    full[-1] = 0.0  # the intercept is the best one for the snapshot

    def steps(w, rows):
        w = w.copy()
        for i in rows:
            u = a.derivatives([i], np.array([[X[i] @ w]]))[0, 0]
            J = np.flatnonzero(held[i])
            direction = correction[i] * (u - snapshot[i]) * X[i, J] + D[J] * full[J]
            tau = eta * P[J]
            w[J] = (w[J] - tau * direction) / (1 + tau * D[J] * l2[J])
        return w

    if n_threads == 1:
        return steps(w, order)
    for begin, end in shares(0, len(order), n_merges):
        moved = [steps(w, order[x:y]) - w for x, y in shares(begin, end, n_threads)]
        w = w + damping * np.sum(moved, axis=0)
    return w
