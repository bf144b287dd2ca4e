"""fastsum: exact, certified, fast minimisation of regularised finite sums."""

import os as _os
from pathlib import Path as _Path

# Waiting OpenMP threads must sleep: beside another OpenMP runtime (scikit-learn's) spinning
# threads made alternating parallel regions some 50 times slower. Read once by libgomp, so first.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from fastsum.backend import select_cpu_level as _select_cpu_level

_select_cpu_level()

from fastsum import callbacks, datasets, model_selection, plot, store  # noqa: E402
from fastsum._versions import show_versions  # noqa: E402
from fastsum.jobs import FittedModel, load_model, save_model  # noqa: E402
from fastsum.linear_model import (  # noqa: E402
    ElasticNet,
    ElasticNetCV,
    FiniteSumClassifier,
    FiniteSumRegressor,
    HuberRegressor,
    KatyushaClassifier,
    KatyushaRegressor,
    Lasso,
    LassoCV,
    LinearSVC,
    LogisticRegression,
    LogisticRegressionCV,
    MultiTaskElasticNet,
    MultiTaskLasso,
    PoissonRegressor,
    Ridge,
    RidgeCV,
    SAGAClassifier,
    SAGARegressor,
    SAGClassifier,
    SAGRegressor,
    SDCAClassifier,
    SDCARegressor,
    SVRGClassifier,
    SVRGRegressor,
)
from fastsum.linear_model._path import RegularizationPath, alpha_max, path  # noqa: E402
from fastsum.problem import Problem  # noqa: E402
from fastsum.result import Result, Status  # noqa: E402
from fastsum.solvers import minimize  # noqa: E402

# The one place of the version; meson.build reads it too.
__version__ = (_Path(__file__).parent / "VERSION").read_text(encoding="utf-8").strip()

__all__ = [
    "ElasticNet",
    "ElasticNetCV",
    "FiniteSumClassifier",
    "FiniteSumRegressor",
    "FittedModel",
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
    "Problem",
    "RegularizationPath",
    "Result",
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
    "Status",
    "__version__",
    "alpha_max",
    "callbacks",
    "datasets",
    "load_model",
    "minimize",
    "model_selection",
    "path",
    "plot",
    "save_model",
    "show_versions",
    "store",
]
