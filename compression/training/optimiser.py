"""The optimiser, its rate over time, and where the weights lie in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

import torch
from torch import nn


def sgd(modules: Sequence[nn.Module], lr: float, momentum: float, weight_decay: float) -> torch.optim.SGD:
    """Decay the weights, but not biases and normalisation, which have one dimension."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim > 1]
    plain = [p for p in parameters if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)


def rise_and_fall(steps: int, parts: int = 1) -> Callable[[int], float]:
    """A factor that rises linearly over the first fifth of the steps and falls to zero, in each part anew.

    Part i of n begins at step ⌈i · steps / n⌉.
    """
    starts = [-(-i * steps // parts) for i in range(parts + 1)]

    def factor(step: int) -> float:
        part = bisect_right(starts, step) - 1
        if part >= parts:
            return 0.0
        inside, period = step - starts[part], starts[part + 1] - starts[part]
        peak = max(1, period // 5)
        return min((inside + 1) / peak, (period - inside) / max(1, period - peak))

    return factor


def layout_of(model: nn.Module) -> torch.memory_format:
    """Channels-last, the faster layout, unless the model has a convolution that is unsafe in it.

    With fewer input channels than a vector block (16 floats at most), oneDNN computes the
    weight gradient of a strided 1×1 convolution in channels-last beyond the end of its workspace:
    a wrong gradient or a crash (uxlfoundation/oneDNN issue 6035). A shortcut gets there by surgery.
    """
    unsafe = any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels // module.groups < 16
        for module in model.modules()
    )
    return torch.contiguous_format if unsafe else torch.channels_last
