"""A trained network out of a checkpoint file: this project's own, or weights of a network that is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from space.networks import Network

RESOLUTION, CROP, INTERPOLATION = 224, 0.875, "bicubic"  # the recipe's, where a checkpoint has none
AVERAGES = ("model_ema", "state_dict_ema")  # the moving average's key: the official code's and ours, timm's
WEIGHTS = ("model", "state_dict")
HEADS = ("head.weight", "head.fc.weight", "classifier.weight")  # official and ours, timm, transformers


@dataclass(frozen=True)
class Weights:
    """A checkpoint's network with its weights loaded, and the images it was trained on."""

    network: Network
    model: nn.Module
    num_classes: int
    averaged: bool
    resolution: int
    crop: float
    interpolation: str


def read_weights(path: str | Path, name: str | None = None, ema: bool | None = None) -> Weights:
    """A checkpoint's network, built and loaded; `name` names it where the file does not.

    `ema` None takes the moving average where there is one. Raises `InputError`.
    """
    from space.checkpoints import read_values, unwrapped

    path = Path(path)
    values = read_values(path)
    network = _network_of(values, path, name)
    chosen, averaged = _chosen(values, path, ema)
    model, classes = _loaded(network, unwrapped(chosen, path), path)
    data = _mapping(_mapping(values).get("recipe")).get("data", {})
    return Weights(
        network,
        model,
        classes,
        averaged,
        data.get("resolution", RESOLUTION),
        data.get("eval_crop", CROP),
        data.get("interpolation", INTERPOLATION),
    )


def weights_of(
    network: Network, path: str | Path, num_classes: int | None = None, ema: bool | None = None
) -> dict[str, Tensor]:
    """The weights of `network` in a checkpoint, under our names; `ema` as in `read_weights`.

    `num_classes` None takes the head there is. Raises `InputError` for a file that cannot be read and for
    weights of another network or head.
    """
    from space.checkpoints import read_values, unwrapped

    path = Path(path)
    chosen, _ = _chosen(read_values(path), path, ema)
    model, _ = _loaded(network, unwrapped(chosen, path), path, num_classes)
    return model.state_dict()


def _loaded(
    network: Network, state: dict[str, Tensor], path: Path, num_classes: int | None = None
) -> tuple[nn.Module, int]:
    """The network with these weights, and its number of classes."""
    import torch

    from space.networks import build_network

    found = next((len(state[head]) for head in HEADS if head in state), None)
    classes = found if num_classes is None else num_classes
    if classes is None:
        raise InputError(f"{path}: no classifier among its weights ({', '.join(HEADS)})")
    with torch.random.fork_rng([]):  # the fresh weights are replaced
        model = build_network(network, classes)
    _load_into(model, state, network, path)
    return model, classes


def _mapping(values: Any) -> Mapping[str, Any]:
    return values if isinstance(values, Mapping) else {}


def _network_of(values: Any, path: Path, name: str | None) -> Network:
    """The network that the checkpoint holds or that `name` names, which must be one where both do."""
    from space.describe import read_network
    from space.networks import brief, network_from

    named = None if name is None else read_network(name)[1]
    held = None
    if isinstance(values, Mapping) and isinstance(values.get("architecture"), Mapping):
        try:
            held = network_from(values["architecture"])
        except InputError as error:
            raise InputError(f"{path}: architecture: {error}") from None
    if held is None and named is None:
        raise InputError(f"{path}: does not say which network its weights are of; --network NAME|FILE does")
    if held is not None and named is not None and held.fingerprint != named.fingerprint:
        raise InputError(f"--network {name}: is {brief(named)}; {path} holds {brief(held)}")
    found = held or named
    assert found is not None
    return found


def _chosen(values: Any, path: Path, ema: bool | None) -> tuple[Any, bool]:
    """The weights that are asked for in a checkpoint, and whether they are the moving average."""
    if not isinstance(values, Mapping):
        return values, False
    there = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    average = next((there[key] for key in AVERAGES if key in there), None)
    plain = next((there[key] for key in WEIGHTS if key in there), None)
    if ema and average is None:
        raise InputError(f"{path}: holds no moving average of the weights ({', '.join(AVERAGES)})")
    if average is not None and ema is not False:
        return average, True
    if plain is None and average is not None:
        raise InputError(f"{path}: holds nothing but the weights' moving average; leave out --no-ema")
    return (values if plain is None else plain), False


def _load_into(model: nn.Module, state: dict[str, Tensor], network: Network, path: Path) -> None:
    """The state dict, of any layout the network has, into `model`. Raises `InputError`."""
    from space.checkpoints import reader, refuse_shapes, some
    from space.swin import Swin

    expected = model.state_dict()
    try:
        if isinstance(network, Swin):  # has one layout only
            odd = sorted(set(expected) ^ set(state))
            if odd:
                raise InputError(f"the keys are not those of the network: {some(odd)}")
        else:
            state = reader(state)(state, network)
        refuse_shapes(state, expected)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    model.load_state_dict(state)
