"""docs/extending.md: its five examples, added to a copy as it says, really work; its tables are true."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nas.data.sources.registry import SOURCES, forms
from nas.samplers.registry import SAMPLERS
from nas.targets import TARGETS, load_target

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/extending.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`([\w./]+\.(?:py|yaml))`")


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    before: str

    @property
    def file(self) -> str:
        """The file that was named last before it."""
        return FILE.findall(self.before)[-1]


def blocks(heading: str) -> list[Block]:
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [Block(m[1], m[2], section[: m.start()]) for m in BLOCK.finditer(section)]


HEADINGS = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)


def add(block: Block, root: Path) -> None:
    """Write a file of the document, or put a line where it stands there."""
    path = root / block.file
    if block.kind != "diff":
        assert not path.exists()
        path.write_text(block.text)
        return
    after, added = block.text.splitlines()
    assert after[0] == " " and added[0] == "+"
    source = path.read_text()
    assert source.count(f"\n{after[1:]}") == 1
    path.write_text(source.replace(f"\n{after[1:]}", f"\n{after[1:]}\n{added[1:]}"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The packages with all five examples in them."""
    root = tmp_path_factory.mktemp("extended")
    for package in ("space", "nas", "analysis"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for heading in HEADINGS:
        for block in blocks(heading):
            if block.kind != "sh":
                add(block, root)
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def run(root: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    environment["XDG_CACHE_HOME"] = str(root / "cache")
    done = subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_example(heading: str, root: Path) -> list[str]:
    """What the commands of a section say."""
    commands = [line for block in blocks(heading) if block.kind == "sh" for line in block.text.splitlines()]
    assert commands
    return [run(root, *shlex.split(command.removeprefix("python "))) for command in commands]


def test_each_is_one_file_and_one_line():
    for heading in HEADINGS:
        kinds = [block.kind for block in blocks(heading)]
        assert (kinds.count("python"), kinds.count("diff")) == (1, 1), heading
    assert len(HEADINGS) == 5


def test_the_examples_are_in_the_style_of_the_house(copy):
    files = [block.file for heading in HEADINGS for block in blocks(heading) if block.kind != "yaml"]
    files = [file for file in files if file.endswith(".py")]
    run(copy, "-m", "ruff", "check", *files)
    run(copy, "-m", "ruff", "format", "--check", *files)


AXIS = """
import numpy as np, torch
from torch.utils.flop_counter import FlopCounterMode
from nas.targets import TARGETS, option_lacking
from space.architecture import Architecture
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost, cost_columns, costs
from space.families import named
from space.network import build
from space.space_file import load_space

space = load_space("mlp.yaml")
assert "mlp_conv" not in named("convnext_tiny").to_json()
assert named("convnext_tiny").fingerprint == "376c82a6a35d8571"
band = BandSampler(space, parse_budget("1GFLOPs..2GFLOPs"))
codes = band.sample_codes(6, np.random.default_rng(0))
networks = space.build_all(codes)
assert len({stage.mlp_conv for network in networks for stage in network.stages}) == 3
for network, params, macs in zip(networks, *(getattr(costs(networks), m) for m in ("params", "macs"))):
    with torch.device("meta"):
        module = build(network)
        counter = FlopCounterMode(display=False)
        with counter:
            module(torch.zeros(1, 3, 224, 224))
    assert (cost(network).params, params) == (sum(p.numel() for p in module.parameters()),) * 2
    assert (cost(network).macs, macs) == (counter.get_total_flops() // 2,) * 2
    assert 1e9 * 0.95 <= macs <= 2e9
    assert Architecture.from_json(network.to_json()) == network
assert (cost_columns(space.columns(codes)).activations == costs(networks).activations).all()
assert 0 < band.count < space.size
odd = next(n for n in networks if n.stages[0].mlp_conv)
assert option_lacking("onnx", odd) is None
assert option_lacking("timm", odd).startswith("mlp_conv: ")
try:
    Architecture.from_dict({"block": {"mlp_conv": True}, "stages": [{"depth": 1, "width": 8}]})
except ValueError as error:
    assert "mlp_conv: True must be one of 0, 3, 5" in str(error)
else:
    raise AssertionError
"""


def test_an_axis(copy):
    run(copy, "-c", AXIS)
    searched, exported = run_example("An axis", copy)
    assert "mlp/report.html" in searched
    assert "verified" in exported


def test_a_sampler_and_a_view_of_its_study_and_a_target_for_its_best(copy):
    assert "climb" in run(copy, "-m", "nas.search", "--help")
    (said,) = run_example("A sampler", copy)
    assert "climbed" in said
    (said,) = run_example("An export target", copy)
    assert "torchscript" in said and "verified with torch" in said
    assert list((copy / "runs/climbed/export").glob("*/torchscript/*.ts"))
    run_example("A view", copy)
    assert "What does a parameter buy?" in (copy / "page.html").read_text()


def test_a_data_set(copy):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 32), ("val", 16)):
        arrays[f"{split}_labels"] = labels = np.arange(count) % 2
        pictures = rng.integers(0, 128, (count, 24, 24, 3)) + 127 * labels[:, None, None, None]
        arrays[f"{split}_images"] = pictures.astype(np.uint8)
    np.savez(copy / "pictures.npz", **arrays)
    (said,) = run_example("A data set", copy)
    assert "pictures/report.html" in said


def rows(heading: str) -> list[list[str]]:
    """The table of a section, without its head."""
    lines = [
        line for line in TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines() if "|" in line
    ]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line[0] == "|"
    ][2:]


def test_the_tables_are_what_the_registries_say():
    assert rows("A sampler") == [[f"`{name}`", entry.summary] for name, entry in SAMPLERS.items()]
    assert rows("An export target") == [[f"`{name}`", load_target(name).SUMMARY] for name in TARGETS]
    data = [
        [f"`{form}`", e.summary, e.path.replace("*", r"\*")]
        for form, e in zip(forms(), SOURCES.values(), strict=True)
    ]
    assert rows("A data set") == data
    for entry in (*SAMPLERS.values(), *SOURCES.values()):
        assert entry.load()


def test_the_documents_name_every_sampler_data_set_and_target():
    text = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in ("search", "export"))
    for name in (*SAMPLERS, *forms(), *TARGETS):
        assert f"`{name}`" in text, name
