"""`python -m analysis.scale STUDY --to 15.4GFLOPs`: the network of a larger budget, by what a study found.

How the best depth, width, expansion, kernel size and stage ratio moved with the budget (`isoflop.py`) is
carried on to the target, and the nearest network inside its band is proposed: a dimension whose exponent is
not identified keeps the value of the largest budget and gives way first. Beside it stand what ConvNeXt's own
rule does, and depth alone, width alone and both together, in the same band.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.rules import (
    COMPOUND,
    SHAPE_FIELDS,
    compound,
    depth_only,
    published_exponents,
    published_rule,
    width_only,
    with_shape,
)
from analysis.series import networks_text, searched_series
from space.command import Command
from space.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.isoflop import Profiles, Sample
    from analysis.scaling import Answer
    from analysis.series import Series
    from analysis.study import Study, Tried
    from space.architecture import Architecture
    from space.band import BandSampler
    from space.budget import Budget
    from space.columns import Columns
    from space.design_space import DesignSpace

    Floats = NDArray[np.float64]

DRAWS, ROUNDS, ELITE = 10_000, 4, 40
LEAST_TOLERANCE, OPEN = 0.1, 1.0  # octaves: of a dimension that is known well, and of one that is not
STAGE_TOLERANCE = 0.5  # octaves by which a stage may differ from how the best network spreads its blocks
# from the wished number of blocks: densely to 2 octaves, and so far that the width can make any cost
DEPTH_OCTAVES = (*(step / 6 for step in range(-12, 13)), -4, -3.5, -3, -2.5, 2.5, 3, 3.5, 4, 4.5, 5)
FAR = 0.25  # octaves between a wish and the network proposed that are worth a remark
INSIDE = 1.05  # times the largest budget: not yet an extrapolation
RULE, KEPT = "power law", "kept"


# ---- the proposal ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wish:
    """What a dimension is to be at the target, and why; `tolerance` in octaves."""

    dimension: str
    value: float
    answer: Answer
    source: str
    reason: str
    tolerance: float


@dataclass(frozen=True)
class Scaled:
    """One network of the target budget, by one rule; `network` is None where no such is in the band."""

    rule: str
    network: Architecture | None


@dataclass(frozen=True)
class Plan:
    """Everything the command says."""

    study: Study = field(repr=False)
    budget: Budget
    profiles: Profiles = field(repr=False)
    best: Tried
    wishes: Mapping[str, Wish]
    proposal: Architecture
    space: str | None
    others: tuple[Scaled, ...]
    series: Series
    notes: tuple[str, ...]

    @property
    def target(self) -> float:
        """The middle of the band, in logarithms."""
        return math.sqrt(self.budget.low * self.budget.high)

    @property
    def beyond(self) -> float:
        """The target over the largest budget of the study."""
        return self.target / max(group.cost for group in self.profiles.sample.groups)


def plan(study: Study, to: str, space: str | None = None) -> Plan:
    """The network of the budget `to`, in band. Raises `InputError`."""
    from analysis.isoflop import profiles, sample_of
    from space.architecture import Architecture
    from space.budget import UNITS, parse_budget

    budget = parse_budget(to)
    if budget.metric != study.metric:
        raise InputError(
            f"--to {to}: is of {UNITS[budget.metric]}; the budgets of study {study.name} are of "
            f"{UNITS[study.metric]}"
        )
    sample = sample_of(study)
    check_spread(study, sample)
    found = profiles(sample)
    best = best_of_largest(sample)
    network = Architecture.from_dict(best.architecture)
    wanted = wishes(found, network, math.sqrt(budget.low * budget.high))
    proposal, name, notes = propose(study, budget, wanted, network, space)
    others = (
        Scaled("ConvNeXt's own rule", published_rule(budget)),
        Scaled("width alone", width_only(network, budget)),
        Scaled("depth alone", depth_only(network, budget)),
        Scaled(f"compound, depth to width as {COMPOUND[0]:g} to {COMPOUND[1]:g}", compound(network, budget)),
    )
    notes = [*notes, *_remarks(wanted, proposal)]
    return Plan(
        study, budget, found, best, wanted, proposal, name, others, searched_series(study), tuple(notes)
    )


def check_spread(study: Study, sample: Sample) -> None:
    """Raises `InputError` where the groups span less than a factor of 2."""
    from analysis.isoflop import SPREAD
    from space.budget import UNITS, quantity

    costs = [group.cost for group in sample.groups]
    if len(costs) < 2 or max(costs) < SPREAD * min(costs):
        unit = UNITS[study.metric]
        ends = [quantity(float(end), unit) for end in (sample.cost.min(), sample.cost.max())]
        raise InputError(
            f"study {study.name}: its networks cost {ends[0]} to {ends[1]}; scaling needs two or more "
            f"budgets, or a range, over a factor of at least {SPREAD:g}"
        )


def best_of_largest(sample: Sample) -> Tried:
    """The best network of the largest budget: by fresh means where there are such, else by its mean."""
    largest = max(range(len(sample.groups)), key=lambda g: sample.groups[g].cost)
    networks = [tried for tried, g in zip(sample.networks, sample.group, strict=True) if g == largest]
    again = [tried for tried in networks if tried.role == "candidate" and tried.fresh]
    if again:
        most = max(len(tried.fresh) for tried in again)
        again = [tried for tried in again if len(tried.fresh) == most]
        return max(again, key=lambda tried: (sum(tried.fresh.values()), -tried.trial))
    return max(networks, key=lambda tried: (tried.accuracy, -tried.trial))


def wishes(found: Profiles, best: Architecture, target: float) -> dict[str, Wish]:
    """Each dimension at the target, by its power law or kept."""
    from analysis.isoflop import dimensions
    from space.columns import columns_of

    own = {name: float(2 ** x[0]) for name, x in dimensions(columns_of([best]), 1).items()}
    return {name: _wish(found, name, own[name], target) for name in found.optima if name in own}


def _wish(found: Profiles, name: str, own: float, target: float) -> Wish:
    from analysis.scaling import Estimate

    rule = found.rules[name]
    if rule.identified:
        answer = rule.at(target, found.level)
        reason = f"exponent {rule.exponent}"
        if isinstance(answer, Estimate):
            tolerance = min(max(math.log2(answer.high / answer.low) / 2, LEAST_TOLERANCE), OPEN)
            return Wish(name, answer.value, answer, RULE, reason, tolerance)
        return Wish(name, rule.value(target), answer, RULE, f"{reason}; so far out {answer.reason}", OPEN)
    largest = max(found.optima[name], key=lambda one: one.group.cost)
    if isinstance(largest.answer, Estimate):
        return Wish(name, largest.answer.value, rule.exponent, KEPT, str(rule.exponent), OPEN / 2)
    return Wish(name, own, rule.exponent, KEPT, str(rule.exponent), OPEN)


def propose(
    study: Study, budget: Budget, wanted: Mapping[str, Wish], best: Architecture, name: str | None
) -> tuple[Architecture, str | None, list[str]]:
    """The network nearest to the wishes inside the band, its space's name or None, and remarks.

    Raises `InputError`, also where the space `name` has no network in the band.
    """
    from space.band import BandSampler

    space, notes = _space_of(study, name)
    if space is not None:
        try:
            band = BandSampler(space, budget)
            if band.count:
                return nearest_in(band, wanted, best), space.name, notes
            why = band.why_empty()
        except InputError as error:  # too large to count
            why = str(error)
        if name is not None:
            raise InputError(why)
        notes.append(f"{why}; scaled outside the space, by free integers")
    found = nearest_free(budget, wanted, best)
    if found is None:
        raise InputError(f"--to {budget.text}: no network like the best of study {study.name} costs {budget}")
    return found, None, notes


def _space_of(study: Study, name: str | None) -> tuple[DesignSpace | None, list[str]]:
    """The space asked for, or the study's own where it can be read."""
    from space.design_space import load_space

    if name is not None:
        return load_space(name), []
    recorded = study.mapping.get("space") or {}
    try:
        space = load_space(str(recorded.get("name")))
    except InputError:
        outside = "scaled outside it, by free integers; --space FILE gives it"
        return None, [f"the study's space {recorded.get('name')} is not at hand: {outside}"]
    if recorded.get("fingerprint") not in (None, space.fingerprint):
        return space, [f"the space {space.name} has changed since the study"]
    return space, []


def distance(columns: Columns, count: int, wanted: Mapping[str, Wish], best: Architecture) -> Floats:
    """How far `count` networks are from the wishes, in squared tolerances: (count,).

    What the wishes leave open, how depth, width, kernel size and expansion are spread over the stages, is to
    be as in the best network.
    """
    import numpy as np

    from analysis.isoflop import dimensions
    from space.columns import columns_of

    found = dimensions(columns, count)
    total = np.zeros(count)
    for name, wish in wanted.items():
        if name in found:
            total += ((found[name] - math.log2(wish.value)) / wish.tolerance) ** 2
    own, theirs = _spread(columns_of([best]), 1), _spread(columns, count)
    if own.shape[1:] == theirs.shape[1:]:
        total += (((theirs - own) / STAGE_TOLERANCE) ** 2).mean(axis=(1, 2))
    return total


def _spread(columns: Columns, count: int) -> Floats:
    """Octaves of each stage's depth, width, kernel size and expansion over their mean, (count, 4, stages)."""
    import numpy as np

    fields = [
        np.stack([np.broadcast_to(getattr(stage, name), count) for stage in columns.stages], axis=1)
        for name in ("depth", "width", "kernel_size", "hidden")
    ]
    logs = np.log2(np.maximum(np.stack(fields, axis=1), 1).astype(np.float64))
    logs[:, 3] -= logs[:, 1]
    return np.asarray(logs - logs.mean(axis=2, keepdims=True))


def nearest_in(
    band: BandSampler, wanted: Mapping[str, Wish], best: Architecture, seed: int = 0
) -> Architecture:
    """The nearest network of a space's band that was met; it is in the band, as all that are drawn are.

    Cross-entropy search (Rubinstein 1999): draw uniformly in the band, keep the outcomes that the nearest
    have, draw again among them. Settings without an order are the best network's, where the band has such.
    """
    import numpy as np

    allowed = _settings_of(band.space, best)
    if band.count_allowed(allowed) == 0:
        allowed = {}
    rng = np.random.default_rng(seed)
    codes = band.sample_codes(DRAWS, rng, allowed)
    for _ in range(ROUNDS):
        codes = np.unique(codes, axis=0)
        far = distance(band.space.columns(codes), len(codes), wanted, best)
        codes = codes[np.argsort(far, kind="stable")[:ELITE]]
        near = {f: np.unique(codes[:, f]).tolist() for f in range(codes.shape[1])}
        codes = np.concatenate([codes, band.sample_codes(DRAWS, rng, near)])
    far = distance(band.space.columns(codes), len(codes), wanted, best)
    return band.space.build(codes[int(far.argmin())])


def _settings_of(space: DesignSpace, network: Architecture) -> dict[int, list[int]]:
    """Of factors that set no dimension, the outcomes that are the network's."""
    from space.factors import NETWORK

    if len(network.stages) != len(space.base.stages):
        return {}
    allowed = {}
    for f, factor in enumerate(space.factors):
        if any(name in SHAPE_FIELDS for _, name in factor.targets):
            continue
        own = []
        for i, name in factor.targets:
            holder: Any = network if i == NETWORK else network.stages[i]
            own.append(getattr(holder.stem, name[5:]) if name.startswith("stem.") else getattr(holder, name))
        same = [k for k, outcome in enumerate(factor.outcomes) if outcome == tuple(own)]
        if same:
            allowed[f] = same
    return allowed


def nearest_free(budget: Budget, wanted: Mapping[str, Wish], best: Architecture) -> Architecture | None:
    """The nearest network of any depths and widths in the band; None where there is none.

    Blocks are shared out by the wished stage ratio, and for each number of them the width makes the cost.
    """
    from space.columns import columns_of

    kernels, expansions = _kernels(wanted, best), _expansions(wanted, best)
    start = with_shape(best, kernels=kernels, expansions=expansions)
    made: dict[str, Architecture] = {}
    for depths in _depth_choices(wanted, best):
        network = width_only(with_shape(start, depths=depths), budget)
        if network is not None:
            made[network.fingerprint] = network
    if not made:
        return None
    networks = list(made.values())
    far = distance(columns_of(networks), len(networks), wanted, best)
    return networks[int(far.argmin())]


def _depth_choices(wanted: Mapping[str, Wish], best: Architecture) -> Iterator[tuple[int, ...]]:
    """Depths around the wished number of blocks, the long stage as wished."""
    from space.architecture import MAX_DEPTH

    depths = [float(depth) for depth in best.depths]
    if "stage_ratio" in wanted and len(depths) > 1:
        others = [depth for i, depth in enumerate(depths) if i != len(depths) - 2]
        depths[-2] = wanted["stage_ratio"].value * math.prod(others) ** (1 / len(others))
    total = wanted["depth"].value
    seen = set()
    for octaves in DEPTH_OCTAVES:
        factor = total * 2**octaves / sum(depths)
        chosen = tuple(max(1, min(MAX_DEPTH, round(depth * factor))) for depth in depths)
        if chosen not in seen:
            seen.add(chosen)
            yield chosen


def _kernels(wanted: Mapping[str, Wish], best: Architecture) -> list[int]:
    """The best network's, moved to the wished mean: odd numbers."""
    from space.architecture import MAX_KERNEL

    sizes = [stage.kernel_size for stage in best.stages]
    factor = wanted["kernel_size"].value / math.prod(sizes) ** (1 / len(sizes))
    if abs(math.log2(factor)) < LEAST_TOLERANCE:
        return sizes
    return [max(1, min(MAX_KERNEL, 2 * round((size * factor - 1) / 2) + 1)) for size in sizes]


def _expansions(wanted: Mapping[str, Wish], best: Architecture) -> list[float]:
    """The best network's, moved to the wished mean: halves."""
    own = [float(stage.expansion) for stage in best.stages]
    factor = wanted["expansion"].value / math.prod(own) ** (1 / len(own))
    if abs(math.log2(factor)) < LEAST_TOLERANCE:
        return [stage.expansion for stage in best.stages]
    return [max(0.5, round(2 * value * factor) / 2) for value in own]


def _remarks(wanted: Mapping[str, Wish], proposal: Architecture) -> list[str]:
    """Where the proposal is not what was wished: the band, or the space, has nothing nearer."""
    from analysis.isoflop import LABELS, dimensions
    from space.columns import columns_of

    found = dimensions(columns_of([proposal]), 1)
    remarks = []
    for name, wish in wanted.items():
        value = float(2 ** found[name][0])
        if abs(math.log2(value / wish.value)) > FAR:
            source = "by its power law" if wish.source == RULE else "kept"
            remarks.append(
                f"{LABELS[name]}: {value:.3g} in the network proposed, not {wish.value:.3g} as {source}; the "
                "band has nothing nearer in all dimensions together"
            )
    if all(wanted[name].source == KEPT for name in ("depth", "width")):
        remarks.append(
            "neither depth nor width has an exponent: the network in the band that changes the best one "
            "least is proposed, which is no finding"
        )
    return remarks


# ---- what is said ---------------------------------------------------------------------------------------


def as_json(found: Plan) -> dict[str, Any]:
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


def _dimension_json(found: Plan, name: str) -> dict[str, Any]:
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
    from analysis.scaling import Estimate

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


def _prediction_json(found: Plan) -> dict[str, Any]:
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


def by_law(found: Plan) -> dict[str, Answer]:
    """Percent error at the target under every law to choose among: how much hangs on the choice."""
    choice = found.series.choice
    rows = () if choice is None else choice.table
    return {row.law.name: found.series.at([found.target], row.law)[0] for row in rows}


def prediction(found: Plan) -> list[str]:
    """The accuracy at the target, in sentences."""
    from analysis.scaling import Estimate

    series = found.series
    kind = "fresh seeds" if series.fresh else "search values, which are optimistic"
    if series.fit is None:
        return [f"accuracy at the target: not identified ({series.reason})"]
    error = series.at([found.target])[0]
    about = f"{series.fit.law.formula}, {networks_text(series.fit.networks)}, {kind}"
    if not isinstance(error, Estimate):
        return [f"accuracy at the target: not identified: of the error, {error.reason} ({about})"]
    lines = [
        f"accuracy at the target: {_accuracy(error)}, of networks such as {_whose(series)}, under the "
        f"study's proxy ({about})"
    ]
    chosen = series.fit.law.name
    others = {name: one for name, one in by_law(found).items() if name != chosen}
    return [*lines, *(f"  by {name}: {_accuracy(one)}" for name, one in others.items())]


def _whose(series: Series) -> str:
    return "the search confirms" if series.fresh else "the best of the search"


def _accuracy(error: Answer) -> str:
    """Of an error in percent, with its interval."""
    from analysis.scaling import Estimate

    if not isinstance(error, Estimate):
        return str(error)
    return f"{100 - error.value:.1f}% ({100 - error.high:.1f}% to {100 - error.low:.1f}%)"


def comparisons(found: Profiles, metric: str) -> list[str]:
    """The study's exponents against those of ConvNeXt's own sizes."""
    from analysis.scaling import Estimate

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


# ---- the command ----------------------------------------------------------------------------------------


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m analysis.scale",
        description="Propose the network of a larger budget by how the best of a study change with theirs.",
    )
    parse.add_argument("study", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    parse.add_argument("--to", required=True, metavar="BUDGET", help="the budget, such as 15.4GFLOPs")
    parse.add_argument("--space", metavar="NAME|FILE", help="a space to propose from (default: the study's)")
    parse.add_argument(
        "--out", type=Path, metavar="FILE", help="the network as JSON (default: STUDY/scaled/BUDGET.json)"
    )
    parse.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    args = parser().parse_args(argv)
    try:
        from analysis.study import read_study

        study = read_study(args.study)
        found = plan(study, args.to, args.space)
        path = write_proposal(found, args.out)
    except InputError as error:
        print(f"analysis.scale: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(as_json(found) | {"file": str(path)}, indent=2, allow_nan=False))
    else:
        print_plan(found, path)
    return 0


def write_proposal(found: Plan, out: Path | None) -> Path:
    """The proposed network as a file that `python -m space.describe` reads. Raises `InputError`."""
    from space.files import write_text

    if out is None:
        folder = found.study.folder or Path()
        out = folder / "scaled" / f"{''.join(found.budget.text.split())}.json"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None
    values = {
        "name": f"{found.study.name} scaled to {found.budget.text}",
        "study": found.study.name,
        "budget": dataclasses.asdict(found.budget),
        "space": found.space,
        "notes": list(found.notes),
        "architecture": found.proposal.to_dict(),
    }
    return write_text(out, json.dumps(values, indent=2) + "\n")


def print_plan(found: Plan, path: Path) -> None:
    """Rules, networks, prediction and remarks; a pipe gets plain text, as wide as it needs to be."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=220)

    def say(line: str = "") -> None:
        console.print(line, markup=False, soft_wrap=True)

    sample = found.profiles.sample
    say(
        f"{found.study.name}: {networks_text(len(sample.networks))} at {len(sample.groups)} budgets, "
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


def _rule_table(found: Plan) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from analysis.isoflop import LABELS, dimensions
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
    from analysis.scaling import Estimate

    if isinstance(answer, Estimate):
        return str(answer)
    return "at the edge" if answer.reason.startswith("at the edge") else "not identified"


def _reasons(found: Plan) -> Iterator[str]:
    """Why a dimension has no exponent."""
    from analysis.isoflop import LABELS

    for name, wish in found.wishes.items():
        rule = found.profiles.rules[name]
        if wish.source == KEPT:
            yield f"{LABELS[name]}: exponent {rule.exponent}; the value of the largest budget is kept"
        elif rule.stretch > 1:
            yield (
                f"{LABELS[name]}: the budgets scatter about the power law {rule.stretch:.2g} times as far as "
                "their intervals say; its intervals are that much longer"
            )


def _network_table(found: Plan) -> Any:
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


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main())
