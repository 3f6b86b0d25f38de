"""One training of a study, as the record has it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast

from space.errors import printable
from space.networks import is_swin

State = Literal["running", "paused", "interrupted", "complete", "failed"]
Role = Literal["candidate", "reference", "confirmation"]

FAMILIES = ("ConvNeXt", "Swin", "ResNet")
SEARCHED = "searched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A network, why it is trained, and how far it came. Nothing outside the record knows another form.

    Costs are counts at 224x224; accuracies top-1 fractions; times seconds, moments ISO 8601. `curve` has a
    point an epoch, as `nas.training.result.Epoch`. What a trial has not come to is None.
    """

    # what is trained, known when it begins
    role: Role = "candidate"
    name: str | None = None
    architecture: Mapping[str, Any]
    fingerprint: str
    macs: int
    params: int
    activations: int
    seed: int
    budget: str | None = None  # the text of the budget it was proposed for
    driver: int | None = None  # which search trains it, where several share the study
    memo: Mapping[str, Any] | None = None  # the sampler's own
    of: int | None = None  # a confirmation: the trial whose network is trained again
    # how far it came
    target: int = 0  # epochs to reach; 0 in a study of format 1, which does not say
    fidelity: int = 0  # epochs trained
    full_fidelity: bool = False
    paused: bool = False
    accuracy: float | None = None
    curve: Sequence[Mapping[str, Any]] = ()
    train_seconds: float | None = None
    images_per_second: float | None = None
    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    trained: Mapping[str, Any] | None = None  # by a proxy that reduces: the network trained in its place
    reason: str | None = None  # of a failure
    order: int | None = None  # of ending
    attempts: int | None = None  # how often it was begun since it last came further
    mark: int | None = None  # when its checkpoint was last written
    # by Optuna
    number: int
    state: State
    choices: Mapping[str, Any]  # parameters in the space; empty for a network that is none of it
    started: str | None = None
    ended: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """The trial of plain values: of a study's JSON. What is None or missing has its default."""
        known = {name: values[name] for name in FIELDS if values.get(name) is not None}
        return cls(**{"choices": {}, **known})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the curve's points included."""
        return {name: getattr(self, name) for name in FIELDS} | {"curve": list(self.curve)}

    def changed(self, **values: Any) -> Trial:
        """The trial as it goes on."""
        return replace(self, **values)

    @property
    def over(self) -> bool:
        """Complete or failed: it does not change any more."""
        return self.state in ("complete", "failed")

    @property
    def is_candidate(self) -> bool:
        """The search proposed it."""
        return self.role == "candidate"

    @property
    def is_reference(self) -> bool:
        """A published network, to compare with."""
        return self.role == "reference"

    @property
    def is_confirmation(self) -> bool:
        """A training again of trial `of`, with a seed that no choice was made by."""
        return self.role == "confirmation"

    @property
    def is_swin(self) -> bool:
        """Whether the network is a Swin, which is compared with and never recommended."""
        return is_swin(self.architecture)

    @property
    def is_simulated(self) -> bool:
        """Whether a formula gave its accuracies and its times: nothing was trained, no clock ran."""
        return self.device == "simulated"

    @property
    def reached(self) -> float | None:
        """The accuracy of a complete trial, at whatever fidelity; None without one."""
        accuracy = self.accuracy
        if self.state != "complete" or accuracy is None or not math.isfinite(accuracy):
            return None
        return float(accuracy)

    @property
    def full_accuracy(self) -> float | None:
        """The accuracy that fronts, fits and rankings take: reached at full fidelity; None without one."""
        return self.reached if self.full_fidelity else None

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy after each epoch."""
        return [point["val_accuracy"] for point in self.curve]

    @property
    def last_accuracy(self) -> float | None:
        """What it reached, or has reached so far."""
        if self.accuracy is None and self.curve:
            return cast("float", self.curve[-1]["val_accuracy"])
        return self.accuracy

    @property
    def family(self) -> str:
        """The family of a reference, by what it is and is called; else `searched`."""
        if not self.is_reference:
            return SEARCHED
        if self.is_swin:
            return "Swin"
        name = self.shown_name or "other"
        if name.startswith("roadmap_"):
            return "roadmap"
        return next((family for family in FAMILIES if name.lower().startswith(family.lower())), name)

    @property
    def shown_name(self) -> str | None:
        """Its name as one line that every terminal can show."""
        return None if self.name is None else printable(str(self.name))

    @property
    def label(self) -> str:
        """For people."""
        return self.shown_name or f"trial {self.number}"


FIELDS = tuple(field.name for field in fields(Trial))
# what a study stores of a trial, in two of its attributes: known when it begins, and as it goes on
# (by place: where a field stands in the class says which of the two has it)
NETWORK = FIELDS[: FIELDS.index("target")]
RESULT = FIELDS[FIELDS.index("target") : FIELDS.index("number")]
