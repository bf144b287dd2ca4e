"""What the last bit of a fit depends on, beside its data and settings."""

from __future__ import annotations

import platform
import zlib
from pathlib import Path
from typing import Any

import numpy
import scipy
from threadpoolctl import threadpool_info

from fastsum._core import _kernels, _phases, _working_set
from fastsum.threads import resolve_n_threads


def bits_depend_on(n_jobs: int) -> dict[str, Any]:
    """CPU level, build, libraries and threads, as plain values by name."""
    crc = 0
    for module in (_kernels, _phases, _working_set):
        crc = zlib.crc32(Path(str(module.__file__)).read_bytes(), crc)
    blas = sorted(
        f"{lib['internal_api']} {lib['version']} {lib.get('architecture')}"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    )
    return {
        "machine": platform.machine(),
        "CPU level": _kernels.cpu_level(),
        "build": crc,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "BLAS": ", ".join(blas),
        "threads": resolve_n_threads(n_jobs),
    }
