"""Nanoseconds per stored value of the kernels against the roofline: bytes over bandwidth.

A kernel is one line of KERNELS: its name and a function that, given a Bench, returns the call to
time and the bytes it must move at least.
"""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import numpy as np
from benchmark_utils import report, timing
from threadpoolctl import threadpool_limits

import fastsum
from benchmarks import registry
from fastsum.certificate import Certifier
from fastsum.data import as_rows
from fastsum.sampling import KINDS
from fastsum.solvers._registry import SOLVERS

SHAPES = {
    "dense": "simulated[n_samples=100000,n_features=100,dtype={}]",
    "ones": "click_log[n_samples=200000,n_features=262144,dtype={}]",
    "csr": "click_log[n_samples=200000,n_features=262144,dtype={}]",
}
SMALL = {"dense": "simulated[n_samples=200,n_features=10,dtype={}]"}
EXPLANATION = """\
Medians over repeats, in nanoseconds per stored value. The roofline is the time in which the bytes
that the kernel must move at least (the matrix once, each vector over rows or columns once) pass at
the bandwidth measured in the same run, with as many threads. Random access to a weight vector that
is larger than the cache is not in it, so sparse kernels cannot reach 1. The steps of SAGA and SVRG
are one pass of one thread; SVRG's has a full gradient in it."""


class Bench:
    """A matrix, vectors to go with it and the bytes of each."""

    def __init__(self, X, y, n_threads):
        self.n_threads = n_threads
        self.problem = fastsum.Problem(X, y, loss="logistic", alpha=1.0 / len(y))
        self.rows = as_rows(self.problem.rows)
        block, rng = self.rows.blocks[0], np.random.default_rng(0)
        parts = (block.values, block.indices, block.indptr)
        self.matrix = sum(part.nbytes for part in parts if part is not None)
        n, d = self.rows.n_rows, self.rows.n_cols
        self.W = (0.01 * rng.standard_normal((d + 1, 1))).astype(self.rows.dtype)
        self.r, self.z = rng.standard_normal((n, 1)), np.zeros((n, 1))

    def steps(self, name):
        """A pass of a per-sample method, by `advance`."""
        options = {"sampling": KINDS[0], "step_size": None, "n_threads": self.n_threads}
        method = SOLVERS[name](self.problem, **options)
        state = method.start(self.W.copy(), np.random.default_rng(0))
        return lambda: method.advance(state, method.cycle), method.cycle


def margins(bench):
    call = lambda: bench.rows.margins(bench.W, bench.n_threads, bench.z)  # noqa: E731
    return call, bench.matrix + bench.W.nbytes + bench.z.nbytes


def add_transposed(bench):
    call = lambda: bench.rows.transposed(bench.r, bench.n_threads)  # noqa: E731
    return call, bench.matrix + bench.r.nbytes + 8 * bench.rows.n_cols


def row_norms(bench):
    return lambda: bench.rows.squared_norms(bench.n_threads), bench.matrix + bench.r.nbytes


def certificate(bench):
    certifier = Certifier(bench.problem, bench.n_threads)
    # two passes over the matrix; margins and derivatives are written and read
    return lambda: certifier(bench.W), 2 * bench.matrix + 4 * bench.z.nbytes + 2 * bench.W.nbytes


def saga_pass(bench):
    call, passes = bench.steps("saga")
    return call, passes * bench.matrix


def svrg_pass(bench):
    call, passes = bench.steps("svrg")
    return call, passes * bench.matrix


KERNELS = {
    "margins": margins,
    "add_transposed": add_transposed,
    "row_norms": row_norms,
    "certificate": certificate,
    "SAGA, a pass": saga_pass,
    "SVRG, a cycle": svrg_pass,
}
COLUMNS = ["kernel", "storage", "dtype", "threads", "ns per value", "roofline ns", "share"]


def bandwidth(n_threads, repeats, size=1 << 25):
    """Bytes a second that `n_threads` threads read from memory."""
    parts = [np.ones(size // n_threads) for _ in range(n_threads)]
    seconds = []
    with threadpool_limits(1), ThreadPoolExecutor(n_threads) as pool:
        for _ in range(repeats):
            start = time.perf_counter()
            list(pool.map(lambda part: part @ part, parts))  # outside the interpreter's lock
            seconds.append(time.perf_counter() - start)
    return sum(part.nbytes for part in parts) / min(seconds)


def matrix(shape, spec, dtype):
    data = registry.dataset(spec.format(dtype)).get_data()
    X, y = data["X"], np.where(data["y"] == data["y"].max(), 1.0, -1.0)
    if shape == "csr":
        X.data[:] = np.linspace(0.5, 1.5, X.nnz)
    return X, y


def measure(bench, repeats):
    """{kernel: (median seconds, bytes)}."""
    out = {}
    for name, make in KERNELS.items():
        call, moved = make(bench)
        call()
        clock = timing.Clock()
        for _ in range(repeats):
            clock.time(call)
        out[name] = median(clock.wall), moved
    return out


def main(args):
    warnings.simplefilter("ignore")
    repeats, rows = args.repeats or 7, []
    with timing.exclusive(trial=args.small):
        machine = timing.machine(args.threads)
        speeds = {t: bandwidth(t, repeats) for t in (1, 2)}
    for shape, spec in (SMALL if args.small else SHAPES).items():
        for dtype in ("float64", "float32"):
            X, y = matrix(shape, spec, dtype)
            for threads, speed in speeds.items():
                with timing.exclusive(trial=args.small):
                    measured = measure(Bench(X, y, threads), repeats)
                nnz = X.size
                for name, (seconds, moved) in measured.items():
                    row = {"kernel": name, "storage": shape, "dtype": dtype, "threads": threads}
                    row["ns per value"] = 1e9 * seconds / nnz
                    row["roofline ns"] = 1e9 * moved / speed / nnz
                    row["share"] = row["roofline ns"] / row["ns per value"]
                    rows.append(row)
    rows.sort(key=lambda row: (list(KERNELS).index(row["kernel"]), row["storage"]))
    read = ", ".join(f"{speed / 1e9:.1f} GB/s with {t}" for t, speed in speeds.items())
    note = f"{EXPLANATION}\n\nRead bandwidth, threads: {read}."
    title, facts = "Kernels against the roofline", machine.finish()
    report.write("kernels", title, note, COLUMNS, rows, facts, speeds, args)
    report.show(title, COLUMNS, rows)
