"""What a model's images were normalised with: it belongs to the model, whose weights expect it of every data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from compression.registry import UserError


class Normalisation(NamedTuple):
    """Mean and standard deviation of each channel, on the scale 0 to 1: a pixel becomes (pixel / 255 − mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


def known_normalisation(about: Mapping[str, Any], channels: int) -> Normalisation | None:
    """What a file or a card says of it, checked; None where it says nothing. Raises UserError as below."""
    known = about.get("normalisation")
    return checked_normalisation(**known, channels=channels) if known else None


def checked_normalisation(mean: Sequence[float] | float, std: Sequence[float] | float, channels: int) -> Normalisation:
    """What a model was trained with, checked; one number that is no sequence stands for all channels.

    Raises:
        UserError: not a number for each channel, or one that no such images can have.
    """
    means, stds = (one if isinstance(one, Sequence) else (one,) * channels for one in (mean, std))
    for name, values in (("mean", means), ("std", stds)):
        known = all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
        if len(values) != channels or not known or (name == "std" and min(values) <= 0):
            above = " above 0" if name == "std" else ""
            given = ", ".join(map(str, values))[:60] or "left out"
            raise UserError(
                f"{name} is {given}; give a number{above}, on the scale 0 to 1, for each of {channels} channels"
            )
    return Normalisation(tuple(map(float, means)), tuple(map(float, stds)))
