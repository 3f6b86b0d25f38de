"""STAND-IN until the real one lands."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Literal

from nas.record.study import Study, Tried
from nas.verdict.confirm import confirmed
from nas.verdict.difference import Difference
from nas.verdict.front import front


@dataclass(frozen=True)
class Rival:
    """The pick less a reference."""

    label: str
    difference: Difference
    seeds: int
    verdict: str


@dataclass(frozen=True)
class Pick:
    """A recommended network."""

    tried: Tried
    budget: str | None
    accuracy: float
    seeds: int
    among: int
    because: str
    sure: str
    rivals: tuple[Rival, ...]


@dataclass(frozen=True)
class Recommendation:
    """What a study recommends."""

    picks: tuple[Pick, ...]
    kind: Literal["one", "budgets", "front", "none"]
    lines: tuple[str, ...]
    next: str
    note: str | None


def _value(t: Tried) -> float:
    return sum(t.fresh.values()) / len(t.fresh) if t.fresh else t.accuracy


def recommend(study: Study) -> Recommendation:
    """What to take."""
    nets = [t for t in study.networks if t.family != "Swin"]
    sim = str((study.mapping.get("proxy") or {}).get("name", "")).startswith("simulated")
    note = "This study is simulated: nothing was trained." if sim else None
    folder = shlex.quote(str(study.folder or study.name))
    if not nets:
        return Recommendation(
            (),
            "none",
            ("No network has been trained in full yet.",),
            f"python -m nas.search --study {folder} --resume",
            note,
        )
    again = [t for t in nets if t.fresh and t.role == "candidate"]
    pool = [t for t in nets if t.fresh and (len(t.fresh) > 0)] if again else nets
    groups: dict[str | None, list[Tried]] = {}
    if study.mapping.get("objective") == "front":
        kind: Literal["one", "budgets", "front", "none"] = "front"
        idx = front([getattr(t, study.metric) for t in pool], [_value(t) for t in pool])
        chosen = [(None, pool[i], len(pool)) for i in idx]
    else:
        for t in pool:
            groups.setdefault(t.budget if len(study.bands) > 1 else None, []).append(t)
        kind = "budgets" if len(groups) > 1 else "one"
        chosen = [(b, max(ts, key=lambda t: (_value(t), -t.trial)), len(ts)) for b, ts in groups.items()]
    verdicts = confirmed(study.trials)
    picks = []
    for b, t, n in chosen:
        rivals = []
        for v in verdicts:
            if b is None or v.budget == b:
                rivals += [
                    Rival(
                        a.reference,
                        a.difference,
                        a.seeds,
                        a.difference.verdict if math.isfinite(a.difference.low) else "",
                    )
                    for a in v.against
                    if a.candidate.trial == t.trial
                ]
        if not verdicts:
            rivals = [
                Rival(r.label, Difference(_value(t) - _value(r), -math.inf, math.inf), 1, "")
                for r in study.references
                if r is not t and (b is None or r.budget == b)
            ]
        seeds = len(t.fresh) if again else 0
        sure = (
            "no interval: one training each"
            if not again
            else "; ".join(
                f"{100 * r.difference.value:+.1f} points against {r.label} (95% interval {100 * r.difference.low:+.1f} to {100 * r.difference.high:+.1f})"
                for r in rivals
            )
            or "no interval"
        )
        because = f"it has the best {'mean of %d fresh seeds' % seeds if seeds else 'accuracy'} among {n} networks, {_value(t):.1%}"
        picks.append(Pick(t, b, _value(t), seeds, n, because, sure, tuple(rivals)))
    lines = tuple(
        f"Take {p.tried.label} ({p.tried.macs / 1e9:.2f} GFLOPs){f' for {p.budget}' if p.budget else ''}: {p.because}; {p.sure}."
        for p in picks
    )
    nxt = (
        f"python -m nas.export {folder} --trial {picks[0].tried.trial}"
        if again
        else f"python -m nas.search --study {folder} --resume --confirm 3x3"
    )
    return Recommendation(tuple(picks), kind, lines, nxt, note)
