#!/usr/bin/env python3
"""Check a built wheel: tags, size, contents, libraries it needs, symbols it shows.

``check_wheel.py WHEEL [--root CHECKOUT]`` lists what is wrong and ends with 1 if anything is.
Which instructions each CPU level may use is the matter of tests/cpp/check_symbols.py, which sees
the objects before they are stripped.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

MAX_BYTES = 5_000_000
# What every Linux with a C++ runtime has; libgomp travels in fastsum.libs of a repaired wheel.
SYSTEM = re.compile(
    r"(libgomp(-[0-9a-f]+)?\.so\.1(\.0\.0)?|libstdc\+\+\.so\.6|libgcc_s\.so\.1|libm\.so\.6"
    r"|libc\.so\.6|libpthread\.so\.0|ld-linux.*)$"
)
PLACES = re.compile(
    r"(_fastsum_command\.py|fastsum/[\w./]+\.(py|pyi|npz|xz|md)|fastsum/(py\.typed|VERSION)"
    r"|fastsum/(_core|_cuda)[\w/.-]*\.so|fastsum-[^/]+\.dist-info/[\w./-]+"
    r"|fastsum\.libs/libgomp[^/]*)$"
)
NAME = re.compile(
    r"fastsum-[^-]+-(cp3\d+)-(cp3\d+t?|abi3)"
    r"-(linux|manylinux|musllinux|macosx|win)[\w.]*\.whl$"
)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def contents(names, root):
    """Yield what is in the wheel and should not be, and what should be and is not."""
    for name in names:
        if not PLACES.match(name):
            yield f"stray file {name}"
    for path in sorted((root / "fastsum").rglob("*")):
        name = path.relative_to(root).as_posix()
        source = path.suffix in {".py", ".pyi"} or path.name in ("py.typed", "VERSION")
        if source and "__pycache__" not in name and name not in names:
            yield f"missing {name}"
    for path in (root / "fastsum" / "_core").glob("*.pyx"):
        if not any(
            n.startswith(f"fastsum/_core/{path.stem}.") and n.endswith(".so") for n in names
        ):
            yield f"missing the compiled {path.stem}"
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        yield "missing the licence"


def library(path):
    """Yield what an extension module needs or shows beyond its share."""
    dynamic = run("readelf", "-d", str(path))
    for needed in re.findall(r"\(NEEDED\).*\[(.+?)\]", dynamic):
        if not SYSTEM.match(needed):
            yield f"{path.name} needs {needed}"
    if re.search(r"TEXTREL", dynamic):
        yield f"{path.name} has relocations in its code"
    for run_path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic):
        if not run_path.startswith("$ORIGIN"):
            yield f"{path.name} looks for libraries in {run_path}"
    for line in run("nm", "-D", "--defined-only", str(path)).splitlines():
        symbol = line.split()[-1]
        if not symbol.startswith("PyInit_"):
            yield f"{path.name} shows {symbol}"
    if re.search(r"GNU_STACK.*RWE", run("readelf", "-lW", str(path))):
        yield f"{path.name} asks for an executable stack"


def faults(wheel, root):
    """Yield every fault of a wheel as a sentence."""
    if not NAME.match(wheel.name):
        yield f"{wheel.name}: not a wheel of one CPython and one platform"
    if (size := wheel.stat().st_size) > MAX_BYTES:
        yield f"{size:,} bytes, more than {MAX_BYTES:,}"
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        yield from contents(names, root)
        for name in names:
            if name.endswith(".so") and "linux" in wheel.name:
                yield from library(Path(archive.extract(name, folder)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, nargs="+")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    arguments = parser.parse_args()
    failed = False
    for wheel in arguments.wheels:
        found = list(faults(wheel, arguments.root))
        failed |= bool(found)
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, {len(found)} faults")
        print(*(f"  {fault}" for fault in found), sep="\n", end="\n" if found else "")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
