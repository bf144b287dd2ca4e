"""Who works: what is given as `client`, as a communicator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastsum.distributed._communicator import Communicator, InProcess


@contextmanager
def connected(client: Any, sources: Callable[[int], list[Any]]) -> Iterator[Communicator]:
    """A communicator over `sources` of the number of workers, closed at the end.

    An own `Communicator` is taken as it is, with the shards it has.
    """
    if isinstance(client, Communicator):
        yield client
        return
    if client is None:
        made: Communicator = InProcess(sources(1))
    elif isinstance(client, int) and not isinstance(client, bool):
        from fastsum.distributed._processes import Processes

        made = Processes(sources(client))
    elif hasattr(client, "scheduler_info") and hasattr(client, "submit"):
        from fastsum.distributed._dask import DaskWorkers, workers_of

        made = DaskWorkers(sources(len(workers_of(client))), client)
    else:
        raise TypeError(
            "client must be a dask.distributed.Client, a number of processes, a Communicator or "
            f"None, got {type(client).__name__}"
        )
    with made:
        yield made
