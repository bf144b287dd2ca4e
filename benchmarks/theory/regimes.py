"""Where no strong convexity helps: l1 alone, one w that fits all rows, separable labels."""

import warnings

import numpy as np
from scipy.special import expit
from sklearn.svm import SVC

import fastsum
from benchmarks.theory.problems import consistent, separable

# Strengths down to 1e-16, and a bit beyond: the direction moves as 1 / log(1 / alpha).
ALPHAS = 10.0 ** -np.arange(2, 17, 2)


def curve(problem, solver, max_iter, quantity, **settings):
    """Passes and a quantity of w at each certificate of one fit of the method's own steps."""
    seen = []

    def look(progress):
        seen.append((progress.passes, quantity(progress.coef)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = {"tol": 0.0, "refine": False, "random_state": 0, **settings}
        fastsum.minimize(problem, solver, max_iter=max_iter, callback=look, **settings)
    return np.array(seen, dtype=float).T


def interpolation(max_iter=400):
    """{name: (passes, F / F(0))} of SGD with a line search where F* = 0 and alpha = 0."""
    rows, target = consistent()
    X, labels = separable()
    cases = {
        "least squares, consistent": ("squared", rows, target),
        "squared hinge, separable": ("squared_hinge", X, labels),
        "logistic, separable": ("logistic", X, labels),
    }
    losses = {
        "squared": lambda z, y: 0.5 * (z - y) ** 2,
        "squared_hinge": lambda z, y: np.maximum(1 - y * z, 0) ** 2,
        "logistic": lambda z, y: np.logaddexp(0, -y * z),
    }
    found = {}
    for name, (loss, A, y) in cases.items():
        problem = fastsum.Problem(A, y, loss=loss, alpha=0.0, fit_intercept=False)
        null = np.mean(losses[loss](0.0 * y, y))

        def value(w, loss=loss, A=A, y=y, null=null):
            return np.mean(losses[loss](A @ w, y)) / null

        found[name] = curve(problem, "sgd-linesearch", max_iter, value)
    return found


def l1(max_iter=3000):
    """The Lasso with fewer rows than columns: curves, F(0) - F*, L and ||w*||^2 of the bounds.

    F - F* <= L ||w*||^2 / (2 t) for gd and 2 L ||w*||^2 / (t + 1)^2 for fista, from w = 0 with
    steps 1 / L (Beck, Teboulle 2009, theorems 3.1 and 4.4); w* is any minimiser.
    """
    rng = np.random.default_rng(0)
    n, d = 100, 300
    X = rng.standard_normal((n, d)) @ np.diag(np.geomspace(1, 0.01, d))
    y = X @ (rng.random(d) < 0.1) + 0.1 * rng.standard_normal(n)
    alpha = 1e-3 * np.abs(X.T @ y).max() / n
    problem = fastsum.Problem(X, y, loss="squared", alpha=alpha, l1_ratio=1.0, fit_intercept=False)
    best = fastsum.minimize(problem, tol=1e-13, max_iter=100_000)
    L = np.linalg.norm(X, 2) ** 2 / n

    def gain(w):
        return 0.5 * np.mean((X @ w - y) ** 2) + alpha * np.abs(w).sum() - best.objective

    names = ("gd", "fista", "saga", "katyusha", "acc-prox-svrg", "point-saga", "catalyst")
    steps = {"gd": 1 / L, "fista": 1 / L}
    curves = {s: curve(problem, s, max_iter, gain, step_size=steps.get(s)) for s in names}
    return curves, gain(np.zeros(d)), L, float(best.coef @ best.coef)


def angle(v, w):
    """Degrees between two directions."""
    cosine = v @ w / (np.linalg.norm(v) * np.linalg.norm(w))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def maximum_margin(alphas=ALPHAS):
    """alpha, degrees from the hard-margin SVM, degrees that the certificate leaves open.

    F is alpha-strongly convex, so ||w - w*||^2 <= 2 gap / alpha. The SVM is scikit-learn's.
    """
    X, y = separable()
    normal = SVC(kernel="linear", C=1e8, tol=1e-8).fit(X, y).coef_[0]
    rows = []
    for alpha in alphas:
        problem = fastsum.Problem(X, y, loss="logistic", alpha=alpha)
        fit = fastsum.minimize(problem, tol=0.0, max_iter=3000)
        far = np.sqrt(2 * fit.dual_gap / alpha) / np.linalg.norm(fit.coef)
        open_degrees = float(np.degrees(np.arcsin(min(1.0, far))))
        rows.append((float(alpha), angle(fit.coef, normal), open_degrees))
    return rows


def gradient_descent(n_steps=100_000):
    """Steps and degrees from the maximum margin of gradient descent, logistic loss, alpha = 0.

    w0 = 0 and steps 1 / L, in plain NumPy: 10^5 certificates would be in the way.
    """
    X, y = separable()
    normal = SVC(kernel="linear", C=1e8, tol=1e-8).fit(X, y).coef_[0]
    A = np.column_stack([X, np.ones(len(y))]) * y[:, None]  # a free intercept
    step = 4 * len(y) / np.linalg.norm(A, 2) ** 2
    w, marks, found = np.zeros(A.shape[1]), set(np.geomspace(1, n_steps, 60).astype(int)), []
    for t in range(1, n_steps + 1):
        w += step / len(y) * (expit(-(A @ w)) @ A)
        if t in marks:
            found.append((t, angle(w[:-1], normal)))
    return np.array(found, dtype=float).T
