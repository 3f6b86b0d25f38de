"""The training recipe of a network: the published ConvNeXt recipe as one typed value, one YAML file.

`recipe_for` computes it from the network and the GPUs; docs/recipe.md has the rules. Sources: Liu et al.
2022, A ConvNet for the 2020s, Tables 5 and 6, and the official TRAINING.md and main.py; for a Swin
Transformer, which is trained to compare with, its official config.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    field_validator,
    model_validator,
)

from nas.recipe.bounds import Alpha, BelowOne, NonNegative, Positive, Share
from nas.recipe.mistakes import part_of, validated
from nas.recipe.policy import parse_policy
from space.errors import quoted
from space.networks import Network, network_from
from space.reading import parse_yaml, read_text
from space.swin import Swin

Variant = Literal["imagenet-1k", "imagenet-22k", "finetune-1k", "finetune-22k"]
VARIANTS: tuple[str, ...] = get_args(Variant)
MOST = 10**7  # of anything counted, no training having more
Count = Annotated[int, Field(gt=0, le=MOST)]


class RecipePart(BaseModel):
    """Frozen, and no key that it does not know. A field's description is its comment in the YAML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSpec(RecipePart):
    """What the images are, and how validation sees them."""

    name: str = Field(default="imagenet-1k", description="for people")
    num_classes: Annotated[int, Field(ge=2, le=MOST)] = Field(default=1000, description="outputs of the head")
    classes: tuple[str, ...] | None = Field(
        default=None, description="their names by label; null: those of the data"
    )
    resolution: Count = Field(default=224, description="pixels, height and width")
    interpolation: Literal["bicubic", "bilinear"] = Field(
        default="bicubic", description="of crops and resizing"
    )
    eval_crop: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.875, description="validation: the centre crop's share of the shorter side"
    )

    @model_validator(mode="after")
    def _one_name_a_class(self) -> DataSpec:
        names = self.classes
        if names is not None and len(names) != self.num_classes:
            raise ValueError(f"classes: {len(names)} names, but num_classes is {self.num_classes}")
        if names is not None and len(set(names)) < len(names):
            twice = next(name for name, count in Counter(names).items() if count > 1)
            raise ValueError(f"classes: the name {quoted(twice)} stands twice")
        return self


class Optimizer(RecipePart):
    """AdamW, without weight decay on biases and 1-D parameters."""

    name: Literal["adamw"] = Field(default="adamw", description="the only one")
    lr: Positive = Field(default=4e-3, description="at total_batch_size; never scaled")
    betas: tuple[BelowOne, BelowOne] = Field(
        default=(0.9, 0.999), description="decay of the gradient's mean and square"
    )
    eps: Positive = Field(default=1e-8, description="added to the root of the mean square")
    weight_decay: NonNegative = Field(default=0.05, description="none on biases and 1-D parameters")
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="the learning rate's factor from layer to layer, towards the stem; null: none",
    )


class Schedule(RecipePart):
    """Linear warm-up, then a cosine; a learning rate for every optimiser step."""

    name: Literal["cosine"] = Field(default="cosine", description="the only one")
    warmup_epochs: NonNegative = Field(default=20.0, description="of the epochs")
    warmup_from: NonNegative = Field(default=0.0, description="learning rate of the first step")
    min_lr: NonNegative = Field(default=1e-6, description="learning rate at the end")


class Augmentation(RecipePart):
    """What training does to images and labels, in timm's order: crop, flip, colours, erasing, mixing."""

    random_resized_crop: tuple[Positive, Positive] | None = Field(
        default=(0.08, 1.0), description="shares of the area; null: the whole image"
    )
    crop_padding: Annotated[int, Field(ge=0)] = Field(
        default=0, description="pixels around the image, then a crop"
    )
    flip: StrictBool = Field(default=True, description="half of the images, left to right")
    rand_augment: str | None = Field(
        default="rand-m9-mstd0.5-inc1", description="as timm writes it; null: none"
    )
    color_jitter: NonNegative = Field(default=0.4, description="only where rand_augment is null, as in timm")
    random_erasing: Share = Field(
        default=0.25, description="probability; the erased becomes noise (pixel mode)"
    )
    mixup: Alpha = Field(default=0.8, description="alpha; 0: off")
    cutmix: Alpha = Field(default=1.0, description="alpha; 0: off")
    mixup_prob: Share = Field(default=1.0, description="of a batch being mixed at all")
    switch_prob: Share = Field(default=0.5, description="of cutmix, where both are on")
    label_smoothing: BelowOne = Field(default=0.1, description="share of the target on all classes")

    @field_validator("rand_augment")
    @classmethod
    def _is_a_policy(cls, text: str | None) -> str | None:
        if text is not None:
            parse_policy(text)
        return text

    @model_validator(mode="after")
    def _crop_is_a_range(self) -> Augmentation:
        crop = self.random_resized_crop
        if crop is not None and not crop[0] <= crop[1] <= 1:
            raise ValueError(f"random_resized_crop: {list(crop)} must be two rising shares of at most 1")
        return self


class Recipe(RecipePart):
    """One training from start to end."""

    architecture: dict[str, Any] = Field(description="with the recipe's stochastic depth, drop_path")
    data: DataSpec = DataSpec()
    epochs: Count = Field(default=300, description="passes over the training images")
    total_batch_size: Count = Field(default=4096, description="images an optimiser step")
    batch_size: Count = Field(description="images a device and forward pass")
    accumulation: Count = Field(description="forward passes an optimiser step")
    devices: Count = Field(description="batch_size x accumulation x devices = total_batch_size")
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    ema_decay: BelowOne | None = Field(
        default=0.9999, description="moving average of the weights, an optimiser step; null: none"
    )
    clip_norm: Positive | None = Field(default=None, description="of the gradient; null: no clipping")
    head_init_scale: Positive = Field(default=1.0, description="factor on the classifier's first weights")
    layer_scale: Positive | Literal["architecture"] = Field(
        default="architecture",
        description="a number replaces LayerScale's start value; none gets one it lacks",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the GPU has it"
    )
    channels_last: StrictBool = Field(default=True, description="the layout of maps in memory")
    compile: StrictBool = Field(default=False, description="torch.compile")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        default=0, description="of weights, order and augmentation"
    )

    @field_validator("architecture")
    @classmethod
    def _is_a_network(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Canonical values: recipes of one network are equal however it was written down."""
        return network_from(values).to_dict()

    @model_validator(mode="after")
    def _adds_up(self) -> Recipe:
        product = self.batch_size * self.accumulation * self.devices
        if product != self.total_batch_size:
            raise ValueError(
                f"total_batch_size: {self.total_batch_size} is not batch_size {self.batch_size} x "
                f"accumulation {self.accumulation} x devices {self.devices}, which is {product}"
            )
        if self.schedule.warmup_epochs > self.epochs:
            raise ValueError(
                f"schedule.warmup_epochs: {self.schedule.warmup_epochs:g} is more than epochs, {self.epochs}"
            )
        if self.optimizer.layer_decay is not None and isinstance(self.network, Swin):
            raise ValueError("optimizer.layer_decay: is for ConvNets; a Swin Transformer has none (null)")
        return self

    @property
    def network(self) -> Network:
        """The network, with the recipe's stochastic depth."""
        return network_from(self.architecture)

    @property
    def fine_tunes(self) -> bool:
        """Whether it is for trained weights to start from."""
        return self.head_init_scale != 1 or self.optimizer.layer_decay not in (None, 1.0)

    def changed(self, **fields: Any) -> Recipe:
        """A copy with these fields changed, checked again; of a part, a mapping of what changes in it.

        Raises `InputError`.
        """
        values = self.model_dump(mode="json")
        for name, value in fields.items():
            merged = part_of(Recipe, name) is not None and isinstance(value, Mapping)
            values[name] = {**values[name], **value} if merged else value
        return recipe_from(values, "recipe")


# -- as a file


def read_recipe(path: str | Path) -> Recipe:
    """The recipe of a YAML file. Raises `InputError`, one line that names the first wrong key."""
    where = f"recipe {path}"
    return recipe_from(parse_yaml(read_text(Path(path), where), where), where)


def recipe_from(values: Any, where: str) -> Recipe:
    """A recipe from plain values. Raises `InputError`: `where`, the first wrong key, what would be right."""
    return validated(Recipe, values, where)


def data_from(values: Any, where: str) -> DataSpec:
    """The images of a recipe from the plain values of that part, as `recipe_from`. Raises `InputError`."""
    return validated(DataSpec, values, where)


def recipe_text(recipe: Recipe, *comments: str) -> str:
    """Commented YAML that `read_recipe` reads back as an equal recipe; `comments` are its first lines."""
    lines = [f"# {line}".rstrip() for comment in comments for line in comment.splitlines()]
    for name, value in recipe.model_dump(mode="json").items():
        part = part_of(Recipe, name)
        if part is None:
            lines += _field_lines(Recipe, name, value)
            continue
        lines += [f"{name}:  # {(part.__doc__ or '').splitlines()[0].rstrip('.')}"]
        for field, inner in value.items():
            lines += (f"  {line}" for line in _field_lines(part, field, inner))
    return "\n".join(lines) + "\n"


def _field_lines(owner: type[BaseModel], name: str, value: Any) -> Iterator[str]:
    """A field as YAML, its description behind the first line."""
    flow = None if isinstance(value, list | dict) else False
    text: str = yaml.dump({name: value}, Dumper=_Dumper, sort_keys=False, default_flow_style=flow, width=100)
    note = owner.model_fields[name].description
    first, *rest = text.splitlines()
    yield first if note is None else f"{first}  # {note}"
    yield from rest


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1, PyYAML's own, would take for text and `read_recipe`'s YAML 1.2 for a number."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if text[:1] in tuple("-+.0123456789") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
