"""Laws of families that others trained, held against networks beyond the fit."""

import json
import math

import pytest

from analysis import scale
from analysis.laws.fit import fit_law
from analysis.points.packaged import packaged_points

REGNET = ["--results", "--source", "pycls MODEL_ZOO", "--fit-to", "6.5GFLOPs", "--to", "64GFLOPs"]


def test_regnets_beyond_the_fit_are_where_the_law_of_the_small_ones_says(capsys):
    # recorded in studies/scaling/README.md
    assert scale.main([*REGNET, "--json"]) == 0
    found = {one["family"]: one for one in json.loads(capsys.readouterr().out)}
    assert {name: one["networks"] for name, one in found.items()} == {"regnetx": 8, "regnety": 8}
    beyond = [held for one in found.values() for held in one["beyond"]]
    assert [round(held["gflops"]) for held in beyond] == [8, 12, 16, 32] * 2
    assert [held["name"] for held in beyond if not held["inside"]] == ["RegNetX-8.0GF"]
    errors = [abs(held["error"] - held["predicted"]["value"]) for held in beyond]
    assert max(errors) < 0.22
    exponent = found["regnetx"]["parameters"]["c"]
    assert (exponent["low"], exponent["high"]) == pytest.approx((0.473, 0.52), abs=0.005)


def test_a_network_scatters_more_than_its_law():
    points = [p for p in packaged_points() if p.family == "regnety" and p.gflops < 6.5]
    fit = fit_law([p.gflops for p in points], [p.error for p in points])
    (law,), (network,) = fit.predict_intervals([16.0]), fit.predict_networks([16.0])
    assert network.low < law.low < law.high < network.high
    spread = math.sqrt(float((fit.residuals**2).sum()) / (8 - 3))
    assert network.high - network.value > 2 * spread  # Student's t of 5 at 90%: 2.02


def test_a_prediction_may_be_known_where_no_parameter_is(capsys):
    paper = ("--source", "ConvNeXt paper Table 1", "--pretrain", "imagenet-1k", "--resolution", "224")
    assert scale.main(["--results", "--to", "100G", *paper]) == 0
    out = capsys.readouterr().out
    assert "over 4 networks: a not identified: the interval" in out
    assert "c not identified" in out and "A network of 100 GFLOPs: 15.27% error (14.05 to 16.07)." in out


def test_laws_are_over_parameters_and_activations_too(capsys):
    for to, key in (("200Mparams", "params"), ("50Mactivations", "activations")):
        argv = ["--results", "--source", "pycls MODEL_ZOO", "--family", "regnetx", "--to", to]
        assert scale.main([*argv, "--fit-to", f"20M{key}", "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert found[key] == float(to.partition("M")[0]) and found["networks"] + len(found["beyond"]) == 12
        assert all(held[key] > 20 for held in found["beyond"]) and "gflops" not in found
        assert scale.main(argv) == 0
        assert (
            f", F in M {'parameters' if key == 'params' else key}, over 12 networks"
            in capsys.readouterr().out
        )


def test_laws_are_over_throughput_of_a_device(tmp_path, capsys):
    mine = tmp_path / "mine.csv"
    rows = [f"n{i},mine,224,none,{90 - 20 * 2 ** (-i / 2):.4f},{2**i},{4000 / 2**i},card" for i in range(8)]
    head = "name,family,resolution,pretrain,top1,gflops,images_per_s,device\n"
    mine.write_text(head + "\n".join(rows) + "\n")
    argv = ["--results", str(mine), "--source", "mine.csv", "--to", "10images/s", "--fit-to", "100images/s"]
    assert scale.main([*argv, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    # error = 10 + 20 (ms / .25)^-.5
    assert found["parameters"]["c"]["value"] == pytest.approx(0.5, abs=0.01)
    assert (found["images_per_s"], found["device"], found["networks"]) == (10, "card", 6)
    assert [held["images_per_s"] for held in found["beyond"]] == [62.5, 31.25]
    assert found["error"]["value"] == pytest.approx(11, abs=0.01)
    assert scale.main([*argv, "--device", "card"]) == 0
    out = capsys.readouterr().out
    assert ", F in ms an image on card, over 6 networks" in out
    assert "A network of 10 images/s on card: 11.00% error" in out and "n7, 31.2 images/s on card" in out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--to", "15G"], "which study? Give a name under runs/ or a folder, or --results"),
        (["sweep", "--to", "15G", "--results"], "--results takes no study"),
        (["sweep", "--to", "15G", "--fit-to", "6G"], "--fit-to belongs to --results"),
        (["--results", "--to", "1G..2G"], "--to 1G..2G: write one cost like 15.4GFLOPs, 30Mparams or"),
        (["--results", "--to", "30Mparams", "--fit-to", "6G"], "--fit-to 6G: not the cost of --to 30Mparams"),
        (
            ["--results", "--to", "9images/s"],
            "--to 9images/s: on which device? --device names one: V100, A100",
        ),
        (["--results", "--to", "0images/s", "--device", "V100"], "--to 0images/s: must be above 0"),
        (
            ["--results", "--to", "9images/s", "--device", "TPU"],
            "--device 'TPU': no result has it; there is V",
        ),
        (["--results", "--to", "9images/s", "--source", "pycls MODEL_ZOO"], "no result has a throughput"),
        (["--results", "--to", "15G", "--device", "V100"], "--device belongs to a throughput such as"),
        (["sweep", "--to", "15G", "--device", "V100"], "--device belongs to --results"),
        (["--results", "--to", "15G", "--family", "resnext"], "--family 'resnext': no result has it"),
        (["--results", "--to", "15G", "--fit-to", "1M"], "no family has 4 networks up to 1M on one plane"),
    ],
)
def test_mistakes_are_one_line(argv, message, capsys):
    try:
        code = scale.main(argv)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
