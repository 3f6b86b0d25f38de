"""Images a second of a proxy's training step, against the same network written plainly in eager PyTorch.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.training_step

`plain` is ConvNeXt as the official code writes it (`nn.Conv2d`, `nn.LayerNorm`, permutes), with fused
AdamW, in whichever of fp32 and bf16 autocast, channels-last and contiguous is fastest here, on images
normalised beforehand. It runs in a process of its own, as a user would run it; `plain, memory kept` is the
same in the process that trains ours, which keeps the memory it frees (`nas/training/cpu/memory.py`). `ours`
is the
proxy's training loop as a search runs it: from uint8 pixels, with augmentation, schedule and the check of
the loss, and with the validation of one image an epoch of four steps. Given the same weights both networks
must give the same logits first. They take turns, and the ratio is the median over the turns. The
utilisation is of 6 FLOPs a multiply-accumulate and image (forward and backward), as a share of what a
square matrix product of the same precision reaches in the same run.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data import Data, Split
from nas.data.augment.batch import normalise
from nas.proxy.proxy import Proxy
from nas.proxy.trainer import ProxyTraining
from space.architecture import Architecture
from space.cost import cost
from space.families import named
from space.network import build
from tests.benchmarks.measuring import Row, report

CLASSES = 10
FLOPS_PER_MAC = 6  # a multiplication and an addition, once forward and twice backward
SMALL = Architecture.convnext((1, 1), (8, 16))


class Block(nn.Module):
    """ConvNeXt's block as its official code has it, [N, C, H, W] -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.pwconv2(self.act(self.pwconv1(self.norm(y))))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


class Norm(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W] by permutation."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Plain(nn.Module):
    """ConvNeXt, images [N, 3, H, W] -> logits; its state dict is the official one."""

    def __init__(self, depths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), Norm(widths[0]))]
        for before, after in itertools.pairwise(widths):
            layers.append(nn.Sequential(Norm(before), nn.Conv2d(before, after, 2, stride=2)))
        self.downsample_layers = nn.ModuleList(layers)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth)))
            for depth, width in zip(depths, widths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        return self.head(self.norm(x.mean((2, 3))))


@dataclass(frozen=True)
class Form:
    """A way to run the plain network."""

    precision: str
    memory_format: torch.memory_format

    def __str__(self) -> str:
        return f"{self.precision}, {str(self.memory_format).removeprefix('torch.').removesuffix('_format')}"


FORMS = [
    Form(*c) for c in itertools.product(("fp32", "bf16"), (torch.channels_last, torch.contiguous_format))
]


def plain_step(architecture: Architecture, form: Form, pixels: Tensor, labels: Tensor) -> Callable[[], None]:
    """One optimiser step on a batch, to call again and again."""
    network = plain_network(architecture).to(memory_format=form.memory_format)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, weight_decay=0.05, fused=True)
    images = normalise(pixels).contiguous(memory_format=form.memory_format)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=form.precision == "bf16"):
            logits = network(images)
        F.cross_entropy(logits.float(), labels, label_smoothing=0.1).backward()
        optimizer.step()

    return step


def plain_network(architecture: Architecture) -> Plain:
    """The plain network, and a check that it is the same one."""
    torch.manual_seed(0)
    ours = build(architecture, CLASSES)
    network = Plain(architecture.depths, architecture.widths)
    network.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(images), ours(images), rtol=1e-4, atol=1e-5)
    return network


def matmul_flops(precision: str, size: int = 1024) -> float:
    """FLOPs a second of a product of two square matrices."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(2, size, size).to(dtype)
    return 2 * size**3 / min(seconds(lambda: a @ b) for _ in range(5))


def drawn(count: int, resolution: int) -> Data:
    """Random pixels and labels, one image to validate with."""
    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        return Split(
            rng.integers(256, size=(n, resolution, resolution, 3), dtype=np.uint8),
            rng.integers(CLASSES, size=n),
        )

    return Data(split(count), split(1), CLASSES, "random pixels", "random")


def seconds(work: Callable[[], object]) -> float:
    """Of the processor where there is one thread, which others lengthen less; else by the clock."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


@dataclass(frozen=True)
class Task:
    """What is trained: `steps` batches a turn."""

    architecture: Architecture
    resolution: int
    batch: int
    steps: int

    def data(self) -> Data:
        return drawn(self.batch * self.steps, self.resolution)

    def plain(self, form: Form, images: int) -> Callable[[], None]:
        """The plain network's step, on as many images."""
        train = self.data().train
        part = slice(images)
        pixels, labels = torch.from_numpy(train.images[part]), torch.from_numpy(train.labels[part])
        return plain_step(self.architecture, form, pixels, labels)


def fastest_form(task: Task) -> Form:
    """The fastest on whole batches of those that a quarter of a batch leaves in question."""
    quick = times_of_forms(task, FORMS, task.batch // 4)
    # bf16 without instructions for it takes ten times as long
    likely = [form for form in FORMS if quick[form] < 1.5 * min(quick.values())]
    whole = times_of_forms(task, likely, task.batch)
    return min(likely, key=lambda form: whole[form])


def times_of_forms(task: Task, forms: Sequence[Form], images: int) -> dict[Form, float]:
    """The least seconds of two steps of each form, after one that is not counted."""
    found = {}
    for form in forms:
        step = task.plain(form, images)
        step()
        found[form] = min(seconds(step) for _ in range(2))
    return found


def as_a_user_runs_it(task: Task, pipe: Connection) -> None:
    """In another process: sends the plain network's fastest form, then for every message a turn's seconds."""
    form = fastest_form(task)
    step = task.plain(form, task.batch)
    step()
    pipe.send(form)
    while pipe.recv():
        pipe.send(seconds(lambda: [step() for _ in range(task.steps)]))


@contextmanager
def other_process(task: Task) -> Iterator[Connection]:
    """A pipe to `as_a_user_runs_it` in a fresh process, which has the same number of threads."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=as_a_user_runs_it, args=(task, there), daemon=True)
    process.start()
    there.close()  # or a process that fails would never end what is received here
    try:
        yield here
        here.send(False)
    finally:
        here.close()
        process.join()


def turns_of(pipe: Connection, task: Task, form: Form, turns: int) -> dict[str, list[float]]:
    """Seconds a step of every way in every turn, and FLOPs a second of matrix products."""
    proxy = Proxy(
        resolution=task.resolution, epochs=turns + 1, batch_size=task.batch, lr=1e-5, layer_scale=1.0
    )
    ours = ProxyTraining(task.architecture, proxy, task.data(), seed=0, device="cpu")
    kept = task.plain(form, task.batch)
    ours.epoch()
    kept()
    found: dict[str, list[float]] = {"plain": [], "kept": [], "ours": [], "peak": []}
    for _ in range(turns):
        pipe.send(True)
        found["plain"].append(pipe.recv() / task.steps)
        found["ours"].append(seconds(ours.epoch) / task.steps)
        found["kept"].append(seconds(lambda: [kept() for _ in range(task.steps)]) / task.steps)
        found["peak"].append(matmul_flops("fp32"))
    return found


def measure(task: Task, turns: int) -> list[Row]:
    """Rows of the plain network's fastest form, without and with memory kept, and of ours."""
    with other_process(task) as pipe:
        form = pipe.recv()
        found = turns_of(pipe, task, form, turns)
    flops = float(FLOPS_PER_MAC * task.batch * cost(task.architecture, task.resolution, CLASSES).macs)
    peaks = {"fp32": max(found["peak"])}
    if form.precision not in peaks:
        peaks[form.precision] = matmul_flops(form.precision)
    return [
        {
            "step": name,
            "resolution": task.resolution,
            "batch": task.batch,
            "threads": torch.get_num_threads(),
            "ms a step": min(found[key]) * 1e3,
            "images a second": task.batch / min(found[key]),
            "times plain": statistics.median(
                plain / own for plain, own in zip(found["plain"], found[key], strict=True)
            ),
            "GFLOP/s": flops / min(found[key]) / 1e9,
            "matmul GFLOP/s": peaks[precision] / 1e9,
            "utilisation": flops / min(found[key]) / peaks[precision],
        }
        for name, key, precision in (
            (f"plain ({form})", "plain", form.precision),
            ("plain, memory kept", "kept", form.precision),
            ("ours (fp32)", "ours", "fp32"),
        )
    ]


def main(argv: Sequence[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(description="The proxy's training step, against plain eager PyTorch.")
    parser.add_argument("--quick", action="store_true", help="a tiny network: does it run at all")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[32, 64], metavar="PIXELS")
    parser.add_argument("--turns", type=int, default=7, help="of each way, one after the other")
    options = parser.parse_args(argv)
    if options.quick:
        rows = measure(Task(SMALL, 32, 4, 2), 2)
    else:
        tasks = [Task(named("convnext_tiny"), size, 64, 4) for size in options.resolutions]
        rows = [row for task in tasks for row in measure(task, options.turns)]
    report("training step of ConvNeXt-T on the CPU", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
