"""Numbers as people read them: expected strings, written out by hand."""

import pytest

from compression.report import text


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 bytes"), (812, "812 bytes"), (999, "999 bytes"), (1000, "1 KB"), (98_304, "98.3 KB"), (431_080, "431 KB"),
     (999_499, "999 KB"), (999_600, "1 MB"), (1_724_000, "1.72 MB"), (2.5e9, "2.5 GB"), (3e15, "3000 TB")],
)  # fmt: skip
def test_bytes_have_three_digits_and_decimal_units(value, written):
    assert text.size(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(7, "7"), (1_000, "1 K"), (2_116_224, "2.12 M"), (4.09e9, "4.09 G"), (25_557_032, "25.6 M")]
)
def test_counts(value, written):
    assert text.count(value) == written


@pytest.mark.parametrize(
    ("value", "whole", "written"),
    [(48, 64, "48 of 64"), (6_290, 9_216, "6.29 of 9.22 K"), (55, 8_640, "55 of 8.64 K"), (30, 999_600, "30 of 1 M")],
)
def test_parts_say_their_unit_once(value, whole, written):
    assert text.part(value, whole) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "$0"), (0.004, "less than a cent"), (0.01, "$0.01"), (0.3, "$0.30"), (2, "$2.00"), (-2.5, "−$2.50"),
     (38.5, "$38.50"), (121.7, "$122"), (6_470, "$6,470"), (1.72e6, "$1.72 million")],
)  # fmt: skip
def test_money_has_cents_while_they_count(value, written):
    assert text.money(value, "$") == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0"), (-7.92e-5, "-8·10⁻⁵"), (7.85e-4, "0.000785"), (0.01534, "0.0153"), (47.698, "47.7"),
     (6_473, "6,470"), (999_499, "999,000"),
     (1e6, "1 million"), (1.724e9, "1.72 billion"), (1e15, "1000 trillion")],
)  # fmt: skip
def test_quantities(value, written):
    assert text.quantity(value) == written


def test_what_no_document_can_hold_is_left_out():
    assert text.printable("a\x00\x1b\ud800\n<b>é 数") == "a<b>é 数"


def test_accuracies_and_their_changes():
    assert text.percent(0.9753) == "97.5 %"
    assert text.share(0.6) == "60 %"
    assert text.share(0.625) == "62.5 %"
    assert text.share(-0.25) == "−25 %"
    assert text.points(-0.003) == "−0.3 points"
    assert text.points(0.0021) == "+0.2 points"
    assert text.points(-0.0004) == "0.0 points", "a rounded zero has no sign"
    assert text.interval(0.962, 0.984) == "96.2–98.4 %"


@pytest.mark.parametrize(
    ("ratio", "written"),
    [(0.62, "0.62×"), (0.996, "1.0×"), (1.0, "1.0×"), (2.14, "2.1×"), (9.96, "10×")],
)
def test_ratios(ratio, written):
    assert text.times(ratio) == written


def test_an_axis_is_drawn_in_the_unit_of_its_largest_value():
    assert text.unit_of(431_080, "bytes") == (1e3, "KB")
    assert text.unit_of(999, "bytes") == (1.0, "bytes")
    assert text.unit_of(2.1e6, "count") == (1e6, "millions")
    assert text.unit_of(2.2, "times") == (1.0, "×")


def test_wrapping_fits_and_keeps_numbers_with_their_units():
    sentence = "Removing 60 % of channels makes it 3.4 times smaller, n = 360, and costs 0.3 points"
    lines = text.wrapped(sentence, 200, 15)
    assert " ".join(lines).replace("\u00a0", " ") == sentence
    assert max(map(len, lines)) * 15 * 0.47 <= 200
    assert not any(line[-1].isdigit() for line in lines[:-1]), "no number ends a line before its unit"
    assert any("n\u00a0=\u00a0360" in line for line in lines)


def test_wrapped_lines_are_of_even_length():
    words = "one two three four five six seven eight nine ten eleven end"
    lines = text.wrapped(words, 15 * 0.47 * 56, 15)
    assert len(lines) == 2
    assert abs(len(lines[0]) - len(lines[1])) <= 8, "a greedy break would leave 'end' alone"


def test_long_names_keep_both_ends():
    assert text.shortened("fc1") == "fc1"
    short = text.shortened("layer1.0.downsample.conv_weight", 18)
    assert len(short) == 18
    assert short.startswith("layer1.0") and short.endswith("nv_weight")


@pytest.mark.parametrize(
    ("name", "limit", "short"),
    [
        ("blocks.0.attention.qkv", 22, "blocks.0.attention.qkv"),
        ("blocks.0.attention.qkv", 18, "blocks.0.atte….qkv"),
        ("blocks.10.attention.qkv", 15, "bloc….10.a….qkv"),
        ("blocks.6.shortcut.0", 15, "blocks.6.sho….0"),
    ],
)
def test_long_layers_can_still_be_told_apart(name, limit, short):
    assert text.shortened(name, limit) == short


def test_unique_leaves_blanks_out_and_keeps_order():
    assert text.unique(["b", "", None, "a", "b", float("nan")]) == ["b", "a"]


@pytest.mark.parametrize(("seconds", "written"), [(0.2, "1 s"), (8.2, "8 s"), (200, "3 min"), (9000, "2.5 h")])
def test_durations_are_rough(seconds, written):
    assert text.duration(seconds) == written


def test_deltas_are_read_by_metrics():
    assert text.delta("−0.3 points") == "-0.3 points"
    assert text.delta("+2 %") == "+2 %"
    assert text.delta("0.0 points") is None


def test_probabilities_are_written_however_small():
    written = {0.973: "97.3 %", 0.9999: ">99.9 %", 1.0: "100 %", 0.0: "0 %", 0.001: "0.1 %", 0.0002: "0.02 %",
               3.8e-9: "4·10⁻⁹", 1e-13: "10⁻¹³", 9.6e-5: "0.01 %", 9.4e-5: "9·10⁻⁵"}  # fmt: skip
    assert {value: text.chance(value) for value in written} == written


def test_brief_numbers_have_three_digits_and_no_exponent():
    assert [text.brief(value) for value in (47.698, 1000, 2.5, 0.05, 4)] == ["47.7", "1000", "2.5", "0.05", "4"]
