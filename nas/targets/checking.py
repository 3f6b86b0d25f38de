"""Whether an export is the network: parameters to the unit, multiply-accumulates, logits.

Every target is checked the same way. The original is built by `space.network` with weights under which every
layer shows in the logits (`randomised`); the export is built by the target's own library with the same
weights; both see the same images in eval mode. The export's parameters and multiply-accumulates are counted
in the export, and compared with the closed form of `space.cost`.
"""

from __future__ import annotations

import copy
import functools
import io
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nas.targets.source.module import camel_case
from nas.targets.target import Check, Chosen, Mismatch
from nas.targets.verification import ALIKE, drawn, weights_of
from space.architecture import Architecture
from space.cost import cost
from space.errors import InputError
from space.network import ConvNet, build

IMAGES = 2  # so that what mixes images shows
PROBED = 4  # logits that a verify.py compares
RELATIVE = 1e-4  # of the largest logit: another library adds in another order
"""Largest logit difference, as a share of the original's largest |logit|: what summing in another order does
to float32 stays some ten times below, a layer that differs lies thousands of times above."""


@functools.lru_cache(maxsize=1)
def randomised(
    network: Architecture, num_classes: int = 1000, seed: int = 0, resolution: int = 224
) -> tuple[ConvNet, Tensor]:
    """The network in eval mode with random weights that hide no layer, and images [2, 3, R, R] for it.

    The official start would hide most of the network: LayerScale 1e-6 and GRN 0 silence the blocks, weights
    of std .02 and norms at 1 and 0 much of the rest. Here weights keep the variance (std 1 / sqrt(fan in)),
    and LayerScale, norms, their statistics, GRN and biases are drawn. Kept for the next caller: not to be
    changed.
    """
    with torch.device("meta"):  # the official start is never drawn
        module = build(network, num_classes)
    module.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            _draw(name, value, generator)
    return module, torch.randn(IMAGES, 3, resolution, resolution, generator=generator)


def _draw(name: str, value: Tensor, generator: torch.Generator) -> None:
    kind = name.rpartition(".")[2]
    if kind == "num_batches_tracked":
        value.zero_()
    elif value.dim() > 1:
        value.normal_(0, value[0].numel() ** -0.5, generator=generator)
    elif kind in ("weight", "running_var") or (kind == "gamma" and ".grn." not in name):
        value.uniform_(0.5, 1.5, generator=generator)
    elif ".grn." in name:
        value.normal_(0, 0.5, generator=generator)
    else:
        value.normal_(0, 0.2, generator=generator)


def original_of(chosen: Chosen) -> tuple[ConvNet, Tensor]:
    """The chosen network as `randomised`, or with its own weights, and images of the recipe's resolution.

    Raises `InputError` for weights that are not the network's.
    """
    data = chosen.recipe.data
    module, images = randomised(chosen.network, data.num_classes, resolution=data.resolution)
    if chosen.weights is None:
        return module, images
    return with_weights(chosen.network, chosen.weights, data.num_classes), images


def with_weights(network: Architecture, weights: Mapping[str, Tensor], num_classes: int = 1000) -> ConvNet:
    """The network in eval mode with these weights, under the names of `space.network`.

    Raises `InputError` for other names or shapes than the network's.
    """
    with torch.device("meta"):
        module = build(network, num_classes)
    own = {name: list(value.shape) for name, value in module.state_dict().items()}
    given = {name: list(value.shape) for name, value in weights.items()}
    for name in [*own, *given]:
        if own.get(name) != given.get(name):
            raise InputError(f"weights: {name}: {given.get(name)}; the network has {own.get(name)}")
    # assign: a parameter on the meta device has no memory to copy into
    module.load_state_dict({name: value.detach().cpu() for name, value in weights.items()}, assign=True)
    return module.eval()


def compare(
    original: ConvNet,
    images: Tensor,
    run: Callable[[Tensor], Tensor],
    *,
    library: str,
    params: int,
    macs: int | None,
    relative: float = RELATIVE,
) -> Check:
    """`run`, the export's forward pass, against the original's; `params` and `macs` as counted in the export.

    `images` are [N, 3, R, R], `macs` those of one image (None: not counted). Raises `Mismatch`, in one line,
    for the first of parameters, multiply-accumulates and logits that differs.
    """
    resolution, num_classes = images.shape[-1], original.head.out_features
    # sizes before logits: where they differ, they say more of what is wrong
    expected = cost(original.architecture, resolution, num_classes)
    if params != expected.params:
        raise Mismatch(f"{library}: {params:,} parameters; the network has {expected.params:,}")
    if macs not in (None, expected.macs):
        raise Mismatch(f"{library}: {macs:,} multiply-accumulates; the network has {expected.macs:,}")
    with torch.no_grad():
        wanted, got = original(images), run(images)
    if got.shape != wanted.shape:
        raise Mismatch(f"{library}: logits are {list(got.shape)}; the network's are {list(wanted.shape)}")
    difference = float((got - wanted).abs().max())
    largest = float(wanted.abs().max())
    tolerance = relative * largest
    if not difference <= tolerance:  # a NaN differs, too
        raise Mismatch(f"{library}: logits differ by {difference:.3g}; at most {tolerance:.3g} was expected")
    return Check(
        library=library,
        params=params,
        macs=macs,
        difference=difference,
        tolerance=tolerance,
        largest=largest,
        images=f"{len(images)} of {resolution}x{images.shape[-2]}",
    )


def compare_module(
    original: ConvNet,
    images: Tensor,
    module: nn.Module,
    *,
    library: str,
    run: Callable[[Tensor], Tensor] | None = None,
    relative: float = RELATIVE,
) -> Check:
    """`compare` for an export that is a torch module; `run` where its forward pass gives more than logits.

    Where float32 differs by more, float64 decides: a network may be ill-conditioned (a GroupNorm of three
    channels, say) and make much of its rounding.
    """
    run = run or module

    def compared(own: ConvNet, given: Tensor, library: str) -> Check:
        logits, macs = counted(run, given)
        counts = {"params": parameter_count(module), "macs": macs}
        return compare(own, given, lambda _: logits, library=library, **counts, relative=relative)

    try:
        return compared(original, images, library)
    except Mismatch:
        module.double()
        try:
            return compared(copy.deepcopy(original).double(), images.double(), f"{library} in float64")
        finally:
            module.float()


def parameter_count(module: nn.Module) -> int:
    """Learnable parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def counted(run: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, int]:
    """Logits of `images` [N, 3, H, W], and the multiply-accumulates of one image.

    Counted by torch's FlopCounterMode, which sees every convolution and matrix product that is carried out.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        logits = run(images)
    # a multiply-accumulate is two FLOPs there
    return logits, counter.get_total_flops() // (2 * len(images))


@contextmanager
def imported(text: str, name: str) -> Iterator[types.ModuleType]:
    """The module that this Python source is, importable by `name` meanwhile (decorators may look it up)."""
    module = types.ModuleType(name)
    shadowed = sys.modules.get(name)
    sys.modules[name] = module
    try:
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)
        yield module
    finally:
        if shadowed is None:
            del sys.modules[name]
        else:
            sys.modules[name] = shadowed


@contextmanager
def generated(source: str, name: str, original: ConvNet) -> Iterator[nn.Module]:
    """The network that this source makes, its class named after `name`, with the original's weights."""
    with imported(source, f"{name}_model") as module:
        with torch.device("meta"):
            network: nn.Module = getattr(module, camel_case(name))()
        network.load_state_dict(original.state_dict(), assign=True)
        yield network.eval()


def saved(values: Mapping[str, Any]) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


def probe(module: nn.Module, resolution: int) -> list[float]:
    """The first logits of an image, under weights that every machine computes alike."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    module.load_state_dict(weights_of(shapes), assign=True)
    with torch.no_grad():
        logits: Tensor = module.eval()(drawn("image", (1, 3, resolution, resolution)))
    # the file is read by people; verify.py allows a hundred times that
    return [round(value, 5) for value in logits[0, :PROBED].tolist()]


def verify_source(original: ConvNet, resolution: int, imports: str, make: str, library: str) -> str:
    """A verify.py: makes the model by the expression `make`, under `imports`, and compares it.

    Size and logits stand in the file, which needs nothing of this project and runs under torch 1.8.
    """
    with torch.device("meta"):
        blank = build(original.architecture, original.head.out_features)
    return VERIFY.format(
        library=library,
        imports=imports,
        alike=ALIKE,
        make=make,
        resolution=resolution,
        params=parameter_count(blank),
        logits=probe(blank, resolution),
        probed=PROBED,
    )


VERIFY = '''\
"""Makes the model {library} and compares its size and logits with the original's."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence

{imports}

PARAMETERS = {params}
LOGITS = {logits}


{alike}

network = {make}
parameters = sum(parameter.numel() for parameter in network.parameters())
assert parameters == PARAMETERS, f"{{parameters}} parameters, not {{PARAMETERS}}"
shapes = {{name: value.shape for name, value in network.state_dict().items()}}
network.load_state_dict(weights_of(shapes))
with torch.no_grad():
    logits = network.eval()(drawn("image", (1, 3, {resolution}, {resolution})))[0, :{probed}].tolist()
for got, expected in zip(logits, LOGITS):
    assert abs(got - expected) < 1e-3 * (1 + abs(expected)), f"{{logits}}, not {{LOGITS}}"
print(f"{{parameters:,}} parameters; the logits agree")
'''
