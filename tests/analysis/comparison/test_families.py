"""Families on planes of results: nothing is mixed, a network counts once, two are compared at equal FLOPs."""

import pytest

from analysis.comparison.families import GFLOPS, PARAMS, planes, time_on
from analysis.points.packaged import packaged_points
from analysis.points.printed import VALIDATION
from analysis.points.result import OwnResult


def point(name, family, top1, gflops, **fields):
    known = {"pretrain": "imagenet-1k", "resolution": 224, "params_m": 1.0, "source": "s"}
    return OwnResult(**known | {"name": name, "family": family, "top1": top1, "gflops": gflops}
                  | {"images_per_s": None, "device": None} | fields)  # fmt: skip


def test_a_plane_is_one_source_test_set_pre_training_and_resolution():
    first = point("a", "f", 80, 1)
    others = [
        point("a", "f", 80, 1, **other)
        for other in ({"source": "t"}, {"test_set": "real"}, {"pretrain": "x"}, {"resolution": 288})
    ]
    assert [len(plane.points) for plane in planes([first, *others, point("b", "f", 81, 2)])] == [
        2,
        1,
        1,
        1,
        1,
    ]


def test_of_planes_of_as_many_results_that_of_the_validation_images_is_first():
    found = planes([point("a", "f", 80, 1, test_set=test) for test in ("imagenet-a", VALIDATION, "sketch")])
    assert [plane.test_set for plane in found] == [VALIDATION, "imagenet-a", "sketch"]


def test_variants_of_one_network_count_once():
    weights = [point(f"net.{tag}", "f", 80 + i, 1, recipe=tag) for i, tag in enumerate(("p", "q", "r"))]
    (plane,) = planes([*weights, point("big.p", "f", 82, 2, recipe="p"), point("o", "g", 79, 1)])
    side = plane.sides["f"]
    assert side.table.names == ("net.p", "big.p")  # the recipe of most networks, not the most accurate
    assert "left out: 2 weights of other recipes (q, r)" in side.note
    ((first, second, found),) = plane.pairs()
    assert (first.family, second.family, found.mean.value) == ("f", "g", 1)


def test_convnext_against_swin_is_that_of_the_paper():
    paper = next(plane for plane in planes(packaged_points()) if plane.source == "ConvNeXt paper Table 1")
    (found,) = [c for a, b, c in paper.pairs() if {a.family, b.family} == {"convnext", "swin"}]
    assert [round(pair.difference.value, 1) for pair in found.pairs] == [0.8, 0.1, 0.3]


def test_families_without_equal_costs_are_no_pair_and_three_networks_no_law():
    (plane,) = planes([point(f"a{i}", "f", 80 + i, 2**i) for i in range(3)] + [point("b", "g", 80, 3)])
    assert list(plane.pairs()) == [] and list(plane.laws()) == []
    # a network without an error is no point of a law
    (plane,) = planes([point(f"a{i}", "f", min(100, 80 + 7 * i), 2**i) for i in range(4)])
    assert [len(side.table.names) for side in plane.sides.values()] == [3]


def test_laws_and_differences_are_over_any_cost_that_is_known():
    own = [
        point(f"{name}{i}", name, 70 + 4 * i + gain, 2.0**i, params_m=3.0**i, speeds=(("gpu", 900 / 2**i),))
        for name, gain in (("f", 0), ("g", 1))
        for i in range(5)
    ]
    slow = point("f9", "f", 95, 99, params_m=float("nan"))
    (plane,) = planes([*own, slow])
    for cost, reached in ((GFLOPS, [1, 2, 4, 8, 16]), (PARAMS, [1, 3, 9, 27, 81])):
        ((_, _, found),) = plane.pairs(cost)
        assert [pair.flops for pair in found.pairs] == pytest.approx(reached)
        assert [pair.difference.value for pair in found.pairs] == pytest.approx([-1] * 5)
    # over throughput the cost is the time an image; what has none is left out
    fits = {side.family: fit for side, fit in plane.laws(cost=time_on("gpu"))}
    assert {name: fit.networks for name, fit in fits.items()} == {"f": 5, "g": 5}
    assert fits["f"].predict([1000 / 900])[0] > fits["f"].predict([1000 / 56])[0]
    assert list(plane.laws(cost=time_on("cpu"))) == [] and list(plane.pairs(time_on("cpu"))) == []


def test_pairs_name_the_networks_of_the_tables_where_a_cost_is_not_known_of_all():
    first = [
        point(n, "f", t, g, params_m=p) for n, t, g, p in (("a", 80, 1, float("nan")), ("b", 81, 2, 5.0))
    ]
    second = [point(n, "g", t, g, params_m=p) for n, t, g, p in (("c", 70, 1, 9.0), ("d", 71, 2, 5.0))]
    (plane,) = planes([*first, *second])
    ((one, other, found),) = plane.pairs(PARAMS)
    (pair,) = found.pairs
    assert (one.table.names[pair.first], other.table.names[pair.second]) == ("b", "d")
