"""`python -m nas.export STUDY`: the chosen network as a folder that a training can start from."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.targets.head import Head, head_of, images_of, spec_of
from space.command import Command
from space.errors import InputError, quoted

if TYPE_CHECKING:
    from argparse import Namespace

    from nas.recipe.fitted import Images
    from nas.recipe.recipe import Recipe
    from nas.targets.exportable import Exportable
    from nas.targets.outcome import TargetOutcome
    from nas.targets.target import Chosen

HIGHEST_PRICE = 1e6
CLASSES = {"imagenet-1k": 1000, "imagenet-22k": 21841}
DEFAULT_GPUS = 8
UNNAMED = "images"  # a data set of other classes than the recipe's
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
    # fmt: off
    add("study", nargs="?", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    add("--trial", type=int, metavar="N", help="the network of trial N (default: what the study recommends)")
    add("--front", action="store_true", help="every network of the study's accuracy/cost front (the default "
        "for a range of budgets)")
    add("--arch", metavar="FILE|NAME", help="a network by itself: architecture.json, a YAML file, "
        "convnext_tiny, ...")
    add("--to", nargs="+", default=list(DEFAULT), metavar="TARGET", help=f"{', '.join(TARGETS)}, or all "
        f"(default: {' '.join(DEFAULT)})")
    add("--out", type=Path, metavar="DIR", help="where to (default: STUDY/export/trial-N, or export/NAME)")
    add("--weights", type=Path, metavar="CHECKPOINT", help="trained weights to export with it: the better of "
        "the weights and their moving average")
    add("--num-classes", type=int, metavar="N", help="outputs of the head (default: as many as --classes, "
        "--weights or the study's own images have, else the recipe's data set)")
    add("--classes", type=Path, metavar="FILE", help="the classes' names by label, one a line (default: "
        "those of --weights or of the study's data)")
    add("--variant", default="imagenet-1k", metavar="NAME", help="the recipe: imagenet-1k (default), "
        "imagenet-22k, finetune-1k or finetune-22k")
    add("--data", metavar="SPEC", help="the images it will be trained on: the recipe is worked out for them "
        "(default: the study's, where they are your own)")
    add("--resolution", type=int, metavar="N", help="pixels of the training images (default: the recipe's)")
    add("--gpus", type=int, metavar="N", help="GPUs the total batch is split over (default: 8; for images of "
        "your own those of this machine)")
    add("--gpu-memory", metavar="SIZE", help="of each, such as 40GB: sets the batch per GPU")
    add("--gpu-price", type=float, metavar="X", help="of a GPU hour, in your currency: the README estimates "
        "costs")
    # fmt: on
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    args = command.parse_args(argv)

    def act() -> int:
        failed = export(args, targets_of(args.to))
        return command.ended(1, "; ".join(failed)) if failed else 0

    return command.carry_out(act)


def targets_of(names: Sequence[str]) -> tuple[str, ...]:
    """The targets asked for, each once and in their own order. Raises `InputError` for one there is not."""
    from nas.targets import TARGETS

    for name in names:
        if name not in (*TARGETS, ALL):
            raise InputError(f"--to: {quoted(name)} is no target; there are {', '.join(TARGETS)}, and {ALL}")
    return tuple(TARGETS) if ALL in names else tuple(name for name in TARGETS if name in names)


def export(args: Namespace, targets: Sequence[str]) -> list[str]:
    """Check and write every network, each step said as it is done; what failed. Raises `InputError`."""
    from nas.data.layout import refuse_inside
    from nas.targets.exportable import asked_for
    from nas.targets.folder import check_folder

    price = args.gpu_price
    if price is not None and not 0 < price < HIGHEST_PRICE:
        raise InputError(f"--gpu-price: {price:g} is no price; write it like 2.5")
    named = ALL not in args.to and args.to != list(DEFAULT)  # then a refusal is the user's to know first
    found = asked_for(args.study, args.trial, args.front, args.arch)
    if args.weights is not None and len(found) > 1:
        raise InputError("--weights: belong to one network; --trial N names it")
    folders = [folder_of(args, one, len(found)) for one in found]
    for one, folder in zip(found, folders, strict=True):
        check_folder(folder, one)
        refuse_inside(folder, spec_of(one, args) or "", "--out")
    failed: list[str] = []
    for one, folder in zip(found, folders, strict=True):
        failed += export_one(one, folder, args, targets, named)
    return failed


def export_one(
    one: Exportable, folder: Path, args: Namespace, targets: Sequence[str], named: bool
) -> list[str]:
    """Every target of one network, checked, then written; what failed.

    Raises `InputError`; then nothing is written.
    """
    from nas.targets.folder import write
    from nas.targets.model_card import model_card, place_of
    from nas.targets.outcome import refuse_lacking
    from nas.targets.target import Chosen

    weights = None
    if args.weights is not None:
        from nas.training.weights import read_weights

        weights = read_weights(args.weights, network=one.network)
    images = images_of(one, args)
    head = head_of(one, args, weights, images)
    recipe = recipe_of(one, args, head, images)
    state = None if weights is None else weights.model.state_dict()
    chosen = Chosen(one.network, one.name, one.title, recipe, state, head.folders)
    if named:
        refuse_lacking(chosen, targets)
    which = None if weights is None else f"{weights.which}, of {args.weights.name}"
    print(f"{one.title}: {folder}")
    told = {
        "images": "" if images is None else images.read,
        "classes": head.said,
        "recipe": recipe_said(recipe, images),
        "weights": which,
    }
    for what, said in told.items():
        if said:
            print(f"  {what:<12} {said}", flush=True)
    outcomes = [shown(name, chosen, named) for name in targets]
    failed = [f"{each.target}: {each.refused}" for each in outcomes if each.failed]
    if all(each.exported is None for each in outcomes):
        return [*failed, "nothing was written"]
    files: dict[str, str | bytes] = {"architecture.json": architecture_json(one, recipe.data.classes)}
    for outcome in outcomes:
        if outcome.exported is not None:
            place = place_of(outcome.target)
            files |= {f"{place}{name}": content for name, content in outcome.exported.files.items()}
    files["README.md"] = model_card(
        one, recipe, outcomes, args.gpu_price, which, None if images is None else images.train
    )
    write(folder, files)
    print(f"  {folder / 'README.md'}", flush=True)
    if images is not None and "recipe.yaml" in files:
        print(f"next    {next_of(one, args, folder)}", flush=True)
    return failed


def next_of(one: Exportable, args: Namespace, folder: Path) -> str:
    """The command that trains it on these images, and a control where it is not one itself."""
    from nas.data.sources.registry import parsed
    from nas.training.controls import control

    spec = spec_of(one, args) or ""
    kind, path = parsed(spec)
    words = ["python", "-m", "nas.train", str(folder / "recipe.yaml"), "--data", spec]
    with suppress(InputError):  # a study's images may lie elsewhere by now
        if parsed(path) == (kind, path):
            words[-1] = path  # as a user writes it
    if args.variant.startswith("finetune"):
        words += ["--init", "WEIGHTS"]
    with suppress(InputError):
        control("nearest", one.network)
        words += ["--seeds", "3", "--control", "nearest"]
    return shlex.join(words)


def recipe_of(one: Exportable, args: Namespace, head: Head, images: Images | None = None) -> Recipe:
    """The recipe for the network, the images and the GPUs. Raises `InputError`."""
    from nas.recipe.fitted import fitted_recipe
    from nas.recipe.published import recipe_for
    from nas.recipe.sizes import bytes_of

    memory = None if args.gpu_memory is None else bytes_of(args.gpu_memory, "--gpu-memory")
    names = None if head.names is None else list(head.names)
    if images is not None:
        gpus, own = (args.gpus, None) if args.gpus is not None else gpus_here()
        images = replace(images, num_classes=head.count or images.num_classes, classes=head.names)
        return fitted_recipe(
            one.network,
            images,
            variant=args.variant,
            resolution=args.resolution,
            gpus=gpus,
            gpu_memory=memory or own,
        )
    recipe = recipe_for(
        one.network,
        variant=args.variant,
        resolution=args.resolution,
        gpus=DEFAULT_GPUS if args.gpus is None else args.gpus,
        gpu_memory=memory,
        num_classes=head.count,
    )
    own = CLASSES.get(recipe.data.name) == recipe.data.num_classes
    name = head.data or (recipe.data.name if own else UNNAMED)
    return recipe.changed(data={"name": name, "classes": names})


def gpus_here() -> tuple[int, int | None]:
    """This machine's GPUs, or one device, and the memory in bytes of the smallest."""
    import torch

    count = torch.cuda.device_count()
    memory = [torch.cuda.get_device_properties(i).total_memory for i in range(count)]
    return max(count, 1), min(memory, default=None)


def recipe_said(recipe: Recipe, images: Images | None) -> str | None:
    """What the recipe for images of the user's own is, in a line."""
    from space.words import plural

    if images is None:
        return None
    steps = images.train // recipe.total_batch_size
    return (
        f"for {images.train:,} images at {recipe.data.resolution} pixels: "
        f"{plural(recipe.epochs, 'epoch')} of {plural(steps, 'step')} of "
        f"{recipe.total_batch_size}, learning rate {recipe.optimizer.lr:g}, on "
        f"{plural(recipe.devices, 'device')}; docs/recipe.md says why"
    )


def shown(name: str, chosen: Chosen, named: bool) -> TargetOutcome:
    """`outcome_of`, said before and after it on a terminal, after it elsewhere."""
    from nas.targets.outcome import outcome_of

    terminal = sys.stdout is not None and sys.stdout.isatty()
    if terminal:
        print(f"  {name:<12} is checked ...", end="", flush=True)
    try:
        outcome = outcome_of(name, chosen, named)
    finally:
        if terminal:
            print("\r\x1b[K", end="", flush=True)
    print(f"  {name:<12} {outcome.verified}", flush=True)
    return outcome


def folder_of(args: Namespace, one: Exportable, count: int) -> Path:
    """Where a network goes: --out itself, or a folder in it for each of several."""
    own = one.name.removeprefix("nas_") if one.trial is None else f"trial-{one.trial}"
    if args.out is not None:
        return Path(args.out) / own if count > 1 else Path(args.out)
    if one.study is None:
        return Path("export") / own
    assert one.study.folder is not None
    return one.study.folder / "export" / own


def architecture_json(one: Exportable, classes: Sequence[str] | None) -> str:
    """The network with what it costs and what is known of it; `python -m space.describe` reads it."""
    from space.cost import cost

    total = cost(one.network)
    values: dict[str, Any] = {
        "name": one.title,
        "fingerprint": one.network.fingerprint,
        "params": total.params,
        "macs": total.macs,
        "activations": total.activations,
    }
    if classes is not None:
        values["classes"] = list(classes)
    if one.study is not None:
        trial, proxy = one.source, one.study.mapping["proxy"]
        assert trial is not None
        values["evidence"] = {
            "study": one.study.name,
            "trial": one.trial,
            "proxy": proxy["name"],
            "proxy_fingerprint": proxy["fingerprint"],
            "proxy_accuracy": trial.accuracy,
            "epochs": trial.fidelity,
            "seed": trial.seed,
        }
    return json.dumps(values | {"architecture": one.network.to_dict()}, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
