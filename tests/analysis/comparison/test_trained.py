"""Trained networks and their controls: by seeds, by images, by class; what is not compared; the page."""

import json
import math
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis import compare
from analysis.comparison.contrast import contrast
from analysis.comparison.trained import is_trained, read_folders
from analysis.comparison.trained_claims import sure
from nas.training.predictions import write_predictions
from space.errors import InputError
from tests.analysis.trained_folders import CLASSES, training, trainings


@pytest.fixture
def said(capsys):
    """What the command prints for some words; its exit code must be 0."""

    def run(*words):
        assert compare.main([str(word) for word in words]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(capsys):
    """The one line of a mistake."""

    def run(*words):
        assert compare.main([str(word) for word in words]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("analysis.compare: ") and err.count("\n") == 1
        return err

    return run


def images(folder, right, *, label=None, predicted=None):
    """A training with these answers: which images are right, or the labels and predictions themselves."""
    training(folder, 0.5, images=len(right if label is None else label))
    if label is None:
        label = np.zeros(len(right), dtype=np.int64)
        predicted = np.where(right, 0, 1)
    write_predictions(folder, label, predicted)
    summary = json.loads((folder / "summary.json").read_text())
    summary["best"] = {"epoch": 1, "val_accuracy": float(np.mean(label == predicted))}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def gaps(folder):
    """The network less its control, seed by seed."""
    found = read_folders([folder])
    ours, theirs = found.network.accuracies, found.controls[0].accuracies
    return [ours[seed] - theirs[seed] for seed in ours]


def test_a_better_network_is_said_to_be_better_by_seeds_and_by_images(tmp_path, said):
    folder = trainings(tmp_path / "t", network=[0.86, 0.87, 0.865], convnext_tiny=[0.71, 0.72, 0.73])
    out = said(folder)
    found = json.loads(said(folder, "--json"))
    (difference,) = found["differences"]
    ours, theirs = (np.array([*row["accuracies"].values()]) for row in found["networks"])
    gap = ours - theirs
    assert difference["difference"] == pytest.approx(gap.mean()) and difference["seeds"] == 3
    half = stats.t.ppf(0.975, 2) * gap.std(ddof=1) / math.sqrt(3)
    assert difference["by_seeds"] == pytest.approx([gap.mean() - half, gap.mean() + half])
    low, high = difference["by_images"]
    assert 0 < low < gap.mean() < high and difference["verdict"] == "better"
    assert f"network is better than convnext_tiny by {100 * gap.mean():.1f} points (95% interval" in out
    assert "How sure: over 3 paired seeds" in out and "What would tell" not in out
    assert found["networks"][0]["peak_memory_gb"] == 1 and "1 min 50 s" in out


def test_what_is_not_distinguishable_says_what_would_tell(tmp_path, said):
    out = said(trainings(tmp_path / "t", network=[0.8, 0.83, 0.79], swin_tiny=[0.81, 0.78, 0.8]))
    assert "network is not distinguishable from swin_tiny: " in out
    line = next(line for line in out.splitlines() if line.startswith("What would tell: "))
    assert "seeds" in line and "if it is as large as it looks" in line


def test_two_seeds_that_do_not_decide_are_shown_in_place_of_their_interval(tmp_path, said):
    """Student's t of two would print -122 to +117 here, which is right and helps nobody."""
    folder = trainings(tmp_path / "t", network=[0.86, 0.70], control=[0.79, 0.82])
    out, found = " ".join(said(folder).split()), json.loads(said(folder, "--json"))["differences"][0]
    by_seed = [f"{100 * gap:+.1f}" for gap in gaps(folder)]
    assert (
        f"points, two seeds give no useful interval. How sure: by seed {by_seed[0]} and {by_seed[1]}; " in out
    )
    assert "over the validation images" in out and "paired seeds" not in out
    assert "What would tell: --seeds 3 or more, of both (--continue trains what is lacking)" in out
    assert found["verdict"] == "not distinguishable" and found["seeds_to_tell"] is None
    low, high = found["by_seeds"]  # for scripts, as wide as it is
    assert high - low > 1
    said(folder, "--html", tmp_path / "c.html")
    drawn = re.search(
        r'id="spec-trainings-differences"[^>]*>(.*?)</script>', (tmp_path / "c.html").read_text()
    )
    assert "over the images" in drawn[1] and "over the seeds" not in drawn[1]


def test_two_seeds_that_agree_are_enough_to_decide(tmp_path, said):
    out = said(trainings(tmp_path / "t", network=[0.9, 0.9], control=[0.5, 0.5]))
    assert "network is better than control by" in out and "over 2 paired seeds" in out


def test_two_trainings_with_other_seeds_are_too_few_too(tmp_path):
    folder = trainings(tmp_path / "t", network=[0.9, 0.7, 0.8], control=[0.7, 0.85])
    found = read_folders([folder])
    apart = replace(found.controls[0], by_seed={s + 9: one for s, one in found.controls[0].by_seed.items()})
    one = contrast(found.network, apart)
    assert one.seeds == 0 and one.too_few and one.verdict == "not distinguishable"
    assert "of one of them two seeds, not paired" in sure(one)


def test_of_one_seed_each_the_images_decide_by_mcnemar(tmp_path, said):
    a, b = np.ones(200, bool), np.ones(200, bool)
    a[:4] = b[2:17] = False  # 13 the control alone has wrong, 2 the network alone
    out = said(images(tmp_path / "best", a), images(tmp_path / "control", b))
    found = json.loads(said(tmp_path / "best", tmp_path / "control", "--json"))["differences"][0]
    assert found["right_alone"] == [13, 2] and found["by_seeds"] is None and found["verdict"] == "better"
    low, high = found["by_images"]
    # the interval excludes 0 where the exact test does
    assert 0 < low < 11 / 200 < high and stats.binomtest(13, 15).pvalue < 0.05
    assert "best is better than control by 5.5 points" in out and "for these two trainings" in out
    assert "one seed: how much another would change is not in it" in out
    assert "What would tell: --seeds 3 or more, of both." in out


def test_without_any_difference_there_is_still_an_interval(tmp_path):
    same = np.arange(100) % 3 > 0
    for name in ("a", "b"):
        images(tmp_path / name, same)
    found = read_folders([tmp_path / "a", tmp_path / "b"])
    one = contrast(found.network, found.controls[0])
    assert one.by_images.value == 0 and -0.1 < one.by_images.low < 0 < one.by_images.high < 0.1
    assert one.verdict == "not distinguishable"


def test_better_by_seeds_alone_is_not_better(tmp_path, said):
    """Five images more, with every seed: other images may say otherwise."""
    right = np.arange(100) >= 50
    for name, more in (("a", 5), ("b", 0)):
        for seed in (0, 1, 2):
            own = right.copy()
            own[:more] = True
            if name == "b":
                own[10:13] = True
            folder = images(tmp_path / name / f"seed-{seed}", own)
            summary = json.loads((folder / "summary.json").read_text()) | {"seed": seed}
            (folder / "summary.json").write_text(json.dumps(summary))
        entries = [
            {"name": name, "role": "network", "seed": s, "folder": f"{name}/seed-{s}"} for s in (0, 1, 2)
        ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"data": "d", "trainings": entries}))
    folders = []
    for name in ("a", "b"):
        folder = tmp_path / f"whole-{name}"
        folder.mkdir()
        (tmp_path / name).rename(folder / name)
        (tmp_path / f"{name}.json").rename(folder / "trainings.json")
        folders.append(folder)
    found = read_folders(folders)
    one = contrast(found.network, found.controls[0])
    assert one.by_seeds.verdict == "better" and one.by_images.verdict == one.verdict == "not distinguishable"
    assert "validation images, if it is as large as it looks" in said(*folders)


def test_classes_and_mistakes_are_counted_over_all_seeds(tmp_path, said):
    label = np.array([0] * 10 + [1] * 10 + [2] * 20)
    predicted = label.copy()
    predicted[10:14] = 2  # of the second class four are taken for the third
    predicted[0] = 3
    folder = images(tmp_path / "best", None, label=label, predicted=predicted)
    out = said(folder)
    found = json.loads(said(folder, "--json"))
    assert found["classes"] == [
        {"name": "bars", "images": 10, "right": [0.9]},
        {"name": "discs", "images": 10, "right": [0.6]},
        {"name": "frames", "images": 20, "right": [1.0]},
    ]
    assert found["confusion"] == [[9, 0, 0, 1], [0, 6, 4, 0], [0, 0, 20, 0], [0, 0, 0, 0]]
    assert "Mistakes of best: discs taken for frames (4 of 10); bars taken for rings (1 of 10)." in out
    assert "nothing to compare it with: nas.train --control nearest" in out


def test_a_training_under_way_is_left_out_and_said(tmp_path, said):
    folder = trainings(tmp_path / "t", network=[0.8, 0.8], control=[0.7, 0.7])
    path = folder / "control" / "seed-1" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"epochs": 2}))
    (folder / "network" / "seed-1" / "summary.json").unlink()
    out = said(folder)
    assert "control/seed-1: after epoch 2 of 3, left out; nas.train --resume goes on" in out
    assert "network/seed-1: not begun, left out" in out


def test_an_export_s_trainings_are_found_and_other_recipes_are_told(tmp_path, said):
    training(tmp_path / "best" / "trained", 0.8)
    training(
        tmp_path / "control" / "native" / "trained",
        0.7,
        macs=8e8,
        recipe="epochs: 9\nschedule: {min_lr: 1}\n",
    )
    out = said(tmp_path / "best", tmp_path / "control")
    assert "best is better than control by " in out and "; it costs 25% fewer FLOPs." in out
    assert "were not trained alike: epochs 3 against 9, schedule.min_lr None against 1" in out
    assert not is_trained(tmp_path / "control" / "no") and not is_trained("runs/nothing")


def test_the_trainings_of_a_second_export_are_called_after_it(tmp_path, said):
    for name, accuracy in (("best", 0.8), ("tuned", 0.7)):
        (tmp_path / name).mkdir()
        trainings(tmp_path / name / "trained", network=[accuracy], control=[0.6])
    out = " ".join(said(tmp_path / "best" / "trained", tmp_path / "tuned" / "trained").split())
    assert "network is better than tuned by" in out and "network is better than tuned/control by" in out


def test_what_is_not_comparable_is_refused_in_a_line(tmp_path, refused):
    training(tmp_path / "a", 0.8)
    training(tmp_path / "b", 0.8, data="beef")
    training(tmp_path / "c", 0.8, classes=(*CLASSES, "more"))
    assert "trained on other images (f00d, beef)" in refused(tmp_path / "a", tmp_path / "b")
    assert "other classes" in refused(tmp_path / "a", tmp_path / "c")
    assert "holds no training of nas.train" in refused(tmp_path / "a", tmp_path)
    assert "--html: is for trainings" in refused("nothing", "--html", tmp_path / "x.html")
    path = tmp_path / "a" / "predictions.npz"
    for content in (b"", b"PK\x03\x04", path.read_bytes()[:400]):
        path.write_bytes(content)
        assert "predictions.npz: is damaged, or holds no predictions" in refused(
            tmp_path / "a", tmp_path / "a"
        )
    np.savez(path, label=np.zeros(3, np.int32), predicted=np.zeros(3, np.int32))
    assert "its predictions are not of its 400 images and 4 classes" in refused(tmp_path / "a")
    for make in (os.mkfifo, os.mkdir, lambda each: each.symlink_to("nowhere")):
        path.rmdir() if path.is_dir() else path.unlink()
        make(path)
        assert "predictions.npz: is no file that can be read" in refused(tmp_path / "a")
    path.unlink()
    for changes, word in (
        ({"best": None}, "best"), ({"macs": "x"}, "macs"), ({"network": 5}, "network"),
        ({"num_classes": 0}, "num_classes"), ({"train_seconds": float("nan")}, "train_seconds"),
    ):  # fmt: skip
        training(tmp_path / word, 0.8, **changes)
        assert f"summary.json: {word}: not as nas.train writes it" in refused(tmp_path / word)
    folder = trainings(tmp_path / "t", network=[0.8])
    for row, words in (
        ({"name": "n"}, "must have name, role, seed, folder"),
        ({"name": "n", "role": "network", "seed": 0, "folder": "../x"}, "is none below the file's"),
        ({"name": "n", "role": "x", "seed": 0, "folder": "a/b"}, "role network or control"),
    ):
        (folder / "trainings.json").write_text(json.dumps({"trainings": [row]}))
        assert words in refused(folder)


def test_without_predictions_the_seeds_are_compared(tmp_path):
    folder = trainings(tmp_path / "t", network=[0.86, 0.87], control=[0.71, 0.73])
    (folder / "control/seed-0/predictions.npz").unlink()
    found = read_folders([folder])
    one = contrast(found.network, found.controls[0])
    assert one.by_images is None and one.verdict in ("better", "not distinguishable")
    with pytest.raises(InputError, match="no training is whole yet"):
        path = folder / "network/seed-0/summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"epochs": 1}))
        read_folders([folder / "network/seed-0"])


def test_the_page_has_the_verdict_the_tables_and_the_matrix(tmp_path, said):
    folder = trainings(tmp_path / "<t>", network=[0.86, 0.87], convnext_tiny=[0.71, 0.73])
    path = tmp_path / "c.html"
    assert said(folder, "--html", path).splitlines()[-1] == f"page: {path}"
    text = path.read_text()
    for words in (
        "<h1>Is network better than convnext_tiny on photos?</h1>", 'id="spec-trainings-differences"',
        'id="spec-classes-classes"', 'class="confusion"', 'style="--share:0.', "convnext_tiny (%)",
    ):  # fmt: skip
        assert words in text, words
    rows = said(folder, "--csv", tmp_path / "c.csv") and (tmp_path / "c.csv").read_text().splitlines()
    assert rows[0].startswith("name,role,network,seeds,accuracy") and len(rows) == 3


def test_the_page_draws_without_an_error(browser, tmp_path, said):
    folder = trainings(tmp_path / "t", network=[0.86, 0.87], convnext_tiny=[0.71, 0.73])
    said(folder, "--html", tmp_path / "c.html")
    page, errors = browser.new_page(viewport={"width": 390, "height": 900}), []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((tmp_path / "c.html").as_uri())
    page.wait_for_selector("#trainings-differences .main-svg")
    assert errors == [] and page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()


def test_what_a_training_started_from_is_said(tmp_path, said):
    init = {"file": "tiny.pth", "network": "3-3-9-3 96-192-384-768", "taken": 90, "parameters": 120}
    training(tmp_path / "tuned", 0.8, init=init)
    training(tmp_path / "plain", 0.7, init=None)
    out = " ".join(said(tmp_path / "tuned", tmp_path / "plain").split())
    assert (
        "tuned starts from the weights of 3-3-9-3 96-192-384-768 in tiny.pth, 75% of its parameters. " in out
    )
    assert "plain from scratch." in out and "scratch" not in said(tmp_path / "plain")
