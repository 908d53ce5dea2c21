"""Memory: what has to be resident to run one image."""

from __future__ import annotations

from torch import nn

from compression.measure.tracing import trace


def weight_bytes(model: nn.Module) -> int:
    """Bytes of parameters and buffers as they lie in memory; shared storages count once."""
    storages = {
        tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
        for tensor in (*model.parameters(), *model.buffers())
    }
    return sum(storages.values())


def memory_bytes(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    r"""Weights plus the peak of live activations at batch 1, in bytes.

    .. math:: \sum_{w} |w| + \max_t \sum_{a \text{ alive at } t} |a|

    An estimate by tracing one eager forward pass: every tensor that an operator returns counts
    from its making until Python frees it, the input for the whole pass; views and in-place results add
    nothing. Not counted: scratch space inside an operator (im2col, packed weights), the allocator's
    rounding and the runtime itself. A runtime that plans its memory can need less.

    Raises:
        UserError: the module does not accept an input of that shape.
    """
    return weight_bytes(model) + trace(model, input_shape).peak_bytes
