"""The scan against one pruning and one plain pass for every point, and against itself without reuse."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.measure import macs, nonzero, params
from compression.models.transformers import ViT
from compression.pruning import Groups, coupled_groups, prune
from compression.pruning import sensitivity as module
from compression.pruning.costs import units_of
from compression.pruning.sensitivity import SPARSITIES, Reading, layer_costs, probes, scan
from compression.recipe import Prune
from compression.registry import UserError
from tests.pruning.nets import CASES

HALVES = (0.3, 0.7)


def carry(model: nn.Module, shape: tuple[int, ...], groups: Groups, stage: Prune):
    return prune(model, stage, shape, groups=groups)


def case(name: str) -> tuple[nn.Module, tuple[int, ...], Groups]:
    model, shape = CASES[name].model(), CASES[name].input_shape
    return model, shape, coupled_groups(model, shape)


def shown(shape: tuple[int, ...], n: int = 7, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, *shape, generator=generator), torch.arange(n) % classes


def complete(readings: list[Reading], n: int) -> list[Reading]:
    return [reading for reading in readings if reading.n == n]


@pytest.mark.parametrize(
    ("name", "granularity"),
    [("mlp", "weights"), ("mlp", "rows"), ("residual", "weights"), ("residual", "channels"), ("residual", "kernels"),
     ("grouped", "channels"), ("depthwise", "channels"), ("signal", "channels")],
)  # fmt: skip
def test_with_and_without_reuse_the_numbers_are_the_same_to_the_last_bit(
    name: str, granularity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 3)  # several batches
    model, shape, groups = case(name)
    images, labels = shown(shape)
    each = probes(list(units_of(model, granularity, groups)), granularity, sparsities=HALVES)
    carry_out = partial(carry, model, shape, groups)
    fast = list(scan(model, each, carry_out, images, labels))
    assert fast == list(scan(model, each, carry_out, images, labels, reuse=False))
    assert [reading.n for reading in fast] == [n for n in (3, 6, 7) for _ in range(len(fast) // 3)]


@pytest.mark.parametrize(("name", "granularity"), [("residual", "weights"), ("residual", "channels"), ("mlp", "rows")])
def test_every_reading_is_that_of_the_layer_pruned_alone(name: str, granularity: str) -> None:
    model, shape, groups = case(name)
    images, labels = shown(shape)
    layers = list(units_of(model, granularity, groups))
    found = list(scan(model, probes(layers, granularity), partial(carry, model, shape, groups), images, labels))
    assert len(found) == len(layers) * len(SPARSITIES)
    with torch.no_grad():
        whole = model(images)
    for reading in found:
        alone = {layer: 0.0 for layer in layers} | {reading.layer: reading.sparsity}
        stage = Prune(granularity=granularity, scope="layer", sparsity=0.5, overrides=alone, round_to=1)
        pruned = prune(model, stage, shape, groups=groups)
        with torch.no_grad():
            logits = pruned.model(images)
        own = next(report for report in pruned.layers if report.layer == reading.layer)
        assert reading.achieved == own.achieved
        assert reading.accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))
        assert reading.loss == pytest.approx(float(F.cross_entropy(logits.double(), labels)))
        answers, before = logits.double().softmax(1), whole.double().softmax(1)
        assert reading.divergence == pytest.approx(float((before * (before / answers).log()).sum(1).mean()), abs=1e-9)
        assert reading.whole_loss == pytest.approx(float(F.cross_entropy(whole.double(), labels)))
        if granularity == "weights":
            assert reading.params_saved == nonzero(model) - nonzero(pruned.model) and reading.macs_saved == 0
        else:
            assert reading.params_saved == params(model) - params(pruned.model) > 0
            assert reading.macs_saved == macs(model, shape) - macs(pruned.model, shape) > 0


def test_the_model_is_left_as_it_is() -> None:
    model, shape, groups = case("residual")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    images, labels = shown(shape)
    list(
        scan(
            model,
            probes(list(groups.cuttable("channels")), "channels"),
            partial(carry, model, shape, groups),
            images,
            labels,
        )
    )
    assert model.training and all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_little_memory_splits_the_cuts_into_portions_and_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape, groups = case("residual")
    images, labels = shown(shape)
    each = probes(list(groups.cuttable("channels")), "channels", sparsities=HALVES)
    carry_out = partial(carry, model, shape, groups)
    wanted = list(scan(model, each, carry_out, images, labels))
    monkeypatch.setattr(module, "MEMORY", 1)
    found = list(scan(model, each, carry_out, images, labels))
    assert [reading.n for reading in found] == [1, 2, 3, 4, 5, 6, 7] * 8, "one cut and one image at a time"
    for reading, other in zip(complete(found, 7), wanted, strict=True):
        assert reading.accuracy == other.accuracy and reading.loss == pytest.approx(other.loss, rel=1e-5)


def test_heads_and_blocks_of_a_transformer_are_scanned_too() -> None:
    torch.manual_seed(0)
    model = ViT(1, 8, 4, 16, 3, 4, 32, 3).eval()
    groups = coupled_groups(model, (1, 8, 8))
    images, labels = shown((1, 8, 8))
    carry_out = partial(carry, model, (1, 8, 8), groups)
    for granularity, amounts in (("heads", {0.25, 0.5, 0.75}), ("blocks", {1.0})):
        layers = list(groups.cuttable(granularity))
        each = probes(layers, granularity)
        found = list(scan(model, each, carry_out, images, labels))
        assert found == list(scan(model, each, carry_out, images, labels, reuse=False))
        assert {reading.layer for reading in found} == set(layers)
        assert {reading.achieved for reading in found} == amounts
        assert all(reading.macs_saved > 0 for reading in found)


def test_what_a_layer_is_too_small_for_is_left_out() -> None:
    model, shape, groups = case("mlp")
    images, labels = shown(shape)
    carry_out = partial(carry, model, shape, groups)
    found = list(scan(model, probes(["1", "3"], "rows", sparsities=(0.01, 0.5)), carry_out, images, labels))
    assert [(reading.layer, reading.sparsity) for reading in found] == [("1", 0.5), ("3", 0.5)]
    with pytest.raises(UserError, match="Nothing pruned"):
        list(scan(model, probes(["1", "3"], "rows", sparsities=(0.01,)), carry_out, images, labels))


def test_costs_count_coupled_layers_together() -> None:
    model, shape, groups = case("residual")
    costs = {cost.layer: cost for cost in layer_costs(model, "channels", groups)}
    assert list(costs) == ["stem", "a1", "b1", "b2"]
    # stem 1→8 and a2 8→8, both 3×3 without biases, on 8×8 pixels
    assert costs["stem"].params == 8 * 9 + 8 * 8 * 9
    assert costs["stem"].macs == (8 * 9 + 8 * 8 * 9) * 64
    assert costs["stem"].units == 8
    # b2 16→16, 3×3, and the shortcut 8→16, 1×1, on 4×4 pixels
    assert costs["b2"].macs == (16 * 16 * 9 + 8 * 16) * 16
    head = {cost.layer: cost for cost in layer_costs(model, "weights", groups)}["head"]
    assert (head.units, head.params, head.macs) == (64, 68, 64)


def test_bad_input_is_one_line() -> None:
    model, shape, groups = case("mlp")
    carry_out = partial(carry, model, shape, groups)
    with pytest.raises(UserError, match="layers or sparsities is empty"):
        probes([])
    with pytest.raises(UserError, match=r"sparsity is 1; it must lie in \(0, 1\)"):
        probes(["1"], sparsities=(1.0,))
    with pytest.raises(UserError, match="granularity"):
        probes(["1"], "colours")
    with pytest.raises(UserError, match="at least one image"):
        list(scan(model, probes(["1"]), carry_out, torch.zeros(0, *shape), torch.zeros(0, dtype=torch.int64)))
    with pytest.raises(UserError, match="Unknown layer in overrides 'nine'"):
        list(scan(model, probes(["1", "3", "5", "nine"]), carry_out, *shown(shape)))
