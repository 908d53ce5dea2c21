"""A model with its data, and the questions that pages and recipes ask of the pair."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path

from torch import Tensor, nn

from compression.data.own import own_digest
from compression.data.root import data_root, own_root
from compression.data.sets import Dataset, load_data
from compression.measure import macs, measurement
from compression.models.files import Blueprint, Loaded
from compression.models.own import home_data, weights_file
from compression.models.structure import CONVOLUTIONS
from compression.models.zoo import SAMPLES, load
from compression.pruning import (
    CRITERIA,
    GRANULARITIES,
    Evidence,
    Groups,
    Pruned,
    allowed,
    coupled_groups,
    kind_of,
    look,
    prunable,
    prune,
    scores_of,
)
from compression.pruning.sensitivity import Probe, Reading, scan
from compression.recipe import STRUCTURED, Cut, Prune, fixed_sparsity, validated
from compression.registry import UserError, in_a_line
from compression.results import Measurement
from compression.training import inputs, normalise, predict

LIVE_MACS = 20_000_000_000


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with its data: what every stage works on."""

    name: str
    model: nn.Module
    blueprint: Blueprint
    dataset: Dataset

    @cached_property
    def groups(self) -> Groups:
        """Which units go together when one is removed; found once a model."""
        return coupled_groups(self.model, self.blueprint.input_shape)


@dataclass(frozen=True)
class Preview:
    """One prune stage tried out: the pruned model, its logits N×K and what was measured."""

    pruned: Pruned
    logits: Tensor
    measurement: Measurement


def load_subject(model: str, data: str | None = None) -> Subject:
    """A model by name or file with its data set (its own where ``data`` is None), loaded once.

    Raises:
        UserError: unknown names, absent data, or images that do not fit the model.
    """
    data = data or home_data(model)
    return _loaded(model, data, data_root(), identity(model, data))


def identity(model: str, data: str | None) -> str:
    """What tells a model with its data from others of the same names; part of the key of whatever remembers them.

    Names mean one thing to one user of a server and another to the next, and another tomorrow. It is
    empty for what all share and nobody changes: a sample model on a data set of the catalogue.
    """
    file, data = weights_file(model), data or home_data(model)
    own = model not in SAMPLES and os.path.isfile(file)
    stamp, digest = file.stat().st_mtime_ns if own else 0, own_digest(data or "")
    return f"{own_root()} {stamp} {digest}" if stamp or digest else ""


# What the catalogue's names hold depends on the data root.
@lru_cache(maxsize=4)
def _loaded(model: str, data: str | None, root: Path, own: str) -> Subject:
    loaded = load(model)
    if data is None:
        raise UserError(f"Model '{model}' has no data set of its own; name one as data")
    dataset = load_data(data)
    return Subject(model, loaded.model, loaded.blueprint, as_trained(model, loaded, dataset))


def subject_of(model: nn.Module | str, data: Dataset | str | None) -> Subject:
    """``load_subject`` that takes a module or a data set in place of their names too.

    Raises:
        UserError: as ``load_subject``, or a module without data.
    """
    if isinstance(model, str) and not isinstance(data, Dataset):
        return load_subject(model, data)
    if data is None:
        raise UserError("data is left out; a module has none of its own, so name a data set")
    dataset = load_data(data) if isinstance(data, str) else data
    if isinstance(model, str):
        name, loaded = model, load(model)
    else:
        name, loaded = type(model).__name__, Loaded(model, Blueprint("", {}, dataset.shape, dataset.normalisation))
    return Subject(name, loaded.model, loaded.blueprint, as_trained(name, loaded, dataset))


def as_trained(name: str, loaded: Loaded, dataset: Dataset) -> Dataset:
    """A data set as a model takes it: normalised with what the model was trained with, where that is known.

    Raises:
        UserError: the model cannot take its images or tell its classes apart.
    """
    model, blueprint = loaded.model, loaded.blueprint
    if blueprint.normalisation != dataset.normalisation:
        dataset = replace(dataset, normalisation=blueprint.normalisation)
    if tuple(dataset.shape) != tuple(blueprint.input_shape):
        wanted, given = ("×".join(map(str, shape)) for shape in (blueprint.input_shape, dataset.shape))
        raise UserError(f"Model '{name}' takes {wanted} images, but data set '{dataset.name}' has {given}")
    try:
        outputs = predict(model, normalise(dataset.val.images[:1], dataset)).shape[-1]
    except RuntimeError as fault:
        reason = in_a_line(fault)
        raise UserError(f"Model '{name}' cannot take the images of data set '{dataset.name}' ({reason})") from None
    if outputs != len(dataset.classes):
        raise UserError(
            f"Model '{name}' tells {outputs} classes apart, but data set '{dataset.name}' has {len(dataset.classes)}"
        )
    return dataset


@lru_cache(maxsize=16)
def live_limit(subject: Subject) -> int | None:
    """How many validation images a page can judge while a slider moves; None for all of them.

    The number follows from the work of an image, so that a release costs about half a second.
    """
    images = LIVE_MACS // max(1, macs(subject.model, subject.blueprint.input_shape))
    whole = len(subject.dataset.val)
    return None if images >= whole else max(100, round(images, -2))


def baseline(subject: Subject, split: str = "val", limit: int | None = None) -> tuple[Tensor, Measurement]:
    """``judge`` of the subject's own model, computed once."""
    return _judged(subject, split, limit)


def at_chance(subject: Subject, measured: Measurement) -> bool:
    """Whether a model may know no more than who guesses: the interval of its accuracy holds one in so many classes."""
    return measured.accuracy_low <= 1 / len(subject.dataset.classes)


@lru_cache(maxsize=16)
def _judged(subject: Subject, split: str, limit: int | None) -> tuple[Tensor, Measurement]:
    return judge(subject, subject.model, split, limit)


def granularities(subject: Subject) -> tuple[str, ...]:
    """What can be removed from this model, in the order of the menus."""
    kinds = {kind for kind in STRUCTURED if subject.groups.cuttable(kind)}
    if any(isinstance(module, CONVOLUTIONS) for module in subject.model.modules()):
        kinds.add("kernels")
    return tuple(key for key in GRANULARITIES if key in kinds or key not in (*STRUCTURED, "kernels"))


@lru_cache(maxsize=64)
def criteria(subject: Subject, granularity: str) -> tuple[str, ...]:
    """The criteria that can rank the units of a granularity in this model (some need BatchNorm)."""
    return tuple(key for key in allowed(granularity) if _ranks(subject, granularity, key))


def _ranks(subject: Subject, granularity: str, criterion: str) -> bool:
    """Tried where a model may lack what a criterion needs; gradients it always has, and one image shows the rest."""
    if not {"batchnorm", "inputs", "activations"} & set(CRITERIA[criterion].needs):
        return True
    amount = fixed_sparsity(granularity) or 0.5
    stage = validated(Prune, {"granularity": granularity, "criterion": criterion, "sparsity": amount, "images": 1})
    try:
        scores(subject, stage)
    except UserError:
        return False
    return True


def layer_names(subject: Subject, granularity: str) -> tuple[str, ...]:
    """The layers that can be given a sparsity of their own."""
    if granularity in STRUCTURED:
        return tuple(subject.groups.cuttable(granularity))
    return tuple(prunable(subject.model, granularity))


def judge(
    subject: Subject,
    model: nn.Module,
    split: str = "val",
    limit: int | None = None,
) -> tuple[Tensor, Measurement]:
    """Logits N×K and measurement of a model on one split, or on its first ``limit`` images."""
    whole = subject.dataset.split(split)
    # A slice of the inputs that are kept: those of a shorter split would be computed each time.
    logits = predict(model, inputs(whole, subject.dataset)[:limit])
    labels = whole.labels[:limit]
    measured = measurement(model, subject.dataset.classes, split, logits, labels, subject.blueprint.input_shape)
    return logits, measured


def evidence_of(subject: Subject, stage: Cut, seed: int = 0) -> Evidence:
    """What a stage's criterion has to see on training images; kept, since the amount does not change it."""
    kind = kind_of(stage.criterion)
    return _seen(subject, kind, stage.images, seed) if kind else Evidence()


@lru_cache(maxsize=4)
def _seen(subject: Subject, kind: str, images: int, seed: int) -> Evidence:
    return look(subject.model, subject.dataset, kind, images, seed)


def scores(subject: Subject, stage: Prune, seed: int = 0) -> dict[str, Tensor]:
    """``scores_of`` the subject's own model."""
    shape, seen = subject.blueprint.input_shape, evidence_of(subject, stage, seed)
    return scores_of(subject.model, stage, shape, seed, subject.groups, seen)


def prune_subject(subject: Subject, stage: Prune, seed: int = 0) -> Pruned:
    """Prune a copy of the subject's model."""
    shape, seen = subject.blueprint.input_shape, evidence_of(subject, stage, seed)
    return prune(subject.model, stage, shape, seed, subject.groups, seen)


def scan_subject(
    subject: Subject, probes: Sequence[Probe], images: int | None = None, reuse: bool = True
) -> Iterator[Reading]:
    """``scan`` the subject's own model on its validation images, or on the first ``images`` of them."""
    val = subject.dataset.val
    shown, labels = inputs(val, subject.dataset)[:images], val.labels[:images]
    return scan(subject.model, probes, partial(prune_subject, subject), shown, labels, reuse=reuse)


def preview(subject: Subject, pruned: Pruned, split: str = "val", limit: int | None = None) -> Preview:
    """Measure what was pruned, without training: what a page shows while a slider moves."""
    logits, measured = judge(subject, pruned.model, split, limit)
    return Preview(pruned, logits, measured)
