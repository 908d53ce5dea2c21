"""The runtimes in which latency is measured; a new one costs a function and an entry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from compression.measure.onnx import export_onnx

Run = Callable[[], object]


@dataclass(frozen=True)
class Runtime:
    """A way of running a module on one thread.

    Attributes:
        label: the name shown in menus.
        sentence: what it is, in one plain sentence.
        build: from a module and an input batch to a function that runs it once.
    """

    label: str
    sentence: str
    build: Callable[[nn.Module, Tensor], Run]


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
    """ONNX Runtime on the CPU in fp32: one thread, sequential, all graph optimisations."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    with tempfile.TemporaryDirectory(prefix="espalier-onnx-") as folder:
        path = Path(folder) / "model.onnx"
        export_onnx(model, tuple(x_NCHW.shape[1:]), path)
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x_NCHW.contiguous().numpy()}
    return lambda: session.run(None, feed)


RUNTIMES: dict[str, Runtime] = {
    "eager": Runtime("PyTorch eager", "PyTorch's own operators, called one by one from Python.", eager),
    "onnxruntime": Runtime(
        "ONNX Runtime",
        "The exported graph, fused and optimised, as one would deploy it on a CPU.",
        onnxruntime,
    ),
}
