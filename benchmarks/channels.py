"""ResNet-20 by channels at half its MACs: ours beside Torch-Pruning's own pruner, and beside new weights."""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.report import Row, absent, spread
from compression.data.sets import DATASETS
from compression.measure import macs, params
from compression.models.zoo import SAMPLES
from compression.pruning.budget import Budget, allocate
from compression.pruning.ground import ground_of
from compression.pruning.sensitivity import probes
from compression.recipe import Prune, Train
from compression.studies.sweep import cores
from compression.subject import Subject, baseline, layer_names, load_subject, prune_subject, scan_subject, scores
from compression.training import fit, inputs, predict, prepare_process

MODEL = "cifar10-resnet20"
STEPS, SEEDS, IMAGES = 2, 3, 500
LEFT = 0.5
TRAINED = Train(epochs=1, lr=0.05, augment="reflect_flip")
"""After every step; a model from new weights gets as many epochs as all steps together."""
CRITERION = "l2"


def rows(quick: bool = False) -> list[Row]:
    """Test accuracy of the three, the same epochs and the same order of images each."""
    data = SAMPLES[MODEL].data
    if not DATASETS[data].here():
        return [absent(MODEL, data, "≥ theirs")]
    stage = TRAINED.model_copy(update={"epochs": 1} if quick else {})
    seeds = range(1 if quick else SEEDS)
    with _workers() as pool:
        first = [(pool.submit(_ours, stage, seed), pool.submit(_theirs, stage, seed)) for seed in seeds]
        ours, theirs = ([pair[way].result() for pair in first] for way in (0, 1))
        shapes = [model for model, _ in ours]
        scratch = list(pool.map(_scratch, shapes, [stage] * len(shapes), seeds))
    found = {"ours": ours, "theirs": theirs, "scratch": scratch}
    accuracies = {name: [100 * accuracy for _, accuracy in runs] for name, runs in found.items()}
    gap = fmean(accuracies["ours"]) - fmean(accuracies["theirs"])
    return [
        Row("Ours against Torch-Pruning's pruner, points", f"{gap:+.2f}", "≥ 0", gap >= 0, _how(stage, accuracies)),
        Row("Dense model", f"{100 * baseline(load_subject(MODEL), 'test')[1].accuracy:.2f} %"),
        Row("Ours, the amounts of each layer by sensitivity", _said(ours, accuracies["ours"])),
        Row("Torch-Pruning's pruner, the same fraction of each layer", _said(theirs, accuracies["theirs"])),
        Row("The shape of ours from new weights", _said(scratch, accuracies["scratch"])),
    ]


def _how(stage: Train, accuracies: dict[str, list[float]]) -> str:
    listed = "; ".join(f"{name} {', '.join(f'{one:.2f}' for one in each)}" for name, each in accuracies.items())
    return (
        f"{STEPS} steps to half the MACs, epochs of training after each: {stage.epochs}, at rate {stage.lr:g} with "
        f"shifts and mirror images, one loop of training for all and the same order of images; both go by one "
        f"importance, the root mean square of a channel's weights. Ours spreads the MACs over the layers by a scan of "
        f"{IMAGES} validation images before each step; theirs has its default, layer by layer. From new weights: "
        f"{STEPS * stage.epochs} epochs at once. The 10,000 test images, last epoch, mean ± sd; by seed: {listed}."
    )


def _said(runs: list[tuple[nn.Module, float]], accuracies: list[float]) -> str:
    """Accuracy, and how large the models are."""
    shape = load_subject(MODEL).blueprint.input_shape
    whole = macs(load_subject(MODEL).model, shape)
    left = fmean(macs(model, shape) for model, _ in runs) / whole
    return f"{spread(accuracies)}, {left:.1%} of the MACs, {fmean(params(model) for model, _ in runs):,.0f} parameters"


@contextmanager
def _workers() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores(), context, initializer=prepare_process, initargs=(1,)) as pool:
        yield pool


def _ours(stage: Train, seed: int) -> tuple[nn.Module, float]:
    """Step by step, the MACs of each step taken where a scan says that it hurts least."""
    subject = load_subject(MODEL)
    whole = macs(subject.model, subject.blueprint.input_shape)
    for step in range(1, STEPS + 1):
        names = layer_names(subject, "channels")
        readings = scan_subject(subject, probes(names, "channels", CRITERION), IMAGES)
        ground = ground_of(subject.model, "channels", subject.groups, tuple(readings))
        budget = Budget("macs", whole * LEFT ** (step / STEPS))
        _, pruned = allocate(ground, budget, partial(prune_subject, subject), criterion=CRITERION, round_to=1)
        subject = replace(subject, model=_trained(pruned.model, subject, stage, seed))
    return subject.model, _tested(subject)


def _theirs(stage: Train, seed: int) -> tuple[nn.Module, float]:
    """As in Torch-Pruning's README, with our scores in the place of its importance."""
    import torch_pruning

    subject = load_subject(MODEL)
    subject = replace(subject, model=copy.deepcopy(subject.model))
    for step in range(1, STEPS + 1):
        goal = LEFT ** (step / STEPS) * macs(load_subject(MODEL).model, subject.blueprint.input_shape)
        subject = replace(subject, model=_least(subject, goal, torch_pruning))
        subject = replace(subject, model=_trained(subject.model, subject, stage, seed))
    return subject.model, _tested(subject)


def _least(subject: Subject, goal: float, peer: Any) -> nn.Module:
    """Pruned by their pruner at the ratio that comes nearest to so many MACs."""
    shape, whole = subject.blueprint.input_shape, subject.model

    def at(ratio: float) -> nn.Module:
        model = copy.deepcopy(whole)
        pruner = peer.pruner.BasePruner(
            model,
            torch.zeros(2, *shape),
            importance=_importance(replace(subject, model=model)),
            pruning_ratio=ratio,
            ignored_layers=[module for module in model.modules() if isinstance(module, nn.Linear)],
        )
        pruner.step()
        return model

    return min((at(percent / 100) for percent in range(5, 40)), key=lambda model: abs(macs(model, shape) - goal))


def _importance(subject: Subject) -> Any:
    """Our score of each unit of the group that Torch-Pruning asks about."""
    stage = Prune(granularity="channels", criterion=CRITERION, sparsity=LEFT)
    known: dict[int, Tensor] = {
        id(subject.model.get_submodule(maker)): score
        for name, score in scores(subject, stage).items()
        for maker in subject.groups.cuttable("channels")[name].layers
    }
    return lambda group: known[id(group[0].dep.target.module)]


def _scratch(shape: nn.Module, stage: Train, seed: int) -> tuple[nn.Module, float]:
    """A model of a given shape trained from new weights for as many epochs."""
    subject, model = load_subject(MODEL), copy.deepcopy(shape)
    torch.manual_seed(seed)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    longer = stage.model_copy(update={"epochs": STEPS * stage.epochs})
    subject = replace(subject, model=_trained(model, subject, longer, seed))
    return subject.model, _tested(subject)


def _trained(model: nn.Module, subject: Subject, stage: Train, seed: int) -> nn.Module:
    for _ in fit(model, subject.dataset, **stage.settings(), seed=seed):
        pass
    return model


def _tested(subject: Subject) -> float:
    test = subject.dataset.test
    right = predict(subject.model, inputs(test, subject.dataset)).argmax(1) == test.labels
    return float(right.float().mean())
