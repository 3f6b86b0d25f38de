"""One study as one HTML page that works offline: the question, the answer, and everything behind it.

`python -m analysis.report STUDY` writes it again from a study's record.

All text of the study goes through `_tag`, which escapes it, or into a JSON block that the page's script
only ever writes as text. The page's content policy admits its own scripts by their hashes and no request.
"""
# ruff: noqa: RUF001 - the page is typeset: real multiplication signs, dashes and apostrophes

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
import math
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from analysis.confirm import Verdict, confirmed
from analysis.pareto import front
from space.command import Command
from space.errors import InputError
from space.files import write_text

Trial = Mapping[str, Any]

COSTS = {"macs": "FLOPs", "params": "parameters", "activations": "activations"}
NORMS = {"batch": "BatchNorm", "layer": "LayerNorm", "group": "GroupNorm", "rms": "RMSNorm"}
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish"}
SERIES = ("val_accuracy", "val_loss", "train_loss")
MISSING = "–"
# Drawn epochs of all trials together; more would be invisible and make the file heavy.
CURVE_POINTS = 8_000


def write_report(study: Mapping[str, Any], path: str | Path, *, folder: str | Path | None = None) -> Path:
    """Write `study` as one self-contained HTML page to `path` (about 5 MB, plotly.js included).

    `study` is the plain record of a search; accuracies are fractions of 1, costs are counts at 224x224,
    times are seconds. `folder` is the run folder in the export command, by default the folder of `path`.
    The page is written beside `path` and renamed, so a reader never sees half of it. Raises `InputError`.
    """
    path = Path(path)
    return write_text(path, render(study, str(path.parent if folder is None else folder)))


def render(study: Mapping[str, Any], folder: str) -> str:
    """The HTML page as text; `folder` stands in the export command."""
    view = _View(study)
    body = _tag(
        "main",
        _header(view),
        _warnings(view),
        _plane_section(view),
        _confirmation_section(view),
        _network_section(view, folder),
        _progress_section(view),
        _curves_section(view),
        _trials_section(view),
        _method_section(view),
    )
    return _document(str(study.get("name") or "Study"), body, _page_data(view))


# ---- the study, read once -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """The study with what the page derives from it."""

    study: Mapping[str, Any]

    def part(self, name: str) -> Mapping[str, Any]:
        return self.study.get(name) or {}

    @cached_property
    def trials(self) -> list[Trial]:
        """The search's own; trainings that confirm it are a matter of their own."""
        return [_stopped(t) for t in self.study.get("trials") or [] if t.get("role") != "confirmation"]

    @cached_property
    def confirmations(self) -> list[Verdict]:
        return confirmed(self.study.get("trials") or [])

    @cached_property
    def finished(self) -> list[Trial]:
        """Trials with a result at full fidelity: only these are compared."""
        return [t for t in self.trials if _accuracy(t) is not None and t.get("full_fidelity", True)]

    @cached_property
    def candidates(self) -> list[Trial]:
        return [t for t in self.finished if t.get("role") != "reference"]

    @cached_property
    def shortened(self) -> int:
        return sum(_accuracy(t) is not None for t in self.trials) - len(self.finished)

    @cached_property
    def best(self) -> Trial | None:
        named = self._numbered("best")
        return named or max(self.candidates, key=lambda t: _accuracy(t) or 0.0, default=None)

    @cached_property
    def reference(self) -> Trial | None:
        return self._numbered("reference")

    def _numbered(self, role: str) -> Trial | None:
        number = self.study.get(role)
        return next((t for t in self.trials if number is not None and t.get("number") == number), None)

    @cached_property
    def metric(self) -> str:
        """The cost on the horizontal axis: the budget's, or FLOPs if the trials do not carry that one."""
        metric = self.part("budget").get("metric")
        return metric if metric in COSTS else "macs"

    @cached_property
    def band(self) -> tuple[float | None, float | None]:
        budget = self.part("budget")
        if budget.get("metric", "macs") != self.metric:
            return None, None
        return _finite(budget.get("low")), _finite(budget.get("high"))

    @cached_property
    def scales(self) -> dict[str, _Scale]:
        bands = {metric: self.band if metric == self.metric else () for metric in COSTS}
        return {m: _Scale.of(m, [*(t.get(m) for t in self.trials), *band]) for m, band in bands.items()}

    @cached_property
    def curve_step(self) -> int:
        """One epoch in how many is drawn."""
        total = sum(len(t.get("curve") or []) for t in self.trials)
        return max(1, math.ceil(total / CURVE_POINTS))

    @cached_property
    def question(self) -> str:
        text = re.sub(r"(?<=\d)\s*(?=[A-Za-z])", " ", str(self.part("budget").get("text") or "this budget"))
        return f"Which {self.part('space').get('name') or 'ConvNeXt'} network is the most accurate at {text}?"

    @cached_property
    def data(self) -> str:
        return str(self.part("proxy").get("data") or "proxy")


@dataclass(frozen=True)
class _Scale:
    """A cost's unit, so that all its numbers on the page carry the same prefix."""

    metric: str
    divisor: float
    prefix: str

    @classmethod
    def of(cls, metric: str, values: Iterable[Any]) -> _Scale:
        top = max((v for v in map(_finite, values) if v is not None), default=1e9)
        if metric != "macs":
            top = min(top, 1e9 - 1)  # parameters and activations are counted in millions, as papers do
        for divisor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if top >= divisor:
                return cls(metric, divisor, prefix)
        return cls(metric, 1.0, "")

    @property
    def unit(self) -> str:
        return f"{self.prefix}FLOPs" if self.metric == "macs" else f"{self.prefix} {COSTS[self.metric]}"

    def number(self, value: Any) -> str:
        value = _finite(value)
        return MISSING if value is None else _three_digits(value / self.divisor)

    def text(self, value: Any) -> str:
        return f"{self.number(value)} {self.unit.strip()}"


def _finite(value: Any) -> float | None:
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if ok else None


def _stopped(trial: Trial) -> Trial:
    """A training that stopped early, with its last accuracy; it is marked as not comparable."""
    if trial.get("state") != "paused" or not trial.get("curve"):
        return trial
    return {
        **trial,
        "state": "complete",
        "accuracy": trial["curve"][-1]["val_accuracy"],
        "full_fidelity": False,
    }


def _accuracy(trial: Trial) -> float | None:
    return _finite(trial.get("accuracy")) if trial.get("state") == "complete" else None


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def _percent(value: Any) -> str:
    value = _finite(value)
    return MISSING if value is None else f"{100 * value:.1f}%"


def _count(value: Any) -> str:
    """An exact count while it can be read, a power of ten above."""
    if not isinstance(value, int) or isinstance(value, bool):
        return MISSING
    if value < 10_000_000:
        return f"{value:,}".replace(",", "\u2009")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}\u2009×\u200910" + str(int(exponent)).translate(
        str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    )


def _duration(value: Any) -> str:
    seconds = _finite(value)
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _label(trial: Trial) -> str:
    return str(trial.get("name") or f"Trial {trial.get('number')}")


# ---- an architecture in words ---------------------------------------------------------------------------


def _stages(trial: Trial) -> list[Mapping[str, Any]]:
    arch = trial.get("architecture") or {}
    return [{**(arch.get("block") or {}), **stage} for stage in arch.get("stages") or []]


def _stage_rows(trial: Trial) -> list[tuple[str, list[str]]]:
    """Depth, width, kernel and expansion, one value a stage."""
    fields = {"Depth": "depth", "Width": "width", "Kernel": "kernel_size", "Expansion": "expansion"}
    stages = _stages(trial)
    return [(name, [_plain(stage.get(key)) for stage in stages]) for name, key in fields.items()]


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return MISSING if value is None else str(value)


def _sequence(values: Sequence[str]) -> str:
    """`7` where all stages agree, `7-7-9-9` where they do not."""
    return values[0] if len(set(values)) == 1 else "-".join(values) or MISSING


def _brief(trial: Trial) -> list[str]:
    depth, width, kernel, expansion = (_sequence(values) for _, values in _stage_rows(trial))
    facts = dict(_facts(trial))
    kinds = [fact.split(",")[0] for fact in (facts["Norm"], facts["Activation"])]
    return [
        f"depths {depth} · widths {width}",
        " · ".join([f"kernel {kernel}", f"expansion {expansion}", *kinds]),
    ]


def _facts(trial: Trial) -> list[tuple[str, str]]:
    """What is not a number a stage: block, norm, activation, stem, downsampling, extras."""
    arch, stages = trial.get("architecture") or {}, _stages(trial)
    norm, activation = arch.get("norm"), arch.get("activation")
    styles = {"inverted": "inverted bottleneck", "bottleneck": "bottleneck"}
    style = _agreed(styles.get(str(s.get("style")), _plain(s.get("style"))) for s in stages)
    conv = _agreed(f"{_plain(s.get('conv'))}, {_plain(s.get('spatial'))}" for s in stages)
    downsampling = {"separate": "own layer", "strided": "in the block"}.get(
        str(arch.get("downsampling")), MISSING
    )
    return [
        ("Block", style),
        ("Convolution", conv),
        ("Norm", _placed(NORMS.get(str(norm), _plain(norm)), "norm_after", stages)),
        ("Activation", _placed(ACTIVATIONS.get(str(activation), _plain(activation)), "act_after", stages)),
        ("Stem", _stem(arch.get("stem") or {})),
        ("Downsampling", downsampling),
        ("Also", _extras(arch, stages)),
    ]  # fmt: skip


def _agreed(values: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(values)) or MISSING


def _placed(kind: str, field: str, stages: Sequence[Mapping[str, Any]]) -> str:
    places = _agreed(", ".join(map(str, stage.get(field) or [])) for stage in stages)
    return kind if places == MISSING else f"{kind}, after conv {places}"


def _stem(stem: Mapping[str, Any]) -> str:
    patch = _plain(stem.get("patch_size"))
    names = {"patchify": f"{patch}×{patch} patches", "resnet": "7×7 stride 2, max-pool"}
    return names.get(str(stem.get("type")), MISSING)


def _extras(arch: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> str:
    extras = []
    if arch.get("layer_scale") is not None:
        extras.append(f"LayerScale {_plain(arch['layer_scale'])}")
    if arch.get("drop_path"):
        extras.append(f"drop path {_plain(arch['drop_path'])}")
    if any(stage.get("grn") for stage in stages):
        extras.append("GRN")
    return ", ".join(extras) or MISSING


# ---- markup ---------------------------------------------------------------------------------------------


class _Html(str):
    """Markup: already escaped."""

    __slots__ = ()


def _tag(name: str, *children: object, **attributes: object) -> _Html:
    """One element; children that are not `_Html` are text and are escaped. `class_` is `class`."""
    pairs = (
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
    )
    inner = "".join(c if isinstance(c, _Html) else html.escape(str(c)) for c in children)
    return _Html(f"<{name}{''.join(pairs)}>{inner}</{name}>")


def _join(children: Iterable[str]) -> _Html:
    return _Html("".join(c if isinstance(c, _Html) else html.escape(c) for c in children))


def _section(title: str, key: str, *children: object) -> _Html:
    return _tag(
        "section", _tag("h2", title, id=f"{key}-title"), *children, id=key, aria_labelledby=f"{key}-title"
    )


def _figure(key: str, text: str) -> _Html:
    return _tag("div", id=f"{key}-figure", class_="figure", role="img", aria_label=text)


def _legend(*entries: tuple[str, str, object]) -> _Html:
    """(glyph, text, whether it is drawn); glyphs have the names of report.css and report.js."""
    items = (
        _tag("li", _tag("span", class_=f"glyph {glyph}"), text) for glyph, text, drawn in entries if drawn
    )
    return _tag("ul", *items, class_="legend")


# ---- the answer -----------------------------------------------------------------------------------------


def _band_text(view: _View) -> str:
    low, high = view.band
    scale = view.scales[view.metric]
    if low and high:
        return f"inside {scale.number(low)}–{scale.text(high)}"
    if high:
        return f"up to {scale.text(high)}"
    return f"from {scale.text(low)}" if low else "in this study"


def _header(view: _View) -> _Html:
    created = str(view.study.get("created") or "")
    day = created[:10] if re.match(r"\d{4}-\d\d-\d\d", created) else ""
    over = " · ".join(filter(None, ["Architecture search", str(view.study.get("name") or ""), day]))
    return _tag(
        "header",
        _tag("p", over, class_="over"),
        _tag("h1", view.question),
        _tag("p", _answer(view), class_="answer"),
        _tag("p", _caveat(view), class_="caveat"),
        _tiles(view),
    )


def _answer(view: _View) -> _Html:
    best, reference = view.best, view.reference
    known = "" if reference is None else _result(reference, _label(reference))
    if best is None:
        return _join(
            [f"No network {_band_text(view)} has been trained to the end yet. ", known and f"{known}."]
        )
    epochs = _plural(int(best.get("fidelity") or 0), "epoch")
    count = len(view.candidates)
    start = f"Best of {count} networks" if count > 1 else "The one network trained"
    parts: list[str] = [f"{start} {_band_text(view)}: ", _tag("strong", _percent(best.get("accuracy")))]
    parts.append(f" on {view.data} validation images after {epochs}")
    if reference is None or reference is best:
        return _join([*parts, "."])
    if _accuracy(reference) is None:
        return _join([*parts, f"; {_label(reference)}, the reference, has no result."])
    same = reference.get("fidelity") == best.get("fidelity")
    how = "trained the same way" if same else f"after {reference.get('fidelity')} epochs, so not comparable"
    strong = _tag("strong", _percent(reference.get("accuracy")))
    return _join([*parts, f"; {_label(reference)}, {how}: ", strong, "."])


def _result(trial: Trial, name: str) -> str:
    if _accuracy(trial) is None:
        return f"{name}, the reference, has no result either"
    return f"{name}, the reference: {_percent(trial.get('accuracy'))} after {trial.get('fidelity')} epochs"


def _caveat(view: _View) -> str:
    best, reference = view.best, view.reference
    proxy = "These are proxy accuracies, not ImageNet’s."
    if best is None:
        return proxy
    picked = len(view.candidates)
    winner = f" The best of {picked} is a selected maximum, so it tends to look better than it is." * (
        picked > 1
    )
    if reference is None or reference is best or _accuracy(reference) is None:
        return f"One training is one seed: the figure would move with another. {proxy}{winner}"
    points = abs(round(100 * (_accuracy(best) or 0), 1) - round(100 * (_accuracy(reference) or 0), 1))
    if _trainings(view, best) > 1 or _trainings(view, reference) > 1:
        noise = f"Compare {points:.1f} points with the spread over seeds."
    else:
        noise = (
            f"One seed each: only re-training both with fresh seeds tells whether "
            f"{points:.1f} points are more than seed noise."
        )
    return f"{noise}{winner} {proxy}"


def _trainings(view: _View, trial: Trial) -> int:
    fingerprint = trial.get("fingerprint")
    again = [t for t in view.study.get("trials") or [] if _accuracy(t) is not None]
    return sum(fingerprint is not None and t.get("fingerprint") == fingerprint for t in again)


def _tiles(view: _View) -> _Html:
    space, states = view.part("space"), Counter(str(t.get("state")) for t in view.trials)
    size, in_band = space.get("size"), space.get("in_band")
    share = f"of {_count(size)} in the space" if isinstance(size, int) else "of the space"
    lost = ", ".join(f"{states[s]} {s}" for s in ("failed", "interrupted") if states[s]) or "none lost"
    entries = [
        ("networks inside the budget", _count(in_band), share),
        (
            "candidates trained in full",
            str(len(view.candidates)),
            f"{lost}{f', {view.shortened} of fewer epochs' if view.shortened else ''}",
        ),
        ("training", _duration(view.study.get("train_seconds")), "all trials together"),
        ("from start to end", _duration(view.study.get("wall_seconds")), "wall-clock"),
    ]
    tiles = (
        _tag("div", _tag("dt", name), _tag("dd", value, _tag("small", note)))
        for name, value, note in entries
        if value != MISSING
    )
    return _tag("dl", *tiles, class_="tiles")


def _warnings(view: _View) -> _Html:
    warnings = view.study.get("warnings") or []
    if not warnings:
        return _Html("")
    return _tag("aside", _tag("ul", *(_tag("li", w) for w in warnings)), class_="warnings", role="note")


# ---- sections -------------------------------------------------------------------------------------------


def _conditions(view: _View) -> str:
    """What every accuracy on the page was measured under, in one phrase."""
    proxy = view.part("proxy")
    side, epochs, size = proxy.get("resolution"), proxy.get("epochs"), proxy.get("train_size")
    parts = [f"{view.data} images"]
    if side:
        parts.append(f"{side}×{side} pixels")
    if size:
        parts.append(f"{_count(size)} for training")
    if epochs:
        parts.append(_plural(int(epochs), "epoch"))
    return ", ".join(parts)


def _plane_section(view: _View) -> _Html:
    cost = COSTS[view.metric]
    title = f"Accuracy against {cost}"
    name = _label(view.reference) if view.reference else "reference"
    legend = _legend(
        ("best", "best candidate", view.best),
        ("reference", f"{name}, reference", view.reference),
        ("candidate", "candidate", True),
        ("front", "front: nothing here is cheaper and better", True),
        ("band", f"budget, {_band_text(view).removeprefix('inside ')}", any(view.band)),
    )
    note = (
        f"Proxy accuracy ({_conditions(view)}), never ImageNet’s. FLOPs are multiply-accumulates "
        "at 224×224. Choose a point to see its network."
    )
    if view.shortened:
        note += f" Not drawn: {_plural(view.shortened, 'trial')} of fewer epochs."
    text = f"Scatter plot of proxy accuracy against {cost}; the table of all trials has the numbers."
    picture = _tag("div", legend, _figure("plane", text), _tag("p", note, class_="note"))
    detail = _tag("div", id="detail", class_="detail", aria_live="polite")
    if not view.finished:
        return _section(title, "plane", _tag("p", "No network has been trained in full yet."), detail)
    return _section(title, "plane", _tag("div", picture, detail, class_="beside"))


def _network_section(view: _View, folder: str) -> _Html:
    if view.best is None:
        return _Html("")
    pair = [view.best]
    if view.reference is not None and view.reference is not view.best:
        pair.append(view.reference)
    title = "The chosen network" + (f" next to {_label(pair[1])}" if len(pair) > 1 else "")
    command = f"python -m nas.export {shlex.quote(folder)}"
    export = _tag(
        "div",
        _tag("span", "Export it, with its training recipe:"),
        _tag("code", command, id="command"),
        _tag("button", "Copy", type="button", id="copy"),
        class_="export",
    )
    return _section(title, "network", _tag("div", _comparison(view, pair), class_="scroll"), export)


def _comparison(view: _View, pair: Sequence[Trial]) -> _Html:
    """Stages side by side, then one cell a network; what differs from the reference stands out."""
    spans = [max(1, len(_stages(t))) for t in pair]
    heads = (
        _tag("th", _label(t), colspan=n, scope="colgroup", class_="group")
        for t, n in zip(pair, spans, strict=True)
    )
    numbers = itertools.chain.from_iterable(
        (_tag("th", i + 1, scope="col", class_="first" if i == 0 else "") for i in range(n)) for n in spans
    )
    head = _tag(
        "thead", _tag("tr", _tag("td"), *heads), _tag("tr", _tag("th", "Stage", scope="row"), *numbers)
    )
    rows = [
        _stage_row(name, [dict(_stage_rows(t))[name] for t in pair], spans)
        for name, _ in _stage_rows(pair[0])
    ]
    facts = [dict([*_network_facts(view, t), *_facts(t)]) for t in pair]
    for name in facts[0]:
        values = [own[name] for own in facts]
        changed = "changed" if len(set(values)) > 1 else ""
        cells = (
            _tag("td", v, colspan=n, class_=f"whole first {changed}")
            for v, n in zip(values, spans, strict=True)
        )
        rows.append(_tag("tr", _tag("th", name, scope="row"), *cells))
    return _tag("table", head, _tag("tbody", *rows), class_="network")


def _stage_row(name: str, values: Sequence[Sequence[str]], spans: Sequence[int]) -> _Html:
    cells = []
    for row, span in zip(values, spans, strict=True):
        for i in range(span):
            here = row[i] if i < len(row) else MISSING
            same = len({(other[i] if i < len(other) else MISSING) for other in values}) == 1
            cells.append(_tag("td", here, class_=" ".join(["first"] * (i == 0) + ["changed"] * (not same))))
    return _tag("tr", _tag("th", name, scope="row"), *cells)


def _network_facts(view: _View, trial: Trial) -> list[tuple[str, str]]:
    costs = [("FLOPs", view.scales["macs"].text(trial.get("macs")))]
    for metric in ("params", "activations"):
        scale = view.scales[metric]
        costs.append((COSTS[metric].capitalize(), f"{scale.number(trial.get(metric))} {scale.prefix}"))
    epochs = _plural(int(trial.get("fidelity") or 0), "epoch")
    accuracy = MISSING if _accuracy(trial) is None else f"{_percent(_accuracy(trial))} after {epochs}"
    return [("Proxy accuracy", accuracy), *costs]


def _confirmation_section(view: _View) -> _Html:
    """Trainings with fresh seeds: the means, and the winner against each reference."""
    parts: list[_Html] = []
    for verdict in view.confirmations:
        seeds = sorted({seed for mean in verdict.means for seed in mean.by_seed})
        heads = ["Network", "Mean", *(f"Seed {seed}" for seed in seeds)]
        rows = [
            _tag(
                "tr",
                _tag("td", _tag("b", mean.label) if mean is verdict.winner else mean.label),
                _tag("td", _percent(mean.value)),
                *(_tag("td", _percent(mean.by_seed.get(seed))) for seed in seeds),
            )
            for mean in sorted(verdict.means, key=lambda m: -m.value)
        ]
        head = _tag("thead", _tag("tr", *(_tag("th", name, scope="col") for name in heads)))
        table = _tag("table", head, _tag("tbody", *rows), class_="confirmed")
        budget = [_tag("h3", verdict.budget)] if len(view.confirmations) > 1 else []
        lines = (_tag("p", line) for line in verdict.comparisons)
        parts += [*budget, _tag("div", table, class_="scroll"), *lines]
    if not parts:
        return _Html("")
    note = "Seeds that no choice was made by; the intervals allow for the choice among the confirmed."
    return _section("Confirmed with fresh seeds", "confirmed", *parts, _tag("p", note, class_="note"))


def _progress_section(view: _View) -> _Html:
    legend = _legend(
        ("step", "best so far", view.best),
        ("candidate", "candidate", True),
        ("dashed", "reference", view.reference),
        ("short", "fewer epochs, not compared", view.shortened),
        ("failed", "no result", any(_accuracy(t) is None for t in view.trials)),
    )
    text = "Proxy accuracy of each trial in the order tried, with the best so far."
    figure = [legend, _figure("progress", text)] if view.finished else []
    return _section("Progress of the search", "progress", *figure, _losses(view))


def _losses(view: _View) -> _Html:
    """Trials without a result, by reason."""
    lost: dict[str, list[str]] = {}
    for trial in view.trials:
        if _accuracy(trial) is None:
            reason = f"{trial.get('state') or 'no state'}: {trial.get('reason') or 'no reason recorded'}"
            lost.setdefault(reason, []).append(_plain(trial.get("number")))
    if not lost:
        return _tag(
            "p", "Every trial gave a result." if view.trials else "No trial was started.", class_="note"
        )
    rows = (_tag("li", _tag("b", _numbers(n)), f" {reason}") for reason, n in lost.items())
    count = sum(map(len, lost.values()))
    return _tag(
        "details", _tag("summary", f"{_plural(count, 'trial')} without a result"), _tag("ul", *rows), open=""
    )


def _numbers(numbers: Sequence[str]) -> str:
    if len(numbers) == 1:
        return f"Trial {numbers[0]}"
    more = f" and {len(numbers) - 12} more" if len(numbers) > 12 else ""
    return f"Trials {', '.join(numbers[:12])}{more}"


def _curves_section(view: _View) -> _Html:
    if not any(t.get("curve") for t in view.trials):
        return _Html("")
    names = {
        "val_accuracy": "Validation accuracy",
        "val_loss": "Validation loss",
        "train_loss": "Training loss",
    }
    buttons = (
        _tag("button", names[key], type="button", data_series=key, aria_pressed=str(key == SERIES[0]).lower())
        for key in SERIES
    )
    legend = _legend(
        ("best-line", "best", view.best),
        ("reference-line", "reference", view.reference),
        ("chosen-line", "selected", True),
        ("other-line", "other trials", True),
    )
    text = "Learning curves of all trials, the best and the reference in colour."
    bar = _tag(
        "div", legend, _tag("div", *buttons, class_="switch", role="group", aria_label="Series"), class_="bar"
    )
    step = view.curve_step
    note = [] if step == 1 else [_tag("p", f"One epoch in {step} is drawn, and the last.", class_="note")]
    return _section("Learning curves", "curves", bar, _figure("curves", text), *note)


def _trials_section(view: _View) -> _Html:
    if not view.trials:
        return _Html("")
    scales = [view.scales[metric] for metric in COSTS]
    units = [f"{scales[0].prefix}FLOPs", *(f"{s.metric.capitalize()} ({s.prefix})" for s in scales[1:])]
    columns = ["Trial", "Proxy accuracy", *units, "Epochs", "Time", "Network"]
    head = (_tag("th", _tag("button", name), scope="col", aria_sort="none") for name in columns)
    rows = (_trial_row(view, t, scales) for t in view.trials)
    table = _tag("table", _tag("thead", _tag("tr", *head)), _tag("tbody", *rows), class_="trials")
    return _section("All trials", "trials", _tag("div", table, class_="scroll tall", tabindex="0"))


def _trial_row(view: _View, trial: Trial, scales: Sequence[_Scale]) -> _Html:
    accuracy, number = _accuracy(trial), trial.get("number", MISSING)
    pick = _tag("button", number, data_trial=number, title="Show")
    name = [_tag("b", trial["name"])] if trial.get("name") else []
    return _tag(
        "tr",
        _tag("td", pick, data_sort=number),
        _cell(accuracy, str(trial.get("state") or MISSING) if accuracy is None else _percent(accuracy)),
        *(_cell(trial.get(s.metric), s.number(trial.get(s.metric))) for s in scales),
        _cell(trial.get("fidelity"), _plain(trial.get("fidelity"))),
        _cell(trial.get("train_seconds"), _duration(trial.get("train_seconds"))),
        _tag("td", *name, *(_tag("span", line) for line in _brief(trial)), class_="brief"),
        class_=_kind(view, trial),
    )


def _cell(value: Any, text: str) -> _Html:
    number = _finite(value)
    return _tag("td", text, data_sort="" if number is None else f"{number:.10g}")


def _overrides(proxy: Mapping[str, Any]) -> str:
    """What the proxy puts in place of the architectures' own training values."""
    parts = []
    if isinstance(proxy.get("layer_scale"), int | float):
        parts.append(f"LayerScale from {proxy['layer_scale']:g} where there is one")
    if isinstance(proxy.get("stochastic_depth"), int | float):
        parts.append(f"stochastic depth {proxy['stochastic_depth']:g}")
    return f"{', '.join(parts)}, in place of each network’s own values" if parts else MISSING


def _method_section(view: _View) -> _Html:
    study, proxy, space = view.study, view.part("proxy"), view.part("space")
    budget = f"{_plain(view.part('budget').get('text'))}: {_band_text(view)}"
    images = _count(proxy.get("val_size"))
    versions = ", ".join(f"{name} {version}" for name, version in view.part("versions").items())
    train, wall = _duration(study.get("train_seconds")), _duration(study.get("wall_seconds"))
    entries = [
        ("Accuracy", _phrase("share of {} validation images classified right", images)),
        ("Chance", f"{100 / proxy['num_classes']:.3g}%" if proxy.get("num_classes") else MISSING),
        ("Sampling error", _sampling_error(view)),
        ("Proxy", _phrase("{}: {}", _plain(proxy.get("name")), _conditions(view))),
        ("Trained with", _overrides(proxy)),
        ("FLOPs", "multiply-accumulates of convolutions and linear layers at 224×224, the ConvNeXt paper’s"),
        ("Activations", "output elements of all convolutions at 224×224"),
        ("Space", _phrase("{}: {} networks", _plain(space.get("name")), _count(space.get("size")))),
        ("Budget", _phrase("{}, {} networks of the space", budget, _count(space.get("in_band")))),
        ("Seed", _plain(study.get("seed"))),
        ("Versions", versions or MISSING),
        ("Made", _plain(study.get("created"))),
        ("Time", _phrase("{} of training in {} wall-clock", train, wall)),
    ]  # fmt: skip
    rows = (_tag("div", _tag("dt", name), _tag("dd", text)) for name, text in entries if text != MISSING)
    return _section("How it was measured", "method", _tag("dl", *rows, class_="facts"))


def _phrase(text: str, *values: str) -> str:
    """`text` with `values` in its braces, or nothing where one of them is missing."""
    return MISSING if MISSING in values else text.format(*values)


def _sampling_error(view: _View) -> str:
    """Binomial standard error of one accuracy: the part of the noise that one training does reveal."""
    size, best = _finite(view.part("proxy").get("val_size")), view.best
    accuracy = _accuracy(best) if best is not None else None
    if not size or accuracy is None:
        return MISSING
    error = 100 * math.sqrt(max(0.0, accuracy * (1 - accuracy)) / size)
    return (
        f"±{error:.1f} points, the binomial standard error of {_percent(accuracy)} on "
        f"{_count(int(size))} images; noise between seeds comes on top and takes more seeds to see"
    )


# ---- what the script draws ------------------------------------------------------------------------------


def _kind(view: _View, trial: Trial) -> str:
    if _accuracy(trial) is None:
        return "failed"
    if not trial.get("full_fidelity", True):
        return "short"
    if trial is view.best:
        return "best"
    return "reference" if trial is view.reference or trial.get("role") == "reference" else "candidate"


def _page_data(view: _View) -> dict[str, Any]:
    scale, (low, high) = view.scales[view.metric], view.band
    placed = [t for t in view.finished if _finite(t.get(view.metric)) is not None]
    chosen = front([t[view.metric] for t in placed], [_accuracy(t) or 0.0 for t in placed])
    forms: dict[Any, int] = {}
    trials = [_trial_data(view, t, forms) for t in view.trials]
    shown = view.best or view.reference or next(iter(view.trials), None)
    unit = f"{scale.unit}, multiply-accumulates" if view.metric == "macs" else scale.unit.strip()
    return {
        "axis": f"{unit} at 224×224",
        "unit": scale.unit,
        "band": [None if edge is None else edge / scale.divisor for edge in (low, high)],
        "front": [placed[i].get("number") for i in chosen],
        "best": None if view.best is None else view.best.get("number"),
        "reference": None if view.reference is None else view.reference.get("number"),
        "selected": None if shown is None else shown.get("number"),
        "trials": trials,
        "forms": list(forms),
        "stage_names": [name for name, _ in _stage_rows({})],
        "fact_names": [name for name, _ in _network_facts(view, {})],
    }


def _trial_data(view: _View, trial: Trial, forms: dict[Any, int]) -> dict[str, Any]:
    """One trial for the script; what it shares with others of its form goes into `forms` once."""
    cost, accuracy = _finite(trial.get(view.metric)), _accuracy(trial)
    name, number = trial.get("name"), trial.get("number")
    return {
        "number": number,
        "label": _label(trial),
        "title": f"{name} (trial {number})" if name else f"Trial {number}",
        "kind": _kind(view, trial),
        "state": trial.get("state"),
        "reason": trial.get("reason"),
        "cost": None if cost is None else float(f"{cost / view.scales[view.metric].divisor:.6g}"),
        "accuracy": None if accuracy is None else round(100 * accuracy, 3),
        "stages": [values for _, values in _stage_rows(trial)],
        "facts": [text for _, text in _network_facts(view, trial)],
        "form": forms.setdefault(tuple(_facts(trial)), len(forms)),
        "curve": _curve_data(trial.get("curve") or [], view.curve_step),
    }


def _curve_data(curve: Sequence[Mapping[str, Any]], step: int) -> dict[str, list[float | None]]:
    rows = [row for i, row in enumerate(curve) if i % step == 0 or i == len(curve) - 1]
    data = {"epoch": [_finite(row.get("epoch")) for row in rows]}
    for name in SERIES:
        factor = 100 if name == "val_accuracy" else 1
        values = (_finite(row.get(name)) for row in rows)
        data[name] = [None if v is None else float(f"{factor * v:.4g}") for v in values]
    return data


# ---- the file -------------------------------------------------------------------------------------------


def _document(title: str, body: _Html, data: Mapping[str, Any]) -> str:
    # Read here, so that importing the module does not cost plotly's import.
    from plotly.offline import get_plotlyjs

    scripts = [_inert(text) for text in (get_plotlyjs(), _asset("report.js"))]
    hashes = " ".join(f"'sha256-{_digest(text)}'" for text in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    # Every `<` of the data is written \u003c, so no text in it can end the block that holds it.
    block = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">',
            _tag("title", title),
            f"<style>{_asset('report.css')}</style></head>",
            f'<body><button type="button" id="theme" aria-label="Colour theme">Theme: auto</button>{body}',
            f'<script type="application/json" id="data">{block}</script>',
            *(f"<script>{text}</script>" for text in scripts),
            "</body></html>\n",
        ]
    )


def _asset(name: str) -> str:
    return resources.files("analysis").joinpath(name).read_text(encoding="utf-8")


def _inert(script: str) -> str:
    """A script that cannot end its own element; both sequences occur in string literals only."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = Command(prog="python -m analysis.report", description="Write a study's report from its record.")
    command.add_argument("study", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    command.add_argument("--out", type=Path, metavar="FILE", help="where to (default: STUDY/report.html)")
    args = command.parse_args(argv)
    try:
        from nas.record import Record

        record = Record.read(args.study)
        print(write_report(record.mapping(), args.out or record.folder / "report.html", folder=record.folder))
    except InputError as error:
        print(f"analysis.report: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
