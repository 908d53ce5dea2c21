"""Which classes a softened teacher finds alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compression.registry import UserError
from compression.report import distill_titles as titles
from compression.report.drawing import NARROW, Chart, Frame, chart, corner_key, empty_chart, headroom
from compression.report.labels import breadth
from compression.report.text import brief, chance, escaped, percent, shortened
from compression.report.themes import Theme, faded

CELL_PX = 24
PALEST = 0.08
"""How much of the colour a cell of nothing still has, so that it is told from the page."""


def similarity_chart(
    matrix: ArrayLike,
    theme: Theme,
    *,
    classes: Sequence[str],
    temperature: float,
    cap: int = 10,
    width: int = NARROW,
) -> Chart:
    """A heat map of the mean softened answer (columns) to each true class (rows).

    ``matrix`` is K×K; the row of a class without images is NaN. The diagonal is crossed out and
    the colours span the rest, which it would outshine. Of more than ``cap`` classes those that
    look most alike are shown.

    Raises:
        UserError: the matrix is not square, or has not one name for each row.
    """
    likeness_KK = np.asarray(matrix, float)
    if likeness_KK.shape != (len(classes), len(classes)):
        raise UserError(f"matrix has shape {likeness_KK.shape}; {len(classes)} classes need a square one of that side")
    own = np.diagonal(likeness_KK)
    others_KK = np.where(np.eye(len(classes), dtype=bool), np.nan, likeness_KK)
    if len(classes) < 2 or np.isnan(others_KK).all():
        hint = "Choose data with images of two classes or more."
        return empty_chart("There are no classes to compare", hint, theme, width)
    true, other = divmod(int(np.nanargmax(others_KK)), len(classes))
    most = float(others_KK[true, other])
    title = titles.similarity_title((str(classes[true]), str(classes[other]), most), temperature)
    kept = _most_alike(others_KK, cap)
    cut = f"; the {len(kept)} of {len(classes)} classes most alike" if len(kept) < len(classes) else ""
    subtitle = (
        f"Mean answer at T = {brief(temperature)} (column) to images of a class (row){cut} · computed; the diagonal, "
        f"{percent(float(np.nanmean(own)))} on average, is left out (×) so that the rest shows"
    )
    names = [escaped(shortened(str(classes[at]), 12)) for at in kept]
    drawn_KK = others_KK[np.ix_(kept, kept)]
    frame, tilted = _frame(names, width, title, subtitle)
    top = float(np.nanmax(drawn_KK)) or 1.0
    axis = {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False, "ticklabelstandoff": 2}
    layout = {
        "xaxis": axis | {"range": [-0.5, len(names) - 0.5], "tickangle": -90 if tilted else 0},
        "yaxis": axis | {"range": [len(names) - 0.5, -0.5]},
        "annotations": [_key(top, frame.bottom, theme)],
    }
    return chart(
        [_heat(drawn_KK, names, top, theme), _crosses(len(names), theme)], theme, title, subtitle, frame, layout
    )


def _most_alike(others_KK: NDArray[np.float64], cap: int) -> list[int]:
    """The classes of the most similar pairs, as many as fit, in the order of the classes."""
    classes = len(others_KK)
    if classes <= cap:
        return list(range(classes))
    kept: set[int] = set()
    for flat in np.argsort(-np.nan_to_num(others_KK, nan=-1.0), axis=None, kind="stable"):
        pair = {int(flat) // classes, int(flat) % classes}
        if len(kept | pair) <= cap:
            kept |= pair
        if len(kept) >= cap - 1:
            break
    return sorted(kept)


def _frame(names: list[str], width: int, title: str, subtitle: str) -> tuple[Frame, bool]:
    """The frame, and whether the names under the columns must stand upright."""
    longest = breadth(names)
    left = longest + 14
    tilted = longest + 4 > (width - left - 8) / len(names)
    bottom = (longest if tilted else 16) + 30
    top = headroom(title, subtitle, width)
    return Frame(width, top + max(3, len(names)) * CELL_PX + bottom, left=left, right=8, bottom=bottom), tilted


def _heat(drawn_KK: NDArray[np.float64], names: list[str], top: float, theme: Theme) -> dict[str, Any]:
    cells = [[None if cell != cell else float(f"{cell:.4g}") for cell in row] for row in drawn_KK.tolist()]
    words = [["" if cell != cell else chance(cell) for cell in row] for row in drawn_KK.tolist()]
    return {
        "type": "heatmap",
        "z": cells,
        "text": words,
        "customdata": [[f"{row} → {column}" for column in names] for row in names],
        "zmin": 0,
        "zmax": top,
        "colorscale": [[0.0, faded(theme.kept, PALEST)], [1.0, theme.kept]],
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "hovertemplate": "<b>%{customdata}</b><br>%{text}<extra></extra>",
    }


def _crosses(side: int, theme: Theme) -> dict[str, Any]:
    at = list(range(side))
    marker = {"symbol": "x-thin-open", "size": 7, "color": theme.muted, "line": {"width": 1}}
    return {"type": "scatter", "mode": "markers", "x": at, "y": at, "marker": marker, "hoverinfo": "skip"}


def _key(top: float, bottom: int, theme: Theme) -> dict[str, Any]:
    """What the palest and the darkest cell stand for."""
    pale, dark = (f'<span style="color:{faded(theme.kept, part)}">■</span>' for part in (2 * PALEST, 1.0))
    return corner_key(f"{pale} 0 % to {dark} {chance(top)}", bottom, theme)
