"""What a model is judged by: accuracy and each cost, how it is called and where its numbers come from."""

from __future__ import annotations

from dataclasses import dataclass

from compression.devices import DEVICES
from compression.report.text import Scale, amount, lowered, percent


@dataclass(frozen=True)
class Axis:
    """One cost that accuracy can be drawn against.

    Attributes:
        label: the name on the axis.
        scale: what its numbers are, hence how they are written.
        gain: what a ratio better than the baseline is called: "2.1× smaller".
        verb: how a title says so, with ``{}`` for the ratio.
        origin: where the number comes from: measured, counted or estimated.
        low, high: the names of the ends of its interval, where it has one.
        where: the runtime in which it was timed.
    """

    label: str
    scale: Scale
    gain: str
    verb: str
    origin: str
    low: str = ""
    high: str = ""
    where: str = ""

    @property
    def more_is_better(self) -> bool:
        """True of accuracy and the speed-ups only."""
        return self.scale in ("times", "fraction")


_SMALLER = ("smaller", "makes it {} smaller")
_FASTER = ("faster", "makes it {} faster")
AXES: dict[str, Axis] = {
    "packed_bytes": Axis("Size with zeros packed", "bytes", *_SMALLER, "measured"),
    "file_bytes": Axis("Dense file size", "bytes", *_SMALLER, "measured"),
    "memory_bytes": Axis("Memory", "bytes", "less memory", "cuts memory {}", "estimated"),
    "params": Axis("Parameters", "count", "fewer parameters", "cuts parameters {}", "counted"),
    "nonzero": Axis("Nonzero parameters", "count", "fewer nonzeros", "cuts nonzeros {}", "counted"),
    "macs": Axis("MACs per image", "count", "fewer MACs", "cuts MACs {}", "counted"),
    "speedup": Axis("Speed-up", "times", *_FASTER, "measured", "speedup_low", "speedup_high", where="ONNX Runtime"),
    "eager_speedup": Axis(
        "Eager speed-up", "times", *_FASTER, "measured", "eager_speedup_low", "eager_speedup_high", where="PyTorch"
    ),
    "latency_ms": Axis("Latency", "ms", *_FASTER, "measured", where="ONNX Runtime, this machine"),
    "energy_mj": Axis("Energy per image", "mj", "less energy", "cuts energy {}", "estimated"),
}
CO2 = "co2_g"
ON_DEVICES: dict[str, Axis] = {
    f"{name}_ms": Axis(
        f"Latency on {device.label}",
        "ms",
        "faster",
        f"runs about {{}} faster on {device.label}",
        "estimated",
        where=device.label,
    )  # fmt: skip
    for name, device in DEVICES.items()
}
"""Latency on devices that are not here."""
ESTIMATED: dict[str, Axis] = {
    CO2: Axis("CO₂ per million images", "g", "less CO₂", "cuts CO₂ {}", "estimated"),
    **ON_DEVICES,
}
"""What is worked out for a grid or for a device; no row holds it, see ``estimates.estimated``."""
AXES |= ESTIMATED
MEASURES: dict[str, Axis] = {
    "accuracy": Axis("Accuracy", "fraction", "more accurate", "", "measured", "accuracy_low", "accuracy_high"),
    **AXES,
}
"""All that a model is judged by: accuracy and the costs."""
SHORT = {
    "packed_bytes": "packed size",
    "file_bytes": "file size",
    "nonzero": "nonzeros",
    "macs": "MACs",
    "energy_mj": "energy",
    CO2: "CO₂",
}
"""Names of measures for the middle of a sentence, where theirs is long."""


def nothing(axis: Axis) -> str:
    """The subject of a sentence that there is no better one: "Nothing smaller", "Nothing with fewer MACs"."""
    return f"Nothing with {axis.gain}" if axis.gain.split()[0] in ("fewer", "less") else f"Nothing {axis.gain}"


def short(key: str) -> str:
    """A measure in one or two words: "packed size", "accuracy"."""
    return SHORT.get(key, lowered(MEASURES[key].label))


def worth(value: float, key: str) -> str:
    """A measure's number so that it speaks for itself: "43 KB", "98.2 %", "1.2 M MACs", "2.1× faster"."""
    axis = MEASURES[key]
    if axis.scale == "fraction":
        return percent(value)
    word = {"count": short(key), "times": axis.gain}.get(axis.scale, "")
    return f"{amount(value, axis.scale)} {word}".rstrip()
