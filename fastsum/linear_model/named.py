"""Classifiers and regressors named after their solver: SDCA, SAG and Katyusha."""

from __future__ import annotations

from fastsum.linear_model._docs import documented
from fastsum.linear_model._faces import SolverClassifier, SolverRegressor


@documented
class SDCAClassifier(SolverClassifier):
    """Linear classifier fitted by dual coordinate ascent (SDCA) to a certified accuracy.

    Parameters
    ----------
    <p:loss_classifier>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_classifier>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:class_weight>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
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
    SAGAClassifier : The same with SAGA.
    FiniteSumClassifier : With any solver.

    References
    ----------
    Shalev-Shwartz, Zhang, "Stochastic dual coordinate ascent methods for regularized loss
    minimization", JMLR 14, 2013.
    """

    _solver = "sdca"


@documented
class SDCARegressor(SolverRegressor):
    """Linear regression fitted by dual coordinate ascent (SDCA) to a certified accuracy.

    Parameters
    ----------
    <p:loss_regressor>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_regressor>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    SAGARegressor : The same with SAGA.
    FiniteSumRegressor : With any solver.

    References
    ----------
    Shalev-Shwartz, Zhang, "Stochastic dual coordinate ascent methods for regularized loss
    minimization", JMLR 14, 2013.
    """

    _solver = "sdca"


@documented
class SAGClassifier(SolverClassifier):
    """Linear classifier fitted by stochastic average gradients (SAG) to a certified accuracy.

    Parameters
    ----------
    <p:loss_classifier>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_classifier>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:class_weight>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
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
    SAGAClassifier : The same with SAGA.
    FiniteSumClassifier : With any solver.

    References
    ----------
    Schmidt, Le Roux, Bach, "Minimizing finite sums with the stochastic average gradient",
    Mathematical Programming 162, 2017.
    """

    _solver = "sag"


@documented
class SAGRegressor(SolverRegressor):
    """Linear regression fitted by stochastic average gradients (SAG) to a certified accuracy.

    Parameters
    ----------
    <p:loss_regressor>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_regressor>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    SAGARegressor : The same with SAGA.
    FiniteSumRegressor : With any solver.

    References
    ----------
    Schmidt, Le Roux, Bach, "Minimizing finite sums with the stochastic average gradient",
    Mathematical Programming 162, 2017.
    """

    _solver = "sag"


@documented
class KatyushaClassifier(SolverClassifier):
    """Linear classifier fitted by Katyusha to a certified accuracy.

    Parameters
    ----------
    <p:loss_classifier>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_classifier>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:class_weight>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
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
    SAGAClassifier : The same with SAGA.
    FiniteSumClassifier : With any solver.

    References
    ----------
    Allen-Zhu, "Katyusha: the first direct acceleration of stochastic gradient methods", JMLR 18,
    2018.
    """

    _solver = "katyusha"


@documented
class KatyushaRegressor(SolverRegressor):
    """Linear regression fitted by Katyusha to a certified accuracy.

    Parameters
    ----------
    <p:loss_regressor>
    <p:alpha>
    <p:l1_ratio>
    <p:loss_param_regressor>
    <p:fit_intercept>
    <p:tol>
    <p:max_iter>
    <p:n_jobs>
    <p:random_state>
    <p:warm_start>
    <p:verbose>
    <p:sampling>
    <p:step_size>
    <p:penalty_factor>
    <p:lower>
    <p:upper>
    <p:device>

    Attributes
    ----------
    <a:coef_regressor>
    <a:intercept_regressor>
    <a:n_iter_>
    <a:common>

    See Also
    --------
    SAGARegressor : The same with SAGA.
    FiniteSumRegressor : With any solver.

    References
    ----------
    Allen-Zhu, "Katyusha: the first direct acceleration of stochastic gradient methods", JMLR 18,
    2018.
    """

    _solver = "katyusha"
