"""`python -m nas.measure NETWORK...`: named networks trained under one proxy, each with several seeds.

The record is a study folder like a search's, so that every analysis reads it. Exit codes as of `nas.search`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.plan.flags import add_measure_flags
from space.command import Command, made_to_stay

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nas.record.record import Record


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m nas.measure",
        description="Train named networks under one proxy, each with several seeds, and keep the record.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  python -m nas.measure convnext_tiny swin_tiny resnet50 --seeds 3 --study three
  python -m nas.measure roadmap_t --seeds 3 --study roadmap     # ResNet-50 to ConvNeXt-T, step by step
  python -m nas.measure runs/small/export/trial-7/architecture.json convnext_tiny --seeds 5
  python -m nas.measure --study roadmap --resume --seeds 5      # two seeds more; also after Ctrl-C""",
    )
    add_measure_flags(parse)
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    flags = vars(command.parse_args(argv))
    flags["networks"] = flags["networks"] or None

    def act() -> int:
        from nas.plan.settings import read_measure_settings

        settings = read_measure_settings(flags)
        with made_to_stay():
            from nas.driver.progress import lasting_console
            from nas.run import run
        return run(settings, lasting_console(), finish)

    return command.carry_out(act, lambda: "nothing was trained")


def finish(record: Record, console: Console, *, interrupted: bool) -> bool:
    """The table of the networks, and where everything is; whether any training succeeded."""
    from nas.record.study import study_of
    from nas.verdict.evidence import remarks

    study = study_of(record)
    for line in remarks(study):
        console.print(line, markup=False)
    if study.networks:
        console.print(table(study.mapping, study.networks))
    folder = shlex.quote(str(record.folder))
    console.print(f"study      {folder}/ (study.db, summary.json)", soft_wrap=True)
    console.print(f"dashboard  python -m analysis.dashboard {folder}", soft_wrap=True)
    if interrupted:
        console.print(f"resume     python -m nas.measure --study {folder} --resume", soft_wrap=True)
    return bool(study.networks)


def table(study: Mapping[str, Any], networks: Sequence[Any]) -> Table:
    """Each network's cost, and its accuracy over the seeds."""
    import numpy as np
    from rich.markup import escape
    from rich.table import Table

    from space.budget import quantity
    from space.words import plural

    proxy = study["proxy"]
    conditions = f"the {proxy['name']} proxy ({proxy['data']}, {plural(proxy['epochs'], 'epoch')})"
    shown = Table(title=escape(f"accuracy under {conditions}"))
    for heading in ("network", "FLOPs", "params", "accuracy", "sd of seeds", "seeds"):
        shown.add_column(heading, justify="left" if heading == "network" else "right")
    for one in networks:
        values = np.array(list(one.accuracies.values()))
        spread = f"{values.std(ddof=1):.1%}" if len(values) > 1 else "-"
        cells = (quantity(one.macs), quantity(one.params), f"{values.mean():.1%}", spread, str(len(values)))
        shown.add_row(escape(one.label), *cells)
    return shown


if __name__ == "__main__":
    sys.exit(main())
