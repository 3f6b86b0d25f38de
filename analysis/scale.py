"""`python -m analysis.scale STUDY --to 15.4GFLOPs`: the network of a larger budget, by what a study found.

How the best depth, width, expansion, kernel size and stage ratio moved with the budget (`isoflop.py`) is
carried on to the target, and the nearest network inside its band is proposed: a dimension whose exponent is
not identified keeps the value of the largest budget and gives way first. Beside it stand what ConvNeXt's own
rule does, and depth alone, width alone and both together, in the same band.

`--results FILE... --to 15.4GFLOPs` has no study: it fits the laws of families that others trained, and says
what they predict there; with `--fit-to` also of the networks beyond, beside what was measured.

`--compute 5EFLOPs`, of studies that differ in epochs or training images or of `--results` with the images
seen, fits error(N, D) and says how to divide a training's compute between the network and the images.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.proposal.proposal import Scaled, ScalingPlan, plan
from analysis.proposal.rules import published_exponents
from analysis.proposal.wishes import KEPT, RULE
from space.command import POSITIVE, Command, table_console
from space.errors import InputError, printable, reason

if TYPE_CHECKING:
    from argparse import Namespace

    from analysis.isoflop.profiles import Profiles
    from analysis.isoflop.series import Series
    from analysis.laws.answer import Answer
    from analysis.points.result import OwnResult
    from space.architecture import Architecture

RESULTS_FLAGS = ("fit_to", "family", "source", "pretrain", "resolution", "device", "noise")
INSIDE = 1.05  # times the largest budget: not yet an extrapolation


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


# ---- tables and sentences -------------------------------------------------------------------------------


def print_plan(found: ScalingPlan, path: Path) -> None:
    """Rules, networks, prediction and remarks; a pipe gets plain text, as wide as it needs to be."""
    from space.words import plural

    console = table_console()

    def say(line: str = "") -> None:
        console.print(line, markup=False, soft_wrap=True)

    sample = found.profiles.sample
    say(
        f"{found.study.name}: {plural(len(sample.networks), 'network')} at {len(sample.groups)} budgets, "
        f"scaled to {found.budget.text}: {_how_far(found.beyond)}"
    )
    console.print(_rule_table(found))
    for line in (*_reasons(found), *comparisons(found.profiles, found.budget.metric)):
        say(line)
    say()
    console.print(_network_table(found))
    for line in prediction(found):
        say(line)
    for note in found.notes:
        say(f"note: {note}")
    say(f"written to {path}: python -m space.describe {path}")


def _how_far(beyond: float) -> str:
    if beyond <= INSIDE:
        return "inside the budgets tried"
    return f"extrapolated, {beyond:.3g} times the largest budget tried"


def _rule_table(found: ScalingPlan) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from analysis.isoflop.sample import LABELS, dimensions
    from space.columns import columns_of

    level = f"{found.profiles.level:.0%}"
    table = Table(
        title=f"optima, with {level} intervals", title_justify="left", box=box.SIMPLE, pad_edge=False
    )
    table.add_column("dimension", no_wrap=True)
    for group in found.profiles.sample.groups:
        table.add_column(escape(group.text), overflow="fold")
    table.add_column("exponent", overflow="fold")
    table.add_column("at the target", overflow="fold")
    table.add_column("proposed", justify="right", no_wrap=True)
    proposed = dimensions(columns_of([found.proposal]), 1)
    for name, wish in found.wishes.items():
        optima = [short(one.answer) for one in found.profiles.optima[name]]
        at_target = (
            str(wish.answer) if wish.source == RULE else f"{wish.value:.3g}, kept of the largest budget"
        )
        if wish.source == RULE and found.beyond > 1.05:
            at_target += ", extrapolated"
        cells = [*optima, short(found.profiles.rules[name].exponent), at_target]
        table.add_row(LABELS[name], *map(escape, cells), f"{2 ** proposed[name][0]:.3g}")
    return table


def short(answer: Answer) -> str:
    """An answer in a cell of a table."""
    from analysis.laws.answer import Estimate

    if isinstance(answer, Estimate):
        return str(answer)
    return "at the edge" if answer.reason.startswith("at the edge") else "not identified"


def _reasons(found: ScalingPlan) -> Iterator[str]:
    """Why a dimension has no exponent."""
    from analysis.isoflop.sample import LABELS

    for name, wish in found.wishes.items():
        rule = found.profiles.rules[name]
        if wish.source == KEPT:
            yield f"{LABELS[name]}: exponent {rule.exponent}; the value of the largest budget is kept"
        elif rule.stretch > 1:
            yield (
                f"{LABELS[name]}: the budgets scatter about the power law {rule.stretch:.2g} times as far as "
                "their intervals say; its intervals are that much longer"
            )


def comparisons(found: Profiles, metric: str) -> list[str]:
    """The study's exponents against those of ConvNeXt's own sizes."""
    from analysis.laws.answer import Estimate

    lines = []
    for name, published in published_exponents(metric).items():
        exponent = found.rules[name].exponent
        start = f"{name}: ConvNeXt-T to L has exponent {published:.2f}"
        if not isinstance(exponent, Estimate):
            lines.append(f"{start}; the study's is not identified")
            continue
        inside = exponent.low <= published <= exponent.high
        verdict = "covers it" if inside else "does not cover it"
        lines.append(f"{start}; the study's interval {exponent.low:.2g} to {exponent.high:.2g} {verdict}")
    return lines


def _network_table(found: ScalingPlan) -> Any:
    from rich import box
    from rich.table import Table

    from space.budget import quantity
    from space.cost import cost
    from space.networks import brief

    title = f"networks that cost {found.budget}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("by", no_wrap=True)
    for heading in ("FLOPs", "params"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("network", no_wrap=True)
    where = f"in the space {found.space}" if found.space else "outside the space"
    rows = [Scaled(f"the study's optima, {where}", found.proposal), *found.others]
    for one in rows:
        if one.network is None:
            table.add_row(one.rule, "", "", "none in the band")
            continue
        total = cost(one.network)
        table.add_row(one.rule, quantity(total.macs), quantity(total.params), brief(one.network))
    return table


def prediction(found: ScalingPlan) -> list[str]:
    """The accuracy at the target, in sentences."""
    from analysis.laws.answer import Estimate
    from space.words import plural

    series = found.series
    kind = "fresh seeds" if series.fresh else "search values, which are optimistic"
    if series.fit is None:
        return [f"accuracy at the target: not identified ({series.reason})"]
    error = series.at([found.target])[0]
    about = f"{series.fit.law.formula}, {plural(series.fit.networks, 'network')}, {kind}"
    if not isinstance(error, Estimate):
        return [f"accuracy at the target: not identified: of the error, {error.reason} ({about})"]
    lines = [
        f"accuracy at the target: {_accuracy(error)}, of networks such as {_whose(series)}, under the "
        f"study's proxy ({about})"
    ]
    chosen = series.fit.law.name
    others = {name: one for name, one in by_law(found).items() if name != chosen}
    return [*lines, *(f"  by {name}: {_accuracy(one)}" for name, one in others.items())]


def by_law(found: ScalingPlan) -> dict[str, Answer]:
    """Percent error at the target under every law to choose among: how much hangs on the choice."""
    choice = found.series.choice
    rows = () if choice is None else choice.table
    return {row.law.name: found.series.at([found.target], row.law)[0] for row in rows}


def _whose(series: Series) -> str:
    return "the search confirms" if series.fresh else "the best of the search"


def _accuracy(error: Answer) -> str:
    """Of an error in percent, with its interval."""
    from analysis.laws.answer import Estimate

    if not isinstance(error, Estimate):
        return str(error)
    return f"{100 - error.value:.1f}% ({100 - error.high:.1f}% to {100 - error.low:.1f}%)"


# ---- plain values ---------------------------------------------------------------------------------------


def as_json(found: ScalingPlan) -> dict[str, Any]:
    """Everything as plain values; numbers that are not finite are None."""
    return {
        "study": found.study.name,
        "to": found.budget.text,
        "metric": found.budget.metric,
        "band": [found.budget.low, found.budget.high],
        "beyond_largest_budget": found.beyond,
        "level": found.profiles.level,
        "budgets": [
            {"text": group.text, "cost": group.cost, "networks": group.networks}
            for group in found.profiles.sample.groups
        ],
        "dimensions": {name: _dimension_json(found, name) for name in found.wishes},
        "proposal": _network_json(found.proposal),
        "space": found.space,
        "others": [
            {"rule": one.rule, **(_network_json(one.network) if one.network else {"architecture": None})}
            for one in found.others
        ],
        "published_exponents": published_exponents(found.budget.metric),
        "prediction": _prediction_json(found),
        "notes": list(found.notes),
    }


def _dimension_json(found: ScalingPlan, name: str) -> dict[str, Any]:
    wish, rule = found.wishes[name], found.profiles.rules[name]
    return {
        "optima": [
            {"budget": one.group.text, "cost": one.group.cost, "method": one.method, **plain(one.answer)}
            for one in found.profiles.optima[name]
        ],
        "exponent": plain(rule.exponent),
        "at_target": {"value": wish.value, "source": wish.source, "reason": wish.reason},
        "interval_at_target": plain(rule.at(found.target)),
    }


def plain(answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    from analysis.laws.answer import Estimate

    low, high = (end if math.isfinite(end) else None for end in (answer.low, answer.high))
    if isinstance(answer, Estimate):
        return {"value": answer.value, "low": low, "high": high, "not_identified": None}
    return {"value": None, "low": low, "high": high, "not_identified": answer.reason}


def _network_json(network: Architecture) -> dict[str, Any]:
    from space.cost import cost
    from space.networks import brief

    total = cost(network)
    return {
        "network": brief(network),
        "fingerprint": network.fingerprint,
        "macs": total.macs,
        "params": total.params,
        "activations": total.activations,
        "architecture": network.to_dict(),
    }


def _prediction_json(found: ScalingPlan) -> dict[str, Any]:
    series = found.series
    if series.fit is None:
        return {"law": None, "fresh": series.fresh, "reason": series.reason}
    error = series.at([found.target])[0]
    return {
        "law": series.fit.law.formula,
        "fresh": series.fresh,
        "networks": series.fit.networks,
        "reason": series.reason,
        "parameters": {name: plain(one) for name, one in series.fit.parameters.items()},
        "error_percent": plain(error),
        "by_law": {name: plain(one) for name, one in by_law(found).items()},
    }


if __name__ == "__main__":
    sys.exit(main())
