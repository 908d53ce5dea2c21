"""The runtimes in which latency is measured; a new one costs a function and an entry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from compression.measure.onnx import export_onnx
from compression.models.quantized import Quantized, session_of

Run = Callable[[], object]


@dataclass(frozen=True)
class Runtime:
    """A way of running a module on one thread.

    Attributes:
        label: the name shown in menus.
        sentence: what it is, in one plain sentence.
        build: from a module and an input batch to a function that runs it once.
        takes: whether it can run a module.
    """

    label: str
    sentence: str
    build: Callable[[nn.Module, Tensor], Run]
    takes: Callable[[nn.Module], bool] = lambda model: True


def eager(model: nn.Module, x_NCHW: Tensor) -> Run:
    """PyTorch as written, in channels-last memory where the module has 2-D convolutions.

    Channels-last is faster for nearly all of them (1.1-1.5 times at batch 1, measured on
    x86; only convolutions of 8 channels lose a tenth), and the same for baseline and candidate.
    """
    if x_NCHW.ndim == 4 and any(isinstance(module, nn.Conv2d) for module in model.modules()):
        model = model.to(memory_format=torch.channels_last)
        x_NCHW = x_NCHW.contiguous(memory_format=torch.channels_last)
    model.eval()
    return torch.inference_mode()(lambda: model(x_NCHW))


def onnxruntime(model: nn.Module, x_NCHW: Tensor) -> Run:
    """ONNX Runtime on the CPU: one thread, sequential, all graph optimisations, in the numbers that the file has."""
    with tempfile.TemporaryDirectory(prefix="espalier-onnx-") as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, tuple(x_NCHW.shape[1:]), path)
        session = session_of(path.read_bytes())
    feed = {session.get_inputs()[0].name: x_NCHW.contiguous().numpy()}
    return lambda: session.run(None, feed)


RUNTIMES: dict[str, Runtime] = {
    "eager": Runtime(
        "PyTorch eager",
        "PyTorch's own operators, called one by one from Python; not for int8 files.",
        eager,
        lambda model: not isinstance(model, Quantized),
    ),
    "onnxruntime": Runtime(
        "ONNX Runtime",
        "The exported graph, fused and optimised, as one would deploy it on a CPU.",
        onnxruntime,
    ),
}
