"""The penalised minimum in closed form, against slow descent; and the curves that touch there."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from compression.registry import UserError
from compression.report.contours import BEST, CURVATURE, balance, contour_chart, penalised_minimum
from compression.report.themes import THEMES

STRENGTHS = (0.0, 0.2, 0.6, 0.9, 1.2, 2.0)
A, W = np.array(CURVATURE), np.array(BEST)


def descended(norm: str, strength: float) -> np.ndarray:
    """Proximal gradient descent, which needs no closed form of the minimum."""
    w, step = np.zeros(2), 0.1
    for _ in range(5000):
        w = w - step * (A @ (w - W))
        shrunk = np.sign(w) * np.maximum(np.abs(w) - step * strength, 0)
        w = shrunk if norm == "l1" else w / (1 + step * strength)
    return w


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_minimum_is_where_descent_ends(norm, strength) -> None:
    assert penalised_minimum(norm, strength) == pytest.approx(descended(norm, strength), abs=1e-6)


def test_l1_reaches_zero_and_l2_does_not() -> None:
    assert penalised_minimum("l1", 0.9)[1] == 0.0
    assert penalised_minimum("l1", 5.0) == (0.0, 0.0)
    assert all(weight > 0 for weight in penalised_minimum("l2", 5.0))


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_both_contours_pass_through_the_minimum(norm) -> None:
    found = balance(norm, 0.4)
    spot = np.array(found.minimum)
    away = found.loss_curves[0] - W
    level = np.einsum("pi,ij,pj->p", away, A, away)
    assert level == pytest.approx((spot - W) @ A @ (spot - W))
    power = 1 if norm == "l1" else 2
    sizes = np.linalg.norm(found.penalty_curve, power, axis=1)
    assert sizes == pytest.approx(np.linalg.norm(spot, power))


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_the_title_counts_the_zeros(strength, theme) -> None:
    chart = contour_chart(strength, theme)
    go.Figure(**chart.figure.to_dict())  # Plotly's own validation
    zeros = sum(weight == 0 for weight in penalised_minimum("l1", strength))
    assert ["no weight", "one weight", "both weights"][zeros] in chart.title
    assert len(chart.title.split()) <= 15


def test_a_strength_below_zero_is_refused() -> None:
    with pytest.raises(UserError, match="strength is -1; it must be 0 or more"):
        penalised_minimum("l1", -1)
