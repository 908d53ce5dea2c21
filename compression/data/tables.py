"""Tables of paths and labels, beside their images in a folder or at the top of a zip."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from compression.data.archive import FILE_BYTES, MOST_FILES, mode_fault
from compression.data.names import SPLIT_NAMES, File, Item, LeftOut, fault_of, kind_fault, label_fault, once
from compression.registry import UserError, quoted

COLUMNS = "path,label or path,label,split"
DELIMITERS = ",;\t"
Line = dict[str, str]


def in_folder_table(path: Path) -> tuple[list[Item], list[LeftOut]]:
    """A line an image: its path from the table's folder, its label and, where there is a column, its split."""
    base, size = path.parent.resolve(), path.stat().st_size
    with _named(str(path)):
        if size > FILE_BYTES:
            raise UserError(f"has {size:,} bytes; at most {FILE_BYTES:,} are read")
        lines = _lines(path.read_bytes())
    return _items(lines, lambda name: _place_fault(base, name) or File(name, lambda: open(base / name, "rb")))


def table_of(files: Sequence[File], tables: Sequence[File]) -> tuple[File | None, list[LeftOut]]:
    """The table of a zip, in whose folder all of its files lie, and the others as left out.

    Raises:
        UserError: there are several.
    """
    top = os.path.commonprefix([file.name for file in (*files, *tables)])
    faults = {table: _table_fault(table, top) for table in tables}
    found = [table for table, fault in faults.items() if not fault]
    if len(found) > 1:
        names = " and ".join(quoted(table.name) for table in found[:2])
        raise UserError(f"A zip has one table of paths and labels at its top; this one has {names}")
    return (found[0] if found else None), [LeftOut(table.name, fault) for table, fault in faults.items() if fault]


def in_zip_table(table: File, files: Sequence[File], faulty: Sequence[LeftOut]) -> tuple[list[Item], list[LeftOut]]:
    """The images of a zip that its table names, and as left out those that it does not and lines that name none.

    ``faulty`` are left out already, and are not told again where the table names them.
    """
    there = {_composed(file.name): file for file in files}
    known, named = {_composed(one.name) for one in faulty}, set[str]()
    with _named(table.name):
        lines = _lines(table.opened().read())

    def whole(name: str) -> str:
        return _composed(_folder(table) + name.removeprefix("./"))

    def place(name: str) -> File | str:
        named.add(whole(name))
        return fault_of(name.removeprefix("./")) or there.get(whole(name)) or "is not in the zip"

    items, left_out = _items([line for line in lines if whole(line.get("path", "")) not in known], place)
    others = [LeftOut(file.name, "is not in the table") for name, file in there.items() if name not in named]
    return items, [*left_out, *others]


def _table_fault(table: File, top: str) -> str:
    """Why a file is not the table of a zip whose names all begin with ``top``; empty where it is."""
    if not top.startswith(_folder(table)):
        return "is a table, which counts at the top of a zip"
    try:
        columns, _ = _columns(_header(_text(table.opened().read())))
    except UserError as fault:
        return str(fault)
    return "" if columns else f"is a table whose first line is not {COLUMNS}"


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Put the table's name before what is wrong with it."""
    try:
        yield
    except UserError as fault:
        raise UserError(f"{quoted(what)} {fault}") from None


def _items(lines: Sequence[Line], place: Callable[[str], File | str]) -> tuple[list[Item], list[LeftOut]]:
    """What lines name; ``place`` gives the file of a path, or says why none is read."""
    items, left_out = list[Item](), list[LeftOut]()
    for line in lines:
        name, label = (line.get(column) or "" for column in ("path", "label"))
        split = SPLIT_NAMES.get((line.get("split") or "train").lower(), "")
        file = place(name)
        fault = file if isinstance(file, str) else label_fault(label)
        if not split:
            fault = fault or f"is of split {quoted(line['split'])}; it must be train, val or test"
        if fault or isinstance(file, str):
            left_out.append(LeftOut(name, fault))
        else:
            items.append(Item(file.name, split, _composed(label), file.opened))
    items, twice = once(items)
    return items, [*left_out, *twice]


def _folder(table: File) -> str:
    """Where a table lies, with a slash at its end; nothing where that is the top."""
    return table.name[: table.name.rfind("/") + 1]


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


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


def _header(text: io.StringIO) -> str:
    return text.readline().lower().replace('"', "").strip()


def _columns(header: str) -> tuple[list[str], str]:
    """The columns that a first line names, and what parts them; none where path and label are not among them."""
    for delimiter in DELIMITERS:
        columns = [column.strip() for column in header.split(delimiter)]
        if {"path", "label"} <= set(columns):
            return columns, delimiter
    return [], ""


def _lines(content: bytes) -> list[Line]:
    text = _text(content)
    header = _header(text)
    columns, delimiter = _columns(header)
    if not columns:
        raise UserError(f"begins with {quoted(header)}; its first line must be {COLUMNS}")
    lines = []
    try:
        for line in csv.DictReader(text, columns, delimiter=delimiter, strict=True):
            lines.append({key: value.strip() for key, value in line.items() if key and isinstance(value, str)})
            if len(lines) > MOST_FILES:
                raise UserError(f"has more lines than {MOST_FILES:,}")
    except csv.Error as fault:
        raise UserError(f"is not a table that can be read ({fault})") from None
    return lines


def _text(content: bytes) -> io.StringIO:
    """A table's text: UTF-8 or UTF-16 with its mark, else as Windows writes it in western Europe."""
    for encoding in ("utf-16",) if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "cp1252"):
        try:
            return io.StringIO(content.decode(encoding), newline=None)
        except ValueError:
            continue
    raise UserError("is not text in UTF-8, UTF-16 or Windows-1252")
