"""One timing at a time, sides alternated, medians; and what the machine is."""

import contextlib
import fcntl
import gc
import importlib.metadata
import io
import os
import platform
import re
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

PACKAGES = (
    *("fastsum", "scikit-learn", "numpy", "scipy", "cyanure", "liblinear-official"),
    *("snapml", "celer", "skglm", "glum", "adelie"),
)
LOCK = Path(tempfile.gettempdir()) / "timing.lock"


@contextlib.contextmanager
def exclusive(*, trial=False):
    """Holds the lock of this machine's temporary folder: two runs never overlap.

    A trial run, whose figures nobody reads, does without, and so does one under ``flock``.
    """
    held = (Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    if trial or any(fd.exists() and fd.resolve() == LOCK for fd in held):
        yield
        return
    with open(LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another run holds the lock; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
        fcntl.flock(lock, fcntl.LOCK_UN)  # a process that was forked meanwhile holds none


class Turn:
    """The lock for many short measurements: kept over several, given back after some seconds."""

    KEEP = 15.0

    def __init__(self, *, trial=False):
        self._trial, self._held, self._since = trial, contextlib.ExitStack(), None

    def __enter__(self):
        if self._since is None:
            self._held.enter_context(exclusive(trial=self._trial))
            self._since = time.monotonic()

    def __exit__(self, *_):
        if time.monotonic() - self._since > self.KEEP:
            self.end()

    def end(self):
        """Gives the lock back."""
        self._held.close()
        self._since = None


@dataclass
class Clock:
    """Wall and processor seconds of repeated calls."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def time(self, call):
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        out = call()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return out

    def summary(self):
        return {
            "median": statistics.median(self.wall),
            "min": min(self.wall),
            "cpu_median": statistics.median(self.cpu),
            "cpu_min": min(self.cpu),
            "repeats": len(self.wall),
        }


def alternate(calls, repeats, warm_up=0):
    """{name: Clock} of calls {name: function} timed A B A B ..."""
    clocks = {name: Clock() for name in calls}
    for _ in range(warm_up):
        for call in calls.values():
            call()
    for _ in range(repeats):
        for name, call in calls.items():
            clocks[name].time(call)
    return clocks


@dataclass
class Machine:
    """Facts a figure depends on; no names of hosts, no paths."""

    cpu: str
    cores: int
    threads: int
    cpu_level: str
    python: str
    versions: dict[str, str]
    load_before: float  # processes that ran beside us: a busy machine if not near 0
    load_after: float = 0.0

    def finish(self):
        self.load_after = round(os.getloadavg()[0], 2)
        return asdict(self)


def machine(threads):
    versions = {}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        threads=threads,
        cpu_level=_cpu_level(),
        python=platform.python_version(),
        versions=versions,
        load_before=round(os.getloadavg()[0], 2),
    )


def _cpu_level():
    """The level of the kernels in use, as `fastsum.show_versions` prints it."""
    import fastsum

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        fastsum.show_versions()
    found = re.search(r"^CPU level\s+(\w+)", printed.getvalue(), re.M)
    return found[1] if found else "unknown"


def _cpu_model():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
