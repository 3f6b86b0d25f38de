"""Settings from flags and study files: typed, and every mistake one line."""

import pytest

from nas.plan.settings import parse_duration, read_settings
from space.errors import InputError


def test_flags_override_the_study_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("budget: 600MFLOPs\ntrials: 9\nband: [0.9, 1.0]\nseed: 3\n")
    settings = read_settings({"trials": 4, "seed": None}, path)
    assert (settings.budget, settings.trials, settings.seed) == ("600MFLOPs", 4, 3)
    assert settings.band == (0.9, 1.0)


def test_a_band_is_two_shares():
    assert read_settings({"budget": "1G", "band": "0.9:1.1"}, None).band == (0.9, 1.1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5m", 90), ("1h2m3s", 3723)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "--budget is missing"),
        ({"budget": "1G", "trials": 0}, "--trials: input should be greater than or equal to 1, not 0"),
        ({"budget": "1G", "seed": -1}, "--seed: input should be greater than or equal to 0, not -1"),
        ({"budget": "1G", "sampler": "best"}, "'surrogate', not 'best'"),
        ({"budget": "1G", "band": "0.9"}, "--band: '0.9': write it like 0.95:1, two shares of the budget"),
        ({"budget": "1G", "time_limit": "1h30"}, "time limit '1h30': write it like 90s"),
        ({"budget": "1G", "time_limit": "soon"}, "time limit 'soon': write it like 90s, 10m or 1h30m"),
        ({"budget": "1G", "time_limit": "0s"}, "must be more than nothing"),
        ({"budget": ""}, "budget"),
    ],
)
def test_a_bad_flag_is_one_line(flags, message):
    with pytest.raises(InputError) as caught:
        read_settings(flags, None)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget: 1G\ntrails: 3\n", "trails: unknown key; the keys are proxy, data, seed"),
        ("- budget\n", "must be a mapping"),
        ("budget: [\n", "not YAML"),
        ("budget: 1G\ntrials: many\n", "not 'many'"),
    ],
)
def test_a_bad_study_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "study.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_settings({}, path)
    assert message in str(caught.value) and "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_missing_study_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        read_settings({}, tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"confirm": "3"}, "confirm '3': write it like 3x3"),
        ({"confirm": "3x0"}, "confirm '3x0': write it like 3x3"),
        ({"engine": "ray", "gpu_memory": "lots"}, "gpu-memory 'lots': write it like 40GB"),
        ({"engine": "ray", "gpu_memory": "9" * 23 + "TB"}, "gpu-memory '999"),
        ({"workers": 2}, "workers needs --engine ray"),
        ({"ray_address": "auto"}, "--ray-address needs --engine ray"),
        ({"engine": "ray", "threads": 2}, "threads is for --engine local"),
        ({"engine": "spark"}, "--engine: input should be 'local' or 'ray', not 'spark'"),
        ({"scheduler": "median"}, "not 'median'"),
        ({"eta": 1}, "--eta: input should be greater than or equal to 2, not 1"),
        ({"objective": "both"}, "not 'both'"),
    ],
)
def test_what_does_not_go_together_is_refused(values, message):
    with pytest.raises(InputError) as caught:
        read_settings({"budget": "1G", **values}, None)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_sizes_and_confirmations_are_read():
    settings = read_settings({"budget": "1G", "confirm": "3x4", "engine": "ray", "gpu_memory": "24GiB"}, None)
    assert settings.confirmations == (3, 4) and settings.gpu_bytes == 24 * 2**30
    assert read_settings({"budget": "1G"}, None).confirmations == (0, 0)
