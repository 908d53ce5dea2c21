"""Where a number was measured: the machine, as torch sees it too."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import torch

from compression.machine import cores


def hardware() -> dict[str, Any]:
    """The machine: cpu, usable cores, torch_threads, memory_gib, gpu (or None) and platform."""
    return {**_machine(), "torch_threads": torch.get_num_threads()}


@lru_cache(maxsize=1)
def _machine() -> dict[str, Any]:
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "platform": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name for people, or its architecture where the system does not tell."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
