"""`python -m nas.export STUDY`: the chosen network as a folder that a training can start from."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.command import Command
from space.errors import InputError

if TYPE_CHECKING:
    from argparse import Namespace

    from torch import Tensor

    from nas.chosen import Pick
    from nas.model_card import Outcome
    from nas.recipe import Recipe
    from nas.targets.target import Chosen, Exported

DEFAULT = ("native", "convnext", "timm", "python")
ALL = "all"
EPILOG = """examples:
  python -m nas.export small                                  # the study's best network
  python -m nas.export small --trial 7 --to all               # every target that can express it
  python -m nas.export sweep --front --out networks           # every network of the front
  python -m nas.export --arch convnext_tiny --to onnx --weights convnext_tiny.pth
  python -m nas.export small --gpus 4 --gpu-memory 24GB       # the batch that fits there
"""


def parser() -> Command:
    """The command line."""
    from argparse import RawDescriptionHelpFormatter

    from nas.targets import TARGETS

    parse = Command(
        prog="python -m nas.export",
        description="Write a network with its training recipe, each form checked against the original first.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    add = parse.add_argument
    add("study", nargs="?", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    add("--trial", type=int, metavar="N", help="the network of trial N (default: the best)")
    add("--front", action="store_true", help="every network of the study's accuracy/cost front")
    add(
        "--arch",
        metavar="FILE|NAME",
        help="a network by itself: architecture.json, a YAML file, convnext_tiny, ...",
    )
    add(
        "--to",
        nargs="+",
        default=list(DEFAULT),
        metavar="TARGET",
        help=f"{', '.join(TARGETS)}, or all (default: {' '.join(DEFAULT)})",
    )
    add("--out", type=Path, metavar="DIR", help="where to (default: STUDY/export/trial-N, or export/NAME)")
    add(
        "--weights",
        type=Path,
        metavar="CHECKPOINT",
        help="trained weights to export with it; their moving average where it has one",
    )
    add("--num-classes", type=int, metavar="N", help="outputs of the head (default: the recipe's data set's)")
    add(
        "--variant",
        default="imagenet-1k",
        metavar="NAME",
        help="the recipe: imagenet-1k (default), imagenet-22k, finetune-1k or finetune-22k",
    )
    add("--resolution", type=int, metavar="N", help="pixels of the training images (default: the recipe's)")
    add("--gpus", type=int, default=8, metavar="N", help="GPUs the total batch is split over (8)")
    add("--gpu-memory", metavar="SIZE", help="of each, such as 40GB: sets the batch per GPU")
    add(
        "--gpu-price",
        type=float,
        metavar="X",
        help="of a GPU hour, in your currency: the README estimates costs",
    )
    return parse  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    args = command.parse_args(argv)

    def act() -> None:
        for line in export(args, targets_of(args.to)):
            print(line, flush=True)

    return command.carry_out(act)


def targets_of(names: Sequence[str]) -> tuple[str, ...]:
    """The targets asked for, each once and in their own order. Raises `InputError` for one there is not."""
    from nas.targets import TARGETS

    for name in names:
        if name not in (*TARGETS, ALL):
            raise InputError(f"--to: {name!r} is no target; there are {', '.join(TARGETS)}, and {ALL}")
    return tuple(TARGETS) if ALL in names else tuple(name for name in TARGETS if name in names)


def export(args: Namespace, targets: Sequence[str]) -> list[str]:
    """Check and write every network; a line for each thing done. Raises `InputError`."""
    from nas.chosen import picks

    if args.gpu_price is not None and not 0 < args.gpu_price < math.inf:
        raise InputError(f"--gpu-price: {args.gpu_price:g} is no price; write it like 2.5")
    named = ALL not in args.to and args.to != list(DEFAULT)  # then a refusal is the user's to know first
    found = picks(args.study, args.trial, args.front, args.arch)
    if args.weights is not None and len(found) > 1:
        raise InputError("--weights: belong to one network; leave out --front")
    lines: list[str] = []
    for pick in found:
        folder = folder_of(args, pick, len(found))
        check_folder(folder, pick)
        lines += export_one(pick, folder, args, targets, named)
    return lines


def export_one(pick: Pick, folder: Path, args: Namespace, targets: Sequence[str], named: bool) -> list[str]:
    """Every target of one network, checked, then written. Raises `InputError`; then nothing is written."""
    from nas.model_card import model_card

    recipe = recipe_of(pick, args)
    chosen = chosen_of(pick, recipe, args.weights)
    outcomes = [export_target(name, chosen, named) for name in targets]
    files: dict[str, str | bytes] = {"architecture.json": architecture_json(pick)}
    for outcome in outcomes:
        if outcome.exported is not None:
            files |= {f"{outcome.target}/{name}": content for name, content in outcome.exported.files.items()}
    files["README.md"] = model_card(pick, recipe, outcomes, args.gpu_price)
    write(folder, files)
    return [
        f"{pick.title}: {folder}",
        *(f"  {outcome.target:<12} {outcome.verified}" for outcome in outcomes),
        f"  {folder / 'README.md'}",
    ]


def recipe_of(pick: Pick, args: Namespace) -> Recipe:
    """The recipe for the network on the GPUs of the flags. Raises `InputError`."""
    from nas.recipe import recipe_for
    from nas.sizes import bytes_of

    memory = None if args.gpu_memory is None else bytes_of(args.gpu_memory, "--gpu-memory")
    return recipe_for(
        pick.network,
        variant=args.variant,
        resolution=args.resolution,
        gpus=args.gpus,
        gpu_memory=memory,
        num_classes=args.num_classes,
    )


def chosen_of(pick: Pick, recipe: Recipe, checkpoint: Path | None) -> Chosen:
    """What the targets take. Raises `InputError` for weights that are not the network's."""
    from nas.targets.target import Chosen

    weights: Mapping[str, Tensor] | None = None
    if checkpoint is not None:
        from nas.weights import weights_of

        weights = weights_of(pick.network, checkpoint, recipe.data.num_classes)
    return Chosen(pick.network, pick.name, pick.title, recipe, weights)


def export_target(name: str, chosen: Chosen, named: bool) -> Outcome:
    """One target's files, checked, or its refusal. Raises `InputError` for a refusal where it was `named`."""
    from nas.model_card import Outcome
    from nas.targets import load_target
    from nas.targets.target import Mismatch, Refused

    module = load_target(name)
    make: Callable[[Chosen], Exported] = module.export
    try:
        return Outcome(name, module.SUMMARY, make(chosen))
    except Refused as refusal:
        if named:
            raise InputError(f"{chosen.title}: {name}: {refusal}; nothing was written") from None
        return Outcome(name, module.SUMMARY, None, str(refusal))
    except Mismatch as mismatch:
        raise InputError(f"{name}: {mismatch}; nothing was written, please report it") from None


def folder_of(args: Namespace, pick: Pick, count: int) -> Path:
    """Where a network goes: --out itself, or a folder in it for each of several."""
    own = pick.name.removeprefix("nas_") if pick.trial is None else f"trial-{pick.trial}"
    if args.out is not None:
        return Path(args.out) / own if count > 1 else Path(args.out)
    if pick.study is None:
        return Path("export") / own
    assert pick.study.folder is not None
    return pick.study.folder / "export" / own


def check_folder(folder: Path, pick: Pick) -> None:
    """A folder that is there must be this network's. Raises `InputError`."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name another folder with --out")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        fingerprint = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            f"{folder}: holds other things than an export; name another folder with --out"
        ) from None
    if fingerprint != pick.network.fingerprint:
        raise InputError(f"{folder}: holds another network ({fingerprint}); name another folder with --out")


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Every file, each whole or not at all; the README last. Raises `InputError`."""
    from space.files import write_bytes

    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path.parent}: cannot be made ({error.strerror})") from None
        write_bytes(path, content.encode("utf-8", errors="replace") if isinstance(content, str) else content)


def architecture_json(pick: Pick) -> str:
    """The network with what it costs and what is known of it; `python -m space.describe` reads it."""
    from space.cost import cost

    total = cost(pick.network)
    values: dict[str, Any] = {
        "name": pick.title,
        "fingerprint": pick.network.fingerprint,
        "params": total.params,
        "macs": total.macs,
        "activations": total.activations,
    }
    if pick.study is not None:
        trial, proxy = pick.values, pick.study.mapping["proxy"]
        values["evidence"] = {
            "study": pick.study.name,
            "trial": pick.trial,
            "proxy": proxy["name"],
            "proxy_fingerprint": proxy["fingerprint"],
            "proxy_accuracy": trial["accuracy"],
            "epochs": trial["fidelity"],
            "seed": trial["seed"],
        }
    return json.dumps(values | {"architecture": pick.network.to_dict()}, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
