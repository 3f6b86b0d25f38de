"""The proxy: one short training, fully written down, under which every candidate of a study is compared.

Reading, checking and printing a proxy needs no torch; `nas.training.loop.train` runs it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from nas.proxy.reduced import Init, Reduced, reduced, seen_resolution
from nas.recipe.bounds import MOST_PIXELS, Alpha, BelowOne, Counted, NonNegative, Pixels, Positive, Share
from nas.recipe.mistakes import validated
from space.errors import InputError
from space.files import parse_yaml, read_text

if TYPE_CHECKING:
    from nas.data import Data
    from nas.recipe.recipe import Recipe
    from space.networks import Network

PRESETS = ("smoke", "cpu", "gpu", "imagenet-subset")
VERSION = 3  # of the training loop: a change that changes results raises it
# fields that came later: where they have their defaults, a proxy is recorded and named as it was before them
LATER = ("width_share", "stem_stride", "init", "lr_ladder")


class Proxy(BaseModel):
    """One short training; by default the ConvNeXt recipe's values (paper, Table 5) where these suit one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = "fractal"  # one of nas.data.sources.registry
    num_classes: Annotated[int, Field(ge=2, le=1_000_000)] | None = None  # None: all the data set has
    resolution: Pixels = 32
    train_size: Counted | None = None  # images, at most; None: all
    val_size: Counted | None = None
    data_seed: Annotated[int, Field(ge=0, lt=2**63)] = (
        0  # chooses the subset, or draws the fractals; not the trial's
    )

    # the network trained, where it is not the one asked for: `nas.proxy.reduced` has the rules
    width_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of all widths
    stem_stride: Literal[4, 2, 1] = 4  # 2 or 1: larger maps from the same pixels
    init: Init = "official"  # fan_in: std fan_in^-1/2, so that narrow networks do not begin asleep

    epochs: Annotated[int, Field(gt=0, le=1_000_000)] = 5
    batch_size: Counted = 64
    lr: Positive | Literal["tuned"] = 1e-3  # tuned: each network's best of the ladder
    lr_ladder: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=9)] = (5e-4, 1.5e-3, 4.5e-3)
    min_lr: NonNegative = 1e-6
    warmup_epochs: NonNegative = 1.0
    weight_decay: NonNegative = 0.05  # not on biases and 1-D parameters
    betas: tuple[Share, Share] = (0.9, 0.999)
    clip_norm: Positive | None = None  # the recipe clips nothing

    label_smoothing: BelowOne = 0.1
    mixup: Alpha = 0.0  # alpha; the recipe has .8
    cutmix: Alpha = 0.0  # alpha; the recipe has 1.0
    mixup_prob: Share = 1.0
    flip: StrictBool = True
    crop_padding: Annotated[int, Field(ge=0, le=MOST_PIXELS)] = 0  # pixels

    stochastic_depth: BelowOne | None = None  # None: the architecture's own
    layer_scale: Positive | Literal["architecture"] = "architecture"  # a number replaces LayerScale's 1e-6
    head_init_scale: Positive = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    device: str = "auto"

    @model_validator(mode="after")
    def _warmup_fits(self) -> Proxy:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs: {self.warmup_epochs:g} is more than epochs, {self.epochs}")
        if max(self.betas) >= 1:
            raise ValueError("betas: both must be below 1")
        return self

    def check_data(self) -> None:
        """Raises `InputError` where the data set's name or path is wrong, without reading a file."""
        from nas.data import open_source
        from nas.data.sources.registry import parsed

        _, path = parsed(self.data)
        if not path or not os.path.exists(path):  # noqa: PTH110  a NUL, a name too long: no file
            open_source(
                self.data, self.resolution, self.train_size, self.val_size, self.data_seed, self.num_classes
            )

    def load_data(self, cache_dir: Path | None = None) -> Data:
        """The data set at this proxy's sizes. Raises `InputError`."""
        from nas.data import load

        return load(
            self.data,
            self.resolution,
            self.train_size,
            self.val_size,
            self.data_seed,
            cache_dir,
            self.num_classes,
        )

    def reduced(self, network: Network) -> Reduced:
        """What is trained in place of the network."""
        return reduced(network, self.width_share, self.stem_stride)

    @property
    def reduces(self) -> bool:
        """Whether that may be another network."""
        return (self.width_share, self.stem_stride) != (1, 4)

    @property
    def seen_resolution(self) -> int:
        """Pixels at which the network asked for has the maps of the one that is trained."""
        return seen_resolution(self.resolution, self.stem_stride)

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates to try: one, unless it is to be tuned."""
        return self.lr_ladder if isinstance(self.lr, str) else (self.lr,)

    def recipe(self, network: Network, num_classes: int, train_size: int) -> Recipe:
        """The whole recipe that a short training of exactly this network is, on one device in one pass a
        step; with `lr: tuned` at the ladder's first rate."""
        from nas.recipe.recipe import Augmentation, DataSpec, Optimizer, Recipe, Schedule

        if self.stochastic_depth is not None:
            network = dataclasses.replace(network, drop_path=self.stochastic_depth)
        batch_size = min(self.batch_size, train_size)
        return Recipe(
            architecture=network.to_dict(),
            data=DataSpec(name=self.data, num_classes=num_classes, resolution=self.resolution, eval_crop=1.0),
            epochs=self.epochs,
            total_batch_size=batch_size,
            batch_size=batch_size,
            accumulation=1,
            devices=1,
            optimizer=Optimizer(lr=self.rates[0], betas=self.betas, weight_decay=self.weight_decay),
            schedule=Schedule(warmup_epochs=self.warmup_epochs, min_lr=self.min_lr),
            augmentation=Augmentation(
                random_resized_crop=None,
                crop_padding=self.crop_padding,
                flip=self.flip,
                rand_augment=None,
                color_jitter=0.0,
                random_erasing=0.0,
                mixup=self.mixup,
                cutmix=self.cutmix,
                mixup_prob=self.mixup_prob,
                label_smoothing=self.label_smoothing,
            ),
            ema_decay=None,
            clip_norm=self.clip_norm,
            head_init_scale=self.head_init_scale,
            layer_scale=self.layer_scale,
            precision=self.precision,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as records have them: of `LATER` only what is not the default."""
        values = self.model_dump(mode="json")
        defaults = json.loads(json.dumps({name: type(self).model_fields[name].default for name in LATER}))
        return {name: v for name, v in values.items() if name not in defaults or v != defaults[name]}

    def fingerprint(self, data: Data) -> str:
        """16 hex digits of SHA-256 over the pixels and every field but `data` and `device`.

        Devices and thread counts differ in rounding only; the record has them beside it.
        """
        values = {k: v for k, v in self.to_dict().items() if k not in ("data", "device")}
        text = json.dumps(values | {"pixels": data.fingerprint, "version": VERSION}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def changed(self, **fields: Any) -> Proxy:
        """A copy with these fields changed, checked again. Raises `InputError`."""
        return proxy_from(self.model_dump() | fields, "proxy")


def load_proxy(name: str | Path) -> Proxy:
    """The preset of that name, or the YAML file at that path. Raises `InputError`, one line."""
    where = f"proxy {name}"
    if str(name) in PRESETS:
        text = (resources.files("nas") / "proxies" / f"{name}.yaml").read_text(encoding="utf-8")
    elif not os.path.exists(name):  # noqa: PTH110  a NUL, a name too long: no file
        presets = ", ".join(PRESETS)
        raise InputError(f"{where}: No such file or directory; name a YAML file or one of {presets}")
    else:
        text = read_text(Path(name), where)
    values = parse_yaml(text, where)
    return proxy_from({} if values is None else values, where)


def proxy_from(values: Any, where: str) -> Proxy:
    """A proxy from plain values. Raises `InputError` naming the first key that is wrong."""
    return validated(Proxy, values, where)
