"""Weights from elsewhere, wherever they were found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from compression.normalisation import Normalisation


@dataclass(frozen=True)
class Given:
    """Weights from elsewhere, and what is known with them.

    Attributes:
        state: tensors by name; empty where there are none.
        where: the file or folder, for errors.
        options: of the architecture, that they need.
        input_shape: C×H×W that they were trained on; None where it is not known.
        normalisation: that they were trained with, likewise.
        notes: sentences on them.
    """

    state: dict[str, Tensor]
    where: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    input_shape: tuple[int, ...] | None = None
    normalisation: Normalisation | None = None
    notes: tuple[str, ...] = ()
