"""From a module to its int8 file, and back to a module that runs that file."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.measure import export_onnx, layer_macs, sizes, trace
from compression.models.files import Blueprint
from compression.models.quantized import Origin, Quantized
from compression.models.structure import CONVOLUTIONS
from compression.quantization.compact import compact
from compression.quantization.modes import MODES
from compression.recipe import Quantize
from compression.registry import UserError, in_a_line, pick
from compression.training import normalise

BATCH = 32
"""Images of a calibration that pass at a time."""


@dataclass(frozen=True)
class Made:
    """A quantised module, what it takes to build it again, and what a reader must know of it."""

    model: Quantized
    blueprint: Blueprint
    note: str


def quantize(model: nn.Module, input_shape: tuple[int, ...], dataset: Dataset, stage: Quantize, seed: int = 0) -> Made:
    """Export a module to ONNX and round it to int8.

    Convolutions and linear layers get int8 weights with a scale for each output channel, or each layer;
    what stays in float is BatchNorm that could not be folded, LayerNorm, biases and softmax.
    Exporting may change nn.Module for the whole process while it lasts: a server does it in a process of its own.

    Args:
        model: in ``eval()`` mode; left as it is.
        input_shape: C×H×W.
        dataset: whose training images calibrate.
        stage: how.
        seed: draws the images.

    Raises:
        UserError: the module cannot be exported or quantised; one line says why.
    """
    way = pick(MODES, stage.mode, "mode")
    shown = _drawn(dataset, stage.images if way.needs else 0, seed)
    with tempfile.TemporaryDirectory(prefix="espalier-int8-") as name:
        folder = Path(name)
        try:
            export_onnx(model, input_shape, folder / "float.onnx")
            with _quiet():
                _prepared(folder / "float.onnx", folder / "folded.onnx")
                way.call(folder / "folded.onnx", folder / "int8.onnx", stage, _batches(dataset, shown))
        except Exception as fault:  # the library meets what it cannot do in many ways
            reason = in_a_line(fault)
            raise UserError(f"The model cannot be quantised: {reason}") from None
        file, float_bytes = compact((folder / "int8.onnx").read_bytes()), (folder / "float.onnx").stat().st_size
    return _made(file, model, input_shape, _note(len(file), float_bytes, len(shown)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library warns of through the root logger, such as biases that have no channels."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _drawn(dataset: Dataset, images: int, seed: int) -> Tensor:
    """The positions of so many training images, drawn by the seed."""
    return torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:images]


def _batches(dataset: Dataset, shown: Tensor) -> Iterator[Tensor]:
    """The training images at these positions as the network sees them; all at once would be four times their bytes."""
    return (normalise(dataset.train.images[part], dataset) for part in torch.split(shown, BATCH))


def _prepared(source: Path, target: Path) -> None:
    """Fold what is constant, and write down the shapes that quantising asks for."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    # Symbolic shapes are for graphs of Loop and If; those of attention make its inference fail.
    quant_pre_process(str(source), str(target), skip_symbolic_shape=True)


def _made(file: bytes, model: nn.Module, input_shape: tuple[int, ...], note: str) -> Made:
    size, done = sizes(model), trace(model, input_shape)
    layers, work = dict(model.named_modules()), layer_macs(model, input_shape)
    rounded = sum(macs for name, macs in work.items() if isinstance(layers[name], (nn.Linear, *CONVOLUTIONS)))
    origin = asdict(
        Origin(
            params=size.params,
            nonzero=size.nonzero,
            sparsity=size.sparsity,
            macs=done.macs,
            int8_macs=rounded,
            peak_bytes=done.peak_bytes,
            activation_bytes=done.activation_bytes,
        )
    )
    blueprint = Blueprint("quantized", {"size": len(file), "origin": origin}, input_shape)
    made = Quantized(len(file), origin)
    made.load_state_dict({"graph": torch.frombuffer(bytearray(file), dtype=torch.uint8)})
    return Made(made.eval(), blueprint, note)


def _note(int8_bytes: int, float_bytes: int, images: int) -> str:
    calibrated = f"; its ranges are those of {images:,} training images" if images else ""
    return (
        f"The ONNX file has {int8_bytes:,} bytes, {float_bytes / int8_bytes:.1f} times fewer than in float{calibrated}."
    )
