"""The flags of a search and of a measurement: the same where they mean the same.

A flag that was not given is None: what it is then, `nas.plan.settings` says, or the plan.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nas.data.sources.registry import forms
from nas.samplers.registry import DEFAULT, SAMPLERS

Add = Callable[..., Any]

# fmt: off


def add_search_flags(parse: argparse.ArgumentParser) -> None:
    """What `nas.search` takes."""
    _add_goal(parse.add_argument_group("what to search").add_argument)
    add = parse.add_argument_group("how a network is judged").add_argument
    _add_judge(add)
    _add_scheduler(add)
    _add_effort(parse.add_argument_group("how long, and how").add_argument)
    _add_engine(parse.add_argument_group("where it runs").add_argument)
    add = parse.add_argument_group("where it is kept").add_argument
    _add_study(add, "named by space and budget")
    add("--storage", metavar="URL", help="postgresql://USER@HOST/DATABASE: several searches may share the "
        "study")
    add("--study-file", type=Path, metavar="FILE", help="YAML with any of these settings; flags override it")


def add_measure_flags(parse: argparse.ArgumentParser) -> None:
    """What `nas.measure` takes."""
    parse.add_argument("networks", nargs="*", metavar="NETWORK", help="names (python -m space.describe "
        "--list; swin_tiny to swin_large), roadmap_t or roadmap_b for all its steps, files, or a study's: "
        "STUDY, or STUDY:3,7 for those trials, under its proxy and on its data unless told otherwise")
    add = parse.add_argument_group("how networks are judged").add_argument
    add("--seeds", type=int, metavar="N", help="trainings of each network (default 3)")
    add("--seed", type=int, metavar="N", help="the first seed (default 0)")
    _add_judge(add)
    _add_engine(parse.add_argument_group("where it runs").add_argument)
    _add_study(parse.add_argument_group("where it is kept").add_argument, "measured")


def _add_goal(add: Add) -> None:
    add("--budget", metavar="COST", help="4.5GFLOPs, 600MFLOPs or 4.5e9 (multiply-accumulates at 224x224), "
        "30Mparams, 13Mactivations; a range 1GFLOPs..9GFLOPs for the front over it; a list "
        "0.6GFLOPs,1.2GFLOPs for a search each; required, here or in the study file")
    add("--band", metavar="LOW:HIGH", help="shares of the budget a network may cost (default 0.95:1)")
    add("--space", metavar="NAME|FILE", help="convnext (default), roadmap, micro, or a YAML file")
    add("--objective", metavar="WHAT", help="best: the most accurate network of the budget; front: the best "
        "at every cost (default: front for a range, else best)")
    add("--max-params", metavar="N", help="and no more parameters than this, as 30M")
    add("--max-activations", metavar="N", help="and no more activations, as 13M")
    add("--max-latency", metavar="TIME", help="and no slower than this, as 5ms: one 224x224 image on the "
        "device that trains, measured before a network is proposed")


def _add_judge(add: Add) -> None:
    add("--proxy", metavar="NAME|FILE", help="the short training: smoke, cpu (default without a GPU), photos "
        "(the same for images of your own), gpu (default with one), imagenet-subset, or a YAML file; "
        "simulated:LAW trains nothing, to rehearse a search; table:FILE searches what others trained")
    add("--data", metavar="SPEC", help=f"another data set than the proxy's: {', '.join(forms())}")
    add("--num-classes", type=int, metavar="N", help="classes of it that are used (default: all; of the "
        "proxy's own data what the proxy says)")
    add("--resolution", type=int, metavar="PIXELS", help="of the images, both sides")
    add("--train-size", type=int, metavar="N", help="training images, at most")
    add("--epochs", type=int, metavar="N", help="of one training")
    add("--batch-size", type=int, metavar="N", help="images a step")
    add("--lr", metavar="RATE", help="learning rate, as 1e-3, or tuned: for each network the best of three")
    add("--set", action="append", metavar="KEY=VALUE", help="any field of the proxy, as proxy.mixup=0.8; "
        "repeatable (docs/proxies.md has them all)")
    add("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add("--threads", type=int, metavar="N", help="CPU threads of a training (default: all cores)")


def _add_scheduler(add: Add) -> None:
    add("--scheduler", metavar="NAME", help="stop bad trainings early: none, asha, halving or hyperband, "
        "over epochs; auto trains a third fully, and stops the others after epochs that told, if any: what "
        "that saves goes to more networks (default: none; auto for long searches with tpe)")
    add("--eta", type=int, metavar="N", help="one of so many goes on at each rung (default 3)")
    add("--min-epochs", type=int, metavar="N", help="epochs of the first rung (default: up to three rungs)")
    add("--confirm", metavar="KxS", help="train the best K and the references again with S fresh seeds "
        "(default: 3x3 with the gpu proxies, else 0x0)")


def _add_effort(add: Add) -> None:
    add("--trials", type=int, metavar="N", help="networks to train in all, the reference included "
        "(default: 10 with the cpu proxy, 6 with smoke, 32 with others); with --scheduler auto the epochs of "
        "so many full trainings")
    add("--time-limit", metavar="TIME", help="start no training that would end later: 90s, 10m, 1h30m "
        "(default: 9m30s with the cpu proxy if --trials is not given, else none)")
    add("--sampler", metavar="NAME", help=f"{', '.join(SAMPLERS)} (default: {DEFAULT})")
    add("--seed", type=int, metavar="N", help="seed of proposals and trainings (default 0)")
    add("--reference", metavar="FAMILIES", help="published networks of the budget to train first, as "
        "swin,convnext,resnet (default: convnext,swin), or none")
    add("--no-reference", dest="reference", action="store_const", const="none", help="the same as none")


def _add_engine(add: Add) -> None:
    add("--engine", metavar="NAME", help="local (default): one training at a time, here; ray: Ray Tune, here "
        "or on a cluster")
    add("--ray-address", metavar="ADDRESS", help="join this Ray cluster (default: a Ray of its own, here)")
    add("--workers", type=int, metavar="N", help="trainings at once (default with ray: all that fit)")
    add("--cpus-per-trial", type=float, metavar="N", help="CPU cores of a training (default: 1, or a GPU's "
        "share)")
    add("--gpus-per-trial", type=float, metavar="N", help="GPUs of a training, as 0.5 (default: 1 if there "
        "are any here)")
    add("--gpu-memory", metavar="SIZE", help="of one GPU, as 40GB: a network that needs more than its share "
        "asks for more (default: this machine's)")


def _add_study(add: Add, default: str) -> None:
    add("--study", metavar="NAME|PATH", help=f"runs/NAME, or a folder (default: {default})")
    add("--resume", action="store_true", default=None, help="go on with a study, under its own settings")
    add("--continue", dest="resume", action="store_const", const="auto", help="start, or go on where "
        "there is a study: a command that can be given again")
