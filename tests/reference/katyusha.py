"""Katyusha in NumPy, written from Allen-Zhu (JMLR 2018), Algorithms 1 and 2 with Option II.

The intercept is the coefficient of a constant column, which a step c^2 times as long stands for.
"""

import numpy as np
from reference.arrays import arrays_of, steps_of

EPOCH = 2  # passes of steps between snapshots


def couplings(sigma, L, m, stage):
    """tau_1, tau_2, alpha of one column in epoch `stage` since its (re)start."""
    tau1 = min(np.sqrt(m * sigma / (3 * L)), 0.5) if sigma > 0 else 2 / (stage + 4)
    return tau1, 0.5, 1 / (3 * tau1 * L)


def iterates(problem, order, *, sampling="blocks", start=None, couple=couplings):
    """Weights (len(order) + 1, d + 1, K) along the rows `order`; the intercept is the last row.

    y_k inside an epoch, the new snapshot at its end.
    """
    a = arrays_of(problem)
    t = steps_of(a, sampling)
    (n, d), K = a.X.shape, a.B * a.C
    A = np.hstack([a.X, np.ones((n, 1))])
    metric = np.append(np.ones(d), t.c2)[:, None]
    L = 1 / (3 * t.gamma)
    snapshot = np.zeros((d + 1, K)) if start is None else start.astype(float)
    z, y, before = snapshot, snapshot, snapshot
    m, stage = EPOCH * int((a.s > 0).sum()), np.zeros(K)
    path = [snapshot]
    for step, i in enumerate(order):
        if step % m == 0:
            stored = a.derivatives(slice(None), A @ snapshot)
            full = A.T @ (a.s[:, None] * stored / a.S)
            if step > 0:
                z, y, stage = restarted(a, (z, y, stage), snapshot, before, full, 1 / L)
            tau1, tau2, alpha = (
                np.array(part)
                for part in zip(*(couple(a.mu[k], L, m, stage[k]) for k in range(K)), strict=True)
            )
            visited = []
        x = tau1 * z + tau2 * snapshot + (1 - tau1 - tau2) * y
        change = a.derivatives([i], (A[i] @ x)[None, :])[0] - stored[i]
        gradient = full + t.q[i] * np.outer(A[i], change)
        last, z = z, a.prox_but_last(z - alpha * metric * gradient, alpha)
        y = x + tau1 * (z - last)
        visited.append(y)
        path.append(y)
        if len(visited) == m:
            theta = (1 + alpha * a.mu) ** -np.arange(m - 1.0, -1, -1)[:, None]  # over theta^(m-1)
            before = snapshot
            snapshot = np.einsum("mk,mjk->jk", theta, visited) / theta.sum(axis=0)
            path[-1] = snapshot
    return np.array(path)


def restarted(a, points, snapshot, before, full, step):
    """z, y and the stage of a new epoch: begun anew where the objective has no l2 part and the
    proximal gradient at the snapshot points back along the way to it."""
    z, y, stage = points
    mapped = (snapshot - a.prox_but_last(snapshot - step * full, step)) / step
    product = ((snapshot - before) * mapped).sum(axis=0)
    uphill = np.concatenate([np.full(a.C, part.sum() > 0) for part in a.per_problem(product)])
    uphill &= a.mu == 0
    return (
        np.where(uphill, snapshot, z),
        np.where(uphill, snapshot, y),
        np.where(uphill, 0, stage + 1),
    )
