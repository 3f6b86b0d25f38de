"""The head of the page: what was asked, which network to take, how sure that is, and what to do next."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from analysis.page.beside import beside
from analysis.page.markup import Html, command, join, tag, unbroken
from analysis.page.method import part
from analysis.views.designs import MISSING
from analysis.views.planes import band_of, budgets, labels
from nas.record.study import Study
from nas.verdict.confirm import LEVEL
from nas.verdict.difference import BETTER, UNCLEAR, WORSE
from nas.verdict.pick import DEFAULT_SPACE, Pick, Recommendation, Rival
from space.budget import UNITS, quantity
from space.words import duration, finite, listed, plural, points

MOST_RIVALS = 6  # that stand there at once
THAN = {BETTER: "than", WORSE: "than", UNCLEAR: "from"}


def header(studies: Sequence[Study], recommended: Sequence[Recommendation], *, live: bool = False) -> Html:
    """The answers of all studies; `live`: the page follows them already."""
    several = len(studies) > 1
    cards: dict[str, list[str]] = {}  # of several studies under one proxy it is said once
    for label, one in zip(labels(studies), recommended, strict=True):
        if one.card is not None:
            cards.setdefault(one.card, []).append(label)
    answers = [
        _answer(i, label, study, one, {} if several else cards, several=several, live=live)
        for i, (label, study, one) in enumerate(zip(labels(studies), studies, recommended, strict=True))
    ]
    over = ["Architecture search"] if several else ["Architecture search", studies[0].name]
    day = "" if several else _day(studies[0])
    return tag(
        "header",
        tag("p", " · ".join(over), tag("span", f" · {day}") if day else "", class_="over"),
        "" if several else _notice(recommended[0]),
        tag("h1", f"{len(studies)} studies" if several else unbroken(question(studies[0]))),
        *answers,
        *(_cards(cards, several) if several else []),
        _filter(studies) if several else "",
        tag("p", id="status", role="status"),
        id="answer",
    )


def question(study: Study) -> str:
    """What the study asked."""
    name = part(study, "space").get("name") or DEFAULT_SPACE
    network = "ConvNet" if name == DEFAULT_SPACE else f"{name} network"
    if study.mapping.get("objective") == "measure":
        return f"How accurate are these networks under the {part(study, 'proxy').get('name')} proxy?"
    texts = [_spaced(str(band.get("text") or "this budget"), study.metric) for band in study.bands]
    if study.mapping.get("objective") == "front":
        low, _, high = texts[0].partition("..")
        return f"Which {network}s are the best at every cost from {low} to {high or low}?"
    if len(texts) > 1:
        return f"Which {network}s are the most accurate at {listed(texts)}?"
    return f"Which {network} is the most accurate at {texts[0]}?"


def _spaced(budget: str, metric: str) -> str:
    """`4.5 GFLOPs` of `4.5GFLOPs`; `60 MFLOPs` of `60M`, which may mean anything."""
    text = re.sub(r"(?<=\d)\s*(?=[A-DF-Za-df-z])", " ", budget)
    return re.sub(r"(?<=\d )([kKMGT])(?=$|\.\.)", r"\1FLOPs", text) if metric == "macs" else text


def _day(study: Study) -> str:
    created = str(study.mapping.get("created") or "")
    return created[:10] if re.match(r"\d{4}-\d\d-\d\d", created) else ""


def _notice(one: Recommendation) -> Html:
    """What must not be overlooked, such as that nothing was trained."""
    return tag("p", one.note, class_="notice", role="note") if one.note else Html("")


def _cards(cards: Mapping[str, Sequence[str]], several: bool) -> Iterator[Html]:
    """How far the order under a proxy is ImageNet's; of several studies, which it is said of."""
    for card, names in cards.items():
        whose = f"The proxy of {listed(names)}: " if several else "The proxy: "
        yield tag("p", tag("b", whose), card, class_="card")


def _answer(
    index: int,
    label: str,
    study: Study,
    one: Recommendation,
    cards: Mapping[str, Sequence[str]],
    *,
    several: bool,
    live: bool,
) -> Html:
    """`label` and question where it is one of several; then the page has the `cards` of all."""
    parts = [tag("h2", label), _notice(one), tag("p", question(study), class_="over")] if several else []
    if one.kind == "one":
        parts += _one(one.picks[0])
    elif one.picks:
        parts.append(_several(index, study, one))
    else:
        parts += [tag("p", line, class_="answer") for line in one.lines]
    if not (live and one.running):  # the command would open this page
        parts.append(_command("Next:", one.next, f"next-{index}"))
    if one.kind == "one" and one.export != one.next and not study.tabled:
        parts.append(_command("Export it:", one.export, f"export-{index}"))
    parts += _cards(cards, several=False)
    parts += [beside(study, one.picks[0])] if one.kind == "one" else []
    parts += [_warnings(study), tag("p", _described(study), class_="note")]
    return tag("div", *parts, class_="study one" if one.kind == "one" else "study")


def _command(what: str, text: str, key: str) -> Html:
    copy = tag("button", "Copy", type="button", data_copy=key)
    return tag("div", tag("span", what), command(text, key), copy, class_="export")


# ---- one network ----------------------------------------------------------------------------------------


def _one(pick: Pick) -> Iterator[Html]:
    """What to take, and the pick less what it was compared with: each interval, or that there is none."""
    take, _, sure = pick.text.partition(" How sure: ")
    yield tag("p", unbroken(take), class_="answer")
    known = [rival for rival in pick.rivals if rival.verdict is not None and not rival.difference.too_few]
    if not known:
        yield tag("p", tag("b", "How sure: "), unbroken(sure), class_="sure")
        return
    reach = max(abs(end) for rival in known for end in (rival.difference.low, rival.difference.high)) or 1.0
    rivals = sorted(
        pick.rivals, key=lambda rival: rival.difference.low
    )  # the nearest first, where they are many
    shown = pick.rivals if len(rivals) <= MOST_RIVALS else rivals[:MOST_RIVALS]
    yield _evidence(pick, shown, reach)
    if more := rivals[len(shown) :]:
        verdicts = Counter(rival.verdict or "without an interval" for rival in more)
        said = listed([f"{count} {verdict}" for verdict, count in verdicts.items()])
        title = f"and {plural(len(more), 'network')} further away: {said}"
        yield tag("details", tag("summary", title, data_name="rivals"), _evidence(pick, more, reach))


def _evidence(pick: Pick, rivals: Sequence[Rival], reach: float) -> Html:
    """A row a rival; intervals are drawn up to `reach` on either side."""
    heads = ("How sure", "difference", "95% interval", "", "")
    rows = (
        tag(
            "tr",
            tag("th", f"{pick.tried.label} less {rival.label}", scope="row"),
            tag("td", points(rival.difference.value), class_="number"),
            tag("td", _interval(rival)),
            tag("td", _strip(rival, reach), class_="strip"),
            tag("td", rival.verdict or "", class_="verdict"),
        )
        for rival in rivals
    )
    head = tag("thead", tag("tr", *(tag("th", text, scope="col") for text in heads)))
    return tag("table", head, tag("tbody", *rows), class_="evidence")


def _interval(rival: Rival) -> str:
    d = rival.difference
    if rival.verdict is None:
        return "no interval: one training each"
    if d.too_few:
        return d.interval(LEVEL)
    return f"{100 * d.low:+.1f} to {100 * d.high:+.1f}, {plural(rival.seeds, 'paired seed')}"


def _strip(rival: Rival, reach: float) -> Html:
    """The interval drawn around zero; nothing where there is none of use."""
    if rival.verdict is None or rival.difference.too_few:
        return Html("")
    d = rival.difference
    at = [50 + 48 * end / reach for end in (d.low, d.value, d.high)]
    bar = tag("i", class_="bar", style=f"left:{at[0]:.1f}%;width:{at[2] - at[0]:.1f}%")
    return tag("span", tag("i", class_="zero"), bar, tag("i", class_="dot", style=f"left:{at[1]:.1f}%"))


# ---- a network for each budget, or a front --------------------------------------------------------------


def _several(index: int, study: Study, one: Recommendation) -> Html:
    by_budget = one.kind == "budgets"
    # of a front without any interval the sentence above says so for all
    each = by_budget or any(pick.rivals for pick in one.picks)
    heads = [
        *(["budget"] if by_budget else []),
        "take",
        "cost",
        "accuracy",
        *(["how sure: points less another (95% interval)"] if each else []),
        *([] if study.tabled else [""]),
    ]
    rows = (tag("tr", *_cells(f"{index}:", study, one, pick, each)) for pick in one.picks)
    head = tag("tr", *(tag("th", text, scope="col") for text in heads))
    what, _, sure = (one.lines[0] if not by_budget else "Take, by budget:").partition(" How sure: ")
    table = tag("table", tag("thead", head), tag("tbody", *rows), class_="picks")
    told = tag("p", tag("b", "How sure: "), sure, class_="sure") if sure else ""
    return join([tag("p", unbroken(what), class_="answer"), told, tag("div", table, class_="scroll")])


def _cells(start: str, study: Study, one: Recommendation, pick: Pick, each: bool) -> Iterator[Html]:
    """A pick as cells; `start` of its key, `each`: with how sure it is."""
    tried, metric = pick.tried, study.metric
    if one.kind == "budgets":
        yield tag("th", _spaced(band_of(study, tried), metric), scope="row", class_="budget")
    button = tag("button", tried.label, type="button", data_key=f"{start}{tried.trial}", class_="network")
    yield tag("td", button, class_="pick")
    yield tag("td", quantity(getattr(tried, metric), UNITS[metric]), class_="cost")
    seeds = tag("small", plural(pick.seeds, "fresh seed") if pick.seeds else "one training")
    yield tag("td", f"{pick.accuracy:.1%} ", seeds if each else "", class_="accuracy")
    if each:
        yield _sure(pick, one.cheaper(pick) if one.kind == "budgets" else "")
    if not study.tabled:
        yield tag("td", _copied(f"python -m nas.export {shlex.quote(study.place)} --trial {tried.trial}"))


def _sure(pick: Pick, more: str) -> Html:
    """The pick less each network it was compared with, a line each: the interval, and what it says."""
    known = [rival for rival in pick.rivals if rival.verdict is not None]
    if not known:
        return tag("td", f"{pick.sure}. {more}" if more else pick.sure)
    lines = []
    for rival in known:
        d, verdict = rival.difference, rival.verdict or UNCLEAR
        told = d.interval(LEVEL) if d.too_few else f"{100 * d.low:+.1f} to {100 * d.high:+.1f}"
        ends = f"{100 * d.value:+.1f} ({told}): "
        lines.append(tag("li", ends, tag("b", verdict), f" {THAN[verdict]} {rival.label}"))
    lines += [tag("li", more)] if more else []
    return tag("td", tag("ul", *lines), class_="sure")


def _copied(text: str) -> Html:
    return tag("button", "Copy export", type="button", data_text=text, title=text, class_="copy")


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
        _whose(study),
    ]
    return " · ".join(filter(None, parts)) or MISSING


def _whose(study: Study) -> str:
    if study.simulated:
        return "accuracies of a formula"
    return "accuracies of the table" if study.tabled else "proxy accuracies, never ImageNet's"


def _filter(studies: Sequence[Study]) -> Html:
    boxes = (
        tag("label", Html(f'<input type="checkbox" checked data-study="{i}">'), " ", name)
        for i, name in enumerate(labels(studies))
    )
    return tag("fieldset", tag("legend", "Show"), *boxes, id="shown")
