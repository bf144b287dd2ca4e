"""One table: passes of a GPU beside the bandwidth of copies, and a large fit beside peers.

    python benchmarks/gpu/table.py --rows 10000000

Peers are L-BFGS of torch on the device, where it is installed, and our own fit on the CPU (--cpu).
"""

import argparse
import time

import numpy as np

from fastsum import Problem, minimize
from fastsum.backend import cuda
from fastsum.device import DeviceArray, DeviceRows
from fastsum.device._inputs import Layout
from fastsum.passes import passes_of

D, K = 256, 64
POOL = 1 << 20  # rows that are drawn; the rest repeat them
REPEATS = 7


def best_of(f, repeats=REPEATS):
    """Least seconds of f(), the device's queue empty before and after."""
    module, least = cuda(), np.inf
    f()
    for _ in range(repeats):
        module.synchronize()
        began = time.perf_counter()
        f()
        module.synchronize()
        least = min(least, time.perf_counter() - began)
    return least


def rows_on_device(n, d, kind, pool):
    """n rows that repeat those of the pool."""
    stored = pool[:, :d].astype(kind)
    memory, row = cuda().Memory(n * d * stored.itemsize), d * stored.itemsize
    for begin in range(0, n, len(stored)):
        part = np.ascontiguousarray(stored[: min(len(stored), n - begin)])
        memory.copy_in(part, begin * row)
    return DeviceRows(Layout(memory.address, str(stored.dtype), (n, d), d, memory))


def copy_bandwidth():
    """Bytes a second of a sum of two arrays: two are read and one is written."""
    size = 1 << 27
    x, y, out = (DeviceArray((size, 1)) for _ in range(3))
    return 24 * size / best_of(lambda: out._combine(1.0, x, 1.0, y))


def show(name, seconds, note):
    print(f"{name:<52} {1e3 * seconds:>11.3f} ms   {note}", flush=True)


def passes_table(n, pool, y):
    bandwidth = copy_bandwidth()
    print(f"copy bandwidth {bandwidth / 1e12:.2f} TB/s; {n:,} rows of {D} columns")
    rng = np.random.default_rng(1)
    for kind in ("float32", "float64", "float16"):
        m = n if kind != "float64" else n // 2
        X = rows_on_device(m, D, kind, pool)
        passes, W = passes_of(Problem(X, y[:m]), 1), 0.01 * rng.standard_normal((D + 1, 1))
        n_bytes = m * D * np.dtype(kind).itemsize

        def share(seconds, n_bytes=n_bytes):
            return f"{n_bytes / seconds / bandwidth:.0%} of the bandwidth, X counted once"

        z, u, b = passes.array(), passes.array(), np.zeros(1)
        seconds = best_of(lambda p=passes, W=W: p.loss_and_gradient(W))
        show(f"gradient, {kind}, K = 1", seconds, share(seconds))
        passes.margins(W, z)
        passes.loss_terms(z, b, u, False)
        c = passes.weighted_curvature(z, b, u)
        seconds = best_of(lambda X=X, W=W, c=c: X.hessian_product(W, c, 1))
        show(f"Hessian times vector, {kind}", seconds, share(seconds))
        seconds = best_of(lambda p=passes, W=W, z=z: p.margins(W, z))
        show(f"margins of a certificate, {kind}", seconds, share(seconds))
        seconds = best_of(lambda p=passes, z=z, u=u, b=b: p.loss_terms(z, b, u, True))
        show("losses at known margins", seconds, "")
        seconds = best_of(lambda X=X, c=c: X.gram(c, 0), 3)
        show(f"Gram matrix, {kind}", seconds, f"{m * D * D / seconds / 1e12:.1f} TFLOP/s, of half")
    m = n // 8
    X, codes = rows_on_device(m, D, "float32", pool), rng.integers(0, K, m)
    codes[:K] = np.arange(K)
    passes, W = passes_of(Problem(X, codes, loss="multinomial"), 1), np.zeros((D + 1, K))
    seconds = best_of(lambda: passes.loss_and_gradient(W), 3)
    flops, rate = 4.0 * m * D * K, bandwidth * 64
    show(
        f"gradient, float32, K = {K}, {m:,} rows",
        seconds,
        f"{flops / seconds / 1e12:.1f} TFLOP/s, "
        f"{flops / seconds / rate:.0%} of 64 flop/byte x bandwidth",
    )


def torch_lbfgs(X, y, alpha, target):
    """Seconds of torch's L-BFGS until its objective is at most the target, or None."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    data = torch.as_tensor(X, device="cuda")
    labels = torch.as_tensor(y, dtype=torch.float32, device="cuda")
    w = torch.zeros(data.shape[1] + 1, device="cuda", requires_grad=True)

    def value():
        margin = labels * (data @ w[:-1] + w[-1])
        return torch.nn.functional.softplus(-margin).mean() + 0.5 * alpha * (w[:-1] ** 2).sum()

    optimiser = torch.optim.LBFGS([w], max_iter=1, history_size=10, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = value()
        loss.backward()
        return loss

    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(500):
        if float(optimiser.step(closure)) <= target:
            torch.cuda.synchronize()
            return time.perf_counter() - began
    return np.inf


def fit_table(n, pool, y, cpu):
    alpha, tol = 1e-6, 1e-6
    X = rows_on_device(n, D, "float32", pool)
    problem = Problem(X, y, alpha=alpha)
    minimize(problem, tol=tol)
    began = time.perf_counter()
    result = minimize(problem, tol=tol)
    seconds = time.perf_counter() - began
    show(
        f"l2 logistic, {n:,} x {D} float32",
        seconds,
        f"{result.status}, gap {result.dual_gap:.1e}, {result.n_iter} passes",
    )
    host = np.concatenate([pool] * -(-n // len(pool)))[:n]
    taken = torch_lbfgs(host, y, alpha, result.objective + result.dual_gap + 1e-7)
    if taken is None:
        print("torch's L-BFGS: not run (torch with CUDA is not installed)")
    else:
        show(
            "the same by torch's L-BFGS, to that objective + 1e-7", taken, f"{taken / seconds:.1f}x"
        )
    if cpu:
        began = time.perf_counter()
        minimize(Problem(host, y, alpha=alpha), tol=tol, n_jobs=-1, device="cpu")
        taken = time.perf_counter() - began
        show("the same on the CPU, n_jobs=-1", taken, f"{taken / seconds:.1f}x")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--cpu", action="store_true", help="our own fit on the CPU as well")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pool = rng.standard_normal((min(POOL, options.rows), D), dtype=np.float32)
    w = rng.standard_normal(D).astype(np.float32) / np.sqrt(D)
    z = np.tile(pool @ w, -(-options.rows // len(pool)))[: options.rows]
    y = np.where(rng.random(options.rows) < 1 / (1 + np.exp(-2 * z)), 1.0, -1.0)
    passes_table(options.rows, pool, y)
    fit_table(options.rows, pool, y, options.cpu)


if __name__ == "__main__":
    main()
