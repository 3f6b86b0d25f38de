"""Every case in a place of its own: a working directory, a home, a cache, a folder for temporary files."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bad_input.case import Case, Outcome
from tests.bad_input.server import waited

ROOT = Path(__file__).parents[2]
SECONDS = 60.0  # a command may take, on a busy machine
PLACES = ("work", "home", "cache", "tmp")
USERS = {
    # whom the system does not know; this Python may lie where only root can read
    "unknown": [
        "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search",
    ],
    # whom permissions bind, as they do not bind root
    "bound": [
        "setpriv", "--inh-caps=-dac_override,-dac_read_search",
            "--bounding-set=-dac_override,-dac_read_search",
    ],
}  # fmt: skip
KEPT = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")
HASHED = 1 << 20  # bytes; larger files are known by size and time


class Server:
    """The process that forks for each command, once it has imported these modules; all for none."""

    def __init__(self, *modules: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bad_input.server", *modules], cwd=ROOT, env=environment(ROOT,
                {}), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._answer()

    def run(
        self, command: str, argv: Sequence[str], place: Path, env: Mapping[str, Any], seconds: float
    ) -> Any:
        """Exit code, seconds and memory of a command in `place`, its output in out and err there."""
        request = {
            "command": command, "argv": list(argv), "cwd": str(place / "work"), "seconds": seconds,
            "env": environment(place, env), "out": str(place / "out"), "err": str(place / "err"),
        }  # fmt: skip
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server has died ({self._process.wait()})")
        return json.loads(line)


def environment(place: Path, changed: Mapping[str, str | None]) -> dict[str, str]:
    """The variables of a command that runs in `place`."""
    values: dict[str, str | None] = {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8",
            "HOME": str(place / "home"),
        "XDG_CACHE_HOME": str(place / "cache"), "TMPDIR": str(place / "tmp"), **changed,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }  # fmt: skip
    return {name: value for name, value in values.items() if value is not None}


@contextmanager
def servers(count: int) -> Iterator[list[Server]]:
    """So many of them, started at once."""
    started: list[Server] = []
    threads = [threading.Thread(target=lambda: started.append(Server())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(started) < count:
        raise RuntimeError("a server did not start")
    try:
        yield started
    finally:
        for server in started:
            server.close()


@contextmanager
def placed(case: Case, stock: Path) -> Iterator[Path]:
    """A place with the case's files."""
    with tempfile.TemporaryDirectory(prefix="bad-input-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        for name in PLACES:
            (place / name).mkdir()
        for name, content in case.files.items():
            path = place / "work" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_bytes(content.encode("utf-8", errors="surrogatepass"))
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                content(path, stock)
        yield place


def run_case(case: Case, stock: Path, server: Server | None, seconds: float = SECONDS) -> Outcome:
    """What comes of a case; in a process of its own where `server` is None."""
    with placed(case, stock) as place:
        if case.user == "unknown":
            _give_away(place)
        before = snapshot(place)
        changed = {name: value and _told(value, place) for name, value in case.env.items()}
        argv = [_told(text, place) for text in case.argv]
        if server is None or case.fresh:
            answer = _alone(case, argv, place, changed, seconds)
        else:
            answer = server.run(case.command, argv, place, changed, seconds)
        after = snapshot(place)
        out, err = (
            path.read_text(encoding="utf-8", errors="backslashreplace") if path.exists() else ""
            for path in (place / "out", place / "err")
        )
        return Outcome(
            answer["code"], out, err, answer["seconds"], answer["memory"], differences(before, after)
        )


def _told(text: str, place: Path) -> str:
    """With the case's place, and its working directory, where they are asked for."""
    return text.replace("{work}", str(place / "work")).replace("{place}", str(place))


def _alone(case: Case, argv: Sequence[str], place: Path, env: Mapping[str, Any], seconds: float) -> Any:
    command = [sys.executable, "-m", case.command, *argv]
    if case.streams:
        command = ["sh", "-c", f'exec "$@" {case.streams}', "sh", *command]
    command = [*USERS.get(case.user, ()), *command] if os.geteuid() == 0 else command
    with (place / "out").open("wb") as out, (place / "err").open("wb") as err:
        process = subprocess.Popen(
            [os.fsencode(word) for word in command], cwd=place / "work", env=environment(place, env),
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
        code, taken, _ = waited(process.pid, seconds)
    process.returncode = 0 if code is None else code  # it has been waited for
    return {"code": code, "seconds": taken, "memory": 0.0}


def _give_away(place: Path) -> None:
    for path in (place, *place.rglob("*")):
        os.chown(path, 54321, 54321, follow_symlinks=False)


def can_play(user: str) -> bool:
    """Whether this process can start another as one of `USERS`."""
    if os.geteuid() != 0:
        return user != "unknown"
    try:
        done = subprocess.run([*USERS[user], sys.executable, "-c", ""], check=False, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


# what is in a place


def snapshot(place: Path) -> dict[str, Any]:
    """What stands for each file and folder in a place, by its name."""
    return dict(_entries(place, ""))


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, Any]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if not prefix and entry.name in ("out", "err"):
                continue
            if entry.is_symlink():
                yield name, os.readlink(entry.path)  # noqa: PTH115
            elif entry.is_dir():
                yield name, "folder"
                yield from _entries(Path(entry.path), f"{name}/")
            elif entry.is_file():
                yield name, _content(entry)
            else:
                yield name, "special"


def _content(entry: os.DirEntry[str]) -> Any:
    status = entry.stat()
    if status.st_size > HASHED:
        return status.st_size, status.st_mtime_ns
    try:
        return hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()
    except OSError:
        return status.st_size


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of what came (+), went (-) or changed (~)."""
    new = [f"+{name}" for name in after if name not in before]
    gone = [f"-{name}" for name in before if name not in after]
    changed = [f"~{name}" for name in after if name in before and before[name] != after[name]]
    return tuple(sorted(new) + gone + changed)


# all of them


def run_all(
    cases: Sequence[Case], stock: Path, jobs: Sequence[Server], done: Callable[[Case, Outcome], None],
    seconds: float = SECONDS,
) -> None:  # fmt: skip
    """Every case, as many at once as there are servers; `done` hears of each."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in cases:
        waiting.put(case)
    problems: list[BaseException] = []
    lock = threading.Lock()

    def work(server: Server) -> None:
        while not problems:
            try:
                case = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                found = run_case(case, stock, server, seconds)
                with lock:
                    done(case, found)
            except BaseException as error:
                error.add_note(case.line)
                problems.append(error)

    threads = [threading.Thread(target=work, args=(server,)) for server in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def copy(source: Path, target: Path) -> None:
    """A file or folder; large files are linked, since no command changes one in place."""
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=_copied, dirs_exist_ok=True)
    else:
        _copied(str(source), str(target))


def _copied(source: str, target: str) -> None:
    if Path(source).stat().st_size > HASHED:
        Path(target).hardlink_to(source)
    else:
        shutil.copy2(source, target)
