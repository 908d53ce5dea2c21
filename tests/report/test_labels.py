"""Labels keep clear of points, of each other and of the edge; checked box by box."""

import math

import pytest

from compression.report.labels import LABEL_PX, SIDES, Label, Scale, notes, place
from compression.report.themes import LIGHT

X = Scale(0, 400, 400)
Y = Scale(0, 300, 300)


def box(item, x=X, y=Y):
    """Where the text is, from the note that Plotly gets: left, low, right, high in pixels."""
    (note,) = notes([item], x, y, LIGHT)
    px, py = (float(scale(value)) for scale, value in zip((x, y), item.label.spots[item.spot], strict=True))
    dx, dy = (note["ax"], -note["ay"]) if note["showarrow"] else (note["xshift"], note["yshift"])
    width, height = 0.52 * LABEL_PX * len(item.label.text), 1.35 * LABEL_PX
    left = px + dx - {"left": 0, "center": width / 2, "right": width}[note["xanchor"]]
    low = py + dy - {"bottom": 0, "middle": height / 2, "top": height}[note["yanchor"]]
    return left, low, left + width, low + height


def holds(area, point):
    return area[0] < point[0] < area[2] and area[1] < point[1] < area[3]


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_scales_map_ends_to_ends():
    assert X([0, 200, 400]).tolist() == [0, 200, 400]
    log = Scale(1, 100, 200, log=True)
    assert log([1, 10, 100]).tolist() == pytest.approx([0, 100, 200])
    assert log.range == [0, 2]
    assert X.range == [0, 400]


def test_a_label_keeps_off_the_points_around_it():
    wall = [[(200 + dx, 150 + dy)] for dx in range(-90, 91, 4) for dy in range(0, 60, 4)]
    (item,) = place([Label("a label", [(200, 150)])], wall, X, Y)
    assert item.covers == 0
    assert not any(holds(box(item), point) for (point,) in wall)
    assert box(item)[3] <= 150, "only the room below is free"


def test_a_label_keeps_off_lines_between_far_points():
    line = [(0, 157), (400, 157)]
    (item,) = place([Label("a label", [(200, 150)])], [line], X, Y)
    assert not any(holds(box(item), (x, 157)) for x in range(0, 401))


def test_labels_of_one_point_do_not_overlap():
    placed = place([Label(f"label {i}", [(200, 150)]) for i in range(4)], [[(200, 150)]], X, Y)
    boxes = [box(item) for item in placed]
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("corner", [(2, 2), (398, 2), (2, 298), (398, 298)])
def test_labels_stay_inside(corner):
    (item,) = place([Label("a rather long label", [corner])], [[corner]], X, Y)
    left, low, right, high = box(item)
    assert left >= 0 and low >= 0 and right <= 412 and high <= 312


def test_the_first_point_wins_unless_it_is_crowded():
    label = Label("name", [(100, 150), (300, 150)])
    assert place([label], [[(100, 150)]], X, Y)[0].spot == 0
    crowd = [[(100 + dx, 150 + dy)] for dx in range(-60, 61, 3) for dy in range(-40, 41, 3)]
    assert place([label], crowd, X, Y)[0].spot == 1


def test_a_crowded_remark_is_led_to_from_afar():
    crowd = [[(200 + dx, 150 + dy)] for dx in range(-18, 19, 3) for dy in range(-18, 19, 3)]
    (near,) = place([Label("a long remark", [(200, 150)])], crowd, X, Y)
    (far,) = place([Label("a long remark", [(200, 150)], leader=True)], crowd, X, Y)
    assert far.covers <= near.covers
    (note,) = notes([far], X, Y, LIGHT)
    assert note["showarrow"] and math.hypot(note["ax"], note["ay"]) > 20


def test_no_leader_goes_through_a_text():
    """Curves that run together along the top leave room for their names below only, all on the same side."""
    labels = [Label(f"a layer {i}", [(80, 280), (120, 280)], leader=True) for i in range(5)]
    placed = place(labels, [[(0, 280), (400, 280)], [(0, 272), (400, 272)]], X, Y)
    for led in placed:
        (note,) = notes([led], X, Y, LIGHT)
        at = led.label.spots[led.spot]
        way = [(at[0] + part * note.get("ax", 0), at[1] - part * note.get("ay", 0)) for part in (0.2, 0.4, 0.6, 0.8)]
        assert not any(holds(box(other), point) for other in placed if other is not led for point in way)


def test_on_logarithmic_axes_notes_stand_at_exponents():
    log = Scale(1, 1000, 400, log=True)
    (item,) = place([Label("x", [(100, 10)])], [[(100, 10)]], log, Scale(1, 100, 300, log=True))
    (note,) = notes([item], log, Scale(1, 100, 300, log=True), LIGHT, panel="2")
    assert (note["x"], note["y"], note["xref"], note["yref"]) == (2, 1, "x2", "y2")


def test_markup_does_not_count_as_width():
    tight = Scale(0, 70, 70)
    (item,) = place([Label('<span style="color:#12436D">●</span> abc', [(5, 150)])], [[(5, 150)]], tight, Y)
    assert item.covers == 0


def test_no_side_is_at_45_degrees():
    """Plotly takes a leader along that diagonal for one that starts inside its text, and drops it."""
    assert not any(abs(right) == abs(up) for _, _, right, up in SIDES)
