"""The roadmap under a longer training on photographs: whose order a GPU's minute has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

from nas.proxy.proxy import Proxy, load_proxy
from space.files import write_text
from tests.gpu.checks import DATA, Finding, Setting, measured, skipped
from tests.gpu.contestant import ROOT
from tests.gpu.useful import seconds_of_an_epoch

PROXY = ROOT / "studies" / "order" / "gpu.yaml"
NETWORKS = 17  # the sixteen steps and Swin-T
MOST_EPOCHS = 40


def roadmap(setting: Setting) -> Iterator[Finding]:
    """The T column and Swin-T on the images of `--data`, as long as time allows, against ImageNet."""
    place = os.environ.get(DATA)
    if not (place or setting.dry):
        yield skipped("the roadmap's order", "needs images: --data FOLDER, as CIFAR-10 with train/ and val/")
        return
    proxy = small() if setting.dry else lasting(setting, str(place))
    folder = setting.folder / "order"
    file = setting.folder / "order.yaml"
    write_text(file, json.dumps(proxy.model_dump(mode="json")))
    names = setting.pick(("roadmap_t", "swin_tiny"), ("roadmap_t_1", "roadmap_t_16", "swin_tiny"))
    command = [sys.executable, "-m", "nas.measure", *names, "--seeds", "1", "--study", str(folder)]
    command += ["--proxy", str(file), "--device", setting.device]
    subprocess.run(command, cwd=ROOT, check=True, timeout=0.9 * setting.seconds, stdout=sys.stderr)
    kept = setting.out / "order"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("checkpoints"))
    asked = [sys.executable, "-m", "analysis.agreement", str(folder), "--json"]
    said = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    write_text(kept / "agreement.json", said)
    means = f"{proxy.epochs} epochs, in {kept.name}/: {json.loads(said)['means']}"
    yield measured("the roadmap's order", means, epochs=proxy.epochs)


def small() -> Proxy:
    """For the small form: three networks, some steps."""
    return load_proxy("smoke").changed(train_size=64, val_size=32, epochs=1, width_share=0.125, stem_stride=2)


def lasting(setting: Setting, place: str) -> Proxy:
    """The proxy of `PROXY` with as many epochs as let all networks train in half of the time there is.

    ConvNeXt-T's second epoch says what one takes; half, because deep BatchNorm networks are slower.
    """
    proxy = load_proxy(str(PROXY)).changed(data=f"imagefolder:{place}")
    epochs = int(0.5 * setting.seconds / NETWORKS / seconds_of_an_epoch(proxy, setting.device))
    return proxy.changed(epochs=max(2, min(MOST_EPOCHS, epochs)), warmup_epochs=max(0.25, epochs / 10))
