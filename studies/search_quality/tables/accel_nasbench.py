"""Accel-NASBench as a table that `--proxy table:FILE` reads.

    git clone https://github.com/afzalxo/Accel-NASBench
    python -m studies.search_quality.tables.accel_nasbench Accel-NASBench accel_nasbench.csv

5,125 MnasNet-like networks of seven stages (expansion, kernel, depth, squeeze-and-excitation of each),
trained on ImageNet under the proxy that the benchmark's authors searched for (arXiv 2404.08005, Apache-2.0).
Thirteen were trained twice; they stand once, with the mean.
"""

from __future__ import annotations

import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from space.files import csv_of, write_text

ARCHIVE = "anb_dataset/anb_dataset_jsons.tar.gz"
STAGES = range(7)
AXES = {"expansion": "e", "kernel": "k", "depth": "l", "se": "se"}


def row(network: dict[str, Any]) -> dict[str, Any]:
    """A network's axes, a value a stage each; costs in millions; accuracy in percent."""
    chosen = network["architecture"]
    axes = {
        name: "-".join(str(int(chosen[f"block{i}_{short}"])) for i in STAGES) for name, short in AXES.items()
    }
    return axes | network["model_info"] | {"top1": network["metrics"]["val_top1"]}


def averaged(trained: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a network, with the mean of its accuracies."""
    same: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for one in trained:
        same.setdefault(tuple(one[name] for name in AXES), []).append(one)
    return [rows[0] | {"top1": round(fmean(one["top1"] for one in rows), 6)} for rows in same.values()]


def main(clone: str, path: str) -> None:
    """Write the table of a clone of the repository."""
    with tarfile.open(Path(clone) / ARCHIVE) as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)
        files = [archive.extractfile(member) for member in members]
        trained = [row(json.load(file)) for file in files if file is not None]
    rows = averaged(trained)
    write_text(Path(path), csv_of(rows[0], rows))
    print(f"{len(rows):,} networks of {len(trained):,} trainings")


if __name__ == "__main__":
    main(*sys.argv[1:])
