"""How to divide a compute between network and images, from results and from studies, or why none can tell."""

import csv
import dataclasses
import functools
import json

import numpy as np
import pytest

from analysis import scale
from analysis.comparison.division import SCALE, compute_of, compute_words, divided, grids_of_studies
from analysis.comparison.families import planes
from analysis.points.own import read_results
from nas.record.study import Study
from space.errors import InputError
from tests.analysis.isoflop.test_profiles import sweep_of
from tests.benchmarks.joint import best_n, truth

COLUMNS = ("name", "family", "pretrain", "resolution", "top1", "gflops", "images_seen_m", "recipe")


@pytest.fixture
def file(tmp_path):
    """Networks of 0.1 to 10 GFLOPs and 0.05 to 5 million images by the law of the benchmark, with noise."""
    rng, path = np.random.default_rng(0), tmp_path / "grid.csv"
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        for i, n in enumerate(np.geomspace(0.1, 10, 7)):
            for d in np.geomspace(0.05, 5, 5):
                error = float(truth(n, d)) * np.exp(0.005 * rng.standard_normal())
                rows.writerow([f"net-{i}", "mine", "none", 32, round(100 - error, 3), n, d, "short"])
    return path


def test_a_compute_is_divided_as_the_law_of_the_results_says(file, capsys):
    argv = ["--results", str(file), "--compute", f"{50 * SCALE:g}"]
    assert scale.main([*argv, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["networks"], found["trainings"], found["extrapolated"]) == (7, 35, True)
    assert found["gflops"]["low"] < best_n() < found["gflops"]["high"]
    assert found["where"] == "grid.csv, none, 32 px, imagenet-1k val, short"
    assert scale.main(argv) == 0
    out = capsys.readouterr().out
    assert "mine (grid.csv, none, 32 px" in out and "over 7 networks and 35 trainings" in out
    assert "150 PFLOPs: a network of" in out and "beyond the N and D that were tried" in out
    assert "--fit-to holds it against larger trainings" in out


def test_trainings_beyond_the_fit_are_held_against_it(file, capsys):
    argv = ["--results", str(file), "--compute", "1e17", "--fit-to", f"{5 * SCALE:g}", "--json"]
    assert scale.main(argv) == 0
    (found,) = json.loads(capsys.readouterr().out)
    beyond = [one for one in found["beyond"] if one["inside"]]
    assert found["trainings"] + len(found["beyond"]) == 35
    assert len(found["beyond"]) > 4 and len(beyond) >= 0.7 * len(found["beyond"])


def test_images_seen_are_part_of_the_recipe_so_that_no_law_of_one_cost_mixes_them(file):
    points = read_results(file)
    assert points[0].recipe == "short, 0.05 M images seen" and points[0].recipe_alone == "short"
    (plane,) = planes(points)
    assert len(plane.points) == 35 and len(plane.sides["mine"].points) == 7


# ---- studies --------------------------------------------------------------------------------------------


@functools.cache
def networks(seed):
    return sweep_of("0.6GFLOPs,1.2GFLOPs,2.4GFLOPs,4.5GFLOPs", 3, seed=seed)


def study(epochs, *, seed=0, **proxy):
    """Networks of a sweep, trained for so many epochs of 1,000 images."""
    sweep = networks(seed)
    rng = np.random.default_rng(epochs)
    errors = truth(np.array([trial.macs / 1e9 for trial in sweep.trials]), epochs / 10) / 100
    errors += 0.001 * rng.standard_normal(errors.size)
    trials = [
        dataclasses.replace(trial, accuracy=1 - error)
        for trial, error in zip(sweep.trials, errors, strict=True)
    ]
    facts = {"name": "cpu", "data": "fractal", "resolution": 32, "train_size": 1000, "epochs": epochs}
    return Study({**sweep.mapping, "name": f"e{epochs}", "proxy": {**facts, **proxy}}, trials)


def test_studies_of_several_epochs_are_one_grid_of_the_networks_that_all_trained():
    (grid,) = grids_of_studies([study(e) for e in (1, 3, 9, 27)])
    assert len(grid.trainings) == 4 * 12 and grid.note == "Networks that all of 4 studies trained."
    assert {one.images for one in grid.trainings} == {0.001, 0.003, 0.009, 0.027}
    (found,) = divided([grid], f"{SCALE * 0.02:g}")
    # D of the law is a hundred times the millions of images here
    beta = found.fit.parameters["beta"]
    assert beta.low < 0.55 < beta.high


def test_studies_without_common_networks_say_so_and_one_study_cannot_tell():
    (grid,) = grids_of_studies([study(1), study(3, seed=1)])
    assert len(grid.trainings) == 24 and "nas.measure trains the same networks again" in grid.note
    (found,) = divided([grid], "1e15")
    assert str(found.division.n) == "not identified: 2 values of D; a law with a floor needs 3"


def test_studies_that_differ_in_more_are_not_put_together():
    with pytest.raises(InputError, match="studies e1 and e3 differ in resolution: error"):
        grids_of_studies([study(1), study(3, resolution=64)])
    with pytest.raises(InputError, match="study e3: its trainings saw no images"):
        grids_of_studies([study(1), study(3, train_size=None)])


# ---- what is asked --------------------------------------------------------------------------------------


def test_a_compute_is_read_and_written_with_its_prefix():
    assert compute_of("5.2EFLOPs", "--compute") == compute_of("5.2e18", "--compute") == 5.2e18
    assert [compute_words(v) for v in (5.2e18, 1e21, 999.0, 2e9)] == [
        "5.2 EFLOPs", "1 ZFLOPs", "999 FLOPs", "2 GFLOPs",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--results", "--compute", "1e18"], "no result says how many images its training saw"),
        (
            ["sweep", "--compute", "1e18", "--to", "15G"],
            "what for? --to a budget of one network, or --compute",
        ),
        (["sweep"], "what for? --to a budget of one network, or --compute"),
        (["sweep", "other", "--to", "15G"], "--to takes one study; several belong to --compute"),
        (["sweep", "--compute", "1e18", "--out", "x.json"], "--out belongs to --to"),
        (
            ["--results", "FILE", "--compute", "5 hours"],
            "--compute '5 hours': the compute of a whole training",
        ),
        (
            ["--results", "FILE", "--compute", "1e18", "--fit-to", "1G"],
            "--fit-to 1G: no training has so little",
        ),
        (["--results", "FILE", "--compute", "1e18", "--family", "x"], "--family 'x': no such result has it"),
    ],
)
def test_mistakes_are_one_line(argv, message, file, capsys):
    try:
        code = scale.main([str(file) if word == "FILE" else word for word in argv])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
