"""The tables of a comparison of trained networks, as people read them: in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.comparison.trained_claims import Compared, OfClass, mix_ups, of_classes, rows
from space.words import duration, percentage

MOST_CLASSES = 12  # in the terminal
NETWORK_COLUMNS = (
    "network", "design", "seeds", "accuracy", "by seed", "GFLOPs", "M params", "a training takes", "images/s",
    "GB",
)  # fmt: skip


def network_table(found: Compared) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """A row a network: accuracy, cost, and time and memory of its training."""
    cells: list[tuple[str, ...]] = []
    for row, group in zip(rows(found), found.trainings.groups, strict=True):
        seeds = " ".join(percentage(value) for value in group.accuracies.values())
        memory = row["peak_memory_gb"]
        cells.append((
            row["name"], row["network"], str(len(row["seeds"])), percentage(row["accuracy"]), seeds,
            f"{row['gflops']:.3g}", f"{row['params_m']:.3g}", duration(row["seconds"]),
            f"{row['images_per_second']:,.0f}", "-" if memory is None else f"{memory:.2g}",
        ))  # fmt: skip
    return NETWORK_COLUMNS, cells


def class_columns(found: Compared) -> list[str]:
    """Of a table of classes."""
    gain = [f"less {found.contrasts[0].control.name}"] if found.contrasts else []
    return ["class", "images", *(group.name for group in found.trainings.groups), *gain]


def class_cells(one: OfClass) -> tuple[str, ...]:
    """A row of that table."""
    gain = "-" if one.gain is None else f"{100 * one.gain:+.1f}"
    return one.name, str(one.images), *map(percentage, one.right), *([gain] if len(one.right) > 1 else [])


def class_table(found: Compared) -> tuple[str, Sequence[str], list[tuple[str, ...]]]:
    """Title, columns and rows: all classes, or of many those that the network has right least often."""
    classes = of_classes(found)
    title = "right by class, over all seeds"
    if len(classes) > MOST_CLASSES:
        classes = sorted(classes, key=lambda one: one.right[0] or 0.0)[:MOST_CLASSES]
        title = f"{title}: the {MOST_CLASSES} with the lowest accuracy; --json and --html have all"
    return title, class_columns(found), [class_cells(one) for one in classes]


def mix_up_lines(found: Compared) -> list[str]:
    """The commonest mistakes of the network, in a line."""
    told = [f"{name} taken for {other} ({wrong:,} of {of:,})" for name, other, wrong, of in mix_ups(found)]
    seeds = len(found.trainings.network.answers)
    every = "" if seeds == 1 else f", over {seeds} seeds"
    return [f"Mistakes of {found.trainings.network.name}{every}: {'; '.join(told)}."] if told else []
