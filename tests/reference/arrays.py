"""What a Problem holds, as dense float64 NumPy arrays; and the constants of eq. (11) and (15)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from reference.losses import curvature, formula

from fastsum.losses import Loss


@dataclass
class Arrays:
    """X (n, d); held: where X stores an entry; Y (n, B): labels of each problem; offset (n, K).

    factor, lower, upper (d, 1): what the penalty of a feature has of its own, eq. (65).
    """

    X: np.ndarray
    held: np.ndarray
    Y: np.ndarray
    offset: np.ndarray
    s: np.ndarray
    B: int
    C: int
    l1: np.ndarray
    l2: np.ndarray
    factor: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    fit_intercept: bool
    kind: Loss

    @property
    def S(self):
        return self.s.sum()

    @property
    def loss(self):
        return formula(self.kind)

    @property
    def mu(self):
        """Strong convexity of the penalty, (K,)."""
        return self.l2 * self.factor.min()

    def prox(self, x, tau, rows=slice(None), columns=slice(None), less=0.0):
        """Eq. (66) of rows of w, the part `less` of l2 left out."""
        f, low, high = (part[rows] for part in (self.factor, self.lower, self.upper))
        shrunk = prox(x, tau, f * self.l1[columns], f * self.l2[columns] - less)
        return np.clip(shrunk, low, high)

    def prox_but_last(self, x, tau):
        """The same where the last row is the intercept."""
        return np.vstack([self.prox(x[:-1], tau), x[-1:]])

    def per_problem(self, K_axis):
        """(..., K) -> one (..., C) array a problem."""
        return np.split(K_axis, self.B, axis=-1)

    def derivatives(self, i, z):
        """l'(z + o) (len(i), K) of the rows i at their margins z (len(i), K) without offset."""
        parts = self.per_problem(z + self.offset[i])
        return np.hstack([self.loss.derivative(self.Y[i, b], part) for b, part in enumerate(parts)])


def arrays_of(problem):
    dense, held = zip(*(_block(block) for block in problem.rows.blocks), strict=True)
    X = np.vstack(dense)
    columns, n = problem.columns, len(X)
    if columns.targets == "one_vs_rest":
        Y = np.where(problem.y[:, None] == np.arange(columns.n_problems), 1.0, -1.0)
    else:
        Y = problem.y.reshape(n, columns.n_problems)
    repeat = columns.n_outputs
    alpha = np.repeat(problem.penalty.alpha, repeat)
    ratio = np.repeat(problem.penalty.l1_ratio, repeat)
    own, d = problem.penalty.own, X.shape[1]
    parts = (1.0, -np.inf, np.inf) if own is None else (own.factor, own.lower, own.upper)
    factor, lower, upper = (np.broadcast_to(part, d)[:, None] for part in parts)
    s = np.ones(n) if problem.sample_weight is None else problem.sample_weight
    return Arrays(
        X=X,
        held=np.vstack(held),
        Y=Y,
        offset=np.zeros((n, problem.K)) if problem.offset is None else problem.offset,
        s=np.asarray(s),
        B=columns.n_problems,
        C=repeat,
        l1=alpha * ratio,
        l2=alpha * (1 - ratio),
        factor=factor,
        lower=lower,
        upper=upper,
        fit_intercept=problem.fit_intercept,
        kind=problem.loss,
    )


def _block(block):
    if block.storage == "dense":
        X = np.asarray(block.values, dtype=np.float64)
        return X, np.ones(X.shape, dtype=bool)
    shape = (block.n_rows, block.n_cols)
    ones = np.ones(len(block.indices))
    held = sp.csr_array((ones, block.indices, block.indptr), shape=shape).toarray() != 0
    if block.storage == "ones":
        return held.astype(np.float64), held
    values = np.asarray(block.values, dtype=np.float64)
    return sp.csr_array((values, block.indices, block.indptr), shape=shape).toarray(), held


@dataclass
class Steps:
    """p_i, q_i, D_j of eq. (11), c^2 and gamma of eq. (15)."""

    p: np.ndarray
    q: np.ndarray
    D: np.ndarray
    c2: float
    gamma: float


def steps_of(a, sampling):
    norms = (a.X**2).sum(axis=1)
    c2 = 0.1 * (a.s @ norms) / a.S if a.fit_intercept else 0.0
    sL = a.s * curvature(a.kind) * (norms + c2)
    active = a.s > 0
    n = active.sum()
    p = active / n
    if sampling == "importance":
        p = np.where(active, 1 / (2 * n) + sL / (2 * sL.sum()), 0.0)
    q = np.divide(a.s, a.S * p, out=np.zeros_like(p), where=active)
    L = np.divide(sL, a.s, out=np.zeros_like(p), where=active)
    mass = (p[:, None] * a.held).sum(axis=0)
    D = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
    return Steps(p, q, D, c2, 1 / (3 * (q * L).max()))


def prox(x, tau, l1, l2):
    """Eq. (4)."""
    return np.sign(x) * np.maximum(np.abs(x) - tau * l1, 0.0) / (1 + tau * l2)
