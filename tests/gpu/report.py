"""The report, in Markdown and JSON, written anew after everything that is found."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARKS = {"ok": "ok", "failed": "**FAILED**", "missed": "**missed**", "measured": "", "skipped": "skipped"}


@dataclass
class Report:
    """What the checks have said so far."""

    folder: Path
    machine: dict[str, Any]
    findings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, check: str, finding: dict[str, Any]) -> None:
        self.findings.setdefault(check, []).append(finding)
        self.write()

    def end(self, check: str, seconds: float) -> None:
        self.findings.setdefault(check, [])
        self.seconds[check] = seconds
        self.write()

    @property
    def counts(self) -> Counter[str]:
        return Counter(each["verdict"] for found in self.findings.values() for each in found)

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        values = {"machine": self.machine, "seconds": self.seconds, "checks": self.findings}
        for name, text in (("report.json", json.dumps(values, indent=1) + "\n"), ("report.md", self.text())):
            new = self.folder / f".{name}"
            new.write_text(text, encoding="utf-8")
            new.replace(self.folder / name)

    def text(self) -> str:
        return "\n".join([*self._head(), *self._advice(), *self._checks()]) + "\n"

    def _head(self) -> list[str]:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        lines = ["# GPU report", "", *(f"* {name}: {value}" for name, value in self.machine.items())]
        return [*lines, "", f"{counts or 'nothing yet'}; {sum(self.seconds.values()):.0f} s.", ""]

    def _advice(self) -> list[str]:
        given = [each["advice"] for found in self.findings.values() for each in found if each["advice"]]
        if not given:
            return []
        return ["## What the tables would have by it", "", *(f"* {text}" for text in given), ""]

    def _checks(self) -> list[str]:
        lines = []
        for check, found in self.findings.items():
            took = f"{self.seconds[check]:.1f} s" if check in self.seconds else "under way"
            lines += [f"## {check} ({took})", "", "| what | | said |", "|---|---|---|"]
            for each in found:
                cells = each["what"], MARKS[each["verdict"]], each["said"]
                lines.append(
                    f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"
                )
            lines.append("")
        return lines
