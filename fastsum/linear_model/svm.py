"""LinearSVC: support vector machines with scikit-learn's parametrisation."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from fastsum.linear_model._base import POSITIVE, SHARED_CONSTRAINTS, Constraints
from fastsum.linear_model._classifier import LinearClassifier
from fastsum.linear_model._docs import documented
from fastsum.solvers._registry import SOLVER_NAMES


@documented
class LinearSVC(LinearClassifier):
    """Linear support vector classification, solved to a certified accuracy.

    Minimises ``C sum_i s_i loss_i + ||w||_2^2 / 2``, or ``+ ||w||_1`` for the l1 penalty, like
    `sklearn.svm.LinearSVC`: the objective (1) with ``alpha = 1 / (C sum_i s_i)``, whose units
    `objective_` and `dual_gap_` have. One difference: the intercept is not penalised here;
    liblinear's is, as the coefficient of a constant column of value ``intercept_scaling``. More
    than two classes are one problem a class against the rest.

    Parameters
    ----------
    penalty : {"l2", "l1"}, default="l2"
        Norm of the penalty.
    loss : {"squared_hinge", "hinge"}, default="squared_hinge"
        Loss of one row. "hinge" has a kink: "auto" and the solvers that work in the dual take it.
    dual : bool or "auto", default="auto"
        Has no effect: every solver certifies its gap in the dual.
    <p:tol>
    C : float, default=1.0
        Inverse strength of the penalty, > 0.
    multi_class : {"ovr"}, default="ovr"
        Only one against the rest.
    <p:fit_intercept>
    <p:intercept_scaling>
    <p:class_weight>
    <p:verbose>
    <p:random_state>
    <p:max_iter>
    <p:solver>
    <p:warm_start>
    <p:n_jobs>
    <p:device>

    Attributes
    ----------
    <a:classes_>
    <a:coef_classifier>
    <a:intercept_classifier>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    FiniteSumClassifier : With alpha instead of C, and other losses.

    References
    ----------
    Cortes, Vapnik, "Support-vector networks", Machine Learning 20, 1995.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsum import LinearSVC
    >>> X, y = load_iris(return_X_y=True)
    >>> LinearSVC(loss="hinge").fit(X, y).predict(X[:3])
    array([0, 0, 0])
    """

    _parameter_constraints: ClassVar[Constraints] = {
        **SHARED_CONSTRAINTS,
        "penalty": [StrOptions({"l1", "l2"})],
        "loss": [StrOptions({"hinge", "squared_hinge"})],
        "dual": ["boolean", StrOptions({"auto"})],
        "C": [Interval(Real, 0, None, closed="neither")],
        "multi_class": [StrOptions({"ovr", "crammer_singer"})],
        "intercept_scaling": [POSITIVE],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [StrOptions(set(SOLVER_NAMES))],
    }
    _default_only: ClassVar[dict[str, tuple[Any, str]]] = {
        "multi_class": ("ovr", "classes are told from the rest; use loss='multinomial' elsewhere"),
        "intercept_scaling": (1, "leave it at 1; the intercept is never penalised"),
    }

    def __init__(
        self,
        penalty: str = "l2",
        loss: str = "squared_hinge",
        *,
        dual: Any = "auto",
        tol: float = 1e-4,
        C: float = 1.0,
        multi_class: str = "ovr",
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        max_iter: int = 1000,
        solver: str = "auto",
        warm_start: bool = False,
        n_jobs: int | None = None,
        device: str = "auto",
    ):
        self.penalty = penalty
        self.loss = loss
        self.dual = dual
        self.tol = tol
        self.C = C
        self.multi_class = multi_class
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.verbose = verbose
        self.random_state = random_state
        self.max_iter = max_iter
        self.solver = solver
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.device = device

    def _strengths(self, total_weight: float) -> tuple[float, float]:
        return 1.0 / (self.C * total_weight), float(self.penalty == "l1")
