"""What strangers send: each fault is one line or leaves one file out, nothing else is written, memory is bounded."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compression.data import archive, found
from compression.data.adding import add
from compression.data.names import said
from compression.registry import UserError
from tests.data.given import encoded, good, noise, png, unpacked, zipped

IMAGE = encoded(noise(9, 6, 8, 3))
Spoil = Callable[[bytes], bytes]


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    return entry


def packed(name: str, method: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.compress_type = method
    return entry


def inner() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("a/evil.png", IMAGE)
    return content.getvalue()


def tiff() -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.ones((4, 6), dtype=np.float32)).save(content, format="TIFF")
    return content.getvalue()


NAMES = {
    "../evil.png": "leads elsewhere",
    "a/../../evil.png": "leads elsewhere",
    "a/./evil.png": "leads elsewhere",
    "a//evil.png": "leads elsewhere",
    "/etc/evil.png": "absolute name",
    "//server/share/evil.png": "absolute name",
    "C:/evil.png": "absolute name",
    "C:\\evil.png": "backslash",
    "..\\..\\evil.png": "backslash",
    "\\\\server\\evil.png": "backslash",
    "a/\u2025/evil.png": "leads elsewhere",
    "a/\uff0e\uff0e/evil.png": "leads elsewhere",
    "a/\u2024\u2024/evil.png": "leads elsewhere",
    "\uff0e\uff0e\uff0fevil.png": "looks like a slash",
    "..\u2215evil.png": "looks like a slash",
    "a/gnp.\u202eevil.png": "invisible characters",
    "a/\u200fevil.png": "invisible characters",
    "a/evil\n.png": "invisible characters",
    "a/evil\x1b[2J.png": "invisible characters",
    f"a/{'x' * 300}.png": "more than 255 characters",
    "d/" * 25 + "evil.png": "more than 20 folders deep",
}


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_entry_whose_name_means_harm_is_left_out(name: str, tmp_path: Path, data_root: Path) -> None:
    path = zipped(tmp_path / "x.zip", {**good(), name: IMAGE})
    before = tree(tmp_path)
    report = add(path, "mine", size=(6, 8))
    assert report.images == 8 and report.left_out_count == 1
    assert NAMES[name] in report.left_out[0].reason
    line = said(report.left_out[0])
    assert line.isprintable() and len(line) < 200
    assert tree(tmp_path) - before == {"data-root/own", "data-root/own/mine.safetensors"}


CONTENTS: dict[str, tuple[str | zipfile.ZipInfo, bytes, str]] = {
    "link": (special("a/evil.png", stat.S_IFLNK | 0o777), b"/etc/passwd", "is a link"),
    "pipe": (special("a/evil.png", stat.S_IFIFO | 0o666), b"", "is no plain file"),
    "device": (special("a/evil.png", stat.S_IFCHR | 0o666), IMAGE, "is no plain file"),
    "bzip2": (packed("a/evil.png", zipfile.ZIP_BZIP2), IMAGE, "packed otherwise than by deflate"),
    "lzma": (packed("a/evil.png", zipfile.ZIP_LZMA), IMAGE, "packed otherwise than by deflate"),
    "a zip within": ("a/evil.zip", inner(), "archives within a data set are not opened"),
    "a zip called an image": ("a/evil.png", inner(), r"cannot identify its format"),
    "a page called an image": ("a/evil.jpg", b"<html></html>", "cannot identify its format"),
    "a script": ("a/evil.svg", b"<svg onload='x()'/>", "is no image by its name"),
    "nothing": ("a/evil.png", b"", "cannot identify its format"),
    "cut short": ("a/evil.png", IMAGE[:60], "is not a readable image"),
    "a photograph cut short": ("a/evil.jpg", encoded(noise(0, 90, 90, 3), "jpeg")[:2000], "truncated"),
    "81 megapixels": ("a/evil.png", png(9000, 9000), "has 9000×9000 pixels; at most 25,000,000 are read"),
    "100 megapixels": ("a/evil.png", png(10_000, 10_000), "has 10000×10000 pixels; at most 25,000,000"),
    "400 megapixels": ("a/evil.png", png(20_000, 20_000), "is not a readable image (Image size (400000000 pixels)"),
    "one row of 30 megapixels": ("a/evil.png", png(1, 30_000_000), "at most 25,000,000 are read"),
    "floats": ("a/evil.tif", tiff(), "has 32 bits a pixel"),
    "postscript": ("a/evil.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot identify its format"),
    "in no class": ("evil.png", IMAGE, "lies in no class folder"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_an_entry_that_is_no_plain_image_is_left_out(case: str, tmp_path: Path, data_root: Path) -> None:
    name, content, reason = CONTENTS[case]
    path = zipped(tmp_path / "x.zip", {**good(), name: content})
    before = tree(tmp_path)
    report = add(path, "mine", size=(6, 8))
    assert report.images == 8 and report.left_out_count == 1
    assert reason in report.left_out[0].reason and "\n" not in report.left_out[0].reason
    assert tree(tmp_path) - before == {"data-root/own", "data-root/own/mine.safetensors"}


def zero_in_a_name(content: bytes) -> bytes:
    return content.replace(b"a/evil.png", b"a/evil.p\0g")


def other_name_in_the_header(content: bytes) -> bytes:
    return content.replace(b"a/evil.png", b"a/good.png", 1)


def encrypted(content: bytes) -> bytes:
    return directory_field(content, 8, b"\x01\x00")


def strongly_encrypted(content: bytes) -> bytes:
    return directory_field(content, 8, b"\x41\x00")


def fewer_bytes_than_there_are(content: bytes) -> bytes:
    return directory_field(content, 24, struct.pack("<L", 50))


def too_many_bytes(content: bytes) -> bytes:
    return directory_field(content, 24, struct.pack("<L", 101_000_000))


def header_beyond_the_end(content: bytes) -> bytes:
    return directory_field(content, 42, struct.pack("<L", 10_000_000))


def wrong_sum(content: bytes) -> bytes:
    return directory_field(content, 16, b"\0\0\0\0")


def directory_field(content: bytes, offset: int, value: bytes) -> bytes:
    """The table of contents with a field of the entry of a/evil.png changed."""
    start = content.rindex(b"PK\x01\x02", 0, content.rindex(b"a/evil.png")) + offset
    return content[:start] + value + content[start + len(value) :]


SPOILS: dict[Spoil, str] = {
    zero_in_a_name: "invisible characters",
    other_name_in_the_header: "cannot be unpacked (File name in directory",
    encrypted: "is encrypted",
    strongly_encrypted: "is encrypted",
    fewer_bytes_than_there_are: "cannot be unpacked (Bad CRC-32",
    too_many_bytes: "has 101,000,000 bytes; at most 100,000,000 are read",
    header_beyond_the_end: "cannot be unpacked (",
    wrong_sum: "cannot be unpacked (Bad CRC-32",
}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__)
def test_an_entry_whose_headers_lie_is_left_out(
    spoil: Spoil, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "RATIO", 1e6)
    path = zipped(tmp_path / "x.zip", {**good(), "a/evil.png": IMAGE})
    path.write_bytes(spoil(path.read_bytes()))
    before = tree(tmp_path)
    report = add(path, "mine")
    assert report.images == 8 and report.left_out_count == 1
    assert tree(tmp_path) - before == {"data-root/own", "data-root/own/mine.safetensors"}
    assert SPOILS[spoil] in report.left_out[0].reason


def test_of_two_entries_with_one_name_the_first_is_read(tmp_path: Path, data_root: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(zipped(path, good()), "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("a/0.png", IMAGE)
    assert add(path, "mine").left_out == (("a/0.png", "occurs twice"),)


def test_a_picture_that_is_a_zip_too_is_a_picture_and_no_zip(tmp_path: Path, data_root: Path) -> None:
    both = IMAGE + inner()
    assert zipfile.is_zipfile(io.BytesIO(both))
    report = add(zipped(tmp_path / "x.zip", {**good(), "a/evil.png": both}), "mine")
    assert report.images == 9 and not report.left_out
    (tmp_path / "y.zip").write_bytes(both)
    with pytest.raises(UserError, match=r"y.zip' is not a zip file: it begins as something else$"):
        add(tmp_path / "y.zip", "other")


def overlapping() -> bytes:
    """Two hundred entries that are all the same megabyte of zeros."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/0.png", bytes(2**20))
    whole = content.getvalue()
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    directory = whole[start:end] * 200
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 200, 200, len(directory), start, 0)
    return whole[:start] + directory + tail


def bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/0.png", bytes(20 * 2**20))
    return content.getvalue()


REFUSED: dict[str, tuple[bytes, str]] = {
    "text": (b"not a zip at all", "is not a zip file"),
    "nothing": (b"", "is not a zip file"),
    "a gzip": (gzip.compress(b"x"), "is not a zip file"),
    "an image": (IMAGE, "is not a zip file"),
    "cut short": (inner()[:-30], "is not a readable zip file"),
    "only the beginning": (b"PK\x03\x04", "is not a readable zip file"),
    "no entries": (b"PK\x05\x06" + bytes(18), "Classes with images: 0; at least 2 are needed"),
    "a bomb": (bomb(), "times its size, as zip bombs do; at most 200 are read"),
    "entries that overlap": (overlapping(), "times its size, as zip bombs do; at most 200 are read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_sound_zip_is_one_line(case: str, tmp_path: Path, data_root: Path) -> None:
    content, reason = REFUSED[case]
    (tmp_path / "x.zip").write_bytes(content)
    before = tree(tmp_path)
    with pytest.raises(UserError) as fault:
        add(tmp_path / "x.zip", "mine")
    assert reason in str(fault.value) and "\n" not in str(fault.value)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("bound", "least", "reason"),
    [
        ("MOST_FILES", 8, "has 8 entries; at most 7 are read"),
        ("UNPACKED_BYTES", sum(map(len, good().values())), "unpacks to 1,"),
        ("DIRECTORY_BYTES", 8 * (46 + len("a/0.png")), "has a table of contents of 424 bytes; at most 423 are read"),
    ],
)
def test_the_bounds_of_a_zip_are_kept(
    bound: str, least: int, reason: str, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "x.zip", good())
    monkeypatch.setattr(archive, bound, least - 1)
    with pytest.raises(UserError) as fault:
        add(path, "mine")
    assert reason in str(fault.value)
    monkeypatch.setattr(archive, bound, least)
    assert add(path, "mine").images == 8, "exactly what is allowed is read"


def test_links_and_pipes_of_a_folder_are_left_out(tmp_path: Path, data_root: Path) -> None:
    root = unpacked(tmp_path / "own", good())
    secret = unpacked(tmp_path / "secret", good("z"))
    (root / "a" / "link.png").symlink_to(secret / "z" / "0.png")
    (root / "c").symlink_to(secret / "z", target_is_directory=True)
    os.mkfifo(root / "a" / "pipe.png")
    report = add(root, "mine")
    assert report.classes == ("a", "b") and report.images == 8
    assert {name: reason.split(",")[0] for name, reason in report.left_out} == {
        "a/link.png": "is a link", "c": "is a link", "a/pipe.png": "is no plain file",
    }  # fmt: skip


def test_a_folder_of_more_files_than_are_read_is_one_line(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = unpacked(tmp_path / "own", good())
    monkeypatch.setattr(found, "MOST_FILES", 7)
    with pytest.raises(UserError, match=r"own' has more files than 7$"):
        add(root, "mine")


PEAK = """
import resource, sys
from pathlib import Path
from compression.data.adding import add
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
add(Path(sys.argv[1]), "small")
before = peak()
report = add(Path(sys.argv[2]), "large", size=(8, 8))
print(peak() - before, report.images, report.left_out_count)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is the system's own")
def test_memory_holds_one_image_at_a_time_and_no_more_than_an_entry_says(tmp_path: Path, data_root: Path) -> None:
    large = png(4000, 6000, bytes(4000 * 6001))
    # Ten of 24 megapixels, 240 MB when held together, and 400 MB of zeros that are said to be 50 bytes.
    files = {**good(), **{f"a/large{i}.png": large for i in range(10)}, "a/evil.png": bytes(400_000_000)}
    path = zipped(tmp_path / "large.zip", files)
    path.write_bytes(fewer_bytes_than_there_are(path.read_bytes()))
    command = [sys.executable, "-c", PEAK, str(zipped(tmp_path / "small.zip", good())), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown, images, left_out = map(int, done.stdout.split())
    assert (images, left_out) == (18, 1)
    assert grown < 160


def test_a_name_that_is_no_text_is_kept_as_text(tmp_path: Path, data_root: Path) -> None:
    root = unpacked(tmp_path / "own", good())
    Path(os.fsdecode(os.fsencode(root) + b"/a/\xff\xfe.png")).write_bytes(IMAGE)
    report = add(root, "mine")
    assert report.left_out == (("a/\\udcff\\udcfe.png", "has invisible characters in its name"),)
