"""Descriptions of the parameters and attributes that the estimators share, written once.

`@documented` fills the placeholders of a class docstring: ``<p:name>`` and ``<a:name>``.
"""

from __future__ import annotations

import inspect
import re
from typing import TypeVar

PARAMETERS = {
    "loss_classifier": """loss : {"logistic", "multinomial", "squared_hinge", "smoothed_hinge", \
"hinge"}, default="logistic"
    Loss of one row. More than two classes: "multinomial" couples them by a softmax, the others
    fit one problem a class against the rest. "hinge" has a kink, and solvers whose steps are made
    of a curvature refuse it.""",
    "loss_regressor": """loss : {"squared", "huber", "poisson"}, default="squared"
    Loss of one row with residual r = x . w + b - y: r^2 / 2, or the same up to |r| = delta and
    delta (|r| - delta / 2) beyond; or half the Poisson deviance of a count y >= 0 from its mean
    exp(x . w + b), which `predict` returns and which needs "auto" or a solver with a line
    search.""",
    "loss_param_classifier": """loss_param : float, default=None
    The parameter of the loss: gamma > 0 of "smoothed_hinge", the width of the margins between
    0 loss and a slope of 1 (None is 1). The other losses have none.""",
    "loss_param_regressor": """loss_param : float, default=None
    The parameter of the loss: delta > 0 of "huber", in units of y (None is 1.35). The squared
    loss has none.""",
    "alpha": """alpha : float, default=1e-4
    Strength of the penalty alpha [l1_ratio ||w||_1 + (1 - l1_ratio)/2 ||w||_2^2] beside the mean
    loss; >= 0.""",
    "l1_ratio": """l1_ratio : float, default=0.0
    Share of the l1 norm in the penalty, in [0, 1]: 0 is l2, 1 is l1.""",
    "group": """group : {"rows"}, default=None
    "rows" takes the l1 norm of the norms ||w_j||_2 of each feature's coefficients in all classes of
    "multinomial", or all targets under "squared": a feature is in use for all or for none.""",
    "fit_intercept": """fit_intercept : bool, default=True
    Whether to fit an unpenalised intercept.""",
    "tol": """tol : float, default=1e-4
    The fit ends when the certified gap is at most tol times the improvement over the null model
    (all coefficients 0) that is possible; the same for every solver.""",
    "max_iter": """max_iter : int, default=1000
    Most passes over the data; 0 leaves all coefficients at 0.""",
    "class_weight": """class_weight : dict or "balanced", default=None
    Weights of the classes, multiplied with sample_weight; "balanced" makes all classes weigh the
    same.""",
    "n_jobs": """n_jobs : int, default=None
    Most threads of full passes inside one fit and of predictions; small data get fewer. None is 1
    or the joblib context, -1 all CPUs.""",
    "device": """device : {"auto", "cpu", "cuda"}, default="auto"
    Where full passes are made: "auto" is the CUDA device that X lies on, else the CPU, or a device
    where one can be used and X is dense and large. "cuda" is an error where there is none.""",
    "random_state": """random_state : int, RandomState instance or None, default=None
    Seed of the order of the rows; None is a fixed seed, so that equal fits give equal models.""",
    "solver": """solver : str, default="auto"
    Method, any name of `fastsum.minimize`; "auto" chooses its phases by the shape of the problem
    and by what they gain. A named method may take certified better points than its own on its way,
    as in `minimize(refine=True)`.""",
    "warm_start": """warm_start : bool, default=False
    Continue from the last fit. With the same data "saga" and "svrg" do so exactly (all solver
    state), and with another penalty from their tables; "auto" goes on from its point and never to a
    higher objective, but not bit for bit. With other data the coefficients are the start, with
    other features or classes nothing is.""",
    "verbose": """verbose : int, default=0
    1 shows a progress bar with passes, objective and gap.""",
    "sampling": """sampling : {"auto", "uniform", "blocks", "importance"}, default="auto"
    How rows are drawn; "auto" takes importance sampling where the rows are uneven.""",
    "step_size": """step_size : float, default=None
    Step of the method; None takes the theory's.""",
    "copy_X": """copy_X : bool, default=True
    X is never modified, and copied only where its layout asks for it.""",
    "positive": """positive : bool, default=False
    Whether coefficients must be >= 0: lower=0. The intercept need not be.""",
    "penalty_factor": """penalty_factor : array-like of shape (n_features,), default=None
    Factors >= 0 of the penalty, one a feature; 0 leaves it unpenalised. They are taken as they are
    (glmnet scales them to a mean of 1). None is 1.""",
    "lower": """lower : float or array-like of shape (n_features,), default=None
    Lower bounds of the coefficients of each feature, <= 0; None is none.""",
    "upper": """upper : float or array-like of shape (n_features,), default=None
    Upper bounds of the coefficients of each feature, >= 0; None is none.""",
    "precompute": """precompute : bool, default=False
    Only False has a meaning here.""",
    "selection": """selection : {"cyclic"}, default="cyclic"
    Only the default has a meaning here; see `sampling` of SAGARegressor.""",
    "penalty": """penalty : "deprecated", default="deprecated"
    Only the default has a meaning here: use l1_ratio and C.""",
    "dual": """dual : bool, default=False
    Only False has a meaning here.""",
    "cv": """cv : int, cross-validation generator or iterable, default=None
    The folds: a number of them (None is 5), a splitter of scikit-learn's or (train, test) splits.
    Those of a classifier are stratified.""",
    "eps": """eps : float, default=1e-3
    The smallest alpha of a made grid, relative to the largest.""",
    "alphas": """alphas : int or array-like of shape (n_alphas,), default=100
    Strengths of the penalty; a number of them is a geometric grid down from the least alpha that
    leaves no coefficient.""",
    "selection_rule": """selection_rule : {"best", "one_standard_error"}, default="best"
    The point with the best mean score, or the strongest penalty of the same l1_ratio whose mean
    score is within one standard error of the best.""",
    "memory_budget": """memory_budget : float, default=None
    Bytes that the fits of the folds may take; it bounds how many are made at a time, and
    `verbose=1` shows what they take. None is a quarter of the machine's memory.""",
    "intercept_scaling": """intercept_scaling : float, default=1
    Only 1 has a meaning here: the intercept is never penalised.""",
}

ATTRIBUTES = {
    "classes_": """classes_ : ndarray of shape (n_classes,)
    Class labels with a positive weight, sorted.""",
    "coef_classifier": """coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
    Coefficients, in the dtype of X; a csr_array for a store of very many columns.""",
    "coef_regressor": """coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    Coefficients, in the dtype of X; a csr_array with two axes for a store of very many columns.""",
    "intercept_classifier": """intercept_ : ndarray of shape (1,) or (n_classes,)
    Intercepts, exact for coef_.""",
    "intercept_regressor": """intercept_ : float or ndarray of shape (n_targets,)
    Intercepts, exact for coef_.""",
    "common": """n_features_in_ : int
    Number of features seen by fit.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if X had string column names.
dual_gap_ : float or ndarray of shape (n_problems,)
    Certified bound on objective_ minus the least objective; inf without a penalty.
objective_ : float or ndarray of shape (n_problems,)
    The objective (1) of the library, mean loss plus penalty.
trace_ : structured ndarray
    phase, passes, seconds, objective and gap at each certificate.
solver_ : str
    The solver that ran.
status_ : fastsum.Status
    Why the fit ended.""",
    "n_iter_": """n_iter_ : int
    Passes over the data.""",
    "n_iter_array": """n_iter_ : ndarray of shape (1,)
    Passes over the data.""",
}


Class = TypeVar("Class", bound=type)


def documented(cls: Class) -> Class:
    """Fills lines ``<p:name>`` and ``<a:name>`` of the class docstring."""

    def fill(match: re.Match[str]) -> str:
        table = PARAMETERS if match[2] == "p" else ATTRIBUTES
        return "\n".join(match[1] + line for line in table[match[3]].splitlines())

    cls.__doc__ = re.sub(r"(?m)^([ ]*)<([pa]):(\w+)>$", fill, inspect.getdoc(cls) or "")
    return cls
