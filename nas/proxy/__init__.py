"""The short training under which networks are compared."""

from typing import TypeGuard


def is_simulated(name: object) -> TypeGuard[str]:
    """Whether a proxy of this name is a formula, under which nothing is trained."""
    return isinstance(name, str) and name.startswith("simulated")


OBJECTIVE = "objective:"


def is_objective(name: object) -> TypeGuard[str]:
    """Whether a proxy of this name is a user's own function, and its accuracies what that gave."""
    return isinstance(name, str) and name.startswith(OBJECTIVE)


def is_table(name: object) -> TypeGuard[str]:
    """Whether a proxy of this name is a table of what others trained."""
    return isinstance(name, str) and (name == "table" or name.startswith("table:"))
