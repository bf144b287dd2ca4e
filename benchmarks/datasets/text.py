import numpy as np
import scipy.sparse as sp
from benchmark_utils.base import DataSource


class Dataset(DataSource):
    """Documents as normalised tf-idf rows of Zipf-like words, and a planted sparse model."""

    name = "text"
    parameters = {  # noqa: RUF012
        "n_samples": [20_000],
        "n_features": [47_000],
        "n_words": [74],
        "n_classes": [2],  # 0: a regression
    }

    def get_data(self):
        rng = np.random.default_rng(0)
        n, d = self.n_samples, self.n_features
        lengths = np.maximum(5, rng.poisson(self.n_words, n))
        rank = np.exp(rng.random(lengths.sum()) * np.log(d + 1.0)).astype(np.int64) - 1
        column = rng.permutation(d)[np.minimum(rank, d - 1)]
        place = (np.repeat(np.arange(n), lengths), column)
        X = sp.csr_matrix((np.ones(len(rank)), place), shape=(n, d))
        rows_with = np.bincount(X.indices, minlength=d)
        X.data = (1 + np.log(X.data)) * np.log(n / (1.0 + rows_with))[X.indices].clip(0.01)
        norms = np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1]))
        X.data /= np.repeat(norms, np.diff(X.indptr))
        z = X @ (rng.standard_normal(d) * (rng.random(d) < 0.1))
        z = 2 * z / z.std() + rng.standard_normal(n)
        return {"X": X, "y": np.where(z > np.median(z), 1, 0) if self.n_classes else z}
