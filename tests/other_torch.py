"""The types, the numbers and the training under another version of torch, in an environment of its own.

    python -m tests.other_torch 2.11.0 --folder /tmp/torch-2.11

Installs that torch (with its CUDA libraries 5 GB) and this project with what its tests need, then runs mypy
and the tests of what calls torch. An environment that is there is used again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("space", "nas/training", "nas/proxy", "nas/data", "nas/recipe")
"""Of the tests: of what calls torch."""


def main(argv: Sequence[str] | None = None) -> int:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("version")
    parse.add_argument("--folder", type=Path, required=True, help="of the environment")
    parse.add_argument("--workers", default="2", help="of pytest (default: %(default)s)")
    options = parse.parse_args(argv)
    python = options.folder / "bin" / "python"
    if not python.exists():
        venv.create(options.folder, with_pip=True)
    install = [python, "-m", "pip", "install", "-q", f"torch=={options.version}", "-e", f"{ROOT}[test]"]
    checks = [
        [python, "-m", "mypy"],
        [python, "-m", "pytest", "-n", options.workers, *(f"tests/{each}" for each in FOLDERS)],
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    codes = [
        subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, check=False).returncode
        for command in (install, *checks)
    ]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main())
