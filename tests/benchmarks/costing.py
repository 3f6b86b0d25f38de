"""How many networks a second the closed form costs, against fvcore on the built module.

    python -m tests.benchmarks.costing

The counts of both are compared network by network before anything is timed. Seconds of the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from space.architecture import Architecture
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost, cost_columns, costs
from space.network import build
from space.space_file import load_space, shipped_spaces
from tests.benchmarks.measuring import Row, flags, processor_seconds, report

RESOLUTION = 224
CLASSES = 1000
# fvcore runs the network once, so what it takes depends on the network's size
BUDGETS = {"convnext": "4.5GFLOPs", "roadmap": "4.5GFLOPs", "micro": "60MFLOPs"}
ONE_BY_ONE = 500
OPERATORS = ("conv", "linear", "addmm", "matmul", "bmm")


def built(architecture: Architecture) -> nn.Module:
    return build(architecture, CLASSES).eval()


def fvcore_macs(model: nn.Module) -> int:
    image = torch.zeros(1, 3, RESOLUTION, RESOLUTION)
    analysis = FlopCountAnalysis(model, image)
    counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return round(sum(counts[operator] for operator in OPERATORS))


def measure(space_name: str, codes_count: int, networks: int, counted: int, repeats: int) -> list[Row]:
    """One row a way of counting, the slower ways on fewer of the networks; raises where two counts differ."""
    space = load_space(space_name)
    band = BandSampler(space, parse_budget(BUDGETS[space_name]))
    codes = band.sample_codes(codes_count, np.random.default_rng(0))
    architectures = space.build_all(codes[:networks])
    some = architectures[:ONE_BY_ONE]
    few = architectures[:counted]
    models = [built(architecture) for architecture in few]
    for architecture, model in zip(few, models, strict=True):
        ours, theirs = cost(architecture, RESOLUTION, CLASSES).macs, fvcore_macs(model)
        if ours != theirs:
            raise ValueError(f"{space_name}: {ours} and {theirs} for {architecture.to_json()}")
    ways: list[tuple[str, Callable[[], object], int, int]] = [
        ("closed form, from codes", lambda: cost_columns(space.columns(codes)), len(codes), repeats),
        ("closed form, from architectures", lambda: costs(architectures), len(architectures), repeats),
        ("closed form, one by one", lambda: [cost(a) for a in some], len(some), repeats),
        ("fvcore, on built modules", lambda: [fvcore_macs(model) for model in models], counted, 1),
        ("fvcore, building included", lambda: [fvcore_macs(built(a)) for a in few], counted, 1),
    ]
    seconds = {way: processor_seconds(work, times) / size for way, work, size, times in ways}
    slowest = seconds["fvcore, building included"]
    return [
        {
            "way": way,
            "space": space_name,
            "networks": size,
            "microseconds each": seconds[way] * 1e6,
            "networks a second": 1 / seconds[way],
            "times fvcore with building": slowest / seconds[way],
        }
        for way, _, size, _ in ways
    ]


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Costing networks in closed form, against fvcore.", argv)
    spaces = ["micro"] if options.quick else shipped_spaces()
    sizes = (200, 50, 2, 1) if options.quick else (200_000, 5_000, 6, 5)
    rows = [row for name in spaces for row in measure(name, *sizes)]
    checked = sizes[2] * len(spaces)
    report(f"costing; {checked} networks counted alike by both", rows, options.json)
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
