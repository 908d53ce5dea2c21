"""What a link says, which anybody may have written."""

from compression.registry import quoted


def foreign(words: str) -> str:
    """A stranger's words as code, in which Markdown sees no link, and no picture that a stranger's server has."""
    return f"`{quoted(words).replace('`', '´')}`"
