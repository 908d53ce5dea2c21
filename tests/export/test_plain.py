"""``load_model.py``: plain Python that does what the module does, or is not written at all."""

from __future__ import annotations

import ast
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import convnext

from compression.export import plain as module
from compression.export import plain_python
from compression.models.zoo import load
from compression.registry import UserError


def rebuilt(text: str, model: nn.Module) -> nn.Module:
    names: dict[str, Any] = {"__name__": "load_model", "__file__": "load_model.py"}
    exec(text, names)
    again: nn.Module = names["Model"]()
    again.load_state_dict(model.state_dict())
    return again.eval()


def small_convnext() -> nn.Module:
    """Layer scales of its own, LayerNorms that are not torch's, and stochastic depth."""
    setting = [convnext.CNBlockConfig(8, 16, 2), convnext.CNBlockConfig(16, None, 1)]
    return models.ConvNeXt(setting, stochastic_depth_prob=0.5, num_classes=5)


@pytest.mark.parametrize("build", [small_convnext, lambda: models.resnet18(num_classes=4)], ids=["convnext", "resnet"])
def test_torchvisions_models_need_no_torchvision(build: Any) -> None:
    torch.manual_seed(0)
    model, x = build().train(), torch.randn(3, 3, 32, 32)
    text = plain_python(model, x, "mine", "model.safetensors")
    assert all(part.training for part in model.modules())
    assert torch.equal(rebuilt(text, model)(x), model.eval()(x))
    imported = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert imported == {"pathlib", "torch", "packing", "safetensors.torch"}


def test_layers_are_written_at_their_widths_and_train_as_before() -> None:
    model = load("digits-cnn").model
    text = plain_python(model, torch.randn(2, 1, 8, 8), "digits-cnn", "model.safetensors")
    assert "'blocks.0.conv1', nn.Conv2d(32, 32, (3, 3), stride=(1, 1), padding=(1, 1)" in text
    again, x = rebuilt(text, model).train(), torch.randn(5, 1, 8, 8)
    assert torch.equal(again(x), model.train()(x))  # BatchNorm by the batch in both
    model.eval()


class Chooses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(4.0)


class Odd(nn.Linear):
    """A layer of somebody's own, which torch.nn does not have, called by a layer of torch's."""


class Hooked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.layer.register_forward_hook(lambda module, given, y: y + 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


@pytest.mark.parametrize("build", [Chooses, Constant, Hooked, lambda: nn.TransformerEncoderLayer(4, 2)])
def test_what_cannot_be_written_with_torch_alone_is_refused(build: Any) -> None:
    with pytest.raises(UserError, match="^The model cannot be written as plain Python ") as caught:
        plain_python(build().eval(), torch.randn(3, 4), "mine", "model.safetensors")
    assert "\n" not in str(caught.value)


def test_a_layer_of_somebodys_own_is_written_as_what_it_does() -> None:
    model, x = nn.Sequential(Odd(4, 3), nn.ReLU()).eval(), torch.randn(3, 4)
    assert torch.equal(rebuilt(plain_python(model, x, "m", "w"), model)(x), model(x))


def test_a_text_with_other_outputs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = module._body
    monkeypatch.setattr(
        module, "_body", lambda graph: (honest(graph)[0].replace("return ", "return 2 * "), honest(graph)[1])
    )
    with pytest.raises(UserError, match="its text gives other outputs"):
        plain_python(load("digits-mlp").model, torch.randn(2, 1, 8, 8), "m", "w")


def test_a_title_stays_within_its_quotes_and_random_numbers_are_not_drawn() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    text = plain_python(load("digits-mlp").model, torch.ones(2, 1, 8, 8), '"""\nimport os\n\\', "model.safetensors")
    assert torch.equal(torch.rand(2), expected)
    assert '"""' not in text.removeprefix('"""').split("\n")[0]
    assert "\nimport os" not in text
