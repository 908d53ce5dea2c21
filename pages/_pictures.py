"""Pictures to play with."""

PICTURES = {}
