"""Whether a GPU computes what the CPU does, goes on bit for bit, and survives what does not fit."""

from __future__ import annotations

import contextlib
import gc
import resource
import statistics
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nas.data.batches import Cached
from nas.engines.job import Job
from nas.proxy.proxy import Proxy
from nas.proxy.trainer import ProxyTrainer, ProxyTraining
from nas.recipe.recipe import Recipe
from nas.training.device import autocast
from nas.training.ema import Ema
from nas.training.form import Form, form_on
from nas.training.latency import measure
from nas.training.loop import run_epoch
from nas.training.result import TrialFailed, outcomes
from nas.training.run import Run
from nas.training.state import start
from space.architecture import Architecture
from space.networks import build_network
from tests.benchmarks.training_step import CLASSES, drawn
from tests.gpu.checks import Finding, Setting, held, measured, timed, wait
from tests.gpu.networks import SMALLEST, TINY, sample, training, usual

FP32 = 1e-4, 1e-3
"""Relative errors of logits and of the whole gradient that fp32 may have, TF32 being off."""
BF16 = 0.1, 0.5
"""And that bf16 may have: stated, and far from what a wrong network gives."""


def against_cpu(setting: Setting) -> Iterator[Finding]:
    """Logits and gradients of a sample on the device, against fp64 on the CPU."""
    side, count = setting.pick(64, 32), setting.pick(12, 3)
    worst: dict[str, list[tuple[float, float, str]]] = {}
    for name, network in sample(setting, count):
        truth = passes(network, torch.device("cpu"), side, "fp64")
        for mode in ("fp32", "tf32", "bf16"):
            if mode == "tf32" and setting.dry:
                continue
            errors = [
                error(a, b)
                for a, b in zip(passes(network, device_of(setting), side, mode), truth, strict=True)
            ]
            worst.setdefault(mode, []).append((*errors, name))
    for mode, found in worst.items():
        logits, gradient = max(found), max(found, key=lambda each: each[1])
        said = (
            f"{len(found)} networks; worst {logits[0]:.1e} ({logits[2]}), "
            f"gradient {gradient[1]:.1e} ({gradient[2]})"
        )
        limits = {"fp32": FP32, "bf16": BF16}.get(mode)
        numbers = {name: [a, b] for a, b, name in found}
        if limits is None:
            yield measured(f"forward and backward against fp64, torch's default ({mode})", said, **numbers)
        else:
            holds = logits[0] <= limits[0] and gradient[1] <= limits[1]
            what = f"forward and backward against fp64, {mode}, to {limits[0]:g} and {limits[1]:g}"
            yield held(what, holds, said, **numbers)


def device_of(setting: Setting) -> torch.device:
    return torch.device(setting.device)


def passes(network: Any, device: torch.device, side: int, mode: str) -> tuple[Tensor, Tensor]:
    """Logits, and the whole gradient, of four images, in fp64 on the CPU."""
    torch.manual_seed(0)
    module = build_network(replace(network, drop_path=0.0), CLASSES)
    for name, value in module.named_parameters():  # a LayerScale of 1e-6 would hide the blocks
        if name.endswith("gamma") and value.numel() and float(value.detach().abs().max()) < 1e-3:
            nn.init.ones_(value)
    images, labels = torch.randn(4, 3, side, side), torch.arange(4)
    dtype = torch.float64 if mode == "fp64" else torch.float32
    module.to(device, dtype, memory_format=torch.channels_last)
    images = images.to(device, dtype, memory_format=torch.channels_last)
    with tf32(mode == "tf32"), autocast(device, "bf16") if mode == "bf16" else contextlib.nullcontext():
        logits = module(images)
    with tf32(mode == "tf32"):
        nn.functional.cross_entropy(logits.to(dtype), labels.to(device)).backward()
    gradient = torch.cat([p.grad.flatten().double().cpu() for p in module.parameters() if p.grad is not None])
    return logits.detach().double().cpu(), gradient


@contextlib.contextmanager
def tf32(on: bool) -> Iterator[None]:
    """cuDNN's convolutions in TF32, torch's default, or in fp32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = on
    yield
    torch.backends.cudnn.allow_tf32 = before


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())


def whole_recipe(setting: Setting) -> Iterator[Finding]:
    """Accumulation, layer-wise decay, clipping and the moving average: the CPU's training, to rounding."""
    data = drawn(64, 32)
    recipe = full(TINY)
    with tf32(False):
        there = trained(recipe, data, device_of(setting))
        here = trained(recipe.changed(channels_last=False), data, torch.device("cpu"))
    for what, a, b in (
        ("weights", there.network, here.network), ("moving average", there.ema.network, here.ema.network),
    ):  # fmt: skip
        moved = error(flat(a), flat(b))
        said = f"relative difference {moved:.1e} after {there.step} steps"
        yield held(f"a recipe with everything on, {what} as on the CPU, to 0.01", moved <= 0.01, said)
    average = Ema(there.network, 0.5)
    before = flat(average.network)
    with torch.no_grad():
        for value in there.network.parameters():
            value.mul_(2)
    average.update(there.network)
    wanted = before + (flat(there.network) - before) * 0.5
    yield held("one step of the moving average", error(flat(average.network), wanted) < 1e-6, "by hand")


def full(network: Any) -> Recipe:
    proxy = Proxy(
        resolution=32, epochs=2, batch_size=16, layer_scale=1.0, stochastic_depth=0.0, precision="fp32"
    )
    recipe = proxy.recipe(network, CLASSES, 64)
    return recipe.changed(
        batch_size=8, accumulation=2, ema_decay=0.9, clip_norm=1.0, optimizer={"layer_decay": 0.8, "lr": 1e-3}
    )


def trained(recipe: Recipe, data: Any, device: torch.device) -> Any:
    run = Run(recipe, Cached(data), 0, device, "fp32")
    state = start(run)
    for _ in range(2):
        run_epoch(state, run)
    return state


def flat(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().double().cpu() for p in network.parameters()])


def resume(setting: Setting) -> Iterator[Finding]:
    """A training in one go, again, and over a checkpoint: the same bits, torch's random state left alone."""
    network = replace(setting.pick(usual(setting), TINY), drop_path=0.2)
    proxy = Proxy(
        resolution=32, epochs=4, batch_size=setting.pick(64, 8), warmup_epochs=1, crop_padding=2, mixup=0.8,
        cutmix=1.0, layer_scale=1.0,
    )  # fmt: skip
    data = drawn(setting.pick(640, 16), 32)
    usual_form, sure = form_on(device_of(setting)), replace(form_on(device_of(setting)), deterministic=True)
    for name, form in (("as the table has it", usual_form), ("deterministic", sure)):
        same = alike(network, proxy, data, setting, form)
        advice = (
            ""
            if all(same.values()) or form is sure
            else "FORMS['cuda'].deterministic = True, if that row is ok"
        )
        for what, equal in same.items():
            said = "equal" if equal else "differs"
            yield Finding(f"{what}, {name}", "ok" if equal else "failed", said, advice=advice)
        if all(same.values()):
            break
    randomness = states()
    ProxyTraining(network, proxy, data, 0, setting.device).epoch()
    unmoved = all(torch.equal(a, b) for a, b in zip(randomness, states(), strict=True))
    yield held("torch's own random states after a training", unmoved, "as before" if unmoved else "moved")
    job = Job(0, network, 0, 2, setting.folder / "kept")
    trainer = ProxyTrainer(proxy, setting.device, data=data)
    with outcomes():
        first = trainer.start(job)
        first.epoch(), first.epoch()
        again = trainer.start(replace(job, epochs=4))
    yield held("a job's checkpoint file", len(again.curve) == 2, f"{len(again.curve)} epochs read from it")


def alike(network: Any, proxy: Proxy, data: Any, setting: Setting, form: Form) -> dict[str, bool]:
    """Whether the bits are the same a second time, and across a checkpoint."""

    def begun() -> ProxyTraining:
        return ProxyTraining(network, proxy, data, 0, setting.device, form)

    def done(one: ProxyTraining, epochs: int) -> ProxyTraining:
        for _ in range(epochs):
            one.epoch()
        return one

    first, second, third = done(begun(), 4), done(begun(), 4), begun()
    path = setting.folder / "state.pt"
    torch.save(done(begun(), 2).to_dict(), path)
    third.restore(torch.load(path, weights_only=True, map_location="cpu"))
    done(third, 2)
    return {
        "the same seed again, bit for bit": same(first, second),
        "resumed, bit for bit": same(first, third),
    }


def same(a: ProxyTraining, b: ProxyTraining) -> bool:
    weights = zip(a.to_dict()["network"].values(), b.to_dict()["network"].values(), strict=True)
    curves = [[(p.train_loss, p.val_loss, p.val_accuracy) for p in each.curve] for each in (a, b)]
    return curves[0] == curves[1] and all(torch.equal(x.cpu(), y.cpu()) for x, y in weights)


def states() -> list[Tensor]:
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


CLOSE = {"fp32": 0.005, "bf16": 0.02}
"""How far losses of another form may be off, relatively."""
FORMS = (
    ("fp32", "CUDA graphs", Form(graphs=True, read_every=50)),
    ("fp32", "torch.compile", Form(compile={}, read_every=50)),
    ("fp32", "resident", Form(resident=0.5, read_every=50)),
    ("bf16", "CUDA graphs", Form(graphs=True, read_every=50)),
    ("bf16", "torch.compile, reduce-overhead", Form(compile={"mode": "reduce-overhead"}, read_every=50)),
)
SMALL_FORMS = (
    ("fp32", "torch.compile (backend eager)", Form(compile={"backend": "eager"})),
    ("fp32", "read late", Form(read_every=5)),
)


def forms(setting: Setting) -> Iterator[Finding]:
    """Every form gives the plain form's learning curve: closely in fp32, less so in bf16."""
    network = replace(setting.pick(TINY, SMALLEST), drop_path=0.1)
    plain: dict[str, list[float]] = {}
    for precision, name, form in setting.pick(FORMS, SMALL_FORMS):
        if precision not in plain:
            plain[precision] = curve(network, setting, Form(read_every=50), precision)
        times: list[float] = []
        with timed(times):
            own = curve(network, setting, form, precision)
        off = max(abs(a - b) / abs(b) for a, b in zip(own, plain[precision], strict=True))
        said = f"losses off by {off:.1e} at most; {times[0]:.1f} s"
        what = f"{name}, {precision}: the same curve, to {CLOSE[precision]:g}"
        yield held(what, off <= CLOSE[precision], said, seconds=times[0])
    yield regained(network, setting)


def regained(network: Any, setting: Setting) -> Finding:
    """Whether a captured training's memory is there for the one after the next."""
    memory = []
    for _ in range(3):
        curve(network, setting, Form(graphs=True), "fp32")
        gc.collect()
        memory.append(used(setting))
    more = memory[2] - memory[1]
    return held("CUDA graphs: their memory comes back", more < 4e6, f"{more / 1e6:.1f} MB more a training")


def curve(network: Any, setting: Setting, form: Form, precision: str) -> list[float]:
    one = training(
        network, setting, resolution=32, batch=8, steps=6, epochs=3, form=form, precision=precision
    )
    return [
        value for _ in range(3) for point in [one.epoch()] for value in (point.train_loss, point.val_loss)
    ]


def out_of_memory(setting: Setting) -> Iterator[Finding]:
    """A training that does not fit is a failed trial, its memory comes back, and the next one trains."""
    training(SMALLEST, setting, resolution=32, batch=4, steps=1).epoch()
    before = used(setting)
    reason, gone = too_large(setting)
    wait()
    gc.collect()
    yield held("what does not fit is a failed trial", reason.startswith("out of memory"), reason)
    more = used(setting) - before
    said = f"{more / 1e6:.1f} MB more than before; network {'gone' if gone() is None else 'held'}"
    yield held("its memory comes back", more < 16e6 and gone() is None, said)
    point = training(SMALLEST, setting, resolution=32, batch=4, steps=1).epoch()
    yield held("the next one trains", point.train_loss > 0, f"loss {point.train_loss:.2f}")


def used(setting: Setting) -> int:
    return 0 if setting.dry else torch.cuda.memory_allocated()


def too_large(setting: Setting) -> tuple[str, Callable[[], Any]]:
    """The reason of the failure, and what tells whether its network is still held by anybody."""
    network, batch = setting.pick((usual(setting), 512), (SMALLEST, 512))
    network_of: Callable[[], Any] = lambda: None  # noqa: E731
    try:
        with little_memory(setting), outcomes():
            one = training(network, setting, resolution=224, batch=batch, steps=1)
            network_of = weakref.ref(one._state.network)
            one.epoch()
    except TrialFailed as failure:
        return str(failure), network_of
    return "it fitted", network_of


@contextlib.contextmanager
def little_memory(setting: Setting) -> Iterator[None]:
    """A sixteenth of the card, as a worker with a share has it; of the process's addresses on the CPU."""
    if not setting.dry:
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1 / 16)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    with open("/proc/self/statm") as file:  # noqa: PTH123
        pages = int(file.read().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 256 * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def latencies(setting: Setting) -> Iterator[Finding]:
    """The product's latencies, taken by the device's events, against the clock on the wall."""
    convnets = [each for each in sample(setting, 8) if isinstance(each[1], Architecture)]
    for name, network in convnets[: setting.pick(4, 1)]:
        told = measure(network, setting.device)
        clock = by_the_clock(network, setting)
        said = f"{told * 1e3:.2f} ms by the product, {clock * 1e3:.2f} ms by the clock"
        near = 0.8 <= told / clock <= 1.1
        if setting.dry:  # a busy machine has no steady clock
            yield measured(f"latency of {name}", said, product=told, clock=clock)
        else:
            yield held(f"latency of {name}, 0.8 to 1.1 of the clock's", near, said, product=told, clock=clock)


def by_the_clock(network: Any, setting: Setting) -> float:
    """The median of passes of one image, each waited for, transfers left out."""
    device = device_of(setting)
    module = build_network(network).eval().to(device, memory_format=torch.channels_last)
    image = torch.zeros(1, 3, 224, 224, device=device).contiguous(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode():
        for _ in range(setting.pick(60, 4)):
            wait()
            began = time.perf_counter()
            module(image)
            wait()
            times.append(time.perf_counter() - began)
    return statistics.median(times[len(times) // 4 :])
