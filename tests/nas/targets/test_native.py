"""The target native: a recipe that this toolkit's trainer reads back."""

import pytest

import nas.recipe.recipe
from nas.recipe.recipe import read_recipe
from nas.targets import native
from nas.targets.target import Mismatch
from nas.train import parser
from nas.training.folder import BEST
from space.cost import cost
from tests.nas.targets.conftest import CONVNEXT, make_chosen


def test_the_recipe_comes_back(network, tmp_path):
    chosen = make_chosen(network)
    exported = native.export(chosen)
    path = tmp_path / "recipe.yaml"
    path.write_text(exported.files["recipe.yaml"])
    assert read_recipe(path) == chosen.recipe
    assert read_recipe(path).network == network
    assert exported.files["recipe.yaml"].startswith("# A small network")
    assert exported.check.params == cost(network, 32, 7).params


def test_commands_are_the_trainer_s_own():
    one, many, evaluate = native.export(make_chosen()).commands
    words = one.split()
    assert words[:3] == ["python", "-m", "nas.train"]
    args = parser().parse_args(words[3:])
    assert (args.recipe, args.data) == ("recipe.yaml", "imagefolder:/path/to/pictures")
    assert many.startswith("torchrun --standalone --nproc-per-node=8 -m nas.train recipe.yaml ")
    assert parser().parse_args(many.split()[5:]).out == args.out
    assert evaluate.startswith(f"python -m nas.evaluate {args.out}/{BEST} --data imagefolder:")


@pytest.mark.parametrize(
    ("devices", "nodes", "gpus"), [(1, 1, 1), (6, 1, 6), (8, 1, 8), (32, 4, 8), (12, 2, 6), (13, 13, 1)]
)
def test_machines(devices, nodes, gpus):
    assert native.nodes_and_gpus(devices) == (nodes, gpus)


def test_several_machines_meet_and_fine_tuning_starts_from_weights():
    many = make_chosen(total_batch_size=4096, batch_size=128, accumulation=1, devices=32).recipe
    command = native.commands(many)[1]
    assert "--nnodes=4 --rdzv-backend=c10d --rdzv-endpoint=HOST:29500 --nproc-per-node=8" in command
    tuned = make_chosen(optimizer={"layer_decay": 0.7}, head_init_scale=0.001).recipe
    assert all("--init /path/to/checkpoint.pth" in line for line in native.commands(tuned)[:2])
    alone = make_chosen(devices=1, accumulation=32).recipe
    assert not any("torchrun" in line for line in native.commands(alone))


def test_a_recipe_that_reads_back_differently_is_not_handed_out(monkeypatch):
    written = nas.recipe.recipe.recipe_text
    monkeypatch.setattr(nas.recipe.recipe, "recipe_text", lambda r, *c: written(r.changed(epochs=299), *c))
    with pytest.raises(Mismatch, match="another recipe"):
        native.export(make_chosen(CONVNEXT))
