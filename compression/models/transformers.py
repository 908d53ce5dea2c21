"""The vision transformer, written to be read, with attention whose heads can be cut out.

Shapes: N images, C channels, H×W pixels, T tokens (one a patch), D width of a token, h heads,
d width of a head, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.registry import UserError


class Attention(nn.Module):
    r"""Multi-head self-attention, :math:`\mathrm{softmax}(q k^\top / \sqrt{d})\, v` in every head.

    The rows of ``qkv`` are the queries of every head, then the keys, then the values. A head is as
    wide as when it was made; how many there are follows from the width of ``qkv``, so that
    heads can be cut out.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2 (arXiv 1706.03762).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise UserError(f"heads is {heads}; it must divide the width of a token, {dim}")
        self.head_dim = dim // heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    @property
    def heads(self) -> int:
        """How many heads there are."""
        return self.qkv.out_features // (3 * self.head_dim)

    def forward(self, x_NTD: Tensor) -> Tensor:
        """N×T×D to N×T×D."""
        q_NhTd, k_NhTd, v_NhTd = self._split(x_NTD)
        mixed_NhTd = F.scaled_dot_product_attention(q_NhTd, k_NhTd, v_NhTd)
        out: Tensor = self.proj(mixed_NhTd.transpose(1, 2).flatten(2))
        return out

    def maps(self, x_NTD: Tensor) -> Tensor:
        """How much each token takes from each, N×h×T×T: every row sums to 1."""
        q_NhTd, k_NhTd, _ = self._split(x_NTD)
        maps_NhTT: Tensor = (q_NhTd @ k_NhTd.transpose(2, 3) / self.head_dim**0.5).softmax(3)
        return maps_NhTT

    def _split(self, x_NTD: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each N×h×T×d."""
        parts_3NhTd: Tensor = self.qkv(x_NTD).unflatten(2, (3, self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        return parts_3NhTd.unbind(0)


class AsMultihead(nn.Module):
    """``Attention`` in the place of an ``nn.MultiheadAttention``, which cannot lose heads, with its numbers.

    It is called as torchvision calls the original, and a state dict of the original loads as it is.
    """

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.attention = Attention(original.embed_dim, original.num_heads)
        self.register_load_state_dict_pre_hook(_renamed)  # type: ignore[no-untyped-call]
        self.load_state_dict(original.state_dict(), assign=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False) -> tuple[Tensor, None]:
        """Self-attention N×T×D; key and value are the query, and no weights are given."""
        return self.attention(query), None


def _renamed(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give the tensors of an ``nn.MultiheadAttention`` our names, in place."""
    for theirs, ours in (("in_proj_", "attention.qkv."), ("out_proj.", "attention.proj.")):
        for part in ("weight", "bias"):
            if f"{prefix}{theirs}{part}" in state:
                state[f"{prefix}{ours}{part}"] = state.pop(f"{prefix}{theirs}{part}")


def with_separate_heads(model: nn.Module) -> nn.Module:
    """Put ``AsMultihead`` in the place of every ``nn.MultiheadAttention``, in place, and return the model."""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.MultiheadAttention):
            model.set_submodule(name, AsMultihead(module))
    return model


class TransformerBlock(nn.Module):
    """Attention, then two layers on each token by itself; both read a normalised input and add to it."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x_NTD: Tensor) -> Tensor:
        """N×T×D to N×T×D."""
        x: Tensor = x_NTD + self.attention(self.norm1(x_NTD))
        x = x + self.fc2(F.gelu(self.fc1(self.norm2(x))))
        return x


class ViT(nn.Module):
    """A vision transformer: patches as tokens, learned positions, blocks, the mean of the tokens.

    The mean stands in for the paper's class token, because it is as accurate or better at this size
    (Beyer et al. 2022, "Better plain ViT baselines", arXiv 2205.01580) and every token is then a
    patch, so that a row of an attention map is a picture of the image.

    Args:
        channels: C of an image.
        side: H and W of an image.
        patch: side of a patch in pixels; it divides ``side``.
        dim: D, the width of a token.
        blocks: how many.
        heads: of each block; they divide ``dim``.
        hidden: width of the hidden layer in each block.
        classes: K.

    Source: Dosovitskiy et al. 2020, "An image is worth 16x16 words" (arXiv 2010.11929).

    Raises:
        UserError: patches or heads that do not divide.
    """

    def __init__(
        self, channels: int, side: int, patch: int, dim: int, blocks: int, heads: int, hidden: int, classes: int
    ) -> None:
        super().__init__()
        if patch < 1 or side % patch:
            raise UserError(f"patch is {patch}; it must divide the side of an image, {side}")
        self.patches = nn.Conv2d(channels, dim, patch, stride=patch)
        self.positions = nn.Parameter(torch.empty(1, (side // patch) ** 2, dim))
        self.blocks = nn.Sequential(*(TransformerBlock(dim, heads, hidden) for _ in range(blocks)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        # As large as the patches beside them: the customary 0.02 is lost there, and plain SGD then takes long.
        nn.init.normal_(self.positions, std=0.5)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Logits N×K."""
        x_NTD = self.patches(x_NCHW).flatten(2).transpose(1, 2)
        x_NTD = self.norm(self.blocks(x_NTD + self.positions))
        logits: Tensor = self.head(x_NTD.mean(1))
        return logits
