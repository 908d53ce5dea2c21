"""A story as one HTML file that needs no network: live charts, their numbers as tables, and words for all of it."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import Any

from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from compression.report.cover import Cover
from compression.report.drawing import CONFIG
from compression.report.story import Story
from compression.report.story_sections import Section, sections
from compression.report.story_tables import Cells
from compression.report.story_words import headline, title
from compression.report.themes import FONT, LIGHT

# Nothing is fetched from anywhere; images may be the logo and what a chart saves of itself.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE = f"""
:root {{ color-scheme: light }}
body {{ font: 17px/1.5 {FONT}; color: {LIGHT.text}; background: {LIGHT.page}; max-width: 60rem; margin: 2rem auto;
  padding: 0 1.25rem }}
header {{ border-top: 8px solid var(--accent); padding-top: 1rem }}
header img {{ float: right; max-height: 5rem; max-width: 12rem; margin-left: 1rem }}
h1 {{ font-size: 1.5rem; margin: 0 }} h2 {{ border-bottom: 2px solid var(--accent); margin-top: 2.5rem }}
.headline {{ font-size: 2rem; line-height: 1.25; font-weight: 600; margin: .5rem 0 }}
.muted, footer {{ color: {LIGHT.muted}; font-size: .9rem }}
figure {{ margin: 1rem 0 }} figure button {{ font: inherit; font-size: .85rem; margin-right: .5rem }}
.wide {{ overflow-x: auto }} table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid {LIGHT.grid} }}
td {{ font-variant-numeric: tabular-nums }}
@media print {{ figure button {{ display: none }} section {{ break-inside: avoid }} }}
"""
SAVE = """
function save(id, format) {
  Plotly.downloadImage(id, {format: format, filename: id, width: 960, height: 540, scale: format === "png" ? 2 : 1});
}
"""


def page(story: Story, cover: Cover) -> str:
    """The whole file; every text in it is escaped."""
    parts = sections(story)
    drawn = {part.key: part.chart for part in parts if part.chart}
    charts = "\n".join(
        f"Plotly.newPlot({to_json_plotly(key)}, {to_json_plotly(_figure(one.figure))});" for key, one in drawn.items()
    )
    name = escape(title(story, cover))
    body = "\n".join(map(_section, parts[:-1]))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{name}</title>
<style>:root {{ --accent: {cover.accent} }}{STYLE}</style>
<script>window.PlotlyConfig = {{MathJaxConfig: "local"}};</script>
<script>{get_plotlyjs()}</script>
</head>
<body>
<header>
{_logo(cover)}<h1>{name}</h1>
<p class="headline">{escape(headline(story, story.points[0]))}</p>
{_byline(cover)}</header>
<main>
{body}
</main>
<footer>{_section(parts[-1])}</footer>
<script>{SAVE}{charts}
</script>
</body>
</html>
"""


def _figure(figure: Any) -> dict[str, Any]:
    return {**figure.to_plotly_json(), "config": {**CONFIG, "responsive": True}}


def _logo(cover: Cover) -> str:
    return f'<img alt="Logo" src="data:image/png;base64,{b64encode(cover.logo).decode()}">\n' if cover.logo else ""


def _byline(cover: Cover) -> str:
    return f'<p class="muted">{escape(cover.byline)}</p>\n' if cover.byline else ""


def _section(part: Section) -> str:
    inside = [f"<h2>{escape(part.heading)}</h2>", f"<p><strong>{escape(part.lead)}</strong></p>"]
    inside += [f"<p>{escape(sentence)}</p>" for sentence in part.sentences]
    inside += [_chart(part.key, part.chart.alt, part.caption)] if part.chart else []
    inside += map(_table, part.tables)
    return f'<section aria-label="{escape(part.heading)}">\n' + "\n".join(inside) + "\n</section>"


def _chart(key: str, alt: str, caption: str) -> str:
    buttons = "".join(
        f"<button type=\"button\" onclick=\"save('{key}', '{kind}')\">Save as {kind.upper()}</button>"
        for kind in ("png", "svg")
    )
    under = f'<figcaption class="muted">{escape(caption)}</figcaption>' if caption else ""
    return f'<figure><div id="{key}" role="img" aria-label="{escape(alt)}"></div>{under}{buttons}</figure>'


def _table(cells: Cells) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in cells[0])
    lines = "".join(f"<tr>{_line(line)}</tr>\n" for line in cells[1:])
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>'


def _line(line: list[str]) -> str:
    return f'<th scope="row">{escape(line[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in line[1:])
