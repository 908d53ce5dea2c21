"""The process that reads a stranger's state dict: ``python -m compression.models.weights_process FILE OUT NAME``.

It writes the tensors of FILE to OUT as safetensors, or prints in one line, where FILE is called NAME, why not.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import save_file

from compression.models.weights import MAX_BYTES, REPEATED, SECONDS, check_tensors
from compression.registry import UserError, quoted

CONTAINERS = ("state_dict", "model_state_dict", "model")
"""Entries of a checkpoint that hold the state dict, the first that is there."""
SPARE_BYTES = 2**28


def main(path: Path, out: Path, where: str) -> int:
    """Rewrite one file; 1 if it cannot be done."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not get between our lines
    try:
        size = path.stat().st_size
        _bound(size)
        tensors = _opened(path, where)
        check_tensors(tensors, size, where)
        save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, out)
    except UserError as fault:
        print(fault, file=lines, flush=True)
        return 1
    return 0


def _bound(size: int) -> None:
    """Limit what this process may take from here on: a few times its file, and some minutes."""
    try:
        import resource
    except ImportError:  # not on every system
        return
    memory = psutil.Process().memory_info().vms + 4 * REPEATED * size + SPARE_BYTES
    for limit, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, REPEATED * MAX_BYTES),
    ):
        with suppress(ValueError, OSError):  # one that cannot be had is no reason to leave out the others
            resource.setrlimit(limit, (most, most))


def _opened(path: Path, where: str) -> dict[Any, Any]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as fault:  # a stranger's bytes can make it fail in any way
        raise UserError(f"{quoted(where)} {_reason(str(fault))}") from None
    for _ in CONTAINERS:
        if isinstance(loaded, dict):
            loaded = next((loaded[name] for name in CONTAINERS if isinstance(loaded.get(name), dict)), loaded)
    if not isinstance(loaded, dict):
        raise UserError(f"{quoted(where)} is no state dict: it holds a {type(loaded).__name__}")
    return loaded


def _reason(fault: str) -> str:
    """Torch's own words tell how to load the file unsafely, which is what nobody should do."""
    named = re.search(r"GLOBAL ([\w.]+)", fault)
    if named:
        return f"holds code or objects, {named[1][:80]}, which are not read; save model.state_dict() and give that"
    if "allocate memory" in fault:
        return "asks for more memory than a file of its size can need"
    if "TorchScript" in fault:
        return "is a TorchScript archive, which holds code; save model.state_dict() and give that"
    return "is not a whole file of tensors as torch.save writes it"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
