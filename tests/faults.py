"""Kills commands and checks that nothing is lost: the fault campaign.

    python -m tests.faults [--kills 50] [--seed 0] [--scenarios local-simulated ...] [--json PATH]
    python -m tests.faults --at events [--most 3] [--seed 0] [--scenarios export ...] [--json PATH]

The second kills at what commands do to files: see `tests.event_kills`. The first kills searches at random
moments.

Every scenario has a search that runs undisturbed, and the same search that is killed by SIGKILL again and
again (the driver, one of its Ray workers, its Ray, or its whole process group) and started again with
`--resume`. After every kill all finished results must still be there; in the end no network is trained twice,
no trial is lost, and the record is that of the undisturbed search.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nas.record.record import Record
from space.errors import InputError
from tests import event_kills

ROOT = Path(__file__).parents[1]
COMMON = ["--space", "micro", "--budget", "20M..40M", "--objective", "best", "--study", "campaign"]
SIMULATED = ["--proxy", "simulated:rugged:0.05", "--sampler", "evolution"]
REAL = ["--proxy", "tiny.yaml", "--sampler", "random"]
RAY = ["--engine", "ray", "--cpus-per-trial", "1"]
TINY = """\
data: digits
resolution: 32
train_size: 192
val_size: 64
epochs: 9
batch_size: 16
lr: 4.0e-3
warmup_epochs: 0.5
layer_scale: 1.0
stochastic_depth: 0.1
"""
# where trainings run side by side, what a model proposes depends on which ends first
SCENARIOS = {
    "local-simulated": [*SIMULATED, "--trials", "16", "--scheduler", "asha", "--confirm", "1x2"],
    "local-real": [*REAL, "--trials", "8", "--scheduler", "asha", "--threads", "1"],
    "ray-simulated": [*SIMULATED, *RAY, "--trials", "12", "--scheduler", "asha", "--workers", "1"],
    "ray-real": [*REAL, *RAY, "--trials", "8", "--workers", "2"],
}
VICTIMS = {
    "local-simulated": ("driver",),
    "local-real": ("driver",),
    "ray-simulated": ("driver", "worker", "group", "raylet"),
    "ray-real": ("driver", "worker", "group", "raylet"),
}
PATIENCE = 240.0  # seconds after which a search that does not end counts as hung


@dataclass
class Tally:
    """What a scenario came to."""

    scenario: str
    kills: int = 0
    by_victim: dict[str, int] = field(default_factory=dict)
    starts: int = 0
    finished_before_kills: int = 0  # results that were there at a kill, all told
    lost: int = 0
    twice: int = 0
    differences: int = 0
    trials: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Nothing lost, nothing twice, the same in the end."""
        return self.kills > 0 and not (self.lost or self.twice or self.differences or self.notes)


class Campaign:
    """The kills of one scenario, in a folder of its own."""

    def __init__(self, scenario: str, folder: Path, rng: random.Random) -> None:
        self.tally = Tally(scenario)
        self._folder = folder
        self._rng = rng
        (folder / "tiny.yaml").write_text(TINY)

    def run(self, kills: int) -> Tally:
        """Undisturbed first, then with so many kills."""
        began = time.monotonic()
        process = self._start("whole")
        self._wait(process)
        lasted = time.monotonic() - began
        expected = self._results("whole")
        while self.tally.kills < kills:
            if self._kill_once(lasted):
                continue
            self._compare(expected)  # it ended before the kill: another one from the start
            self._remove("cut")
        self._wait(self._start("cut"))
        self._compare(expected)
        self.tally.trials = len(expected)
        return self.tally

    def _kill_once(self, lasted: float) -> bool:
        """Start or resume the search and kill a part of it; False where it ended before."""
        victim = self._rng.choice(VICTIMS[self.tally.scenario])
        process = self._start("cut")
        try:
            process.wait(self._rng.uniform(self._rng.choice((0.05, 0.5)), 1.0) * lasted)
        except subprocess.TimeoutExpired:
            pass
        else:
            self._check_exit(process)
            return False
        self._known = self._known | self._results("cut")
        if not self._kill(process, victim):
            self._wait(process)
            return False
        self.tally.kills += 1
        self.tally.by_victim[victim] = self.tally.by_victim.get(victim, 0) + 1
        if victim == "worker":  # the driver lives: it must come to the end by itself
            self._wait(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)  # without its Ray a driver ends too, when it notices
        if process.poll() is None:
            self.tally.notes.append(f"a driver outlived its {victim}")
            os.killpg(process.pid, signal.SIGKILL)
        self._check_kept()
        return True

    def _kill(self, process: subprocess.Popen[str], victim: str) -> bool:
        """Whether there was something to kill."""
        if victim == "group":
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for child in descendants(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            return True
        if victim == "driver":
            process.kill()
            return True
        names = "raylet/raylet " if victim == "raylet" else "Trainable"
        workers = [pid for pid in descendants(process.pid) if names in command_of(pid)]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(self._rng.choice(workers), signal.SIGKILL)
        return bool(workers)

    def _check_kept(self) -> None:
        """Every result that was there before is there now, unchanged."""
        known = self._known
        now = self._results("cut")
        self._known = now
        self.tally.finished_before_kills += len(known)
        self.tally.lost += sum(now.get(number) != result for number, result in known.items())

    def _compare(self, expected: dict[int, tuple[object, ...]]) -> None:
        found = self._results("cut")
        trained = [result[:2] for result in found.values()]
        self.tally.twice += len(trained) - len(set(trained))
        if set(found.values()) != set(expected.values()):
            self.tally.differences += len(set(found.values()) ^ set(expected.values()))
            self.tally.notes.append(f"{len(found)} results, {len(expected)} in the undisturbed search")
        self._known = {}

    _known: dict[int, tuple[object, ...]] = {}  # noqa: RUF012

    def _results(self, name: str) -> dict[int, tuple[object, ...]]:
        try:
            record = Record.read(self._folder / name / "campaign")
        except InputError:  # killed before there was a study
            return {}
        trials = record.trials()
        record.close()
        return {
            t.number: (t.fingerprint, t.seed, t.state, t.accuracy, t.fidelity, t.role)
            for t in trials
            if t.over
        }

    def _start(self, name: str) -> subprocess.Popen[str]:
        study = self._folder / name / "campaign"
        flags = [*COMMON[:-1], str(study), *SCENARIOS[self.tally.scenario]]
        if (study / "study.db").exists():
            flags.append("--resume")
        self.tally.starts += 1
        return subprocess.Popen(
            [sys.executable, "-m", "nas.search", *flags],
            cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
                 "XDG_CACHE_HOME": str(self._folder / "cache")},
            start_new_session=True,
        )  # fmt: skip

    def _wait(self, process: subprocess.Popen[str]) -> None:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.tally.notes.append("a search hung")
            os.killpg(process.pid, signal.SIGKILL)
        self._check_exit(process)

    def _check_exit(self, process: subprocess.Popen[str]) -> None:
        if process.returncode != 0:
            words = (process.stderr.read() if process.stderr else "").strip().splitlines()
            self.tally.notes.append(f"exit code {process.returncode}: {words[-1] if words else ''}")

    def _remove(self, name: str) -> None:
        subprocess.run(["rm", "-rf", str(self._folder / name)], check=True)


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process started, and those that they did."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = {pid}
    for _ in range(len(parents)):
        more = {child for child, parent in parents.items() if parent in family} - family
        if not more:
            break
        family |= more
    yield from family - {pid}


def command_of(pid: int) -> str:
    """The command line of a process, empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def shares(kills: int, count: int) -> list[int]:
    """So many kills in so many parts, nearly equal."""
    return [kills // count + (i < kills % count) for i in range(count)]


def campaign(scenarios: Sequence[str], kills: int, seed: int) -> list[Tally]:
    """The scenarios one after the other."""
    tallies = []
    for scenario, share in zip(scenarios, shares(kills, len(scenarios)), strict=True):
        with tempfile.TemporaryDirectory() as folder:
            tallies.append(Campaign(scenario, Path(folder), random.Random(f"{scenario} {seed}")).run(share))
    return tallies


def report(tallies: Sequence[Tally]) -> Table:
    """One row a scenario."""
    table = Table(title="fault campaign")
    for heading in ("scenario", "kills", "of", "results at kills", "lost", "twice", "differences", "passed"):
        table.add_column(heading)
    for t in tallies:
        victims = ", ".join(f"{victim} {count}" for victim, count in sorted(t.by_victim.items()))
        numbers = (t.kills, victims, t.finished_before_kills, t.lost, t.twice, t.differences)
        table.add_row(t.scenario, *map(str, numbers), "yes" if t.passed else "NO: " + "; ".join(t.notes))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 1 where anything was lost."""
    parse = argparse.ArgumentParser(description="Kill commands; nothing may be lost.")
    add = parse.add_argument
    add("--at", choices=("random", "events"), default="random", help="moments to kill at: any of a search "
        "(default), or before and after every kind of change that a command makes to files")  # fmt: skip
    known = [*SCENARIOS, *event_kills.SCENARIOS]
    add("--scenarios", nargs="+", choices=known, metavar="NAME", help=f"{', '.join(SCENARIOS)}; at events "
        f"{', '.join(event_kills.SCENARIOS)} (default: all)")  # fmt: skip
    add("--kills", type=int, default=50, metavar="N", help="at random moments, in all (default: 50)")
    add(
        "--most", type=int, default=3, metavar="N", help="of alike events, so many are killed at (default: 3)"
    )
    add("--fresh", type=int, default=2, metavar="N", help="kills at events of each scenario that are made in "
        "an interpreter of its own, not in a child of this one (default: 2)")  # fmt: skip
    add("--jobs", type=int, default=1, metavar="N", help="kills at events at once (default: 1)")
    add("--seed", type=int, default=0)
    add("--json", type=Path, metavar="PATH")
    options = parse.parse_args(argv)
    of = event_kills.SCENARIOS if options.at == "events" else SCENARIOS
    scenarios = options.scenarios or list(of)
    if not set(scenarios) <= set(of):
        parse.error(f"--scenarios: at {options.at} there are {', '.join(of)}")
    if options.at == "events":
        numbers = (options.most, options.seed, options.fresh, options.jobs)
        event_tallies: list[event_kills.Tally] = []
        for tally in event_kills.campaign(scenarios, *numbers):
            event_tallies.append(tally)
            print(f"{tally.scenario}: {tally.kills} kills, {tally.seconds:.0f} s", file=sys.stderr)
            keep(event_tallies, options.json)  # so far: all of them take long
        event_kills.tell(event_tallies)
        return int(not all(tally.passed for tally in event_tallies))
    tallies = campaign(scenarios, options.kills, options.seed)
    Console().print(report(tallies))
    keep(tallies, options.json)
    return int(not all(tally.passed for tally in tallies))


def keep(tallies: Sequence[Tally] | Sequence[event_kills.Tally], path: Path | None) -> None:
    """The figures, for programs."""
    if path is not None:
        plain = [asdict(tally) | {"passed": tally.passed} for tally in tallies]
        path.write_text(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
