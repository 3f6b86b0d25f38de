"""How long the same trainings take on each engine, by the records of two searches, and what the driver adds.

    python -m nas.search --budget 4.5GFLOPs --trials 6 --sampler random --study local
    python -m nas.search --budget 4.5GFLOPs --trials 6 --sampler random --study ray --engine ray
    python -m tests.benchmarks.engines runs/local:1 runs/ray:2 [--json PATH]

A study is named with its number of workers. With one seed the networks are the same in both. Compared are the
trials that both have completed:

* `together`: seconds from the first training's start to the last one's end;
* `driver`: the share of the workers' time that is not training, between the start of the first training and
  the start of the last (until then there is always more to do): proposals, checkpoints, the record.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from nas.record.record import Record
from tests.benchmarks.measuring import Row, report


def intervals(trials: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Begin and end of each training in seconds, by its end and the time that it took itself."""
    ends = [datetime.fromisoformat(t.ended).timestamp() for t in trials]
    return sorted((end - t.train_seconds, end) for t, end in zip(trials, ends, strict=True))


def driver_share(spans: Sequence[tuple[float, float]], workers: int) -> float:
    """The share of the workers' time that is not training while there is more to start."""
    first, last = spans[0][0], spans[-1][0]
    busy = sum(min(end, last) - begin for begin, end in spans)
    return 1 - busy / (workers * (last - first)) if last > first else 0.0


def measure(studies: Sequence[tuple[Path, int]]) -> list[Row]:
    """A row a study, the first one being what the others are compared with."""
    trials = [{t.fingerprint: t for t in complete(folder)} for folder, _ in studies]
    common = set.intersection(*(set(found) for found in trials))
    rows: list[Row] = []
    for (folder, workers), found in zip(studies, trials, strict=True):
        spans = intervals([found[fingerprint] for fingerprint in common])
        together = max(end for _, end in spans) - spans[0][0]
        rows.append(
            {
                "study": folder.name,
                "workers": workers,
                "threads": max(found[f]["threads"] or 0 for f in common),
                "trainings": len(common),
                "together, s": together,
                "ratio": together / rows[0]["together, s"] if rows else 1.0,
                "mean training, s": sum(end - begin for begin, end in spans) / len(spans),
                "driver": driver_share(spans, workers),
            }
        )
    return rows


def complete(folder: Path) -> list[dict[str, Any]]:
    trials = Record.read(folder).trials()
    return [t for t in trials if t.state == "complete" and t.role != "confirmation"]


def study(text: str) -> tuple[Path, int]:
    folder, _, workers = text.rpartition(":")
    return Path(folder), int(workers)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    parse = argparse.ArgumentParser(description="The same trainings on different engines.")
    parse.add_argument("studies", nargs="+", type=study, metavar="FOLDER:WORKERS")
    parse.add_argument("--json", type=Path, metavar="PATH")
    options = parse.parse_args(argv)
    rows = measure(options.studies)
    report("the same trainings on each engine", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
