"""What a model's images were normalised with: it belongs to the model, whose weights expect it of every data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from compression.registry import UserError


class Normalisation(NamedTuple):
    """Mean and standard deviation of each channel, on the scale 0 to 1: a pixel becomes (pixel / 255 − mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def checked_normalisation(mean: Sequence[float], std: Sequence[float], channels: int) -> Normalisation:
    """What a model was trained with, checked.

    Raises:
        UserError: not a number for each channel, or one that no such images can have.
    """
    for name, values in (("mean", mean), ("std", std)):
        known = all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
        if len(values) != channels or not known or (name == "std" and min(values) <= 0):
            above = " above 0" if name == "std" else ""
            given = ", ".join(map(str, values))[:60] or "left out"
            raise UserError(
                f"{name} is {given}; give a number{above}, on the scale 0 to 1, for each of {channels} channels"
            )
    return Normalisation(tuple(map(float, mean)), tuple(map(float, std)))
