"""A data set of a user's own in Python, as a search reads every other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.data.class_names import class_names
from nas.data.dataset import Data, Split
from nas.data.files import LeftOut
from nas.data.held_out import held_out
from nas.data.hugging_face import splits_of
from nas.data.images import as_rgb
from nas.data.listing import FIFTH, summary
from nas.data.sources.imagefolder import centred
from nas.data.sources.source import Images, Labels
from nas.data.sources.subset import balanced, chosen_classes, chosen_size, shuffled
from space.errors import InputError, quoted, reason

if TYPE_CHECKING:
    from PIL.Image import Image

NAME = "a data set in Python"
EACH = "an item is an image (PIL, or uint8 [H, W, 3], an array or a tensor) and its label, a whole number"

Parts = dict[str, tuple[Images, Labels]]


def from_dataset(
    train: Sequence[Any],
    val: Sequence[Any] | None = None,
    classes: Sequence[str] | None = None,
    *,
    resolution: int,
    train_size: int | None = None,
    val_size: int | None = None,
    seed: int = 0,
    num_classes: int | None = None,
) -> Data:
    """What `load` gives, of a data set in Python, as torchvision's: in memory, each image read once.

    `train` and `val` are sequences of (image, label): a PIL image or uint8 [H, W, 3], an array or a tensor
    (torch's order [3, H, W] is taken too), and 0, 1, ... Give the data set without transforms: images are
    resized to `resolution` here, as those of a folder are. A data set of Hugging Face's, or a `DatasetDict`,
    is taken as well: its column of images and that of class labels. Without `val` a fifth of each class is
    kept for it, by the images' content alone. `classes` are names by label (default: `train.classes` where
    there are some); sizes, `seed` and `num_classes` choose a subset as in `load`. Raises `InputError`.
    """
    train, val = splits_of(train, val)
    if classes is None:
        classes = getattr(train, "classes", None)
    names = None if classes is None else class_names(classes, "data: classes")
    parts, there = _divided(train, val, names, resolution)
    count = chosen_classes(num_classes, there, NAME)
    chosen = np.sort(shuffled((seed,), there)[:count])
    splits, numbers = {}, []
    for split, asked in (("train", train_size), ("val", val_size)):
        images, labels = parts[split]
        places = np.flatnonzero(np.isin(labels, chosen))
        size = chosen_size(asked, len(places), split, NAME)
        numbers.append((size, len(places)))
        places = places[balanced(labels[places], size, (seed, split == "val"))]
        splits[split] = Split(images[places], np.searchsorted(chosen, labels[places]).astype(np.int64))
    own = None if names is None else tuple(names[label] for label in chosen)
    read = summary(NAME, (count, there), numbers, FIFTH if val is None else "", LeftOut())
    return Data(splits["train"], splits["val"], count, _fingerprint(splits, own), "python", own, read)


def _divided(
    train: Sequence[Any], val: Sequence[Any] | None, names: tuple[str, ...] | None, side: int
) -> tuple[Parts, int]:
    """Both splits at the resolution, whole, and how many classes there are. Raises `InputError`."""
    images, labels, digests = _read(train, "train", side)
    there = int(labels.max()) + 1 if names is None else len(names)
    if there < 2:
        raise InputError("data: all labels are 0; a classifier needs at least two classes")
    called = names or [str(label) for label in range(there)]
    _refuse_missing("train", labels, called)
    if val is None:
        kept = held_out(labels, digests, called, NAME)
        return {"train": (images[~kept], labels[~kept]), "val": (images[kept], labels[kept])}, there
    val_images, val_labels, _ = _read(val, "val", side)
    _refuse_missing("val", val_labels, called)
    return {"train": (images, labels), "val": (val_images, val_labels)}, there


def _read(pairs: Sequence[Any], split: str, side: int) -> tuple[Images, Labels, list[str]]:
    """Pixels at the resolution, labels, and a digest of each image as it was."""
    try:
        count = len(pairs)
    except TypeError:
        raise InputError(f"data: {split} is {quoted(pairs)}, without a length; {EACH}") from None
    if not count:
        raise InputError(f"data: {split} is empty; {EACH}")
    images, labels = np.empty((count, side, side, 3), np.uint8), np.empty(count, np.int64)
    digests = []
    for place in range(count):  # by index, as a DataLoader does: not every data set can be iterated over
        where = f"data: {split}[{place}]"
        image, labels[place] = _pair(pairs[place], where)
        try:
            rgb = as_rgb(image)
            images[place] = centred(rgb, side)
        except (ValueError, OSError) as error:
            raise InputError(f"{where}: {reason(error)}") from None
        digests.append(hashlib.sha256(rgb.tobytes()).hexdigest())
    return images, labels, digests


def _pair(pair: Any, where: str) -> tuple[Image, int]:
    from PIL import Image as Pillow

    try:
        image, label = pair
        number = int(label)
        if number != label or not 0 <= number < 1 << 31:
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"{where} is {quoted(pair)}; {EACH}") from None
    if isinstance(image, Pillow.Image):
        return image, number
    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.shape[2] != 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise InputError(f"{where} has an image {pixels.dtype} {list(pixels.shape)}; {EACH}")
    return Pillow.fromarray(np.ascontiguousarray(pixels)), number


def _refuse_missing(split: str, labels: Labels, names: Sequence[str]) -> None:
    if labels.max() >= len(names):
        last = len(names) - 1
        raise InputError(f"data: {split} has label {labels.max()}; the last of {last + 1} classes is {last}")
    for label in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0):
        raise InputError(f"data: {split} has no images of class {quoted(names[int(label)])}")


def _fingerprint(splits: dict[str, Split], names: tuple[str, ...] | None) -> str:
    digest = hashlib.sha256("\0".join(names or ()).encode())
    for split in splits.values():
        digest.update(np.array(split.images.shape, "<i8").tobytes())
        digest.update(split.labels.astype("<i8").tobytes())
        digest.update(split.images.tobytes())
    return digest.hexdigest()
