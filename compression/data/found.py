"""What a folder, a zip or a table of paths and labels holds: images with class and split, and what is left out."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from compression.data.archive import FILE_BYTES, MOST_FILES, in_zip, mode_fault, zip_opened
from compression.data.names import (
    SPLIT_NAMES,
    File,
    Item,
    LeftOut,
    classified,
    fault_of,
    kind_fault,
    label_fault,
    once,
    passed_over,
)
from compression.registry import UserError, quoted

COLUMNS = "path,label or path,label,split"
DELIMITERS = ",;\t"


@contextmanager
def found(path: Path) -> Iterator[tuple[list[Item], list[LeftOut]]]:
    """The images of a folder, of a .zip or of a .csv, in an order that does not depend on the system.

    Raises:
        UserError: there is nothing of that name, it is none of the three, or beyond the bounds of
            ``archive``.
    """
    if os.path.isdir(path):
        yield _sorted(*_in_folder(path))
    elif not os.path.isfile(path):
        raise UserError(f"No folder, .zip or .csv can be read at {quoted(str(path))}")
    elif path.suffix.lower() == ".zip":
        with zip_opened(path) as archive:
            yield _sorted(*in_zip(archive))
    elif path.suffix.lower() == ".csv":
        yield _in_table(path)
    else:
        raise UserError(f"{quoted(str(path))} is not a folder of images, and ends in neither .zip nor .csv")


def _sorted(files: list[File], left_out: list[LeftOut]) -> tuple[list[Item], list[LeftOut]]:
    files, twice = once(sorted(files, key=lambda file: file.name))
    items, loose = classified(files)
    return items, [*left_out, *twice, *loose]


def _in_folder(root: Path) -> tuple[list[File], list[LeftOut]]:
    files: list[File] = []
    left_out: list[LeftOut] = []

    def unreadable(fault: OSError) -> None:
        left_out.append(LeftOut(os.path.relpath(fault.filename, root), f"cannot be read ({fault.strerror})"))

    for folder, subfolders, names in os.walk(root, onerror=unreadable):
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for path in (os.path.join(folder, name) for name in (*names, *links)):
            name = os.path.relpath(path, root)
            if passed_over(name):
                continue
            facts = os.lstat(path)
            fault = fault_of(name) or mode_fault(facts.st_mode, facts.st_size) or kind_fault(name)
            if fault:
                left_out.append(LeftOut(name, fault))
            else:
                files.append(File(name, _reader(path)))
        subfolders[:] = [name for name in subfolders if not passed_over(name)]
        if not names and not subfolders and folder != str(root):
            left_out.append(LeftOut(f"{os.path.relpath(folder, root)}/", "is an empty folder"))
        if len(files) + len(left_out) > MOST_FILES:
            raise UserError(f"{quoted(str(root))} has more files than {MOST_FILES:,}")
    return files, left_out


def _reader(path: Path | str) -> Callable[[], BinaryIO]:
    return lambda: open(path, "rb")


def _in_table(path: Path) -> tuple[list[Item], list[LeftOut]]:
    """A line an image: its path from the table's folder, its label and, where there is a column, its split."""
    items: list[Item] = []
    left_out: list[LeftOut] = []
    base = path.parent.resolve()
    for line in _lines(path):
        name, label = (line.get(column) or "" for column in ("path", "label"))
        split = SPLIT_NAMES.get((line.get("split") or "train").lower(), "")
        fault = _place_fault(base, name) or label_fault(label)
        if not split:
            fault = fault or f"is of split {quoted(line['split'])}; it must be train, val or test"
        if fault:
            left_out.append(LeftOut(name, fault))
        else:
            items.append(Item(name, split, unicodedata.normalize("NFC", label), _reader(base / name)))
    items, twice = once(items)
    return items, [*left_out, *twice]


def _place_fault(base: Path, name: str) -> str:
    """Why a path in a table is not followed: links are, as long as they end in the table's folder."""
    try:
        place = (base / name).resolve()
        facts = place.stat()
    except (OSError, ValueError, RuntimeError) as fault:  # no such file, a zero byte, links in a ring
        inside = "\0" in name or (base / os.path.normpath(base / name)).is_relative_to(base)
        reason = getattr(fault, "strerror", None) or "no file can be called so"
        return f"cannot be read ({reason})" if inside else "lies outside the table's folder"
    if not place.is_relative_to(base):
        return "lies outside the table's folder"
    return mode_fault(facts.st_mode, facts.st_size) or kind_fault(name)


def _lines(path: Path) -> list[dict[str, str]]:
    text = io.StringIO(_text(path), newline=None)
    header = text.readline().lower().replace('"', "").strip()
    for delimiter in DELIMITERS:
        columns = [column.strip() for column in header.split(delimiter)]
        if {"path", "label"} <= set(columns):
            break
    else:
        raise UserError(f"{quoted(str(path))} begins with {quoted(header)}; its first line must be {COLUMNS}")
    lines = []
    try:
        for line in csv.DictReader(text, columns, delimiter=delimiter, strict=True):
            lines.append({key: value.strip() for key, value in line.items() if key and isinstance(value, str)})
            if len(lines) > MOST_FILES:
                raise UserError(f"{quoted(str(path))} has more lines than {MOST_FILES:,}")
    except csv.Error as fault:
        raise UserError(f"{quoted(str(path))} is not a table that can be read ({fault})") from None
    return lines


def _text(path: Path) -> str:
    """A table's text: UTF-8 or UTF-16 with its mark, else as Windows writes it in western Europe."""
    if path.stat().st_size > FILE_BYTES:
        raise UserError(f"{quoted(str(path))} has {path.stat().st_size:,} bytes; at most {FILE_BYTES:,} are read")
    content = path.read_bytes()
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except ValueError:
            continue
    raise UserError(f"{quoted(str(path))} is not text in UTF-8, UTF-16 or Windows-1252")
