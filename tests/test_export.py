"""What `to_sklearn` returns travels: through skops without pickle, and through ONNX."""

import numpy as np
import pytest

import fastsum
from fastsum import load_model, save_model

rng = np.random.default_rng(3)
X = rng.standard_normal((200, 5))
SCORE = X @ rng.standard_normal(5)
SIGN = np.where(SCORE + rng.standard_normal(200) > 0, "yes", "no")
THREE = np.digitize(SCORE, np.quantile(SCORE, [0.3, 0.6]))
COUNTS = rng.poisson(np.exp(0.3 * X[:, 0]))

FITS = {
    "logistic": (fastsum.LogisticRegression(), SIGN),
    "softmax": (fastsum.LogisticRegression(), THREE),
    "one against the rest": (fastsum.FiniteSumClassifier("logistic"), THREE),
    "squared hinge": (fastsum.LinearSVC(), SIGN),
    "ridge": (fastsum.Ridge(), SCORE),
    "lasso": (fastsum.Lasso(alpha=0.1), SCORE),
    "elastic net": (fastsum.ElasticNet(alpha=0.1), SCORE),
    "huber": (fastsum.FiniteSumRegressor("huber"), SCORE),
    "two targets": (fastsum.Ridge(), np.c_[SCORE, X[:, 0]]),
}


@pytest.fixture(params=list(FITS))
def pair(request, tmp_path):
    """Return the estimator and scikit-learn's twin of the model file made of it."""
    model, y = FITS[request.param]
    model.fit(X, y)
    save_model(tmp_path / "m", model)
    return model, load_model(tmp_path / "m").to_sklearn()


def check(model, predicted, probabilities=None, **tolerance):
    if predicted.dtype.kind in "UO":
        np.testing.assert_array_equal(predicted, model.predict(X))
    else:
        np.testing.assert_allclose(predicted, model.predict(X), **tolerance)
    if probabilities is not None:
        np.testing.assert_allclose(probabilities, model.predict_proba(X), **tolerance)


def test_skops_round_trip(pair):
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    model, twin = pair
    data = skops.dumps(twin)
    unknown = skops.get_untrusted_types(data=data)
    assert not [name for name in unknown if not name.startswith(("sklearn.", "numpy."))]
    back = skops.loads(data, trusted=unknown)
    probabilities = back.predict_proba(X) if hasattr(back, "predict_proba") else None
    check(model, back.predict(X), probabilities, rtol=1e-12)


def test_onnx_round_trip(pair):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    model, twin = pair
    kind = skl2onnx.common.data_types.FloatTensorType([None, X.shape[1]])
    options = {id(twin): {"zipmap": False}} if hasattr(twin, "predict_proba") else None
    graph = skl2onnx.convert_sklearn(twin, initial_types=[("x", kind)], options=options)
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    outputs = session.run(None, {"x": X.astype(np.float32)})
    predicted = np.asarray(outputs[0])
    if predicted.ndim == 2 and np.ndim(model.predict(X[:1])) == 1:
        predicted = predicted[:, 0]
    probabilities = np.asarray(outputs[1]) if hasattr(twin, "predict_proba") else None
    check(model, predicted, probabilities, rtol=1e-4, atol=1e-5)


def test_a_poisson_twin_predicts_the_same(tmp_path):
    model = fastsum.PoissonRegressor(alpha=1e-3).fit(X, COUNTS)
    save_model(tmp_path / "m", model)
    twin = load_model(tmp_path / "m").to_sklearn()
    np.testing.assert_allclose(twin.predict(X), model.predict(X), rtol=1e-12)
