"""What became of one target of an export: its files, checked, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.targets import load_target, option_lacking
from nas.targets.library import BROKEN, said
from nas.targets.target import Chosen, Exported, Mismatch, Refused
from space.errors import InputError


@dataclass(frozen=True)
class TargetOutcome:
    """What became of one target: files, or the reason why it has none."""

    target: str
    summary: str
    exported: Exported | None
    refused: str | None = None
    failed: bool = False
    """Whether that is no refusal but a form that differs, or that something of it raised an error."""

    @property
    def verified(self) -> str:
        """In a few words."""
        if self.exported is None:
            return f"not written: {self.refused}"
        if self.exported.check is None:
            return f"not verified here: {self.exported.unverified}"
        return f"verified with {self.exported.check.library}"


def refuse_lacking(chosen: Chosen, targets: Sequence[str]) -> None:
    """Raise `InputError` for a target that cannot express the network, before any is checked."""
    for name in targets:
        lacking = option_lacking(name, chosen.network) or load_target(name).lacks(chosen.network)
        if lacking is not None:
            raise InputError(f"{chosen.title}: {name}: {lacking}; nothing was written")


def outcome_of(name: str, chosen: Chosen, named: bool) -> TargetOutcome:
    """One target's files, checked, or its refusal, or what it failed for, which costs this target alone.

    Raises `InputError` for what is wrong with the network's weights or names, and for a refusal where the
    target was `named`.
    """
    module = load_target(name)
    make: Callable[[Chosen], Exported] = module.export
    try:
        lacking = option_lacking(name, chosen.network)
        if lacking is not None:
            raise Refused(lacking)
        return TargetOutcome(name, module.SUMMARY, make(chosen))
    except Refused as refusal:
        if named:
            raise InputError(f"{chosen.title}: {name}: {refusal}; nothing was written") from None
        return TargetOutcome(name, module.SUMMARY, None, str(refusal))
    except InputError:
        raise
    except Mismatch as mismatch:
        return TargetOutcome(name, module.SUMMARY, None, f"{mismatch}; please report it", failed=True)
    except BROKEN as error:
        return TargetOutcome(
            name, module.SUMMARY, None, f"failed ({said(error)}); please report it", failed=True
        )
