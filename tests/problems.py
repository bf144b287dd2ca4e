"""Problems for the tests: small random ones of every kind, and ones whose optimum was planted."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from fastsum import Problem
from fastsum.columns import Columns
from fastsum.data import Rows, as_rows
from fastsum.losses import LOSSES

STORAGES = ("dense", "csr", "ones")
DTYPES = (np.float64, np.float32)
# Share of l1 that makes each penalty of the registry.
L1_RATIOS = {"none": 0.0, "l2": 0.0, "l1": 1.0, "elasticnet": 0.6}


def layouts(loss):
    """Names of the K axes that a loss can have."""
    if LOSSES[loss].coupled:
        return ("coupled",)
    return ("single", "multi") if LOSSES[loss].domain == "real" else ("single", "one_vs_rest")


def all_layouts(losses):
    return [(loss, layout) for loss in losses for layout in layouts(loss)]


# For every method; for Newton's, which needs no largest curvature; for those that take kinks.
LOSS_LAYOUTS = all_layouts([name for name, loss in LOSSES.items() if loss.smooth])
CURVED_LAYOUTS = all_layouts([name for name, loss in LOSSES.items() if not loss.kinked])
KINKED_LAYOUTS = all_layouts([name for name, loss in LOSSES.items() if loss.kinked])


def random_matrix(rng, n, d, storage, *, dtype=np.float64):
    """A matrix with an empty row and an empty column where it is sparse; exact in float32."""
    values = np.round(rng.standard_normal((n, d)) * 64) / 64
    if storage == "dense":
        return values.astype(dtype)
    held = rng.random((n, d)) < 0.4
    held[n // 2], held[:, d // 2] = False, False
    dense = np.where(held, 1.0 if storage == "ones" else values + 0.5 / 64, 0.0)
    return sp.csr_array(dense.astype(dtype))


def random_labels(rng, X, loss, layout, n_outputs=3):
    """Labels that depend on X a little: (n,) or, for several targets, (n, n_outputs)."""
    d = X.shape[1]
    scores = np.asarray(X @ rng.standard_normal((d, n_outputs)) / np.sqrt(d), dtype=float)
    scores += rng.standard_normal(scores.shape) + rng.standard_normal(n_outputs)
    if loss == "poisson":
        scores = rng.poisson(np.exp(scores)).astype(float)
    if LOSSES[loss].domain == "real":
        return scores if layout == "multi" else scores[:, 0]
    if layout == "single":
        return np.where(scores[:, 0] > np.median(scores[:, 0]), 1.0, -1.0)
    codes = scores.argmax(axis=1)
    codes[:n_outputs] = np.arange(n_outputs)
    return codes.astype(float)


def random_weights(rng, n, kind):
    """None, positive weights of mean about 1, or the same with a third of them 0."""
    if kind == "none":
        return None
    weights = rng.uniform(0.2, 2.0, n)
    if kind == "zeros":
        weights[3::3] = 0.0
    return weights


def random_problem(
    seed,
    loss="logistic",
    layout="single",
    *,
    n=40,
    d=7,
    storage="dense",
    dtype=np.float64,
    weights="none",
    fit_intercept=True,
    penalty="l2",
    alpha=0.05,
    n_blocks=1,
    offset=False,
):
    """A small problem of any kind; the same data for the same seed, loss and layout."""
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, n, d, storage, dtype=dtype)
    y = random_labels(rng, X, loss, layout)
    width = y.shape[1] if y.ndim == 2 else 1 if layout == "single" else int(y.max()) + 1
    return Problem(
        split_rows(X, n_blocks) if n_blocks > 1 else X,
        y,
        loss=loss,
        alpha=0.0 if penalty == "none" else alpha,
        l1_ratio=L1_RATIOS[penalty],
        sample_weight=random_weights(rng, n, weights),
        fit_intercept=fit_intercept,
        columns=Columns.one_vs_rest(int(y.max()) + 1) if layout == "one_vs_rest" else None,
        offset=random_offset(rng, n, width) if offset else None,
    )


def random_offset(rng, n, width=1):
    """Of a size that a model without it would not fit, with a mean of its own; (n, width)."""
    return rng.standard_normal((n, width)) + 0.5


def split_rows(X, n_blocks):
    """Rows of X as several blocks of unequal length."""
    cuts = [X.shape[0] * k * (k + 1) // (n_blocks * (n_blocks + 1)) for k in range(n_blocks + 1)]
    parts = [as_rows(X[a:b]) for a, b in pairwise(cuts)]
    return Rows(tuple(part.blocks[0] for part in parts), parts[0].dtype)


@dataclass(frozen=True)
class Planted:
    """A problem whose solution is known because the data were built around it."""

    problem: Problem
    coef: Any
    intercept: float
    objective: float


def _residuals(loss, s, y, z):
    u = [LOSSES[loss].derivative(z_i, y_i)[0] for z_i, y_i in zip(z, y, strict=True)]
    return s * np.array(u) / s.sum()


def planted(
    seed, loss, *, n=30, d=6, penalty="l2", weights="none", fit_intercept=True, offset=False
):
    """Chooses w, b and the margins z, then X and alpha such that they are optimal.

    With u = l'(z) and r = s u / S, optimality is X w = z - o - b for an offset o, X' r = -v for a
    v in the subdifferential of the penalty at w, and sum r = 0. X starts random and is corrected by
    two matrices of rank one; the two systems agree if -r'(z - o) = v'w, which fixes alpha.
    """
    rng = np.random.default_rng(seed)
    s = random_weights(rng, n, weights)
    s = np.ones(n) if s is None else s
    ratio, alpha = L1_RATIOS[penalty], 0.0
    while alpha <= 0:  # some draws need a negative strength
        z = rng.standard_normal(n)
        if loss == "poisson":
            y = rng.poisson(np.exp(z)).astype(float)
        elif LOSSES[loss].domain == "real":
            y = 2.0 * z + 0.3 * rng.standard_normal(n)
        else:
            y = np.where(z + 0.3 * rng.standard_normal(n) > 0, 1.0, -1.0)
        if fit_intercept:
            z = z + scipy.optimize.brentq(
                lambda t, y, z: _residuals(loss, s, y, z + t).sum(), -20, 20, (y, z), xtol=1e-15
            )
        r = _residuals(loss, s, y, z)
        w = rng.standard_normal(d)
        if ratio > 0:
            w[::2] = 0.0
        o = random_offset(rng, n)[:, 0] if offset else np.zeros(n)
        alpha = -(r @ (z - o)) / (ratio * np.abs(w).sum() + (1 - ratio) * w @ w)
    b = 0.7 if fit_intercept else 0.0
    inside = np.where(w != 0, np.sign(w), rng.uniform(-0.9, 0.9, d))
    v = alpha * (ratio * inside + (1 - ratio) * w)

    X = rng.standard_normal((n, d))
    e, f = z - o - b - X @ w, -v - X.T @ r
    X += np.outer(e, w) / (w @ w) + np.outer(r, f) / (r @ r)
    X -= np.outer(r, w) * (r @ e) / ((r @ r) * (w @ w))

    problem = Problem(
        X,
        y,
        loss=loss,
        alpha=alpha,
        l1_ratio=ratio,
        sample_weight=None if weights == "none" else s,
        fit_intercept=fit_intercept,
        offset=o,
    )
    values = [LOSSES[loss].value(z_i, y_i) for z_i, y_i in zip(z, y, strict=True)]
    penalty_value = alpha * (ratio * np.abs(w).sum() + (1 - ratio) / 2 * w @ w)
    return Planted(problem, w, b, s @ np.array(values) / s.sum() + penalty_value)


def dense_values(rows):
    """X of Rows as a dense array."""
    return rows.columns(np.arange(rows.n_cols))
