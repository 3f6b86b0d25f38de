"""What Python has of a study: the network to take, the trials, the front, the page, the exports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.api.table import Table, trial_row
from space.errors import InputError, word
from space.paths import at_home

if TYPE_CHECKING:
    from nas.record.study import Study
    from nas.verdict.pick import Pick, Recommendation
    from space.networks import Network


class Results:
    """A study as it was when it was read; `nas.open` reads it again. In a notebook it shows itself."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def recommendation(self) -> Recommendation:
        """What the study recommends, in full: `lines` say it, `picks` has every network of it."""
        from nas.verdict.pick import recommend

        return recommend(self.study)

    @property
    def pick(self) -> Pick | None:
        """The network to take, the most accurate of several; None where nothing was trained to its end."""
        return self.recommendation.most_accurate

    @property
    def name(self) -> str:
        """What the study is called: its folder's name."""
        return self.study.name

    @property
    def folder(self) -> Path | None:
        """Where the study is kept."""
        return self.study.folder

    @property
    def trials(self) -> Table:
        """Every trial, a row each: costs at 224x224, accuracy, epochs, seed, the choices in the space."""
        return Table(trial_row(trial) for trial in self.study.trials)

    @property
    def front(self) -> Table:
        """The trials of the networks that no other beats in both cost and accuracy, the cheapest first."""
        from nas.verdict.pick import front_of

        trials = {trial.number: trial for trial in self.study.trials}
        return Table(trial_row(trials[pick.tried.trial]) for pick in front_of(self.study))

    def network(self, trial: int | None = None) -> Network:
        """The network of a trial, by default the one to take; `space.network.build` makes a module of it.

        Raises `InputError` where there is none.
        """
        from nas.targets.exportable import of_trial
        from space.networks import network_from

        if trial is not None:
            source = of_trial(self.study, trial).source
            assert source is not None
            return network_from(source.architecture)
        if self.pick is None:
            raise InputError(f"study {self.study.name}: no network has been trained in full yet")
        return network_from(self.pick.tried.architecture)

    def page(self) -> Path:
        """Write the page of the study, `report.html` in its folder; where it is."""
        from analysis.page.page import FILE, page_of, write_page

        return write_page(page_of([self.study]), self._place / FILE)

    def export(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        to: str | Sequence[str] | None = None,
        **flags: Any,
    ) -> list[Path]:
        """Write the network to take, as `python -m nas.export` does; the folders, one a network.

        `to` names targets, `all` is every one; `flags` are the command's with `_` for `-`: `trial=7`,
        `front=True`, `gpus=4`. Raises `InputError` for what the command would refuse, and after everything
        else is written, where a target failed.
        """
        from argparse import Namespace

        from nas.export import export, folder_of, parser, targets_of
        from nas.targets.exportable import asked_for

        defaults = vars(parser().parse_args([]))
        for name in flags:
            if name not in defaults or name in ("study", "arch"):
                raise InputError(f"export: there is no flag {word(name)}; there are {', '.join(defaults)}")
        given = {"study": f"{self._place}{os.sep}", "out": out, **flags}
        if to is not None:
            given["to"] = [to] if isinstance(to, str) else list(to)
        for name in ("out", "weights", "classes"):
            given[name] = None if given.get(name) is None else Path(at_home(os.fspath(given[name])))
        args = Namespace(**defaults | given)
        failed = export(args, targets_of(args.to))
        if failed:
            raise InputError("; ".join(failed))
        found = asked_for(args.study, args.trial, args.front, None)
        return [folder_of(args, one, len(found)) for one in found]

    def __str__(self) -> str:
        found = self.recommendation
        return "\n".join((*found.lines, *filter(None, (found.note, found.card))))

    def __repr__(self) -> str:
        says = " ".join(self.recommendation.lines)
        return f"<study {self.study.name}, {len(self.study.trials)} trials: {says}>"

    def _repr_html_(self) -> str:
        from nas.api.html import summary

        return summary(self.recommendation)

    @property
    def _place(self) -> Path:
        if self.study.folder is None:
            raise InputError(f"study {self.study.name}: has no folder")
        return self.study.folder
