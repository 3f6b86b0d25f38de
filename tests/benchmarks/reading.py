"""How many networks a second are read from a record and told apart, against parsing their JSON alone.

    python -m tests.benchmarks.reading

Seconds of the processor. A study of ten thousand trials reads each of its networks, and takes its
fingerprint. The plain fingerprint is `json` over `dataclasses.asdict`; both are compared network by network
before anything is timed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

from space.architecture import Architecture
from space.space_file import load_space, shipped_spaces
from space.stage import scaled
from tests.benchmarks.measuring import Row, flags, processor_seconds, report


def plain_fingerprint(architecture: Architecture) -> str:
    """The digest of what is built, with nothing but the standard library's way to write it."""
    built = dataclasses.asdict(architecture) | {"block": {}}
    for stage in built["stages"]:
        stage["expansion"] = scaled(stage["width"], stage["expansion"])
        if stage["expansion"] == stage["width"]:
            stage["style"] = "inverted"
    if sum(architecture.depths) == 1:
        built["drop_path"] = 0.0
    text = json.dumps(built, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def measure(name: str, networks: int, repeats: int) -> list[Row]:
    """One row a piece of work; raises where two fingerprints differ."""
    drawn = load_space(name).sample(networks, seed=0)
    texts = [architecture.to_json() for architecture in drawn]
    plain = [json.loads(text) for text in texts]
    if [plain_fingerprint(a) for a in drawn] != [a.fingerprint for a in drawn]:
        raise ValueError(f"{name}: two fingerprints differ")

    def fingerprints() -> list[str]:
        for architecture in drawn:
            vars(architecture).pop("fingerprint")  # it is computed once a network, and kept
        return [architecture.fingerprint for architecture in drawn]

    ways = {
        "JSON alone": lambda: [json.loads(text) for text in texts],
        "from plain values": lambda: [Architecture.from_dict(values) for values in plain],
        "from JSON": lambda: [Architecture.from_json(text) for text in texts],
        "fingerprint": fingerprints,
        "plain fingerprint": lambda: [plain_fingerprint(architecture) for architecture in drawn],
    }
    seconds = {way: processor_seconds(work, repeats) / networks for way, work in ways.items()}
    return [
        {
            "space": name,
            "work": way,
            "networks": networks,
            "microseconds each": each * 1e6,
            "networks a second": 1 / each,
            "times JSON alone": each / seconds["JSON alone"],
        }
        for way, each in seconds.items()
    ]


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Reading networks from plain values, against parsing JSON alone.", argv)
    spaces = ["micro"] if options.quick else shipped_spaces()
    sizes = (50, 1) if options.quick else (5_000, 5)
    rows = [row for name in spaces for row in measure(name, *sizes)]
    report("reading networks", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
