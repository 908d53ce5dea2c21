"""Tables of paths and labels: which lines are read, which are left out, and what no table can point at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compression.data import tables
from compression.data.adding import add
from compression.registry import UserError
from tests.data.given import encoded, good, noise, unpacked, zipped

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
    monkeypatch.setattr(tables, "MOST_FILES", 7)
    with pytest.raises(UserError, match=r"t.csv' has more lines than 7$"):
        add(write(folder, ["path,label", *LINES]), "mine")


# In a zip

LOOSE = {f"{name.replace('/', ' ')}": content for name, content in good().items()}
NAMED = "\n".join(["path,label", *(f"{name},{name[0]}" for name in LOOSE)])


@pytest.mark.parametrize("folder", ["", "outer/", "outer/inner/"])
def test_a_zip_may_have_its_table_at_its_top(folder: str, tmp_path: Path, data_root: Path) -> None:
    files = {folder + name: content for name, content in (LOOSE | {"labels.csv": NAMED.encode()}).items()}
    report = add(zipped(tmp_path / "z.zip", files | {"__MACOSX/._labels.csv": b"", ".DS_Store": b""}), "mine")
    assert (report.classes, report.counts, report.left_out) == (("a", "b"), {"train": (4, 4)}, ())


def test_a_zips_table_says_class_and_split_whatever_its_folders_say(tmp_path: Path, data_root: Path) -> None:
    files = {f"x/{name}": content for name, content in good().items()}
    lines = [f"./{name},{'ba'[i % 2]},{'test' if i > 5 else 'train'}" for i, name in enumerate(files)]
    report = add(zipped(tmp_path / "z.zip", files | table("path,label,split", *lines)), "mine")
    assert report.counts == {"train": (3, 3), "test": (1, 1)}


def table(*lines: str) -> dict[str, bytes]:
    return {"t.csv": "\n".join(lines).encode()}


IN_ZIP = {
    "../outside.png": "has a name that leads elsewhere",
    "/etc/passwd.png": "has an absolute name; names within the data set are read",
    "C:/x.png": "has an absolute name; names within the data set are read",
    "a\\0.png": "has a backslash in its name, or what looks like a slash",
    "a/\u202egnp.png": "has invisible characters in its name",
    "nowhere.png": "is not in the zip",
    "t.csv": "is not in the zip",
    "": "has a name that leads elsewhere",
}


@pytest.mark.parametrize("path", IN_ZIP, ids=ascii)
def test_a_path_in_a_zips_table_leads_to_an_image_of_the_zip_or_nowhere(
    path: str, tmp_path: Path, data_root: Path
) -> None:
    unpacked(tmp_path, {"outside.png": encoded(noise(5, 6, 8, 3))})
    report = add(zipped(tmp_path / "z.zip", LOOSE | {"t.csv": f"{NAMED}\n{path},a".encode()}), "mine")
    assert report.images == 8 and report.left_out == ((path, IN_ZIP[path]),)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "has no label"),
        ("../c", "is of a class that has a name that leads elsewhere"),
        ("c/d", "is of a class that has a slash in its name"),
    ],
)
def test_a_class_in_a_zips_table_is_a_plain_name(label: str, reason: str, tmp_path: Path, data_root: Path) -> None:
    files = LOOSE | {"x.png": encoded(noise(5, 6, 8, 3)), "t.csv": f"{NAMED}\nx.png,{label}".encode()}
    assert add(zipped(tmp_path / "z.zip", files), "mine").left_out == (("x.png", reason),)


def test_what_a_zips_table_does_not_name_is_left_out_and_faults_are_told_once(tmp_path: Path, data_root: Path) -> None:
    more = {"x.png": encoded(noise(5, 6, 8, 3)), "n.txt": b"", "deep/t.csv": b"path,label", "broken.png": b"MZ"}
    lines = "n.txt,a\nbroken.png,a\na 0.png,b"
    files = LOOSE | more | {"t.csv": f"{NAMED}\n{lines}".encode()}
    report = add(zipped(tmp_path / "z.zip", files), "mine")
    found = dict(report.left_out)
    assert report.images == 8 and report.left_out_count == len(found) == 5
    assert found["x.png"] == "is not in the table" and found["a 0.png"] == "occurs twice"
    assert found["deep/t.csv"] == "is a table, which counts at the top of a zip"
    assert "is no image by its name" in found["n.txt"] and "cannot identify" in found["broken.png"]


def test_a_table_that_cannot_be_read_leaves_a_zip_of_class_folders_as_it_is(tmp_path: Path, data_root: Path) -> None:
    report = add(zipped(tmp_path / "z.zip", good() | {"t.csv": b"\x81\x8d\xff"}), "mine")
    assert report.images == 8
    assert report.left_out == (("t.csv", "is not text in UTF-8, UTF-16 or Windows-1252"),)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"a.csv": b"path,label", "b.csv": b"path,label"},
            "^A zip has one table of paths and labels at its top; this ",
        ),
        ({"t.csv": b'path,label\n"a 0.png,a\n'}, r"^'t.csv' is not a table that can be read \(unexpected end of data"),
        (
            {"t.csv": b"path,label\n"},
            "^Classes with images: 0; at least 2 are needed; 8 files were left out, the first",
        ),
    ],
)
def test_a_zip_whose_table_makes_no_set_is_one_line(
    more: dict[str, bytes], words: str, tmp_path: Path, data_root: Path
) -> None:
    with pytest.raises(UserError, match=words):
        add(zipped(tmp_path / "z.zip", LOOSE | more), "mine")
