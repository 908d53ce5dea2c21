"""Model files: safetensors with enough about the architecture to build the module again.

A file's metadata holds ``espalier``: JSON with the architecture's name, its configuration, the shape
of an input and what it was normalised with, the structure (the widths that differ after surgery) and
the names of the blocks that were removed. There is no pickle anywhere.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from compression.models.architectures import ARCHITECTURES
from compression.models.structure import remove, removed, restructure, structure
from compression.normalisation import Normalisation, known_normalisation
from compression.registry import UserError, pick, quoted
from compression.writing import write_whole

MAX_INPUT = 4_000_000
"""Values of one input, C×H×W: a file that names a larger one is refused."""


@dataclass(frozen=True)
class Blueprint:
    """What it takes to build a module before its weights are loaded, and what to feed it.

    ``normalisation`` is what its images were normalised with; None where each data set's own mean and deviation serve.
    """

    architecture: str
    config: dict[str, Any]
    input_shape: tuple[int, ...]
    normalisation: Normalisation | None = None

    @property
    def classes(self) -> int | None:
        """How many classes are told apart; None where the configuration does not say."""
        return self.config.get("classes", self.config.get("num_classes"))

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
        "removed": removed(model),
        **({"normalisation": blueprint.normalisation._asdict()} if blueprint.normalisation else {}),
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    return bytes(save(tensors, metadata={"espalier": json.dumps(about)}))


def save_weights(model: nn.Module, blueprint: Blueprint, path: Path) -> None:
    """Write the safetensors file; a write that is cut off leaves the old file as it was."""
    write_whole(path, weights_bytes(model, blueprint))


def load_weights(path: Path) -> Loaded:
    """Read a file that ``save_weights`` wrote.

    Raises:
        UserError: no such file, not a whole safetensors file, not ours, tensors that do not fit
            the architecture, or NaN or infinite values.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError):  # the latter for a name with a zero byte
        raise UserError(f"No model file can be read at {quoted(str(path))}") from None
    return read_weights(content, str(path))


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
    try:
        return _build(json.loads(about), tensors)
    except UserError:
        raise
    except Exception as fault:  # a stranger's metadata can make an architecture fail in any way
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())
        raise UserError(f"The tensors of '{where}' do not fit its architecture ({reason[:200]})") from None


def _build(about: dict[str, Any], tensors: dict[str, Tensor]) -> Loaded:
    shape = tuple(about["input_shape"])
    blueprint = Blueprint(about["architecture"], about["config"], shape, known_normalisation(about, shape[0]))
    if math.prod(blueprint.input_shape) > MAX_INPUT:
        raise UserError(f"input_shape is {blueprint.input_shape}; at most {MAX_INPUT:,} values are allowed")
    # Cloned, because the tensors of a file lie wherever its header ends: no fit place for vectors.
    weights = {name: tensor.clone() for name, tensor in tensors.items()}
    # On the meta device a module has shapes and no memory: until its tensors are known to fit, a
    # file cannot make us allocate more than its own size, and no random numbers are drawn.
    model = _reshaped(without_memory(blueprint), about)
    model.load_state_dict(state_of(model, weights), assign=True)
    if any(buffer.is_meta for buffer in model.buffers()):  # some that are computed, and in no file
        model = _reshaped(initialised(blueprint), about)
        model.load_state_dict(state_of(model, weights), assign=True)
    model.float().eval()
    with torch.inference_mode():
        model(torch.zeros(1, *blueprint.input_shape))
    return Loaded(model, blueprint)


def _reshaped(model: nn.Module, about: dict[str, Any]) -> nn.Module:
    return restructure(remove(model, about.get("removed", ())), about["structure"])


def state_of(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as a state dict of the module's present version, which files do not hold and MNASNets ask for."""
    state = OrderedDict(tensors)
    state._metadata = {"": {"version": model._version}}  # type: ignore[attr-defined]
    return state


def without_memory(blueprint: Blueprint) -> nn.Module:
    """A module that has shapes and no memory, on the meta device."""
    if blueprint.architecture != "code":  # which may do anything with its tensors
        try:
            with torch.device("meta"):
                return blueprint.build()
        except RuntimeError as fault:  # RegNets, for one, compute their widths with tensors
            if "meta tensor" not in str(fault):
                raise
    return initialised(blueprint).to("meta")


def initialised(blueprint: Blueprint, seed: int = 0) -> nn.Module:
    """A freshly initialised module, the same for the same seed; nobody else's random draws change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return blueprint.build()


def check_finite(tensors: dict[str, Tensor], where: str) -> None:
    """Raise UserError naming the first tensor that holds NaN or infinite values."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise UserError(f"Tensor {quoted(name)} of '{where}' holds NaN or infinite values")
