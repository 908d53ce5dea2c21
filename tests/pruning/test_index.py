from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from compression.pruning import (
    dropped,
    histogram,
    prunable,
    score_index,
    sparsity_at,
    threshold_of,
    weight_index,
    weight_masks,
)
from compression.recipe import Prune
from compression.registry import UserError
from tests.pruning.nets import CASES


def lenet() -> nn.Module:
    return CASES["lenet_channels"].model()


def flat(model: nn.Module, layer: str | None = None) -> np.ndarray:
    layers = prunable(model)
    names = list(layers) if layer is None else [layer]
    return np.concatenate([layers[name].weight.detach().numpy().ravel() for name in names])


@pytest.mark.parametrize("layer", [None, "conv2"])
@pytest.mark.parametrize("threshold", [0.0, -0.1, 1e-9, 0.01, 0.05, 0.2, 7.0])
def test_sparsity_at_counts_smaller_weights(threshold: float, layer: str | None) -> None:
    model = lenet()
    oracle = float((np.abs(flat(model, layer)) < np.float32(threshold)).mean())
    assert sparsity_at(weight_index(model), threshold, layer) == pytest.approx(oracle, abs=1e-12)


@pytest.mark.parametrize("layer", [None, "fc2"])
@pytest.mark.parametrize("sparsity", [0.0, 0.001, 0.25, 0.5, 0.9, 0.999, 1.0])
def test_threshold_and_sparsity_are_each_other_s_inverse(sparsity: float, layer: str | None) -> None:
    model = lenet()
    index, weights = weight_index(model), np.abs(flat(model, layer))
    count = round(sparsity * weights.size)
    threshold = threshold_of(index, sparsity, layer)
    assert sparsity_at(index, threshold, layer) == pytest.approx(count / weights.size, abs=1e-12)
    # The smallest such threshold: the float before it has fewer weights below.
    assert threshold == 0 or (weights < np.nextafter(np.float32(threshold), np.float32(0))).sum() < count


def test_the_threshold_is_the_one_that_prune_reports_and_makes_the_same_mask() -> None:
    model = lenet()
    threshold = threshold_of(weight_index(model), 0.6)
    by_sparsity = weight_masks(model, Prune(sparsity=0.6))
    by_threshold = weight_masks(model, Prune(threshold=threshold))
    assert all(torch.equal(by_sparsity[name], by_threshold[name]) for name in by_sparsity)


def test_ties_fall_together_under_a_threshold() -> None:
    index = score_index({"a": torch.tensor([1.0, -1.0, 1.0, 2.0])})
    assert threshold_of(index, 0.25) == np.nextafter(np.float32(1), np.float32(2))
    assert sparsity_at(index, threshold_of(index, 0.25)) == 0.75


def test_a_layer_of_zeros_has_a_threshold() -> None:
    index = score_index({"a": torch.zeros(4)})
    assert sparsity_at(index, threshold_of(index, 0.5)) == 1


@pytest.mark.parametrize("magnitudes", [False, True])
@pytest.mark.parametrize("bins", [1, 7, 200])
def test_histogram_equals_numpy(bins: int, magnitudes: bool) -> None:
    model = lenet()
    found = histogram(weight_index(model), bins, magnitudes=magnitudes)
    for name in [*prunable(model), None]:
        values = flat(model, name)
        oracle, _ = np.histogram(np.abs(values) if magnitudes else values, bins=found.edges)
        counts = found.total if name is None else found.counts[name]
        assert counts.tolist() == oracle.tolist()
        assert counts.sum() == values.size
    assert len(found.edges) == bins + 1
    assert found.edges[-1] == np.abs(flat(model)).max()


def test_what_lies_beyond_the_limit_counts_in_the_outermost_bins() -> None:
    model = lenet()
    found = histogram(weight_index(model), 10, limit=0.05)
    oracle, _ = np.histogram(flat(model).clip(-0.05, 0.05), bins=found.edges)
    assert found.total.tolist() == oracle.tolist()


@pytest.mark.parametrize("magnitudes", [False, True])
def test_dropped_is_the_histogram_of_the_weights_that_masks_drop(magnitudes: bool) -> None:
    model = lenet()
    masks = weight_masks(model, Prune(criterion="random", sparsity=0.5))
    del masks["fc2"]
    whole = histogram(weight_index(model), 30, limit=0.1, magnitudes=magnitudes)
    lost = dropped(model, masks, whole)
    for name, layer in prunable(model).items():
        values = layer.weight.detach().numpy()
        values = values[~masks[name].numpy()] if name in masks else values[:0].ravel()
        values = np.abs(values) if magnitudes else values
        oracle, _ = np.histogram(values.clip(-0.1, 0.1), bins=whole.edges)
        assert lost.counts[name].tolist() == oracle.tolist()
    assert (lost.total <= whole.total).all()


@pytest.mark.parametrize("bins", [1, 3, 10, 120, 1000])
def test_dropped_agrees_with_the_histogram_on_the_very_edges(bins: int) -> None:
    layer = nn.Linear(1, 4 * (bins + 1), bias=False)
    edges = np.linspace(-0.3, 0.3, bins + 1, dtype=np.float32)
    near = [edges, np.nextafter(edges, np.float32(1)), np.nextafter(edges, np.float32(-1)), edges / 3]
    layer.weight.data = torch.from_numpy(np.concatenate(near))[:, None]
    model = nn.Sequential(layer)
    whole = histogram(weight_index(model), bins, limit=0.3)
    every = {"0": torch.zeros_like(layer.weight, dtype=torch.bool)}
    assert dropped(model, every, whole).total.tolist() == whole.total.tolist()


def test_index_survives_pickling_and_does_not_follow_the_model() -> None:
    model = lenet()
    index = pickle.loads(pickle.dumps(weight_index(model)))
    before = sparsity_at(index, 0.1)
    with torch.no_grad():
        model.fc1.weight.zero_()
    assert sparsity_at(index, 0.1) == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda index: sparsity_at(index, 0.1, "fc9"), "Unknown layer 'fc9'"),
        (lambda index: threshold_of(index, 1.2), "sparsity is 1.2; it must lie in \\[0, 1\\]"),
        (lambda index: threshold_of(index, float("nan")), "sparsity is nan"),
        (lambda index: histogram(index, 0), "bins is 0"),
        (lambda index: histogram(index, limit=-1.0), "limit is -1.0"),
        (lambda index: score_index({"a": torch.tensor([1.0, float("nan")])}), "Layer 'a' holds NaN"),
        (lambda index: score_index({"a": torch.tensor([1.0, -float("inf")])}), "Layer 'a' holds NaN"),
    ],
)
def test_bad_input_is_one_line(call: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        call(weight_index(lenet()))  # type: ignore[operator]
