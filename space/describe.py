"""`python -m space.describe NAME|FILE`: what a network is made of and what it costs, without building it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# whatever takes time to import is imported where it is used, so that --help is quick
from space.command import Command, table_console
from space.errors import MOST_NAME, InputError, checked_name, printable, quoted, shortened

if TYPE_CHECKING:
    from space.cost import Part
    from space.networks import Network

CHECKPOINTS = (".pt", ".pth")
MOST = 1_000_000  # pixels of a side, or classes
FILE_SUFFIXES = (".json", ".yaml", ".yml", *CHECKPOINTS)


def parser() -> Command:
    """The command line."""
    it = Command(
        prog="python -m space.describe",
        description="Shapes, multiply-accumulates, parameters and activations of a network, part by part.",
    )
    it.add_argument(
        "network",
        nargs="?",
        metavar="NAME|FILE",
        help="a named network, or a file that holds one: architecture.json, recipe.yaml, checkpoint-best.pt",
    )
    it.add_argument("--resolution", type=int, default=224, metavar="N", help="image side in pixels (224)")
    it.add_argument("--num-classes", type=int, default=1000, metavar="N", help="outputs of the head (1000)")
    it.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    it.add_argument("--list", action="store_true", help="print the named networks")
    return it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    return command.carry_out(lambda: show(args))


def show(args: argparse.Namespace) -> None:
    """Print what was asked for. Raises `InputError`."""
    if args.list:
        from space.families import NAMES
        from space.swin import SWIN_NAMES

        print("\n".join([*NAMES, *SWIN_NAMES]))
        return
    if args.network is None:
        raise InputError("which network? Give a name (--list prints them) or a file")
    for option in ("resolution", "num_classes"):
        if not 1 <= getattr(args, option) <= MOST:
            least = "at least 1" if getattr(args, option) < 1 else f"at most {MOST:,}"
            raise InputError(f"--{option.replace('_', '-')}: {quoted(getattr(args, option))} must be {least}")
    name, network = read_network(args.network)
    described = describe(name, network, args.resolution, args.num_classes)
    if args.json:
        print(json.dumps(described, indent=2))
    else:
        print_table(described)


def describe(name: str, network: Network, resolution: int = 224, num_classes: int = 1000) -> dict[str, Any]:
    """Plain values: totals, `architecture`, and under `parts` shape and cost of each part in order.

    Raises `InputError` where the resolution is too small for the network.
    """
    from space.networks import cost_of, parts_of

    total = cost_of(network, resolution, num_classes)
    return {
        "name": name,
        "fingerprint": network.fingerprint,
        "resolution": resolution,
        "num_classes": num_classes,
        "params": total.params,
        "macs": total.macs,
        "activations": total.activations,
        "parts": [_part(part) for part in parts_of(network, resolution, num_classes)],
        "architecture": network.to_dict(),
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "channels": part.channels,
        "resolution": part.resolution,
        "params": part.cost.params,
        "macs": part.cost.macs,
        "activations": part.cost.activations,
    }


def read_network(text: str) -> tuple[str, Network]:
    """Name and value of a named network or of a file. Raises `InputError`."""
    if is_file(text):
        return read_file(text)
    from space.families import canonical
    from space.networks import named_network

    return canonical(text), named_network(text)


def is_file(text: str) -> bool:
    """Whether a network is given as a file; a file that is there comes before a network of that name."""
    from space.networks import is_name

    there = os.path.isfile(text)  # noqa: PTH113  a NUL, a name too long: no file
    return there or Path(text).suffix in FILE_SUFFIXES or ("/" in text and not is_name(text))


def read_file(file: str | Path) -> tuple[str, Network]:
    """The network of a JSON or YAML file, bare or under `architecture`, or of a checkpoint.

    Raises `InputError`.
    """
    from space.networks import network_from
    from space.reading import read_values

    path = Path(file)
    name = shortened(printable(path.stem), MOST_NAME)
    values = _checkpoint(path) if path.suffix in CHECKPOINTS else read_values(path, str(path))
    if isinstance(values, dict) and "architecture" in values:
        named, values = values.get("name"), values["architecture"]
        name = name if named is None else checked_name(named, f"{path}: name")
    try:
        return name, network_from(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _checkpoint(path: Path) -> Any:
    from space import weight_files  # torch is paid for by these files alone

    values = weight_files.read_values(path)
    if not isinstance(values, dict) or "architecture" not in values:
        raise InputError(f"{path}: does not say which network its weights are of")
    return values


def print_table(described: dict[str, Any]) -> None:
    """The header and one row a part; a pipe gets plain text, as wide as it needs to be."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    size = described["resolution"]
    console = table_console()
    table = Table(box=box.SIMPLE, show_footer=True, pad_edge=False)
    table.add_column("part", footer="total", no_wrap=True)
    table.add_column("output", justify="right", no_wrap=True)
    for heading, key in (("MACs", "macs"), ("parameters", "params"), ("activations", "activations")):
        table.add_column(heading, footer=f"{described[key]:,}", justify="right", no_wrap=True)
    for part in described["parts"]:
        shape = f"{part['channels']} x {part['resolution']} x {part['resolution']}"
        if part["name"] == "head":
            shape = str(part["channels"])
        table.add_row(
            part["name"], shape, f"{part['macs']:,}", f"{part['params']:,}", f"{part['activations']:,}"
        )
    header = f"{escape(described['name'])}  {described['fingerprint']}  input 3 x {size} x {size}"
    console.print(header, soft_wrap=True)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
