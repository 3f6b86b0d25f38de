"""The command that compares: published numbers, one's own, and confirmed studies."""

import csv
import json

import pytest

from analysis.compare import main
from nas.verdict.confirm import LEVEL


def test_the_published_plane(capsys):
    assert main(["--published", "--noise", "0.1"]) == 0
    out = capsys.readouterr().out
    for line in (
        "ConvNeXt-T less Swin-T: +0.8 points, 90% interval +0.6 to +1.0: better.",
        "ConvNeXt-S less Swin-S: +0.1 points, 90% interval -0.1 to +0.3: not distinguishable.",
        "ConvNeXt-B less Swin-B: +0.3 points, 90% interval +0.1 to +0.5: better.",
        "swin, error = a + b F^-c over 3 networks: a not identified",
        "Sources: convnext: ConvNeXt paper Table 1; swin: ConvNeXt paper Table 1; imagenet-1k, 224 px.",
    ):
        assert line in out
    assert main(["--published", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [pair["difference"] for pair in found["pairs"]] == pytest.approx([0.8, 0.1, 0.3])
    assert {pair["verdict"] for pair in found["pairs"]} == {None}
    assert "3 networks for 3 parameters" in found["fits"][1]["a"]["reason"]


def test_own_results_beside_the_published_ones(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("name,family,resolution,pretrain,top1,gflops,seed\n"
                    "A,mine,224,imagenet-1k,83.0,4.45,0\nA,mine,224,imagenet-1k,83.2,4.45,1\n")  # fmt: skip
    alone = ["--published", "--results", str(path), "--family", "mine", "--noise", "0.1"]
    assert main(alone) == 2  # another source is never taken without a word
    message = "mine.csv has no swin under these conditions; --against-source names another (ConvNeXt paper"
    assert message in capsys.readouterr().err
    flags = [*alone, "--against-source", "ConvNeXt paper Table 1"]
    assert main(flags) == 0
    out, error = capsys.readouterr()
    assert error == "analysis.compare: mine.csv: 2 rows, all read\n"
    assert "A less Swin-T: +1.8 points" in out and "over 1 network: not identified" in out
    assert "Sources: mine: mine.csv; swin: ConvNeXt paper" in out
    other = [*alone, "--against-source", "Swin-Transformer README", "--csv", str(tmp_path / "x.csv")]
    assert main(other) == 0
    (row,) = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
    assert row["other_source"] == "Swin-Transformer README" and row["verdict"] == "better"
    capsys.readouterr()
    path.write_text("name,top1\n")
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith(f"analysis.compare: {path}: no rows")


# rows of pytorch-image-models' results/ folder
WEIGHTS = {
    "convnext_tiny_hnf.a2h_in1k": (82.216, 4.47, 84.9), "convnext_tiny.fb_in1k": (82.066, 4.47, 87.324),
    "convnext_small.fb_in1k": (83.138, 8.71, 88.182), "convnext_base.fb_in1k": (83.82, 15.38, 88.408),
    "convnext_pico.d1_in1k": (79.526, 1.37, 86.0), "convnext_tiny.in12k_ft_in1k": (84.186, 4.47, 89.0),
    "swin_tiny_patch4_window7_224.ms_in1k": (81.376, 4.51, 86.684),
    "swin_small_patch4_window7_224.ms_in1k": (83.208, 8.77, 87.768),
    "swin_base_patch4_window7_224.ms_in1k": (83.606, 15.47, 87.936),
    "swin_s3_tiny_224.ms_in1k": (82.134, 4.64, 86.9), "resnet50.a1_in1k": (80.2, 4.11, 85.9),
    "resnet50.a2_in1k": (79.8, 4.11, 85.8), "resnet50.tv_in1k": (76.1, 4.11, 82.9),
    "resnet101.a1_in1k": (81.3, 7.83, 86.9), "convnextv2_tiny.fcmae_ft_in1k": (82.95, 4.47, 87.5),
}  # fmt: skip


@pytest.fixture
def timm(tmp_path):
    """timm's files: validation, ReaL labels, costs."""
    rows = {"results-imagenet.csv": 0, "results-imagenet-real.csv": 2}
    for name, column in rows.items():
        lines = [f"{model},{found[column]},28.6,224" for model, found in WEIGHTS.items()]
        (tmp_path / name).write_text("\n".join(["model,top1,param_count,img_size", *lines]))
    costs = {f"{model.partition('.')[0]},224,{found[1]}" for model, found in WEIGHTS.items()}
    (tmp_path / "benchmark.csv").write_text("\n".join(["model,infer_img_size,infer_gmacs", *sorted(costs)]))
    return tmp_path


def differences(argv, capsys):
    assert main(["--published", "--json", *argv]) == 0
    found = json.loads(capsys.readouterr().out)
    return found, [(p["network"], p["other"], round(p["difference"], 1)) for p in found["pairs"]]


def test_results_are_compared_within_their_source_and_one_recipe(timm, capsys):
    results = ["--results", str(timm / "results-imagenet.csv"), str(timm / "benchmark.csv")]
    found, pairs = differences(results, capsys)
    assert pairs == [
        (f"convnext_{size}.fb_in1k", f"swin_{size}_patch4_window7_224.ms_in1k", difference)
        for size, difference in (("tiny", 0.7), ("small", -0.1), ("base", 0.2))
    ]
    assert main([*results, "--json"]) == 0  # results are published ones
    assert json.loads(capsys.readouterr().out) == found
    text = " ".join(found["sentences"])
    assert (
        "convnext: 3 networks of the recipe fb_in1k, which most have; left out: 1 weights of other " in text
    )
    assert "(d1_in1k), and with them 1 network that it lacks: --recipe takes another." in text
    assert "Sources: convnext: results-imagenet.csv; swin: results-imagenet.csv; imagenet-1k, 224 px." in text
    # the paper's own numbers, and one's own less the paper's where that is asked for
    _, pairs = differences([], capsys)
    assert [p[2] for p in pairs] == [0.8, 0.1, 0.3]
    _, pairs = differences([*results, "--against-source", "ConvNeXt paper Table 1"], capsys)
    assert [p[2] for p in pairs] == [0.8, 0.1, 0.3]


def test_two_test_sets_are_never_compared(timm, capsys):
    real = ["--results", str(timm / "results-imagenet-real.csv"), str(timm / "benchmark.csv")]
    found, pairs = differences(real, capsys)
    assert [p[2] for p in pairs] == [0.6, 0.4, 0.5]  # not +5.3 points above another source's Swin
    assert found["conditions"] == "imagenet-1k, 224 px, imagenet-1k val, ReaL labels"
    assert main(["--published", *real, "--against-source", "ConvNeXt paper Table 1"]) == 2
    error = capsys.readouterr().err
    assert "is of imagenet-1k val, ReaL labels, that of ConvNeXt paper Table 1 of imagenet-1k val" in error
    both = [*real, str(timm / "results-imagenet.csv")]
    assert main(["--published", *both]) == 2
    assert "convnext has several sources (results-imagenet-real.csv" in capsys.readouterr().err
    found, pairs = differences([*both, "--source", "results-imagenet.csv"], capsys)
    assert "Nothing of results-imagenet-real.csv is compared: --source" in " ".join(found["sentences"])


def test_a_network_counts_once_however_many_weights_it_has(timm, capsys):
    results = ["--results", str(timm / "results-imagenet.csv"), str(timm / "benchmark.csv")]
    found, pairs = differences([*results, "--family", "resnet", "--against", "resnet"], capsys)
    assert [p[0] for p in pairs] == ["resnet50.a1_in1k", "resnet101.a1_in1k"]
    assert found["fits"][0]["networks"] == 2
    _, pairs = differences([*results, "--family", "convnextv2"], capsys)
    assert [p[0] for p in pairs] == ["convnextv2_tiny.fcmae_ft_in1k"]
    tv = ["--family", "resnet", "--recipe", "tv_in1k", "--against", "resnet", "--against-recipe", "a2_in1k"]
    _, pairs = differences([*results, *tv], capsys)
    assert [p[2] for p in pairs] == [-3.7]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--source", "ConvNeXt paper Table 1"], "Nothing of results-imagenet.csv is compared: --source "
         "'results-imagenet.csv' takes convnext from it"),
        (["--pretrain", "imagenet-22k", "--against", "convnext"],
         "--pretrain and --resolution name where it has convnext (imagenet-1k at 224 px, imagenet-12k at"),
        (["--recipe", "a2"], "convnext has no recipe 'a2' here; there is d1_in1k, fb_in1k"),
        (["--pretrain", "imagnet"], "no pretrain 'imagnet'; there is imagenet-12k, imagenet-1k, "),
        (["--resolution", "225"], "no resolution 225; there is 224, 384"),
        (["--test-set", "val"], "no test set 'val'; there is imagenet-1k val"),
        (["--family", "resnet"], "no networks of resnet (2 networks of the recipe a1_in1k, 4.11 to 7.83 "
         "GFLOPs) and swin (3 networks of the recipe ms_in1k, 4.51 to 15.5 GFLOPs) agree in FLOPs within 2%"),
    ],
)  # fmt: skip
def test_what_would_use_the_results_is_said(timm, argv, message, capsys):
    results = ["--results", str(timm / "results-imagenet.csv"), str(timm / "benchmark.csv")]
    assert main(["--published", *results, *argv]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--published", "--noise", "nan"], "invalid number above 0 value: 'nan'"),
        (["--published", "--noise", "1e400"], "invalid number above 0 value"),
        (["--published", "--resolution", "9" * 5000], "invalid int value"),
        (["--published", "--csv", "/dev/null/x.csv"], "/dev/null/x.csv: cannot be written"),
        ([], "which study?"),
        (["x", "--published"], "--published takes no study"),
        (["x", "--noise", "0.1"], "--noise belongs to --published"),
        (["--results", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["x", "--results", "nowhere.csv"], "--results takes no study"),
        (["--published", "--noise", "-1"], "invalid number above 0 value"),
        (["--published", "--results", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["/nowhere/study"], "no such study"),
    ],
)
def test_mistakes_are_one_line(argv, message, capsys):
    try:
        code = main(argv)
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2 and message in error
    assert error.startswith("analysis.compare: ") and error.count("\n") == 1


def test_a_confirmed_sweep_from_search_to_answer(tmp_path, capsys):
    from nas.search import main as search

    folder = tmp_path / "sweep"
    argv = ["--budget", "0.6GFLOPs,1.2GFLOPs", "--proxy", "simulated:separable", "--trials", "6"]
    assert search([*argv, "--sampler", "random", "--confirm", "2x3", "--study", str(folder)]) == 0
    capsys.readouterr()
    table = tmp_path / "pairs.csv"
    assert main([str(folder), "--csv", str(table)]) == 0
    out = capsys.readouterr().out
    assert "3 fresh seeds, paired, the best of 2 confirmed" in out
    assert "Mean over 2 pairs at equal FLOPs, searched less ConvNeXt, free of the choice" in out
    assert "FLOPs at equal accuracy, searched front against ConvNeXt's" in out
    rows = list(csv.DictReader(table.read_text().splitlines()))
    convnext = [row for row in rows if row["family"] == "ConvNeXt"]
    assert [row["budget"] for row in convnext] == ["0.6GFLOPs", "1.2GFLOPs"]
    assert {row["fresh"] for row in rows} == {"True"}
    assert main([str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["families"][0]["mean"]["verdict"] in ("better", "worse", "not distinguishable")
    assert found["level"] == LEVEL
