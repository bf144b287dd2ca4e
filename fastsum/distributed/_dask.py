"""Workers of a Dask cluster: an actor on each holds a shard."""

from __future__ import annotations

import asyncio
import ctypes
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fastsum.distributed._communicator import Communicator, WorkerLost
from fastsum.distributed._shard import Message, Shard, Source

LOOK_EVERY = 1.0  # seconds between two looks at who lives, while answers are awaited
ANSWER_WITHIN = 5.0  # seconds: workers behind a gateway cannot be reached from here
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT, MOST_KEPT = 1 << 28, 1 << 25  # bytes: at the heap's end, and in one array
PATIENCE = 60.0  # seconds that a cluster may take to have a worker again


def workers_of(client: Any) -> list[str]:
    """The addresses of a cluster's workers.

    Raises
    ------
    ValueError
        If it has none.
    """
    found = _living(client)
    if not found:
        raise ValueError(
            "the cluster has no workers: start some (cluster.scale) and wait for them "
            "(client.wait_for_workers)"
        )
    return found


def _living(client: Any) -> list[str]:
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


class ShardOfWorker(Shard):
    """A shard in a process of Dask's, which keeps the memory that its arrays give back."""

    def __init__(self, source: Source):
        keep_freed_memory()
        super().__init__(source)


def keep_freed_memory() -> None:
    """Lets malloc use freed memory again, which Dask tells it to return to the system at once.

    Then every temporary array of megabytes is made of new pages: a fit takes 1.3 times as long.
    """
    with suppress(OSError, AttributeError):  # of glibc
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_MMAP_THRESHOLD, MOST_KEPT)


def reachable(client: Any, addresses: Sequence[str]) -> bool:
    """Whether all workers answer without the scheduler between."""

    async def answers() -> bool:
        asked = [client.rpc(address).identity() for address in addresses]
        try:
            await asyncio.wait_for(asyncio.gather(*asked), ANSWER_WITHIN)
        except (OSError, TimeoutError):
            return False
        return True

    return bool(client.sync(answers))


class DaskWorkers(Communicator):
    """An actor for each shard, on the workers of a cluster in turn.

    Messages go from the driver to the actors; tasks that run beside them are not disturbed.

    Parameters
    ----------
    sources : sequence of Source or dask Delayed
        Data are sent to the workers once; a store is read by them; what dask holds stays there.
    client : dask.distributed.Client
    """

    def __init__(self, sources: Sequence[Any], client: Any):
        super().__init__(sources)
        self._client = client
        living = workers_of(client)
        self._homes = [living[number % len(living)] for number in range(self.n_shards)]
        # What the scheduler passes on is copied twice more on the way, each way.
        self._direct_before = client.direct_to_workers
        if client.direct_to_workers is None:
            client.direct_to_workers = reachable(client, self._homes)
        self._actors: list[Any] = [None] * self.n_shards
        making = [self._making(number) for number in range(self.n_shards)]
        try:
            for number, actor in enumerate(making):
                self._actors[number] = actor.result()
        except ModuleNotFoundError as error:
            self.close()
            raise ValueError(
                f"a worker cannot import {error.name}: install fastsum on all workers"
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the actors."""
        self._actors = []
        self._client.direct_to_workers = self._direct_before

    def _making(self, number: int) -> Any:
        """A future of the actor."""
        client, home, source = self._client, self._homes[number], self.sources[number]
        if not isinstance(source, Source):  # dask makes it, again if need be
            source = client.compute(source, workers=[home], allow_other_workers=True)
        elif source.blocks is None:
            source = client.scatter(source, workers=[home], hash=False)
        return client.submit(ShardOfWorker, source, actor=True, workers=[home], pure=False)

    def _exchange(self, operation: str, messages: Sequence[Message]) -> list[Any]:
        asked = [self._asked(k, operation, message) for k, message in enumerate(messages)]
        # all answers are awaited, so that none is at work on the next question
        answers = [self._awaited(number, future) for number, future in enumerate(asked)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _one(self, number: int, operation: str, message: Message) -> Any:
        return self._awaited(number, self._asked(number, operation, message), raises=True)

    def _asked(self, number: int, operation: str, message: Message) -> Any:
        try:
            return self._actors[number].call(operation, message)
        except RuntimeError:  # the worker of the actor was lost
            return None

    def _awaited(self, number: int, future: Any, *, raises: bool = False) -> Any:
        """The answer, or the exception in its place."""
        answer: Any = None
        try:
            answer = self._result(number, future)
        except Exception as error:
            if raises:
                raise
            answer = error
        return answer

    def _result(self, number: int, future: Any) -> Any:
        lost = WorkerLost(f"the worker {self._homes[number]} of shard {number} was lost")
        while future is not None:
            try:
                return future.result(timeout=LOOK_EVERY)
            except TimeoutError:
                if self._homes[number] not in _living(self._client):
                    break
            except OSError:
                break
            except RuntimeError as error:
                if "Actor was lost" not in str(error):
                    raise
                break
        raise lost

    def _lost(self) -> list[int]:
        living = _living(self._client)
        return [number for number, home in enumerate(self._homes) if home not in living]

    def _revive(self, number: int) -> None:
        end = time.monotonic() + PATIENCE
        while not (living := _living(self._client)):
            if time.monotonic() > end:
                raise ValueError("the cluster has lost its last worker: start some and fit again")
            time.sleep(0.1)
        self._homes[number] = min(living, key=self._homes.count)
        self._actors[number] = self._making(number).result()
