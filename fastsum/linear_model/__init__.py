"""scikit-learn estimators over the solvers."""

from fastsum.linear_model.classifiers import LogisticRegression, SAGAClassifier, SVRGClassifier
from fastsum.linear_model.cv_classifiers import LogisticRegressionCV
from fastsum.linear_model.cv_regressors import ElasticNetCV, LassoCV
from fastsum.linear_model.cv_ridge import RidgeCV
from fastsum.linear_model.finite_sum import FiniteSumClassifier, FiniteSumRegressor
from fastsum.linear_model.huber import HuberRegressor
from fastsum.linear_model.multi_task import MultiTaskElasticNet, MultiTaskLasso
from fastsum.linear_model.named import (
    KatyushaClassifier,
    KatyushaRegressor,
    SAGClassifier,
    SAGRegressor,
    SDCAClassifier,
    SDCARegressor,
)
from fastsum.linear_model.poisson import PoissonRegressor
from fastsum.linear_model.regressors import (
    ElasticNet,
    Lasso,
    SAGARegressor,
    SVRGRegressor,
)
from fastsum.linear_model.ridge import Ridge
from fastsum.linear_model.svm import LinearSVC

__all__ = [
    "ElasticNet",
    "ElasticNetCV",
    "FiniteSumClassifier",
    "FiniteSumRegressor",
    "HuberRegressor",
    "KatyushaClassifier",
    "KatyushaRegressor",
    "Lasso",
    "LassoCV",
    "LinearSVC",
    "LogisticRegression",
    "LogisticRegressionCV",
    "MultiTaskElasticNet",
    "MultiTaskLasso",
    "PoissonRegressor",
    "Ridge",
    "RidgeCV",
    "SAGAClassifier",
    "SAGARegressor",
    "SAGClassifier",
    "SAGRegressor",
    "SDCAClassifier",
    "SDCARegressor",
    "SVRGClassifier",
    "SVRGRegressor",
]
