"""What the networks of studies of one plane say of their axes: importances, effects and curves, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analysis.axes.dependence import Curve, partial_dependence
from analysis.axes.effects import Effect, main_effects
from analysis.axes.held_out import PERMUTATION
from analysis.axes.networkwise import EFFECTS, FEWEST, LEVEL, MATTERS, MOST, Interval
from analysis.axes.ranking import METHODS, QUICK, Importance, importance
from analysis.axes.sample import AxisSample, sample_of
from nas.record.study import Study
from nas.verdict.difference import UNCLEAR
from space.errors import InputError
from space.words import listed, plural


@dataclass(frozen=True)
class Findings:
    """What the networks of one plane say of its axes; `notes` are conditions and caveats."""

    studies: tuple[str, ...]
    conditions: str
    sample: AxisSample
    importance: Importance
    effects: tuple[Effect, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]
    adaptive: tuple[str, ...] = ()  # samplers that look where they found accuracy

    @property
    def words(self) -> list[str]:
        """The answer in sentences."""
        return _words(self)


def find(
    studies: Sequence[Study],
    which: str = "summary",
    budget: str | None = None,
    *,
    thorough: bool = True,
) -> Findings:
    """Everything above, of studies of one plane; not `thorough`: with fewer resamples and without fANOVA.

    Raises `InputError`: planes that differ, a budget that no study has, fewer than 20 networks.
    """
    sample = sample_of(studies, which, budget, most=max(MOST.values()))
    if not sample.axes:
        raise InputError(
            f"{_names(studies)}: {plural(len(sample), 'network')}, and no axis varies between them"
        )
    ids = sample.networks
    count = len(set(ids))
    if count < FEWEST:
        raise InputError(
            f"{_names(studies)}: {plural(count, 'network')} trained in full; importance needs {FEWEST}"
        )
    repeats, halves, methods = (4, 20, METHODS) if thorough else (2, 10, QUICK)
    axes, y = sample.axes, sample.accuracy
    found = importance(axes, y, networks=ids, methods=methods, repeats=repeats, halves=halves)
    effects = main_effects(axes, y, networks=ids, resamples=400 if thorough else 200)
    curves = partial_dependence(axes, y, networks=ids, resamples=20 if thorough else 8)
    return Findings(
        studies=tuple(study.name for study in studies),
        conditions=studies[0].conditions,
        sample=sample,
        importance=found,
        effects=effects,
        curves=curves,
        notes=tuple(_notes(studies, sample, methods)),
        adaptive=_adaptive(studies),
    )


def _names(studies: Sequence[Study]) -> str:
    return ", ".join(study.name for study in studies)


def _notes(studies: Sequence[Study], sample: AxisSample, methods: Sequence[str]) -> Iterator[str]:
    """How the networks came to be, where it biases what they say."""
    yield from sample.notes
    adaptive = _adaptive(studies)
    if adaptive:
        yield (
            f"The networks were proposed by an adaptive sampler ({', '.join(adaptive)}), which looks where "
            "it found accuracy: axes go together more, poor values are rare, and an effect counts for the "
            "region it favours. A verdict is then on what goes with accuracy here, not on its cause; for "
            "that search with --sampler random"
        )
    if any(_scheduled(study) for study in studies):
        yield (
            "Trainings were stopped early by a scheduler: only those promoted to full fidelity are here, "
            "which makes effects look smaller than they are"
        )
    cut = [f"{name} {MOST[name]:,}" for name in (*methods, EFFECTS) if len(sample) > MOST[name]]
    if cut:
        yield f"Of these {len(sample):,} networks a random part is used: {', '.join(cut)}"
    if not any(axis.cost for axis in sample.axes.values()):
        yield "All networks cost about the same, so FLOPs are not an axis: each effect is at equal cost"


def _adaptive(studies: Sequence[Study]) -> tuple[str, ...]:
    samplers = {str(study.mapping.get("sampler") or "unknown") for study in studies if study.candidates}
    return tuple(sorted(samplers - {"random"}))


def _scheduled(study: Study) -> bool:
    return study.scheduler != "none"


def _words(findings: Findings) -> list[str]:
    found = findings.importance
    r2 = f"R\u00b2 {found.r2.value:.2f} ({LEVEL:.0%} interval {found.r2.low:.2f} to {found.r2.high:.2f})"
    if not found.ranked:
        return [
            f"Not distinguishable: from the axes of {found.networks} networks the accuracy of unseen ones "
            f"cannot be predicted, {r2}, so no axis is ranked."
        ]
    lines = [f"The axes of {found.networks} networks predict the accuracy of unseen ones with {r2}."]
    matters = [f"{score.label} ({score.importance.value:.2f})" for score in found.matters]
    unclear = [s.label for s in found.methods.get(PERMUTATION, ()) if s.verdict == UNCLEAR]
    if matters:
        what = "what matters is"
        if findings.adaptive:  # where it was looked depends on what was found
            what = "what goes with accuracy among these adaptively chosen networks is"
        lines.append(f"By R\u00b2 lost when shuffled, {what} {listed(matters)}.")
    if unclear:
        lines.append(f"Not distinguishable from no importance: {listed(unclear)}.")
    for effect in findings.effects:
        if effect.verdict == MATTERS:
            best = effect.best
            lines.append(
                f"{effect.axis}: best at {best.label}, {points(best.effect)} from the mean, at equal "
                + (", ".join(effect.adjusted_for) or "nothing else")
                + "."
            )
    return lines


def points(interval: Interval) -> str:
    """Percentage points with their interval."""
    if math.isinf(interval.low):
        return f"{100 * interval.value:+.1f} points (no interval)"
    ends = f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
    return f"{100 * interval.value:+.1f} points ({ends})"
