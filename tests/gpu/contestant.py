"""A training in a process of its own, which warms up, says so, and trains for as long as it is told.

    python -m tests.gpu.contestant '{"who": "ours", "resolution": 64, "batch": 256, ...}'

It writes one line of JSON when it is warm; for every line of seconds that it reads it trains so long and
writes how many images that were.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STEPS = 100  # of an epoch of ours, which ends with a look at the losses and the validation of one image


def main(text: str) -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    spec = json.loads(text)
    began = time.perf_counter()
    work, images, name = {"ours": ours, "timm": theirs}[spec["who"]](spec)
    first = time.perf_counter()
    work()
    work()
    ready = {"name": name, "start": first - began, "warm": time.perf_counter() - first, "memory": memory()}
    print(json.dumps(ready), file=out, flush=True)
    for line in sys.stdin:
        done, began, ends = 0, time.perf_counter(), time.perf_counter() + float(line)
        while time.perf_counter() < ends:
            work()
            done += images
        print(json.dumps({"rate": done / (time.perf_counter() - began)}), file=out, flush=True)


def memory() -> int:
    """The most that torch has reserved on the card."""
    import torch

    return torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0


def ours(spec: dict[str, Any]) -> tuple[Callable[[], object], int, str]:
    """An epoch of the product's training; its images."""
    from tests.gpu.checks import Setting
    from tests.gpu.networks import training, usual

    setting = Setting(spec["device"], Path(), Path(), 0)
    steps = spec.get("steps", STEPS)
    one = training(
        usual(setting), setting, resolution=spec["resolution"], batch=spec["batch"], steps=steps,
        epochs=10**6, form=form_of(spec["form"]), crop_padding=4, mixup=0.8, cutmix=1.0, mixup_prob=0.5,
    )  # fmt: skip
    return one.epoch, steps * spec["batch"], f"ours, {spec['form'] or 'plain'}"


def form_of(fields: dict[str, Any]) -> Any:
    from nas.training.form import READ_EVERY, Form

    return Form(**{"read_every": READ_EVERY, "resident": 0.02} | fields)


def theirs(spec: dict[str, Any]) -> tuple[Callable[[], object], int, str]:
    """timm's ConvNeXt-T as its users train it, on images made beforehand; a plain one where timm is not."""
    import torch

    device, batch, side = torch.device(spec["device"]), spec["batch"], spec["resolution"]
    module, name = model(spec["device"] == "cpu")
    module.to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-5, weight_decay=0.05, fused=True)
    images = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,), device=device)
    forward = module if spec["form"] is None else torch.compile(module, **spec["form"])

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = forward(images)
        torch.nn.functional.cross_entropy(logits.float(), labels, label_smoothing=0.1).backward()
        optimizer.step()

    def steps() -> None:
        for _ in range(spec.get("steps", STEPS)):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    form = "eager" if spec["form"] is None else f"torch.compile {spec['form'] or ''}"
    return steps, spec.get("steps", STEPS) * batch, f"{name}, {form.strip()}"


def model(small: bool) -> tuple[Any, str]:
    from space.families import named
    from tests.benchmarks.training_step import Plain
    from tests.gpu.networks import SMALLEST

    if not small:
        try:
            import timm

            return timm.create_model("convnext_tiny", num_classes=10, drop_path_rate=0.0), "timm"
        except ImportError:
            pass
    network = SMALLEST if small else named("convnext_tiny")
    return Plain(network.depths, network.widths), "plain PyTorch (no timm here)"


class Contestant:
    """The process, from outside."""

    def __init__(self, spec: dict[str, Any], environment: dict[str, str] | None = None) -> None:
        self.spec = spec
        self.ready: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gpu.contestant", json.dumps(spec)], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | (environment or {}),
        )  # fmt: skip

    def wait(self, ends: float) -> bool:
        """Whether it is warm by then."""
        import select

        if not select.select([self._process.stdout], [], [], max(0.0, ends - time.monotonic()))[0]:
            return False
        line = self._process.stdout.readline()
        self.ready = json.loads(line) if line else {}
        return bool(line)

    def go(self, seconds: float) -> None:
        with suppress(BrokenPipeError):  # `rate` tells of its death
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()

    def rate(self) -> float:
        """Images a second of the last turn; 0 where it has died."""
        line = self._process.stdout.readline()
        return json.loads(line)["rate"] if line else 0.0

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()


@contextmanager
def contestants(
    specs: Sequence[dict[str, Any]], ends: float, environment: dict[str, str] | None = None
) -> Iterator[list[Contestant]]:
    """Those that are warm by then, all started at once."""
    every = [Contestant(spec, environment) for spec in specs]
    try:
        yield [each for each in every if each.wait(ends)]
    finally:
        for each in every:
            each.close()


if __name__ == "__main__":
    main(sys.argv[1])
