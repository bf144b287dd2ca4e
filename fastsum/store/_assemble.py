"""The second pass of an ingest: buckets of pieces become shards, columns are renumbered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.data import MAX_COLUMNS
from fastsum.files import checksum
from fastsum.store._format import (
    FORMAT,
    VERSION,
    Shard,
    file_name,
    write_array,
    write_manifest,
)
from fastsum.store._names import merged, write_names
from fastsum.store._pieces import Plan, piece_path

Array = npt.NDArray[Any]
MOST_CLASSES = 256  # different numbers that are kept as codes
TABLE = 1 << 27  # columns that are counted and renumbered by a table


@dataclass(frozen=True)
class Piece:
    """One piece on the disk and its description."""

    file: int
    block: int
    about: dict[str, Any]

    def load(self, folder: Path, kind: str) -> Array:
        """One of its arrays, mapped into memory."""
        path = piece_path(folder, self.file, self.block, kind)
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def names(self, folder: Path) -> list[list[Any]]:
        """Its frequent categories."""
        found: list[list[Any]] = json.loads(
            piece_path(folder, self.file, self.block, "names.json").read_bytes()
        )
        return found


@dataclass(frozen=True)
class Columns:
    """The columns of the store: the user's column of each (d',), and the way there."""

    ids: npt.NDArray[np.int64]

    def places(self, ids: Array) -> npt.NDArray[np.int64]:
        """The stored column of each of the user's, -1 where it is not in use."""
        if not len(self.ids):
            return np.full(len(ids), -1, dtype=np.int64)
        order = np.argsort(self.ids)
        at = np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(order) - 1)
        found = order[at]
        out: npt.NDArray[np.int64] = np.where(self.ids[found] == ids, found, -1)
        return out

    def table(self, n_features: int) -> Callable[[Array], Array]:
        """`places` as a function, by a table where that is small."""
        if n_features > TABLE:
            return self.places
        table = np.full(n_features, -1, dtype=np.int32)
        table[self.ids] = np.arange(len(self.ids), dtype=np.int32)
        last = n_features - 1  # another store's data may go further
        return lambda ids: np.where(ids <= last, table[np.minimum(ids, last)], -1)


def count_columns(folder: Path, pieces: list[Piece], n_features: int) -> Columns:
    """The columns in use, the most frequent first, equally frequent ones in the user's order."""
    if n_features <= TABLE:
        counts = np.zeros(n_features, dtype=np.int64)
        for piece in pieces:
            counts += np.bincount(piece.load(folder, "ids"), minlength=n_features)
        used = np.flatnonzero(counts)
        counts = counts[used]
    else:
        used, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        for piece in pieces:
            ids, n = np.unique(piece.load(folder, "ids"), return_counts=True)
            used, place = np.unique(np.concatenate([used, ids]), return_inverse=True)
            counts = np.bincount(place, np.concatenate([counts, n])).astype(np.int64)
    if len(used) > MAX_COLUMNS:
        raise ValueError(f"{len(used):,} columns are in use; at most {MAX_COLUMNS:,} are supported")
    order = np.argsort(-counts, kind="stable")
    return Columns(used[order].astype(np.int64))


def label_map(folder: Path, pieces: list[Piece]) -> tuple[Array | None, dict[str, Any]]:
    """The different labels if they are names, or few; and how the manifest tells of them."""
    kinds: Array | None = None
    for piece in pieces:
        found = np.unique(piece.load(folder, "labels"))
        kinds = found if kinds is None else np.unique(np.concatenate([kinds, found]))
        if kinds.dtype.kind == "f" and len(kinds) > MOST_CLASSES:
            return None, {"classes": None, "dtype": "float64"}
    assert kinds is not None
    names = kinds.dtype.kind == "S"
    plain = [k.decode("utf-8", "replace") for k in kinds.tolist()] if names else kinds.tolist()
    if not names and all(k == int(k) for k in plain):
        plain = [int(k) for k in plain]
    return kinds, {"classes": plain, "dtype": "uint8" if len(kinds) <= MOST_CLASSES else "int32"}


def assemble(
    folder: Path,
    store: Path,
    plan: Plan,
    pieces: list[Piece],
    known: Columns | None,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    """Writes the store from the pieces in `folder`; its manifest.

    known: the columns of another store, to be kept. tell: called with the rows of each shard.
    """
    settings, encoding = plan.settings, plan.settings.encoding
    n_features = encoding.n_features if encoding.hashed else settings.n_features
    largest = max((piece.about["largest"] for piece in pieces), default=-1)
    if n_features is None:
        n_features = largest + 1
    if largest >= n_features and known is None:
        raise ValueError(f"a row has column {largest + 1}, n_features is {n_features}")
    if not any(sum(piece.about["rows"]) for piece in pieces):
        raise ValueError("the sources hold no rows")
    columns = known or count_columns(folder, pieces, n_features)
    classes, labels = label_map(folder, pieces)
    ones = all(piece.about["ones"] for piece in pieces)
    shards: list[Shard] = []
    place = columns.table(n_features)
    for bucket in range(plan.n_buckets):
        rows = _bucket(folder, pieces, bucket, ones, settings.dtype, classes)
        if not len(rows["y"]):
            continue
        rng = np.random.Generator(np.random.PCG64([settings.shuffle_seed, bucket, 1 << 40]))
        arrays = _shuffled(rows, rng.permutation(len(rows["y"])), place)
        part = "train" if bucket < plan.n_train else "test"
        number = sum(shard["part"] == part for shard in shards)
        crc = {
            kind: write_array(store / file_name(part, number, kind), array)
            for kind, array in arrays.items()
        }
        n, stored = len(arrays["y"]), len(arrays["indices"])
        shards.append({"part": part, "number": number, "n_rows": n, "n_stored": stored, "crc": crc})
        tell(n)
    write_array(store / "columns.npy", columns.ids)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "n_features": n_features,
        "n_columns": len(columns.ids),
        "columns_crc": checksum(columns.ids),
        "names_crc": _write_names(folder, store, pieces) if settings.names else None,
        "storage": "ones" if ones else "csr",
        "dtype": settings.dtype,
        "labels": labels,
        "shards": shards,
        "encoding": encoding.to_json(),
        "sources": [source.path for source in plan.sources],
        "skipped": sum(piece.about["skipped"] for piece in pieces),
    }
    write_manifest(store, manifest)
    return manifest


def _write_names(folder: Path, store: Path, pieces: list[Piece]) -> int:
    return write_names(store, merged(piece.names(folder) for piece in pieces))


def _bucket(
    folder: Path, pieces: list[Piece], bucket: int, ones: bool, dtype: str, classes: Array | None
) -> dict[str, Array]:
    """The rows of a bucket, in the order of the sources."""
    parts: dict[str, list[Array]] = {"sizes": [], "indices": [], "y": []}
    if not ones:
        parts["values"] = []
    for piece in pieces:
        rows, stored = piece.about["rows"], piece.about["stored"]
        first, last = sum(rows[:bucket]), sum(rows[: bucket + 1])
        begin, end = sum(stored[:bucket]), sum(stored[: bucket + 1])
        labels = piece.load(folder, "labels")[first:last]
        if classes is not None:
            kind = np.uint8 if len(classes) <= MOST_CLASSES else np.int32
            labels = np.searchsorted(classes, labels).astype(kind)
        parts["y"].append(labels)
        parts["sizes"].append(piece.load(folder, "sizes")[first:last])
        parts["indices"].append(piece.load(folder, "ids")[begin:end])
        if not ones:
            whole = piece.about["ones"]
            values = np.ones(end - begin) if whole else piece.load(folder, "values")[begin:end]
            parts["values"].append(values.astype(dtype))
    return {kind: np.concatenate(arrays) for kind, arrays in parts.items()}


def _shuffled(
    rows: dict[str, Array], order: Array, place: Callable[[Array], Array]
) -> dict[str, Array]:
    """The rows in another order with renumbered columns, ascending in each row."""
    sizes = rows["sizes"].astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    sizes = sizes[order]
    ends = np.cumsum(sizes)
    taken = np.repeat(starts[order] - (ends - sizes), sizes) + np.arange(sizes.sum())
    ids = place(rows["indices"][taken])
    if "values" not in rows and len(sizes) and (sizes == sizes[0]).all() and (ids >= 0).all():
        # rows of one length, as hashed fields without collisions are: a third of the time
        by_row = np.sort(ids.reshape(len(sizes), -1).astype(np.int32), axis=1)
        indptr = np.append(0, ends).astype(np.int64)
        return {"indptr": indptr, "indices": by_row.ravel(), "y": rows["y"][order]}
    ids = ids.astype(np.int64)
    keys = (np.repeat(np.arange(len(sizes)), sizes) << 32) | ids
    keys = keys[ids >= 0]  # columns that another store does not have
    out: dict[str, Array] = {}
    if "values" in rows:
        values = rows["values"][taken][ids >= 0]
        by_column = np.argsort(keys, kind="stable")
        keys, out["values"] = keys[by_column], values[by_column]
    else:
        keys.sort()
    out["indptr"] = np.searchsorted(keys, np.arange(len(sizes) + 1) << 32).astype(np.int64)
    out["indices"] = (keys & 0xFFFFFFFF).astype(np.int32)
    out["y"] = rows["y"][order]
    return out
