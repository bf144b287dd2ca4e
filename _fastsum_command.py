"""The first steps of the command ``fastsum``, before anything slow is imported.

A job that is killed within its first two seconds, while Python still imports the numerical
libraries, shall leave something to resume: the arguments of ``fastsum fit --job DIR ...`` are
written to DIR at once. `fastsum.jobs` takes over from there.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

REQUEST = "request.json"  # in the folder of a job, until its settings are written
SETTINGS = "job.json"


def main() -> None:
    """Notes the request for a job, then runs the command."""
    folder = _job_folder(sys.argv[1:])
    if folder is not None and not folder.exists() and folder.absolute().parent.is_dir():
        folder.mkdir()
        text = json.dumps({"arguments": sys.argv[1:], "cwd": os.getcwd()})
        fresh = folder / f"{REQUEST}.tmp"
        with open(fresh, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(fresh, folder / REQUEST)
        noted = True
    else:
        noted = False
    try:
        from fastsum.cli import main as run

        run()
    except SystemExit as end:
        # a request that was refused, for a wrong argument say, is no job
        if noted and folder is not None and end.code and not (folder / SETTINGS).exists():
            (folder / REQUEST).unlink(missing_ok=True)
            folder.rmdir()
        raise


def _job_folder(arguments: list[str]) -> Path | None:
    """DIR of ``fit ... --job DIR`` or ``--job=DIR``."""
    if arguments[:1] != ["fit"] or "--help" in arguments:
        return None
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before == "--job":
            return Path(argument)
        if argument.startswith("--job="):
            return Path(argument.removeprefix("--job="))
    return None
