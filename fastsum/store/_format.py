"""What a store looks like on the disk, and how it is read with suspicion.

    manifest.json           what the store holds, and a checksum of everything else
    columns.npy             (d',) int64, the user's column of each stored column, by frequency
    names.json              [field, the user's column, rows seen, category] of frequent columns, or
                            no such file
    train-00000.indptr.npy  (n + 1,) int64 of shard 0 of the part "train"
    train-00000.indices.npy (nnz,) int32, ascending in a row
    train-00000.values.npy  (nnz,) of the store's dtype; absent where all values are 1
    train-00000.y.npy       (n,) label codes (uint8 or int32), or float64 targets

No path is ever read from a manifest: names are made from a part's name and a shard's number.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import stat
import tokenize
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastsum.data import MAX_COLUMNS
from fastsum.files import checksum, write_whole

FORMAT, VERSION = "fastsum-store", 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 26
MOST = 1 << 48  # of anything that is counted: no product of two sizes in bytes overflows
PARTS = ("train", "test")
DTYPES = ("float32", "float64")
LABEL_DTYPES = ("uint8", "int32", "float64")
# of each file of a shard: its dtype ("" is the store's own)
FILES = {"indptr": "int64", "indices": "int32", "values": "", "y": ""}

Shard = dict[str, Any]


class StoreError(ValueError):
    """A store that is broken, cut off, or not what its manifest says."""


def file_name(part: str, number: int, kind: str) -> str:
    """The name of one file of a shard."""
    return f"{part}-{number:05d}.{kind}.npy"


def kinds_of(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of a shard: values only where not all are 1."""
    return tuple(k for k in FILES if k != "values" or manifest["storage"] == "csr")


def dtype_of(manifest: Mapping[str, Any], kind: str) -> np.dtype[Any]:
    """dtype of one kind of file."""
    own = {"values": manifest["dtype"], "y": manifest["labels"]["dtype"]}
    return np.dtype(own.get(kind) or FILES[kind])


# ---- writing


def write_array(path: Path, array: npt.NDArray[Any]) -> int:
    """Writes an npy file whole; its CRC-32."""
    write_whole(path, lambda f: np.lib.format.write_array(f, array, allow_pickle=False))
    return checksum(array)


def seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest but for its own checksum."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest, which makes a folder of arrays a store."""
    whole = {**manifest, "checksum": seal(manifest)}
    text = json.dumps(whole, indent=1, sort_keys=True).encode()
    write_whole(folder / MANIFEST, lambda stream: _write(stream, text))


def _write(stream: BinaryIO, text: bytes) -> None:
    stream.write(text)


# ---- reading


def open_inside(folder: Path, name: str) -> BinaryIO:
    """Opens a plain file of a folder; links, which may lead out of it, are refused."""
    if not re.fullmatch(r"[a-z0-9.-]+", name) or name.startswith("."):
        raise StoreError(f"{folder}: {name!r} is no name of a store's file")
    path = folder / name
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise StoreError(f"{path} is missing: the store is not whole, make it again") from None
    except OSError as error:
        if path.is_symlink():
            raise StoreError(f"{path} is a link: a store holds plain files only") from None
        raise StoreError(f"{path} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"{path} is no plain file: a store holds plain files only")
    return os.fdopen(descriptor, "rb")


class MappedArray:
    """One array of a store, mapped into memory.

    Attributes
    ----------
    array : read-only array
    """

    def __init__(self, folder: Path, name: str, shape: Sequence[int], dtype: np.dtype[Any]):
        where = folder / name
        with open_inside(folder, name) as stream:
            found, found_dtype = _header(stream, where)
            if found != tuple(shape) or found_dtype != dtype:
                raise StoreError(
                    f"{where} holds {found_dtype} of shape {found}; the manifest says {dtype} of "
                    f"shape {tuple(shape)}"
                )
            begin, size = stream.tell(), os.fstat(stream.fileno()).st_size
            count = int(np.prod(shape, dtype=object))
            if size != begin + count * dtype.itemsize:
                raise StoreError(f"{where} is cut off or too long ({size} bytes): make it again")
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self.array: npt.NDArray[Any] = np.frombuffer(
            self._map, dtype=dtype, count=count, offset=begin
        ).reshape(shape)

    def ahead(self) -> None:
        """Lets the system read the array before it is asked for."""
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_WILLNEED)


def _header(stream: BinaryIO, where: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of an npy file; numpy reads no more than 10,000 bytes of a header."""
    try:
        version = np.lib.format.read_magic(stream)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, fortran, dtype = readers[version](stream)
    except (ValueError, KeyError, SyntaxError, TypeError, EOFError, tokenize.TokenError) as error:
        raise StoreError(f"{where} is no npy file ({error})") from None
    if dtype.hasobject or (fortran and len(shape) > 1):
        raise StoreError(f"{where} holds {dtype}, stored in a way that is not read")
    return shape, dtype


def read_manifest(folder: Path) -> dict[str, Any]:
    """The checked manifest of a store.

    Raises
    ------
    StoreError
        If the folder is no store, or its manifest is broken or of another version.
    """
    where = folder / MANIFEST
    if not folder.is_dir() or not (where.exists() or where.is_symlink()):
        raise StoreError(
            f"{folder} is no store (it has no {MANIFEST}): make one with 'fastsum ingest SOURCE... "
            "--out STORE'"
        )
    with open_inside(folder, MANIFEST) as stream:
        text = stream.read(MAX_MANIFEST_BYTES + 1)
    try:
        if len(text) > MAX_MANIFEST_BYTES:
            raise ValueError("it is too long")
        manifest = json.loads(text)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise ValueError(f"it is no manifest of a {FORMAT}")
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where} cannot be read: {error}") from None
    if manifest.get("version") != VERSION:
        raise StoreError(
            f"{where} is of version {manifest.get('version')!r}; this fastsum reads {VERSION}"
        )
    if manifest.get("checksum") != seal(manifest):
        raise StoreError(f"{where} does not have its own checksum: it was changed or damaged")
    if fault := _fault(manifest):
        raise StoreError(f"{where}: {fault}")
    return manifest


def _fault(m: Mapping[str, Any]) -> str:
    """What is wrong with the contents of a manifest, or an empty string."""
    if m.get("dtype") not in DTYPES or m.get("storage") not in ("ones", "csr"):
        return f"dtype {m.get('dtype')!r} or storage {m.get('storage')!r} is unknown"
    if not _count(m.get("n_features")) or not _count(m.get("n_columns"), MAX_COLUMNS):
        return "n_features or n_columns is no count, or too large"
    labels, shards = m.get("labels"), m.get("shards")
    if not isinstance(labels, dict) or labels.get("dtype") not in LABEL_DTYPES:
        return "labels are not described"
    classes = labels.get("classes")
    plain = isinstance(classes, list) and all(isinstance(c, str | int | float) for c in classes)
    if classes is not None if labels["dtype"] == "float64" else not plain:
        return "the classes of the labels are no list of numbers or names"
    if not isinstance(shards, list) or not isinstance(m.get("columns_crc"), int):
        return "shards or columns are not described"
    if not isinstance(m.get("names_crc"), int | None):
        return "names_crc is no checksum"
    seen = dict.fromkeys(PARTS, 0)
    for shard in shards:
        counts = isinstance(shard, dict) and shard.get("part") in PARTS
        if not (counts and _count(shard.get("n_rows")) and _count(shard.get("n_stored"))):
            return "a shard is not described by part, n_rows and n_stored"
        crc = shard.get("crc")
        if not isinstance(crc, dict) or set(crc) != set(kinds_of(m)):
            return "a shard lacks the checksum of one of its files"
        if shard.get("number") != seen[shard["part"]]:
            return "shards are not numbered in order"
        seen[shard["part"]] += 1
    return ""


def _count(value: object, most: int = MOST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
