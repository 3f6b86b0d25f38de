"""Training-free scores: numbers of an untrained network that might rank networks as their training would.

Off by default, and used by no search: `python -m analysis.proxies STUDY` measures what a score is worth
inside a budget band. Larger is meant to be better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.scores.batch import Batch, draw_batch
from analysis.scores.closed_form import depth, effectiveness, entropy
from analysis.scores.untrained import mean_gradient_norm, mean_nwot, mean_synflow, mean_zico
from space.architecture import Architecture
from space.cost import cost
from space.errors import InputError

if TYPE_CHECKING:
    from nas.data import Data
    from nas.proxy.proxy import Proxy


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
            mean_gradient_norm,
            needs_data=True,
        ),
        Score(
            "synflow",
            "log of the summed |w dR/dw| for an input of ones and absolute weights",
            "Tanaka et al. 2020, arXiv:2006.05467, section 6; as a score Abdelfattah et al. 2021, section 3",
            "a norm undoes the scale of the weights before it, so their w dR/dw sum to zero: norms, "
            "activations and GRN are replaced by the identity, and their choice is invisible; it counts "
            "paths, and grows with every block and width",
            mean_synflow,
            needs_data=True,
        ),
        Score(
            "nwot",
            "log det(K + I), K counting equal signs of the activations' inputs for each pair of images",
            "Mellor et al. 2021, arXiv:2006.04647, section 3; + I is ours",
            "GELU, SiLU and Hardswish have no hard zero, so the signs are no linear regions; grows with "
            "the number of activations; without an activation it is 0",
            mean_nwot,
            needs_data=True,
        ),
        Score(
            "zico",
            "sum over layers of log of the summed mean |gradient| / its deviation over batches",
            "Li et al. 2023, arXiv:2301.11300, section 3; 4 batches of 16 where its code has 2",
            "a sum over layers and weights: depth and parameters move it most; BatchNorm adds variance "
            "between small batches that other norms have not",
            mean_zico,
            needs_data=True,
        ),
    )
}
