"""How a driver and its workers talk: broadcast, allreduce, gather.

A round is one message to every worker and one back. What is broadcast waits for the next allreduce
or gather and travels with it. A worker gets, and sends, only the columns that its rows touch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastsum.data import CACHED_COLUMNS
from fastsum.distributed._shard import Message, Reply, Shard, Source

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
MOST = 0.9  # share of the columns from which few are as well as all


class WorkerLost(RuntimeError):
    """A worker is gone, with its rows; `Communicator.replace` makes them again elsewhere."""


class Communicator(ABC):
    """The driver's end of a group of shards.

    Attributes
    ----------
    n_shards : int
    rounds : int
        Messages to all workers and back, so far.
    sent, received : int
        Bytes of arrays in these messages, all workers together.
    columns : (d',) array of int64 or None
        The columns that any worker touches, the most frequent first: the driver has no others. None
        is all of them.
    present : (d',) array
        The share of the weight of all rows that is on workers with this column.
    """

    def __init__(self, sources: Sequence[Source]):
        self.sources = list(sources)
        self.n_shards = len(self.sources)
        self.rounds, self.sent, self.received = 0, 0, 0
        self.columns: Ids | None = None
        self.present: FloatArray = np.zeros(0)
        self._columns: dict[str, Array] = {}
        self._values: dict[str, Any] = {}
        self._ids: list[Ids | None] = [None] * self.n_shards
        self._n_cols = 0
        self._preparation: Message = {}

    # ---- the three methods

    def broadcast(self, columns: dict[str, Array] | None = None, **values: Any) -> None:
        """Sends arrays to all workers with the next call.

        columns: arrays (d, ...) or, with a last row for the intercept, (d + 1, ...), of which each
        worker gets the rows of its columns.
        """
        self._columns |= columns or {}
        self._values |= values

    def allreduce(self, operation: str) -> tuple[Array, FloatArray | None]:
        """The sum over all workers of what `operation` gives: numbers, and columns (d, m)."""
        numbers: Array | None = None
        total: FloatArray | None = None
        for ids, reply in zip(self._ids, self._call(operation), strict=True):
            mine, columns = reply
            numbers = np.array(mine) if numbers is None else numbers + mine
            if columns is None:
                continue
            if total is None:  # one column after the other: the driver adds while workers wait
                total = np.zeros((columns.shape[1], self._n_cols))
            for whole, column in zip(total, columns.T, strict=True):
                if ids is None or len(ids) == self._n_cols:
                    whole += column
                else:  # every id is there once, in ascending order
                    whole[ids] += column
        assert numbers is not None
        return numbers, None if total is None else np.ascontiguousarray(total.T)

    def gather(self, operation: str) -> list[Any]:
        """What `operation` gives on each worker."""
        return self._call(operation)

    # ---- the life of the shards

    def prepare(self, message: Message, told: Sequence[Message]) -> list[Any]:
        """Makes the problem on every worker, on the columns that it told it has."""
        held, counts = [reply["ids"] for reply in told], [reply["counts"] for reply in told]
        self.columns, self._ids = in_use(held, counts, told[0]["n_cols"])
        self._n_cols = told[0]["n_cols"] if self.columns is None else len(self.columns)
        self.present = np.zeros(self._n_cols)
        for ids, reply in zip(self._ids, told, strict=True):
            share = reply["weight"] / message["total_weight"]
            self.present[slice(None) if ids is None else ids] += share
        self._preparation = message
        messages = [self._told(number) for number in range(self.n_shards)]
        replies = self._exchange("prepare", messages)
        self._count(messages, replies)
        return replies

    def replace(self) -> list[int]:
        """Makes lost shards again on workers that live; their numbers."""
        lost = self._lost()
        for number in lost:
            self._revive(number)
            if self._preparation:
                self._one(number, "prepare", self._told(number))
        self._columns, self._values = {}, {}
        return lost

    def close(self) -> None:  # noqa: B027 (most have nothing to end)
        """Lets the workers forget their shards."""

    def __enter__(self) -> Communicator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- what a way to talk must know

    @abstractmethod
    def _exchange(self, operation: str, messages: Sequence[Message]) -> list[Any]:
        """One message to each shard, all at once, and what came back; or `WorkerLost`."""

    @abstractmethod
    def _lost(self) -> list[int]:
        """The shards whose worker is gone."""

    @abstractmethod
    def _revive(self, number: int) -> None:
        """Makes the shard `number` again."""

    @abstractmethod
    def _one(self, number: int, operation: str, message: Message) -> Any:
        """A message to one shard."""

    # ----

    def _told(self, number: int) -> Message:
        ids = self._ids[number]
        ids = None if ids is None or self.columns is None else self.columns[ids]
        return {**self._preparation, "number": number, "ids": ids}

    def _call(self, operation: str) -> list[Any]:
        messages = []
        for ids in self._ids:
            message = dict(self._values)
            for name, array in self._columns.items():
                if ids is not None and len(ids) < self._n_cols:
                    rows = np.append(ids, self._n_cols) if len(array) > self._n_cols else ids
                    array = np.take(array, rows, axis=0)
                message[name] = array
            messages.append(message)
        self._columns, self._values = {}, {}
        replies = self._exchange(operation, messages)
        self._count(messages, replies)
        return replies

    def _count(self, messages: Sequence[Message], replies: Sequence[Any]) -> None:
        self.rounds += 1
        self.sent += sum(_size(value) for message in messages for value in message.values())
        self.received += sum(_size(reply) for reply in replies)


class InProcess(Communicator):
    """All shards in this process, one after the other: for tests, and to count rounds and bytes.

    Parameters
    ----------
    sources : sequence of Source
    """

    def __init__(self, sources: Sequence[Source]):
        super().__init__(sources)
        self.shards: list[Shard | None] = [Shard(source) for source in self.sources]

    def _exchange(self, operation: str, messages: Sequence[Message]) -> list[Reply]:
        return [self._one(k, operation, message) for k, message in enumerate(messages)]

    def _one(self, number: int, operation: str, message: Message) -> Any:
        shard = self.shards[number]
        if shard is None:
            raise WorkerLost(f"shard {number} is gone")
        return shard.call(operation, message)

    def _lost(self) -> list[int]:
        return [k for k, shard in enumerate(self.shards) if shard is None]

    def _revive(self, number: int) -> None:
        self.shards[number] = Shard(self.sources[number])


def in_use(
    held: Sequence[Ids | None], counts: Sequence[Array | None], n_cols: int
) -> tuple[Ids | None, list[Ids | None]]:
    """The columns that workers hold, the most frequent first, and where those of each are there.

    None for all columns as they are: of dense rows, or where they are few and most are held.
    """
    known = [ids for ids in held if ids is not None]
    few = n_cols <= CACHED_COLUMNS and all(len(ids) > MOST * n_cols for ids in known)
    if len(known) < len(held) or few:
        return None, [None] * len(held)
    columns = known[0]
    for ids in known[1:]:
        columns = np.union1d(columns, ids)
    at = [np.searchsorted(columns, ids) for ids in known]
    times = np.zeros(len(columns))
    for mine, count in zip(at, counts, strict=True):
        times[mine] += count  # type: ignore[arg-type]
    order = np.argsort(-times, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return columns[order], [np.sort(place[mine]) for mine in at]


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, tuple | list):
        return sum(_size(part) for part in value)
    return 8
