"""Partial dependence against a known function."""

import numpy as np

from analysis.dependence import partial_dependence


def test_partial_dependence_has_the_shape_of_the_function():
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-1, 1, (2, 200))
    curves = {c.axis: c for c in partial_dependence({"x": x, "z": z}, -(x**2) + 0.02 * rng.normal(size=200))}
    at, value = np.array(curves["x"].at), np.array(curves["x"].value)
    truth = -(at**2)
    assert np.abs(value - (truth - truth.mean())).max() < 0.03
    flat = curves["z"]
    assert all(low <= 0 <= high for low, high in zip(flat.low, flat.high, strict=True))
