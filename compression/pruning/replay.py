"""Forward passes that begin where two models begin to differ.

Cutting one layer leaves everything before it as it was. What the modules of the whole model
returned on a batch is kept on a ``Tape``, in the order in which they were called; a model
that differs from some call on is given the earlier answers instead of computing them again.
Nothing is traced: any tree of modules will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

Call = Callable[..., Any]


@dataclass
class Tape:
    """The calls of one forward pass, numbered in the order in which they began; the model's own is 0.

    Attributes:
        names: who was called.
        last: the number of the last call that was made within each.
        outputs: what each returned.
    """

    names: list[str] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class InPlace:
    """The numbers of the calls whose outputs are changed later, and of those that change what they are given."""

    altered: frozenset[int]
    altering: frozenset[int]


def record(model: nn.Module, images: Tensor, in_place: InPlace) -> Tape:
    """Run the model and keep what each call returns, copies of what is altered afterwards.

    Nobody else may run the model meanwhile.
    """
    tape = Tape()

    def recording(name: str, call: Call) -> Call:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            turn = len(tape.names)
            tape.names.append(name)
            tape.last.append(turn)
            tape.outputs.append(None)
            output = call(*args, **kwargs)
            tape.last[turn] = len(tape.names) - 1
            tape.outputs[turn] = _copied(output) if turn in in_place.altered else output
            return output

        return recorded

    with _instead(model, recording):
        model(images)
    return tape


def replay(model: nn.Module, images: Tensor, tape: Tape, first: int, in_place: InPlace) -> Any:
    """What ``model(images)`` returns, without computing the calls that end before number ``first`` begins.

    The model is given copies of what it alters, and alters them itself.
    """
    turn = 0

    def replaying(_: str, call: Call) -> Call:
        def replayed(*args: Any, **kwargs: Any) -> Any:
            nonlocal turn
            here = turn
            if here < first and tape.last[here] < first and here not in in_place.altering:
                turn = tape.last[here] + 1
                output = tape.outputs[here]
                return _copied(output) if here in in_place.altered else output
            turn += 1
            return call(*args, **kwargs)

        return replayed

    with _instead(model, replaying):
        return model(images)


def in_place(model: nn.Module, image: Tensor) -> InPlace:
    """What a pass changes in place, found on one image.

    A ReLU in place alters what the layer before it returned, an addition in place what its branch did.
    """
    returned: list[list[tuple[Tensor, int]]] = []
    altering: set[int] = set()

    def watching(_: str, call: Call) -> Call:
        def watched(*args: Any, **kwargs: Any) -> Any:
            here = len(returned)
            returned.append([])
            given = _versions((args, kwargs))
            output = call(*args, **kwargs)
            if _changed(given):
                altering.add(here)
            returned[here] = _versions(output)
            return output

        return watched

    # Outside inference mode, since only there does a tensor count its changes.
    with torch.inference_mode(False), torch.no_grad(), _instead(model, watching):
        model(image.clone())  # a view of what was made in inference mode would not count
    return InPlace(frozenset(turn for turn, leaves in enumerate(returned) if _changed(leaves)), frozenset(altering))


def _versions(values: Any) -> list[tuple[Tensor, int]]:
    return [(leaf, leaf._version) for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def _changed(leaves: list[tuple[Tensor, int]]) -> bool:
    return any(leaf._version != count for leaf, count in leaves)


def first_call(tape: Tape, changed: set[str]) -> int:
    """The number of the first call that a change of these modules concerns.

    A module that is never called itself is used by the one that holds it, as attention uses
    its projections.
    """
    called, numbers = set(tape.names), [len(tape.names)]
    for name in changed:
        while name not in called:
            name = name.rpartition(".")[0]
        numbers.append(tape.names.index(name))
    return min(numbers)


def changed_modules(before: nn.Module, after: nn.Module) -> set[str]:
    """The modules whose own tensors, settings or parts are not those of the same module before."""
    now = dict(after.named_modules())
    return {name for name, module in before.named_modules() if name not in now or not _alike(module, now[name])}


def share(before: nn.Module, after: nn.Module, changed: set[str]) -> int:
    """Let the unchanged modules hold the very tensors of those before; the bytes of the others."""
    sources = dict(before.named_modules())
    own = 0
    for name, module in after.named_modules():
        if name in sources and name not in changed:
            module._parameters, module._buffers = sources[name]._parameters, sources[name]._buffers
        else:
            own += sum(tensor.nbytes for tensor in _tensors(module).values() if tensor is not None)
    return own


def _alike(one: nn.Module, other: nn.Module) -> bool:
    if type(one) is not type(other) or _settings(one) != _settings(other):
        return False
    mine, theirs = _tensors(one), _tensors(other)
    return list(mine) == list(theirs) and all(_equal(mine[name], theirs[name]) for name in mine)


def _settings(module: nn.Module) -> dict[str, Any]:
    """The plain values of a module, such as widths and numbers of heads, and the names of its parts."""
    plain = (bool, int, float, str, tuple, type(None))
    values = {name: value for name, value in vars(module).items() if isinstance(value, plain) and name != "training"}
    return {**values, "modules": tuple(module._modules)}


def _tensors(module: nn.Module) -> dict[str, Tensor | None]:
    return {**module._parameters, **module._buffers}


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or torch.equal(one, other)


def _copied(output: Any) -> Any:
    """A copy that what follows may change in place."""
    return tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, output)


@contextmanager
def _instead(model: nn.Module, around: Callable[[str, Call], Call]) -> Iterator[None]:
    """Every module's ``forward`` replaced by one around it, inside."""
    modules = dict(model.named_modules())
    for name, module in modules.items():
        module.__dict__["forward"] = around(name, module.forward)
    try:
        yield
    finally:
        for module in modules.values():
            del module.__dict__["forward"]
