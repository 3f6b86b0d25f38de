"""The settings that make a study's results comparable: it is gone on with under the same ones only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from space.errors import quoted

BINDING = ("budget", "objective", "limits", "space", "proxy", "data", "seed", "sampler", "scheduler")
# but for where data and files lie and what they are called: fingerprints tell them apart
UNBOUND = {"proxy": ("name", "data"), "data": ("spec", "classes", "there", "fitted")}
# what a study of format 1 was started with
BEFORE: dict[str, Any] = {"objective": "best", "limits": {}, "scheduler": {"name": "none"}}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What binds a study and is not as it was when it was started, in a few words each."""
    # as what is stored: tuples have become lists
    now = json.loads(json.dumps(dict(now)))
    for key in BINDING:
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            names = [name for name in names if name not in UNBOUND.get(key, ())]
            yield from (
                f"{key}.{name} {quoted(old.get(name))}, not {quoted(new.get(name))}" for name in names
            )
        else:
            yield f"{key} {quoted(old)}, not {quoted(new)}"
