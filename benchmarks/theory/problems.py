"""Problems whose condition number is set and whose spectrum helps nobody."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import hadamard

import fastsum

DECAY = 10**-0.2  # five eigenvalues a decade, from the largest down to 1e-8 of it


@dataclass(frozen=True)
class Ridge:
    """l2 least squares, eq. (1) without an intercept, with its optimum in closed form.

    The rows all have norm 1, so max_i L_i = 1. X'X / n has the eigenvalues `spectrum`, in geometric
    progression with sum 1, and y the same size along each of the d left singular vectors of X and
    along one direction that X does not reach. Whatever alpha is, some eigenvalues are near it and
    some far below, and the error has a part in each: no method gets along with less than alpha.
    """

    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    spectrum: npt.NDArray[np.float64]

    @classmethod
    def make(cls, n=256, d=40, noise=1.0, seed=0):
        """n is a power of two above d + 1: X has Hadamard columns for left singular vectors."""
        rng = np.random.default_rng(seed)
        spectrum = DECAY ** np.arange(d)
        spectrum /= spectrum.sum()
        signs = hadamard(n)[rng.permutation(n)].astype(float)
        V = np.linalg.qr(rng.standard_normal((d, d)))[0]
        X = signs[:, 1 : d + 1] * np.sqrt(spectrum) @ V.T
        y = signs[:, 1 : d + 1] @ rng.choice([-1.0, 1.0], d) / np.sqrt(d) + noise * signs[:, d + 1]
        return cls(X, y, spectrum)

    def alpha(self, kappa, batch):
        """That of L / mu (batch) or max_i L_i / mu = kappa, mu = alpha + lambda_min."""
        return (self.spectrum[0] if batch else 1.0) / kappa - self.spectrum[-1]

    def problem(self, alpha):
        return fastsum.Problem(self.X, self.y, loss="squared", alpha=alpha, fit_intercept=False)

    def objective(self, w, alpha):
        return 0.5 * np.mean((self.X @ w - self.y) ** 2) + 0.5 * alpha * w @ w

    def optimum(self, alpha):
        n, d = self.X.shape
        w = np.linalg.solve(self.X.T @ self.X / n + alpha * np.eye(d), self.X.T @ self.y / n)
        return self.objective(w, alpha)


def separable(n=300, d=20, margin=0.3, seed=0):
    """Rows of norm 1 and labels, `margin` / sqrt(d) or more from a hyperplane through 0."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(d)
    normal /= np.linalg.norm(normal)
    X = rng.standard_normal((4 * n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    score = X @ normal
    X = X[np.abs(score) > margin / np.sqrt(d)][:n]
    return X, np.sign(X @ normal)


def consistent(n=300, d=20, seed=0):
    """Rows of norm 1 and targets that one w fits without error."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, X @ rng.standard_normal(d)
