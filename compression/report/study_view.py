"""What a page explores of some studies, worked out once: every filter and every chart then takes from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compression.report.estimates import measures_of
from compression.report.study_paths import paths_table
from compression.report.study_tables import averaged, merged, settings_of

Row = Mapping[str, Any]
PATHS = ("accuracy", "packed_bytes", "macs", "speedup")
"""Measures that the parallel coordinates show, where they are there."""


@dataclass(frozen=True)
class StudyView:
    """The trials of some studies.

    Attributes:
        rows: of ``merged``, baselines too.
        trials: of these, all but the baselines.
        settings: of ``averaged``, a row a setting.
        paths: a ``paths_table`` of the settings.
        names: what was set in any of the rows, of ``settings_of``.
        measures: what was measured in any of them, of MEASURES, and what is estimated from that.
        groups: what may tell the points apart: first what they are, then what was set in them.
    """

    rows: Sequence[Row]
    trials: Sequence[Row]
    settings: Sequence[Row]
    paths: Mapping[str, Sequence[Mapping[str, Any]]]
    names: tuple[str, ...]
    measures: tuple[str, ...]
    groups: tuple[str, ...]


def study_view(found: Iterable[Row]) -> StudyView:
    """The view of the points of one study or several, as the store has them."""
    rows = merged(found)
    trials = [row for row in rows if row["granularity"] != "baseline"]
    settings, names = averaged(trials), settings_of(rows)
    paths = paths_table(settings, [key for key in PATHS if any(row.get(key) is not None for row in trials)])
    return StudyView(rows, trials, settings, paths, names, measures_of(rows), _groups(rows, names))


def _groups(rows: Sequence[Row], names: Sequence[str]) -> tuple[str, ...]:
    places = [name for name in ("study", "model") if len({row[name] for row in rows}) > 1]
    found = {name: {row[name] for row in rows if name in row} for name in names}
    varying = [name for name, values in found.items() if len(values) > 1]
    # Words tell groups apart better than numbers do.
    varying.sort(key=lambda name: (name != "recipe", not all(isinstance(value, str) for value in found[name])))
    return (*places, *varying) or ("recipe",)
