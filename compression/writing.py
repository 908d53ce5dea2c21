"""Files that appear whole: whoever reads meanwhile meets the old one or the new one, never half of either."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Where to write a file that becomes ``path`` in one step at the end.

    A write that fails leaves the old file as it was, and nothing beside it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step, as :func:`whole` does."""
    with whole(path) as partial:
        partial.write_bytes(content)
