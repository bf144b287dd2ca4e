"""warm_start: exact continuation on the same data, and a clear rule for everything else.

A fit of auto goes on from the point it was given: a round of its phases is never cut in two the
same way, so it promises no equal bits, but no step back either.
"""

import warnings

import numpy as np
import pytest
from estimator_cases import FORMS, PAIRS, X, is_classifier, labels, make, strength
from sklearn.exceptions import ConvergenceWarning

import fastsum

each_pair = pytest.mark.parametrize(("name", "solver"), PAIRS)
each_method = pytest.mark.parametrize(("name", "solver"), [p for p in PAIRS if p[1] != "auto"])
each_estimator = pytest.mark.parametrize("name", [n for n, solver in PAIRS if solver == "auto"])
each_form = pytest.mark.parametrize("form", FORMS)


def quiet_fit(model, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **options)


def total_passes(model):
    return int(np.max(model.n_iter_))


@each_method
@each_form
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("passes", [5, 13])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_two_halves_equal_the_whole_bit_for_bit(name, solver, form, several, passes, weighted):
    data, y = FORMS[form](X), labels(name, several=several)
    weights = np.linspace(0, 2, len(X)) if weighted else None
    settings = {"tol": 1e-10, "random_state": 3, "warm_start": True, **strength(name, 1e-3)}
    whole = quiet_fit(make(name, solver, max_iter=2 * passes, **settings), data, y, weights)
    half = quiet_fit(make(name, solver, max_iter=passes, **settings), data, y, weights)
    first = total_passes(half)
    if half.status_ == "max_iter":  # else the whole fit ended as early
        quiet_fit(half, data, y, weights)
        assert first + total_passes(half) == total_passes(whole)
    elif total_passes(whole) > first:  # good enough at its end, where the whole has no certificate
        assert first == passes and whole.status_ != "max_iter"
        return
    np.testing.assert_array_equal(half.coef_, whole.coef_)
    np.testing.assert_array_equal(half.intercept_, whole.intercept_)
    np.testing.assert_array_equal(half.objective_, whole.objective_)


@each_method
def test_many_short_fits_equal_one(name, solver):
    settings = {"tol": 0.0, "random_state": 3, "warm_start": True, **strength(name, 1e-3)}
    y = labels(name)
    whole = quiet_fit(make(name, solver, max_iter=7, **settings), X, y)
    steps = make(name, solver, max_iter=1, **settings)
    for _ in range(7):
        quiet_fit(steps, X, y)
    np.testing.assert_array_equal(steps.coef_, whole.coef_)


@each_estimator
@each_form
@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_auto_never_steps_back(name, form, several, weighted):
    data, y = FORMS[form](X), labels(name, several=several)
    weights = np.linspace(0, 2, len(X)) if weighted else None
    settings = {"tol": 1e-10, "random_state": 3, **strength(name, 1e-3)}
    whole = make(name, "auto", max_iter=1000, **settings).fit(data, y, weights)
    paths = []
    for _ in range(2):
        part, path = make(name, "auto", max_iter=2, warm_start=True, **settings), []
        for _ in range(200):
            quiet_fit(part, data, y, weights)
            path.append(np.sum(part.objective_))
            if part.status_ != "max_iter":
                break
        assert part.status_ == "converged"
        assert (np.diff(path) <= 1e-13 * np.abs(path[0])).all()
        paths.append((path, part.coef_))
    np.testing.assert_allclose(path[-1], np.sum(whole.objective_), rtol=1e-9)
    np.testing.assert_array_equal(paths[0][0], paths[1][0])  # equal calls, equal bits
    np.testing.assert_array_equal(paths[0][1], paths[1][1])


def refit_and_fresh(name, solver, data, y, change=None):
    """Passes of a warm fit after one on (X, labels), and of a fresh fit; both models."""
    settings = {"tol": 1e-9, "max_iter": 20000, "random_state": 0, **strength(name, 0.01)}
    warm = make(name, solver, warm_start=True, **settings).fit(X, labels(name))
    warm.set_params(**(change or {})).fit(data, y)
    fresh = make(name, solver, **settings).set_params(**(change or {})).fit(data, y)
    np.testing.assert_allclose(warm.objective_, fresh.objective_, rtol=1e-6)
    np.testing.assert_allclose(warm.coef_, fresh.coef_, rtol=1e-3, atol=1e-3)
    return warm, fresh


@each_pair
def test_finished_fit_stays_where_it_is(name, solver):
    warm, fresh = refit_and_fresh(name, solver, X, labels(name))
    assert total_passes(warm) <= min(2, total_passes(fresh))


@each_pair
def test_other_penalty(name, solver):
    refit_and_fresh(name, solver, X, labels(name), strength(name, 0.011))


@each_pair
@pytest.mark.parametrize("change", ["values", "rows", "labels"])
def test_other_data(name, solver, change):
    data, y = X.copy(), labels(name).copy()
    if change == "values":
        data[::7] *= 1.1
    elif change == "rows":
        data, y = data[:-5], y[:-5]
    else:
        y[:4] = y[4:8]
    refit_and_fresh(name, solver, data, y)


@each_pair
@pytest.mark.parametrize("n_features", [2, 9])
def test_other_number_of_features_starts_afresh(name, solver, n_features):
    data = np.hstack([X, X[:, ::-1] ** 2])[:, :n_features]
    warm, fresh = refit_and_fresh(name, solver, data, labels(name))
    np.testing.assert_array_equal(warm.coef_, fresh.coef_)
    assert warm.n_features_in_ == n_features


@each_pair
def test_other_number_of_outputs_starts_afresh(name, solver):
    warm, fresh = refit_and_fresh(name, solver, X, labels(name, several=False))
    np.testing.assert_array_equal(warm.coef_, fresh.coef_)


def test_equal_size_of_another_shape_starts_afresh():
    y = np.arange(len(X)) % 6
    model = fastsum.LogisticRegression(warm_start=True, max_iter=1000).fit(X[:, :2], y)
    model.fit(X[:, :4], y % 3)
    assert model.coef_.shape == (3, 4)


@each_pair
def test_coefficients_set_by_hand_are_the_start(name, solver):
    settings = {"random_state": 0, **strength(name, 0.01)}
    target = make(name, solver, tol=1e-10, max_iter=20000, **settings).fit(X, labels(name))
    model = make(name, solver, warm_start=True, max_iter=1, tol=1e9, **settings)
    quiet_fit(model, X, labels(name))
    cold = np.sum(model.objective_)
    model.coef_, model.intercept_ = target.coef_.copy(), target.intercept_
    quiet_fit(model, X, labels(name))
    assert np.sum(model.objective_) < 0.5 * (cold + np.sum(target.objective_))


@each_pair
def test_without_warm_start_fits_do_not_depend_on_the_past(name, solver):
    model = make(name, solver, random_state=0)
    first = model.fit(X, labels(name)).coef_.copy()
    np.testing.assert_array_equal(model.fit(X, labels(name)).coef_, first)
    assert "_last_point" not in vars(model)


@pytest.mark.parametrize(("name", "solver"), [p for p in PAIRS if is_classifier(p[0])])
def test_sparsified_coefficients_are_the_start(name, solver):
    model = make(name, solver, warm_start=True, max_iter=1000).fit(X, labels(name))
    if model.status_ == "max_iter":
        pytest.skip(f"{solver} goes on moving after 1000 passes")
    expected = model.coef_.copy()
    model.sparsify().fit(X, labels(name))
    np.testing.assert_allclose(model.coef_, expected, atol=0.1 * abs(expected).max())
