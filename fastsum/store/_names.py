"""Which categories the frequent columns stand for: hashes do not tell, so an ingest takes note."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.files import checksum, write_whole
from fastsum.store._fields import Text
from fastsum.store._format import StoreError, open_inside

Array = npt.NDArray[Any]
Entry = tuple[str, int, int, str]  # field, column, rows seen, category
NAMES = "names.json"
SAMPLE = 1 << 13  # rows of a block that are looked at
MOST_OF_BLOCK, MOST_OF_FIELD = 128, 1000
MOST_CHARACTERS, MOST_BYTES = 64, 1 << 26
MISSING = "(missing)"


def frequent(field: str, kind: str, numbers: str, column: Text | Array, ids: Array) -> list[Entry]:
    """The categories of a field that most of a block's first rows have.

    Parameters
    ----------
    field, kind : str
        Its name, and "category" or "number".
    numbers : str
        What becomes of numbers, as an `Encoding` has it.
    column : Text or array of shape (n,)
        What its rows hold.
    ids : (n,) array
        The columns that became of it, below 2^32.
    """
    ids = ids[:SAMPLE].astype(np.uint32)
    held, first, count = np.unique(ids, return_index=True, return_counts=True)
    top = np.argsort(-count, kind="stable")[:MOST_OF_BLOCK]
    at = first[top]
    some = column.rows(at) if isinstance(column, Text) else column[at]
    if kind == "category":
        texts = _texts(some)
    else:
        x = some.numbers()[0] if isinstance(some, Text) else some
        texts = [_of_number(value, numbers) for value in x.tolist()]
    return [(field, int(held[j]), int(count[j]), text) for j, text in zip(top, texts, strict=True)]


def _texts(some: Text | Array) -> list[str]:
    if isinstance(some, Text):
        strings = some.strings(4 * MOST_CHARACTERS).tolist()
        return [s.decode("utf-8", "replace")[:MOST_CHARACTERS] or MISSING for s in strings]
    return [MISSING if np.isnan(x) else f"{x:.15g}" for x in some.tolist()]


def _of_number(x: float, numbers: str) -> str:
    """What a column of a field of numbers stands for, from one that is in it."""
    if np.isnan(x):
        return MISSING
    return bin_name(x) if numbers == "bins" else "(its number)"


def bin_name(x: float) -> str:
    """The bin of `log_bin` that holds a number, as text."""
    a, sign = abs(x), "-" if x < 0 else ""
    if a == 0 or 1 <= a <= 2:
        return f"{sign}{int(a)}"
    square = np.floor(np.log(a) ** 2)
    inner, outer = np.exp(np.sqrt(square)), np.exp(np.sqrt(square + 1))
    low, high = (1 / outer, 1 / inner) if a < 1 else (max(2.0, inner), outer)
    return f"{sign}({low:.3g} to {high:.3g})"


def merged(blocks: Iterable[Sequence[Sequence[Any]]]) -> list[Entry]:
    """The most frequent categories of each field in all blocks, the first name of each column."""
    found: dict[tuple[str, int], tuple[int, str]] = {}
    limit = 0
    for block in blocks:
        for field, column, rows, text in block:
            before, name = found.get((field, column), (0, text))
            found[field, column] = before + rows, name
        if len(found) > limit:
            found = _most(found)
            limit = 4 * len(found)
    return [(f, c, rows, text) for (f, c), (rows, text) in _most(found, MOST_OF_FIELD).items()]


def _most(
    found: dict[tuple[str, int], tuple[int, str]], most: int = 4 * MOST_OF_FIELD
) -> dict[tuple[str, int], tuple[int, str]]:
    """The same with `most` of each field, by field and frequency."""
    out, held = {}, dict.fromkeys((field for field, _ in found), 0)
    order = {field: number for number, field in enumerate(held)}
    for key, value in sorted(found.items(), key=lambda e: (order[e[0][0]], -e[1][0], e[0][1])):
        if held[key[0]] < most:
            out[key] = value
            held[key[0]] += 1
    return out


def write_names(folder: Path, entries: Sequence[Entry]) -> int:
    """Writes the dictionary of a store; its CRC-32."""
    text = json.dumps(entries).encode()
    write_whole(folder / NAMES, lambda stream: _write(stream, text))
    return _crc(text)


def _write(stream: Any, text: bytes) -> None:
    stream.write(text)


def _crc(text: bytes) -> int:
    return checksum(np.frombuffer(text, dtype=np.uint8))


def read_names(folder: Path, crc: int) -> dict[int, list[tuple[str, str]]]:
    """Field and category by the user's column; several where they met in one.

    Raises
    ------
    StoreError
        If the file is damaged or not what it should be.
    """
    with open_inside(folder, NAMES) as stream:
        text = stream.read(MOST_BYTES + 1)
    names: dict[int, list[tuple[str, str]]] = {}
    try:
        if len(text) > MOST_BYTES or _crc(text) != crc:
            raise ValueError("it does not have its checksum")
        for field, column, rows, token in json.loads(text):
            kinds = type(field), type(column), type(rows), type(token)
            if kinds != (str, int, int, str):
                raise ValueError("an entry is not a field, a column, a count and a category")
            names.setdefault(column, []).append((field, token))
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"{folder / NAMES} cannot be read: {error}") from None
    return names
