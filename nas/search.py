"""`python -m nas.search --budget 4.5GFLOPs`: from a budget to a network, with the record and the picture.

Exit codes: 0 done, 1 no trial succeeded, 2 bad input, 130 interrupted (--resume goes on).
"""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.command import Command
from space.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nas.data.dataset import Data
    from nas.engines.local import LocalEngine
    from nas.progress import Progress
    from nas.proposals import Proposal, Proposer
    from nas.proxy import Proxy
    from nas.record import Record
    from nas.reference import Reference
    from nas.result import Epoch
    from nas.settings import Settings
    from space.band import BandSampler
    from space.design_space import DesignSpace

DEFAULT_TRIALS = {"smoke": 6, "cpu": 10}
OTHER_TRIALS = 32
# of a search under the cpu proxy that was told neither --trials nor --time-limit
DEFAULT_SECONDS = 570.0
# the model-based samplers start after this share of the trials, and never before so many
STARTUP_SHARE = 0.3
MIN_STARTUP = 5


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
  python -m nas.search --study small --resume --trials 60
  python -m nas.search --study-file study.yaml""",
    )
    # fmt: off
    add = parse.add_argument_group("what to search").add_argument
    add("--budget", metavar="COST", help="4.5GFLOPs, 600MFLOPs or 4.5e9 (multiply-accumulates at 224x224), "
        "30Mparams, 13Mactivations, or a range 4GFLOPs..5GFLOPs; required, here or in the study file")
    add("--band", metavar="LOW:HIGH", help="shares of the budget a network may cost (default 0.95:1)")
    add("--space", metavar="NAME|FILE", help="convnext (default), roadmap, micro, or a YAML file")
    add = parse.add_argument_group("how a network is judged").add_argument
    add("--proxy", metavar="NAME|FILE", help="the short training: smoke, cpu (default without a GPU), gpu "
        "(default with one), imagenet-subset, or a YAML file")
    add("--data", metavar="SPEC", help="another data set than the proxy's: fractal, digits, cifar10:PATH, "
        "cifar100:PATH, imagefolder:PATH")
    add("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add("--threads", type=int, metavar="N", help="CPU threads of a training (default: all cores)")
    add = parse.add_argument_group("how long, and how").add_argument
    add("--trials", type=int, metavar="N", help="networks to train in all, the reference included "
        "(default: 10 with the cpu proxy, 6 with smoke, 32 with others)")
    add("--time-limit", metavar="TIME", help="start no training that would end later: 90s, 10m, 1h30m "
        "(default: 9m30s with the cpu proxy if --trials is not given, else none)")
    add("--sampler", metavar="NAME", help="tpe (default), gp, random, evolution or surrogate")
    add("--seed", type=int, metavar="N", help="seed of proposals and trainings (default 0)")
    add("--no-reference", dest="reference", action="store_false", default=None,
        help="do not train the published ConvNeXt of the budget first")
    add = parse.add_argument_group("where it is kept").add_argument
    add("--study", metavar="NAME|PATH", help="runs/NAME, or a folder (default: named by space and budget)")
    add("--resume", action="store_true", default=None, help="go on with a study, under its own settings")
    add("--study-file", type=Path, metavar="FILE", help="YAML with any of these settings; flags override it")
    # fmt: on
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    flags = vars(parser().parse_args(argv))
    study_file = flags.pop("study_file")
    try:
        from rich.console import Console

        from nas.settings import read_settings

        return search(read_settings(flags, study_file), Console(highlight=False))
    except InputError as error:
        print(f"nas.search: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the first trial
        return 130


def search(settings: Settings, console: Console) -> int:
    """From a budget to a network. Raises `InputError` before anything is trained."""
    from nas.engines.local import LocalEngine
    from nas.progress import Progress
    from nas.proposals import Proposer
    from nas.record import Record
    from nas.reference import convnext_reference
    from space.band import BandSampler
    from space.budget import parse_budget

    space = read_space(settings.space)
    band = BandSampler(space, parse_budget(settings.budget, settings.band))
    if band.count == 0:
        raise InputError(band.why_empty())
    folder = choose_folder(settings, space)
    Record.check_free(folder, resume=settings.resume)
    proxy_name, proxy, device = choose_proxy(settings)
    reference = convnext_reference(band.budget, space) if settings.reference else None
    check_resolution(proxy_name, proxy, band, reference)
    with console.status("preparing the data set…"):
        data = proxy.load_data()
    binding = binding_settings(settings, band, proxy_name, proxy, data)
    opening = Record.resume if settings.resume else Record.create
    record = opening(folder, binding, settings.model_dump(mode="json"))
    try:
        trials, limit = how_long(settings, proxy_name)
        startup = max(MIN_STARTUP, round(STARTUP_SHARE * trials))
        proposer = Proposer(record.study, band, settings.sampler, settings.seed, startup)
        if reference is not None and not settings.resume:
            queue_reference(record, proposer, reference)
        about = "" if band.count_is_exact else "about "
        title = f"{folder}: {band.budget}, {about}{band.count:,} of {space.size:,} networks of {space.name}"
        progress = Progress(console, title, trials, proxy.epochs)
        engine = LocalEngine(proxy, data, device)
        interrupted = run_trials(settings.seed, limit, record, proposer, engine, progress)
        found = finish(record, console, interrupted=interrupted)
    finally:
        record.close()
    return 130 if interrupted else int(not found)


def run_trials(
    seed: int,
    limit: float | None,
    record: Record,
    proposer: Proposer,
    engine: LocalEngine,
    progress: Progress,
) -> bool:
    """Propose, train, record, until enough is done; True where Ctrl-C or SIGTERM came first."""
    from nas.progress import duration

    began = time.monotonic()
    with progress, interrupts():
        progress.resumed(record.finished())
        try:
            while progress.remaining > 0:
                if limit is not None and time.monotonic() - began + progress.expected_seconds() > limit:
                    record.warn(f"the time limit of {duration(limit)} ended the search")
                    break
                proposal = proposer.next()
                if proposal is None:
                    record.warn("every network of the band has been tried")
                    break
                run_trial(proposal, seed, record, engine, progress)
        except KeyboardInterrupt:
            return True
        finally:
            record.add_wall_seconds(time.monotonic() - began)
            record.write_summary()
    return False


def how_long(settings: Settings, proxy_name: str) -> tuple[int, float | None]:
    """Trials in all, and the seconds after which none starts; None is no limit."""
    limit = settings.time_limit_seconds
    if proxy_name == "cpu" and settings.trials is None and limit is None:
        limit = DEFAULT_SECONDS
    return settings.trials or DEFAULT_TRIALS.get(proxy_name, OTHER_TRIALS), limit


def run_trial(proposal: Proposal, seed: int, record: Record, engine: LocalEngine, progress: Progress) -> None:
    """Train one network and store what came of it; a failure is a result too."""
    from nas.engines.local import Job
    from nas.progress import brief
    from nas.result import TrialFailed

    trial, network = proposal.trial, proposal.architecture
    curve: list[dict[str, Any]] = []

    def on_epoch(point: Epoch) -> None:
        curve.append(asdict(point))
        progress.epoch(point.val_accuracy)

    def so_far() -> dict[str, Any]:
        return {"curve": curve, "fidelity": len(curve), "train_seconds": time.monotonic() - began}

    label = brief(network) if proposal.name is None else f"{proposal.name}: {brief(network)}"
    progress.trial(trial.number, label)
    began = time.monotonic()
    try:
        record.start(trial, network, proposal.role, proposal.name, seed)
        result = engine.train(Job(network, seed), on_epoch)
    except TrialFailed as failure:
        record.fail(trial, str(failure), **so_far())
    except KeyboardInterrupt:
        record.interrupt(trial, **so_far())
        raise
    else:
        record.complete(
            trial,
            result.accuracy,
            fidelity=result.epochs,
            full_fidelity=True,
            curve=list(result.curve),
            train_seconds=result.train_seconds + result.eval_seconds,
            images_per_second=result.images_per_second,
            precision=result.precision,
            device=result.device,
        )
    progress.done(record.trial(trial.number))
    record.write_summary()


def read_space(declared: str | dict[str, Any]) -> DesignSpace:
    """The space that settings name or hold."""
    from space.design_space import load_space, space_from

    return load_space(declared) if isinstance(declared, str) else space_from(declared, "space")


def choose_proxy(settings: Settings) -> tuple[str, Proxy, str]:
    """The proxy's name, the proxy with the settings' data set, and the device."""
    import torch

    from nas.proxy import load_proxy, proxy_from
    from nas.result import TrialFailed
    from nas.training import choose_device

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    name = settings.proxy
    if name == "auto":
        name = "gpu" if torch.cuda.is_available() and settings.device.startswith(("auto", "cuda")) else "cpu"
    if isinstance(name, str):
        label, proxy = Path(name).stem, load_proxy(name)
    else:
        label, proxy = "custom", proxy_from(name, "proxy")
    if settings.data is not None:
        proxy = proxy.changed(data=settings.data)
    try:
        device = choose_device(proxy.device if settings.device == "auto" else settings.device)
    except TrialFailed as failure:
        raise InputError(str(failure)) from None
    return label, proxy, str(device)


def binding_settings(
    settings: Settings, band: BandSampler, proxy_name: str, proxy: Proxy, data: Data
) -> dict[str, Any]:
    """What makes the results of a study comparable; a study is never resumed under other values."""
    budget, space = band.budget, band.space
    return {
        "budget": asdict(budget),
        "space": {
            "name": space.name,
            "fingerprint": space.fingerprint,
            "size": space.size,
            "in_band": band.count,
            "in_band_is_exact": band.count_is_exact,
        },
        "proxy": {
            "name": proxy_name,
            "fingerprint": proxy.fingerprint(data),
            **proxy.model_dump(mode="json"),
            "num_classes": data.num_classes,
            "train_size": len(data.train),
            "val_size": len(data.val),
        },
        "data": {"spec": data.spec, "fingerprint": data.fingerprint},
        "seed": settings.seed,
        "sampler": settings.sampler,
    }


def choose_folder(settings: Settings, space: DesignSpace) -> Path:
    """The study's folder: as named, else by space and budget, numbered where that is taken."""
    from nas.record import study_folder

    if settings.study is not None:
        return study_folder(settings.study)
    first = study_folder(re.sub(r"[^A-Za-z0-9._-]+", "-", f"{space.name}-{settings.budget}").strip("-."))
    folder, last, number = first, first, 1
    while folder.exists():
        last, number = folder, number + 1
        folder = first.with_name(f"{first.name}-{number}")
    return last if settings.resume else folder


def check_resolution(name: str, proxy: Proxy, band: BandSampler, reference: Reference | None) -> None:
    """Refuse a proxy whose images are too small for the networks to come."""
    import numpy as np

    from space.cost import cost, cost_columns

    try:
        cost_columns(band.space.columns(band.sample_codes(1000, np.random.default_rng(0))), proxy.resolution)
        if reference is not None:
            cost(reference.architecture, proxy.resolution)
    except InputError as error:
        raise InputError(f"proxy {name}: {error}") from None


def queue_reference(record: Record, proposer: Proposer, reference: Reference) -> None:
    """The published ConvNeXt of the budget goes first."""
    proposer.enqueue_reference(reference.name, reference.architecture)
    if not reference.in_band:
        record.warn(f"the reference {reference.name} does not meet the budget")


@contextmanager
def interrupts() -> Iterator[None]:
    """SIGTERM stops a search as cleanly as Ctrl-C does, and so does SIGINT where a shell had it ignored."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def finish(record: Record, console: Console, *, interrupted: bool) -> bool:
    """The report, the table of the front, and where everything is; whether any trial succeeded."""
    from analysis.report import write_report

    study = record.mapping()
    write_report(study, record.folder / "report.html")
    for warning in study["warnings"]:
        console.print(f"note: {warning}", markup=False)
    for trial in study["trials"]:
        if trial["state"] == "failed":
            console.print(f"trial {trial['number']} failed: {trial['reason']}", markup=False)
    table = front_table(study)
    if table is not None:
        console.print(table)
    folder = shlex.quote(str(record.folder))
    console.print(f"study   {folder}/ (study.db, summary.json)\nreport  {folder}/report.html", soft_wrap=True)
    if study["best"] is not None:
        console.print(f"export  python -m nas.export {folder}", soft_wrap=True)
    if interrupted:
        console.print(f"resume  python -m nas.search --study {folder} --resume", soft_wrap=True)
    return study["best"] is not None


def front_table(study: Mapping[str, Any]) -> Table | None:
    """The networks no other beats in both cost and accuracy, and the reference."""
    import numpy as np
    from rich.table import Table

    from analysis.pareto import front
    from nas.progress import TABLE_HEADINGS, trial_row

    done = [t for t in study["trials"] if t["state"] == "complete" and t["full_fidelity"]]
    if not done:
        return None
    metric = study["budget"]["metric"]
    on_front = front(np.array([t[metric] for t in done]), np.array([t["accuracy"] for t in done]))
    shown = {int(i) for i in on_front} | {i for i, t in enumerate(done) if t["role"] == "reference"}
    proxy = study["proxy"]
    table = Table(title=f"front under the {proxy['name']} proxy ({proxy['data']}, {proxy['epochs']} epochs)")
    for heading in TABLE_HEADINGS:
        table.add_column(heading, justify="left" if heading == "network" else "right", overflow="fold")
    for i in sorted(shown, key=lambda i: int(done[i][metric])):
        best = done[i]["number"] == study["best"]
        table.add_row(*trial_row(done[i]), style="bold" if best else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
