"""Every pass over small data, for compute-sanitizer: shapes that fill tiles and that do not."""

import numpy as np

from fastsum import Problem
from fastsum.device import as_device_rows
from fastsum.passes import passes_of


def main():
    rng = np.random.default_rng(0)
    for n, d, K in [(1003, 17, 1), (300, 33, 9), (130, 3000, 5), (513, 256, 64), (40, 20000, 1)]:
        for dtype in (np.float32, np.float64):
            X = rng.standard_normal((n, d)).astype(dtype)
            y = rng.integers(0, K, n) if K > 1 else np.where(rng.random(n) < 0.5, 1.0, -1.0)
            loss, weights = "multinomial" if K > 1 else "logistic", rng.random(n)
            problem = Problem(as_device_rows(X), y, loss=loss, sample_weight=weights)
            passes, W = passes_of(problem, 1), 0.1 * rng.standard_normal((d + 1, problem.K))
            z, u, b = passes.array(), passes.array(), np.zeros(problem.K)
            passes.margins(W, z)
            passes.loss_terms(z, b, u, K <= 9)
            passes.loss_gap(z, b, u, np.ones(1))
            passes.gradient(u)
            c = passes.weighted_curvature(z, b, u)
            problem.rows.hessian_product(W, c, 1)
            passes.loss_and_gradient(W)
            passes.inner(z, u)
            passes.mean_square()
            if d <= 3000:
                problem.rows.gram(c, 0)


if __name__ == "__main__":
    main()
