"""The tables of a deck: a head in the presenter's colour, columns that break no word, rows that hold their words."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from pptx.oxml.ns import qn
from pptx.slide import Slide
from pptx.util import Emu, Inches, Pt

from compression.report.slide_charts import rgb
from compression.report.story_tables import Cells
from compression.report.themes import LIGHT, readable

FONT = Pt(11)
LETTER, MARGIN = int(Inches(0.092)), int(Inches(0.06))
"""The width of a letter in the widest of the usual fonts, and the room on either side of a cell's words."""
LINE, GAP = int(Inches(0.19)), int(Inches(0.1))
"""The height of a line of words, and what a row has beside its lines."""
NEUTRAL = "{073A0DAA-6AF3-43AB-8588-CEC1D06C72B9}"
"""PowerPoint's "Medium Style 2", whose rows are grey."""


def add_table(slide: Slide, cells: Cells, accent: str, left: int, top: int, width: int) -> int:
    """Put a table on a slide; how high it is."""
    glued = [[words.replace(" %", "\u00a0%") for words in line] for line in cells]
    across = widths(glued, width)
    down = [heights(line, across) for line in glued]
    shape = slide.shapes.add_table(len(cells), len(across), Emu(left), Emu(top), Emu(sum(across)), Emu(sum(down)))
    shape._element.nvGraphicFramePr.cNvPr.set("descr", f"Table: {', '.join(filter(None, cells[0]))}")
    shape._element.graphic.graphicData.tbl.tblPr.find(qn("a:tableStyleId")).text = NEUTRAL
    for column, size in zip(shape.table.columns, across, strict=True):
        column.width = Emu(size)
    for row, size, line in zip(shape.table.rows, down, glued, strict=True):
        row.height = Emu(size)
        for cell, words, cell_width in zip(row.cells, line, across, strict=True):
            cell.text = words if _room(words) <= cell_width else words.replace(" (", "\v(")  # not within an interval
            cell.margin_top = cell.margin_bottom = Inches(0.02)
            cell.margin_left = cell.margin_right = MARGIN
            font = cell.text_frame.paragraphs[0].font
            font.size, font.color.rgb = FONT, rgb(LIGHT.text)
    for cell in shape.table.rows[0].cells:
        cell.fill.solid()
        cell.fill.fore_color.rgb = rgb(accent)
        cell.text_frame.paragraphs[0].font.color.rgb = rgb(readable(accent))
    return sum(down)


def widths(cells: Cells, width: int) -> list[int]:
    """The columns of a table of this width: each has its longest word, and of what is left what its words ask for."""
    columns = list(zip(*cells, strict=True))
    least = [_room(max((word for cell in column for word in cell.split(" ")), key=len)) for column in columns]
    asked = [_room(max(column, key=len)) for column in columns]
    more = [most - few for most, few in zip(asked, least, strict=True)]
    left = width - sum(least)
    if left < 0 or not sum(more):
        return [round(width * one / sum(least)) for one in least]
    if left > sum(more):
        return [round(width * one / sum(asked)) for one in asked]
    return [round(few + left * one / sum(more)) for few, one in zip(least, more, strict=True)]


def _room(words: str) -> int:
    return LETTER * len(words) + 2 * MARGIN


def heights(line: Sequence[str], across: Sequence[int]) -> int:
    """How high a row is, by the lines into which its cells break."""
    letters = [max(1, (size - 2 * MARGIN) // LETTER) for size in across]
    lines = [
        len(wrap(words, most, break_long_words=False, break_on_hyphens=False))
        for words, most in zip(line, letters, strict=True)
    ]
    return LINE * max(1, *lines) + GAP
