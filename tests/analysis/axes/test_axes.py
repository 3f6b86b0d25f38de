"""Axes of named networks by hand, of any number of stages, of other columns, and of recorded studies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.axes.axes import axes_of, axis_of, axis_table
from analysis.axes.sample import sample_of
from nas.record.study import Study
from space.architecture import Architecture
from space.cost import cost
from space.errors import InputError
from space.families import named
from space.space_file import load_space
from space.swin import named_swin
from tests.analysis.sample_study import network, trial
from tests.analysis.sample_study import sample_study as recorded


def value(table, name, row=0):
    axis = table.axes[name]
    return axis.levels[int(axis.values[row])] if axis.categorical else axis.values[row]


def sample_study():
    return recorded() | {"data": {"fingerprint": "fractal"}}


# ---- networks -------------------------------------------------------------------------------------------


def test_the_axes_of_convnext_t_and_resnet_50_are_the_papers():
    table = axis_table([named("convnext_tiny"), named("resnet50")], "all")
    expected = {
        "depth": (18, 16), "stage ratio": ("1:1:3:1", "3:4:6:3"), "base width": (96, 64),
        "stage 3 share": (0.5, 6 / 16), "width growth": (2, 2), "kernel size": (7, 3), "expansion": (4, 4),
        "norm": ("layer", "batch"), "activation": ("gelu", "relu"), "downsampling": ("separate", "strided"),
        "stem": ("patches of 4", "resnet"), "block": ("inverted", "bottleneck"),
        "convolution": ("depthwise", "dense"), "block order": ("spatial first", "spatial in the middle"),
        "GRN": ("off", "off"), "LayerScale": ("on", "off"), "norms a block": (1, 3),
        "activations a block": (1, 3), "depth 3": (9, 6), "kernel 1": (7, 3), "expansion 4": (4, 4),
    }  # fmt: skip
    for name, (first, second) in expected.items():
        assert (value(table, name, 0), value(table, name, 1)) == (first, second), name
    assert value(table, "FLOPs") == cost(named("convnext_tiny")).macs
    assert value(table, "params", 1) == cost(named("resnet50")).params


def test_kernel_and_expansion_are_means_with_their_stages_beside_them():
    one = network([2, 4, 10, 2], [96, 192, 384, 736], [3, 5, 7, 9], [4, 4, 4, 6])
    table = axis_table([one], "all")
    assert value(table, "kernel size") == 6
    assert value(table, "expansion") == 4.5
    assert [value(table, f"kernel {s}") for s in (1, 2, 3, 4)] == [3, 5, 7, 9]
    stages = axis_table([one], "stages").axes
    assert "kernel size" not in stages  # their sum would be the parts again
    assert "depth" not in stages
    assert {"kernel 4", "expansion 1", "base width", "norm"} <= set(stages)


def test_swins_are_left_out_and_the_rest_keep_their_places():
    tiny = named("convnext_tiny")
    table = axis_table([named_swin("swin_tiny").to_dict(), tiny.to_dict(), tiny])
    assert table.rows.tolist() == [1, 2]
    assert len(table) == 2
    assert {axis.distinct for axis in table.axes.values()} == {1}
    assert axis_table([named_swin("swin_tiny").to_dict()]).axes == {}


@pytest.mark.parametrize("depths", [[4], [2, 3], [2, 2, 2], [1, 2, 3, 2, 1], [1, 1, 1, 1, 1, 1]])
def test_any_number_of_stages_has_axes(depths):
    widths = [32 * 2**i for i in range(len(depths))]
    table = axis_table([Architecture.convnext(depths, widths)], "all")
    assert value(table, "stages") == len(depths)
    assert value(table, "depth") == sum(depths)
    assert value(table, f"depth {len(depths)}") == depths[-1]
    assert all(np.isfinite(axis.values).all() for axis in table.axes.values())
    if len(depths) not in (1, 4):
        assert value(table, "share of the stage before last") == depths[-2] / sum(depths)


def test_networks_of_different_stages_have_no_columns_stage_by_stage():
    mixed = [Architecture.convnext([2, 2], [32, 64]), named("convnext_tiny")]
    table = axis_table(mixed, "all")
    assert "kernel 1" not in table.axes
    assert table.axes["stages"].values.tolist() == [2, 4]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_network_of_the_shipped_spaces_has_the_same_axes(seed):
    for space in ("convnext", "roadmap"):
        table = axis_table(load_space(space).sample(5, seed), "all")
        assert len(table) == 5
        for axis in table.axes.values():
            assert axis.values.shape == (5,)
            assert np.isfinite(axis.scaled).all()


def test_blocks_that_differ_by_stage_are_mixed():
    tiny = named("convnext_tiny").to_dict()
    stages = [dict(stage, grn=i == 0) for i, stage in enumerate(tiny["stages"])]
    block = {key: item for key, item in tiny["block"].items() if key != "grn"}
    table = axis_table([tiny | {"stages": stages, "block": block}])
    assert value(table, "GRN") == "mixed"


def test_a_set_that_networks_do_not_have_is_refused():
    with pytest.raises(InputError, match="summary, stages or all"):
        axis_table([], "space")


# ---- any columns ----------------------------------------------------------------------------------------


def test_plain_columns_become_numbers_or_levels():
    axes = axes_of({"k": [3, 5, 7], "norm": ["b", "a", "b"], "grn": [True, False, True], "x": [None, "y", 1]})
    assert not axes["k"].categorical
    assert axes["norm"].levels == ("a", "b")
    assert axes["norm"].values.tolist() == [1, 0, 1]
    assert axes["grn"].levels == ("off", "on")
    assert axes["x"].levels == ("1", "none", "y")
    assert axes["norm"].take([0, 2]).levels == ("b",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "no column"),
        ({"a": [1, 2], "b": [1]}, "differ in length"),
        ({"a": [[1, 2]]}, "one value a network"),
        ({"a": [1.0, np.nan]}, "not finite"),
    ],
)
def test_columns_that_are_no_axes_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        axes_of(columns)


def test_a_logarithm_needs_positive_numbers():
    with pytest.raises(InputError, match="above 0"):
        axis_of("width", [0, 2], log=True)


# ---- studies --------------------------------------------------------------------------------------------


def test_only_full_trainings_of_the_convnext_family_are_in_a_sample():
    mapping = sample_study()
    mapping["trials"][1] |= {"role": "reference", "name": "Swin-T"}
    mapping["trials"][1]["architecture"] = named_swin("swin_tiny").to_dict()
    sample = sample_of([Study.from_dict(mapping)])
    assert len(sample) == 10  # of 14: a failure, an interruption, a short one, a Swin
    assert any("1 of 11 networks are not of the ConvNeXt family" in note for note in sample.notes)
    assert {"depth", "base width", "kernel size", "norm"} <= set(sample.axes)
    assert "stem" not in sample.axes  # the same for all


def test_accuracies_are_of_the_seeds_that_all_networks_have():
    mapping = sample_study()
    best = mapping["trials"][8]
    again = best | {"number": 14, "role": "confirmation", "of": 8, "seed": 5, "accuracy": 0.1}
    mapping["trials"].append(again)
    sample = sample_of([Study.from_dict(mapping)])
    row = sample.points.index((0, 8))
    assert sample.accuracy[row] == best["accuracy"]  # seed 5 has a shift that the others do not share


def test_networks_without_a_common_seed_say_so():
    mapping = sample_study()
    mapping["trials"][8]["seed"] = 1
    assert any("share no seed" in note for note in sample_of([Study.from_dict(mapping)]).notes)


def test_studies_of_different_planes_are_not_pooled():
    other = sample_study()
    other["proxy"] = other["proxy"] | {"epochs": 9}
    with pytest.raises(InputError, match="different planes"):
        sample_of([Study.from_dict(sample_study()), Study.from_dict(other)])


def test_a_budget_of_a_sweep_and_an_unknown_one():
    mapping = sample_study()
    low, high = 4.3e9, 4.5e9
    bands = [
        {"text": "4.4G", "metric": "macs", "low": low, "high": high},
        {"text": "9G", "metric": "macs", "low": 8e9, "high": 9e9},
    ]
    mapping["budget"] = mapping["budget"] | {"each": bands}
    study = Study.from_dict(mapping)
    inside = [tried for tried in study.networks if low <= tried.macs <= high]
    assert 0 < len(inside) < len(study.networks)
    assert len(sample_of([study], budget="4.4G")) == len(inside)
    with pytest.raises(InputError, match=r"the studies have 4\.4G, 9G"):
        sample_of([study], budget="3G")


def test_the_samplers_own_parameters_are_axes():
    mapping = sample_study()
    for i, entry in enumerate(mapping["trials"]):
        norm = "rms" if i % 2 else "layer"
        entry["choices"] = {} if i == 0 else {"kernel_size.1": 3 + 2 * (i % 3), "norm": norm}
    sample = sample_of([Study.from_dict(mapping)], "space")
    assert set(sample.axes) <= {"kernel_size.1", "norm", "FLOPs"}
    assert sample.axes["norm"].levels == ("layer", "rms")
    assert (0, 0) not in sample.points  # the reference was not proposed


def test_a_study_without_any_result_has_an_empty_sample():
    mapping = sample_study()
    mapping["trials"] = [t for t in mapping["trials"] if t["state"] != "complete"]
    for which in ("summary", "space"):
        assert len(sample_of([Study.from_dict(mapping)], which)) == 0


def test_a_reference_of_another_kind_says_nothing_about_what_the_search_varied():
    mapping = sample_study()
    before = sample_of([Study.from_dict(mapping)])
    mapping["trials"].append(trial(14, named("resnet50"), 0.4, role="reference", name="ResNet-50"))
    after = sample_of([Study.from_dict(mapping)])
    assert after.points == before.points and set(after.axes) == set(before.axes)
    assert (0, 0) in after.points  # ConvNeXt-T differs in nothing but what was searched
    assert any(note.startswith("1 reference differs in what the search never varied") for note in after.notes)
    for entry in mapping["trials"]:
        entry["role"] = "reference"  # without a search they are all there is
    assert (0, 14) in sample_of([Study.from_dict(mapping)]).points
