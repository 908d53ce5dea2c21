"""Pruning over time: Han's table of 2015, and what a schedule gains over one shot."""

from __future__ import annotations

from statistics import fmean

from benchmarks.report import Row, absent, spread
from compression.data.sets import DATASETS
from compression.models.zoo import SAMPLES
from compression.pipeline import run
from compression.recipe import Gradual, Prune, Recipe, Train
from compression.recipe import Stage as AnyStage
from compression.training import prepare_process

TWELVE = 11 / 12
SLACK, PUSHED = 0.1, 0.5
"""Points of test error above the dense model's: at twelve times fewer weights, and the most when pushed."""
SEEDS = 3
FACTORS = (24, 48, 96, 192)
PUBLISHED = {"mnist-lenet-300-100": "1.64 to 1.59 %", "mnist-lenet-5": "0.80 to 0.77 %"}
HAN = {
    "mnist-lenet-300-100": Gradual(
        sparsity=TWELVE, rounds=10, end=0.5, restart=False, epochs=40, lr=0.1, augment="jitter", weight_decay=1e-4
    ),
    "mnist-lenet-5": Gradual(sparsity=TWELVE, rounds=10, end=0.5, restart=False, epochs=14, lr=0.04, augment="jitter"),
}
"""Chosen on validation images: iterative, ten steps that each take the same fraction of what is left."""
SCHEDULED = "mnist-lenet-5"
SPARSITIES = (0.9, 0.95, 0.98)
EPOCHS, LR = 6, 0.02


def han(quick: bool = False) -> list[Row]:
    """LeNet-300-100 and LeNet-5 at twelve times fewer weights."""
    prepare_process(threads=1)
    return [_han(model, quick) if _here(model) else _missing(model) for model in HAN]


def pushed(quick: bool = False) -> list[Row]:
    """How far the same networks can be pushed, one seed each."""
    prepare_process(threads=1)
    return [_pushed(model, _sized(model, quick)) if _here(model) else _missing(model) for model in HAN]


def _sized(model: str, quick: bool) -> Gradual:
    return HAN[model].model_copy(update={"epochs": 2, "rounds": 2} if quick else {})


def _han(model: str, quick: bool) -> Row:
    stage = _sized(model, quick)
    seeds = 1 if quick else SEEDS
    dense = _error(model)
    found = [_error(model, stage, seed=seed) for seed in range(seeds)]
    worse = fmean(found) - dense
    how = (
        f"geometric schedule, {stage.rounds} steps over the first {stage.end:.0%} of {stage.epochs} epochs, rate "
        f"{stage.lr:g}, jitter, all layers together, from the sample model; test error of the last epoch, mean ± sd of "
        f"{seeds} seeds: {', '.join(f'{error:.2f}' for error in found)}. "
        f"Published (dense to pruned): {PUBLISHED[model]}, Han et al. 2015, table 1."
    )
    return Row(
        f"{model}: 12 times fewer weights, points of error more",
        f"{worse:+.2f} (dense {dense:.2f} %, pruned {spread(found)})",
        f"≤ {SLACK}",
        round(worse, 4) <= SLACK,
        how,
    )


def _pushed(model: str, stage: Gradual) -> Row:
    """The most that can go before the error rises by half a point."""
    dense = _error(model)
    tried = {}
    for factor in FACTORS:
        tried[factor] = _error(model, stage.model_copy(update={"sparsity": 1 - 1 / factor})) - dense
        if tried[factor] > PUSHED:
            break
    good = [factor for factor, more in tried.items() if more <= PUSHED]
    listed = ", ".join(f"{factor}× {more:+.2f}" for factor, more in tried.items())
    return Row(
        f"{model}: pushed until {PUSHED} points are lost",
        f"{max(good, default=12)} times fewer weights ({listed})",
        how="one seed each, trained as at twelve times fewer, up to the first that loses more or the last of: "
        f"{', '.join(f'{factor}×' for factor in FACTORS)}.",
    )


def schedules(quick: bool = False) -> list[Row]:
    """One shot, iterative and gradual on LeNet-5 at 90, 95 and 98 %, the same epochs of training each."""
    if not _here(SCHEDULED):
        return [_missing(SCHEDULED)]
    prepare_process(threads=1)
    epochs, seeds = (1, 1) if quick else (EPOCHS, SEEDS)
    rows = []
    for sparsity in SPARSITIES:
        bare = _error(SCHEDULED, Prune(sparsity=sparsity))
        ways: dict[str, tuple[AnyStage, ...]] = {
            "one shot, then fine-tuned": (Prune(sparsity=sparsity), Train(epochs=epochs, lr=LR)),
            "iterative": (Gradual(sparsity=sparsity, rounds=min(3, epochs), epochs=epochs, lr=LR),),
            "gradual": (
                Gradual(sparsity=sparsity, schedule="cubic", rounds=20, end=0.7, restart=False, epochs=epochs, lr=LR),
            ),
        }
        said = [
            f"{name} {spread([_error(SCHEDULED, *stages, seed=seed) for seed in range(seeds)])}"
            for name, stages in ways.items()
        ]
        rows.append(Row(f"Test error at {sparsity:.0%}", "; ".join([f"one shot alone {bare:.2f} %", *said])))
    how = (
        f"{SCHEDULED}, dense {_error(SCHEDULED):.2f} %; single weights by magnitude over all layers, then {epochs} "
        f"epochs at rate {LR:g} without augmentation, last epoch, mean ± sd of {seeds} seeds; iterative in 3 rounds of "
        "equal fractions, gradual in 20 cubic steps."
    )
    return [Row(rows[0].name, rows[0].measured, how=how), *rows[1:]]


def _error(model: str, *stages: AnyStage, seed: int = 0) -> float:
    """The test error in percent."""
    return 100 * (1 - run(Recipe(model=model, stages=stages, seed=seed)).final.accuracy)


def _here(model: str) -> bool:
    return DATASETS[SAMPLES[model].data].here()


def _missing(model: str) -> Row:
    return absent(model, SAMPLES[model].data)
