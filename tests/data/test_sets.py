"""The catalogue: splits, statistics, thumbnails, and what is said when a data set is absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_digits

from compression.data.fetching import fetch
from compression.data.sets import (
    DATASETS,
    Dataset,
    Split,
    data_root,
    load_data,
    stratified,
    thumbnail,
)
from compression.registry import UserError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_data("digits")


def rows(split: Split) -> list[bytes]:
    """Each image with its label, as bytes that can be compared and sorted."""
    return [x.numpy().tobytes() + bytes([int(y)]) for x, y in zip(split.images, split.labels, strict=True)]


def test_digits_are_scikit_learns_digits_each_exactly_once(digits: Dataset) -> None:
    bunch = load_digits()
    # Levels 0 to 16 spread over 0 to 255; level 8 falls half-way, and goes to the even neighbour.
    expected = [
        np.rint(image * 255 / 16).astype(np.uint8).tobytes() + bytes([label])
        for image, label in zip(bunch.images, bunch.target, strict=True)
    ]
    assert sorted(row for _, split in digits.splits() for row in rows(split)) == sorted(expected)
    assert digits.shape == (1, 8, 8) and digits.classes == tuple("0123456789")
    # Pinned: the sample models were trained, and their cards' accuracies measured, on these parts.
    assert [len(split) for _, split in digits.splits()] == [1078, 360, 359]


def test_the_same_seed_gives_the_same_split_and_another_gives_another(digits: Dataset) -> None:
    same, other = load_data("digits", seed=0), load_data("digits", seed=1)
    for name in ("train", "val", "test"):
        assert rows(digits.split(name)) == rows(same.split(name))
        assert sorted(rows(digits.split(name))) != sorted(rows(other.split(name)))


@pytest.mark.parametrize("fractions", [(0.6, 0.2, 0.2), (11 / 12, 1 / 12), (0.9, 0.1), (1 / 3, 1 / 3, 1 / 3)])
@pytest.mark.parametrize("seed", [0, 7])
def test_parts_are_disjoint_complete_and_each_class_in_proportion(fractions: tuple[float, ...], seed: int) -> None:
    counts = [3, 17, 100, 257]
    labels = torch.cat([torch.full((n,), label) for label, n in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    parts = stratified(labels, fractions, seed)
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(labels)))
    for part, fraction in zip(parts, fractions, strict=True):
        for label, n in enumerate(counts):
            assert abs(int((labels[part] == label).sum()) - n * fraction) <= 1, (label, n, fraction)


def test_a_small_class_is_in_every_part() -> None:
    labels = torch.tensor([0] * 50 + [1] * 3)
    for part in stratified(labels, (0.8, 0.1, 0.1), seed=0):
        assert int((labels[part] == 1).sum()) == 1


def test_a_class_with_fewer_images_than_parts_loses_none() -> None:
    labels = torch.tensor([0] * 9 + [1])
    parts = stratified(labels, (0.4, 0.3, 0.3), seed=0)
    assert sorted(torch.cat(parts).tolist()) == list(range(10))


def test_splits_are_shuffled_so_that_a_head_is_a_fair_sample(digits: Dataset) -> None:
    head = digits.test.head(100)
    assert len(head) == 100 and torch.equal(head.images, digits.test.images[:100])
    # Sorted by class the first hundred would hold three classes.
    assert len(set(head.labels.tolist())) == 10
    assert digits.test.head(10**6) is digits.test


def test_statistics_equal_numpys_over_the_training_split() -> None:
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (40, 3, 5, 7), dtype=np.uint8))
    images[:, 2] = 128
    part = Split(images, torch.zeros(40, dtype=torch.int64))
    other = Split(images[:1] * 0, torch.zeros(1, dtype=torch.int64))
    dataset = Dataset("d", ("a",), part, other, other)
    scaled = images.numpy().astype(np.float64) / 255
    assert dataset.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), abs=1e-12)
    assert dataset.std[:2] == pytest.approx(scaled.std(axis=(0, 2, 3))[:2], abs=1e-12)
    assert dataset.std[2] == 1e-6, "a constant channel must not divide by zero"


def test_a_thumbnail_repeats_each_pixel(digits: Dataset) -> None:
    picture = thumbnail(digits.test, 3, size=96)
    assert picture.shape == (96, 96, 3) and picture.dtype == np.uint8
    block = np.ones((12, 12), dtype=np.uint8)
    for channel in range(3):
        assert np.array_equal(picture[:, :, channel], np.kron(digits.test.images[3, 0].numpy(), block))


def test_a_thumbnail_of_a_colour_image_keeps_its_shape_and_colours() -> None:
    images = torch.arange(2 * 3 * 4 * 6, dtype=torch.uint8).reshape(2, 3, 4, 6)
    split = Split(images, torch.zeros(2, dtype=torch.int64))
    picture = thumbnail(split, 1, size=20)
    assert picture.shape == (12, 18, 3)
    assert np.array_equal(picture[::3, ::3], images[1].permute(1, 2, 0).numpy())
    assert np.array_equal(thumbnail(split, 1, size=3), images[1].permute(1, 2, 0).numpy()), "never made smaller"


def test_mnist_is_read_from_its_own_files_with_its_own_test_split(fake_mnist: Path) -> None:
    dataset = load_data("mnist")
    assert dataset.shape == (1, 28, 28) and dataset.note == ""
    assert [len(split) for _, split in dataset.splits()] == [110, 10, 30]
    assert torch.equal(dataset.val.labels.bincount(minlength=10), torch.ones(10, dtype=torch.int64))
    raw = (fake_mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]
    images = np.frombuffer(raw, dtype=np.uint8).reshape(30, 28 * 28)
    expected = [image.tobytes() + bytes([i % 10]) for i, image in enumerate(images)]
    assert sorted(rows(dataset.test)) == sorted(expected)


def test_mnist_is_what_torchvision_reads(fake_mnist: Path) -> None:
    dataset, theirs = load_data("mnist"), torchvision.datasets.MNIST(fake_mnist, train=True)
    expected = [
        image.numpy().tobytes() + bytes([label]) for image, label in zip(theirs.data, theirs.targets, strict=True)
    ]
    assert sorted(rows(dataset.train) + rows(dataset.val)) == sorted(expected)


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x0d\x01\x00\x00\x00\x01aaaa", b"<html>not found</html>"])
def test_what_is_no_array_of_bytes_is_said(fake_mnist: Path, content: bytes) -> None:
    (fake_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(UserError, match=r"are incomplete \(t10k-labels-idx1-ubyte is no array of bytes\)"):
        load_data("mnist")


def test_the_test_split_of_mnist_does_not_depend_on_the_seed_but_for_its_order(fake_mnist: Path) -> None:
    first, second = load_data("mnist", seed=0).test, load_data("mnist", seed=1).test
    assert sorted(rows(first)) == sorted(rows(second)) and rows(first) != rows(second)


def test_jpeg_copies_of_cifar10_are_read_and_said_to_be_lossy(data_root: Path) -> None:
    classes = DATASETS["cifar10"].classes
    for part, n in (("train", 10), ("test", 3)):
        for c, name in enumerate(classes):
            folder = data_root / "cifar10-jpg" / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                Image.new("RGB", (32, 32), (20 * c, 100, i)).save(folder / f"{i}.jpg", quality=95)
    dataset = load_data("cifar10")
    assert dataset.note == "JPEG copies (quality 75, lossy)"
    assert [len(split) for _, split in dataset.splits()] == [90, 10, 30]
    # A plane of one colour survives JPEG to within a level or two: red says which class it is.
    red = dataset.test.images[:, 0].double().mean(dim=(1, 2))
    assert float((red - 20 * dataset.test.labels).abs().max()) <= 3
    again = load_data("cifar10")
    assert rows(again.train) == rows(dataset.train)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_an_absent_data_set_names_the_command_and_what_works_without(name: str, data_root: Path) -> None:
    assert not DATASETS[name].here() and DATASETS["digits"].here()
    with pytest.raises(UserError) as fault:
        load_data(name)
    line = str(fault.value)
    assert line.startswith(f"Data set '{name}' is not in {data_root}; fetch it (")
    assert line.endswith(f"with: espalier data {name} --get, or use 'digits', which needs no download")
    assert "\n" not in line


def test_files_that_are_cut_short_are_one_line_that_says_how_to_get_them_again(fake_mnist: Path) -> None:
    part = fake_mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
    part.write_bytes(part.read_bytes()[:5000])
    with pytest.raises(UserError) as fault:
        load_data("mnist")
    line = str(fault.value)
    assert line.startswith(f"The files of data set 'mnist' under {fake_mnist} are incomplete (")
    assert line.endswith("; run: espalier data mnist --get") and "\n" not in line


def test_an_empty_folder_is_not_a_data_set(data_root: Path) -> None:
    (data_root / "MNIST").mkdir()
    with pytest.raises(UserError, match=r"^The files of data set 'mnist' .* run: espalier data mnist --get$"):
        load_data("mnist")


def test_an_unknown_name_is_told_the_nearest(data_root: Path) -> None:
    with pytest.raises(UserError, match=r"^Unknown data set 'mnits' \(did you mean 'mnist'\?\); choose one of: digits"):
        load_data("mnits")


def test_an_unknown_split_is_told_what_there_is(digits: Dataset) -> None:
    with pytest.raises(UserError, match=r"^Unknown split 'valid' \(did you mean 'val'\?\); choose one of: train, val"):
        digits.split("valid")


def test_the_root_is_the_variable_or_else_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPALIER_DATA", str(tmp_path / "here"))
    assert data_root() == tmp_path / "here"
    monkeypatch.setenv("ESPALIER_DATA", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_root() == tmp_path / ".cache" / "espalier" / "data"


def test_fetching_says_what_it_does_and_asks_torchvision_for_both_parts(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def download(root: str, **options: Any) -> None:
        assert not DATASETS["mnist"].here() or cut_short.is_file(), "half a data set is none"
        asked.append(options)
        (Path(root) / "MNIST").mkdir(exist_ok=True)
        (Path(root) / "MNIST" / "whole").touch()

    monkeypatch.setattr(torchvision.datasets, "MNIST", download)
    said: list[str] = []
    cut_short = data_root / "MNIST" / "cut short"
    assert fetch("mnist", said.append) == data_root
    cut_short.touch()
    fetch("mnist", said.append)
    assert asked == [{"train": train, "download": True} for train in (True, False)] * 2
    assert said == [f"Fetching 'mnist' (12 MB) into {data_root}", f"'mnist' is in {data_root}"] * 2
    assert [str(path.relative_to(data_root)) for path in sorted(data_root.rglob("*"))] == ["MNIST", "MNIST/whole"]


@pytest.mark.parametrize("fault", [OSError("no route\nto host"), TimeoutError(), RuntimeError("Error downloading x")])
def test_a_failed_fetch_is_one_line(fault: Exception, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: str, **_: object) -> None:
        (Path(root) / "MNIST" / "raw").mkdir(parents=True)
        raise fault

    monkeypatch.setattr(torchvision.datasets, "MNIST", fail)
    with pytest.raises(UserError, match=r"^Could not fetch 'mnist' \(.+\); put its files under .*'digits'") as line:
        fetch("mnist", lambda _: None)
    assert "\n" not in str(line.value) and not list(data_root.iterdir())


def test_nothing_is_fetched_for_digits() -> None:
    said: list[str] = []
    fetch("digits", said.append)
    assert said == ["'digits' comes with scikit-learn: nothing to fetch"]
