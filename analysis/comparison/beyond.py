"""Networks, and trainings, beyond what a law was fitted to: what it says of them, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from analysis.laws.answer import Answer, Estimate, in_percent
from space.words import plural


class WithError(Protocol):
    """A network or a training."""

    @property
    def name(self) -> str:
        """Of the network."""

    @property
    def error(self) -> float:
        """In percent."""


Point = TypeVar("Point", bound=WithError)


@dataclass(frozen=True)
class Held(Generic[Point]):
    """One beyond the fit, and the interval that the law has for one of its kind."""

    point: Point
    answer: Answer

    @property
    def inside(self) -> bool:
        """Whether the error is in the interval."""
        return self.answer.low <= self.point.error <= self.answer.high

    def words(self, at: str, what: str = "") -> str:
        """A line on the one `at` this cost."""
        word = "inside" if self.inside else "outside"
        return (
            f"  {self.point.name}, {at}: predicted {in_percent(self.answer, what)}; measured "
            f"{self.point.error:.2f}%, {word}."
        )


def tally(held: Iterable[Held[Point]], kind: str, level: float) -> Iterator[str]:
    """How many of those that the laws speak of are inside their intervals; nothing where there are none."""
    told = [one.inside for one in held if isinstance(one.answer, Estimate)]
    if told:
        yield (
            f"Beyond the fits {sum(told)} of {plural(len(told), kind)} are inside their intervals "
            f"({level:.0%} of one more {kind})."
        )
