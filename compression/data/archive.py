"""A zip from a stranger, read image by image: nothing of it is ever unpacked onto the disk."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from compression.data.names import File, LeftOut, empty_folders, fault_of, kind_fault, passed_over
from compression.registry import UserError, in_a_line, quoted

MOST_FILES = 200_000
"""Entries of a zip, files of a folder, lines of a table."""
DIRECTORY_BYTES = 32 * 2**20
"""The largest table of contents, which is read before its entries can be counted."""
FILE_BYTES = 100_000_000
"""The largest file that is opened as an image: four bytes for each pixel that is allowed."""
UNPACKED_BYTES = 32 * 2**30
"""All entries together. They are never held together, but each takes its time."""
RATIO = 200
"""Unpacked bytes for each byte of the zip. Images hardly shrink; a bomb of one layer reaches 1,000."""
CHUNK = 2**20
ENCRYPTED = 0x1 | 0x40
"""The flags of an entry that needs a password."""


class Contents(io.BufferedReader):
    """A file of which no more is read at once than the largest table of contents."""

    def read(self, size: int | None = -1) -> bytes:
        """Read as files do. Raises UserError for more at once than ``DIRECTORY_BYTES``."""
        if size is not None and size > DIRECTORY_BYTES:
            raise UserError(f"has a table of contents of {size:,} bytes; at most {DIRECTORY_BYTES:,} are read")
        return super().read(size)


@contextmanager
def zip_opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip file with its table of contents read and found to be within bounds.

    Raises:
        UserError: it is none, it is damaged, or it is a bomb.
    """
    with Contents(io.FileIO(path)) as content:
        # A zip may stand at the end of anything, an image for one; then it is not what its name says.
        if content.read(4) not in (b"PK\x03\x04", b"PK\x05\x06"):
            raise UserError(f"{quoted(str(path))} is not a zip file: it begins as something else")
        try:
            archive = zipfile.ZipFile(content)
            _check(archive, path.stat().st_size)
        except UserError as fault:
            raise UserError(f"{quoted(str(path))} {fault}") from None
        except Exception as fault:  # hostile bytes make zipfile raise anything
            raise UserError(f"{quoted(str(path))} is not a readable zip file ({_line(fault)})") from None
        with archive:
            yield archive


def _check(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_FILES:
        raise UserError(f"has {len(entries):,} entries; at most {MOST_FILES:,} are read")
    if unpacked > UNPACKED_BYTES:
        raise UserError(f"unpacks to {unpacked:,} bytes; at most {UNPACKED_BYTES:,} are read")
    if unpacked > RATIO * size:
        raise UserError(f"unpacks to {unpacked / size:,.0f} times its size, as zip bombs do; at most {RATIO} are read")


def in_zip(archive: zipfile.ZipFile) -> tuple[list[File], list[File], list[LeftOut]]:
    """The entries that may be images, those that may be tables, and the others with the reason, but for hidden ones."""
    files, tables, left_out, names = list[File](), list[File](), list[LeftOut](), list[str]()
    for entry in archive.infolist():
        name = entry.orig_filename.removeprefix("./")  # zipfile cuts its own name off at a zero byte
        fault = fault_of(name.removesuffix("/"))
        if not fault and passed_over(name):
            continue
        names.append(name)
        if name.endswith("/") and not fault:
            continue
        is_table = name.lower().endswith(".csv")
        fault = fault or _entry_fault(entry) or ("" if is_table else kind_fault(name))
        if fault:
            left_out.append(LeftOut(name, fault))
        else:
            (tables if is_table else files).append(File(name, partial(_read, archive, entry)))
    return files, tables, [*left_out, *empty_folders(names)]


def _entry_fault(entry: zipfile.ZipInfo) -> str:
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed otherwise than by deflate"  # zipfile unpacks the others without a bound
    return mode_fault(entry.external_attr >> 16, entry.file_size)


def mode_fault(mode: int, size: int) -> str:
    """Why what has this mode and size is not opened as an image; empty where it is."""
    if stat.S_ISLNK(mode):
        return "is a link, and links are not followed"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is no plain file"
    return f"has {size:,} bytes; at most {FILE_BYTES:,} are read" if size > FILE_BYTES else ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    """An entry unpacked in memory, as many bytes as the table of contents says and no more.

    Raises:
        UserError: it is damaged.
    """
    content = io.BytesIO()
    try:
        with archive.open(entry) as packed:
            # In chunks: asked for all at once, zipfile unpacks without a bound what has more bytes than it says.
            while chunk := packed.read(CHUNK):
                content.write(chunk)
    except Exception as fault:  # hostile bytes make zipfile raise anything
        raise UserError(f"cannot be unpacked ({_line(fault)})") from None
    content.seek(0)
    return content


def _line(fault: Exception) -> str:
    return in_a_line(fault)
