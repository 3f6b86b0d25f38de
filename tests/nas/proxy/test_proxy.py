"""The proxy as a value, the training loop's parts number by number, and short trainings."""

import dataclasses
import errno
import math
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nas.data import load
from nas.data.batches import Cached
from nas.proxy.proxy import PRESETS, Proxy, load_proxy
from nas.proxy.trainer import train
from nas.training import device
from nas.training import loop as training
from nas.training import state as state_module
from nas.training.device import choose_precision
from nas.training.optimiser import lr_at, parameter_groups
from nas.training.result import TrialFailed
from space.architecture import Architecture
from space.errors import InputError
from space.network import build

TINY = Architecture.convnext([1, 1], [16, 32], drop_path=0.1)
SHORT = Proxy(
    data="fractal", num_classes=4, resolution=16, train_size=64, val_size=32, epochs=2, batch_size=16,
    mixup=0.8, cutmix=1.0, mixup_prob=0.5, crop_padding=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(cache_dir):
    return SHORT.load_data(cache_dir)


# the proxy as a value


@pytest.mark.parametrize("name", PRESETS)
def test_presets_load(name):
    proxy = load_proxy(name)
    assert proxy.resolution >= 32 and proxy.warmup_epochs <= proxy.epochs


def test_a_proxy_is_read_without_torch():
    code = (
        "import sys; from nas.proxy.proxy import load_proxy; load_proxy('cpu'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch: 3", "epoch: unknown key; the keys are data, "),
        ("epochs: 0", "epochs: input should be greater than 0, not 0"),
        ("lr: .nan", "lr: "),
        ("lr: fast", "lr: input should be a valid number"),
        ("flip: 3", "flip: input should be a valid boolean"),
        ("precision: fp8", "precision: "),
        ("layer_scale: -1", "layer_scale: "),
        ("width_share: 0", "width_share: input should be greater than 0, not 0"),
        ("width_share: 2", "width_share: input should be less than or equal to 1, not 2"),
        ("stem_stride: 3", "stem_stride: input should be 4, 2 or 1, not 3"),
        ("init: he", "init: input should be 'official', 'fan_in' or 'identity', not 'he'"),
        ("epochs: 2\nwarmup_epochs: 3", "warmup_epochs: 3 is more than epochs, 2"),
        ("betas: [0.9, 1.0]", "betas: both must be below 1"),
        ("- 1", "must be a mapping of keys to values, not list"),
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_a_wrong_proxy_file_is_told_in_one_line(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load_proxy(path)
    message = str(raised.value)
    assert message.startswith(f"proxy {path}: ") and words in message and "\n" not in message


def test_a_missing_proxy_file_names_the_presets():
    with pytest.raises(InputError, match="No such file or directory; name a YAML file or one of smoke, cpu"):
        load_proxy("no/such.yaml")


def test_a_proxy_is_frozen_and_changed_checks_again():
    with pytest.raises(ValidationError):
        SHORT.epochs = 5
    assert SHORT.changed(epochs=7).epochs == 7
    with pytest.raises(InputError, match="proxy: epochs: "):
        SHORT.changed(epochs=-1)


def test_the_fingerprint_follows_what_decides_a_result(data, cache_dir):
    print_ = SHORT.fingerprint(data)
    assert len(print_) == 16
    assert SHORT.changed(device="cuda").fingerprint(data) == print_
    for change in ({"lr": 2e-3}, {"epochs": 3}, {"flip": False}, {"layer_scale": 1.0}):
        assert SHORT.changed(**change).fingerprint(data) != print_
    other = SHORT.changed(data_seed=1).load_data(cache_dir)
    assert SHORT.fingerprint(other) != print_


# schedule, groups, what is trained


def test_schedule_number_by_number():
    rates = [lr_at(step, 9, 3, 1.0, 0.1) for step in range(9)]
    cosine = [0.1 + 0.45 * (1 + math.cos(math.pi * i / 6)) for i in range(6)]
    assert rates == pytest.approx([0, 0.5, 1.0, *cosine])
    assert rates[3] == 1.0 and rates[6] == pytest.approx(0.55)


def test_schedule_edges():
    assert lr_at(0, 4, 0, 1.0, 0.0) == 1.0
    assert lr_at(0, 4, 1, 1.0, 0.0) == 0.0 and lr_at(1, 4, 1, 1.0, 0.0) == 1.0
    assert lr_at(3, 4, 4, 1.0, 0.0) == 1.0


def test_parameter_groups_name_by_name():
    network = build(TINY, 4)
    decay, none = parameter_groups(network, 0.05)
    names = {id(p): n for n, p in network.named_parameters()}
    assert decay["weight_decay"] == 0.05 and none["weight_decay"] == 0.0
    assert {names[id(p)] for p in decay["params"]} == {
        "downsample_layers.0.0.weight",
        "downsample_layers.1.1.weight",
        *(f"stages.{i}.0.{layer}.weight" for i in range(2) for layer in ("dwconv", "pwconv1", "pwconv2")),
        "head.weight",
    }
    assert len(decay["params"]) + len(none["params"]) == len(names)
    assert "stages.0.0.gamma" in {names[id(p)] for p in none["params"]}


def test_layer_scale_and_stochastic_depth_overrides():
    def trained(network, proxy):
        return state_module.as_trained(proxy.recipe(network, 4, 64))

    assert trained(TINY, Proxy()) == TINY
    changed = trained(TINY, Proxy(layer_scale=1.0, stochastic_depth=0.3))
    assert (changed.layer_scale, changed.drop_path) == (1.0, 0.3)
    without = dataclasses.replace(TINY, layer_scale=None)
    assert trained(without, Proxy(layer_scale=1.0)).layer_scale is None


def test_head_init_scale(data):
    heads = []
    for scale in (1.0, 0.5):
        torch.manual_seed(0)
        recipe = SHORT.changed(head_init_scale=scale).recipe(TINY, data.num_classes, 64)
        run = state_module.Run(recipe, Cached(data), 0, torch.device("cpu"), "fp32")
        heads.append(state_module.start(run).network.head.weight)
    assert torch.equal(heads[0] * 0.5, heads[1])


def test_precision_auto_is_fp32_on_a_cpu():
    assert choose_precision("auto", torch.device("cpu")) == "fp32"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"


# training


def same(a, b):
    times = ("train_seconds", "eval_seconds", "images_per_second", "curve")
    assert [{**p, "seconds": 0} for p in a.curve] == [{**p, "seconds": 0} for p in b.curve]
    return all(getattr(a, f.name) == getattr(b, f.name) for f in dataclasses.fields(a) if f.name not in times)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(data):
    torch.manual_seed(1)
    first = train(TINY, SHORT, data, 3, device="cpu")
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert same(first, train(TINY, SHORT, data, 3, device="cpu"))
    assert torch.equal(torch.random.get_rng_state(), before)  # the global state is left alone
    assert first.curve[-1]["train_loss"] != train(TINY, SHORT, data, 4, device="cpu").curve[-1]["train_loss"]


def test_the_result_and_its_curve(data):
    points = []
    result = train(TINY, SHORT, data, 0, device="cpu", on_epoch=points.append)
    assert [p.epoch for p in points] == [1, 2] and result.epochs == 2
    assert result.curve == tuple(dataclasses.asdict(p) for p in points)
    assert set(result.curve[0]) == {"epoch", "train_loss", "val_loss", "val_accuracy", "seconds"}
    assert result.accuracy == result.curve[-1]["val_accuracy"] and 0 <= result.accuracy <= 1
    assert (result.precision, result.device, result.seed) == ("fp32", "cpu", 0)
    assert result.images_per_second == pytest.approx(128 / result.train_seconds)


def test_training_learns(cache_dir):
    data = load("digits", 16, 512, 256, cache_dir=cache_dir)
    proxy = Proxy(data="digits", resolution=16, epochs=6, batch_size=32, lr=4e-3, layer_scale=1.0, flip=False)
    assert train(TINY, proxy, data, 0, device="cpu").accuracy > 0.5  # chance is .1


def test_bf16_trains(data):
    assert train(TINY, SHORT.changed(precision="bf16"), data, 0, device="cpu").precision == "bf16"


def test_clipping_changes_the_training(data):
    losses = {
        clip: train(TINY, SHORT.changed(clip_norm=clip, lr=1e-2), data, 0, device="cpu").curve[-1]["val_loss"]
        for clip in (None, 1e-4)
    }
    assert losses[None] != losses[1e-4]


def test_an_interrupt_comes_through_and_leaves_the_random_state(data):
    def interrupt(_):
        raise KeyboardInterrupt

    before = torch.random.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        train(TINY, SHORT, data, 0, device="cpu", on_epoch=interrupt)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_loss_that_is_not_finite_fails_the_trial(data, monkeypatch):
    original = training.update
    count = iter(range(100))

    def poison(state, *rest):
        original(state, *rest)
        if next(count) == 5:
            with torch.no_grad():
                state.network.head.bias.fill_(math.nan)

    monkeypatch.setattr(training, "update", poison)
    with pytest.raises(TrialFailed, match=r"^loss is not finite at epoch 2, step 7$"):
        train(TINY, SHORT, data, 0, device="cpu")


def test_weights_that_break_in_the_last_step_fail_the_trial(data, monkeypatch):
    original = training.update

    def poison(state, *rest):
        original(state, *rest)
        if state.step == 8:
            with torch.no_grad():
                state.network.head.bias.fill_(math.nan)

    monkeypatch.setattr(training, "update", poison)
    with pytest.raises(TrialFailed, match=r"^validation loss is not finite after epoch 2$"):
        train(TINY, SHORT, data, 0, device="cpu")


def test_images_too_small_for_the_network_fail_the_trial(data):
    deep = Architecture.convnext([1] * 5, [8] * 5)  # strides of 64 in all, at 16 pixels
    with pytest.raises(TrialFailed, match="resolution"):
        train(deep, SHORT, data, 0, device="cpu")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried"),
        MemoryError(),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("unable to mmap 4194304 bytes from file <x>: Cannot allocate memory (12)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_no_memory_fails_the_trial(data, monkeypatch, error):
    def no_memory(*_):
        raise error

    monkeypatch.setattr(state_module, "build_network", no_memory)
    with pytest.raises(TrialFailed, match=r"^out of memory: [^\n]+$"):
        train(TINY, SHORT, data, 0, device="cpu")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError(errno.EIO, "a bug")])
def test_other_errors_come_through(data, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(state_module, "build_network", broken)
    with pytest.raises(type(error), match="a bug"):
        train(TINY, SHORT, data, 0, device="cpu")


def test_a_device_that_is_not_there():
    with pytest.raises(TrialFailed, match="device 'nonsense' cannot be used"):
        device.choose_device("nonsense")


# the fast weight gradient


@pytest.mark.parametrize("size", [1, 2, 4, 8, 9])
@pytest.mark.parametrize("kernel_size", [3, 7, 11])
def test_small_map_depthwise_is_the_same_convolution(size, kernel_size):
    from nas.training.cpu.depthwise import SmallMapDepthwise, speed_up_small_maps

    torch.manual_seed(0)
    plain = nn.Conv2d(6, 6, kernel_size, padding=kernel_size // 2, groups=6).double()
    fast = nn.Sequential(nn.Conv2d(6, 6, kernel_size, padding=kernel_size // 2, groups=6).double())
    fast[0].load_state_dict(plain.state_dict())
    speed_up_small_maps(fast)
    assert type(fast[0]) is SmallMapDepthwise
    x = torch.randn(5, 6, size, size, dtype=torch.float64, requires_grad=True)
    outputs = [network(x) for network in (plain, fast)]
    torch.testing.assert_close(*outputs)
    up = torch.randn_like(outputs[0])
    gradients = [
        torch.autograd.grad(y, (x, *network.parameters()), up)
        for y, network in zip(outputs, (plain, fast), strict=True)
    ]
    torch.testing.assert_close(*gradients)


def test_other_convolutions_are_left_alone():
    from nas.training.cpu.depthwise import speed_up_small_maps

    network = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=4),
        nn.Conv2d(8, 8, 3, padding=1, stride=2, groups=8),
        nn.Conv2d(8, 8, 3, groups=8),
    )
    speed_up_small_maps(network)
    assert all(type(module) is nn.Conv2d for module in network)
