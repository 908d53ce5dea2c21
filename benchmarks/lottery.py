"""The lottery ticket hypothesis on LeNet-300-100: winning tickets, reinitialised ones and one-shot pruning."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import takewhile
from statistics import fmean

from torch import Tensor, nn

from benchmarks.report import Row, absent, spread
from compression.data.sets import DATASETS, Dataset, load_data
from compression.distillation.students import fresh
from compression.models.files import Blueprint
from compression.models.zoo import SAMPLES
from compression.pruning.lottery import rewind, ticket
from compression.recipe import Lottery
from compression.training import fit, inputs, predict, prepare_process

MODEL = "mnist-lenet-300-100"
ROUNDS = 15
STAGE = Lottery(sparsity=1 - 0.8**ROUNDS, rounds=ROUNDS, epochs=5, lr=0.1)
COMPARED = (3, 5, 7, 9, 12, 15)
"""After these rounds the ticket is reinitialised too, and one-shot pruning compared."""
SEEDS = 3
KINDS = ("winning ticket", "reinitialised", "one-shot")

Errors = dict[tuple[str, int], list[float]]


def rows(quick: bool = False) -> list[Row]:
    """Test errors by weights left, three seeds, with the published crossings beside them."""
    sample = SAMPLES[MODEL]
    if not DATASETS[sample.data].here():
        return [absent(MODEL, sample.data)]
    prepare_process(threads=1)
    stage = STAGE.model_copy(update={"epochs": 1, "rounds": 3, "sparsity": 1 - 0.8**3}) if quick else STAGE
    errors: Errors = {}
    for seed in range(1 if quick else SEEDS):
        for key, error in _seed(stage, load_data(sample.data), seed).items():
            errors.setdefault(key, []).append(error)
    dense = fmean(errors["winning ticket", 0])
    how = (
        f"{MODEL}'s architecture from new weights, {stage.epochs} epochs a round, rate {stage.lr:g}, no augmentation; "
        "each round takes a fifth of what is left in each layer (a tenth in the output layer) and rewinds to the first "
        f"weights. Test error, last epoch, mean ± sd of {len(errors['winning ticket', 0])} seeds."
    )
    found = [Row("Dense", spread(errors["winning ticket", 0]), how=how)]
    for turn in sorted({turn for _, turn in errors} - {0}):
        kinds = [kind for kind in KINDS if (kind, turn) in errors]
        if len(kinds) > 1:
            said = "; ".join(f"{kind} {spread(errors[kind, turn])}" for kind in kinds)
            found.append(Row(f"{0.8**turn:.1%} of the weights left", said))
    return [*found, *_crossings(errors, dense)]


def _crossings(errors: Errors, dense: float) -> list[Row]:
    """Down to where each kind is as good as the dense network, at every sparsity that all were compared at."""
    published = {
        "winning ticket": "dense level down to 3.6 % (Frankle and Carbin 2018)",
        "reinitialised": "worse than dense from 21 % on (the same)",
        "one-shot": "",
    }
    found = []
    for kind in KINDS:
        turns = [turn for turn in COMPARED if (kind, turn) in errors]
        good = list(takewhile(lambda turn: fmean(errors[kind, turn]) <= dense, turns))  # noqa: B023
        last = f"down to {0.8 ** good[-1]:.1%} of the weights" if good else f"not at {0.8 ** turns[0]:.1%} already"
        beside = f" (published: {published[kind]})" if published[kind] else ""
        found.append(Row(f"{kind.capitalize()}: mean error no higher than dense", last + beside))
    return found


def _seed(stage: Lottery, dataset: Dataset, seed: int) -> dict[tuple[str, int], float]:
    """The test errors of one seed, in percent, by kind and number of rounds."""
    sample = SAMPLES[MODEL]
    blueprint = Blueprint(sample.architecture, sample.config, sample.input_shape)
    model = fresh(blueprint, seed)
    start = copy.deepcopy(model.state_dict())
    errors = {("winning ticket", 0): _trained(model, stage, dataset, {}, seed)}
    dense = copy.deepcopy(model)
    for turn in range(1, stage.rounds + 1):
        masks = ticket(model, stage, turn)
        if turn in COMPARED:
            for kind, weights, own in (
                ("reinitialised", fresh(blueprint, seed + 100).state_dict(), masks),
                ("one-shot", start, ticket(dense, stage, turn)),
            ):
                other = copy.deepcopy(model)
                rewind(other, weights, own)
                errors[kind, turn] = _trained(other, stage, dataset, own, seed)
        rewind(model, start, masks)
        errors["winning ticket", turn] = _trained(model, stage, dataset, masks, seed)
    return errors


def _trained(model: nn.Module, stage: Lottery, dataset: Dataset, masks: Mapping[str, Tensor], seed: int) -> float:
    """Train in place; the test error in percent."""
    for _ in fit(model, dataset, **stage.settings(), masks=masks, seed=seed):
        pass
    wrong = predict(model, inputs(dataset.test, dataset)).argmax(1) != dataset.test.labels
    return 100 * float(wrong.float().mean())
