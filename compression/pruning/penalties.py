"""Pruning during training: penalties that draw weights, channels or scales towards zero.

Shapes: U units of a group, N weights that make each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from compression.models.structure import Layer
from compression.pruning.masks import prunable
from compression.pruning.surgery import Group, Groups
from compression.pruning.units import in_unit_order
from compression.recipe import Sparsify
from compression.registry import Method, UserError, pick
from compression.results import Drift
from compression.training import Objective, Step


def l1(model: nn.Module, groups: Groups) -> Tensor:
    r"""Sum of absolute weights, :math:`\sum_i |w_i|`: the pull is the same however small a weight is."""
    return _sum(layer.weight.abs().sum() for layer in prunable(model).values())


def l2(model: nn.Module, groups: Groups) -> Tensor:
    r"""Half the sum of squares, :math:`\frac{1}{2}\sum_i w_i^2`: the pull fades as a weight gets small."""
    return _sum(layer.weight.square().sum() / 2 for layer in prunable(model).values())


def group_lasso(model: nn.Module, groups: Groups) -> Tensor:
    r"""Sum of the norms of units, :math:`\sum_u \sqrt{N_u} \lVert w_u \rVert_2`, coupled layers together."""
    return _sum(w_UN.norm(dim=1).sum() * w_UN.shape[1] ** 0.5 for w_UN in _units(model, groups))


def batchnorm_l1(model: nn.Module, groups: Groups) -> Tensor:
    r"""Sum of absolute BatchNorm scales, :math:`\sum_i |\gamma_i|`."""
    return _sum(scale.abs().sum() for scale in _scales(model))


PENALTIES: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "l1",
            "L1 on weights",
            "Pulls every weight towards zero with the same force, so that what is not needed arrives there.",
            r"\lambda \sum_i |w_i|",
            "Tibshirani 1996, Regression shrinkage and selection via the lasso, JRSS B 58:267-288",
            l1,
        ),
        Method(
            "l2",
            "L2 on weights (contrast)",
            "Weight decay: pulls large weights hardest and lets go near zero, so it shrinks but does not zero.",
            r"\tfrac{\lambda}{2} \sum_i w_i^2",
            "Krogh and Hertz 1991, A simple weight decay can improve generalization, NeurIPS",
            l2,
        ),
        Method(
            "group_lasso",
            "Group lasso on channels",
            "Pulls all weights of a channel towards zero together, so that whole channels empty out.",
            r"\lambda \sum_u \sqrt{N_u} \lVert w_u \rVert_2",
            "Wen et al. 2016, Learning structured sparsity in deep neural networks, arXiv 1608.03665",
            group_lasso,
            needs=("units",),
        ),
        Method(
            "batchnorm_l1",
            "L1 on BatchNorm scales",
            "Network slimming: channels whose scale arrives at zero pass nothing on and can be cut out.",
            r"\lambda \sum_i |\gamma_i|",
            "Liu et al. 2017, Network slimming, arXiv 1708.06519",
            batchnorm_l1,
            needs=("batchnorm",),
        ),
    )
}
"""What training is charged for: ``call`` takes a model and its groups to a scalar."""

RAMPS: dict[str, Callable[[float], float]] = {"constant": lambda progress: 1.0, "linear": lambda progress: progress}
"""How the strength grows: a factor at a progress in [0, 1]."""


BINS = 60
THRESHOLDS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""At which a drift says what lies below."""


class Penalised(Objective):
    """Cross-entropy with the labels plus strength · ramp(progress) · penalty."""

    def __init__(self, stage: Sparsify, groups: Groups) -> None:
        super().__init__()
        self.stage, self.groups = stage, groups
        self.penalty, self.ramp = PENALTIES[stage.penalty].call, RAMPS[stage.ramp]

    def forward(self, model: nn.Module, step: Step) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The logits B×K, the loss, and its two terms."""
        logits = model(step.images_BCHW)
        labels = F.cross_entropy(logits, step.labels_B)
        penalty = self.stage.strength * self.ramp(step.progress) * self.penalty(model, self.groups)
        return logits, labels + penalty, {"hard": labels, "penalty": penalty}


def penalised(stage: Sparsify, model: nn.Module, groups: Groups) -> Penalised:
    """The objective of a sparsifying stage. Raises UserError where the model has nothing that it acts on."""
    drawn(model, groups, stage.penalty)
    return Penalised(stage, groups)


def drawn(model: nn.Module, groups: Groups, penalty: str) -> NDArray[np.float32]:
    """The sizes of what a penalty draws to zero: |w|, the root mean square of a unit, or |γ|; flat.

    Raises:
        UserError: an unknown penalty, or the model has nothing that it acts on.
    """
    needs = pick(PENALTIES, penalty, "penalty").needs
    with torch.no_grad():
        if "units" in needs:
            parts: list[Tensor] = [w_UN.square().mean(1).sqrt() for w_UN in _units(model, groups)]
        elif "batchnorm" in needs:
            parts = [scale.abs() for scale in _scales(model)]
        else:
            parts = [layer.weight.abs() for layer in prunable(model).values()]
    if not parts:
        missing = "rows or channels that can be cut" if "units" in needs else "BatchNorm with scales"
        raise UserError(f"penalty '{penalty}' has nothing to act on: the model has no {missing}")
    return np.concatenate([part.flatten().cpu().numpy() for part in parts]).astype(np.float32)


def drift(model: nn.Module, groups: Groups, penalty: str, epoch: int, reach: float | None = None) -> Drift:
    """How large what the penalty draws is now, over bins up to ``reach``; the largest now where it is None."""
    sizes = drawn(model, groups, penalty)
    reach = reach or float(sizes.max()) or 1.0
    counts, _ = np.histogram(sizes.clip(max=reach), bins=BINS, range=(0, reach))
    below = tuple((threshold, float((sizes < threshold).mean())) for threshold in THRESHOLDS)
    return Drift(epoch=epoch, reach=reach, counts=tuple(map(int, counts)), below=below)


def _sum(parts: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum()


def _units(model: nn.Module, groups: Groups) -> Iterator[Tensor]:
    """The weights w_UN that make the units of every group that can be cut, within autograd."""
    for group in [*groups.cuttable("channels").values(), *groups.cuttable("rows").values()]:
        yield torch.cat(list(_made(model, group)), 1)


def _made(model: nn.Module, group: Group) -> Iterator[Tensor]:
    for member in group.members:
        layer, order = model.get_submodule(member.layer), in_unit_order(member, group.width)
        if member.makes and isinstance(layer, Layer) and order is not None:
            yield layer.weight.index_select(0, order.to(layer.weight.device)).reshape(group.width, -1)


def _scales(model: nn.Module) -> Iterator[Tensor]:
    return (m.weight for m in model.modules() if isinstance(m, _BatchNorm) and m.affine)
