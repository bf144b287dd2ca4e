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
    return np.array(data) + _per_problem(a, a.l1 * np.abs(w) + a.l2 / 2 * w**2)


def intercept_slope(problem, w, b):
    """(1/S) sum s u at the intercept b, (K,): 0 at the best one, eq. (7)."""
    a = arrays_of(problem)
    return a.s @ a.derivatives(slice(None), a.X @ w + b) / a.S


def gaps(problem, w, b):
    """The smallest F - D of the dual points c u with the c of eq. (6) or c = 1, (B,)."""
    a = arrays_of(problem)
    w = np.asarray(w, dtype=float)
    u = a.derivatives(slice(None), a.X @ w + b)
    v = -a.X.T @ (a.s[:, None] * u) / a.S
    F = objectives(problem, w, b)
    out = np.full(a.B, np.inf)
    for k in range(a.B):
        columns = slice(k * a.C, (k + 1) * a.C)
        l1, l2, v_k = a.l1[columns], a.l2[columns], v[:, columns]
        if not (l1 + l2).any():
            continue
        scales = [1.0] if (l2 > 0).all() else []
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


def subgradients(problem, w, b):
    """Norm of the minimum-norm subgradient of F in w, (B,)."""
    a = arrays_of(problem)
    w = np.asarray(w, dtype=float)
    g = a.X.T @ (a.s[:, None] * a.derivatives(slice(None), a.X @ w + b)) / a.S + a.l2 * w
    at_zero = np.sign(g) * np.maximum(np.abs(g) - a.l1, 0.0)
    return np.sqrt(_per_problem(a, np.where(w != 0, g + a.l1 * np.sign(w), at_zero) ** 2))


def optimum(problem):
    """min F of each problem, (B,), by scipy's L-BFGS-B on w = p - n with p, n >= 0."""
    a = arrays_of(problem)
    d, C = a.X.shape[1], a.C
    best = []
    for k in range(a.B):
        columns, y = slice(k * C, (k + 1) * C), a.Y[:, k]
        o = a.offset[:, columns]
        l1, l2 = a.l1[columns], a.l2[columns]

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
        bounds = [(0, None)] * (2 * d * C) + [(None, None)] * C
        options = {"maxiter": 5000, "maxfun": 10000, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 30}
        found = scipy.optimize.minimize(
            goal, start, jac=True, bounds=bounds, method="L-BFGS-B", options=options
        )
        best.append(found.fun)
    return np.array(best)


def _per_problem(a, terms):
    return np.array([part.sum() for part in a.per_problem(terms)])
