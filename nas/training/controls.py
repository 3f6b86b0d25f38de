"""Networks that a recipe's network is compared with: trained by the same recipe, with the same seeds."""

from __future__ import annotations

import math
from dataclasses import replace

from nas.recipe.recipe import Recipe
from space.describe import read_network
from space.errors import InputError, word
from space.networks import Network, cost_of, named_network
from space.references import CONVNEXTS, RESNETS
from space.swin import PUBLISHED as SWINS
from space.swin import Swin

NEAREST = {"nearest": CONVNEXTS, "swin": SWINS, "resnet": RESNETS}


def control(text: str, network: Network) -> tuple[str, Network]:
    """Name and value of a control: a network's name, a file, or the published one nearest in FLOPs.

    `nearest` is a ConvNeXt, `swin` and `resnet` are of those families. Raises `InputError`.
    """
    if text in NEAREST:
        target = math.log(cost_of(network).macs)
        name = min(NEAREST[text], key=lambda each: abs(math.log(cost_of(named_network(each)).macs) - target))
        found = name, named_network(name)
    else:
        try:
            found = read_network(text)
        except InputError as error:
            raise InputError(f"--control {word(text)}: {error}; or {', '.join(NEAREST)}") from None
    if replace(found[1], drop_path=network.drop_path).fingerprint == network.fingerprint:
        raise InputError(f"--control {word(text)}: is the recipe's own network")
    return found


def trained_alike(recipe: Recipe, network: Network) -> Recipe:
    """The recipe with another network in it, at the same stochastic depth."""
    other = replace(network, drop_path=recipe.network.drop_path)
    fields = (
        {"optimizer": {"layer_decay": None}} if isinstance(network, Swin) else {}
    )  # Swin has no rule for it
    return recipe.changed(architecture=other.to_dict(), **fields)
