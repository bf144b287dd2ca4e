"""MurmurHash3 of many strings at once: what `sklearn.utils.murmurhash3_32` gives for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint32]
PADDING = 8  # bytes past the last string that may be looked at
_C1, _C2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)
_TAIL = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF], dtype=np.uint32)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _rotated(x: Hashes, by: int) -> Hashes:
    return (x << np.uint32(by)) | (x >> np.uint32(32 - by))


def murmur3(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[Any], lengths: npt.NDArray[Any], seed: int
) -> Hashes:
    """Hash of each string text[start : start + length].

    Parameters
    ----------
    text : (m,) array of bytes
        With `PADDING` bytes after the last string.
    starts, lengths : (n,) integer arrays
    seed : int

    Returns
    -------
    hashes : (n,) uint32

    Source: A. Appleby, MurmurHash3_x86_32, public domain.
    """
    # the four bytes from every place on as a number, whatever its alignment
    words: npt.NDArray[Any] = np.ndarray(
        (max(0, len(text) - 3),), dtype="<u4", buffer=text.data, strides=(1,)
    )
    h = np.full(len(starts), seed, dtype=np.uint32)
    n_words = lengths >> 2
    for k in range(int(n_words.max(initial=0))):
        longer = slice(None) if (n_words > k).all() else np.flatnonzero(n_words > k)
        mixed = h[longer] ^ (_rotated(words[starts[longer] + 4 * k] * _C1, 15) * _C2)
        h[longer] = _rotated(mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    rest = words[starts + 4 * n_words] & _TAIL[lengths & 3]
    h ^= _rotated(rest * _C1, 15) * _C2
    h ^= lengths.astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def row_hash(ids: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each row of `sizes` ids that depends on its set of ids only.

    Source: the finaliser of splitmix64, G. Steele, D. Lea, C. Flood, OOPSLA 2014.
    """
    mixed = _mixed(ids.astype(np.uint64))
    ends = np.cumsum(sizes)
    totals = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    sums = totals[ends] - totals[ends - sizes]
    return (_mixed(sums) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * _M1
    x = (x ^ (x >> np.uint64(27))) * _M2
    return x ^ (x >> np.uint64(31))
