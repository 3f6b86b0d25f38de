"""Where every second of the default search goes.

    python -m tests.benchmarks.default_run --json after.json
    python -m tests.benchmarks.default_run --repository CHECKOUT --json before.json
    python -m tests.benchmarks.default_run --before before.json --json after.json

Runs `python -m nas.search --budget 4.5GFLOPs` in a process of its own (flags that are not this command's are
the search's: `--trials 2 --proxy smoke`), of this checkout or of another one, and looks at its main thread
100 times a second. The time since the look before is counted for what is found to run: by the functions on
the stack, in a forward pass by the module at work, in a backward pass by the node of the graph at work,
whose kind is that of the parameters it has gradients for (on a CPU RMSNorm has no node: its products count as
scales). The parts add up to the time by the clock from the process's start to its end; `looking itself` is
what finding the nodes' kinds takes. Ray's workers are not looked at: with `--engine ray` it is the driver's
time. Two runs are compared with the data set in the cache.

`--overhead` runs the search without being looked at as well, before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

# the child process loads this file alone, from wherever it is: nothing of the project is imported up here
HERE = Path(__file__).resolve()
PERIOD = 0.01  # seconds between looks
DEFAULT = ("--budget", "4.5GFLOPs")
QUICK = (
    "--budget", "20MFLOPs..60MFLOPs", "--space", "micro", "--proxy", "smoke", "--no-reference",
    "--trials", "2",
)  # fmt: skip
# replaces `python -m nas.search`; the current folder is the checkout's
CHILD = "import runpy, sys; runpy.run_path(sys.argv[1])['watched'](*sys.argv[2:4], sys.argv[4:])"

DEPTHWISE, DENSE, NORM, ACTIVATION = "depthwise", "linear and patches", "norm", "activation"
OTHER_LAYERS = "shortcuts, scales, attention"
OTHER, LOOKING = "not attributed", "looking itself"
FORWARD, BACKWARD = "training: forward, ", "training: backward, "

# (part, file of the project or package, function or any), the first that is anywhere on the stack counts
RULES: tuple[tuple[str, str, str], ...] = (
    ("training: checkpoint", "nas/training/checkpoint.py", ""),
    ("training: validation", "nas/training/evaluation.py", "evaluate"),
    ("training: data and augmentation", "nas/data/augment/pipeline.py", "augmented"),
    ("training: data and augmentation", "nas/training/loop.py", "_order"),
    ("training: data and augmentation", "nas/training/loop.py", "micro_batches"),
    ("training: data and augmentation", "nas/data/batches.py", ""),
    ("training: optimiser", "nas/training/loop.py", "update"),
    ("training: optimiser", "torch/optim/", ""),
    ("training: loss and its check", "nas/training/loop.py", "_Losses.add"),
    ("training: loss and its check", "torch/nn/functional.py", "cross_entropy"),
    ("training: the loop itself", "nas/training/loop.py", "run_epoch"),
    ("training: network and optimiser built", "nas/proxy/trainer.py", "ProxyTrainer.start"),
    ("end: page", "analysis/", ""),
    ("end: summary, confirmation, table", "nas/search.py", "finish"),
    ("driver: summary", "nas/verdict/summary.py", "Summary.refresh"),
    ("driver: summary", "nas/verdict/summary.py", "Summary.write"),
    ("start: study opened", "nas/plan/study.py", "open_record"),
    ("start: data set", "nas/data/dataset.py", "load"),
    ("start: space, bands, references", "nas/plan/plan.py", ""),
    ("driver: proposing", "nas/samplers/proposer.py", ""),
    ("driver: recording", "nas/record/record.py", ""),
    ("driver: recording", "nas/record/rows.py", ""),
    ("driver: recording", "nas/record/storage.py", ""),
    ("driver: recording", "nas/record/database.py", ""),
    ("driver: display", "nas/driver/progress.py", ""),
    ("driver: display", "rich/", ""),
    ("driver: waiting for workers", "ray/", ""),
    ("driver: recording", "nas/driver/controller.py", ""),
    ("start: settings", "nas/plan/settings.py", ""),
    ("start: settings", "argparse.py", ""),
)
# imports by who is imported; all else third-party is one part
PACKAGES = (
    "torch/_dynamo",
    "torch",
    "optuna",
    "sqlalchemy",
    "alembic",
    "scipy",
    "sklearn",
    "plotly",
    "pydantic",
)
ACTIVATIONS = ("Gelu", "Relu", "Silu", "Hardswish")
# nodes that hand their gradient on as it is, or nearly: what they lead to counts for the node before them
VIEWS = (
    "TBackward", "View", "Reshape", "Permute", "Transpose", "Select", "Slice", "Unsqueeze", "Squeeze",
    "Expand", "Alias", "AsStrided", "Movedim", "Flatten", "ToCopy",
)  # fmt: skip


class Look:
    """What the main thread is doing, by `RULES`."""

    def __init__(self, repository: str) -> None:
        self._root = repository.rstrip("/") + "/"
        self._names: dict[Any, tuple[str, str]] = {}  # of code objects: file, function
        self.node = OTHER_LAYERS  # the kind of the node that runs in a backward pass

    def part(self, frame: FrameType | None) -> str:
        """The part that the thread at `frame` is in."""
        frames = []
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        stack = [self._name(f) for f in frames]
        if any(file.startswith("importlib") and name == "_find_and_load" for file, name in stack):
            return f"imports: {imported(stack)}"
        if any(is_confirmation(f) for f, (_, name) in zip(frames, stack, strict=True) if "_train" in name):
            return "confirmation: whole trainings"
        if any(file == "torch/_tensor.py" and name.endswith("backward") for file, name in stack):
            return BACKWARD + self.node
        if any(name == "Look.watch_backward" for _, name in stack):
            return LOOKING
        known = set(stack)
        part = next((part for part, *rule in RULES if matches(known, *rule)), OTHER)
        if part == "training: the loop itself":
            modules = (
                f.f_locals.get("self") for f, n in zip(frames, stack, strict=True) if "forward" in n[1]
            )
            return next((FORWARD + layer_kind(module) for module in modules if module is not None), part)
        return part

    def _name(self, frame: FrameType) -> tuple[str, str]:
        code = frame.f_code
        found = self._names.get(code)
        if found is None:
            file = code.co_filename.removeprefix("<frozen ").removeprefix(self._root)
            file = file.rpartition("/site-packages/")[2]
            if file.startswith("/"):  # the standard library's
                file = file.rpartition("/")[2]
            found = self._names[code] = file, code.co_qualname
        return found

    def watch_backward(self, tensor: Any) -> None:
        """Have every node of the graph behind a loss tell its kind before it runs."""
        seen, waiting = {tensor.grad_fn}, [tensor.grad_fn]
        while waiting:
            node = waiting.pop()
            name, following = node.name(), [n for n, _ in node.next_functions if n is not None]
            if not is_view(name):
                node.register_prehook(self._tells(node_kind(name, following)))
            for n in following:
                if n not in seen and not hasattr(n, "variable"):
                    seen.add(n)
                    waiting.append(n)

    def _tells(self, kind: str) -> Callable[[Any], None]:
        def tell(_: Any) -> None:
            self.node = kind

        return tell


def matches(stack: set[tuple[str, str]], file: str, name: str) -> bool:
    if name and not file.endswith("/"):
        return (file, name) in stack
    return any(f.startswith(file) for f, _ in stack)


def imported(stack: Sequence[tuple[str, str]]) -> str:
    """Who is imported: the outermost package that is not the project's own."""
    files = [file for file, name in reversed(stack) if name == "<module>"]
    others = [file for file in files if "/" in file and not file.startswith(("nas/", "space/", "analysis/"))]
    if not others:
        return "own modules"
    return next((package for package in PACKAGES if others[0].startswith(package + "/")), "other packages")


def is_confirmation(frame: FrameType) -> bool:
    """Whether a frame trains a network again."""
    label = getattr(frame.f_locals.get("job"), "label", "")
    return label.startswith("trial ") and " again, seed " in label


def layer_kind(module: Any) -> str:
    """The kind of a `torch.nn.Module`."""
    from torch import nn

    if isinstance(module, nn.Conv2d):
        return DEPTHWISE if module.groups == module.in_channels > 1 else DENSE
    if isinstance(module, nn.Linear):
        return DENSE
    if "Norm" in type(module).__name__:
        return NORM
    if isinstance(module, nn.GELU | nn.ReLU | nn.SiLU | nn.Hardswish):
        return ACTIVATION
    return OTHER_LAYERS


def node_kind(name: str, following: Sequence[Any]) -> str:
    """The kind of an autograd node, by its name and the parameters right behind it."""
    if "Norm" in name or name.startswith(("Rsqrt", "Pow")):  # the latter of RMSNorm, which has no node
        return NORM
    if name.startswith(ACTIVATIONS):
        return ACTIVATION
    shapes = [tuple(parameter.shape) for parameter in parameters(following)]
    kinds = set()
    for shape in shapes:
        if len(shape) == 4:
            kinds.add(DEPTHWISE if shape[1] == 1 < shape[0] else DENSE)
        elif len(shape) == 2 and name.startswith(("Addmm", "Mm", "Linear", "_")):
            kinds.add(DENSE)
    if len(kinds) == 1:
        return kinds.pop()
    return " and ".join(sorted(kinds)) or OTHER_LAYERS


def parameters(nodes: Sequence[Any]) -> list[Any]:
    """Parameters that nodes accumulate gradients of, through views of them."""
    found = []
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        elif is_view(node.name()):
            waiting += [n for n, _ in node.next_functions if n is not None]
    return found


def is_view(name: str) -> bool:
    return name.startswith(VIEWS)


def watched(began: str, written: str, flags: Sequence[str]) -> None:
    """In the child process: run the search with these flags and write seconds and looks by part.

    `began` is when the process was started, by `time.monotonic`; the file also has when it was over.
    """
    repository = str(Path.cwd())
    parts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    look, main, over = Look(repository), threading.main_thread().ident, threading.Event()
    last = time.monotonic()
    parts["start: interpreter"] = [last - float(began), 1]

    def watch() -> None:
        nonlocal last
        hooked = False
        while not over.wait(PERIOD):
            hooked = hooked or hook_backward(look)
            part = parts[look.part(sys._current_frames().get(main or 0))]
            now = time.monotonic()
            part[0] += now - last
            part[1] += 1
            last = now

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    sys.argv = ["nas.search", *flags]
    code: Any = 0
    try:
        runpy.run_module("nas.search", run_name="__main__", alter_sys=True)
    except SystemExit as exit_:
        code = exit_.code
    over.set()
    thread.join()
    if not (sys.modules["nas"].__file__ or "").startswith(repository):
        raise RuntimeError(f"nas is not {repository}'s")
    Path(written).write_text(json.dumps({"parts": parts, "over": last}))
    sys.exit(code)


def hook_backward(look: Look) -> bool:
    """Once the trainer is imported: look at the graph before each backward pass."""
    if not hasattr(sys.modules.get("nas.training.loop"), "result_of"):  # its last function
        return False
    import torch

    backward = torch.Tensor.backward

    def watched_backward(tensor: torch.Tensor, *args: Any, **options: Any) -> None:
        look.watch_backward(tensor)
        backward(tensor, *args, **options)

    torch.Tensor.backward = watched_backward
    return True


def profile(repository: Path, flags: Sequence[str]) -> tuple[dict[str, list[float]], int]:
    """Seconds and looks by part of a search of a checkout, and its complete trainings."""
    with tempfile.TemporaryDirectory() as folder:
        written, study = Path(folder) / "parts.json", Path(folder) / "study"
        began = time.monotonic()
        child = [sys.executable, "-c", CHILD, str(HERE), str(began), str(written)]
        subprocess.run([*child, *flags, "--study", str(study)], cwd=repository, env=environment(), check=True)
        ended = time.monotonic()
        found = json.loads(written.read_text())
        trials = json.loads((study / "summary.json").read_text())["trials"]["complete"]
    parts = found["parts"] | {"end: interpreter": [ended - found["over"], 1]}
    return parts, trials


def unwatched(repository: Path, flags: Sequence[str]) -> float:
    """Seconds of the same search."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nas.search", *flags, "--study", f"{folder}/study"]
        began = time.monotonic()
        subprocess.run(command, cwd=repository, env=environment(), check=True)
        return time.monotonic() - began


def environment() -> dict[str, str]:
    """This process's, but that modules come from the current folder before anything else's."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}


ORDER = ("start", "imports", "driver", "training", "confirmation", "end", LOOKING, OTHER)


def rows_of(parts: dict[str, list[float]], before: dict[str, float] | None) -> list[dict[str, Any]]:
    """Parts in the order of a search, groups of them, and the whole."""
    names = {*parts, *(before or {})} - {"in all"}
    names = {name for name in names if not name.endswith(": all")} | {OTHER}
    groups = defaultdict(list)
    for name in names:
        groups[name.partition(":")[0]].append(name)
    total = sum(seconds for seconds, _ in parts.values())
    rows = []

    def row(label: str, members: Sequence[str]) -> None:
        found = [parts[name] for name in members if name in parts]
        seconds, looks = (sum(column) for column in zip(*found, strict=True)) if found else (0.0, 0)
        earlier = {} if before is None else {"before, s": sum(before.get(name, 0.0) for name in members)}
        rows.append(
            {"part": label, **earlier, "seconds": round(seconds, 2), "share": f"{seconds / total:.1%}"}
            | {"looks": looks}
        )

    for group in ORDER:
        for name in sorted(groups[group], key=lambda name: -parts.get(name, [0.0])[0]):
            row(name, [name])
        if len(groups[group]) > 1:
            row(f"{group}: all", groups[group])
    row("in all", sorted(names))
    return rows


def main(argv: Sequence[str] | None = None) -> list[dict[str, Any]]:
    from tests.benchmarks.measuring import report

    parser = argparse.ArgumentParser(description="Where every second of the default search goes.")
    parser.add_argument("--quick", action="store_true", help="two tiny trainings: does it run at all")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    parser.add_argument("--repository", type=Path, metavar="PATH", default=HERE.parents[2], help="a checkout")
    parser.add_argument("--before", type=Path, metavar="JSON", help="figures of another run, to show beside")
    parser.add_argument("--overhead", action="store_true", help="what the looking costs, by two runs more")
    options, flags = parser.parse_known_args(argv)
    flags = [*(QUICK if options.quick else () if "--budget" in flags else DEFAULT), *flags]
    repository = options.repository.resolve()
    before = None
    if options.before is not None:
        rows = json.loads(options.before.read_text())["rows"]
        before = {row["part"]: row["seconds"] for row in rows}
    plain = [unwatched(repository, flags)] if options.overhead else []
    parts, trials = profile(repository, flags)
    if options.overhead:
        plain.append(unwatched(repository, flags))
    rows = rows_of(parts, before)
    seconds = sum(spent for spent, _ in parts.values())
    looked = f"{sum(looks for _, looks in parts.values()) / seconds:.0f} looks a second"
    title = f"nas.search {' '.join(flags)}: {trials} trainings in {seconds:.1f} s, {looked}"
    if plain:
        title += f"; not looked at: {' and '.join(f'{s:.1f} s' for s in plain)}"
    report(title, rows, options.json)
    return rows


if __name__ == "__main__":
    main()
