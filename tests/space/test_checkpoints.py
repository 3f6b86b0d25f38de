"""Weights between layouts: round trips, and the same logits from three independent networks.

`Official` is written here from the paper (figure 4 and section 2.6) under the official names, `Timm` under
timm's names; transformers' `ConvNextForImageClassification` is the library's own.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from nas.training.weights import read_weights
from space import checkpoints
from space.architecture import Architecture
from space.errors import InputError
from space.families import named
from space.network import ConvNet, build
from space.networks import build_network
from space.stage import Stage
from space.stem import Stem
from space.swin import Swin
from space.weight_files import WRAPPINGS, read_values
from tests.space.strategies import architectures
from tests.space.weights import randomised

CLASSES = 6
DEPTHS, WIDTHS = (1, 2, 1), (8, 16, 24)
SMALL = Architecture.convnext(DEPTHS, WIDTHS)
V2 = Architecture(
    stages=tuple(dataclasses.replace(stage, grn=True) for stage in SMALL.stages), layer_scale=None
)
SWIN = Swin(12, (2, 1), window=3)
ISOTROPIC = Architecture.convnext([2], [12], stem=Stem(patch_size=8, norm=False), layer_scale=None)
WRITERS = {
    "official": checkpoints.to_official,
    "timm": checkpoints.to_timm,
    "transformers": checkpoints.to_transformers,
}


def small_network(architecture: Architecture = SMALL) -> ConvNet:
    model = randomised(build(architecture, CLASSES))
    assert isinstance(model, ConvNet)
    return model


def images() -> Tensor:
    return torch.randn(2, 3, 35, 35, generator=torch.Generator().manual_seed(1))


def assert_same_logits(one: nn.Module, other: nn.Module) -> None:
    with torch.no_grad():
        expected, got = one(images()), other(images())
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def channel_norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    """LayerNorm of each pixel's channels, [N, C, H, W]."""
    mean = x.mean(1, keepdim=True)
    x = (x - mean) / torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-6)
    return layer.weight[:, None, None] * x + layer.bias[:, None, None]


class OfficialBlock(nn.Module):
    def __init__(self, width: int, grn: bool):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.pwconv1, self.pwconv2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.grn = None
        self.gamma = None if grn else nn.Parameter(torch.ones(width))
        if grn:  # ConvNeXt V2
            self.grn = nn.ParameterDict(
                {name: nn.Parameter(torch.zeros(1, 1, 1, 4 * width)) for name in ("gamma", "beta")}
            )

    def forward(self, x: Tensor) -> Tensor:
        y = channel_norm(self.dwconv(x), self.norm).permute(0, 2, 3, 1)
        y = F.gelu(self.pwconv1(y))
        if self.grn is not None:
            response = y.pow(2).sum((1, 2), keepdim=True).sqrt()
            relative = response / (response.mean(-1, keepdim=True) + 1e-6)
            y = self.grn["gamma"] * y * relative + self.grn["beta"] + y
        y = self.pwconv2(y)
        if self.gamma is not None:
            y = self.gamma * y
        return x + y.permute(0, 3, 1, 2)


class Official(nn.Module):
    def __init__(self, grn: bool = False):
        super().__init__()
        self.downsample_layers = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(3, WIDTHS[0], 4, 4), nn.LayerNorm(WIDTHS[0])])]
        )
        for before, after in itertools.pairwise(WIDTHS):
            self.downsample_layers.append(
                nn.ModuleList([nn.LayerNorm(before), nn.Conv2d(before, after, 2, 2)])
            )
        self.stages = nn.ModuleList(
            nn.ModuleList(OfficialBlock(w, grn) for _ in range(d))
            for d, w in zip(DEPTHS, WIDTHS, strict=True)
        )
        self.norm, self.head = nn.LayerNorm(WIDTHS[-1]), nn.Linear(WIDTHS[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        for i, (layers, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            one, two = layers
            x = channel_norm(one(x), two) if i == 0 else two(channel_norm(x, one))
            for block in stage:
                x = block(x)
        return self.head(channel_norm(x.mean((2, 3))[:, :, None, None], self.norm)[:, :, 0, 0])


class OfficialIsotropic(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 8, 8)
        self.blocks = nn.ModuleList(OfficialBlock(12, grn=False) for _ in range(2))
        for block in self.blocks:
            block.gamma = None
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(channel_norm(x.mean((2, 3))[:, :, None, None], self.norm)[:, :, 0, 0])


class TimmBlock(nn.Module):
    def __init__(self, width: int, conv_mlp: bool):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        hidden = 4 * width
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Conv2d(width, hidden, 1), "fc2": nn.Conv2d(hidden, width, 1)}
            if conv_mlp
            else {"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)}
        )
        self.conv_mlp = conv_mlp

    def forward(self, x: Tensor) -> Tensor:
        y = channel_norm(self.conv_dw(x), self.norm)
        if not self.conv_mlp:
            y = y.permute(0, 2, 3, 1)
        y = self.mlp["fc2"](F.gelu(self.mlp["fc1"](y)))
        if not self.conv_mlp:
            y = y.permute(0, 3, 1, 2)
        return x + self.gamma[:, None, None] * y


class Timm(nn.Module):
    def __init__(self, conv_mlp: bool):
        super().__init__()
        self.stem = nn.ModuleList([nn.Conv2d(3, WIDTHS[0], 4, 4), nn.LayerNorm(WIDTHS[0])])
        self.stages = nn.ModuleList()
        for i, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True)):
            stage = nn.Module()
            if i > 0:
                before = WIDTHS[i - 1]
                stage.downsample = nn.ModuleList([nn.LayerNorm(before), nn.Conv2d(before, width, 2, 2)])
            stage.blocks = nn.ModuleList(TimmBlock(width, conv_mlp) for _ in range(depth))
            self.stages.append(stage)
        self.head = nn.ModuleDict({"norm": nn.LayerNorm(WIDTHS[-1]), "fc": nn.Linear(WIDTHS[-1], CLASSES)})

    def forward(self, x: Tensor) -> Tensor:
        x = channel_norm(self.stem[0](x), self.stem[1])
        for i, stage in enumerate(self.stages):
            if i > 0:
                x = stage.downsample[1](channel_norm(x, stage.downsample[0]))
            for block in stage.blocks:
                x = block(x)
        x = channel_norm(x.mean((2, 3), keepdim=True), self.head["norm"])
        return self.head["fc"](x.flatten(1))


def transformers_network(version: str = "") -> nn.Module:
    import transformers

    config = getattr(transformers, f"ConvNext{version}Config")(
        depths=list(DEPTHS), hidden_sizes=list(WIDTHS), num_stages=len(DEPTHS), layer_norm_eps=1e-6,
        num_labels=CLASSES, patch_size=4,
    )  # fmt: skip
    return getattr(transformers, f"ConvNext{version}ForImageClassification")(config)


class Logits(nn.Module):
    """A transformers model with the plain interface."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).logits


@pytest.mark.parametrize(
    ("other", "architecture", "layout"),
    [
        (Official(), SMALL, "official"),
        (Official(grn=True), V2, "official"),
        (OfficialIsotropic(), ISOTROPIC, "official"),
        (Timm(conv_mlp=False), SMALL, "timm"),
        (Timm(conv_mlp=True), SMALL, "timm"),
    ],
    ids=["official", "official-v2", "official-isotropic", "timm", "timm-conv-mlp"],
)
def test_same_logits_from_their_weights(other: nn.Module, architecture: Architecture, layout: str):
    randomised(other)
    ours = build(architecture, CLASSES).eval()
    ours.load_state_dict(checkpoints.read(other.state_dict(), architecture).state)
    assert_same_logits(other, ours)


@pytest.mark.parametrize("conv_mlp", [False, True])
def test_same_logits_from_our_weights(conv_mlp: bool):
    ours = small_network()
    official, timm = Official().eval(), Timm(conv_mlp).eval()
    official.load_state_dict(checkpoints.to_official(ours.state_dict(), SMALL))
    timm.load_state_dict(checkpoints.to_timm(ours.state_dict(), SMALL, conv_mlp=conv_mlp))
    assert_same_logits(ours, official)
    assert_same_logits(ours, timm)


def test_same_logits_from_our_v2_and_isotropic_weights():
    v2, isotropic = Official(grn=True).eval(), OfficialIsotropic().eval()
    for theirs, architecture in ((v2, V2), (isotropic, ISOTROPIC)):
        ours = small_network(architecture)
        theirs.load_state_dict(checkpoints.to_official(ours.state_dict(), architecture))
        assert_same_logits(ours, theirs)


def test_same_logits_as_transformers_both_ways():
    theirs = randomised(transformers_network())
    ours = build(SMALL, CLASSES).eval()
    ours.load_state_dict(checkpoints.read(theirs.state_dict(), SMALL).state)
    assert_same_logits(Logits(theirs), ours)
    other = randomised(transformers_network(), seed=5)
    other.load_state_dict(checkpoints.to_transformers(ours.state_dict(), SMALL))
    assert_same_logits(ours, Logits(other))


def test_official_layout_is_our_own():
    state = build(named("convnext_tiny"), CLASSES).state_dict()
    assert list(checkpoints.to_official(state, named("convnext_tiny"))) == list(state)


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_every_layout_round_trips_or_refuses_a_field(architecture: Architecture):
    state = build(architecture, CLASSES).state_dict()
    for to_layout in WRITERS.values():
        try:
            there = to_layout(state, architecture)
        except InputError as error:
            field = str(error).partition(":")[0]
            assert field.startswith(("stem.", "stages[")) or field in ("norm", "downsampling", "head_norm")
            continue
        back = checkpoints.read(there, architecture).state
        assert list(back) == list(state)
        assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("architecture", [SMALL, dataclasses.replace(SMALL, layer_scale=None)])
def test_round_trips(layout: str, architecture: Architecture):
    state = small_network(architecture).state_dict()
    there = WRITERS[layout](state, architecture)
    assert len(there) == len(state)
    back = checkpoints.read(there, architecture).state
    assert all(torch.equal(back[name], state[name]) for name in state)


def block(**fields) -> Architecture:
    return Architecture(stages=(Stage(1, 8, **fields),))


@pytest.mark.parametrize(
    ("architecture", "field"),
    [
        (block(style="bottleneck"), r"stages\[0\].style"),
        (block(conv="dense"), r"stages\[0\].conv"),
        (block(spatial="middle"), r"stages\[0\].spatial"),
        (block(norm_after=(1, 2)), r"stages\[0\].norm_after"),
        (dataclasses.replace(SMALL, norm="batch"), "norm"),
        (dataclasses.replace(SMALL, downsampling="strided"), "downsampling"),
        (dataclasses.replace(SMALL, head_norm=False), "head_norm"),
        (dataclasses.replace(SMALL, stem=Stem(norm=False)), "stem.norm"),
        (dataclasses.replace(SMALL, stem=Stem(width=4)), "stem.width"),
        (named("resnet50"), "stem.type"),
    ],
)
def test_architectures_without_a_layout_are_refused_by_field(architecture: Architecture, field: str):
    with torch.device("meta"):
        state = build(architecture, CLASSES).state_dict()
    for layout, to_layout in WRITERS.items():
        for refused in (partial(to_layout, state), partial(checkpoints.theirs, layout=layout)):
            with pytest.raises(InputError, match=f"^{field}: .* has no weights for"):
                refused(network=architecture)


def transformers_swin() -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    config = SwinConfig(
        embed_dim=SWIN.width, depths=list(SWIN.depths), num_heads=list(SWIN.heads), window_size=SWIN.window,
        image_size=70, num_labels=CLASSES,
    )  # fmt: skip
    return SwinForImageClassification(config)


@pytest.mark.parametrize(
    ("make", "network"), [(partial(transformers_network, "V2"), V2), (transformers_swin, SWIN)]
)
def test_same_logits_as_transformers_v2_and_swin_both_ways(tmp_path: Path, make, network: ConvNet):
    from safetensors.torch import save_file

    theirs = randomised(make())
    theirs.save_pretrained(tmp_path)
    for state in (theirs.state_dict(), read_values(tmp_path / "model.safetensors")):
        ours = build_network(network, CLASSES).eval()
        ours.load_state_dict(checkpoints.read(state, network).state, strict=False)
        assert_same_logits(Logits(theirs), ours)
    ours = randomised(build_network(network, CLASSES), seed=5)
    state = checkpoints.to_transformers(ours.state_dict(), network)
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors", {"format": "pt"})
    other, told = type(theirs).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    assert_same_logits(ours, Logits(other.eval()))


def timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A Swin's official state dict as timm 0.9 and later have it: downsampling stands before its stage."""
    moved = {}
    for name, value in state.items():
        if name.endswith("relative_position_index"):
            continue
        if ".downsample." in name:
            stage = int(name.split(".")[1])
            moved[name.replace(f"layers.{stage}.", f"layers.{stage + 1}.")] = value
        else:
            moved[name.replace("head.", "head.fc.")] = value
    return moved


@pytest.mark.parametrize("layout", ["official", "timm", "transformers", "bare timm", "bare official"])
def test_a_swin_of_every_layout(tmp_path: Path, layout: str):
    source = randomised(build_network(SWIN, CLASSES))
    state = source.state_dict()
    masks = {f"layers.0.blocks.{i}.attn_mask": torch.zeros(4, 9, 9) for i in (1,)}
    values = {
        "official": state | masks,
        "timm": timm_names(state),
        "transformers": checkpoints.to_transformers(state, SWIN),
        "bare timm": {k: v for k, v in timm_names(state).items() if "head." not in k},
        "bare official": {k: v for k, v in state.items() if "head." not in k},
    }[layout]
    if layout.startswith("bare"):
        found = checkpoints.read(values, SWIN, head=False)
        assert set(found.missing) == {"head.weight", "head.bias"}
        assert all(torch.equal(value, state[name]) for name, value in found.state.items())
        return
    target = read_weights(saved(tmp_path / "w.pth", values), network=SWIN).model.eval()
    assert_same_logits(source, target)
    if layout == "official":
        assert "layers.0.blocks.1.attn_mask" in checkpoints.read(values, SWIN).left_out
    back = {"official": checkpoints.to_official, "timm": checkpoints.to_timm}.get(layout)
    if back is not None:
        again = back(state, SWIN)
        assert again.keys() == values.keys() - masks.keys()
        assert all(torch.equal(again[name], values[name]) for name in again)


def test_transformers_bare_models_have_no_body_s_name():
    state = small_network().state_dict()
    theirs = checkpoints.to_transformers(state, SMALL)
    bare = {k.removeprefix("convnext."): v for k, v in theirs.items() if not k.startswith("classifier.")}
    found = checkpoints.read(bare, SMALL, head=False)
    assert found.missing == ("head.weight", "head.bias")
    assert all(torch.equal(value, state[name]) for name, value in found.state.items())


def saved(path: Path, values: object) -> Path:
    torch.save(values, path)
    return path


@pytest.mark.parametrize("layout", ["own", *WRITERS])
@pytest.mark.parametrize(
    "wrapping",
    [
        None,
        "model",
        "state_dict",
        "model_state_dict",
        "module",
        "model_ema",
        "ddp",
        "compiled",
        "compiled ddp",
        "ddp compiled",
        "lightning",
        "backbone compiled net",
    ],
)
def test_load_weights_of_every_layout_and_wrapping(tmp_path: Path, layout: str, wrapping: str | None):
    source = small_network()
    state = source.state_dict()
    if layout != "own":
        state = WRITERS[layout](state, SMALL)
    prefixes = {"ddp": "module.", "compiled": "_orig_mod.", "lightning": "model."}
    prefixes |= {"backbone": "backbone.", "net": "0.net."}
    prefix = "".join(prefixes.get(part, "") for part in (wrapping or "").split())
    values: object = {prefix + name: value for name, value in state.items()}
    if wrapping in WRAPPINGS:
        values = {"epoch": 3, "args": argparse.Namespace(lr=4e-3), wrapping: values}
    target = read_weights(saved(tmp_path / "w.pth", values), network=SMALL).model.eval()
    assert_same_logits(source, target)


def test_an_average_of_torch_s_own_and_stages_compiled_apart(tmp_path: Path):
    source = small_network()
    averaged = torch.optim.swa_utils.AveragedModel(source)
    apart = {k.replace("stages.1.", "stages.1._orig_mod."): v for k, v in source.state_dict().items()}
    for values in ({"model_ema": averaged.state_dict()}, averaged.state_dict(), apart):
        target = read_weights(saved(tmp_path / "w.pth", values), network=SMALL).model.eval()
        assert_same_logits(source, target)


@pytest.mark.parametrize("name", ["resnet50", "roadmap_t_6", "roadmap_t_13"])
def test_load_weights_of_networks_that_only_we_have(tmp_path: Path, name: str):
    thin = named(name)
    stages = tuple(dataclasses.replace(stage, depth=1, width=8) for stage in thin.stages)
    architecture = dataclasses.replace(thin, stages=stages, stem=dataclasses.replace(thin.stem, width=8))
    source = small_network(architecture)
    path = saved(tmp_path / "w.pth", source.state_dict())
    target = read_weights(path, network=architecture).model
    for key, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[key], value)


def without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in small_network().state_dict().items() if key != name}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (without("norm.bias"), "missing norm.bias"),
        (without("") | {"extra": torch.zeros(1)}, "unexpected extra"),
        (without("") | {"head.weight": torch.zeros(6, 9)}, r"head.weight: shape \[6, 9\], the network has"),
        (build(V2, CLASSES).state_dict(), "missing stages.0.0.gamma, .*; unexpected stages.0.0.grn.gamma"),
        ({}, "holds no weights"),
        ([torch.zeros(1)], "holds no weights"),
        ({"model": {}}, "holds no weights"),
        ({"epoch": 3}, "epoch is int, not a tensor"),
        ({3: torch.zeros(1)}, "unexpected 3"),
        ({"a": torch.zeros(1).expand(10**9)}, "a is a tensor that claims more numbers than it has"),
        ({"a": torch.eye(3).to_sparse()}, "a is a tensor of another kind"),
        ({"a": torch.zeros(1), "module.a": torch.zeros(1)}, "holds 'a' twice"),
        ({"head.fc.weight": torch.zeros(6, 24), "x.y": torch.zeros(1)}, "timm's layout: missing"),
        ({"classifier.weight": torch.zeros(6, 24), "x.y": torch.zeros(1)}, "transformers' layout: missing"),
        ({"stem.weight": torch.zeros(6, 24), "x.y": torch.zeros(1)}, "the official layout: missing"),
        ({"teacher": without(""), "epoch": 3}, "holds weights under teacher; they are read bare"),
        (without("") | {"norm.bias": torch.zeros(24).int()}, "norm.bias is torch.int32; weights"),
        (without("") | {"norm.bias": torch.full((24,), torch.nan)}, "norm.bias is not finite: its training"),
        (SMALL, "holds 'space.architecture.Architecture'; only tensors and plain values are read"),
    ],
    ids=range(19),
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, values: object, message: str):
    path = saved(tmp_path / "w.pth", values)
    with pytest.raises(InputError, match=message) as caught:
        read_weights(path, network=SMALL)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short", b"\x80\x02garbage"])
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, content: bytes):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth: ") as caught:
        read_weights(path, network=SMALL)
    assert "\n" not in str(caught.value)


def test_a_truncated_checkpoint_is_one_clear_line(tmp_path: Path):
    path = saved(tmp_path / "w.pth", small_network().state_dict())
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="is damaged") as caught:
        read_weights(path, network=SMALL)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            read_weights(path, network=SMALL)
