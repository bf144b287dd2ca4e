"""What a bug report needs to know about an installation."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from fastsum._core import _registry
from fastsum.backend import cuda_state
from fastsum.threads import resolve_n_threads

PACKAGES = ("fastsum", "numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")


def show_versions() -> None:
    """Prints versions, threads, CPU level and CUDA state."""
    print(f"python         {sys.version.split()[0]} ({platform.platform()})")
    for package in PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "no metadata (run from a build folder)"
        print(f"{package:<14} {version}")
    levels = ", ".join(
        name if runs else f"{name} (not on this CPU)"
        for name, runs in _registry.cpu_levels().items()
    )
    print(f"CPU level      {_registry.cpu_level()} (built: {levels})")
    openmp = "OpenMP" if _registry.has_openmp() else "no OpenMP"
    print(f"threads        {resolve_n_threads(-1)} with n_jobs=-1, 1 with n_jobs=None ({openmp})")
    usable, reason = cuda_state()
    print(f"CUDA           {'usable' if usable else f'not usable: {reason}'}")
