"""Scores of an untrained network and a batch of images.

The network is built with LayerScale 1 and without stochastic depth, computes on the CPU in fp32 (SynFlow in
fp64), and scores are means over `INITIALISATIONS` draws of the weights. They read the weights of convolutions
and linear layers only, so LayerScale 1 and no LayerScale are the same network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.scores.batch import ZICO_BATCHES, Batch
from space.architecture import Architecture
from space.cost import cost
from space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

INITIALISATIONS = 3


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


# of an architecture and a batch
mean_gradient_norm, mean_zico, mean_nwot, mean_synflow = map(
    _averaged, (_gradient_norm_of, _zico_of, _nwot_of, _synflow_of)
)
