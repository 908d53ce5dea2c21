from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import mobilenet_v3_small, resnet18

from compression.measure import layer_macs, macs
from compression.registry import UserError
from tests.measure.nets import Attention, Broken, Encoder, cnn


def test_convolutions_and_linear_by_hand() -> None:
    # 2×8×8 → stride 2: 8 channels of 4×4, each 2·3·3; groups 4: 8 channels of 2×2, each 2·3·3.
    by_hand = {"0": 4 * 4 * 8 * 2 * 9, "3": 2 * 2 * 8 * (8 // 4) * 9, "6": 32 * 3}
    assert layer_macs(cnn(), (2, 8, 8)) == by_hand
    assert macs(cnn(), (2, 8, 8)) == sum(by_hand.values())


def test_attention_by_hand() -> None:
    length, width = 10, 16
    projections = 4 * length * width * width
    scores = 2 * length * length * width
    assert layer_macs(Attention(), (1, length, width)) == {"attention": projections + scores, "head": 16 * 3}


def test_encoder_layer_counts_what_the_fused_operator_hides() -> None:
    length, width, hidden = 10, 16, 24
    by_hand = 4 * length * width**2 + 2 * length**2 * width + 2 * length * width * hidden + width * 3
    assert macs(Encoder().eval(), (1, length, width)) == by_hand
    assert torch.backends.mha.get_fastpath_enabled()


def vision_transformer() -> nn.Module:
    return torchvision.models.VisionTransformer(32, 8, 2, 2, hidden_dim=16, mlp_dim=32, num_classes=10)


@pytest.mark.parametrize("build", [vision_transformer, resnet18, mobilenet_v3_small])
def test_equals_torchs_own_counter(build: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = build().eval(), torch.zeros(1, 3, 32, 32)
    with monkeypatch.context() as patch, torch.no_grad(), FlopCounterMode(display=False) as counter:
        patch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
        model(x)
    assert macs(model, (3, 32, 32)) == counter.get_total_flops() // 2
    assert sum(layer_macs(model, (3, 32, 32)).values()) == counter.get_total_flops() // 2


def test_functional_work_belongs_to_the_module_that_does_it() -> None:
    class Matmul(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(5, 5, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.inner(self.inner(x[:, 0]))
            return y @ y.transpose(1, 2)

    assert layer_macs(Matmul(), (1, 4, 5)) == {"inner": 2 * 4 * 5 * 5, "": 4 * 5 * 4}


def test_inside_inference_mode_nothing_is_missed() -> None:
    with torch.inference_mode():
        assert macs(cnn(), (2, 8, 8)) == macs(cnn(), (2, 8, 8))
        assert macs(cnn(), (2, 8, 8)) == 2304 + 576 + 96


def test_modes_and_statistics_stay() -> None:
    model = cnn().train()
    model[1].eval()  # type: ignore[index]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    macs(model, (2, 8, 8))
    layer_macs(model, (2, 8, 8))
    assert [module.training for module in model.modules()] == [True, True, False, *[True] * 5]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_threads_do_not_mix_their_counts() -> None:
    model, counts = cnn(), []
    threads = [
        threading.Thread(
            target=lambda: counts.extend(
                (macs(model, (2, 8, 8)), sum(layer_macs(model, (2, 8, 8)).values())) for _ in range(5)
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 20 and set(counts) == {(2976, 2976)}


def test_a_wrong_shape_gives_one_line_and_the_mode_back() -> None:
    model = cnn().train()
    with pytest.raises(UserError, match=r"input_shape is \(3, 8, 8\)") as fault:
        macs(model, (3, 8, 8))
    assert "\n" not in str(fault.value)
    assert all(module.training for module in model.modules())
    with pytest.raises(UserError, match="out of luck"):
        layer_macs(Broken(), (2,))
