"""cifar10_50/: of a folder cifar10/ of photographs 50 of each class to train on and 200 to validate on, as links."""

from __future__ import annotations

from pathlib import Path

for split, count in (("train", 50), ("val", 200)):
    for folder in sorted(Path("cifar10", split).iterdir()):
        to = Path("cifar10_50", split, folder.name)
        to.mkdir(parents=True)
        for file in sorted(folder.iterdir())[:count]:
            (to / file.name).symlink_to(file.resolve())
