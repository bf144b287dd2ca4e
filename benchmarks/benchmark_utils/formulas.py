"""Objective, null model and duality gap in float64, written apart from the library.

    F(w, b) = (1/n) sum_i l(y_i, x_i . w + b) + alpha [r ||w||_1 + (1 - r)/2 ||w||^2]

The gap is F(w, b) - D(u), primal minus dual, for the dual point u_i = l'(z_i) at the best intercept
for w, scaled into the domain where the penalty is a pure l1. The subtraction leaves rounding of
some 1e-16 |F|, so gaps below that are only zero.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp, softmax, xlogy


def margins(X, coef, intercept):
    """z (n, K) in float64, whatever X is stored in."""
    W = np.asarray(coef, dtype=np.float64).reshape(X.shape[1], -1)
    return np.asarray(X @ W, dtype=np.float64) + np.asarray(intercept, dtype=np.float64)


def loss_values(loss, y, z):
    """l(y_i, z_i) of each row; y in {-1, 1}, codes or numbers."""
    if loss == "logistic":
        return np.logaddexp(0.0, -y * z[:, 0])
    if loss == "squared":
        return 0.5 * (z[:, 0] - y) ** 2
    if loss == "multinomial":
        return logsumexp(z, axis=1) - z[np.arange(len(y)), y.astype(int)]
    raise ValueError(f"no formula for the loss {loss!r}")


def derivatives(loss, y, z):
    """u (n, K), the derivative of the loss in z."""
    if loss == "logistic":
        return (-y * expit(-y * z[:, 0]))[:, None]
    if loss == "squared":
        return z - y[:, None]
    return softmax(z, axis=1) - one_hot(y, z.shape[1])


def conjugates(loss, y, u):
    """l*(u_i) of each row, for u in the domain."""
    if loss == "logistic":
        p = np.clip(-y * u[:, 0], 0.0, 1.0)
        return xlogy(p, p) + xlogy(1 - p, 1 - p)
    if loss == "squared":
        return 0.5 * u[:, 0] ** 2 + u[:, 0] * y
    p = np.clip(u + one_hot(y, u.shape[1]), 0.0, 1.0)
    return xlogy(p, p).sum(axis=1)


def one_hot(y, n_classes):
    return (np.asarray(y).astype(int)[:, None] == np.arange(n_classes)).astype(np.float64)


def penalty(coef, alpha, l1_ratio):
    w = np.asarray(coef, dtype=np.float64).ravel()
    return alpha * (l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * (w @ w))


def objective(X, y, loss, alpha, l1_ratio, coef, intercept):
    """F(w, b)."""
    value = loss_values(loss, y, margins(X, coef, intercept)).mean()
    return float(value + penalty(coef, alpha, l1_ratio))


def best_intercept(loss, y, z):
    """The intercept that minimises the mean loss of the margins z (n, K) + b."""
    K = z.shape[1]
    if loss == "squared":
        return np.array([np.mean(y - z[:, 0])])
    if loss == "multinomial":
        start = np.log(np.maximum(np.bincount(y.astype(int), minlength=K), 1) / len(y))
    else:
        share = np.clip(np.mean(y > 0), 1e-12, 1 - 1e-12)
        start = np.array([np.log(share / (1 - share))])
    starts = [start, np.zeros(K)]  # the null model's, and the point itself
    b = min(starts, key=lambda b: loss_values(loss, y, z + b).mean())
    for _ in range(100):
        g = derivatives(loss, y, z + b).mean(axis=0)
        if np.abs(g).max() <= 1e-16:
            break
        step = np.linalg.solve(_curvature(loss, y, z + b), g)
        here = loss_values(loss, y, z + b).mean()
        length, here = 1.0, here + 1e-15 * abs(here)  # near the minimum only rounding differs
        while length > 1e-10 and loss_values(loss, y, z + b - length * step).mean() > here:
            length /= 2
        b = b - length * step
        if length * np.abs(step).max() < 1e-16 * (1 + np.abs(b).max()):
            break
    return b


def _curvature(loss, y, z):
    """Hessian of the mean loss in b; ridged where the softmax is flat."""
    if loss == "logistic":
        p = expit(z[:, 0])
        return np.array([[np.mean(p * (1 - p)) + 1e-300]])
    p = softmax(z, axis=1)
    return np.diag(p.mean(axis=0)) - p.T @ p / len(p) + np.full((p.shape[1],) * 2, 1 / len(p))


def null_objective(y, loss, n_classes, fit_intercept):
    """F at w = 0 with the best intercept."""
    z = np.zeros((len(y), n_classes))
    if fit_intercept:
        z = z + best_intercept(loss, y, z)
    return float(loss_values(loss, y, z).mean())


def alpha_max(X, y, loss, n_classes, fit_intercept):
    """The smallest l1 strength at which w = 0 is optimal."""
    z = np.zeros((len(y), n_classes))
    if fit_intercept:
        z = z + best_intercept(loss, y, z)
    return float(np.abs(X.T @ derivatives(loss, y, z)).max() / len(y))


def duality_gap(X, y, loss, alpha, l1_ratio, fit_intercept, coef, intercept):
    """F(w, b) - D(u) >= F(w, b) - min F."""
    z = margins(X, coef, 0.0 if fit_intercept else intercept)
    if fit_intercept:
        z = z + best_intercept(loss, y, z)
    u = derivatives(loss, y, z)
    if fit_intercept:
        u = centred(u, loss, y)
    v = np.asarray(X.T @ u, dtype=np.float64) / len(y)
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)
    if l2 > 0:
        scale, penalty_conjugate = 1.0, (np.maximum(np.abs(v) - l1, 0) ** 2).sum() / (2 * l2)
    else:
        scale, penalty_conjugate = min(1.0, l1 / max(np.abs(v).max(), 1e-300)), 0.0
    dual = -conjugates(loss, y, scale * u).mean() - penalty_conjugate
    return objective(X, y, loss, alpha, l1_ratio, coef, intercept) - dual


def centred(u, loss, y):
    """u with columns that sum to 0 exactly enough: the best intercept leaves only rounding."""
    excess = u.mean(axis=0)
    if np.abs(excess).max() > 1e-9:
        raise RuntimeError(f"the intercept's gradient is {np.abs(excess).max():.1e}, not 0")
    return u - excess if loss == "squared" else u


def reference(X, y, loss, alpha, fit_intercept, n_classes):
    """(coef, intercept) by scipy's L-BFGS, for an l2 penalty: a judge for tests."""
    d = X.shape[1]

    def value_and_gradient(flat):
        W = flat.reshape(d + 1, n_classes)
        z = X @ W[:-1] + (W[-1] if fit_intercept else 0.0)
        u = derivatives(loss, y, z) / len(y)
        G = np.vstack([X.T @ u + alpha * W[:-1], u.sum(axis=0) * fit_intercept])
        return loss_values(loss, y, z).mean() + alpha / 2 * (W[:-1] ** 2).sum(), G.ravel()

    options = {"maxiter": 10_000, "ftol": 1e-16, "gtol": 1e-12}
    start = np.zeros((d + 1) * n_classes)
    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    W = found.x.reshape(d + 1, n_classes)
    return W[:-1], W[-1]


def log_loss(y, z):
    """Mean negative log-likelihood of a multinomial model, for tests."""
    return float(-log_softmax(z, axis=1)[np.arange(len(y)), y.astype(int)].mean())
