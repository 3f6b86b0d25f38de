"""The table at the end of a search: the pick among what it was chosen from, at any width."""

import io

import pytest
from rich.console import Console

from nas.verdict.pick import recommend
from nas.verdict.ranking import lines_of, places, print_ranking, ranking_table
from space.architecture import Architecture
from space.tabled import Tabled
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


@pytest.mark.parametrize("width", [30, 40, 48])
def test_a_terminal_too_narrow_for_the_table_has_a_list_with_every_number(width):
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    print_ranking(recommend(study(trials(budget="1GFLOPs"))), console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    start = next(i for i, line in enumerate(lines) if line.startswith("trial 2  "))
    told = " ".join(lines[start + 1 : start + 3])
    assert all(number in told for number in ("1.000 G", "10.00 M", "60.5%", "2 fresh"))


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


def tabled(count=3, parts=9, **values):
    """A study of a table's networks: a long axis in parts that differs, and one that does not."""
    found = []
    for i in range(count):
        edges = {f"edge.{k}": "avg_pool_3x3" if k == i else "nor_conv_3x3" for k in range(parts)}
        network = Tabled({**edges, "norm": "batch"}, params=10**6).to_dict()
        found.append(made(i, 0.5 + 0.1 * i, macs=0, params=10**6, architecture=network))
    return study(found, proxy={"name": "table:bench", "data": "none", "epochs": 1}, **values)


@pytest.mark.parametrize("width", [80, 120])
def test_a_tables_networks_are_told_in_full_but_for_what_all_have(width):
    text = shown(recommend(tabled()), width)
    assert max(map(len, text.splitlines())) <= width and "…" not in text
    assert text.count("the same in all: norm batch") == text.count("norm") == 1
    assert text.count("avg_pool_3x3") == 3 and text.count("nor_conv_3x3") == 24
    # a cost that the table does not know is not a column of noughts
    assert "params" in text and "FLOPs" not in text


def test_a_single_network_of_a_table_is_told_with_all_its_axes():
    assert "norm batch" in shown(recommend(tabled(1)), 80)


@pytest.mark.parametrize("terminal", [False, True])
def test_a_pipe_has_a_network_in_one_line_however_long(terminal):
    console = Console(width=80, force_terminal=terminal, color_system=None, file=io.StringIO())
    print_ranking(recommend(tabled()), console)
    longest = max(line.count("_3x3") for line in console.file.getvalue().splitlines())
    assert longest == 9 if not terminal else longest < 9


def test_parts_stay_whole_where_they_fit():
    assert lines_of(["depth 1-2", "kernel 3-5", "se 0"], 20) == ["depth 1-2 kernel 3-5", "se 0"]
    assert lines_of(["edge skip-none-none", "x" * 7], 12) == ["edge skip-", "none-none", "xxxxxxx"]
    assert lines_of(["y" * 15], 10) == ["y" * 10, "y" * 5]
