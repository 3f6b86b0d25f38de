"""Networks of any family as one kind of value: an `Architecture`, or the `Swin` it is compared with.

A record may also have networks of which only a table tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from space.architecture import Architecture
from space.cost import NUM_CLASSES, RESOLUTION, Cost, Part, breakdown, cost
from space.errors import InputError, printable
from space.families import NAMES, canonical, named
from space.swin import SWIN_NAMES, Swin, named_swin, swin_breakdown, swin_cost
from space.tabled import FAMILY, Tabled

if TYPE_CHECKING:
    from space.network import ConvNet
    from space.swin_network import SwinNetwork

Network = Architecture | Swin
Recorded = Network | Tabled


def is_swin(values: Mapping[str, Any]) -> bool:
    """Whether plain values are a Swin's, not an `Architecture`'s."""
    return values.get("family") == "swin"


def is_tabled(values: Mapping[str, Any]) -> bool:
    """Whether plain values are those of a network of a table."""
    return values.get("family") == FAMILY


def network_from(values: Mapping[str, Any]) -> Network:
    """The network of plain values, as its `to_dict` gives them. Raises `InputError`."""
    if isinstance(values, Mapping) and is_swin(values):
        return Swin.from_dict(values)
    return Architecture.from_dict(values)


def recorded_from(values: Mapping[str, Any]) -> Recorded:
    """The network of a trial's plain values. Raises `InputError`."""
    if isinstance(values, Mapping) and is_tabled(values):
        return Tabled.from_dict(values)
    return network_from(values)


def buildable(network: Recorded) -> Network:
    """The network where it can be built. Raises `InputError`."""
    if isinstance(network, Tabled):
        raise InputError("a network of a table, which says nothing of how to build it")
    return network


def named_network(name: str) -> Network:
    """The network of that name, of any family. Raises `InputError` with the closest names."""
    return named_swin(name) if canonical(name).lower().startswith("swin") else named(name)


def is_name(text: str) -> bool:
    """Whether a network has this name, in this program or elsewhere."""
    return canonical(text) in {*NAMES, *SWIN_NAMES}


def cost_of(network: Recorded, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> Cost:
    """Cost at `resolution` x `resolution`. Raises `InputError` where that is too small."""
    if isinstance(network, Swin):
        return swin_cost(network, resolution, num_classes)
    if isinstance(network, Tabled):
        return Cost(network.macs, network.params, network.activations, saved=0)
    return cost(network, resolution, num_classes)


def parts_of(network: Recorded, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> list[Part]:
    """Cost part by part, in the order of computation."""
    if isinstance(network, Swin):
        return swin_breakdown(network, resolution, num_classes)
    if isinstance(network, Tabled):
        return [Part("network", 0, resolution, cost_of(network))]
    return breakdown(network, resolution, num_classes)


def build_network(network: Network, num_classes: int = NUM_CLASSES) -> ConvNet | SwinNetwork:
    """The network as a module: images [N, 3, H, W] -> logits [N, num_classes]."""
    if isinstance(network, Swin):
        from space.swin_network import build_swin

        return build_swin(network, num_classes)
    from space.network import build

    return build(network, num_classes)


def titled(name: str | None, network: Recorded) -> str:
    """A network in one line, after its name where it has one."""
    return f"{name}: {brief(network)}" if name else brief(network)


def brief(network: Recorded) -> str:
    """A network in one line: depths, widths, then kernel, expansion, norm and activation, or windows."""
    if isinstance(network, Swin):
        depths, widths = (
            "-".join(str(value) for value in values) for values in (network.depths, network.widths)
        )
        return f"{depths} {widths} window {network.window}"
    if isinstance(network, Tabled):
        return " ".join(f"{name} {value}" for name, value in chosen(network.choices))
    stages = network.stages
    parts = [
        "-".join(str(stage.depth) for stage in stages),
        "-".join(str(stage.width) for stage in stages),
        "k" + _joined([stage.kernel_size for stage in stages]),
        "e" + _joined([stage.expansion for stage in stages]),
        network.norm,
        network.activation,
    ]
    return " ".join(parts)


def convnet(network: Recorded, where: str) -> Architecture:
    """The network where it is of the ConvNeXt family. Raises `InputError` that starts with `where`."""
    if isinstance(network, Swin):
        raise InputError(f"{where}: a Swin Transformer, trained to compare with; this needs a ConvNet")
    if isinstance(network, Tabled):
        raise InputError(f"{where}: a network of a table, which says nothing of how to build it")
    return network


def chosen(choices: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A table's choices for people: `layer`, `0-2-0-1` of an axis in parts; `width`, `64` of another."""
    parts: dict[str, list[str]] = {}
    for axis, value in choices.items():
        name, dot, place = axis.rpartition(".")
        parts.setdefault(name if dot and place.isdecimal() else axis, []).append(printable(str(value)))
    return [(name, "-".join(values)) for name, values in parts.items()]


def _joined(values: Sequence[float]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "-".join(map(str, values))
