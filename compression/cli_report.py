"""``espalier report``: what a study came to, for those who decide: a page, a deck, a table, or a few lines here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

from compression.carbon import read_grid
from compression.cli_tables import table
from compression.presenting import told
from compression.recipe import validated
from compression.registry import UserError, quoted
from compression.report import html, slides
from compression.report.cover import Cover, cover
from compression.report.savings import ASSUMED, Assumptions
from compression.report.story import Story
from compression.report.story_numbers import csv
from compression.report.story_sections import sections
from compression.report.story_words import headline, title
from compression.training import prepare_process

WRITERS: dict[str, Callable[[Story, Cover, str], bytes]] = {
    ".html": lambda story, shown, mark: html.page(story, shown).encode(),
    ".pptx": lambda story, shown, mark: slides.deck(story, shown),
    ".csv": lambda story, shown, mark: csv(story, shown, mark),
}
"""What a report can be, by how the file's name ends; a CSV has a decimal mark."""


def report(arguments: argparse.Namespace) -> None:
    """Write the report, or print it where no file is asked for.

    Raises:
        UserError: nothing to present, or options that are not what they should be.
    """
    out = arguments.out
    if out and out.suffix not in WRITERS:
        raise UserError(f"--out is {quoted(str(out))}; give a file that ends in {', '.join(WRITERS)}")
    given = {name: getattr(arguments, name, None) for name in (*ASSUMED, "currency")}
    given["g_per_kwh"] = read_grid(arguments.grid)
    assumed = validated(Assumptions, {name: value for name, value in given.items() if value is not None})
    shown = cover(
        arguments.title, arguments.author, arguments.accent, _logo(arguments.logo), f"{date.today():%-d %B %Y}"
    )
    prepare_process()
    story = told(arguments.study, tuple(arguments.trial), assumed, arguments.axis)
    if not out:
        return _print(story, shown)
    out.write_bytes(WRITERS[out.suffix](story, shown, arguments.decimal))
    print(f"wrote {out}", file=sys.stderr)


def _logo(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError:
        raise UserError(f"--logo is {quoted(str(path))}; no file can be read there") from None


def _print(story: Story, shown: Cover) -> None:
    print(f"{title(story, shown)}: {headline(story, story.points[0])}")
    for part in sections(story):
        print("", part.heading, part.lead, *part.sentences, sep="\n")
        for head, *lines in part.tables:
            print()
            table(head, lines)
