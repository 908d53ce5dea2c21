"""Charts of heads: the tables against loops, the pictures against their tables."""

import json
import math

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest

from compression.registry import UserError
from compression.report.attention_charts import attention_chart, attention_table, head_chart, head_table
from compression.report.themes import DARK, LIGHT

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 256, (1, 8, 8)).astype(np.uint8)
KEPT = {"a": [True, False, True], "b": [False, False, False]}


def random_maps(heads, tokens):
    raised = np.exp(RANDOM.normal(0, 2, (heads, tokens, tokens)))
    return raised / raised.sum(2, keepdims=True)


WHOLE = {"a": random_maps(3, 16), "b": random_maps(3, 16)}
CUT = {"a": WHOLE["a"][[0, 2]]}
SCORES = {"a": [3.0, 1.0, 2.0], "b": [4.0, 6.0, 5.0]}
MAKERS = {
    "whole": lambda t: attention_chart(attention_table(WHOLE), IMAGE, t),
    "cut": lambda t: attention_chart(attention_table(CUT, KEPT), IMAGE[0], t),
    "large": lambda t: attention_chart(
        attention_table({str(i): random_maps(12, 17) for i in range(12)}), np.ones((3, 32, 32)), t
    ),
    "heads": lambda t: head_chart(head_table(SCORES), t, criterion="magnitude"),
    "heads, cut": lambda t: head_chart(head_table(SCORES, KEPT), t, criterion="magnitude"),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", MAKERS)
def test_every_chart_is_valid_small_and_in_words(name, theme):
    chart = MAKERS[name](theme)
    drawn = chart.figure.to_dict()
    go.Figure(**drawn)
    text = plotly.io.to_json(drawn, validate=False)
    assert len(text) < (250_000 if name == "large" else 60_000)
    assert "NaN" not in text and 1 <= len(chart.title.split()) <= 15
    assert json.loads(text)["layout"]["height"] >= 100


def test_a_patch_gets_the_mean_of_what_all_tokens_take_from_it():
    table = attention_table(WHOLE)
    assert table.shares_BHPP.shape == (2, 3, 4, 4) and not table.cut_BH.any()
    for block, layer in enumerate(WHOLE):
        for head in range(3):
            for patch in range(16):
                by_hand = sum(WHOLE[layer][head][token][patch] for token in range(16)) / 16
                assert table.shares_BHPP[block, head, patch // 4, patch % 4] == pytest.approx(by_hand)


def test_of_a_class_token_its_own_view_counts():
    maps = random_maps(2, 5)
    table = attention_table({"a": maps})
    assert table.shares_BHPP.shape == (1, 2, 2, 2)
    assert table.shares_BHPP[0, 1].ravel().tolist() == maps[1][0][1:].tolist()


def test_heads_that_are_left_keep_their_places():
    table, whole = attention_table(CUT, KEPT), attention_table(WHOLE)
    assert table.cut_BH.tolist() == [[False, True, False], [True, True, True]]
    assert np.array_equal(table.shares_BHPP[0, [0, 2]], whole.shares_BHPP[0, [0, 2]])
    assert np.isnan(table.shares_BHPP[0, 1]).all() and np.isnan(table.shares_BHPP[1]).all()


def test_the_picture_shows_each_share_of_its_most_at_its_place():
    table = attention_table(WHOLE)
    chart = attention_chart(table, IMAGE, LIGHT)
    ground, looks, _ = chart.figure.data
    shares = table.shares_BHPP[1, 2]
    most = max(shares.max(), 3 / 16)
    for row in range(4):
        for column in range(4):
            assert looks.z[5 + row][10 + column] == pytest.approx(shares[row, column] / most, abs=1e-3)
    assert looks.z[4][0] is None and looks.z[0][4] is None  # the gaps between pictures
    top, pixels = IMAGE[0].astype(float), np.array(ground.z, float)
    assert pixels.shape == (20, 30) and ground.dx == ground.dy == 0.5
    expected = 100 * (top - top.min()) / (top.max() - top.min())
    assert np.allclose(pixels[:8, :8], expected, atol=0.51)
    assert np.allclose(pixels[10:18, 20:28], expected, atol=0.51)


def test_the_titles_say_what_is_left_and_which_looks_most_narrowly():
    narrow = np.full((2, 4, 4), 0.25)
    narrow[1] = [0.7, 0.1, 0.1, 0.1]
    even = np.full((2, 4, 4), 0.25)
    title = attention_chart(attention_table({"a": even, "b": narrow}), np.ones((4, 4)), LIGHT).title
    assert title == "Where 4 heads look: head 1 of block 1 most narrowly"
    left = attention_table({"b": narrow[1:]}, {"a": [False, False], "b": [False, True]})
    assert attention_chart(left, np.ones((4, 4)), LIGHT).title == (
        "Where 1 of 4 heads left look: head 1 of block 1 most narrowly"
    )
    assert attention_chart(left, np.ones((4, 4)), LIGHT, when="After").title.startswith("After: where 1 of 4 heads")


def test_cut_heads_are_crossed_out():
    _, _, crosses = attention_chart(attention_table(CUT, KEPT), IMAGE, LIGHT).figure.data
    assert sum(x is None for x in crosses.x) == 2 * 4  # two strokes for each of four heads
    assert crosses.x[:2] == (4.5, 8.5) and crosses.y[:2] == (-0.5, 3.5)  # head 1 of block 0
    chart = head_chart(head_table(SCORES, KEPT), LIGHT, criterion="magnitude")
    heat, crosses = chart.figure.data
    assert list(zip(crosses.x, crosses.y, strict=True)) == [(2, 1), (1, 2), (2, 2), (3, 2)]
    assert heat.z == ([3.0, 1.0, 2.0], [4.0, 6.0, 5.0])
    assert chart.title == "4 of 6 heads go, most in block 1: 3 of 3"


def test_the_most_important_head_is_named_where_none_is_cut():
    assert MAKERS["heads"](LIGHT).title == "Head 1 of block 1 counts most of 6 heads"
    uneven = head_table({"a": [1.0], "b": [2.0, 3.0]})
    assert (
        math.isnan(uneven.scores_BH[0, 1]) and head_chart(uneven, LIGHT, criterion="l2").figure.data[0].z[0][1] is None
    )


def test_what_does_not_fit_is_one_line():
    with pytest.raises(UserError, match="The maps have 7 tokens"):
        attention_table({"a": random_maps(2, 7)})
    with pytest.raises(UserError, match="kept says that layer 'a' has 2 heads, but 3 maps are given"):
        attention_table(WHOLE, {"a": [True, True, False], "b": [True, True, True]})
