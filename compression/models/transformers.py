"""The vision transformer, written to be read, with attention whose heads can be cut out.

Shapes: N images, C channels, H×W pixels, T tokens (one a patch), D width of a token, h heads,
d width of a head, K classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.registry import UserError


class PerHead(nn.Module):
    """Numbers that every head has of its own, h×…, as a layer, so that they are cut out with their heads."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.heads = len(weight)
        self.weight = nn.Parameter(weight)


class Attention(nn.Module):
    r"""Multi-head self-attention, :math:`\mathrm{softmax}(q k^\top / \sqrt{d})\, v` in every head.

    The rows of ``qkv`` are the queries of every head, then the keys, then the values. A head is as
    wide as when it was made; how many there are follows from the width of ``qkv``, so that
    heads can be cut out.

    Args:
        dim: D, the width of a token.
        heads: h; they divide ``dim``.
        bias: called without arguments, gives h×T×T to be added before the softmax.
        scale: makes it attention by cosines, :math:`\mathrm{softmax}(e^{s} \cos(q, k))`, with the logarithm
            s of every head, h×1×1, and keys without a bias (Liu et al. 2021, arXiv 2111.09883, section 3.2).

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2 (arXiv 1706.03762).
    """

    def __init__(self, dim: int, heads: int, bias: nn.Module | None = None, scale: PerHead | None = None) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise UserError(f"heads is {heads}; it must divide the width of a token, {dim}")
        self.head_dim = dim // heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.bias = bias
        self.scale = scale

    @property
    def heads(self) -> int:
        """How many heads there are."""
        return self.qkv.out_features // (3 * self.head_dim)

    def forward(self, x_NTD: Tensor, apart_TT: Tensor | None = None) -> Tensor:
        """N×T×D to N×T×D, of any number of axes N; what two tokens have ``apart`` is added before the softmax."""
        q_NhTd, k_NhTd, v_NhTd = self._split(x_NTD)
        added_hTT = apart_TT
        if self.bias is not None:
            added_hTT = self.bias() if apart_TT is None else self.bias() + apart_TT.unsqueeze(-3)
        mixed_NhTd = F.scaled_dot_product_attention(
            q_NhTd, k_NhTd, v_NhTd, attn_mask=added_hTT, scale=None if self.scale is None else 1.0
        )
        out: Tensor = self.proj(mixed_NhTd.transpose(-3, -2).flatten(-2))
        return out

    def maps(self, x_NTD: Tensor) -> Tensor:
        """How much each token takes from each, N×h×T×T, before any ``bias``: every row sums to 1."""
        q_NhTd, k_NhTd, _ = self._split(x_NTD)
        maps_NhTT: Tensor = (q_NhTd @ k_NhTd.transpose(2, 3) / self.head_dim**0.5).softmax(3)
        return maps_NhTT

    def _split(self, x_NTD: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, each N×h×T×d."""
        parts_NT3hd: Tensor = self.qkv(x_NTD).unflatten(-1, (3, self.heads, self.head_dim))
        q_NhTd, k_NhTd, v_NhTd = parts_NT3hd.transpose(-4, -2).unbind(-3)
        if self.scale is not None:
            biases_3h1d = self.qkv.bias.view(3, self.heads, 1, self.head_dim)
            q_NhTd = F.normalize(q_NhTd, dim=-1) * self.scale.weight.clamp(max=math.log(100)).exp()
            k_NhTd = F.normalize(k_NhTd - biases_3h1d[1], dim=-1)
        return q_NhTd, k_NhTd, v_NhTd


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
