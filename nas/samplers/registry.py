"""The samplers, a line each: the one list that the search, its flags and the documents read."""

from __future__ import annotations

from space.registry import Entry

SAMPLERS: dict[str, Entry] = {
    "random": Entry("nas.samplers.uniform:Uniform", "uniform in the band"),
    "tpe": Entry("nas.samplers.wishes:Tpe", "Optuna's tree-structured Parzen estimator, kept in the band"),
    "gp": Entry("nas.samplers.wishes:Gp", "Optuna's Gaussian process, kept in the band"),
    "nsga2": Entry("nas.samplers.wishes:Nsga2", "Optuna's NSGA-II, kept in the band"),
    "evolution": Entry("nas.samplers.evolution:Evolution", "regularised evolution by in-band steps"),
    "surrogate": Entry(
        "nas.samplers.surrogate:Surrogate", "a Gaussian process with expected improvement, in the band"
    ),
}
DEFAULT = "surrogate"
