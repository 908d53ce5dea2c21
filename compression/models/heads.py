"""Attention from elsewhere, of which no heads can be cut, replaced by ours with its numbers.

Shapes: N images, H×W places, T tokens (of a window p×q), W windows, D width of a token, h heads, P offsets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.models.transformers import Attention, PerHead

TABLE = "relative_position_bias_table"
"""Torchvision's has a column for each head, ours a row."""


class AsMultihead(nn.Module):
    """``Attention`` in the place of an ``nn.MultiheadAttention``.

    It is called as torchvision calls the original, and a state dict of the original loads as it is.
    """

    NAMES = {"in_proj_": "attention.qkv.", "out_proj.": "attention.proj."}

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = Attention(original.embed_dim, original.num_heads)
        _take(self, original, self.NAMES)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False) -> tuple[Tensor, None]:
        """Self-attention N×T×D; key and value are the query, and no weights are given."""
        return self.attention(query), None


class AsWindows(nn.Module):
    """``Attention`` in shifted windows, in the place of torchvision's ``ShiftedWindowAttention`` of Swin and SwinV2.

    It is called as the original, whose state dict loads as it is; there is no dropout.

    Source: Liu et al. 2021, "Swin transformer", section 3.2 (arXiv 2103.14030).
    """

    NAMES = {
        "qkv.": "attention.qkv.",
        "proj.": "attention.proj.",
        "logit_scale": "attention.scale.weight",
        TABLE: "attention.bias.table.weight",
        "relative_position_index": "attention.bias.index",
        "relative_coords_table": "attention.bias.offsets",
        "cpb_mlp.0.": "attention.bias.hidden.",
        "cpb_mlp.2.": "attention.bias.out.",
    }

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.window, self.shift = tuple(original.window_size), tuple(original.shift_size)
        cosine = hasattr(original, "logit_scale")  # SwinV2
        self.attention = Attention(
            original.qkv.in_features,
            original.num_heads,
            bias=OffsetBias(original) if cosine else TableBias(original),
            scale=PerHead(original.logit_scale.detach()) if cosine else None,
        )
        _take(self, original, self.NAMES)

    def forward(self, x_NHWD: Tensor) -> Tensor:
        """N×H×W×D to N×H×W×D: each place takes from those of its window alone."""
        (high, wide), (p, q) = x_NHWD.shape[1:3], self.window
        rows, columns = (high + p - 1) // p, (wide + q - 1) // q
        # Where one window holds all, there is nothing to shift it to.
        shift = tuple(0 if n == 1 else by for n, by in zip((rows, columns), self.shift, strict=True))
        x_NHWD = F.pad(x_NHWD, (0, 0, 0, columns * q - wide, 0, rows * p - high))
        x_NHWD = x_NHWD.roll((-shift[0], -shift[1]), (1, 2))
        tokens_NWTD = _windows(x_NHWD, p, q)
        apart_WTT = _apart(rows * p, columns * q, self.window, shift).to(tokens_NWTD) if any(shift) else None
        mixed_NabpqD = self.attention(tokens_NWTD, apart_WTT).unflatten(2, (p, q)).unflatten(1, (rows, columns))
        y_NHWD: Tensor = mixed_NabpqD.transpose(2, 3).flatten(3, 4).flatten(1, 2).roll(shift, (1, 2))
        return y_NHWD[:, :high, :wide]


def _windows(x_NHWD: Tensor, p: int, q: int) -> Tensor:
    """The windows p×q of an image in reading order, as tokens N×W×T×D."""
    images, high, wide, dim = x_NHWD.shape
    x_NapbqD = x_NHWD.reshape(images, high // p, p, wide // q, q, dim)
    return x_NapbqD.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def _apart(high: int, wide: int, window: tuple[int, ...], shift: tuple[int, ...]) -> Tensor:
    """-100 between tokens that a shift brought into one window from opposite edges of the image, else 0: W×T×T."""
    lines = []
    for size, side, by in zip((high, wide), window, shift, strict=True):
        place = torch.arange(size)
        lines.append((place >= size - side).long() + (place >= size - by))
    regions_HW = 3 * lines[0][:, None] + lines[1]
    regions_WT = _windows(regions_HW[None, :, :, None], *window)[0, :, :, 0]
    return -100.0 * (regions_WT[:, :, None] != regions_WT[:, None, :])


class TableBias(nn.Module):
    """A number for every head and every offset between two tokens of a window: h×T×T."""

    index: Tensor

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.table = PerHead(original.relative_position_bias_table.detach().T)
        self.register_buffer("index", original.relative_position_index)
        self.tokens: int = original.window_size[0] * original.window_size[1]

    def forward(self) -> Tensor:
        """What is added before the softmax."""
        return self.table.weight[:, self.index].view(-1, self.tokens, self.tokens)


class OffsetBias(nn.Module):
    """16·σ(f(Δ)) for every head, f a small network on the offset Δ between two tokens of a window: h×T×T.

    Source: Liu et al. 2021, "Swin transformer V2", section 3.3 (arXiv 2111.09883).
    """

    index: Tensor
    offsets: Tensor

    def __init__(self, original: Any) -> None:
        super().__init__()
        self.hidden, _, self.out = original.cpb_mlp
        self.register_buffer("index", original.relative_position_index)
        self.register_buffer("offsets", original.relative_coords_table)
        self.tokens: int = original.window_size[0] * original.window_size[1]

    def forward(self) -> Tensor:
        """What is added before the softmax."""
        bias_Ph: Tensor = 16 * self.out(F.relu(self.hidden(self.offsets.flatten(0, 2)))).sigmoid()
        return bias_Ph[self.index].T.reshape(-1, self.tokens, self.tokens)


def _take(module: nn.Module, original: nn.Module, names: Mapping[str, str]) -> None:
    """Give a module the tensors of the original, now and whenever a state dict is loaded that has them by its names."""
    module.register_load_state_dict_pre_hook(partial(_renamed, names))  # type: ignore[no-untyped-call]
    module.load_state_dict(original.state_dict(), assign=True)


def _renamed(names: Mapping[str, str], _: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Give the tensors of an original our names, in place."""
    for theirs, ours in names.items():
        for name in [name for name in state if name.startswith(prefix + theirs)]:
            tensor: Tensor = state.pop(name)
            by_head = tensor.T.contiguous() if theirs == TABLE else tensor
            state[prefix + ours + name.removeprefix(prefix + theirs)] = by_head


REPLACEMENTS: dict[str, Callable[[Any], nn.Module]] = {
    "MultiheadAttention": AsMultihead,
    "ShiftedWindowAttention": AsWindows,
    "ShiftedWindowAttentionV2": AsWindows,
}
"""What stands in for attention of which no heads can be cut, by the name of its class: torchvision is loaded late."""


def with_separate_heads(model: nn.Module) -> nn.Module:
    """Put ours in the place of all attention that ``REPLACEMENTS`` knows, in place, and return the model."""
    for name, module in list(model.named_modules()):
        ours = REPLACEMENTS.get(type(module).__name__)
        if ours is not None:
            model.set_submodule(name, ours(module))
    return model
