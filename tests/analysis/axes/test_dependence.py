"""Partial dependence against a known function, and against scikit-learn's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats.mstats import mquantiles
from sklearn.inspection import partial_dependence as sklearn_dependence

from analysis.axes.axes import axes_of
from analysis.axes.dependence import partial_dependence, quantile
from analysis.axes.regression import features, model


def test_partial_dependence_has_the_shape_of_the_function():
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-1, 1, (2, 200))
    curves = {c.axis: c for c in partial_dependence({"x": x, "z": z}, -(x**2) + 0.02 * rng.normal(size=200))}
    at, value = np.array(curves["x"].at), np.array(curves["x"].value)
    truth = -(at**2)
    assert np.abs(value - (truth - truth.mean())).max() < 0.03
    flat = curves["z"]
    assert all(low <= 0 <= high for low, high in zip(flat.low, flat.high, strict=True))


@given(
    hnp.arrays(float, st.integers(2, 60), elements=st.floats(-1e6, 1e6)), st.sampled_from((0.05, 0.5, 0.95))
)
def test_quantiles_are_scipys(values, share):
    assert quantile(values, share) == mquantiles(values, [share])[0]


def test_a_curve_is_what_scikit_learn_computes():
    rng = np.random.default_rng(1)
    columns = {"x": rng.uniform(-1, 1, 90), "kind": rng.choice(["a", "b", "c"], 90), "z": rng.normal(size=90)}
    accuracy = columns["x"] + (columns["kind"] == "b") + 0.1 * rng.normal(size=90)
    axes = axes_of(columns)
    x = features(axes)
    fitted = model(axes).fit(x, accuracy)
    for j, curve in enumerate(partial_dependence(columns, accuracy, resamples=3)):
        found = sklearn_dependence(
            fitted, x, [j], categorical_features=[1] if j == 1 else None, grid_resolution=9, method="brute"
        )
        expected = found["average"][0] - found["average"][0].mean()
        np.testing.assert_allclose(curve.value, expected, rtol=0, atol=1e-12)
        if j != 1:
            np.testing.assert_allclose(curve.at, found["grid_values"][0], rtol=0, atol=0)
