"""What a page explores of some studies: its parts are those of the functions that make them."""

from __future__ import annotations

from typing import Any

from compression.report.measures import ESTIMATED
from compression.report.study_paths import paths_table
from compression.report.study_tables import averaged
from compression.report.study_view import study_view


def point(number: int, study: str = "a", **more: Any) -> dict[str, Any]:
    measured = {"accuracy": 0.9, "accuracy_low": 0.88, "accuracy_high": 0.92, "packed_bytes": 1000 - number}
    about = {"study": study, "trial": number, "model": "net", "data": "digits", "granularity": "weights", "seed": 0}
    return {**about, **measured, **{name.replace("__", "."): value for name, value in more.items()}}


START = point(-1) | {"granularity": "baseline"}
SEEDS = [point(number, one__1__prune__sparsity=0.5, seed=number) for number in range(2)]
OTHERS = [point(2, one__1__prune__sparsity=0.7), point(3, one__1__prune__scope="layer", one__1__prune__sparsity=0.7)]


def test_a_view_has_every_row_and_each_setting_once() -> None:
    view = study_view([START, *SEEDS, *OTHERS])
    assert [row["trial"] for row in view.rows] == [-1, 0, 1, 2, 3]
    assert [row["trial"] for row in view.trials] == [0, 1, 2, 3]
    assert view.settings == averaged(view.trials) and [row["trials"] for row in view.settings] == [(0, 1), (2,), (3,)]
    assert view.paths == paths_table(view.settings, ("accuracy", "packed_bytes"))
    assert view.names == ("1.prune.sparsity", "1.prune.scope")
    assert view.measures == ("accuracy", "packed_bytes", *ESTIMATED)


def test_points_are_told_apart_by_what_varies_words_before_numbers() -> None:
    other = point(4, "b", one__1__prune__scope="global", one__1__prune__sparsity=0.7)
    assert study_view([START, *SEEDS, *OTHERS, other]).groups == ("study", "1.prune.scope", "1.prune.sparsity")
    assert study_view([START, *SEEDS, *OTHERS]).groups == ("1.prune.sparsity",)
    assert study_view([START, *SEEDS]).groups == ("recipe",) and study_view([]).trials == []
