"""Instructions of the hot kernels, counted by callgrind: this tree against another commit.

Counts do not depend on how busy the machine is, so that a change of some per cent shows where
times cannot show it. They are not times: what waits for memory costs no instruction.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmark_utils import report

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = "benchmarks/experiments/hot_kernels.cpp"
# One level is built, called base and made of these instructions: the last that valgrind knows.
LEVEL = ["-march=x86-64-v3"] if os.uname().machine == "x86_64" else []
# Without family.cpp, which takes minutes: hot_kernels.cpp has a stub in its place.
OBJECTS = ["libfskern_base.a.p/src_cpp_omp_level.cpp.o", "libfskern_base.a.p/src_cpp_omp_hot.cpp.o"]
OBJECTS += ["libfscore.a"]
COLUMNS = ["kernel", "base", "tree", "ratio"]


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def unpack(commit, folder):
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", commit], stdout=subprocess.PIPE, check=True
    )
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)


def build(source, folder):
    """Build the kernels of a tree by its own meson.build, and the program with them.

    The program is that of this tree where it fits the other tree's kernels.hpp, else its own.
    """
    flags = " ".join([os.environ.get("CXXFLAGS", ""), *LEVEL])
    setup = ["meson", "setup", folder, source, "-Dcpu_levels=", "-Dbuildtype=release"]
    run(setup, env={**os.environ, "CXXFLAGS": flags})
    run(["ninja", "-C", folder, *OBJECTS])
    program, objects = folder / "hot_kernels", [folder / name for name in OBJECTS]
    compiler = shlex.split(os.environ.get("CXX", "g++"))
    for text in (ROOT / PROGRAM, source / PROGRAM):
        command = [*compiler, "-std=c++20", "-O2", "-w", f"-I{source / 'src_cpp'}", text]
        command += ["-o", program, *objects, "-fopenmp"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return program
    sys.exit(f"{PROGRAM} does not compile with {source}\n{done.stderr[-2000:]}")


def count(program, kernel, folder):
    """Return the instructions of a kernel, None where the program has none of that name."""
    out = folder / "callgrind.out"
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=measured", "--collect-atstart=no"]
    done = subprocess.run(
        [*command, f"--callgrind-out-file={out}", program, kernel],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode == 2:
        return None
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"valgrind failed on {kernel!r}\n{done.stderr[-2000:]}")
    return int(found[1])


def main(args):
    rows = []
    with tempfile.TemporaryDirectory(prefix="fastsum-instructions-") as name:
        folder = Path(name)
        base = run(["git", "-C", ROOT, "rev-parse", "--short", args.base]).strip()
        unpack(base, folder / "source")
        programs = {
            "tree": build(ROOT, folder / "tree"),
            "base": build(folder / "source", folder / "base"),
        }
        for kernel in run([programs["tree"]]).splitlines():
            if args.only and not any(part in kernel for part in args.only):
                continue
            counts = {side: count(program, kernel, folder) for side, program in programs.items()}
            known = counts["base"] and counts["tree"]
            rows.append({"kernel": kernel, **counts})
            rows[-1]["ratio"] = f"{counts['tree'] / counts['base']:.3f}" if known else "new"
    print(f"Instructions, this tree against {base}:\n")
    print(report.table(COLUMNS, rows))
    worse = [r["kernel"] for r in rows if r["ratio"] != "new" and float(r["ratio"]) > args.limit]
    if worse:
        sys.exit(f"\nmore than {args.limit} times the instructions: {', '.join(worse)}")
