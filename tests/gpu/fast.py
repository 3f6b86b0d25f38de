"""How fast a training is on the card: against timm, against the card's own ceilings, and what holds it up."""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

from nas.recipe.estimate import GPUS
from nas.training.form import FORMS, Form
from nas.training.loop import _train_pass
from tests.gpu.checks import Finding, Setting, held, measured, skipped, wait
from tests.gpu.contestant import STEPS, Contestant, contestants
from tests.gpu.networks import macs, training, usual

TARGET = 1.3  # times timm's best form, at the proxy's resolution
PROXY_SIDE, PROXY_BATCH = 64, 256  # as nas/proxies/gpu.yaml
LARGE_SIDE, LARGE_BATCH = 224, 64


def ceilings(setting: Setting) -> Iterator[Finding]:
    """What the card reaches: a matrix product, a copy, a launch."""
    device, size = torch.device(setting.device), setting.pick(8192, 512)
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        if setting.dry and name == "bf16":
            continue
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        flops = 2 * size**3 / per_call(lambda a=a, b=b: a @ b, setting)
        yield measured(f"matrix product, {name}, {size}", f"{flops / 1e12:.1f} TFLOP/s", flops=flops)
    held_ = torch.empty(setting.pick(2**31, 2**24), dtype=torch.uint8, device=device)
    there = torch.empty_like(held_)
    rate = 2 * held_.numel() / per_call(lambda: there.copy_(held_), setting)
    yield measured("copy on the device, read and written", f"{rate / 1e9:,.0f} GB/s", bytes_a_second=rate)
    one = torch.zeros(1, device=device)
    launch = per_call(lambda: [one.add_(1) for _ in range(1000)], setting) / 1000
    yield measured("one small operation after the other", f"{launch * 1e6:.1f} us each", seconds=launch)


def per_call(work: Any, setting: Setting) -> float:
    """The median time of a call, each waited for, after two that are not counted."""
    times = []
    for _ in range(setting.pick(12, 4)):
        wait()
        began = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def against_timm(setting: Setting) -> Iterator[Finding]:
    """Images a second of ConvNeXt-T in every form of ours and of timm's, in turns, one at a time."""
    ends = time.monotonic() + setting.seconds
    if setting.dry:
        groups = [specs(setting, 32, 4, [{}], [None])]
    else:
        ways = [{}, {"graphs": True}, {"compile": {}}], [None, {}, {"mode": "reduce-overhead"}]
        groups = [specs(setting, PROXY_SIDE, PROXY_BATCH, *ways)]
        groups.append(specs(setting, LARGE_SIDE, LARGE_BATCH, [{}, {"compile": {}}], [None, {}]))
        if torch.cuda.get_device_properties(0).total_memory > 75e9:  # all can be there at once
            groups = [groups[0] + groups[1]]
    for i, group in enumerate(groups):
        left = (ends - time.monotonic()) / (len(groups) - i)
        with contestants(group, time.monotonic() + 0.75 * left) as there:
            yield from contest(setting, there, group)


def specs(
    setting: Setting, side: int, batch: int, ours: list[Any], theirs: list[Any]
) -> list[dict[str, Any]]:
    common = {"device": setting.device, "resolution": side, "batch": batch}
    common["steps"] = 2 if setting.dry else 30 if side == LARGE_SIDE else STEPS
    return [
        *({**common, "who": "ours", "form": form} for form in ours),
        *({**common, "who": "timm", "form": form} for form in theirs),
    ]


def contest(setting: Setting, there: list[Contestant], group: list[dict[str, Any]]) -> Iterator[Finding]:
    rates: dict[int, list[float]] = {i: [] for i in range(len(there))}
    for _ in range(setting.pick(2, 1)):
        for i, each in enumerate(there):
            each.go(setting.pick(1.2, 0.3))
            rates[i].append(each.rate())
    best: dict[tuple[str, int], tuple[float, str]] = {}
    for i, each in enumerate(there):
        who, side, rate = each.spec["who"], each.spec["resolution"], max(rates[i])
        if rate == 0:
            yield Finding(f"{each.ready['name']}, {side} px", "failed", "died")
            continue
        best[who, side] = max(best.get((who, side), (0.0, "")), (rate, str(each.spec["form"])))
        flops = 6.0 * rate * macs(usual(setting), side)
        share = f", {flops / peak():.0%} of the card's peak" if peak() else ""
        said = (
            f"{rate:,.0f} images/s, {flops / 1e12:.3g} TFLOP/s{share}; warm after {each.ready['warm']:.0f} s"
        )
        yield measured(f"{each.ready['name']}, {side} px", said, rate=rate, flops=flops, **each.ready)
    for spec in group:
        if all(each.spec is not spec for each in there):
            yield skipped(
                f"{spec['who']}, {spec['form']}, {spec['resolution']} px",
                "not warm in time, or died: see log.txt",
            )
    yield from verdicts(setting, best)


def verdicts(setting: Setting, best: dict[tuple[str, int], tuple[float, str]]) -> Iterator[Finding]:
    for side in sorted({side for _, side in best}):
        if ("ours", side) not in best or ("timm", side) not in best:
            continue
        (own, form), (other, their_form) = best["ours", side], best["timm", side]
        said = f"{own / other:.2f} times (ours in form {form}, the other in {their_form})"
        if side == LARGE_SIDE or setting.dry:
            yield measured(f"against timm's best, {side} px", said, times=own / other)
            continue
        has = FORMS["cuda"]
        advice = f"FORMS['cuda']: {form} (it has compile={has.compile}, graphs={has.graphs})"
        what = f"against timm's best, {side} px: at least {TARGET} times"
        yield held(what, own / other >= TARGET, said, advice, target=True, times=own / other)


def peak() -> float | None:
    """The vendor's figure in bf16 for this card, where `nas.recipe.estimate` knows it."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name().replace("-", " ").split()
    return next((gpu.bf16 for gpu in GPUS if gpu.name.split()[0] in name), None)


def waits(setting: Setting) -> Iterator[Finding]:
    """Where a step's time goes, and that nothing in it waits for the device but the looks at the losses."""
    steps = setting.pick(20, 3)
    for name, form in (
        ("copied batch by batch", Form(read_every=50)),
        ("resident", Form(resident=0.5, read_every=50)),
    ):
        one = training(
            usual(setting), setting, resolution=setting.pick(PROXY_SIDE, 32),
            batch=setting.pick(PROXY_BATCH, 4), steps=steps, form=form, crop_padding=4, mixup=0.8, cutmix=1.0,
        )  # fmt: skip
        one.epoch()
        if not setting.dry:
            found = told(one)
            allowed = 2 if form.resident else 1  # the losses, and a resident epoch's order
            said = f"{sum(found.values())} in {steps} steps: {dict(found) or 'none'}"
            yield held(f"waits of an epoch, {name}: at most {allowed}", sum(found.values()) <= allowed, said)
        if form.resident == 0:
            yield from profiled(one, setting, steps)


def told(one: Any) -> Counter[str]:
    """Where torch says that the device is waited for, in a pass over the training split."""
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            _train_pass(one._state, one._run, None)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    ours = [each for each in caught if "synchron" in str(each.message)]
    return Counter(f"{os.path.basename(each.filename)}:{each.lineno}" for each in ours)  # noqa: PTH119


def profiled(one: Any, setting: Setting, steps: int) -> Iterator[Finding]:
    activity = torch.profiler.ProfilerActivity
    activities = [activity.CPU] if setting.dry else [activity.CPU, activity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        began = time.perf_counter()
        _train_pass(one._state, one._run, None)
        wait()
        took = time.perf_counter() - began
    events = profile.key_averages()
    key = "self_cpu_time_total" if setting.dry else "self_device_time_total"
    kernels = [e for e in events if setting.dry or e.device_type == torch.autograd.DeviceType.CUDA]
    total = sum(getattr(e, key) for e in kernels) or 1
    top = sorted(kernels, key=lambda e: -getattr(e, key))[:8]
    said = "; ".join(f"{getattr(e, key) / total:.0%} {e.key[:60]}" for e in top)
    yield measured("where a step's time goes", said, steps=steps)
    if setting.dry:
        return
    busy = total / 1e6 / took
    said = f"{took / steps * 1e3:.1f} ms a step, {total / steps / 1e3:.1f} ms of kernels"
    advice = (
        "FORMS['cuda']: the card waits for launches; graphs=True, if correct.forms is ok"
        if busy < 0.8
        else ""
    )
    yield measured("the card's share of the clock", f"{busy:.0%}: {said}", advice, busy=busy)
    calls = {e.key: e.count / steps for e in events if "Synchronize" in e.key or e.key == "cudaLaunchKernel"}
    yield measured("calls a step", "; ".join(f"{count:.1f} {name}" for name, count in calls.items()))


def resident(setting: Setting) -> Iterator[Finding]:
    """The same training with its data set on the device, and copied batch by batch."""
    rates = {}
    for name, share in (("copied", 0.0), ("resident", 0.5)):
        batch, steps = setting.pick((PROXY_BATCH, 40), (4, 4))
        one = training(
            usual(setting), setting, resolution=setting.pick(PROXY_SIDE, 32), batch=batch, steps=steps,
            form=Form(resident=share, read_every=50), crop_padding=4,
        )  # fmt: skip
        one.epoch()
        times = []
        for _ in range(setting.pick(3, 1)):
            began = time.perf_counter()
            one.epoch()
            times.append(time.perf_counter() - began)
        rates[name] = batch * steps / min(times)
    times_ = rates["resident"] / rates["copied"]
    advice = "" if setting.dry or times_ > 0.98 else "FORMS['cuda'].resident = 0: it is slower"
    said = ", ".join(f"{name} {rate:,.0f} images/s" for name, rate in rates.items())
    yield measured("data on the device", f"{said}: {times_:.2f} times", advice, **rates)


def compile_pays(setting: Setting) -> Iterator[Finding]:
    """What compiling costs a training: with an empty cache, and with the cache of another process's."""
    form = {"compile": {}}
    common = {"device": setting.device, "who": "ours", "resolution": setting.pick(PROXY_SIDE, 32)}
    common |= {"batch": setting.pick(PROXY_BATCH, 4), "steps": setting.pick(20, 2)}
    cache = {
        "TORCHINDUCTOR_CACHE_DIR": str(setting.folder / "inductor"),
        "TRITON_CACHE_DIR": str(setting.folder),
    }
    seconds, rates = {}, {}
    ends = time.monotonic() + setting.seconds
    runs = [("plain", {}), ("cold", form), ("cached", form)]
    for name, each in setting.pick(runs, runs[:1]):
        with contestants([{**common, "form": each}], ends, cache) as there:
            if not there:
                yield skipped(f"compiled, {name}", "not warm in time")
                return
            there[0].go(setting.pick(2.0, 0.2))
            rates[name], seconds[name] = there[0].rate(), there[0].ready["warm"]
    said = ", ".join(
        f"{name} {took:.1f} s to warm up, {rates[name]:,.0f} images/s" for name, took in seconds.items()
    )
    if setting.dry:  # the form is tried by correct.forms
        yield measured("compiling", said)
        return
    gained = 1 / rates["plain"] - 1 / rates["cached"]
    needed = (seconds["cached"] - seconds["plain"]) / gained if gained > 0 else float("inf")
    said += f"; pays after {needed:,.0f} images (the gpu proxy trains 1,000,000)"
    advice = f"FORMS['cuda'].compile = {'{}' if needed < 500_000 else None}"
    yield measured(
        "compiling", said, advice, images=needed, **{f"{k} seconds": v for k, v in seconds.items()}
    )
