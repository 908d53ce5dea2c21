"""Where a transformer looks: its attention maps."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from compression.models.transformers import Attention
from compression.registry import UserError


@torch.no_grad()
def attention_maps(model: nn.Module, images_NCHW: Tensor) -> dict[str, Tensor]:
    """How much each token takes from each in every head, N×h×T×T, by the layer that makes the heads.

    The names are those of pruning's reports (``blocks.0.attention.qkv``); every row sums to 1. Attention in
    windows, which has biases for their places, is left out: its tokens are no picture of the image.

    Args:
        model: left as it is.
        images_NCHW: as the network sees them.

    Raises:
        UserError: the model has no attention that looks at the whole image.
    """
    twin = copy.deepcopy(model).eval()  # hooks on the caller's module would fire in other threads too
    maps: dict[str, Tensor] = {}

    def note(attention: Any, given: tuple[Tensor, ...], name: str) -> None:
        maps[name] = attention.maps(given[0])

    for name, module in twin.named_modules():
        if isinstance(module, Attention) and module.bias is None:
            made = f"{name}.qkv".lstrip(".")
            module.register_forward_pre_hook(lambda module, given, name=made: note(module, given, name))
    twin(images_NCHW)
    if not maps:
        raise UserError("The model has no attention to show of the whole image; choose a plain vision transformer")
    return maps
