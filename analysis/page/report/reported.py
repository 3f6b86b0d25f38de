"""A study as its report reads it: what is compared, what is best, and in which units."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.page.wording import COSTS, MISSING, Scale, finite, percent, plural
from nas.record.trial import Trial as Typed
from nas.verdict.confirm import Verdict, confirmed

Trial = Mapping[str, Any]

# Drawn epochs of all trials together; more would be invisible and make the file heavy.
CURVE_POINTS = 8_000


@dataclass(frozen=True)
class Reported:
    """The study with what the page derives from it."""

    study: Mapping[str, Any]

    def part(self, name: str) -> Mapping[str, Any]:
        """A mapping of the record, empty where there is none."""
        return self.study.get(name) or {}

    @cached_property
    def trials(self) -> list[Trial]:
        """The search's own; trainings that confirm it are a matter of their own."""
        return [_stopped(t) for t in self.study.get("trials") or [] if role_of(t) != "confirmation"]

    @cached_property
    def confirmations(self) -> list[Verdict]:
        """What fresh seeds say, a verdict a budget."""
        return confirmed(map(Typed.from_dict, self.study.get("trials") or []))

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials with a result at full fidelity: only these are compared."""
        return [t for t in self.trials if full_accuracy(t) is not None]

    @cached_property
    def candidates(self) -> list[Trial]:
        """Of the finished, what the search proposed."""
        return [t for t in self.finished if role_of(t) != "reference"]

    @cached_property
    def shortened(self) -> int:
        """How many trials have a result of fewer epochs."""
        return sum(accuracy_of(t) is not None for t in self.trials) - len(self.finished)

    @cached_property
    def best(self) -> Trial | None:
        """The best that was searched, also where a reference is better."""
        named = self._numbered("best")
        if named is not None and role_of(named) != "reference":
            return named
        return max(self.candidates, key=lambda t: accuracy_of(t) or 0.0, default=None)

    @cached_property
    def reference(self) -> Trial | None:
        """What the best is compared with."""
        return self._numbered("reference")

    @cached_property
    def other_references(self) -> list[Trial]:
        """Beside the first one, those with a result."""
        return [t for t in self.finished if role_of(t) == "reference" and t is not self.reference]

    def _numbered(self, role: str) -> Trial | None:
        number = self.study.get(role)
        return next((t for t in self.trials if number is not None and t.get("number") == number), None)

    @cached_property
    def metric(self) -> str:
        """The cost on the horizontal axis: the budget's, or FLOPs if the trials do not carry that one."""
        metric = self.part("budget").get("metric")
        return metric if metric in COSTS else "macs"

    @cached_property
    def band(self) -> tuple[float | None, float | None]:
        """The least and the largest cost of the budget, where the axis is of that cost."""
        budget = self.part("budget")
        if budget.get("metric", "macs") != self.metric:
            return None, None
        return finite(budget.get("low")), finite(budget.get("high"))

    @cached_property
    def scales(self) -> dict[str, Scale]:
        """The unit of each cost."""
        bands = {metric: self.band if metric == self.metric else () for metric in COSTS}
        return {m: Scale.of(m, [*(t.get(m) for t in self.trials), *band]) for m, band in bands.items()}

    @cached_property
    def curve_step(self) -> int:
        """One epoch in how many is drawn."""
        total = sum(len(t.get("curve") or []) for t in self.trials)
        return max(1, math.ceil(total / CURVE_POINTS))

    @cached_property
    def question(self) -> str:
        """What the study asked."""
        text = re.sub(r"(?<=\d)\s*(?=[A-Za-z])", " ", str(self.part("budget").get("text") or "this budget"))
        return f"Which {self.part('space').get('name') or 'ConvNeXt'} network is the most accurate at {text}?"

    @cached_property
    def data(self) -> str:
        """The data set that was trained on."""
        return str(self.part("proxy").get("data") or "proxy")


def _stopped(trial: Trial) -> Trial:
    """A training that stopped early, with its last accuracy; it is marked as not comparable."""
    if trial.get("state") != "paused" or not trial.get("curve"):
        return trial
    return {
        **trial,
        "state": "complete",
        "accuracy": trial["curve"][-1]["val_accuracy"],
        "full_fidelity": False,
    }


def accuracy_of(trial: Trial) -> float | None:
    """A fraction of 1; None without a result."""
    return reached(trial)


def label_of(trial: Trial) -> str:
    """For people."""
    return str(trial.get("name") or f"Trial {trial.get('number')}")


def network_of(trial: Trial) -> Mapping[str, Any]:
    """The architecture as recorded."""
    return trial.get("architecture") or {}


def kind_of(view: Reported, trial: Trial) -> str:
    """What it is drawn as: the best, a reference, a candidate, short of epochs, or failed."""
    if accuracy_of(trial) is None:
        return "failed"
    if not in_full(trial):
        return "short"
    if trial is view.best:
        return "best"
    return "reference" if trial is view.reference or role_of(trial) == "reference" else "candidate"


def network_facts(view: Reported, trial: Trial) -> list[tuple[str, str]]:
    """Accuracy and costs, as names and texts."""
    costs = [("FLOPs", view.scales["macs"].text(trial.get("macs")))]
    for metric in ("params", "activations"):
        scale = view.scales[metric]
        costs.append((COSTS[metric].capitalize(), f"{scale.number(trial.get(metric))} {scale.prefix}"))
    epochs = plural(int(trial.get("fidelity") or 0), "epoch")
    accuracy = MISSING if accuracy_of(trial) is None else f"{percent(accuracy_of(trial))} after {epochs}"
    return [("Proxy accuracy", accuracy), *costs]


def role_of(trial: Mapping[str, Any]) -> str:
    """`candidate`, `reference` or `confirmation`, as the record has it."""
    return str(trial.get("role") or "candidate")


def reached(trial: Mapping[str, Any]) -> float | None:
    """The top-1 fraction of a trial that is complete, at whatever fidelity; None without one."""
    accuracy = trial.get("accuracy")
    if trial.get("state") != "complete" or not isinstance(accuracy, int | float):
        return None
    return float(accuracy) if math.isfinite(accuracy) else None


def in_full(trial: Mapping[str, Any]) -> bool:
    """Whether a trial was trained at full fidelity; where the record does not say so, it was not."""
    return bool(trial.get("full_fidelity"))


def full_accuracy(trial: Mapping[str, Any]) -> float | None:
    """The top-1 fraction that fronts, fits and rankings take: reached at full fidelity; None without one."""
    return reached(trial) if in_full(trial) else None
