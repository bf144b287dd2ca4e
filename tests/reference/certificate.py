"""The certificate in NumPy: eq. (1), (5)-(7), (10) of docs/maths.md, primal minus dual."""

import numpy as np
import scipy.optimize
from reference.arrays import arrays_of


def objectives(problem, w, b):
    """F(w, b) of each problem, (B,)."""
    a = arrays_of(problem)
    w = np.asarray(w, dtype=float).reshape(a.X.shape[1], -1)
    z = a.per_problem(a.X @ w + b + a.offset)
    data = [a.s @ a.loss.value(a.Y[:, k], z[k]) / a.S for k in range(a.B)]
    inside = (a.lower <= w) & (w <= a.upper)
    terms = a.factor * (a.l1 * np.abs(w) + a.l2 / 2 * w**2)
    return np.array(data) + _per_problem(a, np.where(inside, terms, np.inf))


def intercept_slope(problem, w, b):
    """(1/S) sum s u at the intercept b, (K,): 0 at the best one, eq. (7)."""
    a = arrays_of(problem)
    return a.s @ a.derivatives(slice(None), a.X @ w + b) / a.S


def gaps(problem, w, b):
    """The smallest F - D of the dual points c u with the c of eq. (6), c = 1 or c = 0, (B,)."""
    a = arrays_of(problem)
    w = np.asarray(w, dtype=float)
    u = a.derivatives(slice(None), a.X @ w + b)
    v = -a.X.T @ (a.s[:, None] * u) / a.S
    F = objectives(problem, w, b)
    out = np.full(a.B, np.inf)
    for k in range(a.B):
        columns = slice(k * a.C, (k + 1) * a.C)
        l1, l2, v_k = a.l1[columns], a.l2[columns], v[:, columns]
        if (a.factor != 1).any() or np.isfinite([a.lower, a.upper]).any():
            out[k] = own_gap(a, k, F[k], u[:, columns], v_k)
            continue
        if not (l1 + l2).any():
            continue
        scales = [0.0, 1.0] if (l2 > 0).all() else [0.0]
        if (l1 > 0).all():
            scales.append(min(1.0, l1[0] / np.abs(v_k).max()))
        for c in scales:
            conjugate = a.s @ a.loss.conjugate(a.Y[:, k], c * u[:, columns]) / a.S
            conjugate -= c * (a.s[:, None] * u[:, columns] * a.offset[:, columns]).sum() / a.S
            excess = np.maximum(np.abs(c * v_k) - l1, 0.0)
            if (l2 > 0).all():
                conjugate += (excess**2 / (2 * l2)).sum()
            out[k] = min(out[k], F[k] + conjugate)
    return out


def own_gap(a, k, F, u, v):
    """F - D where features have factors and bounds, the best of a grid of c and of eq. (68)'s.

    h_j*(v) is the largest of v w - h_j(w) at the points where its slope can be 0.
    """
    columns = slice(k * a.C, (k + 1) * a.C)
    l1, l2 = a.factor * a.l1[columns], a.factor * a.l2[columns]
    end = np.where(v > 0, a.upper, a.lower)
    inside = np.where(np.isinf(end) & (l1 > 0), l1 / np.maximum(np.abs(v), 1e-300), 1.0)
    best, flat = np.inf, np.where(l2 > 0, 1.0, inside)
    top, least = min(1.0, flat.min()), min(1.0, inside.min())
    for c in (least, *(top * np.linspace(0, 1, 11))):
        t = np.sign(v) * np.maximum(c * np.abs(v) * (1 - 1e-15) - l1, 0.0)
        free = np.divide(t, l2, out=np.where(t == 0, 0.0, end), where=l2 > 0)
        w = np.clip(free, a.lower, a.upper)
        conjugate = a.s @ a.loss.conjugate(a.Y[:, k], c * u) / a.S
        best = min(best, F + conjugate + (c * v * w - l1 * np.abs(w) - l2 / 2 * w**2).sum())
    return best


def subgradients(problem, w, b):
    """Norm of the minimum-norm subgradient of F in w, (B,)."""
    a = arrays_of(problem)
    w = np.asarray(w, dtype=float)
    g = a.X.T @ (a.s[:, None] * a.derivatives(slice(None), a.X @ w + b)) / a.S
    g += a.factor * a.l2 * w
    l1 = a.factor * a.l1
    at_zero = np.sign(g) * np.maximum(np.abs(g) - l1, 0.0)
    g = np.where(w != 0, g + l1 * np.sign(w), at_zero)
    held = ((w >= a.upper) & (g < 0)) | ((w <= a.lower) & (g > 0))
    return np.sqrt(_per_problem(a, np.where(held, 0.0, g) ** 2))


def optimum(problem):
    """min F of each problem, (B,), by scipy's L-BFGS-B on w = p - n with p, n >= 0."""
    a = arrays_of(problem)
    d, C = a.X.shape[1], a.C
    best = []
    for k in range(a.B):
        columns, y = slice(k * C, (k + 1) * C), a.Y[:, k]
        o = a.offset[:, columns]
        l1, l2 = a.factor * a.l1[columns], a.factor * a.l2[columns]

        def goal(t, y=y, l1=l1, l2=l2, o=o):
            p, n = t[: 2 * d * C].reshape(2, d, C)
            b = t[2 * d * C :] if a.fit_intercept else np.zeros(C)
            w = p - n
            z = a.X @ w + b + o
            r = a.s[:, None] * a.loss.derivative(y, z) / a.S
            g = a.X.T @ r + l2 * w
            value = a.s @ a.loss.value(y, z) / a.S + (l1 * (p + n) + l2 / 2 * w**2).sum()
            g_b = r.sum(axis=0) if a.fit_intercept else np.zeros(C)
            return value, np.concatenate([(g + l1).ravel(), (l1 - g).ravel(), g_b])

        start = np.zeros((2 * d + 1) * C)
        up, down = (np.repeat(part, C) for part in (a.upper[:, 0], -a.lower[:, 0]))
        bounds = [(0, top) for top in (*up, *down)] + [(None, None)] * C
        options = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30}
        found = scipy.optimize.minimize(
            goal, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options
        )
        best.append(found.fun)
    return np.array(best)


def _per_problem(a, terms):
    return np.array([part.sum() for part in a.per_problem(terms)])
