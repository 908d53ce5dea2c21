"""Models from elsewhere: an architecture by name, and somebody's weights fitted to it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compression.data.quota import check_upload
from compression.data.root import own_path
from compression.models.files import MAX_INPUT, Blueprint, check_finite, initialised, state_of, without_memory
from compression.models.given import Given
from compression.models.huggingface import read_folder
from compression.models.pretrained import fetched
from compression.models.weights import read_weights_file
from compression.normalisation import checked_normalisation
from compression.registry import UserError, in_a_line, quoted, unknown

OWN = ("mlp", "lenet5", "resnet", "vit")
ELSEWHERE = ("torchvision:NAME", "timm:NAME", "hf:FOLDER", "package.module:function")
PREFIXES = ("module.", "_orig_mod.", "model.")
"""What wrappers put before the names of tensors: data parallel, ``torch.compile``, Lightning."""
CLASSES = 1000
"""How many classes a model has where nothing says so: those of ImageNet."""
SIDE = 224


@dataclass(frozen=True)
class Imported:
    """A module in ``eval()`` mode, what it was built from, and what had to be done on the way."""

    model: nn.Module
    blueprint: Blueprint
    notes: tuple[str, ...]


def import_model(
    architecture: str,
    config: Mapping[str, Any] | None = None,
    classes: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    weights: Path | None = None,
    pretrained: str = "",
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> Imported:
    """Build an architecture by name and give it weights, random ones where none are named.

    Args:
        architecture: one of ours, ``torchvision:NAME``, ``timm:NAME``, ``hf:FOLDER`` or
            ``package.module:function``; the last is imported, hence only where ``ESPALIER_CODE`` names it.
        config: options of the architecture.
        classes: how many to tell apart; by default those of the weights, else of the configuration.
            Where they differ from those of the weights, the layers that depend on them stay random.
        input_shape: C×H×W; by default 3×224×224.
        weights: a ``.safetensors`` file, or a state dict in any other.
        pretrained: torchvision's or timm's own weights by name, fetched once.
        mean: of each channel, on the scale 0 to 1, that the weights were trained with; by default what is known
            of pretrained ones, else each data set's own.
        std: the standard deviation, likewise.

    Raises:
        UserError: an architecture that is unknown, cannot be built or does not run on such an input,
            weights that cannot be read or do not fit, no network to fetch them, or more than one user may bring.
    """
    given = _given(architecture, weights, pretrained)
    state, notes, normalisation = given.state, [*given.notes], given.normalisation
    options = {**given.options, **(config or {})}
    shape = input_shape or given.input_shape or (3, SIDE, SIDE)
    if len(shape) != 3 or min(shape) < 1 or math.prod(shape) > MAX_INPUT:
        raise UserError(f"The input is {'×'.join(map(str, shape))}; give C×H×W of at most {MAX_INPUT:,} values")
    if mean or std:
        normalisation = checked_normalisation(mean, std, shape[0])
    blueprint = replace(blueprint_named(architecture, options, classes, shape), normalisation=normalisation)
    head = _head(blueprint, architecture)
    if state:
        state, prefix = without_prefix(_modern(state), _shapes(blueprint))
        notes += [f"'{prefix}' was taken off the names of its tensors"] if prefix else []
        held = next((len(state[name]) for name in head if name in state and state[name].dim()), None)
        if classes is None and held:
            blueprint = _with_classes(blueprint, held)
    elif classes is None and architecture in OWN and "classes" not in options:
        raise UserError(f"Architecture '{architecture}' needs a number of classes; give --classes")
    else:
        notes.append("random weights")
    # Of the shapes alone: the module itself may already be more than there is memory for.
    check_upload(torch.float32.itemsize * sum(shape.numel() for shape in _shapes(blueprint).values()))
    model = _built(blueprint, architecture)
    if state:
        notes += _fill(model, state, head, given.where)
    _check(model, blueprint, architecture)
    return Imported(model, blueprint, tuple(notes))


def architectures(kind: str) -> tuple[str, ...]:
    """The names of the architectures of ``own``, ``torchvision`` or ``timm``.

    Raises:
        UserError: timm is not installed.
    """
    if kind == "own":
        return OWN
    if kind == "timm":
        if not find_spec("timm"):
            raise UserError("timm is not installed; its models are there after: pip install timm")
        import timm

        return tuple(timm.list_models())
    import torchvision

    return tuple(torchvision.models.list_models(module=torchvision.models))


def _given(architecture: str, weights: Path | None, pretrained: str) -> Given:
    """The weights that are asked for, if any, with what is known of them."""
    if weights and pretrained:
        raise UserError("weights and pretrained are both given; choose one")
    kind, _, name = architecture.partition(":")
    if kind == "hf":
        if weights or pretrained:
            raise UserError("hf:FOLDER takes the weights that lie in the folder; leave weights and pretrained out")
        return read_folder(own_path(name))
    if pretrained:
        return fetched(architecture, pretrained)
    return Given(read_weights_file(weights), where=str(weights)) if weights else Given({})


def blueprint_named(
    architecture: str, config: Mapping[str, Any], classes: int | None, input_shape: tuple[int, ...]
) -> Blueprint:
    """What an architecture's name, options and input say together.

    Raises:
        UserError: an unknown name, or a number of classes that is none.
    """
    kind, colon, name = architecture.partition(":")
    if not colon and kind not in OWN:
        raise UserError(unknown("architecture", architecture, (*OWN, *ELSEWHERE)))
    field = _classes_field(kind)
    count = config.get(field) if classes is None else classes
    count = CLASSES if count is None else count
    if type(count) is not int or not 1 <= count <= 1_000_000:
        raise UserError(f"The number of classes is {quoted(count)}; it must be a whole number from 1 to 1,000,000")
    body = {**config, field: count}
    if kind in OWN:
        return Blueprint(kind, {**_widths(kind, input_shape), **body}, input_shape)
    if kind == "hf":
        return Blueprint("transformers", body, input_shape)
    if kind in ("torchvision", "timm"):
        return Blueprint(kind, {**_sized(kind, name, input_shape), **body, "name": name}, input_shape)
    return Blueprint("code", {**body, "function": architecture}, input_shape)


def _sized(kind: str, name: str, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """The options that follow from the input, or that keep torchvision's own building quick and quiet."""
    channels, height, width = input_shape
    if kind == "timm":
        return {} if channels == 3 else {"in_chans": channels}
    if name.startswith("vit_"):
        return {"image_size": height}
    if name.startswith("maxvit"):
        return {"input_size": [height, width]}
    return {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


def _widths(kind: str, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """The options of an architecture of ours that suit such images, where no others are given."""
    channels, height, width = input_shape
    patch = next(side for side in range(max(1, height // 8), height + 1) if height % side == 0)
    token = {"dim": 64, "blocks": 4, "heads": 4, "hidden": 128}
    options: dict[str, dict[str, Any]] = {
        "mlp": {"inputs": channels * height * width, "hidden": [128, 64]},
        "lenet5": {},
        "resnet": {"channels": channels, "widths": [16, 32, 64], "blocks": 3},
        "vit": {"channels": channels, "side": height, "patch": patch, **token},
    }
    return options[kind]


def _with_classes(blueprint: Blueprint, classes: int) -> Blueprint:
    return replace(blueprint, config={**blueprint.config, _classes_field(blueprint.architecture): classes})


def _classes_field(architecture: str) -> str:
    """What an architecture's configuration calls the number of classes."""
    return "classes" if architecture in OWN else "num_classes"


def _shapes(blueprint: Blueprint) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in without_memory(blueprint).state_dict().items()}


def _head(blueprint: Blueprint, architecture: str) -> tuple[str, ...]:
    """The tensors whose shape depends on the number of classes: it is built with two numbers and compared."""
    try:
        few, more = (_shapes(_with_classes(blueprint, classes)) for classes in (2, 3))
    except UserError:
        raise
    except Exception as fault:  # somebody's options can make an architecture fail in any way
        raise UserError(_unbuilt(architecture, fault)) from None
    return tuple(name for name, shape in few.items() if more.get(name) != shape)


def _built(blueprint: Blueprint, architecture: str) -> nn.Module:
    try:
        return initialised(blueprint).float().eval()
    except UserError:
        raise
    except Exception as fault:  # as above
        raise UserError(_unbuilt(architecture, fault)) from None


def _unbuilt(architecture: str, fault: Exception) -> str:
    reason = " ".join(f"{type(fault).__name__}: {fault}".split())
    return f"Architecture {quoted(architecture)} cannot be built ({reason[:200]})"


def without_prefix(state: Mapping[str, Tensor], expected: Collection[str]) -> tuple[dict[str, Tensor], str]:
    """The tensors under the names that an architecture expects, and the prefix that wrappers had put before all."""
    prefix = ""
    while not any(name.removeprefix(prefix) in expected for name in state):
        longer = next((prefix + more for more in PREFIXES if all(n.startswith(prefix + more) for n in state)), None)
        if longer is None:
            return dict(state), ""
        prefix = longer
    return {name.removeprefix(prefix): tensor for name, tensor in state.items()}, prefix


def _modern(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DenseNets of before 2018 have a dot where their layers' names have none now; torchvision's own weights do."""
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
    return {old.sub(r"\1\2", name): tensor for name, tensor in state.items()}


def _fill(model: nn.Module, state: dict[str, Tensor], head: Collection[str], where: str) -> list[str]:
    """Give a model its tensors in place; the head keeps its random ones where the classes differ."""
    where, own = quoted(where), model.state_dict()
    told = []
    other = [n for n in head if n not in state or state[n].shape != own[n].shape]
    if other:
        known = next((len(state[name]) for name in other if name in state and state[name].dim()), None)
        given = f"for {known:,} classes" if known else "absent"
        told.append(f"the head is {given} in the file: {', '.join(other)} start random, for {len(own[other[0]]):,}")
        state = {name: tensor for name, tensor in state.items() if name not in head}
    wrong = [n for n in state if n in own and state[n].shape != own[n].shape]
    if wrong:
        has, wants = ("×".join(map(str, of[wrong[0]].shape)) or "a number" for of in (state, own))
        raise UserError(
            f"{where} does not fit the architecture: tensor {quoted(wrong[0])} is {has}, where {wants} is needed "
            f"({len(wrong)} of {len(own)} differ)"
        )
    try:
        missing, unexpected = model.load_state_dict(state_of(model, state), strict=False)
    except RuntimeError as fault:  # shapes of tensors that are renamed on the way, as those of attention
        reason = in_a_line(fault)
        raise UserError(f"{where} does not fit the architecture ({reason})") from None
    lost = [name for name in missing if not (other and name in head)]
    if lost or unexpected:
        parts = [f"it lacks {len(lost)}, such as {quoted(lost[0])}"] if lost else []
        parts += [f"it has {len(unexpected)} more, such as {quoted(unexpected[0])}"] if unexpected else []
        raise UserError(f"{where} does not fit the architecture's {len(own)} tensors: {'; '.join(parts)}")
    return told


def _check(model: nn.Module, blueprint: Blueprint, architecture: str) -> None:
    """Raise UserError unless the model runs, tells the classes apart, and can be written to a file."""
    state = model.state_dict()
    check_finite(state, architecture)
    places = [tensor.data_ptr() for tensor in state.values() if tensor.numel()]
    if len(set(places)) < len(places):
        raise UserError(f"Architecture {quoted(architecture)} has tensors of two names, which a file could not say")
    images = torch.zeros(1, *blueprint.input_shape)
    size = "×".join(map(str, blueprint.input_shape))
    try:
        with torch.inference_mode():
            found = model(images)
    except Exception as fault:  # whatever a stranger's forward may raise
        reason = in_a_line(fault)
        raise UserError(f"Architecture {quoted(architecture)} does not run on {size} images ({reason})") from None
    wanted = (1, blueprint.config[_classes_field(blueprint.architecture)])
    if not isinstance(found, Tensor) or tuple(found.shape) != wanted:
        given = "×".join(map(str, found.shape)) if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise UserError(
            f"Architecture {quoted(architecture)} answers one image with {given}; {wanted[0]}×{wanted[1]} is needed: "
            "one number for each class"
        )
