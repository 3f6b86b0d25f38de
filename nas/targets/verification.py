"""The verify_*.py beside an export: whether the library builds the network, without this project.

It makes the model with the library, gives it weights that every machine computes alike, and compares
parameters, multiply-accumulates, stochastic depth and logits with the original's, which stand in a JSON file
beside it.
"""

from __future__ import annotations

import inspect
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from nas.targets.target import Chosen

    Mapped = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]

IMAGES = 2  # so that what mixes images shows
CLASSES = 1000  # logits that are kept of each image, at most
RELATIVE = 1e-4  # of the largest logit: another library adds in another order
DIFFERS, ABSENT, FAILED, AILING = 1, 3, 4, 5
"""The script's exit codes: another network; the library cannot be imported; it raises something; the network
is right, and training it would end here."""


def drawn(name: str, shape: Sequence[int]) -> Tensor:
    """Pseudo-random numbers in [-1, 1) that every machine computes alike: an integer hash, no generator."""
    import torch

    k = (torch.arange(math.prod(shape), dtype=torch.int64) + zlib.crc32(name.encode())) % 2**32
    for _ in range(2):
        k = ((k >> 16) ^ k) * 0x45D9F3B % 2**32
    return (((k >> 16) ^ k).double() / 2**31 - 1).float().reshape(tuple(shape))


def weights_of(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Weights that hide no layer, norms and LayerScale in 0.5 to 1.5.

    Spatial convolutions before a norm that is over the sample are small, so that the norm's eps counts.
    """
    import torch

    weights = {}
    small = 1.0 if any(name.endswith("running_var") for name in shapes) else 0.01
    for name, shape in shapes.items():
        kind = name.rpartition(".")[2]
        layer = shapes.get(f"{name.rpartition('.')[0]}.weight", shape)
        size = small if math.prod(layer[2:]) > 1 else 1.0
        if kind == "num_batches_tracked":
            weights[name] = torch.zeros((), dtype=torch.int64)
        elif ".grn." in name:
            weights[name] = drawn(name, shape)
        elif len(shape) > 1:
            weights[name] = drawn(name, shape) * size * (3 / math.prod(shape[1:])) ** 0.5
        elif kind in ("weight", "running_var", "gamma", "layer_scale_parameter"):
            weights[name] = 1 + drawn(name, shape) / 2
        else:
            weights[name] = drawn(name, shape) * size / 3
    return weights


ALIKE = f"{inspect.getsource(drawn)}\n\n{inspect.getsource(weights_of)}"


def rates_of(chosen: Chosen) -> list[float]:
    """Stochastic depth of every block that has any, as the recipe has it."""
    from dataclasses import replace

    from space.network import drop_path_rates

    network = replace(chosen.network, drop_path=chosen.recipe.network.drop_path)
    return [rate for rate in drop_path_rates(network) if rate > 0]


def expected(chosen: Chosen, mapped: Mapped, **more: object) -> str:
    """The JSON that the script compares with; `mapped` takes a state dict to the library's form."""
    import torch

    from space.cost import cost
    from space.network import build

    data = chosen.recipe.data
    counted = cost(chosen.network, data.resolution, data.num_classes)
    with torch.device("meta"):
        original = build(chosen.network, data.num_classes)
    state = original.state_dict()
    # one weight at a time shows which name becomes which; shapes may change, as of 1x1 convolutions
    theirs = {name: next(iter(mapped({name: value}).items())) for name, value in state.items()}
    # drawn by the library's names, by which alone the script can draw them again
    weights = weights_of({name: value.shape for name, value in theirs.values()})
    own = {name: weights[theirs[name][0]].reshape(value.shape) for name, value in state.items()}
    original.load_state_dict(own, assign=True)
    # of variance 1, as normalised images: uniform in [-1, 1) has a third
    images = drawn("images", (IMAGES, 3, data.resolution, data.resolution)) * 3**0.5
    with torch.no_grad():
        logits = original.eval()(images)
    return json.dumps(
        {
            "params": counted.params,
            "macs": counted.macs,
            "images": list(images.shape),
            "drop_path": [round(rate, 6) for rate in rates_of(chosen)],
            "tolerance": RELATIVE * float(logits.abs().max()),
            "largest": float(logits.abs().max()),
            **more,
            # seven digits are all that float32 has
            "logits": [[float(f"{v:.7g}") for v in row[:CLASSES].tolist()] for row in logits],
        }
    )


def script(library: str, make: str, troubles: str = "    return []") -> str:
    """The script; `make` is the body of a function of `expected`, the JSON's values, that gives the model.

    `troubles` is the body of one that gives sentences on what would end a training here.
    """
    return SCRIPT.format(library=library, make=make.strip("\n"), troubles=troubles.strip("\n"), alike=ALIKE)


SCRIPT = '''\
"""Whether {library} builds the network that was exported: python verify_{library}.py

Makes the model with {library} and compares its parameters, multiply-accumulates, stochastic depth and logits
with the original's, which verify_{library}.json has, under weights that every machine computes alike. Exit
code 1: it differs; 3: {library} cannot be imported; 5: it is right, but a training would end here.
"""

from __future__ import annotations

import json
import math
import sys
import zlib
from pathlib import Path

try:
    import {library}
except Exception as error:  # also a library whose own imports fail
    what = f"{{type(error).__name__}}: {{error}}"
    print(f"not verified: {library} cannot be imported ({{what}})", file=sys.stderr)
    sys.exit(3)
import torch
from torch.utils.flop_counter import FlopCounterMode

HERE = Path(__file__).resolve().parent


{alike}

def make(expected):
{make}


def troubles(expected):
{troubles}


def require(same, what, found, wanted):
    if not same:
        sys.exit(f"verify_{library}.py: {{what}}: {{found}}; the network has {{wanted}}")


def stochastic_depth(model):
    layers = [m for m in model.modules() if type(m).__name__.endswith("DropPath")]
    rates = [float(m.drop_prob if hasattr(m, "drop_prob") else m.rate) for m in layers]
    return [round(rate, 6) for rate in rates if rate > 0]


def main():
    expected = json.loads((HERE / "verify_{library}.json").read_text())
    model = make(expected).eval()
    rates, wanted = stochastic_depth(model), expected["drop_path"]
    near = len(rates) == len(wanted) and all(abs(a - b) < 1e-5 for a, b in zip(rates, wanted))
    require(near, "stochastic depth", rates, wanted)
    params = sum(p.numel() for p in model.parameters())
    require(params == expected["params"], "parameters", params, expected["params"])

    model.load_state_dict(weights_of({{name: v.shape for name, v in model.state_dict().items()}}))
    images = drawn("images", expected["images"]) * 3**0.5
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        logits = model(images)
    logits = getattr(logits, "logits", logits)
    macs = counter.get_total_flops() // (2 * len(images))
    require(macs == expected["macs"], "multiply-accumulates", macs, expected["macs"])
    wanted = torch.tensor(expected["logits"])
    difference = (logits[:, : wanted.shape[1]] - wanted).abs().max().item()
    if not difference <= expected["tolerance"]:  # a NaN differs, too
        most = expected["tolerance"]
        sys.exit(f"verify_{library}.py: logits differ by {{difference:.3g}}; at most {{most:.3g}}")

    found = {{
        "library": f"{library} {{{library}.__version__}}",
        "params": params,
        "macs": macs,
        "difference": difference,
        "tolerance": expected["tolerance"],
        "largest": expected["largest"],
        "images": f"{{len(images)}} of {{images.shape[-1]}}x{{images.shape[-2]}}",
    }}
    print(", ".join(f"{{key}} {{value}}" for key, value in found.items()))
    if "--json" in sys.argv:
        print(json.dumps(found))
    said = troubles(expected)
    for line in said:
        print(line, file=sys.stderr)
    sys.exit(5 if said else 0)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        if "--json" not in sys.argv and not isinstance(error, ImportError):
            raise
        late = isinstance(error, ImportError)  # of a library that imports when it is asked for something
        while error.__cause__ is not None:
            error = error.__cause__
        word = "cannot be imported" if late else f"{{{library}.__version__}} failed"
        print(f"not verified: {library} {{word}} ({{type(error).__name__}}: {{error}})", file=sys.stderr)
        sys.exit(3 if late else 4)
'''
