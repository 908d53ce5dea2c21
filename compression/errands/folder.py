"""Errands by their places: each place has one at a time, in a folder of its own that the page reads.

A place is ``data``, ``model``, ``fetch``, or ``export-`` and what is exported. Its folder holds the order, the
state, what was found, perhaps a zip to download, and while it is under way ``work``, with the files that came.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from compression.data.quota import check_upload
from compression.data.root import own_root
from compression.errands.orders import SHIPPED, Export, Order
from compression.registry import UserError
from compression.studies import keys, watch
from compression.studies.launch import check_turn

WORK = "work"
KEPT_SECONDS = 86_400
"""So long what was made lies ready to be downloaded."""
_ORDER: TypeAdapter[Order] = TypeAdapter(Order)


def place_of(order: Order) -> str:
    """Where an order is carried out; a zip is found again by what is in it."""
    if not isinstance(order, Export):
        return order.kind
    digest = hashlib.sha256(f"{order.model_dump_json()}{keys.contents(order.recipe)}".encode()).hexdigest()
    return f"{order.kind}-{digest[:12]}"


def start(order: Order, files: Mapping[str, BinaryIO] | None = None) -> str:
    """Have an order carried out in a process of its own, with these files by the names that it says; its place.

    Raises:
        UserError: one is under way at this place, as many exports run as may, the folder cannot be written, or is not
            to hold so much of one user.
    """
    place, given = place_of(order), files or {}
    try:
        with watch.one_by_one(_root()):
            _sweep()
            present = state(place)
            if present and present.state in watch.UNDER_WAY:
                raise UserError("One is under way already; wait for its end, or cancel it")
            if isinstance(order, Export):
                check_turn()
            check_upload(sum(map(_size, given.values())))
            _begin(_folder(place), order, given)
    except OSError as fault:
        raise UserError(f"Nothing can be kept in {_root()} ({fault.strerror})") from None
    return place


def _begin(folder: Path, order: Order, files: Mapping[str, BinaryIO]) -> None:
    """Lay out an order with its files and start its process; nothing stays where that cannot be."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        (folder / WORK).mkdir(parents=True)
        for name, content in files.items():
            with (folder / WORK / name).open("wb") as kept:
                shutil.copyfileobj(content, kept)
        (folder / "order.json").write_text(order.model_dump_json(), encoding="utf-8")
        watch.begin(folder, "compression.errands")
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def state(place: str) -> watch.State | None:
    """How far the errand of a place is; None where there is none, or none whose state can be read."""
    try:
        return watch.present_state(_folder(place), "errand")
    except (UserError, FileNotFoundError):  # the latter where another page puts it away at this moment
        return None


def under_way(kind: str) -> tuple[str, ...]:
    """The places where orders of a kind are being carried out."""
    places = sorted(folder.name for folder in _root().glob(f"{kind}*"))
    return tuple(place for place in places if (now := state(place)) and now.state in watch.UNDER_WAY)


def order(place: str) -> Order:
    """What was ordered at a place."""
    return read_order(_folder(place))


def read_order(folder: Path) -> Order:
    """What was ordered, by the folder of a place."""
    return _ORDER.validate_json((folder / "order.json").read_text(encoding="utf-8"))


def found(place: str) -> dict[str, Any]:
    """What an errand that is done has to tell: a report, or a card."""
    return dict(json.loads((_folder(place) / "found.json").read_text(encoding="utf-8")))


def file(place: str) -> Path:
    """The zip that an errand has made."""
    return _folder(place) / SHIPPED.name


def cancel(place: str) -> None:
    """Stop an errand, or forget one that has ended; nothing of it stays but what it has brought."""
    folder = _folder(place)
    if state(place):
        watch.stop(folder, "errand")
    shutil.rmtree(folder, ignore_errors=True)


def _size(content: BinaryIO) -> int:
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    return size


def _sweep() -> None:
    """Delete what ended long ago."""
    for folder in _root().glob("*"):
        with suppress(FileNotFoundError):  # another page deletes it at this moment
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS and not watch.alive(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    return own_root().absolute() / "errands"


def _folder(place: str) -> Path:
    return _root() / place
