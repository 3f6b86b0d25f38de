"""Checks that go wrong, for the tests of what runs them."""

import os
import time

from tests.gpu.checks import measured


def raises(setting):
    yield measured("before", "said")
    raise ValueError("a | b")


def dies(setting):
    yield measured("before", "said")
    os._exit(3)


def hangs(setting):
    yield measured("before", "said")
    time.sleep(60)


def speaks(setting):
    print("what a library prints is no event")
    yield measured("number", "2", number=2, endless=float("inf"))
