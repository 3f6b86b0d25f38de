"""Results from CSV files: units by a column's name, joined by model and image size, one line a mistake."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.comparison.equal_flops import at_equal_flops
from analysis.laws.fit import fit_law
from analysis.points.own import read_files, read_results, table
from analysis.points.printed import CONVNEXT_PAPER, PublishedPoint, published_points, select
from analysis.points.timm_names import timm_family, timm_pretrain
from space.errors import InputError

HEADER = "name,family,resolution,pretrain,top1,gflops,params_m,seed\n"
MINE = HEADER + (
    "a,mine,224,imagenet-1k,82.0,4.5,28,0\n"
    "a,mine,224,imagenet-1k,82.4,4.5,28,1\n"
    "b,mine,224,imagenet-1k,83.0,8.7,50,0\n"
    "b,mine,224,imagenet-1k,83.2,8.7,50,1\n"
)


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_row_is_a_published_point_with_a_seed(write):
    first, *rest = read_results(write(MINE))
    assert isinstance(first, PublishedPoint) and len(rest) == 3
    assert (first.name, first.family, first.top1, first.gflops, first.params_m) == ("a", "mine", 82, 4.5, 28)
    assert (first.seed, first.source, first.error) == (0, "mine.csv", 18.0)
    assert first.place.endswith("mine.csv, line 2")


def test_the_column_says_the_unit(write):
    fractions = "name,family,resolution,pretrain,accuracy,macs,params\nx,f,224,p,0.821,4456000000,28589128\n"
    (point,) = read_results(write(fractions))
    assert (point.top1, point.gflops, point.params_m) == (82.1, 4.456, pytest.approx(28.589128))
    mega = "name,family,resolution,pretrain,top1,mflops\nx,f,224,p,70.1,600\n"
    (point,) = read_results(write(mega))
    assert point.gflops == 0.6 and math.isnan(point.params_m) and point.seed is None


def test_what_holds_for_the_whole_file_is_given_once(write):
    path = write("name,top1,gflops\nx,80,1\n")
    (point,) = read_results(path, family="f", pretrain="imagenet-1k", resolution=224, source="my runs")
    assert (point.family, point.pretrain, point.resolution, point.source) == (
        "f",
        "imagenet-1k",
        224,
        "my runs",
    )
    with pytest.raises(InputError, match="no column 'family'; where all rows have one family, each says it"):
        read_results(path)
    with pytest.raises(InputError, match="has a column 'family', so no family can be given"):
        read_results(write(MINE), family="other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINE.replace("82.4", "high"), "mine.csv, line 3: top1 'high' must be percent, from 0 to 100"),
        (MINE.replace("82.4", "182.4"), "line 3: top1 '182.4' must be percent"),
        (MINE.replace("82.4", "nan"), "line 3: top1 'nan' must be percent"),
        (MINE.replace("8.7,50,1", "-8.7,50,1"), "line 5: gflops '-8.7' must be above 0"),
        (MINE.replace("8.7,50,1", "8.7,50,1.5"), "line 5: seed '1.5' must be a whole number from 0"),
        (MINE.replace("b,mine,224", ",mine,224"), "line 4: no name"),
        (MINE.replace("b,mine,224", "b,mine,"), "line 4: no resolution"),
        (MINE + "c,mine\n", "line 6: 2 fields; the header has 8"),
        (MINE + "a,mine,224,imagenet-1k,82.0,4.5,28,0\n", "line 6: 'a' with seed 0 is there already"),
        (HEADER, "no rows under a header"),
        ("", "no rows under a header"),
        (MINE.replace("top1", "accuracy"), "line 2: accuracy '82.0' must be a fraction"),
        (MINE.replace("82.", "0.82").replace("83.", "0.83"), "top1 is in percent, and no row is above 1"),
        (MINE.replace("params_m", "top1"), "the column 'top1' is there twice"),
        (MINE.replace("params_m", "accuracy"), "two columns of accuracy, accuracy and top1: keep one"),
        (MINE.replace("params_m", "macs"), "two columns of cost, gflops and macs: keep one"),
        (MINE.replace("gflops", "flops"), "no column of cost: gflops or gmacs or mflops or macs"),
        (MINE.replace("params_m", "parms_m"), "unknown column 'parms_m'; there is accuracy"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_file_and_line(write, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_results(write(text))
    assert str(caught.value).startswith(str(write(text))) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "nowhere.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match="not a text file"):
        read_results(tmp_path / "picture.csv")


def test_spreadsheets_write_marks_spaces_and_empty_lines(write):
    text = "\ufeff" + MINE.replace(",mine,", ", mine ,") + "\n,,,,,,,\n"
    assert [point.family for point in read_results(write(text))] == ["mine"] * 4


def test_seeds_stand_side_by_side(write):
    found = table(read_results(write(MINE)))
    assert found.names == ("a", "b") and found.seeds == (0, 1)
    assert found.gflops.tolist() == [4.5, 8.7] and found.top1.tolist() == [[82.0, 82.4], [83.0, 83.2]]
    lacking = table(read_results(write(MINE.rsplit("b,", 1)[0])))
    assert lacking.seeds is None and lacking.top1.tolist() == [[82.2], [83.0]]
    with pytest.raises(InputError, match=r"'b' has several costs \(8.7, 9 GFLOPs\)"):
        table(read_results(write(MINE.replace("8.7,50,1", "9,50,1"))))
    assert table([]).top1.shape[0] == 0


def test_the_table_feeds_comparisons_and_fits(write):
    mine = table(read_results(write(MINE)))
    theirs = table(select(published_points(pool=("source", "pretrain", "resolution")), family="convnext",
                          source=CONVNEXT_PAPER, pretrain="imagenet-1k", resolution=224))  # fmt: skip
    found = at_equal_flops(mine.gflops, mine.top1, theirs.gflops, theirs.top1, noise=0.1)
    assert [pair.difference.value for pair in found.pairs] == pytest.approx([82.2 - 82.1, 83.1 - 83.1])
    fit = fit_law(theirs.gflops, 100 - theirs.top1.mean(axis=1), noise=0.1)
    assert fit.networks == 4


def test_nothing_is_pooled_unless_that_is_said(write):
    points = [*read_results(write(MINE)), *read_results(write(MINE, "again.csv"))]
    with pytest.raises(InputError, match=r"source differs \(mine.csv, again.csv\)"):
        select(points, family="mine")
    assert len(select(points, family="mine", pool=("source",))) == 8
    assert len(select(points, source="again.csv")) == 4
    with pytest.raises(InputError, match="no family 'swin' here; there is mine"):
        select(points, family="swin")


@given(st.floats(0.02, 1), st.floats(0.01, 99), st.integers(1, 10**12))
def test_fractions_and_percent_agree(accuracy, gflops, seed):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        start = "name,family,resolution,pretrain,seed,"
        path.write_text(f"{start}accuracy,macs\nx,f,224,p,{seed},{accuracy!r},{gflops * 1e9!r}\n")
        (fraction,) = read_results(path)
        path.write_text(f"{start}top1,gflops\nx,f,224,p,{seed},{100 * accuracy!r},{gflops!r}\n")
        (percent,) = read_results(path)
    assert fraction.top1 == pytest.approx(percent.top1, abs=1e-5) and fraction.seed == seed
    assert fraction.gflops == pytest.approx(percent.gflops)


# ---- timm -----------------------------------------------------------------------------------------------

# rows of pytorch-image-models' results/ folder
ACCURACIES = """model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation
eva_giant_patch14_336.clip_ft_in1k,89.466,10.534,98.826,1.174,"1,013.01",336,1.000,bicubic
convnext_tiny.fb_in1k,82.698,17.302,96.144,3.856,28.59,288,1.000,bicubic
swin_tiny_patch4_window7_224.ms_in1k,81.376,18.624,95.544,4.456,28.29,224,0.900,bicubic
mobilenetv3_large_150d.ra4_e3600_r256_in1k,81.800,18.200,95.900,4.100,14.62,320,1.000,bicubic
"""
COSTS = """model,infer_img_size,infer_samples_per_sec,infer_step_time,param_count,infer_gmacs,infer_macts
convnext_tiny,224,2500.11,409.5,28.59,4.47,13.44
convnext_tiny,288,1490.25,687.1,28.59,7.39,22.21
swin_tiny_patch4_window7_224,224,2100.85,487.4,28.29,4.51,17.06
eva_giant_patch14_336,336,50.1,1024,1013.01,620.64,550.67
mobilenetv3_large_150d,320,6128.32,167.083,14.62,,
"""


def test_timm_is_joined_by_model_and_image_size(write):
    accuracies, costs = write(ACCURACIES, "results-imagenet.csv"), write(COSTS, "benchmark-infer.csv")
    points, _ = read_files([costs, accuracies])
    by_name = {point.name: point for point in points}
    tiny = by_name["convnext_tiny.fb_in1k"]
    # top-1 was measured at 288 pixels: so are the FLOPs, not the 4.47 of 224
    assert (tiny.resolution, tiny.gflops, tiny.top1, tiny.params_m) == (288, 7.39, 82.698, 28.59)
    assert (tiny.family, tiny.pretrain, tiny.source) == ("convnext", "imagenet-1k", "results-imagenet.csv")
    assert by_name["eva_giant_patch14_336.clip_ft_in1k"].params_m == 1013.01
    assert tiny.recipe == "fb_in1k" and tiny.test_set == "imagenet-1k val"
    with pytest.raises(InputError, match="resolution differs"):
        select(points, pretrain="imagenet-1k")


def test_costs_at_another_size_are_no_costs(write):
    accuracies = write(ACCURACIES, "results-imagenet.csv")
    points, said = read_files(
        [accuracies, write(COSTS.replace("convnext_tiny,288", "other,288"), "benchmark.csv")]
    )
    assert "convnext_tiny.fb_in1k" not in {point.name for point in points}
    assert "without costs at their image size (convnext_tiny.fb_in1k" in said[1]
    with pytest.raises(InputError, match="no model has costs at its image size"):
        read_files([accuracies, write("model,infer_img_size,infer_gmacs\nother,224,4.47\n", "benchmark.csv")])


def test_timm_files_are_known_by_their_columns(write):
    accuracies, costs = write(ACCURACIES, "results-imagenet.csv"), write(COSTS, "benchmark-infer.csv")
    with pytest.raises(InputError, match=r"no file of costs: benchmark-infer"):
        read_files([accuracies])
    with pytest.raises(InputError, match=r"no file of accuracies: results-imagenet"):
        read_files([costs, write(MINE)])
    with pytest.raises(
        InputError,
        match=r"train.csv: no file of timm's that is read here.* infer_gmacs; in a file of",
    ):
        read_files([write("model,infer_img_size,train_step_time\nx,224,1\n", "train.csv")])


def test_of_files_that_count_otherwise_most_are_right_and_that_is_said(write):
    files = [write(ACCURACIES, "results-imagenet.csv"), write(COSTS, "benchmark-infer.csv")]
    again = "model,infer_img_size,infer_gmacs,infer_macts\nconvnext_tiny,288,9,1\n"
    files.append(write(again, "benchmark-infer-old.csv"))
    for most in (7.39, 9):
        points, said = read_files(files)
        (tiny,) = (point for point in points if point.name == "convnext_tiny.fb_in1k")
        assert (tiny.gflops, tiny.activations_m) == (most, {7.39: 22.21, 9: 1}[most])
        files.append(write(again, "benchmark-infer-older.csv"))
    assert said[0].endswith(
        "1 counted otherwise than in most files, convnext_tiny at 288 pixels 7.39, 9 kept"
    )
    # printed to two digits, another file may round otherwise
    _, said = read_files([*files[:2], write(again.replace(",9", ",7.4"), "again.csv")])
    assert not any("otherwise" in line for line in said)


def test_speeds_stand_by_device_and_activations_with_their_count(write):
    bare = "model,infer_img_size,infer_samples_per_sec\nconvnext_tiny,288,11.5\n"
    bare += "swin_tiny_patch4_window7_224,224,0\n"
    files = [
        write(ACCURACIES, "results-imagenet.csv"),
        write(COSTS, "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv"),
        write(bare, "benchmark-infer-fp32-cpu (1).csv"),  # as a browser calls a second download
    ]
    points, said = read_files(files)
    tiny, swin = (p for p in points if p.family in ("convnext", "swin"))
    assert said[1].endswith("2 rows, all read: speeds only, there is no column of GMACs")
    assert tiny.activations_m == 22.21
    assert dict(tiny.speeds) == {"amp-nhwc-pt240-cu124-rtx3090": 1490.25, "fp32-cpu": 11.5}
    assert dict(swin.speeds) == {"amp-nhwc-pt240-cu124-rtx3090": 2100.85}  # 0 of what did not run


@pytest.mark.parametrize(
    ("model", "pretrain"),
    [
        ("convnext_tiny.fb_in1k", "imagenet-1k"),
        ("deit_base_distilled_patch16_384.fb_in1k", "imagenet-1k"),
        ("vit_base_patch16_224.sam_in1k", "imagenet-1k"),  # an optimiser, no data set
        ("convnext_base.fb_in22k_ft_in1k_384", "imagenet-22k"),
        ("vit_base_patch16_384.augreg_in21k_ft_in1k", "imagenet-22k"),
        ("convnext_nano.in12k_ft_in1k", "imagenet-12k"),
        ("convnextv2_base.fcmae_ft_in1k", "imagenet-1k"),  # self-supervised, on the same images
        ("convnextv2_huge.fcmae_ft_in22k_in1k_512", "imagenet-22k"),
        ("hiera_base_224.mae_in1k_ft_in1k", "imagenet-1k"),
        ("beitv2_base_patch16_224.in1k_ft_in1k", "imagenet-1k+clip"),  # a teacher counts
        ("convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_384", "clip+laion+imagenet-12k"),
        ("tf_efficientnet_l2.ns_jft_in1k_475", "jft"),
        ("resnext101_32x16d.fb_swsl_ig1b_ft_in1k", "instagram"),
        ("hgnetv2_b6.ssld_stage2_ft_in1k", "imagenet-22k+ssld"),
        ("hgnetv2_b6.ssld_stage1_in22k_in1k", "imagenet-22k+ssld"),
        ("nextvit_large.bd_ssld_6m_in1k", "imagenet-1k+ssld-6m"),
        ("nextvit_large.bd_ssld_6m_in1k_384", "imagenet-1k+ssld-6m"),
        ("nextvit_large.bd_in1k_384", "imagenet-1k"),
        ("hgnet_base.ssld_in1k", "imagenet-1k+ssld"),
        ("hgnet_small.paddle_in1k", "imagenet-1k"),
        ("hrnet_w48_ssld.paddle_in1k", "imagenet-1k+ssld"),
        ("resnet50.a1_in1k", "imagenet-1k"),
        ("resnetv2_50x1_bit.goog_distilled_in1k", "imagenet-1k+teacher-22k"),
        ("tnt_s_patch16_224", None),  # no tag
        ("convnext_tiny.fancyset_in1k", None),  # what is not known is not guessed
        ("convnext_tiny.fb_in22k", None),  # no classifier of ImageNet-1K
        ("convnext_tiny.", None),
    ],
)
def test_the_tag_tells_what_the_weights_have_seen(model, pretrain):
    assert timm_pretrain(model) == pretrain


def test_families_of_timm():
    families = {
        "convnext_tiny.fb_in1k": "convnext", "convnext_tiny_hnf.a2h_in1k": "convnext_hnf",
        "convnext_nano_ols.d1h_in1k": "convnext_ols", "convnext_large_mlp": "convnext_mlp",
        "convnextv2_tiny": "convnextv2", "swin_base_patch4_window7_224": "swin",
        "swin_s3_tiny_224": "swin_s3",
        "swinv2_tiny_window8_256": "swinv2", "swinv2_cr_small_ns_224": "swinv2_cr",
        "deit_tiny_patch16_224": "deit", "deit3_small_patch16_224": "deit3",
        "deit_base_distilled_patch16_224": "deit_distilled", "inception_v3": "inception",
        "inception_next_tiny.sail_in1k": "inception_next", "inception_resnet_v2": "inception_resnet",
        "resnet50.a1_in1k": "resnet", "resnet50d.ra2_in1k": "resnet_d", "resnetrs50": "resnetrs",
        "wide_resnet50_2": "wide_resnet", "resnext50_32x4d": "resnext", "resnetv2_101": "resnetv2",
        "resnetv2_50x1_bit": "resnetv2_bit", "tf_efficientnetv2_b0": "efficientnetv2",
        "tf_efficientnet_b0": "efficientnet", "efficientnet_b1_pruned": "efficientnet_pruned",
        "regnety_032": "regnety", "vit_base_patch16_224": "vit", "vit_base_patch16_clip_224": "vit_clip",
        "vit_large_r50_s32_224": None, "mynet_tiny": None, "convnext_huge": None,
    }  # fmt: skip
    assert {name: timm_family(name) for name in families} == families


def test_files_on_other_images_or_labels_are_planes_of_their_own(write):
    accuracies, costs = ACCURACIES.partition("mobilenetv3")[0], write(COSTS, "benchmark-infer.csv")
    expected = {
        "results-imagenet.csv": "imagenet-1k val",
        "results-imagenet (1).csv": "imagenet-1k val",
        "results-imagenet-real.csv": "imagenet-1k val, ReaL labels",
        "results-imagenet-a.csv": "imagenet-a",
        "results-imagenetv2-matched-frequency.csv": "imagenetv2",
        "results-sketch.csv": "imagenet-sketch",
        "renamed.csv": "that of renamed.csv",
    }
    for name, test_set in expected.items():
        assert {p.test_set for p in read_files([write(accuracies, name), costs])[0]} == {test_set}
    both = read_files(
        [write(accuracies, "results-imagenet.csv"), write(accuracies, "results-sketch.csv"), costs]
    )
    with pytest.raises(InputError, match="test_set differs"):
        select(both[0], pool=("source", "pretrain", "resolution"))


def test_what_was_read_and_left_out_is_said_in_a_line_a_file(write):
    more = ACCURACIES + (
        "convnext_tiny.fancyset_in1k,82,18,96,4,28.59,288,1,bicubic\n"
        "tnt_s_patch16_224,82,18,96,4,23,224,1,bicubic\nmynet.in1k,82,18,96,4,23,224,1,bicubic\n"
    )
    paths = [write(more, "results-imagenet.csv"), write(COSTS, "benchmark-infer.csv"), write(MINE)]
    points, said = read_files(paths)
    assert len(points) == 3 + 4
    assert said == (
        "mine.csv: 4 rows, all read",
        "benchmark-infer.csv: 5 rows, 4 read; left out: 1 without a count of GMACs (mobilenetv3_large_150d)",
        "results-imagenet.csv: 7 rows, 3 read; left out: 1 without costs at their image size "
        "(mobilenetv3_large_150d.ra4_e3600_r256_in1k); 2 of weights that the rules do not know "
        "(convnext_tiny.fancyset_in1k, tnt_s_patch16_224); 1 of families that the rules do not know "
        "(mynet.in1k)",
    )


def test_files_of_one_name_are_sources_of_their_own(write, tmp_path):
    (tmp_path / "old").mkdir()
    paths = [write(MINE), write(MINE.replace("82.", "72."), "old/mine.csv")]
    points, _ = read_files(paths)
    assert {p.source for p in points} == {str(path) for path in paths}
    with pytest.raises(InputError, match="'a' with seed 0 is there already"):
        read_files([paths[0], paths[0]])


# ---- numbers --------------------------------------------------------------------------------------------

SHORT = "name,family,resolution,pretrain,top1,gflops\n"


@pytest.mark.parametrize(
    ("text", "gflops"),
    [
        (SHORT + 'x,f,224,p,"82,1","4,466"\n', [4.466]),  # another number has a decimal comma
        (SHORT + 'x,f,224,p,82,"4,46"\ny,f,224,p,83,"4,466"\n', [4.46, 4.466]),
        (SHORT.replace(",", ";") + "x;f;224;p;82,1;4,466\n", [4.466]),
        (SHORT.replace(",", ";") + "x;f;224;p;82;4,466\n", [4.466]),  # what semicolons are for
        (SHORT.replace(",", ";") + "x;f;224;p;82.1;4.466\n", [4.466]),
        (SHORT.replace(",", "\t") + "x\tf\t224\tp\t82.1\t4.466\n", [4.466]),
        (SHORT + "x,f,224,p,82.698,4.466\n", [4.466]),
        (SHORT + 'x,f,224,p,82.1,"1,014.45"\ny,f,224,p,82.1,"1,013"\n', [1014.45, 1013]),
        (SHORT.replace("gflops", "macs") + 'x,f,224,p,82.1,"4,466,000,000"\n', [4.466]),
        (SHORT.replace(",", ";") + "x;f;224;p;82,1;1.014,45\n", [1014.45]),
        (SHORT + "x,f,224,p,82.1,4.466e0\n", [4.466]),
    ],
)
def test_decimal_commas_and_thousands_are_told_by_other_numbers(write, text, gflops):
    assert [point.gflops for point in read_results(write(text))] == pytest.approx(gflops)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SHORT + 'x,f,224,p,82.1,"4,466"\n',
         r"line 2: gflops '4,466' may be 4.466 or 4466, .* write 4.4660 or 4466"),
        (SHORT + 'x,f,224,p,82,"4,466"\n', "may be 4.466 or 4466"),
        # a column of points is no word on a comma
        (SHORT + 'x,f,224,p,82.1,4.5\ny,f,224,p,82.1,"4,466"\n', "line 3: gflops '4,466' may be"),
        (SHORT + 'x,f,224,p,"82,1",4.466\n', "line 2: gflops '4.466' may be"),
        (SHORT.replace(",", ";") + "x;f;224;p;82;4.466\n", "line 2: gflops '4.466' may be"),
        (SHORT + 'x,f,224,p,"82,1",4.46\ny,f,224,p,82.2,4.46\n',
         r"line 2: top1 '82,1' has a decimal comma, and line 3 a decimal point \('82.2'\)"),
        (SHORT + "x,f,224,p,82.1,4.466 G\n", "'4.466 G' must be above 0 without a unit, .*: 4.466$"),
        (SHORT + "x,f,224,p,82.1%,4.46\n", "'82.1%' must be percent, .* without a unit, .*: 82.1$"),
        (SHORT + "x,f,224,p,82.1,28.6M\n", "without a unit, which the column's name says: 28.6$"),
        (SHORT + "x,f,224px,p,82.1,4.46\n", "resolution '224px' must be .* without a unit, .*: 224$"),
        (SHORT + "x,f,224,p,NaN,4.46\n", "top1 'NaN' must be percent"),
        (SHORT + "x,f,224,p,82.1,inf\n", "gflops 'inf' must be above 0$"),
        (SHORT + "x,f,224,p,82.1,1e999\n", "gflops '1e999' must be above 0$"),
        (SHORT + "x,f,224,p,82.1,4 466\n", "gflops '4 466' must be above 0$"),
        (SHORT + "x,f,224,p,82.1,1_0\n", "gflops '1_0' must be above 0$"),
        (SHORT + "x,f,224,p,82.1,\u0664\n", "must be above 0$"),
        (SHORT + "x,f,224,p,82.1," + "9" * 150 + "\n", "has over 40 characters; write it shorter$"),
        (SHORT + "x,f,224,p,82.1," + "9" * 5000 + "\n", "has 5,000 characters"),
        (SHORT + "x,f,224,p,82.1,4.4\ny,f,224,p,0.821,4.4\n",
         "line 3: top1 0.821 is at most 1, and others are above: a fraction is written 82.1"),
    ],
)  # fmt: skip
def test_a_number_that_may_be_another_is_refused(write, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_results(write(text))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_top1_of_zero_is_percent(write):
    found = read_results(write(SHORT + "x,f,224,p,82.1,4.4\ny,f,224,p,0,4.4\n"))
    assert [point.top1 for point in found] == [82.1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MINE.encode("utf-16"), "not a text file in UTF-8"),
        (MINE.replace("mine", "m\xe9").encode("latin-1"), "not a text file in UTF-8"),
        (MINE.replace("mine", "m\0").encode(), "NUL bytes"),
        (MINE.replace("imagenet-1k", "x" * 200_000).encode(), "line 2: not CSV"),
        (MINE.replace("imagenet-1k", "x" * 2_000).encode(), "has 2,000 characters, over 200"),
        (MINE.replace("a,mine", '"a,mine').encode(), "line 3: not CSV"),
        (MINE.replace(",", "|").encode(), "no column of accuracy"),
        ((HEADER + "a,mine,224,imagenet-1k,82.0,4.5,28,0\n" * 11_000).encode(), "more than 10,000 rows"),
        (b"," * 100_000, "columns, no table of networks"),
        (b"x" * (17 << 20), "more than 16 million characters"),
    ],
    ids=["utf-16", "latin-1", "nul", "field", "name", "quote", "delimiter", "rows", "columns", "size"],
)
def test_what_is_no_table_is_one_short_line(tmp_path, content, message):
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path)) and len(str(caught.value)) < 1300


@pytest.mark.parametrize("place", ["/dev/zero", "folder", "fifo", "dangling"])
def test_a_place_that_is_no_file_is_one_line(tmp_path, place):
    path = tmp_path / place if not place.startswith("/") else Path(place)
    if place == "folder":
        path.mkdir()
    elif place == "fifo":
        os.mkfifo(path)
    elif place == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=str(path)):
        read_results(path)


def test_a_name_is_one_line_however_it_is_written(write):
    (point,) = read_results(write(SHORT + '"a\n</script>\u2028b\x1b[2J",f,224,p,82.1,4.4\n'))
    assert point.name == r"a </script> b\x1b[2J"


def test_a_table_of_many_networks_rises_in_cost(write):
    rng = np.random.default_rng(0)
    lines = [f"n{i},f,224,p,{80 + i / 100},{g}\n" for i, g in enumerate(rng.uniform(0.1, 20, 50))]
    found = table(read_results(write("name,family,resolution,pretrain,top1,gflops\n" + "".join(lines))))
    assert (np.diff(found.gflops) > 0).all() and found.top1.shape == (50, 1) and found.seeds is None
