"""`convnext-nas`: every command under one name."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from analysis import cli
from space.command import Command
from tests.test_house import COMMANDS

HEAVY = ("numpy", "torch", "optuna", "pydantic", "rich", "yaml", "argcomplete")


def run(*argv):
    """What a new interpreter says, and its exit code; the last line names what heavy it imported."""
    program = (
        "import sys\nfrom analysis import cli\n"
        "try: code = cli.main()\nexcept SystemExit as ended: code = ended.code\n"
        f"print(code or 0, *[m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_it_has_every_command_of_the_packages():
    places = {f"{package}.{name}" for package, names in COMMANDS.items() for name in names}
    assert {entry.place for entry in cli.COMMANDS.values()} == places - {"analysis.cli"}
    assert all(name == entry.place.rpartition(".")[2] for name, entry in cli.COMMANDS.items())


def test_its_help_has_a_line_a_command_and_imports_nothing_heavy():
    said = run("--help").splitlines()
    assert said[-1] == "0"
    for name, entry in cli.COMMANDS.items():
        assert any(line.split() == [name, *entry.summary.split()] and len(line) < 100 for line in said)


def test_its_version_is_the_package_s(capsys, monkeypatch):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"convnext-nas {metadata.version('convnext-nas')}\n"
    monkeypatch.setattr(cli, "PROGRAM", "not-there")
    assert cli.version() == "(not installed)"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["serch"], "convnext-nas: 'serch' is no command; did you mean search?"),
        (["x\ny"], r"convnext-nas: 'x\ny' is no command; there are search, measure,"),
        ([""], "convnext-nas: '' is no command; there are search, measure,"),
        (["--nope"], "convnext-nas: unrecognized arguments: --nope"),
        (["search", "--budget", "3x"], "convnext-nas search: budget '3x'"),
        (["describe", "nothing"], "convnext-nas describe: "),
        (["compare", "--nope"], "convnext-nas compare: "),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(argv, says, capsys):
    try:
        code = cli.main(argv)
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    assert code == 2 and said.err.startswith(says) and said.err.count("\n") == 1 and not said.out


def test_a_command_is_called_as_it_was_asked_for(capsys):
    assert cli.main(["describe", "convnext_tiny"]) == 0
    assert "28,589,128" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["export", "--help"])
    assert capsys.readouterr().out.startswith("usage: convnext-nas export ")
    assert Command.called is None  # `python -m` has its own name


BASH = r"""
eval "$(register-python-argcomplete convnext-nas)"
for line in "$@"; do
    COMP_LINE="$line" COMP_POINT=${#line} COMP_TYPE=9
    read -ra COMP_WORDS <<< "$line"; [[ "$line" == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    _python_argcomplete convnext-nas "${COMP_WORDS[-1]}" ""
    echo "${COMPREPLY[@]}"
done
"""


def test_bash_completes_commands_flags_and_values(tmp_path):
    script = tmp_path / "convnext-nas"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom analysis.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "study.db").touch()
    cases = {
        "convnext-nas se": ["search"],
        "convnext-nas search --bud": ["--budget"],
        "convnext-nas search --sampler e": ["evolution"],
        "convnext-nas export --to n": ["native"],
        "convnext-nas dashboard mi": ["mine"],
    }
    path = os.pathsep.join([str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [shutil.which("bash"), "-c", BASH, "bash", *cases], cwd=tmp_path, env=environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line.split() for line in done.stdout.splitlines()] == list(cases.values())
