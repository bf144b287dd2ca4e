"""Npz archives written at one stroke and read with suspicion."""

from __future__ import annotations

import io
import lzma
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastsum.files import write_whole


def write_archive(path: str | os.PathLike[str], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write `arrays` to `path` as an npz archive; a crash leaves the old file or the new one."""
    write_whole(path, lambda stream: _write_members(stream, arrays))


def _write_members(stream: BinaryIO, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write what numpy.savez would, which before numpy 2.1 cannot be told not to pickle."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


class Archive:
    """An npz archive of unknown origin: arrays are read only if they are as expected.

    Parameters
    ----------
    path : str or path-like
        The file.
    max_bytes : int
        The largest array to read.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int) -> None:
        self.path = os.fspath(path)
        self._max_bytes = max_bytes
        stream = open(path, "rb")  # noqa: SIM115 - closed by __exit__
        try:
            self._zip = zipfile.ZipFile(stream)
            self.names = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            stream.close()
            raise self.error(f"not a whole model file ({error})") from None
        except BaseException:
            stream.close()
            raise
        self._stream = stream

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._zip.close()
        self._stream.close()

    def error(self, reason: str) -> ValueError:
        """Return the error that names the file."""
        return ValueError(f"{self.path}: {reason}.")

    def read(
        self,
        name: str,
        shape: Sequence[int | None],
        dtypes: Sequence[np.dtype[Any]] | None,
        *,
        max_bytes: int | None = None,
    ) -> npt.NDArray[Any]:
        """Return one array of the archive.

        Parameters
        ----------
        name : str
            Which array.
        shape : sequence of int or None
            The shape it must have; None for an axis of any length.
        dtypes : sequence of numpy dtypes, or None
            The types it may have; None for any plain type (numbers, bools, strings).
        max_bytes : int, default=None
            A limit below the archive's own.

        Raises
        ------
        ValueError
            If the array is missing, cut off, too large, or of another shape or type.
        """
        limit = self._max_bytes if max_bytes is None else max_bytes
        if dtypes is not None and None not in shape:
            exact = math.prod(axis for axis in shape if axis is not None)
            limit = min(limit, exact * max(t.itemsize for t in dtypes))
        stored, found, content = self._open(name, limit)
        if stored.hasobject or stored.kind not in "biufU":
            raise self.error(f"array {name!r} has dtype {stored}, which is not read")
        if dtypes is not None and stored not in dtypes:
            names = " or ".join(str(t) for t in dtypes)
            raise self.error(f"array {name!r} has dtype {stored}, expected {names}")
        fits = len(found) == len(shape) and all(
            want is None or have == want for have, want in zip(found, shape, strict=True)
        )
        if not fits:
            raise self.error(f"array {name!r} has shape {found}, expected {tuple(shape)}")
        if math.prod(found) * stored.itemsize != len(content):
            raise self.error(f"array {name!r} is cut off or too long")
        if stored.itemsize == 0:
            raise self.error(f"array {name!r} holds nothing")
        return np.frombuffer(content, dtype=stored).reshape(found).copy()

    def read_any(self, name: str) -> npt.NDArray[Any]:
        """One array of the archive, of any plain type and shape."""
        stored, found, content = self._open(name, self._max_bytes)
        if stored.hasobject or stored.kind not in "biufU":
            raise self.error(f"array {name!r} has dtype {stored}, which is not read")
        if math.prod(found) * stored.itemsize != len(content):
            raise self.error(f"array {name!r} is cut off or too long")
        return np.frombuffer(content, dtype=stored, count=math.prod(found)).reshape(found).copy()

    def _open(self, name: str, limit: int) -> tuple[np.dtype[Any], tuple[int, ...], memoryview]:
        """Return dtype, shape and bytes of one array; sizes are checked before inflating."""
        info = self.names.get(name)
        if info is None:
            raise self.error(f"the array {name!r} is missing")
        if info.file_size > limit + 10_000:  # what numpy allows the array's own header
            raise self.error(
                f"array {name!r} takes {info.file_size} bytes, more than the limit of {limit}"
            )
        try:
            raw = self._zip.read(info)
            stream = io.BytesIO(raw)
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                found, fortran, stored = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                found, fortran, stored = np.lib.format.read_array_header_2_0(stream)
            else:
                raise ValueError(f"unknown array format {version}")
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
            tokenize.TokenError,  # numpy's reader of headers, before it finds them invalid
            SyntaxError,
        ) as error:
            raise self.error(f"array {name!r} cannot be read ({error})") from None
        if fortran and len(found) > 1:
            raise self.error(f"array {name!r} is stored by columns, expected rows")
        return stored, found, memoryview(raw)[stream.tell() :]
