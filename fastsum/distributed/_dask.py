"""Workers of a Dask cluster: an actor on each holds a shard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fastsum.distributed._communicator import Communicator, WorkerLost
from fastsum.distributed._shard import Message, Shard, Source

LOOK_EVERY = 1.0  # seconds between two looks at who lives, while answers are awaited
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
        self._actors: list[Any] = [None] * self.n_shards
        making = [self._making(number) for number in range(self.n_shards)]
        try:
            for number, actor in enumerate(making):
                self._actors[number] = actor.result()
        except ModuleNotFoundError as error:
            raise ValueError(
                f"a worker cannot import {error.name}: install fastsum on all workers"
            ) from error

    def close(self) -> None:
        """Lets go of the actors."""
        self._actors = []

    def _making(self, number: int) -> Any:
        """A future of the actor."""
        client, home, source = self._client, self._homes[number], self.sources[number]
        if not isinstance(source, Source):  # dask makes it, again if need be
            source = client.compute(source, workers=[home], allow_other_workers=True)
        elif source.blocks is None:
            source = client.scatter(source, workers=[home], hash=False)
        return client.submit(Shard, source, actor=True, workers=[home], pure=False)

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
