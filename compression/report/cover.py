"""What a presenter puts on a report: title, author, logo and accent colour, each checked before anything is written."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from PIL import Image

from compression.registry import UserError, quoted
from compression.report.text import printable
from compression.report.themes import LIGHT

LOGOS = ("PNG", "JPEG", "GIF", "WEBP")
LONGEST = 120
MOST_BYTES, MOST_PIXELS = 2_000_000, 4_000_000
SIDE = 480
"""Pixels of the longer side in which a logo is kept: twice what a slide shows."""
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Cover:
    """Who presents, when, and how it looks; ``logo`` is a PNG, or empty."""

    title: str = ""
    author: str = ""
    accent: str = LIGHT.kept
    logo: bytes = b""
    date: str = ""

    @property
    def byline(self) -> str:
        """Author and date in one line."""
        return " · ".join(filter(None, (self.author, self.date)))


def cover(title: str = "", author: str = "", accent: str = "", logo: bytes = b"", date: str = "") -> Cover:
    """A cover of what was given.

    Raises:
        UserError: a text that is too long, an accent that is no colour, or a logo that is no image.
    """
    for name, text in (("title", title), ("author", author)):
        if len(text) > LONGEST:
            raise UserError(f"{name} is {quoted(text)}; it must have at most {LONGEST} characters")
    if accent and not _COLOUR.fullmatch(accent):
        raise UserError(f"accent is {quoted(accent)}; give a colour as #rrggbb, such as {LIGHT.kept}")
    return Cover(printable(title), printable(author), accent or LIGHT.kept, _logo(logo) if logo else b"", date)


def _logo(data: bytes) -> bytes:
    """A logo as a small PNG of pixels and nothing else."""
    if len(data) > MOST_BYTES:
        raise UserError(f"logo has {len(data):,} bytes; it must have at most {MOST_BYTES:,}")
    try:
        with Image.open(io.BytesIO(data), formats=LOGOS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"logo has {image.width}×{image.height} pixels; at most {MOST_PIXELS:,} are read")
            small = image.convert("RGBA")
    except UserError:
        raise
    except Exception:  # a decoder may raise anything, and does when bytes are wrong
        raise UserError(f"logo is not a readable image; it must be one of: {', '.join(LOGOS)}") from None
    small.thumbnail((SIDE, SIDE))
    kept = io.BytesIO()
    small.save(kept, "PNG")
    return kept.getvalue()
