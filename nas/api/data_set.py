"""A data set of a user's own Python, offered to a search beside those that `--data` names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from nas.data.sources.registry import SOURCES, DataSet
from space.errors import InputError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.data import Data
    from nas.data.dataset import Split
    from nas.data.sources.source import Images, Labels, Request

NAME = "python"
_offered: list[Callable[..., Data]] = []  # the one that a search reads now


@contextmanager
def offered(given: Any) -> Iterator[str]:
    """While it lasts `--data` knows the data set under the name that is yielded. Raises `InputError`."""
    from nas.data import from_dataset

    train, val, classes = parts_of(given)

    @cache  # a survey and the search may ask alike, and each image is read once for each
    def read(**sizes: Any) -> Data:
        return from_dataset(train, val, classes, **sizes)

    if _offered:
        raise InputError("data: another search is reading its data set of Python; one at a time")
    _offered.append(read)
    SOURCES[NAME] = DataSet(f"{__name__}:Given", "a data set of Python", names_tell=True)
    try:
        yield NAME
    finally:
        del SOURCES[NAME]
        _offered.clear()


def parts_of(given: Any) -> tuple[Any, Any, Sequence[str] | None]:
    """Training images, validation images or None, and names of classes or None. Raises `InputError`."""
    from nas.data import Data

    if isinstance(given, Data):
        return Pairs(given.train), Pairs(given.val), given.classes
    train, val = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    for part in (train, val):
        if part is not None and not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
            raise InputError(
                f"data {quoted(part)}: is no data set; give a path, the name of one, a sequence of (image, "
                "label), or two of them, for training and validation"
            )
    return train, val, None


class Pairs:
    """A split of arrays as a sequence of (image, label)."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        return self._split.images[place], int(self._split.labels[place])


class Given:
    """The data set that is offered, as a source."""

    def __init__(self, request: Request) -> None:
        self._data = _offered[0](
            resolution=request.resolution,
            train_size=request.train_size,
            val_size=request.val_size,
            seed=request.seed,
            num_classes=request.num_classes,
        )
        self.num_classes, self.classes, self.read = (
            self._data.num_classes,
            self._data.classes,
            self._data.read,
        )
        self.sizes = {"train": len(self._data.train), "val": len(self._data.val)}

    def identity(self) -> dict[str, Any]:
        """The pixels' digest."""
        return {"data": NAME, "fingerprint": self._data.fingerprint}

    def fill(self, split: str, images: Images, labels: Labels) -> None:
        """The images as they were read."""
        own: Split = getattr(self._data, split)
        images[:], labels[:] = own.images, own.labels
