"""The memory of a training as estimated, against what the allocator saw."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Iterator
from typing import Any

import torch

from nas.proxy.proxy import Proxy
from nas.recipe.memory import kept_bytes, memory_of
from nas.training.device import choose_precision
from nas.training.form import Form
from space.architecture import Architecture
from space.networks import cost_of
from tests.benchmarks.training_step import CLASSES
from tests.gpu.checks import Finding, Setting, held, measured
from tests.gpu.networks import sample, training

NETWORKS = 30
TARGET = 1.0, 1.1  # of what is measured


def estimate(setting: Setting) -> Iterator[Finding]:
    """`nas.recipe.memory` without its reserve, for a step of each network of a sample."""
    side, batch, count = setting.pick((128, 64, NETWORKS), (32, 8, 2))
    rows = [row(name, network, setting, side, batch) for name, network in sample(setting, count)]
    ratios = sorted(each["ratio"] for each in rows)
    low, high = TARGET
    said = (
        f"{len(rows)} networks: estimated / measured {ratios[0]:.2f} to {ratios[-1]:.2f}, "
        f"median {statistics.median(ratios):.2f}"
    )
    numbers = {each["name"]: each for each in rows}
    what = f"the estimate is {low:g} to {high:g} of the peak"
    if setting.dry:  # a CPU's allocator is another; what is kept is the same to about a third
        yield measured(what, said, **numbers)
    else:
        yield held(what, low <= ratios[0] and ratios[-1] <= high, said, target=True, **numbers)
    for kind in sorted({each["kind"] for each in rows}):
        own = [each for each in rows if each["kind"] == kind]
        found, has = [each["bytes an element"] for each in own], own[0]["kept_bytes"]
        where = f"{kind} ({own[0]['precision']}; it has {has:g})"
        advice = f"nas.recipe.memory.kept_bytes: {max(found):.2f} for {where}"
        said = f"{min(found):.2f} to {max(found):.2f} of {len(own)} networks; the estimate has {has:g}"
        yield measured(f"bytes kept of an element: {kind}", said, advice="" if setting.dry else advice)


def row(name: str, network: Any, setting: Setting, side: int, batch: int) -> dict[str, Any]:
    gc.collect()
    device = torch.device(setting.device)
    precision = choose_precision("auto", device)
    recipe = Proxy(resolution=side, batch_size=batch, stochastic_depth=0.0).recipe(network, CLASSES, batch)
    memory = memory_of(recipe, precision=precision)  # type: ignore[arg-type]
    estimated = memory.state + batch * memory.image
    peak = peak_of(network, setting, side, batch)
    saved = batch * cost_of(network, side, CLASSES).saved
    return {
        "name": name, "kind": kind_of(network), "precision": precision, "estimated": estimated,
        "measured": peak, "ratio": estimated / peak, "kept_bytes": kept_bytes(network, precision),
        "bytes an element": (peak - memory.state) / saved,
    }  # fmt: skip


def kind_of(network: Any) -> str:
    if not isinstance(network, Architecture):
        return "swin"
    return "grn" if any(stage.grn for stage in network.stages) else f"norm {network.norm}"


def peak_of(network: Any, setting: Setting, side: int, batch: int) -> int:
    """Bytes at the height of the second step of the product's own training."""
    if setting.dry:
        return allocated(lambda: training(network, setting, resolution=side, batch=batch, steps=2).epoch())
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    one = training(network, setting, resolution=side, batch=batch, steps=2, form=Form(read_every=50))
    torch.cuda.reset_peak_memory_stats()
    one.epoch()
    return torch.cuda.max_memory_allocated() - before


def allocated(work: Any) -> int:
    """Bytes that a CPU's allocator had handed out at the most, as its profiler tells."""
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        work()
    found = [each for each in profile.profiler.kineto_results.events() if each.name() == "[memory]"]
    most = now = 0
    for event in sorted(found, key=lambda each: each.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most
