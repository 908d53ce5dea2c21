"""A model as a ``torch.export`` program: its graph and its weights in one file that torch alone runs."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from compression.registry import UserError, in_a_line


def save_program(model: nn.Module, images: Tensor, path: Path) -> None:
    """Write the module in ``eval()`` mode as a ``.pt2`` file; the batch may have any length.

    Args:
        model: a module that takes one tensor.
        images: N×C×H×W, of which the first two show the shapes.
        path: a file already there is replaced.

    Raises:
        UserError: torch.export cannot express the module; one line.
    """
    _start_autograd()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecations within torch.export
            free = ({0: torch.export.Dim("batch")},)
            program = torch.export.export(model, (images[:2].contiguous(),), dynamic_shapes=free)
            torch.export.save(program, path)
    except Exception as fault:
        raise UserError(f"The export with torch.export failed ({in_a_line(fault)})") from None


def program_outputs(path: Path, images: Tensor) -> Tensor:
    """What the program of a file makes of images, N×K."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        outputs: Tensor = torch.export.load(path).module()(images)
    return outputs


def _start_autograd() -> None:
    """Have one backward pass done before the first fake tensor of torch.export.

    The engine makes its threads at the first pass, one for each device; fake tensors add a device, and
    a process with such threads cannot fork workers that train, which a sweep does.
    """
    with torch.enable_grad():
        torch.zeros(1, requires_grad=True).sum().backward()  # type: ignore[no-untyped-call]
