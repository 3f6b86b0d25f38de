"""Where a search looks first whether trainings may stop early, without being told to."""

import argparse

import pytest

from nas.plan.effort import Effort
from nas.plan.flags import add_search_flags
from nas.plan.plan import Plan
from nas.plan.settings import Settings, read_settings
from space.errors import InputError


def effort(sampler, trials=18, epochs=9, front=False, **settings):
    settings = Settings(budget="20M", sampler=sampler, trials=trials, **settings)
    return Effort(settings, "simulated:separable", epochs, [[]], front)


def test_long_searches_for_the_best_network_look_first_with_a_sampler_that_never_lost_by_it():
    sampler = "tpe"
    assert effort(sampler).scheduler == {"name": "auto", "eta": 3, "levels": [1, 2, 4, 9]}
    assert effort(sampler).gate(18).look == 6
    for other in (
        effort(sampler, trials=17), effort(sampler, epochs=8), effort(sampler, front=True),
        effort(sampler, scheduler="none"),
    ):  # fmt: skip
        assert other.scheduler["name"] == "none" and other.gate(18) is None
    assert effort(sampler, scheduler="asha").scheduler["name"] == "asha"


@pytest.mark.parametrize("sampler", ["surrogate", "random", "evolution", "gp", "nsga2"])
def test_other_samplers_look_first_only_where_they_are_told(sampler):
    assert effort(sampler, trials=100, epochs=100).scheduler["name"] == "none"
    assert effort(sampler, scheduler="auto").scheduler["name"] == "auto"


def test_a_study_that_becomes_longer_keeps_its_scheduler():
    def asked(**values):
        common = {"budget": "20M..40M", "objective": "best", "space": "micro", "sampler": "tpe"}
        return Plan.of(Settings(**common | {"proxy": "simulated:separable"} | values)).asked()

    short, long = asked(trials=10), asked(trials=30)
    assert (short["scheduler"], long["scheduler"]) == ("none", "auto")
    assert asked(**short | {"trials": 30})["scheduler"] == "none"


def test_the_help_names_it_and_says_where_it_is_the_default():
    parser = argparse.ArgumentParser()
    add_search_flags(parser)
    text = " ".join(parser.format_help().split())
    assert "auto trains a third fully" in text and "auto for long searches with tpe" in text


@pytest.mark.parametrize("flags", [{"eta": 4}, {"min_epochs": 2}])
def test_settings_of_rungs_are_refused_where_nothing_stops_early(flags):
    common = {"budget": "20M..40M", "space": "micro", "proxy": "simulated:separable"}
    (name,) = flags
    for more in ({}, {"scheduler": "none"}, {"sampler": "tpe", "trials": 10}):
        with pytest.raises(InputError, match=f"--{name.replace('_', '-')}: nothing stops trainings early"):
            Plan.of(read_settings({**common, **more, **flags}, None))
    for more in ({"scheduler": "asha"}, {"sampler": "tpe", "trials": 40, "objective": "best"}):
        Plan.of(read_settings({**common, **more, **flags}, None))


def test_a_band_beside_a_range_is_refused():
    range_ = {"budget": "20M..40M", "space": "micro", "proxy": "simulated:separable", "band": "0.5:1"}
    with pytest.raises(InputError, match="--band: a range of costs has its own ends"):
        Plan.of(read_settings(range_, None))
    Plan.of(read_settings(range_ | {"budget": "40M"}, None))
