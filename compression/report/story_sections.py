"""A story in the order in which it is told: headings, sentences, tables and charts, for whatever writes them out."""

from __future__ import annotations

from dataclasses import dataclass

from compression.report.cloud_chart import cloud_chart
from compression.report.drawing import Chart
from compression.report.model_charts import change_chart, class_chart
from compression.report.story import Story
from compression.report.story_tables import (
    Cells,
    assumption_cells,
    before_after_cells,
    classes_of,
    savings_cells,
)
from compression.report.story_words import (
    accuracy_words,
    break_even_words,
    chosen_words,
    footnote,
    harm_words,
    headline,
    savings_words,
)
from compression.report.tables import change_table
from compression.report.themes import LIGHT, Theme

WIDTH = 640


@dataclass(frozen=True)
class Section:
    """A part of a report: ``lead`` is what it says in one sentence, ``sentences`` the rest of it."""

    key: str
    heading: str
    lead: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Cells, ...] = ()
    chart: Chart | None = None


def sections(story: Story, theme: Theme = LIGHT) -> list[Section]:
    """The parts of a story, each with its words, its tables and its chart."""
    first = story.points[0]
    harm = harm_words(first)
    told = [f"{point.letter}, {point.label}: {headline(story, point)}." for point in story.points]
    saved = savings_words(story, first)
    seen = first.evidence
    classes = class_chart(classes_of(seen), theme, split=seen.split, n=seen.n, width=WIDTH) if seen else None
    change = change_chart(change_table(story.start, first.row), theme, width=WIDTH)
    return [
        Section("tradeoff", "The trade-off", chosen_words(story), chart=_tradeoff(story, theme)),
        Section(
            "before_after", "Before and after", f"{headline(story, first)}.",
            (accuracy_words(story, first), *(told if len(told) > 1 else ())), (before_after_cells(story),), change,
        ),
        Section("harm", "Who is harmed", harm[-1], tuple(harm[:-1]), chart=classes),
        Section(
            "savings", "What it saves", saved[0], (*saved[1:], *break_even_words(story, first)),
            (savings_cells(story, first), assumption_cells(story)),
        ),
        Section("measured", "How it was measured", footnote(story)[0], tuple(footnote(story)[1:])),
    ]  # fmt: skip


def _tradeoff(story: Story, theme: Theme) -> Chart:
    marked = [(story.studied.name, int(point.row["trial"])) for point in story.points]
    return cloud_chart(story.table, theme, constraints=story.studied.constraints, selected=marked, width=WIDTH)
