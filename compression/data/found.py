"""What a folder, a zip or a table of paths and labels holds: images with class and split, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

from compression.data.archive import MOST_FILES, in_zip, mode_fault, zip_opened
from compression.data.names import File, Item, LeftOut, classified, fault_of, kind_fault, once, passed_over
from compression.data.tables import in_folder_table, in_zip_table, table_of
from compression.registry import UserError, quoted


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
            yield _packed(archive)
    elif path.suffix.lower() == ".csv":
        yield in_folder_table(path)
    else:
        raise UserError(f"{quoted(str(path))} is not a folder of images, and ends in neither .zip nor .csv")


def _packed(archive: ZipFile) -> tuple[list[Item], list[LeftOut]]:
    """The images of a zip: those that its table names where it has one at its top, else those in class folders."""
    files, tables, left_out = in_zip(archive)
    table, others = table_of(files, tables)
    if not table:
        return _sorted(files, [*others, *left_out])
    files, twice = once(files)
    items, unnamed = in_zip_table(table, files, [*others, *left_out, *twice])
    return items, [*others, *left_out, *twice, *unnamed]


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
