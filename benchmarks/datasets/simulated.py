import numpy as np
from benchmark_utils.base import DataSource


class Dataset(DataSource):
    """Dense Gaussian rows whose covariance has a given condition number, and a planted model."""

    name = "simulated"
    parameters = {  # noqa: RUF012
        "n_samples": [20_000],
        "n_features": [100],
        "condition": [100.0],
        "n_classes": [2],  # 0: a regression
        "n_relevant": [0],  # 0: all features
        "dtype": ["float64"],
    }

    def get_data(self):
        rng = np.random.default_rng(0)
        n, d = self.n_samples, self.n_features
        X = rng.standard_normal((n, d))
        if self.condition > 1:
            X *= np.logspace(0, -0.5 * np.log10(self.condition), d)
            X = X @ np.linalg.qr(rng.standard_normal((d, d)))[0]
        W = rng.standard_normal((d, self.n_classes if self.n_classes > 2 else 1))
        if self.n_relevant:
            W[rng.permutation(d)[self.n_relevant :]] = 0
        z = X @ W
        z *= 2.0 / z.std()
        if self.n_classes == 0:
            y = z[:, 0] + 0.5 * rng.standard_normal(n)
        elif self.n_classes == 2:
            y = np.where(z[:, 0] + rng.logistic(size=n) > 0, 1.0, -1.0)
        else:
            y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
        return {"X": np.ascontiguousarray(X, dtype=self.dtype), "y": y}
