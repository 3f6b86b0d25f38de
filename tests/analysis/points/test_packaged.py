"""The published points of this package, each with its source."""

from collections import Counter

import pytest

from analysis.points.packaged import packaged_points


def test_the_regnets_of_pycls_are_there_whole():
    found = [p for p in packaged_points() if p.family in ("regnetx", "regnety")]
    assert Counter(p.family for p in found) == {"regnetx": 12, "regnety": 12}
    small = next(p for p in found if p.name == "RegNetX-200MF")
    assert (small.top1, small.error, small.params_m) == (68.912, 31.088, 2.684792)
    assert small.gflops == pytest.approx(0.199040872) and small.activations_m == pytest.approx(2.164056)
    assert all("pycls" in p.source and p.resolution == 224 for p in found)


def test_the_years_since_have_their_sources():
    found = {p.name: p for p in packaged_points() if p.family in ("overlock", "unireplknet")}
    assert len(found) == 10 and all("repository README" in p.source for p in found.values())
    assert (found["OverLoCK-T"].top1, found["OverLoCK-T"].gflops) == (84.2, 5.5)
