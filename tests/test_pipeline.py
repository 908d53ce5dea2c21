"""Recipes from end to end on the digits models, against PyTorch's own pruning and a plain loop."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune as torch_prune

from compression import pipeline
from compression import subject as subject_module
from compression.data.sets import load_data
from compression.models.files import Blueprint, load_weights, save_weights
from compression.models.zoo import load, load_model
from compression.pipeline import Event, RunResult, load_result, measure, run
from compression.recipe import Prune, Recipe, Train
from compression.registry import UserError
from compression.results import Latency, wilson
from compression.subject import Subject, baseline, judge, load_subject, preview, prune_subject
from compression.training import inputs, normalise, predict

HALF_ROWS = Prune(granularity="rows", scope="layer", sparsity=0.5)
HALF_CHANNELS = Prune(granularity="channels", scope="layer", sparsity=0.5)
SPARSE = Prune(granularity="weights", sparsity=0.8)


@pytest.fixture(scope="module")
def structured() -> RunResult:
    """digits-cnn at half its channels, fine-tuned for three epochs."""
    return run(Recipe(model="digits-cnn", stages=(HALF_CHANNELS, Train(epochs=3, lr=0.1))))


def pruned_by_torch(name: str, sparsity: float) -> nn.Module:
    model = load_model(name)
    layers = [(m, "weight") for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    torch_prune.global_unstructured(layers, torch_prune.L1Unstructured, amount=sparsity)
    return model


def correct_on_test(model: nn.Module) -> int:
    dataset = load_data("digits")
    return int((model(normalise(dataset.test.images, dataset)).argmax(1) == dataset.test.labels).sum())


def zeros(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach() == 0 for name, p in model.named_parameters() if p.ndim > 1}


# Against PyTorch


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn"])
def test_pruned_accuracy_is_that_of_torchs_own_global_pruning(name: str) -> None:
    result = run(Recipe(model=name, stages=(SPARSE,)))
    correct, n = correct_on_test(pruned_by_torch(name, 0.8)), 359
    assert (result.final.accuracy, result.final.n) == (correct / n, n)
    assert (result.final.accuracy_low, result.final.accuracy_high) == wilson(correct, n)
    assert result.stages[0].achieved_sparsity == pytest.approx(0.8, abs=1e-4)
    assert result.stages[0].asked_sparsity == pytest.approx(0.8)


def test_fine_tuning_under_masks_is_that_of_torchs_reparametrised_weights() -> None:
    # PyTorch keeps weight_orig and multiplies it by the mask in every forward pass, so that what is
    # dropped gets no gradient: a plain loop over it is what ours must do.
    stage = Train(epochs=2, lr=0.05, batch_size=50, momentum=0.9, weight_decay=1e-3)
    result = run(Recipe(model="digits-mlp", seed=3, stages=(SPARSE, stage)))
    model, dataset = pruned_by_torch("digits-mlp", 0.8).train(), load_data("digits")
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 1e-3},
        {"params": [p for p in model.parameters() if p.ndim <= 1]},
    ]
    optimiser = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)
    order, x, y = torch.Generator().manual_seed(3), inputs(dataset.train, dataset), dataset.train.labels
    total = 2 * -(-len(y) // 50)
    step, peak = 0, total // 5
    for _ in range(2):
        for index in torch.randperm(len(y), generator=order).split(50):
            for group in optimiser.param_groups:
                group["lr"] = 0.05 * min((step + 1) / peak, (total - step) / (total - peak))
            optimiser.zero_grad()
            F.cross_entropy(model(x[index]), y[index]).backward()
            optimiser.step()
            step += 1
    model(x[:1])  # so that ``weight`` is what the last ``weight_orig`` gives
    for name, layer in result.model().named_modules():
        if isinstance(layer, nn.Linear):
            torch.testing.assert_close(layer.weight, model.get_submodule(name).weight, rtol=1e-4, atol=1e-6)
    assert result.final.accuracy == correct_on_test(model.eval()) / 359


# The stages


def test_surgery_and_fine_tuning_give_a_smaller_model_that_still_works(structured: RunResult) -> None:
    pruned, trained = (stage.measurement for stage in structured.stages)
    assert pruned.params == trained.params < structured.baseline.params / 2
    assert pruned.macs == trained.macs < structured.baseline.macs / 2
    assert trained.accuracy > max(0.9, pruned.accuracy)
    assert structured.final == trained
    assert [epoch.stage for epoch in structured.history] == [1, 1, 1]
    assert {layer.layer for layer in structured.stages[0].layers} >= {"stem", "blocks.0.conv1"}
    assert (structured.stages[1].layers, structured.stages[1].achieved_sparsity) == ((), None)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("digits-mlp", (HALF_ROWS, Train(epochs=1))),
        ("digits-mlp", (SPARSE, Train(epochs=1))),
        ("digits-cnn", (SPARSE, Train(epochs=1))),
        ("digits-mlp", ()),
    ],
)
def test_the_model_of_a_result_measures_exactly_as_the_result_says(name: str, stages: tuple[Prune, ...]) -> None:
    result = run(Recipe(model=name, stages=stages))
    assert measure(result.model(), "digits") == result.final


def test_masks_hold_through_training_and_later_surgery() -> None:
    stages = (SPARSE, Train(epochs=1, lr=0.1), HALF_CHANNELS, Train(epochs=1, lr=0.1))
    models = [run(Recipe(model="digits-cnn", stages=stages[:n])).model() for n in (1, 2, 3, 4)]
    for before, after in ((0, 1), (2, 3)):
        dropped, still = zeros(models[before]), zeros(models[after])
        assert sum(int(mask.sum()) for mask in dropped.values()) > 0.3 * sum(m.numel() for m in dropped.values())
        for name, mask in dropped.items():
            assert bool(still[name][mask].all()), name
    assert zeros(models[3])["stem.weight"].shape[0] < zeros(models[1])["stem.weight"].shape[0]


def test_a_second_prune_adds_to_the_first() -> None:
    recipe = Recipe(model="digits-mlp", stages=(Prune(sparsity=0.5), Train(epochs=1), Prune(sparsity=0.8)))
    result = run(recipe)
    assert [round(stage.measurement.sparsity, 3) for stage in result.stages] == [0.5, 0.5, 0.8]
    first = zeros(run(recipe.model_copy(update={"stages": recipe.stages[:1]})).model())
    last = zeros(result.model())
    assert all(bool(last[name][mask].all()) for name, mask in first.items())


@pytest.mark.parametrize("stages", [(Train(epochs=1),), (HALF_CHANNELS, Train(epochs=1))])
def test_the_subject_is_never_changed(stages: tuple[Prune | Train, ...]) -> None:
    result = run(Recipe(model="digits-cnn", stages=stages))
    subject, fresh = load_subject("digits-cnn").model.state_dict(), load_model("digits-cnn").state_dict()
    assert all(torch.equal(subject[name], fresh[name]) for name in fresh)
    assert result.baseline.accuracy == correct_on_test(load_model("digits-cnn")) / 359


def test_split_and_limit_say_what_is_measured() -> None:
    recipe = Recipe(model="digits-mlp", stages=(SPARSE,))
    for split, limit, n in (("val", None, 360), ("test", None, 359), ("val", 100, 100), ("test", 10_000, 359)):
        result = run(recipe, split=split, limit=limit)
        assert (result.final.split, result.final.n, result.baseline.n) == (split, n, n)
    subject = load_subject("digits-mlp")
    logits, measured = judge(subject, subject.model, "val", 100)
    expected = subject.model(inputs(subject.dataset.val, subject.dataset)[:100])
    torch.testing.assert_close(logits, expected.detach())
    right = int((expected.argmax(1) == subject.dataset.val.labels[:100]).sum())
    assert measured.accuracy == right / 100


def test_a_preview_is_what_a_run_of_the_stage_measures() -> None:
    subject = load_subject("digits-mlp")
    shown = preview(subject, prune_subject(subject, SPARSE), split="val")
    assert shown.measurement == run(Recipe(model="digits-mlp", stages=(SPARSE,)), split="val").final
    assert shown.logits.shape == (360, 10)


# Seeds


def test_the_same_seed_gives_the_same_result_and_another_seed_another(structured: RunResult) -> None:
    again, other = (run(structured.recipe.model_copy(update={"seed": seed})) for seed in (0, 1))
    assert again.weights == structured.weights
    assert again.stages == structured.stages
    assert other.weights != structured.weights
    assert other.final != structured.final
    assert (again.seed, other.seed) == (0, 1)


def test_the_seed_also_fixes_random_pruning() -> None:
    stage = Prune(criterion="random", sparsity=0.5)
    one, again, other = (run(Recipe(model="digits-mlp", seed=s, stages=(stage,))).weights for s in (0, 0, 1))
    assert one == again != other


# Events


def test_events_go_forward_and_carry_every_epoch() -> None:
    events: list[Event] = []
    recipe = Recipe(model="digits-mlp", stages=(SPARSE, Train(epochs=3), SPARSE, Train(epochs=2)))
    result = run(recipe, events.append)
    assert result.stopped.startswith("stage 3 (prune): Nothing pruned")
    assert len(result.stages) == 2, "what came before the fault is kept"
    # 8 units of work: the baseline, 2 prunings and 5 epochs; the second pruning is never finished.
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert set(fractions) == {n / 8 for n in (0, 1, 2, 3, 4, 5)}
    assert [event.finished[0] for event in events if event.finished] == [0, 1]
    assert [event.epoch.epoch for event in events if event.epoch] == [1, 2, 3]
    assert [event.epoch.stage for event in events if event.epoch] == [1, 1, 1]
    assert events[0].message == "measuring digits-mlp on the test images of digits"


def test_the_history_is_the_epochs_of_the_events() -> None:
    events: list[Event] = []
    result = run(Recipe(model="digits-mlp", stages=(HALF_ROWS, Train(epochs=2))), events.append)
    assert result.history == tuple(event.epoch for event in events if event.epoch)
    assert [event.fraction for event in events] == sorted(event.fraction for event in events)
    assert events[-1].fraction == 1


def test_the_baseline_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []

    def counting(subject: Subject, model: nn.Module, *rest: object) -> object:
        judged.append(id(model))
        return judge(subject, model, *rest)  # type: ignore[arg-type]

    subject_module._judged.cache_clear()
    for module in (subject_module, pipeline):
        monkeypatch.setattr(module, "judge", counting)
    for sparsity in (0.2, 0.4, 0.6):
        run(Recipe(model="digits-mlp", data="digits", stages=(Prune(sparsity=sparsity),)))
    baseline(load_subject("digits-mlp", None), split="test")
    assert judged.count(id(load_subject("digits-mlp").model)) == 1
    assert len(judged) == 1 + 3


# Latency


def test_latency_is_asked_for_all_stages_at_once_against_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    timing = Latency(
        runtime="eager", batch=1, speedup=1, speedup_low=1, speedup_high=1, min_ms=1, median_ms=1, p90_ms=1,
        baseline_median_ms=1, pairs=30, threads=1,
    )  # fmt: skip

    def fake(
        models: dict[str, nn.Module], baseline: nn.Module, shape: tuple[int, ...]
    ) -> dict[str, tuple[Latency, ...]]:
        assert shape == (1, 8, 8)
        assert baseline is load_subject("digits-mlp").model
        params = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
        return {name: (timing.model_copy(update={"median_ms": float(n)}),) for name, n in params.items()}

    monkeypatch.setattr(pipeline, "latencies", fake)
    result = run(Recipe(model="digits-mlp", stages=(HALF_ROWS, Train(epochs=1))), timed=True)
    for measured in (result.baseline, *(stage.measurement for stage in result.stages)):
        assert [t.median_ms for t in measured.latency] == [measured.params]
    assert run(Recipe(model="digits-mlp")).baseline.latency == ()
    assert [t.median_ms for t in measure("digits-mlp", latency=True).latency] == [result.baseline.params]


# Saving


def test_a_saved_result_comes_back_whole(structured: RunResult, tmp_path: Path) -> None:
    structured.save(tmp_path / "new" / "folder")
    again = load_result(tmp_path / "new" / "folder")
    assert again == structured
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(again.model()(x), structured.model()(x))
    assert Recipe.from_yaml((tmp_path / "new" / "folder" / "recipe.yaml").read_text()) == structured.recipe
    loaded = load_weights(tmp_path / "new" / "folder" / "model.safetensors")
    assert torch.equal(loaded.model(x), structured.model()(x))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("result.json", None, "holds no result.json"),
        ("result.json", b'{"recipe": ', "is not a whole result"),
        ("result.json", b"[1, 2]", "is not a whole result"),
        ("result.json", b"7", "is not a whole result"),
        ("result.json", b"\xff\xfe\x00", "is not a whole result"),
        ("result.json", b"{}", "recipe is missing; baseline is missing"),
        ("model.safetensors", None, "No model file can be read at"),
        ("model.safetensors", b"half a file", "is not a whole safetensors file"),
    ],
)
def test_a_result_that_is_not_whole_is_one_line(
    structured: RunResult, tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    structured.save(tmp_path / "r")
    (tmp_path / "r" / file).unlink()
    if content is not None:
        (tmp_path / "r" / file).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_result(tmp_path / "r")
    assert "\n" not in str(caught.value)


def test_a_result_json_holds_no_weights(structured: RunResult, tmp_path: Path) -> None:
    structured.save(tmp_path)
    body = json.loads((tmp_path / "result.json").read_text())
    assert set(body) == {"recipe", "baseline", "stages", "history", "seed", "stopped", "versions", "hardware"}
    assert torch.__version__.startswith(body["versions"]["torch"])


# Measuring by itself


def test_measure_takes_names_and_objects_alike() -> None:
    dataset, model = load_data("digits"), load_model("digits-mlp").train()
    expected = measure("digits-mlp")
    assert measure(model, dataset) == measure(model, "digits") == measure("digits-mlp", dataset) == expected
    assert model.training  # and leaves the module as it was
    assert expected.n == 359
    assert expected.accuracy == correct_on_test(model.eval()) / 359
    assert measure("digits-mlp", split="val").n == 360


def test_measure_takes_a_file(tmp_path: Path) -> None:
    loaded = load("digits-mlp")
    save_weights(loaded.model, loaded.blueprint, tmp_path / "m.safetensors")
    assert measure(str(tmp_path / "m.safetensors"), "digits") == measure("digits-mlp")


def test_measure_says_what_does_not_fit() -> None:
    with pytest.raises(UserError, match="^data is left out; a module has none of its own"):
        measure(nn.Flatten())
    with pytest.raises(UserError, match="^Model 'Conv2d' cannot take the images of data set 'digits'"):
        measure(nn.Conv2d(3, 4, 3), "digits")
    with pytest.raises(UserError, match="^Model 'Flatten' tells 64 classes apart, but data set 'digits' has 10$"):
        measure(nn.Flatten(), "digits")
    with pytest.raises(UserError, match="^Unknown split 'dev'; choose one of: train, val, test$"):
        measure("digits-mlp", split="dev")


# Faults


DIVERGED = r"^Training diverged in epoch 1, step \d+: the loss is (nan|inf); lower lr$"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(model="digits-mpl"), r"^Unknown model 'digits-mpl' \(did you mean 'digits-mlp'\?\)"),
        (Recipe(model="a" * 300 + ".safetensors", data="digits"), "^No model file can be read at"),
        (Recipe(model="digits-mlp", data="/" + "a" * 300), "^No data set and no folder of that name"),
        (Recipe(model="digits-mlp", data="digit"), r"^Unknown data set 'digit' \(did you mean 'digits'\?\)"),
        (Recipe(model="mnist-lenet-5", data="digits"), "^Model 'mnist-lenet-5' takes 1×28×28 images, .* has 1×8×8$"),
        (
            Recipe(model="digits-mlp", stages=(Prune(sparsity=0.5, overrides={"layer.0": 0.1}),)),
            r"'layer.0' \(did you mean 'layers.0'\?\)",
        ),
        (
            Recipe(model="digits-mlp", stages=(Prune(granularity="kernels", sparsity=0.5),)),
            "kernels",
        ),
        (Recipe(model="digits-mlp", stages=(Prune(threshold=1e-9),)), "^Nothing pruned: threshold 1e-09"),
        (Recipe(model="digits-mlp", stages=(Train(lr=10, momentum=0.99, weight_decay=1, batch_size=4),)), DIVERGED),
    ],
)
def test_bad_recipes_are_one_line(recipe: Recipe, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(recipe)
    assert "\n" not in str(caught.value)


def test_what_whole_epochs_made_is_kept_when_training_diverges_later() -> None:
    late = Train(lr=10, momentum=0.99, weight_decay=1, epochs=99)
    result = run(Recipe(model="digits-mlp", stages=(late, Prune(sparsity=0.5))))
    whole = len(result.history)
    assert 1 <= whole < 99
    assert re.match(rf"^Training diverged in epoch {whole + 1}, .*; kept what {whole} epochs? made$", result.stopped)
    assert len(result.stages) == 1  # the recipe ends there
    assert all(bool(torch.isfinite(p).all()) for p in result.model().parameters())
    logits = predict(result.model(), inputs(load_data("digits").val, load_data("digits")))
    found = float((logits.argmax(1) == load_data("digits").val.labels).float().mean())
    assert found == result.history[-1].val_accuracy


def test_absent_data_says_how_to_get_it(data_root: Path) -> None:
    with pytest.raises(UserError, match="^Data set 'mnist' is not in .*: espalier data mnist --get, or use 'digits'"):
        run(Recipe(model="mnist-lenet-300-100"))


def test_a_file_needs_data_and_has_no_nan(tmp_path: Path) -> None:
    loaded = load("digits-mlp")
    path = tmp_path / "mine.safetensors"
    save_weights(loaded.model, loaded.blueprint, path)
    with pytest.raises(UserError, match="has no data set of its own; name one as data$"):
        run(Recipe(model=str(path)))
    assert run(Recipe(model=str(path), data="digits")).baseline == measure("digits-mlp")
    broken = copy.deepcopy(loaded.model)
    with torch.no_grad():
        broken.layers[1].weight[0, 0] = float("nan")
    save_weights(broken, loaded.blueprint, tmp_path / "nan.safetensors")
    with pytest.raises(UserError, match=r"^Tensor 'layers.1.weight' of '.*' holds NaN or infinite values$"):
        run(Recipe(model=str(tmp_path / "nan.safetensors"), data="digits"))


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    for width in (4, 5):
        blueprint = Blueprint("mlp", {"inputs": 64, "hidden": [width], "classes": 10}, (1, 8, 8))
        save_weights(blueprint.build(), blueprint, path)
        assert load_subject(str(path), "digits").model.layers[0].out_features == width
        assert load_subject(str(path), "digits") is load_subject(str(path), data="digits")


def test_a_model_with_other_classes_than_the_data_is_refused(tmp_path: Path) -> None:
    blueprint = Blueprint("mlp", {"inputs": 64, "hidden": [4], "classes": 7}, (1, 8, 8))
    save_weights(blueprint.build(), blueprint, tmp_path / "seven.safetensors")
    with pytest.raises(UserError, match="tells 7 classes apart, but data set 'digits' has 10$"):
        run(Recipe(model=str(tmp_path / "seven.safetensors"), data="digits"))


def test_mnist_models_run_on_mnist_files(fake_mnist: Path) -> None:
    result = run(Recipe(model="mnist-lenet-300-100", stages=(Prune(granularity="rows", sparsity=0.5),)))
    assert (result.baseline.n, result.baseline.params) == (30, 266_610)
    shutil.rmtree(fake_mnist / "MNIST")


def test_training_that_harms_says_so() -> None:
    pruned = Prune(granularity="heads", scope="layer", sparsity=0.5)
    harmed = run(Recipe(model="digits-vit", stages=(pruned, Train(epochs=1, lr=0.5))), split="val")
    assert harmed.stages[0].notes == ()
    assert re.search(
        r"^Accuracy fell from 8\d\.\d% to \d+\.\d% in this training; lower lr\.$", harmed.stages[1].notes[0]
    )
    healed = run(Recipe(model="digits-vit", stages=(pruned, Train(epochs=1, lr=0.001))), split="val")
    assert healed.stages[1].notes == ()
