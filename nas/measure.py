"""`python -m nas.measure NETWORK...`: named networks trained under one proxy, each with several seeds.

The record is a study folder like a search's, so that every analysis reads it. Exit codes as of `nas.search`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.plan.measurement import Measurement
from space.command import Command, made_to_stay

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from nas.plan.settings import MeasureSettings
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
    parse.add_argument("networks", nargs="*", metavar="NETWORK", help="names (python -m space.describe "
        "--list; swin_tiny to swin_large), roadmap_t or roadmap_b for all its steps, or files")  # fmt: skip
    # fmt: off
    add = parse.add_argument
    add("--seeds", type=int, metavar="N", help="trainings of each network (default 3)")
    add("--seed", type=int, metavar="N", help="the first seed (default 0)")
    add("--proxy", metavar="NAME|FILE", help="the short training (as of nas.search)")
    add("--data", metavar="SPEC", help="another data set than the proxy's")
    add("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add("--threads", type=int, metavar="N", help="CPU threads of a training (default: all cores)")
    add("--engine", metavar="NAME", help="local (default) or ray")
    add("--ray-address", metavar="ADDRESS", help="join this Ray cluster")
    add("--workers", type=int, metavar="N", help="trainings at once (default with ray: all that fit)")
    add("--cpus-per-trial", type=float, metavar="N", help="CPU cores of a training (with ray)")
    add("--gpus-per-trial", type=float, metavar="N", help="GPUs of a training, as 0.5 (with ray)")
    add("--gpu-memory", metavar="SIZE", help="of one GPU, as 40GB (with ray)")
    add("--study", metavar="NAME|PATH", help="runs/NAME, or a folder (default: measured)")
    add("--resume", action="store_true", default=None, help="go on with a study, under its own settings")
    # fmt: on
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    flags = vars(command.parse_args(argv))
    flags["networks"] = flags["networks"] or None

    def act() -> int:
        from nas.driver.progress import lasting_console
        from nas.plan.settings import read_measure_settings

        return measure(read_measure_settings(flags), lasting_console())

    return command.carry_out(act, lambda: "nothing was trained")


def measure(settings: MeasureSettings, console: Console) -> int:
    """Train every network with every seed. Raises `InputError` before anything is trained."""
    with made_to_stay():
        from nas.record.folder import study_folder
        from nas.record.record import Record
        from nas.run import carry_out
        from nas.search import moved

        folder = study_folder("measured" if settings.study is None else settings.study)
        Record.check_free(folder, resume=settings.resume)

    def opened(plan: Measurement, folder: Path) -> Record:
        if settings.resume:
            record = Record.resume(folder, plan.binding())
            record.ask(**moved(settings))
            return record
        return Record.create(folder, plan.binding(), settings.model_dump(mode="json"))

    def finished(_: Measurement, record: Record, *, interrupted: bool) -> bool:
        return finish(record, console, interrupted=interrupted)

    return carry_out(lambda: Measurement.of(settings), opened, finished, folder, console)


def finish(record: Record, console: Console, *, interrupted: bool) -> bool:
    """The table of the networks, and where everything is; whether any training succeeded."""
    study = record.study()
    for warning in study.mapping["warnings"]:
        console.print(f"note: {warning}", markup=False)
    for trial in study.trials:
        if trial.state == "failed":
            console.print(f"trial {trial.number} failed: {trial.reason}", markup=False)
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

    proxy = study["proxy"]
    conditions = f"the {proxy['name']} proxy ({proxy['data']}, {proxy['epochs']} epochs)"
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
