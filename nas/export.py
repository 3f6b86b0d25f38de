"""`python -m nas.export STUDY`: the chosen network as files that a training can start from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.command import Command
from space.errors import InputError

if TYPE_CHECKING:
    from space.architecture import Architecture


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m nas.export",
        description="Write a study's best network, or the network of a trial, with its training recipe.",
    )
    parse.add_argument("study", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    parse.add_argument("--trial", type=int, metavar="N", help="the network of trial N (default: the best)")
    parse.add_argument("--out", type=Path, metavar="DIR", help="where to (default: STUDY/export/trial-N)")
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    args = parser().parse_args(argv)
    try:
        for line in export(args.study, args.trial, args.out):
            print(line)
    except InputError as error:
        print(f"nas.export: {error}", file=sys.stderr)
        return 2
    return 0


def export(study: str, number: int | None, out: Path | None) -> list[str]:
    """Write architecture.json, recipe.yaml and, where timm can express the network, timm.yaml.

    Returns a line for each file written or not. Raises `InputError`.
    """
    from nas.recipe import recipe, timm_recipe, why_not_timm
    from nas.record import Record
    from space.files import write_text
    from space.networks import convnet, network_from

    record = Record.read(study)
    found = record.mapping()
    trial = chosen_trial(found, number)
    network = convnet(network_from(trial["architecture"]), f"trial {trial['number']}")
    folder = out or record.folder / "export" / f"trial-{trial['number']}"
    files = {
        "architecture.json": architecture_json(found, trial, network),
        "recipe.yaml": yaml_text(
            recipe(network), "The ConvNeXt recipe, ImageNet-1K from scratch, for this network."
        ),
    }
    reason = why_not_timm(network)
    if reason is None:
        files["timm.yaml"] = yaml_text(
            timm_recipe(network), "torchrun --nproc_per_node=8 train.py --data-dir IMAGENET -c timm.yaml"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    if reason is not None:  # an earlier export there must not pass for this network's
        (folder / "timm.yaml").unlink(missing_ok=True)
    lines = [str(write_text(folder / name, text)) for name, text in files.items()]
    return lines if reason is None else [*lines, f"timm.yaml not written: timm's ConvNeXt lacks {reason}"]


def chosen_trial(study: Mapping[str, Any], number: int | None) -> dict[str, Any]:
    """The trial of that number, or the best. Raises `InputError` where there is none."""
    trials = {trial["number"]: trial for trial in study["trials"] if trial["architecture"]}
    wanted = study["best"] if number is None else number
    if wanted is None:
        raise InputError(f"study {study['name']}: no trial has succeeded yet; --trial N takes any")
    if wanted not in trials:
        known = f"0 to {max(trials)}" if trials else "none"
        raise InputError(f"study {study['name']}: there is no trial {wanted}; its trials are {known}")
    return dict(trials[wanted])


def architecture_json(study: Mapping[str, Any], trial: Mapping[str, Any], network: Architecture) -> str:
    """The network with what it costs and what is known of it; `python -m space.describe` reads it."""
    import json

    proxy = study["proxy"]
    values = {
        "name": trial["name"] or f"{study['name']} trial {trial['number']}",
        "fingerprint": network.fingerprint,
        "params": trial["params"],
        "macs": trial["macs"],
        "activations": trial["activations"],
        "evidence": {
            "study": study["name"],
            "trial": trial["number"],
            "proxy": proxy["name"],
            "proxy_fingerprint": proxy["fingerprint"],
            "proxy_accuracy": trial["accuracy"],
            "epochs": trial["fidelity"],
            "seed": trial["seed"],
        },
        "architecture": network.to_dict(),
    }
    return json.dumps(values, indent=2) + "\n"


def yaml_text(values: Mapping[str, Any], comment: str) -> str:
    """YAML in the order given, under a comment."""
    import yaml

    return f"# {comment}\n" + yaml.safe_dump(
        dict(values), sort_keys=False, default_flow_style=None, width=100
    )


if __name__ == "__main__":
    sys.exit(main())
