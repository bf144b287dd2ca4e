#!/usr/bin/env python3
"""Mutation check: change one operator of a header at a time, and see that a test fails.

``run.py [HEADER ...] --per-header N --seed S``, or ``--all`` for every mutant. It works on a copy
of the checkout in a temporary directory: the copy is built once, without optimisation, so that
every inline function is a symbol of its own. A mutant is one or two translation units of its
header, compiled into a library that is loaded before the copy's and takes the place of what it
defines; then the tests of targets.py run, in a process of their own.

Killed: a test fails, the process crashes, or it takes far longer than the header as it is. A
mutant that does not compile is none. What survives is printed; mutants that change nothing are
listed in equivalent.txt, with the reason. The command ends with 1 if another one survived.
"""

import argparse
import ctypes
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from mutants import equivalents, mutants_of, sample  # noqa: E402
from targets import TARGETS  # noqa: E402

FLAGS = "-std=c++20 -O0 -fPIC -fopenmp -w -DNDEBUG"
NO_MUTANT, KILLED, SURVIVED = 77, 1, 0
SLACK = 3.0, 20.0  # times the header as it is, and seconds more


def copy_of_checkout(folder):
    """Copy what git knows and does not ignore, as it stands."""
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed).decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def build(folder):
    """Build and install the copy, its C++ as shared libraries whose symbols can be replaced."""
    meson = folder / "meson.build"
    text = meson.read_text(encoding="utf-8").replace("static_library('fs", "shared_library('fs")
    text = text.replace("symbol_visibility: 'hidden'", "symbol_visibility: 'default'")
    meson.write_text(text.replace("pic: true, ", ""), encoding="utf-8")
    site = folder / "site"
    setup = ["meson", "setup", "build", f"--prefix={folder / 'installed'}", "-Dcpu_levels="]
    setup += [f"-Dpython.{kind}libdir={site}" for kind in ("pure", "plat")]
    setup += ["-Dbuildtype=plain", "-Doptimization=0", "-Db_lundef=false", "-Db_ndebug=true"]
    install = ["ninja", "-C", "build", "install"]
    for command in [install] if (folder / "build").is_dir() else [setup, install]:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{shlex.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def compile_mutant(copy, work, header, text):
    """Return the library of a header's text, or None if it does not compile."""
    shutil.copytree(copy / "src_cpp", work / "src_cpp")
    (work / "src_cpp" / header).write_text(text, encoding="utf-8")
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    compiler = [part for part in compiler if part != "ccache"]  # no text comes twice
    units = []
    for number, unit in enumerate(TARGETS[header].units(header)):
        units.append(work / f"unit_{number}.cpp")
        units[-1].write_text(unit, encoding="utf-8")
    library = work / "mutant.so"
    command = [*compiler, *FLAGS.split(), f"-I{work / 'src_cpp'}", *units, "-shared", "-o", library]
    built = copy / "build"
    command += [f"-L{built}", f"-Wl,-rpath,{built},--no-as-needed", "-lfskern_base", "-lfscore"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return library if done.returncode == 0 else None


def run_tests(copy, library, selections):
    """Run the tests of the copy with a library in place of parts of its own; the exit status."""
    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
    # an editable install would win over the copy's
    sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in type(f).__module__]
    sys.path.insert(0, str(copy / "site"))
    os.chdir(copy)
    import pytest

    import fastsum

    assert Path(fastsum.__file__).is_relative_to(copy), fastsum.__file__
    for selection in selections:
        status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *selection])
        if status:
            return int(status)
    return SURVIVED


def in_child(copy, header, text, log, seconds):
    """Fork; the child compiles a header's text, tests it and exits with what happened."""
    pid = os.fork()
    if pid:
        return pid
    status = KILLED
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        with tempfile.TemporaryDirectory(dir=copy) as work:
            library = compile_mutant(copy, Path(work), header, text)
            if library is None:
                status = NO_MUTANT
            else:
                if seconds:
                    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))
                    signal.alarm(int(5 * seconds))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                status = run_tests(copy, library, TARGETS[header].tests)
    except BaseException:  # what a mutant does to the tests, too, is a failure of theirs
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def preload():
    """Import what every test needs, once for all children. Nothing of it starts a thread."""
    import hypothesis  # noqa: F401
    import numpy as np  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import scipy.optimize
    import scipy.sparse.linalg
    import scipy.special  # noqa: F401
    import sklearn.linear_model
    import sklearn.utils.estimator_checks  # noqa: F401


def baseline(copy, header):
    """Return the processor seconds of a header's tests as it is, which must pass."""
    text = (copy / "src_cpp" / header).read_text(encoding="utf-8")
    log = copy / "baseline.log"
    _, status, usage = os.wait4(in_child(copy, header, text, log, None), 0)
    if outcome(status) == "no mutant":
        sys.exit(f"{header}: its units of targets.py do not compile")
    if status:
        sys.exit(f"{header}: its tests fail without a mutant\n{log.read_text()[-3000:]}")
    return usage.ru_utime + usage.ru_stime


def outcome(status):
    if os.WIFSIGNALED(status):
        slow = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL)
        return "too slow" if slow else "crashed"
    code = os.WEXITSTATUS(status)
    return {SURVIVED: "survived", NO_MUTANT: "no mutant"}.get(code, "failed")


def check(copy, header, mutants, jobs):
    """Return {mutant: outcome}."""
    text = (copy / "src_cpp" / header).read_text(encoding="utf-8")
    seconds = SLACK[0] * baseline(copy, header) + SLACK[1]
    waiting, running, found = list(mutants), {}, {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop(0)
            log = copy / f"mutant_{len(waiting)}.log"
            running[in_child(copy, header, mutant.applied(text), log, seconds)] = mutant
        pid, status = os.wait()
        found[running.pop(pid)] = outcome(status)
    return found


def report(header, found, known, seconds):
    """Print a header's line and its survivors; return how many were killed, and the survivors."""
    equal = {m for m, what in found.items() if what == "survived" and (header, m.text) in known}
    counts = Counter(what for mutant, what in found.items() if mutant not in equal)
    killed = counts["failed"] + counts["crashed"] + counts["too slow"]
    total = killed + counts["survived"]
    score = f"{killed / total:6.1%}" if total else "     -"
    print(
        f"{header:28}{len(found):8}{counts['no mutant']:10}{counts['failed']:8}"
        f"{counts['crashed']:9}{counts['too slow']:10}{counts['survived']:10}{len(equal):12}"
        f"  {score}  {seconds:6.0f} s",
        flush=True,
    )
    alive = [mutant for mutant, what in found.items() if what == "survived" and mutant not in equal]
    for mutant in alive:
        print(f"  survived: {mutant}", flush=True)
    return killed, alive


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("header", nargs="*", help="of src_cpp; all of targets.py by default")
    parser.add_argument("--per-header", type=int, default=10, help="mutants of each (default 10)")
    parser.add_argument("--all", action="store_true", help="every mutant")
    parser.add_argument("--line", type=int, nargs="+", help="only mutants of these lines")
    parser.add_argument("--seed", default="0", help="which of the mutants are drawn")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument("--copy", help="a folder that keeps the copy, built, for the next run")
    parser.add_argument("--list", action="store_true", help="print the mutants, try none")
    args = parser.parse_args()
    unknown = set(args.header) - set(TARGETS)
    if unknown:
        parser.error(f"no such header in targets.py: {', '.join(sorted(unknown))}")
    return args


def chosen_mutants(args):
    for header in args.header or TARGETS:
        mutants = mutants_of(header, (ROOT / "src_cpp" / header).read_text(encoding="utf-8"))
        if args.line:
            mutants = [m for m in mutants if m.line in args.line]
        yield header, sample(mutants, None if args.all else args.per_header, args.seed)


def main():
    args = parse()
    if args.list:
        for _, mutants in chosen_mutants(args):
            print(*mutants, sep="\n")
        return 0
    known, killed, survivors = equivalents(), 0, []
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with tempfile.TemporaryDirectory(prefix="fastsum-mutants-") as folder:
        copy = Path(args.copy or folder).resolve()
        copy_of_checkout(copy)
        build(copy)
        preload()
        columns = "header                       mutants  no mutant  failed  crashed  too slow"
        print(columns + "  survived  equivalent   score", flush=True)
        for header, mutants in chosen_mutants(args):
            start = time.monotonic()
            found = check(copy, header, mutants, args.jobs)
            n, alive = report(header, found, known, time.monotonic() - start)
            killed, survivors = killed + n, survivors + alive
    total = killed + len(survivors)
    print(f"\n{killed} of {total} killed: {killed / total:.1%}" if total else "\nno mutants")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
