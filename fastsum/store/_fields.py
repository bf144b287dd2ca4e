"""Text with delimiters as columns of fields, without a Python object for each."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.store._hash import PADDING

Ids = npt.NDArray[np.int64]
NEWLINE, RETURN = 10, 13
SEPARATOR = b"\x1f"  # stands for the delimiter once quotes are gone
MISSING = (b"", b"nan", b"NaN", b"NA", b"null", b"NULL", b"None")  # numbers that are none
MOST_DIGITS, MOST_LABEL = 48, 256


@dataclass(frozen=True)
class Text:
    """A column of strings: text[start : start + length] of each row."""

    text: npt.NDArray[np.uint8]
    starts: Ids
    lengths: Ids

    def rows(self, keep: npt.NDArray[Any]) -> Text:
        """The same for some of the rows."""
        return Text(self.text, self.starts[keep], self.lengths[keep])

    def strings(self, most: int) -> npt.NDArray[Any]:
        """The fields as numpy bytes, cut after `most`."""
        width = int(min(self.lengths.max(initial=0), most)) or 1
        at = np.arange(width)
        places = np.minimum(self.starts[:, None] + at, len(self.text) - 1)
        bytes_ = self.text[places]
        bytes_[at >= self.lengths[:, None]] = 0
        return np.ascontiguousarray(bytes_).view(f"S{width}")[:, 0]

    def numbers(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """The fields as numbers, NaN where missing, and which fields are no numbers."""
        strings = self.strings(MOST_DIGITS)
        missing = np.isin(strings, MISSING) if len(strings) else np.zeros(0, dtype=bool)
        strings = np.where(missing, b"nan", strings)
        bad = self.lengths > MOST_DIGITS
        try:
            values = strings.astype(np.float64)
        except ValueError:
            values = np.array([_number(s) for s in strings.tolist()])
            bad |= np.isinf(values)
            values[bad] = np.nan
        bad |= np.isinf(values) | (np.isnan(values) & ~missing)
        return values, bad


def _number(string: bytes) -> float:
    """The number, or infinity for what is none."""
    try:
        return float(string)
    except ValueError:
        return np.inf


@dataclass(frozen=True)
class Fields:
    """Rows of equally many fields, as columns; and the lines that had another number of fields."""

    columns: list[Text]
    lines: Ids  # of each row, counted from 0 in the block
    bad: Ids
    found: int  # fields of the first bad line


def split_fields(text: bytes, delimiter: bytes, n_fields: int, *, quotes: bool) -> Fields:
    """The fields of lines of text; empty lines are passed over."""
    if quotes and b'"' in text:
        text, delimiter = _without_quotes(text, delimiter), SEPARATOR
    padded = np.frombuffer(text + b"\0" * PADDING, dtype=np.uint8)
    marks = np.flatnonzero((padded == ord(delimiter)) | (padded == NEWLINE))
    ends_line = padded[marks] == NEWLINE
    last = np.flatnonzero(ends_line)  # mark that ends each line
    count = np.diff(last, prepend=-1)
    starts = np.concatenate([[0], marks[:-1] + 1])
    good = count == n_fields
    bad = np.zeros(0, dtype=np.int64)
    found = 0
    if not good.all():
        first = starts[last - count + 1]
        size = marks[last] - first
        blank = (size == 0) | ((size == 1) & (padded[first] == RETURN))
        bad = np.flatnonzero(~good & ~blank)
        found = int(count[bad[0]]) if len(bad) else 0
        keep = np.repeat(good, count)
        starts, marks = starts[keep], marks[keep]
    starts, ends = starts.reshape(-1, n_fields), marks.reshape(-1, n_fields)
    lengths = ends - starts
    returns = (lengths[:, -1] > 0) & (padded[ends[:, -1] - 1] == RETURN)
    lengths[returns, -1] -= 1
    columns = [
        Text(padded, np.ascontiguousarray(starts[:, f]), np.ascontiguousarray(lengths[:, f]))
        for f in range(n_fields)
    ]
    return Fields(columns, np.flatnonzero(good), bad, found)


def split_line(line: bytes, delimiter: bytes, *, quotes: bool) -> list[str]:
    """The fields of one line as strings."""
    text = line.decode("utf-8", errors="replace").rstrip("\r\n")
    if not quotes:
        return text.split(delimiter.decode())
    return next(csv.reader([text], delimiter=delimiter.decode()), [""])


def _without_quotes(text: bytes, delimiter: bytes) -> bytes:
    """The same lines with other delimiters and no quotes."""
    mark, lines = SEPARATOR.decode(), []
    for line in text.decode("utf-8", errors="surrogateescape").split("\n")[:-1]:
        row = next(csv.reader([line.rstrip("\r")], delimiter=delimiter.decode()), [])
        lines.append(mark.join(" ".join(field.split(mark)).replace("\n", " ") for field in row))
    return "\n".join([*lines, ""]).encode("utf-8", errors="surrogateescape")
