"""Regularised finite sums; objective and gap are recomputed here, in float64, for all solvers."""

import numpy as np
from benchmark_utils import formulas
from benchmark_utils.base import BaseObjective

# task: (loss, l1_ratio)
TASKS = {
    "logistic_l2": ("logistic", 0.0),
    "logistic_l1": ("logistic", 1.0),
    "logistic_enet": ("logistic", 0.5),
    "ridge": ("squared", 0.0),
    "lasso": ("squared", 1.0),
    "enet": ("squared", 0.5),
    "multinomial_l2": ("multinomial", 0.0),
    "multinomial_l1": ("multinomial", 1.0),
    "multinomial_enet": ("multinomial", 0.5),
}


class Objective(BaseObjective):
    """F(w, b) = mean loss + alpha [l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||^2].

    `reg` is alpha n for an l2 penalty (so 1 is scikit-learn's C = 1 or alpha = 1), and the share
    of the smallest l1 strength with w = 0 where there is an l1 term. Without an intercept the
    squared loss regresses on y less its mean.
    """

    name = "Finite sums"
    min_benchopt_version = "1.6"
    parameters = {  # noqa: RUF012
        "task": list(TASKS),
        "reg": [None],
        "fit_intercept": [True],
        "n_threads": [1],
    }

    def skip(self, X, y):
        if not np.issubdtype(np.asarray(y).dtype, np.number):
            return True, "labels must be numbers"
        classes = len(np.unique(y))
        if self.task.startswith("logistic") and classes != 2:
            return True, f"{self.task} needs two classes, not {classes}"
        if self.task.startswith("multinomial") and not 3 <= classes <= 1000:
            return True, f"{self.task} needs three classes or more, not {classes}"
        return False, None

    def set_data(self, X, y):
        self.X, self.loss, self.l1_ratio = X, *TASKS[self.task]
        self.y, self.n_outputs = np.asarray(y, dtype=np.float64), 1
        if self.loss == "squared" and not self.fit_intercept:
            self.y = self.y - self.y.mean()
        elif self.loss == "logistic":
            self.y = np.where(self.y == self.y.max(), 1.0, -1.0)
        elif self.loss == "multinomial":
            classes, codes = np.unique(y, return_inverse=True)
            self.y, self.n_outputs = codes.astype(np.float64), len(classes)
        if self.l1_ratio:
            reg = 0.05 if self.reg is None else self.reg
            settings = (self.loss, self.n_outputs, self.fit_intercept)
            self.alpha = reg * formulas.alpha_max(X, self.y, *settings) / self.l1_ratio
        else:
            self.alpha = (1.0 if self.reg is None else self.reg) / X.shape[0]

    def get_objective(self):
        return {
            "X": self.X,
            "y": self.y,
            "loss": self.loss,
            "alpha": self.alpha,
            "l1_ratio": self.l1_ratio,
            "fit_intercept": self.fit_intercept,
            "n_threads": self.n_threads,
        }

    def evaluate_result(self, coef, intercept):
        sum_ = (self.X, self.y, self.loss, self.alpha, self.l1_ratio)
        return {
            "value": self.evaluate(coef, intercept),
            "gap": formulas.duality_gap(*sum_, self.fit_intercept, coef, intercept),
            "non_zeros": int(np.count_nonzero(coef)),
        }

    def evaluate(self, coef, intercept):
        """F alone."""
        sum_ = (self.X, self.y, self.loss, self.alpha, self.l1_ratio)
        return formulas.objective(*sum_, coef, intercept)

    def null_value(self):
        return formulas.null_objective(self.y, self.loss, self.n_outputs, self.fit_intercept)

    def get_one_result(self):
        d, K = self.X.shape[1], self.n_outputs
        return {"coef": np.zeros((d, K) if K > 1 else d), "intercept": np.zeros(K)}
