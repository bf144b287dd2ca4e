"""``fastsum fit --job``, ``fastsum resume`` and ``fastsum watch``."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from _fastsum_command import REQUEST, SETTINGS
from fastsum.jobs import Job, Outcome, Recipe, read_events

from ._alpha import choose_alpha
from ._errors import INTERRUPTED
from ._fit import Files, Reading, check_outputs, store_parts
from ._html import write_report
from ._progress import FitProgress
from ._report import Scores, evaluate, print_training
from ._training import Training

REPORT = "report.html"
POLL_SECONDS = 1.0


def start_job(
    folder: Path, files: Files, recipe: Recipe, reading: Reading, checkpoint_minutes: float
) -> None:
    """Make a job and run it."""
    if not files.data.is_dir():
        raise ValueError(
            f"{files.data} is no store, and a job goes on from the disk: make one with 'fastsum "
            f"ingest {files.data} --out STORE'."
        )
    if files.test is not None or files.plot is not None:
        raise ValueError(
            "a job writes its own report, of the store's test rows: leave --test and --plot out."
        )
    reading.refuse_for(files.data)
    check_outputs(files)
    parts, header = store_parts(files.data)
    if reading.choose_alpha:
        recipe = replace(recipe, alpha=choose_alpha(parts, recipe))
    job = Job.create(folder, files.data, files.out, recipe, checkpoint_minutes)
    (folder / REQUEST).unlink(missing_ok=True)
    _run(job, parts, header, False)


def resume_job(folder: Path, allow_different_bits: bool) -> None:
    """Go on with a job; one that has finished says so."""
    if not (folder / SETTINGS).exists() and (folder / REQUEST).exists():
        _start_again(folder)
        return
    job = Job(folder)
    if job.finished:
        _say(f"{folder} has finished: its model is {job.out}.")
        return
    _run(job, *store_parts(job.store), allow_different_bits)


def _start_again(folder: Path) -> None:
    """Run the command that was killed before it had written the settings of its job."""
    from ._app import app

    try:
        request = json.loads((folder / REQUEST).read_bytes())
        arguments, cwd = [str(a) for a in request["arguments"]], str(request["cwd"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / REQUEST} cannot be read ({error!r})") from None
    os.chdir(cwd)
    app(arguments)


def _run(
    job: Job, parts: dict[str, Any], header: dict[str, Any], allow_different_bits: bool
) -> None:
    start = time.perf_counter()
    task = job.task(parts["train"][0], allow_different_bits=allow_different_bits)
    with FitProgress(job.store.name, task.null, job.recipe) as bar:

        def finish(outcome: Outcome) -> None:
            bar.finish(outcome.result)
            _write_html(job, outcome, parts, time.perf_counter() - start)

        outcome = job.run(task, bar.update, finish, header)
    if outcome.stopped:
        _say(f"Stopped. 'fastsum resume {job.folder}' goes on from the last checkpoint.")
        sys.exit(INTERRUPTED)
    training, scores = _account(outcome, parts, time.perf_counter() - start)
    print_training(training, scores, {name: len(part[1]) for name, part in parts.items()})
    _say(f"Model written to {job.out}, report to {job.folder / REPORT}.")


def _account(
    outcome: Outcome, parts: dict[str, Any], seconds: float
) -> tuple[Training, dict[str, Scores]]:
    """The fit as the reports take it, and the scores on each part."""
    task, result = outcome.task, outcome.result
    model = task.model_of(result)
    training = Training(model, result, task.relative_gap(result), seconds, outcome.notes)
    return training, {name: evaluate(model, *part) for name, part in parts.items()}


def _write_html(job: Job, outcome: Outcome, parts: dict[str, Any], seconds: float) -> None:
    training, scores = _account(outcome, parts, seconds)
    write_report(job.folder / REPORT, job, training, scores, parts[max(parts, key=_last)])


def _last(part: str) -> bool:
    """The part to be judged by: test if there is one."""
    return part == "test"


def watch_job(folder: Path, follow: bool) -> None:
    """Print the certificates of a job as they come."""
    job, console, shown = Job(folder), Console(), 0
    while True:
        done = job.finished  # before the events: the last of them come first
        events = read_events(folder)
        shown = min(shown, len(events))
        for event in events[shown:]:
            console.print(_line(event), markup=False, highlight=False)
        shown = len(events)
        if done or not follow:
            return
        time.sleep(POLL_SECONDS)


def _line(event: dict[str, Any]) -> str:
    """An event as a line of text."""
    stamp = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    if event["event"] == "certificate":
        return (
            f"{stamp}  pass {event['passes']:5d}  {event['seconds']:9.1f} s  objective "
            f"{event['objective']:.8g}  gap {event['gap']:.2e} (target {event['target']:.2e})"
        )
    rest = "  ".join(f"{k} {v}" for k, v in event.items() if k not in ("event", "time"))
    return f"{stamp}  {event['event']}  {rest}"


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)
