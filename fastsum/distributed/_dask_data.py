"""Blocks of rows that dask holds, as sources of shards."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fastsum.distributed._shard import Source


def partitions_of_dask(X: Any, y: Any, sample_weight: Any, n_workers: int) -> list[Any]:
    """A delayed Source for each worker, of blocks of rows beside one another.

    Raises
    ------
    ValueError
        If the blocks of X, y and sample_weight do not belong together, or have parts of the
        columns.
    """
    from dask.delayed import delayed

    if y is None:
        raise ValueError("y is None; X from dask needs the label of each row, in the same blocks")
    blocks = {"X": _rows_of(X)}
    for name, values in (("y", y), ("sample_weight", sample_weight)):
        if values is None:
            continue
        if not hasattr(values, "to_delayed"):
            raise TypeError(
                f"{name} must be a dask Array or Series in the blocks of X, got "
                f"{type(values).__name__}"
            )
        blocks[name] = _rows_of(values)
        sizes = _sizes(X), _sizes(values)
        same = len(blocks[name]) == len(blocks["X"])
        if not same or (sizes[0] is not None and sizes[1] is not None and sizes[0] != sizes[1]):
            raise ValueError(
                f"{name} has {len(blocks[name])} blocks of rows of sizes {sizes[1]}, X has "
                f"{len(blocks['X'])} of {sizes[0]}: rechunk {name} like X"
            )
    n_blocks = len(blocks["X"])
    ends = np.linspace(0, n_blocks, min(n_workers, n_blocks) + 1).astype(int)
    join = delayed(joined)
    return [
        join(*(blocks[name][a:b] if name in blocks else None for name in ARGUMENTS))
        for a, b in pairwise(ends)
    ]


ARGUMENTS = ("X", "y", "sample_weight")


def joined(X: list[Any], y: list[Any], sample_weight: list[Any] | None) -> Source:
    """The blocks of one worker as one."""
    import pandas as pd
    import scipy.sparse as sp

    def together(parts: list[Any] | None) -> Any:
        if parts is None:
            return None
        if sp.issparse(parts[0]):
            return sp.vstack(parts, format="csr")
        plain = [p.to_numpy() if isinstance(p, pd.DataFrame | pd.Series) else p for p in parts]
        return np.concatenate(plain)

    labels = together(y)
    return Source(together(X), labels.reshape(len(labels)), together(sample_weight))


def _rows_of(collection: Any) -> list[Any]:
    """The delayed blocks of rows."""
    delayed = np.asarray(collection.to_delayed(), dtype=object)
    if delayed.ndim == 2 and delayed.shape[1] != 1:
        raise ValueError(
            f"X has {delayed.shape[1]} blocks of columns; each block must hold all of them: "
            "X.rechunk({1: -1})"
        )
    return list(delayed.ravel())


def _sizes(collection: Any) -> tuple[Any, ...] | None:
    """Rows of each block, if they are known."""
    chunks = getattr(collection, "chunks", None)
    if chunks is None or np.isnan(np.asarray(chunks[0], dtype=float)).any():
        return None
    return tuple(chunks[0])
