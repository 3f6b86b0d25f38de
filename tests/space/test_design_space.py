"""Design spaces: the shipped ones, every form of a declaration, and every way to get one wrong."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from space import assembly
from space.architecture import Architecture
from space.axes import read_axis
from space.checks import ArchitectureError
from space.cost import cost_columns, costs
from space.design_space import DesignSpace
from space.errors import InputError
from space.factors import NETWORK, NETWORK_FIELDS, STAGE_FIELDS, make_factors
from space.families import ROADMAP_STEPS, named
from space.space_file import load_space, parse_space, shipped_spaces, space_from
from space.stage import Stage
from space.stem import Stem
from tests.space.space_strategies import small_spaces

ENUMERABLE = ("micro", "roadmap")
TWO = {"stages": [{"depth": 1, "width": 8}, {"depth": 1, "width": 16}]}
FOUR_DEPTHS = (3, 3, 9, 3)


def declared(axes: dict[str, Any], derive: dict[str, Any] | None = None, **rest: Any) -> DesignSpace:
    return space_from({"axes": axes, "derive": derive or {}, **rest}, "space test")


def refused(axes: Any, derive: Any = None, **rest: Any) -> str:
    """The one line that refuses a declaration; it names the space it comes from."""
    text = yaml.safe_dump({"axes": axes, "derive": derive or {}, **rest})
    with pytest.raises(InputError) as caught:
        parse_space(text, "wrong.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("space wrong.yaml")
    return message


def outcomes(space: DesignSpace, field: str) -> list[Any]:
    """The values of a stage field over all networks, one tuple a network, in the order of codes."""
    return [tuple(getattr(s, field) for s in space.build(code).stages) for code in space.all_codes()]


def some_spaces() -> list[DesignSpace]:
    return [load_space(name) for name in shipped_spaces()]


# the shipped spaces


def test_spaces_are_shipped():
    assert shipped_spaces() == ["convnext", "micro", "roadmap"]
    assert [load_space(name).name for name in shipped_spaces()] == shipped_spaces()


@pytest.mark.parametrize("name", ENUMERABLE)
def test_size_is_the_number_of_distinct_networks(name: str):
    space = load_space(name)
    codes = np.array(list(space.all_codes()))
    built = [space.build(code) for code in codes]
    assert space.size == len(codes) == len({architecture.fingerprint for architecture in built})
    for i in range(0, len(codes), 37):
        located = space.locate(built[i])
        assert located is not None
        assert located.tolist() == codes[i].tolist()


def test_the_size_of_the_convnext_space():
    # 36 depths, 29 widths, 5 kernel sizes and 4 expansions a stage, 4 norms, 4 activations
    assert load_space("convnext").size == 36 * 29 * 5**4 * 4**4 * 4 * 4


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large", "xlarge"])
def test_the_convnext_space_contains_the_convnexts(size: str):
    """Up to stochastic depth, which the space leaves at ConvNeXt-T's rate."""
    space = load_space("convnext")
    network = named(f"convnext_{size}")
    fields = {name: getattr(network, name) for name in ("norm", "activation", "layer_scale")}
    network = Architecture.convnext(network.depths, network.widths, drop_path=0.1, **fields)
    code = space.locate(network)
    assert code is not None
    assert space.build(code) == network
    assert (named(f"convnext_{size}") in space) == (size == "tiny")


@pytest.mark.parametrize("step", range(ROADMAP_STEPS))
def test_the_roadmap_space_contains_the_steps(step: int):
    """All but those of the widened ResNet and of kernel sizes that the space does not offer."""
    network = named(f"roadmap_t_{step}")
    kernels = {stage.kernel_size for stage in network.stages}
    assert (network in load_space("roadmap")) == (kernels <= {3, 7})


@pytest.mark.parametrize(
    "name", ["resnet50", "resnet200", "convnext_isotropic_small", "roadmap_b_5", "convnext_small"]
)
def test_networks_outside_are_not_in_the_micro_space(name: str):
    space = load_space("micro")
    assert named(name) not in space
    assert space.locate(named(name)) is None
    with pytest.raises(InputError, match="not in the space micro") as caught:
        space.encode(named(name))
    assert "\n" not in str(caught.value)


def test_one_field_off_is_outside():
    space = load_space("micro")
    inside = space.sample(1)[0].to_dict()
    assert Architecture.from_dict(inside) in space
    for change in ({"norm": "rms"}, {"head_norm": False}, {"drop_path": 0.2}, {"layer_scale": None}):
        assert Architecture.from_dict(inside | change) not in space


# from codes to networks


def written_out(space: DesignSpace, code: Any) -> Architecture:
    """The architecture of a code by its constructor, field by field, with nothing shared or kept."""
    base = space.base
    fields = {(i, f): getattr(stage, f) for i, stage in enumerate(base.stages) for f in STAGE_FIELDS}
    for field in NETWORK_FIELDS:
        holder, _, name = field.rpartition(".")
        fields[NETWORK, field] = getattr(getattr(base, holder) if holder else base, name)
    for factor, k in zip(space.factors, code, strict=True):
        fields |= dict(zip(factor.targets, factor.outcomes[k], strict=True))
    stages = [Stage(**{f: fields[i, f] for f in STAGE_FIELDS}) for i in range(len(base.stages))]
    network = {field: fields[NETWORK, field] for field in NETWORK_FIELDS}
    stem = Stem(**{f.removeprefix("stem."): network.pop(f) for f in NETWORK_FIELDS if "." in f})
    return Architecture(stages=tuple(stages), stem=stem, **network)


def assert_identical(one: Architecture, other: Architecture) -> None:
    """Equal to the types of their values, which `==` would not tell."""
    assert repr(one) == repr(other)
    assert one.to_json() == other.to_json()
    assert one.fingerprint == other.fingerprint


def assert_built_as_written(space: DesignSpace, codes: Any) -> None:
    """All codes at once and one by one make what the constructor makes, or are refused in its words."""
    made, refusals = [], []
    for code in codes:
        try:
            made.append(written_out(space, code))
        except ArchitectureError as error:
            refusals.append(str(error))
            with pytest.raises(ArchitectureError) as caught:
                space.build(code)
            assert str(caught.value) == refusals[-1]
        else:
            assert_identical(space.build(code), made[-1])
    if refusals:
        with pytest.raises(ArchitectureError) as caught:
            space.build_all(codes)
        assert str(caught.value) == refusals[0]
    else:
        for one, other in zip(space.build_all(codes), made, strict=True):
            assert_identical(one, other)


@pytest.mark.parametrize("most", [assembly.MAX_KEPT, 3])
@pytest.mark.parametrize("name", shipped_spaces())
def test_shipped_spaces_build_what_the_constructor_does(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(assembly, "MAX_KEPT", most)
    space = load_space(name)
    assert_built_as_written(space, space.sample_codes(150, np.random.default_rng(0)))


# values that go together in some combinations only, and several ways to write one
UNCHECKED: dict[str, list[Any]] = {
    "depth": [1, 2, True, 0, 2.0],
    "width": [8, 12, 16],
    "expansion": [1, 2, 4.0, 1.5, 3000],
    "kernel_size": [3, 7, 4],
    "style": ["bottleneck", "inverted"],
    "conv": ["grouped", "dense", "depthwise"],
    "group_width": [None, 1, 4, 8],
    "spatial": ["first", "middle"],
    "norm_after": [(), (1,), (2, 1), (True,), (1.0,)],
    "act_after": [(), (3, 1)],
    "downsampling": ["strided", "separate"],
    "stem.type": ["patchify", "resnet"],
    "stem.patch_size": [4, 2],
    "stem.width": [None, 8, 6],
    "stem.norm": [False, True],
    "stem.activation": [False, True],
    "head_norm": [False, True],
    "norm": ["batch", "layer"],
    "activation": ["relu", "gelu"],
    "layer_scale": [None, 1, 1e-6, -1],
    "drop_path": [0, 0.5, -0.0, 1],
}


@st.composite
def unchecked_spaces(draw: st.DrawFn) -> DesignSpace:
    """Spaces as they are before anybody looks whether their networks are possible."""
    count = draw(st.integers(1, 3))
    widths = draw(st.lists(st.sampled_from((8, 16)), min_size=count, max_size=count))
    base = Architecture.convnext([1] * count, widths, stem=Stem(width=draw(st.sampled_from((None, 5)))))
    axes = []
    for field in draw(st.lists(st.sampled_from(list(UNCHECKED)), min_size=1, max_size=6, unique=True)):
        values = draw(st.lists(st.sampled_from(range(len(UNCHECKED[field]))), min_size=1, unique=True))
        choices = {str(i): {field: UNCHECKED[field][i]} for i in values}
        per_stage = field in STAGE_FIELDS and draw(st.booleans())
        axes.append(read_axis(field, {"choices": choices, "per_stage": per_stage}, count, "drawn"))
    return DesignSpace("drawn", base, make_factors(axes, [], count, "drawn"), {})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(unchecked_spaces(), st.integers(0, 10**6))
def test_any_space_builds_what_the_constructor_does(space: DesignSpace, seed: int):
    assert_built_as_written(space, space.sample_codes(12, np.random.default_rng(seed)))


def test_networks_share_the_stages_in_which_they_agree():
    space = load_space("convnext")
    code = space.sample_codes(1, np.random.default_rng(0))[0]
    other = code.copy()
    other[-1] = (other[-1] + 1) % len(space.factors[-1])
    one, two = space.build_all(np.stack([code, other]))
    assert one != two
    assert all(a is b for a, b in zip(one.stages, two.stages, strict=True))


def test_what_is_no_code_is_refused():
    space = load_space("micro")
    code = np.zeros(len(space.factors), dtype=np.int64)
    assert space.build_all(code[None][:0]) == []
    for wrong in (code[:-1], np.append(code, 0)):
        with pytest.raises(ValueError, match="codes of shape"):
            space.build(wrong)
    code[2] = len(space.factors[2])
    with pytest.raises(IndexError):
        space.build(code)


# codes, vectors, neighbours


@pytest.mark.parametrize("space", some_spaces(), ids=lambda space: space.name)
def test_codes_and_choices_round_trip_and_every_network_has_a_vector_of_its_own(space: DesignSpace):
    vectors = {}
    for code in space.sample_codes(60, np.random.default_rng(0)):
        architecture = space.build(code)
        located = space.locate(architecture)
        assert architecture in space
        assert located is not None
        assert located.tolist() == code.tolist()
        assert space.code(space.choices(code)).tolist() == code.tolist()
        vector = space.encode(architecture)
        assert 0 <= vector.min() <= vector.max() <= 1
        assert vectors.setdefault(vector.tobytes(), architecture) == architecture


@pytest.mark.parametrize("space", some_spaces(), ids=lambda space: space.name)
def test_columns_cost_what_the_built_networks_cost(space: DesignSpace):
    codes = space.sample_codes(300, np.random.default_rng(2))
    by_columns = cost_columns(space.columns(codes))
    by_networks = costs([space.build(code) for code in codes])
    for metric in ("macs", "params", "activations", "saved"):
        assert np.array_equal(
            np.broadcast_to(getattr(by_columns, metric), len(codes)), getattr(by_networks, metric)
        )


@pytest.mark.parametrize("space", some_spaces(), ids=lambda space: space.name)
def test_neighbours_are_one_step_away_and_so_is_the_way_back(space: DesignSpace):
    for code in space.sample_codes(6, np.random.default_rng(3)):
        near = space.neighbour_codes(code)
        assert len({tuple(other) for other in near.tolist()}) == len(near) > 0
        assert code.tolist() not in near.tolist()
        mine = space.choices(code)
        for other in near:
            theirs = space.choices(other)
            moved = [v for v in space.variables if mine[v.name] != theirs[v.name]]
            assert len(moved) == 1
            if moved[0].ordered:
                assert abs(mine[moved[0].name] - theirs[moved[0].name]) == 1
        for other in near[::7]:
            assert code.tolist() in space.neighbour_codes(other).tolist()


def test_neighbours_of_the_micro_space_are_exactly_the_single_steps():
    space = load_space("micro")
    every = np.array(list(space.all_codes()))
    ordered = np.array([factor.variables[0].ordered for factor in space.factors])
    for code in every[::211]:
        distance = np.abs(every - code)
        one_variable = (distance > 0).sum(axis=1) == 1
        one_step = (np.where(ordered, distance, 0) <= 1).all(axis=1)
        expected = {tuple(other) for other in every[one_variable & one_step].tolist()}
        assert {tuple(other) for other in space.neighbour_codes(code).tolist()} == expected


def test_neighbours_as_architectures():
    space = load_space("micro")
    architecture = space.sample(1, seed=5)[0]
    near = space.neighbours(architecture)
    assert len(near) == len(set(near)) > 0
    assert all(other in space and other != architecture for other in near)
    with pytest.raises(InputError, match="not in the space"):
        space.neighbours(named("resnet50"))


def test_samples_are_in_the_space_and_follow_from_the_seed():
    for space in some_spaces():
        samples = space.sample(20, seed=1)
        assert all(architecture in space for architecture in samples)
        assert samples == space.sample(20, seed=1) != space.sample(20, seed=2)


def test_samples_are_uniform():
    # two ways to get six blocks: the network must not come twice as often for it
    space = declared(
        {"stage_ratio": {"choices": ["1:1", "1:2", "2:2"]}, "times": {"integers": [1, 4]},
         "norm": {"choices": ["layer", "batch"]}},
        {"depth": {"ratio": "stage_ratio", "times": "times"}},
        base=TWO,
    )  # fmt: skip
    assert space.size == 20  # 2:2 times 1 and 2 are 1:1 times 2 and 4
    codes = space.sample_codes(20_000, np.random.default_rng(0))
    index = {tuple(code.tolist()): i for i, code in enumerate(space.all_codes())}
    counts = np.bincount([index[tuple(code)] for code in codes.tolist()], minlength=len(index))
    assert chisquare(counts).pvalue > 1e-3


# forms of a declaration


def test_axes_for_all_stages_for_each_and_tied():
    kernels = {"choices": [3, 5, 7]}
    for per_stage, count in ((False, 3), (True, 81), (["a", "b", "b", "a"], 9), (["x", "x", "x", "y"], 9)):
        space = declared({"kernel_size": kernels | {"per_stage": per_stage}})
        assert space.size == count
        sizes = outcomes(space, "kernel_size")
        groups = {False: [0] * 4, True: range(4)}.get(per_stage) if isinstance(per_stage, bool) else per_stage
        assert groups is not None
        for first, second in itertools.combinations(range(4), 2):
            tied = all(size[first] == size[second] for size in sizes)
            assert tied == (list(groups)[first] == list(groups)[second])


def test_names_of_variables_say_their_stages():
    space = declared(
        {"kernel_size": {"choices": [3, 5], "per_stage": ["a", "b", "b", "a"]},
         "norm": {"choices": ["layer", "rms"]},
         "depth": {"choices": [1, 2], "per_stage": True}}
    )  # fmt: skip
    names = [variable.name for variable in space.variables]
    assert names == ["kernel_size.1+4", "kernel_size.2+3", "norm", "depth.1", "depth.2", "depth.3", "depth.4"]


def test_integers_include_both_ends():
    space = declared({"width": {"integers": [40, 64], "step": 8}}, base=TWO)
    assert [widths[0] for widths in outcomes(space, "width")] == [40, 48, 56, 64]
    assert declared({"depth": {"integers": [2, 2]}}, base=TWO).size == 1


def test_log_integers_are_evenly_spaced_ratios_rounded():
    def widths(**axis: Any) -> list[int]:
        return [pair[0] for pair in outcomes(declared({"width": axis}, base=TWO), "width")]

    assert widths(log_integers=[8, 64], count=4) == [8, 16, 32, 64]
    assert widths(log_integers=[24, 256], count=10, multiple_of=8) == [
        24,
        32,
        40,
        56,
        72,
        88,
        120,
        152,
        200,
        256,
    ]
    assert widths(log_integers=[1, 4], count=9) == [1, 2, 3, 4]  # equal values after rounding stand once
    assert widths(log_integers=[3, 5], count=3, multiple_of=8) == [8]  # never rounded down to nothing
    assert widths(log_integers=[7, 7], count=1) == [7]


def test_ratios_times_a_multiplier():
    axes = {"stage_ratio": {"choices": ["1:1:3:1", [1, 2, 4, 0.5]]}, "times": {"choices": [1, 3]}}
    space = declared(axes, {"depth": {"ratio": "stage_ratio", "times": "times"}})
    assert outcomes(space, "depth") == [(1, 1, 3, 1), (3, 3, 9, 3), (1, 2, 4, 1), (3, 6, 12, 2)]


def test_growth_by_number_list_and_axis():
    base = {"base_width": {"choices": [24, 50]}}

    def grown(growth: Any, **rest: Any) -> list[Any]:
        rule = {"base": "base_width", "growth": growth} | rest
        return outcomes(declared(base, {"width": rule}), "width")

    assert outcomes(declared(base, {"width": {"base": "base_width"}}), "width")[0] == (24, 48, 96, 192)
    assert grown(2) == [(24, 48, 96, 192), (50, 100, 200, 400)]
    assert grown(1.5, multiple_of=8) == [(24, 32, 56, 80), (48, 72, 112, 168)]
    assert grown([1, 2, 4, 4]) == [(24, 48, 96, 96), (50, 100, 200, 200)]
    axes = base | {"growth": {"choices": [1, 2, [1, 3, 3, 1]]}}
    space = declared(axes, {"width": {"base": "base_width", "growth": "growth"}})
    assert outcomes(space, "width")[:3] == [(24,) * 4, (24, 48, 96, 192), (24, 72, 72, 24)]


def test_lookups_over_one_axis_and_over_several():
    one = declared(
        {"size": {"choices": ["s", "m"]}},
        {"depth": {"lookup": "size", "values": {"s": 1, "m": [3, 3, 9, 3]}},
         "kernel_size": {"lookup": "size", "values": {"s": 3, "m": 7}}},
    )  # fmt: skip
    assert one.size == 2
    assert outcomes(one, "depth") == [(1,) * 4, FOUR_DEPTHS]
    assert outcomes(one, "kernel_size") == [(3,) * 4, (7,) * 4]
    both = declared(
        {"kernel_size": {"choices": [3, 5]}, "norm": {"choices": ["layer", "batch"]}},
        {"expansion": {"lookup": ["kernel_size", "norm"],
                       "values": {3: {"layer": 2, "batch": 3}, 5: {"layer": 4, "batch": 6}}}},
    )  # fmt: skip
    assert len(both.factors) == 1
    found = {
        (a.stages[0].kernel_size, a.norm): a.stages[0].expansion for a in map(both.build, both.all_codes())
    }
    assert found == {(3, "layer"): 2, (3, "batch"): 3, (5, "layer"): 4, (5, "batch"): 6}


def test_lookups_stage_by_stage():
    space = declared(
        {"kernel_size": {"choices": [3, 7], "per_stage": True}},
        {"expansion": {"lookup": "kernel_size", "values": {3: 4, 7: 2}}},
    )
    assert space.size == 16
    for code in space.all_codes():
        assert all(stage.expansion == {3: 4, 7: 2}[stage.kernel_size] for stage in space.build(code).stages)


def test_labels_set_fields_together():
    resnet = {"conv": "dense", "group_width": None, "kernel_size": 3, "style": "bottleneck"}
    grouped = {"conv": "grouped", "group_width": 4, "kernel_size": [5, 7], "style": "inverted"}
    space = declared({"block": {"choices": {"resnet": resnet, "grouped": grouped}}}, base=TWO)
    assert outcomes(space, "kernel_size") == [(3, 3), (5, 7)]
    assert outcomes(space, "conv") == [("dense",) * 2, ("grouped",) * 2]
    assert outcomes(space, "style") == [("bottleneck",) * 2, ("inverted",) * 2]


def test_numbers_as_yaml_1_2_has_them():
    text = "axes: {layer_scale: {choices: [1e-6, 1.0e-2, 1E-1, null]}}"
    scales = [
        a.layer_scale for a in map(parse_space(text, "text").build, parse_space(text, "text").all_codes())
    ]
    assert scales == [1e-6, 1e-2, 1e-1, None]


def test_a_space_in_a_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\naxes: {kernel_size: {choices: [3, 5]}}\n")
    space = load_space(path)
    assert (space.name, space.size) == ("mine", 2)
    assert load_space(str(path)).fingerprint == space.fingerprint
    path.write_text("name: mine\naxes: {kernel_size: {choices: [3, 7]}}\n")
    assert load_space(path).fingerprint != space.fingerprint


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(small_spaces(most=300), st.integers(0, 10**6))
def test_drawn_spaces_count_locate_and_cost_their_networks(space: DesignSpace, seed: int):
    codes = np.array(list(space.all_codes()))
    assert len(codes) == space.size
    built = [space.build(code) for code in codes]
    assert len({architecture.fingerprint for architecture in built}) == space.size
    for code, architecture in itertools.islice(zip(codes, built, strict=True), 20):
        located = space.locate(architecture)
        assert located is not None
        assert located.tolist() == code.tolist()
    one = codes[seed % len(codes)]
    assert space.code(space.choices(one)).tolist() == one.tolist()
    macs = np.broadcast_to(cost_columns(space.columns(codes)).macs, len(codes))
    assert np.array_equal(macs, costs(built).macs)


# what is refused


@pytest.mark.parametrize(
    ("axes", "place"),
    [
        ({}, "axes: missing"),
        (None, "axes: missing"),
        ([3], "axes: missing"),
        ({"kernel_size": [3, 5]}, "axes.kernel_size: [3, 5] must be a mapping"),
        ({"kernel_size": {"values": [3]}}, "axes.kernel_size: needs exactly one of choices, integers"),
        ({"kernel_size": {"choices": [3], "integers": [3, 5]}}, "axes.kernel_size: needs exactly one of"),
        ({"kernel_size": {"choices": [3], "step": 2}}, "axes.kernel_size.step: unknown key"),
        ({"kernel_size": {"choices": []}}, "axes.kernel_size.choices: empty"),
        ({"kernel_size": {"choices": {}}}, "axes.kernel_size.choices: empty"),
        ({"kernel_size": {"choices": 3}}, "axes.kernel_size.choices: 3 must be a list"),
        ({"kernel_size": {"choices": [3, 5, 3]}}, "axes.kernel_size: a value stands twice"),
        ({"size": {"choices": [1, 2]}}, "axes.size: sets nothing"),
        ({"kernel_size": {"choices": [3, 4]}}, "kernel_size 4: stages[0].kernel_size: 4 is even"),
        ({"kernel_size": {"choices": ["wide"]}}, "kernel_size wide: stages[0].kernel_size: 'wide'"),
        ({"norm": {"choices": ["layer", "none"]}}, "norm none: norm: 'none' must be one of"),
        ({"norm": {"choices": ["layer"], "per_stage": True}}, "axes.norm: norm belongs to the network"),
        ({"depth": {"choices": [1], "per_stage": ["a", "b"]}}, "axes.depth.per_stage: ['a', 'b'] must be"),
        ({"depth": {"choices": [1], "per_stage": "each"}}, "axes.depth.per_stage: 'each' must be"),
        ({"depth": {"choices": [[1, 2, 3]]}}, "axes.depth: depth has 3 values for 4 stages"),
        ({"depth": {"integers": [3, 1]}}, "axes.depth.integers: [3, 1] must be two integers"),
        ({"depth": {"integers": [1, 2.5]}}, "axes.depth.integers: [1, 2.5] must be two integers"),
        ({"depth": {"integers": [1, 3], "step": 0}}, "axes.depth.step: 0 must be an integer of at least 1"),
        ({"depth": {"integers": [0, 2]}}, "depth 0: stages[0].depth: 0 must be"),
        ({"width": {"log_integers": [8, 64]}}, "axes.width.count: missing"),
        ({"width": {"log_integers": [0, 64], "count": 3}}, "axes.width.log_integers: 0 must be at least 1"),
        ({"width": {"log_integers": [8, 64], "count": 3, "multiple_of": -8}}, "axes.width.multiple_of: -8"),
        ({"block": {"choices": {"a": 3}}}, "axes.block.choices.a: must be a mapping"),
        ({"block": {"choices": {"a": {"kernel": 3}}}}, "axes.block.a: no field 'kernel'"),
        ({"block": {"choices": {"a": {"depth": 2}, "b": {"norm": "rms"}}}}, "axes.block: its choices set"),
        ({"block": {"choices": {"a": {"depth": 2}}}, "depth": {"choices": [1]}}, "block and depth both set"),
        ({"expansion": {"choices": [4, 4.0001]}}, "make the same network"),
        ({"stem.width": {"choices": [None, 96]}}, "make the same network"),
    ],
)  # fmt: skip
def test_wrong_axes_are_refused(axes: Any, place: str):
    assert place in refused(axes)


RATIO = {"r": {"choices": ["1:1:1:1"]}, "t": {"choices": [1, 2]}}
SHORT = RATIO | {"r": {"choices": ["1:1:3"]}}
EACH = {"t": {"choices": [1, 2]}, "each": {"choices": [1, 2], "per_stage": True}}


@pytest.mark.parametrize(
    ("axes", "field", "rule", "place"),
    [
        (RATIO, "depth", 3, "derive.depth: needs exactly one of ratio, base, lookup"),
        (RATIO, "depth", {"ratio": "r", "base": "t"}, "derive.depth: needs exactly one of"),
        (RATIO, "depth", {"ratio": "r", "times": "t", "plus": 1}, "derive.depth.plus: unknown key"),
        (RATIO, "depth", {"ratio": "r", "times": "u"}, "derive.depth: there is no axis 'u'"),
        (RATIO, "size", {"ratio": "r", "times": "t"}, "derive.size: no such field"),
        (SHORT, "depth", {"ratio": "r", "times": "t"}, "derive.depth: '1:1:3' has 3 parts for 4 stages"),
        (RATIO, "depth", {"ratio": "t", "times": "r"}, "derive.depth: 1 times '1:1:1:1' is not a ratio"),
        (RATIO, "depth", {"ratio": "r"}, "derive.depth.times: missing"),
        (RATIO, "width", {"base": "r", "growth": "t"}, "derive.width: '1:1:1:1' cannot grow by 1"),
        (RATIO, "width", {"base": "t", "growth": [1, 2]}, "axes.r: sets nothing"),
        (RATIO, "width", {"base": "t", "multiple_of": 0}, "derive.width.multiple_of: 0 must be"),
        (RATIO, "width", {"base": "t", "growth": "g"}, "derive.width: there is no axis 'g'"),
        (RATIO, "depth", {"lookup": ["t", "r"], "values": {1: 3}}, "derive.depth.values: nothing for 1, 1:1"),
        (RATIO, "depth", {"lookup": ["t", "r"]}, "derive.depth.values: nothing for 1, 1:1:1:1"),
        (RATIO, "depth", {"lookup": "k", "values": {3: 1}}, "derive.depth: there is no axis 'k'"),
        (EACH, "depth", {"lookup": ["t", "each"]}, "derive.depth: its axes differ in per_stage"),
    ],
)
def test_wrong_rules_are_refused(axes: Any, field: str, rule: Any, place: str):
    assert place in refused(axes, {field: rule})


def test_rules_without_an_axis_for_each_stage():
    axes = {"t": {"choices": [8, 16]}}
    growth = {"width": {"base": "t", "growth": [1, 2]}}
    assert "derive.width.growth: [1, 2] has 2 numbers for 4 stages" in refused(axes, growth)
    assert "derive.depth.values: nothing for 16" in refused(
        axes, {"depth": {"lookup": "t", "values": {8: 3}}}
    )
    assert "derive: must be a mapping" in refused(axes, [1])


def test_an_axis_and_a_rule_that_set_one_field():
    axes = {"depth": {"choices": [1, 2]}, "size": {"choices": [1, 2]}}
    rule = {"depth": {"lookup": "size", "values": {1: 3, 2: 4}}}
    assert "depth and size both set depth" in refused(axes, rule)
    same = {"depth": {"lookup": "depth", "values": {1: 3, 2: 4}}}
    assert "derive.depth: depth is set twice" in refused({"depth": {"choices": [1, 2]}}, same)


def test_group_widths_that_do_not_divide():
    base = {"stages": [{"depth": 1, "width": 24, "conv": "grouped", "group_width": 4}]}
    axes = {"width": {"choices": [8, 12]}, "group_width": {"choices": [4, 8]}}
    assert "an impossible combination: stages[0].group_width: 8 does not divide" in refused(axes, base=base)
    tied = {"width": {"lookup": "group_width", "values": {4: 12, 8: 24}}}
    assert declared({"group_width": {"choices": [4, 8]}}, tied, base=base).size == 2
    stem = {"stem.type": {"choices": ["patchify", "resnet"]}, "stem.patch_size": {"choices": [4, 8]}}
    assert "an impossible combination: stem.patch_size: 8" in refused(stem)


def test_what_is_no_declaration():
    assert "unknown key" in refused({"norm": {"choices": ["layer"]}}, axis={})
    assert "base: resnet5: no network of this name" in refused(
        {"norm": {"choices": ["layer"]}}, base="resnet5"
    )
    assert "base: stages" in refused({"norm": {"choices": ["layer"]}}, base={"stages": []})
    for text in (
        "",
        "[1, 2]",
        "3",
        "axes: [3\n  b: }",
        "axes: {a: b: c}",
        "\t- x",
        "axes: !!python/object:os.x {}",
    ):
        with pytest.raises(InputError, match=r"space wrong\.yaml: ") as caught:
            parse_space(text, "wrong.yaml")
        assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(InputError, match="neither a file nor a shipped space") as caught:
        load_space("convnxt")
    assert "convnext, micro, roadmap" in str(caught.value)
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        load_space(tmp_path)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00axes")
    with pytest.raises(InputError, match="not a text file") as caught:
        load_space(binary)
    assert "\n" not in str(caught.value)


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "mine.yaml"
    path.write_text("axes: {}")

    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    # removing the permission itself would not stop root
    monkeypatch.setattr("space.reading.os.open", denied)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)") as caught:
        load_space(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axes", "base", "reason"),
    [
        (
            {"style": {"choices": ["bottleneck", "inverted"]}, "expansion": {"choices": [1, 2]}},
            {"stages": [{"depth": 1, "width": 8}]},
            "expansions round to the same channels",
        ),
        (
            {"width": {"choices": [3, 100]}, "expansion": {"choices": [1.3, 1.5]}},
            {"stages": [{"depth": 1, "width": 100}]},
            "expansions round to the same channels",
        ),
        (
            {"depth": {"choices": [1, 2]}, "drop_path": {"choices": [0.0, 0.1]}},
            {"stages": [{"depth": 2, "width": 8}]},
            "drop_path does nothing in a single block",
        ),
        (
            {"stem.width": {"choices": [8, 16]}},
            {"stages": [{"depth": 2, "width": 8}]},
            "stem.width can be the first width, which null says",
        ),
        (
            {
                "width": {"choices": [8, 16]},
                "convolution": {
                    "choices": {
                        "dense": {"conv": "dense", "group_width": None},
                        "grouped": {"conv": "grouped", "group_width": 8},
                    }
                },
            },
            {"stages": [{"depth": 2, "width": 16}]},
            "a group_width is depthwise or dense",
        ),
        (
            {"norm": {"choices": ["layer", "batch"]}, "norm_after": {"choices": [[], [1]]}},
            {"stages": [{"depth": 2, "width": 8}], "head_norm": False, "stem": {"norm": False}},
            "the norm's type is chosen where there may be no norm",
        ),
        (
            {"activation": {"choices": ["relu", "gelu"]}, "act_after": {"choices": [[], [1]]}},
            {"stages": [{"depth": 2, "width": 8}]},
            "the activation's type is chosen where there may be none",
        ),
    ],
)
def test_choices_that_cancel_across_axes_are_refused(axes: Any, base: Any, reason: str):
    assert f"{reason}, so two choices make the same network" in refused(axes, base=base)


def test_lists_of_positions_are_sets():
    space = declared({"norm_after": {"choices": [[2, 1], [1]]}}, base=TWO)
    assert space.size == 2
    for code in space.all_codes():
        assert (space.locate(space.build(code)) == code).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("axes: {width: {choices: [{a: 1}, 2]}}", "neither a plain value nor a list of them"),
        ("axes: {width: {choices: [[8, 16, [1], 64], [8, 16, 32, 64]]}}", "neither a plain value"),
        ("axes: {width: {integers: [1, 1000000000]}}", "use a larger step"),
        ("axes: {kernel_size: {choices: [3]}, kernel_size: {choices: [5]}}", "'kernel_size' stands twice"),
        ('axes: {kernel_size: {choices: ["a\\nb"]}}', "must be an integer"),
        ('"a\\nb": 1', "a b: unknown key"),
        ("axes: !!python/object:os.system {}", "not YAML"),
    ],
)
def test_odd_declarations_are_one_line(text: str, message: str):
    with pytest.raises(InputError) as caught:
        parse_space(text, "odd.yaml")
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("axes", "rule"),
    [
        ({"r": {"choices": ["1:1:inf:1"]}, "m": {"choices": [1]}}, {"depth": {"ratio": "r", "times": "m"}}),
        ({"b": {"choices": [8]}}, {"width": {"base": "b", "growth": 1e300}}),
        ({"b": {"choices": [8]}}, {"width": {"base": "b", "growth": 0}}),
        ({"kernel_size": {"choices": [3]}}, {"depth": {"lookup": [], "values": {}}}),
    ],
)
def test_rules_out_of_range_are_refused(axes: Any, rule: Any):
    assert "derive." in refused(axes, rule)


def test_neighbours_are_symmetric_where_outcomes_merge():
    space = declared(
        {
            "r": {"choices": ["1:1:1:1", "2:2:2:2"]},
            "m": {"integers": [1, 4]},
            "kernel_size": {"choices": [3, 5]},
        },
        {"depth": {"ratio": "r", "times": "m"}},
    )
    assert space.size == 12
    codes = list(space.all_codes())
    near = {tuple(code): {tuple(other) for other in space.neighbour_codes(code)} for code in codes}
    for code, others in near.items():
        assert others and all(code in near[other] for other in others)
