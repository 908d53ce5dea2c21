"""Where student and teacher are compared inside: the pairing of their stages, and what is seen there.

Shapes: B images, C channels, H×W positions, D units; a stage's own shape is C×H×W or D.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from compression.distillation.losses import DISTILLATIONS
from compression.distillation.stages import INPUT, Stage, as_features
from compression.distillation.views import pooled
from compression.registry import UserError, pick, unknown

Pairs = tuple[tuple[Stage, Stage], ...]
"""Matched stages, the student's and the teacher's, in order of depth."""
HALVING = 0.5
"""What pairing maps of which one has half the side costs, where the whole depth of a network costs 1."""
OTHER_KIND = 2.0
"""What pairing a map with a vector costs: more than any difference in depth."""


def match(student: Sequence[Stage], teacher: Sequence[Stage]) -> Pairs:
    """Pair the stages of two networks by depth and resolution, in order, the last with the last.

    Every stage of the network that has fewer gets one of the other; of all such pairings it is
    the one of least cost in all: the difference in depth, plus a half for each halving of the
    side, plus 2 where a map meets a vector.

    Args:
        student: its stages, as ``stages`` gives them.
        teacher: likewise.
    """
    if len(student) > len(teacher):
        return tuple((s, t) for t, s in match(teacher, student))
    if not student:
        return ()
    # At [j]: the best pairing of the stages so far that ends with the teacher's stage j.
    best = [(_cost(student[0], stage), (j,)) for j, stage in enumerate(teacher)]
    for stage in student[1:]:
        before = [min(best[:j], default=(math.inf, ())) for j in range(len(teacher))]
        best = [(cost + _cost(stage, teacher[j]), (*picks, j)) for j, (cost, picks) in enumerate(before)]
    return tuple((s, teacher[j]) for s, j in zip(student, best[-1][1], strict=True))


def _cost(a: Stage, b: Stage) -> float:
    apart = abs(a.depth - b.depth)
    if a.is_map != b.is_map:
        return apart + OTHER_KIND
    # Positions go with the square of the side; vectors have none.
    return apart + HALVING * abs(math.log2(math.prod(a.shape[1:]) / math.prod(b.shape[1:]))) / 2


def chosen(student: Sequence[Stage], teacher: Sequence[Stage], names: Sequence[tuple[str, str]]) -> Pairs:
    """A person's own pairing, put in order of the student's depth.

    Args:
        student: its stages, as ``stages`` gives them.
        teacher: likewise.
        names: of the student's stage and the teacher's, for every pair.

    Raises:
        UserError: a name that no stage has; the line lists those that exist.
    """
    mine, theirs = ({stage.name: stage for stage in given} for given in (student, teacher))
    pairs = [(pick(mine, s, "stage of the student"), pick(theirs, t, "stage of the teacher")) for s, t in names]
    return tuple(sorted(pairs, key=lambda pair: (pair[0].depth, pair[1].depth)))


def usable(method: str, pairs: Sequence[tuple[Stage, Stage]]) -> str | None:
    """Why a method cannot be used with these matched stages, as one line; None where it can.

    Raises:
        UserError: an unknown method.
    """
    card = pick(DISTILLATIONS, method, "method")
    reason = None
    if "features" in card.needs and not pairs:
        reason = "it compares features, and no stage of the student is matched with one of the teacher"
    elif "two stages" in card.needs and len(pairs) < 2:
        reason = "it compares what flows from a matched stage to the next, which takes two, and there is one"
    elif "maps" in card.needs and not any(s.is_map and t.is_map for s, t in pairs):
        reason = "it compares where in the image the networks look, and no matched stage is a map in both"
    return f"{card.label} cannot be the method here: {reason}" if reason else None


class Watch:
    """Shows what a module's stages hold after each forward pass, as long as the context lasts.

    ``with Watch(model, stages) as watch: logits = model(x); watch.features()``. Gradients flow
    through what is seen. Passes of other threads through the same module are not seen.

    Args:
        model: the module; its hooks are gone when the context ends, however it ends.
        stages: those of this module, in the order in which ``features`` gives them.

    Raises:
        UserError: a stage that the module does not have.
    """

    def __init__(self, model: nn.Module, stages: Sequence[Stage]) -> None:
        self._model = model
        self._names = tuple(stage.name for stage in stages)
        self._seen: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        self._thread = 0
        modules = dict(model.named_modules())
        for name in self._names:
            if name.removesuffix(INPUT) not in modules:
                raise UserError(unknown("stage", name, tuple(name for name in modules if name)))
        self._modules = {name: modules[name.removesuffix(INPUT)] for name in self._names}

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        self._handles.append(self._model.register_forward_pre_hook(self._forget))
        for name, module in self._modules.items():
            if name.endswith(INPUT):
                self._handles.append(module.register_forward_pre_hook(partial(self._read, name)))
            else:
                self._handles.append(module.register_forward_hook(partial(self._made, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._seen.clear()

    def features(self) -> tuple[Tensor, ...]:
        """What the last forward pass showed, B×C×H×W or B×D for each stage.

        Raises:
            UserError: that pass did not reach a stage, or there was none.
        """
        for name in self._names:
            if name not in self._seen:
                raise UserError(f"stage '{name}' was not reached by the last forward pass")
        return tuple(as_features(self._seen[name]) for name in self._names)

    def _forget(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() == self._thread:
            self._seen.clear()

    def _read(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        self._keep(name, args[0] if args else None)

    def _made(self, name: str, module: nn.Module, args: tuple[Any, ...], made: Any) -> None:
        self._keep(name, made)

    def _keep(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor) and threading.get_ident() == self._thread:
            self._seen[name] = value


class Regressors(nn.Module):
    """One learned layer for each pair of stages, which turns the student's features into the teacher's.

    A 1×1 convolution from map to map, else a linear layer; a map that meets a vector is
    averaged over its positions first. Used while training only, and thrown away with the teacher.

    Args:
        student: the student's matched stages.
        teacher: the teacher's, as many.
    """

    def __init__(self, student: Sequence[Stage], teacher: Sequence[Stage]) -> None:
        super().__init__()
        if len(student) != len(teacher):
            raise UserError(f"the student has {len(student)} matched stages and the teacher {len(teacher)}")
        self._targets = tuple(stage.shape for stage in teacher)
        self.layers = nn.ModuleList(
            nn.Conv2d(s.shape[0], t.shape[0], 1) if s.is_map and t.is_map else nn.Linear(s.shape[0], t.shape[0])
            for s, t in zip(student, teacher, strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The student's features in the teacher's widths.

        A map is averaged to the teacher's height and width where these are smaller; where they
        are larger, the loss averages the teacher's. A vector becomes a map of one position
        where the teacher has a map.

        Args:
            features: of the student's stages, B×C×H×W or B×D each.
        """
        return tuple(
            _regressed(layer, values, shape)
            for layer, values, shape in zip(self.layers, features, self._targets, strict=True)
        )


def _regressed(layer: nn.Module, values: Tensor, target: tuple[int, ...]) -> Tensor:
    if isinstance(layer, nn.Conv2d):
        # Pooled first: the two commute, and this way round it is less work.
        regressed: Tensor = layer(pooled(values, target[1:]))
        return regressed
    out: Tensor = layer(values.mean((2, 3)) if values.dim() == 4 else values)
    return out[:, :, None, None] if len(target) == 3 else out
