"""When the ranges of the activations are found; a new way costs a function and an entry.

Weights are symmetric, so that a pruned zero stays exactly zero, and lie in -64 to 64: with all eight bits, products
with 8-bit activations overflow the 16-bit sums of processors without VNNI instructions, which took 1.7 points from a
ResNet-20; doing without the eighth bit costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from compression.recipe import Quantize
from compression.registry import Method


def static(source: Path, target: Path, stage: Quantize, batches_NCHW: Iterator[Tensor]) -> None:
    """Write the file with the least and the greatest value of every activation on some images as its range."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the images, batch by batch."""

        def get_next(self) -> dict[str, Any] | None:
            """The next batch by the name of its input; None after the last."""
            batch = next(batches_NCHW, None)
            return None if batch is None else {"input": batch.contiguous().numpy()}

    quantize_static(
        str(source),
        str(target),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=stage.per_channel,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def dynamic(source: Path, target: Path, stage: Quantize, batches_NCHW: Iterator[Tensor]) -> None:
    """Write the file so that every batch finds the ranges of its own activations; no image is looked at."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(source), str(target), per_channel=stage.per_channel, reduce_range=True, weight_type=QuantType.QInt8
    )


MODES: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            key="static",
            label="Static",
            sentence="Ranges of activations are found once, on training images; convolutions run faster.",
            formula=r"q = \operatorname{clip}\left(\left\lfloor x / s \right\rceil + z\right), \quad "
            r"s = \frac{\max x - \min x}{255} \text{ on the calibration images}",
            paper="Jacob et al. 2018, Quantization and training of neural networks, CVPR, arXiv 1712.05877",
            call=static,
            needs=("images",),
        ),
        Method(
            key="dynamic",
            label="Dynamic",
            sentence="Every batch finds its own ranges, without images; for linear layers, as convolutions get slower.",
            formula=r"q = \operatorname{clip}\left(\left\lfloor x / s \right\rceil + z\right), \quad "
            r"s = \frac{\max x - \min x}{255} \text{ of the batch at hand}",
            paper="Krishnamoorthi 2018, Quantizing deep convolutional networks: a whitepaper, arXiv 1806.08342",
            call=dynamic,
        ),
    )
}
"""In the order of the menus."""
