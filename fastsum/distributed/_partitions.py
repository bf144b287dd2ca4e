"""What is given as X, as sources of shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastsum.distributed._shard import Source
from fastsum.store import Dataset


def partitions(X: Any, y: Any, sample_weight: Any, n_workers: int) -> list[Any]:
    """A source, or something that becomes one, for each shard.

    Raises
    ------
    TypeError, ValueError
        If X is nothing that has partitions, or they do not belong together.
    """
    if isinstance(X, Dataset):
        if y is not None or sample_weight is not None:
            raise ValueError("a Dataset has its own labels, and rows without weights: leave out y")
        return _of_store(X, n_workers)
    if of_dask(X):
        from fastsum.distributed._dask_data import partitions_of_dask

        return partitions_of_dask(X, y, sample_weight, n_workers)
    if not isinstance(X, Sequence) or isinstance(X, str):
        raise TypeError(
            "X must be a fastsum.store.Dataset, a list of (X, y) or (X, y, sample_weight), one a "
            f"partition, or a dask Array or DataFrame, got {type(X).__name__}"
        )
    if y is not None or sample_weight is not None:
        raise ValueError("y and sample_weight belong into each partition, (X, y, sample_weight)")
    if not X:
        raise ValueError("X is an empty list; give at least one partition (X, y)")
    out = []
    for number, part in enumerate(X):
        if isinstance(part, Source):
            out.append(part)
            continue
        if not isinstance(part, tuple | list) or len(part) not in (2, 3):
            raise ValueError(
                f"partition {number} must be (X, y) or (X, y, sample_weight), got "
                f"{type(part).__name__}"
            )
        out.append(Source(*part))
    return out


def of_dask(X: Any) -> bool:
    """Whether X is one of dask's collections."""
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def _of_store(data: Dataset, n_workers: int) -> list[Source]:
    """The blocks of a store dealt to the workers, the largest first to who has least."""
    n_blocks = len(data)
    if n_blocks < n_workers:
        raise ValueError(
            f"the store has {n_blocks} block(s) for {n_workers} workers: use as many workers, or "
            "make it again with a smaller shard_bytes (fastsum.store.ingest)"
        )
    load, dealt = np.zeros(n_workers), [[] for _ in range(n_workers)]  # type: ignore[var-annotated]
    sizes = [int(shard["n_stored"]) + int(shard["n_rows"]) for shard in data.shards]
    for number in np.argsort(sizes)[::-1].tolist():
        least = int(np.argmin(load))
        load[least] += sizes[number]
        dealt[least].append(number)
    path = data.path.resolve()
    return [Source(path, part=data.part, blocks=tuple(sorted(part))) for part in dealt]
