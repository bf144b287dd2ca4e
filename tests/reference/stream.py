"""Streaming SGD and SVRG in NumPy, row by row; docs/maths.md eq. (59), (75), (76)."""

import numpy as np
from reference.arrays import arrays_of, prox
from reference.losses import curvature


class Seen:
    """The constants of eq. (75)."""

    def __init__(self):
        self.n, self.s, self.square, self.longest, self.heaviest, self.held = (
            0,
            0.0,
            0.0,
            0.0,
            0.0,
            0.0,
        )

    def add(self, a):
        norms = (a.X**2).sum(axis=1)
        self.n += len(a.X)
        self.s += a.s.sum()
        self.square += a.s @ norms
        self.longest = max(self.longest, (a.s * norms).max())
        self.heaviest = max(self.heaviest, a.s.max())
        self.held = self.held + a.held.sum(axis=0)
        self.mean = self.s / self.n
        self.c2 = 0.1 * self.square / self.s if a.fit_intercept else 0.0
        top = curvature(a.kind) * (self.longest + self.c2 * self.heaviest) / self.mean
        self.gamma = 1 / (3 * top)
        self.D = self.n / np.maximum(self.held, 1)


def sgd(batches, seed):
    """Weights (d + 1, K) after each batch: means since the last power of two but one."""
    rng, seen, w, path, out = np.random.default_rng(seed), Seen(), None, [], []
    ends, first = [], None
    for problem in batches:
        a = arrays_of(problem)
        seen.add(a)
        first = first or len(a.X)
        if w is None:
            w, b = np.zeros((a.X.shape[1], a.B * a.C)), np.zeros(a.B * a.C)
        # a stretch ends with the first batch that makes it as long as all before
        began = ends[-1] if ends else 0
        if len(path) - began >= max(began, 1):
            ends.append(len(path))
        t0 = len(path)
        rate = np.where(a.l2 > 0, seen.gamma * a.l2 / 4, 1 / first)
        power = np.where(a.l2 > 0, 1.0, 0.5)
        for t, i in enumerate(rng.permutation(len(a.X))):
            eta = seen.gamma * (1 + rate * (t0 + t)) ** -power
            u = a.derivatives([i], (a.X[i] @ w + b)[None])[0]
            q, J = a.s[i] / seen.mean, np.flatnonzero(a.held[i])
            w = w.copy()
            step = eta * q * np.outer(a.X[i, J], u)
            w[J] = prox(w[J] - step, eta * seen.D[J][:, None], a.l1, a.l2)
            b = b - eta * q * seen.c2 * u
            path.append(np.vstack([w, b]))
        out.append(np.mean(path[ends[-2] if len(ends) > 1 else 0 :], axis=0))
    return out


def svrg(batches, seed):
    """Weights (d + 1, K) after each batch."""
    rng, seen, w, out = np.random.default_rng(seed), Seen(), None, []
    rows, left, k = [], 0, None
    for problem in batches:
        a = arrays_of(problem)
        seen.add(a)
        if w is None:
            w, b = np.zeros((a.X.shape[1], a.B * a.C)), np.zeros(a.B * a.C)
            k, snapshot = len(a.X), (w, b)
        order = rng.permutation(len(a.X))
        begin = 0
        while begin < len(order):
            if left == 0:
                i = order[begin : begin + k - len(rows)]
                z = a.X[i] @ snapshot[0] + snapshot[1]
                u = a.derivatives(i, z)
                rows += [(s, np.outer(np.append(x, 1.0), r)) for s, x, r in zip(a.s[i], a.X[i], u)]  # noqa: B905
                begin += len(i)
                if len(rows) == k:
                    total = sum(s for s, _ in rows)
                    full = sum(s * g for s, g in rows) / total
                    left, rows = k, []
                continue
            chunk = np.sort(order[begin : begin + left])
            for i in chunk[rng.permutation(len(chunk))]:
                x, J, q = a.X[i], np.flatnonzero(a.held[i]), a.s[i] / seen.mean
                u = a.derivatives([i, i], np.stack([x @ w + b, x @ snapshot[0] + snapshot[1]]))
                change, D = q * (u[0] - u[1]), seen.D[J][:, None]
                w = w.copy()
                g = np.outer(x[J], change) + D * full[J]
                w[J] = prox(w[J] - seen.gamma * g, seen.gamma * D, a.l1, a.l2)
                b = b - seen.gamma * seen.c2 * (change + full[-1])
            begin, left = begin + len(chunk), left - len(chunk)
            if left == 0:
                snapshot, k = (w, b), 2 * k
        out.append(np.vstack([w, b]))
    return out
