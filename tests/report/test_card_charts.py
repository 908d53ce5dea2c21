"""The charts on cards of methods: what they say, and what they draw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from compression.report.card_charts import (
    compared_chart,
    devices_chart,
    levels_chart,
    levels_table,
    widths_chart,
    widths_table,
)
from compression.report.charts import LIGHT


def test_teacher_and_student_are_drawn_in_one_scale() -> None:
    teacher, student = np.array([[0.0, 4.0], [np.nan, 2.0]]), np.array([[1.0, 1.0], [np.nan, 2.0]])
    made = compared_chart(teacher, student, LIGHT, what="answers", rows="image", columns="class")
    left, right = made.figure.to_plotly_json()["data"]
    assert made.alt == "Compared: answers"
    assert (left["zmin"], left["zmax"]) == (right["zmin"], right["zmax"]) == (0.0, 4.0)
    assert left["z"] == [[0.0, 4.0], [None, 2.0]] and right["z"] == [[1.0, 1.0], [None, 2.0]]
    assert "mean difference 1.33" in made.subtitle  # (1 + 3 + 0) / 3


def test_other_shapes_have_no_difference() -> None:
    made = compared_chart(np.eye(2), np.ones((3, 2)), LIGHT, what="maps", rows="channel", columns="position")
    assert "difference" not in made.subtitle
    names = [note["text"] for note in made.figure.to_plotly_json()["layout"]["annotations"]]
    assert names == ["Teacher, 2×2", "Student, 3×2"]


def test_widths_stand_layer_by_layer() -> None:
    table = widths_table({"stem": 32, "head": 10}, {"layers.0": 16, "head": 10})
    assert table["layer"].tolist() == ["stem", "head", "layers.0"]
    made = widths_chart(table, LIGHT, params=(77_000, 2_410))
    teacher, student = made.figure.to_plotly_json()["data"]
    assert made.title == "The student has 2.41 K parameters, its teacher 77 K"
    assert (teacher["text"], student["text"]) == (["32", "10", "none"], ["none", "10", "16"])


def test_values_beyond_the_levels_are_counted() -> None:
    table = levels_table([3.0, 0.2, 1.1, 0.6], [2.55, 0.2, 1.1, 0.6])
    assert table["value"].tolist() == [0.2, 0.6, 1.1, 3.0]
    look = {"low": 0.0, "high": 2.55, "step": 0.01, "found": "8 images"}
    assert levels_chart(table, LIGHT, **look).title == "1 of 4 values lie beyond the range and are clipped"
    within = levels_chart(levels_table([0.2, 0.6], [0.2, 0.6]), LIGHT, **look)
    assert within.title == "All 2 values lie within the range, at most 0.005 from a level"


def test_a_device_without_room_says_so() -> None:
    table = pd.DataFrame([("board", 1.0, 5.0), ("chip", np.nan, np.nan)], columns=["device", "low", "high"])
    assert devices_chart(table, LIGHT, device="board", what="net").title == "net on board: 1 to 5 ms an image"
    made = devices_chart(table, LIGHT, device="chip", what="net")
    assert made.title == "net on chip: does not fit" and len(made.figure.to_plotly_json()["data"]) == 1
