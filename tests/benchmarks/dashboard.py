"""How long the dashboard of a large study takes to write and to open, and how big its file is.

    python -m tests.benchmarks.dashboard

The study is made up: networks drawn uniformly from four budget bands, accuracies that follow a power law with
noise, twelve epochs each. `imports` is a page of a few of the trials, by which all that the views compute
with is imported; it is no part of what is written. `opened` is from asking Chromium for the file until the
first figure is drawn; `chosen` from the choice of a network until its panel is there and the figures in view
show it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from analysis.page.page import VIEWS, Page, page_of, render, views_of
from nas.record.study import Study
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import costs
from space.space_file import load_space
from tests.analysis.chromium import chromium
from tests.benchmarks.measuring import Row, flags, report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BUDGETS = ("0.6GFLOPs", "1.2GFLOPs", "2.4GFLOPs", "4.5GFLOPs")
EPOCHS = 12
PAGES = 3
FEW = 40  # trials, of which every view has something to show
Made = TypeVar("Made")


def large_study(trials: int) -> Study:
    """A study of so many candidates in four bands."""
    space, rng = load_space("convnext"), np.random.default_rng(0)
    bands = [parse_budget(text) for text in BUDGETS]
    networks = [
        (network, band.text)
        for band in bands
        for network in BandSampler(space, band).sample(trials // len(bands), seed=0)
    ]
    total = costs([network for network, _ in networks])
    accuracy = 0.75 - 0.2 * (total.macs / 1e9) ** -0.3 + 0.02 * rng.standard_normal(len(networks))
    share = 1 - np.exp(-0.4 * np.arange(1, EPOCHS + 1))
    rows = []
    for i, (network, budget) in enumerate(networks):
        curve = accuracy[i] * share / share[-1] + 0.004 * rng.standard_normal(EPOCHS)
        rows.append(
            {
                "number": i, "state": "complete", "role": "candidate", "name": None, "budget": budget,
                "architecture": network.to_dict(), "fingerprint": network.fingerprint,
                "macs": int(total.macs[i]), "params": int(total.params[i]),
                "activations": int(total.activations[i]), "fidelity": EPOCHS, "target": EPOCHS,
                "full_fidelity": True, "seed": 0, "accuracy": float(accuracy[i]), "reason": None,
                "train_seconds": 40.0, "order": i, "choices": {},
                "started": None, "ended": None,
                "curve": [
                    {"epoch": e + 1, "val_accuracy": float(value), "val_loss": 1.0, "train_loss": 1.0}
                    for e, value in enumerate(curve)
                ],
            }
        )  # fmt: skip
    each = [{"text": b.text, "metric": b.metric, "low": b.low, "high": b.high} for b in bands]
    return Study.from_dict(
        {
            "name": "large", "trials": rows, "seed": 0, "best": None, "reference": None, "warnings": [],
            "budget": {"text": ",".join(BUDGETS), "metric": "macs", "each": each},
            "space": {"name": "convnext", "size": None, "in_band": None}, "objective": "best", "limits": {},
            "proxy": {"name": "made up", "data": "none", "epochs": EPOCHS, "fingerprint": "p"},
            "data": {"fingerprint": "d"}, "sampler": "random", "scheduler": {"name": "none"},
            "versions": {}, "created": "2026-01-01T00:00:00+00:00", "wall_seconds": 0.0, "train_seconds": 0.0,
        },
        Path("runs/large"),
    )  # fmt: skip


def measured(trials: int) -> list[Row]:
    """Seconds of each step, by the clock and of the processor, and the size of the file."""
    study = large_study(trials)
    few = Study.from_dict({**study.to_dict(), "trials": study.to_dict()["trials"][:FEW]})
    rows: list[Row] = []

    def timed(name: str, work: Callable[[], Made]) -> Made:
        clocks = time.perf_counter(), time.process_time()
        made = work()
        seconds, processor = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
        rows.append(
            {"step": name, "seconds": seconds, "processor": processor, "trials a second": trials / seconds}
        )
        return made

    timed("imports", lambda: render(page_of([few])))
    views = [timed(f"view {name}", partial(views_of, [study], [name]))[0] for name in VIEWS]
    text = timed("page from the views", lambda: render(Page([study], views)))
    written = {key: sum(row[key] for row in rows[1:]) for key in ("seconds", "processor")}
    rows.append({"step": "written, in all", **written, "trials a second": trials / written["seconds"]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dashboard.html"
        path.write_text(text, encoding="utf-8")
        for name, seconds in in_browser(path).items():
            rows.append(
                {"step": name, "seconds": seconds, "processor": "-", "trials a second": trials / seconds}
            )
    print(f"{trials:,} trials: {len(text.encode()) / 1e6:.2f} MB")
    return rows


def in_browser(path: Path) -> dict[str, float]:
    """Seconds in Chromium, the fastest of a few times: what else the machine does only slows them."""
    runs: list[dict[str, float]] = []
    for _ in range(PAGES):
        with chromium() as browser:
            runs.append(_opened(browser, path))
    return {name: min(run[name] for run in runs) for name in runs[0]}


def _opened(browser: Browser, path: Path) -> dict[str, float]:
    browser.new_page().goto("about:blank")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    began = time.perf_counter()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector(".plot .main-svg")
    opened = time.perf_counter() - began
    page.wait_for_selector("#table td button")
    began = time.perf_counter()
    page.evaluate("document.querySelector('#table td button').click()")
    page.wait_for_selector("#curve .main-svg")
    return {"opened": opened, "chosen": time.perf_counter() - began}


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("The dashboard of a large study: seconds to write and to open.", argv)
    rows = measured(80 if options.quick else 10_000)
    report("dashboard", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
