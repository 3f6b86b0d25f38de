"""The search: proposals inside the budget, short proxy trainings, the record, the export.

    import nas

    study = nas.search(budget="600MFLOPs", trials=20)
    study = nas.open("runs/convnext-600MFLOPs")

Whatever is asked of it is imported when it is asked for: `import nas` alone takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import Results, search
    from nas.api import open_study as open  # noqa: A004  as gzip and many others have it
    from space.errors import InputError

__all__ = ["InputError", "Results", "open", "search"]

PLACES = {
    "InputError": "space.errors:InputError",
    "Results": "nas.api:Results",
    "open": "nas.api:open_study",
    "search": "nas.search",  # the module, which is callable: importing it puts it here in any case
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = PLACES[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
