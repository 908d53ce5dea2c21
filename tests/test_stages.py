"""Stages joined: who teaches whom, what goes on and what starts anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compression.models.files import Blueprint, save_weights
from compression.models.zoo import load, load_model
from compression.pipeline import RunResult, run
from compression.recipe import Distill, Gradual, Lottery, Prune, Recalibrate, Recipe, Sparsify, Stage, Train
from compression.registry import UserError
from compression.stages import Outcome, student_of, teacher_of
from compression.subject import Subject, load_subject, prune_subject

HALF = Prune(granularity="channels", scope="layer", sparsity=0.5)
SHORT = {"epochs": 2, "lr": 0.02}


def ran(*stages: Stage, model: str = "digits-cnn", seed: int = 0) -> RunResult:
    return run(Recipe(model=model, stages=stages, seed=seed))


@pytest.fixture
def original() -> Subject:
    return load_subject("digits-cnn")


@pytest.fixture
def pruned(original: Subject) -> Subject:
    model = prune_subject(original, HALF).model
    return Subject(original.name, model, original.blueprint, original.dataset)


@pytest.mark.parametrize(
    ("stage", "teacher"),
    [
        (Distill(student="same"), "original"),
        (Distill(student="narrower"), "present"),
        (Distill(student="narrower", teacher="original"), "original"),
        (Distill(student="same", teacher="present"), "present"),
    ],
)
def test_who_teaches(stage: Distill, teacher: str, original: Subject, pruned: Subject) -> None:
    assert teacher_of(stage, pruned, original) is {"original": original, "present": pruned}[teacher]


def test_another_model_or_a_file_may_teach(original: Subject, tmp_path: Path) -> None:
    named = teacher_of(Distill(teacher="digits-mlp"), original, original)
    assert (named.name, named.dataset) == ("digits-mlp", original.dataset)
    other = load("digits-mlp")
    save_weights(other.model, other.blueprint, tmp_path / "mine.safetensors")
    filed = teacher_of(Distill(teacher=str(tmp_path / "mine.safetensors")), original, original)
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(filed.model(x), load_model("digits-mlp")(x))


def test_a_pruned_model_goes_on_and_an_unpruned_one_teaches_a_twin_that_starts_anew(
    original: Subject, pruned: Subject
) -> None:
    stage = Distill(student="same")
    x = torch.rand(2, 1, 8, 8)
    on = student_of(stage, pruned, original, seed=0).model
    assert on is not pruned.model
    assert torch.equal(on(x), pruned.model(x))
    twin = student_of(stage, original, original, seed=3).model
    assert sum(p.numel() for p in twin.parameters()) == sum(p.numel() for p in original.model.parameters())
    assert not torch.equal(twin(x), original.model(x))
    again = student_of(stage, original, original, seed=3).model
    assert torch.equal(twin(x), again(x))


def test_prune_then_distil_back_keeps_the_pruned_shape_and_heals() -> None:
    result = ran(HALF, Distill(student="same", **SHORT))
    cut, healed = (stage.measurement for stage in result.stages)
    assert healed.params == cut.params < result.baseline.params / 3
    assert healed.accuracy > cut.accuracy + 0.3
    assert result.stages[1].notes == ("The teacher judged the training images once (0.02 MB of answers).",)


def test_zeros_stay_zero_while_a_pruned_model_is_distilled() -> None:
    result = ran(Prune(sparsity=0.8), Distill(student="same", **SHORT))
    assert result.stages[1].measurement.nonzero <= result.stages[0].measurement.nonzero
    assert result.final.sparsity == pytest.approx(0.8, abs=0.01)


def test_distil_then_prune_cuts_the_student() -> None:
    result = ran(Distill(student="narrower", **SHORT), HALF)
    taught, cut = (stage.measurement for stage in result.stages)
    assert result.baseline.params > taught.params > cut.params
    assert sum(p.numel() for p in result.model().parameters()) == cut.params


def test_a_pruned_teacher_teaches_a_smaller_student_of_another_architecture() -> None:
    recipe = (HALF, Distill(student="mlp", hidden=(16,), **SHORT))
    result = ran(*recipe)
    assert result.final.params == 64 * 16 + 16 + 16 * 10 + 10
    assert result.stages[0].measurement.params > result.final.params
    # It learns from the pruned teacher, which is far worse here, and not from the original.
    unpruned = ran(Distill(student="mlp", hidden=(16,), **SHORT))
    assert unpruned.final.accuracy > result.final.accuracy
    named = ran(HALF, Distill(student="mlp", hidden=(16,), teacher="original", **SHORT))
    assert named.final == unpruned.final


def test_a_result_with_another_architecture_is_saved_and_read_again(tmp_path: Path) -> None:
    result = ran(Distill(student="mlp", hidden=(16,), epochs=1))
    result.save(tmp_path)
    found = load(str(tmp_path / "model.safetensors"))
    assert found.blueprint == Blueprint("mlp", {"inputs": 64, "hidden": [16], "classes": 10}, (1, 8, 8))
    assert Recipe.from_yaml((tmp_path / "recipe.yaml").read_text()) == result.recipe


def test_what_a_reader_must_know_is_noted() -> None:
    larger = ran(Distill(student="mlp", hidden=(2000,), epochs=1, lr=1e-3), model="digits-mlp")
    assert larger.stages[0].notes[-1] == "The student is larger than its teacher."
    tight = ran(Distill(student="narrower", method="hint", memory_mb=1, epochs=1, lr=1e-3))
    assert "its answers would take" in tight.stages[0].notes[0]
    anew = ran(Distill(student="narrower", augment="jitter", epochs=1, lr=1e-3))
    assert anew.stages[0].notes == ("The teacher judges every batch anew, since each is augmented anew.",)
    twin = ran(Distill(student="same", epochs=1, lr=1e-3), model="digits-mlp")
    assert twin.stages[0].notes[-1].startswith("The student is a twin of the present model with new weights")


def test_a_class_left_out_is_never_seen() -> None:
    result = ran(Distill(student="mlp", hidden=(30,), alpha=0, without=("3",), epochs=5, lr=0.1))
    assert result.final.class_accuracy["3"] == 0
    assert result.final.class_accuracy["0"] > 0.9


def test_without_a_teacher_it_is_plain_training() -> None:
    alone = ran(Distill(student="mlp", hidden=(16,), alpha=0, method="attention", **SHORT))
    assert alone.stages[0].notes == ()
    assert set(alone.history[0].parts) == {"hard"}


@pytest.mark.parametrize(
    ("model", "stage", "message"),
    [
        ("digits-mlp", Distill(teacher="digits-cn"), r"^Unknown teacher 'digits-cn' \(did you mean 'digits-cnn'\?\)"),
        ("digits-mlp", Distill(teacher="mnist-lenet-5"), "^Model 'mnist-lenet-5' takes 1×28×28 images"),
        ("digits-mlp", Distill(teacher="absent.safetensors"), "^No model file can be read at 'absent.safetensors'"),
        ("digits-mlp", Distill(student="mnist-lenet-5"), "^Student 'mnist-lenet-5' takes 1×28×28 images"),
        ("digits-mlp", Distill(student="mlp", hidden=(8,), method="fsp"), r"^Flow between layers \(FSP\) cannot be"),
        ("digits-mlp", Distill(without=("ten",)), "^Unknown class in without 'ten'"),
        (
            "digits-mlp",
            Distill(student="mlp", method="logits", epochs=1, batch_size=4, lr=10),
            "^Training diverged in epoch 1, step",
        ),
    ],
)
def test_a_bad_lesson_is_one_line(model: str, stage: Distill, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        ran(stage, model=model)
    assert "\n" not in str(caught.value)


def test_a_teacher_that_knows_nothing_is_refused(tmp_path: Path) -> None:
    blank = Blueprint("mlp", {"inputs": 64, "hidden": [], "classes": 10}, (1, 8, 8))
    model = blank.build()
    torch.nn.init.zeros_(model.layers[0].weight)  # type: ignore[union-attr, index, arg-type]
    save_weights(model, blank, tmp_path / "blank.safetensors")
    stage = Distill(student="narrower", teacher=str(tmp_path / "blank.safetensors"))
    with pytest.raises(
        UserError, match=r"is right on \d+\.\d% of the validation images, no better than chance \(10\.0%\)"
    ):
        ran(stage)


def test_an_outcome_holds_nothing_of_the_stage_before() -> None:
    outcome = Outcome(load_subject("digits-mlp"))
    assert (outcome.masks, outcome.pruned, outcome.notes, outcome.stopped) == ({}, None, (), "")


# What joins pruning with training, penalties and recalibration


def test_gradual_channels_end_smaller_and_the_epochs_say_how_far_it_went() -> None:
    stage = Gradual(granularity="channels", scope="layer", sparsity=0.5, rounds=2, epochs=2, lr=0.02)
    result = ran(stage)
    assert result.final.params < result.baseline.params / 3
    assert result.stages[0].achieved_sparsity == 0.5
    assert [epoch.sparsity for epoch in result.history] == [pytest.approx(1 - 0.5**0.5, abs=0.1), 0.5]
    assert result.model()(torch.zeros(1, 1, 8, 8)).shape == (1, 10), "the file holds the smaller model"


def test_gradual_weights_stay_zero_in_the_fine_tuning_that_follows() -> None:
    result = ran(Gradual(sparsity=0.8, rounds=2, epochs=1, lr=0.02), Train(epochs=1))
    assert [stage.measurement.sparsity for stage in result.stages] == pytest.approx([0.8, 0.8], abs=1e-4)


def test_counting_batchnorm_anew_heals_a_cut_and_hands_on_what_biases_need() -> None:
    result = ran(HALF, Recalibrate(), Recalibrate(batchnorm=False, biases=True))
    cut, counted, corrected = (stage.measurement.accuracy for stage in result.stages)
    assert cut + 0.1 < counted < corrected
    assert result.stages[1].layers == (), "the cut is told once"
    assert result.stages[1].measurement.params == result.stages[2].measurement.params


def test_recalibration_says_what_it_cannot_do() -> None:
    assert ran(Recalibrate(), model="digits-mlp").stages[0].notes == ("The model has no BatchNorm to count anew.",)
    with pytest.raises(UserError, match="biases compares with the model before a pruning; put recalibrate directly"):
        ran(Recalibrate(biases=True))


def test_a_penalty_draws_and_the_result_shows_how_far() -> None:
    stage = Sparsify(penalty="batchnorm_l1", strength=0.05, epochs=3, lr=0.1)
    drift = ran(stage).stages[0].drift
    assert [entry.epoch for entry in drift] == [0, 1, 2, 3]
    assert len({entry.reach for entry in drift}) == 1
    below = [dict(entry.below)[0.3] for entry in drift]
    assert below[0] == 0 < below[-1]


def test_a_lottery_starts_from_new_weights_and_keeps_its_zeros() -> None:
    result = ran(Lottery(sparsity=0.8, rounds=2, epochs=2), Train(epochs=1), model="digits-mlp")
    assert result.stages[0].notes == ("It was trained from new weights.",)
    assert result.stages[0].measurement.sparsity == result.stages[1].measurement.sparsity > 0.75
    assert len(result.history) == 7


def test_a_penalty_that_is_too_strong_stops_with_one_line() -> None:
    with pytest.raises(
        UserError, match="Training diverged in epoch 1, step [0-9]+: the loss is (nan|inf); lower strength or lr"
    ):
        ran(Sparsify(penalty="l2", strength=100, lr=10, epochs=1))


def test_a_fault_in_a_late_stage_loses_nothing_and_names_that_are_wrong_are_met_first() -> None:
    result = ran(Train(epochs=1), Recalibrate(biases=True))
    assert result.stopped.startswith("stage 2 (recalibrate): biases compares with the model before a pruning")
    assert len(result.stages) == 1
    assert result.final == result.stages[0].measurement
    with pytest.raises(UserError, match="Unknown student 'nope'"):
        ran(Train(epochs=1), Distill(student="nope"))


def test_biases_are_not_put_back_to_what_training_has_moved() -> None:
    result = ran(Gradual(granularity="rows", scope="layer", sparsity=0.5, rounds=1, epochs=1),
                 Recalibrate(batchnorm=False, biases=True), model="digits-mlp")  # fmt: skip
    assert "directly after a prune stage" in result.stopped


def test_a_ticket_tells_its_sparsity_and_a_strong_penalty_what_it_did() -> None:
    stage = ran(Lottery(sparsity=0.8, rounds=2, epochs=1), model="digits-mlp").stages[0]
    assert (stage.asked_sparsity, stage.achieved_sparsity) == (0.8, pytest.approx(0.8, abs=0.001))
    notes = ran(Sparsify(strength=50, epochs=2, lr=0.05), model="digits-mlp").stages[0].notes
    assert notes and "which is chance; lower strength" in notes[0]


def test_a_student_is_checked_against_the_one_before_it_and_not_against_the_first_model() -> None:
    lesson = {"epochs": 1, "alpha": 0.0}
    with pytest.raises(UserError, match="cannot be made shallower"):
        ran(Distill(student="mlp", hidden=(9,), **lesson), Distill(student="shallower", **lesson), model="digits-mlp")
