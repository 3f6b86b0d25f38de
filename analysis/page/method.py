"""How a study's accuracies were measured: what a reader needs to do it again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analysis.page.markup import Html, join, tag
from analysis.views.planes import labels
from nas.record.study import Study
from nas.verdict.pick import Recommendation
from space.errors import printable
from space.words import duration, finite


def method(recommended: Sequence[Recommendation]) -> Html:
    """A folded list of facts for each study."""
    several = len(recommended) > 1
    parts = []
    for label, found in zip(labels([one.study for one in recommended]), recommended, strict=True):
        rows = (tag("div", tag("dt", name), tag("dd", text)) for name, text in facts(found) if text)
        parts += [tag("h3", label)] * several + [tag("dl", *rows, class_="facts")]
    summary = tag("summary", tag("h3", "How it was measured"), data_name="method")
    return tag("details", summary, join(parts), id="method", class_="view")


def facts(found: Recommendation) -> Iterator[tuple[str, str]]:
    """Names and texts; a text is empty where the record does not say."""
    study, mapping = found.study, found.study.mapping
    proxy, space = part(study, "proxy"), part(study, "space")
    images = _count(proxy.get("val_size"))
    yield "Accuracy", f"share of {images} validation images classified right" if images else ""
    yield "Chance", f"{100 / proxy['num_classes']:.3g}%" if proxy.get("num_classes") else ""
    yield "Sampling error", _sampling_error(found)
    yield "Proxy", study.conditions
    yield "Training images", _count(proxy.get("train_size"))
    yield "Trained with", _overrides(proxy)
    if study.tabled:
        yield "Costs", "as the table counts them, at a resolution of its own"
    else:
        yield (
            "FLOPs",
            "multiply-accumulates of convolutions and linear layers at 224x224, as in the ConvNeXt paper",
        )
        yield "Activations", "output elements of all convolutions at 224x224"
    if mapping.get("objective") != "measure":  # nothing is searched
        yield "Space", f"{space['name']}: {_count(space.get('size'))} networks" if space.get("name") else ""
        yield "Budget", budget_text(study)
        yield "Sampler", _named(mapping.get("sampler"))
        yield "Scheduler", _named(mapping.get("scheduler"))
    for budget, text in _stopping(study):
        yield f"Stopping early{budget}", text
    yield "Seed", str(mapping.get("seed", ""))
    yield "Versions", ", ".join(f"{name} {version}" for name, version in part(study, "versions").items())
    yield "Made", str(mapping.get("created") or "")
    times = [finite(mapping.get(name)) for name in ("train_seconds", "wall_seconds")]
    if study.simulated or study.tabled:
        yield "Time", f"{duration(times[1])} by the clock" if times[1] is not None else ""
    elif times[0] is not None and times[1] is not None:
        yield "Time", f"{duration(times[0])} of training in {duration(times[1])} by the clock"


def part(study: Study, name: str) -> Mapping[str, Any]:
    """A mapping of the record, empty where there is none."""
    value = study.mapping.get(name)
    return value if isinstance(value, Mapping) else {}


def budget_text(study: Study) -> str:
    """The budget, and how many networks of the space are inside."""
    inside = _count(part(study, "space").get("in_band"))
    text = str(part(study, "budget").get("text") or "")
    return f"{text}: {inside} networks of the space are inside" if text and inside else text


def _stopping(study: Study) -> Iterator[tuple[str, str]]:
    """What `--scheduler auto` saw and decided, for each budget."""
    decided = part(study, "stopping")
    for budget, seen in decided.items():
        if isinstance(seen, Mapping):
            whose = f", {printable(str(budget))}" if len(decided) > 1 else ""
            yield whose, printable(str(seen.get("says") or ""))
    if not decided and _named(study.mapping.get("scheduler")) == "auto":
        yield "", "not decided: too few full trainings to look at"


def _named(value: Any) -> str:
    return str(value.get("name") or "") if isinstance(value, Mapping) else str(value or "")


def _count(value: Any) -> str:
    """An exact count while it can be read, rounded above."""
    if not isinstance(value, int) or isinstance(value, bool):
        return ""
    for size, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        if value >= 10 * size or (value >= size and word != "million"):
            return f"{value / size:,.3g} {word}"
    return f"{value:,}"


def _overrides(proxy: Mapping[str, Any]) -> str:
    """What the proxy puts in place of the architectures' own training values."""
    parts = []
    if isinstance(proxy.get("layer_scale"), int | float):
        parts.append(f"LayerScale from {proxy['layer_scale']:g} where there is one")
    if isinstance(proxy.get("stochastic_depth"), int | float):
        parts.append(f"stochastic depth {proxy['stochastic_depth']:g}")
    return f"{', '.join(parts)}, in place of each network's own values" if parts else ""


def _sampling_error(found: Recommendation) -> str:
    """Binomial standard error of one accuracy: the part of the noise that one training does reveal."""
    size = finite(part(found.study, "proxy").get("val_size"))
    if not size or not found.picks:
        return ""
    accuracy = found.picks[0].accuracy
    error = 100 * math.sqrt(max(0.0, accuracy * (1 - accuracy)) / size)
    return (
        f"±{error:.1f} points, the binomial standard error of {accuracy:.1%} on {size:,.0f} images; noise "
        "between seeds comes on top and takes more seeds to see"
    )
