"""The target `torch`: a .pt2 file of `torch.export`, which runs without the code of the model."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from nas.targets.target import Chosen, Exported

if TYPE_CHECKING:
    from torch import Tensor
    from torch.export import ExportedProgram

    from space.architecture import Architecture
    from space.network import ConvNet

NAME = "torch"
SUMMARY = "NAME.pt2 by torch.export, for inference without model code"
RANDOM_WEIGHTS = (
    "No weights were given: the file holds random ones. It measures speed and memory; what it predicts means "
    "nothing."
)


def lacks(network: Architecture) -> str | None:  # noqa: ARG001 - tests export every kind of network
    """None: every network can be exported."""
    return None


def export(chosen: Chosen) -> Exported:
    """NAME.pt2, any batch size, one resolution; what is checked is the file, loaded again."""
    import torch

    from nas.targets.checking import compare, counted, original_of

    original, images = original_of(chosen)
    # written and read again: what is checked is what a user will load
    content = saved_program(exported_program(chosen, original, images))
    program = loaded_program(content)
    module = program.module()
    logits, macs = counted(module, images)
    check = compare(
        original,
        images,
        lambda _: logits,
        library=f"torch {torch.__version__}",
        params=sum(value.numel() for value in program.parameters()),
        macs=macs,
    )
    size = chosen.recipe.data.resolution
    name = f"{chosen.name}.pt2"
    run = f"torch.export.load('{name}').module()(torch.zeros(1, 3, {size}, {size})).shape"
    command = f'python -c "import torch; print({run})"'
    notes = (
        f"For inference with images of {size}x{size}, in batches of any size; stochastic depth is gone.",
        "Read it with torch.export.load, in this version of torch or a later one; only files you trust.",
    )
    return Exported(
        files={name: content, **chosen.class_file},
        check=check,
        verify=command,
        commands=(command,),
        notes=notes if chosen.weights is not None else (RANDOM_WEIGHTS, *notes),
    )


def exported_program(chosen: Chosen, original: ConvNet, images: Tensor) -> ExportedProgram:
    """The network, as its generated source, traced by `torch.export` with a dynamic batch."""
    import torch

    from nas.targets.checking import generated
    from nas.targets.source.module import chosen_source

    # the source permutes once a block, so its graph has half of the transpositions
    with generated(chosen_source(chosen), chosen.name, original) as network:
        # traced with two images: torch takes a size of 1 for a constant
        batch = {0: torch.export.Dim("batch")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.export.export(network, (images,), dynamic_shapes=(batch,))
    for node in program.graph.nodes:  # paths of this machine
        node.meta.pop("stack_trace", None)
    return program


def saved_program(program: ExportedProgram) -> bytes:
    """What `torch.export.save` writes."""
    import torch

    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def loaded_program(content: bytes) -> Any:
    """The program of a .pt2 file."""
    import torch

    return torch.export.load(io.BytesIO(content))
