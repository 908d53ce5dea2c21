from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision
from torch import Tensor, nn

from compression.measure import export_onnx
from compression.measure import onnx as module
from tests.measure.nets import Broken, Encoder, cnn


def outputs(path: Path, x: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": x.numpy()})
    return np.asarray(logits)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_file_gives_the_modules_outputs(tmp_path: Path, batch: int) -> None:
    model, x = cnn(), torch.randn(batch, 2, 8, 8)
    export_onnx(model, (2, 8, 8), tmp_path / "m.onnx")
    np.testing.assert_allclose(outputs(tmp_path / "m.onnx", x), model(x).detach(), rtol=1e-4, atol=1e-5)


def test_residual_network_and_silence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = torchvision.models.resnet18(num_classes=4).train()
    x = torch.randn(2, 3, 32, 32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        export_onnx(model, (3, 32, 32), tmp_path / "m.onnx")
    assert not caught
    assert capfd.readouterr() == ("", "")
    assert all(part.training for part in model.modules())
    np.testing.assert_allclose(outputs(tmp_path / "m.onnx", x), model.eval()(x).detach(), rtol=1e-3, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


class Counts(nn.Module):
    """Adds the batch's length, which tracing takes for a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y + float(len(x))


def test_a_length_baked_in_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(module, "_by_export", refuse)
    with pytest.raises(RuntimeError, match="The export to ONNX failed: not today"):
        export_onnx(Counts(), (3,), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.slow
def test_second_exporter_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gone(*args: object) -> None:
        raise TypeError("export() got an unexpected keyword argument 'dynamo'")

    monkeypatch.setattr(module, "_by_torchscript", gone)
    model, x = cnn(), torch.randn(3, 2, 8, 8)
    export_onnx(model, (2, 8, 8), tmp_path / "m.onnx")
    np.testing.assert_allclose(outputs(tmp_path / "m.onnx", x), model(x).detach(), rtol=1e-4, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    assert capfd.readouterr() == ("", "")


def test_attention_exports(tmp_path: Path) -> None:
    model, x = Encoder().eval(), torch.randn(1, 1, 10, 16)
    export_onnx(model, (1, 10, 16), tmp_path / "m.onnx")
    np.testing.assert_allclose(outputs(tmp_path / "m.onnx", x), model(x).detach(), rtol=1e-3, atol=1e-4)


def test_what_cannot_run_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="export to ONNX failed") as fault:
        export_onnx(Broken(), (2,), tmp_path / "m.onnx")
    assert "\n" not in str(fault.value)
