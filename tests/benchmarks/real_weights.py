"""Weights to and from the real software: `python -m tests.benchmarks.real_weights --official DIR`.

timm's, transformers' and the official code's networks with random weights, saved as each of them saves, read
by this project; and this project's weights, converted, loaded strictly by each of them: the largest
difference of any logit of two images. What is not installed, or not in DIR (checkouts of
facebookresearch/ConvNeXt as convnext, facebookresearch/ConvNeXt-V2 as convnextv2, microsoft/Swin-Transformer
as swin), is left out, said.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from nas.training.weights import read_weights
from space.architecture import Architecture
from space.checkpoints import to_official, to_timm, to_transformers
from space.families import named
from space.networks import Network, build_network
from space.swin import named_swin

CLASSES = 7
V1, SWIN = named("convnext_tiny"), named_swin("swin_tiny")
_ATTO = Architecture.convnext([2, 2, 6, 2], [40, 80, 160, 320], layer_scale=None)
V2 = replace(_ATTO, stages=tuple(replace(stage, grn=True) for stage in _ATTO.stages))
NETWORKS: dict[str, Network] = {"convnext_tiny": V1, "convnextv2_atto": V2, "swin_tiny": SWIN}

OFFICIAL = (  # folder, module, class or function, network
    ("convnext", "models.convnext", "convnext_tiny", "convnext_tiny"),
    ("convnextv2", "models.convnextv2", "convnextv2_atto", "convnextv2_atto"),
    ("swin", "models.swin_transformer", "SwinTransformer", "swin_tiny"),
)


@dataclass(frozen=True)
class Software:
    """One program: how it makes a network, saves one, and takes a state dict of ours."""

    name: str
    version: str
    make: Callable[[str], nn.Module]
    save: Callable[[nn.Module, Path], Path]
    load: Callable[[nn.Module, dict[str, Tensor], Network, Path], nn.Module]
    networks: tuple[str, ...] = tuple(NETWORKS)


def randomised(model: nn.Module, seed: int) -> nn.Module:
    """Weights that all show in the logits: a fresh LayerScale, GRN or head hides what is wrong."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.2 * noise if parameter.dim() < 2 else noise / parameter[0].numel() ** 0.5)
    return model.eval()


def logits(model: nn.Module) -> Tensor:
    """[2, CLASSES]."""
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        out = model(images)
    return getattr(out, "logits", out)  # type: ignore[no-any-return]


def rows(software: Software, folder: Path) -> Iterator[list[str]]:
    """Software, version, network, direction, largest difference, spread of the logits."""
    for name in software.networks:
        network = NETWORKS[name]
        model = randomised(software.make(name), 0)
        read = read_weights(software.save(model, folder), network=network).model.eval()
        yield _row(software, name, "in", logits(read), logits(model))
        ours = randomised(build_network(network, CLASSES), 2)
        loaded = software.load(software.make(name), ours.state_dict(), network, folder).eval()
        yield _row(software, name, "out", logits(loaded), logits(ours))


def _row(software: Software, name: str, direction: str, got: Tensor, expected: Tensor) -> list[str]:
    difference, spread = float((got - expected).abs().max()), float(expected.std())
    return [software.name, software.version, name, direction, f"{difference:.1e}", f"{spread:.2f}"]


# timm


def timm_software() -> Software:
    """timm's own models and state dicts."""
    _torchvision()
    import timm

    names = {"swin_tiny": "swin_tiny_patch4_window7_224"}

    def load(model: nn.Module, state: dict[str, Tensor], network: Network, _: Path) -> nn.Module:
        conv_mlp = any(".mlp.fc1." in name and value.dim() == 4 for name, value in model.state_dict().items())
        model.load_state_dict(to_timm(state, network, conv_mlp=conv_mlp))
        return model

    return Software(
        "timm",
        timm.__version__,
        lambda name: timm.create_model(names.get(name, name), num_classes=CLASSES),
        _saved_state,
        load,
    )


def _saved_state(model: nn.Module, folder: Path) -> Path:
    torch.save(model.state_dict(), folder / "state.pth")
    return folder / "state.pth"


def _torchvision() -> None:
    """A torchvision that does not fit torch lacks its operators, which no network here uses: name them."""
    with contextlib.suppress(ImportError, RuntimeError):
        import torchvision

        if torchvision.extension._has_ops():
            return
    for operator in (
        "nms", "qnms", "roi_align", "_roi_align_backward", "roi_pool", "_roi_pool_backward", "ps_roi_align",
        "_ps_roi_align_backward", "ps_roi_pool", "_ps_roi_pool_backward", "deform_conv2d",
        "_deform_conv2d_backward",
    ):  # fmt: skip
        with contextlib.suppress(RuntimeError):
            torch.library.define(f"torchvision::{operator}", "(Tensor a, Tensor b, float c) -> Tensor")
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]


# transformers


def transformers_software() -> Software:
    """transformers' classes, by their folders: save_pretrained, from_pretrained."""
    import transformers
    from safetensors.torch import save_file

    convnext = {"num_labels": CLASSES, "layer_norm_eps": 1e-6}
    v2 = convnext | {"depths": V2.depths, "hidden_sizes": [40, 80, 160, 320]}
    classes = {
        "convnext_tiny": ("ConvNext", convnext),
        "convnextv2_atto": ("ConvNextV2", v2),
        "swin_tiny": ("Swin", {"num_labels": CLASSES}),
    }

    def make(name: str) -> nn.Module:
        family, fields = classes[name]
        config = getattr(transformers, f"{family}Config")(**fields)
        return getattr(transformers, f"{family}ForImageClassification")(config)  # type: ignore[no-any-return]

    def save(model: nn.Module, folder: Path) -> Path:
        model.save_pretrained(folder / "theirs")  # type: ignore[operator]
        return folder / "theirs" / "model.safetensors"

    def load(model: Any, state: dict[str, Tensor], network: Network, folder: Path) -> nn.Module:
        place = folder / "ours"
        model.config.save_pretrained(place)
        values = {name: value.contiguous() for name, value in to_transformers(state, network).items()}
        save_file(values, place / "model.safetensors", metadata={"format": "pt"})
        model, told = type(model).from_pretrained(place, output_loading_info=True)
        odd = {what: names for what, names in told.items() if names}
        assert not odd, odd
        return model  # type: ignore[no-any-return]

    return Software("transformers", transformers.__version__, make, save, load)


# the official code


def official_software(folder: Path, part: str, module: str, make: str, name: str) -> Software:
    """A checkout's own model file; ConvNeXt's checkpoint is written by its own utils.save_model."""
    _torchvision()
    with _importing(folder / part):
        models: Any = importlib.import_module(module)
        utils: Any = importlib.import_module("utils") if part == "convnext" else None

    def fresh(_: str) -> nn.Module:
        return getattr(models, make)(num_classes=CLASSES)  # type: ignore[no-any-return]

    def save(model: nn.Module, where: Path) -> Path:
        return _saved_state(model, where) if utils is None else _as_main_does(utils, model, where)

    def load(model: nn.Module, state: dict[str, Tensor], network: Network, _: Path) -> nn.Module:
        found = model.load_state_dict(to_official(state, network), strict=False)
        # a Swin's masks are computed; its own code loads checkpoints without them
        odd = [key for key in (*found.missing_keys, *found.unexpected_keys) if not key.endswith("attn_mask")]
        assert not odd, odd
        return model

    return Software(f"official {part}", _commit(folder / part), fresh, save, load, (name,))


def _as_main_does(utils: Any, model: nn.Module, folder: Path) -> Path:
    """main.py's last lines of an epoch: a rate out of numpy in every group, the average, the arguments."""
    optimizer = torch.optim.AdamW(model.parameters())
    for group in optimizer.param_groups:
        group["lr"] = utils.cosine_scheduler(4e-3, 1e-6, 2, 4)[3] * 1.0
    average = torch.optim.swa_utils.AveragedModel(model)
    scaler = types.SimpleNamespace(state_dict=dict)
    args = argparse.Namespace(output_dir=str(folder), save_ckpt_num=3, save_ckpt_freq=1, lr=4e-3)
    utils.get_state_dict = lambda averaged: averaged.module.state_dict()
    utils.save_on_master = torch.save
    utils.is_main_process = lambda: True
    utils.save_model(args, 1, model, model, optimizer, scaler, average)
    return folder / "checkpoint-1.pth"


@contextlib.contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """Imports from a checkout of its time: what it wants of then and no network needs is empty."""
    if not folder.is_dir():
        raise ImportError(f"{folder} is not there")
    before = set(sys.modules)
    stubs = {
        "torch._six": {"inf": float("inf")}, "tensorboardX": {"SummaryWriter": object},
        "MinkowskiEngine": {"SparseTensor": object},
    }  # fmt: skip
    for name, values in stubs.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        sys.modules.setdefault(name, module)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:  # the next checkout has a package of the same name
            if name.partition(".")[0] in ("models", "utils", "kernels"):
                del sys.modules[name]


def _commit(folder: Path) -> str:
    """What COMMIT says, a file to write beside a checkout without its history."""
    note = folder / "COMMIT"
    return note.read_text().strip() if note.is_file() else "?"


def main(argv: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--official", type=Path, metavar="DIR", default=Path("official"))
    args = parser.parse_args(argv)
    programs: list[Callable[[], Software]] = [
        timm_software,
        transformers_software,
        *(
            functools.partial(official_software, args.official, part, module, make, network)
            for part, module, make, network in OFFICIAL
        ),
    ]
    print("| software | version | network | direction | largest difference | spread of the logits |")
    print("|---|---|---|---|---|---|")
    for program in programs:
        try:
            software = program()
        except (ImportError, RuntimeError) as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        with TemporaryDirectory() as folder:
            for row in rows(software, Path(folder)):
                print(f"| {' | '.join(row)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
