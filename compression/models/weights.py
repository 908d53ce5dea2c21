"""Weights from strangers: safetensors, or a state dict as ``torch.save`` writes it.

A state dict is a pickle. It is read with ``weights_only=True``, never without, in a process of its own
(``weights_process``) whose memory and time are bounded; what comes back is safetensors. Both kinds must
hold dense, finite numbers that take no more memory than their file does.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from compression.models.files import check_finite
from compression.registry import UserError, in_a_line, quoted

MAX_BYTES = 4 * 2**30
"""A larger file is refused."""
MAX_NUMBERS = 1_000_000_000
"""Of all tensors of a file together: the largest of torchvision's models has 645 million."""
SECONDS = 300
"""What reading a state dict may take."""
REPEATED = 2
"""Times the file's size that its tensors may take: two names may share one, but a stride of 0 makes any amount."""
DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
)


def read_weights_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a state dict in any other file.

    Raises:
        UserError: no regular file, one that is empty, too large or not whole, one that holds more
            than dense tensors of numbers, or NaN or infinite values.
    """
    size = _size(path)
    tensors = _plain(path) if path.suffix == ".safetensors" else _in_a_process(path)
    check_tensors(tensors, size, str(path))
    return tensors


def _size(path: Path) -> int:
    try:
        found = os.stat(path)  # before it is opened: a pipe would wait for ever
        if not stat.S_ISREG(found.st_mode):
            raise OSError
        with path.open("rb"):
            pass
    except (OSError, ValueError):  # the latter for a name with a zero byte
        raise UserError(f"No weights file can be read at {quoted(str(path))}") from None
    if not found.st_size:
        raise UserError(f"{quoted(str(path))} is empty")
    if found.st_size > MAX_BYTES:
        given = found.st_size / 2**30
        raise UserError(f"{quoted(str(path))} has {given:.1f} GiB; at most {MAX_BYTES / 2**30:g} GiB are read")
    return found.st_size


def _plain(path: Path) -> dict[str, Tensor]:
    try:
        return load(path.read_bytes())
    except (SafetensorError, KeyError) as fault:  # the latter for a type that torch lacks
        reason = in_a_line(fault, 120)
        raise UserError(f"{quoted(str(path))} is not a whole safetensors file ({reason})") from None


def _in_a_process(path: Path) -> dict[str, Tensor]:
    """Have another process rewrite a state dict as safetensors, and read that."""
    with tempfile.TemporaryDirectory(prefix="espalier-weights-") as folder:
        written = Path(folder) / "weights.safetensors"
        reader = [sys.executable, "-m", "compression.models.weights_process"]
        command = [*reader, str(path.absolute()), str(written), str(path)]
        try:
            done = subprocess.run(
                command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise UserError(f"{quoted(str(path))} took longer than {SECONDS} s to read") from None
        if done.returncode == 1 and done.stdout:
            raise UserError(done.stdout.strip())
        if done.returncode:
            ended = f"the process that read it ended with status {done.returncode}"
            raise UserError(f"{quoted(str(path))} cannot be read: {ended}")
        return load(written.read_bytes())


def check_tensors(tensors: Mapping[Any, Any], size: int, where: str) -> None:
    """Raise UserError unless these are dense, finite numbers by name that fit a file of ``size`` bytes."""
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(
                f"{quoted(where)} is no state dict: it has {quoted(name)} of type {type(tensor).__name__}, "
                "where names of tensors are expected"
            )
        if tensor.layout is not torch.strided or tensor.dtype not in DTYPES or tensor.device.type != "cpu":
            kind = f"{tensor.layout}, {tensor.dtype}, {tensor.device.type}".replace("torch.", "")
            raise UserError(f"Tensor {quoted(name)} of {quoted(where)} is {kind}; dense numbers are read")
    if not tensors:
        raise UserError(f"{quoted(where)} holds no tensors")
    numbers = sum(tensor.numel() for tensor in tensors.values())
    if numbers > MAX_NUMBERS:
        raise UserError(f"{quoted(where)} holds {numbers:,} numbers; at most {MAX_NUMBERS:,} are read")
    taken = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if taken > REPEATED * size:
        raise UserError(f"The tensors of {quoted(where)} would take {taken:,} bytes, but the file has {size:,}")
    check_finite(dict(tensors), where)
