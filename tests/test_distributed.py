"""`fastsum.distributed`: the optimum of one machine, its certificate, and workers that are lost."""

import importlib
import os
import pickle
import signal
from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse as sp
from problems import CURVED_LAYOUTS, STORAGES, random_labels, random_matrix
from sklearn.exceptions import ConvergenceWarning

import fastsum
from fastsum import Problem, minimize
from fastsum.certificate import Certifier
from fastsum.datasets import make_click_log
from fastsum.distributed import (
    FiniteSumClassifier,
    FiniteSumRegressor,
    InProcess,
    LogisticRegression,
    WorkerLost,
    fit,
)
from fastsum.distributed._certifier import root_of_slope
from fastsum.distributed._communicator import in_use
from fastsum.distributed._processes import Processes
from fastsum.distributed._shard import Source

SINGLE = [loss for loss, layout in CURVED_LAYOUTS if layout in ("single", "coupled")]


def cut(X, y, n_parts, weights=None):
    """Partitions of unequal size."""
    ends = (np.linspace(0, 1, n_parts + 1) ** 1.5 * len(y)).astype(int)
    parts = [(X[a:b], y[a:b]) for a, b in pairwise(ends)]
    if weights is None:
        return parts
    return [(*part, weights[a:b]) for part, (a, b) in zip(parts, pairwise(ends), strict=True)]


def case(loss, storage="csr", n=400, d=12, seed=0):
    rng = np.random.default_rng(seed)
    X = random_matrix(rng, n, d, storage)
    layout = "coupled" if loss == "multinomial" else "single"
    return X, random_labels(rng, X, loss, layout)


@pytest.fixture(scope="module")
def clicks():
    return make_click_log(30_000, 1 << 16, random_state=0)


# ---- the optimum


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("loss", SINGLE)
def test_it_is_the_optimum_of_one_machine(loss, storage):
    X, y = case(loss, storage)
    rng = np.random.default_rng(1)
    s = rng.integers(0, 4, len(y)).astype(float)
    alpha = 1e-2
    result = fit(cut(X, y, 3, s), loss=loss, alpha=alpha, tol=1e-9)
    problem = Problem(X, y, loss=loss, alpha=alpha, sample_weight=s)
    one = minimize(problem, tol=1e-12)
    assert str(result.status) == "converged"
    assert result.objective == pytest.approx(one.objective, rel=1e-8)
    distance = np.abs(result.coef - one.coef).max()
    # the gap bounds the suboptimality, and that the distance
    assert 0.5 * alpha * distance**2 <= result.dual_gap + one.dual_gap


@pytest.mark.parametrize("n_parts", [1, 2, 5])
def test_a_click_log_after_local_solves(clicks, n_parts):
    X, y = clicks
    result = fit(cut(X, y, n_parts), alpha=1e-4, tol=1e-4)
    one = minimize(Problem(X, y, alpha=1e-4), tol=1e-10)
    assert {"local solves", "newton-cg"} <= set(result.trace["phase"])
    null = Certifier(Problem(X, y, alpha=1e-4), 1).null.objective[0]
    assert -one.dual_gap <= result.objective - one.objective <= 1e-4 * null
    assert result.n_rounds <= 60


def test_scipy_finds_no_better_point():
    X, y = case("logistic", "dense", n=300, d=6)
    result = fit(cut(X, y, 4), alpha=0.05, tol=1e-10)

    def F(w):
        return np.logaddexp(0, -y * (X @ w[:-1] + w[-1])).mean() + 0.025 * w[:-1] @ w[:-1]

    best = scipy.optimize.minimize(F, np.zeros(7), method="BFGS", options={"gtol": 1e-9})
    assert result.objective == pytest.approx(best.fun, abs=1e-12)
    assert np.append(result.coef, result.intercept) == pytest.approx(best.x, abs=1e-6)


@pytest.mark.parametrize("loss", SINGLE)
@pytest.mark.parametrize("max_iter", [1, 3, 8])
def test_the_gap_is_never_less_than_the_suboptimality(loss, max_iter):
    """Of a fit that is cut short, against the certificate and the optimum of one machine."""
    X, y = case(loss)
    with pytest.warns(ConvergenceWarning) if max_iter < 3 else _nothing():
        result = fit(cut(X, y, 3), loss=loss, alpha=1e-3, tol=1e-13, max_iter=max_iter)
    problem = Problem(X, y, loss=loss, alpha=1e-3)
    best = minimize(problem, tol=1e-12).objective
    W = np.vstack([result.coef.reshape(12, -1), np.atleast_1d(result.intercept)])
    there = Certifier(problem, 1)(W)
    assert result.objective == pytest.approx(there.objective[0], rel=1e-12)
    assert result.dual_gap >= result.objective - best - 1e-14
    assert np.all(result.trace["gap"] >= result.trace["objective"] - best - 1e-14)


class _nothing:
    def __enter__(self):
        import warnings

        self._context = warnings.catch_warnings()
        self._context.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *error):
        self._context.__exit__(*error)


def test_a_partition_without_weight_is_absent():
    X, y = case("logistic", "csr")
    s = np.ones(len(y))
    s[:51] = 0.0
    parts = [(X[:51], y[:51], s[:51]), (X[51:], y[51:], s[51:])]
    result = fit(parts, alpha=1e-2, tol=1e-10)
    alone = minimize(Problem(X[51:], y[51:], alpha=1e-2), tol=1e-12)
    assert result.objective == pytest.approx(alone.objective, rel=1e-9)


def test_without_intercept_and_in_float32(clicks):
    X, y = clicks
    result = fit(cut(X, y, 2), alpha=1e-3, tol=1e-4, fit_intercept=False)
    one = minimize(Problem(X, y, alpha=1e-3, fit_intercept=False), tol=1e-8)
    assert result.intercept == 0.0 and result.coef.dtype == np.float32
    assert result.objective == pytest.approx(one.objective, rel=1e-4)


def test_strings_and_many_classes():
    X, y = case("multinomial", "csr")
    names = np.array(["b", "c", "a"])[y.astype(int)]
    parts = cut(X, names, 3)
    model = LogisticRegression(C=2.0, tol=1e-9).fit(parts)
    one = fastsum.LogisticRegression(C=2.0, tol=1e-10, max_iter=1000).fit(X, names)
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert model.objective_ == pytest.approx(one.objective_, rel=1e-8)
    assert (model.predict(X) == one.predict(X)).all()
    model = FiniteSumClassifier("squared_hinge", alpha=1e-2, tol=1e-9).fit(parts)
    one = fastsum.FiniteSumClassifier("squared_hinge", alpha=1e-2, tol=1e-10).fit(X, names)
    assert model.objective_ == pytest.approx(one.objective_, rel=1e-8)
    assert model.coef_.shape == (3, 12)
    assert (pickle.loads(pickle.dumps(model)).predict(X) == model.predict(X)).all()


def test_regressors_predict_like_those_of_one_machine():
    X, y = case("poisson", "dense")
    model = FiniteSumRegressor("poisson", alpha=1e-2, tol=1e-9).fit(cut(X, y, 3))
    one = fastsum.FiniteSumRegressor("poisson", alpha=1e-2, tol=1e-10).fit(X, y)
    assert model.predict(X) == pytest.approx(one.predict(X), rel=1e-3)
    assert model.n_rounds_ > 0 and model.coef_.shape == (12,)


def test_a_store_is_dealt_to_the_workers(tmp_path, clicks):
    X, y = clicks
    X, y = X[:4000], y[:4000]
    from sklearn.datasets import dump_svmlight_file

    dump_svmlight_file(X, y, str(tmp_path / "a.svm"), zero_based=False)
    data = fastsum.store.ingest(
        [tmp_path / "a.svm"], tmp_path / "s", n_features=X.shape[1], shard_bytes=200_000
    )
    assert len(data) >= 3
    rest = tuple(range(3, len(data)))
    sources = [Source(data.path, blocks=b) for b in ((0, 2), (1, *rest))]
    result = fit(None, InProcess(sources), alpha=1e-3, tol=1e-6)
    one = minimize(Problem(data, alpha=1e-3), tol=1e-9)
    assert result.coef.shape == (X.shape[1],)
    assert result.objective == pytest.approx(one.objective, rel=1e-6)
    whole = fit(data, 2, alpha=1e-3, tol=1e-6)
    assert whole.objective == pytest.approx(one.objective, rel=1e-6)


# ---- communication


def test_only_touched_columns_travel():
    """Two partitions with 50 columns each, of a million: a round is some kilobytes."""
    rng = np.random.default_rng(0)
    X = sp.random_array((400, 50), density=0.2, rng=rng, format="csr")
    ends = [np.arange(50) * 7, 900_000 + np.arange(50) * 3]
    parts = []
    for ids in ends:
        coo = X.tocoo()
        wide = sp.coo_array((coo.data, (coo.row, ids[coo.col])), shape=(400, 1_000_000)).tocsr()
        parts.append((wide, rng.integers(0, 2, 400)))
    result = fit(parts, alpha=1e-3, tol=1e-8)
    held = sp.vstack([wide for wide, _ in parts])
    one = minimize(Problem(held, np.concatenate([y for _, y in parts]), alpha=1e-3), tol=1e-10)
    assert result.objective == pytest.approx(one.objective, rel=1e-7)
    assert np.count_nonzero(result.coef) <= 100 and len(result.coef) == 1_000_000
    assert result.sent < 2_000 * 8 * result.n_rounds


def test_columns_in_use_are_those_of_any_worker():
    held = [np.array([3, 90_000]), np.array([5, 90_000, 99_000])]
    columns, ids = in_use(held, [np.array([1.0, 4]), np.array([2.0, 9, 1])], 100_000)
    assert columns[0] == 90_000 and sorted(columns) == [3, 5, 90_000, 99_000]
    for mine, theirs in zip(ids, held, strict=True):
        assert sorted(columns[mine]) == sorted(theirs) and (np.diff(mine) > 0).all()
    assert in_use([None, None], [None, None], 5) == (None, [None, None])


def test_the_root_of_a_slope_from_three_points():
    z = np.random.default_rng(0).normal(size=200)
    nodes = np.array([-0.05, 0.05, 0.0])

    def slope(b):
        return (1 / (1 + np.exp(-z - b)) - 0.49).sum()

    p = 1 / (1 + np.exp(-z - nodes[:, None]))
    g, h = np.array([[slope(b)] for b in nodes]), (p * (1 - p)).sum(axis=1)[:, None]
    found = root_of_slope(nodes, g, h)
    assert found == pytest.approx(scipy.optimize.brentq(slope, -1, 1), abs=1e-11)
    assert root_of_slope(nodes, g + 1e4, h)[0] == np.inf


def test_processes_with_shared_memory(clicks):
    X, y = clicks
    parts = cut(X, y, 2)
    here, there = (fit(parts, client, alpha=1e-4, tol=1e-5) for client in (None, 2))
    assert there.objective == here.objective and (there.coef == here.coef).all()


# ---- workers that are lost


class Mortal(InProcess):
    """Loses a shard at a call, or at every call of a kind."""

    def __init__(self, sources, operation, at=1, always=False):
        super().__init__(sources)
        self.operation, self.left, self.always = operation, at, always

    def _exchange(self, operation, messages):
        if operation == self.operation:
            self.left -= 1
            if self.left == 0 or (self.always and self.left < 0):
                self.shards[-1] = None
        return super()._exchange(operation, messages)


CALLS = [
    ("describe", 1),
    ("prepare", 1),
    ("loss_terms", 1),
    ("loss_terms", 5),
    ("local_solve", 2),
    ("diagonal", 1),
    ("block", 1),
    ("hessian_product", 3),
]


@pytest.mark.parametrize(("operation", "at"), CALLS)
def test_a_lost_shard_changes_nothing(clicks, operation, at):
    X, y = clicks
    sources = [Source(*part) for part in cut(X, y, 3)]
    whole = fit(None, InProcess(sources), alpha=1e-5, tol=1e-6)
    mortal = Mortal(sources, operation, at)
    result = fit(None, mortal, alpha=1e-5, tol=1e-6)
    assert mortal.left <= 0
    assert str(result.status) == "converged"
    assert abs(result.objective - whole.objective) <= result.dual_gap + whole.dual_gap


def test_a_worker_that_dies_again_and_again_ends_the_fit(clicks):
    X, y = clicks
    sources = [Source(*part) for part in cut(X, y, 3)]
    with pytest.raises(WorkerLost, match="gone"):
        fit(None, Mortal(sources, "hessian_product", always=True), alpha=1e-5)


def test_a_process_that_is_killed_is_replaced(clicks):
    X, y = clicks
    sources = [Source(*part) for part in cut(X, y, 2)]
    whole = fit(None, InProcess(sources), alpha=1e-5, tol=1e-6)
    with Processes(sources) as processes:
        killed = []

        def kill(progress):
            if not killed and progress.passes > 5:
                killed.append(processes.processes[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        result = fit(None, processes, alpha=1e-5, tol=1e-6, callback=kill)
        assert killed and result.replaced == 1
    assert abs(result.objective - whole.objective) <= result.dual_gap + whole.dual_gap


# ---- what is refused


def test_what_is_not_served_names_the_remedy():
    X, y = case("logistic")
    parts = cut(X, y, 2)
    with pytest.raises(ValueError, match="smoothed_hinge"):
        fit(parts, loss="hinge")
    with pytest.raises(ValueError, match=r"fastsum\.minimize"):
        fit(parts, l1_ratio=0.5)
    with pytest.raises(ValueError, match="small alpha > 0"):
        fit(parts, alpha=0.0)
    with pytest.raises(TypeError, match=r"dask\.distributed\.Client"):
        fit(parts, "tcp://nowhere")


def test_partitions_that_do_not_fit_together():
    X, y = case("logistic")
    with pytest.raises(ValueError, match="partition 1 has columns 11, partition 0 has 12"):
        fit([(X[:9], y[:9]), (X[9:, :11], y[9:])])
    with pytest.raises(ValueError, match="one dtype"):
        fit([(X[:9], y[:9]), (X[9:].astype(np.float32), y[9:])])
    with pytest.raises(ValueError, match="all dense"):
        fit([(X[:9], y[:9]), (X[9:].toarray(), y[9:])])
    with pytest.raises(ValueError, match="y of a partition has shape"):
        fit([(X[:9], y[:9]), (X[9:], y[10:])])
    with pytest.raises(ValueError, match="partition 1 must be"):
        fit([(X[:9], y[:9]), X[9:]])
    with pytest.raises(ValueError, match="single class"):
        fit([(X[:9], np.ones(9)), (X[9:20], np.ones(11))])
    with pytest.raises(ValueError, match="empty list"):
        fit([])
    with pytest.raises(TypeError, match="list of"):
        fit(X)
    with pytest.raises(ValueError, match="zero for all rows"):
        fit(cut(X, y, 2, np.zeros(len(y))))


def test_workers_of_another_version(monkeypatch):
    from fastsum.distributed import _fit

    X, y = case("logistic")
    monkeypatch.setattr(_fit, "versions", lambda: {"fastsum": "0.0"})
    with pytest.raises(ValueError, match="install the same"):
        fit(cut(X, y, 2))


def test_a_store_with_fewer_blocks_than_workers(tmp_path):
    (tmp_path / "a.svm").write_text("1 1:1\n-1 2:1\n" * 20)
    data = fastsum.store.ingest([tmp_path / "a.svm"], tmp_path / "s")
    with pytest.raises(ValueError, match="1 block"):
        fit(data, 2)
    with pytest.raises(ValueError, match="its own labels"):
        fit(data, y=np.ones(40))


# ---- Dask


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="needs fastsum[dask]")
    options = {"threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=2, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_killed_dask_worker_is_replaced(client, clicks):
    X, y = clicks
    parts = cut(X, y, 2)
    here = fit(parts, alpha=1e-5, tol=1e-6)
    killed = []

    def kill(progress):
        if not killed and progress.passes > 5:
            killed.append(min(client.run(os.getpid).values()))
            os.kill(killed[0], signal.SIGKILL)

    result = fit(parts, client, alpha=1e-5, tol=1e-6, callback=kill)
    assert killed and result.replaced == 1 and str(result.status) == "converged"
    assert abs(result.objective - here.objective) <= result.dual_gap + here.dual_gap
    client.wait_for_workers(2, timeout=60)


def test_dask_arrays(client):
    da = pytest.importorskip("dask.array", reason="needs fastsum[dask]")
    X, y = case("logistic", "dense")
    chunks = ((150, 50, 120, 80), (12,))
    dX, dy = da.from_array(X, chunks=chunks), da.from_array(y, chunks=chunks[0])
    model = LogisticRegression(C=0.5, tol=1e-9, client=client).fit(dX, dy)
    one = fastsum.LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(X, y)
    assert model.objective_ == pytest.approx(one.objective_, rel=1e-8)
    assert (model.predict(dX).compute() == one.predict(X)).all()
    assert model.decision_function(dX).compute() == pytest.approx(
        one.decision_function(X), abs=1e-3
    )
    with pytest.raises(ValueError, match="rechunk"):
        model.fit(dX.rechunk({1: 6}), dy)
    with pytest.raises(ValueError, match="rechunk y like X"):
        model.fit(dX, dy.rechunk(200))
    with pytest.raises(TypeError, match="dask Array or Series"):
        model.fit(dX, y)


def test_dask_dataframes(client):
    try:
        dd = importlib.import_module("dask.dataframe")
    except ImportError as error:
        pytest.skip(f"dask.dataframe: {error}")
    pd = importlib.import_module("pandas")
    X, y = case("squared", "dense")
    frame = dd.from_pandas(pd.DataFrame(X).rename(columns=str).assign(y=y), npartitions=4)
    model = FiniteSumRegressor(alpha=1e-2, tol=1e-9, client=client)
    model.fit(frame.drop(columns="y"), frame["y"])
    one = fastsum.FiniteSumRegressor(alpha=1e-2, tol=1e-10).fit(X, y)
    assert model.objective_ == pytest.approx(one.objective_, rel=1e-8)
    assert model.predict(frame.drop(columns="y")).compute() == pytest.approx(
        one.predict(X), abs=1e-3
    )


def test_a_cluster_without_workers():
    distributed = pytest.importorskip("distributed", reason="needs fastsum[dask]")
    X, y = case("logistic")
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None, processes=False) as cluster,
        distributed.Client(cluster) as nobody,
        pytest.raises(ValueError, match="no workers"),
    ):
        fit(cut(X, y, 2), nobody)
