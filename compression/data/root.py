"""Where data sets and studies lie on this machine; read without torch."""

from __future__ import annotations

import os
from pathlib import Path


def data_root() -> Path:
    """Where fetched data sets live: ``$ESPALIER_DATA`` or ``~/.cache/espalier/data``."""
    return Path(os.environ.get("ESPALIER_DATA") or Path.home() / ".cache" / "espalier" / "data")


def own_root() -> Path:
    """Where what somebody brought or made lies: data and models of one's own, studies."""
    return data_root()


def own_file(name: str) -> Path:
    """Where a data set of one's own lies that was added by this name."""
    return own_root() / "own" / f"{name}.safetensors"
