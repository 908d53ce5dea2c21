"""What a criterion has seen of the data: gathered on a copy, over all images, whatever the batch size.

The copy is in ``eval()`` mode, so that BatchNorm keeps its statistics, and the model stays as it was.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.pruning.criteria import CRITERIA
from compression.pruning.looks import LOOKS, Images
from compression.registry import UserError, pick
from compression.training.optimiser import layout_of

_UNSEEN = {
    "inputs": "what it reads is unknown, since it was not called by itself",
    "activations": "no activation that makes zeros (ReLU) follows it",
}
"""Why a layer may be missing from evidence of a kind."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a number of training images show of a model.

    Attributes:
        kind: what was looked at, a key of ``LOOKS``; empty where a criterion needs nothing.
        images: how many images.
        tensors: by parameter name (``conv1.weight``), shaped like the parameter, on the CPU.
    """

    kind: str = ""
    images: int = 0
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def kind_of(criterion: str) -> str:
    """What a criterion has to see, a key of ``LOOKS``; empty where the weights are enough.

    Raises:
        UserError: unknown criterion.
    """
    return next((need for need in pick(CRITERIA, criterion, "criterion").needs if need in LOOKS), "")


def observe(
    model: nn.Module, dataset: Dataset, criterion: str, images: int = 512, seed: int = 0, batch_size: int = 32
) -> Evidence:
    """See on training images what a criterion needs; the model stays as it is.

    Args:
        model: gives logits N×K; in any mode, frozen or not.
        dataset: whose training split is looked at.
        criterion: a name in CRITERIA; one that needs no images sees none, at no cost.
        images: how many, drawn at random; all where the split holds no more.
        seed: fixes which; of a larger number they are the first.
        batch_size: how many at a time; it changes nothing but the speed.

    Raises:
        UserError: unknown criterion, or what is seen is not finite.
    """
    kind = kind_of(criterion)
    return look(model, dataset, kind, images, seed, batch_size) if kind else Evidence()


def look(
    model: nn.Module, dataset: Dataset, kind: str, images: int = 512, seed: int = 0, batch_size: int = 32
) -> Evidence:
    """``observe`` by the kind of evidence, which several criteria may share."""
    drawn = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(seed))[:images]
    layout = layout_of(model)
    with torch.inference_mode(False), torch.enable_grad():
        twin = copy.deepcopy(model).eval().requires_grad_(True).to(memory_format=layout)
        shown = Images(dataset.train.take(drawn), dataset, layout, batch_size)
        tensors = pick(LOOKS, kind, "kind of evidence")(twin, shown)
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise UserError(f"What {len(drawn)} training images show of '{name}' ({kind}) is NaN or infinite")
    return Evidence(kind, len(drawn), {name: tensor.detach() for name, tensor in tensors.items()})


def seen_of(evidence: Evidence | None, criterion: str, name: str, parameter: Tensor) -> Tensor | None:
    """What a criterion has seen of one parameter; None where it looks at the weights alone.

    Raises:
        UserError: it has to see more and has no evidence of that kind, the evidence is another
            model's, or the layer never did what is to be seen.
    """
    kind = kind_of(criterion)
    if not kind:
        return None
    if evidence is None or evidence.kind != kind:
        raise UserError(
            f"criterion '{criterion}' looks at training images ({kind}), and was shown none; "
            f"give evidence=observe(model, dataset, '{criterion}')"
        )
    if name not in evidence.tensors and kind in _UNSEEN:
        layer = name.rpartition(".")[0]
        raise UserError(f"criterion '{criterion}' cannot rank layer '{layer}': {_UNSEEN[kind]}; choose another")
    tensor = evidence.tensors.get(name)
    if tensor is None or tensor.shape != parameter.shape:
        raise UserError(f"The evidence is of another model: '{name}' was not there, or had another shape")
    return tensor
