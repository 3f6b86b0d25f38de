"""The whole answer of an agreement: as sentences for people, as rows, and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.order.agreement import MOST, TOP, Agreement, agreements
from analysis.order.common import Common, with_published, with_study
from analysis.order.signs import SOURCE, Noise, Sign, noises, signs
from analysis.scores.rank import ENOUGH, LEVEL, RankInterval
from analysis.views.planes import labels
from nas.record.study import Study

COLUMNS = (
    "group", "networks", "tau", "tau low", "tau high", "tau low, seeds too", "tau high, seeds too",
    "rho", "rho low", "rho high", "pairs", "tau of pairs", "tau of pairs low", "tau of pairs high",
    *(f"regret of {k}{end}" for k in TOP for end in ("", " low", " high")),
)  # fmt: skip


@dataclass(frozen=True)
class OrderAnswer:
    """What there is to say of one order and another."""

    common: Common
    agreements: Sequence[Agreement]
    signs: Sequence[Sign]
    noises: Sequence[Noise]
    notes: Sequence[str]


def answer(studies: Sequence[Study]) -> OrderAnswer:
    """One study against the published plane, or two against each other. Raises `InputError`."""
    common = with_published(studies[0]) if len(studies) == 1 else with_study(*studies)
    named = list(zip(studies, labels(studies), strict=True))
    notes = [f"study {name}: a rehearsal, nothing was trained" for s, name in named if s.simulated]
    if len(common.networks) > MOST:
        notes.append(f"of {len(common.networks):,} networks {MOST:,} were drawn")
    return OrderAnswer(
        common,
        agreements(common),
        [sign for study, name in named for sign in signs(study, name)],
        [noise for study, name in named for noise in noises(study, name)],
        notes,
    )


def sentence(found: OrderAnswer) -> str:
    """What it means, by the first group."""
    first, (one, other) = found.agreements[0], found.common.names
    where = f"Over {first.group} ({first.networks} networks)"
    tau = first.tau
    if tau.value is None or tau.low is None or tau.high is None:
        return f"{where} all are equal under one of both: there is no order to agree."
    said = f"{where} the orders of {one} and of {other} agree at Kendall tau {between(tau)}"
    if tau.low <= 0 <= tau.high:
        return f"{said}: not distinguishable from no relation."
    share = f"{(1 + tau.value) / 2:.0%}"
    pairs = f"the better of two networks is the same on both sides in about {share} of pairs"
    if tau.high < 0:
        return f"{said}: the order is reversed more than by chance; {pairs}."
    few = f", by fewer than {ENOUGH} networks" if first.networks < ENOUGH else ""
    return f"{said}: more than by chance{few}; {pairs}."


def between(tau: RankInterval) -> str:
    """A correlation with its interval, in words."""
    if tau.value is None or tau.low is None or tau.high is None:
        return "not defined"
    return f"{tau.value:+.2f} ({LEVEL:.0%} interval {tau.low:+.2f} to {tau.high:+.2f})"


def more_sentences(found: OrderAnswer) -> list[str]:
    """What each side prefers at equal FLOPs, the noise of its seeds, and what to know of the numbers."""
    several = len({sign.study for sign in found.signs}) > 1
    lines = []
    for sign in found.signs:
        where = f"study {sign.study}, " if several else ""
        lines.append(
            f"{where}at equal FLOPs, {sign.pairs} pairs: tau of accuracy with {sign.metric} "
            f"{between(sign.tau)}; on ImageNet {sign.published}"
        )
    lines += [_noise_sentence(noise, several) for noise in found.noises]
    lines += [f"ImageNet's signs: {SOURCE}"] if found.signs else []
    if any("roadmap" in one.group for one in found.agreements):
        lines.append("steps are no random sample: each is the one before it with one change")
    return [*lines, *found.notes]


def _noise_sentence(noise: Noise, several: bool) -> str:
    where = f"study {noise.study}, " if several else ""
    kind = "within one seed" if noise.residual is not None else "of seeds"
    deviation = noise.within if noise.residual is None else noise.residual
    ratio = "" if noise.ratio is None else f", a ratio of {noise.ratio:.1f}"
    return (
        f"{where}{noise.group}, {noise.networks} with up to {noise.seeds} seeds: they deviate by "
        f"{100 * noise.between:.1f} points, the noise {kind} by {100 * deviation:.1f}{ratio}"
    )


def rows(found: OrderAnswer) -> list[dict[str, Any]]:
    """Of `COLUMNS`; pairs are those within 5% of FLOPs, regrets points; what is not defined is None."""
    values = (
        [
            one.group, one.networks, *_ends(one.tau), *_ends(one.tau_seeds)[1:], *_ends(one.rho), one.pairs,
            *_ends(one.near), *(end for k in TOP for end in _ends(one.regret.get(k), 100)),
        ]
        for one in found.agreements
    )  # fmt: skip
    return [dict(zip(COLUMNS, each, strict=True)) for each in values]


def _ends(found: RankInterval | None, factor: float = 1) -> list[float | None]:
    ends = (None, None, None) if found is None else (found.value, found.low, found.high)
    return [None if end is None else round(factor * end, 4) for end in ends]


def as_json(found: OrderAnswer) -> dict[str, Any]:
    """Everything as plain values."""
    common = found.common
    return {
        "sides": list(common.sides),
        "level": LEVEL,
        "means": sentence(found),
        "agreements": [asdict(one) for one in found.agreements],
        "signs": [asdict(sign) for sign in found.signs],
        "signs_source": SOURCE,
        "noise": [asdict(noise) | {"ratio": noise.ratio} for noise in found.noises],
        "notes": list(found.notes),
        "networks": [asdict(network) for network in common.networks],
    }
