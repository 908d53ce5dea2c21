"""What a model is judged by: expected words, written out by hand."""

from __future__ import annotations

import pytest

from compression.report.measures import AXES, nothing, short, worth
from compression.report.text import amount


def test_every_axis_is_written_and_worded() -> None:
    for axis in AXES.values():
        assert amount(1234.0, axis.scale)
        assert "{}" in axis.verb
        assert axis.origin in ("measured", "counted", "estimated")


@pytest.mark.parametrize(
    ("value", "key", "written"),
    [(43_000, "packed_bytes", "43 KB"), (0.982, "accuracy", "98.2 %"), (1.2e6, "macs", "1.2 M MACs"),
     (2.14, "speedup", "2.1× faster"), (1500.0, "co2_g", "1.5 kg")],
)  # fmt: skip
def test_a_number_speaks_for_itself(value: float, key: str, written: str) -> None:
    assert worth(value, key) == written


def test_measures_stand_in_a_sentence() -> None:
    assert [short(key) for key in ("packed_bytes", "accuracy", "macs")] == ["packed size", "accuracy", "MACs"]
    said = [nothing(AXES[key]) for key in ("packed_bytes", "macs", "energy_mj")]
    assert said == ["Nothing smaller", "Nothing with fewer MACs", "Nothing with less energy"]
