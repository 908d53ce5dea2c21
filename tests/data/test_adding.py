"""Your own images with a name: what is kept equals what was drawn, and the report says what became of the rest."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from compression.data import adding
from compression.data import images as module
from compression.data.adding import add
from compression.data.own import own_names, own_report, remove
from compression.data.sets import DATASETS, Dataset, load_data, sources
from compression.models.files import Blueprint, save_weights
from compression.recipe import Recipe
from compression.registry import UserError
from compression.studies.keys import key_of
from compression.studies.study import Study
from compression.subject import load_subject
from tests.data.given import encoded, good, noise, unpacked, zipped

PARTED = {**good("ab", 6, "train/"), **good("ab", 3, "test/", first=50)}


def drawn(seed: int) -> bytes:
    """The bytes of an image in the order of a data set, C×H×W."""
    return noise(seed, 6, 8, 3).transpose(2, 0, 1).tobytes()


def kept(dataset: Dataset) -> dict[str, set[bytes]]:
    return {name: {image.numpy().tobytes() for image in split.images} for name, split in dataset.splits()}


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("wrap", ["", "my pictures/2024/"])
def test_a_folder_with_train_and_test_keeps_its_split(form: str, wrap: str, tmp_path: Path, data_root: Path) -> None:
    files = {wrap + name: content for name, content in PARTED.items()}
    given = zipped(tmp_path / "x.zip", files) if form == "zip" else unpacked(tmp_path / "x", files)
    report = add(given, "mine")
    assert report.counts == {"train": (6, 6), "test": (3, 3)} and report.shape == (3, 6, 8)
    dataset = load_data("mine")
    assert dataset.name == "mine" and dataset.classes == ("a", "b")
    found = kept(dataset)
    assert found["test"] == {drawn(50 + 100 * c + i) for c in range(2) for i in range(3)}
    assert found["train"] | found["val"] == {drawn(100 * c + i) for c in range(2) for i in range(6)}
    assert [len(split) for _, split in dataset.splits()] == [10, 2, 6]
    for image, label in zip(dataset.test.images, dataset.test.labels, strict=True):
        assert image.numpy().tobytes() in {drawn(50 + 100 * int(label) + i) for i in range(3)}


def test_three_splits_are_kept_whatever_they_are_called(tmp_path: Path, data_root: Path) -> None:
    files = {**good("ab", 2, "Training/"), **good("ab", 1, "valid/", 50), **good("ab", 1, "testing/", 70)}
    assert add(unpacked(tmp_path / "x", files), "mine").counts == {"train": (2, 2), "val": (1, 1), "test": (1, 1)}
    found = kept(load_data("mine"))
    assert found["train"] == {drawn(seed) for seed in (0, 1, 100, 101)}
    assert (found["val"], found["test"]) == ({drawn(50), drawn(150)}, {drawn(70), drawn(170)})


def test_without_splits_they_are_made_sixty_twenty_twenty(tmp_path: Path, data_root: Path) -> None:
    assert add(unpacked(tmp_path / "x", good("ab", 5)), "mine").counts == {"train": (5, 5)}
    first, second = load_data("mine", seed=1), load_data("mine", seed=1)
    assert [len(split) for _, split in first.splits()] == [6, 2, 2]
    assert torch.equal(first.val.images, second.val.images)


def test_folders_within_a_class_belong_to_it_and_hidden_files_to_nothing(tmp_path: Path, data_root: Path) -> None:
    files = {**good(), "a/old/1.png": encoded(noise(7, 6, 8, 3)), "__MACOSX/a/._0.png": b"", "a/.x/0.png": b""}
    report = add(unpacked(tmp_path / "x", files), "mine")
    assert report.counts == {"train": (5, 4)} and report.left_out == ()


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_an_empty_folder_and_a_table_among_images_are_told(form: str, tmp_path: Path, data_root: Path) -> None:
    files = good() | {"labels.csv": b"image,class" if form == "zip" else b"path,label"}
    if form == "zip":
        given = zipped(tmp_path / "z.zip", files | {"a/": b"", "c/": b"", "c/deep/": b"", "__MACOSX/": b""})
    else:
        given = unpacked(tmp_path / "z", files)
        (given / "c" / "deep").mkdir(parents=True)
    told = {
        "zip": "is a table whose first line is not path,label or path,label,split",
        "folder": "is a table, which is given by itself, beside its images",
    }
    report = add(given, "mine")
    assert report.classes == ("a", "b") and sorted(report.left_out) == [
        ("c/deep/", "is an empty folder"),
        ("labels.csv", told[form]),
    ]


def test_what_becomes_of_training_images_is_said_as_it_is_done(tmp_path: Path, data_root: Path) -> None:
    report = add(zipped(tmp_path / "z.zip", good(n=10)), "mine")
    assert [len(split) for _, split in load_data("mine").splits()] == [12, 4, 4]
    assert "a fifth each of the training images becomes validation and test images" in report.put_aside
    report = add(zipped(tmp_path / "z.zip", good(n=10, folder="train/") | good(n=2, folder="test/", first=50)), "two")
    assert report.put_aside.endswith("a fifth of the training images becomes validation images.")


def test_beside_train_and_test_nothing_is_a_class(tmp_path: Path, data_root: Path) -> None:
    report = add(unpacked(tmp_path / "x", {**PARTED, "c/0.png": encoded(noise(7, 6, 8, 3))}), "mine")
    assert report.classes == ("a", "b")
    assert report.left_out == (("c/0.png", "lies in none of the folders of the splits"),)


def test_one_letter_written_in_two_ways_is_one_class(tmp_path: Path, data_root: Path) -> None:
    files = {
        **{f"train/{name}/{i}.png": encoded(noise(i, 6, 8, 3)) for i in range(3) for name in ("ab", "caf\u00e9")},
        **{f"test/{name}/{i}.png": encoded(noise(9, 6, 8, 3)) for i in range(3) for name in ("ab", "cafe\u0301")},
    }
    assert add(zipped(tmp_path / "x.zip", files), "mine").classes == ("ab", "caf\u00e9")


def shrunk(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Torch's own resampling, in floating point."""
    image = torch.from_numpy(pixels).permute(2, 0, 1).double()[None]
    return F.interpolate(image, size, mode="bilinear", antialias=True)[0].round().numpy()


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "gif"])
def test_images_are_resized_as_torch_does_it(kind: str, tmp_path: Path, data_root: Path) -> None:
    files, sources_ = {}, {}
    for c, name in enumerate("ab"):
        for i, size in enumerate([(40, 60), (90, 31), (9, 12)]):
            content = encoded(noise(3 * c + i, *size, 3), kind)
            files[f"{name}/{i}.{kind}"] = content
            sources_[c, i] = content
    report = add(unpacked(tmp_path / "x", files), "mine", size=(16, 20))
    assert report.shape == (3, 16, 20) and "resized to 16×20 (bilinear, antialiased" in report.transform
    images = torch.cat([split.images for _, split in load_data("mine").splits()]).numpy().astype(int)
    for (c, i), _ in sources_.items():
        with Image.open(tmp_path / "x" / "ab"[c] / f"{i}.{kind}") as image:
            wanted = shrunk(np.array(image.convert("RGB")), (16, 20))
        assert min(np.abs(image - wanted).max() for image in images) <= 1


def test_the_size_is_what_all_share_or_else_64(tmp_path: Path, data_root: Path) -> None:
    assert add(unpacked(tmp_path / "x", good()), "same").shape == (3, 6, 8)
    unpacked(tmp_path / "x", {"a/9.png": encoded(noise(0, 7, 8, 3))})
    assert add(tmp_path / "x", "other").shape == (3, 64, 64)
    large = {f"{c}/{i}.png": encoded(np.full((225, 10, 3), i, np.uint8)) for c in "ab" for i in range(3)}
    assert add(unpacked(tmp_path / "y", large), "large").shape == (3, 64, 64)


def test_grey_is_kept_and_can_be_asked_for(tmp_path: Path, data_root: Path) -> None:
    files = {f"{c}/{i}.png": encoded(noise(i, 5, 5)) for c in "ab" for i in range(3)}
    assert add(unpacked(tmp_path / "x", files), "grey").shape == (1, 5, 5)
    colours = np.zeros((5, 5, 3), np.uint8)
    colours[..., 1] = 100
    unpacked(tmp_path / "x", {f"{c}/{i}.png": encoded(colours) for c in "ab" for i in range(3)})
    assert add(tmp_path / "x", "colours").shape == (3, 5, 5)
    report = add(tmp_path / "x", "asked", grey=True)
    # The weight of green in brightness: ITU-R 601.
    assert report.shape == (1, 5, 5) and set(load_data("asked").train.images.flatten().tolist()) == {59}
    assert "to grey" in report.transform


UPRIGHT = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: np.rot90,
}
"""The tag of EXIF 2.32, section 4.6.4: where the rows and columns that are stored belong."""


def oriented(orientation: int, kind: str, i: int) -> bytes:
    tags, content = Image.Exif(), io.BytesIO()
    tags[0x0112] = orientation
    Image.fromarray(noise(i, 4, 6, 3)).save(content, kind, exif=tags, lossless=True)
    return content.getvalue()


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_a_photograph_stands_upright(orientation: int, kind: str, tmp_path: Path, data_root: Path) -> None:
    files = {f"{c}/{i}.{kind}": oriented(orientation, kind, i) for c in "ab" for i in range(3)}
    upright = [UPRIGHT[orientation](noise(i, 4, 6, 3)) for i in range(3)]
    report = add(zipped(tmp_path / "x.zip", files), "mine")
    assert report.shape == (3, *upright[0].shape[:2])
    assert kept(load_data("mine"))["train"] <= {pixels.transpose(2, 0, 1).tobytes() for pixels in upright}


def test_damaged_exif_says_nothing_of_the_pixels(tmp_path: Path, data_root: Path) -> None:
    spoilt = oriented(6, "webp", 9).replace(b"MM\x00*", b"XX\x00*")
    assert spoilt != oriented(6, "webp", 9)
    report = add(zipped(tmp_path / "x.zip", {**good(), "a/9.webp": spoilt}), "mine", size=(4, 6))
    assert report.images == 9 and report.left_out == ()


def test_equal_pixels_in_two_splits_are_found_whatever_the_file(tmp_path: Path, data_root: Path) -> None:
    same = noise(100, 6, 8, 3)  # train/b/0.png
    files = {**PARTED, "test/a/copy.bmp": encoded(same, "bmp"), "test/b/again.png": encoded(same)}
    report = add(unpacked(tmp_path / "x", files), "mine")
    assert report.across == (("train/b/0.png", "test/a/copy.bmp"),) and report.across_count == 1
    assert report.repeated == 1
    assert load_data("mine").note == "images in two splits: 1"
    assert add(unpacked(tmp_path / "y", PARTED), "whole").across_count == 0 and load_data("whole").note == ""


FEW = {
    "one class": (good("a"), r"^Classes with images: 1; at least 2 are needed$"),
    "two images": ({**good("a", 3), **good("b", 2)}, r"^Class 'b' has 2 images in train; at least 3 are needed$"),
    "a class without test": ({**PARTED, **good("c", 3, "train/")}, r"^Class 'c' has 0 images in test; at least 1 are"),
    "a class without training": ({**PARTED, **good("c", 3, "test/")}, r"^Class 'c' has 0 images in train; at least 2"),
    "one too many spoilt": (
        {**good("ab", 2), "a/2.png": encoded(noise(0, 6, 8, 3)), "b/2.png": encoded(noise(0, 6, 8, 3))[:70]},
        r"^Class 'b' has 2 images in train; at least 3 are needed; 1 files were left out, the first: 'b/2.png' is not",
    ),
    "no images": (
        {"a/x.txt": b"", "b/y.txt": b""},
        r"^Classes with images: 0; .*; 2 files were left out, the first: '",
    ),
}


@pytest.mark.parametrize("case", FEW)
def test_sets_too_small_are_refused_and_leave_nothing(case: str, tmp_path: Path, data_root: Path) -> None:
    files, line = FEW[case]
    with pytest.raises(UserError, match=line) as fault:
        add(unpacked(tmp_path / "x", files), "mine")
    assert "\n" not in str(fault.value) and own_names() == () and not list(data_root.iterdir())


def test_pixels_that_would_fill_the_memory_are_refused(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked(tmp_path / "x", good())
    monkeypatch.setattr(module, "MAX_BYTES", 8 * 3 * 6 * 8 - 1)
    with pytest.raises(UserError, match=r"^8 images of 8×6 would take .*: ask for a smaller size, such as 32x32$"):
        add(tmp_path / "x", "mine")
    assert add(tmp_path / "x", "mine", size=(3, 4)).images == 8


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".x", "x" * 65, "a\nb", "ä", "/etc/x"])
def test_names_are_plain_as_those_of_studies(name: str, tmp_path: Path, data_root: Path) -> None:
    with pytest.raises(UserError, match=r"^name is .*; it must be 1 to 64 letters, digits, spaces, dots, _ or -$"):
        add(unpacked(tmp_path / "x", good()), name)


@pytest.mark.parametrize("name", [*DATASETS, "add", "rm"])
def test_names_that_mean_something_are_not_given_away(name: str, tmp_path: Path, data_root: Path) -> None:
    with pytest.raises(
        UserError, match=f"^name is '{name}', which has a meaning of its own; choose another than digits"
    ):
        add(unpacked(tmp_path / "x", good()), name)


def test_a_name_is_given_once_until_it_is_free_again(tmp_path: Path, data_root: Path) -> None:
    unpacked(tmp_path / "x", good())
    for name in ("my cats", "v1.0"):
        add(tmp_path / "x", name)
    with pytest.raises(UserError, match=r"^There is a data set 'v1.0' already; choose another name, or delete that"):
        add(tmp_path / "x", "v1.0")
    assert own_names() == ("my cats", "v1.0") and [*sources()][-2:] == ["my cats", "v1.0"]
    remove("v1.0")
    assert own_names() == ("my cats",)
    with pytest.raises(UserError, match=r"^Unknown data set 'v1.0'; choose one of: digits, .*, my cats$"):
        load_data("v1.0")
    for name in ("digits", "../own/my cats", "/etc/passwd"):
        with pytest.raises(UserError, match=rf"^Unknown data set of your own '{name}'.*; choose one of: my cats$"):
            remove(name)
    remove("my cats")
    with pytest.raises(UserError, match=r"^There is no data set of your own in .*; make one with: espalier data add$"):
        remove("my cats")


@pytest.mark.parametrize("given", ["nowhere", "x.txt", "a\0b"])
def test_what_is_no_folder_zip_or_table_is_one_line(given: str, tmp_path: Path, data_root: Path) -> None:
    (tmp_path / "x.txt").write_text("path,label")
    with pytest.raises(UserError, match=r"(No folder, .zip or .csv can be read at|ends in neither .zip nor .csv)"):
        add(tmp_path / given, "mine")


def test_the_report_is_kept_with_the_images(tmp_path: Path, data_root: Path) -> None:
    report = add(unpacked(tmp_path / "x", {**PARTED, "train/a/x.png": b""}), "mine")
    assert own_report("mine") == report and report.left_out_count == 1
    assert json.loads(json.dumps(dataclasses.asdict(report)))["counts"] == {"train": [6, 6], "test": [3, 3]}


def test_very_many_files_that_are_left_out_are_counted(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "LISTED", 2)
    report = add(unpacked(tmp_path / "x", {**good(), **{f"a/{i}.txt": b"" for i in range(5)}}), "mine")
    assert len(report.left_out) == 2 and report.left_out_count == 5


@pytest.mark.parametrize("spoil", [b"", b"x" * 100, None])
def test_a_damaged_file_is_one_line_and_can_be_removed(spoil: bytes | None, tmp_path: Path, data_root: Path) -> None:
    add(unpacked(tmp_path / "x", good()), "mine")
    path = data_root / "own" / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:-9] if spoil is None else spoil)
    with pytest.raises(UserError, match=r"^The file of data set 'mine' is damaged; remove it with: espalier data rm"):
        load_data("mine")
    assert "is damaged" in sources()["mine"].sentence
    remove("mine")
    assert own_names() == ()


def test_a_model_is_shown_the_images_that_have_the_name_now(tmp_path: Path, data_root: Path) -> None:
    net = tmp_path / "net.safetensors"
    blueprint = Blueprint("mlp", {"inputs": 144, "hidden": (4,), "classes": 2}, (3, 6, 8))
    save_weights(blueprint.build(), blueprint, net)
    recipe = Recipe(model=str(net), data="mine")
    study = Study(name="s", model=str(net), data="mine", recipes={"r": ()})
    keys, shown = [], []
    for first in (0, 50, 0):
        add(unpacked(tmp_path / str(first), good(first=first)), "mine")
        shown.append(kept(load_subject(str(net), "mine").dataset))
        keys.append(key_of(recipe, study))
        remove("mine")
    assert shown[0] == shown[2] != shown[1]
    assert keys[0] == keys[2] != keys[1]
