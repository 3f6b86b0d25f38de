"""Estimates of memory against what torch keeps, and of memory and time against what others measured."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F

from nas.recipe.estimate import GPUS, SLOWER, Gpu, estimate_lines, estimates, seconds_per_image
from nas.recipe.memory import (
    CONTEXT,
    GB,
    SLACK,
    Memory,
    kept_bytes,
    largest_batch,
    memory_of,
    training_memory,
)
from nas.recipe.published import recipe_for
from space.cost import cost
from space.errors import InputError
from space.families import named
from space.network import build
from space.networks import build_network, cost_of
from space.swin import Swin

# pytorch-image-models, results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv: network, pixels, the first
# of these batches that did not run out of memory, images a second
TIMM_BATCHES = (512, 384, 256, 192, 128, 96, 64, 48)
TIMM = [
    ("convnext_tiny", 224, 256, 819.24),
    ("convnext_small", 224, 192, 487.15),
    ("convnext_base", 224, 128, 338.68),
    ("convnext_large", 224, 96, 187.93),
    ("convnext_xlarge", 224, 64, 116.37),
    ("convnext_tiny", 384, 96, 282.39),
    ("convnext_small", 384, 64, 165.65),
    ("convnext_base", 384, 48, 115.58),
]
RTX_3090 = next(gpu for gpu in GPUS if gpu.name == "RTX 3090")


@pytest.mark.parametrize(("name", "resolution", "batch", "speed"), TIMM)
def test_memory_and_time_are_what_timm_measured_on_one_gpu(name, resolution, batch, speed):
    network = named(name)
    memory = training_memory(
        network, resolution=resolution, num_classes=1000, precision="bf16", ema=False, devices=1
    )
    fitting = [size for size in TIMM_BATCHES if memory.state + size * memory.image <= 24 * 2**30]
    assert fitting[0] == batch
    recipe = recipe_for(network, resolution=resolution, gpus=1, gpu_memory=80 * GB)
    assert 1 / seconds_per_image(recipe, RTX_3090) == pytest.approx(speed, rel=0.04)


@pytest.mark.parametrize("ema", [False, True])
def test_state_is_what_adamw_and_the_average_hold(ema):
    network = named("convnext_tiny")
    network = dataclasses.replace(
        network, stages=tuple(dataclasses.replace(stage, depth=1, width=32) for stage in network.stages)
    )
    model = build(network, 10)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.rand(2, 3, 32, 32)).sum().backward()
    optimizer.step()
    held = [*model.parameters(), *(p.grad for p in model.parameters())]
    held += [v for state in optimizer.state.values() for key, v in state.items() if key != "step"]
    if ema:
        held += copy.deepcopy(model).parameters()
    memory = training_memory(network, resolution=32, num_classes=10, precision="fp32", ema=ema, devices=1)
    assert memory.state == sum(tensor.nbytes for tensor in held)


def as_on_cuda(function):
    """What CUDA's autocast runs in fp32, and a CPU's does not."""

    def run(*args, **options):
        with torch.autocast("cpu", enabled=False):
            return function(*(a.float() if isinstance(a, torch.Tensor) else a for a in args), **options)

    return run


def kept_by_autograd(network, batch, precision):
    """Bytes of what the graph keeps, parameters not; each storage once."""
    model = build_network(network, 10).to(memory_format=torch.channels_last)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # the tensor keeps its address taken
        return tensor

    images = torch.rand(batch, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        model(images)
    return sum(size for size, _ in kept.values())


def shallow(network, grn=False, **fields):
    stages = tuple(dataclasses.replace(stage, depth=2, grn=grn) for stage in network.stages)
    return dataclasses.replace(network, stages=stages, drop_path=0.1, **fields)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "network",
    [
        shallow(named("convnext_tiny")),
        shallow(named("convnext_tiny"), norm="rms", activation="silu"),
        shallow(named("convnext_tiny"), norm="group", activation="relu"),
        shallow(named("convnext_tiny"), grn=True),
        shallow(named("resnet50")),
        Swin(width=32, depths=(2, 2)),
    ],
    ids=["layer", "rms", "group", "grn", "resnet", "swin"],
)
def test_an_image_keeps_no_more_than_estimated_and_not_much_less(monkeypatch, network, precision):
    if precision == "bf16":
        for module, name in ((F, "layer_norm"), (F, "group_norm"), (torch.linalg, "vector_norm")):
            monkeypatch.setattr(module, name, as_on_cuda(getattr(module, name)))
    # what is kept once, such as the weights in bf16, is no image's
    image = kept_by_autograd(network, 3, precision) - kept_by_autograd(network, 2, precision)
    estimate = kept_bytes(network, precision) * cost_of(network, 64, 10).saved
    assert 0.75 <= image / estimate <= 1.1


def test_a_parameter_takes_more_with_more_gpus_and_with_bf16():
    tiny = named("convnext_tiny")
    params = cost(tiny).params

    def state(**changed):
        values = {"precision": "fp32", "ema": False, "devices": 1} | changed
        return training_memory(tiny, resolution=224, num_classes=1000, **values).state

    assert [state(), state(ema=True), state(devices=8), state(precision="bf16")] == [
        16 * params, 20 * params, 20 * params, 18 * params,
    ]  # fmt: skip


def test_the_reserve_is_a_share_and_the_context():
    memory = Memory(state=2 * GB, image=GB // 10)
    assert memory.needed(10) == pytest.approx((3 * GB + CONTEXT) / (1 - SLACK))
    assert largest_batch(memory, 96, memory.needed(48)) == 48
    assert largest_batch(memory, 96, memory.needed(48) - 1) == 32
    with pytest.raises(
        InputError, match=r"gpu memory 2 GB: not even one image fits, which needs 3\.4 GB: 2\.00"
    ):
        largest_batch(memory, 96, 2 * GB)


def test_the_recipe_says_what_is_reckoned():
    recipe = recipe_for(named("convnext_tiny"))
    both = {each: memory_of(recipe, precision=each) for each in ("fp32", "bf16")}
    assert memory_of(recipe) == both["fp32"] and memory_of(recipe.changed(precision="bf16")) == both["bf16"]
    assert memory_of(recipe, devices=1).state < both["fp32"].state
    assert memory_of(recipe.changed(ema_decay=None)).state < both["fp32"].state


def test_time_and_money_are_arithmetic():
    recipe = recipe_for(named("convnext_tiny"))
    gpu = Gpu("slow", 1000 * GB, 1e12, 1e11, 1e30)  # memory traffic takes no time
    (one,) = estimates(recipe, price=2.0, gpus=[gpu])
    images = 300 * (1_281_167 // 4096) * 4096
    hours = images * 6 * cost(named("convnext_tiny")).macs / 1e12 / 8 / 3600
    assert one.hours == pytest.approx((hours, SLOWER * hours))
    assert one.gpu_hours == pytest.approx((8 * hours, 8 * SLOWER * hours))
    assert one.cost == pytest.approx((16 * hours, 16 * SLOWER * hours))
    assert (one.precision, one.batch_size, one.accumulation) == ("bf16", 512, 1)
    fp32 = estimates(recipe.changed(precision="fp32"), gpus=[gpu])[0]
    assert fp32.hours[0] == pytest.approx(10 * hours) and fp32.cost is None


def test_a_gpu_without_bf16_trains_in_fp32():
    found = {each.gpu.name: each for each in estimates(recipe_for(named("convnext_tiny")))}
    assert found["V100 32GB"].precision == "fp32" and found["A100 40GB"].precision == "bf16"
    assert all(each.memory <= each.gpu.memory for each in found.values())
    assert all(each.batch_size * each.accumulation * each.gpus == 4096 for each in found.values())


def test_a_gpu_that_one_image_does_not_fit_is_left_out():
    recipe = recipe_for(named("convnext_xlarge"), gpu_memory=80 * GB)
    small = Gpu("small", 8 * GB, 1e14, 1e13, 1e12)
    assert estimates(recipe, gpus=[small]) == ()
    assert len(estimates(recipe)) == len(GPUS)


def test_a_data_set_of_unknown_size_must_be_told():
    recipe = recipe_for(named("convnext_tiny")).changed(data={"name": "flowers"})
    with pytest.raises(InputError, match="flowers: how many training images"):
        estimates(recipe)
    assert estimate_lines(recipe) == [
        "No estimate of time: flowers: how many training images? Known are imagenet-1k, imagenet-22k"
    ]
    assert estimates(recipe, train_images=8192)[0].hours[0] > 0
    with pytest.raises(InputError, match="600 training images are fewer than a total batch of 4096"):
        estimates(recipe, train_images=600)  # not a training of no time
    odd = recipe.changed(data={"name": "<b>*my*</b>"})
    assert estimate_lines(odd)[0].startswith(r"No estimate of time: \<b>\*my\*\</b>: how many")


@pytest.mark.parametrize("price", [None, 2.5])
def test_lines_are_one_table(price):
    recipe = recipe_for(named("convnext_tiny"))
    lines = estimate_lines(recipe, price=price)
    assert lines[0].startswith("Estimates; nothing was run.")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert len(rows) == len(GPUS) + 2 and len({len(row) for row in rows}) == 1
    assert rows[0][0] == "8 x GPU" and rows[0][-1] == ("cost" if price else "GPU hours")
    assert [row[0] for row in rows[2:]] == [gpu.name for gpu in GPUS]
    by_name = {row[0]: row for row in rows}
    assert by_name["A100 40GB"][1:4] == ["bf16", "256 x 2", "21 GB"]
    assert all(" to " in row[4] and row[4].split()[-1] in ("hours", "days") for row in rows[2:])
