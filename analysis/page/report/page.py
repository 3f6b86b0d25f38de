"""The page of a report: its markup.

How its text is kept inert: analysis/page/markup.py.
"""
# ruff: noqa: RUF001 - the page is typeset: real multiplication signs, dashes and apostrophes

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.page.markup import Html, document, join, section, tag
from analysis.page.report.data import SERIES, page_data
from analysis.page.report.reported import (
    Reported,
    Trial,
    accuracy_of,
    kind_of,
    label_of,
    network_facts,
    network_of,
)
from analysis.page.wording import (
    COSTS,
    MISSING,
    Scale,
    brief,
    count,
    duration,
    facts,
    finite,
    percent,
    plain,
    plural,
    stage_rows,
    stages,
)


def render(study: Mapping[str, Any], folder: str) -> str:
    """The HTML page as text; `folder` stands in the export command."""
    view = Reported(study)
    body = tag(
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
    return document(
        str(study.get("name") or "Study"),
        body,
        styles=["page.css", "report.css"],
        scripts=["page.js", "report.js"],
        blocks={"data": page_data(view)},
    )


# ---- markup ---------------------------------------------------------------------------------------------


def _figure(key: str, text: str) -> Html:
    return tag("div", id=f"{key}-figure", class_="figure", role="img", aria_label=text)


def _legend(*entries: tuple[str, str, object]) -> Html:
    """(glyph, text, whether it is drawn); glyphs have the names of report.css and report.js."""
    items = (tag("li", tag("span", class_=f"glyph {glyph}"), text) for glyph, text, drawn in entries if drawn)
    return tag("ul", *items, class_="legend")


# ---- the answer -----------------------------------------------------------------------------------------


def _band_text(view: Reported) -> str:
    low, high = view.band
    scale = view.scales[view.metric]
    if low and high:
        return f"inside {scale.number(low)}–{scale.text(high)}"
    if high:
        return f"up to {scale.text(high)}"
    return f"from {scale.text(low)}" if low else "in this study"


def _header(view: Reported) -> Html:
    created = str(view.study.get("created") or "")
    day = created[:10] if re.match(r"\d{4}-\d\d-\d\d", created) else ""
    over = " · ".join(filter(None, ["Architecture search", str(view.study.get("name") or ""), day]))
    return tag(
        "header",
        tag("p", over, class_="over"),
        tag("h1", view.question),
        tag("p", _answer(view), class_="answer"),
        tag("p", _caveat(view), class_="caveat"),
        _tiles(view),
    )


def _answer(view: Reported) -> Html:
    best, reference = view.best, view.reference
    known = "" if reference is None else _result(reference, label_of(reference))
    if best is None:
        return join(
            [f"No network {_band_text(view)} has been trained to the end yet. ", known and f"{known}."]
        )
    epochs = plural(int(best.get("fidelity") or 0), "epoch")
    tried = len(view.candidates)
    start = f"Best of {tried} networks" if tried > 1 else "The one network trained"
    parts: list[str] = [f"{start} {_band_text(view)}: ", tag("strong", percent(best.get("accuracy")))]
    parts.append(f" on {view.data} validation images after {epochs}")
    if reference is None or reference is best:
        return join([*parts, "."])
    if accuracy_of(reference) is None:
        return join([*parts, f"; {label_of(reference)}, the reference, has no result."])
    same = reference.get("fidelity") == best.get("fidelity")
    how = "trained the same way" if same else f"after {reference.get('fidelity')} epochs, so not comparable"
    strong = tag("strong", percent(reference.get("accuracy")))
    parts += [f"; {label_of(reference)}, {how}: ", strong]
    for other in view.other_references:
        parts += [f", {label_of(other)}: ", tag("strong", percent(other.get("accuracy")))]
    return join([*parts, "."])


def _result(trial: Trial, name: str) -> str:
    if accuracy_of(trial) is None:
        return f"{name}, the reference, has no result either"
    return f"{name}, the reference: {percent(trial.get('accuracy'))} after {trial.get('fidelity')} epochs"


def _caveat(view: Reported) -> str:
    best, reference = view.best, view.reference
    proxy = "These are proxy accuracies, not ImageNet’s."
    if best is None:
        return proxy
    picked = len(view.candidates)
    winner = f" The best of {picked} is a selected maximum, so it tends to look better than it is." * (
        picked > 1
    )
    if reference is None or reference is best or accuracy_of(reference) is None:
        return f"One training is one seed: the figure would move with another. {proxy}{winner}"
    points = abs(round(100 * (accuracy_of(best) or 0), 1) - round(100 * (accuracy_of(reference) or 0), 1))
    if _trainings(view, best) > 1 or _trainings(view, reference) > 1:
        noise = f"Compare {points:.1f} points with the spread over seeds."
    else:
        noise = (
            f"One seed each: only re-training both with fresh seeds tells whether "
            f"{points:.1f} points are more than seed noise."
        )
    return f"{noise}{winner} {proxy}"


def _trainings(view: Reported, trial: Trial) -> int:
    fingerprint = trial.get("fingerprint")
    again = [t for t in view.study.get("trials") or [] if accuracy_of(t) is not None]
    return sum(fingerprint is not None and t.get("fingerprint") == fingerprint for t in again)


def _tiles(view: Reported) -> Html:
    space, states = view.part("space"), Counter(str(t.get("state")) for t in view.trials)
    size, in_band = space.get("size"), space.get("in_band")
    share = f"of {count(size)} in the space" if isinstance(size, int) else "of the space"
    lost = ", ".join(f"{states[s]} {s}" for s in ("failed", "interrupted") if states[s]) or "none lost"
    entries = [
        ("networks inside the budget", count(in_band), share),
        (
            "candidates trained in full",
            str(len(view.candidates)),
            f"{lost}{f', {view.shortened} of fewer epochs' if view.shortened else ''}",
        ),
        ("training", duration(view.study.get("train_seconds")), "all trials together"),
        ("from start to end", duration(view.study.get("wall_seconds")), "wall-clock"),
    ]
    tiles = (
        tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
        for name, value, note in entries
        if value != MISSING
    )
    return tag("dl", *tiles, class_="tiles")


def _warnings(view: Reported) -> Html:
    warnings = view.study.get("warnings") or []
    if not warnings:
        return Html("")
    return tag("aside", tag("ul", *(tag("li", w) for w in warnings)), class_="warnings", role="note")


# ---- sections -------------------------------------------------------------------------------------------


def _conditions(view: Reported) -> str:
    """What every accuracy on the page was measured under, in one phrase."""
    proxy = view.part("proxy")
    side, epochs, size = proxy.get("resolution"), proxy.get("epochs"), proxy.get("train_size")
    parts = [f"{view.data} images"]
    if side:
        parts.append(f"{side}×{side} pixels")
    if size:
        parts.append(f"{count(size)} for training")
    if epochs:
        parts.append(plural(int(epochs), "epoch"))
    return ", ".join(parts)


def _plane_section(view: Reported) -> Html:
    cost = COSTS[view.metric]
    title = f"Accuracy against {cost}"
    names = [label_of(t) for t in (view.reference, *view.other_references) if t]
    references = f"{' and '.join(names)}, {'references' if len(names) > 1 else 'reference'}"
    legend = _legend(
        ("best", "best candidate", view.best),
        ("reference", references, names),
        ("candidate", "candidate", True),
        ("front", "front: nothing here is cheaper and better", True),
        ("band", f"budget, {_band_text(view).removeprefix('inside ')}", any(view.band)),
    )
    note = (
        f"Proxy accuracy ({_conditions(view)}), never ImageNet’s. FLOPs are multiply-accumulates "
        "at 224×224. Choose a point to see its network."
    )
    if view.shortened:
        note += f" Not drawn: {plural(view.shortened, 'trial')} of fewer epochs."
    text = f"Scatter plot of proxy accuracy against {cost}; the table of all trials has the numbers."
    picture = tag("div", legend, _figure("plane", text), tag("p", note, class_="note"))
    detail = tag("div", id="detail", class_="detail", aria_live="polite")
    if not view.finished:
        return section(title, "plane", tag("p", "No network has been trained in full yet."), detail)
    return section(title, "plane", tag("div", picture, detail, class_="beside"))


def _network_section(view: Reported, folder: str) -> Html:
    if view.best is None:
        return Html("")
    pair = [view.best]
    if view.reference is not None and view.reference is not view.best:
        pair.append(view.reference)
    title = "The chosen network" + (f" next to {label_of(pair[1])}" if len(pair) > 1 else "")
    command = f"python -m nas.export {shlex.quote(folder)} --trial {view.best['number']}"
    export = tag(
        "div",
        tag("span", "Export it, with its training recipe:"),
        tag("code", command, id="command"),
        tag("button", "Copy", type="button", id="copy"),
        class_="export",
    )
    return section(title, "network", tag("div", _comparison(view, pair), class_="scroll"), export)


def _comparison(view: Reported, pair: Sequence[Trial]) -> Html:
    """Stages side by side, then one cell a network; what differs from the reference stands out."""
    spans = [max(1, len(stages(network_of(t)))) for t in pair]
    heads = (
        tag("th", label_of(t), colspan=n, scope="colgroup", class_="group")
        for t, n in zip(pair, spans, strict=True)
    )
    numbers = itertools.chain.from_iterable(
        (tag("th", i + 1, scope="col", class_="first" if i == 0 else "") for i in range(n)) for n in spans
    )
    head = tag("thead", tag("tr", tag("td"), *heads), tag("tr", tag("th", "Stage", scope="row"), *numbers))
    rows = [
        _stage_row(name, [dict(stage_rows(network_of(t)))[name] for t in pair], spans)
        for name, _ in stage_rows(network_of(pair[0]))
    ]
    known = [dict([*network_facts(view, t), *facts(network_of(t))]) for t in pair]
    for name in dict.fromkeys(itertools.chain.from_iterable(known)):
        values = [own.get(name, MISSING) for own in known]
        changed = "changed" if len(set(values)) > 1 else ""
        cells = (
            tag("td", v, colspan=n, class_=f"whole first {changed}")
            for v, n in zip(values, spans, strict=True)
        )
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    return tag("table", head, tag("tbody", *rows), class_="network")


def _stage_row(name: str, values: Sequence[Sequence[str]], spans: Sequence[int]) -> Html:
    cells = []
    for row, span in zip(values, spans, strict=True):
        for i in range(span):
            here = row[i] if i < len(row) else MISSING
            same = len({(other[i] if i < len(other) else MISSING) for other in values}) == 1
            cells.append(tag("td", here, class_=" ".join(["first"] * (i == 0) + ["changed"] * (not same))))
    return tag("tr", tag("th", name, scope="row"), *cells)


def _confirmation_section(view: Reported) -> Html:
    """Trainings with fresh seeds: the means, and the winner against each reference."""
    parts: list[Html] = []
    for verdict in view.confirmations:
        seeds = sorted({seed for mean in verdict.means for seed in mean.by_seed})
        heads = ["Network", "Mean", *(f"Seed {seed}" for seed in seeds)]
        rows = [
            tag(
                "tr",
                tag("td", tag("b", mean.label) if mean is verdict.winner else mean.label),
                tag("td", percent(mean.value)),
                *(tag("td", percent(mean.by_seed.get(seed))) for seed in seeds),
            )
            for mean in sorted(verdict.means, key=lambda m: -m.value)
        ]
        head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
        table = tag("table", head, tag("tbody", *rows), class_="confirmed")
        budget = [tag("h3", verdict.budget)] if len(view.confirmations) > 1 else []
        lines = (tag("p", line) for line in verdict.comparisons)
        parts += [*budget, tag("div", table, class_="scroll"), *lines]
    if not parts:
        return Html("")
    note = "Seeds that no choice was made by; the intervals allow for the choice among the confirmed."
    return section("Confirmed with fresh seeds", "confirmed", *parts, tag("p", note, class_="note"))


def _progress_section(view: Reported) -> Html:
    legend = _legend(
        ("step", "best so far", view.best),
        ("candidate", "candidate", True),
        ("dashed", "reference", view.reference),
        ("short", "fewer epochs, not compared", view.shortened),
        ("failed", "no result", any(accuracy_of(t) is None for t in view.trials)),
    )
    text = "Proxy accuracy of each trial in the order tried, with the best so far."
    figure = [legend, _figure("progress", text)] if view.finished else []
    return section("Progress of the search", "progress", *figure, _losses(view))


def _losses(view: Reported) -> Html:
    """Trials without a result, by reason."""
    lost: dict[str, list[str]] = {}
    for trial in view.trials:
        if accuracy_of(trial) is None:
            reason = f"{trial.get('state') or 'no state'}: {trial.get('reason') or 'no reason recorded'}"
            lost.setdefault(reason, []).append(plain(trial.get("number")))
    if not lost:
        return tag(
            "p", "Every trial gave a result." if view.trials else "No trial was started.", class_="note"
        )
    rows = (tag("li", tag("b", _numbers(n)), f" {reason}") for reason, n in lost.items())
    total = sum(map(len, lost.values()))
    return tag(
        "details", tag("summary", f"{plural(total, 'trial')} without a result"), tag("ul", *rows), open=""
    )


def _numbers(numbers: Sequence[str]) -> str:
    if len(numbers) == 1:
        return f"Trial {numbers[0]}"
    more = f" and {len(numbers) - 12} more" if len(numbers) > 12 else ""
    return f"Trials {', '.join(numbers[:12])}{more}"


def _curves_section(view: Reported) -> Html:
    if not any(t.get("curve") for t in view.trials):
        return Html("")
    names = {
        "val_accuracy": "Validation accuracy",
        "val_loss": "Validation loss",
        "train_loss": "Training loss",
    }
    buttons = (
        tag("button", names[key], type="button", data_series=key, aria_pressed=str(key == SERIES[0]).lower())
        for key in SERIES
    )
    legend = _legend(
        ("best-line", "best", view.best),
        ("reference-line", "reference", view.reference),
        ("chosen-line", "selected", True),
        ("other-line", "other trials", True),
    )
    text = "Learning curves of all trials, the best and the reference in colour."
    bar = tag(
        "div", legend, tag("div", *buttons, class_="switch", role="group", aria_label="Series"), class_="bar"
    )
    step = view.curve_step
    note = [] if step == 1 else [tag("p", f"One epoch in {step} is drawn, and the last.", class_="note")]
    return section("Learning curves", "curves", bar, _figure("curves", text), *note)


def _trials_section(view: Reported) -> Html:
    if not view.trials:
        return Html("")
    scales = [view.scales[metric] for metric in COSTS]
    units = [f"{scales[0].prefix}FLOPs", *(f"{s.metric.capitalize()} ({s.prefix})" for s in scales[1:])]
    columns = ["Trial", "Proxy accuracy", *units, "Epochs", "Time", "Network"]
    head = (tag("th", tag("button", name), scope="col", aria_sort="none") for name in columns)
    rows = (_trial_row(view, t, scales) for t in view.trials)
    table = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows), class_="trials")
    return section("All trials", "trials", tag("div", table, class_="scroll tall", tabindex="0"))


def _trial_row(view: Reported, trial: Trial, scales: Sequence[Scale]) -> Html:
    accuracy, number = accuracy_of(trial), trial.get("number", MISSING)
    pick = tag("button", number, data_trial=number, title="Show")
    name = [tag("b", trial["name"])] if trial.get("name") else []
    return tag(
        "tr",
        tag("td", pick, data_sort=number),
        _cell(accuracy, str(trial.get("state") or MISSING) if accuracy is None else percent(accuracy)),
        *(_cell(trial.get(s.metric), s.number(trial.get(s.metric))) for s in scales),
        _cell(trial.get("fidelity"), plain(trial.get("fidelity"))),
        _cell(trial.get("train_seconds"), duration(trial.get("train_seconds"))),
        tag("td", *name, *(tag("span", line) for line in brief(network_of(trial))), class_="brief"),
        class_=kind_of(view, trial),
    )


def _cell(value: Any, text: str) -> Html:
    number = finite(value)
    return tag("td", text, data_sort="" if number is None else f"{number:.10g}")


def _overrides(proxy: Mapping[str, Any]) -> str:
    """What the proxy puts in place of the architectures' own training values."""
    parts = []
    if isinstance(proxy.get("layer_scale"), int | float):
        parts.append(f"LayerScale from {proxy['layer_scale']:g} where there is one")
    if isinstance(proxy.get("stochastic_depth"), int | float):
        parts.append(f"stochastic depth {proxy['stochastic_depth']:g}")
    return f"{', '.join(parts)}, in place of each network’s own values" if parts else MISSING


def _method_section(view: Reported) -> Html:
    study, proxy, space = view.study, view.part("proxy"), view.part("space")
    budget = f"{plain(view.part('budget').get('text'))}: {_band_text(view)}"
    images = count(proxy.get("val_size"))
    versions = ", ".join(f"{name} {version}" for name, version in view.part("versions").items())
    train, wall = duration(study.get("train_seconds")), duration(study.get("wall_seconds"))
    entries = [
        ("Accuracy", _phrase("share of {} validation images classified right", images)),
        ("Chance", f"{100 / proxy['num_classes']:.3g}%" if proxy.get("num_classes") else MISSING),
        ("Sampling error", _sampling_error(view)),
        ("Proxy", _phrase("{}: {}", plain(proxy.get("name")), _conditions(view))),
        ("Trained with", _overrides(proxy)),
        ("FLOPs", "multiply-accumulates of convolutions and linear layers at 224×224, the ConvNeXt paper’s"),
        ("Activations", "output elements of all convolutions at 224×224"),
        ("Space", _phrase("{}: {} networks", plain(space.get("name")), count(space.get("size")))),
        ("Budget", _phrase("{}, {} networks of the space", budget, count(space.get("in_band")))),
        ("Seed", plain(study.get("seed"))),
        ("Versions", versions or MISSING),
        ("Made", plain(study.get("created"))),
        ("Time", _phrase("{} of training in {} wall-clock", train, wall)),
    ]  # fmt: skip
    rows = (tag("div", tag("dt", name), tag("dd", text)) for name, text in entries if text != MISSING)
    return section("How it was measured", "method", tag("dl", *rows, class_="facts"))


def _phrase(text: str, *values: str) -> str:
    """`text` with `values` in its braces, or nothing where one of them is missing."""
    return MISSING if MISSING in values else text.format(*values)


def _sampling_error(view: Reported) -> str:
    """Binomial standard error of one accuracy: the part of the noise that one training does reveal."""
    size, best = finite(view.part("proxy").get("val_size")), view.best
    accuracy = accuracy_of(best) if best is not None else None
    if not size or accuracy is None:
        return MISSING
    error = 100 * math.sqrt(max(0.0, accuracy * (1 - accuracy)) / size)
    return (
        f"±{error:.1f} points, the binomial standard error of {percent(accuracy)} on "
        f"{count(int(size))} images; noise between seeds comes on top and takes more seeds to see"
    )
