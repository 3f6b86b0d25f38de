"""The classes that an exported network's head tells apart, and the images that a recipe is worked out for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.errors import InputError

if TYPE_CHECKING:
    from argparse import Namespace

    from nas.recipe.fitted import Images
    from nas.targets.exportable import Exportable
    from nas.training.weights import Weights


@dataclass(frozen=True)
class Head:
    """The classes that the head tells apart; `count` None: as many as the recipe's data set has.

    `folders`: the names are known to be those of the data set's folders; `data` is its name.
    """

    count: int | None = None
    names: tuple[str, ...] | None = None
    said: str = ""
    folders: bool = False
    data: str | None = None


def images_of(one: Exportable, args: Namespace) -> Images | None:
    """What is known of the images of the user's own, of --data or of the study; None: the recipe's.

    Raises `InputError` where --data cannot be read.
    """
    from nas.data.sources.registry import SOURCES, called, parsed
    from nas.recipe.fitted import Images

    spec, there = spec_of(one, args), _study_data(one).get("there") if args.data is None else None
    if spec is None:
        return None
    try:
        kind, _ = parsed(spec)
        if args.data is None and not SOURCES[kind].path:
            return None
        if there is None:
            from nas.data.survey import survey

            found = survey(spec)
            names = found.classes if SOURCES[kind].names_tell else None
            return Images(called(spec), found.train, len(found.classes), names, found.pixels, found.read)
    except InputError:
        if args.data is not None:
            raise
        return None  # it lies elsewhere, and its study is of a version that kept no count
    names = _class_names(one, there["classes"])
    return Images(called(spec), there["train"], there["classes"], names, there["pixels"])


def spec_of(one: Exportable, args: Namespace) -> str | None:
    """The data set of --data, else of the study."""
    spec: str | None = _study_data(one).get("spec") if args.data is None else args.data
    return spec


def _study_data(one: Exportable) -> Mapping[str, Any]:
    return {} if one.study is None else one.study.mapping.get("data") or {}


def head_of(one: Exportable, args: Namespace, weights: Weights | None, images: Images | None = None) -> Head:
    """The classes that the flags ask for, else of the weights, else of a study of the user's own images.

    Raises `InputError` where two of them differ.
    """
    head = _of_study(one) if images is None else _of_images(images, flag=bool(args.data))
    if weights is not None:
        head = _of_weights(weights, args.weights, head)
    if args.classes is not None:
        head = _named(args.classes, args.weights, weights, head)
    asked = args.num_classes
    if asked is None or asked == head.count:
        return head
    if args.classes is not None:
        raise InputError(f"--num-classes: {asked}; --classes {args.classes} has {head.count} names")
    if weights is not None:
        raise InputError(
            f"--num-classes: {asked}; the head of {args.weights} has {weights.num_classes} outputs"
        )
    return Head(asked)


def _of_images(images: Images, *, flag: bool) -> Head:
    whose = f"of {images.name}" if flag else f"of the study's data ({images.name})"
    said = f"{images.num_classes}, those {whose}; --num-classes N for another head"
    return Head(images.num_classes, images.classes, said, images.classes is not None, images.name)


def _of_study(one: Exportable) -> Head:
    """The classes of a study of the user's own images; of any other, the names alone, if any fit."""
    from nas.data.sources.registry import called
    from nas.proxy.proxy import PRESETS, load_proxy

    data = _study_data(one)
    proxy = {} if one.study is None else one.study.mapping.get("proxy") or {}
    spec = str(data.get("spec"))
    kind, _, path = spec.partition(":")
    count = proxy.get("num_classes")
    if kind not in ("imagefolder", "csv", "python") or not isinstance(count, int) or count < 2:
        return Head()
    name = called(spec)
    if proxy.get("name") in PRESETS and load_proxy(proxy["name"]).num_classes == count:
        # of ImageNet, say: the full training has all of them
        return Head(said=f"of {name} the proxy took {count}; --num-classes N says how many there are")
    names = _class_names(one, count)
    said = f"{count}, those of the study's data ({name}); --num-classes N for another head"
    return Head(count, names, said, names is not None, name if path else None)


def _class_names(one: Exportable, count: int) -> tuple[str, ...] | None:
    """The names that the study has of its data's classes, where it has so many. Raises `InputError`."""
    from nas.data.class_names import class_names

    assert one.study is not None
    names = _study_data(one).get("classes")
    if names is None:
        return None
    found = class_names(names, f"study {one.study.name}: its data's classes (--classes FILE names them)")
    return found if len(found) == count else None


def _of_weights(weights: Weights, path: Path, data: Head) -> Head:
    """The classes of the weights; unless they name them, the data's where it has as many."""
    from nas.data.class_names import class_names

    count = weights.num_classes
    if weights.classes is not None:
        names = class_names(weights.classes, f"--weights {path}")
        return Head(count, names, f"{count}, named in {path.name}", True, data.data)
    return (
        data
        if data.count == count
        else Head(count, said=f"{count}, as the head of {path.name} has", data=data.data)
    )


def _named(file: Path, path: Path, weights: Weights | None, head: Head) -> Head:
    from nas.data.class_names import read_class_names

    where = f"--classes {file}"
    names = read_class_names(file, where)
    if weights is not None and len(names) != weights.num_classes:
        raise InputError(f"{where}: {len(names)} names; the head of {path} has {weights.num_classes} outputs")
    return Head(len(names), names, f"{len(names)}, named in {file.name}", data=head.data)
