"""PoissonRegressor: counts with a log link, scikit-learn's parametrisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from sklearn.utils import Tags
from sklearn.utils._param_validation import StrOptions

from fastsum.data import Rows
from fastsum.linear_model._base import NON_NEGATIVE, SHARED_CONSTRAINTS, Array, Constraints
from fastsum.linear_model._docs import documented
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.problem_parts import check_offset
from fastsum.solvers._registry import SOLVER_NAMES


@documented
class PoissonRegressor(LinearRegressor):
    """Poisson regression with a log link, solved to a certified accuracy.

    Minimises ``sum_i s_i d_i / (2 sum_i s_i) + alpha ||w||_2^2 / 2`` with the deviance
    ``d = 2 (y log(y / m) - y + m)`` of the mean ``m = exp(x . w + b)``, like
    `sklearn.linear_model.PoissonRegressor`: the objective (1) as it is.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the l2 penalty, >= 0.
    <p:fit_intercept>
    <p:solver>
    <p:max_iter>
    <p:tol>
    <p:warm_start>
    <p:verbose>
    <p:random_state>
    <p:n_jobs>
    <p:device>

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients of the logarithm of the mean, in the dtype of X.
    intercept_ : float
        Intercept of the logarithm of the mean, exact for coef_.
    <a:n_iter_>
    <a:common>

    See Also
    --------
    FiniteSumRegressor : loss="poisson" with an l1 or elastic net penalty.

    Notes
    -----
    Counts over different exposures (time, area, population) are modelled by their rate with
    ``offset=np.log(exposure)`` in `fit`, `predict` and `score`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsum import PoissonRegressor
    >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [1, 2, 4, 8]
    >>> np.round(PoissonRegressor(alpha=0.0, tol=1e-8).fit(X, y).predict([[4.0]]), 3)
    array([16.])
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "alpha": [NON_NEGATIVE],
        "solver": [StrOptions(set(SOLVER_NAMES))],
    }

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-4,
        warm_start: bool = False,
        verbose: int = 0,
        random_state: Any = None,
        n_jobs: int | None = None,
        device: str = "auto",
    ):
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = False
        return tags

    def _loss_name(self) -> str:
        return "poisson"

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return self.alpha, 0.0

    def _check_data(self, X: Any, y: Any, sample_weight: Any) -> tuple[Rows, Array, Array | None]:
        rows, y = self._validate(X, y, y_numeric=True)
        return rows, y, self._check_weights(sample_weight, rows.n_rows)

    def score(
        self,
        X: Any,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        offset: npt.ArrayLike | None = None,
    ) -> float:
        """D^2, the share of the deviance that the model explains.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Counts, >= 0 and not all 0.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights >= 0.
        offset : array-like of shape (n_samples,), default=None
            Logarithm of the exposure of these rows; None is 0.

        Returns
        -------
        score : float
            1 - deviance / (deviance of the best constant rate, without an offset the weighted mean
            of y); 1 is best.
        """
        counts = np.asarray(y, dtype=np.float64).ravel()
        z = self._margins(X, offset).ravel().astype(np.float64)
        given = check_offset(offset, len(z), 1)
        o = np.zeros(len(z)) if given is None else given.ravel()
        weights = self._check_weights(sample_weight, len(z))
        average = float(np.average(counts, weights=weights))
        if not (counts >= 0).all() or average == 0:
            raise ValueError("y must be >= 0 and not all 0 for the share of its deviance")
        entropy = xlogy(counts, counts) - counts
        own = np.average(entropy - counts * z + np.exp(z), weights=weights)
        constant = np.log(average / np.average(np.exp(o), weights=weights)) + o
        null = np.average(entropy - counts * constant + np.exp(constant), weights=weights)
        return float(1.0 - own / null)
