"""How commands end when something goes wrong: one line, an exit code, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # as shells report a process ended by Ctrl-C


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn expected errors and Ctrl-C into one line on stderr and an exit.

    Errors of usage are typer's (exit code 2). Anything not expected here is a bug and keeps
    its traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        _leave("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output is gone (as in "| head"); keep Python from flushing into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError as error:
        _leave(f"not enough memory. {error}", 1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        _leave(f"{where}{error.strerror or error}", 1)
    except ValueError as error:
        _leave(str(error), 1)


def _leave(message: str, code: int) -> None:
    """Print one line and exit."""
    print("fastsum:", " ".join(message.split()), file=sys.stderr)
    sys.exit(code)
