"""The data sets of FASTSUM_TEST_DATA, and optima of them that are not ours."""

import lzma
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.optimize
import scipy.sparse as sp
from scipy.special import log_expit, logsumexp
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

FOLDER = os.environ.get("FASTSUM_TEST_DATA")
# Number of features of the svmlight files, so that train and test parts agree.
WIDTHS = {"a9a": 123, "a9a.t": 123, "w8a": 300, "sector.scale": 55197, "sector.t.scale": 55197}
BINARY = [
    "a9a.svm.xz", "a9a.t.svm.xz", "w8a.svm.xz", "mushrooms.svm.xz", "splice.svm.xz",
    "german.numer_scale.svm.xz", "breast-cancer.svm.xz", "ijcnn1.val.svm.xz", "madelon.npz",
    "spambase.npz", "heart_scale.svm.xz", "farm_ads.npz", "imdb_counts.npz",
    "reuters21578_modapte.npz", "sms_spam_counts.npz", "ipinyou_sample.npz", "criteo10k.npz",
    "open_bandit_women.npz", "golub.npz", "alon.npz", "singh.npz", "gravier.npz",
]  # fmt: skip
MULTICLASS = [
    "sector.scale.svm.xz", "sector.t.scale.svm.xz", "letter.scale.svm.xz", "letter.scale.t.svm.xz",
    "pendigits.svm.xz", "pendigits.t.svm.xz", "dna.scale.svm.xz", "dna.scale.t.svm.xz",
    "mnist_t10k.npz", "segment.npz", "khan.npz",
]  # fmt: skip
REGRESSION = [
    "riboflavin.npz", "wheat.npz", "abalone.svm.xz", "housing_scale.svm.xz", "cal_housing.npz",
    "cpu_small.npz", "space_ga.npz", "tecator.npz",
]  # fmt: skip
NAMES = BINARY + MULTICLASS + REGRESSION


@lru_cache(maxsize=2)
def load(name):
    """X (CSR as it is, or dense and standardised) and y: 0/1, class codes or real numbers."""
    path = Path(FOLDER) / name
    if name.endswith(".svm.xz"):
        with lzma.open(path) as file:
            width = WIDTHS.get(name.removesuffix(".svm.xz"))
            X, y = load_svmlight_file(file, n_features=width, zero_based=False)
    else:
        with np.load(path, allow_pickle=False) as arrays:
            y = arrays["y"]
            if "indptr" in arrays:
                parts = (arrays["data"].astype(float), arrays["indices"], arrays["indptr"])
                X = sp.csr_matrix(parts, shape=tuple(arrays["shape"]))
            else:
                X = arrays["X"].astype(float)
    if sp.issparse(X) and X.nnz > 0.3 * X.shape[0] * X.shape[1]:
        X = X.toarray()
    if not sp.issparse(X):
        deviation = X.std(axis=0)
        X = (X - X.mean(axis=0)) / np.where(deviation > 1e-12, deviation, 1.0)
    return X, y.astype(float) if name in REGRESSION else np.unique(y, return_inverse=True)[1]


def labels(name, loss):
    """y for a loss; classes become the first one against the rest for the logistic loss."""
    y = load(name)[1]
    return (y == 0).astype(float) if loss == "logistic" and name in MULTICLASS else y


# --- the objective (1), in plain NumPy ------------------------------------------------------------


def loss_and_derivative(loss, z, y):
    """Mean loss of margins z, (n,) or (n, C), and its derivative."""
    n = len(y)
    if loss == "squared":
        return 0.5 * np.mean((z - y) ** 2), (z - y) / n
    if loss == "logistic":
        s = 2.0 * y - 1.0
        return -np.mean(log_expit(s * z)), -s * np.exp(log_expit(-s * z)) / n
    total = logsumexp(z, axis=1)
    p = np.exp(z - total[:, None])
    value = np.mean(total - z[np.arange(n), y])
    p[np.arange(n), y] -= 1.0
    return value, p / n


def objective(X, y, loss, alpha, l1_ratio, w, b):
    """F(w, b)."""
    penalty = alpha * (l1_ratio * np.abs(w).sum() + (1 - l1_ratio) / 2 * np.sum(w * w))
    return loss_and_derivative(loss, X @ w + b, y)[0] + penalty


def null_intercept(y, loss):
    """The best intercept for w = 0."""
    if loss == "squared":
        return y.mean()
    shares = np.bincount(np.asarray(y, dtype=int)) / len(y)
    return np.log(shares[1] / shares[0]) if loss == "logistic" else np.log(shares)


def null_objective(y, loss):
    """F of the null model."""
    return loss_and_derivative(loss, null_margins(y, loss), y)[0]


def null_margins(y, loss):
    """Margins of the null model."""
    b = np.asarray(null_intercept(y, loss), dtype=float)
    return np.broadcast_to(b, (len(y), *b.shape))


def alpha_max(X, y, loss):
    """The least alpha of a pure l1 penalty whose optimum is the null model."""
    return np.abs(X.T @ loss_and_derivative(loss, null_margins(y, loss), y)[1]).max()


# --- independent optima ---------------------------------------------------------------------------


@threadpool_limits.wrap(limits=1)  # thousands of small products: threads only get in the way
def independent(X, y, loss, alpha, l1_ratio):
    """Objective of a solution by scikit-learn, or by scipy where that has no l1 with intercept."""
    n, d = X.shape
    if loss == "squared":
        if l1_ratio == 0:
            model = Ridge(alpha=alpha * n, tol=1e-12).fit(X, y)
        else:
            model = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, tol=1e-10, max_iter=20000).fit(X, y)
        w, b = model.coef_, model.intercept_
    elif l1_ratio == 0:
        solver = "newton-cholesky" if d <= 500 else "newton-cg" if loss == "logistic" else "lbfgs"
        model = LogisticRegression(C=1 / (alpha * n), tol=1e-9, max_iter=2000, solver=solver)
        w, b = unpack(model.fit(X, y))
    else:
        w, b = by_lbfgsb(X, y, loss, alpha, l1_ratio)
    return objective(X, y, loss, alpha, l1_ratio, w, b)


def unpack(model):
    """w (d,) or (d, C) and b of a scikit-learn classifier."""
    if len(model.coef_) == 1:
        return model.coef_[0], model.intercept_[0]
    return model.coef_.T, model.intercept_


def by_lbfgsb(X, y, loss, alpha, l1_ratio):
    """Minimises over w = u - v with u, v >= 0: smooth, with bounds."""
    b = np.atleast_1d(np.asarray(null_intercept(y, loss), dtype=float))
    shape, size = (X.shape[1], len(b)), X.shape[1] * len(b)
    l1, l2 = alpha * l1_ratio, alpha * (1 - l1_ratio)

    def split(x):
        w = (x[:size] - x[size : 2 * size]).reshape(shape)
        return w, x[2 * size :]

    def value_and_gradient(x):
        w, b = split(x)
        z = X @ w + b
        value, u = loss_and_derivative(loss, z[:, 0] if len(b) == 1 else z, y)
        u = u.reshape(z.shape)
        g = (X.T @ u + l2 * w).ravel()
        value += l1 * x[: 2 * size].sum() + l2 / 2 * np.sum(w * w)
        return value, np.concatenate([g + l1, l1 - g, u.sum(axis=0)])

    start = np.concatenate([np.zeros(2 * size), b])
    bounds = [(0, None)] * (2 * size) + [(None, None)] * len(b)
    # cut short where it takes seconds an iteration: any point is a bound on the optimum
    steps = 5000 if size < 1_000_000 else 40
    options = {"maxiter": steps, "maxfun": 2 * steps, "ftol": 1e-15, "gtol": 1e-9}
    found = scipy.optimize.minimize(
        value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
    )
    w, b = split(found.x)
    return (w[:, 0], b[0]) if len(b) == 1 else (w, b)
