"""Training against a plain loop, augmentation against a pixel-by-pixel loop, masks against zero."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from compression.data.augment import crop_flip, jitter, reflect_flip
from compression.data.sets import Dataset, Split
from compression.models.architectures import MLP, ResNet
from compression.registry import UserError
from compression.training import fit, inputs, normalise, predict, recount
from compression.training.optimiser import rise_and_fall

CLASSES = ("dark", "light", "mixed")


def tiny(n: int = 40, channels: int = 1, side: int = 4, seed: int = 0) -> Dataset:
    """Random images whose label is a function of their mean, in three splits."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2 * n, channels, side, side), generator=generator).to(torch.uint8)
    brightness = images.float().mean((1, 2, 3)).argsort().argsort()
    split = Split(images, brightness * 3 // (2 * n))
    train, val = split.take(torch.arange(n)), split.take(torch.arange(n, 2 * n))
    return Dataset("tiny", CLASSES, train, val, val)


def mlp(dropout: float = 0.0) -> MLP:
    torch.manual_seed(3)
    return MLP(16, [6], 3, dropout=dropout)


def cnn(width: int = 4) -> ResNet:
    torch.manual_seed(3)
    return ResNet(channels=2, widths=[width, width + 1], blocks=1, classes=3)


def wide_cnn() -> ResNet:
    return cnn(16)


def trained(model: nn.Module, dataset: Dataset, **settings: object) -> dict[str, Tensor]:
    list(fit(model, dataset, **settings))  # type: ignore[arg-type]
    return model.state_dict()


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


# Normalising


def test_normalise_is_what_numpy_computes_from_the_training_pixels() -> None:
    dataset = tiny(channels=2)
    pixels = dataset.train.images.numpy().astype(np.float64)
    mean, std = pixels.mean((0, 2, 3), keepdims=True), pixels.std((0, 2, 3), keepdims=True)
    for split in (dataset.train, dataset.val):
        expected = (split.images.numpy() - mean) / std
        np.testing.assert_allclose(normalise(split.images, dataset).numpy(), expected, atol=1e-5)


def test_normalised_training_pixels_have_mean_0_and_deviation_1_and_are_computed_once() -> None:
    dataset = tiny(channels=2)
    x = inputs(dataset.train, dataset)
    assert x.mean((0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert x.std((0, 2, 3), correction=0).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert inputs(dataset.train, dataset) is x


@pytest.mark.parametrize("channels", [1, 3])
def test_normalised_images_have_the_strides_of_channels_last_even_with_one_channel(channels: int) -> None:
    # is_contiguous() cannot tell: with one channel it is true of both layouts.
    dataset = tiny(channels=channels)
    n, _, height, width = dataset.val.images.shape
    strides = (height * width * channels, 1, width * channels, channels)
    assert normalise(dataset.val.images, dataset).stride() == strides


# Augmentation


def candidates(image: np.ndarray, reach: int, mirrored: bool) -> list[np.ndarray]:
    """Every picture that a shift (and a mirror) can give, pixel by pixel; outside is black."""
    channels, height, width = image.shape
    found = []
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            moved = np.zeros_like(image)
            for y in range(height):
                for x in range(width):
                    if 0 <= y + down < height and 0 <= x + right < width:
                        moved[:, y, x] = image[:, y + down, x + right]
            found += [moved, moved[:, :, ::-1]] if mirrored else [moved]
    return found


@pytest.mark.parametrize(
    ("change", "side", "reach", "mirrored"), [(jitter, 28, 2, False), (jitter, 8, 1, False), (crop_flip, 16, 2, True)]
)
def test_augmented_images_are_shifts_and_all_of_them_occur(
    change: object, side: int, reach: int, mirrored: bool
) -> None:
    image = torch.randint(1, 256, (2, side, side), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    n = 1200
    out = change(image.expand(n, -1, -1, -1), torch.Generator().manual_seed(0)).numpy()  # type: ignore[operator]
    expected = {picture.tobytes(): i for i, picture in enumerate(candidates(image.numpy(), reach, mirrored))}
    counts = np.bincount([expected[picture.tobytes()] for picture in out], minlength=len(expected))
    assert out.dtype == np.uint8
    # Each of k pictures has probability 1/k: six standard deviations around n/k.
    share = n / len(expected)
    assert np.abs(counts - share).max() < 6 * np.sqrt(share)


def test_augmentation_is_fixed_by_its_generator() -> None:
    images = tiny(side=16).train.images
    one, again, other = (crop_flip(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


# The loop


def plain_loop(model: nn.Module, dataset: Dataset, epochs: int, lr: float, batch: int, seed: int) -> list[float]:
    """What a textbook would write: a DataLoader over normalised floats, SGD and a lambda for the rate."""
    order = torch.Generator().manual_seed(seed)

    class Order(torch.utils.data.Sampler[int]):
        def __len__(self) -> int:
            return len(dataset.train)

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter(torch.randperm(len(dataset.train), generator=order).tolist())

    x, y = normalise(dataset.train.images, dataset), dataset.train.labels
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, sampler=Order())
    weights = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.SGD(
        [{"params": weights, "weight_decay": 1e-3}, {"params": rest}], lr=lr, momentum=0.8, nesterov=True
    )
    losses, step, total = [], 0, epochs * len(loader)
    for _ in range(epochs):
        summed = 0.0
        for images, labels in loader:
            rise, fall = (step + 1) / (total // 5), (total - step) / (total - total // 5)
            for group in optimiser.param_groups:
                group["lr"] = lr * min(rise, fall)
            loss = nn.CrossEntropyLoss()(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            summed += loss.item() * len(images)
        losses.append(summed / len(dataset.train))
    return losses


def test_fit_equals_a_plain_loop_with_a_loader() -> None:
    dataset, mine, theirs = tiny(), mlp(), mlp()
    events = list(fit(mine, dataset, epochs=2, lr=0.3, momentum=0.8, weight_decay=1e-3, batch_size=7, seed=5))
    expected = plain_loop(theirs.train(), dataset, epochs=2, lr=0.3, batch=7, seed=5)
    assert [event.train_loss for event in events] == expected
    assert same(mine.state_dict(), theirs.state_dict())


def test_a_narrow_strided_shortcut_trains_as_it_does_in_the_plain_layout() -> None:
    # In channels-last its weight gradient may be computed wrongly, or crash: see ``layout_of``.
    dataset, mine, theirs = tiny(channels=2, side=8), cnn(), cnn()
    events = list(fit(mine, dataset, epochs=2, lr=0.1, momentum=0.8, weight_decay=1e-3, batch_size=7, seed=5))
    expected = plain_loop(theirs.train(), dataset, epochs=2, lr=0.1, batch=7, seed=5)
    assert [event.train_loss for event in events] == pytest.approx(expected, rel=1e-3)
    assert mine.blocks[1].shortcut[0].in_channels == 4  # what makes it narrow


def test_events_say_what_the_model_then_does_on_the_validation_images() -> None:
    dataset, model = tiny(), mlp()
    for number, event in enumerate(fit(model, dataset, epochs=3, lr=0.2, batch_size=8, stage=4), start=1):
        logits = model.eval()(normalise(dataset.val.images, dataset))
        right = (logits.argmax(1) == dataset.val.labels).sum().item()
        assert (event.stage, event.epoch) == (4, number)
        assert event.val_accuracy == pytest.approx(right / len(dataset.val))
        assert event.val_loss == pytest.approx(nn.functional.cross_entropy(logits, dataset.val.labels).item())
        assert 0 <= event.train_accuracy <= 1
        assert event.seconds > 0
    assert not model.training


def test_learning_rate_rises_for_a_fifth_of_the_steps_and_falls_to_zero() -> None:
    # 5 epochs of 2 steps: the peak is at step 2 of 10, and then the rate falls by 1/8 a step.
    rates = [event.lr for event in fit(mlp(), tiny(), epochs=5, lr=0.8, batch_size=20)]
    assert rates == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])


def test_the_first_step_is_taken_at_its_share_of_the_rate() -> None:
    # One step of plain SGD in 10: the peak is at step 2, so that the first goes at half the rate.
    dataset, model = tiny(), mlp()
    x, y = inputs(dataset.train, dataset), dataset.train.labels
    expected = [p.detach().clone() for p in model.parameters()]
    loss = nn.functional.cross_entropy(model(x), y)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    settings = {"lr": 0.8, "momentum": 0.0, "weight_decay": 0.0, "batch_size": len(y)}
    next(fit(model, dataset, epochs=10, **settings))  # type: ignore[arg-type]
    for parameter, before, gradient in zip(model.parameters(), expected, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), before - 0.4 * gradient)


def test_training_learns() -> None:
    last = list(fit(mlp(), tiny(n=300), epochs=20, lr=0.1, batch_size=16))[-1]
    assert last.val_accuracy > 0.8  # chance is a third


def test_the_model_is_left_in_the_layout_that_a_file_gives_back() -> None:
    model = wide_cnn()
    strides = [p.stride() for p in model.parameters()]
    list(fit(model, tiny(channels=2, side=8), epochs=1))
    assert [p.stride() for p in model.parameters()] == strides


# Seeds


def test_reflect_flip_mirrors_beyond_the_border_where_crop_flip_is_black() -> None:
    images = torch.arange(1, 33, dtype=torch.uint8).view(1, 1, 4, 8).repeat(50, 1, 1, 1).repeat(1, 1, 2, 1)
    generator = torch.Generator().manual_seed(0)
    changed = reflect_flip(images, generator)
    assert changed.min() > 0
    generator.manual_seed(0)
    down, right = torch.randint(0, 3, (2, 50, 1), generator=generator)
    flip = torch.rand(50, 1, 1, 1, generator=generator) < 0.5
    for n in range(50):
        padded = np.pad(images[n, 0].numpy(), 1, mode="reflect")
        moved = padded[down[n, 0] : down[n, 0] + 8, right[n, 0] : right[n, 0] + 8]
        assert np.array_equal(changed[n, 0].numpy(), moved[:, ::-1] if flip[n] else moved)


def test_statistics_are_counted_on_images_augmented_as_asked() -> None:
    dataset = tiny(channels=2, side=8)
    plain, moved = cnn().eval(), cnn().eval()
    recount(plain, dataset, images=40)
    recount(moved, dataset, images=40, augment="crop_flip")
    assert not torch.allclose(plain.bn.running_mean, moved.bn.running_mean)


@pytest.mark.parametrize("settings", [{}, {"augment": "crop_flip"}], ids=["plain", "augmented"])
def test_same_seed_gives_the_same_weights_and_another_seed_others(settings: dict[str, str]) -> None:
    runs = []
    for seed, drawn_before in ((1, 0), (1, 5), (2, 0)):
        model = mlp(dropout=0.5)
        torch.rand(drawn_before)  # what was drawn elsewhere does not matter
        runs.append(trained(model, tiny(), epochs=2, batch_size=8, seed=seed, **settings))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_augmentation_and_small_resolutions_change_what_is_learned() -> None:
    dataset = tiny(channels=2, side=8)
    plain = trained(cnn(), dataset, epochs=2)
    assert not same(plain, trained(cnn(), dataset, epochs=2, augment="jitter"))
    assert not same(plain, trained(cnn(), dataset, epochs=2, resolutions=(4, 8)))
    assert same(plain, trained(cnn(), dataset, epochs=2, resolutions=(8,)))


def test_resolutions_are_equal_parts_of_the_training_small_first() -> None:
    model, seen = cnn(), []
    model.register_forward_pre_hook(lambda module, x: seen.append(x[0].shape[2]) if module.training else None)
    list(fit(model, tiny(channels=2, side=8), epochs=4, batch_size=40, resolutions=(4, 6)))
    assert seen == [4, 4, 6, 6]


# Masks


@pytest.mark.parametrize("make", [mlp, cnn, wide_cnn])
def test_masked_weights_are_exactly_zero_after_every_epoch_and_the_others_move(make: object) -> None:
    model = make()  # type: ignore[operator]
    dataset = tiny(side=4) if isinstance(model, MLP) else tiny(channels=2, side=8)
    generator = torch.Generator().manual_seed(0)
    masks = {n: torch.rand(p.shape, generator=generator) < 0.5 for n, p in model.named_parameters() if p.ndim > 1}
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask)
    before = {name: parameters[name].detach().clone() for name in masks}
    for _ in fit(model, dataset, epochs=2, lr=0.5, batch_size=8, masks=masks):
        for name, mask in masks.items():
            weight = parameters[name].detach()
            assert torch.equal(weight[~mask], torch.zeros(int((~mask).sum()))), name
            assert (weight[mask] != before[name][mask]).float().mean() > 0.9, name


# Faults


def test_divergence_is_an_error_of_one_line() -> None:
    with pytest.raises(UserError, match=r"^Training diverged in epoch \d+, .*loss is (nan|inf); lower lr$"):
        list(fit(mlp(), tiny(), epochs=3, lr=1e30))


def test_divergence_in_the_very_last_step_is_noticed() -> None:
    # One epoch of one step: its loss is still that of the old weights.
    with pytest.raises(UserError, match="diverged in epoch 1"):
        list(fit(mlp(), tiny(), epochs=1, lr=1e38, batch_size=40))


def test_unknown_augmentation_says_what_there_is() -> None:
    with pytest.raises(UserError, match=r"Unknown augment 'jiter' \(did you mean 'jitter'\?\); .*crop_flip"):
        list(fit(mlp(), tiny(), epochs=1, augment="jiter"))


# Predicting


def test_predict_is_one_forward_pass_in_eval_mode_whatever_the_batch() -> None:
    dataset, model = tiny(), mlp(dropout=0.5).train()
    x = inputs(dataset.val, dataset)
    logits = predict(model, x, batch_size=7)
    expected = model.eval()(x).detach()
    torch.testing.assert_close(logits, expected)
    assert logits.shape == (len(dataset.val), 3)


def test_predict_restores_the_mode_of_every_submodule_also_after_a_fault() -> None:
    model = cnn().train()
    model.bn.eval()  # a frozen BatchNorm, as fine-tuning often has it
    modes = [module.training for module in model.modules()]
    means = model.bn.running_mean.clone(), model.blocks[0].bn1.running_mean.clone()
    dataset = tiny(channels=2, side=8)
    predict(model, inputs(dataset.val, dataset))
    with pytest.raises(RuntimeError):
        predict(model, torch.zeros(2, 5, 8, 8))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(means[0], model.bn.running_mean)
    assert torch.equal(means[1], model.blocks[0].bn1.running_mean)


# Parts of a training: restarts, statistics counted anew, and masks that are renewed


def test_in_every_part_the_rate_rises_and_falls_anew() -> None:
    events = list(fit(mlp(), tiny(), epochs=6, restarts=3, lr=0.1, batch_size=5))
    alone = list(fit(mlp(), tiny(), epochs=2, lr=0.1, batch_size=5))
    assert [e.lr for e in events[:5]] == pytest.approx([alone[0].lr, 0.1 / 3, alone[0].lr, 0.1 / 3, alone[0].lr])
    assert events[0].train_loss == alone[0].train_loss
    assert events[-1].lr == 0


@pytest.mark.parametrize(("steps", "parts"), [(36, 5), (90, 20), (9, 5), (7, 1)])
def test_every_part_begins_where_its_round_does_and_ends_low(steps: int, parts: int) -> None:
    factor = rise_and_fall(steps, parts)
    starts = [math.ceil(i * steps / parts) for i in range(parts)] + [steps]
    for begin, end in zip(starts, starts[1:], strict=False):
        own = [factor(step) for step in range(begin, end)]
        alone = rise_and_fall(end - begin)
        assert own == [alone(step) for step in range(end - begin)]
        assert len(own) < 3 or own[-1] < 0.6
    assert factor(steps) == 0


def test_counting_anew_gives_the_mean_and_variance_of_what_the_layer_sees() -> None:
    dataset, model = tiny(channels=2, side=8), cnn().eval()
    assert recount(model, dataset, images=40, batch_size=40)
    seen = model.stem(normalise(dataset.train.images, dataset))
    torch.testing.assert_close(model.bn.running_mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(model.bn.running_var, seen.var((0, 2, 3)))
    assert not any(module.training for module in model.modules())
    assert model.bn.momentum == 0.1


def test_counting_anew_draws_its_images_by_the_seed_and_leaves_dropout_off() -> None:
    dataset = tiny(channels=2, side=8)
    one, same, other = (nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(2)).eval() for _ in range(3))
    for model, seed in ((one, 0), (same, 0), (other, 1)):
        recount(model, dataset, images=9, seed=seed)
    assert torch.equal(one[1].running_mean, same[1].running_mean)
    assert not torch.equal(one[1].running_mean, other[1].running_mean)
    assert not recount(mlp(), dataset)


def test_renewed_masks_that_keep_all_leave_the_optimiser_as_it_was() -> None:
    dataset, names = tiny(), [name for name, _ in mlp().named_parameters()]
    plain = trained(mlp(), dataset, epochs=3, batch_size=7)
    whole = {name: torch.ones(1, dtype=torch.bool) for name in names}
    assert same(plain, trained(mlp(), dataset, epochs=3, batch_size=7, masking=lambda progress: whole))


def test_masks_renewed_on_the_way_hold_from_then_on_and_may_let_go_again() -> None:
    dataset, model = tiny(), mlp()
    mask = {"layers.0.weight": torch.arange(96).view(6, 16) % 2 == 0}
    free = {"layers.0.weight": torch.ones(6, 16, dtype=torch.bool)}
    asked: list[float] = []

    def masking(progress: float) -> dict[str, Tensor] | None:
        asked.append(progress)
        return {0.25: mask, 0.75: free}.get(progress)

    zeros = []
    for _ in fit(model, dataset, epochs=4, batch_size=10, masking=masking):
        zeros.append(int((model.layers[0].weight == 0).sum()))
    assert asked == [i / 16 for i in range(16)]
    assert zeros == [0, 48, 48, 0], "dense, sparse, dense"
