"""All published points of this package: printed tables of papers and READMEs, and the 24 RegNets of pycls."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from analysis.points.own import read_results
from analysis.points.printed import PLANE, PublishedPoint, published_points

REGNET = "data/regnet.csv"


def packaged_points() -> tuple[PublishedPoint, ...]:
    """Every packaged point, on planes of their own."""
    with resources.as_file(resources.files("analysis").joinpath(REGNET)) as path:
        return (*published_points(pool=PLANE), *read_results(Path(path)))
