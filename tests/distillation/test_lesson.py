"""A lesson: the loss that is trained on, against the same training written as a plain loop."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compression.data.sets import Dataset, load_data
from compression.distillation.features import Watch
from compression.distillation.lesson import lesson, pairing
from compression.distillation.losses import DISTILLATIONS, SCALES
from compression.distillation.stages import stages
from compression.distillation.students import fresh, student_blueprint
from compression.models.zoo import load
from compression.recipe import Distill
from compression.registry import UserError
from compression.training import Step, fit, normalise

TEACHER = load("digits-cnn")


@pytest.fixture
def dataset() -> Dataset:
    return load_data("digits")


def student(stage: Distill, seed: int = 0) -> nn.Module:
    return fresh(student_blueprint(stage, TEACHER.blueprint), seed)


def batch(dataset: Dataset, n: int = 16) -> Step:
    index = torch.arange(n)
    return Step(index, normalise(dataset.train.images[:n], dataset), dataset.train.labels[:n])


def test_the_loss_is_labels_and_teacher_weighed_by_alpha(dataset: Dataset) -> None:
    stage = Distill(student="mlp", hidden=(30,), alpha=0.7, temperature=3)
    model, step = student(stage), batch(dataset)
    logits, loss, parts = lesson(stage, model, TEACHER.model, dataset)(model, step)
    with torch.no_grad():
        theirs = F.softmax(TEACHER.model(step.images_BCHW) / 3, 1)
    soft = F.kl_div(F.log_softmax(logits / 3, 1), theirs, reduction="batchmean") * 9
    hard = F.cross_entropy(logits, step.labels_B)
    torch.testing.assert_close(loss, 0.3 * hard + 0.7 * soft, rtol=2e-3, atol=1e-4)
    torch.testing.assert_close(parts["hard"], hard)
    torch.testing.assert_close(parts["teacher"], soft, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_labels_term_is_told_alike_whatever_it_weighs(alpha: float, dataset: Dataset) -> None:
    stage = Distill(student="mlp", hidden=(30,), alpha=alpha)
    model, step = student(stage), batch(dataset)
    logits, _, parts = lesson(stage, model, TEACHER.model, dataset)(model, step)
    torch.testing.assert_close(parts["hard"], F.cross_entropy(logits, step.labels_B))


def test_alpha_0_is_training_without_a_teacher_number_by_number(dataset: Dataset) -> None:
    stage = Distill(student="mlp", hidden=(30,), alpha=0, method="hint")
    alone, taught = student(stage), student(stage)
    silent = nn.Module()  # whoever asks it anything gets an error
    list(fit(alone, dataset, epochs=2, lr=0.1))
    list(fit(taught, dataset, epochs=2, lr=0.1, objective=lesson(stage, taught, silent, dataset)))
    assert all(torch.equal(a, b) for a, b in zip(alone.parameters(), taught.parameters(), strict=True))


def test_distilling_is_the_plain_loop_that_runs_the_teacher_at_every_step(dataset: Dataset) -> None:
    stage = Distill(student="mlp", hidden=(30,), alpha=1, temperature=4, epochs=2, lr=0.1)
    mine, plain = student(stage), student(stage)
    goal = lesson(stage, mine, TEACHER.model, dataset)
    for _ in fit(mine, dataset, epochs=2, lr=0.1, seed=5, objective=goal):
        pass
    decayed = [p for p in plain.parameters() if p.ndim > 1]
    others = [p for p in plain.parameters() if p.ndim == 1]
    optimiser = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 5e-4}, {"params": others}], lr=0.1, momentum=0.9, nesterov=True
    )
    steps, done = 2 * -(-len(dataset.train) // 128), 0
    generator = torch.Generator().manual_seed(5)
    for _ in range(2):
        for index in torch.split(torch.randperm(len(dataset.train), generator=generator), 128):
            peak = max(1, steps // 5)
            rate = min((done + 1) / peak, (steps - done) / max(1, steps - peak))
            for group in optimiser.param_groups:
                group["lr"] = 0.1 * rate
            x = normalise(dataset.train.images[index], dataset)
            with torch.no_grad():
                theirs = F.softmax(TEACHER.model(x).half().float() / 4, 1)  # as its answers are kept
            loss = 16 * F.kl_div(F.log_softmax(plain(x) / 4, 1), theirs, reduction="batchmean")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
    for a, b in zip(mine.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("method", DISTILLATIONS)
def test_every_method_teaches_a_narrower_twin_and_the_loss_falls(method: str, dataset: Dataset) -> None:
    stage = Distill(student="narrower", width=0.25, method=method, alpha=0.9)
    model = student(stage)
    goal = lesson(stage, model, TEACHER.model, dataset)
    before = {name: p.clone() for name, p in goal.named_parameters()}
    history = list(fit(model, dataset, epochs=3, lr=0.02, objective=goal))
    assert history[-1].parts["teacher"] < history[0].parts["teacher"]
    weighed = 0.1 * history[-1].parts["hard"] + 0.9 * history[-1].parts["teacher"]
    assert history[-1].train_loss == pytest.approx(weighed, rel=1e-5)
    assert bool(before) == ("regressors" in DISTILLATIONS[method].needs)
    assert all(not torch.equal(before[name], p) for name, p in goal.named_parameters() if p.ndim > 1)


@pytest.mark.parametrize("method", DISTILLATIONS)
def test_no_method_drowns_the_labels_or_is_drowned(method: str, dataset: Dataset) -> None:
    # At the start, with a student that knows nothing, the teacher's term is of the labels' order.
    stage = Distill(student="narrower", method=method, alpha=0.5)
    model = student(stage)
    _, _, parts = lesson(stage, model.train(), TEACHER.model, dataset)(model, batch(dataset, 64))
    ratio = float(parts["teacher"].detach() / parts["hard"].detach())
    assert SCALES[method] > 0
    assert 0.02 < ratio < 100


def test_a_person_may_pair_stages_and_features_come_from_those(dataset: Dataset) -> None:
    mine = student(Distill(student="narrower"))
    names = [stage.name for stage in stages(mine, (1, 8, 8))]
    stage = Distill(student="narrower", method="attention", pairs=((names[0], names[1]),), alpha=1)
    pairs = pairing(stage, mine, TEACHER.model, (1, 8, 8))
    assert [(s.name, t.name) for s, t in pairs] == [(names[0], names[1])]
    with Watch(mine, [pairs[0][0]]) as watch:
        mine(batch(dataset).images_BCHW)
        assert watch.features()[0].shape[1:] == pairs[0][0].shape


def test_the_same_seed_draws_the_same_regressors(dataset: Dataset) -> None:
    stage = Distill(student="narrower", method="hint")
    model = student(stage)
    one, same, other = (
        [p.detach().clone() for p in lesson(stage, model, TEACHER.model, dataset, seed).parameters()]
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Distill(student="mlp", hidden=(8,), method="fsp"), r"^Flow between layers \(FSP\) cannot be .* takes two"),
        (Distill(student="mlp", hidden=(8,), method="attention"), "^Attention transfer cannot be .* a map in both"),
        (Distill(student="mlp", hidden=(), method="hint"), r"^Hints \(FitNets\) cannot be .* no stage of the"),
        (Distill(student="narrower", method="hint", pairs=(("a", "b"),)), "^Unknown stage of the student 'a'"),
    ],
)
def test_what_cannot_be_compared_is_found_before_training(stage: Distill, message: str, dataset: Dataset) -> None:
    with pytest.raises(UserError, match=message):
        lesson(stage, student(stage), TEACHER.model, dataset)
