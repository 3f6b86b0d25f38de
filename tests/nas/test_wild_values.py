"""Any plain values for a network, a space, a proxy, settings or a budget: a value or one line, at once."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.plan.settings import MeasureSettings, Settings, read_measure_settings, read_settings
from nas.proxy.proxy import Proxy, proxy_from
from space.architecture import Architecture
from space.axes import KINDS
from space.budget import parse_budget, parse_budgets
from space.errors import InputError
from space.factors import NETWORK_FIELDS
from space.networks import network_from
from space.space_file import KEYS, RULES, space_from
from space.stage import BLOCK_FIELDS, STAGE_FIELDS
from space.stem import STEM_FIELDS
from space.swin import Swin

LONG = 10**5
SCALARS = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 1, 2, 3, 8, 16, 10**9, 10**30, -(10**30), 10**400, 10**4000]),
    st.sampled_from([0.0, -0.0, 0.5, 1e-300, 1e308, math.nan, math.inf, -math.inf]),
    st.sampled_from(["", "a", "1:1:3:1", "1e999", "\0", "\n", "\ud800", "1" * LONG, "x" * LONG, "4.5G"]),
    st.sampled_from(["swin", "convnext_tiny", "layer", "depthwise", "grouped", "none", b"1", {1, 2}, object]),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
)
WORDS = st.sampled_from(
    [
        *STAGE_FIELDS, *STEM_FIELDS, *NETWORK_FIELDS, *BLOCK_FIELDS, *KEYS, *KINDS, *RULES, "stages", "block",
        "stem", "family", "depths", "heads", "values", "lookup", "growth", "times", "step",
    ]
)  # fmt: skip
KEY = st.one_of(WORDS, SCALARS.filter(lambda value: not isinstance(value, set)))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(KEY, inner, max_size=4), st.just([1.5] * 1000)
    ),
    max_leaves=12,
)


def deep(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


def refused_or_read(read, *values):
    began = time.process_time()
    try:
        read(*values)
    except InputError as error:
        assert 0 < len(str(error)) <= 1200 and str(error).isprintable()
    assert time.process_time() - began < 5


def mappings(names):
    """Any values for the fields there are, and now and then for one that there is not."""
    return st.one_of(
        VALUES, st.dictionaries(st.one_of(st.sampled_from(sorted(names)), KEY), VALUES, max_size=5)
    )


STAGES = st.lists(st.one_of(VALUES, st.dictionaries(st.sampled_from(STAGE_FIELDS), SCALARS)), max_size=7)
NETWORKS = st.one_of(
    mappings({*NETWORK_FIELDS, "stages", "block"}),
    st.fixed_dictionaries(
        {"stages": STAGES}, optional={"block": VALUES, "stem": VALUES, "drop_path": VALUES}
    ),
)


@settings(max_examples=200)
@given(NETWORKS)
def test_a_network_is_read_or_refused(values):
    refused_or_read(Architecture.from_dict, values)
    refused_or_read(network_from, values)


@settings(max_examples=150)
@given(
    st.one_of(
        mappings({"family", "width", "depths", "heads", "window", "mlp_ratio", "drop_path"}),
        st.fixed_dictionaries(
            {"width": SCALARS, "depths": st.lists(SCALARS, max_size=7)},
            optional={"heads": VALUES, "mlp_ratio": VALUES, "window": VALUES},
        ),
    )
)
def test_a_swin_is_read_or_refused(values):
    refused_or_read(Swin.from_dict, values)


AXIS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {"choices": st.one_of(st.lists(SCALARS, max_size=4), VALUES)}, optional={"per_stage": VALUES}
    ),
    st.fixed_dictionaries(
        {"integers": st.lists(SCALARS, min_size=2, max_size=2)}, optional={"step": SCALARS}
    ),
    st.fixed_dictionaries(
        {"log_integers": st.lists(SCALARS, min_size=2, max_size=2), "count": SCALARS},
        optional={"multiple_of": SCALARS},
    ),
)
RULE = st.one_of(
    VALUES,
    st.fixed_dictionaries({"ratio": st.just("a"), "times": st.sampled_from("ab")}),
    st.fixed_dictionaries({"base": st.just("a")}, optional={"growth": VALUES, "multiple_of": SCALARS}),
    st.fixed_dictionaries({"lookup": st.sampled_from(["a", ["a", "b"]]), "values": VALUES}),
)
SPACES = st.one_of(
    mappings(KEYS),
    st.fixed_dictionaries(
        {
            "axes": st.dictionaries(
                st.one_of(st.sampled_from([*STAGE_FIELDS, *NETWORK_FIELDS, "a", "b"]), KEY), AXIS
            )
        },
        optional={
            "name": SCALARS,
            "base": VALUES,
            "derive": st.dictionaries(st.sampled_from(["depth", "width", "norm_after"]), RULE, max_size=2),
        },
    ),
)


@settings(max_examples=300)
@given(SPACES)
def test_a_space_is_read_or_refused(values):
    refused_or_read(lambda: space_from(values, "space x").fingerprint)


@settings(max_examples=200)
@given(mappings(Proxy.model_fields))
def test_a_proxy_is_read_or_refused(values):
    refused_or_read(proxy_from, values, "proxy x")


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.sampled_from(sorted({*Settings.model_fields} - {"resume", "study"})), VALUES, max_size=4
    ),
    st.dictionaries(
        st.sampled_from(sorted({*MeasureSettings.model_fields} - {"resume", "study"})), VALUES, max_size=3
    ),
)
def test_settings_are_read_or_refused(flags, measured):
    refused_or_read(lambda: read_settings({"budget": "1G", **flags}, None))
    refused_or_read(lambda: read_measure_settings({"networks": ["a"], **measured}))


@given(
    st.one_of(
        st.text(), st.from_regex(r"[0-9.e]{1,12}[kmgt]?(flops|params)?(\.\.|,)?[0-9]{0,3}g?", fullmatch=True)
    )
)
def test_a_budget_is_read_or_refused(text):
    refused_or_read(parse_budget, text)
    refused_or_read(parse_budgets, text)


@pytest.mark.parametrize(
    "text", ["1" * LONG, "1G," * LONG, "0" * 5000 + "1", "1." + "0" * 5000, "1e" + "0" * 5000 + "9", "\0"]
)
def test_a_budget_of_any_length_is_refused_at_once(text):
    with pytest.raises(InputError):
        parse_budgets(text)


@pytest.mark.parametrize(
    "band", [(1e300, 1e308), (1.0, math.inf), (math.nan, 1.0), (0.0, 1.0), (1.0, 0.9), (1e-300, 1e4)]
)
def test_a_band_is_shares_of_the_budget(band):
    with pytest.raises(InputError, match="two shares of the budget, 0 < low <= high <= 1000"):
        parse_budget("1e15", band)


@pytest.mark.parametrize("read", [Architecture.from_dict, Swin.from_dict, network_from])
def test_nesting_of_any_depth_is_refused(read):
    for field in ("stages", "depths", "stem", "block", "width"):
        refused_or_read(read, {field: deep(900)})
    refused_or_read(space_from, {"axes": {"depth": deep(900)}, "derive": deep(900)}, "space x")
    refused_or_read(proxy_from, {"data": deep(900)}, "proxy x")


LARGE = {"n": 10**5000, "list": [10**5000], "key": {10**5000: 1}, "million": [1] * 10**6, "text": "x" * 10**7}


@pytest.mark.parametrize("kind", LARGE)
def test_a_value_of_any_size_is_quoted_short(kind):
    value = LARGE[kind]
    axes = {"depth": value, "norm": {"choices": value}, "width": {"integers": value}}
    for read in (Architecture.from_dict, Swin.from_dict):
        for field in ("stages", "depths", "width", "block", "stem", "layer_scale"):
            refused_or_read(
                read, {"width": 8, "depths": [1], "stages": [{"depth": 1, "width": 8}], field: value}
            )
    for name, axis in axes.items():
        refused_or_read(space_from, {"axes": {name: axis}}, "space x")
    for field in ("epochs", "betas", "data", "lr"):
        refused_or_read(proxy_from, {field: value}, "proxy x")
    for field in ("budget", "band", "trials", "space", "time_limit"):
        refused_or_read(read_settings, {"budget": "1G", field: value}, None)


@pytest.mark.parametrize("name", ["two\nlines", "bell\a", "n" * 101, "", "\ud800"])
def test_a_name_is_one_printable_line(name):
    axes = {"kernel_size": {"choices": [3, 5]}}
    assert space_from({"name": "<b>é</b>", "axes": axes}, "space x").name == "<b>é</b>"
    with pytest.raises(InputError, match="is no name: one printable line of at most 100 characters"):
        space_from({"name": name, "axes": axes}, "space x")
    with pytest.raises(InputError, match="is no name"):
        space_from({"axes": {"norms": {"choices": {name: {"norm": "layer"}}}}}, "space x")


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"width": {"integers": [1, 10**30]}}, "two integers"),
        ({"depth": {"choices": [10**30]}}, "neither a plain value"),
        ({"depth": {"choices": [1] * 10_001}}, "10,001 values, at most 10,000"),
        ({"act_after": {"choices": [[1, "a"]]}}, "must name each of convolutions"),
        ({f"a{i}": {"choices": [1]} for i in range(101)}, "101 axes, at most 100"),
        ({"width": {"choices": [8, 4096]}, "expansion": {"choices": [4, 20]}}, "makes 81,920 channels"),
    ],
)
def test_a_space_that_explodes_is_one_line(axes, message):
    with pytest.raises(InputError, match=message):
        space_from({"axes": axes}, "space x")


def test_tied_axes_have_bounded_combinations():
    axes = {name: {"integers": [1, 1000]} for name in ("a", "b")}
    rule = {"depth": {"ratio": "a", "times": "b"}}
    with pytest.raises(InputError, match="a, b are tied and have 1,000,000 combinations; at most 200,000"):
        space_from({"axes": axes, "derive": rule}, "space x")


def test_labels_of_several_types_have_a_fingerprint():
    axes = {"norms": {"choices": {True: {"norm": "layer"}, "b": {"norm": "batch"}}}}
    assert (
        space_from({"axes": axes}, "space x").fingerprint == space_from({"axes": axes}, "space x").fingerprint
    )
