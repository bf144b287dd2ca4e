"""Parameters out of range, or without a meaning here: an error that names them and the remedy."""

import numpy as np
import pytest
from estimator_cases import BINARY as Y
from estimator_cases import NAMES, X, labels
from sklearn.exceptions import NotFittedError

import fastsum
from fastsum.solvers import _tables
from fastsum.solvers.variance_reduced import saga

ESTIMATORS = [getattr(fastsum, name) for name in NAMES]
each_estimator = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda c: c.__name__)


def labels_for(cls):
    return labels(cls.__name__, several=False)


# --- parameters -----------------------------------------------------------------------------------


OUT_OF_RANGE = [
    ("alpha", -1.0),
    ("alpha", np.nan),
    ("alpha", np.inf),
    ("alpha", "1"),
    ("C", 0.0),
    ("C", -1.0),
    ("C", np.nan),
    ("l1_ratio", -0.1),
    ("l1_ratio", 1.1),
    ("l1_ratio", None),
    ("tol", -1e-3),
    ("tol", np.inf),
    ("max_iter", -1),
    ("max_iter", 2.5),
    ("fit_intercept", "no"),
    ("n_jobs", 1.5),
    ("n_jobs", 0),
    ("random_state", "seed"),
    ("warm_start", 3),
    ("verbose", -1),
    ("solver", "newton-cg"),
    ("sampling", "random"),
    ("step_size", 0.0),
    ("class_weight", "even"),
    ("copy_X", 3),
    ("loss_param", 0.0),
    ("loss_param", -1.0),
    ("loss_param", np.inf),
    ("loss_param", 2.0),  # the default losses have none
    ("loss", "probit"),
]


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (cls, name, value)
        for cls in ESTIMATORS
        for name, value in OUT_OF_RANGE
        if name in cls().get_params()
    ],
)
def test_parameters_out_of_range(cls, name, value):
    with pytest.raises(ValueError, match=name):
        cls(**{name: value}).fit(X, labels_for(cls))


@pytest.mark.parametrize(
    ("cls", "name", "value", "remedy"),
    [
        (fastsum.LogisticRegression, "penalty", "l1", "use l1_ratio"),
        (fastsum.LogisticRegression, "penalty", None, "C=np.inf for none"),
        (fastsum.LogisticRegression, "dual", True, "leave it at False"),
        (fastsum.LogisticRegression, "intercept_scaling", 2.0, "leave it at 1"),
        (fastsum.Lasso, "precompute", True, "leave it at its default"),
        (fastsum.Lasso, "precompute", np.eye(3), "leave it at its default"),
        (fastsum.ElasticNet, "precompute", True, "leave it at its default"),
        (fastsum.Lasso, "selection", "random", "sampling"),
        (fastsum.ElasticNet, "selection", "random", "sampling"),
    ],
)
def test_parameters_without_a_meaning_here(cls, name, value, remedy):
    with pytest.raises(ValueError, match=rf"(?s){name}=.*has no meaning in.*{remedy}"):
        cls(**{name: value}).fit(X, labels_for(cls))


def test_set_params_names_the_valid_ones():
    with pytest.raises(ValueError, match=r"Invalid parameter 'gamma'.*'alpha'"):
        fastsum.SAGAClassifier().set_params(gamma=1)
    with pytest.raises(TypeError, match="multi_class"):
        fastsum.LogisticRegression(multi_class="ovr")


@pytest.mark.parametrize("alpha", [[1.0, -1.0], [1.0, 2.0, 3.0], [[1.0], [2.0]], [1.0, np.nan]])
def test_ridge_penalties_of_targets(alpha):
    with pytest.raises(ValueError, match="alpha"):
        fastsum.Ridge(alpha=alpha).fit(X, X[:, :2])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": -1.0}, r"alpha must be finite and in \[0, inf\)"),
        ({"alpha": np.inf}, r"alpha must be finite and in \[0, inf\)"),
        ({"alpha": [1.0, 2.0]}, "alpha must be a number"),
        ({"alpha": "a"}, "alpha must be a number or an array of them, got 'a'"),
        ({"l1_ratio": {}}, "l1_ratio must be a number or an array of them, got {}"),
        ({"l1_ratio": 1.5}, r"l1_ratio must be finite and in \[0, 1\]"),
        ({"l1_ratio": -0.5}, r"l1_ratio must be finite and in \[0, 1\]"),
    ],
)
def test_penalty_of_a_problem(settings, message):
    with pytest.raises(ValueError, match=message):
        fastsum.Problem(X, Y, **settings)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, 1e-320, "1", [1.0], True])
@pytest.mark.parametrize("loss", ["huber", "smoothed_hinge"])
def test_parameter_of_a_loss(loss, value):
    message = rf"loss_param must be a finite number > 0 or None for loss='{loss}'"
    with pytest.raises(ValueError, match=message):
        fastsum.Problem(X, Y, loss=loss, loss_param=value)


@pytest.mark.parametrize("loss", ["squared", "logistic", "multinomial", "squared_hinge"])
def test_a_parameter_for_a_loss_without_one(loss):
    message = rf"loss_param=2.0 has no meaning: loss='{loss}' .* only huber and smoothed_hinge have"
    with pytest.raises(ValueError, match=message):
        fastsum.Problem(X, Y, loss=loss, loss_param=2.0)


def test_no_labels():
    with pytest.raises(ValueError, match="y is None"):
        fastsum.Problem(X, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"solver": "newton-cg"},
            r"solver='newton-cg' is unknown; choose one of \['auto', 'saga', 'svrg'",
        ),
        ({"sampling": "random"}, "sampling='random' is unknown; choose one of .*'blocks'"),
        ({"tol": -1.0}, "tol must be a finite number >= 0"),
        ({"tol": np.nan}, "tol must be a finite number >= 0"),
        ({"max_iter": -1}, "max_iter must be an integer >= 0"),
        ({"max_iter": 2.5}, "max_iter must be an integer >= 0"),
        ({"max_time": -1.0}, "max_time must be a positive number or None"),
        ({"step_size": 0.0}, "step_size must be a positive number or None"),
        ({"n_jobs": 0}, "n_jobs must not be 0: use None"),
        ({"init": (np.zeros(5), 0.0)}, r"init has coefficients of shape \(5,\)"),
        ({"init": (np.full(6, np.nan), 0.0)}, "init holds NaN"),
    ],
)
def test_settings_of_minimize(settings, message):
    with pytest.raises(ValueError, match=message):
        fastsum.minimize(fastsum.Problem(X, Y), **settings)


# --- predicting -----------------------------------------------------------------------------------


@each_estimator
def test_predict_on_other_columns(cls):
    model = cls().fit(X, labels_for(cls))
    with pytest.raises(ValueError, match=r"4 features, but .* is expecting 6"):
        model.predict(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="contains NaN"):
        model.predict(np.full((2, 6), np.nan))


@each_estimator
def test_predict_before_fit(cls):
    with pytest.raises(NotFittedError, match=cls.__name__):
        cls().predict(X)


# --- memory ---------------------------------------------------------------------------------------


def test_gradient_table_that_does_not_fit(monkeypatch):
    monkeypatch.setattr(_tables, "SMALL_TABLE", 0)  # what is small is not looked at
    for module in (_tables, saga):
        monkeypatch.setattr(module, "available_memory", lambda: 100.0)
    with pytest.raises(MemoryError, match=r"(?s)table needs .* GB.*90 x 1.*use solver='svrg'"):
        fastsum.LogisticRegression(solver="saga").fit(X, Y)
    # no phase of auto serves an l1 part on some of several problems only
    mixed = fastsum.Problem(X, X[:, :2], loss="squared", alpha=0.1, l1_ratio=[0.0, 1.0])
    assert fastsum.minimize(mixed).solver == "svrg"
