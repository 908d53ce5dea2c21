"""The stages of a network: places that say something whole, found by running it once.

Shapes: B images, C channels, H×W positions, D units, N tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from compression.measure.tracing import evaluating
from compression.models.structure import copy_with
from compression.registry import UserError, in_a_line

INPUT = " (input)"
"""What a stage's name ends in where it is what the module reads, not what it makes."""


@dataclass(frozen=True)
class Stage:
    """A place in a network at which features are taken.

    Attributes:
        name: the module's path, with " (input)" after it where it is what the module reads.
        shape: of one image's features, C×H×W or D; tokens N×D are a map D×N×1.
        depth: the share of the weighted layers that are done there, in (0, 1].
    """

    name: str
    shape: tuple[int, ...]
    depth: float

    @property
    def is_map(self) -> bool:
        """Whether its features have positions."""
        return len(self.shape) == 3


def stages(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Stage, ...]:
    """Find the stages of a module by running it once on zeros, in order of depth.

    They are the last output at each resolution, what happens inside a block on its way to
    another resolution left out, and the vectors that linear layers read. The image itself is
    none, however it was scaled or flattened, nor is a map of a single position, since a linear
    layer reads it next.

    Args:
        model: any module that takes one tensor; it is neither changed nor hooked.
        input_shape: C×H×W of one image, without the batch.

    Raises:
        UserError: the module does not accept such an input.
    """
    calls, layers = _run(model, input_shape)
    found = [(c.ended, c.name, c.made, c.after) for c in _maps(calls)]
    found += [(c.began, c.name + INPUT, c.given, c.before) for c in _vectors(calls)]
    return tuple(
        Stage(name, tuple(as_features(tensor).shape[1:]), done / layers)
        for _, name, tensor, done in sorted(found, key=lambda place: place[0])
        if tensor is not None
    )


def as_features(tensor: Tensor) -> Tensor:
    """Tokens B×N×D as a map B×D×N×1; maps and vectors as they are."""
    return tensor.transpose(1, 2).unsqueeze(-1) if tensor.dim() == 3 else tensor


@dataclass(eq=False)
class _Call:
    """The last call of a module: what it was given and made, and when, in ticks and in layers done."""

    name: str
    module: nn.Module
    given: Tensor | None
    began: int
    before: int
    made: Tensor | None = None
    ended: int = 0
    after: int = 0


class _Recorder:
    """Keeps the last call of every module. A module called twice is seen by ``Watch`` the last time, too."""

    def __init__(self) -> None:
        self.calls: dict[str, _Call] = {}
        self.layers = 0
        self.clock = itertools.count()

    def begin(self, name: str, module: nn.Module, args: tuple[Any, ...]) -> None:
        given = args[0] if args and isinstance(args[0], Tensor) else None
        self.calls[name] = _Call(name, module, given, next(self.clock), self.layers)

    def end(self, name: str, module: nn.Module, args: tuple[Any, ...], made: Any) -> None:
        self.layers += any(weight.dim() > 1 for weight in module.parameters(recurse=False))
        call = self.calls[name]
        call.made = made if isinstance(made, Tensor) else None
        call.ended, call.after = next(self.clock), self.layers


def _run(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[dict[str, _Call], int]:
    """The calls by module name, and how many layers were done in all."""
    weights = [*model.parameters(), *model.buffers()]
    # Hooks on the caller's module would fire in other threads too; the twin shares its weights.
    twin = copy_with(model, ((weight, weight) for weight in weights))
    recorder = _Recorder()
    for name, module in twin.named_modules():
        module.register_forward_pre_hook(partial(recorder.begin, name))
        module.register_forward_hook(partial(recorder.end, name))
    like = next((weight for weight in weights if weight.is_floating_point()), torch.zeros(0))
    with evaluating(twin), torch.no_grad():
        try:
            twin(torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device))
        except (RuntimeError, ValueError, IndexError) as fault:
            reason = in_a_line(fault)
            raise UserError(f"input_shape is {tuple(input_shape)}; the model cannot run on it: {reason}") from None
    return recorder.calls, recorder.layers


def _maps(calls: dict[str, _Call]) -> list[_Call]:
    """For each resolution the calls that made its last map; of several modules that pass it on, the outermost."""
    groups: dict[tuple[int, int], list[_Call]] = {}
    for call in sorted(calls.values(), key=lambda call: -call.ended):
        size = _positions(call.made)
        if size and call.after and not _on_the_way(call, calls):
            groups.setdefault(size, []).append(call)
    # Outermost first: a container ends after what it contains, and hands on the same tensor.
    chains = [[call for call in group if call.made is group[0].made] for group in groups.values()]
    innermost = [chain[-1].name for chain in chains]
    last = sorted((_outermost(chain, innermost) for chain in chains), key=lambda call: call.ended)
    # A resolution that is only pooled from the one before holds nothing new.
    return list({call.after: call for call in reversed(last)}.values())


def _outermost(chain: Sequence[_Call], others: Sequence[str]) -> _Call:
    """The first that does not also contain the stage of another resolution, as the whole body would."""
    for call in chain:
        if not any(name.startswith(f"{call.name}.") for name in others if name != chain[-1].name):
            return call
    return chain[-1]


def _on_the_way(call: _Call, calls: dict[str, _Call]) -> bool:
    """Whether it still has the resolution at which a block around it began, and the block ends at another.

    A bottleneck's first convolution belongs to its block, not to the stage before. A Sequential
    is no block but a chain, and neither is what reads the image.
    """
    size = _positions(call.made)
    path = call.name.split(".")
    around = (calls.get(".".join(path[:length])) for length in range(1, len(path)))
    return any(
        block is not None
        and block.before > 0
        and not isinstance(block.module, nn.Sequential)
        and _positions(block.given) == size != _positions(block.made)
        for block in around
    )


def _vectors(calls: dict[str, _Call]) -> list[_Call]:
    """The linear layers that read a vector which some layer made; of several that read one, the first."""
    read: dict[int, _Call] = {}
    for call in calls.values():
        if isinstance(call.module, nn.Linear) and call.given is not None and call.given.dim() == 2 and call.before:
            read.setdefault(id(call.given), call)
    return list(read.values())


def _positions(tensor: Tensor | None) -> tuple[int, int] | None:
    """H×W of a map, N×1 of tokens; None for all else, a map of one position included."""
    if tensor is None or tensor.dim() not in (3, 4):
        return None
    height, width = as_features(tensor).shape[2:]
    return (height, width) if height * width > 1 else None
