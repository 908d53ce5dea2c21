"""The formats in which a model is handed out; a new one costs a function and an entry."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compression.export.packed import load_packed, save_packed
from compression.export.program import program_outputs, save_program
from compression.measure import export_onnx
from compression.models.files import Loaded, load_weights, save_weights
from compression.registry import UserError

TOLERANCE = 1e-4
"""How far a logit may be from PyTorch's, as a share of the largest one, or of 1 where that is smaller."""


@dataclass(frozen=True)
class Format:
    """A way of writing a model to a file.

    Attributes:
        label: the name shown in menus.
        sentence: what it is for, in one plain sentence.
        file: the name of its file.
        write: writes a model, of which it may run images, to a path, and says what else a card should.
        outputs: what the file makes of images, N×K, read back as somebody else would.
    """

    label: str
    sentence: str
    file: str
    write: Callable[[Loaded, Tensor, Path], dict[str, Any]]
    outputs: Callable[[Loaded, Tensor, Path], Tensor]


def difference(given_NK: Tensor, wanted_NK: Tensor) -> float:
    """The largest difference between logits, as a share of the largest logit, or of 1 where that is smaller."""
    return float((given_NK - wanted_NK).abs().max() / max(1.0, float(wanted_NK.abs().max())))


def _safetensors(loaded: Loaded, images: Tensor, path: Path) -> dict[str, Any]:
    save_weights(loaded.model, loaded.blueprint, path)
    return {}


def _safetensors_outputs(loaded: Loaded, images: Tensor, path: Path) -> Tensor:
    outputs: Tensor = load_weights(path).model(images)
    return outputs


def _onnx(loaded: Loaded, images: Tensor, path: Path) -> dict[str, Any]:
    import onnx

    try:
        export_onnx(loaded.model, loaded.blueprint.input_shape, path)
    except RuntimeError as fault:
        raise UserError(str(fault)) from None
    opsets = onnx.load(str(path), load_external_data=False).opset_import
    return {"opset": next(one.version for one in opsets if one.domain in ("", "ai.onnx"))}


def _onnx_outputs(loaded: Loaded, images: Tensor, path: Path) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": images.contiguous().numpy()})
    return torch.from_numpy(np.asarray(logits))


def _program(loaded: Loaded, images: Tensor, path: Path) -> dict[str, Any]:
    save_program(loaded.model, images, path)
    return {}


def _program_outputs(loaded: Loaded, images: Tensor, path: Path) -> Tensor:
    return program_outputs(path, images)


def _packed(loaded: Loaded, images: Tensor, path: Path) -> dict[str, Any]:
    save_packed(loaded.model, path)
    return {}


def _packed_outputs(loaded: Loaded, images: Tensor, path: Path) -> Tensor:
    model = copy.deepcopy(loaded.model)
    model.load_state_dict(load_packed(path))
    outputs: Tensor = model(images)
    return outputs


FORMATS: dict[str, Format] = {
    "safetensors": Format(
        "safetensors",
        "The weights and what it takes to build the model again; load_model reads it.",
        "model.safetensors",
        _safetensors,
        _safetensors_outputs,
    ),
    "onnx": Format(
        "ONNX",
        "The graph for ONNX Runtime and other engines, input 'input', output 'logits', batches of any length.",
        "model.onnx",
        _onnx,
        _onnx_outputs,
    ),
    "torch": Format(
        "torch.export",
        "The graph as a program that torch.export.load reads, batches of any length.",
        "model.pt2",
        _program,
        _program_outputs,
    ),
    "packed": Format(
        "packed weights",
        "The weights without their zeros, as long as the charts' packed size; load_packed reads it.",
        "model.packed",
        _packed,
        _packed_outputs,
    ),
}
