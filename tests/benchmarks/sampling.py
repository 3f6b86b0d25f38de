"""How many networks inside a budget a second are drawn, against drawing blindly until one is inside.

    python -m tests.benchmarks.sampling

Seconds of the processor. Architectures are drawn from a space that has built none before: its first networks
make their stages, later ones find more and more of them made.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from space.band import BandSampler
from space.budget import parse_budget
from space.columns import Array
from space.cost import cost_columns
from space.design_space import DesignSpace
from space.space_file import load_space, space_from
from tests.benchmarks.measuring import Row, flags, processor_seconds, report

BUDGETS = {
    "convnext": ("600MFLOPs", "4.5GFLOPs", "15GFLOPs", "28Mparams", "13Mactivations"),
    "micro": ("20MFLOPs", "60MFLOPs", "40kparams"),
    "roadmap": ("4.5GFLOPs", "28Mparams"),
    "per stage": ("4.5GFLOPs", "4.49GFLOPs..4.5GFLOPs", "30Mparams"),
}
# too many partial sums to sort: drawn through bins
PER_STAGE = {
    "name": "per stage",
    "axes": {
        "depth": {"integers": [1, 12], "per_stage": True},
        "width": {"log_integers": [24, 1024], "count": 20, "multiple_of": 8, "per_stage": True},
        "kernel_size": {"choices": [3, 5, 7, 9], "per_stage": True},
        "expansion": {"choices": [2, 3, 4, 6], "per_stage": True},
    },
}
BLIND_MOST = 500_000
FIRST = 2_000


def named_space(name: str) -> DesignSpace:
    return space_from(PER_STAGE, "space per stage") if name == "per stage" else load_space(name)


def inside(band: BandSampler, codes: Array) -> Array:
    """Which codes cost what the band allows."""
    costs = getattr(cost_columns(band.space.columns(codes)), band.budget.metric)
    return np.asarray((costs >= band.budget.low) & (costs <= band.budget.high))


def blind_rate(band: BandSampler, count: int) -> float:
    """In-band codes a second from uniform draws that are costed and kept if they are inside."""
    rng = np.random.default_rng(0)
    start, kept, drawn = time.process_time(), 0, 0
    while kept < count and drawn < BLIND_MOST:
        codes = band.space.sample_codes(min(count * 10, BLIND_MOST), rng)
        kept += int(inside(band, codes).sum())
        drawn += len(codes)
    return kept / (time.process_time() - start)


def build_rates(name: str, text: str, first: int, networks: int, repeats: int) -> tuple[float, float]:
    """Architectures a second: the first that a space makes, and those that follow."""
    times: list[tuple[float, float]] = []
    for seed in range(repeats):
        band = BandSampler(named_space(name), parse_budget(text))
        band.sample_codes(1, np.random.default_rng(0))  # what draws of codes alone prepare
        times.append(
            (
                processor_seconds(lambda: band.sample(first, seed=seed)),  # noqa: B023 - called at once
                processor_seconds(lambda: band.sample(networks, seed=100 + seed)),  # noqa: B023
            )
        )
    fresh, later = (min(kind) for kind in zip(*times, strict=True))
    return first / fresh, networks / later


def measure(name: str, text: str, codes_count: int, networks: int, repeats: int) -> Row:
    space, budget = named_space(name), parse_budget(text)
    start = time.process_time()
    band = BandSampler(space, budget)
    preparing = time.process_time() - start
    codes = band.sample_codes(codes_count, np.random.default_rng(0))
    if not inside(band, codes).all():
        raise ValueError(f"{name}: a draw outside {budget}")
    rng = np.random.default_rng(1)
    rate = codes_count / processor_seconds(lambda: band.sample_codes(codes_count, rng), repeats)
    first, later = build_rates(name, text, min(FIRST, networks), networks, repeats)
    blind = blind_rate(band, codes_count)
    return {
        "space": name,
        "budget": text,
        "in band": f"{band.count:,}"
        if band.count_is_exact
        else f"{band.count:.3g} +- {band.count_error:.1%}",
        "share": f"{band.count / space.size:.2%}",
        "seconds to prepare": preparing,
        "codes a second": rate,
        f"first {min(FIRST, networks):,} architectures a second": first,
        "later architectures a second": later,
        "blind codes a second": blind,
        "times blind": rate / blind if blind else "-",
    }


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Drawing networks inside a budget, against blind draws.", argv)
    if options.quick:
        rows = [measure("micro", "60MFLOPs", 100, 10, 1)]
    else:
        rows = [
            measure(name, text, 10_000, 20_000, 3) for name, budgets in BUDGETS.items() for text in budgets
        ]
    report("sampling inside a budget", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
