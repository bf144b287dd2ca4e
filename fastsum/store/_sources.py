"""Files to make a store from: which they are, of what kind, and their text in blocks of lines."""

from __future__ import annotations

import bz2
import glob
import gzip
import importlib
import lzma
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

BLOCK_BYTES = 1 << 25
MOST_LINE = 1 << 28
SWELL = {".gz": 5, ".bz2": 7, ".xz": 8, ".zst": 6}  # about how much a text grows
FORMATS = ("svmlight", "criteo", "csv", "tsv", "parquet")
_BY_NAME = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
}
_BROKEN = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)


@dataclass(frozen=True)
class Source:
    """One file: where it is, its size, when it was last changed and how it is to be read."""

    path: str
    size: int
    changed: int
    format: str
    part: str = ""  # "" is by hash of the row

    @property
    def text_bytes(self) -> int:
        """About the size of its text."""
        swell = 4 if self.format == "parquet" else SWELL.get(Path(self.path).suffix, 1)
        return self.size * swell


@dataclass(frozen=True)
class TextBlock:
    """Whole lines of a file; `number` counts blocks, `line` is that of the first, from 1."""

    number: int
    line: int
    text: bytes


def find_sources(
    patterns: Sequence[str | os.PathLike[str]], form: str | None, part: str = ""
) -> list[Source]:
    """The files of names and globs, in order of name.

    Raises
    ------
    ValueError
        If a pattern matches nothing, or what a file holds cannot be told from its name.
    """
    paths: list[str] = []
    for pattern in [os.fspath(p) for p in patterns]:
        found = [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise ValueError(f"{pattern}: no such file")
        paths += found
    sources = []
    for path in dict.fromkeys(paths):
        if os.path.isdir(path):
            raise ValueError(f"{path} is a folder: name its files, for example '{path}/*.tsv.gz'")
        seen = os.stat(path)
        kind = form or _format_of(path)
        sources.append(Source(path, seen.st_size, seen.st_mtime_ns, kind, part))
    return sources


def text_size(patterns: Sequence[str | os.PathLike[str]]) -> int:
    """About the bytes of text in files and globs, whatever they hold."""
    return sum(source.text_bytes for source in find_sources(patterns, "csv"))


def _format_of(path: str) -> str:
    stem, suffix = Path(path), Path(path).suffix
    suffix = Path(stem.stem).suffix if suffix in SWELL else suffix
    if suffix not in _BY_NAME:
        raise ValueError(
            f"{path}: its name does not tell what it holds; say so with --format, one of "
            f"{list(FORMATS)}"
        )
    return _BY_NAME[suffix]


def open_text(path: str) -> IO[bytes]:
    """A file through the decompressor that its name asks for."""
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    openers[".zst"] = _open_zst
    stream: IO[bytes] = openers.get(Path(path).suffix, open)(path, "rb")
    return stream


def _open_zst(path: str, mode: str) -> Any:
    for name in ("compression.zstd", "zstandard"):
        try:
            return importlib.import_module(name).open(path, mode)
        except ImportError:
            continue
    return arrow_for(path).input_stream(path, compression="zstd")


def arrow_for(path: str, module: str = "pyarrow") -> Any:
    """A module of pyarrow, or an error that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{path}: this kind of file needs pyarrow, which cannot be used here ({error}): "
            "pip install 'fastsum[store]'"
        ) from None


def text_blocks(path: str, block_bytes: int = BLOCK_BYTES) -> Iterator[TextBlock]:
    """The lines of a text file in blocks of about `block_bytes`.

    Raises
    ------
    ValueError
        If a compressed file is cut off or damaged, or a line is longer than `MOST_LINE` bytes.
    """
    number, line, rest = 0, 1, b""
    try:
        with open_text(path) as stream:
            while chunk := stream.read(block_bytes):
                text = rest + chunk
                end = text.rfind(b"\n") + 1
                if not end and len(text) > MOST_LINE:
                    raise ValueError(f"{path}, line {line}: it is longer than {MOST_LINE} bytes")
                text, rest = text[:end], text[end:]
                if text:
                    yield TextBlock(number, line, text)
                    number, line = number + 1, line + text.count(b"\n")
    except _BROKEN as error:
        raise _broken(path, error) from None
    except OSError as error:
        if error.errno is not None:  # missing, not permitted: it says so itself
            raise
        raise _broken(path, error) from None
    if rest:
        yield TextBlock(number, line, rest + b"\n")


def _broken(path: str, error: Exception) -> ValueError:
    return ValueError(
        f"{path}: not a whole {Path(path).suffix} file ({error}): fetch or write it again"
    )
