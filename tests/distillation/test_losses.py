"""Every loss against a loop written from its paper's formula, and what must hold of all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import get_args

import pytest
import torch
from torch import Tensor

from compression.data.sets import load_data
from compression.distillation.features import Regressors, Watch, match, usable
from compression.distillation.losses import DISTILLATIONS, SCALES
from compression.distillation.stages import stages
from compression.distillation.views import View
from compression.models.architectures import ResNet
from compression.models.zoo import load_model
from compression.recipe import Distillation
from compression.registry import UserError
from compression.training import normalise
from tests.distillation import oracles

LABELS = torch.tensor(oracles.LABELS)
BY_LOGITS = [key for key, card in DISTILLATIONS.items() if "features" not in card.needs]
BY_FEATURES = [key for key in DISTILLATIONS if key not in BY_LOGITS]
WITH_TEMPERATURE = ["soft_targets", "dkd", "standardised", "dist"]


def view(seed: int, batch: int = 5, shapes: tuple[tuple[int, ...], ...] = oracles.SHAPES) -> View:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, 4, generator=generator)
    return View(logits, tuple(torch.randn(batch, *shape, generator=generator) for shape in shapes))


def loss(key: str, student: View, teacher: View, temperature: float = 3.0) -> Tensor:
    result = DISTILLATIONS[key].call(student, teacher, LABELS[: len(student.logits)], temperature)
    assert isinstance(result, Tensor) and result.shape == ()
    return result


def tracked(shown: View) -> View:
    return View(
        shown.logits.clone().requires_grad_(), tuple(values.clone().requires_grad_() for values in shown.features)
    )


def gradients(key: str, student: View, teacher: View, temperature: float = 3.0) -> list[Tensor]:
    student = tracked(student)
    inputs = [student.logits, *student.features]
    found = torch.autograd.grad(loss(key, student, teacher, temperature), inputs, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


# The papers' formulas


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("key", BY_LOGITS)
def test_a_loss_of_logits_equals_its_papers_formula(key: str, temperature: float) -> None:
    student, teacher = view(0), view(1)
    expected = oracles.BY_LOGITS[key](student.logits.double().numpy(), teacher.logits.double().numpy(), temperature)
    assert float(loss(key, student, teacher, temperature)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("key", BY_FEATURES)
def test_a_loss_of_features_equals_its_papers_formula(key: str) -> None:
    student, teacher = view(0), view(1)
    expected = oracles.BY_FEATURES[key](*([f.double().numpy() for f in v.features] for v in (student, teacher)))
    assert float(loss(key, student, teacher)) == pytest.approx(expected, rel=1e-5)


# What holds of all


@pytest.mark.parametrize("key", DISTILLATIONS)
def test_every_card_is_complete_and_has_a_scale(key: str) -> None:
    card = DISTILLATIONS[key]
    assert card.key == key and card.label and card.formula and "$" not in card.formula
    assert card.sentence.endswith(".") and any(year in card.paper for year in ("201", "202"))
    assert set(card.needs) <= {"temperature", "features", "regressors", "maps", "two stages"}
    assert ("temperature" in card.needs) == (key in WITH_TEMPERATURE)
    assert not set(card.needs) - {"temperature"} or card.needs[0] == "features"
    assert SCALES[key] > 0


def test_recipes_and_scales_know_the_same_methods_in_the_same_order() -> None:
    assert tuple(DISTILLATIONS) == get_args(Distillation) == tuple(SCALES)


@pytest.mark.parametrize("key", DISTILLATIONS)
def test_a_student_that_shows_what_the_teacher_shows_loses_nothing_and_stays(key: str) -> None:
    shown = view(0)
    assert float(loss(key, shown, shown)) == pytest.approx(0, abs=1e-9)
    for gradient in gradients(key, shown, shown):
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("key", DISTILLATIONS)
def test_a_loss_is_positive_else_and_a_step_down_its_gradient_lowers_it(key: str) -> None:
    student, teacher = tracked(view(0)), view(1)
    before = loss(key, student, teacher)
    before.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for values in (student.logits, *student.features):
            if values.grad is not None:
                values -= 0.01 * values.grad / values.grad.norm()
    assert 0 < loss(key, student, teacher).item() < before.item()


@pytest.mark.parametrize("key", DISTILLATIONS)
def test_gradients_equal_finite_differences(key: str) -> None:
    def of(*shown: Tensor) -> Tensor:
        return loss(key, View(shown[0], tuple(shown[1:])), teacher)

    student, teacher = (View(v.logits.double(), tuple(f.double() for f in v.features)) for v in (view(0), view(1)))
    inputs = tuple(values.requires_grad_() for values in (student.logits, *student.features))
    assert torch.autograd.gradcheck(of, inputs)


@pytest.mark.parametrize("key", DISTILLATIONS)
def test_the_teacher_may_be_half_precision_and_gets_no_gradient(key: str) -> None:
    student, teacher = view(0), view(1)
    half = tracked(View(teacher.logits.half(), tuple(values.half() for values in teacher.features)))
    rounded = View(half.logits.detach().float(), tuple(values.detach().float() for values in half.features))
    trained = tracked(student)
    found = loss(key, trained, half)
    assert found.dtype == torch.float32 and found.item() == loss(key, student, rounded).item()
    found.backward()  # type: ignore[no-untyped-call]
    assert all(values.grad is None for values in (half.logits, *half.features))


def constant(batch: int) -> View:
    return View(torch.full((batch, 4), 0.1), tuple(torch.full_like(f, 0.1) for f in view(0, batch).features))


def silent(batch: int) -> View:
    return View(torch.zeros(batch, 4), tuple(torch.zeros_like(f) for f in view(0, batch).features))


def huge(batch: int) -> View:
    return View(1e4 * view(2, batch).logits, tuple(1e4 * values for values in view(2, batch).features))


def twins(batch: int) -> View:
    """Every image looks the same, but not every class, channel or place."""
    shown = view(3, batch)
    return View(shown.logits[:1].repeat(batch, 1), tuple(f[:1].expand_as(f).contiguous() for f in shown.features))


def plain(batch: int) -> View:
    return view(0, batch)


@pytest.mark.parametrize("of_student", [plain, constant, silent, huge, twins], ids=lambda make: make.__name__)
@pytest.mark.parametrize("key", DISTILLATIONS)
def test_loss_and_gradients_stay_finite(key: str, of_student: Callable[[int], View]) -> None:
    for of_teacher, batch, temperature in itertools.product(
        (partial(view, 1), plain, constant, silent, huge, twins), (1, 2, 5), (1.0, 20.0)
    ):
        student, teacher = of_student(batch), of_teacher(batch)
        assert torch.isfinite(loss(key, student, teacher, temperature))
        found = gradients(key, student, teacher, temperature)
        assert found and all(torch.isfinite(gradient).all() for gradient in found)


@pytest.mark.parametrize("key", ["standardised", "dist", "attention", "rkd_distance", "rkd_angle", "similarity"])
@pytest.mark.parametrize("of_student", [constant, silent, twins], ids=lambda make: make.__name__)
def test_where_a_length_is_zero_no_gradient_explodes(key: str, of_student: Callable[[int], View]) -> None:
    # Divided by the length of rounding errors, a gradient would be of order 1e6 and more.
    for gradient in gradients(key, of_student(5), view(1)):
        assert gradient.abs().max() < 100


@pytest.mark.parametrize("key", ["standardised", "dist"])
def test_equal_logits_whose_mean_is_rounded_are_constant_all_the_same(key: str) -> None:
    values = torch.linspace(0.1, 1e4, 20)[:, None].expand(20, 10)
    assert (values.mean(1, keepdim=True) != values).any()
    student = tracked(View(values))
    teacher = View(torch.randn(20, 10, generator=torch.Generator().manual_seed(0)))
    DISTILLATIONS[key].call(student, teacher, torch.zeros(20, dtype=torch.int64), 1.0).backward()
    assert student.logits.grad is not None and student.logits.grad.abs().max() < 1


@pytest.mark.parametrize("key", ["rkd_distance", "rkd_angle", "similarity"])
def test_one_image_has_no_relations(key: str) -> None:
    assert float(loss(key, view(0, 1), view(1, 1))) == 0


@pytest.mark.parametrize("key", ["rkd_distance", "rkd_angle"])
def test_two_images_have_one_relative_distance_and_no_angle(key: str) -> None:
    assert float(loss(key, view(0, 2), view(1, 2))) == 0


# Temperature


def test_soft_targets_become_logit_matching_as_the_temperature_grows() -> None:
    """Hinton et al. 2015, equation 4: with T² the gradient tends to (z - v) / K of logits with mean zero."""
    student, teacher = view(0), view(1)
    centred = [View((v.logits - v.logits.mean(1, keepdim=True)).double()) for v in (student, teacher)]
    difference = (centred[0].logits - centred[1].logits) / 4 / len(LABELS)
    errors = []
    for temperature in (10.0, 100.0, 1000.0):
        (gradient,) = gradients("soft_targets", *centred, temperature=temperature)
        errors.append(float((gradient - difference).norm() / difference.norm()))
    assert errors[2] < 2e-3 and errors[1] == pytest.approx(10 * errors[2], rel=0.1)
    assert errors[0] > errors[1]
    matched = float(loss("logits", *centred))
    assert float(loss("soft_targets", *centred, temperature=1000.0)) == pytest.approx(matched, rel=2e-3)
    torch.testing.assert_close(gradients("logits", *centred)[0], difference)


@pytest.mark.parametrize("key", [key for key in DISTILLATIONS if key not in WITH_TEMPERATURE])
def test_other_methods_do_not_see_the_temperature(key: str) -> None:
    assert float(loss(key, view(0), view(1), 1.0)) == float(loss(key, view(0), view(1), 20.0))


@pytest.mark.parametrize("key", ["soft_targets", "dkd", "standardised", "dist"])
def test_the_gradient_keeps_its_size_as_the_temperature_grows(key: str) -> None:
    sizes = [float(gradients(key, view(0), view(1), T)[0].norm()) for T in (10.0, 40.0)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.25)


def test_born_again_is_soft_targets_at_one() -> None:
    assert float(loss("born_again", view(0), view(1), 20.0)) == float(loss("soft_targets", view(0), view(1), 1.0))


def test_decoupled_with_the_teachers_doubt_as_its_weight_is_soft_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zhao et al. 2022, equation 6: KL = TCKD + (1 - p_true) NCKD, here for one image."""
    student, teacher = view(0, 1), view(1, 1)
    doubt = 1 - float(teacher.logits.softmax(1)[0, LABELS[0]])
    monkeypatch.setattr("compression.distillation.by_logits.DKD_BETA", doubt)
    assert float(loss("dkd", student, teacher, 1.0)) == pytest.approx(float(loss("soft_targets", student, teacher, 1)))


@pytest.mark.parametrize("key", WITH_TEMPERATURE)
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_none_is_refused(key: str, temperature: float) -> None:
    with pytest.raises(UserError, match=r"^temperature is "):
        loss(key, view(0), view(1), temperature)


# What leaves a loss as it is


@pytest.mark.parametrize("moved", ["student", "teacher"])
def test_standardised_logits_do_not_see_scale_and_shift(moved: str) -> None:
    views = {"student": view(0), "teacher": view(1)}
    before = float(loss("standardised", **views))
    scale, shift = torch.tensor([[0.1], [2], [50], [1], [7]]), torch.tensor([[100.0], [-3], [0], [1], [1e3]])
    views[moved] = View(views[moved].logits * scale + shift)
    assert float(loss("standardised", **views)) == pytest.approx(before, rel=1e-3)
    assert float(loss("soft_targets", **views)) != pytest.approx(before, rel=0.1)


def test_correlation_does_not_see_a_mixture_with_the_uniform_distribution() -> None:
    # Scaled and shifted alike in all rows and columns: what label smoothing would do to the teacher.
    student, teacher, temperature = view(0), view(1), 3.0
    mixed = 0.3 * (teacher.logits / temperature).softmax(1) + 0.7 / 4
    smoothed = View(temperature * mixed.log())
    before = float(loss("dist", student, teacher, temperature))
    assert float(loss("dist", student, smoothed, temperature)) == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("key", ["attention", "rkd_distance", "rkd_angle", "similarity"])
@pytest.mark.parametrize("moved", ["student", "teacher"])
def test_relations_and_attention_do_not_see_scale(key: str, moved: str) -> None:
    views = {"student": view(0), "teacher": view(1)}
    before = float(loss(key, **views))
    views[moved] = View(views[moved].logits, tuple(1000 * values for values in views[moved].features))
    assert float(loss(key, **views)) == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("key", ["rkd_distance", "rkd_angle"])
def test_relations_do_not_see_a_rotation_and_a_shift(key: str) -> None:
    student, teacher = view(0), view(1)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(5)))[0]
    moved = View(student.logits, (student.features[2] @ rotation + 3,))
    assert float(loss(key, moved, View(teacher.logits, teacher.features[2:]))) == pytest.approx(
        float(loss(key, student, teacher)), rel=1e-4
    )


@pytest.mark.parametrize("key", ["attention", "rkd_distance", "rkd_angle", "similarity"])
def test_widths_may_differ_where_nothing_is_regressed(key: str) -> None:
    narrow = view(0, shapes=((2, 4, 4), (3, 2, 2), (5,)))
    assert torch.isfinite(loss(key, narrow, view(1)))


# Sizes and faults


@pytest.mark.parametrize("key", ["hint", "attention"])
def test_the_larger_map_is_averaged_to_the_smaller(key: str) -> None:
    small, large = view(0, shapes=((3, 2, 2),)), view(1, shapes=((3, 4, 6),))
    blocks = large.features[0].view(5, 3, 2, 2, 2, 3)
    if key == "hint":
        pooled = blocks.mean((3, 5))
    else:  # the attention is averaged, not the activations
        pooled = blocks.square().mean(1, keepdim=True).mean((3, 5)).sqrt()
    expected = loss(key, small, View(large.logits, (pooled,)))
    torch.testing.assert_close(loss(key, small, large), expected)
    torch.testing.assert_close(loss(key, large, small), expected)


def test_a_vector_meets_a_map_as_a_map_of_one_position() -> None:
    vector, mapped = view(0, shapes=((3, 1, 1),)), view(1, shapes=((3, 4, 4),))
    mean = View(mapped.logits, (mapped.features[0].mean((2, 3)),))
    flat = View(vector.logits, (vector.features[0].flatten(1),))
    torch.testing.assert_close(loss("hint", vector, mapped), loss("hint", flat, mean))


def test_other_classes_or_images_are_refused() -> None:
    with pytest.raises(UserError, match=r"student's logits are \(5, 4\) and the teacher's \(5, 3\)"):
        loss("soft_targets", view(0), View(view(1).logits[:, :3]))


def test_features_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(UserError, match="the student shows 0 and the teacher 3"):
        loss("hint", View(view(0).logits), view(1))
    with pytest.raises(UserError, match="needs two; there is 1"):
        loss("fsp", view(0, shapes=((6,),)), view(1, shapes=((6,),)))
    with pytest.raises(UserError, match="no matched stage is a map"):
        loss("attention", view(0, shapes=((6,),)), view(1, shapes=((6,),)))


# Scales


def test_scales_bring_every_method_to_the_order_of_soft_targets() -> None:
    """A new student of half the width, the teacher of the samples, 128 digits, T = 4."""
    torch.manual_seed(0)
    teacher, student, data = load_model("digits-cnn"), ResNet(1, (16, 32), 1, 10), load_data("digits")
    pairs = match(stages(student, (1, 8, 8)), stages(teacher, (1, 8, 8)))
    mine, theirs = zip(*pairs, strict=True)
    images, labels = normalise(data.train.images[:128], data), data.train.labels[:128]
    with torch.no_grad(), Watch(teacher, theirs) as watch:
        answer = View(teacher(images), watch.features())
    sizes = {}
    for key, card in DISTILLATIONS.items():
        assert usable(key, pairs) is None
        with Watch(student.train(), mine) as watch:
            logits = student(images)
            shown = watch.features()
        if "regressors" in card.needs:
            shown = Regressors(mine, theirs)(shown)
        scaled = SCALES[key] * card.call(View(logits, shown), answer, labels, 4.0)
        assert 0.1 < scaled.item() < 100, key
        found = torch.autograd.grad(scaled, list(student.parameters()), allow_unused=True)
        sizes[key] = math.sqrt(sum(float(gradient.square().sum()) for gradient in found if gradient is not None))
    for key, size in sizes.items():
        assert 0.25 < size / sizes["soft_targets"] < 4, (key, size)
