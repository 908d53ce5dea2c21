"""Penalties against NumPy loops over weights and channels, and what training with them does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from compression.models.architectures import MLP, ResNet
from compression.pruning.coupling import coupled_groups
from compression.pruning.penalties import PENALTIES, THRESHOLDS, Penalised, drawn, drift, penalised
from compression.pruning.surgery import Groups
from compression.recipe import Sparsify
from compression.registry import UserError
from compression.subject import load_subject
from compression.training import Step, fit

SHAPE = (2, 8, 8)


@pytest.fixture(scope="module")
def net() -> ResNet:
    torch.manual_seed(0)
    return ResNet(channels=2, widths=[4, 6], blocks=1, classes=3).eval()


@pytest.fixture(scope="module")
def groups(net: ResNet) -> Groups:
    return coupled_groups(net, SHAPE)


def numbers(net: ResNet) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().astype(float) for name, value in net.named_parameters()}


def channels(w: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The filters that make each channel of the net, by hand: what is added together goes together."""
    together = [
        ["stem", "blocks.0.conv2"],
        ["blocks.0.conv1"],
        ["blocks.1.conv1"],
        ["blocks.1.conv2", "blocks.1.shortcut.0"],
    ]
    return [
        np.concatenate([w[f"{layer}.weight"][u].ravel() for layer in layers])
        for layers in together
        for u in range(len(w[f"{layers[0]}.weight"]))
    ]


ORACLES = {
    "l1": lambda w: sum(abs(x) for name in w for x in w[name].ravel() if w[name].ndim > 1),
    "l2": lambda w: sum(x * x / 2 for name in w for x in w[name].ravel() if w[name].ndim > 1),
    "group_lasso": lambda w: sum(np.sqrt(len(unit)) * np.sqrt((unit**2).sum()) for unit in channels(w)),
    "batchnorm_l1": lambda w: sum(abs(x) for name in w for x in w[name] if "bn" in name or "shortcut.1" in name
                                  if name.endswith("weight")),
}  # fmt: skip


@pytest.mark.parametrize("key", PENALTIES)
def test_every_penalty_is_its_formula(key: str, net: ResNet, groups: Groups) -> None:
    with torch.no_grad():
        for name, value in net.named_parameters():
            if value.ndim == 1 and name.endswith("weight"):
                value.copy_(torch.linspace(-1, 1, len(value)))
    found = PENALTIES[key].call(net, groups).item()
    assert found == pytest.approx(ORACLES[key](numbers(net)), rel=1e-5)


def test_what_is_drawn_is_the_size_of_weights_units_or_scales(net: ResNet, groups: Groups) -> None:
    w = numbers(net)
    weights = np.concatenate([abs(w[name]).ravel() for name in w if w[name].ndim > 1])
    np.testing.assert_allclose(np.sort(drawn(net, groups, "l1")), np.sort(weights), rtol=1e-6)
    sizes = [np.sqrt((unit**2).mean()) for unit in channels(w)]
    np.testing.assert_allclose(np.sort(drawn(net, groups, "group_lasso")), np.sort(sizes), rtol=1e-5)


def test_a_drift_counts_every_size_and_says_what_lies_below(net: ResNet, groups: Groups) -> None:
    sizes = drawn(net, groups, "l2")
    found = drift(net, groups, "l2", epoch=3, reach=float(np.median(sizes)))
    assert (found.epoch, sum(found.counts)) == (3, len(sizes))
    assert found.counts[-1] >= len(sizes) // 2, "what lies beyond counts in the last bin"
    assert [below for _, below in found.below] == pytest.approx([(sizes < t).mean() for t in THRESHOLDS])


def test_the_loss_is_that_of_the_labels_plus_the_weighed_penalty(net: ResNet, groups: Groups) -> None:
    goal = penalised(Sparsify(strength=0.01, ramp="linear"), net, groups)
    step = Step(torch.arange(4), torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 0]), progress=0.25)
    logits, loss, parts = goal(net, step)
    labels, penalty = F.cross_entropy(logits, step.labels_B), ORACLES["l1"](numbers(net))
    assert loss.item() == pytest.approx(labels.item() + 0.01 * 0.25 * penalty, rel=1e-5)
    assert parts["penalty"].item() == pytest.approx(0.0025 * penalty, rel=1e-5)


@pytest.mark.parametrize(("key", "missing"), [("batchnorm_l1", "BatchNorm with scales"), ("group_lasso", "rows or ch")])
def test_a_penalty_with_nothing_to_act_on_says_so(key: str, missing: str) -> None:
    model = MLP(4, [], 3)
    with pytest.raises(UserError, match=f"penalty '{key}' has nothing to act on: the model has no {missing}"):
        penalised(Sparsify(penalty=key), model, coupled_groups(model, (1, 2, 2)))


def test_l1_brings_far_more_weights_near_zero_than_l2_at_the_same_accuracy() -> None:
    subject, near = load_subject("digits-mlp"), {}
    for key, strength in (("l1", 3e-4), ("l2", 3e-3)):
        model = MLP(64, [32], 10)
        torch.manual_seed(0)
        for layer in model.layers:
            layer.reset_parameters()
        goal = Penalised(Sparsify(penalty=key, strength=strength), subject.groups)
        *_, last = fit(model, subject.dataset, epochs=15, lr=0.1, weight_decay=0.0, objective=goal)
        assert last.val_accuracy > 0.9
        near[key] = (drawn(model, subject.groups, key) < 0.003).mean()
    assert near["l1"] > 4 * near["l2"]
