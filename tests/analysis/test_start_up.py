"""The commands of the analysis print their help without what they compute with."""

import subprocess
import sys

import pytest

# in this order; the last one computes with numpy in the module that is the command
COMMANDS = ("compare", "dashboard", "importance", "scale", "proxies")
NEEDED = {"proxies": " numpy"}
HEAVY = ("numpy", "scipy", "torch", "sklearn", "optuna", "plotly", "pandas", "dash", "rich", "yaml")
PROGRAM = f"""
import importlib, sys
for name in {COMMANDS}:
    command = importlib.import_module(f"analysis.{{name}}")
    try:
        command.main(["--help"])
    except SystemExit as stopped:
        assert not stopped.code
    print(f"{{name}}:", *sorted(set({HEAVY}) & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def said():
    """What a new interpreter prints that asks every command for its help, one after the other."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_there_and_needs_nothing_heavy(name, said):
    assert f"usage: python -m analysis.{name}" in said
    assert f"\n{name}:{NEEDED.get(name, '')}\n" in said
