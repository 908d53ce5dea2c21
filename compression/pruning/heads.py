"""Attention heads as units: a group for every ``Attention``, read off the module, not traced."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from torch import nn

from compression.models.transformers import Attention
from compression.pruning.surgery import Group, Member


def head_groups(model: nn.Module, shared: Collection[str]) -> list[Group]:
    """The heads of every attention layer: ``qkv`` makes them, three times d rows each, ``proj`` reads them.

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
    twice = [name for name in (makes, reads) if name in shared]
    return Group(
        name=makes,
        kind="heads",
        width=attention.heads,
        members=(Member(makes, "out", True, np.tile(head, 3)), Member(reads, "in", False, head)),
        protected=f"'{twice[0]}' shares its weights with another layer" if twice else "",
    )


def without_heads(traced: Iterable[Group], heads: Iterable[Group]) -> list[Group]:
    """The traced groups save those that hold the sides of attention layers whose units are heads."""
    taken = {(member.layer, member.side) for group in heads for member in group.members}
    return [group for group in traced if not any((m.layer, m.side) in taken for m in group.members)]
