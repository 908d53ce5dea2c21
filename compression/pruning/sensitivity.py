"""Sensitivity: how the model does when one layer alone is cut, for every layer and several sparsities.

Source: Li et al. 2017, "Pruning filters for efficient ConvNets", section 3.2, arXiv 1608.08710;
Han et al. 2015, section 3.2, arXiv 1506.02626.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.measure import layer_macs, macs, nonzero, params, trace
from compression.pruning.costs import units_of
from compression.pruning.oneshot import Pruned
from compression.pruning.replay import InPlace, changed_modules, first_call, in_place, record, replay, share
from compression.pruning.surgery import Groups, zero_input
from compression.recipe import STRUCTURED, Prune, validated
from compression.registry import UserError

SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BATCH = 128
MEMORY = 2**28
"""Bytes that the activations of one batch may take, and that the changed tensors of cut models may."""

CarryOut = Callable[[Prune], Pruned]


@dataclass(frozen=True)
class Reading:
    """One layer cut alone: how the model then does on the first ``n`` images, and as it is on the same.

    Attributes:
        layer: the layer, or the first of those that are coupled.
        granularity: what was removed.
        sparsity: the fraction asked of its units.
        achieved: the fraction removed.
        n: images judged so far.
        accuracy: with the layer cut.
        loss: mean cross-entropy in nats, with the layer cut.
        divergence: mean KL divergence in nats of the answers from those of the model as it is; unlike
            the loss it is never below 0, and tells small harm from none on few images.
        whole_accuracy: of the model as it is.
        whole_loss: of the model as it is.
        params_saved: parameters that became zero or went.
        macs_saved: multiply-accumulates of an image that need not be done any more; none for zeros.
    """

    layer: str
    granularity: str
    sparsity: float
    achieved: float
    n: int
    accuracy: float
    loss: float
    divergence: float
    whole_accuracy: float
    whole_loss: float
    params_saved: int
    macs_saved: int


@dataclass(frozen=True)
class Probe:
    """A stage that cuts one layer alone."""

    layer: str
    stage: Prune


@dataclass(frozen=True)
class LayerCost:
    """What the layers that make the units of one entry of a scan hold and do: parameters, MACs of an image."""

    layer: str
    units: int
    params: int
    macs: int


@dataclass
class _Tally:
    """Right answers, summed loss and summed divergence over the images so far."""

    n: int = 0
    correct: int = 0
    loss: float = 0.0
    divergence: float = 0.0

    def add(self, logits_NK: Tensor, labels_N: Tensor, whole_NK: Tensor) -> None:
        answers_NK, before_NK = (logits.double().log_softmax(1) for logits in (logits_NK, whole_NK))
        self.n += len(labels_N)
        self.correct += int((logits_NK.argmax(1) == labels_N).sum())
        self.loss += float(F.nll_loss(answers_NK, labels_N, reduction="sum"))
        self.divergence += float(F.kl_div(answers_NK, before_NK, reduction="sum", log_target=True))


@dataclass(frozen=True, eq=False)
class _Whole:
    """A copy of the model as it is, with what every cut is compared with."""

    model: nn.Module
    shape: tuple[int, ...]
    params: int
    nonzero: int
    macs: int
    in_place: InPlace


@dataclass(eq=False)
class _Cut:
    """A model with one layer cut, what differs from the whole one, and how it has done so far."""

    probe: Probe
    pruned: Pruned
    changed: set[str]
    in_place: InPlace
    own_bytes: int
    params_saved: int
    macs_saved: int
    tally: _Tally = field(default_factory=_Tally)

    def reading(self, whole: _Tally) -> Reading:
        achieved = {report.layer: report.achieved for report in self.pruned.layers}
        layer, stage, n = self.probe.layer, self.probe.stage, self.tally.n
        return Reading(
            layer=layer,
            granularity=stage.granularity,
            sparsity=stage.sparsity or 0.0,
            achieved=achieved[layer],
            n=n,
            accuracy=self.tally.correct / n,
            loss=self.tally.loss / n,
            divergence=self.tally.divergence / n,
            whole_accuracy=whole.correct / n,
            whole_loss=whole.loss / n,
            params_saved=self.params_saved,
            macs_saved=self.macs_saved,
        )


def probes(
    layers: Sequence[str],
    granularity: str = "weights",
    criterion: str = "magnitude",
    sparsities: Sequence[float] = SPARSITIES,
    images: int = 512,
) -> list[Probe]:
    """The stages of a scan: each layer alone at each sparsity, any width allowed, the others whole.

    A block goes or stays, so that it has one stage.

    Args:
        layers: all that can be pruned: one that is left out would be cut with every other.
        granularity: what goes.
        criterion: which units of a layer go first.
        sparsities: to try.
        images: for the criteria that look at data.

    Raises:
        UserError: no layers or sparsities, or what a ``Prune`` stage does not take.
    """
    if not layers or not sparsities:
        raise UserError("layers or sparsities is empty; a scan needs at least one of each")
    fixed = {"granularity": granularity, "criterion": criterion, "scope": "layer", "round_to": 1, "images": images}
    blocks = granularity == "blocks"
    found = []
    for layer in layers:
        others = {name: 0.0 for name in layers if name != layer}
        for amount in [max(sparsities)] if blocks else sparsities:
            overrides = others if blocks else others | {layer: amount}
            found.append(Probe(layer, validated(Prune, fixed | {"sparsity": amount, "overrides": overrides})))
    return found


def scan(
    model: nn.Module,
    probes: Sequence[Probe],
    carry_out: CarryOut,
    images: Tensor,
    labels: Tensor,
    *,
    reuse: bool = True,
) -> Iterator[Reading]:
    """Judge every probe, yielding its reading after each batch of images; the last one of each is complete.

    Batch after batch, the outputs of the modules that end before a cut begins to matter are
    taken from one pass of the whole model. The numbers are those of the plain passes.

    Args:
        model: as it is.
        probes: the stages to judge, in the order of the readings.
        carry_out: does a stage to a copy of the model.
        images: as the network sees them, N×C×H×W.
        labels: int64 N.
        reuse: False runs every pass in full.

    Raises:
        UserError: no images, or none of the probes can be carried out.
    """
    if not len(labels):
        raise UserError("A scan needs at least one image; got 0")
    whole = _whole(copy.deepcopy(model).eval(), tuple(images.shape[1:]))
    most = max(1, min(BATCH, MEMORY // trace(whole.model, whole.shape).activation_bytes))
    size = math.ceil(len(labels) / math.ceil(len(labels) / most))  # no batch much smaller than the others
    batches = list(zip(torch.split(images, size), torch.split(labels, size), strict=True))
    for portion in _portions(whole, probes, carry_out):
        sofar = _Tally()
        for images_NCHW, labels_N in batches:
            yield from _judged(whole, portion, images_NCHW, labels_N, sofar, reuse)


def layer_costs(model: nn.Module, granularity: str, groups: Groups) -> tuple[LayerCost, ...]:
    """Units, parameters and MACs of every layer that can be pruned; coupled layers count together."""
    work, modules = layer_macs(model, groups.input_shape), dict(model.named_modules())
    cuttable = groups.cuttable(granularity) if granularity in STRUCTURED else {}
    found = []
    for layer, units in units_of(model, granularity, groups).items():
        makers = cuttable[layer].layers if layer in cuttable else (layer,)
        held = sum(params(modules[maker]) for maker in makers)
        found.append(LayerCost(layer, units, held, sum(work.get(maker, 0) for maker in makers)))
    return tuple(found)


def _whole(model: nn.Module, shape: tuple[int, ...]) -> _Whole:
    changes = in_place(model, zero_input(model, shape))
    return _Whole(model, shape, params(model), nonzero(model), macs(model, shape), changes)


def _portions(whole: _Whole, probes: Sequence[Probe], carry_out: CarryOut) -> Iterator[list[_Cut]]:
    """The cut models, as many at a time as fit the memory; what cannot be carried out is left out."""
    portion: list[_Cut] = []
    possible, fault = False, None
    for probe in probes:
        try:
            portion.append(_cut(whole, probe, carry_out))
        except UserError as reason:  # too few units in the layer for this sparsity
            fault = reason
            continue
        possible = True
        if sum(cut.own_bytes for cut in portion) > MEMORY:
            yield portion
            portion = []
    if fault is not None and not possible:
        raise fault
    if portion:
        yield portion


def _cut(whole: _Whole, probe: Probe, carry_out: CarryOut) -> _Cut:
    pruned = carry_out(probe.stage)
    model = pruned.model.eval()
    changed = changed_modules(whole.model, model)
    alike = [type(module) for module in model.modules()] == [type(module) for module in whole.model.modules()]
    return _Cut(
        probe=probe,
        pruned=pruned,
        changed=changed,
        in_place=whole.in_place if alike else in_place(model, zero_input(model, whole.shape)),
        own_bytes=share(whole.model, model, changed),
        params_saved=whole.nonzero - nonzero(model) if pruned.masks else whole.params - params(model),
        macs_saved=0 if pruned.masks else whole.macs - macs(model, whole.shape),
    )


@torch.inference_mode()
def _logits(whole: _Whole, portion: list[_Cut], images: Tensor, reuse: bool) -> Iterator[Tensor]:
    """Of the whole model, then of each cut one."""
    if not reuse:
        yield whole.model(images)
        yield from (cut.pruned.model(images) for cut in portion)
        return
    tape = record(whole.model, images, whole.in_place)
    yield tape.outputs[0]
    for cut in portion:
        yield replay(cut.pruned.model, images, tape, first_call(tape, cut.changed), cut.in_place)


def _judged(
    whole: _Whole, portion: list[_Cut], images: Tensor, labels: Tensor, sofar: _Tally, reuse: bool
) -> Iterator[Reading]:
    answers = _logits(whole, portion, images, reuse)
    before = next(answers)
    sofar.add(before, labels, before)
    for cut, logits in zip(portion, answers, strict=True):
        cut.tally.add(logits, labels, before)
        yield cut.reading(sofar)
