import os
from pathlib import Path

from benchmark_utils.base import DataSource

VARIABLE = "FASTSUM_TEST_DATA"


class Dataset(DataSource):
    """A real set ``<file>.svm.xz`` or ``<file>.npz`` of the folder FASTSUM_TEST_DATA names.

    Dense columns are standardised.
    """

    name = "folder"
    parameters = {"file": ["w8a", "imdb_counts", "pendigits"]}  # noqa: RUF012

    def path(self):
        folder = Path(os.environ[VARIABLE])
        paths = [folder / f"{self.file}{end}" for end in (".svm.xz", ".npz")]
        return next((path for path in paths if path.exists()), None)

    def unavailable(self):
        if not os.environ.get(VARIABLE):
            return f"the environment variable {VARIABLE} names no folder"
        return None if self.path() else f"{VARIABLE} has no data set {self.file!r}"

    def get_data(self):
        from scipy.sparse import issparse
        from sklearn.preprocessing import scale

        from fastsum.datasets import read_data

        if reason := self.unavailable():
            raise FileNotFoundError(reason)
        X, y, info = read_data(self.path(), dtype="float64")
        if info.format == "svmlight" and info.n_stored > 0.5 * info.n_samples * info.n_features:
            X = X.toarray()
        return {"X": X if issparse(X) else scale(X), "y": y}
