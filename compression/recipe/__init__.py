"""The recipe: a model, its data, a seed and the stages in order; read without torch."""

from compression.recipe.recipe import Recipe, one_line, validated
from compression.recipe.stages import (
    STAGES,
    STRUCTURED,
    Criterion,
    Distill,
    Distillation,
    Fit,
    Frozen,
    Granularity,
    Prune,
    Scope,
    Stage,
    Train,
    fixed_sparsity,
)

__all__ = [
    "STAGES",
    "STRUCTURED",
    "Criterion",
    "Distill",
    "Distillation",
    "Fit",
    "Frozen",
    "Granularity",
    "Prune",
    "Recipe",
    "Scope",
    "Stage",
    "Train",
    "fixed_sparsity",
    "one_line",
    "validated",
]
