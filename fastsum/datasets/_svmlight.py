"""Find the first malformed line of an svmlight text, and say what is wrong with it.

Parsing is scikit-learn's; its errors name neither the line nor the token, so a text that did
not parse is read a second time here, slowly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Fault(NamedTuple):
    """A malformed line: its number, counted from 1, and the reason without a full stop."""

    line: int
    reason: str


def first_fault(lines: Iterable[bytes], *, zero_based: bool) -> Fault | None:
    """Return the first line that is not ``label index:value ...``, or None if all are.

    Parameters
    ----------
    lines : iterable of bytes
        The lines of the text.
    zero_based : bool
        Whether 0 is a valid index.
    """
    for number, line in enumerate(lines, start=1):
        reason = _fault_of(line.partition(b"#")[0], zero_based)
        if reason is not None:
            return Fault(number, reason)
    return None


def _fault_of(line: bytes, zero_based: bool) -> str | None:
    """Return what is wrong with one line, or None."""
    tokens = line.split()
    if not tokens:
        return None
    label, pairs = tokens[0], tokens[1:]
    if b"," in label:
        return (
            f"the label {_show(label)} is not one number (several labels per sample and "
            "comma-separated files are not read; expected 'label index:value index:value ...')"
        )
    value = _number(label)
    if value is None:
        return (
            f"the label {_show(label)} is not a number (expected 'label index:value "
            "index:value ...'; for names as labels use an .npz file)"
        )
    if not math.isfinite(value):
        return f"the label {_show(label)} is not finite"
    if pairs and pairs[0].startswith(b"qid:"):
        pairs = pairs[1:]
    return _fault_of_pairs(pairs, zero_based)


def _fault_of_pairs(pairs: list[bytes], zero_based: bool) -> str | None:
    """Return what is wrong with the ``index:value`` tokens of one line, or None."""
    previous = -1
    for pair in pairs:
        left, colon, right = pair.partition(b":")
        if not colon:
            return f"{_show(pair)} is not an index:value pair"
        index = _integer(left)
        if index is None:
            return f"the index of {_show(pair)} is not an integer"
        if index < 0:
            return f"the index of {_show(pair)} is negative"
        if index == 0 and not zero_based:
            return (
                "index 0 found, but indices start at 1 in this format (if this file counts "
                "from 0, say so: zero_based=True, or --zero-based on the command line)"
            )
        if index > 2**62:
            return f"the index of {_show(pair)} is too large"
        if index == previous:
            return f"index {index} occurs twice"
        if index < previous:
            return f"index {index} comes after {previous}: indices must increase within a line"
        previous = index
        value = _number(right)
        if value is None:
            return f"the value of {_show(pair)} is not a number"
        if not math.isfinite(value):
            return f"the value of {_show(pair)} is not finite: drop or fill such values"
    return None


def _number(token: bytes) -> float | None:
    try:
        return float(token)
    except ValueError:
        return None


def _integer(token: bytes) -> int | None:
    try:
        return int(token)
    except ValueError:
        return None


def _show(token: bytes, width: int = 40) -> str:
    """Return `token` for a message: quoted, printable, not too long."""
    text = token[:width].decode("utf-8", errors="backslashreplace")
    return repr(text + ("..." if len(token) > width else ""))
