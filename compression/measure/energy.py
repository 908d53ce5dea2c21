"""Energy of one inference: read from a counter where one exists, else modelled from work and traffic."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from compression.registry import UserError
from compression.results import Energy

ENERGY_PJ: dict[str, float] = {
    "mac": 3.7 + 0.9,  # fp32 multiply and add
    "int8_mac": 0.2 + 0.1,  # 8-bit multiply, 32-bit add
    "dram_byte": 640 / 4,  # DRAM, 640 pJ for 32 bits
    "cache_byte": 5 / 4,  # cache, 5 pJ for 32 bits
}
"""Picojoules at 45 nm. Source: Horowitz 2014, "Computing's energy problem", ISSCC."""
POWERCAP = Path("/sys/class/powercap")


def modelled(macs: int, weight_bytes: int, activation_bytes: int, int8_macs: int = 0) -> Energy:
    r"""Energy of one inference from its work and its traffic.

    .. math:: E = \mathrm{MACs}_\mathrm{fp32} \cdot 4.6 + \mathrm{MACs}_\mathrm{int8} \cdot 0.3 +
        B_\mathrm{weights} \cdot 160 + 2 B_\mathrm{activations} \cdot 1.25 \quad \mathrm{pJ}

    Weights come once from DRAM, zeros included, as a dense runtime reads them; every activation
    is written to and read from cache once. Such models err by tens of percent against a meter: compare with
    them, do not bill with them. Source: Horowitz 2014, ISSCC (45 nm).
    """
    float_macs = macs - int8_macs
    picojoules = (
        float_macs * ENERGY_PJ["mac"]
        + int8_macs * ENERGY_PJ["int8_mac"]
        + weight_bytes * ENERGY_PJ["dram_byte"]
        + 2 * activation_bytes * ENERGY_PJ["cache_byte"]
    )
    rounded = f"{int8_macs:,} int8 MACs × {ENERGY_PJ['int8_mac']:g} pJ + " if int8_macs else ""
    detail = (
        f"{float_macs:,} MACs × {ENERGY_PJ['mac']:g} pJ + {rounded}{weight_bytes:,} B of weights from DRAM × "
        f"{ENERGY_PJ['dram_byte']:g} pJ/B + {activation_bytes:,} B of activations written and read × "
        f"{ENERGY_PJ['cache_byte']:g} pJ/B; fp32 at 45 nm, Horowitz 2014"
    )
    return Energy(energy_mj=picojoules * 1e-9, source="modelled", detail=detail)


@dataclass(frozen=True)
class Counter:
    """An energy counter of this machine.

    Attributes:
        source: ``metered`` if it sums a power sensor, ``counter`` if the chip accounts for itself.
        detail: what the figure covers.
        read: joules since some moment.
        range_j: joules at which it starts again from zero; infinite if it does not.
    """

    source: Literal["metered", "counter"]
    detail: str
    read: Callable[[], float]
    range_j: float = float("inf")


def counters(powercap: Path = POWERCAP) -> dict[str, Counter]:
    """The energy counters that can be read here and now, by name; empty on most virtual machines."""
    found: dict[str, Counter] = {}
    for zone in sorted(powercap.glob("*rapl:[0-9]*")):
        name = zone / "name"
        if os.access(zone / "energy_uj", os.R_OK) and name.read_text().startswith("package"):
            found[f"rapl:{name.read_text().strip()}"] = _rapl(zone)
    try:
        board = _nvml(ctypes.CDLL("libnvidia-ml.so.1"))
    except OSError:
        board = None
    return found | ({"nvml:0": board} if board else {})


def counted(run: Callable[[], object], counter: Counter, seconds: float = 1.0) -> Energy:
    """Millijoules of one call of ``run``: the counter's rise over many calls, divided by their number.

    Whatever else the machine did in that time, idling included, is in the figure. A counter
    may start again from zero once.

    Raises:
        UserError: ``seconds`` is not positive, or the counter did not move.
    """
    if not seconds > 0:
        raise UserError(f"seconds is {seconds}; it must be greater than 0")
    began, calls, before = time.perf_counter(), 0, counter.read()
    while time.perf_counter() - began < seconds:
        run()
        calls += 1
    rise = counter.read() - before
    joules = rise if rise >= 0 else rise + counter.range_j
    if joules == 0:
        raise UserError(f"seconds is {seconds:g}; the energy counter did not move in that time, so give more")
    detail = f"{counter.detail}; mean of {calls} runs"
    return Energy(energy_mj=1000 * joules / calls, source=counter.source, detail=detail)


def _rapl(zone: Path) -> Counter:
    return Counter(
        source="counter",
        detail=f"RAPL, the whole processor ({(zone / 'name').read_text().strip()}), idling included",
        read=lambda: int((zone / "energy_uj").read_text()) / 1e6,
        range_j=int((zone / "max_energy_range_uj").read_text()) / 1e6,
    )


def _nvml(library: Any) -> Counter | None:
    """The first board's counter; None where the driver or the board has none."""
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()

    def read() -> float:
        if library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
            raise OSError("the driver does not answer")
        return millijoules.value / 1000

    if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)):
        return None
    try:
        read()
    except OSError:
        return None
    return Counter(source="metered", detail="NVML, the whole board, idling included", read=read)
