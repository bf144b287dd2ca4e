"""Blocks of a source as sparse rows: what each field becomes, and what is wrong with a line."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file
from sklearn.utils import murmurhash3_32

from fastsum.datasets import first_fault
from fastsum.store._fields import MOST_LABEL, Text, split_fields
from fastsum.store._format import MOST
from fastsum.store._hash import murmur3
from fastsum.store._names import Entry, frequent
from fastsum.store._settings import Encoding, Settings
from fastsum.store._sources import TextBlock

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
DELIMITERS = {"criteo": b"\t", "tsv": b"\t", "csv": b","}


@dataclass(frozen=True)
class SparseRows:
    """Rows as their ids, ascending and distinct in a row.

    Attributes
    ----------
    sizes : (n,) int64
        Stored values of each row.
    ids : (nnz,) int64
        Columns of the user's numbering.
    values : (nnz,) float64 or None
        None if all are 1.
    labels : (n,) array
        float64, or numpy strings.
    skipped : int
        Lines left out.
    """

    sizes: Array
    ids: Array
    values: Array | None
    labels: Array
    skipped: int = 0


class BadLine(ValueError):
    """A malformed line of a source."""


def encode_text(
    path: str, block: TextBlock, form: str, settings: Settings, names: list[Entry] | None = None
) -> SparseRows:
    """The rows of a block of text; the frequent categories are added to `names`.

    Raises
    ------
    BadLine
        For the first malformed line, unless they are to be skipped.
    """
    if form == "svmlight":
        return _encode_svmlight(path, block, settings)
    encoding = settings.encoding
    fields = split_fields(block.text, DELIMITERS[form], len(encoding.names), quotes=form == "csv")
    if len(fields.bad) and settings.on_error == "stop":
        raise BadLine(
            f"{path}, line {block.line + int(fields.bad[0])}: it has {fields.found} fields, "
            f"expected {len(encoding.names)}"
        )

    def fault(row: int, reason: str) -> BadLine:
        return BadLine(f"{path}, line {block.line + int(fields.lines[row])}: {reason}")

    columns = dict(zip(encoding.names, fields.columns, strict=True))
    rows = encode_columns(columns, settings, fault, names)
    return SparseRows(
        rows.sizes, rows.ids, rows.values, rows.labels, rows.skipped + len(fields.bad)
    )


def _encode_svmlight(path: str, block: TextBlock, settings: Settings) -> SparseRows:
    """The rows of svmlight text, parsed by scikit-learn; a fault is looked for line by line.

    Columns of more than 31 bits, which scikit-learn refuses, are parsed here.
    """
    text, skipped, zero_based = block.text, 0, settings.encoding.zero_based
    while True:
        try:
            X, y = load_svmlight_file(io.BytesIO(text), dtype=np.float64, zero_based=zero_based)
            if np.isfinite(X.data).all() and np.isfinite(y).all():
                break
        except (ValueError, OverflowError, IndexError, TypeError) as error:
            reason = str(error)
        else:
            reason = "a value is not finite"
        lines = text.splitlines(keepends=True)
        fault = first_fault(lines, zero_based=zero_based)
        if fault is None and (X_y := _with_long_ids(lines, zero_based)) is not None:
            X, y = X_y
            break
        if fault is None or skipped:
            raise BadLine(f"{path}, lines from {block.line}: not svmlight text ({reason})")
        if settings.on_error == "stop":
            raise BadLine(f"{path}, line {block.line + fault.line - 1}: {fault.reason}")
        good = [line for line in lines if first_fault([line], zero_based=zero_based) is None]
        text, skipped = b"".join(good), len(lines) - len(good)
    sizes = np.diff(X.indptr).astype(np.int64)
    values = None if (X.data == 1).all() else X.data
    labels, bad = _mapped(y, settings.labels)
    if bad.any():
        raise BadLine(f"{path}, lines from {block.line}: the label {y[bad][0]:g} is not mapped")
    return SparseRows(sizes, X.indices.astype(np.int64), values, labels, skipped)


def _with_long_ids(lines: list[bytes], zero_based: bool) -> tuple[Any, Array] | None:
    """Rows and labels of well-formed lines; None if their columns cannot be numbered."""
    labels, sizes, pairs = [], [], []
    for line in lines:
        label, *rest = line.partition(b"#")[0].split() or [b""]
        if not label:
            continue
        rest = rest[1:] if rest and rest[0].startswith(b"qid:") else rest
        labels.append(float(label))
        sizes.append(len(rest))
        pairs += rest
    numbers = np.array(b" ".join(pairs).replace(b":", b" ").split(), dtype="S").astype(np.float64)
    ids = numbers[::2].astype(np.int64) - (not zero_based)
    if not len(ids) or ids.max() >= MOST:
        return None
    shape = len(sizes), int(ids.max()) + 1
    indptr = np.append(0, np.cumsum(sizes))
    return sp.csr_array((numbers[1::2], ids, indptr), shape), np.array(labels)


def encode_columns(
    columns: Mapping[str, Text | Array],
    settings: Settings,
    fault: Callable[[int, str], BadLine],
    names: list[Entry] | None = None,
) -> SparseRows:
    """Rows of named columns: strings, or numbers that are NaN where missing."""
    encoding, kinds = (
        settings.encoding,
        dict(zip(settings.encoding.names, settings.encoding.kinds, strict=True)),
    )
    ids, values, wrong = [], [], []
    labels: Array = np.zeros(column_length(next(iter(columns.values()))))
    for name, column in columns.items():
        if kinds[name] in ("target", "name"):
            labels, bad = _labels(column, kinds[name], settings.labels)
            what = "the label is missing, not mapped, or no number where others are"
        elif kinds[name] == "drop":
            continue
        else:
            id_, value, bad = _encoded(name, kinds[name], column, encoding)
            if names is not None:
                names += frequent(name, kinds[name], encoding.numbers, column, id_)
            ids.append(id_)
            values.append(value)
            what = f"the field {name!r} is not a number: name it as categorical if it is none"
        if bad.any():
            wrong.append(bad)
            if settings.on_error == "stop":
                raise fault(int(np.flatnonzero(bad)[0]), what)
    keep = ~np.logical_or.reduce(wrong) if wrong else np.ones(len(labels), dtype=bool)
    plain = all(value is None for value in values)
    matrix = np.stack(ids, axis=1)[keep]
    weights = None
    if not plain:
        ones = np.ones(len(labels))
        weights = np.stack([ones if v is None else v for v in values], axis=1)[keep]
    sizes, flat, weights = distinct(matrix, weights, add=encoding.signed)
    return SparseRows(sizes, flat, weights, labels[keep], int((~keep).sum()))


def _encoded(
    name: str, kind: str, column: Text | Array, encoding: Encoding
) -> tuple[Array, Array | None, Mask]:
    """Column ids (n,), values or None for ones, and which fields are malformed."""
    seed, mask = encoding.seed_of(name), np.uint32(encoding.n_features - 1)
    bad = np.zeros(column_length(column), dtype=bool)
    if kind == "category":
        h = (
            murmur3(column.text, column.starts, column.lengths, seed)
            if isinstance(column, Text)
            else _hash_of_numbers(column, seed)
        )
        sign = np.where(h >> np.uint32(31), -1.0, 1.0) if encoding.signed else None
        return (h & mask).astype(np.int64), sign, bad
    if isinstance(column, Text):
        x, bad = column.numbers()
    else:
        x = column
    missing = np.isnan(x)
    if encoding.numbers == "bins":
        h = _hash_of_codes(log_bin(np.where(missing, 0.0, x)), missing, seed)
        sign = np.where(h >> np.uint32(31), -1.0, 1.0) if encoding.signed else None
        return (h & mask).astype(np.int64), sign, bad
    h = _hash_of_codes(np.zeros(len(x), dtype=np.int32), missing, seed)
    value = x if encoding.numbers == "raw" else np.sign(x) * np.log1p(np.abs(x))
    return (h & mask).astype(np.int64), np.where(missing, 1.0, value), bad


def column_length(column: Text | Array) -> int:
    """Rows of a column."""
    return len(column.starts) if isinstance(column, Text) else len(column)


def log_bin(x: Array) -> npt.NDArray[np.int32]:
    """A bin of each number: itself up to 2, floor(log(|x|)^2) above; also below 1, and by sign."""
    a = np.abs(x)
    with np.errstate(divide="ignore"):
        square = np.floor(np.log(np.where(a > 0, a, 1.0)) ** 2)
    region = np.select([a == 0, a < 1, a <= 2], [0, 1, 2], default=3)
    level = np.select([a == 0, a < 1, a <= 2], [0.0, square, np.floor(a)], default=square)
    code: npt.NDArray[np.int32] = ((level * 4 + region) * 2 + (x < 0)).astype(np.int32)
    return code


def _hash_of_codes(codes: npt.NDArray[np.int32], missing: Mask, seed: int) -> Array:
    """Hash of each integer; missing ones have a code of their own."""
    codes = np.where(missing, np.int32(-1), codes)
    h: Array = murmurhash3_32(codes, seed=seed, positive=True)
    return h.astype(np.uint32)


def _hash_of_numbers(column: Array, seed: int) -> Array:
    """Hash of numbers as categories: of their text, which is what a text file would hold."""
    missing = np.isnan(column)
    kinds, place = np.unique(column[~missing], return_inverse=True)
    out = np.full(len(column), murmurhash3_32("", seed=seed, positive=True), dtype=np.uint32)
    texts = [str(int(k)) if k == int(k) else repr(float(k)) for k in kinds.tolist()]
    hashes = [murmurhash3_32(text, seed=seed, positive=True) for text in texts]
    out[~missing] = np.array(hashes, dtype=np.uint32)[place]
    return out


def _labels(column: Text | Array, kind: str, mapped: Mapping[str, float]) -> tuple[Array, Mask]:
    """Labels as numbers, or as strings if they are names; and which are missing or neither."""
    if not isinstance(column, Text):
        return _mapped(column, mapped)
    long = column.lengths > MOST_LABEL
    if mapped:
        values, bad = _mapped(column.strings(MOST_LABEL), mapped)
        return values, bad | long
    if kind == "name":
        return column.strings(MOST_LABEL), long | (column.lengths == 0)
    values, bad = column.numbers()
    return values, bad | np.isnan(values)


def _mapped(labels: Array, mapped: Mapping[str, float]) -> tuple[Array, Mask]:
    """The numbers that labels stand for, and which labels stand for none."""
    if not mapped:
        return labels, np.isnan(labels)
    out = np.full(len(labels), np.nan)
    for name, value in mapped.items():
        if labels.dtype.kind == "S":
            out[labels == name.encode()] = value
        else:
            out[labels == float(name)] = value
    return out, np.isnan(out)


def distinct(ids: Array, values: Array | None, *, add: bool) -> tuple[Array, Array, Array | None]:
    """Sizes, ids and values of the rows of (n, F) ids: sorted, each column once.

    Fields of one row that meet in a column are one category unless `add`; other values add up.
    """
    n, F = ids.shape
    if values is None:
        ordered = np.sort(ids, axis=1)
        first = np.ones((n, F), dtype=bool)
        np.not_equal(ordered[:, 1:], ordered[:, :-1], out=first[:, 1:])
        return first.sum(axis=1), ordered[first], None
    order = np.argsort(ids, axis=1, kind="stable")
    ordered, values = np.take_along_axis(ids, order, 1), np.take_along_axis(values, order, 1)
    first = np.ones((n, F), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=first[:, 1:])
    flat = np.flatnonzero(first)
    sums = np.add.reduceat(values.ravel(), flat) if len(flat) else np.empty(0)
    return first.sum(axis=1), ordered.ravel()[flat], sums
