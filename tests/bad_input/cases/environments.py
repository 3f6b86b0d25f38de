"""Environments: streams closed or full, no home, an unknown user, locked folders, odd terminals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.bad_input.case import COMMANDS, Case, Make
from tests.bad_input.cases.flags import BASE, GIVEN, SEARCH
from tests.bad_input.stock import PROXY
from tests.bad_input.wrong import ESCAPE, LONG, document, stocked

WRONG = dict.fromkeys(COMMANDS, (f"--{ESCAPE}-é-�",))
RIGHT = {
    "space.describe": ("convnext_tiny",),
    "analysis.compare": ("--published", "--noise", "0.1"),
    "analysis.importance": ("sweep",),
    "analysis.scale": ("sweep", "--to", "48M", "--out", "found.json"),
    "nas.export": ("--arch", "convnext_tiny", "--to", "native", "--out", "exported"),
    "nas.evaluate": ("model.pt", "--data", "imagefolder:images", "--workers", "0"),
}
"""Command lines that print."""
WRITTEN = {
    "analysis.scale": ("work/found.json",),
    "nas.export": ("work/exported*",),
}
ENCODINGS = (
    {"LANG": "C", "LC_ALL": "C"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict", "LANG": "POSIX"},
)


def cases() -> Iterator[Case]:
    """All of them."""
    for command in COMMANDS:
        yield from _refused(command)
    for command, argv in RIGHT.items():
        yield from _printed(command, argv)
    yield from _homeless()
    yield from _strangers()


def _refused(command: str) -> Iterator[Case]:
    """A mistake, told under every condition."""
    case = Case(command, "environments", "stderr", "", WRONG[command])
    for env in ENCODINGS:
        yield replace(case, name=f"a mistake, {' '.join(f'{k}={v}' for k, v in env.items())}", env=env)
    yield replace(case, name="a mistake, COLUMNS=10", env={"COLUMNS": "10", "LINES": "1"})
    yield replace(
        case, name="a mistake, TERM=nope and colours forced", env={"TERM": "nope", "FORCE_COLOR": "1"}
    )
    yield replace(case, name="a mistake, stdout closed", streams=">&-")
    yield replace(case, name="a mistake, stderr closed", streams="2>&-", told=False)
    yield replace(case, name="a mistake, stderr full", streams="2>/dev/full", told=False)
    yield replace(case, name="a mistake, all closed", streams="<&- >&- 2>&-", told=False)


def _printed(command: str, argv: tuple[str, ...]) -> Iterator[Case]:
    """What is right, where it cannot be printed: not to be told as a traceback."""
    files = GIVEN.get(command, {})
    leaves = WRITTEN.get(command, ())
    case = Case(command, "environments", "stdout", "", argv, files, leaves=leaves)
    yield replace(case, name="stdout full", streams=">/dev/full")
    yield replace(case, name="stdout full, in ASCII", streams=">/dev/full", env={"PYTHONIOENCODING": "ascii"})
    yield replace(case, name="stdout closed", streams=">&-", code=0, told=False)
    yield replace(case, name="stdout and stderr closed", streams=">&- 2>&-", code=0, told=False)
    yield replace(case, name="--help to a full stdout", argv=("--help",), files={}, streams=">/dev/full")
    for env in ENCODINGS:
        name = f"printed with {' '.join(f'{k}={v}' for k, v in env.items())}"
        yield replace(case, name=name, env=env, code=0, told=False, printed=True)
    yield replace(
        case, name="printed with COLUMNS=10", env={"COLUMNS": "10"}, code=0, told=False, printed=True
    )
    for width in ("0", "x"):
        name = f"printed with COLUMNS={width}"
        yield replace(case, name=name, env={"COLUMNS": width}, code=0, told=False, printed=True)


def _homeless() -> Iterator[Case]:
    """No place for the cache of a data set where it should be: another is taken, and named."""
    files = {"tiny.json": stocked("tiny.json"), "proxy.yaml": document(PROXY, ".yaml"), "file.txt": "x"}
    argv = ("tiny.json", "--seeds", "1", "--proxy", "proxy.yaml")
    case = Case("nas.measure", "environments", "cache", "", argv, files)
    case = replace(case, code=0, told=None, printed=True, leaves=("work/runs*", "tmp/convnext-nas-*"))
    for name, env in {
        "a file": {"XDG_CACHE_HOME": "{work}/file.txt"},
        "in /proc": {"XDG_CACHE_HOME": "/proc/x"},
        "of a long name": {"XDG_CACHE_HOME": f"/{LONG}"},
        "in a home in /proc": {"XDG_CACHE_HOME": None, "HOME": "/proc/x"},
    }.items():
        yield replace(case, name=f"the cache is {name}", env=env)
    nobody = {"HOME": None, "XDG_CACHE_HOME": None}
    yield replace(case, aim="user", name="an unknown user without a home trains", env=nobody, user="unknown")


def _strangers() -> Iterator[Case]:
    """A user whom the system does not know, without a home, as in a container."""
    homeless = {"HOME": None, "XDG_CACHE_HOME": None}
    for command in COMMANDS:
        case = Case(
            command,
            "environments",
            "user",
            "a mistake of an unknown user without a home",
            ("--nope",),
            env=homeless,
        )
        yield replace(case, user="unknown")
    for command, argv in {
        "nas.search": (*SEARCH, "--study", "~/x"), "nas.train": (*BASE["nas.train"], "--out=~/x"),
        "analysis.dashboard": ("~/x",), "analysis.compare": ("~/x",), "nas.export": ("~",),
    }.items():  # fmt: skip
        files = GIVEN[command] if command == "nas.train" else {}
        case = Case(command, "environments", "user", "~ without a home", argv, files, env=homeless)
        yield replace(case, user="unknown")
    for command in ("analysis.compare", "analysis.dashboard", "nas.export", "analysis.proxies"):
        files = {"runs/small": stocked("small"), "runs/small/study.db": _unreadable("small/study.db")}
        yield Case(
            command,
            "environments",
            "permissions",
            "a study that cannot be read",
            BASE[command][:1] if command != "nas.export" else ("small",),
            files,
            user="bound",
        )
    for command, flag in (
        ("nas.search", "--study-file"),
        ("nas.search", "--space"),
        ("nas.measure", "--proxy"),
    ):
        rest = SEARCH if command == "nas.search" else ("convnext_tiny",)
        yield Case(command, "environments", "permissions", f"{flag} that cannot be read", (*rest, flag,
            "bad.yaml"),
                   {"bad.yaml": _unreadable("recipe.yaml")}, user="bound")  # fmt: skip
    for command, argv in (("nas.train", BASE["nas.train"]), ("nas.evaluate", BASE["nas.evaluate"])):
        files = {**GIVEN[command], "images/val/a": _locked}
        yield Case(
            command,
            "environments",
            "permissions",
            "a class that cannot be read",
            tuple(argv),
            files,
            user="bound",
        )
    for command, argv in (
        ("nas.search", SEARCH), ("nas.measure", ("convnext_tiny", "--proxy", "simulated:separable")),
        ("nas.export", ("--arch", "convnext_tiny", "--to", "native")), ("nas.train", BASE["nas.train"]),
        ("analysis.dashboard", ("small", "--out", "x.html")), ("analysis.scale", ("sweep", "--to", "48M",
            "--out", "x.json")),
        ("analysis.importance", ("small", "--csv", "x.csv")), ("analysis.compare", ("--published",
            "--csv", "x.csv")),
    ):  # fmt: skip
        yield Case(command, "environments", "permissions", "a working directory that cannot be written",
            tuple(argv),
                   {**GIVEN.get(command, {}), "../work": _read_only}, user="bound")  # fmt: skip


def _unreadable(name: str) -> Make:
    """A copy of what the stock has, that its owner may not read."""

    def make(path: Path, stock: Path) -> None:
        stocked(name)(path, stock)
        path.chmod(0)

    return make


def _locked(path: Path, _: Path) -> None:
    path.chmod(0)


def _read_only(path: Path, _: Path) -> None:
    path.chmod(0o555)
