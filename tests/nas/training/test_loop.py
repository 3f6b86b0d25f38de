"""The one training loop: the official schedule and groups number by number, slots, the proxies' own way."""

import copy
import dataclasses
import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.data import load
from nas.data.augment.batch import crop_and_flip, mix, normalise, soft_targets
from nas.data.batches import Cached
from nas.proxy.proxy import Proxy
from nas.proxy.trainer import ProxyTraining
from nas.recipe.recipe import recipe_from
from nas.training.cpu.depthwise import speed_up_small_maps
from nas.training.distributed import Ranks
from nas.training.evaluation import EVALUATION_BATCH, evaluate
from nas.training.loop import micro_batches, run_epoch, update
from nas.training.optimiser import layer_scales, lr_at, parameter_groups
from nas.training.run import Run
from nas.training.state import as_trained, start
from space.architecture import Architecture
from space.errors import InputError
from space.families import named
from space.network import build
from space.networks import build_network, named_network

CPU = torch.device("cpu")
TINY = Architecture.convnext([1, 2], [8, 16], drop_path=0.2)
BATCH_NORM = dataclasses.replace(TINY, norm="batch")
PLAIN = {
    "random_resized_crop": None, "flip": False, "rand_augment": None, "color_jitter": 0.0,
    "random_erasing": 0.0, "mixup": 0.0, "cutmix": 0.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load("digits", 16, 150, 300, cache_dir=tmp_path_factory.mktemp("cache"))


def recipe(network=TINY, **fields):
    values = {
        "architecture": network.to_dict(), "epochs": 2, "layer_scale": 1.0, "ema_decay": None,
        "data": {"name": "digits", "num_classes": 10, "resolution": 16}, "optimizer": {"lr": 4e-3},
        "schedule": {"warmup_epochs": 1}, "augmentation": PLAIN,
        "total_batch_size": 32, "batch_size": 32, "accumulation": 1, "devices": 1,
    }  # fmt: skip
    return recipe_from(values | fields, "test")


def run_of(recipe, data, seed=3, ranks=None):
    return Run(recipe, Cached(data), seed, CPU, "fp32", ranks or Ranks())


def curve_of(recipe, data, **options):
    run = run_of(recipe, data, **options)
    state = start(run)
    for _ in range(recipe.epochs):
        run_epoch(state, run)
    return [(p.train_loss, p.val_loss, p.val_accuracy) for p in state.curve], state


# schedule


def official_schedule(base, final, epochs, steps, warmup_epochs, warmup_from):
    """utils.py of facebookresearch/ConvNeXt: a table of every optimiser step."""
    warmup = warmup_epochs * steps
    up = np.linspace(warmup_from, base, warmup) if warmup else np.array([])
    rest = epochs * steps - warmup
    down = [final + 0.5 * (base - final) * (1 + math.cos(math.pi * i / rest)) for i in range(rest)]
    return np.concatenate([up, down])


@settings(max_examples=60, deadline=None)
@given(
    epochs=st.integers(1, 30), steps=st.integers(1, 40), share=st.floats(0, 1),
    start_lr=st.sampled_from([0.0, 1e-6, 1e-4]),
)  # fmt: skip
def test_the_schedule_is_the_official_table(epochs, steps, share, start_lr):
    warmup = int(share * epochs)
    expected = official_schedule(4e-3, 1e-6, epochs, steps, warmup, start_lr)
    rates = [
        lr_at(i, epochs * steps, warmup * steps, 4e-3, 1e-6, warmup_from=start_lr)
        for i in range(epochs * steps)
    ]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def test_the_published_schedule_counts_optimiser_steps(data):
    """ImageNet-1K: 312 steps an epoch whatever the accumulation."""

    class Images(Cached):
        train_size = 1281167

    values = recipe(
        epochs=300, total_batch_size=4096, batch_size=128, accumulation=4, devices=8,
        schedule={"warmup_epochs": 20, "min_lr": 1e-6},
    )  # fmt: skip
    run = Run(values, Images(data), 0, CPU, "fp32")
    assert (run.steps, run.warmup_steps, run.slots) == (312, 6240, 32)
    table = official_schedule(4e-3, 1e-6, 300, 312, 20, 0.0)
    for step in (0, 1, 6239, 6240, 50000, 93599):
        assert run.lr(step) == pytest.approx(table[step], rel=1e-12)


# parameter groups


def official_groups(network, weight_decay, scale_of=None):
    """optim_factory.py of facebookresearch/ConvNeXt: (weight decay, factor) of every parameter."""
    found = {}
    for name, parameter in network.named_parameters():
        none = len(parameter.shape) == 1 or name.endswith(".bias")
        found[name] = (0.0 if none else weight_decay, 1.0 if scale_of is None else scale_of(name))
    return found


def groups_of(network, groups):
    names = {id(p): n for n, p in network.named_parameters()}
    return {
        names[id(p)]: (group["weight_decay"], group.get("lr_scale", 1.0))
        for group in groups for p in group["params"]
    }  # fmt: skip


@pytest.mark.parametrize("name", ["convnext_tiny", "resnet50", "roadmap_t_7"])
def test_groups_are_the_official_ones(name):
    with torch.device("meta"):
        network = build(named(name), 10)
    groups = parameter_groups(network, 0.05)
    assert len(groups) == 2
    assert groups_of(network, groups) == official_groups(network, 0.05)


def official_layer(name):
    """get_num_layer_for_convnext, for depths 3-3-27-3."""
    part, *rest = name.split(".")
    if part == "downsample_layers":
        return {0: 0, 1: 2, 2: 3, 3: 12}[int(rest[0])]
    if part == "stages":
        stage, block = int(rest[0]), int(rest[1])
        return {0: 1, 1: 2, 2: 3 + block // 3, 3: 12}[stage]
    return 13


def test_groups_with_layer_decay_are_the_official_ones():
    small = named("convnext_small")
    values = recipe(small, optimizer={"lr": 5e-5, "weight_decay": 1e-8, "layer_decay": 0.8})
    with torch.device("meta"):
        network = build(small, 10)
    groups = parameter_groups(network, 1e-8, layer_scales(values, network))
    expected = official_groups(network, 1e-8, lambda name: 0.8 ** (13 - official_layer(name)))
    found = groups_of(network, groups)
    assert found.keys() == expected.keys() and len(groups) == 2 * 14
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name


# slots


def test_slot_k_has_the_kth_slice_of_every_step(data):
    values = recipe(batch_size=8, accumulation=2, devices=2)
    order = torch.arange(4 * 32)
    whole = torch.stack(micro_batches(order, run_of(values, data))).view(4, 4, 8)
    assert torch.equal(whole.flatten(), order)
    for rank in range(2):
        own = torch.stack(micro_batches(order, run_of(values, data, ranks=Ranks(rank, 2)))).view(4, 2, 8)
        assert torch.equal(own, whole[:, 2 * rank : 2 * rank + 2])


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_accumulation_is_the_larger_batch_where_nothing_is_random(data, clip_norm):
    quiet = dataclasses.replace(TINY, drop_path=0.0)
    whole, a = curve_of(recipe(quiet, clip_norm=clip_norm), data)
    parts, b = curve_of(recipe(quiet, clip_norm=clip_norm, batch_size=8, accumulation=2, devices=2), data)
    assert a.step == b.step == 8
    np.testing.assert_allclose(parts, whole, rtol=2e-3)
    for x, y in zip(a.network.parameters(), b.network.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-2, atol=2e-4)


def test_slots_differ_in_what_they_draw_and_repeat_it(data):
    mixing = PLAIN | {"mixup": 0.8, "cutmix": 1.0, "flip": True}
    values = recipe(batch_size=8, accumulation=4, augmentation=mixing)
    run = run_of(values, data)
    draws = [torch.rand(4, generator=slot.generator).tolist() for slot in start(run).slots]
    assert len({tuple(draw) for draw in draws}) == 4
    assert draws == [torch.rand(4, generator=slot.generator).tolist() for slot in start(run).slots]
    masks = []
    for slot in start(run).slots:
        with torch.random.fork_rng([]), slot.turn(CPU):
            masks.append(tuple(torch.rand(4).tolist()))
    assert len(set(masks)) == 4
    assert curve_of(values, data)[0] == curve_of(values, data)[0] != curve_of(values, data, seed=4)[0]


def test_processes_that_cannot_share_the_slots_are_refused(data):
    with pytest.raises(InputError, match=r"4 forward passes .* which 3 processes cannot share"):
        run_of(recipe(batch_size=8, accumulation=4), data, ranks=Ranks(0, 3))
    with pytest.raises(InputError, match="total_batch_size: 4096, but there are 150 training images"):
        run_of(recipe(total_batch_size=4096, batch_size=4096), data)


# the rest of a step


@pytest.mark.parametrize("network", [TINY, BATCH_NORM])
def test_the_average_follows_every_optimiser_step(data, network):
    """And only these: accumulation does not count."""
    decay = 0.1  # in four steps more would not forget the start
    values = recipe(network, epochs=1, ema_decay=decay, batch_size=16, accumulation=2)
    run = run_of(values, data)
    state = start(run)
    expected = {k: v.clone() for k, v in state.network.state_dict().items()}
    original, seen = state.ema.update, []

    def follow(net):
        original(net)
        seen.append(1)
        for name, value in net.state_dict().items():
            floating = value.is_floating_point()
            expected[name] = decay * expected[name] + (1 - decay) * value if floating else value.clone()

    state.ema.update = follow
    run_epoch(state, run)
    assert len(seen) == run.steps == 4
    for name, value in state.ema.network.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    own = evaluate([state.network, state.ema.network], run)
    assert state.beside[0]["ema_accuracy"] == own[1].top1 and own[1].loss != own[0].loss
    assert state.curve[0].val_accuracy == own[0].top1 <= own[0].top5 == state.beside[0]["val_top5"]


def test_evaluation_is_the_mean_over_all_images(data):
    run = run_of(recipe(), data)
    network = start(run).network
    [found] = evaluate([network], run)
    assert len(data.val) > EVALUATION_BATCH  # more than one batch, the last one smaller
    with torch.no_grad():
        logits = network.eval()(normalise(torch.from_numpy(np.array(data.val.images))))
    labels = torch.from_numpy(data.val.labels)
    assert found.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert found.top1 == (logits.argmax(1) == labels).double().mean().item()
    ranks = (-logits).argsort(1).argsort(1)[torch.arange(len(labels)), labels]
    assert found.top5 == (ranks < 5).double().mean().item()


def test_layer_decay_scales_the_rate_of_every_step():
    parameters = [torch.nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    groups = [
        {"params": [parameter], "lr_scale": scale, "weight_decay": 0.0}
        for parameter, scale in zip(parameters, (1.0, 0.25), strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    state = type("State", (), {"optimizer": optimizer, "ema": None, "step": 0, "network": None})()
    for parameter in parameters:
        parameter.grad = torch.ones(2, 2)
    update(state, 0.1, None)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.025]
    # Adam's first step is the rate itself
    assert [1 - p[0, 0].item() for p in parameters] == pytest.approx([0.1, 0.025], rel=1e-5)


def test_every_augmentation_is_on_and_the_curve_repeats(data):
    values = recipe(
        epochs=1, ema_decay=0.9, batch_size=16, accumulation=2,
        augmentation={"rand_augment": "rand-m9-mstd0.5-inc1", "random_erasing": 0.25, "mixup": 0.8,
                      "cutmix": 1.0, "random_resized_crop": None, "crop_padding": 2},
    )  # fmt: skip
    first = curve_of(values, data)[0]
    assert first == curve_of(values, data)[0]
    off = values.changed(augmentation={"rand_augment": None, "color_jitter": 0.0})
    jitter = values.changed(augmentation={"rand_augment": None, "color_jitter": 0.4})
    whole = values.changed(augmentation={"random_erasing": 0.0})
    assert len({str(curve_of(v, data)[0]) for v in (values, off, jitter, whole)}) == 4


def test_a_compiled_network_is_the_same_under_the_same_names(data, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    values = recipe(epochs=1, total_batch_size=128, batch_size=128)
    plain, compiled = (curve_of(values.changed(compile=on), data) for on in (False, True))
    np.testing.assert_allclose(compiled[0], plain[0], rtol=1e-5)
    assert compiled[1].to_dict()["network"].keys() == plain[1].to_dict()["network"].keys()
    assert compiled[1].forward is not compiled[1].network


# the proxies


PROXY = Proxy(
    data="digits", resolution=16, epochs=2, batch_size=48, lr=4e-3, layer_scale=1.0, stochastic_depth=0.3,
    mixup=0.8, cutmix=1.0, mixup_prob=0.7, crop_padding=2, train_size=150, val_size=300, clip_norm=1.0,
    head_init_scale=0.5,
)  # fmt: skip


def written_out(network, proxy, data, seed):
    """A proxy's training as one plain loop: the definition that recorded studies were trained by."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = build_network(dataclasses.replace(network, drop_path=0.3, layer_scale=1.0), data.num_classes)
        with torch.no_grad():
            net.head.weight.mul_(proxy.head_init_scale)
        speed_up_small_maps(net)
        net.to(memory_format=torch.channels_last)
        groups = parameter_groups(net, proxy.weight_decay)
        optimizer = torch.optim.AdamW(groups, lr=proxy.lr, betas=proxy.betas, eps=1e-8, fused=True)
        steps, step, curve = len(data.train) // proxy.batch_size, 0, []
        for _ in range(proxy.epochs):
            net.train()
            losses = []
            order = torch.randperm(len(data.train), generator=generator)[: steps * proxy.batch_size]
            for indices in torch.split(order, proxy.batch_size):
                lr = lr_at(step, proxy.epochs * steps, round(proxy.warmup_epochs * steps), proxy.lr, 1e-6)
                pixels = torch.from_numpy(data.train.images[indices.numpy()])
                pixels = crop_and_flip(pixels, 2, True, generator)
                targets = soft_targets(torch.from_numpy(data.train.labels[indices.numpy()]), 10, 0.1)
                images, targets = mix(normalise(pixels), targets, 0.8, 1.0, 0.7, generator)
                loss = F.cross_entropy(net(images), targets)
                losses.append(loss.item())
                for group in optimizer.param_groups:
                    group["lr"] = lr
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                step += 1
            net.eval()
            total, correct = 0.0, 0
            with torch.no_grad():
                for indices in torch.split(torch.arange(len(data.val)), EVALUATION_BATCH):
                    logits = net(normalise(torch.from_numpy(data.val.images[indices.numpy()])))
                    labels = torch.from_numpy(data.val.labels[indices.numpy()])
                    total += F.cross_entropy(logits, labels, reduction="sum").item()
                    correct += int((logits.argmax(1) == labels).sum())
            curve.append((sum(losses) / len(losses), total / len(data.val), correct / len(data.val)))
    return curve, net.state_dict()


@pytest.mark.parametrize("network", [TINY, BATCH_NORM])
def test_a_proxy_trains_as_it_always_has_bit_for_bit(data, network):
    expected, weights = written_out(network, PROXY, data, 5)
    training = ProxyTraining(network, PROXY, data, 5, "cpu")
    points = [training.epoch() for _ in range(PROXY.epochs)]
    assert [(p.train_loss, p.val_loss, p.val_accuracy) for p in points] == expected
    kept = training.to_dict()["network"]
    assert all(torch.equal(value, kept[name]) for name, value in weights.items())


def test_a_training_on_the_cpu_keeps_the_memory_that_it_frees(data, monkeypatch):
    calls = []
    monkeypatch.setattr("nas.training.state.keep_freed_memory", lambda: calls.append(None))
    start(run_of(recipe(), data))
    assert len(calls) == 1


def test_a_proxy_is_a_recipe_of_the_same_loop(data):
    values = PROXY.recipe(TINY, 10, 150)
    assert (values.total_batch_size, values.batch_size, values.accumulation, values.devices) == (48, 48, 1, 1)
    assert values.network.drop_path == 0.3 and as_trained(values).layer_scale == 1.0
    assert values.ema_decay is None and values.augmentation.rand_augment is None
    assert PROXY.recipe(TINY, 10, 30).total_batch_size == 30  # never more than there are
    swin = PROXY.recipe(named_network("swin_tiny"), 10, 150)
    assert swin.network.drop_path == 0.3 and as_trained(swin) == swin.network
    assert Proxy().recipe(TINY, 10, 150).network.drop_path == TINY.drop_path


def test_a_checkpoint_of_before_the_whole_recipe_goes_on(data):
    """Searches that were recorded then resume."""
    whole = ProxyTraining(TINY, PROXY, data, 5, "cpu")
    whole.epoch()
    names = ("network", "optimizer", "generator", "randomness", "curve", "epoch", "step", "images",
             "train_seconds", "eval_seconds")  # fmt: skip
    kept = copy.deepcopy({name: whole.to_dict()[name] for name in names})
    again = ProxyTraining(TINY, PROXY, data, 5, "cpu")
    again.restore(kept)
    assert again.epoch().val_loss == whole.epoch().val_loss
