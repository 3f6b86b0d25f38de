"""Numbers as people read them."""

import pytest

from space.words import duration, percentage


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.004, "0.004 s"), (0.25, "0.25 s"), (0.96, "1 s"), (42.4, "42 s"), (59.6, "1 min 00 s"),
        (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (3725, "1 h 02 min"), (359_999, "99 h 59 min"),
        (363_000, "4.2 days"),
    ],
)  # fmt: skip
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_percentages():
    assert [percentage(0.5704), percentage(0.0), percentage(None)] == ["57.0%", "0.0%", "-"]
