"""Folders of images: what is read equals what was drawn, and what cannot be read is one line."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compression.data import images as module
from compression.data.images import read_tree
from compression.data.sets import load_data, load_folder
from compression.registry import UserError

Pixels = np.ndarray


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three classes of 5 colour images of 6×4 (width × height)."""
    for c, name in enumerate(("bee", "ant", "cat")):
        for i in range(5):
            save(tmp_path / "own" / name / f"{i}.png", noise(10 * c + i, 4, 6, 3))
    return tmp_path / "own"


def test_pixels_and_labels_are_those_on_disk(tree: Path) -> None:
    images, labels, classes = read_tree(tree)
    assert classes == ("ant", "bee", "cat")
    assert images.dtype == torch.uint8 and labels.dtype == torch.int64
    assert images.shape == (15, 3, 4, 6)
    drawn = {"bee": 0, "ant": 10, "cat": 20}
    for position, (image, label) in enumerate(zip(images, labels, strict=True)):
        expected = noise(drawn[classes[label]] + position % 5, 4, 6, 3)
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_other_sizes_become_that_of_the_first_image(tree: Path) -> None:
    save(tree / "cat" / "9.png", np.full((40, 20, 3), 77, dtype=np.uint8))
    images, _, _ = read_tree(tree)
    # One colour stays that colour, however it is resized.
    assert images.shape == (16, 3, 4, 6) and bool((images[-1] == 77).all())


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    for name in "ab":
        for i in range(3):
            save(tmp_path / name / f"{i}.png", noise(i, 5, 5))
    images, _, _ = read_tree(tmp_path)
    assert images.shape == (6, 1, 5, 5)
    assert np.array_equal(images[1, 0].numpy(), noise(1, 5, 5))


def test_one_colour_image_among_many_grey_ones_keeps_its_colours(tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / "a" / f"{i:02}.png", noise(i, 3, 3))
    for i in range(3):
        save(tmp_path / "b" / f"{i}.png", noise(i, 3, 3, 3))
    images, _, _ = read_tree(tmp_path)
    assert images.shape == (43, 3, 3, 3)
    assert np.array_equal(images[-1].permute(1, 2, 0).numpy(), noise(2, 3, 3, 3))
    assert np.array_equal(images[0, 2].numpy(), noise(0, 3, 3)), "grey is equal in all three channels"


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    levels = np.array([[0, 255, 256], [32768, 65280, 65535]], dtype=np.uint16)
    for name in "ab":
        for i in range(3):
            save(tmp_path / name / f"{i}.png", levels)
    images, _, _ = read_tree(tmp_path)
    assert images[0, 0].tolist() == [[0, 0, 1], [128, 255, 255]]


def test_hidden_files_and_a_macs_leavings_are_passed_over(tree: Path) -> None:
    (tree / ".ipynb_checkpoints").mkdir()
    (tree / "__MACOSX").mkdir()
    (tree / "ant" / "._0.png").write_bytes(b"not an image")
    (tree / "ant" / "notes.txt").write_text("not an image either")
    images, _, classes = read_tree(tree)
    assert classes == ("ant", "bee", "cat") and len(images) == 15


def test_what_was_decoded_is_kept_and_read_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_tree(tree, cache=True)

    def refuse(*_: object) -> None:
        raise AssertionError("decoded twice")

    monkeypatch.setattr(module, "_read_all", refuse)
    again = read_tree(tree, cache=True)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1]) and first[2] == again[2]


def test_nothing_is_kept_beside_your_own_folder(tree: Path) -> None:
    before = sorted(p.name for p in tree.parent.iterdir())
    load_folder(tree)
    assert sorted(p.name for p in tree.parent.iterdir()) == before


def test_a_folder_of_your_own_is_split_sixty_twenty_twenty(tree: Path) -> None:
    dataset = load_data(str(tree))
    assert dataset.name == "own" and dataset.classes == ("ant", "bee", "cat")
    assert [len(split) for _, split in dataset.splits()] == [9, 3, 3]
    for _, split in dataset.splits():
        assert torch.equal(split.labels.bincount(), torch.full((3,), len(split) // 3))


def test_train_and_test_folders_are_kept_apart(tmp_path: Path) -> None:
    for c, name in enumerate("ab"):
        for i in range(5):
            save(tmp_path / "train" / name / f"{i}.png", noise(i + 10 * c, 4, 4))
        for i in range(3):
            # In colour and of another size: the training images say what both parts look like.
            save(tmp_path / "test" / name / f"{i}.png", np.full((8, 8, 3), 50 * c + i, dtype=np.uint8))
    dataset = load_folder(tmp_path)
    assert [len(split) for _, split in dataset.splits()] == [8, 2, 6]
    assert dataset.test.images.shape == (6, 1, 4, 4)
    found = sorted((int(y), int(x.unique())) for x, y in zip(dataset.test.images, dataset.test.labels, strict=True))
    assert found == [(0, 0), (0, 1), (0, 2), (1, 50), (1, 51), (1, 52)]


def test_classes_of_train_and_test_must_agree(tmp_path: Path) -> None:
    for part, names in (("train", "ab"), ("test", "ac")):
        for name in names:
            for i in range(3):
                save(tmp_path / part / name / f"{i}.png", noise(i, 2, 2))
    with pytest.raises(UserError, match=r"^The classes of .*test are \('a', 'c'\), but those of train are"):
        load_folder(tmp_path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<svg/>")


def huge(path: Path, side: int = 100_000) -> None:
    """A PNG of 100,000 × 100,000 pixels in some 70 bytes, as an attacker would send it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def large(path: Path) -> None:
    huge(path, 6000)


def float_pixels(path: Path) -> None:
    Image.fromarray(np.ones((4, 6), dtype=np.float32)).save(path, format="TIFF")


FAULTS: dict[Callable[[Path], None], str] = {
    truncate: r"0.png is not a readable image \(",
    empty: r"0.png is not a readable image \(cannot identify",
    text: r"0.png is not a readable image \(cannot identify",
    huge: r"0.png is not a readable image \(Image size \(10000000000 pixels\) exceeds",
    large: r"0.png has 6000×6000 pixels; at most 25,000,000 are read",
    float_pixels: r"0.png has 32 bits a pixel; images of 8 or 16 bits",
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("where", ["ant", "cat"], ids=["first", "later"])
def test_an_image_that_cannot_be_read_is_one_line_that_names_it(
    tree: Path, spoil: Callable[[Path], None], where: str
) -> None:
    spoil(tree / where / "0.png")
    with pytest.raises(UserError, match=FAULTS[spoil]) as fault:
        read_tree(tree)
    assert "\n" not in str(fault.value) and str(tree / where) in str(fault.value)


def test_images_that_would_fill_the_memory_are_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 15 * 4 * 6 * 3)
    assert len(read_tree(tree)[0]) == 15, "exactly what is allowed is read"
    monkeypatch.setattr(module, "MAX_BYTES", 15 * 4 * 6 * 3 - 1)
    with pytest.raises(UserError, match=r"^15 images of 6×4 would take 0\.0 GiB of memory; at most"):
        read_tree(tree)


def test_one_class_is_too_few(tmp_path: Path) -> None:
    save(tmp_path / "a" / "0.png", noise(0, 2, 2))
    with pytest.raises(UserError, match="holds 1 class subfolders; at least 2 are needed"):
        load_folder(tmp_path)


def test_two_images_are_too_few_for_three_splits(tree: Path) -> None:
    for i in range(2, 5):
        (tree / "bee" / f"{i}.png").unlink()
    with pytest.raises(UserError, match=r"^Class 'bee' in .* has 2 images \(.*\); at least 3 are needed$"):
        load_folder(tree)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^No data set and no folder of that name: '.*/nowhere'; data sets: digits,"):
        load_data(str(tmp_path / "nowhere"))
