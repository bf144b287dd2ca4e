"""Stores of up to 2^32 columns: only those in use take memory, and models hold no others."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import murmurhash3_32
from typer.testing import CliRunner

import fastsum
from fastsum.cli._app import app
from fastsum.distributed import fit
from fastsum.jobs import FittedModel
from fastsum.solvers.many import solve_many
from fastsum.store import Dataset, ingest
from fastsum.store._settings import Encoding
from fastsum.wide import gathered, is_wide, narrowed, spread

D = 1 << 32
MOST_BYTES = 32 << 20  # one dense vector of D numbers would take 34 GB


def write_svmlight(path, X, ids, y):
    lines = []
    for row, label in zip(X.toarray(), y, strict=True):
        held = np.flatnonzero(row)
        lines.append(f"{label!s} " + " ".join(f"{ids[j] + 1}:{row[j]!s}" for j in held))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Compact rows, the place of each column among 2^32, labels, and a store of that."""
    folder, rng = tmp_path_factory.mktemp("wide"), np.random.default_rng(5)
    X = sp.random_array((400, 30), density=0.2, rng=rng, format="csr")
    ids = np.append(np.sort(rng.choice(D - 1, size=29, replace=False)), D - 1)
    score = X @ rng.normal(size=30)
    y = np.digitize(score + 0.2 * rng.normal(size=400), np.quantile(score, [0.4, 0.7]))
    write_svmlight(folder / "a.svm", X, ids, y)
    data = ingest([folder / "a.svm"], folder / "s", n_features=D, shard_bytes=15_000)
    assert len(data) > 1 and data.shape == (400, D)
    return X, ids, y.astype(float), data


def scattered(X, ids):
    """The compact rows in the columns of the store."""
    return sp.csr_array((X.data, ids[X.indices], X.indptr), shape=(X.shape[0], D))


MODELS = {
    "logistic": fastsum.FiniteSumClassifier("logistic", alpha=1e-2, tol=1e-9),
    "softmax": fastsum.FiniteSumClassifier("multinomial", alpha=1e-2, tol=1e-9),
    "svm": fastsum.LinearSVC(tol=1e-9),
    "saga": fastsum.SAGAClassifier(alpha=1e-2, tol=1e-9),
    "squared": fastsum.FiniteSumRegressor(alpha=1e-3, tol=1e-9),
    "ridge": fastsum.Ridge(tol=1e-9),
    "lasso": fastsum.Lasso(alpha=1e-3, tol=1e-9),
    "huber": fastsum.HuberRegressor(alpha=1e-3, tol=1e-9),
}


@pytest.mark.parametrize("two", [True, False], ids=["two classes", "three"])
@pytest.mark.parametrize("name", MODELS)
def test_fits_are_those_of_the_columns_in_use(wide, tmp_path, name, two):
    X, ids, y, data = wide
    if two:
        y = (y > 0).astype(float)
    stored = (data.y > 0).astype(float) if two else data.y
    narrow = clone(MODELS[name]).fit(X, y)
    tracemalloc.start()
    model = clone(narrow).fit(data, stored)
    fastsum.save_model(tmp_path / "m", model)
    loaded = fastsum.load_model(tmp_path / "m")
    found = model.predict(scattered(X, ids)), loaded.predict(scattered(X, ids))
    own = model.predict(data), loaded.predict(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST_BYTES
    assert sp.issparse(model.coef_) and model.coef_.shape == (
        np.atleast_2d(narrow.coef_).shape[0],
        D,
    )
    assert sp.issparse(loaded.coef) and (tmp_path / "m").stat().st_size < 20_000
    np.testing.assert_allclose(
        gathered(model.coef_.T, ids).T, np.atleast_2d(narrow.coef_), atol=2e-4
    )
    np.testing.assert_allclose(model.intercept_, narrow.intercept_, atol=2e-4)
    for values in found:
        np.testing.assert_allclose(values, narrow.predict(X), atol=2e-3)
    for values in own:
        assert values.shape == (400,)
        np.testing.assert_allclose(np.sort(values), np.sort(narrow.predict(X)), atol=2e-3)
    with pytest.raises(ValueError, match="features"):
        model.predict(X)


def test_scikit_learn_agrees(wide):
    X, ids, y, data = wide
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(X, y > 0)
    ours = fastsum.LogisticRegression(C=1.0, tol=1e-10).fit(data, data.y > 0)
    np.testing.assert_allclose(gathered(ours.coef_.T, ids).T, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(
        ours.predict_proba(scattered(X, ids)), theirs.predict_proba(X), atol=1e-5
    )


def test_starts_and_callbacks_take_sparse_coefficients(wide):
    _, _, _, data = wide
    for loss in ("logistic", "multinomial"):
        for y in (data.y, data.y > 0):
            model = fastsum.FiniteSumClassifier(loss, alpha=1e-3, warm_start=True).fit(data, y)
            assert model.fit(data, y).n_iter_ <= 1
            model.coef_ = 2.0 * model.coef_
            assert 1 <= model.fit(data, y).n_iter_ < 100
    problem, seen = fastsum.Problem(data, data.y > 0, alpha=1e-3), []
    first = fastsum.minimize(problem, "saga", max_iter=8, tol=0, callback=seen.append)
    rest = fastsum.minimize(problem, "saga", max_iter=8, tol=0, init=first)
    whole = fastsum.minimize(problem, "saga", max_iter=16, tol=0)
    assert (rest.coef != whole.coef).nnz == 0 and whole.coef.shape == (D, 1)
    assert sp.issparse(seen[-1].coef)
    start = whole.coef, whole.intercept
    assert fastsum.minimize(problem, init=start, max_iter=50).status == "converged"
    assert fastsum.minimize(problem, max_iter=0).coef.nnz == 0
    with pytest.raises(ValueError, match="coefficients of shape"):
        fastsum.minimize(problem, init=(whole.coef[:5], whole.intercept))


def test_paths_and_workers(wide):
    X, ids, y, data = wide
    for l1_ratio in (0.0, 1.0):
        options = {"alphas": [1e-2, 1e-3], "l1_ratio": l1_ratio, "tol": 1e-9}
        a, b = (fastsum.path(Z, t > 0, **options) for Z, t in ((X, y), (data, data.y)))
        dense = a.coefs.toarray() if sp.issparse(a.coefs) else a.coefs
        np.testing.assert_allclose(gathered(b.coefs, ids), dense, atol=1e-4)
    two = fit(data, 2, alpha=1e-2, tol=1e-9, loss="squared")
    narrow = fastsum.minimize(fastsum.Problem(X, y, loss="squared", alpha=1e-2), tol=1e-9)
    assert two.coef.shape == (D, 1)
    np.testing.assert_allclose(gathered(two.coef, ids)[:, 0], narrow.coef, atol=1e-5)


@pytest.mark.parametrize("solver", ["saga", "svrg"])
@pytest.mark.parametrize("loss", ["squared", "multinomial"])
def test_weights_of_each_in_one_pass(wide, solver, loss):
    X, ids, y, data = wide
    strengths = (1e-1, 1e-2, 1e-3)  # some are done before others

    def weighted(rows, y):  # by label: a store has its rows in an order of its own
        base = fastsum.Problem(rows, y, loss=loss, alpha=1.0)
        weights = [np.where(y == k, 0.3, 1.0) for k in range(3)]
        pairs = zip(weights, strengths, strict=True)
        return [base.with_weights(s).with_penalty(alpha) for s, alpha in pairs]

    pairs = (X, y), (data, np.asarray(data.y))
    narrow, broad = (solve_many(weighted(*pair), solver, tol=1e-9) for pair in pairs)
    for a, b in zip(narrow, broad, strict=True):
        assert sp.issparse(b.coef) and b.coef.shape == (D, 1 if loss == "squared" else 3)
        coef = gathered(b.coef, ids).reshape(a.coef.shape)
        np.testing.assert_allclose(coef, a.coef, atol=3e-4)
        np.testing.assert_allclose(b.intercept, a.intercept, atol=3e-4)


@pytest.mark.parametrize("n_features", [None, D])
def test_factors_and_bounds_are_of_the_users_columns(tmp_path, n_features):
    """In the order of the data, whatever order the store has; those of d columns are d values."""
    rng = np.random.default_rng(2)
    X = sp.random_array((200, 12), density=0.4, rng=rng, format="csr")
    y = X @ rng.normal(size=12)
    write_svmlight(tmp_path / "a.svm", X, np.arange(12), y)
    data = ingest([tmp_path / "a.svm"], tmp_path / "s", n_features=n_features)
    options = {"loss": "squared", "alpha": 0.02, "lower": -0.4}
    if n_features is None:
        options |= {"penalty_factor": np.linspace(0.1, 3, 12), "upper": np.linspace(0.1, 0.9, 12)}
    a = fastsum.minimize(fastsum.Problem(X, y, **options), tol=1e-10)
    b = fastsum.minimize(fastsum.Problem(data, **options), tol=1e-10)
    got = b.coef if n_features is None else gathered(b.coef, np.arange(12))[:, 0]
    np.testing.assert_allclose(got, a.coef, atol=1e-5)
    start = fastsum.minimize(fastsum.Problem(data, **options), "saga", tol=1e-10, init=b)
    np.testing.assert_allclose(start.objective, a.objective, rtol=1e-8)


def test_hashes_of_32_bits(tmp_path):
    """Every category has a column of its own, the whole hash; commands take such stores."""
    lines = [f"{k % 3 // 2},w{k % 3},v{k % 50}" for k in range(300)]
    (tmp_path / "a.csv").write_text("y,c,x\n" + "\n".join(lines) + "\n")
    run, store, model = CliRunner(), str(tmp_path / "s"), str(tmp_path / "m")
    command = ["ingest", str(tmp_path / "a.csv"), "--out", store, "--target", "y", "--bits", "32"]
    assert run.invoke(app, command).exit_code == 0
    data, encoding = Dataset(store), Encoding(bits=32)
    names = [("c", f"w{k}") for k in range(3)] + [("x", f"v{k}") for k in range(50)]
    hashes = [murmurhash3_32(v, seed=encoding.seed_of(n), positive=True) for n, v in names]
    assert data.n_features == D and sorted(data.columns) == sorted(hashes)
    for command in (
        ["fit", store, "--out", model, "--alpha", "1e-3"],
        ["fit", store, "--out", model, "--alpha", "1e-3", "--job", str(tmp_path / "job")],
        ["info", model],
        ["predict", model, store, "--proba"],
    ):
        result = run.invoke(app, command)
        assert result.exit_code == 0, result.output
    result = run.invoke(app, ["predict", model, str(tmp_path / "a.csv")])
    assert result.stdout.split() == [line.split(",")[0] for line in lines]
    with pytest.raises(ValueError, match="bits must be"):
        ingest([tmp_path / "a.csv"], tmp_path / "t", target="y", bits=33)
    with pytest.raises(ValueError, match="top bit"):
        ingest([tmp_path / "a.csv"], tmp_path / "t", target="y", bits=32, signed=True)


def test_by_brute_force():
    rng = np.random.default_rng(0)
    assert is_wide(1 << 25, 1 << 23) and not is_wide(1 << 25, (1 << 23) + 1)
    assert not is_wide(1 << 24, 1)
    d = (1 << 24) + 1000
    columns = rng.permutation(np.append(rng.choice(d - 1, 49, replace=False), d - 1))
    W = np.where(rng.random((50, 3)) < 0.5, rng.normal(size=(50, 3)), 0.0)
    dense = np.zeros((d, 3))
    dense[columns] = W
    coef = spread(W, columns, d)
    assert coef.has_canonical_format and coef.nnz == np.count_nonzero(W)
    assert (coef.toarray() == dense).all() and (gathered(coef, columns) == W).all()
    some = np.array([3, columns[7], columns[0]])
    assert (gathered(coef, some) == dense[some]).all()
    at = rng.choice(columns, size=(20, 4)) + rng.integers(0, 2, size=(20, 4))
    X = sp.coo_array((rng.normal(size=80), (np.repeat(np.arange(20), 4), at.ravel() % d)), (20, d))
    Z, V = narrowed(X.tocsr(), coef)
    np.testing.assert_allclose(Z @ V, X @ dense, atol=1e-12)
    Z, V = narrowed(X.tocsr(), sp.csc_array((d, 3)))
    assert (Z @ V == np.zeros((20, 3))).all()


def test_a_sparse_model_by_itself(tmp_path):
    coef = sp.csr_array((np.array([1.0, -2.0]), ([0, 0], [7, D - 1])), shape=(1, D))
    model = FittedModel(coef, np.array([0.5]), np.array([0, 1]), "logistic", {"alpha": 1.0})
    assert "2 non-zero" in repr(model) and model.n_features == D
    X = sp.csr_array((np.ones(3), ([0, 0, 1], [7, 8, D - 1])), shape=(3, D))
    assert model.decision_function(X).tolist() == [1.5, -1.5, 0.5]
    with pytest.raises(ValueError, match="own predict"):
        model.to_sklearn()
    with pytest.raises(ValueError, match="not finite"):
        replace(model, coef=sp.csr_array(([np.nan], ([0], [7])), shape=(1, D)))
    with pytest.raises(ValueError, match="csr_array"):
        replace(model, coef=sp.csr_array(([1], ([0], [7])), shape=(1, D)))
    fastsum.save_model(tmp_path / "m", model)
    back = fastsum.load_model(tmp_path / "m", max_bytes=1 << 16)
    assert (back.coef != coef).nnz == 0
