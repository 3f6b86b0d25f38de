"""The head of the page: what was asked, which network to take, how sure that is, and what to do next."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence

from analysis.page.markup import Html, join, tag
from analysis.page.method import part
from analysis.views.designs import MISSING
from analysis.views.planes import band_of, budgets, labels
from analysis.views.units import UNITS, cost_in
from nas.record.study import Study
from nas.verdict.pick import Pick, Recommendation, Rival
from space.words import duration, finite, listed, plural

# what shells, and the reader of study names, would take for something else
AS_PATH = ("-", "~")


def argument(study: Study) -> str:
    """The study's folder as an argument: a name alone would be looked for under runs/."""
    if study.folder is None:
        return shlex.quote(study.name)
    place = str(study.folder)
    return shlex.quote(place if "/" in place and not place.startswith(AS_PATH) else f"./{place}")


def header(studies: Sequence[Study], recommended: Sequence[Recommendation]) -> Html:
    """The answers of all studies."""
    several = len(studies) > 1
    answers = [
        _answer(i, label, study, one, several)
        for i, (label, study, one) in enumerate(zip(labels(studies), studies, recommended, strict=True))
    ]
    over = ["Architecture search"] if several else ["Architecture search", studies[0].name, _day(studies[0])]
    return tag(
        "header",
        tag("p", " · ".join(filter(None, over)), class_="over"),
        "" if several else _notice(recommended[0]),
        tag("h1", f"{len(studies)} studies" if several else question(studies[0])),
        *answers,
        _filter(studies) if several else "",
        tag("p", id="status", role="status"),
        id="answer",
    )


def question(study: Study) -> str:
    """What the study asked."""
    name = part(study, "space").get("name") or "ConvNeXt"
    if study.mapping.get("objective") == "measure":
        return f"How accurate are these networks under the {part(study, 'proxy').get('name')} proxy?"
    texts = [re.sub(r"(?<=\d)\s*(?=[A-Za-z])", " ", str(b.get("text") or "this budget")) for b in study.bands]
    if study.mapping.get("objective") == "front":
        low, _, high = texts[0].partition("..")
        return f"Which {name} networks are the best at every cost from {low} to {high or low}?"
    if len(texts) > 1:
        return f"Which {name} networks are the most accurate at {listed(texts)}?"
    return f"Which {name} network is the most accurate at {texts[0]}?"


def _day(study: Study) -> str:
    created = str(study.mapping.get("created") or "")
    return created[:10] if re.match(r"\d{4}-\d\d-\d\d", created) else ""


def _notice(one: Recommendation) -> Html:
    """What must not be overlooked, such as that nothing was trained."""
    return tag("p", one.note, class_="notice", role="note") if one.note else Html("")


def _answer(index: int, label: str, study: Study, one: Recommendation, several: bool) -> Html:
    parts = [tag("h2", label), _notice(one), tag("p", question(study), class_="over")] if several else []
    parts += [tag("p", line, class_="answer") for line in one.lines] if len(one.picks) < 2 else []
    if len(one.picks) == 1:
        parts += _evidence(one.picks[0])
    elif one.picks:
        parts.append(_picks(index, study, one))
    next_id = f"next-{index}"
    parts.append(
        tag(
            "div",
            tag("span", "Next:"),
            tag("code", one.next, id=next_id),
            tag("button", "Copy", type="button", data_copy=next_id),
            class_="export",
        )
    )
    parts += [_warnings(study), tag("p", _described(study), class_="note")]
    return tag("div", *parts, class_="study one" if len(one.picks) == 1 else "study")


# ---- one network ----------------------------------------------------------------------------------------


def _evidence(pick: Pick) -> Iterator[Html]:
    """The pick less what it was compared with, each with its interval or the word that there is none."""
    if not pick.rivals:
        return
    reach = max(abs(end) for rival in pick.rivals for end in _ends(rival)) or 1.0
    head = tag("tr", *(tag("th", text, scope="col") for text in
                       (f"{pick.tried.label} less", "difference", "95% interval", "", "")))  # fmt: skip
    rows = (
        tag(
            "tr",
            tag("th", rival.label, scope="row"),
            tag("td", _points(rival.difference.value), class_="number"),
            tag("td", _interval(rival)),
            tag("td", _strip(rival, reach), class_="strip"),
            tag("td", rival.verdict, class_="verdict"),
        )
        for rival in pick.rivals
    )
    yield tag("table", tag("thead", head), tag("tbody", *rows), class_="evidence")


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f} points"


def _interval(rival: Rival) -> str:
    d = rival.difference
    if not (math.isfinite(d.low) and math.isfinite(d.high)):
        return "no interval: one training each"
    ends = f"{100 * d.low:+.1f} to {100 * d.high:+.1f}"
    return f"{ends}, {plural(rival.seeds, 'seed')}"


def _ends(rival: Rival) -> list[float]:
    d = rival.difference
    return [end for end in (d.value, d.low, d.high) if math.isfinite(end)]


def _strip(rival: Rival, reach: float) -> Html:
    """The interval drawn around zero; nothing where there is none."""
    d = rival.difference
    if not (math.isfinite(d.low) and math.isfinite(d.high)):
        return Html("")
    at = [50 + 48 * end / reach for end in (d.low, d.value, d.high)]
    bar = tag("i", class_="bar", style=f"left:{at[0]:.1f}%;width:{at[2] - at[0]:.1f}%")
    return tag("span", tag("i", class_="zero"), bar, tag("i", class_="dot", style=f"left:{at[1]:.1f}%"))


# ---- a network for each budget, or a front --------------------------------------------------------------


def _picks(index: int, study: Study, one: Recommendation) -> Html:
    unit = UNITS[study.metric]
    by_budget = one.kind == "budgets"
    heads = [*(["budget"] if by_budget else []), "take", unit.short, "accuracy", "how sure"]
    rows = []
    for pick in one.picks:
        key = f"{index}:{pick.tried.trial}"
        button = tag("button", pick.tried.label, type="button", data_key=key, class_="network")
        seeds = f"mean of {plural(pick.seeds, 'fresh seed')}" if pick.seeds else "one training"
        rows.append(
            tag(
                "tr",
                tag("th", band_of(study, pick.tried), scope="row") if by_budget else "",
                tag("td", button, class_="pick"),
                tag("td", f"{cost_in(study.metric, getattr(pick.tried, study.metric)):.3g}", class_="number"),
                tag("td", f"{pick.accuracy:.1%}, {seeds}"),
                tag("td", pick.sure),
            )
        )
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    what = "Take, by budget:" if by_budget else "Take, by what it may cost:"
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="picks")
    return join([tag("p", what, class_="answer"), tag("div", table, class_="scroll")])


# ---- about the study ------------------------------------------------------------------------------------


def _warnings(study: Study) -> Html:
    warnings = study.mapping.get("warnings") or []
    if not warnings:
        return Html("")
    return tag("aside", tag("ul", *(tag("li", warning) for warning in warnings)), class_="warnings")


def _described(study: Study) -> str:
    """Conditions, what was tried and what it took, in a line."""
    trials = [t for t in study.trials if not t.is_confirmation]
    states = Counter(str(t.state) for t in trials)
    lost = [f"{states[state]} {state}" for state in ("failed", "interrupted", "running") if states[state]]
    seconds = finite(study.mapping.get("wall_seconds"))
    inside = ", ".join(str(band.get("text")) for band in budgets(study) if band.get("text"))
    parts = [
        inside,
        study.conditions,
        ", ".join(
            [f"{plural(len(trials), 'network')} tried", f"{len(study.networks)} trained in full", *lost]
        ),
        duration(seconds) if seconds else "",
        "proxy accuracies, never ImageNet's",
    ]
    return " · ".join(filter(None, parts)) or MISSING


def _filter(studies: Sequence[Study]) -> Html:
    boxes = (
        tag("label", Html(f'<input type="checkbox" checked data-study="{i}">'), " ", name)
        for i, name in enumerate(labels(studies))
    )
    return tag("fieldset", tag("legend", "Show"), *boxes, id="shown")
