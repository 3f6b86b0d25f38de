"""Runs checks in a process of its own and tells of each, a line of JSON at a time, on its standard output.

    python -m tests.gpu.worker DEVICE OUT CHECK:SECONDS ...

What anything else prints goes to its standard error.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import IO, Any

from tests.gpu.checks import Check, Finding, Setting


def main(arguments: list[str]) -> None:
    events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    device, out, *names = arguments
    for text in names:
        name, _, seconds = text.partition(":")
        tell(events, check=name, event="begin")
        with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
            setting = Setting(device, Path(folder), Path(out), float(seconds))
            began = time.perf_counter()
            try:
                for finding in Check(name, 0).function()(setting):
                    tell(events, check=name, event="finding", **finding.to_dict())
            except Exception as error:  # the others go on
                traceback.print_exc()
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(last.filename).name}:{last.lineno}"
                said = f"{type(error).__name__} at {where}: {str(error)[:300]}"
                tell(events, check=name, event="finding", **Finding("raised", "failed", said).to_dict())
            tell(events, check=name, event="end", seconds=round(time.perf_counter() - began, 2))
        tidy(device)


def tidy(device: str) -> None:
    """What one check held on the card is not the next one's."""
    if device != "cpu":
        import gc

        import torch

        gc.collect()
        torch.cuda.empty_cache()


def tell(events: IO[str], **values: Any) -> None:
    events.write(json.dumps(values) + "\n")
    events.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
