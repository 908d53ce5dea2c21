"""Export to ONNX: one quiet file with a batch of any length, checked against the module."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from compression.measure.tracing import evaluating
from compression.models.quantized import Quantized
from compression.registry import in_a_line

_lock = threading.Lock()


def export_onnx(model: nn.Module, input_shape: tuple[int, ...], path: Path) -> None:
    """Write the module in ``eval()`` mode as ONNX with input ``input`` and output ``logits``.

    The exporter by TorchScript goes first, because it takes a fifth of a second where the one by
    torch.export takes four. The latter follows where the former fails (or, one day, is gone).
    A file counts only if ONNX Runtime gives the module's outputs on a batch of another
    length than the one that was exported: tracing can bake that length in. Of a quantised module it
    is the very file that the module runs.

    Args:
        model: any module on the CPU that takes one tensor; its mode comes back afterwards.
        input_shape: C×H×W of one image, without the batch, which is free in the file.
        path: the ``.onnx`` file; a file already there is replaced.

    Raises:
        RuntimeError: neither exporter can express the module; one line.
    """
    if isinstance(model, Quantized):
        path.write_bytes(model.file)
        return
    first = next(model.parameters(), torch.zeros(0))
    x = torch.randn(3, *input_shape, dtype=first.dtype, generator=torch.Generator().manual_seed(0))
    reason = ""
    # The exporters, the warning filters and stdout are all global to the process.
    with _lock, evaluating(model), _quiet():
        for export in (_by_torchscript, _by_export):
            try:
                export(model, x[:2], path)
                _compare(model, x, path)
                return
            except Exception as fault:
                reason = in_a_line(fault)
    path.unlink(missing_ok=True)
    raise RuntimeError(f"The export to ONNX failed: {reason}")


def _compare(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {"input": x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(given), model(x), rtol=1e-3, atol=1e-4)


def _by_torchscript(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    torch.onnx.export(
        model,
        (x,),
        str(path),
        dynamo=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def _by_export(model: nn.Module, x: torch.Tensor, path: Path) -> None:
    torch.onnx.export(
        model,
        (x,),
        str(path),
        dynamo=True,
        verbose=False,
        external_data=False,
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
