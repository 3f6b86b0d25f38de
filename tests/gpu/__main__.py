"""`python -m tests.gpu`: every check that a GPU can decide, each within its own time, and a report of them.

    python -m tests.gpu --out runs/gpu                    # on a GPU; without one, the small form on the CPU
    python -m tests.gpu --out runs/gpu --wheels wheels    # installs what is missing from that folder first
    python -m tests.gpu --parts useful --minutes 5        # some parts (or checks, as fast.waits) only
    python -m tests.gpu --parts order --data cifar10      # whose order a GPU's minute has, on photographs

Exits with 1 where a check failed. Needs nothing but Python until the wheels are there.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.gpu.checks import CHECKS, DATA, PARTS, Check, Finding
from tests.gpu.report import Report
from tests.gpu.wheels import installed

ROOT = Path(__file__).parents[2]
LEAST = 0.3  # of a check's time that must be left to begin it
SITE = Path(tempfile.gettempdir()) / "tests-gpu-site"
SMALL = "cpu, the small form: nothing here is about a GPU"
START = 30.0  # seconds that a process may take to begin, beside its first check's


def main(argv: Sequence[str] | None = None) -> int:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--out", type=Path, default=Path("runs/gpu"), help="the report's folder")
    parse.add_argument("--wheels", type=Path, help="a folder made by python -m tests.gpu.wheels")
    parse.add_argument("--minutes", type=float, default=8.0, help="for all; what does not fit is left out")
    parse.add_argument("--parts", help=f"of {', '.join(PARTS)}, or single checks, with commas between them")
    parse.add_argument(
        "--data", type=Path, help="a folder of photographs for order.roadmap, which others do without"
    )
    parse.add_argument("--dry", action="store_true", help="the small form on the CPU, also where a GPU is")
    options = parse.parse_args(argv)
    ends = time.monotonic() + 60 * options.minutes
    if options.data is not None:
        os.environ[DATA] = str(options.data.resolve())
    chosen = selected(options.parts)
    missing = [] if options.wheels is None else installed(options.wheels, SITE)
    os.environ["PYTHONPATH"] = os.pathsep.join([*missing[:1], str(ROOT), os.environ.get("PYTHONPATH", "")])
    report = Report(options.out, machine(options.dry) | {"without": ", ".join(missing[1:]) or "nothing"})
    report.write()
    with (options.out / "log.txt").open("w") as log, prepared(report, log):
        run_all(chosen, report, log, ends)
    print(report.text())
    return 1 if report.counts["failed"] else 0


def selected(parts: str | None) -> list[Check]:
    """All, or those of the parts or checks that are named."""
    wanted = set(PARTS if parts is None else parts.split(","))
    unknown = wanted - {*PARTS, *(check.name for check in CHECKS)}
    if unknown:
        sys.exit(f"--parts: unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return [check for check in CHECKS if {check.part, check.name} & wanted]


def machine(dry: bool) -> dict[str, Any]:
    """What the report is of; asked in another process, so that this one has no context on the card."""
    program = (
        "import json, torch; there = torch.cuda.is_available(); "
        "name = torch.cuda.get_device_name() if there else ''; "
        "print(json.dumps({'torch': torch.__version__, 'device': name}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"tests.gpu: torch cannot be imported: {done.stderr.strip().splitlines()[-1:]}")
    found = json.loads(done.stdout)
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": SMALL if dry or not found["device"] else found["device"],
        "torch": found["torch"],
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
    } | ({} if dry or not found["device"] else {"driver": driver()})


def driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version,memory.total,clocks.max.sm", "--format=csv,noheader"]
    with contextlib.suppress(OSError):
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return "unknown"


@contextlib.contextmanager
def prepared(report: Report, log: IO[str]) -> Iterator[None]:
    """Meanwhile the gpu proxy's images are drawn, on one core, which takes about a minute."""
    if "driver" not in report.machine:
        yield
        return
    program = "from nas.proxy.proxy import load_proxy; load_proxy('gpu').load_data()"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def run_all(checks: Sequence[Check], report: Report, log: IO[str], ends: float) -> None:
    """Every check, those of one part that follow each other in one process while it lives."""
    device = "cuda" if "driver" in report.machine else "cpu"
    left = list(checks)
    while left:
        others = (i for i, check in enumerate(left) if device != "cpu" and check.part != left[0].part)
        count = next(others, len(left))  # on a CPU one process for all: each imports torch for seconds
        done = run_some(left[:count], device, report, log, ends)
        left = left[max(1, done) :]


def run_some(checks: Sequence[Check], device: str, report: Report, log: IO[str], ends: float) -> int:
    """How many of the checks are over: all, or as many as the process lived for and the one it died of."""
    seconds = [float(check.small if device == "cpu" else check.seconds) for check in checks]
    late = Finding("not begun", "skipped", "no time was left").to_dict()
    if ends - time.monotonic() < LEAST * seconds[0]:
        report.add(checks[0].name, late)
        return 1
    seconds = [min(each, ends - time.monotonic()) for each in seconds]
    names = [f"{check.name}:{each:.1f}" for check, each in zip(checks, seconds, strict=True)]
    command = [sys.executable, "-m", "tests.gpu.worker", device, str(report.folder.resolve()), *names]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=log,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    over = 0
    watch = Watch(min(ends, time.monotonic() + START + seconds[0]))
    try:
        for event in events(process, watch):
            check = event.pop("check")
            kind = event.pop("event")
            if kind == "begin":
                print(f"{check} ...", file=sys.stderr, flush=True)
                if ends - time.monotonic() < LEAST * seconds[over]:
                    report.add(check, late)
                    return over + 1
                watch.limit = min(ends, time.monotonic() + seconds[over])
            elif kind == "finding":
                report.add(check, event)
            else:
                report.end(check, event["seconds"])
                over += 1
                watch.limit = min(ends, time.monotonic() + START)
    finally:
        stop(process)
    if over == len(checks):
        return over
    said, verdict = f"the process ended ({process.returncode})", "failed"
    if process.returncode == -signal.SIGKILL:
        said = f"stopped after its {seconds[over]:.0f} s"
        verdict = "skipped" if time.monotonic() > ends - 1 else "failed"
    report.add(checks[over].name, Finding("did not end", verdict, f"{said}; see log.txt").to_dict())
    return over + 1


@dataclass
class Watch:
    """When the process is late, by `time.monotonic`."""

    limit: float


def events(process: subprocess.Popen, watch: Watch) -> Iterator[dict[str, Any]]:
    """What the process tells, until it has ended or is late."""
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ)
    held = b""
    while True:
        if not selector.select(max(0.0, watch.limit - time.monotonic())):
            return
        got = os.read(process.stdout.fileno(), 65536)
        if not got:
            process.wait(10)
            return
        *lines, held = (held + got).split(b"\n")
        yield from map(json.loads, lines)


def stop(process: subprocess.Popen) -> None:
    """With all that it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
