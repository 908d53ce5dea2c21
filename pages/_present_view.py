"""A report on the page: its sections as they are told, and the files to take away."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from compression.report import html, slides
from compression.report.cover import Cover
from compression.report.story import Story
from compression.report.story_numbers import MARKS, csv
from compression.report.story_sections import Section, sections
from compression.report.story_tables import Cells
from compression.report.story_words import headline, title
from pages._draw import draw
from pages._link import address, inert
from pages._workbench import theme

PICTURES = ("png", "svg")
LOGO = 160
"""Pixels that a logo is wide."""


def show(story: Story, shown: Cover) -> None:
    """The whole report."""
    _cover(story, shown)
    take_away(story, shown)
    for part in sections(story, theme()):
        _section(part)


def _cover(story: Story, shown: Cover) -> None:
    """The title with the logo beside it, who presents, and the headline."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(inert(title(story, shown)), anchor=False)
        if shown.logo:
            st.image(shown.logo, width=LOGO, alt="Logo")
    if shown.byline:
        st.caption(inert(shown.byline))
    st.subheader(headline(story, story.points[0]), anchor=False)


def take_away(story: Story, shown: Cover) -> None:
    """The report as files, each made when it is asked for, and as a link."""
    name = f"espalier-{story.studied.name}".replace(" ", "-")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button(
            "HTML", lambda: html.page(story, shown), f"{name}.html", "text/html", icon=":material/html:",
            key="present_html", help="One file with live charts that needs no network.",
        )  # fmt: skip
        st.download_button(
            "PowerPoint", lambda: slides.deck(story, shown), f"{name}.pptx", slides.MIME, icon=":material/slideshow:",
            key="present_pptx", help="Charts are native: their numbers can be edited. The speaker's notes are in it.",
        )  # fmt: skip
        mark = st.session_state.get("present_decimal", ".")
        st.download_button("CSV", lambda: csv(story, shown, mark), f"{name}.csv", "text/csv", icon=":material/table:",
                           key="present_csv", help="Every number of the report in its own unit.")  # fmt: skip
        with st.popover("More", icon=":material/more_horiz:", help="The link, the decimal mark, and charts as files."):
            st.radio(
                "Decimal mark of the CSV", list(MARKS), key="present_decimal", bind="query-params", horizontal=True,
                format_func=lambda mark: f"1{mark}5", help="After a comma, cells are parted by semicolons.",
            )  # fmt: skip
            st.radio(
                "A chart's camera saves", PICTURES, key="present_picture", bind="query-params", horizontal=True,
                format_func=str.upper, help="The camera appears over a chart when the pointer is on it.",
            )  # fmt: skip
            st.caption("This link opens the same report, without the logo, for whoever can open this dashboard.")
            st.code(address(), language=None, wrap_lines=True)


def _section(part: Section) -> None:
    st.subheader(part.heading, anchor=False)
    st.text("\n".join((part.lead, *part.sentences)))  # as it is: names may hold what Markdown takes for its own
    if part.chart:
        draw(part.chart, f"present_{part.key}", st.session_state.get("present_picture", PICTURES[0]))
    if part.caption:
        st.caption(part.caption)
    for cells in part.tables:
        _table(cells)


def _table(cells: Cells) -> None:
    """A table whose cells wrap, so that all columns are there in a narrow window too."""
    head, *lines = [[inert(words) for words in line] for line in cells]
    st.table(pd.DataFrame(lines, columns=head), hide_index=True, alt=f"Table: {', '.join(filter(None, cells[0]))}")
