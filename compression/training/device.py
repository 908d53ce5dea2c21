"""Where networks are trained and judged: on the processor, or on the accelerator that this process was given.

All else, scores, masks and surgery among it, is done on the processor, where models are at rest.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from compression.registry import UserError

CPU = torch.device("cpu")
_chosen = CPU


def work_on(name: str) -> None:
    """Have this process train and judge on a device from now on: ``cpu``, or ``cuda`` for its first accelerator.

    Raises:
        UserError: torch finds no accelerator here.
    """
    global _chosen
    if name != "cpu" and not torch.accelerator.is_available():
        raise UserError(f"device is {name}, but torch finds no accelerator on this machine; use cpu")
    _chosen = torch.device(name)


@contextmanager
def at_work(*modules: nn.Module) -> Iterator[torch.device]:
    """Within it the modules are on the device of this process, which it gives; then they are back where they were."""
    before = [(module, place_of(module)) for module in modules]
    try:
        _move(before, to=_chosen)
        yield _chosen
    finally:
        _move(before)


def at_rest(module: nn.Module) -> nn.Module:
    """The module where it is on the processor, else a copy of it there."""
    return module if place_of(module) == CPU else copy.deepcopy(module).to(CPU)


def place_of(module: nn.Module) -> torch.device:
    """The device that a module is on; one without tensors is on the processor."""
    tensor = next(module.parameters(), next(module.buffers(), None))
    return CPU if tensor is None else tensor.device


def _move(before: list[tuple[nn.Module, torch.device]], to: torch.device | None = None) -> None:
    for module, place in before:
        if place_of(module) != (to or place):
            module.to(to or place)
