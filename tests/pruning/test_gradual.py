"""Pruning while training: against prune and train in turn, and what is cut in the end against zeros."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from compression.pruning.gradual import Rising, prune_at
from compression.pruning.masks import prunable
from compression.pruning.oneshot import prune
from compression.recipe import Gradual, Prune
from compression.registry import UserError
from compression.subject import Subject, load_subject
from compression.training import fit, predict


@pytest.fixture(scope="module")
def cnn() -> Subject:
    return load_subject("digits-cnn")


def rising(subject: Subject, model: nn.Module, **fields: object) -> Rising:
    return Rising(model, Gradual(**fields), subject.groups, subject.dataset)


def zeros(model: nn.Module) -> int:
    return sum(int((layer.weight == 0).sum()) for layer in prunable(model).values())


def test_two_rounds_are_prune_train_prune_train(cnn: Subject) -> None:
    step, lr = {"granularity": "weights", "scope": "layer"}, {"lr": 0.01, "momentum": 0.0}
    by_hand = cnn.model
    for sparsity in (0.4, 0.8):
        pruned = prune(by_hand, Prune(**step, sparsity=sparsity), cnn.blueprint.input_shape)
        by_hand = pruned.model
        list(fit(by_hand, cnn.dataset, epochs=1, masks=pruned.masks, seed=0, **lr))
    model = copy.deepcopy(cnn.model)
    masking = rising(cnn, model, **step, schedule="linear", sparsity=0.8, rounds=2)
    before = []
    for _ in fit(model, cnn.dataset, epochs=2, restarts=2, masking=masking, seed=0, **lr):
        before.append(zeros(model))
    total = sum(layer.weight.numel() for layer in prunable(model).values())
    assert [round(n / total, 2) for n in before] == [0.4, 0.8]
    assert zeros(by_hand) == zeros(model)
    # The second epoch draws its images in another order than a new training does, so only the first agrees.
    once = copy.deepcopy(cnn.model)
    list(fit(once, cnn.dataset, epochs=1, masking=rising(cnn, once, **step, schedule="linear", sparsity=0.4, rounds=1),
             seed=0, **lr))  # fmt: skip
    first = prune(cnn.model, Prune(**step, sparsity=0.4), cnn.blueprint.input_shape)
    list(fit(first.model, cnn.dataset, epochs=1, masks=first.masks, seed=0, **lr))
    for one, other in zip(once.parameters(), first.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_fell_once_stays_fallen_while_the_sparsity_rises(cnn: Subject) -> None:
    model = copy.deepcopy(cnn.model)
    masking = rising(cnn, model, sparsity=0.9, schedule="cubic", rounds=6, restart=False, end=0.8)
    gone: dict[str, torch.Tensor] = {}
    sparsities = []
    for _ in fit(model, cnn.dataset, epochs=3, masking=masking, lr=0.02):
        for name, layer in prunable(model).items():
            assert not (gone.get(name, torch.zeros(1)) * layer.weight).any()
            gone[name] = (layer.weight == 0).float()
        sparsities.append(masking.sparsity)
    assert sparsities == sorted(sparsities)
    assert zeros(model) == round(0.9 * sum(layer.weight.numel() for layer in prunable(model).values()))


@pytest.mark.parametrize("criterion", ["magnitude", "median", "taylor"])
def test_channels_held_at_zero_are_cut_out_with_the_same_outputs(cnn: Subject, criterion: str) -> None:
    model = copy.deepcopy(cnn.model)
    masking = rising(
        cnn, model, granularity="channels", criterion=criterion, scope="layer", sparsity=0.5, rounds=3, images=64
    )
    list(fit(model, cnn.dataset, epochs=1, masking=masking, lr=0.02))
    pruned = masking.pruned()
    assert pruned is not None
    assert pruned.achieved == 0.5
    assert sum(p.numel() for p in pruned.model.parameters()) < sum(p.numel() for p in model.parameters()) / 3
    images = torch.randn(8, *cnn.blueprint.input_shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(predict(pruned.model, images), predict(model, images), rtol=1e-4, atol=1e-4)


def test_dense_sparse_dense_gives_every_weight_back(cnn: Subject) -> None:
    model = copy.deepcopy(cnn.model)
    masking = rising(cnn, model, schedule="dense_sparse_dense", sparsity=0.6, rounds=3)
    counts = [zeros(model) for _ in fit(model, cnn.dataset, epochs=3, masking=masking, lr=0.02)]
    total = sum(layer.weight.numel() for layer in prunable(model).values())
    assert counts[0] == counts[2] == 0
    assert counts[1] == round(0.6 * total)
    assert masking.pruned() is None


def test_channels_come_back_with_the_weights_that_they_had(cnn: Subject) -> None:
    """Zeros on both sides of a channel have no gradient, so that it could never come back from them."""
    model = copy.deepcopy(cnn.model)
    masking = rising(cnn, model, granularity="channels", schedule="dense_sparse_dense", sparsity=0.5, rounds=3)
    for progress in (0.0, 0.4, 0.8):
        hold_now(model, masking(progress) or {})
        assert (zeros(model) > 0) == (progress == 0.4)
    for one, other in zip(model.parameters(), cnn.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_an_earlier_stage_dropped_does_not_come_back_with_the_channels(cnn: Subject) -> None:
    pruned = prune(cnn.model, Prune(sparsity=0.5), cnn.blueprint.input_shape)
    model = pruned.model
    stage = Gradual(granularity="channels", schedule="dense_sparse_dense", sparsity=0.5, rounds=3)
    masking = Rising(model, stage, cnn.groups, cnn.dataset, held=pruned.masks)
    for progress in (0.0, 0.4, 0.8):
        hold_now(model, masking(progress) or {})
    assert zeros(model) == zeros(pruned.model) == sum(int((~mask).sum()) for mask in pruned.masks.values())


def hold_now(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name).mul_(mask)


def test_masks_of_an_earlier_stage_hold_on(cnn: Subject) -> None:
    pruned = prune(cnn.model, Prune(sparsity=0.5), cnn.blueprint.input_shape)
    model = pruned.model
    masking = Rising(model, Gradual(sparsity=0.6, schedule="linear", rounds=3), cnn.groups, cnn.dataset,
                     held=pruned.masks)  # fmt: skip
    list(fit(model, cnn.dataset, epochs=1, masks=pruned.masks, masking=masking, lr=0.02))
    for name, mask in pruned.masks.items():
        assert not model.get_parameter(name)[~mask].any()


def test_single_layers_rise_in_proportion() -> None:
    stage = Gradual(sparsity=0.8, overrides={"a": 0.4, "b": 0.0})
    step = prune_at(stage, 0.2)
    assert step is not None
    assert (step.sparsity, step.overrides) == (0.2, {"a": pytest.approx(0.1), "b": 0.0})
    assert prune_at(stage, 0.0) is None


def test_a_normalisation_over_several_channels_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    subject = load_subject("digits-cnn")
    alike = Subject("x", model, subject.blueprint, subject.dataset)
    with pytest.raises(UserError, match=r"'1' averages over several channels \(GroupNorm\)"):
        Rising(model, Gradual(granularity="channels", sparsity=0.5), alike.groups, alike.dataset)


def test_nothing_that_fell_comes_back_however_wild_the_steps(cnn: Subject) -> None:
    model, fallen = copy.deepcopy(cnn.model), []
    masking = rising(cnn, model, sparsity=0.8, schedule="cubic", rounds=9, restart=False)

    def watched(progress: float) -> dict[str, torch.Tensor] | None:
        masks = masking(progress)
        if masks is not None:
            fallen.append({name: ~mask for name, mask in masks.items()})
        return masks

    list(fit(model, cnn.dataset, epochs=2, masking=watched, lr=0.3))
    assert len(fallen) == 9
    for before, now in zip(fallen, fallen[1:], strict=False):
        assert not any(bool((before[name] & ~now[name]).any()) for name in before)


def test_the_sparsity_told_is_what_is_gone_and_a_lower_one_is_refused(cnn: Subject) -> None:
    pruned = prune(cnn.model, Prune(sparsity=0.7), cnn.blueprint.input_shape)
    stage = Gradual(sparsity=0.8, schedule="linear", rounds=4)
    masking = Rising(pruned.model, stage, cnn.groups, cnn.dataset, held=pruned.masks)
    told = []
    for _ in fit(pruned.model, cnn.dataset, epochs=2, masks=pruned.masks, masking=masking, lr=0.01):
        total = sum(layer.weight.numel() for layer in prunable(pruned.model).values())
        told.append((masking.sparsity, zeros(pruned.model) / total))
    assert told == [(pytest.approx(0.7, abs=1e-4), pytest.approx(0.7, abs=1e-4)), (pytest.approx(0.8, abs=1e-4),) * 2]
    with pytest.raises(UserError, match="Nothing to prune: sparsity 0.5 reaches no weights but those that are gone"):
        Rising(pruned.model, Gradual(sparsity=0.5), cnn.groups, cnn.dataset, held=pruned.masks)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"sparsity": 0.01, "granularity": "channels"}, "Nothing to prune: sparsity 0.01 reaches no channels"),
        ({"sparsity": 0.5, "schedule": "dense_sparse_dense", "rounds": 1}, "prunes in none of 1 rounds; give more"),
        ({"sparsity": 0.9999, "scope": "layer"}, "leaves none of the"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(cnn: Subject, fields: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line):
        rising(cnn, copy.deepcopy(cnn.model), **fields)
