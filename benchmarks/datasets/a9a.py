from benchmark_utils.base import DataSource


class Dataset(DataSource):
    """Census income, 32,561 x 123, sparse ones; ships with fastsum."""

    name = "a9a"
    parameters = {}  # noqa: RUF012

    def get_data(self):
        from fastsum.datasets import load_example

        X, y = load_example("a9a", return_X_y=True)
        return {"X": X, "y": y}
