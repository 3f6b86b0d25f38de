"""Tables with accuracies after every epoch, as docs/tables.md wants them, of published CSV files.

    git clone https://github.com/MITAutoML/accelerating_nas
    python -m studies.search_quality.schedulers.tables accelerating_nas/data FOLDER

writes `metaqnn_cifar10.yaml`, `metaqnn_svhn.yaml` and `resnets_tinyimagenet.yaml` with a CSV file each. The
trainings are those of Baker et al. 2018, "Accelerating Neural Architecture Search using Performance
Prediction" (MIT licence).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from space.files import write_text

Row = dict[str, str]
NONE = "-"  # of a layer that a shorter network does not have
EPOCHS = {"metaqnn_cifar10": 20, "metaqnn_svhn": 20, "resnets_tinyimagenet": 140}


def layers(rows: Sequence[Row]) -> list[Row]:
    """An axis for each layer, and the learning rate; all networks differ, and have their parameters."""
    nets = [row["net"].strip("[]").split("), ") for row in rows]
    most = max(map(len, nets))
    return [
        {
            "lr": row["lr"],
            **{f"layer{i}": value for i, value in enumerate(net + [NONE] * (most - len(net)), start=1)},
            "params": row["num_params"],
        }
        for row, net in zip(rows, nets, strict=True)
    ]


def blocks(rows: Sequence[Row]) -> list[Row]:
    """Blocks, filters and their size; the cost is what the parameters of their convolutions go by."""
    found = []
    for row in rows:
        axes = {name: row[name] for name in ("num_blocks", "num_filters", "filter_size", "ss")}
        block, filters, size = (int(row[name]) for name in ("num_blocks", "num_filters", "filter_size"))
        found.append(axes | {"params": str(block * filters**2 * size**2)})
    return found


def write(folder: Path, name: str, rows: Sequence[Row], made: Callable[[Sequence[Row]], list[Row]]) -> None:
    """The CSV and the YAML; of equal networks the first, and none whose training did not end."""
    curve = [f"acc_{epoch}" for epoch in range(1, EPOCHS[name] + 1)]
    kept: dict[tuple[str, ...], Row] = {}
    ended = [row for row in rows if float(row[curve[-1]]) > 0]
    for row, axes in zip(ended, made(ended), strict=True):
        kept.setdefault(tuple(axes.values()), axes | {epoch: row[epoch] for epoch in curve})
    columns = list(next(iter(kept.values())))
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(kept.values())
    axes = ", ".join(column for column in columns if column not in ("params", *curve))
    text = f"name: {name}\ntable: {name}.csv\nsource: MITAutoML/accelerating_nas (MIT)\naxes: [{axes}]\n"
    text += f"costs: {{params: params}}\naccuracies: [[{', '.join(curve)}]]\n"
    write_text(folder / f"{name}.yaml", text)


def main(argv: Sequence[str]) -> None:
    """Make all tables."""
    source, folder = map(Path, argv)
    folder.mkdir(parents=True, exist_ok=True)
    for name, file, made in (
        ("metaqnn_cifar10", "metaqnn_cifar10", layers),
        ("metaqnn_svhn", "metaqnn_svhn", layers),
        ("resnets_tinyimagenet", "deep_resnets_tinyimagenet", blocks),
    ):
        with (source / f"{file}.csv").open(newline="", encoding="utf-8") as rows:
            write(folder, name, list(csv.DictReader(rows)), made)


if __name__ == "__main__":
    main(sys.argv[1:])
