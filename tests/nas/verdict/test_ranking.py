"""The table at the end of a search: the pick among what it was chosen from, at any width."""

import io

import pytest
from rich.console import Console

from nas.verdict.pick import recommend
from nas.verdict.ranking import places, ranking_table
from space.architecture import Architecture
from tests.nas.verdict.test_pick import BUDGET, again, study
from tests.trials import made

TINY = Architecture.convnext([1, 1], [8, 16]).to_dict()


def trials(**values):
    found = [made(0, 0.5, "reference", name="ConvNeXt-T"), made(1, 0.9), made(2, 0.6), made(3, 0.8)]
    found += again(0, 0.5, 0.51) + again(1, 0.55, 0.56) + again(2, 0.60, 0.61)
    return [trial.changed(architecture=TINY, **values) for trial in found]


def shown(found, width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(ranking_table(found))
    return console.export_text()


def test_what_has_fresh_seeds_comes_before_what_has_one_training():
    found = recommend(study(trials()))
    order = [(place.tried.trial, place.seeds, place.picked) for place in places(found)]
    assert order == [(2, 2, True), (1, 2, False), (0, 2, False), (3, 0, False)]
    assert [round(place.accuracy, 3) for place in places(found)] == [0.605, 0.555, 0.505, 0.8]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_numbers_stay_and_the_network_gives_way(width):
    text = shown(recommend(study(trials())), width)
    assert "ranking under the cpu proxy" in text and max(map(len, text.splitlines())) <= width
    (line,) = (line for line in text.splitlines() if "60.5%" in line)
    assert line.split()[:7] == ["2", "1.000", "G", "10.00", "M", "60.5%", "2"]


def test_a_front_is_by_cost_with_the_references_in_it():
    rows = [made(i, 0.1 * i, macs=10**8 * i) for i in (3, 1, 2)]
    rows.append(made(9, 0.15, "reference", name="ConvNeXt-F", macs=25 * 10**7))
    found = recommend(study([t.changed(architecture=TINY) for t in rows], objective="front"))
    assert [place.tried.trial for place in places(found)] == [1, 2, 9, 3]
    assert "front under" in shown(found, 80)


def test_each_budget_has_its_rows():
    budgets = [{**BUDGET, "text": text} for text in ("1GFLOPs", "2GFLOPs")]
    rows = trials(budget="2GFLOPs") + [
        made(100 + i, 0.1 * i, budget="1GFLOPs", architecture=TINY) for i in range(1, 8)
    ]
    found = recommend(study(rows, budget={**BUDGET, "each": budgets}))
    assert [place.tried.budget for place in places(found)] == ["1GFLOPs"] * 5 + ["2GFLOPs"] * 4
    assert "budget" in shown(found, 80)
