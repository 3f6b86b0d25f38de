"""What a library's own class lacks of a network, by checks in an order: the first that fails is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from space.architecture import Architecture

Check = tuple[str, bool, str]  # an axis, whether it fits, and "what it is; what the class has"


def first_lacking(checks: Iterable[Check]) -> str | None:
    """The first axis that does not fit, "AXIS: what it is; what the class has", or None."""
    return next((f"{axis}: {reason}" for axis, fits, reason in checks if not fits), None)


def of_block(network: Architecture, block: Mapping[str, Any], whose: str) -> Iterator[Check]:
    """Checks of the fields that every block of a class has one value of."""
    for name, value in block.items():
        values = {getattr(stage, name) for stage in network.stages}
        yield name, values == {value}, f"{_words(values)}; {whose} has {_words({value})}"


def _words(values: set[Any]) -> str:
    return ", ".join(sorted(str(list(v) if isinstance(v, tuple) else v) for v in values))
