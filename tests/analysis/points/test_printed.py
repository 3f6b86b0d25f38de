"""Published points: each on one plane, and the roadmap's figures against the count."""

import pytest

from analysis.points.printed import CONVNEXT_PAPER, ROADMAP_B, ROADMAP_T, one_plane, published_points, roadmap
from space.cost import cost
from space.errors import InputError
from space.families import named

EVERYTHING = ("source", "pretrain", "resolution")


def test_rows_are_typed_and_keep_the_file():
    points = published_points(pool=EVERYTHING)
    assert len(points) == 57
    tiny = points[0]
    assert (tiny.name, tiny.top1, tiny.resolution, tiny.device) == ("ConvNeXt-T", 82.1, 224, "V100")
    assert tiny.error == 17.9
    assert all(p.images_per_s is None or p.device for p in points)
    assert all(p.source and 50 < p.top1 < 100 and p.gflops > 0 for p in points)


def test_selection_by_source_set_and_resolution():
    swin = published_points(family="swin", source=CONVNEXT_PAPER, pretrain="imagenet-1k", resolution=224)
    assert [(p.name, p.top1) for p in swin] == [("Swin-T", 81.3), ("Swin-S", 83.0), ("Swin-B", 83.5)]


@pytest.mark.parametrize(
    ("fields", "differs"),
    [
        ({"family": "swin"}, "source"),
        ({"family": "swin", "source": "Swin-Transformer README"}, "pretrain"),
        ({"family": "convnext", "source": CONVNEXT_PAPER, "pretrain": "imagenet-1k"}, "resolution"),
    ],
)
def test_mixing_planes_is_refused_unless_asked_for_by_name(fields, differs):
    with pytest.raises(InputError, match=f"{differs} differs") as raised:
        published_points(**fields)
    assert "\n" not in str(raised.value) and f"pool=('{differs}',)" in str(raised.value)
    pooled = published_points(**fields, pool=EVERYTHING)
    assert len({getattr(p, differs) for p in pooled}) > 1
    others = [name for name in EVERYTHING if name != differs]
    with pytest.raises(InputError, match=differs):
        published_points(**fields, pool=others)


def test_unknown_fields_say_what_there_is():
    with pytest.raises(InputError, match=r"no family 'resnext'.*convnext, .*swin"):
        published_points(family="resnext")
    with pytest.raises(InputError, match="pool takes source, test_set, pretrain, resolution, not 'device'"):
        one_plane([], pool=["device"])
    with pytest.raises(InputError, match="no regime"):
        roadmap("t")


@pytest.mark.parametrize(("regime", "column"), [(ROADMAP_T, "t"), (ROADMAP_B, "b")])
def test_printed_gflops_follow_from_the_count_except_where_marked(regime, column):
    steps = roadmap(regime)
    assert [step.order for step in steps] == list(range(18))
    for step in steps[:17]:  # the last row is Swin
        counted = cost(named(f"roadmap_{column}_{step.order}"), 224, 1000).macs / 1e9
        expected = step.counted_gflops or step.gflops
        # two decimals are printed, some cut off rather than rounded
        assert counted == pytest.approx(expected, abs=0.0105), step
        if step.counted_gflops:
            assert abs(counted - step.gflops) > 0.02


def test_only_two_cells_of_table_10_are_marked():
    marked = [step for regime in (ROADMAP_T, ROADMAP_B) for step in roadmap(regime) if step.counted_gflops]
    assert [(s.source, s.order, s.gflops) for s in marked] == [
        ("ConvNeXt paper Table 10", 15, 4.46),
        ("ConvNeXt paper Table 10", 16, 4.49),
    ]
    assert all(step.top1_std is None for step in roadmap(ROADMAP_B))
