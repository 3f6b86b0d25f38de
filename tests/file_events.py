"""One command that writes down what it does to files, and kills itself at a chosen moment of that.

    python -m tests.file_events LOG [--event NAME --occurrence N --side before|after] -- nas.search FLAGS

An event is a file or folder made, renamed, removed or synced below the current folder, a commit to a study's
database, or a write that SQLite makes for one. Its name has its kind, the file and the functions that it
happens in; numbers and random parts of names are left out, so that the same step has the same name in every
run. Audit hooks and SQLite's own table of system calls tell the moment before, wrappers the one after.
"""

from __future__ import annotations

import argparse
import atexit
import builtins
import ctypes
import functools
import importlib
import io
import json
import os
import re
import runpy
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("nas", "analysis", "space"))
# they write and start for others, whose functions tell more
HELPERS = tuple(str(ROOT / "space" / name) for name in ("files.py", "command.py"))
FUNCTIONS = 3  # of them in an event's name, the innermost first
SIDES = ("before", "after")
WRITING = os.O_WRONLY | os.O_RDWR
RANDOM = re.compile(r"(?<=\.)(?=\w*[\d_])\w{8}(?=\.)|\d+")
# audit events with a path and a folder that it is relative to: kind, the places of both among the arguments
AUDITED = {
    "os.rename": ("rename", 0, 2), "os.remove": ("remove", 0, 1), "os.rmdir": ("remove folder", 0, 1),
    "os.mkdir": ("make folder", 0, 2),
}  # fmt: skip
WRAPPED = [*((os, name) for name in ("open", "rename", "replace", "remove", "unlink", "rmdir", "mkdir")),
           (io, "open"), (builtins, "open")]  # fmt: skip
# modules that import what a command needs, and those whose functions are watched
HEAVY = (
    "nas.search",
    "nas.measure",
    "nas.export",
    "nas.train",
    "nas.run",
    "nas.driver.controller",
    "nas.proxy.trainer",
    "nas.engines.local",
    "nas.training.full",
    "nas.proxy.simulated",
    "nas.targets.exportable",
    "nas.targets.model_card",
    "nas.driver.progress",
    "nas.targets.onnx",
    "nas.targets.torch_export",
    "nas.data.sources.digits",
    "torch.onnx",
    "sklearn.datasets",
    "analysis.page.page",
    "nas.verdict.confirm",
    "torch.utils.tensorboard",
    "nas.targets.source.module",
    "nas.targets.python",
    "nas.targets.native",
    "nas.targets.convnext",
    "PIL.Image",
    "nas.data.augment.image_ops",
    "nas.data.augment.rand_augment",
    "nas.data.augment.erasing",
    "nas.training.display",
    "space.references",
    "analysis.dashboard",
    "nas.targets.verification",
    "sympy",
)


@dataclass(frozen=True)
class Moment:
    """Just before or just after the so-manyth event of a name."""

    event: str
    occurrence: int
    side: str


class Watch:
    """Writes every event to a log, one JSON value a line, and ends this process at a moment."""

    def __init__(self, folder: Path, log: Path, fatal: Moment | None = None) -> None:
        self._folder = os.path.realpath(folder) + os.sep
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._fatal = fatal
        self._seen: Counter[str] = Counter()
        self._local = threading.local()
        self._kept: list[Any] = []  # what C calls

    def install(self) -> None:
        """From now on, to the end of the process."""
        for owner, name in WRAPPED:
            setattr(owner, name, self._followed(getattr(owner, name)))
        for name in ("fsync", "fdatasync"):
            setattr(os, name, self._synced(getattr(os, name)))
        self._watch_commits()
        self._watch_sqlite()
        sys.addaudithook(self._audit)

    def note(self, **values: Any) -> None:
        """A line in the log."""
        os.write(self._log, json.dumps(values).encode() + b"\n")

    def before(self, kind: str, path: str = "") -> tuple[str, int]:
        """Something is about to happen."""
        where = place(sys._getframe(1))
        event = f"{kind} {RANDOM.sub('*', path)}".strip() + f" in {where}"
        self._seen[event] += 1
        self.note(event=event, alike=f"{kind} in {where}")
        self._end_at(event, self._seen[event], "before")
        return event, self._seen[event]

    def after(self, event: tuple[str, int]) -> None:
        """It has happened."""
        self._end_at(*event, "after")

    def _end_at(self, event: str, occurrence: int, side: str) -> None:
        if self._fatal == Moment(event, occurrence, side):
            self.note(killed=event)
            os.kill(os.getpid(), signal.SIGKILL)

    def _inside(self, path: Any, parent: Any = None) -> str | None:
        """A path below the folder, relative to it."""
        if isinstance(path, int) or path is None:
            return None
        text = os.fsdecode(path)
        if isinstance(parent, int) and parent >= 0:
            text = os.path.join(path_of(parent), text)  # noqa: PTH118
        folder, name = os.path.split(os.path.abspath(text))  # noqa: PTH100
        whole = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
        return whole.removeprefix(self._folder) if whole.startswith(self._folder) else None

    def _audit(self, name: str, values: tuple[Any, ...]) -> None:
        if name == "open":
            self._opened(*values)
        elif name in AUDITED:
            kind, path, parent = AUDITED[name]
            inside = self._inside(values[path], values[parent])
            if inside is not None and self._happens(name, self._folder + inside):
                self._local.event = self.before(kind, inside)

    def _happens(self, name: str, path: str) -> bool:
        """A folder that is there already is not made, a file that is gone already not removed."""
        if name == "os.mkdir":
            return not os.path.lexists(path) and os.path.isdir(os.path.dirname(path))  # noqa: PTH112, PTH120
        return os.path.lexists(path)

    def _opened(self, path: Any, _: Any, flags: int) -> None:
        making = flags & (os.O_CREAT | os.O_TRUNC)
        inside = self._inside(path) if flags & WRITING and making else None
        if inside is None or os.path.isdir(path):  # noqa: PTH112  a file without a name in that folder
            return
        if flags & os.O_TRUNC or not os.path.lexists(path):
            self._local.event = self.before("make", inside)

    def _followed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose audited event is over when it returns."""

        @functools.wraps(function)
        def followed(*arguments: Any, **named: Any) -> Any:
            self._local.event = None
            found = function(*arguments, **named)
            event, self._local.event = self._local.event, None
            if event is not None:
                self.after(event)
            return found

        return followed

    def _synced(self, function: Callable[[Any], None]) -> Callable[[Any], None]:
        def synced(file: Any) -> None:
            number = file if isinstance(file, int) else file.fileno()
            inside = self._inside(path_of(number))
            event = None if inside is None else self.before("sync", inside)
            function(file)
            if event is not None:
                self.after(event)

        return synced

    def _watch_commits(self) -> None:
        from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

        owner: Any = SQLiteDialect_pysqlite
        commit = owner.do_commit

        def committed(dialect: Any, connection: Any) -> None:
            event = self.before("commit") if connection.in_transaction else None
            commit(dialect, connection)
            if event is not None:
                self.after(event)

        owner.do_commit = committed

    def _watch_sqlite(self) -> None:
        """SQLite's own writes and removals, by its table of system calls: a commit has several inside."""
        number, size, where = ctypes.c_int, ctypes.c_size_t, ctypes.c_int64
        calls: dict[bytes, tuple[list[Any], Any, Callable[..., Any]]] = {
            b"pwrite64": ([number, ctypes.c_void_p, size, where], ctypes.c_ssize_t, self._database_write),
            b"pwrite": ([number, ctypes.c_void_p, size, where], ctypes.c_ssize_t, self._database_write),
            b"write": ([number, ctypes.c_void_p, size], ctypes.c_ssize_t, self._database_write),
            b"unlink": ([ctypes.c_char_p], ctypes.c_int, self._database_remove),
        }
        system = _sqlite_system()
        if system is None:
            return
        for name, (arguments, result, begins) in calls.items():
            kind = ctypes.CFUNCTYPE(result, *arguments)
            address = system.xGetSystemCall(ctypes.byref(system), name)
            if address:
                call = kind(self._database_call(kind(address), begins))
                self._kept.append(call)
                system.xSetSystemCall(ctypes.byref(system), name, ctypes.cast(call, ctypes.c_void_p))

    def _database_call(self, call: Callable[..., int], begins: Callable[..., Any]) -> Callable[..., int]:
        def called(*arguments: Any) -> int:
            event = begins(arguments[0])
            found = call(*arguments)
            if event is not None:
                self.after(event)
            return found

        return called

    def _database_write(self, number: int) -> tuple[str, int] | None:
        inside = self._inside(path_of(number))
        return None if inside is None else self.before("database write", inside)

    def _database_remove(self, path: bytes) -> tuple[str, int] | None:
        inside = self._inside(path)
        return None if inside is None else self.before("database remove", inside)


class _System(ctypes.Structure):
    """`sqlite3_vfs` (https://sqlite.org/c3ref/vfs.html): the operating system as SQLite sees it."""


_CALL = (ctypes.POINTER(_System), ctypes.c_char_p)
_System._fields_ = [
    ("iVersion", ctypes.c_int), ("szOsFile", ctypes.c_int), ("mxPathname", ctypes.c_int),
    *((name, ctypes.c_void_p) for name in ("pNext", "zName", "pAppData", *(f"x{i}" for i in range(13)))),
    ("xSetSystemCall", ctypes.CFUNCTYPE(ctypes.c_int, *_CALL, ctypes.c_void_p)),
    ("xGetSystemCall", ctypes.CFUNCTYPE(ctypes.c_void_p, *_CALL)),
]  # fmt: skip


def _sqlite_system() -> Any:
    """The `sqlite3_vfs` of Python's own SQLite; None where that cannot be reached."""
    import _sqlite3

    try:
        find = ctypes.CDLL(getattr(_sqlite3, "__file__", None)).sqlite3_vfs_find
    except (AttributeError, OSError):  # SQLite is part of the interpreter, and its names are hidden
        return None
    find.restype, find.argtypes = ctypes.POINTER(_System), [ctypes.c_char_p]
    system = find(None).contents
    return system if system.iVersion >= 3 else None


def path_of(number: int) -> str:
    """The path of an open file."""
    return str(Path(f"/proc/self/fd/{number}").readlink())


def place(frame: FrameType | None) -> str:
    """The project's functions that are being carried out, the innermost first."""
    names: list[str] = []
    while frame is not None and len(names) < FUNCTIONS:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGES) and file not in HELPERS and frame.f_code.co_name != "<module>":
            name = f"{file.removeprefix(f'{ROOT}{os.sep}')}:{frame.f_code.co_qualname}"
            names += [name] if name not in names else []
        frame = frame.f_back
    return " < ".join(names) or "a library"


def watch_trainings(watch: Watch) -> None:
    """Note what a search or a training has done: trainings begun, epochs trained, results stored."""
    from nas.driver.controller import SearchController
    from nas.proxy import simulated, trainer
    from nas.record import record
    from nas.training import full as full_training

    def noted(owner: Any, name: str, say: Callable[..., dict[str, Any]], *, first: bool = False) -> None:
        function = getattr(owner, name)

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if first:
                watch.note(**say(*arguments))
            found = function(*arguments, **named)
            if not first:
                watch.note(**say(*arguments))
            return found

        setattr(owner, name, call)

    def begun(_: Any, job: Any) -> dict[str, Any]:
        return {"begun": job.trial, "training": f"{job.architecture.fingerprint} {job.seed}"}

    noted(SearchController, "started", begun, first=True)
    for name in ("complete", "fail"):
        noted(record.Record, name, lambda _, number, *rest: {"stored": number})
    noted(simulated.SimulatedTraining, "epoch", lambda training, *_: {"epoch": len(training.curve)})
    for owner in (trainer, full_training):
        noted(owner, "run_epoch", lambda state, *rest: {"epoch": state.epoch})
    noted(full_training.FullTraining, "epoch", lambda training, *rest: {"kept": len(training.curve)})


def import_all() -> None:
    """All that the commands need, so that a child of this process has it."""
    import optuna

    for name in HEAVY:
        importlib.import_module(name)
    for name in sys.modules["analysis.page.page"].VIEWS:
        importlib.import_module(f"analysis.views.{name}")
    # what a first database has imported and prepared
    optuna.create_study(storage="sqlite:///:memory:").ask()


def begin(folder: Path, log: Path, fatal: Moment | None, module: str) -> None:
    """Watch this process."""
    watch = Watch(folder, log, fatal)
    if module in ("nas.search", "nas.measure", "nas.train"):
        watch_trainings(watch)
    watch.install()


def run(module: str, arguments: Sequence[str]) -> int:
    """A command in this process, its exit code; like the interpreter at its end, apart from leaving."""
    sys.argv = [module, *arguments]
    try:
        code: int = importlib.import_module(module).main(list(arguments))
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def main(argv: Sequence[str] | None = None) -> None:
    """The command that is watched, as if it had been started by itself."""
    parse = argparse.ArgumentParser(description="Run a command that is killed at an event.")
    parse.add_argument("log", type=Path)
    parse.add_argument("--event", default="")
    parse.add_argument("--occurrence", type=int, default=1)
    parse.add_argument("--side", choices=SIDES, default="before")
    parse.add_argument("command", nargs="+", metavar="MODULE ARGUMENT")
    options = parse.parse_args(argv)
    fatal = Moment(options.event, options.occurrence, options.side) if options.event else None
    module, *arguments = options.command
    begin(Path.cwd(), options.log, fatal, module)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
