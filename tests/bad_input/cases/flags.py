"""Every flag of every command: values it cannot have, none at all, and flags that do not go together."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping, Sequence

from tests.bad_input.case import COMMANDS, Case, Make
from tests.bad_input.wrong import (
    DIGITS,
    ESCAPE,
    LINES,
    LONG,
    NO_CHOICES,
    NO_COUNTS,
    NO_DATA,
    NO_DEVICES,
    NO_FILES,
    NO_NONNEGATIVES,
    NO_PLACES,
    NO_POSITIVES,
    NO_SHARES,
    NO_SIZES,
    NO_STUDIES,
    NO_WHOLES,
    stocked,
)  # fmt: skip

SEARCH = (
    "--budget", "20M..40M", "--space", "micro", "--proxy", "simulated:separable", "--trials", "2",
    "--sampler", "random", "--no-reference",
)  # fmt: skip
SMOKE = (*SEARCH, "--proxy", "smoke")
RAY = (*SEARCH, "--engine", "ray")
MEASURE = ("convnext_tiny", "--proxy", "simulated:separable", "--seeds", "1")
MEASURE_SMOKE = (*MEASURE, "--proxy", "smoke")
EXPORT = ("--arch", "convnext_tiny", "--to", "native", "--out", "exported")
TRAIN = ("recipe.yaml", "--data", "imagefolder:images", "--out", "out", "--workers", "0")
EVALUATE = ("model.pt", "--data", "imagefolder:images", "--workers", "0")

BASE: Mapping[str, Sequence[str]] = {
    "space.describe": ("convnext_tiny",),
    "nas.search": SEARCH,
    "nas.measure": MEASURE,
    "nas.export": EXPORT,
    "nas.train": TRAIN,
    "nas.evaluate": EVALUATE,
    "analysis.dashboard": ("small",),
    "analysis.compare": ("small",),
    "analysis.scale": ("sweep", "--to", "48M"),
    "analysis.importance": ("small",),
    "analysis.proxies": ("small",),
    "analysis.agreement": ("small", "small"),
}
"""A command line that is right, but for what is appended: of a flag that stands twice the last counts."""

STUDIES: dict[str, Make] = {f"runs/{name}": stocked(name) for name in ("small", "sweep")}
GIVEN: Mapping[str, Mapping[str, Make]] = {
    "nas.search": {"../cache": stocked("cache")},
    "nas.measure": {"../cache": stocked("cache")},
    "nas.export": STUDIES,
    "nas.train": {
        "recipe.yaml": stocked("recipe.yaml"),
        "images": stocked("images"),
        "../cache": stocked("cache"),
    },
    "nas.evaluate": {
        "model.pt": stocked("trained/checkpoint-best.pt"),
        "images": stocked("images"),
        "../cache": stocked("cache"),
    },
    **{name: STUDIES for name in COMMANDS if name.startswith("analysis.")},
}

BUDGETS = (
    "", "x", "-1", "0", "nan", "inf", "1e400", "4,5G", "9G..1G", "1G..", "..1G", "1G..2Mparams", "1G,,2G",
        ",",
    "1G,x", "1Ghz", "5PFLOPs", "1G..2G..3G", "1", "1e308G", "0G..0G", "1e-9", LONG, ESCAPE, LINES,
    "9" * 5000,
)  # fmt: skip
BANDS = (
    "",
    "x",
    "1",
    "1:2:3",
    "0:1",
    "-1:1",
    "1:0.5",
    "nan:1",
    "0.9:inf",
    "1e300:1e308",
    ":",
    "0.9:",
    "a:b",
    DIGITS,
    ESCAPE,
)
SPACES = ("", "nope", "MICRO", "micro.yaml", *NO_FILES)
PROXIES = (
    "", "nope", "SMOKE", "simulated", "simulated:", "simulated:nope", "simulated:separable:x",
    "simulated:separable:-1", "simulated:separable:nan", "table", "table:", "table:nope.yaml", "table:.",
    *(name for name in NO_FILES if name != "/dev/null"),  # an empty proxy is the default one
)  # fmt: skip
LIMITS = ("", "x", "-1", "0", "nan", "inf", "1..2", "1e400", "30Gx", "1", "30MFLOPs", ESCAPE)
NETWORKS = (
    "",
    "nope",
    "convnext_tinyy",
    "swin_tinyy",
    "roadmap_t_99",
    DIGITS,
    ESCAPE,
    LINES,
    "x.json",
    "x.pt",
    *NO_FILES,
)

NO_ASSIGNMENTS = (
    "", "x", "=", "=1", "proxy.epochs", "epochs=1", "proxy.epoch=1", "proxy.=1", "proxy.epochs=",
    "proxy.epochs=[", "proxy.epochs=x", "proxy.epochs=0", "proxy.betas=1", "proxy.data=", "proxy.mixup=nan",
    ESCAPE, LONG,
)  # fmt: skip

Values = Sequence[str]
BAD: Mapping[str, Mapping[str, tuple[Sequence[str], Values]]] = {
    "space.describe": {
        "network": ((), NETWORKS),
        "--resolution": (BASE["space.describe"], (*NO_COUNTS, "1", "31")),
        "--num-classes": (BASE["space.describe"], NO_COUNTS),
    },
    "nas.search": {
        "--budget": (SEARCH, BUDGETS),
        "--band": (("--budget", "30M", *SEARCH[2:]), BANDS),
        "--space": (SEARCH, SPACES),
        "--objective": (SEARCH, (*NO_CHOICES, "BEST", "best,front")),
        "--max-params": (SEARCH, LIMITS),
        "--max-activations": (SEARCH, LIMITS),
        "--max-latency": (SMOKE, ("", "x", "5", "-5ms", "0ms", "5 minutes", "nan ms", "infs", "ms", ESCAPE)),
        "--proxy": (SEARCH, PROXIES),
        "--data": (SMOKE, NO_DATA),
        "--num-classes": (SMOKE, (*NO_COUNTS, "1")),
        "--resolution": (SMOKE, NO_COUNTS),
        "--train-size": (SMOKE, NO_COUNTS),
        "--epochs": (SMOKE, NO_COUNTS),
        "--batch-size": (SMOKE, NO_COUNTS),
        "--lr": (SMOKE, (*NO_POSITIVES, "TUNED", "[1, 2]", "{a: 1}", "0.1.2")),
        "--set": (SMOKE, NO_ASSIGNMENTS),
        "--device": (SMOKE, NO_DEVICES),
        "--threads": (SMOKE, NO_COUNTS),
        "--scheduler": (SEARCH, (*NO_CHOICES, "ASHA")),
        "--eta": ((*SEARCH, "--scheduler", "asha"), (*NO_COUNTS, "1")),
        "--min-epochs": ((*SEARCH, "--scheduler", "asha"), NO_COUNTS),
        "--confirm": (SEARCH, ("", "x", "3", "3x", "x3", "0x3", "3x0", "-1x1", "1000x1", "3x3x3", "nanx1",
            "3\N{MULTIPLICATION SIGN}3", ESCAPE)),
        "--trials": (SEARCH, NO_COUNTS),
        "--time-limit": (SEARCH, ("", "x", "0", "-5", "1d", "nan", "inf", "5m5h", "0s", "1h-5m", "1h30",
            ESCAPE)),
        "--sampler": (SEARCH, (*NO_CHOICES, "TPE")),
        "--seed": (SEARCH, (*NO_WHOLES, "2147483648", "99999999999999999999")),
        "--reference": (SEARCH, (*NO_CHOICES, "convnext,x", ",", "none,convnext")),
        "--engine": (SEARCH, (*NO_CHOICES, "Ray")),
        "--ray-address": (SEARCH, ("", "x", "127.0.0.1:1")),
        "--workers": (RAY, NO_COUNTS),
        "--cpus-per-trial": (RAY, NO_POSITIVES),
        "--gpus-per-trial": (RAY, NO_NONNEGATIVES),
        "--gpu-memory": (RAY, NO_SIZES),
        "--study": (SEARCH, (*NO_PLACES, "a b", LONG, f"x/{LONG}", "/dev/null", ESCAPE, LINES, "é", "%41",
            "", f"./{ESCAPE}", f"./{LINES}")),
        "--storage": (SEARCH, (
            "", "x", "://", "mysql://u:SECRET@h/d", "sqlite:///x.db", "http://x", "postgresql://u:SECRET@h:notaport/d",
            "postgresql://u:SECRET@127.0.0.1:1/x", "postgresql://u:SECRET@[::1/d", "oracle://u:SECRET@h",
                ESCAPE, LONG,
        )),
        "--study-file": (SEARCH, NO_FILES),
    },
    "nas.measure": {
        "networks": (("--proxy", "simulated:separable"), (*NETWORKS, "swin_tiny", "roadmap_x")),
        "--seeds": (MEASURE, (*NO_COUNTS, "1001", "99999999999999999999")),
        "--seed": (MEASURE, (*NO_WHOLES, "2147483648")),
        "--proxy": (MEASURE, PROXIES),
        "--data": (MEASURE_SMOKE, NO_DATA),
        "--num-classes": (MEASURE_SMOKE, (*NO_COUNTS, "1")),
        "--resolution": (MEASURE_SMOKE, NO_COUNTS),
        "--train-size": (MEASURE_SMOKE, NO_COUNTS),
        "--epochs": (MEASURE_SMOKE, NO_COUNTS),
        "--batch-size": (MEASURE_SMOKE, NO_COUNTS),
        "--lr": (MEASURE_SMOKE, (*NO_POSITIVES, "TUNED", "[1, 2]", "{a: 1}", "0.1.2")),
        "--set": (MEASURE_SMOKE, NO_ASSIGNMENTS),
        "--device": (MEASURE_SMOKE, NO_DEVICES),
        "--threads": (MEASURE_SMOKE, NO_COUNTS),
        "--engine": (MEASURE, (*NO_CHOICES, "Ray")),
        "--ray-address": (MEASURE, ("", "x", "127.0.0.1:1")),
        "--workers": ((*MEASURE, "--engine", "ray"), NO_COUNTS),
        "--cpus-per-trial": ((*MEASURE, "--engine", "ray"), NO_POSITIVES),
        "--gpus-per-trial": ((*MEASURE, "--engine", "ray"), NO_NONNEGATIVES),
        "--gpu-memory": ((*MEASURE, "--engine", "ray"), NO_SIZES),
        "--study": (MEASURE, (*NO_PLACES, "a b", LONG, f"x/{LONG}", "/dev/null", ESCAPE, LINES, "é",
            "%41", "")),
    },
    "nas.export": {
        "study": ((), ("", *NO_STUDIES)),
        "--trial": (("small",), (*NO_WHOLES, "999", "99999999999999999999")),
        "--arch": (EXPORT, (*NETWORKS, "swin_tiny")),
        "--to": (EXPORT, (*NO_CHOICES, "native,convnext", "ALL")),
        "--out": (EXPORT, NO_PLACES),
        "--weights": (EXPORT, ("nope.pt", "/dev/null", ".", "no/such.pt", f"{LONG}.pt", "\x1b.pt")),
        "--num-classes": (EXPORT, (*NO_COUNTS, "1")),
        "--classes": (EXPORT, ("nope.txt", ".", "no/such.txt", f"{LONG}.txt", "\x1b.txt")),
        "--data": (EXPORT, NO_DATA),
        "--variant": (EXPORT, (*NO_CHOICES, "imagenet-21k", "IMAGENET-1K")),
        "--resolution": (EXPORT, (*NO_COUNTS, "1", "31")),
        "--gpus": (EXPORT, (*NO_COUNTS, "3", "4097", "99999999999999999999")),
        "--gpu-memory": (EXPORT, (*NO_SIZES, "1MB")),
        "--gpu-price": (EXPORT, NO_POSITIVES),
    },
    "nas.train": {
        "recipe": (TRAIN[1:], ("", *NO_FILES)),
        "--data": (TRAIN, NO_DATA),
        "--out": (TRAIN, NO_PLACES),
        "--seeds": (TRAIN, (*NO_COUNTS, "1001")),
        "--control": (TRAIN, (*NETWORKS, "convnext_teeny")),
        "--set": (TRAIN, ("", "x", "=", "=1", "lr=1", "optimizer.lr=x", "optimizer.lr=-1", "epochs=0",
            "epochs=nan", "optimizer=1", "architecture.width=8", "architecture.drop_path=2",
            "data.resolution=[", "a.b.c=1",
            f"{LONG}=1", f"epochs={DIGITS}", "schedule.warmup_epochs=.inf", "\x1b=1")),
        "--init": (TRAIN, ("", "nope.pt", ".", "/dev/null", "no/such.pt", f"{LONG}.pt", "\x1b.pt")),
        "--device": (TRAIN, (*NO_DEVICES, "")),
        "--workers": (TRAIN, NO_WHOLES),
        "--epochs-limit": (TRAIN, NO_COUNTS),
    },
    "nas.evaluate": {
        "checkpoint": (EVALUATE[1:], ("", "nope.pt", ".", "/dev/null", "no/such.pt", f"{LONG}.pt",
            "x.safetensors", "\x1b.pt")),
        "--data": (EVALUATE, (*NO_DATA, "digits")),
        "--network": (EVALUATE, (*NETWORKS, "convnext_tiny", "swin_tiny")),
        "--resolution": (EVALUATE, (*NO_COUNTS, "1", "31")),
        "--crop": (EVALUATE, NO_SHARES),
        "--batch-size": (EVALUATE, NO_COUNTS),
        "--workers": (EVALUATE, NO_WHOLES),
        "--device": (EVALUATE, (*NO_DEVICES, "")),
        "--precision": (EVALUATE, (*NO_CHOICES, "fp16", "FP32")),
    },
    "analysis.dashboard": {
        "studies": ((), ("", *NO_STUDIES)),
        "--results": ((), ("nope.csv", ".", "/dev/null", "no/such.csv", f"{LONG}.csv", "\x1b.csv", "")),
        "--out": (("small",), (*NO_PLACES, ".", "runs")),
        "--figures": (("small", "--out", "page.html"), NO_PLACES),
        "--host": (("small", "--serve", "--port", "0"), ("999.1.1.1", "x y", "203.0.113.1", ESCAPE, LONG,
            "a\nb")),
        "--port": (("small", "--serve"), (*NO_WHOLES, "65536", "99999999999999999999")),
    },
    "analysis.compare": {
        "studies": ((), ("", *NO_STUDIES)),
        "--csv": (("--published",), (*NO_PLACES, ".", "runs")),
        "--html": (("small",), (*NO_PLACES, "x.html")),
        "--family": (("--published",), NO_CHOICES),
        "--source": (("--published",), NO_CHOICES),
        "--against": (("--published",), NO_CHOICES),
        "--against-source": (("--published",), NO_CHOICES),
        # "" is a recipe: that of a source which names none
        "--recipe": (("--published",), [value for value in NO_CHOICES if value]),
        "--against-recipe": (("--published",), [value for value in NO_CHOICES if value]),
        "--test-set": (("--published",), NO_CHOICES),
        "--pretrain": (("--published",), NO_CHOICES),
        "--resolution": (("--published",), (*NO_COUNTS, "7")),
        "--noise": (("--published",), NO_POSITIVES),
        "--results": (("--published",), ("nope.csv", ".", "/dev/null", "no/such.csv", f"{LONG}.csv",
            "\x1b.csv", "")),
    },
    "analysis.scale": {
        "studies": (("--to", "48M"), ("", *NO_STUDIES)),
        "--compute": (("sweep",), ("", "x", "1Mparams", "1G..2G", "-1", "nan", "1e99", "5EBFLOPs", "9" * 99)),
        "--to": (("sweep",), tuple(text for text in BUDGETS if text not in ("1",))),
        "--space": (BASE["analysis.scale"], SPACES),
        "--out": (BASE["analysis.scale"], (*NO_PLACES, ".", "runs")),
        "--results": (("--to", "15G"), ("nope.csv", ".", "/dev/null", "no/such.csv", f"{LONG}.csv")),
        "--fit-to": (("--results", "--to", "15G"), ("", "x", "1Mparams", "1G..2G", "1k", "-1")),
        "--family": (("--results", "--to", "15G"), NO_CHOICES),
        "--source": (("--results", "--to", "15G"), NO_CHOICES),
        "--pretrain": (("--results", "--to", "15G"), NO_CHOICES),
        "--resolution": (("--results", "--to", "15G"), (*NO_COUNTS, "7")),
        "--device": (("--results", "--to", "9images/s"), NO_CHOICES),
        "--noise": (("--results", "--to", "15G"), NO_POSITIVES),
    },
    "analysis.importance": {
        "studies": ((), ("", *NO_STUDIES)),
        "--axes": (("small",), NO_CHOICES),
        "--budget": (("small",), NO_CHOICES),
        "--csv": (("small",), (*NO_PLACES, ".", "runs")),
    },
    "analysis.proxies": {
        "study": ((), ("", *NO_STUDIES)),
        "--scores": (("small",), (*NO_CHOICES, ",", "synflow,x", "SYNFLOW,")),
    },
    "analysis.agreement": {
        "studies": ((), ("", *NO_STUDIES)),
        "--csv": (("small", "small"), (*NO_PLACES, ".", "runs")),
        "--card": (("small",), (*NO_PLACES, ".", "runs")),
        "--plot": (("small", "small"), (*NO_PLACES, ".", "runs", "x.png", "x", "no/such.gif")),
    },
}  # fmt: skip
"""Command -> flag or argument -> the rest of the command line, and values that must be refused."""

TOGETHER: Mapping[str, Sequence[tuple[str, Sequence[str]]]] = {
    "space.describe": (("network", ()), ("--json", ("convnext_tiny", "--json", "x"))),
    "nas.search": (
        ("--budget", ()),
        ("--resume", (*SEARCH, "--resume")),
        ("--resume", (*SEARCH, "--resume", "--study", "nope")),
        ("--epochs", (*SEARCH, "--epochs", "2")),
        ("--data", (*SEARCH, "--data", "digits")),
        ("--workers", (*SEARCH, "--workers", "2")),
        ("--cpus-per-trial", (*SEARCH, "--cpus-per-trial", "1")),
        ("--gpus-per-trial", (*SEARCH, "--gpus-per-trial", "1")),
        ("--gpu-memory", (*SEARCH, "--gpu-memory", "40GB")),
        ("--threads", (*RAY, "--threads", "2")),
        ("--trials", (*SEARCH, "--budget", "20M,30M", "--trials", "1")),
        ("--reference", (*SEARCH, "--reference", "swin")),
        ("--budget", ("--budget", "4.5G", *SEARCH[2:])),
        ("--min-epochs", (*SEARCH, "--scheduler", "asha", "--min-epochs", "9999")),
        ("--min-epochs", (*SEARCH, "--min-epochs", "2")),
        ("--eta", (*SEARCH, "--eta", "4")),
        ("--eta", (*SEARCH, "--eta", "4", "--scheduler", "none")),
        ("--band", (*SEARCH, "--band", "0.5:1")),
        ("--max-params", (*SMOKE, "--max-params", "1", "--max-activations", "1")),
    ),
    "nas.measure": (
        ("networks", ()),
        ("networks", ("convnext_tiny", "convnext_tiny", "--proxy", "simulated:separable")),
        ("networks", ("roadmap_t", "roadmap_t_1", "--proxy", "simulated:separable")),
        ("--resume", (*MEASURE, "--resume")),
        ("--resume", (*MEASURE, "--resume", "--study", "nope")),
        ("--workers", (*MEASURE, "--workers", "2")),
        ("--gpu-memory", (*MEASURE, "--gpu-memory", "40GB")),
    ),
    "nas.export": (
        ("study", ()),
        ("study", ("small", *EXPORT)),
        ("--front", (*EXPORT, "--front")),
        ("--trial", (*EXPORT, "--trial", "1")),
        ("--front", ("small", "--front", "--trial", "1")),
        ("--front", ("small", "--front", "--weights", "x.pt")),
        ("--trial", ("small", "--trial", "-1")),
        ("--to", ("--arch", "resnet50", "--to", "transformers", "--out", "exported")),
    ),
    "nas.train": (("recipe", ()), ("--data", ("recipe.yaml", "--out", "out")),
                  ("--resume", (*TRAIN, "--resume")), ("--continue", (*TRAIN, "--continue=x")),
                  ("--finetune", (*TRAIN, "--finetune")), ("--control", (*TRAIN, "--control", "tiny.json")),
                  ("--control", (*TRAIN, *("--control", "convnext_tiny") * 2))),
    "nas.evaluate": (("checkpoint", ()), ("--data", ("model.pt",)), ("--ema", (*EVALUATE, "--ema=x")),
                     ("--no-ema", (*EVALUATE, "--no-ema=x"))),
    "analysis.dashboard": (
        ("studies", ()),
        ("--serve", ("small", "--serve", "--out", "x.html")),
        ("--serve", ("small", "--serve", "--figures", "x")),
        ("--serve", ("small", "--serve", "--results")),
        ("studies", ("small", "nope")),
    ),
    "analysis.compare": (
        ("studies", ()),
        ("--published", ("small", "--published")),
        ("--html", ("--published", "--html", "x.html")),
        ("--family", ("small", "--family", "convnext")),
        ("--noise", ("small", "--noise", "1")),
        ("--results", ("small", "--results", "x.csv")),
        ("--results", ("--published", "--results")),
        ("studies", ("small", "nope")),
    ),
    "analysis.scale": (
        ("studies", ()),
        ("studies", ("--to", "48M")),
        ("studies", ("sweep", "small", "--to", "48M")),
        ("studies", ("sweep", "small", "--compute", "1e15")),
        ("--to", ("sweep",)),
        ("--to", ("--results",)),
        ("--compute", ("sweep", "--to", "48M", "--compute", "1e15")),
        ("--compute", ("--results", "--compute", "1e15")),
        ("--out", ("sweep", "--compute", "1e15", "--out", "x.json")),
        ("--to", ("--results", "--to", "1G..2G")),
        ("--fit-to", ("--results", "--to", "15G", "--fit-to", "30Mparams")),
        ("--to", ("--results", "--to", "9images/s")),
        ("--to", ("--results", "--to", "0images/s", "--device", "V100")),
        ("--device", ("--results", "--to", "15G", "--device", "V100")),
        ("studies", ("small", "--to", "48M")),
        ("studies", ("sweep", "--to", "48M", "--results")),
        ("--family", ("sweep", "--to", "48M", "--family", "convnext")),
    ),
    "analysis.importance": (("studies", ()), ("studies", ("small", "sweep", "nope"))),
    "analysis.proxies": (("study", ()), ("--scores", ("small", "--scores", "gradnorm,nope"))),
    "analysis.agreement": (
        ("studies", ()),
        ("studies", ("small",)),  # none of its networks was published
        ("studies", ("small", "sweep")),
        ("studies", ("small", "small", "small")),
        ("studies", ("small", "nope")),
    ),
}  # fmt: skip
"""What is missing or does not go together."""


def parser(command: str) -> argparse.ArgumentParser:
    """A command's own."""
    found: argparse.ArgumentParser = importlib.import_module(command).parser()
    return found


def names(action: argparse.Action) -> list[str]:
    """What an input may aim at: the flag in full, or the argument."""
    return [name for name in action.option_strings if name.startswith("--")] or [action.dest]


def cases() -> Iterator[Case]:
    """All of them."""
    for command in COMMANDS:
        yield from _values(command)
        yield from _together(command)
        yield from _forms(command)


def _case(command: str, kind: str, aim: str, name: str, argv: Sequence[str]) -> Case:
    secret = "SECRET" if any("SECRET" in word for word in argv) else ""
    files = {**GIVEN.get(command, {}), "file.txt": "a file\n"}
    printed = (command, aim) == (
        "nas.export",
        "--out",
    )  # a network is checked, and told, before it is written
    return Case(command, kind, aim, name, tuple(argv), files, secret=secret, printed=printed)


def _values(command: str) -> Iterator[Case]:
    for aim, (rest, values) in BAD[command].items():
        for value in dict.fromkeys(values):
            # with =, so that a value may start with a dash
            several = aim in ("--to", "--results")
            if not aim.startswith("--"):
                argv = [*rest, "--", value]
            else:
                argv = (
                    [*rest, aim, value]
                    if several and not value.startswith("-")
                    else [*rest, f"{aim}={value}"]
                )
            shown = repr(value) if len(value) < 60 else f"{value[:12]!r}... ({len(value):,} characters)"
            yield _case(command, "flag values", aim, shown, argv)


def _together(command: str) -> Iterator[Case]:
    for aim, argv in TOGETHER[command]:
        yield _case(command, "missing or contradicting", aim, " ".join(argv) or "no arguments", argv)


def _forms(command: str) -> Iterator[Case]:
    """A flag without its value, a switch with one, flags that there are not."""
    base, actions = BASE[command], parser(command)._actions
    known = {name for action in actions for name in action.option_strings}
    for action in actions:
        for name in (name for name in action.option_strings if name.startswith("--") and name != "--help"):
            if action.nargs == 0:
                yield _case(command, "flag forms", name, "with a value", [*base, f"{name}=1"])
            elif action.nargs != "*":
                yield _case(command, "flag forms", name, "without a value", [*base, name])
            if name[:-1] not in known:
                yield _case(command, "flag forms", name, "cut short", [*base, name[:-1], "1"])
    for name in ("--nope", "--nope=1", "-x", f"--{LONG}", "--\x1b[31m", "---"):
        yield _case(command, "flag forms", "unknown flag", repr(name)[:40], [*base, name])
