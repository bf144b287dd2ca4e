"""A store as training data."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum._core import _kernels
from fastsum.data import Rows
from fastsum.files import checksum
from fastsum.row_source import RowSource
from fastsum.store._format import (
    PARTS,
    MappedArray,
    Shard,
    StoreError,
    dtype_of,
    file_name,
    kinds_of,
    read_manifest,
)
from fastsum.store._names import read_names


class Dataset(RowSource):
    """The rows and labels of a store, read from the disk as they are used.

    Goes where a matrix X goes: ``estimator.fit(dataset)``, ``fastsum.Problem(dataset)``. Its
    rows are shuffled, its columns are in order of frequency; coefficients come back in the order of
    the data it was made from. Rows are memory maps: the pages in use are the system's, not the
    process's own.

    Parameters
    ----------
    path : str or path-like
        A store made by `fastsum.store.ingest` or ``fastsum ingest``.
    part : {"train", "test"}, default="train"
        Which rows.
    verify : bool, default=True
        Whether the checksums of all arrays are compared, in one read, before their first use. Sizes
        and the structure that memory safety needs are always checked.

    Attributes
    ----------
    n_rows, n_features : int
        Rows of the part; columns of the data that the store was made from.
    classes : ndarray or None
        The label map: the sorted labels if there are few different ones, else None.

    Raises
    ------
    ValueError
        If the store is broken, cut off, altered, or leads out of its folder.

    Examples
    --------
    >>> from fastsum import FiniteSumClassifier
    >>> from fastsum.store import Dataset
    >>> data = Dataset("clicks.store")  # doctest: +SKIP
    >>> FiniteSumClassifier(alpha=1e-6).fit(data)  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str], part: str = "train", *, verify: bool = True):
        if part not in PARTS:
            raise ValueError(f"part={part!r} is unknown; choose one of {list(PARTS)}")
        self.path, self.part, self._verify = Path(path), part, verify
        self.manifest = read_manifest(self.path)
        self.shards: list[Shard] = [s for s in self.manifest["shards"] if s["part"] == part]
        if not self.shards:
            held = sorted({shard["part"] for shard in self.manifest["shards"]})
            raise StoreError(f"{path} has no rows in part {part!r}; it has {held}")
        self.n_rows = sum(int(shard["n_rows"]) for shard in self.shards)
        self.n_features = int(self.manifest["n_features"])
        classes = self.manifest["labels"]["classes"]
        self.classes: npt.NDArray[Any] | None = None if classes is None else np.array(classes)
        self._arrays = [self._open(shard) for shard in self.shards]

    def __len__(self) -> int:
        """The number of row blocks."""
        return len(self.shards)

    def __getitem__(self, number: int) -> tuple[Rows, npt.NDArray[Any]]:
        """The rows and labels of one block."""
        if not isinstance(number, Integral):
            raise TypeError(
                "a Dataset is indexed by the number of a block, and its rows cannot be picked, as "
                "scikit-learn's searches do: LogisticRegressionCV, LassoCV, ElasticNetCV and "
                "RidgeCV(cv=...) take a Dataset; or score candidates on its part 'test'"
            )
        return self._rows_of([self.rows.blocks[number]]), self._labels(number)

    def __iter__(self) -> Iterator[tuple[Rows, npt.NDArray[Any]]]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        m, stored = self.manifest, sum(shard["n_stored"] for shard in self.shards)
        return (
            f"Dataset({str(self.path)!r}, {self.part}: {self.n_rows:,} x {self.n_features:,} "
            f"{m['dtype']}, {m['n_columns']:,} columns in use, {stored:,} stored, {len(self)} "
            "block(s))"
        )

    def only(self, blocks: Sequence[int]) -> Dataset:
        """The same with some of its blocks alone; the others are not read.

        Parameters
        ----------
        blocks : sequence of int
            The numbers of the blocks, from 0, in the order in which they are to come.

        Returns
        -------
        Dataset
            It shares the arrays that are in memory already.
        """
        other = copy.copy(self)
        other.__dict__.pop("rows", None)
        other.shards = [self.shards[number] for number in blocks]
        other._arrays = [self._arrays[number] for number in blocks]
        other.n_rows = sum(int(shard["n_rows"]) for shard in other.shards)
        return other

    @property
    def shape(self) -> tuple[int, int]:
        """(n, d)."""
        return self.n_rows, self.n_features

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the store's contents."""
        return str(self.manifest["checksum"])

    @cached_property
    def rows(self) -> Rows:
        """The rows in the engine's storage, one block a shard."""
        blocks = [
            self._block(shard, arrays)
            for shard, arrays in zip(self.shards, self._arrays, strict=True)
        ]
        return self._rows_of(blocks)

    @cached_property
    def columns(self) -> npt.NDArray[np.int64]:
        """The user's column of each stored column, the most frequent first, (d',)."""
        m = self.manifest
        shape, dtype = (m["n_columns"],), np.dtype(np.int64)
        columns = np.array(MappedArray(self.path, "columns.npy", shape, dtype).array)
        ordered = np.sort(columns)
        inside = not len(columns) or (ordered[0] >= 0 and ordered[-1] < self.n_features)
        if checksum(columns) != m["columns_crc"] or not inside or (np.diff(ordered) == 0).any():
            raise StoreError(f"{self.path}: columns.npy is damaged: make the store again")
        return columns

    @cached_property
    def names(self) -> dict[int, list[tuple[str, str]]]:
        """Field and category that frequent columns stand for, by the user's column.

        Several where categories met in one column; empty for svmlight and without names.
        """
        crc = self.manifest.get("names_crc")  # stores of before have none
        return {} if crc is None else read_names(self.path, crc)

    @property
    def y(self) -> npt.NDArray[Any]:
        """The label of each row as it stood in the data, (n,); read anew each time."""
        return np.concatenate([self._labels(number) for number in range(len(self))])

    def _rows_of(self, blocks: list[_kernels.Block]) -> Rows:
        whole = len(blocks) == len(self.shards)
        return Rows(
            tuple(blocks),
            np.dtype(self.manifest["dtype"]),
            column_order=self.columns,
            user_cols=self.n_features,
            fingerprint=self._number if whole else None,
            ahead=self._ahead if whole else None,
        )

    @property
    def _number(self) -> int:
        """A fingerprint of the rows."""
        number = int(self.fingerprint[:15], 16) + PARTS.index(self.part)
        held = [shard["number"] for shard in self.shards]
        everything = [s["number"] for s in self.manifest["shards"] if s["part"] == self.part]
        return number if held == everything else hash((number, *held))

    def _open(self, shard: Shard) -> dict[str, MappedArray]:
        n, nnz = shard["n_rows"], shard["n_stored"]
        shapes = {"indptr": (n + 1,), "indices": (nnz,), "values": (nnz,), "y": (n,)}
        return {
            kind: MappedArray(
                self.path,
                file_name(self.part, shard["number"], kind),
                shapes[kind],
                dtype_of(self.manifest, kind),
            )
            for kind in kinds_of(self.manifest)
        }

    def _block(self, shard: Shard, arrays: dict[str, MappedArray]) -> _kernels.Block:
        """A shard as a block, after the checks that its kernels rely on."""
        name = self.path / file_name(self.part, shard["number"], "*")
        for kind, mapped in arrays.items():
            if self._verify and checksum(mapped.array) != shard["crc"][kind]:
                raise StoreError(f"{name}: {kind} does not have its checksum: it was damaged")
        indptr, indices = arrays["indptr"].array, arrays["indices"].array
        n, d = shard["n_rows"], self.manifest["n_columns"]
        fault = _kernels.csr_fault(indptr, indices, n, d)[0]
        if fault or indptr[-1] != len(indices) or not _kernels.rows_increase(indptr, indices):
            raise StoreError(f"{name}: the arrays are no rows of {d:,} columns: make it again")
        values = arrays["values"].array if "values" in arrays else None
        if values is not None and not np.isfinite(values).all():
            raise StoreError(f"{name}: values holds NaN or infinity: make the store again")
        return _kernels.Block(
            self.manifest["storage"],
            n,
            d,
            self.manifest["dtype"] == "float64",
            values=values,
            indices=indices,
            indptr=indptr,
        )

    def _labels(self, number: int) -> npt.NDArray[Any]:
        codes = self._arrays[number]["y"].array
        if self.classes is None:
            return np.array(codes)
        if len(codes) and not (codes.min() >= 0 and codes.max() < len(self.classes)):
            raise StoreError(f"{self.path}: a label is none of the classes: make the store again")
        labels: npt.NDArray[Any] = self.classes[codes]
        return labels

    def _ahead(self, number: int) -> None:
        for mapped in self._arrays[number].values():
            mapped.ahead()
