"""Names that somebody gave, in charts: Plotly, which takes some tags for marks and links, meets none in them."""

import json
import re
from dataclasses import fields

import numpy as np
import pytest

from compression.pruning.sensitivity import Reading
from compression.report import charts
from compression.report.sensitivity_bars import layer_cost_chart
from compression.report.sensitivity_charts import sensitivity_chart, sensitivity_map
from compression.report.sensitivity_tables import layer_cost_table, sensitivity_table
from compression.report.tables import class_table, layer_table
from compression.report.text import escaped
from compression.report.themes import LIGHT
from compression.results import LayerReport
from tests.report.teaching import answer

TAME, WILD = ("ant", "bee", "cat", "dog"), ("<b>x</b>", "<a href='//y'>", "<i>", "<sub>&lt;")


def classes(names):
    after = dict(zip(names, (0.5, 0.9, 0.8, 0.7), strict=True))
    return charts.class_chart(class_table(dict.fromkeys(names, 0.9), after), LIGHT, split="val", n=400)


def layers(names):
    reports = [
        LayerReport(layer=name, shape=(8, 8), asked=0.5, achieved=0.5, kept=4, width=8, note="") for name in names
    ]
    return charts.layer_chart(layer_table(reports), LIGHT)


def likeness(names):
    return charts.similarity_chart(np.full((4, 4), 0.25), LIGHT, classes=names, temperature=4)


def softening(names):
    return charts.softening_chart(answer(classes=names)[0], LIGHT, temperature=4)


def dark(names):
    return charts.dark_chart(answer(classes=names)[1], LIGHT, true=names[2], temperature=4)


def costs(names):
    held = [{"layer": name, "units": 8, "params": 64 * at, "macs": 64} for at, name in enumerate(names, 1)]
    return layer_cost_chart(layer_cost_table(held), LIGHT)


def scanned(names):
    same = dict.fromkeys((field.name for field in fields(Reading)), 0.9) | {"granularity": "rows", "n": 100}
    return sensitivity_table(
        same | {"layer": name, "sparsity": part, "achieved": part, "accuracy": 0.9 - part * at / 10}
        for at, name in enumerate(names)
        for part in (0.3, 0.6)
    )


def lines(names):
    return sensitivity_chart(scanned(names), LIGHT)


def cells(names):
    return sensitivity_map(scanned(names), LIGHT)


def tags(chart):
    """All that Plotly may take for tags in a chart."""
    return set(re.findall(r"<[^<>]*>", json.dumps(json.loads(chart.figure.to_json()), ensure_ascii=False)))


@pytest.mark.parametrize("made", [classes, layers, likeness, softening, dark, costs, lines, cells])
def test_a_name_brings_no_tag_into_a_chart_and_stays_in_its_words(made):
    assert tags(made(WILD)) == tags(made(TAME))
    assert "&lt;" in made(WILD).figure.to_json()


def test_the_alternative_to_a_chart_has_the_name_as_it_was_given():
    assert "Class <b>x</b> loses most" in classes(WILD).alt


def test_a_name_is_shown_letter_by_letter():
    assert escaped("<b>x</b> & &lt;") == "&lt;b>x&lt;/b> &amp; &amp;lt;"
