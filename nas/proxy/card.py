"""A proxy's card: what its order was found to agree with, how far, and where that was measured.

`nas/proxies/cards/` has one for each preset, with the numbers of `python -m analysis.agreement`. A card is of
one proxy on one data set: another value is another order, never measured; of other images the card says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nas.data.sources.registry import is_users
from nas.proxy import is_objective, is_simulated, is_table
from nas.proxy.proxy import PRESETS
from nas.recipe.mistakes import validated
from space.reading import parse_yaml
from space.words import listed

# of a proxy as a study has it; the training loop's version is in the fingerprint, and does not count here
UNBOUND = ("name", "fingerprint", "data", "device")
# of the images: what else a proxy for other ones may have changed, being still the same proxy
OF_IMAGES = ("num_classes", "train_size", "val_size", "data_seed")
NEVER = "order under this proxy was never measured against ImageNet's: python -m analysis.agreement does"

Correlation = Annotated[float, Field(ge=-1, le=1)]


class Tau(BaseModel):
    """Kendall's tau with the ends of its 90% interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Correlation
    low: Correlation
    high: Correlation

    def __str__(self) -> str:
        return f"{self.value:+.2f} (90% {self.low:+.2f} to {self.high:+.2f})"


class Measured(BaseModel):
    """One measurement of the order: against what, over which networks, and what came out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conditions: str  # of proxy and data, see `conditions`
    values: str = ""  # of the proxy alone, see `values_of`
    images: str = ""  # what was trained on, for people
    against: Literal["ImageNet"]
    over: str  # the networks, for people
    study: str
    networks: int
    seeds: int
    tau: Tau
    also: dict[str, Tau] = {}  # over other networks
    within: dict[str, Tau] = {}  # groups of these networks
    equal_flops: Tau | None = None  # over pairs within 5% of FLOPs
    params: Tau | None = None  # of accuracy with parameters, over such pairs; ImageNet's is +.49 to +.60
    activations: Tau | None = None

    @property
    def line(self) -> str:
        """For people; an order that says nothing within a group is not passed over."""
        what = f"order under this proxy agrees with {self.against}'s"
        known = f"{what} at" if self.tau.low > 0 else f"whether {what} cannot be told:"
        said = f"{known} tau {self.tau}, measured on {self.over}"
        if self.images:
            said += f", {self.images}"
        for over, tau in self.also.items():
            said += f"; over {over} {'it is the reverse: ' * (tau.high < 0)}tau {tau}"
        if self.tau.low <= 0:
            return said
        unclear = [name for name, tau in self.within.items() if tau.low <= 0 <= tau.high]
        return f"{said}; within {listed(unclear)} no agreement can be told" if unclear else said


class Card(BaseModel):
    """A preset's card; None where its order was never measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured: Measured | None


@cache
def load_card(preset: str) -> Card:
    """The card that is packaged with the preset."""
    where = f"card {preset}"
    text = (resources.files("nas") / "proxies" / "cards" / f"{preset}.yaml").read_text(encoding="utf-8")
    return validated(Card, parse_yaml(text, where), where)


def conditions(proxy: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """16 hex digits over what the order depends on: a study's proxy, as it is recorded, and its pixels."""
    return _digest(proxy, UNBOUND, pixels=data.get("fingerprint"))


def values_of(proxy: Mapping[str, Any]) -> str:
    """16 hex digits over a study's proxy without what follows from its images."""
    return _digest(proxy, (*UNBOUND, *OF_IMAGES))


def _digest(proxy: Mapping[str, Any], unbound: Collection[str], **more: Any) -> str:
    values = {name: value for name, value in proxy.items() if name not in unbound}
    return hashlib.sha256(json.dumps(values | more, sort_keys=True).encode()).hexdigest()[:16]


def card_line(proxy: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """What a study asks and what is known of the order under its proxy; None where nothing is trained."""
    name = proxy.get("name")
    if is_simulated(name) or is_objective(name) or is_table(name):
        return None
    return f"{question(proxy)}; {known_order(proxy, data)}"


def question(proxy: Mapping[str, Any]) -> str:
    """Of the two that a short training can be asked, the one that a study asks."""
    if proxy.get("name") == "imagenet-subset":
        return "asks which network is best on ImageNet, by short trainings on a part of it"
    if is_users(str(proxy.get("data", ""))):
        return "asks which network is best for these images, by short trainings on them"
    return "asks which network is best on ImageNet, by short trainings on other images"


def known_order(proxy: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """What is known of the order under a study's proxy, in a line."""
    own, values = conditions(proxy, data), values_of(proxy)
    cards = [card for preset in PRESETS if (card := load_card(preset).measured) is not None]
    for card in cards:
        if card.conditions == own:
            return card.line
    elsewhere = (card.line for card in cards if card.values == values)
    return next((f"{line}; on these images it was not measured" for line in elsewhere), NEVER)
