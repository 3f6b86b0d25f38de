"""timm's files: keys that its train.py has, axes of its class, verification with timm or a stand-in."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import yaml

from nas.recipe.published import recipe_for
from nas.targets import timm, verification
from nas.targets.checking import randomised
from nas.targets.target import Chosen, Mismatch, Refused
from space.families import named
from space.space_file import load_space
from space.stem import Stem
from tests.benchmarks.exports import restored
from tests.nas.targets.conftest import CONVNEXT, MIXED, RESNET, make_chosen

# argparse dests of train.py that a recipe may set; huggingface/pytorch-image-models, train.py at commit
# 2aabaef039d918d453b58714ab84562609981112, and all of them in its later versions too
DESTS = """
    data data_dir dataset train_split val_split dataset_download class_map model pretrained
    initial_checkpoint resume no_resume_opt num_classes gp img_size in_chans input_size crop_pct mean
    std interpolation batch_size validation_batch_size channels_last fuser grad_accum_steps
    grad_checkpointing fast_norm model_kwargs head_init_scale head_init_bias torchscript torchcompile
    opt opt_eps opt_betas momentum weight_decay clip_grad clip_mode layer_decay opt_kwargs sched
    sched_on_updates lr lr_base lr_base_size lr_base_scale lr_noise lr_noise_pct lr_noise_std
    lr_cycle_mul lr_cycle_decay lr_cycle_limit lr_k_decay warmup_lr min_lr epochs epoch_repeats
    start_epoch decay_milestones decay_epochs warmup_epochs warmup_prefix cooldown_epochs
    patience_epochs decay_rate no_aug scale ratio hflip vflip color_jitter aa aug_repeats aug_splits
    jsd_loss bce_loss bce_target_thresh reprob remode recount resplit mixup cutmix cutmix_minmax
    mixup_prob mixup_switch_prob mixup_mode mixup_off_epoch smoothing train_interpolation drop
    drop_connect drop_path drop_block bn_momentum bn_eps sync_bn dist_bn split_bn model_ema
    model_ema_force_cpu model_ema_decay seed worker_seeding log_interval recovery_interval
    checkpoint_hist workers save_images amp amp_dtype amp_impl no_ddp_bb synchronize_step pin_mem
    no_prefetcher output experiment eval_metric tta local_rank use_multi_epochs_loader log_wandb
""".split()  # noqa: SIM905 - words read better
# arguments of timm 1.0.31's ConvNeXt.__init__, less those that train.py passes itself
CLASS_ARGUMENTS = """
    output_stride depths dims kernel_sizes ls_init_value stem_type patch_size head_init_scale head_norm_first
    head_hidden_size conv_mlp conv_bias use_grn act_layer norm_layer norm_eps
""".split()  # noqa: SIM905
TINY = named("convnext_tiny")
SMALL = dataclasses.replace(
    TINY,
    stages=tuple(
        dataclasses.replace(stage, depth=depth, width=width)
        for stage, depth, width in zip(TINY.stages, (1, 3, 4, 1), (64, 64, 128, 128), strict=True)
    ),
)


def of_all_stages(network, **fields):
    return dataclasses.replace(
        network, stages=tuple(dataclasses.replace(stage, **fields) for stage in network.stages)
    )


MIXED_GRN = dataclasses.replace(
    SMALL, stages=(dataclasses.replace(SMALL.stages[0], grn=True), *SMALL.stages[1:])
)


def chosen_for(network, variant="imagenet-1k", **changes):
    recipe = recipe_for(network, variant=variant, resolution=64).changed(**changes)
    return Chosen(network=network, name="nas_small", title="A small network", recipe=recipe)


@pytest.fixture
def no_timm(monkeypatch):
    monkeypatch.setattr(timm, "installed", lambda name: False)


def arguments_of(chosen):
    """timm.yaml as timm reads it: the safe loader, YAML 1.1."""
    return yaml.safe_load(timm.export(chosen).files["timm.yaml"])


@pytest.mark.parametrize("variant", ["imagenet-1k", "imagenet-22k", "finetune-1k", "finetune-22k"])
@pytest.mark.parametrize("network", [SMALL, of_all_stages(SMALL, expansion=3)], ids=["class", "file"])
def test_every_key_is_an_argument_of_train_py(no_timm, network, variant):
    chosen = chosen_for(network, variant, clip_norm=1.0, compile=True)
    values = arguments_of(chosen)
    assert set(values) <= set(DESTS)
    assert "drop_path_rate" not in values.get("model_kwargs", {})  # train.py passes it: it would come twice
    recipe = chosen.recipe
    assert values["epochs"] + values["warmup_epochs"] == recipe.epochs and values["warmup_prefix"]
    devices = recipe.total_batch_size // (values["batch_size"] * values["grad_accum_steps"])
    assert devices == recipe.devices
    assert values["drop_path"] == recipe.network.drop_path
    numbers = ("lr", "min_lr", "weight_decay", "opt_eps", "drop_path", "crop_pct")
    assert all(type(values[key]) is float for key in numbers)  # YAML 1.1 reads 4e-3 as a word
    if network is SMALL:
        assert set(values["model_kwargs"]) <= set(CLASS_ARGUMENTS)


def test_the_recipe_is_translated(no_timm):
    values = arguments_of(chosen_for(SMALL))
    assert (values["epochs"], values["warmup_epochs"]) == (280, 20)
    assert (values["lr"], values["warmup_lr"], values["min_lr"]) == (4e-3, 0, 1e-6)
    assert (values["mixup"], values["cutmix"], values["smoothing"], values["reprob"]) == (0.8, 1.0, 0.1, 0.25)
    assert values["aa"] == "rand-m9-mstd0.5-inc1" and values["model_ema_decay"] == 0.9999
    assert values["model_kwargs"]["ls_init_value"] == 1e-6
    tuned = arguments_of(chosen_for(SMALL, "finetune-1k"))
    assert (tuned["epochs"], tuned["warmup_epochs"], tuned["weight_decay"]) == (30, 0, 1e-8)
    assert tuned["model_kwargs"]["head_init_scale"] == 0.001 and not tuned["model_ema"]
    assert arguments_of(chosen_for(SMALL, "imagenet-22k"))["num_classes"] == 21841


def test_what_the_recipe_changes_reaches_timm(no_timm):
    chosen = chosen_for(
        SMALL,
        layer_scale=0.1,
        precision="fp32",
        ema_decay=None,
        augmentation={"flip": False, "rand_augment": None, "random_resized_crop": [0.3, 1.0]},
    )
    values = arguments_of(chosen)
    assert values["model_kwargs"]["ls_init_value"] == 0.1
    assert (values["amp"], values["model_ema"], values["hflip"], values["scale"]) == (
        False,
        False,
        0,
        [0.3, 1.0],
    )
    assert "aa" not in values and "amp_dtype" not in values


@pytest.mark.parametrize(
    ("changes", "axis"),
    [
        ({"augmentation": {"random_resized_crop": None}}, "augmentation.random_resized_crop"),
        ({"augmentation": {"crop_padding": 4}}, "augmentation.crop_padding"),
        ({"schedule": {"warmup_epochs": 2.5}}, "schedule.warmup_epochs"),
        ({"schedule": {"warmup_epochs": 300}}, "schedule.warmup_epochs"),
    ],
)
def test_a_recipe_that_train_py_lacks_is_refused(no_timm, changes, axis):
    with pytest.raises(Refused, match=f"^{axis}: "):
        timm.export(chosen_for(SMALL, **changes))


@pytest.mark.parametrize(
    ("network", "axis"),
    [
        (RESNET, "stages"),
        (dataclasses.replace(SMALL, stem=Stem(norm=False)), "stem.norm"),
        (dataclasses.replace(SMALL, stem=Stem(activation=True)), "stem.activation"),
        (dataclasses.replace(SMALL, norm="batch"), "norm"),
        (dataclasses.replace(of_all_stages(SMALL, width=48), norm="group"), "norm"),
        (dataclasses.replace(SMALL, head_norm=False), "head_norm"),
        (dataclasses.replace(SMALL, downsampling="strided"), "downsampling"),
        (dataclasses.replace(SMALL, stem=Stem(patch_size=2)), "stem.patch_size"),
        (dataclasses.replace(SMALL, stem=Stem(patch_size=8)), "stem.patch_size"),
        (MIXED_GRN, "grn"),
        (of_all_stages(SMALL, expansion=3), "expansion"),
        (of_all_stages(SMALL, act_after=(1, 2)), "act_after"),
    ],
)  # fmt: skip
def test_what_timms_class_lacks_gets_a_model_file(no_timm, network, axis):
    assert timm.lacks(network) is None
    assert timm.class_lacks(network).startswith(f"{axis}: ")
    assert not (timm.class_lacks(restored(network, axis)) or "").startswith(f"{axis}: ")
    exported = timm.export(chosen_for(network))
    assert set(exported.files) > {"nas_small.py", "launch.py"}
    assert yaml.safe_load(exported.files["timm.yaml"])["model"] == "nas_small"
    assert all("launch.py" in command for command in exported.commands[1:])
    assert exported.check is None and axis in exported.notes[2]


@pytest.mark.parametrize("name", ["convnext_tiny", "convnext_small", "convnext_base", "convnext_xlarge"])
def test_timms_class_has_the_published_networks(name):
    assert timm.class_lacks(named(name)) is None


def test_every_refused_axis_of_the_space_can_be_set_back():
    space = load_space("convnext")
    for network in space.sample(100, seed=1):
        steps = 0
        while (reason := timm.class_lacks(network)) is not None:
            axis = reason.partition(":")[0]
            network = restored(network, axis)  # noqa: PLW2901
            assert not (timm.class_lacks(network) or "").startswith(f"{axis}: ")
            steps += 1
        assert steps <= 2  # expansion and norm are all that this space varies beyond timm


def test_layers_of_the_official_rule(no_timm):
    """optim_factory.py, get_num_layer_for_convnext: 12 layers of depths 3-3-27-3 and the head."""
    network = dataclasses.replace(named("convnext_small"), head_norm=False)
    text = timm.export(chosen_for(network)).files["launch.py"]
    assert "FIRST_LAYER = [1, 2, 3, 12]\nLAST_LAYER = 13\n" in text


def test_weights_go_to_timms_names(no_timm):
    network = randomised(SMALL, 7, resolution=32)[0]
    chosen = dataclasses.replace(chosen_for(SMALL), weights=network.state_dict())
    exported = timm.export(chosen)
    assert exported.files["nas_small.pth"] and "--initial-checkpoint nas_small.pth" in exported.commands[2]
    state = timm.timm_state(network.state_dict(), SMALL)
    assert set(state) > {"stem.0.weight", "stages.1.blocks.2.conv_dw.weight", "head.fc.bias"}
    group = timm.timm_state(network.state_dict(), dataclasses.replace(SMALL, norm="group"))
    assert group["stages.0.blocks.0.mlp.fc1.weight"].dim() == 4  # conv_mlp


# -- verify_timm.py itself, with a stand-in for timm that has its registry and nothing else

STAND_IN = {
    "timm/__init__.py": "__version__ = 'stand-in'\nfrom timm.models import create_model\n",
    "timm/data/__init__.py": "",
    "timm/data/constants.py": "IMAGENET_DEFAULT_MEAN = IMAGENET_DEFAULT_STD = (0.5, 0.5, 0.5)\n",
    "timm/models/__init__.py": """
made = {}
def register_model(function):
    made[function.__name__] = function
    return function
def generate_default_cfgs(values):
    return values
def build_model_with_cfg(cls, name, pretrained, pretrained_cfg=None, feature_cfg=None, **kwargs):
    return cls(**kwargs)
def create_model(name, pretrained=False, pretrained_cfg=None, **kwargs):
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    return made[name](pretrained=pretrained, pretrained_cfg=pretrained_cfg, **kwargs)
""",
    "PIL/__init__.py": "__version__ = '12.0.0'\n",
    "PIL/Image.py": "new = lambda mode, size: None\n",
    "PIL/ImageOps.py": "posterize = lambda image, bits: image\n",
}
PILLOW_13 = {
    "PIL/__init__.py": "__version__ = '13.0.0'\n",
    "PIL/ImageOps.py": "def posterize(image, bits):\n"
    "    if not bits:\n        raise ValueError('bits must be 1 to 8')\n",
}
FILE_NETWORKS = {"expansion": of_all_stages(CONVNEXT, expansion=3), "resnet": RESNET, "mixed": MIXED}


@pytest.mark.parametrize("kind", FILE_NETWORKS)
def test_the_model_file_verifies_in_a_process_of_its_own(no_timm, run_in, kind):
    network = FILE_NETWORKS[kind]
    files = dict(timm.export(make_chosen(network)).files) | STAND_IN
    ran = run_in(files, "verify_timm.py", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["library"] == "timm stand-in" and 0 <= found["difference"] <= found["tolerance"]


def test_a_pillow_that_would_end_the_training_is_said(no_timm, run_in):
    files = dict(timm.export(make_chosen(FILE_NETWORKS["expansion"])).files) | STAND_IN | PILLOW_13
    ran = run_in(files, "verify_timm.py", "--json")
    assert ran.returncode == verification.AILING and json.loads(ran.stdout.splitlines()[-1])["params"]
    assert ran.stderr == (
        "timm's RandAugment fails under Pillow 13.0.0 (bits must be 1 to 8): pip install 'pillow<13'\n"
    )
    plain = make_chosen(FILE_NETWORKS["expansion"], augmentation={"rand_augment": None})
    assert run_in(dict(timm.export(plain).files), "verify_timm.py").returncode == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("nas_small.py", "eps=1e-6", "eps=1e-5", "logits"),
        ("nas_small.py", "3 * dim", "2 * dim", "parameters"),
        ("timm.yaml", "drop_path: 0.1", "drop_path: 0.2", "stochastic depth"),
    ],
)
def test_a_changed_file_is_noticed(no_timm, run_in, file, old, new, what):
    files = dict(timm.export(make_chosen(FILE_NETWORKS["expansion"])).files) | STAND_IN
    assert old in files[file]
    files[file] = files[file].replace(old, new)
    ran = run_in(files, "verify_timm.py")
    assert ran.returncode == 1 and what in ran.stderr


def test_the_launcher_runs_a_script_that_finds_the_network(no_timm, run_in):
    script = "import sys, timm\nprint(sys.argv[1:], type(timm.create_model('nas_small')).__name__)\n"
    files = dict(timm.export(make_chosen(FILE_NETWORKS["expansion"])).files) | STAND_IN | {"train.py": script}
    ran = run_in(files, "launch.py", "train.py", "-c", "timm.yaml")
    assert ran.stdout.strip() == "['-c', 'timm.yaml'] ForTimm", ran.stderr


INTERFACE = """
import copy, torch, launch
from timm.models import create_model
make = lambda **kwargs: create_model("nas_small", **kwargs).eval()
x, model = torch.randn(2, 3, 32, 32), make()
maps, widths = model.forward_features(x), launch.DIMS
assert maps.shape[:2] == (2, widths[-1]) and model.num_features == model.head_hidden_size == widths[-1]
assert torch.equal(model.forward_head(maps), model(x)) and model(x).shape == (2, 7)
assert torch.equal(model.forward_head(maps, pre_logits=True), launch.{network}.forward_features(model, x))
assert make(num_classes=0)(x).shape == (2, widths[-1])
assert make(num_classes=0, global_pool="")(x).shape == maps.shape
last, found = model.forward_intermediates(x)
assert torch.equal(last, maps) and torch.equal(found[-1], maps)
for info, each in zip(model.feature_info, found):
    assert each.shape == (2, info["num_chs"], 32 // info["reduction"], 32 // info["reduction"]), info
    assert model.get_submodule(info["module"]) is not None
few = copy.deepcopy(model)
assert few.prune_intermediate_layers((0,)) == [0] and few.num_features == widths[0]
first = few.forward_intermediates(x, indices=(0,), intermediates_only=True)
assert len(first) == 1 and torch.equal(first[0], found[0])
model.reset_classifier(3)
assert model(x).shape == (2, 3) and model.get_classifier().out_features == model.num_classes == 3
model.reset_classifier(0, "")
assert torch.is_tensor(model(x)) and model(x).shape == maps.shape
for wrong in ({{"global_pool": "max"}}, {{"global_pool": ""}}):
    try:
        make(**wrong)
    except ValueError as error:
        assert "global_pool" in str(error)
    else:
        raise AssertionError(wrong)
plain = make()
saving = copy.deepcopy(plain)
saving.set_grad_checkpointing()
for each in (plain, saving):
    each(x).sum().backward()
for one, other in zip(plain.parameters(), saving.parameters()):
    torch.testing.assert_close(one.grad, other.grad)
saving.set_grad_checkpointing(False)
assert plain.no_weight_decay() == set()
names = [name for name, _ in plain.named_parameters()]
assert {{plain.group_matcher(coarse=True)(name) for name in names}} == set(range(len(widths) + 2))
torch.testing.assert_close(torch.jit.script(plain)(x), plain(x))
assert make(drop_rate=0.5).head_drop.p == 0.5
"""


@pytest.mark.parametrize("kind", FILE_NETWORKS)
def test_the_network_has_timms_interface(no_timm, run_in, kind):
    chosen = make_chosen(FILE_NETWORKS[kind])
    script = INTERFACE.format(network="NasSmall")
    files = dict(timm.export(chosen).files) | STAND_IN | {"interface.py": script}
    ran = run_in(files, "interface.py")
    assert ran.returncode == 0, ran.stderr


def test_a_timm_that_fails_in_use_leaves_it_unverified(monkeypatch):
    def ended(code, said):
        done = subprocess.CompletedProcess([], code, "", f"Warning: x\n{said}\n")
        monkeypatch.setattr(timm, "_run", lambda files: done)

    monkeypatch.setattr(timm, "installed", lambda name: True)
    ended(verification.FAILED, "not verified: timm 0.1 failed (TypeError: unexpected 'use_grn')")
    exported = timm.export(make_chosen(CONVNEXT))
    assert exported.check is None and "timm.yaml" in exported.files
    assert exported.unverified == "timm 0.1 failed (TypeError: unexpected 'use_grn')"
    ended(1, "MemoryError")  # no word of the script's own
    assert timm.export(make_chosen(CONVNEXT)).unverified == "MemoryError"


def test_class_names_of_folders_keep_their_order_in_timm(no_timm):
    chosen = make_chosen(CONVNEXT, num_classes=2, data={"classes": ["class2", "class10"]})
    exported = timm.export(chosen)
    assert exported.files["classes.txt"] == "class2\nclass10\n"
    assert "class_map" not in yaml.safe_load(exported.files["timm.yaml"])
    assert any("--class-map classes.txt" in note for note in exported.notes)
    known = timm.export(dataclasses.replace(chosen, folders=True))
    assert yaml.safe_load(known.files["timm.yaml"])["class_map"] == "classes.txt"


def test_a_timm_that_cannot_be_imported_leaves_it_unverified(no_timm, run_in):
    files = dict(timm.export(make_chosen(FILE_NETWORKS["expansion"])).files)
    files["timm/__init__.py"] = "import torchvision_that_is_not_there\n"
    ran = run_in(files, "verify_timm.py")
    assert ran.returncode == verification.ABSENT and "timm cannot be imported" in ran.stderr


def test_a_mismatch_stops_the_export(monkeypatch):
    monkeypatch.setattr(timm, "installed", lambda name: True)
    failed = subprocess.CompletedProcess([], 1, "", "verify_timm.py: logits differ by: 1.0\n")
    monkeypatch.setattr(timm.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(Mismatch, match="logits differ"):
        timm.export(make_chosen(CONVNEXT))


# -- with timm, where it can be imported


@pytest.fixture(scope="module")
def real_timm():
    """Skips where timm, with all it imports, is not there; a broken one cannot hurt this process."""
    ran = subprocess.run([sys.executable, "-c", "import timm"], capture_output=True, text=True, check=False)
    if ran.returncode:
        pytest.skip(f"timm cannot be imported: {(ran.stderr.strip().splitlines() or ['?'])[-1]}")


REAL = {
    "class": SMALL,
    "rms": dataclasses.replace(SMALL, norm="rms", activation="hardswish"),
    "group": dataclasses.replace(SMALL, norm="group", activation="silu"),
    "v2": dataclasses.replace(of_all_stages(SMALL, grn=True), layer_scale=None),
    "no LayerScale": dataclasses.replace(SMALL, layer_scale=None, activation="relu"),
    "patch 7": dataclasses.replace(SMALL, stem=Stem(patch_size=7)),
    "patch 2": dataclasses.replace(SMALL, stem=Stem(patch_size=2)),
    "file": dataclasses.replace(of_all_stages(SMALL, expansion=2, kernel_size=5), norm="batch"),
}


@pytest.mark.parametrize("kind", REAL)
def test_timm_builds_the_network(real_timm, kind):
    check = timm.export(chosen_for(REAL[kind])).check
    assert check is not None and check.library.startswith("timm ")


SCHEDULE = """
import argparse, json, sys, timm, torch, yaml
from timm.optim import create_optimizer_v2, optimizer_kwargs
from timm.scheduler import create_scheduler_v2, scheduler_kwargs
args = argparse.Namespace(momentum=0.9, **yaml.safe_load(open("timm.yaml")))
model = timm.create_model(args.model, drop_path_rate=args.drop_path, num_classes=args.num_classes,
                          **getattr(args, "model_kwargs", {}))
optimizer = create_optimizer_v2(model, **optimizer_kwargs(cfg=args))
scheduler, epochs = create_scheduler_v2(optimizer, **scheduler_kwargs(args), updates_per_epoch=10)
rates = []
for step in range(10 * epochs):
    scheduler.step_update(step)
    rates.append(max(group["lr"] for group in optimizer.param_groups))
scales = [group.get("lr_scale", 1) for group in optimizer.param_groups]
decays = sorted({group["weight_decay"] for group in optimizer.param_groups})
print(json.dumps([epochs, rates, min(scales), decays]))
"""


@pytest.mark.parametrize("kind", ["class", "file"])
@pytest.mark.parametrize("variant", ["imagenet-1k", "finetune-1k"])
def test_timm_trains_by_the_recipe(real_timm, no_timm, run_in, kind, variant):
    """Rates step by step and by layer, as timm's optimiser and scheduler make them of timm.yaml."""
    chosen = chosen_for(REAL[kind], variant)
    files = dict(timm.export(chosen).files) | {"schedule.py": SCHEDULE}
    arguments = ["launch.py", "schedule.py"] if kind == "file" else ["schedule.py"]
    ran = run_in(files, *arguments, PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    assert ran.returncode == 0, ran.stderr
    epochs, rates, scale, decays = json.loads(ran.stdout.splitlines()[-1])
    recipe = chosen.recipe
    assert epochs == recipe.epochs
    warmup = 10 * int(recipe.schedule.warmup_epochs)
    if warmup:
        assert rates[:2] == pytest.approx([0, recipe.optimizer.lr / warmup])
    assert rates[warmup] == pytest.approx(recipe.optimizer.lr)
    middle = warmup + (len(rates) - warmup) // 2
    assert rates[middle] == pytest.approx((recipe.optimizer.lr + 1e-6) / 2, rel=1e-6)
    assert decays == pytest.approx([0, recipe.optimizer.weight_decay])
    decay = recipe.optimizer.layer_decay
    last = timm.Layers(chosen.network.depths).last
    assert scale == pytest.approx(1 if decay is None else decay**last, rel=1e-4)


FEATURES = """
import torch, launch, timm
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
x = torch.randn(2, 3, 32, 32)
net = timm.create_model("nas_small", features_only=True).eval()
for map, channels, stride in zip(net(x), net.feature_info.channels(), net.feature_info.reduction()):
    assert map.shape == (2, channels, 32 // stride, 32 // stride)
assert len(net(x)) == len(launch.DIMS)
last = timm.create_model("nas_small", features_only=True, out_indices=(-1,)).eval()
assert [map.shape[1] for map in last(x)] == [launch.DIMS[-1]]
model = timm.create_model("nas_small")
optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.5)
assert max(group["lr_scale"] for group in optimizer.param_groups) == 1
assert len(group_parameters(model, model.group_matcher(coarse=True))) == len(launch.DIMS) + 2
"""


@pytest.mark.parametrize("kind", FILE_NETWORKS)
@pytest.mark.parametrize("script", [INTERFACE, FEATURES], ids=["interface", "features"])
def test_timm_uses_the_network_as_one_of_its_own(real_timm, no_timm, run_in, kind, script):
    text = script.format(network="NasSmall") if script is INTERFACE else script
    files = dict(timm.export(make_chosen(FILE_NETWORKS[kind])).files) | {"used.py": text}
    ran = run_in(files, "used.py", PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    assert ran.returncode == 0, ran.stderr
