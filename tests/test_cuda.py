"""The CUDA backend: passes against the CPU's, whole fits, inputs on a device, and what it refuses.

Every test that needs a device runs on the emulation of its passes, the same loops compiled for the
host (a build with -Demulation=true has it), and on a GPU, marked `gpu`, where there is one.
"""

import re
from importlib import import_module

import numpy as np
import pytest
import scipy.sparse as sp

import fastsum
import fastsum.backend
from fastsum import Problem, minimize
from fastsum.device import DeviceArray, DeviceRows, as_device_rows
from fastsum.device._inputs import Layout
from fastsum.passes import passes_of
from fastsum.solvers._registry import SOLVERS

EMULATION = "fastsum._cuda_emulated"
SMALL = 20 << 10  # bytes of shared memory in which little fits


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    """The backend's module: the emulation, which can be made small, or that of a GPU."""
    if request.param == "gpu":
        usable, reason = fastsum.backend.cuda_state()
        if not usable:
            pytest.skip(reason)
        return import_module(fastsum.backend.CUDA_MODULE)
    module = emulation()
    monkeypatch.setattr(fastsum.backend, "CUDA_MODULE", EMULATION)
    yield module
    module.emulate()


def emulation():
    try:
        return import_module(EMULATION)
    except ModuleNotFoundError:
        pytest.skip("this build has no emulation of a device: meson setup -Demulation=true")


def shrink(module, **settings):
    """Less of a device than there is: a GPU stays as it is."""
    if not hasattr(module, "emulate"):
        pytest.skip("a GPU has the memory that it has")
    module.emulate(**settings)


# --- passes ---------------------------------------------------------------------------------------

SHAPES = [(1003, 17, 1), (400, 700, 1), (500, 20, 3), (300, 33, 9), (200, 400, 5)]


def labels(rng, n, K):
    return rng.integers(0, K, n) if K > 1 else np.where(rng.random(n) < 0.5, 1.0, -1.0)


def two_problems(n, d, K, dtype, weighted, seed=0):
    """The same problem on the host and on the device, and weights for it."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((n, d)).astype(dtype), labels(rng, n, K)
    settings = {
        "loss": "multinomial" if K > 1 else "logistic",
        "sample_weight": rng.random(n) if weighted else None,
        "offset": rng.standard_normal(n) if weighted else None,
    }
    here, there = Problem(X, y, **settings), Problem(as_device_rows(X), y, **settings)
    return here, there, 0.3 * rng.standard_normal((d + 1, K)), rng


@pytest.mark.parametrize("shared", [227 << 10, SMALL])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, d, K", SHAPES)
def test_exact_passes_are_those_of_the_cpu(device, n, d, K, weighted, shared):
    if shared == SMALL:
        shrink(device, shared=SMALL)
    here, there, W, rng = two_problems(n, d, K, np.float64, weighted)
    cpu, gpu = passes_of(here, 1), passes_of(there, 1)
    z, z_gpu, u, u_gpu = cpu.array(), gpu.array(), cpu.array(), gpu.array()
    cpu.margins(W, z)
    gpu.margins(W, z_gpu)
    np.testing.assert_allclose(z_gpu.numpy(), z, rtol=0, atol=1e-12)
    b = rng.standard_normal(K)
    expected, found = cpu.loss_terms(z, b, u, True), gpu.loss_terms(z_gpu, b, u_gpu, True)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(u_gpu.numpy(), u, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gpu.gradient(u_gpu), cpu.gradient(u), rtol=1e-11, atol=1e-13)
    scale = np.array([0.7])
    np.testing.assert_allclose(
        gpu.loss_gap(z_gpu, b, u_gpu, scale), cpu.loss_gap(z, b, u, scale), rtol=1e-12
    )
    c, c_gpu = cpu.weighted_curvature(z, b, u), gpu.weighted_curvature(z_gpu, b, u_gpu)
    np.testing.assert_allclose(c_gpu.numpy(), c, rtol=1e-12, atol=1e-16)
    V = rng.standard_normal((d + 1, K))
    product = here.rows.hessian_product(V, c, 1, 1, np.empty((d + 2) * K))
    np.testing.assert_allclose(
        there.rows.hessian_product(V, c_gpu, 1), product, rtol=1e-10, atol=1e-12
    )
    A = np.hstack([here.rows.matrix(), np.ones((n, 1))])
    gram = A.T @ (A * c[:, :1])
    np.testing.assert_allclose(there.rows.gram(c_gpu, 0), gram, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(gpu.inner(z_gpu, u_gpu), cpu.inner(z, u), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(gpu.mean_square(), cpu.mean_square(), rtol=1e-12)
    np.testing.assert_allclose(gpu.mean(), cpu.mean(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("shared", [227 << 10, SMALL])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("n, d, K", SHAPES)
def test_one_read_of_X_gives_value_and_gradient(device, n, d, K, dtype, shared):
    if shared == SMALL:
        shrink(device, shared=SMALL)
    here, there, W, _ = two_problems(n, d, K, dtype, True)
    cpu, gpu = passes_of(here, 1), passes_of(there, 1)
    z, u = cpu.array(), cpu.array()
    cpu.margins(W, z)
    value, slope, _ = cpu.loss_terms(z, np.zeros(K), u, False)
    gradient = np.vstack([cpu.gradient(u), slope.reshape(1, K) / here.total_weight])
    tol = 1e-11 if dtype == "f8" else 1e-5
    found, g = gpu.loss_and_gradient(W)
    np.testing.assert_allclose(found, value / here.total_weight, rtol=tol)
    np.testing.assert_allclose(g, gradient, rtol=tol, atol=0.1 * tol)


def bfloat16(X):
    """The nearest values that bfloat16 has below, and their bits."""
    bits = (X.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return (bits.astype(np.uint32) << 16).view(np.float32), bits


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_rows_are_read_as_they_are_stored(device, kind):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 24)) * np.logspace(-6, 4, 24)
    X[0, 0], X[1, 1] = 0.0, -0.0
    if kind == "float16":
        stored = X.astype(np.float16)
        exact = stored.astype(np.float64)
    else:
        exact, stored = bfloat16(X)
    memory = device.Memory(stored.nbytes)
    memory.copy_in(np.ascontiguousarray(stored))
    rows = DeviceRows(Layout(memory.address, kind, X.shape, X.shape[1], memory))
    assert rows.dtype == np.float32
    W = rng.standard_normal((25, 1))
    z = rows.margins(W, 1, np.empty((200, 1)))
    np.testing.assert_allclose(z, exact @ W[:-1] + W[-1], rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("loss", ["logistic", "multinomial"])
def test_the_same_bits_each_time(device, loss):
    K = 4 if loss == "multinomial" else 1
    _, there, W, _ = two_problems(5000, 30, K, np.float32, True)
    passes = passes_of(there, 1)
    first, second = passes.loss_and_gradient(W), passes.loss_and_gradient(W)
    assert (first[0] == second[0]).all() and (first[1] == second[1]).all()


def test_rows_that_do_not_fit_are_streamed(device):
    shrink(device, sent=3000)  # a few rows at a time
    here, there, W, _ = two_problems(301, 25, 3, np.float64, True)
    resident = passes_of(there, 1)
    X = here.rows.blocks[0].values
    free, total = device.memory()
    device.emulate(total=total - free + 30_000, sent=3000)
    rows = as_device_rows(X)
    device.emulate(sent=3000)
    assert rows.on_host and not there.rows.on_host
    streamed = passes_of(there.on_rows(rows, None, there.sample_weight), 1)
    for passes in (resident, streamed):
        z = passes.array()
        passes.margins(W, z)
        np.testing.assert_allclose(z.numpy(), X @ W[:-1] + W[-1], rtol=1e-12, atol=1e-13)
    value, gradient = streamed.loss_and_gradient(W)
    expected = resident.loss_and_gradient(W)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-14)
    c = resident.array().fill(np.random.default_rng(2).random((301, 3)))
    H = A_c_A(X, c.numpy()[:, 1])
    np.testing.assert_allclose(rows.gram(c, 1), H, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(there.rows.gram(c, 1), H, rtol=1e-11, atol=1e-12)


def A_c_A(X, c):
    A = np.hstack([X, np.ones((len(X), 1))])
    return A.T @ (A * c[:, None])


def test_arrays_are_added_and_scaled_column_by_column(device):
    rng = np.random.default_rng(3)
    x, y, factors = rng.standard_normal((50, 3)), rng.standard_normal((50, 3)), np.arange(3.0)
    a, b = DeviceArray((50, 3)).fill(x), DeviceArray((50, 3)).fill(y)
    np.testing.assert_allclose((a + factors * (b - a)).numpy(), x + factors * (y - x), atol=1e-14)
    a += b
    np.testing.assert_allclose(a.numpy(), x + y)
    a.put(b, np.array([True, False, True]))
    np.testing.assert_array_equal(a.numpy(), np.stack([y[:, 0], (x + y)[:, 1], y[:, 2]], axis=1))


# --- fits -----------------------------------------------------------------------------------------

DEVICE_SOLVERS = [name for name, method in SOLVERS.items() if vars(method).get("serves_device")]
LOSSES = ["logistic", "squared", "multinomial", "squared_hinge", "huber", "smoothed_hinge"]


def data(loss, dtype=np.float64, n=600, d=12):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n, d)) * rng.uniform(0.2, 2, d) + rng.standard_normal(d)
    z = X @ rng.standard_normal(d)
    z -= z.mean()
    y = {
        "multinomial": np.digitize(z, [-1, 1]),
        "squared": z + rng.standard_normal(n),
        "huber": z + rng.standard_cauchy(n),
        "poisson": rng.poisson(np.exp(0.2 * z)),
    }.get(loss, np.where(z + rng.standard_normal(n) > 0, 1, -1))
    return X.astype(dtype), y, rng.integers(0, 3, n).astype(float)


def test_the_solvers_of_a_device_are_known():
    assert set(DEVICE_SOLVERS) == {"gd", "fista", "lbfgs"}


@pytest.mark.parametrize("solver", ["auto", "fista", "lbfgs"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("loss", [*LOSSES, "poisson"])
def test_fits_agree_with_the_cpu(device, loss, l1_ratio, solver):
    if solver == "lbfgs" and l1_ratio > 0:
        pytest.skip("lbfgs is for smooth penalties")
    if loss == "poisson" and solver != "auto":
        pytest.skip("steps without a largest curvature are for the CPU")
    X, y, weights = data(loss)
    problem = Problem(X, y, loss=loss, alpha=0.01, l1_ratio=l1_ratio, sample_weight=weights)
    cpu = minimize(problem, tol=1e-11, max_iter=20000)
    gpu = minimize(problem, solver, tol=1e-9, max_iter=20000, device="cuda")
    assert gpu.status == "converged" and not gpu.state
    # both are within their gaps of the optimum, and a certificate is never optimistic
    assert gpu.objective - cpu.objective <= gpu.dual_gap + 1e-12
    assert cpu.objective - gpu.objective <= cpu.dual_gap + 1e-12
    assert gpu.dual_gap <= 1e-9 * 10 * max(1.0, cpu.objective)


@pytest.mark.parametrize("loss", ["logistic", "squared", "multinomial"])
def test_the_certificate_of_a_point_is_that_of_the_cpu(device, loss):
    from fastsum.certificate import Certifier

    X, y, weights = data(loss)
    problem = Problem(X, y, loss=loss, alpha=0.01, l1_ratio=0.3, sample_weight=weights)
    there = problem.on_rows(as_device_rows(X), None, weights)
    W = 0.1 * np.random.default_rng(6).standard_normal((X.shape[1] + 1, problem.K))
    here, found = Certifier(problem, 1)(W), Certifier(there, 1)(W)
    for name in ("objective", "gap", "subgradient", "intercept"):
        np.testing.assert_allclose(getattr(found, name), getattr(here, name), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.objective, here.objective, rtol=1e-12)


def test_single_precision(device):
    X, y, _ = data("logistic", np.float32)
    cpu = minimize(Problem(X.astype(float), y, alpha=0.01), tol=1e-12)
    gpu = minimize(Problem(X, y, alpha=0.01), tol=1e-5, device="cuda")
    assert gpu.coef.dtype == np.float32 and gpu.status == "converged"
    assert abs(gpu.objective - cpu.objective) <= 1e-6 * cpu.objective + gpu.dual_gap


def test_samples_of_the_rows_come_first_where_they_are_many(device):
    X, y, _ = data("logistic", n=12_000, d=4)
    problem = Problem(X, y, alpha=1e-3, l1_ratio=0.2)
    cpu, gpu = minimize(problem, tol=1e-11), minimize(problem, tol=1e-9, device="cuda")
    assert list(gpu.trace["phase"][:2]) == ["row samples", "stored newton"]
    assert abs(gpu.objective - cpu.objective) <= gpu.dual_gap + cpu.dual_gap
    assert gpu.n_iter <= 6


@pytest.mark.parametrize("loss", ["logistic", "multinomial", "squared_hinge", "poisson"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_newton_by_products(device, monkeypatch, loss, fit_intercept):
    monkeypatch.setattr("fastsum.solvers.phases.device_newton.MOST_COLUMNS", 1)
    X, y, weights = data(loss)
    problem = Problem(
        X, y, loss=loss, alpha=0.01, sample_weight=weights, fit_intercept=fit_intercept
    )
    cpu, gpu = minimize(problem, tol=1e-11), minimize(problem, tol=1e-9, device="cuda")
    assert set(gpu.trace["phase"]) <= {"row samples", "newton-cg"} and gpu.status == "converged"
    assert gpu.objective - cpu.objective <= gpu.dual_gap + 1e-12
    assert gpu.n_iter < 400


def test_bounds_and_factors(device):
    X, y, _ = data("squared")
    factor = np.linspace(0.5, 2, X.shape[1])
    problem = Problem(
        X, y, loss="squared", alpha=0.05, l1_ratio=0.5, penalty_factor=factor, lower=0.0
    )
    cpu, gpu = minimize(problem, tol=1e-11), minimize(problem, tol=1e-9, device="cuda")
    assert (gpu.coef >= 0).all()
    assert abs(gpu.objective - cpu.objective) <= gpu.dual_gap + cpu.dual_gap


def test_a_grid_is_copied_once(device, monkeypatch):
    from fastsum.solvers import many

    copies = []
    copy = fastsum.solvers._placement.as_device_rows
    monkeypatch.setattr(
        "fastsum.solvers._placement.as_device_rows", lambda X: copies.append(1) or copy(X)
    )
    X, y, _ = data("logistic")
    problem = Problem(X, y, alpha=0.1)
    grid = [problem.with_penalty(alpha) for alpha in (0.1, 0.01, 0.001)]
    results = many.solve_many(grid, tol=1e-9, device="cuda")
    assert len(copies) == 1
    for result, one in zip(results, grid, strict=True):
        alone = minimize(one, tol=1e-11)
        assert result.objective - alone.objective <= result.dual_gap + 1e-12


# --- arrays on a device ---------------------------------------------------------------------------


class Foreign:
    """What CuPy's arrays are to us: memory of the device and the interface that tells where."""

    def __init__(self, module, values, typestr=None, strides=None):
        self._memory = module.Memory(values.nbytes)
        self._memory.copy_in(np.ascontiguousarray(values))
        self.shape, self.dtype = values.shape, values.dtype
        self._values = values
        self.__cuda_array_interface__ = {
            "data": (self._memory.address, False),
            "typestr": typestr or values.dtype.str,
            "shape": values.shape,
            "strides": strides,
            "version": 3,
        }

    def get(self):
        return self._values


# a property of the class is what tells an array from a module that makes any attribute up
Foreign.__cuda_array_interface__ = None


@pytest.mark.parametrize("name", ["LogisticRegression", "Ridge", "SAGAClassifier"])
def test_estimators_take_arrays_where_they_lie(device, name):
    kind = getattr(fastsum, name)
    model = kind(solver="auto") if name == "LogisticRegression" else kind()
    X, y, weights = data("squared" if name == "Ridge" else "logistic")
    there = Foreign(device, X)
    if name == "SAGAClassifier":
        with pytest.raises(ValueError, match=r"on a CUDA device.*Solvers that can.*fista"):
            model.fit(there, y)
        return
    model.set_params(tol=1e-10).fit(there, Foreign(device, y), sample_weight=weights)
    here = kind(tol=1e-10).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.coef_, here.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.predict(there), model.predict(X), rtol=1e-10, atol=1e-12)
    assert model.n_features_in_ == X.shape[1]


def test_half_precision_arrays(device):
    X, y, _ = data("logistic")
    half = X.astype(np.float16)
    gpu = minimize(Problem(Foreign(device, half), y, alpha=0.01), tol=1e-4)
    cpu = minimize(Problem(half.astype(float), y, alpha=0.01), tol=1e-12)
    assert gpu.coef.dtype == np.float32
    assert abs(gpu.objective - cpu.objective) <= 1e-6 * cpu.objective + gpu.dual_gap


def test_rows_with_a_stride_are_not_copied(device):
    X, _, _ = data("logistic")
    wide = np.hstack([X, np.full((len(X), 4), np.nan)])
    part = Foreign(device, wide)
    part.shape = part.__cuda_array_interface__["shape"] = X.shape
    part.__cuda_array_interface__["strides"] = (wide.shape[1] * 8, 8)
    rows = as_device_rows(part)
    W = np.ones((X.shape[1] + 1, 1))
    z = rows.margins(W, 1, np.empty((len(X), 1)))
    np.testing.assert_allclose(z, X @ W[:-1] + 1, rtol=1e-12, atol=1e-12)


def test_nan_on_the_device_is_found(device):
    X = np.zeros((5000, 7))
    X[4321, 3] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity .*row 4321"):
        as_device_rows(Foreign(device, X))
    X[[77, 4321], 3] = np.inf
    with pytest.raises(ValueError, match="row 77"):
        as_device_rows(Foreign(device, X))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"typestr": "<i4"}, "float32, float64, float16"),
        ({"strides": (8, 48)}, "row-major"),
        ({"shape": (12,)}, "2 dimensions"),
    ],
)
def test_arrays_without_passes_are_refused(device, change, message):
    X = Foreign(device, np.zeros((6, 2)))
    X.__cuda_array_interface__ |= change
    with pytest.raises((TypeError, ValueError), match=message):
        as_device_rows(X)


def test_data_on_the_device_are_not_fitted_on_the_cpu(device):
    X, y, _ = data("logistic")
    with pytest.raises(ValueError, match="lies on a CUDA device"):
        minimize(Problem(Foreign(device, X), y), device="cpu")


# --- what cannot be -------------------------------------------------------------------------------

ESTIMATORS = [
    (name, getattr(fastsum, name))
    for name in fastsum.__all__
    if isinstance(getattr(fastsum, name), type) and hasattr(getattr(fastsum, name), "get_params")
]


@pytest.mark.parametrize("name, kind", ESTIMATORS)
def test_every_estimator_has_a_device(name, kind):
    assert kind().get_params()["device"] == "auto"
    X, y, _ = data("logistic", n=40, d=3)
    y = np.abs(y) + (y > 0)
    if "Multi" in name:
        y = np.stack([y, -y], axis=1)
    with pytest.raises(ValueError, match=r"'device' parameter .* must be a str among"):
        kind(device="tpu").fit(X, y)
    if not fastsum.backend.cuda_state()[0]:
        with pytest.raises((RuntimeError, ValueError), match=r"(?i)cuda"):
            kind(device="cuda").fit(X, y)


def test_the_reason_is_given():
    usable, reason = fastsum.backend.cuda_state()
    if usable:
        pytest.skip("there is a GPU")
    X, y, _ = data("logistic")
    with pytest.raises(RuntimeError, match=re.escape(reason)):
        minimize(Problem(X, y), device="cuda")
    assert len(reason) > 10


def test_unknown_device():
    X, y, _ = data("logistic")
    with pytest.raises(ValueError, match=r"device must be one of \['auto', 'cpu', 'cuda'\]"):
        minimize(Problem(X, y), device="gpu")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"X": sp.csr_array(np.eye(600, 12))}, "sparse"),
        ({"loss": "hinge"}, "kinks"),
        ({"penalty_factor": np.r_[0.0, np.ones(11)]}, "penalty_factor=0"),
    ],
)
def test_problems_for_the_cpu_are_refused(device, change, message):
    X, y, _ = data("logistic")
    problem = Problem(**{"X": X, "y": y, "alpha": 0.1, **change})
    with pytest.raises(ValueError, match=f"device='cuda' cannot serve this problem.*{message}"):
        minimize(problem, device="cuda")
    assert minimize(problem, device="auto").status == "converged"


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in DEVICE_SOLVERS])
def test_solvers_of_the_cpu_say_so(device, solver):
    X, y, _ = data("logistic")
    with pytest.raises(ValueError, match=r"cannot serve.*\['auto', 'gd', 'fista', 'lbfgs'\]|Solv"):
        minimize(Problem(X, y, alpha=0.1), solver, device="cuda")


def test_out_of_device_memory(device):
    shrink(device, total=100_000)
    X, y, _ = data("logistic")
    big = np.zeros((20_000, 1))
    with pytest.raises(MemoryError, match=r"of the device, which has .* free"):
        DeviceArray(big.shape)
    device.emulate()
    # the process goes on
    assert minimize(Problem(X, y, alpha=0.1), device="cuda").status == "converged"


def test_nothing_stays_on_the_device(device):
    X, y, _ = data("logistic")
    free, _ = device.memory()
    minimize(Problem(X, y, alpha=0.1), device="cuda")
    if hasattr(device, "emulate"):
        assert device.memory()[0] == free


def test_versions_say_what_cuda_is(capsys):
    fastsum.show_versions()
    assert re.search(r"^CUDA +(usable|not usable: .+)", capsys.readouterr().out, re.M)
