"""Trials for tests, of which only what matters is said."""

from typing import Any

from nas.record.trial import Trial


def made(number: int, accuracy: float | None = None, role: str = "candidate", **values: Any) -> Trial:
    """A trial that is complete at full fidelity where it has an accuracy."""
    known = accuracy is not None
    costs = {"macs": 10**9, "params": 10**7, "activations": 10**6}
    plain = {"number": number, "role": role, "accuracy": accuracy, "full_fidelity": known, "seed": 0, **costs}
    plain |= {"state": "complete" if known else "running", "architecture": {}, "fingerprint": f"{number:08x}"}
    return Trial.from_dict(plain | values)
