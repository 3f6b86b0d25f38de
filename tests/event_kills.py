"""Kills commands just before and just after what they do to files, and gives them again: see `tests.faults`.

Every scenario has a command that runs undisturbed twice, in a child of this process and in an interpreter of
its own. The first run's events (`tests.file_events`) are the moments to kill it at, each in a folder of its
own. After every kill the same command is given again, with or without `--resume` as its own message says. It
must end well, repeat no training whose result was stored and no epoch that was kept, and leave the files of
the undisturbed runs, with the same content wherever those two agree, and none besides.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import pickle
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import file_events
from tests.file_events import SIDES, Moment

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds after which a command that does not end counts as hung
MEMORY = "/dev/shm"  # a killed process leaves the same files there as on a disk, and nobody waits for syncs
KILLED = -int(signal.SIGKILL)
TINY = """\
data: digits
resolution: 32
train_size: 96
val_size: 64
epochs: 3
batch_size: 16
lr: 4.0e-3
warmup_epochs: 0.5
layer_scale: 1.0
stochastic_depth: 0.1
"""
RECIPE = {
    "architecture": {"depths": [1, 1], "widths": [8, 16]},
    "epochs": 3, "layer_scale": 1.0, "ema_decay": 0.9,
    "data": {"name": "digits", "num_classes": 10, "resolution": 16},
    "optimizer": {"lr": 4e-3}, "schedule": {"warmup_epochs": 1},
    "augmentation": {"rand_augment": None, "color_jitter": 0.0, "random_erasing": 0.0},
    "total_batch_size": 128, "batch_size": 64, "accumulation": 2, "devices": 1,
}  # fmt: skip
SEARCH = ("nas.search", "--space", "micro", "--budget", "20M..40M", "--study", "small")
SIMULATED = (*SEARCH, "--proxy", "simulated:rugged:0.05", "--sampler", "evolution", "--scheduler", "asha",
             "--trials", "10", "--confirm", "1x2")  # fmt: skip
REAL = (*SEARCH, "--proxy", "tiny.yaml", "--sampler", "random", "--scheduler", "asha", "--min-epochs", "1",
        "--trials", "5", "--confirm", "1x1", "--threads", "1")  # fmt: skip
LATENCY = (*SEARCH, "--proxy", "tiny.yaml", "--sampler", "random", "--trials", "2", "--threads", "1",
           "--no-reference", "--max-latency", "10s")  # fmt: skip
RAY = (*SIMULATED[:-3], "6", "--confirm", "0x0", "--engine", "ray", "--workers", "1", "--cpus-per-trial", "1")
MEASURE = ("nas.measure", "network.json", "other.json", "--proxy", "tiny.yaml", "--seeds", "2",
           "--threads", "1", "--study", "small")  # fmt: skip
TRAIN = ("nas.train", "recipe.yaml", "--data", "digits", "--out", "out", "--device", "cpu", "--workers", "0")
EXPORT = ("nas.export", "small", "--to")


@dataclass(frozen=True)
class Scenario:
    """A command to kill. It begins where `before` was carried out, where that is given killed half-way."""

    command: tuple[str, ...]
    before: tuple[str, ...] | None = None
    half: str = ""  # killed in the middle of the events that have this in their names
    forked: bool = True  # else always in an interpreter of its own
    ordered: bool = True  # trials have the same numbers in every run
    by_file: bool = True  # else what one function does to several files is alike
    kills: int | None = None  # at most so many of all, any of them: it takes long


SCENARIOS = {
    "search-simulated": Scenario(SIMULATED),
    "search-simulated-resumed": Scenario(
        (*SIMULATED, "--resume"), SIMULATED, "commit in nas/record/rows.py:TrialRows.end"
    ),
    "search-real": Scenario(REAL),
    "search-real-resumed": Scenario((*REAL, "--resume"), REAL, "rename runs/small/checkpoints"),
    "search-latency": Scenario(LATENCY),
    "measure": Scenario(MEASURE),
    "measure-resumed": Scenario(
        (*MEASURE, "--resume"), MEASURE, "commit in nas/record/rows.py:TrialRows.end"
    ),
    "train": Scenario(TRAIN),
    "train-resumed": Scenario((*TRAIN, "--resume"), TRAIN, "rename out/.checkpoint-last.pt"),
    "export": Scenario((*EXPORT, "native", "convnext", "python"), SIMULATED, by_file=False),
    "export-front": Scenario(
        ("nas.export", "small", "--front", "--out", "all", "--to", "native"), SIMULATED, by_file=False
    ),
    "export-onnx": Scenario((*EXPORT, "onnx"), SIMULATED, by_file=False),
    "export-torch": Scenario((*EXPORT, "torch"), SIMULATED, by_file=False),
    "dashboard": Scenario(("analysis.dashboard", "small"), SIMULATED),
    "search-ray": Scenario(RAY, forked=False, ordered=False, kills=16),
}
# values that no two runs share, and what a kill is right to change
TIMED = {"seconds", "train_seconds", "eval_seconds", "wall_seconds", "images_per_second", "created",
         "started", "ended", "attempts", "mark", "driver"}  # fmt: skip
# TensorBoard's, one for each run
PER_RUN = "events.out.tfevents"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, negative for a signal, and what it said."""

    code: int
    said: str
    log: tuple[dict[str, Any], ...]

    @property
    def last_line(self) -> str:
        """Of what it said."""
        return next((line for line in reversed(self.said.splitlines()) if line.strip()), "")


@dataclass
class Tally:
    """What a scenario came to."""

    scenario: str
    events: int = 0  # in the undisturbed run
    places: int = 0  # different names among them
    kills: int = 0
    before: int = 0
    fresh: int = 0  # of the kills, in an interpreter of its own
    missed: int = 0  # the event did not come: a few depend on the clock
    kept: int = 0  # results and kept epochs that were there at the kills, all told
    lost: int = 0
    repeated: int = 0
    differences: int = 0
    leftovers: int = 0
    dead_ends: int = 0
    compared: list[str] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Every kill did no harm."""
        return self.kills > 0 and not self.notes


# -- processes


class HungError(RuntimeError):
    """A child did not end in time."""


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder of a short name, for the sockets of Ray; unlike Python's own, no child takes it away."""
    folder = Path(tempfile.mkdtemp(prefix="k-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_child(act: Callable[[], Any], *, streams: Path | None = None) -> tuple[int, Any]:
    """What `act` returns in a child of this process, with its exit code; it may be killed.

    What it prints goes to the file `streams`. This process must have no second thread.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            _child(act, answer.fileno(), streams)
        code = _wait(child)
        answer.seek(0)
        content = answer.read()
    return code, pickle.loads(content) if content else None


def _child(act: Callable[[], Any], answer: int, streams: Path | None) -> None:
    """Never returns."""
    code = 1
    try:
        os.setsid()
        if streams is not None:
            out = os.open(streams, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for number in (1, 2):
                os.dup2(out, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        found = pickle.dumps(act())
        os.write(answer, found)
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(child: int) -> int:
    """The exit code of the leader of a process group; what is left of the group is ended."""
    ends = time.monotonic() + PATIENCE
    while not (over := os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
        if time.monotonic() > ends:
            break
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # before its number can be another's
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if over is None:
        raise HungError(f"did not end in {PATIENCE:g} seconds")
    return code


def carry_out(command: Sequence[str], folder: Path, fatal: Moment | None = None, *, forked: bool) -> Ended:
    """The command in `folder`, watched, and killed at a moment; its files are below there, but for `runs`."""
    module, *arguments = command
    with temporary_folder() as beside:  # short, for the sockets of Ray
        log, streams = beside / "log", beside / "said"
        own = {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(beside), "OMP_NUM_THREADS": "1"}

        def act() -> int:
            os.environ.update(own)
            tempfile.tempdir = None
            os.chdir(folder)
            file_events.begin(folder, log, fatal, module)
            return file_events.run(module, arguments)

        if forked:
            code, found = in_child(act, streams=streams)
            code = code or found
        else:
            code = _in_own_interpreter(command, folder, fatal, own, (log, streams))
        lines = log.read_text().splitlines() if log.exists() else ()
        return Ended(code, streams.read_text(errors="replace"), tuple(map(json.loads, lines)))


def _in_own_interpreter(
    command: Sequence[str],
    folder: Path,
    fatal: Moment | None,
    own: Mapping[str, str],
    files: tuple[Path, Path],
) -> int:
    log, streams = files
    flags = (
        []
        if fatal is None
        else ["--event", fatal.event, "--occurrence", str(fatal.occurrence), "--side", fatal.side]
    )
    with streams.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.file_events", str(log), *flags, "--", *command],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    process.returncode = code = _wait(process.pid)
    return code


# -- what is in a folder


@dataclass(frozen=True)
class Found:
    """Content by file, results by study and trial, epochs kept by training, and files that cannot be read."""

    contents: dict[str, Any]
    results: dict[Any, Any]
    kept: dict[str, int]
    broken: dict[str, str]


def look(folder: Path, *, ordered: bool = True) -> Found:
    """All of it, in a child and from a copy: whoever opens a database of a killed process changes it."""

    def act() -> Found:
        with temporary_folder() as beside:
            copy = beside / "copy"
            shutil.copytree(folder, copy, symlinks=True)
            return _look(copy, ordered)

    with tempfile.NamedTemporaryFile() as said:
        _, found = in_child(act, streams=Path(said.name))
        if found is None:
            raise RuntimeError(Path(said.name).read_text())
    assert isinstance(found, Found)
    return found


def _look(folder: Path, ordered: bool) -> Found:
    found = Found({}, {}, {}, {})
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        # onnxruntime keeps a database of its own beside ours
        if path.is_dir() or path.name == ".lock" or PER_RUN in path.name or ".onnxruntime" in path.parts:
            continue
        try:
            found.contents[name] = _content(path, name, found, ordered)
        except Exception as error:  # whatever it is, the file cannot be read
            found.contents[name] = None
            # half a temporary file is no harm, and in `.ray` are Ray's own
            if not any(part.startswith(".") for part in Path(name).parts) and not name.endswith(".part"):
                found.broken[name] = f"{type(error).__name__}: {error}"
    return found


def _content(path: Path, name: str, found: Found, ordered: bool) -> Any:
    if name.endswith("-journal"):  # gone when its database has been read
        return "journal"
    if path.name == "study.db":
        return _study(path, found, ordered)
    if path.suffix == ".ckpt":
        training, epoch = _checkpoint(path.read_bytes())
        found.kept[training] = epoch
        return training, epoch
    if path.suffix in READ:
        values = READ[path.suffix](path)
        if path.name == "checkpoint-last.pt":
            found.kept["the training"] = values["epoch"]
        return _untimed(values)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _load(file: Any) -> Any:
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


READ: dict[str, Callable[[Path], Any]] = {
    ".json": lambda path: json.loads(path.read_text()),
    # a page tells times, too, and its policy has the digests of what tells them
    ".html": lambda path: re.sub(r"sha256-[\w+/=]+|[\d.,]+", "#", path.read_text()),
    ".csv": lambda path: list(csv.DictReader(io.StringIO(path.read_text()))),
    ".pt": _load,
}


def _study(path: Path, found: Found, ordered: bool) -> Any:
    from nas.record.record import Record
    from nas.record.study import study_of

    record = Record.read(path.parent)
    study = study_of(record)
    record.close()
    for trial in study.trials:
        if trial.over:
            key = trial.number if ordered else (trial.fingerprint, trial.seed)
            unordered = () if ordered else ("number", "order", "of")
            found.results[key] = _untimed({k: v for k, v in trial.to_dict().items() if k not in unordered})
    settled = {k: v for k, v in _untimed(study.mapping).items() if k != "versions"}
    return settled, sorted(found.results.items())


def _checkpoint(content: bytes) -> tuple[str, int]:
    """Whose it is and how far it came, of either kind of a search's checkpoints."""
    from nas.training.checkpoint import HEAD, MAGIC

    if content.startswith(MAGIC):
        kept = _load(io.BytesIO(content[len(MAGIC) + HEAD.size :]))
        return f"{kept['identity']['architecture']} {kept['identity']['seed']}", kept["state"]["epoch"]
    values = json.loads(content)
    return f"{values['fingerprint']} {values['seed']}", values["done"]


def _untimed(values: Any) -> Any:
    """Plain values without what no two runs share; tensors as digests of their bytes."""
    if isinstance(values, Mapping):
        return {k: _untimed(v) for k, v in values.items() if k not in TIMED}
    if isinstance(values, list | tuple):
        return [_untimed(v) for v in values]
    if hasattr(values, "numpy"):
        array = values.detach().numpy()
        return str(values.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest()
    return values


# -- one scenario


class Campaign:
    """The kills of one scenario."""

    def __init__(self, name: str, root: Path, rng: random.Random) -> None:
        self.tally = Tally(name)
        self._scenario = SCENARIOS[name]
        self._root = root
        self._rng = rng
        self._start = root / "start"
        self._expected = Found({}, {}, {}, {})

    def run(self, most: int, fresh: int, jobs: int) -> Tally:
        """Undisturbed twice, then at most so many kills before and after the events of each name."""
        began = time.monotonic()
        self._prepare()
        undisturbed = self._undisturbed()
        moments = self._moments(undisturbed, most)
        outside = set(self._rng.sample(range(len(moments)), min(fresh, len(moments))))
        parts = [moments[i::jobs] for i in range(jobs)]
        numbers = [range(len(moments))[i::jobs] for i in range(jobs)]
        works = [
            lambda i=i: [self._kill(m, n in outside) for m, n in zip(parts[i], numbers[i], strict=True)]
            for i in range(jobs)
        ]
        for tallies in side_by_side(works):
            for one in tallies:
                self._add(one)
        self.tally.seconds = time.monotonic() - began
        return self.tally

    def _prepare(self) -> None:
        """The folder that every run starts from."""
        self._start.mkdir(parents=True)
        (self._start / "tiny.yaml").write_text(TINY)
        in_child(lambda: write_inputs(self._start))
        before = self._scenario.before
        if before is None:
            return
        with self._folder("rehearsal") as rehearsal:
            done = self._do(before, rehearsal)
            fatal = halfway(done, self._scenario.half) if self._scenario.half else None
        done = self._do(before, self._start, fatal)
        if done.code != (KILLED if fatal else 0):
            raise RuntimeError(f"{self.tally.scenario}: {shlex.join(before)}: {done.code}: {done.said}")

    def _undisturbed(self) -> Ended:
        ordered = self._scenario.ordered
        with self._folder("first") as first:
            ended = self._do(self._scenario.command, first)
            self._expected = look(first, ordered=ordered)
        with self._folder("second") as second:
            again = carry_out(self._scenario.command, second, forked=False)
            other = look(second, ordered=ordered)
        for one in (ended, again):
            if one.code:
                raise RuntimeError(f"{self.tally.scenario}: undisturbed: exit code {one.code}: {one.said}")
        contents = self._expected.contents
        self.tally.compared = sorted(
            name for name, value in contents.items() if other.contents.get(name) == value
        )
        self.tally.not_compared = sorted(contents.keys() - set(self.tally.compared))
        return ended

    def _moments(self, undisturbed: Ended, most: int) -> list[Moment]:
        groups: dict[str, list[tuple[str, int]]] = {}
        counts: Counter[str] = Counter()
        for line in undisturbed.log:
            if "event" in line:
                event = line["event"]
                counts[event] += 1
                group = event if self._scenario.by_file else line["alike"]
                groups.setdefault(group, []).append((event, counts[event]))
        self.tally.events, self.tally.places = sum(counts.values()), len(groups)
        moments = [
            Moment(*found[i - 1], side)
            for found in groups.values()
            for i in chosen(len(found), most, self._rng)
            for side in SIDES
        ]
        fewer = self._scenario.kills or len(moments)
        return moments if len(moments) <= fewer else self._rng.sample(moments, fewer)

    def _kill(self, moment: Moment, fresh: bool) -> Tally:
        """One kill, and the command again."""
        one = Tally(self.tally.scenario)
        with self._folder("killed") as folder:
            try:
                self._kill_in(folder, moment, fresh, one)
            except HungError as error:
                one.dead_ends += 1
                self._note(one, moment, "dead end", str(error))
        return one

    def _kill_in(self, folder: Path, moment: Moment, fresh: bool, one: Tally) -> None:
        command = self._scenario.command
        killed = self._do(command, folder, moment, fresh=fresh)
        if killed.code != KILLED:
            one.missed = 1
            if killed.code:
                self._note(one, moment, "dead end", f"undisturbed: {killed.code}: {killed.last_line}")
                one.dead_ends = 1
            return
        one.kills, one.before, one.fresh = 1, moment.side == "before", fresh
        there = look(folder, ordered=self._scenario.ordered)
        one.kept = len(there.results) + sum(there.kept.values())
        for name, why in there.broken.items():
            one.lost += 1
            self._note(one, moment, "broken", f"{name}: {why}")
        self._check_lost(one, moment, killed, there)
        again = self._again(folder, fresh)
        if again.code:
            one.dead_ends = 1
            self._note(one, moment, "dead end", f"exit code {again.code}: {again.last_line}")
            return
        self._check_repeated(one, moment, again, there)
        self._check_end(one, moment, there, look(folder, ordered=self._scenario.ordered))

    def _again(self, folder: Path, fresh: bool) -> Ended:
        """The same command, then as its message says: with `--resume` or without."""
        command = self._scenario.command
        again = self._do(command, folder, fresh=fresh)
        if again.code == 2 and "resume" in again.said:
            other = [word for word in command if word != "--resume"]
            again = self._do(
                other if len(other) < len(command) else [*command, "--resume"], folder, fresh=fresh
            )
        return again

    def _check_lost(self, one: Tally, moment: Moment, killed: Ended, there: Found) -> None:
        """What the killed command had stored is there."""
        stored = {line["stored"] for line in killed.log if "stored" in line}
        gone = stored - set(there.results) if self._scenario.ordered else set()
        epochs = max((line["kept"] for line in killed.log if "kept" in line), default=0)
        if gone or there.kept.get("the training", 0) < epochs:
            one.lost += len(gone) or 1
            self._note(one, moment, "lost", f"trials {sorted(gone)}, epochs {epochs}")

    def _check_repeated(self, one: Tally, moment: Moment, again: Ended, there: Found) -> None:
        """No training whose result was stored is begun again, no epoch that was kept trained again."""
        training, trained = "the training", []
        for line in again.log:
            if "begun" in line:
                training = line["training"]
                if line["begun"] in there.results:
                    trained.append(f"trial {line['begun']}")
            if "epoch" in line and line["epoch"] <= there.kept.get(training, 0):
                trained.append(f"{training}: epoch {line['epoch']}")
        if trained:
            one.repeated += len(trained)
            self._note(one, moment, "repeated", ", ".join(trained))

    def _check_end(self, one: Tally, moment: Moment, there: Found, end: Found) -> None:
        """Everything is as it was at the kill or as in the undisturbed run."""
        changed = [key for key, value in there.results.items() if end.results.get(key) != value]
        if changed:
            one.lost += len(changed)
            self._note(one, moment, "lost", f"results of {changed} at the kill")
        expected = self._expected.contents
        different = [name for name in self.tally.compared if end.contents.get(name) != expected[name]]
        different += [name for name in expected if name not in end.contents and name not in different]
        if different:
            one.differences += len(different)
            told = differences(expected, end.contents, different)
            self._note(one, moment, "different", told)
        left = sorted(end.contents.keys() - expected.keys())
        if left:
            one.leftovers += len(left)
            self._note(one, moment, "left over", ", ".join(left))

    def _note(self, one: Tally, moment: Moment, what: str, message: str) -> None:
        flags = ["--event", moment.event, "--occurrence", str(moment.occurrence), "--side", moment.side]
        words = ["python", "-m", "tests.file_events", "../log", *flags, "--", *self._scenario.command]
        one.notes.append({"what": what, "message": message, **asdict(moment), "command": shlex.join(words)})

    def _add(self, one: Tally) -> None:
        for name in ("kills", "before", "fresh", "missed", "kept", "lost", "repeated", "differences",
                     "leftovers", "dead_ends"):  # fmt: skip
            setattr(self.tally, name, getattr(self.tally, name) + getattr(one, name))
        self.tally.notes += one.notes

    def _do(
        self, command: Sequence[str], folder: Path, fatal: Moment | None = None, *, fresh: bool = False
    ) -> Ended:
        return carry_out(command, folder, fatal, forked=self._scenario.forked and not fresh)

    @contextlib.contextmanager
    def _folder(self, name: str) -> Iterator[Path]:
        """A copy of the folder at the start; always of the same name where there is one job."""
        folder = self._root / f"{name}-{os.getpid()}" / "here"
        shutil.copytree(self._start, folder, symlinks=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)


def write_inputs(folder: Path) -> None:
    """A recipe for the training, and two networks to measure."""
    from nas.recipe.recipe import recipe_from, recipe_text
    from space.architecture import Architecture

    small = Architecture.convnext([1, 1], [8, 16], drop_path=0.1)
    other = Architecture.convnext([1, 1], [8, 24])
    recipe = recipe_from(RECIPE | {"architecture": small.to_dict()}, "recipe")
    (folder / "recipe.yaml").write_text(recipe_text(recipe))
    for name, network in (("network", small), ("other", other)):
        (folder / f"{name}.json").write_text(json.dumps(network.to_dict()))


def halfway(done: Ended, part: str) -> Moment:
    """Just after the middle one of the events whose names have `part`."""
    events = [line["event"] for line in done.log if "event" in line]
    places = [i for i, event in enumerate(events) if part in event]
    middle = places[len(places) // 2]
    return Moment(events[middle], events[: middle + 1].count(events[middle]), "after")


def chosen(count: int, most: int, rng: random.Random) -> list[int]:
    """The first, the last, the second, then any: of so many events at most so many."""
    wanted = list(dict.fromkeys(n for n in (1, count, 2) if n <= count))[:most]
    others = [n for n in range(1, count + 1) if n not in wanted]
    return sorted(wanted + rng.sample(others, min(most - len(wanted), len(others))))


def differences(expected: Mapping[str, Any], found: Mapping[str, Any], names: Sequence[str]) -> str:
    """The files, and of the first the first value that differs."""
    from nas.training.folder import difference

    first = names[0]
    if first not in found:
        return f"{', '.join(names)}: {first} is missing"
    return f"{', '.join(names)}: {first}: {str(difference(expected[first], found[first]))[:300]}"


def side_by_side(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each returns, each in a child of its own."""
    if len(works) == 1:
        return [works[0]()]
    with temporary_folder() as folder:
        children = []
        for i, work in enumerate(works):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    (folder / str(i)).write_bytes(pickle.dumps(work()))
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(code)
            children.append(child)
        if any([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]):  # noqa: C419
            raise RuntimeError("a part of the campaign failed")
        return [pickle.loads((folder / str(i)).read_bytes()) for i in range(len(works))]


# -- all of them


def campaign(scenarios: Sequence[str], most: int, seed: int, fresh: int, jobs: int) -> Iterator[Tally]:
    """The scenarios one after the other."""
    file_events.import_all()
    for name in scenarios:
        with temporary_folder() as root:
            yield Campaign(name, root, random.Random(f"{name} {seed}")).run(most, fresh, jobs)


def report(tallies: Sequence[Tally]) -> Table:
    """One row a scenario."""
    table = Table(title="kills at what is done to files", width=128)
    headings = ("scenario", "events", "places", "kills", "kept at kills", "lost", "repeated", "differences",
                "left over", "dead ends", "passed")  # fmt: skip
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "scenario" else "right")
    for t in tallies:
        numbers = (
            t.events,
            t.places,
            t.kills,
            t.kept,
            t.lost,
            t.repeated,
            t.differences,
            t.leftovers,
            t.dead_ends,
        )
        table.add_row(t.scenario, *map(str, numbers), "yes" if t.passed else "NO")
    return table


def tell(tallies: Sequence[Tally]) -> None:
    """The table, then each kind of failure once with the first event that it followed."""
    console = Console(width=128)
    console.print(report(tallies))
    for t in tallies:
        kinds = Counter((note["what"], file_events.RANDOM.sub("*", note["message"])) for note in t.notes)
        for (what, message), count in kinds.most_common():
            first = next(
                n for n in t.notes
                if (n["what"], file_events.RANDOM.sub("*", n["message"])) == (what, message)
            )  # fmt: skip
            console.print(f"{t.scenario}: {what} ({count}x): {message}", markup=False, soft_wrap=True)
            console.print(f"    {first['side']} {first['event']}", markup=False, soft_wrap=True)
