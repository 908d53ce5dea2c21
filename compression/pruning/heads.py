"""Attention heads as units: a group for every ``Attention``, read off the module, not traced."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from torch import nn

from compression.models.transformers import Attention
from compression.pruning.surgery import Group, Member

EACH = ("scale", "bias.table", "bias.out")
"""The parts of attention that hold something of each head, by their names in it."""


def head_groups(model: nn.Module, shared: Collection[str]) -> list[Group]:
    """The heads of every attention layer: ``qkv`` makes them, three times d rows each, ``proj`` reads them.

    Where they have biases or scales of their own, as in shifted windows, those go with them.

    Source: Michel et al. 2019, "Are sixteen heads really better than one?" (arXiv 1905.10650).

    Args:
        model: left as it is.
        shared: names of layers whose weights another layer holds too; their heads are protected.
    """
    return [
        _group(f"{name}." if name else "", module, shared)
        for name, module in model.named_modules()
        if isinstance(module, Attention)
    ]


def _group(prefix: str, attention: Attention, shared: Collection[str]) -> Group:
    head = np.arange(attention.heads).repeat(attention.head_dim)
    makes, reads = f"{prefix}qkv", f"{prefix}proj"
    parts = dict(attention.named_modules())
    each = [Member(f"{prefix}{name}", "out", False, np.arange(attention.heads)) for name in EACH if parts.get(name)]
    twice = [name for name in (makes, reads) if name in shared]
    return Group(
        name=makes,
        kind="heads",
        width=attention.heads,
        members=(Member(makes, "out", True, np.tile(head, 3)), *each, Member(reads, "in", False, head)),
        protected=f"'{twice[0]}' shares its weights with another layer" if twice else "",
    )
