"""Where in a folder the class folders of each split lie, and what a folder holds that has none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nas.data.images import EXTENSIONS
from nas.data.sources.registry import FOLDER, parsed
from space.errors import InputError, some

LAYOUT = "PATH/train/CLASS/*.jpg and PATH/val/CLASS/*.jpg"
NEEDED = f"an image folder is PATH/CLASS/*.jpg, or {LAYOUT}"
SPLITS = ("train", "val")
# in this order: where two are there, the first is read
NAMES = {"train": ("train", "training"), "val": ("val", "validation", "valid", "test", "testing")}
# as good as hidden: what systems leave in folders, some of it images
SYSTEM = {
    "__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db",
    "desktop.ini",
}  # fmt: skip
DEEPEST = 4  # folders below a wrong one that are looked into for the right one


@dataclass(frozen=True)
class Layout:
    """The folders, relative to the root, that hold the class folders of each split."""

    train: str | None
    """None: there is none."""
    val: str | None
    """The same as `train` where the validation images have to be taken out of it."""
    unread: tuple[str, ...] = ()
    """Folders with the name of a split that are not read."""

    @property
    def whole(self) -> bool:
        """Whether the one folder has no splits."""
        return self.train == self.val


def layout_of(root: Path, splits: tuple[str, ...] = SPLITS) -> Layout:
    """The layout of a folder of images, of which `splits` are to be read. Raises `InputError`."""
    folders = [entry.name for entry in shown(root) if is_dir(entry)]
    named = {split: _named(split, folders) for split in SPLITS}
    ready = {split: [name for name in names if _folders(root / name)] for split, names in named.items()}
    train, val = (ready[split][0] if ready[split] else None for split in SPLITS)
    if train is not None or val is not None:
        read = {"train": train, "val": val}
        for split in splits:
            if read[split] is None:
                raise InputError(_without(root, split, named[split], folders))
        unread = (name for split in SPLITS for name in named[split] if name != read[split])
        return Layout(train, val, tuple(unread))
    _refuse_wrong(root, folders, named)
    return Layout("", "")


def refuse_inside(folder: Path, spec: str, flag: str) -> None:
    """Raises `InputError` where what is written to `folder` would be read as images of the data set."""
    try:
        kind, path = parsed(spec)
    except InputError:  # who reads it says so
        return
    root = Path(os.path.expanduser(path))  # noqa: PTH111  Path's own raises without a home
    # realpath, as Path.resolve raises at a link to itself before Python 3.13
    inside = Path(os.path.relpath(os.path.realpath(folder), os.path.realpath(root))).parts
    if kind != FOLDER or inside[:1] == ("..",) or not is_dir(root):
        return
    layout = layout_of(root)
    if layout.whole or inside[:1] in {(layout.train,), (layout.val,)}:
        raise InputError(
            f"{flag} {folder}: lies among the class folders of {root}, where it would be read as one; name "
            "one elsewhere"
        )


def _named(split: str, folders: list[str]) -> list[str]:
    names = [name for name in folders if name.lower() in NAMES[split]]
    return sorted(names, key=lambda name: NAMES[split].index(name.lower()))


def _without(root: Path, split: str, named: list[str], folders: list[str]) -> str:
    """The line about a folder that has the other split alone."""
    place = root / named[0] if named else root / split
    what = "has no class folders" if named else "is missing"
    line = f"data: {place} {what}; imagefolder needs {LAYOUT}; {held(place if named else root)}"
    if split == "train":
        return line
    return f"{line}; of {root / _named('train', folders)[0]} as PATH a part is kept for validation"


def _refuse_wrong(root: Path, folders: list[str], named: dict[str, list[str]]) -> None:
    """Raises `InputError` unless the folders can be classes."""
    beside = root.absolute().parent
    if root.absolute().name.lower() in (*NAMES["train"], *NAMES["val"]) and _is_split(beside):
        raise InputError(f"data: {root} is one of two splits; {held(root)}; PATH may be {beside}")
    if not folders:
        one_class = _has_image(root) and len([f for f in _folders(beside) if _has_image(f)]) > 1
        hint = f"; PATH may be {beside}" if one_class else _list_in(root)
        raise InputError(f"data: {root} has no class folders; {NEEDED}; {held(root)}{hint}")
    inner = _inner(root, folders)
    if inner is not None:
        raise InputError(f"data: {root} has no class folders; {NEEDED}; {held(root)}; PATH may be {inner}")
    if len(folders) == 1:
        raise InputError(
            f"data: {root} has one class folder, {some(folders)}; a classifier needs at least two classes; "
            f"{NEEDED}{_list_in(root)}"
        )
    if all(named.values()) and len(folders) == sum(map(len, named.values())):
        raise InputError(
            f"data: {root / folders[0]} has no class folders; imagefolder needs {LAYOUT}; "
            f"{held(root / folders[0])}{_list_in(root)}"
        )
    below = _same_below(root, folders)
    if below:
        raise InputError(
            f"data: {root} holds {some(folders)}, and each of them {some(below)}: if these are the "
            f"classes, name two splits train and val, or have one of {some(folders)} as PATH; if not, list "
            "the images in a CSV file"
        )


def _is_split(root: Path) -> bool:
    folders = [entry.name for entry in shown(root) if is_dir(entry)]
    return all(any(_folders(root / name) for name in _named(split, folders)) for split in SPLITS)


def _inner(root: Path, folders: list[str]) -> Path | None:
    """The folder below that was probably meant."""
    for name in folders:
        if _is_split(root / name):
            return root / name
    place = root
    for _ in range(DEEPEST):
        inside = _folders(place)
        if len(inside) > 1 and place != root and all(_folders(f) or _has_image(f) for f in inside):
            return place
        if len(inside) != 1 or _has_image(place):
            return None
        place = inside[0]
        if _is_split(place):
            return place
    return None


def _same_below(root: Path, folders: list[str]) -> list[str]:
    """The names of the folders within all of these, where they are the same two or more and no image is."""
    first: list[str] | None = None
    for name in folders:
        if _has_image(root / name):
            return []
        names = [folder.name for folder in _folders(root / name)]
        if len(names) < 2 or (first is not None and names != first):
            return []
        first = names
    return first or []


def _list_in(root: Path) -> str:
    files = [entry for entry in shown(root) if entry.suffix.lower() == ".csv"]
    return f"; if {files[0].name} lists the images, PATH is {files[0]}" if files else ""


def _has_image(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.name.lower().endswith(EXTENSIONS) and not hidden(entry.name) for entry in entries
            )
    except OSError:
        return False


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted; of a folder of many files the entries alone are read."""
    try:
        with os.scandir(folder) as entries:
            inside = [entry.name for entry in entries if not hidden(entry.name) and is_folder(entry)]
    except OSError:
        return []
    return [folder / name for name in sorted(inside, key=os.fsencode)]


def hidden(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or as good as that."""
    return name.startswith(".") or name in SYSTEM


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_dir(path: Path) -> bool:
    """Whether there is such a folder, as far as may be seen."""
    try:
        return path.is_dir()
    except OSError:  # a folder that may not be looked into
        return False


def held(folder: Path) -> str:
    """What is in a folder, for a line about it."""
    names = [entry.name for entry in shown(folder)]
    return f"{folder} holds {some(names)}" if names else f"{folder} is empty"


def shown(folder: Path) -> list[Path]:
    """What a folder shows, sorted; nothing of one that cannot be read."""
    try:
        entries = [entry for entry in folder.iterdir() if not hidden(entry.name)]
    except OSError:
        return []
    return sorted(entries, key=os.fsencode)
