import numpy as np
from benchmark_utils.base import DataSource


class Dataset(DataSource):
    """A generated click log: CSR of ones with Zipf features."""

    name = "click_log"
    parameters = {  # noqa: RUF012
        "n_samples": [100_000],
        "n_features": [1 << 17],
        "n_fields": [39],
        "dtype": ["float64"],
    }

    def get_data(self):
        from fastsum.datasets import make_click_log

        X, y = make_click_log(
            self.n_samples,
            self.n_features,
            n_fields=self.n_fields,
            random_state=0,
            dtype=np.dtype(self.dtype),
        )
        return {"X": X, "y": y}
