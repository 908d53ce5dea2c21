"""The kinds of stages, by the word that names them in a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from compression.recipe.stages import Prune, Quantize, Recalibrate
from compression.recipe.trained import Distill, Fit, Gradual, Lottery, Sparsify, Train

Stage = Annotated[
    Prune | Recalibrate | Train | Gradual | Lottery | Sparsify | Distill | Quantize,
    Field(discriminator="kind"),
]
STAGES: dict[str, type[Prune | Recalibrate | Train | Gradual | Lottery | Sparsify | Distill | Quantize]] = {
    "prune": Prune,
    "recalibrate": Recalibrate,
    "train": Train,
    "gradual": Gradual,
    "lottery": Lottery,
    "sparsify": Sparsify,
    "distill": Distill,
    "quantize": Quantize,
}
"""In the order of the menus."""


def epochs_of(stage: Stage) -> int:
    """How many epochs a stage trains for in all."""
    if isinstance(stage, Lottery):
        return stage.epochs * (stage.rounds + 1)
    return stage.epochs if isinstance(stage, Fit) else 0
