"""The recipe: a model, its data, a seed and the stages in order; read without torch."""

from compression.recipe.kinds import (
    STAGES,
    Stage,
    epochs_of,
)
from compression.recipe.recipe import (
    Recipe,
    one_line,
    validated,
)
from compression.recipe.stages import (
    ROUNDED,
    STRUCTURED,
    Augment,
    Criterion,
    Cut,
    Distillation,
    Frozen,
    Granularity,
    Penalty,
    Prune,
    Ramp,
    Recalibrate,
    Schedule,
    Scope,
    Ticket,
    fixed_sparsity,
)
from compression.recipe.trained import (
    Distill,
    Fit,
    Gradual,
    Lottery,
    Sparsify,
    Train,
)

__all__ = [
    "ROUNDED",
    "STAGES",
    "STRUCTURED",
    "Augment",
    "Criterion",
    "Cut",
    "Distill",
    "Distillation",
    "Fit",
    "Frozen",
    "Gradual",
    "Granularity",
    "Lottery",
    "Penalty",
    "Prune",
    "Ramp",
    "Recalibrate",
    "Recipe",
    "Schedule",
    "Scope",
    "Sparsify",
    "Stage",
    "Ticket",
    "Train",
    "epochs_of",
    "fixed_sparsity",
    "one_line",
    "validated",
]
