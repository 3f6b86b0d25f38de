"""Runs commands in forks of a process that has all imports done: `python -m tests.bad_input.server`.

A request is a line of JSON on stdin, its answer one on stdout.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

PACKAGES = ("space", "nas", "analysis")
BESIDE = (
    "sklearn.linear_model",
    "sklearn.datasets",
    "scipy.stats",
    "torch.utils.data",
    "PIL.Image",
    "rich.table",
)
# heavy, and asked for by few
NOT = ("nas.engines.ray.tune", "nas.engines.ray.engine", "analysis.page.live")
ADDRESS_SPACE = 4 << 30  # bytes over the imports': the machine must survive what takes all memory
LOOK = 0.002


def preload() -> None:
    """Import what the commands import, or the modules named on the command line."""
    if len(sys.argv) > 1:
        for name in sys.argv[1:]:
            importlib.import_module(name)
        return
    for package in PACKAGES:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            if module.name not in NOT:
                importlib.import_module(module.name)
    for name in BESIDE:
        importlib.import_module(name)


def become(request: dict[str, Any]) -> None:
    """Turn this fork into the command's process."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = _pages(0) + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    tempfile.tempdir = None  # it has not been asked for
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT),
        (2, request["err"], os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = [f"{request['command'].replace('.', '/')}.py", *request["argv"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def waited(child: int, seconds: float) -> tuple[int | None, float, int]:
    """Exit code (None: killed for its time; negative: a signal), seconds, and KiB of memory at most."""
    began = time.monotonic()
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        taken = time.monotonic() - began
        if pid:
            return os.waitstatus_to_exitcode(status), taken, usage.ru_maxrss
        if taken > seconds:
            os.killpg(child, signal.SIGKILL)
            _, _, usage = os.wait4(child, 0)
            return None, taken, usage.ru_maxrss
        time.sleep(LOOK)


def _pages(column: int) -> int:
    """Bytes of this process: 0 its address space, 1 what is resident."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[column]) * resource.getpagesize()


def _threads() -> list[str]:
    """Names of this process's threads but an allocator's, which knows of forks."""
    names = [path.read_text(encoding="ascii").strip() for path in Path("/proc/self/task").glob("*/comm")]
    return [name for name in names if not name.startswith("jemalloc")]


def serve() -> dict[str, Any] | None:
    """Answer requests; returns in a fork with the one to carry out, and in the server with None."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    preload()
    if len(_threads()) > 1:
        raise RuntimeError(f"the imports have started threads, which do not survive a fork: {_threads()}")
    baseline = _pages(1) >> 10
    print(json.dumps({"baseline": baseline}), file=answers, flush=True)
    while line := requests.readline():
        request: dict[str, Any] = json.loads(line)
        child = os.fork()
        if child == 0:
            os.close(requests.fileno())
            os.close(answers.fileno())
            become(request)
            return request
        code, seconds, memory = waited(child, request["seconds"])
        answer = {"code": code, "seconds": seconds, "memory": (memory - baseline) / 1024}
        print(json.dumps(answer), file=answers, flush=True)
    return None


def carry_out(command: str) -> NoReturn:
    """Run it, and end as an interpreter does, but for the taking apart of modules, which takes longest."""
    code: Any
    try:
        code = importlib.import_module(command).main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = 120
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    asked = serve()
    if asked is not None:
        carry_out(asked["command"])
