"""The 256 levels that int8 leaves of the activations of a layer: their range, and which value goes where."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

MOST = 255


@dataclass(frozen=True)
class Levels:
    """Evenly spaced values, as ONNX has them for activations.

    Attributes:
        step: from one to the next, the scale.
        zero: the number of the level that is exactly 0.
    """

    step: float
    zero: int

    @property
    def low(self) -> float:
        """The lowest value that a level has."""
        return -self.zero * self.step

    @property
    def high(self) -> float:
        """The highest."""
        return (MOST - self.zero) * self.step


def levels(values: Tensor) -> Levels:
    r"""The levels over the range of values, which is made to hold 0: :math:`s = (\max x - \min x) / 255`.

    Source: Jacob et al. 2018, arXiv 1712.05877.
    """
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    step = (high - low) / MOST or 1.0
    return Levels(step, round(-low / step))


def rounded(values: Tensor, on: Levels) -> Tensor:
    """Each value at its nearest level, the first or the last where it lies beyond them."""
    numbers = ((values / on.step).round() + on.zero).clamp(0, MOST)
    return (numbers - on.zero) * on.step
