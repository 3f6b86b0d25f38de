"""What images cost: the share of a training step that loading and augmentation take, and building a cache.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.data

The share is of ConvNeXt-T's step at batch 64, with the default proxy's augmentation, and with mixup, cutmix
and a padded crop as well. The cache is built from JPEG files drawn here (500x375, quality 90) on one core,
against a plain loop over Pillow (open, RGB, resize, crop) and against decoding alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from nas.data import Data
from nas.data.augment.pipeline import augmented
from nas.data.batches import Cached
from nas.data.sources.imagefolder import decode
from nas.proxy.proxy import Proxy
from nas.proxy.trainer import ProxyTraining
from space.architecture import Architecture
from space.families import named
from tests.benchmarks.measuring import Row, best_time, flags, report
from tests.benchmarks.training_step import SMALL, drawn, seconds

AUGMENTATIONS = {
    "flip": {},
    "crop, flip, mixup, cutmix": {"crop_padding": 4, "mixup": 0.8, "cutmix": 1.0},
}
SIZE = (500, 375)


def loading(data: Data, proxy: Proxy) -> Callable[[], None]:
    """One epoch's batches, loaded and augmented as the trainer does, and thrown away."""
    recipe = proxy.recipe(SMALL, data.num_classes, len(data.train))
    batches, generator = Cached(data), torch.Generator().manual_seed(0)

    def epoch() -> None:
        order = torch.randperm(len(data.train), generator=generator)
        for pixels, labels in batches.training(0, list(torch.split(order, proxy.batch_size))):
            augmented(pixels, labels, recipe, torch.device("cpu"), generator)

    return epoch


def shares(architecture: Architecture, resolution: int, batch: int, steps: int, turns: int) -> list[Row]:
    data = drawn(batch * steps, resolution)
    rows: list[Row] = []
    for name, values in AUGMENTATIONS.items():
        proxy = Proxy(
            resolution=resolution, epochs=turns + 1, batch_size=batch, lr=1e-5, layer_scale=1.0, **values
        )
        training = ProxyTraining(architecture, proxy, data, seed=0, device="cpu")
        load = loading(data, proxy)
        training.epoch(), load()
        times = [(seconds(load) / steps, seconds(training.epoch) / steps) for _ in range(turns)]
        loaded, stepped = (min(column) for column in zip(*times, strict=True))
        rows.append(
            {
                "what": f"{name}, {resolution} px",
                "ms": loaded * 1e3,
                "images a second": batch / loaded,
                "ratio": f"{loaded / stepped:.2%} of the step",
            }
        )
    return rows


def pictures(folder: Path, count: int) -> list[Path]:
    """JPEG files of smooth colours with some noise, about as many bytes a pixel as photographs have."""
    rng, files = np.random.default_rng(0), []
    for i in range(count):
        coarse = Image.fromarray(rng.integers(256, size=(24, 32, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(SIZE, Image.Resampling.BICUBIC), dtype=np.float64)
        noisy = (smooth + rng.normal(0, 12, smooth.shape)).clip(0, 255).astype(np.uint8)
        files.append(folder / f"{i}.jpg")
        Image.fromarray(noisy).save(files[-1], quality=90)
    return files


def plainly(files: Sequence[Path], side: int) -> NDArray[np.uint8]:
    """The loop that one writes first."""
    images = []
    for file in files:
        image = Image.open(file).convert("RGB")
        scale = side / min(image.size)
        width, height = (max(side, round(length * scale)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (width - side) // 2, (height - side) // 2
        images.append(np.asarray(image.crop((left, top, left + side, top + side))))
    return np.stack(images)


def decoded(files: Sequence[Path]) -> None:
    for file in files:
        with Image.open(file) as image:
            image.load()


def caches(count: int, sides: Sequence[int], repeats: int) -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        files = pictures(Path(folder), count)
        for side in sides:
            times = {
                "JPEG decoding alone": best_time(lambda: decoded(files), repeats),
                "plain Pillow loop": best_time(lambda side=side: plainly(files, side), repeats),
                "the cache": best_time(lambda side=side: decode(files, side), repeats),
            }
            rows += [
                {
                    "what": f"{name}, to {side} px",
                    "ms": each / count * 1e3,
                    "images a second": count / each,
                    "ratio": f"{times['plain Pillow loop'] / each:.2f} times the loop",
                }
                for name, each in times.items()
            ]
    return rows


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Loading, augmenting and caching images.", argv)
    if options.quick:
        rows = [*shares(SMALL, 32, 4, 2, 1), *caches(2, [32], 1)]
    else:
        network = named("convnext_tiny")
        rows = [row for resolution in (32, 64) for row in shares(network, resolution, 64, 2, 3)]
        rows += caches(100, (32, 224), 3)
    report("images: a batch of 64 beside its step; one core making a cache", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
