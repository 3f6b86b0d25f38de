"""What every export target takes and gives, as values, and the two ways in which it says no."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from nas.data.class_names import FILE, class_file
from space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.recipe.recipe import Recipe
    from space.architecture import Architecture

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's, as the recipe normalises


@dataclass(frozen=True)
class Chosen:
    """The network to export."""

    network: Architecture
    name: str
    """A Python identifier that no library's own network has: it goes into timm's registry."""
    title: str
    """The network in human words, one line."""
    recipe: Recipe
    weights: Mapping[str, Tensor] | None = None
    """A state dict under the names of `space.network`; None: no weights, the file starts from random ones."""
    folders: bool = False
    """Whether `classes` are known to be the names of the data set's folders."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes' names by label, each one line and unlike the others; None: not known."""
        return self.recipe.data.classes

    @property
    def class_file(self) -> dict[str, str]:
        """The file of the classes' names; none where they are not known."""
        return {} if self.classes is None else {FILE: class_file(self.classes)}

    @property
    def layer_scale(self) -> float | None:
        """LayerScale's start value: the network's, or the recipe's in its place; None: no LayerScale."""
        own, start = self.network.layer_scale, self.recipe.layer_scale
        return own if own is None or start == "architecture" else float(start)


@dataclass(frozen=True)
class Check:
    """The target's own form of the network, built by its own library and compared with the original."""

    library: str
    """What built and ran it, with its version: "onnxruntime 1.23.0"."""
    params: int
    """Parameters of the target's form, counted there; equal to the original's to the unit."""
    macs: int | None
    """Multiply-accumulates of the target's form, counted there at the recipe's resolution; None: no graph."""
    difference: float
    """The largest |logit difference| to the original, same weights and images."""
    tolerance: float
    """What `difference` stayed below: a share of the original's largest |logit|, in logits."""
    largest: float
    """The original's largest |logit|."""
    images: str
    """What was run: "2 of 224x224"."""


@dataclass(frozen=True)
class Exported:
    """Files that express the network in a target's own terms, and what is known of them."""

    files: Mapping[str, str | bytes]
    """Content by name, relative to the target's folder."""
    check: Check | None
    """None: the library that would build it is not here, or cannot be used; `unverified` says why."""
    verify: str
    """The command that verifies the files, run in the target's folder."""
    commands: tuple[str, ...]
    """The exact commands that train or use it, run in the target's folder."""
    notes: tuple[str, ...] = ()
    """What a user must know before relying on it, a sentence each."""
    unverified: str = ""
    """Why there is no check: "timm is not installed"."""


class Refused(InputError):  # noqa: N818 - what happened, not a fault
    """The target cannot express the network: "AXIS: what it is; what the target has"."""


class Mismatch(Exception):  # noqa: N818 - as above
    """A form whose parameters, MACs or logits differ from the original's: it may not be written."""


class Target(Protocol):
    """What each module of `nas.targets` that is a target has."""

    NAME: str
    SUMMARY: str

    def lacks(self, network: Architecture) -> str | None:
        """The first axis that the target cannot express, "AXIS: what it is; what the target has", or None."""

    def export(self, chosen: Chosen) -> Exported:
        """The network in the target's terms. Raises `Refused`, or `Mismatch` where its check fails."""
