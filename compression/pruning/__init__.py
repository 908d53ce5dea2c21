"""Pruning along its axes: what is removed, by what criterion, compared within what."""

from compression.pruning.coupling import coupled_groups
from compression.pruning.criteria import CRITERIA, GRANULARITIES, allowed
from compression.pruning.evidence import Evidence, kind_of, look, observe
from compression.pruning.index import (
    ScoreIndex,
    WeightHistogram,
    dropped,
    histogram,
    score_index,
    sparsity_at,
    threshold_of,
    weight_index,
)
from compression.pruning.masks import apply_masks, prunable, weight_masks
from compression.pruning.oneshot import Pruned, prune, scores_of
from compression.pruning.selection import SCOPES
from compression.pruning.surgery import Group, Groups, cut, masked
from compression.pruning.units import choose, widths

__all__ = [
    "CRITERIA",
    "GRANULARITIES",
    "SCOPES",
    "Evidence",
    "Group",
    "Groups",
    "Pruned",
    "ScoreIndex",
    "WeightHistogram",
    "allowed",
    "apply_masks",
    "choose",
    "coupled_groups",
    "cut",
    "dropped",
    "histogram",
    "kind_of",
    "look",
    "masked",
    "observe",
    "prunable",
    "prune",
    "score_index",
    "scores_of",
    "sparsity_at",
    "threshold_of",
    "weight_index",
    "weight_masks",
    "widths",
]
