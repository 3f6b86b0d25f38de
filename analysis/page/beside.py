"""A network stage by stage next to a reference, where they differ set off."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from analysis.page.markup import Html, tag
from analysis.views.designs import MISSING, facts, stage_rows
from nas.record.study import Study, Tried
from nas.verdict.pick import Pick


def beside(study: Study, pick: Pick) -> Html:
    """The pick and the first ConvNet that it was compared with, folded; nothing where there is none.

    Of named networks, all of which it was compared with, the one nearest in accuracy.
    """
    rivals = list(pick.rivals)
    if study.mapping.get("objective") == "measure":
        rivals.sort(key=lambda rival: rival.difference.low)
    names = [rival.label for rival in rivals]
    others = [t for t in study.networks if t.label in names and t.family != "Swin" and t is not pick.tried]
    if not others:
        return Html("")
    pair = [pick.tried, min(others, key=lambda t: names.index(t.label))]
    title = f"{pair[0].label} next to {pair[1].label}, stage by stage"
    return tag(
        "details", tag("summary", title, data_name="beside"), tag("div", _table(pair), class_="scroll")
    )


def _table(pair: Sequence[Tried]) -> Html:
    stages = [dict(stage_rows(tried.architecture)) for tried in pair]
    spans = [max(1, *(len(values) for values in own.values())) for own in stages]
    heads = [tag("th", t.label, colspan=n, scope="colgroup") for t, n in zip(pair, spans, strict=True)]
    numbers = [tag("th", i + 1, scope="col") for n in spans for i in range(n)]
    rows = [
        _row(
            name,
            [[*own[name], *[MISSING] * (n - len(own[name]))] for own, n in zip(stages, spans, strict=True)],
        )
        for name in stages[0]
    ]
    known = [dict(facts(tried.architecture)) for tried in pair]
    rows += [
        _row(name, [[own.get(name, MISSING)] for own in known], spans)
        for name in dict.fromkeys(chain.from_iterable(known))
    ]
    head = tag("thead", tag("tr", tag("td"), *heads), tag("tr", tag("th", "Stage", scope="row"), *numbers))
    return tag("table", head, tag("tbody", *rows), class_="next-to")


def _row(name: str, values: Sequence[Sequence[str]], spans: Sequence[int] = (1, 1)) -> Html:
    """A value a stage, or one for all of them; in the first network those that the other one has not."""
    cells = []
    for k, (own, span) in enumerate(zip(values, spans, strict=True)):
        for i, value in enumerate(own):
            other = values[1 - k][i] if i < len(values[1 - k]) else None
            kind = "changed" if k == 0 and value != other else ""
            cells.append(tag("td", value, colspan=span, class_=f"{kind} first" if i == 0 else kind))
    return tag("tr", tag("th", name, scope="row"), *cells)
