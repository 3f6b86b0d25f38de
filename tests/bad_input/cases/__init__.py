"""All inputs, by the noun that is wrong."""

from __future__ import annotations

from functools import cache

from tests.bad_input.case import Case
from tests.bad_input.cases import checkpoints, environments, files, flags, folders, studies, tables, trainings


@cache
def all_cases() -> tuple[Case, ...]:
    """Every input, in order."""
    modules = (flags, files, folders, checkpoints, studies, tables, trainings, environments)
    return tuple(case for module in modules for case in module.cases())
