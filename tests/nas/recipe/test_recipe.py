"""The recipe's numbers against the official commands, the split over GPUs, and the file."""

import dataclasses
import functools
import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nas.recipe.memory import memory_of
from nas.recipe.published import (
    STOCHASTIC_DEPTH,
    drop_path,
    fine_tuning_rate,
    recipe_for,
    split,
    stochastic_depth,
)
from nas.recipe.recipe import VARIANTS, Recipe, read_recipe, recipe_from, recipe_text
from space.architecture import Architecture
from space.cost import cost
from space.errors import InputError
from space.families import named
from space.networks import named_network
from space.space_file import load_space

# main.py's defaults, and what TRAINING.md's commands change
DEFAULTS = {
    "epochs": 300, "drop_path": 0, "input_size": 224, "layer_scale_init_value": 1e-6, "model_ema": False,
    "model_ema_decay": 0.9999, "opt": "adamw", "opt_eps": 1e-8, "opt_betas": None, "clip_grad": None,
    "weight_decay": 0.05, "lr": 4e-3, "layer_decay": 1.0, "min_lr": 1e-6, "warmup_epochs": 20,
    "color_jitter": 0.4, "aa": "rand-m9-mstd0.5-inc1", "smoothing": 0.1, "train_interpolation": "bicubic",
    "reprob": 0.25, "mixup": 0.8, "cutmix": 1.0, "mixup_prob": 1.0, "mixup_switch_prob": 0.5,
    "head_init_scale": 1.0, "nb_classes": 1000, "seed": 0,
}  # fmt: skip
PRETRAIN = {"effective_batch": 4096}
SCRATCH = PRETRAIN | {"model_ema": True}
ISOTROPIC = SCRATCH | {"warmup_epochs": 50}
FULL = PRETRAIN | {"warmup_epochs": 5, "epochs": 90, "nb_classes": 21841}
FINETUNE = {
    "effective_batch": 512, "lr": 5e-5, "warmup_epochs": 0, "epochs": 30, "weight_decay": 1e-8,
    "head_init_scale": 0.001, "cutmix": 0, "mixup": 0, "input_size": 384,
}  # fmt: skip
FROM_1K, FROM_22K = FINETUNE | {"layer_decay": 0.7}, FINETUNE | {"layer_decay": 0.8}
OFF = {"layer_scale_init_value": 0}
OFFICIAL = [
    ("convnext_tiny", "imagenet-1k", SCRATCH | {"drop_path": 0.1}),
    ("convnext_small", "imagenet-1k", SCRATCH | {"drop_path": 0.4}),
    ("convnext_base", "imagenet-1k", SCRATCH | {"drop_path": 0.5}),
    ("convnext_large", "imagenet-1k", SCRATCH | {"drop_path": 0.5}),
    ("convnext_isotropic_small", "imagenet-1k", ISOTROPIC | OFF | {"drop_path": 0.1}),
    ("convnext_isotropic_base", "imagenet-1k", ISOTROPIC | OFF | {"drop_path": 0.2}),
    ("convnext_isotropic_large", "imagenet-1k", ISOTROPIC | {"drop_path": 0.5}),
    ("convnext_tiny", "imagenet-22k", FULL | {"drop_path": 0.0}),  # Table 5
    ("convnext_small", "imagenet-22k", FULL | {"drop_path": 0.0}),  # Table 5
    ("convnext_base", "imagenet-22k", FULL | {"drop_path": 0.1}),
    ("convnext_large", "imagenet-22k", FULL | {"drop_path": 0.1}),
    ("convnext_xlarge", "imagenet-22k", FULL | {"drop_path": 0.2}),
    ("convnext_base", "finetune-1k", FROM_1K | {"drop_path": 0.8}),
    ("convnext_large", "finetune-1k", FROM_1K | {"drop_path": 0.95}),
    ("convnext_tiny", "finetune-22k", FROM_22K | {"drop_path": 0.0}),  # Table 6
    ("convnext_small", "finetune-22k", FROM_22K | {"drop_path": 0.1}),  # Table 6
    ("convnext_base", "finetune-22k", FROM_22K | {"drop_path": 0.2}),
    ("convnext_large", "finetune-22k", FROM_22K | {"drop_path": 0.3}),
    ("convnext_xlarge", "finetune-22k", FROM_22K | {"drop_path": 0.4, "model_ema": True}),
]


def as_arguments(recipe):
    """The recipe in main.py's arguments."""
    optimizer, schedule, mixing = recipe.optimizer, recipe.schedule, recipe.augmentation
    assert schedule.warmup_from == 0 and schedule.name == "cosine" and optimizer.betas == (0.9, 0.999)
    assert mixing.random_resized_crop == (0.08, 1.0) and mixing.flip and mixing.crop_padding == 0
    return {
        "effective_batch": recipe.batch_size * recipe.accumulation * recipe.devices,
        "epochs": recipe.epochs, "drop_path": recipe.network.drop_path, "input_size": recipe.data.resolution,
        "layer_scale_init_value": recipe.network.layer_scale or 0, "model_ema": recipe.ema_decay is not None,
        "model_ema_decay": recipe.ema_decay or 0.9999, "opt": optimizer.name, "opt_eps": optimizer.eps,
        "opt_betas": None, "clip_grad": recipe.clip_norm, "weight_decay": optimizer.weight_decay,
        "lr": optimizer.lr, "layer_decay": optimizer.layer_decay or 1.0, "min_lr": schedule.min_lr,
        "warmup_epochs": schedule.warmup_epochs, "color_jitter": mixing.color_jitter,
        "aa": mixing.rand_augment, "smoothing": mixing.label_smoothing,
        "train_interpolation": recipe.data.interpolation, "reprob": mixing.random_erasing,
        "mixup": mixing.mixup, "cutmix": mixing.cutmix, "mixup_prob": mixing.mixup_prob,
        "mixup_switch_prob": mixing.switch_prob, "head_init_scale": recipe.head_init_scale,
        "nb_classes": recipe.data.num_classes, "seed": recipe.seed,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "variant", "command"), OFFICIAL)
def test_published_networks_get_their_published_recipe(name, variant, command):
    recipe = recipe_for(named(name), variant=variant)
    assert as_arguments(recipe) == pytest.approx(DEFAULTS | command)
    assert recipe.data.eval_crop == (0.875 if recipe.data.resolution < 384 else 1.0)
    assert recipe.data.name == ("imagenet-22k" if variant == "imagenet-22k" else "imagenet-1k")
    assert recipe.layer_scale == "architecture"


@pytest.mark.parametrize(("name", "rate"), [("swin_tiny", 0.2), ("swin_small", 0.3), ("swin_base", 0.5)])
def test_swin_gets_its_own_published_recipe(name, rate):
    """config.py: BASE_LR 5e-4, WARMUP_LR 5e-7, MIN_LR 5e-6 times batch / 512, the batch being 1024."""
    recipe = recipe_for(named_network(name))
    assert recipe.total_batch_size == 1024 and recipe.clip_norm == 5.0 and recipe.ema_decay is None
    schedule = recipe.schedule
    assert (recipe.optimizer.lr, schedule.warmup_from, schedule.min_lr) == pytest.approx((1e-3, 1e-6, 1e-5))
    assert recipe.network.drop_path == rate and schedule.warmup_epochs == 20 and recipe.epochs == 300
    with pytest.raises(InputError, match="imagenet-1k alone"):
        recipe_for(named_network(name), variant="finetune-1k")


def test_stochastic_depth_between_the_published_sizes():
    tiny, small = (cost(named(name)).macs for name in ("convnext_tiny", "convnext_small"))
    halfway = round((tiny * small) ** 0.5)  # in log MACs
    assert stochastic_depth(halfway) == 0.25
    assert stochastic_depth(halfway, "finetune-22k") == 0.05
    assert stochastic_depth(halfway, "finetune-1k") == 0.4  # 1.6 times its .25
    for kind, rates in STOCHASTIC_DEPTH.items():
        found = [
            stochastic_depth(int(macs * 1e9), kind) for macs in (0.1, 4.5, 6, 8.7, 12, 15.4, 20, 34, 50, 99)
        ]
        assert found == sorted(found)
        assert (found[0], found[-1]) == (round(min(rates.values()), 2), max(rates.values()))


def test_isotropic_networks_go_by_isotropic_ones():
    network = named("convnext_isotropic_base")
    assert drop_path(network) == 0.2 != stochastic_depth(cost(network).macs)
    assert drop_path(network, "finetune-1k") == 0.32
    assert drop_path(network, "finetune-22k") == stochastic_depth(cost(network).macs, "finetune-22k")


def test_a_network_narrower_than_t_is_fine_tuned_at_a_larger_rate():
    """In proportion to the width of its last stage, up to 1e-3; a ResNet's is that of its outputs."""
    rates = {
        name: recipe_for(named_network(name), variant="finetune-1k").optimizer.lr
        for name in ("convnext_atto", "convnext_pico", "convnext_tiny", "resnet50")
    }
    assert rates == {
        "convnext_atto": 1.2e-4, "convnext_pico": 7.5e-5, "convnext_tiny": 5e-5, "resnet50": 5e-5
    }  # fmt: skip
    assert fine_tuning_rate(Architecture.convnext([1, 1], [8, 16])) == 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_moving_average_beside_batch_norm(variant):
    network = dataclasses.replace(named("convnext_xlarge"), norm="batch")
    assert recipe_for(network, variant=variant, gpu_memory=80e9).ema_decay is None


@functools.cache
def some_networks():
    return tuple(load_space("convnext").sample(60, seed=11))


@given(
    network=st.integers(0, 59).map(lambda i: some_networks()[i]),
    variant=st.sampled_from(VARIANTS),
    gpus=st.sampled_from([1, 2, 8, 32, 512]),
    memory=st.sampled_from([None, 24e9, 80e9, 141e9]),
)
def test_the_batch_is_the_largest_that_fits_and_the_file_says_it_all(network, variant, gpus, memory):
    try:
        recipe = recipe_for(network, variant=variant, gpus=gpus, gpu_memory=memory)
    except InputError as error:
        assert "not even one image fits" in str(error)
        return
    available = 40e9 if memory is None else memory
    share = (4096 if variant.startswith("imagenet") else 512) // gpus
    assert recipe.batch_size * recipe.accumulation == share and recipe.devices == gpus
    needed = memory_of(recipe).needed
    assert needed(recipe.batch_size) <= available
    assert recipe.batch_size == share or needed(2 * recipe.batch_size) > available
    assert dataclasses.replace(recipe.network, drop_path=network.drop_path) == network
    assert recipe.network.drop_path == drop_path(network, variant)
    text = recipe_text(recipe, "a comment", "another\nof two lines: {")
    assert recipe_from(yaml.safe_load(text), "text") == recipe
    assert text.startswith("# a comment\n# another\n# of two lines: {\n")


def test_more_memory_never_means_a_smaller_batch():
    large = named("convnext_large")
    sizes = [recipe_for(large, gpu_memory=size * 1e9).batch_size for size in (16, 24, 40, 80, 141)]
    assert (
        sizes == sorted(set(sizes)) and recipe_for(large, gpu_memory=40e9).batch_size == 64
    )  # the official one


def test_bf16_alone_fits_more_than_auto_which_may_be_fp32():
    auto, bf16 = (recipe_for(named("convnext_small"), precision=each) for each in ("auto", "bf16"))
    assert (auto.precision, bf16.precision) == ("auto", "bf16") and bf16.batch_size > auto.batch_size


def test_what_is_given_stands_in_the_recipe():
    recipe = recipe_for(named("convnext_tiny"), resolution=288, num_classes=37, gpus=2)
    assert (recipe.data.resolution, recipe.data.num_classes, recipe.devices) == (288, 37, 2)
    assert recipe_for(named("convnext_tiny"), variant="finetune-22k", resolution=224).data.eval_crop == 0.875


def test_split_keeps_the_training():
    eight = recipe_for(named("convnext_tiny"))
    one = split(eight, 1, 24e9)
    assert one.devices == 1 and one.batch_size * one.accumulation == 4096
    assert split(one, 8, 40e9) == eight


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gpus": 3}, r"gpus 3: a total batch of 4096 does not split over them; 2 or 4 would do"),
        ({"gpus": 0}, r"gpus 0: .* 1 would do"),
        ({"gpus": 10000}, r"gpus 10000: .* 4096 would do"),
        ({"gpus": 1024, "variant": "finetune-1k"}, r"gpus 1024: a total batch of 512 .* 512 would do"),
        ({"gpu_memory": 1.5e9}, r"gpu memory 1\.5 GB: not even one image fits, which needs 2\.0 GB"),
        ({"resolution": 16}, r"resolution 16: "),
        ({"resolution": 0}, r"recipe: data\.resolution: "),
        ({"num_classes": 1}, r"recipe: data\.num_classes: "),
        ({"variant": "imagenet"}, r"variant 'imagenet': must be one of imagenet-1k, "),
    ],
)
def test_what_cannot_be_is_one_line(arguments, message):
    with pytest.raises(InputError, match=f"^{message}") as caught:
        recipe_for(named("convnext_tiny"), **arguments)
    assert "\n" not in str(caught.value)


def plain(**changes):
    return recipe_for(named("convnext_tiny")).model_dump(mode="json") | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 1}, "epoch: unknown key; the keys are architecture, data, epochs, "),
        ({"data": {"nme": "x"}}, "data.nme: unknown key; the keys are name, num_classes, "),
        ({"optimizer": {"lr": 0}}, "optimizer.lr: input should be greater than 0, not 0"),
        ({"optimizer": {"lr": float("nan")}}, "optimizer.lr: input should be a finite number"),
        ({"optimizer": {"betas": [0.9, 1.0]}}, "optimizer.betas[1]: input should be less than 1, not 1.0"),
        ({"optimizer": {"layer_decay": 1.5}}, "optimizer.layer_decay: "),
        ({"optimizer": {"name": "sgd"}}, "optimizer.name: input should be 'adamw', not 'sgd'"),
        ({"schedule": {"warmup_epochs": 301}}, "schedule.warmup_epochs: 301 is more than epochs, 300"),
        ({"augmentation": {"random_resized_crop": [0.9, 0.1]}}, "augmentation: random_resized_crop: [0.9, "),
        ({"augmentation": {"random_erasing": 2}}, "augmentation.random_erasing: "),
        ({"layer_scale": -1}, "layer_scale: input should be greater than 0, not -1"),
        ({"flip": True}, "flip: unknown key"),
        ({"compile": 1}, "compile: "),
        ({"seed": True}, "seed: must be a number, not True"),  # it would be 1
        ({"optimizer": {"lr": True}}, "optimizer.lr: must be a number, not True"),
        ({"optimizer": {"betas": [True, 0.9]}}, "optimizer.betas[0]: input should be less than 1"),
        ({"epochs": "3_00"}, "epochs: must be a number, not '3_00'"),  # it would be 300
        ({"data": 5}, "data: "),
        ({"architecture": {"stages": [{"depth": 0, "width": 8}]}}, "architecture: stages[0].depth: 0 "),
        ({"architecture": {"stages": [], "deep": 1}}, "architecture: deep: unknown field; "),
        ({"architecture": "convnext_tiny"}, "architecture: "),
        ({"batch_size": 100},
         "total_batch_size: 4096 is not batch_size 100 x accumulation 2 x devices 8, which is 1600"),
        ({"devices": 0}, "devices: input should be greater than 0, not 0"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(tmp_path, changes, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(plain(**changes)))
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"recipe {path}: {message}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: [", "not YAML"),
        ("epochs: 1\nepochs: 2", "stands twice"),
        ("architecture: !!python/object/apply:os.getcwd []", "not YAML"),
        ("epochs: 3", "architecture: missing"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_recipe(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "nothing.yaml")


def test_a_swin_has_no_layer_decay():
    with pytest.raises(InputError, match=r"optimizer\.layer_decay: is for ConvNets"):
        recipe_for(named_network("swin_tiny")).changed(optimizer={"layer_decay": 0.8})


def test_recipes_of_one_network_are_equal_however_it_is_written():
    short = {
        "stages": [{"depth": d, "width": w} for d, w in zip((3, 3, 9, 3), (96, 192, 384, 768), strict=True)]
    }
    recipe = Recipe(architecture=short, batch_size=4, accumulation=2, devices=2, total_batch_size=16)
    assert recipe == recipe.changed(architecture=recipe.network.to_dict())
    assert recipe.network == dataclasses.replace(named("convnext_tiny"), drop_path=0.0)


def test_changed_goes_into_a_part_and_checks():
    recipe = recipe_for(named("convnext_tiny"))
    other = recipe.changed(epochs=100, optimizer={"lr": 1e-3})
    assert (other.epochs, other.optimizer.lr, other.optimizer.betas) == (100, 1e-3, (0.9, 0.999))
    assert recipe.epochs == 300 and recipe.changed() == recipe
    with pytest.raises(InputError, match="learning_rate: unknown key"):
        recipe.changed(learning_rate=1)


def test_the_file_explains_itself(tmp_path):
    recipe = recipe_for(named("convnext_tiny"))
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_text(recipe, "ConvNeXt-T"))
    assert read_recipe(path) == recipe
    start = textwrap.dedent("""\
        # ConvNeXt-T
        architecture:  # with the recipe's stochastic depth, drop_path
        """)
    text = path.read_text()
    assert text.startswith(start)
    assert "batch_size: 256  # images a device and forward pass\n" in text
    assert "  eval_crop: 0.875  # validation: the centre crop's share of the shorter side\n" in text
    assert "clip_norm: null  # of the gradient; null: no clipping\n" in text


@pytest.mark.parametrize(
    "names",
    [
        ("0", "1", "1e5", "0o17", "-3", "+.5", ".inf"),
        ("true", "null", "no", "~", "y", "", " "),
        ("a: b", "#x", "- y", "{z}", "é", "日本", "'q'", '"', "\\n", "new\nline", "tab\t"),
        tuple(f"n{i:08}" for i in range(2000)),
    ],
)
def test_names_of_classes_and_data_survive_the_file(tmp_path, names):
    """Those too that are text to YAML 1.1, which writes them, and numbers to YAML 1.2, which reads them."""
    data = {"name": names[2], "num_classes": len(names), "classes": list(names)}
    recipe = recipe_for(named_network("convnext_tiny")).changed(data=data)
    (tmp_path / "recipe.yaml").write_text(recipe_text(recipe))
    again = read_recipe(tmp_path / "recipe.yaml")
    assert again == recipe and again.data.classes == names


@pytest.mark.parametrize(
    "change",
    [
        "epochs: 1e400", "epochs: 99999999999999999999", "epochs: .nan", "optimizer: {lr: .inf}", "seed: -1",
        "ema_decay: 1", "ema_decay: .nan", "data: {num_classes: 1}", "data: {num_classes: 99999999999}",
        "data: {resolution: 0}", "data: {resolution: 99999999999}", "data: {classes: [1, 2]}",
        "data: {classes: yes}", "data: [1]", "optimizer: text", "architecture: {}", "architecture: 3",
        "architecture: {stages: {a: 1}}", "total_batch_size: 99999999999", "accumulation: [1]",
        "schedule: {warmup_epochs: 1e9}", "augmentation: {rand_augment: rand-m9-x}", "lr: " + "9" * 5000,
        "precision: " + "p" * 10**6, "1: 2", "? [a]\n: 3",
    ],
    ids=range(26),
)  # fmt: skip
def test_odd_values_are_one_short_line(tmp_path, change):
    recipe = recipe_for(named_network("convnext_tiny"))
    values = recipe.model_dump(mode="json")
    key = change.partition(":")[0]
    values.pop(key, None)
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{yaml.safe_dump(values)}\n{change}\n")
    with pytest.raises(InputError, match=r"recipe\.yaml: ") as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1300
