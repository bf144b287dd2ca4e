"""Workers that are processes of this machine; arrays go through shared memory."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from fastsum.distributed._communicator import Communicator, WorkerLost
from fastsum.distributed._shard import Message, Shard, Source

ALIGNMENT = 64


class Channel:
    """One end of a pipe whose arrays lie in a block of shared memory that grows with them."""

    def __init__(self, pipe: Connection):
        self._pipe = pipe
        self._mine: SharedMemory | None = None
        self._other: SharedMemory | None = None

    def send(self, thing: Any) -> None:
        """Sends what pickles; the buffers of its arrays are copied into shared memory."""
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        ends = np.cumsum([0, *(-(-view.nbytes // ALIGNMENT) * ALIGNMENT for view in views)])
        total = int(ends[-1])
        if total and (self._mine is None or self._mine.size < total):
            self._drop(self._mine, unlink=True)
            self._mine = SharedMemory(create=True, size=total)
        for begin, view in zip(ends.tolist(), views, strict=False):
            assert self._mine is not None and self._mine.buf is not None
            self._mine.buf[begin : begin + view.nbytes] = view
        name = self._mine.name if total and self._mine is not None else None
        places = [(begin, v.nbytes) for begin, v in zip(ends.tolist(), views, strict=False)]
        self._pipe.send((head, name, places))

    def receive(self) -> Any:
        """What the other end sent; its arrays are copies."""
        head, name, places = self._pipe.recv()
        if name is None:
            return pickle.loads(head, buffers=[b""] * len(places))
        if self._other is None or self._other.name != name:
            self._drop(self._other, unlink=False)
            self._other = SharedMemory(name=name)
        assert self._other.buf is not None
        buffers = [bytearray(self._other.buf[begin : begin + size]) for begin, size in places]
        return pickle.loads(head, buffers=buffers)

    def close(self) -> None:
        """Lets go of the memory, and of the pipe."""
        for memory in (self._mine, self._other):  # the other end may be dead
            self._drop(memory, unlink=True)
        self._mine = self._other = None
        self._pipe.close()

    @staticmethod
    def _drop(memory: SharedMemory | None, unlink: bool) -> None:
        if memory is None:
            return
        memory.close()
        if unlink:
            with suppress(FileNotFoundError):  # the other end was faster
                memory.unlink()


class Processes(Communicator):
    """A process for each shard.

    Parameters
    ----------
    sources : sequence of Source
    """

    def __init__(self, sources: Sequence[Source]):
        super().__init__(sources)
        self._context = multiprocessing.get_context("spawn")  # threads do not survive a fork
        self.processes: list[SpawnProcess] = []
        self._channels: list[Channel] = []
        try:
            for number in range(self.n_shards):
                process, channel = self._started(number)
                self.processes.append(process)
                self._channels.append(channel)
            for number in range(self.n_shards):
                self._answer(number)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the processes."""
        for process, channel in zip(self.processes, self._channels, strict=True):
            process.terminate()
            process.join()
            channel.close()
        self.processes, self._channels = [], []

    def _started(self, number: int) -> tuple[SpawnProcess, Channel]:
        here, there = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(there,), daemon=True)
        process.start()
        there.close()
        channel = Channel(here)
        channel.send(self.sources[number])
        return process, channel

    def _exchange(self, operation: str, messages: Sequence[Message]) -> list[Any]:
        for number, message in enumerate(messages):
            self._ask(number, operation, message)
        # all answers are taken, so that none is left for the next question
        answers = [self._heard(number) for number in range(self.n_shards)]
        return [_unwrapped(answer) for answer in answers]

    def _one(self, number: int, operation: str, message: Message) -> Any:
        self._ask(number, operation, message)
        return self._answer(number)

    def _ask(self, number: int, operation: str, message: Message) -> None:
        with suppress(OSError):  # it is gone, which its answer will tell
            self._channels[number].send((operation, message))

    def _answer(self, number: int) -> Any:
        return _unwrapped(self._heard(number))

    def _heard(self, number: int) -> tuple[bool, Any]:
        try:
            good, value = self._channels[number].receive()
        except (EOFError, OSError):
            return False, WorkerLost(f"process {number} has ended")
        return good, value

    def _lost(self) -> list[int]:
        return [number for number, process in enumerate(self.processes) if not process.is_alive()]

    def _revive(self, number: int) -> None:
        self.processes[number].join()
        self._channels[number].close()
        self.processes[number], self._channels[number] = self._started(number)
        self._answer(number)


def _unwrapped(answer: tuple[bool, Any]) -> Any:
    good, value = answer
    if not good:
        raise value
    return value


def _serve(pipe: Connection) -> None:
    """The life of a worker: a shard, and answers to questions about it."""
    channel = Channel(pipe)
    shard: Shard | None = None
    while True:
        try:
            asked = channel.receive()
        except EOFError:
            channel.close()
            return
        try:
            if shard is None:
                shard, answer = Shard(asked), None
            else:
                answer = shard.call(*asked)
        except Exception as error:  # the driver's to judge
            channel.send((False, error))
        else:
            channel.send((True, answer))
