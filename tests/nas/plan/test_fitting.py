"""A proxy's fields from the command line, and a preset fitted to data of the user's own."""

import numpy as np
import pytest
from PIL import Image

from nas import search
from nas.data.survey import Survey
from nas.plan.fitting import Fitted, fitted, with_fields
from nas.plan.judge import chosen_judge
from nas.plan.plan import Plan
from nas.plan.settings import MeasureSettings, read_measure_settings, read_settings
from nas.proxy.card import NEVER, conditions, load_card
from nas.proxy.proxy import PRESETS, load_proxy
from nas.proxy.reduced import reduced
from nas.record.record import Record
from space.errors import InputError
from space.families import named


def there(classes=10, train=600, val=200, pixels=64):
    return Survey(tuple(str(i) for i in range(classes)), train, val, pixels)


def fit(name, data, **said):
    preset = load_proxy(name)
    return fitted(with_fields(preset, said, "proxy"), preset, data, said)


def test_all_classes_of_the_data_are_used():
    for count in (10, 120):
        found = fit("gpu", there(count, 200 * count))
        assert found.proxy.num_classes == count and found.before["num_classes"] == 100
    assert fit("gpu", there(120, 24_000), num_classes=30).proxy.num_classes == 30


def test_a_preset_for_a_part_of_a_folder_takes_no_more_than_there_is():
    assert fit("imagenet-subset", there(10, 13_000, pixels=400)).proxy.num_classes == 10
    assert fit("imagenet-subset", there(1000, 1_281_167, 50_000, 375)) == Fitted(
        load_proxy("imagenet-subset")
    )


def test_few_images_are_seen_more_often():
    assert fit("photos", there(10, 5_000)).proxy.epochs == 12
    few = fit("photos", there(10, 200)).proxy
    assert (few.epochs, few.batch_size) == (20, 8) and few.warmup_epochs == 0.25
    assert fit("photos", there(10, 5_000), epochs=3).proxy.epochs == 3
    assert fit("photos", there(10, 50_000)).before == {}


def test_small_networks_are_slimmed_to_the_cost_that_the_preset_is_meant_for():
    preset, data = load_proxy("photos"), there(10, 50_000)
    share = {
        macs: fitted(preset, preset, data, (), macs).proxy.width_share for macs in (15e9, 4.4e9, 0.6e9, 6e7)
    }
    assert share == {15e9: 0.125, 4.4e9: 0.125, 0.6e9: 0.34, 6e7: 1.0}
    slim = [reduced(named(name), share[macs], 2).cost(32, 10).macs for name, macs in COSTS]
    assert max(slim) < 1.6 * min(slim)
    said = with_fields(preset, {"width_share": 0.5}, "proxy")
    assert fitted(said, preset, data, {"width_share"}, 6e8) == Fitted(said)
    assert fitted(load_proxy("cpu"), load_proxy("cpu"), data, (), 6e8).proxy.width_share == 1


COSTS = ("convnext_tiny", 4.4e9), ("convnext_femto", 0.6e9)


def test_small_sets_have_small_batches_and_the_rate_that_goes_with_them():
    found = fit("gpu", there()).proxy
    assert found.batch_size == 16 and 600 // found.batch_size >= 32
    assert found.lr == pytest.approx(1e-3 / 4)
    assert fit("gpu", there(), batch_size=64, lr=1e-4).before == {"num_classes": 100}
    assert fit("gpu", there(train=20)).proxy.batch_size == 8
    large = fit("gpu", there(100, 50_000)).proxy
    assert (large.batch_size, large.lr) == (256, 1e-3)


def test_pixels_are_no_more_than_the_images_have_and_never_too_few_for_a_network():
    sizes = [(20, 32), (50, 32), (64, 64), (500, 64), (None, 64)]
    assert [fit("gpu", there(pixels=p)).proxy.resolution for p, _ in sizes] == [r for _, r in sizes]


def test_every_class_has_images_enough_to_be_told():
    found = fit("cpu", there(100, 30_000, 5_000)).proxy
    assert found.train_size == 5000 and found.val_size == 1000
    assert fit("cpu", there(100, 30_000, 5_000), train_size=500).proxy.train_size == 500


def test_the_line_says_what_was_fitted_and_what_the_preset_has():
    line = fit("gpu", there()).line("gpu")
    assert line.startswith("gpu proxy, fitted to the data: num_classes 10 (100), ")
    assert "batch_size 16 (256), lr 0.00025 (0.001)" in line
    assert Fitted(load_proxy("gpu")).line("gpu") == ""


def test_a_warm_up_that_would_be_too_long_keeps_its_share():
    gpu = load_proxy("gpu")
    assert with_fields(gpu, {"epochs": 1}, "proxy").warmup_epochs == pytest.approx(0.1)
    assert with_fields(gpu, {"epochs": 50}, "proxy").warmup_epochs == gpu.warmup_epochs
    with pytest.raises(InputError, match="warmup_epochs: 3 is more than epochs, 2"):
        with_fields(gpu, {"epochs": 2, "warmup_epochs": 3}, "proxy")


def test_flags_and_set_and_a_study_file_are_one_setting(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("budget: 1G\nepochs: 7\nlr: tuned\nset: {proxy.flip: false}\n")
    settings = read_settings({"batch_size": 16, "set": ["proxy.epochs=9", "proxy.lr=2e-3"]}, path)
    fields = {"epochs": 9, "lr": 2e-3, "flip": False, "batch_size": 16}
    assert settings.proxy_fields == fields
    assert settings.asked()["set"] == {f"proxy.{name}": value for name, value in fields.items()}
    assert "set" not in read_settings({"budget": "1G"}, None).asked()
    assert read_measure_settings({"networks": ["a"], "epochs": 2}).proxy_fields == {"epochs": 2}


def test_a_simulated_proxy_has_no_fields():
    settings = read_settings({"budget": "1G", "proxy": "simulated:rugged", "epochs": 5}, None)
    with pytest.raises(InputError, match="--epochs: a simulated proxy trains nothing"):
        chosen_judge(settings)


def judged(**settings):
    return chosen_judge(MeasureSettings(networks=("convnext_tiny",), device="cpu", **settings)).load()


@pytest.mark.parametrize("preset", PRESETS[:2])
def test_a_preset_on_its_own_data_is_what_it_was(preset, workplace):
    judge = judged(proxy=preset)
    proxy = load_proxy(preset)
    assert judge.fitted == "" and "there" not in judge.data
    assert {k: judge.facts[k] for k in ("epochs", "batch_size", "lr", "resolution")} == {
        "epochs": proxy.epochs, "batch_size": proxy.batch_size, "lr": proxy.lr, "resolution": 32,
    }  # fmt: skip
    measured = load_card(preset).measured
    if measured is not None:
        assert conditions(judge.facts, judge.data) == measured.conditions
        assert judge.card.endswith(measured.line)


def test_a_changed_preset_has_another_fingerprint_and_no_card(workplace):
    as_it_is, changed = judged(proxy="cpu"), judged(proxy="cpu", set={"proxy.weight_decay": 0.1})
    assert changed.facts["weight_decay"] == 0.1
    assert changed.facts["fingerprint"] != as_it_is.facts["fingerprint"]
    assert not as_it_is.card.endswith(NEVER) and changed.card.endswith(NEVER)


def test_a_built_in_set_is_no_dead_end_under_the_gpu_proxy(workplace):
    judge = judged(proxy="gpu", data="digits")
    assert judge.facts["num_classes"] == 10 and "num_classes 10 (100)" in judge.fitted
    assert judge.facts["resolution"] <= 64


@pytest.fixture
def photos(workplace):
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("val", 6)):
        for name in ("cat", "dog", "eel"):
            folder = workplace / "photos" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(rng.integers(0, 256, (40, 48, 3), np.uint8)).save(folder / f"{i}.png")
    return workplace / "photos"


GIVEN = ["--space", "micro", "--budget", "20M..40M", "--no-reference", "--trials", "2", "--device", "cpu"]
GIVEN += ["--confirm", "0x0"]


def test_a_search_on_photographs_is_one_command_that_can_be_given_again(photos, capsys):
    command = [*GIVEN, "--proxy", "gpu", "--data", "photos", "--epochs", "1", "--continue", "--study", "s"]
    assert search.main(command) == 0
    out = capsys.readouterr().out
    assert "gpu proxy, fitted to the data: num_classes 3 (100), resolution 32 (64)" in out
    assert "a training here (" in out and "for 2 trainings" in out
    assert "18 validation images: each is 5.6 points, and no less can be told\n" in out
    record = Record.read("s")
    settings = record.settings
    assert settings["proxy"]["num_classes"] == 3 and settings["proxy"]["epochs"] == 1
    assert settings["data"]["there"] == {"classes": 3, "train": 60, "val": 18, "pixels": 40}
    assert settings["data"]["fitted"]["num_classes"] == 100
    assert record.asked["set"] == {"proxy.epochs": 1}
    before = [trial.accuracy for trial in record.trials()]
    record.close()
    assert search.main([*command, "--trials", "3"]) == 0  # goes on
    capsys.readouterr()
    record = Record.read("s")
    assert [trial.accuracy for trial in record.trials()][:2] == before and len(record.trials()) == 3
    record.close()
    assert search.main(["--study", "s", "--resume", "--epochs", "2"]) == 2
    assert "proxy.epochs 1, not 2" in capsys.readouterr().err
    assert search.main(["--study", "s", "--resume"]) == 0  # under its own fields


def test_a_study_of_photographs_is_named_after_them(photos, capsys):
    command = [*GIVEN, "--proxy", "smoke", "--data", "photos/", "--epochs", "1", "--continue"]
    for _ in range(2):
        assert search.main(command) == 0
    assert [path.name for path in (photos.parent / "runs").iterdir()] == ["photos-20M..40M"]


def test_trainings_go_to_the_end_of_epochs_that_follow_from_the_data(photos):
    told = {"budget": "20M..40M", "space": "micro", "proxy": "photos", "data": "photos", "reference": "none"}
    plan = Plan.of(read_settings(told, None))
    assert plan.judge.epochs == 20 and plan.effort.scheduler["levels"] == [20]
    again = Plan.of(read_settings(plan.asked(), None))  # as --resume asks
    assert again.effort.scheduler == plan.effort.scheduler
    halved = Plan.of(read_settings({**told, "scheduler": "asha", "trials": 9, "min_epochs": 5}, None))
    assert halved.effort.scheduler["levels"] == [5, 20]
    with pytest.raises(InputError, match="min_epochs: 30 is not between 1 and the 20 epochs"):
        Plan.of(read_settings({**told, "scheduler": "asha", "min_epochs": 30}, None))
