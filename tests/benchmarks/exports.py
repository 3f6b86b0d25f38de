"""Every export target on many networks: verified by its own library, or refused for an axis it lacks.

    python -m tests.benchmarks.exports [--networks 50] [--seed 0] [--budget 4.5GFLOPs] [--targets timm onnx]

Random networks of the default space inside a budget, and named ones. Logits are compared at 64x64: every
target here takes any resolution, and a network costs a twelfth there. Where a network is refused for an axis,
the same network with that axis set back to ConvNeXt's must not be refused for it again; and with all such
axes set back it must be verified, in rows of their own ("timm's class", "transformers, axes set back"). The
CSV is the record: rows that it has are not measured again (`--fresh` starts anew). Exit code 1 where one
differs.
"""

from __future__ import annotations

import csv
import dataclasses
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nas.recipe.published import recipe_for
from nas.targets import TARGETS, load_target
from nas.targets.target import Chosen, Mismatch, Refused
from space.architecture import Architecture
from space.band import BandSampler
from space.budget import parse_budget
from space.command import Command
from space.families import named
from space.networks import brief
from space.space_file import load_space
from space.stem import Stem

OUT = Path(__file__).parents[2] / "studies" / "exports" / "exports.csv"
SET_BACK = {"timm": "timm's class", "transformers": "transformers, axes set back"}
ROWS = tuple(row for name in TARGETS for row in (name, SET_BACK.get(name)) if row)
NAMED = ("convnext_tiny", "convnext_small", "resnet50", "roadmap_t_8")
RESOLUTION = 64
FIELDS = (
    "network", "target", "outcome", "axis", "library", "params", "macs", "relative_difference", "seconds",
    "brief",
)  # fmt: skip
VERIFIED, UNVERIFIED, REFUSED, MISMATCH = "verified", "not verified here", "refused", "mismatch"


def restored(network: Architecture, axis: str) -> Architecture:
    """The network with one axis, as a refusal names it, set back to ConvNeXt's."""
    tiny = named("convnext_tiny")
    if axis == "stages":
        return dataclasses.replace(network, stages=tiny.stages)
    if axis.startswith("stem."):
        field = axis.removeprefix("stem.")
        return dataclasses.replace(
            network, stem=dataclasses.replace(network.stem, **{field: getattr(Stem(), field)})
        )
    if hasattr(tiny, axis):
        return dataclasses.replace(network, **{axis: getattr(tiny, axis)})
    value = getattr(tiny.stages[0], axis)
    extra = {"group_width": None} if axis == "conv" else {}
    return dataclasses.replace(
        network,
        stages=tuple(dataclasses.replace(stage, **{axis: value}, **extra) for stage in network.stages),
    )


def accepted(network: Architecture, lacks: Callable[[Architecture], str | None]) -> Architecture | None:
    """The network with every axis set back that is lacking; None where nothing is."""
    found = network
    while (reason := lacks(found)) is not None:
        axis = reason.partition(":")[0]
        again = restored(found, axis)
        if again == found:
            raise AssertionError(f"{axis} is refused although it is ConvNeXt's: {reason}")
        found = again
    return None if found is network else found


def cases(network: Architecture, target_name: str) -> Iterator[tuple[str, Architecture]]:
    """The rows of a network and a target: as it is, and as the library's own class has it."""
    yield target_name, network
    if target_name in SET_BACK:
        from nas.targets import timm, transformers

        lacks = timm.class_lacks if target_name == "timm" else transformers.lacks
        found = accepted(network, lacks)
        if found is not None:
            yield SET_BACK[target_name], found


def networks(count: int, seed: int, budget: str) -> Iterator[tuple[str, Architecture]]:
    """Names and networks: the named ones, then random ones inside the budget."""
    for name in NAMED:
        yield name, named(name)
    band = BandSampler(load_space("convnext"), parse_budget(budget))
    for i, network in enumerate(band.sample(count, seed=seed)):
        yield f"{budget} seed {seed} number {i}", network


def measured(name: str, network: Architecture, target_name: str, label: str) -> dict[str, Any]:
    """One row, under `label`: what this target makes of this network."""
    module = load_target(target_name)
    recipe = recipe_for(network, resolution=RESOLUTION)
    chosen = Chosen(network=recipe.network, name="nas_benchmark", title=name, recipe=recipe)
    row: dict[str, Any] = dict.fromkeys(FIELDS, "") | {
        "network": name, "target": label, "brief": brief(network)
    }  # fmt: skip
    start = time.perf_counter()
    try:
        exported = module.export(chosen)
    except Refused as error:
        axis = str(error).partition(":")[0]
        again = module.lacks(restored(network, axis))
        same = again is not None and again.startswith(f"{axis}:")
        row |= {"outcome": MISMATCH if same else REFUSED, "axis": axis}
    except Mismatch as error:
        print(f"    {error}", file=sys.stderr)
        row |= {"outcome": MISMATCH}
    else:
        check = exported.check
        row |= {"outcome": VERIFIED if check else UNVERIFIED}
        if check is not None:
            row |= {
                "library": check.library, "params": check.params, "macs": check.macs,
                "relative_difference": f"{check.difference / check.largest:.2e}",
            }  # fmt: skip
    return row | {"seconds": f"{time.perf_counter() - start:.2f}"}


def read(path: Path) -> list[dict[str, str]]:
    """The rows of an earlier run."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, Any]]) -> str:
    """By target: outcomes, axes refused, largest relative difference, median seconds."""
    lines = [
        "| target | verified | not verified here | refused, by axis | largest difference* | median s |",
        "|---|---|---|---|---|---|",
    ]
    for name in ROWS:
        own = [row for row in rows if row["target"] == name]
        if not own:
            continue
        outcomes = Counter(row["outcome"] for row in own)
        axes = Counter(row["axis"] for row in own if row["outcome"] == REFUSED)
        differences = [float(row["relative_difference"]) for row in own if row["relative_difference"] != ""]
        refused = ", ".join(f"{axis} {count}" for axis, count in axes.most_common()) or "-"
        largest = f"{max(differences):.1e}" if differences else "-"
        seconds = statistics.median(float(row["seconds"]) for row in own)
        line = [name, outcomes[VERIFIED], outcomes[UNVERIFIED], refused, largest, f"{seconds:.1f}"]
        lines.append("| " + " | ".join(map(str, line)) + " |")
        if outcomes[MISMATCH]:
            lines[-1] += f" MISMATCH: {outcomes[MISMATCH]}"
    return "\n".join([*lines, "", "\\* of logits, as a share of the largest logit; tolerance 1e-4 or less"])


def parser() -> Command:
    """The command line."""
    parse = Command(prog="python -m tests.benchmarks.exports", description=__doc__.splitlines()[0])
    parse.add_argument("--networks", type=int, default=50, metavar="N", help="random networks (default: 50)")
    parse.add_argument("--seed", type=int, default=0, help="of the random networks (default: 0)")
    parse.add_argument("--budget", default="4.5GFLOPs", help="that they meet (default: 4.5GFLOPs)")
    parse.add_argument("--targets", nargs="+", choices=TARGETS, default=TARGETS, help="default: all")
    parse.add_argument("--out", type=Path, default=OUT, metavar="CSV", help="the record")
    parse.add_argument("--fresh", action="store_true", help="measure anew what the record has")
    return parse


def main(argv: list[str] | None = None) -> int:
    """The benchmark; 1 where an export differs from its network."""
    args = parser().parse_args(argv)
    rows: list[dict[str, Any]] = [] if args.fresh else list(read(args.out))
    done = {(row["network"], row["target"]) for row in rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name, network in networks(args.networks, args.seed, args.budget):
        for target_name in args.targets:
            for label, case in cases(network, target_name):
                if (name, label) in done:
                    continue
                row = measured(name, case, target_name, label)
                rows.append(row)
                print(f"{name}: {label}: {row['outcome']} {row['axis']} {row['seconds']} s", flush=True)
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(table(rows))
    return int(any(row["outcome"] == MISMATCH for row in rows))


if __name__ == "__main__":
    sys.exit(main())
