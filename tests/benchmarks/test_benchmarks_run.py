"""The benchmarks run and print what they promise; how fast they are is no test's business."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.benchmarks import costing, sampling, search_quality


@pytest.mark.parametrize("benchmark", [costing, sampling, search_quality])
def test_a_benchmark_runs(benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "figures.json"
    rows = benchmark.main(["--quick", "--json", str(path)])
    assert rows
    assert json.loads(path.read_text())["rows"] == rows
    rates = [value for row in rows for name, value in row.items() if name.endswith("a second")]
    assert rates
    assert all(rate > 0 for rate in rates)
    assert "cores" in capsys.readouterr().out
