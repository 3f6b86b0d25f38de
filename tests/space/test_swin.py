"""The Swin Transformer: its value, its cost against fvcore and the built module, its logits and its layout.

The logits are compared with transformers' `SwinForImageClassification` wherever it runs, which is on maps of
at least one whole window; smaller maps are reduced to that case by the window they shrink to.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys

import pytest
import torch
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from space.budget import parse_budget
from space.errors import InputError
from space.swin import (
    HEAD_WIDTH,
    Swin,
    head_count,
    named_swin,
    swin_breakdown,
    swin_cost,
    swin_reference,
    window_of,
)
from space.swin_network import SwinNetwork, build_swin, shift_mask, to_windows
from tests.space.weights import randomised

CLASSES = 5
SMALL = Swin(width=8, depths=(2, 2, 2), heads=(1, 2, 4), window=3, patch_size=2)
PUBLISHED_PARAMS = {"swin_tiny": 28288354, "swin_small": 49606258, "swin_base": 87768224}
# millions of parameters and GFLOPs as the official repository prints them
PUBLISHED = {
    "swin_tiny": (28, 4.5),
    "swin_small": (50, 8.7),
    "swin_base": (88, 15.4),
    "swin_large": (197, 34.5),
}
TRANSFORMERS = (
    (r"^swin\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^swin\.embeddings\.norm\.", "patch_embed.norm."),
    (r"^swin\.encoder\.layers\.", "layers."),
    (r"^swin\.layernorm\.", "norm."),
    (r"^classifier\.", "head."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    # the names of transformers 5, and those of 4
    (r"\.attention\.relative_position_bias\.|\.attention\.self\.relative", ".attn.relative"),
    (r"\.attn\.relativerelative", ".attn.relative"),
    (r"\.attention\.(q_proj|self\.query)\.", ".attn.q."),
    (r"\.attention\.(k_proj|self\.key)\.", ".attn.k."),
    (r"\.attention\.(v_proj|self\.value)\.", ".attn.v."),
    (r"\.attention\.(o_proj|output\.dense)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
)


@st.composite
def swins(draw: st.DrawFn) -> Swin:
    """Random Swins, small enough to build and run."""
    heads = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    return Swin(
        width=6 * draw(st.integers(1, 4)),
        depths=tuple(draw(st.integers(1, 3)) for _ in heads),
        heads=tuple(heads),
        window=draw(st.integers(1, 5)),
        patch_size=draw(st.integers(1, 4)),
        mlp_ratio=draw(st.sampled_from((0.5, 1, 2.67, 4))),
        qkv_bias=draw(st.booleans()),
        drop_path=draw(st.sampled_from((0.0, 0.2))),
    )


SIDES = st.integers(1, 40)


def images(height: int, width: int, count: int = 2) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def on_meta(swin: Swin) -> SwinNetwork:
    with torch.device("meta"):
        return build_swin(swin, 1000).eval()


def params_of(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def counted(analysis: FlopCountAnalysis | ActivationCountAnalysis, *operators: str) -> int:
    counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return round(sum(counts[operator] for operator in operators))


def fvcore_macs(model: nn.Module, height: int, width: int) -> int:
    return counted(FlopCountAnalysis(model, images(height, width, 1)), "conv", "linear", "matmul")


# the value


@given(swins())
def test_json_round_trip(swin: Swin):
    again = Swin.from_json(swin.to_json())
    assert again == swin
    assert hash(again) == hash(swin)
    assert again.to_json() == swin.to_json()
    assert Swin.from_dict(swin.to_dict()) == swin


@given(swins(), swins())
def test_equal_when_the_same_is_built(one: Swin, other: Swin):
    same = [swin.to_dict() | {"mlp_ratio": swin.hidden} for swin in (one, other)]
    for values, swin in zip(same, (one, other), strict=True):
        values["drop_path"] *= sum(swin.depths) > 1
    assert (one == other) == (same[0] == same[1])


def test_equal_networks_by_other_words():
    assert Swin(8, (1,), mlp_ratio=4.0) == Swin(8, (1,), mlp_ratio=4)
    assert Swin(8, (1,), mlp_ratio=2.01) == Swin(8, (1,), mlp_ratio=2)
    assert Swin(96, (2, 2)) == Swin(96, (2, 2), heads=(3, 6))
    assert Swin(8, (1,), drop_path=0.1) == Swin(8, (1,))
    assert Swin(8, (2,), drop_path=0.1) != Swin(8, (2,))
    assert Swin(8, (2,), window=7) != Swin(8, (2,), window=6)
    assert Swin.from_dict({"width": 8, "depths": [2, 1]}).depths == (2, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width: 0 must be an integer of 1 to"),
        ({"width": 96.0}, "width: 96.0 must be an integer"),
        ({"width": True}, "width: True must be an integer"),
        ({"width": 9000, "depths": (1, 1)}, "width: 9000 makes more than 16384 channels"),
        ({"depths": ()}, "depths: 0 stages; must be 1 to 6"),
        ({"depths": (1,) * 7}, "depths: 7 stages; must be 1 to 6"),
        ({"depths": (2, 0)}, r"depths\[1\]: 0 must be an integer"),
        ({"depths": "22"}, "depths: '22' must be a list"),
        ({"depths": 2}, "depths: 2 must be a list"),
        ({"heads": (1,)}, "heads: 1 stages, but depths has 2"),
        ({"heads": (3, 3)}, r"heads\[0\]: 3 does not divide the 32 channels"),
        ({"heads": (1, 0)}, r"heads\[1\]: 0 must be an integer"),
        ({"window": 0}, "window: 0 must be an integer"),
        ({"window": 65}, "window: 65 must be an integer of 1 to 64"),
        ({"patch_size": -1}, "patch_size: -1 must be an integer"),
        ({"mlp_ratio": 0}, "mlp_ratio: 0 must be a number that makes"),
        ({"mlp_ratio": 1000}, "mlp_ratio: 1000 must be a number that makes"),
        ({"mlp_ratio": "4"}, "mlp_ratio: '4' must be a number"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio: nan must be a number"),
        ({"qkv_bias": 1}, "qkv_bias: 1 must be true or false"),
        ({"drop_path": 1.0}, "drop_path: 1.0 must be at least 0 and below 1"),
        ({"drop_path": float("nan")}, "drop_path: nan must be"),
        ({"drop_path": None}, "drop_path: None must be"),
        ({"widht": 3}, "widht: unknown field; the fields are width, depths"),
    ],
)
def test_impossible_values_are_one_line(fields: dict[str, object], message: str):
    with pytest.raises(InputError, match=f"^{message}") as caught:
        Swin.from_dict({"width": 32, "depths": (2, 2)} | fields)
    assert "\n" not in str(caught.value)


def test_unreadable_text_is_one_line():
    for text, message in (
        ("{", "not JSON"),
        ("[]", "a mapping of fields"),
        ('{"width": 8}', "depths: missing"),
    ):
        with pytest.raises(InputError, match=message):
            Swin.from_json(text)
    with pytest.raises(InputError, match="did you mean swin_tiny"):
        named_swin("swin_tinny")


def test_costs_need_no_torch():
    code = (
        "import sys; from space.budget import parse_budget; from space.swin import swin_reference; "
        "swin_reference(parse_budget('1G')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# the cost


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name: str):
    swin = named_swin(name)
    total = swin_cost(swin)
    assert total.params == params_of(on_meta(swin))
    assert (round(total.params / 1e6), round(total.macs / 1e9, 1)) == PUBLISHED[name]
    if name in PUBLISHED_PARAMS:
        assert total.params == PUBLISHED_PARAMS[name]
    assert [width // count for width, count in zip(swin.widths, swin.heads, strict=True)] == [HEAD_WIDTH] * 4


def test_published_base_and_large_at_384():
    for name, gflops in (("swin_base", 47.1), ("swin_large", 103.9)):
        swin = dataclasses.replace(named_swin(name), window=12)
        assert swin_cost(swin, 384).macs / 1e9 == pytest.approx(gflops, abs=0.15)


def test_fvcore_counts_swin_tiny_the_same():
    model = build_swin(named_swin("swin_tiny")).eval()
    assert fvcore_macs(model, 224, 224) == swin_cost(named_swin("swin_tiny")).macs


@settings(max_examples=12, deadline=None)
@given(swins(), SIDES, SIDES)
def test_cost_equals_fvcore_and_the_module(swin: Swin, height: int, width: int):
    model = build_swin(swin, CLASSES).eval()
    total = swin_cost(swin, (height, width), CLASSES)
    assert total.params == params_of(model)
    assert total.macs == fvcore_macs(model, height, width)
    activations = counted(
        ActivationCountAnalysis(model, images(height, width, 1)), "conv", "linear", "matmul"
    )
    assert total.activations == activations - CLASSES


@pytest.mark.parametrize("resolution", [1, 7, 32, 33, 63, 97])
def test_breakdown_adds_up_and_has_the_modules_shapes(resolution: int):
    parts = swin_breakdown(SMALL, resolution, CLASSES)
    total = parts[0].cost
    for part in parts[1:]:
        total = total + part.cost
    assert total == swin_cost(SMALL, resolution, CLASSES)
    names = ["stem", "stage 1", "downsampling 2", "stage 2", "downsampling 3", "stage 3", "head"]
    assert [part.name for part in parts] == names
    with torch.no_grad():
        features = build_swin(SMALL, CLASSES).eval().features(images(resolution, resolution))
    stage = parts[-2]
    assert features.shape == (2, stage.channels, stage.resolution, stage.resolution)
    assert (parts[-1].channels, parts[-1].resolution) == (CLASSES, 1)


@pytest.mark.parametrize("side", [24, 27, 33])
def test_saved_elements_are_those_that_autograd_keeps(side: int):
    """Beside them autograd keeps two numbers a token of every norm: the mean and the deviation."""
    model = build_swin(SMALL, CLASSES)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point() and tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(images(side, side, 1))
    # statistics of norms have one channel, everything else more
    measured = sum(tensor.numel() for tensor in kept.values() if tensor.shape[-1] > 1)
    assert logits.shape == (1, CLASSES)
    assert measured == swin_cost(SMALL, side, CLASSES).saved


def test_no_image_without_pixels():
    for resolution in (0, (0, 5), -1):
        with pytest.raises(InputError, match="must be at least 1"):
            swin_cost(SMALL, resolution)


# the budget


@pytest.mark.parametrize(
    "text",
    ["300M", "600MFLOPs", "1G", "2G", "3G", "4.5G", "6G", "8.7G", "12G", "15.4G", "20G", "34.5G", "60G",
     "10Mparams", "30Mparams", "13Mactivations", "4GFLOPs..5GFLOPs"],
)  # fmt: skip
def test_the_reference_meets_the_budget_and_says_its_width(text: str):
    budget = parse_budget(text)
    reference = swin_reference(budget)
    swin = reference.swin
    assert reference.in_band
    assert budget.allows(getattr(swin_cost(swin), budget.metric))
    heads = {width // count for width, count in zip(swin.widths, swin.heads, strict=True)}
    assert len(heads) == 1
    assert 16 <= heads.pop() <= 64
    published = {"Swin-T": "swin_tiny", "Swin-S": "swin_small", "Swin-B": "swin_base", "Swin-L": "swin_large"}
    name, _, width = reference.name.partition(" at width ")
    original = named_swin(published[name])
    assert swin == (dataclasses.replace(original, width=int(width), heads=()) if width else original)


def test_published_sizes_are_their_own_references():
    for name in PUBLISHED:
        macs = swin_cost(named_swin(name)).macs
        assert swin_reference(parse_budget(f"{macs}")).swin == named_swin(name)


def test_heads_of_32_channels_come_first():
    for text in ("500M..560M", "1.9G..2.3G", "12G..13G"):
        swin = swin_reference(parse_budget(text)).swin
        budget = parse_budget(text)
        exact = [dataclasses.replace(swin, width=width, heads=()) for width in range(32, 512, 32)]
        if any(budget.allows(swin_cost(other).macs) for other in exact):
            assert swin.width == HEAD_WIDTH * swin.heads[0]
    assert swin_reference(parse_budget("1.9G..2.3G")).swin.width == 64


def test_no_width_in_the_band():
    narrow = swin_reference(parse_budget("100M"))
    assert not narrow.in_band
    assert swin_cost(narrow.swin).macs < 95e6
    assert swin_cost(dataclasses.replace(narrow.swin, width=narrow.swin.width + 1, heads=())).macs > 1e8
    assert swin_reference(parse_budget("1M")).swin.width == 1
    assert not swin_reference(parse_budget("500T")).in_band


@given(st.integers(1, 600))
def test_head_count_divides_and_is_nearest(width: int):
    count = head_count(width)
    assert width % count == 0
    assert width % HEAD_WIDTH or count == width // HEAD_WIDTH
    spread = max(width / count, HEAD_WIDTH) / min(width / count, HEAD_WIDTH)
    for other in range(1, width + 1):
        if width % other == 0:
            size = width / other
            assert spread <= max(size, HEAD_WIDTH) / min(size, HEAD_WIDTH) + 1e-9


# the network


def from_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """transformers' weights under the official names."""
    renamed = {}
    for key, value in state.items():
        name = key
        for pattern, template in TRANSFORMERS:
            name = re.sub(pattern, template, name)
        renamed[name] = value
    merged = {}
    for name, value in renamed.items():
        if ".attn.q." in name:
            parts = [renamed[name.replace(".attn.q.", f".attn.{part}.")] for part in "qkv"]
            merged[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(parts)
        elif ".attn.k." not in name and ".attn.v." not in name:
            merged[name] = value
    return merged


def transformers_network(swin: Swin) -> nn.Module:
    from transformers import SwinConfig, SwinForImageClassification

    config = SwinConfig(
        embed_dim=swin.width, depths=list(swin.depths), num_heads=list(swin.heads), window_size=swin.window,
        patch_size=swin.patch_size, mlp_ratio=swin.mlp_ratio, qkv_bias=swin.qkv_bias, num_labels=CLASSES,
        image_size=64,
    )  # fmt: skip
    return SwinForImageClassification(config)


@pytest.mark.parametrize("qkv_bias", [True, False])
@pytest.mark.parametrize(
    ("height", "width"),
    # whole windows; a map of one window; padding in every stage; not square; odd pixels; one window high
    [(48, 48), (24, 24), (32, 32), (28, 52), (27, 39), (23, 61)],
)
def test_same_logits_as_transformers(height: int, width: int, qkv_bias: bool):
    swin = dataclasses.replace(SMALL, qkv_bias=qkv_bias, mlp_ratio=2.5)
    theirs = randomised(transformers_network(swin))
    ours = build_swin(swin, CLASSES).eval()
    missing, unexpected = ours.load_state_dict(from_transformers(theirs.state_dict()), strict=False)
    assert all(name.endswith("relative_position_index") for name in [*missing, *unexpected])
    with torch.no_grad():
        expected, got = theirs(images(height, width)).logits, ours(images(height, width))
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(10, 10), (4, 4), (1, 1), (3, 9), (11, 6)])
def test_a_small_map_has_windows_of_its_side_and_no_shift(height: int, width: int):
    """The same network with the window that the map allows, and the middle of the same tables."""
    wide = Swin(width=8, depths=(2,), heads=(2,), window=6, patch_size=2)
    model = randomised(build_swin(wide, CLASSES))
    side, shift = window_of(-(-height // 2), -(-width // 2), 6)
    assert shift == 0
    narrow = randomised(build_swin(dataclasses.replace(wide, window=side), CLASSES))
    state = {name: value for name, value in model.state_dict().items() if "relative" not in name}
    for block, other in zip(model.layers[0].blocks, narrow.layers[0].blocks, strict=True):
        table = block.attn.relative_position_bias_table.detach().view(11, 11, 2)
        middle = table[6 - side : 5 + side, 6 - side : 5 + side]
        other.attn.relative_position_bias_table.data = middle.reshape(-1, 2)
    narrow.load_state_dict(state, strict=False)
    with torch.no_grad():
        expected, got = narrow(images(height, width)), model(images(height, width))
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_the_mask_separates_what_the_shift_brought_together():
    """Two tokens of a shifted window see each other if the map holds them less than a window apart."""
    height, width, side, shift = 8, 12, 4, 2
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack([row, column], -1).roll((-shift, -shift), (0, 1))
    windows = to_windows(places[None], side)
    near = ((windows[:, :, None] - windows[:, None, :]).abs() < side).all(-1)
    mask = shift_mask(height, width, side, shift, torch.zeros(1))
    assert torch.equal(mask == 0, near)
    assert set(mask.unique().tolist()) == {0.0, -100.0}


def test_official_keys():
    block = [
        "norm1.weight", "norm1.bias", "attn.relative_position_bias_table", "attn.relative_position_index",
        "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias", "norm2.weight",
        "norm2.bias", "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias",
    ]  # fmt: skip
    expected = [f"patch_embed.{layer}.{kind}" for layer in ("proj", "norm") for kind in ("weight", "bias")]
    swin = named_swin("swin_tiny")
    for i, depth in enumerate(swin.depths):
        expected += [f"layers.{i}.blocks.{j}.{name}" for j in range(depth) for name in block]
        if i < 3:
            names = ("reduction.weight", "norm.weight", "norm.bias")
            expected += [f"layers.{i}.downsample.{name}" for name in names]
    expected += [f"{layer}.{kind}" for layer in ("norm", "head") for kind in ("weight", "bias")]
    state = on_meta(swin).state_dict()
    assert sorted(state) == sorted(expected)
    assert state["layers.1.blocks.0.attn.relative_position_bias_table"].shape == (169, 6)
    assert state["layers.1.blocks.0.attn.relative_position_index"].shape == (49, 49)
    assert state["layers.1.blocks.0.attn.relative_position_index"].dtype == torch.int64
    assert state["layers.1.downsample.reduction.weight"].shape == (384, 768)


def test_masks_of_official_checkpoints_are_ignored_and_other_keys_are_not():
    model = build_swin(SMALL, CLASSES)
    official = model.state_dict() | {"layers.0.blocks.1.attn_mask": torch.zeros(4, 9, 9)}
    other = build_swin(SMALL, CLASSES)
    other.load_state_dict(official)
    assert "layers.0.blocks.1.attn_mask" in official
    nn.Sequential(other).load_state_dict({f"0.{name}": value for name, value in official.items()})
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match=r"layers\.0\.blocks\.1\.mask"):
        other.load_state_dict(model.state_dict() | {"layers.0.blocks.1.mask": torch.zeros(1)})


def test_initial_weights_are_the_official_ones():
    torch.manual_seed(0)
    model = build_swin(Swin(32, (2, 2), drop_path=0.3), CLASSES)
    for name, parameter in model.named_parameters():
        if name.startswith("patch_embed.proj"):  # the official code leaves the convolution to torch
            assert parameter.abs().max() <= 48**-0.5
        elif parameter.dim() > 1:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.2), name
        else:
            norm_weight = "norm" in name and name.endswith("weight")
            assert torch.equal(parameter, torch.full_like(parameter, float(norm_weight))), name
    blocks = [block for layer in model.layers for block in layer.blocks]
    assert [block.drop_path.rate for block in blocks] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    tables = [name for name, _ in model.named_parameters() if "relative_position_bias_table" in name]
    assert len(tables) == 4
    assert model.no_weight_decay_keywords() == {"relative_position_bias_table"}


def gradients(swin: Swin, side: int) -> dict[str, Tensor]:
    model = randomised(build_swin(swin, CLASSES))
    (model(images(side, side)) * torch.randn(2, CLASSES)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("side", [24, 27, 32])
def test_gradients_reach_every_parameter(side: int):
    for name, gradient in gradients(SMALL, side).items():
        assert gradient.isfinite().all(), name
        assert gradient.abs().max() > 0, name


def test_at_32_px_only_the_attention_of_the_1x1_map_has_nothing_to_learn():
    """A window of one token attends to itself, whatever the query, the key and the bias."""
    swin = Swin(width=8, depths=(2, 2, 2, 2), heads=(1, 2, 4, 8))
    for name, gradient in gradients(swin, 32).items():
        if not name.startswith("layers.3") or ".attn." not in name:
            assert gradient.abs().max() > 0, name
        elif name.endswith("bias_table"):
            assert not gradient.any(), name
        elif ".qkv." in name:
            query_and_key, value = gradient.split([2 * swin.widths[3], swin.widths[3]])
            assert query_and_key.abs().max() < 1e-6 * value.abs().max(), name


def test_it_learns_at_32_px():
    torch.manual_seed(0)
    model = build_swin(Swin(width=16, depths=(1, 1, 2, 1), drop_path=0.1), 2)
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    targets = torch.arange(32) % 2
    signal = torch.zeros(32, 3, 32, 32)
    signal[targets == 1, :, ::2] = 1.5  # stripes
    losses = []
    for _ in range(15):
        x = (torch.randn(32, 3, 32, 32) * 0.5 + signal).to(memory_format=torch.channels_last)
        loss = nn.functional.cross_entropy(model(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(0.69, abs=0.1)
    assert losses[-1] < 0.1


def test_half_precision_under_autocast():
    model = randomised(build_swin(SMALL, CLASSES))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        low = model(images(27, 32))
    with torch.no_grad():
        full = model(images(27, 32))
    assert (low.float() - full).abs().max() < 0.1 * full.abs().max()


def test_canonical_json_of_swin_tiny():
    assert json.loads(named_swin("swin_tiny").to_json()) == {
        "family": "swin", "width": 96, "depths": [2, 2, 6, 2], "heads": [3, 6, 12, 24], "window": 7,
        "patch_size": 4, "mlp_ratio": 4, "qkv_bias": True, "drop_path": 0.2,
    }  # fmt: skip
