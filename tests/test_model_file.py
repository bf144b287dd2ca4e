"""Model files: what is written comes back, what is damaged or foreign is refused."""

import io
import json
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

import fastsum
from fastsum.jobs import FittedModel, load_model, save_model
from fastsum.jobs._from_estimator import model_from_estimator

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
Y3 = np.array(["ant", "bee", "cow"])[np.arange(40) % 3]
Y2 = np.where(X[:, 0] + 0.5 * RNG.standard_normal(40) > 0, 7, -2)


def make(n_outputs=1, d=6, classes=(0, 1), loss="logistic", dtype=float, seed=0, **header):
    rng = np.random.default_rng(seed)
    return FittedModel(
        rng.standard_normal((n_outputs, d)).astype(dtype),
        rng.standard_normal(n_outputs).astype(dtype),
        None if classes is None else np.asarray(classes),
        loss,
        header,
    )


MODELS = {
    "binary": make(alpha=0.1, n_samples=40),
    "binary strings": make(classes=["no", "yes"]),
    "binary softmax": make(2, loss="multinomial"),
    "one output softmax": make(1, loss="multinomial"),
    "multinomial": make(3, classes=["ant", "bee", "cow"], loss="multinomial"),
    "one against the rest": make(4, classes=[-3, 1, 2, 9]),
    "hinge": make(loss="squared_hinge", classes=[-1, 1]),
    "hinge of 3": make(3, loss="squared_hinge", classes=[0.5, 1.5, 2.5]),
    "smoothed hinge": make(loss="smoothed_hinge", classes=[-1, 1], loss_param=0.5),
    "regression": make(classes=None, loss="squared"),
    "huber": make(classes=None, loss="huber", loss_param=2.0, alpha=0.3, l1_ratio=0.5),
    "huber of two targets": make(2, classes=None, loss="huber", loss_param=2.0, target_ndim=2),
    "lasso": make(classes=None, loss="squared", alpha=0.2, l1_ratio=1.0),
    "elastic net": make(classes=None, loss="squared", alpha=0.2, l1_ratio=0.3),
    "two targets": make(2, classes=None, loss="squared", target_ndim=2),
    "one target as column": make(1, classes=None, loss="squared", target_ndim=2),
}
CLASSIFIERS = [name for name, model in MODELS.items() if model.classes is not None]
PROBABILISTIC = [name for name in CLASSIFIERS if "hinge" not in name]


# --- round trip -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MODELS))
def test_round_trip(tmp_path, name):
    model = MODELS[name]
    save_model(tmp_path / "m.fsm", model)
    back = load_model(tmp_path / "m.fsm")
    assert os.listdir(tmp_path) == ["m.fsm"], "no ending added, no temporary file left"
    assert np.array_equal(back.coef, model.coef) and back.coef.dtype == model.coef.dtype
    assert np.array_equal(back.intercept, model.intercept)
    assert back.loss == model.loss and back.feature_names is None
    assert back.header["format"] == "fastsum-model" and back.header["n_features"] == 6
    assert {key: back.header[key] for key in model.header} == model.header
    if model.classes is None:
        assert back.classes is None
    else:
        assert np.array_equal(back.classes, model.classes)
        assert back.classes.dtype == model.classes.dtype
    assert np.array_equal(back.predict(X), model.predict(X))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.2, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_and_dense_coefficients(tmp_path, share, dtype):
    rng = np.random.default_rng(1)
    coef = np.where(rng.random((3, 2000)) < share, rng.standard_normal((3, 2000)), 0)
    model = FittedModel(coef.astype(dtype), np.zeros(3, dtype), np.arange(3), "multinomial")
    save_model(tmp_path / "m", model)
    back = load_model(tmp_path / "m").coef
    assert np.array_equal(back, model.coef) and back.dtype == dtype
    assert back.flags.writeable
    dense = model.coef.nbytes
    expected = 2.1 * share * dense if share < 0.25 else dense  # a value and an int32 column each
    assert (tmp_path / "m").stat().st_size < 3_000 + expected


def test_mixed_types_keep_the_wider(tmp_path):
    model = FittedModel(np.ones((1, 2), np.float32), np.array([0.1]), None, "squared")
    save_model(tmp_path / "m", model)
    assert load_model(tmp_path / "m").intercept[0] == 0.1


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["Zürich", "日本"], dtype=object),
        np.array(["a", "b" * 300]),
        np.array([False, True]),
        np.array([1, 2], dtype=np.uint8),
        np.array([-0.5, 2.25]),
    ],
)
def test_labels_come_back_in_kind(tmp_path, classes):
    save_model(tmp_path / "m", make(classes=classes))
    back = load_model(tmp_path / "m")
    assert back.classes.dtype == classes.dtype and back.classes.tolist() == classes.tolist()
    assert set(back.predict(X)) <= set(classes)


def test_labels_that_need_pickle_are_refused_before_writing(tmp_path):
    with pytest.raises(TypeError, match="numbers or strings"):
        save_model(tmp_path / "m", make(classes=np.array([1, "a"], dtype=object)))
    with pytest.raises(TypeError, match="numbers or strings"):
        save_model(tmp_path / "m", make(classes=np.array(["2020", "2021"], dtype="M8[Y]")))
    assert os.listdir(tmp_path) == []


def test_feature_names(tmp_path):
    names = np.array([f"größe {j}" for j in range(6)], dtype=object)
    model = FittedModel(np.ones((1, 6)), np.zeros(1), np.arange(2), "logistic", {}, names)
    save_model(tmp_path / "m", model)
    back = load_model(tmp_path / "m")
    assert back.feature_names.tolist() == names.tolist()
    assert back.to_sklearn().feature_names_in_.tolist() == names.tolist()
    with pytest.raises(ValueError, match="6 feature names do not fit 5 features"):
        FittedModel(np.ones((1, 5)), np.zeros(1), np.arange(2), "logistic", {}, names)


def test_numpy_values_in_the_header(tmp_path):
    model = make(objective=np.float64(0.5), n_iter=np.int64(3), gaps=np.array([1.0, np.inf]))
    save_model(tmp_path / "m", model)
    header = load_model(tmp_path / "m").header
    assert (header["objective"], header["n_iter"], header["gaps"]) == (0.5, 3, [1.0, np.inf])
    with pytest.raises(TypeError, match="JSON values only, got object"):
        save_model(tmp_path / "m", make(odd=object()))


# --- writing at one stroke ------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save_model(path, make(seed=1))
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="No space left"):
        save_model(path, make(seed=2))
    assert os.listdir(tmp_path) == ["m"] and path.read_bytes() == before


def test_an_interrupt_before_the_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save_model(path, make(seed=1))

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_model(path, make(seed=2))
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["m"]
    assert np.array_equal(load_model(path).coef, make(seed=1).coef)


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        save_model(tmp_path / "m", make())
    finally:
        os.umask(old)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o640


# --- prediction and the scikit-learn twin ---------------------------------------------------------


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("name", list(MODELS))
def test_twin_predicts_the_same(name, container):
    model = MODELS[name]
    twin, samples = model.to_sklearn(), container(X)
    assert np.array_equal(twin.predict(samples), model.predict(samples))
    assert twin.n_features_in_ == 6
    if model.classes is not None:
        if name != "binary softmax":  # the twin holds the difference of the two scores
            assert_allclose(
                twin.decision_function(samples), model.decision_function(samples), atol=1e-12
            )
        assert np.array_equal(twin.classes_, model.classes)
    if name in PROBABILISTIC:
        p = model.predict_proba(samples)
        assert_allclose(twin.predict_proba(samples), p, rtol=0, atol=1e-12)
        assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert p.shape == (40, len(model.classes))


def test_binary_softmax_by_hand():
    model = MODELS["binary softmax"]
    scores = np.exp(X @ model.coef.T + model.intercept)
    assert_allclose(model.predict_proba(X), scores / scores.sum(axis=1, keepdims=True))
    assert np.array_equal(model.predict(X), np.argmax(scores, axis=1))


@pytest.mark.parametrize("name", ["hinge", "hinge of 3", "regression"])
def test_no_probabilities_where_the_loss_has_none(name):
    with pytest.raises(AttributeError, match="has no probabilities"):
        MODELS[name].predict_proba(X)


def test_kinds_and_parameters_of_twins():
    kinds = {name: type(model.to_sklearn()) for name, model in MODELS.items()}
    assert kinds["binary"] is kinds["multinomial"] is LogisticRegression
    assert kinds["one against the rest"] is OneVsRestClassifier
    assert kinds["hinge"] is kinds["hinge of 3"] is LinearSVC
    assert kinds["regression"] is kinds["two targets"] is Ridge
    assert kinds["lasso"] is Lasso and kinds["elastic net"] is ElasticNet
    assert MODELS["binary"].to_sklearn().C == pytest.approx(1 / (0.1 * 40))
    assert MODELS["elastic net"].to_sklearn().get_params()["l1_ratio"] == 0.3
    no_penalty = make(alpha=0.0, n_samples=40)
    assert no_penalty.to_sklearn().C == np.inf


def test_refitting_a_twin_means_the_same_problem():
    """Build models from scikit-learn's own fits: their twins, refitted, find them again."""
    n = len(X)
    ridge = Ridge(alpha=0.3 * n).fit(X, X[:, 0] - X[:, 1])
    header = {"alpha": 0.3, "l1_ratio": 0.0, "n_samples": n}
    model = FittedModel(ridge.coef_[None], np.array([ridge.intercept_]), None, "squared", header)
    again = model.to_sklearn().fit(X, X[:, 0] - X[:, 1])
    assert_allclose(again.coef_, ridge.coef_, rtol=1e-10)

    logistic = LogisticRegression(C=1 / (0.01 * n), tol=1e-10).fit(X, Y2)
    header["alpha"] = 0.01
    model = FittedModel(logistic.coef_, logistic.intercept_, logistic.classes_, "logistic", header)
    again = model.to_sklearn().set_params(tol=1e-10).fit(X, Y2)
    assert_allclose(again.coef_, logistic.coef_, rtol=1e-5)


def test_scikit_learn_fits_through_a_file(tmp_path):
    """A fit of scikit-learn's, saved and loaded here, predicts what scikit-learn predicts."""
    fits = [
        (LogisticRegression().fit(X, Y3), "multinomial"),
        (LogisticRegression().fit(X, Y2), "logistic"),
        (LinearSVC().fit(X, Y3), "squared_hinge"),
    ]
    for fit, loss in fits:
        save_model(tmp_path / "m", FittedModel(fit.coef_, fit.intercept_, fit.classes_, loss))
        back = load_model(tmp_path / "m")
        assert np.array_equal(back.predict(X), fit.predict(X))
        assert_allclose(back.decision_function(X), fit.decision_function(X), atol=1e-12)
        if loss != "squared_hinge":
            assert_allclose(back.predict_proba(X), fit.predict_proba(X), atol=1e-12)


def test_wrong_number_of_features():
    with pytest.raises(ValueError, match="X has 5 features, the model was fitted with 6"):
        MODELS["binary"].predict(X[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        MODELS["binary"].predict(np.full((2, 6), np.nan))


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((np.ones(3), np.ones(1), None, "squared"), "coef must be a float array with 2 axes"),
        ((np.ones((1, 3), int), np.ones(1), None, "squared"), "coef must be a float array"),
        ((np.ones((2, 3)), np.ones(1), None, "squared"), "do not fit"),
        ((np.full((1, 3), np.nan), np.ones(1), None, "squared"), "coef holds values that are not"),
        ((np.ones((1, 3)), np.ones(1), None, "probit"), "loss must be one of"),
        ((np.ones((1, 3)), np.ones(1), None, "logistic"), "needs at least two classes"),
        ((np.ones((1, 3)), np.ones(1), np.arange(2), "squared"), "has no classes"),
        ((np.ones((2, 3)), np.ones(2), np.arange(3), "logistic"), "3 classes do not fit 2 rows"),
    ],
)
def test_parts_that_do_not_fit(parts, reason):
    with pytest.raises(ValueError, match=reason):
        FittedModel(*parts)


# --- refusing files -------------------------------------------------------------------------------


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, change, compression=zipfile.ZIP_STORED):
    """Replace arrays (or the header's entries, or raw members) of a model file."""
    content = members(path)
    for name, value in change.items():
        if value is None:
            del content[f"{name}.npy"]
        elif isinstance(value, bytes):
            content[f"{name}.npy"] = value
        else:
            if isinstance(value, dict):
                header = json.loads(np.load(io.BytesIO(content["header.npy"])).tobytes())
                text = json.dumps({**header, **value}).encode()
                value = np.frombuffer(text, dtype=np.uint8)
            stream = io.BytesIO()
            np.save(stream, value, allow_pickle=True)
            content[f"{name}.npy"] = stream.getvalue()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, raw in content.items():
            archive.writestr(name, raw)


@pytest.fixture
def saved(tmp_path):
    save_model(tmp_path / "m.fsm", make(3, classes=["a", "b", "c"], loss="multinomial"))
    return tmp_path / "m.fsm"


DAMAGE = {
    "no header": ({"header": None}, "it has no header"),
    "header text": ({"header": np.frombuffer(b"{nope", np.uint8)}, "its header is not JSON"),
    "header list": ({"header": np.frombuffer(b"[1]", np.uint8)}, "its header does not say so"),
    "deep header": ({"header": np.frombuffer(b"[" * 10**5, np.uint8)}, "not JSON"),
    "large header": ({"header": np.zeros(1 << 21, np.uint8)}, "more than the limit of 1048576"),
    "header dtype": ({"header": np.ones(9)}, "dtype float64, expected uint8"),
    "other format": ({"header": {"format": "x"}}, "its header does not say so"),
    "newer version": ({"header": {"format_version": 2}}, "format version 2, this fastsum reads 1"),
    "loss": ({"header": {"loss": "probit"}}, "unknown loss 'probit'"),
    "dtype": ({"header": {"dtype": "object"}}, "names the dtype 'object'"),
    "n_features text": ({"header": {"n_features": "6"}}, "gives n_features as '6'"),
    "n_features zero": ({"header": {"n_features": 0}}, "gives n_features as 0"),
    "n_features wrong": ({"header": {"n_features": 7}}, r"shape \(3, 6\), expected \(3, 7\)"),
    "n_features huge": ({"header": {"n_features": 2**40}}, "raise max_bytes if you trust"),
    "n_classes": ({"header": {"n_classes": 4}}, r"shape \(3,\), expected \(4,\)"),
    "n_classes text": ({"header": {"n_classes": [3]}}, r"gives n_classes as \[3\]"),
    "alpha": ({"header": {"alpha": "strong"}}, "gives alpha as 'strong'"),
    "no coef": ({"coef": None}, "the array 'coef_indptr' is missing"),
    "no intercept": ({"intercept": None}, "the array 'intercept' is missing"),
    "no classes": ({"classes": None}, "the array 'classes' is missing"),
    "coef shape": ({"coef": np.ones((6, 3))}, r"shape \(6, 3\), expected \(3, 6\)"),
    "coef axes": ({"coef": np.ones(18)}, r"shape \(18,\), expected \(3, 6\)"),
    "coef size": ({"coef": np.ones((3, 90000))}, "more than the limit"),
    "coef float32": ({"coef": np.ones((3, 6), np.float32)}, "dtype float32, expected float64"),
    "coef columns": ({"coef": np.asfortranarray(np.ones((3, 6)))}, "stored by columns"),
    "coef nan": ({"coef": np.full((3, 6), np.nan)}, "coef holds values that are not finite"),
    "coef objects": ({"coef": np.array([[None] * 6] * 3)}, "dtype object, which is not read"),
    "classes objects": ({"classes": np.array(["a", "b", "c"], object)}, "dtype object"),
    "classes dates": ({"classes": np.array([1, 2, 3], "M8[s]")}, "which is not read"),
    "not an array": ({"coef": b"garbage"}, "array 'coef' cannot be read"),
    "cut array": ({"intercept": b"\x93NUMPY\x01\x00"}, "array 'intercept' cannot be read"),
}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("case", list(DAMAGE))
def test_damaged_file_is_refused(saved, case, compression):
    change, reason = DAMAGE[case]
    rewrite(saved, change, compression)
    with pytest.raises(ValueError, match=reason) as caught:
        load_model(saved)
    assert str(caught.value).startswith(str(saved))


def test_a_lying_array_header_allocates_nothing(saved):
    """An array that claims more than it holds is refused, not allocated and filled."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<U1000000", "fortran_order": False, "shape": (3,)}
    )
    rewrite(saved, {"classes": stream.getvalue() + b"a"})
    with pytest.raises(ValueError, match="array 'classes' is cut off or too long"):
        load_model(saved)


def test_sparse_coefficients_are_checked(tmp_path):
    path = tmp_path / "m"
    coef = np.zeros((2, 100))
    coef[0, 5] = coef[1, 7] = 1
    model = FittedModel(coef, np.zeros(2), np.arange(2), "multinomial")
    for change, reason in [
        ({"coef_indices": np.array([5, 100], np.int32)}, "outside the 100"),
        ({"coef_indices": np.array([-1, 7], np.int32)}, "outside the 100"),
        ({"coef_indptr": np.array([0, 2, 1])}, "row pointers"),
        ({"coef_indptr": np.array([0, 2, 2]), "coef_indices": np.array([7, 7])}, "twice"),
        ({"coef_indptr": np.array([0, 1])}, r"shape \(2,\), expected \(3,\)"),
        ({"coef_values": np.ones(3)}, "'coef_values'"),
        ({"coef_indices": np.array([5.0, 7.0])}, "expected int32 or int64"),
    ]:
        save_model(path, model)
        rewrite(path, change)
        with pytest.raises(ValueError, match=reason):
            load_model(path)


def test_max_bytes(saved):
    with pytest.raises(ValueError, match="3 x 6 coefficients take more than max_bytes=100"):
        load_model(saved, max_bytes=100)
    assert load_model(saved, max_bytes=3 * 6 * 8).coef.shape == (3, 6)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match="not a whole model file"):
        load_model(saved)


def test_foreign_files(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones(3))
    with pytest.raises(ValueError, match="not a fastsum model: it has no header"):
        load_model(tmp_path / "a.npz")
    (tmp_path / "b").write_text("some text")
    with pytest.raises(ValueError, match="not a whole model file"):
        load_model(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "none")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_noticed_or_harmless(tmp_path_factory, data):
    """A damaged file gives a ValueError that names it, or (in unused bytes) the same model."""
    path = tmp_path_factory.mktemp("model") / "m"
    save_model(path, MODELS["multinomial"])
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content))
    try:
        back = load_model(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert np.array_equal(back.coef, MODELS["multinomial"].coef)
        assert np.array_equal(back.classes, MODELS["multinomial"].classes)


def test_nothing_is_unpickled(saved):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    rewrite(saved, {"classes": np.array([Bomb()] * 3, dtype=object)})
    with pytest.raises(ValueError, match="dtype object, which is not read"):
        load_model(saved)


def test_repr():
    assert repr(MODELS["multinomial"]) == (
        "FittedModel(loss='multinomial', 6 features, 3 classes, 3 outputs, "
        "18 non-zero coefficients)"
    )


# --- from estimators ------------------------------------------------------------------------------

ESTIMATORS = {
    "logistic": (fastsum.SAGAClassifier(alpha=0.1), Y2),
    "rest": (fastsum.SVRGClassifier(alpha=0.1, l1_ratio=0.5), Y3),
    "softmax": (fastsum.SAGAClassifier("multinomial", alpha=0.1), Y3),
    "binary softmax": (fastsum.SAGAClassifier("multinomial", alpha=0.1), Y2),
    "hinge": (fastsum.SAGAClassifier("squared_hinge", alpha=0.1, fit_intercept=False), Y3),
    "svc": (fastsum.LinearSVC(loss="hinge", C=0.1), Y3),
    "poisson": (fastsum.PoissonRegressor(alpha=0.1), np.abs(X[:, 0]).round()),
    "huber and scale": (fastsum.HuberRegressor(alpha=0.1), X[:, 0]),
    "smoothed hinge": (fastsum.FiniteSumClassifier("smoothed_hinge", loss_param=0.3), Y2),
    "huber": (fastsum.FiniteSumRegressor("huber", loss_param=0.3, l1_ratio=0.2), X[:, 0]),
    "huber, columns": (fastsum.FiniteSumRegressor("huber"), X[:, :2] ** 3),
    "C": (fastsum.LogisticRegression(C=0.5), Y3),
    "C of two": (fastsum.LogisticRegression(C=0.5, l1_ratio=1.0), Y2),
    "squared": (fastsum.SVRGRegressor(alpha=0.1), X[:, 0]),
    "ridge": (fastsum.Ridge(0.5), X[:, :2]),
    "ridge, columns": (fastsum.Ridge(0.5, fit_intercept=False), X[:, :1]),
    "ridge, strengths": (fastsum.Ridge(np.array([0.5, 1.0])), X[:, :2]),
    "lasso": (fastsum.Lasso(0.1), X[:, 0]),
    "elastic net": (fastsum.ElasticNet(0.1, l1_ratio=0.3), X[:, :2]),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_estimators_through_a_file(tmp_path, name):
    estimator, y = ESTIMATORS[name]
    fit = clone(estimator).set_params(random_state=0).fit(X, y)
    save_model(tmp_path / "m", fit)
    model = load_model(tmp_path / "m")
    twin = model.to_sklearn()
    for other in (model, twin):
        predicted, expected = other.predict(X), fit.predict(X)
        assert predicted.shape == expected.shape and predicted.dtype == expected.dtype
        if y.dtype.kind == "f":
            assert_allclose(predicted, expected, rtol=0, atol=1e-12)
        else:
            assert np.array_equal(predicted, expected)
        if hasattr(fit, "predict_proba"):
            assert_allclose(other.predict_proba(X), fit.predict_proba(X), rtol=0, atol=1e-12)
    header = model.header
    assert header["estimator"] == type(fit).__name__ and header["status"] == str(fit.status_)
    assert header["n_iter"] == np.max(fit.n_iter_) and header["solver"] == fit.solver_
    assert np.array_equal(header["objective"], fit.objective_)
    assert header["fit_intercept"] == fit.fit_intercept


def test_the_penalty_of_estimators():
    def header(estimator, y):
        return model_from_estimator(estimator.fit(X, y)).header

    plain = header(fastsum.SAGAClassifier(alpha=0.1, l1_ratio=0.2), Y2)
    assert (plain["alpha"], plain["l1_ratio"]) == (0.1, 0.2) and "total_penalty" not in plain
    with_c = header(fastsum.LogisticRegression(C=0.5), Y2)
    assert with_c["total_penalty"] == 2 and "alpha" not in with_c
    assert header(fastsum.Ridge(0.5), X[:, 0])["total_penalty"] == 0.5
    assert header(fastsum.Lasso(0.25), X[:, 0])["alpha"] == 0.25
    twin = model_from_estimator(fastsum.LogisticRegression(C=0.5).fit(X, Y2)).to_sklearn()
    assert twin.C == 0.5


def test_the_parameter_of_the_loss():
    def header(loss, **settings):
        return model_from_estimator(fastsum.FiniteSumRegressor(loss, **settings).fit(X, y)).header

    y = X[:, 0] ** 3
    assert "loss_param" not in header("squared")
    assert header("huber")["loss_param"] == 1.35
    given = fastsum.FiniteSumRegressor("huber", loss_param=0.5, alpha=0.1, tol=1e-10).fit(X, y)
    twin = model_from_estimator(given).to_sklearn()
    assert (twin.loss, twin.epsilon, twin.alpha, twin.l1_ratio) == ("huber", 0.5, 0.1, 0.0)
    # the twin states the same problem: a refit comes near, as near as plain SGD does
    twin.set_params(max_iter=20_000, tol=None, average=True, eta0=0.02, random_state=0)
    assert_allclose(twin.fit(X, y).coef_, given.coef_, atol=2e-2)


def test_feature_names_of_a_frame(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    save_model(tmp_path / "m", fastsum.LogisticRegression().fit(frame, Y2))
    assert load_model(tmp_path / "m").feature_names.tolist() == list("abcdef")


def test_an_unfitted_estimator_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(tmp_path / "m", fastsum.SAGAClassifier())
    with pytest.raises(TypeError, match="got LogisticRegression; for another linear model build"):
        save_model(tmp_path / "m", LogisticRegression().fit(X, Y2))


def test_save_needs_a_fitted_model(tmp_path):
    with pytest.raises(TypeError, match="FittedModel or a fitted estimator"):
        save_model(tmp_path / "m", {"coef": np.ones(3)})
