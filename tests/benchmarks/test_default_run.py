"""The profile of a search: its parts are there, and add up."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import CodeType

import pytest
import torch
from torch import nn

from space.architecture import Architecture
from space.network import build
from tests.benchmarks import default_run
from tests.benchmarks.default_run import ACTIVATION, DENSE, DEPTHWISE, NORM, OTHER_LAYERS, Look


def test_the_parts_add_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    path = tmp_path / "figures.json"
    rows = default_run.main(["--quick", "--json", str(path)])
    assert json.loads(path.read_text())["rows"] == rows
    assert "2 trainings in" in capfd.readouterr().out
    seconds = {row["part"]: row["seconds"] for row in rows}
    total = seconds.pop("in all")
    parts = {name: spent for name, spent in seconds.items() if not name.endswith(": all")}
    assert sum(parts.values()) == pytest.approx(total, abs=0.01 * len(parts))
    assert parts["not attributed"] < 0.1 * total
    assert seconds["imports: all"] > parts["imports: torch"] > 0
    assert any(name.startswith("training: backward, ") for name in parts)
    assert {"start: interpreter", "start: study opened"} <= set(parts)


@pytest.mark.parametrize("part, file, name", default_run.RULES)
def test_a_part_is_of_code_that_exists(part: str, file: str, name: str):
    """A part of a few looks can be missed by all of them; a rule that nothing matches is missed always."""
    if not file.startswith(("nas/", "analysis/")):
        assert find_spec(file.partition("/")[0].removesuffix(".py")) is not None
        return
    path = Path(default_run.HERE.parents[2], file)
    assert path.exists()
    if name:
        assert name in functions(compile(path.read_text(), file, "exec"))


def functions(code: CodeType) -> set[str]:
    """Qualified names of what is defined in a module, class or function."""
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return {c.co_qualname for c in inner}.union(*map(functions, inner))


def test_a_run_beside_an_earlier_one():
    parts = {
        "start: settings": [1.0, 90],
        "training: validation": [3.0, 200],
        "training: optimiser": [4.0, 9],
    }
    before = {"training: validation": 5.0, "training: all": 5.0, "driver: proposing": 0.5, "in all": 5.5}
    rows = {row["part"]: row for row in default_run.rows_of(parts, before)}
    assert rows["training: validation"] == {
        "part": "training: validation", "before, s": 5.0, "seconds": 3.0, "share": "37.5%", "looks": 200
    }  # fmt: skip
    assert rows["training: all"]["before, s"] == 5.0 and rows["training: all"]["seconds"] == 7.0
    assert rows["driver: proposing"]["seconds"] == 0 and rows["driver: proposing"]["before, s"] == 0.5
    assert rows["in all"]["before, s"] == 5.5 and rows["in all"]["seconds"] == 8.0


class Kinds(Look):
    """Keeps the kinds of the nodes that ran, in place of the last one."""

    def __init__(self) -> None:
        super().__init__("")
        self.ran: list[str] = []

    def _tells(self, kind: str):
        return lambda _: self.ran.append(kind)


@pytest.mark.parametrize("norm, activation", [("layer", "gelu"), ("batch", "relu"), ("rms", "silu")])
def test_nodes_of_a_backward_pass_are_known_by_their_parameters(norm: str, activation: str):
    network = build(Architecture.convnext((1, 1), (8, 16), norm=norm, activation=activation), 4)
    look = Kinds()
    loss = network(torch.randn(2, 3, 16, 16)).sum()
    look.watch_backward(loss)
    loss.backward()
    count = {kind: look.ran.count(kind) for kind in (DEPTHWISE, DENSE, NORM, ACTIVATION)}
    # a depthwise convolution and two linear layers a block; stem, downsampling and head are dense as well
    assert count[DEPTHWISE] == 2 and count[ACTIVATION] == 2
    assert count[DENSE] >= 7 and count[NORM] >= 4, count
    assert set(look.ran) <= {DEPTHWISE, DENSE, NORM, ACTIVATION, OTHER_LAYERS}


def test_layers_are_known_by_what_they_are():
    kinds = [default_run.layer_kind(layer) for layer in (
        nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(3, 4, 4, stride=4), nn.Linear(2, 2), nn.LayerNorm(2),
        nn.GELU(), nn.Sequential(),
    )]  # fmt: skip
    assert kinds == [DEPTHWISE, DENSE, DENSE, NORM, ACTIVATION, OTHER_LAYERS]


def test_imports_are_the_outermost_packages():
    stack = [
        ("torch/nn/__init__.py", "<module>"),
        ("torch/__init__.py", "<module>"),
        ("importlib._bootstrap", "x"),
    ]
    assert default_run.imported([*stack, ("nas/training/loop.py", "<module>")]) == "torch"
    assert default_run.imported(
        [("torch/_dynamo/utils.py", "<module>"), ("nas/training/loop.py", "start")]
    ) == ("torch/_dynamo")
    assert default_run.imported([("enum.py", "<module>"), ("nas/plan/plan.py", "<module>")]) == "own modules"
