"""The short training under which networks are compared."""

from typing import TypeGuard


def is_simulated(name: object) -> TypeGuard[str]:
    """Whether a proxy of this name is a formula, under which nothing is trained."""
    return isinstance(name, str) and name.startswith("simulated")


def is_table(name: object) -> TypeGuard[str]:
    """Whether a proxy of this name is a table of what others trained."""
    return isinstance(name, str) and (name == "table" or name.startswith("table:"))


def trains(name: object) -> bool:
    """Whether anything is trained under a proxy of this name."""
    return not is_simulated(name) and not is_table(name)
