"""A trained network out of a checkpoint file: this project's own, or weights of a network that is named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.errors import InputError, quoted, some

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.recipe.recipe import DataSpec
    from space.checkpoints import Read
    from space.networks import Network

RECIPES = (".yaml", ".yml")
OWN = ("model", "model_ema")  # the keys of the weights and of their moving average in our checkpoints
BEST = "best_weights"  # and that of which of the two was the better one


@dataclass(frozen=True)
class Weights:
    """A checkpoint's network with its weights loaded, and the images it was trained on.

    `classes` are their names by label, None where the file keeps none; `which` says in words which weights
    these are, `notes` what of the file was left out, in lines. `told`: the images are known to be as in its
    training, not the published recipe's for want of anything better.
    """

    network: Network
    model: nn.Module
    num_classes: int
    averaged: bool
    resolution: int
    crop: float
    interpolation: str
    classes: tuple[str, ...] | None
    which: str
    notes: tuple[str, ...]
    told: bool = True


@dataclass(frozen=True)
class Start:
    """A checkpoint's weights under our names, to start a training from, and the names of its classes.

    `notes` say in lines what was taken and what was not, `facts` in plain values, for the record.
    """

    state: dict[str, Tensor]
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]
    facts: Mapping[str, Any]


def read_weights(
    path: str | Path,
    name: str | None = None,
    ema: bool | None = None,
    *,
    network: Network | None = None,
) -> Weights:
    """A checkpoint's network, built and loaded; `name` names it where the file does not, or it is `network`.

    `ema` None takes the weights that the file says were the better ones, else the moving average where there
    is one. The images are as in the checkpoint's recipe, else as in `name` where that is a recipe's file.
    Raises `InputError` for a file that cannot be read and for weights of another network.
    """
    from space.weight_files import read_values, unwrapped

    path = Path(path)
    values = read_values(path)
    if network is None:
        network = _network_of(values, path, name)
    chosen, averaged, which = _chosen(values, path, ema)
    state = unwrapped(chosen, path)
    model, read = _loaded(network, state, path)
    data, told = _data_of(values, path, name)
    classes = len(read.state["head.weight"])
    return Weights(
        network,
        model,
        classes,
        averaged,
        data.resolution,
        data.eval_crop,
        data.interpolation,
        _classes_of(values, path, classes),
        which,
        _left_out(read),
        told,
    )


def start_from(network: Network, path: str | Path) -> Start:
    """The weights in a checkpoint, to start from: chosen as in `read_weights`; a network without its
    classifier, or its last norm, will do. Of another ConvNeXt what fits is taken (`space.transfer`). Raises
    `InputError`."""
    from space.checkpoints import read
    from space.weight_files import read_values, unwrapped

    path = Path(path)
    values = read_values(path)
    chosen, _, which = _chosen(values, path, None)
    state = unwrapped(chosen, path)
    notes = [f"starts from its {which}"]
    try:
        try:
            found = read(state, network, head=False)
            _refuse_shapes(found, network)
            taken = _whole(found, network)
        except InputError as mismatch:
            found, taken = _of_another(state, network, mismatch)
            notes.append(_said(taken))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    notes += _left_out(found)
    if found.missing:
        notes.append(f"without {', '.join(found.missing)}, which start afresh")
    head = found.state.get("head.weight")
    classes = None if head is None else _classes_of(values, path, len(head))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    data, told = _data_of(values, path, None)
    seen = {"resolution": data.resolution if told else None}
    facts = {"file": path.name, "sha256": digest, "weights": which, **seen, **taken}
    return Start(found.state, classes, tuple(notes), facts)


def _whole(found: Read, network: Network) -> dict[str, Any]:
    """How much is taken of the network's own weights: all that is there."""
    import torch

    from space.networks import brief, build_network

    with torch.device("meta"):
        fresh = build_network(network, 1).state_dict()
    taken = sum(value.numel() for name, value in found.state.items() if not name.startswith("head."))
    missing = sum(fresh[name].numel() for name in found.missing if not name.startswith("head."))
    parameters = taken + missing
    return {"network": brief(network), "taken": taken, "parameters": parameters, "sliced": 0, "padded": 0}


def _of_another(
    state: dict[str, Tensor], network: Network, mismatch: InputError
) -> tuple[Read, dict[str, Any]]:
    """What fits of another ConvNeXt's weights, and how much that is; raises `mismatch` for no ConvNeXt's."""
    from space.checkpoints import Read, read
    from space.networks import brief
    from space.swin import Swin
    from space.transfer import architecture_of, transferred

    source = architecture_of(state)
    if source is None or isinstance(network, Swin):
        raise mismatch
    own = read(state, source, head=False)
    found = transferred(own.state, source, network)
    taken = {"network": brief(source)} | {
        name: getattr(found, name) for name in ("taken", "parameters", "sliced", "padded")
    }
    return Read(found.state, own.left_out, own.missing), taken


def _said(taken: Mapping[str, Any]) -> str:
    """How much of another network's weights is taken."""
    share = taken["taken"] / taken["parameters"]
    return (
        f"of another network, {taken['network']}: {taken['taken']:,} of {taken['parameters']:,} parameters "
        f"below the head are taken from it ({share:.0%}); of its tensors {taken['sliced']} sliced, "
        f"{taken['padded']} padded"
    )


def _loaded(network: Network, state: dict[str, Tensor], path: Path) -> tuple[nn.Module, Read]:
    """The network with these weights; built only where they are its own."""
    import torch

    from space.checkpoints import HEADS, read
    from space.networks import build_network

    try:
        found = read(state, network, head=False)
        if found.missing:
            what = f"holds no classifier ({', '.join(HEADS)})" if "head.weight" in found.missing else (
                f"lacks {', '.join(found.missing)}")  # fmt: skip
            raise InputError(f"{what}; nas.train --init can start from it")
        _refuse_shapes(found, network)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    with torch.random.fork_rng([]):  # the fresh weights are replaced
        model = build_network(network, len(found.state["head.weight"]))
    model.load_state_dict(found.state, strict=False)  # what is computed is there
    return model, found


def _refuse_shapes(found: Read, network: Network) -> None:
    """Raises `InputError` for other shapes than the network's, with a head of any size."""
    import torch

    from space.checkpoints import refuse_shapes
    from space.networks import build_network

    head = found.state.get("head.weight")
    num_classes = 1 if head is None or head.dim() == 0 else max(1, len(head))
    with torch.device("meta"):  # a head of any size costs nothing
        expected = build_network(network, num_classes).state_dict()
    refuse_shapes(found.state, expected)


def _left_out(found: Read) -> tuple[str, ...]:
    if not found.left_out:
        return ()
    return (f"left out, as they are computed: {some(found.left_out)}",)


def _mapping(values: Any) -> Mapping[str, Any]:
    return values if isinstance(values, Mapping) else {}


def _data_of(values: Any, path: Path, name: str | None) -> tuple[DataSpec, bool]:
    """The images of the checkpoint's recipe, else of the recipe in the file `name`, else the published one's;
    whether it was either of the first two."""
    from nas.recipe.recipe import data_from
    from space.describe import is_file
    from space.reading import read_values

    where = f"{path}: recipe"
    recipe = _mapping(_mapping(values).get("recipe"))
    if "data" not in recipe and name is not None and Path(name).suffix in RECIPES and is_file(name):
        recipe, where = _mapping(read_values(Path(name), name)), name
    return data_from(recipe.get("data", {}), f"{where}: data"), "data" in recipe


def _classes_of(values: Any, path: Path, count: int) -> tuple[str, ...] | None:
    """The names of the classes, by label, where the checkpoint keeps them."""
    names = _mapping(values).get("classes")
    if names is None:
        return None
    whole = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    if not whole or len(names) != count or len(set(names)) != count:
        raise InputError(f"{path}: classes: must be {count} different names, not {quoted(names)}")
    return tuple(names)


def _network_of(values: Any, path: Path, name: str | None) -> Network:
    """The network that the checkpoint holds or that `name` names, which must be one where both do."""
    from space.describe import read_network
    from space.networks import brief, network_from

    named = None if name is None else read_network(name)[1]
    held = None
    if isinstance(values, Mapping) and isinstance(values.get("architecture"), Mapping):
        try:
            held = network_from(values["architecture"])
        except (InputError, TypeError, ValueError, RuntimeError) as error:  # any values may be there
            raise InputError(f"{path}: architecture: {error}") from None
    if held is None and named is None:
        raise InputError(f"{path}: does not say which network its weights are of; --network NAME|FILE does")
    if held is not None and named is not None and held.fingerprint != named.fingerprint:
        raise InputError(f"--network {name}: is {brief(named)}; {path} holds {brief(held)}")
    found = held or named
    assert found is not None
    return found


def _chosen(values: Any, path: Path, ema: bool | None) -> tuple[Any, bool, str]:
    """The weights to use in a checkpoint, whether they are the moving average, and which they are, said."""
    from space.weight_files import AVERAGES, WEIGHTS

    if not isinstance(values, Mapping):
        return values, False, "weights"
    there = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    average = next((there[key] for key in AVERAGES if key in there), None)
    plain = next((there[key] for key in WEIGHTS if key in there), None)
    if ema and average is None:
        raise InputError(f"{path}: holds no moving average of the weights ({', '.join(AVERAGES)})")
    if average is None:
        return (values if plain is None else plain), False, "weights"
    if plain is None:
        if ema is False:
            raise InputError(f"{path}: holds nothing but the weights' moving average; leave out --no-ema")
        return average, True, "moving average of the weights, all there is"
    # from here on both are there
    best = _best(values)
    averaged = best != OWN[0] if ema is None else ema
    name = "moving average of the weights" if averaged else "weights"
    if ema is not None or best is None:
        return (average if averaged else plain), averaged, name
    other = "better than the weights" if averaged else "better than their moving average"
    return (average if averaged else plain), averaged, f"{name}, {other} after epoch {values.get('epoch')}"


def _best(values: Mapping[str, Any]) -> str | None:
    """Which weights of the two the checkpoint says were the better ones; None where it does not."""
    if values.get(BEST) in OWN:
        return str(values[BEST])
    own, average = values.get("val_accuracy"), values.get("ema_accuracy")  # of older checkpoints of ours
    if isinstance(own, float) and isinstance(average, float):
        return better(own, average)
    return None


def better(val_accuracy: float, ema_accuracy: float | None) -> str:
    """The key in a checkpoint of the weights with the better top-1; of equals the average's."""
    return OWN[ema_accuracy is not None and ema_accuracy >= val_accuracy]
