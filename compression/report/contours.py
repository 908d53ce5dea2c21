"""Why L1 makes zeros and L2 does not, on two weights: a quadratic loss, a penalty, and where they balance.

Shapes: everything lives in the plane of two weights; A is a symmetric positive definite 2×2 matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compression.registry import UserError
from compression.report.drawing import WIDE, Chart, Frame, chart, heading, headroom
from compression.report.text import brief
from compression.report.themes import Theme, base_layout, faded

Array = NDArray[np.float64]
Norm = Literal["l1", "l2"]
CURVATURE = ((1.0, 0.35), (0.35, 0.6))
BEST = (1.5, 0.6)
"""The loss of the picture: its matrix A, and where it is least."""
AROUND = np.linspace(0, 2 * np.pi, 121)
LEVELS = (0.2, 0.55, 1.7)
"""Contours of the loss beside the one through the minimum, as shares of that one."""
PANEL_PX, HEAD_PX, REACH = 260, 20, (-0.9, 2.3)


@dataclass(frozen=True, eq=False)
class Balance:
    """A penalised minimum, and the contours of loss and penalty that touch there; curves are P×2."""

    norm: Norm
    minimum: tuple[float, float]
    loss_curves: tuple[Array, ...]
    penalty_curve: Array


def penalised_minimum(norm: Norm, strength: float) -> tuple[float, float]:
    r"""Where the penalised loss of the picture is least, in closed form.

    .. math:: \tfrac12 (w - w^*)^\top A (w - w^*) + \lambda \lVert w \rVert_1
        \quad\text{or}\quad \dots + \tfrac{\lambda}{2} \lVert w \rVert_2^2

    L2: :math:`(A + \lambda I)^{-1} A w^*`. L1: for signs :math:`\sigma` it is :math:`w^* - \lambda
    A^{-1} \sigma` where that has these signs, else it lies on an axis or at 0; the best of these.

    Raises:
        UserError: the strength is not a finite number of 0 or more.
    """
    if not 0 <= strength < np.inf:
        raise UserError(f"strength is {strength:g}; it must be 0 or more")
    a, best = np.array(CURVATURE), np.array(BEST)
    if norm == "l2":
        found = np.linalg.solve(a + strength * np.eye(2), a @ best)
        return float(found[0]), float(found[1])
    pull = a @ best
    candidates = [np.zeros(2)]
    for i in (0, 1):  # the other weight at 0: one weight's soft threshold
        alone = np.zeros(2)
        alone[i] = np.sign(pull[i]) * max(abs(pull[i]) - strength, 0) / a[i, i]
        candidates.append(alone)
    for signs in product((-1.0, 1.0), repeat=2):
        inside = best - strength * np.linalg.solve(a, np.array(signs))
        if (np.sign(inside) == signs).all():
            candidates.append(inside)
    found = min(candidates, key=lambda w: _loss(w) + strength * float(np.abs(w).sum()))
    return float(found[0]), float(found[1])


def balance(norm: Norm, strength: float) -> Balance:
    """The minimum with the contours through it, and some of the loss around it."""
    minimum = penalised_minimum(norm, strength)
    reached = _loss(np.array(minimum))
    curves = tuple(_loss_curve(reached * share) for share in (1.0, *LEVELS) if reached > 1e-9)
    return Balance(norm, minimum, curves, _penalty_curve(norm, np.array(minimum)))


def contour_chart(strength: float, theme: Theme, *, width: int = WIDE) -> Chart:
    """L1 on the left, L2 on the right, at the same strength; the title says which weights are zero."""
    found = [balance(norm, strength) for norm in ("l1", "l2")]
    title = _title(found[0].minimum, strength)
    subtitle = "Solid: loss around its own minimum ×; dashed: penalty through the penalised minimum ● · computed"
    top = headroom(title, subtitle, width)
    frame = Frame(width, top + HEAD_PX + PANEL_PX + 44, left=40, right=10, top=top)
    ceiling = 1 - HEAD_PX / frame.upward
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"annotations": []}
    for turn, each in enumerate(found):
        panel, box = ("", "2")[turn], [(0.0, 0.47), (0.53, 1.0)][turn]
        axes = {"xaxis": f"x{panel}", "yaxis": f"y{panel}"}
        traces += [trace | axes for trace in _traces(each, theme)]
        axis = {"range": list(REACH), "zeroline": True, "zerolinecolor": theme.muted, "nticks": 5}
        axis = base_layout(theme)["xaxis"] | axis
        name = axis["title"] | {"text": "first weight"}
        layout[f"xaxis{panel}"] = axis | {"domain": box, "anchor": f"y{panel}", "title": name}
        layout[f"yaxis{panel}"] = axis | {"domain": [0, ceiling], "anchor": f"x{panel}", "scaleanchor": f"x{panel}"}
        spot = " and ".join(brief(round(w, 2)) for w in each.minimum)
        layout["annotations"].append(heading(f"<b>{each.norm.upper()}</b>: weights {spot}", box[0], ceiling, theme))
    return chart(traces, theme, title, subtitle, frame, layout)


def _title(minimum: tuple[float, float], strength: float) -> str:
    zeros = sum(weight == 0 for weight in minimum)
    made = ("no weight", "one weight", "both weights")[zeros]
    return f"At λ = {brief(strength)} L1 sets {made} to zero, and L2 shrinks both"


def _traces(each: Balance, theme: Theme) -> list[dict[str, Any]]:
    def line(curve: Array, look: dict[str, Any]) -> dict[str, Any]:
        x, y = (np.round(axis, 3).tolist() for axis in curve.T)
        return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": look, "hoverinfo": "skip"}

    def spot(at: tuple[float, float], symbol: str, colour: str, words: str) -> dict[str, Any]:
        marker = {"symbol": symbol, "size": 11, "color": colour}
        return {"type": "scatter", "mode": "markers", "x": [at[0]], "y": [at[1]], "marker": marker,
                "hovertemplate": f"{words}: %{{x:.3g}}, %{{y:.3g}}<extra></extra>"}  # fmt: skip

    through, *others = each.loss_curves or (np.empty((0, 2)),)
    return [
        *(line(curve, {"color": faded(theme.kept, 0.4), "width": 1}) for curve in others),
        line(through, {"color": theme.kept, "width": 2}),
        line(each.penalty_curve, {"color": theme.pruned, "width": 2, "dash": "dash"}),
        spot(BEST, "x", theme.kept, "least loss"),
        spot(each.minimum, "circle", theme.text, "penalised minimum"),
    ]


def _loss(w: Array) -> float:
    away = w - np.array(BEST)
    return float(away @ np.array(CURVATURE) @ away) / 2


def _loss_curve(level: float) -> Array:
    """The ellipse on which the loss has this level: with A = LLᵀ it is a circle in Lᵀ(w - w*)."""
    circle_P2 = np.stack([np.cos(AROUND), np.sin(AROUND)], axis=1) * np.sqrt(2 * level)
    curve_P2: Array = circle_P2 @ np.linalg.inv(np.linalg.cholesky(np.array(CURVATURE))) + np.array(BEST)
    return curve_P2


def _penalty_curve(norm: Norm, through: Array) -> Array:
    if norm == "l2":
        return np.stack([np.cos(AROUND), np.sin(AROUND)], axis=1) * float(np.linalg.norm(through))
    corners = np.array([(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)], dtype=np.float64)
    return corners * float(np.abs(through).sum())
