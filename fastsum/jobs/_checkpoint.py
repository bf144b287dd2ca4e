"""Checkpoints: the memory of a fit in an archive without pickle; the one before is kept."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastsum.files import checksum, sync_folder

from ._archive import Archive, write_archive

NOW, BEFORE = "checkpoint.npz", "checkpoint.before.npz"
_SUM = "checksum"
MAX_BYTES = 1 << 42

Memory = dict[str, Any]


def write_checkpoint(folder: Path, memory: Mapping[str, Any]) -> None:
    """Writes a checkpoint whole and keeps the last one; a full disk leaves both as they were."""
    arrays = {name: np.ascontiguousarray(value) for name, value in memory.items()}
    arrays = {k: v if np.ndim(memory[k]) else v.reshape(()) for k, v in arrays.items()}
    arrays[_SUM] = np.array(_sum_of(arrays))
    fresh = folder / "checkpoint.new.npz"
    write_archive(fresh, arrays)
    if (folder / NOW).exists():
        os.replace(folder / NOW, folder / BEFORE)
    os.replace(fresh, folder / NOW)
    sync_folder(folder)


def read_checkpoint(folder: Path) -> tuple[Memory | None, list[str]]:
    """The last good checkpoint, None if there is none, and what is wrong with those that are not.

    Between two renames, and only then, the last one is the one before.
    """
    faults: list[str] = []
    for name in (NOW, BEFORE):
        if (folder / name).exists():
            try:
                return _read(folder / name), faults
            except (ValueError, OSError) as error:
                faults.append(str(error))
    return None, faults


def _read(path: Path) -> Memory:
    with Archive(path, max_bytes=MAX_BYTES) as archive:
        arrays = {name: archive.read_any(name) for name in archive.names}
        wanted = arrays.pop(_SUM, None)
        if wanted is None or wanted.ndim or int(wanted) != _sum_of(arrays):
            raise archive.error("it does not have its checksum: it was changed or damaged")
    return {name: a.item() if a.ndim == 0 else a for name, a in arrays.items()}


def _sum_of(arrays: Mapping[str, Any]) -> int:
    """CRC-32 of names, types, shapes and contents."""
    crc = 0
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(repr((name, array.dtype.str, array.shape)).encode(), crc)
        crc = checksum(np.atleast_1d(array), crc)
    return crc
