"""From recipe to result: load, prune, train, measure, with an event at every step."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field
from torch import nn

from compression.data.sets import Dataset
from compression.machine import versions
from compression.measure import latencies
from compression.measure.hardware import hardware
from compression.models.files import load_weights, read_weights, weights_bytes
from compression.models.quantized import Quantized
from compression.recipe import Cut, Distill, Lottery, Recipe, Stage, Train, epochs_of, validated
from compression.registry import UserError, quoted
from compression.results import Epoch, Measurement, Result, StageResult
from compression.stages import Outcome, Work, carry_out, check_students
from compression.subject import Subject, baseline, judge, load_subject, subject_of


@dataclass(frozen=True)
class Event:
    """Progress: what is happening and how far the recipe is (0 to 1).

    ``epoch`` is there where one ended, ``finished``, the stage's number and what it left, where a
    stage did.
    """

    message: str
    fraction: float
    epoch: Epoch | None = None
    finished: tuple[int, Subject] | None = None


class RunResult(Result):
    """A result together with the weights of the final model, as a safetensors file in memory."""

    weights: bytes = Field(exclude=True, repr=False)

    def model(self) -> nn.Module:
        """The final module in ``eval()`` mode, rebuilt at its pruned widths."""
        return read_weights(self.weights, "the result").model

    def save(self, folder: Path) -> None:
        """Write ``result.json``, ``recipe.yaml`` and ``model.safetensors`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.safetensors").write_bytes(self.weights)
        (folder / "recipe.yaml").write_text(self.recipe.to_yaml())
        (folder / "result.json").write_text(self.model_dump_json(indent=2) + "\n")


def load_result(folder: str | Path) -> RunResult:
    """Read what ``RunResult.save`` wrote. Raises UserError when a file is missing or not whole."""
    path = Path(folder) / "result.json"
    if not os.path.isfile(path):
        raise UserError(f"No result in '{folder}': it holds no result.json")
    try:
        body = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as fault:
        raise UserError(f"'{path}' is not a whole result ({fault})") from None
    weights = path.with_name("model.safetensors")
    load_weights(weights)  # so that a truncated file is met here, not at first use
    result: RunResult = validated(RunResult, {**body, "weights": weights.read_bytes()})
    return result


def measure(
    model: nn.Module | str, data: Dataset | str | None = None, split: str = "test", latency: bool = False
) -> Measurement:
    """Measure one model on one split of a data set.

    Args:
        model: a module that takes N×C×H×W and gives logits N×K; or the name of a sample model or
            of a ``.safetensors`` file.
        data: a data set or its name; for a sample model its own where it is left out.
        split: train, val or test.
        latency: time it too, paired with itself, which takes some seconds.

    Raises:
        UserError: unknown names, absent data, or images that do not fit the model.
    """
    subject = subject_of(model, data)
    _, measured = judge(subject, subject.model, split)
    if not latency:
        return measured
    timings = latencies({"it": subject.model}, subject.model, subject.blueprint.input_shape)
    return measured.model_copy(update={"latency": timings["it"]})


def steps(
    recipe: Recipe, split: str = "test", limit: int | None = None, timed: bool = False
) -> Generator[Event, None, RunResult]:
    """Run a recipe, yielding events; the generator's value is the result.

    Args:
        recipe: what to do.
        split: where the measurements are taken: ``test`` for what is reported, ``val`` while
            choosing among recipes.
        limit: measure accuracy on the first so many images of the split only.
        timed: measure the latency after every stage too, which takes some seconds.

    Raises:
        UserError: whatever is wrong with the names, the amounts or the files.
    """
    subject = load_subject(recipe.model, recipe.data)
    if recipe.stages and isinstance(subject.model, Quantized):
        raise UserError(
            f"Model {quoted(recipe.model)} is quantised, and nothing can change an int8 file; use the float model"
        )
    units = 1 + sum(map(_units, recipe.stages))
    done, history, stages = 1, list[Epoch](), list[StageResult]()
    yield Event(f"measuring {recipe.model} on the {split} images of {subject.dataset.name}", 0.0)
    _, before = baseline(subject, split, limit)
    models, present = [subject.model], Outcome(subject)
    check_students(recipe, subject)
    for number, stage in enumerate(recipe.stages):
        try:
            present = yield from _told(carry_out(present, stage, subject, recipe.seed, number), done, units, history)
        except UserError as fault:
            if not stages:
                raise
            present = replace(present, stopped=f"stage {number + 1} ({stage.kind}): {fault}; kept what came before it")
            break
        done += _units(stage)
        models.append(present.subject.model)
        reported = _report(present, stage, split, limit)
        if stages or isinstance(stage, Train):  # before any other stage a student starts from new weights
            reported = _with_harm(reported, stages[-1].measurement if stages else before)
        stages.append(reported)
        yield Event(f"measured after {stage.kind}", done / units, finished=(number, present.subject))
        if present.stopped:
            break
    if timed:
        yield Event("measuring latency", 1.0)
        before, stages = _with_latency(subject, models, before, stages)
    return RunResult(
        recipe=recipe,
        baseline=before,
        stages=tuple(stages),
        history=tuple(history),
        seed=recipe.seed,
        stopped=present.stopped,
        versions=versions(),
        hardware=hardware(),
        weights=weights_bytes(present.subject.model, present.subject.blueprint),
    )


def run(
    recipe: Recipe,
    on_event: Callable[[Event], None] | None = None,
    split: str = "test",
    limit: int | None = None,
    timed: bool = False,
) -> RunResult:
    """Run a recipe to its end; ``on_event`` hears of every step. Raises UserError as ``steps`` does."""
    work = steps(recipe, split, limit, timed)
    while True:
        try:
            event = next(work)
        except StopIteration as end:
            result: RunResult = end.value
            return result
        if on_event:
            on_event(event)


def _units(stage: Stage) -> int:
    """The share of the progress that a stage takes: its epochs, or one step."""
    return max(1, epochs_of(stage))


def _told(work: Work, done: int, units: int, history: list[Epoch]) -> Generator[Event, None, Outcome]:
    """What a stage tells, as events; its epochs are added to the history."""
    while True:
        try:
            message, epoch = next(work)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        history += [epoch] if epoch else []
        done += 1 if epoch else 0
        yield Event(message, done / units, epoch)


def _report(present: Outcome, stage: Stage, split: str, limit: int | None) -> StageResult:
    _, measured = judge(present.subject, present.subject.model, split, limit)
    pruned = present.pruned if isinstance(stage, Cut | Lottery) else None  # a recalibration hands on what came before
    return StageResult(
        stage=stage,
        measurement=measured,
        layers=pruned.layers if pruned else (),
        asked_sparsity=pruned.asked if pruned else None,
        achieved_sparsity=pruned.achieved if pruned else None,
        notes=present.notes,
        drift=present.drift,
    )


def _with_harm(done: StageResult, before: Measurement) -> StageResult:
    """A note more where training that is there to heal did harm, beyond what chance explains."""
    stage, after = done.stage, done.measurement
    heals = isinstance(stage, Train) or (isinstance(stage, Distill) and stage.student == "same")
    if not heals or after.accuracy_high >= before.accuracy_low:
        return done
    line = f"Accuracy fell from {before.accuracy:.1%} to {after.accuracy:.1%} in this training; lower lr."
    return done.model_copy(update={"notes": (*done.notes, line)})


def _with_latency(
    subject: Subject, models: list[nn.Module], before: Measurement, stages: list[StageResult]
) -> tuple[Measurement, list[StageResult]]:
    named = {str(i): model for i, model in enumerate(models)}
    timings = latencies(named, subject.model, subject.blueprint.input_shape)
    timed = [
        stage.model_copy(update={"measurement": stage.measurement.model_copy(update={"latency": timings[str(i)]})})
        for i, stage in enumerate(stages, start=1)
    ]
    return before.model_copy(update={"latency": timings["0"]}), timed
