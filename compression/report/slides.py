"""A story as a PowerPoint deck: a sentence for each slide's title, native charts, tables, and notes for the speaker."""

from __future__ import annotations

import io
from typing import Any

from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import PP_ALIGN
from pptx.slide import Slide
from pptx.util import Emu, Inches, Pt

from compression.report.cover import Cover
from compression.report.slide_charts import NATIVE, Box, rgb
from compression.report.slide_tables import add_table
from compression.report.story import Story
from compression.report.story_sections import Section, sections
from compression.report.story_words import footnote, headline, title
from compression.report.themes import LIGHT

MIME = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
WIDTH, HEIGHT = Inches(13.333), Inches(7.5)
LEFT, TOP, INSIDE = Inches(0.6), Inches(1.7), Inches(12.13)
BAR = Inches(0.18)
TITLE_ONLY = 5
"""The layout of python-pptx's own template that has a title and nothing else."""
SPACE = Inches(0.3)
CHART_PART = 0.36
"""Of the width, where a table stands beside the chart."""


def deck(story: Story, cover: Cover) -> bytes:
    """The whole file."""
    made = Presentation()
    made.slide_width, made.slide_height = WIDTH, HEIGHT
    made.core_properties.title = title(story, cover)
    made.core_properties.author = cover.author
    _first(made, story, cover)
    for part in sections(story):
        _slide(made, story, part, cover)
    kept = io.BytesIO()
    made.save(kept)
    return kept.getvalue()


def _first(made: Any, story: Story, cover: Cover) -> None:
    """The headline, and who presents."""
    slide = _blank(made, title(story, cover), cover)
    _text(slide, [headline(story, story.points[0])], Inches(2.4), Inches(2), Pt(40), bold=True)
    _text(slide, [cover.byline], Inches(5.2), Inches(0.5), Pt(18))
    _notes(slide, [f"{headline(story, point)}: {point.label}." for point in story.points] + footnote(story))


def _slide(made: Any, story: Story, part: Section, cover: Cover) -> None:
    """One section: its chart, else its tables, and its words; the notes have all of them."""
    slide = _blank(made, part.lead, cover)
    draw = NATIVE.get(part.key)
    beside = bool(draw and part.tables)
    shown = draw(story, slide.shapes, _box(beside)) if draw else None
    if shown:
        shown._element.nvGraphicFramePr.cNvPr.set("descr", part.chart.alt if part.chart else part.lead)
    down, part_of = TOP, Emu(round(INSIDE * CHART_PART)) if beside else Emu(0)
    for cells in part.tables:
        down += add_table(slide, cells, cover.accent, LEFT + part_of, down, INSIDE - part_of) + SPACE
    room = HEIGHT - Inches(1.15)
    said = [*part.sentences, *filter(None, [part.caption])]
    _text(slide, said, room if shown else min(down, room), Inches(1), Pt(12))
    _notes(slide, [part.heading, part.lead, *said])


def _box(beside: bool) -> Box:
    """Where a chart stands: over the whole width, or beside a table."""
    across = round(INSIDE * CHART_PART) - Inches(0.2) if beside else INSIDE
    return LEFT, TOP, Emu(across), Inches(4.6)


def _blank(made: Any, words: str, cover: Cover) -> Slide:
    """A slide with its title, the accent over it and the logo in its corner."""
    slide = made.slides.add_slide(made.slide_layouts[TITLE_ONLY])
    bar = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, 0, 0, WIDTH, BAR)
    bar.fill.solid()
    bar.fill.fore_color.rgb = rgb(cover.accent)
    bar.line.fill.background()
    head = slide.shapes.title
    across = INSIDE
    if cover.logo:
        logo = slide.shapes.add_picture(io.BytesIO(cover.logo), 0, Inches(0.4), height=Inches(0.8))
        logo.width, logo.height = _fitted(logo.width, logo.height)
        logo.left = Emu(WIDTH - LEFT - logo.width)
        logo._element.nvPicPr.cNvPr.set("descr", "Logo")
        across = Emu(INSIDE - logo.width - Inches(0.3))
    head.left, head.top, head.width, head.height = LEFT, Inches(0.4), across, Inches(1.1)
    head.text_frame.word_wrap = True
    head.text_frame.text = words
    _style(head.text_frame, Pt(24 if len(words) < 110 else 20), bold=True)
    return slide


def _fitted(width: int, height: int) -> tuple[Emu, Emu]:
    """A logo's size on a slide, never wider than two inches."""
    scale = min(1.0, Inches(2) / width)
    return Emu(round(width * scale)), Emu(round(height * scale))


def _text(slide: Slide, lines: list[str], top: int, height: int, size: Pt, bold: bool = False) -> None:
    if not any(lines):
        return
    frame = slide.shapes.add_textbox(LEFT, Emu(top), INSIDE, Emu(height)).text_frame
    frame.word_wrap = True
    frame.text = "\n".join(lines)
    _style(frame, size, bold)


def _style(frame: Any, size: Pt, bold: bool) -> None:
    for paragraph in frame.paragraphs:
        paragraph.alignment = PP_ALIGN.LEFT
        for run in paragraph.runs:
            run.font.size, run.font.bold, run.font.color.rgb = size, bold, rgb(LIGHT.text)


def _notes(slide: Slide, lines: list[str]) -> None:
    slide.notes_slide.notes_text_frame.text = "\n".join(lines)
