"""What a loss that forgives outliers costs where there are none."""

import pytest
from scipy.stats import norm

from analysis.laws.losses import LOSSES


def test_squares_cost_nothing_and_the_others_are_95_percent_efficient():
    assert LOSSES["squared"].variance == pytest.approx(1, abs=1e-12)
    for name in ("huber", "soft_l1"):
        assert 1 / LOSSES[name].variance == pytest.approx(0.95, abs=1e-3)


def test_huber_s_variance_is_that_of_its_closed_form():
    k = LOSSES["huber"].tuning
    inside = 2 * norm.cdf(k) - 1
    squared = inside - 2 * k * norm.pdf(k) + 2 * k**2 * norm.sf(k)
    assert LOSSES["huber"].variance == pytest.approx(squared / inside**2, rel=1e-5)
