"""The proxy: one short training, fully written down, under which every candidate of a study is compared.

Reading, checking and printing a proxy needs no torch; `nas.proxy.trainer` runs it.
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
from space.reading import parse_yaml, read_text

if TYPE_CHECKING:
    from nas.data import Data
    from nas.recipe.recipe import Recipe
    from space.networks import Network

PRESETS = ("smoke", "cpu", "photos", "gpu", "imagenet-subset")
VERSION = 3  # of the training loop: a change that changes results raises it
# fields that came later: where they have their defaults, a proxy is recorded and named as it was before them
LATER = ("width_share", "stem_stride", "init", "lr_ladder")


class Proxy(BaseModel):
    """One short training; by default the ConvNeXt recipe's values (paper, Table 5) where these suit one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str = Field(default="fractal", description="the data set, as --data has it")
    num_classes: Annotated[int, Field(ge=2, le=1_000_000)] | None = Field(
        default=None, description="classes; null: all the data set has"
    )
    resolution: Pixels = Field(default=32, description="pixels, height and width")
    train_size: Counted | None = Field(default=None, description="training images, at most; null: all")
    val_size: Counted | None = Field(default=None, description="validation images, at most; null: all")
    data_seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(
        default=0, description="chooses the subset, or draws the fractals; not the trial's"
    )

    # the network trained, where it is not the one asked for: `nas.proxy.reduced` has the rules
    width_share: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, description="of all widths")
    stem_stride: Literal[4, 2, 1] = Field(default=4, description="2 or 1: larger maps from the same pixels")
    init: Init = Field(
        default="official",
        description="fan_in: std fan_in^-1/2, so that narrow networks do not begin asleep; identity: also "
        "that every block begins as its shortcut",
    )

    epochs: Annotated[int, Field(gt=0, le=1_000_000)] = Field(default=5, description="of one training")
    batch_size: Counted = Field(default=64, description="images a step")
    lr: Positive | Literal["tuned"] = Field(
        default=1e-3, description="learning rate; tuned: each network's best of the ladder"
    )
    lr_ladder: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=9)] = Field(
        default=(5e-4, 1.5e-3, 4.5e-3), description="the rates that tuned tries"
    )
    min_lr: NonNegative = Field(default=1e-6, description="learning rate at the end of the cosine")
    warmup_epochs: NonNegative = Field(default=1.0, description="of the epochs, linear")
    weight_decay: NonNegative = Field(default=0.05, description="none on biases and 1-D parameters")
    betas: tuple[Share, Share] = Field(default=(0.9, 0.999), description="AdamW's, both below 1")
    clip_norm: Positive | None = Field(
        default=None, description="of the gradient; null: no clipping, as in the recipe"
    )

    label_smoothing: BelowOne = Field(default=0.1, description="share of the target on all classes")
    mixup: Alpha = Field(default=0.0, description="alpha; 0: off; the recipe has .8")
    cutmix: Alpha = Field(default=0.0, description="alpha; 0: off; the recipe has 1")
    mixup_prob: Share = Field(default=1.0, description="of a batch being mixed at all")
    flip: StrictBool = Field(default=True, description="half of the images, left to right")
    crop_padding: Annotated[int, Field(ge=0, le=MOST_PIXELS)] = Field(
        default=0, description="pixels around the image, then a crop"
    )

    stochastic_depth: BelowOne | None = Field(
        default=None, description="rate of the last block; null: the architecture's own"
    )
    layer_scale: Positive | Literal["architecture"] = Field(
        default="architecture", description="a number replaces LayerScale's 1e-6; none gets one it lacks"
    )
    head_init_scale: Positive = Field(default=1.0, description="factor on the classifier's first weights")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the GPU has it"
    )
    device: str = Field(default="auto", description="cpu, cuda, cuda:N; auto: a GPU if there is one")

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
