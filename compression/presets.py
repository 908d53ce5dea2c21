"""Well-known recipes, sized for the model at hand: what a pipeline starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch.nn.modules.batchnorm import _BatchNorm

from compression.recipe import (
    Distill,
    Gradual,
    Granularity,
    Lottery,
    Prune,
    Quantize,
    Recalibrate,
    Sparsify,
    Stage,
    Train,
)
from compression.registry import UserError
from compression.subject import Subject

Stages = tuple[Stage, ...]


@dataclass(frozen=True)
class Preset:
    """A recipe by name: ``build`` makes its stages for a model, or raises UserError where it does not fit."""

    key: str
    label: str
    sentence: str
    paper: str
    build: Callable[[Subject], Stages]


def han(subject: Subject) -> Stages:
    """Iterative magnitude pruning of single weights, twelve times fewer in the end."""
    return (Gradual(sparsity=11 / 12, schedule="geometric", rounds=5, epochs=15, lr=0.02),)


def network_slimming(subject: Subject) -> Stages:
    """L1 on BatchNorm scales while training, then the channels with the smallest scales go.

    Raises:
        UserError: no BatchNorm.
    """
    if not _normalised(subject):
        raise UserError(f"Network slimming needs BatchNorm, and {subject.name} has none; choose another preset")
    epochs, lr = 5, 0.05
    sparsify = Sparsify(penalty="batchnorm_l1", epochs=epochs, lr=lr)
    steps = epochs * -(-len(subject.dataset.train) // sparsify.batch_size)
    # A step moves a scale by rate · strength / (1 - momentum), and the mean rate is half the highest: a scale
    # that nothing holds up loses two fifths in all. More of it would empty the channels that are needed too.
    strength = 0.4 * (1 - sparsify.momentum) / (lr / 2 * steps)
    return (
        sparsify.model_copy(update={"strength": float(f"{strength:.2g}")}),
        Prune(granularity=_units(subject), criterion="batchnorm", scope="layer", sparsity=0.5),
        Recalibrate(),
        Train(epochs=5, lr=0.02),
    )


def gradual_magnitude(subject: Subject) -> Stages:
    """Sparsity rises along a cubic curve while training goes on."""
    return (Gradual(sparsity=0.95, schedule="cubic", rounds=20, end=0.75, restart=False, epochs=10, lr=0.02),)


def lottery_ticket(subject: Subject) -> Stages:
    """Train, prune, rewind to the first weights, and again."""
    return (Lottery(sparsity=0.9, rounds=5, epochs=5),)


def prune_then_distil(subject: Subject) -> Stages:
    """Half the units go, and the whole model teaches what is left of it."""
    half = Prune(granularity=_units(subject), scope="layer", sparsity=0.5)
    counted = (Recalibrate(),) if _normalised(subject) else ()
    return (half, *counted, Distill(student="same", epochs=5, lr=0.01))  # at 0.05 a transformer forgets all


def prune_distil_quantise(subject: Subject) -> Stages:
    """``prune_then_distil``, and what is left is rounded to int8."""
    return (*prune_then_distil(subject), Quantize())


def slim_teacher(subject: Subject) -> Stages:
    """The teacher is pruned and healed first, then teaches a student of half its width."""
    return (Prune(sparsity=0.8), Train(epochs=3, lr=0.02), Distill(student="narrower", teacher="present", epochs=10))


PRESETS: dict[str, Preset] = {
    preset.key: preset
    for preset in (
        Preset(
            "han",
            "Han 2015",
            "Prune the smallest weights, fine-tune, and again, to a twelfth of them.",
            "Han et al. 2015, Learning both weights and connections, arXiv 1506.02626",
            han,
        ),
        Preset(
            "slimming",
            "Network slimming",
            "Train with L1 on BatchNorm scales, cut the half of the channels with the smallest, heal.",
            "Liu et al. 2017, Network slimming, arXiv 1708.06519",
            network_slimming,
        ),
        Preset(
            "gradual",
            "Gradual magnitude",
            "Sparsity rises to 95 % while training goes on.",
            "Zhu and Gupta 2017, To prune, or not to prune, arXiv 1710.01878",
            gradual_magnitude,
        ),
        Preset(
            "lottery",
            "Lottery ticket",
            "A tenth of the weights, rewound to where they began, trained alone.",
            "Frankle and Carbin 2019, The lottery ticket hypothesis, arXiv 1803.03635",
            lottery_ticket,
        ),
        Preset(
            "prune_distil",
            "Prune, then distil",
            "Cut half the units, then let the whole model teach what is left.",
            "Hinton et al. 2015, Distilling the knowledge, arXiv 1503.02531",
            prune_then_distil,
        ),
        Preset(
            "prune_distil_int8",
            "Prune, distil, quantise",
            "The same, and what is left is rounded to int8.",
            "Polino et al. 2018, Model compression via distillation and quantization, arXiv 1802.05668",
            prune_distil_quantise,
        ),
        Preset(
            "slim_teacher",
            "Prune the teacher, distil a student",
            "The pruned teacher teaches a student of half its width.",
            "Park and No 2022, Prune your model before distill it, arXiv 2109.14960",
            slim_teacher,
        ),
    )
}
"""In the order of the menu."""


def _normalised(subject: Subject) -> bool:
    return any(isinstance(module, _BatchNorm) for module in subject.model.modules())


def _units(subject: Subject) -> Granularity:
    """The units that can be cut out of a model: channels, else rows."""
    kinds: tuple[Granularity, ...] = ("channels", "rows")
    found = [kind for kind in kinds if subject.groups.cuttable(kind)]
    if not found:
        raise UserError(f"{subject.name} has neither channels nor rows that can be cut; choose another preset")
    return found[0]
