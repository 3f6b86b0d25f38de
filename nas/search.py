"""`python -m nas.search --budget 4.5GFLOPs`: from a budget to a network, with the record and the picture.

Exit codes: 0 done, 1 no trial succeeded, 2 bad input, 130 interrupted (--resume goes on).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.run import carry_out
from space.command import Command, made_to_stay
from space.errors import MOST_NAME

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nas.plan.plan import Plan
    from nas.plan.settings import RunSettings, Settings
    from nas.record.record import Record
    from nas.record.study import Study
    from nas.verdict.pick import Recommendation


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m nas.search",
        description="Find the best network of a design space inside a cost budget, by short proxy trainings.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  python -m nas.search --budget 4.5GFLOPs
  python -m nas.search --budget 600MFLOPs --trials 30 --study small
  python -m nas.search --budget 30Mparams --proxy smoke --sampler random
  python -m nas.search --budget 1GFLOPs..9GFLOPs --scheduler asha --trials 100 --confirm 3x3
  python -m nas.search --budget 0.6GFLOPs,1.2GFLOPs,2.4GFLOPs,4.5GFLOPs --engine ray
  python -m nas.search --study small --resume --trials 60
  python -m nas.search --study-file study.yaml""",
    )
    # fmt: off
    add = parse.add_argument_group("what to search").add_argument
    add("--budget", metavar="COST", help="4.5GFLOPs, 600MFLOPs or 4.5e9 (multiply-accumulates at 224x224), "
        "30Mparams, 13Mactivations; a range 1GFLOPs..9GFLOPs for the front over it; a list "
        "0.6GFLOPs,1.2GFLOPs for a search each; required, here or in the study file")
    add("--band", metavar="LOW:HIGH", help="shares of the budget a network may cost (default 0.95:1)")
    add("--space", metavar="NAME|FILE", help="convnext (default), roadmap, micro, or a YAML file")
    add("--objective", metavar="WHAT", help="best: the most accurate network of the budget; front: the best "
        "at every cost (default: front for a range, else best)")
    add("--max-params", metavar="N", help="and no more parameters than this, as 30M")
    add("--max-activations", metavar="N", help="and no more activations, as 13M")
    add("--max-latency", metavar="TIME", help="and no slower than this, as 5ms: one 224x224 image on the "
        "device that trains, measured before a network is proposed")
    add = parse.add_argument_group("how a network is judged").add_argument
    add("--proxy", metavar="NAME|FILE", help="the short training: smoke, cpu (default without a GPU), gpu "
        "(default with one), imagenet-subset, or a YAML file; simulated:LAW trains nothing, to "
        "rehearse a search")
    add("--data", metavar="SPEC", help="another data set than the proxy's: fractal, digits, cifar10:PATH, "
        "cifar100:PATH, imagefolder:PATH")
    add("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add("--threads", type=int, metavar="N", help="CPU threads of a training (default: all cores)")
    add("--scheduler", metavar="NAME", help="stop bad trainings early: none (default), asha, halving or "
        "hyperband, over epochs")
    add("--eta", type=int, metavar="N", help="one of so many goes on at each rung (default 3)")
    add("--min-epochs", type=int, metavar="N", help="epochs of the first rung (default: up to three rungs)")
    add("--confirm", metavar="KxS", help="train the best K and the references again with S fresh seeds "
        "(default: 3x3 with the gpu proxies, else 0x0)")
    add = parse.add_argument_group("how long, and how").add_argument
    add("--trials", type=int, metavar="N", help="networks to train in all, the reference included "
        "(default: 10 with the cpu proxy, 6 with smoke, 32 with others)")
    add("--time-limit", metavar="TIME", help="start no training that would end later: 90s, 10m, 1h30m "
        "(default: 9m30s with the cpu proxy if --trials is not given, else none)")
    add("--sampler", metavar="NAME", help="surrogate (default), tpe, gp, nsga2, evolution or random")
    add("--seed", type=int, metavar="N", help="seed of proposals and trainings (default 0)")
    add("--reference", metavar="FAMILIES", help="published networks of the budget to train first, as "
        "swin,convnext,resnet (default: convnext,swin), or none")
    add("--no-reference", dest="reference", action="store_const", const="none", help="the same as none")
    add = parse.add_argument_group("where it runs").add_argument
    add("--engine", metavar="NAME", help="local (default): one training at a time, here; ray: Ray Tune, here "
        "or on a cluster")
    add("--ray-address", metavar="ADDRESS", help="join this Ray cluster (default: a Ray of its own, here)")
    add("--workers", type=int, metavar="N", help="trainings at once (default with ray: all that fit)")
    add("--cpus-per-trial", type=float, metavar="N", help="CPU cores of a training (default: 1, or a GPU's "
        "share)")
    add("--gpus-per-trial", type=float, metavar="N", help="GPUs of a training, as 0.5 (default: 1 if there "
        "are any here)")
    add("--gpu-memory", metavar="SIZE", help="of one GPU, as 40GB: a network that needs more than its share "
        "asks for more (default: this machine's)")
    add = parse.add_argument_group("where it is kept").add_argument
    add("--study", metavar="NAME|PATH", help="runs/NAME, or a folder (default: named by space and budget)")
    add("--resume", action="store_true", default=None, help="go on with a study, under its own settings")
    add("--storage", metavar="URL", help="postgresql://USER@HOST/DATABASE: several searches may share the "
        "study")
    add("--study-file", type=Path, metavar="FILE", help="YAML with any of these settings; flags override it")
    # fmt: on
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    flags = vars(command.parse_args(argv))
    study_file = flags.pop("study_file")

    def act() -> int:
        from nas.driver.progress import lasting_console
        from nas.plan.settings import read_settings

        return search(read_settings(flags, study_file), lasting_console())

    return command.carry_out(act, lambda: "nothing was trained")


def search(settings: Settings, console: Console) -> int:
    """From a budget to a network. Raises `InputError` before anything is trained."""
    with made_to_stay():
        from nas.plan.plan import Plan

        folder = choose_folder(settings)
        check_free(folder, settings)

    def finished(_: Plan, record: Record, *, interrupted: bool) -> bool:
        return finish(record, console, interrupted=interrupted)

    return carry_out(lambda: Plan.of(settings), open_record, finished, folder, console)


def check_free(folder: Path, settings: Settings) -> None:
    """Raises `InputError` where there is a study and none was expected, or the other way round."""
    from nas.record.record import Record
    from nas.record.storage import check_url

    if settings.storage is None:
        Record.check_free(folder, resume=settings.resume)
    else:
        check_url(settings.storage)


def open_record(plan: Plan, folder: Path) -> Record:
    """The study, new or gone on with. Raises `InputError`."""
    from nas.record.record import Record

    settings, binding = plan.settings, plan.binding()
    asked = settings.model_dump(mode="json") | {"min_epochs": plan.scheduler["levels"][0]}
    if settings.storage is not None:
        from nas.record.storage import without_password

        asked["storage"] = without_password(settings.storage)
        return Record.join(folder, settings.storage, binding, asked)
    if not settings.resume:
        return Record.create(folder, binding, asked)
    record = Record.resume(folder, binding)
    record.ask(**moved(settings))
    return record


def moved(settings: RunSettings) -> dict[str, Any]:
    """What may be said anew of a study: where its data and its proxy's file lie."""
    places = {"data": settings.data, "proxy": settings.proxy}
    return {name: place for name, place in places.items() if place is not None}


def choose_folder(settings: Settings) -> Path:
    """The study's folder: as named, else by space and budget, numbered where that is taken."""
    from nas.plan.plan import read_space
    from nas.record.folder import study_folder

    if settings.study is not None:
        return study_folder(settings.study)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{read_space(settings.space).name}-{settings.budget}").strip(
        "-."
    )
    if len(name) > MOST_NAME:  # of many budgets
        name = f"{name[:MOST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    first = study_folder(name)
    folder, last, number = first, first, 1
    while folder.exists() and settings.storage is None:
        last, number = folder, number + 1
        folder = first.with_name(f"{first.name}-{number}")
    return last if settings.resume else folder


def finish(record: Record, console: Console, *, interrupted: bool) -> bool:
    """The page, the table, what to take, and where everything is; whether any trial succeeded."""
    from analysis.page.page import FILE, page_of, write_page
    from nas.verdict.pick import recommend
    from nas.verdict.summary import Summary

    Summary(record).write()
    study = record.study()
    found = recommend(study)
    write_page(page_of([study]), record.folder / FILE)
    for warning in study.mapping["warnings"]:
        console.print(f"note: {warning}", markup=False)
    for trial in study.trials:
        if trial.state == "failed":
            console.print(f"trial {trial.number} failed: {trial.reason}", markup=False)
    if study.networks:
        console.print(front_table(study, found))
    for line in (*found.lines, *filter(None, [found.note])):
        console.print(line, markup=False, soft_wrap=True)
    folder = shlex.quote(study.place)
    where = "summary.json" if record.storage.shared else "study.db, summary.json"
    console.print(f"study   {folder}/ ({where})\nreport  {folder}/report.html", soft_wrap=True)
    if interrupted:
        console.print(f"resume  python -m nas.search --study {folder} --resume", soft_wrap=True)
        return bool(found.picks)
    console.print(f"next    {found.next}", markup=False, soft_wrap=True)
    if found.picks and found.next != found.export:
        console.print(f"export  {found.export}", markup=False, soft_wrap=True)
    return bool(found.picks)


def front_table(study: Study, found: Recommendation) -> Table:
    """The networks no other beats in both cost and accuracy, the references, and what is recommended."""
    from rich.markup import escape
    from rich.table import Table

    from nas.driver.progress import TABLE_HEADINGS, trial_row
    from nas.verdict.front import front
    from nas.verdict.pick import searched_value

    picked = {pick.tried.trial for pick in found.picks}
    networks = [tried for tried in study.networks if tried.family != "Swin"]
    costs = [getattr(tried, study.metric) for tried in networks]
    on_front = front(costs, [searched_value(tried) for tried in networks])
    shown = {networks[i].trial for i in on_front} | {tried.trial for tried in study.references} | picked
    trials = sorted(
        (t for t in study.trials if t.number in shown), key=lambda t: int(getattr(t, study.metric))
    )
    table = Table(title=escape(f"front under the {study.conditions}"))
    for heading in TABLE_HEADINGS:
        table.add_column(heading, justify="left" if heading == "network" else "right", overflow="fold")
    for trial in trials:
        table.add_row(*map(escape, trial_row(trial)), style="bold" if trial.number in picked else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
