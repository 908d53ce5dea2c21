"""Work: the multiply-accumulates of one forward pass on one image."""

from __future__ import annotations

from torch import nn

from compression.measure.tracing import macs_by_module, trace


def macs(model: nn.Module, input_shape: tuple[int, ...]) -> int:
    r"""Multiply-accumulates of one image, attention included: half the FLOPs of torch's formulas.

    .. math:: \mathrm{MACs} = \tfrac12 \sum_{\mathrm{op}} \mathrm{FLOPs}(\mathrm{op}),
        \quad \mathrm{conv}: H'W' C' \tfrac{C}{g} k_h k_w, \quad \mathrm{linear}: C C'

    Biases, normalisation and activations count nothing, and a zero weight counts like any
    other: what runs is dense. Formulas: ``torch.utils.flop_counter``.

    Args:
        model: any module that takes one tensor; its training mode comes back afterwards.
        input_shape: C×H×W of one image, without the batch.

    Raises:
        UserError: the module does not accept such an input.
    """
    return trace(model, input_shape).macs


def layer_macs(model: nn.Module, input_shape: tuple[int, ...]) -> dict[str, int]:
    """Multiply-accumulates by the module that does them itself, in order of use; they sum to ``macs``.

    Modules that do none are left out; ``""`` stands for the model's own ``forward``. A
    module called twice is listed once, with the sum. Raises UserError as ``macs`` does.
    """
    return macs_by_module(model, input_shape)
