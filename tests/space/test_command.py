"""What commands share, as far as their own tests do not see it."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from space.command import Command, made_to_stay


@pytest.fixture
def frozen():
    """How many objects the collector does not look through; as before afterwards."""
    yield gc.get_freeze_count
    gc.unfreeze()


def test_what_is_made_meanwhile_is_not_looked_through(frozen):
    with made_to_stay():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled() and frozen() > len(made)


def test_the_collector_is_left_as_it_was(frozen):
    with pytest.raises(KeyError), made_to_stay():
        raise KeyError
    assert gc.isenabled()
    gc.disable()
    try:
        with made_to_stay():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_command_ends_without_looking_for_cycles():
    code = (
        "from space.command import Command\n"
        "Command(), Command()\n"
        "class Left:\n"
        "    def __del__(self): print('looked')\n"
        "left = Left(); left.itself = left; del left\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == ""


def ended(act, **streams):
    """Exit code, stdout and stderr of a command that does this."""
    code = f"import os, sys\nfrom space.command import Command\nfrom space.errors import InputError\n{act}\n"
    code += "sys.exit(Command(prog='python -m the.command').carry_out(act))"
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False, **streams
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("body", "code", "line"),
    [
        ("pass", 0, ""),
        ("return 7", 7, ""),
        ("raise InputError('no\\nsuch \\x1b[0m thing')", 2, "the.command: no such \\x1b[0m thing\n"),
        ("raise KeyboardInterrupt", 130, "the.command: interrupted\n"),
        ("raise MemoryError", 1, "the.command: out of memory\n"),
        ("os.mkdir('n' * 300)", 2, f"the.command: {'n' * 300}: File name too long\n"),
        ("raise OSError(28, 'No space left on device')", 2, "the.command: No space left on device\n"),
    ],
)
def test_whatever_ends_a_command_is_a_code_and_a_line(body, code, line):
    assert ended(f"def act(): {body}") == (code, line)


def test_a_line_is_cut_short_whatever_it_quotes():
    code, line = ended("def act(): os.mkdir('n' * 5000)")
    assert code == 2 and line.startswith("the.command: nnn") and line.endswith("nnn: File name too long\n")
    assert len(line) < 1300


@pytest.mark.parametrize("flag", ["--number=--", "--number="])
def test_a_flag_whose_value_is_dashes_or_nothing(capsys, flag):
    command = Command(prog="python -m the.command")
    command.add_argument("--number", type=int)
    with pytest.raises(SystemExit) as ends:
        command.parse_args([flag])
    assert ends.value.code == 2
    assert capsys.readouterr().err.startswith("the.command: argument --number: ")


def test_a_bug_is_a_traceback():
    code, said = ended("def act(): raise KeyError('bug')")
    assert code == 1 and "Traceback" in said


def test_a_full_or_closed_stdout_is_no_traceback():
    act = "def act(): print('x' * 100_000)"
    with Path("/dev/full").open("w") as full:
        assert ended(act, stdout=full) == (2, "the.command: No space left on device\n")
        assert ended("def act(): print('x')", stdout=full) == (2, "the.command: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    assert ended(act, stdout=writer) == (141, "")
    os.close(writer)
    closed = {"preexec_fn": lambda: os.close(1)}
    assert ended(act, **closed) == (0, "")


def test_a_full_stderr_and_a_help_that_cannot_be_read():
    code = "import sys\nfrom space.command import Command\nCommand(prog='python -m the.command').parse_args()"
    with Path("/dev/full").open("w") as full:
        for flag, streams, line in (
            ("--nope", {"stderr": full}, None),
            ("--help", {"stdout": full, "stderr": subprocess.PIPE}, "the.command: No space left on device\n"),
            ("--help", {"stdout": full, "stderr": full}, None),
        ):
            done = subprocess.run([sys.executable, "-c", code, flag], text=True, check=False, **streams)
            assert (done.returncode, done.stderr) == (2, line)


def test_nothing_is_said_on_stdout_where_stderr_is_closed():
    for act in ("def act(): raise InputError('no')", "def act(): Command(prog='x').parse_args(['--nope'])"):
        code = f"import sys\nfrom space.command import Command\nfrom space.errors import InputError\n{act}\n"
        code += "sys.exit(Command(prog='x').carry_out(act))"
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")


def test_what_a_terminal_cannot_show_is_written_out():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    assert ended("def act(): print('ü\\udcff')", env=environment, stdout=subprocess.DEVNULL) == (0, "")
