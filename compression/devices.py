"""How long an image would take on devices that are not here: memory fit first, then a roofline's range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from compression.registry import pick

Row = Mapping[str, Any]
SHARES = (0.1, 0.5)
"""Of its peak what a runtime reaches on small networks: least and most."""


@dataclass(frozen=True)
class Device:
    """A device by its limits.

    Attributes:
        label: its name.
        macs: multiply-accumulates a second that a runtime reaches, least and most.
        bandwidth: bytes a second between memory and processor, least and most; None where it is not known.
        ram: bytes for what has to be resident; None where it is not known.
        flash: bytes for the weights where they stay in flash, beside the memory; None where they are loaded.
        source: of the numbers.
    """

    label: str
    macs: tuple[float, float]
    bandwidth: tuple[float, float] | None
    ram: float | None
    flash: float | None
    source: str


def _peak(gflops: float) -> tuple[float, float]:
    """MACs a second at the shares of a peak; a MAC is two operations."""
    low, high = SHARES
    return low * gflops * 1e9 / 2, high * gflops * 1e9 / 2


def _lane(gigabytes: float) -> tuple[float, float]:
    low, high = SHARES
    return low * gigabytes * 1e9, high * gigabytes * 1e9


DEVICES: dict[str, Device] = {
    "pi4": Device(
        "Raspberry Pi 4", _peak(58), _lane(2.7), 1e9, None,
        "58 GFLOPS fp32 peak, 2.7 GB/s of copying, 1 GB in the smallest",
    ),
    "pi5": Device(
        "Raspberry Pi 5", _peak(154), _lane(4.8), 2e9, None,
        "154 GFLOPS fp32 peak, 4.8 GB/s of copying, 2 GB in the smallest",
    ),
    "orin_nano": Device(
        "Jetson Orin Nano", _peak(1280), _lane(68), 4e9, None, "1.28 TFLOPS fp32 peak, 68 GB/s, 4 GB in the smallest",
    ),
    "phone": Device(
        "Cortex-A76 core", _peak(45), None, None, None,
        "45 GFLOPS fp32 peak of a Cortex-A76 at 2.84 GHz; its bandwidth is not known, so work alone counts",
    ),
    "stm32h7": Device(
        "STM32H743", (10e6, 240e6), None, 512e3, 2e6,
        "Cortex-M7, 10 to 240 million MACs a second by runtime, 512 KB of SRAM, 2 MB of flash",
    ),
}  # fmt: skip
"""By name; a model's estimate is called that with ``_ms`` behind it. From data sheets and published benchmarks."""


class Misfit(NamedTuple):
    """What a model needs of a device's memory and what there is, in bytes; ``of`` is "weights" or "memory"."""

    of: str
    needs: float
    has: float


def misfit(device: Device, row: Row) -> Misfit | None:
    """Why a measured model does not fit the device's memory; None where it does.

    What is resident is ``memory_bytes``; where weights stay in flash it is that less ``file_bytes``.
    """
    needs = row["memory_bytes"]
    if device.flash is not None:
        if row["file_bytes"] > device.flash:
            return Misfit("weights", row["file_bytes"], device.flash)
        needs = max(0, needs - row["file_bytes"])
    if device.ram is not None and needs > device.ram:
        return Misfit("memory", needs, device.ram)
    return None


def milliseconds(device: Device, row: Row) -> tuple[float, float] | None:
    r"""The least and the most that one image may take, in ms; None where the model does not fit.

    .. math:: t = \max\left(\frac{\mathrm{MACs}}{P}, \frac{B_\mathrm{weights} + 2 B_\mathrm{activations}}{W}\right)

    with the work P and the bandwidth W that a runtime reaches; dense fp32 at batch 1. Zeros count as work.

    Args:
        device: of DEVICES.
        row: a measurement's names: ``macs``, ``file_bytes`` and ``memory_bytes``.

    Source: Williams et al. 2009, "Roofline", CACM 52(4).
    """
    if misfit(device, row):
        return None
    traffic = row["file_bytes"] + 2 * max(0, row["memory_bytes"] - row["file_bytes"])
    ends = []
    for end in (1, 0):
        moved = traffic / device.bandwidth[end] if device.bandwidth else 0.0
        ends.append(1000 * max(row["macs"] / device.macs[end], moved))
    return ends[0], ends[1]


def give_or_take(device: Device) -> float:
    """By what factor the truth may lie on either side of an estimate."""
    return math.sqrt(device.macs[1] / device.macs[0])


def estimate(name: str, row: Row) -> float | None:
    """The middle of the range of a device, its geometric mean: what models are compared by.

    How much of its peak a runtime reaches is not known, but much the same for two shapes of one network.

    Raises:
        UserError: no such device.
    """
    found = milliseconds(pick(DEVICES, name, "device"), row)
    return None if found is None else math.sqrt(found[0] * found[1])
