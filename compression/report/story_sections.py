"""A story in the order in which it is told: headings, sentences, tables and charts, for whatever writes them out."""

from __future__ import annotations

from dataclasses import dataclass

from compression.report.cloud_chart import cloud_chart
from compression.report.compare import records
from compression.report.drawing import Chart
from compression.report.model_charts import change_chart, class_chart
from compression.report.story import Evidence, Story
from compression.report.story_tables import (
    Cells,
    assumption_cells,
    bars_of,
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
    images_words,
    losing_words,
    savings_words,
)
from compression.report.tables import change_table
from compression.report.themes import LIGHT, Theme
from compression.report.titles import change_title

WIDTH = 640


@dataclass(frozen=True)
class Section:
    """A part of a report: ``lead`` says it in one sentence, ``sentences`` the rest, ``caption`` is under the chart."""

    key: str
    heading: str
    lead: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Cells, ...] = ()
    chart: Chart | None = None
    caption: str = ""


def sections(story: Story, theme: Theme = LIGHT) -> list[Section]:
    """The parts of a story, each with its words, its tables and its chart."""
    first = story.points[0]
    named = [f"{point.letter}, {point.label}: {headline(story, point)}." for point in story.points]
    compared = tuple(named) if len(named) > 1 else ()
    changed, *worst = harm_words(first)
    saved, *more = (*savings_words(story, first), *break_even_words(story, first))
    yearly, assumed = savings_cells(story, first), assumption_cells(story)
    studied, *conditions = footnote(story)
    return [
        Section(
            "tradeoff", "The trade-off", chosen_words(story), chart=_tradeoff(story, theme),
            caption=images_words(story),
        ),
        Section(
            "before_after", "Before and after", accuracy_words(story, first), compared,
            (before_after_cells(story),), _change(story, theme),
        ),
        Section("harm", "Who is harmed", changed, tuple(worst), chart=_classes(first.evidence, theme)),
        Section("savings", "What it saves", saved, tuple(more), (yearly, assumed)),
        Section("measured", "How it was measured", studied, tuple(conditions)),
    ]  # fmt: skip


def _change(story: Story, theme: Theme) -> Chart:
    """What the first point has left of every cost; its title claims no speed-up that may be noise."""
    first = story.points[0]
    start = {**story.start, "latency_ms": first.row.get("baseline_latency_ms")}
    table = change_table(start, first.row, bars_of(story))
    timed = "hours" in first.savings and first.savings["hours"].clear
    sure = [row for row in records(table) if timed or row["key"] != "latency_ms"]
    return change_chart(table, theme, width=WIDTH, title=change_title(sure))


def _classes(seen: Evidence | None, theme: Theme) -> Chart | None:
    if seen is None:
        return None
    return class_chart(classes_of(seen), theme, split=seen.split, n=seen.n, width=WIDTH, title=losing_words(seen))


def _tradeoff(story: Story, theme: Theme) -> Chart:
    marked = [(story.studied.name, int(point.row["trial"])) for point in story.points]
    return cloud_chart(story.table, theme, constraints=story.studied.constraints, selected=marked, width=WIDTH)
