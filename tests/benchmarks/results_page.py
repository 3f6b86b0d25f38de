"""How long the page of what others trained takes until it is drawn and answers a click, and how big it is.

    python -m tests.benchmarks.results_page results-imagenet.csv benchmark-infer-*.csv

with timm's files (docs/results.md); without any, the published points of this package alone. Medians of a few
loads in Chromium, each in a browser of its own that has shown an empty page before: `drawn` is from
navigation until the points are there, `clicked` from a click on a point until its network is shown,
`interactive` both. `thread` is the processor's time of the page's thread alone until then, which what else
the machine does leaves as it is. Chromium gives that thread a niceness of 0, whatever it was started with:
on a busy machine `--nice -10` (of root) shows what the page does by itself.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median

from analysis.page.results import write_results
from analysis.points.own import read_files
from analysis.points.packaged import packaged_points
from analysis.views.results import PlaneResults
from tests.analysis.chromium import chromium
from tests.benchmarks.measuring import Row, report

LOADS = 5


def opened(path: Path, niceness: int | None) -> dict[str, float]:
    """Seconds of one load."""
    empty = path.with_name("empty.html")
    empty.write_text("<title>empty</title>")
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(120_000)
        tab.goto(empty.as_uri())
        if niceness is not None:
            renice(niceness)
        session = tab.context.new_cdp_session(tab)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        began = time.perf_counter()
        tab.goto(path.as_uri(), wait_until="commit")
        tab.wait_for_selector("#explorer .plot .point")
        drawn = time.perf_counter()
        # what Plotly takes for a click: a point under the mouse
        tab.locator("#explorer .plot .point").first.click(force=True)
        tab.wait_for_selector("#explorer .choice h3")
        answered = time.perf_counter()
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return {
            "drawn": drawn - began,
            "clicked": answered - drawn,
            "interactive": answered - began,
            "thread": metrics["TaskDuration"],
        }


def renice(niceness: int) -> None:
    """All threads of the processes that this one has started, and they."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    for pid in found - {os.getpid()}:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, int(task.name), niceness)


def measured(files: Sequence[Path], loads: int, niceness: int | None) -> list[Row]:
    """Seconds to write the page and to open it, a step a row."""
    points, said = read_files(files)
    everything = [*packaged_points(), *points]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = write_results(PlaneResults(everything, said), Path(folder) / "results.html")
        rows: list[Row] = [{"step": "written, processor", "seconds": time.process_time() - began}]
        runs = [opened(path, niceness) for _ in range(loads)]
        size = path.stat().st_size
    rows += [{"step": name, "seconds": median(run[name] for run in runs)} for name in runs[0]]
    print(
        f"{len(everything):,} results, {size / 1e6:.2f} MB; median of {loads} loads, "
        f"niceness {niceness or 0}, load {os.getloadavg()[0]:.1f}"
    )
    return [row | {"results a second": len(everything) / row["seconds"]} for row in rows]


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure and print."""
    parse = argparse.ArgumentParser(
        description="The page of what others trained: seconds to open and answer."
    )
    parse.add_argument("files", nargs="*", type=Path, help="CSV files as of analysis.dashboard --results")
    parse.add_argument("--nice", type=int, metavar="N", help="niceness of the browser's threads")
    parse.add_argument("--quick", action="store_true", help="one load: does it run at all")
    parse.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    options = parse.parse_args(argv)
    rows = measured(options.files, 1 if options.quick else LOADS, options.nice)
    report("page of results", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
