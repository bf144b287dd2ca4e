"""Fits that survive their process: settings, checkpoints and events in a folder."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

from fastsum.files import write_whole
from fastsum.solvers._progress import Progress
from fastsum.solvers._resumable import Resumable
from fastsum.store import Dataset

from ._checkpoint import read_checkpoint, write_checkpoint
from ._machine import bits_depend_on
from .model_file import save_model
from .recipe import Recipe, Task, task_of

FORMAT, VERSION = "fastsum-job", 1
SETTINGS, EVENTS, RESULT, LOCK = "job.json", "events.jsonl", "result.json", "lock"
MAX_SETTINGS = 1 << 20

Watch = Callable[[Progress], object]


class JobError(ValueError):
    """A job that cannot be started or go on; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """How a run of a job ended.

    Attributes
    ----------
    result : Result
    task : Task
    stopped : bool
        Whether a signal ended it; it can be resumed then.
    notes : list of str
        Warnings of the fit.
    """

    result: Any
    task: Task
    stopped: bool
    notes: list[str]


class Job:
    """A fit of a store, with its settings, checkpoints and events in a folder.

    Parameters
    ----------
    folder : path
        Of a job that was made by `Job.create`.

    Attributes
    ----------
    store, out : Path
        What is fitted, and where the model goes.
    recipe : Recipe
    checkpoint_minutes : float
        Between two checkpoints, at least; 0 writes one at each certificate.

    Raises
    ------
    JobError
        If the folder is no job, or its settings are damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder)
        settings = _read_json(self.folder / SETTINGS)
        try:
            if settings.get("format") != FORMAT or settings.get("version") != VERSION:
                raise ValueError("it is of another kind or version")
            known = {f.name for f in fields(Recipe)}
            self.recipe = Recipe(**{k: v for k, v in settings["recipe"].items() if k in known})
            self.store, self.out = Path(settings["store"]), Path(settings["out"])
            self.fingerprint = str(settings["fingerprint"])
            self.bits: dict[str, Any] = dict(settings["bits"])
            self.checkpoint_minutes = float(settings["checkpoint_minutes"])
        except (KeyError, TypeError, ValueError) as error:
            raise JobError(f"{self.folder / SETTINGS} cannot be used: {error!r}") from None

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        store: str | os.PathLike[str],
        out: str | os.PathLike[str],
        recipe: Recipe,
        checkpoint_minutes: float = 5.0,
    ) -> Job:
        """A new job; all of its settings are on the disk before the first pass.

        Parameters
        ----------
        folder : path
            Of the job; made if it is not there.
        store : path
            The store whose part "train" is fitted.
        out : path
            Where the model goes.
        recipe : Recipe
            What to minimise, and how far.
        checkpoint_minutes : float, default=5.0
            Between two checkpoints, at least.

        Returns
        -------
        job : Job
            To be started by `run`.

        Raises
        ------
        JobError
            If the folder holds a job already, or cannot be made.
        """
        path, data = Path(folder), Dataset(store)
        if recipe.max_iter < 1:
            raise JobError("a job makes at least one pass: max_iter must be positive")
        if (path / SETTINGS).exists():
            raise JobError(f"{path} holds a job already: 'fastsum resume {path}' goes on with it")
        if not path.absolute().parent.is_dir():
            raise JobError(f"the folder {path.absolute().parent} does not exist; create it first")
        path.mkdir(exist_ok=True)
        settings = {
            "format": FORMAT,
            "version": VERSION,
            "store": str(Path(store).absolute()),
            "out": str(Path(out).absolute()),
            "fingerprint": data.fingerprint,
            "recipe": asdict(recipe),
            "checkpoint_minutes": checkpoint_minutes,
            "bits": bits_depend_on(recipe.n_jobs),
        }
        text = json.dumps(settings, indent=1).encode()
        write_whole(path / SETTINGS, lambda stream: _write(stream, text))
        return cls(path)

    @property
    def finished(self) -> bool:
        """Whether the model is written."""
        return (self.folder / RESULT).exists()

    def task(self, data: Dataset | None = None, *, allow_different_bits: bool = False) -> Task:
        """The problem to solve.

        Parameters
        ----------
        data : Dataset, default=None
            The store's part "train", if it is open already.
        allow_different_bits : bool, default=False
            Whether another machine or build may go on, whose last bits may differ.

        Returns
        -------
        task : Task
            The problem on the store, for `run`.

        Raises
        ------
        JobError
            If the data have changed, or the machine or build is another.
        """
        self._check_bits(allow_different_bits)
        data = Dataset(self.store) if data is None else data
        if data.fingerprint != self.fingerprint:
            raise JobError(f"{self.store} is not the store that the job was started on")
        return task_of(data, data.y, self.recipe)

    def run(
        self,
        task: Task | None = None,
        watch: Watch | None = None,
        finish: Callable[[Outcome], None] | None = None,
        header: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Starts the fit, or goes on from the last good checkpoint, to its end.

        SIGINT and SIGTERM write a checkpoint after the round under way and stop; a second one stops
        at once. Every certificate is a line of events.jsonl.

        Parameters
        ----------
        task : Task, default=None
            What `task` returns.
        watch : callable, default=None
            Called with the `Progress` of each certificate.
        finish : callable, default=None
            Called with the outcome once the model is written, before the job counts as finished.
        header : mapping, default=None
            What else the model's header says.

        Returns
        -------
        outcome : Outcome
            The result, whether the fit was stopped, and what was warned of.

        Raises
        ------
        JobError
            If the job runs already.
        OSError
            If a checkpoint cannot be written; the last good one is kept.
        """
        with self._locked():
            task = self.task() if task is None else task
            with warnings.catch_warnings(record=True) as caught, _signals() as asked:
                warnings.simplefilter("always")
                result, stopped = self._fit(task, watch, asked)
            notes = [str(w.message) for w in caught]
            outcome = Outcome(result, task, stopped, notes)
            if not stopped:
                self._finish(outcome, finish, header or {})
            return outcome

    def _fit(self, task: Task, watch: Watch | None, asked: list[int]) -> tuple[Any, bool]:
        """The fit itself; whether it was stopped."""
        recipe, stopped = self.recipe, False
        fit = Resumable(
            task.problem, recipe.solver, recipe.tol, int(self.bits["threads"]), recipe.seed
        )
        memory, faults = read_checkpoint(self.folder)
        self._mend_events()
        for fault in faults:
            self._tell("damaged", message=fault)
        if memory is not None:
            fit.recall(memory)
        passes = 0 if memory is None else memory["state.passes"] - memory["began_at"]
        self._tell("resume" if memory else "start", passes=passes, null=task.null, tol=recipe.tol)
        last = time.monotonic()

        def after(progress: Progress, whole: bool) -> bool:
            nonlocal last, stopped
            self._tell("certificate", **_line(progress))
            if watch is not None:
                watch(progress)
            due = time.monotonic() - last >= 60.0 * self.checkpoint_minutes
            if whole and (due or asked):
                write_checkpoint(self.folder, fit.memory())
                self._tell("checkpoint", passes=int(progress.passes))
                last = time.monotonic()
            stopped = bool(asked) and not fit.ended
            return stopped

        return fit.loop(recipe.max_iter, recipe.max_time, after), stopped

    def _finish(
        self,
        outcome: Outcome,
        finish: Callable[[Outcome], None] | None,
        header: Mapping[str, Any],
    ) -> None:
        """The model, what `finish` writes, and then the word that the job is done."""
        result, task = outcome.result, outcome.task
        model = task.model_of(result)
        save_model(self.out, replace(model, header={**model.header, **header}))
        if finish is not None:
            finish(outcome)
        told = {
            "status": str(result.status),
            "objective": float(result.objective),
            "gap": float(result.dual_gap),
            "relative_gap": task.relative_gap(result),
            "passes": int(result.n_iter),
        }
        self._tell("finish", **told)
        text = json.dumps({**told, "model": str(self.out)}, indent=1).encode()
        write_whole(self.folder / RESULT, lambda stream: _write(stream, text))

    def _check_bits(self, allowed: bool) -> None:
        here = bits_depend_on(self.recipe.n_jobs)
        other = [
            f"{k}: {self.bits.get(k)} then, {v} now" for k, v in here.items() if self.bits[k] != v
        ]
        if other and not allowed:
            raise JobError(
                f"{self.folder} was started elsewhere, and would not end with the same bits "
                f"({'; '.join(other)}): --allow-different-bits goes on all the same"
            )
        if other:
            self._tell("different bits", message="; ".join(other))

    def _tell(self, event: str, **values: Any) -> None:
        """A line of events.jsonl."""
        line = json.dumps({"event": event, "time": time.time(), **values}) + "\n"
        with open(self.folder / EVENTS, "a", encoding="utf-8") as stream:
            stream.write(line)

    def _mend_events(self) -> None:
        """Ends a line that was being written when the process was killed."""
        path = self.folder / EVENTS
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            with open(path, "ab") as stream:
                stream.write(b"\n")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps a second process out; the system unlocks when this one ends, however it does."""
        try:
            import fcntl
        except ImportError:  # not on this system
            yield
            return
        with open(self.folder / LOCK, "a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise JobError(f"{self.folder} is being run by another process") from None
            yield


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM; the second one is what it would have been."""
    asked: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: signals are not ours
        pass
    try:
        yield asked
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _line(progress: Progress) -> dict[str, Any]:
    """A certificate as events.jsonl has it."""
    return {
        "passes": int(progress.passes),
        "seconds": float(progress.seconds),
        "objective": float(progress.objective),
        "gap": float(progress.gap),
        "target": float(progress.target),
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            found = json.loads(stream.read(MAX_SETTINGS))
    except FileNotFoundError:
        raise JobError(f"{path.parent} is no job: it has no {path.name}") from None
    except (ValueError, RecursionError) as error:
        raise JobError(f"{path} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise JobError(f"{path} cannot be read: it holds no settings")
    return found


def read_events(folder: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The events of a job; certificates that a later start went back behind are left out."""
    path = Path(folder) / EVENTS
    events: list[dict[str, Any]] = []
    if not path.exists():
        return []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:  # a line that was being written when the process was killed
            continue
        if event.get("event") in ("start", "resume"):
            events = [
                e for e in events
                if e["event"] != "certificate" or e["passes"] <= event["passes"]
            ]  # fmt: skip
        events.append(event)
    return events


def _write(stream: IO[bytes], text: bytes) -> None:
    stream.write(text)
