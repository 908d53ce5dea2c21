"""Names of files that strangers chose: which are followed, and what class and split they say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, NamedTuple, TypeVar

from compression.data.images import SUFFIXES
from compression.registry import quoted

LONGEST = 255
"""Characters of a file or folder name: what file systems allow."""
DEEPEST = 20
"""Folders within folders."""
SLASHES = "\\∕⁄⧸╱⟋∖⧵﹨／＼"
"""A backslash, and what looks like a slash."""
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what is not seen: control characters, marks of direction, halves of characters."""
LEAVINGS = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What Macs and Windows leave beside images."""
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""How folders and tables call the splits."""


class LeftOut(NamedTuple):
    """A file that is not in a data set, and why: a sentence without its subject."""

    name: str
    reason: str

    def plain(self) -> LeftOut:
        """The same with a name that is text of a bounded length, to be kept."""
        return LeftOut(self.name[:LONGEST].encode("utf-8", "backslashreplace").decode(), self.reason)


@dataclass(frozen=True)
class File:
    """A file with a plain name, and what opens it."""

    name: str
    opened: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Item:
    """A file that is to be an image of a class, in a split."""

    name: str
    split: str
    label: str
    opened: Callable[[], BinaryIO]


Named = TypeVar("Named", File, Item)


def said(left_out: LeftOut) -> str:
    """A file that is left out and why, as one line that a stranger's name cannot break."""
    return f"{quoted(left_out.name)} {left_out.reason}"


def fault_of(name: str) -> str:
    """Why a name with slashes is not followed; empty where it is plain.

    Nothing is ever written where such a name points; a name that tries is a sign that somebody means harm.
    """
    parts = unicodedata.normalize("NFKC", name).split("/")  # which turns characters that look like dots into dots
    if any(unicodedata.category(character) in HIDDEN for character in name):
        return "has invisible characters in its name"
    if any(slash in name for slash in SLASHES):
        return "has a backslash in its name, or what looks like a slash"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "has an absolute name; names within the data set are read"
    if not {"", ".", ".."}.isdisjoint(parts):
        return "has a name that leads elsewhere"
    if len(parts) > DEEPEST:
        return f"lies more than {DEEPEST} folders deep"
    if max(map(len, name.split("/"))) > LONGEST:
        return f"has a name of more than {LONGEST} characters"
    return ""


def passed_over(name: str) -> bool:
    """Whether a plain name is of a hidden file, or of what systems leave beside images."""
    return any(part.startswith(".") or part in LEAVINGS for part in name.split("/"))


def empty_folders(names: Iterable[str]) -> list[LeftOut]:
    """The folders among names, which end in a slash, that hold none of the others."""
    pairs = pairwise((*sorted(names), ""))  # what a folder holds comes right after it
    return [LeftOut(one, "is an empty folder") for one, held in pairs if one.endswith("/") and not held.startswith(one)]


def kind_fault(name: str) -> str:
    """Why a file is no image by its name; empty where it may be one."""
    name = name.lower()
    if name.endswith(ARCHIVES):
        return "is an archive, and archives within a data set are not opened"
    if name.endswith(".csv"):
        return "is a table, which is given by itself, beside its images"
    return "" if name.endswith(SUFFIXES) else f"is no image by its name ({', '.join(SUFFIXES)})"


def label_fault(label: str) -> str:
    """Why a class cannot be called so; empty where it can."""
    if not label:
        return "has no label"
    fault = fault_of(label) or ("has a slash in its name" if "/" in label else "")
    return fault and f"is of a class that {fault}"


def classified(files: Sequence[File]) -> tuple[list[Item], list[LeftOut]]:
    """Files in ``CLASS/…`` or ``SPLIT/CLASS/…`` as items; those in no class folder are left out.

    Outer folders that hold everything do not count: a zip of a folder has one. There are splits
    where ``train`` stands beside another of ``SPLIT_NAMES``; else all is ``train``.
    """
    paths = [tuple(unicodedata.normalize("NFC", file.name).split("/")) for file in files]
    depth = _wrapping(paths)
    tops = {SPLIT_NAMES.get(path[depth].lower()) for path in paths if len(path) > depth + 1}
    parted = "train" in tops and len(tops - {None}) > 1
    items, left_out = [], []
    for file, path in zip(files, paths, strict=True):
        folders = path[depth:-1]
        split = SPLIT_NAMES.get(folders[0].lower(), "") if parted and folders else "train"
        if not split:
            left_out.append(LeftOut(file.name, "lies in none of the folders of the splits"))
        elif len(folders) < 1 + parted:
            left_out.append(LeftOut(file.name, "lies in no class folder"))
        else:
            items.append(Item(file.name, split, folders[parted], file.opened))
    return items, left_out


def _wrapping(paths: Sequence[Sequence[str]]) -> int:
    """How many outer folders hold all classes; what lies loose beside the next one does not count."""
    for depth in range(DEEPEST):
        inner = [path for path in paths if len(path) > depth + 1]
        if len({path[depth] for path in inner}) != 1 or not any(len(path) > depth + 2 for path in inner):
            return depth
    return DEEPEST


def once(files: Iterable[Named]) -> tuple[list[Named], list[LeftOut]]:
    """The first file of each name, and the others as left out."""
    first: dict[str, Named] = {}
    left_out = []
    for file in files:
        if first.setdefault(file.name, file) is not file:
            left_out.append(LeftOut(file.name, "occurs twice"))
    return list(first.values()), left_out
