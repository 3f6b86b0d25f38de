"""Small networks, chosen for export under a small recipe."""

import subprocess
import sys

import pytest

from nas.recipe.recipe import Recipe
from nas.targets.target import Chosen
from space.architecture import Architecture
from space.families import resnet
from space.stage import Stage
from space.stem import Stem

CONVNEXT = Architecture.convnext([1, 2], [8, 16], drop_path=0.1)
RESNET = resnet((2, 2), width=4)
MIXED = Architecture(
    stages=(
        Stage(1, 8, kernel_size=3, expansion=2, grn=True),
        Stage(2, 12, kernel_size=5, expansion=1.5, conv="grouped", group_width=4),
        Stage(1, 16, kernel_size=1, conv="dense", norm_after=(1, 3), act_after=(1, 3)),
    ),
    stem=Stem(patch_size=2, width=6, activation=True),
    norm="rms",
    activation="silu",
    layer_scale=0.1,
)


def make_chosen(network=CONVNEXT, *, name="nas_small", resolution=32, num_classes=7, weights=None, **fields):
    data = {"name": "pictures", "resolution": resolution, "num_classes": num_classes} | fields.pop("data", {})
    plain = {"architecture": network.to_dict(), "batch_size": 128, "accumulation": 4, "devices": 8}
    recipe = Recipe.model_validate({**plain, "data": data, **fields})
    return Chosen(network, name, "A small network", recipe, weights)


@pytest.fixture(params=[CONVNEXT, RESNET, MIXED], ids=["convnext", "resnet", "mixed"])
def network(request):
    return request.param


@pytest.fixture
def run_in(tmp_path):
    """Writes files to a folder and runs Python there, without this project; returns the finished process."""

    def run(files, *arguments, **environment):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env={"OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
