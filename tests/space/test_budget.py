"""Budgets as people write them: the grammar, exact ends, and refusals of one line."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.budget import Budget, parse_budget, parse_budgets, quantity
from space.errors import InputError

WHOLE = (1.0, 1.0)
UNITS = {
    "": "macs",
    "FLOPs": "macs",
    "macs": "macs",
    "params": "params",
    "activations": "activations",
}


def refused(text: str, band: tuple[float, float] = WHOLE) -> str:
    with pytest.raises(InputError) as caught:
        parse_budget(text, band)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "metric", "cost"),
    [
        ("4.5GFLOPs", "macs", 4_500_000_000),
        ("4.5G", "macs", 4_500_000_000),
        ("4.5g", "macs", 4_500_000_000),
        ("4.5 GFLOPS", "macs", 4_500_000_000),
        ("4.5gflops", "macs", 4_500_000_000),
        ("  4.5  G  ", "macs", 4_500_000_000),
        ("4.5e9", "macs", 4_500_000_000),
        ("4.5E+9", "macs", 4_500_000_000),
        ("4500000000", "macs", 4_500_000_000),
        ("600MFLOPs", "macs", 600_000_000),
        ("600 MMACs", "macs", 600_000_000),
        ("750kFLOPs", "macs", 750_000),
        ("0.6T", "macs", 600_000_000_000),
        (".5G", "macs", 500_000_000),
        ("5.G", "macs", 5_000_000_000),
        ("30Mparams", "params", 30_000_000),
        ("30M PARAMS", "params", 30_000_000),
        ("28589128params", "params", 28_589_128),
        ("13Mactivations", "activations", 13_000_000),
        ("1.3e7 activations", "activations", 13_000_000),
    ],
)
def test_the_grammar(text: str, metric: str, cost: int):
    budget = parse_budget(text, WHOLE)
    assert (budget.metric, budget.low, budget.high) == (metric, cost, cost)
    assert budget.text == text.strip()


@pytest.mark.parametrize(
    ("text", "band", "ends"),
    [
        ("4.5GFLOPs", (0.95, 1.0), (4_275_000_000, 4_500_000_000)),
        ("4.5GFLOPs", (0.9, 1.1), (4_050_000_000, 4_950_000_000)),
        ("1.1G", (0.7, 1.3), (770_000_000, 1_430_000_000)),
        ("30Mparams", (0.95, 1.05), (28_500_000, 31_500_000)),
        ("0.3G", (0.1, 0.3), (30_000_000, 90_000_000)),
        ("101", (0.95, 1.0), (96, 101)),
    ],
)
def test_ends_are_exact_integers(text: str, band: tuple[float, float], ends: tuple[int, int]):
    budget = parse_budget(text, band)
    assert (budget.low, budget.high) == ends
    assert type(budget.low) is int
    assert type(budget.high) is int


def test_the_default_band_is_the_last_twentieth():
    assert parse_budget("4.5GFLOPs") == Budget("4.5GFLOPs", "macs", 4_275_000_000, 4_500_000_000)


@pytest.mark.parametrize(
    ("text", "metric", "ends"),
    [
        ("4GFLOPs..5GFLOPs", "macs", (4_000_000_000, 5_000_000_000)),
        ("4G .. 5G", "macs", (4_000_000_000, 5_000_000_000)),
        ("900M..1.1G", "macs", (900_000_000, 1_100_000_000)),
        ("20Mparams..30Mparams", "params", (20_000_000, 30_000_000)),
        ("5G..5G", "macs", (5_000_000_000, 5_000_000_000)),
    ],
)
def test_ranges_have_the_written_ends(text: str, metric: str, ends: tuple[int, int]):
    budget = parse_budget(text, (0.5, 2.0))  # a range is its own band
    assert (budget.metric, budget.low, budget.high) == (metric, *ends)


def test_a_band_includes_both_ends():
    budget = parse_budget("4.5G")
    inside = [budget.allows(cost) for cost in (4_274_999_999, 4_275_000_000, 4_500_000_000, 4_500_000_001)]
    assert inside == [False, True, True, False]


@pytest.mark.parametrize(
    "text",
    ["", " ", "G", "FLOPs", "-4G", "0", "0.4", "nan", "inf", "1e400", "1e16", "1.1P", "4.5GB", "4.5Gflop",
     "1,5G", "4..", "..5G", "4G..", "4G..5G..6G", "1e", "one", "4.5 5", "a\nb", "5Gparams..4Gparams"],
)  # fmt: skip
def test_what_is_no_budget_is_refused_in_one_line(text: str):
    assert refused(text).startswith("budget ")


def test_refusals_say_what_is_wrong():
    assert "'4.5x'" in refused("4.5x")
    assert "unknown unit 'watts'" in refused("4.5Gwatts")
    assert "out of range" in refused("9e15")
    assert "from low to high" in refused("5G..4G")
    assert "in one unit" in refused("4G..5Mparams")
    assert "4.5GFLOPs" in refused("fast")  # an example to copy


@pytest.mark.parametrize("band", [(0.0, 1.0), (-0.1, 1.0), (1.0, 0.9), (math.nan, 1.0), (0.9, math.nan)])
def test_bands_that_are_none(band: tuple[float, float]):
    assert refused("4.5G", band).startswith("band ")


def test_lists_come_sorted():
    budgets = parse_budgets("4.5G, 600M,15e9,1G..2G")
    assert [budget.high for budget in budgets] == [600_000_000, 2_000_000_000, 4_500_000_000, 15_000_000_000]
    assert parse_budgets("30Mparams") == [parse_budget("30Mparams")]
    assert [b.low for b in parse_budgets("2G,1G", (0.5, 1.0))] == [500_000_000, 1_000_000_000]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1G,30Mparams", "one unit"),
        ("1G,1000M", "twice"),
        ("1G,,2G", "not a cost"),
        ("1G,", "not a cost"),
    ],
)
def test_lists_that_are_none(text: str, why: str):
    with pytest.raises(InputError, match=why) as caught:
        parse_budgets(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4_455_900_000, "4.456 GFLOPs"),
        (28_589_128, "28.59 MFLOPs"),
        (1_500_000_000_000, "1.500 TFLOPs"),
        (1000, "1.00 kFLOPs"),
        (999, "999 FLOPs"),
        (0, "0 FLOPs"),
    ],
)
def test_quantities_for_people(value: int, text: str):
    assert quantity(value, "FLOPs") == text
    assert quantity(value) == text.removesuffix("FLOPs").strip()


def test_a_budget_prints_its_band_in_its_unit():
    assert str(parse_budget("4.5G")) == "4.275 GFLOPs to 4.500 GFLOPs"
    assert str(parse_budget("30Mparams", WHOLE)) == "30.00 Mparams to 30.00 Mparams"
    assert str(parse_budget("13Mactivations", WHOLE)) == "13.00 Mactivations to 13.00 Mactivations"


@given(st.integers(1, 10**15), st.sampled_from(sorted(UNITS)))
def test_integers_round_trip(number: int, unit: str):
    budget = parse_budget(f"{number}{unit}", WHOLE)
    assert (budget.low, budget.high, budget.metric) == (number, number, UNITS[unit])
    assert parse_budget(f"{number}{unit}..{number}{unit}") == Budget(
        f"{number}{unit}..{number}{unit}", UNITS[unit], number, number
    )


@given(st.integers(1, 10**6), st.integers(0, 3), st.sampled_from("kMGT"))
def test_decimals_with_prefixes_round_trip(digits: int, places: int, prefix: str):
    exact = Fraction(digits, 10**places) * {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}[prefix]
    text = f"{digits / 10**places:.{places}f}{prefix}"
    if exact > 10**15:
        refused(text)
    else:
        budget = parse_budget(text, WHOLE)
        assert budget.low == budget.high == exact


@given(st.integers(10**3, 10**12), st.integers(1, 99), st.integers(100, 200))
def test_band_ends_are_the_exact_products(number: int, low: int, high: int):
    """Percentages have no exact binary fraction; the ends must be right all the same."""
    budget = parse_budget(str(number), (low / 100, high / 100))
    assert budget.low == math.ceil(Fraction(low * number, 100))
    assert budget.high == math.floor(Fraction(high * number, 100))
