"""Leave-one-out errors of ridge regression for many alphas from one decomposition.

Let Z hold the rows and t the targets, both centred if there is an intercept and scaled by
q_i = sqrt(s_i). With G = Z Z' + alpha I, c = G^-1 t and d = diag(G^-1) (less q_i^2 / (alpha S)
for the mean that leaves with row i), the error of the model without row i on that row is
c_i / (q_i d_i): Golub, Heath, Wahba, "Generalized cross-validation as a method for choosing a good
ridge parameter", Technometrics 1979, as in Rifkin, Lippert, "Notes on regularized least squares",
MIT-CSAIL-TR-2007-025, eq. (13). G^-1 is that of Z Z' = U L U' if n <= d, and else
(I - Q (L + alpha)^-1 Q') / alpha of Z'Z = V L V', Q = Z V; the SVD of Z gives either at a higher
accuracy and cost.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import scipy.sparse as sp

from fastsum.problem import FloatArray


class LeaveOneOut:
    """The decomposition.

    Parameters
    ----------
    X : (n, d) array or CSR
    y : (n, B) array
    weights : (n,) array or None
    fit_intercept : bool
    svd : bool
        Decompose a dense Z itself, not its Gram matrix.
    """

    def __init__(self, X: Any, y: FloatArray, weights: Any, fit_intercept: bool, svd: bool):
        _check_memory(*X.shape)
        self.X, self.y = X, y
        s = np.ones(len(y)) if weights is None else weights
        self.q = np.sqrt(s)[:, None]
        self.share = s[:, None] / s.sum() if fit_intercept else np.zeros((len(y), 1))
        self.x_mean = (X.T @ self.share).T  # (1, d); 0 without an intercept
        self.y_mean = (y.T @ self.share).T
        self.targets = self.q * (y - self.y_mean)
        sparse = sp.issparse(X)
        # Z = rows - q shift: a sparse X stays sparse.
        self.shift = self.x_mean if sparse else np.zeros_like(self.x_mean)
        self.rows: Any = sp.diags_array(self.q[:, 0]) @ X if sparse else self.q * (X - self.x_mean)
        self.wide = X.shape[0] <= X.shape[1]
        self._decompose(svd and not sparse)

    def _decompose(self, svd: bool) -> None:
        """Sets the eigenvalues, and U or V and Q."""
        if svd:
            U, singular, Vt = np.linalg.svd(self.rows, full_matrices=False)
            self.values, self.U, self.V, self.Q = singular**2, U, Vt.T, U * singular
        elif self.wide:
            self.values, self.U = np.linalg.eigh(self._gram())
        else:
            self.values, self.V = np.linalg.eigh(self._covariance())
            self.Q = self._times(self.V)
        self.values = np.maximum(self.values, 0.0)
        if self.wide:
            # The direction q, to which centred rows are orthogonal, is that of the intercept.
            along = self.q * (self.share.any() / np.linalg.norm(self.q))
            self.U = self.U - along @ (along.T @ self.U)
            self.projected = self.U.T @ self.targets
        else:
            self.projected = self.Q.T @ self.targets

    def _gram(self) -> FloatArray:
        """Z Z'."""
        cross = self.rows @ self.shift.T
        product = self.rows @ self.rows.T
        product = product.toarray() if sp.issparse(product) else product
        square = self.shift @ self.shift.T
        whole: FloatArray = (
            product - cross @ self.q.T - self.q @ cross.T + square * self.q @ self.q.T
        )
        return whole

    def _covariance(self) -> FloatArray:
        """Z'Z."""
        product = self.rows.T @ self.rows
        product = product.toarray() if sp.issparse(product) else product
        whole: FloatArray = product - (self.q**2).sum() * self.shift.T @ self.shift
        return whole

    def _times(self, A: FloatArray) -> FloatArray:
        """Z A."""
        product: FloatArray = self.rows @ A - self.q @ (self.shift @ A)
        return product

    def scaled_errors(self, alpha: float) -> FloatArray:
        """q_i times the error on row i of the model without it, (n, B)."""
        inverse = 1.0 / (self.values + alpha)
        if self.wide:
            c = self.U @ (inverse[:, None] * self.projected)
            d = (self.U**2 @ inverse)[:, None]
        else:  # both times alpha
            c = self.targets - self.Q @ (inverse[:, None] * self.projected)
            d = 1.0 - (self.Q**2 @ inverse)[:, None] - self.share
        errors: FloatArray = c / d
        return errors

    def predictions(self, alpha: float) -> FloatArray:
        """The prediction of row i by the model without it, (n, B)."""
        errors = self.scaled_errors(alpha)
        absent = self.q[:, 0] == 0  # rows without weight are in no model
        errors = np.divide(errors, self.q, out=errors, where=self.q > 0)
        if absent.any():
            coef, intercept = self.model(np.full(self.y.shape[1], alpha))
            errors[absent] = self.y[absent] - (self.X[absent] @ coef + intercept)
        left: FloatArray = self.y - errors
        return left

    def model(self, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (d, B) and intercepts (B,) of all rows, an alpha a target."""
        w = self.projected / (self.values[:, None] + alpha)
        if self.wide:
            c = self.U @ w
            coef = self.rows.T @ c - self.shift.T @ (self.q.T @ c)
        else:
            coef = self.V @ w
        return coef, (self.y_mean - self.x_mean @ coef)[0]


def _check_memory(n: int, d: int) -> None:
    small = min(n, d)
    needed = 8 * (n * small + 3 * small**2)
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > available:
        raise ValueError(
            f"leave-one-out on {n:,} rows and {d:,} columns needs {needed / 2**30:,.0f} GiB for a "
            f"decomposition, more than the {available / 2**30:,.0f} GiB of this machine: use folds "
            "instead, for example cv=5"
        )
