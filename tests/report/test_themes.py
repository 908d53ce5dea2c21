"""Contrast, by the formula of WCAG 2.2, on the pages of both themes."""

import itertools

import pytest

from compression.report.themes import DARK, LIGHT, STYLES, THEMES, base_layout, faded, named_symbol, readable, symbols


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_formula_knows_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_contrast(theme):
    for colour in theme.palette:
        assert contrast(colour, theme.page) >= 3, colour
    assert contrast(theme.text, theme.page) >= 7
    assert contrast(theme.muted, theme.page) >= 4.5
    assert contrast(theme.zero, theme.page) >= 3, "zeros of a filter stand out from weights near zero"


def test_no_two_granularities_look_alike_without_colour():
    shapes = [style.symbol for style in STYLES.values()]
    assert len(set(shapes)) == len(shapes)
    assert all(THEMES[name].name == name for name in THEMES)


def test_series_of_one_granularity_differ_in_symbol():
    names = {f"{g} {i}": [{"granularity": g}] for g, i in itertools.product(("weights", "channels"), range(4))}
    chosen = symbols(names)
    assert len(set(chosen.values())) == 8
    assert chosen["weights 0"] == "circle" and chosen["channels 1"] == "square-open"


def test_names_carry_their_symbol():
    assert named_symbol("x", "channels", "square", LIGHT) == '<span style="color:#28A197">■</span> x'
    assert "□" in named_symbol("x", "channels", "square-open", LIGHT)


def test_fading():
    assert faded("#12436D", 0.25) == "rgba(18,67,109,0.25)"


def test_a_picture_of_a_chart_has_the_ground_of_its_page():
    layout = base_layout(DARK)
    assert layout["paper_bgcolor"] == DARK.page
    assert layout["plot_bgcolor"] == "rgba(0,0,0,0)"


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#801650", "#F4D35E", "#12436D", "#777777", "#8a8a8a"])
def test_words_on_any_colour_are_those_that_stand_out_more(colour):
    found = max((LIGHT.page, LIGHT.text), key=lambda words: contrast(words, colour))
    assert readable(colour) == found and contrast(found, colour) >= 3.5
