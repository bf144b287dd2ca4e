"""Threads, CPU levels, interrupts and forks: what surrounds the kernels."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import joblib
import numpy as np
import pytest
from family import CORE
from problems import LOSS_LAYOUTS, STORAGES, random_problem
from threadpoolctl import threadpool_info, threadpool_limits

import fastsum
import fastsum.losses
from fastsum import threads
from fastsum._core import _kernels, _registry, _working_set
from fastsum.certificate import Certifier
from fastsum.threads import blas_threads, resolve_n_threads, useful_threads

LEVELS = [name for name, runs in _registry.cpu_levels().items() if runs]


def python(code, *, timeout=120, **environment):
    """Runs code in a fresh interpreter; (exit status, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


# ---- n_jobs


def test_small_passes_get_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "PER_THREAD", 100)
    assert [useful_threads(4, work) for work in (0, 99, 200, 10**6)] == [1, 1, 2, 4]
    seen = []
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    real = Certifier.__init__
    monkeypatch.setattr(
        Certifier, "__init__", lambda self, p, n: (seen.append(n), real(self, p, n))[1]
    )
    fastsum.LogisticRegression(n_jobs=2).fit(X, y)
    assert set(seen) == {1}


def test_n_jobs():
    cpus, most = joblib.cpu_count(), _registry.max_threads()
    assert resolve_n_threads(None) == 1
    assert resolve_n_threads(1) == 1
    assert resolve_n_threads(-1) == min(cpus, most)
    assert resolve_n_threads(-cpus - 5) == 1
    assert resolve_n_threads(10**6) == most
    assert resolve_n_threads(np.int64(1)) == 1


def test_n_jobs_of_a_joblib_context():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        assert resolve_n_threads(None) == min(2, _registry.max_threads())
        assert resolve_n_threads(1) == 1


def test_openmps_own_limit_holds():
    with threadpool_limits(1):
        assert resolve_n_threads(-1) == 1
        with joblib.parallel_config(backend="threading", n_jobs=2):
            assert resolve_n_threads(None) == 1
        # a number asked for is not lost to what some library has set
        assert resolve_n_threads(8) == threads.MOST_THREADS
    code = "from fastsum.threads import resolve_n_threads; print(resolve_n_threads(8))"
    assert python(code, OMP_NUM_THREADS="1")[:2] == (0, "1\n")


@pytest.mark.parametrize("n_jobs", [0, "2", 1.5])
def test_bad_n_jobs(n_jobs):
    with pytest.raises(ValueError, match="n_jobs must"):
        resolve_n_threads(n_jobs)


# ---- the GIL


def kernel_calls():
    """Calls of kernels that run for a while, by name."""
    rng, n, d = np.random.default_rng(0), 30000, 300
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    problem = fastsum.Problem(X, y, loss="squared", alpha=0.1)
    block, task = problem.rows.blocks[0], problem.task
    W, z, one = np.zeros((d + 1, 1)), np.zeros((n, 1)), np.ones(1)
    order, vector = np.arange(n), np.zeros((d + 1, 1))
    tail = (W, vector), (np.zeros((n, 1)),), np.empty(10)

    def steps(solver):
        return lambda: _kernels.steps(
            _registry.solver_registry()[solver], block, task, 0, order, float(n), None, float(n),
            None, None, 1.0, 1e-9 * one, 0 * one, one, None, 0 * one, None, None, *tail,
        )  # fmt: skip

    return {
        "margins": lambda: _kernels.margins(block, W, 1, z, 0, 1),
        "add_transposed": lambda: _kernels.add_transposed(block, z, 1, vector[:-1], None, 0, 1),
        "row_norms": lambda: _kernels.row_norms(block, None, np.empty(n), 0, 1),
        "column_mass": lambda: _kernels.column_mass(block, None, np.zeros(d), 0),
        **{solver: steps(solver) for solver in _registry.solver_registry()},
    }


@pytest.mark.parametrize("name", ["margins", "add_transposed", "row_norms", "column_mass", *CORE])
def test_kernels_release_the_gil(name):
    """A counter in another thread advances inside one call.

    The interpreter is told never to switch threads by itself, so only a release can do it.
    """
    call, count, stop = kernel_calls()[name], [0], threading.Event()

    def tick():
        while not stop.is_set():
            count[0] += 1
            time.sleep(0)

    interval, worker = sys.getswitchinterval(), threading.Thread(target=tick)
    sys.setswitchinterval(60.0)
    worker.start()
    try:
        advanced = 0
        for _ in range(50):
            before = count[0]
            call()
            advanced = count[0] - before
            if advanced:
                break
    finally:
        stop.set()
        worker.join()
        sys.setswitchinterval(interval)
    assert advanced > 0


# ---- Ctrl-C


def long_calls():
    """{name: (call of a second or more, whether it got to its last row)}."""
    n, d = 4_000_000, 500
    x = np.full(d, 0.01)
    block = _kernels.Block("dense", n, d, True, values=x, stride=0)  # n times the same row
    small = _kernels.Block("dense", 2, d, True, values=np.tile(x, (2, 1)), stride=d)
    squared = fastsum.losses.LOSSES["squared"].core_id
    pair = _kernels.Task(squared, 0.0, 1, 1, "shared", np.ones(2), None)
    W, z, one, r = np.ones((d + 1, 1)), np.full((n, 1), np.nan), np.ones(1), np.zeros((n, 1))
    r[-1] = 1.0
    order, out = np.zeros(n, dtype=np.int64), np.zeros((d, 1))
    order[-1] = 1
    table, weights, G = np.zeros((2, 1)), np.zeros((d + 1, 1)), np.zeros((d + 1, 1))

    def steps(solver):
        rate, tail = 1e-6 * one, ((weights, G), (table,), np.empty(10))
        _kernels.steps(
            _registry.solver_registry()[solver], small, pair, 0, order, 2.0, None, 2.0, None, None,
            0.0, rate, 0 * one, one, None, 0 * one, None, None, *tail,
        )  # fmt: skip

    return {
        "margins": (lambda: _kernels.margins(block, W, 1, z, 0, 1), lambda: z[-1, 0] == z[-1, 0]),
        "add_transposed": (
            lambda: _kernels.add_transposed(block, r, 1, out, None, 0, 1),
            lambda: out.any(),
        ),
        "saga": (lambda: steps("saga"), lambda: table[1, 0] != 0),
    }


class Alarm(Exception):
    pass


@pytest.mark.parametrize("name", ["margins", "add_transposed", "saga"])
def test_long_kernels_look_for_signals(name):
    call, finished = long_calls()[name]

    def ring(*_):
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(Alarm):
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not finished()


LONG_FIT = """
    import signal
    import numpy as np
    import fastsum
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1 << 16, 100), dtype=np.float32)
    Y = np.repeat(X[:, :1], 128, axis=1)
    problem = fastsum.Problem(X, Y, loss="squared", alpha=1e-9)
    def seen(info):
        print("running", flush=True)
    try:
        fastsum.minimize(problem, {solver!r}, tol=0, max_iter=10**6, callback=seen, refine=False)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.parametrize("solver", ["saga"])
def test_an_interrupt_stops_a_fit_within_a_second(solver):
    code = textwrap.dedent(LONG_FIT).format(solver=solver)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "running\n"
            time.sleep(0.3)  # into the next pass: one takes about a second
            sent = time.perf_counter()
            process.send_signal(signal.SIGINT)
            lines = [process.stdout.readline()]
            while lines[-1] == "running\n":
                lines.append(process.stdout.readline())
            assert lines[-1] == "interrupted\n"
            assert time.perf_counter() - sent < 1.0
            assert process.wait(30) == 0
        finally:
            process.kill()


# ---- fork


def test_a_forked_child_can_fit():
    """libgomp's threads do not survive fork(): without a guard the child waits for ever."""
    status, out, err = python(
        """
        import os, warnings
        import numpy as np
        import fastsum
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((500, 5)), rng.standard_normal(500)
        problem = fastsum.Problem(X, y, loss="squared")
        fit = lambda: fastsum.minimize(problem, "saga", n_jobs=2, random_state=0)
        before = fit().coef
        child = os.fork()
        if child == 0:
            same = np.array_equal(fit().coef, before)
            os._exit(0 if same else 3)
        _, status = os.waitpid(child, 0)
        print("child", os.waitstatus_to_exitcode(status), np.array_equal(fit().coef, before))
        """,
        timeout=60,
        OMP_NUM_THREADS="2",
    )
    assert (status, out) == (0, "child 0 True\n"), err


# ---- CPU levels


def test_the_best_level_is_chosen():
    status, out, _ = python(
        "from fastsum._core import _registry; print(_registry.cpu_level())", FASTSUM_CPU=""
    )
    assert (status, out) == (0, LEVELS[0] + "\n")
    assert LEVELS[-1] == "base"


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_can_be_forced(level):
    code = """
        import fastsum
        from fastsum._core import _kernels, _registry, _working_set
        print(*(module.cpu_level() for module in (_registry, _kernels, _working_set)))
        """
    status, out, err = python(code, FASTSUM_CPU=level)
    assert (status, out.split()) == (0, [level] * 3), err


def test_an_unknown_level_lists_the_valid_ones():
    status, _, err = python("import fastsum", FASTSUM_CPU="v9")
    assert status != 0
    assert "ImportError: FASTSUM_CPU='v9'" in err
    assert str(LEVELS) in err


@pytest.fixture(name="restored_level")
def restored_level_fixture():
    level = _registry.cpu_level()
    yield level
    assert _registry.select_cpu_level(level)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize(("loss", "layout"), LOSS_LAYOUTS)
@pytest.mark.parametrize("solver", CORE)
def test_levels_make_the_same_fit(solver, loss, layout, storage, restored_level):
    problem = random_problem(60, loss, layout, storage=storage, penalty="elasticnet", d=40)
    fits = {}
    for level in LEVELS:
        assert _registry.select_cpu_level(level)
        for module in (_registry, _kernels, _working_set):
            assert module.cpu_level() == level
        fits[level] = fastsum.minimize(  # a refinement may be taken or not by the last bit
            problem, solver, tol=1e-3, max_iter=9, random_state=0, refine=False
        )
    best = fits[restored_level]
    for fit in fits.values():
        np.testing.assert_allclose(fit.coef, best.coef, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(fit.objective, best.objective, rtol=1e-12)
        assert fit.n_iter == best.n_iter


def test_selecting_an_unknown_level_changes_nothing():
    before = _registry.cpu_level()
    assert not _registry.select_cpu_level("v9")
    assert _registry.cpu_level() == before


def test_show_versions(capsys):
    fastsum.show_versions()
    out = capsys.readouterr().out
    for word in (
        sys.version.split()[0],
        f"numpy          {np.__version__}",
        "scipy",
        "scikit-learn",
        f"CPU level      {_registry.cpu_level()} (built: ",
        f"threads        {resolve_n_threads(-1)} with n_jobs=-1, 1 with n_jobs=None",
        "CUDA           ",
    ):
        assert word in out
    for level, runs in _registry.cpu_levels().items():
        assert (f" {level} (not on this CPU)" in out) is not runs


def test_waiting_threads_sleep():
    status, out, _ = python("import fastsum, os; print(os.environ['OMP_WAIT_POLICY'])")
    assert (status, out) == (0, "PASSIVE\n")


def test_overlapping_blas_limits_end_where_they_began():
    """Two fits in two threads: the second begins before the first ends, and ends after it."""

    def threads():
        return [e["num_threads"] for e in threadpool_info() if e["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        first, second = blas_threads(1, 1e9), blas_threads(1, 1e9)
        first.__enter__()
        second.__enter__()
        assert set(threads()) == {1}
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
        assert threads() == before
