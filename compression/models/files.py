"""Model files: safetensors with enough about the architecture to build the module again.

A file's metadata holds ``espalier``: JSON with the architecture's name, its configuration,
the shape of an input and the structure (the widths that differ after surgery). There is no
pickle anywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from compression.models.architectures import ARCHITECTURES
from compression.models.structure import restructure, structure
from compression.registry import UserError, pick


@dataclass(frozen=True)
class Blueprint:
    """What it takes to build a module before its weights are loaded."""

    architecture: str
    config: dict[str, Any]
    input_shape: tuple[int, ...]

    def build(self) -> nn.Module:
        """A freshly initialised module. Raises UserError for an unknown architecture."""
        return pick(ARCHITECTURES, self.architecture, "architecture")(**self.config)


@dataclass(frozen=True)
class Loaded:
    """A module in ``eval()`` mode and the blueprint that it was built from."""

    model: nn.Module
    blueprint: Blueprint


def weights_bytes(model: nn.Module, blueprint: Blueprint) -> bytes:
    """The safetensors file of a module as bytes; loads back with ``load_weights``."""
    about = {
        "architecture": blueprint.architecture,
        "config": blueprint.config,
        "input_shape": list(blueprint.input_shape),
        "structure": structure(model),
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    return bytes(save(tensors, metadata={"espalier": json.dumps(about)}))


def save_weights(model: nn.Module, blueprint: Blueprint, path: Path) -> None:
    """Write the safetensors file; a write that is cut off leaves the old file as it was."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(weights_bytes(model, blueprint))
    partial.replace(path)


def load_weights(path: Path) -> Loaded:
    """Read a file that ``save_weights`` wrote.

    Raises:
        UserError: no such file, not a whole safetensors file, not ours, tensors that do not fit
            the architecture, or NaN or infinite values.
    """
    try:
        return read_weights(path.read_bytes(), str(path))
    except OSError:
        raise UserError(f"No model file can be read at '{path}'") from None


def read_weights(content: bytes, where: str) -> Loaded:
    """Build the module of a safetensors file in memory; ``where`` names it in errors, as above."""
    try:
        tensors = load(content)
    except SafetensorError as fault:
        raise UserError(f"'{where}' is not a whole safetensors file ({fault})") from None
    # A safetensors file opens with the length of its JSON header, which holds the metadata.
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    about = header.get("__metadata__", {}).get("espalier")
    if about is None:
        raise UserError(f"'{where}' was not written by Espalier: its metadata names no architecture")
    check_finite(tensors, where)
    return _build(json.loads(about), tensors, where)


def _build(about: dict[str, Any], tensors: dict[str, Tensor], where: str) -> Loaded:
    try:
        blueprint = Blueprint(about["architecture"], about["config"], tuple(about["input_shape"]))
        model = blueprint.build()
        restructure(model, about["structure"])
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as fault:
        reason = " ".join(str(fault).split())
        raise UserError(f"The tensors of '{where}' do not fit its architecture ({reason[:200]})") from None
    return Loaded(model.eval(), blueprint)


def check_finite(tensors: dict[str, Tensor], where: str) -> None:
    """Raise UserError naming the first tensor that holds NaN or infinite values."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"Tensor '{name}' of '{where}' holds NaN or infinite values")
