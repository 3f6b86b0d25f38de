"""Makes a folder of wheels of what a GPU machine without a package registry lacks, and installs from it.

    python -m tests.gpu.wheels --out wheels --python 3.12

The folder is for Linux on x86-64 and one version of Python. `wheels.json` says what is in it and what could
not be brought, and why. Ray's wheel is packed again without what no search uses, its Java jar above all.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import io
import json
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

MB = 10**6
LIST = "wheels.json"
PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
)
HAVE = (
    "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow",
    "pandas", "pyarrow", "requests", "protobuf", "msgpack", "fsspec", "filelock",
)  # fmt: skip
"""What such a machine has with its torch: left out."""
OF_RAY = ("jsonschema", "tensorboardX")
"""What Ray Tune imports beside."""
UNUSED = ("ray/jars/", "ray/dashboard/client/", "ray/rllib/", "ray/serve/", "ray/llm/", "ray/cpp/")


def main(argv: Sequence[str] | None = None) -> int:
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--out", type=Path, default=Path("wheels"))
    parse.add_argument("--python", default="3.12", help="of the GPU's machine (default: %(default)s)")
    parse.add_argument("--have", nargs="*", default=HAVE, metavar="PACKAGE", help="what it has already")
    parse.add_argument("--limit", type=float, default=60.0, metavar="MB", help="Ray is left out if need be")
    options = parse.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.whl"):
        old.unlink()
    brought, without = gathered(
        options.out, options.python, {normal(name) for name in options.have}, options.limit
    )
    total = sum(brought.values())
    listed = {"python": options.python, "bytes": total, "wheels": brought, "without": without}
    (options.out / LIST).write_text(json.dumps(listed, indent=1) + "\n")
    print(f"{options.out}: {len(brought)} wheels for Python {options.python}, {total / MB:.1f} MB")
    for name, why in without.items():
        print(f"not brought: {name}: {why}")
    return 0


def gathered(
    folder: Path, python: str, have: set[str], limit: float
) -> tuple[dict[str, int], dict[str, str]]:
    """Wheels with their sizes, and what there is none of."""
    without = dict.fromkeys(sorted(have), "taken to be there")
    for name in [*needed(), *OF_RAY]:
        if normal(name) not in have:
            said = download(folder, python, name)
            if said:
                without[name] = said
    for path in folder.glob("*.whl"):
        if package(path) in have:
            path.unlink()
    held = sum(path.stat().st_size for path in folder.glob("*.whl"))
    with tempfile.TemporaryDirectory() as temporary:
        said = download(Path(temporary), python, extra("ray"), "--no-deps")
        for path in Path(temporary).glob("*.whl"):
            slim = slimmed(path, folder)
            if held + slim.stat().st_size > limit * MB:
                said = f"{slim.stat().st_size / MB:.0f} MB, with the others more than {limit:g} MB"
                slim.unlink()
    if said:
        without["ray"] = said
    return {path.name: path.stat().st_size for path in sorted(folder.glob("*.whl"))}, without


def needed() -> list[str]:
    """The project's own requirements."""
    return list(project()["dependencies"])


def extra(name: str) -> str:
    """The requirement of an extra, without extras of its own."""
    return re.sub(r"\[.*?\]", "", project()["optional-dependencies"][name][0])


def project() -> dict:
    path = Path(__file__).parents[2] / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"]


def download(folder: Path, python: str, requirement: str, *flags: str) -> str:
    """ "" where pip has brought it with what it needs, else why not."""
    command = [
        sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", "--python-version", python,
        "--implementation", "cp", *(f"--platform={name}" for name in PLATFORMS), "-d", str(folder), *flags,
        requirement,
    ]  # fmt: skip
    if normal(requirement) in {normal(name) for name in HAVE}:
        return "taken to be there"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stderr.strip().splitlines() or ["pip failed"])[-1] if done.returncode else ""


def slimmed(wheel: Path, folder: Path) -> Path:
    """The wheel without its `UNUSED` files, packed more tightly."""
    new = folder / wheel.name
    with (
        zipfile.ZipFile(wheel) as old,
        zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file,
    ):
        for entry in old.infolist():
            if entry.filename.startswith(UNUSED):
                continue
            body = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                rows = csv.reader(io.StringIO(body.decode()))
                kept = io.StringIO()
                csv.writer(kept, lineterminator="\n").writerows(
                    r for r in rows if not r[0].startswith(UNUSED)
                )
                body = kept.getvalue().encode()
            file.writestr(entry, body, zipfile.ZIP_DEFLATED, 9)
    return new


def installed(folder: Path, site: Path) -> list[str]:
    """Installs what is not there, or is there in an older version, into `site`.

    Returns `site`, then the project's requirements that are still missing.
    """
    chosen = [path for path in sorted(folder.glob("*.whl")) if newer(path)]
    if chosen:
        command = [
            sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile",
            "--disable-pip-version-check", "--upgrade", "--find-links", str(folder), "--target", str(site),
        ]  # fmt: skip
        done = subprocess.run([*command, *map(str, chosen)], capture_output=True, text=True, check=False)
        if done.returncode:  # one by one: one wheel that does not fit is no reason to go without the others
            for path in chosen:
                subprocess.run([*command, str(path)], capture_output=True, check=False)
    return [str(site.resolve()), *missing(site)]


def missing(site: Path) -> Iterator[str]:
    for requirement in [*needed(), "ray"]:
        name = normal(requirement)
        there = {
            normal(found.name)
            for found in importlib.metadata.distributions(name=name, path=[str(site), *sys.path])
        }
        if name not in there:
            yield name


def newer(wheel: Path) -> bool:
    """Whether it is not installed here, or in an older version."""
    try:
        there = importlib.metadata.version(package(wheel))
    except importlib.metadata.PackageNotFoundError:
        return True
    return numbers(there) < numbers(wheel.name.split("-")[1])


def numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version.partition("+")[0])]


def package(wheel: Path) -> str:
    return normal(wheel.name.partition("-")[0])


def normal(requirement: str) -> str:
    """A requirement's name as PyPI writes it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement)[0]).lower()


if __name__ == "__main__":
    sys.exit(main())
