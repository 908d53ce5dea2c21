"""The cloud of a study's trials: its front against the definition, seeds, constraints, words, size and both themes."""

from __future__ import annotations

import json
import random
import time
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import plotly.io
import pytest

from compression.goals import OBJECTIVES, Constraint
from compression.registry import UserError
from compression.report import charts
from compression.report.cloud_marks import trial_of
from compression.report.cloud_titles import best_of
from compression.report.compare import records, within_noise
from compression.report.measures import AXES, MEASURES
from compression.report.study_cloud import among, cloud_table
from compression.report.themes import DARK, LIGHT
from compression.results import wilson

Row = dict[str, Any]
KINDS = ("weights", "channels", "gradual", "distilled")


def trial(number: int, correct: int, size: int, kind: str = "weights", **more: Any) -> Row:
    """A trial on 1,000 images; settings are written with two underscores for a dot."""
    low, high = wilson(correct, 1000)
    plain = {"study": "s", "trial": number, "model": "net", "data": "digits", "split": "val", "seed": 0, "n": 1000}
    plain |= {"accuracy": correct / 1000, "accuracy_low": low, "accuracy_high": high, "packed_bytes": size}
    plain |= {"recipe": kind, "file_bytes": 10**5, "params": 25_000, "nonzero": size // 4, "macs": 10 * size}
    return plain | {"memory_bytes": 200_000} | {name.replace("__", "."): value for name, value in more.items()}


def baseline(**more: Any) -> Row:
    return {**trial(-1, 980, 100_000), "granularity": "baseline", **more}


def study(count: int, seed: int = 0) -> list[Row]:
    """A random study of four recipes, timed."""
    rng = random.Random(seed)
    rows = [baseline(speedup=1.0, speedup_low=0.97, speedup_high=1.03, latency_ms=1.0)]
    for number in range(count):
        kind, sparsity = rng.choice(KINDS), rng.uniform(0.2, 0.98)
        correct = round(1000 * max(0.1, 0.98 - max(0.0, sparsity - 0.6) ** 2 - abs(rng.gauss(0, 0.02))))
        row = trial(number, correct, int(1e5 * (1.01 - sparsity)), kind)
        fast = 1 + sparsity + rng.gauss(0, 0.1)
        row |= {"speedup": fast, "speedup_low": fast - 0.05, "speedup_high": fast + 0.05, "latency_ms": 1 / fast}
        row |= {"eager_speedup": fast, "eager_speedup_low": fast - 0.1, "eager_speedup_high": fast + 0.1}
        row |= {"energy_mj": 3 * (1.01 - sparsity)}
        row |= {f"{kind}.1.prune.sparsity": sparsity, f"{kind}.2.train.lr": 10 ** rng.uniform(-4, -1)}
        row |= {f"{kind}.2.train.epochs": rng.choice((1, 2, 5))}
        rows.append(row)
    return rows


def bounds(*texts: str) -> list[Constraint]:
    return [Constraint.read(text) for text in texts]


def by_trial(table: Any) -> dict[int, Row]:
    return {row["trial"]: row for row in records(table)}


def named(chart: Any, name: str) -> Any:
    (found,) = [trace for trace in chart.figure.data if trace.name == name and trace.x != (None,)]
    return found


def slow_front(rows: list[Row], x: str, y: str) -> list[bool]:
    """The definition, word for word: none is clearly better in one measure and clearly worse in neither."""

    def better(q: Row, p: Row, side: str, key: str) -> bool:
        up = OBJECTIVES.get(key, "minimize" if key.endswith(("_ms", "_g")) else "maximize") == "maximize"
        low, high = (side, side) if key == "accuracy" else (f"{side}_low", f"{side}_high")
        return bool(q[low] > p[high]) if up else bool(q[high] < p[low])

    def beats(q: Row, p: Row) -> bool:
        sides = (("x", x), ("y", y))
        return any(better(q, p, *one) for one in sides) and not any(better(p, q, *one) for one in sides)

    return [not any(beats(q, p) for q in rows) for p in rows]


@pytest.mark.parametrize(("x", "y"), [*combinations(MEASURES, 2), ("packed_bytes", "accuracy")])
def test_the_front_is_what_no_other_beats_in_any_pair_of_directions(x: str, y: str) -> None:
    rows = records(cloud_table(study(60)[1:], x, y))
    front = slow_front(rows, x, y)
    assert [row["front"] for row in rows] == front and any(front)


def test_every_measure_has_the_direction_of_the_objective() -> None:
    assert {key: MEASURES[key].more_is_better for key in OBJECTIVES} == {
        key: way == "maximize" for key, way in OBJECTIVES.items()
    }
    assert not MEASURES["latency_ms"].more_is_better and set(OBJECTIVES) < set(MEASURES) == {"accuracy", *AXES}


def test_near_is_beaten_but_within_noise_of_the_best_that_costs_no_more() -> None:
    rows = records(cloud_table(study(80), "packed_bytes"))
    for row in rows:
        rival = max((one for one in rows if one["x"] <= row["x"]), key=lambda one: one["accuracy"])
        assert row["near"] == (not row["front"] and within_noise(row, rival))
    assert any(row["near"] for row in rows) and not cloud_table(study(80), "packed_bytes", "macs")["near"].any()


def test_among_some_the_front_is_what_none_of_them_beats() -> None:
    rows = study(60)
    whole = cloud_table(rows, "packed_bytes")
    chosen = {("s", number) for number in range(0, 60, 3)}
    table = by_trial(among(whole, chosen))
    alone = by_trial(cloud_table([row for row in rows if row["trial"] % 3 == 0 or row["trial"] < 0], "packed_bytes"))
    assert table.keys() == alone.keys() == {-1, *(number for _, number in chosen)}
    for number, row in table.items():
        assert all(row[key] == alone[number][key] for key in ("x", "y", "front", "near", "ratio", "change"))
        kept = by_trial(whole)[number]
        assert (row["label"], row["group"], row["turn"]) == (kept["label"], kept["group"], kept["turn"])
    assert sum(row["front"] for row in table.values()) > sum(by_trial(whole)[number]["front"] for number in table)
    assert list(among(whole, ())["trial"]) == [-1] and among(whole.iloc[1:], ()).empty


def test_what_a_device_would_take_is_worked_out_and_what_does_not_fit_is_not_drawn() -> None:
    rows = study(20)
    rows[1] |= {"file_bytes": 3_000_000}
    table = cloud_table(rows, "stm32h7_ms")
    by = by_trial(table)
    assert by[0]["x"] != by[0]["x"] and not by[0]["front"]
    for number in range(1, 20):
        least, most = rows[number + 1]["macs"] / 240e6, rows[number + 1]["macs"] / 10e6
        assert by[number]["x"] == pytest.approx(1000 * (least * most) ** 0.5)
    chart = charts.cloud_chart(table, LIGHT)
    assert "latency on STM32H743 estimated, give or take 4.9× on all alike" in chart.subtitle
    assert "1 of 21 that do not fit STM32H743 are not drawn" in chart.subtitle
    for row in rows:
        row["file_bytes"] = 3_000_000
    assert charts.cloud_chart(cloud_table(rows, "stm32h7_ms"), LIGHT).title == (
        "None of these models fits the memory of STM32H743"
    )


def test_what_was_not_measured_stays_in_the_table_and_off_the_front() -> None:
    rows = study(20)
    del rows[3]["speedup"]
    table = by_trial(cloud_table(rows, "speedup"))
    assert table[2]["x"] != table[2]["x"] and not table[2]["front"] and not table[2]["near"]
    assert table[-1]["x"] == table[-1]["x_low"] == 1.0, "a baseline is as fast as itself"


def test_seeds_of_one_setting_are_taken_together() -> None:
    corrects, sizes = (950, 960, 940), (500, 520, 510)
    pairs = enumerate(zip(corrects, sizes, strict=True))
    rows = [trial(at, *pair, **{"weights__1__prune__sparsity": 0.5, "seed": at}) for at, pair in pairs]
    rows += [trial(3, 900, 300, **{"weights__1__prune__sparsity": 0.7}), baseline(), baseline(study="other")]
    table = by_trial(cloud_table(rows, "packed_bytes"))
    together, alone = table[0], table[3]
    middle, sd = fmean(corrects) / 1000, stdev(corrects) / 1000
    assert together["seeds"] == 3 and together["trials"] == (0, 1, 2) and together["spread"] == "sd"
    assert [together[key] for key in ("y_low", "y", "y_high")] == pytest.approx([middle - sd, middle, middle + sd])
    assert [together[key] for key in ("x_low", "x", "x_high")] == pytest.approx([500, 510, 520])
    assert (alone["seeds"], alone["y_low"], alone["y_high"]) == (1, *wilson(900, 1000))
    assert len(cloud_table(rows, "packed_bytes")) == 4, "each study keeps a baseline"


def test_feasible_is_judged_on_the_mean_of_the_seeds_and_on_measures_that_are_not_drawn() -> None:
    rows = [trial(at, correct, 500, seed=at) for at, correct in enumerate((940, 980))]
    asked = bounds("accuracy >= 96 %", "nonzero <= 200")
    assert cloud_table(rows, "macs", constraints=asked)["feasible"].tolist() == [True]
    assert cloud_table(rows, "macs", constraints=bounds("speedup >= 2"))["feasible"].tolist() == [False]


def test_trials_are_grouped_by_any_setting_and_numbers_by_ranges() -> None:
    rows = study(120)
    assert set(cloud_table(rows, "macs").query("not baseline")["group"]) == set(KINDS)
    table = cloud_table(rows, "macs", group="sparsity").query("not baseline").sort_values("turn")
    assert list(dict.fromkeys(table["group"])) == ["20–40 %", "40–60 %", "60–80 %", "80–100 %"]
    own = {row["trial"]: row for row in rows}
    for row in records(table):
        sparsity = next(value for key, value in own[row["trial"]].items() if key.endswith("sparsity"))
        low, high = (float(end) for end in row["group"].removesuffix(" %").split("–"))
        assert low <= 100 * sparsity < high
    lr = cloud_table(rows, "macs", group="weights.2.train.lr").query("not baseline")
    assert "not set" in set(lr["group"]) and "0.001–0.01" in set(lr["group"])
    with pytest.raises(UserError, match="colour"):
        cloud_table(rows, "macs", group="colour")
    with pytest.raises(UserError, match="axis"):
        cloud_table(rows, "loss")


def test_of_many_groups_the_largest_eight_stay() -> None:
    rows = [trial(at, 900, 100 + at, kind=f"recipe {min(at % 12, at // 2)}") for at in range(100)]
    table = cloud_table(rows, "packed_bytes")
    assert table["group"].nunique() == 9 and "other" in set(table["group"])
    chart = charts.cloud_chart(table, LIGHT)
    looks = {(trace.marker.symbol, trace.name) for trace in chart.figure.data if trace.showlegend is not False}
    assert len({symbol for symbol, _ in looks}) == len(looks) == 9, "each group has a symbol of its own"


def test_labels_are_the_settings_that_vary() -> None:
    rows = [
        trial(0, 900, 1, weights__1__prune__sparsity=0.6, weights__2__train__epochs=1, weights__2__train__lr=0.1),
        trial(1, 900, 2, weights__1__prune__sparsity=0.7, weights__2__train__epochs=3, weights__2__train__lr=0.1),
        trial(2, 900, 3, kind="soft", soft__1__distill__method="soft_targets", soft__2__prune__sparsity=0.5),
        trial(3, 900, 3, kind="soft", soft__1__distill__method="crd", soft__2__prune__sparsity=0.6),
    ]
    assert cloud_table([*rows, baseline()], "macs")["label"].tolist() == [
        "weights 60 %, 1 epoch", "weights 70 %, 3 epochs", "soft 50 %, soft targets", "soft 60 %, crd", "baseline",
    ]  # fmt: skip
    assert cloud_table(rows[:1], "macs")["label"].tolist() == ["trial 0"]


MANY = study(2000)
FEW = [
    baseline(),
    trial(0, 978, 60_000, weights__1__prune__sparsity=0.4),
    trial(1, 976, 40_000, weights__1__prune__sparsity=0.6),
    trial(2, 940, 30_000, kind="channels", channels__1__prune__sparsity=0.5),
    trial(3, 900, 20_000, kind="channels", channels__1__prune__sparsity=0.7),
    trial(4, 300, 10_000, weights__1__prune__sparsity=0.9),
]
BOTH = bounds("accuracy >= 93 %", "packed_bytes <= 50 KB")
MAKERS: dict[str, Any] = {
    "few": lambda t: draw(FEW, t, BOTH, show_knee=True, pinned=("s", 2), selected=[("s", 1)]),
    "free": lambda t: draw(FEW, t),
    "none feasible": lambda t: draw(FEW, t, bounds("accuracy >= 99 %")),
    "turned": lambda t: draw(study(40), t, BOTH, x="accuracy", y="packed_bytes", log_y=True, show_knee=True),
    "speed": lambda t: draw(study(100), t, bounds("speedup >= 1.5"), x="speedup", group="epochs", show_knee=True),
    "two speeds": lambda t: draw(study(100), t, x="speedup", y="eager_speedup", show_knee=True),
    "two costs": lambda t: draw(study(100), t, bounds("macs <= 300 K"), x="latency_ms", y="macs", log_x=True),
    "same twice": lambda t: draw(study(30), t, x="accuracy"),
    "many": lambda t: draw(MANY, t, BOTH, group="lr", show_knee=True, selected=[("s", at) for at in range(9)]),
    "alike": lambda t: draw([row | {"macs": 640_000} for row in FEW], t, y="macs", log_y=True),
    "no baseline": lambda t: draw(FEW[1:], t),
    "baseline alone": lambda t: draw(FEW[:1], t, BOTH),
    "one trial": lambda t: draw(FEW[:2], t, BOTH),
    "untimed": lambda t: draw(FEW, t, x="latency_ms"),
    "empty": lambda t: draw([], t, BOTH),
}


def draw(rows: list[Row], theme: Any, constraints: Any = (), x: str = "packed_bytes", **more: Any) -> Any:
    table = cloud_table(rows, x, more.pop("y", "accuracy"), more.pop("group", "recipe"), constraints)
    return charts.cloud_chart(table, theme, constraints=constraints, **more)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", MAKERS)
def test_every_cloud_is_valid_small_and_in_words(name: str, theme: Any) -> None:
    chart = MAKERS[name](theme)
    drawn = chart.figure.to_dict()
    go.Figure(**drawn)  # the charts skip Plotly's validation; here it raises on any bad property
    text = plotly.io.to_json(drawn, validate=False)
    assert len(text) < 400_000 and "NaN" not in text and "Infinity" not in text
    assert chart.alt == chart.title and 1 <= len(chart.title.split()) <= 15
    shown = json.loads(text)["layout"]["title"]["text"].replace("<br>", " ").replace("\u00a0", " ")
    assert shown == f"<b>{chart.title}</b>"
    other = LIGHT if theme is DARK else DARK
    assert other.text not in text and other.palette[0] not in text, "colours of one theme only"


def test_every_point_can_be_traced_to_its_trial() -> None:
    chart = charts.cloud_chart(cloud_table(FEW, "packed_bytes"), LIGHT)
    own = {trial_of(key): (x, y) for trace in chart.figure.data if trace.hovertemplate
           for key, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)}  # fmt: skip
    assert own == {(row["study"], row["trial"]): (row["packed_bytes"] / 1000, row["accuracy"]) for row in FEW}


def test_the_front_is_a_staircase_whose_steps_turn_with_the_direction() -> None:
    front = named(MAKERS["free"](LIGHT), "Pareto front")
    assert front.x == (10, 20, 30, 40, 60, 100) and front.line.shape == "hv"
    assert named(MAKERS["speed"](LIGHT), "Pareto front").line.shape == "vh"
    assert named(MAKERS["turned"](LIGHT), "Pareto front").line.shape == "vh"


def test_many_points_have_no_bars_and_very_many_are_drawn_by_the_graphics_card() -> None:
    assert {trace.type for trace in MAKERS["many"](LIGHT).figure.data} == {"scatter"}
    repeated = pd.concat([cloud_table(study(10), "packed_bytes")] * 300)
    assert {trace.type for trace in charts.cloud_chart(repeated, LIGHT).figure.data} == {"scattergl"}
    few = MAKERS["few"](LIGHT).figure.data
    assert {trace.type for trace in few} == {"scatter"} and any(trace.error_y.array for trace in few)
    middle = draw(study(200), LIGHT)
    assert not any(trace.error_y.array for trace in middle.figure.data) and "on hover" in middle.subtitle


def test_points_that_fail_a_constraint_are_hollow() -> None:
    chart = MAKERS["few"](LIGHT)
    symbols = {trial_of(key)[1]: trace.marker.symbol for trace in chart.figure.data if trace.hovertemplate
               for key in trace.customdata}  # fmt: skip
    assert symbols == {0: "circle-open", 1: "circle", 2: "square", 3: "square-open", 4: "circle-open", -1: "star"}
    assert "hollow: fails a constraint" in chart.subtitle and "hollow" not in MAKERS["free"](LIGHT).subtitle


def test_constraints_shade_what_they_rule_out_on_either_axis() -> None:
    layout = MAKERS["few"](LIGHT).figure.layout
    size, _, accuracy, _ = (shape for shape in layout.shapes if shape.type == "rect" or shape.line.dash == "dash")
    assert (size.x0, size.x1, size.yref) == (50, layout.xaxis.range[1], "paper"), "larger is ruled out"
    assert (accuracy.y0, accuracy.y1, accuracy.xref) == (0.93, layout.yaxis.range[0], "paper"), "less is ruled out"
    words = " ".join(note.text for note in layout.annotations)
    assert "packed size ≤ 50 KB" in words and "accuracy ≥ 93 %" in words
    turned = MAKERS["turned"](LIGHT).figure.layout
    assert [(shape.x0, shape.y0) for shape in turned.shapes if shape.type == "rect"] == [(0.93, 0), (0, 50)]


def test_a_bound_beyond_all_points_is_drawn_where_it_rules_them_out_and_told_where_it_does_not() -> None:
    out = draw(FEW, LIGHT, bounds("packed_bytes <= 2 KB"))
    assert any(shape.x0 == 2 for shape in out.figure.layout.shapes)
    free = draw(FEW, LIGHT, bounds("accuracy >= 10 %"))
    assert "accuracy ≥ 10 % is off the chart" in free.subtitle
    assert not any(shape.type == "rect" for shape in free.figure.layout.shapes)


def test_points_far_below_the_baseline_do_not_squash_the_view() -> None:
    chart = MAKERS["free"](LIGHT)
    assert 0.7 < chart.figure.layout.yaxis.range[0] < 0.9 and "1 below 75 % are off the chart" in chart.subtitle
    assert chart.figure.layout.xaxis.range[0] > 10, "nor do their costs"
    turned = draw(FEW, LIGHT, x="accuracy", y="packed_bytes")
    assert turned.figure.layout.xaxis.range[0] > 0.7


def test_the_baseline_is_a_labelled_star_on_a_dotted_line() -> None:
    chart = MAKERS["free"](LIGHT)
    star = named(chart, "baseline")
    assert (star.x, star.y, star.marker.symbol) == ((100,), (0.98,), "star")
    assert [shape.y0 for shape in chart.figure.layout.shapes if shape.line.dash == "dot"] == [0.98]
    assert any(note.text.startswith("baseline 98.0 %") for note in chart.figure.layout.annotations)


def test_best_knee_and_marked_points_are_ringed_and_named() -> None:
    chart = draw(FEW, LIGHT, bounds("accuracy >= 93 %"), pinned=("s", 0), selected=[("s", 1), ("s", 99)])
    assert named(chart, "best").x == (30,) and named(chart, "marked").x == (60, 40)
    words = [note.text for note in chart.figure.layout.annotations]
    assert "<b>best feasible: channels 50 %, 30 KB at 94.0 %</b>" in words
    assert "<b>A</b>" in words and "<b>B</b>" in words and "<b>C</b>" not in words
    both = draw(FEW, LIGHT, bounds("accuracy >= 95 %"), show_knee=True)
    assert "<b>best feasible and knee (furthest from chord)</b>" in [n.text for n in both.figure.layout.annotations]
    knee = draw(FEW, LIGHT, bounds("accuracy >= 93 %"), show_knee=True)
    assert any("knee (furthest from chord)" in note.text for note in knee.figure.layout.annotations)
    chosen = draw(FEW, LIGHT, best=("s", 3))
    assert named(chosen, "best").x == (20,) and chosen.title.startswith("Channels 70 % makes it 5.0× smaller")


def test_four_groups_are_named_at_their_points_and_more_in_a_legend() -> None:
    notes = " ".join(note.text for note in MAKERS["free"](LIGHT).figure.layout.annotations)
    assert "● </span>" not in notes and "weights" in notes and "channels" in notes
    rows = [trial(at, 900 + at, 50 + at % 7, kind=f"recipe {at % 5}") for at in range(50)]
    chart = draw(rows, LIGHT)
    entries = [trace.name for trace in chart.figure.data if trace.showlegend is not False]
    assert chart.figure.layout.showlegend and entries == [f"recipe {at}" for at in range(5)]
    assert chart.figure.layout.height > 460, "a legend takes no room from the plot"


def test_titles_say_what_is_best_or_why_nothing_is() -> None:
    def title(*texts: str, rows: list[Row] = FEW, x: str = "packed_bytes") -> str:
        asked = bounds(*texts)
        return str(charts.cloud_chart(cloud_table(rows, x, constraints=asked), LIGHT, constraints=asked).title)

    assert title() == "Weights 60 % makes it 2.5× smaller and costs 0.4 points, within noise"
    assert title("accuracy >= 93 %") == "Best feasible: channels 50 %, 30 KB at 94.0 %"
    assert title("packed_bytes <= 50 KB") == "Best feasible: weights 60 %, 40 KB at 97.6 %", "accuracy is free"
    assert title("macs <= 250 K", x="macs") == "Best feasible: channels 70 %, 200 K MACs at 90.0 %"
    assert title("accuracy >= 99 %") == "None of 5 trials meets accuracy ≥ 99 %; the nearest has 97.8 %"
    assert title("packed_bytes <= 5 KB") == "None of 5 trials meets packed size ≤ 5 KB; the nearest has 10 KB"
    two = title("accuracy >= 95 %", "packed_bytes <= 20 KB")
    assert two == "None of 5 trials meets all constraints; the nearest fails accuracy ≥ 95 %"
    three = title("accuracy >= 99 %", "packed_bytes <= 5 KB", "macs <= 1 K")
    assert three == "None of 5 trials meets all constraints; the nearest fails accuracy, packed size, MACs"
    assert title("speedup >= 2") == "None of 5 trials meets speed-up ≥ 2.0×; not measured"
    assert title(rows=FEW[1:]) == "Most accurate of 5 trials: weights 40 %, 60 KB at 97.8 %"
    assert title(rows=FEW[:1]) == "Only the baseline has been measured so far"
    assert title(rows=[]) == "Nothing has been measured yet"
    assert title(x="latency_ms") == "Latency of these trials has not been measured yet"
    assert title(rows=[FEW[0], FEW[5]]) == "Nothing smaller stays within 1 point of the baseline"


@pytest.mark.parametrize("x", MEASURES)
@pytest.mark.parametrize(
    "texts",
    [
        (),
        ("accuracy >= 99.9 %",),
        ("nonzero <= 6 K", "accuracy >= 90 %"),
        ("speedup >= 9", "memory_bytes <= 1 KB", "file_bytes <= 1 KB", "macs <= 1 K"),
    ],
)
def test_no_title_is_longer_than_fifteen_words(x: str, texts: tuple[str, ...]) -> None:
    rows = [row | {"recipe": f"a long name for {row['recipe']} of many words"} for row in study(30)]
    for y in ("accuracy", "macs"):
        chart = draw(rows, LIGHT, bounds(*texts), x=x, y=y)
        assert len(chart.title.split()) <= 15, chart.title


def test_the_subtitle_says_on_what_and_what_is_missing() -> None:
    rows = study(40)
    del rows[1]["speedup"], rows[2]["speedup"]
    words = draw(rows, LIGHT, x="speedup").subtitle
    assert words.startswith("40 trials · accuracy on validation images, n = 1,000, 95 % interval ·")
    assert "2 of 41 without speed-up are not drawn" in words and "faded: beaten by another" in words
    costs = draw(rows, LIGHT, x="packed_bytes", y="macs").subtitle
    assert "measured on validation images, n = 1,000 · packed size measured, MACs counted" in costs
    assert " · symbols: epochs · " in draw(rows, LIGHT, group="epochs").subtitle
    seeds = [trial(at, 900 + at, 500, seed=at) for at in range(4)]
    assert draw(seeds, LIGHT).subtitle.startswith("4 trials of 1 setting · accuracy on validation images, n = 1,000, ±")


def test_the_best_without_constraints_is_the_greatest_gain_within_a_point_on_either_axis() -> None:
    assert best_of(records(cloud_table(FEW, "packed_bytes")), ())["trial"] == 1  # type: ignore[index]
    assert best_of(records(cloud_table(FEW, "accuracy", "packed_bytes")), ())["trial"] == 1  # type: ignore[index]
    assert best_of(records(cloud_table([], "macs")), ()) is None


def test_two_thousand_trials_take_no_longer_than_a_blink() -> None:
    table = cloud_table(MANY, "packed_bytes")
    began = time.perf_counter()
    charts.cloud_chart(table, LIGHT)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("correct", (960, 972, 975))
def test_the_name_of_the_best_keeps_off_the_baselines_line(correct: int) -> None:
    rows = [baseline(), *FEW[2:], trial(9, correct, 20_000, weights__1__prune__sparsity=0.7)]
    asked = bounds("accuracy >= 95 %")
    layout = charts.cloud_chart(
        cloud_table(rows, "packed_bytes", constraints=asked), LIGHT, constraints=asked
    ).figure.layout
    (note,) = [one for one in layout.annotations if "best feasible:" in one.text]
    (low, high), upward = layout.yaxis.range, layout.height - layout.margin.t - layout.margin.b
    level, at = ((value - low) / (high - low) * upward for value in (0.98, note.y))
    at += -note.ay if note.showarrow else note.yshift
    letters = 12 * 1.35
    bottom = at - {"bottom": 0.0, "middle": letters / 2, "top": letters}[note.yanchor]
    assert not bottom < level < bottom + letters
