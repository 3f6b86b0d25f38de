"""The benchmarks run and print what they promise; how fast they are is no test's business."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from studies.search_quality import picture
from tests.benchmarks import (
    costing,
    dashboard,
    data,
    driver,
    fitting,
    fronts,
    importance,
    isoflop,
    joint,
    reading,
    results_page,
    sampling,
    search_quality,
    search_quality_tables,
    startup,
    training_step,
)
from tests.nas.table.conftest import write_table

BENCHMARKS = (
    costing, dashboard, data, driver, fitting, fronts, importance, isoflop, joint, reading,
    results_page, sampling, search_quality, startup, training_step,
)  # fmt: skip


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_benchmark_runs(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "figures.json"
    rows = benchmark.main(["--quick", "--json", str(path)])
    assert rows
    assert json.loads(path.read_text())["rows"] == rows
    rates = [value for row in rows for name, value in row.items() if name.endswith("a second")]
    assert rates
    assert all(rate > 0 for rate in rates)
    assert "cores" in capsys.readouterr().out


def test_searches_on_a_table_are_measured_once(tmp_path: Path):
    words = [
        str(write_table(tmp_path)),
        "--budgets",
        "20M",
        "--band",
        "0.1",
        "1",
        "--seeds",
        "2",
        "--worth",
        "10",
    ]
    words += ["--methods", *search_quality_tables.METHODS, "--json", str(tmp_path / "figures.json")]
    rows = search_quality_tables.main(words)
    assert [row["method"] for row in rows] == list(search_quality_tables.METHODS)
    assert all(0 <= regret[0] < 20 for row in rows for regret in row["regret"])
    assert rows == search_quality_tables.main(words)  # seconds included: nothing was measured again
    assert "plain_gp" in (tmp_path / "figures.md").read_text()


def test_schedulers_are_measured_on_a_table_with_epochs(tmp_path: Path):
    words = ["--tables", str(write_table(tmp_path)), "--budget", "6M..60M", "--seeds", "2", "--worth", "12"]
    rows = search_quality.main([*words, "--methods", "random", "--schedulers", "none", "auto", "third"])
    assert [row["law"] for row in rows] == ["table:small"] * 3
    assert [row["epochs trained"][-1] for row in rows] == [36] * 3
    assert all(0 <= regret[-1] < 0.2 for row in rows for regret in row["regret"])


def test_networks_follow_from_the_epochs_that_there_are():
    method = search_quality.Method("random", "asha")
    for worth in (1, 6, 33):
        networks = method.networks(worth)
        stretches = list(search_quality.stretches(method.rungs(networks), networks, {}))
        assert len({number for number, _ in stretches}) == networks
        spent = sum(epochs for _, epochs in stretches)
        # one network more takes at most one promotion at each rung more
        assert worth * method.epochs - method.epochs < spent <= worth * method.epochs
    assert search_quality.Method("random").networks(33) == 33


def test_a_search_trains_no_more_epochs_than_it_has():
    for scheduler in search_quality.ALL_SCHEDULERS:
        trace = search_quality.searched(
            search_quality.Method("random", scheduler), "separable", "micro", 0, 6
        )
        epochs = [spent for spent, _, _ in trace]
        assert epochs == sorted(epochs)
        assert 4 * 9 < epochs[-1] <= 6 * 9


def test_measured_rows_are_kept_and_not_measured_again(tmp_path: Path):
    path = tmp_path / "figures.json"
    tasks = search_quality.quick()[:2]
    first = search_quality.measure(tasks[:1], 1, path)
    kept = json.loads(path.read_text())
    kept["rows"][0]["median"] = [0.5]
    path.write_text(json.dumps(kept))
    rows = search_quality.measure(tasks, 1, path)
    assert rows[0] == first[0] | {"median": [0.5]}
    assert json.loads(path.read_text())["rows"] == rows


def rows_of(method: str, seeds: range, worth: int, regret: list[float]) -> list[dict]:
    """Recorded rows of one law, the same regret at every length."""
    search = {"scheduler": "none", "epochs": 9, "eta": 3, "min_epochs": None, "trials": worth}
    return [
        {"law": "separable", "method": method, **search, "seeds": 1, "first seed": seed, "networks": None}
        | {"full trainings": [worth], "epochs trained": [9 * worth], "regret": [[value]]}
        for seed, value in zip(seeds, regret, strict=True)
    ]


def test_recorded_seeds_are_merged_and_compared():
    default = rows_of("surrogate", range(100, 104), 33, [0.01, 0.03, 0.02, 0.04])
    other = rows_of("random", range(100, 104), 33, [0.02, 0.04, 0.03, 0.05])
    script = rows_of("script", range(4), 100, [0.035, 0.045, 0.03, 0.05])
    rows = picture.merged([*default, *other, *script, *default[:1]])
    assert [row["seeds"] for row in rows] == [4, 4, 4]
    assert rows[0]["median"] == [0.025]
    assert picture.merged(rows) == rows
    table = picture.differences(rows)
    # with the same seeds the difference is that of pairs, here always one point
    assert "| random | none | 33 | 9 | 4 | +1.0 (+1.0 to +1.0) |" in table
    (line,) = (line for line in table.splitlines() if "Optuna's" in line)
    mean, low, high = (float(n) for n in re.findall(r"[+-]\d+\.\d", line)[:3])
    assert mean == 1.5
    assert low < 1.5 < high
    assert picture.picture(rows).count("<polyline") == 3


def test_four_seeds_known_by_their_quartiles_have_their_mean():
    values = [0.02, 0.03, 0.07, 0.08]
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    row = {"median": [median], "quartiles": [[low], [high]], "first seed": 0}
    found = picture._at_the_end(row)
    assert np.mean(list(found.values())) == pytest.approx(np.mean(values))
    assert np.std(list(found.values())) >= np.std(values)
