"""The stages that make a network smaller or heal it: prune, train, recalibrate, prune while training, quantise."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import nn

from compression.distillation.students import fresh
from compression.models.zoo import trained_with
from compression.pruning.gradual import Rising
from compression.pruning.lottery import draw, sparsity_of
from compression.pruning.oneshot import Pruned
from compression.pruning.penalties import drift, penalised
from compression.pruning.recovery import correct_biases
from compression.quantization import quantize
from compression.recipe import Gradual, Lottery, Prune, Quantize, Recalibrate, Sparsify, Train, epochs_of
from compression.registry import UserError
from compression.results import Epoch
from compression.stages.outcome import Outcome, Work, after, fitted
from compression.subject import Subject, at_chance, judge, prune_subject
from compression.training import Diverged, recount

AFTER_A_CUT = "biases compares with the model before a pruning; put recalibrate directly after a prune stage"
ALL_BACK = "In the end nothing is held at zero any more."


def pruned(before: Outcome, stage: Prune, seed: int) -> Work:
    """Prune once."""
    yield f"pruning {stage.granularity} by {stage.criterion}", None
    return after(before, prune_subject(before.subject, stage, seed))


def trained(before: Outcome, stage: Train, seed: int, number: int) -> Work:
    """Fine-tune; what is pruned stays zero."""
    subject = _copied(before.subject)
    settings = stage.settings() | {"masks": before.masks, "seed": seed}
    stopped = yield from fitted("training", subject, settings, number)
    return Outcome(subject, before.masks, stopped=stopped)


def recalibrated(before: Outcome, stage: Recalibrate, seed: int) -> Work:
    """Count BatchNorm anew, correct biases, or both; what the last pruning did is handed on."""
    subject = _copied(before.subject)
    notes = []
    if stage.batchnorm:
        yield "counting the statistics of BatchNorm anew", None
        augment = trained_with(subject.name) if stage.augment == "auto" else stage.augment
        if not recount(subject.model, subject.dataset, stage.images, seed, augment):
            notes.append("The model has no BatchNorm to count anew.")
    if stage.biases:
        yield "correcting biases", None
        if before.unpruned is None:
            raise UserError(AFTER_A_CUT)
        kept = before.pruned.kept if before.pruned else {}
        if not correct_biases(subject.model, before.unpruned, subject.dataset, kept, stage.images, seed):
            notes.append("The model has no linear layer with a bias to correct.")
    return Outcome(subject, before.masks, before.pruned, tuple(notes), unpruned=before.unpruned)


def gradually_pruned(before: Outcome, stage: Gradual, seed: int, number: int) -> Work:
    """Prune step by step while training."""
    subject = _copied(before.subject)
    rising = Rising(subject.model, stage, subject.groups, subject.dataset, seed, before.masks)
    settings = stage.settings() | {"masks": before.masks, "masking": rising, "seed": seed}
    settings["restarts"] = stage.rounds if stage.restart else 1

    def with_sparsity(epoch: Epoch) -> Epoch:
        return epoch.model_copy(update={"sparsity": rising.sparsity})

    stopped = yield from fitted("pruning gradually", subject, settings, number, with_sparsity)
    found = rising.pruned()
    if found is None:
        back = "In the end nothing is held at zero any more but what was pruned before." if before.masks else ALL_BACK
        return Outcome(subject, before.masks, notes=(back,), stopped=stopped)
    return replace(after(before, found), stopped=stopped, unpruned=None)  # training has moved the means since


def drawn(stage: Lottery, original: Subject, seed: int, number: int) -> Work:
    """Draw a lottery ticket; it starts from new weights, whatever came before."""

    def new(seed: int) -> nn.Module:
        return fresh(original.blueprint, seed).eval()

    epochs = draw(new, stage, original.dataset, seed, number)
    while True:
        try:
            epoch = next(epochs)
        except StopIteration as end:
            model, masks, stopped = end.value
            found = Pruned(model, dict(masks), (), stage.sparsity, sparsity_of(model, masks))
            notes = ("It was trained from new weights.",)
            return Outcome(replace(original, model=model), masks, found, notes, stopped)
        yield f"drawing a ticket, epoch {epoch.epoch} of {epochs_of(stage)}", epoch


def sparsified(before: Outcome, stage: Sparsify, seed: int, number: int) -> Work:
    """Train with a penalty, noting after every epoch how far it has drawn."""
    subject = _copied(before.subject)
    model, groups = subject.model, subject.groups
    log = [drift(model, groups, stage.penalty, 0)]

    def noted(epoch: Epoch) -> Epoch:
        log.append(drift(model, groups, stage.penalty, epoch.epoch, log[0].reach))
        return epoch

    goal = penalised(stage, model, groups)
    settings = stage.settings() | {"masks": before.masks, "objective": goal, "seed": seed}
    try:
        stopped = yield from fitted("sparsifying", subject, settings, number, noted)
    except Diverged as fault:
        raise Diverged(str(fault).replace("lower lr", "lower strength or lr")) from None
    return Outcome(subject, before.masks, notes=_too_strong(subject), stopped=stopped, drift=tuple(log))


def quantised(before: Outcome, stage: Quantize, seed: int) -> Work:
    """Round to int8; what is handed on runs in ONNX Runtime."""
    yield f"quantising to int8, {stage.mode}", None
    subject = before.subject
    made = quantize(subject.model, subject.blueprint.input_shape, subject.dataset, stage, seed)
    blueprint = replace(made.blueprint, normalisation=subject.blueprint.normalisation)
    return Outcome(replace(subject, model=made.model, blueprint=blueprint), notes=(made.note,))


def _too_strong(subject: Subject) -> tuple[str, ...]:
    """A note where a model no longer tells the classes apart."""
    measured = judge(subject, subject.model)[1]
    if not at_chance(subject, measured):
        return ()
    return (f"Only {measured.accuracy:.1%} of the validation images are right, which is chance; lower strength.",)


def _copied(subject: Subject) -> Subject:
    return replace(subject, model=copy.deepcopy(subject.model))
