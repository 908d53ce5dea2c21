"""Lottery tickets: the procedure by hand, its masks by NumPy, and its controls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compression.models.architectures import MLP
from compression.pruning.lottery import draw, shuffled, sparsity_of, ticket
from compression.pruning.masks import weight_masks
from compression.recipe import Lottery, Prune
from compression.subject import load_subject
from compression.training import fit


def new(seed: int) -> MLP:
    torch.manual_seed(seed)
    return MLP(64, [20, 12], 10).eval()


def drawn(stage: Lottery, seed: int = 0):  # type: ignore[no-untyped-def]
    """The epochs, the trained ticket and its masks; nothing stopped it."""
    epochs, work = [], draw(new, stage, load_subject("digits-mlp").dataset, seed)
    while True:
        try:
            epochs.append(next(work))
        except StopIteration as end:
            model, masks, stopped = end.value
            assert not stopped
            return epochs, model, masks


def test_one_round_by_hand() -> None:
    stage, dataset = Lottery(sparsity=0.7, rounds=1, epochs=2, scope="global"), load_subject("digits-mlp").dataset
    how = {"epochs": 2, "lr": stage.lr, "seed": 0}
    dense = new(0)
    list(fit(dense, dataset, **how))
    masks = {f"{name}.weight": mask for name, mask in weight_masks(dense, Prune(sparsity=0.7)).items()}
    winner = new(0)
    with torch.no_grad():
        for name, mask in masks.items():
            winner.get_parameter(name).mul_(mask)
    list(fit(winner, dataset, masks=masks, **how))
    epochs, found, _ = drawn(stage)
    for name, value in found.state_dict().items():
        assert torch.equal(value, winner.state_dict()[name]), name
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert [round(epoch.sparsity, 2) for epoch in epochs] == [0, 0, 0.7, 0.7]


def test_the_output_layer_loses_half_the_rate_of_the_others() -> None:
    model, stage = new(0), Lottery(sparsity=0.8, rounds=4)
    left = [{name: mask.float().mean().item() for name, mask in ticket(model, stage, turn).items()} for turn in (1, 2)]
    rate, output = 1 - left[0]["layers.0.weight"], 1 - left[0]["layers.2.weight"]
    assert output == pytest.approx(rate / 2, abs=0.01)
    assert left[1]["layers.0.weight"] == pytest.approx((1 - rate) ** 2, abs=0.003)
    assert sparsity_of(model, ticket(model, stage, 4)) == pytest.approx(0.8, abs=0.001), "all layers together"


def test_rewinding_goes_back_to_early_weights() -> None:
    dataset = load_subject("digits-mlp").dataset
    early = new(0)
    for epoch in fit(early, dataset, epochs=3, lr=0.05, seed=0):
        if epoch.epoch == 1:
            weights = {name: value.clone() for name, value in early.state_dict().items()}
    late = new(0)
    late.load_state_dict(weights)
    _, found, masks = drawn(Lottery(sparsity=0.5, rounds=1, epochs=3, rewind=1))
    with torch.no_grad():
        for name, mask in masks.items():
            late.get_parameter(name).mul_(mask)
    list(fit(late, dataset, epochs=3, lr=0.05, seed=0, masks=masks))
    assert torch.equal(found.layers[0].weight, late.layers[0].weight)


def test_the_controls_share_the_number_of_weights_left_in_every_layer() -> None:
    left = {}
    for kind in ("winning", "reinitialised", "shuffled"):
        _, model, masks = drawn(Lottery(sparsity=0.8, rounds=2, epochs=1, ticket=kind))
        left[kind] = masks
        assert all(not model.get_parameter(name)[~mask].any() for name, mask in masks.items())
    for name, mask in left["winning"].items():
        assert torch.equal(mask, left["reinitialised"][name])
        assert int(mask.sum()) == int(left["shuffled"][name].sum())
    assert not torch.equal(left["winning"]["layers.0.weight"], left["shuffled"]["layers.0.weight"])


def test_shuffling_and_counting() -> None:
    masks = {"layers.0.weight": torch.arange(20 * 64).view(20, 64) % 4 == 0}
    assert sparsity_of(new(0), masks) == 0.75 * 20 * 64 / (20 * 64 + 12 * 20 + 10 * 12)
    np.testing.assert_array_equal(*(shuffled(masks, 3)["layers.0.weight"].numpy() for _ in range(2)))
