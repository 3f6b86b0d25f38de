"""Several trainings on one card: how many are best, two as one, and shares handed out by Ray."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from nas.data.batches import Cached
from nas.training.form import PER_CARD, Form
from nas.training.loop import run_epoch
from nas.training.run import Run
from nas.training.state import start
from tests.benchmarks.training_step import drawn
from tests.gpu.checks import Finding, Setting, held, measured, skipped
from tests.gpu.contestant import ROOT, contestants
from tests.gpu.fast import PROXY_BATCH, PROXY_SIDE
from tests.gpu.networks import TINY, training, usual

COUNTS = (1, 2, 4, 8)


def sharing(setting: Setting) -> Iterator[Finding]:
    """Images a second of 1, 2, 4, 8 trainings in all: processes, the same under MPS, threads with streams."""
    ends = time.monotonic() + setting.seconds
    found: dict[str, float] = {}
    for way, daemon in setting.pick(
        (("processes", nullcontext), ("processes, MPS", mps)), (("processes", nullcontext),)
    ):
        with daemon(setting) if daemon is mps else daemon({}) as environment:
            if environment is None:
                yield skipped(way, "nvidia-cuda-mps-control does not start here")
                continue
            rates = by_processes(setting, environment, min(ends, time.monotonic() + 0.4 * setting.seconds))
        yield told(way, rates)
        found |= {f"{count} {way}": rate for count, rate in rates.items()}
    rates = {count: by_streams(setting, count) for count in setting.pick((1, 2, 4), (2,))}
    yield told("threads with streams, which no engine has", rates)
    if found and not setting.dry:
        best = max(found, key=lambda name: found[name])
        fewest = min((n for n in found if found[n] > 0.95 * found[best]), key=lambda n: int(n.split()[0]))
        said = f"{best} at the most; {fewest} within 5% of it; the table has {PER_CARD}"
        yield measured("trainings that share a card", said, f"nas.training.form.PER_CARD = {fewest}", **found)


def told(way: str, rates: dict[int, float]) -> Finding:
    said = ", ".join(f"{count}: {rate:,.0f}" for count, rate in rates.items()) or "none was warm in time"
    return measured(f"images/s in all, {way}", said, **{str(count): rate for count, rate in rates.items()})


def by_processes(setting: Setting, environment: dict[str, str], ends: float) -> dict[int, float]:
    spec = {"device": setting.device, "who": "ours", "form": {}, "resolution": setting.pick(PROXY_SIDE, 32)}
    spec |= {"batch": setting.pick(PROXY_BATCH, 4), "steps": setting.pick(20, 2)}
    counts, rates = setting.pick(COUNTS, (1,)), {}
    with contestants([dict(spec) for _ in range(counts[-1])], ends, environment) as there:
        for count in counts:
            if count > len(there):
                break
            for each in there[:count]:
                each.go(setting.pick(2.5, 0.3))
            rates[count] = sum(each.rate() for each in there[:count])
    return rates


@contextmanager
def mps(setting: Setting) -> Iterator[dict[str, str] | None]:
    """A daemon of our own, ended with us; the card's settings stay. None where there is none."""
    folders = {
        name: str(setting.folder / name) for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY")
    }
    for folder in folders.values():
        Path(folder).mkdir()
    control = shutil.which("nvidia-cuda-mps-control")
    environment = os.environ | folders
    if (
        control is None
        or subprocess.run([control, "-d"], env=environment, check=False, timeout=10).returncode
    ):
        yield None
        return
    try:
        yield folders
    finally:
        subprocess.run([control], input="quit\n", text=True, env=environment, check=False, timeout=20)


def by_streams(setting: Setting, count: int) -> float:
    """Of so many threads, each with a stream of its own; their random numbers are one another's."""
    batch, steps = setting.pick((PROXY_BATCH, 20), (4, 2))
    every = [
        training(
            usual(setting), setting, resolution=setting.pick(PROXY_SIDE, 32), batch=batch, steps=steps,
            form=Form(resident=0.02, read_every=50),
        )
        for _ in range(count)
    ]  # fmt: skip
    for one in every:
        one.epoch()
    ends, done = time.perf_counter() + setting.pick(2.0, 0.3), [0] * count

    def work(i: int) -> None:
        with nullcontext() if setting.dry else torch.cuda.stream(torch.cuda.Stream()):
            while time.perf_counter() < ends:
                every[i].epoch()
                done[i] += batch * steps

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def two_processes(setting: Setting) -> Iterator[Finding]:
    """One training in two processes on one card, by gloo, as in one. NCCL takes one process a card."""
    alone = recipe_trained(setting.device, 0, 1)
    for backend in setting.pick(("gloo", "nccl"), ("gloo",)):
        got = spawned(setting, backend)
        if isinstance(got, str):
            verdict = "failed" if backend == "gloo" else "measured"
            yield Finding(f"two processes on one card, {backend}", verdict, got)
            continue
        off = max(abs(a - b) / abs(b) for a, b in zip(got, alone, strict=True))
        yield held(
            f"two processes on one card, {backend}: as one, to 1e-3", off <= 1e-3, f"losses off by {off:.1e}"
        )


def recipe_trained(device: str, rank: int, world: int) -> list[float]:
    from nas.training.distributed import Ranks
    from tests.gpu.correct import full

    recipe = full(replace(TINY, drop_path=0.0)).changed(accumulation=1, devices=2)
    run = Run(recipe, Cached(drawn(64, 32)), 0, torch.device(device), "fp32", Ranks(rank, world))
    state = start(run)
    return [
        value
        for _ in range(2)
        for point in [run_epoch(state, run)]
        for value in (point.train_loss, point.val_loss)
    ]


PROGRAM = """
import json, sys, torch.distributed as dist
from datetime import timedelta
from tests.gpu.together import recipe_trained
device, backend, rank, port = sys.argv[1:]
backend = "gloo" if backend == "gloo" else "cpu:gloo,cuda:nccl"
dist.init_process_group(backend, f"tcp://127.0.0.1:{port}", timedelta(seconds=60), 2, int(rank))
print(json.dumps(recipe_trained(device, int(rank), 2)))
"""


def spawned(setting: Setting, backend: str) -> list[float] | str:
    """The losses of two processes, or what one of them says."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    device = setting.pick("cuda:0", "cpu")
    both = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, device, backend, rank, port], cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in "01"
    ]  # fmt: skip
    try:
        ends = time.monotonic() + setting.pick(0.4, 0.9) * setting.seconds
        told_ = [each.communicate(timeout=max(0.1, ends - time.monotonic())) for each in both]
    except subprocess.TimeoutExpired:
        return "they do not end"
    finally:
        for each in both:
            each.kill()
    out, wrong = told_[0]
    return json.loads(out) if out else (wrong.strip().splitlines() or ["died"])[-1][:200]


def fractions(setting: Setting) -> Iterator[Finding]:
    """A search by Ray with shares of the card: how many ran at once, and that all are recorded."""
    if importlib.util.find_spec("ray") is None:
        yield skipped("shares of a GPU by Ray", "no ray here")
        return
    if setting.dry:
        yield from searched(setting, ["--workers", "1", "--proxy", "simulated:interacting"], "one worker", 2)
        return
    proxy = setting.folder / "short.yaml"
    proxy.write_text(short())
    for share in (0.5, 0.125):
        flags = ["--gpus-per-trial", str(share), "--cpus-per-trial", "1", "--proxy", str(proxy)]
        yield from searched(setting, flags, f"{share:g} of a card each", round(1 / share) + 1)


def short() -> str:
    return (
        "data: fractal\nresolution: 32\ntrain_size: 2048\nval_size: 256\nepochs: 3\nbatch_size: 128\n"
        "warmup_epochs: 0.5\nlayer_scale: 1.0\nstochastic_depth: 0.0\n"
    )


def searched(setting: Setting, flags: list[str], what: str, trials: int) -> Iterator[Finding]:
    folder = setting.folder / what.replace(" ", "-")
    command = [
        sys.executable, "-m", "nas.search", "--budget", "60MFLOPs", "--space", "micro", "--no-reference",
        "--trials", str(trials), "--engine", "ray", "--study", str(folder), *flags,
    ]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = (done.stderr or done.stdout).strip().splitlines()[-1:] if done.returncode else []
    summary = folder / "summary.json"
    there = summary.exists() and done.returncode == 0
    text = (
        f"{trials} trials in {time.monotonic() - began:.0f} s" if there else f"exit {done.returncode}: {said}"
    )
    yield held(f"a search by Ray, {what}", there, text[:300])
