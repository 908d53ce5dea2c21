"""Bias correction against means taken by hand."""

from __future__ import annotations

import copy

import torch

from compression.pruning.recovery import correct_biases
from compression.recipe import Prune
from compression.subject import load_subject, prune_subject
from compression.training import normalise


def mean_outputs(model: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    means, x = [], x.flatten(1)
    for i, layer in enumerate(model.layers):
        x = layer(x if i == 0 else x.relu())
        means.append(x.mean(0))
    return means


def test_every_unit_has_the_mean_output_that_it_had_before() -> None:
    subject = load_subject("digits-mlp")
    model = prune_subject(subject, Prune(sparsity=0.9)).model
    x = normalise(subject.dataset.train.images, subject.dataset)
    wanted = mean_outputs(subject.model, x)
    assert (mean_outputs(model, x)[1] - wanted[1]).abs().max() > 0.1
    assert correct_biases(model, subject.model, subject.dataset, {}, images=10_000)
    for found, mean in zip(mean_outputs(model, x), wanted, strict=True):
        torch.testing.assert_close(found, mean, atol=1e-4, rtol=1e-4)


def test_units_that_are_left_after_a_cut_are_compared_with_themselves() -> None:
    subject = load_subject("digits-mlp")
    pruned = prune_subject(subject, Prune(granularity="rows", scope="layer", sparsity=0.5))
    x = normalise(subject.dataset.train.images, subject.dataset)
    before = copy.deepcopy(subject.model.state_dict())
    correct_biases(pruned.model, subject.model, subject.dataset, pruned.kept, images=10_000)
    wanted = mean_outputs(subject.model, x)
    for name, found, mean in zip(("layers.0", "layers.1"), mean_outputs(pruned.model, x), wanted, strict=False):
        torch.testing.assert_close(found, mean[torch.from_numpy(pruned.kept[name])], atol=1e-4, rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in subject.model.state_dict().items())


def test_a_model_without_linear_biases_says_so() -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10, bias=False))
    assert not correct_biases(model, model, load_subject("digits-mlp").dataset, {})


def test_heads_that_are_left_are_compared_with_themselves() -> None:
    subject = load_subject("digits-vit")
    pruned = prune_subject(subject, Prune(granularity="heads", scope="layer", sparsity=0.5))
    assert correct_biases(pruned.model, subject.model, subject.dataset, pruned.kept, images=64)
    x = normalise(subject.dataset.train.images[torch.randperm(1078, generator=torch.Generator().manual_seed(0))[:64]],
                  subject.dataset)  # fmt: skip
    seen = {}
    for name, model in (("before", subject.model), ("after", pruned.model)):
        layer = model.get_submodule("blocks.0.attention.qkv")
        hook = layer.register_forward_hook(lambda m, given, out, name=name: seen.update({name: out.mean((0, 1))}))
        with torch.no_grad():
            model(x)
        hook.remove()
    heads = pruned.kept["blocks.0.attention.qkv"]
    rows = torch.arange(144).view(3, 4, 12)[:, torch.from_numpy(heads)].flatten()
    torch.testing.assert_close(seen["after"], seen["before"][rows], atol=1e-4, rtol=1e-4)
