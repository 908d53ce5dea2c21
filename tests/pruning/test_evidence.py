from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compression.pruning import CRITERIA, Evidence, coupled_groups, kind_of, observe, prune
from compression.pruning.evidence import look
from compression.pruning.looks import LOOKS
from compression.pruning.masks import weight_masks, weight_scores
from compression.pruning.units import unit_scores
from compression.recipe import Prune
from compression.registry import UserError
from tests.pruning.nets import CASES, Grouped, Joined
from tests.pruning.shown import drawn, noise, seen

SEEING = [key for key in CRITERIA if kind_of(key)]
NETS = {"residual": (1, 8, 8), "lenet_channels": (1, 12, 12)}


def loop_gradients(model: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Tensor]]:
    """The gradients of each image's loss by backward(), in double precision."""
    twin, each = copy.deepcopy(model).double(), []
    for image, label in zip(images.double(), labels, strict=True):
        twin.zero_grad()
        F.cross_entropy(twin(image[None]), label[None]).backward()
        each.append({name: p.grad.clone() for name, p in twin.named_parameters()})
    return each


def same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(("kind", "power"), [("gradients", 1), ("squared gradients", 2)])
def test_gradients_are_the_mean_over_a_loop_of_single_images(net: str, kind: str, power: int) -> None:
    model = CASES[net].model()
    dataset = noise(model, NETS[net])
    each = loop_gradients(model, *drawn(dataset, 13))
    found = look(model, dataset, kind, images=13)
    assert found.kind == kind and found.images == 13
    assert found.tensors.keys() == dict(model.named_parameters()).keys()
    for name, tensor in found.tensors.items():
        same(tensor, torch.stack([gradients[name] ** power for gradients in each]).mean(0))


def test_movement_is_what_plain_sgd_accumulates() -> None:
    model = CASES["residual"].model()
    dataset = noise(model, (1, 8, 8))
    images, labels = drawn(dataset, 40)
    twin, sums = copy.deepcopy(model), {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    optimiser = torch.optim.SGD(twin.parameters(), lr=0.01)
    for _ in range(4):
        for few in (slice(0, 32), slice(32, 40)):
            optimiser.zero_grad()
            F.cross_entropy(twin(images[few]), labels[few]).backward()
            for name, p in twin.named_parameters():
                sums[name] -= p.detach() * p.grad
            optimiser.step()
    for name, tensor in seen(model, (1, 8, 8), "movement").tensors.items():
        torch.testing.assert_close(tensor, sums[name], rtol=1e-3, atol=1e-6)


def test_movement_leaves_at_zero_what_is_zero() -> None:
    model = CASES["mlp"].model()
    with torch.no_grad():
        model[1].weight[:, :6] = 0
    assert not seen(model, (3, 2, 2), "movement").tensors["1.weight"][:, :6].any()


def test_inputs_are_the_root_mean_square_of_what_each_weight_reads() -> None:
    model = CASES["lenet_channels"].model()
    images, _ = drawn(dataset := noise(model, (1, 12, 12)), 20)
    with torch.no_grad():
        second = F.max_pool2d(F.relu(model.conv1(images)), 2)
        third = F.relu(model.conv2(second)).flatten(1)
    found = observe(model, dataset, "wanda", images=20).tensors
    for j in range(6):
        wanted = np.sqrt((second[:, j].numpy().astype(float) ** 2).mean())
        np.testing.assert_allclose(found["conv2.weight"][:, j], wanted, rtol=1e-5)
    for j in (0, 30, 71):
        wanted = np.linalg.norm(third[:, j].numpy().astype(float)) / np.sqrt(20)
        np.testing.assert_allclose(found["fc1.weight"][:, j], wanted, rtol=1e-5)


def test_the_blocks_of_a_grouped_convolution_read_their_own_channels() -> None:
    torch.manual_seed(0)
    model = Grouped().eval()
    images, _ = drawn(dataset := noise(model, (2, 6, 6)), 40)
    with torch.no_grad():
        read = F.relu(model.first(images)).numpy()
    found = observe(model, dataset, "wanda").tensors["blocks.weight"]
    for out in range(12):
        for into in range(4):
            channel = into + 4 * (out // 6)
            wanted = np.sqrt((read[:, channel].astype(float) ** 2).mean())
            np.testing.assert_allclose(found[out, into], np.full((3, 3), wanted), rtol=1e-5)


def test_activations_are_counted_after_every_relu_that_a_layer_reaches() -> None:
    model = CASES["residual"].model()
    images, _ = drawn(dataset := noise(model, (1, 8, 8)), 40)
    with torch.no_grad():
        first = F.relu(model.bn(model.stem(images)))
        inner = F.relu(model.an1(model.a1(first)))
        second = F.relu(first + model.an2(model.a2(inner)))
        deep = F.relu(model.bn1(model.b1(second)))
        last = F.relu(model.shortn(model.short(second)) + model.bn2(model.b2(deep)))

    def share(*values: Tensor) -> list[float]:
        return [np.mean([float((v[:, c] > 0).float().mean()) for v in values]) for c in range(values[0].shape[1])]

    wanted = {"stem": share(first, second), "a1": share(inner), "a2": share(second)}
    wanted |= {"b1": share(deep), "b2": share(last), "short": share(last)}
    found = observe(model, dataset, "apoz").tensors
    assert set(found) == {f"{name}.weight" for name in wanted}
    for name, shares in wanted.items():
        np.testing.assert_allclose(found[f"{name}.weight"][:, 0, 0, 0], shares, rtol=1e-6)


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()])
def test_it_does_not_matter_how_the_activation_is_written(relu: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), relu, nn.Flatten(), nn.Linear(144, 3)).eval()
    images, _ = drawn(dataset := noise(model, (1, 8, 8)), 40)
    with torch.no_grad():
        wanted = (model[1](model[0](images)) > 0).float().mean((0, 2, 3))
    torch.testing.assert_close(observe(model, dataset, "apoz").tensors["0.weight"][:, 0, 0, 0], wanted)


@pytest.mark.parametrize("kind", LOOKS)
@pytest.mark.parametrize("net", NETS)
def test_the_batch_size_changes_nothing(net: str, kind: str) -> None:
    model = CASES[net].model()
    dataset = noise(model, NETS[net])
    whole = look(model, dataset, kind, batch_size=40).tensors
    for size in (1, 7):
        parts = look(model, dataset, kind, batch_size=size).tensors
        assert parts.keys() == whole.keys()
        for name, tensor in parts.items():
            torch.testing.assert_close(tensor, whole[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", LOOKS)
def test_the_model_stays_as_it_was(kind: str) -> None:
    model = CASES["residual"].model().train()
    model.an1.eval()
    model.b1.requires_grad_(False)
    model.stem.weight.grad = torch.ones_like(model.stem.weight)
    before = copy.deepcopy(model)
    look(model, noise(CASES["residual"].model(), (1, 8, 8)), kind)
    for (name, old), new in zip(before.named_modules(), model.modules(), strict=True):
        assert old.training == new.training, name
        assert not new._forward_hooks and not new._forward_pre_hooks
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name != "b1.weight")
        assert (parameter.grad is None) == (name != "stem.weight")
    assert torch.equal(model.stem.weight.grad, torch.ones_like(model.stem.weight))
    for old_t, new_t in zip(before.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(old_t, new_t)


@pytest.mark.parametrize("kind", LOOKS)
def test_it_looks_in_eval_mode_without_changing_what_training_would_see(kind: str) -> None:
    model = CASES["residual"].model()
    dataset = noise(model, (1, 8, 8))
    still, moving = look(model, dataset, kind), look(model.train(), dataset, kind)
    assert all(torch.equal(still.tensors[name], tensor) for name, tensor in moving.tensors.items())


def test_under_no_grad_and_inference_mode_gradients_are_seen_all_the_same() -> None:
    model = CASES["mlp"].model()
    dataset = noise(model, (3, 2, 2))
    wanted = observe(model, dataset, "snip").tensors["1.weight"]
    with torch.inference_mode():
        assert torch.equal(observe(model, dataset, "snip").tensors["1.weight"], wanted)
        assert torch.equal(observe(copy.deepcopy(model), dataset, "snip").tensors["1.weight"], wanted)


def test_seed_and_number_say_which_images() -> None:
    model = CASES["mlp"].model()
    dataset = noise(model, (3, 2, 2))
    one = observe(model, dataset, "taylor", images=8, seed=1)
    assert torch.equal(one.tensors["1.weight"], observe(model, dataset, "snip", images=8, seed=1).tensors["1.weight"])
    assert not torch.equal(one.tensors["1.weight"], observe(model, dataset, "taylor", 8, seed=2).tensors["1.weight"])
    assert observe(model, dataset, "taylor", images=512).images == 40
    nothing = observe(model, dataset, "magnitude")
    assert not nothing.tensors and nothing.images == 0


@pytest.mark.parametrize("criterion", SEEING)
def test_without_evidence_of_its_kind_a_criterion_says_what_to_give(criterion: str) -> None:
    model = CASES["lenet_channels"].model()
    granularity = "channels" if criterion == "apoz" else "weights"
    stage = Prune.model_validate({"granularity": granularity, "criterion": criterion, "sparsity": 0.5})
    another = "wanda" if criterion != "wanda" else "fisher"
    for evidence in (None, Evidence(), seen(model, (1, 12, 12), another)):
        with pytest.raises(UserError, match=f"'{criterion}' looks at training images .* give evidence=obs") as fault:
            prune(model, stage, (1, 12, 12), evidence=evidence)
        assert "\n" not in str(fault.value)


def test_evidence_of_another_model_is_told() -> None:
    evidence = seen(CASES["lenet_channels"].model(), (1, 12, 12), "snip")
    stage = Prune(criterion="snip", sparsity=0.5)
    with pytest.raises(UserError, match="The evidence is of another model: 'stem.weight'"):
        prune(CASES["residual"].model(), stage, (1, 8, 8), evidence=evidence)


def test_units_without_an_activation_that_makes_zeros_are_named() -> None:
    model = CASES["depthwise"].model()
    groups = coupled_groups(model, (2, 6, 6))
    evidence = seen(model, (2, 6, 6), "apoz")
    with pytest.raises(UserError, match="'apoz' cannot rank layer 'project': no activation that makes zeros"):
        unit_scores(model, groups.cuttable("channels")["project"], "apoz", evidence=evidence)


def test_layers_side_by_side_are_not_counted_as_one() -> None:
    torch.manual_seed(0)
    model = Joined().eval()
    assert set(seen(model, (2, 6, 6), "apoz").tensors) == {"after.weight"}


def test_a_layer_that_is_not_called_by_itself_is_named() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(12, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(F.linear(x.flatten(1), self.first.weight))

    torch.manual_seed(0)
    model = Functional().eval()
    stage = Prune(criterion="wanda", sparsity=0.5)
    with pytest.raises(UserError, match="'wanda' cannot rank layer 'first': what it reads is unknown"):
        prune(model, stage, (3, 2, 2), evidence=seen(model, (3, 2, 2), "wanda"))


def test_what_is_not_finite_is_one_line() -> None:
    model = CASES["mlp"].model()
    with torch.no_grad():
        model[1].weight.mul_(1e38)
    with pytest.raises(UserError, match="40 training images show of .* is NaN or infinite"):
        seen(model, (3, 2, 2), "fisher")


@pytest.mark.parametrize("unit", [0, 3, 11])
def test_taylor_predicts_what_shrinking_a_coupled_unit_does_to_the_loss(unit: int) -> None:
    # All that goes with the unit times (1 - e): the loss falls by e · sum of parameter times gradient.
    model = CASES["residual"].model()
    dataset = noise(model, (1, 8, 8))
    images, labels = drawn(dataset, 40)
    group = coupled_groups(model, (1, 8, 8)).cuttable("channels")["b2"]
    scores = unit_scores(model, group, "taylor", evidence=observe(model, dataset, "taylor"))

    def loss(scale: float) -> float:
        twin = copy.deepcopy(model).double()
        with torch.no_grad():
            for name in ("b2", "bn2", "short", "shortn"):
                for parameter in twin.get_submodule(name).parameters():
                    parameter[unit] *= scale
            return float(F.cross_entropy(twin(images.double()), labels))

    slope = (loss(1 + 1e-4) - loss(1 - 1e-4)) / 2e-4
    assert scores[unit].item() == pytest.approx(abs(slope), rel=1e-3)


def test_a_unit_counts_all_its_parameters_once() -> None:
    model = CASES["residual"].model()
    dataset = noise(model, (1, 8, 8))
    each = loop_gradients(model, *drawn(dataset, 40))
    group = coupled_groups(model, (1, 8, 8)).cuttable("channels")["b2"]
    names = ("b2.weight", "bn2.weight", "bn2.bias", "short.weight", "shortn.weight", "shortn.bias")
    held = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    for unit in (0, 15):
        products = {n: held[n][unit] * torch.stack([g[n][unit] for g in each]).mean(0) for n in names}
        squares = {n: held[n][unit] ** 2 * torch.stack([g[n][unit] ** 2 for g in each]).mean(0) for n in names}
        wanted = {
            "snip": sum(float(p.abs().sum()) for p in products.values()),
            "taylor": abs(sum(float(p.sum()) for p in products.values())),
            "fisher": sum(float(s.sum()) for s in squares.values()) / 2,
        }
        for criterion, value in wanted.items():
            evidence = observe(model, dataset, criterion)
            assert unit_scores(model, group, criterion, evidence=evidence)[unit].item() == pytest.approx(
                value, rel=1e-4
            )


def test_single_weights_rank_alike_by_snip_and_taylor() -> None:
    model = CASES["lenet_channels"].model()
    evidence = seen(model, (1, 12, 12), "snip")
    by = [weight_scores(model, Prune(criterion=key, sparsity=0.5), evidence=evidence) for key in ("snip", "taylor")]
    assert all(torch.equal(by[0][name], by[1][name]) for name in by[0])


def test_wanda_keeps_the_strongest_of_every_four_inputs() -> None:
    model = CASES["mlp"].model()
    evidence = seen(model, (3, 2, 2), "wanda")
    mask = weight_masks(model, Prune(granularity="2:4", criterion="wanda"), evidence=evidence)["1"]
    score = (model[1].weight.detach().abs() * evidence.tensors["1.weight"]).numpy()
    for out in range(10):
        for first in range(0, 12, 4):
            highest = first + np.argsort(score[out, first : first + 4])[2:]
            assert sorted(highest) == (first + mask[out, first : first + 4].numpy().nonzero()[0]).tolist()


def test_a_pattern_takes_scores_below_zero() -> None:
    model = CASES["mlp"].model()
    evidence = seen(model, (3, 2, 2), "movement")
    for name, mask in weight_masks(model, Prune(granularity="2:4", criterion="movement"), evidence=evidence).items():
        scores = evidence.tensors[f"{name}.weight"]
        for row, keep in zip(scores.numpy(), mask.numpy(), strict=True):
            for first in range(0, len(row), 4):
                four, stays = row[first : first + 4], keep[first : first + 4]
                assert sorted(four[stays]) == sorted(four)[-2:]


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("criterion", [key for key in SEEING if key != "apoz"])
def test_higher_sparsity_drops_the_same_weights_and_more(criterion: str, scope: str) -> None:
    model = CASES["lenet_channels"].model()
    evidence = seen(model, (1, 12, 12), criterion)

    def masks(sparsity: float) -> dict[str, Tensor]:
        stage = Prune.model_validate({"criterion": criterion, "sparsity": sparsity, "scope": scope})
        return weight_masks(model, stage, evidence=evidence)

    less, more = masks(0.3), masks(0.7)
    assert all(not (more[name] & ~less[name]).any() for name in less)


@pytest.mark.parametrize("criterion", [key for key in SEEING if key != "apoz"])
def test_what_is_pruned_falls_first_when_pruned_again(criterion: str) -> None:
    model, shape = CASES["lenet_channels"].model(), (1, 12, 12)
    once = prune(model, Prune(sparsity=0.4), shape)
    stage = Prune.model_validate({"criterion": criterion, "sparsity": 0.6})
    twice = prune(once.model, stage, shape, evidence=seen(once.model, shape, criterion))
    assert twice.achieved == pytest.approx(0.6, abs=1e-3)
    for name, mask in once.masks.items():
        assert not (twice.masks[name] & ~mask).any()


def test_a_unit_that_never_wakes_falls_first_by_apoz() -> None:
    model, shape = CASES["lenet_channels"].model(), (1, 12, 12)
    with torch.no_grad():
        model.conv2.weight[5], model.conv2.bias[5] = 0, -1
    stage = Prune(granularity="channels", criterion="apoz", scope="layer", sparsity=0.13, round_to=1)
    pruned = prune(model, stage, shape, evidence=seen(model, shape, "apoz"))
    assert (~pruned.kept["conv2"]).nonzero()[0].tolist() == [5]
