"""`python -m tests`: everything that must hold, in order: format, lint, types, tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# tested with a real browser and a real database
NEEDED = {"chromium": "chromium", "initdb": "postgresql"}
CHECKS = (
    ("format", ["ruff", "format", "--check", "."]),
    ("lint", ["ruff", "check", "."]),
    ("types", ["mypy"]),
    # one more than there are cores: databases, browsers and clusters are waited for
    ("tests", ["pytest", "-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal"]),
)


def main() -> int:
    """Run the checks; the exit code of the first that fails."""
    for program, package in NEEDED.items():
        need(program, package)
    for name, command in CHECKS:
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


def need(program: str, package: str) -> None:
    """Root on Debian gets it installed."""
    if shutil.which(program) or any(Path("/usr/lib/postgresql").glob(f"*/bin/{program}")):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"tests: {program} is missing: apt-get install {package}")
    print(f"== {package}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", package]):
        subprocess.run(["apt-get", *command], env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
