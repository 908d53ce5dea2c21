"""Tables of paths and labels: which lines are read, which are left out, and what no table can point at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compression.data import found
from compression.data.adding import add
from compression.registry import UserError
from tests.data.given import encoded, good, noise, unpacked

LINES = [f"{name},{name[0]}" for name in good()]


@pytest.fixture
def folder(tmp_path: Path, data_root: Path) -> Path:
    """Eight images of two classes, and one outside."""
    unpacked(tmp_path, {"outside.png": encoded(noise(5, 6, 8, 3))})
    return unpacked(tmp_path / "own", good())


def write(folder: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> Path:
    (folder / "t.csv").write_bytes(end.join(lines).encode(encoding))
    return folder / "t.csv"


def test_relative_and_absolute_paths_within_the_folder_are_read(folder: Path) -> None:
    lines = ["path,label", *LINES[:4], *(f"{folder}/{line}" for line in LINES[4:])]
    report = add(write(folder, lines), "mine")
    assert (report.classes, report.counts, report.left_out) == (("a", "b"), {"train": (4, 4)}, ())


OUTSIDE = ["../outside.png", "a/../../outside.png", "/etc/passwd.png", "{parent}/outside.png", "../../nowhere.png",
           "link.png", "b/../../own2/x.png"]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_that_leave_the_folder_are_left_out(folder: Path, path: str) -> None:
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    path = path.format(parent=folder.parent)
    report = add(write(folder, ["path,label", *LINES, f"{path},a"]), "mine")
    assert report.images == 8 and report.left_out == ((path, "lies outside the table's folder"),)


BAD = {
    "a/9.png,a": "cannot be read (No such file or directory)",
    "a,a": "is no plain file",
    ",a": "is no plain file",
    "a/n.txt,a": "is no image by its name",
    "a/0\0.png,a": "cannot be read (no file can be called so)",
    "loop.png,a": "cannot be read (",
    "a/x.png,": "has no label",
    "a/x.png": "has no label",
    "a/x.png,a/b": "is of a class that has a slash in its name",
    "a/x.png,..": "is of a class that has a name that leads elsewhere",
    "a/x.png,a\u202eb": "is of a class that has invisible characters in its name",
    f"a/x.png,{'a' * 300}": "is of a class that has a name of more than 255 characters",
    "a/0.png,b": "occurs twice",
}


@pytest.mark.parametrize("line", BAD, ids=ascii)
def test_a_line_that_cannot_be_read_is_left_out(folder: Path, line: str) -> None:
    unpacked(folder, {"a/n.txt": b"", "a/x.png": encoded(noise(5, 6, 8, 3))})
    (folder / "loop.png").symlink_to(folder / "loop.png")
    report = add(write(folder, ["path,label", *LINES, line]), "mine")
    assert report.images == 8 and report.left_out_count == 1
    assert BAD[line] in report.left_out[0].reason


def test_a_column_says_the_split(folder: Path) -> None:
    splits = ["train", "Training", "", "test"] * 2
    lines = ["label,split,path", *(f"{name[0]},{split},{name}" for name, split in zip(good(), splits, strict=True))]
    assert add(write(folder, lines), "mine").counts == {"train": (3, 3), "test": (1, 1)}
    report = add(write(folder, [*lines, "a,all,a/x.png"]), "other")
    assert report.left_out[0].reason.startswith("cannot be read")
    unpacked(folder, {"a/x.png": encoded(noise(5, 6, 8, 3))})
    report = add(write(folder, [*lines, "a,all,a/x.png"]), "third")
    assert report.left_out == (("a/x.png", "is of split 'all'; it must be train, val or test"),)


@pytest.mark.parametrize(
    ("encoding", "end", "delimiter"),
    [
        ("utf-8", "\n", ","),
        ("utf-8-sig", "\r\n", ";"),
        ("utf-16", "\r\n", "\t"),
        ("cp1252", "\r\n", ";"),
        ("utf-8", "\r", ","),
    ],
)
def test_encodings_quotes_and_delimiters_of_spreadsheets_are_read(
    folder: Path, encoding: str, end: str, delimiter: str
) -> None:
    unpacked(folder, {f'a, "big" größe {i}.png': encoded(noise(i, 6, 8, 3)) for i in range(3)})
    quoted = [f'"a, ""big"" größe {i}.png"{delimiter}"süß, ; salzig"' for i in range(3)]
    header = delimiter.join(("path", '"Label"', "notes"))
    lines = [header, *(line.replace(",", delimiter) for line in LINES), *quoted, ""]
    report = add(write(folder, lines, encoding, end), "mine")
    assert report.left_out == () and report.counts == {"train": (4, 4, 3)}
    assert report.classes == ("a", "b", "süß, ; salzig")


REFUSED = {
    b"": r"t.csv' begins with ''; its first line must be path,label or path,label,split$",
    b"a/0.png,a\n": r"t.csv' begins with 'a/0.png,a'; its first line must be path,label",
    b"\x89PNG\r\n\x1a\n": r"t.csv' begins with ",
    b"\x81\x8d\xff": r"t.csv' is not text in UTF-8, UTF-16 or Windows-1252$",
    b"\xff\xfe\x00": r"t.csv' is not text in UTF-8, UTF-16 or Windows-1252$",
    b'path,label\n"a/0.png,a\n': r"t.csv' is not a table that can be read \(unexpected end of data\)$",
    b"path,label\n" + b"x" * 200_000: r"t.csv' is not a table that can be read \(field larger than field limit",
    b"path,label\n": r"^Classes with images: 0; at least 2 are needed$",
}


@pytest.mark.parametrize("content", REFUSED, ids=lambda content: repr(content[:12]))
def test_what_is_no_table_is_one_line(folder: Path, content: bytes) -> None:
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=REFUSED[content]) as fault:
        add(folder / "t.csv", "mine")
    assert re.fullmatch(r"[^\n]+", str(fault.value))


def test_a_table_of_more_lines_than_are_read_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "MOST_FILES", 7)
    with pytest.raises(UserError, match=r"t.csv' has more lines than 7$"):
        add(write(folder, ["path,label", *LINES]), "mine")
