"""Training-free scores: numbers of an untrained network that might rank networks as their training would.

Off by default, and used by no search: `python -m analysis.proxies STUDY` measures what a score is worth
inside a budget band. Larger is meant to be better.

The closed-form scores take the architecture alone and need no torch. The others build the network with
LayerScale 1 and without stochastic depth, look at one small batch of training images without augmentation, on
the CPU in fp32 (SynFlow in fp64), and average over `INITIALISATIONS` draws of the weights. They read the
weights of convolutions and linear layers only, so LayerScale 1 and no LayerScale are the same network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from space.architecture import Architecture
from space.cost import breakdown, cost
from space.errors import InputError
from space.stage import Stage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.data import Data
    from nas.proxy.proxy import Proxy

INITIALISATIONS = 3
BATCH_SIZE = 64  # images
# the batch in parts: with two, as published, the ratio of a normal gradient has no mean, with four it has
ZICO_BATCHES = 4
LAST_STAGE_WEIGHT = 8  # DeepMAD's alpha is (1, 1, 1, 1, 8)


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalised images [N, 3, R, R], labels [N], and the seed that weights are drawn from."""

    images: Tensor
    labels: Tensor
    num_classes: int
    seed: int

    @property
    def resolution(self) -> int:
        """Pixels on a side."""
        return int(self.images.shape[-1])


@dataclass(frozen=True)
class Score:
    """One score: what it is, where it comes from, and where it misleads in this design space.

    `compute` takes an architecture and, if `needs_data`, a `Batch`.
    """

    name: str
    about: str
    source: str
    hazard: str
    compute: Callable[[Architecture, Batch | None], float]
    needs_data: bool = False


def score(
    name: str, architecture: Architecture, proxy: Proxy | None = None, data: Data | None = None, seed: int = 0
) -> float:
    """The score of that name; a closed-form one needs neither `proxy` nor `data`.

    `data` None: the proxy's own. The same seed gives the same number, and the global random state is left as
    it was. Raises `InputError`.
    """
    found = find(name)
    if not found.needs_data:
        return found.compute(architecture, None)
    if proxy is None:
        raise InputError(f"score {name}: needs a proxy, whose images it looks at")
    return found.compute(architecture, draw_batch(proxy, data, seed))


def find(name: str) -> Score:
    """The score of that name. Raises `InputError`."""
    if name not in SCORES:
        raise InputError(f"score {name!r}: there is no such score; there are {', '.join(SCORES)}")
    return SCORES[name]


def draw_batch(proxy: Proxy, data: Data | None = None, seed: int = 0) -> Batch:
    """Training images chosen by `seed`, as the proxy's data set has them. Raises `InputError`."""
    import torch

    from nas.data.augment.batch import normalise

    data = proxy.load_data() if data is None else data
    least = 2 * ZICO_BATCHES  # BatchNorm needs two images in each part
    if len(data.train) < least:
        raise InputError(f"scores: {len(data.train)} training images; they need at least {least}")
    size = min(BATCH_SIZE, len(data.train))
    rows = np.random.default_rng(seed).choice(len(data.train), size, replace=False)
    images = normalise(torch.from_numpy(data.train.images[rows]))
    return Batch(images, torch.from_numpy(data.train.labels[rows]), data.num_classes, seed)


# ---- from the architecture alone ------------------------------------------------------------------------


def widths_by_stage(architecture: Architecture) -> list[list[float]]:
    """DeepMAD's width c k^2 / g of every convolution on the main path: the stem's, then each stage's.

    `c` input channels, `k` kernel size, `g` groups: the inputs that one output sees. A separate downsampling
    counts with the stage it leads to; shortcuts and the classifier do not count.
    """
    stem = architecture.stem
    widths = [[3.0 * (7 if stem.type == "resnet" else stem.patch_size) ** 2]]
    previous = architecture.stem_width
    for i, (stage, entering) in enumerate(zip(architecture.stages, architecture.in_channels, strict=True)):
        separate = i > 0 and architecture.downsampling == "separate"
        # 2x2, dense
        here = [4.0 * previous] if separate else []
        for j in range(stage.depth):
            here += _block_widths(stage, entering if j == 0 else stage.out)
        widths.append(here)
        previous = stage.out
    return widths


def _block_widths(stage: Stage, channels: int) -> list[float]:
    middle = stage.spatial == "middle"
    inputs = stage.hidden if middle else channels
    per_group = {"depthwise": 1, "dense": inputs, "grouped": stage.group_width or 1}[stage.conv]
    spatial = float(per_group * stage.kernel_size**2)
    return [float(channels), spatial, float(stage.hidden)] if middle else [
        spatial, float(channels), float(stage.hidden),
    ]  # fmt: skip


def entropy(architecture: Architecture) -> float:
    """DeepMAD's multi-scale entropy at 224 pixels: the sum over stages of alpha log(r^2 c) sum_i log w_i.

    `w_i` are the widths c k^2 / g; each stage's sum runs from the first layer to the stage's last; the stem
    is a stage.
    """
    parts = [part for part in breakdown(architecture) if part.name.startswith(("stem", "stage"))]
    total, logs = 0.0, 0.0
    for i, (part, widths) in enumerate(zip(parts, widths_by_stage(architecture), strict=True)):
        logs += sum(math.log(width) for width in widths)
        weight = LAST_STAGE_WEIGHT if i == len(parts) - 1 else 1
        total += weight * math.log(part.resolution**2 * part.channels) * logs
    return total


def effectiveness(architecture: Architecture) -> float:
    """DeepMAD's rho: the depth over the geometric mean of the widths."""
    widths = list(itertools.chain(*widths_by_stage(architecture)))
    return len(widths) / math.exp(sum(math.log(width) for width in widths) / len(widths))


def depth(architecture: Architecture) -> float:
    """Convolutions on the main path."""
    return float(sum(len(widths) for widths in widths_by_stage(architecture)))


# ---- from the untrained network -------------------------------------------------------------------------


def gradient_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of the Euclidean norm of the weights' gradient of the cross-entropy."""
    gradients = _gradients(network, images, labels)
    return float(sum(gradient.double().norm() for gradient in gradients))


def zico(network: nn.Module, images: Tensor, labels: Tensor, batches: int = ZICO_BATCHES) -> float:
    """Sum over layers of log(sum over weights of mean |g| / std g), g the gradients of the parts of a batch.

    Weights whose gradient does not vary are left out, as are layers of such weights only (published code).
    """
    import torch

    means: list[Tensor] = []
    squares: list[Tensor] = []  # sums of squared deviations, updated as Welford does
    sizes: list[Tensor] = []
    parts = zip(torch.tensor_split(images, batches), torch.tensor_split(labels, batches), strict=True)
    for count, part in enumerate(parts, start=1):
        gradients = _gradients(network, *part)
        if count == 1:
            means, squares, sizes = ([torch.zeros_like(g) for g in gradients] for _ in range(3))
        for gradient, mean, square, size in zip(gradients, means, squares, sizes, strict=True):
            change = gradient - mean
            mean.add_(change / count)
            square.add_(change * (gradient - mean))
            size.add_(gradient.abs())
    total = 0.0
    for square, size in zip(squares, sizes, strict=True):
        varies = square > 0
        if varies.any():
            ratios = size[varies].double() / batches / (square[varies].double() / batches).sqrt()
            total += math.log(float(ratios.sum()))
    return total


def _gradients(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Gradients of the mean cross-entropy by the weights of convolutions and linear layers, in order."""
    import torch
    from torch.nn import functional

    weights = list(layer_weights(network))
    with torch.enable_grad():
        loss = functional.cross_entropy(network(images), labels)
        return list(torch.autograd.grad(loss, weights))


def layer_weights(network: nn.Module) -> Iterator[Tensor]:
    """Weights of convolutions and linear layers: neither biases nor norms, GRN or LayerScale."""
    from torch import nn

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield module.weight


def sign_kernel(network: nn.Module, images: Tensor) -> NDArray[np.float64]:
    """K [N, N]: for each pair of images the number of activations' inputs that have the same sign.

    This is N_A minus the Hamming distance of the binary codes; "above zero or not" is the code.
    """
    import torch

    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def count(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        above = (inputs[0].flatten(1) > 0).float()  # sums of fewer than 2^24 ones are exact
        kernel.add_(above @ above.T).add_((1 - above) @ (1 - above).T)

    activations = [module for module in network.modules() if isinstance(module, _activation_types())]
    hooks = [module.register_forward_pre_hook(count) for module in activations]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return np.asarray(kernel.numpy())


def nwot(network: nn.Module, images: Tensor) -> float:
    """log det(K + I) of the sign kernel; the identity keeps it finite where two images have one code."""
    kernel = sign_kernel(network, images)
    return float(np.linalg.slogdet(kernel + np.eye(len(kernel)))[1])


def synflow(network: nn.Module, shape: Sequence[int], joints: Iterable[nn.Module] = ()) -> float:
    """Log of the sum over weights of |w dR/dw|, R the sum of the outputs for an input of ones [1, *shape].

    Changes the network for good: absolute weights in fp64, no biases, norms and activations replaced by the
    identity. What is left is linear: the outputs of the modules `joints`, which every path must pass, are
    divided by their means, and the logs of these are added to the score, so that nothing overflows.
    """
    import torch

    linearise(network)
    network.double()
    logs: list[float] = []

    def rescale(_: nn.Module, __: object, output: Tensor) -> Tensor:
        # detached: the mean is a constant factor, not a path of the gradient
        mean = output.detach().mean()
        logs.append(math.log(float(mean)))
        return output / mean

    hooks = [joint.register_forward_hook(rescale) for joint in joints]
    weights = list(layer_weights(network))
    try:
        with torch.enable_grad():
            flow = network(torch.ones(1, *shape, dtype=torch.float64)).sum()
            gradients = torch.autograd.grad(flow, weights)
    finally:
        for hook in hooks:
            hook.remove()
    # absolute weights and inputs of ones: every product is positive, so |w dR/dw| is w dR/dw
    saliency = sum(float((w.detach() * g).sum()) for w, g in zip(weights, gradients, strict=True))
    return math.log(saliency) + sum(logs)


def linearise(network: nn.Module) -> None:
    """Absolute weights, zero biases, and the identity for norms, activations and GRN, in place."""
    import torch
    from torch import nn

    from space.layers import GRN, NORM_LAYERS

    switched_off = (*NORM_LAYERS.values(), *_activation_types(), GRN)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, switched_off):
                setattr(module, name, nn.Identity())
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.abs_()
                if module.bias is not None:
                    module.bias.zero_()


def _activation_types() -> tuple[type[nn.Module], ...]:
    from torch import nn

    from space.layers import ACTIVATION_LAYERS

    return nn.GELU, *ACTIVATION_LAYERS.values()  # Swin has torch's own


def _averaged(
    of_network: Callable[[nn.Module, Batch], float],
) -> Callable[[Architecture, Batch | None], float]:
    """The mean over initialisations of what is computed from one network."""

    def compute(architecture: Architecture, batch: Batch | None) -> float:
        if batch is None:
            raise InputError("score: needs a batch of images (draw_batch)")
        cost(architecture, batch.resolution)  # says where the images are too small
        # seeds of their own for every batch: no two share a draw of the weights
        first = batch.seed * INITIALISATIONS
        seeds = range(first, first + INITIALISATIONS)
        return sum(of_network(_untrained(architecture, batch, s), batch) for s in seeds) / INITIALISATIONS

    return compute


def _untrained(architecture: Architecture, batch: Batch, seed: int) -> nn.Module:
    """The network in training mode (BatchNorm uses the batch's statistics), its weights drawn from `seed`."""
    import torch

    from nas.training.cpu.depthwise import speed_up_small_maps
    from space.network import build

    # LayerScale 1 is no LayerScale
    plain = replace(architecture, layer_scale=None, drop_path=0.0)
    with _own_randomness(seed):
        network = build(plain, batch.num_classes)
    speed_up_small_maps(network)
    return network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    import torch

    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        yield


def _gradient_norm_of(network: nn.Module, batch: Batch) -> float:
    return gradient_norm(network, batch.images, batch.labels)


def _zico_of(network: nn.Module, batch: Batch) -> float:
    return zico(network, batch.images, batch.labels)


def _nwot_of(network: nn.Module, batch: Batch) -> float:
    return nwot(network, batch.images)


def _synflow_of(network: nn.Module, batch: Batch) -> float:
    from space.network import Block, ConvNet

    assert isinstance(network, ConvNet)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    joints = [*network.downsample_layers, *blocks]
    return synflow(network, (3, batch.resolution, batch.resolution), joints)


SCORES: dict[str, Score] = {
    found.name: found
    for found in (
        Score(
            "flops",
            "multiply-accumulates at 224 pixels",
            "the baseline; He et al. 2016, arXiv:1512.03385, Table 1, counts so",
            "inside a band all networks have nearly the same",
            lambda architecture, _: float(cost(architecture).macs),
        ),
        Score(
            "params",
            "learnable parameters",
            "the baseline; Li et al. 2023, arXiv:2301.11300, section 1: no score before beat it consistently",
            "at equal FLOPs it says where the width is: late stages hold the parameters",
            lambda architecture, _: float(cost(architecture).params),
        ),
        Score(
            "activations",
            "output elements of all convolutions at 224 pixels",
            "Radosavovic et al. 2020, arXiv:2003.13678, section 4 (there a predictor of run time)",
            "at equal FLOPs it grows with early stages, expansion and small kernels",
            lambda architecture, _: float(cost(architecture).activations),
        ),
        Score(
            "depth",
            "convolutions on the main path",
            "the L of Shen et al. 2023, arXiv:2303.02165, section 4",
            "a depthwise and a dense convolution count the same; many ties",
            lambda architecture, _: depth(architecture),
        ),
        Score(
            "effectiveness",
            "DeepMAD's rho: depth over the geometric mean of c k^2 / g",
            "Shen et al. 2023, arXiv:2303.02165, sections 3 and 4",
            "a bound there (at most 0.5), not a score: no direction is claimed; knows neither norms nor "
            "shortcuts, and a depthwise k x k counts as k^2 wide",
            lambda architecture, _: effectiveness(architecture),
        ),
        Score(
            "entropy",
            "DeepMAD's multi-scale entropy at 224 pixels, the last stage weighted 8",
            "Shen et al. 2023, arXiv:2303.02165, section 4",
            "derived without norms and shortcuts, to be maximised under a bound on rho: alone it rewards "
            "depth, and a larger kernel always, whatever the map's size",
            lambda architecture, _: entropy(architecture),
        ),
        Score(
            "gradient_norm",
            "sum over layers of the norm of the weights' gradient",
            "Abdelfattah et al. 2021, arXiv:2101.08134, section 3",
            "LayerScale 1e-6 would scale the gradients of the blocks by 1e-6; before a norm a gradient goes "
            "as 1 / the scale of the weights, so type and place of the norms move it most",
            _averaged(_gradient_norm_of),
            needs_data=True,
        ),
        Score(
            "synflow",
            "log of the summed |w dR/dw| for an input of ones and absolute weights",
            "Tanaka et al. 2020, arXiv:2006.05467, section 6; as a score Abdelfattah et al. 2021, section 3",
            "a norm undoes the scale of the weights before it, so their w dR/dw sum to zero: norms, "
            "activations and GRN are replaced by the identity, and their choice is invisible; it counts "
            "paths, and grows with every block and width",
            _averaged(_synflow_of),
            needs_data=True,
        ),
        Score(
            "nwot",
            "log det(K + I), K counting equal signs of the activations' inputs for each pair of images",
            "Mellor et al. 2021, arXiv:2006.04647, section 3; + I is ours",
            "GELU, SiLU and Hardswish have no hard zero, so the signs are no linear regions; grows with "
            "the number of activations; without an activation it is 0",
            _averaged(_nwot_of),
            needs_data=True,
        ),
        Score(
            "zico",
            "sum over layers of log of the summed mean |gradient| / its deviation over batches",
            "Li et al. 2023, arXiv:2301.11300, section 3; 4 batches of 16 where its code has 2",
            "a sum over layers and weights: depth and parameters move it most; BatchNorm adds variance "
            "between small batches that other norms have not",
            _averaged(_zico_of),
            needs_data=True,
        ),
    )
}
