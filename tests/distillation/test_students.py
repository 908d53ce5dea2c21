"""Students: what each is built of, and the same fresh weights for the same seed."""

from __future__ import annotations

import pytest
import torch

from compression.distillation.students import STUDENTS, fresh, student_blueprint, widths
from compression.models.files import Blueprint
from compression.models.zoo import SAMPLES, load
from compression.recipe import Distill
from compression.registry import UserError


def blueprint(name: str) -> Blueprint:
    sample = SAMPLES[name]
    return Blueprint(sample.architecture, sample.config, sample.input_shape)


@pytest.mark.parametrize(
    ("model", "stage", "config"),
    [
        ("digits-mlp", Distill(student="narrower", width=0.25), {"hidden": [32, 16]}),
        ("mnist-lenet-5", Distill(student="narrower", width=0.1), {"filters": [2, 5], "hidden": 50}),
        ("cifar10-resnet20", Distill(student="narrower"), {"widths": [8, 16, 32], "blocks": 3}),
        ("cifar10-resnet20", Distill(student="narrower", width=1e-3), {"widths": [1, 1, 1]}),
        ("digits-vit", Distill(student="narrower"), {"heads": 2, "dim": 24, "hidden": 48, "blocks": 4}),
        ("digits-vit", Distill(student="shallower"), {"heads": 4, "dim": 48, "blocks": 2}),
        ("digits-mlp", Distill(student="shallower"), {"hidden": [128]}),
        ("cifar10-resnet20", Distill(student="shallower"), {"widths": [16, 32, 64], "blocks": 2}),
        ("digits-cnn", Distill(student="shallower"), {"widths": [32], "blocks": 1}),
        ("cifar10-resnet20", Distill(student="mlp", hidden=(30,)), {"inputs": 3072, "hidden": [30], "classes": 10}),
        ("resnet50-random", Distill(student="mlp", hidden=()), {"inputs": 3072, "hidden": [], "classes": 10}),
        ("digits-cnn", Distill(student="same"), SAMPLES["digits-cnn"].config),
        ("digits-cnn", Distill(student="digits-mlp"), SAMPLES["digits-mlp"].config),
    ],
)
def test_a_student_is_what_its_stage_says_and_takes_the_teachers_images(
    model: str, stage: Distill, config: dict[str, object]
) -> None:
    present = blueprint(model)
    found = student_blueprint(stage, present)
    assert {key: found.config[key] for key in config} == config
    assert found.input_shape == present.input_shape
    assert found.build().eval()(torch.zeros(2, *present.input_shape)).shape == (2, 10)
    assert present == blueprint(model)  # the teacher's own is left as it was


def test_fresh_weights_follow_from_the_seed_and_change_nobody_elses_draws() -> None:
    present = load("digits-mlp").blueprint
    state = torch.random.get_rng_state()
    one, same, other = (fresh(present, seed).state_dict()["layers.0.weight"] for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(3)
    assert torch.equal(one, present.build().state_dict()["layers.0.weight"])


@pytest.mark.parametrize(
    ("model", "student", "message"),
    [
        (
            "digits-cnn",
            "narower",
            r"^Unknown student 'narower' \(did you mean 'narrower'\?\); choose one of: same, narr",
        ),
        ("digits-cnn", "mnist-lenet-5", "^Student 'mnist-lenet-5' takes 1×28×28 images, but the teacher's are 1×8×8$"),
        ("resnet50-random", "narrower", "^Architecture 'torchvision' cannot be made narrower .* mlp, lenet5, resnet"),
        ("mnist-lenet-5", "shallower", "^Architecture 'lenet5' cannot be made shallower .*choose student mlp"),
    ],
)
def test_a_student_that_cannot_be_is_one_line(model: str, student: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        student_blueprint(Distill(student=student), blueprint(model))
    assert "\n" not in str(caught.value)


def test_a_student_too_large_for_memory_is_refused_before_it_is_built() -> None:
    stage = Distill(student="mlp", hidden=(65536, 65536))
    with pytest.raises(UserError, match=r"^The student would have 4,299,\d{3},\d{3} parameters; at most 50,000,000"):
        fresh(student_blueprint(stage, blueprint("digits-cnn")), 0)


@pytest.mark.parametrize("key", STUDENTS)
def test_every_student_has_its_card(key: str) -> None:
    card = STUDENTS[key]
    assert card.key == key
    assert all((card.label, card.sentence, card.formula, "arXiv" in card.paper))


def test_widths_and_parameters_are_counted_without_building_the_network() -> None:
    stage = Distill(student="mlp", hidden=(32,))
    made, params = widths(student_blueprint(stage, blueprint("digits-cnn")))
    assert list(made.values()) == [32, 10]
    assert params == (64 + 1) * 32 + (32 + 1) * 10
    assert widths(blueprint("digits-cnn"))[0] == {"stem": 32, "blocks.0.conv1": 32, "blocks.0.conv2": 32,
        "blocks.1.conv1": 64, "blocks.1.conv2": 64, "blocks.1.shortcut.0": 64, "head": 10}  # fmt: skip
