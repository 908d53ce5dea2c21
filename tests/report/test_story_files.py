"""A story as HTML and as a deck: the same numbers, native charts, nothing from the network, nobody's markup."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pptx import Presentation
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml.ns import qn
from pptx.util import Pt

from compression.registry import UserError
from compression.report import html, slides
from compression.report import story_words as words
from compression.report.cover import LONGEST, MOST_BYTES, SIDE, Cover, cover
from compression.report.story import ClassAnswers, Evidence, Story
from compression.report.story_sections import sections
from compression.report.themes import DARK
from tests.report.told import FAST, POOR, SLOW, made, rows

MARKUP = '<script>alert("x")</script> & [b](http://x) =1+1'


class Text(HTMLParser):
    """The words of a page outside scripts and styles, its tags with their attributes, and its scripts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        last = self.tags[-1][0] if self.tags else ""
        (self.scripts if last == "script" and self.cdata_elem else self.words).append(data.strip())


def picture(kind: str = "PNG", size: tuple[int, int] = (300, 100)) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", size, "#801650").save(kept, kind)
    return kept.getvalue()


def texts(shape: Any) -> list[str]:
    if shape.has_text_frame:
        return [shape.text_frame.text]
    return [cell.text for row in shape.table.rows for cell in row.cells] if getattr(shape, "has_table", 0) else []


def opened(story: Story, shown: Cover | None = None) -> Any:
    return Presentation(io.BytesIO(slides.deck(story, shown or Cover())))


def charts(story: Story) -> list[Any]:
    return [shape.chart for slide in opened(story).slides for shape in slide.shapes if shape.has_chart]


def points_of(series: Any) -> list[tuple[float, float]]:
    """The numbers of an xy series as its XML has them."""
    sides = [
        [float(v.text) for v in series._element.find(qn(f"c:{side}")).iter(qn("c:v"))] for side in ("xVal", "yVal")
    ]
    return list(zip(*sides, strict=True))


@pytest.mark.parametrize("trials", [(), (SLOW, FAST, POOR)])
def test_the_page_has_every_sentence_and_number_and_asks_for_nothing(trials: tuple[int, ...]) -> None:
    told = made(*trials)
    source = html.page(told, cover("A title", "Ada", "#801650", picture(), "3 May 2026"))
    assert len(source.encode()) < 6_000_000
    page = Text(source)
    for part in sections(told):
        for sentence in (
            part.heading,
            part.lead,
            *part.sentences,
            part.caption,
            *(c for t in part.tables for line in t for c in line),
        ):
            assert not sentence or sentence in page.words, sentence
    assert words.headline(told, told.points[0]) in page.words and "Ada · 3 May 2026" in page.words
    fetched = [value for _, found in page.tags for name, value in found.items() if name in ("src", "href")]
    assert all(value and value.startswith("data:image/png;base64,") for value in fetched) and len(fetched) == 1
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": html.POLICY}) in page.tags
    assert "default-src 'none'" in html.POLICY


def test_the_pages_charts_hold_the_numbers_of_the_rows() -> None:
    source = html.page(made(), Cover())
    drawn = dict(re.findall(r'^Plotly\.newPlot\("(\w+)", (.*)\);$', source, re.MULTILINE))
    assert list(drawn) == ["tradeoff", "before_after", "harm"]
    traces = {trace["name"]: trace for trace in json.loads(drawn["tradeoff"])["data"] if "name" in trace}
    assert (traces["marked"]["x"], traces["marked"]["y"]) == ([32], [0.97])  # KB, and a fraction
    assert (traces["baseline"]["x"], traces["baseline"]["y"]) == ([100], [0.98])
    assert json.loads(drawn["before_after"])["data"][0]["x"] == pytest.approx([1.0, 1.0, 0.32, 0.25, 0.5 / 1.2, 0.25])
    after = next(one for one in json.loads(drawn["harm"])["data"] if one.get("name") == "after")
    assert after["x"] == pytest.approx([277 / 300, 394 / 400, 291 / 300])  # b loses most, then a; c gains


def test_what_is_charted_has_a_text_alternative() -> None:
    page = Text(html.page(made(), cover(logo=picture())))
    images = [found for _, found in page.tags if found.get("role") == "img"]
    assert [found["aria-label"] for found in images] == [part.chart.alt for part in sections(made()) if part.chart]
    assert all(found.get("alt") for tag, found in page.tags if tag == "img")
    deck = opened(made(), cover(logo=picture()))
    shapes = [shape for slide in deck.slides for shape in slide.shapes if not shape.has_text_frame]
    assert len(shapes) == 6 + 3 + 3  # logos, charts, tables
    assert all(shape._element.xpath(".//p:cNvPr")[0].get("descr") for shape in shapes)


def test_markup_of_presenters_and_of_class_names_stays_text() -> None:
    bold = Evidence("test", (ClassAnswers(MARKUP, 500, 480, 30, 0), ClassAnswers("\x1b\x00b\ud800", 500, 490, 0, 0)))
    told, shown = made(seen=bold), cover(MARKUP, MARKUP + "\x07")
    page = Text(html.page(told, shown))
    assert MARKUP in page.words and len([tag for tag, _ in page.tags if tag == "script"]) == 3
    assert not any("<script>alert" in script for script in page.scripts)
    deck = opened(told, shown)
    assert deck.slides[0].shapes.title.text_frame.text == MARKUP
    assert [c for c in charts(told)[2].plots[0].categories] == [MARKUP, "b"]
    assert "&lt;script&gt;" in html.page(told, shown)


def test_the_decks_trade_off_is_a_native_chart_with_the_right_numbers() -> None:
    chart = charts(made(FAST, SLOW))[0]
    assert chart.chart_type == XL_CHART_TYPE.XY_SCATTER
    found = {series.name: points_of(series) for series in chart.plots[0].series}
    expected = {
        "other trials": [(10, 0.7)],
        "front": [(10, 0.7), (32, 0.7), (32, 0.97), (50, 0.97), (50, 0.978), (100, 0.978), (100, 0.98)],
        "baseline": [(100, 0.98)],
        "A: channels 60 %": [(32, 0.97)],
        "B: weights 50 %": [(50, 0.978)],
        "packed size ≤ 40 KB": [(40, 0.7), (40, 1.0)],
        "accuracy ≥ 95 %": [(10, 0.95), (100, 0.95)],
    }
    assert list(found) == list(expected)
    for name, spots in expected.items():
        assert found[name] == [pytest.approx(spot) for spot in spots], name
    book = chart.part.chart_workbook.xlsx_part.blob  # what "Edit data" opens
    assert book[:2] == b"PK"


def test_the_decks_intervals_are_error_bars_of_the_stored_ends() -> None:
    told = made()
    fast = told.points[0].row
    series = next(one for one in charts(told)[0].plots[0].series if one.name.startswith("A"))
    (bars,) = series._element.findall(qn("c:errBars"))
    ends = {tag: float(bars.find(qn(f"c:{tag}")).find(f".//{qn('c:v')}").text) for tag in ("plus", "minus")}
    assert ends == pytest.approx({"plus": fast["accuracy_high"] - 0.97, "minus": 0.97 - fast["accuracy_low"]})
    order = [child.tag for child in series._element]
    assert order.index(qn("c:errBars")) < order.index(qn("c:xVal"))  # else PowerPoint asks to repair the file


def test_the_decks_bars_are_native_too() -> None:
    _, left, classes = charts(made(FAST, SLOW))
    values = {series.name: list(series.values) for series in left.plots[0].series}
    assert values["A: channels 60 %"] == pytest.approx([1, 1, 0.32, 0.25, 0.25])
    assert values["baseline"] == [1] * 5
    assert (classes.value_axis.minimum_scale, classes.value_axis.maximum_scale) == (0, 1), "no accuracy is above 100 %"
    assert list(classes.plots[0].categories) == ["b", "a", "c"]
    assert list(classes.plots[0].series[1].values) == pytest.approx([277 / 300, 394 / 400, 291 / 300])
    assert len(charts(made(seen=None))) == 2


@pytest.mark.parametrize("trials", [(FAST,), (SLOW, POOR)])
def test_bars_have_the_same_measures_in_the_same_order_in_the_deck_and_on_the_page(trials: tuple[int, ...]) -> None:
    told = made(*trials)
    (drawn,) = [part.chart for part in sections(told) if part.key == "before_after" and part.chart]
    names = [note.text for note in drawn.figure.layout.annotations if note.x == 0 and note.yshift == 17]
    timed = ["Latency"] if len(trials) == 1 else []
    measures = ["Parameters", "Dense file size", "Size with zeros packed", "MACs per image", *timed, "Energy per image"]
    assert names == list(charts(told)[1].plots[0].categories) == measures


def test_bars_claim_no_speed_up_that_may_be_noise() -> None:
    unsure = [row | ({"speedup_low": 0.9} if row["trial"] == FAST else {}) for row in rows()]
    drawn = [part.chart.title for told in (made(FAST), made(FAST, rows=unsure)) for part in sections(told)
             if part.key == "before_after" and part.chart]  # fmt: skip
    assert drawn == [
        "3.1× smaller, 4.0× fewer MACs, 2.4× faster, 4.0× less energy",
        "3.1× smaller, 4.0× fewer MACs, 4.0× less energy",
    ]


def test_the_deck_names_the_best_feasible_point_where_it_is_not_presented() -> None:
    chart = charts(made(SLOW))[0]
    assert {one.name: points_of(one) for one in chart.plots[0].series}["best feasible: channels 60 %"] == [(32, 0.97)]
    assert not [one.name for one in charts(made(FAST))[0].plots[0].series if "best" in one.name]
    free = [one.name for one in charts(made(SLOW, constraints=()))[0].plots[0].series]
    assert "best: channels 60 %" in free


def test_every_marker_of_the_deck_says_how_it_looks() -> None:
    for series in charts(made(SLOW))[0].plots[0].series:
        if series.name in ("front", "accuracy ≥ 95 %", "packed size ≤ 40 KB"):
            continue
        assert series.marker.size >= 8 and series.marker.style is not None
        look = series.marker.format
        assert look.line.color.rgb is not None and look.fill.type is not None, series.name


def test_axes_of_accuracy_end_at_the_whole_and_name_their_images() -> None:
    axis = charts(made())[0].value_axis
    assert axis.maximum_scale == 1 and axis.axis_title.text_frame.text == "Accuracy on validation images"
    (chart,) = [part.chart for part in sections(made()) if part.key == "tradeoff" and part.chart]
    assert chart.figure.layout.yaxis.title.text == "Accuracy on validation images · up is better"


@pytest.mark.parametrize("trials", [(FAST,), (FAST, SLOW, POOR)])
@pytest.mark.parametrize(("accent", "words"), [("#801650", "FFFFFF"), ("#F4D35E", "262730")])
def test_a_table_has_the_accent_in_its_head_and_columns_that_break_no_word(
    trials: tuple[int, ...], accent: str, words: str
) -> None:
    deck = opened(made(*trials), cover(accent=accent))
    tables = [shape.table for slide in deck.slides for shape in slide.shapes if getattr(shape, "has_table", 0)]
    assert len(tables) == 3
    for table in tables:
        for cell in table.rows[0].cells:
            assert str(cell.fill.fore_color.rgb) == accent[1:]
            assert str(cell.text_frame.paragraphs[0].font.color.rgb) == words
        for at, column in enumerate(table.columns):
            longest = max((word for row in table.rows for word in row.cells[at].text.split()), key=len)
            assert column.width >= Pt(11 * 0.6) * len(longest), longest  # 0.6 of its size is a wide font's letter


def test_a_measure_that_no_trial_has_leaves_the_chart_out() -> None:
    untimed = [{key: value for key, value in row.items() if "speedup" not in key} for row in rows()]
    told = made(FAST, rows=untimed, axis="speedup")
    assert len(charts(told)) == 2 and "has not been measured yet" in html.page(told, Cover())


@pytest.mark.parametrize("trials", [(), (FAST, SLOW, POOR)])
def test_every_slide_has_a_title_notes_and_room(trials: tuple[int, ...]) -> None:
    told = made(*trials)
    deck = opened(told, cover("T" * LONGEST, "Ada", logo=picture(size=(900, 30)), date="3 May 2026"))
    parts = sections(told)
    assert [slide.shapes.title.text_frame.text for slide in deck.slides] == ["T" * LONGEST, *(p.lead for p in parts)]
    for slide, part in zip(list(deck.slides)[1:], parts, strict=True):
        notes = slide.notes_slide.notes_text_frame.text
        assert all(sentence in notes for sentence in (part.lead, *part.sentences, part.caption))
        shown = "\n".join(line for shape in slide.shapes for line in texts(shape))
        shown = shown.replace("\v", " ").replace("\u00a0", " ")
        assert part.caption in shown
        assert all(cell in shown for table in part.tables for line in table for cell in line)
    for slide in deck.slides:
        for shape in slide.shapes:
            assert shape.left >= 0 and shape.left + shape.width <= deck.slide_width
            assert shape.top >= 0 and shape.top + shape.height <= deck.slide_height
        for one, other in combinations(slide.shapes, 2):
            apart_across = one.left + one.width <= other.left or other.left + other.width <= one.left
            assert apart_across or one.top + one.height <= other.top or other.top + other.height <= one.top


def test_charts_take_the_theme_of_the_page() -> None:
    dark = next(part.chart for part in sections(made(), DARK) if part.chart)
    assert dark.figure.layout.paper_bgcolor == DARK.page


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_logo_is_kept_as_a_small_png(kind: str) -> None:
    kept = Image.open(io.BytesIO(cover(logo=picture(kind, (2000, 1000))).logo))
    assert (kept.format, kept.size) == ("PNG", (SIDE, SIDE // 2))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logo": b"no image"}, "logo is not a readable image; it must be one of: PNG, JPEG, GIF, WEBP"),
        ({"logo": b"<svg onload='x'/>"}, "logo is not a readable image"),
        ({"logo": picture()[:60]}, "logo is not a readable image"),
        ({"logo": b"x" * (MOST_BYTES + 1)}, "logo has 2,000,001 bytes; it must have at most 2,000,000"),
        ({"logo": picture(size=(3000, 2000))}, "logo has 3000×2000 pixels; at most 4,000,000 are read"),
        ({"accent": "red"}, "accent is 'red'; give a colour as #rrggbb"),
        ({"accent": "#12436D;} body{display:none"}, "give a colour as #rrggbb"),
        ({"title": "x" * (LONGEST + 1)}, "it must have at most 120 characters"),
        ({"author": "x" * 10**6}, "author is 'xxx"),
    ],
)
def test_a_cover_that_cannot_be_is_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as fault:
        cover(**given)
    assert said in str(fault.value) and len(str(fault.value)) < 250 and "\n" not in str(fault.value)


def test_a_trial_off_the_first_view_is_drawn_where_it_is_presented() -> None:
    """The chart leaves out accuracies far below the baseline, but not the one that is spoken of."""
    (chart,) = [part.chart for part in sections(made(POOR)) if part.key == "tradeoff" and part.chart]
    low, high = chart.figure.layout.yaxis.range
    assert low < 0.7 < high
    (chart,) = [part.chart for part in sections(replace(made(FAST))) if part.key == "tradeoff" and part.chart]
    assert chart.figure.layout.yaxis.range[0] > 0.7


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice, which would open the deck, is not here")
def test_an_office_opens_the_deck_and_lays_out_every_slide(tmp_path: Path) -> None:
    told = made(SLOW, FAST, POOR)
    (tmp_path / "deck.pptx").write_bytes(slides.deck(told, Cover()))
    home = f"-env:UserInstallation=file://{tmp_path}/office"
    command = ["soffice", home, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), f"{tmp_path}/deck.pptx"]
    subprocess.run(command, check=True, capture_output=True, timeout=110)
    pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "deck.pdf").read_bytes())
    assert len(pages) == len(opened(told).slides) == 1 + len(sections(told))
