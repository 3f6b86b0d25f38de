"""The README of an exported network: what it is, what it costs, how it was found, how to train it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nas.targets.quoting import in_code, in_markdown
from space.errors import InputError

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe
    from nas.targets.exportable import Exportable
    from nas.targets.outcome import TargetOutcome
    from nas.targets.target import Check
    from space.stage import Stage

WIDTH = 110
MOST_CLASSES = 20  # named here


def model_card(
    one: Exportable,
    recipe: Recipe,
    outcomes: Sequence[TargetOutcome],
    gpu_price: float | None = None,
    weights: str | None = None,
    train_images: int | None = None,
) -> str:
    """Markdown; with `gpu_price`, of a GPU hour, it estimates costs. `weights` says which there are.

    `train_images`: of the recipe's data, where they are no published set's.
    """
    named = recipe.data.classes
    sections = [
        [f"# {in_markdown(one.title)}", "", *_what(one)],
        ["## Cost", "", *_cost(one, recipe)],
        *(
            [["## How it was found", "", *_found(one)], ["## Evidence", "", *_evidence(one)]]
            if one.study
            else []
        ),
        *([["## Weights", "", _wrapped(f"{in_markdown(weights)}.")]] if weights else []),
        *([["## Classes", "", *_classes(named)]] if named else []),
        ["## Training it", "", *_recipe(recipe, gpu_price, train_images)],
        *(_target(outcome) for outcome in outcomes if outcome.exported is not None),
    ]
    refused = [outcome for outcome in outcomes if outcome.exported is None]
    if refused:
        lines = [_wrapped(f"* {each.target}: {in_markdown(str(each.refused))}", "  ") for each in refused]
        sections.append(["## Targets that are not here", "", *lines])
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def check_text(check: Check) -> str:
    """What was compared with the original, in a sentence."""
    macs = "" if check.macs is None else f", {check.macs:,} multiply-accumulates"
    return (
        f"{in_markdown(check.library)}, {check.images}: {check.params:,} parameters{macs}, as the original; "
        f"logits with the same weights differ by {check.difference / check.largest:.1e} of the largest at "
        f"most (allowed {check.tolerance / check.largest:.0e})."
    )


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _classes(names: Sequence[str]) -> list[str]:
    first = ", ".join(in_markdown(name) for name in names[:MOST_CLASSES])
    rest = "" if len(names) <= MOST_CLASSES else f", ... up to {in_markdown(names[-1])}"
    return [_wrapped(f"{len(names)}, by label: {first}{rest}. `architecture.json` has all of them.")]


def _what(one: Exportable) -> list[str]:
    from space.networks import brief

    network = one.network
    stem = network.stem
    size = (
        "7x7 convolution and max-pool"
        if stem.type == "resnet"
        else f"{stem.patch_size}x{stem.patch_size} patches"
    )
    rows = [
        "| stage | blocks | width | kernel | expansion | block |",
        "|---|---|---|---|---|---|",
        *(
            f"| {i} | {stage.depth} | {stage.width} | {stage.kernel_size} | {stage.expansion:g} | "
            f"{stage.style}, {stage.conv}, spatial {stage.spatial}{_options(stage)} |"
            for i, stage in enumerate(network.stages, 1)
        ),
    ]
    scale = "no LayerScale" if network.layer_scale is None else f"LayerScale {network.layer_scale:g}"
    rest = f"Stem: {size}. Norm {network.norm}, activation {network.activation}, downsampling "
    return [
        f"`{brief(network)}`, fingerprint `{network.fingerprint}`.",
        "",
        *rows,
        "",
        _wrapped(f"{rest}{network.downsampling}, {scale}. `architecture.json` holds all of it; "
                 "`python -m space.describe architecture.json` prints shapes and costs, part by part."),
    ]  # fmt: skip


def _cost(one: Exportable, recipe: Recipe) -> list[str]:
    from space.cost import breakdown, cost

    classes = recipe.data.num_classes
    total = cost(one.network, num_classes=classes)
    rows = [
        "| part | output | MACs | parameters |",
        "|---|---|---|---|",
        *(
            f"| {part.name} | {part.channels} x {part.resolution} x {part.resolution} | {part.cost.macs:,} | "
            f"{part.cost.params:,} |"
            for part in breakdown(one.network, num_classes=classes)
        ),
        f"| **total** | | **{total.macs:,}** | **{total.params:,}** |",
    ]
    return [
        _wrapped(
            f"{total.macs / 1e9:.3f} GFLOPs (multiply-accumulates of convolutions and linear layers, one "
            f"224x224 image), {total.params / 1e6:.2f} M parameters with {classes} classes, "
            f"{total.activations / 1e6:.2f} M activations."
        ),
        "",
        *rows,
    ]


def _found(one: Exportable) -> list[str]:
    study, trial = one.study, one.source
    assert study is not None and trial is not None
    record = study.mapping
    done = sum(one.state == "complete" for one in study.trials)
    budget, space = trial.budget or record["budget"]["text"], record.get("space") or {}
    made = in_markdown(str(record["created"])[:10])
    lines = [f"* study {in_code(study.name)}, trial {one.trial}, made {made}"]
    if trial.is_reference:
        lines.append("* a published network, trained there as a reference")
    else:
        count = space.get("in_band")
        name = in_code(str(space.get("name")))
        among = f", one of {count:,} networks of the space {name} in it" if count else ""
        lines.append(f"* budget {in_markdown(str(budget))}{among}")
        sampler = in_markdown(str(record["sampler"]))
        lines.append(f"* sampler {sampler}, {done} trainings in all, seed {record['seed']}")
    return [*lines, f"* {in_markdown(study.conditions)}"]


def _evidence(one: Exportable) -> Iterator[str]:
    from nas.proxy.card import card_line
    from nas.verdict.evidence import evidence

    assert one.study is not None and one.trial is not None
    try:
        for line in evidence(one.study, one.trial):
            yield _wrapped(f"* {in_markdown(line)}", "  ")
    except InputError:
        trial = one.source
        state = trial and (trial.reason or trial.state)
        why = in_markdown(str(state))
        yield _wrapped(f"* none: this network has no result at full fidelity ({why})", "  ")
    known = card_line(one.study.mapping["proxy"], one.study.mapping.get("data") or {})
    if known is not None:
        yield _wrapped(f"* {known}", "  ")
    yield ""
    yield _wrapped(
        "A proxy accuracy is the share of that data set's images classified right after that short training. "
        "It is no ImageNet accuracy, and nothing here says what the full training will reach."
    )


def _recipe(recipe: Recipe, gpu_price: float | None, train_images: int | None) -> list[str]:
    from nas.recipe.estimate import estimate_lines
    from space.words import plural

    split = (
        f"{plural(recipe.devices, 'device')} x {recipe.batch_size} images x {recipe.accumulation} accumulated"
    )
    return [
        _wrapped(f"{plural(recipe.epochs, 'epoch')} of {in_markdown(recipe.data.name)} at "
                 f"{recipe.data.resolution} pixels, total batch {recipe.total_batch_size} ({split}), "
                 f"stochastic depth {recipe.architecture['drop_path']:g}, "
                 f"{'no EMA' if recipe.ema_decay is None else f'EMA {recipe.ema_decay:g}'}."),
        "",
        *estimate_lines(recipe, train_images=train_images, price=gpu_price),
    ]  # fmt: skip


def _options(stage: Stage) -> str:
    """Declared fields that its blocks have, each after a comma."""
    from space.stage import OPTIONS

    has = ((o, getattr(stage, o.name)) for o in OPTIONS)
    return "".join(f", {option.words(value)}" for option, value in has if value != option.default)


def place_of(target: str) -> str:
    """Where a target's files are: in a folder of its name; the recipe lies beside the network."""
    return "" if target == "native" else f"{target}/"


def _target(outcome: TargetOutcome) -> list[str]:
    exported, place = outcome.exported, place_of(outcome.target)
    assert exported is not None
    checked = (
        f"Not verified here: {in_markdown(exported.unverified)}. This verifies it: {in_code(exported.verify)}"
        if exported.check is None
        else f"Verified before it was written: {check_text(exported.check)}"
    )
    return [
        f"### {outcome.target}: {outcome.summary}",
        "",
        f"In {in_code(place) if place else 'this folder'} ({', '.join(sorted(exported.files))}):",
        "",
        *_commands(exported.commands),
        "",
        _wrapped(checked),
        *(line for note in exported.notes for line in ("", _wrapped(in_markdown(note)))),
    ]


def _commands(commands: Iterable[str]) -> Iterator[str]:
    for command in commands:
        yield from (f"    {line}" for line in command.splitlines())
