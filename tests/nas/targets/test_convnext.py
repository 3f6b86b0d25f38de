"""The target convnext: flags that main.py's argparse knows, and a network that timm's registry knows.

Neither the official repository nor timm is here: FLAGS has the names and types of main.py's flags (commit
2313ff8), and stand-ins for timm and main.py keep the parts of their contracts that the files rely on.
"""

import argparse
import shlex
from pathlib import Path

import pytest
import torch

from nas.targets import convnext
from nas.targets.target import Refused
from space.architecture import Architecture
from space.cost import cost
from space.families import named
from space.network import build
from tests.nas.targets.conftest import CONVNEXT, RESNET, make_chosen


def words(text):
    assert text in ("true", "false")
    return text == "true"


FLAGS = {
    int: "batch_size epochs update_freq input_size warmup_epochs warmup_steps recount nb_classes seed "
    "start_epoch num_workers save_ckpt_freq save_ckpt_num world_size local_rank",
    float: "drop_path layer_scale_init_value model_ema_decay opt_eps clip_grad momentum weight_decay "
    "weight_decay_end lr layer_decay min_lr color_jitter smoothing crop_pct reprob mixup cutmix mixup_prob "
    "mixup_switch_prob head_init_scale",
    str: "model opt aa train_interpolation remode mixup_mode finetune model_key model_prefix data_path "
    "eval_data_path data_set output_dir log_dir device resume dist_url",
    words: "model_ema model_ema_force_cpu model_ema_eval resplit imagenet_default_mean_and_std auto_resume "
    "save_ckpt eval dist_eval disable_eval pin_mem dist_on_itp use_amp",
}


def arguments(command, program="train.py"):
    """What main.py would read from the command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for kind, names in FLAGS.items():
        for name in names.split():
            parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--opt_betas", type=float, nargs="+")
    given = shlex.split(command.replace("\\\n", ""))  # as the shell joins lines
    return parser.parse_args(given[given.index(program) + 1 :])


def training(chosen):
    return convnext.commands(chosen.recipe, chosen.name, weights=False)[2]


def test_every_value_of_the_recipe_is_a_flag_of_main_py():
    chosen = make_chosen(named("convnext_tiny"), resolution=224, num_classes=1000, name="nas_tiny")
    command = training(chosen)
    assert command.startswith("python -m torch.distributed.launch --nproc_per_node=8 train.py ")
    given = {name: value for name, value in vars(arguments(command)).items() if value is not None}
    assert given == {
        "model": "nas_tiny", "drop_path": 0.1, "layer_scale_init_value": 1e-6, "input_size": 224,
        "crop_pct": 0.875, "data_set": "IMNET", "nb_classes": 1000, "data_path": "/path/to/pictures",
        "epochs": 300, "batch_size": 128, "update_freq": 4, "opt": "adamw", "lr": 4e-3,
        "opt_betas": [0.9, 0.999], "opt_eps": 1e-8, "weight_decay": 0.05, "warmup_epochs": 20,
        "min_lr": 1e-6, "aa": "rand-m9-mstd0.5-inc1", "color_jitter": 0.4, "train_interpolation": "bicubic",
        "reprob": 0.25, "remode": "pixel", "recount": 1, "mixup": 0.8, "cutmix": 1.0, "mixup_prob": 1.0,
        "mixup_switch_prob": 0.5, "smoothing": 0.1, "model_ema": True, "model_ema_eval": True,
        "model_ema_decay": 0.9999, "head_init_scale": 1.0, "seed": 0, "output_dir": "results",
    }  # fmt: skip


@pytest.mark.parametrize(("devices", "batch"), [(1, 64), (8, 128), (32, 128), (16, 32)])
def test_the_total_batch_is_the_recipe_s(devices, batch):
    accumulation = 4096 // (devices * batch)
    chosen = make_chosen(devices=devices, batch_size=batch, accumulation=accumulation)
    command = training(chosen)
    given = arguments(command)
    launch = dict(word.lstrip("-").split("=") for word in command.split() if "=" in word)
    gpus = int(launch.get("nproc_per_node", 1)) * int(launch.get("nnodes", 1))
    assert gpus * given.batch_size * given.update_freq == 4096
    assert command.startswith("python train.py") == (devices == 1)


def test_other_recipes_have_other_flags():
    off = {"mixup": 0, "cutmix": 0, "rand_augment": None, "label_smoothing": 0}
    given = arguments(training(make_chosen(RESNET, ema_decay=None, augmentation=off, head_init_scale=0.001)))
    assert given.layer_scale_init_value == 0  # main.py's word for no LayerScale
    assert given.model_ema is False
    assert given.aa == ""
    assert given.finetune == "/path/to/checkpoint.pth"
    assert (given.data_set, given.nb_classes) == ("image_folder", 7)
    assert given.data_path == "/path/to/pictures/train"
    assert given.eval_data_path == "/path/to/pictures/val"
    assert arguments(training(make_chosen(layer_scale=0.1))).layer_scale_init_value == 0.1
    large = {"name": "imagenet-22k", "num_classes": 21841, "resolution": 224}
    given = arguments(training(make_chosen(data=large)))
    assert given.disable_eval is True
    assert given.nb_classes == 21841


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimizer": {"layer_decay": 0.7}}, "optimizer.layer_decay: 0.7; main.py has it for"),
        ({"clip_norm": 5.0}, "clip_norm: 5.0; main.py clips in float16 alone"),
        ({"schedule": {"warmup_from": 1e-6}}, "schedule.warmup_from: 1e-06; main.py warms up from 0"),
        ({"schedule": {"warmup_epochs": 2.5}}, "schedule.warmup_epochs: 2.5; main.py counts whole epochs"),
        ({"augmentation": {"flip": False}}, "augmentation.flip: False"),
        ({"augmentation": {"random_resized_crop": [0.5, 1.0]}}, "augmentation.random_resized_crop"),
        ({"augmentation": {"crop_padding": 4}}, "augmentation.crop_padding: 4"),
        ({"batch_size": 1, "accumulation": 512}, "batch_size: 1; main.py mixes images in pairs"),
        ({"data": {"resolution": 32}}, "data.resolution: 32"),
        ({"data": {"num_classes": 3}}, "data.num_classes: 3"),
        ({"data": {"interpolation": "bilinear"}}, "data.interpolation: bilinear"),
        ({"data": {"resolution": 384, "eval_crop": 0.9}}, "data.eval_crop: 0.9"),
    ],
)
def test_what_main_py_cannot_do_is_refused(fields, message):
    fields = {**fields, "data": {"resolution": 64} | fields.get("data", {})}
    with pytest.raises(Refused, match=message):
        convnext.export(make_chosen(**fields))


def test_layer_wise_decay_of_a_published_network_runs_main_py_itself():
    tuned = {"optimizer": {"layer_decay": 0.8}, "head_init_scale": 0.001}
    chosen = make_chosen(named("convnext_base"), resolution=64, **tuned)
    convnext.refuse_recipe(chosen.recipe, chosen.network)
    given = arguments(training(chosen), "ConvNeXt/main.py")
    assert (given.model, given.layer_decay) == ("convnext_base", 0.8)
    assert given.finetune == "/path/to/checkpoint.pth"
    for other in (named("convnext_tiny"), Architecture.convnext([3, 3, 27, 3], [128, 256, 512, 1000])):
        with pytest.raises(Refused, match=r"optimizer.layer_decay"):
            convnext.refuse_recipe(chosen.recipe, other)


def test_notes_say_where_main_py_differs():
    sizes = {"data": {"resolution": 384, "eval_crop": 1.0, "num_classes": 7}}
    text = " ".join(convnext.notes(make_chosen(precision="fp32", **sizes).recipe))
    assert "torch._six" in text
    assert "From 384 pixels on" in text
    assert "bfloat16" not in text
    assert "bfloat16" in " ".join(convnext.notes(make_chosen().recipe))


# what timm 0.3.2 and newer ones have in common, where the files touch it
REGISTRY = """\
import sys
ENTRIES = {}
def register_model(fn):
    module = sys.modules[fn.__module__]
    module.__all__ = [*getattr(module, "__all__", []), fn.__name__]
    ENTRIES[fn.__name__] = fn
    return fn
"""
TIMM_OLD = {
    "timm/__init__.py": "from .models import create_model\n__version__ = '0.3.2'\n",
    "timm/models/__init__.py": "from .registry import ENTRIES\n"
    "def create_model(name, pretrained=False, num_classes=1000, in_chans=3, **kwargs):\n"
    "    args = dict(pretrained=pretrained, num_classes=num_classes, in_chans=in_chans)\n"
    "    return ENTRIES[name](**args, **{k: v for k, v in kwargs.items() if v is not None})\n",
    "timm/models/registry.py": REGISTRY,
}
TIMM_NEW = {
    "timm/__init__.py": "from .models import create_model\n__version__ = '1.0.0'\n",
    "timm/models/__init__.py": "from ._registry import ENTRIES, register_model\n"
    "def create_model(name, pretrained=False, pretrained_cfg=None, cache_dir=None, **kwargs):\n"
    "    kwargs = {k: v for k, v in kwargs.items() if v is not None}\n"
    "    own = dict(pretrained_cfg=pretrained_cfg, pretrained_cfg_overlay=None, cache_dir=cache_dir)\n"
    "    return ENTRIES[name](pretrained=pretrained, **own, **kwargs)\n",
    "timm/models/_registry.py": REGISTRY,
}
MAIN = """\
import sys
from timm.models import create_model
import utils
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
model = create_model(
    given["--model"], pretrained=False, num_classes=int(given["--nb_classes"]),
    drop_path_rate=float(given["--drop_path"]),
    layer_scale_init_value=float(given["--layer_scale_init_value"]),
    head_init_scale=float(given["--head_init_scale"]),
)
assert __name__ == "__main__" and utils.HERE
print(sum(p.numel() for p in model.parameters()), model.head.out_features)
"""
REPOSITORY = {"ConvNeXt/main.py": MAIN, "ConvNeXt/utils.py": "HERE = True\n"}


@pytest.mark.parametrize(
    ("timm", "which"), [(TIMM_OLD, CONVNEXT), (TIMM_NEW, RESNET)], ids=["timm 0.3.2", "newer timm"]
)
def test_main_py_finds_the_network_through_timm(timm, which, run_in):
    chosen = make_chosen(which, data={"resolution": 64, "num_classes": 7})
    exported = convnext.export(chosen)
    assert exported.verify == "python verify.py"
    params = cost(which, 64, 7).params
    assert exported.check.params == params
    files = {**exported.files, **timm, **REPOSITORY}
    done = run_in(files, "verify.py")
    assert done.stdout == f"{params:,} parameters; the logits agree\n", done.stderr
    command = "--model nas_small --nb_classes 7 --drop_path 0.1 --head_init_scale 1"
    start = "0" if which is RESNET else "1e-6"
    done = run_in({}, "train.py", *command.split(), "--layer_scale_init_value", start)
    assert done.stdout == f"{params} 7\n", done.stderr


BROKEN = {"timm/__init__.py": "raise RuntimeError('operator torchvision::nms does not exist')\n"}
CHECKED = """
from nas.targets import convnext
from tests.nas.targets.conftest import make_chosen
print(convnext.export(make_chosen(data={"resolution": 64, "num_classes": 7})).check.library)
"""


@pytest.mark.parametrize(
    ("timm", "words"),
    [
        (BROKEN, "timm cannot be imported (RuntimeError: operator torchvision::nms does not exist)\n"),
        ({"timm/nothing.txt": ""}, "timm is not installed\n"),  # a folder of that name is no library
        ({"timm/__init__.py": "__version__ = '9'\n"}, "timm 9 failed (AttributeError: module 'timm' has no "),
        (TIMM_OLD, "timm 0.3.2\n"),
    ],
    ids=["broken", "folder", "other", "old"],
)
def test_a_timm_that_does_not_work_leaves_the_check_to_torch(run_in, timm, words):
    done = run_in({**timm, "check.py": CHECKED}, "check.py", PYTHONPATH=f".:{Path.cwd()}")
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    if "0.3.2" not in words:
        assert done.stdout.startswith("torch ") and "not through timm's registry: " in done.stdout


def test_a_model_file_beside_a_broken_timm_is_a_module_all_the_same(run_in):
    files = convnext.export(make_chosen(data={"resolution": 64, "num_classes": 7})).files
    done = run_in({**files, **BROKEN}, "-c", "import model; print(model.nas_small().num_classes)")
    assert done.stdout == "7\n", done.stderr


def test_the_model_file_needs_no_timm_and_refuses_a_dead_start(run_in):
    exported = convnext.export(make_chosen(data={"resolution": 64, "num_classes": 7}))
    assert "timm" in exported.check.library
    run = "import model; m = model.nas_small(in_chans=3, num_classes=5, drop_rate=0.0); print(m.num_classes)"
    assert run_in(exported.files, "-c", run).stdout == "5\n"
    done = run_in({}, "-c", "import model; model.nas_small(layer_scale_init_value=0)")
    assert "ValueError: layer_scale_init_value" in done.stderr


def test_weights_go_along_as_main_py_reads_them(tmp_path):
    torch.manual_seed(0)
    weights = build(CONVNEXT, 7).state_dict()
    exported = convnext.export(make_chosen(weights=weights, data={"resolution": 64, "num_classes": 7}))
    (tmp_path / "weights.pth").write_bytes(exported.files["weights.pth"])
    found = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert list(found) == ["model"]
    assert all(torch.equal(value, weights[name]) for name, value in found["model"].items())
    evaluate = arguments(exported.commands[-1])
    assert (evaluate.eval, evaluate.resume, evaluate.model) == (True, "weights.pth", "nas_small")
