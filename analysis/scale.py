"""`python -m analysis.scale STUDY --to 15.4GFLOPs`: the network of a larger budget, by what a study found.

How the best depth, width, expansion, kernel size and stage ratio moved with the budget (`analysis.isoflop`)
is carried on to the target, and the nearest network inside its band is proposed: a dimension whose exponent
is not identified keeps the value of the largest budget and gives way first. Beside it stand what ConvNeXt's
own rule does, and depth alone, width alone and both together, in the same band.

`--results FILE... --to 15.4GFLOPs` has no study: it fits the laws of families that others trained, and says
what they predict there; with `--fit-to` also of the networks beyond, beside what was measured.

`--compute 5EFLOPs`, of studies that differ in epochs or training images or of `--results` with the images
seen, fits error(N, D) and says how to divide a training's compute between the network and the images.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.command import POSITIVE, Command
from space.errors import InputError, printable, reason

if TYPE_CHECKING:
    from argparse import Namespace

    from analysis.points.result import OwnResult
    from analysis.proposal.proposal import ScalingPlan

RESULTS_FLAGS = ("fit_to", "family", "source", "pretrain", "resolution", "device", "noise")


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m analysis.scale",
        description="Propose the network of a larger budget by how the best of a study change with theirs.",
    )
    parse.add_argument(
        "studies",
        metavar="STUDY",
        nargs="*",
        help="runs/NAME by its name, or a study folder; several with --compute",
    )
    parse.add_argument(
        "--to", metavar="BUDGET",
        help="the budget, such as 15.4GFLOPs or 30Mparams; with --results a throughput, too: 700images/s",
    )  # fmt: skip
    parse.add_argument(
        "--compute",
        metavar="FLOPS",
        help="of a whole training, such as 5EFLOPs: how to divide it between network and images seen, by "
        "error(N, D) over studies of several epochs or training sets, or --results with images_seen",
    )
    parse.add_argument("--space", metavar="NAME|FILE", help="a space to propose from (default: the study's)")
    parse.add_argument(
        "--out", type=Path, metavar="FILE", help="the network as JSON (default: STUDY/scaled/BUDGET.json)"
    )
    parse.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    add = parse.add_argument_group("what others trained, in place of a study").add_argument
    add(
        "--results", nargs="*", type=Path, metavar="FILE",
        help="CSV files of your own or timm's, beside the published points of this package: laws by family",
    )  # fmt: skip
    add(
        "--fit-to",
        metavar="COST",
        help="fit to networks up to this cost (of --compute: trainings), and predict those beyond",
    )
    add("--family", metavar="NAME", help="this family only")
    add("--source", metavar="NAME", help="this source only")
    add("--pretrain", metavar="NAME", help="this pre-training set only")
    add("--resolution", type=int, metavar="N", help="this resolution only, in pixels")
    add("--device", metavar="NAME", help="the device of a throughput, as the files have it")
    add("--noise", type=POSITIVE, metavar="S", help="standard deviation assumed of one training, in points")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    _check(command, args)

    def act() -> None:
        if args.compute is not None:
            _show_divisions(args)
            return
        if args.results is not None:
            _show_forecasts(args)
            return
        from analysis.proposal.claims import as_json, print_plan
        from analysis.proposal.proposal import plan
        from nas.record.study import read_study

        found = plan(read_study(args.studies[0]), args.to, args.space)
        path = write_proposal(found, args.out)
        if args.json:
            print(json.dumps(as_json(found) | {"file": str(path)}, indent=2, allow_nan=False))
        else:
            print_plan(found, path)

    return command.carry_out(act)


def _check(command: Command, args: Namespace) -> None:
    """End the program where flags do not go together."""
    if args.results is None:
        own = ("fit_to",) if args.compute is not None else ()
        given = [name for name in RESULTS_FLAGS if name not in own and getattr(args, name) is not None]
        if given:
            command.error(f"--{given[0].replace('_', '-')} belongs to --results")
        if not args.studies:
            command.error("which study? Give a name under runs/ or a folder, or --results")
        if len(args.studies) > 1 and args.compute is None:
            command.error("--to takes one study; several belong to --compute")
    elif args.studies or args.out is not None or args.space is not None:
        command.error("--results takes no study, --out or --space: the two planes are never mixed")
    if (args.to is None) == (args.compute is None):
        command.error("what for? --to a budget of one network, or --compute of a whole training")
    if args.compute is not None:
        given = [name for name in ("out", "space", "noise", "device") if getattr(args, name) is not None]
        if given:
            command.error(f"--{given[0]} belongs to --to")


def _show_forecasts(args: Namespace) -> None:
    """What the laws of others' results say."""
    from analysis.comparison.forecast import as_json, forecasts, sentences
    from analysis.points.packaged import packaged_points

    everything = [*packaged_points(), *_results(args)]
    found = forecasts(
        everything, args.to, fit_to=args.fit_to, noise=args.noise, device=args.device, **_wanted(args)
    )
    _say(args, sentences(found), as_json(found))


def _show_divisions(args: Namespace) -> None:
    """How error(N, D) divides a training's compute."""
    from analysis.comparison.division import as_json, divided, grids_of_results, grids_of_studies, sentences
    from nas.record.study import read_studies

    if args.results is None:
        grids = grids_of_studies(read_studies(args.studies))
    else:
        grids = grids_of_results(_results(args), **_wanted(args))
    found = divided(grids, args.compute, args.fit_to)
    _say(args, sentences(found), as_json(found))


def _results(args: Namespace) -> Sequence[OwnResult]:
    """The results in the files; what was read of each is told on stderr."""
    from analysis.points.own import read_files

    points, said = read_files(args.results)
    for line in said:
        print(f"analysis.scale: {printable(line)}", file=sys.stderr)
    return points


def _wanted(args: Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("family", "source", "pretrain", "resolution")}


def _say(args: Namespace, lines: Iterable[str], plain: Any) -> None:
    if args.json:
        print(json.dumps(plain, indent=2, allow_nan=False))
        return
    for line in lines:
        print(printable(line))


def write_proposal(found: ScalingPlan, out: Path | None) -> Path:
    """The proposed network as a file that `python -m space.describe` reads. Raises `InputError`."""
    from space.files import folders, write_text

    if out is None:
        folder = found.study.folder or Path()
        out = folder / "scaled" / f"{''.join(found.budget.text.split())}.json"
    values = {
        "name": f"{found.study.name} scaled to {found.budget.text}",
        "study": found.study.name,
        "budget": dataclasses.asdict(found.budget),
        "space": found.space,
        "notes": list(found.notes),
        "architecture": found.proposal.to_dict(),
    }
    try:
        with folders(out.parent):
            return write_text(out, json.dumps(values, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({reason(error)})") from None


if __name__ == "__main__":
    sys.exit(main())
