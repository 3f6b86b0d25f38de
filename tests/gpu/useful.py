"""The gpu proxy's values by the clock, and a first search on the card."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import yaml

from nas.proxy.proxy import Proxy, load_proxy
from nas.proxy.trainer import ProxyTraining
from space.networks import named_network
from tests.gpu.checks import Finding, Setting, measured
from tests.gpu.contestant import ROOT
from tests.gpu.networks import SMALLEST

MINUTE = 60.0
TRIALS = 8  # of the first search, the references among them; and as many again by a third to confirm


def minute(setting: Setting) -> Iterator[Finding]:
    """One epoch of the gpu proxy: what a training takes, and how many epochs would take a minute."""
    proxy = load_proxy("gpu")
    if setting.dry:
        proxy = proxy.changed(
            data="digits", num_classes=None, train_size=64, val_size=32, resolution=32, batch_size=16
        )
    began = time.perf_counter()
    data = proxy.load_data()
    made = time.perf_counter() - began
    for name in setting.pick(("convnext_tiny", "swin_tiny"), ("smallest",)):
        network = SMALLEST if name == "smallest" else named_network(name)
        began = time.perf_counter()
        one = ProxyTraining(network, proxy, data, 0, setting.device)
        started = time.perf_counter() - began
        first, second = one.epoch(), one.epoch()
        took = started + first.seconds + (proxy.epochs - 1) * second.seconds
        fit = max(1, round((MINUTE - started - first.seconds) / second.seconds) + 1)
        said = (
            f"{second.seconds:.2f} s an epoch: {took:.0f} s for {proxy.epochs}; "
            f"{fit} epochs would take a minute; data made or read in {made:.1f} s"
        )
        advice = f"nas/proxies/gpu.yaml: epochs: {fit} (it has {proxy.epochs}), from {name}"
        quiet = setting.dry or 0.7 <= took / MINUTE <= 1.3
        yield measured(f"the gpu proxy, {name}", said, "" if quiet else advice, seconds=took, epochs=fit)


def search(setting: Setting) -> Iterator[Finding]:
    """`nas.search --budget 4.5GFLOPs` under the gpu proxy, shortened to the time that there is; confirmed."""
    folder, proxy = setting.folder / "study", setting.folder / "proxy.yaml"
    values, flags = shortened(setting)
    proxy.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "nas.search", "--study", str(folder), "--proxy", str(proxy), *flags]
    if not setting.dry:
        command += ["--device", "cuda"]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        out, _ = process.communicate(timeout=0.85 * setting.seconds)
    except subprocess.TimeoutExpired:  # as Ctrl-C: what is done is kept
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.08 * setting.seconds)
        process.kill()
        out, _ = process.communicate()
    took = time.monotonic() - began
    kept = setting.out / "study"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for name in ("study.db", "summary.json", "report.html"):
        if (folder / name).exists():
            shutil.copy(folder / name, kept / name)
    (kept / "search.txt").write_text(out)
    good = process.returncode in (0, 130) and (kept / "summary.json").exists()
    said = f"exit {process.returncode} after {took:.0f} s, {values['epochs']} epochs each; in {kept.name}/"
    yield Finding("a first search", "ok" if good else "failed", said, {"summary": summary(kept)})


def shortened(setting: Setting) -> tuple[dict[str, Any], list[str]]:
    """The proxy's values and the search's flags for the seconds that there are."""
    if setting.dry:
        proxy = load_proxy("smoke").changed(train_size=64, val_size=32, epochs=1)
        flags = ["--budget", "60MFLOPs", "--space", "micro", "--no-reference", "--trials", "1"]
        return proxy.model_dump(mode="json"), flags
    proxy = load_proxy("gpu")
    each = seconds_of_an_epoch(proxy, setting.device)
    trainings = TRIALS + TRIALS // 3
    epochs = int(0.6 * setting.seconds / trainings / each)
    epochs = max(2, min(proxy.epochs, epochs))
    proxy = proxy.changed(epochs=epochs, warmup_epochs=min(proxy.warmup_epochs, epochs / 4))
    return proxy.model_dump(mode="json"), [
        "--budget", "4.5GFLOPs", "--trials", str(TRIALS), "--confirm", "1x1",
    ]  # fmt: skip


def seconds_of_an_epoch(proxy: Proxy, device: str) -> float:
    """ConvNeXt-T's second epoch; the first warms up."""
    one = ProxyTraining(named_network("convnext_tiny"), proxy, proxy.load_data(), 0, device)
    one.epoch()
    return one.epoch().seconds


def summary(folder: Any) -> str:
    try:
        return json.dumps(json.loads((folder / "summary.json").read_text()))[:2000]
    except (OSError, ValueError):
        return ""
