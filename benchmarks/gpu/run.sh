#!/usr/bin/env bash
# All that a machine with a GPU is asked: builds with plain meson and ninja, runs the tests marked `gpu`, compute-sanitizer over the
# passes, and the benchmark, which prints one table. Needs nvcc, Python with the packages of pyproject.toml, pybind11, meson, ninja
# and pytest; nothing is fetched.
#   benchmarks/gpu/run.sh [ROWS]      ROWS of the large fits, 10,000,000 by default
# GPU_ARCH is the compute capability to build for (90), BUILD the folder of the build, kept for the next run if it is given,
# SANITIZE=0 leaves the sanitizer out.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
rows=${1:-10000000}
build=${BUILD:-$(mktemp -d)}
[ -n "${BUILD:-}" ] || trap 'rm -rf "$build"' EXIT
site=$build/site
cd "$root"

[ -d "$build/meson" ] || meson setup "$build/meson" --prefix="$build/prefix" -Dcuda=enabled -Dgpu_arch="${GPU_ARCH:-90}" \
  -Dcpu_levels=v3,v4 -Dpython.purelibdir="$site" -Dpython.platlibdir="$site" >"$build/setup.log" || { cat "$build/setup.log"; exit 1; }
ninja -C "$build/meson" install >"$build/ninja.log" || { tail -n 40 "$build/ninja.log"; exit 1; }
export PYTHONPATH=$site PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1
python -c 'import fastsum; fastsum.show_versions()' | grep -E '^(fastsum|CUDA)'

python -m pytest -q -m gpu -rs -p no:cacheprovider tests/test_cuda.py

sanitizer=$(command -v compute-sanitizer || true)
if [ "${SANITIZE:-1}" = 1 ] && [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    "$sanitizer" --tool "$tool" --error-exitcode 9 python benchmarks/gpu/small.py >"$build/$tool.log" 2>&1 ||
      { echo "$tool found faults:"; tail -n 30 "$build/$tool.log"; exit 1; }
    echo "$tool: clean"
  done
else
  echo "compute-sanitizer: not run (not on PATH, or SANITIZE=0)"
fi

python benchmarks/gpu/table.py --rows "$rows"
