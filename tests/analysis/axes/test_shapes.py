"""Many recorded architectures at once are what each of them is alone."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.axes.shapes import shapes_of
from space.architecture import Architecture
from space.checks import ArchitectureError
from space.columns import Columns, columns_of
from space.families import named
from space.stage import OPTIONS
from tests.space.strategies import architectures


def fields(columns):
    """Every field as an array a network, by name; those of stages by place and name."""
    found = {f.name: getattr(columns, f.name) for f in dataclasses.fields(Columns) if f.name != "stages"}
    for i, stage in enumerate(columns.stages):
        own = {f.name: getattr(stage, f.name) for f in dataclasses.fields(stage) if f.name != "options"}
        own |= {o.name: stage.options.get(o.name, o.default) for o in OPTIONS}
        found |= {f"{i} {name}": value for name, value in own.items()}
    return found


@settings(max_examples=40)
@given(st.lists(architectures(), min_size=1, max_size=5))
def test_the_columns_are_those_of_the_architectures(drawn):
    shapes = shapes_of([architecture.to_dict() for architecture in drawn])
    ours, theirs = fields(shapes.columns), fields(columns_of(drawn))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(*np.broadcast_arrays(ours[name], values), err_msg=name)
    assert shapes.stages.tolist() == [len(architecture.stages) for architecture in drawn]
    assert shapes.each(lambda form: form.norm) == [architecture.norm for architecture in drawn]


@settings(max_examples=15)
@given(st.lists(architectures(), min_size=2, max_size=4), st.data())
def test_some_of_them_are_as_if_they_were_alone(drawn, data):
    rows = data.draw(st.lists(st.integers(0, len(drawn) - 1), min_size=1, unique=True))
    part = shapes_of([architecture.to_dict() for architecture in drawn]).take(np.array(rows))
    alone = shapes_of([drawn[i].to_dict() for i in rows])
    ours, theirs = fields(part.columns), fields(alone.columns)
    for name, values in theirs.items():
        np.testing.assert_array_equal(*np.broadcast_arrays(ours[name], values), err_msg=name)


def test_networks_that_differ_in_numbers_are_of_one_form():
    drawn = [Architecture.convnext(depths, [64, 128]) for depths in ([1, 2], [3, 4], [3, 5])]
    shapes = shapes_of([one.to_dict() for one in (*drawn, named("resnet50"), drawn[0])])
    assert shapes.form.tolist() == [0, 0, 0, 1, 0]
    assert shapes.first.tolist() == [0, 3]
    assert shapes.depth[:3].tolist() == [[1, 2, 0, 0], [3, 4, 0, 0], [3, 5, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 0}, r"stages\[1\].depth: 0 must be an integer of at least 1"),
        ({"width": "96"}, r"stages\[1\].width: '96' must be an integer"),
        ({"kernel_size": 4}, r"stages\[1\].kernel_size: 4 is even"),
        ({"expansion": 1e-6}, r"stages\[1\].expansion: 1e-06 leaves no channels"),
        ({"nonsense": 1}, r"stages\[1\].nonsense: unknown field"),
    ],
)
def test_what_no_network_has_is_refused_wherever_it_stands(change, message):
    good, bad = (Architecture.convnext([1, 2], [64, 128]).to_dict() for _ in range(2))
    bad["block"].pop(next(iter(change)), None)
    bad["stages"][1] |= change
    with pytest.raises(ArchitectureError, match=message):
        shapes_of([good, good, bad])
