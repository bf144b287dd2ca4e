"""Two small real data sets that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.utils import Bunch

from ._readers import DataInfo, read_data

_A9A = """\
a9a: does a person earn more than 50,000 dollars a year? (US census, 1994)

32,561 training and 16,281 test samples, 123 features that are 0 or 1, 14 of them set in most
rows; about 24 % of the samples are positive. Column j here is feature j + 1 of the files.

Source: Becker, B. & Kohavi, R. (1996). Adult [Dataset]. UCI Machine Learning Repository.
https://doi.org/10.24432/C5XW20. Licensed under the Creative Commons Attribution 4.0
International licence (https://creativecommons.org/licenses/by/4.0/).

Changes: numbers cut into quantiles and categories coded as 0/1 columns by John C. Platt, in
the LIBSVM project's text form ("a9a"), here compressed with xz. See J. C. Platt, Fast training
of support vector machines using sequential minimal optimization, in Advances in Kernel
Methods, MIT Press, 1998.
"""

_OPEN_BANDIT_WOMEN = """\
open_bandit_women: is a recommended fashion item clicked?

20,000 impressions of the "women" campaign of ZOZOTOWN, November 2019: the dataset's own small
sample, 10,000 rows shown by a random policy and 10,000 by Thompson sampling (`policy` 0 and 1,
with the `propensity` of the item shown). 118 features: position, hashed user features and
item, one-hot coded, and the counts of earlier clicks between user and item. 92 clicks.

Source: Open Bandit Dataset, ZOZO, Inc. (https://research.zozo.com/data.html), licensed under
the Creative Commons Attribution 4.0 International licence
(https://creativecommons.org/licenses/by/4.0/). Please cite Y. Saito, S. Aihara, M. Matsutani,
Y. Narita, Open Bandit Dataset and Pipeline: Towards Realistic and Reproducible Off-Policy
Evaluation, NeurIPS Datasets and Benchmarks, 2021 (arXiv:2008.07146).

Changes: the columns of the CSV files coded as a sparse matrix; time stamps left out.
"""


def load_example(name: str, *, return_X_y: bool = False) -> Any:
    """Load one of the small real data sets that come with fastsum.

    Parameters
    ----------
    name : {"a9a", "open_bandit_women"}
        ``"a9a"``: income from census data, 32,561 x 123, binary features, classes -1 and 1,
        with a test set of 16,281. ``"open_bandit_women"``: clicks on recommended fashion
        items, 20,000 x 118, sparse, classes 0 and 1, only 92 clicks.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` only.

    Returns
    -------
    data : sklearn.utils.Bunch
        With the fields

        - ``data`` : csr_matrix of shape (n_samples, n_features), float64
        - ``target`` : ndarray of shape (n_samples,), int64
        - ``data_test``, ``target_test`` : the same for the test part (``"a9a"`` only)
        - ``policy``, ``propensity`` : ndarrays of shape (n_samples,)
          (``"open_bandit_women"`` only)
        - ``DESCR`` : str, what it is, who made it and on which terms it is shared

    (X, y) : tuple
        ``data`` and ``target``, if `return_X_y`.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> from fastsum.datasets import load_example
    >>> X, y = load_example("a9a", return_X_y=True)
    >>> X.shape
    (32561, 123)
    """
    if name not in _LOADERS:
        raise ValueError(f"name must be one of {sorted(_LOADERS)}, got {name!r}.")
    bunch = _LOADERS[name]()
    return (bunch.data, bunch.target) if return_X_y else bunch


def _load_a9a() -> Bunch:
    X, y, _ = _read("a9a.svm.xz", n_features=123)
    X_test, y_test, _ = _read("a9a.t.svm.xz", n_features=123)
    return Bunch(data=X, target=y, data_test=X_test, target_test=y_test, DESCR=_A9A)


def _load_open_bandit_women() -> Bunch:
    X, y, info = _read("open_bandit_women.npz")
    return Bunch(
        data=X,
        target=y,
        policy=info.extras["policy"].astype(np.int64),
        propensity=info.extras["propensity"],
        DESCR=_OPEN_BANDIT_WOMEN,
    )


def _read(
    filename: str, n_features: int | None = None
) -> tuple[sp.csr_matrix, npt.NDArray[np.int64], DataInfo]:
    """Read one of the shipped files. The data live in examples/data of the repository."""
    with as_file(files("fastsum.datasets") / "data" / filename) as path:
        X, y, info = read_data(path, n_features=n_features)
    assert y is not None  # required of read_data
    return X, y.astype(np.int64), info


_LOADERS: dict[str, Callable[[], Bunch]] = {
    "a9a": _load_a9a,
    "open_bandit_women": _load_open_bandit_women,
}
