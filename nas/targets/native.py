"""The target `native`: a recipe.yaml for this toolkit's own trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.targets.quoting import in_comment, in_shell
from nas.targets.target import Chosen, Exported, Mismatch

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe
    from space.architecture import Architecture

NAME = "native"
SUMMARY = "recipe.yaml for this toolkit's own trainer, python -m nas.train"
GPUS_A_NODE = 8
CHECKPOINT = "checkpoint-best.pt"  # what nas.train leaves for nas.evaluate

NAMED = (
    "recipe.yaml names the classes, and a training takes data with classes of these names alone; with "
    "data.classes null it takes the data's own."
)


def lacks(network: Architecture) -> str | None:  # noqa: ARG001 - every network is this toolkit's own
    """None: every network is this toolkit's own."""
    return None


def export(chosen: Chosen) -> Exported:
    """recipe.yaml, read back and built before it is handed out."""
    import torch

    from nas.recipe.recipe import recipe_from, recipe_text
    from nas.targets.checking import compare_module, original_of, with_weights
    from space.networks import convnet
    from space.reading import parse_yaml

    text = recipe_text(chosen.recipe, in_comment(chosen.title))
    where = "recipe.yaml"
    # through the file's own text: what YAML reads otherwise than it was meant shows here
    found = recipe_from(parse_yaml(text, where), where)
    if found != chosen.recipe:
        raise Mismatch(f"{where}: read back, it is another recipe")
    original, images = original_of(chosen)
    network = with_weights(convnet(found.network, where), original.state_dict(), found.data.num_classes)
    check = compare_module(original, images, network, library=f"torch {torch.__version__}")
    return Exported(
        files={where: text},
        check=check,
        verify="python -m space.describe architecture.json",
        commands=commands(chosen.recipe),
        notes=() if chosen.classes is None or chosen.folders else (NAMED,),
    )


def commands(recipe: Recipe) -> tuple[str, ...]:
    """The commands that train the recipe, on one device and on all of them, and evaluate the result."""
    kind = "csv" if recipe.data.name.endswith(".csv") else "imagefolder"
    data = f"--data {kind}:/path/to/{in_shell(recipe.data.name)}"
    start = " --init /path/to/checkpoint.pth" if recipe.fine_tunes else ""
    train = f"-m nas.train recipe.yaml {data} --out training{start}"
    found = [f"python {train}"]
    if recipe.devices > 1:
        nodes, gpus = nodes_and_gpus(recipe.devices)
        machines = "--standalone"
        if nodes > 1:
            machines = f"--nnodes={nodes} --rdzv-backend=c10d --rdzv-endpoint=HOST:29500"
        found.append(f"torchrun {machines} --nproc-per-node={gpus} {train}")
    return (*found, f"python -m nas.evaluate training/{CHECKPOINT} {data}")


def torchrun(devices: int) -> str:
    """The start of a command on so many GPUs: eight of a machine at most, as few machines as possible."""
    nodes, gpus = nodes_and_gpus(devices)
    several = f" --nnodes={nodes} --rdzv_backend=c10d --rdzv_endpoint=HOST:29500" if nodes > 1 else ""
    return f"torchrun{several} --nproc_per_node={gpus}"


def nodes_and_gpus(devices: int) -> tuple[int, int]:
    """Machines of at most eight GPUs, as few as possible, all alike."""
    gpus = next(count for count in range(min(devices, GPUS_A_NODE), 0, -1) if devices % count == 0)
    return devices // gpus, gpus
