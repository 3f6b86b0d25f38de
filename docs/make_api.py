"""Write docs/api.md from the docstrings: `python docs/make_api.py`."""

from __future__ import annotations

import argparse
import importlib
import inspect
from pathlib import Path
from typing import Any

from nas import api

FILE = Path(__file__).with_name("api.md")
INTRO = """\
# Python

What a program of yours may rely on. `python docs/make_api.py` makes this page from the docstrings. Whatever a
user can do wrong is raised as `nas.InputError`, a `ValueError` whose text is one line.
"""
LONGEST = 40  # characters of a default
# a section's title, and the name of each of its objects with the place it is at
SECTIONS: dict[str, dict[str, str]] = {
    "A search": {
        "nas.search": "nas.api:search",
        "nas.open": "nas.api:open_study",
        "nas.Results": "nas.api.results:Results",
        "nas.api.table.Table": "nas.api.table:Table",
        "nas.api.callbacks.tensorboard": "nas.api.callbacks:tensorboard",
        "nas.api.callbacks.wandb": "nas.api.callbacks:wandb",
    },
    "What it is told of a network": {
        "nas.verdict.pick.Pick": "nas.verdict.pick:Pick",
        "nas.record.trial.Trial": "nas.record.trial:Trial",
    },
    "Networks and their costs": {
        "space.budget.parse_budget": "space.budget:parse_budget",
        "space.space_file.load_space": "space.space_file:load_space",
        "space.band.BandSampler": "space.band:BandSampler",
        "space.architecture.Architecture": "space.architecture:Architecture",
        "space.families.named": "space.families:named",
        "space.cost.cost": "space.cost:cost",
        "space.network.build": "space.network:build",
        "nas.training.weights.read_weights": "nas.training.weights:read_weights",
    },
    "The analysis, on plain arrays": {
        "nas.verdict.front.front": "nas.verdict.front:front",
        "analysis.fronts.pareto.front_probability": "analysis.fronts.pareto:front_probability",
        "analysis.laws.fit.fit_law": "analysis.laws.fit:fit_law",
        "analysis.points.printed.published_points": "analysis.points.printed:published_points",
    },
}


def page() -> str:
    """The whole page."""
    parts = [INTRO]
    for title, objects in SECTIONS.items():
        parts.append(f"## {title}\n")
        for name, place in objects.items():
            parts.append(entry(name, place))
            if name == "nas.search":
                parts.append(settings())
    return "\n".join(parts)


def settings() -> str:
    """What `nas.search` takes beside its own parameters: the flags of the command, with their help."""
    from nas.plan.settings import PROXY_FLAGS, Settings
    from nas.search import parser

    names = {*Settings.model_fields, *PROXY_FLAGS} - inspect.signature(api.search).parameters.keys()
    rows = [
        f"| `{action.dest}` | {(action.help or '').replace('|', chr(92) + '|')} |"
        for action in parser()._actions
        if action.dest in names and isinstance(action, argparse._StoreAction | argparse._AppendAction)
    ]
    return "\n".join(["| setting | what it is |", "|---|---|", *rows]) + "\n"


def entry(name: str, place: str) -> str:
    """An object: its signature, its docstring, and of a class its public methods and properties."""
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    text = f"### `{name}`\n\n{code(name.rpartition('.')[2], found)}{said(found)}\n"
    rows = members(found) if inspect.isclass(found) else []
    return f"{text}\n{chr(10).join(rows)}\n" if rows else text


def code(name: str, found: Any) -> str:
    """The signature as a block of Python; of a long one a parameter a line."""
    if not (inspect.isfunction(found) or "__init__" in vars(found)):
        return ""
    whole = inspect.signature(found)
    gives = "" if inspect.isclass(found) else f" -> {whole.return_annotation}"
    parts = parameters(whole)
    line = f"{name}({', '.join(parts)}){gives}"
    if len(line) > 100:
        line = f"{name}(\n    " + ",\n    ".join(parts) + f",\n){gives}"
    return f"```python\n{line}\n```\n\n"


def parameters(whole: inspect.Signature) -> list[str]:
    """Each parameter as it is written, `*` and all."""
    bare = whole.replace(return_annotation=inspect.Signature.empty)
    parts = []
    for one in bare.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in parts and not any(p.startswith("*") for p in parts):
            parts.append("*")
        shown = "" if one.default is one.empty else repr(one.default)
        value = shown if len(shown) <= LONGEST else "..."
        stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        kind = "" if one.annotation is one.empty else f": {one.annotation}"
        default = f"{' = ' if kind else '='}{value}" if value else ""
        parts.append(f"{stars}{one.name}{kind}{default}")
    return parts


def said(found: Any) -> str:
    """The docstring, none that dataclasses make."""
    return inspect.getdoc(found) or ""


def members(found: type) -> list[str]:
    """A line for every public method and property of the class itself that says what it is."""
    rows = []
    for name, member in vars(found).items():
        function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        if name.startswith("_") or not said(function):
            continue
        if inspect.isfunction(function):
            names = list(inspect.signature(function).parameters.values())
            names = names if isinstance(member, staticmethod) else names[1:]
            given = ", ".join(parameters(inspect.Signature([n.replace(annotation=n.empty) for n in names])))
            rows.append(f"* `{name}({given})`: {' '.join(said(function).split())}")
        elif hasattr(member, "fget") or hasattr(member, "func"):
            rows.append(f"* `{name}`: {' '.join(said(member).split())}")
    return rows


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
