"""Students: which network learns from the teacher, as a blueprint and, where nothing is kept, fresh weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from compression.models.files import Blueprint, initialised, without_memory
from compression.models.structure import CONVOLUTIONS
from compression.models.zoo import available, blueprint_of
from compression.recipe import Distill
from compression.registry import Method, UserError, unknown

Config = dict[str, Any]
MOST = 50_000_000
"""Parameters of a student: twice those of a ResNet-50, and 600 MB with its gradient and momentum."""


def narrower(blueprint: Blueprint, stage: Distill) -> Blueprint:
    """The same layers with every width times ``stage.width``, at least 1.

    A vision transformer has fewer heads, each as wide as before, and fewer hidden units.

    Raises:
        UserError: an architecture whose widths have no common factor to change.
    """
    if blueprint.architecture == "vit":
        dim, heads, hidden = (blueprint.config[name] for name in ("dim", "heads", "hidden"))
        fewer = _scaled(heads, stage.width)
        changes = {"heads": fewer, "dim": dim // heads * fewer, "hidden": _scaled(hidden, stage.width)}
        return _with(blueprint, changes)
    field = _WIDTHS.get(blueprint.architecture)
    if field is None:
        raise UserError(_rigid(blueprint, "narrower", (*_WIDTHS, "vit")))
    return _with(blueprint, {name: _scaled(blueprint.config[name], stage.width) for name in field})


def shallower(blueprint: Blueprint, stage: Distill) -> Blueprint:
    """Fewer layers of the same width: hidden layers of an MLP, blocks of every group of a ResNet, or of a transformer.

    A ResNet of one block a group loses its last groups instead.

    Raises:
        UserError: an architecture of fixed depth.
    """
    config = blueprint.config
    if blueprint.architecture == "mlp" and len(config["hidden"]) > 1:
        return _with(blueprint, {"hidden": config["hidden"][: _share(len(config["hidden"]), stage.depth)]})
    if blueprint.architecture in ("resnet", "vit") and config["blocks"] > 1:
        return _with(blueprint, {"blocks": _share(config["blocks"], stage.depth)})
    if blueprint.architecture == "resnet" and len(config["widths"]) > 1:
        return _with(blueprint, {"widths": config["widths"][: _share(len(config["widths"]), stage.depth)]})
    raise UserError(_rigid(blueprint, "shallower", ("mlp of several layers", "resnet", "vit of several blocks")))


def mlp(blueprint: Blueprint, stage: Distill) -> Blueprint:
    """Fully connected layers of ``stage.hidden`` units, whatever the teacher is."""
    config = {
        "inputs": math.prod(blueprint.input_shape),
        "hidden": list(stage.hidden),
        "classes": blueprint.classes,
    }
    return Blueprint("mlp", config, blueprint.input_shape)


def same(blueprint: Blueprint, stage: Distill) -> Blueprint:
    """The present model's own architecture."""
    return blueprint


STUDENTS: dict[str, Method] = {
    method.key: method
    for method in (
        Method(
            "same",
            "The present model",
            "A pruned model is taught by the one that it was; an unpruned one teaches a twin that starts anew.",
            r"f^s = f",
            "Furlanello et al. 2018, Born-again neural networks, arXiv 1805.04770",
            same,
        ),
        Method(
            "narrower",
            "Narrower",
            "The same layers with a fraction of the channels or units.",
            r"C_\ell^s = \mathrm{round}(\text{width} \cdot C_\ell)",
            "Zagoruyko and Komodakis 2016, Wide residual networks, arXiv 1605.07146",
            narrower,
        ),
        Method(
            "shallower",
            "Shallower",
            "A fraction of the layers or blocks, each as wide as before.",
            r"L^s = \mathrm{round}(\text{depth} \cdot L)",
            "Ba and Caruana 2014, Do deep nets really need to be deep?, arXiv 1312.6184",
            shallower,
        ),
        Method(
            "mlp",
            "Fully connected",
            "Layers of units that see every pixel, whatever the teacher is made of.",
            r"f^s = W_n \circ \mathrm{ReLU} \circ W_{n-1} \cdots \mathrm{ReLU} \circ W_1",
            "Urban et al. 2017, Do deep convolutional nets really need to be deep and convolutional?, arXiv 1603.05691",
            mlp,
        ),
    )
}
"""Who learns: ``call`` takes the present blueprint and the stage to the student's blueprint."""

_WIDTHS: dict[str, tuple[str, ...]] = {
    "mlp": ("hidden",),
    "lenet5": ("filters", "hidden"),
    "resnet": ("widths",),
}
"""The entries of an architecture's configuration that are widths."""


def student_blueprint(stage: Distill, present: Blueprint) -> Blueprint:
    """What the student of a stage is built from.

    Args:
        stage: names the student, and gives its width, depth or hidden units.
        present: the model that the stage finds.

    Raises:
        UserError: an unknown student, one that takes other images or tells other classes apart,
            or an architecture that cannot be made narrower or shallower.
    """
    if stage.student in STUDENTS:
        build: Callable[[Blueprint, Distill], Blueprint] = STUDENTS[stage.student].call
        return build(present, stage)
    if stage.student not in available():
        raise UserError(unknown("student", stage.student, (*STUDENTS, *available())))
    found = blueprint_of(stage.student)
    if tuple(found.input_shape) != tuple(present.input_shape):
        given, wanted = ("×".join(map(str, shape)) for shape in (found.input_shape, present.input_shape))
        raise UserError(f"Student '{stage.student}' takes {given} images, but the teacher's are {wanted}")
    return found


def fresh(blueprint: Blueprint, seed: int) -> nn.Module:
    """A newly initialised module, the same for the same seed; nobody else's random draws change.

    Raises:
        UserError: more than ``MOST`` parameters.
    """
    params = sum(p.numel() for p in without_memory(blueprint).parameters())
    if params > MOST:
        raise UserError(f"The student would have {params:,} parameters; at most {MOST:,} are allowed")
    return initialised(blueprint, seed)


def widths(blueprint: Blueprint) -> tuple[dict[str, int], int]:
    """How many channels or units each linear layer and convolution makes, by name, and the parameters in all."""
    module, kinds = without_memory(blueprint), (nn.Linear, *CONVOLUTIONS)
    made = {name: int(layer.weight.shape[0]) for name, layer in module.named_modules() if isinstance(layer, kinds)}
    return made, sum(p.numel() for p in module.parameters())


def _with(blueprint: Blueprint, changes: Config) -> Blueprint:
    return replace(blueprint, config={**blueprint.config, **changes})


def _scaled(width: Any, factor: float) -> Any:
    """One width, or each of several, times a factor."""
    if isinstance(width, int):
        return max(1, round(width * factor))
    return [max(1, round(one * factor)) for one in width]


def _share(whole: int, fraction: float) -> int:
    return max(1, round(whole * fraction))


def _rigid(blueprint: Blueprint, student: str, allowed: Any) -> str:
    return (
        f"Architecture '{blueprint.architecture}' cannot be made {student} (that goes for: {', '.join(allowed)}); "
        "choose student mlp or a sample model"
    )
