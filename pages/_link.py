"""What a link or a file says, which anybody may have written."""

import re

from compression.registry import quoted

MARKS = re.compile(r"([!-/:-@\[-`{-~])")
"""All that can have a meaning in Markdown."""


def inert(words: str) -> str:
    """A stranger's words on one line, in which Markdown sees nothing but letters."""
    return MARKS.sub(r"\\\1", " ".join(words.split()))


def foreign(words: str) -> str:
    """A stranger's words as code, in which Markdown sees no link, and no picture that a stranger's server has."""
    return f"`{quoted(words).replace('`', '´')}`"
