"""Histograms and filter pictures against slow counts over the raw values."""

import numpy as np
import pytest

from compression.registry import UserError
from compression.report.bins import density, filter_grid, histogram_table, unit_table


@pytest.fixture
def weights():
    return np.random.default_rng(0).normal(0, 0.1, 5000)


def test_the_threshold_cuts_its_bins_and_keeps_the_mass(weights):
    counts, edges = np.histogram(weights, bins=37)
    table = histogram_table(edges, counts, threshold=0.05)
    assert table["count"].sum() == pytest.approx(5000)
    assert {-0.05, 0.05} <= set(table["left"])
    inside = (table["left"] >= -0.05) & (table["right"] <= 0.05)
    assert (table["pruned"][inside] == table["count"][inside]).all()
    assert (table["pruned"][~inside] == 0).all()
    below = np.interp([-0.05, 0.05], edges, np.concatenate([[0], counts.cumsum()]))
    assert table["pruned"].sum() == pytest.approx(below[1] - below[0]), "the cumulative counts, interpolated"


def test_counts_given_by_the_criterion_are_taken_as_they_are(weights):
    counts, edges = np.histogram(weights, bins=20)
    table = histogram_table(edges, counts, pruned=counts // 3)
    assert table["pruned"].tolist() == (counts // 3).tolist()
    assert table["left"].tolist() == edges[:-1].tolist()


def test_true_counts_are_cut_at_the_threshold_too(weights):
    """With the threshold, the parts of a cut bin hold exactly what a count of the raw weights finds."""
    counts, edges = np.histogram(weights, bins=37)
    pruned = np.histogram(weights[np.abs(weights) < 0.05], bins=edges)[0]
    table = histogram_table(edges, counts, threshold=0.05, pruned=pruned)
    assert table["pruned"].sum() == pytest.approx((np.abs(weights) < 0.05).sum())
    for left, right, count, gone in table.itertuples(index=False):
        last = right == edges[-1]
        found = ((weights >= left) & ((weights < right) | last)).sum()
        assert count == pytest.approx(found)
        assert gone == pytest.approx(found if abs(left + right) / 2 < 0.05 else 0)


def test_one_bin_can_be_cut_twice():
    table = histogram_table([-1, 1], [10], threshold=0.5, pruned=[8])
    assert table["left"].tolist() == [-1, -0.5, 0.5]
    assert table["count"].tolist() == pytest.approx([1, 8, 1])
    assert table["pruned"].tolist() == pytest.approx([0, 8, 0])


def test_without_threshold_nothing_is_pruned(weights):
    counts, edges = np.histogram(weights, bins=20)
    assert histogram_table(edges, counts)["pruned"].sum() == 0


def test_a_threshold_beyond_the_edges_prunes_all_or_nothing(weights):
    counts, edges = np.histogram(weights, bins=20)
    assert histogram_table(edges, counts, threshold=9.0)["pruned"].sum() == pytest.approx(5000)


def test_cut_bins_keep_their_height():
    """Ten weights spread over (−1, 1): halves of a bin are drawn as high as the whole."""
    table = histogram_table([-1, 1], [10], threshold=0.5)
    assert table["count"].tolist() == pytest.approx([2.5, 5, 2.5])
    assert density(table)["count"].tolist() == pytest.approx([5, 5, 5])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [(([0, 1], [1, 2]), "edges has 2 values for 2 counts; it must have one more"),
     (([0, 1, 2], [1, 2], None, [2, 0]), "one count a bin, from 0 to the bin's own"),
     (([0, 1, 2], [1, 2], None, [1]), "one count a bin")],
)  # fmt: skip
def test_unfit_histograms_are_refused(arguments, line):
    with pytest.raises(UserError, match=line):
        histogram_table(*arguments)


def test_unit_scores_are_counted_bin_by_bin():
    scores = np.random.default_rng(1).uniform(0, 2, 30)
    removed = scores < 0.8
    removed[0] = not removed[0]  # rounding to whole widths can keep a unit below the cut
    table = unit_table(scores, removed)
    for left, right, count, pruned in table.itertuples(index=False):
        last = right == table["right"].iloc[-1]
        inside = [left <= s < right or (last and s == right) for s in scores]
        assert count == sum(inside)
        assert pruned == sum(a and b for a, b in zip(inside, removed, strict=True))


def test_units_and_flags_must_match():
    with pytest.raises(UserError, match="removed has 1 flags for 2 scores"):
        unit_table([1.0, 2.0], [True])
    with pytest.raises(UserError, match="0 flags for 0 scores"):
        unit_table([], [])


def test_filters_are_laid_out_with_gaps_and_scaled_to_the_largest():
    weights = np.random.default_rng(2).normal(size=(6, 3, 3))
    weights[0, 0, 0] = 0.0
    grid = filter_grid(weights)
    rows, columns = (np.array(grid.cells.shape) + 1) // 4
    assert rows * columns >= 6
    for index in range(6):
        top, left = index // columns * 4, index % columns * 4
        for i in range(3):
            for j in range(3):
                drawn, true = grid.cells[top + i, left + j], weights[index, i, j]
                assert drawn == pytest.approx(100 * true / np.abs(weights).max(), abs=1.0)
                assert (drawn == 0) == (true == 0), "only true zeros are drawn as zero"
    assert np.isnan(grid.cells[3]).all(), "the gap between rows"
    assert (grid.shown, grid.total, grid.removed) == (6, 6, 0)
    assert grid.zeros == pytest.approx(1 / 54)


def test_of_several_input_channels_only_common_zeros_count():
    weights = np.ones((1, 2, 2, 2))
    weights[0, 0] = [[0, 0], [1, -1]]
    weights[0, 1] = [[0, 1], [1, 1]]
    grid = filter_grid(weights)
    assert grid.zeros == 0.25
    assert grid.cells[0, 0] == 0
    assert grid.cells[1, 1] != 0, "a mean of zero is not a zero weight"
    assert grid.cells[0, 1] == 50


def test_removed_filters_are_boxes_and_count_as_zero():
    grid = filter_grid(np.ones((4, 2, 2)), removed=[False, True, False, False])
    assert grid.removed == 1 and grid.zeros == 0.25
    ((left, top, right, bottom),) = grid.crossed
    inside = grid.cells[int(top + 0.5) : int(bottom + 0.5), int(left + 0.5) : int(right + 0.5)]
    assert inside.shape == (2, 2) and np.isnan(inside).all()
    assert np.isfinite(grid.cells).sum() == 12


def test_many_filters_are_capped_and_said():
    assert (filter_grid(np.ones((200, 3, 3))).shown, filter_grid(np.ones((200, 3, 3))).total) == (64, 200)
    assert filter_grid(np.ones((300, 28, 28))).shown == 25, "20000 cells hold 25 of 784"


def test_all_zero_filters_do_not_divide_by_zero():
    assert (filter_grid(np.zeros((2, 2, 2))).cells[:2, :2] == 0).all()


@pytest.mark.parametrize(("shape", "flags"), [((4, 4), None), ((0, 3, 3), None), ((4, 3, 3), [True])])
def test_unfit_filters_are_refused(shape, flags):
    with pytest.raises(UserError, match="must be F×h×w|one for each"):
        filter_grid(np.ones(shape), flags)
