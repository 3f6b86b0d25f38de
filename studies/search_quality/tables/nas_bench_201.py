"""NAS-Bench-201 as a table that `--proxy table:FILE` reads.

    git clone https://github.com/mingkai-zheng/GENIUS
    python -m studies.search_quality.tables.nas_bench_201 nasbench201_cifar100.json nas_bench_201.csv

15,625 cells of six edges, each one of five operations (Dong and Yang 2020, MIT licence), and their validation
accuracies after 200 epochs on CIFAR-100, as that repository has them. It has no costs; they follow from the
operations: three stages of five cells with 16, 32 and 64 channels at 32x32, 16x16 and 8x8 pixels. The YAML:

    name: nas-bench-201
    table: nas_bench_201.csv
    source: NAS-Bench-201 (MIT)
    data: cifar100
    axes: [edge.1, edge.2, edge.3, edge.4, edge.5, edge.6]
    costs: {macs: macs, params: params}
    accuracies: top1
    percent: true
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from space.files import csv_of, write_text

EDGES = ("edge.1", "edge.2", "edge.3", "edge.4", "edge.5", "edge.6")
CELLS, CLASSES, PIXELS = 5, 100, 32
STAGES = ((16, 1), (32, 2), (64, 4))  # channels, and how often pixels are halved
KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


def conv(inputs: int, outputs: int, kernel: int, stride: int) -> tuple[int, int]:
    """Multiply-accumulates and parameters of a convolution with BatchNorm at the pixels over `stride`."""
    weights = inputs * outputs * kernel**2
    return weights * (PIXELS // stride) ** 2, weights + 2 * outputs


def costs(operations: list[str]) -> tuple[int, int]:
    """Multiply-accumulates and parameters of the network of a cell."""
    parts = [conv(3, 16, 3, 1), (64 * CLASSES, 64 * CLASSES + CLASSES + 2 * 64)]
    for before, after, stride in ((16, 32, 2), (32, 64, 4)):  # between stages, a residual block
        parts += [conv(before, after, 3, stride), conv(after, after, 3, stride)]
        macs, params = conv(before, after, 1, stride)
        parts += [(macs, params - 2 * after)]  # its shortcut has no BatchNorm
    for operation in operations:
        if operation in KERNELS:
            parts += [conv(c, c, KERNELS[operation], s) for c, s in STAGES] * CELLS
    return sum(macs for macs, _ in parts), sum(params for _, params in parts)


def row(cell: str, accuracies: dict[str, float]) -> dict[str, Any]:
    """A network of a cell written `|nor_conv_1x1~0|+|none~0|skip_connect~1|+|...|`."""
    operations = [edge.partition("~")[0] for node in cell.split("+") for edge in node.strip("|").split("|")]
    macs, params = costs(operations)
    return dict(zip(EDGES, operations, strict=True)) | {
        "macs": macs, "params": params, "top1": accuracies["val_acc_200"],
    }  # fmt: skip


def main(source: str, path: str) -> None:
    """Write the table of a JSON of accuracies by cell."""
    rows = [row(cell, own) for cell, own in json.loads(Path(source).read_text()).items()]
    write_text(Path(path), csv_of(rows[0], rows))
    print(f"{len(rows):,} networks")


if __name__ == "__main__":
    main(*sys.argv[1:])
