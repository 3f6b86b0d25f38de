"""What commands share, as far as their own tests do not see it."""

import gc
import subprocess
import sys

import pytest

from space.command import made_to_stay


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
