"""A small table of networks that somebody trained."""

import csv
import itertools
import json
import lzma

import pytest

DECLARED = """\
name: small
table: trained.csv
source: a test
data: planted
axes:
  depth: depth
  kernel: {column: kernels, split: "-"}
  norm: norm
costs: {macs: {column: mmacs, times: 1.0e+6}, params: params}
accuracies: [[a1, a2, a3], [b1, b2, b3]]
percent: true
"""
SEEDS, EPOCHS = ("a", "b"), (1, 2, 3)


def truth(depth, first, second, norm):
    """Percent: deep networks with small kernels first are good, and one norm is better."""
    return 60 + 3 * depth - 0.5 * (first - 3) + 0.7 * (second - 3) + 4 * (norm == "layer")


def rows():
    """All 4 x 3 x 3 x 2 networks; `depth` decides the cost nearly alone."""
    for depth, first, second, norm in itertools.product(
        (1, 2, 3, 5), (3, 5, 7), (3, 5, 7), ("batch", "layer")
    ):
        accuracy = truth(depth, first, second, norm)
        curves = {
            f"{seed}{epoch}": round(accuracy * (0.4 + 0.2 * epoch) + 0.1 * k, 3)
            for k, seed in enumerate(SEEDS)
            for epoch in EPOCHS
        }
        yield {
            "depth": depth, "kernels": f"{first}-{second}", "norm": norm,
            "mmacs": 10 * depth + first / 10 + second / 100, "params": 1000 * depth + first * second,
            **curves,
        }  # fmt: skip


@pytest.fixture
def table(tmp_path):
    """The YAML of the table as a CSV file."""
    return write_table(tmp_path)


def write_table(folder):
    """The same, in any folder."""
    with (folder / "trained.csv").open("w", newline="") as file:
        own = list(rows())
        writer = csv.DictWriter(file, own[0])
        writer.writeheader()
        writer.writerows(own)
    path = folder / "small.yaml"
    path.write_text(DECLARED)
    return path


@pytest.fixture
def macro(tmp_path):
    """The YAML of a mapping of codes to accuracies of three seeds, packed."""
    own = {
        "".join(code): {"acc": [0.5 + 0.1 * code.count("2") + 0.01 * s for s in range(3)], "flops": 100 + i}
        for i, code in enumerate(itertools.product("012", repeat=3))
    }
    with lzma.open(tmp_path / "macro.json.xz", "wt") as file:
        json.dump(own, file)
    path = tmp_path / "macro.yaml"
    path.write_text(
        "table: macro.json.xz\nkey: code\naxes: {layer: {column: code, characters: true}}\n"
        "costs: {macs: flops}\naccuracies: acc\n"
    )
    return path
