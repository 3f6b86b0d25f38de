"""The target `python`: the network as one self-contained PyTorch file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.targets.target import Chosen, Exported

if TYPE_CHECKING:
    from space.architecture import Architecture

NAME = "python"
SUMMARY = "one self-contained model.py that depends on torch alone"
RELATIVE = 1e-5  # the same operations in nearly the same order


def lacks(network: Architecture) -> str | None:  # noqa: ARG001 - every network can be written out
    """None: every network can be written out."""
    return None


def export(chosen: Chosen) -> Exported:
    """model.py, an example of its use, a verification, and weights.pt where there are weights."""
    import torch

    from nas.targets.checking import compare_module, generated, original_of, saved, verify_source
    from nas.targets.source.module import camel_case, chosen_source

    source, class_name = chosen_source(chosen), camel_case(chosen.name)
    original, images = original_of(chosen)
    library = f"torch {torch.__version__}"
    with generated(source, chosen.name, original) as network:
        check = compare_module(original, images, network, library=library, relative=RELATIVE)
    resolution = chosen.recipe.data.resolution
    imports = f"import torch\nfrom torch import Tensor\n\nfrom model import {class_name}"
    files: dict[str, str | bytes] = {
        "model.py": source,
        "example.py": example(class_name, resolution, with_weights=chosen.weights is not None),
        "verify.py": verify_source(original, resolution, imports, f"{class_name}()", "with torch alone"),
    }
    if chosen.weights is not None:
        files["weights.pt"] = saved(dict(original.state_dict()))
    return Exported(
        files=files | chosen.class_file,
        check=check,
        verify="python verify.py",
        commands=("python example.py",),
        notes=(f"model.py is written for Python 3.8, torch 1.8 and later; {library} ran it here.",),
    )


def example(class_name: str, resolution: int, *, with_weights: bool) -> str:
    """A short program that makes the model and classifies an image."""
    load = (
        'model.load_state_dict(torch.load("weights.pt", map_location="cpu"))\n'
        if with_weights
        else '# model.load_state_dict(torch.load("weights.pt", map_location="cpu"))\n'
    )
    return f'''\
"""Makes the model and runs it on a batch of images."""

import torch

from model import {class_name}

# another head: num_classes=10; in training, stochastic depth: drop_path_rate=0.1
model = {class_name}()
{load}model.eval()

# images: RGB in [0, 1], less the mean (0.485, 0.456, 0.406), by (0.229, 0.224, 0.225)
images = torch.zeros(1, 3, {resolution}, {resolution})
with torch.no_grad():
    probabilities = model(images).softmax(dim=1)
print(probabilities.shape, probabilities.topk(3).indices.tolist())
'''
