"""`fastsum.store.Dataset`: the same fits as from memory, and stores that are broken or hostile."""

import json
import os

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file

import fastsum
from fastsum.linear_model._classifier import LinearClassifier
from fastsum.linear_model._regressor import LinearRegressor
from fastsum.solvers._registry import SOLVER_NAMES
from fastsum.store import Dataset, StoreError, ingest
from fastsum.store._format import seal


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A matrix with unused columns, labels, and a store of the same in several shards."""
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    X = sp.random_array((600, 80), density=0.1, rng=rng, format="csr")
    X = sp.csr_array(X @ sp.diags_array((np.arange(80) % 3 > 0) * 1.0))
    X.eliminate_zeros()
    y = np.where(X @ rng.normal(size=80) + 0.3 * rng.normal(size=600) > 0, 1.0, -1.0)
    dump_svmlight_file(X, y, str(folder / "a.svm"), zero_based=False)
    data = ingest([folder / "a.svm"], folder / "s", n_features=80, shard_bytes=12_000)
    assert len(data) > 2
    return X, y, data


def copy_of(data, tmp_path):
    """A store to break."""
    target = tmp_path / "broken"
    target.mkdir()
    for path in data.path.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def edit(store, change, sealed=True):
    """Changes the manifest, as an attacker would, who makes its checksum fit."""
    path = store / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    if sealed:
        manifest["checksum"] = seal(manifest)
    path.write_text(json.dumps(manifest))


# ---- the same as in memory


def test_a_dataset_is_a_sequence_of_blocks(pair):
    X, y, data = pair
    assert data.shape == X.shape and sum(rows.n_rows for rows, _ in data) == 600
    assert sorted(np.concatenate([labels for _, labels in data])) == sorted(y)
    assert "80" in repr(data) and data[1][0].n_rows == data.shards[1]["n_rows"]


@pytest.mark.parametrize("solver", SOLVER_NAMES)
def test_every_solver_finds_the_same_minimum(pair, solver):
    X, y, data = pair
    l1 = 0.5 if solver == "frank-wolfe" else 0.0
    problems = [
        fastsum.Problem(X, y, alpha=0.05, l1_ratio=l1),
        fastsum.Problem(data, alpha=0.05, l1_ratio=l1),
    ]
    try:
        best = fastsum.minimize(problems[0], tol=1e-10).objective
        result = fastsum.minimize(problems[1], solver, tol=1e-5)
    except ValueError as error:
        assert "cannot serve" in str(error)
        return
    assert result.coef.shape == (80,)
    assert -1e-12 <= result.objective - best <= result.dual_gap + 1e-12


ESTIMATORS = [
    c for c in vars(fastsum).values()
    if isinstance(c, type) and issubclass(c, (LinearClassifier, LinearRegressor))
    and not c.__name__.endswith("CV") and c.__name__ != "PoissonRegressor"
    and not c.__name__.startswith("MultiTask")  # a store has one label a row
]  # fmt: skip


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda c: c.__name__)
def test_every_estimator_takes_a_dataset(pair, kind):
    X, y, data = pair
    whole = kind(tol=1e-9).fit(X, y)
    for model in (kind(tol=1e-9).fit(data), kind(tol=1e-9).fit(data, data.y)):
        assert np.shape(model.coef_) == np.shape(whole.coef_) and model.n_features_in_ == 80
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=2e-3, atol=2e-3)
        expected = model.predict(X)
        assert sorted(np.round(model.predict(data), 9)) == sorted(np.round(expected, 9))
    with pytest.raises(ValueError, match="80 features"):
        model.predict(X[:, :5])


def test_softmax_start_and_warm_start(pair):
    _, _, data = pair
    model = fastsum.FiniteSumClassifier("multinomial", alpha=1e-3, warm_start=True).fit(data)
    again = model.fit(data)
    assert again.n_iter_ <= 1
    problem = fastsum.Problem(data, alpha=1e-3)
    first = fastsum.minimize(problem, "saga", max_iter=8, tol=0)
    rest = fastsum.minimize(problem, "saga", max_iter=8, tol=0, init=first)
    whole = fastsum.minimize(problem, "saga", max_iter=16, tol=0)
    assert np.array_equal(rest.coef, whole.coef)
    from_coef = fastsum.minimize(problem, init=(whole.coef, whole.intercept), max_iter=50)
    assert from_coef.status == "converged"


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_out_of_core_auto_is_as_good(pair, l1_ratio):
    X, y, data = pair
    options = {"alpha": 0.01, "l1_ratio": l1_ratio}
    a = fastsum.minimize(fastsum.Problem(X, y, **options), tol=1e-9)
    b = fastsum.minimize(fastsum.Problem(data, **options), tol=1e-9)
    np.testing.assert_allclose(a.coef, b.coef, atol=1e-5)


# ---- broken and hostile stores


def test_what_is_no_store_is_said(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(StoreError, match="is no store"):
            Dataset(path)
    with pytest.raises(ValueError, match="part='x'"):
        Dataset(tmp_path, "x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(version=99), "version 99"),
        (lambda m: m.update(format="zip"), "no manifest"),
        (lambda m: m.update(dtype="object"), "dtype 'object'"),
        (lambda m: m.update(storage="dense"), "storage"),
        (lambda m: m.update(n_columns=1 << 40), "n_columns"),
        (lambda m: m.update(n_columns=-1), "n_columns"),
        (lambda m: m.update(n_features=1.5), "n_features"),
        (lambda m: m.update(labels={"dtype": "O"}), "labels"),
        (lambda m: m["labels"].update(classes=[[1]]), "classes"),
        (lambda m: m["shards"][0].update(n_rows=1 << 60), "a shard"),
        (lambda m: m["shards"][0].update(n_rows=True), "a shard"),
        (lambda m: m["shards"][0].update(part="../../etc"), "a shard"),
        (lambda m: m["shards"][0].update(number="../1"), "numbered"),
        (lambda m: m["shards"].reverse(), "numbered"),
        (lambda m: m["shards"][0].update(crc={}), "checksum"),
        (lambda m: m["shards"][0].update(n_rows=1 << 40), "the manifest says"),
        (lambda m: m["shards"][0].update(n_stored=7), "the manifest says"),
        (lambda m: m["labels"].update(dtype="int32"), "the manifest says"),
    ],
)
def test_manifests_that_lie_are_refused(pair, tmp_path, change, message):
    store = copy_of(pair[2], tmp_path)
    edit(store, change)
    with pytest.raises(StoreError, match=message):
        _ = Dataset(store).rows


def test_a_changed_manifest_is_noticed(pair, tmp_path):
    store = copy_of(pair[2], tmp_path)
    edit(store, lambda m: m.update(n_features=81), sealed=False)
    with pytest.raises(StoreError, match="its own checksum"):
        Dataset(store)
    for text in ("", "[1, 2", "[]", "[" * 100_000, '{"format": "fastsum-store"}'):
        (store / "manifest.json").write_text(text)
        with pytest.raises(StoreError, match="manifest"):
            Dataset(store)


@pytest.mark.parametrize("name", ["train-00001.indices.npy", "train-00000.y.npy", "columns.npy"])
@pytest.mark.parametrize("how", ["cut", "flipped", "gone", "link", "pickle", "fifo", "longer"])
def test_arrays_that_are_not_whole_are_refused(pair, tmp_path, name, how):
    store = copy_of(pair[2], tmp_path)
    path = store / name
    raw = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(raw[:-8])
    elif how == "longer":
        path.write_bytes(raw + b"\0" * 8)
    elif how == "flipped":
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    elif how == "link":
        (tmp_path / "outside.npy").write_bytes(raw)
        path.symlink_to(tmp_path / "outside.npy")
    elif how == "pickle":
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    elif how == "fifo":
        os.mkfifo(path)
    with pytest.raises(StoreError):
        _ = Dataset(store).rows.nnz + len(Dataset(store).y)


@pytest.mark.parametrize("fault", ["column", "pointer", "order", "label", "infinite"])
def test_arrays_that_would_lead_out_of_bounds_are_refused(pair, tmp_path, fault):
    """With checksums that fit: memory safety does not rest on them."""
    store = copy_of(pair[2], tmp_path)
    kind, change = {
        "column": ("indices", lambda a: a.__setitem__(-1, 10**6)),
        "pointer": ("indptr", lambda a: a.__setitem__(3, 1 << 40)),
        "order": ("indices", lambda a: a.__setitem__(slice(0, 2), a[0])),
        "label": ("y", lambda a: a.__setitem__(0, 200)),
        "infinite": ("values", lambda a: a.__setitem__(0, np.inf)),
    }[fault]
    path = store / f"train-00000.{kind}.npy"
    array = np.load(path)
    change(array)
    np.save(path, array)
    from fastsum.files import checksum

    edit(store, lambda m: m["shards"][0]["crc"].update({kind: checksum(array)}))
    data = Dataset(store)
    with pytest.raises(StoreError):
        _ = data.rows, data.y


def test_a_store_of_links_or_other_names_reads_nothing_outside(pair, tmp_path):
    store = copy_of(pair[2], tmp_path)
    (store / "manifest.json").rename(tmp_path / "m.json")
    (store / "manifest.json").symlink_to(tmp_path / "m.json")
    with pytest.raises(StoreError, match="is a link"):
        Dataset(store)


# ---- passes in blocks


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("case", ["epochs", "dual", "lasso"])
def test_phases_on_many_blocks_reach_the_same_minimum(tmp_path, case, n_jobs):
    """Epochs read a store block by block; in memory the same data are one block."""
    X, y = fastsum.datasets.make_click_log(
        8000, 1 << 14, n_fields=30, click_rate=0.2, random_state=3, dtype=np.float64
    )
    dump_svmlight_file(X, y, str(tmp_path / "a.svm"), zero_based=False)
    data = ingest([tmp_path / "a.svm"], tmp_path / "s", n_features=1 << 14, shard_bytes=500_000)
    assert len(data) > 2
    alpha = {"epochs": 1e-4, "dual": 1e-2, "lasso": 2e-3}[case]
    options = {"alpha": alpha, "l1_ratio": float(case == "lasso")}
    a = fastsum.minimize(fastsum.Problem(X, y, **options), tol=1e-9, n_jobs=n_jobs)
    b = fastsum.minimize(fastsum.Problem(data, **options), tol=1e-9, n_jobs=n_jobs)
    assert abs(a.objective - b.objective) <= max(a.dual_gap, b.dual_gap) + 1e-12
    np.testing.assert_allclose(a.coef, b.coef, atol=1e-3)
    first = {"epochs": "svrg epoch", "dual": "dual epochs", "lasso": "working set"}[case]
    assert first in b.trace["phase"]
