"""A proxy with fields that the user sets, and a preset's values for a data set of the user's own.

A preset is written for the images it names. On other images its classes, pixels and batch are those of the
data, and a slim one's widths follow from the budget, as far as the user has not said them: nothing here
touches a proxy file, or a preset on its own images.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nas.data.sources.registry import SOURCES, is_users, parsed
from nas.plan.settings import RunSettings, Settings
from nas.proxy.proxy import PRESETS, Proxy, load_proxy, proxy_from
from space.budget import parse_budgets
from space.networks import cost_of, named_network

if TYPE_CHECKING:
    from nas.data.survey import Survey

# the least that a stem of 4 and three halvings can take, and what they divide evenly
LEAST_PIXELS = 32
# an epoch of fewer steps trains hardly anything in a proxy's few epochs; a preset with fewer keeps its own
LEAST_STEPS = 32
LEAST_BATCH = 8  # norms over the batch need some
MOST_PASSES = 20  # epochs over few images: as many images seen as the preset has, up to here
SLIMMED = "convnext_tiny"  # a slim preset's share of the widths is meant for networks of its cost
BY_BUDGET = {"width_share"}  # the fields that follow from it
# of a class, where a preset's sizes leave fewer: below, a training tells little more than chance
TRAIN_EACH, VAL_EACH = 50, 10


@dataclass(frozen=True)
class Fitted:
    """The proxy for the data at hand; `before` has what the preset says of the fields that changed."""

    proxy: Proxy
    before: dict[str, Any] = field(default_factory=dict)
    there: Survey | None = None

    def facts(self) -> dict[str, Any]:
        """For the record of the data: all that there is of it, and what the preset was before."""
        if self.there is None:
            return {}
        there = {"classes": len(self.there.classes), "train": self.there.train, "val": self.there.val}
        return {"there": {**there, "pixels": self.there.pixels}, "fitted": self.before}

    def line(self, name: str) -> str:
        """What was fitted, for people; "" where nothing was."""
        if not self.before:
            return ""
        changes = [f"{key} {getattr(self.proxy, key)} ({value})" for key, value in self.before.items()]
        by_budget = [key in BY_BUDGET for key in self.before]
        to = " and ".join(["data"] * (not all(by_budget)) + ["budget"] * any(by_budget))
        another = "--set proxy.FIELD=VALUE sets another"
        return f"{name} proxy, fitted to the {to}: {', '.join(changes)}; {another}"


def with_fields(proxy: Proxy, fields: Mapping[str, Any], where: str) -> Proxy:
    """The proxy with these fields; a warm-up that was not said keeps its share where it would be too long.

    Raises `InputError`.
    """
    if not fields:
        return proxy
    values = proxy.model_dump() | dict(fields)
    epochs = values["epochs"]
    if "warmup_epochs" not in fields and isinstance(epochs, int) and 0 < epochs < proxy.warmup_epochs:
        values["warmup_epochs"] = round(proxy.warmup_epochs / proxy.epochs * epochs, 3)
    return proxy_from(values, where)


def fits(name: str, proxy: Proxy, settings: RunSettings) -> bool:
    """Whether it is a preset, to be fitted to other data than its own."""
    return settings.proxy in ("auto", *PRESETS) and is_own(proxy.data, load_proxy(name))


def check_data(name: str, proxy: Proxy, settings: RunSettings) -> None:
    """Raises `InputError` where the data set's name or path is wrong, without reading a file."""
    follows = "num_classes" not in settings.proxy_fields and fits(name, proxy, settings)
    (proxy.changed(num_classes=None) if follows else proxy).check_data()


def for_data(name: str, proxy: Proxy, settings: RunSettings) -> Fitted:
    """The proxy of this name, with the settings' fields, for the data that it is trained on.

    Raises `InputError`.
    """
    preset = fits(name, proxy, settings)
    if not (preset or is_users(proxy.data)):
        return Fitted(proxy)
    from nas.data.survey import survey

    there = survey(proxy.data)
    if preset:
        found = fitted(proxy, load_proxy(name), there, settings.proxy_fields, searched_macs(settings))
    else:
        found = Fitted(proxy)
    return replace(found, there=there if is_users(proxy.data) else None)


def searched_macs(settings: RunSettings) -> float | None:
    """Multiply-accumulates in the middle, by ratio, of what is searched; None of a budget of others."""
    if not isinstance(settings, Settings):
        return None
    budgets = parse_budgets(settings.budget, settings.band)
    low, high = min(each.low for each in budgets), max(each.high for each in budgets)
    return math.sqrt(low * high) if budgets[0].metric == "macs" else None


def fitted(
    proxy: Proxy, preset: Proxy, there: Survey, said: Collection[str], macs: float | None = None
) -> Fitted:
    """A preset for a data set that is not its own, and networks of `macs` multiply-accumulates.

    `proxy` has what the user `said`, which stays.
    """
    whole = len(there.classes)
    values: dict[str, Any] = {}
    if "num_classes" not in said:
        values |= _classes(preset, there)
    if "resolution" not in said:
        values |= _pixels(preset, there)
    classes = min(values.get("num_classes", proxy.num_classes) or whole, whole)
    for name, each in (("train_size", TRAIN_EACH), ("val_size", VAL_EACH)):
        most = getattr(proxy, name)
        if name not in said and most is not None and most < each * classes:
            values[name] = each * classes
    images = there.train * classes // whole
    images = min(images, values.get("train_size", proxy.train_size) or images)
    if "batch_size" not in said:
        values |= _batch(preset, images, said)
    if "epochs" not in said:
        values |= _epochs(preset, images)
    if "width_share" not in said:
        values |= _share(preset, macs)
    before = {name: getattr(preset, name) for name, value in values.items() if getattr(proxy, name) != value}
    return Fitted(with_fields(proxy, {name: values[name] for name in before}, "proxy"), before)


def is_own(spec: str, preset: Proxy) -> bool:
    """Whether a data set is of another kind than the preset's, or the preset leaves it to the user."""
    return bool(SOURCES[preset.data].path) or parsed(spec)[0] != preset.data


def _classes(preset: Proxy, there: Survey) -> dict[str, Any]:
    """All classes; a preset for some of a large folder's has those where there are as many."""
    count = len(there.classes)
    if preset.num_classes is None or (SOURCES[preset.data].path and count >= preset.num_classes):
        return {}
    return {"num_classes": count if count > 1 else None}  # one is refused when it is read


def _pixels(preset: Proxy, there: Survey) -> dict[str, Any]:
    """No more than the images have, which would only be blown up."""
    if there.pixels is None or there.pixels >= preset.resolution:
        return {}
    pixels = max(LEAST_PIXELS, there.pixels // LEAST_PIXELS * LEAST_PIXELS)
    return {"resolution": min(preset.resolution, pixels)}


def _batch(preset: Proxy, images: int, said: Collection[str]) -> dict[str, Any]:
    """A power of two that leaves an epoch `LEAST_STEPS`; the learning rate follows by the square root."""
    own = LEAST_STEPS if preset.train_size is None else preset.train_size // preset.batch_size
    steps = min(LEAST_STEPS, own)
    if images >= steps * preset.batch_size:
        return {}
    batch = max(LEAST_BATCH, 1 << (max(images // steps, 1).bit_length() - 1))
    if batch >= preset.batch_size:
        return {}
    if isinstance(preset.lr, str) or "lr" in said:
        return {"batch_size": batch}
    # Adam's rule (Malladi et al. 2022, arXiv:2205.10287), by which the gpu preset's own rate was chosen
    return {"batch_size": batch, "lr": float(f"{preset.lr * math.sqrt(batch / preset.batch_size):.2g}")}


def _share(preset: Proxy, macs: float | None) -> dict[str, Any]:
    """Small networks are slimmed less, down to the cost that the preset is meant for.

    So few layers meet the least width (`nas.proxy.reduced`), and the rate is for the widths it was chosen at.
    """
    if macs is None or preset.width_share == 1:
        return {}
    share = preset.width_share * math.sqrt(cost_of(named_network(SLIMMED)).macs / macs)
    return {"width_share": round(min(share, 1.0), 2)} if share > preset.width_share * 1.1 else {}


def _epochs(preset: Proxy, images: int) -> dict[str, Any]:
    """As many as show the network as many images as the preset's do, where there are fewer."""
    if preset.train_size is None or images >= preset.train_size:
        return {}
    epochs = round(preset.epochs * preset.train_size / max(images, 1))
    return {"epochs": max(preset.epochs, min(epochs, MOST_PASSES))}
