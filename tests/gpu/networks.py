"""The networks, data and short trainings that the checks share; all by the product's own functions."""

from __future__ import annotations

from typing import Any

from nas.data import Data
from nas.proxy.proxy import Proxy
from nas.proxy.trainer import ProxyTraining
from nas.training.form import Form
from space.architecture import Architecture
from space.band import BandSampler
from space.budget import parse_budget
from space.networks import Network, named_network
from space.space_file import load_space
from tests.benchmarks.training_step import CLASSES, drawn
from tests.gpu.checks import Setting

TINY = Architecture.convnext((1, 1, 2, 1), (16, 32, 64, 128))
SMALLEST = Architecture.convnext((1, 1), (8, 16))
KNOWN = ("convnext_tiny", "convnextv2_atto", "resnet50", "swin_tiny")


def sample(setting: Setting, count: int) -> list[tuple[str, Network]]:
    """Published networks of every kind, then uniform draws in bands of spaces; or small ones."""
    if setting.dry:
        others = band("micro", "20MFLOPs..60MFLOPs", count - 2)
        return [("TINY", TINY), ("swin", small_swin()), *others]
    found: list[tuple[str, Network]] = [(name, named_network(name)) for name in KNOWN]
    left = count - len(found)
    found += band("convnext", "1GFLOPs..5GFLOPs", (left + 1) // 2)
    return found + band("roadmap", "1GFLOPs..5GFLOPs", left // 2)


def band(space: str, budget: str, count: int) -> list[tuple[str, Network]]:
    sampler = BandSampler(load_space(space), parse_budget(budget))
    return [(f"{space} {i}", network) for i, network in enumerate(sampler.sample(count, seed=0))]


def small_swin() -> Network:
    from space.swin import Swin

    return Swin(width=32, depths=(1, 1))


def usual(setting: Setting) -> Network:
    """ConvNeXt-T, or a network that a busy CPU trains in a second."""
    return setting.pick(named_network("convnext_tiny"), SMALLEST)


def training(
    network: Network,
    setting: Setting,
    *,
    resolution: int,
    batch: int,
    steps: int,
    epochs: int = 1000,
    form: Form | None = None,
    data: Data | None = None,
    **fields: Any,
) -> ProxyTraining:
    """A training whose epoch is `steps` batches of random pixels and the validation of one image."""
    values = {"layer_scale": 1.0, "stochastic_depth": 0.0, "lr": 1e-4, "warmup_epochs": 0.0} | fields
    proxy = Proxy(resolution=resolution, batch_size=batch, epochs=epochs, **values)
    pixels = drawn(batch * steps, resolution) if data is None else data
    return ProxyTraining(network, proxy, pixels, 0, setting.device, form)


def macs(network: Network, resolution: int) -> int:
    from space.networks import cost_of

    return int(cost_of(network, resolution, CLASSES).macs)
