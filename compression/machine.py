"""The machine and the libraries as they are known without torch: its cores and accelerators, their versions."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path

import psutil

GIVEN = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much memory a container has."""
LIBRARIES = ("torch", "torchvision", "onnxruntime", "torch-pruning", "espalier")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on; those not installed are left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory that this process may take: the machine's, or what its container was given of them."""
    whole = psutil.virtual_memory().total
    with suppress(OSError, ValueError):  # there is no such group, or its limit is "max"
        return min(whole, int(GIVEN.read_text()))
    return whole


def gpus() -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` calls each NVIDIA accelerator that this process may use; asked without torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return _driven()
    named = (one.strip() for one in given.split(","))
    return list(takewhile(lambda one: one not in ("", "-1"), named))  # as CUDA reads it


def _driven() -> list[str]:
    """The accelerators that the driver knows, where there is one."""
    try:
        asked = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return said.stdout.split()
