"""One distilling: student, teacher and method as an objective to train on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.data.sets import Dataset
from compression.distillation.features import Pairs, Regressors, Watch, chosen, match, usable
from compression.distillation.losses import DISTILLATIONS, SCALES
from compression.distillation.stages import stages
from compression.distillation.targets import Targets, targets
from compression.distillation.views import View
from compression.recipe import Distill
from compression.registry import UserError, pick
from compression.training import Objective, Step


class Lesson(Objective):
    r"""The labels and the teacher, weighed against each other.

    .. math:: (1 - \alpha)\, \mathrm{CE}(z^s, y) + \alpha\, c\, L(z^s, z^t; T)

    ``c`` is the method's scale (``losses.SCALES``), so that one alpha means something for all.
    The features of the student pass regressors first where the method needs them; those are
    trained along and then forgotten.
    """

    def __init__(self, stage: Distill, answers: Targets, pairs: Pairs) -> None:
        super().__init__()
        method = DISTILLATIONS[stage.method]
        self.stage, self.answers, self.call = stage, answers, method.call
        self.watched = tuple(mine for mine, _ in pairs) if "features" in method.needs else ()
        self.regressors: nn.Module | None = None
        if "regressors" in method.needs:
            self.regressors = Regressors(self.watched, tuple(theirs for _, theirs in pairs))

    def forward(self, model: nn.Module, step: Step) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The logits B×K, the loss, and its two terms before alpha weighs them, so that runs of any alpha compare."""
        alpha = self.stage.alpha
        with Watch(model, self.watched) as watch:
            logits, features = model(step.images_BCHW), watch.features()
        labels = F.cross_entropy(logits, step.labels_B)
        if alpha == 0:
            return logits, labels, {"hard": labels}
        student = View(logits, self.regressors(features) if self.regressors else features)
        loss = self.call(student, self.answers.view(step), step.labels_B, self.stage.temperature)
        teacher = SCALES[self.stage.method] * loss
        return logits, (1 - alpha) * labels + alpha * teacher, {"hard": labels, "teacher": teacher}

    def helpers(self) -> tuple[nn.Module, ...]:
        """The teacher, where it judges every batch anew."""
        return () if self.answers.kept or self.stage.alpha == 0 else (self.answers.model,)


def lesson(stage: Distill, student: nn.Module, teacher: nn.Module, dataset: Dataset, seed: int = 0) -> Lesson:
    """The objective of a distilling stage, checked before anything is trained; ``seed`` draws the regressors.

    Raises:
        UserError: a pairing with unknown stages, or a method that cannot compare the two.
    """
    if stage.alpha == 0:
        return Lesson(stage.model_copy(update={"method": "soft_targets"}), Targets(teacher, (), (), ""), ())
    pairs = pairing(stage, student, teacher, dataset.shape)
    compared = tuple(theirs for _, theirs in pairs)
    answers = targets(teacher, dataset, compared, stage.augment, stage.copies, stage.memory_mb)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Lesson(stage, answers, pairs)


def pairing(stage: Distill, student: nn.Module, teacher: nn.Module, input_shape: tuple[int, ...]) -> Pairs:
    """Which stages of student and teacher are compared; none for methods that look at logits only.

    Raises:
        UserError: as ``lesson`` does.
    """
    if "features" not in pick(DISTILLATIONS, stage.method, "method").needs:
        return ()
    mine, theirs = stages(student, input_shape), stages(teacher, input_shape)
    pairs = chosen(mine, theirs, stage.pairs) if stage.pairs else match(mine, theirs)
    if reason := usable(stage.method, pairs):
        raise UserError(reason)
    return pairs
