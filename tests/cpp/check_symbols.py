#!/usr/bin/env python3
"""Check that the kernels of one CPU level leak nothing into another level.

``check_symbols.py BUILD_DIR`` reads every ``libfskern_<level>.a`` below BUILD_DIR. A weak symbol is
one of which the linker keeps a single copy, whichever level it comes from: were it compiled for
AVX-512, it would crash an older CPU. So every weak symbol must belong to ``fastsum::<level>``.
"""

import re
import subprocess
import sys
from pathlib import Path

WEAK = set("WVu")
# Emitted by the compiler with the exception tables of any C++ object; data, no instructions.
HARMLESS = {"DW.ref.__gxx_personality_v0"}


def namespace_pattern(level):
    """Match a mangled name whose outermost scope is ``fastsum::<level>``.

    The mangled name is used: a demangled ``std::swap<fastsum::v4::X>`` holds the namespace too.
    """
    scope = f"7fastsum{len(level)}{level}"
    return re.compile(rf"^_Z(?:GV|GR|T[ISV])?Z*N[KVrRO]*{scope}")


def foreign_symbols(library, level):
    """Return the weak symbols that ``library`` defines outside ``fastsum::<level>``."""
    listing = subprocess.run(
        ["nm", "--defined-only", "--no-sort", str(library)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    inside = namespace_pattern(level)
    rows = [line.split() for line in listing.splitlines()]
    weak = {row[2] for row in rows if len(row) == 3 and row[1] in WEAK}
    return sorted(name for name in weak - HARMLESS if not inside.match(name))


def demangle(name):
    result = subprocess.run(["c++filt", name], capture_output=True, text=True, check=False)
    return result.stdout.strip() or name


def main(build_dir):
    libraries = sorted(Path(build_dir).rglob("libfskern_*.a"))
    if not libraries:
        print(f"check_symbols: no libfskern_<level>.a below {build_dir}; build first")
        return 2
    failures = 0
    for library in libraries:
        level = library.stem.removeprefix("libfskern_")
        foreign = foreign_symbols(library, level)
        for name in foreign:
            print(f"{library.name}: weak symbol outside fastsum::{level}: {demangle(name)}")
        failures += len(foreign)
    print(f"check_symbols: {len(libraries)} libraries, {failures} foreign weak symbols")
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check_symbols.py BUILD_DIR")
    sys.exit(main(sys.argv[1]))
