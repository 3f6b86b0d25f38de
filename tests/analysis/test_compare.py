"""The command that compares: published numbers, one's own, and confirmed studies."""

import csv
import json

import pytest

from analysis.compare import main
from analysis.confirm import LEVEL


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
    flags = ["--published", "--results", str(path), "--family", "mine", "--noise", "0.1"]
    assert main(flags) == 0
    out = capsys.readouterr().out
    assert "A less Swin-T: +1.8 points" in out and "over 1 network: not identified" in out
    assert "Sources: mine: mine.csv; swin: ConvNeXt paper" in out
    other = [*flags, "--against-source", "Swin-Transformer README", "--csv", str(tmp_path / "x.csv")]
    assert main(other) == 0
    (row,) = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
    assert row["other_source"] == "Swin-Transformer README" and row["verdict"] == "better"
    capsys.readouterr()
    path.write_text("name,top1\n")
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith(f"analysis.compare: {path}: no rows")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "which study?"),
        (["x", "--published"], "--published takes no study"),
        (["x", "--noise", "0.1"], "--noise belongs to --published"),
        (["--results", "x.csv"], "--results belongs to --published"),
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
