"""The Gram matrix of a working set, kept while the set grows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastsum.data import Rows
from fastsum.solvers.phases._phase import FloatArray
from fastsum.solvers.phases._submatrix import Submatrix, scaled_columns, sparse_gram
from fastsum.threads import blas_threads

Ids = npt.NDArray[np.int64]


class Gram:
    """A' diag(weight) A of the columns a working set has held, centred where the intercept is free.

    Grown by the new columns only; `weight` (n,) stays what it was, that of every `stride`-th row.
    """

    def __init__(self, weight: FloatArray, centred: bool, stride: int = 1):
        self.weight, self.total, self.centred = weight, float(weight.sum()), centred
        self.stride = stride
        self.ids: Ids = np.empty(0, dtype=np.int64)
        self.H: FloatArray = np.empty((0, 0))
        self.mean: FloatArray = np.empty(0)
        self._parts: list[FloatArray] = []  # sqrt(weight) A of dense rows, as it grew

    def grow(self, A: Submatrix, ids: Ids) -> None:
        """Takes in the columns `ids` of A, of which the first are held already."""
        if len(self.ids) == len(ids):
            return
        self.mean = A.transposed(self.weight) / self.total if self.centred else np.zeros(len(ids))
        H, old = self._room(ids)
        A.gram(self.weight, H, old, self.mean if self.centred else None)

    def add(self, rows: Rows, ids: Ids, mean: FloatArray, n_threads: int) -> None:
        """The same for new columns of X, without reading those held again."""
        self.mean = mean
        H, old = self._room(ids)
        centre = mean if self.centred else None
        if rows.sparse:
            sparse_gram(rows, ids, self.weight, H, old, centre, n_threads)
            return
        new = scaled_columns(rows, ids[old:], self.weight, None if centre is None else centre[old:])
        self._parts.append(new)
        start = 0
        with blas_threads(n_threads, new.size):
            for part in self._parts:
                end = start + part.shape[1]
                np.matmul(new.T, part, out=H[old:, start:end])
                start = end
        H[:old, old:] = H[old:, :old].T

    def _room(self, ids: Ids) -> tuple[FloatArray, int]:
        """A matrix for `ids` that holds what is known, and of how many columns that is."""
        old, p = len(self.ids), len(ids)
        H = np.empty((p, p))
        H[:old, :old] = self.H
        self.ids, self.H = ids, H
        return H, old

    def of(self, ids: Ids) -> tuple[FloatArray, FloatArray]:
        """Gram matrix and means of `ids`, all held."""
        if len(ids) == len(self.ids) and (ids == self.ids).all():
            return self.H, self.mean
        order = np.argsort(self.ids)
        at = order[np.searchsorted(self.ids, ids, sorter=order)]
        return self.H[np.ix_(at, at)], self.mean[at]
