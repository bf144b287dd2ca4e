"""What the estimators compute: weights, optima, probabilities, threads, progress."""

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.linear_model
from estimator_cases import (
    BINARY,
    CLASSES,
    FORMS,
    NAMES,
    PAIRS,
    TARGET,
    TARGETS,
    VARIANTS,
    X,
    is_classifier,
    labels,
    make,
    strength,
)
from in_turn import in_turn
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import fastsum

EXACT = {"tol": 1e-13, "max_iter": 20000, "random_state": 0}
each_pair = pytest.mark.parametrize(("name", "solver"), PAIRS)
each_form = pytest.mark.parametrize("form", FORMS)
SOLVERS = ("auto", "saga", "svrg")


def assert_same_model(a, b, atol=1e-6):
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-6, atol=atol)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=1e-6, atol=atol)


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "form"), in_turn(VARIANTS, FORMS))
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_integer_weights_equal_repeated_rows(variant, form, several):
    name, solver, settings = variant
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    y, rows = labels(name, several=several), np.repeat(np.arange(len(X)), counts)
    # these strengths are in units of the mean (alpha) or of the sum (C, Ridge): both mean the same
    model = make(name, solver, **EXACT, **strength(name, 0.05), **settings)
    repeated = clone(model).fit(FORMS[form](X[rows]), y[rows])
    weighted = model.fit(FORMS[form](X), y, sample_weight=counts)
    assert_same_model(weighted, repeated)
    np.testing.assert_allclose(weighted.objective_, repeated.objective_, rtol=1e-9)


@each_pair
@each_form
def test_zero_weights_equal_absent_rows(name, solver, form):
    weights = np.random.default_rng(2).uniform(0.5, 2, len(X))
    y = labels(name)
    gone = CLASSES == 2  # for classifiers a whole class
    weights[gone] = 0.0
    settings = {**EXACT, **strength(name, 0.05)}
    model = make(name, solver, **settings).fit(FORMS[form](X), y, sample_weight=weights)
    kept = make(name, solver, **settings)
    kept.fit(FORMS[form](X[~gone]), y[~gone], sample_weight=weights[~gone])
    assert_same_model(model, kept)
    if is_classifier(name):
        np.testing.assert_array_equal(model.classes_, [0, 1])


@pytest.mark.parametrize(("name", "solver"), [p for p in PAIRS if is_classifier(p[0])])
@pytest.mark.parametrize("weight", ["balanced", {0: 1.0, 1: 3.0, 2: 0.5}, {0: 0.0, 1: 3.0, 2: 0.5}])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_equal_sample_weights(name, solver, weight, weighted):
    given = np.random.default_rng(3).uniform(0.2, 2, len(X)) if weighted else None
    own = np.ones(len(X)) if given is None else given
    if weight == "balanced":
        mass = np.bincount(CLASSES, weights=own)
        factors = own.sum() / (3 * mass)
    else:
        factors = np.array([weight[c] for c in range(3)])
    settings = {**EXACT, **strength(name, 0.05)}
    model = make(name, solver, class_weight=weight, **settings)
    plain = make(name, solver, **settings)
    if weighted and weight == "balanced" and not balanced_takes_weights():
        pytest.skip("this scikit-learn balances classes without the weights")
    model.fit(X, CLASSES, sample_weight=given)
    plain.fit(X, CLASSES, sample_weight=own * factors[CLASSES])
    assert_same_model(model, plain)


def balanced_takes_weights():
    import inspect

    from sklearn.utils import compute_class_weight

    return "sample_weight" in inspect.signature(compute_class_weight).parameters


# --- against scikit-learn -------------------------------------------------------------------------


def theirs(cls, **settings):
    return getattr(sklearn.linear_model, cls)(**settings)


@pytest.mark.parametrize("solver", SOLVERS)
@each_form
@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["two", "three"])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0, 2: 0.5}])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_regression(solver, form, y, class_weight, weighted):
    weights = np.random.default_rng(4).uniform(0.2, 2, len(X)) if weighted else None
    if isinstance(class_weight, dict):
        class_weight = {label: class_weight[label] for label in np.unique(y).tolist()}
    common = {"C": 0.7, "class_weight": class_weight}
    model = fastsum.LogisticRegression(solver=solver, **common, **EXACT)
    other = theirs("LogisticRegression", solver="newton-cholesky", tol=1e-12, **common)
    model.fit(FORMS[form](X), y, sample_weight=weights)
    assert_same_model(model, other.fit(X, y, sample_weight=weights), atol=1e-5)
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), atol=1e-5)
    assert model.coef_.shape == other.coef_.shape
    assert model.intercept_.shape == other.intercept_.shape
    assert model.n_iter_.shape == (1,)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["two", "three"])
def test_logistic_regression_with_l1(solver, l1_ratio, y):
    model = fastsum.LogisticRegression(C=0.1, l1_ratio=l1_ratio, solver=solver, **EXACT).fit(X, y)
    other = sklearn_saga(C=0.1, l1_ratio=l1_ratio).fit(X, y)
    np.testing.assert_allclose(model.coef_, other.coef_, atol=2e-4)
    assert (model.coef_ == 0).any()


def sklearn_saga(**settings):
    """scikit-learn's saga; its l1_ratio had no effect without a penalty before 1.8."""
    names = {"penalty": "elasticnet"} if sklearn.__version__ < "1.8" else {}
    return theirs(
        "LogisticRegression", solver="saga", tol=1e-9, max_iter=100000, **names, **settings
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_logistic_regression_without_a_penalty(solver):
    noisy = np.random.default_rng(5).permutation(BINARY)  # so that no plane separates the classes
    model = fastsum.LogisticRegression(C=np.inf, solver=solver, **EXACT).fit(X, noisy)
    other = theirs("LogisticRegression", C=1e12, solver="newton-cholesky", tol=1e-12)
    assert_same_model(model, other.fit(X, noisy), atol=1e-5)
    assert model.status_ in ("stationary", "precision")
    assert np.isinf(model.dual_gap_)


@pytest.mark.parametrize("solver", SOLVERS)
@each_form
@pytest.mark.parametrize("y", [TARGET, TARGETS], ids=["1d", "2d"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Ridge", {"alpha": 3.0}),
        ("Lasso", {"alpha": 0.1}),
        ("ElasticNet", {"alpha": 0.1, "l1_ratio": 0.3}),
    ],
)
def test_regressors(solver, form, y, intercept, weighted, name, settings):
    weights = np.random.default_rng(6).uniform(0.2, 2, len(X)) if weighted else None
    common = {**settings, "fit_intercept": intercept}
    model = make(name, solver, **common, **EXACT)
    other = theirs(name, **common, tol=1e-12)
    if name != "Ridge":
        other.set_params(max_iter=100000)
    model.fit(FORMS[form](X), y, sample_weight=weights)
    assert_same_model(model, other.fit(X, y, sample_weight=weights), atol=1e-5)
    assert model.coef_.shape == other.coef_.shape
    assert np.shape(model.intercept_) == np.shape(other.intercept_)
    assert model.predict(X).shape == y.shape
    assert (model.sparse_coef_.toarray() == np.atleast_2d(model.coef_)).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_ridge_with_a_penalty_for_each_target(solver):
    alphas = np.array([0.5, 20.0])
    model = fastsum.Ridge(alpha=alphas, solver=solver, **EXACT).fit(X, TARGETS)
    assert_same_model(model, theirs("Ridge", alpha=alphas).fit(X, TARGETS), atol=1e-5)
    for j, alpha in enumerate(alphas):
        single = fastsum.Ridge(alpha=alpha, solver=solver, **EXACT).fit(X, TARGETS[:, j])
        np.testing.assert_allclose(model.coef_[j], single.coef_, atol=1e-6)


# --- scores, probabilities, sparse coefficients ---------------------------------------------------


@pytest.mark.parametrize(
    ("name", "solver"), [p for p in PAIRS if is_classifier(p[0]) and p[0] != "LinearSVC"]
)
@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
@pytest.mark.parametrize("several", [False, True], ids=["two", "three"])
def test_probabilities_are_those_of_the_loss(name, solver, loss, several):
    model = make(name, solver)
    if "loss" in model.get_params():
        model.set_params(loss=loss)
    coupled = getattr(model, "loss", "multinomial") == "multinomial"
    model.fit(X, labels(name, several=several))
    scores, p = model.decision_function(X), model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    if not several:
        np.testing.assert_allclose(p[:, 1], expit(scores), rtol=1e-12)
    elif coupled:
        np.testing.assert_allclose(p, softmax(scores, axis=1), rtol=1e-12)
    else:
        one = expit(scores)
        np.testing.assert_allclose(p, one / one.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-9)
    order = p.argmax(axis=1)
    np.testing.assert_array_equal(model.predict(X), model.classes_[order])


def test_two_coupled_outputs_are_one_logistic_model():
    settings = {"alpha": 0.01, **EXACT}
    coupled = fastsum.SAGAClassifier("multinomial", **settings).fit(X, BINARY)
    single = fastsum.SAGAClassifier("logistic", **{**settings, "alpha": 0.005}).fit(X, BINARY)
    assert_same_model(coupled, single, atol=1e-5)


@pytest.mark.parametrize("cls", [fastsum.SAGAClassifier, fastsum.SVRGClassifier])
def test_squared_hinge_has_no_probabilities(cls):
    model = cls("squared_hinge").fit(X, BINARY)
    for method in ("predict_proba", "predict_log_proba"):
        assert not hasattr(model, method)
        with pytest.raises(AttributeError, match=f"no attribute '{method}'") as caught:
            getattr(model, method)
        assert "use loss='logistic' or 'multinomial'" in str(caught.value.__cause__)


@pytest.mark.parametrize("name", [n for n in NAMES if is_classifier(n)])
def test_sparsify_and_densify(name):
    l1 = {"penalty": "l1"} if name == "LinearSVC" else {"l1_ratio": 1.0}
    model = make(name, getattr(fastsum, name)._solver, **l1, **strength(name, 0.05))
    model.set_params(max_iter=1000).fit(X, CLASSES)
    dense, scores = model.coef_.copy(), model.decision_function(X)
    assert sp.issparse(model.sparsify().coef_)
    np.testing.assert_allclose(model.decision_function(sp.csr_array(X)), scores, rtol=1e-12)
    np.testing.assert_array_equal(model.densify().coef_, dense)
    assert model.densify() is model


def test_scores_of_a_large_matrix_do_not_depend_on_threads():
    rng = np.random.default_rng(8)
    data = sp.random_array((200_000, 500), density=0.02, format="csr", rng=rng)
    small = data[:2000]
    y = np.asarray(small.sum(axis=1)).ravel() > small.sum() / 2000
    model = fastsum.LogisticRegression(C=0.1).fit(small, y)
    serial = model.decision_function(data)
    for n_jobs in (2, -1):
        threaded = model.set_params(n_jobs=n_jobs).decision_function(data)
        np.testing.assert_array_equal(threaded, serial)
    np.testing.assert_allclose(serial, data @ model.coef_[0] + model.intercept_[0], atol=1e-12)


# --- threads and progress -------------------------------------------------------------------------


@each_pair
@each_form
def test_two_threads_give_the_same_model(name, solver, form):
    data, y = FORMS[form](np.tile(X, (20, 1))), np.tile(labels(name), (20, 1)[: labels(name).ndim])
    settings = {"tol": 1e-10, "max_iter": 5000, "random_state": 0, **strength(name, 0.05)}
    one = make(name, solver, **settings).fit(data, y)
    two = make(name, solver, n_jobs=2, **settings).fit(data, y)
    assert_same_model(one, two, atol=1e-4)
    again = make(name, solver, n_jobs=2, **settings).fit(data, y)
    np.testing.assert_array_equal(two.coef_, again.coef_)
    np.testing.assert_array_equal(again.n_iter_, two.n_iter_)


@each_pair
def test_verbose_shows_passes_objective_and_gap(name, solver, capsys):
    make(name, solver, verbose=1, max_iter=1000).fit(X, labels(name))
    shown = capsys.readouterr().err
    for word in ("pass", "objective=", "gap=", "target=", solver):
        assert word in shown
    make(name, solver, max_iter=1000).fit(X, labels(name))
    assert capsys.readouterr().err == ""


@each_pair
def test_stopping_early_warns_how_far_it_got(name, solver):
    wide = np.random.default_rng(0).standard_normal((len(X), 2000))  # no two passes are enough
    if solver == "auto" and name not in ("Lasso", "ElasticNet"):
        # few rows and an l2 penalty: all steps are made in two passes
        model = make(name, solver, max_iter=2, tol=1e-11, **strength(name, 0.001))
        model.fit(wide, labels(name, several=False))
        assert model.status_ == "converged" and model.n_iter_ == 2
        return
    with pytest.warns(ConvergenceWarning, match=r"after 2 passes \(certified gap .* tol asks for"):
        model = make(name, solver, max_iter=2, tol=1e-11, **strength(name, 0.001))
        model.fit(wide, labels(name, several=False))
    assert np.all(model.n_iter_ == 2) and model.status_ == "max_iter"
