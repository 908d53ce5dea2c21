"""Packed weights as a file: the zeros dropped, and exactly as long as the charts' ``packed_bytes``."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from compression.measure import pack, stored, unpack
from compression.models.files import check_finite
from compression.registry import UserError, quoted


def save_packed(model: nn.Module, path: Path) -> None:
    """Write a model's state dict packed; the format is described in ``compression.measure.packing``."""
    path.write_bytes(pack(stored(model)))


def load_packed(path: str | Path) -> dict[str, Tensor]:
    """The state dict that a ``model.packed`` file holds, each tensor dense again.

    Raises:
        UserError: no such file, one that is cut off or holds what cannot be, NaN or infinite values.
    """
    try:
        packed = Path(path).read_bytes()
    except (OSError, ValueError):
        raise UserError(f"No packed file can be read at {quoted(str(path))}") from None
    try:
        state = unpack(packed)
    except ValueError as fault:
        raise UserError(f"{quoted(str(path))} is not a whole packed file: {fault}") from None
    check_finite(state, str(path))
    return state
