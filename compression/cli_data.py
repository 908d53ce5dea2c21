"""``espalier data``: which data sets there are, and with ``add``, ``rm`` and ``clean`` your own images as one."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import asdict
from pathlib import Path

from compression.cli_tables import print_json, progress, removed, set_table, sets_table, table
from compression.data.adding import add
from compression.data.fetching import fetch
from compression.data.names import said
from compression.data.own import Report, remove
from compression.data.root import data_root
from compression.data.sets import DATASETS, load_data, sources
from compression.registry import UserError, quoted

SHOWN = 20
"""Lines of each kind that are printed; ``--json`` has more."""


def data(arguments: argparse.Namespace) -> None:
    """Say what is known of all data sets or of one; or add, delete or clean up."""
    if arguments.set in ACTIONS:
        return ACTIONS[arguments.set](arguments)
    if arguments.what is not None:
        raise UserError(f"{quoted(arguments.what)} is one word too many after {quoted(arguments.set)}")
    if arguments.get and not arguments.set:
        raise UserError(f"--get needs the name of a data set; choose one of: {', '.join(DATASETS)}")
    if arguments.get:
        fetch(arguments.set, lambda line: print(line, file=sys.stderr))
    if arguments.set:
        dataset = load_data(arguments.set)
        about = {
            "name": dataset.name,
            "shape": list(dataset.shape),
            "classes": list(dataset.classes),
            **{name: len(split) for name, split in dataset.splits()},
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "note": dataset.note,
        }
        return print_json(about) if arguments.json else set_table(about)
    known = [
        {"name": s.name, "here": s.here(), "megabytes": s.megabytes, "sentence": s.sentence} for s in sources().values()
    ]
    return print_json(known) if arguments.json else sets_table(known, data_root())


def _add(arguments: argparse.Namespace) -> None:
    if not arguments.what or not arguments.name:
        raise UserError("add needs images and what to call them: espalier data add FOLDER, ZIP or CSV --name NAME")
    size = _size(arguments.size) if arguments.size else None
    with progress() as bar:
        task = bar.add_task(f"reading {quoted(arguments.what)}", total=1.0)
        report = add(
            Path(arguments.what),
            arguments.name,
            size,
            arguments.grey or None,
            lambda done: bar.update(task, completed=done),
        )
    return print_json(asdict(report)) if arguments.json else _report_tables(report)


def _size(text: str) -> tuple[int, int]:
    given = re.fullmatch(r"([1-9]\d{0,3})[x×]([1-9]\d{0,3})", text)
    if not given:
        raise UserError(f"--size is {quoted(text)}; give HEIGHTxWIDTH such as 32x32, each from 1 to 9999")
    return int(given[1]), int(given[2])


def _report_tables(report: Report) -> None:
    """Print what became of the images: how many there are, what was done to them, and what is left out."""
    print(f"{report.name}: {report.images:,} images of {len(report.classes)} classes, {report.size}")
    print(f"every image {report.transform}\n")
    rows = [(label, *map(str, row)) for label, *row in zip(report.classes, *report.counts.values(), strict=True)]
    table(("class", *report.counts), [*rows, ("all", *(str(sum(row)) for row in report.counts.values()))])
    if report.put_aside:
        print(report.put_aside)
    if report.repeated:
        print(f"repeated: {report.repeated:,} images have the pixels of another one of their split")
    pairs = [f"in two splits: {quoted(one)} and {quoted(other)} have equal pixels" for one, other in report.across]
    _lines(pairs, report.across_count)
    _lines([f"left out: {said(one)}" for one in report.left_out], report.left_out_count)


def _lines(lines: list[str], count: int) -> None:
    for line in lines[:SHOWN]:
        print(line)
    if count > SHOWN:
        print(f"… and {count - SHOWN:,} more")


def _rm(arguments: argparse.Namespace) -> None:
    removed("data set", arguments.what, arguments.yes, remove)


def _clean(arguments: argparse.Namespace) -> None:
    if arguments.days is None:
        raise UserError("clean needs --days N: what was brought so many days ago, and no study uses, is old")
    from compression.studies.tidy import clean, old  # here, since it loads Optuna, which no other of these needs

    gone = clean(arguments.days) if arguments.yes else old(arguments.days)
    if arguments.json:
        return print_json([str(path) for path in gone])
    _lines([f"{'removed' if arguments.yes else 'old'}: {path}" for path in gone], len(gone))
    if not gone:
        print(f"nothing that no study uses is {arguments.days:g} days old", file=sys.stderr)
    elif not arguments.yes:
        print(f"{len(gone)} files and folders are old; say --yes to remove them", file=sys.stderr)


ACTIONS = {"add": _add, "rm": _rm, "clean": _clean}
"""What ``espalier data`` does where the first word is no data set."""
